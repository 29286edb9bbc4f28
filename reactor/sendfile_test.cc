// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Sendfile: a file's bytes on a stream, at the reader's pace.

#include <errno.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

class Sendfile : public Suite {
  protected:
    static constexpr uint32_t kBuffer = 8192;
    void begin(Sizes sizes = Sizes()) {
        sizes.buffer_bytes = kBuffer;
        open(sizes);
        fd = pair(&owner, &peer);
        source = file(&owner, "a", TINA_OPEN_READ | TINA_OPEN_WRITE | TINA_OPEN_CREATE);
        bytes = pattern(kind->file_bytes());
        size = static_cast<uint32_t>(bytes.size());
        ASSERT_EQ(write(&owner, source, 0, bytes), static_cast<int32_t>(size));
    }
    tina_reactor_owner owner = owner_of(1);
    int peer = -1;
    tina_fd fd = {};
    tina_fd source = {};
    std::string bytes;
    uint32_t size = 0;
};

TEST_P(Sendfile, SendsAllToASlowReader) {
    begin();
    tina_io_id id = rig->submit(&owner, tina_op_sendfile(fd, source, 0, size));
    EXPECT_TRUE(rig->far_recv(peer, size) == bytes);
    Completion c = rig->result(id);
    EXPECT_EQ(c.kind, TINA_OP_SENDFILE);
    EXPECT_EQ(c.result, static_cast<int32_t>(size));
    EXPECT_EQ(c.bytes, size);
    EXPECT_EQ(c.fd.bits, fd.bits);
    EXPECT_EQ(c.buffer, TINA_IO_NO_BUFFER);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
    for (uint32_t part : {1u, kBuffer - 1, kBuffer + 0, kBuffer + 1}) {
        id = rig->submit(&owner, tina_op_sendfile(fd, source, 5, part));
        EXPECT_TRUE(rig->far_recv(peer, part) == bytes.substr(5, part));
        EXPECT_EQ(rig->result(id).result, static_cast<int32_t>(part));
    }
    EXPECT_EQ(closed(&owner, source), 0);
    EXPECT_EQ(closed(&owner, fd), 0);
    EXPECT_EQ(rig->far_recv_result(peer), 0);
    expect_empty();
}

TEST_P(Sendfile, TheEndOfTheFileIsItsEnd) {
    begin();
    tina_io_id id = rig->submit(&owner, tina_op_sendfile(fd, source, size - 1500, INT32_MAX));
    EXPECT_TRUE(rig->far_recv(peer, 1500) == bytes.substr(size - 1500));
    EXPECT_EQ(rig->result(id).result, 1500);
    Completion c = rig->result(rig->submit(&owner, tina_op_sendfile(fd, source, size, 1)));
    EXPECT_EQ(c.result, 0);
    EXPECT_EQ(c.bytes, 0u);
    tina_io_op some = tina_op_sendfile(fd, source, 0, size);
    some.flags = TINA_IO_SOME;
    c = rig->result(rig->submit(&owner, some));
    ASSERT_GT(c.result, 0);
    EXPECT_LE(c.result, static_cast<int32_t>(kBuffer));
    EXPECT_TRUE(rig->far_recv(peer, c.bytes) == bytes.substr(0, c.bytes));
}

TEST_P(Sendfile, IsTheOpInFlightOfBothAndEndsWithEither) {
    begin();
    std::string full = pattern(large);
    for (int which = 0; which < 2; which++) {
        tina_fd to = pair(&owner, &peer);
        tina_fd from = file(&owner, "a", TINA_OPEN_READ);
        tina_io_id fill = rig->submit(&owner, tina_op_send(to, full.data(), large));
        for (int i = 0; i < 5; i++) {
            rig->turn();
        }
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, fill, TINA_IO_CANCELED));
        (void)rig->result(fill); // nothing more finds room
        tina_io_id id = rig->submit(&owner, tina_op_sendfile(to, from, 0, size));
        EXPECT_EQ(rig->refused(&owner, tina_op_read(from, 0, 1)), TINA_IO_BUSY);
        EXPECT_EQ(rig->refused(&owner, tina_op_send(to, "x", 1)), TINA_IO_BUSY);
        EXPECT_EQ(tina_reactor_movable(rig->reactor, &owner, from), TINA_IO_BUSY);
        rig->until([&] { return rig->count().buffers_in_use == 1; });
        tina_fd victim = which == 0 ? to : from;
        tina_io_id close = rig->submit(&owner, tina_op_close(victim));
        EXPECT_EQ(rig->result(id).result, TINA_IO_CANCELED);
        EXPECT_EQ(rig->result(close).result, 0);
        EXPECT_EQ(closed(&owner, which == 0 ? from : to), 0);
        EXPECT_EQ(rig->count().buffers_in_use, 0u);
    }
}

TEST_P(Sendfile, ACancelTellsHowMuchWent) {
    begin();
    for (int turns = 0; turns < 12; turns++) {
        tina_io_id id = rig->submit(&owner, tina_op_sendfile(fd, source, 0, size));
        for (int i = 0; i < turns; i++) {
            EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
            rig->reap();
        }
        (void)tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT);
        Completion c = rig->result(id);
        EXPECT_TRUE(c.result == TINA_IO_TIMED_OUT || c.bytes == size);
        EXPECT_TRUE(rig->far_recv(peer, c.bytes) == bytes.substr(0, c.bytes));
        EXPECT_EQ(rig->count().buffers_in_use, 0u);
    }
    EXPECT_EQ(closed(&owner, fd), 0);
    EXPECT_EQ(rig->far_recv_result(peer), 0); // and not a byte more
}

TEST_P(Sendfile, ErrorsOfEitherSideEndIt) {
    begin();
    EXPECT_EQ(rig->refused(&owner, tina_op_sendfile(fd, fd, 0, 1)), TINA_IO_BAD_OP);
    EXPECT_EQ(rig->refused(&owner, tina_op_sendfile(fd, tina_fd_none(), 0, 1)), TINA_IO_BAD_FD);
    tina_fd other = file(&owner, "b", TINA_OPEN_READ | TINA_OPEN_WRITE | TINA_OPEN_CREATE);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendfile(other, source, 0, 9))).result,
              -ENOTSOCK);
    tina_fd directory = opened(&owner, kind->directory(), TINA_OPEN_READ).fd;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendfile(fd, directory, 0, 9))).result,
              -EISDIR);
    EXPECT_EQ(tina_reactor_shutdown(rig->reactor, &owner, fd, TINA_SHUTDOWN_WRITE), 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendfile(fd, source, 0, 9))).result, -EPIPE);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_read(source, 0, 9))).data,
              bytes.substr(0, 9));
}

TEST_P(Sendfile, ManyShareFewBuffers) {
    Sizes sizes;
    sizes.buffers = 2;
    begin(sizes);
    constexpr size_t kPeers = 6;
    std::vector<int> ends(kPeers);
    std::vector<tina_io_id> ids;
    for (int &end : ends) {
        tina_fd to = pair(&owner, &end);
        ids.push_back(rig->submit(
            &owner, tina_op_sendfile(to, file(&owner, "a", TINA_OPEN_READ), 0, size / 4)));
    }
    std::vector<std::string> got(kPeers);
    std::vector<char> some(65536);
    rig->until([&] {
        bool all = true;
        for (size_t i = 0; i < kPeers; i++) {
            int result = rig->far->recv(ends[i], some.data(), 65536);
            got[i].append(some.data(), result > 0 ? static_cast<size_t>(result) : 0);
            all = all && got[i].size() == size / 4;
        }
        EXPECT_LE(rig->count().buffers_in_use, 2u);
        return all;
    });
    for (size_t i = 0; i < kPeers; i++) {
        EXPECT_TRUE(got[i] == bytes.substr(0, size / 4));
        EXPECT_EQ(rig->result(ids[i]).result, static_cast<int32_t>(size / 4));
    }
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(Sendfile, ACancelWhileNoBufferIsFreeIsACancel) {
    Sizes sizes;
    sizes.buffers = 1;
    begin(sizes);
    tina_fd other = file(&owner, "a", TINA_OPEN_READ);
    rig->keep_buffers = true;
    Completion holder = rig->result(rig->submit(&owner, tina_op_read(other, 0, 9)));
    tina_io_id ids[] = {rig->submit(&owner, tina_op_sendfile(fd, source, 0, size)),
                        rig->submit(&owner, tina_op_read(other, 0, 9))};
    tina_reactor_flush(rig->reactor);
    EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
    for (tina_io_id id : ids) { // what came of them is not known yet
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
    }
    for (tina_io_id id : ids) {
        EXPECT_EQ(rig->result(id).result, TINA_IO_TIMED_OUT);
    }
    rig->give(holder);
}

TEST_P(Sendfile, ReleaseGivesItsBufferBack) {
    begin();
    for (int turns = 0; turns < 6; turns++) {
        tina_reactor_owner dying = owner_of(2);
        int end;
        tina_fd to = pair(&dying, &end);
        tina_fd from = file(&dying, "a", TINA_OPEN_READ);
        (void)rig->submit(&dying, tina_op_sendfile(to, from, 0, size));
        for (int i = 0; i < turns; i++) {
            EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
            rig->reap();
        }
        rig->drained.clear();
        if (!tina_reactor_release(rig->reactor, &dying)) {
            rig->until([&] { return !rig->drained.empty(); });
        }
        std::string got = rig->far_recv(end, SIZE_MAX);
        EXPECT_TRUE(got == bytes.substr(0, got.size()));
        EXPECT_EQ(rig->count().buffers_in_use, 0u);
        EXPECT_EQ(rig->count().fds_in_use, 2u);
    }
}

INSTANTIATE_TEST_SUITE_P(All, Sendfile, every_variant(), variant_name);

} // namespace
