// SPDX-License-Identifier: Apache-2.0
//
// http_live's hub and its subscribers: those that leave are forgotten, those that do not
// read hold up nobody and are told what they missed.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "examples/example_test.h"

namespace {

class Hub : public Example {
  protected:
    // On a Unix socket the kernel holds few bytes for who does not read.
    Hub()
        : path_(short_path()),
          server_(program("http_live"),
                  with_backend({"--address", "unix:" + path_, "--shards", "2"})) {
        EXPECT_NE(server_.line().find("listening"), std::string::npos);
    }

    // A socket's path is short, and that of the test's directory need not be.
    static std::string short_path() {
        EXPECT_EQ(chdir(getenv("TEST_TMPDIR")), 0);
        return "hub." + std::to_string(getpid());
    }

    int dial() const {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        EXPECT_LT(path_.size(), sizeof address.sun_path);
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(connect(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address), 0)
            << strerror(errno);
        return fd;
    }

    int subscribe(const std::string &fields = "") const {
        int fd = dial();
        SendAll(fd, "GET /live HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
        return fd;
    }

    // Reads until `end` is there, and returns all.
    static std::string read_until(int fd, const std::string &end) {
        std::string got;
        char piece[65536];
        while (got.find(end) == std::string::npos) {
            ssize_t count = read(fd, piece, sizeof piece);
            if (count <= 0) {
                ADD_FAILURE() << "ended before " << end;
                break;
            }
            got.append(piece, static_cast<size_t>(count));
        }
        return got;
    }

    static std::string line(const std::string &text) {
        return "POST /chat HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(text.size()) +
               "\r\n\r\n" + text;
    }

    std::string path_;
    Process server_;
};

// How many of its fds are not sockets of connections is the same before and after.
TEST_P(Hub, ForgetsThoseThatLeave) {
    int keeper = subscribe();
    int speaker = dial();
    read_until(keeper, "event: count");
    SendAll(speaker, line("first"));
    read_until(speaker, "204");
    size_t fds = server_.fds();
    for (int round = 0; round < 2; round++) {
        std::vector<int> some;
        for (int i = 0; i < 60; i++) {
            some.push_back(subscribe());
            if (i % 2 == 0) // with bytes unread the server sees a reset, else an end
                read_until(some.back(), "data: first");
        }
        for (int fd : some)
            close(fd);
        while (server_.fds() > fds)
            poll(nullptr, 0, 1);
        std::string text = "after round " + std::to_string(round);
        SendAll(speaker, line(text));
        read_until(keeper, "data: " + text);
    }
    close(keeper);
    close(speaker);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

// The last id in a text that has some.
unsigned long last_id(const std::string &text) {
    return std::stoul(text.substr(text.rfind("\nid: ") + 5));
}

TEST_P(Hub, ASlowSubscriberHoldsUpNobodyAndHearsWhatItMissed) {
    int slow = subscribe();
    int quick = subscribe();
    int speaker = dial();
    read_until(quick, "event: count");
    // Until the kernel takes no more for the slow one, and its mailbox, too, is long full.
    unsigned long id = 0;
    std::string filler(60, 'x');
    for (int batch = 0; batch < 60; batch++) {
        std::string posts;
        for (int i = 0; i < 16; i++)
            posts += line(std::to_string(++id) + " " + filler);
        SendAll(speaker, posts);
        std::string heard = read_until(quick, "data: " + std::to_string(id) + " ");
        ASSERT_EQ(heard.find("event: missed"), std::string::npos) << batch;
        char answers[65536];
        while (recv(speaker, answers, sizeof answers, MSG_DONTWAIT) > 0)
            continue;
    }
    // It hears of what it missed, and all that came after it.
    std::string heard = read_until(slow, "data: " + std::to_string(id) + " ");
    EXPECT_EQ(last_id(heard), id);
    unsigned long before = 0;
    size_t gaps = 0;
    for (size_t at = 0; (at = heard.find("\nid: ", at)) != std::string::npos; at++) {
        unsigned long now = std::stoul(heard.substr(at + 5));
        ASSERT_GT(now, before);
        gaps += now != before + 1;
        before = now;
    }
    EXPECT_GE(gaps, 1u);
    size_t told = 0;
    for (size_t at = 0; (at = heard.find("event: missed", at)) != std::string::npos; at++)
        told++;
    EXPECT_EQ(told, gaps);
    close(slow);
    close(quick);
    close(speaker);
    EXPECT_EQ(server_.stop(SIGTERM), 0);
}

TEST_P(Hub, TellsThoseThatComeAgainOnlyWhatIsNew) {
    int speaker = dial();
    SendAll(speaker, line("one") + line("two") + line("three"));
    int known = subscribe();
    read_until(known, "data: three");
    int again = subscribe("Last-Event-ID: 2\r\n");
    std::string got = read_until(again, "data: three");
    EXPECT_EQ(got.find("data: two"), std::string::npos);
    close(again);
    again = subscribe("Last-Event-ID: 99\r\n"); // of another life
    got = read_until(again, "data: three");
    close(again);
    EXPECT_NE(got.find("data: one"), std::string::npos);
    close(known);
    close(speaker);
    // Streams end with their last chunk when the server drains.
    int last = subscribe();
    read_until(last, "data: three");
    kill(server_.pid, SIGTERM);
    read_until(last, "0\r\n\r\n");
    close(last);
    EXPECT_EQ(server_.stop(0), 0);
}

INSTANTIATE_TEST_SUITE_P(Backends, Hub, every_backend(), backend_name);

} // namespace
