// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "supervise/trap_signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/format.h"
#include "supervise/libc_text.h"

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define FAULT_SIGNAL_COUNT (sizeof fault_signals / sizeof fault_signals[0])

// Written while no trap is open, read by handlers.
static struct {
    bool installed;
    tina_trap_signals given;
    tina_libc_text libc;
    struct sigaction before[FAULT_SIGNAL_COUNT];
    struct sigaction alarm_before;
} state;

static greg_t *registers_of(void *context) {
    return ((ucontext_t *)context)->uc_mcontext.gregs;
}

// The kernel leaves the interrupted code's alignment check on, which this code does not stand.
static inline void alignment_check_off(void) {
    __asm__ volatile("pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq" : : : "memory", "cc");
}

#ifdef TINA_TRAP_TSAN
static _Thread_local sigset_t mask_before;

// ThreadSanitizer runs handlers with everything blocked.
static void handler_begin(const tina_trap *trap, const void *context) {
    sigset_t ours;
    if (trap->handling == 1)
        mask_before = ((const ucontext_t *)context)->uc_sigmask;
    sigemptyset(&ours);
    for (size_t i = 0; i < FAULT_SIGNAL_COUNT; i++)
        sigaddset(&ours, fault_signals[i]);
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, NULL, 8);
}
#else
static void handler_begin(const tina_trap *trap, const void *context) {
    (void)trap;
    (void)context;
}
#endif

// Direction, trace and alignment check: the compiler's code expects them off.
#define FLAGS_OFF ((greg_t)(0x400 | 0x100 | 0x40000))

static void context_cut(tina_trap *trap, void *context) {
    greg_t *registers = registers_of(context);
#ifdef TINA_TRAP_TSAN
    ((ucontext_t *)context)->uc_sigmask = mask_before;
#endif
    uintptr_t land = tina_trap_cut(trap, (uintptr_t)registers[REG_RSP]);
    registers[REG_RIP] = (greg_t)land;
    registers[REG_RDI] = (greg_t)(uintptr_t)&trap->point;
    registers[REG_RSP] = (greg_t)trap->point.sp;
    registers[REG_EFL] &= ~FLAGS_OFF;
}

// Whether an interrupted tgkill, as abort calls it, has just sent the signal to its own thread.
static bool is_raised_here(int signal, const siginfo_t *info, const greg_t *registers) {
    return signal == SIGABRT && info->si_code == SI_TKILL && info->si_pid == getpid() &&
           registers[REG_RDI] == info->si_pid && registers[REG_RSI] == syscall(SYS_gettid) &&
           registers[REG_RDX] == signal;
}

static void say(const char *text, size_t bytes) {
    if (state.given.say) {
        state.given.say(state.given.where, text, bytes);
        return;
    }
    ssize_t written = write(STDERR_FILENO, text, bytes);
    (void)written;
}

static void say_end(const tina_fault *fault, const char *why) {
    char reason[128];
    char line[256];
    tina_fault_describe(fault, reason, sizeof reason);
    size_t bytes =
        tina_format(line, sizeof line, "tina: %s: %s, so the process ends\n", reason, why);
    say(line, bytes < sizeof line ? bytes : sizeof line - 1);
}

// Faults in one another's handling.
#define HANDLING_MAX 3

// Gives the signal to whoever had it before. An instruction that faults does so again.
static void process_end(int signal, const siginfo_t *info, tina_trap *trap, const tina_fault *fault,
                        const char *why) {
    static volatile sig_atomic_t ending;
    // A fault in what is said must find its way here, and then say nothing.
    if (trap)
        trap->handling = HANDLING_MAX;
    if (!ending) {
        ending = 1;
        say_end(fault, why);
    }
    for (size_t i = 0; i < FAULT_SIGNAL_COUNT; i++)
        if (fault_signals[i] == signal)
            sigaction(signal, &state.before[i], NULL);
    if (info->si_code <= 0)
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
}

static bool has_address(int signal, const siginfo_t *info) {
    return signal != SIGABRT && info->si_code > 0 && info->si_code != SI_KERNEL;
}

static bool is_overflow(const tina_trap *trap, const tina_fault *fault) {
    return fault->address_known && (fault->signal == SIGSEGV || fault->signal == SIGBUS) &&
           fault->address < trap->stack_low && fault->address >= trap->stack_low - trap->gap_bytes;
}

static void fault_fill(tina_fault *fault, int signal, const siginfo_t *info,
                       const greg_t *registers) {
    fault->signal = signal;
    fault->code = info->si_code;
    fault->address_known = has_address(signal, info);
    fault->address = fault->address_known ? (uintptr_t)info->si_addr : 0;
    fault->pc = (uintptr_t)registers[REG_RIP];
    fault->text[0] = '\0';
    fault->trace_count = 0;
    fault->kind = signal == SIGABRT ? TINA_FAULT_ABORT : TINA_FAULT_SIGNAL;
    fault->level = TINA_LEVEL_PROCESS;
}

static void fault_trace(const tina_trap *trap, tina_fault *fault, const greg_t *registers) {
    tina_trap_place place = {
        .pc = fault->pc,
        .sp = (uintptr_t)registers[REG_RSP],
        .frame = (uintptr_t)registers[REG_RBP],
        .interrupted = true,
    };
    // An overflow may have left the stack pointer in the gap; the frames begin above it.
    if (place.sp < trap->stack_low)
        place.sp = trap->stack_low;
    fault->trace_count = tina_trap_trace(trap, &place, fault->trace);
}

static bool is_in_libc(uintptr_t pc) {
    return tina_libc_text_holds(&state.libc, pc) && !tina_libc_text_is_leaf(&state.libc, pc);
}

static tina_fault_level level_of(const tina_trap *trap, const tina_fault *fault) {
    // A fault while another was looked at.
    if (trap->handling > 1)
        return TINA_LEVEL_SHARD;
    if (fault->kind != TINA_FAULT_ABORT && is_in_libc(fault->pc))
        return TINA_LEVEL_SHARD;
    return tina_trap_level_of((uint32_t)fault->phase);
}

static __attribute__((noinline)) void fault_take(int signal, siginfo_t *info, void *context) {
    greg_t *registers = registers_of(context);
    uintptr_t fix = signal == SIGABRT ? 0 : tina_trap_load_fix((uintptr_t)registers[REG_RIP]);
    if (fix && info->si_code > 0) {
        registers[REG_RIP] = (greg_t)fix;
        return;
    }
    int saved_errno = errno;
    tina_trap *trap = tina_trap_current();
    tina_fault fault;
    fault_fill(&fault, signal, info, registers);
    bool from_outside = info->si_code <= 0 && !is_raised_here(signal, info, registers);
    if (from_outside || !trap || trap->handling >= HANDLING_MAX) {
        process_end(signal, info, trap, &fault,
                    from_outside ? "it was sent, not caused by what ran here"
                    : trap       ? "it struck while faults before it were looked at"
                                 : "no isolate ran on this thread");
        errno = saved_errno;
        return;
    }
    trap->handling++;
    handler_begin(trap, context);
    fault.phase = (int32_t)trap->phase;
    if (fault.kind == TINA_FAULT_SIGNAL && is_overflow(trap, &fault))
        fault.kind = TINA_FAULT_STACK_OVERFLOW;
    fault.level = (int32_t)level_of(trap, &fault);
    fault_trace(trap, &fault, registers);
    trap->fault = fault;
    errno = saved_errno;
    context_cut(trap, context);
}

// A frame of its own, or the prologue would come before the flag is off.
static void on_fault(int signal, siginfo_t *info, void *context) {
    alignment_check_off();
    fault_take(signal, info, context);
}

static void alarm_fill(const tina_trap *trap, tina_fault *fault, int signal, const siginfo_t *info,
                       const greg_t *registers) {
    fault_fill(fault, signal, info, registers);
    fault->kind = TINA_FAULT_RUNAWAY;
    fault->level = TINA_LEVEL_NONE;
    fault->address_known = false;
    fault->address = 0;
    fault->phase = (int32_t)trap->phase;
    fault_trace(trap, fault, registers);
}

// A ctx call that changes the shard is let finish, and the handler dies when it returns. What a
// handler left taken in libc it must give back itself, so it is asked again at the next alarm.
static bool kill_is_due(tina_trap *trap, uintptr_t pc) {
    if (trap->phase == TINA_PHASE_CALL)
        trap->kill_pending = 1;
    return trap->phase <= TINA_PHASE_COPYING && !is_in_libc(pc);
}

static void alarm_obey(tina_trap *trap, tina_alarm_verdict verdict, int signal,
                       const siginfo_t *info, void *context) {
    greg_t *registers = registers_of(context);
    tina_fault fault;
    if (verdict == TINA_ALARM_NOTHING ||
        (verdict == TINA_ALARM_KILL && !kill_is_due(trap, (uintptr_t)registers[REG_RIP])))
        return;
    alarm_fill(trap, &fault, signal, info, registers);
    if (verdict == TINA_ALARM_REPORT) {
        if (state.given.report)
            state.given.report(state.given.where, trap, &fault);
        return;
    }
    if (!tina_trap_signals_kill_works())
        return;
    fault.level = verdict == TINA_ALARM_KILL ? TINA_LEVEL_ISOLATE : TINA_LEVEL_SHARD;
    trap->fault = fault;
    context_cut(trap, context);
}

static __attribute__((noinline)) void alarm_take(int signal, siginfo_t *info, void *context) {
    int saved_errno = errno;
    tina_trap *trap = tina_trap_current();
    if (trap && !trap->handling) {
        trap->handling++;
        handler_begin(trap, context);
        tina_alarm_verdict verdict = state.given.alarm(state.given.where, trap);
        alarm_obey(trap, verdict, signal, info, context);
        trap->handling = 0;
    }
    errno = saved_errno;
}

static void on_alarm(int signal, siginfo_t *info, void *context) {
    alignment_check_off();
    alarm_take(signal, info, context);
}

bool tina_trap_signals_kill_works(void) {
#ifdef TINA_TRAP_TSAN
    return false;
#else
    return true;
#endif
}

// Not deferred: a fault within the handler must find its way to the recovery point, too.
static void take_over(int signal, void (*handler)(int, siginfo_t *, void *),
                      struct sigaction *before) {
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
    sigemptyset(&action.sa_mask);
    int result = sigaction(signal, &action, before);
    TINA_ASSERT(result == 0);
}

bool tina_trap_signals_install(const tina_trap_signals *signals) {
    TINA_ASSERT(!state.installed);
    TINA_ASSERT(signals->alarm_signal == 0 || signals->alarm != NULL);
    state.installed = true;
    state.given = *signals;
    bool known = tina_libc_text_find(&state.libc);
    for (size_t i = 0; i < FAULT_SIGNAL_COUNT; i++)
        take_over(fault_signals[i], on_fault, &state.before[i]);
    if (signals->alarm_signal)
        take_over(signals->alarm_signal, on_alarm, &state.alarm_before);
    return known;
}

void tina_trap_signals_uninstall(void) {
    TINA_ASSERT(state.installed);
    for (size_t i = 0; i < FAULT_SIGNAL_COUNT; i++)
        sigaction(fault_signals[i], &state.before[i], NULL);
    if (state.given.alarm_signal)
        sigaction(state.given.alarm_signal, &state.alarm_before, NULL);
    state.installed = false;
}
