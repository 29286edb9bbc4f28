// SPDX-License-Identifier: Apache-2.0

#include "arena/pool.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <iterator>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "arena/poison.h"
#include "core/handle.h"
#include "core/prng.h"

namespace {

// What the pool is given: aligned, and of such content that nobody can rely on it.
struct Memory {
    explicit Memory(size_t size) : bytes(size) {
        data = bytes == 0 ? nullptr : aligned_alloc(128, (bytes + 127) / 128 * 128);
        if (data != nullptr)
            memset(data, 0xAA, bytes);
    }
    ~Memory() {
        tina_unpoison(data, bytes);
        free(data);
    }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;
    void *data;
    size_t bytes;
};

struct Pool : tina_pool {
    explicit Pool(const tina_pool_config &config)
        : metadata(tina_pool_metadata_bytes(&config)), memory(tina_pool_slots_bytes(&config)) {
        tina_pool_init(this, &config, metadata.data, memory.data);
    }
    Memory metadata;
    Memory memory;
};

tina_pool_config config_of(uint32_t slot_count, uint32_t slot_bytes) {
    tina_pool_config config = {};
    config.slot_count = slot_count;
    config.slot_bytes = slot_bytes;
    return config;
}

tina_pool_ref take(tina_pool *pool) {
    tina_pool_ref ref = {};
    EXPECT_EQ(tina_pool_take(pool, &ref), TINA_POOL_OK);
    return ref;
}

tina_pool_result take_result(tina_pool *pool) {
    tina_pool_ref ref;
    return tina_pool_take(pool, &ref);
}

// As if the slot, which is live, had lived so often.
void age(tina_pool *pool, tina_pool_ref *ref, uint32_t generation) {
    pool->entries[ref->slot].generation = ref->generation = generation;
}

} // namespace

TEST(Pool, TakesEverySlotOnceAndIsThenFull) {
    Pool pool(config_of(100, 24));
    std::set<void *> places;
    for (uint32_t i = 0; i < 100; i++) {
        tina_pool_ref ref = take(&pool);
        EXPECT_EQ(ref.slot, i) << "never taken ones come lowest first";
        EXPECT_EQ(ref.generation, 1u);
        places.insert(tina_pool_at(&pool, ref));
    }
    EXPECT_EQ(places.size(), 100u);
    EXPECT_EQ(places.count(nullptr), 0u);
    EXPECT_EQ(take_result(&pool), TINA_POOL_FULL);
    EXPECT_EQ(take_result(&pool), TINA_POOL_FULL);
    EXPECT_EQ(pool.refused, 2u);
    EXPECT_EQ(pool.live, 100u);
    tina_pool_give_slot(&pool, 50);
    EXPECT_EQ(take(&pool).slot, 50u);
    tina_pool_verify(&pool);
}

TEST(Pool, LastGivenIsTakenFirst) {
    Pool pool(config_of(10, 24));
    tina_pool_ref a = take(&pool), b = take(&pool), c = take(&pool);
    tina_pool_give(&pool, a);
    tina_pool_give(&pool, c);
    tina_pool_give(&pool, b);
    EXPECT_EQ(take(&pool).slot, b.slot);
    EXPECT_EQ(take(&pool).slot, c.slot);
    EXPECT_EQ(take(&pool).slot, a.slot);
    EXPECT_EQ(take(&pool).slot, 3u);
}

TEST(Pool, TakeGivenFindsWhatWasGivenAndNothingElse) {
    Pool pool(config_of(2, 24));
    EXPECT_EQ(tina_pool_take_given(&pool), TINA_POOL_END) << "none was given, though two are free";
    EXPECT_EQ(pool.live, 0u);
    tina_pool_ref first = take(&pool);
    tina_pool_give(&pool, first);
    EXPECT_EQ(tina_pool_take_given(&pool), first.slot);
    EXPECT_TRUE(tina_pool_is_live(&pool, first.slot));
    EXPECT_EQ(tina_pool_generation(&pool, first.slot), first.generation + 1);
    EXPECT_FALSE(tina_pool_holds(&pool, first));
    EXPECT_EQ(tina_pool_take_given(&pool), TINA_POOL_END);
    EXPECT_EQ(pool.refused, 0u) << "nobody has looked further";
    EXPECT_EQ(take(&pool).slot, 1u);
    EXPECT_EQ(take_result(&pool), TINA_POOL_FULL);
    tina_pool_verify(&pool);
}

TEST(Pool, RefIsStaleFromItsGiveOn) {
    Pool pool(config_of(4, 24));
    tina_pool_ref old = take(&pool);
    EXPECT_TRUE(tina_pool_holds(&pool, old));
    tina_pool_give(&pool, old);
    EXPECT_EQ(tina_pool_at(&pool, old), nullptr);
    tina_pool_ref young = take(&pool);
    EXPECT_EQ(young.slot, old.slot);
    EXPECT_EQ(tina_pool_at(&pool, old), nullptr);
    EXPECT_NE(tina_pool_at(&pool, young), nullptr);
}

TEST(Pool, MadeUpRefsAreStale) {
    Pool pool(config_of(4, 24));
    EXPECT_EQ(tina_pool_at(&pool, {0, 0}), nullptr);
    EXPECT_EQ(tina_pool_at(&pool, {0, 0xAAAAAAAA}), nullptr) << "matches uninitialised metadata";
    tina_pool_ref ref = take(&pool);
    tina_pool_give(&pool, ref);
    EXPECT_EQ(tina_pool_at(&pool, {0, 2}), nullptr) << "the next life has not begun";
    EXPECT_EQ(tina_pool_at(&pool, {0, 0}), nullptr);
    EXPECT_EQ(tina_pool_at(&pool, {1, 1}), nullptr);
    EXPECT_EQ(tina_pool_at(&pool, {4, 1}), nullptr);
    EXPECT_EQ(tina_pool_at(&pool, {UINT32_MAX, 1}), nullptr);
}

TEST(Pool, SlotsAreFoundByTheirMemory) {
    Pool pool(config_of(5, 40));
    for (uint32_t i = 0; i < 5; i++) {
        tina_pool_ref ref = take(&pool);
        EXPECT_EQ(tina_pool_slot_of(&pool, tina_pool_at(&pool, ref)), i);
        EXPECT_EQ(tina_pool_slot(&pool, i), tina_pool_at(&pool, ref));
    }
}

TEST(Pool, StrideFollowsSizeRedZoneAndAlignment) {
    tina_pool_config config = config_of(10, 40);
    EXPECT_EQ(tina_pool_slots_bytes(&config), 10u * 48);
    EXPECT_EQ(tina_pool_metadata_bytes(&config), 10u * 8);
    config.red_zone_bytes = 9;
    EXPECT_EQ(tina_pool_slots_bytes(&config), 10u * 64);
    config.alignment = 128;
    EXPECT_EQ(tina_pool_slots_bytes(&config), 10u * 128);
    config = config_of(TINA_POOL_SLOT_COUNT_MAX, 1u << 31);
    EXPECT_EQ(tina_pool_slots_bytes(&config), size_t{1} << 62);
}

TEST(Pool, OfNumbersHasNoSlots) {
    tina_pool_config config = config_of(3, 0);
    config.red_zone_bytes = 64;
    EXPECT_EQ(tina_pool_slots_bytes(&config), 0u);
    Pool pool(config);
    tina_pool_ref a = take(&pool), b = take(&pool);
    EXPECT_TRUE(tina_pool_holds(&pool, a));
    tina_pool_give(&pool, a);
    EXPECT_FALSE(tina_pool_holds(&pool, a));
    EXPECT_EQ(take(&pool).generation, 2u);
    tina_pool_reset(&pool, nullptr);
    EXPECT_FALSE(tina_pool_holds(&pool, b));
    tina_pool_verify(&pool);
}

TEST(Pool, OneSlotWearsOutAtItsGenerationLimit) {
    for (uint32_t bits : {1u, 3u, 10u}) {
        tina_pool_config config = config_of(1, 24);
        config.generation_bits = bits;
        Pool pool(config);
        for (uint32_t generation = 1; generation < 1u << bits; generation++) {
            tina_pool_ref ref = take(&pool);
            EXPECT_EQ(ref.generation, generation);
            EXPECT_EQ(take_result(&pool), TINA_POOL_FULL);
            tina_pool_give(&pool, ref);
        }
        EXPECT_EQ(pool.retired, 1u);
        EXPECT_EQ(take_result(&pool), TINA_POOL_WORN_OUT);
        EXPECT_EQ(tina_pool_at(&pool, {0, (1u << bits) - 1}), nullptr) << "its last life is over";
        tina_pool_verify(&pool);
    }
}

TEST(Pool, GenerationsOf28And32BitsRetireAndNeverWrap) {
    for (uint32_t bits : {0u, 28u, 32u}) {
        tina_pool_config config = config_of(2, 24);
        config.generation_bits = bits;
        Pool pool(config);
        uint32_t last = bits == 32 ? UINT32_MAX : TINA_GENERATION_MAX;
        tina_pool_ref worn = take(&pool), other = take(&pool);
        age(&pool, &worn, last - 1);
        tina_pool_give(&pool, worn);
        worn = take(&pool);
        EXPECT_EQ(worn.generation, last);
        tina_pool_give(&pool, worn);
        EXPECT_EQ(pool.retired, 1u);
        EXPECT_FALSE(tina_pool_holds(&pool, worn));
        EXPECT_EQ(take_result(&pool), TINA_POOL_FULL) << "the other one may still be given";
        tina_pool_give(&pool, other);
        EXPECT_EQ(take(&pool).slot, other.slot);
        tina_pool_verify(&pool);
    }
}

TEST(Pool, ASlotRotatesToTheBackOnEvery2To20thLife) {
    Pool pool(config_of(3, 0));
    tina_pool_ref ref;
    for (uint32_t life = 1; life < 1u << 20; life++) {
        ref = take(&pool);
        ASSERT_EQ(ref.slot, 0u);
        tina_pool_give(&pool, ref);
    }
    EXPECT_EQ(ref.generation, (1u << 20) - 1);
    ref = take(&pool);
    EXPECT_EQ(ref.slot, 1u) << "one never taken before the one that rotated";
    age(&pool, &ref, (1u << 20) - 1);
    tina_pool_give(&pool, ref);
    ref = take(&pool);
    EXPECT_EQ(ref.slot, 2u);
    age(&pool, &ref, (1u << 20) - 1);
    tina_pool_give(&pool, ref);
    tina_pool_verify(&pool);

    // All three are at the back: first come, first served, each for as long again.
    ref = take(&pool);
    EXPECT_EQ(ref.slot, 0u);
    EXPECT_EQ(ref.generation, 1u << 20);
    tina_pool_give(&pool, ref);
    EXPECT_EQ(take(&pool).slot, 0u);
    EXPECT_EQ(take(&pool).slot, 1u);
    EXPECT_EQ(take(&pool).slot, 2u);
    EXPECT_EQ(take_result(&pool), TINA_POOL_FULL);
    tina_pool_verify(&pool);
}

TEST(Pool, OneThatWrapsBeginsAgainAndIsNeverWornOut) {
    for (uint32_t bits : {1u, 3u}) {
        tina_pool_config config = config_of(1, 24);
        config.generation_bits = bits;
        config.wraps = true;
        Pool pool(config);
        uint32_t last = (1u << bits) - 1;
        for (uint32_t life = 0; life < 100; life++) {
            tina_pool_ref ref = take(&pool);
            EXPECT_EQ(ref.generation, life % last + 1);
            tina_pool_give(&pool, ref);
            EXPECT_FALSE(tina_pool_holds(&pool, ref));
            tina_pool_verify(&pool);
        }
        EXPECT_EQ(pool.retired, 0u);
    }
}

TEST(Pool, ResetMakesEveryRefStaleAndKeepsGenerations) {
    tina_pool_config config = config_of(4, 24);
    config.generation_bits = 2;
    Pool pool(config);
    tina_pool_ref a = take(&pool), b = take(&pool), c = take(&pool);
    tina_pool_give(&pool, b);
    age(&pool, &c, 3);
    tina_pool_reset(&pool, pool.memory.data);
    tina_pool_verify(&pool);
    for (tina_pool_ref ref : {a, b, c})
        EXPECT_EQ(tina_pool_at(&pool, ref), nullptr);
    EXPECT_EQ(pool.live, 0u);
    EXPECT_EQ(pool.retired, 1u) << "c was in its last life";
    tina_pool_ref again = take(&pool);
    EXPECT_EQ(again.slot, 0u);
    EXPECT_EQ(again.generation, 2u);
    EXPECT_EQ(take(&pool).slot, 1u);
    EXPECT_EQ(take(&pool).slot, 3u);
    EXPECT_EQ(take_result(&pool), TINA_POOL_FULL);
}

TEST(Pool, ResetMovesToNewMemoryOfAnyContentAndLeavesTheOldAlone) {
    tina_pool_config config = config_of(8, 40);
    config.red_zone_bytes = 64;
    Pool pool(config);
    tina_pool_ref kept = take(&pool), given = take(&pool);
    tina_pool_give(&pool, given);

    // The old memory belongs to somebody else already.
    tina_unpoison(pool.memory.data, pool.memory.bytes);
    memset(pool.memory.data, 0x11, pool.memory.bytes);
    Memory rebuilt(tina_pool_slots_bytes(&config));
    tina_pool_reset(&pool, rebuilt.data);
    for (size_t i = 0; i < pool.memory.bytes; i++)
        ASSERT_EQ(static_cast<uint8_t *>(pool.memory.data)[i], 0x11);

    tina_pool_verify(&pool);
    EXPECT_EQ(tina_pool_at(&pool, kept), nullptr);
    for (int i = 0; i < 8; i++)
        memset(tina_pool_at(&pool, take(&pool)), i, 40);
    tina_pool_verify(&pool);
    for (uint32_t slot = 0; slot < 8; slot++)
        tina_pool_give_slot(&pool, slot);
}

TEST(Pool, RedZonesShowWritesOnEitherSide) {
    tina_pool_config config = config_of(3, 40);
    config.red_zone_bytes = 16;
    Pool pool(config);
    tina_pool_ref a = take(&pool), b = take(&pool), c = take(&pool);
    EXPECT_TRUE(tina_pool_intact(&pool, b.slot));
    uint8_t *memory = static_cast<uint8_t *>(tina_pool_at(&pool, b));
    tina_unpoison(memory - 8, 56);
    memory[40] = 1;
    EXPECT_FALSE(tina_pool_intact(&pool, b.slot));
    EXPECT_FALSE(tina_pool_intact(&pool, c.slot));
    EXPECT_TRUE(tina_pool_intact(&pool, a.slot));
    memory[40] = memory[41];
    EXPECT_TRUE(tina_pool_intact(&pool, b.slot));
    memory[-1] = 1;
    EXPECT_FALSE(tina_pool_intact(&pool, b.slot));
    EXPECT_FALSE(tina_pool_intact(&pool, a.slot));
}

TEST(Pool, IntactSeesBrokenMetadata) {
    Pool pool(config_of(3, 40));
    tina_pool_ref ref = take(&pool);
    tina_pool_entry *entry = &pool.entries[ref.slot];
    entry->link = 2; // a slot that was never taken
    EXPECT_FALSE(tina_pool_intact(&pool, ref.slot));
    entry->link = TINA_POOL_LIVE;
    entry->generation = 0;
    EXPECT_FALSE(tina_pool_intact(&pool, ref.slot));
    entry->generation = TINA_GENERATION_MAX + 1;
    EXPECT_FALSE(tina_pool_intact(&pool, ref.slot));
    entry->generation = 1;
    EXPECT_TRUE(tina_pool_intact(&pool, ref.slot));
}

TEST(PoolDeathTest, GivingTwiceIsAnError) {
    Pool pool(config_of(4, 24));
    tina_pool_ref a = take(&pool);
    tina_pool_give(&pool, a);
    EXPECT_DEATH(tina_pool_give(&pool, a), "tina_pool_holds");
    EXPECT_DEATH(tina_pool_give_slot(&pool, a.slot), "TINA_POOL_LIVE");
    ASSERT_EQ(take(&pool).slot, a.slot);
    EXPECT_DEATH(tina_pool_give(&pool, a), "tina_pool_holds") << "another's life by now";
}

TEST(PoolDeathTest, GivingAWornSlotAgainIsAnError) {
    tina_pool_config config = config_of(1, 24);
    config.generation_bits = 1;
    Pool pool(config);
    tina_pool_ref ref = take(&pool);
    tina_pool_give(&pool, ref);
    EXPECT_DEATH(tina_pool_give(&pool, ref), "tina_pool_holds");
    EXPECT_DEATH(tina_pool_give_slot(&pool, 0), "TINA_POOL_LIVE");
}

TEST(PoolDeathTest, ForeignSlotsAndPointersAreErrors) {
    Pool pool(config_of(4, 24));
    uint8_t *memory = static_cast<uint8_t *>(tina_pool_at(&pool, take(&pool)));
    EXPECT_DEATH(tina_pool_give_slot(&pool, 1), "slot < pool->touched");
    EXPECT_DEATH(tina_pool_give_slot(&pool, 4), "slot < pool->touched");
    EXPECT_DEATH(tina_pool_give_slot(&pool, UINT32_MAX), "slot < pool->touched");
    EXPECT_DEATH(tina_pool_slot(&pool, 1), "slot < pool->touched");
    EXPECT_DEATH(tina_pool_slot_of(&pool, memory + 1), "offset % pool->stride");
    EXPECT_DEATH(tina_pool_slot_of(&pool, memory + 32), "pool->touched") << "never taken";
    EXPECT_DEATH(tina_pool_slot_of(&pool, memory - 32), "pool->touched");
    EXPECT_DEATH(tina_pool_slot_of(&pool, memory + 4 * 32), "pool->touched");
    EXPECT_DEATH(tina_pool_slot_of(&pool, nullptr), "pool->touched");
    tina_pool_give_slot(&pool, 0);
    EXPECT_DEATH(tina_pool_slot_of(&pool, memory), "TINA_POOL_LIVE");
}

TEST(PoolDeathTest, ConfigsThatCannotWorkAreErrors) {
    Memory memory(4096);
    auto init = [](tina_pool_config config, void *metadata, void *slots) {
        tina_pool pool;
        tina_pool_init(&pool, &config, metadata, slots);
    };
    uint8_t *place = static_cast<uint8_t *>(memory.data);
    EXPECT_DEATH(init(config_of(0, 8), place, place + 1024), "slot_count > 0");
    EXPECT_DEATH(init(config_of(TINA_POOL_SLOT_COUNT_MAX + 1, 8), place, place + 1024),
                 "COUNT_MAX");
    EXPECT_DEATH(init(config_of(1, 8), place + 4, place + 1024), "metadata %");
    EXPECT_DEATH(init(config_of(1, 8), nullptr, place + 1024), "metadata != NULL");
    EXPECT_DEATH(init(config_of(1, 8), place, place + 8), "slots % alignment");
    EXPECT_DEATH(init(config_of(1, 8), place, nullptr), "slots == NULL");
    EXPECT_DEATH(init(config_of(1, 0), place, place), "slots == NULL");
    EXPECT_DEATH(init(config_of(1, UINT32_MAX), place, place + 1024), "UINT32_MAX");
    tina_pool_config config = config_of(1, 8);
    config.generation_bits = 33;
    EXPECT_DEATH(init(config, place, place + 1024), "generation_bits <= 32");
    for (uint32_t alignment : {4u, 24u, 256u}) {
        config = config_of(1, 8);
        config.alignment = alignment;
        EXPECT_DEATH(init(config, place, place + 1024), "alignment");
    }
}

TEST(PoolDeathTest, VerifyFindsACircleInTheFreeList) {
    Pool pool(config_of(4, 24));
    take(&pool);
    take(&pool);
    tina_pool_give_slot(&pool, 0);
    tina_pool_give_slot(&pool, 1);
    pool.entries[0].link = 1;
    EXPECT_DEATH(tina_pool_verify(&pool), "free_count");
}

#if TINA_ASAN_ON
TEST(PoolDeathTest, AddressSanitizerSeesUseAfterGiveAndOverruns) {
    tina_pool_config config = config_of(4, 40);
    config.red_zone_bytes = 16;
    Pool pool(config);
    tina_pool_ref ref = take(&pool);
    volatile uint8_t *memory = static_cast<uint8_t *>(tina_pool_at(&pool, ref));
    memory[39] = 1;
    EXPECT_DEATH(memory[40] = 1, "use-after-poison");
    EXPECT_DEATH(memory[64] = 1, "use-after-poison") << "the next one was never taken";
    tina_pool_give(&pool, ref);
    EXPECT_DEATH(memory[0] = 1, "use-after-poison");
}
#elif TINA_VERIFY_ON
TEST(PoolDeathTest, AWriteAfterGiveIsFoundByTheNextTake) {
    Pool pool(config_of(4, 40));
    tina_pool_ref ref = take(&pool);
    uint8_t *memory = static_cast<uint8_t *>(tina_pool_at(&pool, ref));
    tina_pool_give(&pool, ref);
    memory[39] = 1;
    EXPECT_DEATH(take(&pool), "bytes_all");
}

TEST(PoolDeathTest, AnOverrunIsFoundByTheNextGive) {
    Pool pool(config_of(4, 40));
    tina_pool_ref ref = take(&pool);
    static_cast<uint8_t *>(tina_pool_at(&pool, ref))[40] = 1;
    EXPECT_DEATH(tina_pool_give(&pool, ref), "tina_pool_intact");
}
#else
TEST(Pool, GivingDoesNotTouchTheSlot) {
    Pool pool(config_of(4, 40));
    tina_pool_ref ref = take(&pool);
    uint8_t *memory = static_cast<uint8_t *>(tina_pool_at(&pool, ref));
    memset(memory, 0x5A, 40);
    tina_pool_give(&pool, ref);
    for (int i = 0; i < 40; i++)
        EXPECT_EQ(memory[i], 0x5A);
}
#endif

TEST(Pool, AMillionSlotsCostNothingUntilTaken) {
    constexpr uint32_t kCount = 1u << 20;
    Pool pool(config_of(kCount, 32));
    std::vector<tina_pool_ref> refs;
    for (uint32_t i = 0; i < kCount / 2; i++)
        refs.push_back(take(&pool));
    EXPECT_EQ(pool.touched, kCount / 2);
    if (!TINA_ASAN_ON) { // whose poison is not in the memory itself, but reading it is reported
        const uint8_t *rest = pool.slots + size_t{kCount / 2} * pool.stride;
        EXPECT_EQ(rest[0], 0xAA);
        EXPECT_EQ(memcmp(rest, rest + 1, kCount / 2 * size_t{pool.stride} - 1), 0);
    }
    EXPECT_EQ(memcmp(&pool.entries[kCount / 2], &pool.entries[kCount / 2 + 1],
                     (kCount / 2 - 1) * sizeof(tina_pool_entry)),
              0);
    while (refs.size() < kCount)
        refs.push_back(take(&pool));
    EXPECT_EQ(take_result(&pool), TINA_POOL_FULL);
    for (tina_pool_ref ref : refs)
        tina_pool_give(&pool, ref);
    EXPECT_EQ(pool.live, 0u);
    EXPECT_FALSE(tina_pool_holds(&pool, refs[kCount - 1]));
    tina_pool_verify(&pool);
}

namespace {

// What a pool promises, kept the slow way: every ref ever taken, and what was written to the live.
struct Model {
    std::map<std::pair<uint32_t, uint32_t>, uint8_t> live;
    std::vector<tina_pool_ref> stale;
    std::set<std::pair<uint32_t, uint32_t>> ever;
    uint32_t retired = 0;
};

constexpr uint32_t kFuzzSlotBytes = 20;

void model_end_life(Model *model, uint32_t generation_max, tina_pool_ref ref) {
    model->live.erase({ref.slot, ref.generation});
    model->stale.push_back(ref);
    model->retired += ref.generation == generation_max;
}

void fuzz_take(Pool *pool, Model *model, uint8_t content) {
    tina_pool_ref ref;
    switch (tina_pool_take(pool, &ref)) {
    case TINA_POOL_OK:
        ASSERT_TRUE(model->ever.insert({ref.slot, ref.generation}).second) << "lived before";
        ASSERT_LT(ref.slot, pool->slot_count);
        memset(tina_pool_at(pool, ref), content, kFuzzSlotBytes);
        model->live[{ref.slot, ref.generation}] = content;
        return;
    case TINA_POOL_FULL:
        ASSERT_GT(model->live.size(), 0u);
        ASSERT_EQ(model->live.size() + model->retired, pool->slot_count);
        return;
    case TINA_POOL_WORN_OUT:
        ASSERT_EQ(model->retired, pool->slot_count);
        return;
    }
}

void fuzz_give(Pool *pool, Model *model, tina_prng *prng) {
    if (model->live.empty())
        return;
    auto chosen = model->live.begin();
    std::advance(chosen, static_cast<long>(tina_prng_below(prng, model->live.size())));
    tina_pool_ref ref = {chosen->first.first, chosen->first.second};
    const uint8_t *memory = static_cast<const uint8_t *>(tina_pool_at(pool, ref));
    ASSERT_NE(memory, nullptr);
    for (uint32_t i = 0; i < kFuzzSlotBytes; i++)
        ASSERT_EQ(memory[i], chosen->second) << "another's life reached into this one";
    if (tina_prng_chance(prng, 1, 2))
        tina_pool_give(pool, ref);
    else
        tina_pool_give_slot(pool, ref.slot);
    model_end_life(model, pool->generation_max, ref);
}

void fuzz_reset(Pool *pool, Model *model) {
    while (!model->live.empty()) {
        auto first = model->live.begin()->first;
        model_end_life(model, pool->generation_max, {first.first, first.second});
    }
    tina_unpoison(pool->memory.data, pool->memory.bytes);
    memset(pool->memory.data, 0x33, pool->memory.bytes);
    tina_pool_reset(pool, pool->memory.data);
}

void fuzz_compare(const Pool &pool, const Model &model, tina_prng *prng) {
    ASSERT_EQ(pool.live, model.live.size());
    ASSERT_EQ(pool.retired, model.retired);
    for (const auto &entry : model.live)
        ASSERT_TRUE(tina_pool_holds(&pool, {entry.first.first, entry.first.second}));
    for (int i = 0; i < 10 && !model.stale.empty(); i++)
        ASSERT_FALSE(
            tina_pool_holds(&pool, model.stale[tina_prng_below(prng, model.stale.size())]));
}

void fuzz(uint64_t seed, uint64_t round) {
    tina_prng prng = tina_prng_make(seed, 1, round);
    tina_pool_config config =
        config_of(1 + static_cast<uint32_t>(tina_prng_below(&prng, 20)), kFuzzSlotBytes);
    config.generation_bits = 1 + static_cast<uint32_t>(tina_prng_below(&prng, 7));
    config.red_zone_bytes = static_cast<uint32_t>(tina_prng_below(&prng, 2)) * 32;
    Pool pool(config);
    // Rotation after few lives, not after 2^20.
    if (tina_prng_chance(&prng, 1, 2))
        pool.wear_mask &= 3;
    Model model;
    for (int op = 0; op < 2000 && !testing::Test::HasFatalFailure(); op++) {
        uint64_t dice = tina_prng_below(&prng, 1000);
        if (dice < 2)
            fuzz_reset(&pool, &model);
        else if (dice < 520)
            fuzz_take(&pool, &model, static_cast<uint8_t>(op));
        else
            fuzz_give(&pool, &model, &prng);
        fuzz_compare(pool, model, &prng);
        tina_pool_verify(&pool);
    }
}

} // namespace

TEST(Pool, AgreesWithItsModelUnderRandomOperations) {
    const char *given = getenv("TINA_SEED");
    uint64_t seed = given != nullptr ? strtoull(given, nullptr, 0) : std::random_device{}();
    printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(seed));
    for (uint64_t round = 0; round < 40 && !HasFatalFailure(); round++) {
        SCOPED_TRACE(testing::Message() << "TINA_SEED=" << seed << " round " << round);
        fuzz(seed, round);
    }
}
