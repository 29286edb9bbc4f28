// SPDX-License-Identifier: Apache-2.0
//
// The routes, compiled at boot into a tree with one node a pattern's segment. A lookup takes one
// hash a segment of the path, whatever the number of routes; where a literal and a parameter both
// fit, it may come back to try the other, and visits no node twice.

#ifndef TINA_HTTP_ROUTER_H
#define TINA_HTTP_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "http/route.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HTTP_ROUTER_SENTENCE_BYTES 256

typedef struct http_router_node {
    const char *literal; // not NUL-terminated
    uint32_t literal_bytes;
    uint32_t parent;
    uint32_t name_child;  // node of ":name", 0: none; the root is nobody's child
    uint32_t rest_child;  // node of "*name", 0: none
    uint32_t first_route; // that ends here, NONE: none
    uint64_t methods;     // of the routes that end here: bit `method`
} http_router_node;

typedef struct http_router {
    const http_route *routes;
    uint32_t route_count;
    uint32_t node_count;
    uint32_t slot_mask;
    http_router_node *nodes; // 0 is the root
    uint32_t *next_route;    // by route: the next that ends at the same node
    uint32_t *slots;         // hash of (parent, literal) to node, 0: empty
} http_router;

// http_routes_check returns false and a sentence when a pattern is malformed, two routes are the
// same, or there are too many.
bool http_routes_check(const http_routes *routes, char sentence[HTTP_ROUTER_SENTENCE_BYTES]);

// http_router_bytes returns how much memory http_router_build needs for routes that passed the
// check.
uint64_t http_router_bytes(const http_routes *routes);
void http_router_build(http_router *router, const http_routes *routes, void *memory);

typedef struct http_span {
    const char *text;
    uint32_t bytes;
} http_span;

typedef struct http_match {
    const http_route *route; // NULL: none with this method
    uint64_t methods;        // that this path has, bit `method`; 0: the path is unknown
    uint32_t param_count;
    http_span params[HTTP_SEGMENT_COUNT_MAX]; // in the pattern's order, within path, still encoded
} http_match;

// http_router_find looks up a path that begins with "/" and whose percent-encoding is well formed.
// A path with "." or ".." for a segment, also between encoded slashes, or with an encoded NUL, is
// unknown whatever the routes; and so is one that would put an encoded slash or an empty segment
// into a "*name".
void http_router_find(const http_router *router, http_method method, const char *path,
                      uint32_t path_bytes, http_match *match);

// http_pattern_param returns which parameter of the pattern has that name, or -1.
int http_pattern_param(const char *pattern, const char *name);

// http_percent_decode writes at most `bytes` bytes to out and returns how many.
uint32_t http_percent_decode(const char *text, uint32_t bytes, char *out);

#ifdef __cplusplus
}
#endif

#endif
