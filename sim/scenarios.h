// SPDX-License-Identifier: Apache-2.0
//
// The scenarios in the tree, by name.

#ifndef TINA_SIM_SCENARIOS_H
#define TINA_SIM_SCENARIOS_H

#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_scenario tina_scenario_bank;
extern const tina_scenario tina_scenario_copy;
extern const tina_scenario tina_scenario_calls;
extern const tina_scenario tina_scenario_datagram;
extern const tina_scenario tina_scenario_doors;
extern const tina_scenario tina_scenario_echo;
extern const tina_scenario tina_scenario_handoff;
extern const tina_scenario tina_scenario_mesh;
extern const tina_scenario tina_scenario_spawn;
extern const tina_scenario tina_scenario_stops;
extern const tina_scenario tina_scenario_timers;
extern const tina_scenario tina_scenario_transfers;
extern const tina_scenario tina_scenario_tree;
extern const tina_scenario tina_scenario_turns;

// All of them; the last is NULL.
extern const tina_scenario *const tina_scenarios[];

// tina_scenario_find returns the scenario of a name, or NULL.
const tina_scenario *tina_scenario_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
