// SPDX-License-Identifier: Apache-2.0
//
// From the order to drain to the last connection's end, on the scripted backend. serve_test and
// shards_test drain processes.

#include <gtest/gtest.h>

#include <string>

#include "http/http.h"
#include "http/site.h"
#include "sched/ctx.h"

namespace {

using std::string;

constexpr uint64_t kSecond = 1000000000;

http_step get(http_request *, http_response *response) {
    return http_text(response, 200, "hello\n");
}

http_route route(const char *pattern, http_handler handler) {
    http_route made = {};
    made.method = HTTP_GET;
    made.pattern = pattern;
    made.handler = handler;
    return made;
}

http_step wait_end(http_request *, http_response *response) {
    return http_end(response);
}

http_step wait(http_request *, http_response *response) {
    http_stream_begin(response, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    http_write(response, "so far", 6);
    return http_wait(response, wait_end, kSecond);
}

const http_route routes[] = {route("/", get), route("/wait", wait),
                             route("/healthz", http_answer_live),
                             route("/readyz", http_answer_ready)};

string ask(Site &site, const string &path) {
    Client client(site);
    string answer = client.ask("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
    client.close();
    return answer;
}

int told;

http_server lame(uint64_t seconds) {
    told = 0;
    http_server made = {};
    made.lame_duck_ns = seconds * kSecond;
    made.leaving = [](void *context) { *static_cast<int *>(context) += 1; };
    made.leaving_context = &told;
    return made;
}

bool refused(Site &site) {
    return tina_scripted_connect(site.harness->scripted(), &site.address).socket < 0;
}

TEST(Drain, HealthIsTold) {
    Site site(HTTP_ROUTES(routes), lame(0));
    EXPECT_TRUE(EndsWith(ask(site, "/healthz"), "live\n"));
    string ready = ask(site, "/readyz");
    EXPECT_EQ(StatusOf(ready), "200");
    EXPECT_NE(ready.find("\r\nCache-Control: no-store\r\n"), string::npos);
    EXPECT_EQ(told, 0);
    tina_shard_shutdown(site.harness->shard());
    EXPECT_TRUE(site.harness->Settle().ended);
    EXPECT_EQ(told, 1);
}

TEST(Drain, ALameDuckIsNotReadyAndStillServes) {
    Site site(HTTP_ROUTES(routes), lame(10));
    Client kept(site);
    Client partly(site);
    kept.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    tina_shard_shutdown(site.harness->shard());
    site.harness->Settle();
    site.harness->Sleep(9 * kSecond);
    EXPECT_EQ(told, 1);
    EXPECT_EQ(StatusOf(ask(site, "/readyz")), "503");
    EXPECT_EQ(StatusOf(ask(site, "/healthz")), "200");
    string answer = ask(site, "/");
    EXPECT_EQ(StatusOf(answer), "200");
    EXPECT_EQ(answer.find("Connection: close"), string::npos);
    partly.send("GET / HTTP/1.1\r\nHo");
    EXPECT_EQ(kept.take(), "");
    site.harness->Sleep(2 * kSecond);
    EXPECT_EQ(kept.take(), "<end>"); // idle
    EXPECT_TRUE(refused(site));
    answer = partly.ask("st: h\r\n\r\n");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "hello\n<end>"));
    kept.close();
    partly.close();
    EXPECT_TRUE(site.harness->Settle().ended);
    EXPECT_EQ(told, 1);
}

TEST(Drain, ALameDuckThatIsFullOrCannotAcceptStopsInTime) {
    for (bool full : {true, false}) {
        http_server server = lame(10);
        server.connection_count = 1;
        Site site(HTTP_ROUTES(routes), server);
        Client first(site);
        first.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        if (!full)
            site.control().fail_next[TINA_OP_ACCEPT] = EMFILE;
        Client second(site);
        tina_shard_shutdown(site.harness->shard());
        for (int i = 0; i < 95; i++)
            site.harness->Sleep(kSecond / 10);
        EXPECT_FALSE(refused(site));
        first.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        for (int i = 0; i < 8; i++)
            site.harness->Sleep(kSecond / 10);
        EXPECT_TRUE(refused(site));
        first.close();
        second.close();
        site.harness->Sleep(3 * kSecond);
        EXPECT_TRUE(site.harness->Settle().ended);
    }
}

// It was read before the close was sent, and nothing had told its client that there would be one.
TEST(Drain, AnswersWhatCameBehindAResponseThatIsUnderWay) {
    Site site(HTTP_ROUTES(routes), lame(0));
    Client client(site);
    string begun = client.ask("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"
                              "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(EndsWith(begun, "so far\r\n"));
    EXPECT_EQ(begun.find("Connection: close"), string::npos);
    tina_shard_shutdown(site.harness->shard());
    site.harness->Settle();
    string answer = client.take();
    EXPECT_EQ(answer.substr(0, 5), "0\r\n\r\n");
    EXPECT_EQ(StatusOf(answer.substr(5)), "200");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "hello\n<end>"));
    client.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

// A slot is taken by who waited for it, when the next response has said so.
TEST(Full, AResponseThatIsUnderWayIsNotTheLast) {
    http_server server = lame(0);
    server.connection_count = 1;
    Site site(HTTP_ROUTES(routes), server);
    Client first(site);
    first.ask("GET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    Client second(site);
    site.harness->Sleep(kSecond + 1);
    string answer = first.take();
    EXPECT_EQ(StatusOf(answer.substr(5)), "200");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "hello\n<end>"));
    first.close();
    EXPECT_EQ(StatusOf(second.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")), "200");
    second.close();
}

} // namespace
