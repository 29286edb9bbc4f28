// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/ascii.h"
#include "http/exchange.h"
#include "http/lines.h"

static http_step format_answer(http_response *response, int status, const char *content_type,
                               const char *format, va_list arguments);
static http_step answer(http_response *response, int status, const char *content_type,
                        tina_bytes body);
static http_step answer_in_place(http_response *response, int status, const char *content_type,
                                 tina_bytes body);
static http_step status_answer(http_response *response, int status, uint64_t methods);
static void allow_add(http_response *response, uint64_t methods);
static bool may_answer(http_response *response, int status);
static uint8_t *head_end(http_response *response, uint8_t *at);
static uint8_t *text_put(uint8_t *at, const char *text, size_t bytes);
static uint8_t *number_put(uint8_t *at, uint64_t number);
static bool is_servers_own(const char *name, size_t bytes);
static bool value_is_clean(const char *value);

#define TEXT_PUT(at, literal) text_put((at), (literal), sizeof(literal) - 1)

http_step http_json(http_response *response, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    http_step step = format_answer(response, status, "application/json", format, arguments);
    va_end(arguments);
    return step;
}

http_step http_text(http_response *response, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    http_step step =
        format_answer(response, status, "text/plain; charset=utf-8", format, arguments);
    va_end(arguments);
    return step;
}

http_step http_bytes(http_response *response, int status, const char *content_type,
                     const void *data, size_t bytes) {
    http_type_check(response, content_type);
    if (!may_answer(response, status))
        return (http_step){HTTP_STEP_ANSWERED};
    tina_bytes body = {data, bytes};
    if (bytes <= response->capacity - HTTP_RESPONSE_ROOM_BYTES - response->fields_bytes)
        return answer(response, status, content_type, body);
    tina_bytes received = response->request->body;
    const uint8_t *first = received.data;
    const uint8_t *given = data;
    if (received.bytes == 0 || given < first || given > first + received.bytes ||
        bytes > (size_t)(first + received.bytes - given))
        return http_response_fault(response, "its body is larger than the server's response_bytes");
    return answer_in_place(response, status, content_type, body);
}

http_step http_static(http_response *response, int status, const char *content_type,
                      const void *data, size_t bytes) {
    http_type_check(response, content_type);
    if (!may_answer(response, status))
        return (http_step){HTTP_STEP_ANSWERED};
    return answer_in_place(response, status, content_type, (tina_bytes){data, bytes});
}

http_step http_empty(http_response *response, int status) {
    if (!may_answer(response, status))
        return (http_step){HTTP_STEP_ANSWERED};
    return answer(response, status, NULL, (tina_bytes){NULL, 0});
}

http_step http_redirect(http_response *response, int status, const char *location) {
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        http_response_fault(response, "its status is none of a redirect");
    for (const char *byte = location; *byte != '\0'; byte++) {
        if (*byte <= ' ' || *byte >= 0x7F)
            http_response_fault(response, "its location is not percent-encoded");
    }
    if (*location == '\0')
        http_response_fault(response, "its location is empty");
    if (response->fault == NULL)
        http_set_header(response, "Location", location);
    return http_empty(response, status);
}

bool http_set_header(http_response *response, const char *name, const char *value) {
    TINA_ASSERT(!response->answered);
    size_t name_bytes = strlen(name);
    size_t value_bytes = strlen(value);
    const char *why = http_field_fault(name, name_bytes, value);
    if (why == NULL && name_bytes + value_bytes + 4 >
                           response->capacity - HTTP_RESPONSE_ROOM_BYTES - response->fields_bytes)
        why = "its fields are larger than the server's response_bytes";
    if (why != NULL) {
        http_response_fault(response, why);
        return false;
    }
    if (name_bytes == 12 && ascii_equal(name, "content-type", 12))
        response->has_type = true;
    uint8_t *first = response->out + HTTP_RESPONSE_ROOM_BYTES + response->fields_bytes;
    uint8_t *at = text_put(first, name, name_bytes);
    at = TEXT_PUT(at, ": ");
    at = text_put(at, value, value_bytes);
    at = TEXT_PUT(at, "\r\n");
    response->fields_bytes += (uint32_t)(at - first);
    return true;
}

void http_response_begin(http_response *response, http_request *request, uint8_t *out,
                         uint32_t capacity) {
    TINA_ASSERT(capacity >= HTTP_RESPONSE_BYTES_LEAST);
    response->request = request;
    response->out = out;
    response->capacity = capacity;
    response->close = false;
    response->body_left = false;
    http_response_reset(response);
}

void http_response_move(http_response *response, uint8_t *out) {
    if (response->fields_bytes > 0 && !response->answered)
        memmove(out + HTTP_RESPONSE_ROOM_BYTES, response->out + HTTP_RESPONSE_ROOM_BYTES,
                response->fields_bytes);
    response->out = out;
    response->bytes = 0;
}

void http_response_reset(http_response *response) {
    response->bytes = 0;
    response->fields_bytes = 0;
    response->chunk = 0;
    response->stream = HTTP_STREAM_NONE;
    response->has_type = false;
    response->answered = false;
    response->complete = false;
    response->fault = NULL;
    response->tail = (tina_bytes){NULL, 0};
}

// What hooks add may be what does not fit: the status goes without it then.
http_step http_respond_status(http_response *response, int status, uint64_t methods) {
    http_step step = status_answer(response, status, methods);
    if (response->fault != NULL) {
        response->request->group_bits = 0;
        step = status_answer(response, status, methods);
    }
    TINA_ASSERT(response->fault == NULL);
    return step;
}

static http_step status_answer(http_response *response, int status, uint64_t methods) {
    http_response_reset(response);
    response->request->scratch_short = false; // the handler's, or a hook's
    if (methods != 0)
        allow_add(response, methods);
    return http_status_has_body(status)
               ? http_text(response, status, "%d %s\n", status, http_reason(status))
               : http_empty(response, status);
}

static void allow_add(http_response *response, uint64_t methods) {
    char allow[HTTP_RESPONSE_BYTES_LEAST - HTTP_RESPONSE_ROOM_BYTES - 64];
    size_t bytes = 0;
    for (int method = 1; method < HTTP_METHOD_COUNT; method++) {
        if (!(methods >> method & 1))
            continue;
        bytes += tina_format(allow + bytes, sizeof allow - bytes, "%s%s", bytes ? ", " : "",
                             http_method_name((http_method)method));
        TINA_ASSERT(bytes < sizeof allow);
    }
    http_set_header(response, "Allow", allow);
}

// The body is formatted where the head may still grow to, and then moves down to the head.
static http_step format_answer(http_response *response, int status, const char *content_type,
                               const char *format, va_list arguments) {
    if (!may_answer(response, status))
        return (http_step){HTTP_STEP_ANSWERED};
    uint8_t *at = response->out + HTTP_RESPONSE_ROOM_BYTES + response->fields_bytes;
    size_t room = (size_t)(response->out + response->capacity - at);
    size_t bytes = tina_format_v((char *)at, room, format, arguments);
    if (bytes >= room)
        return http_response_fault(response, "its body is larger than the server's response_bytes");
    return answer(response, status, content_type, (tina_bytes){at, bytes});
}

static http_step answer(http_response *response, int status, const char *content_type,
                        tina_bytes body) {
    uint8_t *at = http_head_write(response, status, content_type, body.bytes);
    const http_head *head = response->request->head;
    bool to_head = head != NULL ? head->method == HTTP_HEAD : response->request->to_head;
    if (!to_head && http_status_has_body(status) && body.bytes > 0) {
        memmove(at, body.data, body.bytes);
        at += body.bytes;
    }
    response->bytes = (uint32_t)(at - response->out);
    TINA_ASSERT(response->bytes <= response->capacity);
    return (http_step){HTTP_STEP_ANSWERED};
}

// The head in the output, the body from where it lies.
static http_step answer_in_place(http_response *response, int status, const char *content_type,
                                 tina_bytes body) {
    uint8_t *end = http_head_write(response, status, content_type, body.bytes);
    response->bytes = (uint32_t)(end - response->out);
    if (response->request->head->method != HTTP_HEAD && http_status_has_body(status))
        response->tail = body;
    return (http_step){HTTP_STEP_ANSWERED};
}

http_step http_response_fault(http_response *response, const char *why) {
    if (response->fault == NULL)
        response->fault = why;
    return (http_step){HTTP_STEP_ANSWERED};
}

void http_type_check(http_response *response, const char *content_type) {
    if (!value_is_clean(content_type) || strlen(content_type) > HTTP_CONTENT_TYPE_BYTES)
        http_response_fault(response, "its content type is no field value, or too long");
}

static bool may_answer(http_response *response, int status) {
    response->complete = true;
    response->close = response->close || response->body_left;
    return http_response_may_begin(response, status);
}

bool http_response_may_begin(http_response *response, int status) {
    TINA_ASSERT(!response->answered); // a handler answers once
    if (response->request->scratch_short)
        http_response_fault(response, "the handler's scratch was used up");
    if (status < 200 || status > 599)
        http_response_fault(response, "its status is not one of 200 to 599");
    response->status = status;
    if (response->fault == NULL)
        http_hooks_after(response, status);
    response->answered = true;
    return response->fault == NULL;
}

// Returns where the body goes.
uint8_t *http_head_write(http_response *response, int status, const char *content_type,
                         uint64_t body_bytes) {
    uint8_t *at = response->out;
    const char *reason = http_reason(status);
    at = TEXT_PUT(at, "HTTP/1.1 ");
    at = number_put(at, (uint64_t)status);
    at = TEXT_PUT(at, " ");
    at = text_put(at, reason, strlen(reason));
    at = TEXT_PUT(at, "\r\nDate: ");
    at = text_put(at, http_date_text(response->date, response->wall_s), HTTP_DATE_BYTES);
    if (content_type != NULL && !response->has_type && http_status_has_body(status)) {
        at = TEXT_PUT(at, "\r\nContent-Type: ");
        at = text_put(at, content_type, strlen(content_type));
    }
    if (http_status_has_body(status) && body_bytes != HTTP_BYTES_UNKNOWN) {
        at = TEXT_PUT(at, "\r\nContent-Length: ");
        at = number_put(at, body_bytes);
    }
    at = head_end(response, at);
    response->head_bytes = (uint32_t)(at - response->out);
    return at;
}

static uint8_t *head_end(http_response *response, uint8_t *at) {
    if (response->stream == HTTP_STREAM_CHUNKS)
        at = TEXT_PUT(at, "\r\nTransfer-Encoding: chunked");
    const http_head *head = response->request->head;
    if (response->close)
        at = TEXT_PUT(at, "\r\nConnection: close");
    else if (head != NULL && head->minor == 0)
        at = TEXT_PUT(at, "\r\nConnection: keep-alive");
    at = TEXT_PUT(at, "\r\n");
    TINA_ASSERT(at + 2 <= response->out + HTTP_RESPONSE_ROOM_BYTES);
    if (response->fields_bytes > 0) {
        memmove(at, response->out + HTTP_RESPONSE_ROOM_BYTES, response->fields_bytes);
        at += response->fields_bytes;
    }
    return TEXT_PUT(at, "\r\n");
}

// RFC 9110 §15.3.5, §15.4.5, and §8.6: neither a body nor its length.
bool http_status_has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

static uint8_t *text_put(uint8_t *at, const char *text, size_t bytes) {
    memcpy(at, text, bytes);
    return at + bytes;
}

static uint8_t *number_put(uint8_t *at, uint64_t number) {
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return text_put(at, digits + first, sizeof digits - first);
}

const char *http_field_fault(const char *name, size_t name_bytes, const char *value) {
    bool token = name_bytes > 0;
    for (size_t i = 0; i < name_bytes; i++)
        token = token && http_is_token_byte((uint8_t)name[i]);
    if (!token)
        return "a field's name is no token";
    if (!value_is_clean(value))
        return "a field's value holds a control character";
    return is_servers_own(name, name_bytes) ? "a field is one that the server writes" : NULL;
}

static bool is_servers_own(const char *name, size_t bytes) {
    static const char *const own[] = {"connection", "content-length", "date",
                                      "keep-alive", "trailer",        "transfer-encoding"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strlen(own[i]) == bytes && ascii_equal(name, own[i], bytes))
            return true;
    }
    return false;
}

static bool value_is_clean(const char *value) {
    for (; *value != '\0'; value++) {
        if (!http_is_value_byte((uint8_t)*value))
            return false;
    }
    return true;
}
