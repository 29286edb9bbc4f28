// SPDX-License-Identifier: Apache-2.0
//
// Between the tree, which decides, and the isolates: what happened to a child is reported here as
// it happens, and what the tree wants done is done here, at one point of the tick.

#include "core/probe.h"
#include "sched/internal.h"
#include "sched/layout.h"
#include "sched/spec_tree.h"
#include "supervise/tree_requests.h"

// Of a tick. What is left is done in the next ones, so that stopping a large group does not hold up
// everybody else.
#define STEPS_A_TICK 256u

static bool step_next(tina_shard *shard);
static void step_start(tina_shard *shard, const tina_tree_step *step);
static void step_kill(tina_shard *shard, const tina_tree_step *step);
static void step_ended(tina_shard *shard, const tina_tree_step *step);
static void gave_up_tell(tina_shard *shard, const tina_tree_step *step);

void supervision_run(tina_shard *shard) {
    drains_expire(shard);
    for (uint32_t i = 0; i < STEPS_A_TICK; i++)
        if (!step_next(shard))
            return;
}

static bool step_next(tina_shard *shard) {
    tina_tree_step step;
    if (!tina_tree_next(shard->tree, shard->now.monotonic_ns, &step))
        return false;
    tina_isolate *child = isolate_find(shard, (tina_handle){step.who});
    switch (step.kind) {
    case TINA_STEP_START:
        step_start(shard, &step);
        break;
    case TINA_STEP_STOP:
        if (child)
            isolate_tell_shutdown(shard, child);
        break;
    case TINA_STEP_KILL:
        step_kill(shard, &step);
        break;
    case TINA_STEP_GAVE_UP:
        gave_up_tell(shard, &step);
        break;
    case TINA_STEP_ENDED:
        step_ended(shard, &step);
        break;
    }
    return true;
}

child_record *record_of(const tina_shard *shard, tina_node node) {
    return &shard->records[node.bits & TINA_TREE_NODE_COUNT_MAX];
}

const char *child_name(const tina_shard *shard, tina_node node) {
    const tina_child *child = node.bits ? record_of(shard, node)->child : NULL;
    if (!child)
        return shard->spec->root.name;
    if (child->name)
        return child->name;
    return child->group ? child->group->name : child->type->name;
}

static tina_bytes args_of(const tina_shard *shard, tina_node node) {
    const child_record *record = record_of(shard, node);
    if (!record->keeps_args)
        return record->child->args;
    const child_args *kept = &shard->args[node.bits & TINA_TREE_NODE_COUNT_MAX];
    return tina_bytes_of(kept->data, kept->bytes);
}

void child_bind(tina_shard *shard, tina_isolate *isolate, tina_node node) {
    isolate->supervised = true;
    shard->nodes[isolate_index(shard, isolate)] = node;
}

static void step_start(tina_shard *shard, const tina_tree_step *step) {
    const char *name = child_name(shard, step->node);
    if (step->restarts) {
        COUNT(shard, restarts, 1);
        shard_log(shard, TINA_LOG_WARNING, "%s is restarted, number %u within the period", name,
                  step->restarts);
    }
    tina_isolate *born;
    const tina_child *child = record_of(shard, step->node)->child;
    tina_spawn_result result = isolate_spawn(shard, child->type, args_of(shard, step->node), &born);
    tina_tree_result told;
    if (result == TINA_SPAWN_OK) {
        child_bind(shard, born, step->node);
        told = tina_tree_spawned(shard->tree, step->node, born->handle.bits);
    } else {
        COUNT(shard, spawns_refused, 1);
        shard_log(shard, TINA_LOG_ERROR, "%s could not be spawned: %s", name,
                  result == TINA_SPAWN_FULL ? "its type has no free slot"
                                            : "its type's generations are used up");
        told = tina_tree_start_failed(shard->tree, step->node, (uint64_t)result);
    }
    TINA_ASSERT(told == TINA_TREE_OK);
}

void child_inited(tina_shard *shard, tina_isolate *isolate) {
    tina_tree_result told =
        tina_tree_started(shard->tree, shard->nodes[isolate_index(shard, isolate)]);
    TINA_ASSERT(told == TINA_TREE_OK);
}

void child_exited(tina_shard *shard, tina_isolate *isolate, tina_exit_class how) {
    TINA_ASSERT(isolate->supervised);
    isolate->supervised = false;
    // Stale when the node of a removed child is gone, which the tree counts.
    (void)tina_tree_exited(shard->tree, shard->nodes[isolate_index(shard, isolate)], how);
}

// One that has ended already, and whose op is not back, is not waited for beyond its time.
static void step_kill(tina_shard *shard, const tina_tree_step *step) {
    tina_handle who = {step->who};
    TINA_ASSERT(!tina_handle_is_none(who)); // spawned is told as START is taken
    tina_isolate *child = &shard->types[tina_handle_type(who)].isolates[tina_handle_slot(who)];
    if (child->handle.bits == who.bits) {
        TINA_SIM_PROBE("a child outlived its shutdown time");
        isolate_end(shard, child, (tina_exit_reason){TINA_EXIT_KILLED, 0});
        return;
    }
    bool drains = child->state == ISOLATE_DRAINING && child->supervised &&
                  shard->nodes[isolate_index(shard, child)].bits == step->node.bits;
    if (drains)
        child_exited(shard, child, TINA_EXITED_ABNORMAL);
}

// After the name of the child that is the cause.
static const char *const cause_texts[] = {
    [TINA_END_SHUTDOWN] = "was told to",
    [TINA_END_BUDGET] = "would have been one restart too many within the period",
    [TINA_END_START_FAILED] = "could not be started",
    [TINA_END_AUTO_SHUTDOWN] = "has ended and is significant",
};

static void gave_up_tell(tina_shard *shard, const tina_tree_step *step) {
    TINA_SIM_PROBE("a group gave up");
    COUNT(shard, groups_given_up, 1);
    shard_log(shard, TINA_LOG_ERROR, "group %s ends: child %s %s", child_name(shard, step->node),
              child_name(shard, step->culprit), cause_texts[step->cause]);
}

static void unsupervised_tell(tina_shard *shard) {
    shard->telling_all = true;
    for (uint32_t i = 0; i < shard->isolate_count; i++)
        if (isolate_is_live(&shard->isolates[i]))
            isolate_tell_shutdown(shard, &shard->isolates[i]);
}

// Whoever has no supervisor is told after those that have one, who may need them until then.
static void step_ended(tina_shard *shard, const tina_tree_step *step) {
    shard->tree_ended = true;
    shard->end_cause = step->cause;
    unsupervised_tell(shard);
}

void supervision_shutdown(tina_shard *shard) {
    tina_tree_shutdown(shard->tree);
}

static void group_add(tina_shard *shard, tina_node parent, const tina_child *as_child,
                      const tina_group *group, uint32_t what) {
    tina_tree_group added = {
        .policy = group_policy(group),
        .what = what,
        .child_count_max = group_added_max(shard->spec, group),
    };
    if (as_child)
        added.child = child_policy(as_child);
    if (group->dynamic)
        added.instance = child_policy(&group->children[0]);
    tina_node node;
    tina_tree_result result = tina_tree_add_group(shard->tree, parent, &added, &node);
    TINA_ASSERT(result == TINA_TREE_OK);
    *record_of(shard, node) = (child_record){.child = as_child};
    shard->groups[shard->group_count++] = (group_entry){group, node};
}

static void child_add(tina_shard *shard, tina_node parent, const tina_child *child, uint32_t what) {
    if (child->group) {
        group_add(shard, parent, child, child->group, what);
        return;
    }
    tina_child_policy policy = child_policy(child);
    tina_node node;
    tina_tree_result result = tina_tree_add_child(shard->tree, parent, &policy, what, &node);
    TINA_ASSERT(result == TINA_TREE_OK);
    *record_of(shard, node) = (child_record){.child = child};
}

// Breadth first; the order among siblings is the spec's.
void supervision_open(tina_shard *shard) {
    tree_size size = tree_measure(shard->spec);
    const tina_tree_config config = {size.node_count, size.group_count, size.window_count};
    shard->tree = tina_tree_open(&config, shard->tree_memory);
    shard->group_count = 0;
    shard->added_what = 1u << 31;
    shard->tree_ended = false;
    shard->telling_all = false;
    shard->shutting_down = false;
    group_add(shard, (tina_node){0}, NULL, &shard->spec->root, 0);
    for (uint32_t i = 0; i < shard->group_count; i++) {
        const tina_group *group = shard->groups[i].group;
        for (uint32_t c = 0; !group->dynamic && c < group->child_count; c++)
            child_add(shard, shard->groups[i].node, &group->children[c], c);
    }
    TINA_ASSERT(shard->group_count == size.group_count);
}
