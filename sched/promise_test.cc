// SPDX-License-Identifier: Apache-2.0
//
// The promises of the runtime core, each as a test of its own.

#include "sched/harness.h"
#include "sched/puppet.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace {

using tina::ArgsOf;
using tina::Harness;
using tina::Play;
using tina::PuppetType;
using tina::Script;

bool Long() {
    const char *value = std::getenv("TINA_LONG");
    return value && *value == '1';
}

// The control plane cannot be starved: with the pool empty and every mailbox full, timers fire,
// completions arrive, monitors tell, calls fail, and shutdown completes.
TEST(Promise, ControlEventsNeedNoMessage) {
    constexpr int kVictims = 4;
    Script victims[kVictims], hog, doomed;
    tina_handle handles[kVictims] = {}, doomed_handle = {}, hog_handle = {};
    int timers = 0, completions = 0, downs = 0, shutdowns = 0, calls_failed = 0;
    doomed.init = [&](tina_ctx *ctx, tina_bytes) {
        doomed_handle = tina_self(ctx);
        tina_timer_set(ctx, 3000000, 0);
        return tina_receive();
    };
    doomed.handle = [&](tina_ctx *, const tina_message *m) {
        return m->tag == TINA_TIMER ? tina_crash(1) : tina_receive();
    };
    for (int i = 0; i < kVictims; i++) {
        victims[i].init = [&, i](tina_ctx *ctx, tina_bytes) {
            handles[i] = tina_self(ctx);
            tina_timer_set(ctx, 2000000, 0);
            tina_monitor_set(ctx, doomed_handle);
            // It waits for a connection that never comes, and takes no message meanwhile.
            tina_fd fd;
            tina_address mine = tina_address_ipv4(127, 0, 0, 1, static_cast<uint16_t>(81 + i));
            EXPECT_EQ(tina_listen(ctx, &mine, 1, &fd), 0);
            return tina_io(tina_op_within(tina_op_accept(fd), 1000000));
        };
        victims[i].handle = [&](tina_ctx *ctx, const tina_message *m) {
            if (m->tag >= 0)
                return tina_send(ctx, tina_self(ctx), 0, nullptr, 0), tina_receive();
            timers += m->tag == TINA_TIMER;
            completions += m->tag == TINA_IO_ACCEPT_DONE;
            downs += m->tag == TINA_DOWN;
            shutdowns += m->tag == TINA_SHUTDOWN;
            if (m->tag == TINA_SHUTDOWN)
                return tina_done();
            return tina_receive();
        };
    }
    hog.init = [&](tina_ctx *ctx, tina_bytes) {
        hog_handle = tina_self(ctx);
        for (tina_handle handle : handles)
            for (int i = 0; i < 8; i++)
                tina_send(ctx, handle, 0, nullptr, 0);
        EXPECT_NE(tina_send(ctx, handles[0], 0, nullptr, 0), TINA_SEND_OK);
        EXPECT_NE(tina_send(ctx, doomed_handle, 0, nullptr, 0), TINA_SEND_OK);
        return tina_call(ctx, doomed_handle, 0, nullptr, 0, 0);
    };
    hog.handle = [&](tina_ctx *, const tina_message *m) {
        calls_failed += m->tag == TINA_CALL_FAILED;
        shutdowns += m->tag == TINA_SHUTDOWN;
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    Play play({&doomed, &victims[0], &victims[1], &victims[2], &victims[3], &hog});
    play.spec.message_count = 8 * kVictims;
    play.spec.sender_share = 8 * kVictims;
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().messages_in_use, 8u * kVictims) << "the pool is empty";
    EXPECT_EQ(calls_failed, 1);
    // From here on the mailboxes refill themselves, each message taking the place of the one
    // before.
    h.Pass(1100000);
    for (int i = 0; i < 10; i++)
        h.Turn();
    EXPECT_EQ(completions, kVictims);
    EXPECT_EQ(timers, 0);
    h.Pass(2000000);
    for (int i = 0; i < 10; i++)
        h.Turn();
    EXPECT_EQ(timers, kVictims);
    EXPECT_EQ(downs, kVictims);
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(shutdowns, kVictims + 1);
    EXPECT_EQ(h.counters().messages_in_use, 0u);
}

TEST(Promise, OneSenderCannotTakeThePool) {
    Script idle[8], hog, other;
    tina_handle handles[8] = {};
    for (int i = 0; i < 8; i++)
        idle[i].init = [&handles, i](tina_ctx *ctx, tina_bytes) {
            handles[i] = tina_self(ctx);
            return tina_call(ctx, tina_self(ctx), 0, nullptr, 0, 0); // takes no message
        };
    int hogged = 0, others = 0;
    hog.init = [&](tina_ctx *ctx, tina_bytes) {
        for (int round = 0; round < 7; round++)
            for (tina_handle handle : handles)
                hogged += tina_send(ctx, handle, 0, nullptr, 0) == TINA_SEND_OK;
        return tina_receive();
    };
    other.init = [&](tina_ctx *ctx, tina_bytes) {
        for (tina_handle handle : handles)
            others += tina_send(ctx, handle, 0, nullptr, 0) == TINA_SEND_OK;
        return tina_receive();
    };
    Play play({&idle[0], &idle[1], &idle[2], &idle[3], &idle[4], &idle[5], &idle[6], &idle[7], &hog,
               &other});
    play.spec.message_count = 64;
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(hogged, 16) << "a quarter, by default";
    EXPECT_EQ(others, 8);
    EXPECT_EQ(h.counters().sends_over_share, 7u * 8 - 16);
}

// A program of nodes that pass messages on, to see that none is lost and nobody waits long.
struct Traffic {
    enum Shape {
        kFlood,
        kFanOut,
        kFanIn,
        kRing
    };

    Traffic(Shape kind, uint32_t nodes, uint64_t sum) : shape(kind), total(sum) {
        type.name = "node";
        type.struct_bytes = sizeof(Node);
        type.init = [](tina_ctx *ctx, void *self, tina_bytes args) {
            std::memcpy(self, args.data, sizeof(Node));
            Node *node = static_cast<Node *>(self);
            node->traffic->handles[node->number] = tina_self(ctx);
            return tina_yield();
        };
        type.handle = [](tina_ctx *ctx, void *self, const tina_message *m) {
            Node *node = static_cast<Node *>(self);
            return node->traffic->Handle(ctx, node, m);
        };
        nodes_.reserve(nodes);
        handles.resize(nodes);
        for (uint32_t i = 0; i < nodes; i++) {
            nodes_.push_back({this, i, 0});
            children.push_back({nullptr, &type, tina_bytes_of(&nodes_[i], sizeof(Node))});
        }
        types[0] = {&type, nodes};
        spec.types = types;
        spec.type_count = 1;
        spec.root.children = children.data();
        spec.root.child_count = nodes;
        spec.message_count = 4096;
    }

    struct Node {
        Traffic *traffic;
        uint32_t number;
        uint32_t next;
    };

    struct Parcel {
        uint64_t sent_in_tick;
    };

    bool IsSource(uint32_t number) const {
        return shape == kFanIn ? number != 0 : number == 0;
    }

    // A source sends until it is refused, in each of its ticks.
    tina_effect Send(tina_ctx *ctx, Node *node) {
        uint32_t count = static_cast<uint32_t>(handles.size());
        for (int burst = 0; burst < 200 && sent < total; burst++) {
            uint32_t to = 0;
            if (shape == kFlood || shape == kRing)
                to = 1;
            else if (shape == kFanOut)
                to = 1 + node->next++ % (count - 1);
            Parcel parcel = {harness->counters().ticks};
            if (tina_send(ctx, handles[to], 1, &parcel, sizeof parcel) != TINA_SEND_OK) {
                refused++;
                break;
            }
            sent++;
        }
        return sent < total ? tina_yield() : tina_receive();
    }

    tina_effect Handle(tina_ctx *ctx, Node *node, const tina_message *m) {
        if (m->tag == TINA_YIELDED)
            return IsSource(node->number) && started ? Send(ctx, node)
                   : IsSource(node->number)          ? tina_yield()
                                                     : tina_receive();
        Parcel parcel;
        std::memcpy(&parcel, m->payload, sizeof parcel);
        uint64_t tick = harness->counters().ticks;
        wait_max = std::max(wait_max, tick - parcel.sent_in_tick);
        bool last = shape != kRing || node->number == 0;
        if (last) {
            arrived++;
            return tina_receive();
        }
        parcel.sent_in_tick = tick;
        uint32_t next = (node->number + 1) % static_cast<uint32_t>(handles.size());
        if (tina_send(ctx, handles[next], 1, &parcel, sizeof parcel) != TINA_SEND_OK)
            lost++;
        return tina_receive();
    }

    void Run() {
        Harness h(spec);
        harness = &h;
        while (h.counters().spawned < handles.size())
            h.Turn();
        h.Turn();
        started = true;
        for (uint64_t turns = 0; arrived + lost < total; turns++) {
            ASSERT_LT(turns, 100000u + total) << arrived << " of " << total << " arrived";
            h.Turn();
        }
        h.Settle();
        EXPECT_EQ(sent, total);
        EXPECT_EQ(arrived + lost, total);
        uint64_t hops = shape == kRing ? h.counters().messages_sent : total;
        EXPECT_EQ(h.counters().messages_sent, hops);
        EXPECT_EQ(h.counters().messages_in_use, 0u);
        EXPECT_EQ(h.counters().messages_dropped, 0u);
        // As ctx.h says of tina_send: those before it in the ready list have a turn each, four
        // times their batch at most, and a tick makes tick_batch calls.
        uint64_t turns = handles.size() * 4 * 16;
        uint64_t mailbox = 64 / 16;
        EXPECT_LE(wait_max, (turns / 1024 + 1) * mailbox + 1);
        std::printf("%u nodes: %llu messages, %llu refusals, %llu lost, longest wait %llu ticks\n",
                    static_cast<unsigned>(handles.size()), static_cast<unsigned long long>(arrived),
                    static_cast<unsigned long long>(refused), static_cast<unsigned long long>(lost),
                    static_cast<unsigned long long>(wait_max));
    }

    Shape shape;
    uint64_t total;
    tina_isolate_type type = {};
    tina_type_slots types[1];
    std::vector<Node> nodes_;
    std::vector<tina_child> children;
    std::vector<tina_handle> handles;
    tina_spec spec = {};
    Harness *harness = nullptr;
    bool started = false;
    uint64_t sent = 0, arrived = 0, refused = 0, lost = 0, wait_max = 0;
};

uint64_t Total() {
    return Long() ? 1000000 : 20000;
}

TEST(Promise, FloodFromOneToOneLosesNothing) {
    Traffic(Traffic::kFlood, 2, Total()).Run();
}

TEST(Promise, FanOutToAThousandLosesNothing) {
    Traffic(Traffic::kFanOut, 1001, Total()).Run();
}

TEST(Promise, FanInFromAThousandLosesNothing) {
    Traffic(Traffic::kFanIn, 1001, Total()).Run();
}

TEST(Promise, ARingOfAThousandLosesNothing) {
    // One parcel in flight a node at most: sources of a ring send less than a mailbox holds.
    Traffic traffic(Traffic::kRing, 1000, 60);
    traffic.Run();
    EXPECT_EQ(traffic.lost, 0u);
}

// Handles of 2^20 lives of one slot: none resolves again, and the slot rotates rather than wrap.
TEST(Promise, StaleHandlesStayStaleAfterAMillionLives) {
    uint32_t lives = Long() ? (1u << 20) + 10 : 20000;
    Script parent, child;
    Script *child_script = &child;
    Play play({&parent}, 2);
    child.init = [](tina_ctx *, tina_bytes) { return tina_done(); };
    std::vector<tina_handle> sample;
    uint32_t born = 0;
    parent.init = [&](tina_ctx *, tina_bytes) { return tina_yield(); };
    parent.handle = [&](tina_ctx *ctx, const tina_message *) {
        for (tina_handle old : sample)
            EXPECT_EQ(tina_send(ctx, old, 0, nullptr, 0), TINA_SEND_STALE);
        tina_handle handle;
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&child_script), &handle), TINA_SPAWN_OK);
        if (born++ % (lives / 16) == 0)
            sample.push_back(handle);
        return born < lives ? tina_yield() : tina_receive();
    };
    Harness h(play.spec);
    while (born < lives)
        h.Turn();
    EXPECT_GE(sample.size(), 16u);
    for (size_t i = 1; i < sample.size(); i++)
        EXPECT_FALSE(tina_handle_equal(sample[0], sample[i]));
}

} // namespace
