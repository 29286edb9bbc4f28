// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <cstdlib>

#include "sim/scenarios.h"

namespace {

uint64_t SeedBase() {
    const char *text = std::getenv("TINA_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 1;
}

class Scenario : public testing::TestWithParam<const tina_scenario *> {};

TEST_P(Scenario, HoldsAndRepeatsItself) {
    for (uint64_t seed = SeedBase(); seed < SeedBase() + 100; seed++) {
        tina_sim_report report[2];
        char sentence[TINA_SENTENCE_BYTES];
        const uint8_t fills[2] = {0x00, 0xAA};
        for (int i = 0; i < 2; i++) {
            tina_sim_options options = {};
            options.seed = seed;
            options.fill = fills[i];
            ASSERT_TRUE(tina_simulate(GetParam(), &options, &report[i], sentence)) << sentence;
            ASSERT_FALSE(report[i].failed)
                << "seed " << seed << ": " << report[i].checker << ": " << report[i].sentence;
        }
        EXPECT_EQ(report[0].hash, report[1].hash) << "seed " << seed;
        EXPECT_EQ(report[0].events, report[1].events);
        tina_sim_report_end(&report[0]);
        tina_sim_report_end(&report[1]);
    }
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
