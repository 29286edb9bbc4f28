// SPDX-License-Identifier: Apache-2.0
//
// Multishot ops: one submission, many results.
//
//     STAGED ──▶ FLYING ──last result──▶ STAGED     nothing waits to be taken
//        ▲          │  └─────────────▶ WAITING      ... but no buffer or row for an fd was free
//        │          └────────────────▶ PAUSED       as much waits as may
//        └──────────────all taken────────┘
//
// A backend may end one after any result: because it knows one-shot only, because its queue is
// full, or because it was told to. The front arms it again, and its owner notices nothing. What
// arrives between the decision to pause and its effect is kept too: each result brought its own
// place (DONE_BUFFER, DONE_FD).

#include <errno.h>

#include "core/probe.h"
#include "reactor/table.h"

uint32_t tina_multishot_untaken_max(const tina_reactor *reactor, uint8_t kind) {
    uint32_t share = (reactor->config.buffer_count + 3) / 4;
    bool shared = kind == TINA_OP_RECV && share < TINA_MULTISHOT_UNTAKEN_MAX;
    return shared ? share : TINA_MULTISHOT_UNTAKEN_MAX;
}

static bool owner_is_gone(const tina_reactor *reactor, const op_entry *op) {
    return reactor->closing || op->owner->released;
}

static void result_append(tina_reactor *reactor, uint32_t index, uint32_t at) {
    reactor->ops[index].untaken++;
    reactor->counters.multishot_results++;
    tina_done_append(reactor, reactor->ops[index].owner, at);
}

static void buffer_keep(tina_reactor *reactor, uint32_t index, const tina_backend_result *result) {
    const op_entry *op = &reactor->ops[index];
    TINA_ASSERT(result->buffer != TINA_IO_NO_BUFFER);
    TINA_ASSERT(result->result <= (int32_t)op->bytes);
    tina_buffers_hold(reactor, result->buffer);
    tina_buffers_retry_ended(reactor, index);
    if (owner_is_gone(reactor, op)) {
        tina_buffers_give(reactor, result->buffer);
        return;
    }
    buffer_entry *entry = &reactor->buffer_entries[result->buffer];
    entry->received_by = index;
    entry->bytes = (uint32_t)result->result;
    result_append(reactor, index, DONE_BUFFER | result->buffer);
}

// Until it is taken the row has no owner, so no handle that somebody guessed reaches it.
static void fd_keep(tina_reactor *reactor, uint32_t index, int32_t os_fd) {
    bool gone = owner_is_gone(reactor, &reactor->ops[index]);
    uint32_t fd = gone ? 0 : tina_fds_take(reactor, os_fd);
    if (fd == 0) {
        TINA_SIM_PROBE("an accepted fd came for an owner that is gone, or to a full table");
        reactor->backend->close_now(reactor->self, os_fd);
        reactor->counters.fds_dropped++;
        return;
    }
    reactor->fds[fd].accepted_by = index;
    result_append(reactor, index, DONE_FD | fd);
}

static void result_keep(tina_reactor *reactor, uint32_t index, const tina_backend_result *result) {
    if (reactor->ops[index].kind == TINA_OP_ACCEPT) {
        fd_keep(reactor, index, result->result);
    } else {
        buffer_keep(reactor, index, result);
    }
}

// An accept stops with the last row of the table, before there is a connection without one.
static bool lacks_fd(const tina_reactor *reactor, const op_entry *op) {
    return op->kind == TINA_OP_ACCEPT && tina_fds_full(reactor);
}

static void op_arm(tina_reactor *reactor, uint32_t index) {
    if (lacks_fd(reactor, &reactor->ops[index])) {
        tina_fds_await(reactor, index);
    } else {
        tina_ops_stage(reactor, index);
    }
}

static bool result_brings(const op_entry *op, int32_t result) {
    return op->kind == TINA_OP_ACCEPT ? result >= 0 : result > 0;
}

void tina_multishot_more(tina_reactor *reactor, uint32_t index, const tina_backend_result *result) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT(result_brings(op, result->result));
    result_keep(reactor, index, result);
    bool enough = op->untaken >= tina_multishot_untaken_max(reactor, op->kind);
    if ((enough || lacks_fd(reactor, op)) && (op->marks & (OP_CANCELED | OP_PAUSING)) == 0) {
        op->marks |= OP_PAUSING;
        tina_ops_push(reactor, &reactor->staged, index);
    }
}

static void op_pause(tina_reactor *reactor, uint32_t index) {
    TINA_SIM_PROBE("a multishot op waits for its owner");
    reactor->ops[index].state = OP_PAUSED;
    reactor->counters.multishot_pauses++;
    tina_buffers_retry_ended(reactor, index);
}

void tina_multishot_last(tina_reactor *reactor, uint32_t index, const tina_backend_result *result) {
    op_entry *op = &reactor->ops[index];
    bool pausing = (op->marks & OP_PAUSING) != 0;
    bool brings = result_brings(op, result->result);
    bool starved = op->kind == TINA_OP_RECV && result->result == -ENOBUFS;
    bool stopped = pausing && (result->result == -ECANCELED || result->result == -EINTR);
    op->marks &= (uint8_t)~OP_PAUSING;
    if (brings) {
        result_keep(reactor, index, result);
    } else if (result->buffer != TINA_IO_NO_BUFFER) {
        tina_buffers_hold(reactor, result->buffer);
        tina_buffers_give(reactor, result->buffer);
    }
    if (!brings && !starved && !stopped) {
        tina_completions_add(reactor, index, tina_completions_result(op, result->result));
    } else if ((op->marks & OP_CANCELED) != 0) {
        tina_completions_add(reactor, index, op->result);
    } else if (op->untaken >= tina_multishot_untaken_max(reactor, op->kind) ||
               (pausing && op->untaken > 0)) {
        op_pause(reactor, index);
    } else if (starved) {
        tina_buffers_await(reactor, index);
    } else {
        op_arm(reactor, index);
    }
}

void tina_multishot_taken(tina_reactor *reactor, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->untaken > 0);
    op->untaken--;
    if (op->untaken > 0 || op->state == OP_DONE) {
        return;
    }
    if ((op->marks & OP_NEWS) != 0) {
        tina_ops_remove(reactor, &reactor->news, index);
    }
    if (op->state == OP_PAUSED) {
        op_arm(reactor, index);
    } else if ((op->marks & OP_PAUSING) != 0 && (op->marks & OP_CANCELED) == 0 &&
               (op->marks & OP_QUEUED) != 0 && !lacks_fd(reactor, op)) {
        // An owner that takes everything in the same tick costs the op no interruption.
        tina_ops_remove(reactor, &reactor->staged, index);
        op->marks &= (uint8_t)~OP_PAUSING;
    }
}
