// SPDX-License-Identifier: Apache-2.0
//
// What the files of the shard share. An isolate is two things: its struct, in its type's pool,
// which is the user's; and its metadata here, which is the shard's, found by index and linked by
// index.

#ifndef TINA_SCHED_INTERNAL_H
#define TINA_SCHED_INTERNAL_H

#include "arena/arena.h"
#include "arena/bump.h"
#include "arena/pool.h"
#include "core/assert.h"
#include "core/handle.h"
#include "reactor/reactor.h"
#include "sched/ctx.h"
#include "sched/isolate.h"
#include "sched/log.h"
#include "sched/shard.h"
#include "sched/spec.h"
#include "sched/wheel.h"

#define NONE UINT32_MAX // of every link between metadata

typedef enum isolate_state {
    ISOLATE_FREE = 0,
    ISOLATE_STARTING,  // init has not run; its args lie in its struct
    ISOLATE_RECEIVING, // waits for anything
    ISOLATE_AWAITING,  // waits for op `awaited` only
    ISOLATE_REFUSED,   // its op could not be submitted; `refused_...` is the completion to come
    ISOLATE_YIELDED,   // waits for the next tick
    ISOLATE_DRAINING,  // ended; nobody's handle names it, but the kernel may still read its memory
} isolate_state;

// What is left to do about TINA_SHUTDOWN.
typedef enum isolate_told {
    TOLD_NOTHING = 0,
    TOLD_TO_TELL,   // deliver it when the isolate receives
    TOLD_TO_CANCEL, // and cancel the op that it awaits before that
} isolate_told;

typedef struct tina_isolate {
    tina_reactor_owner io;
    tina_handle handle; // none when free or draining
    union {
        tina_io_id awaited; // ISOLATE_AWAITING
        tina_fd refused_fd; // ISOLATE_REFUSED
    };
    uint32_t ready_next;
    uint32_t mail_first; // envelopes, oldest first
    uint32_t mail_last;
    uint32_t mail_count;
    uint32_t timer_first; // timers set, any order
    uint32_t fired_first; // timers fired and not delivered, oldest first
    uint32_t fired_last;
    uint32_t working_used;
    int32_t refused_result; // ISOLATE_REFUSED
    uint8_t refused_kind;
    uint8_t state; // isolate_state
    uint8_t type;
    uint8_t args_bytes; // ISOLATE_STARTING
    bool queued;        // in a ready list
    uint8_t told;       // isolate_told
    bool child;         // one of the spec's children
} tina_isolate;

typedef struct type_slots {
    const tina_isolate_type *type;
    tina_pool pool; // the structs; slot i's metadata is isolates[i]
    tina_isolate *isolates;
    uint8_t *working; // slot_count times working_stride
    uint64_t working_stride;
    uint32_t slot_count;
    uint32_t mailbox_max;
    uint32_t batch;
} type_slots;

typedef enum timer_kind {
    TIMER_USER = 0,
    TIMER_DEADLINE, // word is the op's id
} timer_kind;

typedef enum timer_state {
    TIMER_FREE = 0,
    TIMER_SET,
    TIMER_FIRED, // in its owner's list of events
} timer_state;

struct tina_ctx {
    tina_shard *shard;
    tina_isolate *self;
    type_slots *type;
    uint32_t calls_left;
    bool over; // more calls than call_max: the returned effect will not count
};

typedef struct ready_list {
    uint32_t first;
    uint32_t last;
} ready_list;

struct tina_shard {
    tina_ctx ctx;
    tina_time now;
    ready_list ready;
    ready_list yielded;     // ready from the next tick on
    tina_isolate *isolates; // of all types, each type's together
    tina_message *envelopes;
    tina_pool envelope_pool;
    tina_reactor *reactor;
    tina_wheel wheel;
    tina_wheel_entry *timers;
    tina_pool timer_pool;
    tina_bump scratch;
    type_slots *types;
    uint32_t type_count;
    uint32_t isolate_count;
    uint32_t number;
    uint32_t tick_batch;
    uint32_t call_max;
    uint32_t timer_count;
    uint32_t children_started;
    uint32_t child_awaited; // index of the child whose init has not run, or NONE
    bool child_failed;
    bool shutting_down;
    bool stop;
    int stop_status;
    uintptr_t stack_top; // of the frames that handlers run on
    void *memory;        // the program's
    const tina_spec *spec;
    uint16_t *type_index; // numbers from 1, see types.c
    uint32_t type_index_mask;
    tina_log_ring log;
    tina_shard_counters counters;
};

static inline uint32_t isolate_index(const tina_shard *shard, const tina_isolate *isolate) {
    return (uint32_t)(isolate - shard->isolates);
}

static inline uint32_t isolate_slot(const type_slots *type, const tina_isolate *isolate) {
    return (uint32_t)(isolate - type->isolates);
}

// isolate_find returns whom a handle names, or NULL when it is stale, none or another shard's.
static inline tina_isolate *isolate_find(const tina_shard *shard, tina_handle handle) {
    uint32_t type = tina_handle_type(handle);
    uint32_t slot = tina_handle_slot(handle);
    if (type >= shard->type_count || slot >= shard->types[type].slot_count)
        return NULL;
    tina_isolate *found = &shard->types[type].isolates[slot];
    return handle.bits != 0 && found->handle.bits == handle.bits ? found : NULL;
}

// ready.c: who has something to do.
void ready_append(tina_shard *shard, ready_list *list, tina_isolate *isolate);
tina_isolate *ready_take(tina_shard *shard);
void ready_join(tina_shard *shard);

// isolate_wake queues an isolate that may have something to handle; one that waits for something
// else is passed over when its turn comes.
static inline void isolate_wake(tina_shard *shard, tina_isolate *isolate) {
    if (!isolate->queued)
        ready_append(shard, &shard->ready, isolate);
}

// types.c
type_slots *types_find(tina_shard *shard, const tina_isolate_type *type);
void types_index(tina_shard *shard);

// lifecycle.c: birth and death.
tina_spawn_result isolate_spawn(tina_shard *shard, const tina_isolate_type *type, tina_bytes args,
                                tina_isolate **spawned);
void isolate_end(tina_shard *shard, tina_isolate *isolate, tina_exit_reason reason);
void isolate_unspawn(tina_shard *shard, tina_isolate *born);
void isolate_drained(tina_shard *shard, tina_isolate *isolate);

// timers.c
tina_timer timer_set(tina_shard *shard, tina_isolate *owner, uint64_t delay_ns, uint64_t word);
bool timer_cancel(tina_shard *shard, tina_isolate *owner, tina_timer timer);
void deadline_set(tina_shard *shard, tina_isolate *owner, tina_io_id id, uint64_t timeout_ns);
void deadline_clear(tina_shard *shard, uint32_t companion);
void timers_expire(tina_shard *shard);
bool timer_event(tina_shard *shard, tina_isolate *isolate, tina_message *event);
void timers_drop(tina_shard *shard, tina_isolate *isolate);

// dispatch.c
void dispatch_ready(tina_shard *shard);
void isolate_tell_shutdown(tina_shard *shard, tina_isolate *told);
void mailbox_drop(tina_shard *shard, tina_isolate *isolate);

// shard_log writes a line of the shard's own.
void shard_log(tina_shard *shard, tina_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// verify.c: every invariant of the shard; for TINA_VERIFY.
void shard_verify(const tina_shard *shard);

#endif
