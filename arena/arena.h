// SPDX-License-Identifier: Apache-2.0
//
// The grand arena: the one block of memory that a shard gets from the OS, at boot.
//
// It is reserved by whoever starts the shard and committed by the shard's own thread once pinned,
// so that first touch puts every page on that core's NUMA node. Pieces are then carved off its
// front and never freed one by one; freezing ends carving. What a shard must not lose when it is
// rebuilt is carved first, then a mark is taken: rewinding to it gives back everything carved
// since.
//
//      inaccessible | durable part | rebuilt part | not carved | inaccessible
//                   base           mark           used         size
//
// Every carved byte holds the arena's fill byte: zero, unless the commit says otherwise. Simulation
// runs a seed under several fills and wants one and the same hash, so nobody may rely on zeros:
// owners initialise what they read.

#ifndef TINA_ARENA_ARENA_H
#define TINA_ARENA_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bits.h"

#ifdef __cplusplus
extern "C" {
#endif

// Two adjacent cache lines: x86 prefetches lines in pairs.
#define TINA_ARENA_ALIGNMENT 128u

// Inaccessible address space on each side, at the least. A multiple of every page size in use.
#define TINA_ARENA_GUARD_BYTES (64u << 10)

// Owned by one thread at a time; the fields are the arena's own. All-zero is "nothing reserved".
typedef struct tina_arena {
    uint8_t *base;
    size_t size;     // whole pages
    size_t used;     // a multiple of TINA_ARENA_ALIGNMENT
    size_t dirty;    // beyond it no carve has reached, so the kernel's zeros still stand
    size_t poisoned; // bytes that the commit poisoned, under AddressSanitizer
    void *mapping;   // what munmap wants: guards and alignment slack included
    size_t mapping_bytes;
    uint8_t fill;
    bool committed;
    bool frozen;
} tina_arena;

// How an arena is committed; all zero is what a production shard wants.
typedef struct tina_arena_commit_options {
    bool lazy; // pages come as they are touched, and small: for tests and a million idle isolates
    uint8_t fill; // what carved memory holds
} tina_arena_commit_options;

// tina_arena_reserve takes address space for bytes (not 0), rounded up to whole pages, between
// guards; it costs no memory. Returns 0 or -errno (ENOMEM). Ends with tina_arena_release.
__attribute__((warn_unused_result)) int tina_arena_reserve(tina_arena *arena, size_t bytes);

// tina_arena_commit makes the arena usable and, unless lazy, faults every page in, on huge pages
// where the kernel has them. Called once, on the owning thread, after pinning. Returns 0 or -errno;
// after an error the arena may only be released.
__attribute__((warn_unused_result)) int tina_arena_commit(tina_arena *arena,
                                                          const tina_arena_commit_options *options);

// tina_arena_carve returns the next bytes, aligned to TINA_ARENA_ALIGNMENT, or NULL when they do
// not fit. Makes no system call. The arena is committed and not frozen.
void *tina_arena_carve(tina_arena *arena, size_t bytes);

// tina_arena_carve_bytes returns what one carve of bytes takes from an arena, for sizing it.
static inline size_t tina_arena_carve_bytes(size_t bytes) {
    return tina_align_up(bytes, TINA_ARENA_ALIGNMENT);
}

// tina_arena_freeze ends carving: a carve after it is a programmer's error.
void tina_arena_freeze(tina_arena *arena);

// tina_arena_mark returns the place that tina_arena_rewind goes back to.
static inline size_t tina_arena_mark(const tina_arena *arena) {
    return arena->used;
}

// tina_arena_rewind gives back everything carved since the mark, and lifts a freeze. Makes no
// system call and costs nothing until the memory is carved again, which fills it anew.
void tina_arena_rewind(tina_arena *arena, size_t mark);

// tina_arena_release returns the address space to the OS and leaves the arena all-zero.
void tina_arena_release(tina_arena *arena);

static inline size_t tina_arena_used(const tina_arena *arena) {
    return arena->used;
}

// tina_arena_size returns what can be carved in all: the reserved bytes, in whole pages.
static inline size_t tina_arena_size(const tina_arena *arena) {
    return arena->size;
}

#ifdef __cplusplus
}
#endif

#endif
