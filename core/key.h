// SPDX-License-Identifier: Apache-2.0
//
// Which shard a key belongs to: the same for the same bytes and number of shards, on every machine
// and in every version of Tina, so that it may be written down.
//
//     hash(key)  = mix(FNV-1a, 64 bits, of the bytes)
//     shard      = jump(hash, shard_count)
//
// FNV-1a (Fowler, Noll, Vo; offset 0xCBF29CE484222325, prime 0x100000001B3) reads a byte at a time,
// so there is no byte order in it; its high bits are weak for short keys, which SplitMix64's
// finaliser (core/prng.h) mends. jump is consistent: from n to n + 1 shards, one key in n + 1
// moves, and to the new shard only, so that what each shard keeps on disk stays mostly its own. It
// is Lamping and Veach's "A fast, minimal memory, consistent hash algorithm" (2014) with their
// quotient of floating-point numbers as one of integers, rounded down, which no machine computes
// differently.
//
// No secret goes in: whoever chooses keys freely can choose them all for one shard.

#ifndef TINA_CORE_KEY_H
#define TINA_CORE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/prng.h"

#ifdef __cplusplus
extern "C" {
#endif

// tina_key_hash returns 0xF52A15E9A9B5E89B for no bytes, and 0x02C0BDBF481420F8 for "a".
static inline uint64_t tina_key_hash(const void *key, size_t bytes) {
    const unsigned char *at = (const unsigned char *)key;
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001B3);
    return tina_prng_mix(hash);
}

// tina_hash_to_shard maps any well-mixed number to 0 to shard_count - 1; shard_count is not 0.
static inline uint32_t tina_hash_to_shard(uint64_t hash, uint32_t shard_count) {
    TINA_ASSERT(shard_count > 0);
    uint64_t shard = 0;
    // Where the key would jump to next, as shards are added one by one; each round at least doubles
    // it on average.
    for (uint64_t next = 0; next < shard_count;) {
        shard = next;
        hash = hash * UINT64_C(2862933555777941757) + 1;
        next = ((shard + 1) << 31) / ((hash >> 33) + 1);
    }
    return (uint32_t)shard;
}

// tina_key_to_shard returns the shard of a key of any number of bytes, none included.
static inline uint32_t tina_key_to_shard(uint32_t shard_count, const void *key, size_t bytes) {
    return tina_hash_to_shard(tina_key_hash(key, bytes), shard_count);
}

#ifdef __cplusplus
}
#endif

#endif
