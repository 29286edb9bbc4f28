// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "sim/fault.h"

#include <link.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/format.h"

#define FRAMES_MAX  32
#define MODULES_MAX 64u

// A segment of code of the program, or of a library that is not the system's.
typedef struct fault_module {
    uintptr_t from;
    uintptr_t to;
    uintptr_t base;
} fault_module;

static fault_module modules[MODULES_MAX];
static uint32_t module_count;

static bool is_systems(const char *name) {
    return strncmp(name, "/lib", 4) == 0 || strncmp(name, "/usr/", 5) == 0 ||
           strncmp(name, "linux-", 6) == 0;
}

static int module_add(struct dl_phdr_info *info, size_t bytes, void *where) {
    (void)bytes;
    (void)where;
    for (uint32_t i = 0; i < info->dlpi_phnum && !is_systems(info->dlpi_name); i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) && module_count < MODULES_MAX)
            modules[module_count++] =
                (fault_module){from, from + segment->p_memsz, info->dlpi_addr};
    }
    return 0;
}

static const fault_module *module_of(uintptr_t pc) {
    for (uint32_t i = 0; i < module_count; i++)
        if (pc >= modules[i].from && pc < modules[i].to)
            return &modules[i];
    return NULL;
}

// The program's own frame, where a library was called with what it cannot bear. A frame pointer
// that is none faults again, and that ends the process.
static uintptr_t pc_of_program(const ucontext_t *context) {
    uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    uintptr_t frame = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
    for (int i = 0; i < FRAMES_MAX && !module_of(pc); i++) {
        const uintptr_t *words = (const uintptr_t *)frame;
        if (!words || frame % sizeof *words != 0 || words[0] <= frame)
            return 0;
        frame = words[0];
        pc = words[1];
    }
    const fault_module *module = module_of(pc);
    return module ? pc - module->base : 0;
}

static void fault_tell(int number, siginfo_t *info, void *context) {
    char line[96];
    (void)number;
    (void)info;
    size_t bytes = tina_format(line, sizeof line, SIM_FAULT_WORDS "0x%llx of the program\n",
                               (unsigned long long)pc_of_program(context));
    ssize_t written = write(STDERR_FILENO, line, bytes);
    (void)written;
}

void sim_faults_tell(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    // Reset: it happens again, and then ends the process.
    struct sigaction tell = {.sa_sigaction = fault_tell,
                             .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND)};
    module_count = 0;
    dl_iterate_phdr(module_add, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL)
            sigaction(numbers[i], &tell, NULL);
    }
}
