// SPDX-License-Identifier: Apache-2.0

#include "ring/ring.h"

#include "core/bits.h"

void tina_ring_init(tina_ring *ring, void *slots, uint32_t capacity, uint32_t item_bytes,
                    uint64_t counter_start) {
    TINA_ASSERT(slots != NULL);
    TINA_ASSERT((uintptr_t)slots % 8 == 0);
    TINA_ASSERT(tina_is_power_of_two(capacity));
    TINA_ASSERT(capacity <= TINA_RING_CAPACITY_MAX);
    TINA_ASSERT(item_bytes > 0);
    TINA_ASSERT(item_bytes % 8 == 0);

    ring->producer.slots = (unsigned char *)slots;
    ring->producer.capacity = capacity;
    ring->producer.item_bytes = item_bytes;
    ring->producer.tail = counter_start;
    ring->producer.claimed = counter_start;
    ring->producer.head_seen = counter_start;

    ring->consumer.slots = (unsigned char *)slots;
    ring->consumer.capacity = capacity;
    ring->consumer.item_bytes = item_bytes;
    ring->consumer.head = counter_start;
    ring->consumer.tail_seen = counter_start;

    tina_atomic_u64_store_relaxed(&ring->tail, counter_start);
    tina_atomic_u64_store_relaxed(&ring->head, counter_start);
}
