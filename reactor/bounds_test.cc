// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. What is out of range is refused; what is full says so, and recovers.

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

class Bounds : public Suite {};

TEST_P(Bounds, AFieldOutOfRangeIsRefused) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    tina_address address = {};
    tina_io_op multishot = tina_op_recv(fd, 1);
    multishot.flags = TINA_IO_MULTISHOT;
    tina_io_op some = tina_op_recv(fd, 1);
    some.flags = TINA_IO_SOME;
    tina_io_op unknown = tina_op_recv(fd, 1);
    unknown.kind = TINA_OP_KIND_COUNT;
    tina_io_op cancel = tina_op_recv(fd, 1);
    cancel.kind = TINA_OP_CANCEL;
    for (const tina_io_op &op :
         {tina_io_op(), multishot, some, unknown, cancel, tina_op_recv(fd, 0),
          tina_op_send(fd, nullptr, 1), tina_op_send(fd, "", 0), tina_op_send(fd, "", UINT32_MAX),
          tina_op_connect(fd, nullptr), tina_op_connect(fd, &address)}) {
        EXPECT_EQ(rig->refused(&owner, op), TINA_IO_BAD_OP);
    }
}

TEST_P(Bounds, AnAddressOrOptionOutOfRangeIsRefused) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_reactor *r = rig->reactor;
    tina_fd fd;
    ASSERT_EQ(tina_reactor_socket(r, &owner, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM, &fd), 0);
    tina_address address = {};
    EXPECT_EQ(tina_reactor_bind(r, &owner, fd, &address), TINA_IO_BAD_OP);
    address.family = TINA_ADDRESS_UNIX;
    for (int bytes : {0, TINA_UNIX_PATH_BYTES_MAX + 1, 255}) {
        address.path_bytes = static_cast<uint8_t>(bytes);
        EXPECT_EQ(tina_reactor_bind(r, &owner, fd, &address), TINA_IO_BAD_OP);
        EXPECT_EQ(rig->refused(&owner, tina_op_connect(fd, &address)), TINA_IO_BAD_OP);
    }
    address.family = 4;
    EXPECT_EQ(tina_reactor_bind(r, &owner, fd, &address), TINA_IO_BAD_OP);
    struct {
        tina_socket_option option;
        int32_t value;
    } bad[] = {{TINA_OPTION_REUSE_ADDRESS, 2}, {TINA_OPTION_NO_DELAY, -1},
               {TINA_OPTION_RECV_BUFFER, 0},   {TINA_OPTION_SEND_BUFFER, INT32_MIN},
               {TINA_OPTION_LINGER, -1},       {TINA_OPTION_KEEP_ALIVE_S, 0},
               {TINA_OPTION_UNSENT_BYTES, 0},  {TINA_OPTION_COUNT, 0}};
    for (const auto &b : bad) {
        EXPECT_EQ(tina_reactor_set_option(r, &owner, fd, b.option, b.value), TINA_IO_BAD_OP);
    }
    EXPECT_EQ(tina_reactor_set_option(r, &owner, fd, TINA_OPTION_KEEP_ALIVE, 1), 0);
}

TEST_P(Bounds, AFullOpTableRefusesAndRecovers) {
    Sizes sizes;
    sizes.ops = 4;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_fd doors[5];
    tina_io_id ids[4];
    tina_address address;
    for (tina_fd &door : doors) {
        door = rig->listener(&owner, &address);
    }
    for (int i = 0; i < 4; i++) {
        ids[i] = rig->submit(&owner, tina_op_accept(doors[i]));
    }
    EXPECT_EQ(rig->refused(&owner, tina_op_accept(doors[4])), TINA_IO_OPS_FULL);
    EXPECT_EQ(rig->refused(&owner, tina_op_close(doors[4])), TINA_IO_OPS_FULL);
    rig->turn();
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, ids[2], TINA_IO_CANCELED));
    EXPECT_EQ(rig->result(ids[2]).result, TINA_IO_CANCELED);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(doors[4]))).result, 0);
    EXPECT_TRUE(!tina_reactor_release(rig->reactor, &owner)); // with the table full of others
    rig->until([&] { return rig->drained.size() == 1; });
    expect_empty();
}

TEST_P(Bounds, ConnectsBeyondTheirCountAreRefused) {
    Sizes sizes;
    sizes.addresses = 1;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
    peers.push_back(rig->far->listen(&address));
    tina_fd fds[2];
    for (tina_fd &fd : fds) {
        ASSERT_EQ(
            tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
            0);
    }
    tina_io_id first = rig->submit(&owner, tina_op_connect(fds[0], &address));
    EXPECT_EQ(rig->refused(&owner, tina_op_connect(fds[1], &address)), TINA_IO_OPS_FULL);
    EXPECT_EQ(rig->result(first).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fds[1], &address))).result, 0);
}

TEST_P(Bounds, AnAcceptBeyondTheFdTableClosesTheConnection) {
    Sizes sizes;
    sizes.fds = 2;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    tina_fd door = rig->listener(&owner, &address);
    int first = rig->far->connect(address);
    int second = rig->far->connect(address);
    peers = {first, second};
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_accept(door))).result, 0);
    tina_fd fd;
    EXPECT_EQ(tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
              TINA_IO_FDS_FULL);
    Completion full = rig->result(rig->submit(&owner, tina_op_accept(door)));
    EXPECT_EQ(full.result, TINA_IO_FDS_FULL);
    EXPECT_EQ(full.fd.bits, door.bits);
    EXPECT_EQ(rig->far_recv_result(second), 0);
    EXPECT_EQ(rig->count().fds_dropped, 1u);
    EXPECT_EQ(rig->count().fds_in_use, 2u);
}

TEST_P(Bounds, ReceivesWaitForBuffersAndNeverSeeThatThereWasNone) {
    Sizes sizes;
    sizes.buffers = 2;
    sizes.buffer_bytes = 64;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    constexpr int kPeers = 8;
    int peer[kPeers];
    tina_io_id ids[kPeers];
    for (int i = 0; i < kPeers; i++) {
        tina_fd fd = pair(&owner, &peer[i]);
        ids[i] = rig->submit(&owner, tina_op_recv(fd, 64));
    }
    rig->turn();
    rig->keep_buffers = true;
    for (int i = 0; i < kPeers; i++) {
        rig->far_send(peer[i], "peer " + std::to_string(i));
    }
    size_t seen = 0;
    std::vector<std::string> got;
    while (got.size() < kPeers) {
        rig->until([&] { return rig->completions.size() > seen; });
        for (int i = 0; i < 3; i++) {
            rig->turn();
        }
        ASSERT_LE(rig->count().buffers_in_use, 2u);
        for (; seen < rig->completions.size(); seen++) {
            Completion &c = rig->completions[seen];
            ASSERT_EQ(c.result, 6);
            got.push_back(c.data);
            rig->give(c);
        }
    }
    std::sort(got.begin(), got.end());
    for (int i = 0; i < kPeers; i++) {
        EXPECT_EQ(got[static_cast<size_t>(i)], "peer " + std::to_string(i));
    }
    EXPECT_GT(rig->count().buffers_awaited, 0u);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(Bounds, AReceiveThatWaitsForABufferCanBeCanceledClosedAndReleased) {
    Sizes sizes;
    sizes.buffers = 1;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_reactor_owner dying = owner_of(2);
    int peer[4];
    tina_fd fd[4];
    tina_io_id id[4];
    for (int i = 0; i < 4; i++) {
        fd[i] = pair(i == 3 ? &dying : &owner, &peer[i]);
        rig->far_send(peer[i], "data");
    }
    rig->keep_buffers = true;
    Completion holder = rig->result(rig->submit(&owner, tina_op_recv(fd[0], 4)));
    for (int i = 1; i < 4; i++) {
        id[i] = rig->submit(i == 3 ? &dying : &owner, tina_op_recv(fd[i], 4));
    }
    rig->until([&] { return rig->count().buffers_awaited >= 3; });
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id[1], TINA_IO_TIMED_OUT));
    tina_io_id close = rig->submit(&owner, tina_op_close(fd[2]));
    EXPECT_TRUE(tina_reactor_release(rig->reactor, &dying));
    EXPECT_EQ(rig->result(id[1]).result, TINA_IO_TIMED_OUT);
    EXPECT_EQ(rig->result(id[2]).result, TINA_IO_CANCELED);
    EXPECT_EQ(rig->result(close).result, 0);
    rig->give(holder);
    Completion late = rig->result(rig->submit(&owner, tina_op_recv(fd[1], 4)));
    EXPECT_EQ(late.data, "data");
    rig->give(late);
}

TEST_P(Bounds, AReapOfOneLosesNothing) {
    open();
    rig->reap_capacity = 1;
    tina_reactor_owner a = owner_of(1);
    tina_reactor_owner b = owner_of(2);
    int peer[2];
    tina_fd fds[2] = {pair(&a, &peer[0]), pair(&b, &peer[1])};
    for (int round = 0; round < 10; round++) {
        tina_io_id ids[4] = {rig->submit(&a, tina_op_send(fds[0], "x", 1)),
                             rig->submit(&a, tina_op_recv(fds[0], 1)),
                             rig->submit(&b, tina_op_send(fds[1], "x", 1)),
                             rig->submit(&b, tina_op_recv(fds[1], 1))};
        rig->far_send(peer[0], "y");
        rig->far_send(peer[1], "y");
        for (tina_io_id id : ids) {
            EXPECT_EQ(rig->result(id).result, 1);
        }
    }
    EXPECT_TRUE(rig->completions.empty());
}

INSTANTIATE_TEST_SUITE_P(All, Bounds, every_variant(), variant_name);

} // namespace
