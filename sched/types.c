// SPDX-License-Identifier: Apache-2.0
//
// From a type's address to its number: an open hash table of at most half its places, filled at
// boot. The address decides where an entry lies and nothing else.

#include "sched/internal.h"

static uint32_t first_place(const tina_shard *shard, const tina_isolate_type *type) {
    uint64_t mixed = (uint64_t)(uintptr_t)type * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(mixed >> 32) & shard->type_index_mask;
}

void types_index(tina_shard *shard) {
    for (uint32_t i = 0; i <= shard->type_index_mask; i++)
        shard->type_index[i] = 0;
    for (uint32_t i = 0; i < shard->type_count; i++) {
        uint32_t place = first_place(shard, shard->types[i].type);
        while (shard->type_index[place])
            place = (place + 1) & shard->type_index_mask;
        shard->type_index[place] = (uint16_t)(i + 1);
    }
}

type_slots *types_find(tina_shard *shard, const tina_isolate_type *type) {
    for (uint32_t place = first_place(shard, type);; place = (place + 1) & shard->type_index_mask) {
        uint32_t number = shard->type_index[place];
        if (number == 0)
            return NULL;
        if (shard->types[number - 1].type == type)
            return &shard->types[number - 1];
    }
}

void tina_shard_wrap(tina_shard *shard, uint32_t type, tina_init_function init,
                     tina_handle_function handle) {
    TINA_ASSERT(type < shard->type_count);
    shard->types[type].init = init;
    shard->types[type].handle = handle;
}
