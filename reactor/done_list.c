// SPDX-License-Identifier: Apache-2.0
//
// What came for an owner and was not taken: one list, in the order in which it came.

#include "reactor/table.h"

static uint32_t row_of(uint32_t at) {
    return at & ~DONE_TABLE;
}

static uint32_t *link_of(tina_reactor *reactor, uint32_t at) {
    switch (at & DONE_TABLE) {
    case DONE_OP:
        return &reactor->ops[row_of(at)].owner_next;
    case DONE_BUFFER:
        return &reactor->buffer_entries[row_of(at)].done_next;
    case DONE_FD:
        return &reactor->fds[row_of(at)].owner_next;
    default:
        tina_assert_failed("a done list goes on in no table", __FILE__, __LINE__);
    }
}

static uint32_t op_of(const tina_reactor *reactor, uint32_t at) {
    switch (at & DONE_TABLE) {
    case DONE_BUFFER:
        return reactor->buffer_entries[row_of(at)].received_by;
    case DONE_FD:
        return reactor->fds[row_of(at)].accepted_by;
    default:
        return row_of(at);
    }
}

void tina_done_append(tina_reactor *reactor, tina_reactor_owner *owner, uint32_t at) {
    uint32_t index = op_of(reactor, at);
    TINA_ASSERT(!owner->released);
    TINA_ASSERT(reactor->ops[index].owner == owner);
    *link_of(reactor, at) = 0;
    if (owner->done_tail != 0) {
        *link_of(reactor, owner->done_tail) = at;
    } else {
        owner->done_head = at;
    }
    owner->done_tail = at;
    if ((reactor->ops[index].marks & OP_NEWS) == 0) {
        tina_ops_push(reactor, &reactor->news, index);
    }
}

static void done_remove(tina_reactor *reactor, tina_reactor_owner *owner, uint32_t before,
                        uint32_t at) {
    uint32_t next = *link_of(reactor, at);
    TINA_ASSERT(reactor->ops[op_of(reactor, at)].owner == owner);
    if (before != 0) {
        *link_of(reactor, before) = next;
    } else {
        TINA_ASSERT(owner->done_head == at);
        owner->done_head = next;
    }
    if (owner->done_tail == at) {
        TINA_ASSERT(next == 0);
        owner->done_tail = before;
    }
    *link_of(reactor, at) = 0;
}

// A completion that is taken before reap has told of it is no news any more.
static void op_give(tina_reactor *reactor, uint32_t index) {
    if (reactor->ops[index].kind == TINA_OP_RECVFROM) {
        tina_places_give(reactor, TINA_OP_RECVFROM, reactor->more[index].place);
    }
    if ((reactor->ops[index].marks & OP_NEWS) != 0) {
        tina_ops_remove(reactor, &reactor->news, index);
    }
    tina_ops_give(reactor, index);
}

static bool op_sends(const op_entry *op) {
    return tina_op_traits[op->kind].moves == OP_READS_OWNER || op->kind == TINA_OP_SENDFILE;
}

static void op_take(tina_reactor *reactor, uint32_t index, tina_io_completion *completion) {
    const op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->state == OP_DONE);
    bool brings = tina_completions_has_buffer(op);
    *completion = (tina_io_completion){
        .id = {op_key(reactor, index)},
        .kind = op->kind,
        .flags = (op->marks & OP_CUT) != 0 ? TINA_IO_TRUNCATED : 0,
        .buffer = brings ? (uint16_t)op->buffer : (uint16_t)TINA_IO_NO_BUFFER,
        .result = op->result,
        .bytes = brings         ? (uint32_t)op->result
                 : op_sends(op) ? op->sent
                                : 0,
        .companion = op->companion,
        .fd = {op->fd},
    };
    if (op->kind == TINA_OP_RECVFROM) {
        reactor->sender =
            op->result >= 0 ? reactor->addresses[reactor->more[index].place] : (tina_address){0};
    }
    op_give(reactor, index);
}

const tina_address *tina_reactor_sender(const tina_reactor *reactor) {
    return &reactor->sender;
}

static void buffer_take(tina_reactor *reactor, uint32_t buffer, tina_io_completion *completion) {
    buffer_entry *entry = &reactor->buffer_entries[buffer];
    uint32_t index = entry->received_by;
    *completion = (tina_io_completion){
        .id = {op_key(reactor, index)},
        .kind = TINA_OP_RECV,
        .flags = TINA_IO_MORE,
        .buffer = (uint16_t)buffer,
        .result = (int32_t)entry->bytes,
        .bytes = entry->bytes,
        .fd = {reactor->ops[index].fd},
    };
    entry->received_by = 0;
    tina_multishot_taken(reactor, index);
}

static void fd_take(tina_reactor *reactor, uint32_t fd, tina_io_completion *completion) {
    uint32_t index = reactor->fds[fd].accepted_by;
    *completion = (tina_io_completion){
        .id = {op_key(reactor, index)},
        .kind = TINA_OP_ACCEPT,
        .flags = TINA_IO_MORE,
        .buffer = TINA_IO_NO_BUFFER,
        .fd = tina_fds_own(reactor, fd, reactor->ops[index].owner, FD_FULL),
    };
    tina_multishot_taken(reactor, index);
}

static void done_take(tina_reactor *reactor, tina_reactor_owner *owner, uint32_t before,
                      uint32_t at, tina_io_completion *completion) {
    done_remove(reactor, owner, before, at);
    switch (at & DONE_TABLE) {
    case DONE_BUFFER:
        buffer_take(reactor, row_of(at), completion);
        break;
    case DONE_FD:
        fd_take(reactor, row_of(at), completion);
        break;
    default:
        op_take(reactor, row_of(at), completion);
        break;
    }
}

bool tina_reactor_next(tina_reactor *reactor, tina_reactor_owner *owner,
                       tina_io_completion *completion) {
    if (owner->done_head == 0) {
        return false;
    }
    done_take(reactor, owner, 0, owner->done_head, completion);
    return true;
}

// Whether the list is worth a search, which an owner that awaits one op among many asks often.
static bool op_has_untaken(const tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    return op->state == OP_DONE || ((op->flags & TINA_IO_MULTISHOT) != 0 && op->untaken != 0);
}

bool tina_reactor_next_of(tina_reactor *reactor, tina_reactor_owner *owner, tina_io_id id,
                          tina_io_completion *completion) {
    uint32_t index = tina_ops_find(reactor, id.bits);
    if (index == 0 || reactor->ops[index].owner != owner || !op_has_untaken(reactor, index)) {
        return false;
    }
    uint32_t before = 0;
    uint32_t at = owner->done_head;
    while (op_of(reactor, at) != index) {
        TINA_ASSERT(at != 0);
        before = at;
        at = *link_of(reactor, at);
    }
    done_take(reactor, owner, before, at, completion);
    return true;
}

void tina_done_drop_op(tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    bool fd = op->kind == TINA_OP_ACCEPT || op->kind == TINA_OP_OPEN;
    if (tina_completions_has_buffer(op)) {
        tina_buffers_give(reactor, op->buffer);
    } else if (fd && op->result == 0) {
        reactor->counters.fds_dropped++; // it is in its owner's list and closed with it
    }
    op_give(reactor, index);
}

static void buffer_drop(tina_reactor *reactor, uint32_t buffer) {
    uint32_t index = reactor->buffer_entries[buffer].received_by;
    reactor->buffer_entries[buffer].received_by = 0;
    tina_multishot_taken(reactor, index);
    tina_buffers_give(reactor, buffer);
}

static void fd_drop(tina_reactor *reactor, uint32_t fd) {
    uint32_t index = reactor->fds[fd].accepted_by;
    reactor->backend->close_now(reactor->self, reactor->fds[fd].os_fd);
    tina_fds_give(reactor, fd);
    reactor->counters.fds_dropped++;
    tina_multishot_taken(reactor, index);
}

void tina_done_drop(tina_reactor *reactor, tina_reactor_owner *owner) {
    while (owner->done_head != 0) {
        uint32_t at = owner->done_head;
        done_remove(reactor, owner, 0, at);
        switch (at & DONE_TABLE) {
        case DONE_BUFFER:
            buffer_drop(reactor, row_of(at));
            break;
        case DONE_FD:
            fd_drop(reactor, row_of(at));
            break;
        default:
            tina_done_drop_op(reactor, row_of(at));
            break;
        }
    }
}

// By whatever rights the name has.
static bool is_same_fd(uint64_t bits, uint64_t other) {
    return ((bits ^ other) & ~((uint64_t)FD_FULL << 54)) == 0;
}

static bool op_names(const tina_reactor *reactor, uint32_t index, tina_fd fd) {
    return is_same_fd(reactor->ops[index].fd, fd.bits) ||
           is_same_fd(reactor->more[index].source, fd.bits);
}

// Whether a completion that waits is of an op on the fd, or of the accept that brought it; `sent`:
// of one that sent to it.
static bool done_find(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                      bool sent) {
    uint32_t at = owner->done_head;
    while (at != 0) {
        uint32_t row = row_of(at);
        switch (at & DONE_TABLE) {
        case DONE_BUFFER:
            at = reactor->buffer_entries[row].done_next;
            break;
        case DONE_FD:
            at = reactor->fds[row].owner_next;
            break;
        default:
            if (op_names(reactor, row, fd) && (!sent || op_sends(&reactor->ops[row]))) {
                return true;
            }
            at = reactor->ops[row].owner_next;
            break;
        }
    }
    return false;
}

bool tina_done_names(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd) {
    return done_find(reactor, owner, fd, false);
}

bool tina_done_sent(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd) {
    return done_find(reactor, owner, fd, true);
}
