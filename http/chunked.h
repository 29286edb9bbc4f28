// SPDX-License-Identifier: Apache-2.0
//
// The chunked transfer coding, decoded (RFC 9112 §7.1): strict CRLFs, bounded size lines,
// extensions checked and ignored, trailers checked and dropped.
//
// llhttp is not asked about bodies: it takes a bare LF as the end of the trailers, bounds no size
// line and refuses a second extension. What both read, both read alike (chunked_test.cc).

#ifndef TINA_HTTP_CHUNKED_H
#define TINA_HTTP_CHUNKED_H

#include <stdint.h>

#include "http/lines.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum http_chunked_state {
    HTTP_CHUNKED_SIZE = 0,       // `digits` read so far; the first is still to come when 0
    HTTP_CHUNKED_SEMICOLON,      // blanks before ';'
    HTTP_CHUNKED_NAME_FIRST,     // after ';'
    HTTP_CHUNKED_NAME,           // of an extension
    HTTP_CHUNKED_NAME_END,       // blanks before '=' or ';'
    HTTP_CHUNKED_VALUE_FIRST,    // after '='
    HTTP_CHUNKED_VALUE,          // a token
    HTTP_CHUNKED_QUOTED,         // within quotes
    HTTP_CHUNKED_QUOTED_ESCAPED, // after the backslash
    HTTP_CHUNKED_QUOTED_END,     // after the closing quote
    HTTP_CHUNKED_SIZE_LF,
    HTTP_CHUNKED_DATA, // `left` bytes to come, 1 or more
    HTTP_CHUNKED_DATA_CR,
    HTTP_CHUNKED_DATA_LF,
    HTTP_CHUNKED_TRAILERS, // `trailers` is valid from here on
    HTTP_CHUNKED_DONE,
} http_chunked_state;

typedef struct http_chunked {
    uint64_t left;    // of this chunk's data
    uint64_t total;   // sizes of all chunks, this one included
    uint64_t limit;   // of total
    uint32_t line;    // bytes of this size line
    uint32_t framing; // bytes of extensions, over all size lines
    http_lines trailers;
    uint16_t status; // why it failed: 400, 413 or 431
    uint8_t digits;
    uint8_t state; // http_chunked_state
} http_chunked;

#define HTTP_CHUNKED_LINE_MAX     1024u // bytes of a size line
#define HTTP_CHUNKED_FRAMING_MAX  8192u // bytes of extensions in a body
#define HTTP_CHUNKED_TRAILERS_MAX 8192u // bytes of the trailer section

typedef enum http_chunked_result {
    HTTP_CHUNKED_MORE = 0, // all input is used
    HTTP_CHUNKED_PIECE,    // data: piece_bytes at input + piece
    HTTP_CHUNKED_ENDED,    // the body is whole
    HTTP_CHUNKED_FAILED,   // chunked->status
} http_chunked_result;

typedef struct http_chunked_input {
    uint8_t *bytes;
    uint32_t count;
    uint32_t used; // in: where to go on; out: what has been decoded
    uint32_t piece;
    uint32_t piece_bytes;
} http_chunked_input;

// http_chunked_begin readies a body of at most `limit` bytes of data.
void http_chunked_begin(http_chunked *chunked, uint64_t limit, uint32_t field_count_max);

// http_chunked_take decodes until there is a piece of data, the end, a failure, or no input left.
http_chunked_result http_chunked_take(http_chunked *chunked, http_chunked_input *input);

#ifdef __cplusplus
}
#endif

#endif
