// SPDX-License-Identifier: Apache-2.0
//
// Requests that are just as large as they may be, which are answered, and those that are one more,
// which are told so; a connection that asks for more than requests_max; and clients that end before
// their requests do.

#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/sim_probe.h"
#include "http/sim_scenarios.h"
#include "sim/disk.h"
#include "sim/world.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLACK_NS  (5 * SECOND_NS) // for some KiB in small pieces

typedef enum limit_kind {
    LIMIT_TARGET = 0,
    LIMIT_HEAD,
    LIMIT_FIELDS,
    LIMIT_BODY,
    LIMIT_CHUNK, // a body in one chunk
    LIMIT_RESPONSE,
    LIMITS,
} limit_kind;

// Clients that half-close, after a part of a request or all of it; and one that asks for files.
typedef enum end_kind {
    END_IN_HEAD = 0,
    END_IN_BODY,
    END_AFTER,
    END_NEVER,
    ENDS,
} end_kind;

#define PROBES (2 * LIMITS + 2 + ENDS)

typedef struct limits_state {
    sim_site site;
    sim_probe probes[PROBES]; // within and beyond each; requests, at once and later; ends
} limits_state;

typedef struct request {
    uint8_t data[2 * SIM_ASK_BYTES_MAX];
    size_t bytes;
} request;

static void add(request *out, const char *text) {
    size_t bytes = strlen(text);
    memcpy(out->data + out->bytes, text, bytes);
    out->bytes += bytes;
}

// Fills up with something until it is so long and has the given end.
static void fill(request *out, size_t bytes, const char *end) {
    TINA_ASSERT(out->bytes + strlen(end) <= bytes);
    while (out->bytes + strlen(end) < bytes)
        out->data[out->bytes++] = 'p';
    add(out, end);
}

static void head_write(const limits_state *state, limit_kind kind, bool beyond, const sim_ask *ask,
                       request *out) {
    static const char end[] = "\r\n\r\n";
    const http_server *server = &state->site.server;
    out->bytes = tina_format((char *)out->data, 64, "GET /text/%u?id=%u&p=", ask->bytes, ask->id);
    if (kind == LIMIT_TARGET)
        fill(out, strlen("GET ") + server->target_bytes + beyond, "");
    add(out, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
    for (uint32_t i = 3; kind == LIMIT_FIELDS && i < server->field_count + beyond; i++)
        add(out, "a: b\r\n");
    add(out, "f: ");
    fill(out, kind == LIMIT_HEAD ? server->head_bytes + beyond : out->bytes + strlen(end), end);
}

static void chunk_write(const sim_ask *ask, request *out) {
    out->bytes = tina_format((char *)out->data, 160,
                             "POST /echo/1?id=%u HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
                             ask->id, ask->bytes);
    for (uint32_t i = 0; i < ask->bytes; i++)
        out->data[out->bytes++] = sim_ask_body_at(ask, i);
    add(out, "\r\n0\r\n\r\n");
}

static void limit_begin(tina_sim *sim, limits_state *state, limit_kind kind, bool beyond) {
    static const char *const names[][2] = {
        {"target", "target, beyond"}, {"head", "head, beyond"},   {"fields", "fields, beyond"},
        {"body", "body, beyond"},     {"chunk", "chunk, beyond"}, {"response", "response, beyond"},
    };
    static const char *const refusals[] = {"414", "431", "431", "413", "413", "500"};
    static request out; // large
    const http_server *server = &state->site.server;
    sim_probe *probe = &state->probes[2 * kind + beyond];
    sim_ask *ask = &probe->asks[0];
    *ask = (sim_ask){.id = ++state->site.next_id + 100, .bytes = 10, .closes = true};
    if (kind == LIMIT_BODY || kind == LIMIT_CHUNK) {
        ask->kind = kind == LIMIT_BODY ? SIM_ASK_STREAM : SIM_ASK_ECHO;
        ask->bytes = (uint32_t)server->body_limit + beyond;
    } else if (kind == LIMIT_RESPONSE) { // for its head there must be some 500, and are 60
        ask->bytes = server->response_bytes - (beyond ? 60 : 600);
    }
    if (kind == LIMIT_CHUNK)
        chunk_write(ask, &out);
    else if (kind < LIMIT_BODY)
        head_write(state, kind, beyond, ask, &out);
    else
        out.bytes = sim_ask_write(ask, out.data);
    probe->name = names[kind][beyond];
    probe->statuses = beyond ? refusals[kind] : "200";
    probe->closed = true;
    probe->most_ns = SLACK_NS;
    sim_probe_start(sim, probe, tina_bytes_of(out.data, out.bytes), tina_bytes_of(NULL, 0));
}

static const char *answers(uint32_t count) {
    static const char four[] = "200 200 200 200";
    TINA_ASSERT(count >= 1 && count <= 4);
    return four + (4 - count) * (sizeof "200 " - 1);
}

// Two more than are answered, the last of which says that it is.
static void requests_begin(tina_sim *sim, limits_state *state, bool later) {
    static request out;
    uint32_t most = state->site.server.requests_max;
    sim_probe *probe = &state->probes[2 * LIMITS + later];
    uint32_t first = 0;
    out.bytes = 0;
    TINA_ASSERT(most + 2 <= SIM_PROBE_ASKS);
    for (uint32_t i = 0; i < most + 2; i++) {
        probe->asks[i] = (sim_ask){.id = ++state->site.next_id + 100, .bytes = 100};
        out.bytes += sim_ask_write(&probe->asks[i], out.data + out.bytes);
        first = i == 0 || !later ? (uint32_t)out.bytes : first;
    }
    probe->name = later ? "requests, later" : "requests";
    probe->statuses = answers(most);
    probe->closed = true;
    probe->most_ns = SLACK_NS;
    if (later)
        probe->then_ns = SECOND_NS;
    sim_probe_start(sim, probe, tina_bytes_of(out.data, first),
                    tina_bytes_of(out.data + first, out.bytes - first));
}

// A request that is not whole when the client ends is told so, and one that is is answered. After
// answers with files, an idle connection has none of them open.
static void end_begin(tina_sim *sim, limits_state *state, end_kind kind) {
    static const char *const names[] = {"ends in head", "ends in body", "ends after", "asks on"};
    static const char *const statuses[] = {"400", "400", "200", NULL};
    static request out;
    uint64_t idle_ns = state->site.server.idle_timeout_ns;
    sim_probe *probe = &state->probes[2 * LIMITS + 2 + kind];
    uint32_t count = kind == END_NEVER ? state->site.server.requests_max - 1 : 1;
    out.bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        probe->asks[i] = (sim_ask){.id = ++state->site.next_id + 100,
                                   .kind = kind == END_NEVER ? SIM_ASK_FILE : SIM_ASK_ECHO,
                                   .bytes = kind == END_NEVER ? i : 50};
        out.bytes += sim_ask_write(&probe->asks[i], out.data + out.bytes);
    }
    if (kind == END_IN_HEAD)
        out.bytes = 1 + tina_sim_draw(sim, 7, out.bytes - 51);
    if (kind == END_IN_BODY)
        out.bytes -= 1 + tina_sim_draw(sim, 8, 49);
    probe->name = names[kind];
    probe->statuses = kind == END_NEVER ? answers(count) : statuses[kind];
    probe->plan.half_closes = kind != END_NEVER;
    probe->least_ns = kind == END_NEVER ? idle_ns : 0;
    probe->most_ns = probe->least_ns + SLACK_NS;
    sim_probe_start(sim, probe, tina_bytes_of(out.data, out.bytes), tina_bytes_of(NULL, 0));
}

static void files_look(void *state_, uint64_t word) {
    tina_sim *sim = tina_sim_current();
    uint32_t files = sim_disk_open_fds(tina_sim_disk(sim));
    (void)state_;
    (void)word;
    if (files != 0)
        tina_sim_fail(sim, "http files", "%u are open, and nobody is asking", files);
}

static void probes_start(void *state_, uint64_t word) {
    limits_state *state = state_;
    tina_sim *sim = tina_sim_current();
    (void)word;
    for (uint32_t i = 0; i < ENDS; i++)
        end_begin(sim, state, (end_kind)i);
    for (uint32_t i = 0; i < 2 * LIMITS; i++)
        limit_begin(sim, state, (limit_kind)(i / 2), i % 2);
    requests_begin(sim, state, false);
    requests_begin(sim, state, true);
}

static void limits_begin(tina_sim *sim, void *state_) {
    limits_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = server.large_body_count = PROBES;
    server.requests_max = 2 + (uint32_t)tina_sim_draw(sim, 1, 3);
    server.backlog = 64;
    server.target_bytes = 64 + (uint32_t)tina_sim_draw(sim, 2, 300);
    server.head_bytes = server.target_bytes + 1024 + (uint32_t)tina_sim_draw(sim, 3, 300);
    server.field_count = 4 + (uint32_t)tina_sim_draw(sim, 4, 20);
    server.body_limit = 100 + (uint32_t)tina_sim_draw(sim, 5, 1700);
    server.idle_timeout_ns = 3 * SLACK_NS;
    server.response_bytes = 2048 + (uint32_t)tina_sim_draw(sim, 6, 2000);
    sim_site_open(sim, &state->site, &server);
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 2, probes_start, state, 0);
    sim_agenda_at(&world->agenda, world->now_ns + 2 * SLACK_NS, files_look, state, 0);
}

static bool limits_done(tina_sim *sim, void *state_) {
    const limits_state *state = state_;
    for (uint32_t i = 0; i < PROBES; i++)
        if (!state->probes[i].ended)
            return false;
    return sim_site_in_use(sim) == 0;
}

static void limits_end(tina_sim *sim, void *state_) {
    const limits_state *state = state_;
    uint64_t bad = 0;
    uint64_t failed = 0;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        bad += state->site.counters[i]->requests_bad;
        failed += state->site.counters[i]->responses_bad;
    }
    if (bad != LIMITS - 1 || failed != 1)
        tina_sim_fail(sim, "http limits", "%llu requests and %llu responses are counted as bad",
                      (unsigned long long)bad, (unsigned long long)failed);
}

const tina_scenario http_scenario_limits = {
    .name = "http_limits",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm",
    .faults_ns = 60000000000,
    .state_bytes = sizeof(limits_state),
    .begin = limits_begin,
    .done = limits_done,
    .end = limits_end,
};
