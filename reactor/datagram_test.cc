// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Datagrams: whole, with their sender, or not at all.

#include <errno.h>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

class Datagram : public Suite {
  protected:
    tina_fd socket_at(tina_reactor_owner *owner, tina_address *address) {
        tina_fd fd = tina_fd_none();
        tina_reactor *r = rig->reactor;
        EXPECT_EQ(tina_reactor_socket(r, owner, static_cast<tina_address_family>(address->family),
                                      TINA_SOCKET_DATAGRAM, &fd),
                  0);
        EXPECT_EQ(tina_reactor_bind(r, owner, fd, address), 0);
        EXPECT_EQ(tina_reactor_local_address(r, owner, fd, address), 0);
        return fd;
    }
    tina_fd bound(tina_reactor_owner *owner) {
        here = tina_address_ipv4(127, 0, 0, 1, 0);
        return socket_at(owner, &here);
    }
    int far_end() {
        there = tina_address_ipv4(127, 0, 0, 1, 0);
        peers.push_back(rig->far->bind(&there));
        return peers.back();
    }
    void far_sendto(int peer, const std::string &bytes) {
        EXPECT_EQ(rig->far->sendto(peer, bytes.data(), static_cast<uint32_t>(bytes.size()), here),
                  static_cast<int>(bytes.size()));
    }
    std::string far_recvfrom(int peer) {
        std::vector<char> bytes(65536);
        tina_address from;
        int result = -EAGAIN;
        rig->until([&] {
            result = rig->far->recvfrom(peer, bytes.data(), 65536, &from);
            return result != -EAGAIN;
        });
        EXPECT_GE(result, 0);
        EXPECT_EQ(from.port, here.port);
        return std::string(bytes.data(), result > 0 ? static_cast<size_t>(result) : 0);
    }
    static bool same(const tina_address &a, const tina_address &b) {
        return a.family == b.family && a.port == b.port && memcmp(a.ip, b.ip, sizeof a.ip) == 0;
    }

    tina_address here = {};
    tina_address there = {};
};

TEST_P(Datagram, EachArrivesWholeWithItsSender) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int first = far_end();
    tina_address first_at = there;
    int second = far_end();
    far_sendto(first, "one");
    far_sendto(second, "");
    far_sendto(first, "three");
    for (const char *expected : {"one", "", "three"}) {
        Completion c = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, 100)));
        EXPECT_EQ(c.kind, TINA_OP_RECVFROM);
        EXPECT_EQ(c.result, static_cast<int32_t>(strlen(expected)));
        EXPECT_EQ(c.bytes, strlen(expected));
        EXPECT_EQ(c.flags, 0);
        EXPECT_EQ(c.data, expected);
        EXPECT_TRUE(same(c.from, *expected != 0 ? first_at : there));
    }
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(fd, "answer", 6, &there))).result, 6);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(fd, "", 0, &first_at))).result, 0);
    EXPECT_EQ(far_recvfrom(second), "answer");
    EXPECT_EQ(far_recvfrom(first), "");
    EXPECT_EQ(closed(&owner, fd), 0);
    expect_empty();
}

TEST_P(Datagram, OneThatIsLongerThanTheReceiveIsCutAndSaysSo) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    std::string bytes = pattern(2000);
    far_sendto(peer, "123456");
    far_sendto(peer, bytes);
    far_sendto(peer, bytes.substr(0, 1024));
    Completion c = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, 5)));
    EXPECT_EQ(c.data, "12345");
    EXPECT_EQ(c.flags, TINA_IO_TRUNCATED);
    c = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, UINT32_MAX)));
    EXPECT_TRUE(c.data == bytes.substr(0, 1024));
    EXPECT_EQ(c.flags, TINA_IO_TRUNCATED);
    c = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, UINT32_MAX)));
    EXPECT_EQ(c.result, 1024);
    EXPECT_EQ(c.flags, 0);
    EXPECT_EQ(rig->count().datagrams_cut, 2u);
}

TEST_P(Datagram, AConnectedSocketSendsAndReceives) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    EXPECT_LT(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &there))).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "ping", 4))).result, 4);
    EXPECT_EQ(far_recvfrom(peer), "ping");
    far_sendto(peer, "pong");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 100))).data, "pong");
}

TEST_P(Datagram, AnAddressIsCopiedAndSoManyAreInFlight) {
    Sizes sizes;
    sizes.addresses = 2;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_fd fds[3] = {bound(&owner), bound(&owner), bound(&owner)};
    int peer = far_end();
    tina_io_id waiting = rig->submit(&owner, tina_op_recvfrom(fds[0], 1));
    tina_address gone = there;
    tina_io_id id = rig->submit(&owner, tina_op_sendto(fds[2], "x", 1, &gone));
    memset(&gone, 0xFF, sizeof gone);
    EXPECT_EQ(rig->refused(&owner, tina_op_recvfrom(fds[1], 1)), TINA_IO_OPS_FULL);
    EXPECT_EQ(rig->refused(&owner, tina_op_sendto(fds[1], "x", 1, &there)), TINA_IO_OPS_FULL);
    EXPECT_EQ(rig->result(id).result, 1);
    EXPECT_EQ(far_recvfrom(peer), "x");
    id = rig->submit(&owner, tina_op_recvfrom(fds[1], 1));
    for (tina_io_id canceled : {waiting, id}) {
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, canceled, TINA_IO_CANCELED));
        EXPECT_EQ(rig->result(canceled).result, TINA_IO_CANCELED);
    }
    far_sendto(peer, "y");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recvfrom(fds[2], 1))).data, "y");
}

TEST_P(Datagram, WhatIsOutOfRangeIsRefused) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    tina_address none = {};
    tina_io_op multishot = tina_op_recvfrom(fd, 1);
    multishot.flags = TINA_IO_MULTISHOT;
    for (const tina_io_op &op :
         {tina_op_recvfrom(fd, 0), multishot, tina_op_sendto(fd, "x", 1, nullptr),
          tina_op_sendto(fd, "x", 1, &none), tina_op_sendto(fd, nullptr, 0, &here),
          tina_op_sendto(fd, "", UINT32_MAX, &here)}) {
        EXPECT_EQ(rig->refused(&owner, op), TINA_IO_BAD_OP);
    }
    tina_fd reader = tina_fd_with_rights(fd, 1);
    EXPECT_EQ(rig->refused(&owner, tina_op_sendto(reader, "x", 1, &here)), TINA_IO_NO_RIGHT);
}

TEST_P(Datagram, OneThatIsTooLongIsNotSent) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    std::string bytes = pattern(70000);
    EXPECT_EQ(
        rig->result(rig->submit(&owner, tina_op_sendto(fd, bytes.data(), 70000, &there))).result,
        -EMSGSIZE);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(fd, "x", 1, &there))).result, 1);
    EXPECT_EQ(far_recvfrom(peer), "x");
}

TEST_P(Datagram, ReceivesWaitForBuffers) {
    Sizes sizes;
    sizes.buffers = 1;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    far_sendto(peer, "one");
    far_sendto(peer, "two");
    rig->keep_buffers = true;
    Completion one = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, 10)));
    tina_io_id id = rig->submit(&owner, tina_op_recvfrom(fd, 10));
    rig->until([&] { return rig->count().buffers_awaited > 0; });
    EXPECT_FALSE(rig->has(id));
    rig->give(one);
    Completion two = rig->result(id);
    EXPECT_EQ(two.data, "two");
    rig->give(two);
    EXPECT_EQ(rig->count().buffers_in_use, 0u);
}

TEST_P(Datagram, ASenderIsKeptUntilItsDatagramIsTaken) {
    Sizes sizes;
    sizes.addresses = 1;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    rig->take_max = 0;
    tina_io_id id = rig->submit(&owner, tina_op_recvfrom(fd, 10));
    far_sendto(peer, "one");
    rig->until([&] { return owner.ops_in_flight == 0; });
    EXPECT_EQ(rig->refused(&owner, tina_op_recvfrom(fd, 10)), TINA_IO_OPS_FULL);
    rig->take(&owner);
    EXPECT_TRUE(same(rig->result(id).from, there));
    rig->take_max = UINT32_MAX;
    far_sendto(peer, "two");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recvfrom(fd, 10))).data, "two");
}

TEST_P(Datagram, ReleaseDropsWhatCameAndWhatWaits) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    far_sendto(peer, "x");
    (void)rig->submit(&owner, tina_op_recvfrom(fd, 10));
    tina_reactor_event event;
    rig->until([&] {
        EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 1000000), 0);
        return tina_reactor_reap(rig->reactor, &event, 1) == 1;
    });
    EXPECT_EQ(rig->count().buffers_in_use, 1u);
    (void)rig->submit(&owner, tina_op_recvfrom(fd, 10));
    rig->turn();
    rig->completions.clear();
    EXPECT_FALSE(tina_reactor_release(rig->reactor, &owner));
    rig->until([&] { return !rig->drained.empty(); });
    expect_empty();
}

TEST_P(Datagram, ThousandsInOrder) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    for (int i = 0; i < 3000; i++) {
        std::string word = std::to_string(i);
        tina_io_id id = rig->submit(&owner, tina_op_recvfrom(fd, 100));
        far_sendto(peer, word);
        ASSERT_EQ(rig->result(id).data, word);
        ASSERT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(fd, word.data(),
                                                                 static_cast<uint32_t>(word.size()),
                                                                 &there)))
                      .result,
                  static_cast<int32_t>(word.size()));
        ASSERT_EQ(far_recvfrom(peer), word);
    }
}

TEST_P(Datagram, UnixSocketsHavePathsForAddresses) {
    open();
    tina_reactor_owner owner = owner_of(1);
    std::string name = path("here");
    ASSERT_TRUE(tina_address_parse(("unix:" + name).c_str(), 0, &here));
    ASSERT_TRUE(tina_address_parse(("unix:" + path("there")).c_str(), 0, &there));
    tina_fd fd = socket_at(&owner, &here);
    EXPECT_EQ(std::string(here.path, here.path_bytes), name);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(fd, "x", 1, &there))).result, -ENOENT);
    int peer = rig->far->bind(&there);
    peers.push_back(peer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(fd, "ping", 4, &there))).result, 4);
    EXPECT_EQ(far_recvfrom(peer), "ping");
    far_sendto(peer, "pong");
    Completion c = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, 10)));
    EXPECT_EQ(c.data, "pong");
    EXPECT_EQ(std::string(c.from.path, c.from.path_bytes), path("there"));
}

INSTANTIATE_TEST_SUITE_P(All, Datagram, every_variant(), variant_name);

class KernelDatagram : public Datagram {};

TEST_P(KernelDatagram, Ipv6) {
    open();
    tina_reactor_owner owner = owner_of(1);
    ASSERT_TRUE(tina_address_parse("::1", 0, &here));
    there = here;
    tina_fd fd = socket_at(&owner, &here);
    int peer = rig->far->bind(&there);
    peers.push_back(peer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(fd, "ping", 4, &there))).result, 4);
    EXPECT_EQ(far_recvfrom(peer), "ping");
    far_sendto(peer, "pong");
    Completion c = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, 10)));
    EXPECT_TRUE(same(c.from, there));
}

TEST_P(KernelDatagram, ASenderWithoutAnAddressIsOfNoFamily) {
    open();
    tina_reactor_owner owner = owner_of(1);
    ASSERT_TRUE(tina_address_parse(("unix:" + path("here")).c_str(), 0, &here));
    tina_fd fd = socket_at(&owner, &here);
    tina_fd nameless;
    ASSERT_EQ(tina_reactor_socket(rig->reactor, &owner, TINA_ADDRESS_UNIX, TINA_SOCKET_DATAGRAM,
                                  &nameless),
              0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_sendto(nameless, "x", 1, &here))).result, 1);
    Completion c = rig->result(rig->submit(&owner, tina_op_recvfrom(fd, 10)));
    EXPECT_EQ(c.result, 1);
    EXPECT_EQ(c.from.family, TINA_ADDRESS_NONE);
}

TEST_P(KernelDatagram, AConnectedSocketHearsThatNobodyIsThere) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = bound(&owner);
    int peer = far_end();
    forget(peer);
    rig->far->close(peer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_connect(fd, &there))).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, 1);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 1))).result, -ECONNREFUSED);
    // Its own error does not outlive that.
    tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 1));
    rig->turn();
    EXPECT_FALSE(rig->has(id));
}

INSTANTIATE_TEST_SUITE_P(All, KernelDatagram, every_kernel_variant(), variant_name);

} // namespace
