// SPDX-License-Identifier: Apache-2.0
//
// A supervision tree on paper: OTP's rules, followed from what the isolates of a real one see. For
// scenario_tree.c.
//
// It is told what happens, in order, and fails the simulation when that may not happen. A group
// does one thing at a time: it starts children in order, or stops some in reverse and then starts
// them, or stops all and ends; what ends meanwhile waits in line. One that is killed sees nothing:
// it is taken for dead when something happens that can only happen after that, which must not be
// before its time is over.

#ifndef TINA_SIM_SCENARIO_TREE_H
#define TINA_SIM_SCENARIO_TREE_H

#include "sched/spec.h"
#include "sim/sim.h"

#define PAPER_LEAVES   14u
#define PAPER_GROUPS   8u
#define PAPER_CHILDREN 5u // of a group
#define PAPER_TIMES    16u

typedef enum paper_state {
    PAPER_DOWN = 0,
    PAPER_STARTING, // spawned, and not through init
    PAPER_UP,
    PAPER_STOPPING, // to be told, or told
    PAPER_ENDED,    // by itself, which waits in line
} paper_state;

typedef struct paper_node {
    const tina_child *child;
    uint32_t group; // in place of a leaf; 0: a leaf
    uint32_t leaf;
    paper_state state;
    bool removed; // temporary, and ended
    bool begun;   // its init
    bool told;
    bool fails;         // its start, in this tick
    bool is_guess;      // stop_ns: it was then, or later
    uint64_t stop_ns;   // when it was to be stopped
    uint64_t over_tick; // a tick in which its time to stop was over
} paper_node;

typedef enum paper_work {
    PAPER_IDLE = 0,
    PAPER_STOPS,  // first..., from the last to `first`, and then starts
    PAPER_STARTS, // what is not up, from `next` to `last`
    PAPER_ENDS,   // stops all, and is then down
} paper_work;

typedef struct paper_exit {
    uint32_t index;
    bool abnormal;
    bool fails; // it did not start
} paper_exit;

typedef struct paper_group {
    const tina_group *group;
    uint32_t parent; // of the root: itself
    uint32_t index;  // in the parent
    paper_work work;
    bool is_first;   // start: it comes up, nothing is started again
    bool has_failed; // one did not start, so those after it are not started now
    bool by_parent;  // it ends because it is told to
    uint32_t first;
    uint32_t last;
    uint32_t next;
    uint32_t awaited;
    uint64_t over_tick; // in which a group of its children last ended by itself
    uint64_t times_ns[PAPER_TIMES];
    uint32_t times;
    paper_exit exits[2 * PAPER_CHILDREN];
    uint32_t exit_count;
    uint32_t child_count;
    paper_node nodes[PAPER_CHILDREN];
} paper_group;

typedef struct paper_tree {
    tina_sim *sim;
    uint32_t breaks; // of the shard, when this life of it began
    bool lost;       // in this life too little is known to go on
    bool over;       // the root is told to stop
    bool guesses;    // when it is: then, or later
    uint64_t tick;   // of the last event
    uint64_t now_ns; // its time
    uint64_t rested_ns;
    uint64_t moves; // made on paper
    uint32_t group_count;
    paper_group groups[PAPER_GROUPS]; // the root first
    paper_group *leaf_group[PAPER_LEAVES];
    paper_node *leaf_node[PAPER_LEAVES];
} paper_tree;

typedef struct paper_event {
    uint32_t leaf;
    uint64_t now_ns;
    uint64_t tick;
} paper_event;

// breaks: of the shard, until now.
void paper_open(paper_tree *tree, tina_sim *sim, const tina_group *root, uint32_t breaks);

// Before any other, of each event: what was seen in the tick before is acted on, and a shard that
// has begun anew starts with a new paper.
void paper_tick(paper_tree *tree, const paper_event *event);

// What a leaf's init sees, and how it ends: one of the three after it.
void paper_init(paper_tree *tree, const paper_event *event);
void paper_started(paper_tree *tree, const paper_event *event);
void paper_ignored(paper_tree *tree, const paper_event *event);
void paper_init_failed(paper_tree *tree, const paper_event *event);

// What its handler sees.
void paper_runs(paper_tree *tree, const paper_event *event);
void paper_told(paper_tree *tree, const paper_event *event);
void paper_exited(paper_tree *tree, const paper_event *event, bool abnormal);

bool paper_is_told(const paper_tree *tree, uint32_t leaf);
bool paper_may_fail(const paper_tree *tree, uint32_t leaf); // to start: not while its group does

// paper_rests returns whether nothing is left to be done and so many leaves are up. From then on
// the root may be stopped.
bool paper_rests(paper_tree *tree, uint32_t lives);

#endif
