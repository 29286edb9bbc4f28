// SPDX-License-Identifier: Apache-2.0
//
// What a handler may ask of a supervision group while it runs: OTP's start_child, terminate_child,
// restart_child, delete_child, which_children and count_children.
//
// A group is named by the address of its descriptor, NULL being the root; a child by a tina_node,
// which it keeps over its restarts. Requests take effect at the end of the tick, in order, after
// what the group has yet to do. Only inside init or handle; each counts as one ctx call.

#ifndef TINA_SCHED_CHILDREN_H
#define TINA_SCHED_CHILDREN_H

#include "sched/ctx.h"
#include "sched/spec.h"
#include "supervise/tree_requests.h"

#ifdef __cplusplus
extern "C" {
#endif

// tina_spawn_in starts one more child of a dynamic group, with a copy of args and, when fd is not
// none, as the owner of that idle fd of the caller's. As tina_spawn otherwise, and:
// TINA_SPAWN_NO_GROUP when the group is not in the tree, not dynamic, or does not run;
// TINA_SPAWN_FULL also when it has dynamic_max children.
tina_spawn_result tina_spawn_in(tina_ctx *ctx, const tina_group *group, tina_bytes args, tina_fd fd,
                                tina_handle *child);

// tina_child_start adds a child to a group that is not dynamic, at the end of its order, and starts
// it. *child is static data, an isolate's; its args are copied. *node when OK, and the one that
// there is when a child of that name is present. A child whose first start fails, or that is
// temporary and ends, is forgotten; so are all added ones when their group ends.
// OK, STALE (no such group), NOT_UP, FULL, ALREADY_STARTED, ALREADY_PRESENT; DYNAMIC, for which
// tina_spawn_in is; REFUSED when the spec would have refused it.
tina_tree_result tina_child_start(tina_ctx *ctx, const tina_group *group, const tina_child *child,
                                  tina_node *node);

// tina_child_named returns the group's child of that name, or none. O(children of the group).
tina_node tina_child_named(tina_ctx *ctx, const tina_group *group, const char *name);

// tina_child_of returns whose life an isolate is, or none when it has no supervisor, or has ended.
tina_node tina_child_of(tina_ctx *ctx, tina_handle isolate);

// tina_child_terminate stops a child, or a group as a child; it stays known unless it is temporary
// or dynamic. OK also when it does not run. Its end is no reason for a restart.
tina_tree_result tina_child_terminate(tina_ctx *ctx, tina_node node);

// tina_child_restart starts a child that is known and does not run.
// OK, STALE, NOT_UP, RUNNING, RESTARTING, DYNAMIC.
tina_tree_result tina_child_restart(tina_ctx *ctx, tina_node node);

// tina_child_delete forgets a child that is known and does not run.
// OK, STALE, NOT_UP, BUSY, RUNNING, RESTARTING, DYNAMIC.
tina_tree_result tina_child_delete(tina_ctx *ctx, tina_node node);

// tina_child_next goes through a group's children in start order: the first after none, none after
// the last.
tina_node tina_child_next(tina_ctx *ctx, const tina_group *group, tina_node node);

// tina_child_look stores what is known of a child; info->who is its isolate's handle. OK or STALE.
tina_tree_result tina_child_look(tina_ctx *ctx, tina_node node, tina_child_info *info);

// tina_child_counts stores the numbers of a group's children. OK or STALE.
tina_tree_result tina_child_counts(tina_ctx *ctx, const tina_group *group, tina_child_count *count);

#ifdef __cplusplus
}
#endif

#endif
