// SPDX-License-Identifier: Apache-2.0
//
// A balancer asks a server again and again whether it lives and is ready, each time with a
// connection of its own, while others keep theirs. Told to drain, the server is not ready any more,
// lives, and goes on with everything for lame_duck; then nobody is accepted, and idle connections
// end, all on time.
//
//     ready 200, live 200 │ ready 503, live 200, accepted, kept │ not accepted, not kept
//                         drain                                 └ lame_duck later

#include "http/sim_answer.h"
#include "http/sim_scenarios.h"
#include "sim/client.h"
#include "sim/world.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLACK_NS  (2 * SECOND_NS)
#define POLL_NS   (SECOND_NS / 4)
#define LINGER_NS (6 * SECOND_NS)
#define POLLS     120u
#define KEEPERS   4u

typedef struct poll {
    uint64_t begun_ns;
    bool ready; // asks for that, else whether it lives
} poll;

typedef struct keeper {
    sim_client *client;
    uint32_t asked;
    uint32_t answered;
    uint64_t parsed;
    bool idle; // asks once only
} keeper;

typedef struct ready_state {
    sim_site site;
    uint64_t at_ns;    // when it is told to drain
    uint64_t drain_ns; // when it was; 0: not yet
    uint64_t close_ns; // when nobody is accepted any more
    bool falls_silent; // nobody comes from the middle of the lame duck on
    poll polls[POLLS];
    keeper keepers[KEEPERS];
    uint32_t unready;    // polls that were told so
    uint32_t accepted;   // ... that were told it lives, since the drain
    uint32_t turned_off; // ... that were not accepted
} ready_state;

static ready_state *state_of(void) {
    return tina_sim_state(tina_sim_current());
}

static void fail(const char *what, uint32_t status, uint64_t since_ns) {
    const ready_state *state = state_of();
    uint64_t now_ns = tina_sim_now_ns(tina_sim_current());
    tina_sim_fail(tina_sim_current(), "http ready",
                  "%s: %u; begun %lld ms and now %lld ms after the drain, lame duck of %llu ms",
                  what, status,
                  state->drain_ns ? (long long)(since_ns - state->drain_ns) / 1000000 : 0,
                  state->drain_ns ? (long long)(now_ns - state->drain_ns) / 1000000 : 0,
                  (unsigned long long)(state->site.server.lame_duck_ns / 1000000));
}

// A shard's clock may be a thousandth fast or slow.
static bool is_before_close(const ready_state *state, uint64_t ns) {
    return state->drain_ns == 0 || ns + state->site.server.lame_duck_ns / 500 < state->close_ns;
}

static void ready_check(ready_state *state, const poll *self, uint32_t status) {
    if (status == 503 && state->drain_ns == 0)
        fail("not ready before the drain", status, self->begun_ns);
    if (status == 200 && state->drain_ns && self->begun_ns > state->drain_ns + SLACK_NS)
        fail("ready after the drain", status, self->begun_ns);
    if (status != 200 && status != 503)
        fail("ready", status, self->begun_ns);
    state->unready += status == 503;
}

static void poll_done(void *where, sim_client *client) {
    ready_state *state = state_of();
    const poll *self = where;
    sim_client_result result = sim_client_look(client);
    sim_answer heard = sim_answer_read(NULL, result.kept, result.kept_bytes);
    bool connected = result.end != SIM_CLIENT_NOT_CONNECTED;
    if (heard.wrong)
        fail(heard.wrong, heard.status, self->begun_ns);
    if (heard.whole && self->ready)
        ready_check(state, self, heard.status);
    if (heard.whole && !self->ready && heard.status != 200)
        fail("does not live", heard.status, self->begun_ns);
    if (!heard.whole && is_before_close(state, self->begun_ns + SLACK_NS))
        fail("not answered", connected, self->begun_ns);
    if (connected && state->drain_ns && self->begun_ns > state->close_ns + SLACK_NS)
        fail("accepted too late", connected, self->begun_ns);
    state->accepted +=
        heard.whole && !self->ready && state->drain_ns && self->begun_ns > state->drain_ns;
    state->turned_off += !connected;
}

static void poll_begin(void *state_, uint64_t number) {
    static const char *const asks[] = {
        "GET /live?id=7 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET /ready?id=7 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    };
    ready_state *state = state_;
    tina_sim *sim = tina_sim_current();
    sim_world *world = tina_sim_world(sim);
    poll *self = &state->polls[number];
    if (state->falls_silent && state->drain_ns &&
        world->now_ns > (state->drain_ns + state->close_ns) / 2)
        return;
    self->begun_ns = world->now_ns;
    self->ready = number % 2;
    sim_client_plan plan = {
        .to = state->site.address,
        .data = asks[self->ready],
        .bytes = sizeof "GET /live?id=7 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" - 1 +
                 self->ready,
        .done = poll_done,
        .where = self,
    };
    (void)sim_client_start(tina_sim_net(sim), state->site.hosts[number % SIM_SITE_HOSTS], &plan);
    if (number + 1 < POLLS)
        sim_agenda_at(&world->agenda, world->now_ns + POLL_NS, poll_begin, state, number + 1);
}

static void keeper_ask(void *where, uint64_t word) {
    ready_state *state = state_of();
    keeper *self = where;
    uint8_t bytes[SIM_ASK_BYTES_MAX];
    (void)word;
    if (!self->client)
        return;
    uint32_t id = 1000 * (uint32_t)(self - state->keepers + 1) + self->asked++;
    sim_ask ask = {.id = id, .kind = SIM_ASK_TEXT, .bytes = 20};
    sim_client_send(self->client, bytes, sim_ask_write(&ask, bytes));
}

static void keeper_heard(void *where, sim_client *client, const void *data, uint32_t bytes) {
    ready_state *state = state_of();
    keeper *self = where;
    sim_world *world = tina_sim_world(tina_sim_current());
    (void)data;
    (void)bytes;
    uint32_t id = 1000 * (uint32_t)(self - state->keepers + 1) + self->answered;
    const sim_ask ask = {.id = id, .kind = SIM_ASK_TEXT, .bytes = 20};
    sim_client_result result = sim_client_look(client);
    sim_answer heard =
        sim_answer_read(&ask, result.kept + self->parsed, result.kept_bytes - self->parsed);
    if (heard.wrong)
        fail(heard.wrong, heard.status, 0);
    if (!heard.whole || heard.wrong)
        return;
    if (heard.status != 200 || (heard.closes && is_before_close(state, world->now_ns)))
        fail("a connection that is kept", heard.status, world->now_ns);
    self->parsed += heard.bytes;
    self->answered++;
    if (!self->idle)
        sim_agenda_at(&world->agenda, world->now_ns + POLL_NS, keeper_ask, self, 0);
}

static void keeper_done(void *where, sim_client *client) {
    const ready_state *state = state_of();
    keeper *self = where;
    uint64_t now_ns = tina_sim_now_ns(tina_sim_current());
    sim_client_result result = sim_client_look(client);
    self->client = NULL;
    if (result.end != SIM_CLIENT_FIN)
        fail("a kept connection was not half-closed", result.end, result.connected_ns);
    if (is_before_close(state, now_ns))
        fail("a kept connection ended too early", self->answered, now_ns);
    else if (now_ns > state->close_ns + SLACK_NS)
        fail("a kept connection ended too late", self->answered, now_ns);
}

static void keepers_begin(void *state_, uint64_t word) {
    ready_state *state = state_;
    tina_sim *sim = tina_sim_current();
    (void)word;
    for (uint32_t i = 0; i < KEEPERS; i++) {
        keeper *self = &state->keepers[i];
        self->idle = i % 2;
        sim_client_plan plan = {
            .to = state->site.address, .heard = keeper_heard, .done = keeper_done, .where = self};
        self->client = sim_client_start(tina_sim_net(sim), state->site.hosts[i], &plan);
        keeper_ask(self, 0);
    }
    // One who does not see that it ends, so that the server does not end at once either.
    sim_client_plan deaf = {.to = state->site.address, .never_reads = true};
    (void)sim_client_start(tina_sim_net(sim), state->site.hosts[0], &deaf);
}

static void ready_begin(tina_sim *sim, void *state_) {
    ready_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = 64;
    server.requests_max = 0;
    server.backlog = 64;
    server.linger_timeout_ns = LINGER_NS;
    server.lame_duck_ns = tina_sim_draw(sim, 1, 4) ? SECOND_NS * (5 + tina_sim_draw(sim, 2, 7)) : 0;
    sim_site_open(sim, &state->site, &server);
    state->falls_silent = tina_sim_draw(sim, 4, 3) == 0;
    state->at_ns = world->now_ns + 4 * SECOND_NS + tina_sim_draw(sim, 3, 2 * SECOND_NS);
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 2, keepers_begin, state, 0);
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 2, poll_begin, state, 0);
}

static bool ready_done(tina_sim *sim, void *state_) {
    ready_state *state = state_;
    if (tina_sim_now_ns(sim) < state->at_ns)
        return false;
    state->drain_ns = tina_sim_now_ns(sim);
    state->close_ns = state->drain_ns + state->site.server.lame_duck_ns;
    return true;
}

static void ready_end(tina_sim *sim, void *state_) {
    const ready_state *state = state_;
    uint64_t now_ns = tina_sim_now_ns(sim);
    bool lame = state->site.server.lame_duck_ns > 0;
    if (now_ns > state->close_ns + LINGER_NS + SLACK_NS)
        fail("it ends too late", 0, 0);
    if ((!state->falls_silent && state->turned_off == 0) ||
        (lame && (state->unready == 0 || state->accepted == 0)))
        tina_sim_fail(sim, "http ready", "%u told that it is not ready, %u accepted, %u not",
                      state->unready, state->accepted, state->turned_off);
    for (uint32_t i = 0; i < KEEPERS; i++)
        if (state->keepers[i].client ||
            state->keepers[i].answered < (state->keepers[i].idle ? 1 : 8))
            fail("a kept connection", state->keepers[i].answered, 0);
}

const tina_scenario http_scenario_ready = {
    .name = "http_ready",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm",
    .faults_ns = 60000000000,
    .state_bytes = sizeof(ready_state),
    .begin = ready_begin,
    .done = ready_done,
    .end = ready_end,
};
