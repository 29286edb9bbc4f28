// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "http/exchange.h"
#include "http/method.h"

namespace {

using std::string;

constexpr uint32_t kCapacity = 2048;
const string kDate = "Date: Thu, 01 Jan 1970 00:00:07 GMT\r\n";

class Response : public ::testing::Test {
  protected:
    Response() {
        head_.method = HTTP_GET;
        head_.minor = 1;
        request_.head = &head_;
        response_.date = &date_;
        response_.wall_s = 7;
        // Its own allocation, so that ASan sees a byte too many.
        out_.reset(new uint8_t[kCapacity]);
        begin();
    }

    void begin() {
        http_response_begin(&response_, &request_, out_.get(), kCapacity);
    }

    string text() const {
        return string(reinterpret_cast<char *>(out_.get()), response_.bytes) +
               string(static_cast<const char *>(response_.tail.data), response_.tail.bytes);
    }

    http_head head_ = {};
    http_request request_ = {};
    http_date date_ = {};
    http_response response_ = {};
    std::unique_ptr<uint8_t[]> out_;
};

TEST_F(Response, IsWrittenAsTheRfcSays) {
    EXPECT_TRUE(http_set_header(&response_, "Cache-Control", "no-cache"));
    EXPECT_TRUE(http_set_header(&response_, "X-Empty", ""));
    http_json(&response_, 200, "{\"id\":%d}", 42);
    EXPECT_EQ(text(), "HTTP/1.1 200 OK\r\n" + kDate +
                          "Content-Type: application/json\r\nContent-Length: 9\r\n"
                          "Cache-Control: no-cache\r\nX-Empty: \r\n\r\n{\"id\":42}");
}

TEST_F(Response, OfAStatusWithoutANameHasAnEmptyOne) {
    http_text(&response_, 299, "%s", "");
    EXPECT_EQ(text().substr(0, 15), "HTTP/1.1 299 \r\n");
}

TEST_F(Response, ToHeadHasTheLengthAndNoBody) {
    head_.method = HTTP_HEAD;
    http_text(&response_, 200, "hello");
    EXPECT_EQ(text().substr(text().size() - 21), "Content-Length: 5\r\n\r\n");
}

TEST_F(Response, WithoutABodyByItsStatusHasNoLengthEither) {
    for (int status : {204, 304}) {
        begin();
        http_text(&response_, status, "dropped");
        EXPECT_EQ(text().find("Content-"), string::npos);
        EXPECT_EQ(text().find("dropped"), string::npos);
        begin();
        http_static(&response_, status, "a/b", "dropped", 7);
        EXPECT_EQ(text().find("dropped"), string::npos);
    }
    begin();
    http_empty(&response_, 200);
    EXPECT_NE(text().find("Content-Length: 0\r\n"), string::npos);
    EXPECT_EQ(text().find("Content-Type"), string::npos);
}

TEST_F(Response, SaysWhetherTheConnectionGoesOn) {
    http_text(&response_, 200, "x");
    EXPECT_EQ(text().find("Connection"), string::npos);
    begin();
    response_.close = true;
    http_text(&response_, 200, "x");
    EXPECT_NE(text().find("\r\nConnection: close\r\n"), string::npos);
    begin();
    head_.minor = 0;
    http_text(&response_, 200, "x");
    EXPECT_NE(text().find("\r\nConnection: keep-alive\r\n"), string::npos);
}

TEST_F(Response, CannotBeInjectedInto) {
    const struct {
        const char *name;
        const char *value;
    } bad[] = {
        {"X", "a\r\nY: b"},  {"X", "a\rb"},   {"X", "a\nb"},           {"X", "a\x01"},
        {"X", "a\x7f"},      {"X\r\nY", "b"}, {"X: y\r\nZ", "b"},      {"", "b"},
        {"X Y", "b"},        {"X:", "b"},     {"content-length", "0"}, {"Transfer-Encoding", "x"},
        {"Connection", "x"}, {"DATE", "x"},
    };
    for (const auto &field : bad) {
        begin();
        EXPECT_FALSE(http_set_header(&response_, field.name, field.value)) << field.name;
        http_text(&response_, 200, "x");
        EXPECT_EQ(response_.bytes, 0u);
        EXPECT_NE(response_.fault, nullptr);
        http_respond_status(&response_, 500, 0);
        EXPECT_EQ(text().find("\r\nX"), string::npos);
        EXPECT_EQ(text().find("\r\nY"), string::npos);
        EXPECT_EQ(text().substr(0, 13), "HTTP/1.1 500 ");
    }
    begin();
    http_bytes(&response_, 200, "a/b\r\nX: y", "x", 1);
    EXPECT_NE(response_.fault, nullptr);
    begin();
    EXPECT_TRUE(http_set_header(&response_, "X", "caf\xc3\xa9\t;"));
}

TEST_F(Response, KeepsAContentTypeThatTheHandlerSet) {
    http_set_header(&response_, "content-TYPE", "text/html");
    http_text(&response_, 200, "x");
    EXPECT_NE(text().find("content-TYPE: text/html\r\n"), string::npos);
    EXPECT_EQ(text().find("Content-Type"), string::npos);
}

TEST_F(Response, ThatDoesNotFitIsAFaultToTheByte) {
    const string most(kCapacity - HTTP_RESPONSE_ROOM_BYTES, 'x');
    http_bytes(&response_, 200, "a/b", most.data(), most.size());
    EXPECT_EQ(response_.fault, nullptr);
    EXPECT_EQ(text().substr(text().size() - most.size()), most);
    begin();
    http_bytes(&response_, 200, "a/b", (most + "x").data(), most.size() + 1);
    EXPECT_NE(response_.fault, nullptr);
    begin();
    http_text(&response_, 200, "%s", most.substr(1).c_str()); // and the formatter's NUL
    EXPECT_EQ(response_.fault, nullptr);
    begin();
    http_text(&response_, 200, "%s", most.c_str());
    EXPECT_NE(response_.fault, nullptr);
    begin();
    for (int i = 0; i < 100 && response_.fault == nullptr; i++)
        http_set_header(&response_, "X-Field", "0123456789012345678901234567890123456789");
    EXPECT_NE(response_.fault, nullptr);
    http_respond_status(&response_, 500, 0);
    EXPECT_EQ(response_.fault, nullptr);
}

TEST_F(Response, OfAnyStatusAndScratchIsChecked) {
    for (int status : {-1, 0, 100, 199, 600, 1000}) {
        begin();
        http_text(&response_, status, "x");
        EXPECT_NE(response_.fault, nullptr) << status;
    }
    begin();
    request_.scratch_short = true;
    http_text(&response_, 200, "x");
    EXPECT_NE(response_.fault, nullptr);
}

TEST_F(Response, SendsTheRequestsBodyFromWhereItLies) {
    string body(5000, 'b');
    request_.body = {body.data(), body.size()};
    http_bytes(&response_, 200, "a/b", body.data() + 1, body.size() - 1);
    EXPECT_EQ(response_.fault, nullptr);
    EXPECT_EQ(response_.tail.data, body.data() + 1);
    EXPECT_NE(text().find("Content-Length: 4999\r\n"), string::npos);
    begin();
    http_bytes(&response_, 200, "a/b", body.data() + 1, body.size());
    EXPECT_NE(response_.fault, nullptr); // a byte beyond it
    begin();
    http_static(&response_, 200, "a/b", body.data(), body.size());
    EXPECT_EQ(text().substr(text().size() - body.size()), body);
}

TEST_F(Response, AllowListsEveryMethod) {
    http_respond_status(&response_, 405, UINT64_C(1) << HTTP_GET | UINT64_C(1) << HTTP_POST);
    EXPECT_NE(text().find("\r\nAllow: GET, POST\r\n"), string::npos);
    begin();
    http_respond_status(&response_, 204, ~UINT64_C(1));
    EXPECT_NE(text().find("MKCALENDAR"), string::npos);
    EXPECT_EQ(response_.fault, nullptr);
}

} // namespace
