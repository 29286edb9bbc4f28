// SPDX-License-Identifier: Apache-2.0
//
// Marks memory that nobody may touch, so that AddressSanitizer reports whoever does.
//
// Without AddressSanitizer both calls are nothing. Its shadow has one byte for eight: a region that
// ends within eight bytes of live memory is poisoned up to the last whole eight.

#ifndef TINA_ARENA_POISON_H
#define TINA_ARENA_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TINA_ASAN_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TINA_ASAN_ON 1
#endif
#endif

#ifndef TINA_ASAN_ON
#define TINA_ASAN_ON 0
#endif

#if TINA_ASAN_ON
#include <sanitizer/asan_interface.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

static inline void tina_poison(const void *memory, size_t bytes) {
#if TINA_ASAN_ON
    __asan_poison_memory_region(memory, bytes);
#else
    (void)memory, (void)bytes;
#endif
}

// tina_unpoison must come before memory is reused or unmapped: the shadow outlives the mapping.
static inline void tina_unpoison(const void *memory, size_t bytes) {
#if TINA_ASAN_ON
    __asan_unpoison_memory_region(memory, bytes);
#else
    (void)memory, (void)bytes;
#endif
}

#ifdef __cplusplus
}
#endif

#endif
