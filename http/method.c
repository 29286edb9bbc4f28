// SPDX-License-Identifier: Apache-2.0
#include "http/method.h"

#include "core/assert.h"

const char *http_method_name(http_method method) {
    static const char *const names[HTTP_METHOD_COUNT] = {
        [HTTP_DELETE] = "DELETE",
        [HTTP_GET] = "GET",
        [HTTP_HEAD] = "HEAD",
        [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",
        [HTTP_CONNECT] = "CONNECT",
        [HTTP_OPTIONS] = "OPTIONS",
        [HTTP_TRACE] = "TRACE",
        [HTTP_COPY] = "COPY",
        [HTTP_LOCK] = "LOCK",
        [HTTP_MKCOL] = "MKCOL",
        [HTTP_MOVE] = "MOVE",
        [HTTP_PROPFIND] = "PROPFIND",
        [HTTP_PROPPATCH] = "PROPPATCH",
        [HTTP_SEARCH] = "SEARCH",
        [HTTP_UNLOCK] = "UNLOCK",
        [HTTP_BIND] = "BIND",
        [HTTP_REBIND] = "REBIND",
        [HTTP_UNBIND] = "UNBIND",
        [HTTP_ACL] = "ACL",
        [HTTP_REPORT] = "REPORT",
        [HTTP_MKACTIVITY] = "MKACTIVITY",
        [HTTP_CHECKOUT] = "CHECKOUT",
        [HTTP_MERGE] = "MERGE",
        [HTTP_MSEARCH] = "M-SEARCH",
        [HTTP_NOTIFY] = "NOTIFY",
        [HTTP_SUBSCRIBE] = "SUBSCRIBE",
        [HTTP_UNSUBSCRIBE] = "UNSUBSCRIBE",
        [HTTP_PATCH] = "PATCH",
        [HTTP_PURGE] = "PURGE",
        [HTTP_MKCALENDAR] = "MKCALENDAR",
        [HTTP_LINK] = "LINK",
        [HTTP_UNLINK] = "UNLINK",
    };
    TINA_ASSERT(method > HTTP_METHOD_NONE && method < HTTP_METHOD_COUNT);
    return names[method];
}
