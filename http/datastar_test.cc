// SPDX-License-Identifier: Apache-2.0
#include "http/datastar.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "http/site.h"

namespace {

using std::string;

std::function<http_sse_result(http_response *)> say;
http_sse_result result;

http_step events(http_request *req, http_response *res) {
    EXPECT_TRUE(http_sse_begin(req, res));
    result = say(res);
    return http_end(res);
}

http_step signals(http_request *req, http_response *res) {
    http_json_doc json;
    http_json_result read = http_datastar_read(req, &json);
    if (read != HTTP_JSON_OK)
        return http_text(res, 400, "%d", read);
    const char *text = http_datastar_text(req, &json, "a");
    return http_text(res, 200, "%s %s", text != nullptr ? text : "-",
                     http_datastar_requests(req) ? "yes" : "no");
}

const http_route routes[] = {{HTTP_GET, "/events", events},
                             {HTTP_GET, "/signals", signals},
                             {HTTP_DELETE, "/signals", signals},
                             {HTTP_POST, "/signals", signals},
                             {HTTP_PUT, "/signals", signals}};

// One for all, since a site takes a while to make.
Site &site() {
    static auto *made = new Site(HTTP_ROUTES(routes));
    return *made;
}

string said(std::function<http_sse_result(http_response *)> what) {
    say = what;
    Client client(site());
    string answer = client.ask("GET /events HTTP/1.0\r\nHost: h\r\n\r\n");
    client.close();
    size_t body = answer.find("\r\n\r\n") + 4;
    return answer.substr(body, answer.rfind("<end>") - body);
}

string patch(const http_datastar_elements &elements) {
    return said([&](http_response *res) { return http_datastar_patch_elements(res, &elements); });
}

string patch(const http_datastar_signals &signals) {
    return said([&](http_response *res) { return http_datastar_patch_signals(res, &signals); });
}

string run(const http_datastar_script &script) {
    return said([&](http_response *res) { return http_datastar_execute_script(res, &script); });
}

TEST(Datastar, PatchesElements) {
    http_datastar_elements all = {};
    all.elements = "<p>\n</p>";
    EXPECT_EQ(patch(all),
              "event: datastar-patch-elements\ndata: elements <p>\ndata: elements </p>\n\n");
    all = {"<p>\r\n<b>\r</b></p>",
           "#a",
           HTTP_DATASTAR_AFTER,
           HTTP_DATASTAR_SVG,
           true,
           "#v",
           {"7", 2000}};
    EXPECT_EQ(patch(all), "event: datastar-patch-elements\nid: 7\nretry: 2000\n"
                          "data: selector #a\ndata: mode after\ndata: namespace svg\n"
                          "data: useViewTransition true\ndata: viewTransitionSelector #v\n"
                          "data: elements <p>\ndata: elements <b>\ndata: elements </b></p>\n\n");
    all = {};
    all.selector = "#a";
    all.mode = HTTP_DATASTAR_REMOVE;
    all.event.retry_ms = 1000;
    EXPECT_EQ(patch(all),
              "event: datastar-patch-elements\ndata: selector #a\ndata: mode remove\n\n");
}

TEST(Datastar, PatchesSignals) {
    http_datastar_signals all = {};
    all.signals = "{\"a\":1,\n\"b\":null}";
    EXPECT_EQ(patch(all), "event: datastar-patch-signals\ndata: signals {\"a\":1,\n"
                          "data: signals \"b\":null}\n\n");
    all.only_if_missing = true;
    all.event.id = "";
    EXPECT_EQ(patch(all), "event: datastar-patch-signals\ndata: onlyIfMissing true\n"
                          "data: signals {\"a\":1,\ndata: signals \"b\":null}\n\n");
}

TEST(Datastar, ExecutesScripts) {
    http_datastar_script all = {};
    all.script = "a();\r\nb();";
    EXPECT_EQ(run(all), "event: datastar-patch-elements\ndata: mode append\ndata: selector body\n"
                        "data: elements <script data-effect=\"el.remove()\">a();\n"
                        "data: elements b();</script>\n\n");
    const http_datastar_attribute attributes[] = {{"type", "module"}, {"blocking", "false"}};
    all.attributes = attributes;
    all.attribute_count = 2;
    all.keep = true;
    all.event.id = "7";
    EXPECT_EQ(run(all), "event: datastar-patch-elements\nid: 7\ndata: mode append\n"
                        "data: selector body\n"
                        "data: elements <script type=\"module\" blocking=\"false\">a();\n"
                        "data: elements b();</script>\n\n");
}

TEST(Datastar, RefusesWhatCannotBeSaid) {
    std::vector<http_datastar_elements> elements(5);
    elements[1].elements = " \n";
    elements[2].mode = HTTP_DATASTAR_REMOVE;
    elements[3].selector = "#a";
    elements[4].elements = "<p>";
    elements[4].event.id = "7\ndata: elements <script>";
    for (const http_datastar_elements &one : elements) {
        EXPECT_EQ(patch(one), "");
        EXPECT_EQ(result, HTTP_SSE_REFUSED);
    }
    for (const char *signals : {static_cast<const char *>(nullptr), "", "\t"}) {
        http_datastar_signals one = {};
        one.signals = signals;
        EXPECT_EQ(patch(one), "");
        EXPECT_EQ(result, HTTP_SSE_REFUSED);
    }
    for (const char *script : {static_cast<const char *>(nullptr), "'</script>'", "</SCRIPT"}) {
        http_datastar_script one = {};
        one.script = script;
        EXPECT_EQ(run(one), "");
        EXPECT_EQ(result, HTTP_SSE_REFUSED);
    }
    for (http_datastar_attribute attribute : std::vector<http_datastar_attribute>{
             {"", "x"}, {"a b", "x"}, {"a>", "x"}, {"a\n", "x"}, {"a", "\""}, {"a", "x\ny"}}) {
        http_datastar_script one = {};
        one.script = "</b><scrip";
        one.attributes = &attribute;
        one.attribute_count = 1;
        EXPECT_EQ(run(one), "") << attribute.name << attribute.value;
        EXPECT_EQ(result, HTTP_SSE_REFUSED);
    }
}

string asked(const string &head, const string &body = "") {
    Site site(HTTP_ROUTES(routes));
    Client client(site);
    string answer =
        client.ask(head + " HTTP/1.1\r\nHost: h\r\nDatastar-Request: true\r\n" +
                   "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return StatusOf(answer) + ": " + answer.substr(answer.find("\r\n\r\n") + 4);
}

TEST(Datastar, ReadsSignals) {
    EXPECT_EQ(asked("GET /signals?datastar=%7B%22a%22%3A%22x+%C3%A9%22%7D"), "200: x \xc3\xa9 yes");
    EXPECT_EQ(asked("DELETE /signals?x=y&datastar=%7B%7D"), "200: - yes");
    EXPECT_EQ(asked("POST /signals?datastar=1", "{\"a\": \"b\"}"), "200: b yes");
    EXPECT_EQ(asked("PUT /signals", "{\"a\": \"\\u0000\"}"), "200: - yes");
    EXPECT_EQ(asked("PUT /signals", "{\"a\": 1}"), "200: - yes");
}

TEST(Datastar, RefusesSignalsThatAreNone) {
    for (const char *head :
         {"GET /signals", "GET /signals?datastar=", "GET /signals?datastar=%7B", "POST /signals",
          "DELETE /signals?datastar=%5B%5D", "GET /signals?datastar=%00"})
        EXPECT_EQ(asked(head), "400: 1") << head;
    EXPECT_EQ(asked("GET /signals", "{}"), "400: 1"); // in the wrong place
    EXPECT_EQ(asked("POST /signals", "{\"a\":1,}"), "400: 1");
    EXPECT_EQ(asked("POST /signals", "[]"), "400: 1");
    EXPECT_EQ(asked("POST /signals", "{\"a\":[" + string(30000, '1') + "]}"), "200: - yes");
    string many = "{\"a\":[1";
    for (int i = 0; i < 20000; i++)
        many += ",1";
    EXPECT_EQ(asked("POST /signals", many + "]}"), "400: 2");
}

} // namespace
