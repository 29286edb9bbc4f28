// SPDX-License-Identifier: Apache-2.0
//
// What the files of the tree share: nodes and groups, all linked by index.
//
// A group is what a supervisor process is in OTP: it does one thing at a time (its activity), and
// what is reported or asked meanwhile waits in its queue, which is linked through the nodes: a node
// waits for at most one thing, and its state says for which.

#ifndef TINA_SUPERVISE_TREE_INTERNAL_H
#define TINA_SUPERVISE_TREE_INTERNAL_H

#include "core/assert.h"
#include "supervise/tree.h"
#include "supervise/tree_requests.h"
#include "supervise/window.h"

#define NONE UINT32_MAX

#define NODE_INDEX_BITS     24
#define NODE_GENERATION_MAX ((UINT64_C(1) << 40) - 1)

typedef enum node_state {
    NODE_FREE = 0,
    NODE_GONE,       // added at boot, and removed until its group is started anew; in no index
    NODE_DOWN,       // known, and nothing runs
    NODE_WAITING,    // queued: to be started
    NODE_STARTING,   // START was given, or its group is at it
    NODE_UP,         // init has returned, or the group has started its children
    NODE_CONDEMNED,  // queued: runs, and is to be stopped
    NODE_STOPPING,   // told to stop, or killed; dynamic and not killed: in the list of stopping
    NODE_EXITED,     // queued: its exit is to be acted on
    NODE_RESTARTING, // queued or resting: a restart has failed and is to be tried again
    NODE_STATE_COUNT,
} node_state;

// What to do when a start fails.
typedef enum start_failure {
    FAILURE_BOOT = 0, // the group fails to start
    FAILURE_AGAIN,    // a restart: it is tried again
    FAILURE_KEEP,     // a restart that was asked for: the node stays down
    FAILURE_DROP,     // a new child: it is removed
} start_failure;

typedef struct tree_node {
    uint64_t generation;
    uint64_t who;
    uint64_t shutdown_ns;
    union {
        uint64_t deadline_ns; // of an instance that is stopping
        uint32_t hash_next;   // of any other child: the next in its bucket
    };
    uint32_t parent; // group; NONE: the root's
    uint32_t prev;   // siblings, in start order
    uint32_t next;   // also the free list's link
    uint32_t queue_prev;
    uint32_t queue_next;
    uint32_t what;
    uint32_t group;   // NONE: an isolate
    uint8_t state;    // node_state
    uint8_t restart;  // tina_restart
    uint8_t failure;  // start_failure
    uint8_t exit : 2; // tina_exit_class, when exited
    bool significant : 1;
    bool built : 1;    // added at boot
    bool queued : 1;   // in the list that its state says
    bool killed : 1;   // KILL was given, or its group was forced
    bool unwanted : 1; // to be stopped as soon as it is up, or not to be started in this walk
    bool resting : 1;  // restarting: in the tree's list, until the next round
} tree_node;

typedef enum group_activity {
    GROUP_DOWN = 0,
    GROUP_BOOT,        // starting all: awaited is starting, cursor is next
    GROUP_IDLE,        // up: the queue is worked off
    GROUP_STOP_ONE,    // up: awaited is stopping
    GROUP_STOP_RANGE,  // up: stopping in reverse; awaited is stopping, cursor is next
    GROUP_START_RANGE, // up: starting in order; awaited is starting, cursor is next
    GROUP_STOP_ALL,    // ending: in reverse, awaited is stopping, cursor is next; when dynamic or
                       // forced, all at once, and none is awaited
} group_activity;

typedef struct node_list {
    uint32_t head;
    uint32_t tail;
} node_list;

typedef struct tree_group {
    uint32_t node;
    node_list children;
    node_list queue;
    node_list stopping; // dynamic: told to stop and not killed, by deadline
    uint32_t ready_next;
    uint32_t awaited;
    uint32_t cursor;
    uint32_t first; // of the range
    uint32_t timer_place;
    uint64_t timer_ns; // of awaited, or of the first of stopping

    uint32_t listed; // children that are known
    uint32_t active; // OTP's: running
    uint32_t live;   // children that must exit before the group can end
    uint32_t significant;
    uint32_t groups; // children that are known and groups
    uint32_t added;  // children added at run time
    uint32_t child_count_max;

    uint8_t activity; // group_activity
    uint8_t strategy;
    uint8_t auto_shutdown;
    uint8_t cause; // tina_end_cause, when stopping all
    bool dynamic;
    bool ready;
    bool force;   // stop all without asking
    bool failed;  // awaited did not start
    bool gave_up; // GAVE_UP is to be given
    tina_window window;
    tina_child_policy instance;
    tina_node culprit;
    uint32_t culprit_what;
    uint64_t reason;
} tree_group;

struct tina_tree {
    tree_node *nodes;
    tree_group *groups;
    uint32_t *buckets; // of children that are not dynamic, by parent and what
    uint32_t *timers;  // heap of groups by timer_ns
    uint64_t *window_times;
    uint32_t bucket_mask;
    uint32_t timer_count;
    uint32_t touched; // nodes that were ever taken
    uint32_t free_first;
    uint32_t group_count;
    uint32_t window_used;
    uint32_t ready_head;
    uint32_t ready_tail;
    node_list resting; // restarts that failed in this round
    uint64_t round_ns;
    tina_tree_config config;
    tina_tree_counters counters;
};

// What became of a group's turn.
typedef enum turn {
    TURN_REST = 0, // nothing to do until something is reported
    TURN_AGAIN,    // more to do, no step yet
    TURN_STEP,
} turn;

// tree_nodes.c: taking and removing nodes, and their state.
tina_node node_name(const tina_tree *tree, uint32_t n);
uint32_t node_index(const tina_tree *tree, tina_node name);    // NONE: stale
bool node_is_past(const tina_tree *tree, tina_node name);      // it was given, and is stale
uint32_t node_add(tina_tree *tree, uint32_t g, uint32_t what); // NONE: full
void node_enter(tina_tree *tree, uint32_t n, node_state state);
void node_remove(tina_tree *tree, uint32_t n);
void node_policy_set(tree_node *node, const tina_child_policy *policy);
void node_policy_change(tina_tree *tree, uint32_t n, const tina_child_policy *policy);
uint32_t node_find(const tina_tree *tree, uint32_t g, uint32_t what);
void node_revive(tina_tree *tree, uint32_t n);

// tree_lists.c: queues, ready groups and timers.
void node_queue(tina_tree *tree, uint32_t n);
void node_unqueue(tina_tree *tree, uint32_t n);
void node_rest(tina_tree *tree, uint32_t n);
void node_time(tina_tree *tree, uint32_t n, uint64_t deadline_ns);
void round_begin(tina_tree *tree);
void group_wake(tina_tree *tree, uint32_t g);
uint32_t ready_take(tina_tree *tree);
void tree_timer_set(tina_tree *tree, uint32_t g, uint64_t deadline_ns);
void tree_timer_clear(tina_tree *tree, uint32_t g);

// tree_events.c: what has happened to a node, told by the caller or by a group that has ended.
void node_came_up(tina_tree *tree, uint32_t n);
void node_ignored(tina_tree *tree, uint32_t n);
void node_start_failed(tina_tree *tree, uint32_t n, uint64_t reason);
void node_exited(tina_tree *tree, uint32_t n, tina_exit_class how);
void node_stopped(tina_tree *tree, uint32_t n);
void group_begin(tina_tree *tree, uint32_t g);
void group_stop(tina_tree *tree, uint32_t g, tina_end_cause cause, bool force);

// tree_steps.c: what makes steps.
turn report_make(tina_tree *tree, tina_step_kind kind, uint32_t g, tina_tree_step *step);
turn node_start(tina_tree *tree, uint32_t n, start_failure failure, tina_tree_step *step);
turn node_kill(tina_tree *tree, uint32_t n, tina_tree_step *step);
turn node_stop(tina_tree *tree, uint32_t n, uint64_t now_ns, tina_tree_step *step);

// tree_walks.c: activities over several children. group_give_up: the group ends itself.
turn group_give_up(tina_tree *tree, uint32_t g, tina_end_cause cause);
turn start_turn(tina_tree *tree, uint32_t g, tina_tree_step *step);
turn stop_one_turn(tina_tree *tree, uint32_t g);
turn stop_range_turn(tina_tree *tree, uint32_t g, uint64_t now_ns, tina_tree_step *step);
turn stop_all_turn(tina_tree *tree, uint32_t g, uint64_t now_ns, tina_tree_step *step);

static inline bool group_is_up(const tree_group *group) {
    return group->activity >= GROUP_IDLE && group->activity <= GROUP_START_RANGE;
}

static inline bool exit_wants_restart(const tree_node *node, tina_exit_class how) {
    return node->restart == TINA_PERMANENT ||
           (node->restart == TINA_TRANSIENT && how == TINA_EXITED_ABNORMAL);
}

#endif
