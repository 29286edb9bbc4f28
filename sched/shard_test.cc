// SPDX-License-Identifier: Apache-2.0
//
// The programming model on one shard: messages, effects, spawn, timers, life and death.

#include "sched/harness.h"
#include "sched/one_life.h"
#include "sched/puppet.h"

#include <cstring>
#include <functional>
#include <vector>

namespace {

using tina::Harness;

using tina::ArgsOf;
using tina::Play;
using tina::PuppetHandle;
using tina::PuppetType;
using tina::Script;

TEST(Shard, StartsChildrenInOrderEachAfterTheOneBefore) {
    std::vector<int> order;
    Script a, b;
    a.init = [&](tina_ctx *, tina_bytes) {
        order.push_back(1);
        return tina_receive();
    };
    b.init = [&](tina_ctx *, tina_bytes) {
        order.push_back(2);
        return tina_receive();
    };
    Play play({&a, &b});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    EXPECT_EQ(h.counters().isolates_in_use, 2u);
}

TEST(Shard, AChildThatCrashesInInitFailsTheBoot) {
    Script bad, never;
    bool ran = false;
    bad.init = [&](tina_ctx *, tina_bytes) { return tina_crash(7); };
    never.init = [&](tina_ctx *, tina_bytes) {
        ran = true;
        return tina_receive();
    };
    Play play({&bad, &never});
    Harness h(play.spec);
    tina_tick tick = h.Settle();
    EXPECT_TRUE(tick.failed);
    EXPECT_TRUE(tick.ended);
    EXPECT_FALSE(ran);
    EXPECT_NE(h.log().find("puppet 0.1 crashed with code 7"), std::string::npos) << h.log();
    EXPECT_NE(h.log().find("group root ends: child puppet could not be started"), std::string::npos)
        << h.log();
}

TEST(Shard, DoneInInitIsIgnoredAndTheNextChildStarts) {
    Script ignored, next;
    bool ran = false;
    ignored.init = [&](tina_ctx *, tina_bytes) { return tina_done(); };
    next.init = [&](tina_ctx *, tina_bytes) {
        ran = true;
        return tina_done();
    };
    Play play({&ignored, &next});
    Harness h(play.spec);
    tina_tick tick = h.Settle();
    EXPECT_TRUE(ran);
    EXPECT_FALSE(tick.failed);
    EXPECT_TRUE(tick.ended);
}

TEST(Shard, MessagesArriveInOrderWithTheirSenderAndBytes) {
    std::vector<uint32_t> got;
    tina_handle receiver_handle = {}, sender_handle = {};
    Script receiver, sender;
    receiver.init = [&](tina_ctx *ctx, tina_bytes) {
        receiver_handle = tina_self(ctx);
        return tina_receive();
    };
    receiver.handle = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, 5);
        EXPECT_TRUE(tina_handle_equal(m->from, sender_handle));
        uint32_t value;
        EXPECT_EQ(m->payload_bytes, sizeof value);
        std::memcpy(&value, m->payload, sizeof value);
        got.push_back(value);
        return tina_receive();
    };
    sender.init = [&](tina_ctx *ctx, tina_bytes) {
        sender_handle = tina_self(ctx);
        for (uint32_t i = 0; i < 8; i++)
            EXPECT_EQ(tina_send(ctx, receiver_handle, 5, &i, sizeof i), TINA_SEND_OK);
        return tina_receive();
    };
    Play play({&receiver, &sender});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(got, (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(h.counters().messages_in_use, 0u);
}

TEST(Shard, EverySendThatCannotBeSaysWhy) {
    Script idle, sender;
    tina_handle idle_handle = {};
    idle.init = [&](tina_ctx *ctx, tina_bytes) {
        idle_handle = tina_self(ctx);
        return tina_receive();
    };
    sender.init = [&](tina_ctx *ctx, tina_bytes) {
        char payload[TINA_PAYLOAD_BYTES_MAX + 1] = {};
        EXPECT_EQ(tina_send(ctx, tina_handle_none(), 0, nullptr, 0), TINA_SEND_STALE);
        EXPECT_EQ(tina_send(ctx, tina_handle_make(0, 0, 0, 1), 0, nullptr, 0), TINA_SEND_STALE);
        EXPECT_EQ(tina_send(ctx, tina_handle_make(3, 200, 0, 1), 0, nullptr, 0), TINA_SEND_STALE);
        EXPECT_EQ(tina_send(ctx, tina_handle_make(3, 0, 1 << 19, 1), 0, nullptr, 0),
                  TINA_SEND_STALE);
        EXPECT_EQ((tina_send)(ctx, idle_handle, -1, nullptr, 0), TINA_SEND_BAD_MESSAGE);
        EXPECT_EQ((tina_send)(ctx, idle_handle, 0, payload, sizeof payload), TINA_SEND_BAD_MESSAGE);
        for (int i = 0; i < 8; i++)
            EXPECT_EQ(tina_send(ctx, idle_handle, i, payload, TINA_PAYLOAD_BYTES_MAX),
                      TINA_SEND_OK);
        EXPECT_EQ(tina_send(ctx, idle_handle, 0, nullptr, 0), TINA_SEND_MAILBOX_FULL);
        return tina_receive();
    };
    Play play({&idle, &sender});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().sends_stale, 4u);
    EXPECT_EQ(h.counters().sends_bad, 2u);
    EXPECT_EQ(h.counters().sends_mailbox_full, 1u);
    EXPECT_EQ(h.counters().messages_sent, 8u);
}

TEST(Shard, AnEmptyPoolIsAResultAndRecovers) {
    Script idle[3], sender;
    tina_handle handles[3] = {};
    for (int i = 0; i < 3; i++)
        idle[i].init = [&handles, i](tina_ctx *ctx, tina_bytes) {
            handles[i] = tina_self(ctx);
            return tina_receive();
        };
    int results[5] = {};
    sender.init = [&](tina_ctx *ctx, tina_bytes) {
        for (int i = 0; i < 5; i++)
            results[i] = tina_send(ctx, handles[i % 3], 0, nullptr, 0);
        return tina_receive();
    };
    Play play({&idle[0], &idle[1], &idle[2], &sender});
    play.spec.message_count = 4;
    play.spec.sender_share = 4;
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(results[3], TINA_SEND_OK);
    EXPECT_EQ(results[4], TINA_SEND_POOL_EMPTY);
    EXPECT_EQ(h.counters().messages_in_use, 0u);
}

TEST(Shard, SpawnGivesAHandleThatWorksBeforeInitHasRun) {
    std::vector<std::string> events;
    Script child, parent;
    Script *child_script = &child;
    child.init = [&](tina_ctx *, tina_bytes args) {
        EXPECT_EQ(args.bytes, sizeof child_script);
        events.push_back("init");
        return tina_receive();
    };
    child.handle = [&](tina_ctx *, const tina_message *m) {
        events.push_back("message " + std::to_string(m->tag));
        return tina_done();
    };
    tina_handle handle;
    Play play({&parent});
    parent.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&child_script), &handle), TINA_SPAWN_OK);
        EXPECT_EQ(tina_send(ctx, handle, 4, nullptr, 0), TINA_SEND_OK);
        events.push_back("parent");
        return tina_receive();
    };
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(events, (std::vector<std::string>{"parent", "init", "message 4"}));
    EXPECT_EQ(h.counters().isolates_in_use, 1u);
}

TEST(Shard, EverySpawnThatCannotBeSaysWhy) {
    Script parent, child;
    Script *child_script = &child;
    Play play({&parent}, 2);
    tina_isolate_type stranger = PuppetType("stranger");
    parent.init = [&](tina_ctx *ctx, tina_bytes) {
        char args[TINA_ARGS_BYTES_MAX + 1] = {};
        tina_handle handle = {1};
        EXPECT_EQ(tina_spawn(ctx, &stranger, ArgsOf(&child_script), &handle),
                  TINA_SPAWN_UNKNOWN_TYPE);
        EXPECT_TRUE(tina_handle_is_none(handle));
        EXPECT_EQ(tina_spawn(ctx, &play.type, tina_bytes_of(args, sizeof args), &handle),
                  TINA_SPAWN_BAD_ARGS);
        tina_fd nobodys = {12345};
        EXPECT_EQ(tina_spawn_with_fd(ctx, &play.type, ArgsOf(&child_script), nobodys, &handle),
                  TINA_SPAWN_BAD_FD);
        EXPECT_TRUE(tina_handle_is_none(handle));
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&child_script), &handle), TINA_SPAWN_OK);
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&child_script), &handle), TINA_SPAWN_FULL);
        return tina_receive();
    };
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().spawns_refused, 4u);
    EXPECT_EQ(h.counters().spawned, 2u);
    EXPECT_EQ(h.counters().isolates_in_use, 2u);
}

TEST(Shard, AStructStartsZeroedWhateverItsSlotHeld) {
    struct Dirty {
        uint8_t bytes[200];
    };
    tina_isolate_type type = {};
    type.name = "dirty";
    type.struct_bytes = sizeof(Dirty);
    type.init = [](tina_ctx *, void *self, tina_bytes args) {
        for (uint8_t byte : static_cast<Dirty *>(self)->bytes)
            EXPECT_EQ(byte, 0);
        EXPECT_EQ(args.bytes, TINA_ARGS_BYTES_MAX);
        EXPECT_EQ(static_cast<const uint8_t *>(args.data)[95], 0x5A);
        std::memset(self, 0xFF, sizeof(Dirty));
        return tina_done();
    };
    type.handle = PuppetHandle;
    static uint8_t args[TINA_ARGS_BYTES_MAX];
    std::memset(args, 0x5A, sizeof args);
    tina_type_slots types[] = {{&type, 1}};
    tina_child children[] = {tina::OneLife(&type, tina_bytes_of(args, sizeof args)),
                             tina::OneLife(&type, tina_bytes_of(args, sizeof args))};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    for (int round = 0; round < 2; round++) {
        Harness h(spec);
        h.Settle();
        EXPECT_EQ(h.counters().exited, 1u);
    }
}

TEST(Shard, AHandleOfTheDeadIsStaleForEver) {
    Script parent, child;
    Script *child_script = &child;
    Play play({&parent}, 2);
    child.init = [](tina_ctx *, tina_bytes) { return tina_done(); };
    tina_handle first = {};
    int lives = 0;
    parent.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&child_script), &first), TINA_SPAWN_OK);
        return tina_yield();
    };
    parent.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag != TINA_YIELDED)
            return tina_receive();
        EXPECT_EQ(tina_send(ctx, first, 0, nullptr, 0), TINA_SEND_STALE);
        tina_handle next;
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&child_script), &next), TINA_SPAWN_OK);
        EXPECT_EQ(tina_handle_slot(next), tina_handle_slot(first));
        EXPECT_FALSE(tina_handle_equal(next, first));
        return ++lives < 1000 ? tina_yield() : tina_receive();
    };
    Harness h(play.spec);
    h.Settle(5000);
    EXPECT_EQ(lives, 1000);
    EXPECT_EQ(h.counters().sends_stale, 1000u);
}

TEST(Shard, YieldRunsNextTickAndNotBefore) {
    std::vector<uint64_t> ticks;
    Script yielder;
    Play play({&yielder});
    Harness *harness = nullptr;
    yielder.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == 1) {
            // A message to itself must not bring the next call forward.
            EXPECT_EQ(tina_send(ctx, tina_self(ctx), 2, nullptr, 0), TINA_SEND_OK);
            ticks.push_back(harness->counters().ticks);
            return tina_yield();
        }
        if (m->tag == TINA_YIELDED) {
            ticks.push_back(harness->counters().ticks);
            return ticks.size() < 4 ? tina_yield() : tina_receive();
        }
        return tina_receive();
    };
    yielder.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_send(ctx, tina_self(ctx), 1, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    };
    Harness h(play.spec);
    harness = &h;
    h.Settle();
    ASSERT_EQ(ticks.size(), 4u);
    for (size_t i = 1; i < ticks.size(); i++)
        EXPECT_EQ(ticks[i], ticks[i - 1] + 1);
}

TEST(Shard, AFloodOfOneDoesNotKeepAnotherFromItsTurn) {
    Script flooder, other;
    int flooded = 0, others = 0;
    flooder.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_send(ctx, tina_self(ctx), 1, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    };
    flooder.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == TINA_SHUTDOWN)
            return tina_done();
        flooded++;
        tina_send(ctx, tina_self(ctx), 1, nullptr, 0);
        return tina_receive();
    };
    other.init = [&](tina_ctx *, tina_bytes) { return tina_yield(); };
    other.handle = [&](tina_ctx *, const tina_message *m) {
        others += m->tag == TINA_YIELDED;
        return tina_yield();
    };
    Play play({&flooder, &other});
    Harness h(play.spec);
    for (int i = 0; i < 100; i++)
        EXPECT_TRUE(h.Turn().busy);
    EXPECT_GE(others, 95);
    EXPECT_GE(flooded, 95 * 900);
}

TEST(Shard, AForgottenEffectIsACrash) {
    Script forgetful;
    forgetful.init = [](tina_ctx *, tina_bytes) { return tina_effect{}; };
    Play play({&forgetful});
    Harness h(play.spec);
    tina_tick tick = h.Settle();
    EXPECT_TRUE(tick.failed);
    EXPECT_NE(h.log().find("an effect that cannot stand there"), std::string::npos) << h.log();
}

TEST(Shard, AHandlerHasABoundedNumberOfCalls) {
    Script busybody;
    busybody.init = [](tina_ctx *ctx, tina_bytes) {
        for (int i = 0; i < 10; i++)
            EXPECT_NE(tina_timer_set(ctx, 1, 0).bits, 0u);
        tina_timer_set(ctx, 1, 0);
        ADD_FAILURE() << "went on";
        return tina_receive();
    };
    Play play({&busybody});
    play.spec.call_max = 10;
    Harness h(play.spec);
    EXPECT_TRUE(h.Settle().failed);
    EXPECT_NE(h.log().find("more ctx calls in one handler than call_max, which is 10"),
              std::string::npos)
        << h.log();
    EXPECT_EQ(h.counters().timers_in_use, 0u);
}

TEST(Shard, ScratchIsResetAndWorkingMemoryStays) {
    static int phase;
    phase = 0;
    tina_isolate_type type = {};
    type.name = "worker";
    type.struct_bytes = sizeof(char *);
    type.working_bytes = 100;
    type.init = [](tina_ctx *ctx, void *self, tina_bytes) {
        char *working = static_cast<char *>(tina_working(ctx, 60));
        EXPECT_NE(working, nullptr);
        for (int i = 0; i < 60; i++)
            EXPECT_EQ(working[i], 0);
        std::strcpy(working, "kept");
        std::memcpy(self, &working, sizeof working);
        EXPECT_EQ(tina_working(ctx, 60), nullptr);
        EXPECT_NE(tina_working(ctx, 16), nullptr);
        void *scratch = tina_scratch(ctx, 60000);
        EXPECT_NE(scratch, nullptr);
        EXPECT_EQ(tina_scratch(ctx, 60000), nullptr);
        return tina_yield();
    };
    type.handle = [](tina_ctx *ctx, void *self, const tina_message *) {
        char *working;
        std::memcpy(&working, self, sizeof working);
        EXPECT_STREQ(working, "kept");
        EXPECT_NE(tina_scratch(ctx, 60000), nullptr);
        phase++;
        return tina_done();
    };
    tina_type_slots types[] = {{&type, 1}};
    tina_child children[] = {tina::OneLife(&type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    Harness h(spec);
    h.Settle();
    EXPECT_EQ(phase, 1);
}

TEST(Shard, TimersFireInOrderNeverEarlyAndDieWithTheirIsolate) {
    Script owner;
    std::vector<uint64_t> fired;
    uint64_t set_at = 0;
    Harness *harness = nullptr;
    tina_timer canceled = {};
    owner.init = [&](tina_ctx *ctx, tina_bytes) {
        set_at = tina_now_ns(ctx);
        for (uint64_t ms : {30u, 10u, 20u, 40u, 1000u})
            EXPECT_NE(tina_timer_set(ctx, ms * 1000000, ms).bits, 0u);
        canceled = tina_timer_set(ctx, 15 * 1000000, 15);
        EXPECT_TRUE(tina_timer_cancel(ctx, canceled));
        EXPECT_FALSE(tina_timer_cancel(ctx, canceled));
        return tina_receive();
    };
    owner.handle = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_TIMER);
        EXPECT_GE(tina_now_ns(ctx), set_at + m->timer.word * 1000000);
        EXPECT_FALSE(tina_timer_cancel(ctx, m->timer.timer));
        fired.push_back(m->timer.word);
        return m->timer.word == 40 ? tina_done() : tina_receive();
    };
    Play play({&owner});
    Harness h(play.spec);
    harness = &h;
    tina_tick tick = h.Settle();
    EXPECT_FALSE(tick.busy);
    while (!tick.ended) {
        ASSERT_NE(tick.until_ns, UINT64_MAX);
        h.Sleep(tick.until_ns - h.now_ns());
        tick = h.Turn();
    }
    EXPECT_EQ(fired, (std::vector<uint64_t>{10, 20, 30, 40}));
    EXPECT_EQ(h.counters().timers_in_use, 0u);
    EXPECT_EQ(tick.until_ns, UINT64_MAX);
    (void)harness;
}

TEST(Shard, APeriodicTimerDoesNotDriftAndOneThatIsLateIsOneEvent) {
    Script owner;
    std::vector<uint64_t> counts;
    tina_timer timer = {};
    owner.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_timer_set_periodic(ctx, 0, 0).bits, 0u);
        timer = tina_timer_set_periodic(ctx, 1000000, 7);
        EXPECT_NE(timer.bits, 0u);
        return tina_receive();
    };
    owner.handle = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(m->timer.word, 7u);
        EXPECT_EQ(m->timer.timer.bits, timer.bits);
        counts.push_back(m->timer.count);
        if (counts.size() == 5) {
            EXPECT_TRUE(tina_timer_cancel(ctx, timer));
            EXPECT_FALSE(tina_timer_cancel(ctx, timer));
        }
        return tina_receive();
    };
    Play play({&owner});
    Harness h(play.spec);
    h.Settle();
    for (int i = 0; i < 3; i++)
        h.Sleep(1000000);
    EXPECT_EQ(counts, (std::vector<uint64_t>{1, 1, 1}));
    h.Sleep(4500000);
    EXPECT_EQ(counts, (std::vector<uint64_t>{1, 1, 1, 4}));
    EXPECT_EQ(h.counters().timers_in_use, 1u);
    // Half a period is left of the one that runs: it did not begin anew when it was late.
    h.Sleep(600000);
    EXPECT_EQ(counts, (std::vector<uint64_t>{1, 1, 1, 4, 1}));
    h.Sleep(10000000);
    EXPECT_EQ(counts.size(), 5u);
    EXPECT_EQ(h.counters().timers_in_use, 0u);
    EXPECT_EQ(h.Turn().until_ns, UINT64_MAX);
}

TEST(Shard, APeriodicTimerOfAnEnormousPeriodFiresOnceAndDiesWithItsIsolate) {
    Script owner;
    int fired = 0;
    owner.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_NE(tina_timer_set_periodic(ctx, UINT64_C(1) << 63, 0).bits, 0u);
        EXPECT_NE(tina_timer_set_periodic(ctx, UINT64_MAX, 0).bits, 0u);
        return tina_receive();
    };
    owner.handle = [&](tina_ctx *, const tina_message *m) {
        fired += m->tag == TINA_TIMER;
        return fired ? tina_done() : tina_receive();
    };
    Play play({&owner});
    Harness h(play.spec);
    h.Settle();
    h.Sleep((UINT64_C(1) << 63) + 2000);
    EXPECT_EQ(fired, 1);
    EXPECT_EQ(h.counters().timers_in_use, 0u);
    EXPECT_EQ(h.Turn().until_ns, UINT64_MAX);
}

TEST(Shard, ATimerThatFiredAndIsNotDeliveredCanStillBeCancelled) {
    Script owner;
    tina_timer second = {};
    int delivered = 0;
    owner.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_timer_set(ctx, 1000000, 1);
        second = tina_timer_set(ctx, 1000000, 2);
        tina_timer_set(ctx, 1000000, 3);
        return tina_receive();
    };
    owner.handle = [&](tina_ctx *ctx, const tina_message *m) {
        delivered++;
        if (m->timer.word == 1)
            EXPECT_TRUE(tina_timer_cancel(ctx, second));
        else
            EXPECT_EQ(m->timer.word, 3u);
        return tina_receive();
    };
    Play play({&owner});
    Harness h(play.spec);
    h.Settle();
    h.Sleep(2000000);
    EXPECT_EQ(delivered, 2);
    EXPECT_EQ(h.counters().timers_in_use, 0u);
}

TEST(Shard, OneIsolatesTimerIsNotAnothersToCancel) {
    Script owner, thief;
    tina_timer timer = {};
    int fired = 0;
    owner.init = [&](tina_ctx *ctx, tina_bytes) {
        timer = tina_timer_set(ctx, 1000000, 0);
        return tina_receive();
    };
    owner.handle = [&](tina_ctx *, const tina_message *m) {
        fired += m->tag == TINA_TIMER;
        return tina_receive();
    };
    thief.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_FALSE(tina_timer_cancel(ctx, timer));
        EXPECT_FALSE(tina_timer_cancel(ctx, tina_timer{0}));
        EXPECT_FALSE(tina_timer_cancel(ctx, tina_timer{UINT64_MAX}));
        return tina_receive();
    };
    Play play({&owner, &thief});
    Harness h(play.spec);
    h.Settle();
    h.Sleep(2000000);
    EXPECT_EQ(fired, 1);
}

TEST(Shard, TimersUsedUpAreAResult) {
    Script owner;
    owner.init = [&](tina_ctx *ctx, tina_bytes) {
        for (int i = 0; i < 3; i++)
            EXPECT_NE(tina_timer_set(ctx, UINT64_MAX, 0).bits, 0u);
        EXPECT_EQ(tina_timer_set(ctx, 0, 0).bits, 0u);
        return tina_receive();
    };
    Play play({&owner});
    play.spec.timer_count = 3;
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().timers_refused, 1u);
    EXPECT_EQ(h.counters().timers_in_use, 3u);
}

TEST(Shard, ShutdownIsToldAndTheUnwillingAreForced) {
    Script polite, stubborn;
    polite.handle = [](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_SHUTDOWN);
        return tina_done();
    };
    int told = 0;
    stubborn.handle = [&](tina_ctx *, const tina_message *m) {
        told += m->tag == TINA_SHUTDOWN;
        return tina_receive();
    };
    Play play({&stubborn, &polite});
    Harness h(play.spec);
    h.Settle();
    tina_shard_shutdown(h.shard());
    tina_shard_shutdown(h.shard());
    EXPECT_FALSE(h.Settle().ended);
    EXPECT_EQ(told, 1);
    EXPECT_EQ(h.counters().isolates_in_use, 1u);
    EXPECT_EQ(tina_shard_force(h.shard()), 1u);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(tina_shard_force(h.shard()), 0u);
}

// Who has spawned others sees to their end: one awaits an op, one has not even started.
TEST(Shard, IsolatesAreToldToShutDownByWhoSpawnedThem) {
    Script waiting, fresh, elder;
    Script *waiting_pointer = &waiting;
    Script *fresh_pointer = &fresh;
    tina_handle child = {};
    std::vector<int32_t> tags, fresh_tags, downs;
    waiting.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_fd fd;
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        EXPECT_EQ(tina_listen(ctx, &at, 1, &fd), 0);
        return tina_io_accept(fd);
    };
    waiting.handle = [&](tina_ctx *, const tina_message *m) {
        tags.push_back(m->tag);
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    fresh.handle = [&](tina_ctx *, const tina_message *m) {
        fresh_tags.push_back(m->tag);
        return tina_done();
    };
    Play play({&elder});
    elder.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&waiting_pointer), &child), TINA_SPAWN_OK);
        EXPECT_NE(tina_monitor_set(ctx, child).bits, 0u);
        EXPECT_NE(tina_timer_set(ctx, 1000000, 0).bits, 0u);
        return tina_receive();
    };
    elder.handle = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_FALSE(tina_stopping(ctx));
        if (m->tag == TINA_DOWN) {
            downs.push_back(m->down.reason.kind);
            EXPECT_FALSE(tina_shutdown_tell(ctx, m->down.who));
            return tina_receive();
        }
        if (m->tag == TINA_SHUTDOWN) // from itself
            return tina_done();
        tina_handle born;
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&fresh_pointer), &born), TINA_SPAWN_OK);
        EXPECT_NE(tina_monitor_set(ctx, born).bits, 0u);
        EXPECT_TRUE(tina_shutdown_tell(ctx, born));
        EXPECT_TRUE(tina_shutdown_tell(ctx, child));
        EXPECT_TRUE(tina_shutdown_tell(ctx, child)); // it hears once
        EXPECT_FALSE(tina_shutdown_tell(ctx, tina_handle_none()));
        EXPECT_FALSE(tina_shutdown_tell(ctx, tina_handle_make(7, 0, 0, 1)));
        return tina_receive();
    };
    Harness h(play.spec);
    h.Settle();
    h.Sleep(2000000);
    EXPECT_EQ(tags, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, TINA_SHUTDOWN}));
    EXPECT_EQ(fresh_tags, (std::vector<int32_t>{TINA_SHUTDOWN}));
    EXPECT_EQ(downs, (std::vector<int32_t>{TINA_EXIT_NORMAL, TINA_EXIT_NORMAL}));
    EXPECT_EQ(h.counters().isolates_in_use, 1u);
}

TEST(Shard, AnIsolateMayTellItselfToShutDown) {
    Script one;
    std::vector<int32_t> tags;
    one.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_TRUE(tina_shutdown_tell(ctx, tina_self(ctx)));
        return tina_call(ctx, tina_self(ctx), 1, nullptr, 0, 0);
    };
    one.handle = [&](tina_ctx *, const tina_message *m) {
        tags.push_back(m->tag);
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    Play play({&one});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(tags, (std::vector<int32_t>{TINA_CALL_FAILED, TINA_SHUTDOWN}));
    EXPECT_TRUE(h.Turn().ended);
}

TEST(Shard, KnowsThatItIsStopping) {
    Script one;
    std::vector<bool> stopping;
    one.init = [&](tina_ctx *ctx, tina_bytes) {
        stopping.push_back(tina_stopping(ctx));
        return tina_receive();
    };
    one.handle = [&](tina_ctx *ctx, const tina_message *) {
        stopping.push_back(tina_stopping(ctx));
        return tina_done();
    };
    Play play({&one});
    Harness h(play.spec);
    h.Settle();
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(stopping, (std::vector<bool>{false, true}));
}

TEST(Shard, StopIsReportedWithTheFirstStatus) {
    Script stopper;
    stopper.init = [](tina_ctx *ctx, tina_bytes) {
        tina_stop(ctx, 9);
        tina_stop(ctx, 10);
        return tina_receive();
    };
    Play play({&stopper});
    Harness h(play.spec);
    tina_tick tick = h.Settle();
    EXPECT_TRUE(tick.stop);
    EXPECT_EQ(tick.stop_status, 9);
}

TEST(Shard, LogLinesCarryTimeLevelAndWhoAndAreCut) {
    Script talker;
    talker.init = [](tina_ctx *ctx, tina_bytes) {
        tina_log(ctx, TINA_LOG_ERROR, "answer %d", 42);
        tina_log(ctx, TINA_LOG_DEBUG, "not wanted");
        std::string lengthy(2000, 'x');
        tina_log(ctx, TINA_LOG_INFO, "%s", lengthy.c_str());
        return tina_receive();
    };
    Play play({&talker});
    Harness h(play.spec);
    h.set_wall(86400 + 3600 + 2 * 60 + 3);
    h.Settle();
    EXPECT_EQ(h.log().substr(0, h.log().find('\n')), "01:02:03 error puppet: answer 42");
    EXPECT_EQ(h.log().find("not wanted"), std::string::npos);
    size_t second = h.log().find('\n') + 1;
    EXPECT_EQ(h.log().size() - second, 480u);
}

TEST(Shard, ABlockedLogLosesLinesAndSaysHowMany) {
    static size_t room;
    static std::string text;
    room = 0;
    text.clear();
    Script talker;
    talker.init = [](tina_ctx *, tina_bytes) { return tina_yield(); };
    int turns = 0;
    talker.handle = [&](tina_ctx *ctx, const tina_message *) {
        for (int i = 0; i < 100; i++)
            tina_log(ctx, TINA_LOG_INFO, "line %d of many, and a few words to make it longer", i);
        return ++turns < 2 ? tina_yield() : tina_receive();
    };
    Play play({&talker});
    play.spec.log_bytes = 4096;
    Harness h(play.spec, [](void *, const char *bytes, size_t count) {
        size_t taken = count < room ? count : room;
        text.append(bytes, taken);
        room -= taken;
        return taken;
    });
    h.Settle();
    uint64_t dropped = h.counters().log_lines_dropped;
    EXPECT_GT(dropped, 100u);
    room = 1 << 20;
    h.Settle();
    EXPECT_NE(text.find("warning log: " + std::to_string(dropped) + " lines were dropped"),
              std::string::npos)
        << text;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
        EXPECT_EQ(text.compare(at, 8, "00:00:00"), 0) << text.substr(at, end - at);
}

TEST(Shard, AnExitOfNoKnownKindIsACrash) {
    for (int kind : {-1, static_cast<int>(TINA_EXIT_UNKNOWN), 1000}) {
        Script strange;
        strange.init = [&](tina_ctx *, tina_bytes) {
            tina_effect effect = tina_done();
            effect.reason.kind = kind;
            return effect;
        };
        Play play({&strange});
        Harness h(play.spec);
        h.Settle();
        EXPECT_EQ(h.counters().crashed, 1u) << kind;
        EXPECT_NE(h.log().find("an effect that cannot stand there"), std::string::npos) << h.log();
    }
}

TEST(Shard, WorkingMemoryIsThereToItsLastByte) {
    static bool ran;
    ran = false;
    tina_isolate_type type = {};
    type.name = "worker";
    type.struct_bytes = 8;
    type.working_bytes = 100;
    type.init = [](tina_ctx *ctx, void *, tina_bytes) {
        EXPECT_NE(tina_working(ctx, 100), nullptr);
        EXPECT_EQ(tina_working(ctx, 16), nullptr);
        ran = true;
        return tina_done();
    };
    type.handle = [](tina_ctx *, void *, const tina_message *) { return tina_done(); };
    tina_type_slots types[] = {{&type, 1}};
    tina_child children[] = {tina::OneLife(&type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    {
        Harness h(spec);
        h.Settle();
        EXPECT_TRUE(ran);
    }
    tina_spec resolved;
    char sentence[TINA_SENTENCE_BYTES];
    type.struct_bytes = UINT32_MAX;
    EXPECT_FALSE(tina_spec_resolve(&spec, &resolved, sentence));
    EXPECT_NE(std::strstr(sentence, "struct_bytes is 4294967295"), nullptr) << sentence;
    type.struct_bytes = 8;
    type.working_bytes = UINT32_MAX;
    EXPECT_FALSE(tina_spec_resolve(&spec, &resolved, sentence));
    EXPECT_NE(std::strstr(sentence, "working_bytes is 4294967295"), nullptr) << sentence;
}

TEST(Shard, LinesLostInTheLastTickAreCountedInTheLog) {
    Script talker;
    talker.init = [](tina_ctx *ctx, tina_bytes) {
        for (int i = 0; i < 200; i++)
            tina_log(ctx, TINA_LOG_INFO, "line %d of many, and a few words to make it longer", i);
        return tina_done();
    };
    Play play({&talker});
    play.spec.log_bytes = 4096;
    Harness h(play.spec);
    while (!h.Turn().ended) {
    }
    uint64_t dropped = h.counters().log_lines_dropped;
    EXPECT_GT(dropped, 100u);
    EXPECT_NE(h.log().find(std::to_string(dropped) + " lines were dropped"), std::string::npos);
}

TEST(Shard, ALogLevelThatIsNoneIsTheLeastUrgent) {
    Script talker;
    talker.init = [](tina_ctx *ctx, tina_bytes) {
        volatile int strange = 77;
        tina_log(ctx, static_cast<tina_log_level>(static_cast<int>(strange)), "hello");
        return tina_receive();
    };
    Play play({&talker});
    play.spec.log_level = 100;
    Harness h(play.spec);
    h.Settle();
    EXPECT_NE(h.log().find("debug puppet: hello"), std::string::npos) << h.log();
}

// The loop waits until until_ns when a tick is not busy, so a failure may not wait for a later one.
TEST(Shard, AChildWithoutASlotFailsTheBootInTheSameTick) {
    Script first, second, extra;
    Script *extra_script = &extra;
    Play play({&first, &second}, 2);
    first.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&extra_script), nullptr), TINA_SPAWN_OK);
        return tina_receive();
    };
    Harness h(play.spec);
    tina_tick tick = h.Turn();
    for (int i = 0; i < 10 && tick.busy; i++)
        tick = h.Turn();
    EXPECT_TRUE(tick.failed);
    EXPECT_TRUE(tick.ended);
    EXPECT_NE(h.log().find("group root ends: child puppet could not be started"), std::string::npos)
        << h.log();
}

} // namespace
