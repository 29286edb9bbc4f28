// SPDX-License-Identifier: Apache-2.0
//
// The system: the threads, clocks and signals around shards. Everything of sched that speaks to the
// OS is here; the shard itself (shard.h) is given time and a reactor as arguments.

#ifndef TINA_SCHED_SYSTEM_H
#define TINA_SCHED_SYSTEM_H

#include "sched/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

// tina_run boots the spec, serves until every isolate is gone, SIGINT or SIGTERM comes, or
// tina_stop is called, and returns the process's exit status: 0 when it drained, 1 when it could
// not start (a sentence is on stderr), 3 when isolates had to be forced, 4 when the shard failed
// more often than rebuild_max allows. A second signal forces at once.
//
// spec->shard_count shards run the same spec, each on a thread of its own that is pinned to a core.
// A shard that fails is rebuilt, and in the end quarantined; SIGUSR2 revives those that are.
//
// Called once at a time, from the main thread, while no other thread of the program handles
// signals.
int tina_run(const tina_spec *spec);

// tina_run_shards is tina_run with a spec of its own for each shard. Their isolate types may
// differ; their transfer buffers may not.
int tina_run_shards(const tina_spec *specs, uint32_t count);

// tina_shards_all returns how many shards TINA_SHARDS_ALL means to this process.
uint32_t tina_shards_all(void);

// tina_spec_print writes one line a part of the grand arena to fd: what, how many, bytes; and the
// sum. It returns false, having written the sentence instead, when the spec is refused.
bool tina_spec_print(const tina_spec *spec, int fd);

#ifdef __cplusplus
}
#endif

#endif
