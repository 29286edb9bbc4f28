// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sched/ctx.h"
#include "sched/io.h"
#include "sim/scenarios.h"
#include "sim/test.h"

namespace {

// A program of one isolate.
struct Alone {
    explicit Alone(const tina_isolate_type *type) : types{{type, 1}} {
        child.type = type;
        spec.root.children = &child;
        spec.root.child_count = 1;
        spec.types = types;
        spec.type_count = 1;
    }
    Alone(const Alone &) = delete;
    tina_type_slots types[1];
    tina_child child = {};
    tina_spec spec = {};
};

class Scenario : public testing::TestWithParam<const tina_scenario *> {};

TEST_P(Scenario, HoldsAndRepeatsItself) {
    tina::Simulate(*GetParam(), 25);
}

uint64_t EventsOf(const tina_scenario &scenario, const tina_sim_options &options) {
    tina_sim_report report;
    char sentence[TINA_SENTENCE_BYTES];
    EXPECT_TRUE(tina_simulate(&scenario, &options, &report, sentence)) << sentence;
    EXPECT_FALSE(report.failed) << scenario.name << ", seed " << options.seed << ", "
                                << (options.set ? options.set : "") << ": " << report.checker
                                << ": " << report.sentence;
    uint64_t events = report.events;
    tina_sim_report_end(&report);
    return events;
}

// A failure is looked for among such runs: what a scenario leaves out must not make it fail.
TEST_P(Scenario, HoldsWithLessToDo) {
    const char *const sets[] = {
        "load_permille=1,check_turns=1",
        "load_permille=300,kinds_left_out=4660",
        "load_permille=62,kinds_left_out=43690,check_turns=7",
        "kinds_left_out=65535",
    };
    for (const char *set : sets)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            tina_sim_options options = {};
            options.seed = seed;
            options.set = set;
            options.faults_until_ns = seed % 2 ? 20000000 : 1000;
            (void)EventsOf(*GetParam(), options);
        }
}

TEST(Simulation, IsCutAtItsMostEventsAndCountsThemAsItGoes) {
    tina_sim_options options = {};
    uint64_t seen = 0;
    options.seed = 3;
    options.events_seen = &seen;
    uint64_t all = EventsOf(tina_scenario_calls, options);
    EXPECT_EQ(seen, all);
    options.events_max = all;
    EXPECT_EQ(EventsOf(tina_scenario_calls, options), all);
    options.events_max = all / 2;
    uint64_t cut = EventsOf(tina_scenario_calls, options);
    EXPECT_GT(cut, all / 2);
    EXPECT_LT(cut, all);
    options.events_max = 0;
    options.set = "load_permille=1";
    EXPECT_LT(EventsOf(tina_scenario_calls, options), all / 2);
}

// Events of the record, and marks among them, are also made after the last that is reported.
TEST(Simulation, KeepsItsMarksThroughWhatIsTornDown) {
    static uint32_t notes;
    static tina_isolate_type type = {};
    type.name = "nobody";
    type.init = [](tina_ctx *ctx, void *, tina_bytes) {
        tina_fd fd; // closed when all is torn down
        for (uint32_t i = 0; i < 40; i++)
            (void)tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd);
        for (uint32_t i = 0; i < notes; i++)
            tina_sim_note(tina_sim_current(), i, 0);
        tina_sim_fail(tina_sim_current(), "at once", "as it is to");
        return tina_receive();
    };
    type.handle = [](tina_ctx *, void *, const tina_message *) { return tina_receive(); };
    type.struct_bytes = 8;
    static const Alone alone(&type);
    tina_scenario scenario = {};
    scenario.name = "fails at once";
    scenario.specs = &alone.spec;
    scenario.spec_count = 1;
    for (notes = 2 * TINA_SIM_MARK_EVENTS - 100; notes < 2 * TINA_SIM_MARK_EVENTS; notes++) {
        tina_sim_options options = {};
        tina_sim_report report;
        char sentence[TINA_SENTENCE_BYTES];
        ASSERT_TRUE(tina_simulate(&scenario, &options, &report, sentence)) << sentence;
        EXPECT_TRUE(report.failed);
        EXPECT_EQ(report.mark_count, report.events / TINA_SIM_MARK_EVENTS);
        tina_sim_report_end(&report);
    }
}

struct Boots {
    uint32_t inits;
    tina_handle first;
};

// Each life begins with the same handles, and its port is free.
const tina_scenario &Rebooted() {
    static tina_isolate_type type = {};
    type.name = "server";
    type.init = [](tina_ctx *ctx, void *, tina_bytes) {
        Boots *boots = static_cast<Boots *>(tina_sim_state(tina_sim_current()));
        const tina_address any = tina_address_ipv4(0, 0, 0, 0, 80);
        tina_fd door;
        bool listens = tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &door) == 0 &&
                       tina_socket_bind(ctx, door, &any) == 0 &&
                       tina_socket_listen(ctx, door, 10) == 0;
        if (!listens || (boots->inits > 0 && boots->first.bits != tina_self(ctx).bits))
            tina_sim_fail(tina_sim_current(), "boots", "it does not begin as it did");
        boots->first = tina_self(ctx);
        boots->inits++;
        tina_timer_set_periodic(ctx, 1000000, 0);
        return tina_receive();
    };
    type.handle = [](tina_ctx *, void *, const tina_message *m) {
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    type.struct_bytes = 8;
    static const Alone alone(&type);
    static tina_scenario scenario = {};
    scenario.name = "boots";
    scenario.specs = &alone.spec;
    scenario.settings = "death_ppm=0,crash_during_ppm=0,crash_before_ppm=0,crash_after_ppm=0,"
                        "kill_ppm=20000,power_ppm=20000,down_ns=1000000";
    scenario.state_bytes = sizeof(Boots);
    scenario.restarts = true;
    scenario.end = [](tina_sim *sim, void *state) {
        uint32_t inits = static_cast<const Boots *>(state)->inits;
        // Some go down before they are up.
        if (inits < 3 || inits > tina_sim_restarts(sim) + 1)
            tina_sim_fail(sim, "boots", "after %u restarts there were %u inits",
                          tina_sim_restarts(sim), inits);
    };
    return scenario;
}

TEST(Simulation, BeginsAnewAsItBegan) {
    tina::Simulate(Rebooted(), 10);
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
