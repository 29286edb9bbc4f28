// SPDX-License-Identifier: Apache-2.0
//
// A shard begun anew from its spec, on the same thread, in the same memory, after a fault that may
// have left anything in it (level 2), or when the root of its tree has given up.

#include <string.h>

#include "core/probe.h"
#include "sched/internal.h"
#include "sched/links.h"

static void isolates_begin(tina_shard *shard) {
    for (uint32_t i = 0; i < shard->isolate_count; i++) {
        shard->isolates[i].handle = tina_handle_none();
        shard->isolates[i].state = ISOLATE_FREE;
        shard->isolates[i].queued = false;
        shard->isolates[i].supervised = false;
        shard->isolates[i].io.ops_in_flight = 0;
    }
    shard->isolates_in_use = 0;
    shard->isolates_draining = 0;
    shard->zombies = 0;
    shard->drain_first = NONE;
    shard->drain_last = NONE;
    shard->ready = (ready_list){NONE, NONE};
    shard->yielded = (ready_list){NONE, NONE};
}

static void gauges_begin(tina_shard *shard) {
    GAUGE(shard, isolates_in_use, 0);
    GAUGE(shard, isolates_draining, 0);
    GAUGE(shard, zombies, 0);
    GAUGE(shard, messages_in_use, 0);
    GAUGE(shard, timers_in_use, 0);
    GAUGE(shard, monitors_in_use, 0);
}

void shard_begin(tina_shard *shard) {
    isolates_begin(shard);
    gauges_begin(shard);
    shard->user_timers = 0;
    shard->watches = 0;
    credits_begin(shard);
    shard->stop = false;
    tina_wheel_init(&shard->wheel, shard->timers, shard->now.monotonic_ns);
    supervision_open(shard);
}

static void number_pool_begin(tina_pool *pool) {
    tina_pool_reset(pool, NULL);
}

static bool shard_clear(tina_shard *shard) {
    if (!tina_reactor_reset(shard->reactor))
        return false;
    for (uint32_t i = 0; i < shard->type_count; i++)
        tina_pool_reset(&shard->types[i].pool, shard->types[i].pool.slots);
    number_pool_begin(&shard->envelope_pool);
    number_pool_begin(&shard->timer_pool);
    number_pool_begin(&shard->monitor_pool);
    if (shard->spec->transfer_count)
        loans_return(shard);
    tina_bump_reset(&shard->scratch);
    if (shard->memory)
        memset(shard->memory, 0, shard->spec->shard_memory_bytes);
    shard->ctx = (tina_ctx){.shard = shard, .trap = shard->ctx.trap, .envelope = NONE};
    shard->broken = false;
    shard_begin(shard);
    return true;
}

bool tina_shard_rebuild(tina_shard *shard) {
    if (!shard_clear(shard))
        return false;
    links_revive(shard);
    TINA_SIM_PROBE("a shard began anew");
    tina_tree_start(shard->tree);
    COUNT(shard, rebuilds, 1);
    return true;
}

bool tina_shard_quarantine(tina_shard *shard) {
    if (!shard_clear(shard)) {
        links_abandon(shard);
        return false;
    }
    links_quarantine(shard);
    return true;
}
