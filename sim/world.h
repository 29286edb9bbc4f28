// SPDX-License-Identifier: Apache-2.0
//
// What the parts of a simulated world share: its time, its chances, its agenda and its record.
//
// A draw belongs to a stream, (seed, domain, entity), and to its number in it: a draw more in one
// place shifts nothing elsewhere. So a fault that has struck has a name that lasts, its decision,
// and a run can be repeated with only some of them.

#ifndef TINA_SIM_WORLD_H
#define TINA_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/prng.h"
#include "sim/agenda.h"
#include "sim/record.h"
#include "sim/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sim_domain {
    SIM_DOMAIN_SETTINGS = 1,
    SIM_DOMAIN_SCHEDULE, // entity: shard, or 0xFFFF
    SIM_DOMAIN_SHARD,    // entity: shard, or 0xFFFF
    SIM_DOMAIN_CRASH,    // entity: shard
    SIM_DOMAIN_WIRE,     // entity: from << 8 | to
    SIM_DOMAIN_IO,       // entity: shard
                         // of these: | life of the machine << 16
    SIM_DOMAIN_NET,      // entity: socket
    SIM_DOMAIN_DATAGRAM, // entity: socket
    SIM_DOMAIN_DISK,     // entity: file
    SIM_DOMAIN_HOST,     // entity: host
    SIM_DOMAIN_USER,     // entity: the scenario's
    SIM_DOMAIN_STUCK,    // entity: shard | life of the machine << 16
} sim_domain;

// A stream of draws. A value, owned by whoever draws from it.
typedef struct sim_stream {
    tina_prng prng;
    uint64_t name; // domain 8 | entity 24 | 32 for the number of the draw
} sim_stream;

// Decisions, ascending: a run that is repeated with some of its faults only.
typedef struct sim_decisions {
    const uint64_t *kept; // NULL: whatever strikes
    uint32_t kept_count;
    uint64_t *struck; // those of this run, in order, if `listed`
    uint32_t struck_count;
    uint32_t struck_capacity;
    bool listed;
} sim_decisions;

typedef struct sim_world {
    uint64_t seed;
    uint64_t now_ns; // virtual; never falls
    bool faults;     // may strike; sizes and latencies hold either way
    uint64_t faults_from_ns;
    uint64_t faults_until_ns;
    tina_sim_settings settings;
    sim_agenda agenda;
    sim_record record;
    sim_decisions decisions;
} sim_world;

sim_stream sim_stream_of(const sim_world *world, sim_domain domain, uint32_t entity);

// sim_draw returns a number in [0, limit); limit is not 0.
static inline uint64_t sim_draw(sim_stream *stream, uint64_t limit) {
    return tina_prng_below(&stream->prng, limit);
}

// sim_skip makes a draw that nobody looks at. What is drawn depends on the draw's number alone, so
// there is nothing to compute.
static inline void sim_skip(sim_stream *stream) {
    stream->prng.draws++;
}

// sim_draw_upto returns a number in [0, most].
static inline uint64_t sim_draw_upto(sim_stream *stream, uint64_t most) {
    if (most == 0) {
        sim_skip(stream);
        return 0;
    }
    return most == UINT64_MAX ? tina_prng_next(&stream->prng) : sim_draw(stream, most + 1);
}

// Notes that a decision has come out against the world, and returns whether it is to be carried
// out.
bool sim_struck(sim_world *world, uint64_t decision);

// sim_strikes returns whether a fault of this chance strikes. One draw, whatever comes out.
static inline bool sim_strikes(sim_world *world, sim_stream *stream, uint64_t ppm) {
    uint64_t decision = stream->name | (uint32_t)stream->prng.draws;
    if (ppm == 0 || !world->faults) {
        sim_skip(stream);
        return false;
    }
    return sim_draw(stream, 1000000) < ppm && sim_struck(world, decision);
}

// sim_detail returns a number below limit that belongs to the last draw of a stream, one for each
// `which`, and draws nothing: so that what follows from a fault shifts nothing when it is left out.
static inline uint64_t sim_detail(const sim_stream *stream, uint32_t which, uint64_t limit) {
    uint64_t last = tina_prng_at(&stream->prng, stream->prng.draws - 1);
    tina_prng prng = {last, 0};
    return (tina_prng_at(&prng, which) >> 11) % limit;
}

// sim_note adds an event to the record.
static inline void sim_note(sim_world *world, sim_event_kind kind, uint32_t shard, uint32_t a,
                            uint64_t b) {
    sim_event event = {world->now_ns, (uint16_t)kind, (uint16_t)shard, a, b};
    sim_record_add(&world->record, event);
}

// sim_world_begin starts a world at time 1 s (so that no time is 0) with the given settings;
// sim_world_end frees what it has.
void sim_world_begin(sim_world *world, uint64_t seed, const tina_sim_settings *settings);
void sim_world_end(sim_world *world);

#ifdef __cplusplus
}
#endif

#endif
