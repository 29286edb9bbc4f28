// SPDX-License-Identifier: Apache-2.0
//
// What isolates of two shards can do with each other: the same as those of one, and what happens
// when one of the shards begins anew or stops.

#include "sched/cluster.h"
#include "sched/duo.h"
#include "sched/puppet.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

using tina::ArgsOf;
using tina::Cluster;
using tina::Duo;
using tina::Play;
using tina::Script;

constexpr uint64_t kSecond = 1000000000;

TEST(Link, AMessageToAnotherShardReadsTheSameAsOneAtHome) {
    Duo duo;
    std::vector<std::string> got;
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(m->from.bits, duo.handle[0].bits);
        EXPECT_EQ(m->to.bits, tina_self(ctx).bits);
        got.push_back(std::to_string(m->tag) +
                      std::string(reinterpret_cast<const char *>(m->payload), m->payload_bytes));
        return tina_receive();
    };
    duo.Open();
    EXPECT_EQ(tina_handle_shard(duo.handle[1]), 1u);
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, "one", 3), TINA_SEND_OK);
        EXPECT_EQ(tina_send(ctx, duo.handle[1], 2, "two", 3), TINA_SEND_OK);
        EXPECT_EQ(tina_send(ctx, duo.handle[1], 3, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    });
    EXPECT_EQ(got, (std::vector<std::string>{"1one", "2two", "3"}));
    EXPECT_EQ(duo.counters(0).messages_sent, 3u);
    EXPECT_EQ(duo.counters(1).messages_arrived, 3u);
    EXPECT_EQ(duo.counters(1).messages_in_use, 0u);
}

TEST(Link, AShardThatIsNoneIsStale) {
    Duo duo;
    duo.Open();
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_send(ctx, tina_handle_make(9, 0, 0, 1), 1, nullptr, 0), TINA_SEND_STALE);
        EXPECT_EQ(tina_send(ctx, tina_handle_make(0, 0, 9, 1), 1, nullptr, 0), TINA_SEND_STALE);
        return tina_receive();
    });
    EXPECT_EQ(duo.counters(0).sends_stale, 2u);
}

TEST(Link, WhatIsDroppedAtTheReceiverIsCountedThere) {
    Duo duo;
    duo.receive[1] = [](tina_ctx *, const tina_message *) { return tina_done(); };
    duo.Open();
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    });
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    });
    EXPECT_EQ(duo.counters(1).arrivals_stale, 1u);
}

TEST(Link, AFullMailboxDropsAndAFullChannelSaysSo) {
    Duo duo;
    duo.play[0].spec.channel_bytes = duo.play[1].spec.channel_bytes = 64 << 10;
    uint64_t handled = 0;
    duo.receive[1] = [&](tina_ctx *, const tina_message *) {
        handled++;
        return tina_receive();
    };
    duo.Open();
    uint64_t sent = 0;
    duo.Do(0, [&](tina_ctx *ctx) {
        tina_send_result result;
        while ((result = tina_send(ctx, duo.handle[1], 1, nullptr, 0)) == TINA_SEND_OK)
            sent++;
        EXPECT_EQ(result, TINA_SEND_CHANNEL_FULL);
        return tina_receive();
    });
    EXPECT_GE(sent, 64u);
    EXPECT_EQ(duo.counters(0).sends_channel_full, 1u);
    EXPECT_EQ(duo.counters(1).messages_arrived + duo.counters(1).arrivals_mailbox_full, sent);
    EXPECT_GT(duo.counters(1).arrivals_mailbox_full, 0u);
    EXPECT_EQ(handled, duo.counters(1).messages_arrived);
}

TEST(Link, MessagesWaitForEnvelopesAndAreNotLost) {
    Duo duo;
    duo.play[1].spec.message_count = 8;
    duo.play[1].type.mailbox_max = 1000;
    uint64_t handled = 0;
    duo.receive[1] = [&](tina_ctx *, const tina_message *) {
        handled++;
        return tina_receive();
    };
    duo.Open();
    duo.Do(
        0,
        [&](tina_ctx *ctx) {
            for (int i = 0; i < 500; i++)
                EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, nullptr, 0), TINA_SEND_OK);
            return tina_receive();
        },
        200);
    EXPECT_EQ(handled, 500u);
    EXPECT_GT(duo.counters(1).arrivals_waited, 0u);
}

// A loop that sleeps when there is nothing to do comes back for messages that waited for envelopes
// which the same tick's handlers gave back.
TEST(Link, MessagesThatWaitedForEnvelopesDoNotWaitForSomethingElseToHappen) {
    Duo duo;
    duo.play[1].type.mailbox_max = 64;
    duo.play[1].spec.message_count = 8;
    duo.start[1] = [](tina_ctx *) { return tina_receive(); }; // no timer
    uint32_t handled = 0;
    duo.receive[1] = [&](tina_ctx *, const tina_message *) {
        handled++;
        return tina_receive();
    };
    duo.Open();
    duo.act[0] = [&](tina_ctx *ctx) {
        for (int i = 0; i < 32; i++)
            EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    };
    duo.cluster->Pass(2000);
    duo.cluster->Turn(0);
    ASSERT_FALSE(duo.act[0]);
    for (bool sleeps = false; !sleeps;) {
        sleeps = !duo.cluster->Turn(1).busy && tina_shard_doze(duo.cluster->shard(1));
        tina_shard_rouse(duo.cluster->shard(1));
    }
    EXPECT_EQ(handled, 32u);
    EXPECT_GT(duo.counters(1).arrivals_waited, 0u);
}

TEST(Link, OnlyASleeperIsWokenAndOnceABatch) {
    Duo duo;
    duo.Open();
    EXPECT_EQ(duo.cluster->woken(1), 0u);
    EXPECT_TRUE(tina_shard_doze(duo.cluster->shard(1)));
    duo.act[0] = [&](tina_ctx *ctx) {
        for (int i = 0; i < 3; i++)
            EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    };
    for (int i = 0; i < 5; i++) {
        duo.cluster->Pass(1000);
        duo.cluster->Turn(0);
    }
    EXPECT_EQ(duo.cluster->woken(1), 1u);
    EXPECT_FALSE(tina_shard_doze(duo.cluster->shard(1)));
    tina_shard_rouse(duo.cluster->shard(1));
}

TEST(Link, ACallIsAnswered) {
    Duo duo;
    int answer = 0;
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(m->tag, 5);
        return tina_reply(ctx, 6, m->payload, m->payload_bytes);
    };
    duo.receive[0] = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, 6);
        EXPECT_EQ(m->from.bits, duo.handle[1].bits);
        EXPECT_EQ(std::string(reinterpret_cast<const char *>(m->payload), m->payload_bytes),
                  "question");
        answer++;
        return tina_receive();
    };
    duo.Open();
    for (int i = 0; i < 1500; i++)
        duo.Do(0, [&](tina_ctx *ctx) {
            return tina_call(ctx, duo.handle[1], 5, "question", 8, kSecond);
        });
    EXPECT_EQ(answer, 1500);
    EXPECT_EQ(duo.counters(0).messages_in_use + duo.counters(1).messages_in_use, 0u);
}

// Calls puppet 1 and returns how the call failed, or 0.
int CallFails(Duo *duo, tina_handle whom, uint64_t timeout_ns = kSecond, int turns = 8) {
    int failure = 0;
    duo->receive[0] = [&](tina_ctx *, const tina_message *m) {
        if (m->tag == TINA_CALL_FAILED)
            failure = m->call.failure;
        return tina_receive();
    };
    duo->act[0] = [&](tina_ctx *ctx) { return tina_call(ctx, whom, 5, nullptr, 0, timeout_ns); };
    duo->cluster->Turns(turns);
    return failure;
}

TEST(Link, ACallFailsAtOnceForEveryReasonThatItFailsAtHome) {
    Duo duo;
    duo.play[1].type.mailbox_max = 1;
    duo.Open();
    EXPECT_EQ(CallFails(&duo, tina_handle_make(1, 0, 9, 1)), TINA_CALL_STALE);
    EXPECT_EQ(CallFails(&duo, tina_handle_make(7, 0, 0, 1)), TINA_CALL_STALE);
    duo.receive[1] = [](tina_ctx *, const tina_message *) { return tina_done(); };
    EXPECT_EQ(CallFails(&duo, duo.handle[1]), TINA_CALL_DIED);
    EXPECT_EQ(CallFails(&duo, duo.handle[1]), TINA_CALL_STALE);
    EXPECT_EQ(duo.counters(0).messages_in_use, 0u);
    EXPECT_EQ(duo.counters(1).messages_in_use, 0u);
}

TEST(Link, ACallTimesOutAndItsLateAnswerIsNobodys) {
    Duo duo;
    tina_caller caller = {};
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        caller = tina_caller_of(ctx, m);
        return tina_receive();
    };
    duo.Open();
    EXPECT_EQ(CallFails(&duo, duo.handle[1], 5000, 20), TINA_CALL_TIMED_OUT);
    duo.Do(1, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_answer(ctx, caller, 6, nullptr, 0), TINA_ANSWER_OK);
        EXPECT_EQ(tina_answer(ctx, caller, 6, nullptr, 0), TINA_ANSWER_STALE);
        return tina_receive();
    });
    EXPECT_EQ(duo.counters(0).messages_in_use, 0u);
    EXPECT_EQ(duo.counters(1).messages_in_use, 0u);
    duo.receive[1] = [](tina_ctx *ctx, const tina_message *) {
        return tina_reply(ctx, 8, nullptr, 0);
    };
    EXPECT_EQ(CallFails(&duo, duo.handle[1]), 0);
}

TEST(Link, AMonitorTellsOfTheEndAfterTheLastMessage) {
    Duo duo;
    std::vector<int> order;
    tina_exit_reason reason = {};
    duo.receive[0] = [&](tina_ctx *, const tina_message *m) {
        order.push_back(m->tag);
        if (m->tag == TINA_DOWN) {
            EXPECT_EQ(m->down.who.bits, duo.handle[1].bits);
            reason = m->down.reason;
        }
        return tina_receive();
    };
    duo.Open();
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_NE(tina_monitor_set(ctx, duo.handle[1]).bits, 0u);
        return tina_receive();
    });
    duo.Do(1, [&](tina_ctx *ctx) {
        tina_send(ctx, duo.handle[0], 1, nullptr, 0);
        tina_send(ctx, duo.handle[0], 2, nullptr, 0);
        return tina_crash(42);
    });
    EXPECT_EQ(order, (std::vector<int>{1, 2, TINA_DOWN}));
    EXPECT_EQ(reason.kind, TINA_EXIT_CRASH);
    EXPECT_EQ(reason.code, 42);
    EXPECT_EQ(duo.counters(0).monitors_in_use + duo.counters(1).monitors_in_use, 0u);
    order.clear();
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_NE(tina_monitor_set(ctx, duo.handle[1]).bits, 0u);
        return tina_receive();
    });
    EXPECT_EQ(order, (std::vector<int>{TINA_DOWN}));
}

TEST(Link, MonitorsThatAreEndedGiveTheirCreditBack) {
    Duo duo;
    duo.Open();
    for (int round = 0; round < 1500; round++)
        duo.Do(0, [&](tina_ctx *ctx) {
            tina_monitor monitor = tina_monitor_set(ctx, duo.handle[1]);
            EXPECT_NE(monitor.bits, 0u);
            EXPECT_TRUE(tina_monitor_end(ctx, monitor));
            EXPECT_FALSE(tina_monitor_end(ctx, monitor));
            return tina_receive();
        });
    EXPECT_EQ(duo.counters(0).monitors_in_use + duo.counters(1).monitors_in_use, 0u);
}

TEST(Link, AShardThatBeginsAnewFailsWhatWaitedForItAndIsReachedAgain) {
    Duo duo;
    std::vector<int> events;
    duo.receive[1] = [](tina_ctx *, const tina_message *) { return tina_receive(); };
    duo.Open();
    duo.Do(0, [&](tina_ctx *ctx) {
        tina_monitor_set(ctx, duo.handle[1]);
        return tina_receive();
    });
    tina_handle before = duo.handle[1];
    duo.receive[0] = [&](tina_ctx *, const tina_message *m) {
        events.push_back(m->tag);
        if (m->tag == TINA_CALL_FAILED) {
            EXPECT_EQ(m->call.failure, TINA_CALL_DIED);
        }
        if (m->tag == TINA_DOWN) {
            EXPECT_EQ(m->down.reason.kind, TINA_EXIT_SHARD);
        }
        return tina_receive();
    };
    duo.Do(0, [&](tina_ctx *ctx) { return tina_call(ctx, duo.handle[1], 5, nullptr, 0, kSecond); });
    EXPECT_TRUE(events.empty());
    ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(1)));
    duo.cluster->Turns(8);
    EXPECT_EQ(events, (std::vector<int>{TINA_CALL_FAILED, TINA_DOWN}));
    EXPECT_NE(duo.handle[1].bits, before.bits);
    EXPECT_EQ(duo.counters(0).peers_reborn, 1u);
    duo.receive[1] = [](tina_ctx *ctx, const tina_message *) {
        return tina_reply(ctx, 8, nullptr, 0);
    };
    EXPECT_EQ(CallFails(&duo, before), TINA_CALL_STALE);
    EXPECT_EQ(CallFails(&duo, duo.handle[1]), 0);
}

TEST(Link, AQuarantinedShardIsRefusedAtOnceAndReachedAgainWhenItIsRevived) {
    Duo duo;
    duo.receive[1] = [](tina_ctx *, const tina_message *) { return tina_receive(); };
    duo.Open();
    int failure = 0;
    duo.receive[0] = [&](tina_ctx *, const tina_message *m) {
        failure = m->call.failure;
        return tina_receive();
    };
    duo.Do(0, [&](tina_ctx *ctx) { return tina_call(ctx, duo.handle[1], 5, nullptr, 0, kSecond); });
    ASSERT_TRUE(tina_shard_quarantine(duo.cluster->shard(1)));
    duo.cluster->Turns(8);
    EXPECT_EQ(failure, TINA_CALL_DIED);
    EXPECT_EQ(duo.counters(1).isolates_in_use, 0u);
    EXPECT_EQ(CallFails(&duo, duo.handle[1]), TINA_CALL_QUARANTINED);
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, nullptr, 0), TINA_SEND_QUARANTINED);
        return tina_receive();
    });
    ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(1)));
    duo.cluster->Turns(8);
    duo.receive[1] = [](tina_ctx *ctx, const tina_message *) {
        return tina_reply(ctx, 8, nullptr, 0);
    };
    EXPECT_EQ(CallFails(&duo, duo.handle[1]), 0);
    EXPECT_EQ(duo.counters(0).peers_quarantined, 1u);
    EXPECT_EQ(duo.counters(0).peers_reborn, 1u);
}

TEST(Link, AnAskerThatBeginsAnewIsForgotten) {
    Duo duo;
    tina_caller caller = {};
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        caller = tina_caller_of(ctx, m);
        return tina_receive();
    };
    duo.Open();
    duo.Do(0, [&](tina_ctx *ctx) {
        tina_monitor_set(ctx, duo.handle[1]);
        return tina_call(ctx, duo.handle[1], 5, nullptr, 0, kSecond);
    });
    EXPECT_NE(caller.bits, 0u);
    ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(0)));
    duo.cluster->Turns(8);
    EXPECT_EQ(duo.counters(1).monitors_in_use, 0u);
    EXPECT_EQ(duo.counters(1).messages_in_use, 0u);
    duo.Do(1, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_answer(ctx, caller, 6, nullptr, 0), TINA_ANSWER_STALE);
        return tina_receive();
    });
}

TEST(Link, AnIsolateIsSpawnedOnAnotherShard) {
    Duo duo;
    Script child;
    Script *child_script = &child;
    tina_handle born = {};
    child.init = [&](tina_ctx *ctx, tina_bytes) {
        born = tina_self(ctx);
        return tina_receive();
    };
    tina_spawn_event event = {};
    duo.receive[0] = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_SPAWNED);
        event = m->spawn;
        return tina_receive();
    };
    duo.Open();
    duo.Do(0, [&](tina_ctx *ctx) {
        return tina_spawn_on(ctx, 1, &duo.play[1].type, ArgsOf(&child_script), kSecond);
    });
    EXPECT_EQ(event.result, TINA_SPAWN_OK);
    EXPECT_EQ(event.child.bits, born.bits);
    EXPECT_EQ(tina_handle_shard(born), 1u);
    tina_isolate_type unknown = tina::PuppetType("unknown");
    duo.Do(0, [&](tina_ctx *ctx) {
        return tina_spawn_on(ctx, 1, &unknown, ArgsOf(&child_script), kSecond);
    });
    EXPECT_EQ(event.result, TINA_SPAWN_UNKNOWN_TYPE);
}

TEST(Link, ACallWithABadMessageFailsAtOnce) {
    Duo duo;
    char big[TINA_PAYLOAD_BYTES_MAX + 1] = {};
    int failed = 0;
    duo.receive[0] = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_CALL_FAILED);
        EXPECT_EQ(m->call.failure, TINA_CALL_BAD_MESSAGE);
        failed++;
        return tina_receive();
    };
    duo.Open();
    duo.Do(0, [&](tina_ctx *ctx) {
        return (tina_call)(ctx, duo.handle[1], 1, big, sizeof big, kSecond);
    });
    duo.Do(0, [&](tina_ctx *ctx) {
        return (tina_call)(ctx, duo.handle[1], TINA_SHUTDOWN, nullptr, 0, kSecond);
    });
    EXPECT_EQ(failed, 2);
    EXPECT_EQ(duo.counters(0).messages_in_use, 0u);
    EXPECT_EQ(duo.counters(1).messages_arrived, 0u);
}

// It lies in no buffer of the peers' either.
TEST(Link, AnOpThatNamesNoMemoryIsNotInATransferBuffer) {
    Duo duo;
    static tina_file_stat stat;
    duo.play[0].spec.transfer_count = duo.play[1].spec.transfer_count = 4;
    duo.receive[0] = [](tina_ctx *, const tina_message *) { return tina_receive(); };
    duo.Open();
    duo.Do(0, [](tina_ctx *) { return tina_io(tina_op_stat(tina_fd_none(), &stat)); });
    EXPECT_EQ(duo.counters(0).io_refused, 1u);
    EXPECT_EQ(duo.cluster->log(0).find("gave an op memory"), std::string::npos)
        << duo.cluster->log(0);
}

// tina_spawn is for its own.
TEST(Link, ASpawnOnTheOwnShardOrOnNoneOrWithTooManyArgsFailsAtOnce) {
    Duo duo;
    uint8_t args[TINA_SPAWN_ON_ARGS_BYTES_MAX + 1] = {};
    int failed = 0;
    duo.receive[0] = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_CALL_FAILED);
        EXPECT_EQ(m->call.failure, TINA_CALL_BAD_MESSAGE);
        failed++;
        return tina_receive();
    };
    duo.Open();
    const struct {
        uint32_t shard;
        size_t bytes;
    } wrong[] = {{0, 8}, {TINA_SHARD_COUNT_MAX, 8}, {1, sizeof args}};
    for (const auto &each : wrong)
        duo.Do(0, [&](tina_ctx *ctx) {
            return tina_spawn_on(ctx, each.shard, &duo.play[1].type,
                                 tina_bytes_of(args, each.bytes), kSecond);
        });
    EXPECT_EQ(failed, 3);
    EXPECT_EQ(duo.counters(0).isolates_in_use, 1u);
    EXPECT_EQ(duo.counters(1).isolates_in_use, 1u);
}

TEST(Link, AShardReadsTheCountersOfEveryShard) {
    Duo duo;
    duo.receive[1] = [&](tina_ctx *, const tina_message *) { return tina_receive(); };
    duo.Open();
    for (int i = 0; i < 5; i++)
        duo.Do(0, [&](tina_ctx *ctx) {
            EXPECT_EQ(tina_send(ctx, duo.handle[1], 3, nullptr, 0), TINA_SEND_OK);
            return tina_receive();
        });
    tina_shard_counters seen[2] = {};
    tina_shard_counters total;
    std::memset(&total, 0xAA, sizeof total);
    bool there[4] = {};
    duo.Do(0, [&](tina_ctx *ctx) {
        there[0] = tina_counters(ctx, 0, &seen[0]);
        there[1] = tina_counters(ctx, 1, &seen[1]);
        tina_shard_counters none;
        there[2] = tina_counters(ctx, 2, &none);
        there[3] = tina_counters(ctx, UINT32_MAX, &none);
        tina_counters_total(ctx, &total);
        return tina_receive();
    });
    EXPECT_TRUE(there[0] && there[1]);
    EXPECT_FALSE(there[2] || there[3]);
    EXPECT_EQ(seen[0].messages_sent, 5u);
    EXPECT_EQ(seen[0].messages_arrived, 0u);
    EXPECT_EQ(seen[1].messages_arrived, 5u);
    EXPECT_EQ(seen[1].messages_sent, 0u);
#define EXPECT_SUM(name) EXPECT_EQ(total.name, seen[0].name + seen[1].name) << #name;
    TINA_SHARD_COUNTERS(EXPECT_SUM)
#undef EXPECT_SUM
}

// Puppet 0 sends a buffer that says "hello"; what puppet 1 does with it is the test's.
struct Loan : Duo {
    Loan() {
        for (Play &each : play)
            each.spec.transfer_count = 4;
    }
    void Lend() {
        Do(0, [&](tina_ctx *ctx) {
            tina_transfer transfer = tina_transfer_take(ctx);
            EXPECT_NE(transfer.bits, 0u);
            std::memcpy(tina_transfer_data(ctx, transfer), "hello", 6);
            EXPECT_EQ(tina_send_transfer(ctx, handle[1], 1, nullptr, 0, transfer), TINA_SEND_OK);
            EXPECT_EQ(tina_transfer_data(ctx, transfer), nullptr);
            EXPECT_FALSE(tina_transfer_give(ctx, transfer));
            return tina_receive();
        });
    }
};

TEST(Link, ALentBufferIsHomeAgainWhenTheHandlerReturns) {
    Loan duo;
    int read = 0;
    tina_transfer last = {};
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        last = tina_transfer_of(ctx, m);
        EXPECT_STREQ(static_cast<const char *>(tina_transfer_data(ctx, last)), "hello");
        read++;
        return tina_receive();
    };
    duo.Open();
    for (int i = 0; i < 20; i++)
        duo.Lend();
    EXPECT_EQ(read, 20);
    EXPECT_EQ(duo.counters(0).transfers_in_use, 0u);
    duo.Do(1, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_transfer_data(ctx, last), nullptr);
        return tina_receive();
    });
}

TEST(Link, ALentBufferThatIsKeptStaysUntilItIsGivenAndIsNotLentOn) {
    Loan duo;
    tina_transfer kept = {};
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        kept = tina_transfer_of(ctx, m);
        EXPECT_TRUE(tina_transfer_keep(ctx, kept));
        return tina_receive();
    };
    duo.Open();
    duo.Lend();
    EXPECT_EQ(duo.counters(0).transfers_in_use, 1u);
    duo.Do(1, [&](tina_ctx *ctx) {
        EXPECT_STREQ(static_cast<const char *>(tina_transfer_data(ctx, kept)), "hello");
        EXPECT_EQ(tina_send_transfer(ctx, duo.handle[0], 1, nullptr, 0, kept),
                  TINA_SEND_BAD_TRANSFER);
        EXPECT_TRUE(tina_transfer_give(ctx, kept));
        EXPECT_FALSE(tina_transfer_give(ctx, kept));
        return tina_receive();
    });
    EXPECT_EQ(duo.counters(0).transfers_in_use, 0u);
}

TEST(Link, ALentBufferComesHomeFromTheDeadFromNobodyAndFromAShardThatBeginsAnew) {
    Loan duo;
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_TRUE(tina_transfer_keep(ctx, tina_transfer_of(ctx, m)));
        return tina_receive();
    };
    duo.Open();
    duo.Lend();
    duo.Lend();
    EXPECT_EQ(duo.counters(0).transfers_in_use, 2u);
    ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(1)));
    duo.cluster->Turns(8);
    EXPECT_EQ(duo.counters(0).transfers_in_use, 0u);
    duo.Lend();
    EXPECT_EQ(duo.counters(0).transfers_in_use, 1u);
    duo.Do(1, [](tina_ctx *) { return tina_done(); });
    EXPECT_EQ(duo.counters(0).transfers_in_use, 0u);
    duo.Lend();
    EXPECT_EQ(duo.counters(0).transfers_in_use, 0u);
    EXPECT_EQ(duo.counters(1).arrivals_stale, 1u);
}

TEST(Link, AHandlerThatCrashesWithALentBufferCostsItsIsolateAlone) {
    Loan duo;
    duo.receive[1] = [](tina_ctx *ctx, const tina_message *m) -> tina_effect {
        EXPECT_TRUE(tina_transfer_keep(ctx, tina_transfer_of(ctx, m)));
        tina_panic("with what is another's");
    };
    duo.Open();
    duo.Lend();
    EXPECT_EQ(duo.counters(1).faults, 1u);
    EXPECT_EQ(duo.counters(0).transfers_in_use, 0u);
}

TEST(Link, ABufferThatIsLentOutlivesItsLendersLife) {
    Loan duo;
    tina_transfer kept = {};
    duo.receive[1] = [&](tina_ctx *ctx, const tina_message *m) {
        kept = tina_transfer_of(ctx, m);
        EXPECT_TRUE(tina_transfer_keep(ctx, kept));
        return tina_receive();
    };
    duo.Open();
    duo.Lend();
    ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(0)));
    duo.cluster->Turns(8);
    EXPECT_EQ(duo.counters(0).transfers_in_use, 1u);
    duo.Do(1, [&](tina_ctx *ctx) {
        EXPECT_STREQ(static_cast<const char *>(tina_transfer_data(ctx, kept)), "hello");
        EXPECT_TRUE(tina_transfer_give(ctx, kept));
        return tina_receive();
    });
    EXPECT_EQ(duo.counters(0).transfers_in_use, 0u);
}

} // namespace
