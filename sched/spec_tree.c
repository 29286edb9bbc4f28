// SPDX-License-Identifier: Apache-2.0

#include "sched/spec_tree.h"

#include <string.h>

#include "core/assert.h"
#include "supervise/tree.h"

#define GROUP_COUNT_MAX 256u
#define CHILD_COUNT_MAX (1u << 20)

static bool group_accepted(const tina_spec *spec, const tina_group *group, char *sentence);
static bool child_accepted(const tina_spec *spec, const tina_group *group, uint32_t number,
                           char *sentence);
static bool dynamic_accepted(const tina_spec *spec, const tina_group *group, char *sentence);
static bool slots_suffice(const tina_spec *spec, char *sentence);

// The groups of a tree, each before those within it. Filled breadth first, so that no cycle of
// pointers is followed for ever.
typedef struct group_list {
    const tina_group *groups[GROUP_COUNT_MAX];
    uint32_t depths[GROUP_COUNT_MAX];
    uint32_t count;
} group_list;

static const char *name_of(const tina_group *group) {
    return group->name ? group->name : "root";
}

static bool groups_join(group_list *list, const tina_group *group, uint32_t depth, char *sentence) {
    if (depth >= TINA_GROUP_DEPTH_MAX)
        return spec_refuse(sentence, "group %s lies %u deep, but at most %u is possible; nest less",
                           name_of(group), depth, TINA_GROUP_DEPTH_MAX);
    for (uint32_t i = 0; i < list->count; i++)
        if (list->groups[i] == group)
            return spec_refuse(sentence,
                               "group %s stands in the tree twice; its address is its name, so "
                               "make a copy of it",
                               name_of(group));
    if (list->count == GROUP_COUNT_MAX)
        return spec_refuse(sentence, "the tree has more than %u groups; merge some",
                           GROUP_COUNT_MAX);
    list->depths[list->count] = depth;
    list->groups[list->count++] = group;
    return true;
}

static bool groups_list(const tina_spec *spec, group_list *list, char *sentence) {
    list->count = 0;
    if (!groups_join(list, &spec->root, 0, sentence))
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        const tina_group *group = list->groups[i];
        if (group->child_count && !group->children)
            return spec_refuse(sentence,
                               "group %s has a child_count of %u and no children; set them",
                               name_of(group), group->child_count);
        for (uint32_t c = 0; c < group->child_count; c++)
            if (group->children[c].group &&
                !groups_join(list, group->children[c].group, list->depths[i] + 1, sentence))
                return false;
    }
    return true;
}

bool tree_accepts(const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]) {
    group_list list;
    if (spec->root.child_count == 0 || !spec->root.children)
        return spec_refuse(sentence, "root.children is empty, so nothing would ever run; name at "
                                     "least one");
    if (!groups_list(spec, &list, sentence))
        return false;
    for (uint32_t i = 0; i < list.count; i++)
        if (!group_accepted(spec, list.groups[i], sentence))
            return false;
    return slots_suffice(spec, sentence);
}

tina_group_policy group_policy(const tina_group *group) {
    return (tina_group_policy){
        .strategy = group->strategy,
        .intensity = group->intensity,
        .period_ns = group->period_ns,
        .auto_shutdown = group->auto_shutdown,
        .dynamic = group->dynamic,
    };
}

tina_child_policy child_policy(const tina_child *child) {
    return (tina_child_policy){
        .restart = child->restart,
        .significant = child->significant,
        .shutdown_ns = child->shutdown_ns,
    };
}

// What each rule of a policy says, to follow "group NAME: " or "group NAME: children[N]: ".
static const char *const rule_texts[] = {
    [TINA_POLICY_OK] = "",
    [TINA_POLICY_NO_STRATEGY] = "strategy is none of tina_strategy; choose one",
    [TINA_POLICY_INTENSITY_TOO_BIG] = "intensity is over 1000000; lower it",
    [TINA_POLICY_NO_AUTO_SHUTDOWN] = "auto_shutdown is none of tina_auto_shutdown; choose one",
    [TINA_POLICY_DYNAMIC_STRATEGY] =
        "it is dynamic, and children without an order have no strategy but TINA_ONE_FOR_ONE",
    [TINA_POLICY_NO_RESTART] = "restart is none of tina_restart; choose one",
    [TINA_POLICY_SIGNIFICANT_PERMANENT] = "it is significant and permanent; choose one",
    [TINA_POLICY_SIGNIFICANT_NEVER] =
        "it is significant, but the group's auto_shutdown is never; set it",
};

static bool group_accepted(const tina_spec *spec, const tina_group *group, char *sentence) {
    const char *name = name_of(group);
    tina_group_policy policy = group_policy(group);
    tina_policy_rule broken = tina_group_policy_check(&policy);
    if (broken != TINA_POLICY_OK)
        return spec_refuse(sentence, "group %s: %s", name, rule_texts[broken]);
    if (group->dynamic_max > CHILD_COUNT_MAX || group->child_count > CHILD_COUNT_MAX)
        return spec_refuse(sentence,
                           "group %s has %u children and room for %u more, but at most %u is "
                           "possible; use more shards",
                           name, group->child_count, group->dynamic_max, CHILD_COUNT_MAX);
    if (group->dynamic && !dynamic_accepted(spec, group, sentence))
        return false;
    for (uint32_t i = 0; i < group->child_count; i++)
        if (!child_accepted(spec, group, i, sentence))
            return false;
    return true;
}

static bool dynamic_accepted(const tina_spec *spec, const tina_group *group, char *sentence) {
    const char *name = name_of(group);
    if (group == &spec->root)
        return spec_refuse(sentence, "the root cannot be dynamic, as nothing would be there to "
                                     "start its children; nest the group");
    if (group->child_count != 1 || group->children[0].group)
        return spec_refuse(sentence,
                           "group %s is dynamic and has %u children%s, but its one child is the "
                           "pattern of all; name one type",
                           name, group->child_count, group->child_count == 1 ? ", a group" : "");
    return true;
}

static bool policy_accepted(const tina_group *group, uint32_t number, char *sentence) {
    tina_group_policy outer = group_policy(group);
    tina_child_policy policy = child_policy(&group->children[number]);
    tina_policy_rule broken = tina_child_policy_check(&outer, &policy);
    return broken == TINA_POLICY_OK || spec_refuse(sentence, "group %s: children[%u]: %s",
                                                   name_of(group), number, rule_texts[broken]);
}

static const tina_type_slots *slots_of_type(const tina_spec *spec, const tina_isolate_type *type) {
    for (uint32_t i = 0; i < spec->type_count; i++)
        if (spec->types[i].type == type)
            return &spec->types[i];
    return NULL;
}

static bool name_is_new(const tina_group *group, uint32_t number, char *sentence) {
    const char *name = group->children[number].name;
    for (uint32_t i = 0; name && i < number; i++)
        if (group->children[i].name && strcmp(group->children[i].name, name) == 0)
            return spec_refuse(sentence,
                               "group %s: children[%u] and children[%u] are both named %s; name "
                               "them apart",
                               name_of(group), i, number, name);
    return true;
}

static bool child_accepted(const tina_spec *spec, const tina_group *group, uint32_t number,
                           char *sentence) {
    const tina_child *child = &group->children[number];
    const char *name = name_of(group);
    if (!policy_accepted(group, number, sentence) || !name_is_new(group, number, sentence))
        return false;
    if (child->group)
        return !child->type || spec_refuse(sentence,
                                           "group %s: children[%u] has a type and a group; a child "
                                           "is one of the two",
                                           name, number);
    if (child->args.bytes > TINA_ARGS_BYTES_MAX)
        return spec_refuse(
            sentence,
            "group %s: children[%u]: args has %zu bytes, but at most %u is possible; "
            "pass a pointer to static data",
            name, number, child->args.bytes, TINA_ARGS_BYTES_MAX);
    if (!slots_of_type(spec, child->type))
        return spec_refuse(sentence,
                           "group %s: children[%u] is of a type that is not among types; add it "
                           "there",
                           name, number);
    return true;
}

static uint32_t slot_count_of(const tina_type_slots *slots) {
    return slots->slot_count ? slots->slot_count : 1;
}

uint32_t group_added_max(const tina_spec *spec, const tina_group *group) {
    if (!group->dynamic || group->dynamic_max)
        return group->dynamic_max;
    return slot_count_of(slots_of_type(spec, group->children[0].type));
}

// How many slots of a type a group's own children take.
static uint64_t slots_taken(const tina_group *group, const tina_isolate_type *type) {
    if (group->dynamic)
        return group->children[0].type == type ? group->dynamic_max : 0;
    uint64_t taken = 0;
    for (uint32_t i = 0; i < group->child_count; i++)
        taken += group->children[i].type == type;
    return taken;
}

static bool slots_suffice(const tina_spec *spec, char *sentence) {
    group_list list;
    if (!groups_list(spec, &list, sentence))
        return false;
    for (uint32_t t = 0; t < spec->type_count; t++) {
        uint64_t taken = 0;
        for (uint32_t i = 0; i < list.count; i++)
            taken += slots_taken(list.groups[i], spec->types[t].type);
        if (taken > slot_count_of(&spec->types[t]))
            return spec_refuse(sentence,
                               "the tree has %llu children of type %s, which has a slot_count of "
                               "%u; raise it",
                               (unsigned long long)taken, spec->types[t].type->name,
                               slot_count_of(&spec->types[t]));
    }
    return true;
}

static uint64_t sum_saturated(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t child_stop_ns(const tina_child *child) {
    if (child->shutdown_ns == TINA_SHUTDOWN_BRUTAL)
        return 0;
    return child->shutdown_ns ? child->shutdown_ns : TINA_SHUTDOWN_DEFAULT_NS;
}

static void group_measure(const tina_spec *spec, const tina_group *group, tree_size *size) {
    tina_group_policy policy = group_policy(group);
    uint32_t added = group_added_max(spec, group);
    size->group_count++;
    size->node_count += 1 + added;
    size->window_count += tina_group_intensity(&policy);
    if (added && (!group->dynamic || group->children[0].restart != TINA_TEMPORARY))
        size->keeps_args = true;
    for (uint32_t i = 0; i < group->child_count; i++) {
        if (group->children[i].group)
            continue;
        size->stop_ns = sum_saturated(size->stop_ns, child_stop_ns(&group->children[i]));
        size->node_count += !group->dynamic;
    }
}

tree_size tree_measure(const tina_spec *spec) {
    tree_size size = {0};
    group_list list;
    char sentence[TINA_SENTENCE_BYTES];
    bool listed = groups_list(spec, &list, sentence);
    TINA_ASSERT(listed);
    for (uint32_t i = 0; i < list.count; i++)
        group_measure(spec, list.groups[i], &size);
    return size;
}
