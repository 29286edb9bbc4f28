// SPDX-License-Identifier: Apache-2.0
//
// What the scheduler costs, in CPU nanoseconds an operation on one thread: busy ticks, messages,
// spawns, timers. Nothing but the shard: scripted backend, a clock that counts ticks. Medians of
// the rounds.
//
//     bazel run -c opt //bench:sched_bench [-- [--small] [rows whose name contains this]]

#include "arena/arena.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"
#include "sched/layout.h"
#include "sched/one_life.h"
#include "sched/shard.h"
#include "sched/spec.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <vector>

namespace {

uint64_t CpuNs() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

size_t NoLog(void *, const char *, size_t bytes) {
    return bytes;
}

class Bench {
  public:
    explicit Bench(const tina_spec &spec) {
        char sentence[TINA_SENTENCE_BYTES];
        if (!tina_spec_resolve(&spec, &resolved_, sentence))
            Fail(sentence);
        backend_options_.scripted = &scripted_;
        options_.backend = &tina_reactor_scripted;
        options_.backend_options = &backend_options_;
        options_.log_write = NoLog;
        tina_arena_commit_options commit = {};
        commit.lazy = true;
        if (tina_arena_reserve(&arena_, tina_shard_bytes(&resolved_, &options_)) != 0 ||
            tina_arena_commit(&arena_, &commit) != 0 ||
            tina_shard_open(&arena_, &resolved_, &options_, &shard_, sentence) != 0)
            Fail(sentence);
    }
    ~Bench() {
        tina_shard_close(shard_);
        tina_arena_release(&arena_);
    }
    void Turn() {
        now_.monotonic_ns += 100;
        tina_shard_tick(shard_, now_);
    }
    void Turns(uint64_t count) {
        for (uint64_t i = 0; i < count; i++)
            Turn();
    }
    tina_shard_counters counters() {
        tina_shard_counters counters;
        tina_shard_snapshot(shard_, &counters);
        return counters;
    }

  private:
    [[noreturn]] static void Fail(const char *sentence) {
        std::fprintf(stderr, "sched_bench: %s\n", sentence);
        std::exit(1);
    }
    tina_spec resolved_ = {};
    tina_scripted *scripted_ = nullptr;
    tina_scripted_options backend_options_ = {};
    tina_shard_options options_ = {};
    tina_arena arena_ = {};
    tina_shard *shard_ = nullptr;
    tina_time now_ = {1000000, 0};
};

bool small = false;
const char *wanted = "";

uint64_t Count(uint64_t count) {
    return small ? count / 200 + 1 : count;
}

// Prints the median over rounds of what one round returns: nanoseconds an operation.
void Row(const char *what, const std::function<double()> &round) {
    if (!std::strstr(what, wanted))
        return;
    std::vector<double> ns;
    for (int i = 0; i < (small ? 1 : 5); i++)
        ns.push_back(round());
    std::sort(ns.begin(), ns.end());
    std::printf("%-44s %9.1f ns   (%.1f to %.1f)\n", what, ns[ns.size() / 2], ns.front(),
                ns.back());
}

// Sends each message on to `to`: ping-pong in pairs, or a ring.
struct Player {
    tina_handle to;
};

tina_effect PlayerInit(tina_ctx *, void *, tina_bytes) {
    return tina_receive();
}

tina_effect PlayerHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Player *self = static_cast<Player *>(self_);
    if (m->tag == 1)
        std::memcpy(&self->to, m->payload, sizeof self->to);
    if (m->tag == 2)
        tina_send(ctx, self->to, 2, m->payload, 8);
    return tina_receive();
}

const tina_isolate_type player_type = {"player", PlayerInit, PlayerHandle, sizeof(Player), 0, 0,
                                       0,        0};

struct Match {
    uint64_t pairs;
};

tina_effect MatchInit(tina_ctx *ctx, void *, tina_bytes args) {
    uint64_t pairs;
    std::memcpy(&pairs, args.data, sizeof pairs);
    for (uint64_t i = 0; i < pairs; i++) {
        tina_handle a, b;
        uint64_t ball = i;
        if (tina_spawn(ctx, &player_type, {nullptr, 0}, &a) != TINA_SPAWN_OK ||
            tina_spawn(ctx, &player_type, {nullptr, 0}, &b) != TINA_SPAWN_OK)
            std::abort();
        tina_send(ctx, a, 1, &b, sizeof b);
        tina_send(ctx, b, 1, &a, sizeof a);
        tina_send(ctx, a, 2, &ball, sizeof ball);
    }
    return tina_done();
}

const tina_isolate_type match_type = {"match", MatchInit, PlayerHandle, sizeof(Match), 0, 0, 0, 0};

double PingPong(uint64_t pairs) {
    tina_type_slots types[] = {{&player_type, static_cast<uint32_t>(2 * pairs)}, {&match_type, 1}};
    tina_child children[] = {tina::OneLife(&match_type, {&pairs, sizeof pairs})};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    Bench bench(spec);
    bench.Turns(10);
    uint64_t before = bench.counters().messages_sent;
    uint64_t start = CpuNs();
    bench.Turns(Count(5000));
    uint64_t ns = CpuNs() - start;
    return static_cast<double>(ns) / static_cast<double>(bench.counters().messages_sent - before);
}

// One sender fills a receiver's mailbox each tick.
struct Flooder {
    tina_handle to;
};

tina_effect FlooderInit(tina_ctx *ctx, void *self_, tina_bytes) {
    tina_spawn(ctx, &player_type, {nullptr, 0}, &static_cast<Flooder *>(self_)->to);
    return tina_yield();
}

tina_effect FlooderHandle(tina_ctx *ctx, void *self_, const tina_message *) {
    uint64_t payload = 1;
    for (int i = 0; i < 64; i++)
        tina_send(ctx, static_cast<Flooder *>(self_)->to, 3, &payload, sizeof payload);
    return tina_yield();
}

const tina_isolate_type flooder_type = {
    "flooder", FlooderInit, FlooderHandle, sizeof(Flooder), 0, 0, 0, 0};

double Flood() {
    tina_type_slots types[] = {{&player_type, 1}, {&flooder_type, 1}};
    tina_child children[] = {tina::OneLife(&flooder_type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    Bench bench(spec);
    bench.Turns(10);
    uint64_t before = bench.counters().messages_sent;
    uint64_t start = CpuNs();
    bench.Turns(Count(100000));
    uint64_t ns = CpuNs() - start;
    return static_cast<double>(ns) / static_cast<double>(bench.counters().messages_sent - before);
}

// One isolate yields for ever while `idle` others wait: the cost of a busy tick.
tina_effect IdleInit(tina_ctx *, void *, tina_bytes) {
    return tina_receive();
}

const tina_isolate_type idle_type = {"idle", IdleInit, PlayerHandle, 64, 0, 0, 0, 0};

struct Ticker {
    uint64_t left;
};

tina_effect TickerHandle(tina_ctx *ctx, void *self_, const tina_message *) {
    Ticker *self = static_cast<Ticker *>(self_);
    for (int i = 0; i < 1000 && self->left; i++, self->left--)
        tina_spawn(ctx, &idle_type, {nullptr, 0}, nullptr);
    return tina_yield();
}

tina_effect TickerInit(tina_ctx *ctx, void *self_, tina_bytes args) {
    std::memcpy(&static_cast<Ticker *>(self_)->left, args.data, sizeof(uint64_t));
    return TickerHandle(ctx, self_, nullptr);
}

const tina_isolate_type ticker_type = {"ticker", TickerInit, TickerHandle, sizeof(Ticker), 0, 0,
                                       0,        0};

double BusyTick(uint64_t idle) {
    tina_type_slots types[] = {{&idle_type, static_cast<uint32_t>(idle)}, {&ticker_type, 1}};
    tina_child children[] = {tina::OneLife(&ticker_type, {&idle, sizeof idle})};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    Bench bench(spec);
    bench.Turns(idle / 500 + 100);
    if (bench.counters().isolates_in_use != idle + 1)
        std::abort();
    uint64_t turns = Count(1000000);
    uint64_t start = CpuNs();
    bench.Turns(turns);
    return static_cast<double>(CpuNs() - start) / static_cast<double>(turns);
}

// The busy tick among few and among many idle isolates, in turn, so that a change of the machine's
// mood falls on both.
void BusyTicks(uint64_t many) {
    std::vector<double> few_ns, many_ns, ratios;
    for (int i = 0; i < (small ? 1 : 9); i++) {
        few_ns.push_back(BusyTick(1000));
        many_ns.push_back(BusyTick(many));
        ratios.push_back(many_ns.back() / few_ns.back());
    }
    for (std::vector<double> *column : {&few_ns, &many_ns, &ratios})
        std::sort(column->begin(), column->end());
    std::printf("busy tick, 1,000 and %llu idle isolates %.1f and %.1f ns, median ratio %.2f\n",
                static_cast<unsigned long long>(many), few_ns[few_ns.size() / 2],
                many_ns[many_ns.size() / 2], ratios[ratios.size() / 2]);
}

// What one more isolate of idle_type adds to the grand arena: its struct's stride, and metadata.
void PrintIdleBytes() {
    tina_type_slots types[] = {{&idle_type, 1000000}};
    tina_child children[] = {tina::OneLife(&idle_type)};
    tina_spec spec = {}, resolved;
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    char sentence[TINA_SENTENCE_BYTES];
    if (!tina_spec_resolve(&spec, &resolved, sentence))
        std::abort();
    tina_scripted *scripted;
    tina_scripted_options backend = {};
    backend.scripted = &scripted;
    tina_shard_options options = {};
    options.backend = &tina_reactor_scripted;
    options.backend_options = &backend;
    uint64_t metadata = tina_layout_part_at(&resolved, &options, TINA_PART_ISOLATES).bytes +
                        tina_layout_part_at(&resolved, &options, TINA_PART_COUNT).bytes;
    uint64_t structs = tina_layout_part_at(&resolved, &options, TINA_PART_COUNT + 1).bytes;
    std::printf("memory of an idle isolate of 64 bytes: %.0f struct + %.0f metadata bytes\n",
                static_cast<double>(structs) / 1e6, static_cast<double>(metadata) / 1e6);
}

// Spawns isolates that end in their second breath.
tina_effect MayflyInit(tina_ctx *, void *, tina_bytes) {
    return tina_done();
}

const tina_isolate_type mayfly_type = {"mayfly", MayflyInit, PlayerHandle, 64, 0, 0, 0, 0};

tina_effect SpawnerHandle(tina_ctx *ctx, void *, const tina_message *) {
    for (int i = 0; i < 64; i++)
        tina_spawn(ctx, &mayfly_type, {nullptr, 0}, nullptr);
    return tina_yield();
}

tina_effect SpawnerInit(tina_ctx *, void *, tina_bytes) {
    return tina_yield();
}

const tina_isolate_type spawner_type = {"spawner", SpawnerInit, SpawnerHandle, 8, 0, 0, 0, 0};

double SpawnRunExit() {
    tina_type_slots types[] = {{&mayfly_type, 16384}, {&spawner_type, 1}};
    tina_child children[] = {tina::OneLife(&spawner_type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    Bench bench(spec);
    bench.Turns(10);
    uint64_t before = bench.counters().exited;
    uint64_t start = CpuNs();
    bench.Turns(Count(50000));
    uint64_t ns = CpuNs() - start;
    return static_cast<double>(ns) / static_cast<double>(bench.counters().exited - before);
}

// Sets and cancels timers while a million others are set.
struct Clock {
    uint64_t set;
};

uint64_t timer_pairs;

tina_effect ClockHandle(tina_ctx *ctx, void *self_, const tina_message *) {
    Clock *self = static_cast<Clock *>(self_);
    for (int i = 0; i < 1000 && self->set; i++, self->set--)
        if (tina_timer_set(ctx, (self->set * 7919 % 100000 + 100000) * 1000000, 0).bits == 0)
            std::abort();
    if (self->set)
        return tina_yield();
    for (uint64_t i = 0; i < 1000; i++)
        tina_timer_cancel(ctx, tina_timer_set(ctx, (i * 104729 % 60000 + 1) * 1000000, 0));
    timer_pairs += 1000;
    return tina_yield();
}

tina_effect ClockInit(tina_ctx *, void *self_, tina_bytes args) {
    std::memcpy(&static_cast<Clock *>(self_)->set, args.data, sizeof(uint64_t));
    return tina_yield();
}

const tina_isolate_type clock_type = {"clock", ClockInit, ClockHandle, sizeof(Clock), 0, 0, 0, 0};

double TimerSetCancel(uint64_t set) {
    tina_type_slots types[] = {{&clock_type, 1}};
    tina_child children[] = {tina::OneLife(&clock_type, {&set, sizeof set})};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    spec.timer_count = static_cast<uint32_t>(set) + 64;
    Bench bench(spec);
    bench.Turns(set / 1000 + 10);
    timer_pairs = 0;
    uint64_t start = CpuNs();
    bench.Turns(Count(5000));
    return static_cast<double>(CpuNs() - start) / static_cast<double>(timer_pairs);
}

} // namespace

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (std::strcmp(argv[i], "--small") == 0)
            small = true;
        else
            wanted = argv[i];
    uint64_t many = small ? 10000 : 1000000;
    if (std::strstr("busy tick", wanted) || std::strstr(wanted, "busy tick"))
        BusyTicks(many);
    PrintIdleBytes();
    Row("ping-pong, 1 pair, per message", [] { return PingPong(1); });
    Row("ping-pong, 128 pairs, per message", [] { return PingPong(128); });
    Row("flood 1 -> 1, per message", Flood);
    Row("spawn + run + exit", SpawnRunExit);
    Row(small ? "timer set + cancel, 10,000 set" : "timer set + cancel, 1,000,000 set",
        [many] { return TimerSetCancel(many); });
    return 0;
}
