// SPDX-License-Identifier: Apache-2.0
//
// Who asks: hooks that let a request go on only when a function of the program's knows its
// credentials (RFC 7617 basic, RFC 6750 bearer). What is refused is answered 401 before its body is
// read.
//
//     static bool knows(http_request *req, const char *user, const char *password, void *context);
//     static const http_auth staff = {.realm = "staff", .basic = knows};
//     static const http_hook hooks[] = {HTTP_BASIC_AUTH(&staff)};
//     static const http_route_group groups[] = {{"/admin", HTTP_HOOKS(hooks)}};
//
// The function runs on the shard's thread, as a handler does: it must not block. Without TLS in
// front, credentials travel readable.

#ifndef TINA_HTTP_AUTH_H
#define TINA_HTTP_AUTH_H

#include <stdbool.h>

#include "http/group.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_auth {
    const char *realm; // printable ASCII without " and \; static
    // Return whether the request may go on. The strings last for the call.
    bool (*basic)(http_request *request, const char *user, const char *password, void *context);
    bool (*bearer)(http_request *request, const char *token, void *context);
    void *context;
} http_auth;

// clang-format off
#define HTTP_BASIC_AUTH(auth) {http_basic_check, NULL, (auth)}
#define HTTP_BEARER_AUTH(auth) {http_bearer_check, NULL, (auth)}
// clang-format on

http_step http_basic_check(http_request *request, http_response *response, const void *auth);
http_step http_bearer_check(http_request *request, http_response *response, const void *auth);

// http_secrets_equal compares in a time that depends on the length of `given` alone.
bool http_secrets_equal(const char *given, const char *known);

#ifdef __cplusplus
}
#endif

#endif
