// SPDX-License-Identifier: Apache-2.0
#include "http/request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/exchange.h"
#include "http/method.h"

namespace {

using std::string;

class Request : public ::testing::Test {
  protected:
    Request() : scratch_(64) {
        request_.head = &head_;
        request_.scratch = reinterpret_cast<uint8_t *>(scratch_.data());
        request_.scratch_bytes = static_cast<uint32_t>(scratch_.size() * 8);
        route_.pattern = "/users/:id/*rest";
        request_.match.route = &route_;
        request_.match.param_count = 2;
        request_.match.params[0] = {"a%20%2f", 7};
        request_.match.params[1] = {"b/c", 3};
    }

    string query(const char *text, const char *name) {
        request_.scratch_used = 0;
        head_.query = text;
        const char *value = http_query(&request_, name);
        return value != nullptr ? value : "(none)";
    }

    string quote(const char *text) {
        request_.scratch_used = 0;
        return http_json_quote(&request_, text);
    }

    http_head head_ = {};
    http_route route_ = {};
    http_request request_ = {};
    std::vector<uint64_t> scratch_;
};

TEST_F(Request, DecodesItsParameters) {
    EXPECT_STREQ(http_param(&request_, "id"), "a /");
    EXPECT_STREQ(http_param(&request_, "rest"), "b/c");
    EXPECT_EQ(http_param(&request_, "nobody"), nullptr);
}

TEST_F(Request, FindsQueryParameters) {
    EXPECT_EQ(query("a=1&b=2&a=3", "a"), "1");
    EXPECT_EQ(query("a=1&b=2&a=3", "b"), "2");
    EXPECT_EQ(query("ab=1&b=2", "a"), "(none)");
    EXPECT_EQ(query("a=1", "ab"), "(none)");
    EXPECT_EQ(query("a&b", "a"), "");
    EXPECT_EQ(query("a=&b", "a"), "");
    EXPECT_EQ(query("", "a"), "(none)");
    EXPECT_EQ(query("x=a+b%2B%26%3d=", "x"), "a b+&==");
    EXPECT_EQ(query("%78=1", "x"), "1");
    EXPECT_EQ(query("x=100%&y=%4", "x"), "100%");
    EXPECT_EQ(query("x=100%&y=%4", "y"), "%4");
    EXPECT_EQ(query("x=a%00b&y=1", "x"), "(none)");
    EXPECT_EQ(query("x%00=1", "x"), "(none)");
    EXPECT_EQ(query("&&x=1", "x"), "1");
    head_.query = nullptr;
    EXPECT_EQ(http_query(&request_, "x"), nullptr);
}

TEST_F(Request, FindsFieldsWhateverTheirCase) {
    http_field fields[] = {{"Accept", "a", 6, 1}, {"X-Y", "1", 3, 1}, {"x-y", "2", 3, 1}};
    head_.fields = fields;
    head_.field_count = 3;
    EXPECT_STREQ(http_header(&request_, "ACCEPT"), "a");
    EXPECT_STREQ(http_header(&request_, "x-Y"), "1");
    EXPECT_EQ(http_header(&request_, "x"), nullptr);
    const char *name;
    EXPECT_STREQ(http_header_at(&request_, 2, &name), "2");
    EXPECT_STREQ(name, "x-y");
}

TEST_F(Request, QuotesJsonSoThatNothingEscapes) {
    EXPECT_EQ(quote("a\"b\\c\n\x01\x7f"), "\"a\\\"b\\\\c\\u000a\\u0001\x7f\"");
    EXPECT_EQ(quote(""), "\"\"");
    EXPECT_EQ(quote(nullptr), "null");
    EXPECT_EQ(quote("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
              "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    const string bad = "\xEF\xBF\xBD";
    EXPECT_EQ(quote("\xff"), "\"" + bad + "\"");
    EXPECT_EQ(quote("\xc3"), "\"" + bad + "\"");                               // cut short
    EXPECT_EQ(quote("\xc0\xaf"), "\"" + bad + bad + "\"");                     // overlong
    EXPECT_EQ(quote("\xed\xa0\x80"), "\"" + bad + bad + bad + "\"");           // a surrogate
    EXPECT_EQ(quote("\xf4\x90\x80\x80"), "\"" + bad + bad + bad + bad + "\""); // above U+10FFFF
    EXPECT_EQ(quote("\xe2\x82\""), "\"" + bad + bad + "\\\"\"");
}

TEST_F(Request, SaysWhenItsScratchIsUsedUp) {
    EXPECT_NE(http_scratch(&request_, 496), nullptr);
    EXPECT_NE(http_scratch(&request_, 16), nullptr);
    EXPECT_FALSE(request_.scratch_short);
    EXPECT_EQ(http_scratch(&request_, 1), nullptr);
    EXPECT_TRUE(request_.scratch_short);
    EXPECT_STREQ(http_param(&request_, "id"), "");
    EXPECT_STREQ(http_json_quote(&request_, "x"), "null");
    EXPECT_EQ(http_scratch(&request_, SIZE_MAX), nullptr);
}

} // namespace
