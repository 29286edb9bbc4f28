// SPDX-License-Identifier: Apache-2.0
//
// CPU time of taking and giving slots of 128 bytes, beside malloc and free of as many bytes.
//
//   bazel run -c opt //arena:pool_bench             1,000,000 slots, 10,000,000 pairs a round
//   bazel run -c opt //arena:pool_bench -- small    what `bazel test` runs, so that it cannot rot
//
// One at a time: take, give, take, give. Batches: 64 taken, then 64 given. Shuffled: a slot at
// random of all the slots, half of them live, is given if it is live, else another one is taken.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena/pool.h"
#include "core/assert.h"
#include "core/prng.h"

#define SLOT_BYTES 128u
#define BATCH      64u
#define ROUNDS     5

typedef struct workload {
    tina_pool pool;
    tina_pool_ref *refs; // as many as there are slots
    void **blocks;       // malloc's, likewise
    uint32_t slot_count;
    uint64_t pairs;
} workload;

typedef void bench_run(workload *bench);

static void pool_one(workload *bench) {
    for (uint64_t i = 0; i < bench->pairs; i++) {
        tina_pool_ref ref;
        TINA_ASSERT(tina_pool_take(&bench->pool, &ref) == TINA_POOL_OK);
        *(volatile uint32_t *)tina_pool_slot(&bench->pool, ref.slot) = 1;
        tina_pool_give(&bench->pool, ref);
    }
}

static void malloc_one(workload *bench) {
    for (uint64_t i = 0; i < bench->pairs; i++) {
        void *block = malloc(SLOT_BYTES);
        *(volatile uint32_t *)block = 1;
        free(block);
    }
}

static void pool_batch(workload *bench) {
    for (uint64_t i = 0; i < bench->pairs; i += BATCH) {
        for (uint32_t j = 0; j < BATCH; j++) {
            TINA_ASSERT(tina_pool_take(&bench->pool, &bench->refs[j]) == TINA_POOL_OK);
            *(volatile uint32_t *)tina_pool_slot(&bench->pool, bench->refs[j].slot) = 1;
        }
        for (uint32_t j = 0; j < BATCH; j++)
            tina_pool_give(&bench->pool, bench->refs[j]);
    }
}

static void malloc_batch(workload *bench) {
    for (uint64_t i = 0; i < bench->pairs; i += BATCH) {
        for (uint32_t j = 0; j < BATCH; j++) {
            bench->blocks[j] = malloc(SLOT_BYTES);
            *(volatile uint32_t *)bench->blocks[j] = 1;
        }
        for (uint32_t j = 0; j < BATCH; j++)
            free(bench->blocks[j]);
    }
}

static void pool_shuffled(workload *bench) {
    tina_prng prng = tina_prng_make(1, 1, 1);
    memset(bench->refs, 0, bench->slot_count * sizeof *bench->refs);
    for (uint64_t i = 0; i < 2 * bench->pairs; i++) {
        tina_pool_ref *ref = &bench->refs[tina_prng_below(&prng, bench->slot_count)];
        if (ref->generation != 0) {
            tina_pool_give(&bench->pool, *ref);
            ref->generation = 0;
            continue;
        }
        TINA_ASSERT(tina_pool_take(&bench->pool, ref) == TINA_POOL_OK);
        *(volatile uint32_t *)tina_pool_slot(&bench->pool, ref->slot) = 1;
    }
    for (uint32_t i = 0; i < bench->slot_count; i++)
        if (bench->refs[i].generation != 0)
            tina_pool_give(&bench->pool, bench->refs[i]);
}

static void malloc_shuffled(workload *bench) {
    tina_prng prng = tina_prng_make(1, 1, 1);
    memset(bench->blocks, 0, bench->slot_count * sizeof *bench->blocks);
    for (uint64_t i = 0; i < 2 * bench->pairs; i++) {
        void **block = &bench->blocks[tina_prng_below(&prng, bench->slot_count)];
        if (*block != NULL) {
            free(*block);
            *block = NULL;
            continue;
        }
        *block = malloc(SLOT_BYTES);
        *(volatile uint32_t *)*block = 1;
    }
    for (uint32_t i = 0; i < bench->slot_count; i++)
        free(bench->blocks[i]);
}

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double pair_ns(workload *bench, bench_run *run) {
    double started = cpu_ns();
    run(bench);
    return (cpu_ns() - started) / (double)bench->pairs;
}

// The two take turns, so that a change of the machine's mood meets both.
static void row(workload *bench, const char *name, bench_run *pool, bench_run *peer) {
    double ours[ROUNDS], theirs[ROUNDS], ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = pair_ns(bench, pool);
        theirs[i] = pair_ns(bench, peer);
        ratios[i] = theirs[i] / ours[i];
    }
    qsort(ours, ROUNDS, sizeof *ours, compare);
    qsort(theirs, ROUNDS, sizeof *theirs, compare);
    qsort(ratios, ROUNDS, sizeof *ratios, compare);
    printf("%-16s pool %6.1f ns   malloc %6.1f ns   %.1fx\n", name, ours[ROUNDS / 2],
           theirs[ROUNDS / 2], ratios[ROUNDS / 2]);
}

int main(int argc, char **argv) {
    bool small = argc > 1 && strcmp(argv[1], "small") == 0;
    workload bench = {.slot_count = small ? 1000 : 1000000, .pairs = small ? 64000 : 10000000};
    tina_pool_config config = {
        .slot_count = bench.slot_count,
        .slot_bytes = SLOT_BYTES,
        .alignment = SLOT_BYTES,
    };
    void *metadata = malloc(tina_pool_metadata_bytes(&config));
    void *slots = aligned_alloc(SLOT_BYTES, tina_pool_slots_bytes(&config));
    bench.refs = calloc(bench.slot_count, sizeof *bench.refs);
    bench.blocks = calloc(bench.slot_count, sizeof *bench.blocks);
    if (metadata == NULL || slots == NULL || bench.refs == NULL || bench.blocks == NULL)
        return 1;
    tina_pool_init(&bench.pool, &config, metadata, slots);

    printf("take + give of %u bytes, CPU time a pair, median of %d rounds, %u slots\n", SLOT_BYTES,
           ROUNDS, bench.slot_count);
    row(&bench, "one at a time", pool_one, malloc_one);
    row(&bench, "batches of 64", pool_batch, malloc_batch);
    row(&bench, "shuffled", pool_shuffled, malloc_shuffled);
    tina_pool_verify(&bench.pool);
    TINA_ASSERT(bench.pool.live == 0);
    free(metadata);
    free(slots);
    free(bench.refs);
    free(bench.blocks);
    return 0;
}
