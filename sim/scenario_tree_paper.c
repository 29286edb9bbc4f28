// SPDX-License-Identifier: Apache-2.0

#include "sim/scenario_tree.h"

#include <string.h>

#define NONE UINT32_MAX

static void paper_fail(paper_tree *tree, const paper_event *event, const char *what) {
    const paper_group *group = tree->leaf_group[event->leaf];
    if (!tree->lost)
        tina_sim_fail(tree->sim, "tree", "leaf %u %s; group %s: work %d, %u to %u, next %u",
                      event->leaf, what, group->group->name, group->work, group->first, group->last,
                      group->next);
    tree->lost = true;
}

static uint32_t group_open(paper_tree *tree, const tina_group *group, uint32_t parent,
                           uint32_t index) {
    uint32_t number = tree->group_count++;
    paper_group *opened = &tree->groups[number];
    *opened = (paper_group){.group = group, .parent = parent, .index = index, .awaited = NONE};
    opened->child_count = group->child_count;
    for (uint32_t i = 0; i < group->child_count; i++) {
        const tina_child *child = &group->children[i];
        paper_node *node = &opened->nodes[i];
        *node = (paper_node){.child = child};
        if (child->group) {
            node->group = group_open(tree, child->group, number, i);
            continue;
        }
        memcpy(&node->leaf, child->args.data, sizeof node->leaf);
        tree->leaf_group[node->leaf] = opened;
        tree->leaf_node[node->leaf] = node;
    }
    return number;
}

static void group_start(paper_group *group) {
    for (uint32_t i = 0; i < group->child_count; i++) {
        group->nodes[i].removed = false;
        group->nodes[i].state = PAPER_DOWN;
    }
    group->work = PAPER_STARTS;
    group->is_first = true;
    group->by_parent = false;
    group->has_failed = false;
    group->times = 0;
    group->exit_count = 0;
    group->first = group->next = 0;
    group->last = group->child_count - 1;
    group->awaited = NONE;
}

// An isolate is spawned at once; its init is yet to be seen.
static void node_start(paper_tree *tree, paper_node *node) {
    tree->moves++;
    node->state = PAPER_STARTING;
    node->begun = false;
    node->told = false;
    if (node->group)
        group_start(&tree->groups[node->group]);
}

static void node_stopped(paper_group *group, paper_node *node) {
    uint32_t index = (uint32_t)(node - group->nodes);
    uint32_t kept = 0;
    node->state = PAPER_DOWN;
    node->removed = node->child->restart == TINA_TEMPORARY;
    for (uint32_t i = 0; i < group->exit_count; i++)
        if (group->exits[i].index != index)
            group->exits[kept++] = group->exits[i];
    group->exit_count = kept;
}

static void exit_append(paper_group *group, const paper_node *node, bool abnormal, bool fails) {
    group->exits[group->exit_count++] =
        (paper_exit){(uint32_t)(node - group->nodes), abnormal, fails};
}

// Whether it would be one restart too many. OTP's add_restart: one a whole period ago counts.
static bool budget_spent(paper_tree *tree, paper_group *group, uint64_t now_ns) {
    const tina_group_policy policy = {.intensity = group->group->intensity};
    uint32_t kept = 0;
    if (tree->guesses) {
        tree->lost = true;
        return false;
    }
    for (uint32_t i = 0; i < group->times; i++)
        if (now_ns - group->times_ns[i] <= group->group->period_ns)
            group->times_ns[kept++] = group->times_ns[i];
    group->times = kept;
    group->times_ns[group->times++] = now_ns;
    return group->times > tina_group_intensity(&policy);
}

static void group_end(paper_group *group) {
    group->work = PAPER_ENDS;
    group->first = 0;
    group->last = group->child_count - 1;
}

// Starts a child again, and with it those that the strategy says.
static void group_restart(paper_tree *tree, paper_group *group, uint32_t index, uint64_t now_ns) {
    tina_strategy strategy = group->group->strategy;
    if (budget_spent(tree, group, now_ns)) {
        node_stopped(group, &group->nodes[index]);
        group_end(group);
        return;
    }
    if (strategy == TINA_ONE_FOR_ONE) {
        node_start(tree, &group->nodes[index]);
        return;
    }
    group->nodes[index].state = PAPER_DOWN;
    group->first = strategy == TINA_ONE_FOR_ALL ? 0 : index;
    group->last = group->child_count - 1;
    group->work = PAPER_STOPS;
}

// OTP's do_restart and do_auto_shutdown.
static void exit_handle(paper_tree *tree, paper_group *group, uint64_t now_ns) {
    paper_exit ended = group->exits[0];
    group->exit_count--;
    memmove(group->exits, group->exits + 1, group->exit_count * sizeof ended);
    paper_node *node = &group->nodes[ended.index];
    tina_restart restart = node->child->restart;
    if (ended.fails || restart == TINA_PERMANENT || (restart == TINA_TRANSIENT && ended.abnormal)) {
        group_restart(tree, group, ended.index, now_ns);
        return;
    }
    node_stopped(group, node);
    if (node->child->significant && group->group->auto_shutdown == TINA_AUTO_SHUTDOWN_ANY)
        group_end(group);
}

static void node_stop(paper_tree *tree, paper_group *group, paper_node *node, uint64_t now_ns) {
    bool runs = node->state == PAPER_UP || node->state == PAPER_STARTING;
    // Who is killed without being asked is gone at once.
    if (!runs || (!node->group && node->child->shutdown_ns == TINA_SHUTDOWN_BRUTAL)) {
        node_stopped(group, node);
        return;
    }
    tree->moves++;
    node->state = PAPER_STOPPING;
    node->stop_ns = now_ns;
    node->is_guess = tree->guesses;
    node->over_tick = 0;
    if (!node->group)
        return;
    paper_group *inner = &tree->groups[node->group];
    inner->by_parent = true;
    group_end(inner);
}

// Stops from the last to the first; true when one is waited for.
static bool stop_next(paper_tree *tree, paper_group *group, uint64_t now_ns) {
    for (uint32_t i = group->last + 1; i-- > group->first;) {
        paper_node *node = &group->nodes[i];
        if (node->state != PAPER_DOWN && node->state != PAPER_STOPPING)
            node_stop(tree, group, node, now_ns);
        if (node->state == PAPER_STOPPING)
            return true;
    }
    return false;
}

static void came_up(paper_tree *tree, paper_group *group) {
    group->is_first = false;
    if (group != &tree->groups[0])
        tree->groups[group->parent].nodes[group->index].state = PAPER_UP;
}

// Starts from the first to the last; true when one is waited for.
static bool start_next(paper_tree *tree, paper_group *group) {
    for (;;) {
        if (group->awaited != NONE && group->nodes[group->awaited].state == PAPER_STARTING)
            return true;
        group->awaited = NONE;
        if (group->has_failed || group->next > group->last)
            return false;
        paper_node *node = &group->nodes[group->next++];
        if (node->state != PAPER_DOWN || node->removed)
            continue;
        group->awaited = group->next - 1;
        node_start(tree, node);
    }
}

static void group_over(paper_tree *tree, paper_group *group) {
    paper_group *parent = &tree->groups[group->parent];
    paper_node *node = &parent->nodes[group->index];
    group->work = PAPER_IDLE;
    group->exit_count = 0;
    if (group == parent) {
        tree->lost = true; // the shard begins anew, or it is the end
        return;
    }
    if (group->by_parent) {
        node_stopped(parent, node);
    } else {
        node->state = PAPER_ENDED;
        exit_append(parent, node, false, false);
        // Of two in one tick, either may be the first.
        tree->lost = parent->over_tick == tree->tick;
        parent->over_tick = tree->tick;
    }
}

// Does the next thing that can be done without anybody seeing it; false: there is none.
static bool group_go_on(paper_tree *tree, paper_group *group, uint64_t now_ns) {
    switch (group->work) {
    case PAPER_IDLE:
        if (group->exit_count == 0)
            return false;
        exit_handle(tree, group, now_ns);
        break;
    case PAPER_STOPS:
        if (stop_next(tree, group, now_ns))
            return false;
        group->work = PAPER_STARTS;
        group->next = group->first;
        group->awaited = NONE;
        break;
    case PAPER_STARTS:
        if (start_next(tree, group))
            return false;
        group->has_failed = false;
        group->work = PAPER_IDLE;
        if (group->is_first)
            came_up(tree, group);
        break;
    case PAPER_ENDS:
        if (stop_next(tree, group, now_ns))
            return false;
        group_over(tree, group);
        break;
    }
    return true;
}

// Those within first: what they come to is what those around them go on with.
static void go_on(paper_tree *tree, uint64_t now_ns) {
    uint64_t moves;
    do {
        moves = tree->moves;
        for (uint32_t g = tree->group_count; g-- > 0;)
            while (!tree->lost && group_go_on(tree, &tree->groups[g], now_ns))
                tree->moves++;
    } while (tree->moves != moves);
}

void paper_open(paper_tree *tree, tina_sim *sim, const tina_group *root, uint32_t breaks) {
    *tree = (paper_tree){.sim = sim, .breaks = breaks};
    (void)group_open(tree, root, 0, 0);
    group_start(&tree->groups[0]);
    go_on(tree, 0);
}

static bool is_within(const paper_tree *tree, const paper_group *inner, const paper_group *outer) {
    while (inner != outer && inner != &tree->groups[0])
        inner = &tree->groups[inner->parent];
    return inner == outer;
}

// Two groups, one within the other, that have both something to do: OTP's would be two processes,
// and whoever is first decides what becomes of the other.
static bool is_race(const paper_tree *tree) {
    for (uint32_t a = 0; a < tree->group_count; a++)
        for (uint32_t b = 0; b < a; b++) {
            const paper_group *inner = &tree->groups[a];
            const paper_group *outer = &tree->groups[b];
            if (inner->exit_count && outer->exit_count && is_within(tree, inner, outer))
                return true;
        }
    return false;
}

// What was seen in a tick is acted on at its end; a start that failed comes after all ends.
static void tick_end(paper_tree *tree) {
    for (uint32_t g = 0; g < tree->group_count; g++) {
        paper_group *group = &tree->groups[g];
        for (uint32_t i = 0; i < group->child_count; i++)
            if (group->nodes[i].fails) {
                group->nodes[i].fails = false;
                exit_append(group, &group->nodes[i], true, true);
            }
    }
    tree->lost = tree->lost || is_race(tree);
    go_on(tree, tree->now_ns);
}

void paper_tick(paper_tree *tree, const paper_event *event) {
    tina_sim_note(tree->sim, event->leaf, event->tick);
    uint32_t breaks = tina_sim_breaks(tree->sim, 0);
    if (breaks != tree->breaks)
        paper_open(tree, tree->sim, tree->groups[0].group, breaks);
    else if (event->tick != tree->tick)
        tick_end(tree);
    tree->tick = event->tick;
    tree->now_ns = event->now_ns;
}

// Whether what becomes of one may be what another waits for, and only that.
static bool is_related(const paper_tree *tree, const paper_group *a, const paper_group *b) {
    return tree->groups[0].work == PAPER_ENDS || is_within(tree, a, b) || is_within(tree, b, a);
}

static uint64_t deadline_of(const paper_node *node) {
    return node->stop_ns + node->child->shutdown_ns;
}

// Who was told and has had its time is dead, the first of them first, if that is what an event
// needs to be right.
static bool killed_suppose(paper_tree *tree, const paper_event *event) {
    paper_node *dead = NULL;
    bool others = false;
    for (uint32_t i = 0; i < PAPER_LEAVES; i++) {
        paper_node *node = tree->leaf_node[i];
        if (node->state != PAPER_STOPPING || event->now_ns < deadline_of(node))
            continue;
        others = true;
        if (is_related(tree, tree->leaf_group[i], tree->leaf_group[event->leaf]) &&
            (!dead || deadline_of(node) < deadline_of(dead)))
            dead = node;
    }
    // By way of a budget, at a time that is not known.
    tree->lost = tree->lost || (others && !dead);
    if (!dead)
        return others;
    uint64_t deadline_ns = deadline_of(dead);
    node_stopped(tree->leaf_group[dead->leaf], dead);
    tree->guesses = true; // it was then, or later
    go_on(tree, deadline_ns);
    tree->guesses = false;
    return true;
}

static bool is_to_begin(const paper_node *node) {
    return (node->state == PAPER_STARTING || node->state == PAPER_STOPPING) && !node->begun;
}

void paper_init(paper_tree *tree, const paper_event *event) {
    paper_node *node = tree->leaf_node[event->leaf];
    while (!tree->lost && !is_to_begin(node))
        if (!killed_suppose(tree, event))
            paper_fail(tree, event, "was started");
    node->begun = true;
}

void paper_started(paper_tree *tree, const paper_event *event) {
    paper_node *node = tree->leaf_node[event->leaf];
    if (node->state == PAPER_STARTING)
        node->state = PAPER_UP;
}

void paper_ignored(paper_tree *tree, const paper_event *event) {
    node_stopped(tree->leaf_group[event->leaf], tree->leaf_node[event->leaf]);
}

void paper_init_failed(paper_tree *tree, const paper_event *event) {
    paper_group *group = tree->leaf_group[event->leaf];
    paper_node *node = tree->leaf_node[event->leaf];
    if (node->state == PAPER_STOPPING) {
        node_stopped(group, node);
        return;
    }
    node->state = PAPER_ENDED;
    node->fails = true;
    group->has_failed = group->work == PAPER_STARTS;
}

// One that was to be dead in an earlier tick does nothing any more.
void paper_runs(paper_tree *tree, const paper_event *event) {
    paper_node *node = tree->leaf_node[event->leaf];
    if (tree->lost)
        return;
    if (node->state != PAPER_UP && node->state != PAPER_STOPPING) {
        paper_fail(tree, event, "runs, and should not");
        return;
    }
    if (node->state == PAPER_UP || node->is_guess ||
        event->now_ns - node->stop_ns < node->child->shutdown_ns)
        return;
    if (node->over_tick && event->tick > node->over_tick)
        paper_fail(tree, event, "was not killed in time");
    if (node->over_tick == 0)
        node->over_tick = event->tick;
}

void paper_told(paper_tree *tree, const paper_event *event) {
    paper_node *node = tree->leaf_node[event->leaf];
    if (tree->over && tree->groups[0].work != PAPER_ENDS) {
        group_end(&tree->groups[0]);
        tree->guesses = true; // in a tick before
        go_on(tree, tree->rested_ns);
        tree->guesses = false;
    }
    while (!tree->lost && node->state != PAPER_STOPPING)
        if (!killed_suppose(tree, event))
            paper_fail(tree, event, "was told to stop");
    if (node->told)
        paper_fail(tree, event, "was told twice");
    node->told = true;
}

void paper_exited(paper_tree *tree, const paper_event *event, bool abnormal) {
    paper_group *group = tree->leaf_group[event->leaf];
    paper_node *node = tree->leaf_node[event->leaf];
    if (tree->lost)
        return;
    if (node->state == PAPER_STOPPING) {
        node_stopped(group, node);
        return;
    }
    node->state = PAPER_ENDED;
    exit_append(group, node, abnormal, false);
}

bool paper_is_told(const paper_tree *tree, uint32_t leaf) {
    return tree->leaf_node[leaf]->told;
}

bool paper_may_fail(const paper_tree *tree, uint32_t leaf) {
    return !tree->lost && !tree->leaf_group[leaf]->is_first;
}

bool paper_rests(paper_tree *tree, uint32_t lives) {
    uint32_t up = 0;
    if (tree->breaks != tina_sim_breaks(tree->sim, 0))
        return false;
    tick_end(tree);
    for (uint32_t i = 0; i < PAPER_LEAVES; i++)
        up += tree->leaf_node[i]->state == PAPER_UP;
    for (uint32_t i = 0; i < tree->group_count; i++)
        if (!tree->lost && tree->groups[i].work != PAPER_IDLE)
            return false;
    tree->over = tree->lost || up == lives;
    tree->rested_ns = tree->now_ns;
    return tree->over;
}
