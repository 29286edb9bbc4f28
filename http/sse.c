// SPDX-License-Identifier: Apache-2.0
#include "http/sse.h"

#include <string.h>

#include "core/format.h"
#include "http/sse_lines.h"

static void event_write(http_sse_lines *lines, const void *event);
static void comment_write(http_sse_lines *lines, const void *text);

bool http_sse_begin(http_request *request, http_response *response) {
    http_set_header(response, "Cache-Control", "no-cache");
    http_stream_begin(response, 200, "text/event-stream", HTTP_BYTES_UNKNOWN);
    return http_request_method(request) != HTTP_HEAD;
}

const char *http_sse_last_id(const http_request *request) {
    return http_header(request, "Last-Event-ID");
}

http_sse_result http_sse_event(http_response *response, const http_sse *event) {
    if ((event->event != NULL && !http_sse_is_line(event->event)) ||
        (event->id != NULL && !http_sse_is_line(event->id)))
        return HTTP_SSE_REFUSED;
    return http_sse_write(response, event, event_write);
}

http_sse_result http_sse_comment(http_response *response, const char *text) {
    return http_sse_write(response, text, comment_write);
}

static void event_write(http_sse_lines *lines, const void *event) {
    const http_sse *e = event;
    http_sse_put_begin(lines, e);
    if (e->data != NULL)
        http_sse_put_lines(lines, "data: ", e->data,
                           e->data_bytes > 0 ? e->data_bytes : strlen(e->data));
    http_sse_put(lines, "\n", 1);
}

static void comment_write(http_sse_lines *lines, const void *text) {
    http_sse_put_lines(lines, ": ", text, strlen(text));
    http_sse_put(lines, "\n", 1);
}

http_sse_result http_sse_write(http_response *response, const void *event,
                               void (*write)(http_sse_lines *lines, const void *event)) {
    http_sse_lines measured = {NULL, 0};
    write(&measured, event);
    if (measured.bytes > http_room(response))
        return HTTP_SSE_FULL;
    http_sse_lines lines = {response, 0};
    write(&lines, event);
    return HTTP_SSE_OK;
}

void http_sse_put(http_sse_lines *lines, const char *text, size_t bytes) {
    lines->bytes += bytes;
    if (lines->response != NULL)
        http_write(lines->response, text, bytes);
}

void http_sse_put_field(http_sse_lines *lines, const char *name, const char *value) {
    http_sse_put(lines, name, strlen(name));
    http_sse_put(lines, ": ", 2);
    http_sse_put(lines, value, strlen(value));
    http_sse_put(lines, "\n", 1);
}

void http_sse_put_begin(http_sse_lines *lines, const http_sse *event) {
    if (event->event != NULL)
        http_sse_put_field(lines, "event", event->event);
    if (event->id != NULL)
        http_sse_put_field(lines, "id", event->id);
    if (event->retry_ms != 0) {
        char digits[16];
        tina_format(digits, sizeof digits, "%u", event->retry_ms);
        http_sse_put_field(lines, "retry", digits);
    }
}

static bool is_break(char byte) {
    return byte == '\r' || byte == '\n';
}

void http_sse_put_lines(http_sse_lines *lines, const char *prefix, const char *text, size_t bytes) {
    http_sse_put(lines, prefix, strlen(prefix));
    http_sse_put_text(lines, prefix, text, bytes);
    http_sse_put(lines, "\n", 1);
}

void http_sse_put_text(http_sse_lines *lines, const char *prefix, const char *text, size_t bytes) {
    for (size_t at = 0;;) {
        size_t end = at;
        while (end < bytes && !is_break(text[end]))
            end++;
        http_sse_put(lines, text + at, end - at);
        if (end == bytes)
            return;
        http_sse_put(lines, "\n", 1);
        http_sse_put(lines, prefix, strlen(prefix));
        bool pair = text[end] == '\r' && end + 1 < bytes && text[end + 1] == '\n';
        at = end + (pair ? 2 : 1);
    }
}

bool http_sse_is_line(const char *text) {
    return text != NULL && text[strcspn(text, "\r\n")] == '\0';
}
