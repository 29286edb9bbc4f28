// SPDX-License-Identifier: Apache-2.0
//
// The scenario of README.md, which quotes the lines between the two marks.

#include "sim/readme_scenario.h"

// README begins
#include "sched/ctx.h"
#include "sim/sim.h"

enum {
    ADD = 1,
    ADDED
};

typedef struct request {
    uint32_t shard;
    uint32_t number;
} request;

// What outlives a crash, as if it were on disk. Zeroed for each run.
typedef struct disk {
    tina_handle counter;
    uint32_t total;
    uint32_t added[3]; // the last number of each shard
    uint32_t answered[3];
} disk;

static disk *disk_of_run(void) {
    return tina_sim_state(tina_sim_current());
}

static tina_effect counter_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self, (void)args;
    if (tina_shard_number(ctx) == 0)
        disk_of_run()->counter = tina_self(ctx);
    return tina_receive();
}

static tina_effect counter_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    disk *disk_ = disk_of_run();
    (void)self;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag != ADD)
        return tina_receive();
    const request *asked = (const void *)m->payload;
    if (disk_->added[asked->shard] < asked->number) { // else it is asked again
        disk_->added[asked->shard] = asked->number;
        disk_->total++;
    }
    return tina_reply(ctx, ADDED, NULL, 0);
}

static tina_effect asker_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self, (void)args;
    tina_timer_set_periodic(ctx, 10000000, 0);
    return tina_receive();
}

static tina_effect asker_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    disk *disk_ = disk_of_run();
    uint32_t shard = tina_shard_number(ctx);
    const request next = {shard, disk_->answered[shard] + 1};
    (void)self;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag == ADDED)
        disk_->answered[shard]++;
    if (m->tag == TINA_TIMER && disk_->answered[shard] < 10)
        return tina_call(ctx, disk_->counter, ADD, &next, sizeof next, 50000000);
    return tina_receive();
}

static const tina_isolate_type counter = {
    .name = "counter", .init = counter_init, .handle = counter_handle, .struct_bytes = 8};
static const tina_isolate_type asker = {
    .name = "asker", .init = asker_init, .handle = asker_handle, .struct_bytes = 8};
static const tina_child children[] = {{.type = &counter}, {.type = &asker}};
static const tina_type_slots types[] = {{&counter, 1}, {&asker, 1}};
static const tina_spec spec = {
    .name = "counting",
    .types = types,
    .type_count = 2,
    .root = {.name = "counting", .children = children, .child_count = 2, .intensity = 10},
    // Small, as they are made anew for each run: a second then holds thousands.
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 65536,
};

// Asked often, from faults on or off: is the work done?
static bool counting_done(tina_sim *sim, void *disk_) {
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        if (((const disk *)disk_)->answered[i] < 10)
            return false;
    return true;
}

// When all isolates have ended.
static void counting_end(tina_sim *sim, void *disk_) {
    uint32_t total = ((const disk *)disk_)->total;
    uint32_t wanted = 10 * tina_sim_shard_count(sim);
    if (total != wanted)
        tina_sim_fail(sim, "each is counted once", "%u were counted, not %u", total, wanted);
}

const tina_scenario counting = {
    .name = "counting",
    .specs = &spec,
    .shards_max = 3,
    .state_bytes = sizeof(disk),
    .done = counting_done,
    .end = counting_end,
};
// README ends
