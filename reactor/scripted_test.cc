// SPDX-License-Identifier: Apache-2.0
//
// What the front makes of a backend that is late, short, out of order or wrong.

#include "reactor/scripted.h"

#include <errno.h>

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/table.h"

namespace {

class Scripted : public testing::Test {
  protected:
    void SetUp() override {
        open(Sizes());
        owner.token = 1;
    }
    void TearDown() override {
        if (!owner.released) {
            (void)tina_reactor_release(rig->reactor, &owner);
        }
        // The test's own ends are gone by now or go with the backend; the reactor's must be.
        control->hold = control->late_cancels = false;
        control->fail_wait = 0;
        rig->until([&] { return rig->count().ops_in_use == 0; });
        EXPECT_EQ(rig->count().fds_in_use, 0u);
        EXPECT_EQ(rig->count().buffers_in_use, 0u);
    }
    void open(Sizes sizes) {
        rig = std::make_unique<Rig>(kind, sizes);
        control = tina_scripted_control(kind.scripted);
    }
    void ask(tina_io_id id) {
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    }

    ScriptedKind kind;
    std::unique_ptr<Rig> rig;
    tina_scripted_controls *control = nullptr;
    tina_reactor_owner owner = {};
};

TEST_F(Scripted, AnOpThatAchievedItsResultBeforeTheCancelKeepsIt) {
    int peer;
    tina_fd fd = rig->pair(&owner, &peer);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    rig->far_send(peer, "data");
    EXPECT_GE(rig->far->connect(address), 0);
    control->hold = true;
    tina_io_id recv = rig->submit(&owner, tina_op_recv(fd, 10));
    tina_io_id send = rig->submit(&owner, tina_op_send(fd, "sent", 4));
    tina_io_id accept = rig->submit(&owner, tina_op_accept(door));
    rig->turn();
    ask(recv);
    ask(send);
    ask(accept);
    rig->turn();
    control->hold = false;
    EXPECT_EQ(rig->result(recv).data, "data");
    EXPECT_EQ(rig->result(send).result, 4);
    EXPECT_EQ(rig->result(accept).result, 0);
    EXPECT_EQ(rig->count().canceled, 0u);
}

TEST_F(Scripted, ACancelMayTakeItsTimeAndTheOpMayWinMeanwhile) {
    int peer;
    tina_fd fd = rig->pair(&owner, &peer);
    control->late_cancels = true;
    tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 10));
    rig->turn();
    ask(id);
    for (int i = 0; i < 5; i++) {
        rig->turn();
    }
    EXPECT_FALSE(rig->has(id));
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 10)), TINA_IO_BUSY);
    rig->far_send(peer, "late");
    EXPECT_EQ(rig->result(id).data, "late");
}

TEST_F(Scripted, ACloseWaitsForAsLongAsACancelTakes) {
    int peer;
    tina_fd fd = rig->pair(&owner, &peer);
    control->late_cancels = true;
    tina_io_id recv = rig->submit(&owner, tina_op_recv(fd, 10));
    rig->turn();
    tina_io_id close = rig->submit(&owner, tina_op_close(fd));
    for (int i = 0; i < 5; i++) {
        rig->turn();
    }
    EXPECT_FALSE(rig->has(close));
    EXPECT_EQ(rig->count().fds_in_use, 1u);
    control->late_cancels = false;
    EXPECT_EQ(rig->result(close).result, 0);
    EXPECT_EQ(rig->result(recv).result, TINA_IO_CANCELED);
}

TEST_F(Scripted, DrainedComesOnlyAfterTheLastResultWhateverTheOrder) {
    int peer[3];
    tina_fd fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = rig->pair(&owner, &peer[i]);
        (void)rig->submit(&owner, tina_op_recv(fd[i], 10));
    }
    control->late_cancels = control->hold = control->reverse = true;
    rig->turn();
    EXPECT_FALSE(tina_reactor_release(rig->reactor, &owner));
    rig->far_send(peer[1], "for the dead"); // dropped, and its buffer given back
    control->hold = false;
    for (int i = 0; i < 5; i++) {
        rig->turn();
    }
    EXPECT_TRUE(rig->drained.empty());
    EXPECT_EQ(owner.ops_in_flight, 2u);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
    control->late_cancels = false;
    rig->until([&] { return !rig->drained.empty(); });
    rig->turn();
    EXPECT_EQ(rig->drained.size(), 1u);
    EXPECT_TRUE(rig->completions.empty());
}

TEST_F(Scripted, AnAcceptForADeadOwnerIsClosedAndCounted) {
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    control->late_cancels = control->hold = true;
    (void)rig->submit(&owner, tina_op_accept(door));
    int peer = rig->far->connect(address);
    rig->turn();
    EXPECT_FALSE(tina_reactor_release(rig->reactor, &owner));
    control->hold = false;
    rig->until([&] { return !rig->drained.empty(); });
    EXPECT_EQ(rig->count().fds_dropped, 1u);
    EXPECT_EQ(rig->far_recv_result(peer), 0);
    EXPECT_EQ(tina_scripted_sockets(kind.scripted), 1u); // the peer
}

TEST_F(Scripted, ErrorsOfTheSystemArriveAsTheyAre) {
    int peer;
    tina_fd fd = rig->pair(&owner, &peer);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    control->fail_next[TINA_OP_ACCEPT] = EMFILE;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_accept(door))).result, -EMFILE);
    control->fail_next[TINA_OP_RECV] = EIO;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 1))).result, -EIO);
    control->fail_next[TINA_OP_SEND] = ENOBUFS; // the kernel's own, not about our buffers
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, -ENOBUFS);
    control->fail_next[TINA_OP_SEND] = ECANCELED; // unasked
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, TINA_IO_CANCELED);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, 1);
    control->fail_next[TINA_OP_CLOSE] = EIO;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, -EIO);
    EXPECT_EQ(rig->refused(&owner, tina_op_close(fd)), TINA_IO_BAD_FD); // gone all the same
}

TEST_F(Scripted, ASendThatFailsHalfWayTellsBoth) {
    int peer;
    tina_fd fd = rig->pair(&owner, &peer);
    control->send_bytes_max = 3;
    tina_io_id id = rig->submit(&owner, tina_op_send(fd, "abcdefgh", 8));
    rig->turn();
    control->fail_next[TINA_OP_SEND] = EIO;
    Completion failed = rig->result(id);
    EXPECT_EQ(failed.result, -EIO);
    EXPECT_EQ(failed.bytes, 3u);
    EXPECT_EQ(rig->far_recv(peer, 3), "abc");
}

TEST_F(Scripted, ABrokenBackendEndsTheWait) {
    control->fail_wait = EBADF;
    EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 1), -EBADF);
}

TEST_F(Scripted, TheWaitIsForTheDeadlineUnlessThereIsNews) {
    int peer;
    tina_fd fd = rig->pair(&owner, &peer);
    rig->turn();
    EXPECT_EQ(tina_reactor_wait(rig->reactor, 10, 99), 0);
    EXPECT_EQ(control->until_ns, 99u);
    EXPECT_TRUE(control->would_block);
    tina_reactor_wake(rig->reactor);
    EXPECT_EQ(tina_reactor_wait(rig->reactor, 10, 99), 0);
    EXPECT_FALSE(control->would_block);
    EXPECT_EQ(control->wakes, 1u);
    ask(rig->submit(&owner, tina_op_recv(fd, 1)));
    EXPECT_EQ(tina_reactor_wait(rig->reactor, 10, 99), 0);
    EXPECT_EQ(control->until_ns, 10u);
    EXPECT_FALSE(control->would_block);
}

TEST_F(Scripted, WaitingReceivesAreServedInTheirOrder) {
    Sizes sizes;
    sizes.buffers = 1;
    open(sizes);
    constexpr int kWaiting = 5;
    int peer[kWaiting + 1];
    tina_fd fd[kWaiting + 1];
    for (int i = 0; i <= kWaiting; i++) {
        fd[i] = rig->pair(&owner, &peer[i]);
        rig->far_send(peer[i], std::to_string(i));
    }
    rig->keep_buffers = true;
    Completion holder = rig->result(rig->submit(&owner, tina_op_recv(fd[0], 1)));
    for (int i = 1; i <= kWaiting; i++) {
        (void)rig->submit(&owner, tina_op_recv(fd[i], 1));
    }
    rig->turn();
    EXPECT_EQ(rig->count().buffers_awaited, static_cast<uint64_t>(kWaiting));
    for (int i = 1; i <= kWaiting; i++) {
        rig->give(holder);
        rig->turn();
        ASSERT_EQ(rig->completions.size(), 1u);
        holder = rig->completions[0];
        rig->completions.clear();
        EXPECT_EQ(holder.fd.bits, fd[i].bits);
    }
    rig->give(holder);
    EXPECT_EQ(rig->count().buffers_awaited, static_cast<uint64_t>(kWaiting)); // nobody twice
}

TEST_F(Scripted, AReceiveThatNeedsNoBufferAfterAllLeavesItToTheNext) {
    Sizes sizes;
    sizes.buffers = 1;
    open(sizes);
    int peer[3];
    tina_fd fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = rig->pair(&owner, &peer[i]);
        rig->far_send(peer[i], std::to_string(i));
    }
    rig->keep_buffers = true;
    Completion holder = rig->result(rig->submit(&owner, tina_op_recv(fd[0], 1)));
    tina_io_id first = rig->submit(&owner, tina_op_recv(fd[1], 1));
    tina_io_id second = rig->submit(&owner, tina_op_recv(fd[2], 1));
    rig->turn();
    control->fail_next[TINA_OP_RECV] = ECONNRESET; // what the first meets when it tries again
    rig->give(holder);
    EXPECT_EQ(rig->result(first).result, -ECONNRESET);
    Completion served = rig->result(second);
    EXPECT_EQ(served.data, "2");
    rig->give(served);
}

// A backend that says everything twice.
tina_reactor_backend doubling;
tina_backend_result again[256];
uint32_t again_count;

uint32_t reap_twice(void *self, tina_backend_result *results, uint32_t capacity) {
    uint32_t count = 0;
    while (count < capacity && again_count > 0) {
        results[count++] = again[--again_count];
    }
    uint32_t fresh = tina_reactor_scripted.reap(self, results + count, capacity - count);
    for (uint32_t i = 0; i < fresh; i++) {
        again[again_count++] = results[count + i];
    }
    return count + fresh;
}

TEST(Doubled, StaleResultsAreCountedAndDoNothing) {
    class DoublingKind : public ScriptedKind {
      public:
        const tina_reactor_backend *backend() override {
            doubling = tina_reactor_scripted;
            doubling.reap = reap_twice;
            return &doubling;
        }
    };
    again_count = 0;
    DoublingKind kind;
    Rig rig(kind);
    tina_reactor_owner owner = {};
    int peer;
    tina_fd fd = rig.pair(&owner, &peer);
    for (int i = 0; i < 20; i++) {
        rig.far_send(peer, "data");
        EXPECT_EQ(rig.result(rig.submit(&owner, tina_op_recv(fd, 10))).data, "data");
        // In the row that the receive had: what is said of that again must not reach this one.
        EXPECT_EQ(rig.result(rig.submit(&owner, tina_op_send(fd, "abc", 3))).result, 3);
        EXPECT_EQ(rig.far_recv(peer, 3), "abc");
    }
    EXPECT_EQ(rig.result(rig.submit(&owner, tina_op_close(fd))).result, 0);
    rig.turn();
    EXPECT_GE(rig.count().stale, 40u);
    EXPECT_EQ(rig.count().fds_in_use, 0u);
    EXPECT_EQ(rig.count().buffers_in_use, 0u);
    EXPECT_EQ(tina_scripted_sockets(kind.scripted), 1u);
    tina_reactor_verify(rig.reactor);
}

TEST(Worn, AnFdRowIsRetiredBeforeItsNamesComeAgain) {
    ScriptedKind kind;
    Sizes sizes;
    sizes.fds = 2;
    Rig rig(kind, sizes);
    tina_reactor_owner owner = {};
    auto open_and_close = [&] {
        tina_fd fd;
        EXPECT_EQ(
            tina_reactor_socket(rig.reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
            0);
        EXPECT_EQ(rig.result(rig.submit(&owner, tina_op_close(fd))).result, 0);
        return fd_index(fd.bits);
    };
    uint32_t row = open_and_close();
    EXPECT_EQ(open_and_close(), row); // the warm one
    rig.reactor->fds[row].generation = UINT32_MAX;
    EXPECT_EQ(open_and_close(), row);
    EXPECT_EQ(rig.count().fds_retired, 1u);
    uint32_t other = open_and_close();
    EXPECT_NE(other, row);
    EXPECT_EQ(open_and_close(), other);
    rig.reactor->fds[other].generation = UINT32_MAX;
    EXPECT_EQ(open_and_close(), other);
    tina_fd fd;
    EXPECT_EQ(tina_reactor_socket(rig.reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
              TINA_IO_FDS_FULL);
    EXPECT_EQ(rig.count().fds_in_use, 0u);
}

TEST(Worn, AnOpRowRestsAfterAMillionUsesAndSkipsGenerationZero) {
    ScriptedKind kind;
    Sizes sizes;
    sizes.ops = 2;
    Rig rig(kind, sizes);
    tina_reactor_owner owner = {};
    int peer;
    tina_fd fd = rig.pair(&owner, &peer);
    auto send = [&] {
        tina_io_id id = rig.submit(&owner, tina_op_send(fd, "x", 1));
        EXPECT_EQ(rig.result(id).result, 1);
        EXPECT_NE(id.bits >> 32, 0u);
        return static_cast<uint32_t>(id.bits);
    };
    uint32_t row = send();
    EXPECT_EQ(send(), row);
    rig.reactor->ops[row].generation = (1u << 20) - 1;
    EXPECT_EQ(send(), row);
    EXPECT_NE(send(), row);
    rig.reactor->ops[row].generation = UINT32_MAX;
    rig.reactor->ops[3 - row].generation = UINT32_MAX;
    for (int i = 0; i < 10; i++) {
        (void)send();
    }
}

TEST(Config, OutsideItsBoundsIsRefused) {
    ScriptedKind kind;
    tina_reactor_config good = {};
    good.backend = kind.backend();
    good.backend_options = kind.options();
    good.fd_count = good.op_count = good.buffer_count = 1;
    good.buffer_bytes = 64;
    EXPECT_GT(tina_reactor_bytes(&good), 0u);
    auto refused = [&](auto change) {
        tina_reactor_config bad = good;
        change(&bad);
        tina_reactor *reactor;
        char text[128];
        return tina_reactor_bytes(&bad) == 0 &&
               tina_reactor_open(&bad, nullptr, &reactor, text, sizeof text) == -EINVAL;
    };
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->backend = nullptr; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->shard = 256; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->fd_count = 0; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->fd_count = 1u << 22; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->op_count = 0; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->op_count = (1u << 24) + 1; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->address_count = (1u << 24) + 1; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->buffer_count = 0; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->buffer_count = 3; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->buffer_count = 65536; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->buffer_bytes = 0; }));
    EXPECT_TRUE(refused([](tina_reactor_config *c) { c->buffer_bytes = 100; }));
}

} // namespace
