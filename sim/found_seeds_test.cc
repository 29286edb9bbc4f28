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
    const char *set;
};

const Found kFound[] = {
    {"mesh", 155, nullptr},  // news of a shard overtook messages that waited for envelopes
    {"mesh", 1294, nullptr}, // the same
    {"mesh", 9133, nullptr}, // a life of a shard that ended before it was told of was not counted
    // A shard told to shut down before all its children were back was said not to have booted.
    {"echo", 348, "init_crash_ppm=200000,crash_before_ppm=20000"},
};

TEST(FoundSeeds, Hold) {
    for (const Found &found : kFound) {
        tina_sim_options options = {};
        options.seed = found.seed;
        options.set = found.set;
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
