// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // SIGEV_THREAD_ID, gettid

#include "sched/watch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/format.h"
#include "sched/member.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

void watch_init(watch *self, const tina_spec *spec) {
    const tina_watchdog_limits alarm = {
        .soft_cpu_ns = spec->handler_soft_ns,
        .hard_cpu_ns = spec->handler_hard_ns,
        .blocked_ns = TINA_WATCHDOG_OFF,
    };
    // Where the alarm cannot end a handler, the rounds say at least that it should have.
    bool kills = tina_trap_signals_kill_works();
    const tina_watchdog_limits rounds = {
        .soft_cpu_ns = kills ? TINA_WATCHDOG_OFF : spec->handler_hard_ns,
        .hard_cpu_ns = TINA_WATCHDOG_OFF,
        .interval_ns = WATCH_ROUND_NS,
    };
    tina_watchdog_init(&self->alarm, &alarm);
    tina_watchdog_init(&self->rounds, &rounds);
}

static struct timespec timespec_of(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / UINT64_C(1000000000)),
                             .tv_nsec = (long)(ns % UINT64_C(1000000000))};
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec at = {0};
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

// A handler at its limit is seen at the second firing after it began.
void watch_start(watch *self) {
    self->in_rounds = pthread_getcpuclockid(pthread_self(), &self->cpu_clock) == 0;
    uint64_t period_ns = self->alarm.limits.soft_cpu_ns;
    if (period_ns == TINA_WATCHDOG_OFF)
        return;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = SIGRTMIN + WATCH_SIGNAL_OFFSET};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    struct itimerspec times = {.it_interval = timespec_of(period_ns),
                               .it_value = timespec_of(period_ns)};
    timer_t timer;
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0)
        return; // Without timers (RLIMIT_SIGPENDING) the shard runs unwatched.
    self->timer = timer;
    self->has_timer = timer_settime(timer, 0, &times, NULL) == 0;
    if (!self->has_timer)
        timer_delete(timer);
}

void watch_stop(watch *self) {
    if (self->has_timer)
        timer_delete(self->timer);
    self->has_timer = false;
}

static member *member_of(system_state *system, const tina_trap *trap) {
    for (uint32_t i = 0; i < system->member_count; i++)
        if (&system->members[i].thread.trap == trap)
            return &system->members[i];
    return NULL;
}

tina_alarm_verdict watch_alarm(void *system, const tina_trap *trap) {
    member *self = member_of(system, trap);
    if (!self || !self->shard)
        return TINA_ALARM_NOTHING;
    const tina_watchdog_sample sample = {
        .progress = tina_shard_progress(self->shard),
        .phase = (tina_phase)trap->phase,
        .now_ns = clock_ns(CLOCK_MONOTONIC),
        .cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
    };
    switch (tina_watchdog_judge(&self->watch.alarm, &sample)) {
    case TINA_WATCHDOG_REPORT:
        return TINA_ALARM_REPORT;
    case TINA_WATCHDOG_KILL:
    case TINA_WATCHDOG_KILL_LATER:
        return TINA_ALARM_KILL;
    case TINA_WATCHDOG_ESCALATE:
        return TINA_ALARM_ESCALATE;
    case TINA_WATCHDOG_FINE:
    case TINA_WATCHDOG_BLOCKED:
        break;
    }
    return TINA_ALARM_NOTHING;
}

// Written at once and past the log, which the handler may be in the middle of.
void watch_report(void *system, const tina_trap *trap, const tina_fault *report) {
    member *self = member_of(system, trap);
    char line[TINA_SENTENCE_BYTES * 3];
    char who[96];
    tina_shard_who(self->shard, who, sizeof who);
    size_t bytes = tina_format(line, sizeof line, "%s has run for %llu ms in one handler: in ", who,
                               (unsigned long long)(self->watch.alarm.cpu_ns / 1000000));
    for (uint32_t i = 0; i < report->trace_count && bytes + 128 < sizeof line; i++) {
        char name[96];
        // A return address may lie behind its function's last instruction; the call does not.
        tina_symbols_name(&self->system->symbols, report->trace[i] - (i != 0), name, sizeof name);
        bytes += tina_format(line + bytes, sizeof line - bytes, "%s%.96s", i ? " < " : "", name);
    }
    member_say(self, line);
}

static bool member_is_awake(system_state *system, member *self) {
    uint32_t state = tina_atomic_u32_load_acquire(&self->state);
    bool asleep = tina_atomic_u32_load_acquire(&self->watch.asleep) != 0;
    if (state == MEMBER_STARTING || state == MEMBER_LEFT || !self->watch.in_rounds)
        return false;
    tina_shard_counters counters;
    tina_shard_snapshot(self->shard, &counters);
    const tina_watchdog_sample sample = {
        .progress = counters.ticks ^ counters.dispatches << 20,
        .sleeping = asleep,
        .now_ns = clock_ns(CLOCK_MONOTONIC),
        .cpu_ns = clock_ns(self->watch.cpu_clock),
    };
    tina_watchdog_verdict verdict = tina_watchdog_judge(&self->watch.rounds, &sample);
    if (verdict == TINA_WATCHDOG_BLOCKED)
        member_say(self, "a handler is blocked: for a second it has neither returned nor used the "
                         "processor; handlers must not call what waits");
    if (verdict == TINA_WATCHDOG_REPORT)
        member_say(self, "a handler runs away, and this build cannot end it: ThreadSanitizer holds "
                         "signals back");
    (void)system;
    return !asleep;
}

bool watch_round(system_state *system) {
    bool awake = false;
    for (uint32_t i = 0; i < system->member_count; i++)
        awake = member_is_awake(system, &system->members[i]) || awake;
    return awake;
}
