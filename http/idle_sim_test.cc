// SPDX-License-Identifier: Apache-2.0
//
// 100,000 idle connections on one shard, in simulation: more than the file descriptors that a
// process may have. The same number with every sanitizer.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "core/assert.h"
#include "http/scenario_idle.h"

namespace {

double Each(uint64_t bytes) {
    return static_cast<double>(bytes) / HTTP_IDLE_CROWD;
}

void Print(const http_idle_report &idle, const tina_sim_report &report) {
    struct rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    printf("%u idle connections on one shard%s\n", idle.connections,
           TINA_VERIFY_ON ? " (with red zones, as in every build but -c opt)" : "");
    printf("  touched pages of the shard's arena / connections: %.0f bytes, of which %.0f were "
           "touched before the first one came\n",
           Each(idle.touched_bytes), Each(idle.touched_empty_bytes));
    printf("  asked again and answered: %u; ended by their deadline: %u, by the drain: %u\n",
           idle.again, idle.by_deadline, idle.by_drain);
    printf("  %llu events, %.0f virtual seconds; the whole simulation: %ld MB\n",
           static_cast<unsigned long long>(report.events),
           static_cast<double>(report.virtual_ns) / 1e9, usage.ru_maxrss / 1024);
}

TEST(HttpIdle, OneShardHoldsAHundredThousand) {
    tina_sim_options options = {};
    tina_sim_report report;
    char sentence[TINA_SENTENCE_BYTES] = "";
    options.seed = 1;
    options.calm = true;
    ASSERT_TRUE(tina_simulate(&http_scenario_idle_crowd, &options, &report, sentence)) << sentence;
    ASSERT_FALSE(report.failed) << report.checker << ": " << report.sentence;
    const http_idle_report &idle = http_idle_last;
    Print(idle, report);
    EXPECT_EQ(idle.connections, HTTP_IDLE_CROWD);
    EXPECT_GT(idle.again, 900u);
    EXPECT_EQ(idle.by_deadline + idle.by_drain, HTTP_IDLE_CROWD);
    EXPECT_GE(idle.by_deadline, HTTP_IDLE_CROWD / 2);
    EXPECT_GT(idle.by_drain, 0u);
    EXPECT_LE(Each(idle.touched_bytes), 1024);
    tina_sim_report_end(&report);
}

} // namespace
