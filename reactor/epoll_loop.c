// SPDX-License-Identifier: Apache-2.0
//
// An op goes the shortest of these ways:
//
//     stage ─▶ TODO ─wait, try─▶ result               what needs no waiting for: most sends
//                │
//                ├─▶ PARKED ─epoll, try─▶ result      the kernel watches the fd for its direction
//                │
//                └─▶ QUEUED ─▶ WORKING ─▶ result      the file thread

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "arena/poison.h"
#include "core/assert.h"
#include "reactor/epoll_state.h"

static uint32_t row_of(uint64_t key) {
    return (uint32_t)key;
}

static void queue_push(epoll_state *e, epoll_queue *queue, uint32_t row) {
    epoll_op *op = &e->ops[row];
    op->prev = queue->tail;
    op->next = 0;
    if (queue->tail != 0) {
        e->ops[queue->tail].next = row;
    } else {
        queue->head = row;
    }
    queue->tail = row;
}

static void queue_remove(epoll_state *e, epoll_queue *queue, uint32_t row) {
    const epoll_op *op = &e->ops[row];
    if (op->prev != 0) {
        e->ops[op->prev].next = op->next;
    } else {
        TINA_ASSERT(queue->head == row);
        queue->head = op->next;
    }
    if (op->next != 0) {
        e->ops[op->next].prev = op->prev;
    } else {
        TINA_ASSERT(queue->tail == row);
        queue->tail = op->prev;
    }
}

static void result_push(epoll_state *e, const tina_backend_result *result) {
    TINA_ASSERT(e->result_tail - e->result_head <= e->result_mask);
    e->results[e->result_tail++ & e->result_mask] = *result;
    e->more_count += result->flags == TINA_IO_MORE;
}

static void op_end(epoll_state *e, uint32_t row, int32_t result, uint16_t buffer) {
    epoll_op *op = &e->ops[row];
    result_push(e, &(tina_backend_result){op->op.key, result, buffer, 0, 0});
    op->state = EPOLL_OP_FREE;
}

// Whether a result of a multishot op is not its last. It ends when its results have no room.
static bool op_goes_on(const epoll_state *e, const epoll_op *op, int32_t result) {
    bool brings = op->op.kind == TINA_OP_ACCEPT ? result >= 0 : result > 0;
    return (op->op.flags & TINA_IO_MULTISHOT) != 0 && brings && e->more_count < EPOLL_MORE_MAX;
}

// Whether a further attempt would likely find more: a short receive has emptied the socket.
static bool more_is_likely(const epoll_op *op, int32_t result, uint32_t results) {
    return op->op.kind == TINA_OP_ACCEPT
               ? results < EPOLL_ACCEPTS_MAX
               : result == (int32_t)op->op.bytes && results < EPOLL_RECEIVES_MAX;
}

// Goes on with an op as far as that is possible at once, and returns whether it has ended.
static bool op_advance(epoll_state *e, uint32_t row) {
    epoll_op *op = &e->ops[row];
    for (uint32_t results = 1;; results++) {
        uint16_t buffer = TINA_IO_NO_BUFFER;
        int32_t result = tina_epoll_try(e, op, &buffer);
        if (result == EPOLL_NOT_READY) {
            return false;
        }
        if (!op_goes_on(e, op, result)) {
            op_end(e, row, result, buffer);
            return true;
        }
        result_push(e, &(tina_backend_result){op->op.key, result, buffer, TINA_IO_MORE, 0});
        if (!more_is_likely(op, result, results)) {
            return false;
        }
    }
}

static void buffer_return(epoll_state *e, uint16_t buffer) {
    TINA_ASSERT(e->lent_count < e->buffers.count);
    e->lent[e->lent_count++] = buffer;
}

// What the thread reads into or fills in; NULL: nothing. A read takes its buffer along.
static void *target_of(epoll_state *e, epoll_op *op) {
    op->buffer = TINA_IO_NO_BUFFER;
    if (op->op.kind == TINA_OP_STAT) {
        return tina_epoll_stat_place(e, op->op.place);
    }
    if (op->op.kind != TINA_OP_READ) {
        return NULL;
    }
    op->buffer = e->lent[--e->lent_count];
    tina_unpoison(tina_epoll_buffer(e, op->buffer), e->buffers.bytes);
    return tina_epoll_buffer(e, op->buffer);
}

// Gives the thread what it takes; the others stay in the queue.
static void queued_start(epoll_state *e) {
    while (e->queued.head != 0 && !tina_epoll_files_full(&e->files)) {
        uint32_t row = e->queued.head;
        epoll_op *op = &e->ops[row];
        queue_remove(e, &e->queued, row);
        if (op->op.kind == TINA_OP_READ && e->lent_count == 0) {
            op_end(e, row, -ENOBUFS, TINA_IO_NO_BUFFER);
            continue;
        }
        tina_epoll_files_start(&e->files, &op->op, row, target_of(e, op), &e->calls);
        op->state = EPOLL_OP_WORKING;
    }
}

static void answer_take(epoll_state *e, const tina_epoll_answer *answer) {
    epoll_op *op = &e->ops[answer->row];
    TINA_ASSERT(op->state == EPOLL_OP_WORKING);
    uint16_t buffer = op->buffer;
    if (buffer != TINA_IO_NO_BUFFER) {
        tina_poison(tina_epoll_buffer(e, buffer), e->buffers.bytes);
    }
    if (buffer != TINA_IO_NO_BUFFER && answer->result <= 0) {
        buffer_return(e, buffer);
        buffer = TINA_IO_NO_BUFFER;
    }
    if (op->op.kind == TINA_OP_OPEN && answer->result >= 0 && answer->is_file) {
        tina_epoll_fds_add(&e->fds, answer->result)->is_file = true;
    }
    op_end(e, answer->row, answer->result, buffer);
}

static void files_run(epoll_state *e) {
    tina_epoll_answer answer;
    while (!tina_epoll_files_idle(&e->files) && tina_epoll_files_take(&e->files, &answer)) {
        answer_take(e, &answer);
    }
    queued_start(e);
}

static void op_queue(epoll_state *e, uint32_t row) {
    e->ops[row].state = EPOLL_OP_QUEUED;
    queue_push(e, &e->queued, row);
}

static void op_park(epoll_state *e, uint32_t row) {
    const epoll_op *op = &e->ops[row];
    tina_epoll_fd *fd = tina_epoll_fds_add(&e->fds, op->op.os_fd);
    int failed = tina_epoll_park(e, fd, row);
    if (failed == -EPERM && (op->op.kind == TINA_OP_READ || op->op.kind == TINA_OP_WRITE)) {
        fd->is_file = true; // epoll_ctl(2): not one that can be watched
        op_queue(e, row);
    } else if (failed != 0) {
        if (fd->armed == 0 && !fd->is_shared) {
            tina_epoll_fds_remove(&e->fds, op->op.os_fd);
        }
        op_end(e, row, op->done > 0 ? (int32_t)op->done : failed, TINA_IO_NO_BUFFER);
    }
}

static bool fills_buffer(uint8_t kind) {
    return kind == TINA_OP_RECV || kind == TINA_OP_RECVFROM || kind == TINA_OP_READ;
}

// An fd that is watched for what the op waits for will be reported when the op can go on, so a try
// would likely be in vain. One without a buffer to receive into finds out whether there is
// something to receive.
static bool op_is_worth_a_try(const epoll_state *e, const epoll_op *op, const tina_epoll_fd *fd) {
    uint8_t events = tina_epoll_events_of(op);
    bool quiet = fd != NULL && (fd->armed & events) == events && (fd->unclaimed & events) == 0;
    bool starved = fills_buffer(op->op.kind) && e->lent_count == 0;
    bool once = op->op.kind == TINA_OP_CLOSE || (op->op.flags & TINA_IO_AT_ONCE) != 0;
    return once || (!quiet && !starved);
}

// What blocks and cannot be waited for. A read of a file's bytes that are in memory does neither.
static bool op_is_for_thread(const epoll_state *e, const epoll_op *op, bool is_file) {
    switch (op->op.kind) {
    case TINA_OP_OPEN:
    case TINA_OP_FSYNC:
    case TINA_OP_STAT:
    case TINA_OP_RENAME:
    case TINA_OP_UNLINK:
        return true;
    case TINA_OP_WRITE:
        return is_file;
    case TINA_OP_READ:
        return is_file && e->lent_count == 0; // or rather for nobody, which it will find out
    default:
        return false;
    }
}

static void op_begin(epoll_state *e, uint32_t row) {
    const epoll_op *op = &e->ops[row];
    const tina_epoll_fd *fd = op->op.os_fd < 0 ? NULL : tina_epoll_fds_find(&e->fds, op->op.os_fd);
    bool is_file = fd != NULL && fd->is_file;
    if (op_is_for_thread(e, op, is_file)) {
        op_queue(e, row);
        return;
    }
    bool worth_a_try = is_file || op_is_worth_a_try(e, op, fd);
    if (worth_a_try && op_advance(e, row)) {
        return;
    }
    if (is_file && op->op.kind == TINA_OP_READ) {
        op_queue(e, row);
    } else {
        op_park(e, row);
    }
}

static void todo_run(epoll_state *e) {
    while (e->todo.head != 0) {
        uint32_t row = e->todo.head;
        queue_remove(e, &e->todo, row);
        op_begin(e, row);
    }
}

static void fd_wake(epoll_state *e, tina_epoll_fd *fd, uint32_t row) {
    if (row != 0 && op_advance(e, row)) {
        tina_epoll_unpark(fd, row);
    }
}

static void event_take(epoll_state *e, const struct epoll_event *event, bool slept) {
    if (event->data.u64 == EPOLL_WAKE_DATA) {
        return;
    }
    tina_epoll_fd *fd = tina_epoll_fds_find(&e->fds, (int32_t)event->data.u64);
    if (fd == NULL) {
        return; // closed here, but a process that was forked has yet to drop its copy
    }
    bool over = (event->events & (EPOLLERR | EPOLLHUP)) != 0;
    bool readable = over || (event->events & EPOLLIN) != 0;
    bool writable = over || (event->events & EPOLLOUT) != 0;
    uint8_t unclaimed = (uint8_t)((readable && fd->read_op == 0 ? EPOLLIN : 0) |
                                  (writable && fd->write_op == 0 ? EPOLLOUT : 0));
    if (readable) {
        fd_wake(e, fd, fd->read_op);
    }
    if (writable) {
        fd_wake(e, fd, fd->write_op);
    }
    unclaimed &= fd->armed;
    if (unclaimed != 0) {
        tina_epoll_unwanted(e, fd, unclaimed, slept);
    }
}

// In whole milliseconds, later rather than sooner.
static int wait_coarsely(int epoll_fd, struct epoll_event *events, int count, uint64_t timeout_ns) {
    uint64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    int timeout_ms = timeout_ns == UINT64_MAX ? -1 : ms < INT_MAX ? (int)ms : INT_MAX;
    int result = epoll_wait(epoll_fd, events, count, timeout_ms);
    return result < 0 ? -errno : result;
}

static int events_wait(epoll_state *e, uint64_t timeout_ns) {
    e->calls++;
    int count = e->options.wait(e->epoll_fd, e->events, (int)e->options.event_count, timeout_ns);
    if ((count == -ENOSYS || count == -EPERM) && e->options.wait != wait_coarsely) {
        // A kernel before 5.11, or a seccomp profile that forbids what it does not know.
        e->options.wait = wait_coarsely;
        return events_wait(e, timeout_ns);
    }
    if (count < 0) {
        return count == -EINTR ? 0 : count;
    }
    for (int i = 0; i < count; i++) {
        event_take(e, &e->events[i], timeout_ns != 0);
    }
    return 0;
}

static bool poll_is_due(epoll_state *e, uint64_t now_ns) {
    if (e->polled_ns == EPOLL_POLLED_ASLEEP) {
        e->polled_ns = now_ns; // that wait ended just before the caller looked at its clock
    }
    return now_ns - e->polled_ns >= e->options.poll_interval_ns;
}

int tina_epoll_wait(void *self, uint64_t now_ns, uint64_t until_ns) {
    epoll_state *e = self;
    e->calls = 0;
    todo_run(e);
    files_run(e);
    // Whoever is done after this look at its answers finds that the exchange came first, and wakes.
    bool block = until_ns > now_ns && e->result_head == e->result_tail &&
                 tina_atomic_u32_exchange(&e->woken, 0) == 0;
    if (!block && !poll_is_due(e, now_ns)) {
        return (int)e->calls;
    }
    uint64_t timeout_ns = !block ? 0 : until_ns == UINT64_MAX ? UINT64_MAX : until_ns - now_ns;
    int failed = events_wait(e, timeout_ns);
    e->polled_ns = block ? EPOLL_POLLED_ASLEEP : now_ns;
    if (block) {
        // Whoever asked for this wake has been served: the wait is over.
        (void)tina_atomic_u32_exchange(&e->woken, 0);
        files_run(e);
    }
    return failed != 0 ? failed : (int)e->calls;
}

static void op_cancel(epoll_state *e, uint64_t key) {
    uint32_t row = row_of(key);
    TINA_ASSERT(row != 0 && row <= e->op_count);
    epoll_op *op = &e->ops[row];
    if (op->op.key != key) {
        return; // it is complete
    }
    switch ((epoll_op_state)op->state) {
    case EPOLL_OP_FREE:
        return;
    case EPOLL_OP_TODO:
        queue_remove(e, &e->todo, row);
        break;
    case EPOLL_OP_PARKED:
        tina_epoll_unpark(tina_epoll_fds_find(&e->fds, op->op.os_fd), row);
        break;
    case EPOLL_OP_QUEUED:
        queue_remove(e, &e->queued, row);
        break;
    case EPOLL_OP_WORKING:
        if (!tina_epoll_files_cancel(&e->files, row)) {
            return; // the call is being made, and its result wins
        }
        if (op->buffer != TINA_IO_NO_BUFFER) {
            tina_poison(tina_epoll_buffer(e, op->buffer), e->buffers.bytes);
            buffer_return(e, op->buffer);
        }
        break;
    }
    op_end(e, row, op->done > 0 ? (int32_t)op->done : -ECANCELED, TINA_IO_NO_BUFFER);
}

uint32_t tina_epoll_stage(void *self, const tina_backend_op *ops, uint32_t count) {
    epoll_state *e = self;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].kind == TINA_OP_CANCEL) {
            op_cancel(e, ops[i].key);
            continue;
        }
        uint32_t row = row_of(ops[i].key);
        TINA_ASSERT(row != 0 && row <= e->op_count);
        TINA_ASSERT(e->ops[row].state == EPOLL_OP_FREE);
        e->ops[row] = (epoll_op){.op = ops[i], .state = EPOLL_OP_TODO};
        queue_push(e, &e->todo, row);
    }
    return count;
}

uint32_t tina_epoll_reap(void *self, tina_backend_result *results, uint32_t capacity) {
    epoll_state *e = self;
    uint32_t count = 0;
    for (; count < capacity && e->result_head != e->result_tail; count++) {
        results[count] = e->results[e->result_head++ & e->result_mask];
        e->more_count -= results[count].flags == TINA_IO_MORE;
    }
    return count;
}

// The exchange pairs with that in tina_epoll_wait: either the wait sees it and does not block, or
// the write comes to an epoll that watches. Nobody reads the eventfd: it is watched edge-triggered,
// and each write is an edge.
void tina_epoll_wake(void *self) {
    epoll_state *e = self;
    if (tina_atomic_u32_exchange(&e->woken, 1) == 0) {
        int saved = errno; // the interrupted code's, when this is a signal handler
        uint64_t one = 1;
        ssize_t written = write(e->event_fd, &one, sizeof one);
        (void)written; // cannot fail before 2^64 wakes
        errno = saved;
    }
}

void tina_epoll_give_buffers(void *self, const uint16_t *buffers, uint32_t count) {
    epoll_state *e = self;
    for (uint32_t i = 0; i < count; i++) {
        buffer_return(e, buffers[i]);
    }
}
