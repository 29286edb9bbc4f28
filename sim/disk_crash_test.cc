// SPDX-License-Identifier: Apache-2.0
//
// What is there when the power comes back.

#include <errno.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/disk_rig.h"

namespace {

using Names = std::vector<std::string>;

constexpr char kLosesAll[] = "disk_torn_ppm=1000000";

TEST(DiskCrash, WhatIsSyncedIsThere) {
    Disk disk(1, kLosesAll);
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, 0, "hello"), 5);
    EXPECT_EQ(disk.fsync(fd), 0);
    EXPECT_EQ(disk.sync_directory("/"), 0);
    EXPECT_EQ(disk.unlink("/none"), -ENOENT);
    sim_disk_crash(disk.disk);
    EXPECT_EQ(disk.get("/a"), "hello");
    EXPECT_EQ(disk.count().writes_lost + disk.count().names_lost, 0u);
}

TEST(DiskCrash, BytesWithoutANameAreGone) {
    Disk disk(1, kLosesAll);
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, 0, "hello"), 5);
    EXPECT_EQ(disk.fsync(fd), 0);
    sim_disk_crash(disk.disk);
    EXPECT_EQ(disk.list("/"), Names());
    EXPECT_EQ(disk.count().names_lost, 1u);
}

TEST(DiskCrash, ANameWithoutBytesIsAnEmptyFile) {
    Disk disk(2, kLosesAll);
    int fd = disk.create("/a");
    EXPECT_EQ(disk.sync_directory("/"), 0);
    for (uint64_t at = 0; at < 100; at++)
        EXPECT_EQ(disk.write(fd, at, "x"), 1); // one byte is in one sector: there or not
    sim_disk_crash(disk.disk);
    std::string left = disk.get("/a");
    EXPECT_NE(left, "-");
    EXPECT_NE(left, std::string(100, 'x'));
    EXPECT_EQ(disk.count().writes_kept, 0u);
}

TEST(DiskCrash, InACalmWorldAllIsKept) {
    Disk disk;
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, 0, "hello"), 5);
    EXPECT_EQ(disk.rename("/a", "/b"), 0);
    EXPECT_GE(disk.create("/c"), 0);
    EXPECT_EQ(disk.unlink("/c"), 0);
    uint64_t before = sim_disk_hash(disk.disk);
    sim_disk_crash(disk.disk);
    EXPECT_EQ(sim_disk_hash(disk.disk), before);
    EXPECT_EQ(disk.get("/b"), "hello");
    EXPECT_EQ(disk.count().writes_kept, 1u);
    EXPECT_EQ(disk.count().names_kept, 4u);
}

TEST(DiskCrash, NoFdIsOpenAndItsNumberIsNoOthers) {
    Disk disk;
    disk.put("/a", "");
    int first = disk.open("/a");
    int second = disk.open("/a");
    sim_disk_crash(disk.disk);
    EXPECT_EQ(sim_disk_open_fds(disk.disk), 0u);
    EXPECT_EQ(disk.fsync(first), -EBADF);
    int later = disk.open("/a");
    EXPECT_GT(later, second);
    sim_disk_close_fd(disk.disk, second); // a process that does not know yet
    EXPECT_EQ(disk.fsync(later), 0);
}

// Writes of a file, each long enough to be torn, until every shape was seen.
TEST(DiskCrash, AWriteIsLostCutOrTornBySectors) {
    bool lost = false, cut = false, torn = false, kept = false;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        Disk disk(seed, "disk_torn_ppm=800000");
        std::string before(4000, '.');
        std::string bytes(3000, 0);
        for (size_t i = 0; i < bytes.size(); i++)
            bytes[i] = static_cast<char>('a' + i % 23);
        disk.put("/a", before);
        int fd = disk.open("/a", TINA_OPEN_WRITE);
        ASSERT_EQ(disk.write(fd, 100, bytes), 3000);
        sim_disk_crash(disk.disk);
        std::string after = disk.get("/a");
        ASSERT_EQ(after.size(), before.size());
        for (size_t i = 100; i < 3100; i++) {
            ASSERT_TRUE(after[i] == '.' || after[i] == bytes[i - 100]);
            after[i] = after[i] == '.' ? '.' : 'x';
        }
        EXPECT_EQ(after.substr(0, 100) + after.substr(3100), before.substr(3000));
        size_t changes = 0;
        bool inside = false; // a change that is not at a sector's border
        for (size_t i = 101; i < 3100; i++) {
            changes += after[i] != after[i - 1];
            inside = inside || (after[i] != after[i - 1] && i % 512 != 0);
        }
        bool prefix = changes == 1 && after[100] == 'x';
        EXPECT_TRUE(!inside || prefix) << seed;
        lost = lost || (changes == 0 && after[100] == '.');
        kept = kept || (changes == 0 && after[100] == 'x');
        cut = cut || inside;
        torn = torn || changes > 1;
    }
    EXPECT_TRUE(lost);
    EXPECT_TRUE(cut);
    EXPECT_TRUE(torn);
    EXPECT_TRUE(kept);
}

TEST(DiskCrash, ATruncateIsThereOrNot) {
    bool lost = false, kept = false;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        Disk disk(seed, "disk_torn_ppm=500000");
        disk.put("/a", "hello");
        EXPECT_GE(disk.open("/a", TINA_OPEN_WRITE | TINA_OPEN_TRUNCATE), 0);
        sim_disk_crash(disk.disk);
        std::string after = disk.get("/a");
        lost = lost || after == "hello";
        kept = kept || after.empty();
        EXPECT_TRUE(after == "hello" || after.empty()) << after;
    }
    EXPECT_TRUE(lost);
    EXPECT_TRUE(kept);
}

// Write, sync, rename: the target is what it was, or all of what it should be.
TEST(DiskCrash, ARenameIsWholeOrNot) {
    bool old_seen = false, new_seen = false;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        Disk disk(seed, "disk_torn_ppm=500000");
        disk.put("/d/target", "old");
        int fd = disk.create("/part", TINA_OPEN_EXCLUSIVE);
        EXPECT_EQ(disk.write(fd, 0, "new"), 3);
        EXPECT_EQ(disk.fsync(fd), 0);
        EXPECT_EQ(disk.sync_directory("/"), 0);
        EXPECT_EQ(disk.rename("/part", "/d/target"), 0);
        sim_disk_crash(disk.disk);
        std::string target = disk.get("/d/target");
        EXPECT_TRUE(target == "old" || target == "new") << target;
        EXPECT_EQ(disk.get("/part"), target == "old" ? "new" : "-");
        old_seen = old_seen || target == "old";
        new_seen = new_seen || target == "new";
    }
    EXPECT_TRUE(old_seen);
    EXPECT_TRUE(new_seen);
}

TEST(DiskCrash, ARenameBetweenDirectoriesIsSyncedWithEither) {
    for (const char *synced : {"/", "/d"}) {
        Disk disk(1, kLosesAll);
        disk.put("/a", "a");
        disk.put("/d/x", "x");
        EXPECT_EQ(disk.rename("/a", "/b"), 0);
        EXPECT_EQ(disk.rename("/b", "/d/b"), 0);
        EXPECT_EQ(disk.unlink("/d/x"), 0);
        EXPECT_EQ(disk.sync_directory(synced), 0);
        sim_disk_crash(disk.disk);
        EXPECT_EQ(disk.list("/"), Names{"d"});
        EXPECT_EQ(disk.get("/d/b"), "a");
        // The root's sync is about the rename, and not about what came after it elsewhere.
        EXPECT_EQ(disk.get("/d/x"), std::string(synced) == "/" ? "x" : "-");
    }
}

TEST(DiskCrash, AnUnlinkThatIsNotSyncedComesUndone) {
    Disk disk(1, kLosesAll);
    disk.put("/a", "hello");
    EXPECT_EQ(disk.unlink("/a"), 0);
    int fd = disk.create("/a");
    EXPECT_EQ(disk.write(fd, 0, "other"), 5);
    EXPECT_EQ(disk.fsync(fd), 0);
    sim_disk_check(disk.disk);
    sim_disk_crash(disk.disk);
    EXPECT_EQ(disk.get("/a"), "hello");
}

TEST(DiskCrash, AFailedFsyncGivesUpWhatReadersStillSee) {
    Disk disk(5, "disk_error_ppm=1000000,disk_torn_ppm=1000000");
    disk.world.faults = false;
    disk.put("/a", std::string(8, '.'));
    int fd = disk.open("/a", TINA_OPEN_WRITE);
    int other = disk.open("/a", TINA_OPEN_WRITE);
    for (uint64_t at = 0; at < 8; at++)
        EXPECT_EQ(disk.write(fd, at, "x"), 1);
    disk.world.faults = true;
    EXPECT_EQ(disk.fsync(fd), -EIO);
    disk.world.faults = false;
    EXPECT_EQ(disk.get("/a"), "xxxxxxxx");
    EXPECT_EQ(disk.fsync(fd), 0); // as if nothing were wrong
    EXPECT_EQ(disk.fsync(other), -EIO);
    EXPECT_EQ(disk.fsync(other), 0);
    EXPECT_EQ(disk.fsync(disk.open("/a")), 0); // opened later
    EXPECT_EQ(disk.write(fd, 3, "y"), 1);
    EXPECT_EQ(disk.fsync(fd), 0);
    EXPECT_EQ(disk.get("/a"), "xxxyxxxx");
    EXPECT_GE(disk.count().unsynced, 1u);
    EXPECT_LT(disk.count().unsynced, 8u);
    sim_disk_crash(disk.disk);
    std::string after = disk.get("/a");
    EXPECT_EQ(after.size(), 8u);
    EXPECT_EQ(after[3], 'y');
    EXPECT_NE(after.find('.'), std::string::npos) << after;
    EXPECT_NE(after.find('x'), std::string::npos) << after;
}

TEST(DiskCrash, AFailedFsyncOfADirectoryMayBeRepeated) {
    Disk disk(1, "disk_error_ppm=1000000,disk_torn_ppm=1000000");
    disk.world.faults = false;
    EXPECT_GE(disk.create("/a"), 0);
    int root = disk.open("/");
    disk.world.faults = true;
    EXPECT_EQ(disk.fsync(root), -EIO);
    disk.world.faults = false;
    EXPECT_EQ(disk.fsync(root), 0);
    disk.world.faults = true;
    sim_disk_crash(disk.disk);
    EXPECT_EQ(disk.list("/"), Names{"a"});
}

TEST(DiskCrash, TheMediumIsNeverFarBehind) {
    Disk disk(1, kLosesAll);
    disk.put("/a", "");
    int fd = disk.open("/a", TINA_OPEN_WRITE);
    for (uint64_t at = 0; at <= SIM_DISK_UNSYNCED; at++)
        EXPECT_EQ(disk.write(fd, at, "x"), 1);
    sim_disk_crash(disk.disk);
    std::string after = disk.get("/a");
    EXPECT_EQ(after.substr(0, SIM_DISK_UNSYNCED / 2), std::string(SIM_DISK_UNSYNCED / 2, 'x'));
    EXPECT_NE(after, std::string(SIM_DISK_UNSYNCED + 1, 'x'));
}

// Of three renames the second is lost, in directories that the third has nothing to do with.
TEST(DiskCrash, ADirectoryIsNotMovedBeforeWhatMakesItsPlace) {
    bool lost = false, moved = false;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        Disk disk(seed, "disk_torn_ppm=300000");
        disk.put("/p/x/f", "f");
        ASSERT_EQ(sim_disk_make_directory(disk.disk, "/q"), 0);
        ASSERT_EQ(disk.rename("/p/x", "/q/x"), 0);
        ASSERT_EQ(disk.rename("/q/x", "/p/x"), 0);
        ASSERT_EQ(disk.rename("/q", "/p/x/q"), 0);
        sim_disk_crash(disk.disk);
        sim_disk_check(disk.disk);
        moved = moved || disk.list("/") == Names{"p"};
        lost = lost || disk.list("/q") == Names{"x"};
        EXPECT_EQ(disk.get(disk.list("/q") == Names{"x"} ? "/q/x/f" : "/p/x/f"), "f");
    }
    EXPECT_TRUE(lost);
    EXPECT_TRUE(moved);
}

// Three directories are moved into one another: whatever comes of it is a tree with all of them.
TEST(DiskCrash, DirectoriesAreNeverInOneAnother) {
    uint64_t lost = 0, moved = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        Disk disk(seed, "disk_torn_ppm=200000");
        tina_prng prng = tina_prng_make(seed, 1, 1);
        for (const char *name : {"/x", "/y", "/z"})
            ASSERT_EQ(sim_disk_make_directory(disk.disk, name), 0);
        disk.put("/x/f", "f");
        auto find = [&disk](auto &self, const std::string &in, Names *all) -> void {
            for (const std::string &name : disk.list(in)) {
                all->push_back(in + name);
                self(self, in + name + "/", all);
            }
        };
        for (int i = 0; i < 20; i++) {
            Names all;
            find(find, "/", &all);
            ASSERT_EQ(all.size(), 4u);
            const std::string from = all[tina_prng_below(&prng, all.size())];
            const std::string to = all[tina_prng_below(&prng, all.size())];
            std::string name = from.substr(from.rfind('/'));
            moved += disk.rename(from, to + name) == 0;
            moved += tina_prng_chance(&prng, 1, 4) && disk.rename(from, name) == 0;
            if (tina_prng_chance(&prng, 1, 4))
                disk.sync_directory(to);
            if (tina_prng_chance(&prng, 1, 4))
                sim_disk_crash(disk.disk);
            sim_disk_check(disk.disk);
        }
        lost += disk.count().names_lost;
    }
    EXPECT_GT(moved, 1000u);
    EXPECT_GT(lost, 300u);
}

} // namespace
