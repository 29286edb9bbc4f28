// SPDX-License-Identifier: Apache-2.0
//
// A reactor's backend whose kernel is a simulated world: its sockets are the virtual network's, its
// files a virtual disk's, and its completions come after a drawn time, perhaps past each other.
//
// Nothing moves but by the world's agenda: an op is tried when it is staged and when its socket
// changes, takes effect then, and tells of it io_ns later at most. wait never blocks; whoever runs
// the shards hears by `ready` that one has something to take.

#ifndef TINA_SIM_BACKEND_H
#define TINA_SIM_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/backend.h"
#include "sim/net.h"
#include "sim/world.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_reactor_backend tina_reactor_sim;

// What a virtual disk does. Its fds lie at SIM_NET_FD_LIMIT and above.
typedef struct sim_disk_calls {
    // Whether an op is one on a path or on a file that the disk knows how to do.
    bool (*takes)(const tina_backend_op *op);
    uint64_t (*delay_ns)(void *disk, const tina_backend_op *op);
    // Does an op when its time has come; a read fills the buffer, a stat its answer.
    int32_t (*run)(void *disk, const tina_backend_op *op, void *buffer, uint32_t buffer_bytes,
                   tina_file_stat *stat);
    void (*close_fd)(void *disk, int os_fd);
} sim_disk_calls;

// What the last wait was for.
typedef struct sim_backend_seen {
    uint64_t waits;
    uint64_t until_ns;
    bool would_block; // it had nothing to take and was not woken
    uint32_t stuck;   // ops that the disk has and that no cancel ends
} sim_backend_seen;

// The backend's options, required; they may go once the reactor is open. The net must outlive the
// reactor. A wait at time 0, which no world has, is for a reactor that is reset or closed, which
// waits for a second: it brings all that is due by then at once, as time stands still meanwhile.
typedef struct sim_backend_options {
    sim_net *net;
    void *disk;                       // with disk_calls; without them ops on paths are ENOSYS
    const sim_disk_calls *disk_calls; // or NULL
    uint32_t shard;                   // for the record, and for its own chances
    uint32_t life;                    // of the machine, which draws others in each
    void (*ready)(void *where, uint32_t shard); // or NULL: there is something to reap, or a wake
    void *where;
    sim_backend_seen *seen; // or NULL; outlives the reactor
} sim_backend_options;

#ifdef __cplusplus
}
#endif

#endif
