// SPDX-License-Identifier: Apache-2.0
//
// Clients that are too slow, one for each deadline: each is told 408 or sees the end when its time
// is up, not before and not much later. Beside them clients who are not slow hear of nothing.

#include <string.h>

#include "http/sim_scenarios.h"
#include "http/sim_visitor.h"
#include "sim/world.h"

#define GOOD      3u
#define SECOND_NS UINT64_C(1000000000)
// The network's and the shards' own time: a few round trips of the longest latency, and bytes in
// small pieces.
#define SLACK_NS (3 * SECOND_NS)
#define STUCK_NS (100 * SECOND_NS)

typedef enum probe_kind {
    PROBE_HEAD_STOPS = 0, // in the head
    PROBE_HEAD_DRIPS,
    PROBE_BODY_STOPS,
    PROBE_BODY_DRIPS, // slower than body_rate
    PROBE_IDLE,       // says nothing
    PROBE_IDLE_AFTER, // an answer
    PROBE_LINGERS,    // goes on sending after Connection: close
    PROBE_KINDS,
} probe_kind;

typedef struct deadlines_state {
    sim_site site;
    sim_visitor good[GOOD];
    sim_client *probes[PROBE_KINDS];
    uint32_t ended;
} deadlines_state;

static uint32_t draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(sim, stream, limit);
}

static uint64_t deadline_of(const http_server *server, probe_kind kind) {
    switch (kind) {
    case PROBE_HEAD_STOPS:
    case PROBE_HEAD_DRIPS:
        return server->header_timeout_ns;
    case PROBE_BODY_STOPS:
    case PROBE_BODY_DRIPS:
        return server->body_timeout_ns;
    case PROBE_IDLE:
    case PROBE_IDLE_AFTER:
        return server->idle_timeout_ns;
    case PROBE_LINGERS:
    case PROBE_KINDS:
        break;
    }
    return server->linger_timeout_ns;
}

static bool is_refused(probe_kind kind) {
    return kind <= PROBE_BODY_DRIPS;
}

static void probe_done(void *where, sim_client *client) {
    tina_sim *sim = tina_sim_current();
    deadlines_state *state = tina_sim_state(sim);
    probe_kind kind = (probe_kind)((sim_client **)where - state->probes);
    sim_client_result result = sim_client_look(client);
    uint64_t deadline_ns = deadline_of(&state->site.server, kind);
    uint64_t took_ns = result.ended_ns - result.connected_ns;
    state->ended++;
    // A shard's clock may be a thousandth fast.
    if (result.connected_ns == 0 || took_ns < deadline_ns - deadline_ns / 500 ||
        took_ns > deadline_ns + SLACK_NS)
        tina_sim_fail(sim, "deadline", "probe %d: its end %d came after %llu ms, of %llu",
                      (int)kind, (int)result.end, (unsigned long long)(took_ns / 1000000),
                      (unsigned long long)(deadline_ns / 1000000));
    bool refused = result.kept_bytes > 12 && memcmp(result.kept + 9, "408", 3) == 0;
    bool answered = result.kept_bytes > 12 && memcmp(result.kept + 9, "200", 3) == 0;
    if (refused != is_refused(kind) || answered != (kind == PROBE_IDLE_AFTER))
        tina_sim_fail(sim, "deadline", "probe %d heard %.*s", (int)kind,
                      (int)(result.kept_bytes < 40 ? result.kept_bytes : 40),
                      (const char *)result.kept);
}

static void probe_start(tina_sim *sim, deadlines_state *state, probe_kind kind) {
    static uint8_t bytes[SIM_ASK_BYTES_MAX + 4096];
    const http_server *server = &state->site.server;
    bool body = kind == PROBE_BODY_STOPS || kind == PROBE_BODY_DRIPS;
    sim_ask ask = {++state->site.next_id + 100, body ? SIM_ASK_ECHO : SIM_ASK_TEXT, 3000, 0,
                   kind == PROBE_LINGERS};
    ask.bytes = body ? 3000 : 10;
    uint32_t used = sim_ask_write(&ask, bytes);
    uint32_t head = body ? used - ask.bytes : used;
    sim_client_plan plan = {.to = state->site.address,
                            .data = bytes,
                            .bytes = used,
                            .slow_step_bytes = 1,
                            .done = probe_done,
                            .where = &state->probes[kind]};
    plan.slow_step_ns = deadline_of(server, kind) / 8;
    switch (kind) {
    case PROBE_HEAD_STOPS:
        plan.bytes = 1 + draw(sim, 10, head - 1);
        break;
    case PROBE_HEAD_DRIPS:
        plan.slow_from = draw(sim, 11, 30);
        plan.slow_bytes = UINT64_MAX;
        break;
    case PROBE_BODY_STOPS:
        plan.bytes = head + draw(sim, 12, 20);
        break;
    case PROBE_BODY_DRIPS:
        plan.slow_from = head;
        plan.slow_bytes = UINT64_MAX;
        break;
    case PROBE_IDLE:
        plan.bytes = 0;
        break;
    case PROBE_LINGERS:
        memset(bytes + used, 'x', 4096);
        plan.bytes = used + 4096;
        plan.slow_from = used;
        plan.slow_bytes = UINT64_MAX;
        plan.never_reads = true;
        break;
    case PROBE_IDLE_AFTER:
    case PROBE_KINDS:
        break;
    }
    state->probes[kind] = sim_client_start(tina_sim_net(sim),
                                           state->site.hosts[draw(sim, 13, SIM_SITE_HOSTS)], &plan);
}

static void probes_start(void *state_, uint64_t word) {
    (void)word;
    for (uint32_t kind = 0; kind < PROBE_KINDS; kind++)
        probe_start(tina_sim_current(), state_, (probe_kind)kind);
}

static void deadlines_begin(tina_sim *sim, void *state_) {
    deadlines_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = GOOD + PROBE_KINDS;
    server.large_body_count = 0;
    server.requests_max = 0;
    server.backlog = 64;
    server.idle_timeout_ns = SECOND_NS * (1 + draw(sim, 1, 8));
    server.header_timeout_ns = SECOND_NS * (1 + draw(sim, 2, 8));
    server.body_timeout_ns = SECOND_NS * (1 + draw(sim, 3, 8));
    server.linger_timeout_ns = SECOND_NS * (1 + draw(sim, 4, 3));
    sim_site_open(sim, &state->site, &server);
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 20 + draw(sim, 5, SECOND_NS),
                  probes_start, state, 0);
    for (uint32_t i = 0; i < GOOD; i++) {
        sim_visitor *visitor = &state->good[i];
        visitor->number = i;
        visitor->strict = true;
        visitor->host = draw(sim, 6, SIM_SITE_HOSTS);
        visitor->think_ns = SECOND_NS / 3;
        visitor->ask_count = 1 + draw(sim, 7, SIM_VISITOR_ASKS);
        for (uint32_t ask = 0; ask < visitor->ask_count; ask++)
            visitor->asks[ask] = sim_ask_draw(sim, &state->site, 600);
        sim_visitor_start(sim, visitor);
    }
}

static bool deadlines_done(tina_sim *sim, void *state_) {
    const deadlines_state *state = state_;
    for (uint32_t i = 0; i < GOOD; i++)
        if (!sim_visitor_is_done(&state->good[i]))
            return false;
    return state->ended == PROBE_KINDS && sim_site_in_use(sim) == 0;
}

static void deadlines_check(tina_sim *sim, void *state_) {
    const deadlines_state *state = state_;
    for (uint32_t i = 0; i < GOOD; i++)
        sim_visitor_check(sim, &state->good[i], STUCK_NS);
}

const tina_scenario http_scenario_deadlines = {
    .name = "http_deadlines",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm",
    .faults_ns = 60000000000,
    .state_bytes = sizeof(deadlines_state),
    .begin = deadlines_begin,
    .done = deadlines_done,
    .check = deadlines_check,
};
