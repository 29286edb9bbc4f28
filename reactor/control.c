// SPDX-License-Identifier: Apache-2.0
//
// Calls that are done at once.

#include <errno.h>

#include "reactor/reactor.h"
#include "reactor/table.h"

int32_t tina_reactor_socket(tina_reactor *reactor, tina_reactor_owner *owner,
                            tina_address_family family, tina_socket_kind kind, tina_fd *fd) {
    TINA_ASSERT(!owner->released);
    if (tina_fds_full(reactor)) {
        return TINA_IO_FDS_FULL;
    }
    int32_t os_fd = reactor->backend->socket(reactor->self, family, kind);
    if (os_fd < 0) {
        return os_fd;
    }
    *fd = tina_fds_own(reactor, tina_fds_take(reactor, os_fd), owner, FD_FULL);
    return 0;
}

int32_t tina_reactor_adopt(tina_reactor *reactor, tina_reactor_owner *owner, int32_t os_fd,
                           tina_fd *fd) {
    TINA_ASSERT(!owner->released);
    if (tina_fds_full(reactor)) {
        return TINA_IO_FDS_FULL;
    }
    if (reactor->backend->adopt == NULL) {
        return -EOPNOTSUPP;
    }
    int32_t own = reactor->backend->adopt(reactor->self, os_fd);
    if (own < 0) {
        return own;
    }
    *fd = tina_fds_own(reactor, tina_fds_take(reactor, own), owner, FD_FULL);
    return 0;
}

void tina_reactor_discard_fd(tina_reactor *reactor, tina_reactor_owner *owner, tina_fd fd) {
    uint32_t index = tina_fds_find(reactor, owner, fd);
    if (index == 0) {
        return;
    }
    TINA_ASSERT(reactor->fds[index].read_op == 0 && reactor->fds[index].write_op == 0);
    tina_fds_begin_close(reactor, index, 0);
}

// Returns the OS's fd, or BAD_FD or NO_RIGHT.
static int32_t os_fd_of(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                        uint32_t rights) {
    uint32_t index = tina_fds_find(reactor, owner, fd);
    if (index == 0) {
        return TINA_IO_BAD_FD;
    }
    bool allowed = (tina_fds_rights(reactor, fd) & rights) == rights;
    return allowed ? reactor->fds[index].os_fd : TINA_IO_NO_RIGHT;
}

int32_t tina_reactor_bind(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                          const tina_address *address) {
    if (!tina_address_is_valid(address)) {
        return TINA_IO_BAD_OP;
    }
    int32_t os_fd = os_fd_of(reactor, owner, fd, FD_FULL);
    return os_fd < 0 ? os_fd : reactor->backend->bind(reactor->self, os_fd, address);
}

int32_t tina_reactor_listen(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                            uint32_t backlog) {
    int32_t os_fd = os_fd_of(reactor, owner, fd, FD_FULL);
    return os_fd < 0 ? os_fd : reactor->backend->listen(reactor->self, os_fd, backlog);
}

static bool option_is_in_range(tina_socket_option option, int32_t value) {
    switch (option) {
    case TINA_OPTION_REUSE_ADDRESS:
    case TINA_OPTION_REUSE_PORT:
    case TINA_OPTION_NO_DELAY:
    case TINA_OPTION_IPV6_ONLY:
    case TINA_OPTION_KEEP_ALIVE:
    case TINA_OPTION_BROADCAST:
        return value == 0 || value == 1;
    case TINA_OPTION_RECV_BUFFER:
    case TINA_OPTION_SEND_BUFFER:
    case TINA_OPTION_UNSENT_BYTES:
        return value > 0;
    case TINA_OPTION_LINGER:
    case TINA_OPTION_UNACKNOWLEDGED_MS:
        return value >= 0;
    case TINA_OPTION_KEEP_ALIVE_S:
        return value > 0 && value <= 32767;
    case TINA_OPTION_COUNT:
        break;
    }
    return false;
}

int32_t tina_reactor_set_option(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                                tina_socket_option option, int32_t value) {
    if (!option_is_in_range(option, value)) {
        return TINA_IO_BAD_OP;
    }
    int32_t os_fd = os_fd_of(reactor, owner, fd, FD_FULL);
    return os_fd < 0 ? os_fd : reactor->backend->set_option(reactor->self, os_fd, option, value);
}

int32_t tina_reactor_shutdown(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                              tina_shutdown_side side) {
    uint32_t rights = side == TINA_SHUTDOWN_READ    ? FD_READ
                      : side == TINA_SHUTDOWN_WRITE ? FD_WRITE
                                                    : FD_FULL;
    int32_t os_fd = os_fd_of(reactor, owner, fd, rights);
    return os_fd < 0 ? os_fd : reactor->backend->shutdown(reactor->self, os_fd, side);
}

int32_t tina_reactor_local_address(tina_reactor *reactor, const tina_reactor_owner *owner,
                                   tina_fd fd, tina_address *address) {
    int32_t os_fd = os_fd_of(reactor, owner, fd, 0);
    return os_fd < 0 ? os_fd : reactor->backend->local_address(reactor->self, os_fd, address);
}

int32_t tina_reactor_peer_address(tina_reactor *reactor, const tina_reactor_owner *owner,
                                  tina_fd fd, tina_address *address) {
    int32_t os_fd = os_fd_of(reactor, owner, fd, 0);
    return os_fd < 0 ? os_fd : reactor->backend->peer_address(reactor->self, os_fd, address);
}
