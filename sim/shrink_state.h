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
    uint64_t goal;    // a tenth of the events of the run that was given, or EVENTS_LEAST
    uint64_t allowed; // events of a smaller run
    sim_outcome last; // that failed
    const sim_plan *given;
    uint32_t jobs;
    uint64_t sought; // runs
    uint64_t seek_next;
    // shrink_prove
    bool minimal;
    uint32_t held;    // single reductions of *plan that were tried and do not fail alike
    uint32_t unknown; // ... whose run took too long to be known
    bool cut;         // a run has
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

tina_sim_settings shrink_settings(const sim_plan *plan);

// How many shards the plan has, and how few it may have.
uint32_t shrink_shards(const shrink_state *self);
uint32_t shrink_shards_least(const shrink_state *self);

// shrink_keep_struck makes the plan's list that of the decisions that strike: nothing of what does
// not is worth a place. Returns false when they are not known.
bool shrink_keep_struck(shrink_state *self);

// shrink_checks has everything looked at as often as can be, where that shows the failure sooner.
void shrink_checks(shrink_state *self);

// shrink_all leaves out whatever can be, in rounds, until nothing more is found.
void shrink_all(shrink_state *self);

// shrink_work_forget undoes what makes no difference.
void shrink_work_forget(shrink_state *self);

// shrink_prove.c

// shrink_prove tries each single reduction alone, as shrink.h lists them, takes what fails alike,
// and begins again, until none does: self->minimal, unless the runs were spent before.
void shrink_prove(shrink_state *self);

#endif
