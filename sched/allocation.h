// SPDX-License-Identifier: Apache-2.0
//
// No allocation after boot, seen twice: by replacing the allocator's names, and by a filter that
// kills the process when a thread maps memory. Included by one file of a test; defines functions.

#ifndef TINA_SCHED_ALLOCATION_H
#define TINA_SCHED_ALLOCATION_H

#include <cstddef>
#include <cstdlib>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// While `armed`, every call on a thread that said `on_shard` is counted.
static thread_local bool on_shard = false;
static volatile bool armed = false;
static volatile int allocations = 0;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

// A sanitizer has an allocator of its own, which must not be replaced.
#ifndef SANITIZED
extern "C" {
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

static void Seen() {
    if (armed && on_shard)
        allocations = allocations + 1;
}
void *malloc(size_t bytes) noexcept {
    Seen();
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) noexcept {
    Seen();
    return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes) noexcept {
    Seen();
    return __libc_realloc(memory, bytes);
}
void free(void *memory) noexcept {
    Seen();
    __libc_free(memory);
}
void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
    Seen();
    return reinterpret_cast<void *>(
        syscall(SYS_mmap, address, bytes, protection, flags, fd, offset));
}
int munmap(void *address, size_t bytes) noexcept {
    Seen();
    return static_cast<int>(syscall(SYS_munmap, address, bytes));
}
}
#endif

// ForbidMapping kills the process as soon as the calling thread maps or unmaps memory.
inline void ForbidMapping() {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    sock_fprog filter = {sizeof program / sizeof program[0], program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(99);
}

#endif
