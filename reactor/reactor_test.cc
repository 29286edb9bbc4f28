// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do.

#include "reactor/reactor.h"

#include <errno.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

class Reactor : public Suite {};

TEST_P(Reactor, EchoesWhatThePeerSent) {
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

TEST_P(Reactor, NeverReceivesMoreThanAskedNorThanABufferHolds) {
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

TEST_P(Reactor, SendsEverythingToASlowReader) {
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

TEST_P(Reactor, ASendOfSomeCompletesPartially) {
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

TEST_P(Reactor, AHalfClosedConnectionStillSends) {
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

TEST_P(Reactor, AResetIsAnErrorOfTheReceiveInFlight) {
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

TEST_P(Reactor, OurResetReachesThePeer) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    EXPECT_EQ(tina_reactor_set_option(rig->reactor, &owner, fd, TINA_OPTION_LINGER, 0), 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    EXPECT_EQ(rig->far_recv_result(peer), -ECONNRESET);
}

TEST_P(Reactor, ConnectsAndExchanges) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
    int listener = rig->far->listen(&address);
    peers.push_back(listener);
    tina_fd fd;
    ASSERT_EQ(tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
              0);
    tina_io_id id;
    {
        tina_address gone = address; // submit copies it
        id = rig->submit(&owner, tina_op_connect(fd, &gone));
        memset(&gone, 0xFF, sizeof gone);
    }
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 1)), TINA_IO_BUSY);
    EXPECT_EQ(rig->refused(&owner, tina_op_send(fd, "x", 1)), TINA_IO_BUSY);
    Completion connected = rig->result(id);
    EXPECT_EQ(connected.result, 0);
    EXPECT_EQ(connected.fd.bits, fd.bits);
    int peer = rig->far->accept(listener);
    ASSERT_GE(peer, 0);
    peers.push_back(peer);
    tina_address remote;
    EXPECT_EQ(tina_reactor_peer_address(rig->reactor, &owner, fd, &remote), 0);
    EXPECT_EQ(remote.port, address.port);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "ping", 4))).result, 4);
    EXPECT_EQ(rig->far_recv(peer, 4), "ping");
}

TEST_P(Reactor, AConnectIsRefusedWhereNobodyListens) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
    rig->far->close(rig->far->listen(&address)); // a port that was free a moment ago
    tina_fd fd;
    ASSERT_EQ(tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
              0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &address))).result,
              -ECONNREFUSED);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_close(fd))).result, 0);
    expect_empty();
}

TEST_P(Reactor, FullDuplexOnOneFd) {
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

TEST_P(Reactor, ACancelBeforeFlushCompletesAtTheNextReapAndSendsNothing) {
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

TEST_P(Reactor, ACancelInFlightKeepsTheFirstReasonAndTheFdUsable) {
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

TEST_P(Reactor, AStaleIdCancelsNobodyElse) {
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

TEST_P(Reactor, AcceptAndConnectCanBeCanceled) {
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

TEST_P(Reactor, WhatAReceiveGotBeforeItsCancelIsNotLost) {
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

TEST_P(Reactor, ACanceledSendTellsHowMuchWent) {
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

TEST_P(Reactor, CloseCompletesAfterTheOtherOpsOfItsFd) {
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

TEST_P(Reactor, CloseOfOpsThatAreOnlyStagedReachesTheBackendAlone) {
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

TEST_P(Reactor, AClosedFdIsStaleForEverThoughItsRowIsReused) {
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

TEST_P(Reactor, AnotherOwnersFdIsBad) {
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

TEST_P(Reactor, AnFdWithoutARightIsRefused) {
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

TEST_P(Reactor, AFieldOutOfRangeIsRefused) {
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

TEST_P(Reactor, AnAddressOrOptionOutOfRangeIsRefused) {
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
               {TINA_OPTION_COUNT, 0}};
    for (const auto &b : bad) {
        EXPECT_EQ(tina_reactor_set_option(r, &owner, fd, b.option, b.value), TINA_IO_BAD_OP);
    }
    EXPECT_EQ(tina_reactor_set_option(r, &owner, fd, TINA_OPTION_KEEP_ALIVE, 1), 0);
}

TEST_P(Reactor, AFullOpTableRefusesAndRecovers) {
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

TEST_P(Reactor, ConnectsBeyondTheirCountAreRefused) {
    Sizes sizes;
    sizes.connects = 1;
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

TEST_P(Reactor, AnAcceptBeyondTheFdTableClosesTheConnection) {
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

TEST_P(Reactor, ReceivesWaitForBuffersAndNeverSeeThatThereWasNone) {
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

TEST_P(Reactor, AReceiveThatWaitsForABufferCanBeCanceledClosedAndReleased) {
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

TEST_P(Reactor, ReleaseEndsEveryKindOfOpAndTellsOnce) {
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

TEST_P(Reactor, ReleaseOfAnIdleOwnerIsDoneAtOnce) {
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

TEST_P(Reactor, ReleaseDropsWhatWasNotTaken) {
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

TEST_P(Reactor, NoByteOfALaterTenantLeavesThroughAnOldSend) {
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

TEST_P(Reactor, AMovedFdIsItsNewOwners) {
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

TEST_P(Reactor, ADiscardedFdIsClosedAtOnceIfItIsTheOwners) {
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

TEST_P(Reactor, AReapOfOneLosesNothing) {
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

TEST_P(Reactor, CarriesThousandsOfOpsAtOnce) {
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

TEST_P(Reactor, CloseOfTheReactorEndsWhatIsInFlight) {
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

INSTANTIATE_TEST_SUITE_P(All, Reactor, every_variant(), variant_name);

} // namespace
