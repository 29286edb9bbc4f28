// SPDX-License-Identifier: Apache-2.0
//
// Many clients who mean no good, or whose lines are bad, at a server with few slots and short
// deadlines, and a few who just ask. They go on for as long as it takes; limits hold at any time,
// and everyone who asks is answered in the end.

#include "http/sim_scenarios.h"
#include "http/sim_visitor.h"
#include "sim/net.h"
#include "sim/world.h"

#define GOOD      3u
#define ABUSERS   12u
#define SECOND_NS UINT64_C(1000000000)
#define STUCK_NS  (300 * SECOND_NS)
#define EVER_NS   (2000 * SECOND_NS) // longer than the run

typedef struct slowloris_state slowloris_state;

typedef struct abuser {
    slowloris_state *state;
    sim_client *client;
} abuser;

struct slowloris_state {
    sim_site site;
    sim_visitor good[GOOD];
    abuser abusers[ABUSERS];
    sim_stream stream;
};

static uint32_t draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(sim, stream, limit);
}

static void abuser_visit(void *where, uint64_t word);

static void abuser_done(void *where, sim_client *client) {
    sim_world *world = tina_sim_world(tina_sim_current());
    (void)client;
    ((abuser *)where)->client = NULL;
    sim_agenda_at(&world->agenda, world->now_ns + 1 + draw(tina_sim_current(), 10, SECOND_NS / 2),
                  abuser_visit, where, 0);
}

static void abuser_visit(void *where, uint64_t word) {
    abuser *self = where;
    tina_sim *sim = tina_sim_current();
    sim_site *site = &self->state->site;
    uint8_t bytes[2 * SIM_ASK_BYTES_MAX];
    uint32_t used = 0;
    (void)word;
    for (uint32_t asks = 1 + draw(sim, 11, 2); asks > 0; asks--) {
        sim_ask ask = sim_ask_draw(sim, site, 2000);
        used += sim_ask_write(&ask, bytes + used);
    }
    sim_client_plan plan = {
        .to = site->address,
        .data = bytes,
        .bytes = used,
        .kept_max = 1,
        .done = abuser_done,
        .where = self,
    };
    (void)sim_client_abuse(&self->state->stream, SECOND_NS, &plan);
    // Who waits for the server to act does so until it does.
    if (plan.leaves_ns == 10 * SECOND_NS)
        plan.leaves_ns = EVER_NS;
    plan.timeout_ns = EVER_NS;
    self->client =
        sim_client_start(tina_sim_net(sim), site->hosts[draw(sim, 12, SIM_SITE_HOSTS)], &plan);
}

static void slowloris_begin(tina_sim *sim, void *state_) {
    slowloris_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    // Fewer than abusers: without a deadline they would have them all before long.
    server.connection_count = 2 + draw(sim, 3, 3);
    server.context_count = 1 + draw(sim, 4, server.connection_count);
    server.idle_timeout_ns = SECOND_NS;
    server.header_timeout_ns = SECOND_NS;
    server.body_timeout_ns = SECOND_NS;
    server.write_timeout_ns = 2 * SECOND_NS;
    server.linger_timeout_ns = SECOND_NS / 2;
    sim_site_open(sim, &state->site, &server);
    state->stream = sim_stream_of(world, SIM_DOMAIN_USER, 1000);
    for (uint32_t i = 0; i < GOOD; i++) {
        sim_visitor *visitor = &state->good[i];
        visitor->number = i;
        visitor->host = draw(sim, 0, SIM_SITE_HOSTS);
        visitor->depth = 1 + draw(sim, 1, 3);
        visitor->pause_ns = SECOND_NS / 4;
        visitor->ask_count = 1 + draw(sim, 2, SIM_VISITOR_ASKS);
        for (uint32_t ask = 0; ask < visitor->ask_count; ask++)
            visitor->asks[ask] = sim_ask_draw(sim, &state->site, 500);
        sim_visitor_start(sim, visitor);
    }
    for (uint32_t i = 0; i < ABUSERS; i++) {
        state->abusers[i].state = state;
        sim_agenda_at(&world->agenda, world->now_ns + 1 + draw(sim, 10, SECOND_NS), abuser_visit,
                      &state->abusers[i], 0);
    }
}

static bool slowloris_done(tina_sim *sim, void *state_) {
    const slowloris_state *state = state_;
    (void)sim;
    for (uint32_t i = 0; i < GOOD; i++)
        if (!sim_visitor_is_done(&state->good[i]))
            return false;
    return true;
}

static void limits_check(tina_sim *sim, const sim_site *site, uint32_t shard) {
    const http_counters *http = site->counters[shard];
    if (http && (http->connections_in_use > site->server.connection_count ||
                 http->contexts_in_use > site->server.context_count ||
                 http->large_bodies_in_use > site->server.large_body_count))
        tina_sim_fail(sim, "http limits", "shard %u: %u connections, %u contexts, %u bodies", shard,
                      http->connections_in_use, http->contexts_in_use, http->large_bodies_in_use);
}

static void slowloris_check(tina_sim *sim, void *state_) {
    const slowloris_state *state = state_;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        limits_check(sim, &state->site, i);
    for (uint32_t i = 0; i < GOOD; i++)
        sim_visitor_check(sim, &state->good[i], STUCK_NS);
}

const tina_scenario http_scenario_slowloris = {
    .name = "http_slowloris",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    // With latencies as long as these deadlines, good clients are slow ones too. Many an answer is
    // more than both ends hold.
    .settings = "disk_rot_ppm=calm,net_trickle_ppm=calm,net_ns=calm,net_buffer_bytes=2000",
    .faults_ns = 4000000000,
    .liveness_ns = 600000000000,
    .state_bytes = sizeof(slowloris_state),
    .begin = slowloris_begin,
    .done = slowloris_done,
    .check = slowloris_check,
};
