// SPDX-License-Identifier: Apache-2.0
//
// What OTP's suite does not ask, because there a supervisor blocks and a pid is never reused.

#include "supervise/tree.h"

#include <gtest/gtest.h>

#include "supervise/tree_internal.h"
#include "supervise/tree_world.h"

using namespace tree_world;

TEST(Tree, AnExitReportedAtTheDeadlineIsInTime) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1, child_policy(TINA_PERMANENT, SECOND));
    world.child(2, child_policy(TINA_PERMANENT, SECOND));
    world.manners[1].deaf = true;
    world.start();
    world.terminate(one);
    world.now_ns += SECOND;
    world.exits(one, TINA_EXITED_SHUTDOWN);
    world.run();
    EXPECT_EQ(world.take_log(), "+1 +2 -1");
    EXPECT_EQ(tina_tree_next_ns(world.tree), UINT64_MAX);
}

TEST(Tree, SiblingsThatExitTogetherAreRestartedTogether) {
    for (tina_strategy strategy : {TINA_ONE_FOR_ALL, TINA_REST_FOR_ONE}) {
        World world(group_policy(strategy, 1));
        tina_node nodes[4] = {};
        for (uint32_t i = 1; i <= 3; i++)
            nodes[i] = world.child(i);
        world.start();
        world.take_log();
        for (uint32_t i = 1; i <= 3; i++)
            world.exits(nodes[i], TINA_EXITED_ABNORMAL);
        world.run();
        EXPECT_EQ(world.take_log(), "+1 +2 +3") << "one restart, so the budget is not spent";
        EXPECT_TRUE(world.up());
    }
}

TEST(Tree, ATerminatedChildIsNotStartedByARestartThatIsUnderWay) {
    World world(group_policy(TINA_ONE_FOR_ALL, 10));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    tina_node three = world.child(3);
    world.manners[3].deaf = true;
    world.start();
    world.crash(one);
    EXPECT_EQ(world.take_log(), "+1 +2 +3 -3");
    world.terminate(two); // while 3 takes its time
    world.exits(three, TINA_EXITED_SHUTDOWN);
    world.run();
    EXPECT_EQ(world.take_log(), "-2 +1 +3");
    EXPECT_EQ(world.state(two), TINA_CHILD_DOWN);
    world.manners.clear();
    world.crash(one);
    EXPECT_EQ(world.take_log(), "-3 +1 +2 +3") << "by the next one it is";
}

TEST(Tree, AChildThatIsTerminatedWhileItStartsIsStoppedOnceItIsUp) {
    World world(group_policy(TINA_ONE_FOR_ALL, 10));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    world.start();
    world.manners[1].slow = true;
    world.crash(one);
    EXPECT_EQ(world.take_log(), "+1 +2 -2 +1");
    world.terminate(one);
    EXPECT_EQ(world.take_log(), "") << "its init runs";
    world.started(one);
    EXPECT_EQ(world.take_log(), "+2 -1");
    EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
    EXPECT_EQ(world.state(two), TINA_CHILD_UP);
}

TEST(Tree, AChildThatIsTerminatedWhileItsRestartFailsIsDown) {
    World world(group_policy(TINA_ONE_FOR_ALL, 10));
    tina_node one = world.child(1);
    world.start();
    world.manners[1].slow = true;
    world.crash(one);
    world.terminate(one);
    world.exits(one, TINA_EXITED_ABNORMAL);
    world.run();
    EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
    EXPECT_EQ(world.take_log(), "+1 +1");
}

TEST(Tree, SiblingsWaitForAnInitThatTakesItsTime) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1);
    world.child(2);
    world.manners[1].slow = true;
    world.start();
    EXPECT_EQ(world.take_log(), "+1");
    EXPECT_FALSE(world.up());
    EXPECT_EQ(tina_tree_next_ns(world.tree), UINT64_MAX) << "nothing to do until it is reported";
    tina_node other = {};
    EXPECT_EQ(world.start_child(world.root, 3, {}, &other), TINA_TREE_NOT_UP);
    EXPECT_EQ(tina_tree_terminate_child(world.tree, one), TINA_TREE_NOT_UP);
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_NOT_UP);
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_NOT_UP);
    world.started(one);
    EXPECT_EQ(world.take_log(), "+2");
    EXPECT_TRUE(world.up());
}

TEST(Tree, AShutdownInTheMidstOfTheBootStopsWhatIsThere) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.child(1);
    tina_node inner = world.group(world.root, 2, group_policy(TINA_ONE_FOR_ONE));
    world.child(inner, 21);
    world.child(inner, 22);
    world.child(3);
    world.manners[22].slow = true;
    world.start();
    EXPECT_EQ(world.take_log(), "+1 +21 +22");
    world.shutdown();
    EXPECT_EQ(world.take_log(), "-22 -21 -1 .");
    EXPECT_EQ(world.end.cause, TINA_END_SHUTDOWN);
}

TEST(Tree, AStopBeforeSpawnedNamesNobody) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1);
    tina_tree_start(world.tree);
    tina_tree_step step;
    ASSERT_TRUE(tina_tree_next(world.tree, world.now_ns, &step));
    EXPECT_EQ(step.kind, TINA_STEP_START);
    tina_tree_shutdown(world.tree);
    ASSERT_TRUE(tina_tree_next(world.tree, world.now_ns, &step));
    EXPECT_EQ(step.kind, TINA_STEP_STOP);
    EXPECT_EQ(step.who, 0u);
    EXPECT_EQ(tina_tree_start_failed(world.tree, one, 1), TINA_TREE_OK);
    ASSERT_TRUE(tina_tree_next(world.tree, world.now_ns, &step));
    EXPECT_EQ(step.kind, TINA_STEP_ENDED);
    EXPECT_EQ(step.cause, TINA_END_SHUTDOWN);
}

TEST(Tree, ForceKillsAllAtOnceAndNobodyTwice) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1);
    tina_node inner = world.group(world.root, 2, group_policy(TINA_ONE_FOR_ONE));
    world.child(inner, 21);
    tina_node pool = world.group(inner, 22, dynamic_policy());
    world.child(3);
    world.manners[3].deaf = true;
    for (uint32_t what : {1u, 3u, 21u, 221u})
        world.manners[what].undead = true;
    world.start();
    world.add(pool, 221);
    world.run();
    tina_tree_shutdown(world.tree);
    world.run();
    EXPECT_EQ(world.take_log(), "+1 +21 +3 +221 -3");
    tina_tree_kill(world.tree);
    world.run();
    EXPECT_EQ(world.take_log(), "!3 !1 !221 !21");
    tina_tree_kill(world.tree);
    tina_tree_shutdown(world.tree);
    world.run();
    EXPECT_EQ(world.take_log(), "") << "asking again changes nothing";
    world.exits(one, TINA_EXITED_ABNORMAL);
    while (!world.live.empty())
        world.exits(world.live.begin()->second, TINA_EXITED_ABNORMAL);
    world.run();
    EXPECT_EQ(world.take_log(), ".");
}

TEST(Tree, AGroupOutOfItsTimeIsKilledWithAllBelow) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    world.child(1);
    tina_node inner = world.group(world.root, 2, group_policy(TINA_ONE_FOR_ONE),
                                  child_policy(TINA_PERMANENT, SECOND));
    tina_node innermost = world.group(inner, 21, group_policy(TINA_ONE_FOR_ONE));
    world.child(innermost, 211);
    world.child(innermost, 212);
    world.manners[212].deaf = true;
    world.start();
    tina_tree_shutdown(world.tree);
    world.pass(SECOND - 1);
    EXPECT_EQ(world.take_log(), "+1 +211 +212 -212");
    world.pass(1);
    EXPECT_EQ(world.take_log(), "!212 !211 -1 .") << "sooner than 212's own 5 s";
}

TEST(Tree, ABrutalGroupIsKilledWithAllBelow) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node inner = world.group(world.root, 1, group_policy(TINA_ONE_FOR_ONE),
                                  child_policy(TINA_PERMANENT, TINA_SHUTDOWN_BRUTAL));
    world.child(inner, 11);
    world.child(inner, 12);
    world.start();
    world.terminate(inner);
    EXPECT_EQ(world.take_log(), "+11 +12 !12 !11");
    EXPECT_EQ(world.state(inner), TINA_CHILD_DOWN);
    EXPECT_EQ(tina_tree_restart_child(world.tree, inner), TINA_TREE_OK);
    world.run();
    EXPECT_EQ(world.take_log(), "+11 +12");
}

// A storm at the bottom: each level gives up once, innermost first, and nobody is stopped twice.
TEST(Tree, AStormEscalatesLevelByLevel) {
    World world(group_policy(TINA_ONE_FOR_ONE, TINA_INTENSITY_NONE));
    tina_node middle =
        world.group(world.root, 1, group_policy(TINA_ONE_FOR_ONE, TINA_INTENSITY_NONE));
    world.child(middle, 11);
    tina_node inner = world.group(middle, 12, group_policy(TINA_ONE_FOR_ALL, TINA_INTENSITY_NONE));
    tina_node storm[3] = {world.child(inner, 121), world.child(inner, 122),
                          world.child(inner, 123)};
    world.child(2);
    world.start();
    world.take_log();
    for (tina_node node : storm)
        world.exits(node, TINA_EXITED_ABNORMAL);
    world.run();
    EXPECT_EQ(world.take_log(), "?12 ?1 -11 ?0 -2 .");
    EXPECT_EQ(world.end.culprit_what, 1u) << "at the root it was 1 that could not be restarted";
    EXPECT_EQ(world.gave_up.culprit_what, 121u);
    EXPECT_EQ(tina_tree_counters_of(world.tree)->gave_up, 3u);
}

TEST(Tree, NestingOfAnyDepthNeedsNoStack) {
    World world(group_policy(TINA_ONE_FOR_ONE), 2047);
    world.checked = false;
    tina_node group = world.root;
    for (uint32_t depth = 1; depth < 2000; depth++)
        group = world.group(group, 1, group_policy(TINA_ONE_FOR_ONE));
    world.child(group, 1000);
    world.start();
    EXPECT_TRUE(world.up());
    tina_tree_check(world.tree);
    world.shutdown();
    EXPECT_EQ(world.take_log(), "+1000 -1000 .");
}

TEST(Tree, ATreeMayBeStartedAgainAfterItsEnd) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1, child_policy(TINA_TEMPORARY));
    world.child(2);
    for (int i = 0; i < 3; i++) {
        world.start();
        world.add(world.root, 3);
        world.run();
        world.leave(one);
        world.shutdown();
        EXPECT_EQ(world.take_log(), "+1 +2 +3 -3 -2 .");
    }
}

TEST(Tree, ASpawnedChildIsTakenInAsItIs) {
    World world(dynamic_policy(), 64, child_policy(TINA_TRANSIENT));
    world.start();
    tina_node one = {};
    tina_node two = {};
    tina_node three = {};
    ASSERT_EQ(world.start_spawned(world.root, 1, {}, &one), TINA_TREE_OK);
    ASSERT_EQ(world.start_spawned(world.root, 2, {}, &two), TINA_TREE_OK);
    ASSERT_EQ(world.start_spawned(world.root, 3, {}, &three), TINA_TREE_OK);
    EXPECT_EQ(world.state(one), TINA_CHILD_STARTING);
    EXPECT_EQ(tina_tree_started(world.tree, one), TINA_TREE_OK);
    world.starting.clear();
    EXPECT_EQ(tina_tree_next_ns(world.tree), UINT64_MAX) << "and the tree has nothing to do";
    world.run();
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.state(one), TINA_CHILD_UP);
    world.exits(two, TINA_EXITED_ABNORMAL); // in its init: a failed start
    world.exits(three, TINA_EXITED_NORMAL); // in its init: not needed
    world.run();
    EXPECT_FALSE(world.known(two));
    EXPECT_FALSE(world.known(three));
    world.crash(one);
    EXPECT_EQ(world.take_log(), "+1") << "from then on it is a child like any other";
}

TEST(Tree, AChildIsAddedWhileItsGroupIsBusy) {
    World world(group_policy(TINA_ONE_FOR_ALL, 10));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    world.manners[2].deaf = true;
    world.start();
    world.crash(one);
    world.add(world.root, 3);
    tina_node four = {};
    ASSERT_EQ(world.start_spawned(world.root, 4, {}, &four), TINA_TREE_OK);
    world.run();
    EXPECT_EQ(world.take_log(), "+1 +2 -2") << "3 waits for its turn, 4 for its init";
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_BUSY);
    world.exits(two, TINA_EXITED_SHUTDOWN);
    world.run();
    EXPECT_EQ(world.take_log(), "+1 +2 +3");
    world.started(four);
    EXPECT_EQ(world.which(world.root), (std::vector<uint32_t>{1, 2, 3, 4}));
    EXPECT_EQ(world.counts(world.root), (std::vector<uint32_t>{4, 4, 0, 4}));
}

TEST(Tree, AFullGroupSaysSo) {
    tina_tree_config config = {};
    config.node_count = 8;
    config.group_count = 2;
    config.window_count = 2;
    std::vector<uint64_t> memory(tina_tree_bytes(&config) / 8 + 8);
    void *aligned =
        reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
    tina_tree *tree = tina_tree_open(&config, aligned);
    tina_tree_group group = {};
    group.child_count_max = 2;
    tina_node root = {};
    tina_node node = {};
    ASSERT_EQ(tina_tree_add_group(tree, tina_node{}, &group, &root), TINA_TREE_OK);
    group.policy.dynamic = true;
    group.policy.intensity = 2;
    EXPECT_EQ(tina_tree_add_group(tree, root, &group, &node), TINA_TREE_FULL)
        << "no room for its window";
    group.policy.intensity = 1;
    tina_node pool = {};
    ASSERT_EQ(tina_tree_add_group(tree, root, &group, &pool), TINA_TREE_OK);
    group.what = 1;
    EXPECT_EQ(tina_tree_add_group(tree, root, &group, &node), TINA_TREE_FULL);
    tina_tree_start(tree);
    tina_tree_step step;
    EXPECT_FALSE(tina_tree_next(tree, 0, &step));

    tina_tree_child child = {};
    for (tina_node parent : {root, pool}) {
        for (uint64_t i = 1; i <= 2; i++) {
            child.what = static_cast<uint32_t>(i);
            child.who = i;
            EXPECT_EQ(tina_tree_start_child(tree, parent, &child, &node), TINA_TREE_OK);
        }
        child.what = 3;
        EXPECT_EQ(tina_tree_start_child(tree, parent, &child, &node), TINA_TREE_FULL);
        EXPECT_EQ(node.bits, 0u);
    }
    tina_tree_check(tree);
}

TEST(Tree, ANameOfBeforeIsStaleForAnyReport) {
    World world(dynamic_policy(), 4, child_policy(TINA_TEMPORARY));
    world.start();
    tina_node old = world.add(world.root, 1);
    world.run();
    world.leave(old);
    tina_node young = world.add(world.root, 1);
    world.run();
    ASSERT_NE(old.bits, young.bits);
    EXPECT_EQ(tina_tree_spawned(world.tree, old, 9), TINA_TREE_STALE);
    EXPECT_EQ(tina_tree_started(world.tree, old), TINA_TREE_STALE);
    EXPECT_EQ(tina_tree_ignored(world.tree, old), TINA_TREE_STALE);
    EXPECT_EQ(tina_tree_start_failed(world.tree, old, 1), TINA_TREE_STALE);
    EXPECT_EQ(tina_tree_exited(world.tree, old, TINA_EXITED_ABNORMAL), TINA_TREE_STALE);
    EXPECT_EQ(tina_tree_counters_of(world.tree)->stale, 5u);
    EXPECT_EQ(world.state(young), TINA_CHILD_UP);
    EXPECT_EQ(tina_tree_next_child(world.tree, old).bits, 0u);
}

TEST(Tree, AWornOutNodeIsNeverTakenAgain) {
    World world(dynamic_policy(), 2, child_policy(TINA_TEMPORARY));
    world.start();
    tina_node child = world.add(world.root, 1);
    world.run();
    world.leave(child);
    world.tree->nodes[1].generation = NODE_GENERATION_MAX;
    tina_node last = world.add(world.root, 1);
    world.run();
    world.leave(last);
    tina_node none = {};
    EXPECT_EQ(world.start_child(world.root, 1, {}, &none), TINA_TREE_FULL);
    EXPECT_FALSE(world.known(last));
}

// One attempt a round: what else there is to do has its turn in between.
TEST(Tree, AFailingRestartIsTriedOnceARound) {
    World world(group_policy(TINA_ONE_FOR_ONE, 1000));
    tina_node one = world.child(1);
    tina_node pool = world.group(world.root, 2, dynamic_policy());
    world.start();
    world.take_log();
    world.manners[1].fail = -1;
    world.manners[1].refused = true;
    world.exits(one, TINA_EXITED_ABNORMAL);
    world.round();
    EXPECT_EQ(world.take_log(), "+1");
    world.round();
    EXPECT_EQ(world.take_log(), "+1");
    // A caller that never takes all steps of a tick gets to it all the same, with the time.
    for (uint32_t i = 21; i <= 28; i++)
        world.add(pool, i);
    for (int i = 0; i < 4; i++) {
        world.now_ns += MS;
        world.step();
        world.step();
    }
    EXPECT_EQ(world.take_log(), "+1 +21 +1 +22 +1 +23 +1 +24");
}

TEST(Tree, StepsOfGroupsTakeTurns) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.group(world.root, 1, dynamic_policy());
    tina_node two = world.group(world.root, 2, dynamic_policy());
    world.start();
    for (uint32_t i = 1; i <= 3; i++)
        world.add(one, 10 + i);
    for (uint32_t i = 1; i <= 3; i++)
        world.add(two, 20 + i);
    world.run();
    EXPECT_EQ(world.take_log(), "+11 +21 +12 +22 +13 +23") << "a storm in one starves no other";
}

// Work does not grow with the number of siblings, groups or timers that are not concerned.
TEST(Tree, AnExitCostsTheSameInAGroupOfAnySize) {
    for (uint32_t count : {10u, 100000u}) {
        World world(dynamic_policy(1000, SECOND), count + 1, child_policy(TINA_PERMANENT));
        world.checked = false;
        world.start();
        std::vector<tina_node> nodes(count);
        for (uint32_t i = 0; i < count; i++) {
            tina_tree_child child = {};
            child.who = i + 1;
            ASSERT_EQ(tina_tree_start_child(world.tree, world.root, &child, &nodes[i]),
                      TINA_TREE_OK);
            ASSERT_EQ(tina_tree_started(world.tree, nodes[i]), TINA_TREE_OK);
        }
        uint64_t before = tina_tree_counters_of(world.tree)->visits;
        EXPECT_EQ(tina_tree_exited(world.tree, nodes[count / 2], TINA_EXITED_ABNORMAL),
                  TINA_TREE_OK);
        tina_tree_step step;
        ASSERT_TRUE(tina_tree_next(world.tree, world.now_ns, &step));
        EXPECT_EQ(step.kind, TINA_STEP_START);
        EXPECT_EQ(step.node.bits, nodes[count / 2].bits);
        EXPECT_FALSE(tina_tree_next(world.tree, world.now_ns, &step));
        EXPECT_EQ(tina_tree_counters_of(world.tree)->visits - before, 1u);
    }
}
