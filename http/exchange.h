// SPDX-License-Identifier: Apache-2.0
//
// What a handler's two arguments are made of: a request that lies in its parser's buffer, and a
// response that grows in the connection's output. Their other memory is the handler's scratch.

#ifndef TINA_HTTP_EXCHANGE_H
#define TINA_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/date.h"
#include "http/message.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

struct http_request {
    tina_ctx *ctx;
    const http_head *head; // NULL when the request could not be read
    tina_bytes body;
    uint8_t *scratch; // 16-byte aligned
    uint32_t scratch_bytes;
    uint32_t scratch_used;
    bool scratch_short; // something did not fit
    const char *path;   // http_path's, once asked for
    http_match match;
};

typedef enum http_step_kind {
    HTTP_STEP_NONE = 0,
    HTTP_STEP_ANSWERED,
} http_step_kind;

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
    bool close; // say so to the client
    bool has_type;
    bool answered;
    const char *fault; // why this response cannot be made; NULL: it can
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

// http_response_reset forgets what a handler has done, fault included.
void http_response_reset(http_response *response);

// http_respond_status answers with a status and its name as a line of text. `methods`, when it is
// not 0, becomes Allow. It never fails.
void http_respond_status(http_response *response, int status, uint64_t methods);

// http_reason returns a status's reason phrase; "" when it has none.
const char *http_reason(int status);

#ifdef __cplusplus
}
#endif

#endif
