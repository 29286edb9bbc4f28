// SPDX-License-Identifier: Apache-2.0
//
// A shop that charges whenever it is asked to. Who buys asks again when no answer came, and an
// answer can be lost after the charge: then one purchase is charged twice.

#include "core/assert.h"
#include "sched/ctx.h"
#include "sim/canaries.h"

#define PURCHASES 20u

enum {
    TAG_CHARGE = 1,
    TAG_CHARGED
};

// On disk, as it were.
typedef struct shop {
    tina_handle till;
    uint32_t bought;
    uint32_t charged;
} shop;

static shop *shop_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t purchases(void) {
    return tina_sim_load(tina_sim_current(), PURCHASES);
}

static tina_effect till_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self;
    (void)args;
    if (tina_shard_number(ctx) == 0)
        shop_of()->till = tina_self(ctx);
    return tina_receive();
}

static tina_effect till_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    (void)self;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag != TAG_CHARGE)
        return tina_receive();
    shop_of()->charged++;
    return tina_reply(ctx, TAG_CHARGED, NULL, 0);
}

static void buyer_rest(tina_ctx *ctx) {
    uint64_t rest_ns = 1 + tina_sim_draw(tina_sim_current(), 0, 100000000);
    tina_timer timer = tina_timer_set(ctx, rest_ns, 0);
    TINA_ASSERT(timer.bits != 0);
}

static tina_effect buyer_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self;
    (void)args;
    buyer_rest(ctx);
    return tina_receive();
}

static tina_effect buyer_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    shop *here = shop_of();
    bool buys = tina_shard_number(ctx) + 1 == tina_shard_count(ctx);
    (void)self;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag == TAG_CHARGED)
        here->bought++;
    if (m->tag == TINA_TIMER && buys && here->bought < purchases())
        return tina_call(ctx, here->till, TAG_CHARGE, NULL, 0, 50000000);
    buyer_rest(ctx);
    return tina_receive();
}

static const tina_isolate_type till_type = {
    .name = "till", .init = till_init, .handle = till_handle, .struct_bytes = 8};
static const tina_isolate_type buyer_type = {
    .name = "buyer", .init = buyer_init, .handle = buyer_handle, .struct_bytes = 8};
static const tina_child children[] = {{.type = &till_type}, {.type = &buyer_type}};
static const tina_type_slots types[] = {{&till_type, 1}, {&buyer_type, 1}};
static const tina_spec spec = {
    .name = "books_twice",
    .types = types,
    .type_count = 2,
    .root = {.name = "shop", .children = children, .child_count = 2, .intensity = 10},
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 65536,
};

static bool shop_done(tina_sim *sim, void *state) {
    const shop *self = state;
    (void)sim;
    return self->bought >= purchases();
}

// One may be charged and its answer under way.
static void shop_check(tina_sim *sim, void *state) {
    const shop *self = state;
    if (self->charged > self->bought + 1)
        tina_sim_fail(sim, "charged once", "%u purchases were charged %u times", self->bought,
                      self->charged);
}

const tina_scenario sim_canary_books_twice = {
    .name = "books_twice",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = 4,
    .state_bytes = sizeof(shop),
    .done = shop_done,
    .check = shop_check,
};
