// SPDX-License-Identifier: Apache-2.0

#include "supervise/tree_internal.h"

static uint32_t group_of(const tina_tree *tree, tina_node name) {
    uint32_t n = node_index(tree, name);
    if (n == NONE)
        return NONE;
    TINA_ASSERT(tree->nodes[n].group != NONE);
    return tree->nodes[n].group;
}

static bool state_is_undefined(uint8_t state) {
    return state == NODE_DOWN || state == NODE_RESTARTING;
}

static tina_tree_result child_admit(const tina_tree *tree, uint32_t g, const tina_tree_child *child,
                                    tina_node *node) {
    const tree_group *group = &tree->groups[g];
    if (!group_is_up(group))
        return TINA_TREE_NOT_UP;
    if (!group->dynamic) {
        uint32_t there = node_find(tree, g, child->what);
        if (there != NONE) {
            *node = node_name(tree, there);
            return state_is_undefined(tree->nodes[there].state) ? TINA_TREE_ALREADY_PRESENT
                                                                : TINA_TREE_ALREADY_STARTED;
        }
    }
    return group->added >= group->child_count_max ? TINA_TREE_FULL : TINA_TREE_OK;
}

tina_tree_result tina_tree_start_child(tina_tree *tree, tina_node name,
                                       const tina_tree_child *child, tina_node *node) {
    *node = (tina_node){0};
    uint32_t g = group_of(tree, name);
    if (g == NONE)
        return TINA_TREE_STALE;
    tina_tree_result result = child_admit(tree, g, child, node);
    if (result != TINA_TREE_OK)
        return result;
    uint32_t n = node_add(tree, g, child->what);
    if (n == NONE)
        return TINA_TREE_FULL;
    tree_group *group = &tree->groups[g];
    tree_node *added = &tree->nodes[n];
    group->added++;
    node_policy_set(added, group->dynamic ? &group->instance : &child->policy);
    added->failure = FAILURE_DROP;
    added->who = child->who;
    node_enter(tree, n, child->who == 0 ? NODE_WAITING : NODE_STARTING);
    if (child->who == 0)
        node_queue(tree, n);
    *node = node_name(tree, n);
    return TINA_TREE_OK;
}

// The child that a request is about; the root is nobody's child.
static tina_tree_result child_of(const tina_tree *tree, tina_node name, uint32_t *n) {
    *n = node_index(tree, name);
    if (*n == NONE)
        return TINA_TREE_STALE;
    TINA_ASSERT(tree->nodes[*n].parent != NONE);
    return group_is_up(&tree->groups[tree->nodes[*n].parent]) ? TINA_TREE_OK : TINA_TREE_NOT_UP;
}

tina_tree_result tina_tree_terminate_child(tina_tree *tree, tina_node name) {
    uint32_t n;
    tina_tree_result result = child_of(tree, name, &n);
    if (result != TINA_TREE_OK)
        return n == NONE && node_is_past(tree, name) ? TINA_TREE_OK : result;
    tree_node *node = &tree->nodes[n];
    switch ((node_state)node->state) {
    case NODE_STARTING:
        if (tree->groups[node->parent].awaited == n) {
            node->unwanted = true;
            return TINA_TREE_OK;
        }
        // fall through
    case NODE_UP:
        node_enter(tree, n, NODE_CONDEMNED);
        node_queue(tree, n);
        return TINA_TREE_OK;
    case NODE_WAITING:
    case NODE_EXITED:
    case NODE_RESTARTING:
        node_stopped(tree, n);
        return TINA_TREE_OK;
    default:
        return TINA_TREE_OK;
    }
}

// Why a child cannot be restarted or deleted: only what is known and down can.
static tina_tree_result child_is_down(const tina_tree *tree, tina_node name, uint32_t *n) {
    tina_tree_result result = child_of(tree, name, n);
    if (result != TINA_TREE_OK)
        return result;
    const tree_node *node = &tree->nodes[*n];
    if (tree->groups[node->parent].dynamic)
        return TINA_TREE_DYNAMIC;
    if (node->state == NODE_GONE)
        return TINA_TREE_STALE;
    if (node->state == NODE_RESTARTING)
        return TINA_TREE_RESTARTING;
    return node->state == NODE_DOWN ? TINA_TREE_OK : TINA_TREE_RUNNING;
}

tina_tree_result tina_tree_restart_child(tina_tree *tree, tina_node name) {
    uint32_t n;
    tina_tree_result result = child_is_down(tree, name, &n);
    if (result != TINA_TREE_OK)
        return result;
    tree->nodes[n].failure = FAILURE_KEEP;
    node_enter(tree, n, NODE_WAITING);
    node_queue(tree, n);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_delete_child(tina_tree *tree, tina_node name) {
    uint32_t n;
    tina_tree_result result = child_is_down(tree, name, &n);
    if (result != TINA_TREE_OK)
        return result;
    // A walk may be about to start it.
    if (tree->groups[tree->nodes[n].parent].activity != GROUP_IDLE)
        return TINA_TREE_BUSY;
    node_remove(tree, n);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_change_group(tina_tree *tree, tina_node name,
                                        const tina_group_policy *policy) {
    TINA_ASSERT(tina_group_policy_check(policy) == TINA_POLICY_OK);
    uint32_t g = group_of(tree, name);
    if (g == NONE)
        return TINA_TREE_STALE;
    tree_group *group = &tree->groups[g];
    if (group->dynamic != policy->dynamic)
        return TINA_TREE_DYNAMIC;
    if (tina_group_intensity(policy) > group->window.capacity)
        return TINA_TREE_FULL;
    group->strategy = (uint8_t)policy->strategy;
    group->auto_shutdown = (uint8_t)policy->auto_shutdown;
    group->window.intensity = tina_group_intensity(policy);
    group->window.period_ns = policy->period_ns == 0 ? TINA_PERIOD_DEFAULT_NS : policy->period_ns;
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_change_child(tina_tree *tree, tina_node name,
                                        const tina_child_policy *policy) {
    uint32_t n = node_index(tree, name);
    if (n == NONE)
        return TINA_TREE_STALE;
    if (tree->nodes[n].parent != NONE && tree->groups[tree->nodes[n].parent].dynamic)
        return TINA_TREE_DYNAMIC;
    node_policy_change(tree, n, policy);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_change_instance(tina_tree *tree, tina_node name,
                                           const tina_child_policy *policy) {
    uint32_t g = group_of(tree, name);
    if (g == NONE)
        return TINA_TREE_STALE;
    TINA_ASSERT(tree->groups[g].dynamic);
    tree->groups[g].instance = *policy;
    return TINA_TREE_OK;
}

tina_node tina_tree_find(const tina_tree *tree, tina_node group, uint32_t what) {
    uint32_t g = group_of(tree, group);
    if (g == NONE || tree->groups[g].dynamic)
        return (tina_node){0};
    uint32_t n = node_find(tree, g, what);
    return n == NONE ? (tina_node){0} : node_name(tree, n);
}

// The first child from n on that is known.
static tina_node child_from(const tina_tree *tree, uint32_t n) {
    while (n != NONE && tree->nodes[n].state == NODE_GONE)
        n = tree->nodes[n].next;
    return n == NONE ? (tina_node){0} : node_name(tree, n);
}

tina_node tina_tree_first_child(const tina_tree *tree, tina_node group) {
    uint32_t g = group_of(tree, group);
    return g == NONE ? (tina_node){0} : child_from(tree, tree->groups[g].children.head);
}

tina_node tina_tree_next_child(const tina_tree *tree, tina_node name) {
    uint32_t n = node_index(tree, name);
    return n == NONE ? (tina_node){0} : child_from(tree, tree->nodes[n].next);
}

static const uint8_t public_states[NODE_STATE_COUNT] = {
    [NODE_DOWN] = TINA_CHILD_DOWN,          [NODE_WAITING] = TINA_CHILD_STARTING,
    [NODE_STARTING] = TINA_CHILD_STARTING,  [NODE_UP] = TINA_CHILD_UP,
    [NODE_CONDEMNED] = TINA_CHILD_STOPPING, [NODE_STOPPING] = TINA_CHILD_STOPPING,
    [NODE_EXITED] = TINA_CHILD_UP,          [NODE_RESTARTING] = TINA_CHILD_RESTARTING,
};

tina_tree_result tina_tree_look(const tina_tree *tree, tina_node name, tina_child_info *info) {
    uint32_t n = node_index(tree, name);
    if (n == NONE || tree->nodes[n].state == NODE_GONE)
        return TINA_TREE_STALE;
    const tree_node *node = &tree->nodes[n];
    *info = (tina_child_info){
        .policy = {.restart = (tina_restart)node->restart,
                   .significant = node->significant,
                   .shutdown_ns = node->shutdown_ns},
        .state = (tina_child_state)public_states[node->state],
        .what = node->what,
        .who = node->who,
        .group = node->group != NONE,
    };
    if (node->parent != NONE)
        info->parent = node_name(tree, tree->groups[node->parent].node);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_count(const tina_tree *tree, tina_node name, tina_child_count *count) {
    uint32_t g = group_of(tree, name);
    if (g == NONE)
        return TINA_TREE_STALE;
    const tree_group *group = &tree->groups[g];
    *count = (tina_child_count){
        .specs = group->dynamic ? 1 : group->listed,
        .active = group->active,
        .groups = group->groups,
        .isolates = group->listed - group->groups,
    };
    return TINA_TREE_OK;
}

const tina_tree_counters *tina_tree_counters_of(const tina_tree *tree) {
    return &tree->counters;
}
