// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/scenarios.h"
#include "sim/test.h"

namespace {

class Scenario : public testing::TestWithParam<const tina_scenario *> {};

TEST_P(Scenario, HoldsAndRepeatsItself) {
    tina::Simulate(*GetParam(), 100);
}

std::vector<const tina_scenario *> All() {
    std::vector<const tina_scenario *> all;
    for (uint32_t i = 0; tina_scenarios[i]; i++)
        all.push_back(tina_scenarios[i]);
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, Scenario, testing::ValuesIn(All()),
                         [](const testing::TestParamInfo<const tina_scenario *> &p) {
                             return std::string(p.param->name);
                         });

} // namespace
