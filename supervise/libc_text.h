// SPDX-License-Identifier: Apache-2.0
//
// Where libc's code lies in this process. A fault in libc may have left a lock taken, so it is not
// the isolate's alone; except in functions like memcpy, which only read and write what they are
// given. Their extents come from libc's own symbols and unwind tables, so that they are those of
// the variant that this processor uses.

#ifndef TINA_SUPERVISE_LIBC_TEXT_H
#define TINA_SUPERVISE_LIBC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_range {
    uintptr_t from;
    uintptr_t to; // past its end
} tina_range;

#define TINA_LEAF_MAX 96

typedef struct tina_libc_text {
    tina_range text; // empty when libc is not a library of its own
    uint32_t leaf_count;
    tina_range leaves[TINA_LEAF_MAX];
} tina_libc_text;

static inline bool tina_range_holds(tina_range range, uintptr_t address) {
    return address >= range.from && address < range.to;
}

// tina_libc_text_find looks at the libraries that are loaded. Takes the loader's lock: at boot
// only. Returns false when libc or its tables are not as expected: then nothing counts as leaf, or
// in a static program nothing as libc.
bool tina_libc_text_find(tina_libc_text *libc);

// tina_libc_text_is_leaf and tina_libc_text_holds are for signal handlers.
bool tina_libc_text_is_leaf(const tina_libc_text *libc, uintptr_t pc);
static inline bool tina_libc_text_holds(const tina_libc_text *libc, uintptr_t pc) {
    return tina_range_holds(libc->text, pc);
}

#ifdef __cplusplus
}
#endif

#endif
