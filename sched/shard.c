// SPDX-License-Identifier: Apache-2.0

#include "sched/shard.h"

#include "sched/internal.h"

static void phase_begin(tina_shard *shard, tina_time now);
static void phase_complete_io(tina_shard *shard);
static void phase_expire_timers(tina_shard *shard);
static void phase_dispatch(tina_shard *shard);
static void phase_supervise(tina_shard *shard);
static void phase_submit_io(tina_shard *shard);
static void phase_flush_log(tina_shard *shard);
static tina_tick tick_result(tina_shard *shard);

// One tick, whose order is part of the contract: what came in is handled in this tick, what
// handlers asked for leaves in this tick, and a line is logged after what it tells of.
tina_tick tina_shard_tick(tina_shard *shard, tina_time now) {
    phase_begin(shard, now);
    phase_complete_io(shard);
    phase_expire_timers(shard);
    phase_dispatch(shard);
    phase_supervise(shard);
    phase_submit_io(shard);
    phase_flush_log(shard);
    if (TINA_VERIFY_ON)
        shard_verify_in_turn(shard);
    return tick_result(shard);
}

// Those that yielded run after those that were ready before them.
static void yielded_join(tina_shard *shard) {
    if (shard->yielded.first == NONE)
        return;
    if (shard->ready.first == NONE)
        shard->ready.first = shard->yielded.first;
    else
        shard->isolates[shard->ready.last].ready_next = shard->yielded.first;
    shard->ready.last = shard->yielded.last;
    shard->yielded.first = NONE;
}

static void phase_begin(tina_shard *shard, tina_time now) {
    TINA_ASSERT(now.monotonic_ns >= shard->now.monotonic_ns);
    shard->now = now;
    COUNT(shard, ticks, 1);
    yielded_join(shard);
}

#define EVENTS_A_REAP 64

static void phase_complete_io(tina_shard *shard) {
    tina_reactor_event events[EVENTS_A_REAP];
    uint32_t count;
    do {
        count = tina_reactor_reap(shard->reactor, events, EVENTS_A_REAP);
        for (uint32_t i = 0; i < count; i++) {
            TINA_ASSERT(events[i].token < shard->isolate_count);
            tina_isolate *owner = &shard->isolates[events[i].token];
            if (events[i].news == TINA_REACTOR_DRAINED)
                isolate_drained(shard, owner);
            else
                isolate_control(shard, owner, CONTROL_COMPLETED);
        }
    } while (count == EVENTS_A_REAP);
}

static void phase_expire_timers(tina_shard *shard) {
    timers_expire(shard);
}

static void phase_dispatch(tina_shard *shard) {
    dispatch_ready(shard);
}

static void child_start(tina_shard *shard, const tina_child *child) {
    tina_isolate *born;
    tina_spawn_result result = isolate_spawn(shard, child->type, child->args, &born);
    shard->children_started++;
    if (result == TINA_SPAWN_OK)
        shard->child_awaited = isolate_index(shard, born);
    else
        shard->child_failed = true;
}

static void child_failure_tell(tina_shard *shard) {
    const tina_child *child = &shard->spec->children[shard->children_started - 1];
    shard_log(shard, TINA_LOG_ERROR, "child %u (%s) could not be started",
              shard->children_started - 1, child->name ? child->name : child->type->name);
}

// Children start one after the other: the next when the one before has returned from init.
static void phase_supervise(tina_shard *shard) {
    if (shard->child_awaited != NONE || shard->shutting_down)
        return;
    if (!shard->child_failed && shard->children_started < shard->spec->child_count)
        child_start(shard, &shard->spec->children[shard->children_started]);
    // Also the failure of the one just started: the loop may wait before it ticks again.
    if (shard->child_failed) {
        child_failure_tell(shard);
        tina_shard_shutdown(shard);
    }
}

static void phase_submit_io(tina_shard *shard) {
    tina_reactor_flush(shard->reactor);
}

static void phase_flush_log(tina_shard *shard) {
    if (!tina_log_is_empty(&shard->log))
        tina_log_flush(&shard->log, shard->now.wall_s);
}

static bool shard_ended(const tina_shard *shard) {
    bool started = shard->children_started == shard->spec->child_count || shard->shutting_down;
    return started && shard->child_awaited == NONE && shard->isolates_in_use == 0 &&
           shard->isolates_draining == 0;
}

static tina_tick tick_result(tina_shard *shard) {
    GAUGE(shard, messages_in_use, shard->envelope_pool.live);
    tina_tick tick = {
        .ended = shard_ended(shard),
        .failed = shard->child_failed,
        .stop = shard->stop,
        .stop_status = shard->stop_status,
        .busy = shard->ready.first != NONE || shard->yielded.first != NONE,
        .until_ns = tina_wheel_next_ns(&shard->wheel),
    };
    return tick;
}

void tina_shard_shutdown(tina_shard *shard) {
    if (shard->shutting_down)
        return;
    shard->shutting_down = true;
    for (uint32_t i = 0; i < shard->isolate_count; i++)
        if (isolate_is_live(&shard->isolates[i]))
            isolate_tell_shutdown(shard, &shard->isolates[i]);
}

uint32_t tina_shard_force(tina_shard *shard) {
    uint32_t forced = 0;
    for (uint32_t i = 0; i < shard->isolate_count; i++) {
        tina_isolate *left = &shard->isolates[i];
        if (!isolate_is_live(left))
            continue;
        isolate_end(shard, left, (tina_exit_reason){TINA_EXIT_KILLED, 0});
        forced++;
    }
    return forced;
}

tina_reactor *tina_shard_reactor(tina_shard *shard) {
    return shard->reactor;
}

void tina_shard_snapshot(const tina_shard *shard, tina_shard_counters *counters) {
#define COPY(name) counters->name = tina_atomic_u64_load_relaxed(&shard->counters.name);
    TINA_SHARD_COUNTERS(COPY)
#undef COPY
}

void shard_log(tina_shard *shard, tina_log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!tina_log_line(&shard->log, shard->now.wall_s, level, shard->spec->name, format, arguments))
        COUNT(shard, log_lines_dropped, 1);
    va_end(arguments);
}
