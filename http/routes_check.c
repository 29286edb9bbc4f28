// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "core/format.h"
#include "http/lines.h"
#include "http/router.h"
#include "reactor/file.h"

static bool route_check(const http_route *route, uint32_t index, char *sentence);
static const char *directory_fault(const http_route *route);
static const char *pattern_fault(const char *pattern);
static const char *segment_fault(const char *segment, uint32_t bytes, bool last);
static bool names_repeat(const char *pattern);
static bool shapes_equal(const char *a, const char *b);

// Every pair is compared: at boot, once, and there are few thousands at most.
bool http_routes_check(const http_routes *routes, char sentence[HTTP_ROUTER_SENTENCE_BYTES]) {
    if (routes->count > HTTP_ROUTE_COUNT_MAX) {
        tina_format(sentence, HTTP_ROUTER_SENTENCE_BYTES,
                    "%u routes are more than %u; match several with :name or *name", routes->count,
                    HTTP_ROUTE_COUNT_MAX);
        return false;
    }
    for (uint32_t i = 0; i < routes->count; i++) {
        const http_route *route = &routes->route[i];
        if (!route_check(route, i, sentence))
            return false;
        for (uint32_t j = 0; j < i; j++) {
            const http_route *other = &routes->route[j];
            if (other->method != route->method || !shapes_equal(other->pattern, route->pattern))
                continue;
            tina_format(sentence, HTTP_ROUTER_SENTENCE_BYTES,
                        "the routes %s %.70s and %s %.70s match the same paths; remove one",
                        http_method_name(other->method), other->pattern,
                        http_method_name(route->method), route->pattern);
            return false;
        }
    }
    return true;
}

static bool route_check(const http_route *route, uint32_t index, char *sentence) {
    const char *fault = NULL;
    if (route->method <= HTTP_METHOD_NONE || route->method >= HTTP_METHOD_COUNT)
        fault = "has no method";
    else if (route->method == HTTP_CONNECT)
        fault = "is for CONNECT, which only proxies answer";
    else if (route->pattern == NULL)
        fault = "has no pattern";
    else if (route->directory != NULL)
        fault = directory_fault(route);
    else if (route->handler == NULL)
        fault = "has no handler";
    if (fault == NULL)
        fault = pattern_fault(route->pattern);
    if (fault == NULL)
        return true;
    tina_format(sentence, HTTP_ROUTER_SENTENCE_BYTES, "route %u (%.80s) %s", index,
                route->pattern != NULL ? route->pattern : "", fault);
    return false;
}

static const char *directory_fault(const http_route *route) {
    const char *last = strrchr(route->pattern, '/');
    size_t bytes = strlen(route->directory);
    if (route->handler != NULL)
        return "has a handler and a directory";
    if (route->method != HTTP_GET)
        return "has a directory, which is for GET";
    if (last == NULL || last[1] != '*')
        return "has a directory, and does not end with a *name";
    if (bytes == 0 || bytes > TINA_PATH_BYTES_MAX / 2)
        return "has a directory whose path is empty or too long";
    return route->directory[bytes - 1] == '/' ? "has a directory that ends with a slash" : NULL;
}

static const char *pattern_fault(const char *pattern) {
    if (pattern[0] != '/')
        return "does not begin with /";
    uint32_t count = 0;
    for (const char *at = pattern; *at != '\0';) {
        const char *segment = at + 1;
        at = strchr(segment, '/');
        if (at == NULL)
            at = segment + strlen(segment);
        if (++count > HTTP_SEGMENT_COUNT_MAX)
            return "has more than 32 segments";
        const char *fault = segment_fault(segment, (uint32_t)(at - segment), *at == '\0');
        if (fault != NULL)
            return fault;
    }
    return names_repeat(pattern) ? "uses a parameter's name twice" : NULL;
}

static const char *segment_fault(const char *segment, uint32_t bytes, bool last) {
    if (bytes == 0)
        return last ? NULL : "has an empty segment";
    if (bytes > HTTP_SEGMENT_BYTES_MAX)
        return "has a segment longer than 255 bytes";
    if (segment[0] == '*' && !last)
        return "has segments after its *name";
    if (segment[0] == ':' || segment[0] == '*') {
        for (uint32_t i = 1; i < bytes; i++) {
            if (!http_is_token_byte((uint8_t)segment[i]))
                return "has a parameter whose name is no token";
        }
        return bytes > 1 ? NULL : "has a parameter without a name";
    }
    if ((bytes == 1 && segment[0] == '.') || (bytes == 2 && memcmp(segment, "..", 2) == 0))
        return "has a segment . or .., which no request is matched with";
    for (uint32_t i = 0; i < bytes; i++) {
        if (strchr("%?#*", segment[i]) != NULL || (uint8_t)segment[i] <= ' ')
            return "has a literal with one of % ? # * or a space; write it decoded, without query";
    }
    return NULL;
}

static bool names_repeat(const char *pattern) {
    int index = 0;
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at != '/' || (at[1] != ':' && at[1] != '*'))
            continue;
        char name[HTTP_SEGMENT_BYTES_MAX + 1];
        size_t bytes = strcspn(at + 2, "/");
        memcpy(name, at + 2, bytes);
        name[bytes] = '\0';
        if (http_pattern_param(pattern, name) != index)
            return true;
        index++;
    }
    return false;
}

// The same literals in the same places, whatever the parameters are called.
static bool shapes_equal(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) {
        if (*a == '/' && (a[1] == ':' || a[1] == '*') && a[1] == b[1]) {
            a += 1 + strcspn(a + 1, "/");
            b += 1 + strcspn(b + 1, "/");
        } else {
            a++;
            b++;
        }
    }
    return *a == *b;
}
