// SPDX-License-Identifier: Apache-2.0
//
// The server in simulated worlds: each scenario under a dozen seeds, and seeds that have shown a
// bug once. `bazel run -c opt //http:explore` runs as many as there is time for.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "http/sim_scenarios.h"

namespace {

uint64_t SeedBase() {
    const char *text = std::getenv("TINA_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 1;
}

tina_sim_report Simulate(const tina_scenario *scenario, uint64_t seed, uint8_t fill) {
    tina_sim_report report;
    char sentence[TINA_SENTENCE_BYTES] = "";
    tina_sim_options options = {};
    options.seed = seed;
    options.fill = fill;
    EXPECT_TRUE(tina_simulate(scenario, &options, &report, sentence)) << sentence;
    EXPECT_FALSE(report.failed) << scenario->name << ", seed " << seed << ": " << report.checker
                                << ": " << report.sentence;
    tina_sim_report_end(&report);
    return report;
}

class HttpScenario : public testing::TestWithParam<const tina_scenario *> {};

TEST_P(HttpScenario, HoldsAndRepeatsItself) {
    for (uint64_t seed = SeedBase(); seed < SeedBase() + 12 && !HasFailure(); seed++) {
        tina_sim_report first = Simulate(GetParam(), seed, 0x00);
        tina_sim_report second = Simulate(GetParam(), seed, 0xAA);
        EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
        EXPECT_EQ(first.events, second.events) << "seed " << seed;
    }
}

std::vector<const tina_scenario *> All() {
    std::vector<const tina_scenario *> all;
    for (uint32_t i = 0; http_scenarios[i]; i++)
        all.push_back(http_scenarios[i]);
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, HttpScenario, testing::ValuesIn(All()),
                         [](const testing::TestParamInfo<const tina_scenario *> &p) {
                             return std::string(p.param->name);
                         });

struct Found {
    const tina_scenario *scenario;
    uint64_t seed;
};

const Found kFound[] = {
    {&http_scenario_keepalive, 315},  // a response under way was the last, and had not said so
    {&http_scenario_keepalive, 1114}, // the simulator's own: a shard that had ended got a guest
    {&http_scenario_keepalive, 2113}, // contexts of connections that crashed were lost
};

// As scenarios change, so do the runs of their seeds; what a bug needs has tests of its own.
TEST(HttpFoundSeeds, Hold) {
    for (const Found &found : kFound)
        Simulate(found.scenario, found.seed, 0x00);
}

} // namespace
