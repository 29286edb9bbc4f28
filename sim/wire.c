// SPDX-License-Identifier: Apache-2.0

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/machine.h"

static void ring_like(tina_ring *ring, const tina_ring *real, uint8_t **slots) {
    uint32_t capacity = real->producer.capacity;
    tina_ring_init(ring, *slots, capacity, real->producer.item_bytes, 0);
    *slots += (size_t)capacity * real->producer.item_bytes;
}

static size_t ring_bytes(const tina_ring *ring) {
    return (size_t)ring->producer.capacity * ring->producer.item_bytes;
}

void wire_open(sim_wire *wire, tina_sim *sim, uint32_t from, uint32_t to) {
    tina_inlet *real = tina_shard_inlet(sim->shards[to].shard, from);
    size_t bytes =
        ring_bytes(&real->messages) + ring_bytes(&real->control) + ring_bytes(&real->returns);
    *wire = (sim_wire){.sim = sim, .from = from, .to = to, .real = real};
    wire->stream = sim_stream_of(&sim->world, SIM_DOMAIN_WIRE, machine_entity(sim, from << 8 | to));
    wire->inlet = aligned_alloc(TINA_CACHE_LINE_BYTES, sizeof *wire->inlet);
    wire->slots =
        aligned_alloc(TINA_CACHE_LINE_BYTES, (bytes + TINA_CACHE_LINE_BYTES) /
                                                 TINA_CACHE_LINE_BYTES * TINA_CACHE_LINE_BYTES);
    TINA_ASSERT(wire->inlet != NULL && wire->slots != NULL);
    memset(wire->slots, sim->options->fill, bytes);
    uint8_t *slots = wire->slots;
    ring_like(&wire->inlet->messages, &real->messages, &slots);
    ring_like(&wire->inlet->control, &real->control, &slots);
    ring_like(&wire->inlet->returns, &real->returns, &slots);
    wire->inlet->occupancy = NULL;
    wire->inlet->number = 0;
    tina_sleeper_init(&wire->inlet->sleeper);
    tina_sleeper_announce(&wire->inlet->sleeper);
    tina_shard_connect(sim->shards[from].shard, to, wire->inlet);
}

void wire_close(sim_wire *wire) {
    free(wire->inlet);
    free(wire->slots);
    free(wire->batches);
    *wire = (sim_wire){0};
}

static wire_batch *batch_append(sim_wire *wire) {
    if (wire->count == wire->capacity) {
        uint32_t capacity = wire->capacity ? 2 * wire->capacity : 8;
        wire_batch *batches = malloc(capacity * sizeof *batches);
        TINA_ASSERT(batches != NULL);
        for (uint32_t i = 0; i < wire->count; i++)
            batches[i] = wire->batches[(wire->first + i) % wire->capacity];
        free(wire->batches);
        wire->batches = batches;
        wire->first = 0;
        wire->capacity = capacity;
    }
    return &wire->batches[(wire->first + wire->count++) % wire->capacity];
}

// Copies items that have arrived into the reader's ring, as far as it has room.
static uint32_t items_move(tina_ring *from, tina_ring *to, uint32_t count) {
    uint32_t moved = 0;
    while (moved < count) {
        uint32_t out = 1;
        void *slot = tina_ring_claim(to, &out);
        if (!slot)
            break;
        uint32_t in = 1;
        const void *item = tina_ring_peek(from, &in);
        TINA_ASSERT(item != NULL);
        memcpy(slot, item, from->consumer.item_bytes);
        tina_ring_consume(from, 1);
        moved++;
    }
    if (moved)
        tina_ring_publish(to, moved);
    return moved;
}

// What may be lost is what a receiver may be unable to take: it then goes to nobody, and the
// receiver says so to whoever waits for an answer.
static bool may_be_lost(const tina_message *item) {
    return item->flags <= TINA_ITEM_WATCH;
}

static void messages_touch(sim_wire *wire, uint32_t count) {
    sim_world *world = &wire->sim->world;
    tina_ring *ring = &wire->inlet->messages;
    uint64_t at = ring->consumer.head;
    for (uint32_t i = 0; i < count; i++, at++) {
        tina_message *item =
            (tina_message *)(void *)(ring->consumer.slots +
                                     (at & (ring->consumer.capacity - 1)) * sizeof *item);
        bool lost =
            sim_strikes(world, &wire->stream, world->settings.wire_loss_ppm) && may_be_lost(item);
        sim_note(world, lost ? SIM_ITEM_LOST : SIM_ITEM_HERE, wire->to, item->flags, item->to.bits);
        if (lost)
            item->to = tina_handle_make(wire->to, tina_handle_type(item->to),
                                        tina_handle_slot(item->to), 0);
    }
}

static void ready_deliver(sim_wire *wire) {
    wire_batch *ready = &wire->ready;
    uint32_t returns = wire->part == WIRE_MESSAGES ? 0 : ready->returns;
    uint32_t control = wire->part == WIRE_MESSAGES ? 0 : ready->control;
    uint32_t moved = items_move(&wire->inlet->returns, &wire->real->returns, returns) +
                     items_move(&wire->inlet->control, &wire->real->control, control);
    // Room for these is reserved: in each ring lies at most what the pair has credits for.
    TINA_ASSERT(moved == returns + control);
    uint32_t room = wire->part == WIRE_CONTROL ? 0 : tina_ring_room(&wire->real->messages);
    uint32_t most = ready->messages < room ? ready->messages : room;
    messages_touch(wire, most);
    uint32_t messages = items_move(&wire->inlet->messages, &wire->real->messages, most);
    TINA_ASSERT(messages == most);
    wire->items += messages;
    wire->taken.returns -= returns;
    wire->taken.control -= control;
    wire->taken.messages -= messages;
    ready->returns -= returns;
    ready->control -= control;
    ready->messages -= messages;
    if (returns + control + messages > 0 && tina_inlet_signal(wire->real))
        shard_call(&wire->sim->shards[wire->to]);
}

static void rest_deliver(sim_wire *wire) {
    wire->part = WIRE_ALL;
    if (wire->ready.returns + wire->ready.control + wire->ready.messages)
        ready_deliver(wire);
}

// Where a part would be nothing, nobody would be called for it.
static wire_part part_draw(sim_wire *wire, const wire_batch *batch) {
    sim_world *world = &wire->sim->world;
    bool whole = batch->messages == 0 || batch->returns + batch->control == 0;
    if (whole || !world->settings.wire_split_ppm ||
        !sim_strikes(world, &wire->stream, world->settings.wire_split_ppm))
        return WIRE_ALL;
    return sim_detail(&wire->stream, 0, 2) == 0 ? WIRE_CONTROL : WIRE_MESSAGES;
}

// Whoever sees anything of a batch sees all of those before it.
static void first_arrive(sim_wire *wire) {
    TINA_ASSERT(wire->count > 0);
    wire_batch batch = wire->batches[wire->first];
    wire->first = (wire->first + 1) % wire->capacity;
    wire->count--;
    rest_deliver(wire);
    wire->part = part_draw(wire, &batch);
    wire->ready.returns += batch.returns;
    wire->ready.control += batch.control;
    wire->ready.messages += batch.messages;
    ready_deliver(wire);
}

static void due_arrive(void *wire_, uint64_t word) {
    sim_wire *wire = wire_;
    (void)word;
    while (wire->count && wire->batches[wire->first].due_ns <= wire->sim->world.now_ns)
        first_arrive(wire);
}

void wires_hurry(sim_shard *self) {
    tina_sim *sim = self->sim;
    uint32_t from = (uint32_t)sim_draw(&self->schedule, sim->shard_count);
    sim_wire *wire = &sim->wires[from * sim->shard_count + self->number];
    if (from != self->number && wire->count)
        first_arrive(wire);
}

void wires_go_on(tina_sim *sim, uint32_t to) {
    for (uint32_t from = 0; from < sim->shard_count; from++) {
        sim_wire *wire = &sim->wires[from * sim->shard_count + to];
        if (from != to)
            rest_deliver(wire);
    }
}

static uint64_t wire_delay_ns(sim_wire *wire) {
    sim_world *world = &wire->sim->world;
    uint64_t delay_ns = sim_draw_upto(&wire->stream, world->settings.wire_ns);
    uint64_t clog_ns = sim_draw_upto(&wire->stream, world->settings.wire_clog_ns);
    if (sim_strikes(world, &wire->stream, world->settings.wire_clog_ppm))
        delay_ns += clog_ns;
    return delay_ns;
}

// Takes what was published and is in no batch yet, if there is anything.
static void batch_take(sim_wire *wire) {
    tina_sim *sim = wire->sim;
    wire_batch batch = {
        .returns = tina_ring_readable(&wire->inlet->returns) - wire->taken.returns,
        .control = tina_ring_readable(&wire->inlet->control) - wire->taken.control,
        .messages = tina_ring_readable(&wire->inlet->messages) - wire->taken.messages,
    };
    if (batch.returns + batch.control + batch.messages == 0)
        return;
    uint64_t due_ns = sim->world.now_ns + wire_delay_ns(wire);
    batch.due_ns = due_ns > wire->last_due_ns ? due_ns : wire->last_due_ns;
    wire->last_due_ns = batch.due_ns;
    wire->taken.returns += batch.returns;
    wire->taken.control += batch.control;
    wire->taken.messages += batch.messages;
    *batch_append(wire) = batch;
    sim_note(&sim->world, SIM_ITEM_SENT, wire->from, wire->to,
             (uint64_t)batch.returns << 40 | (uint64_t)batch.control << 20 | batch.messages);
    sim_agenda_at(&sim->world.agenda, batch.due_ns, due_arrive, wire, 0);
}

// One look: nothing can be published between it and the announcement, as all is on one thread.
void wire_called(sim_wire *wire) {
    batch_take(wire);
    tina_sleeper_announce(&wire->inlet->sleeper);
}
