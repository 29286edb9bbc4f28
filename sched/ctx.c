// SPDX-License-Identifier: Apache-2.0

#include "sched/ctx.h"

#include <string.h>

#include "sched/internal.h"

// Every call that does something is counted, so that a handler is bounded; beyond the limit calls
// refuse, and the handler's effect is replaced by a crash.
static bool call_allowed(tina_ctx *ctx) {
    if (ctx->calls_left) {
        ctx->calls_left--;
        return true;
    }
    ctx->over = true;
    return false;
}

tina_handle tina_self(const tina_ctx *ctx) {
    return ctx->self->handle;
}

uint64_t tina_now_ns(const tina_ctx *ctx) {
    return ctx->shard->now.monotonic_ns;
}

uint64_t tina_wall_s(const tina_ctx *ctx) {
    return ctx->shard->now.wall_s;
}

const char *tina_backend_name(const tina_ctx *ctx) {
    return tina_reactor_backend_name(ctx->shard->reactor);
}

static void mailbox_append(tina_shard *shard, tina_isolate *receiver, uint32_t index) {
    if (receiver->mail_first == NONE)
        receiver->mail_first = index;
    else
        shard->envelopes[receiver->mail_last].next = index;
    receiver->mail_last = index;
    receiver->mail_count++;
    shard->envelopes[index].next = NONE;
}

tina_send_result tina_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                           size_t payload_bytes) {
    tina_shard *shard = ctx->shard;
    if (tag < 0 || payload_bytes > TINA_PAYLOAD_BYTES_MAX || !call_allowed(ctx)) {
        shard->counters.sends_bad++;
        return TINA_SEND_BAD_MESSAGE;
    }
    tina_isolate *receiver = isolate_find(shard, to);
    if (!receiver) {
        shard->counters.sends_stale++;
        return TINA_SEND_STALE;
    }
    if (receiver->mail_count == shard->types[receiver->type].mailbox_max) {
        shard->counters.sends_mailbox_full++;
        return TINA_SEND_MAILBOX_FULL;
    }
    tina_pool_ref ref;
    if (tina_pool_take(&shard->envelope_pool, &ref) != TINA_POOL_OK) {
        shard->counters.sends_pool_empty++;
        return TINA_SEND_POOL_EMPTY;
    }
    tina_message *message = &shard->envelopes[ref.slot];
    message->tag = tag;
    message->payload_bytes = (uint16_t)payload_bytes;
    message->from = ctx->self->handle;
    message->to = to;
    if (payload_bytes)
        memcpy(message->payload, payload, payload_bytes);
    mailbox_append(shard, receiver, ref.slot);
    isolate_wake(shard, receiver);
    shard->counters.messages_sent++;
    return TINA_SEND_OK;
}

static tina_spawn_result spawn(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                               tina_handle *child, tina_isolate **born) {
    if (child)
        *child = tina_handle_none();
    tina_spawn_result result =
        call_allowed(ctx) ? isolate_spawn(ctx->shard, type, args, born) : TINA_SPAWN_FULL;
    if (result != TINA_SPAWN_OK)
        ctx->shard->counters.spawns_refused++;
    else if (child)
        *child = (*born)->handle;
    return result;
}

tina_spawn_result tina_spawn(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                             tina_handle *child) {
    tina_isolate *born;
    return spawn(ctx, type, args, child, &born);
}

tina_spawn_result tina_spawn_with_fd(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                                     tina_fd fd, tina_handle *child) {
    tina_isolate *born;
    tina_spawn_result result = spawn(ctx, type, args, child, &born);
    if (result != TINA_SPAWN_OK)
        return result;
    tina_reactor *reactor = ctx->shard->reactor;
    if (tina_reactor_move_fd(reactor, &ctx->self->io, fd, &born->io) == 0)
        return TINA_SPAWN_OK;
    isolate_unspawn(ctx->shard, born);
    ctx->shard->counters.spawns_refused++;
    if (child)
        *child = tina_handle_none();
    return TINA_SPAWN_BAD_FD;
}

tina_timer tina_timer_set(tina_ctx *ctx, uint64_t delay_ns, uint64_t word) {
    if (!call_allowed(ctx))
        return (tina_timer){0};
    return timer_set(ctx->shard, ctx->self, delay_ns, word);
}

bool tina_timer_cancel(tina_ctx *ctx, tina_timer timer) {
    return call_allowed(ctx) && timer_cancel(ctx->shard, ctx->self, timer);
}

const void *tina_io_data(const tina_ctx *ctx, const tina_message *m) {
    (void)ctx;
    return m->tag == TINA_IO_RECV_DONE ? m->io.data : NULL;
}

void *tina_scratch(tina_ctx *ctx, size_t bytes) {
    return tina_bump_take(&ctx->shard->scratch, bytes, 16);
}

void *tina_working(tina_ctx *ctx, size_t bytes) {
    tina_isolate *self = ctx->self;
    const type_slots *type = ctx->type;
    size_t left = type->type->working_bytes - self->working_used;
    if (bytes > left || tina_align_up(bytes, 16) > left)
        return NULL;
    uint8_t *memory = type->working + isolate_slot(type, self) * type->working_stride;
    memory += self->working_used;
    self->working_used += (uint32_t)tina_align_up(bytes, 16);
    memset(memory, 0, bytes);
    return memory;
}

void *tina_shard_memory(tina_ctx *ctx) {
    return ctx->shard->memory;
}

int32_t tina_socket_open(tina_ctx *ctx, tina_address_family family, tina_socket_kind kind,
                         tina_fd *fd) {
    *fd = tina_fd_none();
    if (!call_allowed(ctx))
        return TINA_IO_FDS_FULL;
    return tina_reactor_socket(ctx->shard->reactor, &ctx->self->io, family, kind, fd);
}

int32_t tina_socket_bind(tina_ctx *ctx, tina_fd fd, const tina_address *address) {
    return tina_reactor_bind(ctx->shard->reactor, &ctx->self->io, fd, address);
}

int32_t tina_socket_listen(tina_ctx *ctx, tina_fd fd, uint32_t backlog) {
    return tina_reactor_listen(ctx->shard->reactor, &ctx->self->io, fd, backlog);
}

int32_t tina_socket_set_option(tina_ctx *ctx, tina_fd fd, tina_socket_option option,
                               int32_t value) {
    return tina_reactor_set_option(ctx->shard->reactor, &ctx->self->io, fd, option, value);
}

int32_t tina_socket_shutdown(tina_ctx *ctx, tina_fd fd, tina_shutdown_side side) {
    return tina_reactor_shutdown(ctx->shard->reactor, &ctx->self->io, fd, side);
}

int32_t tina_socket_local_address(tina_ctx *ctx, tina_fd fd, tina_address *address) {
    return tina_reactor_local_address(ctx->shard->reactor, &ctx->self->io, fd, address);
}

int32_t tina_socket_peer_address(tina_ctx *ctx, tina_fd fd, tina_address *address) {
    return tina_reactor_peer_address(ctx->shard->reactor, &ctx->self->io, fd, address);
}

int32_t tina_listen(tina_ctx *ctx, const tina_address *address, uint32_t backlog, tina_fd *fd) {
    int32_t result =
        tina_socket_open(ctx, (tina_address_family)address->family, TINA_SOCKET_STREAM, fd);
    if (result < 0)
        return result;
    if (address->family != TINA_ADDRESS_UNIX)
        result = tina_socket_set_option(ctx, *fd, TINA_OPTION_REUSE_ADDRESS, 1);
    if (result == 0)
        result = tina_socket_bind(ctx, *fd, address);
    if (result == 0)
        result = tina_socket_listen(ctx, *fd, backlog);
    if (result < 0) {
        // The socket is idle, so it can be closed at once; nothing waits for it.
        tina_reactor_discard_fd(ctx->shard->reactor, &ctx->self->io, *fd);
        *fd = tina_fd_none();
    }
    return result;
}

void tina_log(tina_ctx *ctx, tina_log_level level, const char *format, ...) {
    if (!call_allowed(ctx))
        return;
    tina_shard *shard = ctx->shard;
    va_list arguments;
    va_start(arguments, format);
    if (!tina_log_line(&shard->log, shard->now.wall_s, level, ctx->type->type->name, format,
                       arguments))
        shard->counters.log_lines_dropped++;
    va_end(arguments);
}

void tina_stop(tina_ctx *ctx, int status) {
    if (ctx->shard->stop)
        return;
    ctx->shard->stop = true;
    ctx->shard->stop_status = status;
}
