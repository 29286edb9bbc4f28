// SPDX-License-Identifier: Apache-2.0
//
// Many keep-alive connections of one process, each of which asks once and is then idle.
//
//     http_crowd SOURCE PORT COUNT
//
// It connects from the address SOURCE to 127.0.0.1:PORT, COUNT times at most, asks GET /hello on
// each and takes the right answer. It writes "held N", waits for a line on stdin, looks whether any
// was closed meanwhile, asks again on each, writes "answered N", and waits for stdin's end.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    COUNT_MAX = 1 << 20,
    AT_ONCE = 16, // Questions on their way: a server takes memory for each.
};

static const char question[] = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
static const char answer_end[] = "\r\n\r\nHello, World!\n";
static int sockets[COUNT_MAX];

// Returns -1 when no more can be had.
static int socket_open(const char *source, int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    // The kernel then chooses the source port at connect, when it knows both ends.
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (inet_pton(AF_INET, source, &from.sin_addr) != 1 ||
        bind(fd, (const struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        perror("http_crowd: connect");
        close(fd);
        return -1;
    }
    struct timeval patience = {.tv_sec = 30};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static bool ask(int fd) {
    return send(fd, question, sizeof question - 1, MSG_NOSIGNAL) == (ssize_t)sizeof question - 1;
}

static bool answered(int fd) {
    char answer[1024];
    size_t bytes = 0;
    size_t end = sizeof answer_end - 1;
    while (bytes < sizeof answer) {
        ssize_t received = recv(fd, answer + bytes, sizeof answer - bytes, 0);
        if (received <= 0)
            return false;
        bytes += (size_t)received;
        if (bytes >= end && memcmp(answer + bytes - end, answer_end, end) == 0)
            return memcmp(answer, "HTTP/1.1 200 ", 13) == 0;
    }
    return false;
}

// Returns how many of them were answered well.
static int all_ask(const int *fds, int count) {
    int good = 0;
    for (int i = 0; i < count; i++)
        if (!ask(fds[i]))
            perror("http_crowd: send");
    for (int i = 0; i < count; i++)
        good += answered(fds[i]);
    return good;
}

static int all_ask_in_turn(int count) {
    int good = 0;
    for (int i = 0; i < count; i += AT_ONCE)
        good += all_ask(&sockets[i], count - i < AT_ONCE ? count - i : AT_ONCE);
    return good;
}

static int sockets_fill(const char *source, int port, int count) {
    int held = 0;
    while (held < count) {
        int fd = socket_open(source, port);
        if (fd < 0)
            break;
        sockets[held++] = fd;
        if (held % AT_ONCE == 0 && all_ask(&sockets[held - AT_ONCE], AT_ONCE) != AT_ONCE)
            exit(1);
    }
    int rest = held % AT_ONCE;
    if (all_ask(&sockets[held - rest], rest) != rest)
        exit(1);
    return held;
}

// An idle connection has nothing to read, not even its end.
static int quiet_count(int count) {
    int quiet = 0;
    for (int i = 0; i < count; i++) {
        char byte;
        quiet += recv(sockets[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
    }
    return quiet;
}

int main(int argc, char **argv) {
    int count = argc == 4 ? atoi(argv[3]) : 0;
    if (count < 1 || count > COUNT_MAX) {
        fprintf(stderr, "usage: http_crowd SOURCE PORT COUNT\n");
        return 1;
    }
    char line[64];
    int held = sockets_fill(argv[1], atoi(argv[2]), count);
    printf("held %d\n", held);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        return 1;
    int quiet = quiet_count(held);
    int good = quiet == held ? all_ask_in_turn(held) : quiet;
    printf("answered %d\n", good);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
    }
    return good == held ? 0 : 1;
}
