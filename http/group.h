// SPDX-License-Identifier: Apache-2.0
//
// Hooks: what is done for many routes alike, before and after their handlers.
//
//     head is here ─▶ before ─▶ before ─▶ handler ─▶ status is known ─▶ after ─▶ after ─▶ head is
//     sent
//                       └───── any may answer instead ──────▶┘
//
// A group gives hooks to routes by what their patterns begin with, so that no spelling of a path
// goes round them. Hooks run group by group in the order given, the after ones in reverse.

#ifndef TINA_HTTP_GROUP_H
#define TINA_HTTP_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "http/request.h"
#include "http/response.h"

#ifdef __cplusplus
extern "C" {
#endif

// Either function may be NULL. They are handlers in all that these may do and must not.
typedef struct http_hook {
    // Called once the head is here, before the body: http_pass lets the request go on; any other
    // step answers it, or goes on to, as a handler of a streamed route would.
    http_step (*before)(http_request *request, http_response *response, const void *context);
    // Called once the status is known, also one that the server answers with; may add fields. Not
    // for a request whose head was refused. When the response then cannot be made, called again
    // with 500.
    void (*after)(http_request *request, http_response *response, int status, const void *context);
    const void *context; // static
} http_hook;

typedef struct http_route_group {
    const char *prefix; // "/api" is for the patterns "/api" and "/api/...". Default: every request,
                        // also those that no route has. Static
    const http_hook *hooks; // static
    uint32_t hook_count;
    bool unlogged; // its routes' requests are not in the access log
} http_route_group;

typedef struct http_route_groups {
    const http_route_group *group;
    uint32_t count; // at most HTTP_GROUP_COUNT_MAX
} http_route_groups;

#define HTTP_GROUP_COUNT_MAX 64u

#ifdef __cplusplus
#define HTTP_ROUTE_GROUPS(array)                                                                   \
    (http_route_groups{(array), (uint32_t)(sizeof(array) / sizeof((array)[0]))})
#else
#define HTTP_ROUTE_GROUPS(array)                                                                   \
    ((http_route_groups){(array), (uint32_t)(sizeof(array) / sizeof((array)[0]))})
#endif

// Two of a group's fields, hooks and hook_count: .hooks = HTTP_HOOKS(array).
#define HTTP_HOOKS(array) (array), (uint32_t)(sizeof(array) / sizeof((array)[0]))

// http_pass is a before hook's step that lets the request go on.
http_step http_pass(http_response *response);

#ifdef __cplusplus
}
#endif

#endif
