// SPDX-License-Identifier: Apache-2.0

#include "sim/scenarios.h"

#include <string.h>

const tina_scenario *const tina_scenarios[] = {
    &tina_scenario_bank,     &tina_scenario_copy,   &tina_scenario_calls,
    &tina_scenario_datagram, &tina_scenario_doors,  &tina_scenario_echo,
    &tina_scenario_handoff,  &tina_scenario_mesh,   &tina_scenario_spawn,
    &tina_scenario_stops,    &tina_scenario_timers, &tina_scenario_transfers,
    &tina_scenario_tree,     &tina_scenario_turns,  NULL,
};

const tina_scenario *tina_scenario_find(const char *name) {
    for (uint32_t i = 0; tina_scenarios[i]; i++)
        if (strcmp(tina_scenarios[i]->name, name) == 0)
            return tina_scenarios[i];
    return NULL;
}
