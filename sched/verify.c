// SPDX-License-Identifier: Apache-2.0

#include "sched/internal.h"
#include "sched/links.h"

static uint32_t list_verify(const tina_shard *shard, const ready_list *list) {
    uint32_t length = 0;
    for (uint32_t at = list->first; at != NONE; at = shard->isolates[at].ready_next) {
        TINA_ASSERT(at < shard->isolate_count);
        TINA_ASSERT(shard->isolates[at].queued);
        TINA_ASSERT(++length <= shard->isolate_count);
        if (shard->isolates[at].ready_next == NONE)
            TINA_ASSERT(list->last == at);
    }
    return length;
}

static uint32_t mailbox_verify(const tina_shard *shard, const tina_isolate *owner) {
    uint32_t length = 0;
    for (uint32_t at = owner->mail_first; at != NONE; at = shard->envelopes[at].next) {
        TINA_ASSERT(at < shard->envelope_pool.slot_count);
        TINA_ASSERT(shard->envelopes[at].to.bits == owner->handle.bits);
        TINA_ASSERT(++length <= owner->mail_count);
    }
    TINA_ASSERT(length == owner->mail_count);
    return length;
}

static uint32_t timers_verify(const tina_shard *shard, uint32_t number) {
    const tina_isolate *owner = &shard->isolates[number];
    uint32_t users = 0;
    for (uint32_t at = owner->timer_first; at != NONE; at = shard->timers[at].owner_next) {
        TINA_ASSERT(shard->timers[at].owner == number);
        TINA_ASSERT(shard->timers[at].state == TIMER_SET);
        TINA_ASSERT(shard->timers[at].kind != TIMER_CALL || owner->call_timer == at);
        users += shard->timers[at].kind == TIMER_USER;
        TINA_ASSERT(users <= shard->timer_count);
    }
    for (uint32_t at = owner->fired_first; at != NONE; at = shard->timers[at].next) {
        TINA_ASSERT(shard->timers[at].owner == number);
        TINA_ASSERT(shard->timers[at].state == TIMER_FIRED);
        TINA_ASSERT(++users <= shard->timer_count);
    }
    return users;
}

static uint32_t monitors_verify(const tina_shard *shard, uint32_t number) {
    const tina_isolate *owner = &shard->isolates[number];
    uint32_t count = 0;
    for (uint32_t at = owner->monitor_first; at != NONE; at = shard->monitors[at].owner_next) {
        TINA_ASSERT(shard->monitors[at].owner == number);
        TINA_ASSERT(!shard->monitors[at].down);
        TINA_ASSERT(isolate_find(shard, shard->monitors[at].who) != NULL ||
                    tina_handle_shard(shard->monitors[at].who) != shard->number ||
                    shard->monitors[at].of_shard);
        TINA_ASSERT(++count <= shard->monitor_pool.live);
    }
    for (uint32_t at = owner->down_first; at != NONE; at = shard->monitors[at].owner_next) {
        TINA_ASSERT(shard->monitors[at].owner == number);
        TINA_ASSERT(shard->monitors[at].down);
        TINA_ASSERT(++count <= shard->monitor_pool.live);
    }
    for (uint32_t at = owner->watcher_first; at != NONE; at = shard->monitors[at].who_next)
        TINA_ASSERT(shard->monitors[at].who.bits == owner->handle.bits);
    return count;
}

static void peer_monitors_verify(const tina_shard *shard) {
    uint32_t count = 0;
    for (uint32_t peer = 0; peer < shard->link_count; peer++)
        for (uint32_t at = shard->links[peer].monitor_first; at != NONE;
             at = shard->monitors[at].who_next) {
            TINA_ASSERT(shard->monitors[at].of_shard);
            TINA_ASSERT(shard->monitors[at].peer == peer);
            TINA_ASSERT(shard->monitors[at].down == (shard->monitors[at].news.count > 0));
            TINA_ASSERT(isolate_is_live(&shard->isolates[shard->monitors[at].owner]));
            TINA_ASSERT(++count <= shard->monitor_pool.live);
        }
}

// A tick leaves nothing claimed, and nothing untold that no tick would come back for.
static void links_verify(const tina_shard *shard) {
    for (uint32_t peer = 0; peer < shard->link_count; peer++) {
        const shard_link *link = &shard->links[peer];
        bool again = shard->outbound.words[peer / 64] >> peer % 64 & 1;
        bool kept = shard->kept.words[peer / 64] >> peer % 64 & 1;
        if (!link->out)
            continue;
        TINA_ASSERT(tina_ring_claimed(&link->out->control) == 0);
        TINA_ASSERT(tina_ring_claimed(&link->out->messages) == 0);
        TINA_ASSERT(tina_ring_claimed(&link->out->returns) == 0);
        TINA_ASSERT(!link->unmarked);
        TINA_ASSERT(again == (link->life_untold || link->end_untold || link->forgets > 0));
        TINA_ASSERT(kept || !(link->starved || link->behind || link->late_first != NONE));
    }
}

static uint32_t transfers_verify(const tina_shard *shard, uint32_t number) {
    uint32_t count = 0;
    for (uint32_t at = shard->isolates[number].transfer_first; at != NONE;
         at = shard->transfers[at].owner_next) {
        TINA_ASSERT(shard->transfers[at].owner == number);
        TINA_ASSERT(++count <= shard->transfer_pool.live + shard->borrowed);
    }
    return count;
}

// Envelopes that are in no mailbox: calls delivered and not answered, and answers.
static uint32_t calls_verify(const tina_shard *shard, const tina_isolate *at) {
    uint32_t count = at->state == ISOLATE_ANSWERED;
    for (uint32_t e = at->unanswered_first; e != NONE; e = shard->envelopes[e].next) {
        TINA_ASSERT((shard->envelopes[e].flags & ~ENVELOPE_REMOTE) ==
                    (ENVELOPE_CALL | ENVELOPE_DELIVERED));
        TINA_ASSERT(shard->envelopes[e].to.bits == at->handle.bits);
        TINA_ASSERT(++count <= shard->envelope_pool.live);
    }
    if (at->state == ISOLATE_CALLING) {
        TINA_ASSERT(shard->envelopes[at->call_envelope].flags & ENVELOPE_CALL);
        TINA_ASSERT(shard->envelopes[at->call_envelope].from.bits == at->handle.bits);
    }
    return count;
}

// Envelopes that keep the place of a call to another shard.
static uint32_t places_verify(const tina_shard *shard) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < shard->envelope_pool.touched; i++)
        count += tina_pool_is_live(&shard->envelope_pool, i) &&
                 (shard->envelopes[i].flags & ENVELOPE_AWAY) != 0;
    return count;
}

static void empty_verify(const tina_isolate *isolate) {
    TINA_ASSERT(isolate->mail_count == 0);
    TINA_ASSERT(isolate->timer_first == NONE);
    TINA_ASSERT(isolate->fired_first == NONE);
    TINA_ASSERT(isolate->monitor_first == NONE);
    TINA_ASSERT(isolate->down_first == NONE);
    TINA_ASSERT(isolate->watcher_first == NONE);
    TINA_ASSERT(isolate->unanswered_first == NONE);
}

void tina_shard_verify(const tina_shard *shard) {
    uint32_t queued = list_verify(shard, &shard->ready) + list_verify(shard, &shard->yielded);
    uint32_t live = 0;
    uint32_t draining = 0;
    uint32_t messages = 0;
    uint32_t timers = 0;
    uint32_t monitors = 0;
    uint32_t transfers = 0;
    for (uint32_t t = 0; t < shard->type_count; t++) {
        const type_slots *type = &shard->types[t];
        tina_pool_verify(&type->pool);
        // Slots that were never taken have nothing to verify.
        for (uint32_t slot = 0; slot < type->pool.touched; slot++) {
            const tina_isolate *at = &type->isolates[slot];
            queued -= at->queued;
            if (at->state == ISOLATE_FREE)
                continue;
            TINA_ASSERT(isolate_is_live(at) == (at->state != ISOLATE_DRAINING));
            transfers += transfers_verify(shard, isolate_index(shard, at));
            if (at->state == ISOLATE_DRAINING) {
                empty_verify(at);
                draining++;
                continue;
            }
            live++;
            messages += mailbox_verify(shard, at) + calls_verify(shard, at);
            monitors += monitors_verify(shard, isolate_index(shard, at));
            timers += timers_verify(shard, isolate_index(shard, at));
        }
    }
    TINA_ASSERT(queued == 0);
    TINA_ASSERT(live == shard->isolates_in_use);
    TINA_ASSERT(draining == shard->isolates_draining);
    TINA_ASSERT(messages + places_verify(shard) == shard->envelope_pool.live);
    TINA_ASSERT(timers == shard->user_timers);
    peer_monitors_verify(shard);
    links_verify(shard);
    TINA_ASSERT(monitors + shard->watches == shard->monitor_pool.live);
    TINA_ASSERT(transfers + shard->lent == shard->transfer_pool.live + shard->borrowed);
    tina_pool_verify(&shard->envelope_pool);
    tina_pool_verify(&shard->monitor_pool);
    tina_pool_verify(&shard->timer_pool);
    tina_wheel_verify(&shard->wheel);
    tina_reactor_verify(shard->reactor);
}

// A walk costs what there is, so a large shard is walked every so many ticks, and a small one in
// each.
#define WALKED_EACH_TICK 256u

void shard_verify_in_turn(const tina_shard *shard) {
    uint64_t size = shard->timer_pool.live + shard->envelope_pool.live;
    for (uint32_t t = 0; t < shard->type_count; t++)
        size += shard->types[t].pool.touched;
    uint64_t ticks = tina_atomic_u64_load_relaxed(&shard->counters.ticks);
    if (ticks % (1 + size / WALKED_EACH_TICK) == 0)
        tina_shard_verify(shard);
}
