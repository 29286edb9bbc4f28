// SPDX-License-Identifier: Apache-2.0
//
// The types of an operation: file descriptors, kinds, results. io.h builds operations.

#ifndef TINA_REACTOR_OP_H
#define TINA_REACTOR_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reactor/address.h"
#include "reactor/file.h"

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

typedef enum tina_op_kind {
    TINA_OP_NONE = 0,
    TINA_OP_ACCEPT,   // result: 0 and the new fd
    TINA_OP_CONNECT,  // result: 0
    TINA_OP_RECV,     // result: bytes, 0 at end of stream
    TINA_OP_SEND,     // result: bytes, always all of them unless TINA_IO_SOME
    TINA_OP_CLOSE,    // result: 0
    TINA_OP_RECVFROM, // result: bytes of one datagram, also 0, and who sent it
    TINA_OP_SENDTO,   // result: bytes, all of them
    TINA_OP_OPEN,     // result: 0 and the new fd
    TINA_OP_READ,     // result: bytes, 0 at end of file
    TINA_OP_WRITE,    // result: bytes, always all of them unless TINA_IO_SOME
    TINA_OP_FSYNC,    // result: 0
    TINA_OP_STAT,     // result: 0
    TINA_OP_SENDFILE, // result: bytes, fewer than asked for only at end of file or TINA_IO_SOME
    TINA_OP_POLL,     // result: TINA_POLL_..., at least one
    TINA_OP_RENAME,   // result: 0
    TINA_OP_UNLINK,   // result: 0
    TINA_OP_KIND_COUNT,
} tina_op_kind;

// Flags of operations.
#define TINA_IO_SOME      1u // send, write, sendfile: a partial transfer completes the op
#define TINA_IO_MULTISHOT 2u // accept, recv: stays armed and completes once a result

// Flags of results.
#define TINA_IO_MORE      1u // not a multishot op's last
#define TINA_IO_TRUNCATED 2u // recvfrom: the datagram was longer than the result; its end is lost

// What to poll for, and what came of it; the values of poll(2).
#define TINA_POLL_READ    1u  // a read or receive would not wait
#define TINA_POLL_WRITE   4u  // a write or send would not wait
#define TINA_POLL_ERROR   8u  // result only: the next op tells which
#define TINA_POLL_HANG_UP 16u // result only: the other end is gone

// Results below zero are -errno, or one of these, which lie outside errno's range (1 to 4095).
#define TINA_IO_TIMED_OUT (-4097) // the op's deadline passed
#define TINA_IO_CANCELED  (-4098) // cancelled by its owner, or its fd was closed
#define TINA_IO_BAD_FD    (-4099) // the fd is none, closed, or another isolate's
#define TINA_IO_NO_RIGHT  (-4100) // the fd lacks the right to read or to write
#define TINA_IO_OPS_FULL  (-4101) // the shard's table of ops, of addresses or of paths is full
#define TINA_IO_FDS_FULL  (-4102) // the shard's fd table is full
#define TINA_IO_BUSY      (-4103) // another op of the same direction is in flight on this fd
#define TINA_IO_BAD_OP    (-4104) // a field of the op, an address or an option is out of its range

// tina_io_error_text returns a static sentence for a result below zero, strerror's words for
// -errno.
const char *tina_io_error_text(int32_t result);

// What io.h's functions fill in; a field that an op does not have is zero.
typedef struct tina_io_op {
    uint8_t kind;   // tina_op_kind
    uint8_t flags;  // TINA_IO_SOME, TINA_IO_MULTISHOT
    uint16_t how;   // open: TINA_OPEN_...; poll: TINA_POLL_...
    uint32_t bytes; // what is received: at most; what is sent: exactly; open: permissions
    tina_fd fd;
    union {
        const void *data; // bytes to send; connect: the address; open, unlink, rename, stat: a path
        tina_fd source;   // sendfile: the file
    };
    union {
        uint64_t offset;             // read, write, sendfile: in the file
        const tina_address *address; // sendto
        const char *to;              // rename
        tina_file_stat *stat;        // stat: where it goes
    };
    uint64_t timeout_ns; // 0: no deadline
} tina_io_op;

// An op in flight, to cancel it by. Never reused.
typedef struct tina_io_id {
    uint64_t bits; // generation 32 | entry 32; 0: none
} tina_io_id;

// What came of an op.
typedef struct tina_io_completion {
    tina_io_id id;
    uint8_t kind;       // tina_op_kind
    uint8_t flags;      // TINA_IO_MORE, TINA_IO_TRUNCATED
    uint16_t buffer;    // the reactor's; TINA_IO_NO_BUFFER: none
    int32_t result;     // >= 0, -errno, or a TINA_IO_... error
    uint32_t bytes;     // moved before the result, also when that is an error
    uint32_t companion; // the submitter's word, see tina_reactor_set_companion; 0 before the last
    tina_fd fd;         // the op's fd; accept, open: the new one
} tina_io_completion;

#define TINA_IO_NO_BUFFER 0xFFFFu

#ifdef __cplusplus
}
#endif

#endif
