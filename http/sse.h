// SPDX-License-Identifier: Apache-2.0
//
// Server-sent events (WHATWG HTML §9.2): a response that does not end, read by EventSource.
//
//     static http_step next(http_request *req, http_response *res) {
//         const tina_message *m = http_message(req);
//         if (m == NULL) // nothing came for a while
//             http_sse_comment(res, "");
//         else if (m->tag == TINA_SHUTDOWN)
//             return http_end(res);
//         else if (m->tag == NEWS)
//             http_sse_event(res, &(http_sse){.event = "news", .data = (const char *)m->payload});
//         return http_wait(res, next, HTTP_SSE_KEEP_ALIVE_NS);
//     }
//
// http_wait sends what was written at once. What does not fit is a result, and writes nothing.

#ifndef TINA_HTTP_SSE_H
#define TINA_HTTP_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/request.h"
#include "http/response.h"

#ifdef __cplusplus
extern "C" {
#endif

// Proxies give up what is silent for longer, a minute most of them.
#define HTTP_SSE_KEEP_ALIVE_NS UINT64_C(15000000000)

// An event; what is zero is left out. A browser fires none for an event without data, but keeps its
// id and retry.
typedef struct http_sse {
    const char *event; // its type; browsers take it for "message" when it is left out
    const char *id;    // which the client sends when it connects again; "" forgets the last one
    uint32_t retry_ms; // until the client connects again
    const char *data;  // UTF-8; a line break of any kind (CR, LF, CR LF) arrives as LF
    size_t data_bytes; // of data; 0: up to its NUL
} http_sse;

typedef enum http_sse_result {
    HTTP_SSE_OK = 0,
    HTTP_SSE_FULL,    // not while so much is unsent, or never: see http_room
    HTTP_SSE_REFUSED, // it cannot be said: a line break in event or id, or what is required lacks
} http_sse_result;

// http_sse_begin begins the response: 200, text/event-stream, Cache-Control: no-cache. Returns
// false when it has no body, to HEAD: then `return http_end(res);` is next.
bool http_sse_begin(http_request *request, http_response *response);

http_sse_result http_sse_event(http_response *response, const http_sse *event);

// http_sse_comment writes what clients ignore.
http_sse_result http_sse_comment(http_response *response, const char *text);

// http_sse_last_id returns the id of the last event that a client which connects again has seen, or
// NULL.
const char *http_sse_last_id(const http_request *request);

#ifdef __cplusplus
}
#endif

#endif
