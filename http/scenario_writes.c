// SPDX-License-Identifier: Apache-2.0
//
// Clients that read nothing for a while, of answers that no buffer holds, sent in each of the ways
// that there are. Those that begin before write_timeout is up get all of it; of those that begin
// later nothing is left but what the buffers held, and the end. And one that reads on and on, each
// batch in time, gets everything however long that takes.

#include "http/sim_probe.h"
#include "http/sim_scenarios.h"
#include "sim/world.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLACK_NS  (3 * SECOND_NS)
#define READ_NS   (6 * SECOND_NS) // all of an answer, 2,000 bytes at a time

typedef enum way {
    WAY_CHUNKS = 0, // batch by batch
    WAY_FILE,       // by sendfile
    WAY_STATIC,     // from where it lies, behind the head
    WAY_PIPELINED,  // many answers in one batch
    WAYS,
} way;

#define PROBES (2 * WAYS + 1)

typedef struct writes_state {
    sim_site site;
    sim_probe probes[PROBES]; // of each way one in time, and one that is late; and the one that
                              // reads on and on
} writes_state;

static uint32_t asks_fill(writes_state *state, sim_probe *probe, way how, uint8_t *out) {
    static const uint32_t kinds[] = {SIM_ASK_CHUNKS, SIM_ASK_FILE, SIM_ASK_STATIC, SIM_ASK_TEXT};
    static const uint32_t bytes[] = {30000, 3, 0, 4000};
    uint32_t count = how == WAY_PIPELINED ? 4 : 1;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        probe->asks[i] = (sim_ask){.id = ++state->site.next_id + 100,
                                   .kind = kinds[how],
                                   .bytes = bytes[how],
                                   .closes = i + 1 == count};
        used += sim_ask_write(&probe->asks[i], out + used);
    }
    return used;
}

static void probe_begin(tina_sim *sim, writes_state *state, way how, bool late) {
    static const char *const names[] = {"chunks",       "file",           "static",
                                        "pipelined",    "chunks, late",   "file, late",
                                        "static, late", "pipelined, late"};
    sim_probe *probe = &state->probes[how + (late ? WAYS : 0)];
    uint64_t write_ns = state->site.server.write_timeout_ns;
    uint64_t read_ns = late ? write_ns + SLACK_NS : write_ns / 4 * 3;
    uint8_t out[SIM_ASK_BYTES_MAX];
    uint32_t used = asks_fill(state, probe, how, out);
    probe->name = names[how + (late ? WAYS : 0)];
    probe->statuses = late ? "" : how == WAY_PIPELINED ? "200 200 200 200" : "200";
    probe->cut = late;
    probe->least_ns = read_ns - SECOND_NS;
    probe->most_ns = read_ns + READ_NS;
    probe->plan.reads_after_ns = read_ns;
    sim_probe_start(sim, probe, tina_bytes_of(out, used), tina_bytes_of(NULL, 0));
}

static void patient_begin(tina_sim *sim, writes_state *state) {
    sim_probe *probe = &state->probes[2 * WAYS];
    uint8_t out[SIM_ASK_BYTES_MAX];
    probe->name = "reads on";
    probe->asks[0] = (sim_ask){
        .id = ++state->site.next_id + 100, .kind = SIM_ASK_CHUNKS, .bytes = 60000, .closes = true};
    uint32_t used = sim_ask_write(&probe->asks[0], out);
    probe->statuses = "200";
    probe->plan.read_bytes = 500;
    probe->plan.read_ns = SECOND_NS * 3 / 20;
    probe->least_ns = 18 * SECOND_NS;
    probe->most_ns = 18 * SECOND_NS + READ_NS;
    sim_probe_start(sim, probe, tina_bytes_of(out, used), tina_bytes_of(NULL, 0));
}

static void probes_start(void *state_, uint64_t word) {
    writes_state *state = state_;
    tina_sim *sim = tina_sim_current();
    (void)word;
    for (uint32_t i = 0; i < 2 * WAYS; i++)
        probe_begin(sim, state, (way)(i % WAYS), i >= WAYS);
    patient_begin(sim, state);
}

static void writes_begin(tina_sim *sim, void *state_) {
    writes_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = PROBES;
    server.requests_max = 0;
    server.backlog = 64;
    server.write_timeout_ns = SECOND_NS * (8 + tina_sim_draw(sim, 1, 8));
    sim_site_open(sim, &state->site, &server);
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 2, probes_start, state, 0);
}

static bool writes_done(tina_sim *sim, void *state_) {
    const writes_state *state = state_;
    for (uint32_t i = 0; i < PROBES; i++)
        if (!state->probes[i].ended)
            return false;
    return sim_site_in_use(sim) == 0;
}

static void writes_end(tina_sim *sim, void *state_) {
    const writes_state *state = state_;
    uint64_t timeouts = 0;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        timeouts += state->site.counters[i]->timeouts;
    if (timeouts != WAYS)
        tina_sim_fail(sim, "http timeouts", "%llu are counted, and not %d",
                      (unsigned long long)timeouts, (int)WAYS);
}

const tina_scenario http_scenario_writes = {
    .name = "http_writes",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    // Each answer is more than what both ends hold.
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm,net_buffer_bytes=2000",
    .faults_ns = 60000000000,
    .state_bytes = sizeof(writes_state),
    .begin = writes_begin,
    .done = writes_done,
    .end = writes_end,
};
