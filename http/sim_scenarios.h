// SPDX-License-Identifier: Apache-2.0
//
// The server's scenarios, by name.

#ifndef TINA_HTTP_SIM_SCENARIOS_H
#define TINA_HTTP_SIM_SCENARIOS_H

#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_scenario http_scenario_deadlines;
extern const tina_scenario http_scenario_drain;
extern const tina_scenario http_scenario_drain_deadlines;
extern const tina_scenario http_scenario_drain_order;
extern const tina_scenario http_scenario_full;
extern const tina_scenario http_scenario_idle;
extern const tina_scenario http_scenario_keepalive;
extern const tina_scenario http_scenario_limits;
extern const tina_scenario http_scenario_proxy;
extern const tina_scenario http_scenario_ready;
extern const tina_scenario http_scenario_slow_readers;
extern const tina_scenario http_scenario_slowloris;
extern const tina_scenario http_scenario_vanish;
extern const tina_scenario http_scenario_writes;

// All of them; the last is NULL.
extern const tina_scenario *const http_scenarios[];

#ifdef __cplusplus
}
#endif

#endif
