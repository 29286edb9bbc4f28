// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Poll: what would not wait, and no result before.

#include <errno.h>

#include <gtest/gtest.h>

#include <string>

#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

class Poll : public Suite {};

TEST_P(Poll, TellsWhenThereIsSomethingToRead) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_poll(fd, TINA_POLL_READ));
    rig->turn();
    EXPECT_FALSE(rig->has(id));
    rig->far_send(peer, "data");
    Completion c = rig->result(id);
    EXPECT_EQ(c.kind, TINA_OP_POLL);
    EXPECT_EQ(c.result, static_cast<int32_t>(TINA_POLL_READ));
    EXPECT_EQ(c.bytes, 0u);
    EXPECT_EQ(c.buffer, TINA_IO_NO_BUFFER);
    // It takes nothing, so it tells again.
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_poll(fd, TINA_POLL_READ))).result,
              static_cast<int32_t>(TINA_POLL_READ));
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 10))).data, "data");
    id = rig->submit(&owner, tina_op_poll(fd, TINA_POLL_READ));
    rig->turn();
    EXPECT_FALSE(rig->has(id));
    rig->far->shutdown(peer);
    EXPECT_NE(rig->result(id).result & static_cast<int32_t>(TINA_POLL_READ), 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 10))).result, 0);
}

TEST_P(Poll, TellsWhenThereIsRoomToWrite) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_poll(fd, TINA_POLL_WRITE))).result,
              static_cast<int32_t>(TINA_POLL_WRITE));
    // The kernel finds room for more for a while.
    std::string bytes = pattern(large);
    size_t sent = 0;
    tina_io_id id = {};
    for (int i = 0; i < 100; i++) {
        id = rig->submit(&owner, tina_op_poll(fd, TINA_POLL_WRITE));
        rig->turn();
        rig->turn();
        if (!rig->has(id)) {
            break;
        }
        (void)rig->result(id);
        tina_io_id send = rig->submit(&owner, tina_op_send_some(fd, bytes.data(), large));
        sent += rig->result(send).bytes;
    }
    EXPECT_FALSE(rig->has(id));
    EXPECT_EQ(rig->far_recv(peer, sent).size(), sent);
    EXPECT_EQ(rig->result(id).result, static_cast<int32_t>(TINA_POLL_WRITE));
}

TEST_P(Poll, ABothWayPollTellsWhatIsReady) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    uint32_t both = TINA_POLL_READ | TINA_POLL_WRITE;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_poll(fd, both))).result,
              static_cast<int32_t>(TINA_POLL_WRITE));
    rig->far_send(peer, "x");
    rig->until([&] {
        return rig->result(rig->submit(&owner, tina_op_poll(fd, both))).result ==
               static_cast<int32_t>(both);
    });
}

TEST_P(Poll, AResetIsAResult) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_poll(fd, TINA_POLL_READ));
    rig->turn();
    rig->far->reset(peer);
    forget(peer);
    EXPECT_NE(rig->result(id).result & static_cast<int32_t>(TINA_POLL_ERROR | TINA_POLL_HANG_UP),
              0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 1))).result, -ECONNRESET);
}

TEST_P(Poll, AListenerIsReadyWhenSomebodyKnocks) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    tina_io_id id = rig->submit(&owner, tina_op_poll(door, TINA_POLL_READ));
    rig->turn();
    EXPECT_FALSE(rig->has(id));
    peers.push_back(rig->far->connect(address));
    EXPECT_EQ(rig->result(id).result, static_cast<int32_t>(TINA_POLL_READ));
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_accept(door))).result, 0);
}

TEST_P(Poll, AFileNeverWaits) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", TINA_OPEN_READ | TINA_OPEN_WRITE | TINA_OPEN_CREATE);
    uint32_t both = TINA_POLL_READ | TINA_POLL_WRITE;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_poll(fd, both))).result,
              static_cast<int32_t>(both));
}

TEST_P(Poll, IsTheOpInFlightOfItsDirections) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_poll(fd, TINA_POLL_READ));
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 1)), TINA_IO_BUSY);
    EXPECT_EQ(rig->refused(&owner, tina_op_poll(fd, TINA_POLL_READ)), TINA_IO_BUSY);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, 1);
    tina_fd writer = tina_fd_with_rights(fd, 2);
    EXPECT_EQ(rig->refused(&owner, tina_op_poll(writer, TINA_POLL_READ)), TINA_IO_NO_RIGHT);
    for (uint32_t what : {0u, 2u, 8u, 16u, 5u + 8u, UINT32_MAX}) {
        EXPECT_EQ(rig->refused(&owner, tina_op_poll(fd, what)), TINA_IO_BAD_OP);
    }
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
    EXPECT_EQ(rig->result(id).result, TINA_IO_TIMED_OUT);
    tina_io_id last = rig->submit(&owner, tina_op_poll(fd, TINA_POLL_READ));
    rig->turn();
    tina_io_id close = rig->submit(&owner, tina_op_close(fd));
    EXPECT_EQ(rig->result(last).result, TINA_IO_CANCELED);
    EXPECT_EQ(rig->result(close).result, 0);
    expect_empty();
}

INSTANTIATE_TEST_SUITE_P(All, Poll, every_variant(), variant_name);

} // namespace
