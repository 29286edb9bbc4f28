// SPDX-License-Identifier: Apache-2.0

#include "supervise/quarantine.h"

#include <gtest/gtest.h>

namespace {

constexpr uint64_t SECOND = 1000000000;

struct Shard : tina_quarantine {
    explicit Shard(const tina_quarantine_policy &policy = {}) {
        tina_quarantine_init(this, &policy);
    }
    tina_quarantine_verdict faulted(uint64_t now_ns, uint32_t others = 1, bool drained = true) {
        return tina_quarantine_faulted(this, drained, others, now_ns);
    }
};

tina_quarantine_policy policy_of(uint32_t rebuilds, tina_abort_policy abort) {
    tina_quarantine_policy policy = {};
    policy.rebuilds = rebuilds;
    policy.abort = abort;
    return policy;
}

} // namespace

TEST(Quarantine, AShardIsRebuiltWithinItsBudget) {
    Shard shard;
    EXPECT_EQ(shard.faulted(100 * SECOND), TINA_QUARANTINE_REBUILD);
    EXPECT_EQ(shard.faulted(110 * SECOND), TINA_QUARANTINE_REBUILD);
    EXPECT_EQ(shard.faulted(120 * SECOND), TINA_QUARANTINE_REBUILD);
    EXPECT_EQ(shard.faulted(160 * SECOND), TINA_QUARANTINE_KEEP) << "the last nanosecond counts";
}

TEST(Quarantine, TheWindowSlides) {
    Shard shard;
    for (uint64_t at = 100; at < 10000; at += 21)
        EXPECT_EQ(shard.faulted(at * SECOND), TINA_QUARANTINE_REBUILD);
}

TEST(Quarantine, AShardThatCannotDrainIsNotRebuilt) {
    Shard shard;
    EXPECT_EQ(shard.faulted(SECOND, 1, false), TINA_QUARANTINE_KEEP);
    EXPECT_EQ(shard.window.count, 0u) << "which costs no budget";
}

TEST(Quarantine, TheProcessEndsWithItsLastShard) {
    Shard shard(policy_of(TINA_REBUILDS_NONE, TINA_ABORT_WHEN_NONE_LEFT));
    EXPECT_EQ(shard.faulted(SECOND, 1), TINA_QUARANTINE_KEEP);
    EXPECT_EQ(shard.faulted(SECOND, 0), TINA_QUARANTINE_ABORT);
    EXPECT_EQ(shard.faulted(SECOND, 0, false), TINA_QUARANTINE_ABORT);
}

TEST(Quarantine, OrAtOnceOrNever) {
    Shard at_once(policy_of(1, TINA_ABORT_AT_ONCE));
    EXPECT_EQ(at_once.faulted(SECOND, 7), TINA_QUARANTINE_REBUILD);
    EXPECT_EQ(at_once.faulted(SECOND, 7), TINA_QUARANTINE_ABORT);
    Shard never(policy_of(TINA_REBUILDS_NONE, TINA_ABORT_NEVER));
    EXPECT_EQ(never.faulted(SECOND, 0), TINA_QUARANTINE_KEEP);
}

TEST(Quarantine, ARevivedShardHasItsWholeBudget) {
    Shard shard(policy_of(1, TINA_ABORT_NEVER));
    EXPECT_EQ(shard.faulted(SECOND), TINA_QUARANTINE_REBUILD);
    EXPECT_EQ(shard.faulted(SECOND), TINA_QUARANTINE_KEEP);
    tina_quarantine_revived(&shard);
    EXPECT_EQ(shard.faulted(SECOND), TINA_QUARANTINE_REBUILD);
}
