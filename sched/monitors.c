// SPDX-License-Identifier: Apache-2.0
//
// Monitors. One stands in two lists while set: its owner's, and that of the isolate it watches.
// When that one ends it leaves both for its owner's events, which need no message.

#include "sched/internal.h"

static tina_monitor name_of(const tina_shard *shard, uint32_t index) {
    uint32_t generation = tina_pool_generation(&shard->monitor_pool, index);
    return (tina_monitor){((uint64_t)generation << 32) | index};
}

static void monitor_give(tina_shard *shard, uint32_t index) {
    tina_pool_give_slot(&shard->monitor_pool, index);
    GAUGE(shard, monitors_in_use, shard->monitor_pool.live);
}

static void owner_unlink(tina_shard *shard, uint32_t index) {
    const monitor_entry *at = &shard->monitors[index];
    if (at->owner_prev == NONE)
        shard->isolates[at->owner].monitor_first = at->owner_next;
    else
        shard->monitors[at->owner_prev].owner_next = at->owner_next;
    if (at->owner_next != NONE)
        shard->monitors[at->owner_next].owner_prev = at->owner_prev;
}

static void who_unlink(tina_shard *shard, uint32_t index) {
    const monitor_entry *at = &shard->monitors[index];
    if (at->who_prev == NONE)
        isolate_find(shard, at->who)->watcher_first = at->who_next;
    else
        shard->monitors[at->who_prev].who_next = at->who_next;
    if (at->who_next != NONE)
        shard->monitors[at->who_next].who_prev = at->who_prev;
}

// Control events overtake messages; this one must not, for what was sent before the end counts. It
// is due when the owner has taken as many messages as it has been sent by now.
static void down_append(tina_shard *shard, uint32_t index, tina_exit_reason reason) {
    monitor_entry *at = &shard->monitors[index];
    tina_isolate *owner = &shard->isolates[at->owner];
    at->down = true;
    at->reason = reason;
    at->due = owner->mail_taken + owner->mail_count;
    at->owner_next = NONE;
    if (owner->down_first == NONE)
        owner->down_first = index;
    else
        shard->monitors[owner->down_last].owner_next = index;
    owner->down_last = index;
    isolate_control(shard, owner, CONTROL_DOWN);
}

tina_monitor monitor_set(tina_shard *shard, tina_isolate *owner, tina_handle who) {
    tina_pool_ref ref;
    if (tina_pool_take(&shard->monitor_pool, &ref) != TINA_POOL_OK) {
        COUNT(shard, monitors_refused, 1);
        return (tina_monitor){0};
    }
    GAUGE(shard, monitors_in_use, shard->monitor_pool.live);
    tina_isolate *watched = isolate_find(shard, who);
    monitor_entry *at = &shard->monitors[ref.slot];
    *at = (monitor_entry){
        .who = who,
        .owner = isolate_index(shard, owner),
        .owner_prev = NONE,
        .who_prev = NONE,
    };
    if (!watched) {
        down_append(shard, ref.slot, (tina_exit_reason){TINA_EXIT_UNKNOWN, 0});
        return name_of(shard, ref.slot);
    }
    at->owner_next = owner->monitor_first;
    if (at->owner_next != NONE)
        shard->monitors[at->owner_next].owner_prev = ref.slot;
    owner->monitor_first = ref.slot;
    at->who_next = watched->watcher_first;
    if (at->who_next != NONE)
        shard->monitors[at->who_next].who_prev = ref.slot;
    watched->watcher_first = ref.slot;
    return name_of(shard, ref.slot);
}

static void down_unlink(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    uint32_t before = NONE;
    for (uint32_t at = owner->down_first; at != index; at = shard->monitors[at].owner_next) {
        TINA_ASSERT(at != NONE);
        before = at;
    }
    uint32_t after = shard->monitors[index].owner_next;
    if (before == NONE)
        owner->down_first = after;
    else
        shard->monitors[before].owner_next = after;
    if (owner->down_last == index)
        owner->down_last = before;
}

bool monitor_end(tina_shard *shard, tina_isolate *owner, tina_monitor monitor) {
    tina_pool_ref ref = {(uint32_t)monitor.bits, (uint32_t)(monitor.bits >> 32)};
    if (!tina_pool_holds(&shard->monitor_pool, ref) ||
        shard->monitors[ref.slot].owner != isolate_index(shard, owner))
        return false;
    if (shard->monitors[ref.slot].down) {
        down_unlink(shard, owner, ref.slot);
    } else {
        owner_unlink(shard, ref.slot);
        who_unlink(shard, ref.slot);
    }
    monitor_give(shard, ref.slot);
    return true;
}

void monitors_tell(tina_shard *shard, tina_isolate *ended, tina_exit_reason reason) {
    while (ended->watcher_first != NONE) {
        uint32_t index = ended->watcher_first;
        ended->watcher_first = shard->monitors[index].who_next;
        owner_unlink(shard, index);
        down_append(shard, index, reason);
    }
}

// down_event takes the oldest event that is due; false when there is none.
bool down_event(tina_shard *shard, tina_isolate *owner, tina_message *event) {
    uint32_t index = owner->down_first;
    if (index == NONE)
        owner->control &= (uint8_t)~CONTROL_DOWN;
    if (index == NONE || (int32_t)(owner->mail_taken - shard->monitors[index].due) < 0)
        return false;
    const monitor_entry *at = &shard->monitors[index];
    owner->down_first = at->owner_next;
    event->down.monitor = name_of(shard, index);
    event->down.who = at->who;
    event->down.reason = at->reason;
    monitor_give(shard, index);
    COUNT(shard, downs_told, 1);
    return true;
}

// monitors_drop forgets what an isolate that ends has set and was to be told.
void monitors_drop(tina_shard *shard, tina_isolate *ended) {
    while (ended->monitor_first != NONE) {
        uint32_t index = ended->monitor_first;
        ended->monitor_first = shard->monitors[index].owner_next;
        who_unlink(shard, index);
        monitor_give(shard, index);
    }
    while (ended->down_first != NONE) {
        uint32_t index = ended->down_first;
        ended->down_first = shard->monitors[index].owner_next;
        monitor_give(shard, index);
    }
}
