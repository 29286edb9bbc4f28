// SPDX-License-Identifier: Apache-2.0
//
// The epoll backend, for machines where io_uring is refused. An op is tried when it is handed over,
// by the wait, and again when epoll says that it can go on; so each costs the system call that does
// it, besides one epoll_wait for all that became ready together.
//
// epoll has no word that tells a busy loop that something came, so such a loop asks it at a stated
// cadence.

#ifndef TINA_REACTOR_EPOLL_H
#define TINA_REACTOR_EPOLL_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_reactor_backend tina_reactor_epoll;

#define TINA_EPOLL_POLL_INTERVAL_NS UINT64_C(50000)

struct epoll_event;

// The backend's options. Zero: the default. The calls return a value >= 0 or -errno, and are there
// so that a test can be an older or a poorer kernel.
typedef struct tina_reactor_epoll_options {
    uint64_t poll_interval_ns; // of a busy loop; default TINA_EPOLL_POLL_INTERVAL_NS
    uint32_t event_count;      // taken by one epoll_wait; default fd_count, 256 at most
    int (*create)(void);       // the epoll's fd
    int (*event_fd)(void);
    // As epoll_pwait2(2), Linux 5.11, without a signal mask; a timeout of UINT64_MAX never ends.
    int (*wait)(int epoll_fd, struct epoll_event *events, int count, uint64_t timeout_ns);
} tina_reactor_epoll_options;

#ifdef __cplusplus
}
#endif

#endif
