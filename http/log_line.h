// SPDX-License-Identifier: Apache-2.0
//
// One line of the access log. Whatever a client sends, it is one line of the format, since nothing
// of it is written as it is but printable characters that end neither a string nor a field.

#ifndef TINA_HTTP_LOG_LINE_H
#define TINA_HTTP_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Both are one line a request, times in UTC; see http_access_log.
typedef enum http_log_format {
    HTTP_LOG_NONE = 0,
    HTTP_LOG_COMMON, // NCSA's: host - - [time] "request line" status bytes
    HTTP_LOG_JSON, // an object: time, client, method, target, http, status, bytes, duration_us, id
} http_log_format;

typedef struct http_log_entry {
    uint64_t wall_s;      // when its head was here
    uint64_t duration_ns; // from then until the last byte of the response was given to the kernel
    uint64_t bytes;       // of the body, framing included, that were sent
    const char *client;   // text; NULL: not known
    const char *method;   // NULL: the request could not be read; target and minor too
    const char *target;   // as received
    int minor;            // HTTP/1.minor
    int status;           // 0: there was no response
    const char *id;       // NULL: none
} http_log_entry;

// Longer targets are cut, and "..." follows.
#define HTTP_LOG_TARGET_BYTES 1024u

// What any line fits into.
#define HTTP_LOG_LINE_BYTES 7168u

// http_log_line writes a line, its "\n" included, and returns its length.
size_t http_log_line(http_log_format format, const http_log_entry *entry,
                     char out[HTTP_LOG_LINE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
