// SPDX-License-Identifier: Apache-2.0
//
// Events as they go over the wire, read back as WHATWG HTML §9.2.6 says.

#include "http/sse.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/prng.h"
#include "http/site.h"
#include "sched/ctx.h"

namespace {

using std::string;

constexpr uint64_t kSecond = 1000000000;

struct Said {
    string event;
    string id;
    uint32_t retry_ms;
    string data;
    bool has_event, has_id, has_data;
};

std::vector<Said> to_say;
std::vector<http_sse_result> results;
string last_id;

http_step next(http_request *req, http_response *res) {
    if (http_message(req) == nullptr)
        results.push_back(http_sse_comment(res, ""));
    else if (http_message(req)->tag == TINA_SHUTDOWN)
        return http_end(res);
    return http_wait(res, next, HTTP_SSE_KEEP_ALIVE_NS);
}

http_step begin(http_request *req, http_response *res) {
    const char *id = http_sse_last_id(req);
    last_id = id != nullptr ? id : "none";
    if (!http_sse_begin(req, res))
        return http_end(res);
    for (const Said &said : to_say) {
        http_sse event = {};
        event.event = said.has_event ? said.event.c_str() : nullptr;
        event.id = said.has_id ? said.id.c_str() : nullptr;
        event.retry_ms = said.retry_ms;
        event.data = said.has_data ? said.data.data() : nullptr;
        event.data_bytes = said.data.size();
        results.push_back(http_sse_event(res, &event));
    }
    return http_wait(res, next, HTTP_SSE_KEEP_ALIVE_NS);
}

http_step comment(http_request *req, http_response *res) {
    EXPECT_TRUE(http_sse_begin(req, res));
    EXPECT_EQ(http_sse_comment(res, "one\r\ndata: two\rthree\n"), HTTP_SSE_OK);
    return http_end(res);
}

const http_route routes[] = {{HTTP_GET, "/", begin}, {HTTP_GET, "/comment", comment}};

string unchunk(const string &body) {
    string out;
    for (size_t at = 0; at < body.size();) {
        size_t bytes = strtoull(&body[at], nullptr, 16);
        at = body.find("\r\n", at) + 2;
        out += body.substr(at, bytes);
        at += bytes + 2;
    }
    return out;
}

string ask(Client &client, const string &target = "/", const string &fields = "") {
    results.clear();
    string answer = client.ask("GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
    EXPECT_NE(answer.find("\r\nContent-Type: text/event-stream\r\n"), string::npos);
    EXPECT_NE(answer.find("\r\nCache-Control: no-cache\r\n"), string::npos);
    return unchunk(answer.substr(answer.find("\r\n\r\n") + 4));
}

// What a browser makes of a stream.
std::vector<Said> heard(const string &stream) {
    std::vector<Said> events;
    Said now = {};
    string id;
    std::vector<string> lines(1);
    for (size_t i = 0; i < stream.size(); i++) {
        if (stream[i] == '\r' || stream[i] == '\n') {
            lines.emplace_back();
            i += stream[i] == '\r' && stream[i + 1] == '\n';
        } else {
            lines.back() += stream[i];
        }
    }
    lines.pop_back(); // what is not ended by a line end is dropped
    for (const string &line : lines) {
        if (line.empty()) {
            now.id = id;
            if (now.has_data) {
                now.data.pop_back();
                events.push_back(now);
            }
            now = {};
            continue;
        }
        size_t colon = line.find(':');
        string field = line.substr(0, colon);
        string value = colon == string::npos ? "" : line.substr(colon + 1);
        if (!value.empty() && value[0] == ' ')
            value.erase(0, 1);
        if (field == "event")
            now.event = value;
        else if (field == "data")
            now.data += value + "\n";
        else if (field == "id")
            id = value;
        else if (field == "retry")
            now.retry_ms = static_cast<uint32_t>(std::stoul(value));
        now.has_data = now.has_data || field == "data";
    }
    return events;
}

Said data(const string &text) {
    return {"", "", 0, text, false, false, true};
}

TEST(Sse, WritesEvents) {
    Site site(HTTP_ROUTES(routes));
    to_say = {{"news", "7", 2000, "one\ntwo", true, true, true},
              data("plain"),
              {"", "", 0, "", false, true, false},
              data("\r\n\ra\n")};
    to_say[3].data = "a\r\nb\rc\n\rd\n";
    Client client(site);
    EXPECT_EQ(ask(client), "event: news\nid: 7\nretry: 2000\ndata: one\ndata: two\n\n"
                           "data: plain\n\n"
                           "id: \n\n"
                           "data: a\ndata: b\ndata: c\ndata: \ndata: d\ndata: \n\n");
    EXPECT_EQ(results, std::vector<http_sse_result>(4, HTTP_SSE_OK));
    EXPECT_EQ(last_id, "none");
}

TEST(Sse, RefusesLineBreaksInEventAndId) {
    Site site(HTTP_ROUTES(routes));
    to_say = {{"a\nb", "", 0, "x", true, false, true},
              {"a\r", "", 0, "x", true, false, true},
              {"", "\n", 0, "x", false, true, true},
              {"", "7\rdata: y", 0, "x", false, true, true}};
    Client client(site);
    EXPECT_EQ(ask(client), "");
    EXPECT_EQ(results, std::vector<http_sse_result>(4, HTTP_SSE_REFUSED));
}

TEST(Sse, WritesAllOfAnEventOrNothing) {
    Site site(HTTP_ROUTES(routes));
    to_say = {data(string(10000, 'x')), data(string(10000, 'y')), data("z")};
    Client client(site);
    EXPECT_EQ(ask(client), "data: " + string(10000, 'x') + "\n\ndata: z\n\n");
    EXPECT_EQ(results, (std::vector<http_sse_result>{HTTP_SSE_OK, HTTP_SSE_FULL, HTTP_SSE_OK}));
    int full = 0;
    for (size_t bytes = 16150; bytes < 16250; bytes++) {
        to_say = {data(string(bytes, '\n'))};
        Client one(site);
        string stream = ask(one);
        ASSERT_EQ(results[0], HTTP_SSE_FULL);
        ASSERT_EQ(stream, "");
        to_say = {data(string(bytes, 'x'))};
        Client other(site);
        stream = ask(other);
        ASSERT_EQ(stream.size(), results[0] == HTTP_SSE_OK ? bytes + 8 : 0) << bytes;
        other.close();
        one.close();
        full += results[0] == HTTP_SSE_FULL;
    }
    EXPECT_GT(full, 0);
    EXPECT_LT(full, 100);
}

TEST(Sse, KeepsASilentStreamAlive) {
    Site site(HTTP_ROUTES(routes));
    to_say = {};
    Client client(site);
    EXPECT_EQ(ask(client, "/", "Last-Event-ID: 42\r\n"), "");
    EXPECT_EQ(last_id, "42");
    for (int i = 0; i < 3; i++) {
        site.harness->Sleep(16 * kSecond);
        EXPECT_EQ(unchunk(client.take()), ": \n\n");
    }
}

TEST(Sse, CommentsAreIgnoredWhateverTheySay) {
    Site site(HTTP_ROUTES(routes));
    Client client(site);
    string stream = ask(client, "/comment");
    EXPECT_EQ(stream, ": one\n: data: two\n: three\n: \n\n");
    EXPECT_TRUE(heard(stream).empty());
}

TEST(Sse, ToHeadThereIsNoStream) {
    Site site(HTTP_ROUTES(routes));
    Client client(site);
    string answer = client.ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(StatusOf(answer), "200");
    EXPECT_TRUE(EndsWith(answer, "\r\n\r\n"));
    client.ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(Sse, ABrowserHearsWhatWasSaid) {
    const char *seed_text = getenv("TINA_SEED");
    uint64_t seed = seed_text != nullptr ? strtoull(seed_text, nullptr, 0) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    tina_prng prng = tina_prng_make(seed, 1, 1);
    auto text = [&prng](const string &alphabet, uint64_t most) {
        string made;
        for (uint64_t n = tina_prng_below(&prng, most); n > 0; n--)
            made += alphabet[tina_prng_below(&prng, alphabet.size())];
        return made;
    };
    Site site(HTTP_ROUTES(routes));
    for (int round = 0; round < 500; round++) {
        to_say.clear();
        for (uint64_t n = 1 + tina_prng_below(&prng, 6); n > 0; n--) {
            Said said = {text("ab: ", 5),
                         text("1: x", 5),
                         0,
                         text("a: \r\n", 20),
                         false,
                         false,
                         tina_prng_chance(&prng, 3, 4)};
            said.has_event = tina_prng_chance(&prng, 1, 2);
            said.has_id = tina_prng_chance(&prng, 1, 2);
            said.retry_ms = static_cast<uint32_t>(tina_prng_below(&prng, 2) * 500);
            if (said.data.empty())
                said.has_data = false; // data_bytes of 0 means up to the NUL
            to_say.push_back(said);
        }
        Client client(site);
        std::vector<Said> got = heard(ask(client));
        client.close();
        size_t at = 0;
        string id;
        for (const Said &said : to_say) {
            id = said.has_id ? said.id : id;
            if (!said.has_data)
                continue;
            string expected;
            for (size_t i = 0; i < said.data.size(); i++) {
                bool pair = said.data[i] == '\r' && said.data[i + 1] == '\n';
                expected += said.data[i] == '\r' ? '\n' : said.data[i];
                i += pair;
            }
            ASSERT_LT(at, got.size());
            EXPECT_EQ(got[at].data, expected);
            EXPECT_EQ(got[at].event, said.has_event ? said.event : "");
            EXPECT_EQ(got[at].id, id);
            EXPECT_EQ(got[at].retry_ms, said.retry_ms);
            at++;
        }
        ASSERT_EQ(at, got.size());
    }
}

} // namespace
