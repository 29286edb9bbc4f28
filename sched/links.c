// SPDX-License-Identifier: Apache-2.0
//
// Links to other shards: what arrives is put into mailboxes, what was staged is published.

#include "sched/links.h"
#include "core/probe.h"

#include <string.h>

// Of one link in one tick, so that a peer that floods does not hold up the others.
#define ITEMS_A_TICK 1024u

static void control_receive(tina_shard *shard, uint32_t peer);
static void messages_receive(tina_shard *shard, uint32_t peer);

// Those that were marked, or kept from a tick before; where nobody marks, all.
static uint64_t links_due(tina_shard *shard, uint32_t word) {
    uint64_t kept = shard->kept.words[word];
    shard->kept.words[word] = 0;
    return shard->occupancy ? kept | tina_occupancy_take(shard->occupancy, word)
                            : (UINT64_C(1) << shard->link_count) - 1;
}

static void link_receive(tina_shard *shard, uint32_t peer) {
    shard_link *link = &shard->links[peer];
    if (!link->in)
        return;
    COUNT(shard, inlets_read, 1);
    loans_home(shard, peer);
    control_receive(shard, peer);
    messages_receive(shard, peer);
    monitors_late(shard, link);
    peer_tell(shard, link);
    if (link->starved || link->behind || link->late_first != NONE)
        link_set_add(&shard->kept, peer);
}

void links_receive(tina_shard *shard) {
    for (uint32_t word = 0; word < link_words(shard); word++)
        for (uint64_t due = links_due(shard, word); due != 0;)
            link_receive(shard, link_set_first(&due, word));
}

// What each kind on control means; all of them fit into the mailboxes and lists that await them.
static void control_arrive(tina_shard *shard, uint32_t peer, const tina_message *item) {
    switch ((tina_item)item->flags) {
    case TINA_ITEM_ANSWER:
    case TINA_ITEM_FAILED:
    case TINA_ITEM_DOWN:
    case TINA_ITEM_FORGOTTEN:
        credit_end(shard, peer, item);
        return;
    case TINA_ITEM_REBORN:
        link_reborn(shard, peer, item);
        return;
    case TINA_ITEM_QUARANTINED:
        link_quarantined(shard, peer, item);
        return;
    case TINA_ITEM_MESSAGE:
    case TINA_ITEM_CALL:
    case TINA_ITEM_WATCH:
    case TINA_ITEM_SPAWN:
    case TINA_ITEM_FORGET:
    case TINA_ITEM_FD:
    case TINA_ITEM_LOAN:
        break;
    }
    tina_assert_failed("an item on control is none", __FILE__, __LINE__);
}

static void control_receive(tina_shard *shard, uint32_t peer) {
    tina_ring *ring = &shard->links[peer].in->control;
    uint32_t left = tina_ring_readable(ring);
    while (left > 0) {
        uint32_t count = left;
        const tina_message *items = tina_ring_peek(ring, &count);
        for (uint32_t i = 0; i < count; i++)
            control_arrive(shard, peer, &items[i]);
        tina_ring_consume(ring, count);
        left -= count;
    }
}

// What became of an item.
typedef enum arrival {
    ARRIVED = 0, // or dropped, counted
    NOT_NOW,     // it stays where it is, and so does what came after it
} arrival;

static tina_fd_ticket ticket_of(const tina_message *item) {
    tina_fd_ticket ticket;
    memcpy(&ticket, item->payload, sizeof ticket);
    return ticket;
}

// Whoever cannot be reached gets nothing, and an fd that was for it is closed.
static void message_drop(tina_shard *shard, uint32_t peer, const tina_message *item) {
    if (item->flags == TINA_ITEM_LOAN)
        loan_refuse(shard, peer, item);
    if (item->flags != TINA_ITEM_FD)
        return;
    tina_fd_ticket ticket = ticket_of(item);
    tina_reactor_drop(shard->reactor, &ticket);
}

// A ticket becomes the receiver's fd. It comes as the payload; none when the fd table is full.
static void fd_arrive(tina_shard *shard, tina_isolate *receiver, tina_message *message) {
    tina_fd_ticket ticket = ticket_of(message);
    tina_fd fd = tina_fd_none();
    if (!tina_reactor_import(shard->reactor, &receiver->io, &ticket, &fd))
        tina_reactor_drop(shard->reactor, &ticket);
    message->flags = 0;
    message->payload_bytes = sizeof fd;
    memcpy(message->payload, &fd, sizeof fd);
}

static arrival message_arrive(tina_shard *shard, uint32_t peer, const tina_message *item) {
    shard_link *link = &shard->links[peer];
    tina_isolate *receiver = isolate_find(shard, item->to);
    if (!receiver) {
        COUNT(shard, arrivals_stale, 1);
        message_drop(shard, peer, item);
        return ARRIVED;
    }
    if (receiver->mail_count >= shard->types[receiver->type].mailbox_max) {
        TINA_SIM_PROBE("a message from another shard found its mailbox full");
        COUNT(shard, arrivals_mailbox_full, 1);
        message_drop(shard, peer, item);
        return ARRIVED;
    }
    if (link->envelopes_in_use >= shard->link_share)
        return NOT_NOW;
    tina_pool_ref ref;
    if (tina_pool_take(&shard->envelope_pool, &ref) != TINA_POOL_OK)
        return NOT_NOW;
    link->envelopes_in_use++;
    tina_message *message = &shard->envelopes[ref.slot];
    memcpy(message, item, offsetof(tina_message, payload));
    memcpy(message->payload, item->payload, item->payload_bytes);
    if (item->flags == TINA_ITEM_FD)
        fd_arrive(shard, receiver, message);
    if (item->flags == TINA_ITEM_LOAN) {
        message->flags = ENVELOPE_TRANSFER;
        message->transfer = loan_arrive(shard, peer, item, receiver);
    }
    mailbox_append(shard, receiver, ref.slot);
    isolate_wake(shard, receiver);
    COUNT(shard, messages_arrived, 1);
    return ARRIVED;
}

// A request of a life of its sender's that is not known yet waits for the news, which were
// published before it; one of a former life, of either, is nobody's.
static arrival request_arrive(tina_shard *shard, uint32_t peer, const tina_message *item) {
    shard_link *link = &shard->links[peer];
    uint16_t asker = (uint16_t)item->transfer;
    uint16_t asked = (uint16_t)(item->transfer >> 16);
    if (asker != (uint16_t)link->peer_life)
        return (int16_t)(asker - (uint16_t)link->peer_life) > 0 ? NOT_NOW : ARRIVED;
    if (asked != (uint16_t)shard->life) {
        COUNT(shard, arrivals_stale, 1);
        return ARRIVED;
    }
    return request_take(shard, peer, item) ? ARRIVED : NOT_NOW;
}

static void messages_receive(tina_shard *shard, uint32_t peer) {
    shard_link *link = &shard->links[peer];
    tina_ring *ring = &link->in->messages;
    uint32_t readable = tina_ring_readable(ring);
    uint32_t left = readable < ITEMS_A_TICK ? readable : ITEMS_A_TICK;
    link->behind = readable > left;
    link->starved = false;
    while (left > 0 && !link->starved) {
        uint32_t count = left;
        const tina_message *items = tina_ring_peek(ring, &count);
        uint32_t taken = 0;
        for (; taken < count && !link->starved; taken++) {
            bool plain = items[taken].flags <= TINA_ITEM_FD;
            arrival became = plain ? message_arrive(shard, peer, &items[taken])
                                   : request_arrive(shard, peer, &items[taken]);
            if (became == NOT_NOW) {
                TINA_SIM_PROBE("a message from another shard waits in its ring");
                link->starved = true;
                break;
            }
        }
        tina_ring_consume(ring, taken);
        left -= taken;
    }
    COUNT(shard, arrivals_waited, link->starved);
}

static uint32_t claims_publish(tina_inlet *out) {
    uint32_t control = tina_ring_claimed(&out->control);
    uint32_t messages = tina_ring_claimed(&out->messages);
    uint32_t returns = tina_ring_claimed(&out->returns);
    if (returns)
        tina_ring_publish(&out->returns, returns);
    // Control first: a request never overtakes the news of the life that it belongs to.
    if (control)
        tina_ring_publish(&out->control, control);
    if (messages)
        tina_ring_publish(&out->messages, messages);
    return control + messages + returns;
}

void link_publish(tina_shard *shard, uint32_t peer) {
    shard->links[peer].unmarked |= claims_publish(shard->links[peer].out) > 0;
}

// One release store a ring, and one wake-up a batch for a peer that sleeps.
static void link_send_off(tina_shard *shard, uint32_t peer) {
    shard_link *link = &shard->links[peer];
    if (!link->out)
        return;
    news_send(shard, link);
    link_publish(shard, peer);
    if (link->unmarked && tina_inlet_signal(link->out)) {
        COUNT(shard, wakes_sent, 1);
        shard->options.wake(shard->options.wake_where, peer);
    }
    link->unmarked = false;
}

void links_publish(tina_shard *shard) {
    link_set untold = {0};
    for (uint32_t word = 0; word < link_words(shard); word++)
        for (uint64_t due = shard->outbound.words[word]; due != 0;) {
            uint32_t peer = link_set_first(&due, word);
            link_send_off(shard, peer);
            const shard_link *link = &shard->links[peer];
            if (link->life_untold || link->end_untold || link->forgets)
                link_set_add(&untold, peer);
        }
    shard->outbound = untold;
}

// Peers hear that this shard has stopped in place of that it has begun anew.
void links_quarantine(tina_shard *shard) {
    for (uint32_t peer = 0; peer < shard->link_count; peer++) {
        shard_link *link = &shard->links[peer];
        link->end_untold = link->life_untold && !link->end_told;
        link->life_untold = false;
    }
}

// For a shard that cannot be emptied, which no tick will speak for: what it had sent, and that it
// has stopped. Once, however often it fails again.
void links_abandon(tina_shard *shard) {
    TINA_SIM_PROBE("a shard could not be emptied");
    for (uint32_t peer = 0; peer < shard->link_count; peer++) {
        shard_link *link = &shard->links[peer];
        if (!link->out || link->end_told)
            continue;
        if (!link->end_untold)
            link->unheard += link->held || link->life_untold;
        link->end_untold = true;
        link->held = link->life_untold = false;
        link->forgets = 0; // the peer forgets all
        link_publish(shard, peer);
        link->life_position = link->out->messages.producer.tail;
        link_send_off(shard, peer);
    }
}

// The next stop is another.
void links_revive(tina_shard *shard) {
    for (uint32_t peer = 0; peer < shard->link_count; peer++)
        shard->links[peer].end_told = false;
}

// Whether what stayed in a ring could be taken by now: handlers may have given envelopes back.
static bool link_could_go_on(const tina_shard *shard, const shard_link *link) {
    bool has_room = link->envelopes_in_use < shard->link_share &&
                    shard->envelope_pool.live < shard->envelope_pool.slot_count;
    return link->behind || (link->starved && has_room);
}

bool links_are_behind(const tina_shard *shard) {
    for (uint32_t word = 0; word < link_words(shard); word++)
        for (uint64_t kept = shard->kept.words[word]; kept != 0;)
            if (link_could_go_on(shard, &shard->links[link_set_first(&kept, word)]))
                return true;
    return false;
}

// A link that is starved waits for envelopes, not for more to come.
bool tina_shard_doze(tina_shard *shard) {
    bool work = false;
    if (shard->occupancy) {
        tina_sleeper_announce(&shard->occupancy->sleeper);
        return !tina_occupancy_is_marked(shard->occupancy);
    }
    for (uint32_t peer = 0; peer < shard->link_count; peer++) {
        shard_link *link = &shard->links[peer];
        if (!link->in)
            continue;
        tina_sleeper_announce(&link->in->sleeper);
        work = work || tina_ring_readable(&link->in->control) > 0 ||
               tina_ring_readable(&link->in->returns) > 0 ||
               (!link->starved && tina_ring_readable(&link->in->messages) > 0);
    }
    return !work;
}

bool tina_shard_is_called(tina_shard *shard) {
    if (shard->occupancy)
        return tina_occupancy_is_marked(shard->occupancy);
    for (uint32_t peer = 0; peer < shard->link_count; peer++) {
        shard_link *link = &shard->links[peer];
        if (link->in && (tina_ring_readable(&link->in->control) > 0 ||
                         tina_ring_readable(&link->in->returns) > 0 ||
                         (!link->starved && tina_ring_readable(&link->in->messages) > 0)))
            return true;
    }
    return false;
}

void tina_shard_rouse(tina_shard *shard) {
    if (shard->occupancy) {
        tina_sleeper_awake(&shard->occupancy->sleeper);
        return;
    }
    for (uint32_t peer = 0; peer < shard->link_count; peer++)
        if (shard->links[peer].in)
            tina_sleeper_awake(&shard->links[peer].in->sleeper);
}

tina_inlet *tina_shard_inlet(tina_shard *shard, uint32_t peer) {
    TINA_ASSERT(peer < shard->link_count);
    TINA_ASSERT(peer != shard->number);
    return &shard->inlets[peer];
}

void tina_shard_connect(tina_shard *shard, uint32_t peer, tina_inlet *outlet) {
    TINA_ASSERT(peer < shard->link_count);
    TINA_ASSERT(peer != shard->number);
    shard->links[peer].in = &shard->inlets[peer];
    shard->links[peer].out = outlet;
}

void *tina_shard_transfers(tina_shard *shard) {
    return shard->transfer_memory;
}

void tina_shard_borrow(tina_shard *shard, uint32_t peer, void *transfers) {
    TINA_ASSERT(peer < shard->link_count);
    shard->links[peer].transfer_memory = transfers;
}

void tina_shard_observe(tina_shard *shard, uint32_t peer, const tina_shard *observed) {
    TINA_ASSERT(peer < shard->link_count);
    TINA_ASSERT(peer != shard->number);
    shard->links[peer].observed = observed;
}

// Returns the message to fill in, or NULL when the ring is full. It leaves with this tick.
tina_message *link_claim(tina_shard *shard, uint32_t peer) {
    uint32_t count = 1;
    link_set_add(&shard->outbound, peer);
    return tina_ring_claim(&shard->links[peer].out->messages, &count);
}

// Whoever calls this answers for the room: it was reserved with a credit.
tina_message *link_claim_control(tina_shard *shard, uint32_t peer) {
    uint32_t count = 1;
    link_set_add(&shard->outbound, peer);
    tina_message *item = tina_ring_claim(&shard->links[peer].out->control, &count);
    TINA_ASSERT(item != NULL);
    *item = (tina_message){0};
    return item;
}

void link_envelope_give(tina_shard *shard, uint32_t index) {
    shard_link *link = &shard->links[tina_handle_shard(shard->envelopes[index].from)];
    TINA_ASSERT(link->envelopes_in_use > 0);
    link->envelopes_in_use--;
    tina_pool_give_slot(&shard->envelope_pool, index);
}

tina_send_result link_send(tina_shard *shard, const tina_isolate *from, tina_handle to, int32_t tag,
                           const void *payload, size_t payload_bytes, tina_message **item) {
    uint32_t peer = tina_handle_shard(to);
    if (peer >= shard->link_count || !shard->links[peer].out) {
        COUNT(shard, sends_stale, 1);
        return TINA_SEND_STALE;
    }
    if (shard->links[peer].quarantined) {
        COUNT(shard, sends_quarantined, 1);
        return TINA_SEND_QUARANTINED;
    }
    tina_message *message = link_claim(shard, peer);
    if (!message) {
        COUNT(shard, sends_channel_full, 1);
        return TINA_SEND_CHANNEL_FULL;
    }
    message->tag = tag;
    message->payload_bytes = (uint16_t)payload_bytes;
    message->flags = TINA_ITEM_MESSAGE;
    message->from = from->handle;
    message->to = to;
    message->next = NONE;
    message->transfer = 0;
    if (payload_bytes)
        memcpy(message->payload, payload, payload_bytes);
    COUNT(shard, messages_sent, 1);
    *item = message;
    return TINA_SEND_OK;
}
