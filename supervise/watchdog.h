// SPDX-License-Identifier: Apache-2.0
//
// The watchdog of one shard: from samples of what its thread does to what is to be done about it.
//
// Running away is measured in CPU time that one handler has burned, so a shard that is idle,
// stopped (SIGSTOP), descheduled, or in a paused virtual machine never looks as if it did. What
// burns none is blocked, in a system call say: that is measured in wall time for which the watchdog
// was awake itself and the thread was not waiting for a processor, and is reported, never killed.
//
// Pure: whoever samples owns the thread, timer or signal that it takes. A firing of a CPU-time
// timer every soft_cpu_ns sees a handler at its limit at the second firing.

#ifndef TINA_SUPERVISE_WATCHDOG_H
#define TINA_SUPERVISE_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "supervise/phase.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_WATCHDOG_OFF UINT64_MAX // as a limit: never

// Zero means the default.
typedef struct tina_watchdog_limits {
    uint64_t soft_cpu_ns;      // of one dispatch, until it is reported; default 100 ms
    uint64_t hard_cpu_ns;      // of one dispatch, until it is killed; default 1 s, at least soft
    uint64_t framework_cpu_ns; // beyond hard, all in the runtime, until the shard is given up;
                               // default 1 s
    uint64_t blocked_ns;       // without progress and without CPU time; default 1 s
    uint64_t interval_ns;      // between two samples as intended: what a gap counts at most for
                               // blocked_ns; default 100 ms
} tina_watchdog_limits;

typedef struct tina_watchdog_sample {
    uint64_t progress; // differs whenever a dispatch begins or ends, and in every tick
    tina_phase phase;
    bool sleeping;    // the shard waits for events
    uint64_t now_ns;  // monotonic
    uint64_t cpu_ns;  // the thread's CPU time so far
    uint64_t wait_ns; // time that it was runnable and had no processor (schedstat's second number);
                      // 0 throughout when unknown
} tina_watchdog_sample;

typedef enum tina_watchdog_verdict {
    TINA_WATCHDOG_FINE = 0,
    TINA_WATCHDOG_REPORT,     // over the soft limit: log a backtrace; once a dispatch
    TINA_WATCHDOG_KILL,       // over the hard limit: end the isolate here and now
    TINA_WATCHDOG_KILL_LATER, // over it within the runtime: end the isolate when its ctx call
                              // returns; once a dispatch
    TINA_WATCHDOG_ESCALATE,   // the runtime itself does not come back; once
    TINA_WATCHDOG_BLOCKED,    // log it; once a dispatch
} tina_watchdog_verdict;

// One sampler's memory. A shard that is sampled from two places has two, each with the limits of
// the other's business OFF.
typedef struct tina_watchdog {
    tina_watchdog_limits limits;
    tina_watchdog_sample last;
    bool began;        // last is a sample
    bool reported;     // in the dispatch that last.progress says
    bool condemned;    // KILL_LATER was given
    bool escalated;    // ESCALATE was given
    bool told_blocked; // BLOCKED was given
    uint64_t cpu_ns;   // burned without progress, since it was first seen
    uint64_t blocked_ns;
    uint64_t framework_ns; // of cpu_ns, beyond the hard limit and in the runtime without a break
} tina_watchdog;

// tina_watchdog_init begins to watch. Nothing is allocated and there is nothing to end.
void tina_watchdog_init(tina_watchdog *watchdog, const tina_watchdog_limits *limits);

// tina_watchdog_judge takes the next sample of one shard and says what is to be done. It calls
// nobody, so it may run in a signal handler. cpu_ns and blocked_ns say how long it has been so.
tina_watchdog_verdict tina_watchdog_judge(tina_watchdog *watchdog,
                                          const tina_watchdog_sample *sample);

#ifdef __cplusplus
}
#endif

#endif
