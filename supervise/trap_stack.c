// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/bits.h"
#include "supervise/trap_signals.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

// What the handlers use beside the kernel's frame, whose size depends on the processor; a fault
// within a fault has both again. Sanitizers' frames are several times as large.
#define HANDLER_STACK_BYTES ((size_t)32 << 10)
#define FRAME_BYTES_LEAST   ((size_t)2048)

static size_t signals_stack_bytes(size_t page) {
    size_t frame = getauxval(AT_MINSIGSTKSZ);
    if (frame < FRAME_BYTES_LEAST)
        frame = FRAME_BYTES_LEAST;
    return tina_align_up(2 * (frame + HANDLER_STACK_BYTES), page);
}

int tina_trap_stack_map(tina_trap_stack *stack, size_t bytes, size_t gap_bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    tina_trap_stack made = {
        .bytes = tina_align_up(bytes, page),
        .gap_bytes = tina_align_up(gap_bytes, page),
        .signals_bytes = signals_stack_bytes(page),
    };
    size_t guard = page;
    made.mapping_bytes = guard + made.signals_bytes + made.gap_bytes + made.bytes;
    made.mapping = mmap(NULL, made.mapping_bytes, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (made.mapping == MAP_FAILED)
        return -errno;
    made.signals_low = made.mapping + guard;
    made.low = made.signals_low + made.signals_bytes + made.gap_bytes;
    if (mprotect(made.signals_low, made.signals_bytes, PROT_READ | PROT_WRITE) != 0 ||
        mprotect(made.low, made.bytes, PROT_READ | PROT_WRITE) != 0) {
        int result = -errno;
        munmap(made.mapping, made.mapping_bytes);
        return result;
    }
    *stack = made;
    return 0;
}

void tina_trap_stack_unmap(tina_trap_stack *stack) {
    if (stack->mapping)
        munmap(stack->mapping, stack->mapping_bytes);
    *stack = (tina_trap_stack){0};
}

void tina_trap_stack_enter(tina_trap_stack *stack) {
    stack_t ours = {.ss_sp = stack->signals_low, .ss_size = stack->signals_bytes};
    stack_t before;
    int result = sigaltstack(&ours, &before);
    TINA_ASSERT(result == 0);
    stack->before_low = before.ss_sp;
    stack->before_bytes = before.ss_size;
    stack->before_flags = before.ss_flags;
}

void tina_trap_stack_leave(const tina_trap_stack *stack) {
    stack_t before = {.ss_sp = stack->before_low,
                      .ss_size = stack->before_bytes,
                      .ss_flags = stack->before_flags};
    int result = sigaltstack(&before, NULL);
    TINA_ASSERT(result == 0);
}
