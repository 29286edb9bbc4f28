// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // SOCK_CLOEXEC

#include "reactor/os_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/assert.h"

socklen_t tina_os_address_of(const tina_address *address, tina_os_address *os_address) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    struct sockaddr_in6 ipv6 = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(address->port),
        .sin6_scope_id = address->scope,
    };
    memset(os_address, 0, sizeof *os_address);
    switch (address->family) {
    case TINA_ADDRESS_IPV4:
        memcpy(&ipv4.sin_addr, address->ip, sizeof ipv4.sin_addr);
        memcpy(os_address, &ipv4, sizeof ipv4);
        return sizeof ipv4;
    case TINA_ADDRESS_IPV6:
        memcpy(&ipv6.sin6_addr, address->ip, sizeof ipv6.sin6_addr);
        memcpy(os_address, &ipv6, sizeof ipv6);
        return sizeof ipv6;
    case TINA_ADDRESS_UNIX:
        TINA_ASSERT(address->path_bytes <= TINA_UNIX_PATH_BYTES_MAX);
        os_address->longest.sun_family = AF_UNIX;
        memcpy(os_address->longest.sun_path, address->path, address->path_bytes);
        return (socklen_t)offsetof(struct sockaddr_un, sun_path) + address->path_bytes;
    default:
        return 0;
    }
}

void tina_os_address_from(const tina_os_address *os_address, socklen_t bytes,
                          tina_address *address) {
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    size_t path_start = offsetof(struct sockaddr_un, sun_path);
    *address = (tina_address){0};
    switch (bytes < sizeof os_address->any.sa_family ? AF_UNSPEC : os_address->any.sa_family) {
    case AF_INET:
        memcpy(&ipv4, os_address, sizeof ipv4);
        address->family = TINA_ADDRESS_IPV4;
        address->port = ntohs(ipv4.sin_port);
        memcpy(address->ip, &ipv4.sin_addr, sizeof ipv4.sin_addr);
        break;
    case AF_INET6:
        memcpy(&ipv6, os_address, sizeof ipv6);
        address->family = TINA_ADDRESS_IPV6;
        address->port = ntohs(ipv6.sin6_port);
        address->scope = ipv6.sin6_scope_id;
        memcpy(address->ip, &ipv6.sin6_addr, sizeof ipv6.sin6_addr);
        break;
    case AF_UNIX:
        address->family = TINA_ADDRESS_UNIX;
        address->path_bytes = (uint8_t)strnlen(os_address->longest.sun_path,
                                               bytes > path_start ? bytes - path_start : 0);
        memcpy(address->path, os_address->longest.sun_path, address->path_bytes);
        break;
    default:
        break;
    }
}

static int or_errno(int result) {
    return result < 0 ? -errno : result;
}

// Not O_NONBLOCK: io_uring would then answer EAGAIN where it should wait.
int tina_os_socket(void *self, tina_address_family family, tina_socket_kind kind) {
    (void)self;
    int type = (kind == TINA_SOCKET_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
    switch (family) {
    case TINA_ADDRESS_IPV4:
        return or_errno(socket(AF_INET, type, 0));
    case TINA_ADDRESS_IPV6:
        return or_errno(socket(AF_INET6, type, 0));
    case TINA_ADDRESS_UNIX:
        return or_errno(socket(AF_UNIX, type, 0));
    case TINA_ADDRESS_NONE:
        break;
    }
    return -EAFNOSUPPORT;
}

static int option_get(int os_fd, int option) {
    int value = 0;
    socklen_t bytes = sizeof value;
    return getsockopt(os_fd, SOL_SOCKET, option, &value, &bytes) < 0 ? -errno : value;
}

int tina_os_adopt(int os_fd, bool blocking) {
    int listens = option_get(os_fd, SO_ACCEPTCONN);
    int own = listens < 0 ? listens : or_errno(fcntl(os_fd, F_DUPFD_CLOEXEC, 3));
    if (listens <= 0 || own < 0) {
        return own;
    }
    int flags = fcntl(own, F_GETFL);
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    if (fcntl(own, F_SETFL, flags) < 0) {
        int failed = -errno;
        (void)close(own);
        return failed;
    }
    return own;
}

// Whether a Unix path is a socket that nobody has bound any more: connecting to it is refused. So
// is connecting to one that is bound and does not listen yet, which two programs that start at the
// same time on one path would have to be told apart by other means.
static bool path_is_stale(int os_fd, const tina_os_address *at, socklen_t bytes) {
    struct stat found;
    if (lstat(at->longest.sun_path, &found) < 0 || !S_ISSOCK(found.st_mode)) {
        return false;
    }
    int probe = socket(AF_UNIX, option_get(os_fd, SO_TYPE) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) {
        return false;
    }
    bool refused = connect(probe, &at->any, bytes) < 0 && errno == ECONNREFUSED;
    (void)close(probe);
    return refused;
}

int tina_os_bind(void *self, int os_fd, const tina_address *address) {
    (void)self;
    tina_os_address at;
    socklen_t bytes = tina_os_address_of(address, &at);
    int result = or_errno(bind(os_fd, &at.any, bytes));
    if (result != -EADDRINUSE || address->family != TINA_ADDRESS_UNIX ||
        option_get(os_fd, SO_REUSEADDR) != 1 || !path_is_stale(os_fd, &at, bytes)) {
        return result;
    }
    (void)unlink(at.longest.sun_path);
    return or_errno(bind(os_fd, &at.any, bytes));
}

int tina_os_listen(void *self, int os_fd, uint32_t backlog) {
    (void)self;
    return or_errno(listen(os_fd, backlog < INT_MAX ? (int)backlog : INT_MAX));
}

static int option_set(int os_fd, int level, int option, int value) {
    return or_errno(setsockopt(os_fd, level, option, &value, sizeof value));
}

static int keep_alive_set(int os_fd, int seconds) {
    int result = option_set(os_fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    return result < 0 ? result : option_set(os_fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
}

int tina_os_set_option(void *self, int os_fd, tina_socket_option option, int32_t value) {
    (void)self;
    struct linger linger = {.l_onoff = 1, .l_linger = value};
    switch (option) {
    case TINA_OPTION_REUSE_ADDRESS:
        return option_set(os_fd, SOL_SOCKET, SO_REUSEADDR, value);
    case TINA_OPTION_REUSE_PORT:
        return option_set(os_fd, SOL_SOCKET, SO_REUSEPORT, value);
    case TINA_OPTION_NO_DELAY:
        return option_set(os_fd, IPPROTO_TCP, TCP_NODELAY, value);
    case TINA_OPTION_RECV_BUFFER:
        return option_set(os_fd, SOL_SOCKET, SO_RCVBUF, value);
    case TINA_OPTION_SEND_BUFFER:
        return option_set(os_fd, SOL_SOCKET, SO_SNDBUF, value);
    case TINA_OPTION_LINGER:
        return or_errno(setsockopt(os_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    case TINA_OPTION_IPV6_ONLY:
        return option_set(os_fd, IPPROTO_IPV6, IPV6_V6ONLY, value);
    case TINA_OPTION_KEEP_ALIVE:
        return option_set(os_fd, SOL_SOCKET, SO_KEEPALIVE, value);
    case TINA_OPTION_KEEP_ALIVE_S:
        return keep_alive_set(os_fd, value);
    case TINA_OPTION_UNACKNOWLEDGED_MS:
        return option_set(os_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value);
    case TINA_OPTION_BROADCAST:
        return option_set(os_fd, SOL_SOCKET, SO_BROADCAST, value);
    case TINA_OPTION_UNSENT_BYTES:
        return option_set(os_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value);
    case TINA_OPTION_COUNT:
        break;
    }
    return -EINVAL;
}

int tina_os_shutdown(void *self, int os_fd, tina_shutdown_side side) {
    (void)self;
    static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    TINA_ASSERT((unsigned)side < sizeof how / sizeof how[0]);
    return or_errno(shutdown(os_fd, how[side]));
}

int tina_os_local_address(void *self, int os_fd, tina_address *address) {
    (void)self;
    tina_os_address at;
    socklen_t bytes = sizeof at;
    if (getsockname(os_fd, &at.any, &bytes) < 0) {
        return -errno;
    }
    tina_os_address_from(&at, bytes, address);
    return 0;
}

int tina_os_peer_address(void *self, int os_fd, tina_address *address) {
    (void)self;
    tina_os_address at;
    socklen_t bytes = sizeof at;
    if (getpeername(os_fd, &at.any, &bytes) < 0) {
        return -errno;
    }
    tina_os_address_from(&at, bytes, address);
    return 0;
}

void tina_os_close_now(void *self, int os_fd) {
    (void)self;
    (void)close(os_fd);
}
