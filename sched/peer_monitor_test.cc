// SPDX-License-Identifier: Apache-2.0
//
// What an isolate is told of other shards: that they began anew, stopped, were revived.

#include "sched/duo.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

using tina::ArgsOf;
using tina::Duo;
using tina::Script;

// Puppet 0, on shard 0, monitors shard 1.
struct Watching : Duo {
    Watching() {
        receive[0] = [this](tina_ctx *, const tina_message *m) {
            tags.push_back(m->tag);
            if (m->tag == TINA_SHARD_NEWS)
                news.push_back(m->shard);
            return tina_receive();
        };
    }
    void Watch(tina_monitor_result expected = TINA_MONITOR_OK, uint32_t shard = 1) {
        Do(0, [&](tina_ctx *ctx) {
            EXPECT_EQ(tina_monitor_shard(ctx, shard, &monitor), expected);
            EXPECT_EQ(monitor.bits != 0, expected == TINA_MONITOR_OK);
            return tina_receive();
        });
    }
    void Restart(uint32_t shard = 1, int turns = 8) {
        ASSERT_TRUE(tina_shard_rebuild(cluster->shard(shard)));
        cluster->Turns(turns);
    }
    void Quarantine(uint32_t shard = 1, int turns = 8) {
        ASSERT_TRUE(tina_shard_quarantine(cluster->shard(shard)));
        cluster->Turns(turns);
    }
    // "CHANGE×COUNT" of each event.
    std::string Story() {
        static const char *const words[] = {"?", "restarted", "quarantined", "revived"};
        std::string story;
        for (const tina_shard_event &each : news)
            story += std::string(story.empty() ? "" : " ") + words[each.change] + "×" +
                     std::to_string(each.count);
        return story;
    }
    tina_monitor monitor = {};
    std::vector<int32_t> tags;
    std::vector<tina_shard_event> news;
};

TEST(PeerMonitor, TellsOfEachChangeUntilItIsEnded) {
    Watching duo;
    duo.Open();
    duo.Watch();
    EXPECT_EQ(duo.Story(), "");
    duo.Restart();
    EXPECT_EQ(duo.Story(), "restarted×1");
    duo.Quarantine();
    duo.Restart();
    duo.Restart();
    EXPECT_EQ(duo.Story(), "restarted×1 quarantined×1 revived×1 restarted×1");
    uint32_t life = 1;
    for (const tina_shard_event &each : duo.news) {
        EXPECT_EQ(each.monitor.bits, duo.monitor.bits);
        EXPECT_EQ(each.shard, 1u);
        EXPECT_EQ(each.life > life, each.change != TINA_SHARD_QUARANTINED);
        life = each.life;
    }
    EXPECT_EQ(duo.counters(0).shard_news_told, 4u);
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_TRUE(tina_monitor_end(ctx, duo.monitor));
        EXPECT_FALSE(tina_monitor_end(ctx, duo.monitor));
        return tina_receive();
    });
    duo.Restart();
    EXPECT_EQ(duo.news.size(), 4u);
    EXPECT_EQ(duo.counters(0).monitors_in_use, 0u);
}

TEST(PeerMonitor, OfTheOwnShardAndOfNoneIsRefused) {
    Watching duo;
    duo.Open();
    duo.Watch(TINA_MONITOR_OWN_SHARD, 0);
    duo.Watch(TINA_MONITOR_NO_SHARD, 2);
    duo.Watch(TINA_MONITOR_NO_SHARD, UINT32_MAX);
    EXPECT_EQ(duo.counters(0).monitors_in_use, 0u);
}

TEST(PeerMonitor, OfAShardThatHasStoppedTellsAtOnce) {
    Watching duo;
    duo.Open();
    duo.Quarantine();
    EXPECT_EQ(duo.Story(), "");
    duo.Watch();
    EXPECT_EQ(duo.Story(), "quarantined×1");
    duo.Restart();
    EXPECT_EQ(duo.Story(), "quarantined×1 revived×1");
}

TEST(PeerMonitor, AnIsolateOfAShardThatHasStoppedIsDownAtOnce) {
    Watching duo;
    duo.Open();
    duo.Quarantine();
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_NE(tina_monitor_set(ctx, duo.handle[1]).bits, 0u);
        return tina_receive();
    });
    EXPECT_EQ(duo.tags, std::vector<int32_t>{TINA_DOWN});
    EXPECT_EQ(duo.counters(0).monitors_in_use, 0u);
    EXPECT_EQ(duo.counters(0).monitors_refused, 0u);
}

TEST(PeerMonitor, TellsTwiceWhoAskedTwiceAndIsRefusedWhenMonitorsAreUsedUp) {
    Watching duo;
    duo.play[0].spec.monitor_count = 2;
    duo.Open();
    duo.Watch();
    tina_monitor first = duo.monitor;
    duo.Watch();
    EXPECT_NE(duo.monitor.bits, first.bits);
    duo.Watch(TINA_MONITOR_FULL);
    EXPECT_EQ(duo.counters(0).monitors_refused, 1u);
    duo.Restart();
    EXPECT_EQ(duo.Story(), "restarted×1 restarted×1");
}

// It comes after the events of the isolates there, and both after what these had sent.
TEST(PeerMonitor, ComesAfterTheMessagesAndTheEndsOfThatShard) {
    Watching duo;
    duo.Open();
    duo.Watch();
    duo.Do(0, [&](tina_ctx *ctx) {
        EXPECT_NE(tina_monitor_set(ctx, duo.handle[1]).bits, 0u);
        return tina_receive();
    });
    duo.act[1] = [&](tina_ctx *ctx) {
        for (int i = 0; i < 3; i++)
            EXPECT_EQ(tina_send(ctx, duo.handle[0], 7, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    };
    duo.cluster->Pass(2000);
    duo.cluster->Turn(1);
    ASSERT_FALSE(duo.act[1]);
    duo.Restart();
    EXPECT_EQ(duo.tags, (std::vector<int32_t>{7, 7, 7, TINA_DOWN, TINA_SHARD_NEWS}));
}

// A shard that breaks again before it could say that it had begun anew.
TEST(PeerMonitor, ALifeThatEndsBeforeItIsToldIsCounted) {
    Watching duo;
    duo.Open();
    duo.Watch();
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(tina_shard_quarantine(duo.cluster->shard(1)));
        ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(1)));
    }
    duo.cluster->Turns(8);
    EXPECT_EQ(duo.Story(), "restarted×3");
}

// More had been sent than there are envelopes for.
TEST(PeerMonitor, ComesAfterMessagesThatWaitForEnvelopes) {
    for (bool stops : {false, true}) {
        Watching duo;
        duo.play[0].spec.message_count = 4;
        duo.Open();
        duo.Watch();
        duo.Do(0, [&](tina_ctx *ctx) {
            EXPECT_NE(tina_monitor_set(ctx, duo.handle[1]).bits, 0u);
            return tina_receive();
        });
        duo.act[1] = [&](tina_ctx *ctx) {
            for (int i = 0; i < 6; i++)
                EXPECT_EQ(tina_send(ctx, duo.handle[0], 7, nullptr, 0), TINA_SEND_OK);
            return tina_receive();
        };
        duo.cluster->Pass(2000);
        duo.cluster->Turn(1);
        ASSERT_FALSE(duo.act[1]);
        if (stops)
            duo.Quarantine();
        else
            duo.Restart();
        EXPECT_EQ(duo.tags, (std::vector<int32_t>{7, 7, 7, 7, 7, 7, TINA_DOWN, TINA_SHARD_NEWS}));
        EXPECT_GT(duo.counters(0).arrivals_waited, 0u) << "there were envelopes for all";
    }
}

// Who asks while news wait to be told hears of them once.
TEST(PeerMonitor, ThatIsSetWhileNewsWaitIsToldThemOnce) {
    Watching duo;
    duo.play[0].spec.message_count = 4;
    duo.receive[0] = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == 7 && duo.tags.empty()) {
            EXPECT_EQ(tina_monitor_shard(ctx, 1, &duo.monitor), TINA_MONITOR_OK);
        }
        duo.tags.push_back(m->tag);
        if (m->tag == TINA_SHARD_NEWS)
            duo.news.push_back(m->shard);
        return tina_receive();
    };
    duo.Open();
    duo.act[1] = [&](tina_ctx *ctx) {
        for (int i = 0; i < 6; i++)
            EXPECT_EQ(tina_send(ctx, duo.handle[0], 7, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    };
    duo.cluster->Pass(2000);
    duo.cluster->Turn(1);
    duo.Quarantine();
    EXPECT_EQ(duo.Story(), "quarantined×1");
    EXPECT_EQ(duo.tags.back(), TINA_SHARD_NEWS);
}

// While the watcher waits for something else, or is not dispatched at all.
TEST(PeerMonitor, ChangesThatAreNotToldYetAreOneEventWithTheLastAndTheirCount) {
    Watching duo;
    duo.Open();
    duo.Watch();
    duo.Do(0,
           [&](tina_ctx *ctx) { return tina_call(ctx, tina_self(ctx), 5, nullptr, 0, 1000000); });
    duo.Restart();
    duo.Quarantine();
    EXPECT_EQ(duo.Story(), "");
    duo.cluster->Pass(2000000);
    duo.cluster->Turns(3);
    EXPECT_EQ(duo.Story(), "quarantined×2");
    duo.Restart();
    EXPECT_EQ(duo.Story(), "quarantined×2 revived×1");
}

// For a millisecond, and no longer, it takes nothing else.
tina_effect AcceptForAWhile(tina_ctx *ctx) {
    tina_fd fd;
    tina_address mine = tina_address_ipv4(127, 0, 0, 1, 81);
    EXPECT_EQ(tina_listen(ctx, &mine, 1, &fd), 0);
    return tina_io(tina_op_within(tina_op_accept(fd), 1000000));
}

// What is added to an event that waits makes it wait for the messages of that life as well.
TEST(PeerMonitor, AnEventThatIsAddedToComesAfterTheMessagesOfAllLivesThatItSaysAreOver) {
    Watching duo;
    duo.Open();
    duo.Watch();
    duo.Do(0, AcceptForAWhile);
    duo.Restart();
    duo.Do(1, [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_send(ctx, duo.handle[0], 7, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    });
    duo.Restart();
    duo.cluster->Pass(2000000);
    duo.cluster->Turns(3);
    EXPECT_EQ(duo.tags, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, 7, TINA_SHARD_NEWS}));
    EXPECT_EQ(duo.Story(), "restarted×2");
    EXPECT_EQ(duo.news.back().life, 3u);
}

// That a life has ended is heard before its messages are in, and told after them.
TEST(PeerMonitor, AnEventHasTheLifeThatItTellsOfAndNotOneThatIsNotToBeToldYet) {
    Watching duo;
    duo.play[0].spec.message_count = 4;
    duo.Open();
    duo.Watch();
    duo.Do(0, AcceptForAWhile);
    duo.Restart();
    duo.Do(1, [&](tina_ctx *ctx) {
        for (int i = 0; i < 6; i++)
            EXPECT_EQ(tina_send(ctx, duo.handle[0], 7, nullptr, 0), TINA_SEND_OK);
        return tina_receive();
    });
    duo.Restart();
    EXPECT_EQ(duo.counters(0).peers_reborn, 2u);
    duo.cluster->Pass(2000000);
    duo.cluster->Turns(8);
    EXPECT_EQ(duo.tags, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, TINA_SHARD_NEWS, 7, 7, 7, 7, 7,
                                              7, TINA_SHARD_NEWS}));
    ASSERT_EQ(duo.Story(), "restarted×1 restarted×1");
    EXPECT_EQ(duo.news[0].life, 2u);
    EXPECT_EQ(duo.news[1].life, 3u);
}

// Whichever of the two is told first ends the other, whose event waits already.
TEST(PeerMonitor, OneThatIsEndedBeforeItsEventIsDeliveredTellsNothing) {
    Watching duo;
    duo.Open();
    duo.Watch();
    tina_monitor first = duo.monitor;
    duo.Watch();
    int told = 0;
    duo.receive[0] = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_SHARD_NEWS);
        told++;
        bool is_first = m->shard.monitor.bits == first.bits;
        EXPECT_TRUE(tina_monitor_end(ctx, is_first ? duo.monitor : first));
        return tina_receive();
    };
    duo.Restart();
    EXPECT_EQ(told, 1);
    EXPECT_EQ(duo.counters(0).monitors_in_use, 1u);
}

TEST(PeerMonitor, GoesWithItsIsolateWhetherItHasSomethingToTellOrNot) {
    for (bool pending : {false, true}) {
        Watching duo;
        duo.Open();
        duo.Watch();
        duo.Watch();
        if (pending) {
            duo.Do(0, [&](tina_ctx *ctx) {
                return tina_call(ctx, tina_self(ctx), 5, nullptr, 0, 1000000);
            });
            duo.Restart();
            duo.receive[0] = [](tina_ctx *, const tina_message *m) {
                EXPECT_EQ(m->tag, TINA_CALL_FAILED);
                return tina_done();
            };
            duo.cluster->Pass(2000000);
            duo.cluster->Turns(3);
        } else {
            duo.Do(0, [](tina_ctx *) { return tina_done(); });
        }
        EXPECT_EQ(duo.counters(0).isolates_in_use, 0u);
        EXPECT_EQ(duo.counters(0).monitors_in_use, 0u);
        duo.Restart();
        EXPECT_EQ(duo.counters(0).shard_news_told, 0u);
    }
}

TEST(PeerMonitor, IsGoneWhenItsOwnShardBeginsAnew) {
    for (bool told : {false, true}) {
        Watching duo;
        duo.Open();
        duo.Watch();
        ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(1)));
        if (told)
            duo.cluster->Turn(1);
        duo.Restart(0);
        EXPECT_EQ(duo.counters(0).monitors_in_use, 0u);
        EXPECT_EQ(duo.counters(0).peers_reborn, 1u);
        duo.Restart();
        EXPECT_EQ(duo.Story(), "");
        duo.Watch();
        duo.Restart();
        EXPECT_EQ(duo.Story(), "restarted×1");
    }
}

// Whose operations do not end: it cannot be emptied, nor ticked, and may try again and again.
TEST(PeerMonitor, TellsOfAShardThatStoppedAndCannotBeEmptied) {
    Watching duo;
    duo.receive[1] = [](tina_ctx *, const tina_message *) { return tina_receive(); };
    duo.Open();
    duo.Watch();
    duo.Do(0,
           [&](tina_ctx *ctx) { return tina_call(ctx, duo.handle[1], 5, nullptr, 0, 1000000000); });
    duo.act[1] = [](tina_ctx *ctx) {
        tina_fd fd;
        tina_address mine = tina_address_ipv4(127, 0, 0, 1, 81);
        EXPECT_EQ(tina_listen(ctx, &mine, 1, &fd), 0);
        return tina_io_accept(fd);
    };
    duo.cluster->Turns(8);
    duo.cluster->backend(1)->hold = true;
    uint64_t woken = duo.cluster->woken(0);
    EXPECT_TRUE(tina_shard_doze(duo.cluster->shard(0)));
    for (int i = 0; i < 3; i++)
        EXPECT_FALSE(tina_shard_quarantine(duo.cluster->shard(1)));
    EXPECT_EQ(duo.cluster->woken(0), woken + 1);
    tina_shard_rouse(duo.cluster->shard(0));
    for (int i = 0; i < 8; i++) {
        duo.cluster->Pass(1000);
        duo.cluster->Turn(0);
    }
    EXPECT_EQ(duo.tags, (std::vector<int32_t>{TINA_CALL_FAILED, TINA_SHARD_NEWS}));
    EXPECT_EQ(duo.Story(), "quarantined×1");
    duo.act[0] = [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_send(ctx, duo.handle[1], 1, nullptr, 0), TINA_SEND_QUARANTINED);
        return tina_receive();
    };
    for (int i = 0; i < 8; i++) {
        duo.cluster->Pass(1000);
        duo.cluster->Turn(0);
    }
    EXPECT_FALSE(duo.act[0]);
    duo.cluster->backend(1)->hold = false;
    duo.Quarantine();
    EXPECT_EQ(duo.Story(), "quarantined×1") << "it is no news";
    duo.Restart();
    EXPECT_EQ(duo.Story(), "quarantined×1 revived×1");
    duo.Quarantine();
    EXPECT_EQ(duo.Story(), "quarantined×1 revived×1 quarantined×1");
    // Revived and stopped before it could tell.
    ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(1)));
    duo.Quarantine();
    EXPECT_EQ(duo.Story(), "quarantined×1 revived×1 quarantined×1 quarantined×2");
}

// Of a peer that had stopped before, too.
TEST(PeerMonitor, AShardThatBeganAnewStillKnowsWhoHasStopped) {
    Watching duo;
    duo.Open();
    duo.Quarantine();
    duo.Restart(0);
    duo.Watch();
    EXPECT_EQ(duo.Story(), "quarantined×1");
}

// News use no message: with no envelope left and every other mailbox full they are told.
TEST(PeerMonitor, NeedsNoMessage) {
    Watching duo;
    Script sinks[2];
    tina_handle handles[2] = {};
    Script *pointers[2] = {&sinks[0], &sinks[1]};
    for (int i = 0; i < 2; i++)
        sinks[i].init = [&, i](tina_ctx *ctx, tina_bytes) {
            handles[i] = tina_self(ctx);
            return tina_call(ctx, tina_self(ctx), 0, nullptr, 0, 0); // takes no message
        };
    duo.play[0].type.mailbox_max = 8;
    duo.play[0].spec.message_count = 16;
    duo.play[0].spec.sender_share = 16;
    duo.Open();
    duo.Watch();
    duo.Do(0, [&](tina_ctx *ctx) {
        for (Script *&each : pointers)
            EXPECT_EQ(tina_spawn(ctx, &duo.play[0].type, ArgsOf(&each), nullptr), TINA_SPAWN_OK);
        return tina_receive();
    });
    duo.Do(0, [&](tina_ctx *ctx) {
        for (tina_handle each : handles)
            while (tina_send(ctx, each, 1, nullptr, 0) == TINA_SEND_OK)
                continue;
        EXPECT_EQ(tina_send(ctx, tina_self(ctx), 1, nullptr, 0), TINA_SEND_POOL_EMPTY);
        return tina_receive();
    });
    EXPECT_EQ(duo.counters(0).messages_in_use, 16u);
    duo.Restart();
    duo.Quarantine();
    duo.Restart();
    EXPECT_EQ(duo.Story(), "restarted×1 quarantined×1 revived×1");
}

// A watcher whose shard does not tick while the control ring fills with news hears of all changes.
TEST(PeerMonitor, ChangesThatFindTheChannelFullAreCountedToo) {
    Watching duo;
    duo.play[0].spec.channel_bytes = duo.play[1].spec.channel_bytes = 1;
    duo.Open();
    duo.Watch();
    constexpr uint32_t kRestarts = 500;
    for (uint32_t i = 0; i < kRestarts; i++) {
        duo.cluster->Pass(1000);
        ASSERT_TRUE(tina_shard_rebuild(duo.cluster->shard(1)));
        duo.cluster->Turn(1);
        duo.cluster->Turn(1);
    }
    duo.cluster->Turns(3);
    uint32_t count = 0;
    for (const tina_shard_event &each : duo.news)
        count += each.count;
    EXPECT_EQ(count, kRestarts);
    EXPECT_LT(duo.counters(0).peers_reborn, kRestarts) << "the ring was never full";
    EXPECT_LE(duo.news.size(), 2u);
    EXPECT_EQ(duo.news.back().life, 1 + kRestarts);
}

} // namespace
