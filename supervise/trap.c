// SPDX-License-Identifier: Apache-2.0

#include "supervise/trap.h"

#include <signal.h>
#include <string.h>

#include "core/format.h"

#if defined(__SANITIZE_ADDRESS__)
#define TRAP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRAP_ASAN 1
#endif
#endif
#ifdef TRAP_ASAN
#include <sanitizer/asan_interface.h>
#endif

_Static_assert(offsetof(tina_trap_point, sp) == 0, "as trap_x86_64.S has it");
_Static_assert(offsetof(tina_trap_point, mxcsr) == 8, "as trap_x86_64.S has it");
_Static_assert(offsetof(tina_trap_point, x87_control) == 12, "as trap_x86_64.S has it");

bool tina_trap_enter(tina_trap_point *point, void (*body)(void *), void *argument);
void tina_trap_land(void);
void tina_trap_load_faults(void);
void tina_trap_load_failed(void);

// Read by signal handlers, so in memory that exists as long as the thread does.
static _Thread_local __attribute__((tls_model("initial-exec"))) tina_trap *current;

// True when body returned. The frame of tina_trap_enter holds the registers of this one.
static bool trap_enter(tina_trap *trap, void (*body)(void *), void *argument) {
#ifdef TINA_TRAP_TSAN
    if (_setjmp(trap->calls) != 0)
        return false;
    bool finished = tina_trap_enter(&trap->point, body, argument);
    if (!finished)
        longjmp(trap->calls, 1);
    return finished;
#else
    return tina_trap_enter(&trap->point, body, argument);
#endif
}

bool tina_trap_run(tina_trap *trap, void (*body)(void *), void *argument) {
    TINA_ASSERT(!trap->open);
    trap->outer = current;
    trap->open = true;
    trap->kill_pending = 0;
    tina_trap_set_phase(trap, TINA_PHASE_FRAMEWORK);
    current = trap;
    bool finished = trap_enter(trap, body, argument);
    TINA_ASSERT(current == trap);
    current = trap->outer;
    trap->open = false;
    trap->handling = 0;
    tina_trap_set_phase(trap, TINA_PHASE_FRAMEWORK);
    return finished;
}

void tina_trap_init(tina_trap *trap, uintptr_t stack_low, uintptr_t gap_bytes) {
    TINA_ASSERT(gap_bytes <= stack_low);
    memset(trap, 0, sizeof *trap);
    trap->phase = TINA_PHASE_FRAMEWORK;
    trap->stack_low = stack_low;
    trap->gap_bytes = gap_bytes;
}

tina_trap *tina_trap_current(void) {
    return current;
}

static void text_copy(char *to, size_t capacity, const char *from) {
    size_t bytes = 0;
    while (bytes + 1 < capacity && from[bytes]) {
        to[bytes] = from[bytes];
        bytes++;
    }
    to[bytes] = '\0';
}

static TINA_NORETURN void trap_land(uintptr_t land, tina_trap_point *point) {
    __asm__ volatile("jmp *%0" : : "r"(land), "D"(point) : "memory");
    __builtin_unreachable();
}

void tina_trap_panic(tina_trap *trap, tina_fault_kind kind, const char *text) {
    TINA_ASSERT(trap == current && trap->open);
    tina_fault *fault = &trap->fault;
    text_copy(fault->text, sizeof fault->text, text);
    // Only from here on is the text read, and nothing of the caller's is.
    uint32_t phase = trap->phase;
    tina_trap_set_phase(trap, TINA_PHASE_FRAMEWORK);
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    tina_trap_place place = {.pc = (uintptr_t)__builtin_return_address(0), .sp = frame};
    (void)tina_trap_load(frame, &place.frame);
    fault->kind = (int32_t)kind;
    fault->level = (int32_t)tina_trap_level_of(phase);
    fault->phase = (int32_t)phase;
    fault->signal = 0;
    fault->code = 0;
    fault->address = 0;
    fault->address_known = false;
    fault->pc = place.pc;
    fault->trace_count = tina_trap_trace(trap, &place, fault->trace);
    trap_land(tina_trap_cut(trap, frame), &trap->point);
}

// Whether the instruction before is a call: E8 and 4 bytes, or FF /2 in its lengths.
static bool follows_call(uintptr_t pc) {
    uintptr_t before;
    uint8_t at[8];
    if (!tina_trap_load(pc - sizeof before, &before))
        return false;
    memcpy(at, &before, sizeof at);
    return at[3] == 0xe8 || (at[6] == 0xff && (at[7] & 0x38) == 0x10) ||
           (at[5] == 0xff && (at[6] & 0x38) == 0x10) || (at[2] == 0xff && (at[3] & 0x38) == 0x10);
}

// A frame holds the caller's frame pointer, then the return address. Of a function without one the
// return address is the word at the stack pointer, if it looks like one.
uint32_t tina_trap_trace(const tina_trap *trap, const tina_trap_place *place,
                         uintptr_t trace[TINA_TRACE_MAX]) {
    uintptr_t end = trap->point.sp;
    uintptr_t least = place->sp;
    uintptr_t at = place->frame;
    uintptr_t next;
    uint32_t count = 0;
    trace[count++] = place->pc;
    if (place->interrupted && least < end && tina_trap_load(least, &next) && follows_call(next))
        trace[count++] = next;
    while (count < TINA_TRACE_MAX && at >= least && at < end && at % sizeof at == 0) {
        if (!tina_trap_load(at, &next) || !tina_trap_load(at + sizeof at, &trace[count]))
            break;
        count++;
        least = at + 2 * sizeof at;
        at = next;
    }
    return count;
}

#ifdef TRAP_ASAN
#define UNPOISON_BYTES_MAX (16u << 20)

// The frames that are left never unpoison what they poisoned.
static void frames_unpoison(const tina_trap *trap, uintptr_t sp) {
    uintptr_t end = trap->point.sp;
    uintptr_t from = sp < trap->stack_low ? trap->stack_low : sp;
    if (from >= end || end - from > UNPOISON_BYTES_MAX)
        from = end - UNPOISON_BYTES_MAX;
    __asan_unpoison_memory_region((const void *)from, end - from);
}
#endif

uintptr_t tina_trap_cut(tina_trap *trap, uintptr_t sp) {
#ifdef TRAP_ASAN
    frames_unpoison(trap, sp);
#else
    (void)sp;
#endif
    trap->kill_pending = 0;
    trap->handling = 0;
    tina_trap_set_phase(trap, TINA_PHASE_FRAMEWORK);
    return (uintptr_t)tina_trap_land;
}

uintptr_t tina_trap_load_fix(uintptr_t pc) {
    return pc == (uintptr_t)tina_trap_load_faults ? (uintptr_t)tina_trap_load_failed : 0;
}

static const char *signal_name(int32_t signal) {
    switch (signal) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGILL:
        return "SIGILL";
    case SIGABRT:
        return "SIGABRT";
    default:
        return "a signal";
    }
}

size_t tina_fault_describe(const tina_fault *fault, char *out, size_t capacity) {
    unsigned long address = fault->address;
    unsigned long pc = fault->pc;
    switch ((tina_fault_kind)fault->kind) {
    case TINA_FAULT_SIGNAL:
        if (!fault->address_known)
            return tina_format(out, capacity,
                               "%s at an address that the processor does not tell, pc 0x%lx",
                               signal_name(fault->signal), pc);
        return tina_format(out, capacity, "%s at address 0x%lx, pc 0x%lx",
                           signal_name(fault->signal), address, pc);
    case TINA_FAULT_ABORT:
        return tina_format(out, capacity, "abort, pc 0x%lx", pc);
    case TINA_FAULT_PANIC:
        return tina_format(out, capacity, "panic: %s", fault->text);
    case TINA_FAULT_STACK_OVERFLOW:
        return tina_format(out, capacity, "stack overflow at address 0x%lx, pc 0x%lx", address, pc);
    case TINA_FAULT_RUNAWAY:
        return tina_format(out, capacity, "killed as a runaway, pc 0x%lx", pc);
    case TINA_FAULT_CALL_LIMIT:
        return tina_format(out, capacity, "%s", fault->text);
    case TINA_FAULT_NONE:
        break;
    }
    return tina_format(out, capacity, "no fault");
}
