// SPDX-License-Identifier: Apache-2.0
//
// Which handler answers which method and path.

#ifndef TINA_HTTP_ROUTE_H
#define TINA_HTTP_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/method.h"
#include "http/request.h"
#include "http/response.h"

#ifdef __cplusplus
extern "C" {
#endif

// A pattern is a path of literals, ":name" (one segment, not empty) and, last, "*name" (the rest,
// with its slashes; may be empty): "/", "/users/:id", "/static/*file". A literal wins over ":name",
// which wins over "*name". Patterns are compared with the decoded path, byte by byte; "/a" is not
// "/a/".
typedef struct http_route {
    http_method method;
    const char *pattern; // static
    http_handler handler;
    uint64_t body_limit;  // bytes; larger bodies are answered 413; default the server's
    uint32_t state_bytes; // see http_state; default none
    bool streamed;        // the handler is called before the body is here, see http_read
    bool precompressed; // of a file name, name.br, name.zst or name.gz is sent if the client takes
                        // it

    // Instead of a handler: GET and HEAD are answered with files of this directory, by the "*name"
    // that the pattern ends with; a directory's with its index.html. Static; without a slash at the
    // end. Symbolic links are not followed, so that nothing outside is reached; nor are those in
    // its own path.
    const char *directory;
} http_route;

typedef struct http_routes {
    const http_route *route;
    uint32_t count;
} http_routes;

#define HTTP_ROUTE_COUNT_MAX   4096u
#define HTTP_SEGMENT_COUNT_MAX 32u  // of a pattern
#define HTTP_SEGMENT_BYTES_MAX 255u // of a pattern's literal

#ifdef __cplusplus
#define HTTP_ROUTES(array) (http_routes{(array), (uint32_t)(sizeof(array) / sizeof((array)[0]))})
#else
#define HTTP_ROUTES(array) ((http_routes){(array), (uint32_t)(sizeof(array) / sizeof((array)[0]))})
#endif

#ifdef __cplusplus
}
#endif

#endif
