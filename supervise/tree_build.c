// SPDX-License-Identifier: Apache-2.0

#include "core/bits.h"
#include "supervise/tree_internal.h"

// Where the parts of a tree lie in the caller's memory.
typedef struct tree_layout {
    size_t nodes;
    size_t groups;
    size_t buckets;
    size_t timers;
    size_t window_times;
    size_t bytes;
    uint32_t bucket_count;
} tree_layout;

static size_t layout_add(tree_layout *layout, size_t count, size_t bytes) {
    size_t place = layout->bytes;
    layout->bytes = tina_align_up(place + count * bytes, 64);
    return place;
}

static tree_layout layout_of(const tina_tree_config *config) {
    TINA_ASSERT(config->node_count > 0);
    TINA_ASSERT(config->node_count <= TINA_TREE_NODE_COUNT_MAX);
    TINA_ASSERT(config->group_count > 0);
    TINA_ASSERT(config->group_count <= config->node_count);
    tree_layout layout = {.bucket_count = (uint32_t)tina_round_up_pow2(config->node_count)};
    layout_add(&layout, 1, sizeof(tina_tree));
    layout.nodes = layout_add(&layout, config->node_count, sizeof(tree_node));
    layout.groups = layout_add(&layout, config->group_count, sizeof(tree_group));
    layout.buckets = layout_add(&layout, layout.bucket_count, sizeof(uint32_t));
    layout.timers = layout_add(&layout, config->group_count, sizeof(uint32_t));
    layout.window_times = layout_add(&layout, config->window_count, sizeof(uint64_t));
    return layout;
}

size_t tina_tree_bytes(const tina_tree_config *config) {
    return layout_of(config).bytes;
}

tina_tree *tina_tree_open(const tina_tree_config *config, void *memory) {
    TINA_ASSERT(memory != NULL);
    TINA_ASSERT((uintptr_t)memory % 64 == 0);
    tree_layout layout = layout_of(config);
    uint8_t *base = memory;
    tina_tree *tree = memory;
    *tree = (tina_tree){
        .nodes = (void *)(base + layout.nodes),
        .groups = (void *)(base + layout.groups),
        .buckets = (void *)(base + layout.buckets),
        .timers = (void *)(base + layout.timers),
        .window_times = (void *)(base + layout.window_times),
        .bucket_mask = layout.bucket_count - 1,
        .free_first = NONE,
        .ready_head = NONE,
        .ready_tail = NONE,
        .resting = {NONE, NONE},
        .config = *config,
    };
    for (uint32_t i = 0; i < layout.bucket_count; i++)
        tree->buckets[i] = NONE;
    return tree;
}

tina_policy_rule tina_group_policy_check(const tina_group_policy *group) {
    if ((unsigned)group->strategy > TINA_REST_FOR_ONE)
        return TINA_POLICY_NO_STRATEGY;
    if (tina_group_intensity(group) > TINA_INTENSITY_MAX)
        return TINA_POLICY_INTENSITY_TOO_BIG;
    if ((unsigned)group->auto_shutdown > TINA_AUTO_SHUTDOWN_ALL)
        return TINA_POLICY_NO_AUTO_SHUTDOWN;
    if (group->dynamic && group->strategy != TINA_ONE_FOR_ONE)
        return TINA_POLICY_DYNAMIC_STRATEGY;
    return TINA_POLICY_OK;
}

tina_policy_rule tina_child_policy_check(const tina_group_policy *group,
                                         const tina_child_policy *child) {
    if ((unsigned)child->restart > TINA_TEMPORARY)
        return TINA_POLICY_NO_RESTART;
    if (child->significant && child->restart == TINA_PERMANENT)
        return TINA_POLICY_SIGNIFICANT_PERMANENT;
    if (child->significant && group->auto_shutdown == TINA_AUTO_SHUTDOWN_NEVER)
        return TINA_POLICY_SIGNIFICANT_NEVER;
    return TINA_POLICY_OK;
}

static void group_init(tina_tree *tree, uint32_t g, uint32_t n, const tina_tree_group *from) {
    const tina_group_policy *policy = &from->policy;
    uint32_t intensity = tina_group_intensity(policy);
    tree_group *group = &tree->groups[g];
    *group = (tree_group){
        .node = n,
        .children = {NONE, NONE},
        .queue = {NONE, NONE},
        .stopping = {NONE, NONE},
        .awaited = NONE,
        .cursor = NONE,
        .first = NONE,
        .timer_place = NONE,
        .child_count_max = from->child_count_max == 0 ? NONE : from->child_count_max,
        .strategy = (uint8_t)policy->strategy,
        .auto_shutdown = (uint8_t)policy->auto_shutdown,
        .dynamic = policy->dynamic,
        .instance = from->instance,
    };
    tina_window_init(&group->window, tree->window_times + tree->window_used, intensity,
                     policy->period_ns == 0 ? TINA_PERIOD_DEFAULT_NS : policy->period_ns);
    tree->window_used += intensity;
}

// The group to add to, before the tree is started.
static uint32_t building(const tina_tree *tree, tina_node parent) {
    uint32_t n = node_index(tree, parent);
    TINA_ASSERT(n != NONE);
    TINA_ASSERT(tree->nodes[0].state == NODE_DOWN);
    TINA_ASSERT(tree->nodes[n].group != NONE);
    TINA_ASSERT(!tree->groups[tree->nodes[n].group].dynamic);
    return tree->nodes[n].group;
}

tina_tree_result tina_tree_add_group(tina_tree *tree, tina_node parent, const tina_tree_group *from,
                                     tina_node *node) {
    TINA_ASSERT(tina_group_policy_check(&from->policy) == TINA_POLICY_OK);
    if (from->policy.dynamic)
        TINA_ASSERT(tina_child_policy_check(&from->policy, &from->instance) == TINA_POLICY_OK);
    TINA_ASSERT((parent.bits == 0) == (tree->group_count == 0));
    uint32_t above = parent.bits == 0 ? NONE : building(tree, parent);
    if (above != NONE && node_find(tree, above, from->what) != NONE)
        return TINA_TREE_ALREADY_PRESENT;
    if (tree->group_count == tree->config.group_count ||
        tina_group_intensity(&from->policy) > tree->config.window_count - tree->window_used)
        return TINA_TREE_FULL;
    uint32_t n = node_add(tree, above, from->what);
    if (n == NONE)
        return TINA_TREE_FULL;
    uint32_t g = tree->group_count++;
    tree->nodes[n].group = g;
    tree->nodes[n].built = true;
    node_policy_set(&tree->nodes[n], &from->child);
    node_enter(tree, n, NODE_DOWN);
    group_init(tree, g, n, from);
    *node = node_name(tree, n);
    return TINA_TREE_OK;
}

tina_tree_result tina_tree_add_child(tina_tree *tree, tina_node parent,
                                     const tina_child_policy *policy, uint32_t what,
                                     tina_node *node) {
    uint32_t g = building(tree, parent);
    if (node_find(tree, g, what) != NONE)
        return TINA_TREE_ALREADY_PRESENT;
    uint32_t n = node_add(tree, g, what);
    if (n == NONE)
        return TINA_TREE_FULL;
    tree->nodes[n].built = true;
    node_policy_set(&tree->nodes[n], policy);
    node_enter(tree, n, NODE_DOWN);
    *node = node_name(tree, n);
    return TINA_TREE_OK;
}
