// SPDX-License-Identifier: Apache-2.0
//
// Many seeds on several processes at once.
//
//     parent ── next run ──▶ worker, worker, ... ── a failure ──▶ pipe ──▶ parent
//                                 └ dies: that run's failure; another takes its place

#ifndef TINA_SIM_SEARCH_H
#define TINA_SIM_SEARCH_H

#include "sim/attempt.h"
#include "sim/probes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_JOBS_MAX 256u

// Run i is of scenario i % scenario_count, with seed plan.seed + i / scenario_count.
typedef struct sim_search {
    const tina_scenario *const *scenarios;
    uint32_t scenario_count;
    sim_plan plan;       // what all runs have in common, and the first seed
    uint64_t seed_count; // of each scenario; UINT64_MAX: until the time is over
    uint64_t seconds;    // wall clock; 0: as long as it takes
    uint64_t wall_ns;    // the same, for less than a second
    uint64_t first;      // number of the first run
    uint32_t jobs;       // 1 to SIM_JOBS_MAX
    bool twice;          // each run once more, in memory with other bytes, and compare
    bool until_failure;  // begin no run after the first failure
    bool progress;       // a line a second on stderr
    const char *checker; // only what fails at it is a failure; NULL: whatever fails
    // Changes the plan of a run, by its number and nothing else; or NULL.
    void (*vary)(const void *where, uint64_t number, sim_plan *plan);
    const void *vary_where;
    bool (*confirm)(const sim_plan *plan); // that a wanted failure is one; or NULL
} sim_search;

typedef struct sim_totals {
    uint64_t runs; // that ended
    uint64_t failures;
    uint64_t events;
    uint64_t turns;
    uint64_t virtual_ns;
    uint64_t cpu_ns;
    uint64_t wall_ns;
    sim_probes probes;
} sim_totals;

typedef struct sim_failure {
    uint64_t number; // of the run
    uint64_t seed;
    const tina_scenario *scenario;
    sim_outcome outcome;
} sim_failure;

// The checker of a run whose events are not the same the second time.
#define SIM_NOT_TWICE  "the same twice"
#define SIM_OTHER_FILL 0xAA // the second run's fill is the first's, exclusive or this

// sim_search_run runs the seeds. on_failure is called on this process, once a failed run, as they
// come. A SIGINT ends it as when the time is over.
void sim_search_run(const sim_search *search, sim_totals *totals,
                    void (*on_failure)(void *where, const sim_failure *failure), void *where);

#ifdef __cplusplus
}
#endif

#endif
