// SPDX-License-Identifier: Apache-2.0
//
// Monitors. One stands in two lists while set: its owner's, and that of the isolate it watches.
// When that one ends it leaves both for its owner's events, which need no message.
//
// Of one that is set across shards, the owner's shard has an entry in the owner's list only, and
// the other's an entry without an owner in the list of the watched: they know each other by the
// number of a credit (links.h).
//
// Those of shards are in peer_monitors.c: they stand in the list of the link in place of a watched
// isolate's, and go back to their owner's list when their event is delivered.

#include "core/probe.h"
#include "sched/internal.h"
#include "sched/links.h"

tina_monitor monitor_name(const tina_shard *shard, uint32_t index) {
    uint32_t generation = tina_pool_generation(&shard->monitor_pool, index);
    return (tina_monitor){((uint64_t)generation << 32) | index};
}

static void monitor_give(tina_shard *shard, uint32_t index) {
    tina_pool_give_slot(&shard->monitor_pool, index);
    GAUGE(shard, monitors_in_use, shard->monitor_pool.live);
}

void monitor_owner_unlink(tina_shard *shard, uint32_t index) {
    const monitor_entry *at = &shard->monitors[index];
    if (at->owner_prev == NONE)
        shard->isolates[at->owner].monitor_first = at->owner_next;
    else
        shard->monitors[at->owner_prev].owner_next = at->owner_next;
    if (at->owner_next != NONE)
        shard->monitors[at->owner_next].owner_prev = at->owner_prev;
}

// An entry of the owner's side knows its credit, and is in no list of the watched.
static bool is_away(const tina_shard *shard, uint32_t index) {
    const monitor_entry *at = &shard->monitors[index];
    return at->owner != NONE && at->credit != NONE;
}

// An event that waits for messages is in a list of its link, through who_next and who_prev.
static void late_unlink(tina_shard *shard, uint32_t index) {
    monitor_entry *at = &shard->monitors[index];
    shard_link *link = &shard->links[at->peer];
    if (at->who_prev == NONE)
        link->late_first = at->who_next;
    else
        shard->monitors[at->who_prev].who_next = at->who_next;
    if (at->who_next == NONE)
        link->late_last = at->who_prev;
    else
        shard->monitors[at->who_next].who_prev = at->who_prev;
    at->late = false;
}

static void who_unlink(tina_shard *shard, uint32_t index) {
    const monitor_entry *at = &shard->monitors[index];
    if (at->of_shard) {
        peer_monitor_unlink(shard, index);
        return;
    }
    if (is_away(shard, index)) {
        credit_abandon(shard, at->peer, at->credit);
        return;
    }
    if (at->late) {
        late_unlink(shard, index);
        return;
    }
    if (at->who_prev == NONE)
        isolate_find(shard, at->who)->watcher_first = at->who_next;
    else
        shard->monitors[at->who_prev].who_next = at->who_next;
    if (at->who_next != NONE)
        shard->monitors[at->who_next].who_prev = at->who_prev;
}

// Control events overtake messages; this one must not, for what was sent before the end counts. It
// is due when the owner has taken as many messages as it has been sent by now.
void monitor_append(tina_shard *shard, uint32_t index) {
    monitor_entry *at = &shard->monitors[index];
    tina_isolate *owner = &shard->isolates[at->owner];
    at->down = true;
    at->due = owner->mail_taken + owner->mail_count;
    at->owner_next = NONE;
    if (owner->down_first == NONE)
        owner->down_first = index;
    else
        shard->monitors[owner->down_last].owner_next = index;
    owner->down_last = index;
    isolate_control(shard, owner, CONTROL_DOWN);
}

static void down_append(tina_shard *shard, uint32_t index, tina_exit_reason reason) {
    shard->monitors[index].reason = reason;
    monitor_append(shard, index);
}

void monitor_owner_link(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    monitor_entry *at = &shard->monitors[index];
    at->owner_prev = NONE;
    at->owner_next = owner->monitor_first;
    if (at->owner_next != NONE)
        shard->monitors[at->owner_next].owner_prev = index;
    owner->monitor_first = index;
}

static void watcher_link(tina_shard *shard, tina_isolate *watched, uint32_t index) {
    monitor_entry *at = &shard->monitors[index];
    at->who_next = watched->watcher_first;
    if (at->who_next != NONE)
        shard->monitors[at->who_next].who_prev = index;
    watched->watcher_first = index;
}

// A monitor across shards, or of one that is gone; false when the peer has no credit left.
static bool away_begin(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    monitor_entry *at = &shard->monitors[index];
    uint32_t peer = tina_handle_shard(at->who);
    tina_message *item;
    tina_call_failure failure = TINA_CALL_STALE;
    uint32_t credit = peer == shard->number
                          ? NONE
                          : credit_take(shard, peer, CREDIT_WATCH, monitor_name(shard, index).bits,
                                        TINA_ITEM_WATCH, &item, &failure);
    if (credit == NONE) {
        if (failure != TINA_CALL_STALE && failure != TINA_CALL_QUARANTINED)
            return false;
        down_append(shard, index, (tina_exit_reason){TINA_EXIT_UNKNOWN, 0});
        return true;
    }
    item->to = at->who;
    at->peer = peer;
    at->credit = credit;
    monitor_owner_link(shard, owner, index);
    return true;
}

// What other shards may watch has room of its own.
static bool monitor_allowed(const tina_shard *shard) {
    return shard->monitor_pool.live - shard->watches < shard->spec->monitor_count;
}

uint32_t monitor_take(tina_shard *shard, const tina_isolate *owner, tina_handle who) {
    tina_pool_ref ref;
    if (!monitor_allowed(shard) || tina_pool_take(&shard->monitor_pool, &ref) != TINA_POOL_OK) {
        COUNT(shard, monitors_refused, 1);
        return NONE;
    }
    GAUGE(shard, monitors_in_use, shard->monitor_pool.live);
    shard->monitors[ref.slot] = (monitor_entry){
        .who = who,
        .owner = isolate_index(shard, owner),
        .owner_prev = NONE,
        .who_prev = NONE,
        .credit = NONE,
    };
    return ref.slot;
}

tina_monitor monitor_set(tina_shard *shard, tina_isolate *owner, tina_handle who) {
    uint32_t index = monitor_take(shard, owner, who);
    if (index == NONE)
        return (tina_monitor){0};
    tina_isolate *watched = isolate_find(shard, who);
    if (watched) {
        monitor_owner_link(shard, owner, index);
        watcher_link(shard, watched, index);
    } else if (!away_begin(shard, owner, index)) {
        monitor_give(shard, index);
        COUNT(shard, monitors_refused, 1);
        return (tina_monitor){0};
    }
    return monitor_name(shard, index);
}

uint32_t watch_set(tina_shard *shard, tina_isolate *watched, uint32_t peer, uint32_t credit) {
    tina_pool_ref ref;
    tina_pool_result taken = tina_pool_take(&shard->monitor_pool, &ref);
    TINA_ASSERT(taken == TINA_POOL_OK); // one for each credit of each peer
    shard->watches++;
    shard->monitors[ref.slot] = (monitor_entry){
        .who = watched->handle,
        .owner = NONE,
        .who_prev = NONE,
        .peer = peer,
        .credit = credit,
    };
    watcher_link(shard, watched, ref.slot);
    return ref.slot;
}

static void watch_give(tina_shard *shard, uint32_t index) {
    TINA_ASSERT(shard->watches > 0);
    shard->watches--;
    monitor_give(shard, index);
}

void watch_end(tina_shard *shard, uint32_t index) {
    TINA_ASSERT(shard->monitors[index].owner == NONE);
    who_unlink(shard, index);
    watch_give(shard, index);
}

// monitor_down is for the end of an isolate on another shard, which had sent messages up to
// `position`. Those may not be in yet, and come first.
void monitor_down(tina_shard *shard, uint64_t monitor, tina_exit_reason reason, uint64_t position) {
    uint32_t index = (uint32_t)monitor;
    TINA_ASSERT(is_away(shard, index));
    monitor_entry *at = &shard->monitors[index];
    shard_link *link = &shard->links[at->peer];
    at->credit = NONE;
    at->late = true;
    at->reason = reason;
    at->position = position;
    at->who_next = NONE;
    at->who_prev = link->late_last;
    if (link->late_last == NONE)
        link->late_first = index;
    else
        shard->monitors[link->late_last].who_next = index;
    link->late_last = index;
}

void monitors_late(tina_shard *shard, shard_link *link) {
    while (link->late_first != NONE) {
        uint32_t index = link->late_first;
        const monitor_entry *at = &shard->monitors[index];
        if ((int64_t)(link->in->messages.consumer.head - at->position) < 0) {
            TINA_SIM_PROBE("an isolate's end waits for its messages");
            return;
        }
        late_unlink(shard, index);
        monitor_owner_unlink(shard, index);
        down_append(shard, index, at->reason);
    }
}

void monitor_event_unlink(tina_shard *shard, uint32_t index) {
    tina_isolate *owner = &shard->isolates[shard->monitors[index].owner];
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
    const monitor_entry *at = &shard->monitors[ref.slot];
    if (at->down) {
        TINA_SIM_PROBE("a monitor was ended whose event was not delivered");
        monitor_event_unlink(shard, ref.slot);
    } else
        monitor_owner_unlink(shard, ref.slot);
    if (!at->down || at->of_shard)
        who_unlink(shard, ref.slot);
    monitor_give(shard, ref.slot);
    return true;
}

void monitors_tell(tina_shard *shard, tina_isolate *ended, tina_exit_reason reason) {
    while (ended->watcher_first != NONE) {
        uint32_t index = ended->watcher_first;
        const monitor_entry *at = &shard->monitors[index];
        ended->watcher_first = at->who_next;
        if (at->owner == NONE) {
            request_down(shard, at->peer, at->credit, reason);
            watch_give(shard, index);
            continue;
        }
        monitor_owner_unlink(shard, index);
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
    if (at->of_shard) {
        peer_event(shard, owner, index, event);
        return true;
    }
    event->down.monitor = monitor_name(shard, index);
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
        if (shard->monitors[index].of_shard)
            who_unlink(shard, index);
        monitor_give(shard, index);
    }
}
