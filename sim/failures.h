// SPDX-License-Identifier: Apache-2.0
//
// Failed runs, one row a site, and what is printed of them.

#ifndef TINA_SIM_FAILURES_H
#define TINA_SIM_FAILURES_H

#include "sim/search.h"
#include "sim/shrink.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_SITES_MAX 64u

typedef struct sim_failures {
    sim_failure first[SIM_SITES_MAX]; // the lowest number of each scenario and checker
    sim_failure least[SIM_SITES_MAX]; // ... and the fewest events
    uint64_t times[SIM_SITES_MAX];
    uint32_t count;
    uint64_t beyond; // at sites for which there is no row
} sim_failures;

// sim_failures_add counts a failure; *self is all zero before the first.
void sim_failures_add(sim_failures *self, const sim_failure *failure);

// sim_failures_first returns the failure of the lowest number; NULL: there is none.
const sim_failure *sim_failures_first(const sim_failures *self);

// What to print and where to, of the failures of one search.
typedef struct sim_telling {
    const sim_plan *plan;  // what all runs had in common
    const char *command;   // what replays, up to the run's options
    const char *after;     // and what follows them
    const char *directory; // for a file each; or NULL
    bool shrink;
    uint32_t shrink_s; // at most; 0: as sim_shrink has it
    uint32_t jobs;     // of sim_shrink
} sim_telling;

// sim_failure_print writes what failed and the commands that replay it, to stdout and to a file.
void sim_failure_print(const sim_telling *telling, const sim_failure *failure);

// sim_failure_text writes the same into out, a string of at most capacity bytes.
void sim_failure_text(const sim_telling *telling, const sim_failure *failure, char *out,
                      size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
