// SPDX-License-Identifier: Apache-2.0
//
// Birth and death of isolates.
//
//     FREE ─spawn─▶ STARTING ─init─▶ RECEIVING, AWAITING, YIELDED … ─end─▶ DRAINING ─last
//     completion─▶ FREE
//
// Ending makes the handle stale at once and the slot free only when the kernel holds nothing of it.

#include <string.h>

#include "sched/internal.h"

// The supervisor hears of the end only here, as a restart may need this very slot.
static void slot_free(tina_shard *shard, tina_isolate *ended) {
    type_slots *type = &shard->types[ended->type];
    if (ended->supervised)
        child_exited(shard, ended, (tina_exit_class)ended->exited);
    transfers_drop(shard, ended);
    ended->state = ISOLATE_FREE;
    tina_pool_give_slot(&type->pool, isolate_slot(type, ended));
}

tina_spawn_result isolate_spawn(tina_shard *shard, const tina_isolate_type *type, tina_bytes args,
                                tina_isolate **spawned) {
    if (args.bytes > TINA_ARGS_BYTES_MAX)
        return TINA_SPAWN_BAD_ARGS;
    type_slots *slots = types_find(shard, type);
    if (!slots)
        return TINA_SPAWN_UNKNOWN_TYPE;
    tina_pool_ref ref;
    tina_pool_result taken = tina_pool_take(&slots->pool, &ref);
    if (taken != TINA_POOL_OK)
        return taken == TINA_POOL_FULL ? TINA_SPAWN_FULL : TINA_SPAWN_WORN_OUT;

    uint32_t number = (uint32_t)(slots - shard->types);
    tina_isolate *born = &slots->isolates[ref.slot];
    TINA_ASSERT(born->state == ISOLATE_FREE);
    TINA_ASSERT(born->io.ops_in_flight == 0);
    tina_handle handle = tina_handle_make(shard->number, number, ref.slot, ref.generation);
    *born = (tina_isolate){
        .handle = handle,
        .ready_next = born->ready_next,
        .mail_first = NONE,
        .mail_last = NONE,
        .state = ISOLATE_STARTING,
        .control = shard->telling_all ? CONTROL_TOLD : 0,
        .told = shard->telling_all ? TOLD_TO_CANCEL : TOLD_NOTHING,
        .type = (uint8_t)number,
        .args_bytes = (uint8_t)args.bytes,
        .queued = born->queued,
        .timer_first = NONE,
        .fired_first = NONE,
        .down_first = NONE,
        .io = {.token = isolate_index(shard, born)},
        .call_envelope = NONE,
        .unanswered_first = NONE,
        .fired_last = NONE,
        .down_last = NONE,
        .monitor_first = NONE,
        .watcher_first = NONE,
        .transfer_first = NONE,
    };
    if (args.bytes)
        memcpy(tina_pool_slot(&slots->pool, ref.slot), args.data, args.bytes);
    isolate_wake(shard, born);
    COUNT(shard, spawned, 1);
    GAUGE(shard, isolates_in_use, ++shard->isolates_in_use);
    *spawned = born;
    return TINA_SPAWN_OK;
}

static const char *const exit_names[] = {
    [TINA_EXIT_NORMAL] = "done",
    [TINA_EXIT_SHUTDOWN] = "shut down",
    [TINA_EXIT_CODE] = "exited with code",
    [TINA_EXIT_CRASH] = "crashed with code",
    [TINA_EXIT_KILLED] = "outlived the shutdown deadline and was ended",
    [TINA_EXIT_BAD_EFFECT] = "crashed: it returned an effect that cannot stand there, kind",
};

// What the trap cut, it has told already, with more than a reason holds.
static bool exit_is_told(tina_exit_reason reason) {
    return reason.kind >= TINA_EXIT_CALL_LIMIT && reason.kind <= TINA_EXIT_RUNAWAY;
}

static void log_end(tina_shard *shard, const tina_isolate *ended, tina_exit_reason reason) {
    const type_slots *type = &shard->types[ended->type];
    shard_log(shard, TINA_LOG_WARNING, "%s %u.%u %s %d", type->type->name,
              isolate_slot(type, ended), tina_handle_generation(ended->handle),
              exit_names[reason.kind], reason.code);
}

static void end_count(tina_shard *shard, const tina_isolate *ended, tina_exit_reason reason) {
    if (reason.kind <= TINA_EXIT_CODE) {
        COUNT(shard, exited, 1);
        return;
    }
    COUNT(shard, crashed, 1);
    if (!exit_is_told(reason))
        log_end(shard, ended, reason);
}

static tina_exit_class exit_class(tina_exit_reason reason) {
    if (reason.kind == TINA_EXIT_NORMAL)
        return TINA_EXITED_NORMAL;
    return reason.kind == TINA_EXIT_SHUTDOWN ? TINA_EXITED_SHUTDOWN : TINA_EXITED_ABNORMAL;
}

// Who is killed or ended well leaves nothing.
static void heir_spawn(tina_shard *shard, tina_isolate *dead, tina_handle name,
                       tina_exit_reason reason) {
    const tina_isolate_type *type = shard->types[dead->type].type;
    if (!type->heir || reason.kind <= TINA_EXIT_CODE || reason.kind == TINA_EXIT_KILLED)
        return;
    tina_heir_args args = {tina_reactor_heirloom(shard->reactor, &dead->io), name, reason};
    if (tina_fd_is_none(args.fd))
        return;
    tina_isolate *heir;
    if (isolate_spawn(shard, type->heir, (tina_bytes){&args, sizeof args}, &heir) !=
        TINA_SPAWN_OK) {
        COUNT(shard, spawns_refused, 1);
        return;
    }
    tina_reactor_inherit(shard->reactor, &dead->io, args.fd, &heir->io);
}

// The order matters: what it waits for is let go while its handle still names it; then the handle
// is stale, and those who wait for it, or are told of its end, cannot reach it any more.
void isolate_end(tina_shard *shard, tina_isolate *ended, tina_exit_reason reason) {
    TINA_ASSERT(ended->state != ISOLATE_FREE);
    TINA_ASSERT(ended->state != ISOLATE_DRAINING);
    end_count(shard, ended, reason);
    if (ended->state == ISOLATE_CALLING || ended->state == ISOLATE_ANSWERED)
        call_abandon(shard, ended);
    tina_handle name = ended->handle;
    monitors_drop(shard, ended);
    monitors_tell(shard, ended, reason);
    ended->handle = tina_handle_none();
    ended->state = ISOLATE_DRAINING;
    ended->told = TOLD_NOTHING;
    ended->control = 0;
    mailbox_drop(shard, ended);
    calls_drop(shard, ended);
    timers_drop(shard, ended);
    GAUGE(shard, isolates_in_use, --shard->isolates_in_use);
    ended->exited = (uint8_t)exit_class(reason);
    ended->zombie = false;
    heir_spawn(shard, ended, name, reason);
    if (tina_reactor_release(shard->reactor, &ended->io))
        slot_free(shard, ended);
    else
        drain_begin(shard, ended);
}

void isolate_drained(tina_shard *shard, tina_isolate *ended) {
    TINA_ASSERT(ended->state == ISOLATE_DRAINING);
    TINA_ASSERT(!isolate_is_live(ended));
    drain_end(shard, ended);
    slot_free(shard, ended);
}
