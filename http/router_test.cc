// SPDX-License-Identifier: Apache-2.0
#include "http/router.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/prng.h"

namespace {

using std::string;

http_step nothing(http_request *, http_response *) {
    return {};
}

class Router {
  public:
    explicit Router(std::vector<http_route> routes) : routes_(std::move(routes)) {
        http_routes given = {routes_.data(), static_cast<uint32_t>(routes_.size())};
        char sentence[HTTP_ROUTER_SENTENCE_BYTES] = "";
        EXPECT_TRUE(http_routes_check(&given, sentence)) << sentence;
        memory_.resize(http_router_bytes(&given) / 8 + 1);
        http_router_build(&router_, &given, memory_.data());
    }

    // The pattern and what its parameters matched, or the methods that the path has.
    string find(http_method method, const string &path) {
        http_match match;
        std::unique_ptr<char[]> exact(new char[path.size()]); // so that ASan sees an overrun
        memcpy(exact.get(), path.data(), path.size());
        http_router_find(&router_, method, exact.get(), static_cast<uint32_t>(path.size()), &match);
        if (match.route == nullptr)
            return match.methods == 0 ? "404" : "405";
        string found = match.route->pattern;
        for (uint32_t i = 0; i < match.param_count; i++)
            found += " " + string(match.params[i].text, match.params[i].bytes);
        return found;
    }

  private:
    std::vector<http_route> routes_;
    std::vector<uint64_t> memory_;
    http_router router_;
};

http_route get(const char *pattern) {
    return {HTTP_GET, pattern, nothing, 0};
}

TEST(Router, LiteralsWinOverNamesAndNamesOverTheRest) {
    Router router(
        {get("/"), get("/a"), get("/:x"), get("/*r"), get("/a/:x/c"), get("/a/b/d"), get("/a/*r")});
    EXPECT_EQ(router.find(HTTP_GET, "/"), "/");
    EXPECT_EQ(router.find(HTTP_GET, "/a"), "/a");
    EXPECT_EQ(router.find(HTTP_GET, "/b"), "/:x b");
    EXPECT_EQ(router.find(HTTP_GET, "/b/c"), "/*r b/c");
    EXPECT_EQ(router.find(HTTP_GET, "/a/b/c"), "/a/:x/c b");
    EXPECT_EQ(router.find(HTTP_GET, "/a/b/d"), "/a/b/d");
    EXPECT_EQ(router.find(HTTP_GET, "/a/b/e"), "/a/*r b/e");
    EXPECT_EQ(router.find(HTTP_GET, "/a/"), "/a/*r ");
}

TEST(Router, ASlashMoreOrLessIsAnotherPath) {
    Router router({get("/a"), get("/b/"), get("/c/:x")});
    EXPECT_EQ(router.find(HTTP_GET, "/a/"), "404");
    EXPECT_EQ(router.find(HTTP_GET, "/b"), "404");
    EXPECT_EQ(router.find(HTTP_GET, "/b/"), "/b/");
    EXPECT_EQ(router.find(HTTP_GET, "/c/"), "404");
    EXPECT_EQ(router.find(HTTP_GET, "//a"), "404");
    EXPECT_EQ(router.find(HTTP_GET, "/"), "404");
}

TEST(Router, TheMethodDecidesAmongAllFits) {
    Router router({get("/users/me"),
                   {HTTP_POST, "/users/:id", nothing, 0},
                   {HTTP_PUT, "/users/*rest", nothing, 0},
                   get("/h"),
                   {HTTP_HEAD, "/h", nothing, 0}});
    EXPECT_EQ(router.find(HTTP_GET, "/users/me"), "/users/me");
    EXPECT_EQ(router.find(HTTP_POST, "/users/me"), "/users/:id me");
    EXPECT_EQ(router.find(HTTP_PUT, "/users/me"), "/users/*rest me");
    EXPECT_EQ(router.find(HTTP_DELETE, "/users/me"), "405");
    EXPECT_EQ(router.find(HTTP_HEAD, "/users/me"), "/users/me");
    EXPECT_EQ(router.find(HTTP_HEAD, "/users/you"), "405");
    EXPECT_EQ(router.find(HTTP_HEAD, "/h"), "/h");
    EXPECT_EQ(router.find(HTTP_DELETE, "/nothing"), "404");
}

TEST(Router, ComparesDecodedPaths) {
    Router router({get("/hello"), get("/caf\xc3\xa9"), get("/p/:x"), get("/r/*x")});
    EXPECT_EQ(router.find(HTTP_GET, "/%68ell%6F"), "/hello");
    EXPECT_EQ(router.find(HTTP_GET, "/caf%C3%a9"), "/caf\xc3\xa9");
    EXPECT_EQ(router.find(HTTP_GET, "/Hello"), "404");
    EXPECT_EQ(router.find(HTTP_GET, "/p/a%2Fb"), "/p/:x a%2Fb");
    EXPECT_EQ(router.find(HTTP_GET, "/r/a%20b"), "/r/*x a%20b");
    EXPECT_EQ(router.find(HTTP_GET, "/" + string(5000, 'x')), "404");
    string encoded;
    for (int i = 0; i < 2000; i++)
        encoded += "%41";
    EXPECT_EQ(router.find(HTTP_GET, "/" + encoded), "404");
}

TEST(Router, PathsThatWouldLeaveTheirPlaceAreUnknown) {
    Router router({get("/*all"), get("/:x")});
    for (const char *path :
         {"/..", "/.", "/a/..", "/a/../", "/../etc/passwd", "/%2e%2E/x", "/.%2e", "/%2e",
          "/a/%2e%2e/b", "/a/b%2Fc", "/a//b", "//etc/passwd", "/a.txt%00.html", "/%00", "/..%2fx",
          "/x%2F..", "/x%2f.%2Fy", "/%2e%2E%2fx"})
        EXPECT_EQ(router.find(HTTP_GET, path), "404") << path;
    EXPECT_EQ(router.find(HTTP_GET, "/a/...."), "/*all a/....");
    EXPECT_EQ(router.find(HTTP_GET, "/a/.hidden"), "/*all a/.hidden");
    EXPECT_EQ(router.find(HTTP_GET, "/%252e%252e/x"), "/*all %252e%252e/x");
    EXPECT_EQ(router.find(HTTP_GET, "/..x%2f.y"), "/:x ..x%2f.y");
    EXPECT_EQ(router.find(HTTP_GET, "/...%2f"), "/:x ...%2f");
}

TEST(Router, FindsParametersByName) {
    EXPECT_EQ(http_pattern_param("/a/:id/*rest", "id"), 0);
    EXPECT_EQ(http_pattern_param("/a/:id/*rest", "rest"), 1);
    EXPECT_EQ(http_pattern_param("/a/:id/*rest", "i"), -1);
    EXPECT_EQ(http_pattern_param("/a/:id/*rest", "idx"), -1);
    EXPECT_EQ(http_pattern_param("/a/:id/*rest", "a"), -1);
    EXPECT_EQ(http_pattern_param("/", ""), -1);
}

string check(std::vector<http_route> routes) {
    http_routes given = {routes.data(), static_cast<uint32_t>(routes.size())};
    char sentence[HTTP_ROUTER_SENTENCE_BYTES] = "";
    return http_routes_check(&given, sentence) ? "" : sentence;
}

TEST(Routes, MalformedOnesAreRefusedWithASentence) {
    EXPECT_EQ(check({get("/"), get("users")}), "route 1 (users) does not begin with /");
    EXPECT_EQ(check({get("")}), "route 0 () does not begin with /");
    EXPECT_EQ(check({get("/a//b")}), "route 0 (/a//b) has an empty segment");
    EXPECT_EQ(check({get("/*a/b")}), "route 0 (/*a/b) has segments after its *name");
    EXPECT_EQ(check({get("/:")}), "route 0 (/:) has a parameter without a name");
    EXPECT_EQ(check({get("/:a/:a")}), "route 0 (/:a/:a) uses a parameter's name twice");
    EXPECT_EQ(check({get("/a?b")}).substr(0, 24), "route 0 (/a?b) has a lit");
    EXPECT_EQ(check({get("/a/..")}).substr(0, 28), "route 0 (/a/..) has a segmen");
    EXPECT_EQ(check({{HTTP_METHOD_NONE, "/", nothing, 0}}), "route 0 (/) has no method");
    EXPECT_EQ(check({{HTTP_GET, nullptr, nothing, 0}}), "route 0 () has no pattern");
    EXPECT_EQ(check({{HTTP_GET, "/", nullptr, 0}}), "route 0 (/) has no handler");
    string deep;
    for (int i = 0; i < 33; i++)
        deep += "/a";
    EXPECT_NE(check({get(deep.c_str())}), "");
    EXPECT_EQ(check({get(deep.substr(2).c_str())}), "");
    EXPECT_NE(check({get(("/" + string(256, 'a')).c_str())}), "");
    EXPECT_EQ(check({get(("/" + string(255, 'a')).c_str())}), "");
}

TEST(Routes, TwoForTheSamePathsAreRefused) {
    EXPECT_EQ(check({get("/a/:x"), get("/a/:y")}),
              "the routes GET /a/:x and GET /a/:y match the same paths; remove one");
    EXPECT_NE(check({get("/*x"), get("/*y")}), "");
    EXPECT_EQ(check({get("/a/:x"), get("/a/*x"), get("/a/x"), get("/a/:y/"), get("/a")}), "");
    EXPECT_EQ(check({get("/a"), {HTTP_POST, "/a", nothing, 0}}), "");
    EXPECT_EQ(check({get("/:a/b"), get("/:b/c")}), "");
}

// The oracle tries every route and ranks the fits segment by segment.
string find_slowly(const std::vector<http_route> &routes, http_method method, const string &path) {
    auto split = [](const string &text) {
        std::vector<string> parts;
        size_t at = 0;
        while (at < text.size()) {
            size_t next = text.find('/', at + 1);
            if (next == string::npos)
                next = text.size();
            parts.push_back(text.substr(at + 1, next - at - 1));
            at = next;
        }
        return parts;
    };
    string best = "404";
    string best_rank;
    for (const http_route &route : routes) {
        std::vector<string> want = split(route.pattern);
        std::vector<string> have = split(path);
        string rank;
        string params;
        bool fits = true;
        for (size_t i = 0; fits && i < want.size(); i++) {
            if (want[i][0] == '*') {
                fits = i < have.size();
                string rest;
                for (size_t j = i; j < have.size(); j++)
                    rest += (j > i ? "/" : "") + have[j];
                have.resize(want.size());
                rank += 'c';
                params += " " + rest;
            } else if (i >= have.size()) {
                fits = false;
            } else if (want[i][0] == ':') {
                fits = !have[i].empty();
                rank += 'b';
                params += " " + have[i];
            } else {
                fits = want[i] == have[i];
                rank += 'a';
            }
        }
        if (!fits || have.size() != want.size())
            continue;
        if (route.method != method) {
            if (best == "404")
                best = "405";
        } else if (best_rank.empty() || rank < best_rank) {
            best = route.pattern + params;
            best_rank = rank;
        }
    }
    return best;
}

TEST(Router, FindsWhatTryingEveryRouteFinds) {
    const char *seed_text = getenv("TINA_SEED");
    uint64_t seed = seed_text != nullptr ? strtoull(seed_text, nullptr, 0) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    tina_prng prng = tina_prng_make(seed, 1, 1);
    const char *segments[] = {"/a", "/b", "/:x", "/:x", "/a"};
    for (int round = 0; round < 300; round++) {
        std::vector<string> patterns;
        std::vector<http_route> routes;
        for (uint64_t n = 1 + tina_prng_below(&prng, 12); n > 0; n--) {
            string pattern;
            for (uint64_t depth = 1 + tina_prng_below(&prng, 4); depth > 0; depth--)
                pattern += segments[tina_prng_below(&prng, 5)];
            for (size_t at = 0, i = 0; (at = pattern.find(":x", at)) != string::npos; at++)
                pattern[at + 1] = static_cast<char>('m' + i++);
            if (tina_prng_chance(&prng, 1, 4))
                pattern += "/*z";
            patterns.push_back(pattern);
        }
        for (const string &pattern : patterns) {
            routes.push_back({tina_prng_chance(&prng, 1, 2) ? HTTP_GET : HTTP_POST, pattern.c_str(),
                              nothing, 0});
            if (!check(routes).empty())
                routes.pop_back();
        }
        Router router(routes);
        for (int i = 0; i < 40; i++) {
            string path;
            for (uint64_t depth = 1 + tina_prng_below(&prng, 5); depth > 0; depth--)
                path += segments[tina_prng_below(&prng, 2)];
            ASSERT_EQ(router.find(HTTP_GET, path), find_slowly(routes, HTTP_GET, path)) << path;
        }
    }
}

} // namespace
