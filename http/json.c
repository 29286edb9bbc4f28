// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "http/exchange.h"
#include "http/utf8.h"

static size_t piece_bytes(const uint8_t **at);

// RFC 8259 §7. Measured first, so that the scratch is charged for what is needed and no more.
const char *http_json_quote(http_request *request, const char *text) {
    if (text == NULL)
        return "null";
    size_t bytes = 3;
    for (const uint8_t *at = (const uint8_t *)text; *at != '\0';)
        bytes += piece_bytes(&at);
    char *quoted = http_scratch(request, bytes);
    if (quoted == NULL)
        return "null";
    char *out = quoted;
    *out++ = '"';
    for (const uint8_t *at = (const uint8_t *)text; *at != '\0';)
        out = http_json_piece(out, &at);
    *out++ = '"';
    *out = '\0';
    return quoted;
}

static size_t piece_bytes(const uint8_t **at) {
    char piece[8];
    return (size_t)(http_json_piece(piece, at) - piece);
}

// RFC 8259 §7.
char *http_json_piece(char *out, const uint8_t **at) {
    static const char digits[] = "0123456789abcdef";
    static const char replacement[3] = {'\xEF', '\xBF', '\xBD'}; // U+FFFD
    uint8_t byte = **at;
    if (byte == '"' || byte == '\\') {
        *out++ = '\\';
        *out++ = (char)byte;
        (*at)++;
    } else if (byte < ' ') {
        const char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        memcpy(out, escape, sizeof escape);
        out += sizeof escape;
        (*at)++;
    } else {
        uint32_t bytes = utf8_bytes(*at, 4); // no further than the NUL
        if (bytes == 0) {
            memcpy(out, replacement, sizeof replacement);
            out += sizeof replacement;
            (*at)++;
        } else {
            memcpy(out, *at, bytes);
            out += bytes;
            *at += bytes;
        }
    }
    return out;
}
