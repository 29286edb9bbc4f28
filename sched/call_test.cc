// SPDX-License-Identifier: Apache-2.0
//
// Calls: every way in which one can end, on both sides.

#include "sched/harness.h"
#include "sched/puppet.h"

#include <string>

namespace {

using tina::Harness;
using tina::Play;
using tina::Script;

constexpr uint64_t kSecond = 1000000000;

uint32_t Word(const tina_message *m) {
    uint32_t word;
    std::memcpy(&word, m->payload, sizeof word);
    return word;
}

// A server whose answers a test writes, and a client that calls it once from its init's yield.
struct Pair {
    Pair() {
        server.init = [this](tina_ctx *ctx, tina_bytes) {
            server_handle = tina_self(ctx);
            return tina_receive();
        };
        client.init = [this](tina_ctx *ctx, tina_bytes) {
            client_handle = tina_self(ctx);
            uint32_t word = 20;
            return tina_call(ctx, server_handle, 1, &word, sizeof word, timeout_ns);
        };
        client.handle = [this](tina_ctx *, const tina_message *m) {
            outcomes.push_back(m->tag);
            if (m->tag == TINA_CALL_FAILED) {
                failure = m->call.failure;
                EXPECT_TRUE(tina_handle_equal(m->call.target, server_handle));
            } else if (m->tag >= 0) {
                answer = Word(m);
                from = m->from;
            }
            return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
        };
    }
    uint64_t timeout_ns = kSecond;
    tina_handle server_handle = {}, client_handle = {}, from = {};
    std::vector<int32_t> outcomes;
    int32_t failure = 0;
    uint32_t answer = 0;
    Script server, client;
};

void ExpectNoEnvelopes(Harness &h) {
    h.Settle();
    EXPECT_EQ(h.counters().messages_in_use, 0u);
    EXPECT_EQ(h.Turn().until_ns, UINT64_MAX) << "a call's deadline outlived it";
}

TEST(Call, IsAnsweredByReply) {
    Pair pair;
    pair.server.handle = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_NE(tina_caller_of(ctx, m).bits, 0u);
        uint32_t doubled = 2 * Word(m);
        return tina_reply(ctx, 7, &doubled, sizeof doubled);
    };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    ExpectNoEnvelopes(h);
    EXPECT_EQ(pair.outcomes, std::vector<int32_t>{7});
    EXPECT_EQ(pair.answer, 40u);
    EXPECT_TRUE(tina_handle_equal(pair.from, pair.server_handle));
    EXPECT_EQ(h.counters().calls_answered, 1u);
}

TEST(Call, TheRequestStaysReadableAfterItIsAnswered) {
    Pair pair;
    pair.server.handle = [&](tina_ctx *ctx, const tina_message *m) {
        uint32_t other = 99;
        EXPECT_EQ(tina_answer(ctx, tina_caller_of(ctx, m), 3, &other, sizeof other),
                  TINA_ANSWER_OK);
        EXPECT_EQ(Word(m), 20u);
        EXPECT_EQ(tina_caller_of(ctx, m).bits, 0u);
        return tina_receive();
    };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    ExpectNoEnvelopes(h);
    EXPECT_EQ(pair.answer, 99u);
}

TEST(Call, IsAnsweredMuchLaterAndByAnother) {
    Pair pair;
    Script helper;
    tina_handle helper_handle = {};
    helper.init = [&](tina_ctx *ctx, tina_bytes) {
        helper_handle = tina_self(ctx);
        return tina_receive();
    };
    helper.handle = [&](tina_ctx *ctx, const tina_message *m) {
        tina_caller caller;
        std::memcpy(&caller, m->payload, sizeof caller);
        uint32_t word = 5;
        EXPECT_EQ(tina_answer(ctx, caller, 4, &word, sizeof word), TINA_ANSWER_OK);
        EXPECT_EQ(tina_answer(ctx, caller, 4, &word, sizeof word), TINA_ANSWER_STALE);
        return tina_receive();
    };
    tina_caller kept = {};
    pair.server.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == 1) {
            kept = tina_caller_of(ctx, m);
            tina_timer_set(ctx, kSecond / 2, 0);
        } else {
            EXPECT_EQ(tina_send(ctx, helper_handle, 0, &kept, sizeof kept), TINA_SEND_OK);
        }
        return tina_receive();
    };
    Play play({&helper, &pair.server, &pair.client});
    Harness h(play.spec);
    h.Settle();
    EXPECT_TRUE(pair.outcomes.empty());
    h.Sleep(kSecond / 2 + 10000);
    EXPECT_EQ(pair.outcomes, std::vector<int32_t>{4});
    ExpectNoEnvelopes(h);
}

TEST(Call, ToTheStaleFailsAtOnce) {
    Pair pair;
    pair.server.init = [](tina_ctx *, tina_bytes) { return tina_done(); };
    pair.server_handle = tina_handle_make(3, 0, 5, 1);
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    ExpectNoEnvelopes(h);
    EXPECT_EQ(pair.failure, TINA_CALL_STALE);
}

TEST(Call, ToAFullMailboxFailsAtOnce) {
    Pair pair;
    pair.server.init = [&](tina_ctx *ctx, tina_bytes) {
        pair.server_handle = tina_self(ctx);
        for (int i = 0; i < 8; i++)
            EXPECT_EQ(tina_send(ctx, pair.server_handle, 2, nullptr, 0), TINA_SEND_OK);
        // It awaits a connection, so its mailbox stays full.
        tina_fd fd;
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        EXPECT_EQ(tina_listen(ctx, &at, 1, &fd), 0);
        return tina_io_accept(fd);
    };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(pair.failure, TINA_CALL_MAILBOX_FULL);
}

TEST(Call, WithoutAnEnvelopeFailsAtOnce) {
    Pair pair;
    pair.server.init = [&](tina_ctx *ctx, tina_bytes) {
        pair.server_handle = tina_self(ctx);
        return tina_receive();
    };
    pair.client.init = [&](tina_ctx *ctx, tina_bytes) {
        for (int i = 0; i < 4; i++)
            tina_send(ctx, pair.server_handle, 2, nullptr, 0);
        return tina_call(ctx, pair.server_handle, 1, nullptr, 0, kSecond);
    };
    Play play({&pair.server, &pair.client});
    play.spec.message_count = 4;
    play.spec.sender_share = 4;
    Harness h(play.spec);
    ExpectNoEnvelopes(h);
    EXPECT_EQ(pair.failure, TINA_CALL_POOL_EMPTY);
}

TEST(Call, WithABadMessageFailsAtOnce) {
    Pair pair;
    pair.client.init = [&](tina_ctx *ctx, tina_bytes) {
        char big[TINA_PAYLOAD_BYTES_MAX + 1] = {};
        return (tina_call)(ctx, pair.server_handle, 1, big, sizeof big, kSecond);
    };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    ExpectNoEnvelopes(h);
    EXPECT_EQ(pair.failure, TINA_CALL_BAD_MESSAGE);
}

// The target ends in the very handler that got the call, while it is unanswered, and with the call
// in its mailbox.
TEST(Call, ToOneThatDiesFailsAtOnce) {
    enum {
        kInItsHandler,
        kUnanswered,
        kInTheMailbox
    };
    for (int when : {kInItsHandler, kUnanswered, kInTheMailbox}) {
        Pair pair;
        pair.server.handle = [&](tina_ctx *, const tina_message *m) {
            return when == kUnanswered && m->tag == 1 ? tina_yield() : tina_crash(1);
        };
        if (when == kInTheMailbox)
            pair.server.init = [&](tina_ctx *ctx, tina_bytes) {
                pair.server_handle = tina_self(ctx);
                return tina_call(ctx, tina_self(ctx), 0, nullptr, 0, kSecond / 2);
            };
        Play play({&pair.server, &pair.client});
        Harness h(play.spec);
        h.Settle();
        h.Sleep(kSecond / 2 + 10000);
        EXPECT_EQ(pair.failure, TINA_CALL_DIED) << when;
        EXPECT_EQ(pair.outcomes, std::vector<int32_t>{TINA_CALL_FAILED}) << when;
        ExpectNoEnvelopes(h);
    }
}

TEST(Call, TimesOutWhereverItIsAndALateAnswerIsStale) {
    Pair pair;
    tina_caller kept = {};
    int stale = 0;
    pair.server.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == 1) {
            kept = tina_caller_of(ctx, m);
            tina_timer_set(ctx, 2 * kSecond, 0);
        } else if (m->tag == TINA_TIMER) {
            stale += tina_answer(ctx, kept, 1, nullptr, 0) == TINA_ANSWER_STALE;
        }
        return tina_receive();
    };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    h.Settle();
    h.Sleep(kSecond - 100000);
    EXPECT_TRUE(pair.outcomes.empty());
    h.Sleep(200000);
    EXPECT_EQ(pair.failure, TINA_CALL_TIMED_OUT);
    h.Sleep(2 * kSecond);
    EXPECT_EQ(stale, 1);
    EXPECT_EQ(h.counters().answers_stale, 1u);
    ExpectNoEnvelopes(h);
}

TEST(Call, TimesOutInTheMailboxAndIsNotDelivered) {
    Pair pair;
    int delivered = 0;
    // The server awaits an op, so the call waits in its mailbox.
    pair.server.init = [&](tina_ctx *ctx, tina_bytes) {
        pair.server_handle = tina_self(ctx);
        tina_fd fd;
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        EXPECT_EQ(tina_listen(ctx, &at, 1, &fd), 0);
        return tina_io(tina_op_within(tina_op_accept(fd), 3 * kSecond));
    };
    pair.server.handle = [&](tina_ctx *, const tina_message *m) {
        delivered += m->tag == 1;
        return tina_receive();
    };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    h.Settle();
    h.Sleep(2 * kSecond);
    EXPECT_EQ(pair.failure, TINA_CALL_TIMED_OUT);
    EXPECT_EQ(h.counters().messages_in_use, 1u);
    h.Sleep(2 * kSecond);
    EXPECT_EQ(delivered, 0);
    ExpectNoEnvelopes(h);
}

TEST(Call, ZeroWaitsForEver) {
    Pair pair;
    pair.timeout_ns = 0;
    pair.server.handle = [](tina_ctx *, const tina_message *) { return tina_receive(); };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    h.Settle();
    h.Sleep(UINT64_C(1) << 60);
    EXPECT_TRUE(pair.outcomes.empty());
    EXPECT_EQ(h.counters().messages_in_use, 1u);
}

TEST(Call, OnlyItsOutcomeIsDeliveredMeanwhile) {
    Pair pair;
    pair.client.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_timer_set(ctx, 1, 0);
        EXPECT_EQ(tina_send(ctx, tina_self(ctx), 50, nullptr, 0), TINA_SEND_OK);
        return tina_call(ctx, pair.server_handle, 1, "abcd", 4, kSecond);
    };
    pair.server.handle = [&](tina_ctx *, const tina_message *) { return tina_receive(); };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    h.Settle();
    h.Sleep(kSecond / 2);
    EXPECT_TRUE(pair.outcomes.empty());
    h.Sleep(kSecond);
    EXPECT_EQ(pair.outcomes, (std::vector<int32_t>{TINA_CALL_FAILED, TINA_TIMER, 50}));
}

TEST(Call, OneThatIsNotReturnedAwaitsNothing) {
    Pair pair;
    pair.client.init = [&](tina_ctx *ctx, tina_bytes) {
        (void)tina_call(ctx, pair.server_handle, 1, "abcd", 4, kSecond);
        return tina_receive();
    };
    int stale = 0;
    pair.server.handle = [&](tina_ctx *ctx, const tina_message *m) {
        stale += tina_answer(ctx, tina_caller_of(ctx, m), 1, nullptr, 0) == TINA_ANSWER_STALE;
        return tina_receive();
    };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    ExpectNoEnvelopes(h);
    EXPECT_EQ(stale, 1);
    EXPECT_TRUE(pair.outcomes.empty());
}

TEST(Call, ACallerThatDiesLeavesNothing) {
    Pair pair;
    pair.server.handle = [](tina_ctx *, const tina_message *) { return tina_receive(); };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().messages_in_use, 1u);
    tina_shard_force(h.shard());
    ExpectNoEnvelopes(h);
}

// It was answered and had no turn yet.
TEST(Call, ACallerThatIsEndedBeforeItSeesItsAnswerLeavesNothing) {
    Pair pair;
    pair.server.handle = [](tina_ctx *ctx, const tina_message *) {
        return tina_reply(ctx, 1, nullptr, 0);
    };
    Play play({&pair.server, &pair.client});
    play.spec.tick_batch = 1;
    Harness h(play.spec);
    while (h.counters().calls_answered == 0)
        ASSERT_TRUE(h.Turn().busy);
    EXPECT_EQ(h.counters().messages_in_use, 1u);
    tina_shard_force(h.shard());
    ExpectNoEnvelopes(h);
    EXPECT_TRUE(pair.outcomes.empty());
}

// TINA_SEED=1 of the random program: the answer's envelope was given back twice.
TEST(Call, ACallerMayEndInTheHandlerOfItsAnswer) {
    Pair pair;
    pair.server.handle = [](tina_ctx *ctx, const tina_message *) {
        return tina_reply(ctx, 1, nullptr, 0);
    };
    pair.client.handle = [](tina_ctx *, const tina_message *) { return tina_done(); };
    Play play({&pair.server, &pair.client});
    Harness h(play.spec);
    ExpectNoEnvelopes(h);
    EXPECT_EQ(h.counters().exited, 1u);
}

TEST(Call, ReplyToWhatIsNoCallIsCountedAndBadOneCrashes) {
    Script server;
    server.init = [](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_send(ctx, tina_self(ctx), 1, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    };
    server.handle = [](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(tina_caller_of(ctx, m).bits, 0u);
        return tina_reply(ctx, m->tag == 1 ? 2 : -2, nullptr, 0);
    };
    Play play({&server});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().answers_stale, 1u);
    EXPECT_EQ(h.counters().crashed, 0u);

    Pair pair;
    pair.server.handle = [](tina_ctx *ctx, const tina_message *) {
        return tina_reply(ctx, -2, nullptr, 0);
    };
    Play bad({&pair.server, &pair.client});
    Harness h2(bad.spec);
    ExpectNoEnvelopes(h2);
    EXPECT_EQ(h2.counters().crashed, 1u);
    EXPECT_EQ(pair.failure, TINA_CALL_DIED);
}

TEST(Call, ShutdownCancelsItThenTells) {
    Pair pair;
    pair.server.handle = [](tina_ctx *, const tina_message *m) {
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    Play play({&pair.client, &pair.server});
    // The client is told first, so that its call is canceled rather than its server dead.
    play.pointers = {&pair.server, &pair.client};
    Harness h(play.spec);
    h.Settle();
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(pair.outcomes, (std::vector<int32_t>{TINA_CALL_FAILED, TINA_SHUTDOWN}));
    EXPECT_EQ(h.counters().messages_in_use, 0u);
}

// An effect kept and returned in a later handler names an envelope that may be another's by then.
TEST(Call, AnEffectReturnedTooLateIsACrash) {
    Script server, client;
    tina_handle server_handle = {};
    tina_effect kept = {};
    bool crashed_late = false;
    server.init = [&](tina_ctx *ctx, tina_bytes) {
        server_handle = tina_self(ctx);
        return tina_receive();
    };
    client.init = [&](tina_ctx *ctx, tina_bytes) {
        kept = tina_call(ctx, server_handle, 1, nullptr, 0, kSecond);
        tina_timer_set(ctx, kSecond, 0);
        return tina_receive();
    };
    client.handle = [&](tina_ctx *, const tina_message *) {
        crashed_late = true;
        return kept;
    };
    Play play({&server, &client});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().messages_in_use, 0u);
    h.Sleep(2 * kSecond);
    EXPECT_TRUE(crashed_late);
    EXPECT_EQ(h.counters().crashed, 1u);
    ExpectNoEnvelopes(h);
}

TEST(Call, AMadeUpCallerIsStaleWhileTheCallIsInTheMailbox) {
    Pair pair;
    Script forger;
    int stale = 0;
    pair.server.init = [&](tina_ctx *ctx, tina_bytes) {
        pair.server_handle = tina_self(ctx);
        tina_fd fd;
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        EXPECT_EQ(tina_listen(ctx, &at, 1, &fd), 0);
        return tina_io_accept(fd);
    };
    forger.init = [&](tina_ctx *ctx, tina_bytes) {
        for (uint64_t envelope = 0; envelope < 4; envelope++)
            stale += tina_answer(ctx, {UINT64_C(1) << 32 | envelope}, 1, nullptr, 0) ==
                     TINA_ANSWER_STALE;
        return tina_receive();
    };
    Play play({&pair.server, &pair.client, &forger});
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(stale, 4);
    EXPECT_TRUE(pair.outcomes.empty());
}

// A call that fails at once has nothing to cancel, so the cancel is the next one's.
TEST(Call, ShutdownThatFindsAFailedCallCancelsTheNext) {
    Script client;
    std::vector<int32_t> tags;
    client.init = [](tina_ctx *, tina_bytes) { return tina_yield(); };
    client.handle = [&](tina_ctx *ctx, const tina_message *m) {
        tags.push_back(m->tag);
        if (m->tag == TINA_YIELDED)
            return tina_call(ctx, tina_handle_none(), 1, nullptr, 0, 0);
        tina_fd fd;
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        if (m->tag == TINA_CALL_FAILED && tina_listen(ctx, &at, 1, &fd) == 0)
            return tina_io_accept(fd);
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    Play play({&client});
    Harness h(play.spec);
    while (h.counters().dispatches == 0)
        h.Turn();
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(tags, (std::vector<int32_t>{TINA_YIELDED, TINA_CALL_FAILED, TINA_IO_ACCEPT_DONE,
                                          TINA_SHUTDOWN}));
}

} // namespace
