// SPDX-License-Identifier: Apache-2.0
//
// What is done about a fault that cut a handler: its isolate ends, what it was given goes back, and
// the others go on. All of it in phase `framework`, so that a fault in here is the shard's.

#include "core/format.h"
#include "sched/internal.h"

static tina_exit_reason reason_of(const tina_shard *shard, const tina_fault *fault) {
    switch ((tina_fault_kind)fault->kind) {
    case TINA_FAULT_SIGNAL:
    case TINA_FAULT_ABORT:
        return (tina_exit_reason){TINA_EXIT_FAULT, fault->signal};
    case TINA_FAULT_PANIC:
        return (tina_exit_reason){TINA_EXIT_PANIC, 0};
    case TINA_FAULT_STACK_OVERFLOW:
        return (tina_exit_reason){TINA_EXIT_OVERFLOW, 0};
    case TINA_FAULT_RUNAWAY:
        return (tina_exit_reason){TINA_EXIT_RUNAWAY, 0};
    case TINA_FAULT_CALL_LIMIT:
        return (tina_exit_reason){TINA_EXIT_CALL_LIMIT, (int32_t)shard->call_max};
    case TINA_FAULT_NONE:
        break;
    }
    TINA_ASSERT(fault->kind != TINA_FAULT_NONE);
    return (tina_exit_reason){TINA_EXIT_FAULT, 0};
}

// A storm of faults is counted and told, but not traced: symbols take longer than the rest.
#define TRACES_A_SECOND 16

static bool trace_is_due(tina_shard *shard) {
    fault_log *faults = &shard->faults;
    uint64_t second = shard->now.monotonic_ns / UINT64_C(1000000000);
    if (!faults->symbolise)
        return false;
    if (second != faults->second) {
        faults->second = second;
        faults->traced = 0;
    }
    return faults->traced++ < TRACES_A_SECOND;
}

static void trace_log(tina_shard *shard, const tina_fault *fault) {
    const fault_log *faults = &shard->faults;
    char text[TINA_LOG_LINE_BYTES];
    size_t bytes = 0;
    for (uint32_t i = 0; i < fault->trace_count; i++) {
        // A return address may lie behind its function's last instruction; the call does not.
        uintptr_t pc = fault->trace[i] - (i != 0);
        char name[96];
        size_t name_bytes = faults->symbolise(faults->where, pc, name, sizeof name);
        if (name_bytes > sizeof name - 1)
            name_bytes = sizeof name - 1;
        // One line, less what the log writes before it.
        if (bytes + name_bytes + sizeof " < " > sizeof text - 64)
            break;
        bytes += tina_format(text + bytes, sizeof text - bytes, "%s%s", i ? " < " : "", name);
    }
    shard_log(shard, TINA_LOG_WARNING, "in %s", text);
}

static void fault_tell(tina_shard *shard, const tina_isolate *self, const tina_fault *fault) {
    const type_slots *type = &shard->types[self->type];
    char reason[TINA_FAULT_TEXT_BYTES + 32];
    if (!tina_log_wants(&shard->log, TINA_LOG_WARNING))
        return;
    tina_fault_describe(fault, reason, sizeof reason);
    shard_log(shard, TINA_LOG_WARNING, "%s %u.%u crashed: %s", type->type->name,
              isolate_slot(type, self), tina_handle_generation(self->handle), reason);
    if (trace_is_due(shard))
        trace_log(shard, fault);
}

static bool link_is_good(uint32_t link, uint32_t count) {
    return link == NONE || link < count;
}

// Whether a handler that went wrong has left what the shard keeps beside its struct as it was.
// O(1): the ends of its lists, and the neighbourhood of its slot.
static bool isolate_is_intact(const tina_shard *shard, const tina_isolate *self) {
    const type_slots *type = shard->ctx.type;
    uint32_t envelopes = shard->envelope_pool.slot_count;
    uint32_t slot = isolate_slot(type, self);
    tina_handle handle = self->handle;
    if (slot >= type->slot_count || self->state != ISOLATE_RUNNING || !self->queued ||
        !tina_pool_intact(&type->pool, slot) || !tina_pool_is_live(&type->pool, slot))
        return false;
    if (tina_handle_slot(handle) != slot || &shard->types[tina_handle_type(handle)] != type ||
        tina_handle_generation(handle) != tina_pool_generation(&type->pool, slot))
        return false;
    return link_is_good(self->mail_first, envelopes) && self->mail_count <= type->mailbox_max &&
           (self->mail_first == NONE) == (self->mail_count == 0) &&
           (self->mail_first == NONE ||
            shard->envelopes[self->mail_first].to.bits == handle.bits) &&
           link_is_good(self->unanswered_first, envelopes) &&
           link_is_good(self->timer_first, shard->timer_pool.slot_count) &&
           link_is_good(self->fired_first, shard->timer_pool.slot_count) &&
           link_is_good(self->monitor_first, shard->monitor_pool.slot_count) &&
           link_is_good(self->watcher_first, shard->monitor_pool.slot_count) &&
           link_is_good(self->down_first, shard->monitor_pool.slot_count) &&
           link_is_good(self->transfer_first, shard->transfer_entries);
}

void fault_recover(tina_shard *shard) {
    tina_isolate *self = shard->ctx.self;
    const tina_fault *fault = &shard->ctx.trap->fault;
    if (!isolate_is_intact(shard, self))
        tina_trap_panic(shard->ctx.trap, TINA_FAULT_PANIC,
                        "a handler that crashed had written where its shard keeps the books");
    COUNT(shard, faults, 1);
    fault_tell(shard, self, fault);
    debt_pay(shard, self);
    isolate_end(shard, self, reason_of(shard, fault));
    turn_end(shard, self);
}
