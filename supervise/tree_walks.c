// SPDX-License-Identifier: Apache-2.0

#include "supervise/tree_internal.h"

static bool group_awaits(const tina_tree *tree, const tree_group *group, node_state state) {
    return group->awaited != NONE && tree->nodes[group->awaited].state == state;
}

turn group_give_up(tina_tree *tree, uint32_t g, tina_end_cause cause) {
    tree->groups[g].gave_up = true;
    group_stop(tree, g, cause, false);
    return TURN_AGAIN;
}

turn stop_one_turn(tina_tree *tree, uint32_t g) {
    tree_group *group = &tree->groups[g];
    if (group_awaits(tree, group, NODE_STOPPING))
        return TURN_REST;
    group->awaited = NONE;
    group->activity = GROUP_IDLE;
    return TURN_AGAIN;
}

// Whether a walk is to start n. What was asked to start meanwhile has its turn later.
static bool node_is_to_start(tina_tree *tree, const tree_group *group, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    if (group->activity == GROUP_BOOT) {
        if (node->state == NODE_GONE)
            node_revive(tree, n);
        TINA_ASSERT(node->state == NODE_DOWN);
        return true;
    }
    bool unwanted = node->unwanted;
    if (node->state == NODE_DOWN)
        node->unwanted = false;
    return node->state == NODE_DOWN && !unwanted;
}

turn start_turn(tina_tree *tree, uint32_t g, tina_tree_step *step) {
    tree_group *group = &tree->groups[g];
    if (group_awaits(tree, group, NODE_STARTING))
        return TURN_REST;
    bool boot = group->activity == GROUP_BOOT;
    group->awaited = NONE;
    if (group->failed && boot)
        return group_give_up(tree, g, TINA_END_START_FAILED);
    if (group->failed || group->cursor == NONE) {
        group->failed = false;
        group->activity = GROUP_IDLE;
        if (boot)
            node_came_up(tree, group->node);
        return TURN_AGAIN;
    }
    uint32_t n = group->cursor;
    group->cursor = tree->nodes[n].next;
    tree->counters.visits++;
    if (!node_is_to_start(tree, group, n))
        return TURN_AGAIN;
    group->awaited = n;
    return node_start(tree, n, boot ? FAILURE_BOOT : FAILURE_AGAIN, step);
}

// Stops the children from the last to the first of the range; those that run are awaited.
turn stop_range_turn(tina_tree *tree, uint32_t g, uint64_t now_ns, tina_tree_step *step) {
    tree_group *group = &tree->groups[g];
    if (group_awaits(tree, group, NODE_STOPPING))
        return TURN_REST;
    group->awaited = NONE;
    uint32_t n = group->cursor;
    if (n == NONE) {
        group->activity = GROUP_START_RANGE;
        group->cursor = group->first;
        return TURN_AGAIN;
    }
    tree_node *node = &tree->nodes[n];
    group->cursor = n == group->first ? NONE : node->prev;
    tree->counters.visits++;
    switch ((node_state)node->state) {
    case NODE_CONDEMNED:
        node->unwanted = true;
        node_unqueue(tree, n);
        group->awaited = n;
        return node_stop(tree, n, now_ns, step);
    case NODE_UP:
        group->awaited = n;
        return node_stop(tree, n, now_ns, step);
    case NODE_EXITED:
    case NODE_RESTARTING:
        node_stopped(tree, n);
        return TURN_AGAIN;
    default:
        return TURN_AGAIN;
    }
}

static turn group_finish(tina_tree *tree, uint32_t g, tina_tree_step *step) {
    tree_group *group = &tree->groups[g];
    TINA_ASSERT(group->queue.head == NONE);
    TINA_ASSERT(group->stopping.head == NONE);
    TINA_ASSERT(group->added == 0);
    TINA_ASSERT(group->timer_place == NONE);
    group->activity = GROUP_DOWN;
    group->force = false;
    uint32_t n = group->node;
    if (tree->nodes[n].parent == NONE) {
        node_enter(tree, n, NODE_DOWN);
        return report_make(tree, TINA_STEP_ENDED, g, step);
    }
    if (tree->nodes[n].state == NODE_STARTING)
        node_start_failed(tree, n, 0);
    else
        node_exited(tree, n, TINA_EXITED_SHUTDOWN);
    return TURN_AGAIN;
}

// One child of a group that ends. What does not run is done with at once.
static turn stop_all_visit(tina_tree *tree, uint32_t n, uint64_t now_ns, tina_tree_step *step) {
    tree_node *node = &tree->nodes[n];
    tree_group *group = &tree->groups[node->parent];
    tree->counters.visits++;
    switch ((node_state)node->state) {
    case NODE_STARTING:
    case NODE_UP:
    case NODE_CONDEMNED:
        node_unqueue(tree, n);
        if (group->force)
            return node_kill(tree, n, step);
        if (!group->dynamic)
            group->awaited = n;
        return node_stop(tree, n, now_ns, step);
    case NODE_STOPPING:
        return group->force && !node->killed ? node_kill(tree, n, step) : TURN_AGAIN;
    case NODE_WAITING:
    case NODE_EXITED:
    case NODE_RESTARTING:
        node_stopped(tree, n);
        return TURN_AGAIN;
    case NODE_DOWN:
        if (!node->built)
            node_remove(tree, n);
        return TURN_AGAIN;
    default:
        TINA_ASSERT(node->state == NODE_GONE);
        return TURN_AGAIN;
    }
}

turn stop_all_turn(tina_tree *tree, uint32_t g, uint64_t now_ns, tina_tree_step *step) {
    tree_group *group = &tree->groups[g];
    if (group->gave_up) {
        group->gave_up = false;
        tree->counters.gave_up++;
        return report_make(tree, TINA_STEP_GAVE_UP, g, step);
    }
    if (group_awaits(tree, group, NODE_STOPPING))
        return TURN_REST;
    if (!group->dynamic)
        group->awaited = NONE;
    uint32_t n = group->cursor;
    if (n != NONE) {
        group->cursor = tree->nodes[n].prev;
        return stop_all_visit(tree, n, now_ns, step);
    }
    return group->live == 0 ? group_finish(tree, g, step) : TURN_REST;
}
