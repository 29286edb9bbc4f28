// SPDX-License-Identifier: Apache-2.0
//
// A server for shards_test: it says which shard serves a connection, breaks that shard when told
// to, reads the counters of all, and asks a child of the program when it is told to drain.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/serve.h"
#include "sched/ctx.h"

static tina_atomic_u64 answered;

static http_step get_shard(http_request *req, http_response *res) {
    tina_atomic_u64_fetch_add(&answered, 1);
    return http_text(res, 200, "%u", tina_shard_number(http_ctx(req)));
}

// In libc, so that the fault is not provably this handler's.
static http_step get_break(http_request *req, http_response *res) {
    const char *volatile nowhere = (const char *)(uintptr_t)0x50;
    (void)req;
    return http_text(res, 200, "%ld", strtol(nowhere, NULL, 10));
}

// When the server drains.
static http_step get_break_late(http_request *req, http_response *res) {
    (void)req;
    http_stream_begin(res, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    http_write(res, "waiting\n", 8);
    return http_wait(res, get_break, 0);
}

// Of all shards together.
static http_step get_dispatches(http_request *req, http_response *res) {
    tina_shard_counters total;
    tina_counters_total(http_ctx(req), &total);
    return http_text(res, 200, "%llu", (unsigned long long)total.dispatches);
}

static tina_atomic_u64 clerks[TINA_SHARD_COUNT_MAX]; // by shard

static tina_effect clerk_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self;
    (void)args;
    tina_atomic_u64_store_release(&clerks[tina_shard_number(ctx)], tina_self(ctx).bits);
    return tina_receive();
}

static tina_effect clerk_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    (void)self;
    return m->tag == TINA_SHUTDOWN ? tina_done() : tina_reply(ctx, m->tag, NULL, 0);
}

static const tina_isolate_type clerk_type = {
    .name = "clerk", .init = clerk_init, .handle = clerk_handle, .struct_bytes = 8};
static const tina_type_slots types[] = {{&clerk_type, 1}};
static const tina_child children[] = {{.type = &clerk_type}};

// When the server drains it asks the next shard's clerk; but that of shard 0 only a while later,
// when no request is in progress there.
static http_step clerk_answered(http_request *req, http_response *res) {
    const char *outcome = http_message(req)->tag < 0 ? "nobody\n" : "answered\n";
    http_write(res, outcome, strlen(outcome));
    return http_end(res);
}

static http_step clerk_ask(http_request *req, http_response *res) {
    tina_ctx *ctx = http_ctx(req);
    uint32_t next = (tina_shard_number(ctx) + 1) % tina_shard_count(ctx);
    tina_handle clerk = {tina_atomic_u64_load_acquire(&clerks[next])};
    return http_call(res, tina_call(ctx, clerk, 1, NULL, 0, UINT64_C(5000000000)), clerk_answered);
}

static http_step told(http_request *req, http_response *res) {
    return tina_shard_number(http_ctx(req)) == 0 ? clerk_ask(req, res)
                                                 : http_wait(res, clerk_ask, 300000000);
}

static http_step get_clerk(http_request *req, http_response *res) {
    (void)req;
    http_stream_begin(res, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    http_write(res, "waiting\n", 8);
    return http_wait(res, told, 0);
}

static const http_route routes[] = {
    {HTTP_GET, "/clerk", get_clerk, 0},           {HTTP_GET, "/shard", get_shard, 0},
    {HTTP_GET, "/break", get_break, 0},           {HTTP_GET, "/break-late", get_break_late, 0},
    {HTTP_GET, "/dispatches", get_dispatches, 0},
};

int main(int argc, char **argv) {
    http_server server = {
        .port = 8080,
        .routes = HTTP_ROUTES(routes),
        .context_count = 64,
        .large_body_count = 1,
        .rebuild_max = TINA_INTENSITY_NONE,
        .types = types,
        .type_count = 1,
        .children = children,
        .child_count = 1,
    };
    // As a test wants it: few connections, or a broken shard begun anew at once.
    const char *count = getenv("CONNECTION_COUNT");
    if (count != NULL)
        server.connection_count = server.context_count = (uint32_t)atoi(count);
    const char *overflow = getenv("OVERFLOW");
    if (overflow != NULL)
        server.overflow = overflow[0] == '5' ? HTTP_OVERFLOW_503 : HTTP_OVERFLOW_CLOSE;
    if (getenv("REBUILT") != NULL)
        server.rebuild_max = 3;
    int status = http_serve(&server, argc, argv);
    printf("answered %llu\n", (unsigned long long)tina_atomic_u64_load_relaxed(&answered));
    return status;
}
