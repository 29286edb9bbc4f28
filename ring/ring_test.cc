// SPDX-License-Identifier: Apache-2.0

#include "ring/ring.h"

#include "core/prng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

// A ring with slots of its own, of exactly the stated size, so that ASan sees a step beyond it.
struct Ring {
    Ring(uint32_t capacity, uint32_t item_bytes, uint64_t counter_start = 0)
        : slots(new uint64_t[size_t{capacity} * item_bytes / 8]) {
        tina_ring_init(&ring, slots.get(), capacity, item_bytes, counter_start);
    }

    uint64_t *Claim(uint32_t *count) {
        return static_cast<uint64_t *>(tina_ring_claim(&ring, count));
    }

    uint64_t *Peek(uint32_t *count) {
        return static_cast<uint64_t *>(tina_ring_peek(&ring, count));
    }

    bool Push(uint64_t value) {
        uint32_t count = 1;
        uint64_t *slot = Claim(&count);
        if (slot == nullptr) {
            return false;
        }
        *slot = value;
        tina_ring_publish(&ring, 1);
        return true;
    }

    bool Pop(uint64_t *value) {
        uint32_t count = 1;
        const uint64_t *slot = Peek(&count);
        if (slot == nullptr) {
            return false;
        }
        *value = *slot;
        tina_ring_consume(&ring, 1);
        return true;
    }

    tina_ring ring;
    std::unique_ptr<uint64_t[]> slots;
};

uint64_t TestSeed() {
    const char *text = getenv("TINA_SEED");
    uint64_t seed =
        text != nullptr ? strtoull(text, nullptr, 0) : static_cast<uint64_t>(time(nullptr));
    printf("TINA_SEED=%" PRIu64 "\n", seed);
    return seed;
}

} // namespace

TEST(Ring, ClaimReturnsNullWhenFullAndTheSlotAfterAConsume) {
    Ring r(4, 8);
    for (uint64_t i = 0; i < 4; i++) {
        ASSERT_TRUE(r.Push(i));
    }
    uint32_t count = 3;
    EXPECT_EQ(r.Claim(&count), nullptr);
    EXPECT_EQ(count, 0u);
    uint64_t value;
    ASSERT_TRUE(r.Pop(&value));
    EXPECT_EQ(value, 0u);
    count = 3;
    EXPECT_EQ(r.Claim(&count), &r.slots[0]);
    EXPECT_EQ(count, 1u);
}

TEST(Ring, PeekReturnsNullWhenEmptyAndForWhatIsNotPublished) {
    Ring r(4, 8);
    uint32_t count = 1;
    EXPECT_EQ(r.Peek(&count), nullptr);
    EXPECT_EQ(count, 0u);
    count = 2;
    ASSERT_NE(r.Claim(&count), nullptr);
    count = 1;
    EXPECT_EQ(r.Peek(&count), nullptr);
    EXPECT_EQ(tina_ring_readable(&r.ring), 0u);
}

TEST(Ring, CapacityOneAlternates) {
    Ring r(1, 8);
    for (uint64_t i = 0; i < 5; i++) {
        ASSERT_TRUE(r.Push(i));
        ASSERT_FALSE(r.Push(99));
        uint64_t value;
        ASSERT_TRUE(r.Pop(&value));
        ASSERT_EQ(value, i);
        ASSERT_FALSE(r.Pop(&value));
    }
}

TEST(Ring, ARunEndsAtTheEndOfTheMemoryAndTheNextContinuesAtItsStart) {
    Ring r(8, 16, 6);
    uint32_t count = 5;
    uint64_t *run = r.Claim(&count);
    ASSERT_EQ(run, &r.slots[6 * 2]);
    ASSERT_EQ(count, 2u);
    run[0] = 10;
    run[2] = 11;
    count = 3;
    run = r.Claim(&count);
    ASSERT_EQ(run, &r.slots[0]);
    ASSERT_EQ(count, 3u);
    run[0] = 12;
    run[2] = 13;
    run[4] = 14;
    ASSERT_EQ(tina_ring_claimed(&r.ring), 5u);
    tina_ring_publish(&r.ring, 5);

    ASSERT_EQ(tina_ring_readable(&r.ring), 5u);
    count = 5;
    const uint64_t *items = r.Peek(&count);
    ASSERT_EQ(items, &r.slots[6 * 2]);
    ASSERT_EQ(count, 2u);
    EXPECT_EQ(items[0], 10u);
    EXPECT_EQ(items[2], 11u);
    tina_ring_consume(&r.ring, 2);
    count = 5;
    items = r.Peek(&count);
    ASSERT_EQ(items, &r.slots[0]);
    ASSERT_EQ(count, 3u);
    EXPECT_EQ(items[4], 14u);
}

TEST(Ring, PublishGivesBackWhatWasClaimedBeyondItsCount) {
    Ring r(4, 8);
    uint32_t count = 4;
    uint64_t *run = r.Claim(&count);
    ASSERT_EQ(count, 4u);
    run[0] = 7;
    tina_ring_publish(&r.ring, 1);
    EXPECT_EQ(tina_ring_claimed(&r.ring), 0u);
    EXPECT_EQ(tina_ring_readable(&r.ring), 1u);
    count = 4;
    EXPECT_EQ(r.Claim(&count), run + 1);
    EXPECT_EQ(count, 3u);
    tina_ring_publish(&r.ring, 0);
    count = 4;
    EXPECT_EQ(r.Claim(&count), run + 1);
    EXPECT_EQ(tina_ring_readable(&r.ring), 1u);
}

TEST(Ring, AnEndLooksAgainOnlyWhenItsLastLookIsUsedUp) {
    Ring r(4, 8);
    ASSERT_TRUE(r.Push(1));
    uint32_t count = 4;
    ASSERT_NE(r.Peek(&count), nullptr);
    ASSERT_EQ(count, 1u);
    ASSERT_TRUE(r.Push(2));
    count = 4;
    ASSERT_NE(r.Peek(&count), nullptr);
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(tina_ring_readable(&r.ring), 2u);
    count = 4;
    ASSERT_NE(r.Peek(&count), nullptr);
    EXPECT_EQ(count, 2u);
}

TEST(Ring, RoomIsWhatTheConsumerHasLeft) {
    alignas(8) unsigned char slots[4 * 8];
    tina_ring ring;
    tina_ring_init(&ring, slots, 4, 8, UINT64_MAX - 1);
    EXPECT_EQ(tina_ring_room(&ring), 4u);
    uint32_t count = 2;
    ASSERT_NE(tina_ring_claim(&ring, &count), nullptr);
    EXPECT_EQ(tina_ring_room(&ring), 4 - count);
    tina_ring_publish(&ring, count);
    EXPECT_EQ(tina_ring_room(&ring), 4 - count);
    ASSERT_EQ(tina_ring_readable(&ring), count);
    tina_ring_consume(&ring, count);
    EXPECT_EQ(tina_ring_room(&ring), 4u);
}

TEST(Ring, CountersWrapAt2To64) {
    for (uint64_t before = 0; before <= 9; before++) {
        Ring r(4, 8, UINT64_MAX - before);
        for (uint64_t i = 0; i < 20; i += 4) {
            for (uint64_t j = 0; j < 4; j++) {
                ASSERT_TRUE(r.Push(i + j));
            }
            ASSERT_FALSE(r.Push(99));
            ASSERT_EQ(tina_ring_readable(&r.ring), 4u);
            for (uint64_t j = 0; j < 4; j++) {
                uint64_t value;
                ASSERT_TRUE(r.Pop(&value));
                ASSERT_EQ(value, i + j);
            }
            uint64_t value;
            ASSERT_FALSE(r.Pop(&value));
        }
    }
}

// Random operations against a deque. The model knows how many items the consumer was last shown, as
// consuming more than those is a programmer's error.
TEST(Ring, DoesWhatADequeDoes) {
    uint64_t seed = TestSeed();
    for (uint64_t round = 0; round < 300; round++) {
        tina_prng prng = tina_prng_make(seed, 0, round);
        uint32_t capacity = 1u << tina_prng_below(&prng, 6);
        uint32_t words = 1 + static_cast<uint32_t>(tina_prng_below(&prng, 20));
        Ring r(capacity, words * 8, UINT64_MAX - tina_prng_below(&prng, 200));
        std::deque<uint64_t> published;
        uint64_t claimed = 0;
        uint64_t next = round << 32;
        uint32_t shown = 0;
        for (int step = 0; step < 400; step++) {
            SCOPED_TRACE("round " + std::to_string(round) + " step " + std::to_string(step));
            uint32_t wanted = 1 + static_cast<uint32_t>(tina_prng_below(&prng, capacity + 2));
            uint32_t count = wanted;
            switch (tina_prng_below(&prng, 5)) {
            case 0: {
                uint64_t *run = r.Claim(&count);
                uint64_t room = capacity - published.size() - claimed;
                ASSERT_EQ(run == nullptr, count == 0);
                ASSERT_LE(count, wanted);
                ASSERT_LE(count, room);
                ASSERT_EQ(count == 0, room == 0);
                for (uint32_t i = 0; i < count; i++) {
                    for (uint32_t word = 0; word < words; word++) {
                        run[i * words + word] = next + claimed + i + word;
                    }
                }
                claimed += count;
                ASSERT_EQ(tina_ring_claimed(&r.ring), claimed);
                break;
            }
            case 1: {
                uint64_t shown_now = tina_prng_below(&prng, claimed + 1);
                tina_ring_publish(&r.ring, static_cast<uint32_t>(shown_now));
                for (uint64_t i = 0; i < shown_now; i++) {
                    published.push_back(next++);
                }
                claimed = 0;
                break;
            }
            case 2:
                shown = tina_ring_readable(&r.ring);
                ASSERT_EQ(shown, published.size());
                break;
            case 3: {
                const uint64_t *run = r.Peek(&count);
                if (shown == 0) {
                    shown = static_cast<uint32_t>(published.size());
                }
                ASSERT_EQ(run == nullptr, count == 0);
                ASSERT_LE(count, std::min(wanted, shown));
                ASSERT_EQ(count == 0, published.empty());
                for (uint32_t i = 0; i < count; i++) {
                    for (uint32_t word = 0; word < words; word++) {
                        ASSERT_EQ(run[i * words + word], published[i] + word);
                    }
                }
                break;
            }
            default: {
                uint32_t used = static_cast<uint32_t>(tina_prng_below(&prng, shown + 1));
                tina_ring_consume(&r.ring, used);
                shown -= used;
                published.erase(published.begin(), published.begin() + used);
                break;
            }
            }
        }
    }
}

TEST(Ring, CarriesEveryItemOnceAndInOrderBetweenThreads) {
    constexpr uint64_t kItems = 100000;
    constexpr uint32_t kWords = 16;
    uint64_t seed = TestSeed();
    Ring r(64, kWords * 8, UINT64_MAX - kItems / 2);

    std::thread producer([&] {
        tina_prng prng = tina_prng_make(seed, 1, 0);
        for (uint64_t sent = 0; sent < kItems;) {
            uint64_t wanted = std::min(kItems - sent, 1 + tina_prng_below(&prng, 40));
            uint32_t count = static_cast<uint32_t>(wanted);
            uint64_t *run = r.Claim(&count);
            for (uint32_t i = 0; i < count * kWords; i++) {
                run[i] = sent * kWords + i;
            }
            sent += count;
            if (run == nullptr || sent == kItems || tina_prng_chance(&prng, 1, 3)) {
                tina_ring_publish(&r.ring, tina_ring_claimed(&r.ring));
            }
            if (run == nullptr) {
                std::this_thread::yield();
            }
        }
    });

    tina_prng prng = tina_prng_make(seed, 2, 0);
    uint64_t wrong = 0;
    for (uint64_t received = 0; received < kItems;) {
        uint32_t count = 1 + static_cast<uint32_t>(tina_prng_below(&prng, 40));
        uint64_t *run = r.Peek(&count);
        if (run == nullptr) {
            std::this_thread::yield();
            continue;
        }
        for (uint32_t i = 0; i < count * kWords; i++) {
            wrong += run[i] != received * kWords + i;
            run[i] = 0; // the item is ours until it is consumed
        }
        received += count;
        tina_ring_consume(&r.ring, count);
    }
    producer.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(tina_ring_readable(&r.ring), 0u);
}

TEST(RingDeathTest, RefusesMisuse) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Ring r(4, 8);
    uint32_t count = 0;
    EXPECT_DEATH(tina_ring_claim(&r.ring, &count), "count > 0");
    EXPECT_DEATH(tina_ring_peek(&r.ring, &count), "count > 0");
    EXPECT_DEATH(tina_ring_publish(&r.ring, 1), "count <= ");
    EXPECT_DEATH(tina_ring_consume(&r.ring, 1), "count <= ");
    count = 2;
    ASSERT_NE(tina_ring_claim(&r.ring, &count), nullptr);
    EXPECT_DEATH(tina_ring_publish(&r.ring, 3), "count <= ");
    tina_ring_publish(&r.ring, 2);
    // Published, but not shown to the consumer yet.
    EXPECT_DEATH(tina_ring_consume(&r.ring, 1), "count <= ");
    ASSERT_EQ(tina_ring_readable(&r.ring), 2u);
    EXPECT_DEATH(tina_ring_consume(&r.ring, 3), "count <= ");
    EXPECT_DEATH(tina_ring_consume(&r.ring, UINT32_MAX), "count <= ");
}

TEST(RingDeathTest, InitRefusesWhatCannotWork) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    tina_ring ring;
    alignas(8) unsigned char slots[64];
    EXPECT_DEATH(tina_ring_init(&ring, nullptr, 2, 8, 0), "slots != ");
    EXPECT_DEATH(tina_ring_init(&ring, slots + 4, 2, 8, 0), "slots % 8");
    EXPECT_DEATH(tina_ring_init(&ring, slots, 0, 8, 0), "power_of_two");
    EXPECT_DEATH(tina_ring_init(&ring, slots, 3, 8, 0), "power_of_two");
    EXPECT_DEATH(tina_ring_init(&ring, slots, 2, 0, 0), "item_bytes > 0");
    EXPECT_DEATH(tina_ring_init(&ring, slots, 2, 12, 0), "item_bytes % 8");
}

// A producer whose counter was overwritten would otherwise write into unread items.
TEST(RingDeathTest, ACounterThatCannotBeIsFatal) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Ring r(2, 8);
    tina_atomic_u64_store_relaxed(&r.ring.tail, 3);
    EXPECT_DEATH(tina_ring_readable(&r.ring), "readable <= ");
    ASSERT_TRUE(r.Push(1));
    ASSERT_TRUE(r.Push(2));
    tina_atomic_u64_store_relaxed(&r.ring.head, 3);
    uint32_t count = 1;
    EXPECT_DEATH(tina_ring_claim(&r.ring, &count), "room <= ");
}
