// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "examples/example_test.h"

namespace {

std::string Receive(int fd, size_t bytes) {
    std::string got(bytes, 0);
    size_t at = 0;
    for (ssize_t count; at < bytes && (count = recv(fd, &got[at], bytes - at, 0)) > 0;)
        at += static_cast<size_t>(count);
    return got.substr(0, at);
}

// Nanoseconds of CPU that each shard's threads have used; epoll has one for files beside it.
std::map<std::string, uint64_t> CpuOfShards(pid_t pid) {
    std::map<std::string, uint64_t> ns;
    std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    DIR *directory = opendir(tasks.c_str());
    while (dirent *entry = readdir(directory)) {
        std::string task = tasks + "/" + entry->d_name;
        int name = open((task + "/comm").c_str(), O_RDONLY | O_CLOEXEC);
        int stat = open((task + "/schedstat").c_str(), O_RDONLY | O_CLOEXEC);
        std::string shard = name >= 0 && stat >= 0 ? LineOf(name) : "";
        if (shard.substr(0, 5) == "tina-")
            ns[shard] += std::stoull(LineOf(stat));
        close(name);
        close(stat);
    }
    closedir(directory);
    return ns;
}

void ExpectEchoes(uint16_t port, int clients) {
    std::vector<int> fds;
    for (int i = 0; i < clients; i++)
        fds.push_back(DialLoopback(port));
    for (size_t bytes : {size_t{1}, size_t{4096}, size_t{100000}, size_t{2}})
        for (int fd : fds) {
            std::string sent(bytes, static_cast<char>('a' + fd % 26));
            SendAll(fd, sent);
            EXPECT_EQ(Receive(fd, bytes), sent);
        }
    for (int fd : fds)
        close(fd);
}

TEST_P(Example, TcpEchoSendsBackWhatItReceives) {
    Process process(program("tcp_echo"), with_backend({}));
    ExpectEchoes(port_of(process), 20);
    EXPECT_EQ(CpuOfShards(process.pid).size(), 1u);
    EXPECT_EQ(process.stop(SIGTERM), 0);
}

// Of 100 connections none goes to one of the shards once in 10^17 times.
TEST_P(Example, TcpEchoServesOnEachOfSeveralShards) {
    Process process(program("tcp_echo"), with_backend({"--shards", "3"}));
    uint16_t port = 0;
    for (int listening = 0; listening < 3;) {
        std::string line = process.error_line();
        ASSERT_NE(line, "");
        size_t at = line.find("listening on 127.0.0.1:");
        if (at == std::string::npos)
            continue; // that three shards share two cores
        uint16_t each = static_cast<uint16_t>(std::stoi(line.substr(at + 23)));
        EXPECT_TRUE(port == 0 || port == each) << line;
        port = each;
        listening++;
    }
    std::map<std::string, uint64_t> before = CpuOfShards(process.pid);
    ExpectEchoes(port, 100);
    std::map<std::string, uint64_t> after = CpuOfShards(process.pid);
    ASSERT_EQ(before.size(), 3u);
    for (const auto &[shard, ns] : before)
        EXPECT_GT(after[shard], ns + 100000) << shard << " served nobody";
    EXPECT_EQ(process.stop(SIGTERM), 0);
}

TEST_P(Example, TcpEchoSaysWhatIsWrong) {
    ExpectRefused(program("tcp_echo"), {"--shards", "0"}, "from 1 to 255");
    ExpectRefused(program("tcp_echo"), {"--shards", "256"}, "from 1 to 255");
    ExpectRefused(program("tcp_echo"), {"--shards"}, "a value is missing");
    ExpectRefused(program("tcp_echo"), {"--port", "65536"}, "from 0 to 65535");
    ExpectRefused(program("tcp_echo"), {"--prot", "1"}, "unknown argument --prot");
    Process first(program("tcp_echo"), with_backend({}));
    std::string taken = std::to_string(port_of(first));
    ExpectRefused(program("tcp_echo"), with_backend({"--port", taken, "--shards", "2"}),
                  "the port cannot be had");
    EXPECT_EQ(first.stop(SIGTERM), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Example, every_backend(), backend_name);

} // namespace
