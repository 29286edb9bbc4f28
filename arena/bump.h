// SPDX-License-Identifier: Apache-2.0
//
// A bump allocator over the caller's memory, emptied all at once: a handler's scratch, reset before
// each call, or an isolate's working arena.
//
// Memory taken holds whatever was left there. Debug builds overwrite what is given back, and under
// AddressSanitizer a pointer kept over a reset is reported.

#ifndef TINA_ARENA_BUMP_H
#define TINA_ARENA_BUMP_H

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
#define TINA_BUMP_ALIGNMENT 128u

#define TINA_BUMP_FREE_BYTE 0xF3u

// Used by one thread; the memory is the caller's.
typedef struct tina_bump {
    uint8_t *base;
    size_t size;
    size_t used;
    size_t high_water; // counter: the most that was ever used
    uint64_t refused;  // counter: takes that did not fit
} tina_bump;

// tina_bump_init makes an empty bump of size bytes at memory, aligned to
// TINA_BUMP_ALIGNMENT. Not on the stack: AddressSanitizer would keep what was not taken poisoned
// for the frames that come after.
static inline void tina_bump_init(tina_bump *bump, void *memory, size_t size) {
    TINA_ASSERT(memory != NULL);
    TINA_ASSERT((uintptr_t)memory % TINA_BUMP_ALIGNMENT == 0);
    tina_bump empty = {(uint8_t *)memory, size, 0, 0, 0};
    *bump = empty;
    tina_poison(memory, size);
}

// tina_bump_take returns bytes aligned to alignment, a power of two, or NULL when they do not
// fit.
static inline void *tina_bump_take(tina_bump *bump, size_t bytes, size_t alignment) {
    TINA_ASSERT(tina_is_power_of_two(alignment));
    TINA_ASSERT(alignment <= TINA_BUMP_ALIGNMENT);
    TINA_ASSERT(bump->used <= bump->size);
    size_t start = tina_align_up(bump->used, alignment);
    if (start > bump->size || bytes > bump->size - start) {
        bump->refused++;
        return NULL;
    }
    bump->used = start + bytes;
    if (bump->high_water < bump->used)
        bump->high_water = bump->used;
    tina_unpoison(bump->base + start, bytes);
    return bump->base + start;
}

// tina_bump_mark returns the place that tina_bump_rewind goes back to.
static inline size_t tina_bump_mark(const tina_bump *bump) {
    return bump->used;
}

// tina_bump_rewind gives back everything taken since the mark.
static inline void tina_bump_rewind(tina_bump *bump, size_t mark) {
    TINA_ASSERT(mark <= bump->used);
    if (TINA_VERIFY_ON || TINA_ASAN_ON) {
        // Alignment gaps are poisoned too, and memset would be reported for them.
        tina_unpoison(bump->base + mark, bump->used - mark);
        memset(bump->base + mark, TINA_BUMP_FREE_BYTE, bump->used - mark);
        tina_poison(bump->base + mark, bump->used - mark);
    }
    bump->used = mark;
}

// tina_bump_reset gives back everything.
static inline void tina_bump_reset(tina_bump *bump) {
    tina_bump_rewind(bump, 0);
}

#ifdef __cplusplus
}
#endif

#endif
