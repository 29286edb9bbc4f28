// SPDX-License-Identifier: Apache-2.0
//
// Formats: ELF (gABI), its GNU hash table (glibc's elf/dl-lookup.c), .eh_frame_hdr (LSB 5.0, 10.6).

#define _GNU_SOURCE
#include "supervise/libc_text.h"

#include <elf.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <string.h>

// They call nothing, or one another; none takes a lock or keeps state.
static const char *const leaf_names[] = {
    "memcpy",       "memmove",       "mempcpy",      "memset",        "memcmp",  "bcmp",
    "memchr",       "rawmemchr",     "memrchr",      "memmem",        "strlen",  "strnlen",
    "strcpy",       "strncpy",       "stpcpy",       "stpncpy",       "strcat",  "strncat",
    "strcmp",       "strncmp",       "strcasecmp",   "strncasecmp",   "strchr",  "strchrnul",
    "strcasecmp_l", "strncasecmp_l", "strrchr",      "strspn",        "strcspn", "strpbrk",
    "strstr",       "memccpy",       "__memcpy_chk", "__memmove_chk", "bzero",   "__memset_chk",
};

// What of a loaded library is looked at.
typedef struct library {
    uintptr_t base;
    tina_range text;
    const uint8_t *unwind; // .eh_frame_hdr
    const ElfW(Sym) * symbols;
    const char *names;
    const uint32_t *hash;
} library;

// In glibc the dynamic section of a loaded library holds addresses, in the vdso's it does not.
static const void *dynamic_address(const library *of, ElfW(Addr) value) {
    return (const void *)(value < of->base ? of->base + value : value);
}

static void dynamic_read(library *of, const ElfW(Dyn) * at) {
    for (; at->d_tag != DT_NULL; at++) {
        const void *address = dynamic_address(of, at->d_un.d_ptr);
        if (at->d_tag == DT_SYMTAB)
            of->symbols = address;
        else if (at->d_tag == DT_STRTAB)
            of->names = address;
        else if (at->d_tag == DT_GNU_HASH)
            of->hash = address;
    }
}

// Stops at libc: of its functions, this one is nobody's to replace.
static int library_look(struct dl_phdr_info *info, size_t bytes, void *found_) {
    library *found = found_;
    library this = {.base = info->dlpi_addr};
    const ElfW(Dyn) *dynamic = NULL;
    (void)bytes;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && part->p_flags & PF_X)
            this.text = (tina_range){at, at + part->p_memsz};
        else if (part->p_type == PT_GNU_EH_FRAME)
            this.unwind = (const uint8_t *)at;
        else if (part->p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)at;
    }
    if (!tina_range_holds(this.text, (uintptr_t)gnu_get_libc_version) || !dynamic)
        return 0;
    dynamic_read(&this, dynamic);
    *found = this;
    return 1;
}

static uint32_t name_hash(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash;
}

typedef uintptr_t (*resolver)(void);

static uintptr_t symbol_address(const library *of, const ElfW(Sym) * symbol) {
    uintptr_t address = of->base + symbol->st_value;
    if (ELF64_ST_TYPE(symbol->st_info) != STT_GNU_IFUNC)
        return address;
    // On x86-64 a resolver takes no argument and looks at what the loader found out already.
    return ((resolver)address)();
}

// Header of the hash table: buckets, first symbol, words of the Bloom filter, its shift. Then the
// filter, the buckets, and the chains, in which the last of a bucket has the lowest bit set.
static uint32_t chain_first(const library *of, uint32_t hash, const uint32_t **chains) {
    const uint32_t *table = of->hash;
    const uint32_t *buckets = table + 4 + table[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    *chains = buckets + table[0] - table[1];
    return buckets[hash % table[0]];
}

typedef int32_t s32_unaligned __attribute__((aligned(1), may_alias));
typedef uint32_t u32_unaligned __attribute__((aligned(1), may_alias));

#define ENCODED_UDATA4          0x03
#define ENCODED_PCREL_SDATA4    0x1b
#define ENCODED_RELATIVE_SDATA4 0x3b // to the start of the header

// Returns the extent of the function that starts at pc, or an empty one: the header's table is
// sorted by start, and its entries lead to the frame descriptions, which have the length.
static tina_range unwind_extent(const uint8_t *header, uintptr_t pc) {
    if (header[0] != 1 || header[1] != ENCODED_PCREL_SDATA4 || header[2] != ENCODED_UDATA4 ||
        header[3] != ENCODED_RELATIVE_SDATA4)
        return (tina_range){0, 0};
    uint32_t least = 0;
    uint32_t most = *(const u32_unaligned *)(header + 8);
    const s32_unaligned *table = (const s32_unaligned *)(header + 12);
    uintptr_t base = (uintptr_t)header;
    while (least < most) {
        uint32_t middle = least + (most - least) / 2;
        if (base + (uintptr_t)(intptr_t)table[2 * middle] < pc)
            least = middle + 1;
        else
            most = middle;
    }
    uintptr_t entry = base + (uintptr_t)(intptr_t)table[2 * least + 1];
    // length, CIE, start relative to itself, extent
    uintptr_t start = entry + 8 + (uintptr_t)(intptr_t) * (const s32_unaligned *)(entry + 8);
    uint32_t extent = *(const u32_unaligned *)(entry + 12);
    if (start != pc)
        return (tina_range){0, 0};
    return (tina_range){start, start + extent};
}

static void leaf_add(tina_libc_text *libc, const library *of, const char *name) {
    uint32_t hash = name_hash(name);
    const uint32_t *chains;
    uint32_t at = chain_first(of, hash, &chains);
    if (at == 0)
        return;
    for (;; at++) {
        const ElfW(Sym) *symbol = &of->symbols[at];
        bool same = (chains[at] | 1) == (hash | 1) &&
                    strcmp(of->names + symbol->st_name, name) == 0 && symbol->st_shndx != SHN_UNDEF;
        if (same && libc->leaf_count < TINA_LEAF_MAX) {
            tina_range leaf = unwind_extent(of->unwind, symbol_address(of, symbol));
            if (leaf.to > leaf.from)
                libc->leaves[libc->leaf_count++] = leaf;
        }
        if (chains[at] & 1)
            return;
    }
}

bool tina_libc_text_find(tina_libc_text *libc) {
    library found = {0};
    memset(libc, 0, sizeof *libc);
    if (!dl_iterate_phdr(library_look, &found))
        return false;
    // In a static program that is the program.
    if (tina_range_holds(found.text, (uintptr_t)tina_libc_text_find))
        return false;
    libc->text = found.text;
    if (!found.symbols || !found.names || !found.hash || !found.unwind)
        return false;
    for (size_t i = 0; i < sizeof leaf_names / sizeof leaf_names[0]; i++)
        leaf_add(libc, &found, leaf_names[i]);
    return libc->leaf_count != 0;
}

bool tina_libc_text_is_leaf(const tina_libc_text *libc, uintptr_t pc) {
    for (uint32_t i = 0; i < libc->leaf_count; i++)
        if (tina_range_holds(libc->leaves[i], pc))
            return true;
    return false;
}
