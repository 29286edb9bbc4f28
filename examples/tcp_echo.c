// SPDX-License-Identifier: Apache-2.0
//
// TCP echo: one listener a shard, and one isolate a connection that sends back what it receives.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "examples/fault.h"
#include "tina.h"

typedef struct echo {
    tina_fd fd;
    uint8_t buffer[4096];
} echo;

static tina_effect echo_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    (void)ctx;
    echo *self = self_;
    self->fd = *(const tina_fd *)args.data;
    return tina_io_recv(self->fd, sizeof self->buffer);
}

static tina_effect echo_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    echo *self = self_;
    switch (m->tag) {
    case TINA_IO_RECV_DONE:
        if (m->io.result <= 0)
            return tina_io_close(self->fd);
        memcpy(self->buffer, tina_io_data(ctx, m), (size_t)m->io.result);
        return tina_io_send(self->fd, self->buffer, (size_t)m->io.result);
    case TINA_IO_SEND_DONE:
        return m->io.result < 0 ? tina_io_close(self->fd)
                                : tina_io_recv(self->fd, sizeof self->buffer);
    default:
        return tina_done();
    }
}

static const tina_isolate_type echo_type = {
    .name = "echo", .init = echo_init, .handle = echo_handle, .struct_bytes = sizeof(echo)};

// What --chaos makes of every third connection: one that faults at the second piece it receives.
typedef struct doomed {
    echo echo;
    fault kind;
    uint32_t pieces;
} doomed;

typedef struct doomed_args {
    tina_fd fd;
    fault kind;
} doomed_args;

static tina_effect doomed_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    doomed *self = self_;
    const doomed_args *given = args.data;
    self->kind = given->kind;
    return echo_init(ctx, &self->echo, tina_bytes_of(&given->fd, sizeof given->fd));
}

static tina_effect doomed_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    doomed *self = self_;
    if (m->tag == TINA_IO_RECV_DONE && m->io.result > 0 && ++self->pieces == 2)
        return fault_commit(self->kind);
    return echo_handle(ctx, &self->echo, m);
}

static const tina_isolate_type doomed_type = {
    .name = "doomed", .init = doomed_init, .handle = doomed_handle, .struct_bytes = sizeof(doomed)};

typedef struct settings {
    tina_address address;
    bool chaos;
} settings;

typedef struct listener {
    tina_fd fd;
    bool chaos;
    uint32_t accepted;
} listener;

enum {
    RETRY_NS = 100000000
};

// A loop would hold up the others until it is cut, so it is not among the faults here.
static tina_spawn_result connection_spawn(tina_ctx *ctx, listener *self, tina_fd fd) {
    uint32_t number = self->accepted++;
    if (!self->chaos || number % 3 != 2)
        return tina_spawn_with_fd(ctx, &echo_type, tina_bytes_of(&fd, sizeof fd), fd, NULL);
    const doomed_args args = {fd, (fault)(number / 3 % FAULT_LOOP)};
    return tina_spawn_with_fd(ctx, &doomed_type, tina_bytes_of(&args, sizeof args), fd, NULL);
}

// The kernel gives each connection to one of the listeners that share the port.
static int32_t shared_listen(tina_ctx *ctx, const tina_address *address, tina_fd *fd) {
    int32_t result = tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, fd);
    if (result == 0)
        result = tina_socket_set_option(ctx, *fd, TINA_OPTION_REUSE_PORT, 1);
    if (result == 0)
        result = tina_socket_bind(ctx, *fd, address);
    return result == 0 ? tina_socket_listen(ctx, *fd, 1024) : result;
}

static tina_effect listener_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    listener *self = self_;
    const settings *given = *(const settings *const *)args.data;
    const tina_address *address = &given->address;
    self->chaos = given->chaos;
    char text[TINA_ADDRESS_TEXT_BYTES];
    int32_t result = tina_shard_count(ctx) > 1 ? shared_listen(ctx, address, &self->fd)
                                               : tina_listen(ctx, address, 1024, &self->fd);
    if (result < 0) {
        tina_address_format(address, text);
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

static tina_effect listener_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    listener *self = self_;
    switch (m->tag) {
    case TINA_IO_ACCEPT_DONE:
        if (m->io.result == TINA_IO_CANCELED)
            return tina_receive();
        if (m->io.result < 0) {
            // No fd to be had: let connections wait in the backlog and look again soon.
            tina_timer_set(ctx, RETRY_NS, 0);
            return tina_receive();
        }
        if (connection_spawn(ctx, self, m->io.fd) != TINA_SPAWN_OK)
            return tina_io_close(m->io.fd);
        return tina_io_accept(self->fd);
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
    "usage: tcp_echo [--port PORT] [--backend BACKEND] [--shards N] [--chaos]\n"
    "Sends back what it receives, on 127.0.0.1. PORT 0, the default, lets the kernel choose.\n"
    "BACKEND is io_uring, epoll, or auto, the default: the one that is granted.\n"
    "N threads serve, 1 to 255, by default 1; each has a core of its own if there are enough.\n"
    "With --chaos every third connection faults, which is the end of that connection alone.\n";

static int refuse(const char *what, const char *word) {
    fprintf(stderr, "tcp_echo: %s %s; see --help\n", what, word);
    return 1;
}

static bool number_read(const char *text, uint32_t least, uint32_t most, uint32_t *number) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *number = (uint32_t)value;
    return *text >= '0' && *text <= '9' && !*end && value >= least && value <= most;
}

// Holds the port that the shards share, also when the kernel is to choose it. A socket that is
// bound only gets no connections. Returns false when there is none to be had.
static bool port_hold(uint32_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t bytes = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&address, bytes) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        return false;
    *port = ntohs(address.sin_port);
    return true;
}

typedef struct options {
    uint32_t port;
    uint32_t shards;
    tina_backend backend;
    bool chaos;
} options;

// Returns 0, or 1 when it has said what is wrong.
static int value_read(options *into, const char *name, const char *value) {
    bool port = strcmp(name, "--port") == 0;
    bool shards = strcmp(name, "--shards") == 0;
    if (!port && !shards && strcmp(name, "--backend") != 0)
        return refuse("unknown argument", name);
    if (!value)
        return refuse("a value is missing after", name);
    if (port && !number_read(value, 0, 65535, &into->port))
        return refuse("--port takes a number from 0 to 65535, not", value);
    if (shards && !number_read(value, 1, TINA_SHARD_COUNT_MAX, &into->shards))
        return refuse("--shards takes a number from 1 to 255, not", value);
    if (!port && !shards && !tina_backend_parse(value, &into->backend))
        return refuse("--backend takes auto, io_uring or epoll, not", value);
    return 0;
}

int main(int argc, char **argv) {
    static settings given;
    options read = {.shards = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return fputs(usage, stdout) < 0;
        if (strcmp(argv[i], "--chaos") == 0)
            read.chaos = true;
        else if (value_read(&read, argv[i], argv[i + 1]) != 0)
            return 1;
        else
            i++;
    }
    if (read.shards > 1 && !port_hold(&read.port))
        return refuse("the port cannot be had; choose another", "--port");
    given.address = tina_address_ipv4(127, 0, 0, 1, (uint16_t)read.port);
    given.chaos = read.chaos;
    static const settings *const chosen = &given;
    const tina_type_slots types[] = {{&listener_type, 1}, {&echo_type, 1024}, {&doomed_type, 512}};
    const tina_child children[] = {
        {"listener", &listener_type, tina_bytes_of(&chosen, sizeof chosen)}};
    const tina_spec spec = {
        .name = "tcp_echo",
        .types = types,
        .type_count = given.chaos ? 3 : 2,
        .root = {.children = children, .child_count = 1},
        .fd_count = 1100,
        .shard_count = read.shards,
        .backend = read.backend,
    };
    return tina_run(&spec);
}
