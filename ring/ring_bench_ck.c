// SPDX-License-Identifier: Apache-2.0
//
// ck_ring with copied items of 128 bytes, and with pointers, which is how it is mostly used: 8
// bytes travel, and what they point to does not.

#include "ring/ring_bench_peer.h"

#include <ck_ring.h>

struct ck_item {
    bench_item item;
};

CK_RING_PROTOTYPE(item, ck_item)

static ck_ring_t ring;
static struct ck_item items_buffer[BENCH_CAPACITY];
static ck_ring_buffer_t pointers_buffer[BENCH_CAPACITY];

void bench_ck_reset(void) {
    ck_ring_init(&ring, BENCH_CAPACITY);
}

void bench_ck_produce(uint64_t items) {
    struct ck_item item;
    for (uint64_t i = 0; i < items; i++) {
        bench_item_write(&item.item, i);
        while (!ck_ring_enqueue_spsc_item(&ring, items_buffer, &item)) {
            bench_pause();
        }
    }
}

uint64_t bench_ck_consume(uint64_t items) {
    uint64_t sum = 0;
    struct ck_item item;
    for (uint64_t i = 0; i < items; i++) {
        while (!ck_ring_dequeue_spsc_item(&ring, items_buffer, &item)) {
            bench_pause();
        }
        sum += bench_item_read(&item.item);
    }
    return sum;
}

// The sum is that of 16 words, as in the other rows, so that one check fits all.
void bench_ck_pointer_produce(uint64_t items) {
    for (uint64_t i = 0; i < items; i++) {
        while (!ck_ring_enqueue_spsc(&ring, pointers_buffer, (void *)(uintptr_t)i)) {
            bench_pause();
        }
    }
}

uint64_t bench_ck_pointer_consume(uint64_t items) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < items; i++) {
        void *pointer;
        while (!ck_ring_dequeue_spsc(&ring, pointers_buffer, &pointer)) {
            bench_pause();
        }
        sum += 16 * (uint64_t)(uintptr_t)pointer;
    }
    return sum;
}
