// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "core/format.h"
#include "http/access_log.h"
#include "http/connection.h"
#include "http/http.h"
#include "http/overflow.h"
#include "http/parse.h"
#include "http/router.h"
#include "http/shard.h"
#include "sched/ctx.h"

#define SECOND_NS       UINT64_C(1000000000)
#define HANDED_OVER_FDS 256u
#define FILES_OPENING   64u // at once; 4 KiB each

static void defaults_fill(http_server *server);
static bool numbers_accepted(const http_server *server, char *sentence);
static bool address_accepted(http_program *program, char *sentence);
static bool route_accepted(const http_route *route, char *sentence);
static void route_measure(http_program *program, const http_route *route);
static void room_measure(http_program *program);
static void children_fill(http_program *program);
static bool spec_fill(http_program *program, char *sentence);
static void spec_size(tina_spec *spec, const http_server *server);
static bool refuse(char *sentence, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool http_server_spec(const http_server *server, http_program *program,
                      char sentence[TINA_SENTENCE_BYTES]) {
    static_assert(HTTP_ROUTER_SENTENCE_BYTES == TINA_SENTENCE_BYTES, "one buffer serves both");
    memset(program, 0, sizeof *program);
    program->server = *server;
    program->self = program;
    defaults_fill(&program->server);
    if (!http_routes_check(&server->routes, sentence) ||
        !http_groups_check(&server->route_groups, &server->routes, sentence) ||
        !numbers_accepted(&program->server, sentence) || !address_accepted(program, sentence))
        return false;
    room_measure(program);
    return spec_fill(program, sentence);
}

const http_counters *http_count(tina_ctx *ctx) {
    const http_shard *shard = tina_shard_memory(ctx);
    return &shard->counters;
}

static void default_to(uint32_t *field, uint32_t value) {
    if (*field == 0)
        *field = value;
}

static void default_time(uint64_t *field, uint64_t seconds) {
    if (*field == 0)
        *field = seconds * SECOND_NS;
}

static void defaults_fill(http_server *server) {
    if (server->name == NULL)
        server->name = "http";
    if (server->address == NULL)
        server->address = "127.0.0.1";
    server->otherwise.pattern = "otherwise"; // for sentences; it has no parameters
    default_to(&server->shards, TINA_SHARDS_ALL);
    default_to(&server->connection_count, 1024);
    default_to(&server->backlog, 1024);
    default_to(&server->context_count,
               server->connection_count < 1024 ? server->connection_count : 1024);
    default_to(&server->body_rate, 64);
    default_to(&server->target_bytes, 8192);
    default_to(&server->head_bytes, 12288);
    default_to(&server->field_count, 100);
    default_to(&server->body_limit, 65536);
    default_to(&server->large_body_count, server->context_count < 16 ? server->context_count : 16);
    default_to(&server->response_bytes, 16384);
    if (server->access_log.format != HTTP_LOG_NONE)
        default_to(&server->access_log.buffer_bytes, 131072);
    default_time(&server->idle_timeout_ns, 60);
    default_time(&server->header_timeout_ns, 10);
    default_time(&server->body_timeout_ns, 30);
    default_time(&server->write_timeout_ns, 30);
    default_time(&server->linger_timeout_ns, 2);
    default_time(&server->drain_timeout_ns, 5);
}

typedef struct number_rule {
    const char *field;
    uint32_t value;
    uint32_t least;
    uint32_t most;
} number_rule;

static bool numbers_accepted(const http_server *server, char *sentence) {
    const number_rule rules[] = {
        {"routes.count", server->routes.count, 1, HTTP_ROUTE_COUNT_MAX},
        {"shards", server->shards == TINA_SHARDS_ALL ? 1 : server->shards, 1, TINA_SHARD_COUNT_MAX},
        {"spread", (uint32_t)server->spread, 0, HTTP_SPREAD_LEAST},
        {"connection_count", server->connection_count, 1,
         TINA_SLOT_COUNT_MAX - HTTP_CONNECTIONS_SPARE},
        {"context_count", server->context_count, 1, server->connection_count},
        {"overflow", (uint32_t)server->overflow, 0, HTTP_OVERFLOW_CLOSE},
        {"target_bytes", server->target_bytes, 64, 1u << 20},
        {"head_bytes", server->head_bytes, server->target_bytes + 1024, 1u << 24},
        {"field_count", server->field_count, 1, 1u << 16},
        {"body_limit", server->body_limit, 1, 1u << 30},
        {"large_body_count", server->large_body_count, 1, server->context_count},
        {"response_bytes", server->response_bytes, HTTP_RESPONSE_BYTES_LEAST, 1u << 30},
        {"access_log.format", (uint32_t)server->access_log.format, 0, HTTP_LOG_JSON},
        {"access_log.buffer_bytes", server->access_log.buffer_bytes,
         server->access_log.format != HTTP_LOG_NONE ? 2 * HTTP_LOG_LINE_BYTES : 0, 1u << 30},
        {"type_count", server->type_count, 0, HTTP_USER_TYPES_MAX},
        {"child_count", server->child_count, 0, HTTP_USER_CHILDREN_MAX},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const number_rule *rule = &rules[i];
        if (rule->value < rule->least || rule->value > rule->most)
            return refuse(sentence, "%s is %u, but only %u to %u is possible here", rule->field,
                          rule->value, rule->least, rule->most);
    }
    for (uint32_t i = 0; i < server->routes.count; i++) {
        if (!route_accepted(&server->routes.route[i], sentence))
            return false;
    }
    return route_accepted(&server->otherwise, sentence);
}

static bool route_accepted(const http_route *route, char *sentence) {
    if (route->body_limit > 1u << 30 && !route->streamed)
        return refuse(sentence,
                      "the route %.80s has a body_limit of %llu, but %u is the most of one that "
                      "is not streamed",
                      route->pattern, (unsigned long long)route->body_limit, 1u << 30);
    if (route->state_bytes > 1u << 20)
        return refuse(sentence, "the route %.80s has state_bytes of %u, but %u is the most",
                      route->pattern, route->state_bytes, 1u << 20);
    return true;
}

static bool address_accepted(http_program *program, char *sentence) {
    const http_server *server = &program->server;
    if (tina_address_parse(server->address, server->port, &program->address))
        return true;
    return refuse(sentence, "the address %.80s is none; write 1.2.3.4, ::1 or unix:/path",
                  server->address);
}

static void route_measure(http_program *program, const http_route *route) {
    if (!route->streamed && route->body_limit > program->room_bytes)
        program->room_bytes = route->body_limit;
    program->files = program->files || route->directory != NULL;
    if (route->state_bytes > program->state_bytes)
        program->state_bytes = route->state_bytes;
}

static void room_measure(http_program *program) {
    http_server *server = &program->server;
    program->room_bytes = server->body_limit;
    route_measure(program, &server->otherwise);
    for (uint32_t i = 0; i < server->routes.count; i++)
        route_measure(program, &server->routes.route[i]);
    if (program->room_bytes <= HTTP_PARSE_BODY_BYTES)
        server->large_body_count = 0; // all fit behind their heads
}

// What a connection may have besides its struct, the shard's record of it and its one op, it has
// only with a context: an idle one sends nothing, sets no timer and monitors nobody. So these
// follow from how many requests there may be at once, and with the defaults' 1,024 of both they
// are the defaults of a tina_spec.
static void spec_size(tina_spec *spec, const http_server *server) {
    uint64_t busy = 0;
    for (uint32_t i = 0; i < spec->type_count; i++)
        busy += spec->types[i].slot_count != 0 ? spec->types[i].slot_count : 1;
    uint32_t idle = server->connection_count - server->context_count;
    busy -= idle;
    spec->message_count = (uint32_t)(busy < 256 ? 1024 : busy < 16384 ? 4 * busy : 65536);
    spec->monitor_count = (uint32_t)(busy < 64 ? 64 : busy);
    spec->timer_count = (uint32_t)(busy < 32 ? 64 : 2 * busy);
    spec->op_count = 2 * spec->fd_count - idle;
}

// Stopped in reverse: when the listener has ended nothing is accepted, after the bridge nothing
// handed over, after the drain no request of this shard is in progress, and after the gate none of
// any.
static void children_fill(http_program *program) {
    const http_server *server = &program->server;
    uint64_t stop_ns = 5 * SECOND_NS + server->lame_duck_ns;
    const struct {
        const tina_isolate_type *type;
        uint64_t shutdown_ns;
    } own[] = {
        {&http_gate_type, server->drain_timeout_ns},
        {&http_drain_type, server->drain_timeout_ns},
        {&http_bridge_type, stop_ns},
        {&http_listener_type, stop_ns},
    };
    uint32_t count = 0;
    for (uint32_t i = 0; i < server->child_count; i++)
        program->children[count++] = server->children[i];
    for (uint32_t i = server->shards == 1; i < sizeof own / sizeof own[0]; i++) // without a gate
        program->children[count++] =
            (tina_child){.type = own[i].type,
                         .args = tina_bytes_of(&program->self, sizeof program->self),
                         .shutdown_ns = own[i].shutdown_ns};
    program->spec.root.child_count = count;
}

static bool spec_fill(http_program *program, char *sentence) {
    const http_server *server = &program->server;
    tina_spec *spec = &program->spec;
    for (uint32_t i = 0; i < server->type_count; i++)
        program->types[i] = server->types[i];
    tina_type_slots *types = &program->types[server->type_count];
    types[0] = (tina_type_slots){&http_listener_type, 1};
    types[1] = (tina_type_slots){&http_connection_type, http_connection_slots(server)};
    types[2] = (tina_type_slots){&http_dispatcher_type, http_dispatcher_slots(server)};
    types[3] = (tina_type_slots){&http_bridge_type, 1};
    types[5] = (tina_type_slots){&http_refusal_type, HTTP_REFUSALS};
    types[4] = (tina_type_slots){&http_log_writer_type, 2}; // one may be ending
    types[6] = (tina_type_slots){&http_drain_type, 1};
    types[7] = (tina_type_slots){&http_gate_type, 1};
    children_fill(program);
    spec->name = server->name;
    spec->backend = server->backend;
    spec->types = program->types;
    spec->type_count = server->type_count + 8;
    spec->root.children = program->children;
    spec->shard_count = server->shards;
    spec->rebuild_max = server->rebuild_max;
    spec->transfer_count = server->transfer_count;
    // A connection's, a file's for each request, the listener's, some for the program, and what
    // other shards may have under way.
    spec->fd_count = server->connection_count + server->context_count + 64 + HTTP_REFUSALS +
                     (server->shards > 1 ? HANDED_OVER_FDS : 0);
    spec_size(spec, server);
    spec->path_count = program->files ? FILES_OPENING : 0;
    spec->scratch_bytes = http_scratch_bytes(server) + 65536;
    uint64_t memory = http_shard_bytes(program);
    if (memory > UINT32_MAX)
        return refuse(sentence,
                      "contexts and large bodies take %llu bytes a shard, but 4 GiB is the most; "
                      "lower context_count (%u), large_body_count (%u) or a body_limit",
                      (unsigned long long)memory, server->context_count, server->large_body_count);
    spec->shard_memory_bytes = (uint32_t)memory;
    return true;
}

static bool refuse(char *sentence, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    tina_format_v(sentence, TINA_SENTENCE_BYTES, format, arguments);
    va_end(arguments);
    return false;
}
