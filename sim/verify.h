// SPDX-License-Identifier: Apache-2.0
//
// Whether a seed says everything: each one is run in two processes that are alike in nothing else.
//
// The second one has other addresses (ASLR, and an environment that shifts its stack), memory that
// holds other bytes before it is written, and has run other seeds before, in another order. Where
// the events of the two differ, the first mark (a hash after each 1024 events) that differs says
// where to look for the first event that does.

#ifndef TINA_SIM_VERIFY_H
#define TINA_SIM_VERIFY_H

#include "sim/search.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sim_verified {
    bool differ;
    uint64_t runs;                         // compared
    uint64_t events;                       // of them
    char text[2048];                       // lines: which seed, and the first event that differs
    char again[SIM_PLAN_SET_BYTES + 1024]; // the options of that run
} sim_verified;

// sim_verify stops at the first seed that differs, or dies. Returns false, with a sentence in text,
// when a plan makes no sense. The program must hand its arguments to sim_verify_child when the
// first is SIM_VERIFY_CHILD.
bool sim_verify(const sim_search *search, sim_verified *verified);

#define SIM_VERIFY_CHILD "--verify-child"

// sim_verify_child is the other process's main.
int sim_verify_child(int argc, char **argv, const tina_scenario *const *scenarios);

#ifdef __cplusplus
}
#endif

#endif
