// SPDX-License-Identifier: Apache-2.0

#include "sched/shard.h"

#include "core/format.h"
#include "sched/internal.h"
#include "sched/links.h"

static void phase_begin(tina_shard *shard, tina_time now);
static void phase_receive(tina_shard *shard);
static void phase_complete_io(tina_shard *shard);
static void phase_expire_timers(tina_shard *shard);
static void phase_dispatch(tina_shard *shard);
static void phase_supervise(tina_shard *shard);
static void phase_submit_io(tina_shard *shard);
static void phase_publish(tina_shard *shard);
static void phase_flush_log(tina_shard *shard);
static tina_tick tick_result(tina_shard *shard);
static tina_tick tick_broken(tina_shard *shard);

// One tick, whose order is part of the contract: what came in is handled in this tick, what
// handlers asked for leaves in this tick, and a line is logged after what it tells of. A fault in a
// handler cuts it in dispatch, and there it goes on.
static void tick_run(void *shard_) {
    tina_shard *shard = shard_;
    if (!shard->cut) {
        phase_begin(shard, shard->next);
        phase_receive(shard);
        phase_complete_io(shard);
        phase_expire_timers(shard);
    }
    phase_dispatch(shard);
    phase_supervise(shard);
    phase_submit_io(shard);
    phase_publish(shard);
    phase_flush_log(shard);
    if (TINA_VERIFY_ON)
        shard_verify_in_turn(shard);
}

tina_tick tina_shard_tick(tina_shard *shard, tina_time now) {
    tina_trap *trap = shard->ctx.trap;
    TINA_ASSERT(!shard->broken);
    shard->next = now;
    shard->cut = false;
    while (!tina_trap_run(trap, tick_run, shard)) {
        shard->cut = true;
        if (trap->fault.level != TINA_LEVEL_ISOLATE)
            return tick_broken(shard);
    }
    return tick_result(shard);
}

static tina_tick tick_broken(tina_shard *shard) {
    shard->broken = true;
    return (tina_tick){.broken = &shard->ctx.trap->fault};
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
    shard->tick_left = shard->tick_batch;
    COUNT(shard, ticks, 1);
    yielded_join(shard);
}

static void phase_receive(tina_shard *shard) {
    links_receive(shard);
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
    if (shard->cut)
        fault_recover(shard);
    dispatch_ready(shard);
}

static void phase_supervise(tina_shard *shard) {
    supervision_run(shard);
}

static void phase_submit_io(tina_shard *shard) {
    tina_reactor_flush(shard->reactor);
}

static void phase_publish(tina_shard *shard) {
    links_publish(shard);
}

static void phase_flush_log(tina_shard *shard) {
    tina_shard_flush_log(shard);
}

void tina_shard_flush_log(tina_shard *shard) {
    if (!tina_log_is_empty(&shard->log))
        tina_log_flush(&shard->log, shard->now.wall_s);
}

// Also a tree whose children have all ended for good, with nobody left to start another.
static bool shard_ended(const tina_shard *shard) {
    return shard->isolates_in_use == 0 && shard->isolates_draining == shard->zombies &&
           tina_tree_next_ns(shard->tree) != 0;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static tina_tick tick_result(tina_shard *shard) {
    GAUGE(shard, messages_in_use, shard->envelope_pool.live);
    uint64_t steps_ns = tina_tree_next_ns(shard->tree);
    tina_tick tick = {
        .ended = shard_ended(shard),
        .failed = shard->tree_ended && shard->end_cause == TINA_END_START_FAILED,
        .gave_up = shard->tree_ended && shard->end_cause == TINA_END_BUDGET,
        .stop = shard->stop || (shard->tree_ended && shard->end_cause == TINA_END_AUTO_SHUTDOWN),
        .stop_status = shard->stop_status,
        .busy = shard->ready.first != NONE || shard->yielded.first != NONE || steps_ns == 0 ||
                links_are_behind(shard),
        .until_ns =
            least(tina_wheel_next_ns(&shard->wheel), least(steps_ns, drains_next_ns(shard))),
    };
    return tick;
}

void tina_shard_shutdown(tina_shard *shard) {
    if (shard->shutting_down)
        return;
    shard->shutting_down = true;
    supervision_shutdown(shard);
}

uint32_t tina_shard_force(tina_shard *shard) {
    uint32_t forced = 0;
    shard->shutting_down = true;
    tina_tree_kill(shard->tree);
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
    char line[TINA_LOG_LINE_BYTES];
    va_list arguments;
    if (!tina_log_wants(&shard->log, level))
        return;
    va_start(arguments, format);
    size_t bytes =
        tina_log_format(line, shard->now.wall_s, level, shard->spec->name, format, arguments);
    va_end(arguments);
    if (!tina_log_put(&shard->log, line, bytes))
        COUNT(shard, log_lines_dropped, 1);
}

uint64_t tina_shard_progress(const tina_shard *shard) {
    uint64_t ticks = tina_atomic_u64_load_relaxed(&shard->counters.ticks);
    uint64_t dispatches = tina_atomic_u64_load_relaxed(&shard->counters.dispatches);
    return (ticks << 40) ^ (dispatches << 16) ^ shard->turn_calls;
}

size_t tina_shard_who(const tina_shard *shard, char *out, size_t capacity) {
    const tina_isolate *self = shard->ctx.self;
    if (!self)
        return tina_format(out, capacity, "nobody");
    const type_slots *type = &shard->types[self->type];
    return tina_format(out, capacity, "%s %u.%u", type->type->name, isolate_slot(type, self),
                       tina_handle_generation(self->handle));
}
