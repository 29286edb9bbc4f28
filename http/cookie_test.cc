// SPDX-License-Identifier: Apache-2.0
#include "http/cookie.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "http/exchange.h"
#include "http/method.h"

namespace {

using std::string;

class Cookie : public ::testing::Test {
  protected:
    Cookie() : scratch_(64), out_(new uint8_t[kCapacity]) {
        head_.method = HTTP_GET;
        head_.minor = 1;
        request_.head = &head_;
        request_.scratch = reinterpret_cast<uint8_t *>(scratch_.data());
        request_.scratch_bytes = static_cast<uint32_t>(scratch_.size() * 8);
        response_.date = &date_;
        http_response_begin(&response_, &request_, out_.get(), kCapacity);
    }

    void receive(std::vector<std::pair<string, string>> fields) {
        texts_ = std::move(fields);
        fields_.clear();
        for (const auto &field : texts_) {
            fields_.push_back({field.first.c_str(), field.second.c_str(),
                               static_cast<uint32_t>(field.first.size()),
                               static_cast<uint32_t>(field.second.size())});
        }
        head_.fields = fields_.data();
        head_.field_count = static_cast<uint32_t>(fields_.size());
    }

    string get(const char *name) {
        request_.scratch_used = 0;
        const char *value = http_cookie(&request_, name);
        return value != nullptr ? value : "(none)";
    }

    string all() {
        string text;
        http_cookie_cursor cursor = {};
        while (http_cookie_next(&request_, &cursor)) {
            text += string(static_cast<const char *>(cursor.name.data), cursor.name.bytes) + "=" +
                    string(static_cast<const char *>(cursor.value.data), cursor.value.bytes) + "|";
        }
        return text;
    }

    // The line that is sent, or why none is.
    string set(const char *name, const char *value, const http_cookie_options *options = nullptr) {
        http_response_reset(&response_);
        bool good = http_set_cookie(&response_, name, value, options);
        EXPECT_EQ(good, response_.fault == nullptr);
        if (!good)
            return string("fault: ") + response_.fault;
        http_empty(&response_, 204);
        string text(reinterpret_cast<char *>(out_.get()), response_.bytes);
        size_t at = text.find("Set-Cookie: ") + 12;
        return text.substr(at, text.find("\r\n", at) - at);
    }

    bool refused(const char *name, const char *value, http_cookie_options options = {}) {
        return set(name, value, &options).substr(0, 7) == "fault: ";
    }

    static constexpr uint32_t kCapacity = 8192;
    std::vector<std::pair<string, string>> texts_;
    std::vector<http_field> fields_;
    http_head head_ = {};
    http_request request_ = {};
    http_date date_ = {};
    http_response response_ = {};
    std::vector<uint64_t> scratch_;
    std::unique_ptr<uint8_t[]> out_;
};

TEST_F(Cookie, IsReadByItsName) {
    receive({{"Cookie", "a=1; b=two; a=3; c=; =x; d; e=x=y; \"q\"=\"v\""}});
    EXPECT_EQ(get("a"), "1");
    EXPECT_EQ(get("b"), "two");
    EXPECT_EQ(get("c"), "");
    EXPECT_EQ(get("e"), "x=y");
    EXPECT_EQ(get("\"q\""), "\"v\"");
    EXPECT_EQ(get("A"), "(none)");
    EXPECT_EQ(get("d"), "(none)");
    EXPECT_EQ(get(""), "(none)");
    EXPECT_EQ(all(), "a=1|b=two|a=3|c=|e=x=y|\"q\"=\"v\"|");
}

TEST_F(Cookie, MayStandInSeveralFieldsAndBetweenBlanks) {
    receive(
        {{"X", "a=0"}, {"cookie", " a=1 ;\tb=2\t;;; c = 3"}, {"COOKIE", ""}, {"Cookie", "d=4"}});
    EXPECT_EQ(all(), "a=1|b=2|c = 3|d=4|");
    EXPECT_EQ(get("d"), "4");
    receive({});
    EXPECT_EQ(all(), "");
    EXPECT_EQ(get("a"), "(none)");
}

TEST_F(Cookie, ThatDoesNotFitIntoScratchIsAFault) {
    string text = "a=" + string(1000, 'x');
    receive({{"Cookie", text}});
    EXPECT_EQ(get("a"), "");
    EXPECT_TRUE(request_.scratch_short);
}

TEST_F(Cookie, IsSetForThisHostAndNotForScripts) {
    EXPECT_EQ(set("a", "1"), "a=1; Path=/; HttpOnly; SameSite=Lax");
    EXPECT_EQ(set("a", ""), "a=; Path=/; HttpOnly; SameSite=Lax");
    http_cookie_options options = {};
    options.max_age_s = 3600;
    options.path = "/shop";
    options.domain = "example.org";
    options.same_site = HTTP_SAME_SITE_STRICT;
    options.secure = true;
    options.for_scripts = true;
    EXPECT_EQ(set("a", "1", &options),
              "a=1; Path=/shop; Domain=example.org; Max-Age=3600; Secure; SameSite=Strict");
    options = {};
    options.max_age_s = -1;
    EXPECT_EQ(set("a", "", &options), "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

TEST_F(Cookie, NothingIsInjected) {
    for (const char *name : {"", "a b", "a=b", "a;b", "a\r\nb", "a\tb", "\xc3\xa9", "a,b", "\"a\""})
        EXPECT_TRUE(refused(name, "1")) << name;
    for (const char *value : {"a b", "a;b", "a,b", "a\"b", "a\\b", "a\r\nSet-Cookie: b=c", "a\n",
                              "a\tb", "\x7f", "\xc3\xa9", "; Secure"})
        EXPECT_TRUE(refused("a", value)) << value;
    for (const char *path : {"", "a", "/a;b", "/a\r\nX: y", "/\xc3\xa9"}) {
        http_cookie_options options = {};
        options.path = path;
        EXPECT_TRUE(refused("a", "1", options)) << path;
    }
    for (const char *domain : {"", "a;b", "a\nb", "a\x7f"}) {
        http_cookie_options options = {};
        options.domain = domain;
        EXPECT_TRUE(refused("a", "1", options)) << domain;
    }
    EXPECT_TRUE(refused("a", string(4096, 'x').c_str()));
}

TEST_F(Cookie, KeepsWhatItsNamePromises) {
    http_cookie_options plain = {};
    http_cookie_options secure = {};
    secure.secure = true;
    http_cookie_options domain = secure;
    domain.domain = "example.org";
    http_cookie_options path = secure;
    path.path = "/a";
    EXPECT_TRUE(refused("__Secure-a", "1", plain));
    EXPECT_FALSE(refused("__Secure-a", "1", domain));
    EXPECT_TRUE(refused("__Host-a", "1", plain));
    EXPECT_TRUE(refused("__host-a", "1", domain));
    EXPECT_TRUE(refused("__HOST-a", "1", path));
    EXPECT_FALSE(refused("__Host-a", "1", secure));
    http_cookie_options other = {};
    other.same_site = HTTP_SAME_SITE_NONE;
    EXPECT_TRUE(refused("a", "1", other));
    other.secure = true;
    EXPECT_FALSE(refused("a", "1", other));
    other.same_site = static_cast<http_same_site>(3);
    EXPECT_TRUE(refused("a", "1", other));
}

} // namespace
