// SPDX-License-Identifier: Apache-2.0
//
// The snippet of README.md, which quotes the lines between the two marks.

// README begins
#include "ring/ring.h"

#include <stdbool.h>

typedef struct order {
    uint64_t number;
    uint64_t cents;
} order;

static tina_ring ring;
static order slots[256];

// On the producer's thread. Returns false when the ring is full.
static bool sell(uint64_t number, uint64_t cents) {
    uint32_t count = 1;
    order *slot = tina_ring_claim(&ring, &count);
    if (slot == NULL) {
        return false;
    }
    *slot = (order){.number = number, .cents = cents};
    tina_ring_publish(&ring, 1);
    return true;
}

// On the consumer's thread. Adds up what there is.
static uint64_t earn(void) {
    uint64_t cents = 0;
    uint32_t count = 32;
    for (const order *orders; (orders = tina_ring_peek(&ring, &count)) != NULL; count = 32) {
        for (uint32_t i = 0; i < count; i++) {
            cents += orders[i].cents;
        }
        tina_ring_consume(&ring, count);
    }
    return cents;
}
// README ends

int main(void) {
    tina_ring_init(&ring, slots, 256, sizeof slots[0], 0);
    TINA_ASSERT(earn() == 0);
    for (uint64_t i = 0; i < 256; i++) {
        TINA_ASSERT(sell(i, 2));
    }
    TINA_ASSERT(!sell(256, 2));
    TINA_ASSERT(earn() == 512);
    TINA_ASSERT(sell(256, 3));
    TINA_ASSERT(earn() == 3);
    return 0;
}
