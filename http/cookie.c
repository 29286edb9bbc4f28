// SPDX-License-Identifier: Apache-2.0
#include "http/cookie.h"

#include <string.h>

#include "core/format.h"
#include "http/ascii.h"
#include "http/exchange.h"
#include "http/lines.h"

// Browsers keep no more of a cookie's name, value and attributes.
#define COOKIE_BYTES_MAX 4096u

static const char *cookie_fault(const char *name, const char *value,
                                const http_cookie_options *options);
static bool is_token(const char *text);
static bool is_cookie_value(const char *text);
static bool is_attribute(const char *text);
static const char *prefix_fault(const char *name, const http_cookie_options *options);

const char *http_cookie(http_request *request, const char *name) {
    size_t bytes = strlen(name);
    http_cookie_cursor cursor = {0};
    while (http_cookie_next(request, &cursor)) {
        if (cursor.name.bytes != bytes || memcmp(cursor.name.data, name, bytes) != 0)
            continue;
        char *value = http_scratch(request, cursor.value.bytes + 1);
        if (value == NULL)
            return "";
        memcpy(value, cursor.value.data, cursor.value.bytes);
        value[cursor.value.bytes] = '\0';
        return value;
    }
    return NULL;
}

// RFC 6265 §4.2.1: pairs with "; " between. Read as servers do: blanks around a pair do not count,
// nor does what has no "=" or no name.
bool http_cookie_next(const http_request *request, http_cookie_cursor *cursor) {
    const http_head *head = request->head;
    for (; cursor->field < head->field_count; cursor->field++, cursor->at = NULL) {
        const http_field *field = &head->fields[cursor->field];
        if (field->name_bytes != 6 || !ascii_equal(field->name, "cookie", 6))
            continue;
        const char *at = cursor->at != NULL ? cursor->at : field->value;
        while (*at != '\0') {
            const char *first = at + strspn(at, " \t");
            const char *end = first + strcspn(first, ";");
            const char *equals = memchr(first, '=', (size_t)(end - first));
            at = *end == ';' ? end + 1 : end;
            if (equals == NULL || equals == first)
                continue;
            while (end > equals + 1 && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
            cursor->name = tina_bytes_of(first, (size_t)(equals - first));
            cursor->value = tina_bytes_of(equals + 1, (size_t)(end - equals - 1));
            cursor->at = at;
            return true;
        }
    }
    return false;
}

bool http_set_cookie(http_response *response, const char *name, const char *value,
                     const http_cookie_options *options) {
    static const char *const same_sites[] = {"Lax", "Strict", "None"};
    static const http_cookie_options none = {0};
    char text[COOKIE_BYTES_MAX];
    if (options == NULL)
        options = &none;
    const char *fault = cookie_fault(name, value, options);
    if (fault != NULL) {
        http_response_fault(response, fault);
        return false;
    }
    char age[40] = "";
    if (options->max_age_s != 0)
        tina_format(age, sizeof age, "; Max-Age=%lld",
                    options->max_age_s > 0 ? (long long)options->max_age_s : 0LL);
    bool domain = options->domain != NULL;
    size_t bytes =
        tina_format(text, sizeof text, "%s=%s; Path=%s%s%s%s%s%s; SameSite=%s", name, value,
                    options->path != NULL ? options->path : "/", domain ? "; Domain=" : "",
                    domain ? options->domain : "", age, options->secure ? "; Secure" : "",
                    options->for_scripts ? "" : "; HttpOnly", same_sites[options->same_site]);
    if (bytes >= sizeof text) {
        http_response_fault(response, "a cookie is longer than 4,096 bytes");
        return false;
    }
    return http_set_header(response, "Set-Cookie", text);
}

static const char *cookie_fault(const char *name, const char *value,
                                const http_cookie_options *options) {
    if (!is_token(name))
        return "a cookie's name is no token";
    if (!is_cookie_value(value))
        return "a cookie's value has a byte that a cookie cannot have";
    if (options->path != NULL && (options->path[0] != '/' || !is_attribute(options->path)))
        return "a cookie's path is none";
    if (options->domain != NULL && (options->domain[0] == '\0' || !is_attribute(options->domain)))
        return "a cookie's domain is none";
    if (options->same_site < HTTP_SAME_SITE_LAX || options->same_site > HTTP_SAME_SITE_NONE)
        return "a cookie's same_site is none of the three";
    if (options->same_site == HTTP_SAME_SITE_NONE && !options->secure)
        return "a cookie for other sites is not secure";
    return prefix_fault(name, options);
}

static bool is_token(const char *text) {
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (!http_is_token_byte((uint8_t)*text))
            return false;
    }
    return true;
}

// cookie-octet, RFC 6265 §4.1.1.
static bool is_cookie_value(const char *text) {
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        if (byte <= ' ' || byte >= 0x7F || strchr("\",;\\", byte) != NULL)
            return false;
    }
    return true;
}

static bool is_attribute(const char *text) {
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        if (byte < ' ' || byte >= 0x7F || byte == ';')
            return false;
    }
    return true;
}

// RFC 6265bis §4.1.3; browsers compare the prefixes without regard to case.
static const char *prefix_fault(const char *name, const http_cookie_options *options) {
    size_t bytes = strlen(name);
    bool host = bytes >= 7 && ascii_equal(name, "__host-", 7);
    bool secure = bytes >= 9 && ascii_equal(name, "__secure-", 9);
    if ((host || secure) && !options->secure)
        return "a cookie whose name says that it is secure is not";
    bool whole = options->path == NULL || strcmp(options->path, "/") == 0;
    if (host && (options->domain != NULL || !whole))
        return "a __Host- cookie has a domain or a path";
    return NULL;
}
