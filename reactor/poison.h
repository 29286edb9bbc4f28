// SPDX-License-Identifier: Apache-2.0
//
// Memory that nobody may touch from user space for now: under AddressSanitizer a touch is reported,
// otherwise these do nothing.

#ifndef TINA_REACTOR_POISON_H
#define TINA_REACTOR_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TINA_REACTOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TINA_REACTOR_ASAN 1
#endif
#endif

#ifdef TINA_REACTOR_ASAN
#include <sanitizer/asan_interface.h>
#endif

static inline void reactor_poison(const void *memory, size_t bytes) {
#ifdef TINA_REACTOR_ASAN
    __asan_poison_memory_region(memory, bytes);
#else
    (void)memory;
    (void)bytes;
#endif
}

static inline void reactor_unpoison(const void *memory, size_t bytes) {
#ifdef TINA_REACTOR_ASAN
    __asan_unpoison_memory_region(memory, bytes);
#else
    (void)memory;
    (void)bytes;
#endif
}

#endif
