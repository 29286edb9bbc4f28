// SPDX-License-Identifier: Apache-2.0

#include "arena/bump.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

#include "arena/poison.h"
#include "core/assert.h"

namespace {

// Ends exactly where the heap block does, so that AddressSanitizer sees a byte too many.
struct Bump : tina_bump {
    explicit Bump(size_t bytes) {
        tina_bump_init(this, aligned_alloc(128, (bytes + 127) / 128 * 128), bytes);
    }
    ~Bump() {
        tina_unpoison(base, size);
        free(base);
    }
    Bump(const Bump &) = delete;
    Bump &operator=(const Bump &) = delete;
};

} // namespace

TEST(Bump, TakesAlignedPiecesUntilFull) {
    Bump bump(256);
    uint8_t *a = static_cast<uint8_t *>(tina_bump_take(&bump, 3, 1));
    uint8_t *b = static_cast<uint8_t *>(tina_bump_take(&bump, 8, 8));
    uint8_t *c = static_cast<uint8_t *>(tina_bump_take(&bump, 128, 128));
    EXPECT_EQ(a, bump.base);
    EXPECT_EQ(b, bump.base + 8);
    EXPECT_EQ(c, bump.base + 128);
    a[2] = b[7] = c[127] = 1;
    EXPECT_EQ(tina_bump_take(&bump, 1, 1), nullptr);
    EXPECT_NE(tina_bump_take(&bump, 0, 1), nullptr) << "nothing always fits";
    EXPECT_EQ(bump.refused, 1u);
    EXPECT_EQ(bump.high_water, 256u);
}

TEST(Bump, WhatDoesNotFitTakesNothing) {
    Bump bump(100);
    ASSERT_NE(tina_bump_take(&bump, 90, 1), nullptr);
    EXPECT_EQ(tina_bump_take(&bump, 11, 1), nullptr);
    EXPECT_EQ(tina_bump_take(&bump, 5, 16), nullptr) << "fits but for its alignment";
    EXPECT_EQ(tina_bump_take(&bump, 1, 128), nullptr) << "aligned beyond the end";
    EXPECT_EQ(tina_bump_take(&bump, SIZE_MAX, 1), nullptr);
    EXPECT_EQ(tina_bump_take(&bump, SIZE_MAX - 89, 1), nullptr);
    EXPECT_EQ(bump.used, 90u);
    EXPECT_NE(tina_bump_take(&bump, 10, 1), nullptr);
    EXPECT_EQ(bump.refused, 5u);
}

TEST(Bump, OfNoBytesRefusesAll) {
    Bump bump(128);
    tina_bump empty;
    tina_bump_init(&empty, bump.base, 0);
    EXPECT_EQ(tina_bump_take(&empty, 1, 1), nullptr);
}

TEST(Bump, ResetEmptiesAndKeepsTheHighWaterMark) {
    Bump bump(256);
    void *first = tina_bump_take(&bump, 200, 16);
    tina_bump_reset(&bump);
    EXPECT_EQ(bump.used, 0u);
    EXPECT_EQ(bump.high_water, 200u);
    EXPECT_EQ(tina_bump_take(&bump, 10, 16), first);
    EXPECT_EQ(bump.high_water, 200u);
}

TEST(Bump, RewindGivesBackWhatCameAfterTheMarkOnly) {
    Bump bump(256);
    char *kept = static_cast<char *>(tina_bump_take(&bump, 5, 1));
    memcpy(kept, "kept", 5);
    size_t mark = tina_bump_mark(&bump);
    void *first = tina_bump_take(&bump, 50, 8);
    ASSERT_NE(tina_bump_take(&bump, 50, 64), nullptr);
    tina_bump_rewind(&bump, mark);
    EXPECT_STREQ(kept, "kept");
    EXPECT_EQ(tina_bump_take(&bump, 50, 8), first);
    EXPECT_STREQ(kept, "kept");
}

TEST(BumpDeathTest, MisuseIsAnError) {
    Bump bump(256);
    EXPECT_DEATH(tina_bump_take(&bump, 1, 0), "power_of_two");
    EXPECT_DEATH(tina_bump_take(&bump, 1, 24), "power_of_two");
    EXPECT_DEATH(tina_bump_take(&bump, 1, 256), "BUMP_ALIGNMENT");
    EXPECT_DEATH(tina_bump_rewind(&bump, 1), "mark <= bump->used");
    tina_bump other;
    EXPECT_DEATH(tina_bump_init(&other, nullptr, 10), "memory != NULL");
    EXPECT_DEATH(tina_bump_init(&other, bump.base + 64, 10), "memory %");
}

#if TINA_ASAN_ON
TEST(BumpDeathTest, AddressSanitizerSeesWhatIsNotTaken) {
    Bump bump(256);
    volatile uint8_t *kept = static_cast<uint8_t *>(tina_bump_take(&bump, 5, 1));
    size_t mark = tina_bump_mark(&bump);
    volatile uint8_t *gone = static_cast<uint8_t *>(tina_bump_take(&bump, 13, 1));
    EXPECT_DEATH(gone[13] = 1, "use-after-poison");
    tina_bump_rewind(&bump, mark);
    kept[4] = 1;
    EXPECT_DEATH(gone[0] = 1, "use-after-poison");
    tina_bump_reset(&bump);
    EXPECT_DEATH(kept[0] = 1, "use-after-poison");
}
#elif TINA_VERIFY_ON
TEST(Bump, DebugBuildsOverwriteWhatIsGivenBack) {
    Bump bump(256);
    const uint8_t *gone = static_cast<uint8_t *>(tina_bump_take(&bump, 13, 1));
    tina_bump_reset(&bump);
    for (int i = 0; i < 13; i++)
        EXPECT_EQ(gone[i], TINA_BUMP_FREE_BYTE);
}
#endif
