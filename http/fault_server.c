// SPDX-License-Identifier: Apache-2.0
//
// What fault_test.cc talks to: /fault dereferences NULL, /count counts the requests to it that were
// answered, and the server's own counters are at /counters.

#include <stddef.h>

#include "http/serve.h"

// UBSan would end the process before the processor complains.
__attribute__((no_sanitize("undefined"))) static http_step get_fault(http_request *req,
                                                                     http_response *res) {
    (void)req;
    const volatile char *nowhere = NULL;
    __asm__ volatile("" : "+r"(nowhere)); // or the analyzer would see it coming
    return http_text(res, 200, "%d", nowhere[0]);
}

// The body is the request's number, so that an answer to another is not mistaken for its own.
static http_step get_number(http_request *req, http_response *res) {
    return http_text(res, 200, "%s", http_param(req, "number"));
}

// Half of a response is sent before the fault.
static http_step fault_later(http_request *req, http_response *res) {
    (void)res;
    return get_fault(req, res);
}

static http_step get_half(http_request *req, http_response *res) {
    (void)req;
    http_stream_begin(res, 200, "text/plain", 10);
    http_write(res, "half,", 5);
    return http_stream(res, fault_later);
}

static http_step get_counters(http_request *req, http_response *res) {
    const http_counters *counters = http_count(http_ctx(req));
    return http_json(res, 200, "{\"connections\":%u,\"contexts\":%u}", counters->connections_in_use,
                     counters->contexts_in_use);
}

static const http_route routes[] = {
    {HTTP_GET, "/number/:number", get_number},
    {HTTP_GET, "/fault", get_fault},
    {HTTP_GET, "/half", get_half},
    {HTTP_GET, "/counters", get_counters},
};

int main(int argc, char **argv) {
    return http_serve(&(http_server){.name = "fault_server", .routes = HTTP_ROUTES(routes)}, argc,
                      argv);
}
