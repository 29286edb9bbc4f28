// SPDX-License-Identifier: Apache-2.0
//
// TCP proxy: one listener, and one isolate a connection that carries bytes both ways at once.
//
//     client ──recv──▶ piece ──send──▶ upstream      each way on its own: it receives again when
//     client ◀──send── piece ◀──recv── upstream      what it has is sent, and not before
//
// An end of one side's bytes is passed on as such, and the other way goes on. A reset of one side
// resets the other.

#include <errno.h>
#include <string.h>

#include "examples/arguments.h"
#include "tina.h"

#define PIECE_BYTES 16384u

enum {
    CLIENT = 0,
    UPSTREAM = 1,
    SIDE_COUNT = 2,
    CONNECTION_COUNT = 512,
    RETRY_NS = 100000000,
};

// What comes from a side goes to the other.
typedef struct side {
    tina_fd fd;
    bool ended; // no more bytes come from it
    uint8_t piece[PIECE_BYTES];
} side;

typedef struct proxy {
    side sides[SIDE_COUNT];
} proxy;

typedef struct proxy_args {
    tina_fd client;
    const tina_address *to;
} proxy_args;

static tina_effect proxy_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    proxy *self = self_;
    const proxy_args *given = args.data;
    tina_fd *upstream = &self->sides[UPSTREAM].fd;
    self->sides[CLIENT].fd = given->client;
    int32_t result =
        tina_socket_open(ctx, (tina_address_family)given->to->family, TINA_SOCKET_STREAM, upstream);
    if (result < 0) {
        tina_log(ctx, TINA_LOG_WARNING, "no socket for a connection: %s",
                 tina_io_error_text(result));
        return tina_done();
    }
    return tina_io_connect(*upstream, given->to);
}

// Both sides go with the isolate; what one of them was not told is then a reset, not an end.
static tina_effect give_up(tina_ctx *ctx, proxy *self) {
    for (int i = 0; i < SIDE_COUNT; i++)
        (void)tina_socket_set_option(ctx, self->sides[i].fd, TINA_OPTION_LINGER, 0);
    return tina_done();
}

static bool receive_from(tina_ctx *ctx, const side *from) {
    tina_io_id id;
    return tina_submit(ctx, tina_op_recv(from->fd, PIECE_BYTES), &id) == 0;
}

static tina_effect on_connect(tina_ctx *ctx, proxy *self, const tina_message *m) {
    char text[TINA_ADDRESS_TEXT_BYTES];
    if (m->io.result < 0) {
        tina_address to = {0};
        (void)tina_socket_peer_address(ctx, self->sides[CLIENT].fd, &to);
        tina_address_format(&to, text);
        tina_log(ctx, TINA_LOG_WARNING, "cannot connect for %s: %s", text,
                 tina_io_error_text(m->io.result));
        return give_up(ctx, self);
    }
    for (int i = 0; i < SIDE_COUNT; i++)
        if (!receive_from(ctx, &self->sides[i]))
            return give_up(ctx, self);
    return tina_receive();
}

static int side_of(const proxy *self, tina_fd fd) {
    return fd.bits == self->sides[CLIENT].fd.bits ? CLIENT : UPSTREAM;
}

static tina_effect on_recv(tina_ctx *ctx, proxy *self, const tina_message *m) {
    int from = side_of(self, m->io.fd);
    side *source = &self->sides[from];
    tina_fd to = self->sides[1 - from].fd;
    tina_io_id id;
    if (m->io.result < 0)
        return give_up(ctx, self);
    if (m->io.result == 0) {
        source->ended = true;
        if (self->sides[1 - from].ended)
            return tina_done();
        // Fails when that side is gone, which its own receive tells.
        (void)tina_socket_shutdown(ctx, to, TINA_SHUTDOWN_WRITE);
        return tina_receive();
    }
    memcpy(source->piece, tina_io_data(ctx, m), (size_t)m->io.result);
    tina_io_op send = tina_op_send(to, source->piece, (uint32_t)m->io.result);
    return tina_submit(ctx, send, &id) == 0 ? tina_receive() : give_up(ctx, self);
}

static tina_effect on_send(tina_ctx *ctx, proxy *self, const tina_message *m) {
    int to = side_of(self, m->io.fd);
    bool goes_on = m->io.result > 0 && receive_from(ctx, &self->sides[1 - to]);
    return goes_on ? tina_receive() : give_up(ctx, self);
}

static tina_effect proxy_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    proxy *self = self_;
    switch (m->tag) {
    case TINA_IO_CONNECT_DONE:
        return on_connect(ctx, self, m);
    case TINA_IO_RECV_DONE:
        return on_recv(ctx, self, m);
    case TINA_IO_SEND_DONE:
        return on_send(ctx, self, m);
    default:
        return tina_done();
    }
}

static const tina_isolate_type proxy_type = {
    .name = "proxy", .init = proxy_init, .handle = proxy_handle, .struct_bytes = sizeof(proxy)};

typedef struct listener {
    tina_fd fd;
    const tina_address *to;
} listener;

typedef struct listener_args {
    tina_address on;
    tina_address to;
} listener_args;

static tina_effect listener_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    listener *self = self_;
    const listener_args *given = *(const listener_args *const *)args.data;
    char text[TINA_ADDRESS_TEXT_BYTES];
    self->to = &given->to;
    int32_t result = tina_listen(ctx, &given->on, 1024, &self->fd);
    if (result < 0) {
        tina_address_format(&given->on, text);
        tina_log(ctx, TINA_LOG_ERROR, "cannot listen on %s: %s; choose another --port", text,
                 tina_io_error_text(result));
        return tina_crash(1);
    }
    tina_address bound;
    tina_socket_local_address(ctx, self->fd, &bound);
    tina_address_format(&bound, text);
    tina_log(ctx, TINA_LOG_INFO, "listening on %s (%s)", text, tina_backend_name(ctx));
    return tina_io_accept(self->fd);
}

static tina_effect on_accept(tina_ctx *ctx, listener *self, const tina_message *m) {
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive();
    if (m->io.result < 0) {
        // No fd to be had: let connections wait in the backlog and look again soon.
        tina_timer_set(ctx, RETRY_NS, 0);
        return tina_receive();
    }
    proxy_args args = {m->io.fd, self->to};
    if (tina_spawn_with_fd(ctx, &proxy_type, tina_bytes_of(&args, sizeof args), m->io.fd, NULL) !=
        TINA_SPAWN_OK)
        return tina_io_close(m->io.fd);
    return tina_io_accept(self->fd);
}

static tina_effect listener_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    listener *self = self_;
    switch (m->tag) {
    case TINA_IO_ACCEPT_DONE:
        return on_accept(ctx, self, m);
    case TINA_IO_CLOSE_DONE:
    case TINA_TIMER:
        return tina_io_accept(self->fd);
    default:
        return tina_done();
    }
}

static const tina_isolate_type listener_type = {.name = "listener",
                                                .init = listener_init,
                                                .handle = listener_handle,
                                                .struct_bytes = sizeof(listener)};

static const char usage[] =
    "usage: tcp_proxy --to ADDRESS:PORT [--port PORT] [--backend BACKEND]\n"
    "Carries connections to 127.0.0.1:PORT on to ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH.\n"
    "PORT 0, the default, lets the kernel choose.\n"
    "BACKEND is io_uring, epoll, or auto, the default: the one that is granted.\n";

int main(int argc, char **argv) {
    static listener_args listening;
    arguments given = {.program = "tcp_proxy", .usage = usage};
    int status = arguments_read(&given, argc, argv);
    if (status >= 0)
        return status;
    if (given.to.family == TINA_ADDRESS_NONE)
        return arguments_refuse(&given, "where to is missing:", "--to");
    listening = (listener_args){tina_address_ipv4(127, 0, 0, 1, given.port), given.to};
    static const listener_args *const listen_as = &listening;
    const tina_type_slots types[] = {{&listener_type, 1}, {&proxy_type, CONNECTION_COUNT}};
    const tina_child children[] = {
        {"listener", &listener_type, tina_bytes_of(&listen_as, sizeof listen_as)}};
    const tina_spec spec = {
        .name = "tcp_proxy",
        .types = types,
        .type_count = 2,
        .root = {.children = children, .child_count = 1},
        .fd_count = 2 * CONNECTION_COUNT + 8,
        .address_count = CONNECTION_COUNT,
        .buffer_bytes = PIECE_BYTES,
        .backend = given.backend,
    };
    return tina_run(&spec);
}
