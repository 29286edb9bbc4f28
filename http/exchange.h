// SPDX-License-Identifier: Apache-2.0
//
// What a handler's two arguments are made of: a request that lies in its parser's buffer, and a
// response that grows in the connection's output. Their other memory is the handler's scratch.

#ifndef TINA_HTTP_EXCHANGE_H
#define TINA_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/date.h"
#include "http/group.h"
#include "http/message.h"
#include "http/proxy.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

struct http_request {
    tina_ctx *ctx;
    bool exposed;          // http_ctx was called: others may know its isolate
    const http_head *head; // NULL when the request could not be read
    bool to_head;          // ... whose method was HEAD
    http_peer *peer;       // the connection's
    tina_bytes body;
    bool body_ended;
    void *state;
    uint8_t *scratch; // 16-byte aligned
    uint32_t scratch_bytes;
    uint32_t scratch_used;
    bool scratch_short;          // something did not fit
    const char *path;            // http_path's, once asked for
    const tina_message *message; // http_message's
    http_match match;
    const http_route_groups *groups; // the server's; valid when group_bits is not 0
    uint64_t group_bits;             // those that have this request
    const char *id;                  // request_id.h's; NULL: none
    char id_made[17];
};

typedef enum http_step_kind {
    HTTP_STEP_NONE = 0,
    HTTP_STEP_ANSWERED,
    HTTP_STEP_READ,   // then response->next
    HTTP_STEP_STREAM, // then response->next
    HTTP_STEP_FILE,   // response->file
    HTTP_STEP_PASS,   // a before hook's
    HTTP_STEP_WAIT,   // then response->next, at the latest in response->wait_ns
    HTTP_STEP_CALL,   // response->call, then response->next
} http_step_kind;

// What a response that was begun does with what is written.
typedef enum http_stream_kind {
    HTTP_STREAM_NONE = 0, // it was not begun, or answered at once
    HTTP_STREAM_CHUNKS,   // `chunk` is where the open one's data begins, 0: none is open
    HTTP_STREAM_TRAILERS, // after the last chunk
    HTTP_STREAM_LENGTH,   // `left` more bytes
    HTTP_STREAM_TO_CLOSE, // to an HTTP/1.0 client
    HTTP_STREAM_NOWHERE,  // there is no body
} http_stream_kind;

// A response in the making. Its fields wait behind room for the head's other lines, which depend on
// the status and the body's length, and move down to them in the end:
//
//     out ─▶ |  room for status line, Date ...  |  fields  |  body as it is formatted  |
struct http_response {
    http_request *request;
    http_date *date;
    uint64_t wall_s;
    uint8_t *out;
    uint32_t capacity;
    uint32_t bytes; // of the finished head and copied body; 0 until answered
    uint32_t fields_bytes;
    uint32_t head_bytes; // of what was answered
    uint32_t chunk;
    uint64_t left;
    http_handler next;
    uint64_t wait_ns; // 0: without end
    tina_effect call;
    struct http_file_response *file; // the connection's
    uint8_t stream;                  // http_stream_kind
    bool close;                      // say so to the client
    bool body_left; // too much of the request's body for the connection to go on after an answer
    bool has_type;
    bool hooked;   // an after hook runs
    bool answered; // or begun
    bool complete;
    const char *fault; // why this response cannot be made; NULL: it can
    int status;        // once it is known
    tina_bytes tail;   // body bytes to send after out's, from where they lie
};

// Room for a status line with the longest reason, Date, Content-Length, Connection and a content
// type.
#define HTTP_RESPONSE_ROOM_BYTES  512u
#define HTTP_CONTENT_TYPE_BYTES   256u // longest
#define HTTP_RESPONSE_BYTES_LEAST 1024u

// http_response_begin readies a response that will be written to out, at least
// HTTP_RESPONSE_BYTES_LEAST of it.
void http_response_begin(http_response *response, http_request *request, uint8_t *out,
                         uint32_t capacity);

// http_response_move has what comes next written to another place of the same memory.
void http_response_move(http_response *response, uint8_t *out);

// http_response_reset forgets what a handler has done, fault included.
void http_response_reset(http_response *response);

// http_groups_check refuses, with a sentence, groups that cannot be meant.
bool http_groups_check(const http_route_groups *groups, const http_routes *routes,
                       char sentence[HTTP_ROUTER_SENTENCE_BYTES]);

// http_groups_of returns which groups have a request for a route of that pattern, or for none
// (NULL): bit i is group i's. http_groups_log returns whether those have it in the access log.
uint64_t http_groups_of(const http_route_groups *groups, const char *pattern);
bool http_groups_log(const http_route_groups *groups, uint64_t bits);

// http_hooks_before runs hooks until one does not pass, and returns its step.
http_step http_hooks_before(http_request *request, http_response *response);
void http_hooks_after(http_response *response, int status);

// What stream.c shares with response.c.
void http_type_check(http_response *response, const char *content_type);
bool http_response_may_begin(http_response *response, int status);
http_step http_response_fault(http_response *response, const char *why);
const char *http_field_fault(const char *name, size_t name_bytes, const char *value);
uint8_t *http_head_write(http_response *response, int status, const char *content_type,
                         uint64_t body_bytes);
bool http_status_has_body(int status);

// http_respond_status answers with a status and its name as a line of text. `methods`, when it is
// not 0, becomes Allow. It never fails.
http_step http_respond_status(http_response *response, int status, uint64_t methods);

// http_json_piece writes, within a JSON string, the character at *at of a text that ends with a
// NUL, and moves *at behind it; returns the end. At most 6 bytes.
char *http_json_piece(char *out, const uint8_t **at);

// http_reason returns a status's reason phrase; "" when it has none.
const char *http_reason(int status);

#ifdef __cplusplus
}
#endif

#endif
