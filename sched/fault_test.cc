// SPDX-License-Identifier: Apache-2.0
//
// Faults in handlers, at the worst places: each costs its isolate and nothing else.

#include "core/assert.h"
#include "core/prng.h"
#include "sched/children.h"
#include "sched/harness.h"
#include "sched/one_life.h"
#include "sched/puppet.h"
#include "supervise/faults.h"
#include "supervise/trap_signals.h"
#include "supervise/trap_thread.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace tina {
namespace {

class Fault : public testing::Test {
  protected:
    void SetUp() override {
        tina_trap_signals signals = {};
        tina_trap_signals_install(&signals);
    }
    void TearDown() override {
        tina_trap_signals_uninstall();
    }
};

void *Wild() {
    volatile uintptr_t address = 0x1230;
    return reinterpret_cast<void *>(address);
}

bool Has(const std::string &log, const std::string &words) {
    return log.find(words) != std::string::npos;
}

// A victim that does as it is told by its first message, and a watcher that is told of its end and
// goes on playing with a bystander meanwhile.
class Scene {
  public:
    using Deed = std::function<tina_effect(tina_ctx *, const tina_message *)>;

    explicit Scene(Deed deed, tina_trap *trap, uint32_t transfers = 0) {
        victim_.init = [](tina_ctx *, tina_bytes) { return tina_receive(); };
        victim_.handle = [deed](tina_ctx *ctx, const tina_message *m) {
            return m->tag == TINA_SHUTDOWN ? tina_done() : deed(ctx, m);
        };
        bystander_.handle = [this](tina_ctx *, const tina_message *m) {
            if (m->tag == TINA_SHUTDOWN)
                return tina_done();
            bystander_heard += m->tag == 7;
            return tina_receive();
        };
        watcher_.init = [this](tina_ctx *ctx, tina_bytes) {
            Script *victim = &victim_;
            Script *bystander = &bystander_;
            EXPECT_EQ(tina_spawn(ctx, &play_->type, ArgsOf(&victim), &victim_handle),
                      TINA_SPAWN_OK);
            EXPECT_EQ(tina_spawn(ctx, &play_->type, ArgsOf(&bystander), &other), TINA_SPAWN_OK);
            EXPECT_NE(tina_monitor_set(ctx, victim_handle).bits, 0u);
            tina_send(ctx, other, 7, nullptr, 0);
            tina_send(ctx, victim_handle, 1, &other, sizeof other);
            tina_send(ctx, other, 7, nullptr, 0);
            tina_send(ctx, victim_handle, 2, nullptr, 0); // in its mailbox when it dies
            return tina_receive();
        };
        watcher_.handle = [this](tina_ctx *, const tina_message *m) {
            if (m->tag == TINA_SHUTDOWN)
                return tina_done();
            if (m->tag == TINA_DOWN)
                downs.push_back(m->down.reason);
            return tina_receive();
        };
        play_ = std::make_unique<Play>(std::vector<Script *>{&watcher_});
        play_->spec.transfer_count = transfers;
        play_->spec.transfer_bytes = 256;
        h = std::make_unique<Harness>(play_->spec, nullptr, 0xAA, trap);
    }

    ~Scene() {
        h.reset(); // it reads the types
    }

    // Plays to the end, and sees that nothing but the victim is gone.
    void Expect(tina_exit_kind kind, int32_t code = 0) {
        tina_tick tick = h->Settle();
        EXPECT_EQ(tick.broken, nullptr);
        ASSERT_EQ(downs.size(), 1u) << h->log();
        EXPECT_EQ(downs[0].kind, kind) << h->log();
        EXPECT_EQ(downs[0].code, code) << h->log();
        EXPECT_EQ(bystander_heard, 2);
        EXPECT_EQ(h->counters().faults, 1u);
        EXPECT_EQ(h->counters().crashed, 1u);
        EXPECT_EQ(h->counters().isolates_in_use, 2u);
        EXPECT_EQ(h->counters().messages_in_use, 0u);
        EXPECT_EQ(h->counters().timers_in_use, 0u);
        EXPECT_EQ(h->counters().transfers_in_use, 0u);
        EXPECT_TRUE(Has(h->log(), "puppet 1.1 crashed: ")) << h->log();
        tina_shard_shutdown(h->shard());
        EXPECT_TRUE(h->Settle().ended);
    }

    int bystander_heard = 0;
    tina_handle victim_handle = {};
    tina_handle other = {};
    std::vector<tina_exit_reason> downs;
    std::unique_ptr<Harness> h;

  private:
    Script victim_;
    Script bystander_;
    Script watcher_;
    std::unique_ptr<Play> play_;
};

// Runs one deed of a victim on a thread of its own.
void Play1(const Scene::Deed &deed, tina_exit_kind kind, int32_t code = 0) {
    OnThread([&](tina_trap *trap) {
        Scene scene(deed, trap, 4);
        scene.Expect(kind, code);
    });
}

struct Case {
    const char *name;
    void (*code)();
    tina_exit_kind kind;
    int signal;
    const char *words;
};

const Case kCases[] = {
    {"Null", FaultNull, TINA_EXIT_FAULT, SIGSEGV, "crashed: SIGSEGV at address 0x0, pc 0x"},
    {"Wild", FaultWild, TINA_EXIT_FAULT, SIGSEGV, "crashed: SIGSEGV at an address that"},
    {"GuardPage", FaultGuardPage, TINA_EXIT_FAULT, SIGSEGV, "crashed: SIGSEGV at address 0x"},
    {"Misaligned", FaultMisaligned, TINA_EXIT_FAULT, SIGSEGV, "crashed: SIGSEGV at an address"},
    {"Bus", FaultBus, TINA_EXIT_FAULT, SIGBUS, "crashed: SIGBUS at address 0x"},
    {"Divide", FaultDivide, TINA_EXIT_FAULT, SIGFPE, "crashed: SIGFPE at address 0x"},
    {"Illegal", FaultIllegal, TINA_EXIT_FAULT, SIGILL, "crashed: SIGILL at address 0x"},
    {"Jump", FaultJump, TINA_EXIT_FAULT, SIGSEGV, "crashed: SIGSEGV at address 0x10, pc 0x10"},
    {"Abort", FaultAbort, TINA_EXIT_FAULT, SIGABRT, "crashed: abort, pc 0x"},
    {"Assert", FaultAssert, TINA_EXIT_FAULT, SIGABRT, "crashed: abort, pc 0x"},
    {"Memcpy", FaultMemcpy, TINA_EXIT_FAULT, SIGSEGV, "crashed: SIGSEGV at address 0x30"},
    {"Overflow", FaultOverflow, TINA_EXIT_OVERFLOW, 0, "crashed: stack overflow at address 0x"},
    {"OverflowLarge", FaultOverflowLarge, TINA_EXIT_OVERFLOW, 0, "crashed: stack overflow"},
    {"OverflowLeap", FaultOverflowLeap, TINA_EXIT_OVERFLOW, 0, "crashed: stack overflow"},
};

class FaultCase : public Fault, public testing::WithParamInterface<Case> {};

INSTANTIATE_TEST_SUITE_P(Each, FaultCase, testing::ValuesIn(kCases),
                         [](const auto &test) { return test.param.name; });

TEST_P(FaultCase, CostsItsIsolate) {
    OnThread([](tina_trap *trap) {
        Scene scene(
            [](tina_ctx *, const tina_message *) {
                GetParam().code();
                ADD_FAILURE() << "went on";
                return tina_receive();
            },
            trap);
        scene.Expect(GetParam().kind, GetParam().signal);
        EXPECT_TRUE(Has(scene.h->log(), GetParam().words)) << scene.h->log();
    });
}

TEST_P(FaultCase, InInitIsAFailedStart) {
    OnThread([](tina_trap *trap) {
        Script script;
        script.init = [](tina_ctx *ctx, tina_bytes) {
            tina_timer_set(ctx, 5, 5);
            GetParam().code();
            return tina_receive();
        };
        Play play({&script});
        Harness h(play.spec, nullptr, 0xAA, trap);
        tina_tick tick = h.Settle();
        EXPECT_TRUE(tick.failed);
        EXPECT_TRUE(tick.ended);
        EXPECT_EQ(h.counters().timers_in_use, 0u);
        EXPECT_TRUE(Has(h.log(), GetParam().words)) << h.log();
    });
}

// The tree decides: a permanent child is restarted, and its second init fails like its first.
TEST_P(FaultCase, InInitAfterARestartIsRetried) {
    OnThread([](tina_trap *trap) {
        static int inits;
        inits = 0;
        Script script;
        script.init = [](tina_ctx *ctx, tina_bytes) {
            if (++inits == 1)
                tina_timer_set(ctx, 1000, 0);
            if (inits == 2)
                GetParam().code();
            return tina_receive();
        };
        script.handle = [](tina_ctx *, const tina_message *m) {
            if (m->tag == TINA_TIMER)
                GetParam().code();
            return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
        };
        Play play({&script});
        play.children[0].restart = TINA_PERMANENT;
        play.spec.root.intensity = 5;
        Harness h(play.spec, nullptr, 0xAA, trap);
        h.Settle();
        h.Sleep(2000);
        EXPECT_EQ(inits, 3);
        EXPECT_EQ(h.counters().faults, 2u);
        EXPECT_EQ(h.counters().isolates_in_use, 1u);
        EXPECT_EQ(h.counters().timers_in_use, 0u);
    });
}

// Every call that is given memory reads or touches it before it changes anything.
TEST_F(Fault, WildPointersInCallsAreTheCallers) {
    const Scene::Deed deeds[] = {
        [](tina_ctx *ctx, const tina_message *) {
            tina_send(ctx, tina_self(ctx), 1, Wild(), 50);
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            return tina_call(ctx, tina_self(ctx), 1, Wild(), 96, 0);
        },
        [](tina_ctx *ctx, const tina_message *) {
            const tina_isolate_type type = {};
            tina_spawn(ctx, &type, tina_bytes_of(Wild(), 8), nullptr);
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            const tina_isolate_type type = {};
            tina_spawn(ctx, &type, tina_bytes_of(nullptr, 0), static_cast<tina_handle *>(Wild()));
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_spawn_in(ctx, nullptr, tina_bytes_of(nullptr, 0), tina_fd_none(),
                          static_cast<tina_handle *>(Wild()));
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_answer(ctx, tina_caller{1}, 1, Wild(), 8);
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_log(ctx, TINA_LOG_INFO, "this is %s", static_cast<const char *>(Wild()));
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_log(ctx, TINA_LOG_INFO, static_cast<const char *>(Wild()), 1);
            return tina_receive();
        },
        [](tina_ctx *, const tina_message *) {
            tina_panic("this is %s", static_cast<const char *>(Wild()));
            return tina_done();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_fd fd;
            EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
            tina_socket_bind(ctx, fd, static_cast<const tina_address *>(Wild()));
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM,
                             static_cast<tina_fd *>(Wild()));
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_fd fd;
            EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
            tina_socket_local_address(ctx, fd, static_cast<tina_address *>(Wild()));
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_fd fd;
            EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
            return tina_io_connect(fd, static_cast<const tina_address *>(Wild()));
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_io_id id;
            tina_fd fd;
            EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
            tina_submit(ctx, tina_op_connect(fd, static_cast<const tina_address *>(Wild())), &id);
            return tina_receive();
        },
        [](tina_ctx *, const tina_message *) {
            return tina_io(tina_op_open(static_cast<const char *>(Wild()), 1, 0));
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_io_id *id = static_cast<tina_io_id *>(Wild());
            tina_submit(ctx, tina_op_accept(tina_fd_none()), id);
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_transfer buffer = tina_transfer_take(ctx);
            EXPECT_NE(buffer.bits, 0u);
            tina_send_transfer(ctx, tina_self(ctx), 1, Wild(), 8, buffer);
            return tina_receive();
        },
        [](tina_ctx *ctx, const tina_message *) {
            tina_ctx *wild = static_cast<tina_ctx *>(Wild());
            tina_send(wild, tina_self(ctx), 1, nullptr, 0);
            return tina_receive();
        },
    };
    for (const Scene::Deed &deed : deeds) {
        SCOPED_TRACE(&deed - deeds);
        Play1(deed, TINA_EXIT_FAULT, SIGSEGV);
    }
}

TEST_F(Fault, APanicSaysWhy) {
    OnThread([](tina_trap *trap) {
        Scene scene(
            [](tina_ctx *, const tina_message *) -> tina_effect {
                tina_panic("no such shelf: %d", 17);
            },
            trap);
        scene.Expect(TINA_EXIT_PANIC);
        EXPECT_TRUE(Has(scene.h->log(), "puppet 1.1 crashed: panic: no such shelf: 17"))
            << scene.h->log();
    });
}

// What a simulated shard has.
TEST(FaultWithoutSignals, APanicCostsItsIsolate) {
    Scene scene([](tina_ctx *, const tina_message *) -> tina_effect { tina_panic("%s", "so"); },
                nullptr);
    scene.Expect(TINA_EXIT_PANIC);
    EXPECT_TRUE(Has(scene.h->log(), "crashed: panic: so\n")) << scene.h->log();
}

// A storm of them does not become one of symbols.
TEST(FaultWithoutSignals, SixteenASecondAreTraced) {
    Script victim, sower;
    victim.init = [](tina_ctx *, tina_bytes) -> tina_effect { tina_panic("as planned"); };
    Play play({&sower});
    sower.init = [](tina_ctx *, tina_bytes) { return tina_yield(); };
    sower.handle = [&](tina_ctx *ctx, const tina_message *m) {
        Script *which = &victim;
        if (m->tag == TINA_SHUTDOWN)
            return tina_done();
        EXPECT_EQ(tina_spawn(ctx, &play.type, tina::ArgsOf(&which), nullptr), TINA_SPAWN_OK);
        return tina_yield();
    };
    auto name = [](void *, uintptr_t, char *out, size_t capacity) {
        return static_cast<size_t>(std::snprintf(out, capacity, "somewhere"));
    };
    Harness h(play.spec, nullptr, 0xAA, nullptr, name);
    for (uint64_t second = 1; second <= 3; second++) {
        h.Pass(1000000000);
        while (h.counters().faults < 20 * second)
            h.Turn();
        size_t traced = 0;
        for (size_t at = 0; (at = h.log().find("in somewhere", at)) != std::string::npos; at++)
            traced++;
        EXPECT_EQ(traced, 16 * second);
    }
}

TEST(FaultWithoutSignals, ACallTooManyCutsTheHandlerThere) {
    static int made;
    made = 0;
    Script script;
    script.handle = [](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == TINA_SHUTDOWN)
            return tina_done();
        for (;; made++)
            tina_send(ctx, tina_self(ctx), 1, nullptr, 0);
    };
    script.init = [](tina_ctx *ctx, tina_bytes) {
        tina_send(ctx, tina_self(ctx), 1, nullptr, 0);
        return tina_receive();
    };
    Play play({&script});
    play.spec.call_max = 100;
    Harness h(play.spec);
    h.Settle();
    EXPECT_EQ(made, 100);
    EXPECT_EQ(h.counters().messages_in_use, 0u);
}

TEST_F(Fault, WithTransferBuffersGivesThemBack) {
    Play1(
        [](tina_ctx *ctx, const tina_message *) {
            for (int i = 0; i < 3; i++) {
                tina_transfer buffer = tina_transfer_take(ctx);
                std::memset(tina_transfer_data(ctx, buffer), i, 256);
            }
            FaultNull();
            return tina_receive();
        },
        TINA_EXIT_FAULT, SIGSEGV);
}

TEST_F(Fault, WhileReceivingABufferGivesItBack) {
    for (bool keep : {false, true})
        OnThread([keep](tina_trap *trap) {
            Script receiver, sender;
            static tina_handle to;
            receiver.init = [](tina_ctx *ctx, tina_bytes) {
                to = tina_self(ctx);
                return tina_receive();
            };
            receiver.handle = [keep](tina_ctx *ctx, const tina_message *m) {
                EXPECT_NE(tina_transfer_data(ctx, tina_transfer_of(ctx, m)), nullptr);
                if (keep)
                    tina_transfer_keep(ctx, tina_transfer_of(ctx, m));
                FaultDivide();
                return tina_receive();
            };
            sender.init = [](tina_ctx *ctx, tina_bytes) {
                for (int i = 0; i < 3; i++)
                    EXPECT_EQ(tina_send_transfer(ctx, to, 1, nullptr, 0, tina_transfer_take(ctx)),
                              TINA_SEND_OK);
                return tina_receive();
            };
            Play play({&receiver, &sender});
            play.spec.transfer_count = 4;
            Harness h(play.spec, nullptr, 0xAA, trap);
            h.Settle();
            EXPECT_EQ(h.counters().faults, 1u);
            EXPECT_EQ(h.counters().transfers_in_use, 0u);
            EXPECT_EQ(h.counters().messages_in_use, 0u);
        });
}

TEST_F(Fault, OfACalleeFailsTheCall) {
    for (bool answered : {false, true})
        OnThread([answered](tina_trap *trap) {
            static tina_handle to;
            static int tag;
            tag = 0;
            Script callee, caller;
            callee.init = [](tina_ctx *ctx, tina_bytes) {
                to = tina_self(ctx);
                return tina_receive();
            };
            callee.handle = [answered](tina_ctx *ctx, const tina_message *m) {
                tina_answer_result result = TINA_ANSWER_OK;
                if (answered)
                    result = tina_answer(ctx, tina_caller_of(ctx, m), 3, nullptr, 0);
                EXPECT_EQ(result, TINA_ANSWER_OK);
                FaultIllegal();
                return tina_receive();
            };
            caller.init = [](tina_ctx *ctx, tina_bytes) {
                return tina_call(ctx, to, 1, nullptr, 0, 0);
            };
            caller.handle = [](tina_ctx *, const tina_message *m) {
                tag = m->tag;
                return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
            };
            Play play({&callee, &caller});
            Harness h(play.spec, nullptr, 0xAA, trap);
            h.Settle();
            EXPECT_EQ(tag, answered ? 3 : int{TINA_CALL_FAILED});
            EXPECT_EQ(h.counters().messages_in_use, 0u);
        });
}

// A receive buffer in hand, a receive and a timer in flight.
TEST_F(Fault, WithIoInFlightDrainsIt) {
    OnThread([](tina_trap *trap) {
        Script server;
        server.init = [](tina_ctx *ctx, tina_bytes) {
            tina_fd fd;
            tina_address address = tina_address_ipv4(127, 0, 0, 1, 80);
            EXPECT_EQ(tina_listen(ctx, &address, 4, &fd), 0);
            return tina_io_accept(fd);
        };
        server.handle = [](tina_ctx *ctx, const tina_message *m) {
            tina_io_id id;
            switch (m->tag) {
            case TINA_IO_ACCEPT_DONE:
                EXPECT_EQ(tina_submit(ctx, tina_op_recv_multishot(m->io.fd), &id), 0);
                return tina_receive();
            case TINA_IO_RECV_DONE:
                EXPECT_NE(tina_io_data(ctx, m), nullptr);
                tina_timer_set(ctx, 1000, 0);
                FaultNull();
                return tina_receive();
            default:
                return tina_done();
            }
        };
        Play play({&server});
        Harness h(play.spec, nullptr, 0xAA, trap);
        h.Settle();
        tina_address address = tina_address_ipv4(127, 0, 0, 1, 80);
        tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &address);
        h.Settle();
        tina_scripted_peer_send(h.scripted(), peer, "hello", 5);
        h.Settle();
        EXPECT_EQ(h.counters().faults, 1u) << h.log();
        EXPECT_EQ(h.counters().isolates_in_use, 0u);
        EXPECT_EQ(h.counters().isolates_draining, 0u);
        EXPECT_EQ(h.counters().timers_in_use, 0u);
        EXPECT_EQ(h.io().buffers_in_use, 0u);
        EXPECT_EQ(h.io().ops_in_use, 0u);
        EXPECT_EQ(h.io().fds_in_use, 0u);
    });
}

__attribute__((noinline, no_sanitize("address", "undefined"))) int Dive(tina_ctx *ctx, int depth) {
    volatile char frame[64];
    frame[depth & 63] = 1;
    tina_timer_cancel(ctx, tina_timer_set(ctx, 1000, 0));
    return depth < 0 ? 0 : Dive(ctx, depth + 1) + frame[depth & 63];
}

// The call would overflow halfway; it does so before it begins.
TEST_F(Fault, OverflowWithinACallIsTheCallers) {
    Play1(
        [](tina_ctx *ctx, const tina_message *) {
            (void)Dive(ctx, 0);
            return tina_receive();
        },
        TINA_EXIT_OVERFLOW);
}

TEST_F(Fault, OfSeveralInOneTickEachCostsItsOwn) {
    OnThread([](tina_trap *trap) {
        Script victims[8], last;
        static int heard;
        heard = 0;
        std::vector<Script *> scripts;
        for (Script &victim : victims) {
            victim.init = [](tina_ctx *ctx, tina_bytes) {
                tina_timer_set(ctx, 1000000, 0);
                return tina_receive();
            };
            victim.handle = [](tina_ctx *, const tina_message *m) {
                if (m->tag == TINA_TIMER)
                    FaultNull();
                return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
            };
            scripts.push_back(&victim);
        }
        last.init = victims[0].init;
        last.handle = [](tina_ctx *, const tina_message *m) {
            heard += m->tag == TINA_TIMER;
            return tina_receive();
        };
        scripts.push_back(&last);
        Play play(scripts);
        Harness h(play.spec, nullptr, 0xAA, trap);
        h.Settle();
        h.Pass(2000000);
        tina_tick tick = h.Turn();
        EXPECT_EQ(tick.broken, nullptr);
        EXPECT_EQ(heard, 1); // in that very tick
        EXPECT_EQ(h.counters().faults, 8u);
    });
}

// Each watches the one before, and faults when told of its fault: none is cut twice, and the last,
// which only listens, is told.
TEST_F(Fault, OfAWatcherWhenItIsToldOfAnothersFault) {
    OnThread([](tina_trap *trap) {
        static tina_handle handles[8];
        static int told;
        told = 0;
        Script links[8];
        std::vector<Script *> scripts;
        for (size_t i = 0; i < 8; i++) {
            links[i].init = [i](tina_ctx *ctx, tina_bytes) {
                handles[i] = tina_self(ctx);
                if (i > 0)
                    EXPECT_NE(tina_monitor_set(ctx, handles[i - 1]).bits, 0u);
                else
                    tina_timer_set(ctx, 1000000, 0);
                return tina_receive();
            };
            links[i].handle = [i](tina_ctx *, const tina_message *m) {
                if (m->tag == TINA_SHUTDOWN)
                    return tina_done();
                if (m->tag == TINA_DOWN) {
                    EXPECT_EQ(m->down.who.bits, handles[i - 1].bits);
                    EXPECT_EQ(m->down.reason.kind, TINA_EXIT_FAULT);
                    told++;
                }
                if (i < 7)
                    FaultNull();
                return tina_receive();
            };
            scripts.push_back(&links[i]);
        }
        Play play(scripts);
        Harness h(play.spec, nullptr, 0xAA, trap);
        h.Settle();
        h.Sleep(2000000);
        EXPECT_EQ(told, 7);
        EXPECT_EQ(h.counters().faults, 7u);
        EXPECT_EQ(h.counters().isolates_in_use, 1u);
        EXPECT_EQ(h.counters().monitors_in_use, 0u);
    });
}

size_t FaultySymbolise(void *, uintptr_t, char *, size_t) {
    FaultDivide();
    return 0;
}

// The shard is then halfway through letting the first one go.
TEST_F(Fault, WithinTheReportOfAnotherBreaksTheShardWhichIsRebuilt) {
    OnThread([](tina_trap *trap) {
        static int inits;
        inits = 0;
        Script script;
        script.init = [](tina_ctx *, tina_bytes) {
            if (++inits == 1)
                FaultNull();
            return tina_receive();
        };
        Play play({&script});
        Harness h(play.spec, nullptr, 0xAA, trap, FaultySymbolise);
        const tina_fault *broken = nullptr;
        tina_time now = {2000000, 0};
        for (int i = 0; i < 5 && !broken; i++)
            broken = tina_shard_tick(h.shard(), now).broken;
        ASSERT_NE(broken, nullptr);
        EXPECT_EQ(broken->level, TINA_LEVEL_SHARD);
        EXPECT_EQ(broken->signal, SIGFPE);
        EXPECT_TRUE(tina_shard_rebuild(h.shard()));
        h.Pass(3000000);
        h.Settle();
        EXPECT_EQ(inits, 2);
        EXPECT_EQ(h.counters().isolates_in_use, 1u);
    });
}

bool log_faults = false;

size_t FaultyLog(void *, const char *, size_t bytes) {
    if (log_faults)
        FaultNull();
    return bytes;
}

TEST_F(Fault, InTheSchedulerBreaksTheShardWhichIsRebuilt) {
    OnThread([](tina_trap *trap) {
        static int inits;
        inits = 0;
        Script script;
        script.init = [](tina_ctx *ctx, tina_bytes) {
            inits++;
            tina_log(ctx, TINA_LOG_INFO, "up");
            return tina_receive();
        };
        Play play({&script});
        Harness h(play.spec, FaultyLog, 0xAA, trap);
        log_faults = true;
        const tina_fault *broken = nullptr;
        tina_time now = {2000000, 0};
        for (int i = 0; i < 5 && !broken; i++)
            broken = tina_shard_tick(h.shard(), now).broken;
        log_faults = false;
        ASSERT_NE(broken, nullptr);
        EXPECT_EQ(broken->level, TINA_LEVEL_SHARD);
        EXPECT_EQ(broken->signal, SIGSEGV);
        EXPECT_TRUE(tina_shard_rebuild(h.shard()));
        h.Pass(3000000);
        h.Settle();
        EXPECT_EQ(inits, 2);
        EXPECT_EQ(h.counters().isolates_in_use, 1u);
    });
}

// What a handler writes behind its struct is found when it crashes, where there are red zones.
TEST_F(Fault, ThatWroteBehindItsStructBreaksTheShard) {
    if (!TINA_VERIFY_ON)
        return;
    OnThread([](tina_trap *trap) {
        static tina_isolate_type type;
        type = {};
        type.name = "scribbler";
        type.struct_bytes = 200;
        type.init = [](tina_ctx *, void *self, tina_bytes) {
            __asm__ volatile("movb $1, (%0)" : : "r"(static_cast<char *>(self) + 208) : "memory");
            FaultNull();
            return tina_receive();
        };
        type.handle = [](tina_ctx *, void *, const tina_message *) { return tina_receive(); };
        tina_type_slots types[] = {{&type, 2}};
        tina_child child = OneLife(&type);
        tina_spec spec = {};
        spec.types = types;
        spec.type_count = 1;
        spec.root.children = &child;
        spec.root.child_count = 1;
        Harness h(spec, nullptr, 0xAA, trap);
        const tina_fault *broken = nullptr;
        tina_time now = {2000000, 0};
        for (int i = 0; i < 5 && !broken; i++)
            broken = tina_shard_tick(h.shard(), now).broken;
        ASSERT_NE(broken, nullptr);
        EXPECT_EQ(broken->level, TINA_LEVEL_SHARD);
        EXPECT_TRUE(Has(broken->text, "where its shard keeps the books"));
        EXPECT_TRUE(tina_shard_rebuild(h.shard()));
    });
}

using FaultDeathTest = Fault;

TEST_F(FaultDeathTest, APanicOutsideOfHandlersEndsTheProcess) {
    EXPECT_DEATH(tina_panic("out of %s", "place"), "assertion failed: out of place");
}

// Victims of every kind among bystanders, who count what they hear.
class Storm {
  public:
    explicit Storm(tina_trap *trap, uint64_t seed, bool faults) : faults_(faults) {
        prng_ = tina_prng_make(seed, 1, 0);
        victim_.handle = [this](tina_ctx *ctx, const tina_message *m) {
            return VictimHandle(ctx, m);
        };
        bystander_.handle = [this](tina_ctx *ctx, const tina_message *m) {
            if (m->tag == TINA_SHUTDOWN)
                return tina_done();
            uint64_t &hash = heard[tina_handle_slot(tina_self(ctx)) % 32];
            hash = hash * 31 + static_cast<uint64_t>(m->tag < 0 ? 3 : m->tag);
            if (m->tag == 1)
                tina_timer_set(ctx, 100, 0);
            return tina_receive();
        };
        driver_.init = [this](tina_ctx *ctx, tina_bytes) {
            Script *bystander = &bystander_;
            for (tina_handle &at : bystanders_)
                EXPECT_EQ(tina_spawn(ctx, &play_->type, ArgsOf(&bystander), &at), TINA_SPAWN_OK);
            return tina_yield();
        };
        driver_.handle = [this](tina_ctx *ctx, const tina_message *m) { return Drive(ctx, m); };
        play_ = std::make_unique<Play>(std::vector<Script *>{&driver_}, 80);
        play_->type.mailbox_max = 200;
        play_->spec.transfer_count = 64;
        play_->spec.transfer_bytes = 64;
        h = std::make_unique<Harness>(play_->spec, NoLog, 0xAA, trap);
    }

    ~Storm() {
        h.reset();
    }

    void Run(int count) {
        left_ = count;
        while (left_ > 0)
            h->Turn();
        h->Sleep(1000);
    }

    uint64_t heard[32] = {}; // a hash of what each bystander was sent, in order
    std::unique_ptr<Harness> h;

  private:
    static size_t NoLog(void *, const char *, size_t bytes) {
        return bytes;
    }
    static constexpr int kVictims = 32;

    tina_effect VictimHandle(tina_ctx *ctx, const tina_message *m) {
        if (m->tag != 1)
            return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
        uint32_t what;
        std::memcpy(&what, m->payload, sizeof what);
        tina_timer_set(ctx, 50, 0);
        tina_transfer_take(ctx);
        tina_send(ctx, bystanders_[what % 16], 5, nullptr, 0);
        if (!faults_)
            return tina_crash(0);
        // An assertion says so on stderr, each time.
        const Case &fault = kCases[(what >> 8) % std::size(kCases)];
        (fault.code == FaultAssert ? FaultAbort : fault.code)();
        return tina_receive();
    }

    tina_effect Drive(tina_ctx *ctx, const tina_message *m) {
        Script *victim = &victim_;
        if (m->tag == TINA_SHUTDOWN)
            return tina_done();
        if (left_ <= 0)
            return tina_receive();
        for (int i = 0; i < kVictims; i++) {
            uint32_t what = static_cast<uint32_t>(tina_prng_next(&prng_));
            tina_handle at;
            EXPECT_EQ(tina_send(ctx, bystanders_[what % 16], 1, nullptr, 0), TINA_SEND_OK);
            EXPECT_EQ(tina_spawn(ctx, &play_->type, ArgsOf(&victim), &at), TINA_SPAWN_OK);
            tina_send(ctx, at, 1, &what, sizeof what);
            left_--;
        }
        return tina_yield();
    }

    bool faults_;
    int left_ = 0;
    tina_prng prng_ = {};
    tina_handle bystanders_[16] = {};
    Script driver_, victim_, bystander_;
    std::unique_ptr<Play> play_;
};

TEST_F(Fault, AStormOfThemHarmsNoBystander) {
    const char *given = std::getenv("TINA_SEED");
    uint64_t seed = given ? std::strtoull(given, nullptr, 0) : 20240601;
    std::printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(seed));
    const int count = std::getenv("TINA_LONG") ? 100000 : 1500;
    OnThread([&](tina_trap *trap) {
        Storm storm(trap, seed, true);
        Storm calm(trap, seed, false);
        storm.Run(count);
        calm.Run(count);
        for (size_t i = 0; i < std::size(storm.heard); i++)
            EXPECT_EQ(storm.heard[i], calm.heard[i]) << i;
        EXPECT_EQ(storm.h->counters().dispatches, calm.h->counters().dispatches);
        EXPECT_EQ(storm.h->counters().ticks, calm.h->counters().ticks);
        tina_shard_counters c = storm.h->counters();
        EXPECT_GE(c.faults, static_cast<uint64_t>(count));
        EXPECT_EQ(c.faults, c.crashed);
        EXPECT_EQ(c.isolates_in_use, 17u);
        EXPECT_EQ(c.isolates_draining, 0u);
        EXPECT_EQ(c.timers_in_use, 0u);
        EXPECT_EQ(c.messages_in_use, 0u);
        EXPECT_EQ(c.transfers_in_use, 0u);
        std::printf("%llu faults, %llu messages, %llu dispatches\n",
                    static_cast<unsigned long long>(c.faults),
                    static_cast<unsigned long long>(c.messages_sent),
                    static_cast<unsigned long long>(c.dispatches));
    });
}

} // namespace
} // namespace tina
