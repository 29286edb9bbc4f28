// SPDX-License-Identifier: Apache-2.0
//
// What is asked of other shards, and what they ask of this one: see links.h.

#include <string.h>

#include "core/probe.h"
#include "sched/links.h"

static void credits_list(tina_shard *shard, shard_link *link) {
    for (uint32_t i = 0; i < shard->link_credits; i++)
        link->credits[i] = (credit_entry){.next_free = i + 1 < shard->link_credits ? i + 1 : NONE,
                                          .use = CREDIT_FREE};
    link->free_credit = 0;
    link->forgets = 0;
}

// Of what came for the life before, only news of the peer itself still count.
static void control_skim(tina_shard *shard, uint32_t peer) {
    tina_ring *ring = &shard->links[peer].in->control;
    for (uint32_t left = tina_ring_readable(ring); left > 0;) {
        uint32_t count = left;
        const tina_message *items = tina_ring_peek(ring, &count);
        for (uint32_t i = 0; i < count; i++) {
            if (items[i].flags == TINA_ITEM_REBORN)
                link_reborn(shard, peer, &items[i]);
            if (items[i].flags == TINA_ITEM_QUARANTINED)
                link_quarantined(shard, peer, &items[i]);
        }
        tina_ring_consume(ring, count);
        left -= count;
    }
}

void credits_begin(tina_shard *shard) {
    shard->life++;
    for (uint32_t peer = 0; peer < shard->link_count; peer++) {
        shard_link *link = &shard->links[peer];
        credits_list(shard, link);
        for (uint32_t i = 0; i < shard->link_credits; i++)
            link->requests[i] = (request_entry){.use = REQUEST_NONE};
        link->envelopes_in_use = 0;
        link->late_first = link->late_last = link->monitor_first = NONE;
        link->unheard += link->held || link->life_untold;
        link->held = false;
        link->starved = link->behind = link->end_untold = false;
        link->life_untold = shard->life > 1;
        if (!link->in)
            continue;
        // What was accepted before is delivered; of what was asked for, the answer will be
        // nobody's.
        link_publish(shard, peer);
        link->life_position = link->out->messages.producer.tail;
        link_set_add(&shard->kept, peer);
        link_set_add(&shard->outbound, peer);
        control_skim(shard, peer);
        link->news = (peer_news){0}; // there is nobody to tell
    }
}

uint32_t credit_take(tina_shard *shard, uint32_t peer, credit_use use, uint64_t local,
                     tina_item kind, tina_message **item, tina_call_failure *failure) {
    if (peer >= shard->link_count || !shard->links[peer].out) {
        *failure = TINA_CALL_STALE;
        return NONE;
    }
    shard_link *link = &shard->links[peer];
    *failure = link->quarantined                                ? TINA_CALL_QUARANTINED
               : link->free_credit == NONE || link->life_untold ? TINA_CALL_NO_CREDIT
                                                                : TINA_CALL_CHANNEL_FULL;
    if (*failure != TINA_CALL_CHANNEL_FULL || (*item = link_claim(shard, peer)) == NULL) {
        TINA_SIM_PROBE("a shard could not be asked");
        return NONE;
    }
    uint32_t taken = link->free_credit;
    credit_entry *credit = &link->credits[taken];
    TINA_ASSERT(credit->use == CREDIT_FREE);
    link->free_credit = credit->next_free;
    *credit = (credit_entry){.local = local, .use = (uint8_t)use};
    **item = (tina_message){.flags = (uint16_t)kind,
                            .next = taken,
                            .transfer = tina_item_lives(shard->life, link->peer_life)};
    return taken;
}

static void credit_free(shard_link *link, uint32_t index) {
    credit_entry *credit = &link->credits[index];
    TINA_ASSERT(credit->use != CREDIT_FREE);
    if (credit->forgotten)
        link->forgets--;
    *credit = (credit_entry){.use = CREDIT_FREE, .next_free = link->free_credit};
    link->free_credit = index;
}

void credit_abandon(tina_shard *shard, uint32_t peer, uint32_t index) {
    shard_link *link = &shard->links[peer];
    credit_entry *credit = &link->credits[index];
    TINA_ASSERT(credit->use == CREDIT_CALL || credit->use == CREDIT_WATCH);
    // A call's answer comes by itself; a monitor's end may be far.
    credit->forgotten = credit->use == CREDIT_WATCH;
    link->forgets += credit->forgotten;
    link_set_add(&shard->outbound, peer);
    credit->use = CREDIT_ENDED;
}

static tina_exit_reason reason_of(const tina_message *item) {
    tina_exit_reason reason;
    memcpy(&reason, item->payload, sizeof reason);
    return reason;
}

void credit_end(tina_shard *shard, uint32_t peer, const tina_message *item) {
    shard_link *link = &shard->links[peer];
    if (item->transfer != tina_item_lives(shard->life, link->peer_life)) {
        COUNT(shard, arrivals_stale, 1);
        return;
    }
    TINA_ASSERT(item->next < shard->link_credits);
    const credit_entry *credit = &link->credits[item->next];
    if (credit->use == CREDIT_CALL)
        call_answered(shard, credit->local, item);
    else if (credit->use == CREDIT_WATCH)
        monitor_down(shard, credit->local, reason_of(item), item->to.bits);
    credit_free(link, item->next);
}

// Everything that waits for the peer fails; nothing that it has asked for is wanted any more.
static void link_fail(tina_shard *shard, uint32_t peer) {
    shard_link *link = &shard->links[peer];
    const tina_exit_reason reason = {TINA_EXIT_SHARD, (int32_t)peer};
    for (uint32_t i = 0; i < shard->link_credits; i++) {
        const credit_entry *credit = &link->credits[i];
        if (credit->use == CREDIT_CALL)
            call_failed(shard, credit->local, TINA_CALL_DIED);
        if (credit->use == CREDIT_WATCH)
            monitor_down(shard, credit->local, reason, link->news_position);
        request_entry *request = &link->requests[i];
        if (request->use == REQUEST_CALL)
            call_disowned(shard, request->local);
        if (request->use == REQUEST_WATCH)
            watch_end(shard, request->local);
        *request = (request_entry){.use = REQUEST_NONE};
    }
    credits_list(shard, link);
}

static void link_news(shard_link *link, tina_shard_change change, const tina_message *item) {
    TINA_ASSERT(item->next > 0);
    link->news.change = (int32_t)change;
    link->news.count += item->next;
    link->news_position = item->to.bits;
}

void link_reborn(tina_shard *shard, uint32_t peer, const tina_message *item) {
    shard_link *link = &shard->links[peer];
    link_news(link, link->quarantined ? TINA_SHARD_REVIVED : TINA_SHARD_RESTARTED, item);
    link_fail(shard, peer);
    shard_log(shard, TINA_LOG_WARNING, "shard %u has begun anew", peer);
    link->peer_life = item->transfer;
    link->quarantined = false;
    COUNT(shard, peers_reborn, 1);
}

void link_quarantined(tina_shard *shard, uint32_t peer, const tina_message *item) {
    link_news(&shard->links[peer], TINA_SHARD_QUARANTINED, item);
    link_fail(shard, peer);
    shard_log(shard, TINA_LOG_WARNING, "shard %u is quarantined", peer);
    shard->links[peer].quarantined = true;
    COUNT(shard, peers_quarantined, 1);
}

static tina_message *request_end(tina_shard *shard, uint32_t peer, uint32_t credit,
                                 tina_item kind) {
    shard_link *link = &shard->links[peer];
    TINA_ASSERT(credit < shard->link_credits);
    link->requests[credit] = (request_entry){.use = REQUEST_NONE};
    tina_message *item = link_claim_control(shard, peer);
    item->flags = (uint16_t)kind;
    item->next = credit;
    item->transfer = tina_item_lives(link->peer_life, shard->life);
    return item;
}

void request_fail(tina_shard *shard, uint32_t peer, uint32_t credit, tina_call_failure failure) {
    tina_message *item = request_end(shard, peer, credit, TINA_ITEM_FAILED);
    int32_t code = (int32_t)failure;
    memcpy(item->payload, &code, sizeof code);
    item->payload_bytes = sizeof code;
}

void request_answer(tina_shard *shard, uint32_t peer, uint32_t credit, int32_t tag,
                    const void *payload, size_t payload_bytes) {
    tina_message *item = request_end(shard, peer, credit, TINA_ITEM_ANSWER);
    item->tag = tag;
    item->payload_bytes = (uint16_t)payload_bytes;
    if (payload_bytes)
        memcpy(item->payload, payload, payload_bytes);
}

void request_down(tina_shard *shard, uint32_t peer, uint32_t credit, tina_exit_reason reason) {
    tina_message *item = request_end(shard, peer, credit, TINA_ITEM_DOWN);
    memcpy(item->payload, &reason, sizeof reason);
    item->payload_bytes = sizeof reason;
    item->to.bits = shard->links[peer].out->messages.producer.claimed;
}

static bool call_arrive(tina_shard *shard, uint32_t peer, const tina_message *item) {
    shard_link *link = &shard->links[peer];
    tina_isolate *receiver = isolate_find(shard, item->to);
    bool full = receiver && receiver->mail_count >= shard->types[receiver->type].mailbox_max;
    if (!receiver || full) {
        request_fail(shard, peer, item->next, full ? TINA_CALL_MAILBOX_FULL : TINA_CALL_STALE);
        return true;
    }
    tina_pool_ref ref;
    if (link->envelopes_in_use >= shard->link_share ||
        tina_pool_take(&shard->envelope_pool, &ref) != TINA_POOL_OK)
        return false;
    link->envelopes_in_use++;
    tina_message *message = &shard->envelopes[ref.slot];
    memcpy(message, item, offsetof(tina_message, payload) + item->payload_bytes);
    message->flags = ENVELOPE_CALL | ENVELOPE_REMOTE;
    shard->remote_calls[ref.slot] = (remote_call){peer, item->next};
    link->requests[item->next] = (request_entry){.local = ref.slot, .use = REQUEST_CALL};
    mailbox_append(shard, receiver, ref.slot);
    isolate_wake(shard, receiver);
    COUNT(shard, messages_arrived, 1);
    return true;
}

static void watch_arrive(tina_shard *shard, uint32_t peer, const tina_message *item) {
    tina_isolate *watched = isolate_find(shard, item->to);
    uint32_t entry = watched ? watch_set(shard, watched, peer, item->next) : NONE;
    if (entry == NONE)
        request_down(shard, peer, item->next, (tina_exit_reason){TINA_EXIT_UNKNOWN, 0});
    else
        shard->links[peer].requests[item->next] =
            (request_entry){.local = entry, .use = REQUEST_WATCH};
}

static void spawn_arrive(tina_shard *shard, uint32_t peer, const tina_message *item) {
    tina_spawn_item asked;
    memcpy(&asked, item->payload, sizeof asked);
    tina_isolate *born;
    tina_bytes args = tina_bytes_of(asked.args, (size_t)asked.args_bytes);
    tina_spawn_result result = isolate_spawn(shard, asked.type, args, &born);
    tina_spawn_event event = {.result = (int32_t)result};
    if (result == TINA_SPAWN_OK)
        event.child = born->handle;
    else
        COUNT(shard, spawns_refused, 1);
    request_answer(shard, peer, item->next, TINA_SPAWNED, &event, sizeof event);
}

// When its event is on the way already, that is the answer.
static void watch_forget(tina_shard *shard, uint32_t peer, uint32_t credit) {
    const request_entry *request = &shard->links[peer].requests[credit];
    if (request->use != REQUEST_WATCH)
        return;
    watch_end(shard, request->local);
    (void)request_end(shard, peer, credit, TINA_ITEM_FORGOTTEN);
}

// Returns false when there is no room for it now.
bool request_take(tina_shard *shard, uint32_t peer, const tina_message *item) {
    TINA_ASSERT(item->next < shard->link_credits);
    TINA_ASSERT(item->flags == TINA_ITEM_FORGET ||
                shard->links[peer].requests[item->next].use == REQUEST_NONE);
    switch ((tina_item)item->flags) {
    case TINA_ITEM_CALL:
        return call_arrive(shard, peer, item);
    case TINA_ITEM_WATCH:
        watch_arrive(shard, peer, item);
        return true;
    case TINA_ITEM_SPAWN:
        spawn_arrive(shard, peer, item);
        return true;
    case TINA_ITEM_FORGET:
        watch_forget(shard, peer, item->next);
        return true;
    default:
        tina_assert_failed("an item among messages is none", __FILE__, __LINE__);
    }
}

// News leave the room that answers have reserved.
static tina_message *news_claim(tina_shard *shard, shard_link *link, tina_item kind) {
    if (tina_ring_room(&link->out->control) <= 2 * shard->link_credits) {
        link->held = true;
        return NULL;
    }
    tina_message *item = link_claim_control(shard, (uint32_t)(link - shard->links));
    item->flags = (uint16_t)kind;
    item->next = 1 + link->unheard;
    item->to.bits = link->life_position;
    link->unheard = 0;
    link->held = false;
    return item;
}

static void forgets_send(tina_shard *shard, shard_link *link) {
    for (uint32_t i = 0; link->forgets && i < shard->link_credits; i++) {
        credit_entry *credit = &link->credits[i];
        if (!credit->forgotten)
            continue;
        tina_message *item = link_claim(shard, (uint32_t)(link - shard->links));
        if (!item)
            return;
        *item = (tina_message){.flags = TINA_ITEM_FORGET,
                               .next = i,
                               .transfer = tina_item_lives(shard->life, link->peer_life)};
        credit->forgotten = false;
        link->forgets--;
    }
}

// What could not be told before is told now, if there is room.
void news_send(tina_shard *shard, shard_link *link) {
    tina_message *item;
    if (link->life_untold && (item = news_claim(shard, link, TINA_ITEM_REBORN)) != NULL) {
        item->transfer = shard->life;
        link->life_untold = false;
    }
    if (link->end_untold && news_claim(shard, link, TINA_ITEM_QUARANTINED) != NULL) {
        link->end_untold = false;
        link->end_told = true;
    }
    if (link->forgets)
        forgets_send(shard, link);
}
