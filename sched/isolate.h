// SPDX-License-Identifier: Apache-2.0
//
// What an isolate is made of: its type, the messages it handles and the effects it returns. Types
// only; the calls that a handler makes are in ctx.h.
//
//     message ──▶ handle(ctx, self, message) ──▶ effect: what the isolate wants next
//
// An isolate is a struct and two functions. It has no stack of its own between two calls, never
// moves between shards, and shares nothing: another isolate knows it by its handle alone.

#ifndef TINA_SCHED_ISOLATE_H
#define TINA_SCHED_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/handle.h"
#include "reactor/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a handler calls through; valid during one call of init or handle, on the shard's thread.
typedef struct tina_ctx tina_ctx;

// Bytes that somebody else owns.
typedef struct tina_bytes {
    const void *data;
    size_t bytes;
} tina_bytes;

static inline tina_bytes tina_bytes_of(const void *data, size_t bytes) {
    tina_bytes view = {data, bytes};
    return view;
}

#define TINA_PAYLOAD_BYTES_MAX       96u
#define TINA_ARGS_BYTES_MAX          96u
#define TINA_SPAWN_ON_ARGS_BYTES_MAX 80u // of one on another shard

// Tags of a user's messages are 0 or more; the runtime's events are below 0:
enum {
    TINA_YIELDED = -1,     // the tick after `yield`
    TINA_TIMER = -2,       // message->timer
    TINA_SHUTDOWN = -3,    // once: finish, then return done. What was awaited is cancelled before
    TINA_DOWN = -4,        // message->down: an isolate that is monitored has ended
    TINA_CALL_FAILED = -5, // message->call: the awaited call has no reply
    TINA_SPAWNED = -6,     // message->spawn: what became of tina_spawn_on
    TINA_SHARD_NEWS = -7,  // message->shard: a shard that is monitored began anew or stopped
    // message->io; the tag is TINA_IO_DONE minus the op's kind.
    TINA_IO_DONE = -256,
    TINA_IO_ACCEPT_DONE = TINA_IO_DONE - TINA_OP_ACCEPT,
    TINA_IO_CONNECT_DONE = TINA_IO_DONE - TINA_OP_CONNECT,
    TINA_IO_RECV_DONE = TINA_IO_DONE - TINA_OP_RECV,
    TINA_IO_SEND_DONE = TINA_IO_DONE - TINA_OP_SEND,
    TINA_IO_CLOSE_DONE = TINA_IO_DONE - TINA_OP_CLOSE,
    TINA_IO_RECVFROM_DONE = TINA_IO_DONE - TINA_OP_RECVFROM,
    TINA_IO_SENDTO_DONE = TINA_IO_DONE - TINA_OP_SENDTO,
    TINA_IO_OPEN_DONE = TINA_IO_DONE - TINA_OP_OPEN,
    TINA_IO_READ_DONE = TINA_IO_DONE - TINA_OP_READ,
    TINA_IO_WRITE_DONE = TINA_IO_DONE - TINA_OP_WRITE,
    TINA_IO_FSYNC_DONE = TINA_IO_DONE - TINA_OP_FSYNC,
    TINA_IO_STAT_DONE = TINA_IO_DONE - TINA_OP_STAT,
    TINA_IO_SENDFILE_DONE = TINA_IO_DONE - TINA_OP_SENDFILE,
    TINA_IO_POLL_DONE = TINA_IO_DONE - TINA_OP_POLL,
    TINA_IO_RENAME_DONE = TINA_IO_DONE - TINA_OP_RENAME,
    TINA_IO_UNLINK_DONE = TINA_IO_DONE - TINA_OP_UNLINK,
};

// A timer in the wheel, to cancel it by; none when all bits are zero. Dies with its isolate.
typedef struct tina_timer {
    uint64_t bits; // generation 32 | entry 32
} tina_timer;

typedef struct tina_timer_event {
    tina_timer timer;
    uint64_t word;  // as given when it was set
    uint64_t count; // a periodic timer: periods that have passed since its last event; else 1
} tina_timer_event;

// A monitor, to end it by; none when all bits are zero. Dies with its isolate.
typedef struct tina_monitor {
    uint64_t bits; // generation 32 | entry 32
} tina_monitor;

typedef enum tina_exit_kind {
    TINA_EXIT_NORMAL = 0,
    TINA_EXIT_SHUTDOWN,   // ended because it was told to
    TINA_EXIT_CODE,       // tina_exit with a code of the user's
    TINA_EXIT_CRASH,      // tina_crash with a code of the user's
    TINA_EXIT_KILLED,     // outlived the shutdown deadline
    TINA_EXIT_BAD_EFFECT, // the returned effect makes no sense where it was returned
    TINA_EXIT_CALL_LIMIT, // made more ctx calls in one handler than the spec allows
    TINA_EXIT_PANIC,      // tina_panic
    TINA_EXIT_FAULT,      // the code is the signal: SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT
    TINA_EXIT_OVERFLOW,   // of the stack
    TINA_EXIT_RUNAWAY,    // ran for longer than a handler may
    TINA_EXIT_SHARD,      // a monitor's only: its shard, number `code`, began anew or stopped
    TINA_EXIT_UNKNOWN,    // a monitor's only: it had ended before it was monitored
} tina_exit_kind;

typedef struct tina_exit_reason {
    int32_t kind; // tina_exit_kind
    int32_t code;
} tina_exit_reason;

typedef struct tina_down_event {
    tina_monitor monitor;
    tina_handle who;
    tina_exit_reason reason;
} tina_down_event;

typedef enum tina_shard_change {
    TINA_SHARD_RESTARTED = 1, // it has begun anew: handles of its isolates are stale
    TINA_SHARD_QUARANTINED,   // it has stopped
    TINA_SHARD_REVIVED,       // it has begun anew after quarantine
} tina_shard_change;

typedef struct tina_shard_event {
    tina_monitor monitor;
    uint32_t shard;
    int32_t change; // tina_shard_change, the last
    // Of the shard: 1 at boot, greater whenever it has begun anew; of one that has stopped the last
    // that was heard of. No message of an earlier life comes after this, nor of this one then.
    uint32_t life;
    uint32_t count; // of changes since the event before
} tina_shard_event;

typedef enum tina_call_failure {
    TINA_CALL_STALE = 1,    // nobody has that handle
    TINA_CALL_MAILBOX_FULL, // the target has mailbox_max messages waiting
    TINA_CALL_POOL_EMPTY,   // no envelope left, or this caller has its share of them
    TINA_CALL_BAD_MESSAGE,  // tag below 0, or payload over TINA_PAYLOAD_BYTES_MAX
    TINA_CALL_DIED,         // the target ended without a reply
    TINA_CALL_TIMED_OUT,
    TINA_CALL_CANCELED,     // by shutdown
    TINA_CALL_NO_CREDIT,    // as many calls and monitors wait for that shard as may
    TINA_CALL_CHANNEL_FULL, // the target's shard does not keep up
    TINA_CALL_QUARANTINED,  // the target's shard has stopped
} tina_call_failure;

typedef struct tina_call_event {
    tina_handle target;
    int32_t failure; // tina_call_failure
} tina_call_event;

typedef struct tina_spawn_event {
    tina_handle child;
    int32_t result; // tina_spawn_result
    int32_t reserved;
} tina_spawn_event;

// Whom to answer: taken from a message that is a call, good until it is answered, however much
// later. None when all bits are zero: the message is not a call.
typedef struct tina_caller {
    uint64_t bits; // generation 32 | envelope 32
} tina_caller;

// Memory for large payloads, owned by one isolate at a time; none when all bits are zero.
typedef struct tina_transfer {
    uint64_t bits; // generation 32 | buffer 32
} tina_transfer;

typedef struct tina_io_event {
    tina_io_id id;
    tina_fd fd;               // the op's; accept, open: the new one, owned by this isolate
    int32_t result;           // >= 0, -errno or a TINA_IO_... error
    uint32_t bytes;           // moved, also before an error
    uint32_t flags;           // TINA_IO_MORE: the op goes on; TINA_IO_TRUNCATED
    const void *data;         // recv, recvfrom, read: the bytes; read it with tina_io_data
    const tina_address *from; // recvfrom: who sent it; of no family when that has no address
} tina_io_event;

// What a handler is given: a view that is valid for that call only.
typedef struct tina_message {
    int32_t tag;
    uint16_t payload_bytes; // 0 to TINA_PAYLOAD_BYTES_MAX
    uint16_t flags;         // the runtime's
    tina_handle from;       // none for the runtime's events
    tina_handle to;
    uint32_t next;     // the runtime's
    uint32_t transfer; // the runtime's: see tina_transfer_of
    union {
        uint8_t payload[TINA_PAYLOAD_BYTES_MAX];
        tina_io_event io;
        tina_timer_event timer;
        tina_down_event down;
        tina_call_event call;
        tina_spawn_event spawn;
        tina_shard_event shard;
    };
} tina_message;

typedef enum tina_effect_kind {
    TINA_EFFECT_NONE = 0, // never valid, so that a forgotten return is found
    TINA_EFFECT_EXIT,
    TINA_EFFECT_YIELD,
    TINA_EFFECT_RECEIVE,
    TINA_EFFECT_IO,
    TINA_EFFECT_CALL,
} tina_effect_kind;

// A request that is queued, or the failure to queue it.
typedef struct tina_call_effect {
    tina_handle target;
    uint64_t timeout_ns;
    uint32_t envelope; // the runtime's
    int32_t failure;   // tina_call_failure or 0
} tina_call_effect;

// Built by the functions below, returned at once, interpreted by the scheduler.
typedef struct tina_effect {
    int32_t kind; // tina_effect_kind
    int32_t reserved;
    union {
        tina_exit_reason reason; // TINA_EFFECT_EXIT
        tina_io_op op;           // TINA_EFFECT_IO
        tina_call_effect call;   // TINA_EFFECT_CALL
    };
} tina_effect;

static inline tina_effect tina_effect_exit(tina_exit_kind kind, int32_t code) {
    tina_effect effect;
    effect.kind = TINA_EFFECT_EXIT;
    effect.reserved = 0;
    effect.reason.kind = (int32_t)kind;
    effect.reason.code = code;
    return effect;
}

// tina_done ends the isolate, its work done. In init it means: not needed, nothing was started.
static inline tina_effect tina_done(void) {
    return tina_effect_exit(TINA_EXIT_NORMAL, 0);
}

// tina_exit ends the isolate with a code that its supervisor and monitors see.
static inline tina_effect tina_exit(int32_t code) {
    return tina_effect_exit(TINA_EXIT_CODE, code);
}

// tina_crash is voluntary failure. In init it is a failed start.
static inline tina_effect tina_crash(int32_t code) {
    return tina_effect_exit(TINA_EXIT_CRASH, code);
}

// tina_yield runs the isolate again next tick, with TINA_YIELDED.
static inline tina_effect tina_yield(void) {
    tina_effect effect;
    effect.kind = TINA_EFFECT_YIELD;
    effect.reserved = 0;
    return effect;
}

// tina_receive waits for anything: a message, a timer, the completion of a background op.
static inline tina_effect tina_receive(void) {
    tina_effect effect;
    effect.kind = TINA_EFFECT_RECEIVE;
    effect.reserved = 0;
    return effect;
}

// tina_io submits an op and waits for its completion only; the mailbox fills meanwhile. An op that
// cannot be submitted completes at once with the error, and so does a multishot one
// (TINA_IO_BAD_OP), which has no one completion to wait for: tina_submit is for those.
static inline tina_effect tina_io(tina_io_op op) {
    tina_effect effect;
    effect.kind = TINA_EFFECT_IO;
    effect.reserved = 0;
    effect.op = op;
    return effect;
}

static inline tina_effect tina_io_accept(tina_fd listener) {
    return tina_io(tina_op_accept(listener));
}

static inline tina_effect tina_io_connect(tina_fd fd, const tina_address *address) {
    return tina_io(tina_op_connect(fd, address));
}

static inline tina_effect tina_io_recv(tina_fd fd, size_t bytes_max) {
    return tina_io(tina_op_recv(fd, bytes_max > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes_max));
}

static inline tina_effect tina_io_send(tina_fd fd, const void *data, size_t bytes) {
    return tina_io(tina_op_send(fd, data, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes));
}

static inline tina_effect tina_io_close(tina_fd fd) {
    return tina_io(tina_op_close(fd));
}

// init receives zeroed memory and the spawner's args; handle receives one message. Both run to
// their end without being interrupted and must not block.
typedef tina_effect (*tina_init_function)(tina_ctx *ctx, void *self, tina_bytes args);
typedef tina_effect (*tina_handle_function)(tina_ctx *ctx, void *self, const tina_message *m);

// A type: static data, shared by all shards. Zero means the default.
// What an heir's init gets as its args.
typedef struct tina_heir_args {
    tina_fd fd;       // the heir's
    tina_handle dead; // stale
    tina_exit_reason reason;
} tina_heir_args;

typedef struct tina_isolate_type {
    const char *name;
    tina_init_function init;
    tina_handle_function handle;
    uint32_t struct_bytes; // sizeof the isolate's struct; init gets it zeroed
    uint32_t mailbox_max;  // messages that may wait; default 64
    uint32_t batch;        // messages handled in a row before the next isolate's turn; default 16
    uint32_t ops_max;      // background ops in flight at once; default 4
    const struct tina_isolate_type *heir; // see tina_bequeath; default none
    uint32_t working_bytes;               // working arena, see tina_working; default none
} tina_isolate_type;

#ifdef __cplusplus
}
#endif

#endif
