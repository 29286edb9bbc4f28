// SPDX-License-Identifier: Apache-2.0
//
// A server of two shards as a process: how connections spread, what a drain loses, and who serves
// while one of the shards is stopped.

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "http/process.h"
#include "sched/test_backend.h"

namespace {

using std::string;

const string kAsk = "GET /shard HTTP/1.1\r\nHost: h\r\n\r\n";

// Reads one response; its body, or "" when the connection ends before it or within. *reset is set
// when it ends by a reset.
string ReadBody(int fd, bool *reset = nullptr) {
    string text;
    char piece[1024];
    for (;;) {
        size_t head = text.find("\r\n\r\n");
        size_t length = text.find("Content-Length: ");
        if (head != string::npos && length != string::npos) {
            size_t bytes = static_cast<size_t>(atoi(&text[length + 16]));
            if (text.size() >= head + 4 + bytes)
                return text.substr(head + 4, bytes);
        }
        ssize_t count = recv(fd, piece, sizeof piece, 0);
        if (count <= 0) {
            EXPECT_EQ(text, "") << "an answer was cut";
            if (count < 0 && reset != nullptr)
                *reset = true;
            return "";
        }
        text.append(piece, static_cast<size_t>(count));
    }
}

bool EndsWith(const string &text, const string &end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Dials without complaint when nobody listens: -1.
int TryDial(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

class Shards : public ::testing::TestWithParam<const char *> {
  protected:
    explicit Shards(void (*before)() = nullptr)
        : server_(ProgramPath("http/shards_server"),
                  {"--port", "0", "--shards", "2", "--backend", Backend(), "--spread", GetParam()},
                  before) {
        string line = server_.line();
        const string head = "listening on http://127.0.0.1:";
        EXPECT_EQ(line.substr(0, head.size()), head);
        EXPECT_EQ(line.substr(line.size() - 11), ", 2 shards)");
        port_ = static_cast<uint16_t>(atoi(&line[head.size()]));
    }

    static string Backend() {
        const char *name = getenv("TINA_TEST_BACKEND");
        return name != nullptr ? name : "auto";
    }

    static string ask(int fd, const string &what = kAsk) {
        SendAll(fd, what);
        return ReadBody(fd);
    }

    bool ByKernel() const {
        return GetParam() == string("kernel");
    }

    bool FromOne() const {
        return GetParam() == string("one") || GetParam() == string("least");
    }

    // A connection that this shard serves. Those that others serve are kept until it is found, or
    // the least loaded would be another one for ever.
    int dial_to(const string &shard) {
        std::vector<int> others;
        for (;;) {
            int fd = DialLoopback(port_);
            string served = ask(fd);
            EXPECT_NE(served, "");
            if (served == shard || served.empty()) {
                for (int other : others)
                    close(other);
                return fd;
            }
            others.push_back(fd);
        }
    }

    // Waits for a line of stderr that has these words.
    void await(const string &words) {
        string line;
        do {
            line = server_.error_line();
            ASSERT_NE(line, "") << "stderr ended without: " << words;
        } while (line.find(words) == string::npos);
    }

    Process server_;
    uint16_t port_;
};

TEST_P(Shards, AThousandConnectionsAreSpreadEvenly) {
    int served[2] = {};
    std::vector<int> fds;
    for (int i = 0; i < 1000; i++) {
        fds.push_back(DialLoopback(port_));
        string shard = ask(fds.back());
        ASSERT_TRUE(shard == "0" || shard == "1") << shard;
        served[shard == "1"]++;
    }
    printf("%s: %d and %d of 1,000 connections\n", GetParam(), served[0], served[1]);
    // The kernel's is a fair coin thrown 1,000 times, whose standard deviation is 16: this far off
    // it comes once in 10^9.
    int off = ByKernel() ? 100 : 5;
    EXPECT_NEAR(served[0], 500, off);
    for (int fd : fds)
        close(fd);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

class LeastShards : public Shards {
  protected:
    // Closes a connection and waits until the server has let go of it.
    void hang_up(int fd) {
        char byte;
        shutdown(fd, SHUT_WR);
        EXPECT_EQ(recv(fd, &byte, 1, 0), 0);
        close(fd);
    }
};

TEST_P(LeastShards, NewConnectionsGoToWhereFewAre) {
    std::vector<int> fds[2];
    for (int i = 0; i < 400; i++) {
        int fd = DialLoopback(port_);
        fds[ask(fd) == "1"].push_back(fd);
    }
    for (int i = 0; i < 150; i++) {
        hang_up(fds[1].back());
        fds[1].pop_back();
    }
    for (int i = 0; i < 600; i++) {
        int fd = DialLoopback(port_);
        fds[ask(fd) == "1"].push_back(fd);
    }
    printf("%zu and %zu of 850 connections\n", fds[0].size(), fds[1].size());
    EXPECT_NEAR(static_cast<double>(fds[0].size()), 425, 42);
    for (const std::vector<int> &each : fds)
        for (int fd : each)
            close(fd);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

// All at once, so that most are on their way when the next is placed.
TEST_P(LeastShards, ThoseOnTheirWayCount) {
    int served[2] = {};
    std::vector<int> fds;
    for (int i = 0; i < 500; i++)
        fds.push_back(DialLoopback(port_));
    for (int fd : fds)
        served[ask(fd) == "1"]++;
    EXPECT_NEAR(served[0], 250, 25);
    for (int fd : fds)
        close(fd);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

INSTANTIATE_TEST_SUITE_P(Spread, LeastShards, ::testing::Values("least"),
                         [](const auto &spread) { return string(spread.param); });

// What clients that ask as fast as they can have seen.
struct Load {
    std::atomic<uint64_t> answers{0};
    std::atomic<uint64_t> resets{0}; // of connections that had been answered before
    std::atomic<bool> over{false};
};

// One connection after the other, each for 20 requests, until nobody listens.
void AskUntilItEnds(uint16_t port, Load *load, int requests) {
    for (int fd; (fd = TryDial(port)) >= 0; close(fd)) {
        bool reset = false;
        int i = 0;
        for (; i < requests; i++) {
            SendAll(fd, kAsk);
            if (ReadBody(fd, &reset).empty())
                break;
            load->answers++;
        }
        load->resets += reset && i > 0;
    }
}

TEST_P(Shards, NoRequestIsLostWhenTheServerDrains) {
    Load load;
    std::vector<std::thread> clients;
    for (int i = 0; i < 16; i++)
        clients.emplace_back(AskUntilItEnds, port_, &load, i % 2 ? 20 : 1 << 30);
    while (load.answers < 2000)
        std::this_thread::yield();
    kill(server_.pid, SIGTERM);
    for (std::thread &client : clients)
        client.join();
    EXPECT_EQ(server_.stop(0), 0);
    EXPECT_EQ(server_.output(), "answered " + std::to_string(load.answers) + "\n");
    EXPECT_EQ(load.resets, 0u);
    EXPECT_EQ(server_.errors(), "");
}

// Returns what comes up to these words, or up to the end.
string ReadUntil(int fd, const string &words) {
    string text;
    char byte;
    while (text.find(words) == string::npos && recv(fd, &byte, 1, 0) == 1)
        text += byte;
    return text;
}

// On one shard, and on both: the handler on the second asks the first one's child, when that has
// no request of its own any more.
TEST_P(Shards, WhatHandlersCallIsThereUntilTheServerHasDrained) {
    int fds[] = {dial_to("0"), dial_to("1")};
    for (int fd : fds) {
        SendAll(fd, "GET /clerk HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_TRUE(EndsWith(ReadUntil(fd, "waiting\n"), "waiting\n"));
    }
    kill(server_.pid, SIGTERM);
    for (int fd : fds) {
        string rest = ReadToEnd(fd);
        EXPECT_NE(rest.find("answered\n"), string::npos) << rest;
        EXPECT_TRUE(EndsWith(rest, "\r\n0\r\n\r\n")) << rest;
        close(fd);
    }
    EXPECT_EQ(server_.stop(0), 0);
    EXPECT_EQ(server_.errors(), "");
}

TEST(Shard, WhatHandlersCallIsThereUntilTheServerHasDrained) {
    Process server(ProgramPath("http/shards_server"), {"--port", "0", "--shards", "1"});
    string line = server.line();
    int fd =
        DialLoopback(static_cast<uint16_t>(atoi(&line[strlen("listening on http://127.0.0.1:")])));
    SendAll(fd, "GET /clerk HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(EndsWith(ReadUntil(fd, "waiting\n"), "waiting\n"));
    kill(server.pid, SIGTERM);
    EXPECT_NE(ReadToEnd(fd).find("answered\n"), string::npos);
    close(fd);
    EXPECT_EQ(server.stop(0), 0);
    EXPECT_EQ(server.errors(), "");
}

// Asks in turn on connections that are served by a shard that is to go on.
void AskTheOther(std::vector<int> fds, string shard, Load *load) {
    while (!load->over) {
        for (int fd : fds) {
            SendAll(fd, kAsk);
            ASSERT_EQ(ReadBody(fd), shard);
            load->answers++;
        }
    }
}

TEST_P(Shards, OneIsQuarantinedAndRevivedWhileTheOtherServes) {
    for (int broken = 0; broken < 2; broken++) {
        const string victim = std::to_string(broken);
        const string other = std::to_string(1 - broken);
        std::vector<int> bystanders;
        for (int i = 0; i < 8; i++)
            bystanders.push_back(dial_to(other));
        Load load;
        std::thread client(AskTheOther, bystanders, other, &load);
        int last = dial_to(victim);
        EXPECT_EQ(ask(last, "GET /break HTTP/1.1\r\nHost: h\r\n\r\n"), "");
        close(last);
        await("the shard is quarantined");
        // The other one says so when it knows: what it hands over before is lost with the shard.
        await("warning shards_server: shard " + victim + " is quarantined");
        for (int i = 0; i < 100; i++) {
            int fd = TryDial(port_);
            if (FromOne() && broken == 0) {
                EXPECT_EQ(fd, -1) << "nobody listens but shard 0";
                continue;
            }
            EXPECT_EQ(ask(fd), other);
            close(fd);
        }
        kill(server_.pid, SIGUSR2);
        await("the shard is revived");
        for (string shard; shard != victim;) {
            int fd = TryDial(port_);
            if (fd < 0)
                continue;
            shard = ask(fd);
            close(fd);
        }
        uint64_t answers = load.answers;
        while (load.answers < answers + 100)
            std::this_thread::yield();
        load.over = true;
        client.join();
        for (int fd : bystanders)
            close(fd);
    }
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

TEST_P(Shards, DrainsWithAShardInQuarantine) {
    int last = dial_to("1");
    int bystander = dial_to("0");
    EXPECT_EQ(ask(last, "GET /break HTTP/1.1\r\nHost: h\r\n\r\n"), "");
    close(last);
    await("shard 1 is quarantined");
    kill(server_.pid, SIGTERM);
    EXPECT_EQ(ReadBody(bystander), "");
    close(bystander);
    EXPECT_EQ(server_.stop(0), 0);
}

TEST_P(Shards, ASecondServerIsToldThatThePortIsTaken) {
    Process second(ProgramPath("http/shards_server"),
                   {"--port", std::to_string(port_), "--shards", "2"});
    EXPECT_NE(second.errors().find("Address already in use; stop what listens there"),
              string::npos);
    EXPECT_EQ(second.stop(0), 1);
}

TEST_P(Shards, CountersOfAllAreReadFromAny) {
    const string sum = "GET /dispatches HTTP/1.1\r\nHost: h\r\n\r\n";
    int one[2] = {dial_to("0"), dial_to("1")};
    long before = std::stol(ask(one[0], sum));
    for (int i = 0; i < 100; i++)
        ask(one[1]);
    EXPECT_GE(std::stol(ask(one[0], sum)), before + 100);
    EXPECT_GE(std::stol(ask(one[1], sum)), before + 100);
    close(one[0]);
    close(one[1]);
}

class FullShards : public Shards {
  protected:
    FullShards() : Shards([] { setenv("CONNECTION_COUNT", "4", 1); }) {}
};

// Eight slots for 40 clients: those that find none wait, wherever they have been handed to.
TEST_P(FullShards, ConnectionsWaitForRoomAndNoneIsLost) {
    std::atomic<int> answers{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 40; i++)
        clients.emplace_back([&] {
            for (int round = 0; round < 10; round++) {
                int fd = DialLoopback(port_);
                answers += !ask(fd).empty();
                close(fd);
            }
        });
    for (std::thread &client : clients)
        client.join();
    EXPECT_EQ(answers, 400);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

// What came of a connection that asks once: a shard's number, "503", "closed" or "reset".
string TryOnce(uint16_t port) {
    int fd = DialLoopback(port);
    SendAll(fd, "GET /shard HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    string text;
    char piece[1024];
    ssize_t count;
    while ((count = recv(fd, piece, sizeof piece, 0)) > 0)
        text.append(piece, static_cast<size_t>(count));
    close(fd);
    if (text.compare(0, 12, "HTTP/1.1 200") == 0)
        return text.substr(text.size() - 1);
    bool refused = text == "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                           "Retry-After: 1\r\nConnection: close\r\n\r\n";
    EXPECT_TRUE(refused || text.empty()) << text;
    return refused ? "503" : count < 0 ? "reset" : "closed";
}

class OverflowShards : public Shards {
  protected:
    explicit OverflowShards(void (*before)() =
                                [] {
                                    setenv("CONNECTION_COUNT", "4", 1);
                                    setenv("OVERFLOW", "503", 1);
                                })
        : Shards(before) {}

    // Takes all eight slots; what is refused meanwhile, where the kernel chooses, is tried again.
    std::vector<int> fill() {
        std::vector<int> fds;
        for (int served[2] = {}; served[0] + served[1] < 8;) {
            int fd = DialLoopback(port_);
            string shard = try_ask(fd);
            if (shard == "0" || shard == "1") {
                served[shard == "1"]++;
                fds.push_back(fd);
            } else {
                EXPECT_TRUE(ByKernel()) << "there is room, and it is not found: " << shard;
                close(fd);
            }
            EXPECT_LE(served[0], 4);
            EXPECT_LE(served[1], 4);
        }
        return fds;
    }

    static string try_ask(int fd) {
        string text;
        char piece[1024];
        SendAll(fd, kAsk);
        ssize_t count = recv(fd, piece, sizeof piece, 0);
        if (count > 0)
            text.assign(piece, static_cast<size_t>(count));
        return text.compare(0, 12, "HTTP/1.1 200") == 0 ? text.substr(text.size() - 1) : text;
    }

    // Asks once with each of many connections: none is served, and each is refused in that way.
    void expect_all(const string &refusal) {
        std::vector<int> kept = fill();
        for (int i = 0; i < 40; i++)
            EXPECT_EQ(TryOnce(port_), refusal);
        for (int fd : kept) {
            EXPECT_NE(ask(fd), ""); // who has a slot keeps it
            close(fd);
        }
        // Both shards are found to have room again.
        int served[2] = {};
        for (int i = 0; i < 10000 && (served[0] == 0 || served[1] == 0); i++) {
            string what = TryOnce(port_);
            if (what == "0" || what == "1")
                served[what == "1"]++;
        }
        EXPECT_GT(served[0], 0);
        EXPECT_GT(served[1], 0);
    }

    // Many at once, more than there is room for: each is served or refused, and some are served.
    void expect_storm(const string &refusal, bool resets) {
        std::atomic<int> served{0};
        std::atomic<int> refused{0};
        std::vector<std::thread> clients;
        for (int i = 0; i < 24; i++)
            clients.emplace_back([&] {
                for (int round = 0; round < 20; round++) {
                    string what = TryOnce(port_);
                    bool good = what == "0" || what == "1";
                    served += good;
                    refused += !good;
                    EXPECT_TRUE(good || what == refusal || (resets && what == "reset")) << what;
                }
            });
        for (std::thread &client : clients)
            client.join();
        EXPECT_GT(served, 0);
        printf("%s: %d served, %d refused\n", GetParam(), served.load(), refused.load());
        EXPECT_EQ(server_.stop(SIGTERM), 0);
        EXPECT_EQ(server_.errors(), "");
    }
};

TEST_P(OverflowShards, IsAnswered503WhicheverShardWasToServeIt) {
    expect_all("503");
    expect_storm("503", false);
}

class ClosingShards : public OverflowShards {
  protected:
    ClosingShards()
        : OverflowShards([] {
              setenv("CONNECTION_COUNT", "4", 1);
              setenv("OVERFLOW", "close", 1);
          }) {}
};

// The request is not read, so that the end may be a reset.
TEST_P(ClosingShards, EndTheConnectionWithoutAWord) {
    std::vector<int> kept = fill();
    for (int i = 0; i < 40; i++) {
        string what = TryOnce(port_);
        EXPECT_TRUE(what == "closed" || what == "reset") << what;
    }
    for (int fd : kept)
        close(fd);
    expect_storm("closed", true);
}

class RebuiltShards : public Shards {
  protected:
    RebuiltShards() : Shards([] { setenv("REBUILT", "1", 1); }) {}
};

TEST_P(RebuiltShards, EachListensAndIsHandedToAgainOnTheSamePort) {
    for (int i = 0; i < 4; i++) {
        int last = dial_to(std::to_string(i % 2));
        EXPECT_EQ(ask(last, "GET /break HTTP/1.1\r\nHost: h\r\n\r\n"), "");
        close(last);
        await("the shard is rebuilt");
        for (int served[2] = {}; served[0] < 10 || served[1] < 10;) {
            int fd = TryDial(port_);
            if (fd < 0)
                continue;
            SendAll(fd, kAsk);
            string shard = ReadBody(fd); // none, of a connection that went down with the shard
            if (!shard.empty())
                served[shard == "1"]++;
            close(fd);
        }
    }
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

TEST_P(RebuiltShards, OneThatBreaksWhileTheServerDrainsEndsToo) {
    int fd = dial_to("1");
    SendAll(fd, "GET /break-late HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(EndsWith(ReadUntil(fd, "waiting\n"), "waiting\n"));
    kill(server_.pid, SIGTERM);
    (void)ReadToEnd(fd);
    close(fd);
    await("the shard is rebuilt");
    EXPECT_EQ(server_.stop(0), 0);
}

INSTANTIATE_TEST_SUITE_P(Spread, RebuiltShards,
                         ::testing::Values("turns", "kernel", "one", "least"),
                         [](const auto &spread) { return string(spread.param); });
INSTANTIATE_TEST_SUITE_P(Spread, OverflowShards,
                         ::testing::Values("turns", "kernel", "one", "least"),
                         [](const auto &spread) { return string(spread.param); });
INSTANTIATE_TEST_SUITE_P(Spread, ClosingShards,
                         ::testing::Values("turns", "kernel", "one", "least"),
                         [](const auto &spread) { return string(spread.param); });
INSTANTIATE_TEST_SUITE_P(Spread, FullShards, ::testing::Values("turns", "kernel", "one", "least"),
                         [](const auto &spread) { return string(spread.param); });
INSTANTIATE_TEST_SUITE_P(Spread, Shards, ::testing::Values("turns", "kernel", "one", "least"),
                         [](const auto &spread) { return string(spread.param); });

} // namespace
