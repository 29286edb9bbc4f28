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

typedef enum epoll_op_state {
    EPOLL_OP_FREE = 0,
    EPOLL_OP_TODO,   // in the todo queue: the next wait tries it
    EPOLL_OP_PARKED, // its fd's row names it: tried when the kernel says that it can go on
} epoll_op_state;

// The row is the low half of the op's key.
typedef struct epoll_op {
    tina_backend_op op;
    uint32_t done; // send: bytes that are out
    uint32_t prev; // in the todo queue; 0 ends it
    uint32_t next;
    uint8_t state;
} epoll_op;

static_assert(sizeof(epoll_op) <= 64, "one line an op");

typedef struct epoll_state {
    int epoll_fd;
    int event_fd;
    uint32_t op_count;
    epoll_op *ops; // row 0 is unused
    uint32_t todo_head;
    uint32_t todo_tail;
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
    tina_reactor_epoll_options options;

    // Set by any thread, so on a line of its own: a wake was asked for and no wait has seen it.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_atomic_u32 woken;
} epoll_state;

// The op cannot go on before the kernel says so. Outside errno's range and the front's.
#define EPOLL_NOT_READY INT32_MIN

// epoll_try makes one attempt at an op and returns its result, or EPOLL_NOT_READY. A receive that
// got bytes names their buffer.
int32_t epoll_try(epoll_state *e, epoll_op *op, uint16_t *buffer);

#endif
