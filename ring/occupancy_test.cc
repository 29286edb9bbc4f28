// SPDX-License-Identifier: Apache-2.0

#include "ring/occupancy.h"

#include "ring/ring.h"

#include <gtest/gtest.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

TEST(Occupancy, TakesWhatWasMarkedOnce) {
    tina_occupancy occupancy;
    tina_occupancy_init(&occupancy, 255);
    EXPECT_EQ(occupancy.word_count, 4u);
    EXPECT_FALSE(tina_occupancy_is_marked(&occupancy));
    for (uint32_t number : {0u, 63u, 64u, 200u, 254u, 200u})
        EXPECT_FALSE(tina_occupancy_mark(&occupancy, number));
    EXPECT_TRUE(tina_occupancy_is_marked(&occupancy));
    EXPECT_EQ(tina_occupancy_take(&occupancy, 0), UINT64_C(1) << 63 | 1);
    EXPECT_EQ(tina_occupancy_take(&occupancy, 0), 0u);
    EXPECT_EQ(tina_occupancy_take(&occupancy, 1), 1u);
    EXPECT_EQ(tina_occupancy_take(&occupancy, 2), 0u);
    EXPECT_EQ(tina_occupancy_take(&occupancy, 3), UINT64_C(1) << 8 | UINT64_C(1) << 62);
    EXPECT_FALSE(tina_occupancy_is_marked(&occupancy));
}

TEST(Occupancy, OnlyTheFirstMarkOfAllWakesASleeper) {
    tina_occupancy occupancy;
    tina_occupancy_init(&occupancy, 9);
    tina_sleeper_announce(&occupancy.sleeper);
    EXPECT_TRUE(tina_occupancy_mark(&occupancy, 8));
    EXPECT_FALSE(tina_occupancy_mark(&occupancy, 8));
    EXPECT_FALSE(tina_occupancy_mark(&occupancy, 3));
    tina_sleeper_awake(&occupancy.sleeper);
    EXPECT_EQ(tina_occupancy_take(&occupancy, 0), 1u << 8 | 1u << 3);
    EXPECT_FALSE(tina_occupancy_mark(&occupancy, 8));
    tina_sleeper_announce(&occupancy.sleeper);
    // The reader that did not look would sleep over it: its bit stands.
    EXPECT_FALSE(tina_occupancy_mark(&occupancy, 8));
    EXPECT_TRUE(tina_occupancy_is_marked(&occupancy));
}

TEST(OccupancyDeathTest, HasRoomForSoMany) {
    tina_occupancy occupancy;
    EXPECT_DEATH(tina_occupancy_init(&occupancy, 257), "count <= TINA_OCCUPANCY_MAX");
}

// Hangs, and so fails by its time limit, if a wake or a mark is lost.
TEST(Occupancy, LosesNothingBetweenThreads) {
    constexpr uint32_t kBringers = 3;
    constexpr uint32_t kNumbers[kBringers] = {2, 63, 65}; // two words
    constexpr uint64_t kItems = 10000;
    static tina_occupancy occupancy;
    static tina_ring rings[kBringers];
    static uint64_t slots[kBringers][4];
    tina_occupancy_init(&occupancy, 66);
    for (uint32_t i = 0; i < kBringers; i++)
        tina_ring_init(&rings[i], slots[i], 4, sizeof slots[0][0], 0);
    int wake_fd = eventfd(0, 0);
    ASSERT_GE(wake_fd, 0);

    uint64_t wakes[kBringers] = {};
    std::vector<std::thread> bringers;
    for (uint32_t i = 0; i < kBringers; i++)
        bringers.emplace_back([&, i] {
            for (uint64_t sent = 0; sent < kItems;) {
                uint32_t count = 1;
                auto *slot = static_cast<uint64_t *>(tina_ring_claim(&rings[i], &count));
                if (slot == nullptr) {
                    std::this_thread::yield();
                    continue;
                }
                *slot = sent++;
                tina_ring_publish(&rings[i], 1);
                if (tina_occupancy_mark(&occupancy, kNumbers[i])) {
                    uint64_t one = 1;
                    wakes[i] += write(wake_fd, &one, sizeof one) == sizeof one;
                }
            }
        });

    uint64_t received[kBringers] = {};
    uint64_t sum = 0;
    uint64_t wrong = 0;
    uint64_t idle_looks = 0;
    while (sum < kBringers * kItems) {
        uint64_t before = sum;
        uint64_t taken[2] = {tina_occupancy_take(&occupancy, 0),
                             tina_occupancy_take(&occupancy, 1)};
        for (uint32_t i = 0; i < kBringers; i++) {
            if (!(taken[kNumbers[i] / 64] >> kNumbers[i] % 64 & 1))
                continue;
            uint32_t left = tina_ring_readable(&rings[i]);
            idle_looks += left == 0;
            while (left > 0) {
                uint32_t count = left;
                auto *items = static_cast<const uint64_t *>(tina_ring_peek(&rings[i], &count));
                for (uint32_t j = 0; j < count; j++)
                    wrong += items[j] != received[i]++;
                tina_ring_consume(&rings[i], count);
                sum += count;
                left -= count;
            }
        }
        if (sum != before)
            continue;
        tina_sleeper_announce(&occupancy.sleeper);
        if (!tina_occupancy_is_marked(&occupancy)) {
            uint64_t wakes_read;
            ASSERT_EQ(read(wake_fd, &wakes_read, sizeof wakes_read),
                      static_cast<ssize_t>(sizeof wakes_read));
        }
        tina_sleeper_awake(&occupancy.sleeper);
    }
    for (std::thread &each : bringers)
        each.join();
    close(wake_fd);
    EXPECT_EQ(wrong, 0u);
    printf("%lu items, %lu wakes, %lu looks that found nothing\n", static_cast<unsigned long>(sum),
           static_cast<unsigned long>(wakes[0] + wakes[1] + wakes[2]),
           static_cast<unsigned long>(idle_looks));
}
