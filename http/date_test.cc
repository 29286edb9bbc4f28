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

} // namespace
