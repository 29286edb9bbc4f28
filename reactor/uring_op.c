// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // statx

#include "reactor/uring_op.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "core/assert.h"
#include "reactor/os_file.h"

static_assert(TINA_POLL_READ == POLLIN && TINA_POLL_WRITE == POLLOUT &&
                  TINA_POLL_ERROR == POLLERR && TINA_POLL_HANG_UP == POLLHUP,
              "a poll's result is the kernel's");

static void connect_prepare(tina_uring_places *places, struct io_uring_sqe *sqe,
                            const tina_backend_op *op) {
    tina_os_address *address = &places->messages[op->place].address;
    socklen_t bytes = tina_os_address_of(op->data, address);
    io_uring_prep_connect(sqe, op->os_fd, &address->any, bytes);
}

static tina_uring_message *message_prepare(tina_uring_places *places, const tina_backend_op *op) {
    tina_uring_message *message = &places->messages[op->place];
    message->bytes = (struct iovec){(void *)(uintptr_t)op->data, op->bytes};
    message->header = (struct msghdr){
        .msg_name = &message->address,
        .msg_namelen = sizeof message->address,
        .msg_iov = &message->bytes,
        .msg_iovlen = 1,
    };
    return message;
}

static void sendto_prepare(tina_uring_places *places, struct io_uring_sqe *sqe,
                           const tina_backend_op *op) {
    tina_uring_message *message = message_prepare(places, op);
    message->header.msg_namelen = tina_os_address_of(op->address, &message->address);
    io_uring_prep_sendmsg(sqe, op->os_fd, &message->header, MSG_NOSIGNAL);
}

static void buffer_select(struct io_uring_sqe *sqe) {
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = TINA_URING_BUFFER_GROUP;
}

static void accept_prepare(const tina_uring_kernel *kernel, struct io_uring_sqe *sqe,
                           const tina_backend_op *op) {
    // Not SOCK_NONBLOCK: on such a file io_uring answers EAGAIN where it should wait.
    io_uring_prep_accept(sqe, op->os_fd, NULL, NULL, SOCK_CLOEXEC);
    if ((op->flags & TINA_IO_MULTISHOT) != 0 && kernel->accept_multishot) {
        sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
    }
}

static void recv_prepare(const tina_uring_kernel *kernel, struct io_uring_sqe *sqe,
                         const tina_backend_op *op) {
    io_uring_prep_recv(sqe, op->os_fd, NULL, op->bytes, 0);
    if ((op->flags & TINA_IO_MULTISHOT) != 0 && kernel->recv_multishot) {
        sqe->ioprio |= IORING_RECV_MULTISHOT;
        sqe->len = 0; // a buffer's
    }
    buffer_select(sqe);
}

static int send_flags(const tina_backend_op *op) {
    int whole = (op->flags & TINA_IO_SOME) == 0 ? MSG_WAITALL : 0;
    int at_once = (op->flags & TINA_IO_AT_ONCE) != 0 ? MSG_DONTWAIT : 0;
    return MSG_NOSIGNAL | whole | at_once;
}

static void stat_prepare(tina_uring_places *places, struct io_uring_sqe *sqe,
                         const tina_backend_op *op) {
    struct statx *stat = &places->stats[op->place];
    if (op->os_fd < 0) {
        io_uring_prep_statx(sqe, AT_FDCWD, op->data, 0, tina_os_stat_mask(), stat);
    } else {
        io_uring_prep_statx(sqe, op->os_fd, "", AT_EMPTY_PATH, tina_os_stat_mask(), stat);
    }
}

static void rename_prepare(struct io_uring_sqe *sqe, const tina_backend_op *op) {
    const char *from = op->data;
    io_uring_prep_renameat(sqe, AT_FDCWD, from, AT_FDCWD, from + strlen(from) + 1, 0);
}

void tina_uring_prepare(const tina_uring_kernel *kernel, tina_uring_places *places,
                        struct io_uring_sqe *sqe, const tina_backend_op *op) {
    switch (op->kind) {
    case TINA_OP_ACCEPT:
        accept_prepare(kernel, sqe, op);
        break;
    case TINA_OP_CONNECT:
        connect_prepare(places, sqe, op);
        break;
    case TINA_OP_RECV:
        recv_prepare(kernel, sqe, op);
        break;
    case TINA_OP_SEND:
        io_uring_prep_send(sqe, op->os_fd, op->data, op->bytes, send_flags(op));
        break;
    case TINA_OP_CLOSE:
        io_uring_prep_close(sqe, op->os_fd);
        break;
    case TINA_OP_RECVFROM:
        io_uring_prep_recvmsg(sqe, op->os_fd, &message_prepare(places, op)->header, 0);
        buffer_select(sqe);
        break;
    case TINA_OP_SENDTO:
        sendto_prepare(places, sqe, op);
        break;
    case TINA_OP_OPEN:
        if (op->how & TINA_OPEN_NO_LINKS)
            io_uring_prep_openat2(sqe, AT_FDCWD, op->data, tina_os_open_no_links());
        else
            io_uring_prep_openat(sqe, AT_FDCWD, op->data, tina_os_open_flags(op->how), op->bytes);
        break;
    case TINA_OP_READ:
        io_uring_prep_read(sqe, op->os_fd, NULL, op->bytes, op->offset);
        buffer_select(sqe);
        break;
    case TINA_OP_WRITE:
        io_uring_prep_write(sqe, op->os_fd, op->data, op->bytes, op->offset);
        break;
    case TINA_OP_FSYNC:
        io_uring_prep_fsync(sqe, op->os_fd, 0);
        break;
    case TINA_OP_STAT:
        stat_prepare(places, sqe, op);
        break;
    case TINA_OP_POLL:
        io_uring_prep_poll_add(sqe, op->os_fd, op->how);
        break;
    case TINA_OP_RENAME:
        rename_prepare(sqe, op);
        break;
    case TINA_OP_UNLINK:
        io_uring_prep_unlinkat(sqe, AT_FDCWD, op->data, 0);
        break;
    default:
        tina_assert_failed("an unknown op was staged", __FILE__, __LINE__);
    }
    sqe->user_data = op->key;
}
