// SPDX-License-Identifier: Apache-2.0
//
// Files as responses, on the scripted backend, whose files an isolate of the test's writes. What
// real ones are answered is in conformance_cases.tsv.

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "http/http.h"
#include "http/mime.h"
#include "http/site.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"

namespace {

using std::string;

constexpr uint64_t kSecond = 1000000000;
constexpr uint32_t kBigBytes = 16000;

struct entry {
    const char *path;
    const char *text;
};

const string kBig = [] {
    string text;
    for (uint32_t i = 0; i < kBigBytes; i++)
        text += static_cast<char>('a' + i % 26);
    return text;
}();

const entry entries[] = {{"www/a.txt", "hello"},       {"www/big", kBig.c_str()},
                         {"www/b.js", "plain"},        {"www/b.js.gz", "gzip"},
                         {"www/b.js.br", "brotli"},    {"www/index.html", "index"},
                         {"www/only.css.gz", "packed"}};

struct writer {
    uint32_t next;
    tina_fd fd;
};

tina_effect write_next(writer *self) {
    if (self->next == sizeof entries / sizeof entries[0])
        return tina_receive();
    return tina_io(
        tina_op_open(entries[self->next].path, TINA_OPEN_WRITE | TINA_OPEN_CREATE, 0644));
}

tina_effect writer_init(tina_ctx *, void *self, tina_bytes) {
    return write_next(static_cast<writer *>(self));
}

tina_effect writer_handle(tina_ctx *, void *self_, const tina_message *m) {
    auto *self = static_cast<writer *>(self_);
    const entry &written = entries[self->next];
    switch (m->tag) {
    case TINA_IO_OPEN_DONE:
        EXPECT_EQ(m->io.result, 0);
        self->fd = m->io.fd;
        return tina_io(
            tina_op_write(self->fd, 0, written.text, static_cast<uint32_t>(strlen(written.text))));
    case TINA_IO_WRITE_DONE:
        EXPECT_EQ(m->io.result, static_cast<int32_t>(strlen(written.text)));
        return tina_io_close(self->fd);
    case TINA_IO_CLOSE_DONE:
        self->next++;
        return write_next(self);
    default:
        return tina_done();
    }
}

const tina_isolate_type writer_type = [] {
    tina_isolate_type type = {};
    type.name = "writer";
    type.init = writer_init;
    type.handle = writer_handle;
    type.struct_bytes = sizeof(writer);
    return type;
}();

const http_counters *counters;

http_step get_index(http_request *req, http_response *res) {
    counters = http_count(http_ctx(req));
    return http_text(res, 200, "root");
}

http_step get_one(http_request *, http_response *res) {
    http_set_header(res, "x-a", "b");
    return http_file(res, "www/a.txt");
}

http_step get_long(http_request *req, http_response *res) {
    return http_file(res, http_query(req, "empty") != nullptr ? "" : string(5000, 'a').c_str());
}

http_step move_away(http_request *req, http_response *res) {
    return http_redirect(res, atoi(http_query(req, "status")), http_query(req, "to"));
}

http_route route(const char *pattern, http_handler handler) {
    http_route made = {};
    made.method = HTTP_GET;
    made.pattern = pattern;
    made.handler = handler;
    return made;
}

http_route directory(const char *pattern, const char *path, bool precompressed) {
    http_route made = route(pattern, nullptr);
    made.directory = path;
    made.precompressed = precompressed;
    return made;
}

const http_route routes[] = {route("/", get_index),
                             route("/one", get_one),
                             route("/long", get_long),
                             route("/move", move_away),
                             directory("/plain/*path", "www", false),
                             directory("/packed/*path", "www", true)};

class File : public ::testing::Test {
  protected:
    File() : site(HTTP_ROUTES(routes), server()) {}

    static http_server server() {
        static const tina_type_slots types[] = {{&writer_type, 1}};
        static const tina_child children[] = {[] {
            tina_child child = {};
            child.type = &writer_type;
            return child;
        }()};
        http_server made = {};
        made.types = types;
        made.type_count = 1;
        made.children = children;
        made.child_count = 1;
        return made;
    }

    string get(const string &target, const string &fields = "") {
        Client client(site);
        string response =
            client.ask("GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
        EXPECT_EQ(client.take(), "");
        client.close();
        return response;
    }

    void expect_quiet() {
        EXPECT_EQ(StatusOf(get("/")), "200");
        EXPECT_EQ(counters->contexts_in_use, 0u);
        EXPECT_EQ(counters->contexts_lost, 0u);
        site.harness->Settle();
        EXPECT_EQ(site.harness->io().fds_in_use, 1u); // the listener's
    }

    Site site;
};

// 64 files are opened at once; the scripted kernel holds them.
TEST_F(File, RequestsThatWaitForAPlaceDoNotKeepTheShardBusy) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 100; i++)
        clients.emplace_back(new Client(site));
    site.control().hold = true;
    for (auto &client : clients)
        client->send("GET /one HTTP/1.1\r\nHost: h\r\n\r\n");
    site.control().hold = false;
    site.harness->Turn();
    site.control().hold = true;
    site.harness->Settle();
    site.harness->Sleep(kSecond / 100);
    site.control().hold = false;
    for (int i = 0; i < 20; i++)
        site.harness->Sleep(kSecond / 100);
    for (auto &client : clients)
        EXPECT_EQ(StatusOf(client->take()), "200");
}

TEST_F(File, IsSentWithItsTypeAndValidators) {
    string response = get("/plain/a.txt");
    EXPECT_EQ(StatusOf(response), "200");
    EXPECT_NE(response.find("\r\nContent-Type: text/plain; charset=utf-8\r\n"), string::npos);
    EXPECT_NE(response.find("\r\nContent-Length: 5\r\n"), string::npos);
    EXPECT_NE(response.find("\r\nETag: \""), string::npos);
    EXPECT_NE(response.find("\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"), string::npos);
    EXPECT_EQ(response.find("Vary"), string::npos);
    EXPECT_TRUE(EndsWith(response, "\r\n\r\nhello"));
    response = get("/one");
    EXPECT_NE(response.find("\r\nx-a: b\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(response, "\r\n\r\nhello"));
    EXPECT_TRUE(EndsWith(get("/plain/"), "index"));
    EXPECT_TRUE(EndsWith(get("/plain/big"), "\r\n\r\n" + kBig));
    EXPECT_EQ(StatusOf(get("/plain/none")), "404");
    EXPECT_EQ(StatusOf(get("/long")), "500");
    EXPECT_EQ(StatusOf(get("/long?empty")), "500");
    expect_quiet();
}

TEST_F(File, ItsValidatorsAreGoodForTheNextRequest) {
    string response = get("/plain/big");
    size_t at = response.find("ETag: ") + 6;
    string etag = response.substr(at, response.find("\r\n", at) - at);
    response = get("/plain/big", "If-None-Match: " + etag + "\r\n");
    EXPECT_EQ(StatusOf(response), "304");
    EXPECT_NE(response.find("\r\nETag: " + etag + "\r\n"), string::npos);
    EXPECT_EQ(response.find("Content-Length"), string::npos);
    EXPECT_TRUE(EndsWith(response, "\r\n\r\n"));
    response = get("/plain/big", "If-Range: " + etag + "\r\nRange: bytes=15998-\r\n");
    EXPECT_EQ(StatusOf(response), "206");
    EXPECT_TRUE(EndsWith(response, "\r\n\r\n" + kBig.substr(15998)));
    response = get("/plain/big", "If-Range: W/" + etag + "\r\nRange: bytes=15998-\r\n");
    EXPECT_EQ(StatusOf(response), "200");
    EXPECT_EQ(StatusOf(get("/plain/big", "If-Match: " + etag + "\r\n")), "200");
    expect_quiet();
}

TEST_F(File, AVariantIsSentToWhoTakesIt) {
    string response = get("/packed/b.js", "Accept-Encoding: gzip, br\r\n");
    EXPECT_TRUE(EndsWith(response, "brotli"));
    EXPECT_NE(response.find("\r\nContent-Encoding: br\r\n"), string::npos);
    EXPECT_NE(response.find("\r\nContent-Type: text/javascript; charset=utf-8\r\n"), string::npos);
    string etag = response.substr(response.find("ETag: "), 30);
    response = get("/packed/b.js", "Accept-Encoding: gzip\r\n");
    EXPECT_TRUE(EndsWith(response, "gzip"));
    EXPECT_NE(response.substr(response.find("ETag: "), 30), etag);
    response = get("/packed/b.js");
    EXPECT_TRUE(EndsWith(response, "plain"));
    EXPECT_NE(response.find("\r\nVary: Accept-Encoding\r\n"), string::npos);
    EXPECT_TRUE(EndsWith(get("/plain/b.js", "Accept-Encoding: gzip\r\n"), "plain"));
    EXPECT_TRUE(EndsWith(get("/packed/a.txt", "Accept-Encoding: *\r\n"), "hello"));
    EXPECT_TRUE(EndsWith(get("/packed/only.css", "Accept-Encoding: gzip\r\n"), "packed"));
    EXPECT_EQ(StatusOf(get("/packed/only.css")), "404");
    expect_quiet();
}

TEST_F(File, PartsComeOneAfterTheOther) {
    string response = get("/plain/big", "Range: bytes=0-9, 5000-9999, -6\r\n");
    EXPECT_EQ(StatusOf(response), "206");
    size_t body = response.find("\r\n\r\n") + 4;
    size_t length = response.find("Content-Length: ") + 16;
    EXPECT_EQ(response.size() - body, strtoul(response.c_str() + length, nullptr, 10));
    size_t at = response.find("boundary=") + 9;
    string line = "\r\n--" + response.substr(at, response.find("\r\n", at) - at);
    string expected;
    for (auto range : {std::make_pair(0u, 9u), {5000u, 9999u}, {15994u, 15999u}}) {
        expected += line + "\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes " +
                    std::to_string(range.first) + "-" + std::to_string(range.second) +
                    "/16000\r\n\r\n" + kBig.substr(range.first, range.second - range.first + 1);
    }
    EXPECT_TRUE(response.substr(body) == expected + line + "--\r\n");
    expect_quiet();
}

TEST_F(File, ErrorsAreToldApart) {
    const struct {
        int32_t error;
        const char *status;
    } cases[] = {{ENOENT, "404"}, {ENOTDIR, "404"}, {ELOOP, "404"}, {EACCES, "403"},
                 {EMFILE, "503"}, {ENOMEM, "503"},  {EIO, "500"}};
    for (const auto &c : cases) {
        site.control().fail_next[TINA_OP_OPEN] = c.error;
        EXPECT_EQ(StatusOf(get("/plain/a.txt")), c.status) << c.error;
    }
    site.control().fail_next[TINA_OP_STAT] = EIO;
    EXPECT_EQ(StatusOf(get("/plain/a.txt")), "500");
    expect_quiet();
}

TEST_F(File, WhatCannotBeReadIsCutOff) {
    site.control().fail_next[TINA_OP_READ] = EIO;
    Client client(site);
    string response = client.ask("GET /plain/big HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(StatusOf(response), "200");
    EXPECT_EQ(response.find(kBig.substr(0, 26)), string::npos);
    EXPECT_TRUE(EndsWith(response, "<end>") || EndsWith(response, "<error>"));
    expect_quiet();
}

TEST_F(File, ManyAtOnceWaitTheirTurn) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 200; i++)
        clients.emplace_back(new Client(site));
    site.control().hold = true; // so that all requests are here at once
    for (auto &client : clients)
        client->push("GET /plain/a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    site.control().hold = false;
    for (int i = 0; i < 20; i++)
        site.harness->Sleep(kSecond / 500);
    for (auto &client : clients) {
        EXPECT_TRUE(EndsWith(client->take(), "hello"));
        client->close();
    }
    expect_quiet();
}

TEST_F(File, AClientMayVanishAtAnyPoint) {
    for (size_t read = 0; read < 3; read++) {
        for (const char *target : {"/plain/big", "/packed/b.js", "/plain/none"}) {
            Client client(site);
            site.control().hold = read == 0;
            client.push("GET " + string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n");
            if (read == 1)
                client.reset();
            else
                client.close();
            site.control().hold = false;
            site.harness->Settle();
        }
    }
    Client stops(site);
    stops.push("GET /plain/big HTTP/1.1\r\nHost: h\r\n\r\n");
    site.harness->Sleep(31 * kSecond);
    expect_quiet();
    EXPECT_EQ(counters->timeouts, 1u);
}

TEST_F(File, IsSentToItsEndWhileTheServerDrains) {
    Client client(site);
    client.push("GET /plain/big HTTP/1.1\r\nHost: h\r\n\r\n");
    tina_shard_shutdown(site.harness->shard());
    string response;
    for (int i = 0; i < 100; i++)
        response += client.take();
    EXPECT_TRUE(EndsWith(response, kBig + "<end>"));
    client.close();
    EXPECT_TRUE(site.harness->Settle().ended);
}

TEST_F(File, ARedirectIsToAnEncodedPlace) {
    string response = get("/move?status=303&to=/a%2Fb%25");
    EXPECT_EQ(StatusOf(response), "303");
    EXPECT_NE(response.find("\r\nLocation: /a/b%\r\n"), string::npos);
    EXPECT_NE(response.find("\r\nContent-Length: 0\r\n"), string::npos);
    for (const char *query :
         {"status=200&to=/", "status=304&to=/", "status=301&to=", "status=301&to=/a%20b",
          "status=301&to=/%0d%0aSet-Cookie:a=b", "status=301&to=/%c3%a9", "status=301&to=/%7f"})
        EXPECT_EQ(StatusOf(get("/move?" + string(query))), "500") << query;
    expect_quiet();
}

TEST(Mime, IsKnownByTheNamesEnd) {
    EXPECT_STREQ(http_mime_type("a/b.HTML"), "text/html; charset=utf-8");
    EXPECT_STREQ(http_mime_type("b.min.js"), "text/javascript; charset=utf-8");
    EXPECT_STREQ(http_mime_type("a.html/b"), "application/octet-stream");
    EXPECT_STREQ(http_mime_type(".html"), "application/octet-stream");
    EXPECT_STREQ(http_mime_type("html"), "application/octet-stream");
    EXPECT_STREQ(http_mime_type("a."), "application/octet-stream");
    EXPECT_STREQ(http_mime_type(""), "application/octet-stream");
}

} // namespace
