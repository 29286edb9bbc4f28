// SPDX-License-Identifier: Apache-2.0
//
// The parser and the chunked decoder: what comes out must not depend on how the bytes are split,
// nor on whether a body is read whole or streamed.

#include <string.h>

#include "core/assert.h"
#include "http/fuzz.h"
#include "http/parse.h"
#include "sched/isolate.h"

#define BYTES_MAX  16384u
#define BODY_LIMIT 6000u // more than fits behind a head

static const http_parser_limits limits = {200, 600, 10};

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

// What came out, as one number.
typedef struct fuzz_hash {
    uint64_t value;
} fuzz_hash;

typedef struct parse_reading {
    http_parser parser;
    fuzz_hash hash;
    fuzz_hash body;
    uint64_t body_bytes;
    bool streamed;
} parse_reading;

static void hash_add(fuzz_hash *hash, const void *data, size_t bytes) {
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++)
        hash->value = (hash->value ^ at[i]) * UINT64_C(0x100000001b3);
    hash->value = (hash->value ^ bytes) * UINT64_C(0x100000001b3);
}

static void text_check(const char *text, uint32_t bytes) {
    TINA_ASSERT(strlen(text) == bytes);
    TINA_ASSERT(strpbrk(text, "\r\n") == NULL);
}

static void head_check(const http_head *head, fuzz_hash *hash) {
    TINA_ASSERT(head->field_count <= limits.field_count);
    TINA_ASSERT(head->target_bytes <= limits.target_bytes);
    text_check(head->target, head->target_bytes);
    hash_add(hash, head->target, head->target_bytes);
    TINA_ASSERT(head->path_bytes == 0 ? head->asterisk : head->path[0] == '/');
    hash_add(hash, head->path, head->path_bytes);
    if (head->query != NULL)
        text_check(head->query, head->query_bytes);
    for (uint32_t i = 0; i < head->field_count; i++) {
        text_check(head->fields[i].name, head->fields[i].name_bytes);
        text_check(head->fields[i].value, head->fields[i].value_bytes);
        hash_add(hash, head->fields[i].name, head->fields[i].name_bytes);
        hash_add(hash, head->fields[i].value, head->fields[i].value_bytes);
    }
    const uint8_t rest[] = {head->method,       head->minor,    head->framing,
                            head->keep_alive,   head->asterisk, head->expects_continue,
                            head->expects_other};
    hash_add(hash, rest, sizeof rest);
}

static void body_add(parse_reading *reading) {
    const http_parser *parser = &reading->parser;
    for (uint64_t i = 0; i < parser->body_bytes; i++)
        hash_add(&reading->body, parser->body + i, 1);
    reading->body_bytes += parser->body_bytes;
    TINA_ASSERT(reading->body_bytes <= BODY_LIMIT);
}

static void request_end(parse_reading *reading) {
    body_add(reading);
    TINA_ASSERT(reading->parser.head.framing != HTTP_FRAMING_NONE || reading->body_bytes == 0);
    hash_add(&reading->hash, &reading->body.value, sizeof reading->body.value);
    reading->body.value = HASH_BEGIN;
    reading->body_bytes = 0;
    http_parser_advance(&reading->parser);
}

// Returns false when nothing more can be read.
static bool parser_drain(parse_reading *reading) {
    static uint8_t room[BODY_LIMIT];
    http_parser *parser = &reading->parser;
    for (;;) {
        switch (http_parser_run(parser)) {
        case HTTP_PARSE_MORE:
            return true;
        case HTTP_PARSE_HEAD:
            head_check(&parser->head, &reading->hash);
            if (reading->streamed)
                http_parser_stream_body(parser, BODY_LIMIT);
            else
                http_parser_limit_body(parser, BODY_LIMIT);
            break;
        case HTTP_PARSE_ROOM:
            http_parser_give_room(parser, room, BODY_LIMIT);
            break;
        case HTTP_PARSE_PIECE:
            TINA_ASSERT(reading->streamed && parser->body_bytes > 0);
            body_add(reading);
            break;
        case HTTP_PARSE_WHOLE:
            request_end(reading);
            break;
        case HTTP_PARSE_FAILED:
            TINA_ASSERT(parser->status >= 400 && parser->status <= 505);
            hash_add(&reading->hash, &parser->status, sizeof parser->status);
            return false;
        }
    }
}

// The n-th piece is as long as the n-th of the pattern's bytes says.
static uint64_t parse_split(tina_bytes input, tina_bytes pattern, bool streamed) {
    static uint8_t buffer[8192];
    static http_field fields[10];
    TINA_ASSERT(http_parser_bytes(&limits) <= sizeof buffer);
    parse_reading reading = {.streamed = streamed, .hash = {HASH_BEGIN}, .body = {HASH_BEGIN}};
    http_parser_init(&reading.parser, &limits, buffer, fields);
    const uint8_t *lengths = pattern.data;
    for (size_t at = 0, n = 0; at < input.bytes; n++) {
        size_t piece = pattern.bytes > 0 ? 1u + lengths[n % pattern.bytes] : input.bytes;
        size_t space = http_parser_space(&reading.parser);
        TINA_ASSERT(space > 0);
        piece = piece < space ? piece : space;
        piece = piece < input.bytes - at ? piece : input.bytes - at;
        http_parser_take(&reading.parser, (const uint8_t *)input.data + at, (uint32_t)piece);
        at += piece;
        if (!parser_drain(&reading))
            break;
    }
    return reading.hash.value;
}

int http_fuzz_parse(const uint8_t *data, size_t bytes) {
    if (bytes < 4 || bytes > BYTES_MAX)
        return 0;
    tina_bytes input = {data + 3, bytes - 3};
    tina_bytes pattern = {data, 3};
    tina_bytes at_once = {NULL, 0};
    tina_bytes one_by_one = {"", 1};
    uint64_t whole = parse_split(input, at_once, false);
    TINA_ASSERT(parse_split(input, pattern, false) == whole);
    TINA_ASSERT(parse_split(input, one_by_one, false) == whole);
    TINA_ASSERT(parse_split(input, at_once, true) == whole);
    TINA_ASSERT(parse_split(input, pattern, true) == whole);
    return 0;
}

static uint64_t chunked_split(uint8_t *bytes, size_t count, size_t step) {
    fuzz_hash hash = {HASH_BEGIN};
    uint64_t total = 0;
    http_chunked chunked;
    http_chunked_begin(&chunked, BODY_LIMIT, 10);
    for (size_t at = 0; at < count;) {
        size_t piece = step < count - at ? step : count - at;
        http_chunked_input input = {bytes + at, (uint32_t)piece, 0, 0, 0};
        for (bool more = true; more;) {
            http_chunked_result result = http_chunked_take(&chunked, &input);
            TINA_ASSERT(input.used <= input.count);
            more = result == HTTP_CHUNKED_PIECE;
            for (uint32_t i = 0; more && i < input.piece_bytes; i++)
                hash_add(&hash, input.bytes + input.piece + i, 1);
            total += more ? input.piece_bytes : 0;
            if (result == HTTP_CHUNKED_MORE)
                break;
            if (result == HTTP_CHUNKED_ENDED || result == HTTP_CHUNKED_FAILED) {
                uint64_t end = result == HTTP_CHUNKED_ENDED ? at + input.used : 0;
                hash_add(&hash, &end, sizeof end);
                hash_add(&hash, &chunked.status, sizeof chunked.status);
                return hash.value;
            }
        }
        at += piece;
    }
    TINA_ASSERT(total <= BODY_LIMIT);
    return hash.value;
}

int http_fuzz_chunked(const uint8_t *data, size_t bytes) {
    static uint8_t copy[BYTES_MAX];
    if (bytes < 2 || bytes > BYTES_MAX)
        return 0;
    memcpy(copy, data, bytes);
    uint64_t whole = chunked_split(copy + 1, bytes - 1, bytes);
    TINA_ASSERT(memcmp(copy, data, bytes) == 0); // a body's bytes are nobody's to rewrite
    TINA_ASSERT(chunked_split(copy + 1, bytes - 1, 1u + data[0]) == whole);
    TINA_ASSERT(chunked_split(copy + 1, bytes - 1, 1) == whole);
    return 0;
}
