// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Streams: what arrives, what leaves, and how they end.

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

class Stream : public Suite {};

TEST_P(Stream, EchoesWhatThePeerSent) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    rig->far_send(peer, "hello");
    tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 100));
    tina_reactor_set_companion(rig->reactor, id, 77);
    Completion got = rig->result(id);
    EXPECT_EQ(got.kind, TINA_OP_RECV);
    EXPECT_EQ(got.result, 5);
    EXPECT_EQ(got.bytes, 5u);
    EXPECT_EQ(got.companion, 77u);
    EXPECT_EQ(got.fd.bits, fd.bits);
    EXPECT_EQ(got.owner, 1u);
    EXPECT_EQ(got.data, "hello");
    Completion sent = rig->result(rig->submit(&owner, tina_op_send(fd, got.data.data(), 5)));
    EXPECT_EQ(sent.result, 5);
    EXPECT_EQ(sent.bytes, 5u);
    EXPECT_EQ(sent.companion, 0u);
    EXPECT_EQ(rig->far_recv(peer, 5), "hello");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    EXPECT_EQ(rig->far_recv_result(peer), 0);
    expect_empty();
}

TEST_P(Stream, NeverReceivesMoreThanAskedNorThanABufferHolds) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(3000);
    rig->far_send(peer, bytes);
    std::string got = rig->result(rig->submit(&owner, tina_op_recv(fd, 10))).data;
    EXPECT_EQ(got, bytes.substr(0, 10));
    while (got.size() < bytes.size()) {
        Completion more = rig->result(rig->submit(&owner, tina_op_recv(fd, UINT32_MAX)));
        ASSERT_GT(more.result, 0);
        ASSERT_LE(more.result, 1024);
        got += more.data;
    }
    EXPECT_EQ(got, bytes);
}

TEST_P(Stream, SendsEverythingToASlowReader) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(large);
    tina_io_id id = rig->submit(&owner, tina_op_send(fd, bytes.data(), large));
    for (int i = 0; i < 5; i++) {
        rig->turn();
    }
    EXPECT_FALSE(rig->has(id));
    EXPECT_TRUE(rig->far_recv(peer, large) == bytes);
    Completion sent = rig->result(id);
    EXPECT_EQ(sent.result, static_cast<int32_t>(large));
    EXPECT_EQ(sent.bytes, large);
}

TEST_P(Stream, ASendOfSomeCompletesPartially) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(large);
    tina_io_op op = tina_op_send(fd, bytes.data(), large);
    op.flags = TINA_IO_SOME;
    Completion sent = rig->result(rig->submit(&owner, op));
    ASSERT_GT(sent.result, 0);
    EXPECT_LT(sent.result, static_cast<int32_t>(large));
    EXPECT_EQ(sent.bytes, static_cast<uint32_t>(sent.result));
    EXPECT_TRUE(rig->far_recv(peer, sent.bytes) == bytes.substr(0, sent.bytes));
}

TEST_P(Stream, AHalfClosedConnectionStillSends) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    rig->far_send(peer, "last");
    rig->far->shutdown(peer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 100))).data, "last");
    for (int i = 0; i < 3; i++) {
        Completion end = rig->result(rig->submit(&owner, tina_op_recv(fd, 100)));
        EXPECT_EQ(end.result, 0);
        EXPECT_EQ(end.buffer, TINA_IO_NO_BUFFER);
    }
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "answer", 6))).result, 6);
    EXPECT_EQ(rig->far_recv(peer, 6), "answer");
    EXPECT_EQ(tina_reactor_shutdown(rig->reactor, &owner, fd, TINA_SHUTDOWN_WRITE), 0);
    EXPECT_EQ(rig->far_recv_result(peer), 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, -EPIPE);
}

TEST_P(Stream, AResetIsAnErrorOfTheReceiveInFlight) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 100));
    rig->turn();
    rig->far->reset(peer);
    forget(peer);
    EXPECT_EQ(rig->result(id).result, -ECONNRESET);
    EXPECT_LT(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, 0);
}

TEST_P(Stream, OurResetReachesThePeer) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    EXPECT_EQ(tina_reactor_set_option(rig->reactor, &owner, fd, TINA_OPTION_LINGER, 0), 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    EXPECT_EQ(rig->far_recv_result(peer), -ECONNRESET);
}

TEST_P(Stream, FullDuplexOnOneFd) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(large);
    tina_io_id send = rig->submit(&owner, tina_op_send(fd, bytes.data(), large));
    tina_io_id recv = rig->submit(&owner, tina_op_recv(fd, 100));
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 100)), TINA_IO_BUSY);
    EXPECT_EQ(rig->refused(&owner, tina_op_send(fd, "x", 1)), TINA_IO_BUSY);
    rig->turn();
    rig->far_send(peer, "meanwhile");
    EXPECT_EQ(rig->result(recv).data, "meanwhile");
    EXPECT_FALSE(rig->has(send));
    EXPECT_TRUE(rig->far_recv(peer, large) == bytes);
    EXPECT_EQ(rig->result(send).result, static_cast<int32_t>(large));
}

TEST_P(Stream, CarriesThousandsOfOpsAtOnce) {
    Sizes sizes;
    sizes.fds = 600;
    sizes.ops = 2048;
    sizes.buffers = 256;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    constexpr size_t kPairs = 250;
    std::vector<tina_fd> fds(kPairs);
    for (tina_fd &fd : fds) {
        int peer;
        fd = pair(&owner, &peer);
    }
    for (int round = 0; round < 8; round++) {
        std::vector<tina_io_id> ids;
        for (size_t i = 0; i < kPairs; i++) {
            ids.push_back(rig->submit(&owner, tina_op_recv(fds[i], 100)));
            ids.push_back(rig->submit(&owner, tina_op_send(fds[i], "abcd", 4)));
        }
        for (size_t i = 0; i < kPairs; i++) {
            ASSERT_EQ(rig->far->send(peers[i], "xyz", 3), 3);
        }
        rig->until([&] { return rig->completions.size() == ids.size(); });
        for (const Completion &c : rig->completions) {
            ASSERT_EQ(c.result, c.kind == TINA_OP_RECV ? 3 : 4);
        }
        rig->completions.clear();
        for (size_t i = 0; i < kPairs; i++) {
            ASSERT_EQ(rig->far_recv(peers[i], 4), "abcd");
        }
    }
    for (size_t i = 0; i < kPairs; i++) {
        (void)rig->submit(&owner, tina_op_recv(fds[i], 100));
    }
    rig->turn();
    EXPECT_FALSE(tina_reactor_release(rig->reactor, &owner));
    rig->until([&] { return rig->drained.size() == 1; });
    expect_empty();
}

INSTANTIATE_TEST_SUITE_P(All, Stream, every_variant(), variant_name);

} // namespace
