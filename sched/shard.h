// SPDX-License-Identifier: Apache-2.0
//
// The shard as its loop sees it: it is opened in an arena, ticked with the time, and asked what to
// wait for. The loop owns the thread, the clock and the blocking (system.h has the real one, a
// simulator its own); the shard makes no system call but through its reactor's backend and its log
// writer.
//
//     for (;;) {
//         tina_tick tick = tina_shard_tick(shard, now());
//         if (tick.ended) break;
//         tina_reactor_wait(tina_shard_reactor(shard), now_ns, tick.busy ? 0 : tick.until_ns);
//     }
//
// Every function but tina_shard_snapshot is for the thread that opened the shard.

#ifndef TINA_SCHED_SHARD_H
#define TINA_SCHED_SHARD_H

#include "arena/arena.h"
#include "reactor/reactor.h"
#include "sched/counters.h"
#include "sched/link.h"
#include "sched/spec.h"
#include "supervise/trap.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_shard tina_shard;

typedef struct tina_time {
    uint64_t monotonic_ns;
    uint64_t wall_s; // since 1970, UTC
} tina_time;

// tina_log_write takes whole lines and returns how many bytes it took without blocking.
typedef size_t (*tina_log_write)(void *where, const char *text, size_t bytes);

// tina_symbolise writes what lies at a program counter, as "name+0x12", and returns its length.
typedef size_t (*tina_symbolise)(void *where, uintptr_t pc, char *out, size_t capacity);

typedef struct tina_shard_options {
    uint32_t number;      // of this shard
    uint32_t shard_count; // of the system; 0 is 1
    // Wakes another shard that sleeps; from the thread of this one.
    void (*wake)(void *where, uint32_t peer);
    void *wake_where;
    const tina_reactor_backend *backend;
    void *backend_options;
    tina_log_write log_write;
    void *log_where;
    tina_time now;
    tina_trap *trap;          // of the shard's thread; NULL: one that sees panics but no signals
    tina_symbolise symbolise; // NULL: faults are logged without a trace
    void *symbolise_where;
} tina_shard_options;

// tina_shard_bytes returns what tina_shard_open carves for a resolved spec.
uint64_t tina_shard_bytes(const tina_spec *resolved, const tina_shard_options *options);

// tina_shard_open carves and builds a shard. The spec's types, children and args stay the caller's
// and in place. Returns 0 and *shard, or -errno and a sentence.
int tina_shard_open(tina_arena *arena, const tina_spec *resolved, const tina_shard_options *options,
                    tina_shard **shard, char sentence[TINA_SENTENCE_BYTES]);

// tina_shard_close tears down what still lives and gives the reactor back to the OS.
void tina_shard_close(tina_shard *shard);

typedef struct tina_tick {
    bool busy;         // tick again at once
    bool ended;        // every isolate is gone and their I/O drained
    bool failed;       // a child could not be started at boot
    bool gave_up;      // the root's restart budget is spent
    bool stop;         // tina_stop was called
    int stop_status;   // with it
    uint64_t until_ns; // when not busy: nothing to do before
    // Not NULL: a fault that is not provably one handler's struck. Nothing else here counts, and
    // the shard may only be rebuilt or left as it is.
    const tina_fault *broken;
} tina_tick;

// tina_shard_inlet returns where shard `peer` puts what it sends to this one. tina_shard_connect
// says where this one puts what it sends to `peer`. Both sides are connected before either ticks.
tina_inlet *tina_shard_inlet(tina_shard *shard, uint32_t peer);
void tina_shard_connect(tina_shard *shard, uint32_t peer, tina_inlet *outlet);

// tina_shard_transfers returns where this shard's transfer buffers are, for tina_shard_borrow to
// tell a peer, which can then be lent them. All shards have as many, of one size.
void *tina_shard_transfers(tina_shard *shard);
void tina_shard_borrow(tina_shard *shard, uint32_t peer, void *transfers);

// tina_shard_observe tells a shard where a peer's counters are, which its handlers may then read
// (tina_counters); the peer stays in place as long as this shard ticks.
void tina_shard_observe(tina_shard *shard, uint32_t peer, const tina_shard *observed);

// tina_shard_doze announces that the loop will block, and returns false when something has come in
// meanwhile, so that it must not. Either way tina_shard_rouse follows, after blocking if it did.
bool tina_shard_doze(tina_shard *shard);
void tina_shard_rouse(tina_shard *shard);

// tina_shard_is_called returns whether a peer has sent something that a tick would take. For a loop
// that looks before it sleeps; announces nothing.
bool tina_shard_is_called(tina_shard *shard);

// tina_shard_tick runs one tick. It never blocks. A fault in a handler ends its isolate, and the
// tick goes on.
tina_tick tina_shard_tick(tina_shard *shard, tina_time now);

// tina_shard_shutdown has the tree stopped in reverse order, then tells those without a supervisor;
// tina_shard_force ends all that are left. Both may be called any number of times. Returns how many
// isolates were forced.
void tina_shard_shutdown(tina_shard *shard);
uint32_t tina_shard_force(tina_shard *shard);

// tina_shard_flush_log writes what the log takes now: for the last words of a process, also from a
// signal handler on the shard's thread.
void tina_shard_flush_log(tina_shard *shard);

// tina_shard_progress returns a number that differs whenever a tick or a handler has begun since.
// tina_shard_who writes whose handler is being called, as "echo 3.1", and returns its length as
// tina_format does. Both for the shard's thread, also in a signal handler.
uint64_t tina_shard_progress(const tina_shard *shard);
size_t tina_shard_who(const tina_shard *shard, char *out, size_t capacity);

// tina_shard_rebuild begins anew from the spec: every isolate is gone, untold and undescribed;
// every op is cancelled and awaited, every fd closed; then the tree is started as at boot. What is
// durable stays: handles, fds and ids of before are stale, counters and the log go on. It trusts
// nothing that an isolate, a message or a timer consists of. Returns false when an op would not
// end: then the shard may not be ticked, as the kernel may still touch its memory; try again, or
// close it.
bool tina_shard_rebuild(tina_shard *shard);

// tina_shard_quarantine empties a shard as tina_shard_rebuild does and starts nothing: its peers
// are told that it has stopped, and it is ticked to refuse what they still send. tina_shard_rebuild
// revives it. When it returns false its peers are told too.
bool tina_shard_quarantine(tina_shard *shard);

tina_reactor *tina_shard_reactor(tina_shard *shard);

// The following four are for a loop that watches or disturbs what it runs: a simulator.

// tina_shard_wrap has other functions called in place of a type's own, which is the spec's number
// `type`. They may call those.
void tina_shard_wrap(tina_shard *shard, uint32_t type, tina_init_function init,
                     tina_handle_function handle);

// tina_ctx_limit_calls lets the handler that runs make so many more calls and no more, if it may
// not anyway; one more ends its isolate, TINA_EXIT_CALL_LIMIT.
void tina_ctx_limit_calls(tina_ctx *ctx, uint32_t calls);

// tina_shard_verify checks every list and count of a shard after a tick, and asserts.
// O(what there is).
void tina_shard_verify(const tina_shard *shard);

// What an isolate does, of tina_shard_look.
typedef struct tina_isolate_look {
    tina_handle handle;
    const char *type;
    const char *state; // in a word or two
    uint32_t mail_count;
    uint32_t ops_in_flight;
    tina_handle waits_for; // whom it calls, or none
} tina_isolate_look;

// tina_shard_look describes the live isolate at *place or the next one after it, advances *place
// behind it, and returns false when there is none any more. From 0; between two ticks.
bool tina_shard_look(const tina_shard *shard, uint32_t *place, tina_isolate_look *look);

// tina_shard_snapshot copies the counters, on any thread, while the shard runs. Each value was true
// at some instant; together they are not one instant's.
void tina_shard_snapshot(const tina_shard *shard, tina_shard_counters *counters);

#ifdef __cplusplus
}
#endif

#endif
