// SPDX-License-Identifier: Apache-2.0
//
// What public suites and conformance_test.cc talk to: any path and any method is answered 200 with
// the request's body, or "OK" when it has none; /echo answers with the request's fields.
//
//     conformance_server --port N [--short-deadlines]
//
// Short deadlines are for cases in which the client stops.

#include <string.h>

#include "http/serve.h"

#define SECOND_NS      UINT64_C(1000000000)
#define MILLISECOND_NS UINT64_C(1000000)

static http_step answer(http_request *req, http_response *res) {
    tina_bytes body = http_body(req);
    if (body.bytes == 0)
        return http_text(res, 200, "OK");
    return http_bytes(res, 200, "application/octet-stream", body.data, body.bytes);
}

static http_step echo(http_request *req, http_response *res) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < http_header_count(req); i++) {
        const char *name;
        const char *value = http_header_at(req, i, &name);
        bytes += strlen(name) + strlen(value) + 3;
    }
    char *lines = http_scratch(req, bytes);
    char *at = lines;
    for (uint32_t i = 0; lines != NULL && i < http_header_count(req); i++) {
        const char *name;
        const char *value = http_header_at(req, i, &name);
        at = stpcpy(stpcpy(stpcpy(stpcpy(at, name), ": "), value), "\n");
    }
    return http_bytes(res, 200, "text/plain", lines, (size_t)(at - lines));
}

// TRACE is not here, since it would tell a script what its browser sent (RFC 9110 §9.3.8); HEAD and
// OPTIONS are the server's own.
static const http_method methods[] = {
    HTTP_DELETE,   HTTP_GET,    HTTP_POST,       HTTP_PUT,       HTTP_COPY,      HTTP_LOCK,
    HTTP_MKCOL,    HTTP_MOVE,   HTTP_PROPFIND,   HTTP_PROPPATCH, HTTP_SEARCH,    HTTP_UNLOCK,
    HTTP_BIND,     HTTP_REBIND, HTTP_UNBIND,     HTTP_ACL,       HTTP_REPORT,    HTTP_MKACTIVITY,
    HTTP_CHECKOUT, HTTP_MERGE,  HTTP_MSEARCH,    HTTP_NOTIFY,    HTTP_SUBSCRIBE, HTTP_UNSUBSCRIBE,
    HTTP_PATCH,    HTTP_PURGE,  HTTP_MKCALENDAR, HTTP_LINK,      HTTP_UNLINK,
};

#define METHOD_COUNT (sizeof methods / sizeof methods[0])

int main(int argc, char **argv) {
    http_route routes[2 * METHOD_COUNT];
    uint32_t count = 0;
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        routes[count++] = (http_route){methods[i], "/echo", echo, 0};
        routes[count++] = (http_route){methods[i], "/*path", answer, 0};
    }
    http_server server = {.port = 8080, .routes = {routes, count}, .response_bytes = 1u << 16};
    if (argc > 1 && strcmp(argv[argc - 1], "--short-deadlines") == 0) {
        argc--;
        server.header_timeout_ns = 500 * MILLISECOND_NS;
        server.body_timeout_ns = 500 * MILLISECOND_NS;
        server.idle_timeout_ns = 500 * MILLISECOND_NS;
    }
    return http_serve(&server, argc, argv);
}
