// SPDX-License-Identifier: Apache-2.0

#include <errno.h>

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/prng.h"
#include "sim/net.h"
#include "sim/net_rig.h"

namespace {

std::string pattern(size_t bytes, uint64_t name = 0) {
    std::string text(bytes, 0);
    for (size_t i = 0; i < bytes; i++)
        text[i] = static_cast<char>(tina_prng_mix(name << 32 | i));
    return text;
}

TEST(Net, NothingArrivesWithinACall) {
    NetRig rig;
    rig.pair();
    EXPECT_EQ(rig.send(rig.a, "hello"), 5);
    int32_t end;
    EXPECT_EQ(rig.recv(rig.b, &end), "");
    EXPECT_EQ(end, -EAGAIN);
    rig.run(60000);
    EXPECT_EQ(rig.recv(rig.b), "hello");
}

TEST(Net, BytesAreCutAnywhereAndKeepTheirOrder) {
    NetRig rig("net_split_ppm=1000000");
    rig.pair();
    std::string bytes = pattern(5000);
    uint64_t before = rig.count().segments;
    EXPECT_EQ(rig.send(rig.a, bytes), 5000);
    std::string got;
    std::set<size_t> pieces;
    for (int i = 0; i < 100000 && got.size() < bytes.size(); i++) {
        rig.run(1000);
        std::string some = rig.recv(rig.b);
        pieces.insert(some.size());
        got += some;
    }
    EXPECT_TRUE(got == bytes);
    EXPECT_GT(pieces.size(), 2u);
    EXPECT_GT(rig.count().segments, before + 5);
}

TEST(Net, AConnectionThatTricklesBringsAByteAtATime) {
    NetRig rig("net_trickle_ppm=1000000");
    rig.pair();
    uint64_t before = rig.count().segments;
    std::string bytes = pattern(3000);
    EXPECT_EQ(rig.send(rig.a, bytes), 3000);
    rig.run(100 * kSecond);
    EXPECT_EQ(rig.count().segments - before, 2049u); // and the rest in one
    EXPECT_TRUE(rig.recv(rig.b) == bytes);
}

TEST(Net, AStallDelaysWhatFollows) {
    NetRig rig("net_stall_ns=10000000000");
    rig.pair();
    rig.world.settings.net_stall_ppm = 1000000;
    EXPECT_EQ(rig.send(rig.a, "late"), 4);
    rig.world.settings.net_stall_ppm = 0;
    EXPECT_EQ(rig.send(rig.a, "behind"), 6);
    rig.run(1000000);
    EXPECT_EQ(rig.recv(rig.b), "");
    EXPECT_EQ(rig.count().stalls, 1u);
    rig.run(11 * kSecond);
    EXPECT_EQ(rig.recv(rig.b), "latebehind");
}

TEST(Net, HealingEndsAStall) {
    NetRig rig("net_stall_ns=10000000000");
    rig.pair();
    rig.world.settings.net_stall_ppm = 1000000;
    EXPECT_EQ(rig.send(rig.a, "late"), 4);
    rig.world.faults = false;
    sim_net_heal(rig.net);
    rig.run(60000);
    EXPECT_EQ(rig.recv(rig.b), "late");
}

TEST(Net, AConnectionIsResetOnItsWay) {
    NetRig rig;
    rig.pair();
    rig.world.settings.net_reset_ppm = 1000000;
    EXPECT_EQ(rig.send(rig.a, "lost"), 4);
    rig.run();
    int32_t end;
    EXPECT_EQ(rig.recv(rig.a, &end), "");
    EXPECT_EQ(end, -ECONNRESET);
    EXPECT_EQ(rig.recv(rig.b, &end), "");
    EXPECT_EQ(end, -ECONNRESET);
    EXPECT_EQ(rig.count().resets, 2u);
}

TEST(Net, AConnectIsRefusedByChance) {
    NetRig rig("net_refuse_ppm=1000000");
    rig.listener();
    int32_t s = rig.stream(rig.client);
    EXPECT_EQ(rig.connect(s), -EINPROGRESS);
    EXPECT_EQ(rig.connect(s), -EALREADY);
    rig.run();
    EXPECT_EQ(rig.connect(s), -ECONNREFUSED);
    rig.world.faults = false;
    EXPECT_EQ(rig.connect(s), -EINPROGRESS);
    rig.run();
    EXPECT_EQ(rig.connect(s), 0);
    EXPECT_EQ(rig.connect(s), -EISCONN);
}

TEST(Net, AConnectThatIsNotAnsweredTimesOutAfterTwoMinutes) {
    NetRig rig("net_unreachable_ppm=1000000");
    rig.listener();
    int32_t s = rig.stream(rig.client);
    EXPECT_EQ(rig.connect(s), -EINPROGRESS);
    rig.run(126 * kSecond);
    EXPECT_EQ(rig.connect(s), -EALREADY);
    rig.run(2 * kSecond);
    EXPECT_EQ(rig.connect(s), -ETIMEDOUT);
    EXPECT_EQ(rig.count().timed_out, 1u);
    EXPECT_EQ(rig.connect(s), -EINPROGRESS);
    sim_net_heal(rig.net);
    rig.run(3 * kSecond);
    EXPECT_EQ(rig.connect(s), 0);
}

TEST(Net, ANetworkWithoutThatHostIsUnreachable) {
    NetRig rig;
    int32_t s = rig.stream(rig.client);
    tina_address nobody = tina_address_ipv4(10, 9, 9, 9, 80);
    EXPECT_EQ(sim_net_connect(rig.net, s, &nobody), -EINPROGRESS);
    rig.run(4 * kSecond);
    EXPECT_EQ(sim_net_connect(rig.net, s, &nobody), -EHOSTUNREACH);
}

TEST(Net, AcceptsFailAndTheConnectionStaysOrIsLost) {
    NetRig rig("net_accept_fail_ppm=500000");
    int32_t door = rig.listener();
    std::map<int32_t, int> seen;
    size_t accepted = 0;
    for (int i = 0; i < 60; i++) {
        int32_t s = rig.stream(rig.client);
        EXPECT_EQ(rig.connect(s), -EINPROGRESS);
        rig.run();
        for (int32_t result = 0; result != -EAGAIN;) {
            result = sim_net_accept(rig.net, door);
            seen[result >= 0 ? 0 : result]++;
            accepted += result >= 0;
        }
        sim_net_shut(rig.net, s);
    }
    EXPECT_GT(seen[-EMFILE], 5);
    EXPECT_GT(seen[-ECONNABORTED], 5);
    EXPECT_EQ(accepted + static_cast<size_t>(seen[-ECONNABORTED]), 60u);
}

TEST(Net, BuffersBoundWhatIsSentAndNotRead) {
    NetRig rig("net_buffer_bytes=256");
    rig.pair();
    std::string bytes = pattern(10000);
    size_t sent = 0;
    for (int i = 0; i < 100; i++) {
        int32_t result = rig.send(rig.a, bytes.substr(sent));
        sent += result > 0 ? static_cast<size_t>(result) : 0;
        rig.run(kSecond / 100);
    }
    EXPECT_EQ(sent, 512u); // one buffer on each side
    EXPECT_EQ(sim_net_poll(rig.net, rig.a, TINA_POLL_WRITE), 0u);
    EXPECT_TRUE(rig.recv(rig.b) == bytes.substr(0, 256));
    rig.run();
    EXPECT_EQ(sim_net_poll(rig.net, rig.a, TINA_POLL_WRITE), TINA_POLL_WRITE);
    EXPECT_TRUE(rig.recv(rig.b) == bytes.substr(256, 256));
}

TEST(Net, TheWindowCountsWhatIsUnderWay) {
    NetRig rig("net_buffer_bytes=1000");
    rig.pair();
    EXPECT_EQ(rig.send(rig.a, pattern(400)), 400);
    rig.run();
    EXPECT_EQ(rig.send(rig.a, pattern(1000)), 1000);
    rig.run();
    EXPECT_EQ(rig.recv(rig.b).size(), 1000u);
    rig.run();
    EXPECT_EQ(rig.recv(rig.b).size(), 400u);
}

TEST(Net, ACutDelaysBothWaysOrOne) {
    NetRig rig;
    rig.pair();
    sim_net_cut(rig.net, rig.client, SIM_NET_MACHINE, rig.world.now_ns + 5 * kSecond);
    EXPECT_EQ(rig.send(rig.a, "there"), 5);
    EXPECT_EQ(rig.send(rig.b, "back"), 4);
    rig.run();
    EXPECT_EQ(rig.recv(rig.b), "");
    EXPECT_EQ(rig.recv(rig.a), "back");
    rig.run(5 * kSecond);
    EXPECT_EQ(rig.recv(rig.b), "there");
}

TEST(Net, WhoCannotHearTheReceiverDoesNotSendOn) {
    NetRig rig("net_buffer_bytes=1000");
    rig.pair();
    sim_net_cut(rig.net, SIM_NET_MACHINE, rig.client, rig.world.now_ns + 100 * kSecond);
    std::string bytes = pattern(5000);
    size_t sent = 0;
    std::string got;
    for (int i = 0; i < 20; i++) {
        int32_t result = rig.send(rig.a, bytes.substr(sent));
        sent += result > 0 ? static_cast<size_t>(result) : 0;
        rig.run();
        got += rig.recv(rig.b);
    }
    EXPECT_EQ(sent, 1000u);
    EXPECT_TRUE(got == bytes.substr(0, 1000));
    sim_net_heal(rig.net);
    EXPECT_EQ(rig.send(rig.a, bytes.substr(sent)), 1000);
    rig.run();
    EXPECT_TRUE(rig.recv(rig.b) == bytes.substr(1000, 1000));
}

TEST(Net, AConnectOverACutIsTriedAgain) {
    NetRig rig;
    rig.listener();
    sim_net_cut(rig.net, SIM_NET_MACHINE, rig.client, rig.world.now_ns + 5 * kSecond);
    int32_t s = rig.stream(rig.client);
    EXPECT_EQ(rig.connect(s), -EINPROGRESS);
    rig.run(6 * kSecond);
    EXPECT_EQ(rig.connect(s), -EALREADY);
    rig.run(2 * kSecond);
    EXPECT_EQ(rig.connect(s), 0);
    EXPECT_EQ(rig.count().syns_lost, 3u); // at 0, 1 and 3 s
}

TEST(Net, ChanceCutsHostsOffAndNeverTheLoopback) {
    NetRig rig("net_partition_ppm=300000,net_partition_ns=1000000");
    rig.pair();
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(rig.send(rig.a, "x"), 1);
        rig.run();
    }
    EXPECT_GT(rig.count().cuts, 5u);
    EXPECT_EQ(rig.recv(rig.b).size(), 50u);
    uint64_t before = rig.count().cuts;
    int32_t door = rig.listener();
    int32_t s = rig.stream(SIM_NET_MACHINE);
    tina_address here = tina_address_ipv4(127, 0, 0, 1, 80);
    EXPECT_EQ(sim_net_connect(rig.net, s, &here), -EINPROGRESS);
    rig.run();
    EXPECT_EQ(sim_net_connect(rig.net, s, &here), 0);
    EXPECT_GE(sim_net_accept(rig.net, door), 0);
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(rig.send(s, "x"), 1);
    EXPECT_EQ(rig.count().cuts, before);
}

std::vector<std::string> datagrams_through(NetRig &rig, int count) {
    int32_t to = rig.datagram(SIM_NET_MACHINE, 53);
    int32_t from = rig.datagram(rig.client, 1000);
    tina_address at = sim_net_address(rig.net, SIM_NET_MACHINE, 53);
    for (int i = 0; i < count; i++) {
        std::string word = std::to_string(i);
        EXPECT_EQ(
            sim_net_sendto(rig.net, from, word.data(), static_cast<uint32_t>(word.size()), &at),
            static_cast<int32_t>(word.size()));
    }
    rig.run();
    std::vector<std::string> got;
    char data[100];
    tina_address sender;
    bool cut;
    int32_t result;
    while ((result = sim_net_recvfrom(rig.net, to, data, sizeof data, &sender, &cut)) >= 0) {
        EXPECT_EQ(sender.port, 1000);
        EXPECT_FALSE(cut);
        got.emplace_back(data, static_cast<size_t>(result));
    }
    return got;
}

TEST(Datagram, ArriveInOrderInACalmWorld) {
    NetRig rig;
    std::vector<std::string> got = datagrams_through(rig, 100);
    ASSERT_EQ(got.size(), 100u);
    for (size_t i = 0; i < 100; i++)
        EXPECT_EQ(got[i], std::to_string(i));
}

TEST(Datagram, AreLostRepeatedAndOvertakeEachOther) {
    NetRig lossy("udp_loss_ppm=300000");
    size_t kept = datagrams_through(lossy, 1000).size();
    EXPECT_GT(kept, 600u);
    EXPECT_EQ(kept + lossy.count().datagrams_lost, 1000u);
    NetRig twice("udp_repeat_ppm=100000");
    kept = datagrams_through(twice, 1000).size();
    EXPECT_EQ(kept, 1000 + twice.count().datagrams_repeated);
    EXPECT_GT(twice.count().datagrams_repeated, 50u);
    NetRig mixed("udp_reorder_ppm=300000");
    std::vector<std::string> got = datagrams_through(mixed, 1000);
    ASSERT_EQ(got.size(), 1000u);
    size_t out_of_order = 0;
    for (size_t i = 1; i < got.size(); i++)
        out_of_order += std::stoi(got[i]) < std::stoi(got[i - 1]);
    EXPECT_GT(out_of_order, 50u);
}

TEST(Datagram, AFullQueueLosesWhatComes) {
    NetRig rig("net_buffer_bytes=256");
    EXPECT_LT(datagrams_through(rig, 1000).size(), 200u);
    EXPECT_GT(rig.count().datagrams_lost, 800u);
}

TEST(Net, ASocketsNumberIsUsedAgainAndItsPastIsNot) {
    NetRig rig;
    int32_t door = rig.listener();
    for (int i = 0; i < 50; i++) {
        // Gone with everything under way: a SYN, an embryo, bytes, an answer.
        int32_t old = rig.stream(rig.client);
        EXPECT_EQ(rig.connect(old), -EINPROGRESS);
        rig.run(static_cast<uint64_t>(i) * 4000);
        if (i % 2 == 0)
            (void)rig.send(old, "of the dead");
        sim_net_reset(rig.net, old);
        int32_t fresh = rig.stream(rig.client);
        tina_address nobody = sim_net_address(rig.net, SIM_NET_MACHINE, 81);
        EXPECT_EQ(sim_net_connect(rig.net, fresh, &nobody), -EINPROGRESS);
        rig.run();
        EXPECT_EQ(sim_net_connect(rig.net, fresh, &nobody), -ECONNREFUSED);
        sim_net_shut(rig.net, fresh);
        for (int32_t s = 0; s >= 0;) {
            s = sim_net_accept(rig.net, door);
            if (s >= 0)
                sim_net_shut(rig.net, s);
        }
        rig.run();
    }
    sim_net_shut(rig.net, door);
    EXPECT_EQ(rig.count().sockets, 0u);
}

TEST(Net, ListenersThatShareAPortShareItsConnections) {
    NetRig rig;
    int32_t doors[4];
    for (int32_t &door : doors) {
        door = rig.stream(SIM_NET_MACHINE);
        tina_address any = tina_address_ipv4(0, 0, 0, 0, 80);
        EXPECT_EQ(sim_net_set_option(rig.net, door, TINA_OPTION_REUSE_PORT, 1), 0);
        EXPECT_EQ(sim_net_bind(rig.net, door, &any), 0);
        EXPECT_EQ(sim_net_listen(rig.net, door, 100), 0);
    }
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(rig.connect(rig.stream(rig.client)), -EINPROGRESS);
    rig.run();
    int total = 0;
    for (int32_t door : doors) {
        int count = 0;
        while (sim_net_accept(rig.net, door) >= 0)
            count++;
        EXPECT_GT(count, 10);
        total += count;
    }
    EXPECT_EQ(total, 100);
}

TEST(Net, EachConnectionHasAnAddressOnEachSide) {
    NetRig rig;
    rig.pair();
    tina_address here, there;
    EXPECT_EQ(sim_net_local_address(rig.net, rig.a, &here), 0);
    EXPECT_EQ(sim_net_peer_address(rig.net, rig.b, &there), 0);
    EXPECT_EQ(std::memcmp(&here, &there, sizeof here), 0);
    EXPECT_EQ(here.ip[3], 2);
    EXPECT_GE(here.port, 32768);
    EXPECT_EQ(sim_net_peer_address(rig.net, rig.a, &there), 0);
    EXPECT_EQ(there.port, 7);
    EXPECT_EQ(there.ip[3], 1);
    int32_t s = rig.stream(rig.client);
    EXPECT_EQ(sim_net_peer_address(rig.net, s, &there), -ENOTCONN);
    tina_address elsewhere = tina_address_ipv4(10, 0, 0, 1, 80);
    EXPECT_EQ(sim_net_bind(rig.net, s, &elsewhere), -EADDRNOTAVAIL);
}

TEST(Net, AnOrphanSendsItsLastBytes) {
    NetRig rig("net_buffer_bytes=1000");
    rig.pair();
    EXPECT_EQ(rig.send(rig.a, pattern(1000)), 1000);
    rig.run();
    EXPECT_EQ(rig.send(rig.a, pattern(500)), 500);
    sim_net_shut(rig.net, rig.a);
    rig.run();
    EXPECT_TRUE(rig.recv(rig.b) == pattern(1000));
    rig.run();
    int32_t end;
    EXPECT_TRUE(rig.recv(rig.b, &end) == pattern(500));
    EXPECT_EQ(end, 0);
    sim_net_shut(rig.net, rig.b);
    rig.run();
    EXPECT_EQ(rig.count().sockets, 0u);
}

TEST(Net, AWatcherIsToldByTheAgendaOnceForWhatChangesAtATime) {
    NetRig rig;
    rig.pair();
    std::vector<int32_t> told;
    auto call = [](void *where, int32_t s) {
        static_cast<std::vector<int32_t> *>(where)->push_back(s);
    };
    sim_net_watch(rig.net, rig.b, call, &told);
    EXPECT_EQ(rig.send(rig.a, "x"), 1);
    EXPECT_TRUE(told.empty());
    rig.run();
    EXPECT_EQ(told, std::vector<int32_t>{rig.b});
    EXPECT_EQ(rig.send(rig.a, "x"), 1);
    sim_net_watch(rig.net, rig.b, nullptr, nullptr);
    rig.run();
    EXPECT_EQ(told.size(), 1u);
    sim_net_watch(rig.net, rig.b, call, &told);
    EXPECT_EQ(sim_net_shutdown(rig.net, rig.b, TINA_SHUTDOWN_READ), 0); // tells, later
    sim_net_shut(rig.net, rig.b);
    int32_t next = rig.stream(SIM_NET_MACHINE);
    rig.run();
    EXPECT_EQ(told.size(), 1u);
    sim_net_shut(rig.net, next);
}

TEST(Net, AHostWithoutPowerTellsNobodyUntilItIsAsked) {
    NetRig rig("net_ns=1000000");
    rig.pair();
    int32_t door = rig.listener(80);
    int32_t queued = rig.stream(rig.client);
    EXPECT_EQ(rig.connect(queued), -EINPROGRESS);
    rig.run();
    int32_t begun = rig.stream(rig.client); // its embryo waits for the ACK
    EXPECT_EQ(rig.connect(begun), -EINPROGRESS);
    while (rig.count().sockets < 7)
        rig.run(100);
    EXPECT_EQ(rig.send(rig.b, "lost"), 4);
    sim_net_shut(rig.net, rig.b); // what it leaves is an orphan
    int32_t out = rig.stream(SIM_NET_MACHINE);
    tina_address nowhere = sim_net_address(rig.net, rig.client, 1);
    EXPECT_EQ(sim_net_connect(rig.net, out, &nowhere), -EINPROGRESS);
    sim_net_vanish(rig.net, SIM_NET_MACHINE);
    sim_net_shut(rig.net, out);
    sim_net_shut(rig.net, door);
    EXPECT_EQ(sim_net_open_sockets(rig.net, SIM_NET_MACHINE), 0u);
    rig.run(100 * kSecond);
    for (int32_t s : {rig.a, queued}) {
        int32_t end;
        EXPECT_EQ(rig.recv(s, &end), "");
        EXPECT_EQ(end, -EAGAIN);
        EXPECT_EQ(rig.send(s, "is anybody there?"), 17);
        rig.run();
        EXPECT_EQ(rig.recv(s, &end), "");
        EXPECT_EQ(end, -ECONNRESET);
        sim_net_shut(rig.net, s);
    }
    EXPECT_EQ(rig.send(begun, "?"), -ECONNRESET); // the answer to its ACK
    sim_net_shut(rig.net, begun);
    EXPECT_EQ(rig.count().sockets, 0u);
}

TEST(Net, AUnixPathOutlivesItsSocketUntilItIsUnlinked) {
    NetRig rig;
    tina_address path;
    ASSERT_TRUE(tina_address_parse("unix:/run/door", 0, &path));
    EXPECT_FALSE(sim_net_unlink(rig.net, &path));
    for (int round = 0; round < 2; round++) {
        int32_t door =
            sim_net_socket(rig.net, SIM_NET_MACHINE, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM);
        EXPECT_EQ(sim_net_bind(rig.net, door, &path), 0);
        EXPECT_EQ(sim_net_listen(rig.net, door, 1), 0);
        int32_t s = sim_net_socket(rig.net, SIM_NET_MACHINE, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM);
        EXPECT_EQ(sim_net_connect(rig.net, s, &path), 0);
        sim_net_shut(rig.net, door);
        rig.run();
        int32_t end;
        (void)rig.recv(s, &end);
        EXPECT_EQ(end, -ECONNRESET);
        sim_net_shut(rig.net, s);
        s = sim_net_socket(rig.net, SIM_NET_MACHINE, TINA_ADDRESS_UNIX, TINA_SOCKET_STREAM);
        EXPECT_EQ(sim_net_connect(rig.net, s, &path), -ECONNREFUSED);
        EXPECT_EQ(sim_net_bind(rig.net, s, &path), -EADDRINUSE);
        EXPECT_TRUE(sim_net_unlink(rig.net, &path));
        EXPECT_EQ(sim_net_connect(rig.net, s, &path), -ENOENT);
        sim_net_shut(rig.net, s);
    }
}

} // namespace
