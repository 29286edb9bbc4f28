// SPDX-License-Identifier: Apache-2.0
//
// The name of an isolate: 64 bits that never turn into a pointer and never name a second isolate.
//
//     63      56 55      48 47              28 27                         0
//     | shard  8 | type   8 | slot          20 | generation            28 |
//
// A generation starts at 1 and grows each time its slot is reused, so the all-zero handle is
// nobody's. Handles are values: copy, store and send them freely, on any thread.

#ifndef TINA_CORE_HANDLE_H
#define TINA_CORE_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_SHARD_BITS      8
#define TINA_TYPE_BITS       8
#define TINA_SLOT_BITS       20
#define TINA_GENERATION_BITS 28

#define TINA_SHARD_COUNT_MAX 255u
#define TINA_TYPE_COUNT_MAX  255u
#define TINA_SLOT_COUNT_MAX  (1u << TINA_SLOT_BITS)
#define TINA_GENERATION_MAX  ((1u << TINA_GENERATION_BITS) - 1u)

typedef struct tina_handle {
    uint64_t bits;
} tina_handle;

// tina_handle_make packs four fields; each must be below its limit above.
static inline tina_handle tina_handle_make(uint32_t shard, uint32_t type, uint32_t slot,
                                           uint32_t generation) {
    tina_handle handle = {((uint64_t)shard << 56) | ((uint64_t)type << 48) |
                          ((uint64_t)slot << 28) | generation};
    return handle;
}

// tina_handle_none returns the handle that names nobody.
static inline tina_handle tina_handle_none(void) {
    tina_handle handle = {0};
    return handle;
}

static inline bool tina_handle_is_none(tina_handle handle) {
    return handle.bits == 0;
}

static inline bool tina_handle_equal(tina_handle a, tina_handle b) {
    return a.bits == b.bits;
}

static inline uint32_t tina_handle_shard(tina_handle handle) {
    return (uint32_t)(handle.bits >> 56);
}

static inline uint32_t tina_handle_type(tina_handle handle) {
    return (uint32_t)(handle.bits >> 48) & 0xFFu;
}

static inline uint32_t tina_handle_slot(tina_handle handle) {
    return (uint32_t)(handle.bits >> 28) & (TINA_SLOT_COUNT_MAX - 1u);
}

static inline uint32_t tina_handle_generation(tina_handle handle) {
    return (uint32_t)handle.bits & TINA_GENERATION_MAX;
}

#ifdef __cplusplus
}
#endif

#endif
