// SPDX-License-Identifier: Apache-2.0
#include "http/auth.h"

#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/ascii.h"
#include "http/exchange.h"

#define CHALLENGE_BYTES 256u

static const char *credentials_of(const http_request *request, const char *scheme);
static char *base64_decode(http_request *request, const char *text);
static bool token_is_plain(const char *token);
static http_step challenge(http_response *response, const http_auth *auth, const char *scheme,
                           const char *more);

http_step http_basic_check(http_request *request, http_response *response, const void *auth_) {
    const http_auth *auth = auth_;
    TINA_ASSERT(auth->basic != NULL);
    const char *encoded = credentials_of(request, "basic");
    char *user = encoded != NULL ? base64_decode(request, encoded) : NULL;
    char *colon = user != NULL ? strchr(user, ':') : NULL;
    if (colon != NULL) {
        *colon = '\0';
        if (auth->basic(request, user, colon + 1, auth->context))
            return http_pass(response);
    }
    return challenge(response, auth, "Basic", ", charset=\"UTF-8\"");
}

// RFC 6750 §3.1: who gave none is not told of an error.
http_step http_bearer_check(http_request *request, http_response *response, const void *auth_) {
    const http_auth *auth = auth_;
    TINA_ASSERT(auth->bearer != NULL);
    const char *token = credentials_of(request, "bearer");
    if (token == NULL)
        return challenge(response, auth, "Bearer", "");
    if (token_is_plain(token) && auth->bearer(request, token, auth->context))
        return http_pass(response);
    return challenge(response, auth, "Bearer", ", error=\"invalid_token\"");
}

bool http_secrets_equal(const char *given, const char *known) {
    size_t known_bytes = strlen(known);
    size_t given_bytes = strlen(given);
    volatile uint32_t differ = given_bytes != known_bytes;
    for (size_t i = 0; i < given_bytes; i++) {
        char other = known[known_bytes > 0 ? i % known_bytes : 0];
        differ = differ | ((uint8_t)given[i] ^ (uint8_t)other);
    }
    return differ == 0;
}

// What follows the scheme; NULL when there is none of it, or more than one field, of which another
// reader might take the other.
static const char *credentials_of(const http_request *request, const char *scheme) {
    const char *found = NULL;
    for (uint32_t i = 0; i < http_header_count(request); i++) {
        const char *name;
        const char *value = http_header_at(request, i, &name);
        if (strlen(name) != 13 || !ascii_equal(name, "authorization", 13))
            continue;
        if (found != NULL)
            return NULL;
        found = value;
    }
    size_t bytes = strlen(scheme);
    if (found == NULL || strlen(found) <= bytes || !ascii_equal(found, scheme, bytes) ||
        found[bytes] != ' ')
        return NULL;
    return found + bytes + strspn(found + bytes, " ");
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648 §4, the one way to write it: padded, nothing in the bits that are left over. Text with
// controls is refused (RFC 7617 §2), NUL among them. Returns a string in scratch, or NULL.
static char *base64_decode(http_request *request, const char *text) {
    size_t digits = strlen(text);
    if (digits == 0 || digits % 4 != 0)
        return NULL;
    size_t pads = text[digits - 1] != '=' ? 0 : text[digits - 2] != '=' ? 1 : 2;
    char *out = http_scratch(request, digits / 4 * 3 + 1);
    if (out == NULL)
        return NULL;
    size_t bytes = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = i < digits - pads ? base64_digit(text[i]) : 0;
        if (digit < 0)
            return NULL;
        bits = bits << 6 | (uint32_t)digit;
        for (int shift = 16; i % 4 == 3 && shift >= 0; shift -= 8)
            out[bytes++] = (char)(bits >> shift & 0xFF);
    }
    for (size_t i = bytes - pads; i < bytes; i++) {
        if (out[i] != '\0')
            return NULL;
    }
    bytes -= pads;
    out[bytes] = '\0';
    for (size_t i = 0; i < bytes; i++) {
        if ((uint8_t)out[i] < ' ' || out[i] == 0x7F)
            return NULL;
    }
    return out;
}

// RFC 6750 §2.1's b64token.
static bool token_is_plain(const char *token) {
    const char *at = token;
    while (ascii_is_alnum(*at) || (*at != '\0' && strchr("-._~+/", *at) != NULL))
        at++;
    return at != token && at[strspn(at, "=")] == '\0';
}

static http_step challenge(http_response *response, const http_auth *auth, const char *scheme,
                           const char *more) {
    char text[CHALLENGE_BYTES];
    size_t bytes = tina_format(text, sizeof text, "%s realm=\"%s\"%s", scheme, auth->realm, more);
    TINA_ASSERT(bytes < sizeof text);
    http_set_header(response, "WWW-Authenticate", text);
    return http_text(response, 401, "401 Unauthorized\n");
}
