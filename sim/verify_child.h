// SPDX-License-Identifier: Apache-2.0
//
// What verify.c asks of the processes that it starts.

#ifndef TINA_SIM_VERIFY_CHILD_H
#define TINA_SIM_VERIFY_CHILD_H

#include "sim/verify.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sim_verify_what {
    SIM_VERIFY_HASHES = 0, // a line a seed: its hash and how many events
    SIM_VERIFY_MARKS,      // a line a mark, of one seed
    SIM_VERIFY_EVENTS,     // a line an event, of one seed
} sim_verify_what;

typedef struct sim_verify_task {
    sim_verify_what what;
    uint32_t count; // seeds to be run, from the plan's; from the last to the first in the second
    uint64_t seed;  // MARKS, EVENTS: whose; those before it are run, too
    uint64_t from;  // EVENTS: the first
    uint64_t to;
} sim_verify_task;

// sim_verify_task_print writes a task as sim_verify_child reads it; which: 0 the first process.
void sim_verify_task_print(const sim_verify_task *task, uint32_t which, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
