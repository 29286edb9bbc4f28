// SPDX-License-Identifier: Apache-2.0
//
// Multishot ops, on every backend: those that know them, those that end them when they like, and
// those that know one-shot only.

#include <errno.h>

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/scripted.h"
#include "reactor/suite.h"
#include "reactor/uring.h"

namespace {

class Multishot : public Suite {
  protected:
    // Few and small buffers, so that a few hundred bytes reach every bound.
    void open_small(uint32_t buffers = 8) {
        Sizes sizes;
        sizes.buffers = buffers;
        sizes.buffer_bytes = 64;
        open(sizes);
    }
    void turns(int count) {
        for (int i = 0; i < count; i++) {
            ASSERT_EQ(tina_reactor_wait(rig->reactor, 0, 1000000), 0);
            rig->reap();
        }
    }
    // Takes what came of an op, up to its last completion, which it returns.
    Completion last(tina_io_id id, std::string *bytes, std::vector<tina_fd> *fds = nullptr) {
        for (;;) {
            Completion c = rig->result(id);
            if ((c.flags & TINA_IO_MORE) == 0 || HasFailure()) {
                return c;
            }
            EXPECT_EQ(c.companion, 0u);
            if (c.kind == TINA_OP_RECV) {
                EXPECT_GT(c.result, 0);
                *bytes += c.data;
            } else {
                EXPECT_EQ(c.result, 0);
                fds->push_back(c.fd);
            }
        }
    }
};

TEST_P(Multishot, AReceiveDeliversEachByteOnceAndItsEndOnce) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_recv_multishot(fd));
    tina_reactor_set_companion(rig->reactor, id, 77);
    std::string got;
    for (int i = 0; i < 50; i++) {
        std::string word = std::to_string(i) + " ";
        rig->far_send(peer, word);
        Completion c = rig->result(id);
        ASSERT_EQ(c.data, word);
        ASSERT_EQ(c.result, static_cast<int32_t>(word.size()));
        ASSERT_EQ(c.bytes, word.size());
        ASSERT_EQ(c.flags, TINA_IO_MORE);
        ASSERT_EQ(c.fd.bits, fd.bits);
        ASSERT_EQ(c.companion, 0u);
        ASSERT_EQ(owner.ops_in_flight, 1u);
    }
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 1)), TINA_IO_BUSY);
    EXPECT_EQ(rig->refused(&owner, tina_op_recv_multishot(fd)), TINA_IO_BUSY);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "duplex", 6))).result, 6);
    EXPECT_EQ(rig->far_recv(peer, 6), "duplex");
    rig->far_send(peer, "bye");
    rig->far->shutdown(peer);
    Completion end = last(id, &got);
    EXPECT_EQ(got, "bye");
    EXPECT_EQ(end.result, 0);
    EXPECT_EQ(end.flags, 0);
    EXPECT_EQ(end.companion, 77u);
    EXPECT_EQ(end.buffer, TINA_IO_NO_BUFFER);
    EXPECT_EQ(owner.ops_in_flight, 0u);
    EXPECT_FALSE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    turns(3);
    EXPECT_TRUE(rig->completions.empty());
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "after", 5))).result, 5);
    EXPECT_EQ(rig->far_recv(peer, 5), "after");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    expect_empty();
}

TEST_P(Multishot, AFloodWaitsForASlowOwnerAndLosesNothing) {
    open_small(16);
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(8000);
    std::string got;
    rig->take_max = 0;
    tina_io_id id = rig->submit(&owner, tina_op_recv_multishot(fd));
    size_t sent = 0;
    for (int i = 0; got.size() < bytes.size() && i < 10000; i++) {
        if (sent < bytes.size()) {
            int result = rig->far->send(peer, bytes.data() + sent,
                                        static_cast<uint32_t>(bytes.size() - sent));
            sent += result > 0 ? static_cast<size_t>(result) : 0;
        }
        (void)tina_reactor_flush(rig->reactor);
        uint64_t now = monotonic_ns();
        ASSERT_EQ(tina_reactor_wait(rig->reactor, now, now), 0);
        rig->reap();
        rig->take(&owner, static_cast<uint32_t>(i % 2));
        for (const Completion &c : rig->completions) {
            ASSERT_EQ(c.id.bits, id.bits);
            ASSERT_EQ(c.flags, TINA_IO_MORE);
            ASSERT_LE(c.result, 64);
            got += c.data;
        }
        rig->completions.clear();
    }
    EXPECT_TRUE(got == bytes);
    EXPECT_GT(rig->count().multishot_pauses + rig->count().buffers_awaited, 0u);
    EXPECT_GE(rig->count().multishot_results, bytes.size() / 64);
    rig->take_max = UINT32_MAX;
    rig->far->shutdown(peer);
    EXPECT_EQ(rig->result(id).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    expect_empty();
}

TEST_P(Multishot, ABurstOfConnectionsBeyondTheBoundIsAcceptedInOrder) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    constexpr size_t kBurst = 3 * TINA_MULTISHOT_UNTAKEN_MAX + 2;
    rig->take_max = 0;
    tina_io_id id = rig->submit(&owner, tina_op_accept_multishot(door));
    for (size_t i = 0; i < kBurst; i++) {
        peers.push_back(rig->far->connect(address));
        ASSERT_GE(peers.back(), 0);
        rig->far_send(peers.back(), std::to_string(i));
    }
    rig->until([&] { return rig->count().fds_in_use > TINA_MULTISHOT_UNTAKEN_MAX; });
    std::vector<tina_fd> fds;
    for (int i = 0; fds.size() < kBurst && i < 1000; i++) {
        rig->take(&owner, 5);
        for (const Completion &c : rig->completions) {
            ASSERT_EQ(c.id.bits, id.bits);
            ASSERT_EQ(c.flags, TINA_IO_MORE);
            ASSERT_EQ(c.result, 0);
            fds.push_back(c.fd);
        }
        rig->completions.clear();
        rig->turn();
    }
    ASSERT_EQ(fds.size(), kBurst);
    rig->take_max = UINT32_MAX;
    for (size_t i = 0; i < kBurst; i++) {
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fds[i], 10))).data,
                  std::to_string(i));
    }
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    Completion end = rig->result(id);
    EXPECT_EQ(end.result, TINA_IO_CANCELED);
    EXPECT_EQ(end.fd.bits, door.bits);
    EXPECT_EQ(end.flags, 0);
    EXPECT_EQ(rig->count().fds_in_use, kBurst + 1);
    EXPECT_EQ(rig->count().fds_dropped, 0u);
    // The listener is free for others.
    EXPECT_EQ(tina_reactor_movable(rig->reactor, &owner, door), 0);
    EXPECT_TRUE(tina_reactor_release(rig->reactor, &owner));
    expect_empty();
}

TEST_P(Multishot, AnAcceptWaitsWhileTheFdTableIsFull) {
    Sizes sizes;
    sizes.fds = 4;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    tina_io_id id = rig->submit(&owner, tina_op_accept_multishot(door));
    for (int i = 0; i < 6; i++) {
        peers.push_back(rig->far->connect(address));
        rig->far_send(peers.back(), std::to_string(i));
    }
    std::vector<tina_fd> fds;
    for (int i = 0; i < 3; i++) {
        Completion c = rig->result(id);
        ASSERT_EQ(c.flags, TINA_IO_MORE);
        fds.push_back(c.fd);
    }
    turns(5);
    EXPECT_TRUE(rig->completions.empty());
    EXPECT_EQ(rig->count().fds_in_use, 4u);
    EXPECT_EQ(rig->count().fds_awaited, 1u);
    // Each row that comes home lets one in, in order.
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fds[i], 10))).data,
                  std::to_string(i));
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fds[i]))).result, 0);
        Completion c = rig->result(id);
        EXPECT_EQ(c.flags, TINA_IO_MORE);
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(c.fd, 10))).data,
                  std::to_string(i + 3));
    }
    EXPECT_EQ(rig->count().fds_dropped, 0u);
    // What waits for a row can be canceled.
    turns(2);
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
    Completion end = rig->result(id);
    EXPECT_EQ(end.result, TINA_IO_TIMED_OUT);
    EXPECT_EQ(end.fd.bits, door.bits);
    id = rig->submit(&owner, tina_op_accept_multishot(door));
    turns(2);
    (void)tina_reactor_release(rig->reactor, &owner);
    rig->until([&] { return rig->count().ops_in_use == 0; });
    expect_empty();
}

// What one wait accepts beyond the table is closed and counted; nothing else is lost.
TEST_P(Multishot, ABurstBeyondTheFdTableIsServedInTurnOrClosedAndCounted) {
    Sizes sizes;
    sizes.fds = 24;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    tina_io_id id = rig->submit(&owner, tina_op_accept_multishot(door));
    rig->turn();
    constexpr size_t kBurst = 45;
    for (size_t i = 0; i < kBurst; i++) {
        peers.push_back(rig->far->connect(address));
        ASSERT_GE(peers.back(), 0);
    }
    size_t served = 0;
    rig->until([&] {
        while (!rig->completions.empty()) {
            Completion c = rig->completions.front();
            rig->completions.erase(rig->completions.begin());
            if (c.kind == TINA_OP_ACCEPT) {
                EXPECT_EQ(c.id.bits, id.bits);
                EXPECT_EQ(c.flags, TINA_IO_MORE);
                served++;
                (void)rig->submit(&owner, tina_op_close(c.fd));
            }
        }
        return served + rig->count().fds_dropped == kBurst;
    });
    EXPECT_GE(served, 23u);
    EXPECT_LE(rig->count().fds_in_use, 24u);
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    EXPECT_EQ(rig->result(id).result, TINA_IO_CANCELED);
}

TEST_P(Multishot, ConnectionsShareTheBuffersAndNoneSeesThatThereWasNone) {
    open_small(4);
    tina_reactor_owner owner = owner_of(1);
    constexpr size_t kPeers = 6;
    int peer[kPeers];
    tina_io_id ids[kPeers];
    std::string got[kPeers];
    std::string bytes = pattern(1500);
    rig->keep_buffers = true;
    for (size_t i = 0; i < kPeers; i++) {
        tina_fd fd = pair(&owner, &peer[i]);
        ids[i] = rig->submit(&owner, tina_op_recv_multishot(fd));
    }
    turns(2);
    for (size_t i = 0; i < kPeers; i++) {
        rig->far_send(peer[i], std::to_string(i) + bytes);
        rig->far->shutdown(peer[i]);
    }
    size_t ended = 0;
    std::vector<Completion> held;
    rig->until([&] {
        for (const Completion &c : rig->completions) {
            size_t i = 0;
            while (ids[i].bits != c.id.bits) {
                i++;
            }
            got[i] += c.data;
            EXPECT_GE(c.result, 0);
            EXPECT_EQ(c.result == 0, c.flags == 0);
            ended += c.flags == 0;
            held.push_back(c);
        }
        rig->completions.clear();
        if (held.size() > 2) { // some buffers are always out
            rig->give(held.front());
            held.erase(held.begin());
        }
        return ended == kPeers;
    });
    for (Completion &c : held) {
        rig->give(c);
    }
    for (size_t i = 0; i < kPeers; i++) {
        EXPECT_TRUE(got[i] == std::to_string(i) + bytes) << i;
    }
    EXPECT_GT(rig->count().buffers_awaited, 0u);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(Multishot, AResetIsItsLastResult) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_recv_multishot(fd));
    rig->far_send(peer, "before");
    EXPECT_EQ(rig->result(id).data, "before");
    rig->far->reset(peer);
    forget(peer);
    Completion end = rig->result(id);
    EXPECT_EQ(end.result, -ECONNRESET);
    EXPECT_EQ(end.flags, 0);
    turns(3);
    EXPECT_TRUE(rig->completions.empty());
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    expect_empty();
}

TEST_P(Multishot, TakesOneRowOfTheOpTableHoweverMuchItBrings) {
    Sizes sizes;
    sizes.ops = 2;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    tina_io_id accept = rig->submit(&owner, tina_op_accept_multishot(door));
    tina_io_id recv = rig->submit(&owner, tina_op_recv_multishot(fd));
    for (int i = 0; i < 20; i++) {
        peers.push_back(rig->far->connect(address));
        rig->far_send(peer, "x");
    }
    rig->far->shutdown(peer);
    std::string bytes;
    EXPECT_EQ(last(recv, &bytes).result, 0);
    EXPECT_EQ(bytes.size(), 20u);
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(rig->result(accept).result, 0);
    }
}

TEST_P(Multishot, ItsOldestCompletionCanBeTakenPastThoseOfOthers) {
    open_small(64);
    tina_reactor_owner owner = owner_of(1);
    int peer[2];
    tina_fd fd[2];
    tina_io_id id[2];
    for (int i = 0; i < 2; i++) {
        fd[i] = pair(&owner, &peer[i]);
        id[i] = rig->submit(&owner, tina_op_recv_multishot(fd[i]));
    }
    rig->take_max = 0;
    tina_io_completion c;
    EXPECT_FALSE(tina_reactor_next_of(rig->reactor, &owner, id[0], &c));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            uint64_t before = rig->count().multishot_results;
            rig->far_send(peer[i], std::to_string(round));
            rig->until([&] { return rig->count().multishot_results > before; });
        }
    }
    tina_io_id send = rig->submit(&owner, tina_op_send(fd[0], "x", 1));
    rig->until([&] { return owner.ops_in_flight == 2; });
    tina_reactor_owner thief = owner_of(2);
    EXPECT_FALSE(tina_reactor_next_of(rig->reactor, &thief, id[1], &c));
    EXPECT_FALSE(
        tina_reactor_next_of(rig->reactor, &owner, {id[1].bits + (UINT64_C(1) << 32)}, &c));
    auto take_of = [&](tina_io_id which) {
        EXPECT_TRUE(tina_reactor_next_of(rig->reactor, &owner, which, &c));
        EXPECT_EQ(c.id.bits, which.bits);
        std::string data;
        if (c.buffer != TINA_IO_NO_BUFFER) {
            data.assign(static_cast<const char *>(tina_reactor_buffer(rig->reactor, c.buffer)),
                        c.bytes);
            tina_reactor_give_buffer(rig->reactor, c.buffer);
        }
        tina_reactor_verify(rig->reactor);
        return data;
    };
    EXPECT_EQ(take_of(id[1]), "0");
    EXPECT_EQ(take_of(send), "");
    EXPECT_EQ(take_of(id[1]), "1");
    EXPECT_EQ(take_of(id[0]), "0");
    EXPECT_EQ(take_of(id[1]), "2");
    EXPECT_FALSE(tina_reactor_next_of(rig->reactor, &owner, id[1], &c));
    rig->take(&owner);
    ASSERT_EQ(rig->completions.size(), 2u);
    EXPECT_EQ(rig->completions[0].data, "1");
    EXPECT_EQ(rig->completions[1].data, "2");
}

TEST_P(Multishot, WhatComesAfterItsCancelIsForTheNextReceive) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string sent;
    std::string got;
    for (int i = 0; i < 40; i++) {
        tina_io_id id = rig->submit(&owner, tina_op_recv_multishot(fd));
        std::string word = std::to_string(i) + " ";
        rig->far_send(peer, word);
        sent += word;
        turns(i % 4);
        rig->far_send(peer, word);
        sent += word;
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
        EXPECT_EQ(last(id, &got).result, TINA_IO_TIMED_OUT);
    }
    while (got.size() < sent.size() && !HasFailure()) {
        got += rig->result(rig->submit(&owner, tina_op_recv(fd, 1024))).data;
    }
    EXPECT_EQ(got, sent);
}

TEST_P(Multishot, AFieldOutOfRangeIsRefused) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_op bounded = tina_op_recv_multishot(fd);
    bounded.bytes = 1;
    tina_io_op some = tina_op_recv_multishot(fd);
    some.flags |= TINA_IO_SOME;
    tina_io_op send = tina_op_send(fd, "x", 1);
    send.flags = TINA_IO_MULTISHOT;
    tina_io_op close = tina_op_close(fd);
    close.flags = TINA_IO_MULTISHOT;
    for (const tina_io_op &op : {bounded, some, send, close}) {
        EXPECT_EQ(rig->refused(&owner, op), TINA_IO_BAD_OP);
    }
    tina_fd write_only = tina_fd_with_rights(fd, 2);
    EXPECT_EQ(rig->refused(&owner, tina_op_recv_multishot(write_only)), TINA_IO_NO_RIGHT);
    tina_reactor_owner thief = owner_of(2);
    EXPECT_EQ(rig->refused(&thief, tina_op_recv_multishot(fd)), TINA_IO_BAD_FD);
}

// The end of an op, whatever it is doing at that time.
enum class Doing {
    kStaged,
    kArmed,
    kUntaken,
    kPaused,
    kStarved,
    kOvertaken
};
const Doing kDoings[] = {Doing::kStaged, Doing::kArmed,   Doing::kUntaken,
                         Doing::kPaused, Doing::kStarved, Doing::kOvertaken};

class MultishotEnd : public Multishot {
  protected:
    void receive(Doing doing) {
        open_small(4);
        rig->take_max = UINT32_MAX;
        fd = pair(&owner, &peer);
        if (doing == Doing::kStarved) {
            starve();
        }
        rig->take_max = 0;
        id = rig->submit(&owner, tina_op_recv_multishot(fd));
        doing == Doing::kStaged ? (void)0 : turns(1);
        if (doing == Doing::kUntaken) {
            sent = "untaken";
        } else if (doing == Doing::kPaused || doing == Doing::kOvertaken) {
            sent = pattern(1000);
        } else if (doing == Doing::kStarved) {
            sent = "starved";
        }
        rig->far_send(peer, sent);
        if (doing == Doing::kUntaken) {
            rig->until([&] { return rig->count().multishot_results == 1; });
        } else if (doing == Doing::kStarved) {
            rig->until([&] { return rig->count().buffers_awaited > 0; });
        } else if (doing == Doing::kPaused) {
            turns(5);
        } else if (doing == Doing::kOvertaken) { // perhaps about to pause
            uint64_t now = monotonic_ns();
            ASSERT_EQ(tina_reactor_wait(rig->reactor, now, now), 0);
            rig->reap();
        }
    }
    // Another connection holds all buffers.
    void starve() {
        int far;
        tina_fd other = pair(&holder, &far);
        rig->keep_buffers = true;
        for (int i = 0; i < 4; i++) {
            rig->far_send(far, "x");
            held.push_back(rig->result(rig->submit(&holder, tina_op_recv(other, 1))));
        }
        rig->keep_buffers = false;
    }
    void stop_starving() {
        for (Completion &c : held) {
            rig->give(c);
        }
        held.clear();
        if (!holder.released) {
            EXPECT_TRUE(tina_reactor_release(rig->reactor, &holder));
        }
    }
    void expect_nothing_more() {
        rig->take_max = UINT32_MAX;
        turns(3);
        rig->take(&owner);
        EXPECT_TRUE(rig->completions.empty());
    }
    void again() {
        for (int far : peers) {
            rig->far->close(far);
        }
        peers.clear();
        rig.reset();
        owner = owner_of(1);
        holder = owner_of(2);
        sent.clear();
        kind = GetParam().make();
    }

    tina_reactor_owner owner = owner_of(1);
    tina_reactor_owner holder = owner_of(2);
    std::vector<Completion> held;
    std::string sent;
    tina_fd fd = {};
    tina_io_id id = {};
    int peer = -1;
};

TEST_P(MultishotEnd, ACancelComesAfterWhatCameBeforeIt) {
    for (Doing doing : kDoings) {
        SCOPED_TRACE(static_cast<int>(doing));
        receive(doing);
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
        rig->take_max = UINT32_MAX;
        rig->take(&owner);
        std::string got;
        EXPECT_EQ(last(id, &got).result, TINA_IO_TIMED_OUT);
        EXPECT_FALSE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
        EXPECT_EQ(got, sent.substr(0, got.size()));
        stop_starving();
        expect_nothing_more();
        while (got.size() < sent.size() && !HasFailure()) {
            got += rig->result(rig->submit(&owner, tina_op_recv(fd, 64))).data;
        }
        EXPECT_EQ(got, sent);
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
        expect_empty();
        again();
    }
}

TEST_P(MultishotEnd, ACloseComesAfterItsLastResult) {
    for (Doing doing : kDoings) {
        SCOPED_TRACE(static_cast<int>(doing));
        receive(doing);
        tina_io_id close = rig->submit(&owner, tina_op_close(fd));
        rig->take_max = UINT32_MAX;
        rig->take(&owner);
        rig->until([&] { return rig->has(close); });
        std::string got;
        EXPECT_EQ(last(id, &got).result, TINA_IO_CANCELED);
        EXPECT_EQ(got, sent.substr(0, got.size()));
        ASSERT_EQ(rig->completions.size(), 1u);
        EXPECT_EQ(rig->result(close).result, 0);
        stop_starving();
        expect_nothing_more();
        expect_empty();
        again();
    }
}

TEST_P(MultishotEnd, AReleaseDropsEverythingAndDrainsOnce) {
    for (Doing doing : kDoings) {
        SCOPED_TRACE(static_cast<int>(doing));
        receive(doing);
        bool idle = tina_reactor_release(rig->reactor, &owner);
        EXPECT_EQ(idle,
                  doing == Doing::kStaged || doing == Doing::kStarved || owner.ops_in_flight == 0);
        rig->until([&] { return idle || !rig->drained.empty(); });
        EXPECT_EQ(owner.ops_in_flight, 0u);
        stop_starving();
        turns(3);
        EXPECT_EQ(rig->drained.size(), idle ? 0u : 1u);
        EXPECT_TRUE(rig->completions.empty());
        expect_empty();
        again();
    }
}

TEST_P(MultishotEnd, TheReactorClosesOverIt) {
    for (Doing doing : kDoings) {
        SCOPED_TRACE(static_cast<int>(doing));
        receive(doing);
        held.clear();
        again(); // TearDown counts fds, AddressSanitizer the rest
    }
}

TEST_P(MultishotEnd, AnAcceptIsEndedWithWhatItBrought) {
    enum End {
        kCancel,
        kClose,
        kRelease,
        kReactor
    };
    for (uint32_t burst : {0u, 3u, 2 * TINA_MULTISHOT_UNTAKEN_MAX}) {
        for (End end : {kCancel, kClose, kRelease, kReactor}) {
            SCOPED_TRACE(std::to_string(burst) + " " + std::to_string(end));
            open();
            tina_address address;
            tina_fd door = rig->listener(&owner, &address);
            rig->take_max = 0;
            id = rig->submit(&owner, tina_op_accept_multishot(door));
            for (uint32_t i = 0; i < burst; i++) {
                peers.push_back(rig->far->connect(address));
            }
            turns(3);
            uint32_t came = rig->count().fds_in_use - 1;
            EXPECT_LE(came, burst);
            std::vector<tina_fd> fds;
            tina_io_id close = {};
            if (end == kRelease) {
                bool idle = tina_reactor_release(rig->reactor, &owner);
                rig->until([&] { return idle || !rig->drained.empty(); });
                EXPECT_GE(rig->count().fds_dropped, came);
                for (int far : peers) { // closed, or refused with the listener
                    EXPECT_LE(rig->far_recv_result(far), 0);
                }
                expect_empty();
            } else if (end != kReactor) {
                if (end == kClose) {
                    close = rig->submit(&owner, tina_op_close(door));
                } else {
                    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
                }
                rig->take_max = UINT32_MAX;
                rig->take(&owner);
                EXPECT_EQ(last(id, nullptr, &fds).result, TINA_IO_CANCELED);
                EXPECT_GE(fds.size(), came);
                if (end == kClose) {
                    EXPECT_EQ(rig->result(close).result, 0);
                }
                for (tina_fd got : fds) {
                    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(got, "x", 1))).result,
                              1);
                }
                EXPECT_EQ(rig->count().fds_dropped, 0u);
                EXPECT_TRUE(tina_reactor_release(rig->reactor, &owner));
                expect_empty();
            }
            again();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, Multishot, every_variant(), variant_name);
INSTANTIATE_TEST_SUITE_P(All, MultishotEnd, every_variant(), variant_name);

// A backend that counts what it is asked for.
tina_reactor_backend counting;
const tina_reactor_backend *counted;
uint32_t receives_staged;
uint32_t cancels_staged;

uint32_t stage_counted(void *self, const tina_backend_op *ops, uint32_t count) {
    uint32_t taken = counted->stage(self, ops, count);
    for (uint32_t i = 0; i < taken; i++) {
        receives_staged += ops[i].kind == TINA_OP_RECV;
        cancels_staged += ops[i].kind == TINA_OP_CANCEL;
    }
    return taken;
}

class CountingKind : public Kind {
  public:
    explicit CountingKind(std::unique_ptr<Kind> inner) : inner_(std::move(inner)) {}
    const char *name() const override {
        return inner_->name();
    }
    const tina_reactor_backend *backend() override {
        counted = inner_->backend();
        counting = *counted;
        counting.stage = stage_counted;
        receives_staged = cancels_staged = 0;
        return &counting;
    }
    void *options() override {
        return inner_->options();
    }
    std::unique_ptr<Far> far() override {
        return inner_->far();
    }
    uint32_t large_bytes() const override {
        return inner_->large_bytes();
    }
    uint32_t file_bytes() const override {
        return inner_->file_bytes();
    }
    std::string directory() override {
        return inner_->directory();
    }

  private:
    std::unique_ptr<Kind> inner_;
};

uint32_t receives_for_ten_messages(std::unique_ptr<Kind> inner) {
    CountingKind kind(std::move(inner));
    Rig rig(kind);
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = rig.pair(&owner, &peer);
    tina_io_id id = rig.submit(&owner, tina_op_recv_multishot(fd));
    for (int i = 0; i < 10; i++) {
        rig.far_send(peer, "message");
        EXPECT_EQ(rig.result(id).result, 7);
    }
    rig.turn();
    rig.far->close(peer);
    return receives_staged;
}

TEST(MultishotCost, OneSubmissionServesAllMessagesWhereTheKernelKnowsHow) {
    EXPECT_EQ(receives_for_ten_messages(uring()), 1u);
    EXPECT_EQ(receives_for_ten_messages(uring_without<IORING_SETUP_DEFER_TASKRUN>()), 1u);
    EXPECT_EQ(receives_for_ten_messages(scripted()), 1u);
    EXPECT_EQ(receives_for_ten_messages(uring_without<IORING_SETUP_SINGLE_ISSUER>()), 11u);
}

TEST(MultishotCost, AnOwnerThatTakesAllInItsTurnIsNotInterrupted) {
    CountingKind kind(scripted());
    Sizes sizes;
    sizes.buffer_bytes = 64;
    Rig rig(kind, sizes);
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = rig.pair(&owner, &peer);
    (void)rig.submit(&owner, tina_op_recv_multishot(fd));
    std::string flood = pattern(2 * TINA_MULTISHOT_UNTAKEN_MAX * 64);
    for (int round = 0; round < 5; round++) {
        rig.completions.clear();
        rig.far_send(peer, flood);
        rig.turn(); // takes all
        EXPECT_EQ(rig.completions.size(), 2 * TINA_MULTISHOT_UNTAKEN_MAX);
    }
    EXPECT_EQ(cancels_staged, 0u);
    EXPECT_EQ(receives_staged, 1u);
    EXPECT_EQ(rig.count().multishot_pauses, 0u);

    // One that leaves some is, once, until it has taken them.
    rig.take_max = TINA_MULTISHOT_UNTAKEN_MAX + 4;
    rig.far_send(peer, flood);
    for (int i = 0; i < 3; i++) {
        rig.turn();
    }
    EXPECT_EQ(cancels_staged, 1u);
    EXPECT_EQ(receives_staged, 1u);
    EXPECT_EQ(rig.count().multishot_pauses, 1u);
    rig.take(&owner);
    rig.far_send(peer, "more");
    rig.turn();
    EXPECT_EQ(receives_staged, 2u);
    EXPECT_EQ(rig.completions.back().data, "more");
}

} // namespace
