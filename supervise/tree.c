// SPDX-License-Identifier: Apache-2.0

#include "supervise/tree_internal.h"

static bool timer_turn(tina_tree *tree, uint64_t now_ns, tina_tree_step *step);
static turn group_turn(tina_tree *tree, uint32_t g, uint64_t now_ns, tina_tree_step *step);

bool tina_tree_next(tina_tree *tree, uint64_t now_ns, tina_tree_step *step) {
    TINA_ASSERT(now_ns >= tree->round_ns);
    if (now_ns != tree->round_ns && tree->resting.head != NONE)
        round_begin(tree);
    tree->round_ns = now_ns;
    while (tree->timer_count > 0 && tree->groups[tree->timers[0]].timer_ns <= now_ns)
        if (timer_turn(tree, now_ns, step))
            return true;
    uint32_t g;
    while ((g = ready_take(tree)) != NONE) {
        turn result = group_turn(tree, g, now_ns, step);
        if (result != TURN_REST)
            group_wake(tree, g);
        if (result == TURN_STEP)
            return true;
    }
    if (tree->resting.head != NONE)
        round_begin(tree);
    return false;
}

uint64_t tina_tree_next_ns(const tina_tree *tree) {
    if (tree->ready_head != NONE || tree->resting.head != NONE)
        return 0;
    return tree->timer_count == 0 ? UINT64_MAX : tree->groups[tree->timers[0]].timer_ns;
}

void tina_tree_start(tina_tree *tree) {
    TINA_ASSERT(tree->group_count > 0);
    TINA_ASSERT(tree->nodes[0].state == NODE_DOWN);
    node_enter(tree, 0, NODE_STARTING);
    group_begin(tree, 0);
}

static void root_stop(tina_tree *tree, bool force) {
    TINA_ASSERT(tree->group_count > 0);
    if (tree->groups[0].activity == GROUP_DOWN)
        return;
    node_enter(tree, 0, NODE_STOPPING);
    group_stop(tree, 0, TINA_END_SHUTDOWN, force);
}

void tina_tree_shutdown(tina_tree *tree) {
    root_stop(tree, false);
}

void tina_tree_kill(tina_tree *tree) {
    root_stop(tree, true);
}

// Kills the first that had its time to stop.
static bool timer_turn(tina_tree *tree, uint64_t now_ns, tina_tree_step *step) {
    uint32_t g = tree->timers[0];
    const tree_group *group = &tree->groups[g];
    TINA_ASSERT(group->timer_ns <= now_ns);
    uint32_t n = group->awaited;
    if (group->dynamic)
        n = group->stopping.head;
    else
        tree_timer_clear(tree, g);
    TINA_ASSERT(tree->nodes[n].state == NODE_STOPPING);
    return node_kill(tree, n, step) == TURN_STEP;
}

static void culprit_is(tina_tree *tree, uint32_t n) {
    tree_group *group = &tree->groups[tree->nodes[n].parent];
    group->culprit = node_name(tree, n);
    group->culprit_what = tree->nodes[n].what;
    group->reason = 0;
}

// OTP's restart/2: first the budget, then the strategy.
static turn node_restart(tina_tree *tree, uint32_t n, uint64_t now_ns, tina_tree_step *step) {
    uint32_t g = tree->nodes[n].parent;
    tree_group *group = &tree->groups[g];
    TINA_ASSERT(group->activity == GROUP_IDLE);
    if (!tina_window_add(&group->window, now_ns)) {
        culprit_is(tree, n);
        node_stopped(tree, n);
        return group_give_up(tree, g, TINA_END_BUDGET);
    }
    tree->counters.restarts++;
    if (group->strategy == TINA_ONE_FOR_ONE)
        return node_start(tree, n, FAILURE_AGAIN, step);
    node_enter(tree, n, NODE_DOWN);
    group->activity = GROUP_STOP_RANGE;
    group->awaited = NONE;
    group->first = group->strategy == TINA_ONE_FOR_ALL ? group->children.head : n;
    group->cursor = group->children.tail;
    return TURN_AGAIN;
}

// OTP's do_restart and do_auto_shutdown.
static turn exit_turn(tina_tree *tree, uint32_t n, uint64_t now_ns, tina_tree_step *step) {
    const tree_node *node = &tree->nodes[n];
    uint32_t g = node->parent;
    tree_group *group = &tree->groups[g];
    if (exit_wants_restart(node, (tina_exit_class)node->exit))
        return node_restart(tree, n, now_ns, step);
    bool triggers = node->significant && group->auto_shutdown != TINA_AUTO_SHUTDOWN_NEVER;
    if (triggers)
        culprit_is(tree, n);
    node_stopped(tree, n);
    if (triggers && (group->auto_shutdown == TINA_AUTO_SHUTDOWN_ANY || group->significant == 0))
        return group_give_up(tree, g, TINA_END_AUTO_SHUTDOWN);
    return TURN_AGAIN;
}

static turn idle_turn(tina_tree *tree, uint32_t g, uint64_t now_ns, tina_tree_step *step) {
    tree_group *group = &tree->groups[g];
    uint32_t n = group->queue.head;
    if (n == NONE)
        return TURN_REST;
    node_unqueue(tree, n);
    tree->counters.visits++;
    const tree_node *node = &tree->nodes[n];
    switch ((node_state)node->state) {
    case NODE_EXITED:
        return exit_turn(tree, n, now_ns, step);
    case NODE_RESTARTING:
        return node_restart(tree, n, now_ns, step);
    case NODE_WAITING:
        return node_start(tree, n, (start_failure)node->failure, step);
    case NODE_CONDEMNED:
        if (!group->dynamic) {
            group->activity = GROUP_STOP_ONE;
            group->awaited = n;
        }
        return node_stop(tree, n, now_ns, step);
    default:
        tina_assert_failed("a node is queued in a state that is not for it", __FILE__, __LINE__);
    }
}

static turn group_turn(tina_tree *tree, uint32_t g, uint64_t now_ns, tina_tree_step *step) {
    switch ((group_activity)tree->groups[g].activity) {
    case GROUP_DOWN:
        return TURN_REST;
    case GROUP_BOOT:
    case GROUP_START_RANGE:
        return start_turn(tree, g, step);
    case GROUP_IDLE:
        return idle_turn(tree, g, now_ns, step);
    case GROUP_STOP_ONE:
        return stop_one_turn(tree, g);
    case GROUP_STOP_RANGE:
        return stop_range_turn(tree, g, now_ns, step);
    case GROUP_STOP_ALL:
        return stop_all_turn(tree, g, now_ns, step);
    }
    tina_assert_failed("a group has an unknown activity", __FILE__, __LINE__);
}
