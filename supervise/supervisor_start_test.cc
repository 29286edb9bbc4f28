// SPDX-License-Identifier: Apache-2.0
//
// Erlang/OTP's supervisor_SUITE: starting, stopping, and the run-time requests. Tests bear the
// names of its cases; where ours differ, a comment says how the case was adapted.

#include <gtest/gtest.h>

#include "supervise/tree_world.h"

using namespace tree_world;

namespace {

using Counts = std::vector<uint32_t>;

} // namespace

TEST(Supervisor, sup_start_normal) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node child = world.child(1);
    world.start();
    EXPECT_TRUE(world.up());
    EXPECT_EQ(world.state(child), TINA_CHILD_UP);
    world.shutdown();
    EXPECT_EQ(world.take_log(), "+1 -1 .");
    EXPECT_EQ(world.end.cause, TINA_END_SHUTDOWN);
}

// A group has no init that could say `ignore`. What is left of the case: nothing that runs is no
// failure, and such a tree ends normally.
TEST(Supervisor, sup_start_ignore_init) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.child(1);
    world.manners[1].ignore = true;
    world.start();
    EXPECT_TRUE(world.up());
    world.shutdown();
    EXPECT_EQ(world.take_log(), "+1 .");
    EXPECT_EQ(world.end.cause, TINA_END_SHUTDOWN);
}

TEST(Supervisor, sup_start_ignore_child) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.start();
    world.manners[1].ignore = true;
    tina_node one = world.add(world.root, 1);
    world.add(world.root, 2);
    world.run();
    EXPECT_EQ(world.which(world.root), (Counts{1, 2}));
    EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
    EXPECT_EQ(world.counts(world.root), (Counts{2, 1, 0, 2}));
}

TEST(Supervisor, sup_start_ignore_temporary_child) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1, child_policy(TINA_TEMPORARY));
    world.child(2, child_policy(TINA_TEMPORARY));
    world.manners[1].ignore = true;
    world.start();
    EXPECT_FALSE(world.known(one));
    EXPECT_EQ(world.which(world.root), (Counts{2}));
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
}

TEST(Supervisor, sup_start_ignore_temporary_child_start_child) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.start();
    world.manners[1].ignore = true;
    tina_node one = world.add(world.root, 1, child_policy(TINA_TEMPORARY));
    world.add(world.root, 2, child_policy(TINA_TEMPORARY));
    world.run();
    EXPECT_FALSE(world.known(one));
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
}

TEST(Supervisor, sup_start_ignore_temporary_child_start_child_simple) {
    World world(dynamic_policy(), 64, child_policy(TINA_TEMPORARY));
    world.start();
    world.manners[1].ignore = true;
    tina_node one = world.add(world.root, 1);
    world.add(world.root, 2);
    world.run();
    EXPECT_FALSE(world.known(one));
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
}

TEST(Supervisor, sup_start_ignore_permanent_child_start_child_simple) {
    World world(dynamic_policy(), 64, child_policy(TINA_PERMANENT));
    world.start();
    world.manners[1].ignore = true;
    tina_node one = world.add(world.root, 1);
    world.add(world.root, 2);
    world.run();
    EXPECT_FALSE(world.known(one));
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
    world.shutdown();
    EXPECT_EQ(world.take_log(), "+1 +2 -2 .");
}

// A group's init is its policy, and what is wrong with it is the error that is returned.
TEST(Supervisor, sup_start_error_return) {
    tina_group_policy policy = group_policy(static_cast<tina_strategy>(3));
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_NO_STRATEGY);
}

TEST(Supervisor, sup_start_fail) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.child(1);
    tina_node two = world.child(2);
    world.child(3);
    world.manners[2].fail = 1;
    world.start();
    EXPECT_EQ(world.take_log(), "+1 +2 ?0 -1 .") << "the started ones are stopped, no retry";
    EXPECT_EQ(world.end.cause, TINA_END_START_FAILED);
    EXPECT_EQ(world.end.culprit.bits, two.bits);
    EXPECT_EQ(world.end.reason, 78u) << "the reason is the child's";
}

TEST(Supervisor, sup_start_child_returns_error) {
    for (bool refused : {false, true}) {
        World world(group_policy(TINA_ONE_FOR_ONE));
        world.start();
        world.manners[1].fail = 1;
        world.manners[1].refused = refused;
        tina_node one = world.add(world.root, 1);
        world.run();
        EXPECT_FALSE(world.known(one)) << "the spec is not kept";
        EXPECT_EQ(world.counts(world.root), (Counts{0, 0, 0, 0}));
        EXPECT_EQ(world.take_log(), "+1") << "and nothing is tried again";
        EXPECT_TRUE(world.up());
    }
}

TEST(Supervisor, sup_start_restart_child_returns_error) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1);
    world.start();
    world.terminate(one);
    world.manners[1].fail = 1;
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_OK);
    world.run();
    EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
    EXPECT_EQ(world.counts(world.root), (Counts{1, 0, 0, 1}));
    EXPECT_EQ(world.take_log(), "+1 -1 +1");
}

TEST(Supervisor, sup_start_child_returns_error_simple) {
    World world(dynamic_policy());
    world.start();
    world.manners[1].fail = 1;
    tina_node one = world.add(world.root, 1);
    world.run();
    EXPECT_FALSE(world.known(one));
    EXPECT_EQ(world.counts(world.root), (Counts{1, 0, 0, 0}));
    EXPECT_TRUE(world.up());
}

TEST(Supervisor, sup_start_map) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1);
    tina_node two = world.group(world.root, 2, group_policy(TINA_ONE_FOR_ONE));
    world.start();
    tina_child_info info = {};
    ASSERT_EQ(tina_tree_look(world.tree, one, &info), TINA_TREE_OK);
    EXPECT_EQ(info.policy.restart, TINA_PERMANENT);
    EXPECT_EQ(info.policy.shutdown_ns, 5000 * MS);
    EXPECT_FALSE(info.policy.significant);
    EXPECT_FALSE(info.group);
    EXPECT_EQ(info.parent.bits, world.root.bits);
    EXPECT_EQ(info.who, world.who_of(one));
    ASSERT_EQ(tina_tree_look(world.tree, two, &info), TINA_TREE_OK);
    EXPECT_EQ(info.policy.shutdown_ns, TINA_SHUTDOWN_INFINITY);
    EXPECT_TRUE(info.group);
    EXPECT_EQ(tina_tree_find(world.tree, world.root, 1).bits, one.bits);
    EXPECT_EQ(tina_tree_find(world.tree, world.root, 3).bits, 0u);
    EXPECT_EQ(tina_tree_look(world.tree, tina_node{}, &info), TINA_TREE_STALE);
}

TEST(Supervisor, sup_start_map_simple) {
    World world(dynamic_policy(), 64, child_policy(TINA_TRANSIENT, 17 * MS));
    world.start();
    tina_node one = world.add(world.root, 1);
    world.run();
    tina_child_info info = {};
    ASSERT_EQ(tina_tree_look(world.tree, one, &info), TINA_TREE_OK);
    EXPECT_EQ(info.policy.restart, TINA_TRANSIENT);
    EXPECT_EQ(info.policy.shutdown_ns, 17 * MS);
    tina_node stranger = {one.bits + 1};
    EXPECT_EQ(tina_tree_look(world.tree, stranger, &info), TINA_TREE_STALE);
    world.leave(one);
    EXPECT_EQ(tina_tree_look(world.tree, one, &info), TINA_TREE_STALE);
}

// A spec is a struct: keys can be neither missing nor junk. What is left is a policy with a value
// that is none, and one whose rules contradict each other.
TEST(Supervisor, sup_start_map_faulty_specs) {
    tina_group_policy group = group_policy(TINA_ONE_FOR_ONE);
    tina_child_policy child = child_policy(static_cast<tina_restart>(3));
    EXPECT_EQ(tina_child_policy_check(&group, &child), TINA_POLICY_NO_RESTART);
    child = {};
    EXPECT_EQ(tina_child_policy_check(&group, &child), TINA_POLICY_OK);
}

TEST(Supervisor, sup_stop_infinity) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.child(1, child_policy(TINA_PERMANENT, TINA_SHUTDOWN_INFINITY));
    world.group(world.root, 2, group_policy(TINA_ONE_FOR_ONE),
                child_policy(TINA_PERMANENT, TINA_SHUTDOWN_INFINITY));
    world.manners[1].linger_ns = 3600 * SECOND;
    world.start();
    uint64_t began_ns = world.now_ns;
    world.shutdown();
    EXPECT_EQ(world.take_log(), "+1 -1 .") << "nobody is killed";
    EXPECT_EQ(world.now_ns - began_ns, 3600 * SECOND);
}

TEST(Supervisor, sup_stop_timeout) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.child(1, child_policy(TINA_PERMANENT, 1000 * MS));
    world.child(2, child_policy(TINA_PERMANENT, 1000 * MS));
    world.manners[2].deaf = true;
    world.start();
    uint64_t began_ns = world.now_ns;
    tina_tree_shutdown(world.tree);
    world.run();
    EXPECT_EQ(tina_tree_next_ns(world.tree), began_ns + 1000 * MS);
    world.pass(1000 * MS - 1);
    EXPECT_EQ(world.take_log(), "+1 +2 -2") << "1 waits for 2, which has its full time";
    world.pass(1);
    EXPECT_EQ(world.take_log(), "!2 -1 .");
}

TEST(Supervisor, sup_stop_timeout_dynamic) {
    World world(dynamic_policy(), 64, child_policy(TINA_PERMANENT, 1000 * MS));
    world.start();
    world.add(world.root, 1);
    world.add(world.root, 2);
    world.manners[2].deaf = true;
    world.run();
    tina_tree_shutdown(world.tree);
    world.pass(1000 * MS - 1);
    EXPECT_EQ(world.take_log(), "+1 +2 -2 -1") << "all are told at once";
    world.pass(1);
    EXPECT_EQ(world.take_log(), "!2 .");
}

TEST(Supervisor, sup_stop_brutal_kill) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.child(1);
    world.child(2, child_policy(TINA_PERMANENT, TINA_SHUTDOWN_BRUTAL));
    world.start();
    world.shutdown();
    EXPECT_EQ(world.take_log(), "+1 +2 !2 -1 .");
}

TEST(Supervisor, sup_stop_brutal_kill_dynamic) {
    World world(dynamic_policy(), 64, child_policy(TINA_PERMANENT, TINA_SHUTDOWN_BRUTAL));
    world.start();
    for (uint32_t i = 1; i <= 10; i++)
        world.add(world.root, i);
    world.run();
    world.take_log();
    world.shutdown();
    EXPECT_EQ(world.take_log(), "!10 !9 !8 !7 !6 !5 !4 !3 !2 !1 .");
}

// Which reasons children exit for is the caller's to log; that none is restarted is the tree's.
TEST(Supervisor, sup_stop_race) {
    for (tina_restart restart : {TINA_PERMANENT, TINA_TRANSIENT, TINA_TEMPORARY})
        for (tina_exit_class how :
             {TINA_EXITED_NORMAL, TINA_EXITED_SHUTDOWN, TINA_EXITED_ABNORMAL}) {
            World world(group_policy(TINA_ONE_FOR_ONE));
            tina_node one = world.child(1, child_policy(restart));
            tina_node two = world.child(2, child_policy(restart));
            tina_node three = world.child(3, child_policy(restart));
            world.manners[3].deaf = true;
            world.start();
            world.exits(one, how); // is not yet acted on when the shutdown comes
            tina_tree_shutdown(world.tree);
            world.run();
            world.exits(two, how); // while 3 is awaited
            world.exits(three, how);
            world.run();
            EXPECT_EQ(world.take_log(), "+1 +2 +3 -3 .");
            EXPECT_EQ(world.end.cause, TINA_END_SHUTDOWN);
        }
}

TEST(Supervisor, sup_stop_non_shutdown_exit_dynamic) {
    for (tina_restart restart : {TINA_PERMANENT, TINA_TRANSIENT, TINA_TEMPORARY})
        for (tina_exit_class how :
             {TINA_EXITED_NORMAL, TINA_EXITED_SHUTDOWN, TINA_EXITED_ABNORMAL}) {
            World world(dynamic_policy(), 64, child_policy(restart));
            world.start();
            for (uint32_t i = 1; i <= 3; i++) {
                world.add(world.root, i);
                world.manners[i].leaves = how;
            }
            tina_node four = world.add(world.root, 4);
            world.run();
            world.exits(four, how);
            world.shutdown();
            EXPECT_EQ(world.take_log(), "+1 +2 +3 +4 -3 -2 -1 .");
        }
}

TEST(Supervisor, child_adm) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.start();
    tina_node one = world.add(world.root, 1);
    world.run();
    EXPECT_EQ(world.which(world.root), (Counts{1}));
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
    tina_node other = {};
    EXPECT_EQ(world.start_child(world.root, 1, {}, &other), TINA_TREE_ALREADY_STARTED);
    EXPECT_EQ(other.bits, one.bits);
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_RUNNING);
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_RUNNING);

    world.terminate(one);
    EXPECT_EQ(world.counts(world.root), (Counts{1, 0, 0, 1}));
    EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
    world.terminate(one); // twice
    EXPECT_EQ(world.start_child(world.root, 1, {}, &other), TINA_TREE_ALREADY_PRESENT);
    EXPECT_EQ(other.bits, one.bits);

    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_OK);
    world.run();
    EXPECT_EQ(world.state(one), TINA_CHILD_UP);
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_RUNNING);
    world.terminate(one);
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_OK);
    EXPECT_EQ(world.counts(world.root), (Counts{0, 0, 0, 0}));
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_STALE) << "OTP's not_found";
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_STALE);
    EXPECT_EQ(tina_tree_terminate_child(world.tree, tina_node{}), TINA_TREE_STALE);

    tina_node again = world.add(world.root, 1);
    world.run();
    EXPECT_NE(again.bits, one.bits) << "the same `what` is not the same child";
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
}

// A name takes the place of the pid, and no request of ours goes by an id in a dynamic group.
TEST(Supervisor, child_adm_simple) {
    World world(dynamic_policy());
    world.start();
    EXPECT_EQ(world.counts(world.root), (Counts{1, 0, 0, 0}));
    tina_node one = world.add(world.root, 1);
    tina_node two = world.add(world.root, 1);
    world.run();
    EXPECT_EQ(world.counts(world.root), (Counts{1, 2, 0, 2}));
    EXPECT_EQ(tina_tree_find(world.tree, world.root, 1).bits, 0u);
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_DYNAMIC);
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_DYNAMIC);
    world.terminate(one);
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
    world.terminate(one); // twice
    tina_node stranger = {two.bits + 1};
    EXPECT_EQ(tina_tree_terminate_child(world.tree, stranger), TINA_TREE_STALE);
    EXPECT_EQ(world.state(two), TINA_CHILD_UP);
}

// {ok,Pid,Info}: what a start returns beside the child is the caller's business; the tree keeps
// `who`, which a restart replaces by itself.
TEST(Supervisor, extra_return) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1);
    world.start();
    tina_child_info info = {};
    ASSERT_EQ(tina_tree_look(world.tree, one, &info), TINA_TREE_OK);
    uint64_t first = info.who;
    EXPECT_EQ(first, world.who_of(one));
    world.crash(one);
    ASSERT_EQ(tina_tree_look(world.tree, one, &info), TINA_TREE_OK);
    EXPECT_NE(info.who, first);
    EXPECT_EQ(info.who, world.who_of(one));
}

// Field by field. A `what` is unique among siblings, and a dynamic group has no children of boot.
TEST(Supervisor, child_specs) {
    tina_group_policy never = group_policy(TINA_ONE_FOR_ONE);
    for (tina_restart restart : {TINA_PERMANENT, TINA_TRANSIENT, TINA_TEMPORARY})
        for (uint64_t shutdown_ns :
             {uint64_t{0}, uint64_t{1}, TINA_SHUTDOWN_BRUTAL, TINA_SHUTDOWN_INFINITY}) {
            tina_child_policy child = child_policy(restart, shutdown_ns);
            EXPECT_EQ(tina_child_policy_check(&never, &child), TINA_POLICY_OK);
        }
    World world(never);
    tina_node one = world.child(1);
    tina_node node = {};
    tina_child_policy policy = {};
    tina_tree_group group = {};
    group.what = 1;
    EXPECT_EQ(tina_tree_add_child(world.tree, world.root, &policy, 1, &node),
              TINA_TREE_ALREADY_PRESENT);
    EXPECT_EQ(tina_tree_add_group(world.tree, world.root, &group, &node),
              TINA_TREE_ALREADY_PRESENT);
    tina_node below = world.group(world.root, 2, never);
    EXPECT_NE(world.child(below, 1).bits, one.bits) << "unique among siblings only";
}

TEST(Supervisor, child_specs_map) {
    for (int mode = TINA_AUTO_SHUTDOWN_NEVER; mode <= TINA_AUTO_SHUTDOWN_ALL; mode++)
        for (tina_restart restart : {TINA_PERMANENT, TINA_TRANSIENT, TINA_TEMPORARY})
            for (bool significant : {false, true}) {
                tina_group_policy group = group_policy(TINA_ONE_FOR_ONE);
                group.auto_shutdown = static_cast<tina_auto_shutdown>(mode);
                tina_child_policy child = child_policy(restart, 0, significant);
                tina_policy_rule expected = TINA_POLICY_OK;
                if (significant && mode == TINA_AUTO_SHUTDOWN_NEVER)
                    expected = TINA_POLICY_SIGNIFICANT_NEVER;
                if (significant && restart == TINA_PERMANENT)
                    expected = TINA_POLICY_SIGNIFICANT_PERMANENT;
                EXPECT_EQ(tina_child_policy_check(&group, &child), expected);
            }
}

// Zero is the default and a period has no other bound, so that neither can be invalid.
TEST(Supervisor, sup_flags) {
    tina_group_policy policy = {};
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_OK);
    EXPECT_EQ(tina_group_intensity(&policy), 1u);
    policy.intensity = TINA_INTENSITY_NONE;
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_OK);
    EXPECT_EQ(tina_group_intensity(&policy), 0u);
    policy.intensity = TINA_INTENSITY_MAX;
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_OK);
    policy.intensity = TINA_INTENSITY_MAX + 1;
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_INTENSITY_TOO_BIG);
    policy = group_policy(static_cast<tina_strategy>(3));
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_NO_STRATEGY);
    policy = {};
    policy.auto_shutdown = static_cast<tina_auto_shutdown>(3);
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_NO_AUTO_SHUTDOWN);
    policy = group_policy(TINA_ONE_FOR_ALL);
    policy.dynamic = true;
    EXPECT_EQ(tina_group_policy_check(&policy), TINA_POLICY_DYNAMIC_STRATEGY);
}

// The error of the innermost child is what the root ends with, however deep.
TEST(Supervisor, faulty_application_shutdown) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node middle = world.group(world.root, 1, group_policy(TINA_ONE_FOR_ONE));
    tina_node inner = world.group(middle, 2, group_policy(TINA_ONE_FOR_ONE));
    world.child(inner, 3);
    tina_node faulty = world.child(inner, 4);
    world.manners[4].fail = 1;
    world.start();
    EXPECT_EQ(world.take_log(), "+3 +4 ?2 -3 ?1 ?0 .");
    EXPECT_EQ(world.end.culprit.bits, faulty.bits);
    EXPECT_EQ(world.end.culprit_what, 4u);
    EXPECT_EQ(world.end.reason, 78u);
}

// There are no links to undo. What is left: a child that reacts to nothing does not hang the group.
TEST(Supervisor, child_unlink) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1, child_policy(TINA_PERMANENT, 1000 * MS));
    tina_node two = world.child(2);
    world.manners[1].deaf = true;
    world.start();
    world.terminate(one);
    world.exits(two, TINA_EXITED_ABNORMAL);
    world.run();
    EXPECT_EQ(world.take_log(), "+1 +2 -1") << "as in OTP, the exit of 2 waits";
    world.pass(1000 * MS);
    EXPECT_EQ(world.take_log(), "!1 +2");
    EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
    EXPECT_TRUE(world.up());
}

TEST(Supervisor, count_children) {
    World world(dynamic_policy(), 4096, child_policy(TINA_TEMPORARY));
    world.checked = false;
    world.start();
    std::vector<tina_node> nodes;
    for (uint32_t i = 0; i < 1000; i++)
        nodes.push_back(world.add(world.root, i));
    world.run();
    tina_tree_check(world.tree);
    EXPECT_EQ(world.counts(world.root), (Counts{1, 1000, 0, 1000}));
    EXPECT_EQ(world.which(world.root).size(), 1000u);
    for (uint32_t i = 0; i < 1000; i++)
        nodes.push_back(world.add(world.root, i));
    world.run();
    tina_tree_check(world.tree);
    EXPECT_EQ(world.counts(world.root), (Counts{1, 2000, 0, 2000}));
    for (tina_node node : nodes)
        world.exits(node, TINA_EXITED_ABNORMAL);
    world.run();
    tina_tree_check(world.tree);
    EXPECT_EQ(world.counts(world.root), (Counts{1, 0, 0, 0}));
    EXPECT_EQ(world.which(world.root).size(), 0u);
}

// Groups are added at boot only, so that they are stopped and restarted instead of added.
TEST(Supervisor, count_children_supervisor) {
    World world(group_policy(TINA_ONE_FOR_ONE), 4096);
    world.checked = false;
    std::vector<tina_node> nodes;
    for (uint32_t i = 1; i <= 1000; i++)
        nodes.push_back(world.group(world.root, i, group_policy(TINA_ONE_FOR_ONE)));
    world.start();
    tina_tree_check(world.tree);
    EXPECT_EQ(world.counts(world.root), (Counts{1000, 1000, 1000, 0}));
    for (tina_node node : nodes)
        world.terminate(node);
    EXPECT_EQ(world.counts(world.root), (Counts{1000, 0, 1000, 0}));
    for (tina_node node : nodes)
        EXPECT_EQ(tina_tree_restart_child(world.tree, node), TINA_TREE_OK);
    world.run();
    tina_tree_check(world.tree);
    EXPECT_EQ(world.counts(world.root), (Counts{1000, 1000, 1000, 0}));
    world.shutdown();
    EXPECT_TRUE(world.ended);
}

TEST(Supervisor, count_restarting_children) {
    World world(dynamic_policy(10000, 3600 * SECOND));
    world.start();
    std::vector<tina_node> nodes;
    for (uint32_t i = 1; i <= 10; i++)
        nodes.push_back(world.add(world.root, i));
    world.run();
    for (uint32_t i = 1; i <= 10; i++)
        world.manners[i].fail = -1;
    for (tina_node node : nodes)
        world.exits(node, TINA_EXITED_ABNORMAL);
    for (int i = 0; i < 3; i++) {
        world.round();
        EXPECT_EQ(world.counts(world.root), (Counts{1, 0, 0, 10}));
        for (tina_node node : nodes)
            EXPECT_EQ(world.state(node), TINA_CHILD_RESTARTING);
    }
    world.manners.clear();
    world.run();
    EXPECT_EQ(world.counts(world.root), (Counts{1, 10, 0, 10}));
}
