// SPDX-License-Identifier: Apache-2.0
//
// For tests of what every backend must do: one fixture, and every backend in every shape.

#ifndef TINA_REACTOR_SUITE_H
#define TINA_REACTOR_SUITE_H

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/prng.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"

inline tina_reactor_owner owner_of(uint64_t token) {
    tina_reactor_owner owner = {};
    owner.token = token;
    return owner;
}

inline std::string pattern(size_t bytes) {
    std::string text(bytes, 0);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = static_cast<char>(tina_prng_mix(i));
    }
    return text;
}

inline std::unique_ptr<Kind> scripted() {
    return std::make_unique<ScriptedKind>();
}

// Results last first, few bytes a send, few results a multishot op, one op a wait.
inline std::unique_ptr<Kind> scripted_awkward() {
    auto kind = std::make_unique<ScriptedKind>();
    kind->settings.stage_count_max = 1;
    kind->controls.reverse = true;
    kind->controls.send_bytes_max = 99;
    kind->controls.multishot_max = 3;
    return kind;
}

inline std::unique_ptr<Kind> uring() {
    return uring_kind();
}

// Every wait overflows the completion queue, and every flush the submission queue.
inline std::unique_ptr<Kind> uring_tight() {
    tina_reactor_uring_options options = {};
    options.sq_entries = 2;
    options.cq_entries = 2;
    return uring_kind(options);
}

// A kernel that knows none of these flags.
template <uint32_t kUnknown> std::unique_ptr<Kind> uring_without() {
    tina_reactor_uring_options options = {};
    options.setup = [](uint32_t entries, io_uring_params *params) {
        if ((params->flags & kUnknown) != 0) {
            return -EINVAL;
        }
        long fd = syscall(__NR_io_uring_setup, entries, params);
        return fd < 0 ? -errno : static_cast<int>(fd);
    };
    return uring_kind(options);
}

inline std::unique_ptr<Kind> epoll() {
    return epoll_kind();
}

// One event a call, and a call whenever there may be one.
inline std::unique_ptr<Kind> epoll_tight() {
    tina_reactor_epoll_options options = {};
    options.event_count = 1;
    options.poll_interval_ns = 1;
    return epoll_kind(options);
}

// A backend from elsewhere runs this suite by naming a header with variants of its own.
#ifdef TINA_SUITE_VARIANTS
#include TINA_SUITE_VARIANTS
#else

// Those on this machine's kernel.
inline std::vector<Variant> kernel_variants() {
    return {
        {"uring", &uring},
        {"uring_tight", &uring_tight},
        {"uring_6_0", &uring_without<IORING_SETUP_DEFER_TASKRUN>},
        {"uring_5_19", &uring_without<IORING_SETUP_SINGLE_ISSUER>},
        {"uring_5_18", &uring_without<IORING_SETUP_TASKRUN_FLAG>},
        {"uring_5_5", &uring_without<IORING_SETUP_SUBMIT_ALL>},
        {"epoll", &epoll},
        {"epoll_tight", &epoll_tight},
    };
}

inline auto every_kernel_variant() {
    return testing::ValuesIn(kernel_variants());
}

inline auto every_variant() {
    std::vector<Variant> variants = kernel_variants();
    variants.push_back({"scripted", &scripted});
    variants.push_back({"scripted_awkward", &scripted_awkward});
    return testing::ValuesIn(variants);
}

#endif

inline std::string variant_name(const testing::TestParamInfo<Variant> &v) {
    return v.param.name;
}

class Suite : public testing::TestWithParam<Variant> {
  protected:
    void SetUp() override {
        fds_before_ = open_fds();
        kind = GetParam().make();
        large = kind->large_bytes();
    }
    void TearDown() override {
        for (int peer : peers) {
            rig->far->close(peer);
        }
        if (rig != nullptr) {
            rig.reset();
        }
        EXPECT_EQ(open_fds(), fds_before_);
    }
    void open(Sizes sizes = Sizes()) {
        rig = std::make_unique<Rig>(*kind, sizes);
    }
    tina_fd pair(tina_reactor_owner *owner, int *peer) {
        tina_fd fd = rig->pair(owner, peer);
        peers.push_back(*peer);
        return fd;
    }
    void forget(int peer) {
        peers.erase(std::find(peers.begin(), peers.end(), peer));
    }
    // A new file's path; the reactor and the test's own calls mean the same file by it.
    std::string path(const std::string &name) {
        return kind->directory() + "/" + name;
    }
    Completion opened(tina_reactor_owner *owner, const std::string &at, uint32_t how) {
        return rig->result(rig->submit(owner, tina_op_open(at.c_str(), how, 0644)));
    }
    tina_fd file(tina_reactor_owner *owner, const std::string &name, uint32_t how) {
        Completion c = opened(owner, path(name), how);
        EXPECT_EQ(c.result, 0) << path(name);
        EXPECT_FALSE(tina_fd_is_none(c.fd));
        return c.fd;
    }
    int32_t write(tina_reactor_owner *owner, tina_fd fd, uint64_t offset,
                  const std::string &bytes) {
        return rig
            ->result(rig->submit(owner, tina_op_write(fd, offset, bytes.data(),
                                                      static_cast<uint32_t>(bytes.size()))))
            .result;
    }
    // From an offset to its end.
    std::string content(tina_reactor_owner *owner, tina_fd fd, uint64_t offset = 0) {
        std::string all;
        for (;;) {
            uint64_t at = offset == TINA_OFFSET_POSITION ? offset : offset + all.size();
            Completion c = rig->result(rig->submit(owner, tina_op_read(fd, at, UINT32_MAX)));
            EXPECT_GE(c.result, 0);
            if (c.result <= 0) {
                return all;
            }
            all += c.data;
        }
    }
    int32_t closed(tina_reactor_owner *owner, tina_fd fd) {
        return rig->result(rig->submit(owner, tina_op_close(fd))).result;
    }
    void expect_empty() {
        EXPECT_EQ(rig->count().fds_in_use, 0u);
        EXPECT_EQ(rig->count().ops_in_use, 0u);
        EXPECT_EQ(rig->count().buffers_in_use, 0u);
    }

    std::unique_ptr<Kind> kind;
    std::unique_ptr<Rig> rig;
    std::vector<int> peers;
    uint32_t large = 0;

  private:
    size_t fds_before_ = 0;
};

#endif
