// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // statx

#include "reactor/epoll_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/assert.h"
#include "reactor/os_file.h"

enum {
    CLAIM_NONE = 0,
    CLAIM_THREAD,
    CLAIM_CANCEL,
};

#define STOP         UINT64_MAX // a request that is no job's number
#define STACK_BYTES  262144u
#define RING_ENTRIES (2 * TINA_EPOLL_JOBS)

static int32_t or_errno(ssize_t result) {
    return result < 0 ? -errno : (int32_t)result;
}

static int32_t read_do(const tina_backend_op *op, void *to) {
    return or_errno(op->offset == TINA_OFFSET_POSITION
                        ? read(op->os_fd, to, op->bytes)
                        : pread(op->os_fd, to, op->bytes, (off_t)op->offset));
}

static int32_t write_do(const tina_backend_op *op) {
    return or_errno(op->offset == TINA_OFFSET_POSITION
                        ? write(op->os_fd, op->data, op->bytes)
                        : pwrite(op->os_fd, op->data, op->bytes, (off_t)op->offset));
}

static int32_t stat_do(const tina_backend_op *op, struct statx *to) {
    return or_errno(op->os_fd < 0 ? statx(AT_FDCWD, op->data, 0, tina_os_stat_mask(), to)
                                  : statx(op->os_fd, "", AT_EMPTY_PATH, tina_os_stat_mask(), to));
}

static int32_t rename_do(const char *from) {
    return or_errno(rename(from, from + strlen(from) + 1));
}

static int os_open(const tina_backend_op *op) {
    if (op->how & TINA_OPEN_NO_LINKS) // glibc has no wrapper
        return (int)syscall(SYS_openat2, AT_FDCWD, op->data, tina_os_open_no_links(),
                            sizeof(struct open_how));
    return open(op->data, tina_os_open_flags(op->how), (mode_t)op->bytes);
}

static int32_t open_do(tina_epoll_job *job) {
    struct stat opened;
    int fd = os_open(&job->op);
    int32_t result = or_errno(fd);
    job->is_file = fd >= 0 && fstat(fd, &opened) == 0 &&
                   (S_ISREG(opened.st_mode) || S_ISDIR(opened.st_mode) || S_ISBLK(opened.st_mode));
    return result;
}

static int32_t job_run(tina_epoll_job *job) {
    const tina_backend_op *op = &job->op;
    switch (op->kind) {
    case TINA_OP_OPEN:
        return open_do(job);
    case TINA_OP_READ:
        return read_do(op, job->to);
    case TINA_OP_WRITE:
        return write_do(op);
    case TINA_OP_FSYNC:
        return or_errno(fsync(op->os_fd));
    case TINA_OP_STAT:
        return stat_do(op, job->to);
    case TINA_OP_RENAME:
        return rename_do(op->data);
    case TINA_OP_UNLINK:
        return or_errno(unlink(op->data));
    default:
        tina_assert_failed("an op that is none of files", __FILE__, __LINE__);
    }
}

// Neither ring is ever full: it holds more than there are jobs.
static void item_push(tina_ring *ring, uint64_t item) {
    uint32_t one = 1;
    uint64_t *slot = tina_ring_claim(ring, &one);
    TINA_ASSERT(slot != NULL);
    *slot = item;
    tina_ring_publish(ring, 1);
}

static bool item_take(tina_ring *ring, uint64_t *item) {
    uint32_t one = 1;
    const uint64_t *slot = tina_ring_peek(ring, &one);
    if (slot == NULL) {
        return false;
    }
    *item = *slot;
    tina_ring_consume(ring, 1);
    return true;
}

static uint64_t request_await(tina_epoll_files *files) {
    uint64_t item;
    while (!item_take(&files->requests, &item)) {
        tina_sleeper_announce(&files->sleeper);
        if (tina_ring_readable(&files->requests) == 0) {
            uint64_t wakes;
            ssize_t taken = read(files->work_fd, &wakes, sizeof wakes);
            (void)taken; // the ring knows
        }
        tina_sleeper_awake(&files->sleeper);
    }
    return item;
}

static void *thread_main(void *argument) {
    tina_epoll_files *files = argument;
    for (;;) {
        uint64_t item = request_await(files);
        if (item == STOP) {
            return NULL;
        }
        tina_epoll_job *job = &files->jobs[item];
        // Pairs with the exchange in tina_epoll_files_cancel.
        if (tina_atomic_u32_exchange(&job->claim, CLAIM_THREAD) == CLAIM_NONE) {
            job->result = job_run(job);
        }
        item_push(&files->answers, item);
        files->wake(files->wake_self);
    }
}

static void request_push(tina_epoll_files *files, uint64_t item, uint32_t *calls) {
    item_push(&files->requests, item);
    if (tina_sleeper_must_wake(&files->sleeper)) {
        uint64_t one = 1;
        ssize_t written = write(files->work_fd, &one, sizeof one);
        (void)written; // cannot fail before 2^64 wakes
        (*calls)++;
    }
}

void tina_epoll_files_start(tina_epoll_files *files, const tina_backend_op *op, uint32_t row,
                            void *to, uint32_t *calls) {
    TINA_ASSERT(row != 0);
    TINA_ASSERT(!tina_epoll_files_full(files));
    uint32_t number = (uint32_t)__builtin_ctz(files->free_jobs);
    files->free_jobs &= files->free_jobs - 1;
    tina_epoll_job *job = &files->jobs[number];
    job->op = *op;
    job->to = to;
    job->row = row;
    tina_atomic_u32_store_relaxed(&job->claim, CLAIM_NONE); // published with the request
    request_push(files, number, calls);
}

bool tina_epoll_files_cancel(tina_epoll_files *files, uint32_t row) {
    for (uint32_t i = 0; i < TINA_EPOLL_JOBS; i++) {
        tina_epoll_job *job = &files->jobs[i];
        if (job->row != row) {
            continue;
        }
        // Pairs with the exchange in thread_main: one of the two reads CLAIM_NONE.
        if (tina_atomic_u32_exchange(&job->claim, CLAIM_CANCEL) != CLAIM_NONE) {
            return false;
        }
        job->row = 0;
        return true;
    }
    tina_assert_failed("no job is this op's", __FILE__, __LINE__);
}

bool tina_epoll_files_take(tina_epoll_files *files, tina_epoll_answer *answer) {
    uint64_t item;
    while (item_take(&files->answers, &item)) {
        tina_epoll_job *job = &files->jobs[item];
        TINA_ASSERT((files->free_jobs >> item & 1) == 0);
        files->free_jobs |= UINT32_C(1) << item;
        *answer = (tina_epoll_answer){job->row, job->result, job->is_file};
        job->row = 0;
        if (answer->row != 0) {
            return true;
        }
    }
    return false;
}

static int thread_start(tina_epoll_files *files) {
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int failed = pthread_attr_init(&attributes);
    if (failed != 0) {
        return -failed;
    }
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&files->thread, &attributes, thread_main, files);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -failed;
}

int tina_epoll_files_open(tina_epoll_files *files, void (*wake)(void *self), void *wake_self) {
    memset(files, 0, sizeof *files);
    tina_ring_init(&files->requests, files->request_items, RING_ENTRIES, sizeof(uint64_t), 0);
    tina_ring_init(&files->answers, files->answer_items, RING_ENTRIES, sizeof(uint64_t), 0);
    tina_sleeper_init(&files->sleeper);
    files->free_jobs = TINA_EPOLL_ALL_JOBS;
    files->wake = wake;
    files->wake_self = wake_self;
    files->work_fd = eventfd(0, EFD_CLOEXEC);
    if (files->work_fd < 0) {
        return -errno;
    }
    int failed = thread_start(files);
    if (failed != 0) {
        (void)close(files->work_fd);
    }
    return failed;
}

void tina_epoll_files_close(tina_epoll_files *files) {
    uint32_t calls = 0;
    request_push(files, STOP, &calls);
    (void)pthread_join(files->thread, NULL);
    (void)close(files->work_fd);
}
