// SPDX-License-Identifier: Apache-2.0
//
// What the kernel watches. It is level-triggered and outlives the op: a connection that receives
// again and again is registered once, its next receive parks without a try, and each costs one
// recv. What the kernel reports and nobody wants is marked on the row, so that the next op of that
// direction is tried at once, and no longer watched when it is reported again or when it ended a
// sleep.

#include <errno.h>

#include "core/assert.h"
#include "reactor/epoll_state.h"

uint8_t tina_epoll_events_of(const epoll_op *op) {
    switch (op->op.kind) {
    case TINA_OP_ACCEPT:
    case TINA_OP_RECV:
    case TINA_OP_RECVFROM:
    case TINA_OP_READ:
        return EPOLLIN;
    case TINA_OP_POLL:
        return (uint8_t)op->op.how;
    default:
        return EPOLLOUT;
    }
}

static void fd_park(tina_epoll_fd *fd, uint8_t events, uint32_t row) {
    if ((events & EPOLLIN) != 0) {
        TINA_ASSERT(fd->read_op == 0);
        fd->read_op = row;
    }
    if ((events & EPOLLOUT) != 0) {
        TINA_ASSERT(fd->write_op == 0);
        fd->write_op = row;
    }
}

void tina_epoll_unpark(tina_epoll_fd *fd, uint32_t row) {
    fd->read_op = fd->read_op == row ? 0 : fd->read_op;
    fd->write_op = fd->write_op == row ? 0 : fd->write_op;
}

static int fd_watch(epoll_state *e, tina_epoll_fd *fd, uint8_t events) {
    struct epoll_event event = {.events = events, .data = {.u64 = (uint32_t)fd->os_fd}};
    int how = events == 0 ? EPOLL_CTL_DEL : fd->armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    e->calls++;
    if (epoll_ctl(e->epoll_fd, how, fd->os_fd, &event) < 0) {
        return -errno;
    }
    fd->armed = events;
    return 0;
}

int tina_epoll_park(epoll_state *e, tina_epoll_fd *fd, uint32_t row) {
    uint8_t events = tina_epoll_events_of(&e->ops[row]);
    if ((fd->armed & events) != events) {
        int failed = fd_watch(e, fd, fd->armed | events);
        if (failed != 0) {
            return failed;
        }
    }
    fd_park(fd, events, row);
    fd->unclaimed &= (uint8_t)~events;
    e->ops[row].state = EPOLL_OP_PARKED;
    return 0;
}

void tina_epoll_forget(epoll_state *e, int os_fd) {
    tina_epoll_fd *fd = tina_epoll_fds_find(&e->fds, os_fd);
    if (fd != NULL && fd->is_shared && fd->armed != 0) {
        (void)fd_watch(e, fd, 0);
    }
    tina_epoll_fds_remove(&e->fds, os_fd);
}

void tina_epoll_unwanted(epoll_state *e, tina_epoll_fd *fd, uint8_t unclaimed, bool slept) {
    bool again = (fd->unclaimed & unclaimed) != 0;
    fd->unclaimed |= unclaimed;
    if (!again && !slept) {
        return;
    }
    uint8_t wanted =
        (uint8_t)((fd->read_op != 0 ? EPOLLIN : 0) | (fd->write_op != 0 ? EPOLLOUT : 0));
    fd->unclaimed &= wanted;
    if (wanted != fd->armed) {
        (void)fd_watch(e, fd, wanted); // if it fails, it is reported and tried again
    }
    if (wanted == 0 && !fd->is_shared) {
        tina_epoll_fds_remove(&e->fds, fd->os_fd);
    }
}
