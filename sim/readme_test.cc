// SPDX-License-Identifier: Apache-2.0
//
// The test of README.md, which quotes the lines between the two marks.

#include <gtest/gtest.h>

#include "sim/readme_scenario.h"

// README begins
#include "sim/test.h"

TEST(Counting, CountsEachOnce) {
    tina::Simulate(counting, 200);
}
// README ends
