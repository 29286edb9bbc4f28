// SPDX-License-Identifier: Apache-2.0
//
// Erlang/OTP's supervisor_SUITE: significant children and auto-shutdown. Tests bear the names of
// its cases; where ours differ, a comment says how the case was adapted.

#include <gtest/gtest.h>

#include "supervise/tree_world.h"

using namespace tree_world;

namespace {

const tina_auto_shutdown MODES[] = {TINA_AUTO_SHUTDOWN_ANY, TINA_AUTO_SHUTDOWN_ALL};

tina_group_policy auto_policy(tina_auto_shutdown mode, tina_strategy strategy = TINA_ONE_FOR_ONE) {
    tina_group_policy policy = group_policy(strategy, 10, 3600 * SECOND);
    policy.auto_shutdown = mode;
    return policy;
}

tina_child_policy significant(tina_restart restart) {
    return child_policy(restart, 0, true);
}

// Whether a group with one significant child ends itself when that child exits.
bool ends_group(tina_auto_shutdown mode, tina_restart restart, tina_exit_class how) {
    World world(auto_policy(mode));
    world.child(1);
    tina_node two = world.child(2, significant(restart));
    world.start();
    world.take_log();
    world.exits(two, how);
    world.run();
    if (!world.ended)
        return false;
    EXPECT_EQ(world.take_log(), "?0 -1 .");
    EXPECT_EQ(world.end.cause, TINA_END_AUTO_SHUTDOWN);
    EXPECT_EQ(world.end.culprit_what, 2u);
    return true;
}

} // namespace

TEST(Supervisor, nonsignificant_temporary) {
    for (tina_auto_shutdown mode :
         {TINA_AUTO_SHUTDOWN_NEVER, TINA_AUTO_SHUTDOWN_ANY, TINA_AUTO_SHUTDOWN_ALL})
        for (tina_exit_class how :
             {TINA_EXITED_NORMAL, TINA_EXITED_SHUTDOWN, TINA_EXITED_ABNORMAL}) {
            World world(auto_policy(mode));
            tina_node one = world.child(1, child_policy(TINA_TEMPORARY));
            tina_node two = world.child(2, child_policy(TINA_TEMPORARY));
            world.start();
            world.exits(one, how);
            world.terminate(two);
            EXPECT_TRUE(world.up());
            EXPECT_FALSE(world.known(one));
        }
}

TEST(Supervisor, nonsignificant_transient) {
    for (tina_auto_shutdown mode :
         {TINA_AUTO_SHUTDOWN_NEVER, TINA_AUTO_SHUTDOWN_ANY, TINA_AUTO_SHUTDOWN_ALL}) {
        World world(auto_policy(mode));
        tina_node one = world.child(1, child_policy(TINA_TRANSIENT));
        tina_node two = world.child(2, child_policy(TINA_TRANSIENT));
        world.start();
        world.crash(one);
        EXPECT_EQ(world.state(one), TINA_CHILD_UP);
        world.leave(one);
        world.leave(two);
        EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
        EXPECT_TRUE(world.up());
    }
}

TEST(Supervisor, significant_temporary) {
    for (tina_auto_shutdown mode : MODES) {
        for (tina_exit_class how : {TINA_EXITED_NORMAL, TINA_EXITED_SHUTDOWN, TINA_EXITED_ABNORMAL})
            EXPECT_TRUE(ends_group(mode, TINA_TEMPORARY, how));

        World world(auto_policy(mode));
        tina_node one = world.child(1, significant(TINA_TEMPORARY));
        world.start();
        world.terminate(one);
        EXPECT_TRUE(world.up()) << "it did not end by itself";
    }
    World world(auto_policy(TINA_AUTO_SHUTDOWN_ALL));
    tina_node nodes[4] = {};
    for (uint32_t i = 1; i <= 3; i++)
        nodes[i] = world.child(i, significant(TINA_TEMPORARY));
    world.start();
    world.leave(nodes[1]);
    world.crash(nodes[3]);
    EXPECT_TRUE(world.up());
    world.leave(nodes[2]);
    EXPECT_TRUE(world.ended) << "the last one triggers";
}

TEST(Supervisor, significant_transient) {
    for (tina_auto_shutdown mode : MODES) {
        EXPECT_TRUE(ends_group(mode, TINA_TRANSIENT, TINA_EXITED_NORMAL));
        EXPECT_TRUE(ends_group(mode, TINA_TRANSIENT, TINA_EXITED_SHUTDOWN));
        EXPECT_FALSE(ends_group(mode, TINA_TRANSIENT, TINA_EXITED_ABNORMAL)) << "it is restarted";
    }
    World world(auto_policy(TINA_AUTO_SHUTDOWN_ALL));
    tina_node one = world.child(1, significant(TINA_TRANSIENT));
    tina_node two = world.child(2, significant(TINA_TRANSIENT));
    world.start();
    world.leave(one);
    world.crash(two);
    EXPECT_TRUE(world.up());
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_OK);
    world.run();
    world.leave(two);
    EXPECT_TRUE(world.up()) << "1 runs again";
    world.leave(one);
    EXPECT_TRUE(world.ended);
}

TEST(Supervisor, significant_simple) {
    for (tina_restart restart : {TINA_TRANSIENT, TINA_TEMPORARY}) {
        tina_group_policy policy = auto_policy(TINA_AUTO_SHUTDOWN_ANY);
        policy.dynamic = true;
        World any(policy, 64, significant(restart));
        any.start();
        tina_node one = any.add(any.root, 1);
        tina_node two = any.add(any.root, 2);
        any.run();
        any.terminate(two);
        EXPECT_TRUE(any.up());
        any.add(any.root, 3);
        any.run();
        any.leave(one);
        EXPECT_EQ(any.take_log(), "+1 +2 -2 +3 ?0 -3 .");

        policy.auto_shutdown = TINA_AUTO_SHUTDOWN_ALL;
        World all(policy, 64, significant(restart));
        all.start();
        one = all.add(all.root, 1);
        two = all.add(all.root, 2);
        all.run();
        all.leave(one);
        EXPECT_TRUE(all.up());
        all.leave(two);
        EXPECT_EQ(all.take_log(), "+1 +2 ?0 .");
    }
}

TEST(Supervisor, significant_bystander) {
    for (tina_auto_shutdown mode : MODES)
        for (tina_strategy strategy : {TINA_ONE_FOR_ONE, TINA_ONE_FOR_ALL, TINA_REST_FOR_ONE}) {
            World world(auto_policy(mode, strategy));
            tina_node one = world.child(1);
            tina_node two = world.child(2, significant(TINA_TRANSIENT));
            tina_node three = world.child(3, significant(TINA_TEMPORARY));
            world.manners[2].leaves = TINA_EXITED_NORMAL;
            world.start();
            world.crash(one);
            EXPECT_TRUE(world.up()) << "a sibling's death is not its own";
            EXPECT_EQ(world.state(two), TINA_CHILD_UP);
            EXPECT_EQ(world.known(three), strategy == TINA_ONE_FOR_ONE);
        }
}

TEST(Supervisor, significant_escalation) {
    for (bool escalates : {false, true}) {
        World world(auto_policy(TINA_AUTO_SHUTDOWN_ANY));
        world.child(1);
        tina_node sub = world.group(world.root, 2, auto_policy(TINA_AUTO_SHUTDOWN_ANY),
                                    child_policy(TINA_TRANSIENT, 0, escalates));
        tina_node leaf = world.child(sub, 21, significant(TINA_TRANSIENT));
        world.child(sub, 22);
        world.start();
        world.take_log();
        world.leave(leaf);
        EXPECT_EQ(world.take_log(), escalates ? "?2 -22 ?0 -1 ." : "?2 -22");
        EXPECT_EQ(world.state(sub), TINA_CHILD_DOWN);
    }
}

namespace {

// Changes auto_shutdown while children run, and lets two significant children leave one by one.
// Returns how many it took until the group ended; 0: it did not.
int leaves_until_end(tina_auto_shutdown before, tina_auto_shutdown after) {
    World world(auto_policy(before));
    bool significant_before = before != TINA_AUTO_SHUTDOWN_NEVER;
    bool significant_after = after != TINA_AUTO_SHUTDOWN_NEVER;
    tina_node nodes[2] = {};
    for (uint32_t i = 0; i < 2; i++)
        nodes[i] = world.child(i + 1, child_policy(TINA_TRANSIENT, 0, significant_before));
    world.start();
    tina_group_policy policy = auto_policy(after);
    // A group that is never to end itself cannot have significant children.
    tina_child_policy child = child_policy(TINA_TRANSIENT, 0, significant_after);
    EXPECT_EQ(tina_child_policy_check(&policy, &child), TINA_POLICY_OK);
    EXPECT_EQ(tina_tree_change_group(world.tree, world.root, &policy), TINA_TREE_OK);
    for (tina_node node : nodes)
        EXPECT_EQ(tina_tree_change_child(world.tree, node, &child), TINA_TREE_OK);
    world.check();
    for (int i = 0; i < 2; i++) {
        world.leave(nodes[i]);
        if (world.ended)
            return i + 1;
    }
    EXPECT_TRUE(world.up());
    return 0;
}

} // namespace

// OTP changes these by a code upgrade; here by change_group and change_child while children run.
TEST(Supervisor, significant_upgrade_never_any) {
    EXPECT_EQ(leaves_until_end(TINA_AUTO_SHUTDOWN_NEVER, TINA_AUTO_SHUTDOWN_ANY), 1);
}

TEST(Supervisor, significant_upgrade_any_never) {
    EXPECT_EQ(leaves_until_end(TINA_AUTO_SHUTDOWN_ANY, TINA_AUTO_SHUTDOWN_NEVER), 0);
}

TEST(Supervisor, significant_upgrade_never_all) {
    EXPECT_EQ(leaves_until_end(TINA_AUTO_SHUTDOWN_NEVER, TINA_AUTO_SHUTDOWN_ALL), 2);
}

TEST(Supervisor, significant_upgrade_all_never) {
    EXPECT_EQ(leaves_until_end(TINA_AUTO_SHUTDOWN_ALL, TINA_AUTO_SHUTDOWN_NEVER), 0);
}

TEST(Supervisor, significant_upgrade_any_all) {
    EXPECT_EQ(leaves_until_end(TINA_AUTO_SHUTDOWN_ANY, TINA_AUTO_SHUTDOWN_ALL), 2);
}

TEST(Supervisor, significant_upgrade_all_any) {
    EXPECT_EQ(leaves_until_end(TINA_AUTO_SHUTDOWN_ALL, TINA_AUTO_SHUTDOWN_ANY), 1);
}

TEST(Supervisor, significant_upgrade_child) {
    World world(auto_policy(TINA_AUTO_SHUTDOWN_ANY));
    tina_node one = world.child(1, significant(TINA_TRANSIENT));
    tina_node two = world.child(2, child_policy(TINA_TRANSIENT));
    world.start();
    tina_child_policy plain = child_policy(TINA_TRANSIENT);
    tina_child_policy marked = significant(TINA_TRANSIENT);
    EXPECT_EQ(tina_tree_change_child(world.tree, one, &plain), TINA_TREE_OK);
    EXPECT_EQ(tina_tree_change_child(world.tree, two, &marked), TINA_TREE_OK);
    world.check();
    world.leave(one);
    EXPECT_TRUE(world.up());
    world.leave(two);
    EXPECT_TRUE(world.ended);
}
