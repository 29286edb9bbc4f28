// SPDX-License-Identifier: Apache-2.0
//
// One attempt at an op, which never blocks.

#define _GNU_SOURCE // accept4

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena/poison.h"
#include "core/assert.h"
#include "reactor/epoll_state.h"
#include "reactor/os_socket.h"

static int32_t result_of(ssize_t result) {
    if (result >= 0) {
        return (int32_t)result;
    }
    return errno == EAGAIN || errno == EINTR ? EPOLL_NOT_READY : -errno;
}

static int32_t accept_try(epoll_state *e, const epoll_op *op) {
    e->calls++;
    return result_of(accept4(op->op.os_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

// The same call tells what came of a connect that is under way, connect(2): EALREADY, its error, or
// 0. A Unix socket's EAGAIN, a full backlog, is a result: nothing would tell of its end.
static int32_t connect_try(epoll_state *e, const epoll_op *op) {
    tina_os_address address;
    socklen_t bytes = tina_os_address_of(op->op.data, &address);
    e->calls++;
    if (connect(op->op.os_fd, &address.any, bytes) == 0) {
        return 0;
    }
    return errno == EINPROGRESS || errno == EALREADY || errno == EINTR ? EPOLL_NOT_READY : -errno;
}

static int32_t recv_try(epoll_state *e, const epoll_op *op, uint16_t *buffer) {
    if (e->lent_count == 0) {
        return -ENOBUFS;
    }
    uint16_t lent = e->lent[e->lent_count - 1];
    uint8_t *to = e->buffers.base + (size_t)lent * e->buffers.bytes;
    TINA_ASSERT(op->op.bytes <= e->buffers.bytes);
    tina_unpoison(to, e->buffers.bytes);
    e->calls++;
    ssize_t bytes = recv(op->op.os_fd, to, op->op.bytes, MSG_DONTWAIT);
    int32_t result = result_of(bytes);
    tina_poison(to, e->buffers.bytes);
    if (bytes > 0) {
        e->lent_count--;
        *buffer = lent;
    }
    return result;
}

// What went before an error wins: the front hands the rest over again, and learns of it then.
static int32_t send_try(epoll_state *e, epoll_op *op) {
    const uint8_t *from = op->op.data;
    uint32_t left = op->op.bytes - op->done;
    e->calls++;
    int32_t sent =
        result_of(send(op->op.os_fd, from + op->done, left, MSG_NOSIGNAL | MSG_DONTWAIT));
    if (sent < 0) {
        return sent != EPOLL_NOT_READY && op->done > 0 ? (int32_t)op->done : sent;
    }
    op->done += (uint32_t)sent;
    bool over = op->done == op->op.bytes || (op->op.flags & TINA_IO_SOME) != 0;
    return over ? (int32_t)op->done : EPOLL_NOT_READY;
}

// The kernel stops watching a closed fd by itself, as nobody else has its file open.
static int32_t close_do(epoll_state *e, const epoll_op *op) {
    e->calls++;
    tina_epoll_fds_remove(&e->fds, op->op.os_fd);
    return close(op->op.os_fd) < 0 ? -errno : 0;
}

int32_t epoll_try(epoll_state *e, epoll_op *op, uint16_t *buffer) {
    switch (op->op.kind) {
    case TINA_OP_ACCEPT:
        return accept_try(e, op);
    case TINA_OP_CONNECT:
        return connect_try(e, op);
    case TINA_OP_RECV:
        return recv_try(e, op, buffer);
    case TINA_OP_SEND:
        return send_try(e, op);
    case TINA_OP_CLOSE:
        return close_do(e, op);
    default:
        tina_assert_failed("an unknown op was staged", __FILE__, __LINE__);
    }
}
