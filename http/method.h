// SPDX-License-Identifier: Apache-2.0
//
// The request methods, by number and by name.

#ifndef TINA_HTTP_METHOD_H
#define TINA_HTTP_METHOD_H

#ifdef __cplusplus
extern "C" {
#endif

// Methods that are understood; others are answered 501. RFC 9110 §9, RFC 5789, WebDAV and its kin.
typedef enum http_method {
    HTTP_METHOD_NONE = 0,
    HTTP_DELETE,
    HTTP_GET, // its routes answer HEAD too
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_CONNECT, // never routed: answered 501
    HTTP_OPTIONS, // answered 204 with Allow where no route takes it
    HTTP_TRACE,
    HTTP_COPY,
    HTTP_LOCK,
    HTTP_MKCOL,
    HTTP_MOVE,
    HTTP_PROPFIND,
    HTTP_PROPPATCH,
    HTTP_SEARCH,
    HTTP_UNLOCK,
    HTTP_BIND,
    HTTP_REBIND,
    HTTP_UNBIND,
    HTTP_ACL,
    HTTP_REPORT,
    HTTP_MKACTIVITY,
    HTTP_CHECKOUT,
    HTTP_MERGE,
    HTTP_MSEARCH,
    HTTP_NOTIFY,
    HTTP_SUBSCRIBE,
    HTTP_UNSUBSCRIBE,
    HTTP_PATCH,
    HTTP_PURGE,
    HTTP_MKCALENDAR,
    HTTP_LINK,
    HTTP_UNLINK,
    HTTP_METHOD_COUNT,
} http_method;

// http_method_name returns the method's name in capitals; method is a constant above.
const char *http_method_name(http_method method);

#ifdef __cplusplus
}
#endif

#endif
