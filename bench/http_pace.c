// SPDX-License-Identifier: Apache-2.0
//
// A well-behaved client: it asks at a fixed rate and measures how long answers take.
//
//     http_pace PORT CONNECTIONS REQUESTS_A_SECOND SECONDS
//
// Latency counts from when a request was due, not from when it could be sent, so that a server that
// stops for a second has a second of late requests to show. It writes "p50 US p99 US max US
// requests N"; an answer that is not a whole 200, or a connection that ends, is the end of it.

#define _GNU_SOURCE // ppoll

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "bench/client.h"

enum {
    CONNECTIONS_MAX = 64,
    REQUESTS_MAX = 1 << 22,
};

typedef struct asker {
    int64_t due_ns; // Of the request that is asked.
    bool busy;
    size_t bytes; // Of its answer so far.
    char answer[1024];
} asker;

static const char question[] = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
static const char answer_end[] = "\r\n\r\nHello, World!\n";
static asker askers[CONNECTIONS_MAX];
static struct pollfd polled[CONNECTIONS_MAX];
static uint32_t latencies_us[REQUESTS_MAX];
static uint32_t answered;

static void fail(const char *what) {
    client_fail("http_pace", what);
}

static int connect_to(int port) {
    int fd = client_connect(port);
    if (fd < 0)
        fail("connect");
    return fd;
}

static void ask(int i, int64_t due_ns) {
    askers[i].busy = true;
    askers[i].due_ns = due_ns;
    askers[i].bytes = 0;
    if (send(polled[i].fd, question, sizeof question - 1, MSG_NOSIGNAL) !=
        (ssize_t)sizeof question - 1)
        fail("send");
}

static void take(int i) {
    asker *a = &askers[i];
    ssize_t received = recv(polled[i].fd, a->answer + a->bytes, sizeof a->answer - a->bytes, 0);
    if (received <= 0)
        fail("the connection ended");
    a->bytes += (size_t)received;
    size_t end = sizeof answer_end - 1;
    if (a->bytes < end || memcmp(a->answer + a->bytes - end, answer_end, end) != 0)
        return;
    if (memcmp(a->answer, "HTTP/1.1 200 ", 13) != 0)
        fail("the answer is no 200");
    a->busy = false;
    latencies_us[answered++] = (uint32_t)((client_now_ns() - a->due_ns) / 1000);
}

static void answers_take(int connections, int64_t until_ns) {
    int64_t left_ns = until_ns - client_now_ns();
    if (left_ns < 0)
        left_ns = 0;
    const struct timespec left = {.tv_sec = left_ns / SECOND_NS, .tv_nsec = left_ns % SECOND_NS};
    if (ppoll(polled, (nfds_t)connections, &left, NULL) < 0)
        fail("ppoll");
    for (int i = 0; i < connections; i++)
        if (polled[i].revents != 0)
            take(i);
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void run(int connections, uint32_t requests, int64_t interval_ns) {
    int64_t start_ns = client_now_ns();
    uint32_t asked = 0;
    while (answered < requests) {
        int64_t due_ns = start_ns + asked * interval_ns;
        for (int i = 0; i < connections && asked < requests && due_ns <= client_now_ns(); i++) {
            if (askers[i].busy)
                continue;
            ask(i, due_ns);
            due_ns = start_ns + ++asked * interval_ns;
        }
        // Behind, with all connections busy, or at the end, only an answer is worth waking for.
        int64_t at_ns = client_now_ns();
        bool behind = asked == requests || due_ns <= at_ns;
        answers_take(connections, behind ? at_ns + SECOND_NS : due_ns);
    }
}

int main(int argc, char **argv) {
    int connections = argc == 5 ? atoi(argv[2]) : 0;
    int rate = argc == 5 ? atoi(argv[3]) : 0;
    int seconds = argc == 5 ? atoi(argv[4]) : 0;
    if (connections < 1 || connections > CONNECTIONS_MAX || rate < 1 || seconds < 1 ||
        (int64_t)rate * seconds > REQUESTS_MAX) {
        fprintf(stderr, "usage: http_pace PORT CONNECTIONS REQUESTS_A_SECOND SECONDS\n");
        return 1;
    }
    // The client stands for one on another machine: where it may, it does not wait for a core that
    // the attackers keep busy, nor for a lazy timer.
    const struct sched_param first = {.sched_priority = 1};
    (void)sched_setscheduler(0, SCHED_FIFO, &first);
    (void)prctl(PR_SET_TIMERSLACK, 1);
    for (int i = 0; i < connections; i++)
        polled[i] = (struct pollfd){.fd = connect_to(atoi(argv[1])), .events = POLLIN};
    run(connections, (uint32_t)(rate * seconds), SECOND_NS / rate);
    qsort(latencies_us, answered, sizeof latencies_us[0], compare);
    printf("p50 %u p99 %u max %u requests %u\n", latencies_us[answered / 2],
           latencies_us[(uint64_t)answered * 99 / 100], latencies_us[answered - 1], answered);
    return 0;
}
