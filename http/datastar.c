// SPDX-License-Identifier: Apache-2.0
#include "http/datastar.h"

#include <string.h>

#include "core/assert.h"
#include "http/ascii.h"
#include "http/exchange.h"
#include "http/sse_lines.h"

#define RETRY_DEFAULT_MS 1000u

static void elements_write(http_sse_lines *lines, const void *patch);
static void signals_write(http_sse_lines *lines, const void *patch);
static void script_write(http_sse_lines *lines, const void *script);
static bool event_is_good(const http_datastar_event *event);
static void event_begin(http_sse_lines *lines, const char *type, const http_datastar_event *event);
static void text_put(http_sse_lines *lines, const char *prefix, const char *text);
static bool is_blank(const char *text);
static bool attribute_is_good(const http_datastar_attribute *attribute);
static bool ends_script(const char *script);

http_sse_result http_datastar_patch_elements(http_response *response,
                                             const http_datastar_elements *patch) {
    TINA_ASSERT(patch->mode <= HTTP_DATASTAR_REMOVE && patch->space <= HTTP_DATASTAR_MATHML);
    bool required = patch->mode != HTTP_DATASTAR_REMOVE || is_blank(patch->selector);
    if ((required && is_blank(patch->elements)) || !event_is_good(&patch->event))
        return HTTP_SSE_REFUSED;
    return http_sse_write(response, patch, elements_write);
}

http_sse_result http_datastar_patch_signals(http_response *response,
                                            const http_datastar_signals *patch) {
    if (is_blank(patch->signals) || !event_is_good(&patch->event))
        return HTTP_SSE_REFUSED;
    return http_sse_write(response, patch, signals_write);
}

http_sse_result http_datastar_execute_script(http_response *response,
                                             const http_datastar_script *script) {
    bool good = script->script != NULL && !ends_script(script->script);
    for (uint32_t i = 0; i < script->attribute_count; i++)
        good = good && attribute_is_good(&script->attributes[i]);
    if (!good || !event_is_good(&script->event))
        return HTTP_SSE_REFUSED;
    return http_sse_write(response, script, script_write);
}

static void elements_write(http_sse_lines *lines, const void *patch) {
    static const char *const modes[] = {"outer",  "inner",  "replace", "prepend",
                                        "append", "before", "after",   "remove"};
    static const char *const spaces[] = {"html", "svg", "mathml"};
    const http_datastar_elements *p = patch;
    event_begin(lines, "datastar-patch-elements", &p->event);
    if (p->selector != NULL)
        text_put(lines, "data: selector ", p->selector);
    if (p->mode != HTTP_DATASTAR_OUTER)
        text_put(lines, "data: mode ", modes[p->mode]);
    if (p->space != HTTP_DATASTAR_HTML)
        text_put(lines, "data: namespace ", spaces[p->space]);
    if (p->use_view_transition)
        text_put(lines, "data: useViewTransition ", "true");
    if (p->view_transition_selector != NULL)
        text_put(lines, "data: viewTransitionSelector ", p->view_transition_selector);
    if (!is_blank(p->elements))
        text_put(lines, "data: elements ", p->elements);
    http_sse_put(lines, "\n", 1);
}

static void signals_write(http_sse_lines *lines, const void *patch) {
    const http_datastar_signals *p = patch;
    event_begin(lines, "datastar-patch-signals", &p->event);
    if (p->only_if_missing)
        text_put(lines, "data: onlyIfMissing ", "true");
    text_put(lines, "data: signals ", p->signals);
    http_sse_put(lines, "\n", 1);
}

static void part_put(http_sse_lines *lines, const char *text) {
    http_sse_put(lines, text, strlen(text));
}

// Attributes have no line breaks, so the tag's first line is all but the script's.
static void script_write(http_sse_lines *lines, const void *script) {
    const http_datastar_script *s = script;
    event_begin(lines, "datastar-patch-elements", &s->event);
    text_put(lines, "data: mode ", "append");
    text_put(lines, "data: selector ", "body");
    part_put(lines, "data: elements <script");
    for (uint32_t i = 0; i < s->attribute_count; i++) {
        part_put(lines, " ");
        part_put(lines, s->attributes[i].name);
        part_put(lines, "=\"");
        part_put(lines, s->attributes[i].value);
        part_put(lines, "\"");
    }
    if (!s->keep)
        part_put(lines, " data-effect=\"el.remove()\"");
    part_put(lines, ">");
    http_sse_put_text(lines, "data: elements ", s->script, strlen(s->script));
    part_put(lines, "</script>\n\n");
}

// An id that is empty is none.
static bool event_is_good(const http_datastar_event *event) {
    return event->id == NULL || http_sse_is_line(event->id);
}

static void event_begin(http_sse_lines *lines, const char *type, const http_datastar_event *event) {
    bool has_id = event->id != NULL && event->id[0] != '\0';
    http_sse sse = {.event = type,
                    .id = has_id ? event->id : NULL,
                    .retry_ms = event->retry_ms != RETRY_DEFAULT_MS ? event->retry_ms : 0};
    http_sse_put_begin(lines, &sse);
}

static void text_put(http_sse_lines *lines, const char *prefix, const char *text) {
    http_sse_put_lines(lines, prefix, text, strlen(text));
}

static bool is_blank(const char *text) {
    return text == NULL || text[strspn(text, " \t\n\v\f\r")] == '\0';
}

static bool attribute_is_good(const http_datastar_attribute *attribute) {
    const char *name = attribute->name;
    return name[0] != '\0' && name[strcspn(name, " \t\r\n\f\"'<>/=")] == '\0' &&
           attribute->value[strcspn(attribute->value, "\"\r\n")] == '\0';
}

static bool ends_script(const char *script) {
    for (; *script != '\0'; script++) {
        if (script[0] == '<' && script[1] == '/' && strlen(script + 2) >= 6 &&
            ascii_equal(script + 2, "script", 6))
            return true;
    }
    return false;
}

http_json_result http_datastar_read(http_request *request, http_json_doc *json) {
    http_method method = http_request_method(request);
    const char *text = NULL;
    size_t bytes = 0;
    *json = (http_json_doc){0};
    if (method == HTTP_GET || method == HTTP_DELETE) {
        text = http_query(request, "datastar");
        bytes = text != NULL ? strlen(text) : 0;
    } else {
        text = http_body(request).data;
        bytes = http_body(request).bytes;
    }
    if (bytes == 0)
        return HTTP_JSON_BAD;
    http_json_result result = http_json_read(json, text, bytes, NULL, 0);
    if (result != HTTP_JSON_OK)
        return result;
    uint64_t wanted = (uint64_t)json->count * sizeof(http_json_value) + 16;
    if (wanted > request->scratch_bytes - request->scratch_used)
        return HTTP_JSON_TOO_LARGE; // which the handler can still answer
    http_json_value *values = http_scratch(request, json->count * sizeof *values);
    result = http_json_read(json, text, bytes, values, json->count);
    TINA_ASSERT(result == HTTP_JSON_OK);
    return values[0].kind == HTTP_JSON_OBJECT ? HTTP_JSON_OK : HTTP_JSON_BAD;
}

bool http_datastar_requests(const http_request *request) {
    const char *value = http_header(request, "Datastar-Request");
    return value != NULL && strcmp(value, "true") == 0;
}

const char *http_datastar_text(http_request *request, const http_json_doc *json,
                               const char *signal) {
    uint32_t value = http_json_member(json, 0, signal);
    if (value == 0 || json->values[value].kind != HTTP_JSON_STRING)
        return NULL;
    char *text = http_scratch(request, json->values[value].bytes + 1);
    if (text == NULL)
        return NULL;
    uint32_t bytes = http_json_text(json, value, text);
    text[bytes] = '\0';
    return memchr(text, '\0', bytes) == NULL ? text : NULL;
}
