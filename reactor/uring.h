// SPDX-License-Identifier: Apache-2.0
//
// The io_uring backend. Staging and reaping touch shared memory only; the one system call of a loop
// is io_uring_enter in tina_reactor_wait, and when nothing is staged and the kernel has nothing to
// say, not even that. It needs Linux 5.19 (provided-buffer rings), and uses what later kernels add.

#ifndef TINA_REACTOR_URING_H
#define TINA_REACTOR_URING_H

#include <stdint.h>

#include "reactor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_reactor_backend tina_reactor_uring;

struct io_uring_params;

// The backend's options. Zero: the default. The three calls are made by open only, return a value
// >= 0 or -errno, and are there so that a test can be an older, a stricter or a poorer kernel.
typedef struct tina_reactor_uring_options {
    uint32_t sq_entries; // default: op_count, 1024 at most
    uint32_t
        cq_entries; // default: twice op_count, 65536 at most; never a bound on what may complete
    int (*setup)(uint32_t entries, struct io_uring_params *params);
    int (*register_call)(int ring_fd, uint32_t opcode, void *argument, uint32_t count);
    int (*event_fd)(void);
} tina_reactor_uring_options;

// tina_reactor_uring_probe returns 0 when this kernel grants an io_uring that serves, or the -errno
// that says why not. It makes one and takes it down again; at boot only. options may be NULL.
int tina_reactor_uring_probe(const tina_reactor_uring_options *options);

#ifdef __cplusplus
}
#endif

#endif
