// SPDX-License-Identifier: Apache-2.0
//
// A server of which something is all taken: its contexts, its rooms for large bodies, or its
// connections, with each overflow. Who comes then is told what the spec says, at once or when it is
// his turn, and who comes later finds everything as it was.

#include <string.h>

#include "http/sim_probe.h"
#include "http/sim_scenarios.h"
#include "sim/world.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLACK_NS  (3 * SECOND_NS)
#define COME_NS   (2 * SECOND_NS) // after who takes everything: others
#define SPEAK_NS  (4 * SECOND_NS) // ... one of those speaks again
#define HOLDERS   5u
#define REFUSALS  64u // at once, http.h
#define CROWD     (REFUSALS + 6)
#define LARGE     8000u // bytes of a body that needs a room

typedef enum full_kind {
    FULL_CONTEXTS = 0,
    FULL_ROOMS,
    FULL_CRASHED, // contexts, by connections that have crashed: it is not
    FULL_WAIT,    // connections, and the others wait
    FULL_SPOKE,   // ... and one who has one asks meanwhile
    FULL_BACKLOG, // ... as many as may
    FULL_503,
    FULL_CROWD, // ... which is told to more than can be told at once
    FULL_CLOSE,
    FULL_KINDS,
} full_kind;

typedef struct full_state {
    sim_site site;
    full_kind kind;
    uint32_t holders;
    uint32_t comers;
    uint32_t backlog;
    uint64_t hold_ns; // how long they have what they took
    sim_probe held[HOLDERS];
    sim_probe come[CROWD];
    sim_probe after;
} full_state;

static uint8_t out[2 * SIM_ASK_BYTES_MAX];

static uint32_t ask_make(full_state *state, sim_probe *probe, uint32_t kind, uint32_t bytes,
                         bool closes) {
    sim_ask *ask = &probe->asks[probe->asks[0].id != 0];
    *ask = (sim_ask){
        .id = ++state->site.next_id + 100, .kind = kind, .bytes = bytes, .closes = closes};
    return sim_ask_write(ask, out);
}

static bool is_connections(const full_state *state) {
    return state->kind >= FULL_WAIT;
}

static void holder_begin(tina_sim *sim, full_state *state, sim_probe *probe) {
    uint8_t then[SIM_ASK_BYTES_MAX];
    uint32_t then_bytes = 0;
    uint32_t used = 0;
    probe->name = "holder";
    probe->statuses = "408";
    probe->closed = true;
    probe->least_ns = state->hold_ns;
    if (is_connections(state)) {
        used = ask_make(state, probe, SIM_ASK_TEXT, 10, false);
        probe->statuses = "200";
        probe->closed = false;
    } else if (state->kind == FULL_ROOMS) {
        used = ask_make(state, probe, SIM_ASK_ECHO, LARGE, false) - LARGE + 100;
    } else if (state->kind == FULL_CONTEXTS) {
        used = ask_make(state, probe, SIM_ASK_TEXT, 10, false) - 1;
    }
    bool speaks = state->kind == FULL_SPOKE && probe == &state->held[0];
    if (speaks || state->kind == FULL_CRASHED) {
        sim_ask ask = {.id = ++state->site.next_id + 100, .kind = SIM_ASK_TEXT, .bytes = 10};
        probe->asks[speaks] = ask;
        then_bytes = sim_ask_write(&ask, then);
        probe->then_ns = SPEAK_NS;
        probe->statuses = speaks ? "200 200" : "200";
        probe->closed = speaks;
        probe->least_ns = speaks ? 0 : state->hold_ns;
    }
    probe->most_ns = probe->least_ns + SLACK_NS;
    sim_probe_start(sim, probe, tina_bytes_of(out, used), tina_bytes_of(then, then_bytes));
}

// One after the other, since a backlog may be short.
static void holders_begin(void *state_, uint64_t number) {
    full_state *state = state_;
    tina_sim *sim = tina_sim_current();
    sim_world *world = tina_sim_world(sim);
    holder_begin(sim, state, &state->held[number]);
    if (number + 1 < state->holders)
        sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 5, holders_begin, state,
                      number + 1);
}

// When those who wait get a connection, since they came.
static uint64_t turn_ns(const full_state *state) {
    if (state->kind == FULL_SPOKE)
        return SPEAK_NS - COME_NS;
    return state->kind == FULL_WAIT || state->kind == FULL_BACKLOG ? state->hold_ns - COME_NS : 0;
}

// The second one that is told 503 goes on sending and does not read: it is given linger_timeout.
static void lingerer_make(const full_state *state, sim_probe *probe, uint32_t used) {
    uint64_t linger_ns = state->site.server.linger_timeout_ns;
    probe->plan.never_reads = true;
    probe->plan.slow_from = used / 2;
    probe->plan.slow_bytes = UINT64_MAX;
    probe->plan.slow_step_bytes = 1;
    probe->plan.slow_step_ns = linger_ns / 8;
    probe->statuses = "";
    probe->closed = probe->retries = false;
    probe->least_ns = linger_ns;
    probe->most_ns = linger_ns + SLACK_NS;
}

static sim_ask comer_ask(const full_state *state) {
    if (state->kind == FULL_ROOMS)
        return (sim_ask){.kind = SIM_ASK_ECHO, .bytes = LARGE};
    if (state->kind == FULL_CRASHED) // in the midst of its answer
        return (sim_ask){.kind = SIM_ASK_PANIC, .bytes = 301};
    return (sim_ask){.kind = SIM_ASK_TEXT, .bytes = 10};
}

static void comer_begin(tina_sim *sim, full_state *state, sim_probe *probe) {
    static const char *const statuses[] = {
        [FULL_CONTEXTS] = "503", [FULL_ROOMS] = "503", [FULL_CRASHED] = "",
        [FULL_WAIT] = "200",     [FULL_SPOKE] = "200", [FULL_BACKLOG] = "200",
        [FULL_503] = "503",      [FULL_CROWD] = NULL,  [FULL_CLOSE] = "",
    };
    sim_ask ask = comer_ask(state);
    uint32_t used = ask_make(state, probe, ask.kind, ask.bytes, state->kind != FULL_CRASHED);
    probe->name = "comer";
    probe->statuses = statuses[state->kind];
    probe->cut = state->kind == FULL_CRASHED;
    probe->closed = probe->statuses && probe->statuses[0];
    probe->retries = state->kind == FULL_CONTEXTS || state->kind == FULL_503;
    uint64_t wait_ns = turn_ns(state);
    probe->least_ns = wait_ns > SECOND_NS ? wait_ns - SECOND_NS : 0;
    probe->most_ns = wait_ns + SLACK_NS;
    if (state->kind == FULL_BACKLOG)
        probe->least_ns = 0; // it may have come in later
    if (state->kind == FULL_CROWD) {
        probe->plan.reads_after_ns = SLACK_NS;
        probe->most_ns = 2 * SLACK_NS;
    }
    if (state->kind == FULL_503 && probe == &state->come[1])
        lingerer_make(state, probe, used);
    sim_probe_start(sim, probe, tina_bytes_of(out, used), tina_bytes_of(NULL, 0));
}

// One is held by the listener, and Linux lets one more into the backlog than it was told to.
static void backlog_look(void *state_, uint64_t word) {
    const full_state *state = state_;
    uint32_t connected = 0;
    (void)word;
    for (uint32_t i = 0; i < state->comers; i++)
        connected += sim_client_look(state->come[i].client).connected_ns != 0;
    if (connected != state->backlog + 2)
        tina_sim_fail(tina_sim_current(), "http full", "%u wait, with a backlog of %u", connected,
                      state->backlog);
}

static void comers_begin(void *state_, uint64_t word) {
    full_state *state = state_;
    (void)word;
    for (uint32_t i = 0; i < state->comers; i++)
        comer_begin(tina_sim_current(), state, &state->come[i]);
}

// Two requests, where it is about rooms: one connection takes a room as often as it needs one.
static void after_begin(void *state_, uint64_t word) {
    full_state *state = state_;
    bool large = state->kind == FULL_ROOMS;
    sim_probe *probe = &state->after;
    uint8_t second[SIM_ASK_BYTES_MAX];
    uint32_t used =
        ask_make(state, probe, large ? SIM_ASK_ECHO : SIM_ASK_TEXT, large ? LARGE : 10, false);
    (void)word;
    probe->name = "after";
    probe->statuses = large ? "200 200" : "200";
    probe->open = true;
    probe->least_ns = state->hold_ns;
    probe->most_ns = state->hold_ns + SLACK_NS;
    if (large) {
        probe->asks[1] = probe->asks[0];
        probe->asks[1].id = ++state->site.next_id + 100;
        uint32_t bytes = sim_ask_write(&probe->asks[1], second);
        memcpy(out + used, second, bytes);
        used += bytes;
    }
    sim_probe_start(tina_sim_current(), probe, tina_bytes_of(out, used), tina_bytes_of(NULL, 0));
}

static http_server server_of(const full_state *state) {
    static const http_overflow overflows[] = {
        [FULL_503] = HTTP_OVERFLOW_503,
        [FULL_CROWD] = HTTP_OVERFLOW_503,
        [FULL_CLOSE] = HTTP_OVERFLOW_CLOSE,
    };
    uint32_t more = is_connections(state) ? 0 : HOLDERS + 1;
    bool few = state->kind == FULL_CONTEXTS || state->kind == FULL_CRASHED;
    return (http_server){
        .connection_count = state->holders + more,
        .context_count = few ? state->holders : state->holders + more,
        .large_body_count = state->kind == FULL_ROOMS ? state->holders : 1,
        .overflow = overflows[state->kind],
        .backlog = state->backlog,
        .idle_timeout_ns = state->hold_ns,
        .header_timeout_ns = state->hold_ns,
        .body_timeout_ns = state->hold_ns,
        .linger_timeout_ns = 2 * SLACK_NS,
        .response_bytes = 10000,
    };
}

static uint32_t comer_count(const full_state *state) {
    switch (state->kind) {
    case FULL_CONTEXTS:
    case FULL_ROOMS:
        return 1;
    case FULL_CRASHED:
        return state->holders;
    case FULL_BACKLOG:
        return state->backlog + 5;
    case FULL_CROWD:
        return CROWD;
    default:
        return 3;
    }
}

static void full_begin(tina_sim *sim, void *state_) {
    full_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    state->kind = (full_kind)tina_sim_draw(sim, 1, FULL_KINDS);
    state->holders = 1 + (uint32_t)tina_sim_draw(sim, 2, HOLDERS);
    state->hold_ns = SECOND_NS * (10 + tina_sim_draw(sim, 3, 4));
    state->backlog = state->kind == FULL_BACKLOG ? 1 + (uint32_t)tina_sim_draw(sim, 4, 4) : 128;
    state->comers = comer_count(state);
    http_server server = server_of(state);
    sim_site_open(sim, &state->site, &server);
    uint64_t begin_ns = world->now_ns + SECOND_NS / 2;
    sim_agenda_at(&world->agenda, begin_ns, holders_begin, state, 0);
    sim_agenda_at(&world->agenda, begin_ns + COME_NS, comers_begin, state, 0);
    if (state->kind == FULL_BACKLOG)
        sim_agenda_at(&world->agenda, begin_ns + COME_NS + SLACK_NS, backlog_look, state, 0);
    // Who did not get into a backlog tries again for the last time after 31 s, tcp(7).
    uint64_t after_ns = state->kind == FULL_BACKLOG ? 40 * SECOND_NS : 2 * SLACK_NS;
    sim_agenda_at(&world->agenda, begin_ns + state->hold_ns + after_ns, after_begin, state, 0);
}

static bool all_ended(const sim_probe *probes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!probes[i].ended)
            return false;
    return true;
}

// A connection that has crashed counts until its slot is used again, and its context, too, as long
// as there are others.
static bool is_empty(tina_sim *sim, const full_state *state) {
    return state->kind == FULL_CRASHED || sim_site_in_use(sim) == 0;
}

static bool full_done(tina_sim *sim, void *state_) {
    const full_state *state = state_;
    return all_ended(state->held, state->holders) && all_ended(state->come, state->comers) &&
           state->after.ended && is_empty(sim, state);
}

static void count_check(tina_sim *sim, const char *what, uint64_t count, uint64_t wanted) {
    if (count != wanted)
        tina_sim_fail(sim, "http full", "%llu %s, and not %llu", (unsigned long long)count, what,
                      (unsigned long long)wanted);
}

static void full_end(tina_sim *sim, void *state_) {
    const full_state *state = state_;
    const http_counters *http = state->site.counters[0];
    bool waits = state->kind >= FULL_WAIT && state->kind <= FULL_BACKLOG;
    bool refused = is_connections(state) && !waits;
    uint32_t told = 0;
    for (uint32_t i = 0; state->kind == FULL_CROWD && i < CROWD; i++) {
        told += state->come[i].status == 503;
        if (state->come[i].status != 503 && state->come[i].status != 0)
            tina_sim_fail(sim, "http full", "one was told %u", state->come[i].status);
    }
    count_check(sim, "were told 503", told, state->kind == FULL_CROWD ? REFUSALS : 0);
    count_check(sim, "contexts were wanted", http->contexts_exhausted,
                state->kind == FULL_CONTEXTS);
    if (state->kind == FULL_CRASHED
            ? http->contexts_lost == 0 || http->contexts_lost > state->comers
            : http->contexts_lost != 0)
        tina_sim_fail(sim, "http full", "%llu contexts were lost",
                      (unsigned long long)http->contexts_lost);
    count_check(sim, "rooms were wanted", http->bodies_exhausted, state->kind == FULL_ROOMS);
    count_check(sim, "were refused", http->connections_refused, refused ? state->comers : 0);
    // Holders, and who came after them.
    count_check(sim, "timed out", http->timeouts, state->holders + 1 - (state->kind == FULL_SPOKE));
    if ((http->accepts_delayed > 0) != waits)
        tina_sim_fail(sim, "http full", "%llu waited", (unsigned long long)http->accepts_delayed);
}

const tina_scenario http_scenario_full = {
    .name = "http_full",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm",
    .faults_ns = 90000000000,
    .state_bytes = sizeof(full_state),
    .begin = full_begin,
    .done = full_done,
    .end = full_end,
};
