// SPDX-License-Identifier: Apache-2.0
//
// Clients who read nothing, or next to it, of answers that their connections do not hold: of files,
// and of events while they send more themselves. There are more of them than receive buffers, and
// they stay for longer than anybody who just asks is to wait.

#include "http/sim_scenarios.h"
#include "http/sim_visitor.h"
#include "sim/net.h"
#include "sim/world.h"

#define GOOD      3u
#define READERS   8u
#define BUFFERS   2u
#define SECOND_NS UINT64_C(1000000000)
#define STAY_NS   (200 * SECOND_NS)
#define STUCK_NS  (20 * SECOND_NS)

typedef struct slow_readers_state {
    sim_site site;
    sim_visitor good[GOOD];
    sim_client *readers[READERS];
} slow_readers_state;

static uint32_t draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(sim, stream, limit);
}

// What it sends behind its ask comes byte by byte, when the answer has long filled the connection.
static sim_client *reader_start(tina_sim *sim, sim_site *site, bool events) {
    uint8_t bytes[2 * SIM_ASK_BYTES_MAX];
    sim_ask ask = sim_ask_draw(sim, site, 1);
    ask.kind = events ? SIM_ASK_EVENTS : SIM_ASK_FILE;
    ask.bytes = events ? SIM_ASK_BYTES_MAX / 4 : 3;
    ask.wait_ms = 1;
    uint32_t used = sim_ask_write(&ask, bytes);
    sim_client_plan plan = {
        .to = site->address,
        .data = bytes,
        .slow_from = used,
        .slow_bytes = UINT64_MAX,
        .slow_step_bytes = 1,
        .slow_step_ns = SECOND_NS / 4,
        .never_reads = draw(sim, 11, 2) == 0,
        .read_bytes = 1 + draw(sim, 12, 16),
        .read_ns = SECOND_NS,
        .kept_max = 1,
        .timeout_ns = STAY_NS,
    };
    plan.bytes = used + (events ? sim_ask_write(&ask, bytes + used) : 0);
    uint32_t host = site->hosts[draw(sim, 13, SIM_SITE_HOSTS)];
    return sim_client_start(tina_sim_net(sim), host, &plan);
}

static void slow_readers_begin(tina_sim *sim, void *state_) {
    slow_readers_state *state = state_;
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = READERS + 2 * GOOD;
    server.requests_max = 0;
    server.backlog = READERS + GOOD;
    server.write_timeout_ns = STAY_NS;
    sim_site_open(sim, &state->site, &server);
    sim_site_program.spec.buffer_count = BUFFERS;
    for (uint32_t i = 0; i < READERS; i++)
        state->readers[i] = reader_start(sim, &state->site, i % 2 != 0);
    for (uint32_t i = 0; i < GOOD; i++) {
        sim_visitor *visitor = &state->good[i];
        visitor->number = i;
        visitor->host = draw(sim, 0, SIM_SITE_HOSTS);
        visitor->think_ns = visitor->pause_ns = 2 * SECOND_NS;
        visitor->ask_count = SIM_VISITOR_ASKS;
        for (uint32_t ask = 0; ask < visitor->ask_count; ask++)
            visitor->asks[ask] = sim_ask_draw(sim, &state->site, 500);
        sim_visitor_start(sim, visitor);
    }
}

static bool slow_readers_done(tina_sim *sim, void *state_) {
    const slow_readers_state *state = state_;
    (void)sim;
    for (uint32_t i = 0; i < GOOD; i++)
        if (!sim_visitor_is_done(&state->good[i]))
            return false;
    for (uint32_t i = 0; i < READERS; i++)
        sim_client_leave(state->readers[i]); // else the server's end would wait for them
    return true;
}

static void slow_readers_check(tina_sim *sim, void *state_) {
    const slow_readers_state *state = state_;
    for (uint32_t i = 0; i < GOOD; i++)
        sim_visitor_check(sim, &state->good[i], STUCK_NS);
}

const tina_scenario http_scenario_slow_readers = {
    .name = "http_slow_readers",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = 1,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm,net_buffer_bytes=1500",
    .liveness_ns = 600000000000,
    .state_bytes = sizeof(slow_readers_state),
    .begin = slow_readers_begin,
    .done = slow_readers_done,
    .check = slow_readers_check,
};
