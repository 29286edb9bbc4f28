// SPDX-License-Identifier: Apache-2.0
//
// The HTTP examples, as processes.

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "examples/example_test.h"

namespace {

using std::string;

class Http : public Example {
  protected:
    Http() {
        EXPECT_NE(mkdtemp(directory_), nullptr);
        // Its own path holds no link then.
        char *real = realpath(directory_, nullptr);
        directory = real;
        free(real);
    }
    ~Http() override {
        for (const char *name : {"/a", "/b.bin", "/b.bin.uploading", "/c"})
            unlink((directory + name).c_str());
        rmdir(directory.c_str());
    }

    std::vector<string> arguments(std::vector<string> first = {}) {
        first.insert(first.end(), {"--port", "0", "--shards", "2"});
        return with_backend(first);
    }

    // From "listening on http://127.0.0.1:8080 (io_uring)".
    static uint16_t listens(Process &process) {
        string line = process.line();
        EXPECT_NE(line.find("listening on http://"), string::npos) << line;
        return static_cast<uint16_t>(atoi(line.c_str() + line.rfind(':') + 1));
    }

    static string ask(uint16_t port, const string &line, const string &body = "") {
        int fd = DialLoopback(port);
        SendAll(fd, line + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n" + body);
        string answer = ReadToEnd(fd);
        close(fd);
        return answer;
    }

    static string status(const string &answer) {
        return answer.size() < 12 ? answer : answer.substr(9, 3);
    }

    bool exists(const string &name) {
        struct stat found;
        return stat((directory + name).c_str(), &found) == 0;
    }

    string directory;

  private:
    char directory_[32] = "/tmp/tina-http-XXXXXX";
};

bool ends(const string &text, const string &end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

TEST_P(Http, FilesServesADirectoryAndLogsIt) {
    int file = open((directory + "/a").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ASSERT_EQ(write(file, "hello", 5), 5);
    close(file);
    ASSERT_EQ(symlink("/etc/passwd", (directory + "/c").c_str()), 0);
    Process server(program("http_files"), arguments({directory}));
    uint16_t port = listens(server);
    EXPECT_TRUE(ends(ask(port, "GET /files/a"), "\r\n\r\nhello"));
    EXPECT_EQ(status(ask(port, "GET /files/c")), "404");
    EXPECT_EQ(status(ask(port, "GET /readyz")), "200");
    EXPECT_EQ(server.stop(SIGTERM), 0);
    string log = server.output();
    EXPECT_NE(log.find("\"GET /files/a HTTP/1.1\" 200 5\n"), string::npos) << log;
    EXPECT_EQ(log.find("readyz"), string::npos);
    ExpectRefused(program("http_files"), {}, "usage: http_files DIRECTORY");
    ExpectRefused(program("http_files"), {"/no/such"}, "/no/such is no directory");
}

TEST_P(Http, ApiKeepsItemsWhicheverShardIsAsked) {
    Process server(program("http_api"), arguments());
    uint16_t port = listens(server);
    EXPECT_TRUE(ends(ask(port, "GET /items"), "[]\n\r\n0\r\n\r\n"));
    for (int i = 1; i <= 6; i++) {
        string answer = ask(port, "POST /items", "{\"title\":\"n\\\"" + std::to_string(i) + "\"}");
        EXPECT_EQ(status(answer), "201") << answer;
        EXPECT_TRUE(ends(answer, "{\"id\":" + std::to_string(i) + ",\"title\":\"n\\\"" +
                                     std::to_string(i) + "\",\"done\":false}\n"))
            << answer;
    }
    for (int i = 0; i < 4; i++)
        EXPECT_TRUE(
            ends(ask(port, "GET /items/3"), "{\"id\":3,\"title\":\"n\\\"3\",\"done\":false}\n"));
    EXPECT_TRUE(ends(ask(port, "PUT /items/3", "{\"title\":\"x\",\"done\":true}"),
                     "{\"id\":3,\"title\":\"x\",\"done\":true}\n"));
    EXPECT_EQ(status(ask(port, "DELETE /items/2")), "204");
    EXPECT_EQ(status(ask(port, "DELETE /items/2")), "404");
    for (int i = 0; i < 4; i++) {
        string list = ask(port, "GET /items");
        EXPECT_NE(list.find(",{\"id\":3,\"title\":\"x\",\"done\":true}"), string::npos) << list;
        EXPECT_EQ(list.find("\"id\":2"), string::npos);
        EXPECT_TRUE(ends(list, "]\n\r\n0\r\n\r\n"));
    }
    for (const char *path : {"/items/0", "/items/2", "/items/x", "/items/99999999999999999999999"})
        EXPECT_EQ(status(ask(port, string("GET ") + path)), "404") << path;
    for (const string &body : {string(""), string("{}"), string("{\"title\":1}"), string("[1"),
                               "{\"title\":\"" + string(65, 'a') + "\"}"})
        EXPECT_EQ(status(ask(port, "POST /items", body)), "400") << body;
    EXPECT_EQ(status(ask(port, "POST /items", string(5000, 'a'))), "413");
    EXPECT_EQ(server.stop(SIGTERM), 0);
    EXPECT_EQ(server.errors(), "");
}

TEST_P(Http, UploadWritesABodyToDiskAndHidesItUntilItIsWhole) {
    Process server(program("http_upload"), arguments({directory}));
    uint16_t port = listens(server);
    string body;
    for (uint32_t i = 0; body.size() < (5u << 20); i++)
        body += std::to_string(i * 2654435761u);
    int fd = DialLoopback(port);
    SendAll(fd, "PUT /files/b.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n");
    SendAll(fd, body.substr(0, 1 << 20));
    // Progress is the part's length.
    string progress = "Content-Length: " + std::to_string(1 << 20) + "\r\n";
    while (ask(port, "HEAD /files/b.bin.uploading").find(progress) == string::npos)
        continue;
    EXPECT_EQ(status(ask(port, "GET /files/b.bin")), "404");
    EXPECT_EQ(status(ask(port, "PUT /files/b.bin", "other")), "409");
    SendAll(fd, body.substr(1 << 20));
    string answer = ReadToEnd(fd);
    close(fd);
    EXPECT_TRUE(ends(answer, "{\"bytes\":" + std::to_string(body.size()) + "}\n")) << answer;
    EXPECT_TRUE(ends(ask(port, "GET /files/b.bin"), "\r\n\r\n" + body));
    EXPECT_FALSE(exists("/b.bin.uploading"));
    EXPECT_EQ(status(ask(port, "PUT /files/a", "")), "201");
    EXPECT_TRUE(exists("/a"));
    for (const char *name : {".a", "a.uploading", "a%2Fb", "a%00b", "a%20b"})
        EXPECT_NE(status(ask(port, string("PUT /files/") + name, "x")), "201") << name;
    EXPECT_EQ(server.stop(SIGTERM), 0);
}

TEST_P(Http, UploadRemovesThePartOfAClientThatVanishes) {
    Process server(program("http_upload"), arguments({directory}));
    uint16_t port = listens(server);
    for (int how = 0; how < 4; how++) {
        int fd = DialLoopback(port);
        SendAll(fd, "PUT /files/b.bin HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "186a0\r\n" +
                        string(100000, 'a') + "\r\n");
        while (ask(port, "HEAD /files/b.bin.uploading").find("Content-Length: 100000\r\n") ==
               string::npos)
            continue;
        if (how == 0) { // a reset
            linger now = {1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        } else if (how == 1) { // a body that is none
            SendAll(fd, "x\r\n");
        } else if (how == 2) { // an end too early
            shutdown(fd, SHUT_WR);
        }
        string answer = how == 1 || how == 2 ? ReadToEnd(fd) : "HTTP/1.1 400";
        EXPECT_EQ(status(answer), "400");
        close(fd); // or this alone
        while (status(ask(port, "HEAD /files/b.bin.uploading")) != "404")
            continue;
        EXPECT_FALSE(exists("/b.bin"));
    }
    // One that is there while the server drains is not kept either.
    int fd = DialLoopback(port);
    SendAll(fd, "PUT /files/b.bin HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    while (status(ask(port, "HEAD /files/b.bin.uploading")) != "200")
        continue;
    EXPECT_EQ(server.stop(SIGTERM), 0);
    EXPECT_FALSE(exists("/b.bin.uploading"));
    close(fd);
}

// What a server that was killed has left is nobody's: the next one removes it.
TEST_P(Http, UploadTakesANameThatAKilledServerWasWriting) {
    std::unique_ptr<Process> killed(new Process(program("http_upload"), arguments({directory})));
    uint16_t port = listens(*killed);
    int fd = DialLoopback(port);
    SendAll(fd, "PUT /files/b.bin HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    while (status(ask(port, "HEAD /files/b.bin.uploading")) != "200")
        continue;
    // It is not taken from a server that goes on.
    ExpectRefused(program("http_upload"), {directory, "--port", "0"}, "another http_upload");
    EXPECT_TRUE(exists("/b.bin.uploading"));
    killed->stop(SIGKILL);
    close(fd);
    EXPECT_TRUE(exists("/b.bin.uploading"));
    ASSERT_EQ(close(open((directory + "/c").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
    Process server(program("http_upload"), arguments({directory}));
    port = listens(server);
    EXPECT_FALSE(exists("/b.bin.uploading"));
    EXPECT_TRUE(exists("/c"));
    EXPECT_EQ(status(ask(port, "PUT /files/b.bin", "whole")), "201");
    EXPECT_TRUE(ends(ask(port, "GET /files/b.bin"), "\r\n\r\nwhole"));
    EXPECT_EQ(server.stop(SIGTERM), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Http, every_backend(), backend_name);

} // namespace
