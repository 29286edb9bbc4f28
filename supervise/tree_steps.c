// SPDX-License-Identifier: Apache-2.0

#include "supervise/tree_internal.h"

static turn step_make(tina_tree *tree, tina_step_kind kind, uint32_t n, tina_tree_step *step) {
    const tree_node *node = &tree->nodes[n];
    *step = (tina_tree_step){
        .kind = kind, .what = node->what, .node = node_name(tree, n), .who = node->who};
    return TURN_STEP;
}

// GAVE_UP or ENDED.
turn report_make(tina_tree *tree, tina_step_kind kind, uint32_t g, tina_tree_step *step) {
    const tree_group *group = &tree->groups[g];
    step_make(tree, kind, group->node, step);
    step->cause = (tina_end_cause)group->cause;
    if (step->cause == TINA_END_SHUTDOWN)
        return TURN_STEP;
    step->culprit = group->culprit;
    step->culprit_what = group->culprit_what;
    step->reason = group->reason;
    if (step->cause == TINA_END_BUDGET)
        step->restarts = group->window.count + 1;
    return TURN_STEP;
}

// Starts n: an isolate with a step, a group by letting it have its turns.
turn node_start(tina_tree *tree, uint32_t n, start_failure failure, tina_tree_step *step) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(!node->queued);
    node->failure = (uint8_t)failure;
    node->who = 0;
    node->killed = false;
    node->unwanted = false;
    node_enter(tree, n, NODE_STARTING);
    if (node->group != NONE) {
        group_begin(tree, node->group);
        return TURN_AGAIN;
    }
    tree->counters.started++;
    step_make(tree, TINA_STEP_START, n, step);
    if (failure == FAILURE_AGAIN)
        step->restarts = tree->groups[node->parent].window.count;
    return TURN_STEP;
}

turn node_kill(tina_tree *tree, uint32_t n, tina_tree_step *step) {
    tree_node *node = &tree->nodes[n];
    node_unqueue(tree, n);
    node_enter(tree, n, NODE_STOPPING);
    node->killed = true;
    if (node->group != NONE) {
        group_stop(tree, node->group, TINA_END_SHUTDOWN, true);
        return TURN_AGAIN;
    }
    tree->counters.killed++;
    return step_make(tree, TINA_STEP_KILL, n, step);
}

// Stops n, which runs and is in no list.
turn node_stop(tina_tree *tree, uint32_t n, uint64_t now_ns, tina_tree_step *step) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(!node->queued);
    if (node->shutdown_ns == TINA_SHUTDOWN_BRUTAL)
        return node_kill(tree, n, step);
    node_enter(tree, n, NODE_STOPPING);
    if (node->shutdown_ns < UINT64_MAX - now_ns)
        node_time(tree, n, now_ns + node->shutdown_ns);
    if (node->group == NONE)
        return step_make(tree, TINA_STEP_STOP, n, step);
    group_stop(tree, node->group, TINA_END_SHUTDOWN, false);
    return TURN_AGAIN;
}
