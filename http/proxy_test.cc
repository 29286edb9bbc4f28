// SPDX-License-Identifier: Apache-2.0
#include "http/proxy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "core/prng.h"
#include "http/http.h"
#include "http/site.h"
#include "reactor/scripted.h"

namespace {

using std::string;

constexpr uint64_t kSecond = 1000000000;

// What came of a header: "more", "failed", or how much of it was used and whom it is from.
string read(const string &bytes) {
    http_peer peer = {};
    uint32_t used = 0;
    switch (http_proxy_read(reinterpret_cast<const uint8_t *>(bytes.data()),
                            static_cast<uint32_t>(bytes.size()), &peer, &used)) {
    case HTTP_PROXY_MORE:
        return "more";
    case HTTP_PROXY_FAILED:
        return "failed";
    case HTTP_PROXY_DONE:
        break;
    }
    string text = std::to_string(used);
    if (!peer.told)
        return text;
    tina_address address = {};
    address.family = peer.family;
    address.port = peer.port;
    memcpy(address.ip, peer.ip, sizeof peer.ip);
    char name[TINA_ADDRESS_TEXT_BYTES];
    tina_address_format(&address, name);
    return text + " " + name;
}

string binary(char command, char family, const string &rest) {
    string bytes("\r\n\r\n\0\r\nQUIT\n", 12);
    bytes += command;
    bytes += family;
    bytes += static_cast<char>(rest.size() >> 8);
    bytes += static_cast<char>(rest.size());
    return bytes + rest;
}

const string kIpv4("\x7f\0\0\1\x0a\0\0\2\x12\x34\0\x50", 12);
const string kIpv6 = string("\x20\1\x0d\xb8", 4) + string(11, 0) + "\1" + string(16, 0) +
                     "\x12\x34" + string("\0\x50", 2);

TEST(Proxy, ReadsALine) {
    EXPECT_EQ(read("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET"), "47 192.168.0.1:56324");
    EXPECT_EQ(read("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), "36 [2001:db8::1]:1");
    EXPECT_EQ(read("PROXY UNKNOWN\r\n"), "15");
    EXPECT_EQ(read("PROXY UNKNOWN ff::1 whatever 1 2\r\n"), "34");
    EXPECT_EQ(read("PROXY UNKNOWN " + string(91, 'x') + "\r\n"), "107");
}

TEST(Proxy, ReadsTheBinaryForm) {
    EXPECT_EQ(read(binary(0x21, 0x11, kIpv4) + "GET"), "28 127.0.0.1:4660");
    EXPECT_EQ(read(binary(0x21, 0x21, kIpv6)), "52 [2001:db8::1]:4660");
    EXPECT_EQ(read(binary(0x21, 0x11, kIpv4 + "more to say")), "39 127.0.0.1:4660");
    EXPECT_EQ(read(binary(0x20, 0x11, kIpv4)), "28"); // the proxy's own
    EXPECT_EQ(read(binary(0x20, 0x00, "")), "16");
    EXPECT_EQ(read(binary(0x21, 0x00, "")), "16");
    EXPECT_EQ(read(binary(0x21, 0x31, string(216, 'u'))), "232"); // a Unix socket
    EXPECT_EQ(read(binary(0x21, 0x12, kIpv4)), "28");             // a datagram's
}

TEST(Proxy, RefusesWhatIsNone) {
    for (const char *line :
         {"GET / HTTP/1.1\r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY\r\n", "PROXY TCP4\r\n",
          "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
          "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
          "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
          "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
          "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
          "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 unix:/a 1.2.3.4 1 2\r\n",
          "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "\x16\x03\x01", "\r\n\r\nGET"})
        EXPECT_EQ(read(line), "failed") << line;
    EXPECT_EQ(read("PROXY UNKNOWN " + string(92, 'x') + "\r\n"), "failed");
    EXPECT_EQ(read("PROXY UNKNOWN " + string(200, 'x')), "failed");
    EXPECT_EQ(read(string("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n", 33)), "failed");
    EXPECT_EQ(read(binary(0x11, 0x11, kIpv4)), "failed");
    EXPECT_EQ(read(binary(0x22, 0x11, kIpv4)), "failed");
    EXPECT_EQ(read(binary(0x21, 0x11, kIpv4.substr(1))), "failed");
    EXPECT_EQ(read(binary(0x21, 0x21, kIpv4)), "failed");
    EXPECT_EQ(read(binary(0x21, 0x11, string(2049, 'x'))), "failed");
}

http_step get_client(http_request *req, http_response *res) {
    tina_address address;
    char text[TINA_ADDRESS_TEXT_BYTES] = "nobody";
    if (http_client(req, &address))
        tina_address_format(&address, text);
    return http_text(res, 200, "%s\n", text);
}

const http_counters *counters;

http_step get_index(http_request *req, http_response *res) {
    counters = http_count(http_ctx(req));
    return http_text(res, 200, "index");
}

const http_route routes[] = {{HTTP_GET, "/", get_index, 0, 0, false},
                             {HTTP_GET, "/client", get_client, 0, 0, false}};
const string kGet = "GET /client HTTP/1.1\r\nHost: h\r\n\r\n";
const string kLine = "PROXY TCP4 192.168.0.1 10.0.0.1 56324 80\r\n";

http_server proxied() {
    http_server server = {};
    server.proxy_protocol = true;
    return server;
}

TEST(Proxy, IntroducesTheClientOfAllRequests) {
    Site site(HTTP_ROUTES(routes), proxied());
    for (const string &header :
         {kLine, binary(0x21, 0x11, string("\xc0\xa8\0\1\x0a\0\0\1\xdc\4\0\x50", 12))}) {
        Client at_once(site);
        string response = at_once.ask(header + kGet + kGet);
        EXPECT_TRUE(EndsWith(response, "\r\n\r\n192.168.0.1:56324\n"));
        EXPECT_TRUE(EndsWith(at_once.ask(kGet), "192.168.0.1:56324\n"));
        for (size_t cut = 1; cut < (header + kGet).size(); cut++) {
            Client split(site);
            response = split.ask((header + kGet).substr(0, cut));
            response += split.ask((header + kGet).substr(cut));
            EXPECT_EQ(StatusOf(response), "200") << cut;
            EXPECT_TRUE(EndsWith(response, "192.168.0.1:56324\n")) << cut;
            split.close();
        }
        Client idle(site);
        EXPECT_EQ(idle.ask(header), "");
        EXPECT_TRUE(EndsWith(idle.ask(kGet), "192.168.0.1:56324\n"));
        EXPECT_TRUE(EndsWith(idle.ask(header + kGet), "<end>")); // only once
    }
}

TEST(Proxy, WithoutItsHeaderAConnectionIsClosedWithoutAWord) {
    Site site(HTTP_ROUTES(routes), proxied());
    for (const string &bytes : {kGet, string("\x16\x03\x01"), string("PROXY TCP4 x\r\n") + kGet}) {
        Client client(site);
        EXPECT_EQ(client.ask(bytes), "<end>");
        client.close();
    }
    Client stalls(site);
    EXPECT_EQ(stalls.ask("PROXY "), "");
    site.harness->Sleep(11 * kSecond);
    EXPECT_EQ(stalls.take(), "<end>");
    Client ends(site);
    ends.send("PROXY ");
    ends.half_close();
    EXPECT_EQ(ends.take(), "<end>");
    Client good(site);
    EXPECT_EQ(StatusOf(good.ask(kLine + "GET / HTTP/1.1\r\nHost: h\r\n\r\n")), "200");
    EXPECT_EQ(counters->contexts_in_use, 0u);
}

TEST(Proxy, WhereItIsOffItsHeaderIsNoRequest) {
    Site site(HTTP_ROUTES(routes));
    Client line(site);
    EXPECT_EQ(StatusOf(line.ask(kLine + kGet)), "400");
    Client client(site);
    string response = client.ask(kGet);
    EXPECT_EQ(StatusOf(response), "200");
    EXPECT_EQ(response.find("192.168.0.1"), string::npos);
}

} // namespace
