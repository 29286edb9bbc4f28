// SPDX-License-Identifier: Apache-2.0
//
// The program that looks for a seed that fails: any main that names its scenarios.
//
//     int main(int argc, char **argv) {
//         return tina_explore(argc, argv, scenarios, "//mine:explore");
//     }

#ifndef TINA_SIM_EXPLORE_H
#define TINA_SIM_EXPLORE_H

#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

// tina_explore does what the arguments say; `--help` says what there is. scenarios ends with NULL;
// target is what `bazel run` calls the program. Returns the exit code: 0 nothing failed, 1
// something did, 2 the arguments make no sense.
int tina_explore(int argc, char **argv, const tina_scenario *const *scenarios, const char *target);

#ifdef __cplusplus
}
#endif

#endif
