// SPDX-License-Identifier: Apache-2.0
//
// A program in a simulated world: the same shards, scheduler and reactor that tina_run runs, on one
// thread, with time, network, disk, crashes and the order of things in the hands of a seed.
//
//     tina_simulate ─▶ world (seed, settings) ─▶ begin ─▶ faults ─▶ calm ─▶ shutdown ─▶ report
//                                                  │         └ check ┘  │         │
//                                          hosts, clients            done?     leaks?
//
// The same scenario, seed and options give the same events, on every machine and compiler. A
// scenario fails when a checker says so, when it is not done in time once faults have stopped, or
// when something is left behind at its end. A failed assertion ends the process.

#ifndef TINA_SIM_SIM_H
#define TINA_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/counters.h"
#include "sched/shard.h"
#include "sched/spec.h"
#include "sim/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_sim tina_sim;

#define TINA_SIM_FAULTS_NS   UINT64_C(5000000000)
#define TINA_SIM_LIVENESS_NS UINT64_C(300000000000)

// What is simulated, and what must hold. Static data; zero means the default.
typedef struct tina_scenario {
    const char *name;
    const tina_spec *specs;
    uint32_t spec_count;  // 1 or 0: one spec for all shards, shards_min to shards_max of them
    uint32_t shards_min;  // default 1
    uint32_t shards_max;  // default shards_min
    const char *settings; // what the scenario cannot bear, as tina_sim_settings_set reads it
    uint64_t faults_ns;   // virtual time after which faults stop; 0: TINA_SIM_FAULTS_NS
    uint64_t liveness_ns; // ... and then until it must be done; 0: TINA_SIM_LIVENESS_NS
    // The process may be killed, and the machine lose power: kill_ppm, power_ppm. All isolates are
    // gone at once then, the shards boot again, and the handles of before mean nothing.
    bool restarts;
    bool fewer_children; // the last of the root's are left out with the load
    size_t state_bytes;  // of its own; zeroed for each run
    // Before the shards open: hosts and clients, what the args of children point to.
    void (*begin)(tina_sim *sim, void *state);
    // Whether the work is done; asked often. Default: at once when faults have stopped.
    bool (*done)(tina_sim *sim, void *state);
    // Every so many turns, and when it is done.
    void (*check)(tina_sim *sim, void *state);
    // When all isolates have ended: the last look.
    void (*end)(tina_sim *sim, void *state);
} tina_scenario;

typedef struct tina_sim_event_view {
    uint64_t number;
    const char *line; // without its end
} tina_sim_event_view;

typedef struct tina_sim_options {
    uint64_t seed;
    bool calm;                // start from calm settings instead of drawn ones
    const char *set;          // settings that win over drawn ones and the scenario's; or NULL
    uint32_t shards;          // default: drawn
    uint8_t fill;             // of memory that nobody has written yet
    uint64_t faults_from_ns;  // faults strike from here ...
    uint64_t faults_until_ns; // ... to here only, since the beginning; 0: the scenario's
    uint64_t liveness_ns;     // 0: the scenario's
    uint64_t events_max;      // with more the run is cut, as one that holds; 0: as many as come
    // Only these decisions strike; NULL: all. Ascending; as in a report.
    const uint64_t *kept;
    uint32_t kept_count;
    bool list;             // decisions that have struck, in the report
    uint64_t *events_seen; // counts them as the run goes; or NULL
    // Every event as it happens; or NULL.
    void (*trace)(void *where, const tina_sim_event_view *event);
    void *trace_where;
} tina_sim_options;

typedef struct tina_sim_report {
    bool failed;
    char checker[48];   // what failed, the same at the same site
    char sentence[512]; // why
    uint64_t hash;      // of all events
    uint64_t events;
    uint64_t turns; // of all shards
    uint64_t dispatches;
    uint64_t virtual_ns;
    uint32_t shards;
    uint64_t *struck; // options.list: ascending; the report's, tina_sim_report_end frees it
    uint32_t struck_count;
    uint64_t *marks; // the hash after every TINA_SIM_MARK_EVENTS events; likewise
    uint32_t mark_count;
    tina_sim_settings settings;
} tina_sim_report;

#define TINA_SIM_MARK_EVENTS 1024u

// tina_simulate runs a scenario once and fills in *report. Returns false and a sentence when the
// options or a spec make no sense.
bool tina_simulate(const tina_scenario *scenario, const tina_sim_options *options,
                   tina_sim_report *report, char sentence[TINA_SENTENCE_BYTES]);

void tina_sim_report_end(tina_sim_report *report);

// For scenarios, and for their isolates while they run.

// tina_sim_current returns the simulation that runs on this thread; NULL: none.
tina_sim *tina_sim_current(void);
void *tina_sim_state(tina_sim *sim);

uint64_t tina_sim_now_ns(const tina_sim *sim); // the world's
bool tina_sim_is_calm(const tina_sim *sim);    // faults have stopped
uint32_t tina_sim_shard_count(const tina_sim *sim);
const tina_shard *tina_sim_shard(const tina_sim *sim, uint32_t shard);
bool tina_sim_is_up(const tina_sim *sim, uint32_t shard); // not quarantined

// tina_sim_touched_bytes returns how much of a shard's arena has ever been touched, in whole pages:
// all the user memory that it would take of a machine. O(arena).
uint64_t tina_sim_touched_bytes(const tina_sim *sim, uint32_t shard);

// tina_sim_breaks returns how often a shard has begun anew or been quarantined.
uint32_t tina_sim_breaks(const tina_sim *sim, uint32_t shard);

// tina_sim_restarts returns how often the process was killed or the machine lost power.
uint32_t tina_sim_restarts(const tina_sim *sim);

// tina_sim_crashes returns how many isolates of a type were made to crash by the simulation.
uint64_t tina_sim_crashes(const tina_sim *sim);

// tina_sim_draw returns a number below limit that the seed decides; each stream,
// below TINA_SIM_STREAMS, is one of its own.
#define TINA_SIM_STREAMS 64u
uint64_t tina_sim_draw(tina_sim *sim, uint32_t stream, uint64_t limit);

// tina_sim_load returns how much of its own work, of `most` (of requests, rounds, users at work), a
// scenario is to do: all, but where a failure is made smaller; 1 at least. What it leaves out it
// does not wait for either.
uint32_t tina_sim_load(const tina_sim *sim, uint32_t most);

// tina_sim_does returns whether a scenario is to do actions of a kind, a number below
// TINA_SIM_KINDS that it gives to those that it can leave out: all, but where a failure is made
// smaller. What the action would draw is drawn either way.
#define TINA_SIM_KINDS 16u
bool tina_sim_does(const tina_sim *sim, uint32_t kind);

// tina_sim_note adds an event of the scenario's to the record.
void tina_sim_note(tina_sim *sim, uint32_t a, uint64_t b);

// tina_sim_fail ends the run as failed; the first time counts.
void tina_sim_fail(tina_sim *sim, const char *checker, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The virtual network and disk; see net.h, client.h and disk.h.
struct sim_net *tina_sim_net(tina_sim *sim);
struct sim_disk *tina_sim_disk(tina_sim *sim);
struct sim_world *tina_sim_world(tina_sim *sim);

#ifdef __cplusplus
}
#endif

#endif
