// SPDX-License-Identifier: Apache-2.0
#include "http/parse.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/prng.h"
#include "http/method.h"

namespace {

using std::string;

// Memory that ends at an inaccessible page: a byte read or written past it is a fault.
class Flush {
  public:
    explicit Flush(size_t bytes) {
        size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        size_t usable = (bytes + page - 1) / page * page;
        mapped_ = usable + page;
        base_ = static_cast<uint8_t *>(
            mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        EXPECT_NE(base_, MAP_FAILED);
        EXPECT_EQ(mprotect(base_ + usable, page, PROT_NONE), 0);
        at = base_ + usable - bytes;
    }
    ~Flush() {
        munmap(base_, mapped_);
    }
    Flush(const Flush &) = delete;
    Flush &operator=(const Flush &) = delete;
    uint8_t *at;

  private:
    uint8_t *base_;
    size_t mapped_;
};

constexpr http_parser_limits kLimits = {8192, 16384, 100};
constexpr uint32_t kBodyLimit = 100000;

class Reader {
  public:
    explicit Reader(bool streamed = false)
        : streamed_(streamed), buffer_(http_parser_bytes(&kLimits)), room_(kBodyLimit),
          fields_(sizeof(http_field) * kLimits.field_count) {
        http_parser_init(&parser_, &kLimits, buffer_.at,
                         reinterpret_cast<http_field *>(fields_.at));
    }

    // Takes the bytes from memory that ends right behind them.
    void take(const string &bytes) {
        size_t at = 0;
        while (at < bytes.size() && !failed_) {
            size_t space = std::min<size_t>(http_parser_space(&parser_), kTakeMax);
            size_t count = std::min(bytes.size() - at, space);
            ASSERT_GT(count, 0u) << "no space, and yet more is asked for";
            uint8_t *input = input_.at + kTakeMax - count;
            memcpy(input, bytes.data() + at, count);
            http_parser_take(&parser_, input, static_cast<uint32_t>(count));
            at += count;
            run();
        }
    }

    // What came out: requests one a line, then the failure if there was one.
    string transcript;
    int requests = 0;

  private:
    void run() {
        for (;;) {
            switch (http_parser_run(&parser_)) {
            case HTTP_PARSE_MORE:
                return;
            case HTTP_PARSE_HEAD:
                if (streamed_)
                    http_parser_stream_body(&parser_, kBodyLimit);
                else
                    http_parser_limit_body(&parser_, kBodyLimit);
                break;
            case HTTP_PARSE_ROOM:
                http_parser_give_room(&parser_, room_.at, kBodyLimit);
                break;
            case HTTP_PARSE_PIECE:
                EXPECT_TRUE(streamed_);
                body_ += body();
                break;
            case HTTP_PARSE_WHOLE:
                body_ += body();
                write();
                http_parser_advance(&parser_);
                break;
            case HTTP_PARSE_FAILED:
                transcript += "failed " + std::to_string(parser_.status) + "\n";
                failed_ = true;
                return;
            }
        }
    }

    void write() {
        const http_head &head = parser_.head;
        requests++;
        transcript += http_method_name(static_cast<http_method>(head.method));
        transcript += string(" ") + head.target + " 1." + std::to_string(head.minor);
        EXPECT_EQ(strlen(head.target), head.target_bytes);
        transcript += " path=" + string(head.path, head.path_bytes);
        if (head.query != nullptr)
            transcript += " query=" + string(head.query, head.query_bytes);
        for (uint32_t i = 0; i < head.field_count; i++) {
            const http_field &field = head.fields[i];
            EXPECT_EQ(strlen(field.name), field.name_bytes);
            EXPECT_EQ(strlen(field.value), field.value_bytes);
            transcript += string(" ") + field.name + "=" + field.value;
        }
        transcript += head.keep_alive ? " keep" : " close";
        transcript += " body=" + body_ + "\n";
        body_.clear();
    }

    string body() const {
        return string(reinterpret_cast<char *>(parser_.body),
                      static_cast<size_t>(parser_.body_bytes));
    }

    static constexpr size_t kTakeMax = 32768;
    bool streamed_;
    string body_;
    Flush input_{kTakeMax};
    Flush buffer_;
    Flush room_;
    Flush fields_;
    http_parser parser_;
    bool failed_ = false;
};

string read_whole(const string &bytes) {
    Reader reader;
    reader.take(bytes);
    return reader.transcript;
}

string read_split(const string &bytes, const std::vector<size_t> &cuts, bool streamed = false) {
    Reader reader(streamed);
    size_t from = 0;
    for (size_t cut : cuts) {
        reader.take(bytes.substr(from, cut - from));
        from = cut;
    }
    reader.take(bytes.substr(from));
    return reader.transcript;
}

string read_bytewise(const string &bytes, bool streamed = false) {
    Reader reader(streamed);
    for (char byte : bytes)
        reader.take(string(1, byte));
    return reader.transcript;
}

// Nor does it matter whether bodies are streamed.
void expect_same_at_every_split(const string &bytes) {
    string whole = read_whole(bytes);
    EXPECT_EQ(read_bytewise(bytes), whole) << bytes.substr(0, 200);
    EXPECT_EQ(read_bytewise(bytes, true), whole) << bytes.substr(0, 200);
    EXPECT_EQ(read_split(bytes, {}, true), whole) << bytes.substr(0, 200);
    if (bytes.size() <= 400) {
        for (size_t cut = 1; cut < bytes.size(); cut++) {
            ASSERT_EQ(read_split(bytes, {cut}), whole) << "cut at " << cut << " of " << bytes;
            ASSERT_EQ(read_split(bytes, {cut}, true), whole) << "cut at " << cut << " of " << bytes;
        }
        return;
    }
    tina_prng prng = tina_prng_make(1, 1, 1);
    for (int i = 0; i < 60; i++) {
        size_t a = tina_prng_below(&prng, bytes.size());
        size_t b = a + tina_prng_below(&prng, bytes.size() - a);
        ASSERT_EQ(read_split(bytes, {a, b}), whole) << "cuts at " << a << " and " << b;
        ASSERT_EQ(read_split(bytes, {a, b}, true), whole) << "cuts at " << a << " and " << b;
    }
}

const string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

string get_with(const string &field) {
    return "GET / HTTP/1.1\r\nHost: h\r\n" + field + "\r\n\r\n";
}

string post_with(const string &fields, const string &body) {
    return "POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n\r\n" + body;
}

string chunked(const string &body) {
    return post_with("Transfer-Encoding: chunked", body);
}

struct Case {
    string bytes;
    string outcome; // a transcript, or the status of a failure that is all there is
};

void expect_outcome(const Case &c) {
    bool status = c.outcome.size() == 3;
    EXPECT_EQ(read_whole(c.bytes), status ? "failed " + c.outcome + "\n" : c.outcome)
        << c.bytes.substr(0, 300);
    expect_same_at_every_split(c.bytes);
}

TEST(Parse, ReadsRequestsThatAreInOrder) {
    const string ok = "GET / 1.1 path=/ Host=h keep body=\n";
    const Case cases[] = {
        {kGet, ok},
        {"\r\n" + kGet, ok},
        {kGet + kGet, ok + ok},
        {"GET /a?b=c?d HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET /a?b=c?d 1.1 path=/a query=b=c?d Host=h keep body=\n"},
        {"GET /%41|{}^` HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET /%41|{}^` 1.1 path=/%41|{}^` Host=h keep body=\n"},
        {"GET http://H:80/x HTTP/1.1\r\nHost: h:80\r\n\r\n",
         "GET http://H:80/x 1.1 path=/x Host=h:80 keep body=\n"},
        {"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET http://h?q 1.1 path=/ query=q Host=h keep body=\n"},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * 1.1 path= Host=h keep body=\n"},
        {"GET / HTTP/1.7\r\nHost: h\r\n\r\n", ok},
        {"GET / HTTP/1.0\r\n\r\n", "GET / 1.0 path=/ close body=\n"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         "GET / 1.0 path=/ Connection=Keep-Alive keep body=\n"},
        {"M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH / 1.1 path=/ Host=h keep body=\n"},
        {"GET / HTTP/1.1\r\nhOsT:\t h \t\r\n\r\n", "GET / 1.1 path=/ hOsT=h keep body=\n"},
        {"GET / HTTP/1.1\r\nHost: [::1]:\r\n\r\n", "GET / 1.1 path=/ Host=[::1]: keep body=\n"},
        {get_with("X-A:"), "GET / 1.1 path=/ Host=h X-A= keep body=\n"},
        {get_with("X-A: \t \r\nB: c"), "GET / 1.1 path=/ Host=h X-A= B=c keep body=\n"},
        {get_with("X-A:1"), "GET / 1.1 path=/ Host=h X-A=1 keep body=\n"},
        {get_with("X-A: caf\xc3\xa9"), "GET / 1.1 path=/ Host=h X-A=caf\xc3\xa9 keep body=\n"},
        {get_with("Connection: foo,\tCLOSE"),
         "GET / 1.1 path=/ Host=h Connection=foo,\tCLOSE close body=\n"},
        {get_with("Connection: keep-alive\r\nConnection: close"),
         "GET / 1.1 path=/ Host=h Connection=keep-alive Connection=close close body=\n"},
        {get_with("Connection: Upgrade\r\nUpgrade: h2c"),
         "GET / 1.1 path=/ Host=h Connection=Upgrade Upgrade=h2c keep body=\n"},
        {post_with("Content-Length:  \t5 \t", "hello") + kGet,
         "POST / 1.1 path=/ Host=h Content-Length=5 keep body=hello\n" + ok},
        {post_with("Content-Length: 0005", "hello\r\n") + kGet,
         "POST / 1.1 path=/ Host=h Content-Length=0005 keep body=hello\n" + ok},
        {post_with("Transfer_Encoding: chunked\r\nContent-Length: 1", "x"),
         "POST / 1.1 path=/ Host=h Transfer_Encoding=chunked Content-Length=1 keep body=x\n"},
        {post_with("Transfer-Encoding: ChUnKeD\t", "5\r\nhello\r\n6;a\r\n world\r\n0\r\n\r\n") +
             kGet,
         "POST / 1.1 path=/ Host=h Transfer-Encoding=ChUnKeD keep body=hello world\n" + ok},
        {chunked("5;x=y;z=\"a;\\\"b\"\r\nhello\r\n0;x\r\nX-T: v\r\n\r\n") + kGet,
         "POST / 1.1 path=/ Host=h Transfer-Encoding=chunked keep body=hello\n" + ok},
    };
    for (const Case &c : cases)
        expect_outcome(c);
}

TEST(Parse, RefusesRequestLinesInDoubt) {
    const Case cases[] = {
        {" " + kGet, "400"},
        {"\r\n\r\n" + kGet, "400"},
        {"\n" + kGet, "400"},
        {"GET / HTTP/1.1\nHost: h\r\n\r\n", "400"},
        {"GET / HTTP/1.1\rHost: h\r\n\r\n", "400"},
        {"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "400"},
        {"GET /\r\nHost: h\r\n\r\n", "400"},
        {"GET / http/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET / HTTP/11\r\nHost: h\r\n\r\n", "400"},
        {"GET / HTTP/01.1\r\nHost: h\r\n\r\n", "400"},
        {"GET / HTTP/1.1x\r\nHost: h\r\n\r\n", "400"},
        {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", "505"},
        {"GET / HTTP/3.0\r\nHost: h\r\n\r\n", "505"},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
        {string("\x16\x03\x01\x02\x00\x01", 6), "400"},
        {"GE(T / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"QUERY / HTTP/1.1\r\nHost: h\r\n\r\n", "501"}, // of llhttp 9
        {"get / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"GETX / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"PRI / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"SOURCE / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"DESCRIBE / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {string(300, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /#f HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /..\\a HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /% HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET /%4g HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET index.html HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"OPTIONS *x HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET http://h/ HTTP/1.1\r\nHost: other\r\n\r\n", "400"},
    };
    for (const Case &c : cases)
        expect_outcome(c);
}

TEST(Parse, RefusesFieldsInDoubt) {
    const Case cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {get_with("Host: h"), "400"},
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: h:8x\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: h\xc3\xa9\r\n\r\n", "400"},
        {string("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 28), "400"},
        {get_with("X-A : 1"), "400"},
        {get_with("NoColonHere"), "400"},
        {get_with(": v"), "400"},
        {get_with("X(Y): v"), "400"},
        {get_with("X Y: v"), "400"},
        {"GET / HTTP/1.1\r\n X-A: 1\r\nHost: h\r\n\r\n", "400"},
        {get_with("X-A: a\r\n\tb"), "400"},
        {get_with("X-A: a\r\n b"), "400"},
        {"GET / HTTP/1.1\r\nHost:\r\n h\r\n\r\n", "400"},
        {get_with("X-A: a\rb"), "400"},
        {get_with("X-A: a\nX-B: b"), "400"},
        {get_with("X-A: a\x01"
                  "b"),
         "400"},
        {get_with("X-A: a\x7f"), "400"},
        {"GET / HTTP/1.1\r\nHost: h\r\n\n", "400"},
        {"GET / HTTP/1.1\r\nHost: h\r\n\rX", "400"},
        {"GET / HTTP/1.1\r\nHost: h\n\r\n", "400"},
    };
    for (const Case &c : cases)
        expect_outcome(c);
}

TEST(Parse, RefusesBodiesInDoubt) {
    const Case cases[] = {
        {post_with("Content-Length: -1", "x"), "400"},
        {post_with("Content-Length: +5", "x"), "400"},
        {post_with("Content-Length: 5a", "x"), "400"},
        {post_with("Content-Length: 0x5", "x"), "400"},
        {post_with("Content-Length: 5 5", "x"), "400"},
        {post_with("Content-Length: 5, 5", "x"), "400"},
        {post_with("Content-Length:", "x"), "400"},
        {post_with("Content-Length: \t", "x"), "400"},
        {post_with("Content-Length: 5\r\nContent-Length: 5", "x"), "400"},
        {post_with("Content-Length: 5\r\nContent-Length: 6", "x"), "400"},
        {post_with("Content-Length: 18446744073709551616", ""), "400"},
        {post_with("Content-Length: 18446744073709551621", ""), "400"},
        {post_with("Content-Length: 9223372036854775808", ""), "413"},
        {post_with("Content-Length: 100001", ""), "413"},
        {post_with("Content-Length: 5\r\nTransfer-Encoding: chunked", ""), "400"},
        {post_with("Transfer-Encoding: chunked\r\nContent-Length: 5", ""), "400"},
        {post_with("Transfer-Encoding:\r\nContent-Length: 5", "hello"), "400"},
        {post_with("Transfer-Encoding: identity\r\nContent-Length: 5", "hello"), "400"},
        {post_with("Transfer-Encoding: identity", ""), "501"},
        {post_with("Transfer-Encoding: gzip, chunked", ""), "501"},
        {post_with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", ""), "501"},
        {post_with("Transfer-Encoding: xchunked", ""), "501"},
        {post_with("Transfer-Encoding: chunkedfoo", ""), "501"},
        {post_with("Transfer-Encoding: chunked, gzip", ""), "400"},
        {post_with("Transfer-Encoding: chunked, chunked", ""), "400"},
        {post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", ""), "400"},
        {post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", ""), "400"},
        {post_with("Transfer-Encoding: , chunked", ""), "400"},
        {post_with("Transfer-Encoding: chunked,", ""), "400"},
        {post_with("Transfer-Encoding:", ""), "400"},
        {post_with("Transfer-Encoding: \"chunked\"", ""), "400"},
        {post_with("Transfer-Encoding: \x0b"
                   "chunked",
                   ""),
         "400"},
        {post_with("Transfer-Encoding: chunk\xc3\xa9"
                   "d",
                   ""),
         "400"},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {chunked("100000005\r\n"), "413"},
        {chunked("8000000000000005\r\n"), "413"},
        {chunked("ffffffffffffffff\r\n"), "413"},
        {chunked("10000\r\n" + string(0x10000, 'x') + "\r\nffffffffffffffff\r\n"), "413"},
        {chunked("00000000000000005\r\nhello\r\n0\r\n\r\n"), "400"},
        {chunked("\r\nhello\r\n0\r\n\r\n"), "400"},
        {chunked("5;" + string(70000, 'a') + "\r\n"), "413"},
        {chunked("0\r\nX: " + string(10000, 'a') + "\r\n\r\n"), "431"},
    };
    for (const Case &c : cases)
        expect_outcome(c);
}

TEST(Parse, HoldsItsLimitsToTheByte) {
    auto target = [](size_t bytes) {
        return "GET /" + string(bytes - 1, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
    };
    EXPECT_EQ(read_whole(target(8192)).substr(0, 4), "GET ");
    expect_outcome({target(8193), "414"});
    expect_outcome({target(1 << 17), "414"});
    string rest = get_with("X: ");
    auto head = [&](size_t bytes) { return get_with("X: " + string(bytes - rest.size(), 'a')); };
    EXPECT_EQ(read_whole(head(16384)).substr(0, 4), "GET ");
    expect_outcome({head(16385), "431"});
    string fields;
    for (int i = 0; i < 98; i++)
        fields += "X: y\r\n";
    EXPECT_EQ(read_whole(get_with(fields + "X: y")).substr(0, 4), "GET ");
    expect_outcome({get_with(fields + "X: y\r\nX: y"), "431"});
    expect_outcome({string(65536, 'A'), "501"});
    expect_outcome({"GET / HTTP/1.1\r\n" + string(65536, 'A'), "431"});
}

TEST(Parse, BodiesOfEverySizeArriveWhole) {
    for (size_t bytes : {1u, 4095u, 4096u, 4097u, 6143u, 6144u, 6145u, 22000u, 23000u, 99999u}) {
        string body;
        for (size_t i = 0; i < bytes; i++)
            body += static_cast<char>('a' + i % 23);
        string by_length = post_with("Content-Length: " + std::to_string(bytes), body) + kGet;
        string whole = read_whole(by_length);
        EXPECT_NE(whole.find("body=" + body + "\nGET /"), string::npos) << bytes;
        string in_chunks;
        for (size_t at = 0; at < bytes; at += 700) {
            char size[16];
            snprintf(size, sizeof size, "%zx\r\n", std::min<size_t>(700, bytes - at));
            in_chunks += size + body.substr(at, 700) + "\r\n";
        }
        string by_chunks = chunked(in_chunks + "0\r\n\r\n") + kGet;
        whole = read_whole(by_chunks);
        EXPECT_NE(whole.find("body=" + body + "\nGET /"), string::npos) << bytes;
        if (bytes < 30000) {
            expect_same_at_every_split(by_length);
            expect_same_at_every_split(by_chunks);
        }
    }
}

TEST(Parse, LongPipelinesNeverRunOutOfSpace) {
    string bytes;
    for (int i = 0; i < 500; i++) {
        bytes += get_with("X-A: " + string(static_cast<size_t>(i) * 7 % 900, 'a'));
        bytes += post_with("Content-Length: 3000", string(3000, 'b'));
    }
    Reader reader;
    reader.take(bytes);
    EXPECT_EQ(reader.requests, 1000);
    tina_prng prng = tina_prng_make(2, 1, 1);
    Reader again;
    for (size_t at = 0; at < bytes.size();) {
        size_t count = 1 + tina_prng_below(&prng, 4096);
        again.take(bytes.substr(at, count));
        at += count;
    }
    EXPECT_EQ(again.transcript, reader.transcript);
}

// Whatever the bytes: no fault, no assertion, and no difference between splits.
TEST(Parse, MutilatedRequestsAreReadAlikeHoweverSplit) {
    const char *seed_text = getenv("TINA_SEED");
    uint64_t seed = seed_text != nullptr ? strtoull(seed_text, nullptr, 0) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    tina_prng prng = tina_prng_make(seed, 1, 1);
    const string good = kGet + post_with("Content-Length: 5\r\nX-Y: z", "hello") +
                        chunked("5;a=\"b\"\r\nhello\r\n0\r\nT: v\r\n\r\n") + kGet;
    const char bytes[] = "\r\n\t :;,=\"%0aAzZ/?#\\\x01\x7f\xff";
    for (int i = 0; i < 3000; i++) {
        string bad = good;
        for (uint64_t n = tina_prng_below(&prng, 3) + 1; n > 0; n--) {
            size_t at = tina_prng_below(&prng, bad.size());
            char byte = bytes[tina_prng_below(&prng, sizeof bytes)];
            switch (tina_prng_below(&prng, 3)) {
            case 0:
                bad[at] = byte;
                break;
            case 1:
                bad.insert(at, 1, byte);
                break;
            default:
                bad.erase(at, 1 + tina_prng_below(&prng, 3));
            }
        }
        string whole = read_whole(bad);
        ASSERT_EQ(read_bytewise(bad), whole) << bad;
        size_t cut = tina_prng_below(&prng, bad.size());
        ASSERT_EQ(read_split(bad, {cut}), whole) << bad;
        ASSERT_EQ(read_split(bad, {cut}, true), whole) << bad;
    }
}

} // namespace
