// SPDX-License-Identifier: Apache-2.0
//
// A server behind a proxy, whose connections begin with a PROXY header: those that bring one, once
// and for all their requests; those that do not; and those that bring it slowly, or nothing after
// it, which end when their time is up.

#include <string.h>

#include "http/sim_probe.h"
#include "http/sim_scenarios.h"
#include "sim/world.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLACK_NS  (3 * SECOND_NS)

typedef enum probe_kind {
    PROBE_NOTHING = 0, // says nothing
    PROBE_STOPS,       // in the header
    PROBE_DRIPS,       // the header
    PROBE_HEADER_ONLY,
    PROBE_HEAD_STOPS, // after the header
    PROBE_NO_HEADER,
    PROBE_ASKS, // twice
    PROBE_KINDS,
} probe_kind;

#define TIMED_OUT 6u // of these; after its answers, also who asks

typedef struct proxy_state {
    sim_site site;
    sim_probe probes[PROBE_KINDS];
} proxy_state;

static uint32_t ask_write(proxy_state *state, sim_probe *probe, uint32_t number, uint8_t *out) {
    probe->asks[number] =
        (sim_ask){.id = ++state->site.next_id + 100, .kind = SIM_ASK_TEXT, .bytes = 10};
    return sim_ask_write(&probe->asks[number], out);
}

static void probe_begin(tina_sim *sim, proxy_state *state, probe_kind kind) {
    static const char header[] = "PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r\n";
    static const char *const names[] = {
        "nothing", "header stops", "header drips", "header only", "head stops", "no header", "asks",
    };
    static const char *const statuses[] = {"", "", "", "", "408", "", "200 200"};
    const http_server *server = &state->site.server;
    sim_probe *probe = &state->probes[kind];
    uint8_t first[SIM_ASK_BYTES_MAX];
    uint8_t then[SIM_ASK_BYTES_MAX];
    uint32_t then_bytes = 0;
    uint32_t used = kind == PROBE_NOTHING || kind == PROBE_NO_HEADER ? 0 : sizeof header - 1;
    uint64_t end_ns = server->idle_timeout_ns;
    memcpy(first, header, used);
    if (kind == PROBE_STOPS)
        used = 1 + (uint32_t)tina_sim_draw(sim, 3, used - 1);
    if (kind == PROBE_STOPS || kind == PROBE_DRIPS || kind == PROBE_HEAD_STOPS)
        end_ns = server->header_timeout_ns;
    if (kind == PROBE_DRIPS) {
        probe->plan.slow_bytes = UINT64_MAX;
        probe->plan.slow_step_bytes = 1;
        probe->plan.slow_step_ns = end_ns / 8;
    }
    if (kind == PROBE_NO_HEADER)
        end_ns = 0;
    if (kind >= PROBE_HEAD_STOPS)
        used += ask_write(state, probe, 0, first + used) - (kind == PROBE_HEAD_STOPS);
    if (kind == PROBE_ASKS) {
        then_bytes = ask_write(state, probe, 1, then);
        probe->then_ns = end_ns / 2;
    }
    probe->name = names[kind];
    probe->statuses = statuses[kind];
    probe->least_ns = end_ns;
    probe->most_ns = end_ns + SLACK_NS;
    sim_probe_start(sim, probe, tina_bytes_of(first, used), tina_bytes_of(then, then_bytes));
}

static void probes_start(void *state_, uint64_t word) {
    (void)word;
    for (uint32_t kind = 0; kind < PROBE_KINDS; kind++)
        probe_begin(tina_sim_current(), state_, (probe_kind)kind);
}

static void proxy_begin(tina_sim *sim, void *state_) {
    proxy_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.proxy_protocol = true;
    server.connection_count = server.context_count = PROBE_KINDS;
    server.requests_max = 0;
    server.backlog = 64;
    server.idle_timeout_ns = SECOND_NS * (4 + tina_sim_draw(sim, 1, 8));
    server.header_timeout_ns = SECOND_NS * (4 + tina_sim_draw(sim, 2, 8));
    sim_site_open(sim, &state->site, &server);
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 2, probes_start, state, 0);
}

static bool proxy_done(tina_sim *sim, void *state_) {
    const proxy_state *state = state_;
    for (uint32_t i = 0; i < PROBE_KINDS; i++)
        if (!state->probes[i].ended)
            return false;
    return sim_site_in_use(sim) == 0;
}

static void proxy_end(tina_sim *sim, void *state_) {
    const proxy_state *state = state_;
    uint64_t timeouts = 0;
    uint64_t bad = 0;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        timeouts += state->site.counters[i]->timeouts;
        bad += state->site.counters[i]->requests_bad;
    }
    if (timeouts != TIMED_OUT || bad != 1)
        tina_sim_fail(sim, "http timeouts", "%llu and %llu bad requests are counted",
                      (unsigned long long)timeouts, (unsigned long long)bad);
}

const tina_scenario http_scenario_proxy = {
    .name = "http_proxy",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm",
    .faults_ns = 60000000000,
    .state_bytes = sizeof(proxy_state),
    .begin = proxy_begin,
    .done = proxy_done,
    .end = proxy_end,
};
