// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <gtest/gtest.h>
#include <time.h>

#include <string>

#include "core/prng.h"

namespace {

std::string render(uint64_t wall_s) {
    http_date date = {};
    return http_date_text(&date, wall_s);
}

TEST(Date, RendersWhatTheRfcShows) {
    EXPECT_EQ(render(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(render(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(render(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
    EXPECT_EQ(render(4107542399), "Sun, 28 Feb 2100 23:59:59 GMT");
    EXPECT_EQ(render(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
    EXPECT_EQ(render(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(Date, RendersWhatLibcRenders) {
    tina_prng prng = tina_prng_make(1, 1, 1);
    for (int i = 0; i < 100000; i++) {
        time_t when = static_cast<time_t>(tina_prng_below(&prng, 253402300800));
        struct tm parts;
        gmtime_r(&when, &parts);
        char expected[64];
        strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        ASSERT_EQ(render(static_cast<uint64_t>(when)), expected);
    }
}

TEST(Date, RendersAgainOnlyWhenTheSecondChanges) {
    http_date date = {};
    http_date_text(&date, 10);
    date.text[0] = 'X';
    EXPECT_EQ(http_date_text(&date, 10)[0], 'X');
    EXPECT_EQ(http_date_text(&date, 11)[0], 'T');
    EXPECT_EQ(http_date_text(&date, 10)[0], 'T'); // also when the clock is set back
}

bool read(const std::string &text, uint64_t *seconds, uint64_t wall_s = 1700000000) {
    return http_date_read(text.c_str(), wall_s, seconds);
}

TEST(Date, ReadsAllThreeForms) {
    for (const char *text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                             "Sun Nov  6 08:49:37 1994"}) {
        uint64_t seconds = 0;
        EXPECT_TRUE(read(text, &seconds)) << text;
        EXPECT_EQ(seconds, 784111777u) << text;
    }
    uint64_t seconds = 0;
    EXPECT_TRUE(read("Wed Nov 16 08:49:37 1994", &seconds));
    EXPECT_EQ(seconds, 784975777u);
    EXPECT_TRUE(read("Wednesday, 01-Jan-70 00:00:01 GMT", &seconds, 100));
    EXPECT_EQ(seconds, 1u);
    EXPECT_TRUE(read("Monday, 01-Jan-73 00:00:00 GMT", &seconds)); // 50 years ahead of 2023
    EXPECT_EQ(seconds, 3250454400u);
    EXPECT_TRUE(read("Tuesday, 01-Jan-74 00:00:00 GMT", &seconds)); // and 51
    EXPECT_EQ(seconds, 126230400u);
}

TEST(Date, ReadsWhatItWrites) {
    tina_prng prng = tina_prng_make(1, 2, 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t when = tina_prng_below(&prng, 253402300800);
        uint64_t seconds = 0;
        ASSERT_TRUE(read(render(when), &seconds)) << when;
        ASSERT_EQ(seconds, when);
    }
}

TEST(Date, ReadsNothingElse) {
    for (const char *text : {"",
                             "Sun",
                             "Sun, 06 Nov 1994 08:49:37",
                             "Sun, 06 Nov 1994 08:49:37 GMT ",
                             " Sun, 06 Nov 1994 08:49:37 GMT",
                             "Sun, 6 Nov 1994 08:49:37 GMT",
                             "sun, 06 Nov 1994 08:49:37 GMT",
                             "Sun, 06 Nov 1994 08:49:37 UTC",
                             "Sun, 06 Nov 1994 24:00:00 GMT",
                             "Sun, 06 Nov 1994 08:60:37 GMT",
                             "Sun, 06 Nov 1994 08:49:61 GMT",
                             "Sun, 31 Nov 1994 08:49:37 GMT",
                             "Sun, 00 Nov 1994 08:49:37 GMT",
                             "Sun, 29 Feb 2100 08:49:37 GMT",
                             "Wed, 31 Dec 1969 23:59:59 GMT",
                             "Sun, 06 Now 1994 08:49:37 GMT",
                             "Sunday, 06 Nov 1994 08:49:37 GMT",
                             "Sun Nov 06  08:49:37 1994",
                             "Sun Nov   6 08:49:37 1994",
                             "784111777",
                             "Sun, 06 Nov 19940 08:49:37 GMT"}) {
        uint64_t seconds = 0;
        EXPECT_FALSE(read(text, &seconds)) << text;
    }
}

} // namespace
