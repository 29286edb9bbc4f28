// SPDX-License-Identifier: Apache-2.0
//
// The floor of an HTTP server on one core: io_uring, and nothing around it.
//
// It answers a constant for each empty line that ends a request and looks at no other byte, so its
// CPU time per request is what the kernel's TCP and io_uring cost. A server's own cost is what it
// takes above that. http_floor [--port N] listens on 127.0.0.1, on a free port if N is 0.
//
// It sends by send(2): a send in the ring cost as much at 64 connections and a tenth more at 1024.
// The call blocks, so a peer that reads nothing stops it; it is a measure, not a server.

#include <liburing.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FD_MAX = 65536,
    SQ_ENTRIES = 1024,
    CQ_ENTRIES = 16384,
    BUFFER_COUNT = 4096,
    BUFFER_BYTES = 2048,
    BATCH_MAX = 64, // Responses in one send.
};

#define RESPONSE                                                                                   \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"                                                      \
    "content-type: text/plain\r\n"                                                                 \
    "content-length: 14\r\n"                                                                       \
    "\r\n"                                                                                         \
    "Hello, World!\n"
#define RESPONSE_BYTES (sizeof RESPONSE - 1)

static struct io_uring ring;
static struct io_uring_buf_ring *free_buffers;
static char buffers[BUFFER_COUNT][BUFFER_BYTES];
static char responses[BATCH_MAX * RESPONSE_BYTES];
// By fd: how many bytes of "\r\n\r\n" the stream so far ends with.
static uint8_t end_seen[FD_MAX];

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "http_floor: %s: %s\n", what, strerror(-result));
        exit(1);
    }
}

static int check_errno(int result, const char *what) {
    check(result < 0 ? -errno : 0, what);
    return result;
}

static struct io_uring_sqe *take_sqe(void) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe != NULL)
        return sqe;
    check(io_uring_submit(&ring), "submit");
    return io_uring_get_sqe(&ring);
}

static void submit_accept(int listener) {
    struct io_uring_sqe *sqe = take_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, (unsigned)listener);
}

static void submit_recv(int fd) {
    struct io_uring_sqe *sqe = take_sqe();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    io_uring_sqe_set_data64(sqe, (unsigned)fd);
}

static void respond(int fd, size_t count) {
    while (count > 0) {
        size_t batch = count < BATCH_MAX ? count : BATCH_MAX;
        if (send(fd, responses, batch * RESPONSE_BYTES, MSG_NOSIGNAL) < 0)
            return; // The peer is gone; the receive ends too.
        count -= batch;
    }
}

static void on_accept(int listener, const struct io_uring_cqe *cqe) {
    if (!(cqe->flags & IORING_CQE_F_MORE))
        submit_accept(listener);
    if (cqe->res < 0)
        return;
    check(cqe->res < FD_MAX ? 0 : -EMFILE, "accept");
    int one = 1;
    check_errno(setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    end_seen[cqe->res] = 0;
    submit_recv(cqe->res);
}

// Counts the ends of requests in the stream; an end may lie across two receives.
static size_t count_ends(int fd, const char *bytes, size_t bytes_count) {
    size_t ends = 0;
    unsigned seen = end_seen[fd];
    const char *end = bytes + bytes_count;
    for (const char *at = bytes; at < end; at++) {
        if (seen == 0 && (at = memchr(at, '\r', (size_t)(end - at))) == NULL)
            break;
        seen = *at == "\r\n\r\n"[seen] ? seen + 1 : *at == '\r';
        ends += seen == 4;
        seen &= 3;
    }
    end_seen[fd] = (uint8_t)seen;
    return ends;
}

static void give_buffer(unsigned id, int offset) {
    io_uring_buf_ring_add(free_buffers, buffers[id], BUFFER_BYTES, (unsigned short)id,
                          io_uring_buf_ring_mask(BUFFER_COUNT), offset);
}

static void on_recv(int fd, const struct io_uring_cqe *cqe) {
    if (cqe->res > 0) {
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        size_t ends = count_ends(fd, buffers[id], (size_t)cqe->res);
        give_buffer(id, 0);
        io_uring_buf_ring_advance(free_buffers, 1);
        respond(fd, ends);
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS)
        submit_recv(fd);
    else
        close(fd);
}

static int listen_on_loopback(uint16_t port) {
    int fd = check_errno(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    check_errno(bind(fd, (struct sockaddr *)&address, bytes), "bind");
    check_errno(listen(fd, 4096), "listen");
    check_errno(getsockname(fd, (struct sockaddr *)&address, &bytes), "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void start_ring(void) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    check(io_uring_queue_init_params(SQ_ENTRIES, &ring, &params), "io_uring_setup");
    size_t bytes = BUFFER_COUNT * sizeof(struct io_uring_buf);
    free_buffers = aligned_alloc(4096, bytes);
    memset(free_buffers, 0, bytes);
    struct io_uring_buf_reg group = {.ring_addr = (uintptr_t)free_buffers,
                                     .ring_entries = BUFFER_COUNT};
    check(io_uring_register_buf_ring(&ring, &group, 0), "io_uring_register_buf_ring");
    for (unsigned id = 0; id < BUFFER_COUNT; id++)
        give_buffer(id, (int)id);
    io_uring_buf_ring_advance(free_buffers, BUFFER_COUNT);
}

int main(int argc, char **argv) {
    bool has_port = argc == 3 && strcmp(argv[1], "--port") == 0;
    for (size_t i = 0; i < BATCH_MAX; i++)
        memcpy(responses + i * RESPONSE_BYTES, RESPONSE, RESPONSE_BYTES);
    start_ring();
    int listener = listen_on_loopback(has_port ? (uint16_t)atoi(argv[2]) : 0);
    submit_accept(listener);
    for (;;) {
        int submitted = io_uring_submit_and_wait(&ring, 1);
        if (submitted != -EINTR)
            check(submitted, "io_uring_enter");
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned count = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            count++;
            int fd = (int)cqe->user_data;
            if (fd == listener)
                on_accept(fd, cqe);
            else
                on_recv(fd, cqe);
        }
        io_uring_cq_advance(&ring, count);
    }
}
