// SPDX-License-Identifier: Apache-2.0
//
// Stands in for core/atomic.h when code is compiled for the memory model (ring/memory_model.h): the
// same names, each of which asks the model what happens. Force-include it before anything else.
//
// Each call carries its place in the source, by which the tests weaken one ordering at a time. A
// failed assertion is a finding of the model, so TINA_ASSERT is the model's too.

#ifndef TINA_RING_MODEL_ATOMIC_H
#define TINA_RING_MODEL_ATOMIC_H

#ifdef TINA_CORE_ATOMIC_H
#error "include ring/model_atomic.h first"
#endif
#define TINA_CORE_ATOMIC_H

#include <stdint.h>

#include "core/assert.h"

#ifdef __cplusplus
extern "C" {
#define TINA_ALIGNAS(bytes) alignas(bytes)
#else
#define TINA_ALIGNAS(bytes) _Alignas(bytes)
#endif

#define TINA_CACHE_LINE_BYTES 128

// What a location holds is the model's; only its address counts here.
typedef struct tina_atomic_u32 {
    uint32_t u32;
} tina_atomic_u32;

typedef struct tina_atomic_u64 {
    uint64_t u64;
} tina_atomic_u64;

enum model_order {
    MODEL_RELAXED,
    MODEL_ACQUIRE,
    MODEL_RELEASE,
    MODEL_ACQUIRE_RELEASE
};

uint64_t model_load(const void *location, enum model_order order, const char *function, int line);
void model_store(void *location, uint64_t value, enum model_order order, const char *function,
                 int line);
uint64_t model_exchange(void *location, uint64_t value, const char *function, int line);
uint64_t model_fetch_or(void *location, uint64_t value, const char *function, int line);
TINA_NORETURN void model_assert_failed(const char *condition, const char *file, int line);

#undef TINA_ASSERT
#define TINA_ASSERT(condition)                                                                     \
    ((condition) ? (void)0 : model_assert_failed(#condition, __FILE__, __LINE__))

#define tina_atomic_u64_load_relaxed(a) model_load(&(a)->u64, MODEL_RELAXED, __func__, __LINE__)
#define tina_atomic_u64_load_acquire(a) model_load(&(a)->u64, MODEL_ACQUIRE, __func__, __LINE__)
#define tina_atomic_u64_store_relaxed(a, value)                                                    \
    model_store(&(a)->u64, value, MODEL_RELAXED, __func__, __LINE__)
#define tina_atomic_u64_store_release(a, value)                                                    \
    model_store(&(a)->u64, value, MODEL_RELEASE, __func__, __LINE__)
#define tina_atomic_u32_store_relaxed(a, value)                                                    \
    model_store(&(a)->u32, value, MODEL_RELAXED, __func__, __LINE__)
#define tina_atomic_u64_exchange(a, value) model_exchange(&(a)->u64, value, __func__, __LINE__)
#define tina_atomic_u64_fetch_or(a, value) model_fetch_or(&(a)->u64, value, __func__, __LINE__)
#define tina_atomic_u32_exchange(a, value)                                                         \
    ((uint32_t)model_exchange(&(a)->u32, value, __func__, __LINE__))

#ifdef __cplusplus
}
#endif

#endif
