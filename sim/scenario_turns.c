// SPDX-License-Identifier: Apache-2.0
//
// Turns: some flood others with messages, some yield without end, some read, one does not, and a
// quiet one has timers and monitors. Whatever happens, a tick calls no more handlers than it may,
// nobody has more calls in a row than its turn while others are ready, whoever is ready is called
// within the bound of sched/README.md, and control events come in time with the pool empty and
// mailboxes full, before messages.

#include "sched/ctx.h"
#include "sim/scenarios.h"

#define SHARDS_MAX  3u
#define BATCH       3u
#define TICK_BATCH  8u
#define MAILBOX_MAX 9u
#define ROUNDS      150u // of each that floods or yields

typedef enum role {
    ROLE_FLOODER = 0, // two
    ROLE_YIELDER = 2, // two
    ROLE_READER = 4,
    ROLE_DEAF = 5, // waits for something else nearly always
    ROLE_MAYFLY = 6,
    ROLE_QUIET = 7,
    ROLES
} role;

// ceil(R x 4 x batch / tick_batch) + 1 ticks for a turn, and one until it may begin.
#define TURN_TICKS ((ROLES * 4 * BATCH + TICK_BATCH - 1) / TICK_BATCH + 2)

enum {
    TAG_FLOOD = 1
};

typedef struct flood {
    uint64_t tick;   // of the shard that it was sent on
    uint32_t shard;  // that one
    uint32_t unused; // what a message holds is hashed, padding too
} flood;

typedef struct one {
    tina_handle who;
    uint64_t ready_tick; // it has yielded in this tick and was not called since; 0: it has not
    uint64_t due_ns;     // its timer, by its shard's clock; UINT64_MAX: it has none
    uint32_t rounds;
} one;

typedef struct shard_book {
    uint64_t tick;
    uint32_t calls; // in it
    tina_handle last;
    uint32_t in_a_row; // of the last
    tina_handle ended; // the mayfly, by itself
    uint64_t ended_tick;
    uint64_t slept_tick; // of the quiet one: it saw no event up to it
    bool watched;
    one ones[ROLES];
} shard_book;

typedef struct turns {
    shard_book shards[SHARDS_MAX];
} turns;

typedef struct someone {
    uint32_t role;
    tina_monitor monitor;
    tina_handle mayfly;
} someone;

static shard_book *book_of(const tina_ctx *ctx) {
    turns *all = tina_sim_state(tina_sim_current());
    return &all->shards[tina_shard_number(ctx)];
}

static uint64_t draw(uint32_t stream, uint64_t limit) {
    return tina_sim_draw(tina_sim_current(), stream, limit);
}

static uint32_t rounds(void) {
    return tina_sim_load(tina_sim_current(), ROUNDS);
}

static uint64_t tick_of(const tina_ctx *ctx) {
    tina_shard_counters counters;
    (void)tina_counters(ctx, tina_shard_number(ctx), &counters);
    return counters.ticks;
}

static bool one_lives(tina_handle who) {
    const tina_shard *shard = tina_sim_shard(tina_sim_current(), tina_handle_shard(who));
    uint32_t place = 0;
    tina_isolate_look look;
    while (tina_shard_look(shard, &place, &look))
        if (look.handle.bits == who.bits)
            return true;
    return false;
}

// Somebody else who was ready when this tick began, and has not been called in it.
static bool another_waits(const shard_book *book, tina_handle self) {
    for (uint32_t i = 0; i < ROLES; i++) {
        const one *at = &book->ones[i];
        if (at->who.bits != self.bits && at->ready_tick && at->ready_tick < book->tick &&
            one_lives(at->who))
            return true;
    }
    return false;
}

// Of each call of a handler, before anything else.
static void call_count(const tina_ctx *ctx) {
    shard_book *book = book_of(ctx);
    tina_sim *sim = tina_sim_current();
    uint64_t tick = tick_of(ctx);
    tina_handle self = tina_self(ctx);
    book->calls = book->tick == tick ? book->calls + 1 : 1;
    bool goes_on = book->tick == tick && book->last.bits == self.bits;
    book->in_a_row = goes_on ? book->in_a_row + 1 : 1;
    book->tick = tick;
    book->last = self;
    if (book->calls > TICK_BATCH)
        tina_sim_fail(sim, "turns tick", "a tick made %u calls", book->calls);
    if (book->in_a_row > 4 * BATCH && another_waits(book, self))
        tina_sim_fail(sim, "turns batch", "one had %u calls in a row", book->in_a_row);
}

static void late_check(const tina_ctx *ctx, const char *what, uint64_t from_tick, uint64_t most) {
    uint64_t ticks = tick_of(ctx) - from_tick;
    if (ticks > most)
        tina_sim_fail(tina_sim_current(), "turns bound", "%s took %llu ticks, not %llu", what,
                      (unsigned long long)ticks, (unsigned long long)most);
}

static tina_effect one_yield(const tina_ctx *ctx, uint32_t which) {
    book_of(ctx)->ones[which].ready_tick = tick_of(ctx);
    return tina_yield();
}

static void one_rest(tina_ctx *ctx, one *self) {
    uint64_t delay_ns = draw(0, 200000);
    if (tina_timer_set(ctx, delay_ns, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "turns timers", "no timer");
    self->due_ns = tina_now_ns(ctx) + delay_ns;
}

static tina_effect someone_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    someone *self = self_;
    self->role = *(const uint32_t *)args.data;
    one *book = &book_of(ctx)->ones[self->role];
    *book = (one){.who = tina_self(ctx), .due_ns = UINT64_MAX, .rounds = book->rounds};
    call_count(ctx);
    if (self->role < ROLE_READER)
        return one_yield(ctx, self->role);
    if (self->role == ROLE_QUIET)
        book_of(ctx)->watched = false;
    one_rest(ctx, book);
    return tina_receive();
}

// As many as are taken, to readers and to those who do not read.
static tina_effect flooder_yielded(tina_ctx *ctx, uint32_t which) {
    turns *all = tina_sim_state(tina_sim_current());
    uint32_t shard = (uint32_t)draw(1, tina_shard_count(ctx));
    const one *target = &all->shards[shard].ones[ROLE_READER + draw(2, 2)];
    flood sent = {tick_of(ctx), tina_shard_number(ctx)};
    uint32_t left = 1 + (uint32_t)draw(3, 12);
    while (left > 0 && !tina_handle_is_none(target->who) &&
           tina_send(ctx, target->who, TAG_FLOOD, &sent, sizeof sent) == TINA_SEND_OK)
        left--;
    if (draw(4, 200) == 0)
        return tina_crash(1);
    return one_yield(ctx, which);
}

static tina_effect one_yielded(tina_ctx *ctx, uint32_t which) {
    one *self = &book_of(ctx)->ones[which];
    late_check(ctx, "a yield", self->ready_tick, TURN_TICKS);
    self->ready_tick = 0;
    if (++self->rounds >= rounds())
        return tina_receive();
    return which < ROLE_YIELDER ? flooder_yielded(ctx, which) : one_yield(ctx, which);
}

// Of its own shard, as ticks are, to one that did not wait for anything else.
static void flood_came(const tina_ctx *ctx, uint32_t which, const tina_message *m) {
    const flood *came = (const flood *)(const void *)m->payload;
    if (which == ROLE_READER && came->shard == tina_shard_number(ctx))
        late_check(ctx, "a message", came->tick, TURN_TICKS * (MAILBOX_MAX / BATCH + 1));
}

// Waits for what cannot come, so that its mailbox is full.
static tina_effect deaf_wait(tina_ctx *ctx, one *self) {
    if (tina_sim_is_calm(tina_sim_current()))
        return tina_receive();
    self->due_ns = UINT64_MAX;
    return tina_call(ctx, tina_self(ctx), TAG_FLOOD, NULL, 0, 1 + draw(5, 500000));
}

static void quiet_watch(tina_ctx *ctx, someone *self) {
    shard_book *book = book_of(ctx);
    self->mayfly = book->ones[ROLE_MAYFLY].who;
    self->monitor = tina_monitor_set(ctx, self->mayfly);
    book->watched = true;
    if (self->monitor.bits == 0)
        tina_sim_fail(tina_sim_current(), "turns monitors", "none is left");
}

static void mayfly_down(tina_ctx *ctx, someone *self, const tina_down_event *down) {
    shard_book *book = book_of(ctx);
    if (down->monitor.bits != self->monitor.bits)
        tina_sim_fail(tina_sim_current(), "turns monitors", "an event of no monitor");
    if (book->ended.bits == down->who.bits && down->reason.kind == TINA_EXIT_NORMAL)
        late_check(ctx, "a monitor's event", book->ended_tick, TURN_TICKS);
    book->watched = false;
}

static tina_effect timer_came(tina_ctx *ctx, someone *self, one *book) {
    if (tina_now_ns(ctx) < book->due_ns)
        tina_sim_fail(tina_sim_current(), "turns timers", "a timer is early");
    book->due_ns = UINT64_MAX;
    if (self->role == ROLE_MAYFLY && draw(6, 4) == 0) {
        book_of(ctx)->ended = tina_self(ctx);
        book_of(ctx)->ended_tick = tick_of(ctx);
        return tina_done();
    }
    if (self->role == ROLE_DEAF)
        return deaf_wait(ctx, book);
    if (self->role == ROLE_QUIET && !book_of(ctx)->watched)
        quiet_watch(ctx, self);
    if (!tina_sim_is_calm(tina_sim_current()))
        one_rest(ctx, book);
    return tina_receive();
}

// The wheel's slots are about a microsecond.
static void control_check(const tina_ctx *ctx, const one *book) {
    if (book->due_ns != UINT64_MAX && tina_now_ns(ctx) > book->due_ns + 10000)
        tina_sim_fail(tina_sim_current(), "turns control", "a message came before a timer");
}

static tina_effect someone_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    someone *self = self_;
    one *book = &book_of(ctx)->ones[self->role];
    call_count(ctx);
    switch (m->tag) {
    case TINA_YIELDED:
        return one_yielded(ctx, self->role);
    case TAG_FLOOD:
        control_check(ctx, book);
        flood_came(ctx, self->role, m);
        return tina_receive();
    case TINA_CALL_FAILED:
        // Its mail waits, as a reader's does.
        one_rest(ctx, book);
        return tina_receive();
    case TINA_TIMER:
        return timer_came(ctx, self, book);
    case TINA_DOWN:
        mayfly_down(ctx, self, &m->down);
        return tina_receive();
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        tina_sim_fail(tina_sim_current(), "turns", "event %d, which none is owed", m->tag);
        return tina_receive();
    }
}

static const tina_isolate_type someone_type = {
    .name = "someone",
    .init = someone_init,
    .handle = someone_handle,
    .struct_bytes = sizeof(someone),
    .mailbox_max = MAILBOX_MAX,
    .batch = BATCH,
};

static const uint32_t roles[ROLES] = {0, 1, 2, 3, 4, 5, 6, 7};

#define SOMEONE(i)                                                                                 \
    {                                                                                              \
        .type = &someone_type, .args = { &roles[i], sizeof roles[i] }                              \
    }

static const tina_child children[ROLES] = {SOMEONE(0), SOMEONE(1), SOMEONE(2), SOMEONE(3),
                                           SOMEONE(4), SOMEONE(5), SOMEONE(6), SOMEONE(7)};
static const tina_type_slots types[] = {{&someone_type, ROLES}};

// Two mailboxes of messages take all envelopes.
static const tina_spec spec = {
    .name = "turns",
    .types = types,
    .type_count = 1,
    .root = {.name = "turns", .children = children, .child_count = ROLES, .intensity = 200},
    .message_count = 2 * MAILBOX_MAX - 4,
    .sender_share = 2 * MAILBOX_MAX,
    .tick_batch = TICK_BATCH,
    .monitor_count = 1,
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 8192,
};

static bool turns_done(tina_sim *sim, void *state) {
    const turns *self = state;
    if (!tina_sim_is_calm(sim))
        return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters counters;
        tina_shard_snapshot(tina_sim_shard(sim, i), &counters);
        if (!tina_sim_is_up(sim, i) || counters.messages_in_use)
            return false;
        for (uint32_t r = 0; r < ROLE_READER; r++)
            if (self->shards[i].ones[r].rounds < rounds())
                return false;
    }
    return true;
}

const tina_scenario tina_scenario_turns = {
    .name = "turns",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 5000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(turns),
    .done = turns_done,
};
