// SPDX-License-Identifier: Apache-2.0
//
// Envelopes and mailboxes. An envelope belongs to its sender's share until it is given back.

#include <string.h>

#include "core/probe.h"
#include "sched/internal.h"
#include "sched/links.h"

// Most payloads are a word or two: those are copied without a call of memcpy.
static inline void payload_copy(uint8_t *to, const void *from, size_t bytes) {
    if (bytes == 8)
        memcpy(to, from, 8);
    else if (bytes == 16)
        memcpy(to, from, 16);
    else if (bytes)
        memcpy(to, from, bytes);
}

// What the handler that runs wants to send.
typedef struct outgoing {
    tina_handle to;
    int32_t tag;
    const void *payload;
    size_t bytes;
} outgoing;

// Inlined in both its callers, where gcc would rather call it: that is a fifth of tina_send. The
// payload comes last, so that little is to be kept over a call of memcpy.
static inline __attribute__((always_inline)) void
message_queue(tina_shard *shard, tina_isolate *receiver, uint32_t envelope, outgoing what) {
    tina_isolate *from = shard->ctx.self;
    tina_message *message = &shard->envelopes[envelope];
    from->sent_in_use++;
    message->tag = what.tag;
    message->payload_bytes = (uint16_t)what.bytes;
    message->flags = 0;
    message->from = from->handle;
    message->to = what.to;
    mailbox_append(shard, receiver, envelope);
    isolate_wake(shard, receiver);
    COUNT(shard, messages_sent, 1);
    payload_copy(message->payload, what.payload, what.bytes);
}

static inline bool message_is_good(outgoing what) {
    return what.tag >= 0 && what.bytes <= TINA_PAYLOAD_BYTES_MAX;
}

// Of who has the handle `to`.
static inline bool mailbox_is_full(const tina_shard *shard, const tina_isolate *receiver,
                                   tina_handle to) {
    return receiver->mail_count >= shard->types[tina_handle_type(to)].mailbox_max;
}

static inline bool share_is_used(const tina_shard *shard) {
    return shard->ctx.self->sent_in_use >= shard->sender_share;
}

static tina_send_result send_away(tina_shard *shard, outgoing what) {
    tina_message *item;
    if (is_remote(shard, what.to))
        return link_send(shard, shard->ctx.self, what.to, what.tag, what.payload, what.bytes,
                         &item);
    COUNT(shard, sends_stale, 1);
    return TINA_SEND_STALE;
}

static tina_send_result send(tina_shard *shard, outgoing what, uint32_t *envelope) {
    if (!message_is_good(what)) {
        COUNT(shard, sends_bad, 1);
        return TINA_SEND_BAD_MESSAGE;
    }
    tina_isolate *receiver = isolate_find(shard, what.to);
    if (!receiver)
        return send_away(shard, what);
    if (mailbox_is_full(shard, receiver, what.to)) {
        COUNT(shard, sends_mailbox_full, 1);
        return TINA_SEND_MAILBOX_FULL;
    }
    if (share_is_used(shard)) {
        TINA_SIM_PROBE("a sender had its share of the envelopes");
        COUNT(shard, sends_over_share, 1);
        return TINA_SEND_POOL_EMPTY;
    }
    tina_pool_ref ref;
    if (tina_pool_take(&shard->envelope_pool, &ref) != TINA_POOL_OK) {
        COUNT(shard, sends_pool_empty, 1);
        return TINA_SEND_POOL_EMPTY;
    }
    message_queue(shard, receiver, ref.slot, what);
    *envelope = ref.slot;
    return TINA_SEND_OK;
}

tina_send_result ctx_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                          size_t payload_bytes, uint32_t *envelope) {
    const outgoing what = {to, tag, payload, payload_bytes};
    return send(ctx->shard, what, envelope);
}

// The rest of a tina_send that is not of the common kind.
static __attribute__((noinline)) tina_send_result send_and_leave(tina_shard *shard, tina_handle to,
                                                                 int32_t tag, const void *payload,
                                                                 size_t payload_bytes) {
    uint32_t envelope;
    tina_send_result result = send(shard, (outgoing){to, tag, payload, payload_bytes}, &envelope);
    ctx_leave(&shard->ctx);
    return result;
}

// The call that handlers make most: a message to a mailbox of the own shard takes no other call.
// Whatever stands in its way is only seen here, and told and counted by send.
tina_send_result(tina_send)(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                            size_t payload_bytes) {
    tina_shard *shard = ctx->shard;
    const outgoing what = {to, tag, payload, payload_bytes};
    payload_touch(payload, payload_bytes);
    ctx_enter(&shard->ctx);
    tina_isolate *receiver = isolate_find(shard, to);
    if (RARELY(!receiver || !message_is_good(what) || mailbox_is_full(shard, receiver, to) ||
               share_is_used(shard)))
        return send_and_leave(shard, to, tag, payload, payload_bytes);
    uint32_t envelope = tina_pool_take_given(&shard->envelope_pool);
    if (RARELY(envelope == TINA_POOL_END))
        return send_and_leave(shard, to, tag, payload, payload_bytes);
    message_queue(shard, receiver, envelope, what);
    ctx_leave(&shard->ctx);
    return TINA_SEND_OK;
}

void mailbox_drop(tina_shard *shard, tina_isolate *ended) {
    while (ended->mail_first != NONE) {
        uint32_t index = ended->mail_first;
        ended->mail_first = shard->envelopes[index].next;
        COUNT(shard, messages_dropped, 1);
        if (shard->envelopes[index].flags & ENVELOPE_CALL)
            call_dropped(shard, &shard->envelopes[index], index);
        else
            envelope_give(shard, index);
    }
    ended->mail_count = 0;
}
