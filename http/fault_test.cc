// SPDX-License-Identifier: Apache-2.0
//
// Route handlers that fault, among others that do not: each costs its own connection, which is
// answered 500, or closed when a part of its response was sent, and no other request.

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "http/process.h"

namespace {

using std::string;

const char k500[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                    "Connection: close\r\n\r\n";

constexpr int kConnections = 16;
constexpr uint64_t kPipelined = 8; // requests in one go on a connection

class HttpFault : public ::testing::Test {
  protected:
    explicit HttpFault(void (*before)() = nullptr)
        : server_(ProgramPath("http/fault_server"), arguments(), before) {
        string line = server_.line();
        EXPECT_EQ(line.substr(0, 30), "listening on http://127.0.0.1:");
        port_ = static_cast<uint16_t>(atoi(line.c_str() + 30));
    }

    static std::vector<string> arguments() {
        const char *backend = getenv("TINA_TEST_BACKEND");
        return {backend ? backend : "auto"};
    }

    // Sends and leaves the answer for later.
    int ask(const string &path) {
        int fd = DialLoopback(port_);
        SendAll(fd, "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
        return fd;
    }

    static string answer(int fd) {
        string text = ReadToEnd(fd);
        close(fd);
        return text;
    }

    string counters() {
        int fd = DialLoopback(port_);
        SendAll(fd, "GET /counters HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        string text = answer(fd);
        return text.substr(text.find("\r\n\r\n") + 4);
    }

    long resident_kib() {
        long pages = 0;
        FILE *file = std::fopen(("/proc/" + std::to_string(server_.pid) + "/statm").c_str(), "r");
        EXPECT_EQ(std::fscanf(file, "%*d %ld", &pages), 1);
        std::fclose(file);
        return pages * (sysconf(_SC_PAGESIZE) / 1024);
    }

    Process server_;
    uint16_t port_;
};

// A keep-alive connection whose requests are numbered, as are the bodies of their answers.
class Numbered {
  public:
    explicit Numbered(int fd) : fd_(fd) {}

    void send(uint64_t count) {
        string requests;
        for (uint64_t i = 0; i < count; i++)
            requests += "GET /number/" + std::to_string(asked_++) + " HTTP/1.1\r\nHost: h\r\n\r\n";
        SendAll(fd_, requests);
    }

    // Reads until all are answered; false when the connection ends before, or one is wrong.
    bool receive() {
        char piece[16384];
        while (answered_ < asked_) {
            size_t head = text_.find("\r\n\r\n", at_);
            string body = std::to_string(answered_);
            if (head == string::npos || text_.size() < head + 4 + body.size()) {
                text_.erase(0, at_);
                at_ = 0;
                ssize_t got = read(fd_, piece, sizeof piece);
                if (got <= 0)
                    return false;
                text_.append(piece, static_cast<size_t>(got));
                continue;
            }
            if (text_.compare(at_, 17, "HTTP/1.1 200 OK\r\n") != 0 ||
                text_.compare(head + 4, body.size(), body) != 0)
                return false;
            at_ = head + 4 + body.size();
            answered_++;
        }
        return at_ == text_.size();
    }

    uint64_t answered() const {
        return answered_;
    }
    void hang_up() {
        close(fd_);
    }

  private:
    int fd_;
    uint64_t asked_ = 0, answered_ = 0;
    string text_;
    size_t at_ = 0;
};

TEST_F(HttpFault, AHandlerThatFaultsCostsItsConnectionAlone) {
    int before = ask("/number/1");
    EXPECT_EQ(answer(ask("/crash/handler/null")), k500);
    string half = answer(ask("/crash/half/null"));
    EXPECT_EQ(half.substr(0, 17), "HTTP/1.1 200 OK\r\n");
    EXPECT_EQ(half.substr(half.size() - 9), "\r\n\r\nhalf,"); // 5 of 10 bytes: no whole answer
    SendAll(before, "GET /number/2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    string text = answer(before);
    EXPECT_EQ(text.substr(text.size() - 5), "\r\n\r\n2");
    EXPECT_EQ(server_.stop(SIGTERM), 0);
    string log = server_.errors();
    EXPECT_NE(log.find(" crashed: SIGSEGV at address 0x0"), string::npos) << log;
}

// What the faulting connection had answered before goes out whole; what it had not is not answered.
TEST_F(HttpFault, InAPipelineLosesWhatCameBehindIt) {
    int fd = DialLoopback(port_);
    SendAll(fd, "GET /number/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    char piece[1024];
    EXPECT_GT(read(fd, piece, sizeof piece), 0);
    SendAll(fd, "GET /crash/handler/null HTTP/1.1\r\nHost: h\r\n\r\nGET /number/3 "
                "HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(answer(fd), k500);
    // Answered in one go with it: that goes out first.
    fd = DialLoopback(port_);
    SendAll(fd, "GET /number/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /number/2 HTTP/1.1\r\nHost: h\r\n\r\n"
                "GET /crash/handler/null HTTP/1.1\r\nHost: h\r\n\r\nGET /number/3 "
                "HTTP/1.1\r\nHost: h\r\n\r\n");
    string all = answer(fd);
    EXPECT_NE(all.find("\r\n\r\n1HTTP/1.1 200 OK\r\n"), string::npos) << all;
    EXPECT_EQ(all.substr(all.find("\r\n\r\n2") + 5), k500);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

struct Place {
    const char *name;
    bool posts;      // to it, with a body
    const char *cut; // what is sent before the crash, the head left out; nullptr: nothing is
};

constexpr Place kPlaces[] = {
    {"handler", false, nullptr}, {"before", false, nullptr},   {"after", false, nullptr},
    {"wait", false, nullptr},    {"waits", false, nullptr},    {"message", false, nullptr},
    {"call", false, nullptr},    {"waitcall", false, nullptr}, {"piece", true, nullptr},
    {"unsent", true, nullptr},   {"half", false, "half,"},     {"event", false, ": hello\n\n\r\n"},
};

constexpr const char *kWays[] = {"null",  "divide", "overflow", "loop",  "assert",
                                 "abort", "panic",  "trap",     "calls", "effect"};

string crash_at(const Place &place, const string &way) {
    string path = "/crash/" + string(place.name) + "/" + way + " HTTP/1.1\r\nHost: h\r\n";
    return place.posts ? "POST " + path + "Content-Length: 6\r\n\r\nabcdef"
                       : "GET " + path + "\r\n";
}

// Wherever it crashes and however: 500 when nothing of the response has been sent, else its
// connection ends in the midst of it; and the others, which ask meanwhile, get their answers.
TEST_F(HttpFault, OfAnyKindAnywhereCostsItsOwnConnection) {
    std::vector<Numbered> good;
    for (int i = 0; i < kConnections; i++)
        good.emplace_back(DialLoopback(port_));
    int crashes = 0;
    for (const Place &place : kPlaces) {
        for (const char *way : kWays) {
            bool in_hook = strcmp(place.name, "before") == 0 || strcmp(place.name, "after") == 0;
            if (in_hook && strcmp(way, "effect") == 0)
                continue; // a hook makes no call
            for (Numbered &each : good)
                each.send(kPipelined);
            int fd = DialLoopback(port_);
            SendAll(fd, crash_at(place, way));
            string text = answer(fd);
            for (Numbered &each : good)
                ASSERT_TRUE(each.receive()) << place.name << " " << way;
            if (place.cut == nullptr) {
                EXPECT_EQ(text, k500) << place.name << " " << way;
            } else {
                EXPECT_EQ(text.substr(0, 17), "HTTP/1.1 200 OK\r\n") << place.name << " " << way;
                ASSERT_GE(text.size(), strlen(place.cut));
                EXPECT_EQ(text.substr(text.size() - strlen(place.cut)), place.cut) << way;
            }
            crashes++;
        }
    }
    for (Numbered &each : good)
        each.hang_up();
    std::printf("%d crashes\n", crashes);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

// In one go with a request whose isolate was exposed, so that the crash is in that one's successor,
// in its init for most places.
TEST_F(HttpFault, BehindAnExposedRequestLeavesThatOnesAnswer) {
    for (const Place &place : kPlaces) {
        for (const char *way : {"null", "overflow", "panic"}) {
            int fd = DialLoopback(port_);
            SendAll(fd, "GET /counters HTTP/1.1\r\nHost: h\r\n\r\n" + crash_at(place, way));
            string text = answer(fd);
            EXPECT_EQ(text.substr(0, 17), "HTTP/1.1 200 OK\r\n") << place.name;
            size_t end = text.find('}');
            ASSERT_NE(end, string::npos) << place.name;
            text.erase(0, end + 1);
            if (place.cut == nullptr) {
                EXPECT_EQ(text, k500) << place.name << " " << way;
            } else {
                EXPECT_EQ(text.substr(0, 17), "HTTP/1.1 200 OK\r\n") << place.name << " " << way;
                ASSERT_GE(text.size(), strlen(place.cut));
                EXPECT_EQ(text.substr(text.size() - strlen(place.cut)), place.cut) << way;
            }
        }
    }
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

// No crash, but no answer either.
TEST_F(HttpFault, AStepThatIsNoneIsAnswered500) {
    for (const Place &place : kPlaces) {
        if (place.cut != nullptr || strcmp(place.name, "after") == 0)
            continue;
        int fd = DialLoopback(port_);
        SendAll(fd, crash_at(place, "step"));
        char line[13] = "";
        EXPECT_EQ(recv(fd, line, 12, MSG_WAITALL), 12) << place.name;
        EXPECT_STREQ(line, "HTTP/1.1 500") << place.name;
        close(fd);
    }
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

// A body that is not read is no reason for a reset.
TEST_F(HttpFault, AnswersAlsoAClientThatGoesOnSending) {
    for (const char *place : {"handler", "wait", "message"}) {
        int fd = DialLoopback(port_);
        SendAll(fd, "GET /crash/" + string(place) +
                        "/null HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabcdef" +
                        string(100000, 'x'));
        EXPECT_EQ(answer(fd), k500) << place;
    }
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

TEST_F(HttpFault, AmongManyGoodRequestsLoseNone) {
    const bool is_long = getenv("TINA_LONG") != nullptr;
    const uint64_t faults_max = is_long ? 10000 : 200;
    const uint64_t good_max = faults_max * 100;
    std::vector<Numbered> good;
    for (int i = 0; i < kConnections; i++)
        good.emplace_back(DialLoopback(port_));
    for (Numbered &each : good) {
        each.send(kPipelined);
        EXPECT_TRUE(each.receive());
    }
    const size_t fds = server_.fds();
    const long kib = resident_kib();
    uint64_t sent = 0, faults = 0, refused = 0;
    while (sent < good_max && !HasFailure()) {
        std::array<int, 2> doomed;
        size_t count = 0;
        for (Numbered &each : good)
            each.send(kPipelined);
        sent += kConnections * kPipelined;
        for (; count < doomed.size() && faults < faults_max && faults < sent / 100; faults++)
            doomed[count++] = ask("/crash/handler/null");
        for (Numbered &each : good)
            EXPECT_TRUE(each.receive());
        for (size_t i = 0; i < count; i++)
            refused += answer(doomed[i]) == k500;
    }
    uint64_t answered = 0;
    for (Numbered &each : good)
        answered += each.answered();
    EXPECT_EQ(answered, sent + kConnections * kPipelined);
    EXPECT_EQ(faults, faults_max);
    EXPECT_EQ(refused, faults);
    // What answers for a connection that crashed goes when it has seen the client go.
    for (int i = 0; i < 10000 && server_.fds() != fds; i++)
        counters();
    EXPECT_EQ(server_.fds(), fds);
    // This one's, the good ones', and one that a crash has left until its slot is used again.
    string counted = counters();
    unsigned connections = 0, contexts = 0;
    EXPECT_EQ(std::sscanf(counted.c_str(), "{\"connections\":%u,\"contexts\":%u}", &connections,
                          &contexts),
              2);
    EXPECT_LE(connections, kConnections + 2u);
    EXPECT_LE(contexts, 2u);
#if !defined(__SANITIZE_ADDRESS__)
    EXPECT_LT(resident_kib() - kib, 1024);
#endif
    std::printf("%llu faults, %llu good requests, all answered; %zu fds, %ld KiB and %ld after\n",
                static_cast<unsigned long long>(faults), static_cast<unsigned long long>(answered),
                fds, kib, resident_kib());
    for (Numbered &each : good)
        each.hang_up();
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

} // namespace
