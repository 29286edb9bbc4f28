// SPDX-License-Identifier: Apache-2.0
//
// What a crash leaves to an heir, and when it leaves nothing.

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "sched/ctx.h"
#include "sched/harness.h"

namespace tina {
namespace {

constexpr uint64_t kPeriodNs = 1000000000;

enum Deed {
    kCrash,
    kBadEffect,
    kDone,
    kExit,
    kCrashReading,
    kCrashWriting,
    kUnnamed,
    kGiven
};

struct Seen {
    std::vector<tina_heir_args> heirs;
    tina_fd named;
    Deed deed;
    bool keep;     // the heir stays
    int busy;      // how often it was refused to receive
    bool received; // it could, until its time was up
    uint32_t room; // for heirs, beside the last one
} seen;

extern const tina_isolate_type heir_type;

tina_effect heir_init(tina_ctx *ctx, void *, tina_bytes args) {
    tina_heir_args got;
    EXPECT_EQ(args.bytes, sizeof got);
    memcpy(&got, args.data, sizeof got);
    seen.heirs.push_back(got);
    seen.room = tina_spawn_room(ctx, &heir_type);
    EXPECT_EQ(got.fd.bits, seen.named.bits);
    EXPECT_EQ(tina_socket_set_option(ctx, got.fd, TINA_OPTION_REUSE_ADDRESS, 1), 0); // it is ours
    if (seen.deed == kCrashReading)
        return tina_io(tina_op_within(tina_op_recvfrom(got.fd, 10), kPeriodNs));
    tina_monitor monitor = tina_monitor_set(ctx, got.dead);
    EXPECT_NE(monitor.bits, 0u);
    return seen.keep ? tina_receive() : tina_done();
}

tina_effect heir_handle(tina_ctx *, void *, const tina_message *m) {
    if (m->tag == TINA_DOWN) {
        EXPECT_EQ(m->down.reason.kind, TINA_EXIT_UNKNOWN); // stale already
        return tina_receive();
    }
    if (m->tag == TINA_IO_RECVFROM_DONE && m->io.result == TINA_IO_BUSY) {
        seen.busy++;
        return tina_yield();
    }
    if (m->tag == TINA_YIELDED)
        return tina_io(tina_op_within(tina_op_recvfrom(seen.named, 10), kPeriodNs));
    seen.received = m->tag == TINA_IO_RECVFROM_DONE && m->io.result == TINA_IO_TIMED_OUT;
    return tina_done();
}

const tina_isolate_type heir_type = [] {
    tina_isolate_type type = {};
    type.name = "heir";
    type.init = heir_init;
    type.handle = heir_handle;
    return type;
}();

tina_effect victim_init(tina_ctx *ctx, void *, tina_bytes) {
    tina_fd fd, other;
    EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd), 0);
    EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &other), 0);
    seen.named = fd;
    EXPECT_FALSE(tina_bequeath(ctx, tina_fd_none()));
    if (seen.deed != kUnnamed) {
        EXPECT_TRUE(tina_bequeath(ctx, fd));
        EXPECT_TRUE(tina_bequeath(ctx, fd)); // twice is once
    }
    tina_address any = {};
    any.family = TINA_ADDRESS_IPV4;
    tina_io_id id;
    EXPECT_EQ(tina_socket_bind(ctx, fd, &any), 0);
    if (seen.deed == kCrashReading) {
        EXPECT_EQ(tina_submit(ctx, tina_op_recvfrom(fd, 10), &id), 0);
    }
    return seen.deed == kGiven ? tina_io_close(fd) : tina_yield();
}

// The byte is on its way, or has gone, when it crashes.
void send_a_byte(tina_ctx *ctx) {
    tina_address to;
    tina_io_id id;
    EXPECT_EQ(tina_socket_local_address(ctx, seen.named, &to), 0);
    EXPECT_EQ(tina_submit(ctx, tina_op_sendto(seen.named, "x", 1, &to), &id), 0);
}

tina_effect victim_handle(tina_ctx *ctx, void *, const tina_message *m) {
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (seen.deed == kCrashWriting)
        send_a_byte(ctx);
    switch (seen.deed) {
    case kBadEffect:
        return tina_effect{};
    case kDone:
        return tina_done();
    case kExit:
        return tina_exit(1);
    default:
        return tina_crash(7);
    }
}

const tina_isolate_type victim_type = [] {
    tina_isolate_type type = {};
    type.name = "victim";
    type.init = victim_init;
    type.handle = victim_handle;
    type.heir = &heir_type;
    return type;
}();

// Spawns a victim at each timer.
tina_effect mother_init(tina_ctx *ctx, void *, tina_bytes) {
    EXPECT_NE(tina_timer_set_periodic(ctx, kPeriodNs, 0).bits, 0u);
    return tina_receive();
}

tina_effect mother_handle(tina_ctx *ctx, void *, const tina_message *m) {
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    EXPECT_EQ(tina_spawn(ctx, &victim_type, tina_bytes_of(nullptr, 0), nullptr), TINA_SPAWN_OK);
    return tina_receive();
}

const tina_isolate_type mother_type = [] {
    tina_isolate_type type = {};
    type.name = "mother";
    type.init = mother_init;
    type.handle = mother_handle;
    return type;
}();

class Heir : public testing::Test {
  protected:
    Heir() {
        seen = Seen();
        spec_.types = types_;
        spec_.type_count = 3;
        spec_.root.children = &child_;
        spec_.root.child_count = 1;
        child_.type = &mother_type;
        harness.reset(new Harness(spec_));
        harness->Settle();
    }

    // Returns how many heirs it had.
    size_t live(Deed deed) {
        seen.deed = deed;
        seen.heirs.clear();
        harness->Sleep(kPeriodNs);
        return seen.heirs.size();
    }

    tina_type_slots types_[3] = {{&mother_type, 1}, {&victim_type, 4}, {&heir_type, 2}};
    tina_child child_ = {};
    tina_spec spec_ = {};
    std::unique_ptr<Harness> harness;
};

TEST_F(Heir, GetsTheNamedFdOfOneThatCrashed) {
    for (Deed deed : {kCrash, kBadEffect}) {
        ASSERT_EQ(live(deed), 1u);
        EXPECT_EQ(seen.heirs[0].reason.kind,
                  deed == kCrash ? TINA_EXIT_CRASH : TINA_EXIT_BAD_EFFECT);
        EXPECT_EQ(seen.heirs[0].reason.code, deed == kCrash ? 7 : 0);
        EXPECT_EQ(harness->io().fds_in_use, 0u);
    }
}

// A receive of the dead one is cancelled, and the heir's own is good as soon as that is in.
TEST_F(Heir, GetsAnFdThatWasBeingRead) {
    ASSERT_EQ(live(kCrashReading), 1u);
    EXPECT_EQ(seen.heirs[0].reason.kind, TINA_EXIT_CRASH);
    EXPECT_GT(seen.busy, 0);
    EXPECT_EQ(harness->io().fds_in_use, 1u);
    seen.deed = kDone;
    harness->Sleep(kPeriodNs);
    EXPECT_TRUE(seen.received);
    EXPECT_EQ(harness->io().fds_in_use, 0u);
    EXPECT_EQ(harness->counters().isolates_draining, 0u);
}

TEST_F(Heir, IsNotBornWhereThereIsNothingToLeave) {
    for (Deed deed : {kDone, kExit, kCrashWriting, kUnnamed, kGiven}) {
        EXPECT_EQ(live(deed), 0u) << deed;
        EXPECT_EQ(harness->io().fds_in_use, 0u) << deed;
    }
    EXPECT_EQ(live(kCrash), 1u);
}

TEST_F(Heir, WithoutASlotTheFdIsClosed) {
    seen.keep = true;
    EXPECT_EQ(live(kCrash), 1u);
    EXPECT_EQ(seen.room, 1u);
    EXPECT_EQ(live(kCrash), 1u);
    EXPECT_EQ(seen.room, 0u);
    uint64_t before = harness->counters().spawns_refused;
    EXPECT_EQ(live(kCrash), 0u);
    EXPECT_EQ(harness->counters().spawns_refused, before + 1);
    EXPECT_EQ(harness->io().fds_in_use, 2u);
    tina_shard_shutdown(harness->shard());
    EXPECT_TRUE(harness->Settle().ended);
    EXPECT_EQ(harness->io().fds_in_use, 0u);
}

} // namespace
} // namespace tina
