// SPDX-License-Identifier: Apache-2.0
//
// What backends on this machine's kernel do besides what every backend does: sleep, wake, signals.

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "reactor/epoll.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

// A kernel that knows epoll_wait's milliseconds only.
std::unique_ptr<Kind> epoll_coarse() {
    tina_reactor_epoll_options options = {};
    options.wait = [](int, epoll_event *, int, uint64_t) { return -ENOSYS; };
    return epoll_kind(options);
}

class Os : public Suite {};

TEST_P(Os, AnIdleLoopSleepsUntilItsDeadline) {
    open();
    ASSERT_EQ(tina_reactor_wait(rig->reactor, 0, 1), 0); // the first finds out what there is
    uint64_t before = rig->count().waits;
    uint64_t start = monotonic_ns();
    for (uint64_t now = start; now < start + 30000000; now = monotonic_ns()) {
        ASSERT_EQ(tina_reactor_wait(rig->reactor, now, start + 30000000), 0);
    }
    // The kernel takes another test's ring down behind its back, and that interrupts a sleep.
    EXPECT_LE(rig->count().waits - before, 3u);
}

TEST_P(Os, ACanceledStagedOpDoesNotSleep) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = rig->pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 10));
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    uint64_t now = monotonic_ns();
    ASSERT_EQ(tina_reactor_wait(rig->reactor, now, UINT64_MAX), 0); // else for ever
    EXPECT_EQ(rig->result(id).result, TINA_IO_CANCELED);
    rig->far->close(peer);
}

TEST_P(Os, AWakeBeforeTheWaitIsNotLostAndCountsOnce) {
    open();
    tina_reactor_event event;
    for (int i = 0; i < 100; i++) {
        tina_reactor_wake(rig->reactor);
        tina_reactor_wake(rig->reactor);
        if (i % 2 == 0) {
            // The completion of the wake is taken here; the wait must not sleep all the same.
            ASSERT_EQ(tina_reactor_wait(rig->reactor, 5, 5), 0);
            ASSERT_EQ(tina_reactor_reap(rig->reactor, &event, 1), 0u);
        }
        uint64_t now = monotonic_ns();
        ASSERT_EQ(tina_reactor_wait(rig->reactor, now, UINT64_MAX), 0);
        ASSERT_EQ(tina_reactor_reap(rig->reactor, &event, 1), 0u);
    }
    // What is left over of those wakes ends at most one more wait early (and see above).
    uint64_t now = monotonic_ns();
    for (int i = 0; i < 4; i++) {
        ASSERT_EQ(tina_reactor_wait(rig->reactor, now, now + 20000000), 0);
        ASSERT_EQ(tina_reactor_reap(rig->reactor, &event, 1), 0u);
    }
    EXPECT_GE(monotonic_ns(), now + 20000000);
}

// Each round the waiter may only go on when the other thread's wake reached it.
TEST_P(Os, AWakeFromAnotherThreadEndsTheWait) {
    open();
    constexpr uint64_t kRounds = 2000;
    std::atomic<uint64_t> asked{0};
    std::atomic<uint64_t> answered{0};
    std::thread waker([&] {
        for (uint64_t round = 1; round <= kRounds; round++) {
            asked.store(round);
            tina_reactor_wake(rig->reactor);
            while (answered.load() < round) {
                std::this_thread::yield();
            }
        }
    });
    tina_reactor_event event;
    for (uint64_t round = 1; round <= kRounds; round++) {
        while (asked.load() < round) {
            ASSERT_EQ(tina_reactor_wait(rig->reactor, 0, UINT64_MAX), 0);
            ASSERT_EQ(tina_reactor_reap(rig->reactor, &event, 1), 0u);
        }
        answered.store(round);
    }
    waker.join();
}

TEST_P(Os, ASignalEndsAWaitAndIsNoError) {
    open();
    struct sigaction quiet = {};
    quiet.sa_handler = [](int) {};
    sigaction(SIGUSR1, &quiet, nullptr);
    pthread_t waiter = pthread_self();
    std::atomic<bool> over{false};
    std::thread signaller([&] {
        while (!over.load()) {
            pthread_kill(waiter, SIGUSR1);
            std::this_thread::yield();
        }
    });
    EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, UINT64_MAX), 0);
    over.store(true);
    signaller.join();
}

TEST_P(Os, AListenerFromElsewhereIsAdoptedAndStaysThere) {
    open();
    tina_reactor_owner owner = owner_of(1);
    for (int flag : {0, static_cast<int>(SOCK_NONBLOCK)}) {
        int elsewhere = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flag, 0);
        ASSERT_EQ(listen(elsewhere, 5), 0);
        sockaddr_in address = {};
        socklen_t bytes = sizeof address;
        ASSERT_EQ(getsockname(elsewhere, reinterpret_cast<sockaddr *>(&address), &bytes), 0);
        for (int round = 0; round < 2; round++) {
            tina_fd fd;
            ASSERT_EQ(tina_reactor_adopt(rig->reactor, &owner, elsewhere, &fd), 0);
            tina_io_id id = rig->submit(&owner, tina_op_accept(fd));
            rig->turn();
            EXPECT_FALSE(rig->has(id)); // it waits
            int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            ASSERT_EQ(connect(client, reinterpret_cast<sockaddr *>(&address), bytes), 0);
            Completion c = rig->result(id);
            EXPECT_EQ(c.result, 0);
            EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(c.fd))).result, 0);
            EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
            close(client);
        }
        close(elsewhere);
    }
    tina_fd fd;
    EXPECT_EQ(tina_reactor_adopt(rig->reactor, &owner, -1, &fd), -EBADF);
    int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(tina_reactor_adopt(rig->reactor, &owner, null, &fd), -ENOTSOCK);
    close(null);
}

// How much a peer that reads nothing is sent before a send waits.
uint64_t sent_in_vain(Rig *rig, tina_reactor_owner *owner, int32_t unsent_bytes) {
    int elsewhere = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int least = 4096;
    EXPECT_EQ(setsockopt(client, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    EXPECT_EQ(listen(elsewhere, 5), 0);
    sockaddr_in address = {};
    socklen_t bytes = sizeof address;
    EXPECT_EQ(getsockname(elsewhere, reinterpret_cast<sockaddr *>(&address), &bytes), 0);
    tina_fd door;
    EXPECT_EQ(tina_reactor_adopt(rig->reactor, owner, elsewhere, &door), 0);
    if (unsent_bytes > 0) {
        EXPECT_EQ(tina_reactor_set_option(rig->reactor, owner, door, TINA_OPTION_UNSENT_BYTES,
                                          unsent_bytes),
                  0);
    }
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr *>(&address), bytes), 0);
    tina_fd server = rig->result(rig->submit(owner, tina_op_accept(door))).fd;
    std::string piece(16384, 'x');
    uint64_t sent = 0;
    for (;;) {
        tina_io_id id = rig->submit(
            owner, tina_op_send_some(server, piece.data(), static_cast<uint32_t>(piece.size())));
        rig->turn();
        if (!rig->has(id)) {
            tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED);
            Completion c = rig->result(id);
            EXPECT_EQ(c.result, TINA_IO_CANCELED);
            break;
        }
        sent += static_cast<uint64_t>(rig->result(id).result);
    }
    close(client);
    close(elsewhere);
    return sent;
}

TEST_P(Os, WhatIsKeptForAPeerThatDoesNotReadIsBounded) {
    open();
    tina_reactor_owner owner = owner_of(1);
    constexpr int32_t kUnsent = 65536;
    uint64_t bounded = sent_in_vain(rig.get(), &owner, kUnsent);
    EXPECT_GE(bounded, 16384u);
    EXPECT_LE(bounded, kUnsent + 3 * 16384u); // a last piece, and what the peer has room for
    EXPECT_GT(sent_in_vain(rig.get(), &owner, 0), kUnsent + 3 * 16384u);
}

TEST_P(Os, SocketsWithPathsWork) {
    open();
    tina_reactor_owner owner = owner_of(1);
    std::string path = "/tmp/tina_os_test." + std::to_string(getpid());
    tina_address address;
    ASSERT_TRUE(tina_address_parse(("unix:" + path).c_str(), 0, &address));
    tina_fd door;
    tina_fd client;
    ASSERT_EQ(
        tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM, &door), 0);
    ASSERT_EQ(
        tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM, &client),
        0);
    ASSERT_EQ(tina_reactor_bind(rig->reactor, &owner, door, &address), 0);
    ASSERT_EQ(tina_reactor_listen(rig->reactor, &owner, door, 4), 0);
    tina_address bound;
    ASSERT_EQ(tina_reactor_local_address(rig->reactor, &owner, door, &bound), 0);
    EXPECT_EQ(bound.path_bytes, path.size());
    EXPECT_EQ(std::string(bound.path, bound.path_bytes), path);
    tina_io_id accept = rig->submit(&owner, tina_op_accept(door));
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(client, &address))).result, 0);
    tina_fd server = rig->result(accept).fd;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(client, "hi", 2))).result, 2);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(server, 10))).data, "hi");
    unlink(path.c_str());
}

INSTANTIATE_TEST_SUITE_P(All, Os,
                         testing::Values(Variant{"uring", &uring}, Variant{"epoll", &epoll},
                                         Variant{"epoll_coarse", &epoll_coarse}),
                         variant_name);

} // namespace
