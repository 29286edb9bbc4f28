// SPDX-License-Identifier: Apache-2.0
//
// Datastar's events, which are server-sent events (sse.h) that change a page, and the signals that
// its requests carry:
//
//     if (!http_sse_begin(req, res))
//         return http_end(res);
//     http_datastar_patch_elements(res, &(http_datastar_elements){.elements = "<b id=n>1</b>"});
//     return http_wait(res, next, HTTP_SSE_KEEP_ALIVE_NS);
//
// The protocol is that of Datastar 1.0. What is zero is its default, and left out. Texts may have
// several lines.

#ifndef TINA_HTTP_DATASTAR_H
#define TINA_HTTP_DATASTAR_H

#include "http/json_read.h"
#include "http/sse.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum http_datastar_mode {
    HTTP_DATASTAR_OUTER = 0, // morph the element whose id it has, or that the selector finds
    HTTP_DATASTAR_INNER,
    HTTP_DATASTAR_REPLACE, // without morphing
    HTTP_DATASTAR_PREPEND,
    HTTP_DATASTAR_APPEND,
    HTTP_DATASTAR_BEFORE,
    HTTP_DATASTAR_AFTER,
    HTTP_DATASTAR_REMOVE,
} http_datastar_mode;

typedef enum http_datastar_namespace {
    HTTP_DATASTAR_HTML = 0,
    HTTP_DATASTAR_SVG,
    HTTP_DATASTAR_MATHML,
} http_datastar_namespace;

// What all events have. Like a browser, Datastar connects again after 1,000 ms unless told.
typedef struct http_datastar_event {
    const char *id;
    uint32_t retry_ms;
} http_datastar_event;

typedef struct http_datastar_elements {
    const char *elements; // HTML; may be left out to remove what the selector finds
    const char *selector;
    http_datastar_mode mode;
    http_datastar_namespace space;
    bool use_view_transition;
    const char *view_transition_selector;
    http_datastar_event event;
} http_datastar_elements;

typedef struct http_datastar_signals {
    const char *signals; // JSON, a merge patch (RFC 7386): null removes a signal
    bool only_if_missing;
    http_datastar_event event;
} http_datastar_signals;

// An attribute of a script's tag, written as it is: ` name="value"`.
typedef struct http_datastar_attribute {
    const char *name;
    const char *value;
} http_datastar_attribute;

typedef struct http_datastar_script {
    const char *script;
    const http_datastar_attribute *attributes;
    uint32_t attribute_count;
    bool keep; // the tag in the page when it has run
    http_datastar_event event;
} http_datastar_script;

// These write one event. HTTP_SSE_REFUSED, beside what refuses any event: elements or signals that
// are left out or blank where they are required, a script that would end its tag, an attribute that
// would leave its quotes.
http_sse_result http_datastar_patch_elements(http_response *response,
                                             const http_datastar_elements *patch);
http_sse_result http_datastar_patch_signals(http_response *response,
                                            const http_datastar_signals *patch);
http_sse_result http_datastar_execute_script(http_response *response,
                                             const http_datastar_script *script);

// http_datastar_read reads the request's signals, an object: from the query parameter "datastar" of
// GET and DELETE, else from the body, which must be whole. *json lies in scratch.
// HTTP_JSON_BAD also when there are none.
http_json_result http_datastar_read(http_request *request, http_json_doc *json);

// http_datastar_requests tells whether Datastar sent the request, and not a form or a link.
bool http_datastar_requests(const http_request *request);

// http_datastar_text returns a signal's text in scratch, NULL when it is none, or holds a NUL.
const char *http_datastar_text(http_request *request, const http_json_doc *json,
                               const char *signal);

#ifdef __cplusplus
}
#endif

#endif
