// SPDX-License-Identifier: Apache-2.0
//
// The Date field's value, RFC 9110 §5.6.7: rendered when a response asks for it and the second has
// changed, never by a timer.

#ifndef TINA_HTTP_DATE_H
#define TINA_HTTP_DATE_H

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

#ifdef __cplusplus
}
#endif

#endif
