// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // syscall

#include "reactor/uring_open.h"
#include "core/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COMMON (IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL)

// From the newest kernel to the oldest. TASKRUN_FLAG is what tells a busy loop that an enter would
// bring something; without it completions come by interrupting us, and the ring needs no hint.
static const uint32_t rungs[] = {
    COMMON | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER |
        IORING_SETUP_DEFER_TASKRUN, // Linux 6.1
    COMMON | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER |
        IORING_SETUP_COOP_TASKRUN,                                  // 6.0
    COMMON | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_COOP_TASKRUN, // 5.19
    COMMON,                                                         // 5.18
    IORING_SETUP_CQSIZE,                                            // 5.5
};

static int setup_call(uint32_t entries, struct io_uring_params *params) {
    long fd = syscall(__NR_io_uring_setup, entries, params);
    return fd < 0 ? -errno : (int)fd;
}

static int register_call(int ring_fd, uint32_t opcode, void *argument, uint32_t count) {
    long result = syscall(__NR_io_uring_register, ring_fd, opcode, argument, count);
    return result < 0 ? -errno : (int)result;
}

static int event_fd_call(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static tina_reactor_uring_options calls_of(const tina_reactor_uring_options *options) {
    tina_reactor_uring_options calls = *options;
    calls.setup = calls.setup != NULL ? calls.setup : setup_call;
    calls.register_call = calls.register_call != NULL ? calls.register_call : register_call;
    calls.event_fd = calls.event_fd != NULL ? calls.event_fd : event_fd_call;
    return calls;
}

static int setup_explain(int error, char *text, size_t bytes) {
    struct rlimit locked = {0};
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_MEMLOCK, &locked);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    switch (-error) {
    case ENOSYS:
        (void)tina_format(text, bytes,
                          "this kernel has no io_uring (io_uring_setup: ENOSYS): run Linux 5.19 or "
                          "later, built with CONFIG_IO_URING, or choose another backend");
        break;
    case EPERM:
    case EACCES:
        (void)tina_format(text, bytes,
                          "io_uring is forbidden here (io_uring_setup: %s): set the sysctl "
                          "kernel.io_uring_disabled to 0 and allow io_uring in the container's "
                          "seccomp profile, or choose another backend",
                          strerrorname_np(-error));
        break;
    case ENOMEM:
        (void)tina_format(
            text, bytes,
            "no memory for an io_uring (ENOMEM): RLIMIT_MEMLOCK is %llu bytes; raise it "
            "(ulimit -l) or lower op_count and buffer_count",
            (unsigned long long)locked.rlim_cur);
        break;
    case EMFILE:
        (void)tina_format(text, bytes,
                          "no file descriptor is left for an io_uring (EMFILE): RLIMIT_NOFILE is "
                          "%llu; raise it (ulimit -n)",
                          (unsigned long long)files.rlim_cur);
        break;
    case ENFILE:
        (void)tina_format(
            text, bytes,
            "no file descriptor is left in the whole system (ENFILE): raise the sysctl "
            "fs.file-max");
        break;
    default:
        (void)tina_format(text, bytes, "an io_uring could not be set up: %s",
                          tina_io_error_text(error));
        break;
    }
    return error;
}

static int ring_open(struct io_uring *ring, const tina_reactor_uring_options *calls) {
    struct io_uring_params params;
    int fd = -EINVAL;
    for (size_t rung = 0; fd == -EINVAL && rung < sizeof rungs / sizeof rungs[0]; rung++) {
        memset(&params, 0, sizeof params);
        params.flags = rungs[rung];
        params.cq_entries = calls->cq_entries;
        fd = calls->setup(calls->sq_entries, &params);
    }
    if (fd < 0) {
        return fd;
    }
    int failed = io_uring_queue_mmap(fd, &params, ring);
    if (failed != 0) {
        (void)close(fd);
        return failed;
    }
    // Slots of the submission queue name their own entries, once and for all.
    for (uint32_t slot = 0; slot < params.sq_entries; slot++) {
        ring->sq.array[slot] = slot;
    }
    ring->features = params.features;
    return 0;
}

static int buffers_register(int ring_fd, const tina_reactor_uring_options *calls, void *buffers,
                            uint32_t count) {
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)buffers,
        .ring_entries = count,
        .bgid = TINA_URING_BUFFER_GROUP,
    };
    return calls->register_call(ring_fd, IORING_REGISTER_PBUF_RING, &registration, 1);
}

// Worth a lookup of the file an enter; a kernel before 5.18 does without.
static void ring_fd_register(tina_uring_kernel *kernel, const tina_reactor_uring_options *calls) {
    struct io_uring_rsrc_update update = {.offset = UINT32_MAX,
                                          .data = (uint32_t)kernel->ring.ring_fd};
    kernel->enter_fd = kernel->ring.ring_fd;
    kernel->enter_flags = 0;
    if (calls->register_call(kernel->ring.ring_fd, IORING_REGISTER_RING_FDS, &update, 1) == 1) {
        kernel->enter_fd = (int)update.offset;
        kernel->enter_flags = IORING_ENTER_REGISTERED_RING;
    }
}

int tina_uring_open(tina_uring_kernel *kernel, const tina_reactor_uring_options *options,
                    void *buffers, uint32_t buffer_count, char *error_text,
                    size_t error_text_bytes) {
    tina_reactor_uring_options calls = calls_of(options);
    int failed = ring_open(&kernel->ring, &calls);
    if (failed != 0) {
        return setup_explain(failed, error_text, error_text_bytes);
    }
    failed = buffers_register(kernel->ring.ring_fd, &calls, buffers, buffer_count);
    if (failed == -EINVAL || (kernel->ring.features & IORING_FEAT_EXT_ARG) == 0) {
        (void)tina_format(error_text, error_text_bytes,
                          "this kernel's io_uring has no provided-buffer rings: run Linux 5.19 or "
                          "later, or choose another backend");
        failed = -EOPNOTSUPP;
    } else if (failed < 0) {
        (void)setup_explain(failed, error_text, error_text_bytes);
    }
    kernel->event_fd = failed < 0 ? -1 : calls.event_fd();
    if (failed >= 0 && kernel->event_fd < 0) {
        failed = setup_explain(kernel->event_fd, error_text, error_text_bytes);
    }
    if (failed < 0) {
        io_uring_queue_exit(&kernel->ring);
        return failed;
    }
    ring_fd_register(kernel, &calls);
    // A flag of the same release as the op's own, which only an armed op would show.
    kernel->accept_multishot = (kernel->ring.flags & IORING_SETUP_TASKRUN_FLAG) != 0;
    kernel->recv_multishot = (kernel->ring.flags & IORING_SETUP_SINGLE_ISSUER) != 0;
    return 0;
}

void tina_uring_close(tina_uring_kernel *kernel, const tina_reactor_uring_options *options) {
    tina_reactor_uring_options calls = calls_of(options);
    if (kernel->enter_flags != 0) {
        struct io_uring_rsrc_update update = {.offset = (uint32_t)kernel->enter_fd};
        (void)calls.register_call(kernel->ring.ring_fd, IORING_UNREGISTER_RING_FDS, &update, 1);
    }
    io_uring_queue_exit(&kernel->ring);
    (void)close(kernel->event_fd);
}

// Whoever forbids io_uring forbids all of its calls, or the first, or any.
static int ring_try(const tina_reactor_uring_options *options, void *page) {
    tina_uring_kernel kernel;
    char text[256];
    int failed = tina_uring_open(&kernel, options, page, 1, text, sizeof text);
    if (failed != 0) {
        return failed;
    }
    long entered =
        syscall(__NR_io_uring_enter, kernel.ring.ring_fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    failed = entered < 0 ? -errno : 0;
    tina_uring_close(&kernel, options);
    return failed;
}

int tina_reactor_uring_probe(const tina_reactor_uring_options *options) {
    tina_reactor_uring_options small = {0};
    if (options != NULL) {
        small = *options;
    }
    small.sq_entries = 2;
    small.cq_entries = 4;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return -errno;
    }
    int failed = ring_try(&small, page);
    (void)munmap(page, page_bytes);
    return failed;
}
