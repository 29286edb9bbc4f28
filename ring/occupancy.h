// SPDX-License-Identifier: Apache-2.0
//
// For one who reads many rings: a bit for each, which tells that something may have been published,
// and one sleeper for all. So a look costs what was brought, and not how many could bring.
//
//     who brings, of number n                who reads
//     tina_ring_publish                      tina_occupancy_take: the rings to look at
//     if (tina_occupancy_mark(n)) wake it    ... each until it is empty, or kept in mind
//                                            tina_sleeper_announce
//                                            if nothing is marked or kept in mind, block
//                                            tina_sleeper_awake
//
// Nothing is lost between the two: the reader takes the bits by an exchange before it looks. Either
// that reads the bringer's mark, and shows what was published before it; or the mark comes later,
// and is there for the next look.
//
// Only the mark that finds its bit clear asks whether to wake. While the bit stands the reader has
// not come since the mark that set it, which either woke it or will be seen by it before it blocks.
// ring/memory_model_test explores this together with the ring and the sleeper.
//
// Performance: a bringer pays one locked operation a batch, two on the edge from empty, on lines
// that all bringers share. For a few rings it is cheaper to look at each, with a sleeper for each.

#ifndef TINA_RING_OCCUPANCY_H
#define TINA_RING_OCCUPANCY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "ring/sleeper.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_OCCUPANCY_WORDS_MAX 4u
#define TINA_OCCUPANCY_MAX       (TINA_OCCUPANCY_WORDS_MAX * 64)

typedef struct tina_occupancy {
    tina_sleeper sleeper; // the reader's, for all bringers
    // Set by bringers and taken by the reader, by read-modify-writes only.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_atomic_u64 words[TINA_OCCUPANCY_WORDS_MAX];
    uint32_t word_count;
} tina_occupancy;

// tina_occupancy_init makes one for bringers numbered below count, at most TINA_OCCUPANCY_MAX; with
// nothing marked, its reader awake, and before any other thread knows of it.
static inline void tina_occupancy_init(tina_occupancy *occupancy, uint32_t count) {
    TINA_ASSERT(count <= TINA_OCCUPANCY_MAX);
    tina_sleeper_init(&occupancy->sleeper);
    occupancy->word_count = (count + 63) / 64;
    for (uint32_t i = 0; i < occupancy->word_count; i++)
        tina_atomic_u64_store_relaxed(&occupancy->words[i], 0);
}

// tina_occupancy_mark tells the reader of what the caller has published. Returns true when the
// caller must wake it.
static inline bool tina_occupancy_mark(tina_occupancy *occupancy, uint32_t number) {
    uint64_t bit = UINT64_C(1) << (number & 63);
    // Pairs with the exchange in tina_occupancy_take. Unconditional: a plain look at the bit could
    // be done before the publish is seen, and find one that the reader is about to take.
    if (tina_atomic_u64_fetch_or(&occupancy->words[number / 64], bit) & bit)
        return false;
    return tina_sleeper_must_wake(&occupancy->sleeper);
}

// tina_occupancy_take returns the bits of the rings of one word to look at, and clears them.
static inline uint64_t tina_occupancy_take(tina_occupancy *occupancy, uint32_t word) {
    // A mark that this look misses is there for the next; it costs no locked operation.
    if (tina_atomic_u64_load_relaxed(&occupancy->words[word]) == 0)
        return 0;
    // Pairs with tina_occupancy_mark: what was published before it is seen after this.
    return tina_atomic_u64_exchange(&occupancy->words[word], 0);
}

// tina_occupancy_is_marked returns whether there is a bit to take. After tina_sleeper_announce it
// sees the mark of every bringer that need not wake the reader.
static inline bool tina_occupancy_is_marked(const tina_occupancy *occupancy) {
    for (uint32_t i = 0; i < occupancy->word_count; i++)
        if (tina_atomic_u64_load_relaxed(&occupancy->words[i]) != 0)
            return true;
    return false;
}

#ifdef __cplusplus
}
#endif

#endif
