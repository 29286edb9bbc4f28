// SPDX-License-Identifier: Apache-2.0
//
// What a backend is: a table of functions, called once a batch, that carries operations to a kernel
// (or to something that behaves like one) and brings back numbers. It knows neither owners nor
// generations nor deadlines; it copies `key` from the op to its result and judges nothing.
//
// A backend completes every staged op exactly once, also a cancelled one (-ECANCELED), in any
// order; the result of a cancel op itself is never reported. A multishot op completes once a
// result, in order, and all but the last carry TINA_IO_MORE; a backend may end it after any of
// them, also the first, and is given it again under the same key. So a cancel is for ops staged
// before it. What an op achieved before its cancel is its result: an accepted or opened fd, bytes.
//
// Of TINA_OP_SENDFILE no backend hears: the front reads, sends and polls. It asks for partial
// transfers until all is done, so a backend may always do less than it was asked for, but not
// nothing.

#ifndef TINA_REACTOR_BACKEND_H
#define TINA_REACTOR_BACKEND_H

#include "reactor/io.h"
#include "reactor/reactor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_OP_CANCEL TINA_OP_KIND_COUNT // backend ops only: `key` names the op to cancel

// A flag of backend ops only, beside those of op.h: a send, also with TINA_IO_SOME, that would wait
// for room ends with -EAGAIN.
#define TINA_IO_AT_ONCE 4u

// Addresses and paths lie in the front's tables, each in a place of its own that is the op's from
// its submission to its result. A backend that needs memory of its own for such an op may have one
// piece for every place.
typedef struct tina_backend_op {
    uint64_t key;     // never 0
    uint8_t kind;     // tina_op_kind or TINA_OP_CANCEL
    uint8_t flags;    // TINA_IO_SOME (else a backend may try again itself), TINA_IO_MULTISHOT,
                      // TINA_IO_AT_ONCE
    uint16_t how;     // open: TINA_OPEN_...; poll: TINA_POLL_...
    int32_t os_fd;    // -1: the op is on a path
    uint32_t bytes;   // what is received, at most; of data; open: permissions
    uint32_t place;   // connect, recvfrom, sendto: below address_count; open, stat, rename, unlink:
                      // below path_count
    const void *data; // send, sendto, write: bytes; connect: a tina_address; open, unlink: a path;
                      // rename: two, one behind the other's zero; stat: a path, unless os_fd >= 0
    union {
        uint64_t offset;             // read, write; TINA_OFFSET_POSITION: none
        const tina_address *address; // sendto
    };
} tina_backend_op;

// Received and read bytes lie at the start of a lent buffer, which is the front's with the result.
typedef struct tina_backend_result {
    uint64_t key;
    int32_t result;  // bytes, a new os_fd (accept, open), TINA_POLL_... (poll), 0, or -errno;
                     // -ENOBUFS: no receive buffer was free (recv, recvfrom, read)
                     // -EAGAIN: TINA_IO_AT_ONCE
    uint16_t buffer; // TINA_IO_NO_BUFFER: none, which only results of 0 or less may have
    uint8_t flags;   // TINA_IO_MORE
    uint8_t reserved;
} tina_backend_result;

// The receive buffers: the reactor's memory, lent to the backend buffer by buffer.
typedef struct tina_backend_buffers {
    uint8_t *base;
    uint32_t count; // a power of two
    uint32_t bytes; // of one
} tina_backend_buffers;

struct tina_reactor_backend {
    const char *name;

    // Bytes that open needs, 128-byte aligned.
    uint64_t (*memory_bytes)(const tina_reactor_config *config);
    // All buffers start out lent. Returns 0 or -errno and a sentence.
    int (*open)(void *self, const tina_reactor_config *config, const tina_backend_buffers *buffers,
                char *error_text, size_t error_text_bytes);
    void (*close)(void *self);

    // Takes ops in order and returns how many it took; the rest is offered again.
    uint32_t (*stage)(void *self, const tina_backend_op *ops, uint32_t count);
    uint32_t (*reap)(void *self, tina_backend_result *results, uint32_t capacity);
    // As tina_reactor_wait; returns the system calls made (0 or more), or -errno.
    int (*wait)(void *self, uint64_t now_ns, uint64_t until_ns);
    void (*wake)(void *self);
    void (*give_buffers)(void *self, const uint16_t *buffers, uint32_t count);

    // What a recvfrom or a stat brought besides its result: asked for once, by its place, before
    // the place is used again. `sender` returns TINA_IO_TRUNCATED or 0; an address of no family
    // when the sender has none.
    uint8_t (*sender)(void *self, uint32_t place, tina_address *address);
    void (*stat)(void *self, uint32_t place, tina_file_stat *stat);

    // Control calls, at once: an os_fd or 0, or -errno. Addresses and values are in their range.
    int (*socket)(void *self, tina_address_family family, tina_socket_kind kind);
    int (*adopt)(void *self, int os_fd); // see tina_reactor_adopt; or NULL
    int (*bind)(void *self, int os_fd, const tina_address *address);
    int (*listen)(void *self, int os_fd, uint32_t backlog);
    int (*set_option)(void *self, int os_fd, tina_socket_option option, int32_t value);
    int (*shutdown)(void *self, int os_fd, tina_shutdown_side side);
    int (*local_address)(void *self, int os_fd, tina_address *address);
    int (*peer_address)(void *self, int os_fd, tina_address *address);
    void (*close_now)(void *self, int os_fd); // for an fd with no op in flight
    void (*let_go)(void *self, int os_fd);    // so that another reactor may have it; or NULL
};

#ifdef __cplusplus
}
#endif

#endif
