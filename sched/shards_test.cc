// SPDX-License-Identifier: Apache-2.0
//
// Several shards in a real process: what they send each other arrives once and in order, and what
// happens to one of them is no business of the others.

#include "reactor/io.h"
#include "sched/ctx.h"
#include "sched/one_life.h"
#include "sched/spec.h"
#include "sched/system.h"
#include "supervise/faults.h"

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kShardsMax = 64;

bool IsLong() {
    return std::getenv("TINA_LONG") != nullptr;
}

// Who is where: written by each in its init, and read by all.
std::atomic<uint64_t> where[kShardsMax];

void Forget() {
    for (auto &each : where)
        each = 0;
}

tina_handle At(uint32_t shard) {
    return tina_handle{where[shard].load(std::memory_order_acquire)};
}

tina_spec OneEach(tina_type_slots *slots, tina_child *child, const tina_isolate_type *type,
                  uint32_t shards) {
    slots->type = type;
    slots->slot_count = 1;
    *child = tina_child{};
    child->type = type;
    child->restart = TINA_TEMPORARY;
    tina_spec spec = {};
    spec.types = slots;
    spec.type_count = 1;
    spec.root.children = child;
    spec.root.child_count = 1;
    spec.shard_count = shards;
    return spec;
}

// Everybody sends to everybody, as fast as the channels take it, then says how many there were.

enum {
    COUNTED = 1,
    LAST
};

std::atomic<uint64_t> total_sent, total_received;
uint64_t messages_each;

struct Gossip {
    uint64_t sent[kShardsMax];
    uint64_t received[kShardsMax];
    bool told[kShardsMax];
    uint32_t lasts;
    uint32_t shards;
    uint32_t self;
    bool sending;
};

tina_effect GossipInit(tina_ctx *ctx, void *self_, tina_bytes) {
    Gossip *self = static_cast<Gossip *>(self_);
    self->shards = tina_shard_count(ctx);
    self->self = tina_shard_number(ctx);
    self->sending = true;
    where[self->self].store(tina_self(ctx).bits, std::memory_order_release);
    return tina_yield();
}

// Returns whether all is said.
bool Say(tina_ctx *ctx, Gossip *self) {
    bool all = true;
    for (uint32_t to = 0; to < self->shards; to++) {
        tina_handle peer = At(to);
        if (to == self->self || self->told[to])
            continue;
        all = false;
        if (tina_handle_is_none(peer))
            continue;
        for (int burst = 0; burst < 64 && self->sent[to] < messages_each; burst++) {
            uint64_t number = self->sent[to];
            if (tina_send(ctx, peer, COUNTED, &number, sizeof number) != TINA_SEND_OK)
                break;
            self->sent[to]++;
            total_sent.fetch_add(1, std::memory_order_relaxed);
        }
        if (self->sent[to] == messages_each)
            self->told[to] =
                tina_send(ctx, peer, LAST, &messages_each, sizeof messages_each) == TINA_SEND_OK;
    }
    return all;
}

tina_effect GossipHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Gossip *self = static_cast<Gossip *>(self_);
    uint64_t number;
    switch (m->tag) {
    case TINA_SHUTDOWN:
        return tina_done();
    case COUNTED:
        std::memcpy(&number, m->payload, sizeof number);
        if (number != self->received[tina_handle_shard(m->from)]++)
            return tina_crash(1);
        total_received.fetch_add(1, std::memory_order_relaxed);
        break;
    case LAST:
        std::memcpy(&number, m->payload, sizeof number);
        if (number != self->received[tina_handle_shard(m->from)])
            return tina_crash(2);
        self->lasts++;
        break;
    default:
        self->sending = false;
        break;
    }
    bool all = Say(ctx, self);
    if (all && self->lasts == self->shards - 1)
        return tina_done();
    if (all || self->sending)
        return tina_receive();
    self->sending = true;
    tina_timer_set(ctx, 20000, 0);
    return tina_receive();
}

void Converse(uint32_t shards, uint64_t messages) {
    tina_isolate_type type = {};
    type.name = "gossip";
    type.init = GossipInit;
    type.handle = GossipHandle;
    type.struct_bytes = sizeof(Gossip);
    type.mailbox_max = 1u << 20;
    tina_type_slots slots;
    tina_child child;
    tina_spec spec = OneEach(&slots, &child, &type, shards);
    spec.message_count = 1u << 14;
    messages_each = messages / shards / (shards - 1);
    total_sent = total_received = 0;
    Forget();
    ASSERT_EQ(tina_run(&spec), 0);
    EXPECT_EQ(total_sent, messages_each * shards * (shards - 1));
    EXPECT_EQ(total_received, total_sent);
    std::printf("%u shards: %llu messages sent and received\n", shards,
                static_cast<unsigned long long>(total_received.load()));
}

TEST(Shards, NotAMessageIsLostBetweenTwo) {
    Converse(2, IsLong() ? 1000000000 : 200000);
}

TEST(Shards, NotAMessageIsLostAmongFour) {
    Converse(4, IsLong() ? 1000000000 : 200000);
}

TEST(Shards, NotAMessageIsLostAmongTwelveWhoMarkWhatTheySend) {
    Converse(12, IsLong() ? 100000000 : 100000);
}

// A few tokens go round among shards that sleep in between, without a timer or anything else to
// wake them: one wake that is lost, and this never ends.

uint64_t hops_wanted;
std::atomic<uint64_t> hops;
std::atomic<uint32_t> present;
constexpr uint32_t kTokens = 3;

struct Carrier {
    uint64_t step;
};

tina_effect CarrierInit(tina_ctx *ctx, void *, tina_bytes) {
    uint32_t shards = tina_shard_count(ctx);
    where[tina_shard_number(ctx)].store(tina_self(ctx).bits, std::memory_order_release);
    if (present.fetch_add(1) + 1 < shards)
        return tina_receive();
    for (uint32_t i = 0; i < kTokens; i++)
        tina_send(ctx, At(i * 5 % shards), COUNTED, nullptr, 0);
    return tina_receive();
}

tina_effect CarrierHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Carrier *self = static_cast<Carrier *>(self_);
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (hops.fetch_add(1) + 1 == hops_wanted)
        tina_stop(ctx, 9);
    // To each of the others in turn, with pauses of different length at each.
    uint32_t shards = tina_shard_count(ctx);
    uint64_t away = 1 + self->step++ % (shards - 1);
    tina_send(ctx, At(static_cast<uint32_t>((tina_shard_number(ctx) + away) % shards)), COUNTED,
              nullptr, 0);
    return tina_receive();
}

void PassTokens(uint32_t shards) {
    tina_isolate_type type = {};
    type.name = "carrier";
    type.init = CarrierInit;
    type.handle = CarrierHandle;
    type.struct_bytes = sizeof(Carrier);
    tina_type_slots slots;
    tina_child child;
    tina_spec spec = OneEach(&slots, &child, &type, shards);
    spec.channel_bytes = 64 << 10;
    hops_wanted = IsLong() ? 3000000 : 10000;
    hops = present = 0;
    Forget();
    EXPECT_EQ(tina_run(&spec), 9);
    EXPECT_GE(hops, hops_wanted);
}

TEST(Shards, NoWakeIsLostAmongThree) {
    PassTokens(3);
}

TEST(Shards, NoWakeIsLostAmongTwelve) {
    PassTokens(12);
}

// A shard that breaks again and again, and its peer, which talks to itself, calls it, lends it
// buffers, and keeps time.

enum {
    BREAK = 1,
    ASK,
    LOAN,
    LOCAL,
    STALE // to a victim that is no more
};

int breaks_wanted;
std::atomic<int> breaks, answers, failures, strange, loans, locals, beats, beats_missed;
std::atomic<uint32_t> news_count, news_life;

struct Victim {
    int dummy;
};

tina_effect VictimInit(tina_ctx *ctx, void *, tina_bytes) {
    where[1].store(tina_self(ctx).bits, std::memory_order_release);
    return tina_receive();
}

tina_effect VictimHandle(tina_ctx *ctx, void *, const tina_message *m) {
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag == LOAN)
        (void)tina_transfer_keep(ctx, tina_transfer_of(ctx, m));
    if (m->tag == STALE)
        strange++;
    if (m->tag == BREAK)
        tina::FaultInLibc();
    return m->tag == ASK ? tina_reply(ctx, ASK, nullptr, 0) : tina_receive();
}

struct Peer {
    tina_handle before; // the victim of a former life
    uint64_t asked_ns;
    int round;
    int locals;
};

tina_effect PeerInit(tina_ctx *ctx, void *, tina_bytes) {
    tina_monitor monitor;
    strange += tina_monitor_shard(ctx, 1, &monitor) != TINA_MONITOR_OK;
    tina_timer_set_periodic(ctx, 200000, 0);
    return tina_receive();
}

void PeerProvoke(tina_ctx *ctx, Peer *self, tina_handle victim) {
    if (self->before.bits != victim.bits) {
        if (self->before.bits && tina_send(ctx, self->before, STALE, nullptr, 0) != TINA_SEND_OK)
            strange++;
        self->before = victim;
    }
    tina_transfer transfer = tina_transfer_take(ctx);
    if (transfer.bits) {
        if (tina_send_transfer(ctx, victim, LOAN, nullptr, 0, transfer) == TINA_SEND_OK)
            loans++;
        else
            tina_transfer_give(ctx, transfer);
    }
    if (breaks < breaks_wanted && tina_send(ctx, victim, BREAK, nullptr, 0) == TINA_SEND_OK)
        breaks++;
}

tina_effect PeerHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Peer *self = static_cast<Peer *>(self_);
    tina_handle victim = At(1);
    switch (m->tag) {
    case TINA_SHUTDOWN:
        return tina_done();
    case TINA_TIMER:
        if (breaks == breaks_wanted && answers > 0 && ++self->round > 100) {
            // Once all that it has told itself is in, and all its buffers are home.
            tina_transfer all[8];
            int home = 0;
            for (tina_transfer &each : all)
                home += (each = tina_transfer_take(ctx)).bits != 0;
            for (tina_transfer &each : all)
                tina_transfer_give(ctx, each);
            if (self->locals == locals && home == 8)
                tina_stop(ctx, 42);
            else if (self->round == 200)
                tina_send(ctx, victim, BREAK, nullptr, 0); // it keeps them as long as it lives
            else if (self->round > 10000)
                tina_stop(ctx, 43);
            return tina_receive();
        }
        if (tina_send(ctx, tina_self(ctx), LOCAL, nullptr, 0) == TINA_SEND_OK)
            self->locals++;
        if (tina_handle_is_none(victim))
            return tina_receive();
        PeerProvoke(ctx, self, victim);
        return tina_call(ctx, victim, ASK, nullptr, 0, 5000000000);
    case ASK:
        answers++;
        return tina_receive();
    case TINA_CALL_FAILED:
        failures++;
        // At once, by a sign of life of the shard; never by its timeout.
        strange += m->call.failure == TINA_CALL_TIMED_OUT;
        return tina_receive();
    case LOCAL:
        locals++;
        return tina_receive();
    case TINA_SHARD_NEWS:
        strange += m->shard.change != TINA_SHARD_RESTARTED || m->shard.life <= news_life;
        news_count += m->shard.count;
        news_life = m->shard.life;
        return tina_receive();
    default:
        return tina_receive();
    }
}

constexpr uint64_t kBeatNs = 500000;

struct Metronome {
    uint64_t due_ns; // of the last beat
};

tina_effect MetronomeInit(tina_ctx *ctx, void *self_, tina_bytes) {
    static_cast<Metronome *>(self_)->due_ns = tina_now_ns(ctx);
    tina_timer_set_periodic(ctx, kBeatNs, 0);
    return tina_receive();
}

// Each event tells of all beats up to its tick, and of none that is to come.
tina_effect MetronomeHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Metronome *self = static_cast<Metronome *>(self_);
    if (m->tag != TINA_TIMER)
        return tina_done();
    self->due_ns += m->timer.count * kBeatNs;
    strange += tina_now_ns(ctx) < self->due_ns || tina_now_ns(ctx) - self->due_ns >= kBeatNs;
    beats += static_cast<int>(m->timer.count);
    beats_missed += static_cast<int>(m->timer.count) - 1;
    return tina_receive();
}

TEST(Shards, AShardThatBreaksAgainAndAgainCostsItsPeerNothing) {
    tina_isolate_type victim = {};
    victim.name = "victim";
    victim.init = VictimInit;
    victim.handle = VictimHandle;
    victim.struct_bytes = sizeof(Victim);
    tina_isolate_type peer = {};
    peer.name = "peer";
    peer.init = PeerInit;
    peer.handle = PeerHandle;
    peer.struct_bytes = sizeof(Peer);
    tina_isolate_type metronome = {};
    metronome.name = "metronome";
    metronome.init = MetronomeInit;
    metronome.handle = MetronomeHandle;
    metronome.struct_bytes = sizeof(Metronome);
    tina_type_slots slots[3];
    tina_child children[3];
    tina_spec specs[2] = {OneEach(&slots[0], &children[0], &peer, 1),
                          OneEach(&slots[2], &children[2], &victim, 1)};
    (void)OneEach(&slots[1], &children[1], &metronome, 1);
    specs[0].type_count = 2;
    specs[0].root.child_count = 2;
    for (tina_spec &spec : specs) {
        spec.transfer_count = 8;
        spec.transfer_bytes = 4096;
        spec.rebuild_max = TINA_REBUILD_MAX;
        spec.rebuild_period_ns = 1;
    }
    breaks_wanted = IsLong() ? 1000 : 50;
    breaks = answers = failures = strange = loans = locals = beats = beats_missed = 0;
    news_count = news_life = 0;
    Forget();
    EXPECT_EQ(tina_run_shards(specs, 2), 42);
    EXPECT_EQ(breaks, breaks_wanted);
    EXPECT_EQ(strange, 0);
    EXPECT_GT(loans, breaks_wanted);
    EXPECT_GT(beats, 0);
    EXPECT_GE(news_count, 1u);
    EXPECT_GT(news_life, 1u);
    std::printf("%d breaks: %d calls answered, %d failed at once, %d buffers lent, %d local "
                "messages, %d beats of 500 us told, %d of them a beat late or more\n",
                breaks.load(), answers.load(), failures.load(), loans.load(), locals.load(),
                beats.load(), beats_missed.load());
}

// A program of many shards with nothing to do.

tina_effect SleeperInit(tina_ctx *ctx, void *, tina_bytes) {
    if (tina_shard_number(ctx) == 0)
        tina_timer_set(ctx, 500000000, 1);
    return tina_receive();
}

uint64_t CpuUs() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           static_cast<uint64_t>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

uint64_t idle_from_us, idle_us;

tina_effect SleeperHandle(tina_ctx *ctx, void *, const tina_message *m) {
    if (m->tag != TINA_TIMER)
        return tina_done();
    if (m->timer.word == 1) {
        idle_from_us = CpuUs();
        tina_timer_set(ctx, IsLong() ? 10000000000 : 1000000000, 2);
        return tina_receive();
    }
    idle_us = CpuUs() - idle_from_us;
    tina_stop(ctx, 7);
    return tina_receive();
}

TEST(Shards, SixtyFourThatAreIdleUseNoProcessor) {
    tina_isolate_type type = {};
    type.name = "sleeper";
    type.init = SleeperInit;
    type.handle = SleeperHandle;
    tina_type_slots slots;
    tina_child child;
    tina_spec spec = OneEach(&slots, &child, &type, kShardsMax);
    spec.channel_bytes = 1 << 20;
    spec.fd_count = 16;
    spec.buffer_count = 16;
    EXPECT_EQ(tina_run(&spec), 7);
    // The handler itself, and its waking.
    EXPECT_LT(idle_us, 20000u);
    std::printf("64 idle shards: %llu us of CPU\n", static_cast<unsigned long long>(idle_us));
}

tina_effect NeverInit(tina_ctx *, void *, tina_bytes) {
    return tina_receive();
}

TEST(ShardsDeathTest, CountsThatCannotBeAreOneSentence) {
    tina_isolate_type type = {};
    type.name = "never";
    type.init = NeverInit;
    type.handle = SleeperHandle;
    tina_type_slots slots;
    tina_child child;
    tina_spec spec = OneEach(&slots, &child, &type, 256);
    EXPECT_EXIT(std::exit(tina_run(&spec)), testing::ExitedWithCode(1),
                "shard_count is 256, but a handle has room for 255; use fewer");
    tina_spec specs[2] = {OneEach(&slots, &child, &type, 1), OneEach(&slots, &child, &type, 1)};
    specs[1].transfer_count = 3;
    EXPECT_EXIT(std::exit(tina_run_shards(specs, 2)), testing::ExitedWithCode(1),
                "shard 1 has 3 transfer buffers of 65536 bytes and shard 0 has 0");
    spec.shard_count = 255;
    spec.fd_count = 16;
    spec.shard_memory_bytes = UINT32_MAX;
    EXPECT_EXIT(std::exit(tina_run(&spec)), testing::ExitedWithCode(1),
                "the 255 shards would take [0-9]+ bytes, and this machine has [0-9]+; lower");
    spec.channel_bytes = UINT64_C(1) << 50;
    EXPECT_EXIT(std::exit(tina_run(&spec)), testing::ExitedWithCode(1), "channel_bytes is");
}

// Specs for as many shards, in which nothing happens.
struct Nothing {
    explicit Nothing(uint32_t shards) {
        type.name = "nothing";
        type.init = Begin;
        type.handle = SleeperHandle;
        spec = OneEach(&slots, &child, &type, shards);
        spec.fd_count = 16;
    }
    static tina_effect Begin(tina_ctx *ctx, void *, tina_bytes) {
        cpu_set_t set;
        CPU_ZERO(&set);
        EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
        pinned[tina_shard_number(ctx)] = set;
        return tina_done();
    }
    static cpu_set_t pinned[kShardsMax];
    tina_isolate_type type = {};
    tina_type_slots slots;
    tina_child child;
    tina_spec spec;
};

cpu_set_t Nothing::pinned[kShardsMax];

std::vector<uint16_t> CoresOfOurs() {
    cpu_set_t set;
    std::vector<uint16_t> cores;
    CPU_ZERO(&set);
    EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    for (uint16_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set))
            cores.push_back(i);
    return cores;
}

int Occurrences(const std::string &text, const std::string &words) {
    int count = 0;
    for (size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1))
        count++;
    return count;
}

TEST(Shards, MoreThanCoresAreSaidOnceAndRun) {
    Nothing nothing(static_cast<uint32_t>(CoresOfOurs().size()) + 1);
    testing::internal::CaptureStderr();
    int status = tina_run(&nothing.spec);
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(status, 0);
    EXPECT_EQ(Occurrences(said, " share "), 1) << said;
    EXPECT_EQ(
        Occurrences(said, "tina: " + std::to_string(nothing.spec.shard_count) + " shards share "),
        1)
        << said;
}

TEST(Shards, RunOnTheCoresThatTheSpecNames) {
    std::vector<uint16_t> ours = CoresOfOurs();
    const uint16_t cores[] = {ours.back(), ours.front(), ours.back()};
    Nothing nothing(TINA_SHARDS_ALL);
    nothing.spec.cores = cores;
    nothing.spec.core_count = 3;
    testing::internal::CaptureStderr();
    int status = tina_run(&nothing.spec);
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(status, 0);
    EXPECT_EQ(Occurrences(said, "3 shards share "), 1) << said;
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(CPU_COUNT(&Nothing::pinned[i]), 1);
        EXPECT_TRUE(CPU_ISSET(cores[i], &Nothing::pinned[i]));
    }
}

TEST(ShardsDeathTest, CoresThatCannotBeAreOneSentence) {
    std::vector<uint16_t> ours = CoresOfOurs();
    uint16_t cores[] = {ours.front(), 1023};
    Nothing nothing(2);
    nothing.spec.cores = cores;
    nothing.spec.core_count = 2;
    EXPECT_EXIT(std::exit(tina_run(&nothing.spec)), testing::ExitedWithCode(1),
                "cores.1. is 1023, but this process may use only [0-9]+ cores?, from [0-9]+ to "
                "[0-9]+ .sched_getaffinity.; name one of those");
    // One that the machine has and this process may not use.
    cores[1] = ours.back();
    auto run_with_one = [&](const tina_spec *spec) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(ours.front(), &one);
        sched_setaffinity(0, sizeof one, &one);
        return tina_run(spec);
    };
    if (ours.size() > 1) {
        EXPECT_EXIT(std::exit(run_with_one(&nothing.spec)), testing::ExitedWithCode(1),
                    "cores.1. is [0-9]+, but this process may use only 1 core, from");
    }
    nothing.spec.shard_count = 3;
    EXPECT_EXIT(
        std::exit(tina_run(&nothing.spec)), testing::ExitedWithCode(1),
        "core_count is 2, but it must be shard_count; name a core for each of the 3 shards");
    EXPECT_EXIT(std::exit(tina_spec_print(&nothing.spec, STDERR_FILENO)),
                testing::ExitedWithCode(0), "core_count is 2, but it must be shard_count");
    nothing.spec.shard_count = 2;
    nothing.spec.cores = nullptr;
    EXPECT_EXIT(std::exit(tina_run(&nothing.spec)), testing::ExitedWithCode(1),
                "core_count is 2, but cores is not set");
    tina_spec specs[2] = {nothing.spec, nothing.spec};
    specs[0].core_count = 0;
    specs[1].cores = cores;
    EXPECT_EXIT(std::exit(tina_run_shards(specs, 2)), testing::ExitedWithCode(1),
                "shard 1's spec names cores that shard 0's does not");
}

TEST(ShardsDeathTest, MoreSpecsThanShardsCanBeAreOneSentence) {
    Nothing nothing(1);
    std::vector<tina_spec> specs(256, nothing.spec);
    EXPECT_EXIT(std::exit(tina_run_shards(specs.data(), 256)), testing::ExitedWithCode(1),
                "more specs than 255; a handle has no room for them");
}

} // namespace
