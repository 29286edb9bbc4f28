// SPDX-License-Identifier: Apache-2.0
//
// The I/O effects beside those of isolate.h: datagrams, files, poll. Each submits the operation of
// that name (reactor/io.h says what it does), then waits for its completion only. What it needs
// more than one effect for, tina_op_within a deadline or tina_submit, takes the operation itself.
//
// Memory that an op sends or writes, and a stat's, must last until it completes. Addresses and
// paths are copied when the handler has returned: they may lie in scratch, not on its stack.

#ifndef TINA_SCHED_IO_H
#define TINA_SCHED_IO_H

#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline uint32_t tina_io_bytes(size_t bytes) {
    return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static inline tina_effect tina_io_send_some(tina_fd fd, const void *data, size_t bytes) {
    return tina_io(tina_op_send_some(fd, data, tina_io_bytes(bytes)));
}

// tina_io_recvfrom: tina_io_data has the datagram, m->io.from its sender.
static inline tina_effect tina_io_recvfrom(tina_fd fd, size_t bytes_max) {
    return tina_io(tina_op_recvfrom(fd, tina_io_bytes(bytes_max)));
}

static inline tina_effect tina_io_sendto(tina_fd fd, const void *data, size_t bytes,
                                         const tina_address *to) {
    return tina_io(tina_op_sendto(fd, data, tina_io_bytes(bytes), to));
}

// tina_io_open: m->io.fd is the new fd.
static inline tina_effect tina_io_open(const char *path, uint32_t how, uint32_t permissions) {
    return tina_io(tina_op_open(path, how, permissions));
}

// tina_io_read: tina_io_data has the bytes.
static inline tina_effect tina_io_read(tina_fd fd, uint64_t offset, size_t bytes_max) {
    return tina_io(tina_op_read(fd, offset, tina_io_bytes(bytes_max)));
}

static inline tina_effect tina_io_write(tina_fd fd, uint64_t offset, const void *data,
                                        size_t bytes) {
    return tina_io(tina_op_write(fd, offset, data, tina_io_bytes(bytes)));
}

static inline tina_effect tina_io_write_some(tina_fd fd, uint64_t offset, const void *data,
                                             size_t bytes) {
    return tina_io(tina_op_write_some(fd, offset, data, tina_io_bytes(bytes)));
}

static inline tina_effect tina_io_fsync(tina_fd fd) {
    return tina_io(tina_op_fsync(fd));
}

static inline tina_effect tina_io_stat(tina_fd fd, tina_file_stat *stat) {
    return tina_io(tina_op_stat(fd, stat));
}

static inline tina_effect tina_io_stat_path(const char *path, tina_file_stat *stat) {
    return tina_io(tina_op_stat_path(path, stat));
}

static inline tina_effect tina_io_sendfile(tina_fd fd, tina_fd source, uint64_t offset,
                                           size_t bytes) {
    return tina_io(tina_op_sendfile(fd, source, offset, tina_io_bytes(bytes)));
}

// tina_io_poll: m->io.result is TINA_POLL_...
static inline tina_effect tina_io_poll(tina_fd fd, uint32_t what) {
    return tina_io(tina_op_poll(fd, what));
}

static inline tina_effect tina_io_rename(const char *from, const char *to) {
    return tina_io(tina_op_rename(from, to));
}

static inline tina_effect tina_io_unlink(const char *path) {
    return tina_io(tina_op_unlink(path));
}

#ifdef __cplusplus
}
#endif

#endif
