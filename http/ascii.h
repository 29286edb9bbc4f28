// SPDX-License-Identifier: Apache-2.0
//
// Letters and digits as the wire has them: ASCII, whatever the locale.

#ifndef TINA_HTTP_ASCII_H
#define TINA_HTTP_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline char ascii_lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

// ascii_equal compares with `lower`, which has no capitals, without regard to case.
static inline bool ascii_equal(const char *text, const char *lower, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (ascii_lower(text[i]) != lower[i])
            return false;
    }
    return true;
}

static inline bool ascii_equal_any(const char *a, const char *b, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
    }
    return true;
}

static inline bool ascii_is_alnum(char byte) {
    char lower = ascii_lower(byte);
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z');
}

// ascii_hex returns a hexadecimal digit's value, or -1.
static inline int ascii_hex(char byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    char lower = ascii_lower(byte);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

#endif
