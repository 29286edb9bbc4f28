// SPDX-License-Identifier: Apache-2.0
//
// Envelopes and mailboxes. An envelope belongs to its sender's share until it is given back.

#include <string.h>

#include "core/probe.h"
#include "sched/internal.h"

void mailbox_append(tina_shard *shard, tina_isolate *receiver, uint32_t index) {
    if (receiver->mail_first == NONE)
        receiver->mail_first = index;
    else
        shard->envelopes[receiver->mail_last].next = index;
    receiver->mail_last = index;
    receiver->mail_count++;
    shard->envelopes[index].next = NONE;
}

// Most payloads are a word or two: those are copied without a call of memcpy.
static inline void payload_copy(uint8_t *to, const void *from, size_t bytes) {
    if (bytes == 8)
        memcpy(to, from, 8);
    else if (bytes == 16)
        memcpy(to, from, 16);
    else if (bytes)
        memcpy(to, from, bytes);
}

// message_send queues a message for a receiver that lives; the caller has checked tag and size.
tina_send_result message_send(tina_shard *shard, tina_isolate *from, tina_isolate *receiver,
                              int32_t tag, const void *payload, size_t payload_bytes,
                              uint32_t *envelope) {
    if (receiver->mail_count >= shard->types[receiver->type].mailbox_max) {
        COUNT(shard, sends_mailbox_full, 1);
        return TINA_SEND_MAILBOX_FULL;
    }
    if (from->sent_in_use >= shard->sender_share) {
        TINA_SIM_PROBE("a sender had its share of the envelopes");
        COUNT(shard, sends_over_share, 1);
        return TINA_SEND_POOL_EMPTY;
    }
    tina_pool_ref ref;
    if (tina_pool_take(&shard->envelope_pool, &ref) != TINA_POOL_OK) {
        COUNT(shard, sends_pool_empty, 1);
        return TINA_SEND_POOL_EMPTY;
    }
    from->sent_in_use++;
    tina_message *message = &shard->envelopes[ref.slot];
    message->tag = tag;
    message->payload_bytes = (uint16_t)payload_bytes;
    message->flags = 0;
    message->from = from->handle;
    message->to = receiver->handle;
    payload_copy(message->payload, payload, payload_bytes);
    mailbox_append(shard, receiver, ref.slot);
    isolate_wake(shard, receiver);
    COUNT(shard, messages_sent, 1);
    *envelope = ref.slot;
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
