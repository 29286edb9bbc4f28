// SPDX-License-Identifier: Apache-2.0
//
// The supervision tree as a spec states it: checked before anything starts, and walked in the order
// in which it is started.

#ifndef TINA_SCHED_SPEC_TREE_H
#define TINA_SCHED_SPEC_TREE_H

#include "sched/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_GROUP_DEPTH_MAX 16u

// spec_refuse formats the sentence and returns false.
bool spec_refuse(char sentence[TINA_SENTENCE_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// tree_accepts returns false, and a sentence, for a tree that cannot work.
bool tree_accepts(const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]);

// What a tree takes, summed over its groups.
typedef struct tree_size {
    uint32_t group_count;
    uint32_t node_count;   // groups, stated children, and those that calls may add
    uint32_t window_count; // restarts that are remembered
    bool keeps_args;       // of children that calls add and that may be restarted
    uint64_t stop_ns;      // that stopping it may take; UINT64_MAX for ever
} tree_size;

// tree_measure is for a tree that was accepted.
tree_size tree_measure(const tina_spec *spec);

// group_added_max returns how many children calls may add to a group of this spec.
uint32_t group_added_max(const tina_spec *spec, const tina_group *group);

tina_group_policy group_policy(const tina_group *group);
tina_child_policy child_policy(const tina_child *child);

#ifdef __cplusplus
}
#endif

#endif
