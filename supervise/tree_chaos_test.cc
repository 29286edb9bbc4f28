// SPDX-License-Identifier: Apache-2.0
//
// Random trees under random timing: inits that take their time, children that do not stop, exits
// and requests between any two steps, few steps a tick. The world checks that no child has two
// isolates and that none is told twice; here is checked what must hold over time.

#include <gtest/gtest.h>

#include <cstdio>
#include <deque>

#include "core/prng.h"
#include "supervise/tree_world.h"

using namespace tree_world;

namespace {

constexpr int TICKS = 150;

struct GroupFacts {
    tina_node node;
    tina_node parent;
    tina_group_policy policy;
};

class Chaos {
  public:
    explicit Chaos(uint64_t seed)
        : prng(tina_prng_make(seed, 2, 0)), root_policy(random_group(false)),
          world(root_policy, 200) {
        groups.push_back({world.root, {}, root_policy});
        build(world.root, root_policy, 0);
        world.on_step = [this](const tina_tree_step &step) { watch(step); };
    }

    void live() {
        tina_tree_start(world.tree);
        for (int i = 0; i < TICKS && !::testing::Test::HasFailure(); i++)
            tick();
        bool force = chance(1, 3);
        if (!force)
            calm();
        if (!world.ended)
            end(force);
        EXPECT_TRUE(world.live.empty());
        EXPECT_TRUE(world.ended);
        EXPECT_EQ(ends, 1) << "ended exactly once";
        EXPECT_FALSE(world.step());
        EXPECT_EQ(tina_tree_next_ns(world.tree), UINT64_MAX);
    }

  private:
    uint64_t below(uint64_t limit) {
        return tina_prng_below(&prng, limit);
    }

    bool chance(uint64_t numerator, uint64_t denominator) {
        return tina_prng_chance(&prng, numerator, denominator);
    }

    tina_group_policy random_group(bool dynamic) {
        tina_group_policy policy = {};
        policy.strategy = dynamic ? TINA_ONE_FOR_ONE : static_cast<tina_strategy>(below(3));
        policy.intensity = static_cast<uint32_t>(below(20));
        policy.period_ns = (1 + below(5)) * SECOND;
        if (chance(1, 4))
            policy.auto_shutdown = static_cast<tina_auto_shutdown>(below(3));
        policy.dynamic = dynamic;
        return policy;
    }

    uint64_t random_shutdown() {
        switch (below(4)) {
        case 0:
            return TINA_SHUTDOWN_BRUTAL;
        case 1:
            return 0;
        default:
            return 1 + below(3 * SECOND);
        }
    }

    tina_child_policy random_child(const tina_group_policy &group) {
        tina_child_policy policy = {};
        policy.restart = static_cast<tina_restart>(below(3));
        policy.significant = chance(1, 3) && policy.restart != TINA_PERMANENT &&
                             group.auto_shutdown != TINA_AUTO_SHUTDOWN_NEVER;
        policy.shutdown_ns = random_shutdown();
        return policy;
    }

    void build(tina_node group, const tina_group_policy &policy, int depth) {
        if (policy.dynamic)
            return;
        uint64_t count = 1 + below(4);
        for (uint64_t i = 0; i < count; i++) {
            uint32_t what = ++whats;
            tina_child_policy child = random_child(policy);
            if (depth == 3 || chance(3, 5)) {
                world.child(group, what, child);
                continue;
            }
            tina_group_policy below_policy = random_group(chance(1, 3));
            tina_node node =
                world.group(group, what, below_policy, child, random_child(below_policy));
            groups.push_back({node, group, below_policy});
            build(node, below_policy, depth + 1);
        }
    }

    void tick() {
        world.now_ns += chance(1, 2) ? 0 : below(2 * SECOND);
        uint64_t events = below(5);
        for (uint64_t i = 0; i < events && !world.ended; i++)
            event();
        uint64_t steps = below(8);
        while (steps-- > 0 && !world.ended && world.step())
            continue;
    }

    void event() {
        switch (below(10)) {
        case 0:
            return upset();
        case 1:
            return add();
        case 2:
            return request();
        case 3:
        case 4:
            return any_exits();
        default:
            return any_init_returns();
        }
    }

    void upset() {
        Manner &manner = world.manners[1 + static_cast<uint32_t>(below(whats))];
        manner.fail = static_cast<int>(below(4));
        manner.refused = chance(1, 2);
        manner.ignore = chance(1, 6);
        manner.slow = chance(1, 2);
        manner.deaf = chance(1, 2);
        manner.undead = chance(1, 3);
        manner.leaves = static_cast<tina_exit_class>(below(3));
    }

    tina_node random_node() {
        const GroupFacts &facts = groups[below(groups.size())];
        std::vector<tina_node> children;
        for (tina_node node = tina_tree_first_child(world.tree, facts.node); node.bits != 0;
             node = tina_tree_next_child(world.tree, node))
            children.push_back(node);
        return children.empty() ? tina_node{} : children[below(children.size())];
    }

    void add() {
        const GroupFacts &facts = groups[below(groups.size())];
        uint32_t what = 1 + static_cast<uint32_t>(below(2 * whats));
        tina_child_policy policy = random_child(facts.policy);
        tina_node node = {};
        if (chance(1, 2))
            world.start_child(facts.node, what, policy, &node);
        else
            world.start_spawned(facts.node, what, policy, &node);
    }

    void request() {
        tina_node node = chance(1, 10) ? tina_node{below(UINT64_MAX)} : random_node();
        switch (below(3)) {
        case 0:
            tina_tree_terminate_child(world.tree, node);
            break;
        case 1:
            tina_tree_restart_child(world.tree, node);
            break;
        default:
            tina_tree_delete_child(world.tree, node);
        }
        world.check();
    }

    // An isolate whose init has returned exits, whatever the tree thinks of it just then.
    void any_exits() {
        if (world.live.empty())
            return;
        auto place = world.live.begin();
        std::advance(place, static_cast<long>(below(world.live.size())));
        if (world.starting.count(place->first) == 0)
            world.exits(place->second, static_cast<tina_exit_class>(below(3)));
    }

    void any_init_returns() {
        if (world.starting.empty())
            return;
        auto place = world.starting.begin();
        std::advance(place, static_cast<long>(below(world.starting.size())));
        uint64_t who = *place;
        tina_node node = world.live.at(who);
        if (chance(3, 4)) {
            world.starting.erase(who);
            EXPECT_EQ(tina_tree_started(world.tree, node), TINA_TREE_OK);
            return world.check();
        }
        if (chance(1, 2))
            return world.exits(node, static_cast<tina_exit_class>(below(3)));
        world.forget(who);
        if (chance(1, 2))
            EXPECT_EQ(tina_tree_ignored(world.tree, node), TINA_TREE_OK);
        else
            EXPECT_EQ(tina_tree_start_failed(world.tree, node, 1), TINA_TREE_OK);
        world.check();
    }

    const GroupFacts &facts_of(tina_node group) const {
        for (const GroupFacts &facts : groups)
            if (facts.node == group)
                return facts;
        ADD_FAILURE() << "no such group";
        return groups[0];
    }

    // No child is restarted more often than its group allows, in any window.
    void watch(const tina_tree_step &step) {
        if (step.kind == TINA_STEP_ENDED)
            ends++;
        if (orderly && step.kind == TINA_STEP_STOP)
            watch_order(step.node);
        if (step.kind != TINA_STEP_START)
            return;
        tina_child_info info = {};
        ASSERT_EQ(tina_tree_look(world.tree, step.node, &info), TINA_TREE_OK);
        ASSERT_EQ(info.state, TINA_CHILD_STARTING);
        if (step.restarts == 0)
            return;
        const GroupFacts &facts = facts_of(info.parent);
        uint32_t intensity = tina_group_intensity(&facts.policy);
        EXPECT_LE(step.restarts, intensity);
        std::deque<uint64_t> &times = restarts[step.node.bits];
        times.push_back(world.now_ns);
        // A group that was itself started anew has a new budget; and where siblings are stopped
        // first, the start comes later than the decision, which is what is counted.
        bool exact = info.parent == world.root && facts.policy.strategy == TINA_ONE_FOR_ONE;
        if (exact && times.size() > intensity) {
            EXPECT_GT(world.now_ns - times[times.size() - 1 - intensity], facts.policy.period_ns);
        }
    }

    bool anything_lives(tina_node node) const {
        tina_child_info info = {};
        if (tina_tree_look(world.tree, node, &info) != TINA_TREE_OK)
            return false;
        if (!info.group)
            return world.who_of(node) != 0;
        for (tina_node child = tina_tree_first_child(world.tree, node); child.bits != 0;
             child = tina_tree_next_child(world.tree, child))
            if (anything_lives(child))
                return true;
        return false;
    }

    // What comes later in start order is gone before a child is told, on every level.
    void watch_order(tina_node node) {
        tina_child_info info = {};
        while (tina_tree_look(world.tree, node, &info) == TINA_TREE_OK && info.parent.bits != 0) {
            bool ordered = !facts_of(info.parent).policy.dynamic;
            tina_node later = ordered ? tina_tree_next_child(world.tree, node) : tina_node{};
            while (later.bits != 0) {
                EXPECT_FALSE(anything_lives(later));
                later = tina_tree_next_child(world.tree, later);
            }
            node = info.parent;
        }
    }

    // No more faults, and everybody does as told: the tree settles, and what is permanent is up.
    void calm() {
        for (auto &entry : world.manners)
            entry.second = {};
        while (!world.ended) {
            while (!world.starting.empty()) {
                uint64_t who = *world.starting.begin();
                world.starting.erase(who);
                EXPECT_EQ(tina_tree_started(world.tree, world.live.at(who)), TINA_TREE_OK);
                world.run();
            }
            world.run();
            if (world.starting.empty() && tina_tree_next_ns(world.tree) == UINT64_MAX)
                break;
            world.settle();
        }
        std::set<uint64_t> told = world.told;
        for (uint64_t who : told) // deaf until now, and with all the time in the world
            world.exits(world.live.at(who), TINA_EXITED_SHUTDOWN);
        bury();
        world.settle();
        if (world.ended)
            return;
        EXPECT_TRUE(world.up());
        for (const auto &entry : world.live)
            EXPECT_EQ(world.state(entry.second), TINA_CHILD_UP);
    }

    void bury() {
        while (!world.killed.empty())
            world.exits(world.live.at(*world.killed.begin()), TINA_EXITED_ABNORMAL);
    }

    void end(bool force) {
        orderly = !force;
        if (force) {
            if (chance(1, 2))
                tina_tree_shutdown(world.tree);
            for (uint64_t i = below(4); i > 0 && !world.ended; i--)
                world.step();
            if (!world.ended)
                tina_tree_kill(world.tree);
            uint64_t now_ns = world.now_ns;
            world.run();
            bury();
            world.run();
            EXPECT_EQ(world.now_ns, now_ns) << "force waits for nobody";
        } else {
            world.shutdown();
        }
    }

    tina_prng prng;
    tina_group_policy root_policy;
    World world;
    std::vector<GroupFacts> groups;
    std::map<uint64_t, std::deque<uint64_t>> restarts;
    uint32_t whats = 0;
    int ends = 0;
    bool orderly = false;
};

} // namespace

TEST(TreeChaos, WhateverHappensWheneverTheTreeKeepsItsPromises) {
    const char *given = getenv("TINA_SEED");
    uint64_t seed = given ? strtoull(given, nullptr, 0) : 1;
    uint64_t runs = getenv("TINA_LONG") ? 200000 : given ? 1 : 2000;
    printf("seeds %llu to %llu; TINA_SEED=<seed> runs one\n", static_cast<unsigned long long>(seed),
           static_cast<unsigned long long>(seed + runs - 1));
    for (uint64_t i = 0; i < runs; i++) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed + i));
        Chaos(seed + i).live();
        if (HasFailure())
            return;
    }
}
