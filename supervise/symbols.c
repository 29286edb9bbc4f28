// SPDX-License-Identifier: Apache-2.0
//
// The file is the program's own, but may be anything by the time it is opened: every offset is
// checked against its size. Format: ELF, gABI.

#define _GNU_SOURCE
#include "supervise/symbols.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/format.h"

static int module_note(struct dl_phdr_info *info, size_t bytes, void *symbols_) {
    tina_symbols *symbols = symbols_;
    (void)bytes;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        uintptr_t from = info->dlpi_addr + part->p_vaddr;
        symbols->modules[symbols->module_count++] =
            (tina_module){info->dlpi_addr, from, from + part->p_memsz, info->dlpi_name};
        return symbols->module_count == TINA_MODULE_COUNT_MAX;
    }
    return 0;
}

int tina_symbols_open(tina_symbols *symbols) {
    struct stat status;
    memset(symbols, 0, sizeof *symbols);
    dl_iterate_phdr(module_note, symbols);
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    void *image = MAP_FAILED;
    if (fstat(fd, &status) == 0)
        image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int result = image == MAP_FAILED ? -errno : 0;
    close(fd);
    if (result != 0)
        return result;
    symbols->image = image;
    symbols->image_bytes = (size_t)status.st_size;
    return tina_symbols_read(symbols, image, symbols->image_bytes);
}

void tina_symbols_close(tina_symbols *symbols) {
    if (symbols->image)
        munmap((void *)(uintptr_t)symbols->image, symbols->image_bytes);
    if (symbols->sorted)
        munmap(symbols->sorted, symbols->sorted_bytes);
    memset(symbols, 0, sizeof *symbols);
}

// Copies a record out of the image, which may have it at any address.
static bool image_get(const uint8_t *image, size_t bytes, uint64_t at, void *record,
                      size_t record_bytes) {
    if (at > bytes || record_bytes > bytes - at)
        return false;
    memcpy(record, image + at, record_bytes);
    return true;
}

static bool image_holds(size_t image_bytes, const Elf64_Shdr *section) {
    return section->sh_offset <= image_bytes &&
           section->sh_size <= image_bytes - section->sh_offset;
}

// The full table, or that of what is exported.
static bool table_find(const uint8_t *image, size_t bytes, Elf64_Shdr *table, Elf64_Shdr *names) {
    Elf64_Ehdr header;
    bool found = false;
    if (!image_get(image, bytes, 0, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_shentsize != sizeof(Elf64_Shdr))
        return false;
    for (uint64_t i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        if (!image_get(image, bytes, header.e_shoff + i * sizeof section, &section, sizeof section))
            return false;
        bool wanted = section.sh_type == SHT_SYMTAB || (section.sh_type == SHT_DYNSYM && !found);
        if (!wanted || !image_holds(bytes, &section) || section.sh_link >= header.e_shnum)
            continue;
        Elf64_Shdr strings;
        if (!image_get(image, bytes, header.e_shoff + section.sh_link * sizeof strings, &strings,
                       sizeof strings) ||
            !image_holds(bytes, &strings) || strings.sh_size == 0 ||
            image[strings.sh_offset + strings.sh_size - 1] != '\0')
            continue;
        *table = section;
        *names = strings;
        found = true;
    }
    return found;
}

static bool symbol_get(const uint8_t *image, const Elf64_Shdr *table, size_t names_bytes,
                       uint64_t i, tina_symbol *symbol) {
    Elf64_Sym at;
    memcpy(&at, image + table->sh_offset + i * sizeof at, sizeof at);
    if (ELF64_ST_TYPE(at.st_info) != STT_FUNC || at.st_shndx == SHN_UNDEF ||
        at.st_name >= names_bytes)
        return false;
    *symbol = (tina_symbol){
        at.st_value, at.st_size > UINT32_MAX ? UINT32_MAX : (uint32_t)at.st_size, at.st_name};
    return true;
}

// A heap in place: libc's qsort may allocate, and no order of symbols is a bad one here.
static void heap_sink(tina_symbol *heap, uint32_t at, uint32_t count) {
    tina_symbol sunk = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1].value > heap[child].value)
            child++;
        if (heap[child].value <= sunk.value)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = sunk;
}

static void symbols_sort(tina_symbol *symbols, uint32_t count) {
    for (uint32_t i = count / 2; i-- > 0;)
        heap_sink(symbols, i, count);
    for (uint32_t left = count; left > 1; left--) {
        tina_symbol most = symbols[0];
        symbols[0] = symbols[left - 1];
        symbols[left - 1] = most;
        heap_sink(symbols, 0, left - 1);
    }
}

int tina_symbols_read(tina_symbols *symbols, const uint8_t *image, size_t bytes) {
    Elf64_Shdr table;
    Elf64_Shdr names;
    tina_symbol symbol;
    if (!table_find(image, bytes, &table, &names))
        return 0;
    uint64_t all = table.sh_size / sizeof(Elf64_Sym);
    uint64_t functions = 0;
    for (uint64_t i = 0; i < all; i++)
        functions += symbol_get(image, &table, names.sh_size, i, &symbol);
    if (functions == 0 || functions > UINT32_MAX)
        return 0;
    size_t sorted_bytes = functions * sizeof symbol;
    tina_symbol *sorted =
        mmap(NULL, sorted_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sorted == MAP_FAILED)
        return -errno;
    uint32_t count = 0;
    for (uint64_t i = 0; i < all; i++)
        if (symbol_get(image, &table, names.sh_size, i, &symbol))
            sorted[count++] = symbol;
    symbols_sort(sorted, count);
    symbols->sorted = sorted;
    symbols->sorted_bytes = sorted_bytes;
    symbols->count = count;
    symbols->names = (const char *)image + names.sh_offset;
    symbols->names_bytes = names.sh_size;
    return 0;
}

// The last symbol that starts at value or before, if value lies in it; one without a length reaches
// to the next.
static const tina_symbol *symbol_find(const tina_symbols *symbols, uint64_t value) {
    uint32_t least = 0;
    uint32_t most = symbols->count;
    while (least < most) {
        uint32_t middle = least + (most - least) / 2;
        if (symbols->sorted[middle].value <= value)
            least = middle + 1;
        else
            most = middle;
    }
    if (least == 0)
        return NULL;
    const tina_symbol *found = &symbols->sorted[least - 1];
    return found->bytes == 0 || value - found->value < found->bytes ? found : NULL;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t tina_symbols_name(const tina_symbols *symbols, uintptr_t pc, char *out, size_t capacity) {
    const tina_module *in = NULL;
    for (uint32_t i = 0; i < symbols->module_count && !in; i++)
        if (pc >= symbols->modules[i].from && pc < symbols->modules[i].to)
            in = &symbols->modules[i];
    if (!in)
        return tina_format(out, capacity, "0x%lx", (unsigned long)pc);
    unsigned long offset = pc - in->base;
    const tina_symbol *symbol = *in->name ? NULL : symbol_find(symbols, offset);
    if (symbol)
        return tina_format(out, capacity, "%s+0x%lx", symbols->names + symbol->name,
                           (unsigned long)(offset - symbol->value));
    return tina_format(out, capacity, "%s+0x%lx", *in->name ? base_name(in->name) : "program",
                       offset);
}
