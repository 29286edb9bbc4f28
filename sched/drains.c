// SPDX-License-Identifier: Apache-2.0
//
// Isolates that have ended and whose last completions are not in. Nearly always that is a matter of
// microseconds. An op that the kernel never gives back (a disk in D state) makes a zombie of its
// isolate: its slot is never used again, and its supervisor no longer waits for it.

#include "core/probe.h"
#include "sched/internal.h"

#define ZOMBIE_AFTER_MS 5000u

static uint32_t now_ms(const tina_shard *shard) {
    return (uint32_t)(shard->now.monotonic_ns / 1000000);
}

void drain_begin(tina_shard *shard, tina_isolate *ended) {
    TINA_SIM_PROBE("an isolate ended with an op in flight");
    uint32_t index = isolate_index(shard, ended);
    ended->drain_since_ms = now_ms(shard);
    ended->drain_next = NONE;
    ended->drain_prev = shard->drain_last;
    if (shard->drain_last == NONE)
        shard->drain_first = index;
    else
        shard->isolates[shard->drain_last].drain_next = index;
    shard->drain_last = index;
    GAUGE(shard, isolates_draining, ++shard->isolates_draining);
}

static void list_leave(tina_shard *shard, tina_isolate *ended) {
    if (ended->drain_prev == NONE)
        shard->drain_first = ended->drain_next;
    else
        shard->isolates[ended->drain_prev].drain_next = ended->drain_next;
    if (ended->drain_next == NONE)
        shard->drain_last = ended->drain_prev;
    else
        shard->isolates[ended->drain_next].drain_prev = ended->drain_prev;
}

void drain_end(tina_shard *shard, tina_isolate *ended) {
    GAUGE(shard, isolates_draining, --shard->isolates_draining);
    if (!ended->zombie) {
        list_leave(shard, ended);
        return;
    }
    TINA_SIM_PROBE("a zombie's last completion came");
    GAUGE(shard, zombies, --shard->zombies);
}

static void zombie_tell(tina_shard *shard, tina_isolate *ended) {
    const type_slots *type = &shard->types[ended->type];
    TINA_SIM_PROBE("an isolate became a zombie");
    list_leave(shard, ended);
    ended->zombie = true;
    GAUGE(shard, zombies, ++shard->zombies);
    shard_log(shard, TINA_LOG_ERROR,
              "%s, slot %u: %u ops are not back %u s after they were cancelled; the slot is lost "
              "until they are",
              type->type->name, isolate_slot(type, ended), ended->io.ops_in_flight,
              ZOMBIE_AFTER_MS / 1000);
    if (ended->supervised)
        child_exited(shard, ended, (tina_exit_class)ended->exited);
}

// The oldest is first, as all wait equally long.
void drains_expire(tina_shard *shard) {
    while (shard->drain_first != NONE) {
        tina_isolate *oldest = &shard->isolates[shard->drain_first];
        if (now_ms(shard) - oldest->drain_since_ms < ZOMBIE_AFTER_MS)
            return;
        zombie_tell(shard, oldest);
    }
}

uint64_t drains_next_ns(const tina_shard *shard) {
    if (shard->drain_first == NONE)
        return UINT64_MAX;
    uint32_t waited = now_ms(shard) - shard->isolates[shard->drain_first].drain_since_ms;
    uint32_t left = waited < ZOMBIE_AFTER_MS ? ZOMBIE_AFTER_MS - waited : 0;
    return shard->now.monotonic_ns + (uint64_t)left * 1000000 + 1000000;
}
