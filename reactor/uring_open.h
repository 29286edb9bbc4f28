// SPDX-License-Identifier: Apache-2.0

#ifndef TINA_REACTOR_URING_OPEN_H
#define TINA_REACTOR_URING_OPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <liburing.h>

#include "reactor/uring.h"

// What tina_uring_open makes.
typedef struct tina_uring_kernel {
    struct io_uring ring;
    int enter_fd;         // ring_fd, or its registered index
    uint32_t enter_flags; // IORING_ENTER_REGISTERED_RING
    int event_fd;
    bool accept_multishot; // Linux 5.19
    bool recv_multishot;   // 6.0
} tina_uring_kernel;

#define TINA_URING_BUFFER_GROUP 0

// tina_uring_open sets a ring up by the best set of flags that the kernel takes, with a
// provided-buffer ring of buffer_count entries at buffers (page-aligned). Returns 0, or -errno and
// a sentence; then nothing is left open.
int tina_uring_open(tina_uring_kernel *kernel, const tina_reactor_uring_options *options,
                    void *buffers, uint32_t buffer_count, char *error_text,
                    size_t error_text_bytes);
void tina_uring_close(tina_uring_kernel *kernel, const tina_reactor_uring_options *options);

#endif
