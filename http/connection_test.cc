// SPDX-License-Identifier: Apache-2.0
//
// A whole server on the scripted backend: clients, time and errors are the test's.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/prng.h"
#include "http/http.h"
#include "http/site.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"

namespace {

using std::string;

constexpr uint64_t kSecond = 1000000000;

const http_counters *counters; // of the last site that was asked for /

http_step get_index(http_request *req, http_response *res) {
    counters = http_count(http_ctx(req));
    return http_text(res, 200, "index");
}

http_step get_user(http_request *req, http_response *res) {
    return http_json(res, 200, "{\"id\":%s}", http_json_quote(req, http_param(req, "id")));
}

http_step post_echo(http_request *req, http_response *res) {
    tina_bytes body = http_body(req);
    return http_bytes(res, 200, "text/plain", body.data, body.bytes);
}

string big_body() {
    string body;
    for (int i = 0; i < 300000; i++)
        body += static_cast<char>('a' + i % 26);
    return body;
}
const string kBig = big_body();

http_step get_big(http_request *, http_response *res) {
    return http_static(res, 200, "text/plain", kBig.data(), kBig.size());
}

http_step get_nothing(http_request *, http_response *) {
    return {};
}

http_step get_scratch(http_request *req, http_response *res) {
    EXPECT_EQ(http_scratch(req, 1u << 20), nullptr);
    return http_text(res, 200, "never sent");
}

http_step get_too_much(http_request *, http_response *res) {
    return http_bytes(res, 200, "text/plain", kBig.data(), kBig.size());
}

// More calls than the spec allows: the connection crashes, as any isolate would.
http_step get_crash(http_request *req, http_response *res) {
    for (int i = 0; i < 2000; i++)
        tina_log(http_ctx(req), TINA_LOG_DEBUG, "%d", i);
    return http_text(res, 200, "never sent");
}

// ... and nothing can be answered instead of what has been sent.
http_step get_crash_late(http_request *, http_response *res) {
    http_stream_begin(res, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    http_write(res, "so far", 6);
    return http_stream(res, get_crash);
}

const http_route routes[] = {
    {HTTP_GET, "/", get_index, 0},
    {HTTP_GET, "/users/:id", get_user, 0},
    {HTTP_POST, "/echo", post_echo, 0},
    {HTTP_POST, "/small", post_echo, 100},
    {HTTP_GET, "/big", get_big, 0},
    {HTTP_GET, "/nothing", get_nothing, 0},
    {HTTP_GET, "/much", get_too_much, 0},
    {HTTP_GET, "/crash", get_crash, 0},
    {HTTP_GET, "/crash-late", get_crash_late, 0},
    {HTTP_GET, "/scratch", get_scratch, 0},
};

http_step get_otherwise(http_request *req, http_response *res) {
    EXPECT_EQ(http_param(req, "x"), nullptr);
    return http_text(res, 404, "no %s", http_path(req));
}

class Site : public ::Site {
  public:
    explicit Site(http_server server = {}) : ::Site(HTTP_ROUTES(routes), server) {}
};

const string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

string post(const string &path, const string &body, const string &fields = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: h\r\n" + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(Connection, AnswersAndStaysOpen) {
    Site site;
    Client client(site);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(client.ask(kGet), "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                    "Content-Type: text/plain; charset=utf-8\r\n"
                                    "Content-Length: 5\r\n\r\nindex");
    }
    EXPECT_TRUE(
        EndsWith(client.ask("GET /users/4%22 HTTP/1.1\r\nHost: h\r\n\r\n"), "{\"id\":\"4\\\"\"}"));
    site.harness->set_wall(86400);
    EXPECT_NE(client.ask(kGet).find("Fri, 02 Jan 1970"), string::npos);
    EXPECT_EQ(counters->requests, 5u);
    EXPECT_EQ(counters->contexts_in_use, 0u);
    EXPECT_EQ(counters->connections_in_use, 1u);
}

TEST(Connection, RoutesWhatHasNoHandlerOfItsOwn) {
    Site site;
    Client client(site);
    EXPECT_EQ(StatusOf(client.ask("GET /none HTTP/1.1\r\nHost: h\r\n\r\n")), "404");
    string refused = client.ask("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_EQ(StatusOf(refused), "405");
    EXPECT_NE(refused.find("\r\nAllow: POST, OPTIONS\r\n"), string::npos);
    string options = client.ask("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(StatusOf(options), "204");
    EXPECT_NE(options.find("\r\nAllow: GET, HEAD, OPTIONS\r\n"), string::npos);
    options = client.ask("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(StatusOf(options), "204");
    EXPECT_NE(options.find("\r\nAllow: GET, HEAD, POST, OPTIONS\r\n"), string::npos);
    EXPECT_EQ(StatusOf(client.ask("OPTIONS /none HTTP/1.1\r\nHost: h\r\n\r\n")), "404");
    string head = client.ask("HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_NE(head.find("Content-Length: 300000\r\n\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(head, "\r\n\r\n"));
    EXPECT_EQ(StatusOf(client.ask(kGet)), "200");
}

TEST(Connection, AHandlerCanTakeWhatNoRouteHas) {
    http_server server = {};
    server.otherwise.handler = get_otherwise;
    server.otherwise.body_limit = 5;
    Site site(server);
    Client client(site);
    EXPECT_TRUE(EndsWith(client.ask("GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n"), "no /a/../b"));
    EXPECT_TRUE(EndsWith(client.ask(post("/none", "hello")), "no /none"));
    EXPECT_EQ(StatusOf(client.ask("PUT /echo HTTP/1.1\r\nHost: h\r\n\r\n")), "405");
    EXPECT_EQ(StatusOf(client.ask("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")), "204");
    EXPECT_EQ(StatusOf(client.ask(kGet)), "200");
    EXPECT_EQ(StatusOf(client.ask(post("/none", "hello!"))), "413");
}

string sixteen_requests() {
    string bytes;
    for (int i = 0; i < 4; i++) {
        bytes += kGet + post("/echo", "hello " + std::to_string(i));
        bytes += "GET /users/" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
        bytes += "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n";
    }
    return bytes;
}

TEST(Connection, AnswersAPipelineAsItAnswersByteByByte) {
    Site site;
    Client piped(site);
    string at_once = piped.ask(sixteen_requests());
    uint64_t submitted = site.harness->io().submitted;
    Client slow(site);
    string by_byte;
    for (char byte : sixteen_requests())
        by_byte += slow.ask(string(1, byte));
    EXPECT_EQ(by_byte, at_once);
    EXPECT_EQ(counters->requests, 32u);
    Client again(site);
    submitted = site.harness->io().submitted;
    again.ask(sixteen_requests());
    EXPECT_EQ(site.harness->io().submitted - submitted, 2u); // one send, and the next receive
}

TEST(Connection, AnswersPipelinesLongerThanItsOutput) {
    Site site;
    Client client(site);
    string bytes;
    for (int i = 0; i < 700; i++)
        bytes += kGet;
    string answers = client.ask(bytes);
    size_t count = 0;
    for (size_t at = 0; (at = answers.find("index", at)) != string::npos; at++)
        count++;
    EXPECT_EQ(count, 700u);
    EXPECT_EQ(counters->contexts_in_use, 0u);
}

TEST(Connection, SendsBodiesOfAnySizeInOrder) {
    Site site;
    Client client(site);
    string answers = client.ask("GET /big HTTP/1.1\r\nHost: h\r\n\r\n" +
                                post("/echo", kBig.substr(0, 60000)) + kGet);
    size_t first = answers.find(kBig);
    ASSERT_NE(first, string::npos);
    size_t second = answers.find("\r\n\r\n" + kBig.substr(0, 60000) + "HTTP/1.1", first + 300000);
    ASSERT_NE(second, string::npos);
    EXPECT_TRUE(EndsWith(answers, "index"));
    EXPECT_EQ(counters->large_bodies_in_use, 0u);
}

TEST(Connection, EndsWhenTheClientSaysSo) {
    Site site;
    Client client(site);
    string answer =
        client.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + kGet + kGet);
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "index<end>"));
    EXPECT_EQ(answer.find("HTTP", 1), string::npos);
    Client old(site);
    EXPECT_TRUE(EndsWith(old.ask("GET / HTTP/1.0\r\n\r\n"), "index<end>"));
    Client older(site);
    answer = older.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(answer.find("\r\nConnection: keep-alive\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "index"));
}

TEST(Connection, AnswersAClientThatHasClosedItsSide) {
    Site site;
    Client client(site);
    client.send(kGet + kGet);
    client.half_close();
    EXPECT_TRUE(EndsWith(client.take(), "index<end>"));
    EXPECT_EQ(counters->connections_in_use, 0u);
    Client silent(site);
    silent.half_close();
    EXPECT_EQ(silent.take(), "<end>");
    Client cut(site);
    cut.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    cut.half_close();
    string answer = cut.take();
    EXPECT_EQ(StatusOf(answer), "400");
    EXPECT_TRUE(EndsWith(answer, "<end>"));
}

TEST(Connection, TellsWhyBeforeItClosesAndDropsWhatFollows) {
    Site site;
    const struct {
        string bytes;
        const char *status;
    } cases[] = {
        {"GET / HTTP/1.1\nHost: h\r\n\r\n", "400"},
        {"GET /" + string(100000, 'a'), "414"},
        {"GET / HTTP/1.1\r\nX: " + string(100000, 'a'), "431"},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"},
        {post("/small", string(101, 'x')), "413"},
        {post("/echo", string(65537, 'x')), "413"},
        {"GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", "417"},
    };
    for (const auto &c : cases) {
        Client client(site);
        string answer = client.ask(kGet + c.bytes);
        ASSERT_EQ(StatusOf(answer), "200") << c.status;
        answer = answer.substr(answer.find("index") + 5);
        EXPECT_EQ(StatusOf(answer), c.status);
        EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
        EXPECT_NE(answer.find("\r\nDate: "), string::npos);
        EXPECT_TRUE(EndsWith(answer, "<end>"));
        client.send(string(10000, 'z'));
        EXPECT_EQ(client.take(), "");
        EXPECT_EQ(counters->connections_in_use, 1u);
        site.harness->Sleep(3 * kSecond); // it has lingered long enough
        EXPECT_EQ(counters->connections_in_use, 0u);
    }
    EXPECT_EQ(counters->contexts_in_use, 0u);
}

TEST(Connection, AHeadHasOneDeadlineForAllItsBytes) {
    Site site;
    Client client(site);
    client.ask(kGet);
    client.send("GET / HTTP/1.1\r\nX: ");
    for (int i = 0; i < 4; i++) {
        site.harness->Sleep(2 * kSecond);
        client.send("x");
        EXPECT_EQ(client.take(), "") << i;
    }
    site.harness->Sleep(2 * kSecond);
    EXPECT_EQ(StatusOf(client.take()), "408");
    EXPECT_EQ(counters->timeouts, 1u);
}

TEST(Connection, ABodyMayBeSlowAsLongAsItComes) {
    http_server server = {};
    server.body_rate = HTTP_RATE_NONE;
    Site site(server);
    Client client(site);
    client.ask(kGet);
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        site.harness->Sleep(29 * kSecond);
        EXPECT_EQ(client.ask("x"), "");
    }
    site.harness->Sleep(30 * kSecond + kSecond / 10);
    EXPECT_EQ(StatusOf(client.take()), "408");
}

TEST(Connection, AnIdleOneIsClosedWithoutAWord) {
    Site site;
    Client fresh(site);
    Client used(site);
    used.ask(kGet);
    site.harness->Sleep(59 * kSecond);
    EXPECT_EQ(used.take(), "");
    site.harness->Sleep(2 * kSecond);
    EXPECT_EQ(used.take(), "<end>");
    EXPECT_EQ(fresh.take(), "<end>");
    EXPECT_EQ(counters->timeouts, 2u);
    used.close();
    fresh.close();
    site.harness->Settle();
    EXPECT_EQ(counters->connections_in_use, 0u);
}

TEST(Connection, AClientThatDoesNotReadIsGivenUp) {
    Site site;
    tina_scripted_peer peer = tina_scripted_connect(site.harness->scripted(), &site.address);
    string bytes = kGet + "GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    tina_scripted_peer_send(site.harness->scripted(), peer, bytes.data(),
                            static_cast<uint32_t>(bytes.size()));
    site.harness->Settle();
    EXPECT_EQ(counters->contexts_in_use, 1u);
    site.harness->Sleep(31 * kSecond);
    EXPECT_EQ(counters->contexts_in_use, 0u);
    EXPECT_EQ(counters->connections_in_use, 0u);
    EXPECT_EQ(counters->timeouts, 1u);
}

TEST(Connection, WithoutAContextLeftTheAnswerIs503) {
    http_server server = {};
    server.context_count = 1;
    server.large_body_count = 1;
    server.connection_count = 8;
    Site site(server);
    Client first(site);
    first.ask(kGet);
    first.send("GET / HT");
    Client second(site);
    string answer = second.ask(kGet);
    EXPECT_EQ(StatusOf(answer), "503");
    EXPECT_TRUE(EndsWith(answer, "\r\n\r\n<end>"));
    EXPECT_TRUE(EndsWith(first.ask("TP/1.1\r\nHost: h\r\n\r\n"), "index"));
    Client third(site);
    EXPECT_EQ(StatusOf(third.ask(kGet)), "200");
    EXPECT_EQ(counters->contexts_exhausted, 1u);
}

TEST(Connection, WithoutRoomForALargeBodyTheAnswerIs503) {
    http_server server = {};
    server.large_body_count = 1;
    Site site(server);
    Client first(site);
    first.ask(kGet);
    string request = post("/echo", string(60000, 'x'));
    first.send(request.substr(0, 30000));
    Client second(site);
    string answer = second.ask(request);
    EXPECT_EQ(StatusOf(answer), "503");
    EXPECT_EQ(StatusOf(first.ask(request.substr(30000))), "200");
    Client third(site);
    EXPECT_EQ(StatusOf(third.ask(request)), "200");
    EXPECT_EQ(counters->bodies_exhausted, 1u);
    EXPECT_EQ(counters->large_bodies_in_use, 0u);
}

TEST(Connection, SaysContinueToAClientThatWaitsForIt) {
    Site site;
    Client client(site);
    string head = "POST /small HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n";
    EXPECT_EQ(client.ask(head + "Content-Length: 5\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_TRUE(EndsWith(client.ask("hello"), "\r\n\r\nhello"));
    EXPECT_EQ(StatusOf(client.ask(head + "Content-Length: 5\r\n\r\nhello")), "200");
    EXPECT_EQ(StatusOf(client.ask(head + "Content-Length: 101\r\n\r\n")), "413");
}

TEST(Connection, AsksForNoBodyThatNobodyWants) {
    Site site;
    for (const char *line : {"POST /none", "PUT /echo", "POST /./echo"}) {
        Client client(site);
        string answer = client.ask(string(line) +
                                   " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
                                   "Expect: 100-continue\r\n\r\nhello" +
                                   kGet);
        EXPECT_EQ(StatusOf(answer), line[1] == 'U' ? "405" : "404");
        EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
        EXPECT_EQ(answer.find("index"), string::npos);
        EXPECT_TRUE(EndsWith(answer, "<end>"));
    }
}

TEST(Connection, AHandlerThatCannotAnswerIsAnswered500) {
    Site site;
    Client client(site);
    EXPECT_EQ(StatusOf(client.ask("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n")), "500");
    EXPECT_EQ(StatusOf(client.ask("GET /much HTTP/1.1\r\nHost: h\r\n\r\n")), "500");
    EXPECT_EQ(StatusOf(client.ask("GET /scratch HTTP/1.1\r\nHost: h\r\n\r\n")), "500");
    EXPECT_EQ(StatusOf(client.ask(kGet)), "200");
    EXPECT_EQ(counters->responses_bad, 3u);
    EXPECT_NE(site.harness->log().find("GET /nothing is answered 500: its handler returned"),
              string::npos);
}

TEST(Connection, WhatACrashedOneHeldIsTakenBack) {
    http_server server = {};
    server.connection_count = 2;
    Site site(server);
    for (int i = 0; i < 20; i++) {
        Client client(site);
        string answer = client.ask("GET /crash HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_EQ(StatusOf(answer), "500");
        EXPECT_TRUE(EndsWith(answer, "<end>"));
        client.close();
        Client next(site);
        EXPECT_EQ(StatusOf(next.ask(kGet)), "200");
        next.close();
        site.harness->Settle();
    }
    EXPECT_EQ(counters->contexts_lost, 20u);
    EXPECT_EQ(counters->contexts_in_use, 0u);
    EXPECT_EQ(counters->connections_in_use, 0u);
    EXPECT_EQ(counters->contexts_exhausted, 0u);
}

// The slots of those that crashed are not the next to be used, and one that is has no context.
TEST(Connection, WhatCrashedOnesHeldIsTakenBackWhenThereIsNoOther) {
    http_server server = {};
    server.connection_count = 6;
    server.context_count = 2;
    Site site(server);
    // Who would take it back at once are all busy, with clients that do not go.
    std::vector<std::unique_ptr<Client>> answered;
    for (int i = 0; i < 64; i++) {
        answered.emplace_back(new Client(site));
        EXPECT_EQ(StatusOf(answered.back()->ask("GET /crash HTTP/1.1\r\nHost: h\r\n\r\n")), "500");
    }
    Client kept[3] = {Client(site), Client(site), Client(site)};
    EXPECT_EQ(StatusOf(kept[2].ask(kGet)), "200");
    EXPECT_EQ(counters->contexts_lost, 64u);
    for (uint32_t i = 0; i < 2; i++) {
        string begun = kept[i].ask("GET /crash-late HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_TRUE(EndsWith(begun, "so far\r\n<end>")) << begun;
        EXPECT_EQ(counters->contexts_in_use, i + 1);
    }
    EXPECT_EQ(StatusOf(kept[2].ask(kGet)), "200");
    EXPECT_EQ(counters->contexts_lost, 66u);
    EXPECT_EQ(counters->contexts_in_use, 0u);
    EXPECT_EQ(counters->contexts_exhausted, 0u);
}

TEST(Listener, LetsConnectionsWaitWhenAllSlotsAreTaken) {
    http_server server = {};
    server.connection_count = 2;
    Site site(server);
    Client first(site);
    first.ask(kGet);
    Client second(site);
    Client third(site);
    Client fourth(site);
    third.send(kGet);
    fourth.send(kGet);
    EXPECT_EQ(third.take(), "");
    // Those that are served learn that others wait.
    EXPECT_TRUE(EndsWith(second.ask(kGet), "index<end>"));
    second.close();
    EXPECT_TRUE(EndsWith(third.take(), "index<end>"));
    third.close();
    EXPECT_EQ(StatusOf(fourth.take()), "200");
    EXPECT_GE(counters->accepts_delayed, 1u);
    first.close();
    fourth.close();
    site.harness->Settle();
    EXPECT_EQ(counters->connections_in_use, 0u);
}

TEST(Listener, FindsASlotThatACrashFreed) {
    http_server server = {};
    server.connection_count = 1;
    Site site(server);
    Client first(site);
    Client second(site);
    second.send(kGet);
    EXPECT_EQ(StatusOf(first.ask("GET /crash HTTP/1.1\r\nHost: h\r\n\r\n")), "500");
    site.harness->Sleep(kSecond / 5);
    EXPECT_EQ(StatusOf(second.take()), "200");
}

TEST(Listener, WaitsWhenTheOsRefusesAndComplainsOnce) {
    Site site;
    Client first(site);
    for (int i = 0; i < 10; i++) {
        site.control().fail_next[TINA_OP_ACCEPT] = EMFILE;
        Client client(site);
        uint64_t submitted = site.harness->io().submitted;
        site.harness->Settle();
        EXPECT_EQ(site.harness->io().submitted, submitted);
        site.harness->Sleep(kSecond / 5);
    }
    EXPECT_EQ(StatusOf(first.ask(kGet)), "200");
    EXPECT_GE(counters->accepts_failed, 5u);
    const string &log = site.harness->log();
    size_t complaint = log.find("cannot be accepted");
    ASSERT_NE(complaint, string::npos);
    Client last(site);
    EXPECT_EQ(StatusOf(last.ask(kGet)), "200");
}

TEST(Shutdown, AnswersWhatIsInProgressAndEnds) {
    Site site;
    Client idle(site);
    idle.ask(kGet);
    Client reading(site);
    reading.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    Client fresh(site);
    tina_shard_shutdown(site.harness->shard());
    site.harness->Settle();
    EXPECT_EQ(idle.take(), "<end>");
    EXPECT_EQ(fresh.take(), "<end>");
    EXPECT_LT(tina_scripted_connect(site.harness->scripted(), &site.address).socket, 0);
    string answer = reading.ask("llo");
    EXPECT_EQ(StatusOf(answer), "200");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "hello<end>"));
    reading.close();
    idle.close();
    fresh.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

TEST(Shutdown, WaitsForNoClientForLong) {
    Site site;
    Client idle(site);
    idle.ask(kGet);
    Client reading(site);
    reading.send("GET / HT");
    tina_shard_shutdown(site.harness->shard());
    for (int i = 0; i < 45; i++) {
        site.harness->Sleep(kSecond / 10);
        reading.send("T");
    }
    EXPECT_TRUE(site.harness->Settle().ended);
}

TEST(Shutdown, SendsTheRestOfWhatItWasSending) {
    Site site;
    tina_scripted_peer peer = tina_scripted_connect(site.harness->scripted(), &site.address);
    string bytes = "GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    tina_scripted_peer_send(site.harness->scripted(), peer, bytes.data(),
                            static_cast<uint32_t>(bytes.size()));
    site.harness->Settle();
    tina_shard_shutdown(site.harness->shard());
    string received;
    for (;;) {
        site.harness->Settle();
        char piece[1000];
        int32_t count =
            tina_scripted_peer_recv(site.harness->scripted(), peer, piece, sizeof piece);
        if (count <= 0) {
            EXPECT_EQ(count, 0);
            break;
        }
        received.append(piece, static_cast<size_t>(count));
    }
    EXPECT_TRUE(EndsWith(received, kBig));
    tina_scripted_peer_close(site.harness->scripted(), peer);
    EXPECT_TRUE(site.harness->Settle().ended);
}

// Clients come and go at any point, by end, by reset and by silence; afterwards nothing is missing.
TEST(Connection, LosesNothingToClientsThatVanish) {
    const char *seed_text = getenv("TINA_SEED");
    uint64_t seed = seed_text != nullptr ? strtoull(seed_text, nullptr, 0) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    tina_prng prng = tina_prng_make(seed, 1, 1);
    http_server server = {};
    server.connection_count = 40;
    server.context_count = 10;
    server.large_body_count = 2;
    Site site(server);
    Client keeper(site);
    keeper.ask(kGet);
    uint32_t fds = site.harness->io().fds_in_use;
    uint32_t sockets = tina_scripted_sockets(site.harness->scripted());
    string script = sixteen_requests() + post("/echo", kBig.substr(0, 9000)) +
                    "GET /big HTTP/1.1\r\nHost: h\r\n\r\n" + "nonsense\r\n";
    for (int round = 0; round < 60; round++) {
        site.control().send_bytes_max = static_cast<uint32_t>(tina_prng_below(&prng, 3) * 700);
        std::vector<tina_scripted_peer> peers;
        for (uint64_t n = tina_prng_below(&prng, 30); n > 0; n--) {
            tina_scripted_peer peer =
                tina_scripted_connect(site.harness->scripted(), &site.address);
            ASSERT_GE(peer.socket, 0);
            uint64_t from = tina_prng_below(&prng, 8) ? 0 : tina_prng_below(&prng, 3000);
            uint64_t bytes = tina_prng_below(&prng, script.size() - from);
            tina_scripted_peer_send(site.harness->scripted(), peer, &script[from],
                                    static_cast<uint32_t>(bytes));
            peers.push_back(peer);
            if (tina_prng_chance(&prng, 1, 2))
                site.harness->Turn();
        }
        for (tina_scripted_peer peer : peers) {
            char piece[4096];
            for (uint64_t n = tina_prng_below(&prng, 6); n > 0; n--) {
                tina_scripted_peer_recv(site.harness->scripted(), peer, piece, sizeof piece);
                site.harness->Turn();
            }
            if (tina_prng_chance(&prng, 1, 2))
                tina_scripted_peer_reset(site.harness->scripted(), peer);
            else
                tina_scripted_peer_close(site.harness->scripted(), peer);
        }
        site.harness->Settle();
        site.harness->Sleep(5 * kSecond);
        site.control().send_bytes_max = 0;
        ASSERT_EQ(StatusOf(keeper.ask(kGet)), "200") << round;
        ASSERT_EQ(counters->contexts_in_use, 0u) << round;
        ASSERT_EQ(counters->large_bodies_in_use, 0u) << round;
        ASSERT_EQ(counters->connections_in_use, 1u) << round;
        ASSERT_EQ(site.harness->io().fds_in_use, fds) << round;
        ASSERT_EQ(tina_scripted_sockets(site.harness->scripted()), sockets) << round;
    }
}

} // namespace
