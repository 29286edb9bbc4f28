// SPDX-License-Identifier: Apache-2.0
//
// From a backend's op to an entry of the submission queue.

#ifndef TINA_REACTOR_URING_OP_H
#define TINA_REACTOR_URING_OP_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <liburing.h>

#include "reactor/backend.h"
#include "reactor/os_socket.h"
#include "reactor/uring_open.h"

// What the kernel reads or writes on behalf of an op with an address, until the op's result.
typedef struct tina_uring_message {
    struct msghdr header;
    struct iovec bytes;
    tina_os_address address;
} tina_uring_message;

typedef struct tina_uring_places {
    tina_uring_message *messages; // one for each place of an address
    struct statx *stats;          // ... of a path
} tina_uring_places;

// tina_uring_prepare fills in *sqe; not for TINA_OP_CANCEL.
void tina_uring_prepare(const tina_uring_kernel *kernel, tina_uring_places *places,
                        struct io_uring_sqe *sqe, const tina_backend_op *op);

#endif
