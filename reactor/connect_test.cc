// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Whom a socket reaches, and whom it does not.

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

class Connect : public Suite {};

TEST_P(Connect, ConnectsAndExchanges) {
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

TEST_P(Connect, AConnectIsRefusedWhereNobodyListens) {
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

INSTANTIATE_TEST_SUITE_P(All, Connect, every_variant(), variant_name);

} // namespace
