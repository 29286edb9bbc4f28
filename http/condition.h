// SPDX-License-Identifier: Apache-2.0
//
// Conditional requests, RFC 9110 §13, and which content codings a client takes, §12.5.3.

#ifndef TINA_HTTP_CONDITION_H
#define TINA_HTTP_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "http/message.h"

#ifdef __cplusplus
extern "C" {
#endif

// What is known of the current state of what is asked for.
typedef struct http_validators {
    const char *etag;    // strong, with its quotes
    uint64_t modified_s; // since 1970
    uint64_t wall_s;
} http_validators;

// http_condition returns what the fields of a GET or HEAD come to, in §13.2.2's order: 304, 412, or
// 0, which is: answer.
int http_condition(const http_head *head, const http_validators *validators);

// http_range_applies tells whether If-Range, if it is there, lets a Range field count.
bool http_range_applies(const http_head *head, const http_validators *validators);

// http_accepts_coding tells whether Accept-Encoding names a coding (in small letters), or "*", with
// another weight than 0.
bool http_accepts_coding(const http_head *head, const char *coding);

#ifdef __cplusplus
}
#endif

#endif
