// SPDX-License-Identifier: Apache-2.0
//
// The headers as C17 sees them, and one item through the ring.

#include "ring/ring.h"
#include "ring/sleeper.h"

_Static_assert(sizeof(tina_ring) == 4 * TINA_CACHE_LINE_BYTES, "four lines");
_Static_assert(offsetof(tina_ring, tail) % TINA_CACHE_LINE_BYTES == 0, "a line of its own");
_Static_assert(offsetof(tina_ring, consumer) % TINA_CACHE_LINE_BYTES == 0, "a line of its own");
_Static_assert(offsetof(tina_ring, head) % TINA_CACHE_LINE_BYTES == 0, "a line of its own");
_Static_assert(sizeof(tina_sleeper) == TINA_CACHE_LINE_BYTES, "a line of its own");

int main(void) {
    static tina_ring ring;
    static tina_sleeper sleeper;
    static uint64_t slots[1];
    tina_ring_init(&ring, slots, 1, sizeof slots[0], 0);
    tina_sleeper_init(&sleeper);

    uint32_t count = 1;
    uint64_t *slot = tina_ring_claim(&ring, &count);
    TINA_ASSERT(slot == slots);
    *slot = 42;
    tina_ring_publish(&ring, tina_ring_claimed(&ring));
    TINA_ASSERT(!tina_sleeper_must_wake(&sleeper));

    TINA_ASSERT(tina_ring_readable(&ring) == 1);
    const uint64_t *item = tina_ring_peek(&ring, &count);
    TINA_ASSERT(item != NULL);
    TINA_ASSERT(*item == 42);
    tina_ring_consume(&ring, 1);
    TINA_ASSERT(tina_ring_readable(&ring) == 0);
    return 0;
}
