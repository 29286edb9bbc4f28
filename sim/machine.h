// SPDX-License-Identifier: Apache-2.0
//
// The simulated machine: shards, the wires between them, and whose turn it is. For sim's own files.
//
//     shard A ── its inlet of the wire's ──▶ wire (delay, loss, clog) ──▶ inlet in B's arena ──▶ B
//
// A wire is to the writer what a sleeping reader is: it announces itself and is woken. To the
// reader it is a writer. So the protocol of sleeping and waking runs as it does among threads.

#ifndef TINA_SIM_MACHINE_H
#define TINA_SIM_MACHINE_H

#include "arena/arena.h"
#include "sched/ctx.h"
#include "sim/backend.h"
#include "sim/disk.h"
#include "sim/net.h"
#include "sim/sim.h"
#include "sim/world.h"
#include "supervise/quarantine.h"
#include "supervise/trap.h"

// A batch that a shard published, on its way.
typedef struct wire_batch {
    uint64_t due_ns;
    uint32_t returns;
    uint32_t control;
    uint32_t messages;
} wire_batch;

// What of a batch the reader sees now. The rings are published one after another, and read one
// after another, so that a tick can fall between any two.
typedef enum wire_part {
    WIRE_ALL = 0,
    WIRE_CONTROL,  // and returns; not the messages that were published after them
    WIRE_MESSAGES, // control had been looked at before it was published
} wire_part;

typedef struct sim_wire {
    tina_sim *sim;
    uint32_t from;
    uint32_t to;
    tina_inlet *inlet; // that `from` writes into
    void *slots;
    tina_inlet *real; // that `to` reads
    sim_stream stream;
    uint64_t last_due_ns;
    wire_batch *batches; // a ring, oldest at first
    uint32_t first;
    uint32_t count;
    uint32_t capacity;
    wire_batch taken; // in batches, still in the inlet
    wire_batch ready; // have arrived, still in the inlet: there was no room, or for `part`
    wire_part part;   // that is seen of `ready`, until the reader's tick is over
    uint64_t items;   // delivered, messages only
} sim_wire;

typedef struct sim_shard {
    tina_sim *sim;
    uint32_t number;
    tina_spec spec; // resolved
    tina_shard_options options;
    sim_backend_options backend_options;
    sim_backend_seen seen;
    tina_arena arena;
    tina_trap trap;
    tina_shard *shard;
    tina_quarantine quarantine;
    sim_stream schedule;
    sim_stream faults;
    sim_stream crashes;
    int64_t drift_ppm;
    uint64_t stepped_ns;
    bool called; // something came: a peer's, the reactor's
    bool dozing;
    bool quarantined;
    bool broken; // and its operations do not end: no turn is its own until they have
    bool booted; // before, nothing is made to fail: a program that cannot boot does not start
    bool struck; // its next break is made
    bool rebuilt;
    bool ended;
    bool told; // to shut down
    bool forced;
    uint64_t deadline_ns; // its clock's: of the shutdown
    uint64_t free_ns;     // the world's: its turn is over
    uint64_t until_ns;    // the world's: it wants a turn
    uint32_t rank;        // PCT: 0 is fast
    uint32_t breaks;
    uint32_t **generations; // of each slot of each type: the last that began
} sim_shard;

typedef enum sim_phase {
    SIM_ROUGH = 0, // faults strike
    SIM_CALM,      // and do no more: the work must get done
    SIM_SHUTDOWN,
    SIM_OVER,
} sim_phase;

struct tina_sim {
    sim_world world;
    sim_net *net;
    sim_disk *disk;
    const tina_scenario *scenario;
    const tina_sim_options *options;
    tina_sim_report *report;
    void *state;
    sim_phase phase;
    uint64_t phase_end_ns;
    uint32_t shard_count;
    uint32_t last_turn; // whose it was
    uint64_t turns;
    uint64_t check_next; // the next turn with a look at everything
    bool check_due;      // this turn has one
    uint64_t dispatches;
    uint64_t crashes;
    uint32_t life; // of the machine: how often it began anew
    sim_stream schedule;
    sim_stream faults; // the machine's
    sim_stream users[TINA_SIM_STREAMS];
    sim_shard *shards;
    sim_wire *wires; // from * shard_count + to
    char log[8192];  // its end
    size_t log_bytes;
    tina_sim *outer; // on this thread
};

// An entity of the machine's streams: in each of its lives the draws are others.
static inline uint32_t machine_entity(const tina_sim *sim, uint32_t entity) {
    return sim->life << 16 | entity;
}

// machine.c
bool machine_open(tina_sim *sim, char sentence[TINA_SENTENCE_BYTES]);
void machine_close(tina_sim *sim);
uint64_t shard_clock_ns(const sim_shard *self);
void shard_call(sim_shard *self);

// restart.c
void machine_disturb(tina_sim *sim);

// turn.c
void shard_turn(sim_shard *self);
static inline uint64_t shard_due_ns(const sim_shard *self) {
    if (self->broken)
        return UINT64_MAX;
    uint64_t wanted_ns = self->called || !self->dozing ? 0 : self->until_ns;
    return wanted_ns > self->free_ns ? wanted_ns : self->free_ns;
}
void shard_shut_down(sim_shard *self);
void shard_break(sim_shard *self);

// wire.c
void wire_open(sim_wire *wire, tina_sim *sim, uint32_t from, uint32_t to);
void wire_close(sim_wire *wire);
void wire_called(sim_wire *wire);
// What there was no room for, or was not seen in the tick that is over, arrives.
void wires_go_on(tina_sim *sim, uint32_t to);
// Lets a batch on its way to a shard, if there is one, arrive now: between its tick and its sleep.
void wires_hurry(sim_shard *self);

// handlers.c
void handlers_wrap(sim_shard *self);

// check.c
void check_begun(sim_shard *self, tina_handle who);
void check_break(sim_shard *self, const tina_fault *fault);
void check_begin(tina_sim *sim);
void check_tick(const sim_shard *self);
void check_turn(tina_sim *sim);
void check_end(tina_sim *sim);
void describe_waiting(tina_sim *sim);

#endif
