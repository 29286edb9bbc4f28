// SPDX-License-Identifier: Apache-2.0
//
// The lines of a message head, byte by byte: the discipline that llhttp leaves to its caller. A
// bare CR or LF, a folded line, a space before a colon, a control byte: two parsers could read each
// of them in two ways, so the first one ends the connection (RFC 9112 §2.2, §3, §5).
//
// Stops and goes on at any byte; what comes out depends on the bytes alone, never on how they
// arrived.

#ifndef TINA_HTTP_LINES_H
#define TINA_HTTP_LINES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Which byte is expected next.
typedef enum http_line_state {
    HTTP_LINE_START = 0, // the first byte of a request, or the CR of one empty line before it
    HTTP_LINE_START_LF,
    HTTP_LINE_METHOD_FIRST, // after that empty line
    HTTP_LINE_METHOD,
    HTTP_LINE_TARGET_FIRST,
    HTTP_LINE_TARGET,
    HTTP_LINE_VERSION, // byte `count` of "HTTP/1.1"
    HTTP_LINE_REQUEST_LF,
    HTTP_LINE_FIELD_FIRST, // a name, or the CR of the line that ends the section
    HTTP_LINE_NAME,
    HTTP_LINE_VALUE,
    HTTP_LINE_FIELD_LF,
    HTTP_LINE_END_LF,
    HTTP_LINE_DONE,
} http_line_state;

#define HTTP_METHOD_BYTES_MAX 32u // twice the longest that is understood

typedef struct http_lines {
    uint32_t target_bytes_max;
    uint32_t head_bytes_max; // of everything from the first byte to the last LF
    uint32_t field_count_max;
    uint32_t bytes; // taken so far
    uint32_t count; // of the method's or the target's bytes, or within the version
    uint32_t field_count;
    uint32_t start;  // offset of the method's first byte
    uint16_t status; // why it failed: 400, 414, 431, 501 or 505
    uint8_t state;   // http_line_state
    bool in_section; // past the request line
    bool trailers;
    uint8_t major;
    uint8_t minor;
} http_lines;

typedef enum http_lines_result {
    HTTP_LINES_MORE = 0,
    HTTP_LINES_DONE,
    HTTP_LINES_FAILED, // lines->status
} http_lines_result;

// http_lines_begin readies lines, whose three limits are set, for a request; or, with
// trailers_only, for a field section without a request line.
void http_lines_begin(http_lines *lines, bool trailers_only);

// http_lines_take reads the `count` bytes at `next`, and no byte past the section's end;
// lines->bytes grows by what it read. A head's bytes lie in one piece: those taken before end where
// `next` begins. What means the same to RFC 9110 and not to llhttp is rewritten in place: tabs in
// the whitespace at the end of a head's value become spaces, and a minor version above 1 becomes 1.
http_lines_result http_lines_take(http_lines *lines, uint8_t *next, uint32_t count);

// http_is_token_byte tells whether a byte may stand in a method or a field name, RFC 9110 §5.6.2.
bool http_is_token_byte(uint8_t byte);

// http_is_value_byte tells whether a byte may stand in a field value, RFC 9110 §5.5.
bool http_is_value_byte(uint8_t byte);

#ifdef __cplusplus
}
#endif

#endif
