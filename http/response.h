// SPDX-License-Identifier: Apache-2.0
//
// The response, as a handler makes it. http_set_header comes before the call that answers, which is
// the handler's last: `return http_text(response, 200, "hello\n");`
//
// What takes longer is done by several handlers, each of which names the next:
//
//     static http_step copy(http_request *req, http_response *res) {
//         tina_bytes piece = http_body(req);
//         if (!http_write(res, piece.data, piece.bytes))
//             return http_stream(res, copy); // no room: send, then again
//         return http_body_ended(req) ? http_end(res) : http_read(res, copy);
//     }
//
// A client that does not read, or does not send, holds up its own handlers and nobody else's: none
// is called before there is room, or a piece. When the client goes, or its time is up, none is
// called any more.
//
// Date, Content-Length, Connection and the like are the server's. A response that cannot be made
// (too large, a field refused, out of scratch) is answered 500 instead, and the log says why.

#ifndef TINA_HTTP_RESPONSE_H
#define TINA_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_request http_request;
typedef struct http_response http_response;

// What a handler returns: what happens next. Made by the functions below, never by hand.
typedef struct http_step {
    uint32_t kind; // 0, which a forgotten return may leave, is answered 500
} http_step;

typedef http_step (*http_handler)(http_request *request, http_response *response);

// http_set_header adds a field. It returns false, and the response will be 500, when name is no
// token, when value holds CR, LF, NUL or another control, or when the field is one the server
// writes.
bool http_set_header(http_response *response, const char *name, const char *value);

// http_json and http_text answer with a formatted body; formats are core/format.h's.
http_step http_json(http_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
http_step http_text(http_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// http_bytes answers with a copy of data; the request's own body is sent from where it lies.
http_step http_bytes(http_response *response, int status, const char *content_type,
                     const void *data, size_t bytes);

// http_static answers with memory that never changes, of any size, without copying it.
http_step http_static(http_response *response, int status, const char *content_type,
                      const void *data, size_t bytes);

// http_empty answers without a body.
http_step http_empty(http_response *response, int status);

// http_redirect sends the client to a location, which is a URI or a path, percent-encoded; status
// is 301, 302, 303, 307 or 308.
http_step http_redirect(http_response *response, int status, const char *location);

// http_file answers GET and HEAD with a file: its type by its name, ETag and Last-Modified, 206,
// 304, 412 and 416 as the request's fields ask for; 404 when it is not there, or no file. The path
// is the handler's to vouch for; it is opened after the handler has returned.
http_step http_file(http_response *response, const char *path);

// http_read has `next` called when more of the body is here, as http_body, or its end. Only where
// the route is streamed. A client that waits to be asked for its body is asked. What is left of a
// body when the request is answered is dropped if it is short, else the connection is closed.
http_step http_read(http_response *response, http_handler next);

// http_stream_begin begins a response of `bytes`, or of HTTP_BYTES_UNKNOWN, which arrives in
// chunks, or, in HTTP/1.0, ends with the connection.
void http_stream_begin(http_response *response, int status, const char *content_type,
                       uint64_t bytes);
#define HTTP_BYTES_UNKNOWN UINT64_MAX

// http_room returns how many bytes http_write takes.
size_t http_room(const http_response *response);

// http_write adds a copy of data to a response that was begun; false, and nothing is, when it does
// not fit. To HEAD, and with a status without body, it fits and is dropped.
bool http_write(http_response *response, const void *data, size_t bytes);

// http_set_trailer adds a field after the body, of which nothing may follow; false when it does not
// fit, or is none. Where nothing can follow a body it is dropped.
bool http_set_trailer(http_response *response, const char *name, const char *value);

// http_stream has what was written sent, and `next` called when it is.
http_step http_stream(http_response *response, http_handler next);

// http_wait has what was written sent, and `next` called when something comes for the handler, or
// when timeout_ns have passed (0: never); http_message says which. What comes is all that an
// isolate gets: messages, timers, the ends of monitored isolates, the completions of background ops
// (7 at once). TINA_SHUTDOWN says, once, that the server drains: the response has linger_timeout_ns
// left to end.
//
// The client may leave meanwhile, which ends the isolate at once, so that its monitors know. An end
// of what the client sends counts as leaving, unless more requests came before it. They, too, wait;
// once they fill the connection's buffer, a client's leaving shows when something is sent to it.
//
// What comes while nobody waits is kept, up to 64 messages, until a handler does or the request is
// over; see http_ctx for what happens then. (Only if it comes between a wait and an http_read may
// it be dropped, and counted.)
http_step http_wait(http_response *response, http_handler next, uint64_t timeout_ns);

// http_call has `next` called with the outcome of a call, which is what tina_call or tina_spawn_on
// returned in this handler:
//
//     return http_call(res, tina_call(ctx, store, GET, &key, sizeof key, SECOND), found);
//
// Nothing else is noticed before, and pipelined responses before this one wait too, so give the
// call a timeout. A server that drains lets it go on for linger_timeout_ns, and then has it fail as
// TINA_CALL_CANCELED. What was written must have been sent.
http_step http_call(http_response *response, tina_effect call, http_handler next);

// http_end ends a response that was begun.
http_step http_end(http_response *response);

#ifdef __cplusplus
}
#endif

#endif
