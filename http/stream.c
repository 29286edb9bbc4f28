// SPDX-License-Identifier: Apache-2.0
//
// A response that is written bit by bit. What was written since the last send is one chunk, whose
// size line is filled in when it ends:
//
//     out ─▶ |  head, in the first send  |  0001c\r\n  |  what is written  |  \r\n  |  0\r\n\r\n  |
#include <string.h>

#include "core/assert.h"
#include "http/exchange.h"
#include "http/method.h"

#define DIGITS     8u // of a chunk's size: any uint32_t
#define LINE_BYTES (DIGITS + 2)
#define END_BYTES  7u // the line end after a chunk's data, the last chunk, an empty line

static http_stream_kind stream_kind(const http_response *response, int status, uint64_t bytes);
static void chunk_begin(http_response *response);
static void chunk_end(http_response *response);
static void last_chunk_write(http_response *response);
static void text_add(http_response *response, const void *text, size_t bytes);

void http_stream_begin(http_response *response, int status, const char *content_type,
                       uint64_t bytes) {
    http_type_check(response, content_type);
    if (!http_response_may_begin(response, status))
        return;
    response->stream = (uint8_t)stream_kind(response, status, bytes);
    response->left = bytes;
    response->chunk = 0;
    response->close = response->close || response->stream == HTTP_STREAM_TO_CLOSE;
    uint8_t *end = http_head_write(response, status, content_type, bytes);
    response->bytes = (uint32_t)(end - response->out);
}

static http_stream_kind stream_kind(const http_response *response, int status, uint64_t bytes) {
    const http_head *head = response->request->head;
    if (head->method == HTTP_HEAD || !http_status_has_body(status))
        return HTTP_STREAM_NOWHERE;
    if (bytes != HTTP_BYTES_UNKNOWN)
        return HTTP_STREAM_LENGTH;
    return head->minor == 0 ? HTTP_STREAM_TO_CLOSE : HTTP_STREAM_CHUNKS;
}

size_t http_room(const http_response *response) {
    if (response->stream == HTTP_STREAM_NOWHERE)
        return SIZE_MAX;
    size_t taken = response->bytes;
    if (response->stream == HTTP_STREAM_CHUNKS)
        taken += END_BYTES + (response->chunk == 0 ? LINE_BYTES : 0);
    return response->capacity > taken ? response->capacity - taken : 0;
}

bool http_write(http_response *response, const void *data, size_t bytes) {
    if (response->fault != NULL)
        return false;
    TINA_ASSERT(response->stream != HTTP_STREAM_NONE && response->stream != HTTP_STREAM_TRAILERS);
    TINA_ASSERT(!response->complete);
    if (bytes == 0 || response->stream == HTTP_STREAM_NOWHERE)
        return true;
    if (bytes > http_room(response))
        return false;
    if (response->stream == HTTP_STREAM_LENGTH) {
        if (bytes > response->left) {
            http_response_fault(response, "its body is longer than was said");
            return false;
        }
        response->left -= bytes;
    }
    if (response->stream == HTTP_STREAM_CHUNKS && response->chunk == 0)
        chunk_begin(response);
    text_add(response, data, bytes);
    return true;
}

bool http_set_trailer(http_response *response, const char *name, const char *value) {
    if (response->fault != NULL)
        return false;
    TINA_ASSERT(response->stream != HTTP_STREAM_NONE && !response->complete);
    size_t name_bytes = strlen(name);
    size_t value_bytes = strlen(value);
    const char *why = http_field_fault(name, name_bytes, value);
    if (why != NULL) {
        http_response_fault(response, why);
        return false;
    }
    if (response->stream != HTTP_STREAM_CHUNKS && response->stream != HTTP_STREAM_TRAILERS)
        return true;
    size_t room = response->capacity - response->bytes;
    if (name_bytes + value_bytes + 4 + END_BYTES > room)
        return false;
    if (response->stream == HTTP_STREAM_CHUNKS)
        last_chunk_write(response);
    text_add(response, name, name_bytes);
    text_add(response, ": ", 2);
    text_add(response, value, value_bytes);
    text_add(response, "\r\n", 2);
    return true;
}

http_step http_read(http_response *response, http_handler next) {
    chunk_end(response);
    response->next = next;
    return (http_step){HTTP_STEP_READ};
}

http_step http_stream(http_response *response, http_handler next) {
    chunk_end(response);
    response->next = next;
    return (http_step){HTTP_STEP_STREAM};
}

http_step http_wait(http_response *response, http_handler next, uint64_t timeout_ns) {
    chunk_end(response);
    response->next = next;
    response->wait_ns = timeout_ns;
    return (http_step){HTTP_STEP_WAIT};
}

http_step http_call(http_response *response, tina_effect call, http_handler next) {
    response->next = next;
    response->call = call;
    return (http_step){HTTP_STEP_CALL};
}

http_step http_end(http_response *response) {
    if (response->fault != NULL)
        return (http_step){HTTP_STEP_ANSWERED};
    TINA_ASSERT(response->stream != HTTP_STREAM_NONE && !response->complete);
    response->complete = true;
    if (response->stream == HTTP_STREAM_LENGTH && response->left > 0)
        return http_response_fault(response, "its body is shorter than was said");
    if (response->stream == HTTP_STREAM_CHUNKS)
        last_chunk_write(response);
    if (response->stream == HTTP_STREAM_TRAILERS)
        text_add(response, "\r\n", 2);
    return (http_step){HTTP_STEP_ANSWERED};
}

static void chunk_begin(http_response *response) {
    response->bytes += LINE_BYTES;
    response->chunk = response->bytes;
}

static void chunk_end(http_response *response) {
    if (response->chunk == 0)
        return;
    static const char digits[] = "0123456789abcdef";
    uint8_t *line = response->out + response->chunk - LINE_BYTES;
    uint32_t size = response->bytes - response->chunk;
    TINA_ASSERT(size > 0);
    for (uint32_t i = 0; i < DIGITS; i++)
        line[i] = (uint8_t)digits[size >> (4 * (DIGITS - 1 - i)) & 15];
    line[DIGITS] = '\r';
    line[DIGITS + 1] = '\n';
    response->chunk = 0;
    text_add(response, "\r\n", 2);
}

static void last_chunk_write(http_response *response) {
    chunk_end(response);
    text_add(response, "0\r\n", 3);
    response->stream = HTTP_STREAM_TRAILERS;
}

static void text_add(http_response *response, const void *text, size_t bytes) {
    TINA_ASSERT(bytes <= response->capacity - response->bytes);
    memcpy(response->out + response->bytes, text, bytes);
    response->bytes += (uint32_t)bytes;
}
