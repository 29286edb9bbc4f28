// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the tree run it in: isolates that do as they are told, and a clock that is
// moved by hand. Every step is written down, and the tree is checked after each.

#ifndef TINA_SUPERVISE_TREE_WORLD_H
#define TINA_SUPERVISE_TREE_WORLD_H

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "supervise/tree.h"
#include "supervise/tree_requests.h"

namespace tree_world {

constexpr uint64_t MS = 1000000;
constexpr uint64_t SECOND = 1000 * MS;

// How the isolates of one `what` behave.
struct Manner {
    int fail = 0;           // starts that fail from here on; -1: all
    bool refused = false;   // they fail at once, without an isolate
    bool ignore = false;    // init says it is not needed
    bool slow = false;      // init returns only when the test says so
    bool deaf = false;      // does not stop when told
    bool undead = false;    // its exit is not reported at once when it is killed
    uint64_t linger_ns = 0; // time from being told to stop to the exit
    tina_exit_class leaves = TINA_EXITED_SHUTDOWN; // how it exits when told to stop
};

inline tina_group_policy group_policy(tina_strategy strategy, uint32_t intensity = 0,
                                      uint64_t period_ns = 0) {
    tina_group_policy policy = {};
    policy.strategy = strategy;
    policy.intensity = intensity;
    policy.period_ns = period_ns;
    return policy;
}

inline tina_group_policy dynamic_policy(uint32_t intensity = 0, uint64_t period_ns = 0) {
    tina_group_policy policy = group_policy(TINA_ONE_FOR_ONE, intensity, period_ns);
    policy.dynamic = true;
    return policy;
}

inline tina_child_policy child_policy(tina_restart restart, uint64_t shutdown_ns = 0,
                                      bool significant = false) {
    tina_child_policy policy = {};
    policy.restart = restart;
    policy.shutdown_ns = shutdown_ns;
    policy.significant = significant;
    return policy;
}

inline bool operator==(tina_node a, tina_node b) {
    return a.bits == b.bits;
}

class World {
  public:
    // The root has the name 0.
    explicit World(const tina_group_policy &policy, uint32_t node_count = 64,
                   const tina_child_policy &instance = {}) {
        tina_tree_config config = {};
        config.node_count = node_count;
        config.group_count = node_count < 2048 ? node_count : 2048;
        config.window_count = 20000;
        size_t bytes = tina_tree_bytes(&config);
        memory = aligned_alloc(64, bytes);
        memset(memory, 0xAA, bytes);
        tree = tina_tree_open(&config, memory);
        tina_tree_group group = {};
        group.policy = policy;
        group.instance = instance;
        EXPECT_EQ(tina_tree_add_group(tree, tina_node{}, &group, &root), TINA_TREE_OK);
    }
    ~World() {
        free(memory);
    }
    World(const World &) = delete;
    World &operator=(const World &) = delete;

    tina_node group(tina_node parent, uint32_t what, const tina_group_policy &policy,
                    const tina_child_policy &child = {}, const tina_child_policy &instance = {}) {
        tina_tree_group add = {};
        add.policy = policy;
        add.child = child;
        add.instance = instance;
        add.what = what;
        tina_node node = {};
        EXPECT_EQ(tina_tree_add_group(tree, parent, &add, &node), TINA_TREE_OK);
        return node;
    }

    tina_node child(tina_node parent, uint32_t what, const tina_child_policy &policy = {}) {
        tina_node node = {};
        EXPECT_EQ(tina_tree_add_child(tree, parent, &policy, what, &node), TINA_TREE_OK);
        return node;
    }

    tina_node child(uint32_t what, const tina_child_policy &policy = {}) {
        return child(root, what, policy);
    }

    // Adds a child at run time and expects it to be taken.
    tina_node add(tina_node parent, uint32_t what, const tina_child_policy &policy = {}) {
        tina_node node = {};
        EXPECT_EQ(start_child(parent, what, policy, &node), TINA_TREE_OK);
        return node;
    }

    // Adds a child whose isolate was spawned already and has its init before it.
    tina_tree_result start_spawned(tina_node parent, uint32_t what, const tina_child_policy &policy,
                                   tina_node *node) {
        tina_tree_child add = {};
        add.what = what;
        add.policy = policy;
        add.who = last_who + 1;
        tina_tree_result result = tina_tree_start_child(tree, parent, &add, node);
        check();
        if (result != TINA_TREE_OK)
            return result;
        last_who++;
        live[add.who] = *node;
        whats[add.who] = what;
        starting.insert(add.who);
        return result;
    }

    tina_tree_result start_child(tina_node parent, uint32_t what, const tina_child_policy &policy,
                                 tina_node *node) {
        tina_tree_child add = {};
        add.what = what;
        add.policy = policy;
        tina_tree_result result = tina_tree_start_child(tree, parent, &add, node);
        check();
        return result;
    }

    void start() {
        ended = false;
        tina_tree_start(tree);
        run();
    }

    // Asks for shutdown and lets all the time pass that it takes.
    void shutdown() {
        tina_tree_shutdown(tree);
        settle();
    }

    // Takes one step, or returns false when there is none.
    bool step() {
        tina_tree_step next;
        bool any = tina_tree_next(tree, now_ns, &next);
        check();
        if (!any)
            return false;
        if (on_step)
            on_step(next);
        execute(next);
        check();
        return true;
    }

    // Takes steps until there is none: one round.
    void round() {
        while (step())
            continue;
    }

    // Rounds until there is nothing to do at this time.
    void run() {
        do
            round();
        while (tina_tree_next_ns(tree) == 0 || lingering_exit());
    }

    // Lets time pass, stopping at each deadline.
    void pass(uint64_t ns) {
        uint64_t until_ns = now_ns + ns;
        for (;;) {
            uint64_t next_ns = next_event_ns();
            if (next_ns > until_ns)
                break;
            now_ns = next_ns > now_ns ? next_ns : now_ns;
            run();
        }
        now_ns = until_ns;
        run();
    }

    // Lets time pass until there is no deadline left.
    void settle() {
        run();
        while (next_event_ns() != UINT64_MAX) {
            now_ns = next_event_ns() > now_ns ? next_event_ns() : now_ns;
            run();
        }
    }

    void exits(tina_node node, tina_exit_class how) {
        uint64_t who = who_of(node);
        ASSERT_NE(who, 0u) << "no isolate of that node runs";
        forget(who);
        EXPECT_EQ(tina_tree_exited(tree, node, how), TINA_TREE_OK);
        check();
    }

    // The isolate is not there any more, whatever is reported about it.
    void forget(uint64_t who) {
        live.erase(who);
        lingering.erase(who);
        starting.erase(who);
        told.erase(who);
        killed.erase(who);
    }

    void crash(tina_node node) {
        exits(node, TINA_EXITED_ABNORMAL);
        run();
    }

    void leave(tina_node node) {
        exits(node, TINA_EXITED_NORMAL);
        run();
    }

    void terminate(tina_node node) {
        EXPECT_EQ(tina_tree_terminate_child(tree, node), TINA_TREE_OK);
        check();
        run();
    }

    // The slow init of a node returns.
    void started(tina_node node) {
        starting.erase(who_of(node));
        EXPECT_EQ(tina_tree_started(tree, node), TINA_TREE_OK);
        check();
        run();
    }

    // The isolate of a node; 0 when none runs.
    uint64_t who_of(tina_node node) const {
        for (const auto &entry : live)
            if (entry.second == node)
                return entry.first;
        return 0;
    }

    tina_child_state state(tina_node node) const {
        tina_child_info info = {};
        EXPECT_EQ(tina_tree_look(tree, node, &info), TINA_TREE_OK);
        return info.state;
    }

    bool known(tina_node node) const {
        tina_child_info info = {};
        return tina_tree_look(tree, node, &info) == TINA_TREE_OK;
    }

    // OTP's [specs, active, supervisors, workers].
    std::vector<uint32_t> counts(tina_node group) const {
        tina_child_count count = {};
        EXPECT_EQ(tina_tree_count(tree, group, &count), TINA_TREE_OK);
        return {count.specs, count.active, count.groups, count.isolates};
    }

    std::vector<uint32_t> which(tina_node group) const {
        std::vector<uint32_t> list;
        for (tina_node node = tina_tree_first_child(tree, group); node.bits != 0;
             node = tina_tree_next_child(tree, node)) {
            tina_child_info info = {};
            EXPECT_EQ(tina_tree_look(tree, node, &info), TINA_TREE_OK);
            list.push_back(info.what);
        }
        return list;
    }

    // What has happened since the last call: +1 started, -1 told to stop, !1 killed, ?1 its group
    // gave up on itself, . ended.
    std::string take_log() {
        std::string taken = log.empty() ? log : log.substr(1);
        log.clear();
        return taken;
    }

    bool up() const {
        return !ended && tina_tree_look(tree, root, &scratch) == TINA_TREE_OK &&
               scratch.state == TINA_CHILD_UP;
    }

    void check() const {
        if (checked)
            tina_tree_check(tree);
    }

    tina_tree *tree;
    tina_node root = {};
    uint64_t now_ns = 1000 * SECOND;
    bool checked = true;
    bool logged = true;
    std::map<uint32_t, Manner> manners;
    std::map<uint64_t, tina_node> live;
    std::map<uint64_t, uint64_t> lingering; // who: when it exits
    std::map<uint64_t, uint32_t> whats;
    std::set<uint64_t> starting; // whose slow init has not returned
    std::set<uint64_t> told;     // who have been told to stop
    std::set<uint64_t> killed;
    std::function<void(const tina_tree_step &)> on_step;
    bool ended = false;
    tina_tree_step end = {};
    tina_tree_step gave_up = {}; // the first one
    tina_tree_step last_start = {};
    uint64_t steps = 0;

  private:
    void write(char what_happened, uint32_t what) {
        if (logged)
            log += std::string(" ") + what_happened + std::to_string(what);
    }

    uint64_t next_event_ns() const {
        uint64_t next_ns = tina_tree_next_ns(tree);
        for (const auto &entry : lingering)
            next_ns = entry.second < next_ns ? entry.second : next_ns;
        return next_ns;
    }

    bool lingering_exit() {
        for (const auto &entry : lingering)
            if (entry.second <= now_ns) {
                uint64_t who = entry.first;
                tina_node node = live.at(who);
                exits(node, manners[whats.at(who)].leaves);
                return true;
            }
        return false;
    }

    void execute(const tina_tree_step &step) {
        ASSERT_FALSE(ended) << "a step after the end";
        steps++;
        switch (step.kind) {
        case TINA_STEP_START:
            return execute_start(step);
        case TINA_STEP_STOP:
            return execute_stop(step);
        case TINA_STEP_KILL:
            ASSERT_TRUE(live.count(step.who) == 1) << "killed who does not run";
            ASSERT_TRUE(killed.insert(step.who).second) << "killed twice";
            write('!', step.what);
            if (!manners[step.what].undead)
                exits(step.node, TINA_EXITED_ABNORMAL);
            return;
        case TINA_STEP_GAVE_UP:
            write('?', step.what);
            if (gave_up.kind == 0)
                gave_up = step;
            return;
        case TINA_STEP_ENDED:
            ASSERT_TRUE(live.empty());
            log += " .";
            ended = true;
            end = step;
            return;
        }
        FAIL() << "no such step";
    }

    void execute_start(const tina_tree_step &step) {
        write('+', step.what);
        last_start = step;
        ASSERT_EQ(who_of_if_checked(step.node), 0u) << "two isolates for one child";
        Manner &manner = manners[step.what];
        bool fails = manner.fail != 0;
        if (manner.fail > 0)
            manner.fail--;
        if (fails && manner.refused) {
            EXPECT_EQ(tina_tree_start_failed(tree, step.node, 77), TINA_TREE_OK);
            return;
        }
        uint64_t who = ++last_who;
        EXPECT_EQ(tina_tree_spawned(tree, step.node, who), TINA_TREE_OK);
        check();
        if (fails) {
            EXPECT_EQ(tina_tree_start_failed(tree, step.node, 78), TINA_TREE_OK);
            return;
        }
        if (manner.ignore) {
            EXPECT_EQ(tina_tree_ignored(tree, step.node), TINA_TREE_OK);
            return;
        }
        live[who] = step.node;
        whats[who] = step.what;
        if (manner.slow) {
            starting.insert(who);
            return;
        }
        EXPECT_EQ(tina_tree_started(tree, step.node), TINA_TREE_OK);
    }

    uint64_t who_of_if_checked(tina_node node) const {
        return checked ? who_of(node) : 0;
    }

    void execute_stop(const tina_tree_step &step) {
        ASSERT_TRUE(live.count(step.who) == 1) << "stopped who does not run";
        ASSERT_TRUE(told.insert(step.who).second) << "told twice";
        write('-', step.what);
        const Manner &manner = manners[step.what];
        if (manner.deaf)
            return;
        if (manner.linger_ns > 0) {
            lingering[step.who] = now_ns + manner.linger_ns;
            return;
        }
        forget(step.who);
        EXPECT_EQ(tina_tree_exited(tree, step.node, manner.leaves), TINA_TREE_OK);
    }

    void *memory;
    uint64_t last_who = 0;
    std::string log;
    mutable tina_child_info scratch = {};
};

} // namespace tree_world

#endif
