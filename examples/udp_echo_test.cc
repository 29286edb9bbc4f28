// SPDX-License-Identifier: Apache-2.0

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "examples/example_test.h"

namespace {

int Socket(uint16_t port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    return fd;
}

TEST_P(Example, UdpEchoSendsEachDatagramBackToItsSender) {
    Process process(program("udp_echo"), with_backend({"--port", "0"}));
    uint16_t port = port_of(process);
    int clients[3] = {Socket(port), Socket(port), Socket(port)};
    char got[70000];
    for (size_t bytes : {size_t{1}, size_t{0}, size_t{1400}, size_t{65507}, size_t{2}}) {
        for (int i = 0; i < 3; i++) {
            std::string datagram(bytes, static_cast<char>('a' + i));
            EXPECT_EQ(send(clients[i], datagram.data(), bytes, 0), static_cast<ssize_t>(bytes));
        }
        for (int i = 0; i < 3; i++) {
            std::string datagram(bytes, static_cast<char>('a' + i));
            EXPECT_EQ(recv(clients[i], got, sizeof got, 0), static_cast<ssize_t>(bytes));
            EXPECT_EQ(std::string(got, bytes), datagram);
        }
    }
    for (int client : clients)
        close(client);
    EXPECT_EQ(process.stop(SIGTERM), 0);
}

TEST_P(Example, UdpEchoSaysWhatIsWrong) {
    Process first(program("udp_echo"), with_backend({}));
    std::string taken = std::to_string(port_of(first));
    ExpectRefused(program("udp_echo"), with_backend({"--port", taken}), "choose another --port");
    ExpectRefused(program("udp_echo"), {"--port", "65536"}, "from 0 to 65535");
    ExpectRefused(program("udp_echo"), {"--port"}, "a value is missing");
    ExpectRefused(program("udp_echo"), {"--prot", "1"}, "unknown argument --prot");
    ExpectRefused(program("udp_echo"), {"1"}, "unknown argument 1");
    Process help(program("udp_echo"), {"--help"});
    EXPECT_EQ(help.output().substr(0, 6), "usage:");
    EXPECT_EQ(help.stop(0), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Example, every_backend(), backend_name);

} // namespace
