// SPDX-License-Identifier: Apache-2.0
//
// The snippet of README.md, which quotes the lines between the two marks.

// README begins
#include "http/serve.h"

static http_step get_user(http_request *req, http_response *res) {
    http_set_header(res, "cache-control", "no-cache");
    return http_json(res, 200, "{\"id\":%s}", http_json_quote(req, http_param(req, "id")));
}

static http_step upload(http_request *req, http_response *res) {
    return http_text(res, 200, "%zu bytes\n", http_body(req).bytes);
}

static const http_route routes[] = {
    {HTTP_GET, "/users/:id", get_user},
    {HTTP_POST, "/upload", upload, .body_limit = 1 << 20},
};

int main(int argc, char **argv) {
    return http_serve(&(http_server){.port = 8080, .routes = HTTP_ROUTES(routes)}, argc, argv);
}
// README ends
