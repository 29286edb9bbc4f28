// SPDX-License-Identifier: Apache-2.0
//
// The headers as C17 sees them, and a server made ready without a thread.

#include "core/assert.h"
#include "http/http.h"

static http_step get_index(http_request *request, http_response *response) {
    (void)request;
    return http_empty(response, 204);
}

int main(void) {
    static const http_route routes[] = {{HTTP_GET, "/", get_index}};
    static http_program program;
    char sentence[TINA_SENTENCE_BYTES];
    http_server server = {.routes = HTTP_ROUTES(routes)};
    TINA_ASSERT(http_server_spec(&server, &program, sentence));
    TINA_ASSERT(program.spec.type_count == 6);
    TINA_ASSERT(program.server.idle_timeout_ns == 60000000000);
    TINA_ASSERT(HTTP_ROUTES(routes).count == 1);
    tina_spec resolved;
    TINA_ASSERT(tina_spec_resolve(&program.spec, &resolved, sentence));

    server.address = "nowhere";
    TINA_ASSERT(!http_server_spec(&server, &program, sentence));
    server.address = NULL;
    server.response_bytes = 100;
    TINA_ASSERT(!http_server_spec(&server, &program, sentence));
    server.response_bytes = 0;
    server.routes.count = 0;
    TINA_ASSERT(!http_server_spec(&server, &program, sentence));
    server.routes.count = 1;
    server.connection_count = 1u << 20;
    server.context_count = 1u << 20;
    TINA_ASSERT(!http_server_spec(&server, &program, sentence)); // more than 4 GiB
    return 0;
}
