// SPDX-License-Identifier: Apache-2.0
#include "http/lines.h"

#include "core/assert.h"

#define TOKEN 1u // RFC 9110 §5.6.2
#define TARGET                                                                                     \
    2u // printable ASCII but " # < > and backslash: what no client may send, or a proxy rewrites
#define VALUE 4u // HTAB, SP, VCHAR, obs-text

// clang-format off
#define O 0u
#define A (TOKEN | TARGET | VALUE)
#define K (TOKEN | VALUE)
#define G (TARGET | VALUE)
#define V VALUE
static const uint8_t classes[256] = {
    O, O, O, O, O, O, O, O, O, V, O, O, O, O, O, O, // 00
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, // 10
    V, A, V, K, A, A, A, A, G, G, A, A, G, A, A, G, // 20
    A, A, A, A, A, A, A, A, A, A, G, G, V, G, V, G, // 30
    G, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, // 40
    A, A, A, A, A, A, A, A, A, A, A, G, V, G, A, A, // 50
    A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, // 60
    A, A, A, A, A, A, A, A, A, A, A, G, A, G, A, O, // 70
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // 80
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // 90
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // A0
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // B0
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // C0
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // D0
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // E0
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, // F0
};
#undef O
#undef A
#undef K
#undef G
#undef V
// clang-format on

static http_lines_result lines_fail(http_lines *lines, uint16_t status);
static bool version_take(http_lines *lines, uint8_t byte);
static void tabs_to_spaces(uint8_t *value_end);
static uint32_t lines_bound(const http_lines *lines, uint32_t end);
static http_lines_result lines_pause(http_lines *lines);

http_lines_result http_lines_take(http_lines *lines, uint8_t *next, uint32_t count) {
    TINA_ASSERT(lines->state != HTTP_LINE_DONE);
    TINA_ASSERT(lines->status == 0);
    TINA_ASSERT(count <= INT32_MAX);
    uint32_t base = lines->bytes;
    uint32_t at = 0;
    uint32_t bound = lines_bound(lines, base + count) - base;
    for (;;) {
        if (at >= bound) {
            lines->bytes = base + at;
            return lines_pause(lines);
        }
        uint8_t byte = next[at++];
        switch ((http_line_state)lines->state) {
        case HTTP_LINE_START:
            if (byte == '\r') {
                lines->state = HTTP_LINE_START_LF;
                break;
            }
            // fall through
        case HTTP_LINE_METHOD_FIRST:
            if (!(classes[byte] & TOKEN))
                return lines_fail(lines, 400);
            lines->start = base + at - 1;
            lines->count = 1;
            lines->state = HTTP_LINE_METHOD;
            break;
        case HTTP_LINE_START_LF:
            if (byte != '\n')
                return lines_fail(lines, 400);
            lines->state = HTTP_LINE_METHOD_FIRST;
            break;
        case HTTP_LINE_METHOD:
            if (byte == ' ')
                lines->state = HTTP_LINE_TARGET_FIRST;
            else if (!(classes[byte] & TOKEN))
                return lines_fail(lines, 400);
            else if (++lines->count > HTTP_METHOD_BYTES_MAX)
                return lines_fail(lines, 501);
            break;
        case HTTP_LINE_TARGET_FIRST:
            if (!(classes[byte] & TARGET))
                return lines_fail(lines, 400);
            lines->count = base + at - 1; // its offset, until the version begins
            lines->state = HTTP_LINE_TARGET;
            bound = lines_bound(lines, base + count) - base;
            break;
        case HTTP_LINE_TARGET:
            while ((classes[byte] & TARGET) && at < bound)
                byte = next[at++];
            if (classes[byte] & TARGET)
                break;
            if (byte != ' ')
                return lines_fail(lines, 400);
            lines->count = 0;
            lines->state = HTTP_LINE_VERSION;
            bound = lines_bound(lines, base + count) - base;
            break;
        case HTTP_LINE_VERSION:
            if (!version_take(lines, byte))
                return lines_fail(lines, 400);
            if (lines->minor > 1) { // RFC 9110 §2.5: read as the highest that is known
                lines->minor = 1;
                next[at - 1] = '1';
            }
            break;
        case HTTP_LINE_REQUEST_LF:
            if (byte != '\n')
                return lines_fail(lines, 400);
            if (lines->major != 1)
                return lines_fail(lines, 505);
            lines->in_section = true;
            lines->state = HTTP_LINE_FIELD_FIRST;
            break;
        case HTTP_LINE_FIELD_FIRST:
            if (byte == '\r') {
                lines->state = HTTP_LINE_END_LF;
                break;
            }
            if (!(classes[byte] & TOKEN)) // obs-fold and an empty name among them
                return lines_fail(lines, 400);
            if (++lines->field_count > lines->field_count_max)
                return lines_fail(lines, 431);
            lines->state = HTTP_LINE_NAME;
            break;
        case HTTP_LINE_NAME:
            while ((classes[byte] & TOKEN) && at < bound)
                byte = next[at++];
            if (classes[byte] & TOKEN)
                break;
            if (byte != ':')
                return lines_fail(lines, 400);
            lines->state = HTTP_LINE_VALUE;
            break;
        case HTTP_LINE_VALUE:
            while ((classes[byte] & VALUE) && at < bound)
                byte = next[at++];
            if (classes[byte] & VALUE)
                break;
            if (byte != '\r')
                return lines_fail(lines, 400);
            if (!lines->trailers)
                tabs_to_spaces(next + at - 1);
            lines->state = HTTP_LINE_FIELD_LF;
            break;
        case HTTP_LINE_FIELD_LF:
            if (byte != '\n')
                return lines_fail(lines, 400);
            lines->state = HTTP_LINE_FIELD_FIRST;
            break;
        case HTTP_LINE_END_LF:
            if (byte != '\n')
                return lines_fail(lines, 400);
            lines->bytes = base + at;
            lines->state = HTTP_LINE_DONE;
            return HTTP_LINES_DONE;
        case HTTP_LINE_DONE:
            TINA_ASSERT(lines->state != HTTP_LINE_DONE);
        }
    }
}

void http_lines_begin(http_lines *lines, bool trailers_only) {
    lines->bytes = 0;
    lines->count = 0;
    lines->field_count = 0;
    lines->start = 0;
    lines->status = 0;
    lines->state = trailers_only ? HTTP_LINE_FIELD_FIRST : HTTP_LINE_START;
    lines->in_section = trailers_only;
    lines->trailers = trailers_only;
    lines->major = 0;
    lines->minor = 0;
}

// How far one may read before a limit is passed: a limit is a position, so that it is passed at the
// same byte however the bytes arrive.
static uint32_t lines_bound(const http_lines *lines, uint32_t end) {
    uint64_t bound = lines->head_bytes_max;
    if (lines->state == HTTP_LINE_TARGET)
        bound = (uint64_t)lines->count + lines->target_bytes_max + 1;
    return bound < end ? (uint32_t)bound : end;
}

static http_lines_result lines_pause(http_lines *lines) {
    if (lines->state == HTTP_LINE_TARGET && lines->bytes - lines->count > lines->target_bytes_max)
        return lines_fail(lines, 414);
    if (lines->bytes < lines->head_bytes_max)
        return HTTP_LINES_MORE;
    return lines_fail(lines, lines->in_section ? 431 : 414);
}

static http_lines_result lines_fail(http_lines *lines, uint16_t status) {
    lines->status = status;
    return HTTP_LINES_FAILED;
}

static bool version_take(http_lines *lines, uint8_t byte) {
    static const char form[] = "HTTP/d.d\r";
    char expected = form[lines->count++];
    if (expected == '\r') {
        lines->state = HTTP_LINE_REQUEST_LF;
        return byte == '\r';
    }
    if (expected != 'd')
        return byte == (uint8_t)expected;
    if (byte < '0' || byte > '9')
        return false;
    if (lines->count == 6)
        lines->major = (uint8_t)(byte - '0');
    else
        lines->minor = (uint8_t)(byte - '0');
    return true;
}

// A colon or a visible byte always stands before the whitespace.
static void tabs_to_spaces(uint8_t *value_end) {
    for (uint8_t *byte = value_end - 1; *byte == '\t' || *byte == ' '; byte--)
        *byte = ' ';
}

bool http_is_token_byte(uint8_t byte) {
    return (classes[byte] & TOKEN) != 0;
}

bool http_is_value_byte(uint8_t byte) {
    return (classes[byte] & VALUE) != 0;
}
