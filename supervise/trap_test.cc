// SPDX-License-Identifier: Apache-2.0

#include "supervise/faults.h"
#include "supervise/trap.h"
#include "supervise/trap_signals.h"
#include "supervise/trap_thread.h"

#include <gtest/gtest.h>

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <csignal>
#include <cstring>
#include <functional>
#include <string>

namespace tina {
namespace {

constexpr int kAlarm = SIGUSR1;

std::atomic<tina_alarm_verdict> verdict{TINA_ALARM_NOTHING};
void (*alarm_fault)() = nullptr;
tina_fault reported;

tina_alarm_verdict OnAlarm(void *, const tina_trap *) {
    if (alarm_fault)
        alarm_fault();
    return verdict;
}

void OnReport(void *, const tina_trap *, const tina_fault *report) {
    reported = *report;
}

class Trap : public testing::Test {
  protected:
    void SetUp() override {
        reported = {};
        verdict = TINA_ALARM_NOTHING;
        alarm_fault = nullptr;
        tina_trap_signals signals = {};
        signals.alarm_signal = kAlarm;
        signals.alarm = OnAlarm;
        signals.report = OnReport;
        EXPECT_TRUE(tina_trap_signals_install(&signals));
    }
    void TearDown() override {
        tina_trap_signals_uninstall();
    }
};

// A body in phase user.
struct Body {
    tina_trap *trap;
    void (*code)();
    tina_phase phase;
};

void RunBody(void *body_) {
    const Body *body = static_cast<Body *>(body_);
    tina_trap_set_phase(body->trap, body->phase);
    body->code();
}

bool Cut(tina_trap *trap, void (*code)(), tina_phase phase = TINA_PHASE_USER) {
    Body body = {trap, code, phase};
    return tina_trap_run(trap, RunBody, &body);
}

std::string Describe(const tina_fault &fault) {
    char text[256];
    tina_fault_describe(&fault, text, sizeof text);
    return text;
}

struct Case {
    const char *name;
    void (*code)();
    tina_fault_kind kind;
    int signal;
    const char *words;
};

const Case kCases[] = {
    {"Null", FaultNull, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at address 0x0, pc 0x"},
    {"Write", FaultWrite, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at address 0x18, pc 0x"},
    {"Wild", FaultWild, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at an address that the processor"},
    {"GuardPage", FaultGuardPage, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at address 0x"},
    {"Misaligned", FaultMisaligned, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at an address that"},
    {"Bus", FaultBus, TINA_FAULT_SIGNAL, SIGBUS, "SIGBUS at address 0x"},
    {"AlignmentCheck", FaultAlignmentCheck, TINA_FAULT_SIGNAL, SIGBUS, "SIGBUS"},
    {"Divide", FaultDivide, TINA_FAULT_SIGNAL, SIGFPE, "SIGFPE at address 0x"},
    {"Illegal", FaultIllegal, TINA_FAULT_SIGNAL, SIGILL, "SIGILL at address 0x"},
    {"Jump", FaultJump, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at address 0x10, pc 0x10"},
    {"Abort", FaultAbort, TINA_FAULT_ABORT, SIGABRT, "abort, pc 0x"},
    {"Assert", FaultAssert, TINA_FAULT_ABORT, SIGABRT, "abort, pc 0x"},
    {"Memcpy", FaultMemcpy, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at address 0x30"},
    {"Strlen", FaultStrlen, TINA_FAULT_SIGNAL, SIGSEGV, "SIGSEGV at address 0x"},
    {"Overflow", FaultOverflow, TINA_FAULT_STACK_OVERFLOW, SIGSEGV, "stack overflow at address 0x"},
    {"OverflowLarge", FaultOverflowLarge, TINA_FAULT_STACK_OVERFLOW, SIGSEGV,
     "stack overflow at address 0x"},
    {"OverflowLeap", FaultOverflowLeap, TINA_FAULT_STACK_OVERFLOW, SIGSEGV,
     "stack overflow at address 0x"},
};

class TrapCase : public Trap, public testing::WithParamInterface<Case> {};

INSTANTIATE_TEST_SUITE_P(Each, TrapCase, testing::ValuesIn(kCases),
                         [](const auto &test) { return test.param.name; });

TEST_P(TrapCase, CostsTheHandlerOnly) {
    OnThread([](tina_trap *trap) {
        for (int i = 0; i < 3; i++) {
            ASSERT_FALSE(Cut(trap, GetParam().code));
            EXPECT_EQ(trap->fault.kind, GetParam().kind);
            EXPECT_EQ(trap->fault.signal, GetParam().signal);
            EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
            EXPECT_EQ(trap->fault.phase, TINA_PHASE_USER);
            EXPECT_NE(trap->fault.pc, 0u);
            EXPECT_EQ(trap->fault.trace[0], trap->fault.pc);
            EXPECT_NE(Describe(trap->fault).find(GetParam().words), std::string::npos)
                << Describe(trap->fault);
        }
        EXPECT_TRUE(Cut(trap, [] {}));
    });
}

TEST_P(TrapCase, CostsTheShardInTheFramework) {
    OnThread([](tina_trap *trap) {
        for (tina_phase phase : {TINA_PHASE_CALL, TINA_PHASE_FRAMEWORK}) {
            ASSERT_FALSE(Cut(trap, GetParam().code, phase));
            EXPECT_EQ(trap->fault.level, TINA_LEVEL_SHARD);
            EXPECT_EQ(trap->fault.phase, phase);
        }
        ASSERT_FALSE(Cut(trap, GetParam().code, TINA_PHASE_COPYING));
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
    });
}

TEST_P(TrapCase, LeavesMaskAndAlternateStackAsTheyWere) {
    OnThread([](tina_trap *trap) {
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGUSR2);
        pthread_sigmask(SIG_BLOCK, &mask, nullptr);
        stack_t stack_before;
        sigaltstack(nullptr, &stack_before);
        for (int i = 0; i < 500; i++)
            ASSERT_FALSE(Cut(trap, GetParam().code));
        sigset_t after;
        pthread_sigmask(SIG_BLOCK, nullptr, &after);
        for (int signal = 1; signal < 32; signal++)
            EXPECT_EQ(sigismember(&after, signal), signal == SIGUSR2) << signal;
        stack_t stack_after;
        sigaltstack(nullptr, &stack_after);
        EXPECT_EQ(stack_after.ss_sp, stack_before.ss_sp);
        EXPECT_EQ(stack_after.ss_size, stack_before.ss_size);
        EXPECT_EQ(stack_after.ss_flags, 0);
    });
}

TEST_F(Trap, LibcsOwnCodeCostsTheShard) {
    OnThread([](tina_trap *trap) {
        ASSERT_FALSE(Cut(trap, FaultInLibc));
        EXPECT_EQ(trap->fault.kind, TINA_FAULT_SIGNAL);
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_SHARD);
        EXPECT_EQ(trap->fault.phase, TINA_PHASE_USER);
        ASSERT_FALSE(Cut(trap, FaultNull));
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
    });
}

TEST_F(Trap, RecoversTenThousandTimes) {
    OnThread([](tina_trap *trap) {
        const int count = std::getenv("TINA_LONG") ? 1000000 : 10000;
        void (*const codes[])() = {FaultNull, FaultDivide, FaultIllegal, FaultWild,
                                   FaultBus,  FaultJump,   FaultMemcpy};
        for (int i = 0; i < count; i++)
            ASSERT_FALSE(Cut(trap, codes[static_cast<size_t>(i) % std::size(codes)])) << i;
    });
}

TEST_F(Trap, RecoversOnTwoThreadsAtOnce) {
    auto run = [](tina_trap *trap) {
        for (int i = 0; i < 2000; i++) {
            ASSERT_FALSE(Cut(trap, i % 2 ? FaultNull : FaultDivide));
            ASSERT_EQ(trap->fault.signal, i % 2 ? SIGSEGV : SIGFPE);
        }
    };
    Thread one(run);
    Thread other(run);
}

TEST_F(Trap, RestoresFloatingPointModesAndDirection) {
    OnThread([](tina_trap *trap) {
        const long double third = 1.0L / 3;
        ASSERT_FALSE(Cut(trap, [] {
            uint32_t mxcsr = 0x1f80 | 0x6000 | 0x8000; // towards zero, flush to zero
            uint16_t control = 0x0c7f;                 // towards zero, single precision
            __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
            __asm__ volatile("fldcw %0" : : "m"(control));
            for (int i = 0; i < 8; i++)
                __asm__ volatile("fld1");
            __asm__ volatile("std");
            FaultNull();
        }));
        uint32_t mxcsr;
        uint16_t control;
        uint64_t flags;
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        __asm__ volatile("fnstcw %0" : "=m"(control));
        __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
        EXPECT_EQ(mxcsr & 0xffc0, 0x1f80u);
        EXPECT_EQ(control, 0x37f);
        EXPECT_EQ(flags & 0x400, 0u);
        volatile long double one = 1;
        EXPECT_EQ(one / 3, third);
    });
}

TEST_F(Trap, RestoresTheCallersRegisters) {
    OnThread([](tina_trap *trap) {
        for (uint64_t i = 1; i < 50; i++) {
            // More values than registers that are kept, all live across the run.
            volatile uint64_t seed = i;
            uint64_t a = seed * 3, b = seed * 5, c = seed * 7, d = seed * 11, e = seed * 13;
            uint64_t f = seed * 17;
            ASSERT_FALSE(Cut(trap, [] {
                __asm__ volatile("movq $1, %rbx\n\tmovq $2, %r12\n\tmovq $3, %r13\n\t"
                                 "movq $4, %r14\n\tmovq $5, %r15\n\tmovq $6, %rbp\n\tud2");
            }));
            ASSERT_EQ(a + b + c + d + e + f, i * 56);
            ASSERT_EQ(a ^ f, (i * 3) ^ (i * 17));
        }
    });
}

TEST_F(Trap, RecoversWhenTheStackPointerIsGarbage) {
    OnThread([](tina_trap *trap) {
        ASSERT_FALSE(Cut(
            trap, [] { __asm__ volatile("movq $0x1000, %rbp\n\tmovq $0x8, %rsp\n\tpushq $1"); }));
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
        EXPECT_EQ(trap->fault.trace_count, 1u);
    });
}

// Between the stack pointer and the recovery point, but nothing is there.
TEST_F(Trap, ABadWalkShortensTheTrace) {
    OnThread([](tina_trap *trap) {
        trap->stack_low = 0;
        trap->gap_bytes = 0;
        ASSERT_FALSE(
            Cut(trap, [] { __asm__ volatile("movq $0x1000, %rbp\n\tmovq $0x8, %rsp\n\tud2"); }));
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
        EXPECT_EQ(trap->fault.signal, SIGILL);
        EXPECT_EQ(trap->fault.trace_count, 1u);
    });
}

__attribute__((noinline)) void Inner() {
    FaultNull();
    __asm__ volatile("");
}

__attribute__((noinline)) void Outer() {
    Inner();
    __asm__ volatile("");
}

bool IsIn(uintptr_t pc, void (*function)()) {
    return pc - reinterpret_cast<uintptr_t>(function) < 256;
}

TEST_F(Trap, TracesFromTheFaultToTheRecoveryPoint) {
    OnThread([](tina_trap *trap) {
        ASSERT_FALSE(Cut(trap, Outer));
        const tina_fault &fault = trap->fault;
        ASSERT_GE(fault.trace_count, 3u);
        EXPECT_LE(fault.trace_count, 8u);
        uint32_t inner = 0;
        while (inner < fault.trace_count && !IsIn(fault.trace[inner], Inner))
            inner++;
        ASSERT_LT(inner + 1, fault.trace_count);
        EXPECT_TRUE(IsIn(fault.trace[inner + 1], Outer));
    });
}

TEST_F(Trap, TracesAnOverflowToItsBound) {
    OnThread([](tina_trap *trap) {
        ASSERT_FALSE(Cut(trap, FaultOverflow));
        EXPECT_EQ(trap->fault.trace_count, uint32_t{TINA_TRACE_MAX});
    });
}

TEST_F(Trap, AFaultWhileAFaultIsHandledCostsTheShard) {
    OnThread([](tina_trap *trap) {
        for (void (*fault)() : {FaultNull, FaultDivide, FaultAbort}) {
            alarm_fault = fault;
            ASSERT_FALSE(Cut(trap, [] { raise(kAlarm); }));
            EXPECT_EQ(trap->fault.level, TINA_LEVEL_SHARD);
            alarm_fault = nullptr;
            ASSERT_FALSE(Cut(trap, FaultNull));
            EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
        }
    });
}

TEST_F(Trap, RunsOfDifferentTrapsNest) {
    OnThread([](tina_trap *trap) {
        static tina_trap *outer;
        static bool inner_ran;
        outer = trap;
        inner_ran = false;
        ASSERT_FALSE(Cut(trap, [] {
            tina_trap inner;
            tina_trap_init(&inner, 0, 0);
            EXPECT_FALSE(Cut(&inner, FaultNull));
            EXPECT_EQ(tina_trap_current(), outer);
            inner_ran = true;
            FaultDivide();
        }));
        EXPECT_TRUE(inner_ran);
        EXPECT_EQ(trap->fault.signal, SIGFPE);
        EXPECT_EQ(tina_trap_current(), nullptr);
    });
}

// Without any signal: what a simulated shard has.
TEST(TrapPanic, CutsTheRunAndSaysWhy) {
    tina_trap trap;
    tina_trap_init(&trap, 0, 0);
    static tina_trap *open;
    open = &trap;
    for (int i = 0; i < 1000; i++) {
        ASSERT_FALSE(Cut(&trap, [] { tina_trap_panic(open, TINA_FAULT_PANIC, "no such shelf"); }));
        ASSERT_EQ(trap.fault.kind, TINA_FAULT_PANIC);
        ASSERT_EQ(trap.fault.level, TINA_LEVEL_ISOLATE);
    }
    EXPECT_EQ(Describe(trap.fault), "panic: no such shelf");
    EXPECT_GE(trap.fault.trace_count, 2u);
    auto panic = [] { tina_trap_panic(open, TINA_FAULT_CALL_LIMIT, ""); };
    ASSERT_FALSE(Cut(&trap, panic, TINA_PHASE_CALL));
    EXPECT_EQ(trap.fault.level, TINA_LEVEL_SHARD);
    ASSERT_FALSE(Cut(&trap, panic, TINA_PHASE_FRAMEWORK));
    EXPECT_EQ(trap.fault.level, TINA_LEVEL_SHARD);
}

TEST(TrapPanic, CutsALongTextShort) {
    tina_trap trap;
    tina_trap_init(&trap, 0, 0);
    static tina_trap *open;
    static const std::string text(1000, 'x');
    open = &trap;
    ASSERT_FALSE(Cut(&trap, [] { tina_trap_panic(open, TINA_FAULT_PANIC, text.c_str()); }));
    EXPECT_EQ(std::strlen(trap.fault.text), TINA_FAULT_TEXT_BYTES - 1u);
}

// Not through libc, which has no frame pointers.
__attribute__((noinline)) void AlarmHere() {
    pid_t process = getpid();
    pid_t thread = static_cast<pid_t>(syscall(SYS_gettid));
    long result = SYS_tgkill;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(process), "S"(thread), "d"(kAlarm)
                     : "rcx", "r11", "memory");
    EXPECT_EQ(result, 0);
}

TEST_F(Trap, AnAlarmReportsWithoutHarm) {
    OnThread([](tina_trap *trap) {
        verdict = TINA_ALARM_REPORT;
        // ThreadSanitizer hands signals over in libc's calls only.
        EXPECT_TRUE(Cut(
            trap, tina_trap_signals_kill_works() ? AlarmHere : [] { raise(kAlarm); }));
        EXPECT_EQ(reported.kind, TINA_FAULT_RUNAWAY);
        EXPECT_EQ(reported.level, TINA_LEVEL_NONE);
        EXPECT_GE(reported.trace_count, tina_trap_signals_kill_works() ? 2u : 1u);
    });
}

TEST_F(Trap, AnAlarmWithoutAnOpenTrapIsNothing) {
    verdict = TINA_ALARM_KILL;
    raise(kAlarm);
}

std::atomic<bool> spinning{false};

TEST_F(Trap, KillsARunawayHandler) {
    if (!tina_trap_signals_kill_works()) {
        OnThread([](tina_trap *trap) {
            verdict = TINA_ALARM_KILL;
            EXPECT_TRUE(Cut(trap, [] { raise(kAlarm); }));
        });
        return;
    }
    for (int i = 0; i < 200; i++) {
        spinning = false;
        verdict = TINA_ALARM_NOTHING;
        Thread thread([](tina_trap *trap) {
            EXPECT_FALSE(Cut(trap, [] {
                spinning = true;
                for (volatile uint64_t turns = 0;; turns = turns + 1)
                    continue;
            }));
            EXPECT_EQ(trap->fault.kind, TINA_FAULT_RUNAWAY);
            EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
            EXPECT_NE(Describe(trap->fault).find("killed as a runaway"), std::string::npos);
        });
        while (!spinning)
            sched_yield();
        verdict = TINA_ALARM_KILL;
        pthread_kill(thread.id(), kAlarm);
    }
}

tina_trap *called;

TEST_F(Trap, AKillWaitsForTheCtxCallToReturn) {
    if (!tina_trap_signals_kill_works())
        return;
    OnThread([](tina_trap *trap) {
        called = trap;
        verdict = TINA_ALARM_KILL;
        static bool finished;
        finished = false;
        EXPECT_FALSE(Cut(trap, [] {
            tina_trap_set_phase(called, TINA_PHASE_CALL);
            raise(kAlarm);
            finished = true;
            tina_trap_leave_call(called);
            ADD_FAILURE() << "went on";
        }));
        EXPECT_TRUE(finished);
        EXPECT_EQ(trap->fault.kind, TINA_FAULT_RUNAWAY);
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
        // Not the next one's.
        EXPECT_TRUE(Cut(trap, [] {
            tina_trap_set_phase(called, TINA_PHASE_CALL);
            tina_trap_leave_call(called);
        }));
    });
}

TEST_F(Trap, AKillSparesTheSchedulerAndLibc) {
    OnThread([](tina_trap *trap) {
        verdict = TINA_ALARM_KILL;
        EXPECT_TRUE(Cut(
            trap, [] { raise(kAlarm); }, TINA_PHASE_FRAMEWORK));
        // raise is libc's.
        EXPECT_TRUE(Cut(trap, [] { raise(kAlarm); }));
        if (!tina_trap_signals_kill_works())
            return;
        verdict = TINA_ALARM_ESCALATE;
        EXPECT_FALSE(Cut(trap, [] { raise(kAlarm); }));
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_SHARD);
    });
}

TEST(TrapTouch, ReadsTheEndsOfWhatACopyReads) {
    char memory[96] = {1};
    tina_trap_touch(memory, sizeof memory);
    tina_trap_touch(nullptr, 0);
    tina_trap_touch_writable(memory, sizeof memory);
    EXPECT_EQ(memory[0], 1);
}

TEST_F(Trap, TheProbeFaultsBeforeACallDoes) {
    OnThread([](tina_trap *trap) {
        ASSERT_FALSE(Cut(trap, [] {
            auto dive = [](auto &self, int depth) -> int {
                volatile char frame[64];
                frame[depth & 63] = 1;
                tina_trap_probe_stack();
                return depth < 0 ? 0 : self(self, depth + 1) + frame[depth & 63];
            };
            (void)dive(dive, 0);
        }));
        EXPECT_EQ(trap->fault.kind, TINA_FAULT_STACK_OVERFLOW);
        EXPECT_EQ(trap->fault.level, TINA_LEVEL_ISOLATE);
    });
}

// What a sanitizer does with a signal whose default action is not the kernel's is its own.
bool EndedBadly(int status) {
    return WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0);
}

using TrapDeathTest = Trap;

TEST_F(TrapDeathTest, WithoutARunTheProcessEnds) {
    EXPECT_EXIT(FaultNull(), EndedBadly,
                "tina: SIGSEGV at address 0x0, pc 0x[0-9a-f]+: no isolate ran on this thread");
    EXPECT_EXIT(FaultAbort(), EndedBadly, "tina: abort, pc 0x[0-9a-f]+: no isolate ran");
}

TEST_F(TrapDeathTest, SignalsFromOutsideEndTheProcess) {
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        static int sent;
        sent = signal;
        EXPECT_EXIT(
            {
                tina_trap trap;
                tina_trap_init(&trap, 0, 0);
                Cut(&trap, [] { kill(getpid(), sent); });
                _exit(0);
            },
            EndedBadly, "it was sent, not caused by what ran here, so the process ends");
    }
}

TEST_F(TrapDeathTest, ARaisedSegvDoesNotCount) {
    EXPECT_EXIT(
        {
            tina_trap trap;
            tina_trap_init(&trap, 0, 0);
            Cut(&trap, [] { raise(SIGSEGV); });
            _exit(0);
        },
        EndedBadly, "it was sent, not caused by what ran here");
}

TEST_F(TrapDeathTest, AnotherThreadsAbortSignalIsFromOutside) {
    EXPECT_EXIT(
        {
            spinning = false;
            Thread thread([](tina_trap *trap) {
                Cut(trap, [] {
                    spinning = true;
                    for (;;)
                        sched_yield();
                });
            });
            while (!spinning)
                sched_yield();
            pthread_kill(thread.id(), SIGABRT);
            thread.Join();
            _exit(0);
        },
        EndedBadly, "it was sent, not caused by what ran here");
}

TEST_F(TrapDeathTest, AnOpenTrapIsNotOpenedAgain) {
    EXPECT_EXIT(
        {
            tina_trap trap;
            tina_trap_init(&trap, 0, 0);
            called = &trap;
            if (!Cut(&trap, [] { Cut(called, [] {}); }) && trap.fault.kind == TINA_FAULT_ABORT)
                _exit(17);
            _exit(0);
        },
        testing::ExitedWithCode(17), "assertion failed: !trap->open");
}

TEST(TrapSignals, GivesTheSignalsBack) {
    struct sigaction before;
    struct sigaction after;
    sigaction(SIGSEGV, nullptr, &before);
    tina_trap_signals signals = {};
    tina_trap_signals_install(&signals);
    tina_trap_signals_uninstall();
    sigaction(SIGSEGV, nullptr, &after);
    EXPECT_EQ(reinterpret_cast<void *>(before.sa_sigaction),
              reinterpret_cast<void *>(after.sa_sigaction));
}

} // namespace
} // namespace tina
