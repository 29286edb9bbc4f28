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

#include "sched/counters.h"
#include "sched/io.h"
#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

tina_handle tina_self(const tina_ctx *ctx);

// tina_lives returns whether an isolate of this shard has that handle, or, when it has ended, ops
// of one in its slot are still under way, which may yet touch memory. Of other shards only monitors
// tell.
bool tina_lives(const tina_ctx *ctx, tina_handle who);

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
    TINA_SEND_BUSY,         // an op is in flight on the fd or buffer to be handed over
    TINA_SEND_BAD_FD,       // not an fd of the caller's, or without these rights
    TINA_SEND_BAD_TRANSFER, // not a buffer of the caller's
    TINA_SEND_CHANNEL_FULL, // to another shard, which does not keep up
    TINA_SEND_QUARANTINED,  // to a shard that has stopped
} tina_send_result;

// tina_send copies 0 to TINA_PAYLOAD_BYTES_MAX bytes into an envelope and queues it; the tag is 0
// or more. Messages from one isolate to another arrive in the order in which they were sent.
tina_send_result tina_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                           size_t payload_bytes);

// tina_call sends a request and returns the effect that waits for its reply, which is delivered as
// a message with the reply's tag; or for TINA_CALL_FAILED, at once when the target is stale or
// full, when it ends without a reply, or after timeout_ns (0: never). Nothing else is delivered
// meanwhile.
//     return tina_call(ctx, store, GET, &key, sizeof key, 1000000000);
tina_effect tina_call(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                      size_t payload_bytes, uint64_t timeout_ns);

// tina_spawn_on has shard `shard` spawn an isolate, and returns the effect that waits for the
// outcome as tina_call does: TINA_SPAWNED, whose result may be any of tina_spawn_result, or
// TINA_CALL_FAILED. args has at most TINA_SPAWN_ON_ARGS_BYTES_MAX bytes.
tina_effect tina_spawn_on(tina_ctx *ctx, uint32_t shard, const tina_isolate_type *type,
                          tina_bytes args, uint64_t timeout_ns);

// tina_shard_count returns how many shards the system has; tina_shard_number this one's, from 0.
uint32_t tina_shard_count(const tina_ctx *ctx);
uint32_t tina_shard_number(const tina_ctx *ctx);

// tina_counters copies the counters of any shard of the system, running or not, without stopping
// it: each value was true at some instant, together they are not one instant's. Returns false when
// there is no such shard.
bool tina_counters(const tina_ctx *ctx, uint32_t shard, tina_shard_counters *counters);

// tina_counters_total writes what all shards of the system count together, as tina_counters reads
// them. What one gives to another may be counted by both, or by neither yet.
void tina_counters_total(const tina_ctx *ctx, tina_shard_counters *total);

// What the compiler can know of a message it refuses: a constant payload size that is too large, or
// a constant tag below 0.
void tina_payload_too_large(void)
    __attribute__((error("a payload has at most TINA_PAYLOAD_BYTES_MAX bytes")));
void tina_tag_below_zero(void) __attribute__((error("tags below 0 are the runtime's")));

#define TINA_MESSAGE_CHECK(tag, payload_bytes)                                                     \
    (__builtin_constant_p(payload_bytes) && (payload_bytes) > TINA_PAYLOAD_BYTES_MAX               \
         ? tina_payload_too_large()                                                                \
         : (void)0,                                                                                \
     __builtin_constant_p(tag) && (tag) < 0 ? tina_tag_below_zero() : (void)0)

#define tina_send(ctx, to, tag, payload, payload_bytes)                                            \
    (TINA_MESSAGE_CHECK(tag, payload_bytes), tina_send(ctx, to, tag, payload, payload_bytes))
#define tina_call(ctx, to, tag, payload, payload_bytes, timeout_ns)                                \
    (TINA_MESSAGE_CHECK(tag, payload_bytes),                                                       \
     tina_call(ctx, to, tag, payload, payload_bytes, timeout_ns))

// tina_caller_of returns whom to answer for a message that is a call, or none.
tina_caller tina_caller_of(const tina_ctx *ctx, const tina_message *m);

typedef enum tina_answer_result {
    TINA_ANSWER_OK = 0,
    TINA_ANSWER_STALE,       // answered before, timed out, or its caller has ended
    TINA_ANSWER_BAD_MESSAGE, // tag below 0, or payload over TINA_PAYLOAD_BYTES_MAX
} tina_answer_result;

// tina_answer replies to a caller, now or in a later handler. It needs no envelope and cannot find
// the caller's mailbox full: the request's own envelope carries the reply.
tina_answer_result tina_answer(tina_ctx *ctx, tina_caller caller, int32_t tag, const void *payload,
                               size_t payload_bytes);

// tina_reply answers the call being handled, and returns the effect `receive`.
tina_effect tina_reply(tina_ctx *ctx, int32_t tag, const void *payload, size_t payload_bytes);

// tina_submit runs an op in the background: its completion is an event that a `receive` gets, among
// messages; a multishot op's completions are many, the last without TINA_IO_MORE. Returns 0 and
// *id, or a result below zero (TINA_IO_OPS_FULL: also the type's ops_max). What a receive or read
// brings lies in one of the shard's receive buffers until then: who may come to await a slow peer
// meanwhile, as a send does, submits a poll, and receives once that has told.
int32_t tina_submit(tina_ctx *ctx, tina_io_op op, tina_io_id *id);

// tina_cancel asks that a background op end soon as TINA_IO_CANCELED; its completion still comes,
// with what it achieved if that was first. Returns false when it is complete already, or not the
// caller's.
bool tina_cancel(tina_ctx *ctx, tina_io_id id);

// tina_monitor_set asks for TINA_DOWN, once, when `who` ends: after every message from it that was
// accepted before, and at once when it has ended already. Returns none when monitors are used up.
tina_monitor tina_monitor_set(tina_ctx *ctx, tina_handle who);

// tina_monitor_end returns true when the monitor's event had not been delivered; now it never will
// be. A monitor of a shard tells nothing more.
bool tina_monitor_end(tina_ctx *ctx, tina_monitor monitor);

typedef enum tina_monitor_result {
    TINA_MONITOR_OK = 0,
    TINA_MONITOR_FULL,      // the shard's monitors are used up
    TINA_MONITOR_NO_SHARD,  // the system has none of that number
    TINA_MONITOR_OWN_SHARD, // with which the caller would end
} tina_monitor_result;

// tina_monitor_shard asks for TINA_SHARD_NEWS whenever another shard begins anew, stops or is
// revived, until the monitor is ended; at once when it has stopped already. What happens until an
// event is delivered adds to it: it has the last change and life, and the count of all. It comes
// after every message of the lives that are over then, and after TINA_DOWN of their isolates, but
// of those that had ended when they were monitored.
tina_monitor_result tina_monitor_shard(tina_ctx *ctx, uint32_t shard, tina_monitor *monitor);

// Transfer buffers carry what is larger than a payload. A buffer has one owner: whoever took it,
// then whoever received it, until that handler returns; tina_transfer_keep makes it last until it
// is sent on or given back. It goes with its owner when that ends.

// tina_transfer_take returns none when all buffers are in use.
tina_transfer tina_transfer_take(tina_ctx *ctx);

// tina_transfer_of returns the buffer that came with the message being handled, or none.
tina_transfer tina_transfer_of(const tina_ctx *ctx, const tina_message *m);

// tina_transfer_data returns the caller's buffer, 64-byte aligned, transfer_bytes of it; NULL when
// the buffer is not the caller's.
void *tina_transfer_data(tina_ctx *ctx, tina_transfer transfer);
bool tina_transfer_keep(tina_ctx *ctx, tina_transfer transfer);
bool tina_transfer_give(tina_ctx *ctx, tina_transfer transfer);

// tina_send_transfer sends a message with a buffer of the caller's, which is then the receiver's.
// Not while an op of the caller reads from it: TINA_SEND_BUSY. On any failure the caller keeps it.
tina_send_result tina_send_transfer(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                                    size_t payload_bytes, tina_transfer transfer);

typedef enum tina_right {
    TINA_RIGHT_READ = 1,
    TINA_RIGHT_WRITE = 2,
    TINA_RIGHT_FULL = 3,
} tina_right;

// tina_handoff makes `to` the owner of an fd that has no op in flight, by a message whose payload
// is the tina_fd with these rights (never more than the caller has). On failure the caller keeps
// it.
tina_send_result tina_handoff(tina_ctx *ctx, tina_handle to, int32_t tag, tina_fd fd,
                              tina_right rights);

typedef enum tina_spawn_result {
    TINA_SPAWN_OK = 0,
    TINA_SPAWN_FULL,         // the type has no free slot
    TINA_SPAWN_WORN_OUT,     // all its free slots have used up their generations
    TINA_SPAWN_UNKNOWN_TYPE, // not in the spec
    TINA_SPAWN_BAD_ARGS,     // more than TINA_ARGS_BYTES_MAX
    TINA_SPAWN_BAD_FD,       // tina_spawn_with_fd: not an idle fd of the caller
    TINA_SPAWN_NO_GROUP,     // tina_spawn_in: no dynamic group of the tree that runs
} tina_spawn_result;

// tina_spawn makes a new isolate, whose init runs after the caller's handler, with a copy of args.
// The handle is good at once: messages sent to it wait until init has run. *child may be NULL.
tina_spawn_result tina_spawn(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                             tina_handle *child);

// tina_spawn_room returns how many isolates of a type could be spawned now: its free slots.
uint32_t tina_spawn_room(const tina_ctx *ctx, const tina_isolate_type *type);

// tina_spawn_with_fd also makes the child the owner of an fd that has no op in flight.
tina_spawn_result tina_spawn_with_fd(tina_ctx *ctx, const tina_isolate_type *type, tina_bytes args,
                                     tina_fd fd, tina_handle *child);

// tina_bequeath names the fd that survives the caller: when it crashes, and nothing is being sent
// on the fd, an isolate of its type's heir is spawned and owns it, so that the other end can be
// told. What the caller was receiving is cancelled; until that is in, an heir that receives gets
// TINA_IO_BUSY. With no slot for an heir, or a send in flight, the fd is closed as the caller's
// others are. False when it is not the caller's.
bool tina_bequeath(tina_ctx *ctx, tina_fd fd);

// tina_timer_set sends TINA_TIMER with `word` once, delay_ns from now, never early. Returns none
// when the shard's timers are used up.
tina_timer tina_timer_set(tina_ctx *ctx, uint64_t delay_ns, uint64_t word);

// tina_timer_set_periodic sends TINA_TIMER every period_ns, first in period_ns from now, until it
// is cancelled. Periods are counted from when it was set, so it does not drift; one that is late is
// one event, whose count says for how many periods. Returns none also when period_ns is 0.
tina_timer tina_timer_set_periodic(tina_ctx *ctx, uint64_t period_ns, uint64_t word);

// tina_timer_cancel returns true when the timer's event had not been delivered; now it never will
// be.
bool tina_timer_cancel(tina_ctx *ctx, tina_timer timer);

// tina_io_data returns the bytes of a TINA_IO_RECV_DONE, TINA_IO_RECVFROM_DONE or TINA_IO_READ_DONE
// (m->io.result of them; NULL when there are none), the reactor's, valid until the handler returns.
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
// tina_socket_adopt makes a socket that the process has from elsewhere, such as a listener that it
// was started with, one of the caller's: under an OS's fd of its own, the given one stays. A
// listening socket may come to block, or not to, for all who share it. -EOPNOTSUPP where no OS is.
int32_t tina_socket_adopt(tina_ctx *ctx, int32_t os_fd, tina_fd *fd);
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

// tina_panic ends the isolate whose handler calls it (TINA_EXIT_PANIC), with words for the log, cut
// at 160 bytes. Nothing of the handler is undone but what a crash undoes. Formats as in tina_log.
void tina_panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

// tina_stop asks the whole system to drain and end, as SIGTERM does. status becomes the process's
// exit status when it drains within its deadline; the first caller's counts.
void tina_stop(tina_ctx *ctx, int status);

// tina_stopping returns whether the shard was told to shut down, as all of the system's are; false
// where its tree ends by itself, and when it began anew since.
bool tina_stopping(const tina_ctx *ctx);

// tina_shutdown_tell tells an isolate of this shard TINA_SHUTDOWN, as a supervisor tells a child:
// for whoever has spawned isolates and is to see them end. False when nobody has that handle (any
// more). What becomes of it is for a monitor to tell.
bool tina_shutdown_tell(tina_ctx *ctx, tina_handle who);

#ifdef __cplusplus
}
#endif

#endif
