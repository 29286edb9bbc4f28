// SPDX-License-Identifier: Apache-2.0
//
// Between the scheduler and the functions of isolates: what they are given and return is recorded,
// and now and then one crashes, before its first line, at a call of ctx, or after its last line.

#include "sim/machine.h"

typedef enum crash_when {
    CRASH_BEFORE = 0,
    CRASH_DURING,
    CRASH_AFTER,
    CRASH_SHARD, // not the handler's fault alone
    CRASH_NEVER,
} crash_when;

static sim_shard *shard_of(const tina_ctx *ctx) {
    tina_sim *sim = tina_sim_current();
    return &sim->shards[tina_handle_shard(tina_self(ctx))];
}

// One decision, and from its number which of the three, and at which call.
static crash_when crash_draw(sim_shard *self, tina_ctx *ctx) {
    sim_world *world = &self->sim->world;
    const tina_sim_settings *settings = &world->settings;
    uint64_t before = settings->crash_before_ppm;
    uint64_t during = settings->crash_during_ppm;
    uint64_t all = before + during + settings->crash_after_ppm;
    if (all == 0 || !self->booted || !sim_strikes(world, &self->crashes, all))
        return CRASH_NEVER;
    uint64_t which = sim_detail(&self->crashes, 0, all);
    crash_when when = which < before            ? CRASH_BEFORE
                      : which < before + during ? CRASH_DURING
                                                : CRASH_AFTER;
    if (when == CRASH_DURING)
        tina_ctx_limit_calls(ctx, (uint32_t)sim_detail(&self->crashes, 1, 6));
    sim_note(world, SIM_CRASH, self->number, when, tina_self(ctx).bits);
    self->sim->crashes++;
    return when;
}

// A fault in the scheduler's own code, with the handler's turn half done: it costs the shard.
static void shard_crash(sim_shard *self) {
    self->struck = true;
    tina_trap_set_phase(&self->trap, TINA_PHASE_FRAMEWORK);
    tina_trap_panic(&self->trap, TINA_FAULT_PANIC, "made to crash with its shard");
}

static bool shard_is_struck(sim_shard *self) {
    sim_world *world = &self->sim->world;
    if (!self->booted || self->told ||
        !sim_strikes(world, &self->crashes, world->settings.death_ppm))
        return false;
    sim_note(world, SIM_CRASH, self->number, CRASH_SHARD, 0);
    return true;
}

static uint64_t effect_detail(const tina_effect *effect) {
    switch ((tina_effect_kind)effect->kind) {
    case TINA_EFFECT_EXIT:
        return (uint64_t)(uint32_t)effect->reason.kind << 32 | (uint32_t)effect->reason.code;
    case TINA_EFFECT_IO:
        return (uint64_t)effect->op.kind << 32 | effect->op.bytes;
    case TINA_EFFECT_CALL:
        return effect->call.target.bits;
    case TINA_EFFECT_NONE:
    case TINA_EFFECT_YIELD:
    case TINA_EFFECT_RECEIVE:
        break;
    }
    return 0;
}

static void effect_note(sim_shard *self, const tina_effect *effect) {
    sim_note(&self->sim->world, SIM_EFFECT, self->number, (uint32_t)effect->kind,
             effect_detail(effect));
}

static tina_effect handlers_init(tina_ctx *ctx, void *struct_, tina_bytes args) {
    sim_shard *self = shard_of(ctx);
    sim_world *world = &self->sim->world;
    const tina_isolate_type *type = self->spec.types[tina_handle_type(tina_self(ctx))].type;
    self->sim->dispatches++;
    sim_note(world, SIM_INIT, self->number, (uint32_t)args.bytes, tina_self(ctx).bits);
    check_begun(self, tina_self(ctx));
    if (self->booted && sim_strikes(world, &self->crashes, world->settings.init_crash_ppm)) {
        // Either at the first line or after some calls.
        uint64_t calls = sim_detail(&self->crashes, 0, 4);
        self->sim->crashes++;
        if (calls == 0)
            tina_panic("made to crash in init");
        tina_ctx_limit_calls(ctx, (uint32_t)calls - 1);
    }
    tina_effect effect = type->init(ctx, struct_, args);
    effect_note(self, &effect);
    return effect;
}

static uint64_t message_hash(const tina_message *m) {
    if (m->tag >= 0)
        return sim_hash_bytes(m->payload, m->payload_bytes);
    if (m->tag <= TINA_IO_DONE)
        return (uint64_t)(uint32_t)m->io.result << 32 | m->io.bytes;
    switch (m->tag) {
    case TINA_TIMER:
        return sim_mix(m->timer.word, m->timer.count);
    case TINA_DOWN:
        return sim_mix(m->down.who.bits, (uint64_t)(uint32_t)m->down.reason.kind);
    case TINA_CALL_FAILED:
        return sim_mix(m->call.target.bits, (uint64_t)(uint32_t)m->call.failure);
    default:
        return 0;
    }
}

static tina_effect handlers_handle(tina_ctx *ctx, void *struct_, const tina_message *m) {
    sim_shard *self = shard_of(ctx);
    const tina_isolate_type *type = self->spec.types[tina_handle_type(tina_self(ctx))].type;
    self->sim->dispatches++;
    sim_note(&self->sim->world, SIM_HANDLE, self->number, (uint32_t)m->tag, tina_self(ctx).bits);
    sim_note(&self->sim->world, SIM_MESSAGE, self->number, m->tag >= 0 ? m->payload_bytes : 0,
             message_hash(m));
    crash_when when = crash_draw(self, ctx);
    if (when == CRASH_BEFORE)
        tina_panic("made to crash before");
    bool dies = shard_is_struck(self);
    tina_effect effect = type->handle(ctx, struct_, m);
    if (dies)
        shard_crash(self);
    if (when == CRASH_AFTER)
        tina_panic("made to crash after");
    effect_note(self, &effect);
    return effect;
}

void handlers_wrap(sim_shard *self) {
    for (uint32_t i = 0; i < self->spec.type_count; i++)
        tina_shard_wrap(self->shard, i, handlers_init, handlers_handle);
}
