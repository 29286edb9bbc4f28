// SPDX-License-Identifier: Apache-2.0
//
// A connection whose handler waits, for whatever comes or for the outcome of a call.
#include "core/assert.h"
#include "http/answer.h"
#include "http/connection.h"
#include "http/connection_state.h"
#include "sched/ctx.h"

static bool watch(tina_ctx *ctx, http_connection *self);
static tina_effect client_left(tina_ctx *ctx, http_connection *self);
static tina_effect cut(tina_ctx *ctx, http_connection *self);

// Told to shut down, the handler that waits hears it once, and has a short time left.
tina_effect http_connection_wait(tina_ctx *ctx, http_connection *self) {
    static const tina_message shutdown = {.tag = TINA_SHUTDOWN};
    http_context *context = self->context;
    uint64_t now_ns = tina_now_ns(ctx);
    uint64_t wait_ns = context->response.wait_ns;
    self->state = HTTP_CONNECTION_WAITING;
    if (self->ended && !http_parser_holds_more(&context->parser))
        return client_left(ctx, self);
    if (self->draining && !context->told) {
        context->told = true;
        return http_connection_wake(ctx, self, &shutdown);
    }
    if (self->draining && self->deadline_ns <= now_ns)
        return http_connection_finish(ctx, self);
    if (self->draining && (wait_ns == 0 || wait_ns > self->deadline_ns - now_ns))
        wait_ns = self->deadline_ns - now_ns;
    if (context->timer.bits != 0) // told once more
        tina_timer_cancel(ctx, context->timer);
    context->timer = (tina_timer){0};
    if (wait_ns > 0) {
        context->timer = tina_timer_set(ctx, wait_ns, 0);
        if (context->timer.bits == 0) {
            tina_log(ctx, TINA_LOG_ERROR, "a handler cannot wait: the shard's timers are used up");
            return http_connection_finish(ctx, self);
        }
    }
    return watch(ctx, self) ? tina_receive() : http_connection_leave(ctx, self);
}

// Strings and pieces of the request point into the parser's buffer: what comes is put behind them,
// as long as there is space.
static bool watch(tina_ctx *ctx, http_connection *self) {
    uint32_t space = http_parser_spare(&self->context->parser);
    if (self->watching || self->ended || space == 0)
        return true;
    self->watching = tina_submit(ctx, tina_op_poll(self->fd, TINA_POLL_READ), &self->watch) == 0;
    return self->watching;
}

// The handler may have been woken, and be done, since it was found: then the watch has ended by
// itself. Another request's handler may have no space for what is there.
tina_effect http_connection_readable(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    self->watching = false;
    if (self->state != HTTP_CONNECTION_WAITING)
        return http_connection_watch_ended(ctx, self);
    if (m->io.result < 0)
        return client_left(ctx, self);
    uint32_t space = http_parser_spare(&self->context->parser);
    if (space == 0)
        return tina_receive();
    self->state = HTTP_CONNECTION_TAKING;
    return tina_io(tina_op_recv(self->fd, space));
}

tina_effect http_connection_watched(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    http_parser *parser = &self->context->parser;
    self->state = HTTP_CONNECTION_WAITING;
    if (m->io.result > 0)
        http_parser_take(parser, tina_io_data(ctx, m), (uint32_t)m->io.result);
    self->ended = m->io.result == 0;
    if (m->io.result < 0 || (self->ended && !http_parser_holds_more(parser)))
        return client_left(ctx, self);
    return watch(ctx, self) ? tina_receive() : http_connection_leave(ctx, self);
}

static tina_effect client_left(tina_ctx *ctx, http_connection *self) {
    self->shard->counters.clients_left++;
    return http_connection_leave(ctx, self);
}

tina_effect http_connection_wake(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    http_context *context = self->context;
    tina_timer timer = context->timer;
    context->timer = (tina_timer){0};
    if (m->tag == TINA_TIMER && m->timer.timer.bits == timer.bits)
        m = NULL;
    else if (timer.bits != 0)
        tina_timer_cancel(ctx, timer);
    if (self->state == HTTP_CONNECTION_CALLING && self->shard->telling_all)
        http_connection_drain(ctx, self); // it was not told
    if (m == NULL && self->draining && self->deadline_ns <= tina_now_ns(ctx))
        return http_connection_finish(ctx, self);
    http_context_wake(context, ctx, m);
    self->state = HTTP_CONNECTION_READING;
    return http_connection_answer(ctx, self);
}

tina_effect http_connection_call(http_connection *self) {
    self->state = HTTP_CONNECTION_CALLING;
    return self->context->response.call;
}

// Whoever knows the isolate of a request that is over must not reach the next one's handler, so
// that has another isolate: with this one end its handle, its timers, its monitors, its ops and
// what it owns.
tina_effect http_connection_renew(tina_ctx *ctx, http_connection *self) {
    self->state = HTTP_CONNECTION_RENEWING;
    if (self->watching)
        return http_connection_watch_end(ctx, self);
    http_succession args = {
        .fd = self->fd,
        .deadline_ns = self->deadline_ns,
        .requests = self->requests,
        .ended = self->ended,
        .draining = self->draining,
    };
    tina_handle successor;
    self->context->renewal_due = false;
    tina_spawn_result result = tina_spawn_with_fd(
        ctx, &http_connection_type, tina_bytes_of(&args, sizeof args), self->fd, &successor);
    if (result != TINA_SPAWN_OK)
        return cut(ctx, self);
    http_shard_succeed(self->shard, tina_handle_slot(tina_self(ctx)), successor, ctx);
    return tina_done();
}

// All slots are taken, spare ones by isolates whose ops are still under way.
static tina_effect cut(tina_ctx *ctx, http_connection *self) {
    self->shard->counters.connections_cut++;
    self->closing = true;
    return self->context->out_bytes > 0 ? http_connection_send(self)
                                        : http_connection_finish(ctx, self);
}
