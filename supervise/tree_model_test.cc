// SPDX-License-Identifier: Apache-2.0
//
// Random trees, exits, failing starts and requests: the tree does what the model does, step by
// step.

#include <gtest/gtest.h>

#include <cstdio>

#include "core/prng.h"
#include "supervise/tree_model.h"
#include "supervise/tree_world.h"

using namespace tree_world;
using tree_model::Group;
using tree_model::Model;
using tree_model::Node;
using tree_model::State;

namespace {

constexpr int EVENTS = 60;

class Pair {
  public:
    explicit Pair(uint64_t seed)
        : prng(tina_prng_make(seed, 1, 0)), root_policy(random_group(false)),
          world(root_policy, 300) {
        model.root.group = std::make_unique<Group>();
        model.root.group->self = &model.root;
        model.root.group->policy = root_policy;
        model.root.name = world.root;
        model.now_ns = world.now_ns;
        build(*model.root.group, 0);
    }

    void live() {
        world.start();
        model.start();
        compare("start");
        for (int i = 0; i < EVENTS && !::testing::Test::HasFailure(); i++)
            event();
        if (!world.ended)
            stop();
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
        policy.intensity = chance(1, 8) ? TINA_INTENSITY_NONE : static_cast<uint32_t>(below(6));
        policy.period_ns = below(3) * 5 * SECOND;
        policy.auto_shutdown = static_cast<tina_auto_shutdown>(below(3));
        policy.dynamic = dynamic;
        return policy;
    }

    tina_child_policy random_child(const tina_group_policy &group) {
        tina_child_policy policy = {};
        policy.restart = static_cast<tina_restart>(below(3));
        policy.significant = chance(1, 3) && policy.restart != TINA_PERMANENT &&
                             group.auto_shutdown != TINA_AUTO_SHUTDOWN_NEVER;
        policy.shutdown_ns = chance(1, 4) ? TINA_SHUTDOWN_BRUTAL : 0;
        return policy;
    }

    Node &append(Group &parent, uint32_t what, const tina_child_policy &policy) {
        parent.children.push_back(std::make_unique<Node>());
        Node &node = *parent.children.back();
        node.what = what;
        node.policy = policy;
        node.parent = &parent;
        return node;
    }

    void build(Group &group, int depth) {
        if (group.policy.dynamic)
            return;
        uint64_t count = below(5);
        for (uint64_t i = 0; i < count; i++) {
            uint32_t what = ++whats;
            bool nested = depth < 3 && chance(2, 5);
            tina_child_policy policy = random_child(group.policy);
            Node &node = append(group, what, policy);
            if (!nested) {
                node.name = world.child(group.self->name, what, policy);
                continue;
            }
            node.policy.shutdown_ns = 0; // killing a group is not the model's
            node.group = std::make_unique<Group>();
            node.group->self = &node;
            node.group->policy = random_group(chance(1, 3));
            node.group->instance = random_child(node.group->policy);
            node.name = world.group(group.self->name, what, node.group->policy, node.policy,
                                    node.group->instance);
            build(*node.group, depth + 1);
        }
    }

    void collect(Group &group, std::vector<Node *> *nodes, std::vector<Group *> *groups) {
        groups->push_back(&group);
        for (auto &child : group.children) {
            nodes->push_back(child.get());
            if (child->group)
                collect(*child->group, nodes, groups);
        }
    }

    void event() {
        std::vector<Node *> nodes;
        std::vector<Group *> groups;
        collect(*model.root.group, &nodes, &groups);
        if (model.ended) {
            world.start();
            model.start();
            return compare("start again");
        }
        pass();
        upset();
        Group &group = *groups[below(groups.size())];
        if (nodes.empty() || chance(1, 6))
            return add(group);
        Node &node = *nodes[below(nodes.size())];
        if (!node.parent->up || node.gone)
            return;
        switch (below(6)) {
        case 0:
            return terminate(node);
        case 1:
            return restart(node);
        case 2:
            return remove(node);
        default:
            return exit(node);
        }
    }

    void pass() {
        uint64_t ns = chance(1, 2) ? 0 : below(7) * SECOND;
        world.pass(ns);
        model.now_ns = world.now_ns;
    }

    void upset() {
        if (!chance(1, 3) || whats == 0)
            return;
        uint32_t what = 1 + static_cast<uint32_t>(below(whats));
        Manner &manner = world.manners[what];
        manner.fail = static_cast<int>(below(4));
        manner.refused = chance(1, 2);
        manner.ignore = chance(1, 5);
        model.fail[what] = manner.fail;
        model.ignore[what] = manner.ignore;
    }

    void exit(Node &node) {
        if (node.group || node.state != State::Up)
            return;
        tina_exit_class how = static_cast<tina_exit_class>(below(3));
        world.exits(node.name, how);
        world.run();
        node.state = State::Up;
        model.exits(node, how);
        compare("exit of " + std::to_string(node.what));
    }

    void add(Group &group) {
        if (!group.up)
            return;
        bool reuse = !group.children.empty() && chance(1, 3);
        uint32_t what = reuse ? group.children[below(group.children.size())]->what : ++whats;
        tina_child_policy policy =
            group.policy.dynamic ? group.instance : random_child(group.policy);
        tina_tree_result expected = TINA_TREE_OK;
        if (!group.policy.dynamic)
            for (auto &child : group.children)
                if (!child->gone && child->what == what)
                    expected = child->state == State::Up ? TINA_TREE_ALREADY_STARTED
                                                         : TINA_TREE_ALREADY_PRESENT;
        tina_node name = {};
        EXPECT_EQ(world.start_child(group.self->name, what, policy, &name), expected);
        world.run();
        if (expected != TINA_TREE_OK)
            return;
        Node &node = append(group, what, policy);
        node.built = false;
        node.name = name;
        tree_model::Start result = model.start(node);
        if (result == tree_model::Start::Ignored)
            model.down(node);
        if (result == tree_model::Start::Failed)
            model.remove(node);
        compare("add " + std::to_string(what));
    }

    void terminate(Node &node) {
        world.terminate(node.name);
        model.stop(node);
        model.down(node);
        compare("terminate " + std::to_string(node.what));
    }

    tina_tree_result refusal(const Node &node) const {
        if (node.parent->policy.dynamic)
            return TINA_TREE_DYNAMIC;
        return node.state == State::Up ? TINA_TREE_RUNNING : TINA_TREE_OK;
    }

    void restart(Node &node) {
        tina_tree_result expected = refusal(node);
        EXPECT_EQ(tina_tree_restart_child(world.tree, node.name), expected);
        world.run();
        if (expected == TINA_TREE_OK && model.start(node) == tree_model::Start::Ignored)
            model.down(node);
        compare("restart " + std::to_string(node.what));
    }

    void remove(Node &node) {
        tina_tree_result expected = refusal(node);
        EXPECT_EQ(tina_tree_delete_child(world.tree, node.name), expected);
        if (expected == TINA_TREE_OK)
            model.remove(node);
        compare("delete " + std::to_string(node.what));
    }

    void stop() {
        world.shutdown();
        model.shutdown();
        compare("shutdown");
    }

    void compare(const std::string &event) {
        model.settle();
        std::string log = model.log.empty() ? model.log : model.log.substr(1);
        model.log.clear();
        ASSERT_EQ(world.take_log(), log) << event;
        ASSERT_EQ(world.ended, model.ended) << event;
        std::vector<Node *> nodes;
        std::vector<Group *> groups;
        collect(*model.root.group, &nodes, &groups);
        size_t live = 0;
        for (Node *node : nodes) {
            live += node->state == State::Up && !node->group;
            if (!node->parent->up)
                continue; // nobody can ask a group that does not run
            ASSERT_EQ(world.known(node->name), !node->gone) << event << ": " << node->what;
            if (node->gone)
                continue;
            ASSERT_EQ(world.state(node->name) == TINA_CHILD_UP, node->state == State::Up)
                << event << ": " << node->what;
        }
        ASSERT_EQ(world.live.size(), live) << event;
        for (Group *group : groups)
            if (group->up)
                compare_children(*group, event);
    }

    void compare_children(const Group &group, const std::string &event) {
        std::vector<uint32_t> which;
        for (auto &child : group.children)
            if (!child->gone)
                which.push_back(child->what);
        ASSERT_EQ(world.which(group.self->name), which) << event;
    }

    tina_prng prng;
    tina_group_policy root_policy;
    World world;
    Model model;
    uint32_t whats = 0;
};

} // namespace

TEST(TreeModel, TheTreeDoesWhatOtpWouldStepByStep) {
    const char *given = getenv("TINA_SEED");
    uint64_t seed = given ? strtoull(given, nullptr, 0) : 1;
    uint64_t runs = getenv("TINA_LONG") ? 300000 : given ? 1 : 1500;
    printf("seeds %llu to %llu; TINA_SEED=<seed> runs one\n", static_cast<unsigned long long>(seed),
           static_cast<unsigned long long>(seed + runs - 1));
    for (uint64_t i = 0; i < runs; i++) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed + i));
        Pair(seed + i).live();
        if (HasFailure())
            return;
    }
}
