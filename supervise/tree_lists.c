// SPDX-License-Identifier: Apache-2.0

#include "supervise/tree_internal.h"

static node_list *list_of(tina_tree *tree, const tree_node *node) {
    tree_group *group = &tree->groups[node->parent];
    switch ((node_state)node->state) {
    case NODE_STOPPING:
        return &group->stopping;
    case NODE_RESTARTING:
        return node->resting ? &tree->resting : &group->queue;
    default:
        return &group->queue;
    }
}

static void list_append(tina_tree *tree, node_list *list, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(!node->queued);
    node->queued = true;
    node->queue_prev = list->tail;
    node->queue_next = NONE;
    *(list->tail == NONE ? &list->head : &tree->nodes[list->tail].queue_next) = n;
    list->tail = n;
}

static void list_remove(tina_tree *tree, node_list *list, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(node->queued);
    node->queued = false;
    *(node->queue_prev == NONE ? &list->head : &tree->nodes[node->queue_prev].queue_next) =
        node->queue_next;
    *(node->queue_next == NONE ? &list->tail : &tree->nodes[node->queue_next].queue_prev) =
        node->queue_prev;
}

void node_queue(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(node->state != NODE_STOPPING);
    list_append(tree, list_of(tree, node), n);
    group_wake(tree, node->parent);
}

void node_unqueue(tina_tree *tree, uint32_t n) {
    tree_node *node = &tree->nodes[n];
    if (!node->queued)
        return;
    node_list *list = list_of(tree, node);
    uint32_t head = list->head;
    list_remove(tree, list, n);
    node->resting = false;
    if (node->state != NODE_STOPPING || head != n)
        return;
    tree_timer_clear(tree, node->parent);
    if (list->head != NONE)
        tree_timer_set(tree, node->parent, tree->nodes[list->head].deadline_ns);
}

// All instances have the same time to stop, so those told first are the first to be over it; one
// whose time was changed to less does not overtake.
void node_time(tina_tree *tree, uint32_t n, uint64_t deadline_ns) {
    tree_node *node = &tree->nodes[n];
    TINA_ASSERT(node->state == NODE_STOPPING);
    tree_group *group = &tree->groups[node->parent];
    if (!group->dynamic) {
        tree_timer_set(tree, node->parent, deadline_ns);
        return;
    }
    uint32_t before = group->stopping.tail;
    node->deadline_ns = deadline_ns;
    if (before != NONE && tree->nodes[before].deadline_ns > deadline_ns)
        node->deadline_ns = tree->nodes[before].deadline_ns;
    list_append(tree, &group->stopping, n);
    if (group->stopping.head == n)
        tree_timer_set(tree, node->parent, deadline_ns);
}

void node_rest(tina_tree *tree, uint32_t n) {
    TINA_ASSERT(tree->nodes[n].state == NODE_RESTARTING);
    tree->nodes[n].resting = true;
    list_append(tree, &tree->resting, n);
}

void round_begin(tina_tree *tree) {
    uint32_t n;
    while ((n = tree->resting.head) != NONE) {
        node_unqueue(tree, n);
        node_queue(tree, n);
    }
}

void group_wake(tina_tree *tree, uint32_t g) {
    tree_group *group = &tree->groups[g];
    if (group->ready)
        return;
    group->ready = true;
    group->ready_next = NONE;
    *(tree->ready_tail == NONE ? &tree->ready_head : &tree->groups[tree->ready_tail].ready_next) =
        g;
    tree->ready_tail = g;
}

uint32_t ready_take(tina_tree *tree) {
    uint32_t g = tree->ready_head;
    if (g == NONE)
        return NONE;
    tree_group *group = &tree->groups[g];
    tree->ready_head = group->ready_next;
    if (tree->ready_head == NONE)
        tree->ready_tail = NONE;
    group->ready = false;
    return g;
}

static void timer_put(tina_tree *tree, uint32_t place, uint32_t g) {
    tree->timers[place] = g;
    tree->groups[g].timer_place = place;
}

// Moves g from an empty place to where it belongs in the heap.
static void timer_sift(tina_tree *tree, uint32_t place, uint32_t g) {
    uint64_t deadline_ns = tree->groups[g].timer_ns;
    while (place > 0) {
        uint32_t above = (place - 1) / 2;
        if (tree->groups[tree->timers[above]].timer_ns <= deadline_ns)
            break;
        timer_put(tree, place, tree->timers[above]);
        place = above;
    }
    for (;;) {
        uint64_t below = (uint64_t)place * 2 + 1;
        if (below >= tree->timer_count)
            break;
        if (below + 1 < tree->timer_count && tree->groups[tree->timers[below + 1]].timer_ns <
                                                 tree->groups[tree->timers[below]].timer_ns)
            below++;
        if (tree->groups[tree->timers[below]].timer_ns >= deadline_ns)
            break;
        timer_put(tree, place, tree->timers[below]);
        place = (uint32_t)below;
    }
    timer_put(tree, place, g);
}

void tree_timer_set(tina_tree *tree, uint32_t g, uint64_t deadline_ns) {
    tree_group *group = &tree->groups[g];
    TINA_ASSERT(group->timer_place == NONE);
    group->timer_ns = deadline_ns;
    timer_sift(tree, tree->timer_count++, g);
}

void tree_timer_clear(tina_tree *tree, uint32_t g) {
    tree_group *group = &tree->groups[g];
    uint32_t place = group->timer_place;
    if (place == NONE)
        return;
    group->timer_place = NONE;
    uint32_t last = tree->timers[--tree->timer_count];
    if (last != g)
        timer_sift(tree, place, last);
}
