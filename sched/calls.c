// SPDX-License-Identifier: Apache-2.0
//
// Calls. The request's envelope is the call: it is queued, delivered as a copy, kept in the
// callee's list of unanswered calls, and carries the answer back. So an answer needs nothing that
// could be used up.
//
//     caller: CALLING ──answer──▶ ANSWERED        envelope: queued ─▶ delivered ─▶ answer
//                └─died, timeout─▶ CALL_FAILED                └─────────┴─▶ given back
//
// A call to another shard has an envelope on either: the caller's only keeps the place, until the
// answer is copied into it.
//
// `call_envelope` of a calling isolate and ENVELOPE_CALL of that envelope hold each other: whoever
// ends a call on one side does so on the other.

#include <string.h>

#include "core/probe.h"
#include "sched/internal.h"
#include "sched/links.h"

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

// The envelope that keeps the place of a call to another shard; NONE, and why.
static uint32_t place_take(tina_shard *shard, tina_isolate *self, tina_handle to,
                           tina_call_failure *failure) {
    tina_pool_ref ref;
    *failure = TINA_CALL_POOL_EMPTY;
    if (self->sent_in_use >= shard->sender_share ||
        tina_pool_take(&shard->envelope_pool, &ref) != TINA_POOL_OK) {
        COUNT(shard, sends_pool_empty, 1);
        return NONE;
    }
    self->sent_in_use++;
    tina_message *place = &shard->envelopes[ref.slot];
    place->flags = ENVELOPE_CALL | ENVELOPE_AWAY;
    place->from = self->handle;
    place->to = to;
    return ref.slot;
}

static uint64_t name_of(const tina_shard *shard, uint32_t envelope) {
    return (uint64_t)tina_pool_generation(&shard->envelope_pool, envelope) << 32 | envelope;
}

// Asks the target's shard: for a call, or for an isolate to be spawned, when to names nobody.
static void call_away(tina_shard *shard, tina_isolate *self, tina_handle to, tina_item kind,
                      int32_t tag, const void *payload, size_t payload_bytes,
                      tina_call_effect *call) {
    tina_call_failure failure;
    uint32_t place = place_take(shard, self, to, &failure);
    tina_message *item;
    uint32_t credit = NONE;
    if (place != NONE)
        credit = credit_take(shard, tina_handle_shard(to), CREDIT_CALL, name_of(shard, place), kind,
                             &item, &failure);
    if (credit == NONE) {
        if (place != NONE)
            envelope_give(shard, place);
        call->failure = (int32_t)failure;
        return;
    }
    item->tag = tag;
    item->from = self->handle;
    item->to = to;
    item->payload_bytes = (uint16_t)payload_bytes;
    if (payload_bytes)
        memcpy(item->payload, payload, payload_bytes);
    call->envelope = place;
    COUNT(shard, messages_sent, 1);
}

tina_effect(tina_call)(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                       size_t payload_bytes, uint64_t timeout_ns) {
    tina_effect effect = {.kind = TINA_EFFECT_CALL};
    effect.call.target = to;
    effect.call.timeout_ns = timeout_ns;
    effect.call.envelope = NONE;
    payload_touch(payload, payload_bytes);
    ctx_enter(ctx);
    if (is_remote(ctx->shard, to)) {
        if (tag < 0 || payload_bytes > TINA_PAYLOAD_BYTES_MAX)
            effect.call.failure = TINA_CALL_BAD_MESSAGE;
        else
            call_away(ctx->shard, ctx->self, to, TINA_ITEM_CALL, tag, payload, payload_bytes,
                      &effect.call);
        ctx_leave(ctx);
        return effect;
    }
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
           (shard->envelopes[envelope].flags & ~ENVELOPE_AWAY) == ENVELOPE_CALL &&
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
    if (shard->envelopes[envelope].flags & ENVELOPE_AWAY) {
        TINA_SIM_PROBE("a call to another shard was given up");
        // The answer, when it comes, finds the place given to another.
        envelope_give(shard, envelope);
    } else if (shard->envelopes[envelope].flags & ENVELOPE_DELIVERED) {
        unanswered_unlink(shard, envelope);
        envelope_give(shard, envelope);
    } else {
        shard->envelopes[envelope].flags |= ENVELOPE_ABANDONED;
    }
}

// A caller on another shard may have given up by now; its own shard will know.
static bool is_awaited(const tina_shard *shard, uint32_t envelope) {
    return (shard->envelopes[envelope].flags & ENVELOPE_REMOTE) || caller_of(shard, envelope);
}

// call_delivered is called after the handler that got a call, if it was not answered there.
void call_delivered(tina_shard *shard, tina_isolate *callee, uint32_t envelope) {
    if (is_awaited(shard, envelope))
        unanswered_link(shard, callee, envelope);
    else
        envelope_give(shard, envelope);
}

// call_dropped is for a request that its callee will never see or never answer.
void call_dropped(tina_shard *shard, const tina_message *request, uint32_t envelope) {
    tina_isolate *caller = caller_of(shard, envelope);
    if (request->flags & ENVELOPE_REMOTE) {
        const remote_call *from = &shard->remote_calls[envelope];
        request_fail(shard, from->peer, from->credit, TINA_CALL_DIED);
    } else if (caller) {
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

// The handler that answers reads a copy of the request, so its envelope can go.
static void answer_away(tina_ctx *ctx, uint32_t envelope, int32_t tag, const void *payload,
                        size_t payload_bytes) {
    tina_shard *shard = ctx->shard;
    const remote_call *from = &shard->remote_calls[envelope];
    request_answer(shard, from->peer, from->credit, tag, payload, payload_bytes);
    if (shard->envelopes[envelope].flags & ENVELOPE_DELIVERED)
        unanswered_unlink(shard, envelope);
    else
        ctx->answered = true;
    envelope_give(shard, envelope);
    COUNT(shard, calls_answered, 1);
}

static tina_answer_result answer(tina_ctx *ctx, tina_caller caller, int32_t tag,
                                 const void *payload, size_t payload_bytes) {
    tina_shard *shard = ctx->shard;
    if (tag < 0 || payload_bytes > TINA_PAYLOAD_BYTES_MAX)
        return TINA_ANSWER_BAD_MESSAGE;
    tina_pool_ref ref = {(uint32_t)caller.bits, (uint32_t)(caller.bits >> 32)};
    tina_isolate *waiting = NULL;
    // Of a call that is still in a mailbox no caller was ever told.
    if (tina_pool_holds(&shard->envelope_pool, ref) && call_is_delivered(ctx, ref.slot)) {
        if (shard->envelopes[ref.slot].flags & ENVELOPE_REMOTE) {
            answer_away(ctx, ref.slot, tag, payload, payload_bytes);
            return TINA_ANSWER_OK;
        }
        waiting = caller_of(shard, ref.slot);
    }
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

tina_effect tina_spawn_on(tina_ctx *ctx, uint32_t number, const tina_isolate_type *type,
                          tina_bytes args, uint64_t timeout_ns) {
    tina_effect effect = {.kind = TINA_EFFECT_CALL};
    effect.call.target = tina_handle_make(number & 0xFFu, 0, 0, 0);
    effect.call.timeout_ns = timeout_ns;
    effect.call.envelope = NONE;
    tina_spawn_item item = {.type = type, .args_bytes = args.bytes};
    if (number == ctx->shard->number || number >= TINA_SHARD_COUNT_MAX ||
        args.bytes > sizeof item.args) {
        effect.call.failure = TINA_CALL_BAD_MESSAGE;
        return effect;
    }
    if (args.bytes)
        memcpy(item.args, args.data, args.bytes);
    ctx_enter(ctx);
    call_away(ctx->shard, ctx->self, effect.call.target, TINA_ITEM_SPAWN, 0, &item, sizeof item,
              &effect.call);
    ctx_leave(ctx);
    return effect;
}

// The place of a call whose caller still waits, or NULL: then the place, if it is still that
// call's, is given back.
static tina_isolate *place_caller(tina_shard *shard, uint64_t call) {
    tina_pool_ref ref = {(uint32_t)call, (uint32_t)(call >> 32)};
    if (!tina_pool_holds(&shard->envelope_pool, ref))
        return NULL;
    tina_isolate *caller = caller_of(shard, ref.slot);
    if (!caller)
        envelope_give(shard, ref.slot);
    return caller;
}

void call_failed(tina_shard *shard, uint64_t call, tina_call_failure failure) {
    tina_isolate *caller = place_caller(shard, call);
    if (!caller)
        return;
    uint32_t place = (uint32_t)call;
    caller->call_target = shard->envelopes[place].to;
    call_fail(shard, caller, failure);
    envelope_give(shard, place);
}

void call_answered(tina_shard *shard, uint64_t call, const tina_message *item) {
    if (item->flags == TINA_ITEM_FAILED) {
        int32_t failure;
        memcpy(&failure, item->payload, sizeof failure);
        call_failed(shard, call, (tina_call_failure)failure);
        return;
    }
    tina_isolate *caller = place_caller(shard, call);
    if (!caller) {
        TINA_SIM_PROBE("an answer came from another shard too late");
        COUNT(shard, answers_stale, 1);
        return;
    }
    tina_message *answer = &shard->envelopes[(uint32_t)call];
    caller_release(shard, caller);
    answer->tag = item->tag;
    answer->flags = 0;
    answer->payload_bytes = item->payload_bytes;
    memcpy(answer->payload, item->payload, item->payload_bytes);
    caller->state = ISOLATE_ANSWERED;
    isolate_wake(shard, caller);
}

// The asker's shard has begun anew: whatever becomes of this call, nobody is there to be told.
void call_disowned(tina_shard *shard, uint32_t envelope) {
    tina_message *request = &shard->envelopes[envelope];
    TINA_SIM_PROBE("a call was held whose shard began anew");
    TINA_ASSERT(request->flags & ENVELOPE_REMOTE);
    request->flags &= (uint16_t)~ENVELOPE_REMOTE;
    if (request->flags & ENVELOPE_DELIVERED) {
        unanswered_unlink(shard, envelope);
        envelope_give(shard, envelope);
    } else {
        request->flags |= ENVELOPE_ABANDONED;
    }
}
