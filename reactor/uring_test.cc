// SPDX-License-Identifier: Apache-2.0
//
// What only io_uring has: the kernels it runs on, system calls, sleep and wake.

#include "reactor/uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"

namespace {

// A kernel of the test's choosing. Plain functions have no other way to be told.
uint32_t unknown_flags;
int setup_error;
uint32_t refused_opcode;
int register_error;
int event_fd_error;
uint32_t flags_taken;
uint32_t setups;

int fake_setup(uint32_t entries, io_uring_params *params) {
    setups++;
    if (setup_error != 0) {
        return -setup_error;
    }
    if ((params->flags & unknown_flags) != 0) {
        return -EINVAL;
    }
    flags_taken = params->flags;
    long fd = syscall(__NR_io_uring_setup, entries, params);
    return fd < 0 ? -errno : static_cast<int>(fd);
}

int fake_register(int fd, uint32_t opcode, void *argument, uint32_t count) {
    if (register_error != 0 && opcode == refused_opcode) {
        return -register_error;
    }
    long result = syscall(__NR_io_uring_register, fd, opcode, argument, count);
    return result < 0 ? -errno : static_cast<int>(result);
}

int fake_event_fd() {
    int fd = event_fd_error != 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -event_fd_error : fd;
}

class Uring : public testing::Test {
  protected:
    void SetUp() override {
        unknown_flags = refused_opcode = flags_taken = setups = 0;
        setup_error = register_error = event_fd_error = 0;
        options.setup = fake_setup;
        options.register_call = fake_register;
        options.event_fd = fake_event_fd;
        config.backend = &tina_reactor_uring;
        config.backend_options = &options;
        config.fd_count = 8;
        config.op_count = 16;
        config.address_count = 2;
        config.buffer_count = 8;
        config.buffer_bytes = 256;
        fds_before_ = open_fds();
    }
    void TearDown() override {
        EXPECT_EQ(open_fds(), fds_before_);
    }
    // Opens and closes; returns the sentence, "" when it opened.
    std::string attempt(int expected) {
        void *memory = aligned_alloc(128, tina_reactor_bytes(&config));
        tina_reactor *reactor = nullptr;
        char text[256] = "";
        EXPECT_EQ(tina_reactor_open(&config, memory, &reactor, text, sizeof text), expected);
        if (reactor != nullptr) {
            EXPECT_STREQ(tina_reactor_backend_name(reactor), "io_uring");
            tina_reactor_close(reactor);
        }
        free(memory);
        return text;
    }

    tina_reactor_uring_options options = {};
    tina_reactor_config config = {};

  private:
    size_t fds_before_ = 0;
};

constexpr uint32_t kBest = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                           IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER |
                           IORING_SETUP_DEFER_TASKRUN;

TEST_F(Uring, TakesTheBestSetOfFlagsThatTheKernelKnows) {
    attempt(0);
    EXPECT_EQ(flags_taken, kBest);
    EXPECT_EQ(setups, 1u);
}

TEST_F(Uring, StepsDownForEachFlagRefused) {
    uint32_t entry_of_6_0 = (kBest & ~IORING_SETUP_DEFER_TASKRUN) | IORING_SETUP_COOP_TASKRUN;
    struct {
        uint32_t unknown;
        uint32_t taken;
    } cases[] = {
        {IORING_SETUP_DEFER_TASKRUN, entry_of_6_0},
        {IORING_SETUP_SINGLE_ISSUER, entry_of_6_0 & ~IORING_SETUP_SINGLE_ISSUER},
        {IORING_SETUP_COOP_TASKRUN, kBest},
        {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN,
         IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL},
        {IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL},
        {IORING_SETUP_SUBMIT_ALL, IORING_SETUP_CQSIZE},
    };
    for (const auto &c : cases) {
        unknown_flags = c.unknown;
        attempt(0);
        EXPECT_EQ(flags_taken, c.taken) << std::hex << c.unknown;
    }
    unknown_flags = IORING_SETUP_CQSIZE;
    EXPECT_NE(attempt(-EINVAL), "");
}

TEST_F(Uring, SaysWhyItCannotStartAndWhatHelps) {
    struct {
        int error;
        const char *cause;
        const char *remedy;
    } cases[] = {
        {ENOSYS, "ENOSYS", "Linux 5.19"},
        {EPERM, "EPERM", "kernel.io_uring_disabled"},
        {EACCES, "EACCES", "seccomp"},
        {ENOMEM, "RLIMIT_MEMLOCK is ", "ulimit -l"},
        {EMFILE, "RLIMIT_NOFILE is ", "ulimit -n"},
        {ENFILE, "ENFILE", "fs.file-max"},
        {EIO, "Input/output error", "io_uring"},
    };
    for (const auto &c : cases) {
        setup_error = c.error;
        setups = 0;
        std::string text = attempt(-c.error);
        EXPECT_EQ(setups, 1u) << "only EINVAL is about flags";
        EXPECT_NE(text.find(c.cause), std::string::npos) << text;
        EXPECT_NE(text.find(c.remedy), std::string::npos) << text;
        EXPECT_LT(text.size(), 255u) << text;
    }
}

TEST_F(Uring, WithoutProvidedBufferRingsItRefuses) {
    refused_opcode = IORING_REGISTER_PBUF_RING;
    register_error = EINVAL;
    std::string text = attempt(-EOPNOTSUPP);
    EXPECT_NE(text.find("provided-buffer rings"), std::string::npos) << text;
    register_error = ENOMEM;
    text = attempt(-ENOMEM);
    EXPECT_NE(text.find("RLIMIT_MEMLOCK"), std::string::npos) << text;
}

TEST_F(Uring, WithoutRegisteredRingsItWorks) {
    refused_opcode = IORING_REGISTER_RING_FDS;
    register_error = EINVAL;
    EXPECT_EQ(attempt(0), "");
}

TEST_F(Uring, WithoutAnEventFdItGivesTheRingBack) {
    event_fd_error = EMFILE;
    std::string text = attempt(-EMFILE);
    EXPECT_NE(text.find("RLIMIT_NOFILE"), std::string::npos) << text;
}

TEST_F(Uring, AProbeSaysWhetherARingWouldOpenAndLeavesNothing) {
    EXPECT_EQ(tina_reactor_uring_probe(&options), 0);
    EXPECT_EQ(setups, 1u);
    for (int error : {ENOSYS, EPERM, EACCES, ENOMEM}) {
        setup_error = error;
        EXPECT_EQ(tina_reactor_uring_probe(&options), -error);
    }
    setup_error = 0;
    refused_opcode = IORING_REGISTER_PBUF_RING;
    register_error = EINVAL;
    EXPECT_EQ(tina_reactor_uring_probe(&options), -EOPNOTSUPP);
    unknown_flags = IORING_SETUP_CQSIZE;
    EXPECT_EQ(tina_reactor_uring_probe(&options), -EINVAL);
}

TEST_F(Uring, OpensAtTheEdgesOfItsSizes) {
    config.fd_count = config.op_count = config.buffer_count = 1;
    config.address_count = 0;
    config.buffer_bytes = 64;
    EXPECT_EQ(attempt(0), "");
    config.op_count = 1 << 20;
    config.buffer_count = 32768;
    EXPECT_EQ(attempt(0), "");
    config.buffer_count = 3;
    EXPECT_EQ(tina_reactor_bytes(&config), 0u);
}

TEST_F(Uring, ManyReactorsOpenAndCloseWithoutALeftover) {
    for (int i = 0; i < 200; i++) {
        EXPECT_EQ(attempt(0), "");
    }
}

tina_reactor_owner owner_of(uint64_t token) {
    tina_reactor_owner owner = {};
    owner.token = token;
    return owner;
}

TEST(UringWait, ABusyLoopMakesNoSystemCallWhenNothingIsDue) {
    auto kind = uring_kind();
    Rig rig(*kind);
    tina_reactor_owner owner = owner_of(1);
    int peer;
    tina_fd fd = rig.pair(&owner, &peer);
    tina_io_id id = rig.submit(&owner, tina_op_recv(fd, 10));
    rig.turn();
    tina_reactor_event event;
    uint64_t before = rig.count().waits;
    for (int i = 0; i < 1000; i++) {
        tina_reactor_flush(rig.reactor);
        ASSERT_EQ(tina_reactor_wait(rig.reactor, 5, 5), 0);
        ASSERT_EQ(tina_reactor_reap(rig.reactor, &event, 1), 0u);
    }
    EXPECT_EQ(rig.count().waits, before);

    // Data comes: one call brings it, found by the hint alone.
    rig.far_send(peer, "x");
    before = rig.count().waits;
    uint32_t events = 0;
    for (int i = 0; i < 1000000 && events == 0; i++) {
        ASSERT_EQ(tina_reactor_wait(rig.reactor, 5, 5), 0);
        events = tina_reactor_reap(rig.reactor, &event, 1);
    }
    ASSERT_EQ(events, 1u);
    EXPECT_LE(rig.count().waits - before, 1u);
    tina_io_completion c;
    ASSERT_TRUE(tina_reactor_next(rig.reactor, &owner, &c));
    EXPECT_EQ(c.id.bits, id.bits);
    tina_reactor_give_buffer(rig.reactor, c.buffer);
    rig.far->close(peer);
}

} // namespace
