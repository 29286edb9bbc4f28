// SPDX-License-Identifier: Apache-2.0
//
// Calls. The request's envelope is the call: it is queued, delivered as a copy, kept in the
// callee's list of unanswered calls, and carries the answer back. So an answer needs nothing that
// could be used up.
//
//     caller: CALLING ──answer──▶ ANSWERED        envelope: queued ─▶ delivered ─▶ answer
//                └─died, timeout─▶ CALL_FAILED                └─────────┴─▶ given back
//
// `call_envelope` of a calling isolate and ENVELOPE_CALL of that envelope hold each other: whoever
// ends a call on one side does so on the other.

#include <string.h>

#include "sched/internal.h"

static tina_isolate *caller_of(const tina_shard *shard, uint32_t envelope) {
    tina_isolate *caller = isolate_find(shard, shard->envelopes[envelope].from);
    bool awaits = caller && caller->state == ISOLATE_CALLING && caller->call_envelope == envelope;
    return awaits ? caller : NULL;
}

// The list of unanswered calls runs through `next` and, as its way back, `transfer`.
static void unanswered_link(tina_shard *shard, tina_isolate *callee, uint32_t envelope) {
    tina_message *request = &shard->envelopes[envelope];
    request->flags |= ENVELOPE_DELIVERED;
    request->transfer = NONE;
    request->next = callee->unanswered_first;
    if (request->next != NONE)
        shard->envelopes[request->next].transfer = envelope;
    callee->unanswered_first = envelope;
}

static void unanswered_unlink(tina_shard *shard, uint32_t envelope) {
    tina_message *request = &shard->envelopes[envelope];
    TINA_ASSERT(request->flags & ENVELOPE_DELIVERED);
    tina_isolate *callee = isolate_find(shard, request->to);
    TINA_ASSERT(callee != NULL);
    if (request->transfer == NONE)
        callee->unanswered_first = request->next;
    else
        shard->envelopes[request->transfer].next = request->next;
    if (request->next != NONE)
        shard->envelopes[request->next].transfer = request->transfer;
    request->flags &= (uint16_t)~ENVELOPE_DELIVERED;
}

static tina_call_failure failure_of(tina_send_result result) {
    switch (result) {
    case TINA_SEND_STALE:
        return TINA_CALL_STALE;
    case TINA_SEND_MAILBOX_FULL:
        return TINA_CALL_MAILBOX_FULL;
    case TINA_SEND_POOL_EMPTY:
        return TINA_CALL_POOL_EMPTY;
    default:
        return TINA_CALL_BAD_MESSAGE;
    }
}

tina_effect(tina_call)(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                       size_t payload_bytes, uint64_t timeout_ns) {
    tina_effect effect = {.kind = TINA_EFFECT_CALL};
    effect.call.target = to;
    effect.call.timeout_ns = timeout_ns;
    effect.call.envelope = NONE;
    payload_touch(payload, payload_bytes);
    ctx_enter(ctx);
    tina_send_result result = ctx_send(ctx, to, tag, payload, payload_bytes, &effect.call.envelope);
    if (result == TINA_SEND_OK)
        ctx->shard->envelopes[effect.call.envelope].flags |= ENVELOPE_CALL;
    else
        effect.call.failure = (int32_t)failure_of(result);
    ctx_leave(ctx);
    return effect;
}

static bool call_is_queued(const tina_shard *shard, const tina_isolate *self, uint32_t envelope) {
    return tina_pool_is_live(&shard->envelope_pool, envelope) &&
           shard->envelopes[envelope].flags == ENVELOPE_CALL &&
           shard->envelopes[envelope].from.bits == self->handle.bits;
}

// call_begin interprets the effect of tina_call; calls of the same handler that were not returned
// await nothing. False when the effect was kept from an earlier handler, and its envelope is
// another's by now.
bool call_begin(tina_shard *shard, tina_isolate *self, const tina_effect *effect) {
    uint32_t envelope = effect->call.envelope;
    if (!effect->call.failure && !call_is_queued(shard, self, envelope))
        return false;
    self->call_target = effect->call.target;
    self->call_envelope = envelope;
    self->call_timer = NONE;
    self->state = ISOLATE_CALLING;
    if (effect->call.failure) {
        call_fail(shard, self, (tina_call_failure)effect->call.failure);
        return true;
    }
    if (effect->call.timeout_ns)
        self->call_timer = deadline_set(shard, self, TIMER_CALL, envelope, effect->call.timeout_ns);
    return true;
}

// Ends the waiting, however it ends.
static void caller_release(tina_shard *shard, tina_isolate *caller) {
    TINA_ASSERT(caller->state == ISOLATE_CALLING);
    if (caller->call_timer != NONE)
        deadline_clear(shard, caller->call_timer);
    caller->call_timer = NONE;
}

void call_fail(tina_shard *shard, tina_isolate *caller, tina_call_failure failure) {
    caller_release(shard, caller);
    COUNT(shard, calls_failed, 1);
    caller->state = ISOLATE_CALL_FAILED;
    caller->refusal = (int32_t)failure;
    isolate_wake(shard, caller);
}

// call_abandon is for a caller that waits no longer; the callee's answer, if one comes, is stale.
void call_abandon(tina_shard *shard, tina_isolate *caller) {
    uint32_t envelope = caller->call_envelope;
    if (caller->state == ISOLATE_ANSWERED) {
        envelope_give(shard, envelope);
        return;
    }
    caller_release(shard, caller);
    if (shard->envelopes[envelope].flags & ENVELOPE_DELIVERED) {
        unanswered_unlink(shard, envelope);
        envelope_give(shard, envelope);
    } else {
        shard->envelopes[envelope].flags |= ENVELOPE_ABANDONED;
    }
}

// call_delivered is called after the handler that got a call, if it was not answered there.
void call_delivered(tina_shard *shard, tina_isolate *callee, uint32_t envelope) {
    if (caller_of(shard, envelope))
        unanswered_link(shard, callee, envelope);
    else
        envelope_give(shard, envelope);
}

// call_dropped is for a request that its callee will never see or never answer.
void call_dropped(tina_shard *shard, const tina_message *request, uint32_t envelope) {
    tina_isolate *caller = caller_of(shard, envelope);
    if (caller) {
        caller->call_target = request->to;
        call_fail(shard, caller, TINA_CALL_DIED);
    }
    envelope_give(shard, envelope);
}

void calls_drop(tina_shard *shard, tina_isolate *callee) {
    while (callee->unanswered_first != NONE) {
        uint32_t envelope = callee->unanswered_first;
        callee->unanswered_first = shard->envelopes[envelope].next;
        call_dropped(shard, &shard->envelopes[envelope], envelope);
    }
}

// call_time_out and a shutdown end a call that its callee may still hold.
void call_end(tina_shard *shard, tina_isolate *caller, tina_call_failure failure) {
    call_abandon(shard, caller);
    call_fail(shard, caller, failure);
}

static bool call_is_delivered(const tina_ctx *ctx, uint32_t envelope) {
    return envelope == ctx->envelope ||
           (ctx->shard->envelopes[envelope].flags & ENVELOPE_DELIVERED) != 0;
}

static tina_caller current_caller(const tina_ctx *ctx) {
    if (ctx->envelope == NONE || ctx->answered)
        return (tina_caller){0};
    uint32_t generation = tina_pool_generation(&ctx->shard->envelope_pool, ctx->envelope);
    return (tina_caller){((uint64_t)generation << 32) | ctx->envelope};
}

tina_caller tina_caller_of(const tina_ctx *ctx, const tina_message *m) {
    return m->flags & ENVELOPE_CALL ? current_caller(ctx) : (tina_caller){0};
}

static tina_answer_result answer(tina_ctx *ctx, tina_caller caller, int32_t tag,
                                 const void *payload, size_t payload_bytes) {
    tina_shard *shard = ctx->shard;
    if (tag < 0 || payload_bytes > TINA_PAYLOAD_BYTES_MAX)
        return TINA_ANSWER_BAD_MESSAGE;
    tina_pool_ref ref = {(uint32_t)caller.bits, (uint32_t)(caller.bits >> 32)};
    tina_isolate *waiting = NULL;
    // Of a call that is still in a mailbox no caller was ever told.
    if (tina_pool_holds(&shard->envelope_pool, ref) && call_is_delivered(ctx, ref.slot))
        waiting = caller_of(shard, ref.slot);
    if (!waiting) {
        COUNT(shard, answers_stale, 1);
        return TINA_ANSWER_STALE;
    }
    tina_message *answer = &shard->envelopes[ref.slot];
    if (answer->flags & ENVELOPE_DELIVERED) {
        unanswered_unlink(shard, ref.slot);
    } else {
        TINA_ASSERT(ref.slot == ctx->envelope);
        ctx->answered = true;
    }
    caller_release(shard, waiting);
    answer->tag = tag;
    answer->flags = 0;
    answer->payload_bytes = (uint16_t)payload_bytes;
    if (payload_bytes)
        memmove(answer->payload, payload, payload_bytes);
    waiting->state = ISOLATE_ANSWERED;
    isolate_wake(shard, waiting);
    COUNT(shard, calls_answered, 1);
    return TINA_ANSWER_OK;
}

tina_answer_result tina_answer(tina_ctx *ctx, tina_caller caller, int32_t tag, const void *payload,
                               size_t payload_bytes) {
    payload_touch(payload, payload_bytes);
    ctx_enter(ctx);
    tina_answer_result result = answer(ctx, caller, tag, payload, payload_bytes);
    ctx_leave(ctx);
    return result;
}

tina_effect tina_reply(tina_ctx *ctx, int32_t tag, const void *payload, size_t payload_bytes) {
    tina_answer_result result = tina_answer(ctx, current_caller(ctx), tag, payload, payload_bytes);
    // A reply that cannot be sent would leave its caller waiting; better that both notice.
    return result == TINA_ANSWER_BAD_MESSAGE ? tina_effect_exit(TINA_EXIT_BAD_EFFECT, tag)
                                             : tina_receive();
}
