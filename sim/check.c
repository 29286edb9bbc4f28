// SPDX-License-Identifier: Apache-2.0
//
// What must hold in every scenario.

#include "core/assert.h"
#include "core/format.h"
#include "sim/machine.h"

// Promise 8: a slot's generations only grow, also when its shard has begun anew.
void check_begun(sim_shard *self, tina_handle who) {
    uint32_t *last = &self->generations[tina_handle_type(who)][tina_handle_slot(who)];
    uint32_t generation = tina_handle_generation(who);
    if (generation <= *last)
        tina_sim_fail(self->sim, "handles never lie",
                      "shard %u: slot %u of type %u began with generation %u after %u",
                      self->number, tina_handle_slot(who), tina_handle_type(who), generation,
                      *last);
    *last = generation;
}

// Promise 6: whatever a handler did, no more than its isolate ends, unless its shard was struck.
void check_break(sim_shard *self, const tina_fault *fault) {
    if (fault && !self->struck)
        tina_sim_fail(self->sim, "one isolate ends", "shard %u broke: %s", self->number,
                      fault->text);
    self->struck = false;
}

// Every so many turns it is time for a look at everything.
void check_begin(tina_sim *sim) {
    sim->check_due = sim->turns >= sim->check_next;
    if (sim->check_due)
        sim->check_next = sim->turns + sim->world.settings.check_turns;
}

void check_turn(tina_sim *sim) {
    if (sim->check_due && sim->scenario->check)
        sim->scenario->check(sim, sim->state);
}

// An op's row is its own until its last completion is in, so none is ever refused for want of its
// op: here there is no backend that says anything twice.
static void stale_check(const sim_shard *self) {
    uint64_t stale = tina_reactor_count(tina_shard_reactor(self->shard))->stale;
    if (stale)
        tina_sim_fail(self->sim, "completions have an op",
                      "shard %u: %llu completions came for ops that had ended", self->number,
                      (unsigned long long)stale);
}

// Elsewhere each tick of a shard checks itself.
void check_tick(const sim_shard *self) {
    stale_check(self);
    if (!TINA_VERIFY_ON && self->sim->check_due)
        tina_shard_verify(self->shard);
}

static void wires_check(tina_sim *sim, uint32_t to) {
    for (uint32_t from = 0; from < sim->shard_count; from++) {
        const sim_wire *wire = &sim->wires[from * sim->shard_count + to];
        if (from == to)
            continue;
        uint64_t sent = wire->inlet->messages.producer.tail;
        uint64_t taken = wire->real->messages.consumer.head;
        uint64_t inside = sent - wire->items + wire->real->messages.producer.tail - taken;
        if (taken + inside != sent)
            tina_sim_fail(sim, "conservation", "of %llu messages from shard %u to %u came %llu",
                          (unsigned long long)sent, from, to, (unsigned long long)taken);
    }
}

static void gauge_check(tina_sim *sim, uint32_t shard, const char *what, uint64_t left) {
    if (left)
        tina_sim_fail(sim, "nothing is left", "shard %u: %llu %s are left when all isolates ended",
                      shard, (unsigned long long)left, what);
}

// Of what the disk does not give back a process gets rid by its end.
static bool has_stuck(const sim_shard *self) {
    tina_shard_counters counters;
    tina_shard_snapshot(self->shard, &counters);
    return self->broken || counters.zombies > 0;
}

// Of a shard whose isolates have all ended.
static void leaks_check(tina_sim *sim, sim_shard *self) {
    tina_shard_counters counters;
    if (self->broken)
        return;
    tina_shard_snapshot(self->shard, &counters);
    const tina_reactor_counters *io = tina_reactor_count(tina_shard_reactor(self->shard));
    gauge_check(sim, self->number, "isolates", counters.isolates_in_use);
    gauge_check(sim, self->number, "timers", counters.timers_in_use);
    if (counters.zombies > 0)
        return;
    gauge_check(sim, self->number, "fds", io->fds_in_use);
    gauge_check(sim, self->number, "ops", io->ops_in_use);
    gauge_check(sim, self->number, "receive buffers", io->buffers_in_use);
}

// What the OS sees of a machine whose isolates have all ended.
static void machine_check(tina_sim *sim) {
    sim_disk_check(sim->disk);
    for (uint32_t i = 0; i < sim->shard_count; i++)
        if (has_stuck(&sim->shards[i]))
            return;
    uint32_t files = sim_disk_open_fds(sim->disk);
    if (files)
        tina_sim_fail(sim, "nothing is left", "%u files are open when all isolates ended", files);
    uint32_t sockets = sim_net_open_sockets(sim->net, SIM_NET_MACHINE);
    if (sockets)
        tina_sim_fail(sim, "nothing is left", "%u sockets are open when all isolates ended",
                      sockets);
}

void check_end(tina_sim *sim) {
    machine_check(sim);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        leaks_check(sim, &sim->shards[i]);
        if (!sim->shards[i].quarantined)
            tina_shard_verify(sim->shards[i].shard);
        wires_check(sim, i);
    }
    if (sim->scenario->check)
        sim->scenario->check(sim, sim->state);
    if (sim->scenario->end)
        sim->scenario->end(sim, sim->state);
}

// Who waits for what, for the report of a world that stands still.
void describe_waiting(tina_sim *sim) {
    char text[400] = "";
    size_t bytes = 0;
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        uint32_t place = 0;
        tina_isolate_look look;
        while (bytes < sizeof text && tina_shard_look(sim->shards[i].shard, &place, &look)) {
            bool calls = !tina_handle_is_none(look.waits_for);
            bytes += tina_format(text + bytes, sizeof text - bytes, "; %s %u.%u.%u %s", look.type,
                                 i, tina_handle_slot(look.handle),
                                 tina_handle_generation(look.handle), look.state);
            if (calls && bytes < sizeof text)
                bytes += tina_format(text + bytes, sizeof text - bytes, " shard %u slot %u",
                                     tina_handle_shard(look.waits_for),
                                     tina_handle_slot(look.waits_for));
        }
    }
    tina_sim_fail(sim, "liveness", "faults have stopped, and it is not done in time%s", text);
}
