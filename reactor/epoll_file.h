// SPDX-License-Identifier: Apache-2.0
//
// The file thread. epoll cannot wait for files, and calls on them block, so one thread a backend
// makes these calls, one after the other.
//
//     start ──▶ ring of requests ──▶ thread: the call ──▶ ring of answers ──▶ take
//
// A job is claimed by whoever exchanges its word first: the thread to run it, or a cancel, after
// which the thread passes it back without having looked at anything the op names.

#ifndef TINA_REACTOR_EPOLL_FILE_H
#define TINA_REACTOR_EPOLL_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"
#include "reactor/backend.h"
#include "ring/ring.h"
#include "ring/sleeper.h"

#ifdef __cplusplus
extern "C" {
#endif

// Jobs that the thread has or that wait for it; the others wait with the backend, which can take
// them back without asking.
#define TINA_EPOLL_JOBS     16u
#define TINA_EPOLL_ALL_JOBS ((UINT32_C(1) << TINA_EPOLL_JOBS) - 1) // a bit each

typedef struct tina_epoll_job {
    tina_backend_op op;
    void *to;       // read: where the bytes go; stat: a struct statx
    uint32_t row;   // the backend's name for the op; 0: free, or canceled
    int32_t result; // the thread's answer
    bool is_file;   // what was opened is no pipe, terminal or other device that epoll can watch
    tina_atomic_u32 claim;
} tina_epoll_job;

typedef struct tina_epoll_files {
    tina_ring requests; // items are jobs' numbers
    tina_ring answers;
    tina_sleeper sleeper; // the thread's
    uint64_t request_items[2 * TINA_EPOLL_JOBS];
    uint64_t answer_items[2 * TINA_EPOLL_JOBS];
    tina_epoll_job jobs[TINA_EPOLL_JOBS];
    uint32_t free_jobs; // a bit each
    int work_fd;        // an eventfd: the thread sleeps in reading it
    pthread_t thread;
    void (*wake)(void *self); // called by the thread when there is an answer
    void *wake_self;
} tina_epoll_files;

// tina_epoll_files_open starts the thread, which blocks all signals. *files stays in place until
// tina_epoll_files_close. Returns 0 or -errno.
int tina_epoll_files_open(tina_epoll_files *files, void (*wake)(void *self), void *wake_self);

// tina_epoll_files_close waits for the call that the thread is in.
void tina_epoll_files_close(tina_epoll_files *files);

// tina_epoll_files_full returns whether all jobs are out; then nothing may be started.
static inline bool tina_epoll_files_full(const tina_epoll_files *files) {
    return files->free_jobs == 0;
}

// tina_epoll_files_start hands an op over: open, read, write, fsync, stat, rename or unlink. What
// it points to, and `to`, are the thread's until its answer or its cancel. *calls counts system
// calls.
void tina_epoll_files_start(tina_epoll_files *files, const tina_backend_op *op, uint32_t row,
                            void *to, uint32_t *calls);

// tina_epoll_files_cancel returns true when the op has not run and will not, and has no answer;
// false when its answer comes or has come.
bool tina_epoll_files_cancel(tina_epoll_files *files, uint32_t row);

typedef struct tina_epoll_answer {
    uint32_t row;
    int32_t result;
    bool is_file;
} tina_epoll_answer;

// tina_epoll_files_take returns false when no answer is there.
bool tina_epoll_files_take(tina_epoll_files *files, tina_epoll_answer *answer);

// tina_epoll_files_idle returns whether the thread has nothing of ours.
static inline bool tina_epoll_files_idle(const tina_epoll_files *files) {
    return files->free_jobs == TINA_EPOLL_ALL_JOBS;
}

#ifdef __cplusplus
}
#endif

#endif
