// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Whose an fd is, what its name may do, and what is left of an owner
// that dies.

#include <errno.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

class Owner : public Suite {};

TEST_P(Owner, AClosedFdIsStaleForEverThoughItsRowIsReused) {
    open();
    tina_reactor_owner owner = owner_of(1);
    std::vector<tina_fd> old;
    for (int i = 0; i < 50; i++) {
        tina_fd fd;
        ASSERT_EQ(
            tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
            0);
        for (tina_fd stale : old) {
            ASSERT_NE(stale.bits, fd.bits);
            ASSERT_EQ(rig->refused(&owner, tina_op_recv(stale, 1)), TINA_IO_BAD_FD);
            ASSERT_EQ(rig->refused(&owner, tina_op_close(stale)), TINA_IO_BAD_FD);
        }
        old.push_back(fd);
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    }
    EXPECT_EQ(rig->refused(&owner, tina_op_close(tina_fd_none())), TINA_IO_BAD_FD);
    tina_fd other_shard = {old.back().bits ^ UINT64_C(1) << 56};
    EXPECT_EQ(rig->refused(&owner, tina_op_close(other_shard)), TINA_IO_BAD_FD);
    tina_fd beyond = {old.back().bits | UINT64_C(0x3FFFFF) << 32};
    EXPECT_EQ(rig->refused(&owner, tina_op_close(beyond)), TINA_IO_BAD_FD);
}

TEST_P(Owner, AnotherOwnersFdIsBad) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_reactor_owner thief = owner_of(2);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
    tina_reactor *r = rig->reactor;
    EXPECT_EQ(rig->refused(&thief, tina_op_recv(fd, 1)), TINA_IO_BAD_FD);
    EXPECT_EQ(rig->refused(&thief, tina_op_send(fd, "x", 1)), TINA_IO_BAD_FD);
    EXPECT_EQ(rig->refused(&thief, tina_op_accept(fd)), TINA_IO_BAD_FD);
    EXPECT_EQ(rig->refused(&thief, tina_op_connect(fd, &address)), TINA_IO_BAD_FD);
    EXPECT_EQ(rig->refused(&thief, tina_op_close(fd)), TINA_IO_BAD_FD);
    EXPECT_EQ(tina_reactor_bind(r, &thief, fd, &address), TINA_IO_BAD_FD);
    EXPECT_EQ(tina_reactor_listen(r, &thief, fd, 1), TINA_IO_BAD_FD);
    EXPECT_EQ(tina_reactor_set_option(r, &thief, fd, TINA_OPTION_NO_DELAY, 1), TINA_IO_BAD_FD);
    EXPECT_EQ(tina_reactor_shutdown(r, &thief, fd, TINA_SHUTDOWN_BOTH), TINA_IO_BAD_FD);
    EXPECT_EQ(tina_reactor_local_address(r, &thief, fd, &address), TINA_IO_BAD_FD);
    EXPECT_EQ(tina_reactor_peer_address(r, &thief, fd, &address), TINA_IO_BAD_FD);
    EXPECT_EQ(tina_reactor_move_fd(r, &thief, fd, &thief), TINA_IO_BAD_FD);
    EXPECT_EQ(rig->count().refused, 5u);
}

TEST_P(Owner, AnFdWithoutARightIsRefused) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_fd read_only = {fd.bits & ~(UINT64_C(1) << 55)};
    tina_fd write_only = {fd.bits & ~(UINT64_C(1) << 54)};
    EXPECT_EQ(rig->refused(&owner, tina_op_send(read_only, "x", 1)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(write_only, 1)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(rig->refused(&owner, tina_op_accept(write_only)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(tina_reactor_shutdown(rig->reactor, &owner, read_only, TINA_SHUTDOWN_WRITE),
              TINA_IO_NO_RIGHT);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(write_only, "x", 1))).result, 1);
    EXPECT_EQ(rig->far_recv(peer, 1), "x");
}

TEST_P(Owner, ReleaseEndsEveryKindOfOpAndTellsOnce) {
    open();
    tina_reactor_owner owner = owner_of(42);
    std::string bytes = pattern(large);
    tina_address address;
    tina_address away = tina_address_ipv4(127, 0, 0, 1, 0);
    int far_door = rig->far->listen(&away);
    peers.push_back(far_door);
    int peer[3];
    tina_fd fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = pair(&owner, &peer[i]);
    }
    tina_fd door = rig->listener(&owner, &address);
    (void)rig->submit(&owner, tina_op_accept(door));
    (void)rig->submit(&owner, tina_op_recv(fd[0], 10));
    (void)rig->submit(&owner, tina_op_send(fd[0], bytes.data(), large));
    (void)rig->submit(&owner, tina_op_send(fd[1], bytes.data(), large));
    rig->turn();
    (void)rig->submit(&owner, tina_op_close(fd[1]));
    (void)rig->submit(&owner, tina_op_recv(fd[2], 10)); // only staged
    tina_fd out;
    ASSERT_EQ(
        tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &out), 0);
    (void)rig->submit(&owner, tina_op_connect(out, &away));
    tina_reactor_flush(rig->reactor);
    rig->completions.clear();
    EXPECT_FALSE(tina_reactor_release(rig->reactor, &owner));
    rig->until([&] { return !rig->drained.empty(); });
    EXPECT_EQ(owner.ops_in_flight, 0u);
    memset(static_cast<void *>(&owner), 0x5A, sizeof owner); // nobody looks at it any more
    for (int i = 0; i < 5; i++) {
        rig->turn();
    }
    ASSERT_EQ(rig->drained.size(), 1u);
    EXPECT_EQ(rig->drained[0], 42u);
    EXPECT_TRUE(rig->completions.empty());
    expect_empty();
    for (int i = 0; i < 3; i++) {
        (void)rig->far_recv(peer[i], SIZE_MAX); // to its end
    }
}

TEST_P(Owner, ReleaseOfAnIdleOwnerIsDoneAtOnce) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_reactor_owner empty = owner_of(2);
    int peer;
    (void)pair(&owner, &peer);
    EXPECT_TRUE(tina_reactor_release(rig->reactor, &empty));
    EXPECT_TRUE(tina_reactor_release(rig->reactor, &owner));
    EXPECT_EQ(rig->far_recv_result(peer), 0);
    rig->turn();
    EXPECT_TRUE(rig->drained.empty());
    expect_empty();
}

TEST_P(Owner, ReleaseDropsWhatWasNotTaken) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    int late = rig->far->connect(address);
    peers.push_back(late);
    rig->far_send(peer, "data");
    (void)rig->submit(&owner, tina_op_recv(fd, 10));
    (void)rig->submit(&owner, tina_op_accept(door));
    tina_reactor_event events[8];
    rig->until([&] {
        EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 1000000), 0);
        (void)tina_reactor_reap(rig->reactor, events, 8);
        return owner.ops_in_flight == 0;
    });
    EXPECT_EQ(rig->count().buffers_in_use, 1u);
    EXPECT_TRUE(tina_reactor_release(rig->reactor, &owner));
    EXPECT_EQ(rig->count().fds_dropped, 1u);
    tina_io_completion none;
    EXPECT_FALSE(tina_reactor_next(rig->reactor, &owner, &none));
    EXPECT_EQ(rig->far_recv_result(late), 0);
    expect_empty();
}

TEST_P(Owner, NoByteOfALaterTenantLeavesThroughAnOldSend) {
    open();
    std::string memory(large, 'A');
    for (int round = 0; round < 4; round++) {
        tina_reactor_owner owner = owner_of(1);
        int peer;
        tina_fd fd = pair(&owner, &peer);
        memory.assign(large, 'A');
        (void)rig->submit(&owner, tina_op_send(fd, memory.data(), large));
        for (int i = 0; i < round; i++) {
            rig->turn();
        }
        bool idle = tina_reactor_release(rig->reactor, &owner);
        EXPECT_TRUE(idle || round != 0); // never flushed
        rig->drained.clear();
        if (!idle) {
            rig->until([&] { return rig->drained.size() == 1; });
        }
        memory.assign(large, 'B');
        EXPECT_EQ(rig->far_recv(peer, SIZE_MAX).find('B'), std::string::npos);
    }
}

TEST_P(Owner, AMovedFdIsItsNewOwners) {
    open();
    tina_reactor_owner from = owner_of(1);
    tina_reactor_owner to = owner_of(2);
    int peer;
    tina_fd fd = pair(&from, &peer);
    tina_io_id id = rig->submit(&from, tina_op_recv(fd, 10));
    EXPECT_EQ(tina_reactor_move_fd(rig->reactor, &from, fd, &to), TINA_IO_BUSY);
    rig->far_send(peer, "data");
    tina_reactor_event event;
    rig->until([&] {
        EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 1000000), 0);
        return tina_reactor_reap(rig->reactor, &event, 1) == 1;
    });
    EXPECT_EQ(tina_reactor_move_fd(rig->reactor, &from, fd, &to), TINA_IO_BUSY); // not taken
    tina_io_completion c;
    ASSERT_TRUE(tina_reactor_next(rig->reactor, &from, &c));
    EXPECT_EQ(c.id.bits, id.bits);
    tina_reactor_give_buffer(rig->reactor, c.buffer);
    EXPECT_EQ(tina_reactor_move_fd(rig->reactor, &from, fd, &to), 0);
    EXPECT_EQ(rig->refused(&from, tina_op_recv(fd, 1)), TINA_IO_BAD_FD);
    EXPECT_TRUE(tina_reactor_release(rig->reactor, &from)); // does not close it
    EXPECT_EQ(rig->result(rig->submit(&to, tina_op_send(fd, "mine", 4))).result, 4);
    EXPECT_EQ(rig->far_recv(peer, 4), "mine");
    EXPECT_TRUE(tina_reactor_release(rig->reactor, &to));
    expect_empty();
}

TEST_P(Owner, ADiscardedFdIsClosedAtOnceIfItIsTheOwners) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_reactor_owner thief = owner_of(2);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_reactor_discard_fd(rig->reactor, &thief, fd);
    EXPECT_EQ(rig->count().fds_in_use, 1u);
    tina_reactor_discard_fd(rig->reactor, &owner, fd);
    tina_reactor_discard_fd(rig->reactor, &owner, fd);
    EXPECT_EQ(rig->far_recv_result(peer), 0);
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 1)), TINA_IO_BAD_FD);
    EXPECT_TRUE(rig->completions.empty());
    expect_empty();
}

TEST_P(Owner, CloseOfTheReactorEndsWhatIsInFlight) {
    open();
    tina_reactor_owner *owner = new tina_reactor_owner(owner_of(1));
    std::string bytes = pattern(large);
    int peer;
    tina_fd fd = pair(owner, &peer);
    tina_address address;
    tina_fd door = rig->listener(owner, &address);
    (void)rig->submit(owner, tina_op_accept(door));
    (void)rig->submit(owner, tina_op_recv(fd, 100));
    (void)rig->submit(owner, tina_op_send(fd, bytes.data(), large));
    rig->turn();
    (void)rig->submit(owner, tina_op_close(door));
    delete owner; // the owners may be gone before the reactor is
    // TearDown closes it and counts fds.
    rig->far->close(peer);
    peers.clear();
}

INSTANTIATE_TEST_SUITE_P(All, Owner, every_variant(), variant_name);

} // namespace
