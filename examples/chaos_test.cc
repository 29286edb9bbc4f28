// SPDX-License-Identifier: Apache-2.0
//
// The examples that fault on purpose, as a user runs them: what a fault costs, and what not.

#include <gtest/gtest.h>
#include <poll.h>

#include <regex>
#include <set>
#include <string>
#include <vector>

#include "http/process.h"

namespace {

using std::string;
using std::vector;

string Dispatcher() {
    return ProgramPath("examples/task_dispatcher");
}

size_t Count(const string &text, const string &words) {
    size_t count = 0;
    for (size_t at = 0; (at = text.find(words, at)) != string::npos; at++)
        count++;
    return count;
}

std::set<int> LostJobs(const string &log) {
    std::set<int> lost;
    std::regex line("job ([0-9]+) is lost");
    for (std::sregex_iterator at(log.begin(), log.end(), line), end; at != end; ++at)
        EXPECT_TRUE(lost.insert(std::stoi((*at)[1])).second) << (*at)[0];
    return lost;
}

// Of N jobs every third is lost, once, for this reason, and no other is.
void ExpectLost(const vector<string> &arguments, int jobs, const vector<string> &reasons) {
    SCOPED_TRACE(arguments[1]);
    vector<string> all = arguments;
    all.insert(all.end(), {"--jobs", std::to_string(jobs), "--pace-ms", "1"});
    Process program(Dispatcher(), all);
    string log = program.errors();
    EXPECT_EQ(program.stop(0), 0) << log;
    std::set<int> lost = LostJobs(log);
    EXPECT_EQ(lost.size(), static_cast<size_t>(jobs / 3)) << log;
    for (int job : lost)
        EXPECT_EQ(job % 3, 0);
    for (const string &reason : reasons)
        EXPECT_GE(Count(log, "is lost: its worker " + reason), lost.size() / (reasons.size() + 1))
            << log;
    string total = std::to_string(jobs) + " jobs: " + std::to_string(jobs - jobs / 3) + " done, " +
                   std::to_string(jobs / 3) + " lost";
    EXPECT_EQ(Count(log, total), 1u) << log;
}

TEST(TaskDispatcher, LosesTheJobThatFaultedAndNoOther) {
    ExpectLost({"--fault", "effect"}, 90, {"crashed"});
    ExpectLost({"--fault", "null"}, 90, {"faulted"});
    ExpectLost({"--fault", "division"}, 90, {"faulted"});
    ExpectLost({"--fault", "overflow"}, 90, {"overflowed its stack"});
    ExpectLost({"--fault", "loop"}, 6, {"ran for too long"});
    ExpectLost({"--fault", "all"}, 30,
               {"crashed", "faulted", "overflowed its stack", "ran for too long"});
}

TEST(TaskDispatcher, RunsUntilItIsTold) {
    Process program(Dispatcher(), {"--fault", "null", "--pace-ms", "1"});
    string text;
    char byte;
    while (Count(text, "200 jobs: ") == 0 && read(program.error_fd(), &byte, 1) == 1)
        text += byte;
    EXPECT_EQ(program.stop(SIGTERM), 0);
}

TEST(TaskDispatcher, SaysWhatItCannotDo) {
    for (const vector<string> &arguments : vector<vector<string>>{{"--fault", "rust"},
                                                                  {"--jobs", "0"},
                                                                  {"--jobs", "-1"},
                                                                  {"--jobs", "12x"},
                                                                  {"--jobs"},
                                                                  {"--pace-ms", "0"},
                                                                  {"--what", "1"}}) {
        Process program(Dispatcher(), arguments);
        EXPECT_EQ(Count(program.errors(), "; see --help\n"), 1u) << arguments[0];
        EXPECT_EQ(program.stop(0), 1);
    }
    Process program(Dispatcher(), {"--help"});
    EXPECT_EQ(program.output().substr(0, 6), "usage:");
    EXPECT_EQ(program.stop(0), 0);
}

uint16_t ReadPort(Process *server) {
    string line;
    char byte;
    while (read(server->error_fd(), &byte, 1) == 1 && byte != '\n')
        line += byte;
    size_t colon = line.rfind(':');
    EXPECT_NE(colon, string::npos) << line;
    return static_cast<uint16_t>(atoi(line.c_str() + colon + 1));
}

// Sends a piece, and returns whether all of it came back; false when the connection has ended.
bool Echoes(int fd, const string &piece) {
    SendAll(fd, piece);
    string back(piece.size(), '\0');
    size_t at = 0;
    while (at < piece.size()) {
        ssize_t got = read(fd, &back[at], piece.size() - at);
        if (got <= 0)
            break;
        at += static_cast<size_t>(got);
    }
    EXPECT_TRUE(at == 0 || (at == piece.size() && back == piece)) << at;
    return at == piece.size();
}

void ExpectChaos(const string &backend) {
    Process server(ProgramPath("examples/tcp_echo"), {"--backend", backend, "--chaos"});
    uint16_t port = ReadPort(&server);
    size_t fds = server.fds();
    for (int round = 0; round < 5; round++) {
        vector<int> connections;
        for (int i = 0; i < 24; i++)
            connections.push_back(DialLoopback(port));
        size_t ended = 0;
        for (int piece = 0; piece < 6; piece++)
            for (size_t i = 0; i < connections.size(); i++) {
                if (i % 3 == 2 && piece > 1)
                    continue;
                string text(1 + (i * 997 + static_cast<size_t>(piece) * 131) % 3000,
                            static_cast<char>('a' + i));
                bool echoed = Echoes(connections[i], text);
                EXPECT_EQ(echoed, i % 3 != 2 || piece == 0) << i << " " << piece;
                ended += !echoed;
            }
        EXPECT_EQ(ended, connections.size() / 3);
        for (int fd : connections)
            close(fd);
    }
    // Closes are the server's to see; a last connection that is served comes behind them.
    for (int waits = 0; waits < 1000 && server.fds() > fds; waits++) {
        int fd = DialLoopback(port);
        EXPECT_TRUE(Echoes(fd, "?"));
        close(fd);
    }
    EXPECT_LE(server.fds(), fds + 1);
    EXPECT_EQ(server.stop(SIGTERM), 0);
    string log = server.errors();
    std::regex crash("doomed [0-9]+\\.[0-9]+ crashed");
    auto first = std::sregex_iterator(log.begin(), log.end(), crash);
    EXPECT_EQ(std::distance(first, std::sregex_iterator()), 5 * 8) << log;
}

TEST(TcpEcho, ChaosOfSomeConnectionsHarmsNoOther) {
    ExpectChaos("io_uring");
    ExpectChaos("epoll");
}

} // namespace
