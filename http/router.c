// SPDX-License-Identifier: Apache-2.0
#include "http/router.h"

#include <string.h>

#include "core/assert.h"
#include "core/bits.h"
#include "core/format.h"
#include "http/ascii.h"

#define NONE UINT32_MAX

typedef struct path_search {
    const http_router *router;
    const char *end;
    uint64_t wanted; // methods that will do, of which the first that is there is taken
    http_match *match;
} path_search;

static bool path_is_plain(const char *path, const char *end);
static bool node_descend(path_search *search, uint32_t node, const char *at, uint32_t param_count);
static bool node_take(path_search *search, uint32_t node, uint32_t param_count);
static uint32_t literal_find(const http_router *router, uint32_t parent, const char *segment,
                             uint32_t bytes);
static bool rest_is_plain(const char *at, const char *end);
static uint32_t node_add(http_router *router, uint32_t parent, const char *segment, uint32_t bytes);
static uint32_t literal_hash(uint32_t parent, const char *literal, uint32_t bytes);
static const char *segment_end(const char *at, const char *end);
static uint32_t pattern_segments(const char *pattern);

void http_router_find(const http_router *router, http_method method, const char *path,
                      uint32_t path_bytes, http_match *match) {
    TINA_ASSERT(path_bytes > 0 && path[0] == '/');
    match->route = NULL;
    match->methods = 0;
    match->param_count = 0;
    uint64_t wanted = UINT64_C(1) << method;
    if (method == HTTP_HEAD)
        wanted |= UINT64_C(1) << HTTP_GET;
    path_search search = {router, path + path_bytes, wanted, match};
    if (path_is_plain(path, search.end))
        node_descend(&search, 0, path, 0);
}

// `at` is the slash in front of the segment to be matched below node, or the end. Literals before
// ":name" before "*name"; a fit without the method is remembered and the search goes on.
static bool node_descend(path_search *search, uint32_t node, const char *at, uint32_t param_count) {
    if (at == search->end)
        return node_take(search, node, param_count);
    TINA_ASSERT(*at == '/');
    const char *segment = at + 1;
    const char *end = segment_end(segment, search->end);
    uint32_t bytes = (uint32_t)(end - segment);
    uint32_t literal = literal_find(search->router, node, segment, bytes);
    if (literal != 0 && node_descend(search, literal, end, param_count))
        return true;
    const http_router_node *parent = &search->router->nodes[node];
    http_span *param = &search->match->params[param_count];
    if (parent->name_child != 0 && bytes > 0) {
        *param = (http_span){segment, bytes};
        if (node_descend(search, parent->name_child, end, param_count + 1))
            return true;
    }
    if (parent->rest_child == 0 || !rest_is_plain(segment, search->end))
        return false;
    *param = (http_span){segment, (uint32_t)(search->end - segment)};
    return node_take(search, parent->rest_child, param_count + 1);
}

static bool node_take(path_search *search, uint32_t node, uint32_t param_count) {
    const http_router *router = search->router;
    uint64_t methods = router->nodes[node].methods;
    search->match->methods |= methods;
    methods &= search->wanted;
    if (methods == 0)
        return false;
    // HTTP_HEAD is above HTTP_GET, so that a route of its own wins.
    http_method method = (http_method)tina_log2(methods);
    uint32_t route = router->nodes[node].first_route;
    while (router->routes[route].method != method) {
        route = router->next_route[route];
        TINA_ASSERT(route != NONE);
    }
    search->match->route = &router->routes[route];
    search->match->param_count = param_count;
    return true;
}

static uint32_t literal_find(const http_router *router, uint32_t parent, const char *segment,
                             uint32_t bytes) {
    char decoded[HTTP_SEGMENT_BYTES_MAX];
    if (memchr(segment, '%', bytes) != NULL) {
        if (bytes > 3 * sizeof decoded)
            return 0;
        char whole[3 * sizeof decoded];
        bytes = http_percent_decode(segment, bytes, whole);
        if (bytes > sizeof decoded)
            return 0;
        memcpy(decoded, whole, bytes);
        segment = decoded;
    }
    uint32_t slot = literal_hash(parent, segment, bytes) & router->slot_mask;
    for (;; slot = (slot + 1) & router->slot_mask) {
        uint32_t node = router->slots[slot];
        if (node == 0)
            return 0;
        const http_router_node *found = &router->nodes[node];
        if (found->parent == parent && found->literal_bytes == bytes &&
            memcmp(found->literal, segment, bytes) == 0)
            return node;
    }
}

// Dot segments are for clients to resolve (RFC 3986 §5.2.4); one that arrives is an attempt to
// leave a directory, also between encoded slashes, which a parameter decodes. An encoded NUL would
// end a string early.
static bool path_is_plain(const char *path, const char *end) {
    uint32_t dots = 0; // of a segment that has nothing else; 3: not of such a one
    for (const char *at = path + 1; at < end;) {
        bool encoded = *at == '%';
        int byte = encoded ? ascii_hex(at[1]) * 16 + ascii_hex(at[2]) : *at;
        at += encoded ? 3 : 1;
        if (byte == '\0')
            return false;
        if (byte == '/' && (dots == 1 || dots == 2))
            return false;
        if (byte == '/')
            dots = 0;
        else
            dots = byte == '.' && dots < 2 ? dots + 1 : 3;
    }
    return dots != 1 && dots != 2;
}

static bool rest_is_plain(const char *at, const char *end) {
    for (const char *byte = at; byte < end; byte++) {
        if (*byte == '/' && (byte == at || byte[-1] == '/'))
            return false;
        if (*byte == '%' && byte[1] == '2' && (byte[2] | 0x20) == 'f')
            return false;
    }
    return true;
}

void http_router_build(http_router *router, const http_routes *routes, void *memory) {
    uint64_t node_max = 1;
    for (uint32_t i = 0; i < routes->count; i++)
        node_max += pattern_segments(routes->route[i].pattern);
    uint64_t slot_count = tina_round_up_pow2(2 * node_max);
    memset(memory, 0, http_router_bytes(routes));
    router->routes = routes->route;
    router->route_count = routes->count;
    router->node_count = 1;
    router->slot_mask = (uint32_t)slot_count - 1;
    router->nodes = memory;
    router->slots = (uint32_t *)(router->nodes + node_max);
    router->next_route = router->slots + slot_count;
    router->nodes[0].first_route = NONE;
    for (uint32_t i = 0; i < routes->count; i++) {
        const http_route *route = &routes->route[i];
        const char *end = route->pattern + strlen(route->pattern);
        uint32_t node = 0;
        for (const char *at = route->pattern; at < end;) {
            const char *segment = at + 1;
            at = segment_end(segment, end);
            node = node_add(router, node, segment, (uint32_t)(at - segment));
        }
        TINA_ASSERT(router->node_count <= node_max);
        router->next_route[i] = router->nodes[node].first_route;
        router->nodes[node].first_route = i;
        router->nodes[node].methods |= UINT64_C(1) << route->method;
    }
}

static uint32_t node_add(http_router *router, uint32_t parent, const char *segment,
                         uint32_t bytes) {
    http_router_node *above = &router->nodes[parent];
    uint32_t *child = NULL;
    if (bytes > 0 && segment[0] == ':')
        child = &above->name_child;
    else if (bytes > 0 && segment[0] == '*')
        child = &above->rest_child;
    uint32_t node = child != NULL ? *child : literal_find(router, parent, segment, bytes);
    if (node != 0)
        return node;
    node = router->node_count++;
    router->nodes[node] = (http_router_node){
        .literal = segment, .literal_bytes = bytes, .parent = parent, .first_route = NONE};
    if (child != NULL) {
        *child = node;
        return node;
    }
    uint32_t slot = literal_hash(parent, segment, bytes) & router->slot_mask;
    while (router->slots[slot] != 0)
        slot = (slot + 1) & router->slot_mask;
    router->slots[slot] = node;
    return node;
}

uint64_t http_router_bytes(const http_routes *routes) {
    uint64_t nodes = 1;
    for (uint32_t i = 0; i < routes->count; i++)
        nodes += pattern_segments(routes->route[i].pattern);
    uint64_t slots = tina_round_up_pow2(2 * nodes);
    return nodes * sizeof(http_router_node) + (slots + routes->count) * sizeof(uint32_t);
}

// FNV-1a, RFC 9923.
static uint32_t literal_hash(uint32_t parent, const char *literal, uint32_t bytes) {
    uint32_t hash = (UINT32_C(2166136261) ^ parent) * UINT32_C(16777619);
    for (uint32_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)literal[i]) * UINT32_C(16777619);
    return hash ^ (hash >> 15);
}

static const char *segment_end(const char *at, const char *end) {
    const char *slash = memchr(at, '/', (size_t)(end - at));
    return slash != NULL ? slash : end;
}

static uint32_t pattern_segments(const char *pattern) {
    uint32_t count = 0;
    for (; *pattern != '\0'; pattern++)
        count += *pattern == '/';
    return count;
}

int http_pattern_param(const char *pattern, const char *name) {
    size_t bytes = strlen(name);
    int index = 0;
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at != '/' || (at[1] != ':' && at[1] != '*'))
            continue;
        if (strncmp(at + 2, name, bytes) == 0 && (at[2 + bytes] == '/' || at[2 + bytes] == '\0'))
            return index;
        index++;
    }
    return -1;
}

uint32_t http_percent_decode(const char *text, uint32_t bytes, char *out) {
    uint32_t written = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        if (text[i] == '%') {
            TINA_ASSERT(i + 2 < bytes);
            out[written++] = (char)(ascii_hex(text[i + 1]) * 16 + ascii_hex(text[i + 2]));
            i += 2;
        } else {
            out[written++] = text[i];
        }
    }
    return written;
}
