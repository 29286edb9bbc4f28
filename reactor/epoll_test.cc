// SPDX-License-Identifier: Apache-2.0
//
// What only epoll has: its system calls, one by one, and what it watches.

#include "reactor/epoll.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

// A kernel of the test's choosing. Plain functions have no other way to be told.
int create_error;
int event_fd_error;

int fake_create() {
    return create_error != 0 ? -create_error : epoll_create1(EPOLL_CLOEXEC);
}

int fake_event_fd() {
    return event_fd_error != 0 ? -event_fd_error : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

class EpollOpen : public testing::Test {
  protected:
    void SetUp() override {
        create_error = event_fd_error = 0;
        options.create = fake_create;
        options.event_fd = fake_event_fd;
        config.backend = &tina_reactor_epoll;
        config.backend_options = &options;
        config.fd_count = 8;
        config.op_count = 16;
        config.address_count = 2;
        config.path_count = 2;
        config.buffer_count = 8;
        config.buffer_bytes = 256;
        fds_before_ = open_fds();
    }
    void TearDown() override {
        EXPECT_EQ(open_fds(), fds_before_);
    }
    // Opens and closes; returns the sentence, "" when it opened.
    std::string attempt(int expected) {
        void *memory = aligned_alloc(128, tina_reactor_bytes(&config));
        tina_reactor *reactor = nullptr;
        char text[256] = "";
        EXPECT_EQ(tina_reactor_open(&config, memory, &reactor, text, sizeof text), expected);
        if (reactor != nullptr) {
            EXPECT_STREQ(tina_reactor_backend_name(reactor), "epoll");
            tina_reactor_close(reactor);
        }
        free(memory);
        return text;
    }

    tina_reactor_epoll_options options = {};
    tina_reactor_config config = {};

  private:
    size_t fds_before_ = 0;
};

TEST_F(EpollOpen, SaysWhyItCannotStartAndLeavesNothing) {
    create_error = EMFILE;
    EXPECT_NE(attempt(-EMFILE).find("RLIMIT_NOFILE"), std::string::npos);
    create_error = 0;
    event_fd_error = ENFILE;
    EXPECT_NE(attempt(-ENFILE).find("fs.file-max"), std::string::npos);
    event_fd_error = 0;
    EXPECT_EQ(attempt(0), "");
}

TEST_F(EpollOpen, LeavesNothingHoweverManyFdsThereAre) {
    config.backend_options = nullptr; // this kernel's
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0);
    close(lowest);
    for (int count = 0; count <= 3; count++) {
        rlimit few = before;
        few.rlim_cur = static_cast<rlim_t>(lowest + count);
        ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
        std::string text = attempt(count < 3 ? -EMFILE : 0);
        ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        EXPECT_EQ(text.find("RLIMIT_NOFILE") != std::string::npos, count < 3) << text;
        EXPECT_EQ(dup(0), lowest);
        close(lowest);
    }
}

TEST_F(EpollOpen, OpensAtTheEdgesOfItsSizes) {
    config.fd_count = config.op_count = config.buffer_count = 1;
    config.address_count = config.path_count = 0;
    config.buffer_bytes = 64;
    EXPECT_EQ(attempt(0), "");
    config.backend_options = nullptr;
    config.op_count = 1 << 20;
    config.fd_count = 1 << 18;
    config.buffer_count = 32768;
    EXPECT_EQ(attempt(0), "");
}

TEST_F(EpollOpen, ManyReactorsOpenAndCloseWithoutALeftover) {
    for (int i = 0; i < 200; i++) {
        EXPECT_EQ(attempt(0), "");
    }
}

// Time is the test's: a wait until now never sleeps, and polls when the interval has passed.
class Epoll : public testing::Test {
  protected:
    Epoll() : kind_(epoll_kind()), rig(*kind_) {}
    ~Epoll() override {
        for (int peer : peers_) {
            rig.far->close(peer);
        }
    }
    tina_fd pair(int *peer) {
        tina_fd fd = rig.pair(&owner, peer);
        peers_.push_back(*peer);
        return fd;
    }
    // After which everything that can be has been, and the last wait has asked just before now.
    uint64_t settle() {
        uint64_t now = monotonic_ns();
        (void)calls(now, now + 1);
        return monotonic_ns();
    }
    // The system calls of a wait that does not sleep.
    uint64_t calls_at(uint64_t now_ns) {
        return calls(now_ns, now_ns);
    }
    // ... and of one that would, for ever: something is there.
    uint64_t calls_asleep() {
        return calls(monotonic_ns(), UINT64_MAX);
    }
    uint64_t calls(uint64_t now_ns, uint64_t until_ns) {
        uint64_t before = rig.count().waits;
        EXPECT_EQ(tina_reactor_wait(rig.reactor, now_ns, until_ns), 0);
        return rig.count().waits - before;
    }
    Completion only() {
        rig.reap();
        EXPECT_EQ(rig.completions.size(), 1u);
        Completion c = rig.completions.empty() ? Completion() : rig.completions[0];
        rig.completions.clear();
        return c;
    }

    // Sends, and returns when it has arrived.
    void bring(int peer, const std::string &bytes) {
        int length = static_cast<int>(bytes.size());
        ASSERT_EQ(rig.far->send(peer, bytes.data(), static_cast<uint32_t>(length)), length);
        for (int unacknowledged = 1; unacknowledged != 0;) {
            ASSERT_EQ(ioctl(peer, SIOCOUTQ, &unacknowledged), 0);
        }
    }

  private:
    std::unique_ptr<Kind> kind_;

  protected:
    Rig rig;
    tina_reactor_owner owner = owner_of(1);

  private:
    std::vector<int> peers_;
};

TEST_F(Epoll, ABusyLoopAsksOnceAnInterval) {
    int peer;
    tina_fd fd = pair(&peer);
    uint64_t now = settle();
    tina_io_id id = rig.submit(&owner, tina_op_recv(fd, 10));
    EXPECT_EQ(calls_at(now), 2u); // recv, epoll_ctl; the last wait has only just asked
    bring(peer, "x");
    now += TINA_EPOLL_POLL_INTERVAL_NS;
    EXPECT_EQ(calls_at(now), 2u); // epoll_wait, recv
    Completion got = only();
    EXPECT_EQ(got.id.bits, id.bits);
    EXPECT_EQ(got.data, "x");
    for (uint64_t ns = 0; ns < TINA_EPOLL_POLL_INTERVAL_NS; ns += 1000) {
        ASSERT_EQ(calls_at(now + ns), 0u);
    }
    EXPECT_EQ(calls_at(now + TINA_EPOLL_POLL_INTERVAL_NS), 1u);
    EXPECT_EQ(calls_at(now + TINA_EPOLL_POLL_INTERVAL_NS + 1), 0u);
}

TEST_F(Epoll, ARoundTripOfAConnectionIsThreeCalls) {
    int peer;
    tina_fd fd = pair(&peer);
    for (int round = 0; round < 10; round++) {
        rig.submit(&owner, tina_op_recv(fd, 100));
        if (round == 0) {
            settle(); // a try in vain, and the fd is watched from here on
        }
        bring(peer, "ping");
        ASSERT_EQ(calls_asleep(), 2u); // epoll_wait, recv
        ASSERT_EQ(only().data, "ping");
        rig.submit(&owner, tina_op_send(fd, "pong", 4));
        uint64_t now = monotonic_ns();
        ASSERT_EQ(calls(now, UINT64_MAX), 1u); // send; its result is there, so nothing is awaited
        ASSERT_EQ(only().result, 4);
        ASSERT_EQ(rig.far_recv(peer, 4), "pong");
    }
}

TEST_F(Epoll, AMultishotReceiveTakesAllThatIsThereInOneGo) {
    int peer;
    tina_fd fd = pair(&peer);
    tina_io_id id = rig.submit(&owner, tina_op_recv_multishot(fd));
    settle();
    std::string bytes = pattern(1024 * 2 + 10);
    bring(peer, bytes);
    EXPECT_EQ(calls_asleep(), 4u); // epoll_wait, and a recv a buffer; the last was short
    rig.reap();
    EXPECT_EQ(rig.completions.size(), 3u);
    EXPECT_TRUE(tina_reactor_cancel(rig.reactor, id, TINA_IO_CANCELED));
}

// Level-triggered: it would be reported again and again.
TEST_F(Epoll, WhatNobodyWantsEndsOneSleepAndIsThereLater) {
    int peer;
    tina_fd fd = pair(&peer);
    tina_io_id id = rig.submit(&owner, tina_op_recv(fd, 10));
    uint64_t now = settle();
    EXPECT_TRUE(tina_reactor_cancel(rig.reactor, id, TINA_IO_CANCELED));
    rig.turn();
    rig.completions.clear();
    for (const char *word : {"once", "twice"}) {
        rig.far_send(peer, word);
        (void)calls_asleep();
        now = monotonic_ns();
        EXPECT_LE(calls(now, now + 20000000), 1u);
        EXPECT_GE(monotonic_ns(), now + 20000000);
        id = rig.submit(&owner, tina_op_recv(fd, 10));
        EXPECT_EQ(rig.result(id).data, word);
        id = rig.submit(&owner, tina_op_recv(fd, 10));
        now = settle();
        EXPECT_TRUE(tina_reactor_cancel(rig.reactor, id, TINA_IO_CANCELED));
        rig.turn();
        rig.completions.clear();
    }
}

TEST_F(Epoll, AResetThatNobodyAwaitsEndsOneSleep) {
    int peer;
    tina_fd fd = rig.pair(&owner, &peer);
    tina_io_id id = rig.submit(&owner, tina_op_recv(fd, 10));
    uint64_t now = settle();
    EXPECT_TRUE(tina_reactor_cancel(rig.reactor, id, TINA_IO_CANCELED));
    rig.turn();
    rig.completions.clear();
    rig.far->reset(peer);
    (void)calls_asleep();
    now = monotonic_ns();
    EXPECT_EQ(calls(now, now + 20000000), 1u);
    EXPECT_GE(monotonic_ns(), now + 20000000);
    EXPECT_EQ(rig.result(rig.submit(&owner, tina_op_recv(fd, 10))).result, -ECONNRESET);
}

// A busy loop leaves what it saw for the next receive, which then finds it without being told.
TEST_F(Epoll, WhatABusyLoopSawIsReceivedAtOnce) {
    int peer;
    tina_fd fd = pair(&peer);
    tina_io_id id = rig.submit(&owner, tina_op_recv(fd, 10));
    uint64_t now = settle();
    EXPECT_TRUE(tina_reactor_cancel(rig.reactor, id, TINA_IO_CANCELED));
    (void)calls_at(now);
    rig.reap();
    rig.completions.clear();
    bring(peer, "early");
    now += TINA_EPOLL_POLL_INTERVAL_NS;
    EXPECT_EQ(calls_at(now), 1u); // epoll_wait: reported, and left
    rig.submit(&owner, tina_op_recv(fd, 10));
    EXPECT_EQ(calls_at(now), 1u); // recv
    EXPECT_EQ(only().data, "early");
}

TEST_F(Epoll, ASendThatFillsTheSocketIsWatchedUntilItIsOut) {
    int peer;
    tina_fd fd = pair(&peer);
    std::string bytes = pattern(1 << 20);
    tina_io_id id =
        rig.submit(&owner, tina_op_send(fd, bytes.data(), static_cast<uint32_t>(bytes.size())));
    EXPECT_TRUE(rig.far_recv(peer, bytes.size()) == bytes);
    EXPECT_EQ(rig.result(id).result, static_cast<int32_t>(bytes.size()));
    uint64_t now = monotonic_ns();
    EXPECT_LE(calls(now, now + 20000000), 2u); // it may be told once more, and stops watching
    now = monotonic_ns();
    EXPECT_EQ(calls(now, now + 20000000), 1u);
    EXPECT_GE(monotonic_ns(), now + 20000000);
}

TEST_F(Epoll, AConnectToAFullUnixBacklogIsAResult) {
    std::string path = "/tmp/tina_epoll_test." + std::to_string(getpid());
    tina_address address;
    ASSERT_TRUE(tina_address_parse(("unix:" + path).c_str(), 0, &address));
    tina_fd door;
    ASSERT_EQ(
        tina_reactor_socket(rig.reactor, &owner, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM, &door), 0);
    ASSERT_EQ(tina_reactor_bind(rig.reactor, &owner, door, &address), 0);
    ASSERT_EQ(tina_reactor_listen(rig.reactor, &owner, door, 1), 0);
    int32_t result = 0;
    for (int i = 0; i < 10 && result == 0; i++) {
        tina_fd client;
        ASSERT_EQ(tina_reactor_socket(rig.reactor, &owner, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM,
                                      &client),
                  0);
        result = rig.result(rig.submit(&owner, tina_op_connect(client, &address))).result;
    }
    EXPECT_EQ(result, -EAGAIN);
    unlink(path.c_str());
}

// The file thread knows nothing of sockets' ops, though it is where what lacks a buffer may end.
TEST(EpollFiles, AReceiveOfAFileWithoutABufferIsRefusedWhenThereIsOne) {
    auto kind = epoll_kind();
    Sizes sizes;
    sizes.buffers = 1;
    Rig rig(*kind, sizes);
    rig.keep_buffers = true;
    tina_reactor_owner owner = owner_of(1);
    std::string path = kind->directory() + "/x";
    uint32_t how = TINA_OPEN_READ | TINA_OPEN_WRITE | TINA_OPEN_CREATE;
    tina_fd file = rig.result(rig.submit(&owner, tina_op_open(path.c_str(), how, 0600))).fd;
    EXPECT_EQ(rig.result(rig.submit(&owner, tina_op_write(file, 0, "12", 2))).result, 2);
    Completion holder = rig.result(rig.submit(&owner, tina_op_read(file, 0, 1)));
    EXPECT_EQ(holder.data, "1");
    tina_io_id id = rig.submit(&owner, tina_op_recv(file, 1));
    rig.turn();
    EXPECT_FALSE(rig.has(id));
    rig.give(holder);
    EXPECT_EQ(rig.result(id).result, -ENOTSOCK);
}

// epoll watches the file as long as anybody has it open.
TEST_F(Epoll, AClosedFdWhoseFileAnotherProcessHoldsHarmsNobody) {
    int peer;
    tina_fd fd = pair(&peer);
    tina_io_id id = rig.submit(&owner, tina_op_recv(fd, 10));
    settle();
    int hold[2];
    ASSERT_EQ(pipe(hold), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(hold[0]);
    rig.submit(&owner, tina_op_close(fd));
    EXPECT_EQ(rig.result(id).result, TINA_IO_CANCELED);
    int sent = rig.far->send(peer, "to nobody", 9);
    EXPECT_EQ(sent, 9);
    for (int i = 0; i < 3; i++) {
        rig.turn();
    }
    int other;
    tina_fd again = pair(&other); // has the number of the one that was closed
    id = rig.submit(&owner, tina_op_recv(again, 10));
    for (int i = 0; i < 3; i++) {
        rig.turn();
    }
    EXPECT_FALSE(rig.has(id));
    rig.far_send(other, "to me");
    EXPECT_EQ(rig.result(id).data, "to me");
    close(hold[1]);
    int status;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

} // namespace
