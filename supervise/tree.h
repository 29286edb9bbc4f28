// SPDX-License-Identifier: Apache-2.0
//
// The supervision tree: what happens when a child exits, decided as Erlang/OTP's supervisor does.
//
//     started, exited, ... ──▶ tree ──▶ next: START, STOP, KILL, ... one step at a time
//
// The tree only decides. It is told what happened, records it, and yields steps, which the caller
// executes and reports back on; it calls nobody, allocates nothing and knows no clock. Between any
// two steps it is consistent, so a caller may take as few at a time as it likes.
//
// Nodes are groups, which exist in the tree only, and children, which are the caller's isolates.
// A group works on one thing at a time, as a process of OTP's would; what comes meanwhile waits in
// order. Each call is O(1), or O(log groups) where a shutdown timer is involved, whatever the
// number of children; a strategy's walk costs what it stops and starts.

#ifndef TINA_SUPERVISE_TREE_H
#define TINA_SUPERVISE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervise/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_TREE_NODE_COUNT_MAX ((1u << 24) - 1u)

typedef struct tina_tree tina_tree;

// The name of a node: generation 40 | index 24. Never names a second node; none when all bits are
// zero. A child keeps its name over its restarts, until it is removed from its group.
typedef struct tina_node {
    uint64_t bits;
} tina_node;

// All are bounds that the caller knows at boot.
typedef struct tina_tree_config {
    uint32_t node_count;   // groups and children, those of run time included
    uint32_t group_count;  // 1 to node_count
    uint32_t window_count; // the sum of tina_group_intensity over all groups
} tina_tree_config;

typedef enum tina_tree_result {
    TINA_TREE_OK = 0,
    TINA_TREE_STALE,           // nobody has that name, or no longer
    TINA_TREE_FULL,            // no node, or the group has child_count_max children
    TINA_TREE_NOT_UP,          // the group is not running
    TINA_TREE_BUSY,            // the group is restarting or stopping children: ask again later
    TINA_TREE_ALREADY_STARTED, // start: a child of that `what` is running
    TINA_TREE_ALREADY_PRESENT, // start: a child of that `what` is known, not running
    TINA_TREE_RUNNING,         // restart, delete: the child is running
    TINA_TREE_RESTARTING,      // restart, delete: the child is being restarted
    TINA_TREE_DYNAMIC,         // not with a child of a dynamic group
    TINA_TREE_REFUSED,         // the caller's word: it did not ask the tree
} tina_tree_result;

// Rules that a policy can break.
typedef enum tina_policy_rule {
    TINA_POLICY_OK = 0,
    TINA_POLICY_NO_STRATEGY,           // strategy is none of the three
    TINA_POLICY_INTENSITY_TOO_BIG,     // over TINA_INTENSITY_MAX
    TINA_POLICY_NO_AUTO_SHUTDOWN,      // auto_shutdown is none of the three
    TINA_POLICY_DYNAMIC_STRATEGY,      // a dynamic group is one_for_one
    TINA_POLICY_NO_RESTART,            // restart is none of the three
    TINA_POLICY_SIGNIFICANT_PERMANENT, // a permanent child never ends by itself
    TINA_POLICY_SIGNIFICANT_NEVER,     // auto_shutdown is NEVER, so significance means nothing
} tina_policy_rule;

// tina_group_policy_check and tina_child_policy_check return the first rule that is broken. The
// calls below take policies that break none.
tina_policy_rule tina_group_policy_check(const tina_group_policy *group);
tina_policy_rule tina_child_policy_check(const tina_group_policy *group,
                                         const tina_child_policy *child);

// tina_tree_bytes returns what memory a tree takes; it is aligned to 64.
size_t tina_tree_bytes(const tina_tree_config *config);

// tina_tree_open makes an empty tree of the caller's memory, of any content. There is nothing to
// close. A tree belongs to one thread.
tina_tree *tina_tree_open(const tina_tree_config *config, void *memory);

typedef struct tina_tree_group {
    tina_group_policy policy;
    tina_child_policy child;    // of the group as its parent's child; of no use in the root
    tina_child_policy instance; // in a dynamic group: of each of its children
    uint32_t what;              // the caller's name for it, unique in its parent
    uint32_t child_count_max;   // children at once that were added at run time; 0: no bound
} tina_tree_group;

// tina_tree_add_group and tina_tree_add_child build the tree before it is started, children in
// start order. The first group is the root, with no parent. What is added here comes back whenever
// its group is started anew. FULL, or ALREADY_PRESENT: `what` is not unique among its siblings.
tina_tree_result tina_tree_add_group(tina_tree *tree, tina_node parent,
                                     const tina_tree_group *group, tina_node *node);
tina_tree_result tina_tree_add_child(tina_tree *tree, tina_node parent,
                                     const tina_child_policy *policy, uint32_t what,
                                     tina_node *node);

// tina_tree_start asks for all to be started in order. Not while it runs.
void tina_tree_start(tina_tree *tree);

// tina_tree_shutdown asks for all to be stopped in reverse order, within each child's shutdown_ns.
// tina_tree_kill asks for all to be killed at once, also in the midst of a shutdown. Both end with
// one TINA_STEP_ENDED; asking again changes nothing.
void tina_tree_shutdown(tina_tree *tree);
void tina_tree_kill(tina_tree *tree);

typedef enum tina_step_kind {
    TINA_STEP_START = 1, // start `what` as node: then spawned, or start_failed
    TINA_STEP_STOP,      // tell `who` to shut down; its exit is awaited
    TINA_STEP_KILL,      // end `who` now, and report its exit
    TINA_STEP_GAVE_UP,   // for the log: group `node` ends itself because of `cause`
    TINA_STEP_ENDED,     // the root has ended because of `cause`, and nothing runs
} tina_step_kind;

typedef enum tina_end_cause {
    TINA_END_SHUTDOWN = 0,  // it was asked to
    TINA_END_BUDGET,        // `culprit` would have been one restart too many
    TINA_END_START_FAILED,  // `culprit` did not start when its group did
    TINA_END_AUTO_SHUTDOWN, // significant `culprit` has ended
} tina_end_cause;

typedef struct tina_tree_step {
    tina_step_kind kind;
    uint32_t what;        // of node
    tina_node node;       // the child; GAVE_UP and ENDED: the group
    uint64_t who;         // STOP, KILL: as told by spawned; 0 when that was not told yet
    tina_end_cause cause; // GAVE_UP, ENDED
    uint32_t restarts;    // START, GAVE_UP: restarts of the group within its period, this included;
                          // START: 0 when it is none
    tina_node culprit;    // GAVE_UP, ENDED: the innermost child that is the cause, or none
    uint32_t culprit_what;
    uint64_t reason; // START_FAILED: culprit's, as told by start_failed
} tina_tree_step;

// tina_tree_next stores the next step and returns true, or returns false when there is none for
// the time being. A failed restart is tried again once now_ns has changed or false was returned,
// whichever is first, so a loop until false ends. now_ns is monotonic and below 2^63.
bool tina_tree_next(tina_tree *tree, uint64_t now_ns, tina_tree_step *step);

// tina_tree_next_ns returns when next may have a step though nothing is reported: 0 when at once,
// else the next shutdown deadline, else UINT64_MAX.
uint64_t tina_tree_next_ns(const tina_tree *tree);

// What the caller reports. Each start ends with exactly one of exited, ignored and start_failed.
// Names of groups are misuse; STALE is returned for names that are nobody's any more, and counted.
//
// tina_tree_spawned says which isolate will run init: right after START. tina_tree_started says
// that init has returned; the next sibling waits for it.
tina_tree_result tina_tree_spawned(tina_tree *tree, tina_node node, uint64_t who);
tina_tree_result tina_tree_started(tina_tree *tree, tina_node node);

// tina_tree_ignored: init said that it is not needed, and the isolate is gone.
// tina_tree_start_failed: there was no isolate to be had, or init crashed; reason is opaque.
tina_tree_result tina_tree_ignored(tina_tree *tree, tina_node node);
tina_tree_result tina_tree_start_failed(tina_tree *tree, tina_node node, uint64_t reason);

typedef enum tina_exit_class {
    TINA_EXITED_NORMAL = 0,
    TINA_EXITED_SHUTDOWN,
    TINA_EXITED_ABNORMAL, // anything else
} tina_exit_class;

// tina_tree_exited: the isolate is gone. Before started, a normal exit is `ignored` and any other
// is `start_failed` with reason 0.
tina_tree_result tina_tree_exited(tina_tree *tree, tina_node node, tina_exit_class how);

#ifdef __cplusplus
}
#endif

#endif
