// SPDX-License-Identifier: Apache-2.0

#include "core/assert.h"
#include "core/atomic.h"
#include "core/bits.h"
#include "core/handle.h"
#include "core/prng.h"

#include <gtest/gtest.h>

#include <csignal>

#include <set>

TEST(Handle, CarriesEveryFieldAtItsLimit) {
    tina_handle h = tina_handle_make(255, 255, TINA_SLOT_COUNT_MAX - 1, TINA_GENERATION_MAX);
    EXPECT_EQ(h.bits, UINT64_MAX);
    EXPECT_EQ(tina_handle_shard(h), 255u);
    EXPECT_EQ(tina_handle_type(h), 255u);
    EXPECT_EQ(tina_handle_slot(h), TINA_SLOT_COUNT_MAX - 1);
    EXPECT_EQ(tina_handle_generation(h), TINA_GENERATION_MAX);
}

TEST(Handle, FieldsDoNotLeakIntoEachOther) {
    tina_handle h = tina_handle_make(1, 2, 3, 4);
    EXPECT_EQ(tina_handle_shard(h), 1u);
    EXPECT_EQ(tina_handle_type(h), 2u);
    EXPECT_EQ(tina_handle_slot(h), 3u);
    EXPECT_EQ(tina_handle_generation(h), 4u);
}

TEST(Handle, FirstHandleOfAShardIsNotNone) {
    EXPECT_TRUE(tina_handle_is_none(tina_handle_none()));
    EXPECT_FALSE(tina_handle_is_none(tina_handle_make(0, 0, 0, 1)));
}

TEST(Bits, RoundsUpToPowersOfTwo) {
    EXPECT_EQ(tina_round_up_pow2(1), 1u);
    EXPECT_EQ(tina_round_up_pow2(3), 4u);
    EXPECT_EQ(tina_round_up_pow2(4), 4u);
    EXPECT_EQ(tina_round_up_pow2((UINT64_C(1) << 62) + 1), UINT64_C(1) << 63);
    EXPECT_FALSE(tina_is_power_of_two(0));
    EXPECT_FALSE(tina_is_power_of_two(6));
    EXPECT_TRUE(tina_is_power_of_two(UINT64_C(1) << 63));
    EXPECT_EQ(tina_align_up(1, 128), 128u);
    EXPECT_EQ(tina_align_up(128, 128), 128u);
    EXPECT_EQ(tina_align_up(0, 128), 0u);
}

TEST(Prng, IsTheSameForEverAndEverywhere) {
    // Values written down once: a change of algorithm would silently change every seed's meaning.
    tina_prng prng = tina_prng_make(1, 2, 3);
    EXPECT_EQ(tina_prng_next(&prng), tina_prng_at(&prng, 0));
    EXPECT_EQ(tina_prng_next(&prng), tina_prng_at(&prng, 1));
    EXPECT_EQ(tina_prng_mix(1), UINT64_C(0x5692161D100B05E5));
}

TEST(Prng, ADrawOfOneEntityDoesNotShiftAnother) {
    tina_prng a = tina_prng_make(7, 1, 1);
    tina_prng b = tina_prng_make(7, 1, 2);
    uint64_t expected = tina_prng_at(&b, 0);
    for (int i = 0; i < 100; i++)
        tina_prng_next(&a);
    EXPECT_EQ(tina_prng_next(&b), expected);
}

TEST(Prng, StreamsOfNeighboursDoNotCollide) {
    std::set<uint64_t> seen;
    for (uint64_t seed = 0; seed < 10; seed++)
        for (uint64_t domain = 0; domain < 10; domain++)
            for (uint64_t entity = 0; entity < 10; entity++)
                for (uint64_t n = 0; n < 10; n++) {
                    tina_prng prng = tina_prng_make(seed, domain, entity);
                    seen.insert(tina_prng_at(&prng, n));
                }
    EXPECT_EQ(seen.size(), 10000u);
}

TEST(Prng, BelowStaysBelowAndCoversEveryValue) {
    tina_prng prng = tina_prng_make(1, 1, 1);
    int hits[7] = {};
    for (int i = 0; i < 70000; i++) {
        uint64_t value = tina_prng_below(&prng, 7);
        ASSERT_LT(value, 7u);
        hits[value]++;
    }
    for (int count : hits) {
        EXPECT_GT(count, 9500);
        EXPECT_LT(count, 10500);
    }
    EXPECT_EQ(tina_prng_below(&prng, 1), 0u);
}

TEST(Atomic, ExchangeReturnsWhatWasThere) {
    tina_atomic_u32 flag;
    tina_atomic_u32_store_relaxed(&flag, 1);
    EXPECT_EQ(tina_atomic_u32_exchange(&flag, 2), 1u);
    EXPECT_EQ(tina_atomic_u32_load_acquire(&flag), 2u);
    static_assert(sizeof(tina_atomic_u32) == 4 && sizeof(tina_atomic_u64) == 8,
                  "one layout in C and C++");
}

TEST(AssertDeathTest, SaysWhatFailedAndWhere) {
    int one = 1;
    EXPECT_EXIT(TINA_ASSERT(one == 2), testing::KilledBySignal(SIGABRT),
                "core/core_test.cc:[0-9]+: assertion failed: one == 2");
}
