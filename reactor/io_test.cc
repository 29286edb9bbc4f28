// SPDX-License-Identifier: Apache-2.0

#include "reactor/io.h"

#include <errno.h>

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace {

std::string format(const tina_address &address) {
    char text[TINA_ADDRESS_TEXT_BYTES];
    memset(text, '?', sizeof text);
    size_t bytes = tina_address_format(&address, text);
    EXPECT_EQ(strlen(text), bytes);
    return text;
}

std::string parsed(const std::string &text, uint16_t port) {
    tina_address address;
    memset(&address, 0xFF, sizeof address);
    return tina_address_parse(text.c_str(), port, &address) ? format(address) : "refused";
}

TEST(Address, ReadsAndWritesEveryFamily) {
    EXPECT_EQ(parsed("1.2.3.4", 80), "1.2.3.4:80");
    EXPECT_EQ(parsed("255.255.255.255", 65535), "255.255.255.255:65535");
    EXPECT_EQ(parsed("::1", 80), "[::1]:80");
    EXPECT_EQ(parsed("fe80::1%2", 80), "[fe80::1%2]:80");
    EXPECT_EQ(parsed("fe80::1%4294967295", 80), "[fe80::1%4294967295]:80");
    EXPECT_EQ(parsed("unix:/run/a", 80), "unix:/run/a");
    std::string longest(TINA_UNIX_PATH_BYTES_MAX, 'p');
    EXPECT_EQ(parsed("unix:" + longest, 0), "unix:" + longest);
    EXPECT_EQ(format(tina_address_ipv4(127, 0, 0, 1, 8080)), "127.0.0.1:8080");
    EXPECT_EQ(format(tina_address()), "none");
    EXPECT_EQ(parsed("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295", 65535),
              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

TEST(Address, RefusesWhatIsNoneAndLeavesItAlone) {
    for (const char *text : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4 ", "localhost",
                             ":", "::g", "1::2::3", "[::1]", "::1%", "::1%x", "::1%4294967296",
                             "::1%99999999999999999999", "%1", "unix:", "1.2.3.4:80", "::1 "}) {
        EXPECT_EQ(parsed(text, 1), "refused") << text;
    }
    EXPECT_EQ(parsed("unix:" + std::string(TINA_UNIX_PATH_BYTES_MAX + 1, 'p'), 0), "refused");
    EXPECT_EQ(parsed(std::string(1000, ':'), 0), "refused");
    tina_address address = tina_address_ipv4(1, 2, 3, 4, 5);
    EXPECT_FALSE(tina_address_parse("nonsense", 9, &address));
    EXPECT_EQ(format(address), "1.2.3.4:5");
}

TEST(Io, EveryErrorHasASentenceOfItsOwn) {
    EXPECT_STREQ(tina_io_error_text(-ECONNRESET), strerror(ECONNRESET));
    for (int32_t a = TINA_IO_BAD_OP; a <= TINA_IO_TIMED_OUT; a++) {
        EXPECT_STRNE(tina_io_error_text(a), "Unknown error");
        for (int32_t b = TINA_IO_BAD_OP; b < a; b++) {
            EXPECT_STRNE(tina_io_error_text(a), tina_io_error_text(b));
        }
    }
    for (int32_t nothing : {0, 1, INT32_MAX, INT32_MIN, -4095, -4096, TINA_IO_BAD_OP - 1}) {
        EXPECT_STREQ(tina_io_error_text(nothing), "Unknown error") << nothing;
    }
}

} // namespace
