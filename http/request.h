// SPDX-License-Identifier: Apache-2.0
//
// The request, as a handler sees it. It is whole and unambiguous: anything that a proxy in front
// could have read differently (RFC 9112) has been refused before.
//
// Strings end in NUL, contain none, and are valid, like all that is reached through the request,
// until the handler returns. Where a field's name is compared, it is so without regard to case.

#ifndef TINA_HTTP_REQUEST_H
#define TINA_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/method.h"
#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_request http_request;

http_method http_request_method(const http_request *request);
const char *http_target(const http_request *request); // as received
const char *http_path(http_request *request); // as received, still percent-encoded; no query
// http_param returns what ":name" or "*name" matched, percent-decoded; NULL: the route has none.
const char *http_param(http_request *request, const char *name);
// http_query returns the first value of a query parameter, decoded as a form's is ('+' is a space),
// or NULL when there is none, or one that holds a NUL.
const char *http_query(http_request *request, const char *name);
// http_header returns the value of the first field of that name, or NULL.
const char *http_header(const http_request *request, const char *name);
uint32_t http_header_count(const http_request *request);
// http_header_at returns field `index` (below the count) in the order received.
const char *http_header_at(const http_request *request, uint32_t index, const char **name);
// http_body returns the body, de-chunked: all of it, or, where the route is streamed, the piece
// that http_read waited for: valid until the next http_read, also in other handlers.
tina_bytes http_body(const http_request *request);
bool http_body_ended(const http_request *request); // nothing follows what http_body returns

// http_state returns the route's state_bytes, zeroed when the request came, 16-byte aligned, valid
// until it is answered, for the handlers of one request to share. NULL when it has none.
void *http_state(http_request *request);

// http_client returns whom the request is from: as the proxy in front says, where the server has
// .proxy_protocol, else the socket's other end. False when that is not known.
bool http_client(http_request *request, tina_address *address);

// http_scratch returns memory, 16-byte aligned, or NULL when the scratch is used up.
void *http_scratch(http_request *request, size_t bytes);

// http_json_quote returns text as a JSON string, quotes included, in scratch: "null" for NULL.
// Bytes that are not UTF-8 become U+FFFD. When scratch is used up the response will be 500.
const char *http_json_quote(http_request *request, const char *text);

// http_ctx returns what the calls of sched/ctx.h are made through: the handler is an isolate, and
// tina_self is whom others answer. When such a request is over, its response made and its body
// read, that isolate ends: its handle is stale, its monitors are told, its timers, ops, fds and
// transfer buffers go. Nothing that is late for one request reaches the next one's handlers, for
// whom the connection has another isolate.
tina_ctx *http_ctx(http_request *request);

// http_message returns what a handler that http_wait or http_call named was called for, valid until
// it returns; NULL: the wait's time was up, or the handler was not called for one.
const tina_message *http_message(const http_request *request);

#ifdef __cplusplus
}
#endif

#endif
