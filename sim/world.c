// SPDX-License-Identifier: Apache-2.0

#include "sim/world.h"

#include <stdlib.h>

#include "core/assert.h"

#define BEGIN_NS UINT64_C(1000000000)

void sim_world_begin(sim_world *world, uint64_t seed, const tina_sim_settings *settings) {
    world->seed = seed;
    world->now_ns = BEGIN_NS;
    world->faults = true;
    world->faults_until_ns = UINT64_MAX;
    world->settings = *settings;
    sim_record_begin(&world->record);
}

void sim_world_end(sim_world *world) {
    sim_agenda_free(&world->agenda);
    sim_record_end(&world->record);
    free(world->decisions.struck);
    *world = (sim_world){0};
}

sim_stream sim_stream_of(const sim_world *world, sim_domain domain, uint32_t entity) {
    TINA_ASSERT(entity < 1u << 24);
    return (sim_stream){
        .prng = tina_prng_make(world->seed, domain, entity),
        .name = (uint64_t)domain << 56 | (uint64_t)entity << 32,
    };
}

static bool is_kept(const sim_decisions *decisions, uint64_t decision) {
    uint32_t from = 0;
    uint32_t to = decisions->kept_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (decisions->kept[middle] < decision)
            from = middle + 1;
        else
            to = middle;
    }
    return from < decisions->kept_count && decisions->kept[from] == decision;
}

bool sim_struck(sim_world *world, uint64_t decision) {
    sim_decisions *decisions = &world->decisions;
    if (world->now_ns < world->faults_from_ns || world->now_ns >= world->faults_until_ns)
        return false;
    if (decisions->kept && !is_kept(decisions, decision))
        return false;
    if (decisions->listed) {
        if (decisions->struck_count == decisions->struck_capacity) {
            decisions->struck_capacity =
                decisions->struck_capacity ? 2 * decisions->struck_capacity : 256;
            decisions->struck =
                realloc(decisions->struck, decisions->struck_capacity * sizeof *decisions->struck);
            TINA_ASSERT(decisions->struck != NULL);
        }
        decisions->struck[decisions->struck_count++] = decision;
    }
    sim_note(world, SIM_STRIKE, SIM_NOWHERE, (uint32_t)(decision >> 56), decision);
    return true;
}
