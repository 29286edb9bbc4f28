// SPDX-License-Identifier: Apache-2.0
//
// What the shrinker is made of, for its own files only.

#ifndef TINA_SIM_SHRINK_STATE_H
#define TINA_SIM_SHRINK_STATE_H

#include "sim/shrink.h"

typedef struct shrink_state {
    sim_attempt *attempt;
    sim_plan *plan; // fails
    const char *checker;
    uint32_t runs;
    uint32_t runs_max;
    uint64_t end_ns;
    bool shrunk;      // in this round
    bool minimal;     // after the last
    uint64_t goal;    // a tenth of the events of the run that was given, or EVENTS_LEAST
    uint64_t allowed; // events of a smaller run
    sim_outcome last; // that failed
    const sim_plan *given;
    uint32_t jobs;
    uint64_t sought; // runs
    uint64_t seek_next;
} shrink_state;

// shrink.c

// shrink_is_spent returns whether there are no more runs, or no more time.
bool shrink_is_spent(const shrink_state *self);

// shrink_fails returns whether a plan fails in the same way, with no more events than are allowed;
// self->last is then its outcome.
bool shrink_fails(shrink_state *self, const sim_plan *plan, bool watched);

// shrink_try takes a candidate over when it fails, and frees it; shrink_try_fewer when it fails
// with fewer events, whatever the goal.
bool shrink_try(shrink_state *self, sim_plan *candidate);
bool shrink_try_fewer(shrink_state *self, sim_plan *candidate);

// shrink_less.c

// shrink_checks has everything looked at as often as can be, where that shows the failure sooner.
void shrink_checks(shrink_state *self);

// shrink_all leaves out whatever can be, in rounds, until nothing more can, and notes whether that
// is proven.
void shrink_all(shrink_state *self);

// shrink_work_forget undoes what makes no difference.
void shrink_work_forget(shrink_state *self);

#endif
