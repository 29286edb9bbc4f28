// SPDX-License-Identifier: Apache-2.0
//
// What service_test starts: a server as a service manager would, with an access log on stdout when
// SERVICE_LOG names its format, and a lame duck of SERVICE_LAME_MS.
#include <stdlib.h>
#include <string.h>

#include "http/serve.h"

static http_step get_index(http_request *request, http_response *response) {
    return http_text(response, 200, "%s %s %s\n", getenv("LISTEN_PID") != NULL ? "set" : "unset",
                     getenv("NOTIFY_SOCKET") != NULL ? "set" : "unset", http_target(request));
}

static const http_route routes[] = {
    {HTTP_GET, "/", get_index},
    {HTTP_GET, "/readyz", http_answer_ready},
};

int main(int argc, char **argv) {
    const char *format = getenv("SERVICE_LOG");
    const char *lame_ms = getenv("SERVICE_LAME_MS");
    http_server server = {.name = "service", .routes = HTTP_ROUTES(routes)};
    if (format != NULL)
        server.access_log.format = strcmp(format, "json") == 0 ? HTTP_LOG_JSON : HTTP_LOG_COMMON;
    if (lame_ms != NULL)
        server.lame_duck_ns = strtoull(lame_ms, NULL, 10) * 1000000;
    server.access_log.path = getenv("SERVICE_LOG_PATH");
    return http_serve(&server, argc, argv);
}
