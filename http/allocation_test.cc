// SPDX-License-Identifier: Apache-2.0
//
// No allocation after boot, with an HTTP server under load: connections come and go, are pipelined,
// send bodies, ask for what is not there and talk nonsense.

#include "http/datastar.h"
#include "http/http.h"
#include "sched/allocation.h"
#include "sched/system.h"
#include "sched/test_backend.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

http_step Hello(http_request *request, http_response *response) {
    (void)request;
    return http_text(response, 200, "Hello, World!\n");
}

http_step User(http_request *request, http_response *response) {
    return http_json(response, 200, "{\"id\":%s}",
                     http_json_quote(request, http_param(request, "id")));
}

http_step Echo(http_request *request, http_response *response) {
    tina_bytes body = http_body(request);
    return http_bytes(response, 200, "application/octet-stream", body.data, body.bytes);
}

http_step Woken(http_request *request, http_response *response) {
    http_sse event = {};
    event.data = http_message(request) == nullptr ? "in time" : "woken";
    http_sse_event(response, &event);
    return http_end(response);
}

http_step Wait(http_request *request, http_response *response) {
    http_sse_begin(request, response);
    return http_wait(response, Woken, 1000000);
}

http_step Read(http_request *request, http_response *response) {
    http_json_doc signals;
    bool good = http_datastar_read(request, &signals) == HTTP_JSON_OK;
    return http_empty(response, good ? 204 : 400);
}

int port_pipe[2];
bool forbid;

void Listening(void *, const tina_address *address, const char *backend, uint32_t) {
    if (!IsTestBackend(backend))
        _exit(88);
    on_shard = true;
    if (forbid)
        ForbidMapping();
    if (write(port_pipe[1], &address->port, sizeof address->port) != sizeof address->port)
        _exit(90);
}

int Connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
        _exit(91);
    return fd;
}

// Sends a request that closes its connection, and reads until it does.
void Ask(uint16_t port, const char *request) {
    int fd = Connect(port);
    char answer[4096];
    size_t bytes = 0;
    if (send(fd, request, std::strlen(request), MSG_NOSIGNAL) < 0)
        _exit(92);
    for (ssize_t got; (got = recv(fd, answer, sizeof answer, 0)) > 0;)
        bytes += static_cast<size_t>(got);
    if (bytes == 0)
        _exit(93);
    close(fd);
}

void *Load(void *) {
    uint16_t port;
    if (read(port_pipe[0], &port, sizeof port) != sizeof port)
        _exit(94);
    armed = true;
    for (int round = 0; round < 100; round++) {
        Ask(port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /users/7 HTTP/1.1\r\nHost: a\r\n\r\n"
                  "GET /users/a%22b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        Ask(port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
                  "hello");
        Ask(port, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                  "Connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        Ask(port, "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        Ask(port, "POST /signals HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"
                  "Connection: close\r\n\r\n{\"a\":[{}]}");
        Ask(port, "GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        Ask(port, "nonsense\r\n\r\n");
        close(Connect(port));
    }
    armed = false;
    if (allocations != 0)
        _exit(96);
    if (forbid)
        _exit(42); // closing the ring would unmap it
    kill(getpid(), SIGTERM);
    return nullptr;
}

int Serve() {
    static const http_route routes[] = {
        {HTTP_GET, "/hello", Hello, 0},   {HTTP_GET, "/users/:id", User, 0},
        {HTTP_POST, "/echo", Echo, 1000}, {HTTP_POST, "/signals", Read, 1000},
        {HTTP_GET, "/wait", Wait, 0},
    };
    http_server server = {};
    server.routes = HTTP_ROUTES(routes);
    server.listening = Listening;
    server.backend = TestBackend();
    static http_program program;
    char sentence[TINA_SENTENCE_BYTES];
    if (!http_server_spec(&server, &program, sentence) || pipe(port_pipe) != 0)
        return 97;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_t thread;
    if (pthread_create(&thread, nullptr, Load, nullptr) != 0)
        return 98;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    int status = tina_run(&program.spec);
    pthread_join(thread, nullptr);
    return status;
}

TEST(Allocation, NoneAfterBootUnderLoad) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(std::exit(Serve()), testing::ExitedWithCode(0), "");
}

TEST(Allocation, NothingIsMappedAfterBootUnderLoad) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT((forbid = true, std::exit(Serve())), testing::ExitedWithCode(42), "");
}

} // namespace
