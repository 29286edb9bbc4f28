// SPDX-License-Identifier: Apache-2.0
//
// Scenarios that are wrong on purpose: what looks for faults must find these, or its test fails.

#ifndef TINA_SIM_CANARIES_H
#define TINA_SIM_CANARIES_H

#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_scenario sim_canary_books_twice;   // a call that is repeated counts twice
extern const tina_scenario sim_canary_two;           // fails when two neighbouring decisions strike
extern const tina_scenario sim_canary_odd;           // fails when an odd number has struck
extern const tina_scenario sim_canary_less;          // fails late, where one has struck
extern const tina_scenario sim_canary_stuck;         // is never done where one has struck
extern const tina_scenario sim_canary_stalls;        // fails where one has struck, or has no end
extern const tina_scenario sim_canary_asserts;       // an assertion fails
extern const tina_scenario sim_canary_faults;        // an instruction that there is not
extern const tina_scenario sim_canary_hangs;         // does not end
extern const tina_scenario sim_canary_address;       // an address decides
extern const tina_scenario sim_canary_uninitialised; // memory that nobody has written decides
extern const tina_scenario sim_canary_static;        // what an earlier run has left decides
extern const tina_scenario sim_canary_sound;         // nothing is wrong

// All of them; the last is NULL.
extern const tina_scenario *const sim_canaries[];

#ifdef __cplusplus
}
#endif

#endif
