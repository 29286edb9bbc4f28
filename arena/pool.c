// SPDX-License-Identifier: Apache-2.0

#include "arena/pool.h"

#include <assert.h>
#include <string.h>

#include "arena/poison.h"
#include "core/assert.h"
#include "core/bits.h"
#include "core/handle.h"

// A slot rotates to the back once in so many lives.
#define ROTATE_LIVES (1u << 20)

#define ALIGNMENT_DEFAULT 16u
#define ALIGNMENT_MAX     128u

// Neither a plausible small number nor a valid pointer, and different, so that a dump says which.
#define FREE_BYTE     0xF5u
#define RED_ZONE_BYTE 0xFDu

static_assert(sizeof(tina_pool_entry) == 8, "eight entries a line");
static_assert(offsetof(tina_pool, live) + sizeof(uint32_t) <= 64, "take and give touch one line");

static uint64_t config_stride(const tina_pool_config *config);
static void pool_lay_out(tina_pool *pool);
static void back_append(tina_pool *pool, uint32_t slot);
static uint32_t back_remove(tina_pool *pool);
static uint8_t *slot_memory(const tina_pool *pool, uint32_t slot);
static void red_zone_write(tina_pool *pool, uint32_t slot);
static bool bytes_all(const uint8_t *memory, size_t bytes, uint8_t value);

uint32_t tina_pool_take_untaken(tina_pool *pool) {
    TINA_ASSERT(pool->front == TINA_POOL_END);
    uint32_t slot;
    if (pool->touched < pool->slot_count) {
        slot = pool->touched++;
        pool->entries[slot] = (tina_pool_entry){.generation = 1, .link = TINA_POOL_LIVE};
        red_zone_write(pool, slot);
        tina_unpoison(slot_memory(pool, slot), pool->slot_bytes);
    } else if (pool->back_first != TINA_POOL_END) {
        slot = back_remove(pool);
        tina_pool_slot_open(pool, slot);
    } else {
        pool->refused++;
        TINA_ASSERT(pool->live + pool->retired == pool->slot_count);
        return TINA_POOL_END;
    }
    pool->entries[slot].link = TINA_POOL_LIVE;
    pool->live++;
    return slot;
}

void tina_pool_give_worn(tina_pool *pool, uint32_t slot) {
    tina_pool_entry *entry = &pool->entries[slot];
    TINA_ASSERT((entry->generation & pool->wear_mask) == pool->wear_mask);
    if (entry->generation == pool->generation_max && !pool->wraps) {
        entry->link = TINA_POOL_RETIRED;
        pool->retired++;
        return;
    }
    entry->generation = entry->generation == pool->generation_max ? 1 : entry->generation + 1;
    back_append(pool, slot);
}

void tina_pool_slot_open(tina_pool *pool, uint32_t slot) {
    tina_unpoison(slot_memory(pool, slot), pool->slot_bytes);
    // A byte that differs was written through a pointer kept too long.
    TINA_VERIFY(bytes_all(slot_memory(pool, slot), pool->slot_bytes, FREE_BYTE));
}

void tina_pool_slot_close(tina_pool *pool, uint32_t slot) {
    TINA_VERIFY(tina_pool_intact(pool, slot));
    // The owner may have poisoned some of it: a bump in a slot does.
    tina_unpoison(slot_memory(pool, slot), pool->slot_bytes);
    if (TINA_VERIFY_ON && pool->slot_bytes != 0)
        memset(slot_memory(pool, slot), FREE_BYTE, pool->slot_bytes);
    tina_poison(slot_memory(pool, slot), pool->slot_bytes);
}

size_t tina_pool_metadata_bytes(const tina_pool_config *config) {
    return (size_t)config->slot_count * sizeof(tina_pool_entry);
}

size_t tina_pool_slots_bytes(const tina_pool_config *config) {
    return (size_t)config->slot_count * config_stride(config);
}

void tina_pool_init(tina_pool *pool, const tina_pool_config *config, void *metadata, void *slots) {
    uint32_t generation_bits =
        config->generation_bits != 0 ? config->generation_bits : TINA_GENERATION_BITS;
    TINA_ASSERT(config->slot_count > 0);
    TINA_ASSERT(config->slot_count <= TINA_POOL_SLOT_COUNT_MAX);
    TINA_ASSERT(generation_bits <= 32);
    TINA_ASSERT(metadata != NULL);
    TINA_ASSERT((uintptr_t)metadata % sizeof(tina_pool_entry) == 0);

    uint32_t generation_max = UINT32_MAX >> (32 - generation_bits);
    *pool = (tina_pool){
        .entries = metadata,
        .slots = slots,
        .stride = (uint32_t)config_stride(config),
        .front = TINA_POOL_END,
        .wear_mask = generation_max < ROTATE_LIVES ? generation_max : ROTATE_LIVES - 1,
        .back_first = TINA_POOL_END,
        .back_last = TINA_POOL_END,
        .slot_count = config->slot_count,
        .slot_bytes = config->slot_bytes,
        .generation_max = generation_max,
        .wraps = config->wraps,
    };
    TINA_ASSERT((slots == NULL) == (config->slot_bytes == 0));
    uint32_t alignment = config->alignment != 0 ? config->alignment : ALIGNMENT_DEFAULT;
    TINA_ASSERT((uintptr_t)slots % alignment == 0);
    pool_lay_out(pool);
}

void tina_pool_reset(tina_pool *pool, void *slots) {
    TINA_ASSERT((slots == NULL) == (pool->slots == NULL));
    for (uint32_t slot = pool->touched; slot-- > 0;)
        if (pool->entries[slot].link == TINA_POOL_LIVE)
            tina_pool_entry_free(pool, slot);
    TINA_ASSERT(pool->live == 0);
    pool->slots = slots;
    pool_lay_out(pool);
}

uint32_t tina_pool_slot_of(const tina_pool *pool, const void *memory) {
    TINA_ASSERT(pool->slots != NULL);
    // Below the first slot wraps to a number far beyond the last.
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)pool->slots;
    TINA_ASSERT(offset / pool->stride < pool->touched);
    TINA_ASSERT(offset % pool->stride == 0);
    uint32_t slot = (uint32_t)(offset / pool->stride);
    TINA_ASSERT(pool->entries[slot].link == TINA_POOL_LIVE);
    return slot;
}

bool tina_pool_intact(const tina_pool *pool, uint32_t slot) {
    TINA_ASSERT(slot < pool->touched);
    const tina_pool_entry *entry = &pool->entries[slot];
    bool linked = entry->link < pool->touched || entry->link >= TINA_POOL_RETIRED;
    if (!linked || entry->generation == 0 || entry->generation > pool->generation_max)
        return false;
    size_t red_zone_bytes = pool->stride - pool->slot_bytes;
    const uint8_t *slot_end = slot_memory(pool, slot) + pool->slot_bytes;
    return bytes_all(slot_end, red_zone_bytes, RED_ZONE_BYTE) &&
           (slot == 0 || bytes_all(slot_end - pool->stride, red_zone_bytes, RED_ZONE_BYTE));
}

void tina_pool_verify(const tina_pool *pool) {
    uint32_t live = 0, retired = 0, free_count = 0;
    TINA_ASSERT(pool->touched <= pool->slot_count);
    for (uint32_t slot = 0; slot < pool->touched; slot++) {
        TINA_ASSERT(tina_pool_intact(pool, slot));
        live += pool->entries[slot].link == TINA_POOL_LIVE;
        retired += pool->entries[slot].link == TINA_POOL_RETIRED;
    }
    TINA_ASSERT(live == pool->live);
    TINA_ASSERT(retired == pool->retired);

    for (uint32_t slot = pool->front; slot != TINA_POOL_END; slot = pool->entries[slot].link) {
        TINA_ASSERT(slot < pool->touched);
        TINA_ASSERT(free_count < pool->touched); // else the list is a circle
        free_count++;
    }
    uint32_t last = TINA_POOL_END;
    for (uint32_t slot = pool->back_first; slot != TINA_POOL_END; slot = pool->entries[slot].link) {
        TINA_ASSERT(slot < pool->touched);
        TINA_ASSERT(free_count < pool->touched); // else the list is a circle
        free_count++;
        last = slot;
    }
    TINA_ASSERT(last == pool->back_last);
    TINA_ASSERT(live + retired + free_count == pool->touched);
}

static uint64_t config_stride(const tina_pool_config *config) {
    uint32_t alignment = config->alignment != 0 ? config->alignment : ALIGNMENT_DEFAULT;
    TINA_ASSERT(tina_is_power_of_two(alignment));
    TINA_ASSERT(alignment >= 8); // AddressSanitizer's grain: neighbours must not share one
    TINA_ASSERT(alignment <= ALIGNMENT_MAX);
    if (config->slot_bytes == 0)
        return 0;
    uint64_t bytes = (uint64_t)config->slot_bytes + config->red_zone_bytes;
    TINA_ASSERT(bytes <= UINT32_MAX - ALIGNMENT_MAX);
    return tina_align_up(bytes, alignment);
}

// Free slots that were taken before get what give leaves in them; the others are left untouched.
static void pool_lay_out(tina_pool *pool) {
    for (uint32_t slot = 0; slot < pool->touched; slot++) {
        red_zone_write(pool, slot);
        tina_unpoison(slot_memory(pool, slot), pool->slot_bytes);
        if (TINA_VERIFY_ON && pool->slot_bytes != 0)
            memset(slot_memory(pool, slot), FREE_BYTE, pool->slot_bytes);
    }
    if (pool->slots != NULL)
        tina_poison(pool->slots, (size_t)pool->slot_count * pool->stride);
}

static void back_append(tina_pool *pool, uint32_t slot) {
    pool->entries[slot].link = TINA_POOL_END;
    if (pool->back_last == TINA_POOL_END)
        pool->back_first = slot;
    else
        pool->entries[pool->back_last].link = slot;
    pool->back_last = slot;
}

static uint32_t back_remove(tina_pool *pool) {
    uint32_t slot = pool->back_first;
    TINA_ASSERT(slot < pool->touched);
    pool->back_first = pool->entries[slot].link;
    if (pool->back_first == TINA_POOL_END)
        pool->back_last = TINA_POOL_END;
    return slot;
}

static uint8_t *slot_memory(const tina_pool *pool, uint32_t slot) {
    return pool->slots != NULL ? pool->slots + (size_t)slot * pool->stride : NULL;
}

static void red_zone_write(tina_pool *pool, uint32_t slot) {
    size_t bytes = pool->stride - pool->slot_bytes;
    if (bytes == 0)
        return;
    uint8_t *red_zone = slot_memory(pool, slot) + pool->slot_bytes;
    tina_unpoison(red_zone, bytes);
    memset(red_zone, RED_ZONE_BYTE, bytes);
    tina_poison(red_zone, bytes);
}

// Reads what is poisoned.
__attribute__((no_sanitize("address"))) static bool bytes_all(const uint8_t *memory, size_t bytes,
                                                              uint8_t value) {
    for (size_t i = 0; i < bytes; i++)
        if (memory[i] != value)
            return false;
    return true;
}
