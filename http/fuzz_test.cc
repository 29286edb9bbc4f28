// SPDX-License-Identifier: Apache-2.0
//
// Every fuzzer's entry point on bytes made up here: so that it cannot rot, and as a fuzzer for
// those who have none.

#include "http/fuzz.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/prng.h"
#include "http/conformance_table.h"

namespace {

using std::string;

using Entry = int (*)(const uint8_t *data, size_t bytes);

class Fuzz : public ::testing::Test {
  protected:
    Fuzz() {
        const char *text = getenv("TINA_SEED");
        seed_ = text != nullptr ? strtoull(text, nullptr, 0) : 1;
        prng_ = tina_prng_make(seed_, 1, 1);
    }

    // Calls the entry with each seed, cut and changed in a few places, in memory of just that size.
    void run(Entry entry, const std::vector<string> &seeds, const string &alphabet) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed_));
        for (const string &seed : seeds)
            call(entry, seed);
        uint64_t count = getenv("TINA_LONG") != nullptr ? 10000000 : 100000;
        for (uint64_t i = 0; i < count; i++) {
            string bytes = pick(seeds);
            if (tina_prng_chance(&prng_, 1, 4))
                bytes += pick(seeds);
            for (uint64_t n = tina_prng_below(&prng_, 4); n > 0; n--)
                change(&bytes, alphabet);
            call(entry, bytes);
        }
    }

    const string &pick(const std::vector<string> &seeds) {
        return seeds[tina_prng_below(&prng_, seeds.size())];
    }

    void change(string *bytes, const string &alphabet) {
        size_t at = tina_prng_below(&prng_, bytes->size() + 1);
        char byte = tina_prng_chance(&prng_, 1, 4)
                        ? static_cast<char>(tina_prng_below(&prng_, 256))
                        : alphabet[tina_prng_below(&prng_, alphabet.size())];
        if (tina_prng_chance(&prng_, 1, 3))
            bytes->insert(at, 1, byte);
        else if (tina_prng_chance(&prng_, 1, 3))
            bytes->erase(at, 1 + tina_prng_below(&prng_, 8));
        else if (at < bytes->size())
            (*bytes)[at] = byte;
    }

    static void call(Entry entry, const string &bytes) {
        std::unique_ptr<uint8_t[]> copy(new uint8_t[bytes.size()]);
        std::copy(bytes.begin(), bytes.end(), copy.get());
        EXPECT_EQ(entry(copy.get(), bytes.size()), 0);
    }

    uint64_t seed_;
    tina_prng prng_;
};

TEST_F(Fuzz, Parse) {
    std::vector<string> seeds;
    for (const ConformanceCase &c : ConformanceCases()) {
        if (c.request.size() < 2000)
            seeds.push_back("abc" + c.request);
    }
    run(http_fuzz_parse, seeds, string("\r\n\t :;,=/%?*\"0123ah\0", 19));
}

TEST_F(Fuzz, Chunked) {
    std::vector<string> seeds;
    for (const ConformanceCase &c : ConformanceCases()) {
        size_t body = c.request.find("\r\n\r\n");
        if (c.id.compare(0, 3, "CH-") == 0 && c.request.size() < 4000)
            seeds.push_back("x" + c.request.substr(body + 4));
    }
    run(http_fuzz_chunked, seeds, string("\r\n\t ;=\"\\0123aF\0", 15));
}

TEST_F(Fuzz, Router) {
    run(http_fuzz_router,
        {"/\n/", "/a/:b/c\n/a/*d\n/a/b\n/a/b/c", "/:x\n/*y\n/z%20/%2e%2e", "/*f\n/a/b//c%2F/./..",
         "/a/:a/:b/:c/*d\n/a/%61/b/c/d/e/f", "/a/\n/a\n/a/"},
        "/:*%.ab2efF\n");
}

TEST_F(Fuzz, Query) {
    run(http_fuzz_query,
        {"a\na=b&c=d", "c\na=%62&c=+d%", "%\n%25=%&&=&%=%00", "\n=&", "a b\na+b=c"},
        "&=+%ab0612\n");
}

TEST_F(Fuzz, Range) {
    std::vector<string> seeds;
    for (const char *text :
         {"bytes=0-0", "bytes=-5, 3-4,7-", "bytes=0-18446744073709551616", "bytes="})
        seeds.push_back(string("\x1a\0\0\0\0\0\0\0\0", 9) + text);
    run(http_fuzz_range, seeds, "bytes=-, 0123456789");
}

TEST_F(Fuzz, Condition) {
    run(http_fuzz_condition,
        {"\"a\"\nW/\"a\", *\nSun, 06 Nov 1994 08:49:37 GMT\nSunday, 06-Nov-94 08:49:37 GMT\n"
         "Sun Nov  6 08:49:37 1994\nbr, gzip;q=0.5, *;q=0",
         "*\n\"b,\"\"\nSat, 29 Feb 2020 23:59:60 GMT"},
        "\"*W/, ;=q0129:-GMTSun\n");
}

TEST_F(Fuzz, Cookie) {
    run(http_fuzz_cookie, {"a=1; b=two; c=; =x; d; e=x=y", "a", "value", "\t a = b ;;"},
        "abc=; \t,\"\\\r\n");
}

TEST_F(Fuzz, Proxy) {
    run(http_fuzz_proxy,
        {"PROXY TCP4 192.168.0.1 10.0.0.1 56324 443\r\nGET /",
         "PROXY TCP6 ::1 2001:db8::1 1 65535\r\n", "PROXY UNKNOWN what ever\r\nx",
         string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\2\x12\x34\0\x50GET", 31),
         string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16)},
        string("\r\n PROXYTCP46UNKOW.:0129\0\x20\x21\x11\x0c", 29));
}

TEST_F(Fuzz, Json) {
    run(http_fuzz_json,
        {"{\"a\": [1, -2.5e3, \"x\\u00e9\\n\"], \"b\": {\"c\": null}, \"d\": true}",
         "[[],{},[{\"\":\"\\ud83d\\ude00\"}]]", "\"caf\xc3\xa9\"", "0.1E+9", "false"},
        "[]{},:\"\\u0d8e1-+.tfn \x80\xc3");
}

TEST_F(Fuzz, Quote) {
    run(http_fuzz_quote,
        {"", "plain", "\"\\\b\f\n\r\t\x01\x7f", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\xff"},
        "\"\\\x80\xbf\xc2\xe0\xed\xf0\xf4\xff");
}

} // namespace
