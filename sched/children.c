// SPDX-License-Identifier: Apache-2.0

#include "sched/children.h"

#include <string.h>

#include "sched/internal.h"
#include "sched/spec_tree.h"

static tina_spawn_result instance_spawn(tina_shard *shard, const group_entry *group,
                                        tina_bytes args, tina_isolate **born);
static tina_tree_result child_add(tina_shard *shard, tina_node group, const tina_child *child,
                                  tina_node *node);
static void args_keep(tina_shard *shard, tina_node node, tina_bytes args);

// As many as a program states; the address is compared and decides nothing else.
static const group_entry *group_find(const tina_shard *shard, const tina_group *group) {
    if (!group)
        return &shard->groups[0];
    for (uint32_t i = 1; i < shard->group_count; i++)
        if (shard->groups[i].group == group)
            return &shard->groups[i];
    return NULL;
}

static tina_spawn_result spawn_in(tina_ctx *ctx, const tina_group *group, tina_bytes args,
                                  tina_fd fd, tina_handle *child) {
    tina_shard *shard = ctx->shard;
    const group_entry *entry = group_find(shard, group);
    tina_isolate *born = NULL;
    tina_spawn_result result;
    if (!tina_fd_is_none(fd) && tina_reactor_movable(shard->reactor, &ctx->self->io, fd) != 0)
        result = TINA_SPAWN_BAD_FD;
    else if (!entry || !entry->group->dynamic)
        result = TINA_SPAWN_NO_GROUP;
    else
        result = instance_spawn(shard, entry, args, &born);
    if (result != TINA_SPAWN_OK)
        COUNT(shard, spawns_refused, 1);
    else if (!tina_fd_is_none(fd))
        tina_reactor_move_fd(shard->reactor, &ctx->self->io, fd, &born->io);
    if (child)
        *child = result == TINA_SPAWN_OK ? born->handle : tina_handle_none();
    return result;
}

tina_spawn_result tina_spawn_in(tina_ctx *ctx, const tina_group *group, tina_bytes args, tina_fd fd,
                                tina_handle *child) {
    if (args.bytes <= TINA_ARGS_BYTES_MAX)
        tina_trap_touch(args.data, args.bytes);
    if (child)
        *child = tina_handle_none();
    ctx_enter(ctx);
    tina_spawn_result result = spawn_in(ctx, group, args, fd, child);
    ctx_leave(ctx);
    return result;
}

static tina_spawn_result instance_spawn(tina_shard *shard, const group_entry *group,
                                        tina_bytes args, tina_isolate **born) {
    const tina_child *pattern = &group->group->children[0];
    tina_spawn_result result = isolate_spawn(shard, pattern->type, args, born);
    if (result != TINA_SPAWN_OK)
        return result;
    const tina_tree_child added = {.who = (*born)->handle.bits};
    tina_node node;
    tina_tree_result told = tina_tree_start_child(shard->tree, group->node, &added, &node);
    if (told != TINA_TREE_OK) {
        isolate_end(shard, *born, (tina_exit_reason){TINA_EXIT_NORMAL, 0});
        return told == TINA_TREE_FULL ? TINA_SPAWN_FULL : TINA_SPAWN_NO_GROUP;
    }
    *record_of(shard, node) = (child_record){.child = pattern};
    if (pattern->restart != TINA_TEMPORARY)
        args_keep(shard, node, args);
    child_bind(shard, *born, node);
    return TINA_SPAWN_OK;
}

static void args_keep(tina_shard *shard, tina_node node, tina_bytes args) {
    TINA_ASSERT(shard->args != NULL);
    child_args *kept = &shard->args[node.bits & TINA_TREE_NODE_COUNT_MAX];
    kept->bytes = (uint32_t)args.bytes;
    if (args.bytes)
        memcpy(kept->data, args.data, args.bytes);
    record_of(shard, node)->keeps_args = true;
}

static bool child_acceptable(tina_shard *shard, const tina_group *group, const tina_child *child) {
    tina_group_policy outer = group_policy(group);
    tina_child_policy policy = child_policy(child);
    return !child->group && child->args.bytes <= TINA_ARGS_BYTES_MAX &&
           types_find(shard, child->type) != NULL &&
           tina_child_policy_check(&outer, &policy) == TINA_POLICY_OK;
}

static tina_node named(const tina_shard *shard, const group_entry *group, const char *name) {
    for (tina_node at = tina_tree_first_child(shard->tree, group->node); at.bits;
         at = tina_tree_next_child(shard->tree, at)) {
        const tina_child *child = record_of(shard, at)->child;
        if (child->name && strcmp(child->name, name) == 0)
            return at;
    }
    return (tina_node){0};
}

static tina_tree_result child_start(tina_ctx *ctx, const tina_group *group, const tina_child *child,
                                    tina_node *node) {
    tina_shard *shard = ctx->shard;
    *node = (tina_node){0};
    const group_entry *entry = group_find(shard, group);
    if (!entry)
        return TINA_TREE_STALE;
    if (entry->group->dynamic)
        return TINA_TREE_DYNAMIC;
    if (!child_acceptable(shard, entry->group, child))
        return TINA_TREE_REFUSED;
    *node = child->name ? named(shard, entry, child->name) : (tina_node){0};
    if (!node->bits)
        return child_add(shard, entry->node, child, node);
    tina_child_info info;
    tina_tree_look(shard->tree, *node, &info);
    return info.state == TINA_CHILD_UP || info.state == TINA_CHILD_STARTING
               ? TINA_TREE_ALREADY_STARTED
               : TINA_TREE_ALREADY_PRESENT;
}

// All that a child to be started names, which is the caller's until then.
static void child_touch(const tina_child *child) {
    tina_trap_touch(child, sizeof *child);
    if (child->args.bytes <= TINA_ARGS_BYTES_MAX)
        tina_trap_touch(child->args.data, child->args.bytes);
    for (const volatile char *at = child->name; at && *at; at++)
        continue;
}

tina_tree_result tina_child_start(tina_ctx *ctx, const tina_group *group, const tina_child *child,
                                  tina_node *node) {
    child_touch(child);
    *node = (tina_node){0};
    ctx_enter(ctx);
    tina_tree_result result = child_start(ctx, group, child, node);
    ctx_leave(ctx);
    return result;
}

static tina_tree_result child_add(tina_shard *shard, tina_node group, const tina_child *child,
                                  tina_node *node) {
    const tina_tree_child added = {.what = shard->added_what, .policy = child_policy(child)};
    tina_tree_result result = tina_tree_start_child(shard->tree, group, &added, node);
    if (result != TINA_TREE_OK)
        return result;
    // Beyond any position in a spec; comes again only after 2^31 more.
    shard->added_what = (shard->added_what + 1) | 1u << 31;
    *record_of(shard, *node) = (child_record){.child = child};
    args_keep(shard, *node, child->args);
    return TINA_TREE_OK;
}

tina_node tina_child_named(tina_ctx *ctx, const tina_group *group, const char *name) {
    const group_entry *entry = group_find(ctx->shard, group);
    if (!entry || entry->group->dynamic)
        return (tina_node){0};
    return named(ctx->shard, entry, name);
}

tina_node tina_child_of(tina_ctx *ctx, tina_handle isolate) {
    const tina_isolate *found = isolate_find(ctx->shard, isolate);
    if (!found || !found->supervised)
        return (tina_node){0};
    return ctx->shard->nodes[isolate_index(ctx->shard, found)];
}

tina_tree_result tina_child_terminate(tina_ctx *ctx, tina_node node) {
    ctx_enter(ctx);
    tina_tree_result result = tina_tree_terminate_child(ctx->shard->tree, node);
    ctx_leave(ctx);
    return result;
}

tina_tree_result tina_child_restart(tina_ctx *ctx, tina_node node) {
    ctx_enter(ctx);
    tina_tree_result result = tina_tree_restart_child(ctx->shard->tree, node);
    ctx_leave(ctx);
    return result;
}

tina_tree_result tina_child_delete(tina_ctx *ctx, tina_node node) {
    ctx_enter(ctx);
    tina_tree_result result = tina_tree_delete_child(ctx->shard->tree, node);
    ctx_leave(ctx);
    return result;
}

tina_node tina_child_next(tina_ctx *ctx, const tina_group *group, tina_node node) {
    const group_entry *entry = group_find(ctx->shard, group);
    if (!entry)
        return (tina_node){0};
    return node.bits ? tina_tree_next_child(ctx->shard->tree, node)
                     : tina_tree_first_child(ctx->shard->tree, entry->node);
}

tina_tree_result tina_child_look(tina_ctx *ctx, tina_node node, tina_child_info *info) {
    return tina_tree_look(ctx->shard->tree, node, info);
}

tina_tree_result tina_child_counts(tina_ctx *ctx, const tina_group *group,
                                   tina_child_count *count) {
    const group_entry *entry = group_find(ctx->shard, group);
    if (!entry)
        return TINA_TREE_STALE;
    return tina_tree_count(ctx->shard->tree, entry->node, count);
}
