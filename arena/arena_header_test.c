// SPDX-License-Identifier: Apache-2.0
//
// The headers as C17 sees them, and one life of each thing they declare.

#include "arena/arena.h"
#include "arena/bump.h"
#include "arena/pool.h"
#include "core/assert.h"

int main(void) {
    tina_arena arena;
    TINA_ASSERT(tina_arena_reserve(&arena, 1u << 20) == 0);
    TINA_ASSERT(tina_arena_commit(&arena, &(tina_arena_commit_options){.fill = 0xAA}) == 0);

    tina_pool_config config = {.slot_count = 10, .slot_bytes = 100, .red_zone_bytes = 16};
    tina_pool pool;
    void *metadata = tina_arena_carve(&arena, tina_pool_metadata_bytes(&config));
    size_t mark = tina_arena_mark(&arena);
    tina_pool_init(&pool, &config, metadata,
                   tina_arena_carve(&arena, tina_pool_slots_bytes(&config)));
    tina_pool_ref ref;
    TINA_ASSERT(tina_pool_take(&pool, &ref) == TINA_POOL_OK);
    TINA_ASSERT(tina_pool_slot_of(&pool, tina_pool_at(&pool, ref)) == ref.slot);

    tina_bump bump;
    tina_bump_init(&bump, tina_arena_carve(&arena, 1000), 1000);
    TINA_ASSERT(tina_bump_take(&bump, 1000, 8) != NULL);
    TINA_ASSERT(tina_bump_take(&bump, 1, 1) == NULL);
    tina_arena_freeze(&arena);

    // A rebuild: what came after the mark is carved anew, and no ref of before lives.
    tina_arena_rewind(&arena, mark);
    tina_pool_reset(&pool, tina_arena_carve(&arena, tina_pool_slots_bytes(&config)));
    tina_pool_verify(&pool);
    TINA_ASSERT(tina_pool_at(&pool, ref) == NULL);
    tina_arena_release(&arena);
    return 0;
}
