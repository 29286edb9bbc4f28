// SPDX-License-Identifier: Apache-2.0
//
// Hooks before and after handlers, on the scripted backend.

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "http/auth.h"
#include "http/http.h"
#include "http/request_id.h"
#include "http/site.h"
#include "sched/ctx.h"

namespace {

using std::string;

string order; // in which hooks and handlers ran

size_t hook_read;

http_step read_on(http_request *request, http_response *response) {
    hook_read += http_body(request).bytes;
    return http_body_ended(request) ? http_text(response, 200, "read %zu", hook_read)
                                    : http_read(response, read_on);
}

http_step note(http_request *request, http_response *response, const void *name) {
    order += string("+") + static_cast<const char *>(name);
    http_set_header(response, "x-before", static_cast<const char *>(name));
    const char *ask = http_header(request, "x-ask");
    if (ask == nullptr || string(ask).compare(0, 1, static_cast<const char *>(name)) != 0)
        return http_pass(response);
    switch (ask[1]) {
    case '4':
        return http_text(response, 403, "no\n");
    case '0':
        return http_step{};
    case 'f':
        http_set_header(response, "bad name", "x");
        return http_pass(response);
    case 's':
        http_stream_begin(response, 200, "text/plain", HTTP_BYTES_UNKNOWN);
        http_write(response, "streamed", 8);
        return http_end(response);
    default:
        hook_read = 0;
        return http_read(response, read_on);
    }
}

void note_after(http_request *request, http_response *response, int status, const void *name) {
    order += string("-") + static_cast<const char *>(name) + std::to_string(status);
    http_set_header(response, "x-after", static_cast<const char *>(name));
    if (http_header(request, "x-much") != nullptr)
        http_set_header(response, "x-much", string(20000, 'a').c_str());
}

bool knows(http_request *, const char *user, const char *password, void *context) {
    EXPECT_EQ(context, &order);
    return string(user) == "ann" && http_secrets_equal(password, "s:e");
}

bool knows_token(http_request *, const char *token, void *) {
    return http_secrets_equal(token, "abc-._~+/9==");
}

http_step hello(http_request *request, http_response *response) {
    order += "!";
    const char *id = http_request_id(request);
    return http_text(response, 200, "hello %s %zu", id != nullptr ? id : "",
                     http_body(request).bytes);
}

http_step too_much(http_request *, http_response *response) {
    return http_text(response, 200, "%s", string(20000, 'a').c_str());
}

http_step count_body(http_request *request, http_response *response) {
    order += "!";
    if (!http_body_ended(request))
        return http_read(response, count_body);
    return http_text(response, 200, "counted");
}

http_route route(http_method method, const char *pattern, http_handler handler) {
    http_route made = {};
    made.method = method;
    made.pattern = pattern;
    made.handler = handler;
    return made;
}

http_route streamed(const char *pattern, http_handler handler) {
    http_route made = route(HTTP_POST, pattern, handler);
    made.streamed = true;
    return made;
}

const http_route routes[] = {route(HTTP_GET, "/", hello),
                             route(HTTP_GET, "/api", hello),
                             route(HTTP_POST, "/api/:id", hello),
                             route(HTTP_GET, "/api/big", too_much),
                             streamed("/api/in/streamed", count_body),
                             route(HTTP_GET, "/apiary", hello),
                             route(HTTP_GET, "/staff/a", hello),
                             route(HTTP_GET, "/token/a", hello),
                             route(HTTP_GET, "/proxied/a", hello)};

const http_auth staff = {"staff", knows, nullptr, &order};
const http_auth machines = {"machines", nullptr, knows_token, nullptr};
const http_request_id_rule proxied = {"x-trace", true};

const http_hook all_hooks[] = {{note, note_after, "A"}, HTTP_REQUEST_ID(nullptr)};
const http_hook api_hooks[] = {{note, nullptr, "B"}, {nullptr, note_after, "C"}};
const http_hook staff_hooks[] = {HTTP_BASIC_AUTH(&staff)};
const http_hook token_hooks[] = {HTTP_BEARER_AUTH(&machines)};
const http_hook proxied_hooks[] = {HTTP_REQUEST_ID(&proxied)};

http_route_group group(const char *prefix, const http_hook *hooks, uint32_t count) {
    http_route_group made = {};
    made.prefix = prefix;
    made.hooks = hooks;
    made.hook_count = count;
    return made;
}

const http_route_group groups[] = {group(nullptr, all_hooks, 2), group("/api", api_hooks, 2),
                                   group("/staff", staff_hooks, 1), group("/token", token_hooks, 1),
                                   group("/proxied", proxied_hooks, 1)};

http_server server() {
    http_server made = {};
    made.route_groups = HTTP_ROUTE_GROUPS(groups);
    return made;
}

class Hook : public ::testing::Test {
  protected:
    Hook() : site(HTTP_ROUTES(routes), server()) {}

    string ask(const string &line, const string &fields = "", const string &body = "") {
        order.clear();
        Client client(site);
        string response = client.ask(line + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body);
        client.close();
        return response;
    }

    Site site;
};

bool has(const string &text, const string &part) {
    return text.find(part) != string::npos;
}

TEST_F(Hook, RunsGroupByGroupAndBackAgain) {
    string response = ask("GET /api");
    EXPECT_EQ(order, "+A+B!-C200-A200");
    EXPECT_EQ(StatusOf(response), "200");
    size_t a = response.find("x-before: A\r\n");
    size_t b = response.find("x-before: B\r\n");
    size_t c = response.find("x-after: C\r\n");
    EXPECT_TRUE(a < b && b < c && c < response.find("x-after: A\r\n")) << response;
    ask("GET /apiary");
    EXPECT_EQ(order, "+A!-A200");
    ask("GET /%61pi"); // however it is spelt
    EXPECT_EQ(order, "+A+B!-C200-A200");
    ask("POST /api/7", "Content-Length: 3\r\n", "abc");
    EXPECT_EQ(order, "+A+B!-C200-A200");
    ask("POST /api/in/streamed", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n");
    EXPECT_EQ(order.substr(0, 5), "+A+B!");
}

TEST_F(Hook, OfAllSeesWhatNoRouteHas) {
    EXPECT_EQ(StatusOf(ask("GET /none")), "404");
    EXPECT_EQ(order, "+A-A404");
    EXPECT_EQ(StatusOf(ask("PUT /api")), "405");
    EXPECT_EQ(order, "+A-A405");
    EXPECT_EQ(StatusOf(ask("OPTIONS *")), "204");
    EXPECT_EQ(order, "+A-A204");
    EXPECT_EQ(StatusOf(ask("GET /none", "x-ask: A4\r\n")), "403");
    EXPECT_EQ(StatusOf(ask("PUT /none", "Expect: 100-continue\r\nContent-Length: 5\r\n")), "404");
    EXPECT_EQ(order, "+A-A404");
    EXPECT_EQ(StatusOf(ask("GET /bad path")), "400");
    EXPECT_EQ(order, ""); // no head, no hooks
}

TEST_F(Hook, MayAnswerInstead) {
    string response = ask("GET /api", "x-ask: A4\r\n");
    EXPECT_EQ(StatusOf(response), "403");
    EXPECT_TRUE(has(response, "x-before: A\r\n") && has(response, "x-after: C\r\n"));
    EXPECT_EQ(order, "+A-C403-A403");
    EXPECT_TRUE(has(ask("GET /api", "x-ask: Bs\r\n"), "8\r\nstreamed\r\n0\r\n\r\n"));
    EXPECT_EQ(order, "+A+B-C200-A200");
    EXPECT_EQ(StatusOf(ask("GET /api", "x-ask: A0\r\n")), "500");
    EXPECT_EQ(StatusOf(ask("GET /api", "x-ask: Bf\r\n")), "500");
    EXPECT_EQ(order, "+A+B-C500-A500");
    EXPECT_TRUE(
        has(ask("POST /api/7", "x-ask: Br\r\nContent-Length: 3\r\n", "abc"), "\r\n\r\nread 3"));
}

TEST_F(Hook, AnswersBeforeTheBodyAndTheConnectionGoesOn) {
    Client client(site);
    order.clear();
    string response = client.ask("POST /api/7 HTTP/1.1\r\nHost: h\r\nx-ask: B4\r\n"
                                 "Content-Length: 10\r\n\r\nabc");
    EXPECT_EQ(StatusOf(response), "403");
    response = client.ask("0123456GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(StatusOf(response), "200");
    EXPECT_EQ(order, "+A+B-C403-A403+A!-A200");
    // One who waits to be asked for the body is not.
    response = client.ask("POST /api/7 HTTP/1.1\r\nHost: h\r\nx-ask: B4\r\n"
                          "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n");
    EXPECT_EQ(StatusOf(response), "403");
    EXPECT_TRUE(EndsWith(response, "<end>"));
    client.close();
    // Larger than a body may be.
    response = ask("POST /api/7", "x-ask: B4\r\nContent-Length: 99999999\r\n");
    EXPECT_EQ(StatusOf(response), "403");
    response = ask("POST /api/7", "Content-Length: 99999999\r\n");
    EXPECT_EQ(StatusOf(response), "413");
    EXPECT_EQ(order, "+A+B-C413-A413");
}

TEST_F(Hook, FieldsLastWhileABodyComesAndOthersAreAnswered) {
    Client client(site);
    order.clear();
    string response = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                                 "POST /api/7 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
    EXPECT_TRUE(has(response, "x-before: A\r\n") && !has(response, "x-before: B\r\n"));
    response = client.ask("bc");
    EXPECT_TRUE(has(response, "x-before: A\r\nx-before: B\r\n") && EndsWith(response, " 3"));
    EXPECT_EQ(order, "+A!-A200+A+B!-C200-A200");
    client.close();
}

TEST_F(Hook, WhatDoesNotFitIsLeftOut) {
    EXPECT_EQ(StatusOf(ask("GET /api", "x-much: 1\r\n")), "500");
    EXPECT_EQ(StatusOf(ask("GET /none", "x-much: 1\r\n")), "404");
    string response = ask("GET /api/big");
    EXPECT_EQ(StatusOf(response), "500");
    EXPECT_EQ(order, "+A+B-C200-A200-C500-A500");
    EXPECT_TRUE(has(response, "x-after: A\r\n"));
}

TEST_F(Hook, BasicCredentialsAreReadStrictly) {
    string response = ask("GET /staff/a");
    EXPECT_EQ(StatusOf(response), "401");
    EXPECT_TRUE(
        has(response, "\r\nWWW-Authenticate: Basic realm=\"staff\", charset=\"UTF-8\"\r\n"));
    EXPECT_EQ(StatusOf(ask("GET /staff/a", "Authorization: Basic YW5uOnM6ZQ==\r\n")), "200");
    EXPECT_EQ(StatusOf(ask("GET /staff/a", "authorization: bASIC  YW5uOnM6ZQ==\r\n")), "200");
    for (const char *value : {"Basic", "Basic ", "Basic YW5uOnM6Zg==", "Basic YW5uOnM6ZQ",
                              "Basic YW5uOnM6ZR==", "Basic YW5uOnM6ZQ== x",
                              "Basic =", "Basic ====", "Basic YW5uOnM=ZQ==", "Basic YW5u",
                              "Basic YW5uAHM6ZQ==", "Basic YW5uOnM6ZQA=", "Bearer YW5uOnM6ZQ==",
                              "BasicYW5uOnM6ZQ==", "Basic YW5uOnM6Z\xC3\xA4=="})
        EXPECT_EQ(StatusOf(ask("GET /staff/a", "Authorization: " + string(value) + "\r\n")), "401")
            << value;
    EXPECT_EQ(StatusOf(ask("GET /staff/a", "Authorization: Basic YW5uOnM6ZQ==\r\n"
                                           "Authorization: Basic YW5uOnM6ZQ==\r\n")),
              "401");
    EXPECT_FALSE(has(order, "!"));
}

TEST_F(Hook, ABearerIsToldWhatIsWrong) {
    string response = ask("GET /token/a");
    EXPECT_EQ(StatusOf(response), "401");
    EXPECT_TRUE(has(response, "\r\nWWW-Authenticate: Bearer realm=\"machines\"\r\n"));
    EXPECT_EQ(StatusOf(ask("GET /token/a", "Authorization: Bearer abc-._~+/9==\r\n")), "200");
    for (const char *value : {"Bearer abc", "Bearer a b", "Bearer ==", "Bearer abc=d"}) {
        response = ask("GET /token/a", "Authorization: " + string(value) + "\r\n");
        EXPECT_EQ(StatusOf(response), "401") << value;
        EXPECT_TRUE(has(response, "realm=\"machines\", error=\"invalid_token\"\r\n")) << value;
    }
}

TEST_F(Hook, SecretsAreComparedWhole) {
    EXPECT_TRUE(http_secrets_equal("", ""));
    EXPECT_TRUE(http_secrets_equal("abc", "abc"));
    for (const char *given : {"", "ab", "abcd", "abcabc", "Abc", "abC"})
        EXPECT_FALSE(http_secrets_equal(given, "abc")) << given;
    EXPECT_FALSE(http_secrets_equal("a", ""));
}

string id_of(const string &response, const string &field = "X-Request-Id") {
    size_t at = response.find("\r\n" + field + ": ");
    if (at == string::npos)
        return "";
    at += field.size() + 4;
    return response.substr(at, response.find("\r\n", at) - at);
}

TEST_F(Hook, EachRequestHasAnIdOfItsOwn) {
    std::set<string> ids;
    for (int i = 0; i < 50; i++) {
        string response = ask(i % 2 != 0 ? "GET /" : "GET /none", "X-Request-Id: mine\r\n");
        string id = id_of(response);
        EXPECT_EQ(id.size(), 16u) << response;
        EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), string::npos);
        EXPECT_TRUE(i % 2 == 0 || EndsWith(response, "hello " + id + " 0"));
        ids.insert(id);
    }
    EXPECT_EQ(ids.size(), 50u);
    // Pipelined ones too: none has the one before's.
    Client client(site);
    string both = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_NE(id_of(both), id_of(both.substr(both.rfind("HTTP/1.1 200"))));
    client.close();
}

TEST_F(Hook, AnIdIsTakenOverOnlyWhereThatIsAskedForAndOnlyAPlainOne) {
    EXPECT_EQ(id_of(ask("GET /proxied/a", "X-Trace: a-B.9_\r\n"), "x-trace"), "a-B.9_");
    EXPECT_EQ(id_of(ask("GET /proxied/a", "X-Trace: " + string(64, 'a') + "\r\n"), "x-trace"),
              string(64, 'a'));
    for (const string &name : {string(65, 'a'), string("a b"), string("a\""), string("")})
        EXPECT_EQ(id_of(ask("GET /proxied/a", "X-Trace: " + name + "\r\n"), "x-trace").size(), 16u)
            << name;
}

void query_after(http_request *request, http_response *response, int, const void *) {
    http_set_header(response, "x-query", http_query(request, "q"));
}

// The scratch of the handler that received the head is gone by then.
TEST(Refusal, HasScratchForItsHooks) {
    static const http_hook hook = {nullptr, query_after, nullptr};
    static const http_route_group every[] = {{nullptr, &hook, 1, false}};
    static http_route route = {};
    route.method = HTTP_POST;
    route.pattern = "/";
    route.handler = [](http_request *, http_response *response) {
        return http_empty(response, 204);
    };
    http_server made = {};
    made.route_groups = HTTP_ROUTE_GROUPS(every);
    Site site(http_routes{&route, 1}, made);
    Client client(site);
    EXPECT_EQ(client.ask("POST /?q=a%20b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"), "");
    site.harness->Sleep(UINT64_C(31000000000));
    string refused = client.take();
    EXPECT_EQ(StatusOf(refused), "408");
    EXPECT_TRUE(has(refused, "x-query: a b\r\n")) << refused;
}

TEST(Groups, ThatCannotBeMeantAreRefused) {
    static http_program program;
    char sentence[TINA_SENTENCE_BYTES];
    for (const char *prefix : {"", "/", "api", "/api/", "/none", "/ap"}) {
        http_route_group bad[] = {group(prefix, all_hooks, 1)};
        http_server made = {};
        made.routes = HTTP_ROUTES(routes);
        made.route_groups = HTTP_ROUTE_GROUPS(bad);
        EXPECT_FALSE(http_server_spec(&made, &program, sentence)) << prefix;
        EXPECT_TRUE(has(sentence, "group 0 of routes")) << sentence;
    }
    http_route_group many[65] = {};
    http_server made = {};
    made.routes = HTTP_ROUTES(routes);
    made.route_groups = HTTP_ROUTE_GROUPS(many);
    EXPECT_FALSE(http_server_spec(&made, &program, sentence));
    EXPECT_STREQ(sentence, "65 groups of routes are more than 64; give several hooks to one");
}

} // namespace
