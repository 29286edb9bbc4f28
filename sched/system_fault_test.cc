// SPDX-License-Identifier: Apache-2.0
//
// Faults in a real process: signals, the shard's own stack, names in the log, and what is left when
// a fault is not the handler's alone. Every run is a process of its own.

#include "core/assert.h"
#include "sched/ctx.h"
#include "sched/one_life.h"
#include "sched/spec.h"
#include "sched/system.h"
#include "supervise/faults.h"
#include "supervise/trap_signals.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// Faults in its first lives, then stops the system with how many there were.
struct Plan {
    void (*fault)();
    int faults;
    int lives;
};

Plan plan;

extern "C" __attribute__((noinline)) void fault_at_work() {
    plan.fault();
    __asm__ volatile("");
}

tina_effect WorkerInit(tina_ctx *ctx, void *, tina_bytes) {
    plan.lives++;
    tina_log(ctx, TINA_LOG_INFO, "life %d", plan.lives);
    tina_timer_set(ctx, 1000, 0);
    return tina_receive();
}

tina_effect WorkerHandle(tina_ctx *ctx, void *, const tina_message *m) {
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (plan.lives <= plan.faults)
        fault_at_work();
    tina_stop(ctx, 40 + plan.lives);
    return tina_receive();
}

int RunPlan(void (*fault)(), int faults, uint32_t rebuild_max = 3) {
    tina_isolate_type type = {};
    type.name = "worker";
    type.init = WorkerInit;
    type.handle = WorkerHandle;
    type.struct_bytes = 8;
    tina_type_slots types[] = {{&type, 1}};
    tina_child child = {};
    child.type = &type;
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = &child;
    spec.root.child_count = 1;
    spec.root.intensity = 10;
    spec.rebuild_max = rebuild_max;
    spec.handler_soft_ns = 30000000;
    spec.handler_hard_ns = 90000000;
    plan = {fault, faults, 0};
    return tina_run(&spec);
}

TEST(SystemFaultDeathTest, AHandlerIsRestartedAndTheLogSaysWhereItFaulted) {
    EXPECT_EXIT(_exit(RunPlan(tina::FaultNull, 3)), testing::ExitedWithCode(44),
                "worker 0.1 crashed: SIGSEGV at address 0x0, pc 0x[0-9a-f]+\n"
                ".*in [^\n]*fault_at_work\\+0x[0-9a-f]+ < [^\n]*WorkerHandle");
    EXPECT_EXIT(_exit(RunPlan(tina::FaultAbort, 1)), testing::ExitedWithCode(42),
                "worker 0.1 crashed: abort, pc 0x[0-9a-f]+\n.*in libc.so.6\\+0x");
    EXPECT_EXIT(_exit(RunPlan(tina::FaultAssert, 1)), testing::ExitedWithCode(42),
                "faults.h:[0-9]+: assertion failed: holds\n"
                ".*worker 0.1 crashed: abort, pc 0x[0-9a-f]+\n"
                ".*in [^\n]*tina_assert_failed\\+0x[0-9a-f]+ < [^\n]*fault_at_work\\+0x[0-9a-f]+ "
                "< [^\n]*WorkerHandle");
    EXPECT_EXIT(_exit(RunPlan(tina::FaultDivide, 1)), testing::ExitedWithCode(42),
                "worker 0.1 crashed: SIGFPE at address 0x");
}

TEST(SystemFaultDeathTest, AStackOverflowCostsTheHandler) {
    EXPECT_EXIT(_exit(RunPlan(tina::FaultOverflow, 2)), testing::ExitedWithCode(43),
                "worker 0.2 crashed: stack overflow at address 0x");
    EXPECT_EXIT(_exit(RunPlan(tina::FaultOverflowLarge, 2)), testing::ExitedWithCode(43),
                "worker 0.2 crashed: stack overflow at address 0x");
    EXPECT_EXIT(_exit(RunPlan(tina::FaultOverflowLeap, 2)), testing::ExitedWithCode(43),
                "worker 0.2 crashed: stack overflow at address 0x");
}

extern "C" __attribute__((noinline)) void run_away() {
    volatile uint64_t turns = 0;
    for (;;)
        turns = turns + 1;
}

// For longer than any limit, and some rounds.
void run_far() {
    timespec now;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    } while (now.tv_sec < 2);
}

TEST(SystemFaultDeathTest, AHandlerThatNeverReturnsIsReportedAndThenKilled) {
    if (!tina_trap_signals_kill_works()) { // ThreadSanitizer holds such signals back
        EXPECT_EXIT(_exit(RunPlan(run_far, 1)), testing::ExitedWithCode(41),
                    "a handler runs away, and this build cannot end it");
        return;
    }
    EXPECT_EXIT(
        _exit(RunPlan(run_away, 2)), testing::ExitedWithCode(43),
        "worker 0.1 has run for [0-9]+ ms in one handler: in run_away[^\n]*fault_at_work"
        "(.|\n)*worker 0.1 crashed: (.|\n)*worker 0.2 has run for (.|\n)*worker 0.2 crashed");
}

// A process that is stopped for longer than any limit, in the midst of a handler.
void StopAndGo() {
    pid_t self = getpid();
    pid_t waker = fork();
    if (waker == 0) {
        usleep(400000);
        kill(self, SIGCONT);
        _exit(0);
    }
    kill(self, SIGSTOP);
    waitpid(waker, nullptr, 0);
}

TEST(SystemFaultDeathTest, AProcessThatWasStoppedHasNotRunAway) {
    EXPECT_EXIT(_exit(RunPlan(StopAndGo, 1) == 41 && plan.lives == 1 ? 0 : 1),
                testing::ExitedWithCode(0), "life 1\n$");
}

// Blocked for two seconds in a system call.
void Block() {
    usleep(2000000);
}

TEST(SystemFaultDeathTest, AHandlerThatIsBlockedIsReportedAndLives) {
    EXPECT_EXIT(_exit(RunPlan(Block, 1) == 41 && plan.lives == 1 ? 0 : 1),
                testing::ExitedWithCode(0), "a handler is blocked");
}

TEST(SystemFaultDeathTest, AFaultInLibcHasTheShardRebuilt) {
    EXPECT_EXIT(_exit(RunPlan(tina::FaultInLibc, 2)), testing::ExitedWithCode(43),
                "a fault that is not one handler's alone: SIGSEGV at address 0x50, pc "
                "0x[0-9a-f]+ in libc.so.6\\+0x[0-9a-f]+; the shard is rebuilt .rebuilds within "
                "[0-9]+ s: 1 of 3(.|\n)*2 of 3");
}

TEST(SystemFaultDeathTest, AShardThatBreaksTooOftenEndsTheProcess) {
    EXPECT_EXIT(_exit(RunPlan(tina::FaultInLibc, 100, 2)), testing::ExitedWithCode(4),
                "a fault that is not one handler's alone: .*; no shard is left that works, and "
                "the process ends .rebuilds within [0-9]+ s: 2 of 2");
}

// A worker that faults in every life, at the bottom of three groups that bear five restarts each,
// beside a sibling on every level.
struct Level {
    int started, told;
};

Level levels[3];
int storm_lives;

tina_effect SiblingInit(tina_ctx *, void *self, tina_bytes args) {
    std::memcpy(self, args.data, sizeof(int));
    levels[*static_cast<int *>(self)].started++;
    return tina_receive();
}

tina_effect SiblingHandle(tina_ctx *, void *self, const tina_message *m) {
    levels[*static_cast<int *>(self)].told += m->tag == TINA_SHUTDOWN;
    return tina_done();
}

tina_effect StormInit(tina_ctx *, void *, tina_bytes) {
    storm_lives++;
    return tina_yield();
}

tina_effect StormHandle(tina_ctx *, void *, const tina_message *) {
    tina::FaultNull();
    return tina_receive();
}

int RunStorm(uint32_t rebuild_max) {
    tina_isolate_type sibling = {};
    sibling.name = "sibling";
    sibling.init = SiblingInit;
    sibling.handle = SiblingHandle;
    sibling.struct_bytes = sizeof(int);
    tina_isolate_type stormy = {};
    stormy.name = "stormy";
    stormy.init = StormInit;
    stormy.handle = StormHandle;
    stormy.struct_bytes = 8;
    const int numbers[] = {0, 1, 2};
    tina_child children[3][2] = {};
    tina_group groups[3] = {};
    for (int i = 0; i < 3; i++) {
        children[i][0].type = &sibling;
        children[i][0].args = tina_bytes_of(&numbers[i], sizeof numbers[i]);
        groups[i].name = i == 0 ? "root" : i == 1 ? "middle" : "inner";
        groups[i].children = children[i];
        groups[i].child_count = 2;
        groups[i].intensity = 5;
        groups[i].period_ns = 1000000000000;
    }
    children[0][1].group = &groups[1];
    children[1][1].group = &groups[2];
    children[2][1].type = &stormy;
    tina_type_slots types[] = {{&sibling, 3}, {&stormy, 1}};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root = groups[0];
    spec.rebuild_max = rebuild_max;
    return tina_run(&spec);
}

TEST(SystemFaultDeathTest, AStormAtFullSpeedSpendsEveryBudgetExactly) {
    EXPECT_EXIT(
        {
            constexpr uint32_t kRebuilds = 2;
            int status = RunStorm(kRebuilds);
            constexpr int kRoots = 1 + kRebuilds;
            bool exact = storm_lives == kRoots * 6 * 6 * 6;
            for (int i = 0, expected = kRoots; i < 3; i++, expected *= 6) {
                std::fprintf(stderr, "level %d: %d started, %d told\n", i, levels[i].started,
                             levels[i].told);
                exact = exact && levels[i].started == expected && levels[i].told == expected;
            }
            _exit(exact ? status : 99);
        },
        testing::ExitedWithCode(4), "the root of the tree has given up(.|\n)*2 of 2");
}

bool EndedBadly(int status) {
    return kSanitized ? !WIFEXITED(status) || WEXITSTATUS(status) != 0
                      : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

// The log's lines, which were waiting for the end of the tick, come first.
TEST(SystemFaultDeathTest, ASignalFromOutsideEndsTheProcessAfterItsLastWords) {
    EXPECT_EXIT(_exit(RunPlan([] { raise(SIGSEGV); }, 1)), EndedBadly,
                "life 1\n.*tina: SIGSEGV at an address that the processor does not tell, pc "
                "0x[0-9a-f]+: it was sent, not caused by what ran here, so the process ends");
}

TEST(SystemFaultDeathTest, TheSignalsAreGivenBackAfterwards) {
    EXPECT_EXIT(
        {
            struct sigaction before;
            struct sigaction after;
            sigaction(SIGSEGV, nullptr, &before);
            int status = RunPlan(tina::FaultNull, 1);
            sigaction(SIGSEGV, nullptr, &after);
            bool same = before.sa_handler == after.sa_handler;
            _exit(same ? status : 1);
        },
        testing::ExitedWithCode(42), "");
}

} // namespace
