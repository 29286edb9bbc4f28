// SPDX-License-Identifier: Apache-2.0
//
// A run as a file: what was run, and one line an event.
//
//     tina trace 1
//     --scenario bank --seed 7 --set wire_loss_ppm=1000
//     hash 0123456789abcdef events 4711
//     0 1.000000000 - BEGIN shards=2 seed=7
//     ...
//
// A run that died has dashes for its hash.

#ifndef TINA_SIM_TRACE_H
#define TINA_SIM_TRACE_H

#include "sim/attempt.h"

#ifdef __cplusplus
extern "C" {
#endif

// sim_trace_write runs a plan and writes its file. Returns false and a sentence when it cannot.
bool sim_trace_write(const char *path, const sim_plan *plan, sim_outcome *outcome,
                     char sentence[TINA_SENTENCE_BYTES]);

typedef struct sim_replayed {
    bool same;
    char text[1024]; // lines: "same", or the first that differ
} sim_replayed;

// sim_trace_replay runs again what a file tells. Returns false, with a sentence in text, when it is
// no such file.
bool sim_trace_replay(const char *path, const tina_scenario *const *scenarios,
                      sim_replayed *replayed);

// sim_trace_compare runs two plans, each in a process of its own, and tells the first event that
// differs.
void sim_trace_compare(const sim_plan *one, const sim_plan *other, sim_replayed *replayed);

#ifdef __cplusplus
}
#endif

#endif
