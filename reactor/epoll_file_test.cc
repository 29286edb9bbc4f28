// SPDX-License-Identifier: Apache-2.0
//
// The file thread by itself, stuck on purpose in a pipe that nobody reads.

#include "reactor/epoll_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "reactor/backend.h"
#include "reactor/rig.h"

namespace {

class EpollFile : public testing::Test {
  protected:
    void SetUp() override {
        fds_before_ = open_fds();
        EXPECT_EQ(pipe2(wake_, O_CLOEXEC), 0);
        EXPECT_EQ(pipe2(stuck_, O_CLOEXEC), 0);
        EXPECT_EQ(tina_epoll_files_open(
                      &files,
                      [](void *self) { EXPECT_EQ(write(*static_cast<int *>(self), "", 1), 1); },
                      &wake_[1]),
                  0);
    }
    void TearDown() override {
        tina_epoll_files_close(&files);
        for (int fd : {wake_[0], wake_[1], stuck_[0], stuck_[1]}) {
            close(fd);
        }
        EXPECT_EQ(open_fds(), fds_before_);
    }

    static tina_backend_op make(uint8_t kind, int os_fd, const void *data, uint32_t bytes) {
        tina_backend_op op = {};
        op.kind = kind;
        op.os_fd = os_fd;
        op.data = data;
        op.bytes = bytes;
        op.offset = TINA_OFFSET_POSITION;
        return op;
    }
    void start(uint32_t row, const tina_backend_op &op, void *to = nullptr) {
        tina_epoll_files_start(&files, &op, row, to, &calls);
    }
    // A write that no pipe holds: the thread is in it until unstick().
    void stick(uint32_t row) {
        start(row,
              make(TINA_OP_WRITE, stuck_[1], much_.data(), static_cast<uint32_t>(much_.size())));
        char byte;
        EXPECT_EQ(read(stuck_[0], &byte, 1), 1); // it has begun
        read_ = 1;
    }
    void unstick() {
        std::vector<char> some(65536);
        while (read_ < much_.size()) {
            ssize_t bytes = read(stuck_[0], some.data(), some.size());
            ASSERT_GT(bytes, 0);
            read_ += static_cast<size_t>(bytes);
        }
    }
    // Sleeps until the thread has said something.
    tina_epoll_answer answer() {
        tina_epoll_answer a = {};
        char byte;
        while (!tina_epoll_files_take(&files, &a)) {
            EXPECT_EQ(read(wake_[0], &byte, 1), 1);
        }
        return a;
    }

    tina_epoll_files files;
    uint32_t calls = 0;
    Directory directory;

  private:
    size_t fds_before_ = 0;
    int wake_[2] = {-1, -1};
    int stuck_[2] = {-1, -1};
    std::string much_ = std::string(1 << 20, 'm');
    size_t read_ = 0;
};

TEST_F(EpollFile, AnswersInTheOrderOfItsRequests) {
    std::string path = directory.path() + "/x";
    struct stat found;
    tina_backend_op open = make(TINA_OP_OPEN, -1, path.c_str(), 0600);
    open.how = TINA_OPEN_READ | TINA_OPEN_WRITE | TINA_OPEN_CREATE;
    start(7, open);
    start(8, make(TINA_OP_UNLINK, -1, path.c_str(), 0));
    start(9, make(TINA_OP_UNLINK, -1, path.c_str(), 0));
    tina_epoll_answer opened = answer();
    EXPECT_EQ(opened.row, 7u);
    EXPECT_GE(opened.result, 0);
    EXPECT_TRUE(opened.is_file);
    tina_epoll_answer first = answer();
    EXPECT_EQ(first.row, 8u);
    EXPECT_EQ(first.result, 0);
    tina_epoll_answer second = answer();
    EXPECT_EQ(second.row, 9u);
    EXPECT_EQ(second.result, -ENOENT);
    EXPECT_NE(stat(path.c_str(), &found), 0);
    close(opened.result);
    EXPECT_TRUE(tina_epoll_files_idle(&files));
}

TEST_F(EpollFile, WhatWaitsIsTakenBackAndNeverHappens) {
    std::string path = directory.path() + "/never";
    stick(1);
    EXPECT_FALSE(tina_epoll_files_cancel(&files, 1)); // it is being made
    for (uint32_t round = 0; !tina_epoll_files_full(&files); round++) {
        tina_backend_op open = make(TINA_OP_OPEN, -1, path.c_str(), 0600);
        open.how = TINA_OPEN_WRITE | TINA_OPEN_CREATE;
        start(2, open);
        EXPECT_TRUE(tina_epoll_files_cancel(&files, 2)); // and the row is free for another
    }
    path.clear(); // nobody looks at it any more
    tina_epoll_answer a;
    EXPECT_FALSE(tina_epoll_files_take(&files, &a));
    unstick();
    a = answer();
    EXPECT_EQ(a.row, 1u);
    EXPECT_EQ(a.result, 1 << 20);
    while (!tina_epoll_files_idle(&files)) {
        ASSERT_FALSE(tina_epoll_files_take(&files, &a));
    }
    struct stat found;
    EXPECT_NE(stat((directory.path() + "/never").c_str(), &found), 0);
}

TEST_F(EpollFile, ItIsWokenOnceHoweverMuchWaits) {
    stick(1);
    calls = 0;
    for (uint32_t row = 2; row < 2 + TINA_EPOLL_JOBS - 1; row++) {
        start(row, make(TINA_OP_FSYNC, -1, nullptr, 0));
    }
    EXPECT_EQ(calls, 0u);
    EXPECT_TRUE(tina_epoll_files_full(&files));
    unstick();
    EXPECT_EQ(answer().row, 1u);
    for (uint32_t row = 2; row < 2 + TINA_EPOLL_JOBS - 1; row++) {
        tina_epoll_answer a = answer();
        EXPECT_EQ(a.row, row);
        EXPECT_EQ(a.result, -EBADF);
    }
}

// One side sleeps, then the other: a lost wake would end this in silence.
TEST_F(EpollFile, ThousandsOneByOneAndInBatches) {
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t batch = 1 + round % TINA_EPOLL_JOBS;
        for (uint32_t row = 1; row <= batch; row++) {
            start(row, make(TINA_OP_FSYNC, -1, nullptr, 0));
        }
        for (uint32_t row = 1; row <= batch; row++) {
            ASSERT_EQ(answer().row, row);
        }
        ASSERT_TRUE(tina_epoll_files_idle(&files));
    }
}

// A cancel and the thread race for each job: it ends in one way, and each job comes home.
TEST_F(EpollFile, ARaceHasOneWinner) {
    uint32_t ran = 0;
    uint32_t canceled = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        while (tina_epoll_files_full(&files)) {
            tina_epoll_answer a;
            ASSERT_FALSE(tina_epoll_files_take(&files, &a));
        }
        start(1, make(TINA_OP_FSYNC, -1, nullptr, 0));
        for (uint32_t spin = 0; spin < round % 64; spin++) {
            __asm__ volatile("");
        }
        if (tina_epoll_files_cancel(&files, 1)) {
            canceled++;
        } else {
            ASSERT_EQ(answer().row, 1u);
            ran++;
        }
    }
    EXPECT_EQ(ran + canceled, 20000u);
    EXPECT_GT(canceled, 0u);
}

} // namespace
