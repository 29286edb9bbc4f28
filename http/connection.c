// SPDX-License-Identifier: Apache-2.0
//
// A connection: one socket's state machine. It waits for one operation at a time, each with a
// deadline, and holds a context only while there is a request in it.
//
//              first byte            whole request          all sent, nothing unread
//     IDLE ───────────────▶ READING ──────────────▶ SENDING ────────────────────────▶ IDLE
//      │  idle timeout         │ timeout, error        │ closing                 (or READING)
//      ▼                       ▼                       ▼
//     LINGERING ◀──────────── SENDING the refusal ─────┘
//
// A handler may wait, for a message or for the outcome of a call, in the midst of a request:
//
//     READING ──▶ (SENDING) ──▶ WAITING, CALLING ──▶ SENDING or READING
//
// While it waits, the socket is watched by a poll in the background: so it is noticed when the
// client leaves, and what a client sends ahead is taken as long as there is space for it. Not by a
// receive, as the handler may be woken and send meanwhile: what came would hold one of the shard's
// receive buffers until a slow reader has taken all.
//
// It ends by half-closing and waiting for the client's end: a close with bytes unread would reset
// the connection, and the reset could overtake the last response (RFC 9112 §9.6).

#include "http/connection.h"

#include "core/assert.h"
#include "http/answer.h"
#include "http/connection_state.h"
#include "http/overflow.h"
#include "sched/ctx.h"

static tina_effect succeed(tina_ctx *ctx, http_connection *self, const http_succession *args);
static bool is_own(const http_connection *self, const tina_message *m);
static tina_effect came(tina_ctx *ctx, http_connection *self, const tina_message *m);
static tina_effect sent(tina_ctx *ctx, http_connection *self, const tina_message *m);
static tina_effect sent_all(tina_ctx *ctx, http_connection *self);
static tina_effect told_to_shut_down(tina_ctx *ctx, http_connection *self);
static void context_end(tina_ctx *ctx, http_connection *self);

static tina_effect connection_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    http_connection *self = self_;
    if (args.bytes == sizeof(http_succession))
        return succeed(ctx, self, args.data);
    TINA_ASSERT(args.bytes == sizeof self->fd);
    self->fd = *(const tina_fd *)args.data;
    self->shard = tina_shard_memory(ctx);
    self->peer.fd = self->fd;
    (void)tina_bequeath(ctx, self->fd);
    self->introduced = !self->shard->program->server.proxy_protocol;
    http_shard_enter(self->shard, tina_handle_slot(tina_self(ctx)), ctx);
    return http_connection_idle(ctx, self);
}

static tina_effect succeed(tina_ctx *ctx, http_connection *self, const http_succession *args) {
    self->fd = args->fd;
    self->deadline_ns = args->deadline_ns;
    self->requests = args->requests;
    self->ended = args->ended;
    self->draining = args->draining;
    self->introduced = true;
    self->shard = tina_shard_memory(ctx);
    (void)tina_bequeath(ctx, self->fd);
    self->context = http_shard_context(self->shard, tina_handle_slot(tina_self(ctx)));
    self->peer = self->context->peer;
    self->context->requests = &self->requests;
    self->state = HTTP_CONNECTION_READING;
    if (self->shard->telling_all) // the one before may have ended before it heard
        http_connection_drain(ctx, self);
    return http_connection_answer(ctx, self);
}

static tina_effect connection_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    http_connection *self = self_;
    if (!is_own(self, m))
        return came(ctx, self, m);
    switch (m->tag) {
    case TINA_IO_RECV_DONE:
        return http_connection_received(ctx, self, m);
    case TINA_IO_POLL_DONE:
        return http_connection_readable(ctx, self, m);
    case TINA_IO_SEND_DONE:
        return sent(ctx, self, m);
    case TINA_IO_OPEN_DONE:
    case TINA_IO_STAT_DONE:
    case TINA_IO_SENDFILE_DONE:
    case TINA_IO_CLOSE_DONE:
        return http_connection_file_done(ctx, self, m);
    case TINA_TIMER:
    case TINA_YIELDED:
        return http_connection_place_retry(self);
    case TINA_SHUTDOWN:
        return told_to_shut_down(ctx, self);
    default:
        TINA_ASSERT(m->tag == TINA_SHUTDOWN);
        return tina_crash(0);
    }
}

// What this file awaits, and not a handler's messages, timers and ops. While an op is awaited
// nothing else comes.
static bool is_own(const http_connection *self, const tina_message *m) {
    if (m->tag == TINA_SHUTDOWN)
        return true;
    if (self->watching && m->tag == TINA_IO_POLL_DONE)
        return m->io.id.bits == self->watch.bits;
    switch ((http_connection_state)self->state) {
    case HTTP_CONNECTION_PLACELESS:
        return m->tag == TINA_YIELDED ||
               (m->tag == TINA_TIMER && m->timer.timer.bits == self->context->timer.bits);
    case HTTP_CONNECTION_WAITING:
    case HTTP_CONNECTION_CALLING:
        return false;
    case HTTP_CONNECTION_TAKING:
    case HTTP_CONNECTION_SENDING:
    case HTTP_CONNECTION_FILE:
        return true;
    case HTTP_CONNECTION_IDLE:
    case HTTP_CONNECTION_READING:
    case HTTP_CONNECTION_RENEWING:
    case HTTP_CONNECTION_LINGERING:
        break;
    }
    return !self->watching; // a poll in the background is being ended
}

static tina_effect came(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    if (self->state == HTTP_CONNECTION_WAITING || self->state == HTTP_CONNECTION_CALLING)
        return http_connection_wake(ctx, self, m);
    self->shard->counters.messages_unawaited++;
    return tina_receive();
}

static tina_effect sent(tina_ctx *ctx, http_connection *self, const tina_message *m) {
    TINA_ASSERT(self->state == HTTP_CONNECTION_SENDING);
    TINA_ASSERT(m->io.bytes <= self->sending.bytes);
    self->sending.data = (const uint8_t *)self->sending.data + m->io.bytes;
    self->sending.bytes -= m->io.bytes;
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // told_to_shut_down is next
    if (m->io.result < 0) {
        self->shard->counters.timeouts += m->io.result == TINA_IO_TIMED_OUT;
        return http_connection_leave(ctx, self);
    }
    if (self->sending.bytes > 0)
        return http_connection_send_rest(self);
    return sent_all(ctx, self);
}

static tina_effect sent_all(tina_ctx *ctx, http_connection *self) {
    TINA_ASSERT(self->sending.bytes == 0);
    if (self->context == NULL)
        return http_connection_finish(ctx, self);
    if (self->context->tail.bytes > 0) {
        self->sending = self->context->tail;
        self->context->tail = tina_bytes_of(NULL, 0);
        return http_connection_send_rest(self);
    }
    if (self->closing)
        return http_connection_finish(ctx, self);
    http_context_sent(self->shard, self->context, ctx);
    self->state = HTTP_CONNECTION_READING;
    return http_connection_answer(ctx, self);
}

void http_connection_drain(tina_ctx *ctx, http_connection *self) {
    if (!self->draining && self->state != HTTP_CONNECTION_LINGERING)
        self->deadline_ns = tina_now_ns(ctx) + self->shard->program->server.linger_timeout_ns;
    self->draining = true;
}

// What was awaited has been cancelled. A request in progress may come to its end within a short
// time and is answered, as the last; a client that is about to send one sees that we closed first,
// and may send it elsewhere.
static tina_effect told_to_shut_down(tina_ctx *ctx, http_connection *self) {
    http_connection_drain(ctx, self);
    switch ((http_connection_state)self->state) {
    case HTTP_CONNECTION_IDLE:
        return http_connection_finish(ctx, self);
    case HTTP_CONNECTION_READING:
        return http_connection_read_on(ctx, self);
    case HTTP_CONNECTION_SENDING:
        return self->sending.bytes > 0 ? http_connection_send_rest(self) : sent_all(ctx, self);
    case HTTP_CONNECTION_FILE:
        return http_connection_file_next(self);
    case HTTP_CONNECTION_PLACELESS:
        return self->context->timer.bits != 0 ? tina_receive() : tina_yield();
    case HTTP_CONNECTION_WAITING:
    case HTTP_CONNECTION_TAKING:
        return http_connection_wait(ctx, self);
    case HTTP_CONNECTION_RENEWING:
        return http_connection_renew(ctx, self);
    case HTTP_CONNECTION_CALLING: // a call is cancelled first
        break;
    case HTTP_CONNECTION_LINGERING:
        return http_connection_linger(ctx, self);
    }
    TINA_ASSERT(self->state != HTTP_CONNECTION_CALLING);
    return tina_crash(0);
}

// When the listener waits for a connection to end, every response says that it is the last.
tina_effect http_connection_answer(tina_ctx *ctx, http_connection *self) {
    TINA_ASSERT(self->state == HTTP_CONNECTION_READING);
    bool last =
        self->draining || self->shard->draining || !tina_handle_is_none(self->shard->listener);
    switch (http_context_answer(self->shard, self->context, ctx, last)) {
    case HTTP_ANSWER_MORE:
        return http_connection_read_on(ctx, self);
    case HTTP_ANSWER_SEND:
        return http_connection_send(self);
    case HTTP_ANSWER_FILE:
        self->state = HTTP_CONNECTION_FILE;
        return http_connection_file_next(self);
    case HTTP_ANSWER_WAIT:
        return http_connection_wait(ctx, self);
    case HTTP_ANSWER_CALL:
        return http_connection_call(self);
    case HTTP_ANSWER_RENEW:
        return http_connection_renew(ctx, self);
    case HTTP_ANSWER_CLOSE:
        self->closing = true;
        return self->context->out_bytes > 0 ? http_connection_send(self)
                                            : http_connection_finish(ctx, self);
    }
    TINA_ASSERT(self->state != HTTP_CONNECTION_READING);
    return tina_crash(0);
}

tina_effect http_connection_refuse(tina_ctx *ctx, http_connection *self, int status) {
    TINA_ASSERT(self->state == HTTP_CONNECTION_READING);
    TINA_ASSERT(self->context->out_bytes == 0);
    self->closing = true;
    if (!http_context_refuse(self->shard, self->context, ctx, status))
        return http_connection_finish(ctx, self);
    return http_connection_send(self);
}

// Nothing of what is left to send will be.
static void context_end(tina_ctx *ctx, http_connection *self) {
    http_context *context = self->context;
    if (context == NULL)
        return;
    if (self->state == HTTP_CONNECTION_SENDING)
        context->unsent_bytes = self->sending.bytes + context->tail.bytes;
    http_log_request(self->shard, context, ctx);
    http_context_give(self->shard, tina_handle_slot(tina_self(ctx)));
    self->context = NULL;
}

tina_effect http_connection_finish(tina_ctx *ctx, http_connection *self) {
    context_end(ctx, self);
    if (self->ended || tina_socket_shutdown(ctx, self->fd, TINA_SHUTDOWN_WRITE) < 0)
        return http_connection_leave(ctx, self);
    self->state = HTTP_CONNECTION_LINGERING;
    self->deadline_ns = tina_now_ns(ctx) + self->shard->program->server.linger_timeout_ns;
    return http_connection_linger(ctx, self);
}

tina_effect http_connection_linger(tina_ctx *ctx, http_connection *self) {
    TINA_ASSERT(self->state == HTTP_CONNECTION_LINGERING && self->context == NULL);
    uint64_t now_ns = tina_now_ns(ctx);
    if (self->deadline_ns <= now_ns)
        return http_connection_leave(ctx, self);
    if (self->watching)
        return http_connection_watch_end(ctx, self);
    uint32_t bytes = self->shard->program->server.head_bytes;
    return http_connection_receive(self, bytes, self->deadline_ns - now_ns);
}

// The runtime closes the socket.
tina_effect http_connection_leave(tina_ctx *ctx, http_connection *self) {
    http_shard *shard = self->shard;
    context_end(ctx, self);
    http_shard_leave(shard, tina_handle_slot(tina_self(ctx)));
    if (!tina_handle_is_none(shard->listener)) {
        // Lost only when the pool of messages is empty, and then the listener's timer does it.
        tina_send(ctx, shard->listener, HTTP_TAG_CONNECTION_ENDED, NULL, 0);
        shard->listener = tina_handle_none();
    }
    if (shard->counters.connections_in_use == 0 && !tina_handle_is_none(shard->drain))
        tina_send(ctx, shard->drain, HTTP_TAG_CONNECTION_ENDED, NULL, 0); // or its timer does it
    return tina_done();
}

// The spare slots are for those that begin anew where there is no other.
bool http_connection_begin(tina_ctx *ctx, tina_fd fd) {
    return tina_spawn_room(ctx, &http_connection_type) > HTTP_CONNECTIONS_SPARE &&
           tina_spawn_with_fd(ctx, &http_connection_type, tina_bytes_of(&fd, sizeof fd), fd,
                              NULL) == TINA_SPAWN_OK;
}

const tina_isolate_type http_connection_type = {
    .name = "http_connection",
    .heir = &http_refusal_type,
    .init = connection_init,
    .handle = connection_handle,
    .struct_bytes = sizeof(http_connection),
    .mailbox_max = 64,
    .ops_max = 8,
};
