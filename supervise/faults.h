// SPDX-License-Identifier: Apache-2.0
//
// Faults for tests: real accesses and instructions, which neither the compiler nor a sanitizer sees
// coming. What overflows is not instrumented: ThreadSanitizer would run out of stack holding a
// lock.

#ifndef TINA_SUPERVISE_FAULTS_H
#define TINA_SUPERVISE_FAULTS_H

#include "core/assert.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace tina {

inline void Read(uintptr_t address) {
    __asm__ volatile("movb (%0), %%al" : : "r"(address) : "rax", "memory");
}

inline void FaultNull() {
    Read(0);
}

inline void FaultWrite() {
    __asm__ volatile("movb $1, (%0)" : : "r"(uintptr_t{0x18}) : "memory");
}

// Not an address at all: the processor does not tell it.
inline void FaultWild() {
    Read(0xdead'beef'dead'beefu);
}

inline void FaultGuardPage() {
    static void *const guard = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Read(reinterpret_cast<uintptr_t>(guard));
}

inline void FaultMisaligned() {
    alignas(16) static char memory[32];
    __asm__ volatile("movaps (%0), %%xmm0" : : "r"(memory + 1) : "xmm0", "memory");
}

// A file's mapping beyond its end.
inline void FaultBus() {
    static void *const beyond = [] {
        int fd = memfd_create("empty", MFD_CLOEXEC);
        void *mapped = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        return mapped;
    }();
    Read(reinterpret_cast<uintptr_t>(beyond));
}

// Misaligned with the alignment check on.
inline void FaultAlignmentCheck() {
    static char memory[32];
    __asm__ volatile("pushfq\n\torq $0x40000, (%%rsp)\n\tpopfq\n\tmovl 1(%0), %%eax"
                     :
                     : "r"(memory)
                     : "rax", "memory", "cc");
}

inline void FaultDivide() {
    __asm__ volatile("xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\tcltd\n\tidivl %%ecx"
                     :
                     :
                     : "rax", "rcx", "rdx", "cc");
}

inline void FaultIllegal() {
    __asm__ volatile("ud2");
}

inline void FaultJump() {
    __asm__ volatile("call *%0" : : "r"(uintptr_t{0x10}) : "memory");
}

inline void FaultAbort() {
    std::abort();
}

inline void FaultAssert() {
    volatile bool holds = false;
    TINA_ASSERT(holds);
}

__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) inline int
FaultRecurse(int depth) {
    volatile char frame[64];
    frame[depth & 63] = static_cast<char>(depth);
    return depth < 0 ? 0 : FaultRecurse(depth + 1) + frame[depth & 63];
}

__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) inline int
FaultRecurseLarge(int depth) {
    volatile char frame[300000];
    frame[depth & 63] = static_cast<char>(depth);
    return depth < 0 ? 0 : FaultRecurseLarge(depth + 1) + frame[depth & 63];
}

inline void FaultOverflow() {
    (void)FaultRecurse(0);
}

inline void FaultOverflowLarge() {
    (void)FaultRecurseLarge(0);
}

// A frame that nobody probed, far beyond any guard page.
inline void FaultOverflowLeap() {
    Read(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - (uintptr_t{32} << 20));
}

inline void FaultMemcpy() {
    char to[64];
    const char *volatile from = reinterpret_cast<const char *>(uintptr_t{0x30});
    volatile size_t bytes = sizeof to;
    std::memcpy(to, from, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
}

inline void FaultStrlen() {
    const char *volatile text = reinterpret_cast<const char *>(uintptr_t{0x40});
    volatile size_t length = std::strlen(text);
    (void)length;
}

// In libc, and not in a function that only touches what it is given.
inline void FaultInLibc() {
    const char *volatile text = reinterpret_cast<const char *>(uintptr_t{0x50});
    volatile long number = std::strtol(text, nullptr, 10);
    (void)number;
}

} // namespace tina

#endif
