// SPDX-License-Identifier: Apache-2.0
//
// Erlang/OTP's supervisor_SUITE: what each kind of child's exit leads to, nesting, loops of failing
// restarts, change while running, and scale. Tests bear the names of its cases; where ours differ,
// a comment says how the case was adapted.

#include <gtest/gtest.h>

#include "supervise/tree_world.h"

using namespace tree_world;

namespace {

using Counts = std::vector<uint32_t>;

enum class Fate {
    Restarted,
    Kept,
    Removed
};

// Lets a child of a group exit, and returns what has become of it.
Fate fate_of(tina_restart restart, tina_exit_class how) {
    World world(group_policy(TINA_ONE_FOR_ONE, 1));
    tina_node boot = world.child(1, child_policy(restart));
    world.start();
    tina_node late = world.add(world.root, 2, child_policy(restart));
    world.run();
    uint64_t before = world.who_of(late);
    world.exits(late, how);
    world.run();
    Fate fate = Fate::Removed;
    if (world.known(late)) {
        bool up = world.state(late) == TINA_CHILD_UP;
        EXPECT_NE(world.who_of(late), before);
        fate = up ? Fate::Restarted : Fate::Kept;
    }
    world.pass(10 * SECOND);
    world.exits(boot, how); // one that was there at boot has the same fate
    world.run();
    Fate same = Fate::Removed;
    if (world.known(boot))
        same = world.state(boot) == TINA_CHILD_UP ? Fate::Restarted : Fate::Kept;
    EXPECT_TRUE(same == fate);
    EXPECT_TRUE(world.up());
    return fate;
}

} // namespace

TEST(Supervisor, permanent_normal) {
    EXPECT_TRUE(fate_of(TINA_PERMANENT, TINA_EXITED_NORMAL) == Fate::Restarted);
}

TEST(Supervisor, transient_normal) {
    EXPECT_TRUE(fate_of(TINA_TRANSIENT, TINA_EXITED_NORMAL) == Fate::Kept);
}

TEST(Supervisor, temporary_normal) {
    EXPECT_TRUE(fate_of(TINA_TEMPORARY, TINA_EXITED_NORMAL) == Fate::Removed);
}

// shutdown and {shutdown,T} are one class.
TEST(Supervisor, permanent_shutdown) {
    EXPECT_TRUE(fate_of(TINA_PERMANENT, TINA_EXITED_SHUTDOWN) == Fate::Restarted);
}

TEST(Supervisor, transient_shutdown) {
    EXPECT_TRUE(fate_of(TINA_TRANSIENT, TINA_EXITED_SHUTDOWN) == Fate::Kept);
}

TEST(Supervisor, temporary_shutdown) {
    EXPECT_TRUE(fate_of(TINA_TEMPORARY, TINA_EXITED_SHUTDOWN) == Fate::Removed);
}

TEST(Supervisor, permanent_abnormal) {
    EXPECT_TRUE(fate_of(TINA_PERMANENT, TINA_EXITED_ABNORMAL) == Fate::Restarted);
}

TEST(Supervisor, transient_abnormal) {
    EXPECT_TRUE(fate_of(TINA_TRANSIENT, TINA_EXITED_ABNORMAL) == Fate::Restarted);
}

TEST(Supervisor, temporary_abnormal) {
    EXPECT_TRUE(fate_of(TINA_TEMPORARY, TINA_EXITED_ABNORMAL) == Fate::Removed);
}

TEST(Supervisor, temporary_bystander) {
    for (tina_strategy strategy : {TINA_ONE_FOR_ALL, TINA_REST_FOR_ONE}) {
        World world(group_policy(strategy, 10));
        tina_node one = world.child(1);
        tina_node two = world.child(2, child_policy(TINA_TEMPORARY));
        world.start();
        world.take_log();
        world.crash(one);
        EXPECT_EQ(world.take_log(), "-2 +1");
        EXPECT_FALSE(world.known(two));
        EXPECT_EQ(world.counts(world.root), (Counts{1, 1, 0, 1}));
        EXPECT_TRUE(world.up());
    }
}

// The three-level tree of the case, static, with a dynamic group at each level.
TEST(Supervisor, tree) {
    World world(group_policy(TINA_ONE_FOR_ALL, 4, 3600 * SECOND), 256);
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    tina_node sub1 = world.group(world.root, 3, group_policy(TINA_ONE_FOR_ONE, 4, 3600 * SECOND));
    tina_node sub2 = world.group(world.root, 4, group_policy(TINA_ONE_FOR_ONE, 4, 3600 * SECOND),
                                 child_policy(TINA_TRANSIENT));
    tina_node sub1_child = world.child(sub1, 31);
    tina_node sub2_child = world.child(sub2, 41);
    tina_node pool = world.group(sub2, 42, dynamic_policy(4, 3600 * SECOND));
    world.start();
    EXPECT_EQ(world.take_log(), "+1 +2 +31 +41");

    tina_node late = world.add(sub1, 32);
    tina_node instance = world.add(pool, 421);
    world.run();
    EXPECT_EQ(world.take_log(), "+32 +421");
    EXPECT_EQ(world.counts(world.root), (Counts{4, 4, 2, 2}));
    world.crash(late);
    world.crash(instance);
    EXPECT_EQ(world.take_log(), "+32 +421") << "only the dead worker is restarted";

    // A crash at the top: everything is stopped in reverse and the static tree is started anew.
    world.crash(two);
    EXPECT_EQ(world.take_log(), "-421 -41 -32 -31 -1 +1 +2 +31 +41");
    EXPECT_FALSE(world.known(late)) << "dynamic children are gone";
    EXPECT_FALSE(world.known(instance));
    EXPECT_TRUE(world.known(sub1_child));
    EXPECT_EQ(world.counts(pool), (Counts{1, 0, 0, 0}));

    // A terminated transient group is started again by one_for_all.
    world.terminate(sub2);
    EXPECT_EQ(world.take_log(), "-41");
    EXPECT_EQ(world.state(sub2), TINA_CHILD_DOWN);
    world.crash(one);
    EXPECT_EQ(world.take_log(), "-31 -2 +1 +2 +31 +41");
    EXPECT_EQ(world.state(sub2_child), TINA_CHILD_UP);

    // A nested group gives up: one escalation, and its permanent place in the root is restarted.
    for (int i = 0; i < 4; i++)
        world.crash(sub1_child);
    EXPECT_EQ(world.take_log(), "+31 +31 +31 +31");
    world.crash(sub1_child);
    EXPECT_EQ(world.take_log(), "?3 -41 -2 -1 +1 +2 +31 +41");
    EXPECT_TRUE(world.up());
    EXPECT_EQ(world.gave_up.cause, TINA_END_BUDGET);
    EXPECT_EQ(world.gave_up.node.bits, sub1.bits);
}

// A group cannot be killed from outside, so it is made to end by its budget.
TEST(Supervisor, simple_global_supervisor) {
    World world(group_policy(TINA_ONE_FOR_ONE, 10));
    tina_node sub = world.group(world.root, 1, group_policy(TINA_ONE_FOR_ALL, 1, 10 * SECOND));
    tina_node worker = world.child(sub, 11);
    world.child(sub, 12);
    world.start();
    EXPECT_EQ(world.take_log(), "+11 +12");
    world.crash(worker);
    EXPECT_EQ(world.take_log(), "-12 +11 +12");
    world.crash(worker);
    EXPECT_EQ(world.take_log(), "?1 -12 +11 +12") << "the group itself was restarted";
    world.leave(worker);
    EXPECT_EQ(world.take_log(), "-12 +11 +12") << "its budget is new as well";
    world.terminate(worker);
    EXPECT_EQ(tina_tree_restart_child(world.tree, worker), TINA_TREE_OK);
    world.run();
    EXPECT_EQ(world.take_log(), "-11 +11");
    EXPECT_TRUE(world.up());
}

namespace {

// A child's restarts fail for ever; meanwhile requests are answered.
void restart_loop_is_hung(const tina_group_policy &policy) {
    World world(policy);
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    world.start();
    world.manners[1].fail = -1;
    world.exits(one, TINA_EXITED_ABNORMAL);
    for (int i = 0; i < 10; i++)
        world.round();
    EXPECT_EQ(world.state(one), TINA_CHILD_RESTARTING);
    EXPECT_EQ(tina_tree_next_ns(world.tree), 0u);

    tina_node other = {};
    EXPECT_EQ(world.start_child(world.root, 1, {}, &other), TINA_TREE_ALREADY_PRESENT);
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_RESTARTING);
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_RESTARTING);
    EXPECT_EQ(world.which(world.root), (Counts{1, 2}));
    tina_node three = world.add(world.root, 3);
    world.round();
    EXPECT_EQ(world.state(three), TINA_CHILD_UP);
    world.round();

    world.terminate(one);
    EXPECT_EQ(world.state(one), TINA_CHILD_DOWN);
    EXPECT_EQ(tina_tree_next_ns(world.tree), UINT64_MAX) << "the loop is over";
    EXPECT_EQ(tina_tree_delete_child(world.tree, one), TINA_TREE_OK);
    tina_tree_check(world.tree);
    EXPECT_TRUE(world.up());

    if (world.state(two) == TINA_CHILD_DOWN) { // it was to be started after 1
        EXPECT_EQ(tina_tree_restart_child(world.tree, two), TINA_TREE_OK);
    }
    world.run();
    EXPECT_EQ(world.state(two), TINA_CHILD_UP);
    world.manners[2].fail = -1;
    world.exits(two, TINA_EXITED_ABNORMAL);
    for (int i = 0; i < 5; i++)
        world.round();
    world.shutdown();
    EXPECT_TRUE(world.ended);
    EXPECT_EQ(world.end.cause, TINA_END_SHUTDOWN);
}

} // namespace

TEST(Supervisor, hanging_restart_loop) {
    restart_loop_is_hung(group_policy(TINA_ONE_FOR_ONE, 10000, 3600 * SECOND));
}

TEST(Supervisor, hanging_restart_loop_rest_for_one) {
    restart_loop_is_hung(group_policy(TINA_REST_FOR_ONE, 10000, 3600 * SECOND));
    restart_loop_is_hung(group_policy(TINA_ONE_FOR_ALL, 10000, 3600 * SECOND));
}

TEST(Supervisor, hanging_restart_loop_simple) {
    World world(dynamic_policy(10000, 3600 * SECOND));
    world.start();
    tina_node one = world.add(world.root, 1);
    tina_node two = world.add(world.root, 2);
    world.run();
    world.manners[1].fail = -1;
    world.manners[2].fail = -1;
    world.exits(one, TINA_EXITED_ABNORMAL);
    for (int i = 0; i < 10; i++)
        world.round();
    EXPECT_EQ(world.state(one), TINA_CHILD_RESTARTING);
    EXPECT_EQ(tina_tree_restart_child(world.tree, one), TINA_TREE_DYNAMIC);
    EXPECT_EQ(world.which(world.root), (Counts{1, 2}));
    tina_node three = world.add(world.root, 3);
    world.round();
    EXPECT_EQ(world.state(three), TINA_CHILD_UP);
    world.terminate(one);
    EXPECT_FALSE(world.known(one));
    EXPECT_EQ(tina_tree_next_ns(world.tree), UINT64_MAX);
    world.exits(two, TINA_EXITED_ABNORMAL);
    for (int i = 0; i < 5; i++)
        world.round();
    world.shutdown();
    EXPECT_EQ(world.end.cause, TINA_END_SHUTDOWN);
}

// What OTP checks by heap size: nothing is left of a temporary child. Here a tree with one node to
// spare runs any number of them, one after the other.
TEST(Supervisor, do_not_save_start_parameters_for_temporary_children) {
    for (tina_strategy strategy : {TINA_ONE_FOR_ONE, TINA_ONE_FOR_ALL, TINA_REST_FOR_ONE}) {
        World world(group_policy(strategy), 2);
        world.start();
        for (uint32_t i = 0; i < 100; i++) {
            tina_node child = world.add(world.root, i, child_policy(TINA_TEMPORARY));
            world.run();
            world.exits(child, TINA_EXITED_ABNORMAL);
            world.run();
        }
        tina_node other = {};
        tina_node kept = world.add(world.root, 1000, child_policy(TINA_TRANSIENT));
        world.run();
        world.leave(kept);
        EXPECT_EQ(world.start_child(world.root, 1001, {}, &other), TINA_TREE_FULL);
    }
}

TEST(Supervisor, simple_one_for_one_corruption) {
    World world(dynamic_policy(), 2, child_policy(TINA_TEMPORARY));
    world.start();
    for (uint32_t i = 0; i < 100; i++) {
        tina_node child = world.add(world.root, i);
        world.run();
        tina_node other = {};
        EXPECT_EQ(world.start_child(world.root, i, {}, &other), TINA_TREE_FULL);
        world.leave(child);
    }
    EXPECT_TRUE(world.up());
}

TEST(Supervisor, do_not_save_child_specs_for_temporary_children) {
    enum End {
        Kill,
        Normal,
        Abnormal,
        Supervisor,
        EndCount
    };
    for (tina_strategy strategy : {TINA_ONE_FOR_ONE, TINA_ONE_FOR_ALL, TINA_REST_FOR_ONE})
        for (tina_restart restart : {TINA_PERMANENT, TINA_TRANSIENT, TINA_TEMPORARY})
            for (int end = 0; end < EndCount; end++) {
                World world(group_policy(strategy, 10));
                world.start();
                tina_node child = world.add(world.root, 1, child_policy(restart));
                world.run();
                if (end == Supervisor)
                    world.terminate(child);
                else
                    world.exits(child, end == Normal ? TINA_EXITED_NORMAL : TINA_EXITED_ABNORMAL);
                world.run();
                tina_tree_result expected = TINA_TREE_ALREADY_STARTED;
                if (restart == TINA_TEMPORARY)
                    expected = TINA_TREE_OK;
                else if (end == Supervisor || (end == Normal && restart == TINA_TRANSIENT))
                    expected = TINA_TREE_ALREADY_PRESENT;
                tina_node again = {};
                EXPECT_EQ(world.start_child(world.root, 1, child_policy(restart), &again), expected)
                    << strategy << " " << restart << " " << end;
                world.run();
            }
}

// A spec is changed while running by change_group, change_child and change_instance.
TEST(Supervisor, code_change) {
    World world(group_policy(TINA_ONE_FOR_ONE, 3, 3600 * SECOND));
    tina_node one = world.child(1);
    tina_node two = world.child(2);
    world.start();
    uint64_t first = world.who_of(one);
    world.take_log();
    tina_group_policy policy = group_policy(TINA_ONE_FOR_ALL, 2, 10 * SECOND);
    EXPECT_EQ(tina_tree_change_group(world.tree, world.root, &policy), TINA_TREE_OK);
    EXPECT_EQ(world.who_of(one), first) << "children are kept";
    EXPECT_EQ(world.take_log(), "");
    world.crash(two);
    EXPECT_EQ(world.take_log(), "-1 +1 +2") << "the strategy is the new one";
    world.pass(11 * SECOND);
    world.crash(two);
    world.crash(two);
    world.take_log();
    EXPECT_TRUE(world.up()) << "and so are period and intensity";
    world.crash(two);
    EXPECT_EQ(world.take_log(), "?0 -1 .");
}

// A change that cannot be is refused, and leaves everything as it was.
TEST(Supervisor, code_change_map) {
    World world(group_policy(TINA_ONE_FOR_ONE, 2, 3600 * SECOND));
    tina_node one = world.child(1, child_policy(TINA_PERMANENT));
    world.start();
    tina_group_policy policy = group_policy(TINA_ONE_FOR_ONE, 3);
    EXPECT_EQ(tina_tree_change_group(world.tree, world.root, &policy), TINA_TREE_FULL);
    policy = dynamic_policy();
    EXPECT_EQ(tina_tree_change_group(world.tree, world.root, &policy), TINA_TREE_DYNAMIC);
    tina_child_policy child = child_policy(TINA_TEMPORARY, 7 * MS);
    EXPECT_EQ(tina_tree_change_child(world.tree, tina_node{}, &child), TINA_TREE_STALE);
    world.crash(one);
    world.crash(one);
    EXPECT_TRUE(world.up());
    EXPECT_EQ(tina_tree_change_child(world.tree, one, &child), TINA_TREE_OK);
    world.crash(one);
    EXPECT_FALSE(world.known(one)) << "temporary by now";
    EXPECT_TRUE(world.up());
}

TEST(Supervisor, code_change_simple) {
    World world(dynamic_policy(2, 3600 * SECOND), 64, child_policy(TINA_PERMANENT));
    world.start();
    tina_node old = world.add(world.root, 1);
    world.run();
    tina_child_policy instance = child_policy(TINA_TEMPORARY, 7 * MS);
    EXPECT_EQ(tina_tree_change_instance(world.tree, world.root, &instance), TINA_TREE_OK);
    EXPECT_EQ(tina_tree_change_child(world.tree, old, &instance), TINA_TREE_DYNAMIC);
    tina_node young = world.add(world.root, 2);
    world.run();
    world.crash(old);
    EXPECT_EQ(world.state(old), TINA_CHILD_UP) << "old children are kept as they are";
    world.crash(young);
    EXPECT_FALSE(world.known(young));
}

TEST(Supervisor, code_change_simple_map) {
    World world(dynamic_policy(3, 3600 * SECOND), 64, child_policy(TINA_PERMANENT, MS));
    world.start();
    world.add(world.root, 1);
    world.run();
    tina_group_policy policy = group_policy(TINA_ONE_FOR_ONE);
    EXPECT_EQ(tina_tree_change_group(world.tree, world.root, &policy), TINA_TREE_DYNAMIC);
    policy = dynamic_policy(1, SECOND);
    EXPECT_EQ(tina_tree_change_group(world.tree, world.root, &policy), TINA_TREE_OK);
    // There is one timer, so one that has less time waits for those that were told before it.
    tina_child_policy instance = child_policy(TINA_PERMANENT, SECOND);
    EXPECT_EQ(tina_tree_change_instance(world.tree, world.root, &instance), TINA_TREE_OK);
    tina_node young = world.add(world.root, 2);
    world.manners[1].deaf = world.manners[2].deaf = true;
    world.run();
    EXPECT_NE(world.who_of(young), 0u);
    tina_tree_shutdown(world.tree);
    world.pass(SECOND - 1);
    EXPECT_EQ(world.take_log(), "+1 +2 -2 -1");
    world.pass(1);
    EXPECT_EQ(world.take_log(), "!2 !1 .");
}

TEST(Supervisor, simple_one_for_one_shutdown) {
    // OTP measures T to 5 T because it is a real clock's; here it is T and 2 T.
    World world(dynamic_policy(), 64, child_policy(TINA_PERMANENT, 2 * SECOND));
    world.start();
    for (uint32_t i = 1; i <= 4; i++)
        world.add(world.root, i);
    world.manners[1].linger_ns = SECOND;
    world.manners[2].linger_ns = SECOND;
    world.manners[3].deaf = true;
    world.manners[4].deaf = true;
    world.run();
    world.take_log();
    uint64_t began_ns = world.now_ns;
    tina_tree_shutdown(world.tree);
    world.pass(SECOND);
    EXPECT_EQ(world.take_log(), "-4 -3 -2 -1");
    EXPECT_EQ(world.live.size(), 2u) << "those that need T are gone after T";
    world.settle();
    EXPECT_EQ(world.take_log(), "!4 !3 .");
    EXPECT_EQ(world.now_ns - began_ns, 2 * SECOND) << "side by side";
}

namespace {

struct Cost {
    uint64_t visits;
    uint64_t steps;
};

// Starts and stops so many children without the world's bookkeeping, and returns the tree's work.
Cost start_and_stop(uint32_t count, bool dynamic, tina_restart restart, bool one_by_one) {
    tina_child_policy policy = child_policy(restart);
    World world(dynamic ? dynamic_policy() : group_policy(TINA_ONE_FOR_ONE), count + 1, policy);
    world.start();
    Cost cost = {};
    std::vector<tina_node> nodes(count);
    for (uint32_t i = 0; i < count; i++) {
        tina_tree_child add = {};
        add.what = i;
        add.policy = policy;
        add.who = i + 1;
        EXPECT_EQ(tina_tree_start_child(world.tree, world.root, &add, &nodes[i]), TINA_TREE_OK);
        EXPECT_EQ(tina_tree_started(world.tree, nodes[i]), TINA_TREE_OK);
    }
    tina_tree_check(world.tree);
    tina_tree_step step;
    auto run = [&] {
        while (tina_tree_next(world.tree, world.now_ns, &step)) {
            cost.steps++;
            if (step.kind == TINA_STEP_STOP) {
                EXPECT_EQ(tina_tree_exited(world.tree, step.node, TINA_EXITED_SHUTDOWN),
                          TINA_TREE_OK);
            }
        }
    };
    if (one_by_one)
        for (tina_node node : nodes) {
            EXPECT_EQ(tina_tree_terminate_child(world.tree, node), TINA_TREE_OK);
            run();
        }
    tina_tree_shutdown(world.tree);
    run();
    EXPECT_EQ(step.kind, TINA_STEP_ENDED);
    cost.visits = tina_tree_counters_of(world.tree)->visits;
    return cost;
}

} // namespace

// Work is counted, not timed: so many nodes looked at, so many steps.
TEST(Supervisor, simple_one_for_one_scale_many_temporary_children) {
    Cost few = start_and_stop(1000, true, TINA_TEMPORARY, false);
    Cost many = start_and_stop(10000, true, TINA_TEMPORARY, false);
    EXPECT_EQ(few.steps, 1001u);
    EXPECT_EQ(many.steps, 10001u);
    EXPECT_LE(many.visits, 10 * few.visits + 10);
}

TEST(Supervisor, scale_start_stop_many_children) {
    for (bool dynamic : {false, true})
        for (bool one_by_one : {false, true}) {
            Cost few = start_and_stop(1000, dynamic, TINA_TRANSIENT, one_by_one);
            Cost many = start_and_stop(100000, dynamic, TINA_TRANSIENT, one_by_one);
            EXPECT_EQ(few.steps, 1001u);
            EXPECT_EQ(many.steps, 100001u);
            EXPECT_LE(many.visits, 100 * few.visits + 100);
        }
}
