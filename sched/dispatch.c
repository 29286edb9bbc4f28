// SPDX-License-Identifier: Apache-2.0
//
// Dispatch: from ready isolates to handlers, and from the effects they return to what they wait
// for.

#include <string.h>

#include "sched/internal.h"

static tina_message *envelope_at(const tina_shard *shard, uint32_t index) {
    return &shard->envelopes[index];
}

static tina_message *mailbox_take(tina_shard *shard, tina_isolate *receiver) {
    uint32_t index = receiver->mail_first;
    if (index == NONE)
        return NULL;
    tina_message *message = envelope_at(shard, index);
    TINA_ASSERT(message->to.bits == receiver->handle.bits);
    receiver->mail_first = message->next;
    receiver->mail_count--;
    return message;
}

static void envelope_give(tina_shard *shard, const tina_message *message) {
    tina_pool_give_slot(&shard->envelope_pool, (uint32_t)(message - shard->envelopes));
}

void mailbox_drop(tina_shard *shard, tina_isolate *ended) {
    while (ended->mail_first != NONE) {
        uint32_t index = ended->mail_first;
        ended->mail_first = envelope_at(shard, index)->next;
        tina_pool_give_slot(&shard->envelope_pool, index);
        shard->counters.messages_dropped++;
    }
    ended->mail_count = 0;
}

// An event is a message from nobody; only the member of its union that its tag names is set.
static void event_begin(tina_message *event, int32_t tag) {
    event->tag = tag;
    event->payload_bytes = 0;
    event->from = tina_handle_none();
}

static void io_event(const tina_shard *shard, const tina_io_completion *completion,
                     tina_message *event) {
    event_begin(event, TINA_IO_DONE - completion->kind);
    event->io.id = completion->id;
    event->io.fd = completion->fd;
    event->io.result = completion->result;
    event->io.bytes = completion->bytes;
    event->io.data = completion->buffer == TINA_IO_NO_BUFFER
                         ? NULL
                         : tina_reactor_buffer(shard->reactor, completion->buffer);
}

static bool awaited_event(tina_shard *shard, tina_isolate *self, tina_message *event,
                          uint16_t *buffer) {
    tina_io_completion completion;
    if (!tina_reactor_next(shard->reactor, &self->io, &completion))
        return false;
    TINA_ASSERT(completion.id.bits == self->awaited.bits);
    deadline_clear(shard, completion.companion);
    *buffer = completion.buffer;
    // The cancel came too late: it is the next op's turn.
    if (self->told == TOLD_TO_TELL && completion.result != TINA_IO_CANCELED)
        self->told = TOLD_TO_CANCEL;
    io_event(shard, &completion, event);
    return true;
}

static void refused_event(const tina_isolate *self, tina_message *event) {
    event_begin(event, TINA_IO_DONE - self->refused_kind);
    event->io.id = (tina_io_id){0};
    event->io.fd = self->refused_fd;
    event->io.result = self->refused_result;
    event->io.bytes = 0;
    event->io.data = NULL;
}

// What a handler is given, and what must be given back after it.
typedef struct tina_delivery {
    const tina_message *message;
    uint16_t buffer;
    bool envelope;
} tina_delivery;

// The order of events: what is awaited alone; else shutdown, timers, messages.
static bool delivery_next(tina_shard *shard, tina_isolate *self, tina_message *event,
                          tina_delivery *delivery) {
    delivery->message = event;
    delivery->buffer = TINA_IO_NO_BUFFER;
    delivery->envelope = false;
    switch ((isolate_state)self->state) {
    case ISOLATE_AWAITING:
        return awaited_event(shard, self, event, &delivery->buffer);
    case ISOLATE_REFUSED:
        refused_event(self, event);
        return true;
    case ISOLATE_YIELDED:
        event_begin(event, TINA_YIELDED);
        return true;
    case ISOLATE_RECEIVING:
        if (self->told) {
            self->told = TOLD_NOTHING;
            event_begin(event, TINA_SHUTDOWN);
            return true;
        }
        event_begin(event, TINA_TIMER);
        if (timer_event(shard, self, event))
            return true;
        delivery->message = mailbox_take(shard, self);
        delivery->envelope = true;
        return delivery->message != NULL;
    case ISOLATE_FREE:
    case ISOLATE_STARTING:
    case ISOLATE_DRAINING:
        break;
    }
    TINA_ASSERT(self->state == ISOLATE_FREE || self->state == ISOLATE_DRAINING);
    return false;
}

static void delivery_return(tina_shard *shard, const tina_delivery *delivery) {
    if (delivery->envelope)
        envelope_give(shard, delivery->message);
    if (delivery->buffer != TINA_IO_NO_BUFFER)
        tina_reactor_give_buffer(shard->reactor, delivery->buffer);
}

// Shutdown cancels one awaited op: the one at that time, or the first after it that can be.
static void awaited_cancel(tina_shard *shard, tina_isolate *self) {
    self->told = TOLD_TO_TELL;
    tina_reactor_cancel(shard->reactor, self->awaited, TINA_IO_CANCELED);
}

void isolate_tell_shutdown(tina_shard *shard, tina_isolate *told) {
    told->told = TOLD_TO_CANCEL;
    if (told->state == ISOLATE_AWAITING)
        awaited_cancel(shard, told);
    isolate_wake(shard, told);
}

// Below this frame lie the dead frames of the handler that returned the effect, above it, up to
// that of the tick, ours. Bytes there would be sent, or an address read, after they have become
// something else.
#define HANDLER_STACK_BYTES (256u << 10)

static bool is_on_stack(const tina_shard *shard, const void *data) {
    uintptr_t at = (uintptr_t)data;
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    return at > frame - HANDLER_STACK_BYTES && at < shard->stack_top;
}

static void log_stack_memory(tina_shard *shard, const tina_isolate *self) {
    const type_slots *type = &shard->types[self->type];
    shard_log(shard, TINA_LOG_ERROR,
              "%s %u.%u gave an op memory on its handler's stack; use its struct", type->type->name,
              isolate_slot(type, self), tina_handle_generation(self->handle));
}

static void io_begin(tina_shard *shard, tina_isolate *self, const tina_io_op *op) {
    tina_io_id id;
    int32_t refusal = TINA_IO_BAD_OP;
    if (is_on_stack(shard, op->data))
        log_stack_memory(shard, self);
    else
        refusal = tina_reactor_submit(shard->reactor, &self->io, op, &id);
    if (refusal != 0) {
        shard->counters.io_refused++;
        self->state = ISOLATE_REFUSED;
        self->refused_kind = op->kind;
        self->refused_result = refusal;
        self->refused_fd = op->fd;
        return;
    }
    self->state = ISOLATE_AWAITING;
    self->awaited = id;
    if (op->timeout_ns)
        deadline_set(shard, self, id, op->timeout_ns);
    if (self->told == TOLD_TO_CANCEL)
        awaited_cancel(shard, self);
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
        return;
    case TINA_EFFECT_EXIT:
        isolate_end(shard, self, effect->reason);
        return;
    case TINA_EFFECT_NONE:
        break;
    }
    isolate_end(shard, self, (tina_exit_reason){TINA_EXIT_BAD_EFFECT, effect->kind});
}

static void *ctx_begin(tina_shard *shard, tina_isolate *self, type_slots *type) {
    shard->ctx.self = self;
    shard->ctx.type = type;
    shard->ctx.calls_left = shard->call_max;
    shard->ctx.over = false;
    tina_bump_reset(&shard->scratch);
    shard->counters.dispatches++;
    return tina_pool_slot(&type->pool, isolate_slot(type, self));
}

static void ctx_end(tina_shard *shard, tina_isolate *self, const tina_effect *effect) {
    tina_effect limit = tina_effect_exit(TINA_EXIT_CALL_LIMIT, (int32_t)shard->call_max);
    effect_apply(shard, self, shard->ctx.over ? &limit : effect);
    shard->ctx.self = NULL;
}

// The args lie where the struct will be: they move to the stack, and the struct starts zeroed.
static void isolate_start(tina_shard *shard, tina_isolate *self, type_slots *type) {
    _Alignas(16) uint8_t args[TINA_ARGS_BYTES_MAX];
    uint8_t *memory = ctx_begin(shard, self, type);
    size_t args_bytes = self->args_bytes;
    for (size_t i = 0; i < args_bytes; i++)
        args[i] = memory[i];
    memset(memory, 0, type->type->struct_bytes);
    tina_effect effect =
        type->type->init(&shard->ctx, memory, tina_bytes_of(args_bytes ? args : NULL, args_bytes));
    ctx_end(shard, self, &effect);
    if (shard->child_awaited == isolate_index(shard, self))
        shard->child_awaited = NONE;
}

static bool isolate_call(tina_shard *shard, tina_isolate *self, type_slots *type) {
    tina_message event;
    tina_delivery delivery;
    if (!delivery_next(shard, self, &event, &delivery))
        return false;
    void *memory = ctx_begin(shard, self, type);
    tina_effect effect = type->type->handle(&shard->ctx, memory, delivery.message);
    delivery_return(shard, &delivery);
    ctx_end(shard, self, &effect);
    return true;
}

// Returns how many times it called the isolate: at most its batch, and at most limit. While it runs
// it counts as queued, so that what it does to itself queues it nowhere twice.
static uint32_t isolate_run(tina_shard *shard, tina_isolate *self, uint32_t limit) {
    type_slots *type = &shard->types[self->type];
    uint32_t batch = type->batch < limit ? type->batch : limit;
    uint32_t calls = 0;
    bool more = true;
    self->queued = true;
    if (self->state == ISOLATE_STARTING) {
        isolate_start(shard, self, type);
        calls++;
    }
    while (more && calls < batch && (calls == 0 || self->state != ISOLATE_YIELDED)) {
        more = isolate_call(shard, self, type);
        calls += more;
    }
    self->queued = false;
    if (calls && self->state == ISOLATE_YIELDED)
        ready_append(shard, &shard->yielded, self);
    else if (more && self->state != ISOLATE_FREE && self->state != ISOLATE_DRAINING)
        ready_append(shard, &shard->ready, self);
    return calls;
}

void dispatch_ready(tina_shard *shard) {
    shard->stack_top = (uintptr_t)__builtin_frame_address(0);
    uint32_t budget = shard->tick_batch;
    while (budget) {
        tina_isolate *next = ready_take(shard);
        if (!next)
            return;
        budget -= isolate_run(shard, next, budget);
    }
}
