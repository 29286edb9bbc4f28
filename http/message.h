// SPDX-License-Identifier: Apache-2.0
//
// A request's head as the parser leaves it: strings in the parser's buffer, each ended by a NUL in
// place of the delimiter that stood there, and what they say about the message.

#ifndef TINA_HTTP_MESSAGE_H
#define TINA_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_field {
    const char *name;
    const char *value; // without the whitespace around it
    uint32_t name_bytes;
    uint32_t value_bytes;
} http_field;

typedef enum http_framing {
    HTTP_FRAMING_NONE = 0, // no body
    HTTP_FRAMING_LENGTH,   // content_length bytes, 1 or more
    HTTP_FRAMING_CHUNKED,
} http_framing;

typedef struct http_head {
    const char *target; // as received
    const char *path;   // within target, path_bytes; empty for "*" and for CONNECT's
    const char *query;  // within target, to its end; NULL: none
    uint32_t target_bytes;
    uint32_t path_bytes;
    uint32_t query_bytes;
    uint32_t field_count;
    uint64_t content_length;
    uint8_t method;  // http_method
    uint8_t minor;   // HTTP/1.minor
    uint8_t framing; // http_framing
    bool asterisk;   // OPTIONS *
    bool keep_alive; // the client would go on after the response
    bool expects_continue;
    bool expects_other; // something that is not understood
    http_field *fields; // field_count of them
} http_head;

// http_head_read finds out what a head's method, target and fields mean and fills in all but those.
// Returns 0, or the status to refuse the message with: 400 when a recipient could be in doubt, 501.
uint16_t http_head_read(http_head *head);

#ifdef __cplusplus
}
#endif

#endif
