// SPDX-License-Identifier: Apache-2.0
//
// TINA_LONG=1 copies a gibibyte.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "examples/example_test.h"

namespace {

constexpr rlim_t kFull = 300000;

// The longest file that the process may make: a disk that is full after that many bytes.
void FillDisk() {
    signal(SIGXFSZ, SIG_IGN);
    rlimit room = {kFull, kFull};
    setrlimit(RLIMIT_FSIZE, &room);
}

class FileCopy : public Example {
  protected:
    void SetUp() override {
        directory_ = std::string(getenv("TEST_TMPDIR")) + "/copy_" + GetParam();
        mkdir(directory_.c_str(), 0700);
        source_ = directory_ + "/source";
        target_ = directory_ + "/target";
        unlink(target_.c_str());
    }
    void make(const std::string &path, size_t bytes) {
        std::ofstream file(path, std::ios::binary | std::ios::trunc);
        std::mt19937_64 random(bytes);
        std::vector<uint64_t> block(131072);
        while (bytes > 0) {
            for (uint64_t &word : block)
                word = random();
            size_t some = bytes < 1048576 ? bytes : 1048576;
            file.write(reinterpret_cast<const char *>(block.data()),
                       static_cast<std::streamsize>(some));
            bytes -= some;
        }
    }
    static bool same(const std::string &a, const std::string &b) {
        std::ifstream one(a, std::ios::binary), other(b, std::ios::binary);
        std::vector<char> x(1048576), y(1048576);
        while (one && other) {
            one.read(x.data(), 1048576);
            other.read(y.data(), 1048576);
            if (one.gcount() != other.gcount() ||
                !std::equal(x.begin(), x.begin() + one.gcount(), y.begin()))
                return false;
        }
        return one.eof() && other.eof();
    }
    static bool exists(const std::string &path) {
        return access(path.c_str(), F_OK) == 0;
    }
    static std::string text(const std::string &path) {
        std::ifstream file(path);
        std::stringstream all;
        all << file.rdbuf();
        return all.str();
    }
    std::string directory_, source_, target_;
};

TEST_P(FileCopy, IsExactToTheByte) {
    std::vector<size_t> sizes = {0, 1, 262143, 262144, 262145, 3000000};
    if (getenv("TINA_LONG") != nullptr)
        sizes.push_back(size_t{1} << 30);
    for (size_t bytes : sizes) {
        make(source_, bytes);
        chmod(source_.c_str(), 0640);
        Process process(program("file_copy"), with_backend({source_, target_}));
        std::string said = process.errors();
        EXPECT_EQ(process.stop(0), 0) << said;
        EXPECT_NE(said.find("100 %: " + std::to_string(bytes) + " bytes"), std::string::npos);
        EXPECT_EQ(said.find("50 %") != std::string::npos, bytes >= 3000000) << said;
        EXPECT_TRUE(same(source_, target_)) << bytes;
        EXPECT_FALSE(exists(target_ + ".part"));
        struct stat found;
        EXPECT_EQ(stat(target_.c_str(), &found), 0);
        EXPECT_EQ(found.st_mode & 0777u, 0640u);
    }
    unlink(source_.c_str());
    unlink(target_.c_str());
}

TEST_P(FileCopy, AFullDiskGivesASentenceAndHarmsNothing) {
    for (bool target_was_there : {false, true}) {
        make(source_, 1000000);
        make(directory_ + "/kept", 1000000);
        if (target_was_there)
            std::ofstream(target_) << "precious";
        Process process(program("file_copy"), with_backend({source_, target_}), FillDisk);
        std::string said = process.errors();
        EXPECT_EQ(process.stop(0), 1);
        EXPECT_NE(said.find("cannot write " + target_ + ".part: File too large"), std::string::npos)
            << said;
        EXPECT_NE(said.find(target_ + " is as it was"), std::string::npos) << said;
        EXPECT_FALSE(exists(target_ + ".part"));
        EXPECT_EQ(exists(target_), target_was_there);
        EXPECT_EQ(text(target_), target_was_there ? "precious" : "");
        EXPECT_TRUE(same(source_, directory_ + "/kept"));
    }
}

TEST_P(FileCopy, WhatIsInTheWayIsLeftThere) {
    make(source_, 10);
    std::string copy = program("file_copy");
    ExpectRefused(copy, with_backend({directory_ + "/none", target_}), "cannot open ");
    ExpectRefused(copy, with_backend({directory_, target_}), "Is a directory");
    ExpectRefused(copy, with_backend({source_, directory_}), "no regular file");
    ExpectRefused(copy, with_backend({source_, directory_ + "/none/target"}), "cannot make ");
    ExpectRefused(copy, with_backend({source_, std::string(3000, 'x')}), "too long");
    ExpectRefused(copy, {source_}, "an argument is missing");
    std::ofstream(target_ + ".part") << "another's";
    ExpectRefused(copy, with_backend({source_, target_}), "another copy is running or was killed");
    EXPECT_EQ(text(target_ + ".part"), "another's");
    EXPECT_FALSE(exists(target_));
    unlink((target_ + ".part").c_str());
}

TEST_P(FileCopy, OneThatIsStoppedLeavesNothing) {
    make(source_, 200000000);
    Process process(program("file_copy"), with_backend({source_, target_}));
    EXPECT_NE(process.error_line().find("10 %"), std::string::npos);
    kill(process.pid, SIGTERM);
    std::string said = process.errors();
    int status = process.stop(0);
    // It may have been done by then.
    EXPECT_EQ(exists(target_), said.find("100 %") != std::string::npos) << said;
    EXPECT_FALSE(exists(target_ + ".part"));
    EXPECT_EQ(status, exists(target_) ? 0 : 1) << said;
    unlink(source_.c_str());
}

INSTANTIATE_TEST_SUITE_P(All, FileCopy, every_backend(), backend_name);

} // namespace
