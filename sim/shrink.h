// SPDX-License-Identifier: Apache-2.0
//
// From a run that fails to a small one that fails in the same way: the same checker, at the same
// site.
//
//     seek: another seed, in a smaller world ─▶ leave out ─▶ not a tenth? seek again ─▶ leave out
//                                                                       each alone ─▶ 1-minimal
//
// Left out by turns, until nothing more can be: settings (they become calm), shards, load, the time
// before and after, and the faults that strike, one decision each. Lists are cut by delta debugging
// (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002). What has more
// events than before is no smaller, unless they are within a tenth of the given run's.
//
// Of what is not done in time the patience is left out, too: the wait after faults have stopped is
// cut to what the same world needs without a fault, and only where the whole wait shows the same.
//
// 1-minimal, as in that paper but for a bound of events, is what no single reduction can be taken
// from: each was tried alone, of the plan as it is printed, and none of those runs fails alike,
// that is, at the same checker and site within `events_alike` events (and where the patience is
// cut, fairly). A reduction is:
//
// - a decision that strikes is left out;
// - a setting that the least world has otherwise becomes that world's, in one step;
// - there are fewer shards, of any number that the scenario bears;
// - faults may strike from the beginning: no --from;
// - where the run then has fewer events: the load, or the time until faults stop, is less by a
//   half, a quarter, ... a 1024th (of the time no less than 1 ms), a kind of action is left out, or
//   the patience is less by a half, ... a 16th. Where it has as many, that is no reduction.
//
// check_turns, the look at everything, is no part of what is run. Two reductions at once may fail
// alike even so, and another seed may be smaller.
//
// A decision is a name (world.h): a stream and the number of a draw in it. Left out, it shifts no
// other draw; but from there on the run is another one, in which the names that stay may meet other
// handlers, or other ones of the sockets and files, which are numbered as they are made, or
// nothing. So it is tried by a whole run, and what is said is of names: without any one of these it
// does not fail alike.

#ifndef TINA_SIM_SHRINK_H
#define TINA_SIM_SHRINK_H

#include "sim/attempt.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sim_shrink_limits {
    uint32_t runs;       // 0: 20000; those of other seeds, and of the proof, come on top
    uint32_t proof_runs; // 0: as many as there is time for
    uint32_t seconds;    // wall clock; a quarter is the proof's, and what is left. 0: 60
    uint32_t jobs;       // processes that try other seeds; 0: 1
} sim_shrink_limits;

typedef struct sim_shrunk {
    bool repeats;          // the run that was given fails again; otherwise nothing else is meant
    bool minimal;          // proven, by `held` runs
    uint32_t held;         // single reductions of the plan that do not fail alike, of those tried
    uint32_t unknown;      // ... and those whose run took too long
    uint64_t events_alike; // within so many
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
