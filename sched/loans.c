// SPDX-License-Identifier: Apache-2.0
//
// Transfer buffers lent to another shard. The memory stays where it is, on its own shard; the right
// to use it goes along with a message, and comes home when the receiver's handler returns, when it
// gives the buffer back, or with its end. A shard that begins anew sends home what it has borrowed,
// and leaves lent what it has lent.

#include <string.h>

#include "core/probe.h"
#include "sched/links.h"

static uint32_t entry_of(const tina_shard *shard, uint32_t lender, uint32_t index) {
    return shard->transfer_pool.slot_count * (lender + 1) + index;
}

static void home_send(tina_shard *shard, uint32_t lender, uint32_t index, uint32_t generation) {
    uint32_t count = 1;
    link_set_add(&shard->outbound, lender);
    uint64_t *item = tina_ring_claim(&shard->links[lender].out->returns, &count);
    TINA_ASSERT(item != NULL); // as many places as the lender has buffers
    *item = (uint64_t)generation << 32 | index;
}

// loan_end sends a borrowed buffer home that is nobody's here any more.
void loan_end(tina_shard *shard, uint32_t index) {
    transfer_entry *at = &shard->transfers[index];
    uint32_t count = shard->transfer_pool.slot_count;
    TINA_ASSERT(count > 0);
    TINA_ASSERT(at->borrowed);
    at->borrowed = false;
    shard->borrowed--;
    home_send(shard, index / count - 1, index % count, at->generation);
}

// loan_refuse is for a message whose receiver is not there.
void loan_refuse(tina_shard *shard, uint32_t peer, const tina_message *item) {
    TINA_SIM_PROBE("a lent buffer came for nobody");
    home_send(shard, peer, item->transfer, item->next);
}

uint32_t loan_arrive(tina_shard *shard, uint32_t peer, const tina_message *item,
                     tina_isolate *receiver) {
    uint32_t index = entry_of(shard, peer, item->transfer);
    TINA_ASSERT(index < shard->transfer_entries);
    transfer_entry *at = &shard->transfers[index];
    TINA_ASSERT(!at->borrowed);
    *at = (transfer_entry){.generation = item->next, .mailed = true, .borrowed = true};
    shard->borrowed++;
    transfer_own(shard, receiver, index);
    return index;
}

// A borrowed buffer is not lent on: it would not come home through the one who lent it.
tina_send_result loan_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                           size_t payload_bytes, uint32_t index) {
    tina_shard *shard = ctx->shard;
    if (index >= shard->transfer_pool.slot_count)
        return TINA_SEND_BAD_TRANSFER;
    if (tag < 0 || payload_bytes > TINA_PAYLOAD_BYTES_MAX)
        return TINA_SEND_BAD_MESSAGE;
    tina_message *item;
    tina_send_result result = link_send(shard, ctx->self, to, tag, payload, payload_bytes, &item);
    if (result != TINA_SEND_OK)
        return result;
    item->flags = TINA_ITEM_LOAN;
    item->transfer = index;
    item->next = tina_pool_generation(&shard->transfer_pool, index);
    transfer_disown(shard, index);
    shard->transfers[index] = (transfer_entry){.owner = NONE, .lent = true};
    shard->lent++;
    return TINA_SEND_OK;
}

// Reclaims what a peer has sent home.
void loans_home(tina_shard *shard, uint32_t peer) {
    tina_ring *ring = &shard->links[peer].in->returns;
    for (uint32_t left = tina_ring_readable(ring); left > 0;) {
        uint32_t count = left;
        const uint64_t *items = tina_ring_peek(ring, &count);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t index = (uint32_t)items[i];
            TINA_ASSERT(index < shard->transfer_pool.slot_count);
            TINA_ASSERT(shard->transfers[index].lent);
            TINA_ASSERT(tina_pool_generation(&shard->transfer_pool, index) == items[i] >> 32);
            shard->transfers[index].lent = false;
            shard->lent--;
            tina_pool_give_slot(&shard->transfer_pool, index);
        }
        GAUGE(shard, transfers_in_use, shard->transfer_pool.live);
        tina_ring_consume(ring, count);
        left -= count;
    }
}

// For a shard that begins anew: its isolates have gone.
void loans_return(tina_shard *shard) {
    uint32_t count = shard->transfer_pool.slot_count;
    for (uint32_t i = 0; i < count; i++)
        if (tina_pool_is_live(&shard->transfer_pool, i) && !shard->transfers[i].lent)
            tina_pool_give_slot(&shard->transfer_pool, i);
    for (uint32_t i = count; i < shard->transfer_entries; i++)
        if (shard->transfers[i].borrowed) {
            TINA_SIM_PROBE("a shard began anew with a borrowed buffer");
            loan_end(shard, i);
        }
    GAUGE(shard, transfers_in_use, shard->transfer_pool.live);
}
