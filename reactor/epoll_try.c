// SPDX-License-Identifier: Apache-2.0
//
// One attempt at an op, which never blocks.

#define _GNU_SOURCE // accept4, preadv2

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arena/poison.h"
#include "core/assert.h"
#include "reactor/epoll_state.h"
#include "reactor/os_socket.h"

static_assert(TINA_POLL_READ == POLLIN && TINA_POLL_WRITE == POLLOUT &&
                  TINA_POLL_ERROR == POLLERR && TINA_POLL_HANG_UP == POLLHUP,
              "a poll's result is the kernel's");

static int32_t result_of(ssize_t result) {
    if (result >= 0) {
        return (int32_t)result;
    }
    return errno == EAGAIN || errno == EINTR ? EPOLL_NOT_READY : -errno;
}

static int32_t accept_try(const epoll_op *op) {
    return result_of(accept4(op->op.os_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

// The same call tells what came of a connect that is under way, connect(2): EALREADY, its error, or
// 0. A Unix socket's EAGAIN, a full backlog, is a result: nothing would tell of its end.
static int32_t connect_try(const epoll_op *op) {
    tina_os_address address;
    socklen_t bytes = tina_os_address_of(op->op.data, &address);
    if (connect(op->op.os_fd, &address.any, bytes) == 0) {
        return 0;
    }
    return errno == EINPROGRESS || errno == EALREADY || errno == EINTR ? EPOLL_NOT_READY : -errno;
}

static int32_t recvfrom_try(epoll_state *e, const epoll_op *op, struct iovec *to) {
    epoll_sender *sender = &e->senders[op->op.place];
    struct msghdr header = {
        .msg_name = &sender->address,
        .msg_namelen = sizeof sender->address,
        .msg_iov = to,
        .msg_iovlen = 1,
    };
    int32_t result = result_of(recvmsg(op->op.os_fd, &header, MSG_DONTWAIT));
    sender->bytes = header.msg_namelen;
    sender->cut = (header.msg_flags & MSG_TRUNC) != 0;
    return result;
}

// A file that epoll watches was opened or made non-blocking; of one that it may not watch nothing
// is known, and RWF_NOWAIT takes what is in memory. A file system without that answers EOPNOTSUPP.
static int nowait_of(const epoll_op *op) {
    return op->state == EPOLL_OP_PARKED ? 0 : RWF_NOWAIT;
}

static int32_t file_result_of(ssize_t result) {
    return result < 0 && errno == EOPNOTSUPP ? EPOLL_NOT_READY : result_of(result);
}

static off_t offset_of(const epoll_op *op) {
    static_assert((off_t)TINA_OFFSET_POSITION == -1, "preadv2's word for the position");
    return (off_t)op->op.offset;
}

static int32_t buffer_fill(epoll_state *e, const epoll_op *op, struct iovec *to) {
    switch (op->op.kind) {
    case TINA_OP_RECVFROM:
        return recvfrom_try(e, op, to);
    case TINA_OP_READ:
        return file_result_of(preadv2(op->op.os_fd, to, 1, offset_of(op), nowait_of(op)));
    default:
        return result_of(recv(op->op.os_fd, to->iov_base, to->iov_len, MSG_DONTWAIT));
    }
}

uint8_t *tina_epoll_buffer(const epoll_state *e, uint16_t buffer) {
    return e->buffers.base + (size_t)buffer * e->buffers.bytes;
}

static int32_t receive_try(epoll_state *e, const epoll_op *op, uint16_t *buffer) {
    if (e->lent_count == 0) {
        return -ENOBUFS;
    }
    uint16_t lent = e->lent[e->lent_count - 1];
    struct iovec to = {tina_epoll_buffer(e, lent), op->op.bytes};
    TINA_ASSERT(op->op.bytes <= e->buffers.bytes);
    tina_unpoison(to.iov_base, e->buffers.bytes);
    int32_t result = buffer_fill(e, op, &to);
    tina_poison(tina_epoll_buffer(e, lent), e->buffers.bytes);
    // An empty datagram has a buffer too, behind which its sender is kept.
    if (result > 0 || (result == 0 && op->op.kind == TINA_OP_RECVFROM)) {
        e->lent_count--;
        *buffer = lent;
    }
    return result;
}

// What went before an error wins: the front hands the rest over again, and learns of it then.
static int32_t send_result(epoll_op *op, int32_t sent) {
    if (sent < 0) {
        return sent != EPOLL_NOT_READY && op->done > 0 ? (int32_t)op->done : sent;
    }
    op->done += (uint32_t)sent;
    bool over = op->done == op->op.bytes || (op->op.flags & TINA_IO_SOME) != 0;
    return over ? (int32_t)op->done : EPOLL_NOT_READY;
}

static int32_t send_try(epoll_op *op) {
    const uint8_t *from = op->op.data;
    int32_t result =
        send_result(op, result_of(send(op->op.os_fd, from + op->done, op->op.bytes - op->done,
                                       MSG_NOSIGNAL | MSG_DONTWAIT)));
    bool ends = result == EPOLL_NOT_READY && (op->op.flags & TINA_IO_AT_ONCE) != 0;
    return ends ? -EAGAIN : result;
}

// A Unix receiver whose queue is full is nothing to wait for: epoll knows only the sender's own.
static int32_t sendto_try(const epoll_op *op) {
    tina_os_address address;
    socklen_t bytes = tina_os_address_of(op->op.address, &address);
    int32_t result = result_of(sendto(op->op.os_fd, op->op.data, op->op.bytes,
                                      MSG_NOSIGNAL | MSG_DONTWAIT, &address.any, bytes));
    bool hopeless = result == EPOLL_NOT_READY && op->state == EPOLL_OP_PARKED;
    return hopeless ? -EAGAIN : result;
}

// A part is a result, and the front goes on from there: a file's offset moves with it.
static int32_t write_try(const epoll_op *op) {
    struct iovec from = {(void *)(uintptr_t)op->op.data, op->op.bytes};
    return file_result_of(pwritev2(op->op.os_fd, &from, 1, offset_of(op), nowait_of(op)));
}

static int32_t poll_try(const epoll_op *op) {
    struct pollfd polled = {.fd = op->op.os_fd, .events = (short)op->op.how};
    int ready = poll(&polled, 1, 0);
    if (ready < 0) {
        return -errno;
    }
    return ready == 0 ? EPOLL_NOT_READY : polled.revents;
}

static int32_t close_do(epoll_state *e, const epoll_op *op) {
    tina_epoll_forget(e, op->op.os_fd);
    return close(op->op.os_fd) < 0 ? -errno : 0;
}

int32_t tina_epoll_try(epoll_state *e, epoll_op *op, uint16_t *buffer) {
    e->calls++;
    switch (op->op.kind) {
    case TINA_OP_ACCEPT:
        return accept_try(op);
    case TINA_OP_CONNECT:
        return connect_try(op);
    case TINA_OP_RECV:
    case TINA_OP_RECVFROM:
    case TINA_OP_READ:
        return receive_try(e, op, buffer);
    case TINA_OP_SEND:
        return send_try(op);
    case TINA_OP_SENDTO:
        return sendto_try(op);
    case TINA_OP_WRITE:
        return write_try(op);
    case TINA_OP_POLL:
        return poll_try(op);
    case TINA_OP_CLOSE:
        return close_do(e, op);
    default:
        tina_assert_failed("an unknown op was staged", __FILE__, __LINE__);
    }
}
