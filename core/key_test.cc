// SPDX-License-Identifier: Apache-2.0

#include "core/key.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace {

std::string EveryByte() {
    std::string bytes;
    for (int i = 0; i < 256; i++)
        bytes.push_back(static_cast<char>(i));
    return bytes;
}

// Computed apart from this code. They may never change: keys are kept where they say.
TEST(Key, HashesAndShardsAreTheseForEver) {
    const uint32_t counts[] = {1, 2, 3, 8, 64, 255};
    const struct {
        std::string key;
        uint64_t hash;
        uint32_t shards[6];
    } vectors[] = {
        {"", 0xF52A15E9A9B5E89B, {0, 0, 0, 5, 27, 216}},
        {"a", 0x02C0BDBF481420F8, {0, 1, 1, 1, 57, 128}},
        {"tina", 0x0CB5A329BC63ED98, {0, 1, 1, 7, 22, 154}},
        {"user:1", 0x3290BC1A92AD86C2, {0, 1, 1, 1, 1, 127}},
        {"user:2", 0x78C78A5C53B3ED30, {0, 0, 2, 4, 30, 136}},
        {EveryByte(), 0xEF2687F0D4371FE2, {0, 1, 1, 3, 43, 43}},
    };
    for (const auto &each : vectors) {
        EXPECT_EQ(tina_key_hash(each.key.data(), each.key.size()), each.hash) << each.key;
        for (int i = 0; i < 6; i++)
            EXPECT_EQ(tina_key_to_shard(counts[i], each.key.data(), each.key.size()),
                      each.shards[i])
                << each.key << " of " << counts[i];
    }
    EXPECT_EQ(tina_key_hash(nullptr, 0), 0xF52A15E9A9B5E89Bu);
}

// Counters as binary and as text, and keys that differ in one bit: the ways in which real keys are
// alike. Chi squared is as many as there are shards, give or take a few times sqrt(2 * shards).
TEST(Key, SpreadsEvenlyHoweverAlikeKeysAre) {
    constexpr uint64_t kKeys = 100000;
    for (uint32_t shards : {2u, 3u, 7u, 16u, 64u, 255u}) {
        std::vector<double> binary(shards), text(shards), high(shards);
        for (uint64_t i = 0; i < kKeys; i++) {
            std::string name = "user:" + std::to_string(i);
            uint64_t shifted = i << 40;
            binary[tina_key_to_shard(shards, &i, sizeof i)]++;
            text[tina_key_to_shard(shards, name.data(), name.size())]++;
            high[tina_key_to_shard(shards, &shifted, sizeof shifted)]++;
        }
        for (const auto &counts : {binary, text, high}) {
            double expected = static_cast<double>(kKeys) / shards;
            double chi_squared = 0;
            for (double count : counts)
                chi_squared += (count - expected) * (count - expected) / expected;
            EXPECT_LT(chi_squared, shards + 5 * std::sqrt(2.0 * shards)) << shards << " shards";
        }
    }
}

TEST(Key, OneMoreShardTakesItsShareAndNothingElseMoves) {
    constexpr uint64_t kKeys = 20000;
    for (uint32_t shards = 1; shards < 255; shards++) {
        uint64_t moved = 0;
        for (uint64_t i = 0; i < kKeys; i++) {
            uint32_t before = tina_key_to_shard(shards, &i, sizeof i);
            uint32_t after = tina_key_to_shard(shards + 1, &i, sizeof i);
            ASSERT_LT(before, shards);
            if (after == before)
                continue;
            ASSERT_EQ(after, shards);
            moved++;
        }
        double share = static_cast<double>(kKeys) / (shards + 1);
        EXPECT_NEAR(static_cast<double>(moved), share, 5 * std::sqrt(share)) << shards;
    }
}

TEST(KeyDeathTest, NoShardIsNone) {
    EXPECT_DEATH(tina_key_to_shard(0, "key", 3), "shard_count > 0");
}

} // namespace
