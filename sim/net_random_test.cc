// SPDX-License-Identifier: Apache-2.0
//
// Random hosts do random things in worlds of drawn roughness: what arrives is what was sent, in its
// order and without a gap; a stream that ended without a reset is whole; and when faults have
// stopped and all is closed, no socket is left. A seed's run has a hash, which is its own.
// TINA_SEED=n runs one seed, TINA_LONG=1 ten thousand.

#include <errno.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/prng.h"
#include "sim/net.h"
#include "sim/net_rig.h"

namespace {

struct Flow {
    uint64_t name = 0;
    uint64_t sent = 0;
    uint64_t got = 0;
    bool finished = false; // by its sender, without a reset
};

struct End {
    int32_t socket = -1;
    size_t out = 0; // index of the flow that leaves here
    size_t in = 0;
    bool connecting = false;
    bool over = false; // a result told that it is
};

char byte_of(const Flow &flow, uint64_t at) {
    return static_cast<char>(tina_prng_mix(flow.name ^ at << 20));
}

class Crowd {
  public:
    Crowd(uint64_t seed, const tina_sim_settings &settings)
        : rig(settings, seed), random_(tina_prng_make(seed, 99, 1)) {
        for (uint8_t i = 0; i < 3; i++) {
            tina_address at = tina_address_ipv4(10, 0, 1, i, 0);
            hosts_.push_back(sim_net_host(rig.net, &at));
        }
        hosts_.push_back(SIM_NET_MACHINE); // over its own address
        door_ = rig.listener(80, 5);
    }
    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); i++)
            step();
        end();
    }
    NetRig rig;

  private:
    uint64_t below(uint64_t limit) {
        return tina_prng_below(&random_, limit);
    }
    void step() {
        uint64_t dice = below(100);
        if (dice < 8 && ends_.size() < 40)
            connect();
        else if (dice < 16)
            accept();
        else if (dice < 40)
            send();
        else if (dice < 65)
            recv();
        else if (dice < 68)
            shutdown();
        else if (dice < 71)
            close();
        else
            rig.run(below(4) == 0 ? below(kSecond) : below(1000000));
    }
    void connect() {
        End end;
        end.socket = rig.stream(hosts_[below(hosts_.size())]);
        ASSERT_GE(end.socket, 0);
        ASSERT_EQ(rig.connect(end.socket), -EINPROGRESS);
        end.connecting = true;
        ends_.push_back(end);
    }
    // Which flows these are is told by the first eight bytes of each.
    void accept() {
        int32_t s = sim_net_accept(rig.net, door_);
        if (s < 0) {
            ASSERT_TRUE(s == -EAGAIN || s == -EMFILE || s == -ECONNABORTED) << s;
            return;
        }
        tina_address peer = {};
        if (sim_net_peer_address(rig.net, s, &peer) < 0) { // reset in the queue
            sim_net_shut(rig.net, s);
            return;
        }
        End end;
        end.socket = s;
        for (End &other : ends_) {
            tina_address local;
            ASSERT_EQ(sim_net_local_address(rig.net, other.socket, &local), 0);
            if (local.port == peer.port && memcmp(local.ip, peer.ip, sizeof peer.ip) == 0) {
                end.in = flow_of(&other.out);
                end.out = flow_of(&other.in);
            }
        }
        if (end.in == 0) { // who connected is gone
            std::string rest = rig.recv(s);
            sim_net_shut(rig.net, s);
            return;
        }
        ends_.push_back(end);
    }
    size_t flow_of(size_t *which) {
        if (*which == 0) {
            *which = flows_.size();
            flows_.emplace_back();
            flows_.back().name = tina_prng_mix(*which);
        }
        return *which;
    }
    End *pick() {
        if (ends_.empty())
            return nullptr;
        End *end = &ends_[below(ends_.size())];
        if (end->connecting) {
            int32_t result = rig.connect(end->socket);
            if (result == -EALREADY)
                return nullptr;
            if (result < 0) {
                EXPECT_TRUE(result == -ECONNREFUSED || result == -ETIMEDOUT ||
                            result == -ECONNRESET || result == -EISCONN)
                    << result;
                sim_net_shut(rig.net, end->socket);
                drop(end);
                return nullptr;
            }
            end->connecting = false;
            (void)flow_of(&end->out);
            (void)flow_of(&end->in);
        }
        return end;
    }
    void drop(End *end) {
        ends_.erase(ends_.begin() + (end - ends_.data()));
    }
    void send() {
        End *end = pick();
        if (end == nullptr)
            return;
        Flow &flow = flows_[end->out];
        std::string bytes(1 + below(below(4) == 0 ? 20000 : 100), 0);
        for (size_t i = 0; i < bytes.size(); i++)
            bytes[i] = byte_of(flow, flow.sent + i);
        int32_t result = rig.send(end->socket, bytes);
        if (result >= 0)
            flow.sent += static_cast<uint64_t>(result);
        else
            ASSERT_TRUE(result == -EAGAIN || result == -EPIPE || result == -ECONNRESET) << result;
    }
    void recv() {
        End *end = pick();
        if (end == nullptr)
            return;
        Flow &flow = flows_[end->in];
        char data[3000];
        int32_t result =
            sim_net_recv(rig.net, end->socket, data, static_cast<uint32_t>(1 + below(sizeof data)));
        for (int32_t i = 0; i < result; i++)
            ASSERT_EQ(data[i], byte_of(flow, flow.got + static_cast<uint64_t>(i)));
        if (result > 0) {
            flow.got += static_cast<uint64_t>(result);
            ASSERT_LE(flow.got, flow.sent);
        } else if (result == 0) {
            if (sim_net_poll(rig.net, end->socket, 0) == 0) { // not by a reset
                ASSERT_TRUE(flow.finished);
                ASSERT_EQ(flow.got, flow.sent);
            }
            end->over = true;
        } else {
            ASSERT_TRUE(result == -EAGAIN || result == -ECONNRESET || result == -EPIPE) << result;
        }
    }
    void shutdown() {
        End *end = pick();
        if (end != nullptr && sim_net_shutdown(rig.net, end->socket, TINA_SHUTDOWN_WRITE) == 0)
            flows_[end->out].finished = true;
    }
    void close() {
        End *end = pick();
        if (end == nullptr)
            return;
        flows_[end->out].finished = true; // or reset, which is told
        if (below(3) == 0)
            sim_net_reset(rig.net, end->socket);
        else
            sim_net_shut(rig.net, end->socket);
        drop(end);
    }
    void end() {
        rig.world.faults = false;
        sim_net_heal(rig.net);
        // With neither faults nor cuts, all that is open gets through.
        for (int i = 0; i < 400; i++) {
            for (size_t n = 0; n < ends_.size() && !testing::Test::HasFailure(); n++)
                recv();
            rig.run(kSecond);
        }
        while (!ends_.empty()) {
            sim_net_shut(rig.net, ends_.back().socket);
            ends_.pop_back();
        }
        sim_net_shut(rig.net, door_);
        rig.run(200 * kSecond);
        EXPECT_EQ(rig.count().sockets, 0u);
        EXPECT_EQ(sim_agenda_next_ns(&rig.world.agenda), UINT64_MAX);
    }

    tina_prng random_;
    std::vector<uint32_t> hosts_;
    std::vector<Flow> flows_ = std::vector<Flow>(1); // 0: none
    std::vector<End> ends_;
    int32_t door_ = -1;
};

struct Outcome {
    uint64_t hash;
    uint64_t events;
    uint64_t bytes;
};

Outcome crowd_run(uint64_t seed) {
    tina_sim_settings settings;
    tina_sim_settings_draw(&settings, seed);
    Crowd crowd(seed, settings);
    crowd.run(1500);
    return {crowd.rig.world.record.hash, crowd.rig.world.record.count, crowd.rig.count().bytes};
}

TEST(NetRandom, WhatArrivesIsWhatWasSentAndNothingIsLeft) {
    const char *chosen = getenv("TINA_SEED");
    bool thorough = getenv("TINA_LONG") != nullptr;
    uint64_t first = chosen != nullptr ? strtoull(chosen, nullptr, 0) : 1;
    uint64_t last = chosen != nullptr ? first : thorough ? 10000 : 60;
    uint64_t bytes = 0;
    for (uint64_t seed = first; seed <= last && !HasFailure(); seed++) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
        bytes += crowd_run(seed).bytes;
    }
    EXPECT_GT(bytes, 1000u);
}

TEST(NetRandom, ASeedsRunIsItsOwn) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        Outcome once = crowd_run(seed);
        Outcome again = crowd_run(seed);
        EXPECT_EQ(once.hash, again.hash);
        EXPECT_EQ(once.events, again.events);
        EXPECT_NE(once.hash, crowd_run(seed + 1).hash);
    }
}

} // namespace
