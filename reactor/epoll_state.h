// SPDX-License-Identifier: Apache-2.0
//
// What the epoll backend is made of, for its own files only.

#ifndef TINA_REACTOR_EPOLL_STATE_H
#define TINA_REACTOR_EPOLL_STATE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "core/atomic.h"
#include "reactor/backend.h"
#include "reactor/epoll.h"
#include "reactor/epoll_fds.h"
#include "reactor/epoll_file.h"
#include "reactor/os_socket.h"

typedef enum epoll_op_state {
    EPOLL_OP_FREE = 0,
    EPOLL_OP_TODO,    // in the todo queue: the next wait tries it
    EPOLL_OP_PARKED,  // its fd's row names it: tried when the kernel says that it can go on
    EPOLL_OP_QUEUED,  // in the queue for the file thread, which has as many as it takes
    EPOLL_OP_WORKING, // with the file thread
} epoll_op_state;

// The row is the low half of the op's key.
typedef struct epoll_op {
    tina_backend_op op;
    uint32_t done; // send: bytes that are out
    uint32_t prev; // in its queue; 0 ends it
    uint32_t next;
    uint16_t buffer; // working on a read: what it reads into
    uint8_t state;
} epoll_op;

static_assert(sizeof(epoll_op) <= 64, "one line an op");

typedef struct epoll_queue {
    uint32_t head;
    uint32_t tail;
} epoll_queue;

// Who sent what a recvfrom received.
typedef struct epoll_sender {
    tina_os_address address;
    socklen_t bytes;
    bool cut;
} epoll_sender;

typedef struct epoll_state {
    int epoll_fd;
    int event_fd;
    uint32_t op_count;
    epoll_op *ops; // row 0 is unused
    epoll_queue todo;
    epoll_queue queued;
    tina_epoll_fds fds;
    tina_backend_buffers buffers;
    uint16_t *lent; // a stack: the buffer given back last is warm
    uint32_t lent_count;
    tina_backend_result *results; // a ring; counters run freely
    uint32_t result_mask;
    uint32_t result_head;
    uint32_t result_tail;
    uint32_t more_count; // of them with TINA_IO_MORE
    uint32_t calls;      // system calls of this wait
    uint64_t polled_ns;  // when epoll was asked last; POLLED_ASLEEP: in a wait that may have slept
    struct epoll_event *events;
    epoll_sender *senders; // one for each place of an address
    struct statx *stats;   // ... of a path
    tina_reactor_epoll_options options;

    // Set by any thread, so on a line of its own: a wake was asked for and no wait has seen it.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_atomic_u32 woken;
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_epoll_files files;
} epoll_state;

// What a multishot op brings in one go, if more seems to be there; the others have their turn then.
#define EPOLL_ACCEPTS_MAX  16u
#define EPOLL_RECEIVES_MAX 4u

// Results with TINA_IO_MORE that may lie here; every op has room for its last one besides.
#define EPOLL_MORE_MAX 256u

#define EPOLL_EVENTS_MAX    256u
#define EPOLL_WAKE_DATA     UINT64_MAX // of the eventfd; no os_fd
#define EPOLL_POLLED_ASLEEP UINT64_MAX

// tina_epoll_stat_place returns what a stat's answer goes into, by the place of its path.
void *tina_epoll_stat_place(const epoll_state *e, uint32_t place);

// epoll_loop.c: functions of the table.

uint32_t tina_epoll_stage(void *self, const tina_backend_op *ops, uint32_t count);
uint32_t tina_epoll_reap(void *self, tina_backend_result *results, uint32_t capacity);
int tina_epoll_wait(void *self, uint64_t now_ns, uint64_t until_ns);
void tina_epoll_wake(void *self);
void tina_epoll_give_buffers(void *self, const uint16_t *buffers, uint32_t count);

// epoll_watch.c

// tina_epoll_events_of returns what epoll watches for an op. A connect is both ways to the front,
// but the kernel tells of it as of a write.
uint8_t tina_epoll_events_of(const epoll_op *op);

// tina_epoll_park makes an op wait for the kernel's word on its fd. Returns 0 or -errno.
int tina_epoll_park(epoll_state *e, tina_epoll_fd *fd, uint32_t row);
void tina_epoll_unpark(tina_epoll_fd *fd, uint32_t row);

// tina_epoll_unwanted is told what was reported while no op waited for it. Once is left for the
// next op to find; again, or instead of sleep, it would only be in the way. *fd may be gone then.
void tina_epoll_unwanted(epoll_state *e, tina_epoll_fd *fd, uint8_t unclaimed, bool slept);

// tina_epoll_forget comes before the fd is closed. The kernel stops watching a closed fd by itself
// where nobody else has its file open.
void tina_epoll_forget(epoll_state *e, int os_fd);

// epoll_try.c

// The op cannot go on before the kernel says so. Outside errno's range and the front's.
#define EPOLL_NOT_READY INT32_MIN

// tina_epoll_try makes one attempt at an op, without blocking, and returns its result or
// EPOLL_NOT_READY. What was received or read is in *buffer. Not for what the file thread does.
int32_t tina_epoll_try(epoll_state *e, epoll_op *op, uint16_t *buffer);

// tina_epoll_buffer returns the memory of a lent buffer.
uint8_t *tina_epoll_buffer(const epoll_state *e, uint16_t buffer);

#endif
