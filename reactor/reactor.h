// SPDX-License-Identifier: Apache-2.0
//
// The reactor: a shard's seam to the outside world. It owns the OS's fds, the table of operations
// in flight and the receive buffers; a backend (backend.h) only carries operations to the kernel.
//
//     submit ─▶ op table ─▶ staged ─▶ flush ─▶ backend.stage ─┐
//                                                             ├─ wait: one system call, or none
//     next ◀─ owner's done list ◀─ reap ◀─── backend.reap ◀───┘
//
// The kernel never holds memory that could be someone else's: received bytes land in the reactor's
// buffers, and an owner that dies is told `drained` only after the last completion that could touch
// its memory is in. Nothing here blocks but tina_reactor_wait; nothing allocates.
// One reactor belongs to one thread, the one that opened it; only tina_reactor_wake is for others.

#ifndef TINA_REACTOR_REACTOR_H
#define TINA_REACTOR_REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_reactor tina_reactor;
typedef struct tina_reactor_backend tina_reactor_backend;

typedef struct tina_reactor_config {
    const tina_reactor_backend *backend;
    void *backend_options;  // the backend's own; may be NULL
    uint32_t shard;         // written into every tina_fd
    uint32_t fd_count;      // 1 to 2^22 - 1
    uint32_t op_count;      // 1 to 2^24
    uint32_t address_count; // connects, sendtos and recvfroms at once, these until they are taken;
                            // beyond it: OPS_FULL
    uint32_t path_count;    // opens, stats, renames and unlinks in flight at once; likewise
    uint32_t buffer_count;  // a power of two, 1 to 32768
    uint32_t buffer_bytes;  // of one receive buffer; a multiple of 64
} tina_reactor_config;

// Who submits: lives in the submitter's metadata, zeroed and given its token before first use. Only
// the reactor touches the other fields.
typedef struct tina_reactor_owner {
    uint64_t token;
    uint32_t first_fd; // lists of table entries; 0 ends a list
    uint32_t first_op;
    uint32_t done_head; // completed, not yet taken by tina_reactor_next
    uint32_t done_tail;
    uint32_t ops_in_flight;
    bool released;
} tina_reactor_owner;

// Counters only grow; gauges (…_in_use) return to their start when everything is closed.
typedef struct tina_reactor_counters {
    uint64_t submitted;
    uint64_t completed;
    uint64_t refused;           // submit returned an error
    uint64_t canceled;          // completed TINA_IO_CANCELED or TINA_IO_TIMED_OUT
    uint64_t stale;             // backend results for ops that no longer exist
    uint64_t buffers_awaited;   // a receive or read found no buffer and was queued
    uint64_t fds_awaited;       // a multishot accept found the fd table full and was put aside
    uint64_t multishot_results; // with TINA_IO_MORE
    uint64_t multishot_pauses;  // times that one waited for its owner to take them
    uint64_t datagrams_cut;     // longer than their recvfrom, so that their end is lost
    uint64_t fds_dropped;       // accepted for a dead owner, or with the fd table full, and closed
    uint64_t fds_retired;       // rows of the fd table that wore out
    uint64_t tickets_dropped;   // fds on their way here that nobody took
    uint64_t waits;             // system calls made by tina_reactor_wait
    uint32_t fds_in_use;
    uint32_t ops_in_use;
    uint32_t buffers_in_use; // held by completions not yet given back, and by sendfiles while they
                             // send
} tina_reactor_counters;

// tina_reactor_bytes returns how much memory tina_reactor_open needs, or 0 when a field of the
// config is outside its bounds.
uint64_t tina_reactor_bytes(const tina_reactor_config *config);

// tina_reactor_open builds a reactor in memory (128-byte aligned, tina_reactor_bytes of it, the
// caller's until tina_reactor_close). Returns 0 and *reactor, or -errno and a sentence in
// error_text that names the cause and the remedy.
int tina_reactor_open(const tina_reactor_config *config, void *memory, tina_reactor **reactor,
                      char *error_text, size_t error_text_bytes);

// tina_reactor_close closes every fd still open and gives the backend back to the OS.
void tina_reactor_close(tina_reactor *reactor);

// tina_reactor_reset cancels every op, waits for the last (a second at most), closes every fd and
// takes every buffer home. No owner is looked at, told or written to: all are gone for the reactor,
// and their memory is their own again. Every id and fd of before is stale, for ever. Returns false
// when an op would not end: the reactor is then of no use, but for another try or for close.
bool tina_reactor_reset(tina_reactor *reactor);

// tina_reactor_submit stages an op for its owner. Returns 0 and *id; or BAD_FD, NO_RIGHT, OPS_FULL,
// BUSY or BAD_OP, and then nothing has happened. Close completes after every other op of its fd has
// completed (as canceled).
int32_t tina_reactor_submit(tina_reactor *reactor, tina_reactor_owner *owner, const tina_io_op *op,
                            tina_io_id *id);

// tina_reactor_cancel asks that an op end soon with `result` (TINA_IO_CANCELED or
// TINA_IO_TIMED_OUT). What the op achieved before that wins. Returns false when it is already
// complete or unknown. A close goes on regardless: it may not leave its fd half closed.
bool tina_reactor_cancel(tina_reactor *reactor, tina_io_id id, int32_t result);

// tina_reactor_is_owner returns whether an op in flight is the owner's.
bool tina_reactor_is_owner(const tina_reactor *reactor, const tina_reactor_owner *owner,
                           tina_io_id id);

// tina_reactor_set_companion attaches the submitter's word (the shard keeps its deadline timer
// there) to an op in flight; it comes back in the (last) completion. 0 until set.
void tina_reactor_set_companion(tina_reactor *reactor, tina_io_id id, uint32_t companion);

// tina_reactor_flush hands what is staged to the backend; no system call.
void tina_reactor_flush(tina_reactor *reactor);

typedef enum tina_reactor_news {
    TINA_REACTOR_COMPLETED = 0, // the owner has something for tina_reactor_next
    TINA_REACTOR_DRAINED,       // a released owner's last op is in; its memory is its own again
} tina_reactor_news;

typedef struct tina_reactor_event {
    uint64_t token;
    tina_reactor_owner *owner;
    tina_reactor_news news;
} tina_reactor_event;

// tina_reactor_reap takes completions that are in, without a system call on io_uring, and returns
// how many events it wrote (at most capacity; call again when all are used).
uint32_t tina_reactor_reap(tina_reactor *reactor, tina_reactor_event *events, uint32_t capacity);

// A multishot op with this many results not taken is paused, in the kernel and not in its owner's
// eyes, until all are; a receive already when it has a quarter of the receive buffers, so that one
// connection leaves some to others. What the kernel did before it heard of that is delivered too:
// all that one wait brings, which is as much as the socket holds and buffers or rows are free (33
// results on Linux 6.18). So the bound is exact only where the op is armed for one result at a
// time: while receives wait for buffers, and while fewer rows than this are left in the fd table.
#define TINA_MULTISHOT_UNTAKEN_MAX 16u

// tina_reactor_next takes the owner's oldest completion; false when there is none. A buffer in it
// is the caller's to give back with tina_reactor_give_buffer.
bool tina_reactor_next(tina_reactor *reactor, tina_reactor_owner *owner,
                       tina_io_completion *completion);

// tina_reactor_next_of takes the (oldest) completion of one op, past older ones of others; false
// when there is none.
bool tina_reactor_next_of(tina_reactor *reactor, tina_reactor_owner *owner, tina_io_id id,
                          tina_io_completion *completion);

// tina_reactor_sender returns who sent the datagram of the recvfrom that was taken last; an address
// of no family when the sender has none. Valid until another recvfrom is taken.
const tina_address *tina_reactor_sender(const tina_reactor *reactor);

// tina_reactor_uses returns whether an op in flight of the owner may read from this memory or, a
// stat, write to it. O(ops in flight of the owner).
bool tina_reactor_uses(const tina_reactor *reactor, const tina_reactor_owner *owner,
                       const void *memory, size_t bytes);

// tina_reactor_buffer returns the bytes of a receive buffer, valid until it is given back.
const void *tina_reactor_buffer(const tina_reactor *reactor, uint16_t buffer);
void tina_reactor_give_buffer(tina_reactor *reactor, uint16_t buffer);

// tina_reactor_wait makes the one system call of a loop: it hands staged ops to the kernel and,
// when until_ns lies after now_ns, blocks until a completion, a wake or until_ns (UINT64_MAX: no
// deadline). When until_ns <= now_ns it does not block, and makes no system call unless there is a
// reason to. Returns 0, or -errno when the backend is beyond use.
int tina_reactor_wait(tina_reactor *reactor, uint64_t now_ns, uint64_t until_ns);

// tina_reactor_wake ends the current or the next blocking wait. Any thread, async-signal-safe.
void tina_reactor_wake(tina_reactor *reactor);

// tina_reactor_release is for an owner that dies: ops are cancelled, undelivered completions
// dropped, fds closed once their ops are in. Returns true when no op was in flight (no event
// follows), else a DRAINED event with the owner's token comes later, and the owner must stay in
// place until then.
bool tina_reactor_release(tina_reactor *reactor, tina_reactor_owner *owner);

// tina_reactor_move_fd makes `to` the owner of an idle fd of `from`, with no more rights than this
// name of it has. Returns 0, BAD_FD, or BUSY when an op of that fd is in flight or its completion
// was not taken.
int32_t tina_reactor_move_fd(tina_reactor *reactor, tina_reactor_owner *from, tina_fd fd,
                             tina_reactor_owner *to);

// tina_reactor_movable returns what tina_reactor_move_fd would.
int32_t tina_reactor_movable(const tina_reactor *reactor, const tina_reactor_owner *owner,
                             tina_fd fd);

// An fd between two reactors of one process.
typedef struct tina_fd_ticket {
    int32_t os_fd;
    uint32_t rights;
} tina_fd_ticket;

// tina_reactor_adopt makes a socket that the process has from elsewhere the owner's too: the
// reactor has an fd of its own for it, and the process's stays as it is. Returns 0 and *fd,
// FDS_FULL or -errno: ENOTSOCK, EBADF, or EOPNOTSUPP when the backend has no OS below.
int32_t tina_reactor_adopt(tina_reactor *reactor, tina_reactor_owner *owner, int32_t os_fd,
                           tina_fd *fd);

// tina_reactor_bequeath marks an fd of the owner's, or returns BAD_FD. tina_reactor_heirloom
// returns one that is marked, or none; none, too, when something is being sent on it, or the owner
// was not told yet of what was: nobody knows then where in its message the other end is.
// tina_reactor_inherit makes the heir its owner, unmarked; tina_reactor_release of the dying one
// must be next, which cancels what it receives. Until that is in, the heir's ops that receive are
// refused as BUSY.
int32_t tina_reactor_bequeath(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd);
tina_fd tina_reactor_heirloom(const tina_reactor *reactor, const tina_reactor_owner *owner);
void tina_reactor_inherit(tina_reactor *reactor, tina_reactor_owner *dying, tina_fd fd,
                          tina_reactor_owner *heir);

// tina_reactor_export takes an idle fd of the owner's out of this reactor. Its name is stale then,
// and the ticket the only hold on it: pass it to exactly one import or drop. Returns as
// tina_reactor_movable.
int32_t tina_reactor_export(tina_reactor *reactor, tina_reactor_owner *owner, tina_fd fd,
                            tina_fd_ticket *ticket);

// tina_reactor_import makes a ticket's fd one of this reactor and the owner's, with the rights that
// its name had. Returns false, and the ticket is still one, when the fd table is full.
bool tina_reactor_import(tina_reactor *reactor, tina_reactor_owner *owner,
                         const tina_fd_ticket *ticket, tina_fd *fd);

// tina_reactor_drop closes the fd of a ticket that nobody takes.
void tina_reactor_drop(tina_reactor *reactor, const tina_fd_ticket *ticket);

// tina_reactor_discard_fd closes an fd on which no op is in flight; nothing completes. An fd that
// is not the owner's is left alone.
void tina_reactor_discard_fd(tina_reactor *reactor, tina_reactor_owner *owner, tina_fd fd);

// Control calls: done at once, never block. Each returns 0 or a result below zero.
int32_t tina_reactor_socket(tina_reactor *reactor, tina_reactor_owner *owner,
                            tina_address_family family, tina_socket_kind kind, tina_fd *fd);
int32_t tina_reactor_bind(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                          const tina_address *address);
int32_t tina_reactor_listen(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                            uint32_t backlog);
int32_t tina_reactor_set_option(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                                tina_socket_option option, int32_t value);
int32_t tina_reactor_shutdown(tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd,
                              tina_shutdown_side side);
int32_t tina_reactor_local_address(tina_reactor *reactor, const tina_reactor_owner *owner,
                                   tina_fd fd, tina_address *address);
int32_t tina_reactor_peer_address(tina_reactor *reactor, const tina_reactor_owner *owner,
                                  tina_fd fd, tina_address *address);

const tina_reactor_counters *tina_reactor_count(const tina_reactor *reactor);
const char *tina_reactor_backend_name(const tina_reactor *reactor);

// tina_reactor_verify asserts every table and list, in O(entries); for TINA_VERIFY and tests.
void tina_reactor_verify(const tina_reactor *reactor);

#ifdef __cplusplus
}
#endif

#endif
