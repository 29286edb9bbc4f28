// SPDX-License-Identifier: Apache-2.0
//
// A scenario as a test of googletest's: so many seeds, each twice, and of what fails the sentence
// and the command that shows it again.
//
//     TEST(Orders, AreShippedOnce) { tina::Simulate(orders, 200); }
//
// The runs are made in a process of their own: a failed assertion or a fault in one is a failure of
// the test, with its seed, and what a run leaves in a variable is not seen here.

#ifndef TINA_SIM_TEST_H
#define TINA_SIM_TEST_H

#include <cstdint>

#include "sim/sim.h"

namespace tina {

// Simulate runs a scenario under `seeds` seeds, a hundred times as many where TINA_LONG is set, up
// to the first that fails or whose events are not the same the second time; that one is made
// smaller, and the test fails. The environment says otherwise:
//     TINA_SEED=N       the first seed; 1
//     TINA_SIM_SEEDS=N  how many
//     TINA_SIM_SEED=N   this one only
//     TINA_SIM='...'    one run with these options of explore's, in this process, for a debugger;
//                       where they name another scenario, none
void Simulate(const tina_scenario &scenario, uint64_t seeds, const char *file = __builtin_FILE(),
              int line = __builtin_LINE());

} // namespace tina

#endif
