// SPDX-License-Identifier: Apache-2.0
//
// Isolates and I/O, on the scripted backend: ops as effects, deadlines, and dying with ops in
// flight.

#include "sched/harness.h"
#include "sched/one_life.h"

#include <cerrno>
#include <cstring>
#include <functional>
#include <vector>

namespace {

using tina::Harness;

const tina_address kHere = tina_address_ipv4(127, 0, 0, 1, 80);

// What the isolate under test does is written in each test; it owns one listener and at most one
// connection.
struct Scene;

struct Server {
    Scene *test;
    tina_fd listener;
    tina_fd connection;
    uint8_t buffer[64];
};

using Handle = std::function<tina_effect(tina_ctx *, Server *, const tina_message *)>;

tina_effect ServerInit(tina_ctx *ctx, void *self_, tina_bytes args);
tina_effect ServerHandle(tina_ctx *ctx, void *self_, const tina_message *m);

const tina_isolate_type server_type = {"server", ServerInit, ServerHandle, sizeof(Server), 0, 0,
                                       0,        0};

struct Scene {
    explicit Scene(Handle what, uint32_t slots = 4) : handle(std::move(what)) {
        types[0] = {&server_type, slots};
        children[0] = tina::OneLife(&server_type, {&self, sizeof self});
        spec.types = types;
        spec.type_count = 1;
        spec.root.children = children;
        spec.root.child_count = 1;
    }
    Handle handle;
    Scene *self = this;
    tina_type_slots types[1];
    tina_child children[1];
    tina_spec spec = {};
};

tina_effect ServerInit(tina_ctx *ctx, void *self_, tina_bytes args) {
    Server *self = static_cast<Server *>(self_);
    std::memcpy(&self->test, args.data, sizeof self->test);
    EXPECT_EQ(tina_listen(ctx, &kHere, 8, &self->listener), 0);
    return tina_io_accept(self->listener);
}

tina_effect ServerHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Server *self = static_cast<Server *>(self_);
    return self->test->handle(ctx, self, m);
}

void ExpectNothingLeft(Harness &h) {
    EXPECT_EQ(h.counters().isolates_in_use, 0u);
    EXPECT_EQ(h.counters().isolates_draining, 0u);
    EXPECT_EQ(h.counters().timers_in_use, 0u);
    EXPECT_EQ(h.counters().messages_in_use, 0u);
    EXPECT_EQ(h.io().fds_in_use, 0u);
    EXPECT_EQ(h.io().ops_in_use, 0u);
    EXPECT_EQ(h.io().buffers_in_use, 0u);
}

TEST(Io, EchoesUntilThePeerCloses) {
    Scene test([](tina_ctx *ctx, Server *self, const tina_message *m) {
        switch (m->tag) {
        case TINA_IO_ACCEPT_DONE:
            self->connection = m->io.fd;
            return tina_io_recv(self->connection, sizeof self->buffer);
        case TINA_IO_RECV_DONE:
            if (m->io.result <= 0)
                return tina_io_close(self->connection);
            std::memcpy(self->buffer, tina_io_data(ctx, m), static_cast<size_t>(m->io.result));
            return tina_io_send(self->connection, self->buffer, static_cast<size_t>(m->io.result));
        case TINA_IO_SEND_DONE:
            return tina_io_recv(self->connection, sizeof self->buffer);
        default:
            return tina_done();
        }
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    ASSERT_GE(peer.socket, 0);
    for (int i = 0; i < 10; i++) {
        char out[] = "hello", in[16] = {};
        ASSERT_EQ(tina_scripted_peer_send(h.scripted(), peer, out, 5), 5);
        h.Settle();
        ASSERT_EQ(tina_scripted_peer_recv(h.scripted(), peer, in, sizeof in), 5);
        EXPECT_STREQ(in, out);
    }
    tina_scripted_peer_close(h.scripted(), peer);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Io, AReceiveTakesAtMostWhatWasAskedFor) {
    std::vector<int32_t> sizes;
    Scene test([&](tina_ctx *, Server *self, const tina_message *m) {
        if (m->tag == TINA_IO_ACCEPT_DONE)
            self->connection = m->io.fd;
        else
            sizes.push_back(m->io.result);
        return sizes.size() < 3 ? tina_io_recv(self->connection, 7) : tina_done();
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    ASSERT_EQ(tina_scripted_peer_send(h.scripted(), peer, "0123456789012345", 16), 16);
    h.Settle();
    EXPECT_EQ(sizes, (std::vector<int32_t>{7, 7, 2}));
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Io, ARefusedOpCompletesAtOnceWithTheReason) {
    std::vector<int32_t> results;
    std::vector<int32_t> tags;
    Scene test([&](tina_ctx *, Server *self, const tina_message *m) {
        if (m->tag == TINA_IO_ACCEPT_DONE) {
            self->connection = m->io.fd;
            return tina_io_recv(tina_fd_none(), 7);
        }
        tags.push_back(m->tag);
        results.push_back(m->io.result);
        switch (results.size()) {
        case 1:
            return tina_io_send(tina_fd{77}, self->buffer, 7);
        case 2:
            return tina_io_recv(self->connection, 0);
        default:
            return tina_done();
        }
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_connect(h.scripted(), &kHere);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(tags,
              (std::vector<int32_t>{TINA_IO_RECV_DONE, TINA_IO_SEND_DONE, TINA_IO_RECV_DONE}));
    EXPECT_EQ(results, (std::vector<int32_t>{TINA_IO_BAD_FD, TINA_IO_BAD_FD, TINA_IO_BAD_OP}));
    EXPECT_EQ(h.counters().io_refused, 3u);
    ExpectNothingLeft(h);
}

TEST(Io, WhileItAwaitsOnlyTheCompletionReachesIt) {
    std::vector<int32_t> tags;
    Scene test([&](tina_ctx *ctx, Server *self, const tina_message *m) {
        tags.push_back(m->tag);
        if (m->tag == TINA_IO_ACCEPT_DONE) {
            self->connection = m->io.fd;
            tina_timer_set(ctx, 1, 0);
            EXPECT_EQ(tina_send(ctx, tina_self(ctx), 5, nullptr, 0), TINA_SEND_OK);
            return tina_io_recv(self->connection, 7);
        }
        return tags.size() == 4 ? tina_done() : tina_receive();
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Sleep(1000000);
    EXPECT_EQ(tags, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE}));
    ASSERT_EQ(tina_scripted_peer_send(h.scripted(), peer, "x", 1), 1);
    h.Settle();
    EXPECT_EQ(tags, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, TINA_IO_RECV_DONE, TINA_TIMER, 5}));
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

// An op's memory outlives its handler; that of a handler's stack does not.
TEST(Io, AnOpWithMemoryOnTheHandlersStackIsRefused) {
    std::vector<int32_t> results;
    Scene test([&](tina_ctx *, Server *self, const tina_message *m) {
        char farewell[16] = "farewell";
        if (m->tag == TINA_IO_ACCEPT_DONE) {
            self->connection = m->io.fd;
            return tina_io_send(self->connection, farewell, sizeof farewell);
        }
        results.push_back(m->io.result);
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
        return results.size() < 2 ? tina_io_connect(self->connection, &at) : tina_done();
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_connect(h.scripted(), &kHere);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(results, (std::vector<int32_t>{TINA_IO_BAD_OP, TINA_IO_BAD_OP}));
    EXPECT_NE(h.log().find("server 0.1 gave an op memory on its handler's stack"),
              std::string::npos)
        << h.log();
    ExpectNothingLeft(h);
}

// The deadline before, with and after the completion.
TEST(Io, ADeadlineEndsAnOpThatIsLateAndNoOther) {
    for (uint64_t answer_at : {1000000u, 1990000u, 9000000u}) {
        std::vector<int32_t> results;
        Scene test([&](tina_ctx *, Server *self, const tina_message *m) {
            if (m->tag == TINA_IO_ACCEPT_DONE) {
                self->connection = m->io.fd;
                return tina_io(tina_op_within(tina_op_recv(self->connection, 7), 2000000));
            }
            results.push_back(m->io.result);
            return tina_receive();
        });
        Harness h(test.spec);
        h.Settle();
        tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
        h.Settle();
        h.Sleep(answer_at);
        tina_scripted_peer_send(h.scripted(), peer, "abc", 3);
        h.Settle();
        h.Sleep(20000000);
        ASSERT_EQ(results.size(), 1u);
        EXPECT_EQ(results[0], answer_at < 2000000 ? 3 : TINA_IO_TIMED_OUT) << answer_at;
        EXPECT_EQ(h.Turn().until_ns, UINT64_MAX) << "a deadline outlived its op";
    }
}

TEST(Io, AnOpWithoutADeadlineWaitsForEver) {
    int events = 0;
    Scene test([&](tina_ctx *, Server *, const tina_message *) {
        events++;
        return tina_receive();
    });
    Harness h(test.spec);
    EXPECT_EQ(h.Settle().until_ns, UINT64_MAX);
    h.Sleep(UINT64_C(1) << 60);
    EXPECT_EQ(events, 0);
}

// Dying with an op in flight: the slot is not used again before the completion is in.
enum class Flight {
    kAccept,
    kRecv,
    kSend,
    kConnect
};

class IoDeath : public testing::TestWithParam<Flight> {};

TEST_P(IoDeath, TheSlotDrainsBeforeItIsUsedAgain) {
    static Flight flight;
    static uint8_t too_much[65536]; // for what a connection holds
    flight = GetParam();
    tina_isolate_type victim = {};
    victim.name = "victim";
    victim.struct_bytes = sizeof(Server);
    victim.init = [](tina_ctx *ctx, void *self_, tina_bytes) {
        Server *self = static_cast<Server *>(self_);
        static const tina_address listen_at = tina_address_ipv4(127, 0, 0, 1, 81);
        EXPECT_EQ(tina_listen(ctx, &listen_at, 8, &self->listener), 0);
        if (flight != Flight::kConnect)
            return tina_io_accept(self->listener);
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &self->connection),
                  0);
        return tina_io_connect(self->connection, &listen_at);
    };
    victim.handle = [](tina_ctx *, void *, const tina_message *m) {
        if (m->tag == TINA_IO_ACCEPT_DONE && flight == Flight::kRecv)
            return tina_io_recv(m->io.fd, 7);
        if (m->tag == TINA_IO_ACCEPT_DONE)
            return tina_io_send(m->io.fd, too_much, sizeof too_much);
        return tina_receive();
    };
    tina_type_slots types[] = {{&victim, 1}};
    tina_child children[] = {tina::OneLife(&victim)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    Harness h(spec);
    tina_scripted_control(h.scripted())->hold = flight == Flight::kConnect;
    h.Settle();
    if (flight == Flight::kRecv || flight == Flight::kSend) {
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 81);
        ASSERT_GE(tina_scripted_connect(h.scripted(), &at).socket, 0);
        h.Settle();
    }
    tina_scripted_control(h.scripted())->hold = true;
    ASSERT_EQ(h.io().ops_in_use, 1u);
    EXPECT_EQ(tina_shard_force(h.shard()), 1u);
    for (int i = 0; i < 5; i++)
        h.Turn();
    EXPECT_EQ(h.counters().isolates_in_use, 0u);
    EXPECT_EQ(h.counters().isolates_draining, 1u) << "freed while its op was in flight";
    EXPECT_FALSE(h.Turn().ended);
    tina_scripted_control(h.scripted())->hold = false;
    h.Settle();
    EXPECT_TRUE(h.Turn().ended);
    ExpectNothingLeft(h);
}

std::string FlightName(const testing::TestParamInfo<Flight> &info) {
    const char *names[] = {"Accept", "Recv", "Send", "Connect"};
    return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Each, IoDeath,
                         testing::Values(Flight::kAccept, Flight::kRecv, Flight::kSend,
                                         Flight::kConnect),
                         FlightName);

// An op that the kernel never gives back costs its isolate's slot, and no more: the supervisor
// waits for a while and starts the next, and a shard that begins anew counts none of it.
TEST(Io, AZombieIsNotWaitedForByItsSupervisor) {
    for (bool rebuilt : {false, true}) {
        tina_isolate_type victim = {};
        victim.name = "victim";
        victim.struct_bytes = 8;
        victim.init = [](tina_ctx *ctx, void *, tina_bytes) {
            tina_fd fd;
            tina_io_id id;
            tina_address any = tina_address_ipv4(127, 0, 0, 1, 0);
            EXPECT_EQ(tina_listen(ctx, &any, 1, &fd), 0);
            EXPECT_EQ(tina_submit(ctx, tina_op_accept(fd), &id), 0);
            EXPECT_NE(tina_timer_set(ctx, 1000000, 0).bits, 0u);
            return tina_receive();
        };
        victim.handle = [](tina_ctx *, void *, const tina_message *m) {
            return m->tag == TINA_TIMER ? tina_crash(1) : tina_done();
        };
        tina_type_slots types[] = {{&victim, 2}};
        tina_child child = {};
        child.type = &victim;
        tina_spec spec = {};
        spec.types = types;
        spec.type_count = 1;
        spec.root.children = &child;
        spec.root.child_count = 1;
        Harness h(spec);
        h.Settle();
        tina_scripted_control(h.scripted())->hold = true;
        h.Pass(1000000);
        for (int i = 0; i < 5; i++)
            h.Turn();
        EXPECT_EQ(h.counters().isolates_draining, 1u);
        EXPECT_EQ(h.counters().zombies, 0u);
        EXPECT_EQ(h.counters().restarts, 0u) << "its op is not back";
        EXPECT_GT(h.Turn().until_ns, h.now_ns());
        EXPECT_LE(h.Turn().until_ns, h.now_ns() + UINT64_C(5002000000));
        h.Pass(h.Turn().until_ns - h.now_ns());
        for (int i = 0; i < 5; i++)
            h.Turn();
        EXPECT_EQ(h.counters().zombies, 1u);
        EXPECT_EQ(h.counters().isolates_draining, 1u);
        EXPECT_EQ(h.counters().restarts, 1u);
        EXPECT_EQ(h.counters().isolates_in_use, 1u);
        tina_scripted_control(h.scripted())->hold = false;
        if (rebuilt)
            ASSERT_TRUE(tina_shard_rebuild(h.shard()));
        else
            h.Settle();
        EXPECT_EQ(h.counters().zombies, 0u);
        EXPECT_EQ(h.counters().isolates_draining, 0u);
        tina_shard_shutdown(h.shard());
        h.Settle();
        EXPECT_TRUE(h.Turn().ended);
        ExpectNothingLeft(h);
    }
}

// An isolate that dies leaves no deadline behind: thousands of deaths with an hour's deadline each
// would otherwise use up the wheel.
TEST(Io, DeathTakesTheDeadlineOfItsOpWithIt) {
    tina_isolate_type mayfly = {};
    mayfly.name = "mayfly";
    mayfly.struct_bytes = 8;
    mayfly.init = [](tina_ctx *ctx, void *, tina_bytes) {
        tina_fd fd;
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
        return tina_io(tina_op_within(tina_op_recv(fd, 1), UINT64_C(3600000000000)));
    };
    mayfly.handle = [](tina_ctx *, void *, const tina_message *) { return tina_done(); };
    static const tina_isolate_type *mayfly_pointer;
    mayfly_pointer = &mayfly;
    tina_isolate_type breeder = {};
    breeder.name = "breeder";
    breeder.struct_bytes = 8;
    breeder.init = [](tina_ctx *, void *, tina_bytes) { return tina_yield(); };
    breeder.handle = [](tina_ctx *ctx, void *, const tina_message *) {
        tina_spawn(ctx, mayfly_pointer, {nullptr, 0}, nullptr);
        return tina_yield();
    };
    tina_type_slots types[] = {{&mayfly, 4}, {&breeder, 1}};
    tina_child children[] = {tina::OneLife(&breeder)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    spec.op_count = 64;
    Harness h(spec);
    for (int i = 0; i < 5000; i++)
        h.Turn();
    EXPECT_GT(h.counters().spawned, 1000u);
    tina_shard_force(h.shard());
    h.Settle();
    EXPECT_EQ(h.Turn().until_ns, UINT64_MAX);
    ExpectNothingLeft(h);
}

TEST(Io, AConnectionMovesToTheIsolateThatIsSpawnedWithIt) {
    static tina_fd moved;
    static bool stolen;
    stolen = false;
    tina_isolate_type heir = {};
    heir.name = "heir";
    heir.struct_bytes = sizeof(Server);
    heir.init = [](tina_ctx *, void *self_, tina_bytes args) {
        Server *self = static_cast<Server *>(self_);
        std::memcpy(&self->connection, args.data, sizeof self->connection);
        return tina_io_recv(self->connection, 7);
    };
    heir.handle = [](tina_ctx *, void *, const tina_message *m) {
        EXPECT_EQ(m->io.result, 3);
        return tina_done();
    };
    const tina_isolate_type *heir_pointer = &heir;
    Scene test([&](tina_ctx *ctx, Server *self, const tina_message *m) {
        if (m->tag == TINA_IO_ACCEPT_DONE) {
            moved = m->io.fd;
            EXPECT_EQ(tina_spawn_with_fd(ctx, heir_pointer, {&moved, sizeof moved}, moved, nullptr),
                      TINA_SPAWN_OK);
            (void)self;
            return tina_io_recv(moved, 7);
        }
        EXPECT_EQ(m->io.result, TINA_IO_BAD_FD);
        stolen = true;
        return tina_receive();
    });
    tina_type_slots types[] = {{&server_type, 1}, {&heir, 2}};
    test.spec.types = types;
    test.spec.type_count = 2;
    Harness h(test.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    ASSERT_EQ(tina_scripted_peer_send(h.scripted(), peer, "abc", 3), 3);
    h.Settle();
    EXPECT_TRUE(stolen);
    EXPECT_EQ(h.counters().exited, 1u);
    EXPECT_EQ(h.io().fds_in_use, 1u);
    char byte;
    EXPECT_EQ(tina_scripted_peer_recv(h.scripted(), peer, &byte, 1), 0);
}

TEST(Io, ShutdownCancelsWhatIsAwaitedThenTells) {
    std::vector<int32_t> tags, results;
    Scene test([&](tina_ctx *, Server *self, const tina_message *m) {
        tags.push_back(m->tag);
        results.push_back(m->tag == TINA_SHUTDOWN ? 0 : m->io.result);
        switch (m->tag) {
        case TINA_IO_ACCEPT_DONE:
            return m->io.result == 0 ? tina_io_recv(self->connection = m->io.fd, 7)
                                     : tina_receive();
        case TINA_IO_RECV_DONE:
            // It has a last word to say; that is not cancelled.
            return tina_io_send(self->connection, "bye", 3);
        case TINA_IO_SEND_DONE:
            return tina_receive();
        default:
            return tina_done();
        }
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(tags, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, TINA_IO_RECV_DONE, TINA_IO_SEND_DONE,
                                          TINA_SHUTDOWN}));
    EXPECT_EQ(results, (std::vector<int32_t>{0, TINA_IO_CANCELED, 3, 0}));
    char text[8] = {};
    EXPECT_EQ(tina_scripted_peer_recv(h.scripted(), peer, text, sizeof text), 3);
    EXPECT_STREQ(text, "bye");
    ExpectNothingLeft(h);
}

// An echo server is told while it sends; the send succeeds before its cancel takes effect. What it
// would wait for next is cancelled then, or it would wait for ever.
TEST(Io, ShutdownThatComesTooLateForOneOpCancelsTheNext) {
    std::vector<int32_t> results;
    static uint8_t too_much[6000];
    Scene test([&](tina_ctx *, Server *self, const tina_message *m) {
        if (m->tag == TINA_SHUTDOWN)
            return tina_done();
        results.push_back(m->io.result);
        switch (m->tag) {
        case TINA_IO_ACCEPT_DONE:
            return tina_io_send(self->connection = m->io.fd, too_much, sizeof too_much);
        case TINA_IO_SEND_DONE:
            return tina_io_recv(self->connection, 7);
        default:
            return tina_receive();
        }
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    tina_scripted_control(h.scripted())->late_cancels = true;
    tina_shard_shutdown(h.shard());
    h.Settle();
    tina_scripted_control(h.scripted())->late_cancels = false;
    char drain[6000];
    for (int i = 0; i < 4; i++) {
        tina_scripted_peer_recv(h.scripted(), peer, drain, sizeof drain);
        h.Settle();
    }
    EXPECT_EQ(results, (std::vector<int32_t>{0, 6000, TINA_IO_CANCELED}));
    EXPECT_TRUE(h.Turn().ended);
    ExpectNothingLeft(h);
}

TEST(Io, AnIsolateBornDuringShutdownIsToldToo) {
    std::vector<int32_t> results;
    static const tina_isolate_type *late_pointer;
    static std::vector<int32_t> *late_tags;
    std::vector<int32_t> tags;
    late_tags = &tags;
    tina_isolate_type late = {};
    late.name = "late";
    late.struct_bytes = sizeof(tina_fd);
    late.init = [](tina_ctx *ctx, void *self, tina_bytes) {
        tina_fd *fd = static_cast<tina_fd *>(self);
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 90);
        EXPECT_EQ(tina_listen(ctx, &at, 1, fd), 0);
        return tina_io_accept(*fd);
    };
    late.handle = [](tina_ctx *, void *, const tina_message *m) {
        late_tags->push_back(m->tag);
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    late_pointer = &late;
    Scene test([&](tina_ctx *ctx, Server *, const tina_message *m) {
        if (m->tag != TINA_SHUTDOWN)
            return tina_receive();
        EXPECT_EQ(tina_spawn(ctx, late_pointer, {nullptr, 0}, nullptr), TINA_SPAWN_OK);
        return tina_done();
    });
    tina_type_slots types[] = {{&server_type, 1}, {&late, 2}};
    test.spec.types = types;
    test.spec.type_count = 2;
    Harness h(test.spec);
    h.Settle();
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(tags, (std::vector<int32_t>{TINA_IO_ACCEPT_DONE, TINA_SHUTDOWN}));
    ExpectNothingLeft(h);
}

TEST(Io, AListenThatFailsLeavesNoSocket) {
    Scene test([&](tina_ctx *ctx, Server *, const tina_message *) {
        tina_fd fd = {1};
        EXPECT_EQ(tina_listen(ctx, &kHere, 8, &fd), -EADDRINUSE);
        EXPECT_TRUE(tina_fd_is_none(fd));
        return tina_done();
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_connect(h.scripted(), &kHere);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

// What is read after the handler may be somebody else's by then: scratch, a message, received
// bytes.
TEST(Io, ASendOfWhatLastsForOneHandlerIsRefused) {
    enum {
        kScratch,
        kMessage,
        kReceived
    };
    for (int what : {kScratch, kMessage, kReceived}) {
        std::vector<int32_t> results;
        Scene test([&](tina_ctx *ctx, Server *self, const tina_message *m) {
            switch (m->tag) {
            case TINA_IO_ACCEPT_DONE:
                self->connection = m->io.fd;
                EXPECT_EQ(tina_send(ctx, tina_self(ctx), 1, "payload", 7), TINA_SEND_OK);
                return what == kReceived ? tina_io_recv(self->connection, 7) : tina_receive();
            case TINA_IO_RECV_DONE:
                return tina_io_send(self->connection, tina_io_data(ctx, m), 3);
            case 1:
                return tina_io_send(self->connection,
                                    what == kScratch ? tina_scratch(ctx, 64) : m->payload, 7);
            default:
                results.push_back(m->io.result);
                return tina_done();
            }
        });
        Harness h(test.spec);
        h.Settle();
        tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
        h.Settle();
        tina_scripted_peer_send(h.scripted(), peer, "abc", 3);
        EXPECT_TRUE(h.Settle().ended);
        EXPECT_EQ(results, std::vector<int32_t>{TINA_IO_BAD_OP}) << what;
        EXPECT_NE(h.log().find("server 0.1 gave an op memory"), std::string::npos) << h.log();
        ExpectNothingLeft(h);
    }
}

// An address is copied at the submission, while the handler's stack is still there.
TEST(Io, ABackgroundConnectCopiesItsAddressFromTheStack) {
    int32_t submitted = -1;
    Scene test([&](tina_ctx *ctx, Server *, const tina_message *m) {
        if (m->tag == TINA_IO_CONNECT_DONE)
            return tina_done();
        tina_address at = tina_address_ipv4(127, 0, 0, 1, 9999);
        tina_fd fd;
        tina_io_id id;
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
        submitted = tina_submit(ctx, tina_op_connect(fd, &at), &id);
        return tina_receive();
    });
    Harness h(test.spec);
    h.Settle();
    tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    EXPECT_EQ(submitted, 0);
}

} // namespace
