// SPDX-License-Identifier: Apache-2.0
//
// The headers as C17 sees them, and a server made ready without a thread.

#include "core/assert.h"
#include "http/http.h"

static http_step get_index(http_request *request, http_response *response) {
    (void)request;
    return http_empty(response, 204);
}

// An idle connection's memory must not grow with what only requests in progress need.
static void idle_check(http_server server, http_program *program) {
    char sentence[TINA_SENTENCE_BYTES];
    server.connection_count = 2000;
    server.context_count = 1000;
    TINA_ASSERT(http_server_spec(&server, program, sentence));
    tina_spec few = program->spec;
    server.connection_count += 100000;
    TINA_ASSERT(http_server_spec(&server, program, sentence));
    const tina_spec *many = &program->spec;
    TINA_ASSERT(many->fd_count == few.fd_count + 100000);
    TINA_ASSERT(many->op_count == few.op_count + 100000);
    TINA_ASSERT(many->message_count == few.message_count && few.message_count > 0);
    TINA_ASSERT(many->timer_count == few.timer_count && few.timer_count > 0);
    TINA_ASSERT(many->monitor_count == few.monitor_count && few.monitor_count > 0);
}

// With a context for each connection, all is as a spec that says nothing has it.
static void defaults_check(const http_program *program) {
    char sentence[TINA_SENTENCE_BYTES];
    tina_spec silent = program->spec;
    silent.message_count = silent.monitor_count = silent.timer_count = silent.op_count = 0;
    tina_spec resolved;
    TINA_ASSERT(tina_spec_resolve(&silent, &resolved, sentence));
    TINA_ASSERT(resolved.message_count == program->spec.message_count);
    TINA_ASSERT(resolved.monitor_count == program->spec.monitor_count);
    TINA_ASSERT(resolved.timer_count == program->spec.timer_count);
    TINA_ASSERT(resolved.op_count == program->spec.op_count);
}

int main(void) {
    static const http_route routes[] = {{HTTP_GET, "/", get_index}};
    static http_program program;
    char sentence[TINA_SENTENCE_BYTES];
    http_server server = {.routes = HTTP_ROUTES(routes)};
    TINA_ASSERT(http_server_spec(&server, &program, sentence));
    TINA_ASSERT(program.spec.type_count == 8);
    TINA_ASSERT(program.server.idle_timeout_ns == 60000000000);
    TINA_ASSERT(HTTP_ROUTES(routes).count == 1);
    tina_spec resolved;
    TINA_ASSERT(tina_spec_resolve(&program.spec, &resolved, sentence));
    defaults_check(&program);
    idle_check(server, &program);

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
