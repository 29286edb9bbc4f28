// SPDX-License-Identifier: Apache-2.0

#include "sim/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/format.h"

// The log's last lines are kept for a report.
static size_t log_take(void *self_, const char *text, size_t bytes) {
    sim_shard *self = self_;
    tina_sim *sim = self->sim;
    sim_note(&sim->world, SIM_LOG, self->number, (uint32_t)bytes, sim_hash_bytes(text, bytes));
    for (size_t i = 0; i < bytes; i++)
        sim->log[sim->log_bytes++ % sizeof sim->log] = text[i];
    return bytes;
}

static void peer_wake(void *self_, uint32_t peer) {
    sim_shard *self = self_;
    sim_note(&self->sim->world, SIM_WAKE, self->number, peer, 0);
    wire_called(&self->sim->wires[self->number * self->sim->shard_count + peer]);
}

static void reactor_ready(void *sim_, uint32_t shard) {
    tina_sim *sim = sim_;
    shard_call(&sim->shards[shard]);
}

static uint64_t disk_delay_ns(void *disk, const tina_backend_op *op) {
    return sim_disk_delay_ns(disk, op);
}

static int32_t disk_run(void *disk, const tina_backend_op *op, void *buffer, uint32_t buffer_bytes,
                        tina_file_stat *stat) {
    return sim_disk_do(disk, op, buffer, buffer_bytes, stat);
}

static void disk_close_fd(void *disk, int os_fd) {
    sim_disk_close_fd(disk, os_fd);
}

static const sim_disk_calls disk_calls = {
    .takes = sim_disk_takes,
    .delay_ns = disk_delay_ns,
    .run = disk_run,
    .close_fd = disk_close_fd,
};

static void shard_streams(sim_shard *self) {
    sim_world *world = &self->sim->world;
    uint32_t entity = machine_entity(self->sim, self->number);
    self->schedule = sim_stream_of(world, SIM_DOMAIN_SCHEDULE, entity);
    self->faults = sim_stream_of(world, SIM_DOMAIN_SHARD, entity);
    self->crashes = sim_stream_of(world, SIM_DOMAIN_CRASH, entity);
    uint64_t drift = world->settings.drift_ppm;
    self->drift_ppm = (int64_t)sim_draw_upto(&self->schedule, 2 * drift) - (int64_t)drift;
    self->rank = self->number % 3;
}

static void generations_open(sim_shard *self) {
    self->generations = calloc(self->spec.type_count, sizeof *self->generations);
    TINA_ASSERT(self->generations != NULL);
    for (uint32_t t = 0; t < self->spec.type_count; t++) {
        uint32_t slots = self->spec.types[t].slot_count ? self->spec.types[t].slot_count : 1;
        self->generations[t] = calloc(slots, sizeof **self->generations);
        TINA_ASSERT(self->generations[t] != NULL);
    }
}

// The last run's arenas of this thread. What is carved from one again is filled as if it were new,
// which for a small one costs less than the kernel's pages.
#define ARENA_KEPT_BYTES (UINT64_C(2) << 20)
#define ARENAS_KEPT      8u

static _Thread_local tina_arena kept[ARENAS_KEPT];

static bool arena_take(sim_shard *self, uint64_t bytes) {
    uint8_t fill = self->sim->options->fill;
    const tina_arena_commit_options commit = {.lazy = true, .fill = fill};
    tina_arena *last = self->number < ARENAS_KEPT ? &kept[self->number] : NULL;
    if (last && last->base && tina_arena_size(last) >= bytes && last->fill == fill) {
        self->arena = *last;
        *last = (tina_arena){0};
        tina_arena_rewind(&self->arena, 0);
        return true;
    }
    return tina_arena_reserve(&self->arena, bytes) == 0 &&
           tina_arena_commit(&self->arena, &commit) == 0;
}

static void arena_give(sim_shard *self) {
    tina_arena *last = self->number < ARENAS_KEPT ? &kept[self->number] : NULL;
    if (!last || tina_arena_size(&self->arena) > ARENA_KEPT_BYTES) {
        tina_arena_release(&self->arena);
        return;
    }
    if (last->base)
        tina_arena_release(last);
    *last = self->arena;
}

static bool shard_open(sim_shard *self, const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]) {
    tina_sim *sim = self->sim;
    if (!tina_spec_resolve(spec, &self->spec, sentence))
        return false;
    if (sim->scenario->fewer_children)
        self->spec.root.child_count = tina_sim_load(sim, self->spec.root.child_count);
    shard_streams(self);
    tina_trap_init(&self->trap, 0, 0);
    self->backend_options = (sim_backend_options){
        .net = sim->net,
        .disk = sim->disk,
        .disk_calls = &disk_calls,
        .shard = self->number,
        .life = self->sim->life,
        .ready = reactor_ready,
        .where = sim,
        .seen = &self->seen,
    };
    self->options = (tina_shard_options){
        .number = self->number,
        .shard_count = sim->shard_count,
        .wake = peer_wake,
        .wake_where = self,
        .backend = &tina_reactor_sim,
        .backend_options = &self->backend_options,
        .log_write = log_take,
        .log_where = self,
        .now = {.monotonic_ns = shard_clock_ns(self)},
        .trap = &self->trap,
    };
    uint64_t bytes = tina_shard_bytes(&self->spec, &self->options);
    if (!arena_take(self, bytes)) {
        tina_format(sentence, TINA_SENTENCE_BYTES,
                    "no memory for shard %u of %llu bytes; simulate fewer shards or isolates",
                    self->number, (unsigned long long)bytes);
        return false;
    }
    if (tina_shard_open(&self->arena, &self->spec, &self->options, &self->shard, sentence) != 0)
        return false;
    const tina_quarantine_policy policy = {
        .rebuilds = self->spec.rebuild_max,
        .period_ns = self->spec.rebuild_period_ns,
        .abort = self->spec.abort,
    };
    tina_quarantine_init(&self->quarantine, &policy);
    generations_open(self);
    handlers_wrap(self);
    return true;
}

#define LOOKED_AT_ONCE 1024u // pages

// Arenas of simulations are lazy, without huge pages, so that what is resident was touched.
uint64_t tina_sim_touched_bytes(const tina_sim *sim, uint32_t shard) {
    TINA_ASSERT(shard < sim->shard_count);
    const tina_arena *arena = &sim->shards[shard].arena;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t touched = 0;
    for (size_t at = 0; at < tina_arena_size(arena); at += LOOKED_AT_ONCE * page) {
        unsigned char resident[LOOKED_AT_ONCE];
        size_t left = tina_arena_size(arena) - at;
        size_t bytes = left < LOOKED_AT_ONCE * page ? left : LOOKED_AT_ONCE * page;
        int looked = mincore(arena->base + at, bytes, resident);
        TINA_ASSERT(looked == 0);
        for (size_t i = 0; i < bytes / page; i++)
            touched += resident[i] & 1 ? page : 0;
    }
    return touched;
}

static void shards_connect(tina_sim *sim) {
    for (uint32_t from = 0; from < sim->shard_count; from++)
        for (uint32_t to = 0; to < sim->shard_count; to++) {
            if (from == to)
                continue;
            tina_shard *shard = sim->shards[from].shard;
            wire_open(&sim->wires[from * sim->shard_count + to], sim, from, to);
            tina_shard_borrow(shard, to, tina_shard_transfers(sim->shards[to].shard));
            tina_shard_observe(shard, to, sim->shards[to].shard);
        }
}

bool machine_open(tina_sim *sim, char sentence[TINA_SENTENCE_BYTES]) {
    const tina_scenario *scenario = sim->scenario;
    sim->shards = calloc(sim->shard_count, sizeof *sim->shards);
    sim->wires = calloc((size_t)sim->shard_count * sim->shard_count, sizeof *sim->wires);
    TINA_ASSERT(sim->shards != NULL && sim->wires != NULL);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        sim->shards[i] = (sim_shard){.sim = sim, .number = i};
        const tina_spec *spec = &scenario->specs[scenario->spec_count > 1 ? i : 0];
        if (!shard_open(&sim->shards[i], spec, sentence))
            return false;
    }
    shards_connect(sim);
    return true;
}

static void shard_free(sim_shard *self) {
    if (self->arena.base)
        arena_give(self);
    for (uint32_t t = 0; self->generations && t < self->spec.type_count; t++)
        free(self->generations[t]);
    free(self->generations);
}

// All are closed before the memory of any goes, as they look into each other's. The agenda has
// entries for shards and wires, which find them empty.
void machine_close(tina_sim *sim) {
    for (uint32_t i = 0; sim->shards && i < sim->shard_count; i++)
        if (sim->shards[i].shard)
            tina_shard_close(sim->shards[i].shard);
    for (uint32_t i = 0; sim->shards && i < sim->shard_count; i++) {
        shard_free(&sim->shards[i]);
        sim->shards[i] = (sim_shard){0};
    }
    for (uint32_t i = 0; sim->wires && i < sim->shard_count * sim->shard_count; i++)
        wire_close(&sim->wires[i]);
    if (sim->shards)
        sim_net_adopt(sim->net, sim->shards, free);
    if (sim->wires)
        sim_net_adopt(sim->net, sim->wires, free);
    sim->shards = NULL;
    sim->wires = NULL;
}
