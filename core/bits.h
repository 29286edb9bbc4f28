// SPDX-License-Identifier: Apache-2.0
//
// Powers of two and alignment, on 64-bit sizes.

#ifndef TINA_CORE_BITS_H
#define TINA_CORE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline bool tina_is_power_of_two(uint64_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

// tina_round_up_pow2 returns the least power of two that is >= value; value is 1 to 2^63.
static inline uint64_t tina_round_up_pow2(uint64_t value) {
    return value <= 1 ? 1 : (uint64_t)1 << (64 - __builtin_clzll(value - 1));
}

// tina_align_up returns the least multiple of alignment (a power of two) that is >= value.
static inline uint64_t tina_align_up(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

// tina_log2 returns the position of the highest set bit; value is not 0.
static inline uint32_t tina_log2(uint64_t value) {
    return 63u - (uint32_t)__builtin_clzll(value);
}

#ifdef __cplusplus
}
#endif

#endif
