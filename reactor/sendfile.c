// SPDX-License-Identifier: Apache-2.0
//
// Sendfile: a receive buffer full at a time is read from the file and sent.
//
//     submit ──▶ read ──bytes──▶ send ──all sent──▶ read ...  until end of file or all
//                 ▲                │
//                 │            no room left
//                 │                ▼
//                 └──room──────── poll
//
// Buffers are the shard's, and its readers may be slow and many: so the send does not wait, and
// what it leaves is dropped with the buffer, to be read again when there is room. A socket tells of
// room when a good part of its own buffer is free (Linux: a third), so that a reader who takes
// little costs few reads, and the bytes that are read twice are less than a buffer for each.
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

static bool is_reading(const op_more *more) {
    return more->filled == 0 && !more->awaits_room;
}

void tina_sendfile_stage(const tina_reactor *reactor, uint32_t index, tina_backend_op *staged) {
    const op_entry *op = &reactor->ops[index];
    const op_more *more = &reactor->more[index];
    staged->flags = 0;
    if (more->filled != 0) {
        staged->kind = TINA_OP_SEND;
        staged->flags = TINA_IO_SOME | TINA_IO_AT_ONCE;
        staged->data = tina_reactor_buffer(reactor, more->buffer);
        staged->bytes = more->filled;
    } else if (more->awaits_room) {
        staged->kind = TINA_OP_POLL;
        staged->how = TINA_POLL_WRITE;
    } else {
        staged->kind = TINA_OP_READ;
        staged->os_fd = reactor->fds[fd_index(more->source)].os_fd;
        staged->bytes = read_bytes(reactor, op);
        staged->offset = more->offset + op->sent;
    }
}

void tina_sendfile_drop(tina_reactor *reactor, uint32_t index) {
    op_more *more = &reactor->more[index];
    if (more->filled != 0) {
        more->filled = 0;
        tina_buffers_give(reactor, more->buffer);
    }
}

// These return whether the op goes on; if not, *result is how it ends.

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
        tina_buffers_retry_ended(reactor, index);
        return true;
    }
    *result = read->result < 0 ? tina_completions_result(op, read->result) : (int32_t)op->sent;
    return false;
}

static bool send_end(tina_reactor *reactor, uint32_t index, int32_t sent, int32_t *result) {
    op_entry *op = &reactor->ops[index];
    op_more *more = &reactor->more[index];
    bool some = (op->flags & TINA_IO_SOME) != 0;
    if (sent <= 0 && sent != -EAGAIN) {
        *result = sent < 0 ? tina_completions_result(op, sent) : -EIO;
        return false;
    }
    uint32_t count = sent > 0 ? (uint32_t)sent : 0;
    TINA_ASSERT(count <= more->filled);
    more->awaits_room = count < more->filled;
    op->sent += count;
    tina_sendfile_drop(reactor, index);
    *result = (int32_t)op->sent;
    return op->sent < op->bytes && (!some || count == 0);
}

// What else the poll tells of, the next send tells as an error.
static bool poll_end(tina_reactor *reactor, uint32_t index, int32_t polled, int32_t *result) {
    TINA_ASSERT(polled != 0);
    reactor->more[index].awaits_room = false;
    if (polled > 0) {
        return true;
    }
    *result = tina_completions_result(&reactor->ops[index], polled);
    return false;
}

static bool step_end(tina_reactor *reactor, uint32_t index, const tina_backend_result *step,
                     int32_t *result) {
    const op_more *more = &reactor->more[index];
    if (is_reading(more)) {
        return read_end(reactor, index, step, result);
    }
    return more->awaits_room ? poll_end(reactor, index, step->result, result)
                             : send_end(reactor, index, step->result, result);
}

void tina_sendfile_end(tina_reactor *reactor, uint32_t index, const tina_backend_result *step) {
    op_entry *op = &reactor->ops[index];
    bool canceled = (op->marks & OP_CANCELED) != 0;
    if (step->result == -ENOBUFS && is_reading(&reactor->more[index])) {
        if (canceled) {
            tina_completions_add(reactor, index, op->result);
        } else {
            tina_buffers_await(reactor, index);
        }
        return;
    }
    int32_t result = 0;
    bool goes_on = step_end(reactor, index, step, &result);
    if (goes_on && !canceled) {
        tina_ops_stage(reactor, index);
    } else {
        tina_completions_add(reactor, index, goes_on ? op->result : result);
    }
}

// It has a buffer only between its read and its send, and waits for one only to read.
void tina_sendfile_verify(const tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    const op_more *more = &reactor->more[index];
    TINA_ASSERT(more->filled == 0 || !more->awaits_room);
    TINA_ASSERT(more->filled == 0 || reactor->buffer_entries[more->buffer].held);
    TINA_ASSERT(is_reading(more) || op->state == OP_STAGED || op->state == OP_FLYING);
    TINA_ASSERT(is_reading(more) || (op->marks & OP_RETRY) == 0);
}
