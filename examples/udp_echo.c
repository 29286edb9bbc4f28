// SPDX-License-Identifier: Apache-2.0
//
// UDP echo: one isolate that sends each datagram back to where it came from.

#include <string.h>

#include "examples/arguments.h"
#include "tina.h"

#define DATAGRAM_BYTES_MAX 65507u // IPv4's, less its head and UDP's

typedef struct echo {
    tina_fd fd;
    tina_address sender;
    uint8_t datagram[DATAGRAM_BYTES_MAX];
} echo;

static tina_effect echo_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    echo *self = self_;
    tina_address address = **(const tina_address *const *)args.data;
    char text[TINA_ADDRESS_TEXT_BYTES];
    int32_t result = tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &self->fd);
    if (result == 0)
        result = tina_socket_bind(ctx, self->fd, &address);
    if (result == 0)
        result = tina_socket_local_address(ctx, self->fd, &address);
    tina_address_format(&address, text);
    if (result < 0) {
        tina_log(ctx, TINA_LOG_ERROR, "cannot receive on %s: %s; choose another --port", text,
                 tina_io_error_text(result));
        return tina_crash(1);
    }
    tina_log(ctx, TINA_LOG_INFO, "listening on %s (%s)", text, tina_backend_name(ctx));
    return tina_io_recvfrom(self->fd, sizeof self->datagram);
}

static tina_effect echo_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    echo *self = self_;
    switch (m->tag) {
    case TINA_IO_RECVFROM_DONE:
        if (m->io.result < 0)
            return m->io.result == TINA_IO_CANCELED ? tina_receive() : tina_crash(m->io.result);
        self->sender = *m->io.from;
        if (m->io.result > 0)
            memcpy(self->datagram, tina_io_data(ctx, m), (size_t)m->io.result);
        return tina_io_sendto(self->fd, self->datagram, (size_t)m->io.result, &self->sender);
    case TINA_IO_SENDTO_DONE:
        // One that cannot be answered is lost, as datagrams may be.
        return tina_io_recvfrom(self->fd, sizeof self->datagram);
    default:
        return tina_done();
    }
}

static const tina_isolate_type echo_type = {
    .name = "echo", .init = echo_init, .handle = echo_handle, .struct_bytes = sizeof(echo)};

static const char usage[] =
    "usage: udp_echo [--port PORT] [--backend BACKEND]\n"
    "Sends back what it receives, on 127.0.0.1. PORT 0, the default, lets the kernel choose.\n"
    "BACKEND is io_uring, epoll, or auto, the default: the one that is granted.\n";

int main(int argc, char **argv) {
    static tina_address address;
    arguments given = {.program = "udp_echo", .usage = usage};
    int status = arguments_read(&given, argc, argv);
    if (status >= 0)
        return status;
    address = tina_address_ipv4(127, 0, 0, 1, given.port);
    static const tina_address *const receive_on = &address;
    const tina_type_slots types[] = {{&echo_type, 1}};
    const tina_child children[] = {
        {"echo", &echo_type, tina_bytes_of(&receive_on, sizeof receive_on)}};
    const tina_spec spec = {
        .name = "udp_echo",
        .types = types,
        .type_count = 1,
        .root = {.children = children, .child_count = 1},
        .fd_count = 4,
        .buffer_count = 4,
        .buffer_bytes = 65536, // a datagram
        .backend = given.backend,
    };
    return tina_run(&spec);
}
