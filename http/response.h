// SPDX-License-Identifier: Apache-2.0
//
// The response, as a handler makes it. http_set_header comes before the call that answers, which is
// the handler's last: `return http_text(response, 200, "hello\n");`
//
// Date, Content-Length, Connection and the like are the server's. A response that cannot be made
// (too large, a field refused, out of scratch) is answered 500 instead, and the log says why.

#ifndef TINA_HTTP_RESPONSE_H
#define TINA_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_response http_response;

// What a handler returns: what happens next. Made by the functions below, never by hand.
typedef struct http_step {
    uint32_t kind; // 0, which a forgotten return may leave, is answered 500
} http_step;

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

#ifdef __cplusplus
}
#endif

#endif
