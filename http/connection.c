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
// While it waits, the socket is watched by a receive in the background: so it is noticed when the
// client leaves, and what a client sends ahead is taken as long as there is space for it.
//
// It ends by half-closing and waiting for the client's end: a close with bytes unread would reset
// the connection, and the reset could overtake the last response (RFC 9112 §9.6).

#include "http/connection.h"

#include "core/assert.h"
#include "http/answer.h"
#include "http/overflow.h"
#include "http/shard.h"
#include "sched/ctx.h"

// A send's deadline is for so many bytes, so that a large body may take its time as long as it
// moves.
#define SEND_BYTES_MAX 262144u

#define SECOND_NS      UINT64_C(1000000000)
#define PLACE_RETRY_NS UINT64_C(1000000)

typedef enum connection_state {
    CONNECTION_IDLE = 0, // receiving; no context
    CONNECTION_READING,  // receiving; the context holds a part of a request
    CONNECTION_SENDING, // `sending` is what is left; context's output, or static when there is none
    CONNECTION_FILE,    // an op on the context's file
    CONNECTION_PLACELESS, // that op found no place; until the context's timer
    CONNECTION_WAITING,   // for anything, for the context's handler; all is sent
    CONNECTION_CALLING,   // for the outcome of a call
    CONNECTION_LINGERING, // receiving and dropping; no context
} connection_state;

typedef struct connection {
    tina_fd fd;
    http_shard *shard;
    http_context *context;
    tina_bytes sending;
    uint64_t deadline_ns; // LINGERING; and READING and WAITING when draining
    tina_io_id watch;     // the receive in the background, when `watching`
    http_peer peer;
    uint8_t state;     // connection_state
    bool closing;      // what is being sent is the last
    bool ended;        // the client has sent its last byte
    bool draining;     // told to shut down
    uint32_t requests; // begun
    bool introduced;   // its PROXY header is read, or none is due
    bool waited;       // a handler has: others may know this isolate, and send it messages
    bool watching;
} connection;

static bool is_own(const connection *self, const tina_message *m);
static tina_effect came(tina_ctx *ctx, connection *self, const tina_message *m);
static tina_effect received(tina_ctx *ctx, connection *self, const tina_message *m);
static tina_effect watched(tina_ctx *ctx, connection *self, const tina_message *m);
static tina_effect client_left(tina_ctx *ctx, connection *self);
static tina_effect watch_canceled(tina_ctx *ctx, connection *self);
static tina_effect wait(tina_ctx *ctx, connection *self);
static bool watch(tina_ctx *ctx, connection *self);
static tina_effect wake(tina_ctx *ctx, connection *self, const tina_message *m);
static tina_effect call(connection *self);
static tina_effect receive(tina_ctx *ctx, connection *self, uint32_t bytes, uint64_t timeout_ns);
static tina_effect watch_end(tina_ctx *ctx, connection *self);
static tina_effect bytes_received(tina_ctx *ctx, connection *self, const tina_message *m);
static tina_effect end_received(tina_ctx *ctx, connection *self);
static tina_effect receive_timed_out(tina_ctx *ctx, connection *self);
static tina_effect sent(tina_ctx *ctx, connection *self, const tina_message *m);
static tina_effect sent_all(tina_ctx *ctx, connection *self);
static tina_effect told_to_shut_down(tina_ctx *ctx, connection *self);
static tina_effect answer(tina_ctx *ctx, connection *self);
static tina_effect refuse(tina_ctx *ctx, connection *self, int status);
static void body_received(tina_ctx *ctx, http_context *context, uint32_t bytes);
static uint64_t body_await(http_context *context, const http_server *server, uint64_t now_ns);
static tina_effect read_on(tina_ctx *ctx, connection *self);
static tina_effect idle(tina_ctx *ctx, connection *self);
static tina_effect send_begin(connection *self);
static tina_effect send_rest(const connection *self);
static tina_effect file_next(connection *self);
static tina_effect file_done(tina_ctx *ctx, connection *self, const tina_message *m);
static tina_effect place_await(tina_ctx *ctx, connection *self);
static tina_effect place_retry(connection *self);
static void context_end(tina_ctx *ctx, connection *self);
static tina_effect finish(tina_ctx *ctx, connection *self);
static tina_effect linger(tina_ctx *ctx, connection *self);
static tina_effect leave(tina_ctx *ctx, connection *self);

static tina_effect connection_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    connection *self = self_;
    TINA_ASSERT(args.bytes == sizeof self->fd);
    self->fd = *(const tina_fd *)args.data;
    self->shard = tina_shard_memory(ctx);
    self->peer.fd = self->fd;
    (void)tina_bequeath(ctx, self->fd);
    self->introduced = !self->shard->program->server.proxy_protocol;
    http_shard_enter(self->shard, tina_handle_slot(tina_self(ctx)), ctx);
    return idle(ctx, self);
}

static tina_effect connection_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    connection *self = self_;
    if (!is_own(self, m))
        return came(ctx, self, m);
    switch (m->tag) {
    case TINA_IO_RECV_DONE:
        return received(ctx, self, m);
    case TINA_IO_SEND_DONE:
        return sent(ctx, self, m);
    case TINA_IO_OPEN_DONE:
    case TINA_IO_STAT_DONE:
    case TINA_IO_SENDFILE_DONE:
    case TINA_IO_CLOSE_DONE:
        return file_done(ctx, self, m);
    case TINA_TIMER:
    case TINA_YIELDED:
        return place_retry(self);
    case TINA_SHUTDOWN:
        return told_to_shut_down(ctx, self);
    default:
        TINA_ASSERT(m->tag == TINA_SHUTDOWN);
        return tina_crash(0);
    }
}

// What this file awaits, and not a handler's messages, timers and ops. While an op is awaited
// nothing else comes.
static bool is_own(const connection *self, const tina_message *m) {
    if (m->tag == TINA_SHUTDOWN)
        return true;
    if (self->watching && m->tag == TINA_IO_RECV_DONE)
        return m->io.id.bits == self->watch.bits;
    if (self->state == CONNECTION_PLACELESS)
        return m->tag == TINA_YIELDED ||
               (m->tag == TINA_TIMER && m->timer.timer.bits == self->context->timer.bits);
    bool receives =
        self->waited && self->state != CONNECTION_SENDING && self->state != CONNECTION_FILE;
    return !receives && self->state != CONNECTION_CALLING;
}

static tina_effect came(tina_ctx *ctx, connection *self, const tina_message *m) {
    if (self->state == CONNECTION_WAITING || self->state == CONNECTION_CALLING)
        return wake(ctx, self, m);
    self->shard->counters.messages_unawaited++;
    return tina_receive();
}

static tina_effect received(tina_ctx *ctx, connection *self, const tina_message *m) {
    TINA_ASSERT(self->state != CONNECTION_SENDING);
    bool background = self->watching;
    self->watching = false;
    if (m->io.result == TINA_IO_CANCELED)
        return background ? watch_canceled(ctx, self) : tina_receive(); // told_to_shut_down is next
    if (self->state == CONNECTION_WAITING)
        return watched(ctx, self, m);
    if (self->state == CONNECTION_LINGERING)
        return m->io.result > 0 ? linger(ctx, self) : leave(ctx, self);
    if (m->io.result > 0)
        return bytes_received(ctx, self, m);
    if (m->io.result == 0)
        return end_received(ctx, self);
    if (m->io.result == TINA_IO_TIMED_OUT)
        return receive_timed_out(ctx, self);
    return leave(ctx, self); // a reset, most likely
}

static tina_effect bytes_received(tina_ctx *ctx, connection *self, const tina_message *m) {
    if (self->state == CONNECTION_IDLE) {
        TINA_ASSERT(self->context == NULL);
        self->context = http_context_take(self->shard, tina_handle_slot(tina_self(ctx)), ctx);
        if (self->context == NULL) {
            self->closing = true;
            self->state = CONNECTION_SENDING;
            self->sending = http_unavailable();
            return send_rest(self);
        }
        self->state = CONNECTION_READING;
        self->context->request.peer = &self->peer;
        self->context->requests = &self->requests;
        self->context->proxy_awaited = !self->introduced;
    }
    body_received(ctx, self->context, (uint32_t)m->io.result);
    http_parser_take(&self->context->parser, tina_io_data(ctx, m), (uint32_t)m->io.result);
    return answer(ctx, self);
}

// A request that the client did not finish cannot be answered, but it can be refused.
static tina_effect end_received(tina_ctx *ctx, connection *self) {
    self->ended = true;
    if (self->state == CONNECTION_IDLE)
        return leave(ctx, self);
    return refuse(ctx, self, 400);
}

static tina_effect receive_timed_out(tina_ctx *ctx, connection *self) {
    self->shard->counters.timeouts++;
    if (self->state == CONNECTION_IDLE)
        return finish(ctx, self);
    return refuse(ctx, self, 408);
}

static tina_effect sent(tina_ctx *ctx, connection *self, const tina_message *m) {
    TINA_ASSERT(self->state == CONNECTION_SENDING);
    TINA_ASSERT(m->io.bytes <= self->sending.bytes);
    self->sending.data = (const uint8_t *)self->sending.data + m->io.bytes;
    self->sending.bytes -= m->io.bytes;
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // told_to_shut_down is next
    if (m->io.result < 0) {
        self->shard->counters.timeouts += m->io.result == TINA_IO_TIMED_OUT;
        return leave(ctx, self);
    }
    if (self->sending.bytes > 0)
        return send_rest(self);
    return sent_all(ctx, self);
}

static tina_effect sent_all(tina_ctx *ctx, connection *self) {
    TINA_ASSERT(self->sending.bytes == 0);
    if (self->context == NULL)
        return finish(ctx, self);
    if (self->context->tail.bytes > 0) {
        self->sending = self->context->tail;
        self->context->tail = tina_bytes_of(NULL, 0);
        return send_rest(self);
    }
    if (self->closing)
        return finish(ctx, self);
    http_context_sent(self->shard, self->context, ctx);
    self->state = CONNECTION_READING;
    return answer(ctx, self);
}

// What was awaited has been cancelled. A request in progress may come to its end within a short
// time and is answered, as the last; a client that is about to send one sees that we closed first,
// and may send it elsewhere.
static tina_effect told_to_shut_down(tina_ctx *ctx, connection *self) {
    self->draining = true;
    if (self->state != CONNECTION_LINGERING)
        self->deadline_ns = tina_now_ns(ctx) + self->shard->program->server.linger_timeout_ns;
    switch ((connection_state)self->state) {
    case CONNECTION_IDLE:
        return finish(ctx, self);
    case CONNECTION_READING:
        return read_on(ctx, self);
    case CONNECTION_SENDING:
        return self->sending.bytes > 0 ? send_rest(self) : sent_all(ctx, self);
    case CONNECTION_FILE:
        return file_next(self);
    case CONNECTION_PLACELESS:
        return self->context->timer.bits != 0 ? tina_receive() : tina_yield();
    case CONNECTION_WAITING:
        return wait(ctx, self);
    case CONNECTION_CALLING: // a call is cancelled first
        break;
    case CONNECTION_LINGERING:
        return linger(ctx, self);
    }
    TINA_ASSERT(self->state != CONNECTION_CALLING);
    return tina_crash(0);
}

// When the listener waits for a connection to end, every response says that it is the last.
static tina_effect answer(tina_ctx *ctx, connection *self) {
    TINA_ASSERT(self->state == CONNECTION_READING);
    bool last =
        self->draining || self->shard->draining || !tina_handle_is_none(self->shard->listener);
    switch (http_context_answer(self->shard, self->context, ctx, last)) {
    case HTTP_ANSWER_MORE:
        return read_on(ctx, self);
    case HTTP_ANSWER_SEND:
        return send_begin(self);
    case HTTP_ANSWER_FILE:
        self->state = CONNECTION_FILE;
        return file_next(self);
    case HTTP_ANSWER_WAIT:
        return wait(ctx, self);
    case HTTP_ANSWER_CALL:
        return call(self);
    case HTTP_ANSWER_CLOSE:
        self->closing = true;
        return self->context->out_bytes > 0 ? send_begin(self) : finish(ctx, self);
    }
    TINA_ASSERT(self->state != CONNECTION_READING);
    return tina_crash(0);
}

static tina_effect refuse(tina_ctx *ctx, connection *self, int status) {
    TINA_ASSERT(self->state == CONNECTION_READING);
    TINA_ASSERT(self->context->out_bytes == 0);
    self->closing = true;
    if (!http_context_refuse(self->shard, self->context, ctx, status))
        return finish(ctx, self);
    return send_begin(self);
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

// The head's deadline is one for all its bytes, so that a byte now and then does not put it off.
static tina_effect read_on(tina_ctx *ctx, connection *self) {
    http_context *context = self->context;
    const http_server *server = &self->shard->program->server;
    self->introduced = self->introduced || !context->proxy_awaited;
    if (http_parser_is_idle(&context->parser)) {
        http_context_give(self->shard, tina_handle_slot(tina_self(ctx)));
        self->context = NULL;
        return idle(ctx, self);
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
        return watch_end(ctx, self);
    return receive(ctx, self, http_parser_space(&context->parser), deadline_ns - now_ns);
}

static tina_effect idle(tina_ctx *ctx, connection *self) {
    self->state = CONNECTION_IDLE;
    if (self->draining || self->shard->draining)
        return finish(ctx, self);
    if (self->watching)
        return watch_end(ctx, self);
    const http_server *server = &self->shard->program->server;
    return receive(ctx, self, server->head_bytes, server->idle_timeout_ns);
}

// Once it has waited, a connection may be sent messages; it receives in the background then, and so
// gets rid of those that nobody waits for before they reach a later request.
static tina_effect receive(tina_ctx *ctx, connection *self, uint32_t bytes, uint64_t timeout_ns) {
    TINA_ASSERT(!self->watching);
    tina_io_op op = tina_op_within(tina_op_recv(self->fd, bytes), timeout_ns);
    if (!self->waited)
        return tina_io(op);
    self->watching = tina_submit(ctx, op, &self->watch) == 0;
    return self->watching ? tina_receive() : leave(ctx, self);
}

// The receive of a wait that is over has no deadline; when it is cancelled, or has received
// something after all, the connection goes on.
static tina_effect watch_end(tina_ctx *ctx, connection *self) {
    tina_cancel(ctx, self->watch);
    return tina_receive();
}

static tina_effect watch_canceled(tina_ctx *ctx, connection *self) {
    switch ((connection_state)self->state) {
    case CONNECTION_IDLE:
        return idle(ctx, self);
    case CONNECTION_READING:
        return read_on(ctx, self);
    case CONNECTION_LINGERING:
        return linger(ctx, self);
    case CONNECTION_SENDING:
    case CONNECTION_FILE:
    case CONNECTION_PLACELESS:
    case CONNECTION_WAITING:
    case CONNECTION_CALLING:
        break;
    }
    TINA_ASSERT(self->state == CONNECTION_IDLE); // who cancels waits for it
    return tina_crash(0);
}

// Told to shut down, the handler that waits hears it once, and has a short time left.
static tina_effect wait(tina_ctx *ctx, connection *self) {
    static const tina_message shutdown = {.tag = TINA_SHUTDOWN};
    http_context *context = self->context;
    uint64_t now_ns = tina_now_ns(ctx);
    uint64_t wait_ns = context->response.wait_ns;
    self->state = CONNECTION_WAITING;
    self->waited = true;
    if (self->ended && !http_parser_holds_more(&context->parser))
        return client_left(ctx, self);
    if (self->draining && !context->told) {
        context->told = true;
        return wake(ctx, self, &shutdown);
    }
    if (self->draining && self->deadline_ns <= now_ns)
        return finish(ctx, self);
    if (self->draining && (wait_ns == 0 || wait_ns > self->deadline_ns - now_ns))
        wait_ns = self->deadline_ns - now_ns;
    if (wait_ns > 0) {
        context->timer = tina_timer_set(ctx, wait_ns, 0);
        if (context->timer.bits == 0) {
            tina_log(ctx, TINA_LOG_ERROR, "a handler cannot wait: the shard's timers are used up");
            return finish(ctx, self);
        }
    }
    return watch(ctx, self) ? tina_receive() : leave(ctx, self);
}

// Strings and pieces of the request point into the parser's buffer: what comes is put behind them,
// as long as there is space.
static bool watch(tina_ctx *ctx, connection *self) {
    uint32_t space = http_parser_spare(&self->context->parser);
    if (self->watching || self->ended || space == 0)
        return true;
    self->watching = tina_submit(ctx, tina_op_recv(self->fd, space), &self->watch) == 0;
    return self->watching;
}

static tina_effect watched(tina_ctx *ctx, connection *self, const tina_message *m) {
    http_parser *parser = &self->context->parser;
    if (m->io.result > 0)
        http_parser_take(parser, tina_io_data(ctx, m), (uint32_t)m->io.result);
    self->ended = m->io.result == 0;
    if (m->io.result < 0 || (self->ended && !http_parser_holds_more(parser)))
        return client_left(ctx, self);
    return watch(ctx, self) ? tina_receive() : leave(ctx, self);
}

static tina_effect client_left(tina_ctx *ctx, connection *self) {
    self->shard->counters.clients_left++;
    return leave(ctx, self);
}

static tina_effect wake(tina_ctx *ctx, connection *self, const tina_message *m) {
    http_context *context = self->context;
    tina_timer timer = context->timer;
    context->timer = (tina_timer){0};
    if (m->tag == TINA_TIMER && m->timer.timer.bits == timer.bits)
        m = NULL;
    else if (timer.bits != 0)
        tina_timer_cancel(ctx, timer);
    if (m == NULL && self->draining && self->deadline_ns <= tina_now_ns(ctx))
        return finish(ctx, self);
    http_context_wake(context, ctx, m);
    self->state = CONNECTION_READING;
    return answer(ctx, self);
}

static tina_effect call(connection *self) {
    self->state = CONNECTION_CALLING;
    self->waited = true;
    return self->context->response.call;
}

static tina_effect send_begin(connection *self) {
    self->state = CONNECTION_SENDING;
    self->sending = tina_bytes_of(self->context->out, self->context->out_bytes);
    TINA_ASSERT(self->sending.bytes > 0);
    return send_rest(self);
}

static tina_effect send_rest(const connection *self) {
    uint64_t timeout_ns = self->shard->program->server.write_timeout_ns;
    size_t bytes = self->sending.bytes < SEND_BYTES_MAX ? self->sending.bytes : SEND_BYTES_MAX;
    tina_io_op op = tina_op_send(self->fd, self->sending.data, (uint32_t)bytes);
    return tina_io(tina_op_within(op, timeout_ns));
}

static tina_effect file_next(connection *self) {
    http_file_response *file = &self->context->file;
    uint64_t timeout_ns = self->shard->program->server.write_timeout_ns;
    TINA_ASSERT(self->state == CONNECTION_FILE);
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

// Not by yielding: a shard that is never idle would take the core from the kernel's worker that
// opens files, whose end is what is waited for.
static tina_effect place_await(tina_ctx *ctx, connection *self) {
    http_context *context = self->context;
    self->state = CONNECTION_PLACELESS;
    TINA_ASSERT(context->timer.bits == 0);
    context->timer = tina_timer_set(ctx, PLACE_RETRY_NS, 0);
    return context->timer.bits != 0 ? tina_receive() : tina_yield();
}

static tina_effect place_retry(connection *self) {
    TINA_ASSERT(self->state == CONNECTION_PLACELESS);
    self->context->timer = (tina_timer){0};
    self->state = CONNECTION_FILE;
    return file_next(self);
}

// A file that has become shorter leaves the client with less than it was told, which it sees when
// the connection ends.
static tina_effect file_done(tina_ctx *ctx, connection *self, const tina_message *m) {
    http_context *context = self->context;
    TINA_ASSERT(self->state == CONNECTION_FILE);
    if (m->io.result == TINA_IO_OPS_FULL) // other requests' opens and stats have all places
        return place_await(ctx, self);
    uint64_t asked = context->file.left < SEND_BYTES_MAX ? context->file.left : SEND_BYTES_MAX;
    bool sending = context->file.state == HTTP_FILE_SEND;
    http_context_file_done(self->shard, context, ctx, &m->io);
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // told_to_shut_down is next
    if (sending && m->io.result < 0) {
        self->shard->counters.timeouts += m->io.result == TINA_IO_TIMED_OUT;
        return leave(ctx, self);
    }
    if (sending && m->io.bytes < asked)
        return finish(ctx, self);
    self->state = CONNECTION_READING;
    return answer(ctx, self);
}

// Nothing of what is left to send will be.
static void context_end(tina_ctx *ctx, connection *self) {
    http_context *context = self->context;
    if (context == NULL)
        return;
    if (self->state == CONNECTION_SENDING)
        context->unsent_bytes = self->sending.bytes + context->tail.bytes;
    http_log_request(self->shard, context, ctx);
    http_context_give(self->shard, tina_handle_slot(tina_self(ctx)));
    self->context = NULL;
}

static tina_effect finish(tina_ctx *ctx, connection *self) {
    context_end(ctx, self);
    if (self->ended || tina_socket_shutdown(ctx, self->fd, TINA_SHUTDOWN_WRITE) < 0)
        return leave(ctx, self);
    self->state = CONNECTION_LINGERING;
    self->deadline_ns = tina_now_ns(ctx) + self->shard->program->server.linger_timeout_ns;
    return linger(ctx, self);
}

static tina_effect linger(tina_ctx *ctx, connection *self) {
    TINA_ASSERT(self->state == CONNECTION_LINGERING && self->context == NULL);
    uint64_t now_ns = tina_now_ns(ctx);
    if (self->deadline_ns <= now_ns)
        return leave(ctx, self);
    if (self->watching)
        return watch_end(ctx, self);
    uint32_t bytes = self->shard->program->server.head_bytes;
    return receive(ctx, self, bytes, self->deadline_ns - now_ns);
}

// The runtime closes the socket.
static tina_effect leave(tina_ctx *ctx, connection *self) {
    http_shard *shard = self->shard;
    context_end(ctx, self);
    http_shard_leave(shard, tina_handle_slot(tina_self(ctx)));
    if (!tina_handle_is_none(shard->listener)) {
        // Lost only when the pool of messages is empty, and then the listener's timer does it.
        tina_send(ctx, shard->listener, HTTP_TAG_CONNECTION_ENDED, NULL, 0);
        shard->listener = tina_handle_none();
    }
    return tina_done();
}

const tina_isolate_type http_connection_type = {
    .name = "http_connection",
    .heir = &http_refusal_type,
    .init = connection_init,
    .handle = connection_handle,
    .struct_bytes = sizeof(connection),
    .mailbox_max = 64,
    .ops_max = 8,
};
