// SPDX-License-Identifier: Apache-2.0
#include "http/range.h"

#include <gtest/gtest.h>

#include <string>

namespace {

using std::string;

string read(const string &value, uint64_t bytes) {
    http_range ranges[HTTP_RANGES_MAX];
    uint32_t count;
    switch (http_ranges_read(value.c_str(), bytes, ranges, &count)) {
    case HTTP_RANGES_IGNORE:
        return "ignore";
    case HTTP_RANGES_BEYOND:
        return "beyond";
    case HTTP_RANGES_OK:
        break;
    }
    string text;
    for (uint32_t i = 0; i < count; i++)
        text += " " + std::to_string(ranges[i].first) + "-" + std::to_string(ranges[i].last);
    return text.empty() ? text : text.substr(1);
}

TEST(Range, ReadsWhatTheRfcShows) {
    EXPECT_EQ(read("bytes=0-499", 10000), "0-499");
    EXPECT_EQ(read("bytes=500-999", 10000), "500-999");
    EXPECT_EQ(read("bytes=-500", 10000), "9500-9999");
    EXPECT_EQ(read("bytes=9500-", 10000), "9500-9999");
    EXPECT_EQ(read("bytes=0-0,-1", 10000), "0-0 9999-9999");
    EXPECT_EQ(read("bytes= 0-999, 4500-5499, -1000", 10000), "0-999 4500-5499 9000-9999");
}

TEST(Range, IsCutToWhatIsThere) {
    EXPECT_EQ(read("bytes=20-100", 26), "20-25");
    EXPECT_EQ(read("bytes=0-18446744073709551616", 26), "0-25");
    EXPECT_EQ(read("bytes=0-99999999999999999999999999", 26), "0-25");
    EXPECT_EQ(read("bytes=-100", 26), "0-25");
    EXPECT_EQ(read("BYTES=25-25", 26), "25-25");
    EXPECT_EQ(read("bytes=0-", UINT64_MAX), "0-18446744073709551614");
}

TEST(Range, WhatLiesBeyondIsLeftOut) {
    EXPECT_EQ(read("bytes=26-", 26), "beyond");
    EXPECT_EQ(read("bytes=9999-10000", 26), "beyond");
    EXPECT_EQ(read("bytes=18446744073709551616-", 26), "beyond");
    EXPECT_EQ(read("bytes=-0", 26), "beyond");
    EXPECT_EQ(read("bytes=0-", 0), "beyond");
    EXPECT_EQ(read("bytes=-5", 0), "beyond");
    EXPECT_EQ(read("bytes=26-, 3-4, -0", 26), "3-4");
}

TEST(Range, WhatIsMalformedOrTooMuchIsIgnored) {
    for (const char *value : {"",
                              "bytes",
                              "bytes=",
                              "bytes=,",
                              "bytes=abc",
                              "bytes=5",
                              "bytes=-",
                              "bytes=5-2",
                              "bytes=1-2-3",
                              "bytes=1 -2",
                              "bytes=1- 2",
                              "bytes=0x0-1",
                              "bytes=+1-2",
                              "bytes=--1",
                              "bytes=1-2;",
                              "bytes=1-2 3-4",
                              "items=0-1",
                              "bytes =0-1",
                              "byte=0-1",
                              "bytes=1-2,x",
                              "bytes=-18446744073709551616-"})
        EXPECT_EQ(read(value, 26), "ignore") << value;
    EXPECT_EQ(read("bytes=0-1,,\t3-4 ,", 26), "0-1 3-4");
    EXPECT_EQ(read("bytes=0-,0-", 26), "ignore");
    EXPECT_EQ(read("bytes=0-20,10-25", 26), "ignore");
    string many = "bytes=0-0";
    for (int i = 1; i < 8; i++)
        many += "," + std::to_string(i) + "-" + std::to_string(i);
    EXPECT_EQ(read(many, 26), "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7");
    EXPECT_EQ(read(many + ",8-8", 26), "ignore");
    EXPECT_EQ(read(many + ",99-", 26), "ignore");
}

} // namespace
