// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "sim/world.h"

namespace {

struct World : sim_world {
    explicit World(uint64_t number) : sim_world{} {
        tina_sim_settings calm;
        tina_sim_settings_calm(&calm);
        sim_world_begin(this, number, &calm);
    }
    ~World() {
        sim_world_end(this);
    }
};

TEST(Agenda, RunsInOrderOfTimeAndThenOfPlanning) {
    sim_agenda agenda = {};
    std::vector<uint64_t> ran;
    auto call = [](void *what, uint64_t word) {
        static_cast<std::vector<uint64_t> *>(what)->push_back(word);
    };
    tina_prng prng = tina_prng_make(1, 2, 3);
    std::vector<std::pair<uint64_t, uint64_t>> planned;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t at = tina_prng_below(&prng, 50);
        planned.emplace_back(at, i);
        sim_agenda_at(&agenda, at, call, &ran, i);
    }
    std::sort(planned.begin(), planned.end());
    EXPECT_EQ(sim_agenda_next_ns(&agenda), planned.front().first);
    for (uint64_t now = 0; now < 50; now++)
        while (sim_agenda_run(&agenda, now))
            EXPECT_EQ(planned[ran.size() - 1].first, now);
    ASSERT_EQ(ran.size(), planned.size());
    for (size_t i = 0; i < ran.size(); i++)
        EXPECT_EQ(ran[i], planned[i].second);
    EXPECT_EQ(sim_agenda_next_ns(&agenda), UINT64_MAX);
    sim_agenda_free(&agenda);
}

TEST(Settings, ArePrintedAsTheyAreRead) {
    for (uint64_t seed = 0; seed < 100; seed++) {
        tina_sim_settings drawn;
        tina_sim_settings read;
        char text[4096];
        char sentence[TINA_SIM_SENTENCE_BYTES];
        tina_sim_settings_draw(&drawn, seed);
        ASSERT_LT(tina_sim_settings_print(&drawn, text, sizeof text), sizeof text);
        tina_sim_settings_calm(&read);
        ASSERT_TRUE(tina_sim_settings_set(&read, text, sentence)) << sentence;
        EXPECT_EQ(std::memcmp(&drawn, &read, sizeof drawn), 0) << text;
    }
}

TEST(Settings, AreDrawnWithinTheirRangeAndLeftOutHalfTheTime) {
    std::vector<int> calm(tina_sim_setting_count);
    for (uint64_t seed = 0; seed < 1000; seed++) {
        tina_sim_settings drawn;
        tina_sim_settings_draw(&drawn, seed);
        for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
            const tina_sim_setting &row = tina_sim_setting_table[i];
            uint64_t value = *tina_sim_setting_of(&drawn, &row);
            calm[i] += value == row.calm;
            EXPECT_TRUE(value == row.calm || (value >= row.low && value <= row.high)) << row.name;
        }
    }
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        EXPECT_GT(calm[i], 250) << tina_sim_setting_table[i].name;
        bool is_drawn = tina_sim_setting_is_drawn(&tina_sim_setting_table[i]);
        EXPECT_EQ(calm[i] < 800, is_drawn) << tina_sim_setting_table[i].name;
    }
}

TEST(Settings, WhatCannotBeReadIsToldAndChangesNothing) {
    const char *bad[] = {"bogus=1",       "net_ns",    "net_ns=",
                         "net_ns=1x",     "net_ns=-1", "net_ns=1,,",
                         "net_ns=1,bad=", "=1",        "net_ns=99999999999999999999"};
    for (const char *text : bad) {
        tina_sim_settings settings;
        tina_sim_settings before;
        char sentence[TINA_SIM_SENTENCE_BYTES] = "";
        tina_sim_settings_calm(&settings);
        before = settings;
        EXPECT_FALSE(tina_sim_settings_set(&settings, text, sentence)) << text;
        EXPECT_GT(std::strlen(sentence), 20u);
        EXPECT_EQ(std::memcmp(&settings, &before, sizeof before), 0);
    }
}

TEST(World, AFaultThatIsLeftOutShiftsNoOther) {
    std::vector<uint64_t> all;
    {
        World world(7);
        sim_stream stream = sim_stream_of(&world, SIM_DOMAIN_NET, 5);
        world.decisions.listed = true;
        for (int i = 0; i < 1000; i++)
            (void)sim_strikes(&world, &stream, 100000);
        all.assign(world.decisions.struck, world.decisions.struck + world.decisions.struck_count);
    }
    ASSERT_GT(all.size(), 50u);
    ASSERT_LT(all.size(), 150u);
    std::vector<uint64_t> half;
    for (size_t i = 0; i < all.size(); i += 2)
        half.push_back(all[i]);
    World world(7);
    sim_stream stream = sim_stream_of(&world, SIM_DOMAIN_NET, 5);
    world.decisions.listed = true;
    world.decisions.kept = half.data();
    world.decisions.kept_count = static_cast<uint32_t>(half.size());
    for (int i = 0; i < 1000; i++)
        (void)sim_strikes(&world, &stream, 100000);
    EXPECT_EQ(std::vector<uint64_t>(world.decisions.struck,
                                    world.decisions.struck + world.decisions.struck_count),
              half);
}

TEST(World, NothingStrikesOutsideTheWindowOrWhenFaultsHaveStopped) {
    World world(1);
    sim_stream stream = sim_stream_of(&world, SIM_DOMAIN_NET, 1);
    EXPECT_TRUE(sim_strikes(&world, &stream, 1000000));
    world.faults_until_ns = world.now_ns;
    EXPECT_FALSE(sim_strikes(&world, &stream, 1000000));
    world.faults_until_ns = UINT64_MAX;
    world.faults_from_ns = world.now_ns + 1;
    EXPECT_FALSE(sim_strikes(&world, &stream, 1000000));
    world.faults_from_ns = 0;
    world.faults = false;
    EXPECT_FALSE(sim_strikes(&world, &stream, 1000000));
}

TEST(Record, EveryWordOfAnEventIsInTheHash) {
    auto hash = [](sim_event event) {
        World world(1);
        sim_record_add(&world.record, event);
        return world.record.hash;
    };
    const sim_event event = {1, SIM_OP, 2, 3, 4};
    EXPECT_EQ(hash(event), hash(event));
    EXPECT_NE(hash(event), hash({2, SIM_OP, 2, 3, 4}));
    EXPECT_NE(hash(event), hash({1, SIM_OP_DONE, 2, 3, 4}));
    EXPECT_NE(hash(event), hash({1, SIM_OP, 3, 3, 4}));
    EXPECT_NE(hash(event), hash({1, SIM_OP, 2, 4, 4}));
    EXPECT_NE(hash(event), hash({1, SIM_OP, 2, 3, 5}));
}

TEST(Record, EventsReadAsALine) {
    char line[160];
    sim_event event = {1500000000, SIM_OP_DONE, 3, static_cast<uint32_t>(-104), 0xAB};
    sim_event_format(9, &event, line, sizeof line);
    EXPECT_STREQ(line, "9 1.500000000 3 OP_DONE result=-104 key=ab");
}

} // namespace
