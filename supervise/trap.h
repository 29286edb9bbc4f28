// SPDX-License-Identifier: Apache-2.0
//
// The trap: what turns a fault inside a handler into the end of that handler alone.
//
// tina_trap_run is the one recovery point of a thread, entered once a tick and not once a handler.
// A panic jumps back to it, and so does a signal handler (trap_signals.h), by rewriting where the
// interrupted code goes on. Whether that is safe follows from the phase, one word that is stored on
// the way into and out of user code:
//
//     phase      who runs                             a fault there costs
//     user       a handler                            the isolate
//     copying    a ctx call, reading user memory      the isolate: nothing is changed yet
//     call       a ctx call, changing the shard       the shard
//     framework  the scheduler                        the shard
//
// Nothing here speaks to the OS, so a simulated shard is trapped by the same code. Entering a
// handler costs two plain stores.

#ifndef TINA_SUPERVISE_TRAP_H
#define TINA_SUPERVISE_TRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/assert.h"
#include "supervise/phase.h"

#if defined(__SANITIZE_THREAD__)
#define TINA_TRAP_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TINA_TRAP_TSAN 1
#endif
#endif

// ThreadSanitizer keeps a stack of calls of its own, which only longjmp takes back.
#ifdef TINA_TRAP_TSAN
#include <setjmp.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(__x86_64__)
#error "The trap rewrites registers, and so far it knows those of x86-64 only."
#endif

typedef enum tina_fault_kind {
    TINA_FAULT_NONE = 0,
    TINA_FAULT_SIGNAL,         // the processor refused: SIGSEGV, SIGBUS, SIGFPE, SIGILL
    TINA_FAULT_ABORT,          // abort(), also of a failed assertion
    TINA_FAULT_PANIC,          // tina_trap_panic
    TINA_FAULT_STACK_OVERFLOW, // an access to the gap below the stack
    TINA_FAULT_RUNAWAY,        // killed by the watchdog
    TINA_FAULT_CALL_LIMIT,     // more ctx calls in one handler than it may make
} tina_fault_kind;

// What a fault costs.
typedef enum tina_fault_level {
    TINA_LEVEL_NONE = 0,
    TINA_LEVEL_ISOLATE,
    TINA_LEVEL_SHARD,
    TINA_LEVEL_PROCESS, // never seen by tina_trap_run's caller: the process has ended
} tina_fault_level;

#define TINA_TRACE_MAX        24
#define TINA_FAULT_TEXT_BYTES 160

typedef struct tina_fault {
    int32_t kind;       // tina_fault_kind
    int32_t level;      // tina_fault_level
    int32_t phase;      // tina_phase that it struck
    int32_t signal;     // or 0
    int32_t code;       // si_code, sigaction(2)
    bool address_known; // the processor does not tell that of a general protection fault
    uintptr_t address;  // accessed, or of the instruction (SIGFPE, SIGILL)
    uintptr_t pc;
    uint32_t trace_count;
    uintptr_t trace[TINA_TRACE_MAX];  // program counters, innermost first; trace[0] is pc
    char text[TINA_FAULT_TEXT_BYTES]; // a panic's, else empty
} tina_fault;

// What the recovery point restores beside the registers that its frame holds.
typedef struct tina_trap_point {
    uintptr_t sp;
    uint32_t mxcsr;
    uint16_t x87_control;
} tina_trap_point;

// A thread's trap, in the caller's memory; all zero but for the stack is an unopened one. Lives as
// long as the thread's last run. The fields are the trap's own.
typedef struct tina_trap {
    volatile uint32_t phase;
    volatile uint32_t kill_pending; // waits for the ctx call to return
    tina_trap_point point;
#ifdef TINA_TRAP_TSAN
    jmp_buf calls;
#endif
    struct tina_trap *outer; // that was open on this thread before
    bool open;
    uint8_t handling; // depth of fault handlers under way
    // The thread's stack: usable from low, inaccessible for gap_bytes below it. Zero when unknown:
    // an overflow is then an ordinary fault.
    uintptr_t stack_low;
    uintptr_t gap_bytes;
    tina_fault fault;
} tina_trap;

// tina_trap_init makes a trap that is not open. stack_low and gap_bytes are 0 when unknown.
void tina_trap_init(tina_trap *trap, uintptr_t stack_low, uintptr_t gap_bytes);

// tina_trap_run calls body(argument) in phase `framework` and returns true; or false when a fault
// cut it: then trap->fault says what happened, until the next one, the frames of body and of what
// it called are gone, and the registers, the signal mask, the alternate stack and the
// floating-point modes are as they were when it was called. Runs of different traps nest on one
// thread; the innermost counts.
bool tina_trap_run(tina_trap *trap, void (*body)(void *argument), void *argument);

// tina_trap_current returns the innermost open trap of this thread, or NULL.
tina_trap *tina_trap_current(void);

// tina_trap_panic cuts the run of this thread's innermost trap, which is `trap`. Needs no signal.
TINA_NORETURN void tina_trap_panic(tina_trap *trap, tina_fault_kind kind, const char *text);

// tina_trap_set_phase stores the phase; what was written before is in memory before, for a signal
// handler on this thread.
static inline void tina_trap_set_phase(tina_trap *trap, tina_phase phase) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    trap->phase = (uint32_t)phase;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

// What a ctx call may use of the stack, at the most.
#define TINA_CALL_STACK_BYTES 16384

// tina_trap_probe_stack reads where the deepest frame of a ctx call could be: a handler that has
// used up its stack faults here, in its own phase, and not halfway through a change of the shard.
static inline void tina_trap_probe_stack(void) {
    __asm__ volatile("testb $0, -%c0(%%rsp)" : : "i"(TINA_CALL_STACK_BYTES) : "cc");
}

// tina_trap_leave_call goes back to phase `user`, where a kill that arrived meanwhile takes effect.
static inline void tina_trap_leave_call(tina_trap *trap) {
    tina_trap_set_phase(trap, TINA_PHASE_USER);
    if (__builtin_expect(trap->kill_pending != 0, false))
        tina_trap_panic(trap, TINA_FAULT_RUNAWAY, "");
}

// tina_trap_touch reads the first and the last of bytes (at most 4,096), so that a later copy of
// them cannot fault. In phase `copying`.
static inline void tina_trap_touch(const void *memory, size_t bytes) {
    if (bytes == 0)
        return;
    const volatile uint8_t *at = (const volatile uint8_t *)memory;
    (void)at[0];
    (void)at[bytes - 1];
}

// tina_trap_touch_writable is for memory that will be written; it leaves it as it is.
static inline void tina_trap_touch_writable(void *memory, size_t bytes) {
    volatile uint8_t *at = (volatile uint8_t *)memory;
    at[0] = at[0];
    at[bytes - 1] = at[bytes - 1];
}

// tina_fault_describe writes the reason in words, as "SIGSEGV at address 0x10, pc 0x401a2f", and
// returns its length as tina_format does.
size_t tina_fault_describe(const tina_fault *fault, char *out, size_t capacity);

// For signal handlers.

// Where code was interrupted.
typedef struct tina_trap_place {
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t frame;  // frame pointer
    bool interrupted; // at any instruction: there may be no frame of its own (yet)
} tina_trap_place;

// tina_trap_trace writes the program counters from place towards the recovery point, as far as
// frame pointers lead, and returns how many. Reads nothing but the stack below that point.
uint32_t tina_trap_trace(const tina_trap *trap, const tina_trap_place *place,
                         uintptr_t trace[TINA_TRACE_MAX]);

// tina_trap_level_of returns what a fault of the running code costs in a phase.
static inline tina_fault_level tina_trap_level_of(uint32_t phase) {
    return tina_phase_is_users(phase) ? TINA_LEVEL_ISOLATE : TINA_LEVEL_SHARD;
}

// tina_trap_load reads a word that may be inaccessible and returns whether it could, if the signal
// handler asks tina_trap_load_fix. Otherwise such a word is a fault like any other.
bool tina_trap_load(uintptr_t address, uintptr_t *word);

// tina_trap_load_fix returns where a fault at pc goes on, or 0 when it is not that of a load.
uintptr_t tina_trap_load_fix(uintptr_t pc);

// tina_trap_cut makes the trap, whose fault is filled in, ready to leave the frames from sp on. It
// returns where the code goes on, with the register of the first argument holding &trap->point and
// the stack pointer at point.sp; the recovery point restores all others.
uintptr_t tina_trap_cut(tina_trap *trap, uintptr_t sp);

#ifdef __cplusplus
}
#endif

#endif
