// SPDX-License-Identifier: Apache-2.0

#include "sim/disk.h"

#include <errno.h>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "sim/disk_rig.h"

namespace {

constexpr uint32_t kReadWrite = TINA_OPEN_READ | TINA_OPEN_WRITE;
constexpr uint64_t kFileMax = UINT64_C(1) << 44;

using Names = std::vector<std::string>;

std::string pattern(size_t bytes, uint64_t from = 0) {
    std::string text(bytes, 0);
    for (size_t i = 0; i < bytes; i++)
        text[i] = static_cast<char>(tina_prng_mix(from + i));
    return text;
}

TEST(Disk, TakesWhatIsForFilesOnly) {
    const int file = SIM_DISK_FD_FIRST;
    const int socket = SIM_DISK_FD_FIRST - 1;
    auto takes = [](tina_op_kind kind, int fd) {
        tina_backend_op op = Disk::op(kind, fd);
        return sim_disk_takes(&op);
    };
    for (tina_op_kind kind :
         {TINA_OP_READ, TINA_OP_WRITE, TINA_OP_FSYNC, TINA_OP_STAT, TINA_OP_CLOSE}) {
        EXPECT_TRUE(takes(kind, file)) << kind;
        EXPECT_FALSE(takes(kind, socket)) << kind;
    }
    for (tina_op_kind kind : {TINA_OP_OPEN, TINA_OP_STAT, TINA_OP_RENAME, TINA_OP_UNLINK})
        EXPECT_TRUE(takes(kind, -1)) << kind;
    for (tina_op_kind kind : {TINA_OP_RECV, TINA_OP_SEND, TINA_OP_ACCEPT, TINA_OP_POLL})
        EXPECT_FALSE(takes(kind, file)) << kind;
}

TEST(Disk, WhatIsWrittenIsReadAtItsOffset) {
    Disk disk;
    std::string data;
    int fd = disk.create("/a");
    ASSERT_TRUE(sim_disk_owns(fd));
    EXPECT_EQ(disk.write(fd, 0, "hello"), 5);
    EXPECT_EQ(disk.write(fd, 3, "XYZ"), 3);
    EXPECT_EQ(disk.read(fd, 1, 100, &data), 5);
    EXPECT_EQ(data, "elXYZ");
    EXPECT_EQ(disk.read(fd, 6, 100, &data), 0);
    EXPECT_EQ(disk.read(fd, UINT64_C(1) << 62, 100, &data), 0);
    EXPECT_EQ(disk.write(fd, 5000, "!"), 1);
    EXPECT_EQ(disk.get("/a"), "helXYZ" + std::string(4994, '\0') + "!");
    EXPECT_EQ(disk.close(fd), 0);
    EXPECT_EQ(disk.read(fd, 0, 1, &data), -EBADF);
    EXPECT_EQ(disk.close(fd), -EBADF);
    EXPECT_EQ(sim_disk_open_fds(disk.disk), 0u);
}

TEST(Disk, AReadWritesNoMoreThanItsBuffer) {
    Disk disk;
    disk.put("/a", "hello");
    int fd = disk.open("/a");
    char buffer[4] = "###";
    tina_backend_op op = Disk::op(TINA_OP_READ, fd, nullptr, 100);
    EXPECT_EQ(disk.run(op, buffer, 2), 2);
    EXPECT_STREQ(buffer, "he#");
}

TEST(Disk, ThePositionMovesWithWhatUsesIt) {
    Disk disk;
    std::string data;
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, TINA_OFFSET_POSITION, "abc"), 3);
    EXPECT_EQ(disk.write(fd, 0, "A"), 1);
    EXPECT_EQ(disk.write(fd, TINA_OFFSET_POSITION, "def"), 3);
    EXPECT_EQ(disk.read(fd, TINA_OFFSET_POSITION, 9, &data), 0);
    int again = disk.open("/a");
    EXPECT_EQ(disk.read(again, TINA_OFFSET_POSITION, 4, &data), 4);
    EXPECT_EQ(data, "Abcd");
    EXPECT_EQ(disk.read(again, TINA_OFFSET_POSITION, 4, &data), 2);
    EXPECT_EQ(data, "ef");
}

TEST(Disk, AppendedIsWhateverTheOffset) {
    Disk disk;
    disk.put("/a", "hello");
    int fd = disk.open("/a", TINA_OPEN_WRITE | TINA_OPEN_APPEND);
    EXPECT_EQ(disk.write(fd, 0, ","), 1);
    EXPECT_EQ(disk.write(fd, TINA_OFFSET_POSITION, " you"), 4);
    EXPECT_EQ(disk.get("/a"), "hello, you");
}

TEST(Disk, HowItIsOpenedIsLinuxs) {
    Disk disk;
    std::string data;
    disk.put("/d/a", "hello");
    const uint32_t exclusive = TINA_OPEN_EXCLUSIVE;
    EXPECT_EQ(disk.open(""), -ENOENT);
    EXPECT_EQ(disk.open("/b"), -ENOENT);
    EXPECT_EQ(disk.open("/no/b"), -ENOENT);
    EXPECT_EQ(disk.create("/no/b"), -ENOENT);
    EXPECT_EQ(disk.create("/d/a/b"), -ENOTDIR);
    EXPECT_EQ(disk.open("/d/a/"), -ENOTDIR);
    EXPECT_EQ(disk.open("/d/a/."), -ENOTDIR);
    EXPECT_EQ(disk.create("/d/new/"), -EISDIR);
    EXPECT_EQ(disk.create("/d/a", exclusive), -EEXIST);
    EXPECT_EQ(disk.create("/d", exclusive), -EEXIST);
    EXPECT_EQ(disk.create("/d"), -EISDIR);
    EXPECT_EQ(disk.create("/d", TINA_OPEN_DIRECTORY), -EINVAL);
    EXPECT_EQ(disk.open("/d", TINA_OPEN_WRITE), -EISDIR);
    EXPECT_EQ(disk.open("/d/a", TINA_OPEN_READ | TINA_OPEN_DIRECTORY), -ENOTDIR);
    EXPECT_EQ(disk.create("/" + std::string(256, 'a')), -ENAMETOOLONG);
    EXPECT_EQ(disk.open("/" + std::string(4096, '/')), -ENAMETOOLONG);
    EXPECT_GE(disk.create("/" + std::string(255, 'a')), 0);
    int directory = disk.open("//d/./..//d", TINA_OPEN_READ | TINA_OPEN_DIRECTORY);
    EXPECT_GE(directory, 0);
    EXPECT_EQ(disk.read(directory, 0, 1, &data), -EISDIR);
    EXPECT_EQ(disk.write(directory, 0, "x"), -EBADF);
    EXPECT_EQ(disk.fsync(directory), 0);
    int reader = disk.open("d/a");
    int writer = disk.open("/../d/a", TINA_OPEN_WRITE);
    EXPECT_EQ(disk.write(reader, 0, "x"), -EBADF);
    EXPECT_EQ(disk.read(writer, 0, 1, &data), -EBADF);
    EXPECT_GE(disk.open("/d/a", TINA_OPEN_WRITE | TINA_OPEN_TRUNCATE), 0);
    EXPECT_EQ(disk.get("/d/a"), "");
    EXPECT_EQ(disk.write(writer, 2, "x"), 1);
    EXPECT_EQ(disk.get("/d/a"), std::string("\0\0x", 3));
}

TEST(Disk, TheLowestFdIsUsedAgain) {
    Disk disk;
    disk.put("/a", "");
    int first = disk.open("/a");
    EXPECT_EQ(disk.open("/a"), first + 1);
    EXPECT_EQ(disk.close(first), 0);
    EXPECT_EQ(disk.open("/a"), first);
    sim_disk_close_fd(disk.disk, first);
    EXPECT_EQ(disk.fsync(first), -EBADF);
}

TEST(Disk, AStatTellsWhatItIs) {
    Disk disk;
    EXPECT_EQ(disk.stat_path("/a"), -ENOENT);
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, 0, "hello"), 5);
    EXPECT_EQ(disk.run(Disk::op(TINA_OP_STAT, fd)), 0);
    EXPECT_EQ(disk.stat.bytes, 5u);
    EXPECT_EQ(disk.stat.permissions, 0600u);
    EXPECT_EQ(disk.stat.kind, static_cast<uint32_t>(TINA_FILE_REGULAR));
    tina_file_stat before = disk.stat;
    disk.world.now_ns += 5;
    EXPECT_EQ(disk.write(fd, 0, "H"), 1);
    EXPECT_EQ(disk.stat_path("/a"), 0);
    EXPECT_EQ(disk.stat.inode, before.inode);
    EXPECT_GT(disk.stat.modified_ns, before.modified_ns);
    EXPECT_EQ(disk.stat_path("/"), 0);
    EXPECT_EQ(disk.stat.kind, static_cast<uint32_t>(TINA_FILE_DIRECTORY));
    EXPECT_NE(disk.stat.inode, before.inode);
}

TEST(Disk, NamesComeAndGo) {
    Disk disk;
    std::string data;
    disk.put("/a", "new");
    disk.put("/b", "old");
    int replaced = disk.open("/b");
    EXPECT_EQ(disk.rename("/a", "/b"), 0);
    EXPECT_EQ(disk.rename("/a", "/b"), -ENOENT);
    EXPECT_EQ(disk.rename("/b", "/b"), 0);
    EXPECT_EQ(disk.get("/b"), "new");
    EXPECT_EQ(disk.read(replaced, 0, 9, &data), 3);
    EXPECT_EQ(data, "old");
    int found = disk.open("/b");
    EXPECT_EQ(disk.unlink("/b"), 0);
    EXPECT_EQ(disk.unlink("/b"), -ENOENT);
    EXPECT_EQ(disk.read(found, 0, 9, &data), 3);
    EXPECT_EQ(data, "new");
    EXPECT_EQ(disk.list("/"), Names());
    sim_disk_check(disk.disk);
}

TEST(Disk, DirectoriesAreRenamedAsLinuxDoes) {
    Disk disk;
    disk.put("/d/e/f", "f");
    disk.put("/a", "a");
    EXPECT_EQ(sim_disk_make_directory(disk.disk, "/empty"), 0);
    EXPECT_EQ(sim_disk_make_directory(disk.disk, "/empty"), -EEXIST);
    EXPECT_EQ(sim_disk_make_directory(disk.disk, "/a"), -ENOTDIR);
    EXPECT_EQ(disk.unlink("/d"), -EISDIR);
    EXPECT_EQ(disk.unlink("/d/."), -EISDIR);
    EXPECT_EQ(disk.unlink("/a/"), -ENOTDIR);
    EXPECT_EQ(disk.rename("/d", "/d/e/g"), -EINVAL);
    EXPECT_EQ(disk.rename("/d", "/d/g"), -EINVAL);
    EXPECT_EQ(disk.rename("/d/e/f", "/d"), -ENOTEMPTY);
    EXPECT_EQ(disk.rename("/d", "/a"), -ENOTDIR);
    EXPECT_EQ(disk.rename("/a", "/empty"), -EISDIR);
    EXPECT_EQ(disk.rename("/a", "/new/"), -ENOTDIR);
    EXPECT_EQ(disk.rename("/a", "/d/.."), -EBUSY);
    EXPECT_EQ(disk.rename("/", "/x"), -EBUSY);
    EXPECT_EQ(disk.rename("/empty", "/d"), -ENOTEMPTY);
    EXPECT_EQ(disk.rename("/d/", "/empty/"), 0);
    EXPECT_EQ(disk.list("/"), (Names{"a", "empty"}));
    EXPECT_EQ(disk.get("/empty/e/../e/f"), "f");
    EXPECT_EQ(disk.rename("/empty/e", "/e"), 0);
    EXPECT_EQ(disk.get("/e/../e/f"), "f");
    sim_disk_check(disk.disk);
}

TEST(Disk, HolesTakeNoRoomAndTheEndOfTheWorldIsEFBIG) {
    Disk disk;
    std::string data;
    sim_disk_limit(disk.disk, 3 * 4096);
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, kFileMax - 2, "xyz"), 2);
    EXPECT_EQ(disk.write(fd, kFileMax, "x"), -EFBIG);
    EXPECT_EQ(disk.write(fd, INT64_MAX - 1, "x"), -EFBIG);
    EXPECT_EQ(disk.write(fd, UINT64_C(1) << 40, "x"), 1);
    EXPECT_EQ(disk.read(fd, (UINT64_C(1) << 40) - 1, 3, &data), 3);
    EXPECT_EQ(data, std::string("\0x\0", 3));
    EXPECT_EQ(disk.stat_path("/a"), 0);
    EXPECT_EQ(disk.stat.bytes, kFileMax);
    EXPECT_EQ(disk.write(fd, 4000, std::string(5000, 'x')), 96);
    EXPECT_EQ(disk.write(fd, 4096, "x"), -ENOSPC);
    EXPECT_EQ(disk.write(fd, 0, "over what is there"), 18);
    EXPECT_EQ(disk.count().fulls, 1u);
    EXPECT_EQ(disk.unlink("/a"), 0);
    int other = disk.create("/b");
    EXPECT_EQ(disk.write(other, 0, "x"), -ENOSPC); // what is open takes room
    EXPECT_EQ(disk.close(fd), 0);
    EXPECT_EQ(disk.write(other, 0, "x"), 1);
}

// Random ops on one file against a string.
TEST(Disk, BytesAreThoseOfAString) {
    Disk disk;
    tina_prng prng = tina_prng_make(3, 0, 0);
    std::string model;
    std::string data;
    int fd = disk.create("/a");
    for (int i = 0; i < 3000; i++) {
        uint64_t at = tina_prng_below(&prng, 40000);
        std::string bytes = pattern(1 + tina_prng_below(&prng, 9000), static_cast<uint64_t>(i));
        switch (tina_prng_below(&prng, 20)) {
        case 0:
            ASSERT_EQ(disk.close(disk.open("/a", TINA_OPEN_WRITE | TINA_OPEN_TRUNCATE)), 0);
            model.clear();
            break;
        case 1:
            ASSERT_EQ(disk.fsync(fd), 0);
            break;
        case 2:
        case 3:
        case 4:
            ASSERT_EQ(disk.write(fd, at, bytes), static_cast<int>(bytes.size()));
            if (model.size() < at + bytes.size())
                model.resize(at + bytes.size());
            model.replace(at, bytes.size(), bytes);
            break;
        default: {
            uint32_t count = static_cast<uint32_t>(bytes.size());
            std::string expected = at < model.size() ? model.substr(at, count) : "";
            ASSERT_EQ(disk.read(fd, at, count, &data), static_cast<int>(expected.size()));
            ASSERT_TRUE(data == expected);
        }
        }
    }
    EXPECT_TRUE(disk.get("/a") == model);
}

TEST(DiskFault, AnOpTakesUpToItsTime) {
    Disk disk(1, "disk_ns=1000");
    disk.put("/a", "");
    tina_backend_op op = Disk::op(TINA_OP_STAT, -1, "/a");
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t delay_ns = sim_disk_delay_ns(disk.disk, &op);
        least = delay_ns < least ? delay_ns : least;
        most = delay_ns > most ? delay_ns : most;
    }
    EXPECT_LT(least, 100u);
    EXPECT_GT(most, 900u);
    EXPECT_LE(most, 1000u);
}

TEST(DiskFault, ReadsAndWritesAreShortButDoSomething) {
    Disk disk(1, "disk_short_ppm=1000000");
    std::string data;
    std::string bytes = pattern(100000);
    int fd = disk.create("/a");
    size_t done = 0;
    while (done < bytes.size()) {
        int wrote = disk.write(fd, done, bytes.substr(done));
        ASSERT_GE(wrote, 1);
        ASSERT_TRUE(static_cast<size_t>(wrote) < bytes.size() - done || done + 1 == bytes.size());
        done += static_cast<size_t>(wrote);
    }
    std::string all;
    while (int got = disk.read(fd, all.size(), 5000, &data)) {
        ASSERT_GE(got, 1);
        all += data;
    }
    EXPECT_TRUE(all == bytes);
    EXPECT_GT(disk.count().shorts, 20u);
}

TEST(DiskFault, AnErrorHasDoneNothing) {
    Disk disk(1, "disk_error_ppm=1000000");
    std::string data;
    disk.put("/a", "hello");
    disk.world.faults = false;
    int fd = disk.open("/a", kReadWrite);
    disk.world.faults = true;
    EXPECT_EQ(disk.open("/a", TINA_OPEN_WRITE | TINA_OPEN_TRUNCATE), -EIO);
    EXPECT_EQ(disk.create("/b"), -EIO);
    EXPECT_EQ(disk.write(fd, 0, "x"), -EIO);
    EXPECT_EQ(disk.read(fd, 0, 1, &data), -EIO);
    EXPECT_EQ(disk.stat_path("/a"), -EIO);
    EXPECT_EQ(disk.rename("/a", "/b"), -EIO);
    EXPECT_EQ(disk.unlink("/a"), -EIO);
    EXPECT_EQ(disk.fsync(fd), -EIO);
    EXPECT_EQ(disk.count().errors, 8u);
    EXPECT_EQ(disk.list("/"), Names{"a"});
    EXPECT_EQ(disk.get("/a"), "hello");
    EXPECT_EQ(disk.close(fd), 0); // never fails
    disk.world.faults = false;
    EXPECT_EQ(disk.stat_path("/a"), 0);
}

TEST(DiskFault, AFullDiskIsSoForAWhile) {
    Disk disk(1, "disk_full_ppm=20000,disk_full_ns=1000000,disk_ns=1000");
    int fd = disk.create("/a");
    int episodes = 0, longest = 0, length = 0;
    for (int i = 0; i < 20000; i++) {
        int result = disk.write(fd, 0, "x");
        ASSERT_TRUE(result == 1 || result == -ENOSPC) << result;
        if (result == -ENOSPC && length++ == 0)
            episodes++;
        if (result == 1)
            length = 0;
        longest = length > longest ? length : longest;
    }
    EXPECT_GT(episodes, 5);
    EXPECT_GT(longest, 20);
    EXPECT_EQ(disk.get("/a"), "x");
    disk.world.faults = false;
    EXPECT_EQ(disk.write(fd, 0, "y"), 1);
}

TEST(DiskFault, AFullDiskHasNoRoomForNames) {
    Disk disk(1, "disk_full_ppm=1000000,disk_full_ns=1000000000,disk_ns=0");
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, 0, "x"), -ENOSPC);
    EXPECT_EQ(disk.create("/b"), -ENOSPC);
    EXPECT_EQ(disk.list("/"), Names{"a"});
    EXPECT_EQ(disk.rename("/a", "/b"), 0);
    EXPECT_EQ(disk.unlink("/b"), 0);
}

TEST(DiskFault, ARottenBitIsOneOfThoseRead) {
    Disk disk(1, "disk_rot_ppm=100000");
    std::string bytes = pattern(300);
    std::string data;
    disk.put("/a", bytes);
    int fd = disk.open("/a");
    int rotten = 0;
    for (int i = 0; i < 1000; i++) {
        ASSERT_EQ(disk.read(fd, 0, 300, &data), 300);
        int bits = 0;
        for (size_t at = 0; at < data.size(); at++)
            bits += __builtin_popcount(static_cast<uint8_t>(data[at] ^ bytes[at]));
        ASSERT_LE(bits, 1);
        rotten += bits;
    }
    EXPECT_GT(rotten, 50);
    EXPECT_EQ(disk.count().rots, static_cast<uint64_t>(rotten));
    EXPECT_TRUE(disk.get("/a") == bytes); // the medium is sound
    EXPECT_EQ(disk.read(fd, 300, 300, &data), 0);
}

// A thousand random ops in rough weather.
uint64_t rough_run(uint64_t seed) {
    Disk disk(seed, "disk_ns=5000,disk_short_ppm=100000,disk_error_ppm=20000,disk_full_ppm=10000,"
                    "disk_full_ns=30000,disk_rot_ppm=10000,disk_torn_ppm=500000");
    tina_prng prng = tina_prng_make(seed, 99, 0);
    std::string data;
    for (int i = 0; i < 1000; i++) {
        std::string name = "/" + std::to_string(tina_prng_below(&prng, 5));
        std::string other = "/" + std::to_string(tina_prng_below(&prng, 5));
        uint64_t what = tina_prng_below(&prng, 100);
        int fd = disk.create(name);
        if (fd >= 0 && what < 60)
            disk.write(fd, tina_prng_below(&prng, 5000), pattern(700, what));
        if (fd >= 0 && what >= 40)
            disk.read(fd, 0, 999, &data);
        if (fd >= 0 && what % 7 == 0)
            disk.fsync(fd);
        if (fd >= 0)
            disk.close(fd);
        if (what % 5 == 0)
            disk.rename(name, other);
        if (what % 9 == 0)
            disk.unlink(name);
        if (what % 4 == 0)
            disk.sync_directory("/");
        if (what == 99)
            sim_disk_crash(disk.disk);
        sim_disk_check(disk.disk);
    }
    EXPECT_GT(disk.world.record.count, 1000u);
    return disk.world.record.hash ^ sim_disk_hash(disk.disk);
}

TEST(DiskFault, ASeedIsARun) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t hash = rough_run(seed);
        EXPECT_EQ(hash, rough_run(seed));
        EXPECT_NE(hash, rough_run(seed + 1));
    }
}

TEST(DiskFault, AFaultThatIsLeftOutLeavesTheOthersWhereTheyWere) {
    auto run = [](const std::vector<uint64_t> *kept) {
        Disk disk(4, "disk_rot_ppm=100000,disk_short_ppm=100000,disk_error_ppm=100000");
        std::string data;
        disk.put("/a", pattern(1000));
        disk.world.decisions.listed = true;
        if (kept) {
            disk.world.decisions.kept = kept->data();
            disk.world.decisions.kept_count = static_cast<uint32_t>(kept->size());
        }
        int fd = -EIO;
        while (fd < 0)
            fd = disk.open("/a");
        for (int i = 0; i < 500; i++)
            disk.read(fd, 0, 1000, &data);
        const sim_decisions &made = disk.world.decisions;
        return std::vector<uint64_t>(made.struck, made.struck + made.struck_count);
    };
    std::vector<uint64_t> all = run(nullptr);
    ASSERT_GT(all.size(), 100u);
    std::vector<uint64_t> some;
    for (size_t i = all.size() / 2; i < all.size(); i += 2)
        some.push_back(all[i]);
    EXPECT_EQ(run(&some), some);
}

} // namespace
