// SPDX-License-Identifier: Apache-2.0
//
// A server is told to drain, at any moment, under clients that go on asking. What it had read
// before is answered, whole; an answer that has begun is not cut; who races with it sees an end in
// good order, no reset; and it comes to its own end in time.

#include "http/sim_scenarios.h"
#include "http/sim_visitor.h"
#include "sim/world.h"

#define VISITORS  8u
#define SECOND_NS UINT64_C(1000000000)

// Of an ask sent so long before, the first byte has been read, however slow the network is.
#define READ_NS (SECOND_NS / 2)
// Whatever is under way has come to its end, or is cut.
#define END_NS (20 * SECOND_NS)

typedef struct drain_state {
    sim_site site;
    uint64_t drain_ns;
    sim_visitor visitors[VISITORS];
} drain_state;

static uint32_t draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(sim, stream, limit);
}

// At a visit's end.
static void visitor_told(sim_visitor *visitor) {
    tina_sim *sim = tina_sim_current();
    const drain_state *state = tina_sim_state(sim);
    bool heard = visitor->parsed > 0; // so that its connection had been taken
    if (!state->site.draining || visitor->left || !heard || visitor->last)
        return;
    if (visitor->last_result.end != SIM_CLIENT_FIN)
        tina_sim_fail(sim, "drain ends", "visitor %u: end %d, errno %d", visitor->number,
                      (int)visitor->last_result.end, visitor->last_result.error);
    uint32_t next = visitor->answered - visitor->first;
    if (next < visitor->sent && visitor->depth == 1 &&
        visitor->sent_ns[next] + READ_NS < state->drain_ns)
        tina_sim_fail(sim, "drain answers", "visitor %u: ask %u, kind %u, was sent %llu ms before",
                      visitor->number, visitor->asks[visitor->answered].id,
                      visitor->asks[visitor->answered].kind,
                      (unsigned long long)((state->drain_ns - visitor->sent_ns[next]) / 1000000));
}

static void drain_begin(tina_sim *sim, void *state_) {
    drain_state *state = state_;
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = VISITORS;
    server.large_body_count = VISITORS;
    server.backlog = 64;
    sim_site_open(sim, &state->site, &server);
    state->drain_ns = tina_sim_now_ns(sim) + SECOND_NS / 50 + draw(sim, 0, 4 * SECOND_NS);
    for (uint32_t i = 0; i < VISITORS; i++) {
        sim_visitor *visitor = &state->visitors[i];
        visitor->number = i;
        visitor->host = draw(sim, 1, SIM_SITE_HOSTS);
        visitor->depth = 1 + draw(sim, 2, 2);
        visitor->think_ns = draw(sim, 3, 3) ? 1 + draw(sim, 4, SECOND_NS) : 0;
        visitor->pause_ns = 1 + draw(sim, 5, SECOND_NS);
        visitor->told = visitor_told;
        if (draw(sim, 6, 2)) {
            visitor->plan.slow_from = draw(sim, 7, 800);
            visitor->plan.slow_bytes = 60;
            visitor->plan.slow_step_bytes = 1;
            visitor->plan.slow_step_ns = SECOND_NS / 50;
        }
        visitor->ask_count = SIM_VISITOR_ASKS;
        for (uint32_t ask = 0; ask < visitor->ask_count; ask++)
            visitor->asks[ask] = sim_ask_draw(sim, &state->site, 600);
        sim_visitor_start(sim, visitor);
    }
}

static bool drain_done(tina_sim *sim, void *state_) {
    drain_state *state = state_;
    if (tina_sim_now_ns(sim) < state->drain_ns)
        return false;
    state->site.draining = true;
    state->drain_ns = tina_sim_now_ns(sim);
    return true;
}

static void drain_end(tina_sim *sim, void *state_) {
    const drain_state *state = state_;
    uint64_t took_ns = tina_sim_now_ns(sim) - state->drain_ns;
    if (took_ns > END_NS)
        tina_sim_fail(sim, "drain time", "it took %llu ms",
                      (unsigned long long)(took_ns / 1000000));
}

const tina_scenario http_scenario_drain = {
    .name = "http_drain",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm",
    .faults_ns = 10000000000,
    .state_bytes = sizeof(drain_state),
    .begin = drain_begin,
    .done = drain_done,
    .end = drain_end,
};
