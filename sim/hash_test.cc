// SPDX-License-Identifier: Apache-2.0
//
// The same seed gives the same events under every compiler, optimisation and sanitizer that the
// gate builds this with: their hashes are those of hashes.txt. Whoever changes what happens, in the
// scheduler or in a scenario, writes them anew from what this test prints.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "sim/scenarios.h"

namespace {

constexpr uint64_t kSeeds = 20;

std::string HashOf(const tina_scenario *scenario) {
    uint64_t all = 0;
    for (uint64_t seed = 1; seed <= kSeeds; seed++) {
        tina_sim_options options = {};
        tina_sim_report report;
        char sentence[TINA_SENTENCE_BYTES];
        options.seed = seed;
        options.fill = static_cast<uint8_t>(seed * 37);
        EXPECT_TRUE(tina_simulate(scenario, &options, &report, sentence)) << sentence;
        EXPECT_FALSE(report.failed) << scenario->name << " " << seed << ": " << report.sentence;
        all = (all ^ report.hash) * UINT64_C(0x9E3779B97F4A7C15);
        tina_sim_report_end(&report);
    }
    std::ostringstream line;
    line << scenario->name << " " << std::hex << all << "\n";
    return line.str();
}

TEST(Hash, IsTheSameOnEveryBuild) {
    std::ifstream file("sim/hashes.txt");
    std::string wanted((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::string made;
    for (uint32_t i = 0; tina_scenarios[i]; i++)
        made += HashOf(tina_scenarios[i]);
    EXPECT_EQ(made, wanted) << "sim/hashes.txt of this tree:\n" << made;
}

} // namespace
