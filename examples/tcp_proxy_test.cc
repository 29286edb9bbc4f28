// SPDX-License-Identifier: Apache-2.0
//
// Random bytes at random speeds, both ways at once, and every way to end. TINA_LONG=1 carries ten
// gigabytes each way.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "examples/example_test.h"

namespace {

// What flows in a direction: a table of prime length over and over, so that no loss, repetition or
// exchange of likely length goes unseen. Each direction of each connection begins elsewhere in it.
constexpr size_t kTableBytes = 1048573;
constexpr size_t kPieceMax = 100000;

const std::string &Table() {
    static const std::string table = [] {
        std::mt19937_64 random(6);
        std::string bytes(kTableBytes, 0);
        for (char &byte : bytes)
            byte = static_cast<char>(random());
        return bytes + bytes.substr(0, kPieceMax);
    }();
    return table;
}

uint64_t Seed() {
    const char *chosen = getenv("TINA_SEED");
    return chosen != nullptr ? strtoull(chosen, nullptr, 0) : 1;
}

// Random pieces, and now and then a rest: the other side waits for it.
class Pace {
  public:
    explicit Pace(uint64_t seed) : random_(seed) {}
    size_t piece() {
        if (random_() % 64 == 0)
            for (uint64_t i = random_() % 200; i > 0; i--)
                std::this_thread::yield();
        switch (random_() % 4) {
        case 0:
            return 1 + random_() % 100;
        case 1:
            return 1 + random_() % 5000;
        default:
            return 1 + random_() % kPieceMax;
        }
    }

  private:
    std::mt19937_64 random_;
};

void SendStream(int fd, uint64_t start, uint64_t bytes, uint64_t seed) {
    Pace pace(seed);
    for (uint64_t at = 0; at < bytes;) {
        size_t piece = std::min<uint64_t>(pace.piece(), bytes - at);
        ssize_t sent = send(fd, &Table()[(start + at) % kTableBytes], piece, MSG_NOSIGNAL);
        ASSERT_GT(sent, 0) << strerror(errno) << " at " << at;
        at += static_cast<uint64_t>(sent);
    }
    shutdown(fd, SHUT_WR);
}

// To its end, which is after exactly so many bytes.
void RecvStream(int fd, uint64_t start, uint64_t bytes, uint64_t seed) {
    Pace pace(seed);
    std::vector<char> piece(kPieceMax);
    uint64_t at = 0;
    for (;;) {
        ssize_t got = recv(fd, piece.data(), pace.piece(), 0);
        ASSERT_GE(got, 0) << strerror(errno) << " at " << at;
        if (got == 0)
            break;
        size_t count = static_cast<size_t>(got);
        ASSERT_EQ(memcmp(piece.data(), &Table()[(start + at) % kTableBytes], count), 0)
            << "at " << at;
        at += count;
    }
    EXPECT_EQ(at, bytes);
}

class TcpProxy : public Example {
  protected:
    void SetUp() override {
        upstream_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t bytes = sizeof address;
        ASSERT_EQ(bind(upstream_, reinterpret_cast<sockaddr *>(&address), bytes), 0);
        ASSERT_EQ(listen(upstream_, 64), 0);
        ASSERT_EQ(getsockname(upstream_, reinterpret_cast<sockaddr *>(&address), &bytes), 0);
        std::string to = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
        proxy_ = std::make_unique<Process>(program("tcp_proxy"), with_backend({"--to", to}));
        port_ = port_of(*proxy_);
        idle_fds_ = proxy_->fds();
    }
    void TearDown() override {
        // What its connections held is given back before it ends.
        for (int i = 0; i < 10000 && proxy_->fds() > idle_fds_; i++)
            poll(nullptr, 0, 1);
        EXPECT_EQ(proxy_->fds(), idle_fds_);
        EXPECT_EQ(proxy_->stop(SIGTERM), 0);
        if (upstream_ >= 0)
            close(upstream_);
    }
    // The two ends of a connection through the proxy.
    void connect_through(int *client, int *server) {
        *client = DialLoopback(port_);
        *server = accept4(upstream_, nullptr, nullptr, SOCK_CLOEXEC);
        ASSERT_GE(*server, 0);
    }
    std::unique_ptr<Process> proxy_;
    uint16_t port_ = 0;
    int upstream_ = -1;
    size_t idle_fds_ = 0;
};

TEST_P(TcpProxy, CarriesRandomBytesAtRandomSpeedsBothWays) {
    constexpr int kConnections = 3;
    uint64_t total = getenv("TINA_LONG") != nullptr ? UINT64_C(20000000000) : 60000000;
    uint64_t each = total / (2 * kConnections);
    SCOPED_TRACE("TINA_SEED=" + std::to_string(Seed()));
    (void)Table();
    std::vector<std::thread> threads;
    int ends[kConnections][2];
    for (auto &pair : ends)
        connect_through(&pair[0], &pair[1]);
    for (int i = 0; i < 2 * kConnections; i++) {
        int from = ends[i / 2][i % 2], to = ends[i / 2][1 - i % 2];
        uint64_t seed = Seed() * 1000 + static_cast<uint64_t>(i);
        uint64_t start = seed * 7919;
        uint64_t bytes = each + static_cast<uint64_t>(i);
        threads.emplace_back([=] { SendStream(from, start, bytes, seed); });
        threads.emplace_back([=] { RecvStream(to, start, bytes, ~seed); });
    }
    for (std::thread &thread : threads)
        thread.join();
    for (auto &pair : ends) {
        close(pair[0]);
        close(pair[1]);
    }
}

TEST_P(TcpProxy, AHalfCloseIsPassedOnAndTheOtherWayGoesOn) {
    for (int which = 0; which < 2; which++) {
        int ends[2];
        connect_through(&ends[0], &ends[1]);
        int closer = ends[which], other = ends[1 - which];
        SendAll(closer, "question");
        shutdown(closer, SHUT_WR);
        EXPECT_EQ(ReadToEnd(other), "question");
        for (int i = 0; i < 10; i++) {
            char byte;
            SendAll(other, "x");
            EXPECT_EQ(recv(closer, &byte, 1, 0), 1);
        }
        shutdown(other, SHUT_WR);
        EXPECT_EQ(ReadToEnd(closer), "");
        close(closer);
        close(other);
    }
}

// Who sends to somebody who does not read is stopped after what the sockets and the two pieces
// hold, and goes on when that one reads.
TEST_P(TcpProxy, ASlowReaderHoldsTheWriterBack) {
    for (int which = 0; which < 2; which++) {
        int ends[2];
        connect_through(&ends[0], &ends[1]);
        int writer = ends[which], reader = ends[1 - which];
        uint64_t sent = 0;
        std::string piece = Table().substr(0, kPieceMax);
        pollfd room = {writer, POLLOUT, 0};
        while (poll(&room, 1, 300) == 1) {
            ssize_t some = send(writer, &Table()[sent % kTableBytes], kPieceMax, MSG_DONTWAIT);
            ASSERT_TRUE(some > 0 || errno == EAGAIN);
            sent += some > 0 ? static_cast<uint64_t>(some) : 0;
            ASSERT_LT(sent, UINT64_C(64) << 20) << "nothing holds it back";
        }
        EXPECT_GT(sent, kPieceMax);
        shutdown(writer, SHUT_WR);
        RecvStream(reader, 0, sent, 1);
        close(writer);
        close(reader);
    }
}

TEST_P(TcpProxy, AResetIsPassedOn) {
    for (int which = 0; which < 2; which++) {
        int ends[2];
        connect_through(&ends[0], &ends[1]);
        linger hard = {1, 0};
        setsockopt(ends[which], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(ends[which]);
        char byte;
        EXPECT_EQ(recv(ends[1 - which], &byte, 1, 0), -1);
        EXPECT_EQ(errno, ECONNRESET);
        close(ends[1 - which]);
    }
}

TEST_P(TcpProxy, WhereNobodyListensTheClientIsReset) {
    close(upstream_);
    upstream_ = -1;
    int client = DialLoopback(port_);
    char byte;
    EXPECT_EQ(recv(client, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    close(client);
    EXPECT_NE(proxy_->error_line().find("cannot connect for 127.0.0.1:"), std::string::npos);
}

TEST_P(TcpProxy, ManyConnectionsComeAndGo) {
    for (int i = 0; i < 300; i++) {
        int client, server;
        connect_through(&client, &server);
        SendAll(client, "ping");
        char bytes[4];
        EXPECT_EQ(recv(server, bytes, 4, MSG_WAITALL), 4);
        close(i % 2 == 0 ? client : server);
        EXPECT_EQ(ReadToEnd(i % 2 == 0 ? server : client), "");
        close(i % 2 == 0 ? server : client);
    }
}

INSTANTIATE_TEST_SUITE_P(All, TcpProxy, every_backend(), backend_name);

TEST(TcpProxyArguments, AreRefusedWithASentence) {
    std::string proxy = ProgramPath("examples/tcp_proxy");
    ExpectRefused(proxy, {}, "where to is missing");
    ExpectRefused(proxy, {"--to", "localhost:80"}, "--to takes ADDRESS:PORT");
    ExpectRefused(proxy, {"--to", "1.2.3.4"}, "--to takes ADDRESS:PORT");
    ExpectRefused(proxy, {"--to", "1.2.3.4:x"}, "--to takes ADDRESS:PORT");
    ExpectRefused(proxy, {"--to", "[::1]:70000"}, "--to takes ADDRESS:PORT");
}

} // namespace
