// SPDX-License-Identifier: Apache-2.0
//
// Transfer buffers: each in the list of the one isolate that owns it. The memory of a dead
// isolate's buffers may still be read by the kernel, so they are given back with its slot, not
// before.

#include "sched/internal.h"
#include "sched/links.h"

static uint8_t *memory_of(const tina_shard *shard, uint32_t index) {
    uint32_t count = shard->transfer_pool.slot_count;
    if (index < count)
        return shard->transfer_memory + index * shard->transfer_stride;
    const shard_link *lender = &shard->links[index / count - 1];
    return lender->transfer_memory + index % count * shard->transfer_stride;
}

static bool is_borrowed(const tina_shard *shard, uint32_t index) {
    return index >= shard->transfer_pool.slot_count;
}

// Borrowed buffers have their lender's generation.
tina_transfer transfer_name(const tina_shard *shard, uint32_t index) {
    uint64_t generation = is_borrowed(shard, index)
                              ? shard->transfers[index].generation
                              : tina_pool_generation(&shard->transfer_pool, index);
    return (tina_transfer){(generation << 32) | index};
}

static bool is_live(const tina_shard *shard, tina_transfer transfer) {
    uint32_t index = (uint32_t)transfer.bits;
    uint32_t generation = (uint32_t)(transfer.bits >> 32);
    if (shard->transfer_pool.slot_count == 0)
        return false;
    if (!is_borrowed(shard, index))
        return tina_pool_holds(&shard->transfer_pool, (tina_pool_ref){index, generation}) &&
               !shard->transfers[index].lent;
    return index < shard->transfer_entries && shard->transfers[index].borrowed &&
           shard->transfers[index].generation == generation;
}

void transfer_own(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    transfer_entry *at = &shard->transfers[index];
    at->owner = isolate_index(shard, owner);
    at->owner_prev = NONE;
    at->owner_next = owner->transfer_first;
    if (at->owner_next != NONE)
        shard->transfers[at->owner_next].owner_prev = index;
    owner->transfer_first = index;
}

void transfer_disown(tina_shard *shard, uint32_t index) {
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
    transfer_own(shard, owner, ref.slot);
    return (tina_transfer){((uint64_t)ref.generation << 32) | ref.slot};
}

bool transfer_is_owned(const tina_shard *shard, const tina_isolate *owner, tina_transfer transfer) {
    const transfer_entry *at = &shard->transfers[(uint32_t)transfer.bits];
    return is_live(shard, transfer) && at->owner == isolate_index(shard, owner) && !at->mailed;
}

// transfer_is_read returns whether an op in flight of its owner may read from it.
bool transfer_is_read(const tina_shard *shard, const tina_isolate *owner, tina_transfer transfer) {
    return tina_reactor_uses(shard->reactor, &owner->io, memory_of(shard, (uint32_t)transfer.bits),
                             shard->transfer_stride);
}

// transfer_move makes the receiver of a message the owner of the buffer that comes with it; the
// delivery makes it usable.
void transfer_move(tina_shard *shard, uint32_t index, tina_isolate *to) {
    transfer_disown(shard, index);
    shard->transfers[index].kept = false;
    shard->transfers[index].mailed = true;
    transfer_own(shard, to, index);
}

void transfer_give(tina_shard *shard, uint32_t index) {
    transfer_disown(shard, index);
    if (is_borrowed(shard, index)) {
        loan_end(shard, index);
        return;
    }
    tina_pool_give_slot(&shard->transfer_pool, index);
    GAUGE(shard, transfers_in_use, shard->transfer_pool.live);
}

// The table's index of the buffer in which data lies, this shard's or a peer's, or NONE.
static uint32_t index_of(const tina_shard *shard, const void *data) {
    uint32_t count = shard->transfer_pool.slot_count;
    uint64_t bytes = count * shard->transfer_stride;
    uintptr_t at = (uintptr_t)data - (uintptr_t)shard->transfer_memory;
    if (at < bytes)
        return (uint32_t)(at / shard->transfer_stride);
    for (uint32_t peer = 0; bytes && peer < shard->link_count; peer++) {
        at = (uintptr_t)data - (uintptr_t)shard->links[peer].transfer_memory;
        if (shard->links[peer].transfer_memory && at < bytes)
            return count * (peer + 1) + (uint32_t)(at / shard->transfer_stride);
    }
    return NONE;
}

// transfers_hold returns whether data lies in the transfer buffers.
bool transfers_hold(const tina_shard *shard, const void *data) {
    return index_of(shard, data) != NONE;
}

// transfer_lets_read returns whether an op may read bytes that lie in the transfer buffers: in one,
// which the op's owner keeps, or it would be another's before the op completes.
bool transfer_lets_read(const tina_shard *shard, const tina_isolate *owner, const void *data,
                        size_t bytes) {
    uint32_t index = index_of(shard, data);
    const transfer_entry *entry = &shard->transfers[index];
    uintptr_t at = (uintptr_t)data - (uintptr_t)memory_of(shard, index);
    bool live = is_borrowed(shard, index) ? entry->borrowed
                                          : tina_pool_is_live(&shard->transfer_pool, index);
    return bytes <= shard->transfer_stride - at && live && !entry->lent && entry->kept &&
           entry->owner == isolate_index(shard, owner);
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
    if (is_remote(shard, to))
        return loan_send(ctx, to, tag, payload, payload_bytes, (uint32_t)transfer.bits);
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
