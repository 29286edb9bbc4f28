// SPDX-License-Identifier: Apache-2.0
//
// Handlers that wait: for messages, timers, ends and calls, and clients that leave meanwhile.

#include <gtest/gtest.h>

#include <algorithm>
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
constexpr int32_t kSaid = 7;
constexpr int32_t kAsked = 8;

std::vector<tina_handle> heard_by; // whoever waits for what is said
std::vector<int> results;          // of the last time that something was said
const http_counters *counters;
tina_handle store;

void join(http_request *req) {
    heard_by.push_back(tina_self(http_ctx(req)));
}

void part(http_request *req) {
    for (size_t i = heard_by.size(); i-- > 0;) {
        if (heard_by[i].bits == tina_self(http_ctx(req)).bits)
            heard_by.erase(heard_by.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

string text_of(const tina_message *m) {
    return m == nullptr      ? "timeout"
           : m->tag == kSaid ? string(reinterpret_cast<const char *>(m->payload), m->payload_bytes)
                             : "tag " + std::to_string(m->tag);
}

http_step get_index(http_request *req, http_response *res) {
    counters = http_count(http_ctx(req));
    EXPECT_EQ(http_message(req), nullptr);
    return http_text(res, 200, "index");
}

http_step say(http_request *req, http_response *res) {
    tina_bytes body = http_body(req);
    results.clear();
    for (tina_handle handle : heard_by)
        results.push_back(tina_send(http_ctx(req), handle, kSaid, body.data, body.bytes));
    return http_empty(res, 204);
}

http_step poll_done(http_request *req, http_response *res) {
    part(req);
    return http_text(res, 200, "%s/%s", text_of(http_message(req)).c_str(), http_target(req));
}

http_step poll(http_request *req, http_response *res) {
    join(req);
    http_set_header(res, "x-kept", "yes");
    const char *seconds = http_query(req, "s");
    return http_wait(res, poll_done,
                     seconds != nullptr ? strtoull(seconds, nullptr, 10) * kSecond : 0);
}

http_step stream_more(http_request *req, http_response *res) {
    string text = text_of(http_message(req)) + "\n";
    EXPECT_TRUE(http_write(res, text.data(), text.size()));
    if (http_message(req) != nullptr && http_message(req)->tag == TINA_SHUTDOWN) {
        if (strcmp(http_path(req), "/stubborn") != 0)
            return http_end(res);
    }
    if (text == "end\n") {
        part(req);
        return http_end(res);
    }
    return http_wait(res, stream_more, 15 * kSecond);
}

http_step stream(http_request *req, http_response *res) {
    join(req);
    http_stream_begin(res, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    return http_wait(res, stream_more, 15 * kSecond);
}

// Fills the output with what is said, so that a client that does not read holds it up.
http_step flood_more(http_request *req, http_response *res) {
    if (http_message(req) != nullptr && http_message(req)->tag == kSaid) {
        string block(12000, 'x');
        EXPECT_TRUE(http_write(res, block.data(), block.size()));
    }
    return http_wait(res, flood_more, 0);
}

http_step flood(http_request *req, http_response *res) {
    join(req);
    http_stream_begin(res, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    return http_wait(res, flood_more, 0);
}

http_step subscribe(http_request *req, http_response *res) {
    join(req);
    return http_empty(res, 204);
}

// With a timer set, and an op under way.
http_step leave(http_request *req, http_response *res) {
    static tina_file_stat stat;
    tina_io_id id;
    EXPECT_NE(tina_timer_set(http_ctx(req), 3 * kSecond, 42).bits, 0u);
    EXPECT_EQ(tina_submit(http_ctx(req), tina_op_stat_path("/nowhere", &stat), &id), 0);
    return http_empty(res, 204);
}

http_step client_text(http_request *req, http_response *res) {
    char text[TINA_ADDRESS_TEXT_BYTES];
    tina_address address;
    EXPECT_TRUE(http_client(req, &address));
    tina_address_format(&address, text);
    (void)http_ctx(req);
    return http_text(res, 200, "%s", text);
}

http_step guard_done(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    if (m != nullptr && m->tag == TINA_DOWN)
        return http_text(res, 200, "down %d", m->down.reason.kind);
    return http_text(res, 200, "%s", text_of(m).c_str());
}

http_step guard(http_request *req, http_response *res) {
    if (heard_by.empty())
        return http_empty(res, 204);
    EXPECT_NE(tina_monitor_set(http_ctx(req), heard_by.back()).bits, 0u);
    return http_wait(res, guard_done, 0);
}

http_step timer_done(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    bool mine = m != nullptr && m->tag == TINA_TIMER && m->timer.word == 42;
    return http_text(res, 200, "%s", mine ? "mine" : "not mine");
}

http_step timer(http_request *req, http_response *res) {
    EXPECT_NE(tina_timer_set(http_ctx(req), 3 * kSecond, 42).bits, 0u);
    return http_wait(res, timer_done, 5 * kSecond);
}

http_step op_done(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    return http_text(res, 200, "stat %d", m->tag == TINA_IO_STAT_DONE ? m->io.result : 1);
}

http_step op(http_request *req, http_response *res) {
    static tina_file_stat stat;
    tina_io_id id;
    EXPECT_EQ(tina_submit(http_ctx(req), tina_op_stat_path("/nowhere", &stat), &id), 0);
    return http_wait(res, op_done, 0);
}

http_step call_done(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    if (m->tag == TINA_CALL_FAILED)
        return http_text(res, 503, "failure %d", m->call.failure);
    return http_text(res, 200, "%.*s", m->payload_bytes, m->payload);
}

http_step call(http_request *req, http_response *res) {
    tina_handle to = http_query(req, "nobody") != nullptr ? tina_handle_none() : store;
    return http_call(res, tina_call(http_ctx(req), to, kAsked, "name?", 5, 5 * kSecond / 2),
                     call_done);
}

// With an op under way that never ends by itself.
http_step held(http_request *, http_response *res) {
    return http_empty(res, 204);
}

http_step hold(http_request *req, http_response *res) {
    tina_address any = {};
    any.family = TINA_ADDRESS_IPV4;
    tina_fd fd;
    tina_io_id id;
    EXPECT_EQ(tina_socket_open(http_ctx(req), TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd), 0);
    EXPECT_EQ(tina_socket_bind(http_ctx(req), fd, &any), 0);
    EXPECT_EQ(tina_submit(http_ctx(req), tina_op_recvfrom(fd, 10), &id), 0);
    return http_read(res, held);
}

http_step misuse(http_request *req, http_response *res) {
    string how = http_query(req, "how");
    if (how == "no-call")
        return http_call(res, tina_receive(), misuse);
    if (how == "answered") {
        http_text(res, 200, "yes");
        return http_wait(res, misuse, 0);
    }
    http_stream_begin(res, 200, "text/plain", HTTP_BYTES_UNKNOWN);
    return http_call(res, tina_call(http_ctx(req), store, kAsked, "?", 1, 0), misuse);
}

http_step piece_waited(http_request *req, http_response *res);

http_step piece(http_request *req, http_response *res) {
    auto *all = static_cast<char *>(http_state(req));
    EXPECT_NE(tina_timer_set(http_ctx(req), kSecond, 0).bits, 0u);
    strncat(all, "|", 2);
    return http_wait(res, piece_waited, 0);
}

http_step piece_waited(http_request *req, http_response *res) {
    auto *all = static_cast<char *>(http_state(req));
    strncat(all, static_cast<const char *>(http_body(req).data), http_body(req).bytes);
    return http_body_ended(req) ? http_text(res, 200, "%s", all) : http_read(res, piece);
}

http_step pieces(http_request *, http_response *res) {
    return http_read(res, piece);
}

const http_route routes[] = {
    {HTTP_GET, "/", get_index},
    {HTTP_POST, "/say", say},
    {HTTP_GET, "/poll", poll},
    {HTTP_GET, "/stream", stream},
    {HTTP_GET, "/stubborn", stream},
    {HTTP_GET, "/flood", flood},
    {HTTP_GET, "/guard", guard},
    {HTTP_GET, "/timer", timer},
    {HTTP_GET, "/op", op},
    {HTTP_GET, "/call", call},
    {HTTP_GET, "/misuse", misuse},
    {HTTP_POST, "/pieces", pieces, 0, 4096, true},
    {HTTP_GET, "/join", subscribe},
    {HTTP_GET, "/leave", leave},
    {HTTP_GET, "/client", client_text},
    {HTTP_POST, "/hold", hold, 0, 0, true},
    {HTTP_POST, "/early", subscribe, 0, 0, true},
};

// Answers at once what ends with "?", and nothing else.
tina_effect store_init(tina_ctx *ctx, void *, tina_bytes) {
    store = tina_self(ctx);
    return tina_receive();
}

bool store_answers;

tina_effect store_handle(tina_ctx *ctx, void *, const tina_message *m) {
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag == kAsked && store_answers)
        return tina_reply(ctx, kSaid, "Tina", 4);
    return tina_receive();
}

const tina_isolate_type store_type = {"store", store_init, store_handle, 8, 0, 0, 0, 0};
const tina_type_slots types[] = {{&store_type, 1}};

class Site : public ::Site {
  public:
    explicit Site(http_server server = {}, const string &proxy = "")
        : ::Site(HTTP_ROUTES(routes), with_store(server)) {
        heard_by.clear();
        results.clear();
        store_answers = true;
        Client client(*this);
        client.ask(proxy + "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.close();
        harness->Settle();
    }

  private:
    static http_server with_store(http_server server) {
        static const tina_child child = [] {
            tina_child made = {};
            made.type = &store_type;
            return made;
        }();
        server.types = types;
        server.type_count = 1;
        server.children = &child;
        server.child_count = 1;
        return server;
    }
};

string get(const string &target) {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

string said(const string &text) {
    return "POST /say HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(text.size()) +
           "\r\n\r\n" + text;
}

string body_of(const string &response) {
    size_t end = response.find("\r\n\r\n");
    return end == string::npos ? response : response.substr(end + 4);
}

string chunk(const string &text) {
    char line[16];
    snprintf(line, sizeof line, "%08zx\r\n", text.size());
    return line + text + "\r\n";
}

void expect_nothing_held(Site &site, uint32_t connections) {
    site.harness->Settle();
    EXPECT_EQ(counters->contexts_in_use, 0u);
    EXPECT_EQ(counters->connections_in_use, connections);
    EXPECT_EQ(site.harness->counters().timers_in_use, 0u);
}

TEST(Wait, EndsWithAMessage) {
    Site site;
    Client speaker(site);
    Client client(site);
    EXPECT_EQ(client.ask(get("/poll")), "");
    EXPECT_EQ(StatusOf(speaker.ask(said("hello"))), "204");
    string answer = client.take();
    EXPECT_EQ(body_of(answer), "hello//poll");
    EXPECT_NE(answer.find("\r\nx-kept: yes\r\n"), string::npos);
    EXPECT_EQ(body_of(client.ask(get("/"))), "index");
    expect_nothing_held(site, 2);
}

TEST(Wait, EndsWhenItsTimeIsUpAndNeverWithoutOne) {
    Site site;
    Client client(site);
    Client patient(site);
    EXPECT_EQ(client.ask(get("/poll?s=20")), "");
    EXPECT_EQ(patient.ask(get("/poll")), "");
    site.harness->Sleep(19 * kSecond);
    EXPECT_EQ(client.take(), "");
    site.harness->set_wall(86400);
    site.harness->Sleep(2 * kSecond);
    string answer = client.take();
    EXPECT_EQ(body_of(answer), "timeout//poll?s=20");
    EXPECT_NE(answer.find("Fri, 02 Jan 1970"), string::npos); // of the answer, not of the request
    site.harness->Sleep(1000 * kSecond);
    EXPECT_EQ(patient.take(), "");
    EXPECT_EQ(counters->contexts_in_use, 1u);
}

TEST(Wait, GetsTheTimersAndOpsOfItsHandler) {
    Site site;
    Client client(site);
    EXPECT_EQ(client.ask(get("/timer")), "");
    site.harness->Sleep(3 * kSecond + kSecond / 10);
    EXPECT_EQ(body_of(client.take()), "mine");
    EXPECT_EQ(body_of(client.ask(get("/op"))), "stat " + std::to_string(-ENOENT));
    expect_nothing_held(site, 1);
}

TEST(Wait, SendsAtOnceWhatWasWritten) {
    Site site;
    Client speaker(site);
    Client client(site);
    string head = client.ask(get("/stream"));
    EXPECT_EQ(StatusOf(head), "200");
    EXPECT_TRUE(EndsWith(head, "\r\n\r\n"));
    speaker.ask(said("one"));
    EXPECT_EQ(client.take(), chunk("one\n"));
    site.harness->Sleep(16 * kSecond);
    EXPECT_EQ(client.take(), chunk("timeout\n"));
    speaker.ask(said("two") + said("three"));
    EXPECT_EQ(client.take(), chunk("two\n") + chunk("three\n"));
    speaker.ask(said("end"));
    EXPECT_EQ(client.take(), chunk("end\n") + "0\r\n\r\n");
    EXPECT_EQ(body_of(client.ask(get("/"))), "index");
    expect_nothing_held(site, 2);
}

TEST(Wait, ToHeadThereIsNothingToWaitFor) {
    Site site;
    Client client(site);
    string head = client.ask("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(StatusOf(head), "200");
    EXPECT_EQ(body_of(client.ask(get("/"))), "index");
}

TEST(Wait, AClientThatLeavesIsNoticedAtOnceAndItsMonitorsKnow) {
    for (int how = 0; how < 3; how++) {
        Site site;
        Client watcher(site);
        Client client(site);
        client.ask(get(how == 2 ? "/poll" : "/stream"));
        EXPECT_EQ(watcher.ask(get("/guard")), "");
        if (how == 0)
            client.close();
        else if (how == 1)
            client.reset();
        else
            client.half_close();
        EXPECT_EQ(body_of(watcher.take()), "down 0") << how;
        EXPECT_EQ(counters->clients_left, 1u);
        watcher.ask(said("anybody?"));
        EXPECT_EQ(results, std::vector<int>{TINA_SEND_STALE});
        expect_nothing_held(site, 1);
    }
}

TEST(Wait, KeepsWhatIsPipelinedBehindIt) {
    Site site;
    Client speaker(site);
    Client client(site);
    string target = "/poll?" + string(3000, 'a');
    EXPECT_EQ(client.ask(get(target) + get("/")), "");
    EXPECT_EQ(client.ask(get("/poll?b") + get("/")), "");
    EXPECT_EQ(counters->requests, 1u);
    speaker.ask(said("x"));
    string answers = client.take();
    EXPECT_NE(answers.find("x/" + target), string::npos); // its strings have not moved
    EXPECT_TRUE(EndsWith(answers, "index"));
    speaker.ask(said("y"));
    answers = client.take();
    EXPECT_NE(answers.find("y//poll?b"), string::npos);
    EXPECT_TRUE(EndsWith(answers, "index"));
    expect_nothing_held(site, 2);
}

TEST(Wait, AClientThatSentMoreAndItsEndIsAnswered) {
    Site site;
    Client speaker(site);
    Client client(site);
    client.ask(get("/poll") + get("/"));
    client.half_close();
    EXPECT_EQ(client.take(), "");
    speaker.ask(said("x"));
    string answers = client.take();
    EXPECT_NE(answers.find("x//poll"), string::npos);
    EXPECT_TRUE(EndsWith(answers, "index<end>"));
    expect_nothing_held(site, 1);
}

TEST(Wait, IsNotBegunForAClientWhoseEndIsHere) {
    Site site;
    Client speaker(site);
    Client client(site);
    client.ask(get("/poll") + get("/poll"));
    client.half_close();
    EXPECT_EQ(client.take(), "");
    EXPECT_EQ(counters->contexts_in_use, 1u);
    speaker.ask(said("x"));
    EXPECT_EQ(client.take().find("<error>"), string::npos);
    EXPECT_EQ(counters->clients_left, 1u);
    expect_nothing_held(site, 1);
}

TEST(Wait, TakesOnlyAsMuchAheadAsThereIsSpaceFor) {
    Site site;
    Client speaker(site);
    Client client(site);
    client.ask(get("/poll"));
    string ahead;
    while (ahead.size() < 100000)
        ahead += get("/?" + std::to_string(ahead.size()));
    size_t taken = client.push(ahead);
    EXPECT_LT(taken, 30000u);
    speaker.ask(said("x"));
    client.send(ahead.substr(taken));
    string answers = client.take();
    size_t count = 0;
    for (size_t at = 0; (at = answers.find("index", at)) != string::npos; at++)
        count++;
    size_t asked = static_cast<size_t>(std::count(ahead.begin(), ahead.end(), '?'));
    EXPECT_EQ(count, asked);
    expect_nothing_held(site, 2);
}

// The isolate that others knew has ended with its request, and what was on its way to it with it.
TEST(Wait, WhatIsForOneRequestReachesNoOther) {
    Site site;
    Client speaker(site);
    Client client(site);
    client.ask(get("/poll"));
    std::vector<tina_handle> former = heard_by;
    speaker.ask(said("x") + said("too late"));
    EXPECT_EQ(body_of(client.take()), "x//poll");
    heard_by = former; // as if it had not unsubscribed
    for (int i = 0; i < 100; i++)
        speaker.ask(said("unwanted"));
    EXPECT_EQ(results, std::vector<int>{TINA_SEND_STALE});
    EXPECT_EQ(client.ask(get("/poll")), "");
    ASSERT_EQ(heard_by.size(), 2u);
    speaker.ask(said("wanted"));
    EXPECT_EQ(results, (std::vector<int>{TINA_SEND_STALE, TINA_SEND_OK}));
    EXPECT_EQ(body_of(client.take()), "wanted//poll");
    heard_by.clear();
    expect_nothing_held(site, 2);
}

// In the mailbox already when the request is answered, and the next one is here, too.
TEST(Wait, WhatIsForOneRequestReachesNotTheNextInItsPipeline) {
    Site site;
    Client speaker(site);
    Client client(site);
    EXPECT_EQ(client.ask(get("/poll?first") + get("/poll?s=5")), "");
    std::vector<tina_handle> former = heard_by;
    std::vector<tina_handle> twice = {former[0], former[0], former[0]};
    heard_by = twice;
    speaker.ask(said("x"));
    EXPECT_EQ(body_of(client.take()), "x//poll?first");
    site.harness->Sleep(6 * kSecond);
    EXPECT_EQ(body_of(client.take()), "timeout//poll?s=5");
    heard_by.clear();
    expect_nothing_held(site, 2);
}

TEST(Wait, NobodyNeedWaitForAMessageToComeTooLate) {
    Site site;
    Client speaker(site);
    Client client(site);
    EXPECT_EQ(StatusOf(client.ask(get("/join"))), "204");
    EXPECT_EQ(client.ask(get("/poll?s=1")), "");
    heard_by.pop_back();
    speaker.ask(said("x"));
    EXPECT_EQ(results, std::vector<int>{TINA_SEND_STALE});
    site.harness->Sleep(2 * kSecond);
    EXPECT_EQ(body_of(client.take()), "timeout//poll?s=1");
}

// Timers, ops, monitors.
TEST(Wait, WhatARequestLeavesBehindGoesWithIt) {
    Site site;
    Client watcher(site);
    Client client(site);
    EXPECT_EQ(client.ask(get("/poll?watched")), "");
    EXPECT_EQ(watcher.ask(get("/guard")), "");
    Client speaker(site);
    speaker.ask(said("x"));
    EXPECT_EQ(body_of(client.take()), "x//poll?watched");
    EXPECT_EQ(body_of(watcher.take()), "down 0"); // the client is still there
    string answers = client.ask(get("/leave") + get("/poll?s=5"));
    EXPECT_EQ(StatusOf(answers), "204");
    EXPECT_EQ(site.harness->counters().timers_in_use, 1u); // the second one's
    site.harness->Sleep(4 * kSecond);
    EXPECT_EQ(client.take(), "");
    site.harness->Sleep(2 * kSecond);
    EXPECT_EQ(body_of(client.take()), "timeout//poll?s=5");
    expect_nothing_held(site, 3);
}

// The connection itself does not notice: its count of requests, what it has received, its client.
TEST(Wait, AConnectionOutlivesItsIsolates) {
    http_server server = {};
    server.requests_max = 4;
    server.proxy_protocol = true;
    Site site(server, "PROXY TCP4 9.8.7.6 1.1.1.1 50 80\r\n");
    Client client(site);
    string three = get("/client") + get("/join") + get("/client");
    EXPECT_EQ(counters->connections, 2u);
    string answers = client.ask("PROXY TCP4 1.2.3.4 1.1.1.1 50 80\r\n" + three + get("/client"));
    for (int i = 0; i < 2; i++) {
        size_t at = answers.find("1.2.3.4:50");
        ASSERT_NE(at, string::npos) << answers;
        answers.erase(0, at + 1);
    }
    EXPECT_NE(answers.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answers, "1.2.3.4:50<end>"));
    EXPECT_EQ(counters->connections, 2u);
    EXPECT_EQ(counters->connections_cut, 0u);
    client.close();
    expect_nothing_held(site, 0);
}

TEST(Wait, InAFullServerAConnectionGoesOn) {
    http_server server = {};
    server.connection_count = 2;
    server.overflow = HTTP_OVERFLOW_CLOSE;
    Site site(server);
    Client other(site);
    Client client(site);
    for (int i = 0; i < 40; i++) {
        EXPECT_EQ(StatusOf(client.ask(get("/join"))), "204");
        EXPECT_EQ(body_of(client.ask(get("/op"))), "stat " + std::to_string(-ENOENT));
        EXPECT_EQ(Client(site).take(), "<end>"); // there is no room for a third
    }
    EXPECT_EQ(counters->connections_cut, 0u);
    EXPECT_EQ(counters->connections_in_use, 2u);
}

// Each leaves an op behind that does not end, and takes its slot with it.
TEST(Wait, WithoutASpareSlotAConnectionEnds) {
    http_server server = {};
    server.connection_count = 2;
    Site site(server);
    Client other(site);
    Client client(site);
    other.ask("GET /po");
    site.control().late_cancels = true;
    std::vector<string> answers;
    do {
        client.send("POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
        answers.push_back(client.ask("x"));
    } while (StatusOf(answers.back()) == "204" && !EndsWith(answers.back(), "<end>") &&
             answers.size() < 100);
    EXPECT_EQ(answers.size(), 17u);
    EXPECT_EQ(StatusOf(answers.back()), "204");
    EXPECT_EQ(counters->connections_cut, 1u);
    EXPECT_EQ(StatusOf(other.ask("ll?s=1 HTTP/1.1\r\nHost: h\r\n\r\n")), "");
    site.control().late_cancels = false;
    site.harness->Sleep(2 * kSecond);
    EXPECT_EQ(body_of(other.take()), "timeout//poll?s=1");
}

// What is said while its body is still read and dropped goes nowhere else either.
TEST(Wait, AnExposedRequestIsOverWhenItsBodyIs) {
    Site site;
    Client speaker(site);
    Client client(site);
    client.send("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    EXPECT_EQ(StatusOf(client.take()), "204");
    speaker.ask(said("early"));
    EXPECT_EQ(results, std::vector<int>{TINA_SEND_OK});
    EXPECT_EQ(client.ask("cde" + get("/poll?s=1")), "");
    heard_by.pop_back();
    speaker.ask(said("late"));
    EXPECT_EQ(results, std::vector<int>{TINA_SEND_STALE});
    site.harness->Sleep(2 * kSecond);
    EXPECT_EQ(body_of(client.take()), "timeout//poll?s=1");
    heard_by.clear();
    expect_nothing_held(site, 2);
}

// It was told before the first request ended; the second has no time of its own.
TEST(Wait, APipelineThatIsDrainedEndsWithItsNextAnswer) {
    Site site;
    Client client(site);
    client.ask(get("/stream") + get("/poll"));
    tina_shard_shutdown(site.harness->shard());
    string answers = client.take();
    EXPECT_NE(answers.find("0\r\n\r\nHTTP/1.1 200"), string::npos) << answers;
    EXPECT_NE(answers.find("\r\nConnection: close\r\n"), string::npos) << answers;
    EXPECT_TRUE(EndsWith(answers, "<end>"));
    client.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

TEST(Wait, ASlowReaderFillsItsOwnMailboxAndIsGivenUp) {
    Site site;
    Client speaker(site);
    tina_scripted_peer slow = tina_scripted_connect(site.harness->scripted(), &site.address);
    string bytes = get("/flood");
    tina_scripted_peer_send(site.harness->scripted(), slow, bytes.data(),
                            static_cast<uint32_t>(bytes.size()));
    site.harness->Settle();
    Client quick(site);
    quick.ask(get("/stream"));
    int full = 0;
    for (int i = 0; i < 100; i++) {
        speaker.ask(said("x"));
        ASSERT_EQ(results.size(), 2u);
        EXPECT_EQ(quick.take(), chunk("x\n"));
        EXPECT_EQ(results[1], TINA_SEND_OK);
        full += results[0] == TINA_SEND_MAILBOX_FULL;
    }
    EXPECT_GT(full, 20);
    EXPECT_LE(full, 36);
    site.harness->Sleep(31 * kSecond);
    EXPECT_EQ(counters->timeouts, 1u);
    EXPECT_EQ(counters->contexts_in_use, 1u);
    speaker.ask(said("y"));
    EXPECT_EQ(results[0], TINA_SEND_STALE);
}

TEST(Wait, ASlowReaderWhoSendsHoldsNoReceiveBuffer) {
    Site site;
    Client speaker(site);
    tina_scripted *scripted = site.harness->scripted();
    tina_scripted_peer slow = tina_scripted_connect(scripted, &site.address);
    string bytes = get("/flood");
    tina_scripted_peer_send(scripted, slow, bytes.data(), static_cast<uint32_t>(bytes.size()));
    site.harness->Settle();
    speaker.ask(said("x")); // more than the connection holds
    bytes = get("/");
    tina_scripted_peer_send(scripted, slow, bytes.data(), static_cast<uint32_t>(bytes.size()));
    site.harness->Settle();
    EXPECT_EQ(site.harness->io().buffers_in_use, 0u);
    char some[4096];
    while (tina_scripted_peer_recv(scripted, slow, some, sizeof some) > 0)
        site.harness->Settle();
    EXPECT_EQ(site.harness->io().buffers_in_use, 0u);
    tina_scripted_peer_shutdown(scripted, slow); // and what was sent ahead is not forgotten
    site.harness->Settle();
    EXPECT_EQ(counters->clients_left, 0u);
    EXPECT_EQ(counters->contexts_in_use, 1u);
}

TEST(Wait, HasTheDeadlinesOfAnyConnectionAfterwards) {
    Site site;
    Client speaker(site);
    Client idle(site);
    Client reading(site);
    idle.ask(get("/poll"));
    reading.ask(get("/poll"));
    site.harness->Sleep(50 * kSecond);
    speaker.ask(said("x"));
    EXPECT_EQ(body_of(idle.take()), "x//poll");
    reading.take();
    reading.send("GET / HT");
    site.harness->Sleep(11 * kSecond);
    EXPECT_EQ(StatusOf(reading.take()), "408");
    EXPECT_EQ(idle.take(), "");
    site.harness->Sleep(50 * kSecond);
    EXPECT_EQ(idle.take(), "<end>");
    speaker.close();
    idle.close();
    reading.close();
    expect_nothing_held(site, 0);
}

TEST(Wait, InTheMidstOfABodyItsPieceStays) {
    Site site;
    Client client(site);
    client.send("POST /pieces HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    EXPECT_EQ(client.ask("def"), "");
    site.harness->Sleep(kSecond + 1);
    site.harness->Sleep(kSecond + 1);
    EXPECT_EQ(client.ask("ghi"), "");
    site.harness->Sleep(kSecond + 1);
    EXPECT_EQ(body_of(client.take()), "|abc|def|ghi");
    expect_nothing_held(site, 1);
    client.send("POST /pieces HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    client.half_close();
    EXPECT_EQ(client.take(), "<end>");
    expect_nothing_held(site, 0);
}

TEST(Call, EndsWithTheReplyOrItsFailure) {
    Site site;
    Client client(site);
    EXPECT_EQ(body_of(client.ask(get("/call"))), "Tina");
    EXPECT_EQ(body_of(client.ask(get("/call?nobody"))),
              "failure " + std::to_string(TINA_CALL_STALE));
    store_answers = false;
    EXPECT_EQ(client.ask(get("/call")), "");
    site.harness->Sleep(5 * kSecond / 2 + kSecond / 10);
    EXPECT_EQ(body_of(client.take()), "failure " + std::to_string(TINA_CALL_TIMED_OUT));
    store_answers = true;
    string answers = client.ask(get("/call") + get("/") + get("/call") + get("/poll?s=1"));
    site.harness->Sleep(2 * kSecond);
    answers += client.take();
    size_t first = answers.find("TinaHTTP/1.1 200");
    ASSERT_NE(first, string::npos);
    EXPECT_NE(answers.find("indexHTTP/1.1 200", first), string::npos);
    EXPECT_NE(answers.find("TinaHTTP/1.1 200", first + 1), string::npos);
    EXPECT_TRUE(EndsWith(answers, "timeout//poll?s=1"));
    expect_nothing_held(site, 1);
}

TEST(Call, AClientThatLeftMeanwhileIsNoticedAfterwards) {
    Site site;
    Client client(site);
    store_answers = false;
    client.ask(get("/call"));
    client.reset();
    site.harness->Settle();
    EXPECT_EQ(counters->contexts_in_use, 1u);
    site.harness->Sleep(3 * kSecond);
    expect_nothing_held(site, 0);
}

TEST(Wait, MistakesAreAnswered500) {
    Site site;
    Client client(site);
    for (const char *how : {"no-call", "answered", "unsent"})
        EXPECT_EQ(StatusOf(client.ask(get("/misuse?how=" + string(how)))), "500") << how;
    EXPECT_EQ(counters->responses_bad, 3u);
    EXPECT_EQ(body_of(client.ask(get("/"))), "index");
}

TEST(Shutdown, IsToldToWhoWaitsAndEndsStreamsCleanly) {
    Site site;
    Client polling(site);
    Client streaming(site);
    Client calling(site);
    polling.ask(get("/poll"));
    streaming.ask(get("/stream"));
    store_answers = false;
    calling.ask(get("/call"));
    tina_shard_shutdown(site.harness->shard());
    string answer = polling.take();
    EXPECT_NE(answer.find("tag " + std::to_string(TINA_SHUTDOWN)), string::npos);
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(answer, "<end>"));
    EXPECT_EQ(streaming.take(),
              chunk("tag " + std::to_string(TINA_SHUTDOWN) + "\n") + "0\r\n\r\n<end>");
    polling.close();
    streaming.close();
    EXPECT_EQ(calling.take(), "");
    site.harness->Sleep(2 * kSecond - kSecond / 10);
    EXPECT_EQ(calling.take(), "");
    site.harness->Sleep(kSecond / 10);
    EXPECT_EQ(body_of(calling.take()), "failure " + std::to_string(TINA_CALL_CANCELED) + "<end>");
    calling.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

TEST(Shutdown, WaitsForNoStubbornHandlerForLong) {
    Site site;
    Client client(site);
    client.ask(get("/stubborn"));
    tina_shard_shutdown(site.harness->shard());
    EXPECT_EQ(client.take(), chunk("tag " + std::to_string(TINA_SHUTDOWN) + "\n"));
    site.harness->Sleep(2 * kSecond + kSecond / 10);
    EXPECT_EQ(client.take(), "<end>"); // without the last chunk
    client.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

TEST(Shutdown, IsToldAlsoToWhoWaitsOnlyLater) {
    Site site;
    tina_scripted_peer slow = tina_scripted_connect(site.harness->scripted(), &site.address);
    string bytes = get("/flood");
    tina_scripted_peer_send(site.harness->scripted(), slow, bytes.data(),
                            static_cast<uint32_t>(bytes.size()));
    site.harness->Settle();
    Client speaker(site);
    speaker.ask(said("x")); // it sends, and the pipe is full
    tina_shard_shutdown(site.harness->shard());
    site.harness->Settle();
    char piece[4096];
    while (tina_scripted_peer_recv(site.harness->scripted(), slow, piece, sizeof piece) > 0)
        site.harness->Settle();
    site.harness->Sleep(3 * kSecond);
    EXPECT_EQ(tina_scripted_peer_recv(site.harness->scripted(), slow, piece, sizeof piece), 0);
    tina_scripted_peer_close(site.harness->scripted(), slow);
    speaker.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

// Clients come, wait, are told things and go at any point, by end, by reset and by half-close;
// afterwards nothing is missing, and no byte is out of place for the one who stays.
TEST(Wait, LosesNothingToClientsThatVanish) {
    const char *seed_text = getenv("TINA_SEED");
    uint64_t seed = seed_text != nullptr ? strtoull(seed_text, nullptr, 0) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    tina_prng prng = tina_prng_make(seed, 1, 1);
    http_server server = {};
    server.connection_count = 40;
    server.context_count = 20;
    Site site(server);
    Client keeper(site);
    keeper.ask(get("/"));
    uint32_t fds = site.harness->io().fds_in_use;
    uint32_t sockets = tina_scripted_sockets(site.harness->scripted());
    const string targets[] = {"/poll", "/poll?s=1", "/stream", "/flood", "/timer",
                              "/call", "/op",       "/",       "/guard"};
    int rounds = getenv("TINA_LONG") != nullptr ? 20000 : 300;
    for (int round = 0; round < rounds; round++) {
        site.control().send_bytes_max = static_cast<uint32_t>(tina_prng_below(&prng, 3) * 700);
        store_answers = tina_prng_chance(&prng, 1, 2);
        std::vector<tina_scripted_peer> peers;
        for (uint64_t n = tina_prng_below(&prng, 12); n > 0; n--) {
            tina_scripted_peer peer =
                tina_scripted_connect(site.harness->scripted(), &site.address);
            ASSERT_GE(peer.socket, 0);
            string script;
            for (uint64_t requests = tina_prng_below(&prng, 4); requests > 0; requests--) {
                const string &target = targets[tina_prng_below(&prng, 9)];
                if (target != "/guard" || !heard_by.empty())
                    script += get(target);
            }
            script =
                script.substr(0, script.size() - tina_prng_below(&prng, 2) * script.size() / 3);
            tina_scripted_peer_send(site.harness->scripted(), peer, script.data(),
                                    static_cast<uint32_t>(script.size()));
            peers.push_back(peer);
            if (tina_prng_chance(&prng, 1, 2))
                site.harness->Turn();
        }
        for (uint64_t n = tina_prng_below(&prng, 4); n > 0; n--) {
            ASSERT_EQ(StatusOf(keeper.ask(said(n == 1 ? "end" : "x"))), "204") << round;
            if (tina_prng_chance(&prng, 1, 4))
                site.harness->Sleep(kSecond);
        }
        for (tina_scripted_peer peer : peers) {
            char piece[4096];
            for (uint64_t n = tina_prng_below(&prng, 6); n > 0; n--) {
                tina_scripted_peer_recv(site.harness->scripted(), peer, piece, sizeof piece);
                site.harness->Turn();
            }
            if (tina_prng_chance(&prng, 1, 4))
                tina_scripted_peer_shutdown(site.harness->scripted(), peer);
            if (tina_prng_chance(&prng, 1, 2))
                tina_scripted_peer_reset(site.harness->scripted(), peer);
            else
                tina_scripted_peer_close(site.harness->scripted(), peer);
        }
        site.harness->Settle();
        // Timers and calls, one after the other, of clients whose end is behind what they sent.
        for (int i = 0; i < 5; i++) {
            site.harness->Sleep(3 * kSecond);
            ASSERT_EQ(StatusOf(keeper.ask(said("end"))), "204") << round;
        }
        site.harness->Sleep(31 * kSecond);
        site.control().send_bytes_max = 0;
        ASSERT_EQ(StatusOf(keeper.ask(get("/"))), "200") << round;
        ASSERT_EQ(counters->contexts_in_use, 0u) << round;
        ASSERT_EQ(counters->connections_in_use, 1u) << round;
        ASSERT_EQ(site.harness->io().fds_in_use, fds) << round;
        ASSERT_EQ(tina_scripted_sockets(site.harness->scripted()), sockets) << round;
        ASSERT_EQ(site.harness->counters().timers_in_use, 0u) << round;
        heard_by.clear();
    }
}

} // namespace
