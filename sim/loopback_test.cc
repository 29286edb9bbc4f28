// SPDX-License-Identifier: Apache-2.0
//
// The virtual network against this machine's loopback: the same scripts, on non-blocking sockets,
// must leave the same transcript of results and errnos. Sizes of buffers are not compared.

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "reactor/io.h"
#include "sim/net.h"
#include "sim/world.h"

namespace {

constexpr int kPatienceMs = 10000;

// Sockets as a script sees them: results, or -errno.
class Side {
  public:
    virtual ~Side() = default;
    virtual int socket(tina_socket_kind kind, bool client) = 0;
    virtual int bind(int s, uint16_t port) = 0;
    virtual uint16_t port(int s) = 0;
    virtual int listen(int s, int backlog) = 0;
    virtual int connect(int s, uint16_t port) = 0;
    virtual int accept(int s) = 0;
    virtual int send(int s, const void *data, size_t bytes) = 0;
    virtual int recv(int s, void *data, size_t bytes) = 0;
    virtual int sendto(int s, const void *data, size_t bytes, uint16_t port) = 0;
    virtual int recvfrom(int s, void *data, size_t bytes, bool *cut) = 0;
    virtual int shutdown(int s, tina_shutdown_side side) = 0;
    virtual void reuse_port(int s) = 0;
    virtual void reuse_address(int s) = 0;
    virtual void close(int s) = 0;
    virtual void reset(int s) = 0;
    virtual uint32_t poll(int s) = 0; // TINA_POLL_...
    // Lets time pass until poll would tell one of these; false: it did not in ten seconds.
    virtual bool await(int s, uint32_t what) = 0;
};

int or_errno(ssize_t result) {
    return result < 0 ? -errno : static_cast<int>(result);
}

class RealSide : public Side {
  public:
    ~RealSide() override {
        for (int s : all_)
            ::close(s);
    }
    int socket(tina_socket_kind kind, bool) override {
        return added(::socket(AF_INET,
                              (kind == TINA_SOCKET_STREAM ? SOCK_STREAM : SOCK_DGRAM) |
                                  SOCK_NONBLOCK | SOCK_CLOEXEC,
                              0));
    }
    int bind(int s, uint16_t port) override {
        sockaddr_in at = address(port);
        return or_errno(::bind(s, reinterpret_cast<sockaddr *>(&at), sizeof at));
    }
    uint16_t port(int s) override {
        sockaddr_in at = {};
        socklen_t bytes = sizeof at;
        EXPECT_EQ(getsockname(s, reinterpret_cast<sockaddr *>(&at), &bytes), 0);
        return ntohs(at.sin_port);
    }
    int listen(int s, int backlog) override {
        return or_errno(::listen(s, backlog));
    }
    int connect(int s, uint16_t port) override {
        sockaddr_in at = address(port);
        return or_errno(::connect(s, reinterpret_cast<sockaddr *>(&at), sizeof at));
    }
    int accept(int s) override {
        int result = or_errno(::accept4(s, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        return result < 0 ? result : added(result);
    }
    int send(int s, const void *data, size_t bytes) override {
        return or_errno(::send(s, data, bytes, MSG_NOSIGNAL));
    }
    int recv(int s, void *data, size_t bytes) override {
        return or_errno(::recv(s, data, bytes, 0));
    }
    int sendto(int s, const void *data, size_t bytes, uint16_t port) override {
        sockaddr_in at = address(port);
        return or_errno(
            ::sendto(s, data, bytes, MSG_NOSIGNAL, reinterpret_cast<sockaddr *>(&at), sizeof at));
    }
    int recvfrom(int s, void *data, size_t bytes, bool *cut) override {
        iovec to = {data, bytes};
        msghdr header = {};
        header.msg_iov = &to;
        header.msg_iovlen = 1;
        int result = or_errno(::recvmsg(s, &header, 0));
        *cut = result >= 0 && (header.msg_flags & MSG_TRUNC) != 0;
        return result;
    }
    int shutdown(int s, tina_shutdown_side side) override {
        const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
        return or_errno(::shutdown(s, how[side]));
    }
    void reuse_port(int s) override {
        int one = 1;
        EXPECT_EQ(setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
    }
    void reuse_address(int s) override {
        int one = 1;
        EXPECT_EQ(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    }
    void close(int s) override {
        for (size_t i = 0; i < all_.size(); i++)
            if (all_[i] == s)
                all_.erase(all_.begin() + static_cast<long>(i));
        ::close(s);
    }
    void reset(int s) override {
        linger hard = {1, 0};
        EXPECT_EQ(setsockopt(s, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
        close(s);
    }
    uint32_t poll(int s) override {
        return polled(s, POLLIN | POLLOUT, 0);
    }
    bool await(int s, uint32_t what) override {
        return (polled(s, static_cast<short>(what & 7), kPatienceMs) & what) != 0;
    }

  private:
    static sockaddr_in address(uint16_t port) {
        sockaddr_in at = {};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return at;
    }
    int added(int s) {
        EXPECT_GE(s, 0);
        all_.push_back(s);
        return s;
    }
    static uint32_t polled(int s, short what, int ms) {
        pollfd at = {s, what, 0};
        EXPECT_GE(::poll(&at, 1, ms), 0);
        return static_cast<uint32_t>(at.revents);
    }
    std::vector<int> all_;
};

// The server is the machine, the client a host elsewhere.
class SimSide : public Side {
  public:
    explicit SimSide(uint64_t seed) {
        tina_sim_settings calm;
        tina_sim_settings_calm(&calm);
        sim_world_begin(&world_, seed, &calm);
        net_ = sim_net_open(&world_);
        tina_address at = tina_address_ipv4(10, 0, 0, 2, 0);
        client_ = sim_net_host(net_, &at);
    }
    ~SimSide() override {
        sim_net_close(net_);
        sim_world_end(&world_);
    }
    SimSide(const SimSide &) = delete;
    SimSide &operator=(const SimSide &) = delete;
    int socket(tina_socket_kind kind, bool client) override {
        return sim_net_socket(net_, client ? client_ : SIM_NET_MACHINE, TINA_ADDRESS_IPV4, kind);
    }
    int bind(int s, uint16_t port) override {
        tina_address any = tina_address_ipv4(0, 0, 0, 0, port);
        return sim_net_bind(net_, s, &any);
    }
    uint16_t port(int s) override {
        tina_address at;
        EXPECT_EQ(sim_net_local_address(net_, s, &at), 0);
        return at.port;
    }
    int listen(int s, int backlog) override {
        return sim_net_listen(net_, s, static_cast<uint32_t>(backlog));
    }
    int connect(int s, uint16_t port) override {
        tina_address at = sim_net_address(net_, SIM_NET_MACHINE, port);
        return sim_net_connect(net_, s, &at);
    }
    int accept(int s) override {
        return sim_net_accept(net_, s);
    }
    int send(int s, const void *data, size_t bytes) override {
        return sim_net_send(net_, s, data, static_cast<uint32_t>(bytes));
    }
    int recv(int s, void *data, size_t bytes) override {
        return sim_net_recv(net_, s, data, static_cast<uint32_t>(bytes));
    }
    int sendto(int s, const void *data, size_t bytes, uint16_t port) override {
        tina_address at = sim_net_address(net_, SIM_NET_MACHINE, port);
        return sim_net_sendto(net_, s, data, static_cast<uint32_t>(bytes), &at);
    }
    int recvfrom(int s, void *data, size_t bytes, bool *cut) override {
        tina_address from;
        return sim_net_recvfrom(net_, s, data, static_cast<uint32_t>(bytes), &from, cut);
    }
    int shutdown(int s, tina_shutdown_side side) override {
        return sim_net_shutdown(net_, s, side);
    }
    void reuse_port(int s) override {
        EXPECT_EQ(sim_net_set_option(net_, s, TINA_OPTION_REUSE_PORT, 1), 0);
    }
    void reuse_address(int s) override {
        EXPECT_EQ(sim_net_set_option(net_, s, TINA_OPTION_REUSE_ADDRESS, 1), 0);
    }
    void close(int s) override {
        sim_net_shut(net_, s);
    }
    void reset(int s) override {
        sim_net_reset(net_, s);
    }
    uint32_t poll(int s) override {
        return sim_net_poll(net_, s, TINA_POLL_READ | TINA_POLL_WRITE);
    }
    bool await(int s, uint32_t what) override {
        uint64_t until_ns = world_.now_ns + UINT64_C(1000000) * kPatienceMs;
        while ((sim_net_poll(net_, s, what & 7) & what) == 0) {
            uint64_t next_ns = sim_agenda_next_ns(&world_.agenda);
            if (next_ns > until_ns)
                return false;
            world_.now_ns = next_ns > world_.now_ns ? next_ns : world_.now_ns;
            (void)sim_agenda_run(&world_.agenda, world_.now_ns);
        }
        return true;
    }

  private:
    sim_world world_ = {};
    sim_net *net_ = nullptr;
    uint32_t client_ = 0;
};

// Writes the transcript.
class Script {
  public:
    explicit Script(std::unique_ptr<Side> of) : side(std::move(of)) {}
    void say(const std::string &what, int result) {
        text += what + " " + (result < 0 ? strerror(-result) : std::to_string(result)) + "\n";
    }
    void send(int s, const std::string &data) {
        say("send", side->send(s, data.data(), data.size()));
    }
    // At once.
    void recv(int s) {
        char data[100];
        int result = side->recv(s, data, sizeof data);
        say("recv", result);
        text += result > 0 ? std::string(data, static_cast<size_t>(result)) + "\n" : "";
    }
    void recv_soon(int s) {
        EXPECT_TRUE(side->await(s, TINA_POLL_READ | TINA_POLL_HANG_UP | TINA_POLL_ERROR));
        recv(s);
    }
    void poll(int s) {
        text += "poll " + std::to_string(side->poll(s)) + "\n";
    }
    void await(int s, uint32_t what) {
        text += "await " + std::to_string(what) + (side->await(s, what) ? "\n" : " in vain\n");
    }
    void shutdown(int s, tina_shutdown_side how) {
        say("shutdown", side->shutdown(s, how));
    }
    int listener(int backlog = 16) {
        int s = side->socket(TINA_SOCKET_STREAM, false);
        say("bind", side->bind(s, 0));
        say("listen", side->listen(s, backlog));
        port = side->port(s);
        return s;
    }
    // The loopback may be done within the call.
    void connect(int s) {
        int result = side->connect(s, port);
        if (result == -EINPROGRESS) {
            EXPECT_TRUE(side->await(s, TINA_POLL_WRITE | TINA_POLL_ERROR | TINA_POLL_HANG_UP));
            result = side->connect(s, port);
        }
        say("connect", result);
    }
    int connected() {
        int s = side->socket(TINA_SOCKET_STREAM, true);
        connect(s);
        return s;
    }
    int accepted(int door) {
        EXPECT_TRUE(side->await(door, TINA_POLL_READ));
        int s = side->accept(door);
        text += s >= 0 ? "accepted\n" : std::string("accept ") + strerror(-s) + "\n";
        return s;
    }
    void pair() {
        int door = listener();
        a = connected();
        b = accepted(door);
        side->close(door);
    }
    // Takes what was sent.
    void drain(int s, size_t bytes) {
        std::string some(1 << 16, 0);
        while (bytes > 0 && side->await(s, TINA_POLL_READ)) {
            int result = side->recv(s, &some[0], some.size());
            if (result <= 0) {
                say("drain", result);
                break;
            }
            bytes -= static_cast<size_t>(result);
        }
        say("left", static_cast<int>(bytes));
    }

    std::unique_ptr<Side> side;
    std::string text;
    uint16_t port = 0;
    int a = -1;
    int b = -1;
};

// Both must say the same; what they say is in the failure.
template <class Run> void compare(const Run &run) {
    Script real(std::make_unique<RealSide>());
    run(real);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        Script sim(std::make_unique<SimSide>(seed));
        run(sim);
        EXPECT_EQ(real.text, sim.text);
    }
    EXPECT_GT(real.text.size(), 10u);
}

const uint32_t kEnd = TINA_POLL_ERROR | TINA_POLL_HANG_UP;

TEST(Loopback, HalfClose) {
    compare([](Script &s) {
        s.pair();
        s.poll(s.a);
        s.recv(s.a);
        s.send(s.a, "abc");
        s.shutdown(s.a, TINA_SHUTDOWN_WRITE);
        s.recv_soon(s.b);
        s.recv_soon(s.b);
        s.recv(s.b);
        s.poll(s.b);
        s.send(s.b, "answer");
        s.recv_soon(s.a);
        s.recv(s.a);
        s.send(s.a, "x");
        s.shutdown(s.a, TINA_SHUTDOWN_WRITE);
        s.side->close(s.b);
        s.recv_soon(s.a);
        s.await(s.a, TINA_POLL_HANG_UP);
        s.poll(s.a);
        s.shutdown(s.a, TINA_SHUTDOWN_WRITE);
        s.recv(s.a);
        s.send(s.a, "x");
    });
}

TEST(Loopback, BothEndsShutDown) {
    compare([](Script &s) {
        s.pair();
        s.shutdown(s.a, TINA_SHUTDOWN_WRITE);
        s.recv_soon(s.b);
        s.shutdown(s.b, TINA_SHUTDOWN_WRITE);
        s.recv_soon(s.a);
        s.await(s.a, TINA_POLL_HANG_UP);
        s.await(s.b, TINA_POLL_HANG_UP);
        s.poll(s.a);
        s.poll(s.b);
        s.send(s.a, "x");
        s.send(s.b, "x");
        s.recv(s.a);
        s.recv(s.b);
    });
}

TEST(Loopback, ResetByUnreadBytes) {
    compare([](Script &s) {
        s.pair();
        s.send(s.a, "unread");
        s.await(s.b, TINA_POLL_READ);
        s.side->close(s.b);
        s.await(s.a, kEnd);
        s.poll(s.a);
        s.recv(s.a);
        s.poll(s.a);
        s.recv(s.a);
        s.send(s.a, "x");
        s.shutdown(s.a, TINA_SHUTDOWN_WRITE);
    });
}

TEST(Loopback, WhatArrivedIsReadBeforeAReset) {
    compare([](Script &s) {
        s.pair();
        s.send(s.a, "unread");
        s.await(s.b, TINA_POLL_READ);
        s.send(s.b, "before");
        s.await(s.a, TINA_POLL_READ);
        s.side->close(s.b);
        s.await(s.a, kEnd);
        s.poll(s.a);
        s.recv(s.a);
        s.recv(s.a);
        s.recv(s.a);
        s.send(s.a, "x");
    });
}

TEST(Loopback, ASendIsToldOfAResetOnce) {
    compare([](Script &s) {
        s.pair();
        s.side->reset(s.b);
        s.await(s.a, kEnd);
        s.send(s.a, "x");
        s.send(s.a, "x");
        s.recv(s.a);
        s.poll(s.a);
    });
}

TEST(Loopback, AResetAfterTheEndIsABrokenPipe) {
    compare([](Script &s) {
        s.pair();
        s.shutdown(s.b, TINA_SHUTDOWN_WRITE);
        s.recv_soon(s.a);
        s.side->reset(s.b);
        s.await(s.a, kEnd);
        s.recv(s.a);
        s.poll(s.a);
        s.send(s.a, "x");
        s.send(s.a, "x");
        s.recv(s.a);
    });
}

TEST(Loopback, DataAfterACloseIsAnsweredWithAReset) {
    compare([](Script &s) {
        s.pair();
        s.side->close(s.b);
        s.recv_soon(s.a);
        s.poll(s.a);
        s.send(s.a, "x");
        s.await(s.a, kEnd);
        s.poll(s.a);
        s.recv(s.a);
        s.send(s.a, "x");
        s.recv(s.a);
    });
}

TEST(Loopback, ShutdownForReading) {
    compare([](Script &s) {
        s.pair();
        s.shutdown(s.a, TINA_SHUTDOWN_READ);
        s.poll(s.a);
        s.recv(s.a);
        s.send(s.b, "late");
        s.send(s.a, "still");
        s.recv_soon(s.b);
        s.shutdown(s.a, TINA_SHUTDOWN_WRITE);
        s.recv_soon(s.b);
        s.shutdown(s.b, TINA_SHUTDOWN_WRITE);
        s.await(s.b, TINA_POLL_HANG_UP);
        s.recv(s.a);
        s.recv(s.a);
    });
}

TEST(Loopback, ZeroWindowAndShortWrites) {
    compare([](Script &s) {
        s.pair();
        size_t sent = 0;
        std::string bytes(1 << 20, 'x');
        bool part = false;
        for (bool more = true; more;) { // the kernel goes on for as long as its buffers grow
            int result = s.side->send(s.a, bytes.data(), bytes.size());
            part = part || (result > 0 && result < 1 << 20);
            sent += result > 0 ? static_cast<size_t>(result) : 0;
            more = result > 0;
        }
        s.say("short", part);
        s.send(s.a, "x");
        s.await(s.b, TINA_POLL_READ);
        s.drain(s.b, sent);
        s.await(s.a, TINA_POLL_WRITE);
        s.send(s.a, "more");
        s.recv_soon(s.b);
    });
}

TEST(Loopback, AFullBacklogLetsInOneMoreThanItWasToldAndTheNextLater) {
    compare([](Script &s) {
        int door = s.listener(1);
        s.connected();
        s.connected();
        EXPECT_TRUE(s.side->await(door, TINA_POLL_READ));
        int third = s.side->socket(TINA_SOCKET_STREAM, true);
        s.say("third", s.side->connect(third, s.port));
        s.poll(third);
        s.say("third", s.side->connect(third, s.port));
        s.accepted(door);
        s.await(third, TINA_POLL_WRITE); // its SYN is sent again after a second
        s.say("third", s.side->connect(third, s.port));
        s.say("third", s.side->connect(third, s.port));
        s.accepted(door);
        s.accepted(door);
        s.say("none", s.side->accept(door));
    });
}

TEST(Loopback, NobodyListens) {
    compare([](Script &s) {
        int door = s.listener();
        s.side->close(door);
        int a = s.connected();
        s.poll(a);
        s.recv(a);
        s.send(a, "x");
        s.connect(a); // another try
    });
}

TEST(Loopback, AListenerThatClosesResetsWhoeverWaits) {
    compare([](Script &s) {
        int door = s.listener();
        int a = s.connected();
        s.send(a, "hello");
        EXPECT_TRUE(s.side->await(door, TINA_POLL_READ));
        s.side->close(door);
        s.await(a, kEnd);
        s.recv(a);
        s.recv(a);
        s.send(a, "x");
    });
}

TEST(Loopback, ClientsThatAreGoneAreAcceptedAllTheSame) {
    compare([](Script &s) {
        int door = s.listener();
        int a = s.connected();
        s.send(a, "hi");
        s.side->close(a);
        int b = s.accepted(door);
        s.recv_soon(b);
        s.recv_soon(b);
        s.send(b, "x");
        int c = s.connected();
        EXPECT_TRUE(s.side->await(door, TINA_POLL_READ));
        s.side->reset(c);
        int d = s.side->accept(door);
        s.text += d >= 0 ? "accepted\n" : "not accepted\n";
        EXPECT_TRUE(s.side->await(d, kEnd));
        s.recv(d);
        s.recv(d);
    });
}

TEST(Loopback, WhatASocketInTheWrongStateAnswers) {
    compare([](Script &s) {
        int fresh = s.side->socket(TINA_SOCKET_STREAM, false);
        s.poll(fresh);
        s.recv(fresh);
        s.send(fresh, "x");
        s.shutdown(fresh, TINA_SHUTDOWN_WRITE);
        s.say("accept", s.side->accept(fresh));
        int door = s.listener();
        s.poll(door);
        s.recv(door);
        s.send(door, "x");
        s.say("accept", s.side->accept(door));
        s.say("bind", s.side->bind(door, 0));
        s.say("listen", s.side->listen(door, 5));
        s.say("connect", s.side->connect(door, s.port));
        int a = s.connected();
        s.say("connect", s.side->connect(a, s.port));
        s.say("listen", s.side->listen(a, 1));
        s.say("accept", s.side->accept(a));
        s.say("bind", s.side->bind(a, 0));
    });
}

TEST(Loopback, PortsInUse) {
    compare([](Script &s) {
        int door = s.listener();
        int other = s.side->socket(TINA_SOCKET_STREAM, false);
        s.say("bind", s.side->bind(other, s.port));
        s.side->reuse_address(other);
        s.say("bind", s.side->bind(other, s.port));
        s.side->close(door);
        s.say("bind", s.side->bind(other, s.port));
        int first = s.side->socket(TINA_SOCKET_STREAM, false);
        int second = s.side->socket(TINA_SOCKET_STREAM, false);
        s.side->reuse_port(first);
        s.say("bind", s.side->bind(first, 0));
        uint16_t port = s.side->port(first);
        s.say("bind", s.side->bind(second, port));
        s.side->reuse_port(second);
        s.say("bind", s.side->bind(second, port));
        s.say("listen", s.side->listen(first, 1));
        s.say("listen", s.side->listen(second, 1));
    });
}

TEST(Loopback, Datagrams) {
    compare([](Script &s) {
        int to = s.side->socket(TINA_SOCKET_DATAGRAM, false);
        s.poll(to);
        s.say("bind", s.side->bind(to, 0));
        s.port = s.side->port(to);
        int from = s.side->socket(TINA_SOCKET_DATAGRAM, true);
        s.send(from, "nowhere");
        s.say("sendto", s.side->sendto(from, "hello", 5, s.port));
        s.say("sendto", s.side->sendto(from, "", 0, s.port));
        std::string large(65508, 'x');
        s.say("sendto", s.side->sendto(from, large.data(), large.size(), s.port));
        s.say("listen", s.side->listen(to, 1));
        for (int i = 0; i < 2; i++) {
            char data[3];
            bool cut;
            s.await(to, TINA_POLL_READ);
            s.say("recvfrom", s.side->recvfrom(to, data, sizeof data, &cut));
            s.say("cut", cut);
        }
        s.recv(to);
        s.shutdown(to, TINA_SHUTDOWN_WRITE);
        s.say("connect", s.side->connect(from, s.port));
        s.send(from, "ping");
        s.recv_soon(to);
        s.side->close(to);
        s.send(from, "anybody");
        s.await(from, TINA_POLL_ERROR);
        s.poll(from);
        s.recv(from);
        s.recv(from);
    });
}

} // namespace
