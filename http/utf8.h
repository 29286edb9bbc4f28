// SPDX-License-Identifier: Apache-2.0
#ifndef TINA_HTTP_UTF8_H
#define TINA_HTTP_UTF8_H

#include <stddef.h>
#include <stdint.h>

// utf8_bytes returns the length of the well-formed sequence at `at`, of which `left` bytes are
// there, or 0: Unicode's table 3-7, which leaves out overlong forms and surrogates. A NUL behind
// the first byte ends what is read.
static inline uint32_t utf8_bytes(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    uint32_t bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (bytes > left)
        return 0;
    for (uint32_t i = 1; i < bytes; i++) {
        if (at[i] < low || at[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return bytes;
}

#endif
