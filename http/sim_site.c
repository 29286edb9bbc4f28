// SPDX-License-Identifier: Apache-2.0

#include "http/sim_site.h"

#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "sched/ctx.h"
#include "sim/disk.h"
#include "sim/net.h"

#define FILES        4u
#define STATIC_BYTES 5000u
#define LARGE_BYTES  7400u
#define PIECE_BYTES  97u // written at once
#define SECOND_NS    UINT64_C(1000000000)

http_program sim_site_program;

static const uint32_t file_bytes[FILES] = {0, 1, 700, 9000};

// Bodies.

static uint8_t pattern_at(uint32_t id, uint32_t at) {
    return (uint8_t)('a' + ((id * 2654435761u + at * 40503u) >> 16) % 26);
}

// A file's bytes are the same for all who ask for it, and so is the memory that never changes.
static uint32_t pattern_id(const sim_ask *ask) {
    if (ask->kind == SIM_ASK_FILE)
        return ask->bytes % FILES;
    return ask->kind == SIM_ASK_STATIC ? FILES : ask->id;
}

uint32_t sim_ask_body_bytes(const sim_ask *ask) {
    if (ask->kind == SIM_ASK_FILE)
        return file_bytes[ask->bytes % FILES];
    return ask->kind == SIM_ASK_STATIC ? STATIC_BYTES : ask->bytes;
}

uint8_t sim_ask_body_at(const sim_ask *ask, uint32_t at) {
    return pattern_at(pattern_id(ask), at);
}

// Requests.

static const char *path_of(const sim_ask *ask) {
    static const char *const paths[] = {
        [SIM_ASK_TEXT] = "text",         [SIM_ASK_ECHO] = "echo",     [SIM_ASK_CHUNKED] = "echo",
        [SIM_ASK_STREAM] = "stream",     [SIM_ASK_CHUNKS] = "chunks", [SIM_ASK_FILE] = "files",
        [SIM_ASK_STATIC] = "static",     [SIM_ASK_WAIT] = "wait",     [SIM_ASK_EVENTS] = "events",
        [SIM_ASK_PANIC] = "panic",       [SIM_ASK_SIP] = "sip",       [SIM_ASK_CALL] = "call",
        [SIM_ASK_STUBBORN] = "stubborn", [SIM_ASK_SERVED] = "served",
    };
    return paths[ask->kind];
}

static bool has_body(const sim_ask *ask) {
    return ask->kind == SIM_ASK_ECHO || ask->kind == SIM_ASK_CHUNKED ||
           ask->kind == SIM_ASK_STREAM || ask->kind == SIM_ASK_SIP;
}

sim_ask sim_ask_draw(tina_sim *sim, sim_site *site, uint32_t bytes) {
    sim_ask ask = {.id = ++site->next_id + FILES};
    ask.kind = (uint32_t)tina_sim_draw(sim, 40, SIM_ASK_KINDS);
    ask.bytes = (uint32_t)tina_sim_draw(sim, 41, tina_sim_draw(sim, 42, 3) ? 100 : bytes);
    ask.wait_ms = (uint32_t)tina_sim_draw(sim, 43, 50);
    // With 1,200 bytes of head and this, it needs a room for large bodies; and fits into a
    // response.
    if (ask.kind == SIM_ASK_ECHO && tina_sim_draw(sim, 53, 6) == 0)
        ask.bytes = LARGE_BYTES;
    return ask;
}

static uint32_t chunks_write(const sim_ask *ask, uint8_t *out) {
    uint32_t used = 0;
    uint32_t piece = 1 + ask->id % 300;
    for (uint32_t at = 0; at < ask->bytes; at += piece) {
        uint32_t bytes = ask->bytes - at < piece ? ask->bytes - at : piece;
        used += (uint32_t)tina_format((char *)out + used, 16, "%x\r\n", bytes);
        for (uint32_t i = 0; i < bytes; i++)
            out[used++] = sim_ask_body_at(ask, at + i);
        out[used++] = '\r';
        out[used++] = '\n';
    }
    const char end[] = {'0', '\r', '\n', '\r', '\n'};
    memcpy(out + used, end, sizeof end);
    return used + (uint32_t)sizeof end;
}

uint32_t sim_ask_write(const sim_ask *ask, uint8_t out[SIM_ASK_BYTES_MAX]) {
    TINA_ASSERT(!has_body(ask) || ask->bytes <= SIM_ASK_BYTES_MAX / 4 ||
                (ask->kind != SIM_ASK_CHUNKED && ask->bytes <= SIM_ASK_BYTES_MAX - 1024));
    size_t used = tina_format((char *)out, SIM_ASK_BYTES_MAX, "%s /%s/%u?id=%u&ms=%u HTTP/1.1\r\n",
                              has_body(ask) ? "POST" : "GET", path_of(ask),
                              ask->kind == SIM_ASK_FILE ? ask->bytes % FILES : ask->bytes, ask->id,
                              ask->wait_ms);
    used += tina_format((char *)out + used, SIM_ASK_BYTES_MAX - used, "Host: h\r\n%s",
                        ask->closes ? "Connection: close\r\n" : "");
    bool sized = has_body(ask) && ask->kind != SIM_ASK_CHUNKED;
    if (sized)
        used += tina_format((char *)out + used, SIM_ASK_BYTES_MAX - used,
                            "Content-Length: %u\r\n\r\n", ask->bytes);
    else
        used += tina_format((char *)out + used, SIM_ASK_BYTES_MAX - used, "%s\r\n",
                            has_body(ask) ? "Transfer-Encoding: chunked\r\n" : "");
    for (uint32_t i = 0; sized && i < ask->bytes; i++)
        out[used++] = sim_ask_body_at(ask, i);
    if (ask->kind == SIM_ASK_CHUNKED)
        used += chunks_write(ask, out + used);
    return (uint32_t)used;
}

// Handlers.

static sim_site *site_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t number_of(const char *text) {
    uint32_t number = 0;
    for (; text && *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return number;
}

typedef struct progress {
    uint32_t id;
    uint32_t at;
    uint32_t bytes;
    uint64_t pause_ns; // between two chunks
    bool begun;
} progress;

static progress *progress_of(http_request *request) {
    progress *now = http_state(request);
    if (!now->begun)
        *now = (progress){
            .id = number_of(http_query(request, "id")),
            .bytes = number_of(http_param(request, "bytes")),
            .pause_ns = number_of(http_query(request, "ms")) * UINT64_C(1000000) + 1,
        };
    return now;
}

static http_step text(http_request *request, http_response *response) {
    static uint8_t bytes[SIM_ASK_BYTES_MAX / 4]; // copied
    const progress *asked = progress_of(request);
    for (uint32_t i = 0; i < asked->bytes; i++)
        bytes[i] = pattern_at(asked->id, i);
    return http_bytes(response, 200, "text/plain", bytes, asked->bytes);
}

static http_step echo(http_request *request, http_response *response) {
    tina_bytes body = http_body(request);
    return http_bytes(response, 200, "text/plain", body.data, body.bytes);
}

static http_step stream_on(http_request *request, http_response *response) {
    tina_bytes piece = http_body(request);
    if (!http_write(response, piece.data, piece.bytes))
        return http_stream(response, stream_on);
    return http_body_ended(request) ? http_end(response) : http_read(response, stream_on);
}

static http_step stream(http_request *request, http_response *response) {
    (void)request;
    http_stream_begin(response, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    return http_read(response, stream_on);
}

static bool piece_write(progress *now, http_response *response) {
    uint8_t piece[PIECE_BYTES];
    uint32_t bytes = now->bytes - now->at < PIECE_BYTES ? now->bytes - now->at : PIECE_BYTES;
    for (uint32_t i = 0; i < bytes; i++)
        piece[i] = pattern_at(now->id, now->at + i);
    if (!http_write(response, piece, bytes))
        return false;
    now->at += bytes;
    return true;
}

// Its first piece is written, and what follows is read a while later.
static http_step sipped(http_request *request, http_response *response) {
    return http_body_ended(request) ? http_end(response) : http_read(response, stream_on);
}

static http_step sip_on(http_request *request, http_response *response) {
    tina_bytes piece = http_body(request);
    if (!http_write(response, piece.data, piece.bytes))
        return http_stream(response, sip_on);
    return http_wait(response, sipped, progress_of(request)->pause_ns);
}

static http_step sip(http_request *request, http_response *response) {
    (void)request;
    http_stream_begin(response, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    return http_read(response, sip_on);
}

static http_step chunks(http_request *request, http_response *response) {
    progress *now = progress_of(request);
    if (!now->begun)
        http_stream_begin(response, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    now->begun = true;
    while (now->at < now->bytes)
        if (!piece_write(now, response))
            return http_stream(response, chunks);
    return http_end(response);
}

// Told that the server drains, it hurries.
static http_step events(http_request *request, http_response *response) {
    progress *now = progress_of(request);
    const tina_message *told = http_message(request);
    if (told && told->tag == TINA_SHUTDOWN)
        now->pause_ns = 1;
    if (!now->begun)
        http_stream_begin(response, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    now->begun = true;
    if (now->at == now->bytes)
        return http_end(response);
    if (!piece_write(now, response))
        return http_stream(response, events);
    return http_wait(response, events, now->pause_ns);
}

static http_step waited(http_request *request, http_response *response) {
    return text(request, response);
}

static http_step wait(http_request *request, http_response *response) {
    return http_wait(response, waited, progress_of(request)->pause_ns);
}

static http_step stubborn(http_request *request, http_response *response) {
    progress *now = progress_of(request);
    bool over = now->begun && http_message(request) == NULL;
    now->begun = true;
    return over ? text(request, response) : http_wait(response, stubborn, now->pause_ns);
}

// A drain cancels what is called.
static http_step called(http_request *request, http_response *response) {
    const tina_message *m = http_message(request);
    bool ended =
        m && m->tag == TINA_CALL_FAILED &&
        m->call.failure == (site_of()->draining ? TINA_CALL_CANCELED : TINA_CALL_TIMED_OUT);
    return ended ? text(request, response) : http_text(response, 500, "another end\n");
}

static http_step call(http_request *request, http_response *response) {
    tina_ctx *ctx = http_ctx(request);
    tina_handle mute = site_of()->mutes[tina_shard_number(ctx)];
    tina_effect effect = tina_call(ctx, mute, 1, NULL, 0, progress_of(request)->pause_ns);
    return http_call(response, effect, called);
}

// Asks the clerks of all shards in turn, with a pause before each. A drain cancels what is called,
// and the call can be made again.
static http_step served(http_request *request, http_response *response);

static http_step clerk_answered(http_request *request, http_response *response) {
    const tina_message *m = http_message(request);
    progress *now = progress_of(request);
    if (m->tag == TINA_CALL_FAILED && m->call.failure != TINA_CALL_CANCELED)
        return http_text(response, 500, "no answer: %d\n", m->call.failure);
    now->at += m->tag != TINA_CALL_FAILED;
    return now->at == SIM_SITE_CLERKS ? text(request, response)
                                      : http_wait(response, served, now->pause_ns);
}

static http_step clerk_ask(http_request *request, http_response *response) {
    tina_ctx *ctx = http_ctx(request);
    const progress *now = progress_of(request);
    tina_handle clerk = site_of()->clerks[(now->id + now->at) % tina_shard_count(ctx)];
    return http_call(response, tina_call(ctx, clerk, 1, NULL, 0, 0), clerk_answered);
}

static http_step served(http_request *request, http_response *response) {
    progress *now = progress_of(request);
    bool begun = now->begun;
    now->begun = true;
    return begun ? clerk_ask(request, response) : http_wait(response, served, now->pause_ns);
}

static uint8_t static_text[STATIC_BYTES];

static http_step unchanging(http_request *request, http_response *response) {
    (void)request;
    return http_static(response, 200, "text/plain", static_text, sizeof static_text);
}

static http_step panic_now(http_request *request, http_response *response) {
    (void)request;
    (void)response;
    site_of()->panics++;
    tina_panic("asked to");
}

// At once, or in the midst of an answer.
static http_step panic(http_request *request, http_response *response) {
    progress *now = progress_of(request);
    if (now->bytes % 2 == 0)
        return panic_now(request, response);
    http_stream_begin(response, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    (void)piece_write(now, response);
    return http_stream(response, panic_now);
}

static void id_tell(http_request *request, http_response *response, int status,
                    const void *context) {
    (void)status;
    (void)context;
    const char *id = http_query(request, "id");
    if (id)
        (void)http_set_header(response, "x-id", id);
}

static const http_hook hooks[] = {{.after = id_tell}};
static const http_route_group groups[] = {{.hooks = hooks, .hook_count = 1}};

#define STATE .state_bytes = sizeof(progress)
static const http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/text/:bytes", .handler = text, STATE},
    {.method = HTTP_POST, .pattern = "/echo/:bytes", .handler = echo},
    {.method = HTTP_POST, .pattern = "/stream/:bytes", .handler = stream, .streamed = true},
    {.method = HTTP_GET, .pattern = "/chunks/:bytes", .handler = chunks, STATE},
    {.method = HTTP_GET, .pattern = "/static/:bytes", .handler = unchanging},
    {.method = HTTP_GET, .pattern = "/wait/:bytes", .handler = wait, STATE},
    {.method = HTTP_GET, .pattern = "/events/:bytes", .handler = events, STATE},
    {.method = HTTP_POST, .pattern = "/sip/:bytes", .handler = sip, .streamed = true, STATE},
    {.method = HTTP_GET, .pattern = "/call/:bytes", .handler = call, STATE},
    {.method = HTTP_GET, .pattern = "/stubborn/:bytes", .handler = stubborn, STATE},
    {.method = HTTP_GET, .pattern = "/served/:bytes", .handler = served, STATE},
    {.method = HTTP_GET, .pattern = "/panic/:bytes", .handler = panic, STATE},
    {.method = HTTP_GET, .pattern = "/live", .handler = http_answer_live},
    {.method = HTTP_GET, .pattern = "/ready", .handler = http_answer_ready},
    {.method = HTTP_GET, .pattern = "/files/*name", .directory = "/files"},
};

// Isolates of the site's own on each shard: one that says where its counters are, and answers calls
// as the clerk; and one that nobody supervises, so that it lasts as long as connections do, and
// which answers none.

static tina_effect quiet_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    (void)ctx;
    (void)self;
    return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
}

static tina_effect mute_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)ctx;
    (void)self;
    (void)args;
    return tina_receive();
}

static const tina_isolate_type mute_type = {
    .name = "mute",
    .init = mute_init,
    .handle = quiet_handle,
    .struct_bytes = 8,
};

static tina_effect auditor_init(tina_ctx *ctx, void *self, tina_bytes args) {
    tina_handle *mute = &site_of()->mutes[tina_shard_number(ctx)];
    (void)self;
    (void)args;
    site_of()->counters[tina_shard_number(ctx)] = http_count(ctx);
    site_of()->clerks[tina_shard_number(ctx)] = tina_self(ctx);
    if (!tina_lives(ctx, *mute))
        (void)tina_spawn(ctx, &mute_type, tina_bytes_of(NULL, 0), mute);
    return tina_receive();
}

static tina_effect auditor_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    return m->tag >= 0 ? tina_reply(ctx, 1, NULL, 0) : quiet_handle(ctx, self, m);
}

static const tina_isolate_type auditor_type = {
    .name = "auditor",
    .init = auditor_init,
    .handle = auditor_handle,
    .struct_bytes = 8,
};
static const tina_type_slots own_slots[] = {{&auditor_type, 1}, {&mute_type, 1}};
static const tina_child auditor_child[] = {{.type = &auditor_type}};

// The site.

http_server sim_site_server(tina_sim *sim) {
    http_server server = {
        .spread = (http_spread)tina_sim_draw(sim, 44, 4),
        .overflow = (http_overflow)tina_sim_draw(sim, 45, 3),
        .connection_count = 2 + (uint32_t)tina_sim_draw(sim, 46, 9),
        .requests_max = tina_sim_draw(sim, 47, 3) ? 0 : 1 + (uint32_t)tina_sim_draw(sim, 48, 4),
        .large_body_count = 1,
    };
    server.context_count = 1 + (uint32_t)tina_sim_draw(sim, 49, server.connection_count);
    server.backlog = 1 + (uint32_t)tina_sim_draw(sim, 50, 16);
    return server;
}

static void files_write(tina_sim *sim) {
    static uint8_t bytes[9000];
    for (uint32_t file = 0; file < FILES; file++) {
        char path[32];
        tina_format(path, sizeof path, "/files/%u", file);
        for (uint32_t i = 0; i < file_bytes[file]; i++)
            bytes[i] = pattern_at(file, i);
        int32_t made = sim_disk_write_file(tina_sim_disk(sim), path, bytes, file_bytes[file]);
        if (made < 0)
            tina_sim_fail(sim, "site", "the disk cannot be filled: %d", made);
    }
    for (uint32_t i = 0; i < STATIC_BYTES; i++)
        static_text[i] = pattern_at(FILES, i);
}

static void spec_trim(tina_spec *spec, uint32_t buffer_bytes) {
    spec->root.intensity = 12;
    spec->message_count = 128;
    spec->buffer_count = 8;
    spec->buffer_bytes = buffer_bytes;
    spec->channel_bytes = 16384;
    spec->log_bytes = 8192;
}

static void number_default(uint32_t *field, uint32_t value) {
    *field = *field ? *field : value;
}

void sim_site_open(tina_sim *sim, sim_site *site, const http_server *server) {
    char sentence[TINA_SENTENCE_BYTES] = "";
    site->server = *server;
    site->server.address = "10.0.0.1";
    site->server.port = 80;
    site->server.shards = tina_sim_shard_count(sim);
    site->server.routes = (http_routes){routes, sizeof routes / sizeof routes[0]};
    site->server.route_groups = (http_route_groups){groups, 1};
    site->server.types = own_slots;
    site->server.type_count = 2;
    site->server.children = auditor_child;
    site->server.child_count = 1;
    number_default(&site->server.target_bytes, 128);
    number_default(&site->server.head_bytes, 1200);
    number_default(&site->server.field_count, 8);
    number_default(&site->server.body_limit, 8192);
    number_default(&site->server.response_bytes, 8192);
    if (!http_server_spec(&site->server, &sim_site_program, sentence))
        tina_sim_fail(sim, "site", "%s", sentence);
    site->server = sim_site_program.server;
    spec_trim(&sim_site_program.spec, 64u << tina_sim_draw(sim, 51, 6));
    site->address = sim_net_address(tina_sim_net(sim), SIM_NET_MACHINE, 80);
    for (uint32_t i = 0; i < SIM_SITE_HOSTS; i++) {
        tina_address address = tina_address_ipv4(10, 0, 1, (uint8_t)(i + 1), 0);
        site->hosts[i] = sim_net_host(tina_sim_net(sim), &address);
    }
    files_write(sim);
}

static uint64_t http_trouble(const http_counters *http) {
    return http == NULL ? 0
                        : http->timeouts + http->handovers_lost + http->connections_refused +
                              http->contexts_exhausted + http->bodies_exhausted;
}

// Counters of a shard's server begin at zero when it does: its breaks weigh more.
uint64_t sim_site_trouble(tina_sim *sim) {
    const sim_site *site = tina_sim_state(sim);
    const sim_net_counters *net = sim_net_count(tina_sim_net(sim));
    uint64_t count = tina_sim_crashes(sim) + net->resets + net->refused + net->timed_out +
                     net->accepts_failed + sim_disk_count(tina_sim_disk(sim))->errors -
                     site->panics;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters shard;
        tina_shard_snapshot(tina_sim_shard(sim, i), &shard);
        count += tina_sim_breaks(sim, i) * UINT64_C(1000000000) + shard.crashed +
                 shard.arrivals_stale + shard.arrivals_mailbox_full +
                 http_trouble(site->counters[i]);
    }
    return count;
}

static bool is_connections(const char *type) {
    return strcmp(type, "http_connection") == 0 || strcmp(type, "http_refusal") == 0 ||
           strcmp(type, "http_log_writer") == 0;
}

static bool shard_in_order(tina_sim *sim, uint32_t shard, bool listens) {
    uint32_t place = 0;
    bool listening = false;
    tina_isolate_look look;
    if (!tina_sim_is_up(sim, shard))
        return false;
    while (tina_shard_look(tina_sim_shard(sim, shard), &place, &look)) {
        bool working = strcmp(look.state, "starting") != 0 && strcmp(look.state, "draining") != 0;
        if (!working && !is_connections(look.type))
            return false;
        listening = listening || strcmp(look.type, "http_listener") == 0;
    }
    return listening || !listens;
}

bool sim_site_in_order(tina_sim *sim) {
    const sim_site *site = tina_sim_state(sim);
    bool all =
        site->server.spread == HTTP_SPREAD_TURNS || site->server.spread == HTTP_SPREAD_KERNEL;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        if (!shard_in_order(sim, i, all || i == 0))
            return false;
    return true;
}

uint32_t sim_site_in_use(tina_sim *sim) {
    const sim_site *site = tina_sim_state(sim);
    uint32_t count = 0;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        const http_counters *http = site->counters[i];
        if (http)
            count += http->connections_in_use + http->contexts_in_use + http->large_bodies_in_use;
    }
    return count;
}
