// SPDX-License-Identifier: Apache-2.0
//
// What the simulated backend does that kernels do rarely, and what its scheduler relies on. What
// every backend must do, the conformance tests hold.

#include <errno.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "reactor/backend.h"
#include "reactor/reactor.h"
#include "sim/backend.h"
#include "sim/net.h"
#include "sim/net_rig.h"

namespace {

// The backend by itself, without the reactor's front.
class Bare {
  public:
    Bare(NetRig &rig, uint32_t shard = 0, uint32_t buffers = 8,
         const sim_disk_calls *disk = nullptr)
        : rig_(rig) {
        config.buffer_count = buffers;
        config.buffer_bytes = 64;
        config.op_count = 64;
        config.address_count = 4;
        config.path_count = 4;
        options.net = rig.net;
        options.shard = shard;
        options.ready = [](void *where, uint32_t) { ++*static_cast<int *>(where); };
        options.where = &ready;
        options.seen = &seen;
        options.disk_calls = disk;
        config.backend_options = &options;
        memory_.resize(buffers * size_t{64});
        self_.resize(static_cast<size_t>(tina_reactor_sim.memory_bytes(&config)));
        tina_backend_buffers lent = {memory_.data(), buffers, 64};
        char error[100];
        EXPECT_EQ(tina_reactor_sim.open(self(), &config, &lent, error, sizeof error), 0);
    }
    void *self() {
        return self_.data();
    }
    tina_backend_op op(tina_op_kind kind, int os_fd) {
        tina_backend_op made = {};
        made.key = ++last_;
        made.kind = static_cast<uint8_t>(kind);
        made.os_fd = os_fd;
        made.bytes = 64;
        return made;
    }
    uint64_t stage(const tina_backend_op &made) {
        EXPECT_EQ(tina_reactor_sim.stage(self(), &made, 1), 1u);
        return made.key;
    }
    void cancel(uint64_t key) {
        tina_backend_op made = {};
        made.key = key;
        made.kind = TINA_OP_CANCEL;
        EXPECT_EQ(tina_reactor_sim.stage(self(), &made, 1), 1u);
    }
    std::vector<tina_backend_result> reap() {
        std::vector<tina_backend_result> all(64);
        all.resize(tina_reactor_sim.reap(self(), all.data(), 64));
        for (const tina_backend_result &result : all)
            if (result.buffer != TINA_IO_NO_BUFFER)
                tina_reactor_sim.give_buffers(self(), &result.buffer, 1);
        return all;
    }
    // Results until the op has ended.
    std::vector<tina_backend_result> results(uint64_t key) {
        std::vector<tina_backend_result> all;
        for (int i = 0; i < 1000; i++) {
            for (const tina_backend_result &result : reap()) {
                EXPECT_EQ(result.key, key);
                all.push_back(result);
            }
            if (!all.empty() && all.back().flags == 0)
                return all;
            rig_.run(1000000);
        }
        ADD_FAILURE() << "no end";
        return all;
    }

    tina_reactor_config config = {};
    sim_backend_options options = {};
    sim_backend_seen seen = {};
    int ready = 0;

  private:
    NetRig &rig_;
    std::vector<uint8_t> memory_;
    std::vector<uint8_t> self_;
    uint64_t last_ = 0;
};

// A front that took a row for another op too early would have two of them in flight.
TEST(Backend, KnowsAnOpByItsWholeKey) {
    NetRig rig;
    Bare bare(rig);
    int32_t s = rig.datagram(SIM_NET_MACHINE, 9);
    tina_backend_op old = bare.op(TINA_OP_RECV, s);
    tina_backend_op next = old;
    next.key += UINT64_C(1) << 32;
    bare.stage(old);
    bare.stage(next);
    bare.cancel(old.key);
    std::vector<tina_backend_result> first = bare.results(old.key);
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].result, -ECANCELED);
    bare.cancel(old.key); // it is gone
    rig.run();
    EXPECT_TRUE(bare.reap().empty());
    bare.cancel(next.key);
    ASSERT_EQ(bare.results(next.key).size(), 1u);
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, CompletionsOvertakeEachOtherByChanceOnly) {
    for (bool chance : {false, true}) {
        NetRig rig(chance ? "io_reorder_ppm=500000,io_ns=100000" : "io_ns=100000");
        Bare bare(rig);
        int32_t s = rig.stream(SIM_NET_MACHINE);
        for (int i = 0; i < 64; i++)
            bare.stage(bare.op(TINA_OP_FSYNC, s));
        EXPECT_TRUE(bare.reap().empty());
        rig.run();
        std::vector<tina_backend_result> all = bare.reap();
        ASSERT_EQ(all.size(), 64u);
        int inversions = 0;
        for (size_t i = 1; i < all.size(); i++)
            inversions += all[i].key < all[i - 1].key;
        EXPECT_EQ(inversions > 0, chance);
        tina_reactor_sim.close(bare.self());
    }
}

TEST(Backend, ResultsOfOneOpKeepTheirOrder) {
    NetRig rig("io_reorder_ppm=1000000,io_ns=10000000");
    rig.pair();
    Bare bare(rig, 0, 32);
    tina_backend_op op = bare.op(TINA_OP_RECV, rig.b);
    op.flags = TINA_IO_MULTISHOT;
    op.bytes = 1;
    uint64_t key = bare.stage(op);
    EXPECT_EQ(rig.send(rig.a, "0123456789"), 10);
    EXPECT_EQ(sim_net_shutdown(rig.net, rig.a, TINA_SHUTDOWN_WRITE), 0);
    std::vector<tina_backend_result> all = bare.results(key);
    ASSERT_EQ(all.size(), 11u);
    for (size_t i = 0; i < 10; i++)
        EXPECT_EQ(all[i].flags, TINA_IO_MORE);
    EXPECT_EQ(all[10].result, 0);
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, ACancelIsLateByChanceAndWhatCameBeforeItWins) {
    NetRig rig("io_late_cancel_ppm=500000,io_ns=1000000");
    rig.pair();
    Bare bare(rig);
    int came = 0;
    int canceled = 0;
    for (int i = 0; i < 60; i++) {
        uint64_t key = bare.stage(bare.op(TINA_OP_RECV, rig.b));
        EXPECT_EQ(rig.send(rig.a, "x"), 1);
        bare.cancel(key);
        std::vector<tina_backend_result> all = bare.results(key);
        ASSERT_EQ(all.size(), 1u);
        ASSERT_TRUE(all[0].result == -ECANCELED || all[0].result > 0) << all[0].result;
        came += all[0].result > 0;
        canceled += all[0].result < 0;
        (void)rig.recv(rig.b);
    }
    EXPECT_GT(came, 5);
    EXPECT_GT(canceled, 5);
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, AMultishotOpEndsByChanceWithAResult) {
    NetRig rig("io_multishot_end_ppm=200000");
    rig.pair();
    Bare bare(rig);
    size_t ends = 0;
    std::string got;
    for (int i = 0; i < 50; i++) {
        tina_backend_op op = bare.op(TINA_OP_RECV, rig.b);
        op.flags = TINA_IO_MULTISHOT;
        uint64_t key = bare.stage(op);
        for (bool over = false; !over;) {
            EXPECT_EQ(rig.send(rig.a, "x"), 1);
            rig.run();
            for (const tina_backend_result &result : bare.reap()) {
                EXPECT_EQ(result.key, key);
                EXPECT_GT(result.result, 0);
                over = over || result.flags == 0;
            }
        }
        ends++;
    }
    EXPECT_EQ(ends, 50u);
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, AReceiveFindsNoBufferByChanceOrInTruth) {
    NetRig rig("io_no_buffer_ppm=500000");
    rig.pair();
    Bare bare(rig, 0, 1);
    std::map<int32_t, int> seen;
    for (int i = 0; i < 40; i++) {
        EXPECT_EQ(rig.send(rig.a, "x"), 1);
        rig.run();
        int32_t result = bare.results(bare.stage(bare.op(TINA_OP_RECV, rig.b))).at(0).result;
        seen[result]++;
        (void)rig.recv(rig.b);
    }
    EXPECT_GT(seen[-ENOBUFS], 5);
    EXPECT_EQ(seen[-ENOBUFS] + seen[1], 40) << "what was not received is there still";
    rig.world.faults = false;
    EXPECT_EQ(rig.send(rig.a, "xy"), 2);
    rig.run();
    tina_backend_op op = bare.op(TINA_OP_RECV, rig.b);
    op.bytes = 1;
    bare.stage(op);
    rig.run();
    tina_backend_result one;
    ASSERT_EQ(tina_reactor_sim.reap(bare.self(), &one, 1), 1u);
    EXPECT_EQ(one.result, 1);
    EXPECT_EQ(bare.results(bare.stage(bare.op(TINA_OP_RECV, rig.b))).at(0).result, -ENOBUFS);
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, ASendIsCutByChance) {
    NetRig rig("net_split_ppm=1000000");
    rig.pair();
    Bare bare(rig);
    std::string bytes(60, 'x');
    std::map<int32_t, int> seen;
    for (int i = 0; i < 30; i++) {
        tina_backend_op op = bare.op(TINA_OP_SEND, rig.b);
        op.data = bytes.data();
        op.bytes = 60;
        seen[bare.results(bare.stage(op)).at(0).result]++;
    }
    EXPECT_GT(seen.size(), 5u);
    EXPECT_EQ(seen.count(0), 0u);
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, TakesSoManyOpsBetweenTwoWaits) {
    NetRig rig("io_stage_max=3");
    Bare bare(rig);
    int32_t s = rig.stream(SIM_NET_MACHINE);
    std::vector<tina_backend_op> ops;
    for (int i = 0; i < 5; i++)
        ops.push_back(bare.op(TINA_OP_FSYNC, s));
    EXPECT_EQ(tina_reactor_sim.stage(bare.self(), ops.data(), 5), 3u);
    EXPECT_EQ(tina_reactor_sim.stage(bare.self(), &ops[3], 2), 0u);
    (void)tina_reactor_sim.wait(bare.self(), rig.world.now_ns, rig.world.now_ns);
    EXPECT_EQ(tina_reactor_sim.stage(bare.self(), &ops[3], 2), 2u);
    rig.run();
    EXPECT_EQ(bare.reap().size(), 5u);
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, ItsSchedulerHearsOfResultsAndWakesAndWhatAWaitIsFor) {
    NetRig rig;
    rig.pair();
    Bare bare(rig);
    uint64_t now = rig.world.now_ns;
    EXPECT_EQ(tina_reactor_sim.wait(bare.self(), now, now + 5), 1);
    EXPECT_TRUE(bare.seen.would_block);
    EXPECT_EQ(bare.seen.until_ns, now + 5);
    EXPECT_EQ(bare.ready, 0);
    tina_reactor_sim.wake(bare.self());
    EXPECT_EQ(bare.ready, 1);
    EXPECT_EQ(tina_reactor_sim.wait(bare.self(), now, now + 5), 0);
    EXPECT_FALSE(bare.seen.would_block);
    bare.stage(bare.op(TINA_OP_RECV, rig.b));
    EXPECT_EQ(rig.send(rig.a, "x"), 1);
    EXPECT_EQ(bare.ready, 1);
    rig.run();
    EXPECT_EQ(bare.ready, 2);
    (void)tina_reactor_sim.wait(bare.self(), now, now + 5);
    EXPECT_FALSE(bare.seen.would_block);
    EXPECT_EQ(bare.seen.waits, 3u);
    tina_reactor_sim.close(bare.self());
}

// A reactor on the backend, whose time is the rig's.
class Front {
  public:
    Front(NetRig &rig, uint32_t shard) : rig_(rig) {
        options_.net = rig.net;
        options_.shard = shard;
        tina_reactor_config config = {};
        config.backend = &tina_reactor_sim;
        config.backend_options = &options_;
        config.shard = shard;
        config.fd_count = 64;
        config.op_count = 200;
        config.address_count = 4;
        config.path_count = 4;
        config.buffer_count = 16;
        config.buffer_bytes = 64;
        memory_ = aligned_alloc(128, tina_reactor_bytes(&config));
        char error[256];
        EXPECT_EQ(tina_reactor_open(&config, memory_, &reactor, error, sizeof error), 0) << error;
    }
    ~Front() {
        tina_reactor_close(reactor);
        free(memory_);
    }
    Front(const Front &) = delete;
    Front &operator=(const Front &) = delete;
    void turn() {
        EXPECT_EQ(tina_reactor_wait(reactor, rig_.world.now_ns, rig_.world.now_ns), 0);
        rig_.run(1000000);
        tina_reactor_event events[16];
        while (tina_reactor_reap(reactor, events, 16) == 16) {
        }
    }
    tina_io_completion next(tina_reactor_owner *owner) {
        tina_io_completion c = {};
        for (int i = 0; i < 1000 && !tina_reactor_next(reactor, owner, &c); i++)
            turn();
        return c;
    }
    tina_io_id submit(tina_reactor_owner *owner, const tina_io_op &op) {
        tina_io_id id = {};
        EXPECT_EQ(tina_reactor_submit(reactor, owner, &op, &id), 0);
        return id;
    }
    tina_fd listener(tina_reactor_owner *owner, uint16_t port) {
        tina_fd fd = {};
        tina_address any = tina_address_ipv4(0, 0, 0, 0, port);
        EXPECT_EQ(tina_reactor_socket(reactor, owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd),
                  0);
        EXPECT_EQ(tina_reactor_set_option(reactor, owner, fd, TINA_OPTION_REUSE_PORT, 1), 0);
        EXPECT_EQ(tina_reactor_bind(reactor, owner, fd, &any), 0);
        EXPECT_EQ(tina_reactor_listen(reactor, owner, fd, 100), 0);
        return fd;
    }

    tina_reactor *reactor = nullptr;

  private:
    NetRig &rig_;
    sim_backend_options options_ = {};
    void *memory_ = nullptr;
};

// A disk for which 7 is the answer to everything.
bool takes_all(const tina_backend_op *) {
    return true;
}
uint64_t at_once(void *, const tina_backend_op *) {
    return 0;
}
int32_t answer(void *, const tina_backend_op *, void *, uint32_t, tina_file_stat *) {
    return 7;
}
const sim_disk_calls kDisk = {takes_all, at_once, answer, nullptr};

TEST(Backend, AStuckOpOutlastsItsCancelAndADrainAndIsDoneInTheEnd) {
    NetRig rig("disk_stuck_ppm=1000000,disk_stuck_ns=30000000000");
    Bare bare(rig, 0, 8, &kDisk);
    auto waits = [&](uint64_t now_ns) {
        EXPECT_GE(tina_reactor_sim.wait(bare.self(), now_ns, now_ns + 10000000), 0);
        return bare.seen.stuck;
    };
    tina_backend_op op = bare.op(TINA_OP_WRITE, SIM_NET_FD_LIMIT);
    bare.stage(op);
    EXPECT_EQ(waits(rig.world.now_ns), 1u);
    bare.cancel(op.key);
    rig.run(kSecond);
    EXPECT_EQ(waits(0), 1u) << "drained, though it is stuck for longer";
    EXPECT_TRUE(bare.reap().empty());
    std::vector<tina_backend_result> results;
    for (int i = 0; i < 300 && results.empty(); i++) {
        rig.run(kSecond / 10);
        uint32_t stuck = waits(0); // which waits for a second
        results = bare.reap();
        EXPECT_EQ(stuck, results.empty() ? 1u : 0u);
    }
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].result, 7) << "what it achieved wins";
    rig.run(40 * kSecond);
    EXPECT_TRUE(bare.reap().empty());
    tina_reactor_sim.close(bare.self());
}

TEST(Backend, ClosesWithAStuckOp) {
    NetRig rig("disk_stuck_ppm=1000000,disk_stuck_ns=30000000000");
    {
        Bare bare(rig, 0, 8, &kDisk);
        bare.stage(bare.op(TINA_OP_WRITE, SIM_NET_FD_LIMIT));
        tina_reactor_sim.close(bare.self());
    }
    rig.run(40 * kSecond);
}

// A shard that is rebuilt resets its reactor within one instant of the world's.
TEST(Backend, AResetEndsEverythingThoughTimeStandsStill) {
    for (const char *settings :
         {"", "io_late_cancel_ppm=1000000,io_ns=5000000",
          "io_stage_max=1,io_late_cancel_ppm=500000,io_reorder_ppm=500000,io_ns=5000000"}) {
        SCOPED_TRACE(settings);
        NetRig rig(settings);
        Front front(rig, 3);
        tina_reactor_owner owner = {};
        for (uint16_t port = 1; port <= 60; port++)
            (void)front.submit(&owner, tina_op_accept_multishot(front.listener(&owner, port)));
        for (int i = 0; i < 70; i++)
            front.turn();
        for (int i = 0; i < 60; i++)
            EXPECT_EQ(rig.connect(rig.stream(rig.client), static_cast<uint16_t>(1 + i % 60)),
                      -EINPROGRESS);
        rig.run(60000); // some are accepted and not yet told
        uint64_t now = rig.world.now_ns;
        EXPECT_TRUE(tina_reactor_reset(front.reactor));
        EXPECT_EQ(rig.world.now_ns, now);
        EXPECT_EQ(tina_reactor_count(front.reactor)->fds_in_use, 0u);
        EXPECT_EQ(tina_reactor_count(front.reactor)->ops_in_use, 0u);
        rig.run(); // what the agenda has for what is gone is not wanted
        owner = {};
        tina_fd door = front.listener(&owner, 80);
        (void)front.submit(&owner, tina_op_accept(door));
        front.turn();
        int32_t s = rig.stream(rig.client);
        EXPECT_EQ(rig.connect(s), -EINPROGRESS);
        EXPECT_EQ(front.next(&owner).result, 0);
    }
}

TEST(Backend, AReactorMayCloseWithItsAgendaFull) {
    NetRig rig("io_ns=5000000,io_late_cancel_ppm=500000");
    {
        Front front(rig, 0);
        tina_reactor_owner owner = {};
        for (uint16_t port = 1; port <= 20; port++) {
            (void)front.submit(&owner, tina_op_accept(front.listener(&owner, port)));
            EXPECT_EQ(rig.connect(rig.stream(rig.client), port), -EINPROGRESS);
        }
        front.turn();
    }
    rig.run(300 * kSecond);
    EXPECT_EQ(sim_agenda_next_ns(&rig.world.agenda), UINT64_MAX);
}

TEST(Backend, AConnectionMovesFromShardToShard) {
    NetRig rig;
    Front from(rig, 0);
    Front to(rig, 1);
    tina_reactor_owner giver = {};
    tina_reactor_owner taker = {};
    (void)from.submit(&giver, tina_op_accept(from.listener(&giver, 80)));
    int32_t s = rig.stream(rig.client);
    EXPECT_EQ(rig.connect(s), -EINPROGRESS);
    tina_fd fd = from.next(&giver).fd;
    tina_fd_ticket ticket;
    ASSERT_EQ(tina_reactor_export(from.reactor, &giver, fd, &ticket), 0);
    ASSERT_TRUE(tina_reactor_import(to.reactor, &taker, &ticket, &fd));
    (void)to.submit(&taker, tina_op_recv(fd, 10));
    to.turn();
    EXPECT_EQ(rig.connect(s), 0);
    EXPECT_EQ(rig.send(s, "hello"), 5);
    tina_io_completion c = to.next(&taker);
    EXPECT_EQ(c.result, 5);
    tina_reactor_give_buffer(to.reactor, c.buffer);
}

uint64_t traffic_hash(uint64_t seed) {
    NetRig rig("net_split_ppm=300000,io_reorder_ppm=300000,io_ns=1000000", seed);
    Front shards[2] = {{rig, 0}, {rig, 1}};
    tina_reactor_owner owners[2] = {};
    tina_fd doors[2];
    for (int i = 0; i < 2; i++) {
        doors[i] = shards[i].listener(&owners[i], 80);
        (void)shards[i].submit(&owners[i], tina_op_accept_multishot(doors[i]));
    }
    for (int i = 0; i < 20; i++) {
        int32_t s = rig.stream(rig.client);
        EXPECT_EQ(rig.connect(s), -EINPROGRESS);
        shards[0].turn();
        shards[1].turn();
    }
    uint32_t accepted = tina_reactor_count(shards[0].reactor)->fds_in_use;
    EXPECT_GT(accepted, 3u);
    EXPECT_LT(accepted, 19u);
    return rig.world.record.hash;
}

TEST(Backend, ASeedsRunIsItsOwn) {
    EXPECT_EQ(traffic_hash(1), traffic_hash(1));
    EXPECT_NE(traffic_hash(1), traffic_hash(2));
}

} // namespace
