// SPDX-License-Identifier: Apache-2.0
//
// What explore is asked to do.

#ifndef TINA_SIM_EXPLORE_ARGS_H
#define TINA_SIM_EXPLORE_ARGS_H

#include "sim/search.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_SCENARIOS_MAX 128u

typedef enum sim_explore_what {
    SIM_EXPLORE_SEEDS = 0,
    SIM_EXPLORE_VERIFY,
    SIM_EXPLORE_TRACE,
    SIM_EXPLORE_REPLAY,
    SIM_EXPLORE_LIST,
    SIM_EXPLORE_HELP,
} sim_explore_what;

typedef struct sim_explore_args {
    sim_explore_what what;
    sim_search search;
    const tina_scenario *scenarios[SIM_SCENARIOS_MAX]; // search.scenarios
    bool seeded;                                       // --seed was given
    bool shrink;
    bool probes;              // each must have been reached
    uint64_t expected_within; // 0: no failure is expected
    uint32_t shrink_s;        // 0: as sim_shrink has it
    const char *directory;    // for failures; or NULL
    const char *trace;
    const char *replay;
    char command[512]; // this program, with a blank at its end
} sim_explore_args;

extern const char sim_explore_help[];

// sim_explore_args_read returns false and a sentence when the arguments make no sense.
bool sim_explore_args_read(sim_explore_args *args, int argc, char **argv,
                           const tina_scenario *const *scenarios, const char *target,
                           char sentence[TINA_SENTENCE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
