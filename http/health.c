// SPDX-License-Identifier: Apache-2.0
#include "http/exchange.h"
#include "http/http.h"
#include "http/shard.h"
#include "sched/ctx.h"

http_step http_answer_live(http_request *request, http_response *response) {
    (void)request;
    http_set_header(response, "Cache-Control", "no-store");
    return http_text(response, 200, "live\n");
}

http_step http_answer_ready(http_request *request, http_response *response) {
    const http_shard *shard = tina_shard_memory(request->ctx);
    bool ready = !shard->leaving && !shard->draining;
    http_set_header(response, "Cache-Control", "no-store");
    return http_text(response, ready ? 200 : 503, ready ? "ready\n" : "draining\n");
}
