// SPDX-License-Identifier: Apache-2.0
//
// HTTP's dates, RFC 9110 §5.6.7. The Date field's is rendered when a response asks for it and the
// second has changed, never by a timer.

#ifndef TINA_HTTP_DATE_H
#define TINA_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HTTP_DATE_BYTES 29 // "Sun, 06 Nov 1994 08:49:37 GMT"

typedef struct http_date {
    uint64_t wall_s; // of text, when that is not empty
    char text[HTTP_DATE_BYTES + 1];
} http_date;

// http_date_text returns the date's text at wall_s (seconds since 1970, UTC; the year is at most
// 9999), valid until the next call. *date starts out zeroed.
const char *http_date_text(http_date *date, uint64_t wall_s);

// http_date_write writes HTTP_DATE_BYTES and a NUL to text; seconds as above.
void http_date_write(char *text, uint64_t seconds);

// http_date_read reads a date in any of the three forms that a recipient must know. False when text
// is none of them, or names no day that there is, or one before 1970. wall_s is for the form whose
// year has two digits.
bool http_date_read(const char *text, uint64_t wall_s, uint64_t *seconds);

#ifdef __cplusplus
}
#endif

#endif
