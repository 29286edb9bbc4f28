// SPDX-License-Identifier: Apache-2.0
//
// OTP's supervisor as plain recursion: what the tree is compared with in a world where every start
// and stop takes effect at once. Written after supervisor(3) and knows nothing of the tree.

#ifndef TINA_SUPERVISE_TREE_MODEL_H
#define TINA_SUPERVISE_TREE_MODEL_H

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "supervise/tree.h"

namespace tree_model {

struct Group;

enum class State {
    Down,
    Up,
    Restarting
};

struct Node {
    tina_node name = {};
    uint32_t what = 0;
    tina_child_policy policy = {};
    bool built = true;
    bool gone = false; // not among its group's children
    State state = State::Down;
    Group *parent = nullptr;
    std::unique_ptr<Group> group;
};

struct Group {
    Node *self = nullptr;
    tina_group_policy policy = {};
    tina_child_policy instance = {};
    bool up = false;
    std::vector<std::unique_ptr<Node>> children;
    std::deque<uint64_t> restarts;
};

enum class Start {
    Ok,
    Ignored,
    Failed
};

struct Model {
    Node root;
    uint64_t now_ns = 0;
    std::string log;
    bool ended = true;
    std::map<uint32_t, int> fail; // how many starts of a `what` will fail
    std::map<uint32_t, bool> ignore;
    std::deque<Node *> retries;
    std::vector<std::unique_ptr<Node>> graveyard; // so that pointers in retries stay good

    void write(char what_happened, uint32_t what) {
        log += std::string(" ") + what_happened + std::to_string(what);
    }

    void remove(Node &node) {
        node.state = State::Down;
        node.gone = true;
        if (node.built)
            return;
        auto &siblings = node.parent->children;
        auto place = std::find_if(siblings.begin(), siblings.end(),
                                  [&](const auto &other) { return other.get() == &node; });
        graveyard.push_back(std::move(*place));
        siblings.erase(place);
    }

    // Not running any more: a temporary or dynamic child is forgotten.
    void down(Node &node) {
        if (node.policy.restart == TINA_TEMPORARY || node.parent->policy.dynamic)
            remove(node);
        else
            node.state = State::Down;
    }

    Start start(Node &node) {
        Start result = Start::Ok;
        if (node.group) {
            result = boot(*node.group);
        } else {
            write('+', node.what);
            if (fail[node.what] > 0) {
                fail[node.what]--;
                result = Start::Failed;
            } else if (ignore[node.what]) {
                result = Start::Ignored;
            }
        }
        if (result == Start::Ok)
            node.state = State::Up;
        return result;
    }

    Start boot(Group &group) {
        group.restarts.clear();
        for (auto &child : group.children) {
            child->gone = false;
            child->state = State::Down;
        }
        for (size_t i = 0; i < group.children.size(); i++) {
            Node &child = *group.children[i];
            Start result = start(child);
            if (result == Start::Ignored)
                down(child);
            if (result == Start::Failed) {
                write('?', group.self->what);
                stop_all(group);
                return result;
            }
        }
        group.up = true;
        return Start::Ok;
    }

    void stop(Node &node) {
        if (node.state != State::Up)
            return;
        if (node.group)
            stop_all(*node.group);
        else
            write(node.policy.shutdown_ns == TINA_SHUTDOWN_BRUTAL ? '!' : '-', node.what);
        node.state = State::Down;
    }

    void stop_all(Group &group) {
        for (size_t i = group.children.size(); i-- > 0;) {
            Node &child = *group.children[i];
            stop(child);
            child.state = State::Down;
            if (!child.built)
                remove(child);
        }
        group.up = false;
    }

    void give_up(Group &group) {
        write('?', group.self->what);
        stop_all(group);
        ends(group);
    }

    void ends(Group &group) {
        group.self->state = State::Down;
        if (group.self->parent)
            exits(*group.self, TINA_EXITED_SHUTDOWN);
        else
            end();
    }

    void end() {
        log += " .";
        ended = true;
    }

    void exits(Node &node, tina_exit_class how) {
        Group &group = *node.parent;
        tina_restart restart_type = node.policy.restart;
        if (restart_type == TINA_PERMANENT ||
            (restart_type == TINA_TRANSIENT && how == TINA_EXITED_ABNORMAL)) {
            restart(node);
            return;
        }
        bool significant = node.policy.significant;
        down(node);
        if (!significant || group.policy.auto_shutdown == TINA_AUTO_SHUTDOWN_NEVER)
            return;
        bool others = false;
        for (auto &child : group.children)
            others |= child->policy.significant && child->state != State::Down;
        if (group.policy.auto_shutdown == TINA_AUTO_SHUTDOWN_ANY || !others)
            give_up(group);
    }

    void restart(Node &node) {
        Group &group = *node.parent;
        uint64_t period_ns = group.policy.period_ns ? group.policy.period_ns : 5000000000u;
        while (!group.restarts.empty() && group.restarts.front() + period_ns < now_ns)
            group.restarts.pop_front();
        group.restarts.push_back(now_ns);
        if (group.restarts.size() > tina_group_intensity(&group.policy)) {
            down(node);
            give_up(group);
            return;
        }
        if (group.policy.strategy == TINA_ONE_FOR_ONE)
            start_again(node);
        else
            restart_range(group, group.policy.strategy == TINA_ONE_FOR_ALL ? nullptr : &node, node);
    }

    // Returns whether what comes after it may be started too.
    bool start_again(Node &node) {
        Start result = start(node);
        if (result == Start::Ignored)
            down(node);
        if (result == Start::Failed) {
            node.state = State::Restarting;
            retries.push_back(&node);
        }
        return result != Start::Failed;
    }

    void restart_range(Group &group, const Node *from, Node &failed) {
        failed.state = State::Down;
        size_t first = 0;
        while (from && group.children[first].get() != from)
            first++;
        for (size_t i = group.children.size(); i-- > first;) {
            Node &child = *group.children[i];
            bool was_there = !child.gone;
            stop(child);
            child.state = State::Down;
            if (was_there && child.policy.restart == TINA_TEMPORARY)
                remove(child);
        }
        for (size_t i = first; i < group.children.size(); i++)
            if (!group.children[i]->gone && !start_again(*group.children[i]))
                return;
    }

    // What a supervisor casts to itself, until nothing is left of it.
    void settle() {
        while (!retries.empty()) {
            Node *node = retries.front();
            retries.pop_front();
            if (node->state == State::Restarting)
                restart(*node);
        }
    }

    void start() {
        ended = false;
        if (start(root) == Start::Failed)
            end();
        settle();
    }

    void shutdown() {
        stop_all(*root.group);
        root.state = State::Down;
        end();
    }
};

} // namespace tree_model

#endif
