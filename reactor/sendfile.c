// SPDX-License-Identifier: Apache-2.0
//
// Sendfile: a receive buffer full at a time is read from the file and sent.
//
//     submit ──▶ read ──bytes──▶ send ──all sent──▶ read ...  until end of file or all
//
// Not splice(2): on io_uring it needs a pipe for each op and a worker thread for each step, which
// costs what the copy costs; and this is the same on every backend.

#include <errno.h>

#include "reactor/table.h"

static uint32_t read_bytes(const tina_reactor *reactor, const op_entry *op) {
    uint32_t left = op->bytes - op->sent;
    uint32_t most = reactor->config.buffer_bytes;
    return left < most ? left : most;
}

void tina_sendfile_stage(const tina_reactor *reactor, uint32_t index, tina_backend_op *staged) {
    const op_entry *op = &reactor->ops[index];
    const op_more *more = &reactor->more[index];
    staged->flags = 0;
    if (more->filled == 0) {
        staged->kind = TINA_OP_READ;
        staged->os_fd = reactor->fds[fd_index(more->source)].os_fd;
        staged->bytes = read_bytes(reactor, op);
        staged->offset = more->offset + op->sent;
        return;
    }
    const uint8_t *data = tina_reactor_buffer(reactor, more->buffer);
    staged->kind = TINA_OP_SEND;
    staged->data = data + more->skip;
    staged->bytes = more->filled - more->skip;
}

void tina_sendfile_drop(tina_reactor *reactor, uint32_t index) {
    op_more *more = &reactor->more[index];
    if (more->filled != 0) {
        more->filled = 0;
        tina_buffers_give(reactor, more->buffer);
    }
}

// Returns whether the op goes on; if not, *result is how it ends.
static bool read_end(tina_reactor *reactor, uint32_t index, const tina_backend_result *read,
                     int32_t *result) {
    op_entry *op = &reactor->ops[index];
    op_more *more = &reactor->more[index];
    if (read->buffer != TINA_IO_NO_BUFFER) {
        tina_buffers_hold(reactor, read->buffer);
        more->buffer = read->buffer;
        more->filled = 1; // so that it is given back, if for nothing else
    }
    if (read->result > 0) {
        TINA_ASSERT(read->buffer != TINA_IO_NO_BUFFER);
        TINA_ASSERT((uint32_t)read->result <= read_bytes(reactor, op));
        more->filled = (uint32_t)read->result;
        more->skip = 0;
        tina_buffers_retry_ended(reactor, index);
        return true;
    }
    *result = read->result < 0 ? tina_completions_result(op, read->result) : (int32_t)op->sent;
    return false;
}

static bool send_end(tina_reactor *reactor, uint32_t index, int32_t sent, int32_t *result) {
    op_entry *op = &reactor->ops[index];
    op_more *more = &reactor->more[index];
    if (sent <= 0) {
        *result = sent < 0 ? tina_completions_result(op, sent) : -EIO;
        return false;
    }
    TINA_ASSERT((uint32_t)sent <= more->filled - more->skip);
    op->sent += (uint32_t)sent;
    more->skip += (uint32_t)sent;
    if (more->skip == more->filled) {
        tina_sendfile_drop(reactor, index);
    }
    *result = (int32_t)op->sent;
    return op->sent < op->bytes && (op->flags & TINA_IO_SOME) == 0;
}

void tina_sendfile_end(tina_reactor *reactor, uint32_t index, const tina_backend_result *result) {
    op_entry *op = &reactor->ops[index];
    bool canceled = (op->marks & OP_CANCELED) != 0;
    bool reads = reactor->more[index].filled == 0;
    if (reads && result->result == -ENOBUFS) {
        if (canceled) {
            tina_completions_add(reactor, index, op->result);
        } else {
            tina_buffers_await(reactor, index);
        }
        return;
    }
    int32_t end = 0;
    bool goes_on = reads ? read_end(reactor, index, result, &end)
                         : send_end(reactor, index, result->result, &end);
    if (goes_on && !canceled) {
        tina_ops_stage(reactor, index);
    } else {
        tina_completions_add(reactor, index, goes_on ? op->result : end);
    }
}
