// SPDX-License-Identifier: Apache-2.0
//
// A name for each request, for logs: 16 hexadecimal digits, told to the client in a field. Unlike
// those of other shards and other runs as far as chance goes; no secret, since one tells the next.
//
//     static const http_hook hooks[] = {HTTP_REQUEST_ID(NULL)};

#ifndef TINA_HTTP_REQUEST_ID_H
#define TINA_HTTP_REQUEST_ID_H

#include <stdbool.h>

#include "http/group.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_request_id_rule {
    const char *field; // default "X-Request-Id"; static
    bool trusted;      // a request that brings the field names itself: only for where nobody but a
                       // proxy that sets it can connect. Names of 1 to 64 of A-Z a-z 0-9 - . _
} http_request_id_rule;

#define HTTP_REQUEST_ID_BYTES_MAX 64u

// clang-format off
#define HTTP_REQUEST_ID(rule) {http_request_id_make, http_request_id_tell, (rule)}
// clang-format on

// http_request_id returns the request's name, or NULL when no hook has made one.
const char *http_request_id(const http_request *request);

http_step http_request_id_make(http_request *request, http_response *response, const void *rule);
void http_request_id_tell(http_request *request, http_response *response, int status,
                          const void *rule);

#ifdef __cplusplus
}
#endif

#endif
