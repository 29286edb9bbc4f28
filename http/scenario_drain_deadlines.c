// SPDX-License-Identifier: Apache-2.0
//
// What is under way when a server is told to drain, one client for each state that a connection can
// be in: what ends at once, what comes to its end and says that it is the last, and what is given
// linger_timeout and no longer.

#include <string.h>

#include "http/sim_probe.h"
#include "http/sim_scenarios.h"
#include "sim/world.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLACK_NS  (SECOND_NS / 4 * 3)
#define LINGER_NS (2 * SECOND_NS)
#define BEFORE_NS SECOND_NS // the drain: they come
#define LONG_MS   1000000u

typedef enum probe_kind {
    PROBE_IDLE = 0,   // ends at once
    PROBE_HEAD_STOPS, // is given linger_timeout, and refused
    PROBE_BODY_STOPS, // likewise
    PROBE_HEAD_ENDS,  // within that: is answered, as the last
    PROBE_WAITS,      // its handler is told, and answers
    PROBE_EVENTS,     // its handler is told, and hurries
    PROBE_STUBBORN,   // its handler is told, and waits on: is cut off
    PROBE_CALLS,      // its call is given that too and cancelled, and its handler answers
    PROBE_SENDS,      // its answer is sent to its end
    PROBE_SENDS_FILE, // likewise
    PROBE_LINGERS,    // since before: is given what is left of its time
    PROBE_KINDS,
} probe_kind;

typedef struct leaving_state {
    sim_site site;
    uint64_t at_ns; // when it is told to drain
    sim_probe probes[PROBE_KINDS];
} leaving_state;

static uint8_t first[SIM_ASK_BYTES_MAX];
static uint8_t then[SIM_ASK_BYTES_MAX];

static uint32_t ask_write(leaving_state *state, sim_probe *probe, probe_kind kind) {
    static const struct {
        uint32_t kind;
        uint32_t bytes;
    } asks[] = {
        [PROBE_IDLE] = {SIM_ASK_TEXT, 10},         [PROBE_HEAD_STOPS] = {SIM_ASK_TEXT, 10},
        [PROBE_BODY_STOPS] = {SIM_ASK_ECHO, 1000}, [PROBE_HEAD_ENDS] = {SIM_ASK_TEXT, 10},
        [PROBE_WAITS] = {SIM_ASK_WAIT, 10},        [PROBE_EVENTS] = {SIM_ASK_EVENTS, 3 * 97},
        [PROBE_STUBBORN] = {SIM_ASK_STUBBORN, 10}, [PROBE_CALLS] = {SIM_ASK_CALL, 10},
        [PROBE_SENDS] = {SIM_ASK_CHUNKS, 30000},   [PROBE_SENDS_FILE] = {SIM_ASK_FILE, 3},
        [PROBE_LINGERS] = {SIM_ASK_TEXT, 10},
    };
    probe->asks[0] = (sim_ask){.id = ++state->site.next_id + 100,
                               .kind = asks[kind].kind,
                               .bytes = asks[kind].bytes,
                               .wait_ms = LONG_MS,
                               .closes = kind == PROBE_LINGERS};
    return sim_ask_write(&probe->asks[0], first);
}

// What it hears, and when that must be over: since the drain, or since its request is complete.
static void expect(sim_probe *probe, probe_kind kind) {
    static const struct {
        const char *statuses;
        uint64_t after_ns;
    } expected[] = {
        [PROBE_IDLE] = {"200", 0},
        [PROBE_HEAD_STOPS] = {"408", LINGER_NS},
        [PROBE_BODY_STOPS] = {"408", LINGER_NS},
        [PROBE_HEAD_ENDS] = {"200", 0},
        [PROBE_WAITS] = {"200", 0},
        [PROBE_EVENTS] = {"200", 0},
        [PROBE_STUBBORN] = {"", LINGER_NS},
        [PROBE_CALLS] = {"200", LINGER_NS},
        [PROBE_SENDS] = {"200", SECOND_NS},
        [PROBE_SENDS_FILE] = {"200", SECOND_NS},
        [PROBE_LINGERS] = {"", LINGER_NS - BEFORE_NS},
    };
    probe->statuses = expected[kind].statuses;
    probe->least_ns = expected[kind].after_ns;
    probe->most_ns = expected[kind].after_ns + SLACK_NS;
}

static void probe_begin(tina_sim *sim, leaving_state *state, probe_kind kind) {
    static const char *const names[] = {
        "idle",     "head stops", "body stops", "head ends",    "waits",   "events",
        "stubborn", "calls",      "sends",      "sends a file", "lingers",
    };
    sim_probe *probe = &state->probes[kind];
    uint32_t used = ask_write(state, probe, kind);
    uint32_t then_bytes = 0;
    probe->name = names[kind];
    probe->then_ns = BEFORE_NS;
    expect(probe, kind);
    if (kind == PROBE_HEAD_STOPS)
        used = 1 + (uint32_t)tina_sim_draw(sim, 2, used - 1);
    if (kind == PROBE_BODY_STOPS)
        used -= 1 + (uint32_t)tina_sim_draw(sim, 3, 1000);
    if (kind == PROBE_HEAD_ENDS) {
        then_bytes = 1 + (uint32_t)tina_sim_draw(sim, 4, used - 1);
        used -= then_bytes;
        memcpy(then, first + used, then_bytes);
        probe->then_ns += LINGER_NS / 2;
        probe->closed = true;
    }
    if (kind == PROBE_WAITS || kind == PROBE_CALLS)
        probe->closed = true;
    if (kind == PROBE_SENDS || kind == PROBE_SENDS_FILE) {
        probe->plan.reads_after_ns = BEFORE_NS + SECOND_NS;
        probe->least_ns -= SECOND_NS / 10;
    }
    if (kind == PROBE_LINGERS) {
        probe->plan.never_reads = true;
        probe->plan.slow_from = used;
        probe->plan.slow_bytes = UINT64_MAX;
        probe->plan.slow_step_bytes = 1;
        probe->plan.slow_step_ns = LINGER_NS / 16;
        probe->least_ns -= SECOND_NS / 10;
        memset(first + used, 'x', 1000);
        used += 1000;
    }
    sim_probe_start(sim, probe, tina_bytes_of(first, used), tina_bytes_of(then, then_bytes));
}

static void probes_start(void *state_, uint64_t word) {
    (void)word;
    for (uint32_t kind = 0; kind < PROBE_KINDS; kind++)
        probe_begin(tina_sim_current(), state_, (probe_kind)kind);
}

static void nothing(void *state_, uint64_t word) {
    (void)state_;
    (void)word;
}

static void leaving_begin(tina_sim *sim, void *state_) {
    leaving_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = server.large_body_count = PROBE_KINDS;
    server.requests_max = 0;
    server.backlog = 64;
    server.linger_timeout_ns = LINGER_NS;
    sim_site_open(sim, &state->site, &server);
    state->at_ns = world->now_ns + BEFORE_NS + SECOND_NS / 2 + tina_sim_draw(sim, 1, SECOND_NS);
    sim_agenda_at(&world->agenda, state->at_ns - BEFORE_NS, probes_start, state, 0);
    sim_agenda_at(&world->agenda, state->at_ns, nothing, state, 0); // so that it is exact
}

static bool leaving_done(tina_sim *sim, void *state_) {
    leaving_state *state = state_;
    state->site.draining = tina_sim_now_ns(sim) >= state->at_ns;
    return state->site.draining;
}

static void leaving_end(tina_sim *sim, void *state_) {
    const leaving_state *state = state_;
    uint64_t took_ns = tina_sim_now_ns(sim) - state->at_ns;
    if (took_ns < LINGER_NS - LINGER_NS / 500 || took_ns > LINGER_NS + SLACK_NS)
        tina_sim_fail(sim, "drain time", "it took %llu ms",
                      (unsigned long long)(took_ns / 1000000));
    for (uint32_t i = 0; i < PROBE_KINDS; i++)
        if (!state->probes[i].ended)
            tina_sim_fail(sim, "http probe", "%s: it never saw an end", state->probes[i].name);
}

// Latencies are short beside the deadlines; answers are more than both ends hold.
const tina_scenario http_scenario_drain_deadlines = {
    .name = "http_drain_deadlines",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE
    ",net_trickle_ppm=calm,net_ns=calm,io_ns=calm,wire_ns=calm,disk_ns=calm,net_buffer_bytes=2000",
    .faults_ns = 10000000000,
    .state_bytes = sizeof(leaving_state),
    .begin = leaving_begin,
    .done = leaving_done,
    .end = leaving_end,
};
