// SPDX-License-Identifier: Apache-2.0
//
// What reads text out of a request that has been parsed: router, query, JSON quoting.

#include <string.h>

#include "core/assert.h"
#include "http/ascii.h"
#include "http/exchange.h"
#include "http/fuzz.h"

#define TEXT_MAX 4096u

static http_step nothing(http_request *request, http_response *response) {
    (void)request;
    (void)response;
    return (http_step){0};
}

static bool encoding_is_well_formed(const char *path) {
    for (const char *at = path; (at = strchr(at, '%')) != NULL; at++) {
        if (ascii_hex(at[1]) < 0 || ascii_hex(at[2]) < 0)
            return false;
    }
    return true;
}

// What a parameter is must hold no matter which patterns there are: no way out of a directory.
static void match_check(const http_match *match, const char *path) {
    const char *end = path + strlen(path);
    char text[TEXT_MAX + 1];
    TINA_ASSERT(match->route != NULL || match->param_count == 0 || match->methods != 0);
    for (uint32_t i = 0; match->route != NULL && i < match->param_count; i++) {
        http_span span = match->params[i];
        TINA_ASSERT(span.text >= path && span.text + span.bytes <= end);
        uint32_t bytes = http_percent_decode(span.text, span.bytes, text);
        text[bytes] = '\0';
        TINA_ASSERT(strlen(text) == bytes);
        TINA_ASSERT(strcmp(text, "..") != 0 && strcmp(text, ".") != 0);
        TINA_ASSERT(strncmp(text, "../", 3) != 0 && strstr(text, "/../") == NULL);
    }
}

// Lines: patterns, and last a path.
int http_fuzz_router(const uint8_t *data, size_t bytes) {
    static char text[TEXT_MAX + 1];
    static uint8_t memory[1u << 20];
    http_route routes[16];
    http_routes table = {routes, 0};
    char sentence[HTTP_ROUTER_SENTENCE_BYTES];
    if (bytes > TEXT_MAX)
        return 0;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    char *path = text;
    for (char *line; (line = strchr(path, '\n')) != NULL && table.count < 16; path = line + 1) {
        *line = '\0';
        http_method method = (uint8_t)path[0] % 2 ? HTTP_GET : HTTP_POST;
        routes[table.count++] = (http_route){method, path, nothing, 0};
    }
    if (!http_routes_check(&table, sentence)) {
        TINA_ASSERT(strlen(sentence) < sizeof sentence);
        return 0;
    }
    TINA_ASSERT(http_router_bytes(&table) <= sizeof memory);
    http_router router;
    http_router_build(&router, &table, memory);
    if (path[0] != '/' || !encoding_is_well_formed(path))
        return 0;
    http_match match;
    http_router_find(&router, HTTP_HEAD, path, (uint32_t)strlen(path), &match);
    match_check(&match, path);
    http_router_find(&router, HTTP_POST, path, (uint32_t)strlen(path), &match);
    match_check(&match, path);
    return 0;
}

static void request_begin(http_request *request, const http_head *head) {
    static _Alignas(16) uint8_t scratch[8 * TEXT_MAX];
    *request = (http_request){.head = head, .scratch = scratch, .scratch_bytes = sizeof scratch};
}

// A parameter's name, a line end, a query.
int http_fuzz_query(const uint8_t *data, size_t bytes) {
    char text[TEXT_MAX + 1];
    if (bytes > TEXT_MAX)
        return 0;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    char *query = strchr(text, '\n');
    if (query == NULL)
        return 0;
    *query++ = '\0';
    http_request request;
    http_head head = {.query = query, .query_bytes = (uint32_t)strlen(query)};
    request_begin(&request, &head);
    const char *value = http_query(&request, text);
    TINA_ASSERT(value == NULL || strlen(value) <= strlen(query));
    TINA_ASSERT(!request.scratch_short);
    return 0;
}

int http_fuzz_quote(const uint8_t *data, size_t bytes) {
    char text[TEXT_MAX + 1];
    if (bytes > TEXT_MAX)
        return 0;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    http_request request;
    http_head head = {0};
    request_begin(&request, &head);
    const char *quoted = http_json_quote(&request, text);
    TINA_ASSERT(!request.scratch_short);
    size_t count = strlen(quoted);
    TINA_ASSERT(count >= 2 && quoted[0] == '"' && quoted[count - 1] == '"');
    for (size_t i = 1; i < count - 1; i++) {
        TINA_ASSERT((uint8_t)quoted[i] >= ' ');
        TINA_ASSERT(quoted[i] != '"');
        i += quoted[i] == '\\';
    }
    return 0;
}
