// SPDX-License-Identifier: Apache-2.0
//
// The layout of a shard's grand arena: which parts there are, in the order in which they are
// carved. One list serves carving, sizing and printing, so that the three cannot differ.

#ifndef TINA_SCHED_LAYOUT_H
#define TINA_SCHED_LAYOUT_H

#include "sched/shard.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tina_part {
    TINA_PART_SHARD = 0,
    TINA_PART_TYPES,
    TINA_PART_TYPE_INDEX,
    TINA_PART_ISOLATES,
    TINA_PART_MESSAGE_METADATA,
    TINA_PART_MESSAGES,
    TINA_PART_TIMER_METADATA,
    TINA_PART_TIMERS,
    TINA_PART_MONITOR_METADATA,
    TINA_PART_MONITORS,
    TINA_PART_TRANSFER_METADATA,
    TINA_PART_TRANSFER_RECORDS,
    TINA_PART_TRANSFERS,
    TINA_PART_TREE,
    TINA_PART_TREE_GROUPS,
    TINA_PART_TREE_RECORDS,
    TINA_PART_TREE_ARGS,
    TINA_PART_ISOLATE_NODES,
    TINA_PART_LINKS,
    TINA_PART_INLETS,
    TINA_PART_OCCUPANCY,
    TINA_PART_INLET_MESSAGES,
    TINA_PART_INLET_CONTROL,
    TINA_PART_INLET_RETURNS,
    TINA_PART_CREDITS,
    TINA_PART_REQUESTS,
    TINA_PART_REMOTE_CALLS,
    TINA_PART_REACTOR,
    TINA_PART_SCRATCH,
    TINA_PART_LOG,
    TINA_PART_MEMORY,
    TINA_PART_COUNT,
    // Then three for each type: pool metadata, structs, working arenas.
} tina_part;

#define TINA_PARTS_PER_TYPE 3

typedef struct tina_layout_part {
    const char *name;
    uint64_t count;
    uint64_t bytes; // in all, before alignment
} tina_layout_part;

// tina_layout_count returns the number of parts of a resolved spec.
uint32_t tina_layout_count(const tina_spec *resolved);

// tina_layout_part_at returns part i, below tina_layout_count.
tina_layout_part tina_layout_part_at(const tina_spec *resolved, const tina_shard_options *options,
                                     uint32_t i);

#ifdef __cplusplus
}
#endif

#endif
