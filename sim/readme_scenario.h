// SPDX-License-Identifier: Apache-2.0
//
// The scenario of README.md.

#ifndef TINA_SIM_README_SCENARIO_H
#define TINA_SIM_README_SCENARIO_H

#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_scenario counting;

#ifdef __cplusplus
}
#endif

#endif
