// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // syscall, statx

#include "reactor/uring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <liburing.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "core/bits.h"
#include "reactor/os_file.h"
#include "reactor/os_socket.h"
#include "reactor/uring_op.h"
#include "reactor/uring_open.h"

// user_data of what is no op of the front's, whose keys are neither.
#define CANCEL_KEY 0
#define WAKE_KEY   UINT64_MAX

typedef struct uring {
    tina_uring_kernel kernel;
    struct io_uring_buf_ring *buffer_ring;
    tina_backend_buffers buffers;
    tina_uring_places places;
    bool wake_armed;
    tina_reactor_uring_options options;

    // Set by any thread, so on a line of its own: a wake was asked for and no wait has seen it.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_atomic_u32 woken;
} uring;

// One entry stays free for the poll that wakes.
static struct io_uring_sqe *sqe_take(uring *u) {
    struct io_uring *ring = &u->kernel.ring;
    return io_uring_sq_space_left(ring) > 1 ? io_uring_get_sqe(ring) : NULL;
}

static void cancel_prepare(struct io_uring_sqe *sqe, uint64_t key) {
    io_uring_prep_cancel64(sqe, key, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = CANCEL_KEY;
}

static uint32_t uring_stage(void *self, const tina_backend_op *ops, uint32_t count) {
    uring *u = self;
    uint32_t taken = 0;
    for (; taken < count; taken++) {
        struct io_uring_sqe *sqe = sqe_take(u);
        if (sqe == NULL) {
            break;
        }
        if (ops[taken].kind == TINA_OP_CANCEL) {
            cancel_prepare(sqe, ops[taken].key);
        } else {
            tina_uring_prepare(&u->kernel, &u->places, sqe, &ops[taken]);
        }
    }
    return taken;
}

static uint32_t uring_reap(void *self, tina_backend_result *results, uint32_t capacity) {
    uring *u = self;
    struct io_uring_cq *cq = &u->kernel.ring.cq;
    uint32_t head = *cq->khead;
    uint32_t tail = io_uring_smp_load_acquire(cq->ktail); // pairs with the kernel's publication
    uint32_t count = 0;
    for (; head != tail && count < capacity; head++) {
        const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
        if (cqe->user_data == WAKE_KEY) {
            u->wake_armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
        } else if (cqe->user_data != CANCEL_KEY) {
            bool buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0;
            results[count++] = (tina_backend_result){
                .key = cqe->user_data,
                .result = cqe->res,
                .buffer = buffer ? (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT)
                                 : (uint16_t)TINA_IO_NO_BUFFER,
                .flags = (cqe->flags & IORING_CQE_F_MORE) != 0 ? TINA_IO_MORE : 0,
            };
        }
    }
    io_uring_smp_store_release(cq->khead, head); // the kernel may write there again
    return count;
}

// A multishot poll of an eventfd that nobody ever reads: each write is one completion, and nothing
// has to be re-armed or read back.
static void wake_arm(uring *u) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->kernel.ring);
    TINA_ASSERT(sqe != NULL);
    io_uring_prep_poll_multishot(sqe, u->kernel.event_fd, POLLIN);
    sqe->user_data = WAKE_KEY;
    u->wake_armed = true;
}

static uint32_t sq_publish(struct io_uring_sq *sq) {
    if (sq->sqe_head != sq->sqe_tail) {
        sq->sqe_head = sq->sqe_tail;
        io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    }
    return sq->sqe_tail - *sq->khead;
}

static int ring_enter(uring *u, uint32_t submit, uint32_t complete, uint64_t timeout_ns) {
    struct __kernel_timespec timeout = {(int64_t)(timeout_ns / 1000000000u),
                                        (long long)(timeout_ns % 1000000000u)};
    struct io_uring_getevents_arg argument = {.ts = (uintptr_t)&timeout};
    bool timed = timeout_ns != UINT64_MAX;
    uint32_t flags =
        IORING_ENTER_GETEVENTS | u->kernel.enter_flags | (timed ? IORING_ENTER_EXT_ARG : 0);
    long result = syscall(__NR_io_uring_enter, u->kernel.enter_fd, submit, complete, flags,
                          timed ? &argument : NULL, timed ? sizeof argument : 0);
    return result < 0 ? -errno : (int)result;
}

static int uring_wait(void *self, uint64_t now_ns, uint64_t until_ns) {
    uring *u = self;
    struct io_uring *ring = &u->kernel.ring;
    bool empty = *ring->cq.khead == io_uring_smp_load_acquire(ring->cq.ktail);
    bool block = until_ns > now_ns && empty && tina_atomic_u32_exchange(&u->woken, 0) == 0;
    if (block && !u->wake_armed) {
        wake_arm(u);
    }
    uint32_t submit = sq_publish(&ring->sq);
    uint32_t hints = IO_URING_READ_ONCE(*ring->sq.kflags);
    if (!block && submit == 0 && (hints & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0) {
        return 0;
    }
    bool timed = block && until_ns != UINT64_MAX;
    int result = ring_enter(u, submit, block ? 1 : 0, timed ? until_ns - now_ns : UINT64_MAX);
    if (block) {
        // Whoever asked for this wake has been served: the wait is over.
        (void)tina_atomic_u32_exchange(&u->woken, 0);
    }
    // ETIME: until_ns came. EINTR: a signal. EAGAIN and EBUSY: memory is short for the moment, or
    // completions want to be taken first; what was not submitted is still staged.
    if (result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
        result == -EBUSY) {
        return 1;
    }
    return result;
}

// The exchange pairs with that in uring_wait: either the wait sees it and does not block, or the
// write comes to a kernel that polls the eventfd. Further wakes before the next wait cost nothing.
static void uring_wake(void *self) {
    uring *u = self;
    if (tina_atomic_u32_exchange(&u->woken, 1) == 0) {
        int saved = errno; // the interrupted code's, when this is a signal handler
        uint64_t one = 1;
        ssize_t written = write(u->kernel.event_fd, &one, sizeof one);
        (void)written; // cannot fail before 2^64 wakes
        errno = saved;
    }
}

static void uring_give_buffers(void *self, const uint16_t *buffers, uint32_t count) {
    uring *u = self;
    int mask = io_uring_buf_ring_mask(u->buffers.count);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *buffer = u->buffers.base + (size_t)buffers[i] * u->buffers.bytes;
        io_uring_buf_ring_add(u->buffer_ring, buffer, u->buffers.bytes, buffers[i], mask, (int)i);
    }
    io_uring_buf_ring_advance(u->buffer_ring, (int)count);
}

static uint8_t uring_sender(void *self, uint32_t place, tina_address *address) {
    const uring *u = self;
    const tina_uring_message *message = &u->places.messages[place];
    tina_os_address_from(&message->address, message->header.msg_namelen, address);
    return (message->header.msg_flags & MSG_TRUNC) != 0 ? TINA_IO_TRUNCATED : 0;
}

static void uring_stat(void *self, uint32_t place, tina_file_stat *stat) {
    const uring *u = self;
    tina_os_stat_from(&u->places.stats[place], stat);
}

static uint64_t page_bytes(void) {
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

// Where each part lies behind the uring. Memory is aligned to less than a page, and the kernel
// wants the buffer ring on one.
typedef struct layout {
    uint64_t messages;
    uint64_t stats;
    uint64_t buffer_ring; // at the next page
    uint64_t bytes;
} layout;

static layout layout_of(const tina_reactor_config *config) {
    layout at;
    at.messages = tina_align_up(sizeof(uring), TINA_CACHE_LINE_BYTES);
    at.stats =
        tina_align_up(at.messages + (uint64_t)config->address_count * sizeof(tina_uring_message),
                      TINA_CACHE_LINE_BYTES);
    at.buffer_ring = at.stats + (uint64_t)config->path_count * sizeof(struct statx);
    at.bytes = at.buffer_ring + page_bytes() +
               (uint64_t)config->buffer_count * sizeof(struct io_uring_buf);
    return at;
}

static uint64_t uring_memory_bytes(const tina_reactor_config *config) {
    return layout_of(config).bytes;
}

static uint32_t entries_of(uint64_t wanted, uint32_t least, uint32_t most) {
    uint64_t entries = tina_round_up_pow2(wanted);
    return entries < least ? least : entries > most ? most : (uint32_t)entries;
}

static tina_reactor_uring_options options_of(const tina_reactor_config *config) {
    tina_reactor_uring_options options = {0};
    if (config->backend_options != NULL) {
        memcpy(&options, config->backend_options, sizeof options);
    }
    if (options.sq_entries == 0) {
        options.sq_entries = entries_of((uint64_t)config->op_count + 1, 8, 1024);
    }
    if (options.cq_entries == 0) {
        // An op may complete, and a cancel that came too late for it, and a wake.
        uint32_t cq = entries_of(2 * (uint64_t)config->op_count + 1, 8, 65536);
        options.cq_entries = cq > options.sq_entries ? cq : options.sq_entries;
    }
    return options;
}

static int uring_open(void *self, const tina_reactor_config *config,
                      const tina_backend_buffers *buffers, char *error_text,
                      size_t error_text_bytes) {
    uring *u = self;
    uint8_t *base = self;
    memset(u, 0, sizeof *u);
    u->options = options_of(config);
    u->buffers = *buffers;
    layout at = layout_of(config);
    u->places.messages = (tina_uring_message *)(void *)(base + at.messages);
    u->places.stats = (struct statx *)(void *)(base + at.stats);
    u->buffer_ring =
        (struct io_uring_buf_ring *)tina_align_up((uintptr_t)base + at.buffer_ring, page_bytes());
    memset(u->buffer_ring, 0, buffers->count * sizeof(struct io_uring_buf));
    int failed = tina_uring_open(&u->kernel, &u->options, u->buffer_ring, buffers->count,
                                 error_text, error_text_bytes);
    if (failed != 0) {
        return failed;
    }
    for (uint32_t buffer = 0; buffer < buffers->count; buffer++) {
        uint16_t id = (uint16_t)buffer;
        uring_give_buffers(u, &id, 1);
    }
    return 0;
}

static void uring_close(void *self) {
    uring *u = self;
    tina_uring_close(&u->kernel, &u->options);
}

// An op on a socket that does not block ends at once with EAGAIN.
static int uring_adopt(void *self, int os_fd) {
    (void)self;
    return tina_os_adopt(os_fd, true);
}

const tina_reactor_backend tina_reactor_uring = {
    .name = "io_uring",
    .memory_bytes = uring_memory_bytes,
    .open = uring_open,
    .close = uring_close,
    .stage = uring_stage,
    .reap = uring_reap,
    .wait = uring_wait,
    .wake = uring_wake,
    .give_buffers = uring_give_buffers,
    .sender = uring_sender,
    .stat = uring_stat,
    .socket = tina_os_socket,
    .adopt = uring_adopt,
    .bind = tina_os_bind,
    .listen = tina_os_listen,
    .set_option = tina_os_set_option,
    .shutdown = tina_os_shutdown,
    .local_address = tina_os_local_address,
    .peer_address = tina_os_peer_address,
    .close_now = tina_os_close_now,
};
