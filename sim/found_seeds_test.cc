// SPDX-License-Identifier: Apache-2.0
//
// Seeds that have shown a bug once. As scenarios change, so do the runs of their seeds; what a bug
// needs has tests of its own.

#include <gtest/gtest.h>

#include "sim/scenarios.h"

namespace {

struct Found {
    const char *scenario;
    uint64_t seed;
};

const Found kFound[] = {
    {"mesh", 155},  // news of a shard overtook messages that waited for envelopes
    {"mesh", 1294}, // the same
    {"mesh", 9133}, // a life of a shard that ended before it was told of was not counted
};

TEST(FoundSeeds, Hold) {
    for (const Found &found : kFound) {
        tina_sim_options options = {};
        options.seed = found.seed;
        tina_sim_report report;
        char sentence[TINA_SENTENCE_BYTES];
        const tina_scenario *scenario = tina_scenario_find(found.scenario);
        ASSERT_NE(scenario, nullptr) << found.scenario;
        ASSERT_TRUE(tina_simulate(scenario, &options, &report, sentence)) << sentence;
        EXPECT_FALSE(report.failed) << found.scenario << ", seed " << found.seed << ": "
                                    << report.checker << ": " << report.sentence;
        tina_sim_report_end(&report);
    }
}

} // namespace
