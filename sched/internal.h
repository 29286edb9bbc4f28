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
#include "core/atomic.h"
#include "core/handle.h"
#include "reactor/reactor.h"
#include "sched/ctx.h"
#include "sched/isolate.h"
#include "sched/link.h"
#include "sched/log.h"
#include "sched/shard.h"
#include "sched/spec.h"
#include "sched/wheel.h"
#include "supervise/trap.h"
#include "supervise/tree.h"

#define NONE UINT32_MAX // of every link between metadata

// What the way of most messages steps around.
#define RARELY(condition) __builtin_expect(!!(condition), false)

typedef enum isolate_state {
    ISOLATE_FREE = 0,
    ISOLATE_STARTING,    // init has not run; its args lie in its struct
    ISOLATE_RUNNING,     // its init or handler is on the stack; it waits for nothing
    ISOLATE_RECEIVING,   // waits for anything
    ISOLATE_AWAITING,    // waits for op `awaited` only
    ISOLATE_REFUSED,     // its op could not be submitted; `refusal` is the completion to come
    ISOLATE_CALLING,     // waits for the answer to `call_envelope` only
    ISOLATE_ANSWERED,    // the answer is in `call_envelope`
    ISOLATE_CALL_FAILED, // by `call_target`, for `refusal`
    ISOLATE_YIELDED,     // waits for the next tick
    ISOLATE_DRAINING, // ended; nobody's handle names it, but the kernel may still read its memory
} isolate_state;

// What is left to do about TINA_SHUTDOWN.
typedef enum isolate_told {
    TOLD_NOTHING = 0,
    TOLD_TO_TELL,   // deliver it when the isolate receives
    TOLD_TO_CANCEL, // and cancel the op or call that it awaits before that
} isolate_told;

// Control events that wait, so that one test finds that there are none.
enum {
    CONTROL_TOLD = 1,      // `told` is not TOLD_NOTHING
    CONTROL_COMPLETED = 2, // a completion may be in the reactor's list
    CONTROL_FIRED = 4,     // fired_first is not NONE
    CONTROL_DOWN = 8,      // down_first is not NONE, of isolates and shards
};

// The first line is what a message touches.
typedef struct tina_isolate {
    tina_handle handle; // none when free or draining
    uint32_t ready_next;
    union {
        uint32_t mail_first; // envelopes, oldest first
        uint32_t drain_next; // ISOLATE_DRAINING: those that ended later
    };
    union {
        uint32_t mail_last;
        uint32_t drain_prev;
    };
    uint32_t mail_count;
    union {
        uint32_t mail_taken; // ever; orders monitors' events among messages
        uint32_t drain_since_ms;
    };
    uint32_t sent_in_use; // envelopes that it sent and that are not given back
    uint8_t state;        // isolate_state
    uint8_t control;      // CONTROL_... flags
    uint8_t told;         // isolate_told
    uint8_t type;
    bool queued;     // in a ready list, or running
    bool supervised; // its node in the tree is in `nodes`
    union {
        uint8_t args_bytes; // ISOLATE_STARTING
        uint8_t exited;     // ISOLATE_DRAINING: tina_exit_class
    };
    union {
        uint8_t refused_kind; // ISOLATE_REFUSED
        bool zombie;          // ISOLATE_DRAINING: too long
    };
    uint32_t timer_first; // timers and deadlines set, any order
    uint32_t fired_first; // timers fired and not delivered, oldest first
    uint32_t fired_last;
    uint32_t down_first; // monitors' events not delivered, oldest first
    uint32_t down_last;
    uint32_t working_used;

    tina_reactor_owner io;
    union {
        tina_io_id awaited;      // ISOLATE_AWAITING
        tina_fd refused_fd;      // ISOLATE_REFUSED
        tina_handle call_target; // ISOLATE_CALLING, ISOLATE_CALL_FAILED
    };
    union {
        int32_t refusal;     // ISOLATE_REFUSED, ISOLATE_CALL_FAILED
        uint32_t call_timer; // ISOLATE_CALLING: its deadline, or NONE
    };
    uint32_t call_envelope;    // ISOLATE_CALLING, ISOLATE_ANSWERED
    uint32_t unanswered_first; // calls delivered to it, to be answered
    uint32_t monitor_first;    // monitors that it set, any order
    uint32_t watcher_first;    // monitors that others set on it
    uint32_t transfer_first;   // buffers that it owns
} tina_isolate;

_Static_assert(sizeof(tina_isolate) == 128, "two lines an isolate");

typedef struct type_slots {
    tina_isolate *isolates; // slot i's metadata is isolates[i]
    uint32_t slot_count;
    uint32_t mailbox_max;
    uint32_t batch;
    uint32_t ops_max;
    const tina_isolate_type *type;
    tina_init_function init; // the type's, unless wrapped
    tina_handle_function handle;
    tina_pool pool;   // the structs
    uint8_t *working; // slot_count times working_stride_of the type
} type_slots;

_Static_assert(sizeof(type_slots) == 128, "found by a shift");

static inline size_t working_stride_of(const tina_isolate_type *type) {
    return tina_align_up(type->working_bytes, 16);
}

typedef enum timer_kind {
    TIMER_USER = 0,
    TIMER_OP,   // the deadline of an op; word is the op's id
    TIMER_CALL, // of a call
} timer_kind;

typedef enum timer_state {
    TIMER_FREE = 0,
    TIMER_SET,
    TIMER_FIRED, // in its owner's list of events
} timer_state;

// Flags of an envelope.
enum {
    ENVELOPE_CALL = 1,      // its sender awaits an answer
    ENVELOPE_DELIVERED = 2, // ... it is in its receiver's list of unanswered calls
    ENVELOPE_ABANDONED = 4, // ... nobody awaits it any more; discard it
    ENVELOPE_TRANSFER = 8,  // a buffer came with it
    ENVELOPE_REMOTE = 16,   // a call from another shard, see `remote_calls`
    ENVELOPE_AWAY = 32,     // holds the place of a call to another shard; in nobody's mailbox
};

// What is to be told of a shard.
typedef struct peer_news {
    int32_t change; // tina_shard_change
    uint32_t count; // 0: nothing
    uint32_t life;  // once told: the shard's
} peer_news;

typedef struct monitor_entry {
    tina_handle who;
    union {
        tina_exit_reason reason; // once down
        peer_news news;          // of a shard
    };
    uint32_t owner;      // NONE: it is on shard `peer`, and this is its entry of the watched
    uint32_t owner_next; // of the owner's monitors; once down, of its events
    uint32_t owner_prev;
    uint32_t who_next; // of the monitors of who, or of the shard
    uint32_t who_prev;
    uint32_t due; // once down: deliverable when the owner's mail_taken is there
    bool down;
    bool late;         // waits in its link's list for messages up to `position`
    bool of_shard;     // `peer`, and of nobody there
    uint32_t credit;   // of one across shards, else NONE
    uint32_t peer;     // with it, or monitored itself
    uint64_t position; // late
} monitor_entry;

typedef struct shard_link shard_link;

// A set of links, by the numbers of their peers.
typedef struct link_set {
    uint64_t words[TINA_OCCUPANCY_WORDS_MAX];
} link_set;

// Who asked, of an envelope with ENVELOPE_REMOTE.
typedef struct remote_call {
    uint32_t peer;
    uint32_t credit;
} remote_call;

// Of a buffer of this shard's, or of one that another shard has lent it: those follow this shard's
// own in the table, each peer's together, in the order of its own table.
typedef struct transfer_entry {
    uint32_t owner;
    uint32_t owner_next;
    uint32_t owner_prev;
    uint32_t generation; // of a borrowed one, at its lender
    bool kept;           // beyond the handler that received it
    bool mailed;         // in a message to its owner that is not delivered: not to be used yet
    bool lent;           // ours, with another shard: nobody's here
    bool borrowed;       // another shard's, with us
} transfer_entry;

// What is known of a node of the tree besides its policy, found by the node's index.
typedef struct child_record {
    const tina_child *child; // NULL: the root
    bool keeps_args;         // in `args`; otherwise they are the spec's
} child_record;

typedef struct child_args {
    uint32_t bytes;
    _Alignas(8) uint8_t data[TINA_ARGS_BYTES_MAX];
} child_args;

typedef struct group_entry {
    const tina_group *group;
    tina_node node;
} group_entry;

// What must be given back after a handler, however it ends.
typedef struct handler_debt {
    uint32_t envelope; // being handled, or NONE
    uint16_t flags; // of that, as it was delivered: a call's envelope is the caller's once answered
    uint16_t buffer; // received bytes, or TINA_IO_NO_BUFFER
} handler_debt;

struct tina_ctx {
    tina_shard *shard;
    tina_trap *trap;
    tina_isolate *self;
    type_slots *type;
    handler_debt debt;
    uint32_t calls_left;
    uint32_t envelope;      // of the call being handled, or NONE
    tina_transfer transfer; // that came with the message being handled, or none
    bool answered;          // the call being handled
};

typedef struct ready_list {
    uint32_t first;
    uint32_t last;
} ready_list;

#define COUNTER_FIELD(name) tina_atomic_u64 name;
typedef struct shard_counters {
    TINA_SHARD_COUNTERS(COUNTER_FIELD)
} shard_counters;
#undef COUNTER_FIELD

// Faults are logged with where they came from, but so many a second and no more.
typedef struct fault_log {
    tina_symbolise symbolise; // or NULL
    void *where;
    uint64_t second;
    uint32_t traced; // in that second
} fault_log;

struct tina_shard {
    tina_ctx ctx;
    tina_time now;
    tina_time next; // what the tick begins with
    ready_list ready;
    ready_list yielded;     // ready from the next tick on
    tina_isolate *isolates; // of all types, each type's together
    tina_message *envelopes;
    type_slots *types;
    tina_pool envelope_pool;
    tina_bump scratch;
    uint32_t type_count;
    uint32_t isolate_count;
    uint32_t sender_share;
    uint32_t number;
    uint32_t tick_batch;
    uint32_t call_max;
    uint32_t tick_left;  // dispatches, of tick_batch
    uint32_t turn_calls; // of the isolate whose turn it is
    bool cut;            // by a fault, in dispatch: the tick goes on there
    bool broken;         // by a fault, in the shard itself
    tina_reactor *reactor;
    tina_wheel_entry *timers;
    tina_pool timer_pool;
    monitor_entry *monitors;
    tina_pool monitor_pool;
    transfer_entry *transfers;
    uint8_t *transfer_memory;
    uint32_t borrowed; // in use
    uint32_t lent;     // of ours
    uint32_t transfer_entries;
    uint64_t transfer_stride;
    tina_pool transfer_pool;
    uint32_t timer_count;
    uint32_t user_timers; // in use, of timer_count
    void *tree_memory;
    tina_tree *tree;
    tina_node *nodes;      // of each isolate, when it is supervised
    child_record *records; // of each node
    child_args *args;      // of each node, or NULL
    group_entry *groups;
    uint32_t group_count;
    uint32_t added_what; // in the tree, of the next child that a call adds
    uint32_t isolates_in_use;
    uint32_t isolates_draining;
    uint32_t drain_first; // that are no zombies, oldest first
    uint32_t drain_last;
    uint32_t zombies;
    bool shutting_down;
    bool telling_all; // also who has no supervisor; whoever is spawned from then on is told at once
    bool tree_ended;
    tina_end_cause end_cause;
    bool stop;
    int stop_status;
    uintptr_t stack_top; // of the frames that handlers run on
    void *memory;        // the program's
    const tina_spec *spec;
    tina_trap own_trap; // when the loop gives none
    fault_log faults;
    uint16_t *type_index; // numbers from 1, see types.c
    uint32_t type_index_mask;
    tina_shard_options options;
    shard_link *links; // to each shard, this one too; none when there is but one
    tina_inlet *inlets;
    tina_occupancy *occupancy; // of the inlets; NULL: each is looked at in each tick
    link_set kept;             // links to be looked at again, with what was not taken
    link_set outbound;         // with something claimed or to be told
    remote_call *remote_calls; // of each envelope
    uint32_t link_count;
    uint32_t link_credits;
    uint32_t link_share; // of the envelopes, what one peer may fill
    uint32_t life;       // 1 at first
    uint32_t watches;    // monitors of other shards
    tina_log_ring log;
    shard_counters counters;
    tina_wheel wheel;
};

// COUNT adds to a counter. One thread writes, so a load and a store are enough.
#define COUNT(shard, name, more)                                                                   \
    tina_atomic_u64_store_relaxed(&(shard)->counters.name,                                         \
                                  tina_atomic_u64_load_relaxed(&(shard)->counters.name) + (more))
#define GAUGE(shard, name, value) tina_atomic_u64_store_relaxed(&(shard)->counters.name, value)

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

static inline bool isolate_is_live(const tina_isolate *isolate) {
    return !tina_handle_is_none(isolate->handle);
}

// ready.c: who has something to do.
static inline void ready_append(tina_shard *shard, ready_list *list, tina_isolate *isolate) {
    TINA_ASSERT(!isolate->queued);
    uint32_t index = isolate_index(shard, isolate);
    isolate->queued = true;
    isolate->ready_next = NONE;
    if (list->first == NONE)
        list->first = index;
    else
        shard->isolates[list->last].ready_next = index;
    list->last = index;
}

// ready_take returns the first, which stays queued: until its turn has ended.
static inline tina_isolate *ready_take(tina_shard *shard) {
    if (shard->ready.first == NONE)
        return NULL;
    tina_isolate *taken = &shard->isolates[shard->ready.first];
    TINA_ASSERT(taken->queued);
    shard->ready.first = taken->ready_next;
    return taken;
}

// isolate_wake queues an isolate that may have something to handle; one that waits for something
// else is passed over when its turn comes.
static inline void isolate_wake(tina_shard *shard, tina_isolate *isolate) {
    if (!isolate->queued)
        ready_append(shard, &shard->ready, isolate);
}

static inline void isolate_control(tina_shard *shard, tina_isolate *isolate, uint32_t control) {
    isolate->control |= (uint8_t)control;
    isolate_wake(shard, isolate);
}

// types.c
type_slots *types_find(tina_shard *shard, const tina_isolate_type *type);
void types_index(tina_shard *shard);

// messages.c: envelopes and mailboxes.
void link_envelope_give(tina_shard *shard, uint32_t index);
// envelope_give ends an envelope, and its sender's charge for it when that still lives. Its `from`
// is the shard's own writing, so it needs no checking.
static inline void envelope_give(tina_shard *shard, uint32_t index) {
    tina_handle from = shard->envelopes[index].from;
    if (__builtin_expect(tina_handle_shard(from) != shard->number, false)) {
        link_envelope_give(shard, index);
        return;
    }
    tina_isolate *sender = &shard->types[tina_handle_type(from)].isolates[tina_handle_slot(from)];
    if (sender->handle.bits == from.bits) {
        TINA_ASSERT(sender->sent_in_use > 0);
        sender->sent_in_use--;
    }
    tina_pool_give_slot(&shard->envelope_pool, index);
}
static inline void mailbox_append(tina_shard *shard, tina_isolate *receiver, uint32_t index) {
    if (receiver->mail_first == NONE)
        receiver->mail_first = index;
    else
        shard->envelopes[receiver->mail_last].next = index;
    receiver->mail_last = index;
    receiver->mail_count++;
    shard->envelopes[index].next = NONE;
}
void mailbox_drop(tina_shard *shard, tina_isolate *ended);

// calls.c
bool call_begin(tina_shard *shard, tina_isolate *self, const tina_effect *effect);
void call_delivered(tina_shard *shard, tina_isolate *callee, uint32_t envelope);
void call_fail(tina_shard *shard, tina_isolate *caller, tina_call_failure failure);
void call_dropped(tina_shard *shard, const tina_message *request, uint32_t envelope);
void call_abandon(tina_shard *shard, tina_isolate *caller);
void call_end(tina_shard *shard, tina_isolate *caller, tina_call_failure failure);
// For calls across shards: of the caller's side, by its tina_caller, and of the callee's.
void call_answered(tina_shard *shard, uint64_t caller, const tina_message *item);
void call_failed(tina_shard *shard, uint64_t caller, tina_call_failure failure);
void call_disowned(tina_shard *shard, uint32_t envelope);
void calls_drop(tina_shard *shard, tina_isolate *callee);

// lifecycle.c: birth and death.
tina_spawn_result isolate_spawn(tina_shard *shard, const tina_isolate_type *type, tina_bytes args,
                                tina_isolate **spawned);
void isolate_end(tina_shard *shard, tina_isolate *isolate, tina_exit_reason reason);
void isolate_drained(tina_shard *shard, tina_isolate *isolate);

// rebuild.c: what a shard with no isolate in it is like.
void shard_begin(tina_shard *shard);

// drains.c
void drain_begin(tina_shard *shard, tina_isolate *ended);
void drain_end(tina_shard *shard, tina_isolate *ended);
void drains_expire(tina_shard *shard);
uint64_t drains_next_ns(const tina_shard *shard);

// supervision.c: what happens to a child, and what is to be done about it.
void supervision_open(tina_shard *shard);
void supervision_run(tina_shard *shard);
void supervision_shutdown(tina_shard *shard);
child_record *record_of(const tina_shard *shard, tina_node node);
const char *child_name(const tina_shard *shard, tina_node node);
void child_bind(tina_shard *shard, tina_isolate *isolate, tina_node node);
void child_inited(tina_shard *shard, tina_isolate *isolate);
void child_exited(tina_shard *shard, tina_isolate *isolate, tina_exit_class how);

// timers.c
tina_timer timer_set(tina_shard *shard, tina_isolate *owner, uint64_t delay_ns, uint64_t period_ns,
                     uint64_t word);
bool timer_cancel(tina_shard *shard, tina_isolate *owner, tina_timer timer);
uint32_t deadline_set(tina_shard *shard, tina_isolate *owner, timer_kind kind, uint64_t word,
                      uint64_t timeout_ns);
void deadline_clear(tina_shard *shard, uint32_t index);
void timers_expire(tina_shard *shard);
bool timer_event(tina_shard *shard, tina_isolate *isolate, tina_message *event);
void timers_drop(tina_shard *shard, tina_isolate *isolate);

// monitors.c
tina_monitor monitor_set(tina_shard *shard, tina_isolate *owner, tina_handle who);
bool monitor_end(tina_shard *shard, tina_isolate *owner, tina_monitor monitor);
void monitors_tell(tina_shard *shard, tina_isolate *ended, tina_exit_reason reason);
bool down_event(tina_shard *shard, tina_isolate *owner, tina_message *event);
void monitors_drop(tina_shard *shard, tina_isolate *ended);
void monitor_down(tina_shard *shard, uint64_t monitor, tina_exit_reason reason, uint64_t position);
void monitors_late(tina_shard *shard, shard_link *link);
uint32_t watch_set(tina_shard *shard, tina_isolate *watched, uint32_t peer, uint32_t credit);
void watch_end(tina_shard *shard, uint32_t index);
// monitor_take returns an entry of the owner's that is in no list, or NONE.
uint32_t monitor_take(tina_shard *shard, const tina_isolate *owner, tina_handle who);
tina_monitor monitor_name(const tina_shard *shard, uint32_t index);
void monitor_owner_link(tina_shard *shard, tina_isolate *owner, uint32_t index);
void monitor_owner_unlink(tina_shard *shard, uint32_t index);
void monitor_append(tina_shard *shard, uint32_t index);
// monitor_event_unlink takes an entry out of its owner's events.
void monitor_event_unlink(tina_shard *shard, uint32_t index);

// peer_monitors.c
tina_monitor_result peer_monitor_set(tina_shard *shard, tina_isolate *owner, uint32_t peer,
                                     tina_monitor *monitor);
void peer_monitor_unlink(tina_shard *shard, uint32_t index);
void peer_event(tina_shard *shard, tina_isolate *owner, uint32_t index, tina_message *event);

// transfers.c
tina_transfer transfer_take(tina_shard *shard, tina_isolate *owner);
bool transfer_is_owned(const tina_shard *shard, const tina_isolate *owner, tina_transfer transfer);
bool transfer_is_read(const tina_shard *shard, const tina_isolate *owner, tina_transfer transfer);
void transfer_move(tina_shard *shard, uint32_t index, tina_isolate *to);
void transfer_give(tina_shard *shard, uint32_t index);
void transfer_end(tina_shard *shard, const tina_isolate *receiver, tina_transfer transfer);
bool transfers_hold(const tina_shard *shard, const void *data);
bool transfer_lets_read(const tina_shard *shard, const tina_isolate *owner, const void *data,
                        size_t bytes);
void transfers_drop(tina_shard *shard, tina_isolate *ended);
void transfer_own(tina_shard *shard, tina_isolate *owner, uint32_t index);
void transfer_disown(tina_shard *shard, uint32_t index);
tina_transfer transfer_name(const tina_shard *shard, uint32_t index);

// loans.c: buffers that are with another shard than their own.
void loan_end(tina_shard *shard, uint32_t index);
void loans_home(tina_shard *shard, uint32_t peer);
void loans_return(tina_shard *shard);
void loan_refuse(tina_shard *shard, uint32_t peer, const tina_message *item);
uint32_t loan_arrive(tina_shard *shard, uint32_t peer, const tina_message *item,
                     tina_isolate *receiver);
tina_send_result loan_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                           size_t payload_bytes, uint32_t index);

// dispatch.c
void dispatch_ready(tina_shard *shard);
// turn_end ends a turn of at least one call, however its last handler ended.
static inline void turn_end(tina_shard *shard, tina_isolate *self) {
    TINA_ASSERT(shard->turn_calls <= shard->tick_left);
    self->queued = false;
    shard->tick_left -= shard->turn_calls;
    COUNT(shard, dispatches, shard->turn_calls);
}
void debt_pay(tina_shard *shard, tina_isolate *self);
void isolate_tell_shutdown(tina_shard *shard, tina_isolate *told);

// op_memory.c
// op_submit submits an op. What the kernel reads will last: in the isolate's struct or working
// arena, static, or in a transfer buffer that it keeps. Addresses and paths are copied.
int32_t op_submit(tina_shard *shard, tina_isolate *self, const tina_io_op *op, tina_io_id *id);
// op_submit_effect is for one whose handler has returned.
int32_t op_submit_effect(tina_shard *shard, tina_isolate *self, const tina_io_op *op,
                         tina_io_id *id);

// op_touch.c
void op_touch(const tina_io_op *op);

// faults.c
void fault_recover(tina_shard *shard);

// ctx.c. Every call that changes something stands between ctx_enter and ctx_leave, and reads or
// touches all memory that the handler names before: until ctx_enter a fault is the handler's. Calls
// are counted, so that a handler is bounded.
TINA_NORETURN void ctx_limit_cut(const tina_ctx *ctx);
static inline void ctx_enter(tina_ctx *ctx) {
    tina_trap_probe_stack();
    if (__builtin_expect(ctx->calls_left == 0, false))
        ctx_limit_cut(ctx);
    ctx->calls_left--;
    tina_trap_set_phase(ctx->trap, TINA_PHASE_CALL);
}
static inline void ctx_leave(const tina_ctx *ctx) {
    tina_trap_leave_call(ctx->trap);
}
// payload_touch makes a later copy of a payload safe; one that is too large is refused unread.
static inline void payload_touch(const void *payload, size_t bytes) {
    if (bytes <= TINA_PAYLOAD_BYTES_MAX)
        tina_trap_touch(payload, bytes);
}
// messages.c: ctx_send is for calls between ctx_enter and ctx_leave.
tina_send_result ctx_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                          size_t payload_bytes, uint32_t *envelope);

// shard_log writes a line of the shard's own.
void shard_log(tina_shard *shard, tina_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// verify.c: tina_shard_verify after a tick, for TINA_VERIFY.
void shard_verify_in_turn(const tina_shard *shard);

#endif
