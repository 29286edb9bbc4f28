// SPDX-License-Identifier: Apache-2.0
//
// What a program may ask of a supervision group while it runs: OTP's start_child, terminate_child,
// restart_child, delete_child, which_children and count_children.
//
// Requests are recorded and take effect as steps (tree.h), after what the group has yet to do.

#ifndef TINA_SUPERVISE_TREE_REQUESTS_H
#define TINA_SUPERVISE_TREE_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "supervise/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

// What start_child adds. policy is not read in a dynamic group, whose `what` need not be unique.
typedef struct tina_tree_child {
    uint32_t what;
    tina_child_policy policy;
    uint64_t who; // an isolate that was spawned already and whose init will run, or 0: START it
} tina_tree_child;

// tina_tree_start_child adds a child at the end of a group and starts it. When that fails, or its
// init is ignored in a dynamic group, it is removed again; so is it when its group ends.
// OK, STALE, NOT_UP, FULL, ALREADY_STARTED, ALREADY_PRESENT (both store the one that there is).
tina_tree_result tina_tree_start_child(tina_tree *tree, tina_node group,
                                       const tina_tree_child *child, tina_node *node);

// tina_tree_terminate_child stops a child or group. A temporary or dynamic child is then removed,
// another stays known. OK also when it is not running or gone already; STALE for a name that was
// never given; NOT_UP.
tina_tree_result tina_tree_terminate_child(tina_tree *tree, tina_node node);

// tina_tree_restart_child starts a child or group that is known and not running; when that fails it
// stays so. OK, STALE, NOT_UP, RUNNING, RESTARTING, DYNAMIC.
tina_tree_result tina_tree_restart_child(tina_tree *tree, tina_node node);

// tina_tree_delete_child removes a child or group that is known and not running. What was added at
// boot comes back when its group is started anew.
// OK, STALE, NOT_UP, BUSY, RUNNING, RESTARTING, DYNAMIC.
tina_tree_result tina_tree_delete_child(tina_tree *tree, tina_node node);

// tina_tree_change_group gives a group another policy, and tina_tree_change_child a child another
// one, while it runs: OTP's code_change. Restarts already counted and children that run stay as
// they are. An instance's policy is that of a dynamic group's children that are added from then on.
// OK, STALE, FULL (intensity is over what the group had at first), DYNAMIC (a group cannot
// become dynamic or cease to be). The policy breaks no rule, also not with the other's of the two.
tina_tree_result tina_tree_change_group(tina_tree *tree, tina_node group,
                                        const tina_group_policy *policy);
tina_tree_result tina_tree_change_child(tina_tree *tree, tina_node node,
                                        const tina_child_policy *policy);
tina_tree_result tina_tree_change_instance(tina_tree *tree, tina_node group,
                                           const tina_child_policy *policy);

// tina_tree_find returns the group's child of that `what`, or none; not in a dynamic group.
tina_node tina_tree_find(const tina_tree *tree, tina_node group, uint32_t what);

// tina_tree_first_child and tina_tree_next_child go through a group's children in start order;
// none at the end, and after a name that is stale.
tina_node tina_tree_first_child(const tina_tree *tree, tina_node group);
tina_node tina_tree_next_child(const tina_tree *tree, tina_node node);

typedef enum tina_child_state {
    TINA_CHILD_DOWN = 0,   // known, not running
    TINA_CHILD_STARTING,   // also while it waits for its turn
    TINA_CHILD_UP,         // also when its exit was reported and is not yet acted on
    TINA_CHILD_RESTARTING, // a restart has failed and will be tried again
    TINA_CHILD_STOPPING,
} tina_child_state;

typedef struct tina_child_info {
    tina_node parent;
    tina_child_policy policy; // with its defaults filled in
    tina_child_state state;
    uint32_t what;
    uint64_t who; // 0 when nothing runs, and for a group
    bool group;
} tina_child_info;

// tina_tree_look stores what is known of a node. OK or STALE.
tina_tree_result tina_tree_look(const tina_tree *tree, tina_node node, tina_child_info *info);

// As count_children returns it. In a dynamic group specs is 1.
typedef struct tina_child_count {
    uint32_t specs;
    uint32_t active; // running
    uint32_t groups; // OTP's supervisors
    uint32_t isolates;
} tina_child_count;

// tina_tree_count stores the numbers of a group's children. OK or STALE.
tina_tree_result tina_tree_count(const tina_tree *tree, tina_node group, tina_child_count *count);

// Counters of the whole tree; read them whenever.
typedef struct tina_tree_counters {
    uint64_t started;  // START steps
    uint64_t restarts; // of groups and children, failed ones included
    uint64_t killed;   // KILL steps
    uint64_t gave_up;  // GAVE_UP steps
    uint64_t stale;    // reports that came with the name of a node that is gone
    uint64_t visits;   // nodes that were looked at: what the tree's work is measured in
} tina_tree_counters;

const tina_tree_counters *tina_tree_counters_of(const tina_tree *tree);

// tina_tree_check asserts every invariant that a tree has between two steps; O(nodes).
void tina_tree_check(const tina_tree *tree);

#ifdef __cplusplus
}
#endif

#endif
