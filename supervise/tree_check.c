// SPDX-License-Identifier: Apache-2.0

#include "supervise/tree_internal.h"

// What a group's counters must be, counted anew.
typedef struct tally {
    uint32_t listed;
    uint32_t active;
    uint32_t live;
    uint32_t significant;
    uint32_t groups;
    uint32_t added;
    uint32_t queued;
    uint32_t stopping;
} tally;

static bool state_is_queued(const tree_node *node) {
    return node->state == NODE_WAITING || node->state == NODE_CONDEMNED ||
           node->state == NODE_EXITED || (node->state == NODE_RESTARTING && !node->resting);
}

static void node_check(const tina_tree *tree, uint32_t n, tally *sum) {
    const tree_node *node = &tree->nodes[n];
    const tree_group *group = &tree->groups[node->parent];
    bool runs =
        node->state == NODE_UP || node->state == NODE_CONDEMNED || node->state == NODE_STOPPING;
    bool live = runs || node->state == NODE_STARTING;
    bool held = live || node->state == NODE_EXITED || node->state == NODE_RESTARTING;
    bool listed = node->state != NODE_GONE;
    TINA_ASSERT(node->state != NODE_FREE);
    TINA_ASSERT(listed || node->built);
    TINA_ASSERT(node->queued == (state_is_queued(node) || node->resting ||
                                 (node->state == NODE_STOPPING && node->queued && group->dynamic)));
    TINA_ASSERT(!node->resting || node->state == NODE_RESTARTING);
    TINA_ASSERT(node->who == 0 || (live && node->group == NONE));
    TINA_ASSERT(!listed || group->dynamic || node_find(tree, node->parent, node->what) == n);
    if (node->group != NONE)
        TINA_ASSERT(live == (tree->groups[node->group].activity != GROUP_DOWN));
    sum->listed += listed;
    sum->active += runs;
    sum->live += live;
    sum->significant += held && node->significant;
    sum->groups += listed && node->group != NONE;
    sum->added += !node->built;
    sum->queued += state_is_queued(node);
    sum->stopping += node->state == NODE_STOPPING && node->queued;
}

// Returns the length of a list whose links must agree.
static uint32_t queue_length(const tina_tree *tree, const node_list *list) {
    uint32_t length = 0;
    uint32_t before = NONE;
    for (uint32_t n = list->head; n != NONE; n = tree->nodes[n].queue_next) {
        TINA_ASSERT(tree->nodes[n].queued);
        TINA_ASSERT(tree->nodes[n].queue_prev == before);
        before = n;
        length++;
    }
    TINA_ASSERT(list->tail == before);
    return length;
}

static void group_timer_check(const tina_tree *tree, uint32_t g) {
    const tree_group *group = &tree->groups[g];
    bool timed = group->timer_place != NONE;
    if (timed)
        TINA_ASSERT(tree->timers[group->timer_place] == g);
    if (group->dynamic) {
        uint32_t head = group->stopping.head;
        TINA_ASSERT(timed == (head != NONE));
        TINA_ASSERT(!timed || group->timer_ns == tree->nodes[head].deadline_ns);
        for (uint32_t n = head; n != NONE; n = tree->nodes[n].queue_next)
            TINA_ASSERT(tree->nodes[n].queue_next == NONE ||
                        tree->nodes[n].deadline_ns <=
                            tree->nodes[tree->nodes[n].queue_next].deadline_ns);
        return;
    }
    if (timed) {
        TINA_ASSERT(group->awaited != NONE);
        TINA_ASSERT(tree->nodes[group->awaited].state == NODE_STOPPING);
        TINA_ASSERT(!tree->nodes[group->awaited].killed);
    }
}

// What the activity says about awaited and about what else may run.
static void group_activity_check(const tina_tree *tree, const tree_group *group) {
    bool concurrent = group->dynamic || group->force;
    TINA_ASSERT(!concurrent || group->activity != GROUP_STOP_ALL || group->awaited == NONE);
    TINA_ASSERT(!group->force || group->activity == GROUP_STOP_ALL);
    TINA_ASSERT(!group->gave_up || group->activity == GROUP_STOP_ALL);
    if (group->activity == GROUP_DOWN) {
        TINA_ASSERT(group->live == 0);
        TINA_ASSERT(group->queue.head == NONE);
        TINA_ASSERT(group->added == 0);
    }
    if (group->awaited != NONE)
        TINA_ASSERT(&tree->groups[tree->nodes[group->awaited].parent] == group);
}

static void group_check(const tina_tree *tree, uint32_t g) {
    const tree_group *group = &tree->groups[g];
    tally sum = {0};
    uint32_t before = NONE;
    for (uint32_t n = group->children.head; n != NONE; n = tree->nodes[n].next) {
        TINA_ASSERT(tree->nodes[n].parent == g);
        TINA_ASSERT(tree->nodes[n].prev == before);
        node_check(tree, n, &sum);
        before = n;
    }
    TINA_ASSERT(group->children.tail == before);
    TINA_ASSERT(sum.listed == group->listed);
    TINA_ASSERT(sum.active == group->active);
    TINA_ASSERT(sum.live == group->live);
    TINA_ASSERT(sum.significant == group->significant);
    TINA_ASSERT(sum.groups == group->groups);
    TINA_ASSERT(sum.added == group->added);
    TINA_ASSERT(sum.added <= group->child_count_max);
    TINA_ASSERT(sum.queued == queue_length(tree, &group->queue));
    TINA_ASSERT(sum.stopping == queue_length(tree, &group->stopping));
    TINA_ASSERT(group->window.count <= group->window.intensity);
    group_timer_check(tree, g);
    group_activity_check(tree, group);
}

void tina_tree_check(const tina_tree *tree) {
    uint32_t in_tree = 0;
    uint32_t timed = 0;
    for (uint32_t g = 0; g < tree->group_count; g++) {
        group_check(tree, g);
        timed += tree->groups[g].timer_place != NONE;
    }
    TINA_ASSERT(timed == tree->timer_count);
    for (uint32_t i = 1; i < tree->timer_count; i++)
        TINA_ASSERT(tree->groups[tree->timers[(i - 1) / 2]].timer_ns <=
                    tree->groups[tree->timers[i]].timer_ns);
    for (uint32_t n = 0; n < tree->touched; n++)
        in_tree += tree->nodes[n].state != NODE_FREE;
    uint32_t free = 0;
    for (uint32_t n = tree->free_first; n != NONE; n = tree->nodes[n].next)
        free++;
    uint32_t worn = 0;
    for (uint32_t n = 0; n < tree->touched; n++)
        worn += tree->nodes[n].generation > NODE_GENERATION_MAX;
    TINA_ASSERT(in_tree + free + worn == tree->touched);
    queue_length(tree, &tree->resting);
}
