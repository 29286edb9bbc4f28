// SPDX-License-Identifier: Apache-2.0

#include "http/sim_scenarios.h"

const tina_scenario *const http_scenarios[] = {
    &http_scenario_deadlines,   &http_scenario_drain,        &http_scenario_drain_deadlines,
    &http_scenario_drain_order, &http_scenario_full,         &http_scenario_idle,
    &http_scenario_keepalive,   &http_scenario_limits,       &http_scenario_proxy,
    &http_scenario_ready,       &http_scenario_slow_readers, &http_scenario_slowloris,
    &http_scenario_vanish,      &http_scenario_writes,       NULL,
};
