// SPDX-License-Identifier: Apache-2.0

#include "supervise/watchdog.h"

#include "core/assert.h"

#define MS UINT64_C(1000000)

static tina_watchdog_verdict cpu_judge(tina_watchdog *watchdog, tina_phase phase,
                                       uint64_t burned_ns);
static void blocked_count(tina_watchdog *watchdog, const tina_watchdog_sample *sample,
                          uint64_t burned_ns);

// Something was finished since the last sample, or the shard has nothing to do.
static bool moved_on(const tina_watchdog *watchdog, const tina_watchdog_sample *sample) {
    return !watchdog->began || sample->sleeping || watchdog->last.sleeping ||
           sample->progress != watchdog->last.progress;
}

tina_watchdog_verdict tina_watchdog_judge(tina_watchdog *watchdog,
                                          const tina_watchdog_sample *sample) {
    bool fresh = moved_on(watchdog, sample);
    uint64_t burned_ns = sample->cpu_ns - watchdog->last.cpu_ns;
    if (fresh) {
        tina_watchdog_limits limits = watchdog->limits;
        *watchdog = (tina_watchdog){.limits = limits};
    } else {
        TINA_ASSERT(sample->now_ns >= watchdog->last.now_ns);
        TINA_ASSERT(sample->cpu_ns >= watchdog->last.cpu_ns);
        blocked_count(watchdog, sample, burned_ns);
    }
    watchdog->last = *sample;
    watchdog->began = true;
    if (fresh)
        return TINA_WATCHDOG_FINE;
    tina_watchdog_verdict verdict = cpu_judge(watchdog, sample->phase, burned_ns);
    if (verdict != TINA_WATCHDOG_FINE || watchdog->told_blocked ||
        watchdog->blocked_ns < watchdog->limits.blocked_ns)
        return verdict;
    watchdog->told_blocked = true;
    return TINA_WATCHDOG_BLOCKED;
}

static tina_watchdog_verdict framework_judge(tina_watchdog *watchdog, uint64_t burned_ns) {
    // Only what was burned after the condemnation counts: the call had no reason to end before.
    if (!watchdog->condemned) {
        watchdog->condemned = true;
        return TINA_WATCHDOG_KILL_LATER;
    }
    watchdog->framework_ns += burned_ns;
    if (watchdog->escalated || watchdog->framework_ns < watchdog->limits.framework_cpu_ns)
        return TINA_WATCHDOG_FINE;
    watchdog->escalated = true;
    return TINA_WATCHDOG_ESCALATE;
}

static tina_watchdog_verdict cpu_judge(tina_watchdog *watchdog, tina_phase phase,
                                       uint64_t burned_ns) {
    watchdog->cpu_ns += burned_ns;
    if (watchdog->cpu_ns >= watchdog->limits.hard_cpu_ns) {
        if (!tina_phase_is_users(phase))
            return framework_judge(watchdog, burned_ns);
        watchdog->framework_ns = 0;
        return TINA_WATCHDOG_KILL;
    }
    if (watchdog->reported || watchdog->cpu_ns < watchdog->limits.soft_cpu_ns)
        return TINA_WATCHDOG_FINE;
    watchdog->reported = true;
    return TINA_WATCHDOG_REPORT;
}

// A gap counts for no more than was intended: had the process or the machine stood still, the
// watchdog would have as well. A thread that did anything noticeable is not blocked.
static void blocked_count(tina_watchdog *watchdog, const tina_watchdog_sample *sample,
                          uint64_t burned_ns) {
    uint64_t interval_ns = watchdog->limits.interval_ns;
    uint64_t gap_ns = sample->now_ns - watchdog->last.now_ns;
    uint64_t counted_ns = gap_ns < interval_ns ? gap_ns : interval_ns;
    if (burned_ns > counted_ns / 64) {
        watchdog->blocked_ns = 0;
        return;
    }
    // What it ran and waited for a processor may lie in the part of the gap that is not counted.
    uint64_t busy_ns = burned_ns + (sample->wait_ns - watchdog->last.wait_ns);
    uint64_t still_ns = gap_ns > busy_ns ? gap_ns - busy_ns : 0;
    watchdog->blocked_ns += still_ns < counted_ns ? still_ns : counted_ns;
}

static uint64_t limit_of(uint64_t given_ns, uint64_t default_ns) {
    return given_ns == 0 ? default_ns : given_ns;
}

void tina_watchdog_init(tina_watchdog *watchdog, const tina_watchdog_limits *limits) {
    *watchdog =
        (tina_watchdog){.limits = {
                            .soft_cpu_ns = limit_of(limits->soft_cpu_ns, 100 * MS),
                            .hard_cpu_ns = limit_of(limits->hard_cpu_ns, 1000 * MS),
                            .framework_cpu_ns = limit_of(limits->framework_cpu_ns, 1000 * MS),
                            .blocked_ns = limit_of(limits->blocked_ns, 1000 * MS),
                            .interval_ns = limit_of(limits->interval_ns, 100 * MS),
                        }};
    TINA_ASSERT(watchdog->limits.hard_cpu_ns >= watchdog->limits.soft_cpu_ns ||
                watchdog->limits.soft_cpu_ns == TINA_WATCHDOG_OFF);
}
