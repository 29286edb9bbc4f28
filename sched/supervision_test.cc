// SPDX-License-Identifier: Apache-2.0
//
// The tree with real isolates under it: what supervise/tree decides, a shard does.

#include "sched/children.h"
#include "sched/harness.h"
#include "sched/puppet.h"
#include "supervise/policy.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using tina::ArgsOf;
using tina::Harness;
using tina::Puppet;
using tina::PuppetType;
using tina::Script;

enum {
    CRASH = 1,
    LEAVE,
    HANG,
    ASK
};

// A tree of named puppets that write down what happens to them: "+a" started, "-a" told to shut
// down. A message CRASH, LEAVE or HANG does that to its receiver; HANG ignores TINA_SHUTDOWN.
class Supervision : public testing::Test {
  protected:
    struct Actor {
        Script script;
        Script *pointer = nullptr;
        tina_handle handle = {};
        bool hangs = false;
        int fail_inits = 0;
        bool ignore_init = false;
    };

    tina_child Child(const std::string &name) {
        Actor &actor = actors_[name];
        actor.pointer = &actor.script;
        actor.script.init = [this, name](tina_ctx *ctx, tina_bytes) {
            Actor &self = actors_[name];
            events += "+" + name + " ";
            self.handle = tina_self(ctx);
            if (self.fail_inits > 0) {
                self.fail_inits--;
                return tina_crash(9);
            }
            return self.ignore_init ? tina_done() : tina_receive();
        };
        actor.script.handle = [this, name](tina_ctx *ctx, const tina_message *m) {
            Actor &self = actors_[name];
            switch (m->tag) {
            case CRASH:
                return tina_crash(7);
            case LEAVE:
                return tina_done();
            case HANG:
                self.hangs = true;
                return tina_receive();
            case ASK:
                if (ask)
                    ask(ctx);
                return tina_receive();
            case TINA_SHUTDOWN:
                events += "-" + name + " ";
                return self.hangs ? tina_receive() : tina_done();
            default:
                return tina_receive();
            }
        };
        tina_child child = {};
        child.name = actors_.find(name)->first.c_str();
        child.type = &type;
        child.args = ArgsOf(&actor.pointer);
        return child;
    }

    static tina_child Nested(const tina_group *group) {
        tina_child child = {};
        child.name = group->name;
        child.group = group;
        return child;
    }

    static tina_group Group(const char *name, const std::vector<tina_child> &children) {
        tina_group group = {};
        group.name = name;
        group.children = children.data();
        group.child_count = static_cast<uint32_t>(children.size());
        return group;
    }

    void Start() {
        types[0].type = &type;
        types[0].slot_count = slots;
        spec.types = types;
        spec.type_count = 1;
        harness = std::make_unique<Harness>(spec);
        harness->Settle();
    }

    // From outside: a message as if an isolate had sent it.
    void Tell(const std::string &name, int32_t tag) {
        Actor &mouth = actors_["mouth"];
        ASSERT_NE(mouth.pointer, nullptr) << "no mouth in this tree";
        to_ = actors_[name].handle;
        tag_ = tag;
        ASSERT_FALSE(tina_handle_is_none(mouth.handle));
        spoken_ = true;
        harness->Sleep(1000000);
        EXPECT_FALSE(spoken_) << "the mouth is shut";
    }

    // An isolate that sends what Tell asks for.
    tina_child Mouth() {
        tina_child child = Child("mouth");
        Actor &actor = actors_["mouth"];
        actor.script.init = [this](tina_ctx *ctx, tina_bytes) {
            actors_["mouth"].handle = tina_self(ctx);
            tina_timer_set_periodic(ctx, 500000, 0);
            return tina_receive();
        };
        actor.script.handle = [this](tina_ctx *ctx, const tina_message *m) {
            if (m->tag == TINA_SHUTDOWN)
                return tina_done();
            if (m->tag == TINA_TIMER && spoken_) {
                spoken_ = false;
                if (tag_ == ASK)
                    ask(ctx);
                else
                    EXPECT_EQ(tina_send(ctx, to_, tag_, nullptr, 0), TINA_SEND_OK);
            }
            return tina_receive();
        };
        return child;
    }

    std::string Happened() {
        std::string happened = events;
        events.clear();
        if (!happened.empty())
            happened.pop_back();
        return happened;
    }
    tina_handle HandleOf(const std::string &name) {
        return actors_[name].handle;
    }
    Actor &Of(const std::string &name) {
        return actors_[name];
    }

    tina_isolate_type type = PuppetType();
    tina_type_slots types[1] = {};
    uint32_t slots = 32;
    tina_spec spec = {};
    std::unique_ptr<Harness> harness;
    std::string events;
    std::function<void(tina_ctx *)> ask;

  private:
    std::map<std::string, Actor> actors_;
    tina_handle to_ = {};
    int32_t tag_ = 0;
    bool spoken_ = false;
};

TEST_F(Supervision, ACrashedChildIsStartedAgainWithItsArgsAndAnotherName) {
    std::vector<tina_child> children = {Mouth(), Child("a"), Child("b")};
    spec.root = Group("root", children);
    Start();
    EXPECT_EQ(Happened(), "+a +b");
    tina_handle before = HandleOf("a");
    Tell("a", CRASH);
    EXPECT_EQ(Happened(), "+a");
    EXPECT_NE(HandleOf("a").bits, before.bits);
    EXPECT_EQ(harness->counters().restarts, 1u);
    EXPECT_EQ(harness->counters().isolates_in_use, 3u);
    EXPECT_NE(harness->log().find("a is restarted, number 1 within the period"), std::string::npos);
}

TEST_F(Supervision, APermanentChildThatIsDoneIsStartedAgainAndATemporaryOneIsNot) {
    std::vector<tina_child> children = {Mouth(), Child("a"), Child("b"), Child("c")};
    children[2].restart = TINA_TRANSIENT;
    children[3].restart = TINA_TEMPORARY;
    spec.root = Group("root", children);
    Start();
    Happened();
    Tell("a", LEAVE);
    EXPECT_EQ(Happened(), "+a");
    Tell("b", LEAVE);
    Tell("c", CRASH);
    EXPECT_EQ(Happened(), "");
    EXPECT_EQ(harness->counters().isolates_in_use, 2u);
}

TEST_F(Supervision, OneForAllStopsInReverseAndStartsInOrder) {
    std::vector<tina_child> inner = {Child("a"), Child("b"), Child("c")};
    tina_group group = Group("inner", inner);
    group.strategy = TINA_ONE_FOR_ALL;
    std::vector<tina_child> children = {Mouth(), Nested(&group)};
    spec.root = Group("root", children);
    Start();
    EXPECT_EQ(Happened(), "+a +b +c");
    Tell("b", CRASH);
    EXPECT_EQ(Happened(), "-c -a +a +b +c");
}

TEST_F(Supervision, RestForOneLeavesEarlierChildrenAlone) {
    std::vector<tina_child> inner = {Child("a"), Child("b"), Child("c"), Child("d")};
    tina_group group = Group("inner", inner);
    group.strategy = TINA_REST_FOR_ONE;
    std::vector<tina_child> children = {Mouth(), Nested(&group)};
    spec.root = Group("root", children);
    Start();
    Happened();
    tina_handle before = HandleOf("a");
    Tell("b", CRASH);
    EXPECT_EQ(Happened(), "-d -c +b +c +d");
    EXPECT_EQ(HandleOf("a").bits, before.bits);
}

TEST_F(Supervision, ASpentBudgetEndsTheGroupOnceAndItsParentStartsItAnew) {
    std::vector<tina_child> inner = {Child("a"), Child("b")};
    tina_group group = Group("inner", inner);
    group.intensity = 2;
    std::vector<tina_child> children = {Mouth(), Child("z"), Nested(&group)};
    spec.root = Group("root", children);
    Start();
    Happened();
    Tell("b", CRASH);
    Tell("b", CRASH);
    EXPECT_EQ(Happened(), "+b +b");
    Tell("b", CRASH);
    EXPECT_EQ(Happened(), "-a +a +b");
    EXPECT_EQ(harness->counters().groups_given_up, 1u);
    EXPECT_NE(harness->log().find("group inner ends: child b would have been one restart too many"),
              std::string::npos);
    EXPECT_EQ(harness->counters().isolates_in_use, 4u);
}

// Root, middle, inner: each bears one restart. Every group on the way up is torn down once, from
// its last child to its first, before its parent starts it anew.
TEST_F(Supervision, AStormOverThreeLevelsEscalatesOneLevelAtATime) {
    std::vector<tina_child> deepest = {Child("c"), Child("x"), Child("d")};
    tina_group inner = Group("inner", deepest);
    std::vector<tina_child> between = {Child("b"), Nested(&inner), Child("e")};
    tina_group middle = Group("middle", between);
    std::vector<tina_child> children = {Mouth(), Child("a"), Nested(&middle), Child("f")};
    spec.root = Group("root", children);
    Start();
    EXPECT_EQ(Happened(), "+a +b +c +x +d +e +f");
    Tell("x", CRASH);
    EXPECT_EQ(Happened(), "+x");
    Tell("x", CRASH); // one too many for inner: middle starts it anew
    EXPECT_EQ(Happened(), "-d -c +c +x +d");
    Tell("x", CRASH);
    EXPECT_EQ(Happened(), "+x");
    EXPECT_EQ(harness->counters().groups_given_up, 1u);
    Tell("x", CRASH); // for inner and for middle: root starts that anew
    EXPECT_EQ(Happened(), "-d -c -e -b +b +c +x +d +e");
    EXPECT_EQ(harness->counters().groups_given_up, 3u);
    Tell("x", CRASH);
    Tell("x", CRASH);
    Tell("x", CRASH);
    EXPECT_EQ(Happened(), "+x -d -c +c +x +d +x");
    EXPECT_EQ(harness->counters().isolates_in_use, 8u);
    Tell("x", CRASH); // for all three
    EXPECT_TRUE(harness->Settle().gave_up);
    EXPECT_EQ(harness->counters().groups_given_up, 7u);
    EXPECT_EQ(Happened(), "-d -c -e -b -f -a");
    EXPECT_EQ(harness->counters().isolates_in_use, 0u);
}

TEST_F(Supervision, RestartsOlderThanThePeriodAreForgotten) {
    std::vector<tina_child> children = {Mouth(), Child("a")};
    spec.root = Group("root", children);
    spec.root.period_ns = 1000000000;
    Start();
    Happened();
    for (int i = 0; i < 5; i++) {
        Tell("a", CRASH);
        EXPECT_EQ(Happened(), "+a");
        harness->Sleep(1100000000);
    }
    EXPECT_EQ(harness->counters().groups_given_up, 0u);
}

TEST_F(Supervision, ARootThatGivesUpSaysSoAndTheShardCanBeRebuilt) {
    std::vector<tina_child> children = {Mouth(), Child("a")};
    spec.root = Group("root", children);
    spec.root.intensity = TINA_INTENSITY_NONE;
    Start();
    Happened();
    tina_handle before = HandleOf("a");
    Tell("a", CRASH);
    EXPECT_TRUE(harness->Settle().gave_up);
    EXPECT_EQ(Happened(), "");
    ASSERT_TRUE(tina_shard_rebuild(harness->shard()));
    EXPECT_FALSE(harness->Settle().gave_up);
    EXPECT_EQ(Happened(), "+a");
    EXPECT_NE(HandleOf("a").bits, before.bits);
    EXPECT_EQ(harness->counters().rebuilds, 1u);
    EXPECT_EQ(harness->counters().isolates_in_use, 2u);
    Tell("a", LEAVE);
    EXPECT_TRUE(harness->Settle().gave_up);
}

TEST_F(Supervision, ShutdownStopsTheWholeTreeInReverseOrder) {
    std::vector<tina_child> inner = {Child("b"), Child("c")};
    tina_group group = Group("inner", inner);
    std::vector<tina_child> children = {Child("a"), Nested(&group), Child("d")};
    spec.root = Group("root", children);
    Start();
    EXPECT_EQ(Happened(), "+a +b +c +d");
    tina_shard_shutdown(harness->shard());
    EXPECT_TRUE(harness->Settle().ended);
    EXPECT_EQ(Happened(), "-d -c -b -a");
}

// Those that do not stop take their time one after the other, whichever level they are on.
TEST_F(Supervision, ShutdownOfThreeLevelsKeepsTheirOrderAndTimes) {
    std::vector<tina_child> deepest = {Child("c"), Child("d")};
    tina_group inner = Group("inner", deepest);
    std::vector<tina_child> between = {Child("b"), Nested(&inner), Child("e")};
    tina_group middle = Group("middle", between);
    std::vector<tina_child> children = {Mouth(), Child("a"), Nested(&middle), Child("f")};
    deepest[0].shutdown_ns = 1000000000;
    between[0].shutdown_ns = 2000000000;
    spec.root = Group("root", children);
    Start();
    Happened();
    Tell("c", HANG);
    Tell("b", HANG);
    tina_shard_shutdown(harness->shard());
    harness->Settle();
    EXPECT_EQ(Happened(), "-f -e -d -c");
    harness->Sleep(990000000);
    EXPECT_EQ(Happened(), "");
    harness->Sleep(20000000);
    EXPECT_EQ(Happened(), "-b");
    harness->Sleep(1980000000);
    EXPECT_EQ(Happened(), "");
    harness->Sleep(40000000);
    EXPECT_EQ(Happened(), "-a");
    EXPECT_TRUE(harness->Settle().ended);
    EXPECT_EQ(harness->counters().isolates_in_use, 0u);
}

TEST_F(Supervision, AChildThatDoesNotStopIsKilledAtItsTimeAndTheNextIsToldThen) {
    std::vector<tina_child> children = {Mouth(), Child("a"), Child("b"), Child("c")};
    children[2].shutdown_ns = 3000000000;
    children[3].shutdown_ns = TINA_SHUTDOWN_BRUTAL;
    spec.root = Group("root", children);
    Start();
    Happened();
    Tell("b", HANG);
    tina_shard_shutdown(harness->shard());
    harness->Settle();
    EXPECT_EQ(Happened(), "-b");
    harness->Sleep(2900000000);
    EXPECT_EQ(Happened(), "");
    harness->Sleep(200000000);
    EXPECT_EQ(Happened(), "-a");
    EXPECT_TRUE(harness->Settle().ended);
}

TEST_F(Supervision, AChildThatCannotStartAtBootRefusesTheBootAndStopsTheOthers) {
    std::vector<tina_child> children = {Child("a"), Child("b"), Child("c")};
    Of("b").fail_inits = 1;
    spec.root = Group("root", children);
    Start();
    EXPECT_EQ(Happened(), "+a +b -a");
    tina_tick tick = harness->Settle();
    EXPECT_TRUE(tick.failed);
    EXPECT_TRUE(tick.ended);
    EXPECT_NE(harness->log().find("group root ends: child b could not be started"),
              std::string::npos);
}

TEST_F(Supervision, AnInitThatFailsAfterARestartIsTriedAgainWithinTheBudget) {
    std::vector<tina_child> children = {Mouth(), Child("a")};
    spec.root = Group("root", children);
    spec.root.intensity = 3;
    Start();
    Happened();
    Of("a").fail_inits = 2;
    Tell("a", CRASH);
    EXPECT_EQ(Happened(), "+a +a +a");
    EXPECT_FALSE(harness->Settle().gave_up);
    Of("a").fail_inits = 1;
    Tell("a", CRASH);
    EXPECT_TRUE(harness->Settle().gave_up);
}

TEST_F(Supervision, ADynamicGroupHasAsManyChildrenAsItIsGiven) {
    Child("pattern");
    std::vector<tina_child> inner = {Child("pattern")};
    inner[0].restart = TINA_TEMPORARY;
    tina_group workers = Group("workers", inner);
    workers.dynamic = true;
    workers.dynamic_max = 3;
    std::vector<tina_child> children = {Mouth(), Nested(&workers)};
    spec.root = Group("root", children);
    tina_handle last = {};
    tina_spawn_result results[5] = {};
    ask = [&](tina_ctx *ctx) {
        for (tina_spawn_result &result : results) {
            tina_handle born;
            result = tina_spawn_in(ctx, &workers, inner[0].args, tina_fd_none(), &born);
            if (result == TINA_SPAWN_OK)
                last = born;
        }
    };
    Start();
    EXPECT_EQ(Happened(), "");
    Tell("mouth", ASK);
    EXPECT_EQ(results[2], TINA_SPAWN_OK);
    EXPECT_EQ(results[3], TINA_SPAWN_FULL);
    EXPECT_EQ(Happened(), "+pattern +pattern +pattern");
    EXPECT_EQ(HandleOf("pattern").bits, last.bits);
    tina_child_count count = {};
    ask = [&](tina_ctx *ctx) { EXPECT_EQ(tina_child_counts(ctx, &workers, &count), TINA_TREE_OK); };
    Tell("pattern", CRASH);
    Tell("mouth", ASK);
    EXPECT_EQ(count.active, 2u);
    EXPECT_EQ(harness->counters().restarts, 0u);
    tina_shard_shutdown(harness->shard());
    EXPECT_TRUE(harness->Settle().ended);
}

TEST_F(Supervision, ADynamicChildThatIsPermanentComesBackWithItsOwnArgs) {
    tina_child one = Child("one");
    tina_child two = Child("two");
    std::vector<tina_child> inner = {one};
    tina_group workers = Group("workers", inner);
    workers.dynamic = true;
    workers.dynamic_max = 8;
    std::vector<tina_child> children = {Mouth(), Nested(&workers)};
    spec.root = Group("root", children);
    ask = [&](tina_ctx *ctx) {
        tina_spawn_in(ctx, &workers, one.args, tina_fd_none(), nullptr);
        tina_spawn_in(ctx, &workers, two.args, tina_fd_none(), nullptr);
    };
    Start();
    Tell("mouth", ASK);
    EXPECT_EQ(Happened(), "+one +two");
    Tell("two", CRASH);
    EXPECT_EQ(Happened(), "+two");
}

TEST_F(Supervision, ChildrenAreStartedTerminatedRestartedAndDeletedByName) {
    tina_child extra = Child("extra");
    tina_child stranger = {};
    tina_isolate_type unknown = PuppetType("unknown");
    stranger.type = &unknown;
    std::vector<tina_child> children = {Mouth()};
    spec.root = Group("root", children);
    spec.root.dynamic_max = 2;
    tina_node node = {};
    Start();
    ask = [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_child_start(ctx, nullptr, &stranger, &node), TINA_TREE_REFUSED);
        EXPECT_EQ(tina_child_named(ctx, nullptr, "extra").bits, 0u);
        EXPECT_EQ(tina_child_start(ctx, nullptr, &extra, &node), TINA_TREE_OK);
        EXPECT_EQ(tina_child_named(ctx, nullptr, "extra").bits, node.bits);
    };
    Tell("mouth", ASK);
    EXPECT_EQ(Happened(), "+extra");
    ask = [&](tina_ctx *ctx) {
        tina_node there = {};
        EXPECT_EQ(tina_child_start(ctx, nullptr, &extra, &there), TINA_TREE_ALREADY_STARTED);
        EXPECT_EQ(there.bits, node.bits);
        EXPECT_EQ(tina_child_of(ctx, HandleOf("extra")).bits, node.bits);
        EXPECT_EQ(tina_child_delete(ctx, node), TINA_TREE_RUNNING);
        EXPECT_EQ(tina_child_restart(ctx, node), TINA_TREE_RUNNING);
        EXPECT_EQ(tina_child_terminate(ctx, node), TINA_TREE_OK);
    };
    Tell("mouth", ASK);
    EXPECT_EQ(Happened(), "-extra");
    ask = [&](tina_ctx *ctx) {
        tina_node there = {};
        EXPECT_EQ(tina_child_start(ctx, nullptr, &extra, &there), TINA_TREE_ALREADY_PRESENT);
        EXPECT_EQ(tina_child_restart(ctx, node), TINA_TREE_OK);
    };
    Tell("mouth", ASK);
    EXPECT_EQ(Happened(), "+extra");
    Tell("extra", CRASH);
    EXPECT_EQ(Happened(), "+extra");
    ask = [&](tina_ctx *ctx) { EXPECT_EQ(tina_child_terminate(ctx, node), TINA_TREE_OK); };
    Tell("mouth", ASK);
    ask = [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_child_delete(ctx, node), TINA_TREE_OK);
        EXPECT_EQ(tina_child_delete(ctx, node), TINA_TREE_STALE);
        std::vector<std::string> names;
        tina_child_info info;
        for (tina_node at = tina_child_next(ctx, nullptr, tina_node{}); at.bits;
             at = tina_child_next(ctx, nullptr, at)) {
            EXPECT_EQ(tina_child_look(ctx, at, &info), TINA_TREE_OK);
            EXPECT_EQ(info.who, HandleOf("mouth").bits);
        }
    };
    Tell("mouth", ASK);
    EXPECT_EQ(Happened(), "-extra");
}

TEST_F(Supervision, WhoHasNoSupervisorIsToldWhenTheTreeHasEnded) {
    Child("loner");
    tina_child loner = Child("loner");
    std::vector<tina_child> children = {Mouth(), Child("a")};
    spec.root = Group("root", children);
    Start();
    ask = [&](tina_ctx *ctx) {
        tina_handle born;
        EXPECT_EQ(tina_spawn(ctx, &type, loner.args, &born), TINA_SPAWN_OK);
        EXPECT_EQ(tina_child_of(ctx, born).bits, 0u);
    };
    Tell("mouth", ASK);
    Tell("loner", CRASH);
    Tell("mouth", ASK);
    EXPECT_EQ(Happened(), "+a +loner +loner");
    tina_shard_shutdown(harness->shard());
    EXPECT_TRUE(harness->Settle().ended);
    EXPECT_EQ(Happened(), "-a -loner");
}

TEST_F(Supervision, AutoShutdownOfTheRootEndsTheProgramInGoodOrder) {
    std::vector<tina_child> children = {Mouth(), Child("a"), Child("b")};
    children[2].restart = TINA_TRANSIENT;
    children[2].significant = true;
    spec.root = Group("root", children);
    spec.root.auto_shutdown = TINA_AUTO_SHUTDOWN_ANY;
    Start();
    Happened();
    Tell("b", LEAVE);
    tina_tick tick = harness->Settle();
    EXPECT_TRUE(tick.ended);
    EXPECT_TRUE(tick.stop);
    EXPECT_EQ(tick.stop_status, 0);
    EXPECT_EQ(Happened(), "-a");
}

TEST_F(Supervision, ForceEndsEverybodyInOneGo) {
    std::vector<tina_child> inner = {Child("b"), Child("c")};
    tina_group group = Group("inner", inner);
    std::vector<tina_child> children = {Mouth(), Child("a"), Nested(&group)};
    spec.root = Group("root", children);
    Start();
    Happened();
    Tell("c", HANG);
    tina_shard_shutdown(harness->shard());
    harness->Settle();
    EXPECT_EQ(tina_shard_force(harness->shard()), 4u);
    EXPECT_TRUE(harness->Settle().ended);
    EXPECT_EQ(Happened(), "-c");
}

TEST_F(Supervision, TreesThatCannotWorkAreRefusedWithASentence) {
    tina_child plain = Child("a");
    std::vector<tina_child> children = {plain, Child("b")};
    types[0] = {&type, 2};
    spec.types = types;
    spec.type_count = 1;
    auto refused = [&](const tina_spec &bad) -> std::string {
        tina_spec resolved;
        char sentence[TINA_SENTENCE_BYTES] = "";
        EXPECT_FALSE(tina_spec_resolve(&bad, &resolved, sentence));
        return sentence;
    };
    spec.root = Group("root", {});
    EXPECT_EQ(refused(spec),
              "root.children is empty, so nothing would ever run; name at least one");

    std::vector<tina_child> same = {plain, plain};
    spec.root = Group("root", same);
    EXPECT_EQ(refused(spec),
              "group root: children[0] and children[1] are both named a; name them apart");

    std::vector<tina_child> many = {plain, Child("b"), Child("c")};
    spec.root = Group("root", many);
    EXPECT_EQ(refused(spec), "the tree has 3 children of type puppet, which has a slot_count of 2; "
                             "raise it");

    tina_isolate_type unknown = PuppetType("unknown");
    children[1].type = &unknown;
    spec.root = Group("root", children);
    EXPECT_EQ(refused(spec),
              "group root: children[1] is of a type that is not among types; add it there");

    children[1] = Child("b");
    spec.root.intensity = 2000000;
    EXPECT_NE(refused(spec).find("group root: intensity is over 1000000"), std::string::npos);

    spec.root.intensity = 0;
    spec.root.strategy = static_cast<tina_strategy>(3);
    EXPECT_NE(refused(spec).find("group root: strategy is none"), std::string::npos);

    spec.root.strategy = TINA_ONE_FOR_ONE;
    children[1].significant = true;
    EXPECT_NE(refused(spec).find("significant and permanent"), std::string::npos);

    children[1].restart = TINA_TRANSIENT;
    EXPECT_NE(refused(spec).find("auto_shutdown is never"), std::string::npos);

    children[1] = Child("b");
    std::vector<tina_child> pattern = {plain};
    tina_group dynamic = Group("dynamic", pattern);
    dynamic.dynamic = true;
    dynamic.dynamic_max = 2;
    std::vector<tina_child> nested = {Child("b"), Nested(&dynamic)};
    spec.root = Group("root", nested);
    EXPECT_NE(refused(spec).find("3 children of type puppet"), std::string::npos);

    dynamic.dynamic_max = 1;
    dynamic.strategy = TINA_ONE_FOR_ALL;
    EXPECT_NE(refused(spec).find("group dynamic: it is dynamic"), std::string::npos);

    tina_group loop = Group("loop", {});
    tina_child itself = Nested(&loop);
    loop.children = &itself;
    loop.child_count = 1;
    std::vector<tina_child> round = {Nested(&loop)};
    spec.root = Group("root", round);
    EXPECT_NE(refused(spec).find("group loop stands in the tree twice"), std::string::npos);
}

// Whatever it awaits from its first line on: there is nobody who would tell it later.
TEST(Unsupervised, WhoIsSpawnedWhenAllAreToldIsToldAtOnce) {
    for (bool awaits : {false, true}) {
        Script child, helper, born;
        Script *pointers[2] = {&helper, &born};
        tina::Play play({&child});
        std::vector<int32_t> tags;
        auto spawn = [&](tina_ctx *ctx, int which) {
            EXPECT_EQ(tina_spawn(ctx, &play.type, ArgsOf(&pointers[which]), nullptr),
                      TINA_SPAWN_OK);
        };
        child.init = [&](tina_ctx *ctx, tina_bytes) {
            spawn(ctx, 0);
            return tina_receive();
        };
        helper.handle = [&](tina_ctx *ctx, const tina_message *m) {
            EXPECT_EQ(m->tag, TINA_SHUTDOWN);
            spawn(ctx, 1);
            return tina_done();
        };
        born.init = [&](tina_ctx *ctx, tina_bytes) {
            return awaits ? tina_call(ctx, tina_self(ctx), 1, nullptr, 0, 0) : tina_receive();
        };
        born.handle = [&](tina_ctx *, const tina_message *m) {
            tags.push_back(m->tag);
            return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
        };
        Harness h(play.spec);
        h.Settle();
        EXPECT_EQ(h.counters().isolates_in_use, 2u);
        tina_shard_shutdown(h.shard());
        h.Settle();
        EXPECT_EQ(tags, awaits ? (std::vector<int32_t>{TINA_CALL_FAILED, TINA_SHUTDOWN})
                               : std::vector<int32_t>{TINA_SHUTDOWN});
        EXPECT_TRUE(h.Turn().ended);
    }
}

} // namespace
