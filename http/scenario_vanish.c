// SPDX-License-Identifier: Apache-2.0
//
// Clients that vanish, by a close, a reset, or silence, at any byte they send or hear, or at any
// time. Others are served as if they had never been; and all that those who are gone had taken
// comes back.

#include "http/sim_scenarios.h"
#include "http/sim_visitor.h"
#include "sim/net.h"
#include "sim/world.h"

#define GOOD      3u
#define VANISHING 6u
#define VISITS    3u // of each who vanishes
#define SECOND_NS UINT64_C(1000000000)
#define START_NS  UINT64_C(10000000)
#define STUCK_NS  (100 * SECOND_NS)

typedef struct vanish_state {
    sim_site site;
    sim_visitor good[GOOD];
    sim_visitor vanishing[VANISHING * VISITS];
    uint32_t begun; // of those who vanish
} vanish_state;

static uint32_t draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(sim, stream, limit);
}

static void asks_draw(tina_sim *sim, sim_site *site, sim_visitor *visitor, uint32_t most) {
    visitor->ask_count = 1 + draw(sim, 1, most);
    for (uint32_t i = 0; i < visitor->ask_count; i++)
        visitor->asks[i] = sim_ask_draw(sim, site, 3000);
}

static void host_cut(void *visitor_, uint64_t word) {
    const sim_visitor *visitor = visitor_;
    sim_net *net = tina_sim_net(tina_sim_current());
    (void)word;
    sim_net_cut(net, visitor->own_host, SIM_NET_MACHINE, UINT64_MAX);
    sim_net_cut(net, SIM_NET_MACHINE, visitor->own_host, UINT64_MAX);
}

// Each from a host of its own: one that falls silent does so for good.
static void vanishing_draw(tina_sim *sim, vanish_state *state, sim_visitor *visitor) {
    uint32_t number = visitor->number;
    tina_address address =
        tina_address_ipv4(10, 0, 2 + (uint8_t)(number / 200), 1 + (uint8_t)(number % 200), 0);
    visitor->own_host = sim_net_host(tina_sim_net(sim), &address);
    visitor->one_visit = true;
    visitor->may_be_cut = true;
    visitor->depth = 1 + draw(sim, 2, 4);
    visitor->pause_ns = 1;
    asks_draw(sim, &state->site, visitor, 4);
    visitor->plan.resets = draw(sim, 4, 2) == 0;
    switch (draw(sim, 5, 5)) {
    case 0:
        visitor->plan.leaves_at_sent = 1 + draw(sim, 6, 600);
        visitor->plan.leaves_ns = 20 * SECOND_NS;
        break;
    case 1:
        visitor->plan.leaves_at_received = 1 + draw(sim, 7, 4000);
        visitor->plan.leaves_ns = 20 * SECOND_NS;
        break;
    case 2:
        visitor->plan.leaves_ns = 1 + draw(sim, 8, SECOND_NS / 2);
        break;
    case 3:
        visitor->plan.half_closes = true;
        visitor->plan.leaves_ns = 1 + draw(sim, 8, 5 * SECOND_NS);
        visitor->depth = SIM_VISITOR_ASKS;
        break;
    default:
        visitor->plan.timeout_ns = 60 * SECOND_NS;
        return;
    }
    // What only its leaving ends: behind it may come no other, which would be one to answer.
    sim_ask *last = &visitor->asks[visitor->ask_count - 1];
    if (last->kind == SIM_ASK_WAIT || draw(sim, 10, 4) == 0) {
        last->kind = SIM_ASK_WAIT;
        last->wait_ms = 1000000;
    }
}

static void vanishing_start(void *visitor_, uint64_t word) {
    sim_visitor *visitor = visitor_;
    tina_sim *sim = tina_sim_current();
    sim_world *world = tina_sim_world(sim);
    (void)word;
    sim_visitor_start(sim, visitor);
    if (visitor->plan.timeout_ns)
        sim_agenda_at(&world->agenda, world->now_ns + START_NS + draw(sim, 9, SECOND_NS / 5),
                      host_cut, visitor, 0);
}

static void vanish_begin(tina_sim *sim, void *state_) {
    vanish_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = GOOD + VANISHING * VISITS;
    server.large_body_count = server.context_count;
    server.requests_max = 0;
    server.idle_timeout_ns = 5 * SECOND_NS;
    server.body_timeout_ns = 10 * SECOND_NS;
    server.backlog = 64;
    sim_site_open(sim, &state->site, &server);
    for (uint32_t i = 0; i < GOOD; i++) {
        sim_visitor *visitor = &state->good[i];
        visitor->number = i;
        visitor->strict = true;
        visitor->host = draw(sim, 0, SIM_SITE_HOSTS);
        visitor->depth = 1 + draw(sim, 2, 3);
        visitor->think_ns = SECOND_NS / 2;
        visitor->pause_ns = SECOND_NS;
        asks_draw(sim, &state->site, visitor, SIM_VISITOR_ASKS);
        sim_visitor_start(sim, visitor);
    }
    for (uint32_t i = 0; i < VANISHING * VISITS; i++) {
        state->vanishing[i].number = GOOD + i;
        vanishing_draw(sim, state, &state->vanishing[i]);
        sim_agenda_at(&world->agenda, world->now_ns + START_NS + draw(sim, 3, 3 * SECOND_NS),
                      vanishing_start, &state->vanishing[i], 0);
    }
}

// Nothing but listeners is left.
static bool is_empty(tina_sim *sim, const vanish_state *state) {
    bool all = state->site.server.spread == HTTP_SPREAD_TURNS ||
               state->site.server.spread == HTTP_SPREAD_KERNEL;
    uint32_t listeners = all ? tina_sim_shard_count(sim) : 1;
    return sim_site_in_use(sim) == 0 &&
           sim_net_open_sockets(tina_sim_net(sim), SIM_NET_MACHINE) == listeners;
}

static bool vanish_done(tina_sim *sim, void *state_) {
    const vanish_state *state = state_;
    for (uint32_t i = 0; i < GOOD; i++)
        if (!sim_visitor_is_done(&state->good[i]))
            return false;
    for (uint32_t i = 0; i < VANISHING * VISITS; i++)
        if (state->vanishing[i].visits == 0 || state->vanishing[i].client)
            return false;
    return is_empty(sim, state);
}

static void vanish_check(tina_sim *sim, void *state_) {
    const vanish_state *state = state_;
    for (uint32_t i = 0; i < GOOD; i++)
        sim_visitor_check(sim, &state->good[i], STUCK_NS);
}

// What one client does is all that happens; and cuts are the scenario's own, which calm would heal.
const tina_scenario http_scenario_vanish = {
    .name = "http_vanish",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE,
    .faults_ns = 200000000000,
    .liveness_ns = 1000000000,
    .state_bytes = sizeof(vanish_state),
    .begin = vanish_begin,
    .done = vanish_done,
    .check = vanish_check,
};
