// SPDX-License-Identifier: Apache-2.0
//
// The few atomic operations that Tina uses, with one spelling and one layout in C17 and C++17.
//
// Names say the order: a load is relaxed or acquire, a store relaxed or release. The only stronger
// operations are sequentially consistent: exchange, for the sleep protocol (publish, then look at
// the sleeper's flag), fetch_or, for bits that several set and one takes, and fetch_add, for what
// shards count together while they boot.
// ring/memory_model_test replaces this header, through its include guard, by a model in which a
// load may return any value that C11 allows; so code under that test must use nothing but these
// names, and fetch_add is not among them there.

#ifndef TINA_CORE_ATOMIC_H
#define TINA_CORE_ATOMIC_H

#include <stdint.h>

// Two adjacent lines: x86 prefetches lines in pairs, so 64 bytes apart still share traffic.
#define TINA_CACHE_LINE_BYTES 128

#ifdef __cplusplus

#include <atomic>

#define TINA_ALIGNAS(bytes) alignas(bytes)

typedef std::atomic<uint32_t> tina_atomic_u32;
typedef std::atomic<uint64_t> tina_atomic_u64;

#define TINA_ATOMIC_OPERATIONS(name, type)                                                         \
    static inline type name##_load_relaxed(const name *a) {                                        \
        return a->load(std::memory_order_relaxed);                                                 \
    }                                                                                              \
    static inline type name##_load_acquire(const name *a) {                                        \
        return a->load(std::memory_order_acquire);                                                 \
    }                                                                                              \
    static inline void name##_store_relaxed(name *a, type value) {                                 \
        a->store(value, std::memory_order_relaxed);                                                \
    }                                                                                              \
    static inline void name##_store_release(name *a, type value) {                                 \
        a->store(value, std::memory_order_release);                                                \
    }                                                                                              \
    static inline type name##_exchange(name *a, type value) {                                      \
        return a->exchange(value, std::memory_order_seq_cst);                                      \
    }                                                                                              \
    static inline type name##_fetch_or(name *a, type value) {                                      \
        return a->fetch_or(value, std::memory_order_seq_cst);                                      \
    }                                                                                              \
    static inline type name##_fetch_add(name *a, type value) {                                     \
        return a->fetch_add(value, std::memory_order_seq_cst);                                     \
    }

#else

#include <stdatomic.h>

#define TINA_ALIGNAS(bytes) _Alignas(bytes)

typedef _Atomic(uint32_t) tina_atomic_u32;
typedef _Atomic(uint64_t) tina_atomic_u64;

#define TINA_ATOMIC_OPERATIONS(name, type)                                                         \
    static inline type name##_load_relaxed(const name *a) {                                        \
        return atomic_load_explicit(a, memory_order_relaxed);                                      \
    }                                                                                              \
    static inline type name##_load_acquire(const name *a) {                                        \
        return atomic_load_explicit(a, memory_order_acquire);                                      \
    }                                                                                              \
    static inline void name##_store_relaxed(name *a, type value) {                                 \
        atomic_store_explicit(a, value, memory_order_relaxed);                                     \
    }                                                                                              \
    static inline void name##_store_release(name *a, type value) {                                 \
        atomic_store_explicit(a, value, memory_order_release);                                     \
    }                                                                                              \
    static inline type name##_exchange(name *a, type value) {                                      \
        return atomic_exchange_explicit(a, value, memory_order_seq_cst);                           \
    }                                                                                              \
    static inline type name##_fetch_or(name *a, type value) {                                      \
        return atomic_fetch_or_explicit(a, value, memory_order_seq_cst);                           \
    }                                                                                              \
    static inline type name##_fetch_add(name *a, type value) {                                     \
        return atomic_fetch_add_explicit(a, value, memory_order_seq_cst);                          \
    }

#endif

TINA_ATOMIC_OPERATIONS(tina_atomic_u32, uint32_t)
TINA_ATOMIC_OPERATIONS(tina_atomic_u64, uint64_t)

#undef TINA_ATOMIC_OPERATIONS

#endif
