// SPDX-License-Identifier: Apache-2.0
//
// Assertions for programmers' errors. An expected outcome is never asserted; it is a typed result.
//
// TINA_ASSERT is always on. TINA_VERIFY is for checks that cost more than O(1): it is on unless
// NDEBUG is defined, so in every test and absent from optimised builds.

#ifndef TINA_CORE_ASSERT_H
#define TINA_CORE_ASSERT_H

#ifdef __cplusplus
extern "C" {
#define TINA_NORETURN [[noreturn]]
#else
#define TINA_NORETURN _Noreturn
#endif

// tina_assert_failed writes one line to stderr with a single write(2) and raises SIGABRT on the
// calling thread. It allocates nothing and takes no lock, so it may be called from anywhere.
TINA_NORETURN void tina_assert_failed(const char *condition, const char *file, int line);

#define TINA_ASSERT(condition)                                                                     \
    (__builtin_expect(!!(condition), 1) ? (void)0                                                  \
                                        : tina_assert_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define TINA_VERIFY_ON         0
#define TINA_VERIFY(condition) ((void)sizeof(!!(condition)))
#else
#define TINA_VERIFY_ON         1
#define TINA_VERIFY(condition) TINA_ASSERT(condition)
#endif

#ifdef __cplusplus
}
#endif

#endif
