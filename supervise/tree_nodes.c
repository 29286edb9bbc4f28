// SPDX-License-Identifier: Apache-2.0

#include "core/prng.h"
#include "supervise/tree_internal.h"

_Static_assert(sizeof(tree_node) == 64, "a node is one cache line");

tina_node node_name(const tina_tree *tree, uint32_t n) {
    return (tina_node){tree->nodes[n].generation << NODE_INDEX_BITS | n};
}

static uint32_t name_index(tina_node name) {
    return (uint32_t)name.bits & ((1u << NODE_INDEX_BITS) - 1);
}

uint32_t node_index(const tina_tree *tree, tina_node name) {
    uint32_t n = name_index(name);
    if (n >= tree->touched || tree->nodes[n].generation != name.bits >> NODE_INDEX_BITS ||
        tree->nodes[n].state == NODE_FREE)
        return NONE;
    return n;
}

bool node_is_past(const tina_tree *tree, tina_node name) {
    uint32_t n = name_index(name);
    uint64_t generation = name.bits >> NODE_INDEX_BITS;
    return n < tree->touched && generation != 0 && generation < tree->nodes[n].generation;
}

static uint32_t *bucket_of(const tina_tree *tree, uint32_t g, uint32_t what) {
    return &tree->buckets[tina_prng_mix((uint64_t)g << 32 | what) & tree->bucket_mask];
}

uint32_t node_find(const tina_tree *tree, uint32_t g, uint32_t what) {
    uint32_t n = *bucket_of(tree, g, what);
    while (n != NONE && (tree->nodes[n].parent != g || tree->nodes[n].what != what))
        n = tree->nodes[n].hash_next;
    return n;
}

static void index_insert(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    if (node->parent == NONE || tree->groups[node->parent].dynamic)
        return;
    uint32_t *bucket = bucket_of(tree, node->parent, node->what);
    node->hash_next = *bucket;
    *bucket = n;
}

static void index_remove(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    if (tree->groups[node->parent].dynamic)
        return;
    uint32_t *link = bucket_of(tree, node->parent, node->what);
    while (*link != n) {
        TINA_ASSERT(*link != NONE);
        link = &tree->nodes[*link].hash_next;
    }
    *link = node->hash_next;
}

static uint32_t node_take(tina_tree *tree) {
    uint32_t n = tree->free_first;
    if (n != NONE) {
        tree->free_first = tree->nodes[n].next;
        return n;
    }
    if (tree->touched == tree->config.node_count)
        return NONE;
    n = tree->touched++;
    tree->nodes[n] = (tree_node){.generation = 1};
    return n;
}

static void siblings_append(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    tree_group *group = &tree->groups[node->parent];
    node->prev = group->children.tail;
    node->next = NONE;
    if (node->prev == NONE)
        group->children.head = n;
    else
        tree->nodes[node->prev].next = n;
    group->children.tail = n;
}

static void siblings_remove(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    tree_group *group = &tree->groups[node->parent];
    // A range that begins in the midst begins with the child that is restarted, which stays.
    TINA_ASSERT(group->activity != GROUP_STOP_RANGE || group->first != n || node->prev == NONE);
    if (group->first == n)
        group->first = node->next;
    if (group->cursor == n)
        group->cursor = group->activity == GROUP_START_RANGE ? node->next : node->prev;
    if (group->awaited == n)
        group->awaited = NONE;
    *(node->prev == NONE ? &group->children.head : &tree->nodes[node->prev].next) = node->next;
    *(node->next == NONE ? &group->children.tail : &tree->nodes[node->next].prev) = node->prev;
}

uint32_t node_add(tina_tree *tree, uint32_t g, uint32_t what) {
    uint32_t n = node_take(tree);
    if (n == NONE)
        return NONE;
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(node->state == NODE_FREE);
    *node = (tree_node){
        .generation = node->generation,
        .parent = g,
        .prev = NONE,
        .next = NONE,
        .queue_prev = NONE,
        .queue_next = NONE,
        .what = what,
        .group = NONE,
    };
    if (g != NONE)
        siblings_append(tree, n);
    index_insert(tree, n);
    return n;
}

// What a state counts for in the parent's numbers.
enum {
    LISTED = 1,
    ACTIVE = 2,
    LIVE = 4,
    HELD = 8, // not undefined, as OTP's auto-shutdown asks
};

static const uint8_t state_counts[NODE_STATE_COUNT] = {
    [NODE_FREE] = 0,
    [NODE_GONE] = 0,
    [NODE_DOWN] = LISTED,
    [NODE_WAITING] = LISTED,
    [NODE_STARTING] = LISTED | LIVE | HELD,
    [NODE_UP] = LISTED | ACTIVE | LIVE | HELD,
    [NODE_CONDEMNED] = LISTED | ACTIVE | LIVE | HELD,
    [NODE_STOPPING] = LISTED | ACTIVE | LIVE | HELD,
    [NODE_EXITED] = LISTED | HELD,
    [NODE_RESTARTING] = LISTED | HELD,
};

void node_enter(tina_tree *tree, uint32_t n, node_state state) {
    tree_node *node = &tree->nodes[n];
    uint8_t old = state_counts[node->state];
    uint8_t new = state_counts[state];
    node->state = (uint8_t)state;
    if (node->parent == NONE)
        return;
    tree_group *group = &tree->groups[node->parent];
    group->listed += (uint32_t) !!(new &LISTED) - (uint32_t) !!(old & LISTED);
    group->active += (uint32_t) !!(new &ACTIVE) - (uint32_t) !!(old & ACTIVE);
    group->live += (uint32_t) !!(new &LIVE) - (uint32_t) !!(old & LIVE);
    if (node->significant)
        group->significant += (uint32_t) !!(new &HELD) - (uint32_t) !!(old & HELD);
    if (node->group != NONE)
        group->groups += (uint32_t) !!(new &LISTED) - (uint32_t) !!(old & LISTED);
}

void node_remove(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(!node->queued);
    TINA_ASSERT(node->state != NODE_FREE && node->state != NODE_GONE);
    index_remove(tree, n);
    node->who = 0;
    node->unwanted = false;
    if (node->built) {
        node_enter(tree, n, NODE_GONE);
        return;
    }
    node_enter(tree, n, NODE_FREE);
    siblings_remove(tree, n);
    tree->groups[node->parent].added--;
    node->generation++;
    // A node whose generation would wrap is never taken again: a name is stale for ever.
    if (node->generation > NODE_GENERATION_MAX)
        return;
    node->next = tree->free_first;
    tree->free_first = n;
}

void node_revive(tina_tree *tree, uint32_t n) {
    TINA_ASSERT(tree->nodes[n].state == NODE_GONE);
    node_enter(tree, n, NODE_DOWN);
    index_insert(tree, n);
}

void node_policy_set(tree_node *node, const tina_child_policy *policy) {
    node->restart = (uint8_t)policy->restart;
    node->significant = policy->significant;
    node->shutdown_ns = policy->shutdown_ns;
    if (policy->shutdown_ns == 0)
        node->shutdown_ns = node->group == NONE ? TINA_SHUTDOWN_DEFAULT_NS : TINA_SHUTDOWN_INFINITY;
}

void node_policy_change(tina_tree *tree, uint32_t n, const tina_child_policy *policy) {
    tree_node *node = &tree->nodes[n];
    if (node->parent != NONE && (state_counts[node->state] & HELD))
        tree->groups[node->parent].significant +=
            (uint32_t)policy->significant - (uint32_t)node->significant;
    node_policy_set(node, policy);
}
