// SPDX-License-Identifier: Apache-2.0
//
// From received bytes to whole requests, one after the other, in memory that the caller gives.
//
//     |  head, strings in place  |  body, decoded  |  gap  |  received, unread  |  free  |
//     0                                                   next                 end      capacity
//
// A head must pass three judges: the line discipline (lines.h), llhttp in strict mode, and the
// rules of what a head may mean (message.h). Bytes are copied in once and the request's strings
// stay where they lie. What comes out does not depend on how the bytes were split.
//
// A body is read whole, or streamed: then it comes in pieces, each of which lies in the buffer
// until the next, and needs no room.

#ifndef TINA_HTTP_PARSE_H
#define TINA_HTTP_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/chunked.h"
#include "http/lines.h"
#include "http/message.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum http_parse_state {
    HTTP_PARSE_IN_HEAD = 0, // lines.bytes of it are read
    HTTP_PARSE_IN_BODY,     // head is valid; `left` (by length) or `chunked` says how far it is
    HTTP_PARSE_IN_REQUEST,  // whole: head and body are valid until http_parser_advance
    HTTP_PARSE_BROKEN,      // status is why; nothing more can be read from this connection
} http_parse_state;

typedef struct http_parser_limits {
    uint32_t target_bytes;
    uint32_t head_bytes;
    uint32_t field_count;
} http_parser_limits;

typedef struct http_parser {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t begin; // of the request
    uint32_t next;
    uint32_t end;
    uint16_t status;
    uint8_t state; // http_parse_state
    bool room_given;
    bool streamed;
    uint8_t *body;
    uint64_t body_bytes;
    uint64_t body_room;
    uint64_t left; // of a body by length
    http_lines lines;
    http_chunked chunked;
    http_head head; // method is 0 until it is read
} http_parser;

// Bytes that the buffer has beyond the longest head, for small bodies and for received bytes.
#define HTTP_PARSE_BODY_BYTES  4096u // a body that fits beside any head
#define HTTP_PARSE_STAGE_BYTES 2048u // received and not yet decoded

// http_parser_bytes returns how large the buffer has to be.
uint32_t http_parser_bytes(const http_parser_limits *limits);

// http_parser_init readies a parser in `buffer` (http_parser_bytes of it) and `fields`
// (field_count).
void http_parser_init(http_parser *parser, const http_parser_limits *limits, uint8_t *buffer,
                      http_field *fields);

// http_parser_space returns how many bytes http_parser_take may be given: 1 or more after MORE.
uint32_t http_parser_space(http_parser *parser);
void http_parser_take(http_parser *parser, const void *data, uint32_t bytes);

// http_parser_spare returns how many bytes http_parser_take may be given while a request, or a
// piece of its body, is in use, and moves nothing; 0 or more.
uint32_t http_parser_spare(const http_parser *parser);

// http_parser_holds_more tells whether bytes are here that are not read yet.
bool http_parser_holds_more(const http_parser *parser);

// http_parser_skip drops the first bytes of what was taken, before anything of it is read.
void http_parser_skip(http_parser *parser, uint32_t bytes);

typedef enum http_parse_result {
    HTTP_PARSE_MORE = 0, // take more
    HTTP_PARSE_HEAD,     // head is valid; say how large the body may be
    HTTP_PARSE_ROOM,     // the body does not fit here; give it room
    HTTP_PARSE_PIECE,    // of a streamed body: `body`, body_bytes of it, until the next run
    HTTP_PARSE_WHOLE,    // of a streamed body: `body` is its last piece, or empty
    HTTP_PARSE_FAILED,   // parser->status; again and again
} http_parse_result;

http_parse_result http_parser_run(http_parser *parser);

// http_parser_limit_body answers HEAD. After it, http_parser_run goes on, or fails with 413.
void http_parser_limit_body(http_parser *parser, uint64_t limit);

// http_parser_stream_body answers HEAD too, and has the body come in pieces.
void http_parser_stream_body(http_parser *parser, uint64_t limit);

// http_parser_give_room answers ROOM with memory for the whole body, `limit` bytes of it at most.
void http_parser_give_room(http_parser *parser, void *memory, uint64_t bytes);

// http_parser_advance drops a whole request; what follows it is the next one's.
void http_parser_advance(http_parser *parser);

// http_parser_saw_head tells whether the request whose head failed is HEAD's, which is to get no
// body (RFC 9110 §9.3.2).
bool http_parser_saw_head(const http_parser *parser);

// http_parser_is_idle tells whether no byte of a request is here: the line before it is none's.
bool http_parser_is_idle(const http_parser *parser);

#ifdef __cplusplus
}
#endif

#endif
