// SPDX-License-Identifier: Apache-2.0
//
// A small HTTP server. Try:
//
//     bazel run //examples:http_hello -- --port 8080
//     curl -i localhost:8080/hello
//     curl -i localhost:8080/users/42
//     curl -i --data-binary @README.md localhost:8080/echo

#include "http/serve.h"

static http_step get_index(http_request *req, http_response *res) {
    (void)req;
    return http_text(res, 200, "GET /hello\nGET /users/:id\nPOST /echo\n");
}

static http_step get_hello(http_request *req, http_response *res) {
    (void)req;
    return http_text(res, 200, "Hello, World!\n");
}

static http_step get_user(http_request *req, http_response *res) {
    http_set_header(res, "cache-control", "no-cache");
    return http_json(res, 200, "{\"id\":%s}", http_json_quote(req, http_param(req, "id")));
}

static http_step post_echo(http_request *req, http_response *res) {
    const char *type = http_header(req, "content-type");
    tina_bytes body = http_body(req);
    return http_bytes(res, 200, type != NULL ? type : "application/octet-stream", body.data,
                      body.bytes);
}

static const http_route routes[] = {
    {HTTP_GET, "/", get_index},
    {HTTP_GET, "/hello", get_hello},
    {HTTP_GET, "/users/:id", get_user},
    {HTTP_POST, "/echo", post_echo, .body_limit = 1 << 20},
};

int main(int argc, char **argv) {
    return http_serve(&(http_server){.port = 8080, .routes = HTTP_ROUTES(routes)}, argc, argv);
}
