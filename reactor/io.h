// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of I/O: operations as values. No function here does anything; //reactor runs
// operations, //sched delivers what came of them.
//
// An operation (tina_io_op) is built by one of the tina_op_... functions, may be given a deadline
// with tina_op_within, and completes exactly once (a multishot one: once a result, the last one
// without TINA_IO_MORE). Of two ops in the same direction on one fd the second is refused as
// TINA_IO_BUSY, so what an isolate submits happens in its order.
//
// What is received or read lies in a buffer of the reactor's, so at most one such buffer full
// comes at a time. What is sent or written lies in memory of the caller's that must stay as it is
// until the op completes: the isolate's struct or working arena, a transfer buffer, or static
// storage; never the handler's stack or scratch. Addresses and paths are copied at submission.

#ifndef TINA_REACTOR_IO_H
#define TINA_REACTOR_IO_H

#include "reactor/op.h"
#include "reactor/socket.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline tina_io_op tina_op_make(tina_op_kind kind, tina_fd fd, const void *data,
                                      uint32_t bytes) {
    tina_io_op op = {(uint8_t)kind, 0, 0, bytes, fd, {data}, {0}, 0};
    return op;
}

static inline tina_io_op tina_op_accept(tina_fd listener) {
    return tina_op_make(TINA_OP_ACCEPT, listener, NULL, 0);
}

// tina_op_connect connects a stream to its listener; for a datagram socket it names whom send and
// recv mean.
static inline tina_io_op tina_op_connect(tina_fd fd, const tina_address *address) {
    return tina_op_make(TINA_OP_CONNECT, fd, address, 0);
}

// tina_op_recv receives at most bytes_max (1 or more), and never more than one receive buffer
// holds.
static inline tina_io_op tina_op_recv(tina_fd fd, uint32_t bytes_max) {
    return tina_op_make(TINA_OP_RECV, fd, NULL, bytes_max);
}

// tina_op_accept_multishot accepts until it is canceled or an error ends it: each new fd is a
// result with TINA_IO_MORE, the end is one without. While the fd table is full it accepts nothing,
// and connections wait in the listener's backlog.
static inline tina_io_op tina_op_accept_multishot(tina_fd listener) {
    tina_io_op op = tina_op_accept(listener);
    op.flags = TINA_IO_MULTISHOT;
    return op;
}

// tina_op_recv_multishot receives until the stream ends (result 0), an error, or its cancel: each
// result before that has TINA_IO_MORE and at most what one receive buffer holds. A deadline is for
// the whole op.
static inline tina_io_op tina_op_recv_multishot(tina_fd fd) {
    tina_io_op op = tina_op_recv(fd, 0);
    op.flags = TINA_IO_MULTISHOT;
    return op;
}

// tina_op_send sends 1 to 2^31 - 1 bytes and completes when the OS has taken all of them.
static inline tina_io_op tina_op_send(tina_fd fd, const void *data, uint32_t bytes) {
    return tina_op_make(TINA_OP_SEND, fd, data, bytes);
}

// tina_op_send_some completes when the OS has taken any.
static inline tina_io_op tina_op_send_some(tina_fd fd, const void *data, uint32_t bytes) {
    tina_io_op op = tina_op_send(fd, data, bytes);
    op.flags = TINA_IO_SOME;
    return op;
}

// tina_op_recvfrom receives one datagram and its sender's address: at most bytes_max (1 or more),
// and never more than one receive buffer holds; TINA_IO_TRUNCATED when it was longer.
static inline tina_io_op tina_op_recvfrom(tina_fd fd, uint32_t bytes_max) {
    return tina_op_make(TINA_OP_RECVFROM, fd, NULL, bytes_max);
}

// tina_op_sendto sends one datagram of 0 to 2^31 - 1 bytes; the OS bounds it with -EMSGSIZE.
static inline tina_io_op tina_op_sendto(tina_fd fd, const void *data, uint32_t bytes,
                                        const tina_address *to) {
    tina_io_op op = tina_op_make(TINA_OP_SENDTO, fd, data, bytes);
    op.address = to;
    return op;
}

// tina_op_open opens a file with TINA_OPEN_...; permissions (chmod(2), less the umask) are for one
// that is made.
static inline tina_io_op tina_op_open(const char *path, uint32_t how, uint32_t permissions) {
    tina_io_op op = tina_op_make(TINA_OP_OPEN, tina_fd_none(), path, permissions);
    op.how = how <= UINT16_MAX ? (uint16_t)how : 0;
    return op;
}

// tina_op_read reads at most bytes_max (1 or more) at an offset, or at TINA_OFFSET_POSITION, and
// never more than one receive buffer holds.
static inline tina_io_op tina_op_read(tina_fd fd, uint64_t offset, uint32_t bytes_max) {
    tina_io_op op = tina_op_make(TINA_OP_READ, fd, NULL, bytes_max);
    op.offset = offset;
    return op;
}

// tina_op_write writes 1 to 2^31 - 1 bytes at an offset, or at TINA_OFFSET_POSITION, and completes
// when all are written, or with an error and the count of those that are.
static inline tina_io_op tina_op_write(tina_fd fd, uint64_t offset, const void *data,
                                       uint32_t bytes) {
    tina_io_op op = tina_op_make(TINA_OP_WRITE, fd, data, bytes);
    op.offset = offset;
    return op;
}

static inline tina_io_op tina_op_write_some(tina_fd fd, uint64_t offset, const void *data,
                                            uint32_t bytes) {
    tina_io_op op = tina_op_write(fd, offset, data, bytes);
    op.flags = TINA_IO_SOME;
    return op;
}

// tina_op_fsync completes when what was written before is on the disk, fsync(2). A new name in a
// directory is there after an fsync of the directory.
static inline tina_io_op tina_op_fsync(tina_fd fd) {
    return tina_op_make(TINA_OP_FSYNC, fd, NULL, 0);
}

// tina_op_stat fills in *stat just before it completes with 0; like what is sent, *stat must last.
static inline tina_io_op tina_op_stat(tina_fd fd, tina_file_stat *stat) {
    tina_io_op op = tina_op_make(TINA_OP_STAT, fd, NULL, 0);
    op.stat = stat;
    return op;
}

static inline tina_io_op tina_op_stat_path(const char *path, tina_file_stat *stat) {
    tina_io_op op = tina_op_make(TINA_OP_STAT, tina_fd_none(), path, 0);
    op.stat = stat;
    return op;
}

// tina_op_sendfile sends 1 to 2^31 - 1 bytes of a file, from an offset on, to a stream socket. It
// reads from `source` and writes to `fd`, so it is the op in flight of both. It reads as its reader
// makes room, a receive buffer at a time, and what was not sent is read again: bytes that change
// meanwhile are sent as they are then.
static inline tina_io_op tina_op_sendfile(tina_fd fd, tina_fd source, uint64_t offset,
                                          uint32_t bytes) {
    tina_io_op op = tina_op_make(TINA_OP_SENDFILE, fd, NULL, bytes);
    op.source = source;
    op.offset = offset;
    return op;
}

// tina_op_poll waits for TINA_POLL_READ, TINA_POLL_WRITE or both; a hang-up or an error ends it
// too. It is the op in flight of the directions it waits for.
static inline tina_io_op tina_op_poll(tina_fd fd, uint32_t what) {
    tina_io_op op = tina_op_make(TINA_OP_POLL, fd, NULL, 0);
    op.how = what <= UINT16_MAX ? (uint16_t)what : 0;
    return op;
}

// tina_op_rename gives the file at `from` the name `to` in one step, in place of a file that had
// it.
static inline tina_io_op tina_op_rename(const char *from, const char *to) {
    tina_io_op op = tina_op_make(TINA_OP_RENAME, tina_fd_none(), from, 0);
    op.to = to;
    return op;
}

// tina_op_unlink removes a name; not a directory's.
static inline tina_io_op tina_op_unlink(const char *path) {
    return tina_op_make(TINA_OP_UNLINK, tina_fd_none(), path, 0);
}

static inline tina_io_op tina_op_close(tina_fd fd) {
    return tina_op_make(TINA_OP_CLOSE, fd, NULL, 0);
}

// tina_op_within gives the op a deadline, counted from its submission.
static inline tina_io_op tina_op_within(tina_io_op op, uint64_t timeout_ns) {
    op.timeout_ns = timeout_ns;
    return op;
}

#ifdef __cplusplus
}
#endif

#endif
