// SPDX-License-Identifier: Apache-2.0
//
// Transfer buffers: each in the list of the one isolate that owns it. The memory of a dead
// isolate's buffers may still be read by the kernel, so they are given back with its slot, not
// before.

#include "sched/internal.h"

static uint8_t *memory_of(const tina_shard *shard, uint32_t index) {
    return shard->transfer_memory + index * shard->transfer_stride;
}

static tina_pool_ref ref_of(tina_transfer transfer) {
    return (tina_pool_ref){(uint32_t)transfer.bits, (uint32_t)(transfer.bits >> 32)};
}

static void owner_link(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    transfer_entry *at = &shard->transfers[index];
    at->owner = isolate_index(shard, owner);
    at->owner_prev = NONE;
    at->owner_next = owner->transfer_first;
    if (at->owner_next != NONE)
        shard->transfers[at->owner_next].owner_prev = index;
    owner->transfer_first = index;
}

static void owner_unlink(tina_shard *shard, uint32_t index) {
    const transfer_entry *at = &shard->transfers[index];
    if (at->owner_prev == NONE)
        shard->isolates[at->owner].transfer_first = at->owner_next;
    else
        shard->transfers[at->owner_prev].owner_next = at->owner_next;
    if (at->owner_next != NONE)
        shard->transfers[at->owner_next].owner_prev = at->owner_prev;
}

tina_transfer transfer_take(tina_shard *shard, tina_isolate *owner) {
    tina_pool_ref ref;
    if (shard->transfer_pool.slot_count == 0 ||
        tina_pool_take(&shard->transfer_pool, &ref) != TINA_POOL_OK) {
        COUNT(shard, transfers_refused, 1);
        return (tina_transfer){0};
    }
    GAUGE(shard, transfers_in_use, shard->transfer_pool.live);
    shard->transfers[ref.slot].kept = true;
    shard->transfers[ref.slot].mailed = false;
    owner_link(shard, owner, ref.slot);
    return (tina_transfer){((uint64_t)ref.generation << 32) | ref.slot};
}

bool transfer_is_owned(const tina_shard *shard, const tina_isolate *owner, tina_transfer transfer) {
    tina_pool_ref ref = ref_of(transfer);
    return shard->transfer_pool.slot_count != 0 && tina_pool_holds(&shard->transfer_pool, ref) &&
           shard->transfers[ref.slot].owner == isolate_index(shard, owner) &&
           !shard->transfers[ref.slot].mailed;
}

// transfer_is_read returns whether an op in flight of its owner may read from it.
bool transfer_is_read(const tina_shard *shard, const tina_isolate *owner, tina_transfer transfer) {
    return tina_reactor_uses(shard->reactor, &owner->io, memory_of(shard, (uint32_t)transfer.bits),
                             shard->transfer_stride);
}

// transfer_move makes the receiver of a message the owner of the buffer that comes with it; the
// delivery makes it usable.
void transfer_move(tina_shard *shard, uint32_t index, tina_isolate *to) {
    owner_unlink(shard, index);
    shard->transfers[index].kept = false;
    shard->transfers[index].mailed = true;
    owner_link(shard, to, index);
}

void transfer_give(tina_shard *shard, uint32_t index) {
    owner_unlink(shard, index);
    tina_pool_give_slot(&shard->transfer_pool, index);
    GAUGE(shard, transfers_in_use, shard->transfer_pool.live);
}

// transfers_hold returns whether data lies in the transfer buffers.
bool transfers_hold(const tina_shard *shard, const void *data) {
    uintptr_t at = (uintptr_t)data - (uintptr_t)shard->transfer_memory;
    return at < shard->transfer_pool.slot_count * shard->transfer_stride;
}

// transfer_lets_read returns whether an op may read bytes that lie in the transfer buffers: in one,
// which the op's owner keeps, or it would be another's before the op completes.
bool transfer_lets_read(const tina_shard *shard, const tina_isolate *owner, const void *data,
                        size_t bytes) {
    uintptr_t at = (uintptr_t)data - (uintptr_t)shard->transfer_memory;
    uint32_t index = (uint32_t)(at / shard->transfer_stride);
    return bytes <= shard->transfer_stride - at % shard->transfer_stride &&
           tina_pool_is_live(&shard->transfer_pool, index) && shard->transfers[index].kept &&
           shard->transfers[index].owner == isolate_index(shard, owner);
}

// transfer_end is called after the handler that received a buffer, which may have sent it on, given
// it back or kept it.
void transfer_end(tina_shard *shard, const tina_isolate *receiver, tina_transfer transfer) {
    if (!transfer_is_owned(shard, receiver, transfer))
        return;
    uint32_t index = (uint32_t)transfer.bits;
    if (!shard->transfers[index].kept)
        transfer_give(shard, index);
}

void transfers_drop(tina_shard *shard, tina_isolate *ended) {
    while (ended->transfer_first != NONE)
        transfer_give(shard, ended->transfer_first);
}

tina_transfer tina_transfer_take(tina_ctx *ctx) {
    ctx_enter(ctx);
    tina_transfer taken = transfer_take(ctx->shard, ctx->self);
    ctx_leave(ctx);
    return taken;
}

tina_transfer tina_transfer_of(const tina_ctx *ctx, const tina_message *m) {
    if (m->tag < 0 || !(m->flags & ENVELOPE_TRANSFER))
        return (tina_transfer){0};
    return ctx->transfer;
}

void *tina_transfer_data(tina_ctx *ctx, tina_transfer transfer) {
    return transfer_is_owned(ctx->shard, ctx->self, transfer)
               ? memory_of(ctx->shard, (uint32_t)transfer.bits)
               : NULL;
}

bool tina_transfer_keep(tina_ctx *ctx, tina_transfer transfer) {
    ctx_enter(ctx);
    bool owned = transfer_is_owned(ctx->shard, ctx->self, transfer);
    if (owned)
        ctx->shard->transfers[(uint32_t)transfer.bits].kept = true;
    ctx_leave(ctx);
    return owned;
}

bool tina_transfer_give(tina_ctx *ctx, tina_transfer transfer) {
    ctx_enter(ctx);
    bool givable = transfer_is_owned(ctx->shard, ctx->self, transfer) &&
                   !transfer_is_read(ctx->shard, ctx->self, transfer);
    if (givable)
        transfer_give(ctx->shard, (uint32_t)transfer.bits);
    ctx_leave(ctx);
    return givable;
}

static tina_send_result send_transfer(tina_ctx *ctx, tina_handle to, int32_t tag,
                                      const void *payload, size_t payload_bytes,
                                      tina_transfer transfer) {
    tina_shard *shard = ctx->shard;
    if (!transfer_is_owned(shard, ctx->self, transfer))
        return TINA_SEND_BAD_TRANSFER;
    if (transfer_is_read(shard, ctx->self, transfer))
        return TINA_SEND_BUSY;
    uint32_t envelope;
    tina_send_result result = ctx_send(ctx, to, tag, payload, payload_bytes, &envelope);
    if (result != TINA_SEND_OK)
        return result;
    tina_message *message = &shard->envelopes[envelope];
    message->flags |= ENVELOPE_TRANSFER;
    message->transfer = (uint32_t)transfer.bits;
    transfer_move(shard, message->transfer, isolate_find(shard, to));
    return TINA_SEND_OK;
}

tina_send_result tina_send_transfer(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                                    size_t payload_bytes, tina_transfer transfer) {
    payload_touch(payload, payload_bytes);
    ctx_enter(ctx);
    tina_send_result result = send_transfer(ctx, to, tag, payload, payload_bytes, transfer);
    ctx_leave(ctx);
    return result;
}
