// SPDX-License-Identifier: Apache-2.0
//
// What fault_test.cc talks to: /fault dereferences NULL, /count counts the requests to it that were
// answered, and the server's own counters are at /counters.

#include <stddef.h>

#include "core/assert.h"
#include "http/serve.h"
#include "sched/ctx.h"

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

static http_step get_panic(http_request *req, http_response *res) {
    (void)req;
    (void)res;
    tina_panic("asked to");
}

static http_step get_assert(http_request *req, http_response *res) {
    TINA_ASSERT(http_target(req) == NULL);
    return http_empty(res, 204);
}

// What the compiler and the analyzer then know nothing about.
#define HIDE(variable) __asm__ volatile("" : "+r"(variable))

// The compiler must neither see the end of it nor make a loop of it.
__attribute__((noinline)) static uint64_t deeper(const volatile char *above, uint64_t depth) {
    volatile char here[512] = {0};
    HIDE(above);
    here[depth % sizeof here] = above[0];
    return depth == UINT64_MAX ? 0 : deeper(here, depth + 1) + (uint64_t)here[0];
}

static http_step get_overflow(http_request *req, http_response *res) {
    return http_text(res, 200, "%llu", (unsigned long long)deeper(http_target(req), 0));
}

__attribute__((no_sanitize("undefined"))) static http_step get_divided(http_request *req,
                                                                       http_response *res) {
    int zero = 0;
    (void)req;
    HIDE(zero);
    volatile int quotient = 100 / zero; // or there would be no need to divide
    return http_text(res, 200, "%d", quotient);
}

static const http_route routes[] = {
    {HTTP_GET, "/number/:number", get_number},
    {HTTP_GET, "/fault", get_fault},
    {HTTP_GET, "/half", get_half},
    {HTTP_GET, "/panic", get_panic},
    {HTTP_GET, "/assert", get_assert},
    {HTTP_GET, "/overflow", get_overflow},
    {HTTP_GET, "/divide", get_divided},
    {HTTP_GET, "/counters", get_counters},
};

int main(int argc, char **argv) {
    return http_serve(&(http_server){.name = "fault_server", .routes = HTTP_ROUTES(routes)}, argc,
                      argv);
}
