// SPDX-License-Identifier: Apache-2.0
//
// What //bench:idle fills and //bench:slow attacks: a server of all kinds of answers, whose size is
// on its command line.
//
//     http_held CONNECTIONS CONTEXTS DIRECTORY [--port N] [--shards N] ...

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/serve.h"

#define HOUR_NS UINT64_C(3600000000000)

static http_step get_hello(http_request *req, http_response *res) {
    (void)req;
    return http_text(res, 200, "Hello, World!\n");
}

static http_step post_echo(http_request *req, http_response *res) {
    tina_bytes body = http_body(req);
    return http_bytes(res, 200, "application/octet-stream", body.data, body.bytes);
}

int main(int argc, char **argv) {
    char directory[PATH_MAX] = "";
    if (argc < 4 || realpath(argv[3], directory) == NULL) {
        fprintf(stderr, "usage: http_held CONNECTIONS CONTEXTS DIRECTORY [--port N] ...\n");
        return 1;
    }
    const http_route routes[] = {
        {HTTP_GET, "/hello", get_hello},
        {HTTP_POST, "/echo", post_echo},
        {HTTP_GET, "/files/*path", .directory = directory},
    };
    const http_server server = {
        .name = "http_held",
        .routes = HTTP_ROUTES(routes),
        .connection_count = (uint32_t)strtoul(argv[1], NULL, 10),
        .context_count = (uint32_t)strtoul(argv[2], NULL, 10),
        .idle_timeout_ns = HOUR_NS,
    };
    return http_serve(&server, argc - 3, argv + 3);
}
