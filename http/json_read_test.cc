// SPDX-License-Identifier: Apache-2.0
#include "http/json_read.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

using std::string;

// A text that ends at an inaccessible page.
class Flush {
  public:
    explicit Flush(const string &text) : bytes_(text.size()) {
        pages_ = (bytes_ + 4095) / 4096 * 4096;
        base_ = static_cast<char *>(mmap(nullptr, pages_ + 4096, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        EXPECT_EQ(mprotect(base_ + pages_, 4096, PROT_NONE), 0);
        memcpy(data(), text.data(), bytes_);
    }
    ~Flush() {
        munmap(base_, pages_ + 4096);
    }
    Flush(const Flush &) = delete;
    Flush &operator=(const Flush &) = delete;
    char *data() {
        return base_ + pages_ - bytes_;
    }

  private:
    size_t bytes_;
    size_t pages_;
    char *base_;
};

struct Doc {
    explicit Doc(const string &text, uint32_t room = 1000) : flush(text), values(room) {
        http_json_doc counted;
        result = http_json_read(&json, flush.data(), text.size(), values.data(), room);
        http_json_result checked = http_json_read(&counted, flush.data(), text.size(), nullptr, 0);
        if (result == HTTP_JSON_OK) {
            EXPECT_EQ(checked, HTTP_JSON_OK) << text;
            EXPECT_EQ(counted.count, json.count) << text;
            EXPECT_EQ(json.values[0].next, json.count) << text;
        }
    }
    string text_of(uint32_t value) {
        string out(json.values[value].bytes, '?');
        out.resize(http_json_text(&json, value, &out[0]));
        return out;
    }
    string compact(uint32_t value) {
        string out(json.values[value].bytes + 2, '?');
        out.resize(http_json_compact(&json, value, &out[0]));
        return out;
    }

    Flush flush;
    std::vector<http_json_value> values;
    http_json_doc json;
    http_json_result result;
};

TEST(JsonRead, TakesWhatRfc8259Allows) {
    for (const char *text : {"null",
                             "true",
                             "false",
                             "0",
                             "-0",
                             "10",
                             "-1.5e+10",
                             "1E400",
                             "0.0e-0",
                             "\"\"",
                             "[]",
                             "{}",
                             " \t\r\n[ ] ",
                             "[1,2]",
                             "{\"a\":{\"b\":[{}]}}",
                             "{\"a\":1,\"a\":2}",
                             "{\"\":0}",
                             "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"",
                             "\"\\ud800\"",
                             "\"caf\xc3\xa9\"",
                             "\"\xf4\x8f\xbf\xbf\"",
                             "\"\x7f\"",
                             "[[[[[[[[]]]]]]]]"})
        EXPECT_EQ(Doc(text).result, HTTP_JSON_OK) << text;
}

TEST(JsonRead, RefusesWhatItDoesNot) {
    for (const string &text : std::vector<string>{"",
                                                  " ",
                                                  "nul",
                                                  "nulll",
                                                  "True",
                                                  "NaN",
                                                  "Infinity",
                                                  "-",
                                                  "+1",
                                                  "01",
                                                  "-01",
                                                  "1.",
                                                  ".1",
                                                  "1e",
                                                  "1e+",
                                                  "1.e1",
                                                  "0x1",
                                                  "1 2",
                                                  "[",
                                                  "]",
                                                  "[1",
                                                  "[1,",
                                                  "[1,]",
                                                  "[,1]",
                                                  "[1 2]",
                                                  "{",
                                                  "}",
                                                  "{\"a\"",
                                                  "{\"a\":",
                                                  "{\"a\":1",
                                                  "{\"a\":1,",
                                                  "{\"a\":1,}",
                                                  "{a:1}",
                                                  "{1:1}",
                                                  "{\"a\" 1}",
                                                  "{\"a\":1 \"b\":2}",
                                                  "{,}",
                                                  "[}",
                                                  "{]",
                                                  "[1}",
                                                  "{\"a\":1]",
                                                  "\"",
                                                  "\"a",
                                                  "\"\\",
                                                  "\"\\x\"",
                                                  "\"\\u\"",
                                                  "\"\\u123\"",
                                                  "\"\\u123g\"",
                                                  "\"\n\"",
                                                  "\"\t\"",
                                                  "'a'",
                                                  "\"\x80\"",
                                                  "\"\xc0\xaf\"",
                                                  "\"\xed\xa0\x80\"",
                                                  "\"\xf4\x90\x80\x80\"",
                                                  "\"\xe2\x82\"",
                                                  "\xef\xbb\xbf{}",
                                                  "[1]x",
                                                  "{}{}",
                                                  "// a\n1",
                                                  "[1,/**/2]",
                                                  "\v1",
                                                  string("1\0", 2),
                                                  string("\0", 1),
                                                  string("\"\0\"", 3),
                                                  string("\"\\\0\"", 4),
                                                  "\xc2\xa0"
                                                  "1"})
        EXPECT_EQ(Doc(text).result, HTTP_JSON_BAD) << text;
}

TEST(JsonRead, EveryPrefixOfATextIsRefused) {
    string text = "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\"], \"b\": {\"c\": null}, \"d\": true}";
    for (size_t bytes = 0; bytes < text.size(); bytes++)
        EXPECT_EQ(Doc(text.substr(0, bytes)).result, HTTP_JSON_BAD) << bytes;
    EXPECT_EQ(Doc(text).result, HTTP_JSON_OK);
}

TEST(JsonRead, IsBounded) {
    string deep = string(HTTP_JSON_DEPTH_MAX, '[') + string(HTTP_JSON_DEPTH_MAX, ']');
    EXPECT_EQ(Doc(deep).result, HTTP_JSON_OK);
    EXPECT_EQ(Doc("[" + deep + "]").result, HTTP_JSON_TOO_LARGE);
    EXPECT_EQ(Doc("[1,2,3]", 4).result, HTTP_JSON_OK);
    EXPECT_EQ(Doc("[1,2,3]", 3).result, HTTP_JSON_TOO_LARGE);
    EXPECT_EQ(Doc("{\"a\":1}", 2).result, HTTP_JSON_TOO_LARGE);
}

TEST(JsonRead, KeepsOrderAndFindsMembers) {
    Doc doc("{ \"b\": [1, {\"x\": \"y\"}], \"a\": \"\\u0062\", \"\\u0061\\n\": 7, \"a\" : 8 }");
    ASSERT_EQ(doc.result, HTTP_JSON_OK);
    EXPECT_EQ(doc.compact(0),
              "{\"b\":[1,{\"x\":\"y\"}],\"a\":\"\\u0062\",\"\\u0061\\n\":7,\"a\":8}");
    uint32_t b = http_json_member(&doc.json, 0, "b");
    EXPECT_EQ(doc.compact(b), "[1,{\"x\":\"y\"}]");
    EXPECT_EQ(doc.compact(b + 1), "1");
    EXPECT_EQ(doc.compact(http_json_member(&doc.json, b + 2, "x")), "\"y\"");
    uint64_t number = 0;
    EXPECT_TRUE(http_json_uint(&doc.json, http_json_member(&doc.json, 0, "a"), &number));
    EXPECT_EQ(number, 8u); // the last of that name
    EXPECT_TRUE(http_json_uint(&doc.json, http_json_member(&doc.json, 0, "a\n"), &number));
    EXPECT_EQ(number, 7u);
    for (const char *none : {"", "c", "bb", "a\nb", "x"})
        EXPECT_EQ(http_json_member(&doc.json, 0, none), 0u) << none;
    EXPECT_EQ(http_json_member(&doc.json, b, "x"), 0u);
}

TEST(JsonRead, DecodesStrings) {
    Doc doc("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\ud83d\\u0041\\ude00"
            "\\ud83d\xc3\xa9\"");
    ASSERT_EQ(doc.result, HTTP_JSON_OK);
    EXPECT_EQ(doc.text_of(0), "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
                              "\xef\xbf\xbd"
                              "A\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9");
    EXPECT_EQ(Doc("\"\\u0000\"").text_of(0), string("\0", 1));
    EXPECT_EQ(Doc("\"\\ud83d\\ud83d\\ude00\"").text_of(0), "\xef\xbf\xbd\xf0\x9f\x98\x80");
}

TEST(JsonRead, ReadsNumbersThatAreCounts) {
    uint64_t number = 0;
    Doc most("18446744073709551615");
    EXPECT_TRUE(http_json_uint(&most.json, 0, &number));
    EXPECT_EQ(number, UINT64_MAX);
    for (const char *text : {"18446744073709551616", "-1", "1.0", "1e3", "\"1\"", "null"}) {
        Doc doc(text);
        EXPECT_FALSE(http_json_uint(&doc.json, 0, &number)) << text;
    }
}

} // namespace
