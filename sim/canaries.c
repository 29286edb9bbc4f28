// SPDX-License-Identifier: Apache-2.0

#include "sim/canaries.h"

#include "core/assert.h"
#include "sched/ctx.h"
#include "sim/world.h"

#define TICKS   200u
#define TICK_NS 10000000u

// One isolate that a timer calls; what is wrong happens at a tick.
typedef struct canary {
    void (*tick)(tina_sim *sim, struct canary *self);
    uint32_t ticks;
    uint32_t struck; // ticks since the last strike; 0: none yet. Of some: how many
    uint32_t slack;  // of a message, beyond its end
    sim_stream stream;
} canary;

static tina_effect ticker_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self;
    (void)args;
    tina_timer timer = tina_timer_set_periodic(ctx, TICK_NS, 0);
    TINA_ASSERT(timer.bits != 0);
    return tina_receive();
}

// The tag is 1: a message of its own, of which it reads more than was sent.
static tina_effect ticker_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    tina_sim *sim = tina_sim_current();
    canary *state = tina_sim_state(sim);
    (void)self;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag == 1)
        state->slack = ((const volatile uint8_t *)m->payload)[32];
    if (m->tag == TINA_TIMER) {
        const uint32_t word = 7;
        tina_send_result sent = tina_send(ctx, tina_self(ctx), 1, &word, sizeof word);
        TINA_ASSERT(sent == TINA_SEND_OK);
        state->ticks++;
        state->tick(sim, state);
    }
    return tina_receive();
}

static const tina_isolate_type ticker_type = {
    .name = "ticker",
    .init = ticker_init,
    .handle = ticker_handle,
    .struct_bytes = 8,
};
static const tina_child tickers[] = {{.type = &ticker_type}};
static const tina_type_slots ticker_types[] = {{&ticker_type, 1}};
static const tina_spec ticker_spec = {
    .name = "canary",
    .types = ticker_types,
    .type_count = 1,
    .root = {.name = "canary", .children = tickers, .child_count = 1, .intensity = 100},
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
};

static void canary_begin(tina_sim *sim, canary *self,
                         void (*tick)(tina_sim *sim, struct canary *self)) {
    self->tick = tick;
    self->stream = sim_stream_of(tina_sim_world(sim), SIM_DOMAIN_USER, 100);
}

static bool canary_done(tina_sim *sim, void *state) {
    const canary *self = state;
    (void)sim;
    return self->ticks >= TICKS;
}

static void two_tick(tina_sim *sim, canary *self) {
    self->struck += self->struck > 0;
    if (!sim_strikes(tina_sim_world(sim), &self->stream, 100000))
        return;
    if (self->struck == 2)
        tina_sim_fail(sim, "two", "the second of two neighbours has struck");
    self->struck = 1;
}

static void odd_tick(tina_sim *sim, canary *self) {
    self->struck += sim_strikes(tina_sim_world(sim), &self->stream, 100000);
    if (self->ticks == 100 && self->struck % 2 == 1)
        tina_sim_fail(sim, "odd", "%u have struck", self->struck);
}

// Whatever there is less of, it is sooner.
static void less_tick(tina_sim *sim, canary *self) {
    self->struck += sim_strikes(tina_sim_world(sim), &self->stream, 100000);
    if (tina_sim_does(sim, 3))
        tina_sim_note(sim, 4, self->ticks);
    if (self->struck && tina_sim_is_calm(sim) && self->ticks >= tina_sim_load(sim, TICKS))
        tina_sim_fail(sim, "less", "%u have struck", self->struck);
}

static void stuck_tick(tina_sim *sim, canary *self) {
    self->struck += sim_strikes(tina_sim_world(sim), &self->stream, 100000);
}

static bool stuck_done(tina_sim *sim, void *state) {
    const canary *self = state;
    return self->struck == 0 && self->ticks >= tina_sim_load(sim, 30);
}

static void stalls_tick(tina_sim *sim, canary *self) {
    self->struck += sim_strikes(tina_sim_world(sim), &self->stream, 100000);
    for (volatile uint32_t *ticks = &self->ticks; *ticks == 20 && self->struck == 0;)
        ;
    if (self->ticks == 21)
        tina_sim_fail(sim, "stalls", "%u have struck", self->struck);
}

static void asserts_tick(tina_sim *sim, canary *self) {
    if (sim_strikes(tina_sim_world(sim), &self->stream, 100))
        TINA_ASSERT(self->ticks == 0);
}

static void faults_tick(tina_sim *sim, canary *self) {
    (void)sim;
    if (self->ticks == 5)
        __builtin_trap();
}

static void hangs_tick(tina_sim *sim, canary *self) {
    (void)sim;
    for (volatile uint32_t *ticks = &self->ticks; *ticks == 5;)
        ;
}

static void address_tick(tina_sim *sim, canary *self) {
    uint64_t address = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    if (self->ticks == 100)
        tina_sim_note(sim, 1, address >> 12 & 0xFFFF);
}

static void uninitialised_tick(tina_sim *sim, canary *self) {
    if (self->ticks == 100)
        tina_sim_note(sim, 2, self->slack);
}

static void static_tick(tina_sim *sim, canary *self) {
    static uint32_t ticks;
    ticks++;
    if (self->ticks == 100)
        tina_sim_note(sim, 3, ticks);
}

static void sound_tick(tina_sim *sim, canary *self) {
    tina_sim_note(sim, self->ticks, 0);
}

#define CANARY(name_) CANARY_WITH(name_, canary_done, 0, 0)

#define CANARY_WITH(name_, done_, faults_, liveness_)                                              \
    static void name_##_begin(tina_sim *sim, void *state) {                                        \
        canary_begin(sim, state, name_##_tick);                                                    \
    }                                                                                              \
    const tina_scenario sim_canary_##name_ = {                                                     \
        .name = #name_,                                                                            \
        .specs = &ticker_spec,                                                                     \
        .spec_count = 1,                                                                           \
        .shards_max = 2,                                                                           \
        .state_bytes = sizeof(canary),                                                             \
        .begin = name_##_begin,                                                                    \
        .done = done_,                                                                             \
        .faults_ns = (faults_),                                                                    \
        .liveness_ns = (liveness_),                                                                \
    }

CANARY(two);
CANARY(odd);
CANARY_WITH(less, canary_done, 1000000000, 0);
CANARY_WITH(stuck, stuck_done, 200000000, 2000000000);
CANARY(stalls);
CANARY(asserts);
CANARY(faults);
CANARY(hangs);
CANARY(address);
CANARY(uninitialised);
CANARY(static);
CANARY(sound);

const tina_scenario *const sim_canaries[] = {
    &sim_canary_books_twice,   &sim_canary_two,
    &sim_canary_odd,           &sim_canary_less,
    &sim_canary_stuck,         &sim_canary_stalls,
    &sim_canary_asserts,       &sim_canary_faults,
    &sim_canary_hangs,         &sim_canary_address,
    &sim_canary_uninitialised, &sim_canary_static,
    &sim_canary_sound,         NULL,
};
