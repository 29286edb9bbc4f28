// SPDX-License-Identifier: Apache-2.0
//
// Writes an event's lines, twice: first only to measure them, so that all of them are written or
// none.

#ifndef TINA_HTTP_SSE_LINES_H
#define TINA_HTTP_SSE_LINES_H

#include "http/sse.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_sse_lines {
    http_response *response; // NULL: measure only
    size_t bytes;
} http_sse_lines;

void http_sse_put(http_sse_lines *lines, const char *text, size_t bytes);

// http_sse_put_field writes one line, `name: value`.
void http_sse_put_field(http_sse_lines *lines, const char *name, const char *value);

// http_sse_put_lines writes each line of text behind the prefix; "" is one line. A line ends with
// CR, LF or CR LF.
void http_sse_put_lines(http_sse_lines *lines, const char *prefix, const char *text, size_t bytes);

// http_sse_put_text writes text, and the prefix behind each of its line breaks.
void http_sse_put_text(http_sse_lines *lines, const char *prefix, const char *text, size_t bytes);

// http_sse_put_begin writes the lines event, id and retry; those that are NULL or 0 are left out.
void http_sse_put_begin(http_sse_lines *lines, const http_sse *event);

// http_sse_is_line tells whether text can be the value of a line: not NULL, and without a break.
bool http_sse_is_line(const char *text);

// http_sse_write has `write` write what event is, if it fits.
http_sse_result http_sse_write(http_response *response, const void *event,
                               void (*write)(http_sse_lines *lines, const void *event));

#ifdef __cplusplus
}
#endif

#endif
