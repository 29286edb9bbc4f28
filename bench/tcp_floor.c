// SPDX-License-Identifier: Apache-2.0
//
// The floor of a TCP echo server on one core: an epoll loop, and nothing around it.
//
// Level-triggered, one recv and one send for each readable socket, which is the least that a loop
// on epoll makes of a message. tcp_floor [--port N] listens on 127.0.0.1, on a free port if N is 0.
// A peer that reads nothing loses what does not fit; it is a measure, not a server.

#define _GNU_SOURCE // accept4

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 1024,
    BUFFER_BYTES = 4096,
};

static int check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "tcp_floor: %s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static int listen_on_loopback(uint16_t port) {
    int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    check(bind(fd, (struct sockaddr *)&address, bytes), "bind");
    check(listen(fd, 4096), "listen");
    check(getsockname(fd, (struct sockaddr *)&address, &bytes), "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void on_connection(int epoll, int listener) {
    int one = 1;
    int fd = check(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), "accept4");
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    watch(epoll, fd);
}

static void on_readable(int fd) {
    static char buffer[BUFFER_BYTES];
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received <= 0 || send(fd, buffer, (size_t)received, MSG_NOSIGNAL) < 0)
        close(fd);
}

int main(int argc, char **argv) {
    const char *port = argc == 3 && strcmp(argv[1], "--port") == 0 ? argv[2] : "0";
    int listener = listen_on_loopback((uint16_t)atoi(port));
    int epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    watch(epoll, listener);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        if (count < 0 && errno != EINTR)
            check(count, "epoll_wait");
        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                on_connection(epoll, listener);
            else
                on_readable(events[i].data.fd);
    }
}
