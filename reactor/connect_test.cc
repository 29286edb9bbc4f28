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

class Connect : public Suite {
  protected:
    tina_fd socket_of(tina_reactor_owner *owner, tina_address_family family) {
        tina_fd fd = tina_fd_none();
        EXPECT_EQ(tina_reactor_socket(rig->reactor, owner, family, TINA_SOCKET_STREAM, &fd), 0);
        return fd;
    }
};

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

// Handed over together, each with an address of its own.
TEST_P(Connect, TwoAtOnceReachEachItsOwn) {
    open();
    tina_reactor_owner owner = owner_of(1);
    int listeners[2];
    tina_io_id ids[2];
    for (int i = 0; i < 2; i++) {
        tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
        listeners[i] = rig->far->listen(&address);
        peers.push_back(listeners[i]);
        tina_fd fd = socket_of(&owner, TINA_ADDRESS_IPV4);
        ids[i] = rig->submit(&owner, tina_op_connect(fd, &address));
    }
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(rig->result(ids[i]).result, 0);
        int peer = rig->far->accept(listeners[i]);
        EXPECT_GE(peer, 0) << "nobody came to listener " << i;
        if (peer >= 0)
            peers.push_back(peer);
    }
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

TEST_P(Connect, AUnixSocketIsReachedByItsPath) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    ASSERT_TRUE(tina_address_parse(("unix:" + path("door")).c_str(), 0, &address));
    int listener = rig->far->listen(&address);
    peers.push_back(listener);
    tina_fd fd = socket_of(&owner, TINA_ADDRESS_UNIX);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &address))).result, 0);
    int peer = rig->far->accept(listener);
    ASSERT_GE(peer, 0);
    peers.push_back(peer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "ping", 4))).result, 4);
    EXPECT_EQ(rig->far_recv(peer, 4), "ping");
    tina_address remote;
    EXPECT_EQ(tina_reactor_peer_address(rig->reactor, &owner, fd, &remote), 0);
    EXPECT_EQ(std::string(remote.path, remote.path_bytes), path("door"));
}

INSTANTIATE_TEST_SUITE_P(All, Connect, every_variant(), variant_name);

class KernelConnect : public Connect {
  protected:
    // A listener of ours at a Unix path; what bind returned.
    int32_t listen_at(tina_reactor_owner *owner, const std::string &at, bool reuse, tina_fd *fd) {
        tina_address address;
        EXPECT_TRUE(tina_address_parse(("unix:" + at).c_str(), 0, &address));
        *fd = socket_of(owner, TINA_ADDRESS_UNIX);
        EXPECT_EQ(tina_reactor_set_option(rig->reactor, owner, *fd, TINA_OPTION_REUSE_ADDRESS,
                                          reuse ? 1 : 0),
                  0);
        int32_t bound = tina_reactor_bind(rig->reactor, owner, *fd, &address);
        if (bound == 0) {
            EXPECT_EQ(tina_reactor_listen(rig->reactor, owner, *fd, 4), 0);
        }
        return bound;
    }
};

TEST_P(KernelConnect, Ipv6) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    ASSERT_TRUE(tina_address_parse("::1", 0, &address));
    int listener = rig->far->listen(&address);
    peers.push_back(listener);
    tina_fd fd = socket_of(&owner, TINA_ADDRESS_IPV6);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &address))).result, 0);
    tina_address remote;
    EXPECT_EQ(tina_reactor_peer_address(rig->reactor, &owner, fd, &remote), 0);
    EXPECT_EQ(remote.family, TINA_ADDRESS_IPV6);
    EXPECT_EQ(remote.port, address.port);
}

TEST_P(KernelConnect, WhatNoStreamReachesIsUnreachable) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address everybody = tina_address_ipv4(255, 255, 255, 255, 80);
    tina_fd fd = socket_of(&owner, TINA_ADDRESS_IPV4);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &everybody))).result,
              -ENETUNREACH);
    tina_address six;
    ASSERT_TRUE(tina_address_parse("::1", 80, &six));
    fd = socket_of(&owner, TINA_ADDRESS_IPV4);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &six))).result, -EAFNOSUPPORT);
}

TEST_P(KernelConnect, AUnixPathWithoutAListenerIsRefusedOrNotThere) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_address address;
    ASSERT_TRUE(tina_address_parse(("unix:" + path("door")).c_str(), 0, &address));
    tina_fd fd = socket_of(&owner, TINA_ADDRESS_UNIX);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &address))).result, -ENOENT);
    rig->far->close(rig->far->listen(&address)); // its file stays
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &address))).result,
              -ECONNREFUSED);
}

TEST_P(KernelConnect, AStaleUnixPathIsTakenOverOnRequestAndALiveOneNever) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd first, second, third;
    EXPECT_EQ(listen_at(&owner, path("door"), false, &first), 0);
    EXPECT_EQ(listen_at(&owner, path("door"), true, &second), -EADDRINUSE);
    EXPECT_EQ(closed(&owner, first), 0);
    EXPECT_EQ(listen_at(&owner, path("door"), false, &second), -EADDRINUSE);
    EXPECT_EQ(listen_at(&owner, path("door"), true, &second), 0);
    EXPECT_EQ(listen_at(&owner, path("door"), true, &third), -EADDRINUSE);
    tina_address address;
    ASSERT_TRUE(tina_address_parse(("unix:" + path("door")).c_str(), 0, &address));
    int peer = rig->far->connect(address);
    ASSERT_GE(peer, 0);
    peers.push_back(peer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_accept(second))).result, 0);
}

TEST_P(KernelConnect, AFileThatIsNoSocketIsNeverRemoved) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd kept = file(&owner, "kept", TINA_OPEN_WRITE | TINA_OPEN_CREATE);
    EXPECT_EQ(write(&owner, kept, 0, "precious"), 8);
    tina_fd fd;
    EXPECT_EQ(listen_at(&owner, path("kept"), true, &fd), -EADDRINUSE);
    EXPECT_EQ(content(&owner, file(&owner, "kept", TINA_OPEN_READ)), "precious");
}

INSTANTIATE_TEST_SUITE_P(All, KernelConnect, every_kernel_variant(), variant_name);

} // namespace
