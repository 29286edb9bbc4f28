// SPDX-License-Identifier: Apache-2.0
//
// A shard's thread: on a stack of ours, so that an overflow of it is known for what it is, with the
// trap that its handlers run under.

#ifndef TINA_SCHED_SHARD_THREAD_H
#define TINA_SCHED_SHARD_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "supervise/symbols.h"
#include "supervise/trap.h"
#include "supervise/trap_signals.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_shard_thread {
    tina_trap trap;
    tina_trap_stack stack;
    void *(*run)(void *argument);
    void *argument;
    pthread_t id;
} tina_shard_thread;

// tina_shard_thread_start maps the stack and runs run(argument) on it. Returns 0 or -errno.
int tina_shard_thread_start(tina_shard_thread *thread, void *(*run)(void *), void *argument);
void tina_shard_thread_join(tina_shard_thread *thread);

// What all shards of a process share: the signals, and the names of program counters. say(where)
// has the last words before a signal ends the process, see tina_trap_signals, whose symbols it
// opens.
void tina_shard_signals_open(tina_symbols *symbols, const tina_trap_signals *signals);
void tina_shard_signals_close(tina_symbols *symbols);

// tina_shard_symbolise is a shard's tina_symbolise; symbols is a tina_symbols.
size_t tina_shard_symbolise(void *symbols, uintptr_t pc, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
