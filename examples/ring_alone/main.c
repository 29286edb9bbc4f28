// SPDX-License-Identifier: Apache-2.0
//
// Two threads and a ring: one writes orders, the other adds them up. No shard, no scheduler.

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdio.h>

#include "ring/ring.h"

enum {
    CAPACITY = 256,
    BATCH = 32,
    ITEMS = 1000000
};

typedef struct order {
    uint64_t number;
    uint64_t cents;
} order;

static tina_ring ring;
static alignas(TINA_CACHE_LINE_BYTES) order slots[CAPACITY];

static void *sell(void *unused) {
    (void)unused;
    for (uint64_t number = 0; number < ITEMS;) {
        uint64_t left = ITEMS - number;
        uint32_t count = left < BATCH ? (uint32_t)left : BATCH;
        order *orders = tina_ring_claim(&ring, &count);
        if (orders == NULL) {
            sched_yield();
            continue;
        }
        for (uint32_t i = 0; i < count; i++, number++) {
            orders[i] = (order){.number = number, .cents = number % 100};
        }
        tina_ring_publish(&ring, count);
    }
    return NULL;
}

int main(void) {
    tina_ring_init(&ring, slots, CAPACITY, sizeof slots[0], 0);
    pthread_t seller;
    if (pthread_create(&seller, NULL, sell, NULL) != 0) {
        perror("pthread_create");
        return 1;
    }

    uint64_t sold = 0;
    uint64_t cents = 0;
    while (sold < ITEMS) {
        uint32_t count = BATCH;
        const order *orders = tina_ring_peek(&ring, &count);
        if (orders == NULL) {
            sched_yield();
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            cents += orders[i].cents;
        }
        sold += count;
        tina_ring_consume(&ring, count);
    }
    pthread_join(seller, NULL);
    printf("%" PRIu64 " orders, %" PRIu64 " cents\n", sold, cents);
    return 0;
}
