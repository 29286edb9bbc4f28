// SPDX-License-Identifier: Apache-2.0
//
// The listener: accepts, and gives each connection to an isolate of its own, on this shard or, in
// turn, on another.
//
// When every connection slot is taken it keeps the one connection that it has accepted and stops:
// the others wait in the kernel's backlog, where waiting costs nothing, until a connection ends.

#include "core/assert.h"
#include "http/connection.h"
#include "http/overflow.h"
#include "http/shard.h"
#include "sched/ctx.h"

// For a client that reads nothing of a large response the kernel would keep megabytes, made while
// others wait for the shard. Beyond what is under way a fast one needs no more than this.
#define UNSENT_BYTES 131072

#define RETRY_NS                                                                                   \
    UINT64_C(100000000) // after the OS refused, or when no connection says that it ends

typedef enum listener_state {
    LISTENER_ACCEPTING = 0,
    LISTENER_FULL,    // `held` waits for a connection slot; a timer is set
    LISTENER_REFUSED, // accept failed; a timer is set
    LISTENER_ABSENT,  // another shard's listens for this one; a timer is set when leaving
} listener_state;

typedef struct listener {
    http_shard *shard;
    tina_fd fd;
    tina_fd held;
    tina_timer timer;
    uint64_t leave_ns; // when to stop accepting; 0: it was not told to
    uint32_t next;     // the shard whose turn it is
    uint8_t state;     // listener_state
    bool complaining;  // the last accept failed, and the log says so
} listener;

static int32_t listen_begin(tina_ctx *ctx, listener *self, http_program *program);
static int32_t socket_listen(tina_ctx *ctx, listener *self, const http_program *program);
static tina_effect absent(listener *self);
static tina_effect accept_next(tina_ctx *ctx, listener *self);
static tina_effect leave(tina_ctx *ctx, listener *self);
static int32_t socket_adopt(tina_ctx *ctx, listener *self);
static int32_t options_set(tina_ctx *ctx, tina_fd fd);
static tina_effect end(const listener *self);
static tina_effect accepted(tina_ctx *ctx, listener *self, const tina_message *m);
static tina_effect accept_refused(tina_ctx *ctx, listener *self, int32_t result);
static tina_effect connection_begin(tina_ctx *ctx, listener *self);
static bool connection_place(tina_ctx *ctx, listener *self);
static tina_effect retry(tina_ctx *ctx, listener *self);
static tina_effect wait(tina_ctx *ctx, listener *self, listener_state state);

static tina_effect listener_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    listener *self = self_;
    TINA_ASSERT(args.bytes == sizeof(http_program *));
    http_program *program = *(http_program *const *)args.data;
    self->shard = http_shard_open(ctx, program);
    self->next = tina_shard_number(ctx);
    if (tina_shard_count(ctx) > 1 && tina_shard_number(ctx) > 0 && !http_all_listen(program))
        return absent(self);
    int32_t result = listen_begin(ctx, self, program);
    if (result < 0) {
        char text[TINA_ADDRESS_TEXT_BYTES];
        tina_address_format(&program->address, text);
        tina_log(ctx, TINA_LOG_ERROR, "cannot listen on %s: %s", text, tina_io_error_text(result));
        return tina_crash(result);
    }
    return accept_next(ctx, self);
}

static tina_effect listener_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    listener *self = self_;
    switch (m->tag) {
    case TINA_IO_ACCEPT_DONE:
        return accepted(ctx, self, m);
    case TINA_TIMER:
    case TINA_YIELDED:
    case HTTP_TAG_CONNECTION_ENDED:
        return retry(ctx, self);
    case TINA_SHUTDOWN:
        return leave(ctx, self);
    case TINA_IO_CLOSE_DONE: // one that is refused
        self->held = tina_fd_none();
        return m->io.result == TINA_IO_CANCELED ? tina_receive() : accept_next(ctx, self);
    case TINA_IO_UNLINK_DONE:
        return tina_done();
    default:
        return tina_receive(); // a stranger's message
    }
}

static int32_t listen_begin(tina_ctx *ctx, listener *self, http_program *program) {
    int32_t result = program->server.inherited_fd != 0 ? socket_adopt(ctx, self)
                                                       : socket_listen(ctx, self, program);
    tina_address address = {0};
    if (result == 0)
        result = tina_socket_local_address(ctx, self->fd, &address);
    if (result < 0)
        return result;
    if (program->server.inherited_fd != 0)
        program->address = address;
    if (program->address.port == 0 && address.family != TINA_ADDRESS_UNIX)
        program->port_chosen = address.port;
    http_ready(ctx, program);
    return 0;
}

// It hears that the server drains before any connection of the shard does, for all of them.
static tina_effect absent(listener *self) {
    self->state = LISTENER_ABSENT;
    return tina_receive();
}

static tina_effect accept_next(tina_ctx *ctx, listener *self) {
    self->state = LISTENER_ACCEPTING;
    if (self->leave_ns == 0)
        return tina_io_accept(self->fd);
    uint64_t now_ns = tina_now_ns(ctx);
    if (self->leave_ns <= now_ns)
        return end(self);
    return tina_io(tina_op_within(tina_op_accept(self->fd), self->leave_ns - now_ns));
}

// From here on the server is not ready; it goes on accepting for a while, if so told.
static tina_effect leave(tina_ctx *ctx, listener *self) {
    http_program *program = self->shard->program->self;
    const http_server *server = &program->server;
    bool first = tina_atomic_u32_fetch_add(&program->leaving, 1) == 0;
    if (first && server->leaving != NULL)
        server->leaving(server->leaving_context);
    self->shard->leaving = true;
    self->leave_ns = tina_now_ns(ctx) + server->lame_duck_ns;
    if (server->lame_duck_ns == 0)
        return end(self);
    if (self->state == LISTENER_ACCEPTING)
        return accept_next(ctx, self);
    if (self->state == LISTENER_ABSENT && tina_timer_set(ctx, server->lame_duck_ns, 0).bits == 0)
        return end(self);
    return tina_receive(); // for the timer
}

// The runtime closes the sockets; a Unix socket's name is removed while it is surely ours.
static tina_effect end(const listener *self) {
    const http_program *program = self->shard->program;
    const tina_address *address = &program->address;
    self->shard->draining = true;
    self->shard->listener = tina_handle_none();
    if (self->state != LISTENER_ABSENT && address->family == TINA_ADDRESS_UNIX &&
        program->server.inherited_fd == 0)
        return tina_io(tina_op_unlink(address->path));
    return tina_done();
}

static int32_t socket_adopt(tina_ctx *ctx, listener *self) {
    tina_address address;
    int32_t result = tina_socket_adopt(ctx, self->shard->program->server.inherited_fd, &self->fd);
    if (result == 0)
        result = tina_socket_local_address(ctx, self->fd, &address);
    return result == 0 && address.family != TINA_ADDRESS_UNIX ? options_set(ctx, self->fd) : result;
}

// Accepted sockets inherit them. With TCP_NODELAY a response's last segment does not wait for an
// acknowledgement.
static int32_t options_set(tina_ctx *ctx, tina_fd fd) {
    int32_t result = tina_socket_set_option(ctx, fd, TINA_OPTION_NO_DELAY, 1);
    return result == 0 ? tina_socket_set_option(ctx, fd, TINA_OPTION_UNSENT_BYTES, UNSENT_BYTES)
                       : result;
}

static int32_t socket_listen(tina_ctx *ctx, listener *self, const http_program *program) {
    tina_address address = program->address;
    uint32_t backlog = program->server.backlog;
    bool is_unix = address.family == TINA_ADDRESS_UNIX;
    if (address.port == 0 && !is_unix)
        address.port = program->port_chosen;
    int32_t result =
        tina_socket_open(ctx, (tina_address_family)address.family, TINA_SOCKET_STREAM, &self->fd);
    if (result == 0)
        result = tina_socket_set_option(ctx, self->fd, TINA_OPTION_REUSE_ADDRESS, 1);
    if (result == 0 && !is_unix && tina_shard_count(ctx) > 1 && http_all_listen(program))
        result = tina_socket_set_option(ctx, self->fd, TINA_OPTION_REUSE_PORT, 1);
    if (result == 0 && !is_unix)
        result = options_set(ctx, self->fd);
    if (result == 0)
        result = tina_socket_bind(ctx, self->fd, &address);
    return result == 0 ? tina_socket_listen(ctx, self->fd, backlog) : result;
}

static tina_effect accepted(tina_ctx *ctx, listener *self, const tina_message *m) {
    TINA_ASSERT(self->state == LISTENER_ACCEPTING);
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // TINA_SHUTDOWN is next
    if (m->io.result == TINA_IO_TIMED_OUT)
        return end(self);
    if (m->io.result < 0)
        return accept_refused(ctx, self, m->io.result);
    if (self->complaining)
        tina_log(ctx, TINA_LOG_INFO, "accepting connections again");
    self->complaining = false;
    self->held = m->io.fd;
    return connection_begin(ctx, self);
}

// Whatever the reason, the next try comes after a while: accept(2) may go on failing for as long as
// a limit is reached, and would then keep the processor busy with nothing.
static tina_effect accept_refused(tina_ctx *ctx, listener *self, int32_t result) {
    self->shard->counters.accepts_failed++;
    if (!self->complaining)
        tina_log(ctx, TINA_LOG_WARNING, "a connection cannot be accepted: %s; trying again",
                 tina_io_error_text(result));
    self->complaining = true;
    return wait(ctx, self, LISTENER_REFUSED);
}

static tina_effect connection_begin(tina_ctx *ctx, listener *self) {
    bool placed = connection_place(ctx, self);
    if (!placed && self->shard->program->server.overflow != HTTP_OVERFLOW_WAIT) {
        if (!http_overflow_refuse(self->shard, ctx, self->held))
            return tina_io_close(self->held);
        placed = true;
    }
    if (!placed) {
        self->shard->counters.accepts_delayed += self->state == LISTENER_ACCEPTING;
        self->shard->listener = tina_self(ctx);
        return wait(ctx, self, LISTENER_FULL);
    }
    self->shard->listener = tina_handle_none();
    self->held = tina_fd_none();
    return accept_next(ctx, self);
}

static bool place_there(tina_ctx *ctx, const listener *self, uint32_t shard) {
    tina_handle dispatcher = self->shard->dispatchers[shard];
    if (tina_handle_is_none(dispatcher) ||
        tina_handoff(ctx, dispatcher, HTTP_TAG_HANDED_OVER, self->held, TINA_RIGHT_FULL) !=
            TINA_SEND_OK)
        return false;
    self->shard->counters.handed_over++;
    self->shard->given[shard]++;
    return true;
}

static bool place_at(tina_ctx *ctx, const listener *self, uint32_t shard) {
    return shard == tina_shard_number(ctx) ? http_connection_begin(ctx, self->held)
                                           : place_there(ctx, self, shard);
}

static uint32_t turn_next(tina_ctx *ctx, listener *self) {
    uint32_t shard = self->next;
    self->next = shard + 1 < tina_shard_count(ctx) ? shard + 1 : 0;
    return shard;
}

// Of those with the fewest connections, the one whose turn comes first.
static uint32_t least_loaded(tina_ctx *ctx, listener *self) {
    uint32_t own = tina_shard_number(ctx);
    uint32_t least = own;
    uint32_t least_load = UINT32_MAX;
    for (uint32_t i = 0; i < tina_shard_count(ctx); i++) {
        uint32_t shard = turn_next(ctx, self);
        if (shard != own && tina_handle_is_none(self->shard->dispatchers[shard]))
            continue;
        uint32_t load = http_shard_load(self->shard, shard);
        if (load >= least_load)
            continue;
        least = shard;
        least_load = load;
    }
    (void)turn_next(ctx, self);
    return least;
}

// The least loaded shard if that is wanted, or the next shard that takes it. Shards without a
// dispatcher, of which a server whose shards keep what they accept has none, are passed over.
static bool connection_place(tina_ctx *ctx, listener *self) {
    uint32_t count = tina_shard_count(ctx);
    if (count == 1)
        return http_connection_begin(ctx, self->held);
    if (self->shard->program->server.spread == HTTP_SPREAD_LEAST &&
        place_at(ctx, self, least_loaded(ctx, self)))
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (place_at(ctx, self, turn_next(ctx, self)))
            return true;
    return false;
}

static tina_effect retry(tina_ctx *ctx, listener *self) {
    if (self->leave_ns != 0 && self->leave_ns <= tina_now_ns(ctx))
        return end(self);
    switch ((listener_state)self->state) {
    case LISTENER_FULL:
        tina_timer_cancel(ctx, self->timer);
        return connection_begin(ctx, self);
    case LISTENER_ABSENT:
        return tina_receive(); // a stranger's message
    case LISTENER_REFUSED:
    case LISTENER_ACCEPTING:
        break;
    }
    return accept_next(ctx, self);
}

static tina_effect wait(tina_ctx *ctx, listener *self, listener_state state) {
    self->state = (uint8_t)state;
    self->timer = tina_timer_set(ctx, RETRY_NS, 0);
    bool armed = self->timer.bits != 0;
    // Without a timer left, a connection that ends says so; but nobody says that accept works
    // again.
    return armed || state == LISTENER_FULL ? tina_receive() : tina_yield();
}

const tina_isolate_type http_listener_type = {
    .name = "http_listener",
    .init = listener_init,
    .handle = listener_handle,
    .struct_bytes = sizeof(listener),
};
