// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "core/assert.h"
#include "http/ascii.h"
#include "http/lines.h"
#include "http/message.h"
#include "http/method.h"

typedef struct framing_fields {
    const http_field *host;
    uint32_t host_count;
    uint32_t length_count;
    uint32_t coding_count; // elements of Transfer-Encoding, over all its fields
    uint32_t chunked_count;
    bool coding_present;
    bool chunked_last;
    bool close;
    bool keep_alive;
} framing_fields;

static uint16_t field_read(http_head *head, framing_fields *found, const http_field *field);
static uint16_t length_read(http_head *head, const http_field *field);
static uint16_t codings_read(framing_fields *found, const http_field *field);
static void options_read(framing_fields *found, const http_field *field);
static uint16_t framing_decide(http_head *head, const framing_fields *found);
static uint16_t target_read(http_head *head, const http_field *host);
static uint16_t absolute_read(http_head *head, const http_field *host, const char **path);
static bool path_is_well_formed(const char *path, uint32_t bytes);
static bool host_is_well_formed(const char *host, uint32_t bytes);
static bool list_next(const char **at, const char *end, const char **element, uint32_t *bytes);

uint16_t http_head_read(http_head *head) {
    TINA_ASSERT(head->minor <= 1);
    TINA_ASSERT(head->target_bytes > 0);
    framing_fields found = {0};
    for (uint32_t i = 0; i < head->field_count; i++) {
        uint16_t status = field_read(head, &found, &head->fields[i]);
        if (status != 0)
            return status;
    }
    // RFC 9112 §3.2: one Host in HTTP/1.1, and at most one in any message.
    if (found.host_count > 1 || (found.host_count == 0 && head->minor == 1))
        return 400;
    if (found.host_count == 1 && !host_is_well_formed(found.host->value, found.host->value_bytes))
        return 400;
    uint16_t status = framing_decide(head, &found);
    if (status != 0)
        return status;
    head->keep_alive = !found.close && (head->minor == 1 || found.keep_alive);
    if (head->minor == 0 || head->framing == HTTP_FRAMING_NONE)
        head->expects_continue = false; // RFC 9110 §10.1.1
    return target_read(head, found.host);
}

static uint16_t field_read(http_head *head, framing_fields *found, const http_field *field) {
    switch (field->name_bytes) {
    case 4:
        if (ascii_equal(field->name, "host", 4)) {
            found->host = field;
            found->host_count++;
        }
        return 0;
    case 6:
        if (ascii_equal(field->name, "expect", 6)) {
            if (field->value_bytes == 12 && ascii_equal(field->value, "100-continue", 12))
                head->expects_continue = true;
            else
                head->expects_other = true;
        }
        return 0;
    case 10:
        if (ascii_equal(field->name, "connection", 10))
            options_read(found, field);
        return 0;
    case 14:
        if (!ascii_equal(field->name, "content-length", 14))
            return 0;
        found->length_count++;
        return length_read(head, field);
    case 17:
        if (!ascii_equal(field->name, "transfer-encoding", 17))
            return 0;
        found->coding_present = true;
        return codings_read(found, field);
    default:
        return 0;
    }
}

// Digits only: no sign, no list, and nothing that wraps (RFC 9110 §8.6, RFC 9112 §6.3).
static uint16_t length_read(http_head *head, const http_field *field) {
    uint64_t length = 0;
    for (uint32_t i = 0; i < field->value_bytes; i++) {
        char byte = field->value[i];
        if (byte < '0' || byte > '9')
            return 400;
        if (__builtin_mul_overflow(length, 10u, &length) ||
            __builtin_add_overflow(length, (uint64_t)(byte - '0'), &length))
            return 400;
    }
    head->content_length = length;
    return field->value_bytes > 0 ? 0 : 400;
}

// Elements are tokens; what else they may be (parameters, quotes) no coding that we know has.
static uint16_t codings_read(framing_fields *found, const http_field *field) {
    const char *at = field->value;
    const char *end = field->value + field->value_bytes;
    const char *element;
    uint32_t bytes;
    do {
        bool more = list_next(&at, end, &element, &bytes);
        if (bytes == 0)
            return 400;
        for (uint32_t i = 0; i < bytes; i++) {
            if (!http_is_token_byte((uint8_t)element[i]))
                return 400;
        }
        bool chunked = bytes == 7 && ascii_equal(element, "chunked", 7);
        found->coding_count++;
        found->chunked_count += chunked;
        found->chunked_last = chunked;
        if (!more)
            return 0;
    } while (true);
}

static void options_read(framing_fields *found, const http_field *field) {
    const char *at = field->value;
    const char *end = field->value + field->value_bytes;
    const char *element;
    uint32_t bytes;
    bool more;
    do {
        more = list_next(&at, end, &element, &bytes);
        if (bytes == 5 && ascii_equal(element, "close", 5))
            found->close = true;
        if (bytes == 10 && ascii_equal(element, "keep-alive", 10))
            found->keep_alive = true;
    } while (more);
}

// RFC 9112 §6.3: where the message ends. Any doubt is 400; 501 is for one well-formed list of
// codings of which we do not understand all.
static uint16_t framing_decide(http_head *head, const framing_fields *found) {
    if (!found->coding_present) {
        if (found->length_count > 1)
            return 400;
        head->framing = head->content_length > 0 ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_NONE;
        return 0;
    }
    if (found->length_count > 0 || head->minor == 0)
        return 400;
    if (found->chunked_count > 1 || (found->chunked_count == 1 && !found->chunked_last))
        return 400;
    if (found->coding_count > 1 || found->chunked_count == 0)
        return 501;
    head->framing = HTTP_FRAMING_CHUNKED;
    return 0;
}

// The four forms of a request target, RFC 9112 §3.2.
static uint16_t target_read(http_head *head, const http_field *host) {
    if (head->method == HTTP_CONNECT)
        return 501; // RFC 9110 §9.3.6: a server that is no proxy has no use for it
    const char *end = head->target + head->target_bytes;
    if (head->target_bytes == 1 && head->target[0] == '*') {
        head->asterisk = true;
        head->path = end;
        return head->method == HTTP_OPTIONS ? 0 : 400;
    }
    const char *path = head->target;
    if (*path != '/') {
        uint16_t status = absolute_read(head, host, &path);
        if (status != 0)
            return status;
    }
    const char *query = memchr(path, '?', (size_t)(end - path));
    head->path = path;
    head->path_bytes = (uint32_t)((query != NULL ? query : end) - path);
    head->query = query != NULL ? query + 1 : NULL;
    head->query_bytes = query != NULL ? (uint32_t)(end - query - 1) : 0;
    if (head->path_bytes == 0) { // http://host and http://host?query, RFC 3986 §6.2.3
        head->path = "/";
        head->path_bytes = 1;
    }
    return path_is_well_formed(head->path, head->path_bytes) ? 0 : 400;
}

// A proxy might route by the target's authority and its backend by Host, so they have to be the
// same; user information is an error (RFC 9110 §4.2.4).
static uint16_t absolute_read(http_head *head, const http_field *host, const char **path) {
    const char *end = head->target + head->target_bytes;
    const char *authority;
    if (head->target_bytes > 7 && ascii_equal(head->target, "http://", 7))
        authority = head->target + 7;
    else if (head->target_bytes > 8 && ascii_equal(head->target, "https://", 8))
        authority = head->target + 8;
    else
        return 400;
    const char *after = authority;
    while (after < end && *after != '/' && *after != '?')
        after++;
    uint32_t bytes = (uint32_t)(after - authority);
    if (!host_is_well_formed(authority, bytes))
        return 400;
    if (host != NULL &&
        (host->value_bytes != bytes || !ascii_equal_any(authority, host->value, bytes)))
        return 400;
    *path = after;
    return 0;
}

static bool path_is_well_formed(const char *path, uint32_t bytes) {
    const char *end = path + bytes;
    const char *at = path;
    while ((at = memchr(at, '%', (size_t)(end - at))) != NULL) {
        if (end - at < 3 || ascii_hex(at[1]) < 0 || ascii_hex(at[2]) < 0)
            return false;
        at += 3;
    }
    return true;
}

// uri-host [ ":" port ], RFC 3986 §3.2.2: a reg-name or IPv4 address, or an IP literal in brackets.
static bool host_is_well_formed(const char *host, uint32_t bytes) {
    const char *at = host;
    const char *end = host + bytes;
    if (at < end && *at == '[') {
        const char *inside = ++at;
        while (at < end && (ascii_is_alnum(*at) || *at == ':' || *at == '.'))
            at++;
        if (at == inside || at == end || *at++ != ']')
            return false;
    } else {
        while (at < end &&
               (ascii_is_alnum(*at) || *at == '.' || strchr("-_~!$&'()*+;=%", *at) != NULL))
            at++;
        if (at == host)
            return false;
    }
    if (at == end)
        return true;
    if (*at++ != ':')
        return false;
    uint32_t port = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        port = port * 10 + (uint32_t)(*at - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

// list_next takes the element up to the next comma, without the whitespace around it, which may
// leave nothing. Returns whether a comma followed.
static bool list_next(const char **at, const char *end, const char **element, uint32_t *bytes) {
    const char *comma = memchr(*at, ',', (size_t)(end - *at));
    const char *first = *at;
    const char *last = comma != NULL ? comma : end;
    while (first < last && (*first == ' ' || *first == '\t'))
        first++;
    while (last > first && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    *element = first;
    *bytes = (uint32_t)(last - first);
    *at = comma != NULL ? comma + 1 : end;
    return comma != NULL;
}
