// SPDX-License-Identifier: Apache-2.0
//
// Dispatch: from ready isolates to handlers, and from the effects they return to what they wait
// for.

#include <string.h>

#include "sched/internal.h"

// An event is a message from nobody; only the member of its union that its tag names is set.
static void event_begin(tina_message *event, int32_t tag) {
    event->tag = tag;
    event->payload_bytes = 0;
    event->flags = 0;
    event->from = tina_handle_none();
    event->to = tina_handle_none();
}

static void io_event(const tina_shard *shard, const tina_io_completion *completion,
                     tina_message *event) {
    event_begin(event, TINA_IO_DONE - completion->kind);
    event->io.id = completion->id;
    event->io.fd = completion->fd;
    event->io.result = completion->result;
    event->io.bytes = completion->bytes;
    event->io.flags = completion->flags;
    event->io.from =
        completion->kind == TINA_OP_RECVFROM ? tina_reactor_sender(shard->reactor) : NULL;
    event->io.data = completion->buffer == TINA_IO_NO_BUFFER
                         ? NULL
                         : tina_reactor_buffer(shard->reactor, completion->buffer);
}

static void completion_event(tina_shard *shard, const tina_io_completion *completion,
                             tina_message *event) {
    // The companion of an op is its deadline's entry plus 1.
    if (completion->companion)
        deadline_clear(shard, completion->companion - 1);
    io_event(shard, completion, event);
}

static bool awaited_event(tina_shard *shard, tina_isolate *self, tina_message *event,
                          uint16_t *buffer) {
    tina_io_completion completion;
    if (!tina_reactor_next_of(shard->reactor, &self->io, self->awaited, &completion))
        return false;
    *buffer = completion.buffer;
    // The cancel came too late: it is the next op's turn.
    if (self->told == TOLD_TO_TELL && completion.result != TINA_IO_CANCELED)
        self->told = TOLD_TO_CANCEL;
    completion_event(shard, &completion, event);
    return true;
}

static bool background_event(tina_shard *shard, tina_isolate *self, tina_message *event,
                             uint16_t *buffer) {
    tina_io_completion completion;
    if (!tina_reactor_next(shard->reactor, &self->io, &completion)) {
        self->control &= (uint8_t)~CONTROL_COMPLETED;
        return false;
    }
    *buffer = completion.buffer;
    completion_event(shard, &completion, event);
    return true;
}

static void refused_event(const tina_isolate *self, tina_message *event) {
    event_begin(event, TINA_IO_DONE - self->refused_kind);
    event->io.id = (tina_io_id){0};
    event->io.fd = self->refused_fd;
    event->io.result = self->refusal;
    event->io.bytes = 0;
    event->io.flags = 0;
    event->io.from = NULL;
    event->io.data = NULL;
}

// What a handler is given, and what must be given back after it.
typedef struct tina_delivery {
    const tina_message *message;
    handler_debt debt;
} tina_delivery;

#define NO_DEBT ((handler_debt){.envelope = NONE, .buffer = TINA_IO_NO_BUFFER})

// A call is delivered as a copy: its envelope may carry the answer away while the handler still
// reads.
static bool message_event(tina_shard *shard, tina_isolate *self, tina_message *event,
                          tina_delivery *delivery) {
    for (;;) {
        uint32_t index = self->mail_first;
        if (index == NONE)
            return false;
        tina_message *message = &shard->envelopes[index];
        TINA_ASSERT(message->to.bits == self->handle.bits);
        self->mail_first = message->next;
        self->mail_count--;
        self->mail_taken++;
        if (message->flags & ENVELOPE_ABANDONED) {
            COUNT(shard, messages_dropped, 1);
            envelope_give(shard, index);
            continue;
        }
        delivery->debt.envelope = index;
        delivery->debt.flags = message->flags;
        delivery->message = message;
        if (message->flags & ENVELOPE_CALL) {
            *event = *message;
            delivery->message = event;
        }
        return true;
    }
}

static void answer_event(const tina_shard *shard, const tina_isolate *self, tina_message *event) {
    const tina_message *answer = &shard->envelopes[self->call_envelope];
    *event = *answer;
    event->from = answer->to;
    event->to = answer->from;
}

static void call_failed_event(const tina_isolate *self, tina_message *event) {
    event_begin(event, TINA_CALL_FAILED);
    event->call.target = self->call_target;
    event->call.failure = self->refusal;
}

// Control events overtake messages, except that a monitor's event waits for the messages that were
// accepted before it.
static bool control_event(tina_shard *shard, tina_isolate *self, tina_message *event,
                          tina_delivery *delivery) {
    if (self->control & CONTROL_TOLD) {
        self->control &= (uint8_t)~CONTROL_TOLD;
        self->told = TOLD_NOTHING;
        event_begin(event, TINA_SHUTDOWN);
        return true;
    }
    if (self->control & CONTROL_COMPLETED &&
        background_event(shard, self, event, &delivery->debt.buffer))
        return true;
    event_begin(event, TINA_TIMER);
    if (self->control & CONTROL_FIRED && timer_event(shard, self, event))
        return true;
    event_begin(event, TINA_DOWN);
    return self->control & CONTROL_DOWN && down_event(shard, self, event);
}

static bool delivery_next(tina_shard *shard, tina_isolate *self, tina_message *event,
                          tina_delivery *delivery) {
    delivery->message = event;
    delivery->debt = NO_DEBT;
    switch ((isolate_state)self->state) {
    case ISOLATE_RECEIVING:
        // A call that is passed over may have been the last that a monitor's event waited for.
        return (self->control && control_event(shard, self, event, delivery)) ||
               message_event(shard, self, event, delivery) ||
               (self->control && control_event(shard, self, event, delivery));
    case ISOLATE_AWAITING:
        return awaited_event(shard, self, event, &delivery->debt.buffer);
    case ISOLATE_REFUSED:
        refused_event(self, event);
        return true;
    case ISOLATE_ANSWERED:
        answer_event(shard, self, event);
        envelope_give(shard, self->call_envelope);
        return true;
    case ISOLATE_CALL_FAILED:
        call_failed_event(self, event);
        return true;
    case ISOLATE_YIELDED:
        event_begin(event, TINA_YIELDED);
        return true;
    case ISOLATE_CALLING:
        return false;
    case ISOLATE_FREE:
    case ISOLATE_STARTING:
    case ISOLATE_RUNNING:
    case ISOLATE_DRAINING:
        break;
    }
    TINA_ASSERT(self->state == ISOLATE_FREE || self->state == ISOLATE_DRAINING);
    return false;
}

// debt_pay gives back what the handler that was just left, by whatever way, was given.
void debt_pay(tina_shard *shard, tina_isolate *self) {
    handler_debt debt = shard->ctx.debt;
    shard->ctx.debt = NO_DEBT;
    if (debt.envelope != NONE) {
        if (debt.flags & ENVELOPE_TRANSFER)
            transfer_end(shard, self, shard->ctx.transfer);
        if (!(debt.flags & ENVELOPE_CALL))
            envelope_give(shard, debt.envelope);
        else if (!shard->ctx.answered)
            call_delivered(shard, self, debt.envelope);
    }
    if (debt.buffer != TINA_IO_NO_BUFFER)
        tina_reactor_give_buffer(shard->reactor, debt.buffer);
}

// Shutdown cancels one awaited op or call: the one at that time, or the first after it that can be.
static void awaited_cancel(tina_shard *shard, tina_isolate *self) {
    if (self->state != ISOLATE_AWAITING && self->state != ISOLATE_CALLING)
        return;
    self->told = TOLD_TO_TELL;
    if (self->state == ISOLATE_AWAITING)
        tina_reactor_cancel(shard->reactor, self->awaited, TINA_IO_CANCELED);
    else
        call_end(shard, self, TINA_CALL_CANCELED);
}

// Told again before it has heard, it hears once.
void isolate_tell_shutdown(tina_shard *shard, tina_isolate *told) {
    if (told->control & CONTROL_TOLD)
        return;
    told->told = TOLD_TO_CANCEL;
    told->control |= CONTROL_TOLD;
    awaited_cancel(shard, told);
    isolate_wake(shard, told);
}

static void io_begin(tina_shard *shard, tina_isolate *self, const tina_io_op *op) {
    tina_io_id id;
    int32_t refusal = op_submit_effect(shard, self, op, &id);
    if (refusal != 0) {
        COUNT(shard, io_refused, 1);
        self->state = ISOLATE_REFUSED;
        self->refused_kind = op->kind;
        self->refusal = refusal;
        self->refused_fd = op->fd;
        return;
    }
    self->state = ISOLATE_AWAITING;
    self->awaited = id;
}

// What the trap tells is not for an effect to say, and TINA_EXIT_UNKNOWN is a monitor's word.
static bool exit_is_known(tina_exit_reason reason) {
    return reason.kind >= TINA_EXIT_NORMAL && reason.kind < TINA_EXIT_CALL_LIMIT;
}

static void effect_apply(tina_shard *shard, tina_isolate *self, const tina_effect *effect) {
    switch ((tina_effect_kind)effect->kind) {
    case TINA_EFFECT_RECEIVE:
        self->state = ISOLATE_RECEIVING;
        return;
    case TINA_EFFECT_YIELD:
        self->state = ISOLATE_YIELDED;
        return;
    case TINA_EFFECT_IO:
        io_begin(shard, self, &effect->op);
        break;
    case TINA_EFFECT_CALL:
        (void)call_begin(shard, self, effect);
        break;
    case TINA_EFFECT_EXIT:
        if (!exit_is_known(effect->reason))
            break;
        isolate_end(shard, self, effect->reason);
        return;
    case TINA_EFFECT_NONE:
    default:
        break;
    }
    if (self->state == ISOLATE_RUNNING) {
        isolate_end(shard, self, (tina_exit_reason){TINA_EXIT_BAD_EFFECT, effect->kind});
        return;
    }
    if (self->told == TOLD_TO_CANCEL)
        awaited_cancel(shard, self);
}

// What each call of init or handle starts with.
static inline void ctx_begin(tina_shard *shard, tina_isolate *self, handler_debt debt) {
    self->state = ISOLATE_RUNNING;
    shard->ctx.debt = debt;
    shard->ctx.calls_left = shard->call_max;
    shard->ctx.answered = false;
    shard->ctx.envelope = NONE;
    shard->turn_calls++;
    tina_bump_reset(&shard->scratch);
}

static inline void user_begin(const tina_shard *shard) {
    tina_trap_set_phase(shard->ctx.trap, TINA_PHASE_USER);
}

static inline void user_end(const tina_shard *shard) {
    tina_trap_set_phase(shard->ctx.trap, TINA_PHASE_FRAMEWORK);
}

// The args lie where the struct will be: they move to the stack, and the struct starts zeroed.
static __attribute__((noinline)) void isolate_start(tina_shard *shard, tina_isolate *self,
                                                    type_slots *type, uint8_t *memory) {
    _Alignas(16) uint8_t args[TINA_ARGS_BYTES_MAX];
    ctx_begin(shard, self, NO_DEBT);
    size_t args_bytes = self->args_bytes;
    for (size_t i = 0; i < args_bytes; i++)
        args[i] = memory[i];
    memset(memory, 0, type->type->struct_bytes);
    user_begin(shard);
    tina_effect effect =
        type->init(&shard->ctx, memory, tina_bytes_of(args_bytes ? args : NULL, args_bytes));
    user_end(shard);
    effect_apply(shard, self, &effect);
    if (self->supervised && isolate_is_live(self))
        child_inited(shard, self);
}

// What a message brought besides its payload: a caller to answer, or a buffer.
static void ctx_envelope(tina_shard *shard, const tina_delivery *delivery) {
    const tina_message *message = delivery->message;
    if (message->flags & ENVELOPE_CALL)
        shard->ctx.envelope = delivery->debt.envelope;
    if (message->flags & ENVELOPE_TRANSFER) {
        uint32_t index = message->transfer;
        shard->ctx.transfer = transfer_name(shard, index);
        TINA_ASSERT(shard->transfers[index].mailed);
        shard->transfers[index].mailed = false;
    }
}

// Not inlined: what it needs of the stack would cost message_call registers.
static __attribute__((noinline)) bool isolate_call(tina_shard *shard, tina_isolate *self,
                                                   type_slots *type, void *memory) {
    tina_message event;
    tina_delivery delivery;
    if (!delivery_next(shard, self, &event, &delivery))
        return false;
    ctx_begin(shard, self, delivery.debt);
    if (delivery.debt.flags)
        ctx_envelope(shard, &delivery);
    user_begin(shard);
    tina_effect effect = type->handle(&shard->ctx, memory, delivery.message);
    user_end(shard);
    debt_pay(shard, self);
    effect_apply(shard, self, &effect);
    return true;
}

// An isolate's turn: its type's batch, and up to four times that when so many messages wait for it,
// so that a queue that builds up is worked off faster than it is filled in small bites.
static inline uint32_t turn_of(const tina_shard *shard, const tina_isolate *self,
                               const type_slots *type) {
    uint32_t turn = type->batch;
    if (RARELY(self->mail_count > turn))
        turn = self->mail_count < 4 * turn ? self->mail_count : 4 * turn;
    return turn < shard->tick_left ? turn : shard->tick_left;
}

// Whether an isolate that was just called may have more to handle now.
static inline bool may_go_on(const tina_isolate *self) {
    switch ((isolate_state)self->state) {
    case ISOLATE_RECEIVING:
        return self->mail_first != NONE || self->control;
    case ISOLATE_AWAITING:
        return (self->control & CONTROL_COMPLETED) != 0;
    case ISOLATE_REFUSED:
    case ISOLATE_ANSWERED:
    case ISOLATE_CALL_FAILED:
        return true;
    case ISOLATE_FREE:
    case ISOLATE_STARTING:
    case ISOLATE_RUNNING:
    case ISOLATE_CALLING:
    case ISOLATE_YIELDED:
    case ISOLATE_DRAINING:
        break;
    }
    return false;
}

// The way of most messages: nothing but a payload, to one that receives, with no event before it.
// False when the isolate is to be called the long way, or not at all.
static inline bool message_call(tina_shard *shard, tina_isolate *self, const type_slots *type,
                                void *memory) {
    uint32_t index = self->mail_first;
    if (self->state != ISOLATE_RECEIVING || self->control || index == NONE)
        return false;
    const tina_message *message = &shard->envelopes[index];
    if (message->flags)
        return false;
    TINA_ASSERT(message->to.bits == self->handle.bits);
    self->mail_first = message->next;
    self->mail_count--;
    self->mail_taken++;
    ctx_begin(shard, self, (handler_debt){index, 0, TINA_IO_NO_BUFFER});
    user_begin(shard);
    tina_effect effect = type->handle(&shard->ctx, memory, message);
    user_end(shard);
    envelope_give(shard, shard->ctx.debt.envelope);
    if (effect.kind == TINA_EFFECT_RECEIVE) {
        self->state = ISOLATE_RECEIVING;
        return true;
    }
    shard->ctx.debt = NO_DEBT;
    effect_apply(shard, self, &effect);
    return true;
}

// Calls the isolate at most as often as its batch says, and as is left of the tick. While it runs
// it still counts as queued, so that what it does to itself queues it nowhere twice.
static void isolate_run(tina_shard *shard, tina_isolate *self) {
    type_slots *type = &shard->types[self->type];
    bool starts = self->state == ISOLATE_STARTING;
    bool more = true;
    void *memory = tina_pool_slot(&type->pool, isolate_slot(type, self));
    uint32_t turn = turn_of(shard, self, type);
    shard->turn_calls = 0;
    shard->ctx.self = self;
    shard->ctx.type = type;
    if (RARELY(starts)) {
        isolate_start(shard, self, type, memory);
        more = may_go_on(self);
    }
    while (more && shard->turn_calls < turn)
        more =
            (message_call(shard, self, type, memory) || isolate_call(shard, self, type, memory)) &&
            may_go_on(self);
    turn_end(shard, self);
    if (more)
        ready_append(shard, &shard->ready, self);
    else if (self->state == ISOLATE_YIELDED && shard->turn_calls)
        ready_append(shard, &shard->yielded, self);
}

void dispatch_ready(tina_shard *shard) {
    shard->stack_top = (uintptr_t)__builtin_frame_address(0);
    while (shard->tick_left) {
        tina_isolate *next = ready_take(shard);
        if (!next)
            return;
        // One that ended after it was queued.
        if (RARELY(next->state == ISOLATE_FREE || next->state == ISOLATE_DRAINING))
            next->queued = false;
        else
            isolate_run(shard, next);
    }
}
