// SPDX-License-Identifier: Apache-2.0
//
// A reactor that is reset, on every backend, with ops in every state and owners that are garbage.

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

class Reset : public Suite {
  protected:
    // What a rebuilt shard does with the memory of the isolates of before.
    void reset() {
        std::memset(static_cast<void *>(&owner), 0x5A, sizeof owner);
        ASSERT_TRUE(tina_reactor_reset(rig->reactor));
        owner = owner_of(2);
    }
    void expect_echo() {
        int peer;
        tina_fd fd = pair(&owner, &peer);
        tina_io_id id = rig->submit(&owner, tina_op_recv(fd, 64));
        ASSERT_EQ(rig->far->send(peer, "hello", 5), 5);
        EXPECT_EQ(rig->result(id).data, "hello");
        id = rig->submit(&owner, tina_op_close(fd));
        EXPECT_EQ(rig->result(id).result, 0);
    }
    tina_reactor_owner owner = owner_of(1);
};

TEST_P(Reset, EndsOpsInFlightAndMakesTheirNamesStale) {
    open();
    int peer;
    tina_fd fd = pair(&owner, &peer);
    std::string bytes = pattern(large);
    tina_io_id reading = rig->submit(&owner, tina_op_recv(fd, 64));
    tina_io_id writing =
        rig->submit(&owner, tina_op_send(fd, bytes.data(), static_cast<uint32_t>(bytes.size())));
    ASSERT_EQ(tina_reactor_wait(rig->reactor, 0, 0), 0);
    reset();
    expect_empty();
    EXPECT_FALSE(tina_reactor_cancel(rig->reactor, reading, TINA_IO_CANCELED));
    EXPECT_FALSE(tina_reactor_cancel(rig->reactor, writing, TINA_IO_CANCELED));
    tina_io_id id;
    tina_io_op op = tina_op_recv(fd, 64);
    EXPECT_EQ(tina_reactor_submit(rig->reactor, &owner, &op, &id), TINA_IO_BAD_FD);
    tina_reactor_verify(rig->reactor);
    expect_echo();
}

TEST_P(Reset, DropsWhatWasCompletedAndNotTaken) {
    open();
    int peer;
    tina_fd fd = pair(&owner, &peer);
    rig->submit(&owner, tina_op_recv(fd, 64));
    ASSERT_EQ(rig->far->send(peer, "hello", 5), 5);
    for (int i = 0; i < 100 && rig->count().buffers_in_use == 0; i++) {
        ASSERT_EQ(tina_reactor_wait(rig->reactor, 0, 1000000), 0);
        tina_reactor_event event;
        tina_reactor_reap(rig->reactor, &event, 1);
    }
    ASSERT_EQ(rig->count().buffers_in_use, 1u);
    reset();
    expect_empty();
    expect_echo();
}

TEST_P(Reset, TakesOpsThatWereOnlyStagedAndAnEmptyReactor) {
    open();
    reset();
    expect_empty();
    int peer;
    tina_fd fd = pair(&owner, &peer);
    rig->submit(&owner, tina_op_recv(fd, 64));
    rig->submit(&owner, tina_op_close(fd));
    reset();
    expect_empty();
    reset();
    expect_echo();
}

TEST_P(Reset, EndsMultishotOpsWithResultsInEveryPlace) {
    Sizes sizes;
    sizes.buffers = 8;
    sizes.buffer_bytes = 64;
    open(sizes);
    int peer;
    tina_fd fd = pair(&owner, &peer);
    rig->submit(&owner, tina_op_recv_multishot(fd));
    std::string bytes = pattern(1000);
    ASSERT_GT(rig->far->send(peer, bytes.data(), 1000), 0);
    for (int i = 0; i < 5; i++) {
        ASSERT_EQ(tina_reactor_wait(rig->reactor, 0, 1000000), 0);
        tina_reactor_event event;
        tina_reactor_reap(rig->reactor, &event, 1);
    }
    reset();
    expect_empty();
    expect_echo();
    EXPECT_EQ(rig->count().stale, 0u);
}

INSTANTIATE_TEST_SUITE_P(Backends, Reset, every_variant(), variant_name);

} // namespace
