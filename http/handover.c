// SPDX-License-Identifier: Apache-2.0
//
// Connections that one shard accepts and another serves.
//
//     shard A                                      shard B
//     bridge ───────────── spawns, monitors ─────▶ dispatcher ── monitors ──▶ bridge
//       │ writes `dispatchers[B]`                      ▲  │ spawns
//     listener ── hands each accepted socket over ─────┘  ▼
//                                                      connection
//
// A bridge keeps one dispatcher of its own on every other shard, and leaves a shard out that has no
// room or has stopped. A dispatcher outlives its shard's order to shut down until its bridge is
// gone: what was handed over before is then in, and no socket is lost on the way.

#include <string.h>

#include "core/assert.h"
#include "http/connection.h"
#include "http/overflow.h"
#include "http/shard.h"
#include "sched/ctx.h"

#define RETRY_NS UINT64_C(100000000)  // to reach a shard that could not be reached
#define SPAWN_NS UINT64_C(5000000000) // for another shard to start a dispatcher

// Sockets that were under way when the shard's last connection slot was taken.
#define HELD_MAX 64u

enum {
    TAG_FULL = 1, // a dispatcher's to its bridge
    TAG_ROOM,
};

typedef struct bridge {
    http_program *program;
    http_shard *shard;
    uint32_t next;                            // the shard being tried
    uint32_t missing;                         // of this round
    bool ready;                               // each was tried once
    tina_handle dispatchers[HTTP_SHARDS_MAX]; // also those without room
} bridge;

typedef struct dispatcher_args {
    http_program *program;
    tina_handle bridge;
} dispatcher_args;

static tina_effect bridge_build(tina_ctx *ctx, bridge *self);

static tina_effect bridge_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    bridge *self = self_;
    TINA_ASSERT(args.bytes == sizeof(http_program *));
    self->program = *(http_program *const *)args.data;
    self->shard = http_shard_open(ctx, self->program);
    bool listens = http_all_listen(self->program) || tina_shard_number(ctx) == 0;
    if (tina_shard_count(ctx) == 1 || !listens || !http_hands_over(self->program))
        return tina_done();
    // Those of a bridge before this one end with it.
    memset(self->shard->dispatchers, 0, sizeof self->shard->dispatchers);
    return bridge_build(ctx, self);
}

// Asks the next shard that lacks a dispatcher for one; when all were asked, waits.
static tina_effect bridge_build(tina_ctx *ctx, bridge *self) {
    for (; self->next < tina_shard_count(ctx); self->next++) {
        if (self->next == tina_shard_number(ctx) ||
            !tina_handle_is_none(self->dispatchers[self->next]))
            continue;
        dispatcher_args args = {self->program, tina_self(ctx)};
        return tina_spawn_on(ctx, self->next, &http_dispatcher_type,
                             tina_bytes_of(&args, sizeof args), SPAWN_NS);
    }
    if (!self->ready)
        http_ready(ctx, self->program);
    self->ready = true;
    if (self->missing > 0 && tina_timer_set(ctx, RETRY_NS, 0).bits == 0)
        return tina_crash(0); // and the next bridge tries it
    return tina_receive();
}

static tina_effect bridge_asked(tina_ctx *ctx, bridge *self, const tina_message *m) {
    bool built = m->tag == TINA_SPAWNED && m->spawn.result == TINA_SPAWN_OK &&
                 tina_monitor_set(ctx, m->spawn.child).bits != 0;
    if (built) {
        self->dispatchers[self->next] = m->spawn.child;
        http_shard_reach(self->shard, self->next, m->spawn.child);
    }
    self->missing += !built;
    self->next++;
    return bridge_build(ctx, self);
}

static tina_effect bridge_again(tina_ctx *ctx, bridge *self) {
    self->next = 0;
    self->missing = 0;
    return bridge_build(ctx, self);
}

static tina_effect dispatcher_lost(tina_ctx *ctx, bridge *self, tina_handle who) {
    uint32_t peer = tina_handle_shard(who);
    if (self->dispatchers[peer].bits != who.bits)
        return tina_receive();
    self->dispatchers[peer] = tina_handle_none();
    self->shard->dispatchers[peer] = tina_handle_none();
    return bridge_again(ctx, self);
}

static tina_effect dispatcher_has_room(bridge *self, tina_handle who, bool room) {
    uint32_t peer = tina_handle_shard(who);
    if (self->dispatchers[peer].bits == who.bits)
        self->shard->dispatchers[peer] = room ? who : tina_handle_none();
    return tina_receive();
}

static tina_effect bridge_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    bridge *self = self_;
    switch (m->tag) {
    case TINA_SPAWNED:
    case TINA_CALL_FAILED:
        return bridge_asked(ctx, self, m);
    case TINA_DOWN:
        return dispatcher_lost(ctx, self, m->down.who);
    case TINA_TIMER:
        return bridge_again(ctx, self);
    case TAG_FULL:
        return dispatcher_has_room(self, m->from, false);
    case TAG_ROOM:
        return dispatcher_has_room(self, m->from, true);
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        return tina_receive(); // a stranger's message
    }
}

const tina_isolate_type http_bridge_type = {
    .name = "http_bridge",
    .init = bridge_init,
    .handle = bridge_handle,
    .struct_bytes = sizeof(bridge),
    .mailbox_max = 2 * HTTP_SHARDS_MAX,
};

typedef struct dispatcher {
    http_shard *shard;
    tina_handle bridge;
    tina_timer timer;
    uint32_t held_count;
    bool told_full; // the bridge was, and not of room since
    tina_fd held[HELD_MAX];
} dispatcher;

static tina_effect dispatcher_init(tina_ctx *ctx, void *self_, tina_bytes args_) {
    dispatcher *self = self_;
    dispatcher_args args;
    TINA_ASSERT(args_.bytes == sizeof args);
    memcpy(&args, args_.data, sizeof args);
    self->shard = http_shard_open(ctx, args.program);
    self->bridge = args.bridge;
    if (tina_monitor_set(ctx, self->bridge).bits == 0)
        return tina_crash(0); // which the bridge sees
    return tina_receive();
}

// The shard is full: its connections are told to end, and one that does, or the timer, goes on.
static tina_effect wait(tina_ctx *ctx, dispatcher *self) {
    tina_timer_cancel(ctx, self->timer);
    self->timer = tina_timer_set(ctx, RETRY_NS, 0);
    return self->timer.bits != 0 ? tina_receive() : tina_yield();
}

// Others may have room: the bridge is told to pass this shard over until a connection ends.
static tina_effect handed_over_refuse(tina_ctx *ctx, dispatcher *self, tina_fd fd) {
    bool taken = http_overflow_refuse(self->shard, ctx, fd);
    http_shard_refuse(self->shard);
    self->shard->listener = tina_self(ctx);
    if (!self->told_full)
        self->told_full = tina_send(ctx, self->bridge, TAG_FULL, NULL, 0) == TINA_SEND_OK;
    tina_effect next = wait(ctx, self);
    return taken ? next : tina_io_close(fd);
}

static tina_effect handed_over(tina_ctx *ctx, dispatcher *self, const tina_message *m) {
    tina_fd fd;
    TINA_ASSERT(m->payload_bytes == sizeof fd);
    memcpy(&fd, m->payload, sizeof fd);
    if (tina_fd_is_none(fd)) { // this shard's fd table is full
        http_shard_lose(self->shard, 1);
        return tina_receive();
    }
    if (self->held_count == 0 && http_connection_begin(ctx, fd))
        return tina_receive();
    if (self->shard->program->server.overflow != HTTP_OVERFLOW_WAIT)
        return handed_over_refuse(ctx, self, fd);
    if (self->held_count == HELD_MAX) {
        http_shard_lose(self->shard, 1);
        return tina_io_close(fd);
    }
    self->shard->counters.accepts_delayed++;
    self->shard->listener = tina_self(ctx);
    self->held[self->held_count++] = fd;
    if (!self->told_full)
        self->told_full = tina_send(ctx, self->bridge, TAG_FULL, NULL, 0) == TINA_SEND_OK;
    return wait(ctx, self);
}

static void awaits_no_more(tina_ctx *ctx, dispatcher *self) {
    if (self->shard->listener.bits == tina_self(ctx).bits)
        self->shard->listener = tina_handle_none();
}

static tina_effect held_begin(tina_ctx *ctx, dispatcher *self) {
    uint32_t begun = 0;
    while (begun < self->held_count && http_connection_begin(ctx, self->held[begun]))
        begun++;
    self->held_count -= begun;
    memmove(self->held, &self->held[begun], self->held_count * sizeof self->held[0]);
    if (self->held_count > 0) {
        self->shard->listener = tina_self(ctx);
        return wait(ctx, self);
    }
    awaits_no_more(ctx, self);
    if (self->told_full)
        self->told_full = tina_send(ctx, self->bridge, TAG_ROOM, NULL, 0) != TINA_SEND_OK;
    return self->told_full ? wait(ctx, self) : tina_receive();
}

static tina_effect dispatcher_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    dispatcher *self = self_;
    switch (m->tag) {
    case HTTP_TAG_HANDED_OVER:
        return handed_over(ctx, self, m);
    case HTTP_TAG_CONNECTION_ENDED:
    case TINA_TIMER:
    case TINA_YIELDED:
        return held_begin(ctx, self);
    case TINA_IO_CLOSE_DONE:
        return tina_receive();
    case TINA_DOWN:
        http_shard_lose(self->shard, self->held_count);
        awaits_no_more(ctx, self);
        return tina_done();
    case TINA_SHUTDOWN:
        self->shard->draining = true;
        return tina_receive(); // for the end of the bridge
    default:
        return tina_receive(); // a stranger's message
    }
}

const tina_isolate_type http_dispatcher_type = {
    .name = "http_dispatcher",
    .init = dispatcher_init,
    .handle = dispatcher_handle,
    .struct_bytes = sizeof(dispatcher),
    // What waits is bounded by the shard's envelopes, and then waits in the channel: a socket that
    // finds a mailbox full would be closed.
    .mailbox_max = 1u << 20,
};
