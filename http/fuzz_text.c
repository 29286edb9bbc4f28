// SPDX-License-Identifier: Apache-2.0
//
// What reads text out of a request that has been parsed: router, query, cookies, ranges,
// conditions, dates; and JSON quoting.

#include <string.h>

#include "core/assert.h"
#include "http/ascii.h"
#include "http/condition.h"
#include "http/cookie.h"
#include "http/exchange.h"
#include "http/fuzz.h"
#include "http/json_read.h"
#include "http/proxy.h"
#include "http/range.h"

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

// A size of 1 to 8 bytes, a line end, a Range field.
int http_fuzz_range(const uint8_t *data, size_t bytes) {
    char text[TEXT_MAX + 1];
    if (bytes < 9 || bytes > TEXT_MAX)
        return 0;
    uint64_t size;
    memcpy(&size, data, sizeof size);
    size >>= data[8] % 64;
    memcpy(text, data + 9, bytes - 9);
    text[bytes - 9] = '\0';
    http_range ranges[HTTP_RANGES_MAX];
    uint32_t count;
    http_ranges_result result = http_ranges_read(text, size, ranges, &count);
    TINA_ASSERT(count <= HTTP_RANGES_MAX);
    TINA_ASSERT(result != HTTP_RANGES_OK || count > 0);
    uint64_t total = 0;
    for (uint32_t i = 0; result == HTTP_RANGES_OK && i < count; i++) {
        TINA_ASSERT(ranges[i].first <= ranges[i].last && ranges[i].last < size);
        total += ranges[i].last - ranges[i].first + 1;
        TINA_ASSERT(total <= size);
    }
    return 0;
}

// Lines: values of the six fields.
int http_fuzz_condition(const uint8_t *data, size_t bytes) {
    static const char *const names[] = {"if-match",          "if-none-match", "if-unmodified-since",
                                        "if-modified-since", "if-range",      "accept-encoding"};
    char text[TEXT_MAX + 1];
    http_field fields[6];
    http_head head = {.fields = fields};
    if (bytes > TEXT_MAX)
        return 0;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    for (char *at = text; at != NULL && head.field_count < 6;) {
        char *end = strchr(at, '\n');
        if (end != NULL)
            *end = '\0';
        if (*at != '\0') {
            const char *name = names[head.field_count];
            fields[head.field_count++] =
                (http_field){name, at, (uint32_t)strlen(name), (uint32_t)strlen(at)};
        }
        at = end != NULL ? end + 1 : NULL;
    }
    http_validators validators = {"\"a\"", 784111777, 800000000};
    int status = http_condition(&head, &validators);
    TINA_ASSERT(status == 0 || status == 304 || status == 412);
    (void)http_range_applies(&head, &validators);
    (void)http_accepts_coding(&head, "gzip");
    char written[HTTP_DATE_BYTES + 1];
    uint64_t seconds;
    uint64_t again;
    for (uint32_t i = 0; i < head.field_count; i++) {
        if (!http_date_read(fields[i].value, validators.wall_s, &seconds))
            continue;
        http_date_write(written, seconds);
        TINA_ASSERT(http_date_read(written, 0, &again) && again == seconds);
    }
    return 0;
}

// A Cookie field; and its bytes as a name and a value to set.
int http_fuzz_cookie(const uint8_t *data, size_t bytes) {
    char text[TEXT_MAX + 1];
    static uint8_t out[16384];
    if (bytes > TEXT_MAX)
        return 0;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    http_field field = {"Cookie", text, 6, (uint32_t)strlen(text)};
    http_head head = {.fields = &field, .field_count = 1, .method = HTTP_GET, .minor = 1};
    http_request request;
    request_begin(&request, &head);
    http_cookie_cursor cursor = {0};
    while (http_cookie_next(&request, &cursor)) {
        const char *name = cursor.name.data;
        TINA_ASSERT(name >= text && cursor.name.bytes > 0);
        TINA_ASSERT(name + cursor.name.bytes < (const char *)cursor.value.data);
        TINA_ASSERT((const char *)cursor.value.data + cursor.value.bytes <= text + strlen(text));
    }
    (void)http_cookie(&request, "a");
    http_response response;
    http_response_begin(&response, &request, out, sizeof out);
    if (http_set_cookie(&response, "a", text, NULL)) {
        const char *line = (const char *)out + HTTP_RESPONSE_ROOM_BYTES;
        TINA_ASSERT(memchr(line, '\n', response.fields_bytes) == line + response.fields_bytes - 1);
    }
    return 0;
}

// What is said of the whole must be said of it however few bytes of it are there, or nothing yet.
int http_fuzz_proxy(const uint8_t *data, size_t bytes) {
    if (bytes > TEXT_MAX)
        return 0;
    http_peer peer = {.fd = tina_fd_none()};
    uint32_t used = 0;
    http_proxy_result whole = http_proxy_read(data, (uint32_t)bytes, &peer, &used);
    TINA_ASSERT(whole != HTTP_PROXY_DONE || (used > 0 && used <= bytes));
    TINA_ASSERT(!peer.told || whole == HTTP_PROXY_DONE);
    for (uint32_t count = 0; count < bytes && count < 600; count++) {
        http_peer part = {.fd = tina_fd_none()};
        uint32_t part_used = 0;
        http_proxy_result result = http_proxy_read(data, count, &part, &part_used);
        TINA_ASSERT(result == HTTP_PROXY_MORE || result == whole);
        TINA_ASSERT(result != HTTP_PROXY_DONE || part_used == used);
        TINA_ASSERT(result != HTTP_PROXY_DONE || part.told == peer.told);
    }
    return 0;
}

// What is read is written compactly, and read again as the same.
int http_fuzz_json(const uint8_t *data, size_t bytes) {
    static http_json_value values[TEXT_MAX];
    static http_json_value again_values[TEXT_MAX];
    static char text[TEXT_MAX + 2];
    static char compact[TEXT_MAX + 2];
    http_json_doc json;
    http_json_doc again;
    if (bytes > TEXT_MAX || http_json_read(&json, (const char *)data, bytes, values, TEXT_MAX) != 0)
        return 0;
    TINA_ASSERT(json.count > 0 && values[0].next == json.count);
    for (uint32_t i = 0; i < json.count; i++) {
        const http_json_value *value = &values[i];
        TINA_ASSERT(value->next > i && value->next <= json.count);
        TINA_ASSERT((size_t)value->at + value->bytes <= bytes);
        if (value->kind == HTTP_JSON_STRING)
            TINA_ASSERT(http_json_text(&json, i, text) <= value->bytes);
        if (value->kind == HTTP_JSON_OBJECT && value->next > i + 1) {
            uint32_t name = http_json_text(&json, i + 1, text);
            text[name] = '\0';
            TINA_ASSERT(strlen(text) < name || http_json_member(&json, i, text) > i);
        }
    }
    uint32_t compact_bytes = http_json_compact(&json, 0, compact);
    TINA_ASSERT(compact_bytes <= bytes);
    http_json_result result =
        http_json_read(&again, compact, compact_bytes, again_values, TEXT_MAX);
    TINA_ASSERT(result == HTTP_JSON_OK && again.count == json.count);
    for (uint32_t i = 0; i < json.count; i++)
        TINA_ASSERT(values[i].kind == again_values[i].kind &&
                    values[i].next == again_values[i].next);
    return 0;
}
