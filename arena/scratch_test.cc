// SPDX-License-Identifier: Apache-2.0

#include "arena/scratch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

#include "arena/poison.h"
#include "core/assert.h"

namespace {

// Ends exactly where the heap block does, so that AddressSanitizer sees a byte too many.
struct Scratch : tina_scratch {
    explicit Scratch(size_t bytes) {
        tina_scratch_init(this, aligned_alloc(128, (bytes + 127) / 128 * 128), bytes);
    }
    ~Scratch() {
        tina_unpoison(base, size);
        free(base);
    }
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
};

} // namespace

TEST(Scratch, TakesAlignedPiecesUntilFull) {
    Scratch scratch(256);
    uint8_t *a = static_cast<uint8_t *>(tina_scratch_take(&scratch, 3, 1));
    uint8_t *b = static_cast<uint8_t *>(tina_scratch_take(&scratch, 8, 8));
    uint8_t *c = static_cast<uint8_t *>(tina_scratch_take(&scratch, 128, 128));
    EXPECT_EQ(a, scratch.base);
    EXPECT_EQ(b, scratch.base + 8);
    EXPECT_EQ(c, scratch.base + 128);
    a[2] = b[7] = c[127] = 1;
    EXPECT_EQ(tina_scratch_take(&scratch, 1, 1), nullptr);
    EXPECT_NE(tina_scratch_take(&scratch, 0, 1), nullptr) << "nothing always fits";
    EXPECT_EQ(scratch.refused, 1u);
    EXPECT_EQ(scratch.high_water, 256u);
}

TEST(Scratch, WhatDoesNotFitTakesNothing) {
    Scratch scratch(100);
    ASSERT_NE(tina_scratch_take(&scratch, 90, 1), nullptr);
    EXPECT_EQ(tina_scratch_take(&scratch, 11, 1), nullptr);
    EXPECT_EQ(tina_scratch_take(&scratch, 5, 16), nullptr) << "fits but for its alignment";
    EXPECT_EQ(tina_scratch_take(&scratch, 1, 128), nullptr) << "aligned beyond the end";
    EXPECT_EQ(tina_scratch_take(&scratch, SIZE_MAX, 1), nullptr);
    EXPECT_EQ(tina_scratch_take(&scratch, SIZE_MAX - 89, 1), nullptr);
    EXPECT_EQ(scratch.used, 90u);
    EXPECT_NE(tina_scratch_take(&scratch, 10, 1), nullptr);
    EXPECT_EQ(scratch.refused, 5u);
}

TEST(Scratch, OfNoBytesRefusesAll) {
    Scratch scratch(128);
    tina_scratch empty;
    tina_scratch_init(&empty, scratch.base, 0);
    EXPECT_EQ(tina_scratch_take(&empty, 1, 1), nullptr);
}

TEST(Scratch, ResetEmptiesAndKeepsTheHighWaterMark) {
    Scratch scratch(256);
    void *first = tina_scratch_take(&scratch, 200, 16);
    tina_scratch_reset(&scratch);
    EXPECT_EQ(scratch.used, 0u);
    EXPECT_EQ(scratch.high_water, 200u);
    EXPECT_EQ(tina_scratch_take(&scratch, 10, 16), first);
    EXPECT_EQ(scratch.high_water, 200u);
}

TEST(Scratch, RewindGivesBackWhatCameAfterTheMarkOnly) {
    Scratch scratch(256);
    char *kept = static_cast<char *>(tina_scratch_take(&scratch, 5, 1));
    memcpy(kept, "kept", 5);
    size_t mark = tina_scratch_mark(&scratch);
    void *first = tina_scratch_take(&scratch, 50, 8);
    ASSERT_NE(tina_scratch_take(&scratch, 50, 64), nullptr);
    tina_scratch_rewind(&scratch, mark);
    EXPECT_STREQ(kept, "kept");
    EXPECT_EQ(tina_scratch_take(&scratch, 50, 8), first);
    EXPECT_STREQ(kept, "kept");
}

TEST(ScratchDeathTest, MisuseIsAnError) {
    Scratch scratch(256);
    EXPECT_DEATH(tina_scratch_take(&scratch, 1, 0), "power_of_two");
    EXPECT_DEATH(tina_scratch_take(&scratch, 1, 24), "power_of_two");
    EXPECT_DEATH(tina_scratch_take(&scratch, 1, 256), "SCRATCH_ALIGNMENT");
    EXPECT_DEATH(tina_scratch_rewind(&scratch, 1), "mark <= scratch->used");
    tina_scratch other;
    EXPECT_DEATH(tina_scratch_init(&other, nullptr, 10), "memory != NULL");
    EXPECT_DEATH(tina_scratch_init(&other, scratch.base + 64, 10), "memory %");
}

#if TINA_ASAN_ON
TEST(ScratchDeathTest, AddressSanitizerSeesWhatIsNotTaken) {
    Scratch scratch(256);
    volatile uint8_t *kept = static_cast<uint8_t *>(tina_scratch_take(&scratch, 5, 1));
    size_t mark = tina_scratch_mark(&scratch);
    volatile uint8_t *gone = static_cast<uint8_t *>(tina_scratch_take(&scratch, 13, 1));
    EXPECT_DEATH(gone[13] = 1, "use-after-poison");
    tina_scratch_rewind(&scratch, mark);
    kept[4] = 1;
    EXPECT_DEATH(gone[0] = 1, "use-after-poison");
    tina_scratch_reset(&scratch);
    EXPECT_DEATH(kept[0] = 1, "use-after-poison");
}
#elif TINA_VERIFY_ON
TEST(Scratch, DebugBuildsOverwriteWhatIsGivenBack) {
    Scratch scratch(256);
    const uint8_t *gone = static_cast<uint8_t *>(tina_scratch_take(&scratch, 13, 1));
    tina_scratch_reset(&scratch);
    for (int i = 0; i < 13; i++)
        EXPECT_EQ(gone[i], TINA_SCRATCH_FREE_BYTE);
}
#endif
