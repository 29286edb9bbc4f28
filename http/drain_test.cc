// SPDX-License-Identifier: Apache-2.0
//
// From the order to drain to the last connection's end, on the scripted backend. serve_test and
// shards_test drain processes.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

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

// A child of the program, and handlers that call it.

tina_handle clerk;
int clerk_told;

tina_effect clerk_init(tina_ctx *ctx, void *, tina_bytes) {
    clerk = tina_self(ctx);
    return tina_receive();
}

constexpr int32_t kAsked = 1;
constexpr int32_t kAskedLater = 3; // answered after a second
constexpr int32_t kBroken = 2;

tina_effect clerk_handle(tina_ctx *ctx, void *, const tina_message *m) {
    static tina_caller caller;
    if (m->tag == kAskedLater) {
        caller = tina_caller_of(ctx, m);
        EXPECT_NE(tina_timer_set(ctx, kSecond, 0).bits, 0u);
        return tina_receive();
    }
    if (m->tag == TINA_TIMER) {
        EXPECT_EQ(tina_answer(ctx, caller, kAsked, nullptr, 0), TINA_ANSWER_OK);
        return tina_receive();
    }
    clerk_told += m->tag == TINA_SHUTDOWN;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    return m->tag == kBroken ? tina_crash(1) : tina_reply(ctx, kAsked, nullptr, 0);
}

const tina_isolate_type clerk_type = {"clerk", clerk_init, clerk_handle, 8, 0, 0, 0, 0};
const tina_type_slots clerk_slots[] = {{&clerk_type, 1}};

http_server with_clerk(http_server server = {}) {
    static const tina_child child = [] {
        tina_child made = {};
        made.type = &clerk_type;
        return made;
    }();
    clerk_told = 0;
    server.types = clerk_slots;
    server.type_count = 1;
    server.children = &child;
    server.child_count = 1;
    return server;
}

http_step asked(http_request *request, http_response *response) {
    bool answered = http_message(request)->tag == kAsked;
    return http_text(response, answered ? 200 : 500, "asked\n");
}

http_step ask_clerk(http_request *request, http_response *response) {
    return http_call(response, tina_call(http_ctx(request), clerk, kAsked, nullptr, 0, 0), asked);
}

http_step later(http_request *request, http_response *response) {
    return http_call(response, tina_call(http_ctx(request), clerk, kAskedLater, nullptr, 0, 0),
                     asked);
}

// Waits when its call has ended, and asks once more when it is told.
http_step hold(http_request *, http_response *response);

http_step hold_after(http_request *request, http_response *response) {
    return http_call(response, tina_call(http_ctx(request), clerk, kAskedLater, nullptr, 0, 0),
                     hold);
}

http_step hold(http_request *, http_response *response) {
    return http_wait(response, ask_clerk, 0);
}

// Writes what it hears, and waits on.
http_step stubborn_on(http_request *request, http_response *response) {
    const tina_message *m = http_message(request);
    string heard = m != nullptr ? std::to_string(m->tag) : "nothing";
    http_write(response, heard.data(), heard.size());
    return http_wait(response, stubborn_on, 0);
}

http_step stubborn(http_request *, http_response *response) {
    http_stream_begin(response, 200, "text/plain", 1000);
    return http_wait(response, stubborn_on, 0);
}

http_step break_clerk(http_request *request, http_response *response) {
    tina_send(http_ctx(request), clerk, kBroken, nullptr, 0);
    return http_empty(response, 204);
}

http_step fault(http_request *, http_response *) {
    tina_panic("asked to");
}

const http_route clerk_routes[] = {route("/", get),
                                   route("/clerk", ask_clerk),
                                   route("/hold", hold),
                                   route("/later", later),
                                   route("/hold-after", hold_after),
                                   route("/stubborn", stubborn),
                                   route("/break", break_clerk),
                                   route("/fault", fault)};

TEST(Drain, WhatAHandlerCallsIsThereUntilTheLastRequestIsOver) {
    Site site(HTTP_ROUTES(clerk_routes), with_clerk());
    Client held(site);
    Client partly(site);
    held.ask("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    partly.send("GET /clerk HTTP/1.1\r\nHo");
    tina_shard_shutdown(site.harness->shard());
    string answer = held.take();
    EXPECT_EQ(StatusOf(answer), "200");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    held.close();
    site.harness->Settle();
    EXPECT_TRUE(refused(site));
    EXPECT_EQ(clerk_told, 0);
    EXPECT_EQ(StatusOf(partly.ask("st: h\r\n\r\n")), "200");
    EXPECT_EQ(clerk_told, 0);
    partly.close();
    EXPECT_TRUE(site.harness->Settle().ended);
    EXPECT_EQ(clerk_told, 1);
    EXPECT_EQ(site.harness->counters().crashed, 0u);
}

TEST(Drain, ACallThatIsInProgressIsNotCutShort) {
    for (const char *path : {"/later", "/hold-after"}) {
        Site site(HTTP_ROUTES(clerk_routes), with_clerk());
        Client client(site);
        EXPECT_EQ(client.ask("GET " + string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n"), "");
        tina_shard_shutdown(site.harness->shard());
        EXPECT_EQ(client.take(), "");
        site.harness->Sleep(kSecond - kSecond / 10);
        EXPECT_EQ(client.take(), "");
        site.harness->Sleep(kSecond / 10);
        string answer = client.take();
        EXPECT_EQ(StatusOf(answer), "200") << path;
        EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
        EXPECT_TRUE(EndsWith(answer, "asked\n<end>"));
        client.close();
        EXPECT_TRUE(site.harness->Settle().ended);
    }
}

// Those left then go on without it, and hear nothing more; at the end they are cut.
TEST(Drain, TheProgramsChildrenWaitForNoRequestForEver) {
    http_server server = with_clerk();
    server.drain_timeout_ns = 3 * kSecond;
    server.linger_timeout_ns = 8 * kSecond;
    Site site(HTTP_ROUTES(clerk_routes), server);
    Client client(site);
    client.ask("GET /stubborn HTTP/1.1\r\nHost: h\r\n\r\n");
    tina_shard_shutdown(site.harness->shard());
    EXPECT_TRUE(EndsWith(client.take(), std::to_string(TINA_SHUTDOWN)));
    for (int i = 0; i < 28; i++)
        site.harness->Sleep(kSecond / 10);
    EXPECT_EQ(clerk_told, 0);
    for (int i = 0; i < 4; i++)
        site.harness->Sleep(kSecond / 10);
    EXPECT_EQ(clerk_told, 1);
    EXPECT_FALSE(site.harness->Settle().ended);
    for (int i = 0; i < 40; i++)
        site.harness->Sleep(kSecond / 10);
    EXPECT_EQ(client.take(), "");
    site.harness->Sleep(kSecond);
    EXPECT_EQ(client.take(), "<end>");
    client.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

TEST(Drain, ASecondSignalEndsItAtOnce) {
    Site site(HTTP_ROUTES(clerk_routes), with_clerk());
    Client client(site);
    client.ask("GET /stubborn HTTP/1.1\r\nHost: h\r\n\r\n");
    tina_shard_shutdown(site.harness->shard());
    EXPECT_FALSE(site.harness->Settle().ended);
    EXPECT_EQ(tina_shard_force(site.harness->shard()), 3u); // connection, drain and clerk
    EXPECT_TRUE(site.harness->Settle().ended);
    EXPECT_EQ(clerk_told, 0);
}

TEST(Drain, EveryConnectionIsToldHoweverMany) {
    Site site(HTTP_ROUTES(clerk_routes), with_clerk());
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 600; i++) {
        clients.emplace_back(new Client(site));
        clients.back()->ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    tina_shard_shutdown(site.harness->shard());
    for (auto &client : clients)
        EXPECT_EQ(client->take(), "<end>");
    EXPECT_EQ(clerk_told, 0);
    for (auto &client : clients)
        client->close();
    EXPECT_TRUE(site.harness->Settle().ended);
    EXPECT_EQ(clerk_told, 1);
}

TEST(Drain, IsNotHeldUpByAConnectionThatCrashed) {
    Site site(HTTP_ROUTES(clerk_routes), with_clerk());
    Client before(site);
    EXPECT_EQ(StatusOf(before.ask("GET /fault HTTP/1.1\r\nHost: h\r\n\r\n")), "500");
    before.close();
    Client partly(site);
    partly.send("GET /fault HTTP/1.1\r\nHo");
    tina_shard_shutdown(site.harness->shard());
    site.harness->Settle();
    EXPECT_EQ(StatusOf(partly.ask("st: h\r\n\r\n")), "500");
    partly.close();
    site.harness->Settle();
    site.harness->Sleep(kSecond / 50);
    EXPECT_TRUE(site.harness->Settle().ended);
    EXPECT_EQ(clerk_told, 1);
}

// Its tree ends because it is to begin anew, for which nobody waits.
TEST(Drain, AShardThatGivesUpWaitsForNobody) {
    Site site(HTTP_ROUTES(clerk_routes), with_clerk());
    Client held(site);
    held.ask("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    ask(site, "/break");
    EXPECT_FALSE(site.harness->Settle().gave_up);
    ask(site, "/break");
    EXPECT_TRUE(site.harness->Settle().gave_up);
    held.close();
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
