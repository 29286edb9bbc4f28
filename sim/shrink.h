// SPDX-License-Identifier: Apache-2.0
//
// From a run that fails to a small one that fails in the same way: the same checker, at the same
// site.
//
//     seek: another seed, in a smaller world ─▶ leave out ─▶ not a tenth? seek again ─▶ leave out
//
// Left out by turns, until nothing more can be: settings (they become calm), shards, load, the time
// before and after, and the faults that strike, one decision each. Lists are cut by delta debugging
// (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002). What has more
// events than before is no smaller, unless they are within a tenth of the given run's.
//
// Of what is not done in time the patience is left out, too: the wait after faults have stopped is
// cut to what the same world needs without a fault, and only where the whole wait shows the same.

#ifndef TINA_SIM_SHRINK_H
#define TINA_SIM_SHRINK_H

#include "sim/attempt.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sim_shrink_limits {
    uint32_t runs;    // 0: 2000; those of other seeds come on top
    uint32_t seconds; // wall clock; 0: 60
    uint32_t jobs;    // processes that try other seeds; 0: 1
} sim_shrink_limits;

typedef struct sim_shrunk {
    bool repeats; // the run that was given fails again; otherwise nothing else is meant
    // Proven: without any one decision that strikes, setting or shard it does not fail so soon.
    bool minimal;
    uint64_t events_before;
    uint64_t events; // until it fails
    uint32_t struck_before;
    uint32_t struck;
    uint32_t runs;
    uint64_t sought;     // runs of other seeds
    sim_outcome outcome; // of the small one
} sim_shrunk;

// sim_shrink makes *plan, which failed at `checker`, smaller.
void sim_shrink(sim_plan *plan, const char *checker, const sim_shrink_limits *limits,
                sim_shrunk *shrunk);

#ifdef __cplusplus
}
#endif

#endif
