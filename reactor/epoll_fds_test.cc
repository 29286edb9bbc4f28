// SPDX-License-Identifier: Apache-2.0

#include "reactor/epoll_fds.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "core/prng.h"

namespace {

TEST(EpollFds, WhatWasNeverAddedIsNotThere) {
    std::vector<tina_epoll_fd> rows(tina_epoll_fds_rows(1));
    tina_epoll_fds fds;
    tina_epoll_fds_init(&fds, rows.data(), rows.size());
    EXPECT_EQ(tina_epoll_fds_find(&fds, 0), nullptr);
    EXPECT_EQ(tina_epoll_fds_find(&fds, INT32_MAX), nullptr);
    tina_epoll_fds_remove(&fds, 7);
    EXPECT_EQ(fds.count, 0u);
}

// Against a map, with fds that share their homes, and as many as there may be.
TEST(EpollFds, IsATableWhateverIsAddedAndRemoved) {
    const char *chosen = getenv("TINA_SEED");
    uint64_t seed = chosen != nullptr ? strtoull(chosen, nullptr, 0) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    tina_prng random = tina_prng_make(seed, 1, 1);
    constexpr uint32_t kFds = 31;
    std::vector<tina_epoll_fd> rows(tina_epoll_fds_rows(kFds));
    tina_epoll_fds fds;
    tina_epoll_fds_init(&fds, rows.data(), rows.size());
    std::map<int32_t, uint32_t> model;
    for (uint32_t i = 1; i < 200000; i++) {
        int32_t fd = static_cast<int32_t>(tina_prng_below(&random, 40) +
                                          rows.size() * tina_prng_below(&random, 3));
        if (tina_prng_below(&random, 2) == 0 && (model.size() < kFds || model.count(fd) != 0)) {
            tina_epoll_fd *row = tina_epoll_fds_add(&fds, fd);
            ASSERT_EQ(row->read_op, model.count(fd) != 0 ? model[fd] : 0);
            row->read_op = model[fd] = i;
        } else if (tina_prng_below(&random, 2) == 0) {
            tina_epoll_fds_remove(&fds, fd);
            model.erase(fd);
        }
        ASSERT_EQ(fds.count, model.size());
        const tina_epoll_fd *row = tina_epoll_fds_find(&fds, fd);
        ASSERT_EQ(row != nullptr, model.count(fd) != 0);
        ASSERT_TRUE(row == nullptr || row->read_op == model[fd]);
    }
    for (const auto &entry : model) {
        ASSERT_EQ(tina_epoll_fds_find(&fds, entry.first)->read_op, entry.second);
    }
}

} // namespace
