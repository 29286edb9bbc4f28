// SPDX-License-Identifier: Apache-2.0
//
// The access log: its lines, and on the scripted backend who gets one, and what happens when they
// cannot be written.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <string>
#include <vector>

#include "http/http.h"
#include "http/request_id.h"
#include "http/site.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"

namespace {

using std::string;

string line_of(http_log_format format, const http_log_entry &entry) {
    std::vector<char> out(HTTP_LOG_LINE_BYTES);
    return string(out.data(), http_log_line(format, &entry, out.data()));
}

http_log_entry entry_of(const char *target) {
    http_log_entry entry = {};
    entry.wall_s = 784111777;
    entry.duration_ns = 1234567;
    entry.bytes = 42;
    entry.client = "1.2.3.4";
    entry.method = "GET";
    entry.target = target;
    entry.minor = 1;
    entry.status = 200;
    return entry;
}

TEST(LogLine, SaysWhatWasAskedAndAnswered) {
    EXPECT_EQ(line_of(HTTP_LOG_COMMON, entry_of("/a?b")),
              "1.2.3.4 - - [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 200 42\n");
    EXPECT_EQ(line_of(HTTP_LOG_JSON, entry_of("/a?b")),
              "{\"time\":\"1994-11-06T08:49:37Z\",\"client\":\"1.2.3.4\",\"method\":\"GET\","
              "\"target\":\"/a?b\",\"http\":\"1.1\",\"status\":200,\"bytes\":42,"
              "\"duration_us\":1234}\n");
    http_log_entry unread = {};
    unread.status = 400;
    EXPECT_EQ(line_of(HTTP_LOG_COMMON, unread), "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 -\n");
    unread.status = 0;
    unread.id = "a\"b";
    EXPECT_EQ(line_of(HTTP_LOG_JSON, unread),
              "{\"time\":\"1970-01-01T00:00:00Z\",\"client\":null,\"method\":null,\"target\":null,"
              "\"status\":null,\"bytes\":0,\"duration_us\":0,\"id\":\"a\\\"b\"}\n");
}

TEST(LogLine, CannotBeForged) {
    const char *target = "/\" 200\n1.1.1.1 \\ \x7F\x01\xC3\xA4\xFF{}";
    EXPECT_EQ(line_of(HTTP_LOG_COMMON, entry_of(target)),
              "1.2.3.4 - - [06/Nov/1994:08:49:37 +0000] \"GET /\\x22\\x20200\\x0a1.1.1.1\\x20\\x5c"
              "\\x20\\x7f\\x01\\xc3\\xa4\\xff{} HTTP/1.1\" 200 42\n");
    string json = line_of(HTTP_LOG_JSON, entry_of(target));
    EXPECT_NE(
        json.find("\"target\":\"/\\\" 200\\u000a1.1.1.1 \\\\ \x7F\\u0001\xC3\xA4\xEF\xBF\xBD{}"
                  "\","),
        string::npos)
        << json;
    EXPECT_EQ(json.find('\n'), json.size() - 1);
}

TEST(LogLine, FitsWhateverTheTarget) {
    const char *seed = getenv("TINA_SEED");
    uint64_t number = seed != nullptr ? strtoull(seed, nullptr, 10) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(number));
    std::mt19937_64 random(number);
    for (int byte : {'\x01', '"', '\xFF', 'a'}) {
        for (size_t bytes : {1023u, 1024u, 1025u, 9000u}) {
            string target(bytes, static_cast<char>(byte));
            for (http_log_format format : {HTTP_LOG_COMMON, HTTP_LOG_JSON}) {
                string line = line_of(format, entry_of(target.c_str()));
                EXPECT_LT(line.size(), HTTP_LOG_LINE_BYTES);
                EXPECT_EQ(line.find("...") != string::npos, bytes > 1024) << byte;
            }
        }
    }
    for (int round = 0; round < 2000; round++) {
        string target;
        for (size_t left = random() % 2000; left > 0; left--)
            target += static_cast<char>(1 + random() % 255);
        for (http_log_format format : {HTTP_LOG_COMMON, HTTP_LOG_JSON}) {
            string line = line_of(format, entry_of(target.c_str()));
            size_t quotes = 0;
            for (size_t i = 0; i + 1 < line.size(); i++) {
                EXPECT_GE(static_cast<uint8_t>(line[i]), 0x20);
                quotes += line[i] == '"';
                i += line[i] == '\\';
            }
            EXPECT_EQ(quotes % 2, 0u) << line;
        }
    }
}

const http_counters *counters;

http_step count(http_request *request, http_response *response) {
    counters = http_count(http_ctx(request));
    return http_text(response, 200, "counted\n");
}

http_step echo(http_request *request, http_response *response) {
    tina_bytes body = http_body(request);
    return http_bytes(response, 200, "text/plain", body.data, body.bytes);
}

const char big[100000] = "";

http_step send_big(http_request *, http_response *response) {
    return http_static(response, 200, "text/plain", big, sizeof big);
}

// More calls than the spec allows.
http_step crash(http_request *request, http_response *response) {
    for (int i = 0; i < 2000; i++)
        tina_send(http_ctx(request), tina_handle_none(), 0, nullptr, 0);
    return http_empty(response, 204);
}

http_step crash_waiting(http_request *, http_response *response) {
    return http_wait(response, crash, 1000);
}

http_step crash_late(http_request *, http_response *response) {
    http_stream_begin(response, 200, "text/plain", 100);
    http_write(response, "so far", 6);
    return http_stream(response, crash);
}

http_route route(http_method method, const char *pattern, http_handler handler) {
    http_route made = {};
    made.method = method;
    made.pattern = pattern;
    made.handler = handler;
    return made;
}

http_route logs_of() {
    http_route made = route(HTTP_GET, "/logs/*name", nullptr);
    made.directory = "logs";
    return made;
}

const http_route routes[] = {
    route(HTTP_GET, "/count", count),           route(HTTP_POST, "/echo", echo),
    route(HTTP_GET, "/big", send_big),          route(HTTP_GET, "/named", count),
    route(HTTP_GET, "/crash", crash),           route(HTTP_GET, "/crash-waiting", crash_waiting),
    route(HTTP_GET, "/crash-late", crash_late), logs_of()};
const http_hook name_hooks[] = {HTTP_REQUEST_ID(nullptr)};
const http_route_group groups[] = {
    {"/count", nullptr, 0, true}, {"/logs", nullptr, 0, true}, {"/named", HTTP_HOOKS(name_hooks)}};

http_server server(http_log_format format) {
    http_server made = {};
    made.access_log.format = format;
    made.access_log.path = "logs/a";
    made.access_log.buffer_bytes = 2 * HTTP_LOG_LINE_BYTES;
    made.route_groups = HTTP_ROUTE_GROUPS(groups);
    return made;
}

string request(const string &line, const string &fields = "", const string &body = "") {
    return line + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body;
}

class AccessLog : public ::testing::Test {
  protected:
    void open(http_log_format format) {
        site.reset(new Site(HTTP_ROUTES(routes), server(format)));
        ask(request("GET /count"));
    }

    string ask(const string &text) {
        Client client(*site);
        string response = client.ask(text);
        client.close();
        return response;
    }

    string log() {
        string response = ask(request("GET /logs/a"));
        EXPECT_EQ(StatusOf(response), "200") << response;
        return response.substr(response.find("\r\n\r\n") + 4);
    }

    // Without what the scripted backend decides: time and client.
    string short_log() {
        string text = log();
        string cut;
        for (size_t at = 0; at < text.size();) {
            size_t end = text.find('\n', at);
            size_t quote = text.find('"', at);
            cut += text.substr(quote, end + 1 - quote);
            at = end + 1;
        }
        return cut;
    }

    std::unique_ptr<Site> site;
};

TEST_F(AccessLog, HasALineForEachRequest) {
    open(HTTP_LOG_COMMON);
    ask(request("POST /echo", "Content-Length: 3\r\n", "abc") + request("GET /none"));
    EXPECT_EQ(short_log(), "\"POST /echo HTTP/1.1\" 200 3\n\"GET /none HTTP/1.1\" 404 14\n");
    ask("GET /none HTTP/1.0\r\n\r\n");
    ask(request("HEAD /none"));
    ask("nonsense\r\n\r\n");
    ask(request("POST /echo", "Transfer-Encoding: chunked\r\n", "x\r\n"));
    ask(request("POST /echo", "Content-Length: 99999999\r\n"));
    EXPECT_EQ(short_log().substr(56), "\"GET /none HTTP/1.0\" 404 14\n"
                                      "\"HEAD /none HTTP/1.1\" 404 -\n"
                                      "\"-\" 400 16\n"
                                      "\"POST /echo HTTP/1.1\" 400 16\n"
                                      "\"POST /echo HTTP/1.1\" 413 22\n");
    EXPECT_EQ(counters->log_lines_lost, 0u);
}

TEST_F(AccessLog, IsAnObjectALine) {
    open(HTTP_LOG_JSON);
    ask(request("GET /big"));
    string response = ask(request("GET /named"));
    size_t at = response.find("X-Request-Id: ") + 14;
    string text = log();
    EXPECT_NE(text.find("\"target\":\"/big\",\"http\":\"1.1\",\"status\":200,\"bytes\":100000,"),
              string::npos)
        << text;
    EXPECT_NE(text.find(",\"id\":\"" + response.substr(at, 16) + "\"}\n"), string::npos) << text;
    EXPECT_EQ(text.find("\"id\""), text.rfind("\"id\""));
}

TEST_F(AccessLog, SaysHowMuchOfABodyWent) {
    open(HTTP_LOG_COMMON);
    Client client(*site);
    client.push(request("GET /big"));
    client.reset();
    site->harness->Settle();
    string text = short_log();
    EXPECT_EQ(text.substr(0, 24), "\"GET /big HTTP/1.1\" 200 ") << text;
    EXPECT_LT(atoi(text.c_str() + 24), 20000) << text;
    // And that a request was never answered.
    Client gone(*site);
    gone.push(request("POST /echo", "Content-Length: 30000\r\n", string(10000, 'a')));
    gone.reset();
    EXPECT_TRUE(EndsWith(short_log(), "\"POST /echo HTTP/1.1\" - -\n"));
}

TEST_F(AccessLog, HasALineForEachThatCrashed) {
    open(HTTP_LOG_COMMON);
    ask(request("GET /none") + request("GET /crash") + request("GET /never"));
    EXPECT_EQ(short_log(), "\"GET /none HTTP/1.1\" 404 14\n\"GET /crash HTTP/1.1\" 500 -\n");
    Client waiting(*site);
    waiting.send(request("GET /crash-waiting"));
    site->harness->Sleep(1000000000);
    EXPECT_TRUE(EndsWith(short_log(), "\"GET /crash-waiting HTTP/1.1\" 500 -\n"));
    ask(request("GET /crash-late")); // what was sent, and not what was meant to be
    EXPECT_TRUE(EndsWith(short_log(), "\"GET /crash-late HTTP/1.1\" 200 6\n"));
    // With nobody left to answer there is no response, and the line comes when that is found out.
    std::vector<std::unique_ptr<Client>> kept;
    for (int i = 0; i < 65; i++) {
        kept.emplace_back(new Client(*site));
        kept.back()->ask(request("GET /crash"));
    }
    ask(request("GET /none"));
    string text = short_log();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4 + 65 + 1);
    EXPECT_NE(text.find("\"GET /crash HTTP/1.1\" - -\n"), string::npos) << text;
    EXPECT_EQ(counters->log_lines_lost, 0u);
}

TEST_F(AccessLog, DropsAndCountsWhatTheFileDoesNotTake) {
    open(HTTP_LOG_COMMON);
    const string target = "/" + string(1000, 'a'); // 6 lines a half
    site->control().fail_next[TINA_OP_OPEN] = EACCES;
    for (int i = 0; i < 10; i++)
        ask(request("GET " + target));
    ask(request("GET /count"));
    EXPECT_EQ(counters->log_lines_lost, 4u);
    site->harness->Sleep(1000000000);
    string text = short_log();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 6);
    site->control().fail_next[TINA_OP_WRITE] = EIO;
    ask(request("GET /none"));
    ask(request("GET /none?again"));
    text = short_log();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 7);
    EXPECT_TRUE(EndsWith(text, "\"GET /none?again HTTP/1.1\" 404 14\n"));
    ask(request("GET /count"));
    EXPECT_EQ(counters->log_lines_lost, 5u);
}

TEST_F(AccessLog, IsWrittenToItsEndWhenTheServerDrains) {
    open(HTTP_LOG_COMMON);
    ask(request("GET /none"));
    Client client(*site);
    client.push(request("GET /big"));
    site->control().hold = true;
    ask(request("GET /none?held"));
    tina_shard_shutdown(site->harness->shard());
    site->control().hold = false;
    string response;
    for (int i = 0; i < 100; i++)
        response += client.take();
    EXPECT_TRUE(EndsWith(response, "<end>"));
    client.close();
    EXPECT_TRUE(site->harness->Settle().ended);
}

TEST(AccessLogSpec, IsChecked) {
    static http_program program;
    char sentence[TINA_SENTENCE_BYTES];
    http_server made = server(HTTP_LOG_JSON);
    made.routes = HTTP_ROUTES(routes);
    EXPECT_TRUE(http_server_spec(&made, &program, sentence)) << sentence;
    made.access_log.buffer_bytes = 100;
    EXPECT_FALSE(http_server_spec(&made, &program, sentence));
    EXPECT_EQ(string(sentence).find("access_log.buffer_bytes is 100, but only"), 0u);
}

} // namespace
