// SPDX-License-Identifier: Apache-2.0

#include "supervise/tree_internal.h"

void group_begin(tina_tree *tree, uint32_t g) {
    tree_group *group = &tree->groups[g];
    TINA_ASSERT(group->activity == GROUP_DOWN);
    TINA_ASSERT(group->live == 0);
    TINA_ASSERT(!group->force);
    group->activity = GROUP_BOOT;
    group->cursor = group->children.head;
    group->awaited = NONE;
    group->failed = false;
    group->culprit = (tina_node){0};
    tina_window_clear(&group->window);
    group_wake(tree, g);
}

// What is stopping already is awaited before the others are told.
void group_stop(tina_tree *tree, uint32_t g, tina_end_cause cause, bool force) {
    tree_group *group = &tree->groups[g];
    TINA_ASSERT(group->activity != GROUP_DOWN);
    if (group->activity != GROUP_STOP_ALL) {
        group->activity = GROUP_STOP_ALL;
        group->cause = (uint8_t)cause;
        group->cursor = group->children.tail;
        group->failed = false;
    }
    if (force && !group->force) {
        group->force = true;
        group->cursor = group->children.tail;
        group->awaited = NONE;
        if (!group->dynamic)
            tree_timer_clear(tree, g);
    }
    group_wake(tree, g);
}

// Nothing of n runs and nothing is to be done about it, whatever n was waiting for.
void node_stopped(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    uint32_t g = node->parent;
    tree_group *group = &tree->groups[g];
    node_unqueue(tree, n);
    if (group->awaited == n)
        tree_timer_clear(tree, g);
    node->who = 0;
    bool removed = node->restart == TINA_TEMPORARY || group->dynamic ||
                   (group->activity == GROUP_STOP_ALL && !node->built);
    if (removed)
        node_remove(tree, n);
    else
        node_enter(tree, n, NODE_DOWN);
    group_wake(tree, g);
}

void node_came_up(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    if (node->state != NODE_STARTING) {
        TINA_ASSERT(node->state == NODE_STOPPING || node->state == NODE_CONDEMNED);
        return;
    }
    node_enter(tree, n, node->unwanted ? NODE_CONDEMNED : NODE_UP);
    if (node->parent == NONE)
        return;
    if (node->unwanted)
        node_queue(tree, n);
    node->unwanted = false;
    if (tree->groups[node->parent].awaited == n)
        group_wake(tree, node->parent);
}

void node_ignored(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(node->state == NODE_STARTING || node->state == NODE_STOPPING ||
                node->state == NODE_CONDEMNED);
    if (node->state == NODE_STARTING)
        node->unwanted = false;
    node_stopped(tree, n);
}

// Stores which child is at the bottom of it, also through several groups.
static void culprit_set(tina_tree *tree, uint32_t n, uint64_t reason) {
    const tree_node *node = &tree->nodes[n];
    tree_group *group = &tree->groups[node->parent];
    if (node->group != NONE) {
        const tree_group *below = &tree->groups[node->group];
        group->culprit = below->culprit;
        group->culprit_what = below->culprit_what;
        group->reason = below->reason;
        return;
    }
    group->culprit = node_name(tree, n);
    group->culprit_what = node->what;
    group->reason = reason;
}

void node_start_failed(tina_tree *tree, uint32_t n, uint64_t reason) {
    tree_node *node = &tree->nodes[n];
    tree_group *group = &tree->groups[node->parent];
    if (node->state != NODE_STARTING || group->activity == GROUP_STOP_ALL) {
        TINA_ASSERT(node->state == NODE_STARTING || node->state == NODE_STOPPING ||
                    node->state == NODE_CONDEMNED);
        node_stopped(tree, n);
        return;
    }
    node->who = 0;
    if (group->awaited == n)
        group->failed = true;
    if (node->failure == FAILURE_BOOT)
        culprit_set(tree, n, reason);
    if (node->failure == FAILURE_DROP) {
        node_remove(tree, n);
    } else if (node->failure == FAILURE_AGAIN && !node->unwanted) {
        node_enter(tree, n, NODE_RESTARTING);
        node_rest(tree, n);
    } else {
        node->unwanted = false;
        node_enter(tree, n, NODE_DOWN);
    }
    group_wake(tree, node->parent);
}

void node_exited(tina_tree *tree, uint32_t n, tina_exit_class how) {
    tree_node *node = &tree->nodes[n];
    tree_group *group = &tree->groups[node->parent];
    if (node->state != NODE_UP || group->activity == GROUP_STOP_ALL) {
        TINA_ASSERT(node->state == NODE_UP || node->state == NODE_STOPPING ||
                    node->state == NODE_CONDEMNED);
        node_stopped(tree, n);
        return;
    }
    node->who = 0;
    // The common end of a dynamic child leaves nothing to decide.
    bool decides = exit_wants_restart(node, how) ||
                   (node->significant && group->auto_shutdown != TINA_AUTO_SHUTDOWN_NEVER);
    if (group->dynamic && !decides) {
        node_remove(tree, n);
        return;
    }
    node->exit = (uint8_t)how & 3u;
    node_enter(tree, n, NODE_EXITED);
    node_queue(tree, n);
}

// The node that a report is about. A report about a group is a programmer's error.
static uint32_t reported(tina_tree *tree, tina_node name) {
    uint32_t n = node_index(tree, name);
    if (n == NONE)
        tree->counters.stale++;
    else
        TINA_ASSERT(tree->nodes[n].group == NONE);
    return n;
}

tina_tree_result tina_tree_spawned(tina_tree *tree, tina_node name, uint64_t who) {
    uint32_t n = reported(tree, name);
    if (n == NONE)
        return TINA_TREE_STALE;
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(node->state == NODE_STARTING || node->state == NODE_STOPPING ||
                node->state == NODE_CONDEMNED);
    TINA_ASSERT(who != 0);
    TINA_ASSERT(node->who == 0);
    node->who = who;
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_started(tina_tree *tree, tina_node name) {
    uint32_t n = reported(tree, name);
    if (n == NONE)
        return TINA_TREE_STALE;
    node_came_up(tree, n);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_ignored(tina_tree *tree, tina_node name) {
    uint32_t n = reported(tree, name);
    if (n == NONE)
        return TINA_TREE_STALE;
    node_ignored(tree, n);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_start_failed(tina_tree *tree, tina_node name, uint64_t reason) {
    uint32_t n = reported(tree, name);
    if (n == NONE)
        return TINA_TREE_STALE;
    node_start_failed(tree, n, reason);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_exited(tina_tree *tree, tina_node name, tina_exit_class how) {
    uint32_t n = reported(tree, name);
    if (n == NONE)
        return TINA_TREE_STALE;
    if (tree->nodes[n].state != NODE_STARTING)
        node_exited(tree, n, how);
    else if (how == TINA_EXITED_NORMAL)
        node_ignored(tree, n);
    else
        node_start_failed(tree, n, 0);
    return TINA_TREE_OK;
}
