// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do. Files: what is written is read, and what is asked for wrongly, or
// finds no room, says so.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

constexpr uint32_t kReadWrite = TINA_OPEN_READ | TINA_OPEN_WRITE;
constexpr uint32_t kNew = kReadWrite | TINA_OPEN_CREATE | TINA_OPEN_EXCLUSIVE;

class File : public Suite {};

TEST_P(File, WhatIsWrittenIsRead) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    EXPECT_EQ(write(&owner, fd, 0, "hello"), 5);
    EXPECT_EQ(write(&owner, fd, 3, "XYZ"), 3);
    Completion c = rig->result(rig->submit(&owner, tina_op_read(fd, 1, 100)));
    EXPECT_EQ(c.kind, TINA_OP_READ);
    EXPECT_EQ(c.result, 5);
    EXPECT_EQ(c.bytes, 5u);
    EXPECT_EQ(c.data, "elXYZ");
    EXPECT_EQ(c.fd.bits, fd.bits);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_read(fd, 2, 2))).data, "lX");
    for (uint64_t beyond : {UINT64_C(6), UINT64_C(1) << 40}) {
        c = rig->result(rig->submit(&owner, tina_op_read(fd, beyond, 100)));
        EXPECT_EQ(c.result, 0);
        EXPECT_EQ(c.buffer, TINA_IO_NO_BUFFER);
    }
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_fsync(fd))).result, 0);
    EXPECT_EQ(closed(&owner, fd), 0);
    expect_empty();
}

TEST_P(File, AWriteTakesAllAndAReadOneBufferFull) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    std::string bytes = pattern(kind->file_bytes());
    Completion c = rig->result(rig->submit(
        &owner, tina_op_write(fd, 0, bytes.data(), static_cast<uint32_t>(bytes.size()))));
    EXPECT_EQ(c.result, static_cast<int32_t>(bytes.size()));
    EXPECT_EQ(c.bytes, bytes.size());
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_read(fd, 0, UINT32_MAX))).result, 1024);
    EXPECT_TRUE(content(&owner, fd) == bytes);
    EXPECT_TRUE(content(&owner, fd, 7) == bytes.substr(7));
}

TEST_P(File, AWriteOfSomeCompletesPartially) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    std::string bytes = pattern(kind->file_bytes());
    tina_io_op op = tina_op_write_some(fd, 0, bytes.data(), static_cast<uint32_t>(bytes.size()));
    Completion c = rig->result(rig->submit(&owner, op));
    ASSERT_GT(c.result, 0);
    EXPECT_EQ(c.bytes, static_cast<uint32_t>(c.result));
    EXPECT_TRUE(content(&owner, fd) == bytes.substr(0, c.bytes));
}

TEST_P(File, AHoleReadsAsZeros) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    EXPECT_EQ(write(&owner, fd, 5, "x"), 1);
    EXPECT_EQ(content(&owner, fd), std::string("\0\0\0\0\0x", 6));
}

TEST_P(File, ThePositionMovesWithReadsAndWritesThatUseIt) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    EXPECT_EQ(write(&owner, fd, TINA_OFFSET_POSITION, "abc"), 3);
    EXPECT_EQ(write(&owner, fd, 0, "A"), 1); // not this one
    EXPECT_EQ(write(&owner, fd, TINA_OFFSET_POSITION, "def"), 3);
    EXPECT_EQ(content(&owner, fd), "Abcdef");
    EXPECT_EQ(content(&owner, fd, TINA_OFFSET_POSITION), "");
    tina_fd again = file(&owner, "a", TINA_OPEN_READ);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_read(again, TINA_OFFSET_POSITION, 4))).data,
              "Abcd");
    EXPECT_EQ(content(&owner, again, TINA_OFFSET_POSITION), "ef");
    std::string many = pattern(kind->file_bytes() / 2);
    EXPECT_EQ(write(&owner, fd, TINA_OFFSET_POSITION, many), static_cast<int32_t>(many.size()));
    EXPECT_TRUE(content(&owner, again, TINA_OFFSET_POSITION) == many);
}

TEST_P(File, HowItIsOpenedIsHowItIs) {
    open();
    tina_reactor_owner owner = owner_of(1);
    EXPECT_EQ(opened(&owner, path("a"), TINA_OPEN_READ).result, -ENOENT);
    EXPECT_EQ(opened(&owner, path("a"), kReadWrite | TINA_OPEN_TRUNCATE).result, -ENOENT);
    tina_fd fd = file(&owner, "a", kNew);
    EXPECT_EQ(write(&owner, fd, 0, "hello"), 5);
    EXPECT_EQ(opened(&owner, path("a"), kNew).result, -EEXIST);
    EXPECT_EQ(opened(&owner, path("a"), TINA_OPEN_READ | TINA_OPEN_DIRECTORY).result, -ENOTDIR);
    EXPECT_EQ(opened(&owner, kind->directory(), TINA_OPEN_WRITE).result, -EISDIR);
    Completion directory = opened(&owner, kind->directory(), TINA_OPEN_READ | TINA_OPEN_DIRECTORY);
    EXPECT_EQ(directory.result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_fsync(directory.fd))).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_read(directory.fd, 0, 1))).result, -EISDIR);
    tina_fd there = file(&owner, "a", kReadWrite | TINA_OPEN_CREATE);
    EXPECT_EQ(content(&owner, there), "hello");
    tina_fd append = file(&owner, "a", TINA_OPEN_WRITE | TINA_OPEN_APPEND);
    EXPECT_EQ(write(&owner, append, 0, ", world"), 7);
    EXPECT_EQ(content(&owner, there), "hello, world");
    (void)file(&owner, "a", TINA_OPEN_WRITE | TINA_OPEN_TRUNCATE);
    EXPECT_EQ(content(&owner, there), "");
}

TEST_P(File, WhatIsOpenedHasTheRightsThatWereAskedForAndNoMore) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd full = file(&owner, "a", kNew);
    EXPECT_EQ(write(&owner, full, 0, "hello"), 5);
    tina_fd reader = file(&owner, "a", TINA_OPEN_READ);
    tina_fd writer = file(&owner, "a", TINA_OPEN_WRITE);
    EXPECT_EQ(rig->refused(&owner, tina_op_write(reader, 0, "x", 1)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(rig->refused(&owner, tina_op_read(writer, 0, 1)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(rig->refused(&owner, tina_op_sendfile(full, writer, 0, 1)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(rig->refused(&owner, tina_op_poll(reader, TINA_POLL_WRITE)), TINA_IO_NO_RIGHT);
    // Nor does a name help that claims to have more.
    tina_fd forged = {reader.bits | UINT64_C(3) << 54};
    EXPECT_EQ(rig->refused(&owner, tina_op_write(forged, 0, "x", 1)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(content(&owner, forged), "hello");
    for (tina_fd any : {reader, writer}) {
        tina_file_stat stat;
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_fsync(any))).result, 0);
        EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_stat(any, &stat))).result, 0);
        EXPECT_EQ(stat.bytes, 5u);
    }
}

TEST_P(File, AnFdThatIsHandedOnKeepsNoRightThatItsNameLacks) {
    open();
    tina_reactor_owner from = owner_of(1);
    tina_reactor_owner to = owner_of(2);
    tina_fd full = file(&from, "a", kNew);
    tina_fd reader = tina_fd_with_rights(full, 1);
    EXPECT_EQ(tina_reactor_move_fd(rig->reactor, &from, reader, &to), 0);
    EXPECT_EQ(rig->refused(&to, tina_op_write(full, 0, "x", 1)), TINA_IO_NO_RIGHT);
    EXPECT_EQ(rig->result(rig->submit(&to, tina_op_read(full, 0, 1))).result, 0);
    EXPECT_EQ(closed(&to, reader), 0);
}

TEST_P(File, AStatTellsWhatItIs) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_file_stat stat[3] = {};
    std::string at = path("a");
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_stat_path(at.c_str(), &stat[0]))).result,
              -ENOENT);
    tina_fd fd = file(&owner, "a", kNew);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_stat(fd, &stat[0]))).result, 0);
    EXPECT_EQ(stat[0].bytes, 0u);
    EXPECT_EQ(write(&owner, fd, 0, "hello"), 5);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_stat(fd, &stat[1]))).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_stat_path(at.c_str(), &stat[2]))).result, 0);
    EXPECT_EQ(stat[1].bytes, 5u);
    EXPECT_EQ(stat[1].kind, TINA_FILE_REGULAR);
    EXPECT_EQ(stat[1].permissions & 0600u, 0600u);
    EXPECT_EQ(stat[1].inode, stat[0].inode);
    EXPECT_GE(stat[1].modified_ns, stat[0].modified_ns);
    EXPECT_EQ(memcmp(&stat[1], &stat[2], sizeof stat[1]), 0);
    std::string directory = kind->directory();
    EXPECT_EQ(
        rig->result(rig->submit(&owner, tina_op_stat_path(directory.c_str(), &stat[0]))).result, 0);
    EXPECT_EQ(stat[0].kind, TINA_FILE_DIRECTORY);
}

TEST_P(File, AStatIsWrittenWhenItCompletesAndToTheLivingOnly) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_reactor_owner dying = owner_of(2);
    tina_file_stat stat;
    memset(&stat, 0x5A, sizeof stat);
    tina_file_stat untouched = stat;
    std::string at = kind->directory();
    tina_io_id id = rig->submit(&owner, tina_op_stat_path(at.c_str(), &stat));
    EXPECT_TRUE(tina_reactor_uses(rig->reactor, &owner, &stat, 1));
    EXPECT_FALSE(tina_reactor_uses(rig->reactor, &owner, &stat + 1, 1));
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED)); // only staged
    EXPECT_EQ(rig->result(id).result, TINA_IO_CANCELED);
    EXPECT_EQ(memcmp(&stat, &untouched, sizeof stat), 0);
    for (int turns = 0; turns < 3; turns++) {
        (void)rig->submit(&dying, tina_op_stat_path(at.c_str(), &stat));
        if (turns > 0) {
            tina_reactor_flush(rig->reactor);
        }
        if (turns > 1) {
            EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
        }
        if (!tina_reactor_release(rig->reactor, &dying)) {
            rig->until([&] { return !rig->drained.empty(); });
        }
        EXPECT_EQ(memcmp(&stat, &untouched, sizeof stat), 0);
        rig->drained.clear();
        dying = owner_of(2);
    }
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_stat_path(at.c_str(), &stat))).result, 0);
    EXPECT_NE(memcmp(&stat, &untouched, sizeof stat), 0);
}

TEST_P(File, NamesComeAndGo) {
    open();
    tina_reactor_owner owner = owner_of(1);
    std::string a = path("a"), b = path("b");
    tina_fd fd = file(&owner, "a", kNew);
    tina_fd replaced = file(&owner, "b", kNew);
    EXPECT_EQ(write(&owner, fd, 0, "new"), 3);
    EXPECT_EQ(write(&owner, replaced, 0, "old"), 3);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_rename(a.c_str(), b.c_str()))).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_rename(a.c_str(), b.c_str()))).result,
              -ENOENT);
    tina_fd found = file(&owner, "b", TINA_OPEN_READ);
    EXPECT_EQ(content(&owner, found), "new");
    EXPECT_EQ(content(&owner, replaced), "old"); // while it is open
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_unlink(b.c_str()))).result, 0);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_unlink(b.c_str()))).result, -ENOENT);
    EXPECT_EQ(opened(&owner, b, TINA_OPEN_READ).result, -ENOENT);
    EXPECT_EQ(content(&owner, found), "new");
    std::string directory = kind->directory();
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_unlink(directory.c_str()))).result, -EISDIR);
}

TEST_P(File, PathsAreCopiedWhenSubmitted) {
    open();
    tina_reactor_owner owner = owner_of(1);
    std::string a = path("a"), b = path("b");
    tina_io_id open_id = rig->submit(&owner, tina_op_open(a.c_str(), kNew, 0600));
    a.assign(a.size(), '#');
    EXPECT_EQ(rig->result(open_id).result, 0);
    a = path("a");
    tina_io_id rename_id = rig->submit(&owner, tina_op_rename(a.c_str(), b.c_str()));
    a.assign(a.size(), '#');
    b.assign(b.size(), '#');
    EXPECT_EQ(rig->result(rename_id).result, 0);
    EXPECT_EQ(opened(&owner, path("b"), TINA_OPEN_READ).result, 0);
}

TEST_P(File, WhatIsOutOfRangeIsRefused) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    tina_file_stat stat;
    std::string longest(TINA_PATH_BYTES_MAX, 'a'), longer(TINA_PATH_BYTES_MAX + 1, 'a');
    std::string half(TINA_PATH_BYTES_MAX / 2, 'a'), more = half + "a";
    tina_io_op with_fd = tina_op_unlink("a");
    with_fd.fd = fd;
    tina_io_op both = tina_op_stat_path("a", &stat);
    both.fd = fd;
    tina_io_op some = tina_op_read(fd, 0, 1);
    some.flags = TINA_IO_SOME;
    tina_io_op offset = tina_op_fsync(fd);
    offset.offset = 1;
    for (const tina_io_op &op : {tina_op_open(nullptr, kReadWrite, 0),
                                 tina_op_open("", kReadWrite, 0),
                                 tina_op_open(longer.c_str(), kReadWrite, 0),
                                 tina_op_open("a", 0, 0),
                                 tina_op_open("a", TINA_OPEN_CREATE, 0),
                                 tina_op_open("a", 128 | kReadWrite, 0),
                                 tina_op_open("a", UINT32_MAX, 0),
                                 tina_op_open("a", kReadWrite, 010000),
                                 tina_op_open("a", TINA_OPEN_READ | TINA_OPEN_TRUNCATE, 0),
                                 tina_op_open("a", TINA_OPEN_READ | TINA_OPEN_APPEND, 0),
                                 tina_op_open("a", kReadWrite | TINA_OPEN_EXCLUSIVE, 0),
                                 tina_op_read(fd, 0, 0),
                                 tina_op_read(fd, UINT64_C(1) << 63, 1),
                                 tina_op_read(fd, UINT64_MAX - 1, 1),
                                 tina_op_write(fd, 0, nullptr, 1),
                                 tina_op_write(fd, 0, "", 0),
                                 tina_op_write(fd, INT64_MAX, "x", 1),
                                 tina_op_write(fd, 0, "x", UINT32_MAX),
                                 tina_op_stat(fd, nullptr),
                                 tina_op_stat_path("", &stat),
                                 tina_op_stat_path(nullptr, &stat),
                                 tina_op_rename("a", ""),
                                 tina_op_rename("", "a"),
                                 tina_op_rename("a", nullptr),
                                 tina_op_rename(longest.c_str(), "a"),
                                 tina_op_rename(half.c_str(), more.c_str()),
                                 tina_op_unlink(""),
                                 with_fd,
                                 both,
                                 some,
                                 offset,
                                 tina_op_sendfile(fd, fd, 0, 0)}) {
        EXPECT_EQ(rig->refused(&owner, op), TINA_IO_BAD_OP) << int(op.kind);
    }
    EXPECT_EQ(opened(&owner, longest, TINA_OPEN_READ).result, -ENAMETOOLONG);
    std::string rest(TINA_PATH_BYTES_MAX - 1 - half.size(), 'a');
    EXPECT_LT(rig->result(rig->submit(&owner, tina_op_rename(half.c_str(), rest.c_str()))).result,
              0);
    EXPECT_EQ(rig->refused(&owner, tina_op_fsync(tina_fd_none())), TINA_IO_BAD_FD);
    EXPECT_EQ(rig->refused(&owner, tina_op_recv(fd, 0)), TINA_IO_BAD_OP);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_recv(fd, 1))).result, -ENOTSOCK);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_send(fd, "x", 1))).result, -ENOTSOCK);
}

TEST_P(File, NoMorePathsThanTheirCountAreInFlight) {
    Sizes sizes;
    sizes.paths = 1;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    std::string a = path("a");
    for (int round = 0; round < 3; round++) {
        tina_io_id id = rig->submit(&owner, tina_op_open(a.c_str(), TINA_OPEN_READ, 0));
        EXPECT_EQ(rig->refused(&owner, tina_op_unlink(a.c_str())), TINA_IO_OPS_FULL);
        EXPECT_EQ(rig->result(id).result, -ENOENT);
    }
}

TEST_P(File, AnOpenBeyondTheFdTableIsClosedAgain) {
    Sizes sizes;
    sizes.fds = 2;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_fd first = file(&owner, "a", kNew);
    (void)file(&owner, "b", kNew);
    size_t before = open_fds();
    EXPECT_EQ(opened(&owner, path("c"), kNew).result, TINA_IO_FDS_FULL);
    EXPECT_EQ(open_fds(), before);
    EXPECT_EQ(rig->count().fds_dropped, 1u);
    EXPECT_EQ(closed(&owner, first), 0);
    EXPECT_EQ(opened(&owner, path("c"), kReadWrite).result, 0); // it was made
}

TEST_P(File, OneOpADirection) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    tina_file_stat stat;
    tina_io_id write_id = rig->submit(&owner, tina_op_write(fd, 0, "hello", 5));
    EXPECT_EQ(rig->refused(&owner, tina_op_write(fd, 9, "x", 1)), TINA_IO_BUSY);
    EXPECT_EQ(rig->refused(&owner, tina_op_fsync(fd)), TINA_IO_BUSY);
    tina_io_id read_id = rig->submit(&owner, tina_op_read(fd, 0, 5));
    EXPECT_EQ(rig->refused(&owner, tina_op_read(fd, 0, 5)), TINA_IO_BUSY);
    EXPECT_EQ(rig->refused(&owner, tina_op_stat(fd, &stat)), TINA_IO_BUSY);
    EXPECT_EQ(rig->result(write_id).result, 5);
    EXPECT_GE(rig->result(read_id).result, 0);
    EXPECT_EQ(content(&owner, fd), "hello");
}

TEST_P(File, AReadWaitsForABuffer) {
    Sizes sizes;
    sizes.buffers = 1;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    tina_fd a = file(&owner, "a", kNew);
    tina_fd b = file(&owner, "a", kReadWrite);
    EXPECT_EQ(write(&owner, a, 0, "hello"), 5);
    rig->keep_buffers = true;
    Completion first = rig->result(rig->submit(&owner, tina_op_read(a, 0, 5)));
    tina_io_id waiting = rig->submit(&owner, tina_op_read(b, 1, 3));
    tina_io_id canceled = rig->submit(&owner, tina_op_read(a, 0, 5));
    rig->until([&] { return rig->count().buffers_awaited >= 2; });
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, canceled, TINA_IO_TIMED_OUT));
    EXPECT_EQ(rig->result(canceled).result, TINA_IO_TIMED_OUT);
    EXPECT_FALSE(rig->has(waiting));
    rig->give(first);
    Completion second = rig->result(waiting);
    EXPECT_EQ(second.data, "ell");
    rig->give(second);
}

TEST_P(File, ACancelBeforeFlushChangesNothing) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    std::string b = path("b");
    tina_io_id ids[] = {rig->submit(&owner, tina_op_open(b.c_str(), kNew, 0600)),
                        rig->submit(&owner, tina_op_write(fd, 0, "never", 5)),
                        rig->submit(&owner, tina_op_unlink(path("a").c_str()))};
    for (tina_io_id id : ids) {
        EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
    }
    for (tina_io_id id : ids) {
        EXPECT_EQ(rig->result(id).result, TINA_IO_TIMED_OUT);
    }
    EXPECT_EQ(opened(&owner, b, TINA_OPEN_READ).result, -ENOENT);
    EXPECT_EQ(content(&owner, file(&owner, "a", TINA_OPEN_READ)), "");
}

// Whether a cancel comes in time is the kernel's to say; nothing may be left behind either way, and
// a result that is no cancel must be true.
TEST_P(File, ACancelInFlightLeavesNothingBehind) {
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    std::string bytes = pattern(kind->file_bytes());
    std::string a = path("a");
    for (int round = 0; round < 50; round++) {
        tina_io_id ids[] = {rig->submit(&owner, tina_op_open(a.c_str(), TINA_OPEN_READ, 0)),
                            rig->submit(&owner, tina_op_write(fd, 0, bytes.data(),
                                                              static_cast<uint32_t>(bytes.size()))),
                            rig->submit(&owner, tina_op_read(fd, 0, 1024))};
        tina_reactor_flush(rig->reactor);
        if (round % 2 == 0) {
            EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
        }
        for (tina_io_id id : ids) {
            (void)tina_reactor_cancel(rig->reactor, id, TINA_IO_CANCELED);
        }
        Completion c = rig->result(ids[0]);
        if (c.result == 0) {
            EXPECT_EQ(closed(&owner, c.fd), 0);
        } else {
            EXPECT_EQ(c.result, TINA_IO_CANCELED);
        }
        c = rig->result(ids[1]);
        EXPECT_TRUE(c.result == TINA_IO_CANCELED || c.result == static_cast<int32_t>(bytes.size()));
        EXPECT_TRUE(content(&owner, fd).substr(0, c.bytes) == bytes.substr(0, c.bytes));
        c = rig->result(ids[2]);
        EXPECT_TRUE(c.result == TINA_IO_CANCELED || c.result >= 0) << c.result;
    }
    EXPECT_EQ(closed(&owner, fd), 0);
    expect_empty();
}

TEST_P(File, ReleaseClosesWhatIsOpenAndWhatIsBeingOpened) {
    open();
    size_t before = open_fds();
    std::string bytes = pattern(kind->file_bytes());
    std::string a = path("a");
    for (int round = 0; round < 20; round++) {
        tina_reactor_owner owner = owner_of(1);
        tina_fd fd = file(&owner, "a", kReadWrite | TINA_OPEN_CREATE);
        (void)rig->submit(&owner, tina_op_open(a.c_str(), TINA_OPEN_READ, 0));
        (void)rig->submit(&owner,
                          tina_op_write(fd, 0, bytes.data(), static_cast<uint32_t>(bytes.size())));
        (void)rig->submit(&owner, tina_op_read(fd, 0, 100));
        if (round % 3 > 0) {
            tina_reactor_flush(rig->reactor);
        }
        if (round % 3 > 1) {
            EXPECT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
        }
        if (!tina_reactor_release(rig->reactor, &owner)) {
            rig->until([&] { return !rig->drained.empty(); });
        }
        rig->drained.clear();
        expect_empty();
        EXPECT_EQ(open_fds(), before);
    }
}

TEST_P(File, TheReactorClosesOverFilesAndPathsInFlight) {
    open();
    tina_reactor_owner *owner = new tina_reactor_owner(owner_of(1));
    tina_fd fd = file(owner, "a", kNew);
    tina_file_stat *stat = new tina_file_stat;
    std::string a = path("a");
    (void)rig->submit(owner, tina_op_open(a.c_str(), TINA_OPEN_READ, 0));
    (void)rig->submit(owner, tina_op_write(fd, 0, "x", 1));
    (void)rig->submit(owner, tina_op_stat_path(a.c_str(), stat));
    tina_reactor_flush(rig->reactor);
    delete owner;
    delete stat; // nobody writes there
    rig.reset();
}

TEST_P(File, ThousandsOfOps) {
    Sizes sizes;
    sizes.ops = 512;
    sizes.paths = 100;
    sizes.fds = 200;
    sizes.buffers = 128;
    open(sizes);
    tina_reactor_owner owner = owner_of(1);
    std::vector<tina_fd> fds;
    (void)file(&owner, "a", kNew);
    std::vector<tina_io_id> ids;
    std::string a = path("a");
    for (int i = 0; i < 100; i++) {
        ids.push_back(rig->submit(&owner, tina_op_open(a.c_str(), kReadWrite, 0)));
    }
    for (tina_io_id id : ids) {
        Completion c = rig->result(id);
        ASSERT_EQ(c.result, 0);
        fds.push_back(c.fd);
    }
    for (int round = 0; round < 10; round++) {
        ids.clear();
        for (size_t i = 0; i < fds.size(); i++) {
            ids.push_back(rig->submit(&owner, tina_op_write(fds[i], 8 * i, "01234567", 8)));
        }
        for (tina_io_id id : ids) {
            ASSERT_EQ(rig->result(id).result, 8);
        }
        ids.clear();
        for (size_t i = 0; i < fds.size(); i++) {
            ids.push_back(rig->submit(&owner, tina_op_read(fds[i], 8 * i, 8)));
        }
        for (tina_io_id id : ids) {
            ASSERT_EQ(rig->result(id).data, "01234567");
        }
    }
    if (!tina_reactor_release(rig->reactor, &owner)) {
        rig->until([&] { return !rig->drained.empty(); });
    }
    expect_empty();
}

INSTANTIATE_TEST_SUITE_P(All, File, every_variant(), variant_name);

class FullDisk : public Suite {};

TEST_P(FullDisk, AWriteTellsHowMuchFoundRoom) {
    constexpr size_t kRoom = 4096;
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    kind->limit_file(kRoom);
    open();
    tina_reactor_owner owner = owner_of(1);
    tina_fd fd = file(&owner, "a", kNew);
    std::string bytes = pattern(2 * kRoom);
    // What a full disk is to one file of this machine: the longest that it may become.
    rlimit room = {kRoom, before.rlim_max};
    auto old = signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &room), 0);
    Completion c = rig->result(rig->submit(
        &owner, tina_op_write(fd, 0, bytes.data(), static_cast<uint32_t>(bytes.size()))));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, old);
    EXPECT_EQ(c.result, kind->is_kernel() ? -EFBIG : -ENOSPC);
    EXPECT_EQ(c.bytes, kRoom);
    EXPECT_TRUE(content(&owner, fd) == bytes.substr(0, kRoom));
}

INSTANTIATE_TEST_SUITE_P(All, FullDisk, every_variant(), variant_name);

#ifndef TINA_SUITE_VARIANTS // these touch this machine's own files
class KernelFile : public Suite {};

TEST_P(KernelFile, DevicesSayWhatTheySay) {
    open();
    tina_reactor_owner owner = owner_of(1);
    Completion full = opened(&owner, "/dev/full", kReadWrite);
    ASSERT_EQ(full.result, 0);
    EXPECT_EQ(write(&owner, full.fd, 0, "x"), -ENOSPC);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_read(full.fd, 0, 4))).data,
              std::string(4, 0));
    tina_file_stat stat;
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_stat(full.fd, &stat))).result, 0);
    EXPECT_EQ(stat.kind, TINA_FILE_OTHER);
    EXPECT_EQ(opened(&owner, "/proc/self/no/such", TINA_OPEN_READ).result, -ENOENT);
    EXPECT_EQ(opened(&owner, "/dev/null/x", TINA_OPEN_READ).result, -ENOTDIR);
}

TEST_P(KernelFile, AFifoIsOpenedAtOnceAndAReadOfItWaits) {
    open();
    tina_reactor_owner owner = owner_of(1);
    std::string at = path("fifo");
    ASSERT_EQ(mkfifo(at.c_str(), 0600), 0);
    EXPECT_EQ(opened(&owner, at, TINA_OPEN_WRITE).result, -ENXIO); // nobody reads
    Completion c = opened(&owner, at, TINA_OPEN_READ);
    ASSERT_EQ(c.result, 0);
    int writer = ::open(at.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(writer, 0);
    tina_io_id id = rig->submit(&owner, tina_op_read(c.fd, TINA_OFFSET_POSITION, 10));
    rig->turn();
    EXPECT_FALSE(rig->has(id));
    EXPECT_EQ(::write(writer, "hello", 5), 5);
    EXPECT_EQ(rig->result(id).data, "hello");
    id = rig->submit(&owner, tina_op_read(c.fd, TINA_OFFSET_POSITION, 10));
    rig->turn();
    EXPECT_TRUE(tina_reactor_cancel(rig->reactor, id, TINA_IO_TIMED_OUT));
    EXPECT_EQ(rig->result(id).result, TINA_IO_TIMED_OUT);
    ::close(writer);
    EXPECT_EQ(rig->result(rig->submit(&owner, tina_op_read(c.fd, TINA_OFFSET_POSITION, 1))).result,
              0);
}

TEST_P(KernelFile, LinksAreNotFollowedWhereThatIsAskedFor) {
    const uint32_t no_links = TINA_OPEN_READ | TINA_OPEN_NO_LINKS;
    open();
    tina_reactor_owner owner = owner_of(1);
    (void)file(&owner, "a", kNew);
    std::string file_link = path("link");
    std::string directory_link = path("up");
    ASSERT_EQ(symlink("a", file_link.c_str()), 0);
    ASSERT_EQ(symlink(".", directory_link.c_str()), 0);
    EXPECT_EQ(opened(&owner, path("a"), no_links).result, 0);
    EXPECT_EQ(opened(&owner, file_link, TINA_OPEN_READ).result, 0);
    EXPECT_EQ(opened(&owner, file_link, no_links).result, -ELOOP);
    EXPECT_EQ(opened(&owner, path("up/a"), TINA_OPEN_READ).result, 0);
    EXPECT_EQ(opened(&owner, path("up/a"), no_links).result, -ELOOP);
    EXPECT_EQ(opened(&owner, path("none"), no_links).result, -ENOENT);
    for (uint32_t more : {TINA_OPEN_WRITE, TINA_OPEN_DIRECTORY})
        EXPECT_EQ(rig->refused(&owner, tina_op_open(file_link.c_str(), no_links | more, 0)),
                  TINA_IO_BAD_OP);
}

INSTANTIATE_TEST_SUITE_P(All, KernelFile, every_kernel_variant(), variant_name);
#endif

} // namespace
