// SPDX-License-Identifier: Apache-2.0
//
// One run as a command line says it: a scenario, a seed and what differs from what the seed draws.
//
// The same words stand in a command that replays a failure, in the head of a trace and in the
// variable TINA_SIM of a test; they are read and printed here only.

#ifndef TINA_SIM_PLAN_H
#define TINA_SIM_PLAN_H

#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_PLAN_SET_BYTES 4096u
#define SIM_LIVENESS       "liveness" // the checker of what is not done in time

// All zero with a scenario: seed 0 as it is drawn. Owns `kept`.
typedef struct sim_plan {
    const tina_scenario *scenario;
    uint64_t seed;
    bool calm;
    uint8_t fill;
    uint32_t shards; // 0: drawn
    uint64_t faults_from_ns;
    uint64_t faults_until_ns;
    uint64_t liveness_ns; // 0: the scenario's
    uint64_t events_max;  // 0: all; no word of it is printed
    uint64_t *kept;       // NULL: all strike
    uint32_t kept_count;
    char set[SIM_PLAN_SET_BYTES]; // as tina_sim_settings_set reads it
} sim_plan;

typedef enum sim_plan_read {
    SIM_PLAN_READ_OK = 0,
    SIM_PLAN_READ_UNKNOWN, // not an option of a run
    SIM_PLAN_READ_BAD,     // and the sentence says why
} sim_plan_read;

// sim_plan_takes returns whether an option of a run is followed by a value; false also for others.
bool sim_plan_takes(const char *name);

// sim_plan_option reads one option, "--seed" and "7"; value is NULL for those without.
sim_plan_read sim_plan_option(sim_plan *plan, const char *name, const char *value,
                              char sentence[TINA_SENTENCE_BYTES]);

// sim_plan_words reads options that are separated by blanks. Returns false and a sentence when one
// is no option of a run, or its value makes no sense.
bool sim_plan_words(sim_plan *plan, const char *words, char sentence[TINA_SENTENCE_BYTES]);

// sim_plan_print writes the options, the scenario's name included, and returns their length as
// snprintf does. kept_file, if not NULL, stands for the list of kept decisions.
size_t sim_plan_print(const sim_plan *plan, const char *kept_file, char *out, size_t capacity);

// sim_plan_print_kept writes the kept decisions as --keep reads them.
size_t sim_plan_print_kept(const sim_plan *plan, char *out, size_t capacity);

// sim_plan_settings works out the settings that a run of the plan has. Returns false and a sentence
// when the scenario's or the plan's make no sense.
bool sim_plan_settings(const sim_plan *plan, tina_sim_settings *settings,
                       char sentence[TINA_SENTENCE_BYTES]);

// sim_plan_least returns the settings of a calm world, but for what the plan's scenario itself asks
// for.
tina_sim_settings sim_plan_least(const sim_plan *plan);

// sim_plan_liveness_ns returns how long after faults have stopped a run of the plan must be done.
uint64_t sim_plan_liveness_ns(const sim_plan *plan);

// sim_plan_faults_ns returns when faults stop in a run of the plan, since its beginning.
uint64_t sim_plan_faults_ns(const sim_plan *plan);

// sim_plan_set makes settings those of the plan, by the shorter of what differs from the seed's
// and from a calm world's.
void sim_plan_set(sim_plan *plan, const tina_sim_settings *settings);

// sim_plan_keep copies the decisions; NULL: all strike.
void sim_plan_keep(sim_plan *plan, const uint64_t *kept, uint32_t count);

// sim_plan_copy makes *to, which was all zero or a plan before, like *from; sim_plan_free makes it
// all zero.
void sim_plan_copy(sim_plan *to, const sim_plan *from);
void sim_plan_free(sim_plan *plan);

tina_sim_options sim_plan_options(const sim_plan *plan);

// sim_number_read reads a decimal number and nothing else.
bool sim_number_read(const char *text, uint64_t *value);

#ifdef __cplusplus
}
#endif

#endif
