// SPDX-License-Identifier: Apache-2.0
#include "http/condition.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using std::string;

const char kOld[] = "Sun, 06 Nov 1994 08:49:36 GMT";
const char kSame[] = "Sun, 06 Nov 1994 08:49:37 GMT";
const char kLater[] = "Sun, 06 Nov 1994 08:49:38 GMT";
const http_validators kValidators = {"\"a\"", 784111777, 800000000};

class Head {
  public:
    explicit Head(std::vector<std::pair<string, string>> fields) : texts_(std::move(fields)) {
        for (const auto &field : texts_) {
            fields_.push_back({field.first.c_str(), field.second.c_str(),
                               static_cast<uint32_t>(field.first.size()),
                               static_cast<uint32_t>(field.second.size())});
        }
        head = {};
        head.fields = fields_.data();
        head.field_count = static_cast<uint32_t>(fields_.size());
    }
    Head(const Head &) = delete;
    Head &operator=(const Head &) = delete;
    http_head head;

  private:
    std::vector<std::pair<string, string>> texts_;
    std::vector<http_field> fields_;
};

int condition(std::vector<std::pair<string, string>> fields) {
    Head head(std::move(fields));
    return http_condition(&head.head, &kValidators);
}

TEST(Condition, OneByOne) {
    EXPECT_EQ(condition({}), 0);
    EXPECT_EQ(condition({{"If-None-Match", "\"a\""}}), 304);
    EXPECT_EQ(condition({{"if-none-match", "W/\"a\""}}), 304);
    EXPECT_EQ(condition({{"If-None-Match", "\"b\""}}), 0);
    EXPECT_EQ(condition({{"If-None-Match", "\"b\", \"a\""}}), 304);
    EXPECT_EQ(condition({{"If-None-Match", "\"b\""}, {"If-None-Match", ",\"a\","}}), 304);
    EXPECT_EQ(condition({{"If-None-Match", "*"}}), 304);
    EXPECT_EQ(condition({{"If-None-Match", "\"b,\"a\""}}), 0);
    EXPECT_EQ(condition({{"If-None-Match", "a"}}), 0);
    EXPECT_EQ(condition({{"If-None-Match", ""}}), 0);
    EXPECT_EQ(condition({{"If-Match", "\"a\""}}), 0);
    EXPECT_EQ(condition({{"If-Match", "*"}}), 0);
    EXPECT_EQ(condition({{"If-Match", "W/\"a\""}}), 412);
    EXPECT_EQ(condition({{"If-Match", "\"b\""}}), 412);
    EXPECT_EQ(condition({{"If-Match", ""}}), 412);
    EXPECT_EQ(condition({{"If-Modified-Since", kOld}}), 0);
    EXPECT_EQ(condition({{"If-Modified-Since", kSame}}), 304);
    EXPECT_EQ(condition({{"If-Modified-Since", kLater}}), 304);
    EXPECT_EQ(condition({{"If-Unmodified-Since", kOld}}), 412);
    EXPECT_EQ(condition({{"If-Unmodified-Since", kSame}}), 0);
}

TEST(Condition, InTheirOrder) {
    EXPECT_EQ(condition({{"If-None-Match", "\"b\""}, {"If-Modified-Since", kLater}}), 0);
    EXPECT_EQ(condition({{"If-None-Match", "\"a\""}, {"If-Modified-Since", kOld}}), 304);
    EXPECT_EQ(condition({{"If-Match", "\"a\""}, {"If-Unmodified-Since", kOld}}), 0);
    EXPECT_EQ(condition({{"If-Match", "\"b\""}, {"If-None-Match", "\"a\""}}), 412);
    EXPECT_EQ(condition({{"If-Match", "\"a\""}, {"If-None-Match", "\"a\""}}), 304);
}

TEST(Condition, WhatIsNoDateIsIgnored) {
    EXPECT_EQ(condition({{"If-Modified-Since", "yesterday"}}), 0);
    EXPECT_EQ(condition({{"If-Unmodified-Since", "0"}}), 0);
    EXPECT_EQ(condition({{"If-Modified-Since", kSame}, {"If-Modified-Since", kSame}}), 0);
}

bool applies(const string &value) {
    Head head({{"If-Range", value}});
    return http_range_applies(&head.head, &kValidators);
}

TEST(Condition, ARangeIsOfTheSameThingOnly) {
    Head none({});
    EXPECT_TRUE(http_range_applies(&none.head, &kValidators));
    EXPECT_TRUE(applies("\"a\""));
    EXPECT_FALSE(applies("W/\"a\""));
    EXPECT_FALSE(applies("\"b\""));
    EXPECT_TRUE(applies(kSame));
    EXPECT_FALSE(applies(kOld));
    EXPECT_FALSE(applies(kLater));
    EXPECT_FALSE(applies("*"));
    EXPECT_FALSE(applies(""));
}

bool accepts(std::vector<std::pair<string, string>> fields, const char *coding = "gzip") {
    Head head(std::move(fields));
    return http_accepts_coding(&head.head, coding);
}

TEST(Condition, CodingsAreAcceptedByName) {
    EXPECT_FALSE(accepts({}));
    EXPECT_TRUE(accepts({{"Accept-Encoding", "gzip"}}));
    EXPECT_TRUE(accepts({{"Accept-Encoding", "br, GZip;q=0.5"}}));
    EXPECT_TRUE(accepts({{"Accept-Encoding", "br"}, {"Accept-Encoding", "gzip"}}));
    EXPECT_TRUE(accepts({{"Accept-Encoding", "*"}}));
    EXPECT_TRUE(accepts({{"Accept-Encoding", "gzip;q=0.001"}}));
    EXPECT_FALSE(accepts({{"Accept-Encoding", "gzip;q=0"}}));
    EXPECT_FALSE(accepts({{"Accept-Encoding", "gzip ; q=0.000, *"}}));
    EXPECT_FALSE(accepts({{"Accept-Encoding", "*;q=0"}}));
    EXPECT_FALSE(accepts({{"Accept-Encoding", "gzipx, x-gzip"}}));
    EXPECT_FALSE(accepts({{"Accept-Encoding", ""}}));
    EXPECT_FALSE(accepts({{"Accept-Encoding", "identity"}}));
}

} // namespace
