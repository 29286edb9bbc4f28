// SPDX-License-Identifier: Apache-2.0
//
// examples/http_hello as a user runs it: its own process, the kernel's sockets.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "core/prng.h"
#include "http/process.h"
#include "sched/test_backend.h"

namespace {

using std::string;

uint64_t seed() {
    const char *text = getenv("TINA_SEED");
    return text != nullptr ? strtoull(text, nullptr, 0) : 1;
}

string hello_path() {
    return ProgramPath("examples/http_hello");
}

// --backend, when the test is for one.
std::vector<string> with_backend(std::vector<string> arguments) {
    arguments.insert(arguments.end(), {"--shards", "1"});
    const char *name = getenv("TINA_TEST_BACKEND");
    if (name != nullptr)
        arguments.insert(arguments.end(), {"--backend", name});
    return arguments;
}

class Serve : public ::testing::Test {
  protected:
    explicit Serve(void (*before)() = nullptr, std::vector<string> arguments = with_backend({}))
        : server_(hello_path(), with_port(std::move(arguments)), before) {
        string line = server_.line();
        EXPECT_EQ(line.substr(0, 30), "listening on http://127.0.0.1:");
        size_t backend = line.find(" (");
        backend_ = line.substr(backend + 2, line.size() - backend - 3);
        EXPECT_TRUE(before != nullptr || IsTestBackend(backend_.c_str())) << line;
        port_ = static_cast<uint16_t>(atoi(line.c_str() + 30));
        EXPECT_NE(port_, 0);
    }

    static std::vector<string> with_port(std::vector<string> arguments) {
        arguments.insert(arguments.end(), {"--port", "0"});
        return arguments;
    }

    int dial() {
        return DialLoopback(port_);
    }

    static void send_all(int fd, const string &bytes) {
        SendAll(fd, bytes);
    }

    // Sends, half-closes and returns all that comes.
    string ask(const string &bytes) {
        int fd = dial();
        send_all(fd, bytes);
        shutdown(fd, SHUT_WR);
        string answer = ReadToEnd(fd);
        close(fd);
        return answer;
    }

    void expect_well() {
        string answer = ask("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_EQ(answer.substr(0, 17), "HTTP/1.1 200 OK\r\n");
        EXPECT_EQ(answer.substr(answer.size() - 14), "Hello, World!\n");
    }

    Process server_;
    string backend_;
    uint16_t port_;
};

class ServeWithoutIoUring : public Serve {
  protected:
    ServeWithoutIoUring() : Serve([] { ForbidIoUring(EPERM); }, {"--shards", "1"}) {}
};

TEST_F(ServeWithoutIoUring, RunsOnEpollByItselfAndSaysSoOnce) {
    EXPECT_EQ(backend_, "epoll");
    expect_well();
    EXPECT_EQ(server_.stop(SIGTERM), 0);
    EXPECT_EQ(server_.errors(), "http_hello: io_uring is forbidden here (EPERM; by seccomp or the "
                                "sysctl kernel.io_uring_disabled); running on epoll\n");
}

string without_dates(string text) {
    for (size_t at; (at = text.find("Date: ")) != string::npos;)
        text.erase(at, 37);
    return text;
}

TEST_F(Serve, AnswersAPipelineAsItAnswersByteByByte) {
    string bytes;
    for (int i = 0; i < 4; i++) {
        bytes += "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /users/4%32 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
                 "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n0\r\n\r\n";
    }
    string at_once = ask(bytes);
    int fd = dial();
    for (char byte : bytes)
        send_all(fd, string(1, byte));
    shutdown(fd, SHUT_WR);
    string by_byte = ReadToEnd(fd);
    close(fd);
    EXPECT_EQ(without_dates(by_byte), without_dates(at_once));
    EXPECT_NE(at_once.find("{\"id\":\"42\"}"), string::npos);
}

TEST_F(Serve, AStatusReachesAClientThatIsStillSending) {
    string answer = ask("GET /" + string(1 << 20, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(answer.substr(0, 13), "HTTP/1.1 414 ");
    answer = ask("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n" +
                 string(4 << 20, 'a'));
    EXPECT_EQ(answer.substr(0, 13), "HTTP/1.1 413 ");
}

TEST_F(Serve, EchoesAMegabyte) {
    string body;
    for (int i = 0; i < 1 << 20; i++)
        body += static_cast<char>(i * 7);
    string answer = ask("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n" + body);
    ASSERT_GT(answer.size(), body.size());
    EXPECT_TRUE(answer.substr(answer.size() - body.size()) == body);
}

TEST_F(Serve, GarbageIsRefusedAndHarmsNobody) {
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed()));
    tina_prng prng = tina_prng_make(seed(), 1, 1);
    const string good = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    for (int i = 0; i < 1000; i++) {
        string bytes;
        if (i % 2) {
            for (uint64_t n = 1 + tina_prng_below(&prng, 2000); n > 0; n--)
                bytes += static_cast<char>(tina_prng_below(&prng, 256));
        } else {
            bytes = good;
            bytes[tina_prng_below(&prng, 10)] = static_cast<char>(tina_prng_below(&prng, 32));
        }
        string answer = ask(bytes);
        if (!answer.empty()) {
            EXPECT_EQ(answer.substr(0, 9), "HTTP/1.1 ");
            EXPECT_GE(answer[9], '4') << bytes;
        }
        if (i % 100 == 0)
            expect_well();
    }
    expect_well();
}

TEST_F(Serve, LosesNothingToClientsThatVanish) {
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed()));
    tina_prng prng = tina_prng_make(seed(), 2, 1);
    expect_well();
    size_t fds = server_.fds();
    const string script = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\nPOST /echo HTTP/1.1\r\nHost: h\r\n"
                          "Content-Length: 9000\r\n\r\n" +
                          string(9000, 'x') + "GET / HTTP/1.1\r\nHost: h\r\n\r\nnonsense\r\n";
    for (int round = 0; round < 20; round++) {
        std::vector<int> clients;
        for (int i = 0; i < 1000; i++) {
            int fd = dial();
            ASSERT_GE(fd, 0);
            send_all(fd, script.substr(0, tina_prng_below(&prng, script.size())));
            clients.push_back(fd);
        }
        for (int fd : clients) {
            char piece[1024];
            if (tina_prng_chance(&prng, 1, 2))
                recv(fd, piece, sizeof piece, MSG_DONTWAIT);
            struct linger reset = {1, 0};
            if (tina_prng_chance(&prng, 3, 4))
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(fd);
        }
        expect_well();
    }
    // The last sockets close when their connections have seen the end; that is soon.
    for (int i = 0; i < 100 && server_.fds() != fds; i++)
        poll(nullptr, 0, 20);
    EXPECT_EQ(server_.fds(), fds);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

TEST_F(Serve, DrainsWhenItIsTold) {
    int idle = dial();
    send_all(idle, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    char piece[1024];
    EXPECT_GT(recv(idle, piece, sizeof piece, 0), 0);
    int busy = dial();
    send_all(busy, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    expect_well(); // so that those bytes have been read
    kill(server_.pid, SIGTERM);
    EXPECT_EQ(recv(idle, piece, sizeof piece, 0), 0);
    send_all(busy, "llo");
    string answer = ReadToEnd(busy);
    EXPECT_EQ(answer.substr(0, 13), "HTTP/1.1 200 ");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), string::npos);
    close(idle);
    close(busy);
    EXPECT_EQ(server_.stop(0), 0);
    EXPECT_EQ(server_.errors(), "");
}

// What a program says at start, for a client of its Unix socket.
string ask_unix(const string &path) {
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.data(), path.size());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address) != 0) {
        close(fd);
        return strerror(errno);
    }
    SendAll(fd, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    string answer = ReadToEnd(fd);
    close(fd);
    return answer.substr(0, 12);
}

TEST(Unix, ItsPathIsTakenOverFromTheDeadAndLeftToTheLiving) {
    // A Unix path is short, and a test's own directory may be long.
    string directory = "/tmp/tina-serve-XXXXXX";
    ASSERT_NE(mkdtemp(&directory[0]), nullptr);
    string path = directory + "/s";
    std::vector<string> arguments = with_backend({"--address", "unix:" + path});
    Process first(hello_path(), arguments);
    EXPECT_EQ(first.line().substr(0, 18 + path.size()), "listening on unix:" + path);
    EXPECT_EQ(ask_unix(path), "HTTP/1.1 200");
    {
        Process second(hello_path(), arguments);
        EXPECT_EQ(second.errors(), "http_hello: cannot listen on unix:" + path +
                                       ": Address already in use; stop what listens there, or "
                                       "choose another --address\n");
        EXPECT_EQ(second.stop(0), 1);
    }
    EXPECT_EQ(ask_unix(path), "HTTP/1.1 200");
    first.stop(SIGKILL);
    Process third(hello_path(), arguments);
    third.line();
    EXPECT_EQ(ask_unix(path), "HTTP/1.1 200");
    EXPECT_EQ(third.stop(SIGTERM), 0);
    EXPECT_EQ(third.errors(), "");
    EXPECT_EQ(ask_unix(path), "No such file or directory");
    EXPECT_EQ(rmdir(directory.c_str()), 0);
}

TEST_F(Serve, SaysWhyItCannotStart) {
    string port = std::to_string(port_);
    const struct {
        std::vector<string> arguments;
        string sentence;
    } cases[] = {
        {{"--port", port},
         "cannot listen on 127.0.0.1:" + port +
             ": Address already in use; stop what listens there, or choose a --port"},
        {{"--address", "192.0.2.1"},
         "cannot listen on 192.0.2.1:8080: Cannot assign requested address; choose an --address "
         "of this machine"},
        {{"--address", "localhost"},
         "the address localhost is none; write 1.2.3.4, ::1 or unix:/path"},
        {{"--port"}, "--port lacks its value"},
        {{"--port", "65536"}, "--port is 65536, but a number from 0 to 65535 is needed"},
        {{"--port=-1"}, "--port is -1, but a number from 0 to 65535 is needed"},
        {{"--backend", "kqueue"}, "--backend is kqueue, but auto, io_uring or epoll is needed"},
        {{"--backend="}, "--backend is , but auto, io_uring or epoll is needed"},
        {{"--shards", "0"}, "--shards is 0, but a number from 1 to 255 is needed"},
        {{"--shards", "256"}, "--shards is 256, but a number from 1 to 255 is needed"},
        {{"--spread", "evenly"}, "--spread is evenly, but turns, kernel, one or least is needed"},
        {{"--backends", "epoll"}, "--backends is no option of this program; --help lists them"},
        {{"--prt", "1"}, "--prt is no option of this program; --help lists them"},
    };
    for (const auto &c : cases) {
        Process process(hello_path(), c.arguments);
        EXPECT_EQ(process.errors(), "http_hello: " + c.sentence + "\n");
        EXPECT_EQ(process.output(), "");
        EXPECT_EQ(process.stop(0), 1);
    }
    Process help(hello_path(), {"--help"});
    EXPECT_EQ(help.output().substr(0, 18), "usage: http_hello ");
    EXPECT_EQ(help.stop(0), 0);
}

TEST(Readme, ItsServerDoesWhatItSays) {
    Process server(ProgramPath("http/readme_site"), {"--port", "0"});
    string line = server.line();
    uint16_t port = static_cast<uint16_t>(atoi(line.c_str() + line.rfind(':') + 1));
    int fd = DialLoopback(port);
    const string request = "GET /users/7 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    ASSERT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
    string answer = ReadToEnd(fd);
    close(fd);
    EXPECT_NE(answer.find("\r\ncache-control: no-cache\r\n"), string::npos);
    EXPECT_EQ(answer.substr(answer.size() - 10), "{\"id\":\"7\"}");
    EXPECT_EQ(server.stop(SIGTERM), 0);
}

} // namespace
