// SPDX-License-Identifier: Apache-2.0
#include "http/overflow.h"

#include "core/assert.h"
#include "http/shard.h"
#include "sched/ctx.h"

typedef struct refusal {
    tina_fd fd;
    uint64_t deadline_ns;
} refusal;

static tina_effect drop(tina_ctx *ctx, const refusal *self);

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
    TINA_ASSERT(args.bytes == sizeof self->fd);
    self->fd = *(const tina_fd *)args.data;
    const http_shard *shard = tina_shard_memory(ctx);
    uint64_t time_ns = shard->program->server.linger_timeout_ns;
    self->deadline_ns = tina_now_ns(ctx) + time_ns;
    tina_bytes text = http_unavailable();
    return tina_io(
        tina_op_within(tina_op_send(self->fd, text.data, (uint32_t)text.bytes), time_ns));
}

static tina_effect refusal_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    refusal *self = self_;
    bool sent = m->tag == TINA_IO_SEND_DONE && m->io.result > 0;
    if (sent && tina_socket_shutdown(ctx, self->fd, TINA_SHUTDOWN_WRITE) < 0)
        return tina_done();
    bool dropped = m->tag == TINA_IO_RECV_DONE && m->io.result > 0;
    return sent || dropped ? drop(ctx, self) : tina_done();
}

// What the client has sent is read for a while: a close with bytes unread would be a reset, which
// may overtake the answer.
static tina_effect drop(tina_ctx *ctx, const refusal *self) {
    uint64_t now_ns = tina_now_ns(ctx);
    if (self->deadline_ns <= now_ns)
        return tina_done();
    return tina_io(tina_op_within(tina_op_recv(self->fd, 4096), self->deadline_ns - now_ns));
}

const tina_isolate_type http_refusal_type = {
    .name = "http_refusal",
    .init = refusal_init,
    .handle = refusal_handle,
    .struct_bytes = sizeof(refusal),
    .mailbox_max = 1,
};
