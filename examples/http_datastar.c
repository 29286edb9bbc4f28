// SPDX-License-Identifier: Apache-2.0
//
// http_live's page without a script of its own: the server writes the HTML, Datastar puts it in its
// place. Try:
//
//     bazel run //examples:http_datastar -- --port 8080
//
// and open http://localhost:8080 twice. Datastar comes from a public CDN, or, for where there is
// none, from a file: --client FILE, which comes first.

#include <stdio.h>
#include <string.h>

#include "core/format.h"
#include "examples/http_datastar_page.h"
#include "examples/hub.h"
#include "http/datastar.h"
#include "http/serve.h"

#define SECOND_NS        UINT64_C(1000000000)
#define CLIENT_BYTES_MAX (1u << 20)

typedef struct live_state {
    tina_timer clock;
} live_state;

static char page[4096];
static char client[CLIENT_BYTES_MAX];
static size_t client_bytes;

static http_step news(http_request *req, http_response *res);

static http_step get_page(http_request *req, http_response *res) {
    (void)req;
    return http_static(res, 200, "text/html; charset=utf-8", page, strlen(page));
}

static http_step get_client(http_request *req, http_response *res) {
    (void)req;
    return http_static(res, client_bytes > 0 ? 200 : 404, "text/javascript", client, client_bytes);
}

static void elements_patch(http_response *res, const http_datastar_elements *patch) {
    http_sse_result result = http_datastar_patch_elements(res, patch);
    (void)result; // one event at a time always fits
}

static void clock_patch(http_request *req, http_response *res) {
    char signals[32];
    uint64_t s = tina_wall_s(http_ctx(req)) % 86400;
    tina_format(signals, sizeof signals, "{\"clock\":\"%02u:%02u:%02u\"}", (unsigned)(s / 3600),
                (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    http_datastar_patch_signals(res, &(http_datastar_signals){.signals = signals});
}

static void count_patch(http_response *res, const tina_message *m) {
    char html[64];
    uint64_t count;
    memcpy(&count, m->payload, sizeof count);
    tina_format(html, sizeof html, "<output id=\"count\">%llu</output>", (unsigned long long)count);
    elements_patch(res, &(http_datastar_elements){.elements = html});
}

// What people say is text, and never markup.
static char *escape(char *out, const char *text, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        const char *entity = text[i] == '<'   ? "&lt;"
                             : text[i] == '>' ? "&gt;"
                             : text[i] == '&' ? "&amp;"
                                              : NULL;
        if (entity == NULL)
            *out++ = text[i];
        else
            out = stpcpy(out, entity);
    }
    return out;
}

static void line_append(http_response *res, const tina_message *m) {
    char html[16 + 5 * HUB_TEXT_BYTES] = "<li>";
    char id[24];
    hub_line line;
    memcpy(&line, m->payload, sizeof line);
    memcpy(escape(html + 4, line.text, line.text_bytes), "</li>", 6);
    tina_format(id, sizeof id, "%llu", (unsigned long long)line.id);
    elements_patch(res, &(http_datastar_elements){.elements = html,
                                                  .selector = "#chat",
                                                  .mode = HTTP_DATASTAR_APPEND,
                                                  .event = {.id = id}});
}

// The connection may serve other requests.
static http_step end(http_request *req, http_response *res) {
    const live_state *state = http_state(req);
    tina_timer_cancel(http_ctx(req), state->clock);
    tina_send(http_ctx(req), hub_handle(), HUB_LEAVE, NULL, 0);
    return http_end(res);
}

static http_step joined(http_request *req, http_response *res) {
    live_state *state = http_state(req);
    const tina_message *m = http_message(req);
    if (m->tag != HUB_JOINED || tina_monitor_set(http_ctx(req), m->from).bits == 0)
        return http_text(res, 503, "try again\n");
    state->clock = tina_timer_set_periodic(http_ctx(req), SECOND_NS, 0);
    http_sse_begin(req, res);
    clock_patch(req, res);
    return http_wait(res, news, HTTP_SSE_KEEP_ALIVE_NS);
}

static http_step get_live(http_request *req, http_response *res) {
    uint64_t line_id = 0;
    const char *id = http_sse_last_id(req);
    for (; id != NULL && *id >= '0' && *id <= '9'; id++)
        line_id = line_id * 10 + (uint64_t)(*id - '0');
    if (http_request_method(req) == HTTP_HEAD)
        return http_empty(res, 200);
    return http_call(
        res,
        tina_call(http_ctx(req), hub_handle(), HUB_JOIN, &line_id, sizeof line_id, 5 * SECOND_NS),
        joined);
}

static http_step news(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    if (m == NULL)
        http_sse_comment(res, "");
    else if (m->tag == HUB_COUNT)
        count_patch(res, m);
    else if (m->tag == HUB_SAID)
        line_append(res, m);
    else if (m->tag == TINA_TIMER)
        clock_patch(req, res);
    else if (m->tag == TINA_SHUTDOWN || m->tag == TINA_DOWN)
        return end(req, res);
    return http_wait(res, news, HTTP_SSE_KEEP_ALIVE_NS);
}

static http_step post_add(http_request *req, http_response *res) {
    tina_send_result sent = tina_send(http_ctx(req), hub_handle(), HUB_ADD, NULL, 0);
    return http_empty(res, sent == TINA_SEND_OK ? 204 : 503);
}

// The answer empties the input that the text was typed into.
static http_step post_chat(http_request *req, http_response *res) {
    http_json_doc signals;
    if (http_datastar_read(req, &signals) != HTTP_JSON_OK)
        return http_text(res, 400, "no signals\n");
    const char *text = http_datastar_text(req, &signals, "text");
    size_t bytes = text != NULL ? strlen(text) : 0;
    if (bytes == 0 || bytes > HUB_TEXT_BYTES)
        return http_text(res, 400, "the text has no or too many bytes\n");
    if (tina_send(http_ctx(req), hub_handle(), HUB_SAY, text, bytes) != TINA_SEND_OK)
        return http_text(res, 503, "try again\n");
    http_sse_begin(req, res);
    http_datastar_patch_signals(res, &(http_datastar_signals){.signals = "{\"text\":\"\"}"});
    return http_end(res);
}

static const http_route routes[] = {
    {HTTP_GET, "/", get_page},
    {HTTP_GET, "/datastar.js", get_client},
    {HTTP_GET, "/live", get_live, .state_bytes = sizeof(live_state)},
    {HTTP_POST, "/add", post_add},
    {HTTP_POST, "/chat", post_chat, .body_limit = 4096},
};

static const tina_type_slots types[] = {{&hub_type, 1}};
static const tina_child children[] = {{.name = "hub", .type = &hub_type}};

static bool client_read(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    client_bytes = fread(client, 1, sizeof client, file);
    bool whole = client_bytes > 0 && client_bytes < sizeof client && !ferror(file);
    fclose(file);
    return whole;
}

int main(int argc, char **argv) {
    const char *script = page_cdn;
    if (argc > 2 && strcmp(argv[1], "--client") == 0) {
        if (!client_read(argv[2])) {
            fprintf(stderr, "http_datastar: %s cannot be read, is empty, or has over %u bytes\n",
                    argv[2], CLIENT_BYTES_MAX);
            return 1;
        }
        script = "datastar.js";
        argv[2] = argv[0];
        argc -= 2;
        argv += 2;
    }
    tina_format(page, sizeof page, page_format, script);
    return http_serve(&(http_server){.port = 8080,
                                     .routes = HTTP_ROUTES(routes),
                                     .types = types,
                                     .type_count = 1,
                                     .children = children,
                                     .child_count = 1},
                      argc, argv);
}
