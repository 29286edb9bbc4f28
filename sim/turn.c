// SPDX-License-Identifier: Apache-2.0
//
// One turn of a shard's loop, as sched:system's members make it, and what becomes of a shard that
// has failed as a whole.

#include "core/assert.h"
#include "sim/machine.h"

// A shard's clock runs a little fast or slow, and jumps ahead now and then; it never goes back.
static uint64_t drifted(uint64_t ns, int64_t ppm) {
    uint64_t part = ns / 1000000 * (uint64_t)(ppm < 0 ? -ppm : ppm) +
                    ns % 1000000 * (uint64_t)(ppm < 0 ? -ppm : ppm) / 1000000;
    return ppm < 0 ? ns - part : ns + part;
}

uint64_t shard_clock_ns(const sim_shard *self) {
    return drifted(self->sim->world.now_ns, self->drift_ppm) + self->stepped_ns;
}

static tina_time shard_time(const sim_shard *self) {
    return (tina_time){
        .monotonic_ns = shard_clock_ns(self),
        .wall_s = UINT64_C(1700000000) + self->sim->world.now_ns / 1000000000,
    };
}

// When the world's time is such that the shard's clock, at now_ns, shows until_ns, or a little
// later.
static uint64_t world_ns_of(const sim_shard *self, uint64_t now_ns, uint64_t until_ns) {
    if (until_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    if (left_ns > UINT64_MAX / 4)
        return UINT64_MAX;
    return self->sim->world.now_ns + left_ns + (self->drift_ppm < 0 ? left_ns / 900 : 0);
}

void shard_call(sim_shard *self) {
    self->called = true;
}

static uint32_t others_working(const sim_shard *self) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->sim->shard_count; i++)
        count += i != self->number && !self->sim->shards[i].quarantined;
    return count;
}

// Emptied, unless an op is stuck.
static void shard_empty(sim_shard *self) {
    self->broken = !tina_shard_quarantine(self->shard);
    if (self->broken && self->seen.stuck == 0)
        tina_sim_fail(self->sim, "operations end", "shard %u: its operations do not end",
                      self->number);
}

static void shard_revive(void *self_, uint64_t word);

// Whoever tries in vain has waited for a second, in which time stood still.
static void revive_plan(sim_shard *self) {
    sim_world *world = &self->sim->world;
    uint64_t after_ns = sim_draw_upto(&self->faults, world->settings.revive_ns);
    after_ns += self->broken ? 1000000000 : 0;
    sim_agenda_at(&world->agenda, world->now_ns + after_ns, shard_revive, self, 0);
}

static void shard_revive(void *self_, uint64_t word) {
    sim_shard *self = self_;
    (void)word;
    if (!self->quarantined)
        return;
    if (self->broken && self->told)
        return; // its ops end with the process
    if (self->broken)
        shard_empty(self);
    if (self->broken) {
        revive_plan(self);
        return;
    }
    sim_note(&self->sim->world, SIM_REVIVE, self->number, 0, 0);
    self->quarantined = false;
    bool rebuilt = tina_shard_rebuild(self->shard);
    TINA_ASSERT(rebuilt);
    tina_quarantine_revived(&self->quarantine);
    self->rebuilt = true;
    shard_call(self);
}

// As when a fault struck in the shard itself, or its root gave up.
void shard_break(sim_shard *self) {
    sim_world *world = &self->sim->world;
    self->breaks++;
    shard_empty(self);
    tina_quarantine_verdict verdict = tina_quarantine_faulted(
        &self->quarantine, !self->broken, others_working(self), shard_clock_ns(self));
    sim_note(world, verdict == TINA_QUARANTINE_REBUILD ? SIM_REBUILD : SIM_QUARANTINE, self->number,
             0, 0);
    if (verdict == TINA_QUARANTINE_REBUILD) {
        bool rebuilt = tina_shard_rebuild(self->shard);
        TINA_ASSERT(rebuilt);
        self->rebuilt = true;
        if (self->told)
            tina_shard_shutdown(self->shard);
        return;
    }
    // Also where the last shard that worked has failed, and the process would end: somebody starts
    // it again.
    self->quarantined = true;
    revive_plan(self);
}

void shard_shut_down(sim_shard *self) {
    self->told = true;
    uint64_t now_ns = shard_clock_ns(self);
    uint64_t timeout_ns = self->spec.shutdown_timeout_ns;
    self->deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    if (self->quarantined)
        self->ended = true;
    else
        tina_shard_shutdown(self->shard);
    shard_call(self);
}

// What chance does to a shard between two turns.
static void shard_disturb(sim_shard *self) {
    sim_world *world = &self->sim->world;
    const tina_sim_settings *settings = &world->settings;
    uint64_t cost_ns =
        1 + (settings->schedule == 0 ? settings->turn_ns
                                     : sim_draw_upto(&self->schedule, settings->turn_ns));
    if (settings->schedule == 2)
        cost_ns <<= 3 * self->rank;
    self->free_ns = world->now_ns + cost_ns;
    if (sim_strikes(world, &self->faults, settings->pause_ppm)) {
        uint64_t pause_ns = sim_detail(&self->faults, 0, settings->pause_ns + 1);
        sim_note(world, SIM_PAUSE, self->number, 0, pause_ns);
        self->free_ns += pause_ns;
    }
    if (sim_strikes(world, &self->faults, settings->step_ppm)) {
        uint64_t step_ns = sim_detail(&self->faults, 0, settings->step_ns + 1);
        sim_note(world, SIM_STEP, self->number, 0, step_ns);
        self->stepped_ns += step_ns;
    }
}

static bool tick_failed(const sim_shard *self, const tina_tick *tick) {
    return tick->broken || tick->gave_up || (tick->failed && self->rebuilt);
}

void shard_turn(sim_shard *self) {
    tina_sim *sim = self->sim;
    tina_time now = shard_time(self);
    sim->turns++;
    check_begin(sim);
    if (self->dozing)
        tina_shard_rouse(self->shard);
    self->dozing = false;
    self->called = false;
    if (self->told && !self->forced && !self->ended && now.monotonic_ns >= self->deadline_ns) {
        self->forced = true;
        tina_shard_force(self->shard);
    }
    tina_tick tick = tina_shard_tick(self->shard, now);
    sim_note(&sim->world, SIM_TURN, self->number, tick.busy, tick.busy ? 0 : tick.until_ns);
    wires_go_on(sim, self->number);
    if (tick_failed(self, &tick) && (tick.broken || !self->told)) {
        sim_note(&sim->world, SIM_BREAK, self->number, tick.broken ? 1 : 0, 0);
        check_break(self, tick.broken);
        shard_break(self);
        shard_disturb(self);
        return;
    }
    if (tick.failed && !self->rebuilt)
        tina_sim_fail(sim, "boot", "shard %u: a child could not be started at boot", self->number);
    check_tick(self);
    self->booted = self->booted || !tick.busy;
    // What a peer still asks for may begin, and must end, after all had ended here.
    if (self->told && !self->quarantined)
        self->ended = tick.ended;
    uint64_t until_ns = tick.until_ns;
    if (self->told && !self->ended && self->deadline_ns < until_ns)
        until_ns = self->deadline_ns;
    if (sim->shard_count > 1 && sim->world.settings.schedule)
        wires_hurry(self);
    self->dozing = !tick.busy && tina_shard_doze(self->shard);
    self->until_ns = world_ns_of(self, now.monotonic_ns, until_ns);
    int result = tina_reactor_wait(tina_shard_reactor(self->shard), now.monotonic_ns,
                                   self->dozing ? until_ns : 0);
    TINA_ASSERT(result == 0);
    // Where the reactor has something that no kernel need bring, it does not let the loop sleep.
    if (self->dozing && !self->seen.would_block)
        shard_call(self);
    if (!tick.busy && !self->dozing)
        tina_shard_rouse(self->shard);
    shard_disturb(self);
}
