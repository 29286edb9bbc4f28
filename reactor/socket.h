// SPDX-License-Identifier: Apache-2.0
//
// Words for the control calls of sockets.

#ifndef TINA_REACTOR_SOCKET_H
#define TINA_REACTOR_SOCKET_H

typedef enum tina_socket_kind {
    TINA_SOCKET_STREAM = 0, // TCP, Unix stream
    TINA_SOCKET_DATAGRAM,   // UDP, Unix datagram
} tina_socket_kind;

// Options, each with the values that it takes; another value is refused with TINA_IO_BAD_OP, an
// option that the socket's family or kind does not have with the OS's error.
typedef enum tina_socket_option {
    TINA_OPTION_REUSE_ADDRESS = 0, // SO_REUSEADDR: 0 or 1; Unix: bind replaces a path on which
                                   // nobody listens any more
    TINA_OPTION_REUSE_PORT,        // SO_REUSEPORT: 0 or 1
    TINA_OPTION_NO_DELAY,          // TCP_NODELAY: 0 or 1
    TINA_OPTION_RECV_BUFFER,       // SO_RCVBUF: bytes, 1 or more; the OS rounds and bounds it
    TINA_OPTION_SEND_BUFFER,       // SO_SNDBUF: bytes, 1 or more
    TINA_OPTION_LINGER,            // SO_LINGER: seconds, 0 or more; 0 resets at close
    TINA_OPTION_IPV6_ONLY,         // IPV6_V6ONLY: 0 or 1
    TINA_OPTION_KEEP_ALIVE,        // SO_KEEPALIVE: 0 or 1
    TINA_OPTION_KEEP_ALIVE_S,      // TCP_KEEPIDLE and TCP_KEEPINTVL: seconds, 1 to 32767
    TINA_OPTION_UNACKNOWLEDGED_MS, // TCP_USER_TIMEOUT: milliseconds, 0 or more
    TINA_OPTION_BROADCAST,         // SO_BROADCAST: 0 or 1
    TINA_OPTION_UNSENT_BYTES,      // TCP_NOTSENT_LOWAT: bytes, 1 or more, which the OS keeps beyond
                                   // those that the peer has room for; a listener's is inherited
    TINA_OPTION_COUNT,
} tina_socket_option;

typedef enum tina_shutdown_side {
    TINA_SHUTDOWN_READ = 0,
    TINA_SHUTDOWN_WRITE,
    TINA_SHUTDOWN_BOTH,
} tina_shutdown_side;

#endif
