// SPDX-License-Identifier: Apache-2.0

#include "reactor/reactor.h"

#include "reactor/table.h"

static int32_t submit_check(const tina_reactor *reactor, const tina_reactor_owner *owner,
                            const tina_io_op *op, uint32_t *fd);
static void fd_occupy(tina_reactor *reactor, uint32_t fd, uint32_t index, uint8_t kind);

int32_t tina_reactor_submit(tina_reactor *reactor, tina_reactor_owner *owner, const tina_io_op *op,
                            tina_io_id *id) {
    TINA_ASSERT(!owner->released);
    const tina_address *address = NULL;
    uint32_t fd = 0;
    int32_t refusal = submit_check(reactor, owner, op, &fd);
    if (refusal == 0 && op->kind == TINA_OP_CONNECT) {
        address = tina_addresses_take(reactor, op->data);
        refusal = address == NULL ? TINA_IO_OPS_FULL : 0;
    }
    uint32_t index = refusal == 0 ? tina_ops_take(reactor, owner) : 0;
    if (index == 0) {
        if (address != NULL) {
            tina_addresses_give(reactor, address);
        }
        reactor->counters.refused++;
        return refusal != 0 ? refusal : TINA_IO_OPS_FULL;
    }
    op_entry *entry = &reactor->ops[index];
    entry->data = address != NULL ? (const void *)address : op->data;
    entry->fd = op->fd.bits;
    entry->bytes = op->bytes;
    entry->kind = op->kind;
    entry->flags = op->flags;
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    if (op->kind == TINA_OP_RECV && (multishot || op->bytes > reactor->config.buffer_bytes)) {
        entry->bytes = reactor->config.buffer_bytes;
    }
    reactor->counters.submitted++;
    id->bits = op_key(reactor, index);
    if (op->kind == TINA_OP_CLOSE) {
        entry->state = OP_CLOSING;
        tina_fds_cancel(reactor, fd);
        tina_fds_begin_close(reactor, fd, index);
    } else {
        fd_occupy(reactor, fd, index, op->kind);
        tina_ops_stage(reactor, index);
    }
    return 0;
}

static uint8_t op_flags(uint8_t kind) {
    switch (kind) {
    case TINA_OP_SEND:
        return TINA_IO_SOME;
    case TINA_OP_ACCEPT:
    case TINA_OP_RECV:
        return TINA_IO_MULTISHOT;
    default:
        return 0;
    }
}

static bool op_is_in_range(const tina_io_op *op) {
    const tina_address *address = op->data;
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    if ((op->flags & ~op_flags(op->kind)) != 0 || op->offset != 0) {
        return false;
    }
    switch (op->kind) {
    case TINA_OP_ACCEPT:
    case TINA_OP_CLOSE:
        return true;
    case TINA_OP_CONNECT:
        return address != NULL && tina_address_is_valid(address);
    case TINA_OP_RECV:
        return multishot ? op->bytes == 0 : op->bytes > 0;
    case TINA_OP_SEND:
        return op->data != NULL && op->bytes > 0 && op->bytes <= INT32_MAX;
    default:
        return false;
    }
}

static uint32_t op_rights(uint8_t kind) {
    switch (kind) {
    case TINA_OP_ACCEPT:
    case TINA_OP_RECV:
        return FD_READ;
    case TINA_OP_SEND:
        return FD_WRITE;
    case TINA_OP_CONNECT:
        return FD_FULL;
    default:
        return 0;
    }
}

static int32_t submit_check(const tina_reactor *reactor, const tina_reactor_owner *owner,
                            const tina_io_op *op, uint32_t *fd) {
    if (!op_is_in_range(op)) {
        return TINA_IO_BAD_OP;
    }
    *fd = tina_fds_find(reactor, owner, op->fd);
    if (*fd == 0) {
        return TINA_IO_BAD_FD;
    }
    uint32_t rights = op_rights(op->kind);
    if ((fd_rights(op->fd.bits) & rights) != rights) {
        return TINA_IO_NO_RIGHT;
    }
    const fd_entry *entry = &reactor->fds[*fd];
    bool busy = ((rights & FD_READ) != 0 && entry->read_op != 0) ||
                ((rights & FD_WRITE) != 0 && entry->write_op != 0);
    return busy ? TINA_IO_BUSY : 0;
}

static void fd_occupy(tina_reactor *reactor, uint32_t fd, uint32_t index, uint8_t kind) {
    uint32_t rights = op_rights(kind);
    if ((rights & FD_READ) != 0) {
        reactor->fds[fd].read_op = index;
    }
    if ((rights & FD_WRITE) != 0) {
        reactor->fds[fd].write_op = index;
    }
}

void tina_ops_cancel(tina_reactor *reactor, uint32_t index, int32_t reason) {
    op_entry *op = &reactor->ops[index];
    switch ((op_state)op->state) {
    case OP_STAGED:
    case OP_WAITING:
        if (op->kind == TINA_OP_CLOSE) {
            return;
        }
        tina_ops_remove(reactor, op->state == OP_STAGED ? &reactor->staged : &reactor->waiting,
                        index);
        tina_completions_add(reactor, index, reason);
        return;
    case OP_PAUSED:
        tina_completions_add(reactor, index, reason);
        return;
    case OP_FLYING:
        if (op->kind != TINA_OP_CLOSE && (op->marks & OP_CANCELED) == 0) {
            op->marks |= OP_CANCELED;
            op->result = reason;
            if ((op->marks & OP_PAUSING) == 0) {
                tina_ops_push(reactor, &reactor->staged, index);
            }
        }
        return;
    case OP_CLOSING:
        return;
    case OP_FREE:
    case OP_DONE:
    case OP_DRAINED:
        break;
    }
    tina_assert_failed("an op that is not in flight is canceled", __FILE__, __LINE__);
}

bool tina_reactor_cancel(tina_reactor *reactor, tina_io_id id, int32_t result) {
    TINA_ASSERT(result == TINA_IO_CANCELED || result == TINA_IO_TIMED_OUT);
    uint32_t index = tina_ops_find(reactor, id.bits);
    if (index == 0 || reactor->ops[index].state >= OP_DONE) {
        return false;
    }
    tina_ops_cancel(reactor, index, result);
    return true;
}

void tina_reactor_set_companion(tina_reactor *reactor, tina_io_id id, uint32_t companion) {
    uint32_t index = tina_ops_find(reactor, id.bits);
    TINA_ASSERT(index != 0);
    reactor->ops[index].companion = companion;
}

static tina_backend_op op_for_backend(const tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    const uint8_t *bytes = multishot ? NULL : op->data;
    uint32_t sent = op->kind == TINA_OP_SEND ? op->sent : 0;
    tina_backend_op staged = {.key = op_key(reactor, index), .kind = TINA_OP_CANCEL};
    if (op->state == OP_STAGED) {
        staged.kind = op->kind;
        staged.flags = op->flags;
        staged.os_fd = reactor->fds[fd_index(op->fd)].os_fd;
        staged.data = sent != 0 ? bytes + sent : bytes;
        staged.bytes = op->bytes - sent;
    }
    return staged;
}

static uint32_t staged_flush(tina_reactor *reactor) {
    tina_backend_op batch[32];
    uint32_t total = 0;
    for (;;) {
        uint32_t count = 0;
        uint32_t index = reactor->staged.head;
        for (; index != 0 && count < 32; index = reactor->ops[index].queue.next) {
            batch[count++] = op_for_backend(reactor, index);
        }
        uint32_t taken = count == 0 ? 0 : reactor->backend->stage(reactor->self, batch, count);
        TINA_ASSERT(taken <= count);
        for (uint32_t i = 0; i < taken; i++) {
            op_entry *op = &reactor->ops[reactor->staged.head];
            tina_ops_remove(reactor, &reactor->staged, reactor->staged.head);
            if (op->state == OP_STAGED) {
                op->state = OP_FLYING;
                reactor->flying_count++;
            }
        }
        total += taken;
        if (count == 0 || taken < count) {
            return total;
        }
    }
}

void tina_reactor_flush(tina_reactor *reactor) {
    (void)staged_flush(reactor);
}

int tina_reactor_wait(tina_reactor *reactor, uint64_t now_ns, uint64_t until_ns) {
    (void)staged_flush(reactor);
    while (reactor->staged.head != 0) {
        // More is staged than the backend's queue holds: empty it into the kernel and go on. When
        // that makes no room, the kernel wants its completions taken first.
        int calls = reactor->backend->wait(reactor->self, now_ns, now_ns);
        if (calls < 0) {
            return calls;
        }
        reactor->counters.waits += (uint32_t)calls;
        if (staged_flush(reactor) == 0) {
            return 0;
        }
    }
    if (reactor->news.head != 0) {
        until_ns = now_ns;
    }
    int calls = reactor->backend->wait(reactor->self, now_ns, until_ns);
    reactor->counters.waits += calls > 0 ? (uint32_t)calls : 0;
    return calls < 0 ? calls : 0;
}

void tina_reactor_wake(tina_reactor *reactor) {
    reactor->backend->wake(reactor->self);
}

uint32_t tina_reactor_reap(tina_reactor *reactor, tina_reactor_event *events, uint32_t capacity) {
    tina_completions_take(reactor);
    uint32_t count = 0;
    while (count < capacity && reactor->news.head != 0) {
        uint32_t index = reactor->news.head;
        const op_entry *op = &reactor->ops[index];
        bool drained = op->state == OP_DRAINED;
        TINA_ASSERT(drained == op->owner->released);
        tina_ops_remove(reactor, &reactor->news, index);
        events[count++] = (tina_reactor_event){
            .token = op->owner->token,
            .owner = op->owner,
            .news = drained ? TINA_REACTOR_DRAINED : TINA_REACTOR_COMPLETED,
        };
        if (drained) {
            tina_ops_give(reactor, index);
        }
    }
    return count;
}

bool tina_reactor_release(tina_reactor *reactor, tina_reactor_owner *owner) {
    TINA_ASSERT(!owner->released);
    for (uint32_t index = owner->first_op, next; index != 0; index = next) {
        next = reactor->ops[index].owner_next; // an op that was only staged leaves the list here
        tina_ops_cancel(reactor, index, TINA_IO_CANCELED);
    }
    tina_done_drop(reactor, owner);
    while (owner->first_fd != 0) {
        tina_fds_begin_close(reactor, owner->first_fd, 0);
    }
    owner->released = true;
    return owner->ops_in_flight == 0;
}

const tina_reactor_counters *tina_reactor_count(const tina_reactor *reactor) {
    return &reactor->counters;
}

const char *tina_reactor_backend_name(const tina_reactor *reactor) {
    return reactor->backend->name;
}
