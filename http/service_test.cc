// SPDX-License-Identifier: Apache-2.0
//
// A server as a service manager starts it: with a socket that listens, someone to tell, and a
// stdout that is a file, a pipe or a socket.

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "http/process.h"
#include "sched/test_backend.h"

namespace {

using std::string;

// What the child is started with; `before` of Process takes no arguments.
struct Start {
    int listener = -1;
    int listeners = 1;
    int out = -1;
    string notify;
    string pid;
} start;

void in_child() {
    if (start.out >= 0)
        dup2(start.out, STDOUT_FILENO);
    if (start.listener >= 0) {
        dup2(start.listener, 3);
        fcntl(3, F_SETFD, 0); // in case it was 3
        for (int i = 1; i < start.listeners; i++)
            dup2(start.listener, 3 + i);
        setenv("LISTEN_PID",
               start.pid.empty() ? std::to_string(getpid()).c_str() : start.pid.c_str(), 1);
        setenv("LISTEN_FDS", std::to_string(start.listeners).c_str(), 1);
        setenv("LISTEN_FDNAMES", "web", 1);
    }
    if (!start.notify.empty())
        setenv("NOTIFY_SOCKET", start.notify.c_str(), 1);
}

std::vector<string> arguments(const string &shards = "1") {
    const char *backend = getenv("TINA_TEST_BACKEND");
    return {"--port", "0", "--shards", shards, "--backend", backend ? backend : "auto"};
}

string program() {
    return ProgramPath("http/service_server");
}

int listener_of(int family, uint16_t *port, int flags = 0) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    EXPECT_EQ(listen(fd, 10), 0);
    sockaddr_in address = {};
    socklen_t bytes = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr *>(&address), &bytes);
    *port = ntohs(address.sin_port);
    return fd;
}

uint16_t port_in(const string &line) {
    return static_cast<uint16_t>(atoi(line.c_str() + line.rfind(':') + 1));
}

string ask_fd(int fd, const string &path) {
    SendAll(fd, "GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    string answer = ReadToEnd(fd);
    close(fd);
    return answer;
}

string ask(uint16_t port, const string &path) {
    return ask_fd(DialLoopback(port), path);
}

bool has(const string &text, const string &part) {
    return text.find(part) != string::npos;
}

class Service : public ::testing::Test {
  protected:
    Service() {
        start = Start();
        unsetenv("SERVICE_LOG");
        unsetenv("SERVICE_LAME_MS");
        unsetenv("SERVICE_LOG_PATH");
    }
};

TEST_F(Service, ListensOnTheSocketThatItWasStartedWith) {
    for (const char *shards : {"1", "2"}) {
        for (int flags : {0, static_cast<int>(SOCK_NONBLOCK)}) {
            uint16_t port;
            start.listener = listener_of(AF_INET, &port, flags);
            // One that came before the server did is served too.
            int early = DialLoopback(port);
            Process server(program(), arguments(shards), in_child);
            string line = server.line();
            EXPECT_TRUE(has(line, "listening on http://0.0.0.0:" + std::to_string(port))) << line;
            EXPECT_TRUE(has(ask_fd(early, "/early"), " 404 "));
            for (int i = 0; i < 20; i++)
                EXPECT_TRUE(has(ask(port, "/"), "unset unset /\n"));
            EXPECT_EQ(server.stop(SIGTERM), 0);
            EXPECT_EQ(server.errors(), "");
            // It is still ours: nobody is refused between two servers.
            int waiting = DialLoopback(port);
            close(waiting);
            close(start.listener);
        }
    }
}

TEST_F(Service, ListensOnAUnixSocketAndLeavesItsName) {
    char name[] = "/tmp/tina-service-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    string path = string(name) + "/s";
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.c_str(), path.size());
    start.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(start.listener, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    ASSERT_EQ(listen(start.listener, 5), 0);
    Process server(program(), arguments("2"), in_child);
    EXPECT_TRUE(has(server.line(), "listening on unix:" + path));
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    EXPECT_TRUE(has(ask_fd(client, "/"), "unset unset /\n"));
    EXPECT_EQ(server.stop(SIGTERM), 0);
    struct stat status;
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    unlink(path.c_str());
    rmdir(name);
    close(start.listener);
}

string refusal() {
    Process server(program(), arguments(), in_child);
    EXPECT_EQ(server.stop(0), 1);
    EXPECT_EQ(server.output(), "");
    return server.errors();
}

TEST_F(Service, RefusesWhatItCannotListenOnWithASentence) {
    uint16_t port;
    start.listener = listener_of(AF_INET, &port);
    start.listeners = 2;
    EXPECT_EQ(refusal(), "service: fd 3, passed by LISTEN_FDS=2, is not the only socket, and this "
                         "server listens on one; pass one listening stream socket\n");
    start.listeners = 1;
    start.pid = "x1";
    EXPECT_EQ(refusal(),
              "service: LISTEN_PID is x1 and LISTEN_FDS 1, but numbers are needed; unset "
              "them\n");
    start.pid = "";
    close(start.listener);
    const struct {
        int fd;
        const char *why;
    } cases[] = {
        {::open("/dev/null", O_RDONLY | O_CLOEXEC), "is no socket"},
        {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "does not listen"},
        {socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "is no stream socket"},
        {socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0), "is neither a TCP nor a Unix socket"}};
    for (const auto &c : cases) {
        start.listener = c.fd;
        EXPECT_TRUE(has(refusal(), string("LISTEN_FDS=1, ") + c.why + "; pass one")) << c.why;
        close(c.fd);
    }
}

TEST_F(Service, WhatWasPassedToAnotherProcessIsNotTouched) {
    uint16_t port;
    start.listener = listener_of(AF_INET, &port);
    start.pid = "1";
    Process server(program(), arguments(), in_child);
    uint16_t own = port_in(server.line());
    EXPECT_NE(own, port);
    EXPECT_TRUE(has(ask(own, "/"), "unset unset /\n"));
    EXPECT_EQ(server.stop(SIGTERM), 0);
    close(start.listener);
}

struct Manager {
    // The kernel chooses an abstract name; a path is in a directory of its own.
    explicit Manager(bool abstract) {
        sockaddr_un address = {};
        socklen_t bytes = sizeof(sa_family_t);
        address.sun_family = AF_UNIX;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (!abstract) {
            EXPECT_NE(mkdtemp(directory), nullptr);
            name = string(directory) + "/s";
            memcpy(address.sun_path, name.c_str(), name.size());
            bytes = sizeof address;
        }
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&address), bytes), 0);
        if (abstract) {
            bytes = sizeof address;
            getsockname(fd, reinterpret_cast<sockaddr *>(&address), &bytes);
            name = "@" + string(address.sun_path + 1, bytes - offsetof(sockaddr_un, sun_path) - 1);
        }
    }
    ~Manager() {
        close(fd);
        if (name[0] == '/') {
            unlink(name.c_str());
            rmdir(directory);
        }
    }
    string next() {
        char text[100];
        ssize_t bytes = recv(fd, text, sizeof text, 0);
        return string(text, bytes > 0 ? static_cast<size_t>(bytes) : 0);
    }
    bool quiet() {
        pollfd polled = {fd, POLLIN, 0};
        return poll(&polled, 1, 0) == 0;
    }

    int fd;
    string name;
    char directory[32] = "/tmp/tina-notify-XXXXXX";
};

TEST_F(Service, TellsItsManagerWhenItIsReadyAndWhenItStops) {
    for (bool abstract : {false, true}) {
        Manager manager(abstract);
        start.notify = manager.name;
        Process server(program(), arguments("2"), in_child);
        EXPECT_EQ(manager.next(), "READY=1");
        uint16_t port = port_in(server.line());
        EXPECT_TRUE(has(ask(port, "/"), "unset unset /\n"));
        EXPECT_TRUE(manager.quiet());
        kill(server.pid, SIGTERM);
        EXPECT_EQ(manager.next(), "STOPPING=1");
        EXPECT_EQ(server.stop(0), 0);
        EXPECT_TRUE(manager.quiet());
    }
    start.notify = "nowhere";
    EXPECT_TRUE(has(refusal(), "NOTIFY_SOCKET is nowhere, but a socket's path or @name is needed"));
    start.notify = "/tmp/no/such/socket";
    EXPECT_TRUE(has(refusal(), "NOTIFY_SOCKET is /tmp/no/such/socket, but "));
}

TEST_F(Service, ServesOnAsALameDuckAndSaysSo) {
    for (const char *spread : {"turns", "one"}) {
        Manager manager(true);
        start.notify = manager.name;
        setenv("SERVICE_LAME_MS", "600000", 1);
        std::vector<string> all = arguments("2");
        all.insert(all.end(), {"--spread", spread});
        Process server(program(), all, in_child);
        EXPECT_EQ(manager.next(), "READY=1");
        uint16_t port = port_in(server.line());
        EXPECT_TRUE(has(ask(port, "/readyz"), " 200 "));
        kill(server.pid, SIGTERM);
        EXPECT_EQ(manager.next(), "STOPPING=1");
        bool all_told = false;
        for (int i = 0; i < 1000 && !all_told; i++) {
            all_told = true;
            for (int j = 0; j < 4; j++)
                all_told = has(ask(port, "/readyz"), " 503 ") && all_told;
        }
        EXPECT_TRUE(all_told);
        EXPECT_TRUE(has(ask(port, "/"), " 200 "));
        EXPECT_EQ(server.stop(SIGTERM), 3); // the second forces
    }
}

TEST_F(Service, LogsToAStdoutOfAnyKind) {
    setenv("SERVICE_LOG", "common", 1);
    char name[] = "/tmp/tina-log-XXXXXX";
    int file = mkstemp(name);
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const string line = "\"GET /?x=%22 HTTP/1.1\" 200 ";
    for (int kind = 0; kind < 3; kind++) {
        start.out = kind == 0 ? -1 : kind == 1 ? file : pair[1]; // -1: a pipe
        Manager manager(true);
        start.notify = manager.name;
        uint16_t port;
        start.listener = listener_of(AF_INET, &port);
        Process server(program(), arguments("2"), in_child);
        EXPECT_EQ(manager.next(), "READY=1");
        for (int i = 0; i < 10; i++)
            EXPECT_TRUE(has(ask(port, "/?x=%22"), " 200 "));
        EXPECT_EQ(server.stop(SIGTERM), 0);
        EXPECT_EQ(server.errors(), "");
        string text = server.output();
        if (kind == 1) {
            lseek(file, 0, SEEK_SET);
            text = ReadToEnd(file);
        } else if (kind == 2) {
            close(pair[1]);
            text = ReadToEnd(pair[0]);
        }
        EXPECT_EQ(text.find("listening on "), 0u);
        size_t lines = 0;
        for (size_t at = 0; (at = text.find(line, at)) != string::npos; at++)
            lines++;
        EXPECT_EQ(lines, 10u) << kind << text;
        EXPECT_TRUE(has(text, "\n127.0.0.1 - - [")) << text;
        close(start.listener);
    }
    close(pair[0]);
    close(file);
    unlink(name);
}

TEST_F(Service, DrainsThoughNobodyReadsItsLog) {
    setenv("SERVICE_LOG", "json", 1);
    Process server(program(), arguments(), in_child);
    uint16_t port = port_in(server.line());
    int fd = DialLoopback(port);
    string batch;
    for (int i = 0; i < 100; i++)
        batch += "GET /" + string(500, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
    for (int i = 0; i < 10; i++) {
        SendAll(fd, batch);
        string text;
        char piece[65536];
        for (size_t answers = 0; answers < 100;) {
            ssize_t bytes = read(fd, piece, sizeof piece);
            ASSERT_GT(bytes, 0);
            text.append(piece, static_cast<size_t>(bytes));
            answers = 0;
            for (size_t at = 0; (at = text.find("\r\n\r\n404 Not Found\n", at)) != string::npos;
                 at++)
                answers++;
        }
    }
    close(fd);
    EXPECT_EQ(server.stop(SIGTERM), 0);
}

TEST_F(Service, RefusesALogThatCannotBeWritten) {
    setenv("SERVICE_LOG", "json", 1);
    setenv("SERVICE_LOG_PATH", "/no/such/log", 1);
    EXPECT_EQ(refusal(),
              "service: access_log.path is /no/such/log, which cannot be written: No such "
              "file or directory; choose another\n");
}

} // namespace
