// SPDX-License-Identifier: Apache-2.0
//
// Timers: isolates set them, one-shot and periodic, from nothing to beyond the end of time, cancel
// their own, each other's and those that are gone, wait for something else meanwhile, and end.
// Whatever happens, an event comes for a timer that is set, to who has set it, by its shard's clock
// never early nor long after, a one-shot's once, and the counts of a periodic one add up to the
// periods that have passed.

#include "sched/ctx.h"
#include "sim/scenarios.h"
#include "sim/world.h"

#define CLOCKS_PER_SHARD 5u
#define SHARDS_MAX       3u
#define CLOCK_COUNT      (CLOCKS_PER_SHARD * SHARDS_MAX)
#define TIMERS           7u // of each, and one that it lives by
#define TIMER_COUNT      (CLOCKS_PER_SHARD * TIMERS)
#define LATE_TICKS       64u

typedef struct set_timer {
    tina_timer timer; // none: free
    uint64_t word;
    uint64_t from_ns;    // its shard's clock
    uint64_t delay_ns;   // or period
    uint64_t told;       // periods
    uint64_t late_ticks; // its shard's, when it was seen to be late
    bool periodic;
} set_timer;

typedef struct clock_book {
    tina_handle who;
    uint64_t waits_until_ns; // UINT64_MAX: it does not wait for anything else
    uint64_t waited_ns;      // until when it last did
    tina_timer old;          // fired or cancelled
    set_timer timers[1 + TIMERS];
} clock_book;

typedef struct clocks {
    uint32_t clock_count;
    bool steady; // no shard stands still, jumps ahead or breaks
    uint64_t words;
    uint64_t seen_ns[SHARDS_MAX]; // the last time a handler saw
    clock_book clocks[CLOCK_COUNT];
} clocks;

typedef struct clock_isolate {
    uint32_t number;
} clock_isolate;

static clocks *clocks_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint64_t draw(uint32_t stream, uint64_t limit) {
    return tina_sim_draw(tina_sim_current(), stream, limit);
}

static uint32_t timers_of(const clocks *all, uint32_t shard) {
    uint32_t count = 0;
    for (uint32_t c = shard * CLOCKS_PER_SHARD; c < (shard + 1) * CLOCKS_PER_SHARD; c++)
        for (uint32_t i = 0; i <= TIMERS; i++)
            count += all->clocks[c].timers[i].timer.bits != 0;
    return count;
}

// Whoever is refused finds them all in use: by clocks that live, or have ended unseen.
static bool timer_begin(tina_ctx *ctx, set_timer *set, bool periodic, uint64_t delay_ns) {
    clocks *all = clocks_of();
    set_timer begun = {
        .word = ++all->words,
        .from_ns = tina_now_ns(ctx),
        .delay_ns = delay_ns,
        .periodic = periodic,
    };
    begun.timer = periodic ? tina_timer_set_periodic(ctx, delay_ns, begun.word)
                           : tina_timer_set(ctx, delay_ns, begun.word);
    *set = begun;
    bool refused = begun.timer.bits == 0;
    if (refused && timers_of(all, tina_shard_number(ctx)) < TIMER_COUNT)
        tina_sim_fail(tina_sim_current(), "timers in use", "a timer is refused with %u of %u set",
                      timers_of(all, tina_shard_number(ctx)), TIMER_COUNT);
    return !refused;
}

static tina_effect clock_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    clock_isolate *self = self_;
    self->number = tina_shard_number(ctx) * CLOCKS_PER_SHARD + *(const uint32_t *)args.data;
    clock_book *book = &clocks_of()->clocks[self->number];
    *book = (clock_book){.who = tina_self(ctx), .waits_until_ns = UINT64_MAX};
    if (!timer_begin(ctx, &book->timers[0], true, 500000 + draw(0, 4000000)))
        return tina_crash(1);
    return tina_receive();
}

static uint64_t due_ns(const set_timer *set) {
    uint64_t after_ns = set->periodic ? (set->told + 1) * set->delay_ns : set->delay_ns;
    return after_ns > UINT64_MAX - set->from_ns ? UINT64_MAX : set->from_ns + after_ns;
}

// How late an event may be where nothing but the turns of its shard takes time.
static uint64_t late_max_ns(uint64_t delay_ns) {
    const tina_sim_settings *settings = &tina_sim_world(tina_sim_current())->settings;
    uint64_t drift_ns = delay_ns / 400;
    return 2 * LATE_TICKS * (1 + (settings->turn_ns << 6)) + drift_ns + 100000;
}

static void late_check(tina_ctx *ctx, const clock_book *book, const set_timer *set) {
    uint64_t since_ns = due_ns(set) > book->waited_ns ? due_ns(set) : book->waited_ns;
    uint64_t late_ns = tina_now_ns(ctx) - since_ns;
    if (clocks_of()->steady && tina_now_ns(ctx) > since_ns && late_ns > late_max_ns(set->delay_ns))
        tina_sim_fail(tina_sim_current(), "timers late", "a timer of %llu ns is %llu ns late",
                      (unsigned long long)set->delay_ns, (unsigned long long)late_ns);
}

static set_timer *timer_named(clock_book *book, tina_timer timer) {
    for (uint32_t i = 0; i <= TIMERS; i++)
        if (timer.bits && book->timers[i].timer.bits == timer.bits)
            return &book->timers[i];
    return NULL;
}

static bool timer_fired(tina_ctx *ctx, clock_book *book, uint32_t number,
                        const tina_timer_event *event) {
    tina_sim *sim = tina_sim_current();
    set_timer *set = timer_named(book, event->timer);
    if (!set || set->word != event->word) {
        tina_sim_fail(sim, "timers", "clock %u: event %llu of a timer that it has not set", number,
                      (unsigned long long)event->word);
        return false;
    }
    uint64_t now_ns = tina_now_ns(ctx);
    if (now_ns < due_ns(set))
        tina_sim_fail(sim, "timers early", "clock %u: %llu ns early", number,
                      (unsigned long long)(due_ns(set) - now_ns));
    late_check(ctx, book, set);
    set->late_ticks = 0;
    if (set->periodic) {
        set->told += event->count;
        if (set->told != (now_ns - set->from_ns) / set->delay_ns)
            tina_sim_fail(sim, "timers count", "clock %u: %llu periods of %llu ns at %llu ns",
                          number, (unsigned long long)set->told, (unsigned long long)set->delay_ns,
                          (unsigned long long)(now_ns - set->from_ns));
        return set == &book->timers[0];
    }
    if (event->count != 1)
        tina_sim_fail(sim, "timers count", "clock %u: a one-shot counts %llu", number,
                      (unsigned long long)event->count);
    book->old = set->timer;
    set->timer.bits = 0;
    return false;
}

static uint64_t delay_draw(void) {
    switch (draw(1, 6)) {
    case 0:
        return draw(2, 2);
    case 1:
        return draw(2, 100000);
    case 2:
    case 3:
        return draw(2, 10000000);
    case 4:
        return draw(2, 300000000);
    default:
        return draw(3, 4) ? draw(2, UINT64_C(40000000000)) : UINT64_MAX - draw(2, 1000);
    }
}

static void timer_stop(tina_ctx *ctx, clock_book *book, set_timer *set) {
    tina_timer timer = set->timer;
    bool canceled = tina_timer_cancel(ctx, timer);
    set->timer.bits = 0;
    book->old = timer;
    if (!canceled)
        tina_sim_fail(tina_sim_current(), "timers cancel", "a timer that is set is not canceled");
}

// What is not one's own, or is no more, cannot be cancelled.
static void timer_stop_wrong(tina_ctx *ctx, clock_book *book) {
    const clocks *all = clocks_of();
    const clock_book *other = &all->clocks[draw(4, all->clock_count)];
    tina_timer timer = draw(5, 2) ? book->old : other->timers[draw(6, 1 + TIMERS)].timer;
    if (timer.bits == 0 || timer_named(book, timer))
        return;
    if (tina_timer_cancel(ctx, timer))
        tina_sim_fail(tina_sim_current(), "timers cancel", "a timer of another is canceled");
}

static void clock_act(tina_ctx *ctx, clock_book *book) {
    set_timer *set = &book->timers[1 + draw(7, TIMERS)];
    if (set->timer.bits && draw(8, 3) == 0)
        timer_stop(ctx, book, set);
    else if (set->timer.bits == 0 && draw(9, 3) == 0)
        (void)timer_begin(ctx, set, true, 200000 + draw(10, 50000000));
    else if (set->timer.bits == 0)
        (void)timer_begin(ctx, set, false, delay_draw());
    if (draw(11, 4) == 0)
        timer_stop_wrong(ctx, book);
}

static tina_effect clock_live(tina_ctx *ctx, clock_book *book) {
    if (tina_sim_is_calm(tina_sim_current())) {
        for (uint32_t i = 1; i <= TIMERS; i++)
            if (book->timers[i].timer.bits)
                timer_stop(ctx, book, &book->timers[i]);
        return tina_receive();
    }
    for (uint64_t left = 1 + draw(12, tina_sim_load(tina_sim_current(), 4)); left > 0; left--)
        clock_act(ctx, book);
    uint64_t what = draw(13, 100);
    if (what < 10) {
        // It calls itself: nothing but the timeout can come of that.
        uint64_t timeout_ns = 1 + draw(14, 20000000);
        tina_effect effect = tina_call(ctx, tina_self(ctx), 1, NULL, 0, timeout_ns);
        book->waits_until_ns = tina_now_ns(ctx) + timeout_ns;
        return effect;
    }
    if (what < 20)
        return tina_yield();
    return what == 20 ? tina_exit(1) : tina_receive();
}

static void clock_waited(tina_ctx *ctx, clock_book *book, const tina_call_event *failed) {
    if (failed->failure == TINA_CALL_TIMED_OUT && tina_now_ns(ctx) < book->waits_until_ns)
        tina_sim_fail(tina_sim_current(), "timers early", "a call timed out early");
    book->waits_until_ns = UINT64_MAX;
    book->waited_ns = tina_now_ns(ctx);
}

static tina_effect clock_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    const clock_isolate *self = self_;
    clock_book *book = &clocks_of()->clocks[self->number];
    clocks_of()->seen_ns[tina_shard_number(ctx)] = tina_now_ns(ctx);
    if (book->waits_until_ns != UINT64_MAX && m->tag != TINA_CALL_FAILED)
        tina_sim_fail(tina_sim_current(), "timers", "clock %u: event %d while it waits",
                      self->number, m->tag);
    switch (m->tag) {
    case TINA_TIMER:
        return timer_fired(ctx, book, self->number, &m->timer) ? clock_live(ctx, book)
                                                               : tina_receive();
    case TINA_CALL_FAILED:
        clock_waited(ctx, book, &m->call);
        return tina_receive();
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        return tina_receive();
    }
}

static const tina_isolate_type clock_type = {
    .name = "clock",
    .init = clock_init,
    .handle = clock_handle,
    .struct_bytes = sizeof(clock_isolate),
    .batch = 2,
};

static const uint32_t numbers[CLOCKS_PER_SHARD] = {0, 1, 2, 3, 4};

#define CLOCK(i)                                                                                   \
    {                                                                                              \
        .type = &clock_type, .args = { &numbers[i], sizeof numbers[i] }                            \
    }

static const tina_child children[CLOCKS_PER_SHARD] = {CLOCK(0), CLOCK(1), CLOCK(2), CLOCK(3),
                                                      CLOCK(4)};
static const tina_type_slots types[] = {{&clock_type, CLOCKS_PER_SHARD}};

static const tina_spec spec = {
    .name = "timers",
    .types = types,
    .type_count = 1,
    .root = {.name = "clocks",
             .children = children,
             .child_count = CLOCKS_PER_SHARD,
             .intensity = 20},
    .timer_count = TIMER_COUNT,
    .tick_batch = 12,
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 16384,
};

static void clocks_begin(tina_sim *sim, void *state) {
    clocks *self = state;
    const tina_sim_settings *settings = &tina_sim_world(sim)->settings;
    self->clock_count = tina_sim_shard_count(sim) * CLOCKS_PER_SHARD;
    self->steady = settings->pause_ppm == 0 && settings->step_ppm == 0 && settings->death_ppm == 0;
}

// A shard that ticks and has seen the time tells of it soon.
static void clock_check(tina_sim *sim, clocks *self, uint32_t number) {
    uint32_t shard = number / CLOCKS_PER_SHARD;
    clock_book *book = &self->clocks[number];
    tina_shard_counters counters;
    tina_shard_snapshot(tina_sim_shard(sim, shard), &counters);
    for (uint32_t i = 0; i <= TIMERS; i++) {
        set_timer *set = &book->timers[i];
        bool late = set->timer.bits && due_ns(set) < self->seen_ns[shard] &&
                    book->waits_until_ns == UINT64_MAX;
        if (!late)
            set->late_ticks = 0;
        else if (set->late_ticks == 0)
            set->late_ticks = counters.ticks;
        else if (counters.ticks - set->late_ticks > LATE_TICKS)
            tina_sim_fail(sim, "timers late", "clock %u: its timer %llu has not fired", number,
                          (unsigned long long)set->word);
    }
}

static bool clock_lives(tina_sim *sim, const clock_book *book) {
    uint32_t place = 0;
    tina_isolate_look look;
    while (tina_shard_look(tina_sim_shard(sim, tina_handle_shard(book->who)), &place, &look))
        if (look.handle.bits == book->who.bits)
            return true;
    return false;
}

static void clocks_check(tina_sim *sim, void *state) {
    clocks *self = state;
    for (uint32_t i = 0; i < self->clock_count; i++)
        if (self->clocks[i].who.bits && clock_lives(sim, &self->clocks[i]))
            clock_check(sim, self, i);
}

static bool clocks_done(tina_sim *sim, void *state) {
    const clocks *self = state;
    if (!tina_sim_is_calm(sim))
        return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters counters;
        tina_shard_snapshot(tina_sim_shard(sim, i), &counters);
        if (!tina_sim_is_up(sim, i) || counters.timers_in_use != CLOCKS_PER_SHARD ||
            timers_of(self, i) != CLOCKS_PER_SHARD || counters.messages_in_use)
            return false;
    }
    return true;
}

const tina_scenario tina_scenario_timers = {
    .name = "timers",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 500000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(clocks),
    .begin = clocks_begin,
    .done = clocks_done,
    .check = clocks_check,
};
