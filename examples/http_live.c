// SPDX-License-Identifier: Apache-2.0
//
// A page that lives: a counter, a clock and a chat that every open page shares. Try:
//
//     bazel run //examples:http_live -- --port 8080
//
// and open http://localhost:8080 twice. The events of each page come from a handler that waits
// (http_wait): for what the hub publishes, for a timer of its own, for the end of either.

#include <string.h>

#include "core/format.h"
#include "examples/http_live_page.h"
#include "examples/hub.h"
#include "http/serve.h"
#include "http/sse.h"

#define SECOND_NS UINT64_C(1000000000)

typedef struct live_state {
    uint64_t line_id; // of the last line that the client has
    tina_timer clock;
} live_state;

static http_step news(http_request *req, http_response *res);

static http_step get_page(http_request *req, http_response *res) {
    (void)req;
    return http_static(res, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

static void event_write(http_request *req, http_response *res, const http_sse *event) {
    if (http_sse_event(res, event) != HTTP_SSE_OK) // one event at a time always fits
        tina_log(http_ctx(req), TINA_LOG_ERROR, "an event was not written");
}

static void clock_write(http_request *req, http_response *res) {
    char text[16];
    uint64_t s = tina_wall_s(http_ctx(req)) % 86400;
    tina_format(text, sizeof text, "%02u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
                (unsigned)(s % 60));
    event_write(req, res, &(http_sse){.event = "clock", .data = text});
}

static void count_write(http_request *req, http_response *res, const tina_message *m) {
    char text[24];
    uint64_t count;
    memcpy(&count, m->payload, sizeof count);
    tina_format(text, sizeof text, "%llu", (unsigned long long)count);
    event_write(req, res, &(http_sse){.event = "count", .data = text});
}

static void line_write(http_request *req, http_response *res, const tina_message *m) {
    live_state *state = http_state(req);
    hub_line line;
    char id[24];
    memcpy(&line, m->payload, sizeof line);
    if (line.id > state->line_id + 1)
        event_write(req, res, &(http_sse){.event = "missed", .data = "some lines"});
    state->line_id = line.id;
    tina_format(id, sizeof id, "%llu", (unsigned long long)line.id);
    event_write(
        req, res,
        &(http_sse){.event = "chat", .id = id, .data = line.text, .data_bytes = line.text_bytes});
}

// The connection may serve other requests.
static http_step end(http_request *req, http_response *res) {
    const live_state *state = http_state(req);
    tina_timer_cancel(http_ctx(req), state->clock);
    tina_send(http_ctx(req), hub_handle(), HUB_LEAVE, NULL, 0);
    return http_end(res);
}

static http_step joined(http_request *req, http_response *res) {
    tina_ctx *ctx = http_ctx(req);
    live_state *state = http_state(req);
    const tina_message *m = http_message(req);
    if (m->tag != HUB_JOINED || tina_monitor_set(ctx, m->from).bits == 0)
        return http_text(res, 503, "try again\n");
    state->clock = tina_timer_set_periodic(ctx, SECOND_NS, 0);
    http_sse_begin(req, res);
    event_write(req, res, &(http_sse){.retry_ms = 500});
    clock_write(req, res);
    return http_wait(res, news, HTTP_SSE_KEEP_ALIVE_NS);
}

static http_step get_live(http_request *req, http_response *res) {
    live_state *state = http_state(req);
    const char *id = http_sse_last_id(req);
    for (; id != NULL && *id >= '0' && *id <= '9'; id++)
        state->line_id = state->line_id * 10 + (uint64_t)(*id - '0');
    if (http_request_method(req) == HTTP_HEAD)
        return http_empty(res, 200);
    return http_call(res,
                     tina_call(http_ctx(req), hub_handle(), HUB_JOIN, &state->line_id,
                               sizeof state->line_id, 5 * SECOND_NS),
                     joined);
}

static http_step news(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    if (m == NULL)
        http_sse_comment(res, "");
    else if (m->tag == HUB_COUNT)
        count_write(req, res, m);
    else if (m->tag == HUB_SAID)
        line_write(req, res, m);
    else if (m->tag == TINA_TIMER)
        clock_write(req, res);
    else if (m->tag == TINA_SHUTDOWN || m->tag == TINA_DOWN)
        return end(req, res);
    return http_wait(res, news, HTTP_SSE_KEEP_ALIVE_NS);
}

static http_step publish(http_request *req, http_response *res, int32_t tag, tina_bytes text) {
    tina_send_result sent = tina_send(http_ctx(req), hub_handle(), tag, text.data, text.bytes);
    return http_empty(res, sent == TINA_SEND_OK ? 204 : 503);
}

static http_step post_add(http_request *req, http_response *res) {
    return publish(req, res, HUB_ADD, (tina_bytes){NULL, 0});
}

static http_step post_chat(http_request *req, http_response *res) {
    tina_bytes text = http_body(req);
    return text.bytes > 0 ? publish(req, res, HUB_SAY, text) : http_empty(res, 400);
}

static const http_route routes[] = {
    {HTTP_GET, "/", get_page},
    {HTTP_GET, "/live", get_live, .state_bytes = sizeof(live_state)},
    {HTTP_POST, "/add", post_add},
    {HTTP_POST, "/chat", post_chat, .body_limit = HUB_TEXT_BYTES},
};

static const tina_type_slots types[] = {{&hub_type, 1}};
static const tina_child children[] = {{.name = "hub", .type = &hub_type}};

int main(int argc, char **argv) {
    return http_serve(&(http_server){.port = 8080,
                                     .routes = HTTP_ROUTES(routes),
                                     .types = types,
                                     .type_count = 1,
                                     .children = children,
                                     .child_count = 1},
                      argc, argv);
}
