// SPDX-License-Identifier: Apache-2.0
#include "http/chunked.h"

#include "core/assert.h"

static http_chunked_result data_take(http_chunked *chunked, http_chunked_input *input);
static http_chunked_result trailers_take(http_chunked *chunked, http_chunked_input *input);
static bool framing_take(http_chunked *chunked, uint8_t byte);
static bool size_take(http_chunked *chunked, uint8_t byte);
static bool extension_take(http_chunked *chunked, uint8_t byte);
static bool size_end(http_chunked *chunked);
static bool chunked_expect(http_chunked *chunked, bool met, http_chunked_state next);
static bool chunked_fail(http_chunked *chunked, uint16_t status);
static int hex_digit(uint8_t byte);
static bool is_blank(uint8_t byte);

http_chunked_result http_chunked_take(http_chunked *chunked, http_chunked_input *input) {
    TINA_ASSERT(chunked->state != HTTP_CHUNKED_DONE);
    TINA_ASSERT(chunked->status == 0);
    while (input->used < input->count) {
        if (chunked->state == HTTP_CHUNKED_DATA)
            return data_take(chunked, input);
        if (chunked->state == HTTP_CHUNKED_TRAILERS)
            return trailers_take(chunked, input);
        if (!framing_take(chunked, input->bytes[input->used++]))
            return HTTP_CHUNKED_FAILED;
    }
    return HTTP_CHUNKED_MORE;
}

void http_chunked_begin(http_chunked *chunked, uint64_t limit, uint32_t field_count_max) {
    *chunked = (http_chunked){.limit = limit};
    chunked->trailers.head_bytes_max = HTTP_CHUNKED_TRAILERS_MAX;
    chunked->trailers.field_count_max = field_count_max;
}

static http_chunked_result data_take(http_chunked *chunked, http_chunked_input *input) {
    TINA_ASSERT(chunked->left > 0);
    uint32_t there = input->count - input->used;
    uint32_t bytes = chunked->left < there ? (uint32_t)chunked->left : there;
    input->piece = input->used;
    input->piece_bytes = bytes;
    input->used += bytes;
    chunked->left -= bytes;
    if (chunked->left == 0)
        chunked->state = HTTP_CHUNKED_DATA_CR;
    return HTTP_CHUNKED_PIECE;
}

static http_chunked_result trailers_take(http_chunked *chunked, http_chunked_input *input) {
    http_lines *lines = &chunked->trailers;
    uint32_t before = lines->bytes;
    http_lines_result result =
        http_lines_take(lines, input->bytes + input->used, input->count - input->used);
    input->used += lines->bytes - before;
    switch (result) {
    case HTTP_LINES_MORE:
        return HTTP_CHUNKED_MORE;
    case HTTP_LINES_DONE:
        chunked->state = HTTP_CHUNKED_DONE;
        return HTTP_CHUNKED_ENDED;
    case HTTP_LINES_FAILED:
        break;
    }
    chunked_fail(chunked, lines->status);
    return HTTP_CHUNKED_FAILED;
}

static bool framing_take(http_chunked *chunked, uint8_t byte) {
    switch ((http_chunked_state)chunked->state) {
    case HTTP_CHUNKED_SIZE:
        return size_take(chunked, byte);
    case HTTP_CHUNKED_NAME_FIRST:
    case HTTP_CHUNKED_NAME:
    case HTTP_CHUNKED_VALUE_FIRST:
    case HTTP_CHUNKED_VALUE:
    case HTTP_CHUNKED_QUOTED:
    case HTTP_CHUNKED_QUOTED_ESCAPED:
    case HTTP_CHUNKED_QUOTED_END:
    case HTTP_CHUNKED_NAME_END:
    case HTTP_CHUNKED_SEMICOLON:
        return extension_take(chunked, byte);
    case HTTP_CHUNKED_SIZE_LF:
        return byte == '\n' ? size_end(chunked) : chunked_fail(chunked, 400);
    case HTTP_CHUNKED_DATA_CR:
        return chunked_expect(chunked, byte == '\r', HTTP_CHUNKED_DATA_LF);
    case HTTP_CHUNKED_DATA_LF:
        return chunked_expect(chunked, byte == '\n', HTTP_CHUNKED_SIZE);
    case HTTP_CHUNKED_DATA:
    case HTTP_CHUNKED_TRAILERS:
    case HTTP_CHUNKED_DONE:
        break;
    }
    TINA_ASSERT(chunked->state < HTTP_CHUNKED_DATA);
    return false;
}

// 16 digits hold any 64-bit size; more are zeros in front, which only make a size line long.
static bool size_take(http_chunked *chunked, uint8_t byte) {
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (chunked->digits == 16)
            return chunked_fail(chunked, 400);
        chunked->digits++;
        chunked->left = (chunked->left << 4) | (uint64_t)digit;
        return true;
    }
    if (chunked->digits == 0)
        return chunked_fail(chunked, 400);
    if (byte == ';')
        return chunked_expect(chunked, true, HTTP_CHUNKED_NAME_FIRST);
    if (is_blank(byte))
        return chunked_expect(chunked, true, HTTP_CHUNKED_SEMICOLON);
    return chunked_expect(chunked, byte == '\r', HTTP_CHUNKED_SIZE_LF);
}

// chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ), where BWS are
// blanks that a recipient must parse (RFC 9110 §5.6.3). None stand at the end of the line.
static bool extension_take(http_chunked *chunked, uint8_t byte) {
    if (++chunked->line > HTTP_CHUNKED_LINE_MAX || ++chunked->framing > HTTP_CHUNKED_FRAMING_MAX)
        return chunked_fail(chunked, 413);
    bool token = http_is_token_byte(byte);
    switch ((http_chunked_state)chunked->state) {
    case HTTP_CHUNKED_NAME_FIRST:
        return is_blank(byte) || chunked_expect(chunked, token, HTTP_CHUNKED_NAME);
    case HTTP_CHUNKED_NAME:
        if (token)
            return true;
        if (byte == '=')
            return chunked_expect(chunked, true, HTTP_CHUNKED_VALUE_FIRST);
        if (is_blank(byte))
            return chunked_expect(chunked, true, HTTP_CHUNKED_NAME_END);
        break;
    case HTTP_CHUNKED_NAME_END:
        if (byte == '=')
            return chunked_expect(chunked, true, HTTP_CHUNKED_VALUE_FIRST);
        // fall through
    case HTTP_CHUNKED_SEMICOLON:
        return is_blank(byte) || chunked_expect(chunked, byte == ';', HTTP_CHUNKED_NAME_FIRST);
    case HTTP_CHUNKED_VALUE_FIRST:
        if (is_blank(byte))
            return true;
        if (byte == '"')
            return chunked_expect(chunked, true, HTTP_CHUNKED_QUOTED);
        return chunked_expect(chunked, token, HTTP_CHUNKED_VALUE);
    case HTTP_CHUNKED_VALUE:
        if (token)
            return true;
        break;
    case HTTP_CHUNKED_QUOTED:
        if (byte == '"')
            return chunked_expect(chunked, true, HTTP_CHUNKED_QUOTED_END);
        if (byte == '\\')
            return chunked_expect(chunked, true, HTTP_CHUNKED_QUOTED_ESCAPED);
        return http_is_value_byte(byte) || chunked_fail(chunked, 400);
    case HTTP_CHUNKED_QUOTED_ESCAPED:
        return chunked_expect(chunked, http_is_value_byte(byte), HTTP_CHUNKED_QUOTED);
    default:
        TINA_ASSERT(chunked->state == HTTP_CHUNKED_QUOTED_END);
    }
    if (byte == ';')
        return chunked_expect(chunked, true, HTTP_CHUNKED_NAME_FIRST);
    if (is_blank(byte))
        return chunked_expect(chunked, true, HTTP_CHUNKED_SEMICOLON);
    return chunked_expect(chunked, byte == '\r', HTTP_CHUNKED_SIZE_LF);
}

static bool size_end(http_chunked *chunked) {
    TINA_ASSERT(chunked->total <= chunked->limit);
    if (chunked->left > chunked->limit - chunked->total)
        return chunked_fail(chunked, 413);
    chunked->total += chunked->left;
    chunked->digits = 0;
    chunked->line = 0;
    if (chunked->left > 0)
        return chunked_expect(chunked, true, HTTP_CHUNKED_DATA);
    http_lines_begin(&chunked->trailers, true);
    return chunked_expect(chunked, true, HTTP_CHUNKED_TRAILERS);
}

static bool chunked_expect(http_chunked *chunked, bool met, http_chunked_state next) {
    if (!met)
        return chunked_fail(chunked, 400);
    chunked->state = (uint8_t)next;
    return true;
}

static bool chunked_fail(http_chunked *chunked, uint16_t status) {
    chunked->status = status;
    return false;
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || byte == '\t';
}
