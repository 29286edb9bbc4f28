// SPDX-License-Identifier: Apache-2.0
//
// What fault_test.cc talks to. /crash/WHERE/HOW crashes there, in that way: "null" dereferences
// NULL, for example, and "wait" is after a wait. The server's own counters are at /counters. A
// handler may run for a few milliseconds here, so that one without end costs the test little.

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "http/http.h"
#include "http/sse.h"
#include "sched/ctx.h"
#include "sched/system.h"

#define MILLISECOND_NS UINT64_C(1000000)

// What the compiler and the analyzer then know nothing about.
#define HIDE(variable) __asm__ volatile("" : "+r"(variable))

// UBSan would end the process before the processor complains.
__attribute__((no_sanitize("undefined"))) static void crash_null(http_request *req) {
    const volatile char *nowhere = NULL;
    (void)req;
    HIDE(nowhere);
    (void)nowhere[0];
}

static void crash_panic(http_request *req) {
    (void)req;
    tina_panic("asked to");
}

static void crash_assert(http_request *req) {
    TINA_ASSERT(http_target(req) == NULL);
}

static void crash_abort(http_request *req) {
    (void)req;
    abort();
}

static void crash_trap(http_request *req) {
    (void)req;
    __builtin_trap();
}

// The compiler must neither see the end of it nor make a loop of it.
__attribute__((noinline)) static uint64_t deeper(const volatile char *above, uint64_t depth) {
    volatile char here[512] = {0};
    HIDE(above);
    here[depth % sizeof here] = above[0];
    return depth == UINT64_MAX ? 0 : deeper(here, depth + 1) + (uint64_t)here[0];
}

static void crash_overflow(http_request *req) {
    volatile uint64_t sum = deeper(http_target(req), 0);
    (void)sum;
}

__attribute__((no_sanitize("undefined"))) static void crash_divide(http_request *req) {
    int zero = 0;
    (void)req;
    HIDE(zero);
    volatile int quotient = 100 / zero; // or there would be no need to divide
    (void)quotient;
}

static void crash_loop(http_request *req) {
    for (volatile bool on = true; on;)
        (void)req;
}

// More calls than a handler may make.
static void crash_calls(http_request *req) {
    for (;;)
        (void)tina_send(http_ctx(req), tina_handle_none(), 0, NULL, 0);
}

static const struct {
    const char *how;
    void (*crash)(http_request *req);
} crashes[] = {
    {"null", crash_null},     {"panic", crash_panic}, {"assert", crash_assert},
    {"abort", crash_abort},   {"trap", crash_trap},   {"overflow", crash_overflow},
    {"divide", crash_divide}, {"loop", crash_loop},   {"calls", crash_calls},
};

static bool how_is(http_request *req, const char *how) {
    const char *asked = http_param(req, "how");
    return asked != NULL && strcmp(asked, how) == 0;
}

// Returns a step that is no good, for "step", and does not return for the others.
static http_step crash(http_request *req, http_response *res) {
    (void)res;
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
        if (how_is(req, crashes[i].how))
            crashes[i].crash(req);
    }
    return (http_step){99};
}

// An effect that cannot stand there: of a call that nobody has made.
static http_step crash_or_effect(http_request *req, http_response *res) {
    const tina_effect call = {.kind = TINA_EFFECT_CALL};
    return how_is(req, "effect") ? http_call(res, call, crash) : crash(req, res);
}

// The body is the request's number, so that an answer to another is not mistaken for its own.
static http_step get_number(http_request *req, http_response *res) {
    return http_text(res, 200, "%s", http_param(req, "number"));
}

static http_step after_wait(http_request *req, http_response *res) {
    (void)req;
    return http_wait(res, crash_or_effect, MILLISECOND_NS);
}

static http_step after_two_waits(http_request *req, http_response *res) {
    (void)req;
    return http_wait(res, after_wait, MILLISECOND_NS);
}

static http_step after_message(http_request *req, http_response *res) {
    if (tina_send(http_ctx(req), tina_self(http_ctx(req)), 1, NULL, 0) != TINA_SEND_OK)
        return http_empty(res, 503);
    return http_wait(res, crash_or_effect, 0);
}

// Nobody has that handle, so that the call fails at once.
static http_step after_call(http_request *req, http_response *res) {
    tina_effect call = tina_call(http_ctx(req), tina_handle_none(), 1, NULL, 0, 0);
    return http_call(res, call, crash_or_effect);
}

static http_step after_wait_and_call(http_request *req, http_response *res) {
    (void)req;
    return http_wait(res, after_call, MILLISECOND_NS);
}

// Half of a response is sent before the crash.
static http_step after_half(http_request *req, http_response *res) {
    (void)req;
    http_stream_begin(res, 200, "text/plain", 10);
    http_write(res, "half,", 5);
    return http_stream(res, crash_or_effect);
}

static http_step after_event(http_request *req, http_response *res) {
    if (!http_sse_begin(req, res))
        return http_end(res);
    http_sse_comment(res, "hello");
    return http_wait(res, crash_or_effect, MILLISECOND_NS);
}

// Written, and nothing of it has left when the body's next piece, which is here, is read.
static http_step after_unsent(http_request *req, http_response *res) {
    (void)req;
    http_stream_begin(res, 200, "text/plain", 10);
    http_write(res, "half,", 5);
    return http_read(res, crash_or_effect);
}

static http_step after_piece(http_request *req, http_response *res) {
    (void)req;
    return http_read(res, crash_or_effect);
}

static http_step before_hook(http_request *req, http_response *res, const void *context) {
    (void)context;
    return crash(req, res);
}

static void after_hook(http_request *req, http_response *res, int status, const void *context) {
    (void)status;
    (void)context;
    (void)crash(req, res);
}

static http_step get_counters(http_request *req, http_response *res) {
    const http_counters *counters = http_count(http_ctx(req));
    return http_json(res, 200, "{\"connections\":%u,\"contexts\":%u}", counters->connections_in_use,
                     counters->contexts_in_use);
}

static const http_hook before[] = {{before_hook, NULL, NULL}};
static const http_hook after[] = {{NULL, after_hook, NULL}};

static const http_route_group groups[] = {
    {"/crash/before", HTTP_HOOKS(before), false},
    {"/crash/after", HTTP_HOOKS(after), false},
};

static const http_route routes[] = {
    {HTTP_GET, "/number/:number", get_number},
    {HTTP_GET, "/counters", get_counters},
    {HTTP_GET, "/crash/handler/:how", crash_or_effect},
    {HTTP_GET, "/crash/wait/:how", after_wait},
    {HTTP_GET, "/crash/waits/:how", after_two_waits},
    {HTTP_GET, "/crash/message/:how", after_message},
    {HTTP_GET, "/crash/call/:how", after_call},
    {HTTP_GET, "/crash/waitcall/:how", after_wait_and_call},
    {HTTP_GET, "/crash/before/:how", get_counters},
    {HTTP_GET, "/crash/after/:how", get_counters},
    {HTTP_GET, "/crash/half/:how", after_half},
    {HTTP_GET, "/crash/event/:how", after_event},
    {HTTP_POST, "/crash/piece/:how", after_piece, .streamed = true},
    {HTTP_POST, "/crash/unsent/:how", after_unsent, .streamed = true},
};

static void listening(void *context, const tina_address *address, const char *backend,
                      uint32_t shards) {
    (void)context;
    (void)shards;
    printf("listening on http://127.0.0.1:%u (%s)\n", address->port, backend);
    fflush(stdout);
}

int main(int argc, char **argv) {
    static http_program program;
    char sentence[TINA_SENTENCE_BYTES];
    const char *log = getenv("ACCESS_LOG");
    const http_server server = {
        .name = "fault_server",
        .routes = HTTP_ROUTES(routes),
        .route_groups = HTTP_ROUTE_GROUPS(groups),
        .backend =
            argc > 1 && strcmp(argv[1], "epoll") == 0 ? TINA_BACKEND_EPOLL : TINA_BACKEND_AUTO,
        .shards = 1,
        .access_log = {.format = log != NULL ? HTTP_LOG_COMMON : HTTP_LOG_NONE, .path = log},
        .listening = listening,
    };
    if (!http_server_spec(&server, &program, sentence)) {
        fprintf(stderr, "%s\n", sentence);
        return 1;
    }
    program.spec.handler_soft_ns = 15 * MILLISECOND_NS;
    program.spec.handler_hard_ns = 20 * MILLISECOND_NS;
    program.spec.call_max = 1000;
    return tina_run(&program.spec);
}
