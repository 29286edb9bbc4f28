// SPDX-License-Identifier: Apache-2.0
//
// Limits on what a peer controls, beside those of connection_test: a body's rate, requests of one
// connection, connections of a shard.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "http/http.h"
#include "http/site.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"

namespace {

using std::string;

constexpr uint64_t kSecond = 1000000000;
const char kGet[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

const http_counters *counters;

http_step get(http_request *request, http_response *response) {
    counters = http_count(http_ctx(request));
    return http_text(response, 200, "hello\n");
}

http_step echo(http_request *request, http_response *response) {
    return http_text(response, 200, "%zu", http_body(request).bytes);
}

http_route route(http_method method, const char *pattern, http_handler handler) {
    http_route made = {};
    made.method = method;
    made.pattern = pattern;
    made.handler = handler;
    return made;
}

const http_route routes[] = {route(HTTP_GET, "/", get), route(HTTP_POST, "/echo", echo)};

TEST(BodyRate, ADripIsCutOff) {
    Site site(HTTP_ROUTES(routes));
    Client client(site);
    client.ask(kGet);
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        site.harness->Sleep(14 * kSecond);
        EXPECT_EQ(client.ask("x"), "") << i;
    }
    site.harness->Sleep(3 * kSecond);
    EXPECT_EQ(StatusOf(client.take()), "408");
    EXPECT_EQ(counters->timeouts, 1u);
}

TEST(BodyRate, WhatCameBeforeCounts) {
    Site site(HTTP_ROUTES(routes));
    Client client(site);
    client.ask(kGet);
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1300\r\n\r\n");
    EXPECT_EQ(client.ask(string(1280, 'x')), ""); // worth 20 s
    for (int i = 0; i < 7; i++) {
        site.harness->Sleep(7 * kSecond);
        EXPECT_EQ(client.ask("x"), "") << i;
    }
    EXPECT_EQ(StatusOf(client.ask(string(13, 'x'))), "200");
    // The next body begins anew, also when its head came with the last one's end.
    string head = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
    for (int round = 0; round < 4; round++) {
        client.ask(round == 0 ? head : "x" + head);
        for (int i = 0; i < 4; i++) {
            site.harness->Sleep(7 * kSecond);
            client.send("x");
        }
    }
    EXPECT_EQ(StatusOf(client.ask("x")), "200");
    client.close();
}

TEST(RequestsMax, TheLastSaysSoAndTheConnectionEnds) {
    http_server server = {};
    server.requests_max = 3;
    Site site(HTTP_ROUTES(routes), server);
    Client client(site);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(client.ask(kGet).find("Connection"), string::npos);
    string last = client.ask("GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_NE(last.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(last, "<end>"));
    Client pipelined(site);
    string all = pipelined.ask(string(kGet) + kGet + kGet + kGet + kGet);
    size_t count = 0;
    for (size_t at = 0; (at = all.find("HTTP/1.1 200", at)) != string::npos; at++)
        count++;
    EXPECT_EQ(count, 3u);
    EXPECT_TRUE(EndsWith(all, "hello\n<end>"));
    client.close();
    pipelined.close();
    EXPECT_EQ(counters->requests, 6u);
}

struct Full {
    explicit Full(http_overflow overflow) {
        http_server server = {};
        server.connection_count = 2;
        server.overflow = overflow;
        site.reset(new Site(HTTP_ROUTES(routes), server));
        first.reset(new Client(*site));
        second.reset(new Client(*site));
        EXPECT_EQ(StatusOf(first->ask(kGet)), "200");
    }

    std::unique_ptr<Site> site;
    std::unique_ptr<Client> first;
    std::unique_ptr<Client> second;
};

TEST(Overflow, IsAnswered503) {
    Full full(HTTP_OVERFLOW_503);
    Client third(*full.site);
    string answer = third.ask(kGet);
    EXPECT_EQ(StatusOf(answer), "503");
    EXPECT_NE(answer.find("\r\nRetry-After: 1\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "\r\n\r\n<end>"));
    third.close();
    // One that says nothing hears it too; one that goes on and on is left after a while.
    Client silent(*full.site);
    Client talker(*full.site);
    EXPECT_EQ(StatusOf(silent.take()), "503");
    for (int i = 0; i < 30; i++) {
        talker.send("x");
        full.site->harness->Sleep(kSecond / 10);
    }
    EXPECT_EQ(StatusOf(talker.take()), "503");
    EXPECT_EQ(full.site->harness->io().fds_in_use, 3u); // the listener's and two connections'
    EXPECT_EQ(counters->connections_refused, 3u);
    EXPECT_EQ(counters->accepts_delayed, 0u);
    // The others did not notice, and there is room again when one goes.
    EXPECT_EQ(full.first->ask(kGet).find("Connection"), string::npos);
    full.second->close();
    Client next(*full.site);
    EXPECT_EQ(StatusOf(next.ask(kGet)), "200");
}

TEST(Overflow, ThatIsTooMuchIsClosed) {
    Full full(HTTP_OVERFLOW_503);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 70; i++)
        clients.emplace_back(new Client(*full.site));
    int answered = 0;
    for (auto &client : clients) {
        string answer = client->take();
        EXPECT_TRUE(EndsWith(answer, "<end>") || EndsWith(answer, "<error>"));
        answered += StatusOf(answer) == "503";
    }
    EXPECT_EQ(answered, 64);
    EXPECT_EQ(counters->connections_refused, 70u);
    full.site->harness->Sleep(3 * kSecond);
    EXPECT_EQ(full.site->harness->io().fds_in_use, 3u);
    EXPECT_EQ(StatusOf(full.first->ask(kGet)), "200");
}

TEST(Overflow, IsClosed) {
    Full full(HTTP_OVERFLOW_CLOSE);
    for (int i = 0; i < 5; i++) {
        Client third(*full.site);
        EXPECT_EQ(third.take(), "<end>");
        third.close();
    }
    EXPECT_EQ(counters->connections_refused, 5u);
    full.first->close();
    Client next(*full.site);
    EXPECT_EQ(StatusOf(next.ask(kGet)), "200");
}

TEST(Overflow, DoesNotHoldUpADrain) {
    Full full(HTTP_OVERFLOW_503);
    Client third(*full.site);
    full.site->control().hold = true;
    Client fourth(*full.site);
    tina_shard_shutdown(full.site->harness->shard());
    full.site->control().hold = false;
    full.site->harness->Settle();
    full.first->close();
    full.second->close();
    full.site->harness->Sleep(3 * kSecond);
    EXPECT_TRUE(full.site->harness->Settle().ended);
}

} // namespace
