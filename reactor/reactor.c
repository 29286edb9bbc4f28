// SPDX-License-Identifier: Apache-2.0

#include "reactor/reactor.h"

#include "reactor/table.h"

static void op_fill(tina_reactor *reactor, uint32_t index, const tina_io_op *op, uint32_t place);
static void op_begin(tina_reactor *reactor, uint32_t index, const op_rows *rows);

int32_t tina_reactor_submit(tina_reactor *reactor, tina_reactor_owner *owner, const tina_io_op *op,
                            tina_io_id *id) {
    TINA_ASSERT(!owner->released);
    op_rows rows;
    uint32_t place = 0;
    uint32_t index = 0;
    int32_t refusal = tina_op_check(reactor, owner, op, &rows);
    if (refusal == 0) {
        refusal = tina_places_take(reactor, op, &place) ? 0 : TINA_IO_OPS_FULL;
    }
    if (refusal == 0) {
        index = tina_ops_take(reactor, owner);
        if (index == 0) {
            tina_places_give(reactor, op->kind, place);
            refusal = TINA_IO_OPS_FULL;
        }
    }
    if (refusal != 0) {
        reactor->counters.refused++;
        return refusal;
    }
    op_fill(reactor, index, op, place);
    op_begin(reactor, index, &rows);
    reactor->counters.submitted++;
    id->bits = op_key(reactor, index);
    return 0;
}

// A buffer takes so much of what an op receives at a time.
static uint32_t op_bytes(const tina_reactor *reactor, const tina_io_op *op) {
    uint32_t most = reactor->config.buffer_bytes;
    if (tina_op_traits[op->kind].moves != OP_FILLS_BUFFER) {
        return op->bytes;
    }
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    return multishot || op->bytes > most ? most : op->bytes;
}

static const void *op_data(const tina_reactor *reactor, const tina_io_op *op, uint32_t place) {
    switch ((op_place)tina_op_traits[op->kind].place) {
    case PLACE_ADDRESS:
        return op->kind == TINA_OP_CONNECT ? &reactor->addresses[place] : op->data;
    case PLACE_PATH:
        return tina_path_at(reactor, place);
    case PLACE_NONE:
        break;
    }
    return op->data;
}

static void op_fill(tina_reactor *reactor, uint32_t index, const tina_io_op *op, uint32_t place) {
    op_entry *entry = &reactor->ops[index];
    op_more *more = &reactor->more[index];
    entry->data = op_data(reactor, op, place);
    entry->fd = op->fd.bits;
    entry->bytes = op_bytes(reactor, op);
    entry->kind = op->kind;
    entry->flags = op->flags;
    *more = (op_more){.offset = op->offset, .how = op->how, .place = place};
    if (op->kind == TINA_OP_STAT) {
        more->stat = op->stat;
    } else if (op->kind == TINA_OP_SENDFILE) {
        more->source = op->source.bits;
    }
}

static void fd_occupy(tina_reactor *reactor, uint32_t fd, uint32_t index, uint32_t directions) {
    if ((directions & FD_READ) != 0) {
        reactor->fds[fd].read_op = index;
    }
    if ((directions & FD_WRITE) != 0) {
        reactor->fds[fd].write_op = index;
    }
}

static void op_begin(tina_reactor *reactor, uint32_t index, const op_rows *rows) {
    op_entry *op = &reactor->ops[index];
    if (op->kind == TINA_OP_CLOSE) {
        op->state = OP_CLOSING;
        tina_fds_cancel(reactor, rows->fd);
        tina_fds_begin_close(reactor, rows->fd, index);
        return;
    }
    fd_occupy(reactor, rows->fd, index, tina_op_directions(op->kind, reactor->more[index].how));
    if (rows->source != 0) {
        fd_occupy(reactor, rows->source, index, FD_READ);
    }
    tina_ops_stage(reactor, index);
}

static op_queue *queue_of(tina_reactor *reactor, const op_entry *op) {
    if (op->state == OP_STAGED) {
        return &reactor->staged;
    }
    return op->kind == TINA_OP_ACCEPT ? &reactor->fdless : &reactor->waiting;
}

void tina_ops_cancel(tina_reactor *reactor, uint32_t index, int32_t reason) {
    op_entry *op = &reactor->ops[index];
    switch ((op_state)op->state) {
    case OP_STAGED:
    case OP_WAITING:
        if (op->kind == TINA_OP_CLOSE) {
            return;
        }
        tina_ops_remove(reactor, queue_of(reactor, op), index);
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

// What of an op is still to be sent; elsewhere nothing was, and `sent` is another's word.
static uint32_t op_sent(const op_entry *op) {
    return tina_op_traits[op->kind].moves == OP_READS_OWNER ? op->sent : 0;
}

static void op_stage_file(const tina_reactor *reactor, uint32_t index, tina_backend_op *staged) {
    const op_entry *op = &reactor->ops[index];
    const op_more *more = &reactor->more[index];
    staged->how = (uint16_t)more->how;
    staged->place = more->place;
    if (op->kind == TINA_OP_SENDTO) {
        staged->address = &reactor->addresses[more->place];
    } else if (op->kind == TINA_OP_READ || op->kind == TINA_OP_WRITE) {
        bool position = more->offset == TINA_OFFSET_POSITION;
        staged->offset = position ? TINA_OFFSET_POSITION : more->offset + op_sent(op);
    }
}

// Where what a multishot op takes is short, it is armed for one result at a time, so that it takes
// one and the others' turn comes.
static bool is_one_at_a_time(const tina_reactor *reactor, const op_entry *op) {
    return op->kind == TINA_OP_ACCEPT ? tina_fds_scarce(reactor)
                                      : (op->marks & OP_RETRY) != 0 || reactor->waiting.head != 0;
}

static tina_backend_op op_for_backend(const tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    tina_backend_op staged = {.key = op_key(reactor, index), .kind = TINA_OP_CANCEL};
    if (op->state != OP_STAGED) {
        return staged;
    }
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    const uint8_t *data = multishot ? NULL : op->data;
    uint32_t sent = op_sent(op);
    staged.kind = op->kind;
    staged.flags = op->flags;
    staged.os_fd = reactor->fds[fd_index(op->fd)].os_fd;
    staged.data = sent != 0 ? data + sent : data;
    staged.bytes = op->bytes - sent;
    if (multishot && is_one_at_a_time(reactor, op)) {
        staged.flags = 0;
    } else if (op->kind == TINA_OP_SENDFILE) {
        tina_sendfile_stage(reactor, index, &staged);
    } else if (op->kind == TINA_OP_CONNECT || op->kind >= TINA_OP_RECVFROM) {
        op_stage_file(reactor, index, &staged);
    }
    return staged;
}

// Most ticks stage nothing, and then this needs no batch on the stack.
static __attribute__((noinline)) uint32_t staged_hand_over(tina_reactor *reactor) {
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

static inline uint32_t staged_flush(tina_reactor *reactor) {
    return reactor->staged.head == 0 ? 0 : staged_hand_over(reactor);
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
