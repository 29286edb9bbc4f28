// SPDX-License-Identifier: Apache-2.0
//
// What a reactor is made of, for its own files only: a table of operations, a table of file
// descriptors and the receive buffers. Rows link to each other by index; row 0 of both tables is
// unused, so 0 ends every list.

#ifndef TINA_REACTOR_TABLE_H
#define TINA_REACTOR_TABLE_H

#include <assert.h>

#include "core/assert.h"
#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"

typedef enum op_state {
    OP_FREE = 0, // queue_next: the next free row
    OP_STAGED,   // in the staged queue; the backend does not know it
    OP_WAITING,  // a receive in the waiting queue: there was data and no buffer
    OP_FLYING,   // with the backend until its result; in the staged queue while its cancel is
    OP_CLOSING,  // a close that waits for the other ops of its fd; in no queue
    OP_DONE,     // in its owner's done list; in the news queue until reap has told of it
    OP_DRAINED,  // in the news queue: the last op of a released owner, whose news it carries
} op_state;

typedef enum op_mark {
    OP_QUEUED = 1,   // in the queue that its state names
    OP_CANCELED = 2, // asked to end; `result` holds the reason
    OP_RETRY = 4,    // a receive staged again because a buffer came home; counted in retry_count
} op_mark;

typedef struct op_entry {
    tina_reactor_owner *owner;
    const void *data; // send: all its bytes; connect: its copy of the address
    uint64_t fd;      // bits of a tina_fd; accept, once done: the new one
    uint32_t generation;
    uint32_t bytes;
    union {
        uint32_t sent;   // send: bytes that the backend took so far
        uint32_t buffer; // recv, once done
    };
    uint32_t owner_prev; // the owner's ops in flight; owner_next also links its done list
    uint32_t owner_next;
    uint32_t queue_prev;
    uint32_t queue_next;
    uint32_t companion;
    int32_t result;
    uint8_t kind;
    uint8_t flags;
    uint8_t state;
    uint8_t marks;
} op_entry;

static_assert(sizeof(op_entry) == 64, "one line an op");

// A row is free (os_fd < 0; owner_next: the next free row), open (it has an owner) or closing (it
// has none: no handle reaches it, and it goes when its ops have ended).
typedef struct fd_entry {
    tina_reactor_owner *owner;
    int32_t os_fd;
    uint32_t generation;
    uint32_t read_op; // in flight: accept, recv; connect is in both
    uint32_t write_op;
    uint32_t owner_prev;
    union {
        uint32_t owner_next;
        uint32_t close_op; // closing: who waits for it; 0: nobody, its owner was released
    };
} fd_entry;

static_assert(sizeof(fd_entry) == 32, "two rows a line");

typedef struct op_queue {
    uint32_t head;
    uint32_t tail;
} op_queue;

struct tina_reactor {
    const tina_reactor_backend *backend;
    void *self; // the backend's
    op_entry *ops;
    fd_entry *fds;
    op_queue staged;
    op_queue waiting;
    op_queue news;
    op_queue free_ops; // linked by queue_next only
    op_queue free_fds; // linked by owner_next
    uint32_t flying_count;
    uint32_t retry_count;
    uint32_t free_address; // 1 + index; a free address keeps the next one in `scope`
    bool closing;          // tina_reactor_close runs: owners are not to be touched
    tina_address *addresses;
    uint8_t *buffers;
    bool *buffer_held; // by a completion, until it is given back
    tina_reactor_config config;
    tina_reactor_counters counters;
};

// tina_fd: shard 8 | rights 2 | entry 22 | generation 32.
#define FD_READ    1u
#define FD_WRITE   2u
#define FD_FULL    (FD_READ | FD_WRITE)
#define FD_ENTRIES (UINT32_C(1) << 22)

static inline uint32_t fd_index(uint64_t bits) {
    return (uint32_t)(bits >> 32) & (FD_ENTRIES - 1);
}

static inline uint32_t fd_rights(uint64_t bits) {
    return (uint32_t)(bits >> 54) & FD_FULL;
}

static inline uint64_t op_key(const tina_reactor *reactor, uint32_t index) {
    return (uint64_t)reactor->ops[index].generation << 32 | index;
}

// op_table.c

void tina_ops_open(tina_reactor *reactor);
// Returns 0 when every row is in use.
uint32_t tina_ops_take(tina_reactor *reactor, tina_reactor_owner *owner);
void tina_ops_give(tina_reactor *reactor, uint32_t index);
// Returns 0 when the key names no op of now.
uint32_t tina_ops_find(const tina_reactor *reactor, uint64_t key);
void tina_ops_push(tina_reactor *reactor, op_queue *queue, uint32_t index);
void tina_ops_push_front(tina_reactor *reactor, op_queue *queue, uint32_t index);
void tina_ops_remove(tina_reactor *reactor, op_queue *queue, uint32_t index);
void tina_ops_stage(tina_reactor *reactor, uint32_t index);
// Asks an op in flight to end with `reason`; one that the backend does not know ends here. A close
// is not stopped: its fd's other ops are gone already.
void tina_ops_cancel(tina_reactor *reactor, uint32_t index, int32_t reason);
const tina_address *tina_addresses_take(tina_reactor *reactor, const tina_address *address);
void tina_addresses_give(tina_reactor *reactor, const tina_address *address);

// fd_table.c

void tina_fds_open(tina_reactor *reactor);
// Gives an os_fd an owner and a name; none when every row is in use.
tina_fd tina_fds_take(tina_reactor *reactor, tina_reactor_owner *owner, int32_t os_fd);
void tina_fds_give(tina_reactor *reactor, uint32_t index);
// Returns 0 when fd names nothing that is open and owner's.
uint32_t tina_fds_find(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd);
bool tina_fds_full(const tina_reactor *reactor);
void tina_fds_unlink(tina_reactor *reactor, uint32_t index);
void tina_fds_cancel(tina_reactor *reactor, uint32_t index);
void tina_fds_begin_close(tina_reactor *reactor, uint32_t index, uint32_t close_op);
void tina_fds_op_ended(tina_reactor *reactor, uint32_t index, uint32_t op);

// buffers.c

void tina_buffers_open(tina_reactor *reactor);
void tina_buffers_close(tina_reactor *reactor);
void tina_buffers_hold(tina_reactor *reactor, uint32_t buffer);
void tina_buffers_give(tina_reactor *reactor, uint32_t buffer);
void tina_buffers_await(tina_reactor *reactor, uint32_t op);
void tina_buffers_retry_ended(tina_reactor *reactor, uint32_t op);

// completion.c

// Takes what the backend has and turns it into completions.
void tina_completions_take(tina_reactor *reactor);
// Ends an op that is in no queue.
void tina_completions_add(tina_reactor *reactor, uint32_t op, int32_t result);
void tina_completions_drop(tina_reactor *reactor, tina_reactor_owner *owner);

#endif
