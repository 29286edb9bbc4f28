// SPDX-License-Identifier: Apache-2.0
//
// For tests that run once a backend: TINA_TEST_BACKEND is "io_uring" or "epoll", and without it the
// choice is the system's. And for those that take io_uring away.

#ifndef TINA_SCHED_TEST_BACKEND_H
#define TINA_SCHED_TEST_BACKEND_H

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sched/spec.h"

// TestBackend ends the process when the variable names none, so that no run passes by mistake.
inline tina_backend TestBackend() {
    const char *name = getenv("TINA_TEST_BACKEND");
    tina_backend backend = TINA_BACKEND_AUTO;
    if (name && !tina_backend_parse(name, &backend))
        _exit(87);
    return backend;
}

// IsTestBackend returns whether a running program's backend is the one that was wanted.
inline bool IsTestBackend(const char *name) {
    const char *wanted = getenv("TINA_TEST_BACKEND");
    return !wanted || std::strcmp(name, wanted) == 0;
}

// ForbidIoUring makes its calls fail with an error from here on, in this process and those that it
// starts.
inline void ForbidIoUring(unsigned error) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_register, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
    };
    sock_fprog filter = {sizeof program / sizeof program[0], program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(99);
}

#endif
