// SPDX-License-Identifier: Apache-2.0
//
// Counter-based random numbers: each draw is a pure function of (seed, domain, entity, n).
//
// Nothing is carried from draw to draw but the counter, so a draw added for one entity shifts the
// numbers of no other, and a run can be replayed from its seed alone. Not for secrets.
// The mixing function is SplitMix64's finaliser (Steele, Lea, Flood: "Fast splittable pseudorandom
// number generators", OOPSLA 2014), applied once a field.

#ifndef TINA_CORE_PRNG_H
#define TINA_CORE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A stream of draws for one entity; a value, owned by whoever draws from it.
typedef struct tina_prng {
    uint64_t key;
    uint64_t draws;
} tina_prng;

static inline uint64_t tina_prng_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

// tina_prng_make returns the stream of one entity of one domain (network, disk, test...) of a seed.
static inline tina_prng tina_prng_make(uint64_t seed, uint64_t domain, uint64_t entity) {
    uint64_t key = tina_prng_mix(seed + UINT64_C(0x9E3779B97F4A7C15));
    key = tina_prng_mix(key ^ (domain * UINT64_C(0xD1B54A32D192ED03)));
    key = tina_prng_mix(key ^ (entity * UINT64_C(0xAEF17502108EF2D9)));
    tina_prng prng = {key, 0};
    return prng;
}

// tina_prng_at returns the stream's n-th draw, whatever was drawn before.
static inline uint64_t tina_prng_at(const tina_prng *prng, uint64_t n) {
    return tina_prng_mix(prng->key + (n + 1) * UINT64_C(0x9E3779B97F4A7C15));
}

static inline uint64_t tina_prng_next(tina_prng *prng) {
    return tina_prng_at(prng, prng->draws++);
}

// tina_prng_below returns a number in [0, limit); limit is not 0. The bias is below limit / 2^64
// (Lemire's multiplication, without rejection, so that every draw costs the same).
static inline uint64_t tina_prng_below(tina_prng *prng, uint64_t limit) {
    __extension__ typedef unsigned __int128 tina_u128;
    return (uint64_t)(((tina_u128)tina_prng_next(prng) * limit) >> 64);
}

// tina_prng_chance is true numerator times in denominator, on average; denominator is not 0.
static inline bool tina_prng_chance(tina_prng *prng, uint64_t numerator, uint64_t denominator) {
    return tina_prng_below(prng, denominator) < numerator;
}

#ifdef __cplusplus
}
#endif

#endif
