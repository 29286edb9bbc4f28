// SPDX-License-Identifier: Apache-2.0
//
// Births: parents spawn children here and on other shards, more than there are slots for, and the
// children end soon, by plan or by chance. Whatever happens, a spawn is answered once, a child gets
// its args and memory that is zero and nobody else's, no slot has two lives at once, what is sent
// to one life never comes to the next, scratch is whole in every handler, and all slots come back.

#include <string.h>

#include "sched/ctx.h"
#include "sim/scenarios.h"
#include "sim/world.h"

#define PARENTS_PER_SHARD 2u
#define SHARDS_MAX        3u
#define PARENT_COUNT      (PARENTS_PER_SHARD * SHARDS_MAX)
#define CHILD_SLOTS       5u
#define WORKING_BYTES     96u
#define SCRATCH_BYTES     1024u
#define BIRTHS            512u // the last ones are known
#define KNOWN             6u   // children that a parent knows, living or not

enum {
    TAG_POKE = 1
};

typedef struct birth {
    uint64_t serial;
    tina_handle child; // as its spawn was answered; none: not yet
    uint32_t shard;
    uint32_t breaks; // of the shard, when it was asked for
    bool begun;
} birth;

typedef struct waiting {
    uint64_t serial; // 0: for nothing
    uint32_t shard;
    uint64_t until_ns; // its shard's clock
} waiting;

typedef struct known_child {
    tina_handle child;
    uint64_t serial;
} known_child;

typedef struct births {
    uint32_t parent_count;
    bool strict; // no init is made to crash
    uint64_t serials;
    birth births[BIRTHS];
    waiting waiting[PARENT_COUNT];
    tina_handle last[SHARDS_MAX][CHILD_SLOTS]; // who began in each slot
} births;

typedef struct parent {
    uint32_t number;
    known_child known[KNOWN];
} parent;

typedef struct child {
    uint64_t serial;
    uint8_t *working;
    uint8_t filler[75]; // ends where a struct of this size does
    uint8_t end;
} child;

// As large as the args of one on another shard may be.
typedef struct child_args {
    uint64_t serial;
    uint64_t words[9]; // all of them the serial
} child_args;

_Static_assert(sizeof(child_args) == TINA_SPAWN_ON_ARGS_BYTES_MAX, "as large as they may be");

static births *births_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static uint32_t load(uint32_t most) {
    return tina_sim_load(tina_sim_current(), most);
}

// Of what a parent does.
enum {
    KIND_SPAWN = 0,
    KIND_POKE,
    KIND_SPAWN_ON,
    KIND_END,
};

static bool does(uint32_t kind) {
    return tina_sim_does(tina_sim_current(), kind);
}

static birth *birth_of(uint64_t serial) {
    birth *at = &births_of()->births[serial % BIRTHS];
    return at->serial == serial ? at : NULL;
}

static void rest(tina_ctx *ctx, uint64_t most_ns) {
    if (tina_timer_set(ctx, 100000 + tina_sim_draw(tina_sim_current(), 0, most_ns), 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "spawn timers", "no timer for a parent or child");
}

// All of scratch, and no more; what another handler left in it goes.
static void scratch_check(tina_ctx *ctx) {
    uint8_t *scratch = tina_scratch(ctx, SCRATCH_BYTES);
    if (!scratch || tina_scratch(ctx, 1)) {
        tina_sim_fail(tina_sim_current(), "spawn scratch", "scratch is not whole");
        return;
    }
    memset(scratch, 0x5C, SCRATCH_BYTES);
}

static bool all_are(const uint8_t *bytes, size_t count, uint8_t value) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void child_memory_begin(tina_ctx *ctx, child *self, uint64_t serial) {
    if (!all_are((const uint8_t *)self, sizeof *self, 0))
        tina_sim_fail(tina_sim_current(), "spawn memory", "a struct is not zero");
    uint8_t *working = tina_working(ctx, WORKING_BYTES);
    if (!working || !all_are(working, WORKING_BYTES, 0) || tina_working(ctx, 1)) {
        tina_sim_fail(tina_sim_current(), "spawn memory", "a working arena is not whole or zero");
        return;
    }
    self->serial = serial;
    self->working = working;
    memset(self->filler, (uint8_t)serial, sizeof self->filler);
    memset(working, (uint8_t)serial, WORKING_BYTES);
    self->end = 0xE5;
}

static void child_memory_check(const child *self) {
    bool whole = all_are(self->filler, sizeof self->filler, (uint8_t)self->serial) &&
                 all_are(self->working, WORKING_BYTES, (uint8_t)self->serial) && self->end == 0xE5;
    if (!whole)
        tina_sim_fail(tina_sim_current(), "spawn memory",
                      "another wrote to the memory of child %llu",
                      (unsigned long long)self->serial);
}

static void birth_begin(tina_ctx *ctx, const child_args *args, size_t args_bytes) {
    tina_sim *sim = tina_sim_current();
    bool whole = args_bytes == sizeof *args;
    for (uint32_t i = 0; whole && i < 9; i++)
        whole = args->words[i] == args->serial;
    if (!whole) {
        tina_sim_fail(sim, "spawn args", "the args of a child are not what was given");
        return;
    }
    tina_handle self = tina_self(ctx);
    births_of()->last[tina_shard_number(ctx)][tina_handle_slot(self)] = self;
    birth *at = birth_of(args->serial);
    if (!at)
        return;
    bool other = !tina_handle_is_none(at->child) && at->child.bits != self.bits;
    if (at->begun || other || at->shard != tina_shard_number(ctx))
        tina_sim_fail(sim, "spawn births", "birth %llu was twice, or is another's",
                      (unsigned long long)args->serial);
    at->begun = true;
}

static tina_effect child_init(tina_ctx *ctx, void *self_, tina_bytes args_) {
    child_args args = {0};
    memcpy(&args, args_.data, args_.bytes < sizeof args ? args_.bytes : sizeof args);
    birth_begin(ctx, &args, args_.bytes);
    scratch_check(ctx);
    child_memory_begin(ctx, self_, args.serial);
    if (draw(1, 20) == 0)
        return tina_done();
    if (draw(2, 20) == 0)
        return tina_crash(1);
    rest(ctx, 30000000);
    return tina_receive();
}

static void slot_check(tina_ctx *ctx) {
    tina_handle self = tina_self(ctx);
    tina_handle last = births_of()->last[tina_shard_number(ctx)][tina_handle_slot(self)];
    if (last.bits != self.bits)
        tina_sim_fail(tina_sim_current(), "spawn slots", "slot %u has two lives",
                      tina_handle_slot(self));
}

static tina_effect child_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    child *self = self_;
    uint64_t serial;
    slot_check(ctx);
    scratch_check(ctx);
    child_memory_check(self);
    switch (m->tag) {
    case TAG_POKE:
        memcpy(&serial, m->payload, sizeof serial);
        if (serial != self->serial)
            tina_sim_fail(tina_sim_current(), "spawn address",
                          "child %llu got what was for child %llu",
                          (unsigned long long)self->serial, (unsigned long long)serial);
        return draw(3, 8) == 0 ? tina_exit(2) : tina_receive();
    case TINA_TIMER:
        switch (draw(4, 4)) {
        case 0:
            return tina_done();
        case 1:
            return tina_crash(3);
        case 2:
            return tina_yield();
        default:
            rest(ctx, 10000000);
            return tina_receive();
        }
    case TINA_YIELDED:
        return tina_done();
    default:
        return tina_done();
    }
}

static const tina_isolate_type child_type = {
    .name = "child",
    .init = child_init,
    .handle = child_handle,
    .struct_bytes = sizeof(child),
    .mailbox_max = 4,
    .working_bytes = WORKING_BYTES,
};

static tina_effect parent_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    parent *self = self_;
    self->number = tina_shard_number(ctx) * PARENTS_PER_SHARD + *(const uint32_t *)args.data;
    births_of()->waiting[self->number].serial = 0;
    if (self->number % PARENTS_PER_SHARD < load(PARENTS_PER_SHARD))
        rest(ctx, 3000000);
    return tina_receive();
}

static uint32_t children_on(uint32_t shard) {
    uint32_t place = 0;
    uint32_t count = 0;
    tina_isolate_look look;
    while (tina_shard_look(tina_sim_shard(tina_sim_current(), shard), &place, &look))
        count += strcmp(look.type, child_type.name) == 0;
    return count;
}

static child_args birth_plan(uint32_t shard) {
    births *all = births_of();
    child_args args = {.serial = ++all->serials};
    for (uint32_t i = 0; i < 9; i++)
        args.words[i] = args.serial;
    uint32_t breaks = tina_sim_breaks(tina_sim_current(), shard);
    all->births[args.serial % BIRTHS] =
        (birth){.serial = args.serial, .shard = shard, .breaks = breaks};
    return args;
}

static void child_poke(tina_ctx *ctx, const known_child *known) {
    tina_send_result result =
        tina_send(ctx, known->child, TAG_POKE, &known->serial, sizeof known->serial);
    bool local = tina_handle_shard(known->child) == tina_shard_number(ctx);
    tina_handle last = births_of()->last[tina_shard_number(ctx)][tina_handle_slot(known->child)];
    bool older = tina_handle_generation(last) > tina_handle_generation(known->child);
    if (local && older && result != TINA_SEND_STALE)
        tina_sim_fail(tina_sim_current(), "spawn stale", "an old handle is good, or full");
}

static void child_born(tina_ctx *ctx, parent *self, uint64_t serial, tina_handle born) {
    birth *at = birth_of(serial);
    if (at)
        at->child = born;
    known_child *known = &self->known[draw(5, KNOWN)];
    *known = (known_child){born, serial};
    if (draw(6, 2))
        child_poke(ctx, known);
}

static void child_spawn(tina_ctx *ctx, parent *self) {
    uint32_t shard = tina_shard_number(ctx);
    uint32_t before = children_on(shard);
    child_args args = birth_plan(shard);
    tina_handle born;
    tina_spawn_result result =
        tina_spawn(ctx, &child_type, tina_bytes_of(&args, sizeof args), &born);
    bool right = before < CHILD_SLOTS ? result == TINA_SPAWN_OK : result == TINA_SPAWN_FULL;
    if (!right)
        tina_sim_fail(tina_sim_current(), "spawn slots", "with %u of %u slots in use it was %d",
                      before, CHILD_SLOTS, result);
    if (result == TINA_SPAWN_OK)
        child_born(ctx, self, args.serial, born);
    else
        birth_of(args.serial)->serial = 0;
}

static tina_effect child_spawn_on(tina_ctx *ctx, const parent *self, uint32_t shard) {
    child_args args = birth_plan(shard);
    uint64_t timeout_ns = draw(7, 3) ? 1000000 + draw(8, 50000000) : 0;
    tina_effect effect =
        tina_spawn_on(ctx, shard, &child_type, tina_bytes_of(&args, sizeof args), timeout_ns);
    uint64_t until_ns = timeout_ns ? tina_now_ns(ctx) + timeout_ns : 0;
    births_of()->waiting[self->number] = (waiting){args.serial, shard, until_ns};
    return effect;
}

static tina_effect parent_live(tina_ctx *ctx, parent *self) {
    rest(ctx, 6000000);
    if (tina_sim_is_calm(tina_sim_current()))
        return tina_receive();
    for (uint32_t left = draw(9, load(4)); left > 0; left--)
        if (does(KIND_SPAWN))
            child_spawn(ctx, self);
    const known_child *known = &self->known[draw(10, KNOWN)];
    if (!tina_handle_is_none(known->child) && does(KIND_POKE))
        child_poke(ctx, known);
    uint32_t shard = draw(11, tina_shard_count(ctx));
    if (shard != tina_shard_number(ctx) && draw(12, 2) && does(KIND_SPAWN_ON))
        return child_spawn_on(ctx, self, shard);
    return draw(13, 100) == 0 && does(KIND_END) ? tina_crash(1) : tina_receive();
}

static void spawn_answered(tina_ctx *ctx, parent *self, const tina_spawn_event *event) {
    const waiting *asked = &births_of()->waiting[self->number];
    bool born = event->result == TINA_SPAWN_OK;
    if ((!born && event->result != TINA_SPAWN_FULL) ||
        (born && tina_handle_shard(event->child) != asked->shard))
        tina_sim_fail(tina_sim_current(), "spawn on", "spawn %llu on shard %u came to %d",
                      (unsigned long long)asked->serial, asked->shard, event->result);
    birth *at = birth_of(asked->serial);
    if (born)
        child_born(ctx, self, asked->serial, event->child);
    else if (at && at->begun)
        tina_sim_fail(tina_sim_current(), "spawn on", "a child that was refused has begun");
}

static void spawn_failed(tina_ctx *ctx, const parent *self, const tina_call_event *failed) {
    const waiting *asked = &births_of()->waiting[self->number];
    bool early = failed->failure == TINA_CALL_TIMED_OUT &&
                 (asked->until_ns == 0 || tina_now_ns(ctx) < asked->until_ns);
    if (early || failed->failure == TINA_CALL_BAD_MESSAGE ||
        failed->failure == TINA_CALL_MAILBOX_FULL || failed->failure == TINA_CALL_STALE)
        tina_sim_fail(tina_sim_current(), "spawn on", "a spawn on shard %u failed with %d",
                      asked->shard, failed->failure);
}

static tina_effect parent_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    parent *self = self_;
    waiting *asked = &births_of()->waiting[self->number];
    scratch_check(ctx);
    bool ends = m->tag == TINA_SPAWNED || m->tag == TINA_CALL_FAILED;
    if (ends != (asked->serial != 0))
        tina_sim_fail(tina_sim_current(), "spawn on", "parent %u: event %d, waiting for %llu",
                      self->number, m->tag, (unsigned long long)asked->serial);
    switch (m->tag) {
    case TINA_TIMER:
        return parent_live(ctx, self);
    case TINA_SPAWNED:
        spawn_answered(ctx, self, &m->spawn);
        break;
    case TINA_CALL_FAILED:
        spawn_failed(ctx, self, &m->call);
        break;
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        break;
    }
    asked->serial = 0;
    return tina_receive();
}

static const tina_isolate_type parent_type = {
    .name = "parent",
    .init = parent_init,
    .handle = parent_handle,
    .struct_bytes = sizeof(parent),
};

static const uint32_t numbers[PARENTS_PER_SHARD] = {0, 1};

#define PARENT(i)                                                                                  \
    {                                                                                              \
        .type = &parent_type, .args = { &numbers[i], sizeof numbers[i] }                           \
    }

static const tina_child children[PARENTS_PER_SHARD] = {PARENT(0), PARENT(1)};

// The number of the child type is that of births.last.
static const tina_type_slots types[] = {{&child_type, CHILD_SLOTS},
                                        {&parent_type, PARENTS_PER_SHARD}};

static const tina_spec spec = {
    .name = "spawn",
    .types = types,
    .type_count = 2,
    .root = {.name = "parents",
             .children = children,
             .child_count = PARENTS_PER_SHARD,
             .intensity = 10},
    .message_count = 32,
    .scratch_bytes = SCRATCH_BYTES,
    .tick_batch = 10,
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 8192,
};

static void births_begin(tina_sim *sim, void *state) {
    births *self = state;
    self->parent_count = tina_sim_shard_count(sim) * PARENTS_PER_SHARD;
    self->strict = tina_sim_world(sim)->settings.init_crash_ppm == 0;
}

static bool births_done(tina_sim *sim, void *state) {
    const births *self = state;
    if (!tina_sim_is_calm(sim))
        return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters counters;
        tina_shard_snapshot(tina_sim_shard(sim, i), &counters);
        if (!tina_sim_is_up(sim, i) || counters.isolates_in_use != PARENTS_PER_SHARD ||
            counters.messages_in_use)
            return false;
    }
    for (uint32_t i = 0; i < self->parent_count; i++)
        if (self->waiting[i].serial)
            return false;
    return true;
}

// Whoever was born has begun, unless its shard did not last.
static void births_end(tina_sim *sim, void *state) {
    const births *self = state;
    for (uint32_t i = 0; self->strict && i < BIRTHS; i++) {
        const birth *at = &self->births[i];
        bool lasted = at->serial && tina_sim_breaks(sim, at->shard) == at->breaks;
        if (lasted && !tina_handle_is_none(at->child) && !at->begun)
            tina_sim_fail(sim, "spawn births", "birth %llu was answered, and never was",
                          (unsigned long long)at->serial);
    }
}

const tina_scenario tina_scenario_spawn = {
    .name = "spawn",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 500000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(births),
    .begin = births_begin,
    .done = births_done,
    .end = births_end,
};
