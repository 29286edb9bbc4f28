// SPDX-License-Identifier: Apache-2.0

#include "sched/wheel.h"

#include "core/prng.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <cstdlib>
#include <map>
#include <vector>

namespace {

constexpr uint64_t kUnit = 1024;

uint64_t Ceil(uint64_t ns) {
    return (ns + kUnit - 1) / kUnit * kUnit;
}

struct Wheel {
    explicit Wheel(uint32_t count, uint64_t now_ns = 0) : entries(count) {
        tina_wheel_init(&wheel, entries.data(), now_ns);
    }
    std::vector<uint32_t> Expire(uint64_t now_ns) {
        std::vector<uint32_t> due;
        for (uint32_t i = tina_wheel_expire(&wheel, now_ns); i != TINA_WHEEL_NONE;
             i = entries[i].next)
            due.push_back(i);
        tina_wheel_verify(&wheel);
        return due;
    }
    std::vector<tina_wheel_entry> entries;
    tina_wheel wheel;
};

TEST(Wheel, IsEmptyAtFirst) {
    Wheel w(1);
    EXPECT_EQ(tina_wheel_next_ns(&w.wheel), UINT64_MAX);
    EXPECT_TRUE(w.Expire(UINT64_MAX).empty());
}

TEST(Wheel, NeverFiresEarlyAndFiresAtItsUnit) {
    for (uint64_t delay : {0ul, 1ul, 1023ul, 1024ul, 1025ul, 65535ul, 65536ul, 65537ul, 4194303ul,
                           4194304ul, 1000000000ul, 86400ul * 1000000000}) {
        Wheel w(1, 5000);
        w.Expire(5000);
        uint64_t deadline = 5000 + delay;
        tina_wheel_insert(&w.wheel, 0, deadline);
        tina_wheel_verify(&w.wheel);
        uint64_t next = tina_wheel_next_ns(&w.wheel);
        EXPECT_GE(next, deadline);
        EXPECT_LT(next, deadline + 2 * kUnit);
        EXPECT_TRUE(w.Expire(next - 1).empty()) << delay;
        EXPECT_EQ(w.Expire(next), std::vector<uint32_t>{0}) << delay;
        EXPECT_EQ(tina_wheel_next_ns(&w.wheel), UINT64_MAX);
    }
}

TEST(Wheel, ADeadlineInThePastFiresNext) {
    Wheel w(1, 1000000);
    w.Expire(1000000);
    tina_wheel_insert(&w.wheel, 0, 3);
    EXPECT_EQ(w.Expire(1000000 + kUnit), std::vector<uint32_t>{0});
}

TEST(Wheel, TheLastNanosecondOfTimeFits) {
    Wheel w(1);
    tina_wheel_insert(&w.wheel, 0, UINT64_MAX);
    tina_wheel_verify(&w.wheel);
    EXPECT_TRUE(w.Expire(UINT64_MAX / 2).empty());
    EXPECT_EQ(w.Expire(UINT64_MAX), std::vector<uint32_t>{0});
}

TEST(Wheel, TimeThatRunsBackwardsExpiresNothing) {
    Wheel w(2, 1 << 20);
    w.Expire(1 << 20);
    tina_wheel_insert(&w.wheel, 0, (1 << 20) + 5 * kUnit);
    EXPECT_TRUE(w.Expire(0).empty());
    EXPECT_EQ(w.Expire((1 << 20) + 5 * kUnit), std::vector<uint32_t>{0});
}

TEST(Wheel, SameUnitFiresInOrderOfInsertion) {
    Wheel w(100);
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < 100; i++) {
        tina_wheel_insert(&w.wheel, i, 10 * kUnit);
        order.push_back(i);
    }
    EXPECT_EQ(w.Expire(10 * kUnit), order);
}

TEST(Wheel, RemovingTheOnlyFirstMiddleAndLastOfABucket) {
    Wheel w(4);
    for (uint32_t removed = 0; removed < 4; removed++) {
        uint64_t deadline = (removed + 1) * 100 * kUnit;
        std::vector<uint32_t> left;
        for (uint32_t i = 0; i < 4; i++) {
            tina_wheel_insert(&w.wheel, i, deadline);
            if (i != removed)
                left.push_back(i);
        }
        tina_wheel_remove(&w.wheel, removed);
        tina_wheel_verify(&w.wheel);
        EXPECT_EQ(w.Expire(deadline), left);
    }
    tina_wheel_insert(&w.wheel, 0, 1000 * kUnit);
    tina_wheel_remove(&w.wheel, 0);
    EXPECT_EQ(tina_wheel_next_ns(&w.wheel), UINT64_MAX);
}

// A bucket of a far level begins exactly where time stands: a timer set then, at a nearer level,
// must not overtake the one that waits there.
TEST(Wheel, ATimerSetAtTheEdgeOfAFarBucketDoesNotOvertake) {
    Wheel w(2);
    tina_wheel_insert(&w.wheel, 0, 65 * kUnit);
    EXPECT_TRUE(w.Expire(63 * kUnit).empty());
    tina_wheel_insert(&w.wheel, 1, 70 * kUnit);
    EXPECT_EQ(tina_wheel_next_ns(&w.wheel), 65 * kUnit);
    EXPECT_EQ(w.Expire(70 * kUnit), (std::vector<uint32_t>{0, 1}));
}

// The sleeper's promise: woken only when there is something to do. Far timers are not announced at
// the boundaries of the buckets that they pass through.
TEST(Wheel, ALoneFarTimerIsAnnouncedExactly) {
    Wheel w(1);
    uint64_t deadline = Ceil(UINT64_C(30000000000));
    tina_wheel_insert(&w.wheel, 0, deadline);
    int wakes = 0;
    for (uint64_t now = 0; now < deadline; wakes++) {
        now = tina_wheel_next_ns(&w.wheel);
        w.Expire(now);
    }
    EXPECT_EQ(wakes, 1);
}

uint64_t Seed() {
    const char *seed = std::getenv("TINA_SEED");
    return seed ? std::strtoull(seed, nullptr, 10) : 1;
}

TEST(Wheel, AgreesWithASortedMapOverRandomOperations) {
    uint64_t seed = Seed();
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    tina_prng prng = tina_prng_make(seed, 1, 0);
    constexpr uint32_t kCount = 300;
    Wheel w(kCount);
    std::multimap<uint64_t, uint32_t> model; // by the unit's nanoseconds
    std::vector<bool> in(kCount, false);
    std::vector<uint64_t> at(kCount);
    uint64_t now = 0;
    for (int step = 0; step < 200000; step++) {
        uint32_t i = static_cast<uint32_t>(tina_prng_below(&prng, kCount));
        uint64_t kind = tina_prng_below(&prng, 10);
        if (kind < 5) {
            if (in[i])
                continue;
            uint64_t magnitude = tina_prng_below(&prng, 42);
            uint64_t delay = tina_prng_below(&prng, UINT64_C(1) << magnitude);
            tina_wheel_insert(&w.wheel, i, now + delay);
            at[i] = std::max(Ceil(now + delay), step ? (now / kUnit + 1) * kUnit : Ceil(delay));
            in[i] = true;
            model.emplace(at[i], i);
        } else if (kind < 8) {
            if (!in[i])
                continue;
            tina_wheel_remove(&w.wheel, i);
            in[i] = false;
            auto range = model.equal_range(at[i]);
            for (auto it = range.first; it != range.second; ++it)
                if (it->second == i) {
                    model.erase(it);
                    break;
                }
        } else {
            uint64_t next = tina_wheel_next_ns(&w.wheel);
            if (model.empty())
                EXPECT_EQ(next, UINT64_MAX);
            else
                ASSERT_LE(next, model.begin()->first);
            uint64_t magnitude = tina_prng_below(&prng, 38);
            uint64_t leap = tina_prng_below(&prng, UINT64_C(1) << magnitude);
            now = kind == 8 && next != UINT64_MAX && next > now ? next : now + leap;
            std::vector<uint32_t> due = w.Expire(now);
            uint64_t last = 0;
            for (uint32_t d : due) {
                ASSERT_TRUE(in[d]);
                ASSERT_LE(at[d], now);
                ASSERT_LE(last, at[d]);
                last = at[d];
                in[d] = false;
            }
            size_t gone = static_cast<size_t>(std::distance(model.begin(), model.upper_bound(now)));
            ASSERT_EQ(due.size(), gone) << "step " << step;
            model.erase(model.begin(), model.upper_bound(now));
        }
    }
}

} // namespace
