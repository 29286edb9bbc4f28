// SPDX-License-Identifier: Apache-2.0
//
// Where an op's memory lies: the kernel reads it while the isolate sleeps, so it must be the
// isolate's for as long.

#include "sched/internal.h"

// Below this frame lie the dead frames of the handler that returned the effect, above it, up to
// that of the tick, ours. Bytes there would be sent, or an address read, after they have become
// something else.
#define HANDLER_STACK_BYTES (256u << 10)

static bool is_on_stack(const tina_shard *shard, const void *data) {
    uintptr_t at = (uintptr_t)data;
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    return at > frame - HANDLER_STACK_BYTES && at < shard->stack_top;
}

// What the shard carved for itself lies in one piece, from its own structure to its log. Messages,
// received bytes and scratch are there, all of them somebody else's once the handler has returned.
static bool is_the_shards(const tina_shard *shard, const void *data) {
    const void *end = shard->log.text + shard->log.capacity;
    return (uintptr_t)data >= (uintptr_t)shard && (uintptr_t)data < (uintptr_t)end;
}

// Scratch is reset when the next handler is called, and a path composed there is copied before.
static bool is_scratch(const tina_shard *shard, const void *data) {
    uintptr_t base = (uintptr_t)shard->scratch.base;
    return (uintptr_t)data >= base && (uintptr_t)data < base + shard->scratch.size;
}

#define ON_STACK    "on its handler's stack; use its struct"
#define IN_TRANSFER "in a transfer buffer that it does not keep"
#define OF_HANDLER  "that lasts for one handler; copy it to its struct"

// Each returns what is wrong with where something lies, or NULL.

static const char *bytes_bad(const tina_shard *shard, const tina_isolate *self, const void *data,
                             size_t bytes) {
    if (is_on_stack(shard, data))
        return ON_STACK;
    if (transfers_hold(shard, data))
        return transfer_lets_read(shard, self, data, bytes) ? NULL : IN_TRANSFER;
    return is_the_shards(shard, data) ? OF_HANDLER : NULL;
}

// A stat is written; a buffer on loan is another shard's to write.
static const char *stat_bad(const tina_shard *shard, const void *stat) {
    if (is_on_stack(shard, stat))
        return ON_STACK;
    if (transfers_hold(shard, stat))
        return "in a transfer buffer; use its struct";
    return is_the_shards(shard, stat) ? OF_HANDLER : NULL;
}

static const char *copied_bad(const tina_shard *shard, const tina_isolate *self, const void *data) {
    if (is_scratch(shard, data))
        return NULL;
    return bytes_bad(shard, self, data, 1);
}

static const char *op_bad(const tina_shard *shard, const tina_isolate *self, const tina_io_op *op) {
    switch (op->kind) {
    case TINA_OP_SEND:
    case TINA_OP_SENDTO:
    case TINA_OP_WRITE:
        return bytes_bad(shard, self, op->data, op->bytes);
    case TINA_OP_STAT:
        return stat_bad(shard, op->stat);
    default:
        return NULL;
    }
}

// What an effect names is read after its handler has returned: of an address on that one's stack
// nothing is left to copy.
static const char *effect_bad(const tina_shard *shard, const tina_isolate *self,
                              const tina_io_op *op) {
    const char *bad = NULL;
    switch (op->kind) {
    case TINA_OP_SENDTO:
        return copied_bad(shard, self, op->address);
    case TINA_OP_RENAME:
        bad = copied_bad(shard, self, op->to);
        break;
    case TINA_OP_CONNECT:
    case TINA_OP_OPEN:
    case TINA_OP_STAT:
    case TINA_OP_UNLINK:
        break;
    default:
        return NULL;
    }
    return bad ? bad : copied_bad(shard, self, op->data);
}

static int32_t op_refuse(tina_shard *shard, const tina_isolate *self, const char *bad) {
    const type_slots *type = &shard->types[self->type];
    shard_log(shard, TINA_LOG_ERROR, "%s %u.%u gave an op memory %s", type->type->name,
              isolate_slot(type, self), tina_handle_generation(self->handle), bad);
    return TINA_IO_BAD_OP;
}

int32_t op_submit(tina_shard *shard, tina_isolate *self, const tina_io_op *op, tina_io_id *id) {
    const char *bad = op_bad(shard, self, op);
    if (bad)
        return op_refuse(shard, self, bad);
    int32_t refusal = tina_reactor_submit(shard->reactor, &self->io, op, id);
    if (refusal == 0 && op->timeout_ns)
        tina_reactor_set_companion(
            shard->reactor, *id, deadline_set(shard, self, TIMER_OP, id->bits, op->timeout_ns) + 1);
    return refusal;
}

int32_t op_submit_effect(tina_shard *shard, tina_isolate *self, const tina_io_op *op,
                         tina_io_id *id) {
    if (op->flags & TINA_IO_MULTISHOT)
        return TINA_IO_BAD_OP;
    const char *bad = effect_bad(shard, self, op);
    if (bad)
        return op_refuse(shard, self, bad);
    tina_trap_set_phase(shard->ctx.trap, TINA_PHASE_COPYING);
    op_touch(op);
    tina_trap_set_phase(shard->ctx.trap, TINA_PHASE_FRAMEWORK);
    return op_submit(shard, self, op, id);
}
