// SPDX-License-Identifier: Apache-2.0
//
// From the backend's numbers to an owner's completions.

#include <errno.h>

#include "core/probe.h"
#include "reactor/table.h"

static bool op_is_canceled(const op_entry *op) {
    return (op->marks & OP_CANCELED) != 0;
}

// Who asked for the cancel gave its reason; a worker of the kernel that was running the op when its
// cancel came answers EINTR.
int32_t tina_completions_result(const op_entry *op, int32_t result) {
    if (op_is_canceled(op) && (result == -ECANCELED || result == -EINTR)) {
        return op->result;
    }
    return result == -ECANCELED ? TINA_IO_CANCELED : result;
}

bool tina_completions_has_buffer(const op_entry *op) {
    return tina_op_traits[op->kind].moves == OP_FILLS_BUFFER && op->result > 0;
}

// An accept or an open, which brings an fd.
static void fd_end(tina_reactor *reactor, uint32_t index, int32_t result) {
    op_entry *op = &reactor->ops[index];
    if (result < 0) {
        tina_completions_add(reactor, index, tina_completions_result(op, result));
        return;
    }
    bool dead = reactor->closing || op->owner->released;
    uint32_t fd = dead ? 0 : tina_fds_take(reactor, result);
    if (fd == 0) {
        reactor->backend->close_now(reactor->self, result);
        reactor->counters.fds_dropped++;
        tina_completions_add(reactor, index, dead ? TINA_IO_CANCELED : TINA_IO_FDS_FULL);
        return;
    }
    uint32_t rights = op->kind == TINA_OP_OPEN ? reactor->more[index].how & FD_FULL : FD_FULL;
    tina_completions_add(reactor, index, 0);
    TINA_ASSERT(op->state == OP_DONE);
    op->fd = tina_fds_own(reactor, fd, op->owner, rights).bits;
}

// The sender's address stays in the op's place until the owner takes the completion.
static void sender_keep(tina_reactor *reactor, uint32_t index) {
    uint32_t place = reactor->more[index].place;
    tina_address *sender = &reactor->addresses[place];
    if (reactor->backend->sender(reactor->self, place, sender) == TINA_IO_TRUNCATED) {
        reactor->ops[index].marks |= OP_CUT;
        reactor->counters.datagrams_cut++;
    }
}

// A recv, recvfrom or read.
static void recv_end(tina_reactor *reactor, uint32_t index, int32_t result, uint32_t buffer) {
    op_entry *op = &reactor->ops[index];
    if (buffer != TINA_IO_NO_BUFFER) {
        tina_buffers_hold(reactor, buffer);
        if (result <= 0) {
            tina_buffers_give(reactor, buffer);
            buffer = TINA_IO_NO_BUFFER;
        }
    }
    TINA_ASSERT(result <= 0 || buffer != TINA_IO_NO_BUFFER);
    TINA_ASSERT(result < 0 || (uint32_t)result <= op->bytes);
    if (result == -ENOBUFS) {
        if (!op_is_canceled(op)) {
            TINA_SIM_PROBE("a receive waits for a buffer");
            tina_buffers_await(reactor, index);
            return;
        }
        result = op->result;
    }
    if (result >= 0 && op->kind == TINA_OP_RECVFROM) {
        sender_keep(reactor, index);
    }
    op->buffer = buffer;
    tina_completions_add(reactor, index, tina_completions_result(op, result));
}

// A send, sendto or write.
static void send_end(tina_reactor *reactor, uint32_t index, int32_t result) {
    op_entry *op = &reactor->ops[index];
    if (result < 0 || (result == 0 && op->bytes != 0)) {
        // Nothing sent and no error would stage the same bytes for ever; no kernel answers that.
        tina_completions_add(reactor, index,
                             result < 0 ? tina_completions_result(op, result) : -EIO);
        return;
    }
    TINA_ASSERT((uint32_t)result <= op->bytes - op->sent);
    op->sent += (uint32_t)result;
    if (op->sent == op->bytes || (op->flags & TINA_IO_SOME) != 0) {
        tina_completions_add(reactor, index, (int32_t)op->sent);
    } else if (op_is_canceled(op)) {
        tina_completions_add(reactor, index, op->result);
    } else {
        TINA_SIM_PROBE("a send goes on where it stopped");
        tina_ops_stage(reactor, index);
    }
}

// Whatever close(2) says, on Linux the descriptor is gone.
static void close_end(tina_reactor *reactor, uint32_t index, int32_t result) {
    tina_fds_give(reactor, fd_index(reactor->ops[index].fd));
    tina_completions_add(reactor, index, result);
}

static void result_take(tina_reactor *reactor, const tina_backend_result *result) {
    uint32_t index = tina_ops_find(reactor, result->key);
    op_entry *op = &reactor->ops[index];
    if (index == 0 || op->state != OP_FLYING) {
        // An op stays until its result, so this is one said twice. Its buffer, if it names one, was
        // given back before; again would lend it to two receives at once.
        reactor->counters.stale++;
        return;
    }
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    if (multishot && (result->flags & TINA_IO_MORE) != 0) {
        tina_multishot_more(reactor, index, result);
        return;
    }
    if ((op->marks & OP_QUEUED) != 0) {
        tina_ops_remove(reactor, &reactor->staged, index); // its cancel comes too late
    }
    TINA_ASSERT(reactor->flying_count > 0);
    reactor->flying_count--;
    if (multishot) {
        tina_multishot_last(reactor, index, result);
        return;
    }
    switch ((tina_op_kind)op->kind) {
    case TINA_OP_ACCEPT:
    case TINA_OP_OPEN:
        fd_end(reactor, index, result->result);
        break;
    case TINA_OP_RECV:
    case TINA_OP_RECVFROM:
    case TINA_OP_READ:
        recv_end(reactor, index, result->result, result->buffer);
        break;
    case TINA_OP_SEND:
    case TINA_OP_SENDTO:
    case TINA_OP_WRITE:
        send_end(reactor, index, result->result);
        break;
    case TINA_OP_SENDFILE:
        tina_sendfile_end(reactor, index, result);
        break;
    case TINA_OP_CLOSE:
        close_end(reactor, index, result->result);
        break;
    case TINA_OP_CONNECT:
    case TINA_OP_FSYNC:
    case TINA_OP_STAT:
    case TINA_OP_POLL:
    case TINA_OP_RENAME:
    case TINA_OP_UNLINK:
        tina_completions_add(reactor, index, tina_completions_result(op, result->result));
        break;
    case TINA_OP_NONE:
    case TINA_OP_KIND_COUNT:
        tina_assert_failed("an op of no kind flies", __FILE__, __LINE__);
    }
}

void tina_completions_take(tina_reactor *reactor) {
    tina_backend_result results[64];
    uint32_t count;
    do {
        count = reactor->backend->reap(reactor->self, results, 64);
        for (uint32_t i = 0; i < count; i++) {
            result_take(reactor, &results[i]);
        }
    } while (count == 64);
}

static void op_unlink(tina_reactor *reactor, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    if (op->owner_prev != 0) {
        reactor->ops[op->owner_prev].owner_next = op->owner_next;
    } else {
        TINA_ASSERT(op->owner->first_op == index);
        op->owner->first_op = op->owner_next;
    }
    if (op->owner_next != 0) {
        reactor->ops[op->owner_next].owner_prev = op->owner_prev;
    }
    op->owner_prev = op->owner_next = 0;
    TINA_ASSERT(op->owner->ops_in_flight > 0);
    op->owner->ops_in_flight--;
}

static void fds_leave(tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    uint64_t source = reactor->more[index].source;
    if (op->kind != TINA_OP_CLOSE && op->fd != 0) {
        tina_fds_op_ended(reactor, fd_index(op->fd), index);
    }
    if (source != 0) {
        tina_fds_op_ended(reactor, fd_index(source), index);
    }
}

void tina_completions_add(tina_reactor *reactor, uint32_t index, int32_t result) {
    op_entry *op = &reactor->ops[index];
    const op_more *more = &reactor->more[index];
    TINA_ASSERT(op->state != OP_FREE && op->state < OP_DONE);
    TINA_ASSERT((op->marks & OP_QUEUED) == 0);
    if (op->kind == TINA_OP_STAT && result == 0 && !reactor->closing && !op->owner->released) {
        // Into memory that only its owner and this thread touch, and that is there still.
        reactor->backend->stat(reactor->self, more->place, more->stat);
    }
    if (op->kind != TINA_OP_RECVFROM) {
        tina_places_give(reactor, op->kind, more->place);
    }
    tina_sendfile_drop(reactor, index);
    if ((op->marks & OP_RETRY) != 0) {
        tina_buffers_retry_ended(reactor, index);
    }
    fds_leave(reactor, index);
    reactor->counters.completed++;
    reactor->counters.canceled += result == TINA_IO_CANCELED || result == TINA_IO_TIMED_OUT;
    op->result = result;
    op->state = OP_DONE;
    if (reactor->closing) {
        tina_done_drop_op(reactor, index);
        return;
    }
    op_unlink(reactor, index);
    if (!op->owner->released) {
        tina_done_append(reactor, op->owner, DONE_OP | index);
    } else if (op->owner->ops_in_flight > 0) {
        tina_done_drop_op(reactor, index);
    } else {
        if (tina_completions_has_buffer(op)) {
            tina_buffers_give(reactor, op->buffer);
        }
        if (op->kind == TINA_OP_RECVFROM) {
            tina_places_give(reactor, op->kind, more->place);
        }
        op->state = OP_DRAINED;
        tina_ops_push(reactor, &reactor->news, index);
    }
}
