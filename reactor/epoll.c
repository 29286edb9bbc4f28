// SPDX-License-Identifier: Apache-2.0
//
// An op goes the shortest of these ways:
//
//     stage ─▶ TODO ─wait, try─▶ result            what needs no waiting for: most sends
//                │
//                └─▶ PARKED ─epoll, try─▶ result   the kernel watches the fd for its direction
//
// Watching is level-triggered and outlives the op: a connection that receives again and again is
// registered once, its next receive parks without a try, and each costs one recv. What the kernel
// reports and nobody wants is marked on the row, so that the next op of that direction is tried at
// once, and no longer watched when it is reported again or when it ended a sleep.

#define _GNU_SOURCE // epoll_pwait2

#include "reactor/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/bits.h"
#include "core/format.h"
#include "reactor/epoll_state.h"
#include "reactor/os_socket.h"

// What a multishot op brings in one go, if more seems to be there; the others have their turn then.
#define ACCEPTS_MAX  16u
#define RECEIVES_MAX 4u

// Results with TINA_IO_MORE that may lie here; every op has room for its last one besides.
#define MORE_MAX 256u

#define EVENTS_MAX    256u
#define WAKE_DATA     UINT64_MAX // of the eventfd; no os_fd
#define POLLED_ASLEEP UINT64_MAX

static uint32_t row_of(uint64_t key) {
    return (uint32_t)key;
}

static void todo_push(epoll_state *e, uint32_t row) {
    epoll_op *op = &e->ops[row];
    op->state = EPOLL_OP_TODO;
    op->prev = e->todo_tail;
    op->next = 0;
    if (e->todo_tail != 0) {
        e->ops[e->todo_tail].next = row;
    } else {
        e->todo_head = row;
    }
    e->todo_tail = row;
}

static void todo_remove(epoll_state *e, uint32_t row) {
    const epoll_op *op = &e->ops[row];
    TINA_ASSERT(op->state == EPOLL_OP_TODO);
    if (op->prev != 0) {
        e->ops[op->prev].next = op->next;
    } else {
        e->todo_head = op->next;
    }
    if (op->next != 0) {
        e->ops[op->next].prev = op->prev;
    } else {
        e->todo_tail = op->prev;
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

static bool is_read(uint8_t kind) {
    return kind == TINA_OP_ACCEPT || kind == TINA_OP_RECV;
}

static uint32_t *parking_of(tina_epoll_fd *fd, uint8_t kind) {
    return is_read(kind) ? &fd->read_op : &fd->write_op;
}

static uint16_t direction_of(uint8_t kind) {
    return is_read(kind) ? EPOLLIN : EPOLLOUT;
}

// Whether a result of a multishot op is not its last. It ends when its results have no room.
static bool op_goes_on(const epoll_state *e, const epoll_op *op, int32_t result) {
    bool brings = op->op.kind == TINA_OP_ACCEPT ? result >= 0 : result > 0;
    return (op->op.flags & TINA_IO_MULTISHOT) != 0 && brings && e->more_count < MORE_MAX;
}

// Whether a further attempt would likely find more: a short receive has emptied the socket.
static bool more_is_likely(const epoll_op *op, int32_t result, uint32_t results) {
    return op->op.kind == TINA_OP_ACCEPT
               ? results < ACCEPTS_MAX
               : result == (int32_t)op->op.bytes && results < RECEIVES_MAX;
}

// Goes on with an op as far as that is possible at once, and returns whether it has ended.
static bool op_advance(epoll_state *e, uint32_t row) {
    epoll_op *op = &e->ops[row];
    for (uint32_t results = 1;; results++) {
        uint16_t buffer = TINA_IO_NO_BUFFER;
        int32_t result = epoll_try(e, op, &buffer);
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

// Makes the kernel watch an fd for these events and no others; 0: not at all.
static int fd_watch(epoll_state *e, tina_epoll_fd *fd, uint16_t events) {
    struct epoll_event event = {.events = events, .data = {.u64 = (uint32_t)fd->os_fd}};
    int how = events == 0 ? EPOLL_CTL_DEL : fd->armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    e->calls++;
    if (epoll_ctl(e->epoll_fd, how, fd->os_fd, &event) < 0) {
        return -errno;
    }
    fd->armed = events;
    return 0;
}

static void op_park(epoll_state *e, uint32_t row) {
    epoll_op *op = &e->ops[row];
    tina_epoll_fd *fd = tina_epoll_fds_add(&e->fds, op->op.os_fd);
    uint16_t direction = direction_of(op->op.kind);
    uint32_t *parking = parking_of(fd, op->op.kind);
    TINA_ASSERT(*parking == 0);
    if ((fd->armed & direction) == 0) {
        int failed = fd_watch(e, fd, fd->armed | direction);
        if (failed != 0) {
            if (fd->armed == 0) {
                tina_epoll_fds_remove(&e->fds, op->op.os_fd);
            }
            op_end(e, row, op->done > 0 ? (int32_t)op->done : failed, TINA_IO_NO_BUFFER);
            return;
        }
    }
    *parking = row;
    fd->unclaimed &= (uint16_t)~direction;
    op->state = EPOLL_OP_PARKED;
}

// An fd that is watched for the op's direction will be reported when the op can go on, so a try
// would likely be in vain. One without a buffer to receive into finds out whether there is
// something to receive.
static bool op_is_worth_a_try(const epoll_state *e, const epoll_op *op) {
    const tina_epoll_fd *fd = tina_epoll_fds_find(&e->fds, op->op.os_fd);
    uint16_t direction = direction_of(op->op.kind);
    bool quiet = fd != NULL && (fd->armed & direction) != 0 && (fd->unclaimed & direction) == 0;
    bool starved = op->op.kind == TINA_OP_RECV && e->lent_count == 0;
    return op->op.kind == TINA_OP_CLOSE || (!quiet && !starved);
}

static void todo_run(epoll_state *e) {
    while (e->todo_head != 0) {
        uint32_t row = e->todo_head;
        todo_remove(e, row);
        if (!op_is_worth_a_try(e, &e->ops[row]) || !op_advance(e, row)) {
            op_park(e, row);
        }
    }
}

static void fd_wake(epoll_state *e, uint32_t *parking) {
    if (*parking != 0 && op_advance(e, *parking)) {
        *parking = 0;
    }
}

// Nobody wanted what was reported. Once is left for the next op to find, again or instead of sleep
// it would only be in the way.
static void fd_unwatch(epoll_state *e, tina_epoll_fd *fd, uint16_t unclaimed, bool slept) {
    bool again = (fd->unclaimed & unclaimed) != 0;
    fd->unclaimed |= unclaimed;
    if (!again && !slept) {
        return;
    }
    uint16_t wanted =
        (uint16_t)((fd->read_op != 0 ? EPOLLIN : 0) | (fd->write_op != 0 ? EPOLLOUT : 0));
    fd->unclaimed &= wanted;
    if (wanted != fd->armed) {
        (void)fd_watch(e, fd, wanted); // if it fails, it is reported and tried again
    }
    if (wanted == 0) {
        tina_epoll_fds_remove(&e->fds, fd->os_fd);
    }
}

static void event_take(epoll_state *e, const struct epoll_event *event, bool slept) {
    if (event->data.u64 == WAKE_DATA) {
        return;
    }
    tina_epoll_fd *fd = tina_epoll_fds_find(&e->fds, (int32_t)event->data.u64);
    if (fd == NULL) {
        return; // closed here, but a process that was forked has yet to drop its copy
    }
    bool over = (event->events & (EPOLLERR | EPOLLHUP)) != 0;
    bool readable = over || (event->events & EPOLLIN) != 0;
    bool writable = over || (event->events & EPOLLOUT) != 0;
    uint16_t unclaimed = (uint16_t)((readable && fd->read_op == 0 ? EPOLLIN : 0) |
                                    (writable && fd->write_op == 0 ? EPOLLOUT : 0));
    if (readable) {
        fd_wake(e, &fd->read_op);
    }
    if (writable) {
        fd_wake(e, &fd->write_op);
    }
    unclaimed &= fd->armed;
    if (unclaimed != 0) {
        fd_unwatch(e, fd, unclaimed, slept);
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
    if (count == -ENOSYS || count == -EPERM) {
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
    if (e->polled_ns == POLLED_ASLEEP) {
        e->polled_ns = now_ns; // that wait ended just before the caller looked at its clock
    }
    return now_ns - e->polled_ns >= e->options.poll_interval_ns;
}

static int epoll_wait_once(void *self, uint64_t now_ns, uint64_t until_ns) {
    epoll_state *e = self;
    e->calls = 0;
    todo_run(e);
    bool block = until_ns > now_ns && e->result_head == e->result_tail &&
                 tina_atomic_u32_exchange(&e->woken, 0) == 0;
    if (!block && !poll_is_due(e, now_ns)) {
        return (int)e->calls;
    }
    uint64_t timeout_ns = !block ? 0 : until_ns == UINT64_MAX ? UINT64_MAX : until_ns - now_ns;
    int failed = events_wait(e, timeout_ns);
    e->polled_ns = block ? POLLED_ASLEEP : now_ns;
    if (block) {
        // Whoever asked for this wake has been served: the wait is over.
        (void)tina_atomic_u32_exchange(&e->woken, 0);
    }
    return failed != 0 ? failed : (int)e->calls;
}

static void op_cancel(epoll_state *e, uint64_t key) {
    uint32_t row = row_of(key);
    TINA_ASSERT(row != 0 && row <= e->op_count);
    epoll_op *op = &e->ops[row];
    if (op->op.key != key || op->state == EPOLL_OP_FREE) {
        return; // it is complete
    }
    if (op->state == EPOLL_OP_TODO) {
        todo_remove(e, row);
    } else {
        *parking_of(tina_epoll_fds_find(&e->fds, op->op.os_fd), op->op.kind) = 0;
    }
    op_end(e, row, op->done > 0 ? (int32_t)op->done : -ECANCELED, TINA_IO_NO_BUFFER);
}

static uint32_t epoll_stage(void *self, const tina_backend_op *ops, uint32_t count) {
    epoll_state *e = self;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].kind == TINA_OP_CANCEL) {
            op_cancel(e, ops[i].key);
            continue;
        }
        uint32_t row = row_of(ops[i].key);
        TINA_ASSERT(row != 0 && row <= e->op_count);
        TINA_ASSERT(e->ops[row].state == EPOLL_OP_FREE);
        e->ops[row] = (epoll_op){.op = ops[i]};
        todo_push(e, row);
    }
    return count;
}

static uint32_t epoll_reap(void *self, tina_backend_result *results, uint32_t capacity) {
    epoll_state *e = self;
    uint32_t count = 0;
    for (; count < capacity && e->result_head != e->result_tail; count++) {
        results[count] = e->results[e->result_head++ & e->result_mask];
        e->more_count -= results[count].flags == TINA_IO_MORE;
    }
    return count;
}

// The exchange pairs with that in epoll_wait_once: either the wait sees it and does not block, or
// the write comes to an epoll that watches. Nobody reads the eventfd: it is watched edge-triggered,
// and each write is an edge.
static void epoll_wake(void *self) {
    epoll_state *e = self;
    if (tina_atomic_u32_exchange(&e->woken, 1) == 0) {
        int saved = errno; // the interrupted code's, when this is a signal handler
        uint64_t one = 1;
        ssize_t written = write(e->event_fd, &one, sizeof one);
        (void)written; // cannot fail before 2^64 wakes
        errno = saved;
    }
}

static void epoll_give_buffers(void *self, const uint16_t *buffers, uint32_t count) {
    epoll_state *e = self;
    for (uint32_t i = 0; i < count; i++) {
        TINA_ASSERT(e->lent_count < e->buffers.count);
        e->lent[e->lent_count++] = buffers[i];
    }
}

static int create_call(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int event_fd_call(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int wait_call(int epoll_fd, struct epoll_event *events, int count, uint64_t timeout_ns) {
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u),
                               (long)(timeout_ns % 1000000000u)};
    int result =
        epoll_pwait2(epoll_fd, events, count, timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
    return result < 0 ? -errno : result;
}

static tina_reactor_epoll_options options_of(const tina_reactor_config *config) {
    tina_reactor_epoll_options options = {0};
    if (config->backend_options != NULL) {
        memcpy(&options, config->backend_options, sizeof options);
    }
    if (options.poll_interval_ns == 0) {
        options.poll_interval_ns = TINA_EPOLL_POLL_INTERVAL_NS;
    }
    if (options.event_count == 0) {
        options.event_count = config->fd_count < EVENTS_MAX ? config->fd_count : EVENTS_MAX;
    }
    options.create = options.create != NULL ? options.create : create_call;
    options.event_fd = options.event_fd != NULL ? options.event_fd : event_fd_call;
    options.wait = options.wait != NULL ? options.wait : wait_call;
    return options;
}

static void *carve(uint8_t *base, uint64_t *end, uint64_t bytes) {
    void *part = base == NULL ? NULL : base + *end;
    *end = tina_align_up(*end + bytes, TINA_CACHE_LINE_BYTES);
    return part;
}

// With base NULL, only counts.
static uint64_t epoll_carve(const tina_reactor_config *config, uint8_t *base) {
    tina_reactor_epoll_options options = options_of(config);
    uint64_t result_count = tina_round_up_pow2((uint64_t)config->op_count + MORE_MAX);
    uint64_t row_count = tina_epoll_fds_rows(config->fd_count);
    uint64_t end = 0;
    epoll_state *e = carve(base, &end, sizeof *e);
    epoll_op *ops = carve(base, &end, ((uint64_t)config->op_count + 1) * sizeof *ops);
    tina_epoll_fd *rows = carve(base, &end, row_count * sizeof *rows);
    tina_backend_result *results = carve(base, &end, result_count * sizeof *results);
    uint16_t *lent = carve(base, &end, config->buffer_count * sizeof *lent);
    struct epoll_event *events = carve(base, &end, options.event_count * sizeof *events);
    if (base != NULL) {
        memset(e, 0, sizeof *e);
        e->op_count = config->op_count;
        e->ops = ops;
        e->results = results;
        e->result_mask = (uint32_t)(result_count - 1);
        e->lent = lent;
        e->events = events;
        e->options = options;
        memset(ops, 0, ((uint64_t)config->op_count + 1) * sizeof *ops);
        tina_epoll_fds_init(&e->fds, rows, row_count);
    }
    return end;
}

static uint64_t epoll_memory_bytes(const tina_reactor_config *config) {
    return epoll_carve(config, NULL);
}

static int kernel_open(epoll_state *e) {
    e->event_fd = e->options.event_fd();
    if (e->event_fd < 0) {
        return e->event_fd;
    }
    e->epoll_fd = e->options.create();
    int failed = e->epoll_fd < 0 ? e->epoll_fd : 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.u64 = WAKE_DATA}};
    if (failed == 0 && epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->event_fd, &event) < 0) {
        failed = -errno;
        (void)close(e->epoll_fd);
    }
    if (failed != 0) {
        (void)close(e->event_fd);
    }
    return failed;
}

static int epoll_open(void *self, const tina_reactor_config *config,
                      const tina_backend_buffers *buffers, char *error_text,
                      size_t error_text_bytes) {
    epoll_state *e = self;
    (void)epoll_carve(config, self);
    e->buffers = *buffers;
    for (uint32_t buffer = buffers->count; buffer > 0; buffer--) {
        e->lent[e->lent_count++] = (uint16_t)(buffer - 1);
    }
    int failed = kernel_open(e);
    if (failed != 0) {
        const char *remedy = failed == -EMFILE   ? "; raise RLIMIT_NOFILE (ulimit -n)"
                             : failed == -ENFILE ? "; raise the sysctl fs.file-max"
                                                 : "";
        (void)tina_format(error_text, error_text_bytes, "an epoll could not be set up: %s%s",
                          tina_io_error_text(failed), remedy);
    }
    return failed;
}

static void epoll_close(void *self) {
    epoll_state *e = self;
    (void)close(e->epoll_fd);
    (void)close(e->event_fd);
}

static int epoll_socket(void *self, tina_address_family family, tina_socket_kind kind) {
    int os_fd = tina_os_socket(self, family, kind);
    if (os_fd >= 0 && fcntl(os_fd, F_SETFL, O_NONBLOCK) < 0) {
        int failed = -errno;
        (void)close(os_fd);
        return failed;
    }
    return os_fd;
}

static void epoll_close_now(void *self, int os_fd) {
    epoll_state *e = self;
    tina_epoll_fds_remove(&e->fds, os_fd);
    tina_os_close_now(self, os_fd);
}

static void epoll_let_go(void *self, int os_fd) {
    epoll_state *e = self;
    const tina_epoll_fd *row = tina_epoll_fds_find(&e->fds, os_fd);
    if (row != NULL && row->armed != 0) {
        (void)epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, os_fd, NULL);
    }
    tina_epoll_fds_remove(&e->fds, os_fd);
}

const tina_reactor_backend tina_reactor_epoll = {
    .name = "epoll",
    .memory_bytes = epoll_memory_bytes,
    .open = epoll_open,
    .close = epoll_close,
    .stage = epoll_stage,
    .reap = epoll_reap,
    .wait = epoll_wait_once,
    .wake = epoll_wake,
    .give_buffers = epoll_give_buffers,
    .socket = epoll_socket,
    .bind = tina_os_bind,
    .listen = tina_os_listen,
    .set_option = tina_os_set_option,
    .shutdown = tina_os_shutdown,
    .local_address = tina_os_local_address,
    .peer_address = tina_os_peer_address,
    .close_now = epoll_close_now,
    .let_go = epoll_let_go,
};
