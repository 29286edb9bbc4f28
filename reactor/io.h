// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of I/O: file descriptors, operations and results, as values. No function here does
// anything; //reactor runs operations, //sched delivers what came of them.
//
// An operation (tina_io_op) is built by one of the tina_op_... functions, may be given a deadline
// with tina_op_within, and completes exactly once (a multishot one: once a result, the last one
// without TINA_IO_MORE).

#ifndef TINA_REACTOR_IO_H
#define TINA_REACTOR_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A file descriptor as its owner sees it: a generational name like a handle, never the OS's number.
// Once closed it names nothing for ever. The all-zero value is none.
//     shard 8 | rights 2 | entry 22 | generation 32
typedef struct tina_fd {
    uint64_t bits;
} tina_fd;

static inline tina_fd tina_fd_none(void) {
    tina_fd fd = {0};
    return fd;
}

// tina_fd_with_rights returns the same fd with these rights (1 read, 2 write, 3 full) and no more;
// none when it lacks one of them.
static inline tina_fd tina_fd_with_rights(tina_fd fd, uint32_t rights) {
    uint64_t mask = (uint64_t)(rights & 3u) << 54;
    tina_fd lessened = {(fd.bits & ~(UINT64_C(3) << 54)) | mask};
    return mask != 0 && (fd.bits & mask) == mask ? lessened : tina_fd_none();
}

static inline bool tina_fd_is_none(tina_fd fd) {
    return fd.bits == 0;
}

typedef enum tina_address_family {
    TINA_ADDRESS_NONE = 0,
    TINA_ADDRESS_IPV4,
    TINA_ADDRESS_IPV6,
    TINA_ADDRESS_UNIX,
} tina_address_family;

#define TINA_UNIX_PATH_BYTES_MAX 107 // sun_path less its terminator, unix(7)

typedef struct tina_address {
    uint8_t family;     // tina_address_family
    uint8_t path_bytes; // TINA_ADDRESS_UNIX
    uint16_t port;      // host byte order
    uint32_t scope;     // IPv6 scope id, ipv6(7)
    union {
        uint8_t ip[16]; // network order; IPv4 uses the first 4
        char path[TINA_UNIX_PATH_BYTES_MAX + 1];
    };
} tina_address;

static inline tina_address tina_address_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d,
                                             uint16_t port) {
    tina_address address = {TINA_ADDRESS_IPV4, 0, port, 0, {{a, b, c, d}}};
    return address;
}

// tina_address_parse reads "1.2.3.4", "::1" or "unix:/path" into *address (port is used as given)
// and returns false when text is none of them.
bool tina_address_parse(const char *text, uint16_t port, tina_address *address);

#define TINA_ADDRESS_TEXT_BYTES 128

// tina_address_format writes "1.2.3.4:80", "[::1]:80" or "unix:/path" with its terminator and
// returns the length without it.
size_t tina_address_format(const tina_address *address, char text[TINA_ADDRESS_TEXT_BYTES]);

typedef enum tina_op_kind {
    TINA_OP_NONE = 0,
    TINA_OP_ACCEPT,  // result: 0 and the new fd
    TINA_OP_CONNECT, // result: 0
    TINA_OP_RECV,    // result: bytes, 0 at end of stream
    TINA_OP_SEND,    // result: bytes, always all of them unless TINA_IO_SOME
    TINA_OP_CLOSE,   // result: 0
    TINA_OP_KIND_COUNT,
} tina_op_kind;

// Flags of operations.
#define TINA_IO_SOME      1u // a partial transfer completes the op
#define TINA_IO_MULTISHOT 2u // accept, recv: stays armed and completes once a result

// Flags of results.
#define TINA_IO_MORE 1u // not a multishot op's last

// Results below zero are -errno, or one of these, which lie outside errno's range (1 to 4095).
#define TINA_IO_TIMED_OUT (-4097) // the op's deadline passed
#define TINA_IO_CANCELED  (-4098) // cancelled by its owner, or its fd was closed
#define TINA_IO_BAD_FD    (-4099) // the fd is none, closed, or another isolate's
#define TINA_IO_NO_RIGHT  (-4100) // the fd lacks the right to read or to write
#define TINA_IO_OPS_FULL  (-4101) // the shard's op table is full
#define TINA_IO_FDS_FULL  (-4102) // the shard's fd table is full
#define TINA_IO_BUSY      (-4103) // another op of the same direction is in flight on this fd
#define TINA_IO_BAD_OP    (-4104) // a field of the op is out of its range

// tina_io_error_text returns a static sentence for a result below zero, strerror's words for
// -errno.
const char *tina_io_error_text(int32_t result);

typedef struct tina_io_op {
    uint8_t kind;  // tina_op_kind
    uint8_t flags; // TINA_IO_SOME, TINA_IO_MULTISHOT
    uint16_t reserved;
    uint32_t bytes; // recv: at most, 0 when multishot; send: exactly
    tina_fd fd;
    const void
        *data; // send: the bytes, untouched until completion; connect: a tina_address, copied
    uint64_t offset;
    uint64_t timeout_ns; // 0: no deadline
} tina_io_op;

static inline tina_io_op tina_op_accept(tina_fd listener) {
    tina_io_op op = {TINA_OP_ACCEPT, 0, 0, 0, listener, NULL, 0, 0};
    return op;
}

// tina_op_connect copies *address when the op is submitted.
static inline tina_io_op tina_op_connect(tina_fd fd, const tina_address *address) {
    tina_io_op op = {TINA_OP_CONNECT, 0, 0, 0, fd, address, 0, 0};
    return op;
}

// tina_op_recv receives at most bytes_max (1 or more), and never more than one receive buffer
// holds.
static inline tina_io_op tina_op_recv(tina_fd fd, uint32_t bytes_max) {
    tina_io_op op = {TINA_OP_RECV, 0, 0, bytes_max, fd, NULL, 0, 0};
    return op;
}

// tina_op_accept_multishot accepts until it is canceled or an error ends it: each new fd is a
// result with TINA_IO_MORE, the end is one without. TINA_IO_FDS_FULL ends it too.
static inline tina_io_op tina_op_accept_multishot(tina_fd listener) {
    tina_io_op op = {TINA_OP_ACCEPT, TINA_IO_MULTISHOT, 0, 0, listener, NULL, 0, 0};
    return op;
}

// tina_op_recv_multishot receives until the stream ends (result 0), an error, or its cancel: each
// result before that has TINA_IO_MORE and at most what one receive buffer holds. A deadline is for
// the whole op.
static inline tina_io_op tina_op_recv_multishot(tina_fd fd) {
    tina_io_op op = {TINA_OP_RECV, TINA_IO_MULTISHOT, 0, 0, fd, NULL, 0, 0};
    return op;
}

// tina_op_send sends bytes (1 to 2^31 - 1) from memory that must stay as it is until the op
// completes: the isolate's struct or working arena, or static storage; never the handler's stack or
// scratch.
static inline tina_io_op tina_op_send(tina_fd fd, const void *data, uint32_t bytes) {
    tina_io_op op = {TINA_OP_SEND, 0, 0, bytes, fd, data, 0, 0};
    return op;
}

static inline tina_io_op tina_op_close(tina_fd fd) {
    tina_io_op op = {TINA_OP_CLOSE, 0, 0, 0, fd, NULL, 0, 0};
    return op;
}

// tina_op_within gives the op a deadline, counted from its submission.
static inline tina_io_op tina_op_within(tina_io_op op, uint64_t timeout_ns) {
    op.timeout_ns = timeout_ns;
    return op;
}

// An op in flight, to cancel it by. Never reused.
typedef struct tina_io_id {
    uint64_t bits; // generation 32 | entry 32; 0: none
} tina_io_id;

// What came of an op.
typedef struct tina_io_completion {
    tina_io_id id;
    uint8_t kind;       // tina_op_kind
    uint8_t flags;      // TINA_IO_MORE
    uint16_t buffer;    // the reactor's; TINA_IO_NO_BUFFER: none
    int32_t result;     // >= 0, -errno, or a TINA_IO_... error
    uint32_t bytes;     // moved before the result, also when that is an error
    uint32_t companion; // the submitter's word, see tina_reactor_set_companion; 0 before the last
    tina_fd fd;         // the op's fd; accept: the new one
} tina_io_completion;

#define TINA_IO_NO_BUFFER 0xFFFFu

typedef enum tina_socket_kind {
    TINA_SOCKET_STREAM = 0,
} tina_socket_kind;

typedef enum tina_socket_option {
    TINA_OPTION_REUSE_ADDRESS = 0, // SO_REUSEADDR: 0 or 1
    TINA_OPTION_REUSE_PORT,        // SO_REUSEPORT: 0 or 1
    TINA_OPTION_NO_DELAY,          // TCP_NODELAY: 0 or 1
    TINA_OPTION_RECV_BUFFER,       // SO_RCVBUF: bytes
    TINA_OPTION_SEND_BUFFER,       // SO_SNDBUF: bytes
    TINA_OPTION_LINGER,            // SO_LINGER: seconds; 0 resets the connection at close
    TINA_OPTION_IPV6_ONLY,         // IPV6_V6ONLY: 0 or 1
} tina_socket_option;

typedef enum tina_shutdown_side {
    TINA_SHUTDOWN_READ = 0,
    TINA_SHUTDOWN_WRITE,
    TINA_SHUTDOWN_BOTH,
} tina_shutdown_side;

#ifdef __cplusplus
}
#endif

#endif
