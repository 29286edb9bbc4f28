// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "sim/fault.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/format.h"

// The linker's: where the program begins, and where its text ends.
extern const char __executable_start[];
extern const char etext[];

#define FRAMES_MAX 32

static bool is_ours(uintptr_t pc) {
    return pc >= (uintptr_t)__executable_start && pc < (uintptr_t)etext;
}

// The program's own frame, where a library was called with what it cannot bear. A frame pointer
// that is none faults again, and that ends the process.
static uintptr_t pc_of_program(const ucontext_t *context) {
    uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    uintptr_t frame = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
    for (int i = 0; i < FRAMES_MAX && !is_ours(pc); i++) {
        const uintptr_t *words = (const uintptr_t *)frame;
        if (!words || frame % sizeof *words != 0 || words[0] <= frame)
            return 0;
        frame = words[0];
        pc = words[1];
    }
    return is_ours(pc) ? pc - (uintptr_t)__executable_start : 0;
}

static void fault_tell(int number, siginfo_t *info, void *context) {
    char line[96];
    (void)number;
    (void)info;
    size_t bytes = tina_format(line, sizeof line, SIM_FAULT_WORDS "0x%llx of the program's text\n",
                               (unsigned long long)pc_of_program(context));
    ssize_t written = write(STDERR_FILENO, line, bytes);
    (void)written;
}

void sim_faults_tell(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    // Reset: it happens again, and then ends the process.
    struct sigaction tell = {.sa_sigaction = fault_tell,
                             .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND)};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL)
            sigaction(numbers[i], &tell, NULL);
    }
}
