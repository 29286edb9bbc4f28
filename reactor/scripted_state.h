// SPDX-License-Identifier: Apache-2.0
//
// What the scripted backend is made of, for its own files only.

#ifndef TINA_REACTOR_SCRIPTED_STATE_H
#define TINA_REACTOR_SCRIPTED_STATE_H

#include "reactor/scripted.h"
#include "reactor/scripted_files.h"
#include "reactor/scripted_net.h"

typedef struct scripted_op {
    tina_backend_op op;
    int32_t failure;  // fail_next's
    uint32_t results; // so far
    bool canceled;
} scripted_op;

// What a recvfrom brought besides its bytes.
typedef struct scripted_sender {
    tina_address address;
    bool cut;
} scripted_sender;

struct tina_scripted {
    tina_scripted_controls controls;
    scripted_net net;
    scripted_files files;
    tina_backend_buffers buffers;
    scripted_sender *senders; // one for each place of an address
    tina_file_stat *stats;    // ... of a path
    scripted_op *pending;     // in the order they were staged
    uint32_t pending_count;
    uint32_t staged_count; // since the last wait
    uint32_t stage_count_max;
    uint32_t op_count;
    tina_backend_result *results; // oldest first
    uint32_t result_count;
    uint32_t more_count; // of them
    uint16_t *lent;      // a stack
    uint32_t lent_count;
    bool woken;
};

// os_fds count sockets first and open files behind them; -1 when it is no file's.
static inline int32_t tina_scripted_file_of(const tina_scripted *s, int os_fd) {
    return os_fd >= s->net.socket_count ? os_fd - s->net.socket_count : -1;
}

// Returns -EAGAIN when the op would wait.
int32_t tina_scripted_try(tina_scripted *s, const scripted_op *pending, uint16_t *buffer);
void tina_scripted_close_os_fd(tina_scripted *s, int os_fd);

#endif
