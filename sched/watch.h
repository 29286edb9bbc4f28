// SPDX-License-Identifier: Apache-2.0
//
// What watches the shards' handlers. Two watchers a shard, as they see different things:
//
//     the alarm    a timer on the thread's own CPU time, whose signal that thread takes: it sees a
//                  handler that computes for ever, and can end it; it never fires in a thread that
//                  sleeps, is stopped or has no processor
//     the rounds   the main thread's, once in a while as long as any shard is awake: they see a
//                  handler that is blocked in a system call, and can only say so

#ifndef TINA_SCHED_WATCH_H
#define TINA_SCHED_WATCH_H

#include <stdbool.h>

#include "core/atomic.h"
#include "sched/spec.h"
#include "supervise/trap_signals.h"
#include "supervise/watchdog.h"

#ifdef __cplusplus
extern "C" {
#endif

struct member;
struct system_state;

typedef struct watch {
    tina_watchdog alarm;
    tina_watchdog rounds;
    void *timer; // a timer_t, when has_timer
    bool has_timer;
    bool in_rounds;         // cpu_clock is the thread's, and it has not ended
    int cpu_clock;          // a clockid_t
    tina_atomic_u32 asleep; // the member's: it waits for events
} watch;

// The signal of the alarm is SIGRTMIN plus this; a program may use the other real-time ones.
#define WATCH_SIGNAL_OFFSET 7

#define WATCH_ROUND_NS UINT64_C(250000000)

// watch_init begins to watch by a spec's limits; watch_start, on the member's thread, starts the
// timer, and watch_stop ends it.
void watch_init(watch *watch, const tina_spec *spec);
void watch_start(watch *watch);
void watch_stop(watch *watch);

// watch_alarm and watch_report are a tina_trap_signals', with the system as `where`.
tina_alarm_verdict watch_alarm(void *system, const tina_trap *trap);
void watch_report(void *system, const tina_trap *trap, const tina_fault *report);

// watch_round looks at every member, on the main thread, and returns whether any is awake.
bool watch_round(struct system_state *system);

#ifdef __cplusplus
}
#endif

#endif
