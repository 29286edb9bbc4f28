// SPDX-License-Identifier: Apache-2.0
//
// conformance_cases.tsv against conformance_server, over TCP: each case whole, byte by byte, split
// in two, and behind a good request in one write. The answers must be the same.
//
// Nothing here waits for time to pass. What has to come is waited for; what must not come is looked
// for after two requests on another connection have been answered, by when the server has read all
// that was sent before them.

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/prng.h"
#include "http/conformance_table.h"
#include "http/process.h"
#include "sched/test_backend.h"

namespace {

using std::string;

const string kGood = "GET /good HTTP/1.1\r\nHost: localhost\r\n\r\n";

bool IsLong() {
    return getenv("TINA_LONG") != nullptr;
}

uint64_t Seed() {
    const char *text = getenv("TINA_SEED");
    return text != nullptr ? strtoull(text, nullptr, 0) : 1;
}

struct Response {
    int status;
    string text; // all of it, but for Date
};

// Where the chunked body at `at` ends, or npos.
size_t ChunkedEnd(const string &bytes, size_t at) {
    for (;;) {
        size_t line = bytes.find("\r\n", at);
        if (line == string::npos)
            return string::npos;
        size_t size = strtoul(bytes.c_str() + at, nullptr, 16);
        at = line + 2 + size + 2;
        if (at > bytes.size())
            return string::npos;
        if (size == 0)
            return at;
    }
}

// Returns the responses that are whole; *rest is what follows them.
std::vector<Response> ParseResponses(const string &bytes, bool to_head, bool behind, string *rest) {
    std::vector<Response> responses;
    size_t at = 0;
    for (;;) {
        size_t end = bytes.find("\r\n\r\n", at);
        if (end == string::npos || bytes.compare(at, 9, "HTTP/1.1 ") != 0)
            break;
        end += 4;
        string head = bytes.substr(at, end - at);
        int status = atoi(head.c_str() + 9);
        bool bodiless = status < 200 || status == 204 || status == 304 ||
                        (to_head && !(behind && responses.empty()));
        size_t length = head.find("Content-Length: ");
        if (!bodiless && length != string::npos)
            end += strtoul(head.c_str() + length + 16, nullptr, 10);
        else if (!bodiless && head.find("Transfer-Encoding: chunked") != string::npos)
            end = ChunkedEnd(bytes, end);
        if (end > bytes.size())
            break;
        string text = bytes.substr(at, end - at);
        size_t date = text.find("\r\nDate: ");
        if (date != string::npos)
            text.erase(date, 37);
        responses.push_back({status, text});
        at = end;
    }
    *rest = bytes.substr(at);
    return responses;
}

// One connection that plays a case.
class Talk {
  public:
    Talk(const ConformanceCase &c, std::vector<string> parts, bool behind, string how)
        : c_(c), parts_(std::move(parts)), how_(std::move(how)), behind_(behind) {}
    ~Talk() {
        close(fd_);
    }
    Talk(const Talk &) = delete;
    Talk &operator=(const Talk &) = delete;

    void dial(uint16_t port) {
        fd_ = DialLoopback(port);
        fcntl(fd_, F_SETFL, O_NONBLOCK);
    }

    // Returns whether there are more parts.
    bool send_part() {
        if (next_ < parts_.size())
            unsent_ += parts_[next_++];
        pump_out();
        return next_ < parts_.size();
    }

    void pump() {
        pump_out();
        char piece[65536];
        while (!ended_) {
            ssize_t count = recv(fd_, piece, sizeof piece, 0);
            if (count < 0 && errno == EAGAIN)
                return;
            if (count > 0)
                received_.append(piece, static_cast<size_t>(count));
            else
                ended_ = true;
            reset_ = count < 0;
        }
    }

    struct pollfd wanted() const {
        bool sends = !unsent_.empty();
        return {fd_, static_cast<short>(POLLIN | (sends ? POLLOUT : 0)), 0};
    }

    // All that has to come is here, or nothing more can.
    bool is_complete() const {
        if (ended_)
            return true;
        string rest;
        std::vector<Response> responses = ParseResponses(received_, to_head(), behind_, &rest);
        return statuses_of(responses) == expected() && !c_.closes;
    }

    void expect_outcome() const {
        string rest;
        std::vector<Response> responses = ParseResponses(received_, to_head(), behind_, &rest);
        EXPECT_EQ(statuses_of(responses), expected()) << what();
        EXPECT_EQ(ended_, c_.closes) << what();
        EXPECT_FALSE(reset_) << what();
        EXPECT_EQ(rest, "") << what();
        if (responses.empty())
            return;
        for (const string &text : c_.holds) {
            bool wanted = text[0] != '!';
            bool found = responses.back().text.find(text.substr(!wanted)) != string::npos;
            EXPECT_EQ(found, wanted) << what() << " " << text << "\n" << responses.back().text;
        }
    }

    // Everything that was answered, but for 100s: whether one is sent depends on how soon the body
    // comes.
    string transcript() const {
        string rest;
        string all;
        std::vector<Response> responses = ParseResponses(received_, to_head(), behind_, &rest);
        for (size_t i = behind_; i < responses.size(); i++) {
            if (responses[i].status >= 200)
                all += responses[i].text;
        }
        return all + rest;
    }

    const ConformanceCase &of() const {
        return c_;
    }
    string what() const {
        return c_.id + " " + how_ + " TINA_SEED=" + std::to_string(Seed());
    }

  private:
    void pump_out() {
        while (!unsent_.empty()) {
            ssize_t sent = send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN)
                return;
            if (sent < 0)
                unsent_.clear(); // the server has closed; what it answered is what counts
            else
                unsent_.erase(0, static_cast<size_t>(sent));
        }
        if (next_ == parts_.size() && c_.mode == "halfclose" && !half_closed_) {
            shutdown(fd_, SHUT_WR);
            half_closed_ = true;
        }
    }

    bool to_head() const {
        return c_.request.compare(0, 5, "HEAD ") == 0;
    }

    std::vector<int> expected() const {
        std::vector<int> statuses = c_.statuses;
        if (behind_)
            statuses.insert(statuses.begin(), 200);
        return statuses;
    }

    std::vector<int> statuses_of(const std::vector<Response> &responses) const {
        bool with_100 = std::count(c_.statuses.begin(), c_.statuses.end(), 100) > 0;
        std::vector<int> statuses;
        for (const Response &response : responses) {
            if (response.status >= 200 || with_100)
                statuses.push_back(response.status);
        }
        return statuses;
    }

    const ConformanceCase &c_;
    std::vector<string> parts_;
    string how_;
    size_t next_ = 0;
    int fd_ = -1;
    string unsent_;
    string received_;
    bool behind_;
    bool half_closed_ = false;
    bool ended_ = false;
    bool reset_ = false;
};

class Server {
  public:
    explicit Server(const string &deadline_ms) : process_(path(), arguments(deadline_ms)) {
        string line = process_.line();
        port = static_cast<uint16_t>(atoi(line.c_str() + line.rfind(':') + 1));
        EXPECT_NE(port, 0) << line;
    }
    ~Server() {
        EXPECT_EQ(process_.stop(SIGTERM), 0);
        EXPECT_EQ(process_.errors(), "");
    }

    // By the time that this returns the server has read what was sent before.
    void settle() {
        int witness = DialLoopback(port);
        SendAll(witness, kGood);
        shutdown(witness, SHUT_WR);
        EXPECT_NE(ReadToEnd(witness), "");
        close(witness);
    }

    uint16_t port;

  private:
    static string path() {
        return ProgramPath("http/conformance_server");
    }
    static std::vector<string> arguments(const string &deadline_ms) {
        std::vector<string> words = {"--port", "0", "--shards", "1"};
        const char *name = getenv("TINA_TEST_BACKEND");
        if (name != nullptr)
            words.insert(words.end(), {"--backend", name});
        words.insert(words.end(), {"--deadline-ms", deadline_ms});
        return words;
    }

    Process process_;
};

using Talks = std::vector<std::unique_ptr<Talk>>;

void PumpUntilComplete(const Talks &talks) {
    for (int patience = 0; patience < 20;) {
        std::vector<struct pollfd> wanted;
        for (const auto &talk : talks) {
            talk->pump();
            if (!talk->is_complete())
                wanted.push_back(talk->wanted());
        }
        if (wanted.empty())
            return;
        patience += poll(wanted.data(), wanted.size(), 1000) == 0;
    }
}

void Play(Server *server, const Talks &talks) {
    for (const auto &talk : talks)
        talk->dial(server->port);
    for (bool more = true; more;) {
        more = false;
        for (const auto &talk : talks)
            more |= talk->send_part();
        server->settle();
    }
    PumpUntilComplete(talks);
    server->settle();
    server->settle();
    for (const auto &talk : talks) {
        talk->pump();
        talk->expect_outcome();
    }
}

std::vector<string> OneByOne(const string &bytes) {
    std::vector<string> parts;
    for (char byte : bytes)
        parts.push_back(string(1, byte));
    return parts;
}

constexpr size_t kSplitAll = 16384; // more than the longest head that is taken

// The places at which a request is split in two: all of them; of a long one those of its first and
// last 2 KiB, and 200 others.
std::set<size_t> Splits(const ConformanceCase &c) {
    std::set<size_t> places;
    size_t size = c.request.size();
    for (size_t at = 1; at < size; at++) {
        if (size <= kSplitAll || at < 2048 || at > size - 2048)
            places.insert(at);
    }
    if (size > kSplitAll) {
        tina_prng prng = tina_prng_make(Seed(), 1, size);
        for (int i = 0; i < 200; i++)
            places.insert(1 + tina_prng_below(&prng, size - 1));
    }
    return places;
}

class Conformance : public ::testing::Test {
  protected:
    Conformance() {
        for (ConformanceCase &c : ConformanceCases()) {
            bool stalls = c.mode == "stall";
            (stalls ? stalling_ : cases_).push_back(std::move(c));
        }
        EXPECT_GT(cases_.size(), 300u);
    }

    // Splits of one case in `step` of what there are, beginning with another one for each case.
    void play_splits(Server *server, size_t step, bool behind) {
        Talks talks;
        size_t skip = 0;
        for (const ConformanceCase &c : cases_) {
            for (size_t at : Splits(c)) {
                if (skip++ % step != 0)
                    continue;
                std::vector<string> parts = {c.request.substr(0, at), c.request.substr(at)};
                if (behind)
                    parts[0] = kGood + parts[0];
                talks.emplace_back(new Talk(c, parts, behind, "split at " + std::to_string(at)));
                if (talks.size() == 256)
                    compare(server, &talks);
            }
        }
        compare(server, &talks);
    }

    void compare(Server *server, Talks *talks) {
        Play(server, *talks);
        for (const auto &talk : *talks)
            EXPECT_EQ(talk->transcript(), whole_[talk->of().id]) << talk->what();
        played_ += talks->size();
        talks->clear();
    }

    void play_whole(Server *server, const std::vector<ConformanceCase> &cases) {
        Talks talks;
        for (const ConformanceCase &c : cases) {
            bool bytewise = c.mode == "bytewise";
            talks.emplace_back(
                new Talk(c, bytewise ? OneByOne(c.request) : std::vector<string>{c.request}, false,
                         "whole"));
        }
        Play(server, talks);
        for (const auto &talk : talks)
            whole_[talk->of().id] = talk->transcript();
        played_ += talks.size();
    }

    void play_behind(Server *server, const std::vector<ConformanceCase> &cases) {
        Talks talks;
        for (const ConformanceCase &c : cases) {
            if (!c.request.empty())
                talks.emplace_back(new Talk(c, {kGood + c.request}, true, "behind a good request"));
        }
        compare(server, &talks);
    }

    std::vector<ConformanceCase> cases_;
    std::vector<ConformanceCase> stalling_;
    std::map<string, string> whole_; // what each case was answered
    size_t played_ = 0;
};

TEST_F(Conformance, EveryCaseIsAnsweredAsTheTableSays) {
    Server server("60000");
    play_whole(&server, cases_);
}

TEST_F(Conformance, ClientsThatStopAreAnsweredAndLetGo) {
    Server server("500");
    play_whole(&server, stalling_);
    play_behind(&server, stalling_);
}

TEST_F(Conformance, BehindAGoodRequestTheAnswersAreTheSame) {
    Server server("60000");
    play_whole(&server, cases_);
    play_behind(&server, cases_);
}

TEST_F(Conformance, HoweverTheBytesAreSplitTheAnswersAreTheSame) {
    Server server("60000");
    play_whole(&server, cases_);
    play_splits(&server, IsLong() ? 1 : 61, false);
    play_splits(&server, IsLong() ? 1 : 61, true);
    printf("%zu conversations\n", played_);
}

TEST_F(Conformance, ByteByByteTheAnswersAreTheSame) {
    Server server("60000");
    play_whole(&server, cases_);
    Talks talks;
    for (const ConformanceCase &c : cases_) {
        if (c.request.size() <= (IsLong() ? 4096u : 512u))
            talks.emplace_back(new Talk(c, OneByOne(c.request), false, "byte by byte"));
    }
    compare(&server, &talks);
}

} // namespace
