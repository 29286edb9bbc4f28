// SPDX-License-Identifier: Apache-2.0
//
// The spec: what is particular about a program. Zero means the sensible default, sizes derive from
// each other, and a spec that cannot work is refused before a thread starts, with a sentence.
//
// All memory that a shard will ever use follows from its spec; tina_spec_print shows where each
// byte goes.

#ifndef TINA_SCHED_SPEC_H
#define TINA_SCHED_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/isolate.h"
#include "supervise/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

// How many isolates of a type a shard can hold at once.
typedef struct tina_type_slots {
    const tina_isolate_type *type;
    uint32_t slot_count; // 1 to TINA_SLOT_COUNT_MAX; default 1
} tina_type_slots;

typedef struct tina_group tina_group;

// A child of a supervision group: an isolate, or a group of its own. Zero is OTP's default.
typedef struct tina_child {
    const char *name;              // unique in its group; without one, no call can name the child
    const tina_isolate_type *type; // an isolate's; or
    tina_bytes args;               // of an isolate: at most TINA_ARGS_BYTES_MAX; static data
    const tina_group *group;       // a nested group's
    tina_restart restart;          // default TINA_PERMANENT
    uint64_t shutdown_ns; // from TINA_SHUTDOWN until it is killed; default 5 s, a group's infinity;
                          // or TINA_SHUTDOWN_BRUTAL, TINA_SHUTDOWN_INFINITY
    bool significant;     // its end may end the group, see auto_shutdown
} tina_child;

// A supervision group: who is started in which order, and what happens when one of them ends. As
// OTP's supervisor; static data, whose address is its name in calls (children.h).
struct tina_group {
    const char *name;           // for messages
    const tina_child *children; // started in this order, stopped in reverse
    uint32_t child_count;
    tina_strategy strategy;           // default TINA_ONE_FOR_ONE
    uint32_t intensity;               // restarts within period_ns that it bears; default 1, or
                                      // TINA_INTENSITY_NONE; one more ends the group
    uint64_t period_ns;               // default 5 s
    tina_auto_shutdown auto_shutdown; // default TINA_AUTO_SHUTDOWN_NEVER
    bool dynamic;         // OTP's simple_one_for_one: children[0] is the pattern of all children,
                          // none of which is started at boot
    uint32_t dynamic_max; // children at once that calls may add; default none, in a dynamic group
                          // as many as its pattern's type has slots
};

// What carries I/O to the kernel.
typedef enum tina_backend {
    TINA_BACKEND_AUTO = 0, // io_uring, or epoll where that is refused, which the log then says once
    TINA_BACKEND_URING,
    TINA_BACKEND_EPOLL,
} tina_backend;

// tina_backend_parse reads "auto", "io_uring" or "epoll"; false when text is none of them.
bool tina_backend_parse(const char *text, tina_backend *backend);

// How much may wait in the channel from one shard to another.
typedef struct tina_channel {
    uint32_t from;
    uint32_t to;
    uint32_t message_count; // a power of two
} tina_channel;

typedef struct tina_spec {
    const char *name; // of the program; default "tina"

    const tina_type_slots *types; // up to TINA_TYPE_COUNT_MAX
    uint32_t type_count;

    tina_group root; // of the supervision tree; a child that fails to start refuses the boot

    uint32_t message_count;      // envelopes; default 4 an isolate, 1,024 to 65,536
    uint32_t sender_share;       // of the envelopes, what one sender may hold; default a quarter
    uint32_t monitor_count;      // default 1 an isolate, at least 64
    uint32_t transfer_count;     // transfer buffers; default none
    uint32_t transfer_bytes;     // of one; default 65,536
    uint32_t timer_count;        // default 2 an isolate, at least 64
    uint32_t fd_count;           // default 1,024
    uint32_t op_count;           // default 2 an fd
    uint32_t address_count;      // ops with an address in flight (connect, recvfrom, sendto);
                                 // default 64
    uint32_t path_count;         // ops with a path in flight (open, stat, rename, unlink), 4 KiB
                                 // each; default 16
    uint32_t buffer_count;       // receive buffers, rounded up to a power of two; default 256
    uint32_t buffer_bytes;       // of one; default 4,096
    uint32_t scratch_bytes;      // handler scratch; default 65,536
    uint32_t shard_memory_bytes; // see tina_shard_memory; default none
    uint32_t log_bytes;          // log ring; default 65,536
    uint32_t tick_batch;         // dispatches a tick at most; default 1,024
    uint32_t call_max;           // ctx calls in one handler at most; default 65,536

    uint64_t channel_bytes; // what other shards may have sent and this one not received, together;
                            // default 4 MiB, shared evenly by those that `channels` does not
                            // name
    const tina_channel *channels; // of pairs that need more or less; shards with a spec each look
                                  // for those to them in their own
    uint32_t channel_count;
    uint64_t handler_soft_ns;   // CPU time of one handler until it is reported; default 100 ms
    uint64_t handler_hard_ns;   // ... until its isolate is killed; default 1 s; either may be
                                // TINA_HANDLER_UNLIMITED
    uint32_t shard_count;       // of a system that tina_run starts; default 1, or TINA_SHARDS_ALL
    const uint16_t *cores;      // shard i is pinned to core cores[i]; default those that affinity
                                // allows, when they suffice; with a spec each, the first's count
    uint32_t core_count;        // as many as shards; also what TINA_SHARDS_ALL then means
    uint32_t rebuild_max;       // of the shard within rebuild_period_ns, as when the root gives
                                // up; default 3, or TINA_INTENSITY_NONE
    uint64_t rebuild_period_ns; // default 60 s
    tina_abort_policy abort;    // when a shard that is rebuilt no more ends the process; by default
                                // when none is left that works
    uint64_t shutdown_timeout_ns; // from the first signal to force; default what the tree's
                                  // children may take one after the other, and 5 s

    tina_backend backend; // default: chosen at boot

    int log_level; // highest tina_log_level that is written; default (0) TINA_LOG_INFO
} tina_spec;

#define TINA_SENTENCE_BYTES 256
#define TINA_REBUILD_MAX    16u

#define TINA_HANDLER_UNLIMITED UINT64_MAX

// One shard for each core that affinity allows and the cgroup's cpu.max pays for.
#define TINA_SHARDS_ALL UINT32_MAX

// tina_spec_resolve writes *spec with every default filled in to *resolved. Returns false and a
// sentence that names the field, its value, the limit and the remedy when it cannot work.
bool tina_spec_resolve(const tina_spec *spec, tina_spec *resolved,
                       char sentence[TINA_SENTENCE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
