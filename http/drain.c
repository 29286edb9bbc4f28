// SPDX-License-Identifier: Apache-2.0
//
// The order of a drain: a shard's tree stops its children in reverse, and these two make it wait in
// between until no request can call the program's children any more.
//
//     started:  program's children ─▶ gate ─▶ drain ─▶ bridge ─▶ listener      each shard
//     stopped:                     ◀─      ◀─       ◀─        ◀─
//                    all shards' drains       all connections
//                    have ended               of this shard have
//
// A drain stands for connections as their supervisor would, which costs an idle one nothing.
// Neither waits longer than its shutdown_ns, nor at all when the tree ends by itself, to be started
// anew.

#include "core/assert.h"
#include "http/connection.h"
#include "http/overflow.h"
#include "http/shard.h"
#include "sched/ctx.h"

#define LOOK_NS     UINT64_C(10000000)  // for what tells nobody that it has ended
#define RETRY_NS    UINT64_C(100000000) // when no monitor is left
#define TOLD_A_TURN 256u

typedef struct drain {
    http_shard *shard;
    tina_timer timer;
    uint64_t calls_end_ns; // when handlers in calls are told
    uint32_t next;         // slot of connections to be told
    bool told;
    bool calls_told;
} drain;

static tina_effect connections_tell(tina_ctx *ctx, drain *self);
static tina_effect end_await(tina_ctx *ctx, drain *self);
static bool all_ended(tina_ctx *ctx, const http_shard *shard);

static http_program *program_of(tina_bytes args) {
    TINA_ASSERT(args.bytes == sizeof(http_program *));
    return *(http_program *const *)args.data;
}

static tina_effect drain_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    drain *self = self_;
    self->shard = http_shard_open(ctx, program_of(args));
    tina_atomic_u64_store_release(&self->shard->load->drain, tina_self(ctx).bits);
    return tina_receive();
}

static tina_effect drain_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    drain *self = self_;
    switch (m->tag) {
    case TINA_SHUTDOWN:
        if (!tina_stopping(ctx))
            return tina_done();
        self->told = true;
        self->calls_end_ns = tina_now_ns(ctx) + self->shard->program->server.linger_timeout_ns;
        self->shard->draining = true;
        self->shard->telling_all = true;
        self->shard->drain = tina_self(ctx);
        return connections_tell(ctx, self);
    case TINA_YIELDED:
        return connections_tell(ctx, self);
    case TINA_TIMER:
    case HTTP_TAG_CONNECTION_ENDED:
        return self->told ? end_await(ctx, self) : tina_receive();
    default:
        return tina_receive(); // a stranger's message
    }
}

// A few at a time, so that telling a hundred thousand does not hold up everybody else. To be told
// ends a call as cancelled: one that is in progress has the time that other requests have.
static tina_effect connections_tell(tina_ctx *ctx, drain *self) {
    uint32_t slots = http_connection_slots(&self->shard->program->server);
    uint32_t end = slots - self->next < TOLD_A_TURN ? slots : self->next + TOLD_A_TURN;
    while (self->next < end)
        http_shard_tell(self->shard, self->next++, self->calls_told, ctx);
    return self->next < slots ? tina_yield() : end_await(ctx, self);
}

static tina_effect end_await(tina_ctx *ctx, drain *self) {
    if (all_ended(ctx, self->shard))
        return tina_done();
    if (!self->calls_told && self->calls_end_ns <= tina_now_ns(ctx)) {
        self->calls_told = true;
        self->next = 0;
        return tina_yield();
    }
    tina_timer_cancel(ctx, self->timer);
    self->timer = tina_timer_set(ctx, LOOK_NS, 0);
    return self->timer.bits != 0 ? tina_receive() : tina_yield();
}

// While another shard may hand over there are dispatchers.
static bool all_ended(tina_ctx *ctx, const http_shard *shard) {
    const http_server *server = &shard->program->server;
    return tina_spawn_room(ctx, &http_dispatcher_type) == http_dispatcher_slots(server) &&
           tina_spawn_room(ctx, &http_connection_type) == http_connection_slots(server) &&
           tina_spawn_room(ctx, &http_refusal_type) == HTTP_REFUSALS;
}

const tina_isolate_type http_drain_type = {
    .name = "http_drain",
    .init = drain_init,
    .handle = drain_handle,
    .struct_bytes = sizeof(drain),
};

typedef struct gate {
    http_program *program;
    uint32_t next;    // the shard to be monitored
    uint32_t awaited; // shards whose drain has not ended
} gate;

static tina_effect drains_monitor(tina_ctx *ctx, gate *self);
static tina_effect drain_ended(tina_ctx *ctx, gate *self, tina_handle who);

static tina_effect gate_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    gate *self = self_;
    self->program = program_of(args);
    return tina_shard_count(ctx) > 1 ? tina_receive() : tina_done();
}

static tina_effect gate_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    gate *self = self_;
    switch (m->tag) {
    case TINA_SHUTDOWN:
        return tina_stopping(ctx) ? drains_monitor(ctx, self) : tina_done();
    case TINA_TIMER:
    case TINA_YIELDED:
        return drains_monitor(ctx, self);
    case TINA_DOWN:
        return drain_ended(ctx, self, m->down.who);
    default:
        return tina_receive(); // a stranger's message
    }
}

static tina_handle drain_of(const http_program *program, uint32_t shard) {
    return (tina_handle){tina_atomic_u64_load_acquire(&program->loads[shard].drain)};
}

// Of those that have ended, or whose shard has stopped, the monitor tells at once.
static tina_effect drains_monitor(tina_ctx *ctx, gate *self) {
    for (; self->next < tina_shard_count(ctx); self->next++) {
        tina_handle other = drain_of(self->program, self->next);
        if (self->next == tina_shard_number(ctx) || tina_handle_is_none(other))
            continue;
        if (tina_monitor_set(ctx, other).bits == 0)
            return tina_timer_set(ctx, RETRY_NS, 0).bits != 0 ? tina_receive() : tina_yield();
        self->awaited++;
    }
    return self->awaited > 0 ? tina_receive() : tina_done();
}

static tina_effect drain_ended(tina_ctx *ctx, gate *self, tina_handle who) {
    TINA_ASSERT(self->awaited > 0);
    tina_handle there = drain_of(self->program, tina_handle_shard(who));
    // Another may have been started after one that crashed.
    bool again = there.bits != who.bits && tina_monitor_set(ctx, there).bits != 0;
    self->awaited -= !again;
    return self->awaited == 0 && self->next == tina_shard_count(ctx) ? tina_done() : tina_receive();
}

const tina_isolate_type http_gate_type = {
    .name = "http_gate",
    .init = gate_init,
    .handle = gate_handle,
    .struct_bytes = sizeof(gate),
};
