// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Cancels before, during and after, and closes with ops in flight.

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

class Cancel : public Suite {};

TEST_P(Cancel, ACancelBeforeFlushCompletesAtTheNextReapAndSendsNothing) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_send(fd, "never", 5));
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
    EXPECT_FALSE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    Completion canceled = rig->result(id);
    EXPECT_EQ(canceled.result, TINA_IO_TIMED_OUT);
    EXPECT_EQ(canceled.bytes, 0u);
    EXPECT_FALSE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    EXPECT_EQ(rig->far_recv_result(peer), 0);
    EXPECT_EQ(rig->count().canceled, 1u);
}

TEST_P(Cancel, ACancelInFlightKeepsTheFirstReasonAndTheFdUsable) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    for (int32_t reason : {TINA_IO_TIMED_OUT, TINA_IO_CANCELED}) {
        tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 100));
        rig->turn();
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, reason));
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
        EXPECT_EQ(rig->result(id).result, reason);
    }
    rig->far_send(peer, "still here");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 100))).data, "still here");
}

TEST_P(Cancel, AStaleIdCancelsNobodyElse) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id old = rig->submit(&owner, tina_op_send(fd, "x", 1));
    EXPECT_EQ(rig->result(old).result, 1);
    tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 10));
    EXPECT_EQ(static_cast<uint32_t>(id.bits), static_cast<uint32_t>(old.bits)); // the same row
    EXPECT_FALSE(tina_reactor_cancel(rig->reactor, old, TINA_IO_CANCELED));
    rig->turn();
    EXPECT_FALSE(tina_reactor_cancel(rig->reactor, old, TINA_IO_CANCELED));
    for (uint64_t bits : {UINT64_C(0), UINT64_C(1), UINT64_MAX, UINT64_C(1) << 32}) {
        EXPECT_FALSE(tina_reactor_cancel(rig->reactor, {bits}, TINA_IO_CANCELED));
    }
    rig->far_send(peer, "unharmed");
    EXPECT_EQ(rig->result(id).data, "unharmed");
}

TEST_P(Cancel, AcceptAndConnectCanBeCanceled) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    tina_io_id id = rig->submit(&owner, tina_op_accept(door));
    rig->turn();
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    EXPECT_EQ(rig->result(id).result, TINA_IO_CANCELED);
    tina_fd fd;
    ASSERT_EQ(tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
              0);
    id = rig->submit(&owner, tina_op_connect(fd, &address));
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    EXPECT_EQ(rig->result(id).result, TINA_IO_CANCELED);
}

TEST_P(Cancel, WhatAReceiveGotBeforeItsCancelIsNotLost) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    // Whichever wins, each byte is delivered exactly once.
    std::string sent;
    std::string got;
    for (int i = 0; i < 200; i++) {
        tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 100));
        if (i % 3 != 0) {
            rig->turn();
        }
        std::string word = std::to_string(i) + " ";
        rig->far_send(peer, word);
        sent += word;
        (void)tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED);
        Completion c = rig->result(id);
        ASSERT_TRUE(c.result > 0 || c.result == TINA_IO_CANCELED) << c.result;
        got += c.data;
    }
    while (got.size() < sent.size()) {
        got += rig->result(rig->submit(&owner, tina_op_recv(fd, 1024))).data;
    }
    EXPECT_EQ(got, sent);
}

TEST_P(Cancel, ACanceledSendTellsHowMuchWent) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(large);
    tina_io_id id = rig->submit(&owner, tina_op_send(fd, bytes.data(), large));
    for (int i = 0; i < 5; i++) {
        rig->turn();
    }
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED));
    Completion canceled = rig->result(id);
    EXPECT_EQ(canceled.result, TINA_IO_CANCELED);
    EXPECT_GT(canceled.bytes, 0u);
    EXPECT_LT(canceled.bytes, large);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    EXPECT_TRUE(rig->far_recv(peer, large) == bytes.substr(0, canceled.bytes));
}

TEST_P(Cancel, CloseCompletesAfterTheOtherOpsOfItsFd) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(large);
    tina_io_id send = rig->submit(&owner, tina_op_send(fd, bytes.data(), large));
    tina_io_id recv = rig->submit(&owner, tina_op_recv(fd, 100));
    rig->turn();
    tina_io_id close = rig->submit(&owner, tina_op_close(fd));
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, close, TINA_IO_TIMED_OUT)); // never stopped
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 100)), TINA_IO_BAD_FD);
    EXPECT_EQ(rig->refused(&owner, tina_op_close(fd)), TINA_IO_BAD_FD);
    rig->until([&] { return rig->completions.size() == 3; });
    EXPECT_EQ(rig->completions[2].id.bits, close.bits);
    EXPECT_EQ(rig->completions[2].result, 0);
    EXPECT_EQ(rig->completions[2].fd.bits, fd.bits);
    EXPECT_EQ(rig->result(send).result, TINA_IO_CANCELED);
    EXPECT_EQ(rig->result(recv).result, TINA_IO_CANCELED);
    expect_empty();
}

TEST_P(Cancel, CloseOfOpsThatAreOnlyStagedReachesTheBackendAlone) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id send = rig->submit(&owner, tina_op_send(fd, "never", 5));
    tina_io_id recv = rig->submit(&owner, tina_op_recv(fd, 5));
    tina_io_id close = rig->submit(&owner, tina_op_close(fd));
    EXPECT_EQ(rig->result(send).result, TINA_IO_CANCELED);
    EXPECT_EQ(rig->result(recv).result, TINA_IO_CANCELED);
    EXPECT_EQ(rig->result(close).result, 0);
    EXPECT_EQ(rig->far_recv_result(peer), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Cancel, every_variant(), variant_name);

} // namespace
