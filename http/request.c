// SPDX-License-Identifier: Apache-2.0
#include "http/request.h"

#include <string.h>

#include "core/assert.h"
#include "core/bits.h"
#include "http/ascii.h"
#include "http/exchange.h"

static const char *query_value(const char *query, const char *name);
static const char *query_byte(const char *at, char *byte);
static const char *text_copy(http_request *request, const char *text, uint32_t bytes);

http_method http_request_method(const http_request *request) {
    return (http_method)request->head->method;
}

const char *http_target(const http_request *request) {
    return request->head->target;
}

const char *http_path(http_request *request) {
    if (request->path == NULL)
        request->path = text_copy(request, request->head->path, request->head->path_bytes);
    return request->path;
}

const char *http_param(http_request *request, const char *name) {
    if (request->match.route == NULL) // a hook asks, of a path that none has
        return NULL;
    int index = http_pattern_param(request->match.route->pattern, name);
    if (index < 0)
        return NULL;
    TINA_ASSERT((uint32_t)index < request->match.param_count);
    http_span span = request->match.params[index];
    char *text = http_scratch(request, span.bytes + 1);
    if (text == NULL)
        return "";
    text[http_percent_decode(span.text, span.bytes, text)] = '\0';
    return text;
}

const char *http_query(http_request *request, const char *name) {
    if (request->head->query == NULL)
        return NULL;
    const char *value = query_value(request->head->query, name);
    if (value == NULL)
        return NULL;
    char *text = http_scratch(request, strcspn(value, "&") + 1);
    if (text == NULL)
        return NULL;
    char *end = text;
    while (*value != '\0' && *value != '&') {
        value = query_byte(value, end);
        if (*end++ == '\0')
            return NULL;
    }
    *end = '\0';
    return text;
}

const char *http_header(const http_request *request, const char *name) {
    size_t bytes = strlen(name);
    for (uint32_t i = 0; i < request->head->field_count; i++) {
        const http_field *field = &request->head->fields[i];
        if (field->name_bytes == bytes && ascii_equal_any(field->name, name, bytes))
            return field->value;
    }
    return NULL;
}

uint32_t http_header_count(const http_request *request) {
    return request->head->field_count;
}

const char *http_header_at(const http_request *request, uint32_t index, const char **name) {
    TINA_ASSERT(index < request->head->field_count);
    *name = request->head->fields[index].name;
    return request->head->fields[index].value;
}

tina_bytes http_body(const http_request *request) {
    return request->body;
}

bool http_body_ended(const http_request *request) {
    return request->body_ended;
}

void *http_state(http_request *request) {
    return request->match.route->state_bytes > 0 ? request->state : NULL;
}

void *http_scratch(http_request *request, size_t bytes) {
    size_t there = request->scratch_bytes - request->scratch_used;
    if (bytes > there || tina_align_up(bytes, 16) > there) {
        request->scratch_short = true;
        return NULL;
    }
    void *memory = request->scratch + request->scratch_used;
    request->scratch_used += (uint32_t)tina_align_up(bytes, 16);
    return memory;
}

tina_ctx *http_ctx(http_request *request) {
    request->exposed = true;
    return request->ctx;
}

const tina_message *http_message(const http_request *request) {
    return request->message;
}

// The text behind the "=" of the first parameter that is called so: to "&" or the end; "" when it
// has no "=".
static const char *query_value(const char *query, const char *name) {
    for (const char *at = query;; at++) {
        const char *want = name;
        bool same = true;
        while (*at != '\0' && *at != '&' && *at != '=') {
            char byte;
            at = query_byte(at, &byte);
            same = same && *want == byte && byte != '\0';
            want += same;
        }
        if (same && *want == '\0')
            return *at == '=' ? at + 1 : "";
        at += strcspn(at, "&");
        if (*at == '\0')
            return NULL;
    }
}

// As browsers and the URL standard decode forms: a "%" that is not followed by two digits is
// itself.
static const char *query_byte(const char *at, char *byte) {
    if (*at == '%' && ascii_hex(at[1]) >= 0 && ascii_hex(at[2]) >= 0) {
        *byte = (char)(ascii_hex(at[1]) * 16 + ascii_hex(at[2]));
        return at + 3;
    }
    *byte = *at == '+' ? ' ' : *at;
    return at + 1;
}

static const char *text_copy(http_request *request, const char *text, uint32_t bytes) {
    char *copy = http_scratch(request, bytes + 1);
    if (copy == NULL)
        return "";
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}
