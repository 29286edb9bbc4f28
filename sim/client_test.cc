// SPDX-License-Identifier: Apache-2.0

#include <errno.h>

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/client.h"
#include "sim/net.h"
#include "sim/net_rig.h"

namespace {

struct Visit {
    std::string got;
    int32_t end = 1; // of its receives: 0, or -errno
    std::vector<uint64_t> times_ns;
};

// Answers what it is to, once it has so many bytes; closes then, or when the client is done.
class Server {
  public:
    explicit Server(NetRig &rig) : rig_(rig), door_(rig.listener()) {
        sim_net_watch(rig.net, door_, knocked, this);
    }
    std::string answer;
    size_t answers_at = SIZE_MAX;
    bool closes = false;
    std::vector<Visit> visits;

  private:
    static void knocked(void *where, int32_t door) {
        Server *server = static_cast<Server *>(where);
        for (;;) {
            int32_t s = sim_net_accept(server->rig_.net, door);
            if (s < 0)
                return;
            server->numbers_[s] = server->visits.size();
            server->unsent_[s] = "";
            server->visits.emplace_back();
            sim_net_watch(server->rig_.net, s, changed, server);
            changed(server, s);
        }
    }
    static void changed(void *where, int32_t s) {
        Server *server = static_cast<Server *>(where);
        Visit &visit = server->visits[server->numbers_[s]];
        bool before = visit.got.size() >= server->answers_at;
        size_t had = visit.got.size();
        visit.got += server->rig_.recv(s, &visit.end);
        if (visit.got.size() > had)
            visit.times_ns.push_back(server->rig_.world.now_ns);
        std::string &unsent = server->unsent_[s];
        if (!before && visit.got.size() >= server->answers_at)
            unsent = server->answer;
        int32_t sent = unsent.empty() ? 0 : server->rig_.send(s, unsent);
        unsent.erase(0, sent > 0 ? static_cast<size_t>(sent) : 0);
        bool answered = visit.got.size() >= server->answers_at && unsent.empty();
        if ((answered && server->closes) || visit.end != -EAGAIN)
            sim_net_shut(server->rig_.net, s);
    }
    NetRig &rig_;
    int32_t door_;
    std::map<int32_t, size_t> numbers_;
    std::map<int32_t, std::string> unsent_;
};

sim_client_plan plan_of(const NetRig &rig, std::string_view bytes) {
    sim_client_plan plan = {};
    plan.to = sim_net_address(rig.net, SIM_NET_MACHINE, 80);
    plan.data = bytes.data();
    plan.bytes = bytes.size();
    return plan;
}

std::string kept(const sim_client *client) {
    sim_client_result result = sim_client_look(client);
    return std::string(reinterpret_cast<const char *>(result.kept), result.kept_bytes);
}

TEST(Client, SendsAllReadsAllAndClosesWithTheOther) {
    NetRig rig;
    Server server(rig);
    server.answer = std::string(300000, 'y'); // more than the buffers hold
    server.answers_at = 100000;
    server.closes = true;
    std::string bytes(100000, 'x');
    int done = 0;
    sim_client_plan plan = plan_of(rig, bytes);
    plan.where = &done;
    plan.done = [](void *where, sim_client *) { ++*static_cast<int *>(where); };
    sim_client *client = sim_client_start(rig.net, rig.client, &plan);
    EXPECT_EQ(done, 0);
    rig.run();
    EXPECT_EQ(done, 1);
    sim_client_result result = sim_client_look(client);
    EXPECT_EQ(result.end, SIM_CLIENT_FIN);
    EXPECT_EQ(result.error, 0);
    EXPECT_EQ(result.sent, bytes.size());
    EXPECT_EQ(result.received, server.answer.size());
    EXPECT_TRUE(kept(client) == server.answer);
    EXPECT_TRUE(server.visits.at(0).got == bytes);
    EXPECT_GT(result.connected_ns, result.started_ns);
    EXPECT_EQ(rig.count().sockets, 1u);
}

TEST(Client, ASlowPartLeavesInSteps) {
    NetRig rig;
    Server server(rig);
    std::string bytes = "GET / HTTP/1.1\r\n\r\nbody";
    sim_client_plan plan = plan_of(rig, bytes);
    plan.slow_from = 4;
    plan.slow_bytes = 6;
    plan.slow_step_bytes = 2;
    plan.slow_step_ns = kSecond;
    plan.half_closes = true;
    (void)sim_client_start(rig.net, rig.client, &plan);
    rig.run(10 * kSecond);
    const Visit &visit = server.visits.at(0);
    EXPECT_EQ(visit.got, bytes);
    EXPECT_EQ(visit.end, 0);
    EXPECT_GE(visit.times_ns.back() - visit.times_ns.front(), 3 * kSecond - 100000);
    EXPECT_GE(visit.times_ns.size(), 4u);
}

TEST(Client, ASlowReaderMakesItsServerWait) {
    NetRig rig("net_buffer_bytes=1000");
    Server server(rig);
    server.answer = std::string(5000, 'y');
    server.answers_at = 1;
    server.closes = true;
    sim_client_plan plan = plan_of(rig, "x");
    plan.read_bytes = 100;
    plan.read_ns = kSecond;
    sim_client *client = sim_client_start(rig.net, rig.client, &plan);
    rig.run(20 * kSecond);
    EXPECT_EQ(sim_client_look(client).received, 2000u);
    EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_RUNNING);
    rig.run(40 * kSecond);
    EXPECT_EQ(sim_client_look(client).received, 5000u);
    EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_FIN);
}

TEST(Client, OneThatNeverReadsLeavesInItsTime) {
    NetRig rig;
    Server server(rig);
    server.answer = "unread";
    server.answers_at = 1;
    sim_client_plan plan = plan_of(rig, "x");
    plan.never_reads = true;
    plan.leaves_ns = 3 * kSecond;
    sim_client *client = sim_client_start(rig.net, rig.client, &plan);
    rig.run(10 * kSecond);
    EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_LEFT);
    EXPECT_EQ(sim_client_look(client).received, 0u);
    EXPECT_EQ(server.visits.at(0).end, -ECONNRESET); // it closed over unread bytes
}

TEST(Client, LeavesAtAByteSentOrReceivedByCloseOrReset) {
    for (bool resets : {false, true}) {
        NetRig rig;
        Server server(rig);
        server.answer = "0123456789";
        server.answers_at = 10;
        sim_client_plan plan = plan_of(rig, "abcdefghij");
        plan.resets = resets;
        plan.leaves_at_sent = 4;
        sim_client *client = sim_client_start(rig.net, rig.client, &plan);
        rig.run();
        EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_LEFT);
        EXPECT_EQ(sim_client_look(client).sent, 4u);
        EXPECT_EQ(server.visits.at(0).got, "abcd");
        EXPECT_EQ(server.visits.at(0).end, resets ? -ECONNRESET : 0);
        plan.leaves_at_sent = 0;
        plan.leaves_at_received = 3;
        client = sim_client_start(rig.net, rig.client, &plan);
        rig.run();
        EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_LEFT);
        EXPECT_EQ(kept(client), "012");
        EXPECT_EQ(server.visits.at(1).end, -ECONNRESET); // its rest was not read
    }
}

TEST(Client, ConnectsAgainAsOftenAsItIsTold) {
    NetRig rig;
    sim_client_plan plan = plan_of(rig, "x");
    plan.connects = 3;
    plan.connect_pause_ns = kSecond;
    sim_client *client = sim_client_start(rig.net, rig.client, &plan);
    rig.run(2 * kSecond);
    EXPECT_EQ(sim_client_look(client).failures, 2u);
    Server server(rig);
    rig.run(2 * kSecond);
    EXPECT_EQ(sim_client_look(client).sent, 1u);
    EXPECT_EQ(server.visits.at(0).got, "x");
    plan.to.port = 81;
    client = sim_client_start(rig.net, rig.client, &plan);
    rig.run(10 * kSecond);
    EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_NOT_CONNECTED);
    EXPECT_EQ(sim_client_look(client).error, ECONNREFUSED);
    EXPECT_EQ(sim_client_look(client).failures, 4u);
}

TEST(Client, ItsPatienceEnds) {
    NetRig rig;
    Server server(rig);
    sim_client_plan plan = plan_of(rig, "x");
    plan.timeout_ns = kSecond;
    sim_client *client = sim_client_start(rig.net, rig.client, &plan);
    rig.run(2 * kSecond);
    EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_TIMED_OUT);
    EXPECT_EQ(sim_client_look(client).ended_ns - sim_client_look(client).started_ns, kSecond);
}

TEST(Client, AConversationIsHeldByItsCallbacks) {
    NetRig rig;
    Server server(rig);
    server.answer = "and?";
    server.answers_at = 5;
    sim_client_plan plan = plan_of(rig, "hello");
    plan.heard = [](void *, sim_client *client, const void *data, uint32_t bytes) {
        EXPECT_EQ(std::string(static_cast<const char *>(data), bytes), "and?");
        sim_client_send(client, "bye", 3);
        sim_client_leave(client);
    };
    sim_client *client = sim_client_start(rig.net, rig.client, &plan);
    rig.run();
    EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_LEFT);
    sim_client_send(client, "too late", 8);
    rig.run();
    EXPECT_EQ(server.visits.at(0).got.substr(0, 5), "hello");
}

TEST(Client, AResetOfTheServersIsSeenByReadersAndByOthers) {
    for (bool deaf : {false, true}) {
        NetRig rig;
        int32_t door = rig.listener();
        sim_client_plan plan = plan_of(rig, "x");
        plan.never_reads = deaf;
        sim_client *client = sim_client_start(rig.net, rig.client, &plan);
        rig.run();
        sim_net_reset(rig.net, sim_net_accept(rig.net, door));
        rig.run();
        EXPECT_EQ(sim_client_look(client).end, SIM_CLIENT_RESET);
    }
}

TEST(Client, EveryAbuseIsDrawnEndsAndIsTheSameForASeed) {
    std::set<std::string> names;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t hashes[2];
        for (uint64_t &hash : hashes) {
            NetRig rig("", seed);
            Server server(rig);
            server.answer = std::string(200, 'y');
            server.answers_at = 100;
            server.closes = true;
            sim_stream stream = sim_stream_of(&rig.world, SIM_DOMAIN_HOST, rig.client);
            std::string bytes(150, 'x');
            sim_client_plan plan = plan_of(rig, bytes);
            plan.timeout_ns = 1000 * kSecond;
            names.insert(sim_client_abuse(&stream, kSecond, &plan));
            sim_client *client = sim_client_start(rig.net, rig.client, &plan);
            rig.run(2000 * kSecond);
            EXPECT_NE(sim_client_look(client).end, SIM_CLIENT_RUNNING);
            hash = rig.world.record.hash;
        }
        EXPECT_EQ(hashes[0], hashes[1]);
    }
    EXPECT_EQ(names.size(), 12u);
}

} // namespace
