// SPDX-License-Identifier: Apache-2.0
//
// A run in a process of its own, so that a failed assertion, a fault or a run without end is a
// failure of that run like any other.

#ifndef TINA_SIM_ATTEMPT_H
#define TINA_SIM_ATTEMPT_H

#include "sim/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

// How a run went. A value without pointers: it crosses processes.
typedef struct sim_outcome {
    bool ran; // false: the plan or the spec makes no sense, and the sentence says why
    bool failed;
    bool died;         // by a signal or an exit; hash and what follows are not known
    char checker[160]; // what failed, the same at the same site
    char sentence[640];
    uint64_t hash;
    uint64_t events;
    uint64_t turns;
    uint64_t virtual_ns;
    uint64_t cpu_ns;
    uint32_t shards;
    uint32_t struck_count; // sim_attempt: of sim_attempt_struck
} sim_outcome;

#define SIM_NO_END "no end" // the checker of a run that took too long

// CPU time after which a run is said to have no end. Set before the first run.
#define SIM_RUN_CPU_MS 60000u
extern uint32_t sim_run_cpu_ms;

// sim_outcome_run runs a plan in this process. trace may be NULL.
void sim_outcome_run(const sim_plan *plan, void (*trace)(void *, const tina_sim_event_view *),
                     void *where, sim_outcome *outcome);

// sim_plan_control makes *control a plan like another without a fault, in its world or in a calm
// one. It borrows; it is not to be freed.
void sim_plan_control(sim_plan *control, const sim_plan *plan, bool calm);

// Shared between this process and the one of the run; sim_attempt_open maps it, once for many runs.
typedef struct sim_attempt sim_attempt;
sim_attempt *sim_attempt_open(void);
void sim_attempt_close(sim_attempt *attempt);

// sim_attempt_run runs a plan in a process of its own. watched: also counts the events of a run
// that dies, and lists the decisions that have struck; slower. trace, which may be NULL, is called
// in that other process.
void sim_attempt_run(sim_attempt *attempt, const sim_plan *plan, bool watched,
                     void (*trace)(void *, const tina_sim_event_view *), void *where,
                     sim_outcome *outcome);

// sim_attempt_struck returns the decisions of the last watched run, ascending; NULL: too many.
// Valid until the next run.
const uint64_t *sim_attempt_struck(const sim_attempt *attempt);

// For processes that make several runs (search.c): what the child does first, with stderr going to
// a file of its own; the clock of one run; and what its death, by wait's status, says.
// sim_child_count makes the process's runs count their events in *events as they go.
int sim_child_stderr(void);
void sim_child_count(uint64_t *events);
void sim_child_begin(int stderr_fd);
void sim_child_limit(void);
void sim_outcome_of_death(sim_outcome *outcome, int status, int stderr_fd);

#ifdef __cplusplus
}
#endif

#endif
