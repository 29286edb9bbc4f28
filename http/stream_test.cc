// SPDX-License-Identifier: Apache-2.0
//
// Bodies that come in pieces and responses that are written bit by bit, on the scripted backend.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/prng.h"
#include "http/http.h"
#include "http/site.h"
#include "reactor/scripted.h"

namespace {

using std::string;

constexpr uint64_t kSecond = 1000000000;

const http_counters *counters; // of the last site that was asked for /

http_step get_index(http_request *req, http_response *res) {
    counters = http_count(http_ctx(req));
    return http_text(res, 200, "index");
}

http_step copy_piece(http_request *req, http_response *res) {
    tina_bytes piece = http_body(req);
    if (!http_write(res, piece.data, piece.bytes))
        return http_stream(res, copy_piece);
    return http_body_ended(req) ? http_end(res) : http_read(res, copy_piece);
}

http_step copy(http_request *req, http_response *res) {
    EXPECT_EQ(http_body(req).bytes, 0u);
    EXPECT_FALSE(http_body_ended(req));
    const char *length = http_header(req, "content-length");
    http_set_header(res, "x-a", "b");
    http_stream_begin(res, 200, "text/plain",
                      length != nullptr ? strtoull(length, nullptr, 10) : HTTP_BYTES_UNKNOWN);
    return http_read(res, copy_piece);
}

struct count_state {
    uint64_t bytes;
    uint64_t pieces;
};

http_step count_piece(http_request *req, http_response *res) {
    auto *state = static_cast<count_state *>(http_state(req));
    state->bytes += http_body(req).bytes;
    state->pieces++;
    if (!http_body_ended(req))
        return http_read(res, count_piece);
    return http_text(res, 200, "%llu bytes", static_cast<unsigned long long>(state->bytes));
}

http_step count(http_request *req, http_response *res) {
    auto *state = static_cast<count_state *>(http_state(req));
    EXPECT_EQ(state->bytes + state->pieces, 0u);
    EXPECT_TRUE(http_set_header(res, "x-count", "yes"));
    return http_read(res, count_piece);
}

http_step refuse(http_request *, http_response *res) {
    return http_text(res, 403, "no");
}

http_step refuse_late(http_request *req, http_response *res) {
    if (http_body(req).bytes == 0 && !http_body_ended(req))
        return http_read(res, refuse_late);
    return http_text(res, 403, "no");
}

http_step drip_more(http_request *req, http_response *res) {
    auto *left = static_cast<uint64_t *>(http_state(req));
    if (*left == 0) {
        EXPECT_TRUE(http_set_trailer(res, "x-sum", "42"));
        EXPECT_TRUE(http_set_trailer(res, "x-more", ""));
        return http_end(res);
    }
    EXPECT_TRUE(http_write(res, "drip ", 5));
    EXPECT_TRUE(http_write(res, "drop\n", 5));
    (*left)--;
    return http_stream(res, drip_more);
}

http_step drip(http_request *req, http_response *res) {
    *static_cast<uint64_t *>(http_state(req)) = strtoull(http_query(req, "n"), nullptr, 10);
    http_stream_begin(res, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    return drip_more(req, res);
}

// Which mistake to make, and whether the head is sent before it.
http_step mistake(http_request *req, http_response *res) {
    string name = http_param(req, "name");
    bool early = http_query(req, "early") != nullptr;
    if (name == "nothing" || (name == "read" && early))
        return name == "read" ? http_read(res, mistake) : http_step{};
    if (name == "stream")
        return http_stream(res, mistake);
    auto *turn = static_cast<uint64_t *>(http_state(req));
    if ((*turn)++ == 0) {
        http_stream_begin(res, 200, "text/plain", 10);
        EXPECT_TRUE(http_write(res, "begun", 5));
        if (!early)
            return http_stream(res, mistake);
    }
    if (name == "longer") {
        EXPECT_FALSE(http_write(res, "123456", 6));
    }
    if (name == "again")
        return http_stream(res, mistake);
    if (name == "read")
        return http_read(res, mistake);
    if (name == "trailer") {
        EXPECT_FALSE(http_set_trailer(res, "X", "a\r\nb"));
    }
    return http_end(res);
}

http_step no_body(http_request *req, http_response *res) {
    bool bad = http_query(req, "bad") != nullptr;
    if (bad) {
        EXPECT_FALSE(http_set_header(res, "x", "a\r\nb"));
    }
    http_stream_begin(res, bad ? 200 : 204, "text/plain", HTTP_BYTES_UNKNOWN);
    EXPECT_EQ(http_write(res, "abc", 3), !bad);
    return http_end(res);
}

const http_route routes[] = {
    {HTTP_GET, "/", get_index, 0, 0, false},
    {HTTP_POST, "/copy", copy, 1ull << 40, 0, true},
    {HTTP_GET, "/copy", copy, 0, 0, true},
    {HTTP_POST, "/count", count, 1ull << 40, sizeof(count_state), true},
    {HTTP_POST, "/small", count, 10, sizeof(count_state), true},
    {HTTP_POST, "/refuse", refuse, 1ull << 40, 0, true},
    {HTTP_POST, "/late", refuse_late, 1ull << 40, 0, true},
    {HTTP_GET, "/drip", drip, 0, 8, false},
    {HTTP_GET, "/mistake/:name", mistake, 0, 8, false},
    {HTTP_POST, "/mistake/:name", mistake, 0, 8, true},
    {HTTP_GET, "/none", no_body, 0, 0, false},
};

class Stream : public ::testing::Test {
  protected:
    Stream() : site(HTTP_ROUTES(routes)) {}

    // All is as it was before the first request.
    void expect_quiet() {
        Client client(site);
        EXPECT_EQ(StatusOf(client.ask(kGet)), "200");
        EXPECT_EQ(counters->contexts_in_use, 0u);
        EXPECT_EQ(counters->large_bodies_in_use, 0u);
        EXPECT_EQ(counters->contexts_lost, 0u);
    }

    const string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    Site site;
};

string head_of(const string &line, const string &fields) {
    return line + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

string by_length(const string &path, const string &body, const string &fields = "") {
    return head_of("POST " + path,
                   fields + "Content-Length: " + std::to_string(body.size()) + "\r\n") +
           body;
}

string in_chunks(const string &path, const string &body, size_t step, const string &fields = "") {
    string bytes = head_of("POST " + path, fields + "Transfer-Encoding: chunked\r\n");
    for (size_t at = 0; at < body.size(); at += step) {
        string piece = body.substr(at, step);
        char size[20];
        snprintf(size, sizeof size, "%zx\r\n", piece.size());
        bytes += size + piece + "\r\n";
    }
    return bytes + "0\r\n\r\n";
}

string letters(size_t count) {
    string text;
    for (size_t i = 0; i < count; i++)
        text += static_cast<char>('a' + i % 23);
    return text;
}

// The body of one response: sets *rest to what follows.
string body_of(const string &response, string *rest) {
    size_t end = response.find("\r\n\r\n");
    string head = response.substr(0, end);
    string after = response.substr(end + 4);
    size_t length = head.find("Content-Length: ");
    if (length != string::npos) {
        size_t bytes = strtoull(head.c_str() + length + 16, nullptr, 10);
        *rest = after.size() > bytes ? after.substr(bytes) : "";
        return after.substr(0, bytes);
    }
    EXPECT_NE(head.find("\r\nTransfer-Encoding: chunked"), string::npos) << head;
    string body;
    for (size_t at = 0;;) {
        size_t size = strtoull(after.c_str() + at, nullptr, 16);
        at = after.find("\r\n", at) + 2;
        if (size == 0) {
            *rest = after.substr(after.find("\r\n\r\n", at - 2) + 4);
            return body;
        }
        body += after.substr(at, size);
        EXPECT_EQ(after.substr(at + size, 2), "\r\n");
        at += size + 2;
    }
}

TEST_F(Stream, CopiesBodiesOfEverySize) {
    Client client(site);
    for (size_t bytes : {0u, 1u, 5u, 4000u, 4096u, 6144u, 16384u, 20000u, 300000u}) {
        string body = letters(bytes);
        string rest;
        string response = client.ask(by_length("/copy", body));
        EXPECT_EQ(StatusOf(response), "200");
        EXPECT_NE(response.find("\r\nContent-Length: " + std::to_string(bytes) + "\r\n"),
                  string::npos);
        EXPECT_NE(response.find("\r\nx-a: b\r\n"), string::npos);
        EXPECT_EQ(body_of(response, &rest), body);
        EXPECT_EQ(rest, "");
        for (size_t step : {1u, 7u, 700u, 100000u}) {
            if (bytes / step > 20000)
                continue;
            EXPECT_EQ(body_of(client.ask(in_chunks("/copy", body, step)), &rest), body);
            EXPECT_EQ(rest, "");
        }
    }
    expect_quiet();
}

TEST_F(Stream, IsTheSameHoweverTheBytesAreSplit) {
    string bytes = in_chunks("/copy", letters(50), 9) + by_length("/count", letters(40)) + kGet +
                   by_length("/refuse", letters(30)) + in_chunks("/count", letters(20), 3) +
                   head_of("GET /drip?n=3", "") + head_of("POST /copy", "Content-Length: 0\r\n") +
                   kGet;
    for (size_t cut = 1; cut < bytes.size(); cut++) {
        Client client(site);
        string response = client.ask(bytes.substr(0, cut));
        response += client.ask(bytes.substr(cut));
        string rest;
        EXPECT_EQ(body_of(response, &rest), letters(50)) << cut;
        EXPECT_EQ(body_of(rest, &rest), "40 bytes") << cut;
        EXPECT_EQ(body_of(rest, &rest), "index") << cut;
        EXPECT_EQ(body_of(rest, &rest), "no") << cut;
        EXPECT_EQ(body_of(rest, &rest), "20 bytes") << cut;
        EXPECT_EQ(body_of(rest, &rest), "drip drop\ndrip drop\ndrip drop\n") << cut;
        EXPECT_EQ(body_of(rest, &rest), "") << cut;
        EXPECT_EQ(body_of(rest, &rest), "index") << cut;
        EXPECT_EQ(rest, "") << cut;
    }
    Client client(site);
    string response;
    for (char byte : bytes)
        response += client.ask(string(1, byte));
    EXPECT_TRUE(EndsWith(response, "index"));
    expect_quiet();
}

TEST_F(Stream, ReadsNoMoreThanItCanPassOn) {
    Client client(site);
    size_t all = client.push(by_length("/copy", letters(1 << 20)));
    EXPECT_LT(all, 100000u); // one pipe there, one back, and what a context holds
    EXPECT_GT(all, 4096u);
    client.reset();
    site.harness->Settle();
    expect_quiet();
}

TEST_F(Stream, NeedsNoRoomForLargeBodies) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 100; i++) {
        clients.emplace_back(new Client(site));
        EXPECT_EQ(clients.back()->ask(head_of("POST /count", "Content-Length: 30000\r\n") +
                                      letters(20000)),
                  "");
    }
    for (auto &client : clients)
        EXPECT_TRUE(EndsWith(client->ask(letters(10000)), "30000 bytes"));
    expect_quiet();
    EXPECT_EQ(counters->bodies_exhausted, 0u);
}

TEST_F(Stream, AsksForABodyOnlyWhenAHandlerReads) {
    const string expect = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    Client reads(site);
    EXPECT_EQ(reads.ask(head_of("POST /count", expect)), "HTTP/1.1 100 Continue\r\n\r\n");
    string response = reads.ask("hello");
    EXPECT_TRUE(EndsWith(response, "5 bytes"));
    EXPECT_NE(response.find("\r\nx-count: yes\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(reads.ask(head_of("POST /count", expect) + "hello"), "5 bytes"));
    Client refuses(site);
    response = refuses.ask(head_of("POST /refuse", expect));
    EXPECT_EQ(StatusOf(response), "403");
    EXPECT_NE(response.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(response, "no<end>"));
    Client limited(site);
    EXPECT_EQ(StatusOf(limited.ask(head_of("POST /small", "Content-Length: 11\r\n"
                                                          "Expect: 100-continue\r\n"))),
              "413");
    // A response that has begun tells the client as much.
    Client begun(site);
    EXPECT_EQ(StatusOf(begun.ask(head_of("POST /copy", expect))), "200");
    EXPECT_EQ(begun.ask("hello"), "hello");
    expect_quiet();
}

TEST_F(Stream, ARefusedBodyIsDroppedOrTheConnectionCloses) {
    Client drops(site);
    string response = drops.ask(by_length("/refuse", letters(65536)) + kGet);
    EXPECT_EQ(StatusOf(response), "403");
    EXPECT_TRUE(EndsWith(response, "index"));
    for (const string &bytes :
         {by_length("/refuse", letters(65537)), in_chunks("/refuse", letters(10), 10),
          by_length("/late", letters(200000)), in_chunks("/late", letters(20000), 5000)}) {
        Client client(site);
        response = client.ask(bytes + kGet);
        EXPECT_EQ(StatusOf(response), "403");
        EXPECT_NE(response.find("\r\nConnection: close\r\n"), string::npos);
        EXPECT_TRUE(EndsWith(response, "no<end>"));
    }
    expect_quiet();
}

TEST_F(Stream, HoldsBodiesToTheirLimit) {
    Client good(site);
    EXPECT_TRUE(EndsWith(good.ask(by_length("/small", letters(10))), "10 bytes"));
    EXPECT_TRUE(EndsWith(good.ask(in_chunks("/small", letters(10), 3)), "10 bytes"));
    Client by(site);
    EXPECT_EQ(StatusOf(by.ask(by_length("/small", letters(11)))), "413");
    Client in(site);
    string response = in.ask(in_chunks("/small", letters(11), 3));
    EXPECT_EQ(StatusOf(response), "413");
    EXPECT_TRUE(EndsWith(response, "<end>"));
    expect_quiet();
}

TEST_F(Stream, ABrokenBodyIsNeverAnswered200) {
    const string bad = head_of("POST /count", "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\nG";
    Client client(site);
    string response = client.ask(bad);
    EXPECT_EQ(StatusOf(response), "400");
    EXPECT_TRUE(EndsWith(response, "<end>"));
    Client ends(site);
    ends.send(head_of("POST /count", "Content-Length: 5\r\n") + "abc");
    ends.half_close();
    EXPECT_EQ(StatusOf(ends.take()), "400");
    Client stalls(site);
    stalls.send(head_of("POST /count", "Content-Length: 5\r\n") + "abc");
    site.harness->Sleep(31 * kSecond);
    EXPECT_EQ(StatusOf(stalls.take()), "408");
    expect_quiet();
}

TEST_F(Stream, WhatHasBegunIsCutOffWhenTheBodyBreaks) {
    const string head = head_of("POST /copy", "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n";
    for (int how = 0; how < 3; how++) {
        Client client(site);
        client.send(head);
        string response = client.take();
        EXPECT_EQ(StatusOf(response), "200");
        EXPECT_TRUE(EndsWith(response, "abc\r\n"));
        if (how == 0)
            client.send("G");
        if (how == 1)
            client.half_close();
        if (how == 2)
            site.harness->Sleep(31 * kSecond);
        EXPECT_EQ(client.take(), "<end>") << how; // and no last chunk
    }
    expect_quiet();
}

TEST_F(Stream, WritesChunksAndTrailers) {
    Client client(site);
    string response = client.ask(head_of("GET /drip?n=2", ""));
    string rest;
    EXPECT_EQ(body_of(response, &rest), "drip drop\ndrip drop\n");
    EXPECT_TRUE(EndsWith(response, "\r\n0\r\nx-sum: 42\r\nx-more: \r\n\r\n"));
    EXPECT_EQ(response.find("Content-Length"), string::npos);
    response = client.ask(head_of("HEAD /drip?n=2", "") + kGet);
    EXPECT_EQ(response.find("drip"), string::npos);
    EXPECT_TRUE(EndsWith(response, "index"));
    Client old(site);
    response = old.ask("GET /drip?n=2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(response.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_EQ(response.find("Transfer-Encoding"), string::npos);
    EXPECT_TRUE(EndsWith(response, "\r\n\r\ndrip drop\ndrip drop\n<end>"));
    expect_quiet();
}

TEST_F(Stream, OfAStatusWithoutABodyIsItsHead) {
    Client client(site);
    string response = client.ask(head_of("GET /none", ""));
    EXPECT_EQ(StatusOf(response), "204");
    EXPECT_EQ(response.find("chunked"), string::npos);
    EXPECT_TRUE(EndsWith(response, "\r\n\r\n"));
    EXPECT_EQ(StatusOf(client.ask(head_of("GET /none?bad", ""))), "500");
    EXPECT_EQ(StatusOf(client.ask(kGet)), "200");
}

TEST_F(Stream, MistakesAre500BeforeAndACutAfter) {
    for (const char *name : {"nothing", "stream", "longer", "shorter", "trailer"}) {
        Client client(site);
        string response = client.ask(head_of("GET /mistake/" + string(name) + "?early", "") + kGet);
        EXPECT_EQ(StatusOf(response), "500") << name;
        EXPECT_TRUE(EndsWith(response, "index")) << name;
    }
    for (const char *name : {"longer", "shorter", "trailer", "again", "read"}) {
        Client client(site);
        string response = client.ask(head_of("GET /mistake/" + string(name), "") + kGet);
        EXPECT_EQ(StatusOf(response), "200") << name;
        EXPECT_TRUE(EndsWith(response, "begun<end>")) << name << response;
    }
    Client reader(site);
    string response = reader.ask(head_of("POST /mistake/read?early", "") + kGet);
    EXPECT_EQ(StatusOf(response), "500");
    EXPECT_TRUE(EndsWith(response, "index"));
    expect_quiet();
    EXPECT_EQ(counters->responses_bad, 11u);
    EXPECT_NE(site.harness->log().find("GET /mistake/longer is cut off: its body is longer"),
              string::npos);
}

TEST_F(Stream, AClientMayVanishAtAnyPoint) {
    string bytes = in_chunks("/copy", letters(9000), 1000) + head_of("GET /drip?n=900", "") +
                   by_length("/refuse", letters(9000)) + kGet;
    tina_prng prng = tina_prng_make(1, 1, 1);
    for (int i = 0; i < 300; i++) {
        Client client(site);
        client.push(bytes.substr(0, tina_prng_below(&prng, bytes.size())));
        if (tina_prng_chance(&prng, 1, 2))
            client.take();
        if (tina_prng_chance(&prng, 1, 2))
            client.reset();
        else
            client.close();
        site.harness->Settle();
    }
    site.harness->Sleep(100 * kSecond);
    site.harness->Settle();
    expect_quiet();
}

TEST_F(Stream, AClientThatDoesNotReadIsLetGo) {
    Client client(site);
    client.push(head_of("GET /drip?n=100000", ""));
    site.harness->Sleep(31 * kSecond);
    site.harness->Settle();
    expect_quiet();
    EXPECT_EQ(counters->timeouts, 1u);
}

} // namespace
