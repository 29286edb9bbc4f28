// SPDX-License-Identifier: Apache-2.0
//
// Names for program counters: the program's own symbol table, mapped and sorted at boot, so that a
// trace can be read without a debugger. Looking one up allocates nothing and takes no lock; it is
// a binary search. Code of a shared library is named by its file and the offset in it.

#ifndef TINA_SUPERVISE_SYMBOLS_H
#define TINA_SUPERVISE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_MODULE_COUNT_MAX 32

typedef struct tina_symbol {
    uint64_t value; // as in the file: add the base
    uint32_t bytes;
    uint32_t name; // in names
} tina_symbol;

typedef struct tina_module {
    uintptr_t base;
    uintptr_t from; // its code
    uintptr_t to;
    const char *name; // the loader's; "" is the program
} tina_module;

// All zero knows nothing. Read by any thread once it is opened.
typedef struct tina_symbols {
    const uint8_t *image; // the program's file
    size_t image_bytes;
    tina_symbol *sorted; // by value
    size_t sorted_bytes; // mapped
    uint32_t count;
    const char *names;
    size_t names_bytes;
    uint32_t module_count;
    tina_module modules[TINA_MODULE_COUNT_MAX];
} tina_symbols;

// tina_symbols_open maps the program's file and sorts its functions; at boot. Returns 0, or -errno:
// then, and when the file has no table, program counters are named by file and offset.
int tina_symbols_open(tina_symbols *symbols);
void tina_symbols_close(tina_symbols *symbols);

// tina_symbols_name writes "function+0x12", "libc.so.6+0x1234" or "0x5555", and returns its length
// as tina_format does.
size_t tina_symbols_name(const tina_symbols *symbols, uintptr_t pc, char *out, size_t capacity);

// tina_symbols_read sorts the functions of an ELF image in memory, which stays in place until
// close. Returns 0 also when there is no table, or one that makes no sense; -errno when there is no
// memory for it. For tina_symbols_open, and for tests.
int tina_symbols_read(tina_symbols *symbols, const uint8_t *image, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
