// SPDX-License-Identifier: Apache-2.0

#include "ring/sleeper.h"

#include "ring/ring.h"

#include <gtest/gtest.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

TEST(Sleeper, OneBringerWakesOncePerAnnouncement) {
    tina_sleeper sleeper;
    tina_sleeper_init(&sleeper);
    EXPECT_FALSE(tina_sleeper_must_wake(&sleeper));
    tina_sleeper_announce(&sleeper);
    EXPECT_TRUE(tina_sleeper_must_wake(&sleeper));
    EXPECT_FALSE(tina_sleeper_must_wake(&sleeper));
    tina_sleeper_announce(&sleeper);
    tina_sleeper_awake(&sleeper);
    EXPECT_FALSE(tina_sleeper_must_wake(&sleeper));
}

// Hangs, and so fails by its time limit, if a wake is lost.
TEST(Sleeper, LosesNoWakeBetweenThreads) {
    constexpr uint64_t kItems = 20000;
    static tina_ring ring;
    static tina_sleeper sleeper;
    static uint64_t slots[4];
    tina_ring_init(&ring, slots, 4, sizeof slots[0], 0);
    tina_sleeper_init(&sleeper);
    int wake_fd = eventfd(0, 0);
    ASSERT_GE(wake_fd, 0);

    uint64_t wakes = 0;
    std::thread producer([&] {
        for (uint64_t sent = 0; sent < kItems;) {
            uint32_t count = 1;
            auto *slot = static_cast<uint64_t *>(tina_ring_claim(&ring, &count));
            if (slot == nullptr) {
                std::this_thread::yield();
                continue;
            }
            *slot = sent++;
            tina_ring_publish(&ring, 1);
            if (tina_sleeper_must_wake(&sleeper)) {
                uint64_t one = 1;
                wakes += write(wake_fd, &one, sizeof one) == sizeof one;
            }
        }
    });

    uint64_t wrong = 0;
    for (uint64_t received = 0; received < kItems;) {
        if (tina_ring_readable(&ring) == 0) {
            tina_sleeper_announce(&sleeper);
            if (tina_ring_readable(&ring) == 0) {
                uint64_t wakes_read;
                ASSERT_EQ(read(wake_fd, &wakes_read, sizeof wakes_read),
                          static_cast<ssize_t>(sizeof wakes_read));
            }
            tina_sleeper_awake(&sleeper);
            continue;
        }
        uint32_t count = 4;
        auto *items = static_cast<const uint64_t *>(tina_ring_peek(&ring, &count));
        for (uint32_t i = 0; i < count; i++) {
            wrong += items[i] != received + i;
        }
        received += count;
        tina_ring_consume(&ring, count);
    }
    producer.join();
    close(wake_fd);
    EXPECT_EQ(wrong, 0u);
    printf("%lu items, %lu wakes\n", static_cast<unsigned long>(kItems),
           static_cast<unsigned long>(wakes));
}
