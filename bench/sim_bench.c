// SPDX-License-Identifier: Apache-2.0
//
// How fast a simulation runs: shard-ticks, events, seeds and simulated seconds a second of CPU time
// on one thread, faults on and everything checked as in a test. Medians of the rounds, each of the
// same seeds.
//
//     bazel run -c opt //bench:sim_bench [-- [--small] [--rounds N]]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sched/ctx.h"
#include "sim/readme_scenario.h"
#include "sim/sim.h"

#define SHARDS     2u
#define PER_SHARD  16u
#define PEERS      (SHARDS * PER_SHARD)
#define ROUNDS_MAX 100u

// Peers on two shards: each greets another one, of either shard, every 10 ms, and is answered.
enum {
    HELLO = 1,
    THANKS,
};

typedef struct town {
    tina_handle peers[PEERS];
    uint64_t greeted;
    uint64_t heard;
    uint64_t thanked;
} town;

typedef struct peer {
    uint32_t number;
} peer;

static tina_effect peer_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    peer *self = self_;
    tina_sim *sim = tina_sim_current();
    town *all = tina_sim_state(sim);
    self->number = tina_shard_number(ctx) * PER_SHARD + *(const uint32_t *)args.data;
    all->peers[self->number] = tina_self(ctx);
    tina_timer_set_periodic(ctx, 10000000 + tina_sim_draw(sim, 0, 1000000), 0);
    return tina_receive();
}

static void peer_greet(tina_ctx *ctx, const peer *self) {
    tina_sim *sim = tina_sim_current();
    town *all = tina_sim_state(sim);
    uint64_t other = (self->number + 1 + tina_sim_draw(sim, 1, PEERS - 1)) % PEERS;
    if (tina_send(ctx, all->peers[other], HELLO, &other, sizeof other) == TINA_SEND_OK)
        all->greeted++;
}

static tina_effect peer_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    town *all = tina_sim_state(tina_sim_current());
    switch (m->tag) {
    case TINA_TIMER:
        peer_greet(ctx, self);
        return tina_receive();
    case HELLO:
        all->heard++;
        (void)tina_send(ctx, m->from, THANKS, m->payload, m->payload_bytes);
        return tina_receive();
    case THANKS:
        all->thanked++;
        return tina_receive();
    default:
        return tina_done();
    }
}

static const tina_isolate_type peer_type = {
    .name = "peer", .init = peer_init, .handle = peer_handle, .struct_bytes = sizeof(peer)};

static const uint32_t numbers[PER_SHARD] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// clang-format off
#define PEER(i) {.type = &peer_type, .args = {&numbers[i], sizeof numbers[i]}}
// clang-format on

static const tina_child children[PER_SHARD] = {
    PEER(0), PEER(1), PEER(2),  PEER(3),  PEER(4),  PEER(5),  PEER(6),  PEER(7),
    PEER(8), PEER(9), PEER(10), PEER(11), PEER(12), PEER(13), PEER(14), PEER(15)};
static const tina_type_slots types[] = {{&peer_type, PER_SHARD}};
static const tina_spec town_spec = {
    .name = "town",
    .types = types,
    .type_count = 1,
    .root = {.name = "town", .children = children, .child_count = PER_SHARD, .intensity = 10},
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 65536,
};

static void town_check(tina_sim *sim, void *state) {
    const town *all = state;
    if (all->heard > all->greeted || all->thanked > all->heard)
        tina_sim_fail(sim, "nobody is heard twice", "%llu greeted, %llu heard, %llu thanked",
                      (unsigned long long)all->greeted, (unsigned long long)all->heard,
                      (unsigned long long)all->thanked);
}

static const tina_scenario town_scenario = {
    .name = "town",
    .specs = &town_spec,
    .shards_min = SHARDS,
    .faults_ns = 1000000000,
    .state_bytes = sizeof(town),
    .check = town_check,
};

typedef struct totals {
    double cpu_s;
    double turns;
    double events;
    double dispatches;
    double virtual_s;
} totals;

static double cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void seed_run(const tina_scenario *scenario, uint64_t seed, totals *sum) {
    const tina_sim_options options = {.seed = seed};
    tina_sim_report report;
    char sentence[TINA_SENTENCE_BYTES];
    if (!tina_simulate(scenario, &options, &report, sentence) || report.failed) {
        fprintf(stderr, "sim_bench: %s, seed %llu: %s\n", scenario->name, (unsigned long long)seed,
                report.failed ? report.sentence : sentence);
        exit(1);
    }
    sum->turns += (double)report.turns;
    sum->events += (double)report.events;
    sum->dispatches += (double)report.dispatches;
    sum->virtual_s += (double)report.virtual_ns / 1e9;
    tina_sim_report_end(&report);
}

static int by_time(const void *a, const void *b) {
    double left = ((const totals *)a)->cpu_s;
    double right = ((const totals *)b)->cpu_s;
    return left < right ? -1 : left > right;
}

static void row_print(const char *what, const tina_scenario *scenario, uint32_t rounds,
                      uint32_t seeds) {
    totals all[ROUNDS_MAX] = {{0}};
    for (uint32_t i = 0; i < rounds; i++) {
        double begin_s = cpu_s();
        for (uint32_t seed = 1; seed <= seeds; seed++)
            seed_run(scenario, seed, &all[i]);
        all[i].cpu_s = cpu_s() - begin_s;
    }
    qsort(all, rounds, sizeof *all, by_time);
    const totals *median = &all[rounds / 2];
    printf("%s\n"
           "  a second of CPU time: %.2f M shard-ticks (%.2f to %.2f), %.1f M events, %.0f seeds, "
           "%.0f simulated s\n"
           "  a shard-tick: %.2f handlers, %.1f events\n",
           what, median->turns / median->cpu_s / 1e6,
           all[rounds - 1].turns / all[rounds - 1].cpu_s / 1e6, all[0].turns / all[0].cpu_s / 1e6,
           median->events / median->cpu_s / 1e6, seeds / median->cpu_s,
           median->virtual_s / median->cpu_s, median->dispatches / median->turns,
           median->events / median->turns);
}

int main(int argc, char **argv) {
    uint32_t rounds = 5;
    uint32_t seeds = 500;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--small") == 0)
            rounds = 1, seeds = 5;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = (uint32_t)strtoul(argv[++i], NULL, 10);
    }
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "sim_bench: --rounds is 1 to %u\n", ROUNDS_MAX);
        return 2;
    }
    row_print("2 shards x 16 isolates, faults on", &town_scenario, rounds, seeds);
    row_print("a small test, that of sim/README.md", &counting, rounds, seeds);
    return 0;
}
