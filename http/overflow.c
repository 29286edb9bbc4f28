// SPDX-License-Identifier: Apache-2.0
#include "http/overflow.h"

#include <assert.h>
#include <string.h>

#include "core/assert.h"
#include "http/shard.h"
#include "sched/ctx.h"

typedef struct refusal {
    tina_fd fd;
    tina_handle dead; // that crashed
    uint64_t deadline_ns;
    uint32_t context; // the dead one's, or HTTP_CONTEXT_NONE
} refusal;

static tina_effect last_send(tina_ctx *ctx, refusal *self, tina_bytes text);
static tina_effect inherit(tina_ctx *ctx, refusal *self, const tina_heir_args *args);
static tina_effect drop(tina_ctx *ctx, refusal *self);
static void context_end(tina_ctx *ctx, refusal *self);

// Without a date: RFC 9110 §6.6.1 lets a 5xx do without.
tina_bytes http_unavailable(void) {
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Length: 0\r\n"
                               "Retry-After: 1\r\n"
                               "Connection: close\r\n\r\n";
    return tina_bytes_of(text, sizeof text - 1);
}

bool http_overflow_refuse(http_shard *shard, tina_ctx *ctx, tina_fd fd) {
    TINA_ASSERT(shard->program->server.overflow != HTTP_OVERFLOW_WAIT);
    shard->counters.connections_refused++;
    return shard->program->server.overflow == HTTP_OVERFLOW_503 &&
           tina_spawn_with_fd(ctx, &http_refusal_type, tina_bytes_of(&fd, sizeof fd), fd, NULL) ==
               TINA_SPAWN_OK;
}

static tina_effect refusal_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    refusal *self = self_;
    self->context = HTTP_CONTEXT_NONE;
    if (args.bytes == sizeof(tina_heir_args))
        return inherit(ctx, self, args.data);
    TINA_ASSERT(args.bytes == sizeof self->fd);
    self->fd = *(const tina_fd *)args.data;
    return last_send(ctx, self, http_unavailable());
}

static tina_effect last_send(tina_ctx *ctx, refusal *self, tina_bytes text) {
    const http_shard *shard = tina_shard_memory(ctx);
    uint64_t time_ns = shard->program->server.linger_timeout_ns;
    self->deadline_ns = tina_now_ns(ctx) + time_ns;
    return tina_io(
        tina_op_within(tina_op_send(self->fd, text.data, (uint32_t)text.bytes), time_ns));
}

static tina_effect inherit(tina_ctx *ctx, refusal *self, const tina_heir_args *args) {
    static const char text[] = "HTTP/1.1 500 Internal Server Error\r\n"
                               "Content-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    http_shard *shard = tina_shard_memory(ctx);
    self->fd = args->fd;
    self->dead = args->dead;
    self->context = http_context_inherit(shard, args->dead, tina_self(ctx));
    if (self->context == HTTP_CONTEXT_NONE)
        return tina_done(); // the runtime closes the socket
    http_context *context = http_context_of(shard, self->context);
    bool answers = http_context_fail(context);
    http_log_request(shard, context, ctx);
    if (!answers) {
        context_end(ctx, self);
        return tina_done();
    }
    static_assert(sizeof text - 1 <= HTTP_RESPONSE_BYTES_LEAST, "out has room for it");
    memcpy(context->out + context->out_bytes, text, sizeof text - 1);
    return last_send(ctx, self, tina_bytes_of(context->out, context->out_bytes + sizeof text - 1));
}

static tina_effect refusal_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    refusal *self = self_;
    bool sent = m->tag == TINA_IO_SEND_DONE && m->io.result > 0;
    context_end(ctx, self); // all that was in it is sent, or never will be
    if (sent && tina_socket_shutdown(ctx, self->fd, TINA_SHUTDOWN_WRITE) < 0)
        return tina_done();
    if (m->tag == TINA_IO_RECV_DONE && m->io.result == TINA_IO_BUSY)
        return tina_yield(); // until what the dead one received has been cancelled
    bool dropped = m->tag == TINA_IO_RECV_DONE && m->io.result > 0;
    return sent || dropped || m->tag == TINA_YIELDED ? drop(ctx, self) : tina_done();
}

// What the client has sent is read for a while: a close with bytes unread would be a reset, which
// may overtake the answer.
static tina_effect drop(tina_ctx *ctx, refusal *self) {
    uint64_t now_ns = tina_now_ns(ctx);
    if (self->deadline_ns <= now_ns)
        return tina_done();
    return tina_io(tina_op_within(tina_op_recv(self->fd, 4096), self->deadline_ns - now_ns));
}

static void context_end(tina_ctx *ctx, refusal *self) {
    if (self->context != HTTP_CONTEXT_NONE)
        http_context_bury(tina_shard_memory(ctx), self->context, self->dead, ctx);
    self->context = HTTP_CONTEXT_NONE;
}

const tina_isolate_type http_refusal_type = {
    .name = "http_refusal",
    .init = refusal_init,
    .handle = refusal_handle,
    .struct_bytes = sizeof(refusal),
    .mailbox_max = 1,
};
