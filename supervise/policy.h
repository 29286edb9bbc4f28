// SPDX-License-Identifier: Apache-2.0
//
// What a supervision group and a child of it ask for: types only, in the words of Erlang/OTP's
// supervisor(3), whose defaults are the zeros.
//
// A group restarts its children within a budget: the restart that makes more than `intensity` of
// them within `period_ns`, exactly counted over a sliding window, ends the group instead. Its own
// parent then decides in the same way.

#ifndef TINA_SUPERVISE_POLICY_H
#define TINA_SUPERVISE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Which children are started anew when one is to be restarted.
typedef enum tina_strategy {
    TINA_ONE_FOR_ONE = 0, // that one
    TINA_ONE_FOR_ALL,     // all: the others are stopped first, in reverse order
    TINA_REST_FOR_ONE,    // that one and those that come after it in start order
} tina_strategy;

// Which exits lead to a restart. Normal and shutdown are the exits that are not abnormal.
typedef enum tina_restart {
    TINA_PERMANENT = 0, // every exit
    TINA_TRANSIENT,     // an abnormal one; after any other the child stays known, not running
    TINA_TEMPORARY,     // none: the child is removed
} tina_restart;

// Whether the group ends itself when significant children have ended by themselves.
typedef enum tina_auto_shutdown {
    TINA_AUTO_SHUTDOWN_NEVER = 0,
    TINA_AUTO_SHUTDOWN_ANY, // the first one
    TINA_AUTO_SHUTDOWN_ALL, // the last one
} tina_auto_shutdown;

#define TINA_INTENSITY_DEFAULT 1u
#define TINA_INTENSITY_MAX     1000000u
#define TINA_INTENSITY_NONE    UINT32_MAX // no restart at all: the first one ends the group
#define TINA_PERIOD_DEFAULT_NS UINT64_C(5000000000)

typedef struct tina_group_policy {
    tina_strategy strategy;
    uint32_t intensity; // restarts within period_ns that are still allowed; 0: the default, 1
    uint64_t period_ns; // 0: the default, 5 s
    tina_auto_shutdown auto_shutdown;
    bool dynamic; // OTP's simple_one_for_one: children of one kind come and go at run time, in any
                  // number; one_for_one only
} tina_group_policy;

#define TINA_SHUTDOWN_DEFAULT_NS UINT64_C(5000000000) // an isolate's; a group's is INFINITY
#define TINA_SHUTDOWN_BRUTAL     (UINT64_MAX - 1)     // killed without being asked
#define TINA_SHUTDOWN_INFINITY   UINT64_MAX           // never killed

typedef struct tina_child_policy {
    tina_restart restart;
    bool significant;     // counts for auto_shutdown, which is then not NEVER; not when permanent
    uint64_t shutdown_ns; // from being told to stop to being killed; 0: the default
} tina_child_policy;

// When a process with a shard in quarantine ends itself.
typedef enum tina_abort_policy {
    TINA_ABORT_WHEN_NONE_LEFT = 0, // the last shard that worked is the one
    TINA_ABORT_AT_ONCE,            // instead of any quarantine: somebody starts the process anew
    TINA_ABORT_NEVER,              // it waits to be revived, even with no shard that works
} tina_abort_policy;

// tina_group_intensity returns how many restarts within its period a group's policy allows.
static inline uint32_t tina_group_intensity(const tina_group_policy *policy) {
    if (policy->intensity == TINA_INTENSITY_NONE)
        return 0;
    return policy->intensity == 0 ? TINA_INTENSITY_DEFAULT : policy->intensity;
}

#ifdef __cplusplus
}
#endif

#endif
