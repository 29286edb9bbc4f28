// SPDX-License-Identifier: Apache-2.0

#include "supervise/watchdog.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/prng.h"

namespace {

constexpr uint64_t MS = 1000000;
constexpr uint64_t SECOND = 1000 * MS;

// A shard as its sampler sees it: time passes for it in one of four ways.
struct Shard {
    explicit Shard(const tina_watchdog_limits &limits = {}) {
        tina_watchdog_init(&watchdog, &limits);
        sample.progress = 1;
        sample.phase = TINA_PHASE_USER;
        sample.now_ns = 1000 * SECOND;
        sample.cpu_ns = 5 * SECOND;
    }

    tina_watchdog_verdict judge() {
        return tina_watchdog_judge(&watchdog, &sample);
    }

    tina_watchdog_verdict burns(uint64_t ns) {
        sample.now_ns += ns;
        sample.cpu_ns += ns;
        return judge();
    }

    // Stands still in a system call.
    tina_watchdog_verdict blocks(uint64_t ns) {
        sample.now_ns += ns;
        return judge();
    }

    // Could run, and others do.
    tina_watchdog_verdict waits(uint64_t ns) {
        sample.now_ns += ns;
        sample.wait_ns += ns;
        return judge();
    }

    tina_watchdog_verdict moves_on() {
        sample.progress++;
        return judge();
    }

    tina_watchdog watchdog;
    tina_watchdog_sample sample = {};
};

} // namespace

TEST(Watchdog, AHandlerPastItsSoftLimitIsReportedOnce) {
    Shard shard;
    EXPECT_EQ(shard.judge(), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.burns(99 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.burns(1 * MS), TINA_WATCHDOG_REPORT);
    EXPECT_EQ(shard.watchdog.cpu_ns, 100 * MS);
    EXPECT_EQ(shard.burns(100 * MS), TINA_WATCHDOG_FINE) << "once a dispatch";
    EXPECT_EQ(shard.moves_on(), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.burns(100 * MS), TINA_WATCHDOG_REPORT) << "and again in the next";
}

TEST(Watchdog, ATimerOfTheSoftLimitSeesAHandlerAtItsSecondFiring) {
    Shard shard;
    shard.sample.cpu_ns += 100 * MS;
    EXPECT_EQ(shard.judge(), TINA_WATCHDOG_FINE) << "it may have begun just before";
    EXPECT_EQ(shard.burns(100 * MS), TINA_WATCHDOG_REPORT);
}

TEST(Watchdog, ManyShortHandlersAreFine) {
    Shard shard;
    for (int i = 0; i < 1000; i++) {
        shard.sample.progress++;
        EXPECT_EQ(shard.burns(100 * MS), TINA_WATCHDOG_FINE);
    }
}

TEST(Watchdog, AHandlerPastItsHardLimitIsKilledWhereThatIsSafe) {
    for (tina_phase phase : {TINA_PHASE_USER, TINA_PHASE_COPYING}) {
        Shard shard;
        shard.sample.phase = phase;
        shard.judge();
        EXPECT_EQ(shard.burns(999 * MS), TINA_WATCHDOG_REPORT);
        EXPECT_EQ(shard.burns(1 * MS), TINA_WATCHDOG_KILL);
        EXPECT_EQ(shard.burns(1 * MS), TINA_WATCHDOG_KILL) << "until it is gone";
        EXPECT_EQ(shard.moves_on(), TINA_WATCHDOG_FINE);
    }
}

TEST(Watchdog, InTheRuntimeTheKillWaitsForTheCallsReturn) {
    Shard shard;
    shard.judge();
    shard.sample.phase = TINA_PHASE_FRAMEWORK;
    EXPECT_EQ(shard.burns(1000 * MS), TINA_WATCHDOG_KILL_LATER);
    EXPECT_EQ(shard.burns(999 * MS), TINA_WATCHDOG_FINE);
    shard.sample.phase = TINA_PHASE_USER;
    EXPECT_EQ(shard.burns(1 * MS), TINA_WATCHDOG_KILL) << "it was seen outside after all";
}

TEST(Watchdog, ARuntimeThatDoesNotComeBackEscalatesOnce) {
    Shard shard;
    shard.sample.phase = TINA_PHASE_FRAMEWORK;
    shard.judge();
    EXPECT_EQ(shard.burns(1000 * MS), TINA_WATCHDOG_KILL_LATER);
    EXPECT_EQ(shard.burns(999 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.burns(1 * MS), TINA_WATCHDOG_ESCALATE);
    EXPECT_EQ(shard.burns(5000 * MS), TINA_WATCHDOG_FINE);
}

TEST(Watchdog, ABlockedHandlerIsReportedOnceAndNeverKilled) {
    Shard shard;
    shard.judge();
    for (int i = 0; i < 9; i++)
        EXPECT_EQ(shard.blocks(100 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.blocks(100 * MS), TINA_WATCHDOG_BLOCKED);
    EXPECT_EQ(shard.watchdog.blocked_ns, 1000 * MS);
    for (int i = 0; i < 36000; i++)
        EXPECT_EQ(shard.blocks(100 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.moves_on(), TINA_WATCHDOG_FINE);
    for (int i = 0; i < 9; i++)
        EXPECT_EQ(shard.blocks(100 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.blocks(100 * MS), TINA_WATCHDOG_BLOCKED);
}

TEST(Watchdog, AHandlerThatIsSampledOftenIsNotBlocked) {
    Shard shard;
    shard.judge();
    for (int i = 0; i < 99; i++)
        EXPECT_EQ(shard.burns(MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.watchdog.blocked_ns, 0u);
}

TEST(Watchdog, AnIdleShardIsNeverBlocked) {
    Shard shard;
    shard.sample.sleeping = true;
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(shard.blocks(100 * MS), TINA_WATCHDOG_FINE);
    shard.sample.sleeping = false;
    EXPECT_EQ(shard.blocks(100 * MS), TINA_WATCHDOG_FINE) << "it has only just woken";
}

// SIGSTOP, or a virtual machine that is paused: the watchdog stands still too, so that all it sees
// is one long gap without any CPU time.
TEST(Watchdog, AStoppedProcessIsNotStalled) {
    Shard shard;
    shard.judge();
    EXPECT_EQ(shard.burns(50 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.blocks(3600 * SECOND), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.burns(49 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.moves_on(), TINA_WATCHDOG_FINE);
}

// Stopped and continued all the time, as cpulimit(1) does.
TEST(Watchdog, AProcessThatIsStoppedNowAndThenIsNotStalled) {
    Shard shard;
    shard.judge();
    for (int i = 0; i < 99; i++) {
        shard.sample.now_ns += 10 * SECOND;
        EXPECT_NE(shard.burns(9 * MS), TINA_WATCHDOG_BLOCKED);
    }
}

// More threads than processors: this one is ready to run and does not get to.
TEST(Watchdog, ADescheduledShardIsNotStalled) {
    Shard shard;
    shard.judge();
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(shard.waits(100 * MS), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.waits(3600 * SECOND), TINA_WATCHDOG_FINE);
    EXPECT_EQ(shard.burns(99 * MS), TINA_WATCHDOG_FINE);
}

TEST(Watchdog, HoweverLongAHandlerTakesItIsItsCpuTimeThatCounts) {
    Shard shard;
    shard.judge();
    for (int i = 0; i < 98; i++) {
        shard.sample.now_ns += SECOND;
        shard.sample.wait_ns += 999 * MS;
        EXPECT_EQ(shard.burns(1 * MS), TINA_WATCHDOG_FINE);
    }
}

TEST(Watchdog, WhatIsOffIsNeverSaid) {
    tina_watchdog_limits limits = {};
    limits.soft_cpu_ns = limits.hard_cpu_ns = TINA_WATCHDOG_OFF;
    Shard blocked_only(limits);
    blocked_only.judge();
    EXPECT_EQ(blocked_only.burns(3600 * SECOND), TINA_WATCHDOG_FINE);
    limits = {};
    limits.blocked_ns = TINA_WATCHDOG_OFF;
    Shard cpu_only(limits);
    cpu_only.judge();
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(cpu_only.blocks(100 * MS), TINA_WATCHDOG_FINE);
}

// Random shards, stopped, descheduled and blocked at random: none is reported or killed that has
// not burned the time in one dispatch, and none that has gets away.
TEST(Watchdog, NothingButCpuTimeOfOneDispatchKills) {
    const char *given = getenv("TINA_SEED");
    uint64_t seed = given ? strtoull(given, nullptr, 0) : 1;
    uint64_t runs = getenv("TINA_LONG") ? 100000 : 500;
    printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(seed));
    for (uint64_t run = 0; run < runs; run++) {
        tina_prng prng = tina_prng_make(seed + run, 3, 0);
        Shard shard;
        shard.judge();
        uint64_t burned_ns = 0;
        uint64_t still_ns = 0;
        for (int i = 0; i < 300; i++) {
            uint64_t ns = tina_prng_below(&prng, 120 * MS);
            bool moves = tina_prng_chance(&prng, 1, 20);
            tina_watchdog_verdict verdict = TINA_WATCHDOG_FINE;
            shard.sample.phase = static_cast<tina_phase>(tina_prng_below(&prng, 3));
            shard.sample.progress += moves;
            switch (tina_prng_below(&prng, 4)) {
            case 0:
                verdict = shard.burns(ns);
                burned_ns += ns;
                break;
            case 1:
                verdict = shard.waits(ns);
                break;
            case 2:
                verdict = shard.blocks(ns * 1000); // stopped
                still_ns += 100 * MS;
                break;
            default:
                verdict = shard.blocks(ns);
                still_ns += ns;
            }
            if (moves)
                burned_ns = still_ns = 0;
            SCOPED_TRACE("TINA_SEED=" + std::to_string(seed + run));
            bool over = burned_ns >= SECOND;
            bool safe = tina_phase_is_users(shard.sample.phase);
            ASSERT_EQ(verdict == TINA_WATCHDOG_KILL, over && safe);
            if (verdict == TINA_WATCHDOG_REPORT) {
                ASSERT_GE(burned_ns, 100 * MS);
            }
            if (verdict == TINA_WATCHDOG_KILL_LATER || verdict == TINA_WATCHDOG_ESCALATE) {
                ASSERT_TRUE(over && !safe);
            }
            if (verdict == TINA_WATCHDOG_BLOCKED) {
                ASSERT_GE(still_ns, SECOND);
            }
        }
    }
}
