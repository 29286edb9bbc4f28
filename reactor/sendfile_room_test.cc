// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Sendfile to readers that leave no room: it takes none of the buffers
// that others need, and ends in that state as in any other.

#include <errno.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

// A connection that took nearly as much as it holds, and whose reader takes nothing.
struct Full {
    tina_fd fd;
    int peer;
    uint32_t bytes;
};

class SendfileRoom : public Suite {
  protected:
    static constexpr uint32_t kBuffer = 8192;
    void begin(uint32_t buffers) {
        Sizes sizes;
        sizes.buffers = buffers;
        sizes.buffer_bytes = kBuffer;
        open(sizes);
        filling = pattern(large);
        bytes = pattern(kind->file_bytes());
        size = static_cast<uint32_t>(bytes.size());
        tina_fd fd = file(&owner, "a", TINA_OPEN_WRITE | TINA_OPEN_CREATE);
        ASSERT_EQ(write(&owner, fd, 0, bytes), static_cast<int32_t>(size));
        EXPECT_EQ(closed(&owner, fd), 0);
    }
    tina_fd source(tina_reactor_owner *of) {
        return file(of, "a", TINA_OPEN_READ);
    }
    void turns(int count) {
        for (int i = 0; i < count; i++) {
            rig->turn();
        }
    }
    Full full(tina_reactor_owner *of) {
        Full to = {};
        to.fd = pair(of, &to.peer);
        for (;;) {
            tina_io_id room = rig->submit(of, tina_op_poll(to.fd, TINA_POLL_WRITE));
            turns(2);
            bool more = rig->has(room);
            (void)tina_reactor_cancel(rig->reactor, room, TINA_IO_CANCELED);
            (void)rig->result(room);
            if (!more) {
                return to;
            }
            tina_io_op send = tina_op_send_some(to.fd, &filling[to.bytes], large - to.bytes);
            to.bytes += rig->result(rig->submit(of, send)).bytes;
        }
    }
    // A sendfile that awaits room: while it goes on, every third turn at least sees its buffer.
    tina_io_id stuck(tina_reactor_owner *of, const Full &to, tina_fd from) {
        tina_io_id id = rig->submit(of, tina_op_sendfile(to.fd, from, 0, size));
        int without = 0;
        rig->until([&] { return rig->count().buffers_in_use == 1; });
        rig->until([&] {
            without = rig->count().buffers_in_use == 0 ? without + 1 : 0;
            return without == 4;
        });
        EXPECT_FALSE(rig->has(id));
        return id;
    }
    void released(tina_reactor_owner *of) {
        rig->drained.clear();
        if (!tina_reactor_release(rig->reactor, of)) {
            rig->until([&] { return !rig->drained.empty(); });
        }
    }
    // What the reader takes in so many turns.
    std::string taken(const Full &to, int count) {
        std::string got;
        std::vector<char> some(65536);
        for (int i = 0; i < count; i++) {
            for (int result = 1; result > 0;) {
                result = rig->far->recv(to.peer, some.data(), 65536);
                got.append(some.data(), result > 0 ? static_cast<size_t>(result) : 0);
            }
            rig->turn();
        }
        return got;
    }
    // What the reader gets: what filled the connection, and so much of the file.
    void expect_got(const Full &to, uint32_t count) {
        EXPECT_TRUE(rig->far_recv(to.peer, to.bytes) == filling.substr(0, to.bytes));
        EXPECT_TRUE(rig->far_recv(to.peer, count) == bytes.substr(0, count));
    }
    void expect_got_no_more(const Full &to, uint32_t count) {
        EXPECT_EQ(rig->count().buffers_in_use, 0u);
        expect_got(to, count);
        EXPECT_EQ(rig->far_recv_result(to.peer), 0);
    }
    tina_reactor_owner owner = owner_of(1);
    std::string filling;
    std::string bytes;
    uint32_t size = 0;
};

TEST_P(SendfileRoom, MoreOfThemThanBuffersLeaveThemToOthers) {
    begin(2);
    uint32_t part = size / 4;
    std::vector<Full> slow;
    std::vector<tina_io_id> ids;
    for (int i = 0; i < 6; i++) {
        slow.push_back(full(&owner));
        ids.push_back(
            rig->submit(&owner, tina_op_sendfile(slow.back().fd, source(&owner), 0, part)));
    }
    turns(20);
    rig->until([&] { return rig->count().buffers_in_use == 0; });
    int peer;
    tina_fd fd = pair(&owner, &peer);
    rig->far_send(peer, "hello");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 10))).data, "hello");
    tina_io_id id = rig->submit(&owner, tina_op_sendfile(fd, source(&owner), 0, part));
    EXPECT_TRUE(rig->far_recv(peer, part) == bytes.substr(0, part));
    EXPECT_EQ(rig->result(id).result, static_cast<int32_t>(part));
    for (size_t i = 0; i < slow.size(); i++) {
        EXPECT_FALSE(rig->has(ids[i]));
        expect_got(slow[i], part);
        Completion c = rig->result(ids[i]);
        EXPECT_EQ(c.result, static_cast<int32_t>(part));
        EXPECT_EQ(c.bytes, part);
    }
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(SendfileRoom, ACancelOrADeadlineEndsTheWaitForIt) {
    begin(4);
    for (int32_t reason : {TINA_IO_CANCELED, TINA_IO_TIMED_OUT}) {
        Full to = full(&owner);
        tina_io_id id = stuck(&owner, to, source(&owner));
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, reason));
        Completion c = rig->result(id);
        EXPECT_EQ(c.result, reason);
        EXPECT_LT(c.bytes, size);
        EXPECT_EQ(closed(&owner, to.fd), 0);
        expect_got_no_more(to, c.bytes);
    }
}

TEST_P(SendfileRoom, ACloseOfEitherSideEndsTheWaitForIt) {
    begin(4);
    for (bool of_source : {false, true}) {
        Full to = full(&owner);
        tina_fd from = source(&owner);
        tina_io_id id = stuck(&owner, to, from);
        EXPECT_EQ(rig->refused(&owner, tina_op_read(from, 0, 1)), TINA_IO_BUSY);
        EXPECT_EQ(rig->refused(&owner, tina_op_send(to.fd, "x", 1)), TINA_IO_BUSY);
        EXPECT_EQ(rig->refused(&owner, tina_op_poll(to.fd, TINA_POLL_WRITE)), TINA_IO_BUSY);
        tina_io_id close = rig->submit(&owner, tina_op_close(of_source ? from : to.fd));
        Completion c = rig->result(id);
        EXPECT_EQ(c.result, TINA_IO_CANCELED);
        EXPECT_EQ(rig->result(close).result, 0);
        EXPECT_EQ(closed(&owner, of_source ? to.fd : from), 0);
        expect_got_no_more(to, c.bytes);
    }
    expect_empty();
}

TEST_P(SendfileRoom, AnOwnerThatDiesMeanwhileLeavesNothing) {
    begin(4);
    tina_reactor_owner dying = owner_of(2);
    Full to = full(&dying);
    (void)stuck(&dying, to, source(&dying));
    released(&dying);
    EXPECT_TRUE(rig->far_recv(to.peer, to.bytes) == filling.substr(0, to.bytes));
    std::string got = rig->far_recv(to.peer, SIZE_MAX);
    EXPECT_TRUE(got == bytes.substr(0, got.size()));
    expect_empty();
}

TEST_P(SendfileRoom, AResetMeanwhileIsItsError) {
    begin(4);
    Full to = full(&owner);
    tina_io_id id = stuck(&owner, to, source(&owner));
    rig->far->reset(to.peer);
    forget(to.peer);
    Completion c = rig->result(id);
    EXPECT_TRUE(c.result == -ECONNRESET || c.result == -EPIPE) << c.result;
    EXPECT_LT(c.bytes, size);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(SendfileRoom, AFileThatBecomesShorterMeanwhileEndsThere) {
    begin(4);
    Full to = full(&owner);
    tina_io_id id = stuck(&owner, to, source(&owner));
    EXPECT_EQ(closed(&owner, file(&owner, "a", TINA_OPEN_WRITE | TINA_OPEN_TRUNCATE)), 0);
    EXPECT_TRUE(rig->far_recv(to.peer, to.bytes) == filling.substr(0, to.bytes));
    Completion c = rig->result(id);
    ASSERT_GE(c.result, 0);
    EXPECT_LT(c.bytes, size);
    EXPECT_EQ(c.result, static_cast<int32_t>(c.bytes));
    EXPECT_TRUE(rig->far_recv(to.peer, c.bytes) == bytes.substr(0, c.bytes));
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(SendfileRoom, OneThatIsContentWithAPartAwaitsSomeToo) {
    begin(4);
    Full to = full(&owner);
    tina_io_op some = tina_op_sendfile(to.fd, source(&owner), 0, size);
    some.flags = TINA_IO_SOME;
    tina_io_id id = rig->submit(&owner, some);
    turns(10);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
    expect_got(to, 1);
    Completion c = rig->result(id);
    ASSERT_GT(c.result, 0);
    EXPECT_LE(c.result, static_cast<int32_t>(kBuffer));
    EXPECT_TRUE(rig->far_recv(to.peer, c.bytes - 1) == bytes.substr(1, c.bytes - 1));
}

// When there is room, it takes its turn among all who wait for a buffer.
TEST_P(SendfileRoom, ThenItAwaitsABufferInTheOrderOfArrival) {
    begin(1);
    Full to = full(&owner);
    tina_io_id id = stuck(&owner, to, source(&owner));
    int peer;
    tina_fd fd = pair(&owner, &peer);
    rig->keep_buffers = true;
    Completion holder = rig->result(rig->submit(&owner, tina_op_read(source(&owner), 0, 9)));
    ASSERT_EQ(holder.result, 9);
    uint32_t before = static_cast<uint32_t>(taken(to, 6).size()) - to.bytes;
    tina_io_id receive = rig->submit(&owner, tina_op_recv(fd, 10));
    rig->far_send(peer, "hello");
    turns(6);
    EXPECT_FALSE(rig->has(receive));
    rig->keep_buffers = false;
    rig->give(holder);
    EXPECT_EQ(rig->result(receive).data, "hello");
    (void)tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED);
    EXPECT_GT(rig->result(id).bytes, before); // it was there first
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(SendfileRoom, ItEndsInEveryStep) {
    begin(1);
    tina_fd other = source(&owner);
    for (int steps = 0; steps < 10; steps++) {
        bool dies = steps % 2 != 0;
        tina_reactor_owner of = owner_of(2);
        Full to = full(&of);
        tina_io_id id = rig->submit(&of, tina_op_sendfile(to.fd, source(&of), 0, size));
        std::string got;
        std::vector<char> some(3000);
        for (int i = 0; i < steps; i++) {
            (void)rig->submit(&owner, tina_op_read(other, 0, 9)); // takes the buffer, if it can
            EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
            rig->reap();
            rig->until([&] { return owner.ops_in_flight == 0; });
            int result = rig->far->recv(to.peer, some.data(), 3000);
            got.append(some.data(), result > 0 ? static_cast<size_t>(result) : 0);
        }
        uint32_t sent = UINT32_MAX;
        if (!dies) {
            (void)tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT);
            Completion c = rig->result(id);
            EXPECT_TRUE(c.result == TINA_IO_TIMED_OUT || c.bytes == size);
            sent = to.bytes + c.bytes;
        }
        released(&of);
        EXPECT_EQ(rig->count().buffers_in_use, 0u);
        got += rig->far_recv(to.peer, SIZE_MAX);
        EXPECT_TRUE(got == (filling.substr(0, to.bytes) + bytes).substr(0, got.size()));
        EXPECT_TRUE(dies || got.size() == sent);
    }
}

TEST_P(SendfileRoom, AResetOfTheReactorEndsItToo) {
    begin(4);
    Full to = full(&owner);
    (void)stuck(&owner, to, source(&owner));
    EXPECT_TRUE(tina_reactor_reset(rig->reactor));
    owner = owner_of(1);
    expect_empty();
    tina_reactor_verify(rig->reactor);
}

INSTANTIATE_TEST_SUITE_P(All, SendfileRoom, every_variant(), variant_name);

} // namespace
