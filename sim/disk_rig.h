// SPDX-License-Identifier: Apache-2.0
//
// For tests of //sim:disk: a world with a disk, and ops in a word each.

#ifndef TINA_SIM_DISK_RIG_H
#define TINA_SIM_DISK_RIG_H

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/disk.h"

struct Disk {
    explicit Disk(uint64_t seed = 1, const char *settings = "") : world{} {
        tina_sim_settings set;
        char sentence[TINA_SIM_SENTENCE_BYTES] = "";
        tina_sim_settings_calm(&set);
        EXPECT_TRUE(tina_sim_settings_set(&set, settings, sentence)) << sentence;
        sim_world_begin(&world, seed, &set);
        disk = sim_disk_open(&world);
    }
    Disk(const Disk &) = delete;
    Disk &operator=(const Disk &) = delete;
    ~Disk() {
        sim_disk_check(disk);
        sim_disk_free(disk);
        sim_world_end(&world);
    }

    static tina_backend_op op(tina_op_kind kind, int fd, const void *data = nullptr,
                              uint32_t bytes = 0) {
        tina_backend_op made = {};
        made.key = 1;
        made.kind = static_cast<uint8_t>(kind);
        made.os_fd = fd;
        made.data = data;
        made.bytes = bytes;
        return made;
    }
    // As a backend does it: later, and then at once.
    int run(const tina_backend_op &made, void *buffer = nullptr, uint32_t buffer_bytes = 0) {
        EXPECT_TRUE(sim_disk_takes(&made));
        uint64_t delay_ns = sim_disk_delay_ns(disk, &made);
        EXPECT_LE(delay_ns, world.settings.disk_ns);
        world.now_ns += delay_ns;
        return sim_disk_do(disk, &made, buffer, buffer_bytes, &stat);
    }
    int open(const std::string &path, uint32_t how = TINA_OPEN_READ) {
        tina_backend_op made = op(TINA_OP_OPEN, -1, path.c_str(), 0600);
        made.how = static_cast<uint16_t>(how);
        return run(made);
    }
    int create(const std::string &path, uint32_t how = 0) {
        return open(path, TINA_OPEN_READ | TINA_OPEN_WRITE | TINA_OPEN_CREATE | how);
    }
    int write(int fd, uint64_t at, const std::string &bytes) {
        tina_backend_op made =
            op(TINA_OP_WRITE, fd, bytes.data(), static_cast<uint32_t>(bytes.size()));
        made.offset = at;
        return run(made);
    }
    int read(int fd, uint64_t at, uint32_t bytes, std::string *data) {
        tina_backend_op made = op(TINA_OP_READ, fd, nullptr, bytes);
        made.offset = at;
        data->assign(bytes, '#');
        int result = run(made, &(*data)[0], bytes);
        data->resize(result > 0 ? static_cast<size_t>(result) : 0);
        return result;
    }
    int fsync(int fd) {
        return run(op(TINA_OP_FSYNC, fd));
    }
    int close(int fd) {
        return run(op(TINA_OP_CLOSE, fd));
    }
    int unlink(const std::string &path) {
        return run(op(TINA_OP_UNLINK, -1, path.c_str()));
    }
    int rename(const std::string &from, const std::string &to) {
        std::string both = from + '\0' + to;
        return run(op(TINA_OP_RENAME, -1, both.c_str()));
    }
    int stat_path(const std::string &path) {
        return run(op(TINA_OP_STAT, -1, path.c_str()));
    }
    int sync_directory(const std::string &path) {
        int fd = open(path, TINA_OPEN_READ | TINA_OPEN_DIRECTORY);
        int result = fd < 0 ? fd : fsync(fd);
        if (fd >= 0)
            close(fd);
        return result;
    }

    void put(const std::string &path, const std::string &bytes) {
        EXPECT_EQ(sim_disk_write_file(disk, path.c_str(), bytes.data(), bytes.size()), 0) << path;
    }
    // "-": no such file.
    std::string get(const std::string &path) {
        int64_t bytes = sim_disk_read_file(disk, path.c_str(), nullptr, 0);
        if (bytes < 0)
            return "-";
        std::string data(static_cast<size_t>(bytes), '#');
        EXPECT_EQ(sim_disk_read_file(disk, path.c_str(), &data[0], data.size()), bytes);
        return data;
    }
    std::vector<std::string> list(const std::string &path) {
        std::vector<std::string> names;
        while (const char *name =
                   sim_disk_list(disk, path.c_str(), static_cast<uint32_t>(names.size())))
            names.push_back(name);
        return names;
    }
    const sim_disk_counts &count() {
        return *sim_disk_count(disk);
    }

    sim_world world;
    sim_disk *disk;
    tina_file_stat stat = {};
};

#endif
