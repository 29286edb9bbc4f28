// SPDX-License-Identifier: Apache-2.0
//
// What a connection receives, and how long it waits for it.
#include "core/assert.h"
#include "http/connection_state.h"
#include "http/overflow.h"
#include "sched/ctx.h"

#define SECOND_NS UINT64_C(1000000000)

static tina_effect bytes_received(tina_ctx *ctx, http_connection *self, const tina_message *m);
static tina_effect end_received(tina_ctx *ctx, http_connection *self);
static tina_effect receive_timed_out(tina_ctx *ctx, http_connection *self);
static void body_received(tina_ctx *ctx, http_context *context, uint32_t bytes);
static uint64_t body_await(http_context *context, const http_server *server, uint64_t now_ns);

tina_effect http_connection_received(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    TINA_ASSERT(!self->watching);
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // told_to_shut_down is next
    if (self->state == HTTP_CONNECTION_TAKING)
        return http_connection_watched(ctx, self, m);
    if (self->state == HTTP_CONNECTION_LINGERING)
        return m->io.result > 0 ? http_connection_linger(ctx, self)
                                : http_connection_leave(ctx, self);
    if (m->io.result > 0)
        return bytes_received(ctx, self, m);
    if (m->io.result == 0)
        return end_received(ctx, self);
    if (m->io.result == TINA_IO_TIMED_OUT)
        return receive_timed_out(ctx, self);
    return http_connection_leave(ctx, self); // a reset, most likely
}

static tina_effect bytes_received(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    if (self->state == HTTP_CONNECTION_IDLE) {
        TINA_ASSERT(self->context == NULL);
        self->context = http_context_take(self->shard, tina_handle_slot(tina_self(ctx)), ctx);
        if (self->context == NULL) {
            self->closing = true;
            self->state = HTTP_CONNECTION_SENDING;
            self->sending = http_unavailable();
            return http_connection_send_rest(self);
        }
        self->state = HTTP_CONNECTION_READING;
        self->context->peer = self->peer;
        self->context->requests = &self->requests;
        self->context->proxy_awaited = !self->introduced;
    }
    body_received(ctx, self->context, (uint32_t)m->io.result);
    http_parser_take(&self->context->parser, tina_io_data(ctx, m), (uint32_t)m->io.result);
    return http_connection_answer(ctx, self);
}

// A request that the client did not finish cannot be answered, but it can be refused.
static tina_effect end_received(tina_ctx *ctx, http_connection *self) {
    self->ended = true;
    if (self->state == HTTP_CONNECTION_IDLE)
        return http_connection_leave(ctx, self);
    return http_connection_refuse(ctx, self, 400);
}

static tina_effect receive_timed_out(tina_ctx *ctx, http_connection *self) {
    self->shard->counters.timeouts++;
    if (self->state == HTTP_CONNECTION_IDLE)
        return http_connection_finish(ctx, self);
    return http_connection_refuse(ctx, self, 408);
}

// The head's deadline is one for all its bytes, so that a byte now and then does not put it off.
tina_effect http_connection_read_on(tina_ctx *ctx, http_connection *self) {
    http_context *context = self->context;
    const http_server *server = &self->shard->program->server;
    self->introduced = self->introduced || !context->proxy_awaited;
    if (http_parser_is_idle(&context->parser)) {
        self->peer = context->peer;
        http_context_give(self->shard, tina_handle_slot(tina_self(ctx)));
        self->context = NULL;
        return http_connection_idle(ctx, self);
    }
    uint64_t now_ns = tina_now_ns(ctx);
    if (context->parser.state == HTTP_PARSE_IN_HEAD && context->head_deadline_ns == 0)
        context->head_deadline_ns = now_ns + server->header_timeout_ns;
    uint64_t deadline_ns = context->parser.state == HTTP_PARSE_IN_HEAD
                               ? context->head_deadline_ns
                               : body_await(context, server, now_ns);
    if (self->draining && self->deadline_ns < deadline_ns)
        deadline_ns = self->deadline_ns;
    if (deadline_ns <= now_ns)
        return receive_timed_out(ctx, self);
    if (self->watching)
        return http_connection_watch_end(ctx, self);
    return http_connection_receive(self, http_parser_space(&context->parser), deadline_ns - now_ns);
}

static void body_received(tina_ctx *ctx, http_context *context, uint32_t bytes) {
    if (context->body_awaited_ns == 0)
        return;
    context->body_waited_ns += tina_now_ns(ctx) - context->body_awaited_ns;
    context->body_bytes += bytes;
    context->body_awaited_ns = 0;
}

// A body's deadline is put off by each receipt, since its length has been agreed to; but for a byte
// now and then not by much.
static uint64_t body_await(http_context *context, const http_server *server, uint64_t now_ns) {
    uint64_t timeout_ns = server->body_timeout_ns;
    context->body_awaited_ns = now_ns;
    if (server->body_rate != HTTP_RATE_NONE) {
        uint64_t most_ns =
            server->body_timeout_ns + context->body_bytes / server->body_rate * SECOND_NS;
        uint64_t left_ns =
            most_ns > context->body_waited_ns ? most_ns - context->body_waited_ns : 0;
        timeout_ns = left_ns < timeout_ns ? left_ns : timeout_ns;
    }
    return now_ns + timeout_ns;
}

tina_effect http_connection_idle(tina_ctx *ctx, http_connection *self) {
    self->state = HTTP_CONNECTION_IDLE;
    if (self->draining || self->shard->draining)
        return http_connection_finish(ctx, self);
    if (self->watching)
        return http_connection_watch_end(ctx, self);
    const http_server *server = &self->shard->program->server;
    return http_connection_receive(self, server->head_bytes, server->idle_timeout_ns);
}

tina_effect http_connection_receive(const http_connection *self, uint32_t bytes,
                                    uint64_t timeout_ns) {
    TINA_ASSERT(!self->watching);
    return tina_io(tina_op_within(tina_op_recv(self->fd, bytes), timeout_ns));
}

// The poll of a wait that is over has no deadline; when it is cancelled, or has found something
// after all, the connection goes on.
tina_effect http_connection_watch_end(tina_ctx *ctx, http_connection *self) {
    tina_cancel(ctx, self->watch);
    return tina_receive();
}

tina_effect http_connection_watch_ended(tina_ctx *ctx, http_connection *self) {
    switch ((http_connection_state)self->state) {
    case HTTP_CONNECTION_IDLE:
        return http_connection_idle(ctx, self);
    case HTTP_CONNECTION_READING:
        return http_connection_read_on(ctx, self);
    case HTTP_CONNECTION_RENEWING:
        return http_connection_renew(ctx, self);
    case HTTP_CONNECTION_LINGERING:
        return http_connection_linger(ctx, self);
    case HTTP_CONNECTION_SENDING:
    case HTTP_CONNECTION_FILE:
    case HTTP_CONNECTION_PLACELESS:
    case HTTP_CONNECTION_WAITING:
    case HTTP_CONNECTION_TAKING:
    case HTTP_CONNECTION_CALLING:
        break;
    }
    TINA_ASSERT(self->state == HTTP_CONNECTION_IDLE); // who cancels waits for it
    return tina_crash(0);
}
