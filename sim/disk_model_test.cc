// SPDX-License-Identifier: Apache-2.0
//
// Random ops and losses of power against a model that knows what may be there afterwards: of each
// byte the values that it may have, of each directory what it may have been.
// TINA_SEED=n runs one seed, TINA_LONG=1 many.

#include <errno.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <bitset>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/disk_rig.h"

namespace {

struct Write {
    uint64_t at;
    std::string bytes;
    bool truncates;
};

// What the medium may have.
struct Bytes {
    std::vector<std::bitset<256>> may;
    size_t least = 0; // bytes; at most may.size()

    static size_t value(char byte) {
        return static_cast<uint8_t>(byte);
    }
    // Whatever lies between is a hole, if it is there.
    void extend(size_t size) {
        for (size_t i = least; i < may.size() && i < size; i++)
            may[i].set(0);
        if (may.size() < size)
            may.resize(size, std::bitset<256>().set(0));
    }
    void surely(const Write &write) {
        if (write.truncates) {
            may.clear();
            least = 0;
            return;
        }
        size_t end = write.at + write.bytes.size();
        extend(end);
        for (size_t i = 0; i < write.bytes.size(); i++)
            may[write.at + i] = std::bitset<256>().set(value(write.bytes[i]));
        least = std::max(least, end);
    }
    void maybe(const Write &write) {
        if (write.truncates) {
            for (auto &byte : may)
                byte.set(0);
            least = 0;
            return;
        }
        extend(write.at + write.bytes.size());
        for (size_t i = 0; i < write.bytes.size(); i++)
            may[write.at + i].set(value(write.bytes[i]));
    }
    void allows(const std::string &found) const {
        ASSERT_GE(found.size(), least);
        ASSERT_LE(found.size(), may.size());
        for (size_t i = 0; i < found.size(); i++)
            ASSERT_TRUE(may[i].test(value(found[i]))) << "at byte " << i;
    }
};

struct File {
    std::string seen;
    Bytes medium;
    std::vector<Write> unsynced;
    bool safe = false; // a name of it is on the medium, and no change since takes it away
    uint64_t tag = 0;

    void write(const Write &write) {
        if (write.truncates)
            seen.clear();
        else if (seen.size() < write.at + write.bytes.size())
            seen.resize(write.at + write.bytes.size());
        if (!write.truncates)
            seen.replace(write.at, write.bytes.size(), write.bytes);
        unsynced.push_back(write);
    }
    void synced() {
        for (const Write &write : unsynced)
            medium.surely(write);
        medium.extend(seen.size());
        medium.least = seen.size();
        unsynced.clear();
    }
    void sync_failed() {
        for (const Write &write : unsynced)
            write.truncates ? medium.surely(write) : medium.maybe(write);
        unsynced.clear();
    }
    void crashed(const std::string &found, bool keeps_all) {
        for (const Write &write : unsynced)
            keeps_all ? medium.surely(write) : medium.maybe(write);
        medium.allows(found);
        unsynced.clear();
        seen = found;
        medium = Bytes();
        medium.surely({0, seen, false});
    }
};

using Directory = std::map<std::string, uint64_t>; // name to inode

const char *const kDirectories[] = {"/", "/p/", "/q/"};

class Model {
  public:
    Model(uint64_t seed, uint64_t torn_ppm)
        : disk_(seed, settings(torn_ppm).c_str()), torn_ppm_(torn_ppm),
          prng_(tina_prng_make(seed, 77, torn_ppm)) {
        EXPECT_EQ(sim_disk_make_directory(disk_.disk, "/p"), 0);
        EXPECT_EQ(sim_disk_make_directory(disk_.disk, "/q"), 0);
        for (auto &history : histories_)
            history.assign(1, Directory());
    }
    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); i++) {
            step();
            sim_disk_check(disk_.disk);
        }
        crash();
    }
    const sim_disk_counts &count() {
        return disk_.count();
    }

  private:
    static std::string settings(uint64_t torn_ppm) {
        return "disk_ns=1000,disk_short_ppm=100000,disk_error_ppm=50000,disk_torn_ppm=" +
               std::to_string(torn_ppm);
    }
    uint64_t below(uint64_t limit) {
        return tina_prng_below(&prng_, limit);
    }
    Directory &seen(size_t directory) {
        return histories_[directory].back();
    }
    void changed(size_t directory, const Directory &now) {
        histories_[directory].push_back(now);
    }
    static std::string path(size_t directory, const std::string &name) {
        return kDirectories[directory] + name;
    }
    std::string name() {
        return std::string(1, static_cast<char>('a' + below(4)));
    }

    void step() {
        size_t directory = below(3);
        switch (below(12)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            return write(directory, name());
        case 5:
        case 6:
            return sync_file(directory, name());
        case 7:
            return sync_directory(directory);
        case 8:
        case 9: {
            std::string from = name();
            size_t other = below(3);
            return rename(directory, from, other, name());
        }
        case 10:
            return unlink(directory, name());
        default:
            return below(5) == 0 ? crash() : write(directory, name());
        }
    }
    void write(size_t directory, const std::string &name) {
        bool truncates = below(6) == 0;
        int fd = disk_.create(path(directory, name), truncates ? TINA_OPEN_TRUNCATE : 0);
        if (fd == -EIO)
            return;
        ASSERT_GE(fd, 0);
        Directory now = seen(directory);
        uint64_t inode = inode_of(fd);
        if (now.count(name) == 0) {
            ASSERT_EQ(files_.count(inode), 0u);
            now[name] = inode;
            changed(directory, now);
        }
        ASSERT_EQ(now[name], inode);
        File &file = files_[inode];
        if (truncates && !file.seen.empty())
            file.write({0, "", true});
        Write write = {below(3000), std::string(1 + below(1500), 0), false};
        for (char &byte : write.bytes)
            byte = static_cast<char>(tina_prng_mix(file.tag++));
        int wrote = disk_.write(fd, write.at, write.bytes);
        ASSERT_TRUE(wrote > 0 || wrote == -EIO);
        write.bytes.resize(wrote > 0 ? static_cast<size_t>(wrote) : 0);
        if (wrote > 0)
            file.write(write);
        ASSERT_TRUE(disk_.get(path(directory, name)) == file.seen);
        disk_.close(fd);
    }
    uint64_t inode_of(int fd) {
        while (disk_.run(Disk::op(TINA_OP_STAT, fd)) != 0) {
        }
        return disk_.stat.inode;
    }
    void sync_file(size_t directory, const std::string &name) {
        int fd = disk_.open(path(directory, name), TINA_OPEN_WRITE);
        if (fd < 0)
            return;
        File &file = files_[seen(directory).at(name)];
        int result = disk_.fsync(fd);
        ASSERT_TRUE(result == 0 || result == -EIO);
        result == 0 ? file.synced() : file.sync_failed();
        disk_.close(fd);
    }
    void sync_directory(size_t directory) {
        if (disk_.sync_directory(kDirectories[directory]) != 0)
            return;
        histories_[directory].assign(1, Directory(seen(directory)));
        for (const auto &row : seen(directory))
            files_[row.second].safe = true;
    }
    void rename(size_t from, const std::string &name, size_t to, const std::string &other) {
        int result = disk_.rename(path(from, name), path(to, other));
        if (result == -EIO)
            return;
        ASSERT_EQ(result, seen(from).count(name) ? 0 : -ENOENT);
        if (result < 0 || (from == to && name == other))
            return;
        Directory source = seen(from);
        uint64_t inode = source.at(name);
        source.erase(name);
        Directory target = from == to ? source : seen(to);
        if (target.count(other))
            files_[target[other]].safe = false;
        target[other] = inode;
        if (from != to)
            changed(from, source);
        changed(to, target);
    }
    void unlink(size_t directory, const std::string &name) {
        int result = disk_.unlink(path(directory, name));
        if (result == -EIO)
            return;
        ASSERT_EQ(result, seen(directory).count(name) ? 0 : -ENOENT);
        if (result < 0)
            return;
        Directory now = seen(directory);
        files_[now.at(name)].safe = false;
        now.erase(name);
        changed(directory, now);
    }

    Directory found(size_t directory) {
        Directory names;
        disk_.world.faults = false;
        for (const std::string &name : disk_.list(kDirectories[directory])) {
            EXPECT_EQ(disk_.stat_path(path(directory, name)), 0);
            if (disk_.stat.kind == TINA_FILE_REGULAR)
                names[name] = disk_.stat.inode;
        }
        disk_.world.faults = true;
        return names;
    }
    void crash() {
        sim_disk_crash(disk_.disk);
        sim_disk_check(disk_.disk);
        std::set<uint64_t> there;
        for (size_t i = 0; i < 3; i++) {
            Directory now = found(i);
            std::vector<Directory> &history = histories_[i];
            ASSERT_NE(std::find(history.begin(), history.end(), now), history.end());
            if (torn_ppm_ == 0) {
                ASSERT_EQ(now, history.back());
            }
            history.assign(1, now);
            for (const auto &row : now) {
                ASSERT_TRUE(there.insert(row.second).second) << "two names";
                File &file = files_.at(row.second);
                file.crashed(disk_.get(path(i, row.first)), torn_ppm_ == 0);
                file.safe = true;
            }
        }
        for (auto file = files_.begin(); file != files_.end();) {
            bool stays = there.count(file->first) > 0;
            ASSERT_TRUE(stays || !file->second.safe) << "no name";
            file = stays ? std::next(file) : files_.erase(file);
        }
    }

    Disk disk_;
    uint64_t torn_ppm_;
    tina_prng prng_;
    std::vector<Directory> histories_[3]; // since it was surely on the medium
    std::map<uint64_t, File> files_;
};

class DiskModel : public testing::TestWithParam<uint64_t> {};

TEST_P(DiskModel, WhatIsThereMayBe) {
    const char *chosen = getenv("TINA_SEED");
    uint64_t first = chosen ? strtoull(chosen, nullptr, 10) : 1;
    uint64_t count = chosen ? 1 : getenv("TINA_LONG") ? 3000 : 8;
    uint64_t crashed = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
        Model model(seed, GetParam());
        model.run(1000);
        if (HasFatalFailure()) {
            std::cout << "TINA_SEED=" << seed << " shows it again\n";
            return;
        }
        const sim_disk_counts &counts = model.count();
        crashed += GetParam() == 0 ? counts.writes_kept : counts.writes_torn + counts.names_lost;
    }
    std::cout << "TINA_SEED from " << first << " to " << first + count - 1 << '\n';
    EXPECT_GT(crashed, count);
}

INSTANTIATE_TEST_SUITE_P(Torn, DiskModel, testing::Values(0, 300000, 1000000));

} // namespace
