// SPDX-License-Identifier: Apache-2.0
//
// The load of a TCP echo server: each connection sends a message, waits for all of it to come back,
// and sends the next.
//
//     tcp_load PORT CONNECTIONS BYTES SECONDS
//
// It writes "messages N"; bytes that are not those sent, or a connection that ends, are an error.

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench/client.h"

enum {
    CONNECTIONS_MAX = 4096,
    BYTES_MAX = 4096,
    EVENTS_MAX = 256,
    SENTINEL_BYTES = 8, // that a message begins with: its connection and number
};

typedef struct caller {
    int fd;
    uint32_t number;
    size_t received;
    char message[BYTES_MAX];
} caller;

static caller callers[CONNECTIONS_MAX];
static uint64_t messages;

static void fail(const char *what) {
    client_fail("tcp_load", what);
}

static int connect_to(int port) {
    int fd = client_connect(port);
    if (fd < 0)
        fail("connect");
    return fd;
}

static void ask(uint32_t index, size_t bytes) {
    caller *self = &callers[index];
    self->number++;
    self->received = 0;
    memcpy(self->message, &index, sizeof index);
    memcpy(self->message + sizeof index, &self->number, sizeof self->number);
    if (send(self->fd, self->message, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        fail("send");
}

static void take(uint32_t index, size_t bytes) {
    static char came[BYTES_MAX];
    caller *self = &callers[index];
    ssize_t received = recv(self->fd, came, bytes - self->received, 0);
    if (received <= 0)
        fail("the connection ended");
    if (memcmp(came, self->message + self->received, (size_t)received) != 0) {
        fprintf(stderr, "tcp_load: other bytes came back\n");
        exit(1);
    }
    self->received += (size_t)received;
    if (self->received < bytes)
        return;
    messages++;
    ask(index, bytes);
}

int main(int argc, char **argv) {
    int port = argc == 5 ? atoi(argv[1]) : 0;
    int connections = argc == 5 ? atoi(argv[2]) : 0;
    int bytes = argc == 5 ? atoi(argv[3]) : 0;
    int seconds = argc == 5 ? atoi(argv[4]) : 0;
    if (connections < 1 || connections > CONNECTIONS_MAX || bytes < SENTINEL_BYTES ||
        bytes > BYTES_MAX || seconds < 1) {
        fprintf(stderr, "usage: tcp_load PORT CONNECTIONS BYTES SECONDS\n");
        return 1;
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < (uint32_t)connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        callers[i].fd = connect_to(port);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, callers[i].fd, &event) < 0)
            fail("epoll_ctl");
        ask(i, (size_t)bytes);
    }
    int64_t until_ns = client_now_ns() + seconds * SECOND_NS;
    while (client_now_ns() < until_ns) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, 1000);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++)
            take(events[i].data.u32, (size_t)bytes);
    }
    printf("messages %llu\n", (unsigned long long)messages);
    return 0;
}
