// SPDX-License-Identifier: Apache-2.0
//
// A pool: a fixed number of slots of one stride, taken and given in O(1), named by slot and
// generation.
//
// A ref is stale as soon as its slot is given, and stays stale for ever: each life of a slot has a
// generation of its own, and a slot whose generation would wrap is retired. Generations and free
// links lie apart from the slots, so giving touches no user memory, and a pool of a million slots
// touches none of them at boot: slots that were never taken are only counted.
//
//      front (last given first)  ->  never taken (lowest first)  ->  back (first given first)
//
// take looks in that order. A slot goes to the back on every 2^20th life: 28-bit generations of one
// hot slot would otherwise wear out in 13 s of taking and giving at full speed.
// Taking and giving cost 6 ns together, where malloc and free cost 12 to 16 (arena/pool_bench).

#ifndef TINA_ARENA_POOL_H
#define TINA_ARENA_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena/poison.h"
#include "core/assert.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_POOL_SLOT_COUNT_MAX (1u << 31)

// In an entry's link where no slot's number is.
#define TINA_POOL_END     UINT32_MAX       // the last free slot of its list
#define TINA_POOL_LIVE    (UINT32_MAX - 1) // taken
#define TINA_POOL_RETIRED (UINT32_MAX - 2) // worn out

// Zero means the sensible default, except for slot_count.
typedef struct tina_pool_config {
    uint32_t slot_count;      // 1 to TINA_POOL_SLOT_COUNT_MAX
    uint32_t slot_bytes;      // 0: a pool of numbers, whose slots are the owner's own tables
    uint32_t red_zone_bytes;  // at least so much between two slots, checked by tina_pool_intact
    uint32_t alignment;       // of each slot: a power of two, 8 to 128; default 16
    uint32_t generation_bits; // up to 32; default 28, what a tina_handle has room for
    bool wraps; // a worn-out slot begins again at generation 1 instead of being retired: for slots
                // whose names nobody keeps as long as all generations last
} tina_pool_config;

// One life of one slot. Generations start at 1, so the all-zero ref is nobody's.
typedef struct tina_pool_ref {
    uint32_t slot;
    uint32_t generation;
} tina_pool_ref;

typedef enum tina_pool_result {
    TINA_POOL_OK = 0,
    TINA_POOL_FULL,     // every slot that is not retired is live
    TINA_POOL_WORN_OUT, // every slot is retired: no give will ever help
} tina_pool_result;

typedef struct tina_pool_entry {
    uint32_t generation; // of the life that is live, else of the next one
    uint32_t link;
} tina_pool_entry;

// Used by one thread; the fields are the pool's own, but for the counters, which anyone may read.
// The first line is what take and give touch.
typedef struct tina_pool {
    tina_pool_entry *entries; // slot_count of them; those below touched are initialised
    uint8_t *slots;
    uint32_t stride;
    uint32_t front;
    uint32_t touched;   // slots that were ever taken
    uint32_t wear_mask; // a generation with these bits all set is the last before the back
    uint32_t live;      // counter: slots taken and not given

    uint32_t back_first;
    uint32_t back_last;
    uint32_t retired; // counter: slots that wore out
    uint32_t slot_count;
    uint32_t slot_bytes;
    uint32_t generation_max;
    bool wraps;
    uint64_t refused; // counter: takes that found the pool full or worn out
} tina_pool;

// tina_pool_metadata_bytes and tina_pool_slots_bytes return what to carve for a pool. The metadata
// is what makes handles stale, so it belongs to the durable part of an arena; slots may be rebuilt.
size_t tina_pool_metadata_bytes(const tina_pool_config *config);
size_t tina_pool_slots_bytes(const tina_pool_config *config);

// tina_pool_init makes a pool with no slot taken of the caller's memory: metadata aligned to 8,
// slots to the configured alignment (NULL in a pool of numbers), both of any content. Nothing is
// ever returned to the caller but by not using the pool again.
void tina_pool_init(tina_pool *pool, const tina_pool_config *config, void *metadata, void *slots);

// tina_pool_reset gives every live slot, highest number first, and moves the pool to slots, which
// may have any content: what a shard does when its rebuilt part is carved anew. Every ref taken
// before is stale. The old slots are not touched.
void tina_pool_reset(tina_pool *pool, void *slots);

// Parts of take and give that are not on every path.
uint32_t tina_pool_take_untaken(tina_pool *pool);
void tina_pool_give_worn(tina_pool *pool, uint32_t slot);
void tina_pool_slot_open(tina_pool *pool, uint32_t slot);
void tina_pool_slot_close(tina_pool *pool, uint32_t slot);

static inline void tina_pool_entry_free(tina_pool *pool, uint32_t slot) {
    tina_pool_entry *entry = &pool->entries[slot];
    pool->live--;
    if ((entry->generation & pool->wear_mask) == pool->wear_mask) {
        tina_pool_give_worn(pool, slot);
        return;
    }
    entry->generation++;
    entry->link = pool->front;
    pool->front = slot;
}

// tina_pool_take_given starts a life of the slot that was given last and returns its number: for
// owners that keep no generations. TINA_POOL_END when it takes tina_pool_take to find one.
static inline uint32_t tina_pool_take_given(tina_pool *pool) {
    uint32_t slot = pool->front;
    if (slot == TINA_POOL_END)
        return TINA_POOL_END;
    TINA_ASSERT(slot < pool->touched);
    tina_pool_entry *entry = &pool->entries[slot];
    pool->front = entry->link;
    entry->link = TINA_POOL_LIVE;
    pool->live++;
    if (TINA_VERIFY_ON || TINA_ASAN_ON)
        tina_pool_slot_open(pool, slot);
    return slot;
}

// tina_pool_take starts a life of a free slot and stores its ref. The slot's memory holds whatever
// was left there; the owner initialises what it reads.
__attribute__((warn_unused_result)) static inline tina_pool_result
tina_pool_take(tina_pool *pool, tina_pool_ref *ref) {
    uint32_t slot = tina_pool_take_given(pool);
    if (slot == TINA_POOL_END)
        slot = tina_pool_take_untaken(pool);
    if (slot == TINA_POOL_END)
        return pool->live == 0 ? TINA_POOL_WORN_OUT : TINA_POOL_FULL;
    ref->slot = slot;
    ref->generation = pool->entries[slot].generation;
    return TINA_POOL_OK;
}

// tina_pool_give_slot ends the life of a slot, which is live: for owners that keep no generations.
static inline void tina_pool_give_slot(tina_pool *pool, uint32_t slot) {
    TINA_ASSERT(slot < pool->touched);
    TINA_ASSERT(pool->entries[slot].link == TINA_POOL_LIVE);
    if (TINA_VERIFY_ON || TINA_ASAN_ON)
        tina_pool_slot_close(pool, slot);
    tina_pool_entry_free(pool, slot);
}

// tina_pool_is_live returns whether a slot is taken.
static inline bool tina_pool_is_live(const tina_pool *pool, uint32_t slot) {
    return slot < pool->touched && pool->entries[slot].link == TINA_POOL_LIVE;
}

// tina_pool_holds returns whether ref is live; any ref may be asked about, made-up ones included.
static inline bool tina_pool_holds(const tina_pool *pool, tina_pool_ref ref) {
    if (ref.slot >= pool->touched)
        return false;
    const tina_pool_entry *entry = &pool->entries[ref.slot];
    return entry->generation == ref.generation && entry->link == TINA_POOL_LIVE;
}

// tina_pool_generation returns the generation of a slot's life, which is live.
static inline uint32_t tina_pool_generation(const tina_pool *pool, uint32_t slot) {
    TINA_ASSERT(slot < pool->touched);
    TINA_ASSERT(pool->entries[slot].link == TINA_POOL_LIVE);
    return pool->entries[slot].generation;
}

// tina_pool_give ends the life that ref names, which is live: giving it twice is caught even when
// the slot has been taken again meanwhile.
static inline void tina_pool_give(tina_pool *pool, tina_pool_ref ref) {
    TINA_ASSERT(tina_pool_holds(pool, ref));
    tina_pool_give_slot(pool, ref.slot);
}

// tina_pool_slot returns the memory of a slot, which is live. Not in a pool of numbers.
static inline void *tina_pool_slot(const tina_pool *pool, uint32_t slot) {
    TINA_ASSERT(slot < pool->touched);
    TINA_ASSERT(pool->slots != NULL);
    TINA_VERIFY(pool->entries[slot].link == TINA_POOL_LIVE);
    return pool->slots + (size_t)slot * pool->stride;
}

// tina_pool_at returns the memory that ref names, or NULL when ref is stale.
static inline void *tina_pool_at(const tina_pool *pool, tina_pool_ref ref) {
    return tina_pool_holds(pool, ref) ? tina_pool_slot(pool, ref.slot) : NULL;
}

// tina_pool_slot_of returns the number of the live slot whose memory starts at memory; a pointer
// that is not a slot's start is a programmer's error. Divides by the stride: not for hot paths.
uint32_t tina_pool_slot_of(const tina_pool *pool, const void *memory);

// tina_pool_intact returns whether a fault in a slot's owner left the slot's metadata plausible and
// the red zones on both its sides unwritten. O(1); slot was taken before.
bool tina_pool_intact(const tina_pool *pool, uint32_t slot);

// tina_pool_verify asserts every invariant that the pool has; O(slots ever taken).
void tina_pool_verify(const tina_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
