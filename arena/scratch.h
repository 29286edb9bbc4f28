// SPDX-License-Identifier: Apache-2.0
//
// A bump allocator over the caller's memory, emptied all at once: a handler's scratch, reset before
// each call, or an isolate's working arena.
//
// Memory taken holds whatever was left there. Debug builds overwrite what is given back, and under
// AddressSanitizer a pointer kept over a reset is reported.

#ifndef TINA_ARENA_SCRATCH_H
#define TINA_ARENA_SCRATCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arena/poison.h"
#include "core/assert.h"
#include "core/bits.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of the caller's memory, and the most that a take may ask for. What fits then depends on sizes
// alone, not on where the memory lies, so that a replayed run takes the same way.
#define TINA_SCRATCH_ALIGNMENT 128u

#define TINA_SCRATCH_FREE_BYTE 0xF3u

// Used by one thread; the memory is the caller's.
typedef struct tina_scratch {
    uint8_t *base;
    size_t size;
    size_t used;
    size_t high_water; // counter: the most that was ever used
    uint64_t refused;  // counter: takes that did not fit
} tina_scratch;

// tina_scratch_init makes an empty scratch of size bytes at memory, aligned to
// TINA_SCRATCH_ALIGNMENT. Not on the stack: AddressSanitizer would keep what was not taken poisoned
// for the frames that come after.
static inline void tina_scratch_init(tina_scratch *scratch, void *memory, size_t size) {
    TINA_ASSERT(memory != NULL);
    TINA_ASSERT((uintptr_t)memory % TINA_SCRATCH_ALIGNMENT == 0);
    tina_scratch empty = {(uint8_t *)memory, size, 0, 0, 0};
    *scratch = empty;
    tina_poison(memory, size);
}

// tina_scratch_take returns bytes aligned to alignment, a power of two, or NULL when they do not
// fit.
static inline void *tina_scratch_take(tina_scratch *scratch, size_t bytes, size_t alignment) {
    TINA_ASSERT(tina_is_power_of_two(alignment));
    TINA_ASSERT(alignment <= TINA_SCRATCH_ALIGNMENT);
    TINA_ASSERT(scratch->used <= scratch->size);
    size_t start = tina_align_up(scratch->used, alignment);
    if (start > scratch->size || bytes > scratch->size - start) {
        scratch->refused++;
        return NULL;
    }
    scratch->used = start + bytes;
    if (scratch->high_water < scratch->used)
        scratch->high_water = scratch->used;
    tina_unpoison(scratch->base + start, bytes);
    return scratch->base + start;
}

// tina_scratch_mark returns the place that tina_scratch_rewind goes back to.
static inline size_t tina_scratch_mark(const tina_scratch *scratch) {
    return scratch->used;
}

// tina_scratch_rewind gives back everything taken since the mark.
static inline void tina_scratch_rewind(tina_scratch *scratch, size_t mark) {
    TINA_ASSERT(mark <= scratch->used);
    if (TINA_VERIFY_ON || TINA_ASAN_ON) {
        // Alignment gaps are poisoned too, and memset would be reported for them.
        tina_unpoison(scratch->base + mark, scratch->used - mark);
        memset(scratch->base + mark, TINA_SCRATCH_FREE_BYTE, scratch->used - mark);
        tina_poison(scratch->base + mark, scratch->used - mark);
    }
    scratch->used = mark;
}

// tina_scratch_reset gives back everything.
static inline void tina_scratch_reset(tina_scratch *scratch) {
    tina_scratch_rewind(scratch, 0);
}

#ifdef __cplusplus
}
#endif

#endif
