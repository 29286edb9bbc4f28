// SPDX-License-Identifier: Apache-2.0
//
// The calls that a handler makes. Each is done at once and never blocks; what takes time is an
// effect (isolate.h). A call copies or checks the caller's memory first and changes state after.
//
// Full is a result: every call that takes a bounded thing says so, and the shard counts it.
// Only inside init or handle, with the ctx given there.

#ifndef TINA_SCHED_CTX_H
#define TINA_SCHED_CTX_H

#include <stdarg.h>

#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

tina_handle tina_self(const tina_ctx *ctx);

// tina_now_ns returns the tick's monotonic time: one reading a tick, the same for all its handlers.
uint64_t tina_now_ns(const tina_ctx *ctx);

// tina_wall_s returns the tick's wall-clock time in seconds since 1970, UTC; for output only.
uint64_t tina_wall_s(const tina_ctx *ctx);

typedef enum tina_send_result {
    TINA_SEND_OK = 0,
    TINA_SEND_STALE,        // nobody has that handle (any more)
    TINA_SEND_MAILBOX_FULL, // the receiver has mailbox_max messages waiting
    TINA_SEND_POOL_EMPTY,   // the shard has no envelope left, or this sender its share
    TINA_SEND_BAD_MESSAGE,  // tag below 0, or payload over TINA_PAYLOAD_BYTES_MAX
} tina_send_result;

// tina_send copies 0 to TINA_PAYLOAD_BYTES_MAX bytes into an envelope and queues it; the tag is 0
// or more. Messages from one isolate to another arrive in the order in which they were sent.
tina_send_result tina_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                           size_t payload_bytes);

typedef enum tina_spawn_result {
    TINA_SPAWN_OK = 0,
    TINA_SPAWN_FULL,         // the type has no free slot
    TINA_SPAWN_WORN_OUT,     // all its free slots have used up their generations
    TINA_SPAWN_UNKNOWN_TYPE, // not in the spec
    TINA_SPAWN_BAD_ARGS,     // more than TINA_ARGS_BYTES_MAX
    TINA_SPAWN_BAD_FD,       // tina_spawn_with_fd: not an idle fd of the caller
} tina_spawn_result;

// tina_spawn makes a new isolate, whose init runs after the caller's handler, with a copy of args.
// The handle is good at once: messages sent to it wait until init has run. *child may be NULL.
tina_spawn_result tina_spawn(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                             tina_handle *child);

// tina_spawn_with_fd also makes the child the owner of an fd that has no op in flight.
tina_spawn_result tina_spawn_with_fd(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                                     tina_fd fd, tina_handle *child);

// tina_timer_set sends TINA_TIMER with `word` once, delay_ns from now, never early. Returns none
// when the shard's timers are used up.
tina_timer tina_timer_set(tina_ctx *ctx, uint64_t delay_ns, uint64_t word);

// tina_timer_cancel returns true when the timer's event had not been delivered; now it never will
// be.
bool tina_timer_cancel(tina_ctx *ctx, tina_timer timer);

// tina_io_data returns the bytes of a TINA_IO_RECV_DONE (m->io.result of them), the reactor's,
// valid until the handler returns.
const void *tina_io_data(const tina_ctx *ctx, const tina_message *m);

// tina_scratch returns memory that is valid until the handler returns, 16-byte aligned, of
// unspecified contents; NULL when the spec's scratch_bytes are used up.
void *tina_scratch(tina_ctx *ctx, size_t bytes);

// tina_working returns memory from the isolate's working arena, zeroed, 16-byte aligned, valid as
// long as the isolate; NULL when its type's working_bytes are used up.
void *tina_working(tina_ctx *ctx, size_t bytes);

// tina_shard_memory returns the spec's shard_memory_bytes, zeroed at boot, shared by the isolates
// of this shard and theirs until the shard ends; NULL when the spec asks for none.
void *tina_shard_memory(tina_ctx *ctx);

// Sockets: control calls. Each returns 0 or a result below zero (io.h).
int32_t tina_socket_open(tina_ctx *ctx, tina_address_family family, tina_socket_kind kind,
                         tina_fd *fd);
int32_t tina_socket_bind(tina_ctx *ctx, tina_fd fd, const tina_address *address);
int32_t tina_socket_listen(tina_ctx *ctx, tina_fd fd, uint32_t backlog);
int32_t tina_socket_set_option(tina_ctx *ctx, tina_fd fd, tina_socket_option option, int32_t value);
int32_t tina_socket_shutdown(tina_ctx *ctx, tina_fd fd, tina_shutdown_side side);
int32_t tina_socket_local_address(tina_ctx *ctx, tina_fd fd, tina_address *address);
int32_t tina_socket_peer_address(tina_ctx *ctx, tina_fd fd, tina_address *address);

// tina_listen opens, binds (with TINA_OPTION_REUSE_ADDRESS) and listens; *fd only when it returns
// 0.
int32_t tina_listen(tina_ctx *ctx, const tina_address *address, uint32_t backlog, tina_fd *fd);

// tina_backend_name returns the name of the reactor's backend, static.
const char *tina_backend_name(const tina_ctx *ctx);

typedef enum tina_log_level {
    TINA_LOG_ERROR = 0,
    TINA_LOG_WARNING,
    TINA_LOG_INFO,
    TINA_LOG_DEBUG,
} tina_log_level;

// tina_log writes one line to the shard's log ring; it is written out after the handlers, without
// blocking. Formats are core/format.h's. A line is cut at 480 bytes; lines that find the ring full
// are counted and the count is logged.
void tina_log(tina_ctx *ctx, tina_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// tina_stop asks the whole system to drain and end, as SIGTERM does. status becomes the process's
// exit status when it drains within its deadline; the first caller's counts.
void tina_stop(tina_ctx *ctx, int status);

#ifdef __cplusplus
}
#endif

#endif
