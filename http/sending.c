// SPDX-License-Identifier: Apache-2.0
//
// A connection that sends what its context holds, or a file.
#include "core/assert.h"
#include "http/answer.h"
#include "http/connection_state.h"
#include "sched/ctx.h"

// A send's deadline is for so many bytes, so that a large body may take its time as long as it
// moves.
#define SEND_BYTES_MAX 262144u

#define PLACE_RETRY_NS UINT64_C(1000000)

static tina_effect place_await(tina_ctx *ctx, http_connection *self);

tina_effect http_connection_send(http_connection *self) {
    self->state = HTTP_CONNECTION_SENDING;
    self->sending = tina_bytes_of(self->context->out, self->context->out_bytes);
    TINA_ASSERT(self->sending.bytes > 0);
    return http_connection_send_rest(self);
}

tina_effect http_connection_send_rest(const http_connection *self) {
    uint64_t timeout_ns = self->shard->program->server.write_timeout_ns;
    size_t bytes = self->sending.bytes < SEND_BYTES_MAX ? self->sending.bytes : SEND_BYTES_MAX;
    tina_io_op op = tina_op_send(self->fd, self->sending.data, (uint32_t)bytes);
    return tina_io(tina_op_within(op, timeout_ns));
}

tina_effect http_connection_file_next(http_connection *self) {
    http_file_response *file = &self->context->file;
    uint64_t timeout_ns = self->shard->program->server.write_timeout_ns;
    TINA_ASSERT(self->state == HTTP_CONNECTION_FILE);
    switch ((http_file_state)file->state) {
    case HTTP_FILE_OPEN:
        return tina_io(tina_op_open(
            file->path, TINA_OPEN_READ | (file->directory ? TINA_OPEN_NO_LINKS : 0), 0));
    case HTTP_FILE_STAT:
        return tina_io(tina_op_stat(file->fd, &file->stat));
    case HTTP_FILE_SEND: {
        uint64_t bytes = file->left < SEND_BYTES_MAX ? file->left : SEND_BYTES_MAX;
        tina_io_op op = tina_op_sendfile(self->fd, file->fd, file->offset, (uint32_t)bytes);
        return tina_io(tina_op_within(op, timeout_ns));
    }
    case HTTP_FILE_CLOSE:
        return tina_io(tina_op_close(file->fd));
    case HTTP_FILE_NONE:
        break;
    }
    TINA_ASSERT(file->state != HTTP_FILE_NONE);
    return tina_crash(0);
}

// A file that has become shorter leaves the client with less than it was told, which it sees when
// the connection ends.
tina_effect http_connection_file_done(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    http_context *context = self->context;
    TINA_ASSERT(self->state == HTTP_CONNECTION_FILE);
    if (m->io.result == TINA_IO_OPS_FULL) // other requests' opens and stats have all places
        return place_await(ctx, self);
    uint64_t asked = context->file.left < SEND_BYTES_MAX ? context->file.left : SEND_BYTES_MAX;
    bool sending = context->file.state == HTTP_FILE_SEND;
    http_context_file_done(self->shard, context, ctx, &m->io);
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // told_to_shut_down is next
    if (sending && m->io.result < 0) {
        self->shard->counters.timeouts += m->io.result == TINA_IO_TIMED_OUT;
        return http_connection_leave(ctx, self);
    }
    if (sending && m->io.bytes < asked)
        return http_connection_finish(ctx, self);
    self->state = HTTP_CONNECTION_READING;
    return http_connection_answer(ctx, self);
}

// Not by yielding: a shard that is never idle would take the core from the kernel's worker that
// opens files, whose end is what is waited for.
static tina_effect place_await(tina_ctx *ctx, http_connection *self) {
    http_context *context = self->context;
    self->state = HTTP_CONNECTION_PLACELESS;
    TINA_ASSERT(context->timer.bits == 0);
    context->timer = tina_timer_set(ctx, PLACE_RETRY_NS, 0);
    return context->timer.bits != 0 ? tina_receive() : tina_yield();
}

tina_effect http_connection_place_retry(http_connection *self) {
    TINA_ASSERT(self->state == HTTP_CONNECTION_PLACELESS);
    self->context->timer = (tina_timer){0};
    self->state = HTTP_CONNECTION_FILE;
    return http_connection_file_next(self);
}
