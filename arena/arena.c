// SPDX-License-Identifier: Apache-2.0

#include "arena/arena.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena/poison.h"
#include "core/assert.h"

// The huge page of x86-64, and of aarch64 with 4 KiB pages. Aligning to it is only worth address
// space: elsewhere it does no harm.
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

static_assert(sizeof(size_t) == 8, "sizes are 64 bits");
static_assert(HUGE_PAGE_BYTES % TINA_ARENA_GUARD_BYTES == 0, "a guard starts where the base ends");

static int arena_populate(const tina_arena *arena);

void *tina_arena_carve(tina_arena *arena, size_t bytes) {
    TINA_ASSERT(arena->committed);
    TINA_ASSERT(!arena->frozen);
    TINA_ASSERT(arena->used <= arena->size);
    // Compared before rounding up, which would wrap near SIZE_MAX. Both sides of what is left are
    // multiples of the alignment, so what fits still fits once rounded.
    if (bytes > arena->size - arena->used)
        return NULL;

    uint8_t *carved = arena->base + arena->used;
    size_t end = arena->used + tina_arena_carve_bytes(bytes);
    // The slack up to the alignment stays poisoned, and is not filled, until it is someone's.
    tina_unpoison(carved, bytes);
    if (arena->fill != 0)
        memset(carved, arena->fill, bytes);
    else if (arena->used < arena->dirty)
        memset(carved, 0, bytes < arena->dirty - arena->used ? bytes : arena->dirty - arena->used);

    arena->used = end;
    if (arena->dirty < end)
        arena->dirty = end;
    TINA_ASSERT((uintptr_t)carved % TINA_ARENA_ALIGNMENT == 0);
    return carved;
}

void tina_arena_freeze(tina_arena *arena) {
    TINA_ASSERT(arena->committed);
    TINA_ASSERT(!arena->frozen);
    arena->frozen = true;
}

void tina_arena_rewind(tina_arena *arena, size_t mark) {
    TINA_ASSERT(arena->committed);
    TINA_ASSERT(mark <= arena->used);
    TINA_ASSERT(mark % TINA_ARENA_ALIGNMENT == 0);
    tina_poison(arena->base + mark, arena->used - mark);
    arena->used = mark;
    arena->frozen = false;
}

int tina_arena_reserve(tina_arena *arena, size_t bytes) {
    TINA_ASSERT(bytes > 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    TINA_ASSERT(TINA_ARENA_GUARD_BYTES % page == 0);
    // No machine has so much address space, and nothing below can overflow.
    if (bytes > SIZE_MAX / 4)
        return -ENOMEM;

    size_t size = tina_align_up(bytes, page);
    size_t alignment = size < HUGE_PAGE_BYTES ? TINA_ARENA_GUARD_BYTES : HUGE_PAGE_BYTES;
    size_t mapping_bytes = TINA_ARENA_GUARD_BYTES + alignment + size + TINA_ARENA_GUARD_BYTES;
    void *mapping =
        mmap(NULL, mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        return -errno;

    uintptr_t lowest = (uintptr_t)mapping + TINA_ARENA_GUARD_BYTES;
    *arena = (tina_arena){
        .base = (uint8_t *)mapping + (tina_align_up(lowest, alignment) - (uintptr_t)mapping),
        .size = size,
        .mapping = mapping,
        .mapping_bytes = mapping_bytes,
    };
    TINA_ASSERT(arena->base - (uint8_t *)mapping >= (ptrdiff_t)TINA_ARENA_GUARD_BYTES);
    TINA_ASSERT((uint8_t *)mapping + mapping_bytes - (arena->base + size) >=
                (ptrdiff_t)TINA_ARENA_GUARD_BYTES);
    return 0;
}

int tina_arena_commit(tina_arena *arena, const tina_arena_commit_options *options) {
    TINA_ASSERT(arena->base != NULL);
    TINA_ASSERT(!arena->committed);
    if (mprotect(arena->base, arena->size, PROT_READ | PROT_WRITE) != 0)
        return -errno;
        // Advice only: a kernel without transparent huge pages refuses it, and small pages do. A
        // lazy arena refuses them, or one touched byte would cost 2 MiB.
#ifdef MADV_HUGEPAGE
    (void)madvise(arena->base, arena->size, options->lazy ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
#endif
    if (!options->lazy) {
        int result = arena_populate(arena);
        if (result < 0)
            return result;
    }
    // Poison costs memory, an eighth of what it covers: too much for a lazy arena of any size.
    arena->poisoned = options->lazy ? 0 : arena->size;
    tina_poison(arena->base, arena->poisoned);
    arena->fill = options->fill;
    arena->committed = true;
    return 0;
}

void tina_arena_release(tina_arena *arena) {
    TINA_ASSERT(arena->base != NULL);
    tina_unpoison(arena->base, arena->poisoned);
    tina_unpoison(arena->base, arena->dirty);
    int result = munmap(arena->mapping, arena->mapping_bytes);
    TINA_ASSERT(result == 0);
    *arena = (tina_arena){0};
}

static int arena_populate(const tina_arena *arena) {
#ifdef MADV_POPULATE_WRITE
    // One call for all pages, and a typed result where touching would be a SIGBUS (man madvise).
    if (madvise(arena->base, arena->size, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL) // before Linux 5.14
        return -errno;
#endif
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < arena->size; at += page)
        *(volatile uint8_t *)(arena->base + at) = 0;
    return 0;
}
