// SPDX-License-Identifier: Apache-2.0
//
// From the backend's numbers to an owner's completions.

#include <errno.h>

#include "reactor/table.h"

static bool op_is_canceled(const op_entry *op) {
    return (op->marks & OP_CANCELED) != 0;
}

// What an owner is told of a backend's result. Who asked for the cancel gave its reason; a worker
// of the kernel that was running the op when its cancel came answers EINTR.
static int32_t result_of(const op_entry *op, int32_t result) {
    if (op_is_canceled(op) && (result == -ECANCELED || result == -EINTR)) {
        return op->result;
    }
    return result == -ECANCELED ? TINA_IO_CANCELED : result;
}

static void accept_end(tina_reactor *reactor, uint32_t index, int32_t result) {
    op_entry *op = &reactor->ops[index];
    if (result < 0) {
        tina_completions_add(reactor, index, result_of(op, result));
        return;
    }
    bool dead = reactor->closing || op->owner->released;
    tina_fd fd = dead ? tina_fd_none() : tina_fds_take(reactor, op->owner, result);
    if (tina_fd_is_none(fd)) {
        reactor->backend->close_now(reactor->self, result);
        reactor->counters.fds_dropped++;
        tina_completions_add(reactor, index, dead ? TINA_IO_CANCELED : TINA_IO_FDS_FULL);
        return;
    }
    tina_completions_add(reactor, index, 0);
    TINA_ASSERT(op->state == OP_DONE);
    op->fd = fd.bits;
}

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
    TINA_ASSERT(result <= (int32_t)op->bytes);
    if (result == -ENOBUFS) {
        if (!op_is_canceled(op)) {
            tina_buffers_await(reactor, index);
            return;
        }
        result = op->result;
    }
    op->buffer = buffer;
    tina_completions_add(reactor, index, result_of(op, result));
}

static void send_end(tina_reactor *reactor, uint32_t index, int32_t result) {
    op_entry *op = &reactor->ops[index];
    if (result <= 0) {
        // Nothing sent and no error would stage the same bytes for ever; no kernel answers that.
        tina_completions_add(reactor, index, result < 0 ? result_of(op, result) : -EIO);
        return;
    }
    TINA_ASSERT((uint32_t)result <= op->bytes - op->sent);
    op->sent += (uint32_t)result;
    if (op->sent == op->bytes || (op->flags & TINA_IO_SOME) != 0) {
        tina_completions_add(reactor, index, (int32_t)op->sent);
    } else if (op_is_canceled(op)) {
        tina_completions_add(reactor, index, op->result);
    } else {
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
    if ((op->marks & OP_QUEUED) != 0) {
        tina_ops_remove(reactor, &reactor->staged, index); // its cancel comes too late
    }
    TINA_ASSERT(reactor->flying_count > 0);
    reactor->flying_count--;
    switch (op->kind) {
    case TINA_OP_ACCEPT:
        accept_end(reactor, index, result->result);
        break;
    case TINA_OP_CONNECT:
        tina_completions_add(reactor, index, result_of(op, result->result));
        break;
    case TINA_OP_RECV:
        recv_end(reactor, index, result->result, result->buffer);
        break;
    case TINA_OP_SEND:
        send_end(reactor, index, result->result);
        break;
    case TINA_OP_CLOSE:
        close_end(reactor, index, result->result);
        break;
    default:
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

static void op_drop(tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    if (op->kind == TINA_OP_RECV && op->result > 0) {
        tina_buffers_give(reactor, op->buffer);
    } else if (op->kind == TINA_OP_ACCEPT && op->result == 0) {
        reactor->counters.fds_dropped++; // it is in its owner's list and closed with it
    }
    tina_ops_give(reactor, index);
}

static void done_append(tina_reactor *reactor, uint32_t index) {
    tina_reactor_owner *owner = reactor->ops[index].owner;
    if (owner->done_tail != 0) {
        reactor->ops[owner->done_tail].owner_next = index;
    } else {
        owner->done_head = index;
    }
    owner->done_tail = index;
}

// A completion that is taken before reap has told of it is no news any more.
static void news_leave(tina_reactor *reactor, uint32_t index) {
    if ((reactor->ops[index].marks & OP_QUEUED) != 0) {
        tina_ops_remove(reactor, &reactor->news, index);
    }
}

static uint32_t done_pop(tina_reactor *reactor, tina_reactor_owner *owner) {
    uint32_t index = owner->done_head;
    if (index == 0) {
        return 0;
    }
    const op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->state == OP_DONE && op->owner == owner);
    owner->done_head = op->owner_next;
    if (owner->done_head == 0) {
        owner->done_tail = 0;
    }
    news_leave(reactor, index);
    return index;
}

void tina_completions_add(tina_reactor *reactor, uint32_t index, int32_t result) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->state != OP_FREE && op->state < OP_DONE);
    TINA_ASSERT((op->marks & OP_QUEUED) == 0);
    if (op->kind == TINA_OP_CONNECT) {
        tina_addresses_give(reactor, op->data);
    } else if (op->kind == TINA_OP_RECV) {
        tina_buffers_retry_ended(reactor, index);
    }
    if (op->kind != TINA_OP_CLOSE) {
        tina_fds_op_ended(reactor, fd_index(op->fd), index);
    }
    reactor->counters.completed++;
    reactor->counters.canceled += result == TINA_IO_CANCELED || result == TINA_IO_TIMED_OUT;
    op->result = result;
    op->state = OP_DONE;
    if (reactor->closing) {
        op_drop(reactor, index);
        return;
    }
    op_unlink(reactor, index);
    if (!op->owner->released) {
        done_append(reactor, index);
        tina_ops_push(reactor, &reactor->news, index);
    } else if (op->owner->ops_in_flight > 0) {
        op_drop(reactor, index);
    } else {
        if (op->kind == TINA_OP_RECV && result > 0) {
            tina_buffers_give(reactor, op->buffer);
        }
        op->state = OP_DRAINED;
        tina_ops_push(reactor, &reactor->news, index);
    }
}

// Ends an op that is in no list any more, and writes what came of it.
static void completion_take(tina_reactor *reactor, uint32_t index, tina_io_completion *completion) {
    const op_entry *op = &reactor->ops[index];
    bool moved = op->kind == TINA_OP_RECV && op->result > 0;
    *completion = (tina_io_completion){
        .id = {op_key(reactor, index)},
        .kind = op->kind,
        .buffer = moved ? (uint16_t)op->buffer : (uint16_t)TINA_IO_NO_BUFFER,
        .result = op->result,
        .bytes = moved                      ? (uint32_t)op->result
                 : op->kind == TINA_OP_SEND ? op->sent
                                            : 0,
        .companion = op->companion,
        .fd = {op->fd},
    };
    tina_ops_give(reactor, index);
}

bool tina_reactor_next(tina_reactor *reactor, tina_reactor_owner *owner,
                       tina_io_completion *completion) {
    uint32_t index = done_pop(reactor, owner);
    if (index == 0) {
        return false;
    }
    completion_take(reactor, index, completion);
    return true;
}

bool tina_reactor_next_of(tina_reactor *reactor, tina_reactor_owner *owner, tina_io_id id,
                          tina_io_completion *completion) {
    uint32_t wanted = (uint32_t)id.bits;
    if (owner->done_head == wanted) {
        return wanted != 0 && tina_reactor_next(reactor, owner, completion);
    }
    for (uint32_t at = owner->done_head; at != 0; at = reactor->ops[at].owner_next) {
        if (reactor->ops[at].owner_next != wanted) {
            continue;
        }
        reactor->ops[at].owner_next = reactor->ops[wanted].owner_next;
        if (owner->done_tail == wanted) {
            owner->done_tail = at;
        }
        news_leave(reactor, wanted);
        completion_take(reactor, wanted, completion);
        return true;
    }
    return false;
}

void tina_completions_drop(tina_reactor *reactor, tina_reactor_owner *owner) {
    for (uint32_t index = done_pop(reactor, owner); index != 0; index = done_pop(reactor, owner)) {
        op_drop(reactor, index);
    }
}
