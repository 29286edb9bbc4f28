// SPDX-License-Identifier: Apache-2.0
//
// A server for shards_test: it says which shard serves a connection, breaks that shard when told
// to, and reads the counters of all.

#include <stdio.h>
#include <stdlib.h>

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

// Of all shards together.
static http_step get_dispatches(http_request *req, http_response *res) {
    tina_shard_counters total;
    tina_counters_total(http_ctx(req), &total);
    return http_text(res, 200, "%llu", (unsigned long long)total.dispatches);
}

static const http_route routes[] = {
    {HTTP_GET, "/shard", get_shard, 0},
    {HTTP_GET, "/break", get_break, 0},
    {HTTP_GET, "/dispatches", get_dispatches, 0},
};

int main(int argc, char **argv) {
    http_server server = {
        .port = 8080,
        .routes = HTTP_ROUTES(routes),
        .context_count = 64,
        .large_body_count = 1,
        .rebuild_max = TINA_INTENSITY_NONE,
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
