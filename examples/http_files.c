// SPDX-License-Identifier: Apache-2.0
//
// A directory's files over HTTP, with an access log on stdout. Try:
//
//     bazel run //examples:http_files -- /usr/share/doc --port 8080
//     curl -i localhost:8080/files/bash/copyright
//     curl -i -H 'Range: bytes=0-9' localhost:8080/files/bash/copyright

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/serve.h"

static http_step get_index(http_request *req, http_response *res) {
    (void)req;
    return http_text(res, 200, "GET /files/...\nGET /healthz\nGET /readyz\n");
}

int main(int argc, char **argv) {
    // Symbolic links are not followed, also not in the directory's own path.
    char directory[PATH_MAX] = "";
    if (argc < 2 || argv[1][0] == '-' || realpath(argv[1], directory) == NULL) {
        fprintf(stderr, "http_files: %s is no directory; usage: http_files DIRECTORY [--port N]\n",
                argc < 2 ? "nothing" : argv[1]);
        return 1;
    }
    const http_route routes[] = {
        {HTTP_GET, "/", get_index},
        {HTTP_GET, "/files/*path", .directory = directory, .precompressed = true},
        {HTTP_GET, "/healthz", http_answer_live},
        {HTTP_GET, "/readyz", http_answer_ready},
    };
    const http_route_group groups[] = {
        {.prefix = "/healthz", .unlogged = true},
        {.prefix = "/readyz", .unlogged = true},
    };
    const http_server server = {
        .name = "http_files",
        .port = 8080,
        .routes = HTTP_ROUTES(routes),
        .route_groups = HTTP_ROUTE_GROUPS(groups),
        .access_log.format = HTTP_LOG_COMMON,
    };
    return http_serve(&server, argc - 1, argv + 1);
}
