// SPDX-License-Identifier: Apache-2.0

#include "sched/shard_thread.h"

#include <errno.h>

// As much as a thread has by default; it costs only what is touched.
#define STACK_BYTES ((size_t)8 << 20)

static void *thread_main(void *thread_) {
    tina_shard_thread *thread = thread_;
    tina_trap_stack_enter(&thread->stack);
    void *result = thread->run(thread->argument);
    tina_trap_stack_leave(&thread->stack);
    return result;
}

int tina_shard_thread_start(tina_shard_thread *thread, void *(*run)(void *), void *argument) {
    int result = tina_trap_stack_map(&thread->stack, STACK_BYTES, TINA_TRAP_GAP_BYTES);
    if (result != 0)
        return result;
    tina_trap_init(&thread->trap, (uintptr_t)thread->stack.low, thread->stack.gap_bytes);
    thread->run = run;
    thread->argument = argument;
    pthread_attr_t attributes;
    result = -pthread_attr_init(&attributes);
    if (result == 0) {
        result = -pthread_attr_setstack(&attributes, thread->stack.low, thread->stack.bytes);
        if (result == 0)
            result = -pthread_create(&thread->id, &attributes, thread_main, thread);
        pthread_attr_destroy(&attributes);
    }
    if (result != 0)
        tina_trap_stack_unmap(&thread->stack);
    return result;
}

void tina_shard_thread_join(tina_shard_thread *thread) {
    pthread_join(thread->id, NULL);
    tina_trap_stack_unmap(&thread->stack);
}

void tina_shard_signals_open(tina_symbols *symbols, const tina_trap_signals *signals) {
    // Without a table, traces have offsets in place of names; without libc's, its faults count as
    // the program's. Neither is worth refusing to run.
    (void)tina_symbols_open(symbols);
    (void)tina_trap_signals_install(signals);
}

void tina_shard_signals_close(tina_symbols *symbols) {
    tina_trap_signals_uninstall();
    tina_symbols_close(symbols);
}

size_t tina_shard_symbolise(void *symbols, uintptr_t pc, char *out, size_t capacity) {
    return tina_symbols_name(symbols, pc, out, capacity);
}
