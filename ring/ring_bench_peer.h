// SPDX-License-Identifier: Apache-2.0
//
// What ring_bench asks of each contestant. ck_ring.h is not C++, so its side is a C file.

#ifndef TINA_RING_RING_BENCH_PEER_H
#define TINA_RING_RING_BENCH_PEER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_CAPACITY 1024
#define BENCH_BATCH    32

// 128 bytes, as Tina's messages are.
typedef struct bench_item {
    uint64_t words[16];
} bench_item;

static inline void bench_item_write(bench_item *item, uint64_t value) {
    for (int i = 0; i < 16; i++) {
        item->words[i] = value;
    }
}

static inline uint64_t bench_item_read(const bench_item *item) {
    uint64_t sum = 0;
    for (int i = 0; i < 16; i++) {
        sum += item->words[i];
    }
    return sum;
}

static inline void bench_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void bench_ck_reset(void);
void bench_ck_produce(uint64_t items);
uint64_t bench_ck_consume(uint64_t items);
void bench_ck_pointer_produce(uint64_t items);
uint64_t bench_ck_pointer_consume(uint64_t items);

#ifdef __cplusplus
}
#endif

#endif
