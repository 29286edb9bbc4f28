// SPDX-License-Identifier: Apache-2.0
//
// What a crash costs, in CPU nanoseconds on one thread: by effect, by panic and by a real SIGSEGV,
// each with the restart that follows, beside the bare round trip of the signal; and what the trap
// costs a handler that does not crash. Nothing but the shard: scripted backend, a clock that counts
// ticks. Medians of the rounds.
//
//     bazel run -c opt //bench:fault_bench [-- --small]

#include "arena/arena.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"
#include "sched/shard.h"
#include "sched/spec.h"
#include "supervise/faults.h"
#include "supervise/trap.h"
#include "supervise/trap_signals.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <ucontext.h>
#include <vector>

namespace {

bool small = false;

uint64_t CpuNs() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t Count(uint64_t count) {
    return small ? count / 200 + 1 : count;
}

double Row(const char *what, const std::function<double()> &round) {
    std::vector<double> ns;
    for (int i = 0; i < (small ? 1 : 7); i++)
        ns.push_back(round());
    std::sort(ns.begin(), ns.end());
    double median = ns[ns.size() / 2];
    std::printf("%-44s %9.1f ns   (%.1f to %.1f)\n", what, median, ns.front(), ns.back());
    return median;
}

size_t NoLog(void *, const char *, size_t bytes) {
    return bytes;
}

// How a worker ends whenever it is called.
enum Way {
    kEffect,
    kPanic,
    kFault
};
Way way;

tina_effect WorkerInit(tina_ctx *, void *, tina_bytes) {
    return tina_yield();
}

tina_effect WorkerHandle(tina_ctx *, void *, const tina_message *) {
    if (way == kPanic)
        tina_panic("as told");
    if (way == kFault)
        tina::FaultNull();
    return tina_crash(1);
}

constexpr uint32_t kWorkers = 64;

tina_trap trap;

// All workers crash, and are restarted, every other tick or so.
double CrashAndRestart(Way by, bool logged) {
    way = by;
    tina_isolate_type type = {};
    type.name = "worker";
    type.init = WorkerInit;
    type.handle = WorkerHandle;
    type.struct_bytes = 64;
    tina_type_slots types[] = {{&type, kWorkers}};
    std::vector<tina_child> children(kWorkers);
    for (tina_child &child : children)
        child.type = &type;
    tina_spec given = {};
    given.types = types;
    given.type_count = 1;
    given.root.children = children.data();
    given.root.child_count = kWorkers;
    given.root.intensity = 4 * kWorkers; // in one nanosecond, so never reached
    given.root.period_ns = 1;
    given.log_level = logged ? TINA_LOG_INFO : -1;
    tina_spec spec;
    char sentence[TINA_SENTENCE_BYTES];
    tina_scripted *scripted = nullptr;
    tina_scripted_options backend_options = {};
    backend_options.scripted = &scripted;
    tina_shard_options options = {};
    options.backend = &tina_reactor_scripted;
    options.backend_options = &backend_options;
    options.log_write = NoLog;
    options.trap = &trap;
    tina_arena arena = {};
    tina_arena_commit_options commit = {};
    tina_shard *shard;
    if (!tina_spec_resolve(&given, &spec, sentence) ||
        tina_arena_reserve(&arena, tina_shard_bytes(&spec, &options)) != 0 ||
        tina_arena_commit(&arena, &commit) != 0 ||
        tina_shard_open(&arena, &spec, &options, &shard, sentence) != 0) {
        std::fprintf(stderr, "fault_bench: %s\n", sentence);
        std::exit(1);
    }
    tina_time now = {1000000, 0};
    auto turns = [&](uint64_t count) {
        for (uint64_t i = 0; i < count; i++) {
            now.monotonic_ns += 100;
            tina_shard_tick(shard, now);
        }
    };
    turns(1000);
    tina_shard_counters before;
    tina_shard_counters after;
    tina_shard_snapshot(shard, &before);
    uint64_t start = CpuNs();
    turns(Count(by == kFault ? 4000 : 40000));
    uint64_t ns = CpuNs() - start;
    tina_shard_snapshot(shard, &after);
    if (after.crashed - before.crashed < Count(1000)) {
        std::fprintf(stderr, "fault_bench: too few crashed\n");
        std::exit(1);
    }
    tina_shard_close(shard);
    tina_arena_release(&arena);
    return static_cast<double>(ns) / static_cast<double>(after.crashed - before.crashed);
}

// The kernel's part: to the handler and back, behind the instruction.
extern "C" const char fault_bench_after[];

void OnSignal(int, siginfo_t *, void *context) {
    static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_RIP] =
        static_cast<greg_t>(reinterpret_cast<uintptr_t>(fault_bench_after));
}

double BareSignal() {
    struct sigaction action = {};
    struct sigaction before;
    action.sa_sigaction = OnSignal;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before);
    uint64_t count = Count(200000);
    uint64_t start = CpuNs();
    for (uint64_t i = 0; i < count; i++)
        __asm__ volatile("movb (%0), %%al\n"
                         ".globl fault_bench_after\n"
                         "fault_bench_after:"
                         :
                         : "r"(uintptr_t{0})
                         : "rax", "memory");
    uint64_t ns = CpuNs() - start;
    sigaction(SIGSEGV, &before, nullptr);
    return static_cast<double>(ns) / static_cast<double>(count);
}

void Nothing(void *) {
    __asm__ volatile("");
}

double BareCall(bool phases) {
    void (*volatile call)(void *) = Nothing;
    uint64_t count = Count(20000000);
    uint64_t start = CpuNs();
    for (uint64_t i = 0; i < count; i++) {
        if (phases)
            tina_trap_set_phase(&trap, TINA_PHASE_USER);
        call(nullptr);
        if (phases)
            tina_trap_set_phase(&trap, TINA_PHASE_FRAMEWORK);
    }
    return static_cast<double>(CpuNs() - start) / static_cast<double>(count);
}

double RecoveryPoint() {
    uint64_t count = Count(5000000);
    uint64_t start = CpuNs();
    for (uint64_t i = 0; i < count; i++)
        tina_trap_run(&trap, Nothing, nullptr);
    return static_cast<double>(CpuNs() - start) / static_cast<double>(count);
}

} // namespace

int main(int argc, char **argv) {
    small = argc > 1 && std::strcmp(argv[1], "--small") == 0;
    tina_trap_stack stack = {};
    tina_trap_signals signals = {};
    tina_trap_init(&trap, 0, 0);
    // For its alternate stack: this thread's own stack stays what it is.
    if (tina_trap_stack_map(&stack, 1 << 16, 1 << 16) != 0)
        return 1;
    tina_trap_stack_enter(&stack);
    double bare = Row("call of a function", [] { return BareCall(false); });
    double phased = Row("the same as a handler, in its phase", [] { return BareCall(true); });
    Row("recovery point, once a tick", RecoveryPoint);
    Row("crash + restart, by effect", [] { return CrashAndRestart(kEffect, false); });
    Row("... and its two lines in the log", [] { return CrashAndRestart(kEffect, true); });
    Row("crash + restart, by panic", [] { return CrashAndRestart(kPanic, false); });
    Row("... and its two lines in the log", [] { return CrashAndRestart(kPanic, true); });
    double signal = Row("SIGSEGV, bare: to a handler and back", BareSignal);
    tina_trap_signals_install(&signals);
    Row("crash + restart, by SIGSEGV", [] { return CrashAndRestart(kFault, false); });
    double fault =
        Row("... and its two lines in the log", [] { return CrashAndRestart(kFault, true); });
    tina_trap_signals_uninstall();
    std::printf("the trap costs a handler %.1f ns; SIGSEGV, restart and log are %.2f of the "
                "bare signal\n",
                phased - bare, fault / signal);
    tina_trap_stack_leave(&stack);
    tina_trap_stack_unmap(&stack);
    return 0;
}
