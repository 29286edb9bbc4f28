// SPDX-License-Identifier: Apache-2.0
//
// Other seeds, in smaller and rougher worlds, that fail at the same checker sooner.
//
// What a run needs to fail is often rare in its world, and so it comes late, among much else. Of
// many runs of a world with fewer shards, less time, less load and more faults of the kinds that
// matter some fail early: the cap of events, which each find lowers, costs the others little.

#ifndef TINA_SIM_SEEK_H
#define TINA_SIM_SEEK_H

#include "sim/search.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sim_seek {
    const sim_plan *given; // what was explored: fresh seeds of it are tried, too
    const sim_plan *best;  // fails; nothing kept or cut is taken over from it
    const char *checker;
    uint64_t events_max; // of what is sought
    uint64_t wall_ns;    // at most
    uint64_t first;      // number of the first run, of all those sought
    uint32_t jobs;
} sim_seek;

// sim_seek_run makes *found a plan that has failed, and returns how many runs that took; 0: none
// has, in time. *first becomes the number to go on with. SIGINT ends it.
uint64_t sim_seek_run(sim_seek *seek, sim_plan *found);

#ifdef __cplusplus
}
#endif

#endif
