// SPDX-License-Identifier: Apache-2.0
//
// Cookies, RFC 6265 and what browsers have added to it (RFC 6265bis: SameSite, name prefixes).

#ifndef TINA_HTTP_COOKIE_H
#define TINA_HTTP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/request.h"
#include "http/response.h"
#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

// http_cookie returns the value of the first cookie of that name (which is compared byte by byte),
// as it was sent, in scratch; NULL when there is none.
const char *http_cookie(http_request *request, const char *name);

// For all cookies, in the order received: a cursor that begins as zeros.
typedef struct http_cookie_cursor {
    tina_bytes name;
    tina_bytes value;
    const char *at; // where to go on
    uint32_t field;
} http_cookie_cursor;

// http_cookie_next finds the next cookie; false when there is none. What is no "name=value" is left
// out.
bool http_cookie_next(const http_request *request, http_cookie_cursor *cursor);

typedef enum http_same_site {
    HTTP_SAME_SITE_LAX = 0,
    HTTP_SAME_SITE_STRICT,
    HTTP_SAME_SITE_NONE, // needs .secure
} http_same_site;

// Zero is the default: until the browser ends, for this host and all its paths, not for scripts.
typedef struct http_cookie_options {
    int64_t max_age_s;  // 0: until the browser ends; below 0: forget it now
    const char *path;   // default "/"
    const char *domain; // and those below it; default this host alone
    http_same_site same_site;
    bool secure;      // over TLS only, which a proxy in front may end
    bool for_scripts; // document.cookie has it too
} http_cookie_options;

// http_set_cookie adds a cookie to the response; options may be NULL. It returns false, and the
// response will be 500, when the name is no token, the value has a blank, a quote, a comma, a
// semicolon, a backslash or a control, an attribute has what would end it, or a name that begins
// with __Secure- or __Host- lacks what that promises.
bool http_set_cookie(http_response *response, const char *name, const char *value,
                     const http_cookie_options *options);

#ifdef __cplusplus
}
#endif

#endif
