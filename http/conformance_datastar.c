// SPDX-License-Identifier: Apache-2.0
#include "http/conformance_datastar.h"

#include <string.h>

#include "http/datastar.h"

#define ATTRIBUTES_MAX 32u

// An event of the signals' array `events`.
typedef struct asked {
    http_request *request;
    const http_json_doc *json;
    uint32_t object;
} asked;

static uint32_t member(const asked *a, const char *name) {
    return http_json_member(a->json, a->object, name);
}

static const char *text_at(const asked *a, uint32_t value) {
    const http_json_value *v = &a->json->values[value];
    char *text = http_scratch(a->request, v->bytes + 3);
    if (text == NULL)
        return NULL;
    uint32_t bytes = v->kind == HTTP_JSON_STRING ? http_json_text(a->json, value, text)
                                                 : http_json_compact(a->json, value, text);
    text[bytes] = '\0';
    return text;
}

static const char *text_of(const asked *a, const char *name) {
    uint32_t value = member(a, name);
    return value != 0 ? text_at(a, value) : NULL;
}

static bool is_true(const asked *a, const char *name) {
    uint32_t value = member(a, name);
    return value != 0 && a->json->values[value].kind == HTTP_JSON_TRUE;
}

static bool is_false(const asked *a, const char *name) {
    uint32_t value = member(a, name);
    return value != 0 && a->json->values[value].kind == HTTP_JSON_FALSE;
}

// The index of a member's text among words; 0 when there is no such member, -1 when it is none.
static int word_of(const asked *a, const char *name, const char *const *words, int count) {
    const char *text = text_of(a, name);
    if (text == NULL)
        return 0;
    while (count-- > 0 && strcmp(words[count], text) != 0)
        continue;
    return count;
}

static http_datastar_event event_of(const asked *a) {
    uint64_t retry_ms = 0;
    uint32_t retry = member(a, "retryDuration");
    if (retry != 0 && !http_json_uint(a->json, retry, &retry_ms))
        retry_ms = 0;
    return (http_datastar_event){text_of(a, "eventId"), (uint32_t)retry_ms};
}

static http_sse_result elements_patch(http_response *res, const asked *a) {
    static const char *const modes[] = {"outer",  "inner",  "replace", "prepend",
                                        "append", "before", "after",   "remove"};
    static const char *const spaces[] = {"html", "svg", "mathml"};
    int mode = word_of(a, "mode", modes, 8);
    int space = word_of(a, "namespace", spaces, 3);
    if (mode < 0 || space < 0)
        return HTTP_SSE_REFUSED;
    http_datastar_elements patch = {
        .elements = text_of(a, "elements"),
        .selector = text_of(a, "selector"),
        .mode = (http_datastar_mode)mode,
        .space = (http_datastar_namespace)space,
        .use_view_transition = is_true(a, "useViewTransition"),
        .view_transition_selector = text_of(a, "viewTransitionSelector"),
        .event = event_of(a),
    };
    return http_datastar_patch_elements(res, &patch);
}

static http_sse_result signals_patch(http_response *res, const asked *a) {
    bool raw = member(a, "signals-raw") != 0;
    http_datastar_signals patch = {
        .signals = text_of(a, raw ? "signals-raw" : "signals"),
        .only_if_missing = is_true(a, "onlyIfMissing"),
        .event = event_of(a),
    };
    return http_datastar_patch_signals(res, &patch);
}

static http_sse_result script_execute(http_response *res, const asked *a) {
    http_datastar_attribute attributes[ATTRIBUTES_MAX];
    http_datastar_script script = {
        .script = text_of(a, "script"),
        .attributes = attributes,
        .keep = is_false(a, "autoRemove"),
        .event = event_of(a),
    };
    uint32_t object = member(a, "attributes");
    const http_json_value *values = a->json->values;
    if (object != 0 && values[object].kind != HTTP_JSON_OBJECT)
        return HTTP_SSE_REFUSED;
    uint32_t end = object != 0 ? values[object].next : 0;
    for (uint32_t at = object + 1; at < end; at = values[at + 1].next) {
        const char *name = text_at(a, at);
        const char *value = text_at(a, at + 1);
        if (name == NULL || value == NULL || script.attribute_count == ATTRIBUTES_MAX)
            return HTTP_SSE_REFUSED;
        attributes[script.attribute_count++] = (http_datastar_attribute){name, value};
    }
    return http_datastar_execute_script(res, &script);
}

static http_sse_result event_write(http_response *res, const asked *a) {
    const char *type = text_of(a, "type");
    if (type != NULL && strcmp(type, "patchElements") == 0)
        return elements_patch(res, a);
    if (type != NULL && strcmp(type, "patchSignals") == 0)
        return signals_patch(res, a);
    return type != NULL && strcmp(type, "executeScript") == 0 ? script_execute(res, a)
                                                              : HTTP_SSE_REFUSED;
}

// One event a handler, since each takes scratch. What is read lies there, so it is read again.
static http_step event_next(http_request *req, http_response *res) {
    uint32_t *next = http_state(req);
    http_json_doc json;
    http_datastar_read(req, &json);
    uint32_t events = http_json_member(&json, 0, "events");
    while (*next < json.values[events].next) {
        asked a = {req, &json, *next};
        *next = json.values[*next].next;
        if (event_write(res, &a) == HTTP_SSE_OK)
            return http_stream(res, event_next);
    }
    return http_end(res);
}

http_step conformance_datastar(http_request *req, http_response *res) {
    uint32_t *next = http_state(req);
    http_json_doc json;
    if (http_datastar_read(req, &json) != HTTP_JSON_OK)
        return http_text(res, 400, "no signals\n");
    uint32_t events = http_json_member(&json, 0, "events");
    if (events == 0 || json.values[events].kind != HTTP_JSON_ARRAY)
        return http_text(res, 400, "no array of events\n");
    *next = events + 1;
    return http_sse_begin(req, res) ? http_stream(res, event_next) : http_end(res);
}
