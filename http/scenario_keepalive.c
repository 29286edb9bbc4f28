// SPDX-License-Identifier: Apache-2.0
//
// Clients that keep their connections and send requests ahead, over a network that does its worst,
// to handlers, shards and a disk that fail. The visitors are the oracle; and once faults have
// stopped, each gets all its answers.

#include "http/sim_scenarios.h"
#include "http/sim_visitor.h"
#include "sim/world.h"

#define VISITORS 7u
#define STUCK_NS UINT64_C(300000000000)

typedef struct keepalive_state {
    sim_site site;
    sim_visitor visitors[VISITORS];
} keepalive_state;

static uint32_t draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(sim, stream, limit);
}

static void visitor_draw(tina_sim *sim, sim_site *site, sim_visitor *visitor) {
    visitor->host = draw(sim, 0, SIM_SITE_HOSTS);
    visitor->depth = 1 + draw(sim, 1, 4);
    visitor->think_ns = draw(sim, 2, 2) ? 1 + draw(sim, 3, 200000000) : 0;
    visitor->closes = draw(sim, 4, 2) == 0;
    visitor->ask_count = 1 + draw(sim, 5, SIM_VISITOR_ASKS);
    for (uint32_t i = 0; i < visitor->ask_count; i++) {
        visitor->asks[i] = sim_ask_draw(sim, site, 4000);
        if (draw(sim, 6, 20) == 0)
            visitor->asks[i].kind = SIM_ASK_PANIC;
    }
    if (draw(sim, 7, 4) == 0) {
        visitor->plan.slow_bytes = 1 + draw(sim, 8, 60);
        visitor->plan.slow_from = draw(sim, 9, 200);
        visitor->plan.slow_step_bytes = 1;
        visitor->plan.slow_step_ns = 1000000;
    }
    if (draw(sim, 10, 4) == 0)
        visitor->plan.read_bytes = 1 + draw(sim, 11, 200);
}

static void keepalive_begin(tina_sim *sim, void *state_) {
    keepalive_state *state = state_;
    http_server server = sim_site_server(sim);
    sim_site_open(sim, &state->site, &server);
    for (uint32_t i = 0; i < VISITORS; i++) {
        state->visitors[i].number = i;
        visitor_draw(sim, &state->site, &state->visitors[i]);
        sim_visitor_start(sim, &state->visitors[i]);
    }
}

static bool keepalive_done(tina_sim *sim, void *state_) {
    const keepalive_state *state = state_;
    (void)sim;
    for (uint32_t i = 0; i < VISITORS; i++)
        if (!sim_visitor_is_done(&state->visitors[i]))
            return false;
    return true;
}

static void keepalive_check(tina_sim *sim, void *state_) {
    const keepalive_state *state = state_;
    for (uint32_t i = 0; i < VISITORS; i++)
        sim_visitor_check(sim, &state->visitors[i], STUCK_NS);
}

// A rotten bit in a file is sent: nothing tells.
const tina_scenario http_scenario_keepalive = {
    .name = "http_keepalive",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = "disk_rot_ppm=calm",
    .faults_ns = 4000000000,
    .liveness_ns = 600000000000,
    .state_bytes = sizeof(keepalive_state),
    .begin = keepalive_begin,
    .done = keepalive_done,
    .check = keepalive_check,
};
