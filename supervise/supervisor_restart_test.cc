// SPDX-License-Identifier: Apache-2.0
//
// Erlang/OTP's supervisor_SUITE: what is restarted, and when a group gives up. Tests bear the names
// of its cases; where ours differ, a comment says how the case was adapted.

#include <gtest/gtest.h>

#include "supervise/tree_world.h"

using namespace tree_world;

TEST(Supervisor, multiple_restarts) {
    World world(group_policy(TINA_ONE_FOR_ONE, 1, SECOND));
    tina_node child = world.child(1);
    world.start();
    for (int i = 0; i < 4; i++) {
        world.pass(2100 * MS);
        world.crash(child);
        EXPECT_EQ(world.state(child), TINA_CHILD_UP);
    }
    EXPECT_TRUE(world.up());
    EXPECT_EQ(world.take_log(), "+1 +1 +1 +1 +1");
}

TEST(Supervisor, one_for_one) {
    World world(group_policy(TINA_ONE_FOR_ONE, 2, 3600 * SECOND));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    world.start();
    uint64_t second = world.who_of(two);
    EXPECT_EQ(world.take_log(), "+1 +2");
    world.crash(one);
    EXPECT_EQ(world.who_of(two), second) << "only the crashed child is replaced";
    EXPECT_EQ(world.last_start.restarts, 1u);
    world.crash(one);
    EXPECT_EQ(world.take_log(), "+1 +1");
    EXPECT_EQ(world.last_start.restarts, 2u);
    world.crash(one);
    EXPECT_EQ(world.take_log(), "?0 -2 .");
    EXPECT_EQ(world.end.cause, TINA_END_BUDGET);
    EXPECT_EQ(world.end.culprit_what, 1u);
    EXPECT_EQ(world.end.restarts, 3u);
    EXPECT_TRUE(world.ended);
}

TEST(Supervisor, one_for_one_escalation) {
    World world(group_policy(TINA_ONE_FOR_ONE, 4, 3600 * SECOND));
    tina_node one = world.child(1);
    world.child(2);
    world.start();
    world.take_log();
    world.manners[1].fail = -1;
    world.crash(one);
    EXPECT_EQ(world.take_log(), "+1 +1 +1 +1 ?0 -2 .") << "each attempt counts";
    EXPECT_EQ(world.end.cause, TINA_END_BUDGET);
}

TEST(Supervisor, one_for_all) {
    World world(group_policy(TINA_ONE_FOR_ALL, 2, 3600 * SECOND));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    world.start();
    uint64_t first = world.who_of(one);
    uint64_t second = world.who_of(two);
    world.take_log();
    world.crash(one);
    EXPECT_EQ(world.take_log(), "-2 +1 +2");
    EXPECT_NE(world.who_of(one), first);
    EXPECT_NE(world.who_of(two), second);
    world.crash(two);
    EXPECT_EQ(world.take_log(), "-1 +1 +2");
    world.crash(one);
    EXPECT_EQ(world.take_log(), "?0 -2 .");
}

TEST(Supervisor, one_for_all_escalation) {
    World world(group_policy(TINA_ONE_FOR_ALL, 4, 3600 * SECOND));
    tina_node one = world.child(1);
    world.child(2);
    world.start();
    world.take_log();
    world.manners[2].fail = -1;
    world.crash(one);
    EXPECT_EQ(world.take_log(), "-2 +1 +2 -1 +1 +2 -1 +1 +2 -1 +1 +2 ?0 -1 .");
    EXPECT_EQ(world.end.cause, TINA_END_BUDGET);
}

TEST(Supervisor, one_for_all_other_child_fails_restart) {
    World world(group_policy(TINA_ONE_FOR_ALL, 3, 3600 * SECOND));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    world.start();
    world.take_log();
    world.manners[2].fail = 1;
    world.crash(one);
    EXPECT_EQ(world.take_log(), "-2 +1 +2 -1 +1 +2") << "1 is stopped, then both are tried again";
    EXPECT_EQ(world.state(one), TINA_CHILD_UP);
    EXPECT_EQ(world.state(two), TINA_CHILD_UP);
    EXPECT_EQ(world.last_start.restarts, 2u);
}

TEST(Supervisor, simple_one_for_one) {
    World world(dynamic_policy(2, 3600 * SECOND));
    world.start();
    tina_node one = world.add(world.root, 1);
    tina_node two = world.add(world.root, 2);
    world.run();
    uint64_t second = world.who_of(two);
    world.crash(one);
    EXPECT_EQ(world.who_of(two), second);
    world.crash(one);
    EXPECT_EQ(world.take_log(), "+1 +2 +1 +1");
    world.crash(one);
    EXPECT_EQ(world.take_log(), "?0 -2 .");
    EXPECT_EQ(world.end.cause, TINA_END_BUDGET);
}

// The arguments of a start are the caller's, found by `what`; a restart gives the same `what`.
TEST(Supervisor, simple_one_for_one_extra) {
    World world(dynamic_policy(2, 3600 * SECOND));
    world.start();
    tina_node child = world.add(world.root, 4711);
    world.run();
    world.crash(child);
    EXPECT_EQ(world.last_start.what, 4711u);
    EXPECT_EQ(world.last_start.restarts, 1u);
    EXPECT_EQ(world.state(child), TINA_CHILD_UP);
}

TEST(Supervisor, simple_one_for_one_escalation) {
    World world(dynamic_policy(4, 3600 * SECOND));
    world.start();
    tina_node one = world.add(world.root, 1);
    world.add(world.root, 2);
    world.run();
    world.take_log();
    world.manners[1].fail = -1;
    world.crash(one);
    EXPECT_EQ(world.take_log(), "+1 +1 +1 +1 ?0 -2 .");
}

TEST(Supervisor, rest_for_one) {
    World world(group_policy(TINA_REST_FOR_ONE, 2, 3600 * SECOND));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    tina_node three = world.child(3);
    world.start();
    uint64_t first = world.who_of(one);
    uint64_t third = world.who_of(three);
    world.take_log();
    world.crash(two);
    EXPECT_EQ(world.take_log(), "-3 +2 +3");
    EXPECT_EQ(world.who_of(one), first);
    EXPECT_NE(world.who_of(three), third);
    world.crash(two);
    world.take_log();
    world.crash(two);
    EXPECT_EQ(world.take_log(), "?0 -3 -1 .");
}

TEST(Supervisor, rest_for_one_escalation) {
    World world(group_policy(TINA_REST_FOR_ONE, 4, 3600 * SECOND));
    tina_node one = world.child(1);
    world.child(2);
    world.start();
    world.take_log();
    world.manners[2].fail = -1;
    world.crash(one);
    EXPECT_EQ(world.take_log(), "-2 +1 +2 +2 +2 +2 ?0 -1 .");
}

TEST(Supervisor, rest_for_one_other_child_fails_restart) {
    World world(group_policy(TINA_REST_FOR_ONE, 3, 3600 * SECOND));
    tina_node one = world.child(1);
    world.child(2);
    world.child(3);
    world.start();
    world.take_log();
    world.manners[2].fail = 1;
    world.crash(one);
    EXPECT_EQ(world.take_log(), "-3 -2 +1 +2 +2 +3") << "1 is kept, 2 is tried again";
}

TEST(Supervisor, order_of_children) {
    World world(group_policy(TINA_REST_FOR_ONE, 3, 3600 * SECOND));
    tina_node nodes[6] = {};
    for (uint32_t i = 1; i <= 5; i++)
        nodes[i] = world.child(i);
    world.start();
    EXPECT_EQ(world.take_log(), "+1 +2 +3 +4 +5");
    EXPECT_EQ(world.which(world.root), (std::vector<uint32_t>{1, 2, 3, 4, 5}));
    world.crash(nodes[3]);
    EXPECT_EQ(world.take_log(), "-5 -4 +3 +4 +5");
    world.shutdown();
    EXPECT_EQ(world.take_log(), "-5 -4 -3 -2 -1 .");
    EXPECT_EQ(world.end.cause, TINA_END_SHUTDOWN);
}
