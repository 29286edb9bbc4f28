// SPDX-License-Identifier: Apache-2.0

#include "sched/ctx.h"

#include <string.h>

#include "core/format.h"
#include "sched/internal.h"
#include "sched/links.h"

tina_handle tina_self(const tina_ctx *ctx) {
    return ctx->self->handle;
}

bool tina_lives(const tina_ctx *ctx, tina_handle who) {
    uint32_t type = tina_handle_type(who);
    uint32_t slot = tina_handle_slot(who);
    const tina_shard *shard = ctx->shard;
    if (tina_handle_is_none(who) || tina_handle_shard(who) != shard->number ||
        type >= shard->type_count || slot >= shard->types[type].slot_count)
        return false;
    const tina_isolate *found = &shard->types[type].isolates[slot];
    return found->handle.bits == who.bits || found->state == ISOLATE_DRAINING;
}

uint64_t tina_now_ns(const tina_ctx *ctx) {
    return ctx->shard->now.monotonic_ns;
}

uint64_t tina_wall_s(const tina_ctx *ctx) {
    return ctx->shard->now.wall_s;
}

uint32_t tina_shard_count(const tina_ctx *ctx) {
    return ctx->shard->link_count ? ctx->shard->link_count : 1;
}

uint32_t tina_shard_number(const tina_ctx *ctx) {
    return ctx->shard->number;
}

// A shard without peers has no links, not even to itself.
bool tina_counters(const tina_ctx *ctx, uint32_t shard, tina_shard_counters *counters) {
    const tina_shard *own = ctx->shard;
    const tina_shard *observed = shard == own->number      ? own
                                 : shard < own->link_count ? own->links[shard].observed
                                                           : NULL;
    if (observed)
        tina_shard_snapshot(observed, counters);
    return observed != NULL;
}

void tina_counters_total(const tina_ctx *ctx, tina_shard_counters *total) {
    *total = (tina_shard_counters){0};
    for (uint32_t shard = 0; shard < tina_shard_count(ctx); shard++) {
        tina_shard_counters each;
        if (!tina_counters(ctx, shard, &each))
            continue;
#define ADD(name) total->name += each.name;
        TINA_SHARD_COUNTERS(ADD)
#undef ADD
    }
}

const char *tina_backend_name(const tina_ctx *ctx) {
    return tina_reactor_backend_name(ctx->shard->reactor);
}

void ctx_limit_cut(const tina_ctx *ctx) {
    char text[TINA_FAULT_TEXT_BYTES];
    tina_format(text, sizeof text, "more ctx calls in one handler than call_max, which is %u",
                ctx->shard->call_max);
    tina_trap_panic(ctx->trap, TINA_FAULT_CALL_LIMIT, text);
}

// A place in the channel first: the fd leaves only when there is one.
static tina_send_result handoff_away(tina_ctx *ctx, tina_handle to, int32_t tag, tina_fd fd) {
    tina_shard *shard = ctx->shard;
    int32_t movable = tina_reactor_movable(shard->reactor, &ctx->self->io, fd);
    if (movable != 0)
        return movable == TINA_IO_BUSY ? TINA_SEND_BUSY : TINA_SEND_BAD_FD;
    if (tag < 0)
        return TINA_SEND_BAD_MESSAGE;
    tina_fd_ticket ticket = {0};
    tina_message *item;
    tina_send_result result = link_send(shard, ctx->self, to, tag, &ticket, sizeof ticket, &item);
    if (result != TINA_SEND_OK)
        return result;
    int32_t exported = tina_reactor_export(shard->reactor, &ctx->self->io, fd, &ticket);
    TINA_ASSERT(exported == 0);
    item->flags = TINA_ITEM_FD;
    memcpy(item->payload, &ticket, sizeof ticket);
    return TINA_SEND_OK;
}

static tina_send_result handoff(tina_ctx *ctx, tina_handle to, int32_t tag, tina_fd fd,
                                tina_right rights) {
    tina_shard *shard = ctx->shard;
    tina_fd lessened = tina_fd_with_rights(fd, (uint32_t)rights);
    if (tina_fd_is_none(lessened))
        return TINA_SEND_BAD_FD;
    if (is_remote(shard, to))
        return handoff_away(ctx, to, tag, lessened);
    tina_isolate *receiver = isolate_find(shard, to);
    int32_t movable = tina_reactor_movable(shard->reactor, &ctx->self->io, fd);
    if (movable != 0)
        return movable == TINA_IO_BUSY ? TINA_SEND_BUSY : TINA_SEND_BAD_FD;
    uint32_t envelope;
    tina_send_result result = ctx_send(ctx, to, tag, &lessened, sizeof lessened, &envelope);
    if (result == TINA_SEND_OK)
        tina_reactor_move_fd(shard->reactor, &ctx->self->io, lessened, &receiver->io);
    return result;
}

tina_send_result tina_handoff(tina_ctx *ctx, tina_handle to, int32_t tag, tina_fd fd,
                              tina_right rights) {
    ctx_enter(ctx);
    tina_send_result result = handoff(ctx, to, tag, fd, rights);
    ctx_leave(ctx);
    return result;
}

int32_t tina_submit(tina_ctx *ctx, tina_io_op op, tina_io_id *id) {
    int32_t result = TINA_IO_OPS_FULL;
    id->bits = 0;
    op_touch(&op);
    ctx_enter(ctx);
    if (ctx->self->io.ops_in_flight < ctx->type->ops_max)
        result = op_submit(ctx->shard, ctx->self, &op, id);
    ctx_leave(ctx);
    return result;
}

bool tina_cancel(tina_ctx *ctx, tina_io_id id) {
    ctx_enter(ctx);
    bool canceled = tina_reactor_is_owner(ctx->shard->reactor, &ctx->self->io, id) &&
                    tina_reactor_cancel(ctx->shard->reactor, id, TINA_IO_CANCELED);
    ctx_leave(ctx);
    return canceled;
}

tina_monitor tina_monitor_set(tina_ctx *ctx, tina_handle who) {
    ctx_enter(ctx);
    tina_monitor monitor = monitor_set(ctx->shard, ctx->self, who);
    ctx_leave(ctx);
    return monitor;
}

bool tina_monitor_end(tina_ctx *ctx, tina_monitor monitor) {
    ctx_enter(ctx);
    bool ended = monitor_end(ctx->shard, ctx->self, monitor);
    ctx_leave(ctx);
    return ended;
}

tina_monitor_result tina_monitor_shard(tina_ctx *ctx, uint32_t shard, tina_monitor *monitor) {
    *monitor = (tina_monitor){0};
    ctx_enter(ctx);
    tina_monitor_result result = peer_monitor_set(ctx->shard, ctx->self, shard, monitor);
    ctx_leave(ctx);
    return result;
}

// The memory that a spawn reads, and where it tells the child.
static void spawn_touch(tina_bytes args, tina_handle *child) {
    if (args.bytes <= TINA_ARGS_BYTES_MAX)
        tina_trap_touch(args.data, args.bytes);
    if (child)
        *child = tina_handle_none();
}

static tina_spawn_result spawn(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                               tina_handle *child, tina_isolate **born) {
    tina_spawn_result result = isolate_spawn(ctx->shard, type, args, born);
    if (result != TINA_SPAWN_OK)
        COUNT(ctx->shard, spawns_refused, 1);
    else if (child)
        *child = (*born)->handle;
    return result;
}

tina_spawn_result tina_spawn(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                             tina_handle *child) {
    tina_isolate *born;
    spawn_touch(args, child);
    ctx_enter(ctx);
    tina_spawn_result result = spawn(ctx, type, args, child, &born);
    ctx_leave(ctx);
    return result;
}

uint32_t tina_spawn_room(const tina_ctx *ctx, const tina_isolate_type *type) {
    const type_slots *slots = types_find(ctx->shard, type);
    return slots ? slots->pool.slot_count - slots->pool.live - slots->pool.retired : 0;
}

static tina_spawn_result spawn_with_fd(tina_ctx *ctx, const tina_isolate_type *type,
                                       tina_bytes args, tina_fd fd, tina_handle *child) {
    tina_reactor *reactor = ctx->shard->reactor;
    if (tina_reactor_movable(reactor, &ctx->self->io, fd) != 0) {
        COUNT(ctx->shard, spawns_refused, 1);
        return TINA_SPAWN_BAD_FD;
    }
    tina_isolate *born;
    tina_spawn_result result = spawn(ctx, type, args, child, &born);
    if (result != TINA_SPAWN_OK)
        return result;
    int32_t moved = tina_reactor_move_fd(reactor, &ctx->self->io, fd, &born->io);
    TINA_ASSERT(moved == 0);
    return TINA_SPAWN_OK;
}

tina_spawn_result tina_spawn_with_fd(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                                     tina_fd fd, tina_handle *child) {
    spawn_touch(args, child);
    ctx_enter(ctx);
    tina_spawn_result result = spawn_with_fd(ctx, type, args, fd, child);
    ctx_leave(ctx);
    return result;
}

bool tina_bequeath(tina_ctx *ctx, tina_fd fd) {
    ctx_enter(ctx);
    bool named = tina_reactor_bequeath(ctx->shard->reactor, &ctx->self->io, fd) == 0;
    ctx_leave(ctx);
    return named;
}

tina_timer tina_timer_set(tina_ctx *ctx, uint64_t delay_ns, uint64_t word) {
    ctx_enter(ctx);
    tina_timer timer = timer_set(ctx->shard, ctx->self, delay_ns, 0, word);
    ctx_leave(ctx);
    return timer;
}

tina_timer tina_timer_set_periodic(tina_ctx *ctx, uint64_t period_ns, uint64_t word) {
    if (period_ns == 0)
        return (tina_timer){0};
    ctx_enter(ctx);
    tina_timer timer = timer_set(ctx->shard, ctx->self, period_ns, period_ns, word);
    ctx_leave(ctx);
    return timer;
}

bool tina_timer_cancel(tina_ctx *ctx, tina_timer timer) {
    ctx_enter(ctx);
    bool canceled = timer_cancel(ctx->shard, ctx->self, timer);
    ctx_leave(ctx);
    return canceled;
}

const void *tina_io_data(const tina_ctx *ctx, const tina_message *m) {
    (void)ctx;
    bool received = m->tag == TINA_IO_RECV_DONE || m->tag == TINA_IO_RECVFROM_DONE ||
                    m->tag == TINA_IO_READ_DONE;
    return received ? m->io.data : NULL;
}

void *tina_scratch(tina_ctx *ctx, size_t bytes) {
    return tina_bump_take(&ctx->shard->scratch, bytes, 16);
}

void *tina_working(tina_ctx *ctx, size_t bytes) {
    tina_isolate *self = ctx->self;
    const type_slots *type = ctx->type;
    // The stride is a multiple of the alignment, so what fits still fits once rounded up.
    size_t stride = working_stride_of(type->type);
    size_t left = stride - self->working_used;
    if (left == 0 || bytes > left)
        return NULL;
    uint8_t *memory = type->working + isolate_slot(type, self) * stride;
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
    ctx_enter(ctx);
    int32_t result = tina_reactor_socket(ctx->shard->reactor, &ctx->self->io, family, kind, fd);
    ctx_leave(ctx);
    return result;
}

int32_t tina_socket_adopt(tina_ctx *ctx, int32_t os_fd, tina_fd *fd) {
    *fd = tina_fd_none();
    ctx_enter(ctx);
    int32_t result = tina_reactor_adopt(ctx->shard->reactor, &ctx->self->io, os_fd, fd);
    ctx_leave(ctx);
    return result;
}

int32_t tina_socket_bind(tina_ctx *ctx, tina_fd fd, const tina_address *address) {
    tina_address copy = *address;
    ctx_enter(ctx);
    int32_t result = tina_reactor_bind(ctx->shard->reactor, &ctx->self->io, fd, &copy);
    ctx_leave(ctx);
    return result;
}

int32_t tina_socket_listen(tina_ctx *ctx, tina_fd fd, uint32_t backlog) {
    ctx_enter(ctx);
    int32_t result = tina_reactor_listen(ctx->shard->reactor, &ctx->self->io, fd, backlog);
    ctx_leave(ctx);
    return result;
}

int32_t tina_socket_set_option(tina_ctx *ctx, tina_fd fd, tina_socket_option option,
                               int32_t value) {
    ctx_enter(ctx);
    int32_t result =
        tina_reactor_set_option(ctx->shard->reactor, &ctx->self->io, fd, option, value);
    ctx_leave(ctx);
    return result;
}

int32_t tina_socket_shutdown(tina_ctx *ctx, tina_fd fd, tina_shutdown_side side) {
    ctx_enter(ctx);
    int32_t result = tina_reactor_shutdown(ctx->shard->reactor, &ctx->self->io, fd, side);
    ctx_leave(ctx);
    return result;
}

int32_t tina_socket_local_address(tina_ctx *ctx, tina_fd fd, tina_address *address) {
    tina_trap_touch_writable(address, sizeof *address);
    ctx_enter(ctx);
    int32_t result = tina_reactor_local_address(ctx->shard->reactor, &ctx->self->io, fd, address);
    ctx_leave(ctx);
    return result;
}

int32_t tina_socket_peer_address(tina_ctx *ctx, tina_fd fd, tina_address *address) {
    tina_trap_touch_writable(address, sizeof *address);
    ctx_enter(ctx);
    int32_t result = tina_reactor_peer_address(ctx->shard->reactor, &ctx->self->io, fd, address);
    ctx_leave(ctx);
    return result;
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
        ctx_enter(ctx);
        tina_reactor_discard_fd(ctx->shard->reactor, &ctx->self->io, *fd);
        ctx_leave(ctx);
        *fd = tina_fd_none();
    }
    return result;
}

// The line is written before the shard is touched: a bad format or argument is the handler's fault.
void tina_log(tina_ctx *ctx, tina_log_level level, const char *format, ...) {
    tina_shard *shard = ctx->shard;
    char line[TINA_LOG_LINE_BYTES];
    size_t bytes = 0;
    if (tina_log_wants(&shard->log, level)) {
        va_list arguments;
        va_start(arguments, format);
        bytes = tina_log_format(line, shard->now.wall_s, level, ctx->type->type->name, format,
                                arguments);
        va_end(arguments);
    }
    ctx_enter(ctx);
    if (bytes && !tina_log_put(&shard->log, line, bytes))
        COUNT(shard, log_lines_dropped, 1);
    ctx_leave(ctx);
}

void tina_stop(tina_ctx *ctx, int status) {
    ctx_enter(ctx);
    if (!ctx->shard->stop) {
        ctx->shard->stop = true;
        ctx->shard->stop_status = status;
    }
    ctx_leave(ctx);
}

bool tina_stopping(const tina_ctx *ctx) {
    return ctx->shard->shutting_down;
}

bool tina_shutdown_tell(tina_ctx *ctx, tina_handle who) {
    ctx_enter(ctx);
    tina_isolate *told = isolate_find(ctx->shard, who);
    if (told)
        isolate_tell_shutdown(ctx->shard, told);
    ctx_leave(ctx);
    return told != NULL;
}

void tina_panic(const char *format, ...) {
    char text[TINA_FAULT_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    tina_format_v(text, sizeof text, format, arguments);
    va_end(arguments);
    tina_trap *trap = tina_trap_current();
    if (!trap)
        tina_assert_failed(text, "a panic that no isolate made", 0);
    tina_trap_panic(trap, TINA_FAULT_PANIC, text);
}

void tina_ctx_limit_calls(tina_ctx *ctx, uint32_t calls) {
    if (calls < ctx->calls_left)
        ctx->calls_left = calls;
}
