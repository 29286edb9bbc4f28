// SPDX-License-Identifier: Apache-2.0
//
// Sockets of this machine, for backends: the control calls, and addresses as the kernel wants them.
// Every call returns a value >= 0 or -errno.

#ifndef TINA_REACTOR_OS_SOCKET_H
#define TINA_REACTOR_OS_SOCKET_H

#include <sys/socket.h>
#include <sys/un.h>

#include "reactor/backend.h"
#include "reactor/io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef union tina_os_address {
    struct sockaddr any;
    struct sockaddr_un longest;
} tina_os_address;

// tina_os_address_of writes what connect(2) and bind(2) take and returns its length.
socklen_t tina_os_address_of(const tina_address *address, tina_os_address *os_address);

// tina_os_address_from reads what recvmsg(2) and getsockname(2) gave; of no bytes, no family.
void tina_os_address_from(const tina_os_address *os_address, socklen_t bytes,
                          tina_address *address);

int tina_os_socket(void *self, tina_address_family family, tina_socket_kind kind);

// tina_os_adopt returns an fd of our own for the same socket, or -errno. A listening one is made to
// block or not, as the backend needs it: all who share it see that.
int tina_os_adopt(int os_fd, bool blocking);

int tina_os_bind(void *self, int os_fd, const tina_address *address);
int tina_os_listen(void *self, int os_fd, uint32_t backlog);
int tina_os_set_option(void *self, int os_fd, tina_socket_option option, int32_t value);
int tina_os_shutdown(void *self, int os_fd, tina_shutdown_side side);
int tina_os_local_address(void *self, int os_fd, tina_address *address);
int tina_os_peer_address(void *self, int os_fd, tina_address *address);
void tina_os_close_now(void *self, int os_fd);

#ifdef __cplusplus
}
#endif

#endif
