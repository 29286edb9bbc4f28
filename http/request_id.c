// SPDX-License-Identifier: Apache-2.0
#include "http/request_id.h"

#include <string.h>

#include "core/format.h"
#include "http/ascii.h"
#include "http/shard.h"
#include "sched/ctx.h"

#define DOMAIN UINT64_C(0x72657175657374) // "request"

static const char *field_of(const http_request_id_rule *rule) {
    return rule != NULL && rule->field != NULL ? rule->field : "X-Request-Id";
}

static bool name_is_plain(const char *name) {
    size_t bytes = 0;
    while (ascii_is_alnum(name[bytes]) ||
           (name[bytes] != '\0' && strchr("-._", name[bytes]) != NULL))
        bytes++;
    return bytes > 0 && bytes <= HTTP_REQUEST_ID_BYTES_MAX && name[bytes] == '\0';
}

// Seeded at the shard's first request, since a shard that began anew must not begin alike.
static uint64_t number_draw(tina_ctx *ctx) {
    http_shard *shard = tina_shard_memory(ctx);
    if (shard->ids.key == 0)
        shard->ids = tina_prng_make(tina_now_ns(ctx) ^ tina_prng_mix(tina_wall_s(ctx)), DOMAIN,
                                    tina_shard_number(ctx));
    return tina_prng_next(&shard->ids);
}

const char *http_request_id(const http_request *request) {
    return request->id;
}

http_step http_request_id_make(http_request *request, http_response *response, const void *rule_) {
    const http_request_id_rule *rule = rule_;
    const char *given = rule != NULL && rule->trusted ? http_header(request, field_of(rule)) : NULL;
    if (given != NULL && name_is_plain(given)) {
        request->id = given;
        return http_pass(response);
    }
    tina_format(request->id_made, sizeof request->id_made, "%016llx",
                (unsigned long long)number_draw(request->ctx));
    request->id = request->id_made;
    return http_pass(response);
}

void http_request_id_tell(http_request *request, http_response *response, int status,
                          const void *rule) {
    (void)status;
    if (request->id != NULL)
        http_set_header(response, field_of(rule), request->id);
}
