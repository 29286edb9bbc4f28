// SPDX-License-Identifier: Apache-2.0

#include "sched/harness.h"
#include "sched/puppet.h"

#include <string>

namespace {

using tina::ArgsOf;
using tina::Harness;
using tina::Play;
using tina::Script;

// A watcher that spawns one child and monitors it.
struct Watch {
    Watch() : play({&watcher}) {
        watcher.init = [this](tina_ctx *ctx, tina_bytes) {
            EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&child_script), &child_handle),
                      TINA_SPAWN_OK);
            watcher_handle = tina_self(ctx);
            monitor = tina_monitor_set(ctx, child_handle);
            EXPECT_NE(monitor.bits, 0u);
            return tina_receive();
        };
        watcher.handle = [this](tina_ctx *, const tina_message *m) {
            seen.push_back(m->tag);
            if (m->tag == TINA_DOWN) {
                down = m->down;
                downs++;
            }
            return tina_receive();
        };
    }
    Script watcher, child;
    Script *child_script = &child;
    Play play;
    tina_handle watcher_handle = {}, child_handle = {};
    tina_monitor monitor = {};
    tina_down_event down = {};
    std::vector<int32_t> seen;
    int downs = 0;
};

TEST(Monitor, TellsWhoEndedAndWhy) {
    struct {
        tina_effect effect;
        tina_exit_reason reason;
    } cases[] = {
        {tina_done(), {TINA_EXIT_NORMAL, 0}},
        {tina_exit(5), {TINA_EXIT_CODE, 5}},
        {tina_crash(6), {TINA_EXIT_CRASH, 6}},
        {tina_effect{}, {TINA_EXIT_BAD_EFFECT, 0}},
    };
    for (auto &c : cases) {
        Watch watch;
        watch.child.init = [&](tina_ctx *, tina_bytes) { return c.effect; };
        Harness h(watch.play.spec);
        h.Settle();
        EXPECT_EQ(watch.downs, 1);
        EXPECT_TRUE(tina_handle_equal(watch.down.who, watch.child_handle));
        EXPECT_EQ(watch.down.monitor.bits, watch.monitor.bits);
        EXPECT_EQ(watch.down.reason.kind, c.reason.kind);
        EXPECT_EQ(watch.down.reason.code, c.reason.code);
        EXPECT_EQ(h.counters().monitors_in_use, 0u);
    }
}

TEST(Lives, OnlyWhoHasNotEnded) {
    Watch watch;
    bool lived = false;
    bool lives = true;
    watch.child.init = [&](tina_ctx *, tina_bytes) { return tina_done(); };
    auto init = watch.watcher.init;
    watch.watcher.init = [&](tina_ctx *ctx, tina_bytes args) {
        tina_effect effect = init(ctx, args);
        lived = tina_lives(ctx, watch.child_handle) && tina_lives(ctx, tina_self(ctx));
        EXPECT_FALSE(tina_lives(ctx, tina_handle_none()));
        EXPECT_FALSE(tina_lives(ctx, tina_handle_make(3, 0, 1, 77)));   // another shard's
        EXPECT_FALSE(tina_lives(ctx, tina_handle_make(0, 99, 1, 77)));  // no type
        EXPECT_FALSE(tina_lives(ctx, tina_handle_make(0, 0, 9999, 1))); // no slot
        return effect;
    };
    watch.watcher.handle = [&](tina_ctx *ctx, const tina_message *) {
        lives = tina_lives(ctx, watch.child_handle);
        return tina_receive();
    };
    Harness h(watch.play.spec);
    h.Settle();
    EXPECT_TRUE(lived);
    EXPECT_FALSE(lives);
}

TEST(Monitor, OfTheDeadTellsAtOnce) {
    Watch watch;
    watch.watcher.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_NE(tina_monitor_set(ctx, tina_handle_make(3, 0, 1, 77)).bits, 0u);
        EXPECT_NE(tina_monitor_set(ctx, tina_handle_none()).bits, 0u);
        return tina_receive();
    };
    Harness h(watch.play.spec);
    h.Settle();
    EXPECT_EQ(watch.downs, 2);
    EXPECT_EQ(watch.down.reason.kind, TINA_EXIT_UNKNOWN);
    EXPECT_EQ(h.counters().monitors_in_use, 0u);
}

// Every message that it had sent is handled before its end is told; what is sent later is not
// waited for.
TEST(Monitor, ComesAfterTheMessagesThatWereAccepted) {
    Watch watch;
    watch.child.init = [&](tina_ctx *ctx, tina_bytes) {
        for (int32_t i = 0; i < 5; i++)
            EXPECT_EQ(tina_send(ctx, watch.watcher_handle, i, nullptr, 0), TINA_SEND_OK);
        return tina_crash(1);
    };
    Harness h(watch.play.spec);
    h.Settle();
    EXPECT_EQ(watch.seen, (std::vector<int32_t>{0, 1, 2, 3, 4, TINA_DOWN}));
}

TEST(Monitor, OvertakesMessagesThatCameAfterTheEnd) {
    Watch watch;
    watch.child.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_send(ctx, watch.watcher_handle, 1, nullptr, 0), TINA_SEND_OK);
        return tina_done();
    };
    Script late;
    late.init = [&](tina_ctx *, tina_bytes) { return tina_yield(); };
    bool sent = false;
    late.handle = [&](tina_ctx *ctx, const tina_message *) {
        for (int32_t i = 10; i < 13; i++) {
            if (!sent)
                tina_send(ctx, watch.watcher_handle, i, nullptr, 0);
        }
        sent = true;
        return tina_receive();
    };
    // The watcher awaits, so that all wait for it.
    watch.watcher.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(
            tina_spawn(ctx, &watch.play.type, ArgsOf(&watch.child_script), &watch.child_handle),
            TINA_SPAWN_OK);
        Script *late_script = &late;
        EXPECT_EQ(tina_spawn(ctx, &watch.play.type, ArgsOf(&late_script), nullptr), TINA_SPAWN_OK);
        watch.watcher_handle = tina_self(ctx);
        tina_monitor_set(ctx, watch.child_handle);
        tina_fd fd;
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        EXPECT_EQ(tina_listen(ctx, &at, 1, &fd), 0);
        return tina_io(tina_op_within(tina_op_accept(fd), 1000000));
    };
    Harness h(watch.play.spec);
    h.Settle();
    h.Sleep(2000000);
    EXPECT_EQ(watch.seen, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, 1, TINA_DOWN, 10, 11, 12}));
}

TEST(Monitor, ThatWasEndedTellsNothing) {
    for (bool after : {false, true}) {
        Watch watch;
        watch.child.handle = [](tina_ctx *, const tina_message *) { return tina_done(); };
        watch.watcher.handle = [&](tina_ctx *ctx, const tina_message *m) {
            if (m->tag == TINA_TIMER) {
                EXPECT_EQ(tina_monitor_end(ctx, watch.monitor), true);
                EXPECT_FALSE(tina_monitor_end(ctx, watch.monitor));
                if (!after)
                    tina_send(ctx, watch.child_handle, 0, nullptr, 0);
            }
            watch.downs += m->tag == TINA_DOWN;
            return tina_receive();
        };
        auto init = watch.watcher.init;
        watch.watcher.init = [&, init](tina_ctx *ctx, tina_bytes args) {
            init(ctx, args);
            if (after)
                tina_send(ctx, watch.child_handle, 0, nullptr, 0);
            tina_timer_set(ctx, 1000, 0);
            // Awaiting, so that the event and the timer are there together.
            tina_fd fd;
            tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
            EXPECT_EQ(tina_listen(ctx, &at, 1, &fd), 0);
            return tina_io(tina_op_within(tina_op_accept(fd), 1000000));
        };
        Harness h(watch.play.spec);
        h.Settle();
        h.Sleep(2000000);
        EXPECT_EQ(watch.downs, 0);
        EXPECT_EQ(h.counters().monitors_in_use, 0u);
    }
}

TEST(Monitor, AnothersIsNotMineToEnd) {
    Watch watch;
    Script thief;
    thief.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_FALSE(tina_monitor_end(ctx, watch.monitor));
        EXPECT_FALSE(tina_monitor_end(ctx, tina_monitor{0}));
        EXPECT_FALSE(tina_monitor_end(ctx, tina_monitor{UINT64_MAX}));
        return tina_receive();
    };
    Script *thief_script = &thief;
    watch.play.children.push_back(tina::OneLife(&watch.play.type, ArgsOf(&thief_script)));
    watch.play.spec.root.children = watch.play.children.data();
    watch.play.spec.root.child_count = 2;
    Harness h(watch.play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().monitors_in_use, 1u);
}

TEST(Monitor, ItselfAndTwiceAndUsedUp) {
    Script self;
    int downs = 0;
    self.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_NE(tina_monitor_set(ctx, tina_self(ctx)).bits, 0u);
        EXPECT_NE(tina_monitor_set(ctx, tina_handle_none()).bits, 0u);
        EXPECT_NE(tina_monitor_set(ctx, tina_handle_none()).bits, 0u);
        EXPECT_EQ(tina_monitor_set(ctx, tina_handle_none()).bits, 0u);
        return tina_receive();
    };
    self.handle = [&](tina_ctx *, const tina_message *m) {
        downs += m->tag == TINA_DOWN;
        return downs == 2 ? tina_done() : tina_receive();
    };
    Play play({&self});
    play.spec.monitor_count = 3;
    Harness h(play.spec);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(downs, 2);
    EXPECT_EQ(h.counters().monitors_refused, 1u);
    EXPECT_EQ(h.counters().monitors_in_use, 0u);
}

TEST(Monitor, BothDieInTheSameTick) {
    Watch watch;
    watch.child.init = [](tina_ctx *, tina_bytes) { return tina_crash(1); };
    auto init = watch.watcher.init;
    watch.watcher.init = [&, init](tina_ctx *ctx, tina_bytes args) {
        init(ctx, args);
        return tina_yield();
    };
    watch.watcher.handle = [](tina_ctx *, const tina_message *) { return tina_crash(2); };
    Harness h(watch.play.spec);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(h.counters().monitors_in_use, 0u);
}

// A call that its caller no longer awaits is passed over when its turn comes; the event that was
// due after it is due then, and nothing else wakes its owner.
TEST(Monitor, ComesAfterAnAbandonedCallToo) {
    Watch watch;
    auto spawn_and_watch = watch.watcher.init;
    watch.watcher.init = [&](tina_ctx *ctx, tina_bytes args) {
        spawn_and_watch(ctx, args);
        tina_fd fd;
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        EXPECT_EQ(tina_listen(ctx, &at, 1, &fd), 0);
        return tina_io(tina_op_within(tina_op_accept(fd), 10000000));
    };
    watch.child.init = [&](tina_ctx *ctx, tina_bytes) {
        return tina_call(ctx, watch.watcher_handle, 1, nullptr, 0, 1000000);
    };
    watch.child.handle = [](tina_ctx *, const tina_message *) { return tina_done(); };
    Harness h(watch.play.spec);
    h.Settle();
    h.Sleep(2000000);
    EXPECT_EQ(h.counters().exited, 1u);
    EXPECT_TRUE(watch.seen.empty());
    h.Sleep(10000000);
    EXPECT_EQ(watch.seen, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, TINA_DOWN}));
    EXPECT_EQ(h.counters().messages_in_use, 0u);
    EXPECT_EQ(h.counters().monitors_in_use, 0u);
}

} // namespace
