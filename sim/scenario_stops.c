// SPDX-License-Identifier: Apache-2.0
//
// Stops. On each shard a group stops and starts again whenever one of its children fails, while the
// others wait for ops that take their time or have no end, for calls, or for nothing; they spawn
// helpers, who have no supervisor, also when they are told to stop. Whatever they wait for, and
// whenever it completes: whoever is to stop is given TINA_SHUTDOWN once; what it awaits is
// cancelled before that, the first op or call that still can be and no other; nothing comes between
// the two; and who is spawned when all are told is told at once.

#include "sched/ctx.h"
#include "sim/net.h"
#include "sim/scenarios.h"
#include "sim/world.h"

#define SHARDS_MAX 3u
#define WORKERS    4u
#define HELPERS    6u
#define HOPS       2u // of helpers who are told: each spawns another
#define MOST_NS    UINT64_C(20000000)

typedef enum awaited {
    AWAIT_DATAGRAM = 0, // nobody but the isolate itself may have sent one
    AWAIT_DEADLINE,
    AWAIT_SEND,
    AWAIT_STAT,
    AWAIT_CALL, // of itself, which it cannot answer
    AWAIT_CALL_DEADLINE,
    AWAIT_TURN,
    AWAIT_TIMER,
    AWAIT_COUNT,
} awaited;

typedef struct shard_book {
    uint32_t breaks; // of the shard: what follows is of one life of it
    uint32_t lives;  // that have begun and have not ended by themselves
    uint32_t up;     // children who work
} shard_book;

typedef struct stops {
    shard_book shards[SHARDS_MAX];
} stops;

typedef struct worker {
    tina_fd fd;
    tina_address address;
    tina_file_stat stat;
    uint32_t hops; // a helper's
    bool supervised;
    bool canceled; // what it awaited, so it is to be told next
    bool told;
    bool leaves; // told, with one thing left to do
} worker;

typedef struct worker_args {
    uint32_t hops;
    bool supervised;
} worker_args;

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static shard_book *book_of(const tina_ctx *ctx) {
    stops *all = tina_sim_state(tina_sim_current());
    uint32_t shard = tina_shard_number(ctx);
    uint32_t breaks = tina_sim_breaks(tina_sim_current(), shard);
    if (all->shards[shard].breaks != breaks)
        all->shards[shard] = (shard_book){.breaks = breaks};
    return &all->shards[shard];
}

static tina_effect life_end(tina_ctx *ctx, bool supervised, tina_effect effect) {
    book_of(ctx)->lives--;
    book_of(ctx)->up -= supervised;
    return effect;
}

static void timer_begin(tina_ctx *ctx) {
    if (tina_timer_set(ctx, 1 + draw(0, MOST_NS), 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "stops timers", "no timer");
}

static tina_effect worker_wait(tina_ctx *ctx, worker *self, awaited what) {
    uint64_t within_ns = 1 + draw(1, MOST_NS);
    switch (what) {
    case AWAIT_DATAGRAM:
        return tina_io(tina_op_recvfrom(self->fd, 8));
    case AWAIT_DEADLINE:
        return tina_io(tina_op_within(tina_op_recvfrom(self->fd, 8), within_ns));
    case AWAIT_SEND:
        return tina_io(tina_op_sendto(self->fd, "!", 1, &self->address));
    case AWAIT_STAT:
        return tina_io(tina_op_stat_path("/nothing", &self->stat));
    case AWAIT_CALL:
        return tina_call(ctx, tina_self(ctx), 1, NULL, 0, 0);
    case AWAIT_CALL_DEADLINE:
        return tina_call(ctx, tina_self(ctx), 1, NULL, 0, within_ns);
    case AWAIT_TURN:
        return tina_yield();
    case AWAIT_TIMER:
    case AWAIT_COUNT:
        break;
    }
    timer_begin(ctx);
    return tina_receive();
}

static awaited worker_draw(void) {
    awaited what = (awaited)draw(2, AWAIT_COUNT);
    return tina_sim_does(tina_sim_current(), what) ? what : AWAIT_TIMER;
}

static const tina_isolate_type helper_type;

static void helper_spawn(tina_ctx *ctx, uint32_t hops) {
    const worker_args args = {.hops = hops};
    tina_spawn_result result =
        tina_spawn(ctx, &helper_type, tina_bytes_of(&args, sizeof args), NULL);
    if (result == TINA_SPAWN_OK)
        book_of(ctx)->lives++;
    else if (result != TINA_SPAWN_FULL)
        tina_sim_fail(tina_sim_current(), "stops spawn", "a helper was not spawned: %d", result);
}

static bool socket_begin(tina_ctx *ctx, worker *self) {
    tina_address any = sim_net_address(tina_sim_net(tina_sim_current()), SIM_NET_MACHINE, 0);
    return tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &self->fd) == 0 &&
           tina_socket_bind(ctx, self->fd, &any) == 0 &&
           tina_socket_local_address(ctx, self->fd, &self->address) == 0;
}

static tina_effect worker_init(tina_ctx *ctx, void *self_, tina_bytes args_) {
    worker *self = self_;
    const worker_args *args = args_.data;
    self->hops = args->hops;
    self->supervised = args->supervised;
    book_of(ctx)->lives += self->supervised;
    book_of(ctx)->up += self->supervised;
    if (!socket_begin(ctx, self)) {
        tina_sim_fail(tina_sim_current(), "stops sockets", "no socket");
        return tina_done();
    }
    return worker_wait(ctx, self, worker_draw());
}

static tina_effect worker_go_on(tina_ctx *ctx, worker *self) {
    uint32_t what = draw(3, 12);
    if (what == 0 && self->supervised)
        helper_spawn(ctx, HOPS);
    if (what == 1 && !self->supervised)
        return life_end(ctx, false, tina_done());
    return worker_wait(ctx, self, worker_draw());
}

// With time left for what must be done: that is not cancelled any more.
static tina_effect worker_told(tina_ctx *ctx, worker *self) {
    if (self->told)
        tina_sim_fail(tina_sim_current(), "stops twice", "one was told twice");
    self->told = true;
    self->canceled = false;
    if (self->hops)
        helper_spawn(ctx, self->hops - 1);
    if (draw(4, 2))
        return life_end(ctx, self->supervised, tina_done());
    static const awaited lasts[] = {AWAIT_DEADLINE, AWAIT_SEND, AWAIT_STAT, AWAIT_CALL_DEADLINE,
                                    AWAIT_TIMER};
    self->leaves = true;
    return worker_wait(ctx, self, lasts[draw(5, 5)]);
}

// One that has had its op cancelled and awaits another first is not cancelled again.
static tina_effect worker_canceled(tina_ctx *ctx, worker *self) {
    if (self->told || self->canceled)
        tina_sim_fail(tina_sim_current(), "stops cancel", "what was begun after it was cancelled");
    self->canceled = true;
    return draw(6, 3) ? tina_receive() : worker_wait(ctx, self, AWAIT_DEADLINE);
}

static tina_effect worker_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    worker *self = self_;
    bool is_io = m->tag <= TINA_IO_DONE;
    if (m->tag == TINA_SHUTDOWN)
        return worker_told(ctx, self);
    if (is_io && m->io.result == TINA_IO_CANCELED)
        return worker_canceled(ctx, self);
    if (m->tag == TINA_CALL_FAILED && m->call.failure == TINA_CALL_CANCELED)
        return worker_canceled(ctx, self);
    if (self->leaves)
        return life_end(ctx, self->supervised, tina_done());
    if (!self->canceled)
        return worker_go_on(ctx, self);
    if (!is_io)
        tina_sim_fail(tina_sim_current(), "stops order", "event %d came before it was told",
                      m->tag);
    return tina_receive();
}

static const tina_isolate_type worker_type = {
    .name = "worker",
    .init = worker_init,
    .handle = worker_handle,
    .struct_bytes = sizeof(worker),
};

static const tina_isolate_type helper_type = {
    .name = "helper",
    .init = worker_init,
    .handle = worker_handle,
    .struct_bytes = sizeof(worker),
};

// Fails now and then, and all are stopped.

static tina_effect tripper_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self, (void)args;
    book_of(ctx)->lives++;
    book_of(ctx)->up++;
    timer_begin(ctx);
    return tina_receive();
}

static tina_effect tripper_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    (void)self;
    if (m->tag == TINA_SHUTDOWN)
        return life_end(ctx, true, tina_done());
    if (!tina_sim_is_calm(tina_sim_current()))
        return life_end(ctx, true, tina_crash(1));
    return tina_receive();
}

static const tina_isolate_type tripper_type = {
    .name = "tripper", .init = tripper_init, .handle = tripper_handle, .struct_bytes = 8};

static const worker_args supervised = {.supervised = true};

// Nobody is ended by force: one that is not told is waited for.
#define WORKER                                                                                     \
    {                                                                                              \
        .type = &worker_type, .args = {&supervised, sizeof supervised},                            \
        .shutdown_ns = TINA_SHUTDOWN_INFINITY                                                      \
    }

static const tina_child children[WORKERS + 1] = {
    {.type = &tripper_type}, WORKER, WORKER, WORKER, WORKER};
static const tina_type_slots types[] = {
    {&tripper_type, 1}, {&worker_type, WORKERS}, {&helper_type, HELPERS}};

static const tina_spec spec = {
    .name = "stops",
    .types = types,
    .type_count = 3,
    .root = {.name = "stops",
             .children = children,
             .child_count = WORKERS + 1,
             .strategy = TINA_ONE_FOR_ALL,
             .intensity = 1000},
    .fd_count = WORKERS + HELPERS + 1,
    .op_count = 2 * (WORKERS + HELPERS),
    .buffer_count = 4,
    .channel_bytes = 8192,
    .shutdown_timeout_ns = 100000000000,
};

static bool stops_done(tina_sim *sim, void *state) {
    const stops *all = state;
    if (!tina_sim_is_calm(sim))
        return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        if (!tina_sim_is_up(sim, i) || all->shards[i].breaks != tina_sim_breaks(sim, i) ||
            all->shards[i].up != WORKERS + 1)
            return false;
    return true;
}

static void stops_end(tina_sim *sim, void *state) {
    const stops *all = state;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        if (all->shards[i].breaks == tina_sim_breaks(sim, i) && all->shards[i].lives)
            tina_sim_fail(sim, "stops force", "shard %u: %u were ended by force", i,
                          all->shards[i].lives);
}

// What an isolate does not see coming is left out: its end would not be known.
const tina_scenario tina_scenario_stops = {
    .name = "stops",
    .specs = &spec,
    .spec_count = 1,
    .settings = "init_crash_ppm=calm,crash_before_ppm=calm,crash_during_ppm=calm,"
                "crash_after_ppm=calm",
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 300000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(stops),
    .done = stops_done,
    .end = stops_end,
};
