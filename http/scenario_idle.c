// SPDX-License-Identifier: Apache-2.0
//
// Many clients on one shard, each of which has asked once, was answered, and stays. While all do,
// some ask again. Then those go whose time is up, until half are left, and the server drains: each
// sees the end of its connection when it is due, and nothing is left.

#include "http/scenario_idle.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/sim_scenarios.h"
#include "http/sim_site.h"
#include "sim/client.h"
#include "sim/world.h"

#define SECOND_NS  UINT64_C(1000000000)
#define BODY_BYTES 16u
#define CONTEXTS   64u // and so many clients come at once
#define HOST_PORTS 20000u
#define AGAIN      1000u // ask twice, at most
#define IDLE_NS    (60 * SECOND_NS)
#define SLACK_NS   SECOND_NS // of the network and of the shard
#define WHILE_NS   (SECOND_NS / 2)

typedef struct idle_client {
    sim_client *client;
    uint64_t asked_ns;
    uint64_t answered_ns;
    uint64_t parsed; // bytes of answers
    uint8_t asked;
    uint8_t answered;
} idle_client;

typedef struct idle_state {
    sim_site site;
    http_idle_report report;
    idle_client *clients;
    uint32_t *hosts;
    uint32_t count;
    uint32_t started;
    uint32_t held;    // answered once
    uint32_t drawn;   // to ask twice
    uint32_t again;   // asked twice
    uint32_t settled; // ... and answered twice
    uint32_t ended;
    uint32_t timed_out; // ... before the drain, at the least
    uint64_t drain_ns;  // 0: not yet
} idle_state;

http_idle_report http_idle_last;

static idle_state *state_of(void) {
    return tina_sim_state(tina_sim_current());
}

static void fail(uint32_t number, const char *what, uint64_t a, uint64_t b) {
    tina_sim_fail(tina_sim_current(), "http idle", "client %u %s (%llu, %llu)", number, what,
                  (unsigned long long)a, (unsigned long long)b);
}

static sim_ask ask_of(const idle_state *state, const idle_client *c) {
    uint32_t number = (uint32_t)(c - state->clients);
    return (sim_ask){
        .id = 1000 + 2 * number + c->answered, .kind = SIM_ASK_TEXT, .bytes = BODY_BYTES};
}

// Returns the length of the answer when it is whole.
static uint64_t answer_bytes(const idle_state *state, const idle_client *c,
                             const sim_client_result *heard) {
    const sim_ask ask = ask_of(state, c);
    const char *head = (const char *)heard->kept + c->parsed;
    uint64_t bytes = heard->kept_bytes - c->parsed;
    uint32_t number = (uint32_t)(c - state->clients);
    const char *end = memmem(head, bytes, "\r\n\r\n", 4);
    if (!end || (uint64_t)(end + 4 + BODY_BYTES - head) > bytes)
        return 0;
    char id[32];
    size_t id_bytes = tina_format(id, sizeof id, "x-id: %u\r\n", ask.id);
    bool good = memcmp(head, "HTTP/1.1 200 ", 13) == 0 &&
                memmem(head, (size_t)(end + 2 - head), id, id_bytes) != NULL &&
                memmem(head, (size_t)(end - head), "Connection: close", 17) == NULL;
    for (uint32_t i = 0; i < BODY_BYTES; i++)
        good = good && (uint8_t)end[4 + i] == sim_ask_body_at(&ask, i);
    if (!good)
        fail(number, "was answered something else", bytes, ask.id);
    return (uint64_t)(end - head) + 4 + BODY_BYTES;
}

static void client_ask(idle_state *state, idle_client *c) {
    uint8_t bytes[SIM_ASK_BYTES_MAX];
    sim_ask ask = ask_of(state, c);
    c->asked++;
    c->asked_ns = tina_sim_now_ns(tina_sim_current());
    sim_client_send(c->client, bytes, sim_ask_write(&ask, bytes));
}

static void next_start(idle_state *state);
static void one_asks_again(idle_state *state);
static void all_held(idle_state *state);
static void all_settled(idle_state *state);

static void client_heard(void *where, sim_client *client, const void *data, uint32_t data_bytes) {
    idle_state *state = state_of();
    idle_client *c = where;
    (void)data;
    (void)data_bytes;
    sim_client_result heard = sim_client_look(client);
    uint64_t bytes = answer_bytes(state, c, &heard);
    if (bytes == 0)
        return;
    if (c->answered == c->asked)
        fail((uint32_t)(c - state->clients), "was answered unasked", c->asked, bytes);
    c->parsed += bytes;
    c->answered++;
    c->answered_ns = tina_sim_now_ns(tina_sim_current());
    if (c->answered == 2) {
        state->settled++;
        one_asks_again(state);
        if (state->settled == state->again)
            all_settled(state);
    } else if (++state->held == state->count) {
        all_held(state);
    } else {
        next_start(state);
    }
}

// By its deadline, which counts from its last answer; or by the drain.
static void client_done(void *where, sim_client *client) {
    idle_state *state = state_of();
    const idle_client *c = where;
    uint32_t number = (uint32_t)(c - state->clients);
    sim_client_result heard = sim_client_look(client);
    uint64_t now_ns = tina_sim_now_ns(tina_sim_current());
    state->ended++;
    if (heard.end != SIM_CLIENT_FIN || heard.kept_bytes != c->parsed || c->answered != c->asked)
        fail(number, "ended in another way", heard.end, heard.kept_bytes);
    bool early = now_ns < c->asked_ns + IDLE_NS;
    if (early && (state->drain_ns == 0 || now_ns < state->drain_ns))
        fail(number, "ended too early", now_ns - c->asked_ns, IDLE_NS);
    if (now_ns > c->answered_ns + IDLE_NS + SLACK_NS)
        fail(number, "ended too late", now_ns - c->answered_ns, IDLE_NS);
    if (state->drain_ns && now_ns > state->drain_ns + SLACK_NS)
        fail(number, "ended long after the drain began", now_ns - state->drain_ns, SLACK_NS);
}

static void next_start(idle_state *state) {
    tina_sim *sim = tina_sim_current();
    if (state->started == state->count)
        return;
    uint32_t number = state->started++;
    idle_client *c = &state->clients[number];
    sim_client_plan plan = {
        .to = state->site.address, .heard = client_heard, .done = client_done, .where = c};
    c->client = sim_client_start(tina_sim_net(sim), state->hosts[number / HOST_PORTS], &plan);
    client_ask(state, c);
}

static void held_check(const idle_state *state) {
    const http_counters *http = state->site.counters[0];
    if (http->connections_in_use != state->count || http->contexts_in_use != 0 ||
        http->timeouts != 0 || http->connections != state->count || state->ended != 0)
        fail(http->connections_in_use, "connections are held, and contexts", http->contexts_in_use,
             http->timeouts);
}

// The first, the last, and whom chance picks; some of these twice, who are passed over.
static void one_asks_again(idle_state *state) {
    tina_sim *sim = tina_sim_current();
    while (state->drawn < AGAIN) {
        uint32_t number = state->drawn == 0   ? 0
                          : state->drawn == 1 ? state->count - 1
                                              : (uint32_t)tina_sim_draw(sim, 0, state->count);
        state->drawn++;
        if (state->clients[number].asked == 2)
            continue;
        state->again++;
        client_ask(state, &state->clients[number]);
        return;
    }
}

// The last answer is here a little before its connection has given its context back.
static void settled_look(void *state_, uint64_t word) {
    idle_state *state = state_;
    (void)word;
    held_check(state);
}

static void again_begin(void *state_, uint64_t word) {
    idle_state *state = state_;
    (void)word;
    held_check(state);
    state->report.touched_bytes = tina_sim_touched_bytes(tina_sim_current(), 0);
    for (uint32_t i = 0; i < CONTEXTS / 2; i++)
        one_asks_again(state);
}

static void all_held(idle_state *state) {
    sim_world *world = tina_sim_world(tina_sim_current());
    sim_agenda_at(&world->agenda, world->now_ns + WHILE_NS, again_begin, state, 0);
}

static void all_settled(idle_state *state) {
    sim_world *world = tina_sim_world(tina_sim_current());
    state->report.again = state->again;
    sim_agenda_at(&world->agenda, world->now_ns + WHILE_NS, settled_look, state, 0);
}

static void start_all(void *state_, uint64_t word) {
    idle_state *state = state_;
    (void)word;
    state->report.touched_empty_bytes = tina_sim_touched_bytes(tina_sim_current(), 0);
    for (uint32_t i = 0; i < CONTEXTS; i++)
        next_start(state);
}

static void idle_begin(tina_sim *sim, idle_state *state, uint32_t count) {
    sim_world *world = tina_sim_world(sim);
    http_server server = {
        .connection_count = count,
        .context_count = CONTEXTS,
        .backlog = CONTEXTS,
        .idle_timeout_ns = IDLE_NS,
        .large_body_count = 1,
    };
    sim_site_open(sim, &state->site, &server);
    state->count = count;
    state->report.connections = count;
    state->clients = calloc(count, sizeof *state->clients);
    TINA_ASSERT(state->clients != NULL);
    sim_net_adopt(tina_sim_net(sim), state->clients, free);
    state->hosts = calloc(count / HOST_PORTS + 1, sizeof *state->hosts);
    TINA_ASSERT(state->hosts != NULL);
    sim_net_adopt(tina_sim_net(sim), state->hosts, free);
    for (uint32_t i = 0; i <= count / HOST_PORTS; i++) {
        tina_address address = tina_address_ipv4(10, 2, 0, (uint8_t)(i + 1), 0);
        state->hosts[i] = sim_net_host(tina_sim_net(sim), &address);
    }
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 10, start_all, state, 0);
}

static void crowd_begin(tina_sim *sim, void *state) {
    idle_begin(sim, state, HTTP_IDLE_CROWD);
}

static void few_begin(tina_sim *sim, void *state) {
    idle_begin(sim, state, CONTEXTS + (uint32_t)tina_sim_draw(sim, 1, 200));
}

static bool idle_done(tina_sim *sim, void *state_) {
    idle_state *state = state_;
    if (state->ended < state->count / 2)
        return false;
    state->drain_ns = tina_sim_now_ns(sim);
    state->timed_out = state->ended;
    return true;
}

static void idle_end(tina_sim *sim, void *state_) {
    idle_state *state = state_;
    const http_counters *http = state->site.counters[0];
    if (state->ended != state->count)
        fail(state->count - state->ended, "clients never saw an end", state->ended, state->count);
    if (sim_site_in_use(sim) != 0 || http->timeouts < state->timed_out)
        fail(sim_site_in_use(sim), "are left", http->timeouts, state->timed_out);
    if (http->requests != (uint64_t)state->count + state->again || state->settled != state->again)
        fail(state->again, "asked again, and not all were answered", http->requests,
             state->settled);
    state->report.by_deadline = (uint32_t)http->timeouts;
    state->report.by_drain = state->count - state->report.by_deadline;
    http_idle_last = state->report;
}

const tina_scenario http_scenario_idle = {
    .name = "http_idle",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm,drift_ppm=calm,net_ns=calm,io_ns=calm",
    .faults_ns = 400 * SECOND_NS,
    .state_bytes = sizeof(idle_state),
    .begin = few_begin,
    .done = idle_done,
    .end = idle_end,
};

const tina_scenario http_scenario_idle_crowd = {
    .name = "http_idle_crowd",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .faults_ns = 400 * SECOND_NS,
    .state_bytes = sizeof(idle_state),
    .begin = crowd_begin,
    .done = idle_done,
    .end = idle_end,
};
