// SPDX-License-Identifier: Apache-2.0
#include "http/log_line.h"

#include <assert.h>
#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/date.h"
#include "http/exchange.h"

static_assert(6 * (HTTP_LOG_TARGET_BYTES + 64) + 512 < HTTP_LOG_LINE_BYTES, "any line fits");

static size_t common_line(const http_log_entry *entry, char *out);
static size_t json_line(const http_log_entry *entry, char *out);
static char *text_add(char *at, const char *text);
static char *number_add(char *at, uint64_t number);
static char *common_escape(char *at, const char *text, size_t bytes_max);
static char *json_string(char *at, const char *text, size_t bytes_max);

size_t http_log_line(http_log_format format, const http_log_entry *entry,
                     char out[HTTP_LOG_LINE_BYTES]) {
    size_t bytes = format == HTTP_LOG_JSON ? json_line(entry, out) : common_line(entry, out);
    TINA_ASSERT(bytes < HTTP_LOG_LINE_BYTES);
    return bytes;
}

// "Sun, 06 Nov 1994 08:49:37 GMT" has all that is needed.
static size_t common_line(const http_log_entry *entry, char *out) {
    char date[HTTP_DATE_BYTES + 1];
    http_date_write(date, entry->wall_s);
    char *at = text_add(out, entry->client != NULL ? entry->client : "-");
    at += tina_format(at, 64, " - - [%.2s/%.3s/%.4s:%.8s +0000] \"", date + 5, date + 8, date + 12,
                      date + 17);
    if (entry->method == NULL) {
        at = text_add(at, "-");
    } else {
        at = text_add(text_add(at, entry->method), " ");
        at = common_escape(at, entry->target, HTTP_LOG_TARGET_BYTES);
        at = number_add(text_add(at, " HTTP/1."), (uint64_t)entry->minor);
    }
    at = text_add(at, "\" ");
    at = entry->status != 0 ? number_add(at, (uint64_t)entry->status) : text_add(at, "-");
    at = text_add(at, " ");
    at = entry->bytes != 0 ? number_add(at, entry->bytes) : text_add(at, "-");
    return (size_t)(text_add(at, "\n") - out);
}

static uint32_t month_of(const char *name) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint32_t month = 0;
    while (month < 11 && memcmp(&months[3 * (size_t)month], name, 3) != 0)
        month++;
    return month + 1;
}

static size_t json_line(const http_log_entry *entry, char *out) {
    char date[HTTP_DATE_BYTES + 1];
    http_date_write(date, entry->wall_s);
    char *at =
        out + tina_format(out, 64, "{\"time\":\"%.4s-%02u-%.2sT%.8sZ\",\"client\":", date + 12,
                          month_of(date + 8), date + 5, date + 17);
    at = json_string(at, entry->client, 64);
    at = json_string(text_add(at, ",\"method\":"), entry->method, 64);
    at = text_add(at, ",\"target\":");
    at = json_string(at, entry->method != NULL ? entry->target : NULL, HTTP_LOG_TARGET_BYTES);
    if (entry->method != NULL)
        at = text_add(number_add(text_add(at, ",\"http\":\"1."), (uint64_t)entry->minor), "\"");
    at = text_add(at, ",\"status\":");
    at = entry->status != 0 ? number_add(at, (uint64_t)entry->status) : text_add(at, "null");
    at = number_add(text_add(at, ",\"bytes\":"), entry->bytes);
    at = number_add(text_add(at, ",\"duration_us\":"), entry->duration_ns / 1000);
    if (entry->id != NULL)
        at = json_string(text_add(at, ",\"id\":"), entry->id, 64);
    return (size_t)(text_add(at, "}\n") - out);
}

static char *text_add(char *at, const char *text) {
    while (*text != '\0')
        *at++ = *text++;
    return at;
}

static char *number_add(char *at, uint64_t number) {
    return at + tina_format(at, 24, "%llu", (unsigned long long)number);
}

static char *common_escape(char *at, const char *text, size_t bytes_max) {
    size_t i = 0;
    for (; text[i] != '\0' && i < bytes_max; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte > ' ' && byte < 0x7F && byte != '"' && byte != '\\')
            *at++ = (char)byte;
        else
            at += tina_format(at, 8, "\\x%02x", byte);
    }
    return text[i] != '\0' ? text_add(at, "...") : at;
}

// A cut may leave a part of a character, which is none and becomes U+FFFD.
static char *json_string(char *at, const char *text, size_t bytes_max) {
    char cut[HTTP_LOG_TARGET_BYTES + 1];
    TINA_ASSERT(bytes_max < sizeof cut);
    if (text == NULL)
        return text_add(at, "null");
    size_t bytes = strnlen(text, bytes_max);
    memcpy(cut, text, bytes);
    cut[bytes] = '\0';
    *at++ = '"';
    for (const uint8_t *byte = (const uint8_t *)cut; *byte != '\0';)
        at = http_json_piece(at, &byte);
    return text_add(text[bytes] != '\0' ? text_add(at, "...") : at, "\"");
}
