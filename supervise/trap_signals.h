// SPDX-License-Identifier: Apache-2.0
//
// The signals that faults are, and what they do to the trap that is open on their thread.
//
//     SIGSEGV SIGBUS SIGFPE SIGILL     of an instruction: by the phase and by where the code lies
//     SIGABRT                          raised by the thread itself: by the phase
//     the alarm                        asks what to do about a handler that has run for long
//     any of them from outside         is for the process
//
// A fault in libc costs the shard, since a lock may be taken; but not one in memcpy and its like.
// Without an open trap, or from outside, a fault is what it was before: this says so in a line and
// gives it to whoever handled it before, by default the kernel, which ends the process.

#ifndef TINA_SUPERVISE_TRAP_SIGNALS_H
#define TINA_SUPERVISE_TRAP_SIGNALS_H

#include <stddef.h>

#include "supervise/trap.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tina_alarm_verdict {
    TINA_ALARM_NOTHING = 0,
    TINA_ALARM_REPORT,
    TINA_ALARM_KILL,     // end the handler, unless it is in the middle of libc
    TINA_ALARM_ESCALATE, // cut the run wherever it is, at the cost of the shard
} tina_alarm_verdict;

typedef struct tina_trap_signals {
    int alarm_signal; // 0: none
    // Called by the alarm's handler, on the thread of the trap, while that is open. May be NULL
    // when there is no alarm.
    tina_alarm_verdict (*alarm)(void *where, const tina_trap *trap);
    // Called by the alarm's handler with a report: kind TINA_FAULT_RUNAWAY, level none.
    void (*report)(void *where, const tina_trap *trap, const tina_fault *report);
    // The last words before the process ends; NULL: written to stderr.
    void (*say)(void *where, const char *text, size_t bytes);
    void *where;
} tina_trap_signals;

// tina_trap_signals_install takes over the signals for the process. Once, until they are given
// back; at boot, while no trap is open. It returns false when libc's code could not be told from
// the program's (a static program): faults in it then count as the program's.
bool tina_trap_signals_install(const tina_trap_signals *signals);
void tina_trap_signals_uninstall(void);

// tina_trap_signals_kill_works returns whether the alarm can cut a handler. Under ThreadSanitizer
// it cannot: such signals are held back until a call into libc.
bool tina_trap_signals_kill_works(void);

// The stack of a thread whose handlers may overflow it, and the one that its signal handlers run
// on. Below the stack lies address space that nothing else will ever be in.
//
//     inaccessible | for signals | inaccessible gap | stack
typedef struct tina_trap_stack {
    uint8_t *mapping; // NULL: none
    size_t mapping_bytes;
    uint8_t *low; // of the stack
    size_t bytes;
    size_t gap_bytes;
    uint8_t *signals_low;
    size_t signals_bytes;
    void *before_low; // sigaltstack(2) of the thread before it entered
    size_t before_bytes;
    int before_flags;
} tina_trap_stack;

#define TINA_TRAP_GAP_BYTES ((size_t)64 << 20)

// tina_trap_stack_map maps one; bytes and gap_bytes are rounded up to pages. Returns 0 or -errno.
int tina_trap_stack_map(tina_trap_stack *stack, size_t bytes, size_t gap_bytes);
void tina_trap_stack_unmap(tina_trap_stack *stack);

// tina_trap_stack_enter makes the calling thread take signals on the stack for signals; leave
// makes it take them where it did before. Both on that thread, and nothing is on that stack then.
void tina_trap_stack_enter(tina_trap_stack *stack);
void tina_trap_stack_leave(const tina_trap_stack *stack);

#ifdef __cplusplus
}
#endif

#endif
