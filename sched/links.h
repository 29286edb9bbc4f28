// SPDX-License-Identifier: Apache-2.0
//
// Links to other shards, for the files of the shard only.
//
// A credit is the right to ask one peer for one thing, and room for its answer. Its number names
// the entry in `credits` here and the one in `requests` there, so neither side looks anything up.
//
//     asker                                 asked
//     credit CALL ── item CALL ──▶ request CALL ── answer, death, full ──▶ item ANSWER, FAILED
//     credit free ◀────────────────────────────────────────────────────────────┘
//
// A shard that begins anew forgets its credits and the requests of others, and tells them in which
// life it is. They forget theirs too, and fail what waited: so nothing of a former life is mistaken
// for something of this one.

#ifndef TINA_SCHED_LINKS_H
#define TINA_SCHED_LINKS_H

#include "sched/internal.h"
#include "sched/link.h"

typedef enum credit_use {
    CREDIT_FREE = 0, // `next_free` leads on
    CREDIT_CALL,     // of `local`, the placeholder of the call
    CREDIT_WATCH,    // of `local`, a monitor
    CREDIT_ENDED,    // nobody waits for it any more; it is free when its answer is in
} credit_use;

typedef struct credit_entry {
    uint64_t local; // tina_caller or tina_monitor, as bits
    uint32_t next_free;
    uint8_t use;    // credit_use
    bool forgotten; // a monitor's FORGET is to be sent
} credit_entry;

typedef enum request_use {
    REQUEST_NONE = 0,
    REQUEST_CALL,  // in envelope `local`
    REQUEST_WATCH, // by monitor entry `local`
} request_use;

typedef struct request_entry {
    uint32_t local;
    uint8_t use; // request_use
} request_entry;

struct shard_link {
    tina_inlet *in;             // NULL until connected
    tina_inlet *out;            // the peer's, or a wire's
    credit_entry *credits;      // of this shard at the peer
    request_entry *requests;    // of the peer at this shard
    uint8_t *transfer_memory;   // the peer's
    const tina_shard *observed; // the peer, for its counters only; or NULL
    uint32_t free_credit;       // or NONE
    uint32_t forgets;           // credits that are `forgotten`
    uint32_t envelopes_in_use;
    uint32_t late_first; // monitors whose event waits for messages that are not in, oldest first
    uint32_t late_last;
    uint32_t monitor_first; // of the peer itself
    peer_news news;         // of the peer, heard and not told yet
    uint64_t news_position; // ... which is told after what came before it
    uint64_t life_position; // where what former lives of this shard have sent ends
    uint32_t peer_life;
    bool quarantined;
    bool starved;     // messages wait for envelopes
    bool behind;      // more had come than one tick takes
    bool life_untold; // REBORN is to be sent
    bool end_untold;  // QUARANTINED is to be sent
    bool end_told;    // it was, of this stop
    bool unmarked;    // something was published that the peer was not told of
    bool held;        // ... either, but there was no room in a tick before
    uint32_t unheard; // changes that were not told before the next, which is told with them
};

static inline bool is_remote(const tina_shard *shard, tina_handle handle) {
    return tina_handle_shard(handle) != shard->number && handle.bits != 0;
}

static inline void link_set_add(link_set *set, uint32_t peer) {
    set->words[peer / 64] |= UINT64_C(1) << (peer & 63);
}

// link_set_first returns the least number in a word that is not empty, and removes it.
static inline uint32_t link_set_first(uint64_t *members, uint32_t word) {
    uint32_t bit = (uint32_t)__builtin_ctzll(*members);
    *members &= *members - 1;
    return 64 * word + bit;
}

static inline uint32_t link_words(const tina_shard *shard) {
    return (shard->link_count + 63) / 64;
}

// links.c
void links_receive(tina_shard *shard);
void links_publish(tina_shard *shard);
void link_publish(tina_shard *shard, uint32_t peer);
void links_quarantine(tina_shard *shard);
void links_abandon(tina_shard *shard);
void links_revive(tina_shard *shard);
bool links_are_behind(const tina_shard *shard);
tina_message *link_claim(tina_shard *shard, uint32_t peer);
tina_message *link_claim_control(tina_shard *shard, uint32_t peer);
tina_send_result link_send(tina_shard *shard, const tina_isolate *from, tina_handle to, int32_t tag,
                           const void *payload, size_t payload_bytes, tina_message **item);

// credits.c
void credits_begin(tina_shard *shard);
// Takes a credit and claims the item that asks for it; NONE, and why.
uint32_t credit_take(tina_shard *shard, uint32_t peer, credit_use use, uint64_t local,
                     tina_item kind, tina_message **item, tina_call_failure *failure);
void credit_abandon(tina_shard *shard, uint32_t peer, uint32_t credit);
void credit_end(tina_shard *shard, uint32_t peer, const tina_message *item);
bool request_take(tina_shard *shard, uint32_t peer, const tina_message *item);
void link_reborn(tina_shard *shard, uint32_t peer, const tina_message *item);
void link_quarantined(tina_shard *shard, uint32_t peer, const tina_message *item);
void request_fail(tina_shard *shard, uint32_t peer, uint32_t credit, tina_call_failure failure);
void request_answer(tina_shard *shard, uint32_t peer, uint32_t credit, int32_t tag,
                    const void *payload, size_t payload_bytes);
void request_down(tina_shard *shard, uint32_t peer, uint32_t credit, tina_exit_reason reason);
void news_send(tina_shard *shard, shard_link *link);

// peer_monitors.c
void peer_tell(tina_shard *shard, shard_link *link);

#endif
