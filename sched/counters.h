// SPDX-License-Identifier: Apache-2.0
//
// A shard's counters: written by its thread alone, read by any, without stopping it.

#ifndef TINA_SCHED_COUNTERS_H
#define TINA_SCHED_COUNTERS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Counters only grow; those named ..._in_use and ..._draining are gauges, which fall again.
#define TINA_SHARD_COUNTERS(X)                                                                     \
    X(ticks)                                                                                       \
    X(dispatches)                                                                                  \
    X(messages_sent)                                                                               \
    X(messages_dropped) /* in the mailbox of an isolate that ended, or abandoned by a caller */    \
    X(messages_in_use)                                                                             \
    X(sends_stale)                                                                                 \
    X(sends_mailbox_full)                                                                          \
    X(sends_pool_empty)                                                                            \
    X(sends_over_share)                                                                            \
    X(sends_bad)                                                                                   \
    X(sends_channel_full) /* the ring to another shard, or what it may hold */                     \
    X(sends_quarantined)                                                                           \
    X(messages_arrived)      /* from other shards */                                               \
    X(arrivals_stale)        /* dropped: for nobody, or of a former life */                        \
    X(arrivals_mailbox_full) /* dropped */                                                         \
    X(arrivals_waited)       /* ticks in which a peer's messages waited for envelopes */           \
    X(wakes_sent)            /* to other shards */                                                 \
    X(inlets_read)           /* looks at what one other shard has sent */                          \
    X(peers_reborn)                                                                                \
    X(peers_quarantined)                                                                           \
    X(calls_answered)                                                                              \
    X(calls_failed) /* for any reason */                                                           \
    X(answers_stale)                                                                               \
    X(isolates_in_use)                                                                             \
    X(isolates_draining) /* ended, their last completions not yet in */                            \
    X(zombies)           /* of those, for more than 5 s: a gauge */                                \
    X(spawned)                                                                                     \
    X(spawns_refused)                                                                              \
    X(exited)          /* by done and exit */                                                      \
    X(crashed)         /* for any other reason */                                                  \
    X(faults)          /* of them, those cut in a handler */                                       \
    X(rebuilds)        /* of the shard */                                                          \
    X(restarts)        /* by supervisors, failed ones included */                                  \
    X(groups_given_up) /* ended by themselves, their budget spent or by auto-shutdown */           \
    X(timers_in_use)                                                                               \
    X(timers_fired)                                                                                \
    X(timers_refused)                                                                              \
    X(monitors_in_use)                                                                             \
    X(monitors_refused)                                                                            \
    X(downs_told)                                                                                  \
    X(shard_news_told)                                                                             \
    X(transfers_in_use)                                                                            \
    X(transfers_refused)                                                                           \
    X(io_refused) /* ops completed at once with the refusal */                                     \
    X(log_lines_dropped)

#define TINA_COUNTER_FIELD(name) uint64_t name;
typedef struct tina_shard_counters {
    TINA_SHARD_COUNTERS(TINA_COUNTER_FIELD)
} tina_shard_counters;
#undef TINA_COUNTER_FIELD

#ifdef __cplusplus
}
#endif

#endif
