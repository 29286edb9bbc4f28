// SPDX-License-Identifier: Apache-2.0
//
// Shards so many that they mark what they send: nothing is lost for want of a mark or a wake, and a
// look costs what was sent.

#include "core/prng.h"
#include "sched/cluster.h"
#include "sched/puppet.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <memory>
#include <vector>

namespace {

using tina::Cluster;
using tina::Play;
using tina::Script;

bool IsLong() {
    return std::getenv("TINA_LONG") != nullptr;
}

uint64_t Seed() {
    const char *given = std::getenv("TINA_SEED");
    uint64_t seed =
        given ? std::strtoull(given, nullptr, 10) : static_cast<uint64_t>(time(nullptr));
    std::printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

// So many shards of one puppet each, and loops that sleep as a member's does.
struct Crowd {
    explicit Crowd(uint32_t count) : scripts(count), handles(count), sleeps(count), woken(count) {
        for (uint32_t i = 0; i < count; i++) {
            scripts[i].init = [this, i](tina_ctx *ctx, tina_bytes) {
                handles[i] = tina_self(ctx);
                return start ? start(i, ctx) : tina_receive();
            };
            scripts[i].handle = [this, i](tina_ctx *ctx, const tina_message *m) {
                return m->tag == TINA_SHUTDOWN ? tina_done() : receive(i, ctx, m);
            };
            plays.emplace_back(std::vector<Script *>{&scripts[i]}, 1);
            plays[i].type.mailbox_max = 1000;
            plays[i].spec.channel_bytes = 1; // the least
            plays[i].spec.message_count = 256;
            plays[i].spec.fd_count = plays[i].spec.buffer_count = 1;
        }
    }
    void Open() {
        std::vector<tina_spec> specs;
        for (Play &play : plays)
            specs.push_back(play.spec);
        cluster = std::make_unique<Cluster>(specs);
    }
    // One turn of a loop, or none while it sleeps and nobody woke it. Returns whether there was
    // one.
    bool Step(uint32_t i) {
        tina_shard *shard = cluster->shard(i);
        if (sleeps[i] && cluster->woken(i) == woken[i])
            return false;
        if (sleeps[i])
            tina_shard_rouse(shard);
        sleeps[i] = false;
        tina_tick tick = cluster->Turn(i);
        woken[i] = cluster->woken(i);
        if (tick.busy)
            return true;
        sleeps[i] = tina_shard_doze(shard);
        if (!sleeps[i])
            tina_shard_rouse(shard);
        return true;
    }
    void Awake(uint32_t i) {
        if (sleeps[i])
            tina_shard_rouse(cluster->shard(i));
        sleeps[i] = false;
    }
    // Until all sleep.
    void Settle() {
        for (bool any = true; any;) {
            any = false;
            for (uint32_t i = 0; i < plays.size(); i++)
                any = Step(i) || any;
        }
    }
    uint64_t Sum(uint64_t tina_shard_counters::*counter) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < plays.size(); i++)
            sum += cluster->counters(i).*counter;
        return sum;
    }

    std::function<tina_effect(uint32_t, tina_ctx *)> start;
    std::function<tina_effect(uint32_t, tina_ctx *, const tina_message *)> receive =
        [](uint32_t, tina_ctx *, const tina_message *) { return tina_receive(); };
    std::vector<Script> scripts;
    std::deque<Play> plays; // do not move
    std::vector<tina_handle> handles;
    std::vector<bool> sleeps;
    std::vector<uint64_t> woken;
    std::unique_ptr<Cluster> cluster;
};

// Of 64 shards two talk: nobody looks at what the others sent, which is nothing.
TEST(ManyShards, ATickLooksAtThoseWhoSentAndNobodyElse) {
    constexpr uint32_t kShards = 64;
    constexpr uint32_t kRounds = 100;
    Crowd crowd(kShards);
    uint32_t rounds = 0;
    crowd.start = [&](uint32_t i, tina_ctx *ctx) {
        if (i == 63) {
            EXPECT_EQ(tina_send(ctx, crowd.handles[3], 1, nullptr, 0), TINA_SEND_OK);
        }
        return tina_receive();
    };
    crowd.receive = [&](uint32_t i, tina_ctx *ctx, const tina_message *m) {
        EXPECT_TRUE(i == 3 || i == 63);
        if (++rounds < kRounds) {
            EXPECT_EQ(tina_send(ctx, m->from, 1, nullptr, 0), TINA_SEND_OK);
        }
        return tina_receive();
    };
    crowd.Open();
    crowd.cluster->Turns(2 * kRounds);
    EXPECT_EQ(rounds, kRounds);
    EXPECT_EQ(crowd.Sum(&tina_shard_counters::ticks), 2 * kRounds * kShards);
    EXPECT_EQ(crowd.Sum(&tina_shard_counters::inlets_read), kRounds);
}

TEST(ManyShards, EightAreLookedAtInEachTickAndNineAreNot) {
    for (uint32_t shards : {8u, 9u}) {
        Crowd crowd(shards);
        crowd.Open();
        crowd.Settle();
        uint64_t looks = crowd.Sum(&tina_shard_counters::inlets_read);
        crowd.cluster->Turns(10);
        EXPECT_EQ(crowd.Sum(&tina_shard_counters::inlets_read) - looks,
                  shards == 8 ? 10u * 8 * 7 : 0u);
    }
}

// A shard may break when it has taken the marks and has not looked: the life after looks at all.
TEST(ManyShards, WhatWasMarkedIsFoundByTheNextLife) {
    Crowd crowd(9);
    bool spoken = false;
    crowd.start = [&](uint32_t i, tina_ctx *ctx) {
        if (i == 1 && !spoken) {
            EXPECT_EQ(tina_send(ctx, crowd.handles[0], 1, nullptr, 0), TINA_SEND_OK);
            spoken = true;
        }
        return tina_receive();
    };
    crowd.Open();
    for (uint32_t i : {0u, 0u, 1u, 1u})
        crowd.cluster->Turn(i);
    ASSERT_TRUE(spoken);
    EXPECT_EQ(tina_occupancy_take(tina_shard_inlet(crowd.cluster->shard(0), 1)->occupancy, 0),
              1u << 1);
    ASSERT_TRUE(tina_shard_rebuild(crowd.cluster->shard(0)));
    crowd.cluster->Turn(0);
    EXPECT_EQ(crowd.cluster->counters(0).arrivals_stale, 1u);
}

// A storm of messages, each of which begets others until it is old, among shards that sleep, begin
// anew, stop and are revived: in the end everybody sleeps, and each message that was sent has
// arrived or was counted where it was dropped.
void Storm(uint32_t shards, uint64_t seed, uint64_t messages) {
    Crowd crowd(shards);
    tina_prng prng = tina_prng_make(seed, shards, 0);
    uint64_t sent = 0;
    auto spread = [&](uint32_t i, tina_ctx *ctx, uint32_t count) {
        for (uint32_t k = 0; k < count && sent < messages; k++) {
            uint32_t to = static_cast<uint32_t>(tina_prng_below(&prng, shards));
            if (to != i && tina_send(ctx, crowd.handles[to], 1, nullptr, 0) == TINA_SEND_OK)
                sent++;
        }
        return tina_receive();
    };
    crowd.start = [&](uint32_t i, tina_ctx *ctx) { return spread(i, ctx, 4); };
    crowd.receive = [&](uint32_t i, tina_ctx *ctx, const tina_message *) {
        uint64_t dice = tina_prng_below(&prng, 64);
        return spread(i, ctx, dice == 0 ? 16 : dice < 28 ? 0 : dice < 56 ? 1 : 2);
    };
    crowd.Open();
    uint64_t lives = 0;
    while (sent < messages) {
        uint32_t i = static_cast<uint32_t>(tina_prng_below(&prng, shards));
        uint64_t dice = tina_prng_below(&prng, 1024);
        // Shards that begin anew also start what has died down.
        if (dice < 4 || lives == 0) {
            crowd.Awake(i);
            ASSERT_TRUE(dice == 0 ? tina_shard_quarantine(crowd.cluster->shard(i))
                                  : tina_shard_rebuild(crowd.cluster->shard(i)));
            lives++;
        }
        crowd.Step(i);
    }
    crowd.Settle();
    uint64_t arrived = crowd.Sum(&tina_shard_counters::messages_arrived);
    uint64_t stale = crowd.Sum(&tina_shard_counters::arrivals_stale);
    uint64_t full = crowd.Sum(&tina_shard_counters::arrivals_mailbox_full);
    EXPECT_EQ(sent, arrived + stale + full);
    EXPECT_GT(arrived, sent / 4);
    EXPECT_GT(crowd.Sum(&tina_shard_counters::wakes_sent), 0u);
    std::printf(
        "%u shards: %llu sent, %llu arrived, %llu stale, %llu full, %llu wakes, %llu lives\n",
        shards, static_cast<unsigned long long>(sent), static_cast<unsigned long long>(arrived),
        static_cast<unsigned long long>(stale), static_cast<unsigned long long>(full),
        static_cast<unsigned long long>(crowd.Sum(&tina_shard_counters::wakes_sent)),
        static_cast<unsigned long long>(lives));
}

TEST(ManyShards, NothingIsLostAmongTwelveThatSleepAndBeginAnew) {
    Storm(12, Seed(), IsLong() ? 10000000 : 20000);
}

TEST(ManyShards, NothingIsLostAmongFiveWhoLookAtEachOther) {
    Storm(5, Seed(), IsLong() ? 10000000 : 20000);
}

// More than one word of marks.
TEST(ManyShards, NothingIsLostAmongSeventy) {
    Storm(70, Seed(), IsLong() ? 10000000 : 5000);
}

} // namespace
