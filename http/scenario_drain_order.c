// SPDX-License-Identifier: Apache-2.0
//
// A server is told to drain while requests are in progress whose handlers go on to call the
// program's own children, on each shard: these are there until the last of the requests is over.

#include <string.h>

#include "http/sim_probe.h"
#include "http/sim_scenarios.h"
#include "sim/world.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLACK_NS  (SECOND_NS / 4 * 3)
#define LINGER_NS (2 * SECOND_NS)
#define BEFORE_NS SECOND_NS // the drain: they come
#define PROBES    6u

typedef struct order_state {
    sim_site site;
    uint64_t at_ns; // when it is told to drain
    sim_probe probes[PROBES];
} order_state;

static uint8_t request[SIM_ASK_BYTES_MAX];

// Every other one's request is complete only after the drain has begun. The first pause of the
// others is ended by it.
static void probe_begin(tina_sim *sim, order_state *state, uint32_t number) {
    sim_probe *probe = &state->probes[number];
    uint64_t late_ns = number % 2 ? 1 + tina_sim_draw(sim, 2, SECOND_NS) : 0;
    uint32_t wait_ms = 1 + (uint32_t)tina_sim_draw(sim, 3, 250);
    probe->asks[0] = (sim_ask){.id = ++state->site.next_id + 100,
                               .kind = SIM_ASK_SERVED,
                               .bytes = 10,
                               .wait_ms = late_ns ? wait_ms : 400};
    uint32_t used = sim_ask_write(&probe->asks[0], request);
    uint32_t then = late_ns ? 1 + (uint32_t)tina_sim_draw(sim, 4, used - 1) : 0;
    probe->name = late_ns ? "comes late" : "is waiting";
    probe->statuses = "200";
    probe->closed = true;
    probe->then_ns = BEFORE_NS + late_ns;
    probe->most_ns = LINGER_NS + SLACK_NS;
    sim_probe_start(sim, probe, tina_bytes_of(request, used - then),
                    tina_bytes_of(request + used - then, then));
}

static void waiting_start(void *state_, uint64_t number) {
    probe_begin(tina_sim_current(), state_, (uint32_t)number);
}

static void nothing(void *state_, uint64_t word) {
    (void)state_;
    (void)word;
}

static void order_begin(tina_sim *sim, void *state_) {
    order_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = PROBES;
    server.requests_max = 0;
    server.backlog = 64;
    server.linger_timeout_ns = LINGER_NS;
    sim_site_open(sim, &state->site, &server);
    state->at_ns = world->now_ns + BEFORE_NS + SECOND_NS / 2 + tina_sim_draw(sim, 1, SECOND_NS);
    for (uint32_t i = 0; i < PROBES; i++) {
        // Who waits comes just before, so that the drain is within its pauses.
        uint64_t ago_ns = i % 2 ? BEFORE_NS : SECOND_NS / 5 + tina_sim_draw(sim, 5, SECOND_NS / 2);
        sim_agenda_at(&world->agenda, state->at_ns - ago_ns, waiting_start, state, i);
    }
    sim_agenda_at(&world->agenda, state->at_ns, nothing, state, 0); // so that it is exact
}

static bool order_done(tina_sim *sim, void *state_) {
    order_state *state = state_;
    state->site.draining = tina_sim_now_ns(sim) >= state->at_ns;
    return state->site.draining;
}

static void order_end(tina_sim *sim, void *state_) {
    const order_state *state = state_;
    uint64_t took_ns = tina_sim_now_ns(sim) - state->at_ns;
    if (took_ns > 2 * LINGER_NS + SLACK_NS)
        tina_sim_fail(sim, "drain time", "it took %llu ms",
                      (unsigned long long)(took_ns / 1000000));
    for (uint32_t i = 0; i < PROBES; i++)
        if (!state->probes[i].ended)
            tina_sim_fail(sim, "http probe", "%u: it never saw an end", i);
}

const tina_scenario http_scenario_drain_order = {
    .name = "http_drain_order",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings =
        SIM_SITE_GENTLE ",net_trickle_ppm=calm,net_ns=calm,io_ns=calm,wire_ns=calm,disk_ns=calm",
    .faults_ns = 10000000000,
    .state_bytes = sizeof(order_state),
    .begin = order_begin,
    .done = order_done,
    .end = order_end,
};
