// SPDX-License-Identifier: Apache-2.0
//
// What the simulated backend is made of, for its own files only.

#ifndef TINA_SIM_BACKEND_STATE_H
#define TINA_SIM_BACKEND_STATE_H

#include "core/assert.h"
#include "sim/backend.h"

typedef enum sim_op_state {
    SIM_OP_FREE = 0,
    SIM_OP_PARKED,  // waits for its socket
    SIM_OP_WORKING, // the disk's, until its time has come
    SIM_OP_ENDED,   // its last result is on its way
} sim_op_state;

// In a slot of the backend's own: like a kernel it knows an op by its whole key, and the front may
// take a key's row for another op whenever it likes.
typedef struct sim_op {
    tina_backend_op op;
    uint64_t last_ns;  // when its last result comes
    uint32_t number;   // what the agenda has for an older one is not wanted
    uint32_t next;     // whose key ends with the same row; free: the next free slot
    uint64_t until_ns; // working: when the disk does it
    uint8_t state;
    bool canceled; // late: it takes its time
    bool stuck;    // working, and not to be stopped: as by a disk in D state
} sim_op;

// A result on its way.
typedef struct sim_due {
    tina_backend_result result;
    uint64_t at_ns;
    uint64_t order;
    uint32_t slot; // of its op
    uint32_t next; // free
    bool used;
} sim_due;

typedef struct sim_fd_rows {
    uint32_t slots[2]; // parked, 0: none
} sim_parked;

typedef struct sim_sender {
    tina_address address;
    bool cut;
} sim_sender;

typedef struct sim_backend {
    sim_world *world;
    sim_net *net;
    sim_backend_options options;
    tina_backend_buffers buffers;
    bool closed;
    bool draining;
    bool woken;
    uint32_t op_count; // the front's rows
    uint32_t *rows;    // the first slot of each, 0: none
    sim_op *ops;       // slots, from 1 on
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t slot_free;
    sim_sender *senders;
    tina_file_stat *stats;
    uint16_t *lent; // a stack
    uint32_t lent_count;
    sim_parked *fds; // by os_fd
    uint32_t fd_count;
    sim_due *due;
    uint32_t due_count;
    uint32_t due_capacity;
    uint32_t due_free; // 1 + index
    uint64_t due_ever;
    uint64_t last_ns; // when the last result comes that overtakes none
    tina_backend_result *results;
    uint32_t result_first;
    uint32_t result_count;
    uint32_t result_capacity; // a power of two
    uint32_t staged_count;    // since the last wait
    sim_stream stream;
    sim_stream stuck;
    uint32_t stuck_count;
} sim_backend;

static inline bool sim_backend_is_file(int os_fd) {
    return os_fd >= SIM_NET_FD_LIMIT;
}

// backend_op.c

#define SIM_OP_WAITS INT32_MIN // would wait

// One attempt, which takes effect or returns SIM_OP_WAITS.
int32_t sim_op_try(sim_backend *b, const tina_backend_op *op, uint16_t *buffer);
// The disk's part of it, when its time has come.
int32_t sim_op_run(sim_backend *b, const tina_backend_op *op, uint16_t *buffer);
void sim_op_close(sim_backend *b, int os_fd);

#endif
