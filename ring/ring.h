// SPDX-License-Identifier: Apache-2.0
//
// A wait-free ring from one producer thread to one consumer thread, in memory that the caller
// gives.
//
// Items have one fixed size and are written and read in place. Both ends work in batches: claim as
// often as you like, publish once; peek, then consume once. Publishing and consuming are one
// release store each, whatever the size of the batch.
//
//     counters     head            tail        claimed        head + capacity
//                    |  published    |  being     |     free        |
//                    |  items        |  written   |                 |
//     written by  consumer        producer     producer
//
// Counters run freely over 64 bits; an item lives in slot (counter mod capacity). A claimed or
// peeked run of slots is contiguous, so it ends at the end of the memory at the latest, and the
// next call continues at the start.
//
// Performance: an end reads the other end's counter only when, by its last look, there is no room
// (or no item) left. While the other end keeps ahead, an item costs no cache miss beyond its own.
//
// One thread at a time may be the producer and one the consumer; an end may move to another thread
// if the move itself synchronises. Nothing here blocks: see ring/sleeper.h for waiting.

#ifndef TINA_RING_RING_H
#define TINA_RING_RING_H

#include <stddef.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_RING_CAPACITY_MAX (UINT32_C(1) << 31)

// A branch, and not a conditional move, keeps a counter's next value from waiting for the
// comparison.
#define TINA_RING_RARELY(condition) __builtin_expect(!!(condition), 0)

// What one end knows. Each end has its own copy of the constants, so that a call touches one
// private line and, when it must, one shared one.
typedef struct tina_ring_producer {
    unsigned char *slots;
    uint32_t capacity;
    uint32_t item_bytes;
    uint64_t tail;      // as published
    uint64_t claimed;   // tail and what was claimed since
    uint64_t head_seen; // at most head: what the consumer had left at our last look
} tina_ring_producer;

typedef struct tina_ring_consumer {
    unsigned char *slots;
    uint32_t capacity;
    uint32_t item_bytes;
    uint64_t head;      // as left to the producer
    uint64_t tail_seen; // at most tail: what the producer had published at our last look
} tina_ring_consumer;

// A ring. The fields are public for size and placement only. The ring and the memory of its slots
// outlive every call of either end; nothing needs to be torn down.
typedef struct tina_ring {
    // Producer's line, private.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_ring_producer producer;
    // Written by the producer, read by the consumer. On a line of its own, as the consumer may poll
    // it while the producer works on its private fields.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_atomic_u64 tail;
    // Consumer's line, private.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_ring_consumer consumer;
    // Written by the consumer, read by the producer.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_atomic_u64 head;
} tina_ring;

// tina_ring_init makes an empty ring of capacity items (a power of two, at most
// TINA_RING_CAPACITY_MAX) of item_bytes each (a multiple of 8) in slots, which is aligned to 8
// bytes, capacity * item_bytes long and stays the caller's. Items that are whole, aligned cache
// lines share none. The counters start at counter_start; any value gives the same ring, and values
// near 2^64 test their wrap. Hand the ring to the other thread by something that synchronises.
void tina_ring_init(tina_ring *ring, void *slots, uint32_t capacity, uint32_t item_bytes,
                    uint64_t counter_start);

// tina_ring_claim returns the next free slots, for the producer to write: at most *count (at least
// 1) of them, contiguous, and sets *count to how many. It returns NULL and sets *count to 0 when
// the ring is full. It looks for more room than the last look showed only when that is used up, so
// it may grant fewer than are free. Claims add up until tina_ring_publish.
static inline void *tina_ring_claim(tina_ring *ring, uint32_t *count) {
    tina_ring_producer *producer = &ring->producer;
    TINA_ASSERT(*count > 0);
    uint64_t room = producer->capacity - (producer->claimed - producer->head_seen);
    if (room == 0) {
        // Pairs with the release in tina_ring_consume: the consumer's reads of a slot happen before
        // our writes to it.
        producer->head_seen = tina_atomic_u64_load_acquire(&ring->head);
        room = producer->capacity - (producer->claimed - producer->head_seen);
        TINA_ASSERT(room <= producer->capacity);
        if (room == 0) {
            *count = 0;
            return NULL;
        }
    }
    uint32_t mask = producer->capacity - 1;
    uint32_t slot = (uint32_t)producer->claimed & mask;
    uint32_t slots_after = mask - slot;
    uint32_t granted = *count;
    if (TINA_RING_RARELY(granted > room)) {
        granted = (uint32_t)room;
    }
    if (TINA_RING_RARELY(granted - 1 > slots_after)) {
        granted = slots_after + 1;
    }
    producer->claimed += granted;
    *count = granted;
    return producer->slots + (size_t)slot * producer->item_bytes;
}

// tina_ring_claimed returns the number of slots claimed and not yet published.
static inline uint32_t tina_ring_claimed(const tina_ring *ring) {
    return (uint32_t)(ring->producer.claimed - ring->producer.tail);
}

// tina_ring_room returns how many slots the producer could claim. It always reads the consumer's
// line.
static inline uint32_t tina_ring_room(tina_ring *ring) {
    tina_ring_producer *producer = &ring->producer;
    // Pairs with the release in tina_ring_consume, as in tina_ring_claim.
    producer->head_seen = tina_atomic_u64_load_acquire(&ring->head);
    uint64_t room = producer->capacity - (producer->claimed - producer->head_seen);
    TINA_ASSERT(room <= producer->capacity);
    return (uint32_t)room;
}

// tina_ring_publish shows the consumer the first count of the claimed items, which are written, and
// gives the other claimed slots back unused. count is at most tina_ring_claimed.
static inline void tina_ring_publish(tina_ring *ring, uint32_t count) {
    tina_ring_producer *producer = &ring->producer;
    TINA_ASSERT(count <= producer->claimed - producer->tail);
    producer->tail += count;
    if (TINA_RING_RARELY(producer->claimed != producer->tail)) {
        producer->claimed = producer->tail;
    }
    // Pairs with the acquire in tina_ring_readable: our writes to the items happen before the
    // consumer's reads.
    tina_atomic_u64_store_release(&ring->tail, producer->tail);
}

// tina_ring_readable looks for published items and returns how many the consumer has not consumed.
// It is the one call of the consumer that always reads the producer's line.
static inline uint32_t tina_ring_readable(tina_ring *ring) {
    tina_ring_consumer *consumer = &ring->consumer;
    // Pairs with the release in tina_ring_publish.
    consumer->tail_seen = tina_atomic_u64_load_acquire(&ring->tail);
    uint64_t readable = consumer->tail_seen - consumer->head;
    TINA_ASSERT(readable <= consumer->capacity);
    return (uint32_t)readable;
}

// tina_ring_peek returns the oldest items, the consumer's to read and to write until it consumes
// them: at most *count (at least 1), contiguous, and sets *count to how many. It returns NULL and
// sets *count to 0 when the ring is empty. It looks for more than the last look showed only when
// those are all consumed.
static inline void *tina_ring_peek(tina_ring *ring, uint32_t *count) {
    tina_ring_consumer *consumer = &ring->consumer;
    TINA_ASSERT(*count > 0);
    uint32_t readable = (uint32_t)(consumer->tail_seen - consumer->head);
    if (readable == 0) {
        readable = tina_ring_readable(ring);
        if (readable == 0) {
            *count = 0;
            return NULL;
        }
    }
    uint32_t mask = consumer->capacity - 1;
    uint32_t slot = (uint32_t)consumer->head & mask;
    uint32_t slots_after = mask - slot;
    uint32_t granted = *count;
    if (TINA_RING_RARELY(granted > readable)) {
        granted = readable;
    }
    if (TINA_RING_RARELY(granted - 1 > slots_after)) {
        granted = slots_after + 1;
    }
    *count = granted;
    return consumer->slots + (size_t)slot * consumer->item_bytes;
}

// tina_ring_consume returns the slots of the count oldest items to the producer. count is at most
// what tina_ring_readable or tina_ring_peek last showed to be there.
static inline void tina_ring_consume(tina_ring *ring, uint32_t count) {
    tina_ring_consumer *consumer = &ring->consumer;
    TINA_ASSERT(count <= consumer->tail_seen - consumer->head);
    consumer->head += count;
    // Pairs with the acquire in tina_ring_claim: our reads of the items happen before the
    // producer's next writes to their slots.
    tina_atomic_u64_store_release(&ring->head, consumer->head);
}

#ifdef __cplusplus
}
#endif

#endif
