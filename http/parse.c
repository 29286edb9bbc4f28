// SPDX-License-Identifier: Apache-2.0
#include "http/parse.h"

#include <string.h>

#include "core/assert.h"
#include "http/llhttp.h"

static http_parse_result head_run(http_parser *parser);
static http_parse_result body_run(http_parser *parser);
static http_parse_result length_run(http_parser *parser);
static http_parse_result chunked_run(http_parser *parser);
static http_parse_result length_stream(http_parser *parser);
static http_parse_result chunked_stream(http_parser *parser);
static void body_begin(http_parser *parser, uint64_t limit);
static http_parse_result piece_store(http_parser *parser, uint32_t at, uint32_t bytes);
static void parser_move_down(http_parser *parser);
static http_parse_result parser_fail(http_parser *parser, uint16_t status);

http_parse_result http_parser_run(http_parser *parser) {
    switch ((http_parse_state)parser->state) {
    case HTTP_PARSE_IN_HEAD:
        return head_run(parser);
    case HTTP_PARSE_IN_BODY:
        return body_run(parser);
    case HTTP_PARSE_IN_REQUEST:
        return HTTP_PARSE_WHOLE;
    case HTTP_PARSE_BROKEN:
        return HTTP_PARSE_FAILED;
    }
    TINA_ASSERT(parser->state <= HTTP_PARSE_BROKEN);
    return HTTP_PARSE_FAILED;
}

static http_parse_result head_run(http_parser *parser) {
    TINA_ASSERT(parser->begin + parser->lines.bytes == parser->next);
    http_lines_result result =
        http_lines_take(&parser->lines, parser->buffer + parser->next, parser->end - parser->next);
    parser->next = parser->begin + parser->lines.bytes;
    if (result == HTTP_LINES_MORE)
        return HTTP_PARSE_MORE;
    if (result == HTTP_LINES_FAILED)
        return parser_fail(parser, parser->lines.status);
    if (parser->capacity - parser->next < HTTP_PARSE_BODY_BYTES + HTTP_PARSE_STAGE_BYTES)
        parser_move_down(parser); // while nothing points into the buffer
    char *first = (char *)parser->buffer + parser->begin + parser->lines.start;
    uint16_t status = http_llhttp_read(&parser->head, parser->lines.field_count_max, first,
                                       parser->lines.bytes - parser->lines.start);
    if (status == 0)
        status = http_head_read(&parser->head);
    if (status != 0)
        return parser_fail(parser, status);
    parser->state = HTTP_PARSE_IN_BODY;
    return HTTP_PARSE_HEAD;
}

static http_parse_result body_run(http_parser *parser) {
    bool chunked = parser->head.framing == HTTP_FRAMING_CHUNKED;
    if (parser->streamed)
        return chunked ? chunked_stream(parser) : length_stream(parser);
    return chunked ? chunked_run(parser) : length_run(parser);
}

static http_parse_result length_run(http_parser *parser) {
    TINA_ASSERT(parser->left <= parser->head.content_length);
    if (parser->left > parser->body_room - parser->body_bytes)
        return HTTP_PARSE_ROOM;
    uint64_t there = parser->end - parser->next;
    uint32_t bytes = (uint32_t)(parser->left < there ? parser->left : there);
    if (parser->room_given)
        memcpy(parser->body + parser->body_bytes, parser->buffer + parser->next, bytes);
    parser->body_bytes += bytes;
    parser->left -= bytes;
    parser->next += bytes;
    if (parser->left > 0)
        return HTTP_PARSE_MORE;
    parser->state = HTTP_PARSE_IN_REQUEST;
    return HTTP_PARSE_WHOLE;
}

static http_parse_result chunked_run(http_parser *parser) {
    for (;;) {
        http_chunked before = parser->chunked;
        http_chunked_input input = {parser->buffer, parser->end, parser->next, 0, 0};
        switch (http_chunked_take(&parser->chunked, &input)) {
        case HTTP_CHUNKED_MORE:
            parser->next = input.used;
            return HTTP_PARSE_MORE;
        case HTTP_CHUNKED_PIECE:
            if (piece_store(parser, input.piece, input.piece_bytes) == HTTP_PARSE_ROOM) {
                parser->chunked = before;
                return HTTP_PARSE_ROOM;
            }
            parser->next = input.used;
            break;
        case HTTP_CHUNKED_ENDED:
            parser->next = input.used;
            parser->state = HTTP_PARSE_IN_REQUEST;
            return HTTP_PARSE_WHOLE;
        case HTTP_CHUNKED_FAILED:
            return parser_fail(parser, parser->chunked.status);
        }
    }
}

static http_parse_result length_stream(http_parser *parser) {
    uint64_t there = parser->end - parser->next;
    uint32_t bytes = (uint32_t)(parser->left < there ? parser->left : there);
    parser->body = parser->buffer + parser->next;
    parser->body_bytes = bytes;
    parser->left -= bytes;
    parser->next += bytes;
    if (parser->left > 0)
        return bytes > 0 ? HTTP_PARSE_PIECE : HTTP_PARSE_MORE;
    parser->state = HTTP_PARSE_IN_REQUEST;
    return HTTP_PARSE_WHOLE;
}

// All chunks that are here become one piece, which begins where the first of them did.
static http_parse_result chunked_stream(http_parser *parser) {
    parser->body = parser->buffer + parser->next;
    parser->body_bytes = 0;
    for (;;) {
        http_chunked_input input = {parser->buffer, parser->end, parser->next, 0, 0};
        http_chunked_result result = http_chunked_take(&parser->chunked, &input);
        parser->next = input.used;
        switch (result) {
        case HTTP_CHUNKED_MORE:
            return parser->body_bytes > 0 ? HTTP_PARSE_PIECE : HTTP_PARSE_MORE;
        case HTTP_CHUNKED_PIECE:
            memmove(parser->body + parser->body_bytes, parser->buffer + input.piece,
                    input.piece_bytes);
            parser->body_bytes += input.piece_bytes;
            break;
        case HTTP_CHUNKED_ENDED:
            parser->state = HTTP_PARSE_IN_REQUEST;
            return HTTP_PARSE_WHOLE;
        case HTTP_CHUNKED_FAILED:
            return parser_fail(parser, parser->chunked.status);
        }
    }
}

// In the buffer a body only ever moves down: its framing is what lay between.
static http_parse_result piece_store(http_parser *parser, uint32_t at, uint32_t bytes) {
    if (bytes > parser->body_room - parser->body_bytes)
        return HTTP_PARSE_ROOM;
    TINA_ASSERT(parser->room_given || parser->body + parser->body_bytes <= parser->buffer + at);
    memmove(parser->body + parser->body_bytes, parser->buffer + at, bytes);
    parser->body_bytes += bytes;
    return HTTP_PARSE_MORE;
}

uint32_t http_parser_bytes(const http_parser_limits *limits) {
    return limits->head_bytes + HTTP_PARSE_BODY_BYTES + HTTP_PARSE_STAGE_BYTES;
}

void http_parser_init(http_parser *parser, const http_parser_limits *limits, uint8_t *buffer,
                      http_field *fields) {
    TINA_ASSERT(limits->target_bytes + 64 <= limits->head_bytes);
    *parser = (http_parser){.buffer = buffer, .capacity = http_parser_bytes(limits)};
    parser->head.fields = fields;
    parser->lines.target_bytes_max = limits->target_bytes;
    parser->lines.head_bytes_max = limits->head_bytes;
    parser->lines.field_count_max = limits->field_count;
    http_lines_begin(&parser->lines, false);
}

uint32_t http_parser_space(http_parser *parser) {
    if (parser->state == HTTP_PARSE_IN_HEAD) {
        parser_move_down(parser);
    } else if (parser->state == HTTP_PARSE_IN_BODY && parser->next == parser->end &&
               (parser->head.framing == HTTP_FRAMING_CHUNKED || parser->room_given ||
                parser->streamed)) {
        uint32_t kept = parser->begin + parser->lines.bytes;
        if (!parser->room_given && !parser->streamed)
            kept += (uint32_t)parser->body_bytes;
        parser->next = kept;
        parser->end = kept;
    }
    return parser->capacity - parser->end;
}

uint32_t http_parser_spare(const http_parser *parser) {
    return parser->capacity - parser->end;
}

bool http_parser_holds_more(const http_parser *parser) {
    return parser->next < parser->end;
}

static void parser_move_down(http_parser *parser) {
    if (parser->begin == 0)
        return;
    parser->end -= parser->begin;
    parser->next -= parser->begin;
    memmove(parser->buffer, parser->buffer + parser->begin, parser->end);
    parser->begin = 0;
}

void http_parser_take(http_parser *parser, const void *data, uint32_t bytes) {
    TINA_ASSERT(bytes <= parser->capacity - parser->end);
    TINA_ASSERT(parser->state != HTTP_PARSE_BROKEN);
    memcpy(parser->buffer + parser->end, data, bytes);
    parser->end += bytes;
}

void http_parser_limit_body(http_parser *parser, uint64_t limit) {
    TINA_ASSERT(!parser->streamed);
    body_begin(parser, limit);
}

void http_parser_stream_body(http_parser *parser, uint64_t limit) {
    parser->streamed = true;
    body_begin(parser, limit);
}

void http_parser_skip(http_parser *parser, uint32_t bytes) {
    TINA_ASSERT(parser->state == HTTP_PARSE_IN_HEAD && parser->lines.bytes == 0);
    TINA_ASSERT(bytes <= parser->end - parser->next);
    parser->next += bytes;
    parser->begin = parser->next;
}

// A body by length that fits behind its head is received where it will stay. One in chunks leaves
// room for bytes still in their framing.
static void body_begin(http_parser *parser, uint64_t limit) {
    TINA_ASSERT(parser->state == HTTP_PARSE_IN_BODY);
    TINA_ASSERT(!parser->room_given && parser->body_bytes == 0);
    uint32_t behind = parser->capacity - parser->next;
    TINA_ASSERT(behind >= HTTP_PARSE_BODY_BYTES + HTTP_PARSE_STAGE_BYTES);
    parser->body = parser->buffer + parser->next;
    parser->body_room = behind;
    parser->left = parser->head.content_length;
    if (parser->head.framing == HTTP_FRAMING_CHUNKED) {
        parser->body_room = behind - HTTP_PARSE_STAGE_BYTES;
        http_chunked_begin(&parser->chunked, limit, parser->lines.field_count_max);
    } else if (parser->left > limit) {
        parser_fail(parser, 413);
    }
}

void http_parser_give_room(http_parser *parser, void *memory, uint64_t bytes) {
    TINA_ASSERT(parser->state == HTTP_PARSE_IN_BODY);
    TINA_ASSERT(!parser->room_given && !parser->streamed);
    TINA_ASSERT(bytes >= parser->body_bytes + parser->left);
    memcpy(memory, parser->body, parser->body_bytes);
    parser->body = memory;
    parser->body_room = bytes;
    parser->room_given = true;
}

void http_parser_advance(http_parser *parser) {
    TINA_ASSERT(parser->state == HTTP_PARSE_IN_REQUEST);
    if (parser->next == parser->end)
        parser->next = parser->end = 0;
    parser->begin = parser->next;
    parser->state = HTTP_PARSE_IN_HEAD;
    parser->body = NULL;
    parser->body_bytes = 0;
    parser->room_given = false;
    parser->streamed = false;
    parser->head.method = 0;
    http_lines_begin(&parser->lines, false);
}

bool http_parser_saw_head(const http_parser *parser) {
    static const char method[] = {'H', 'E', 'A', 'D', ' '};
    uint32_t first = parser->begin + parser->lines.start;
    return parser->end - first >= sizeof method &&
           memcmp(parser->buffer + first, method, sizeof method) == 0;
}

bool http_parser_is_idle(const http_parser *parser) {
    return parser->state == HTTP_PARSE_IN_HEAD && parser->begin == parser->end;
}

static http_parse_result parser_fail(http_parser *parser, uint16_t status) {
    TINA_ASSERT(status >= 400);
    parser->state = HTTP_PARSE_BROKEN;
    parser->status = status;
    return HTTP_PARSE_FAILED;
}
