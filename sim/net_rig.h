// SPDX-License-Identifier: Apache-2.0
//
// For tests: a world with a network in it, and time that passes when the test says so.

#ifndef TINA_SIM_NET_RIG_H
#define TINA_SIM_NET_RIG_H

#include <errno.h>

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "sim/net.h"
#include "sim/world.h"

constexpr uint64_t kSecond = 1000000000;

struct NetRig {
    explicit NetRig(const std::string &text = "", uint64_t seed = 1) {
        tina_sim_settings settings;
        tina_sim_settings_calm(&settings);
        char sentence[TINA_SIM_SENTENCE_BYTES];
        EXPECT_TRUE(tina_sim_settings_set(&settings, text.c_str(), sentence)) << sentence;
        begin(settings, seed);
    }
    NetRig(const tina_sim_settings &settings, uint64_t seed) {
        begin(settings, seed);
    }
    ~NetRig() {
        sim_net_close(net);
        sim_world_end(&world);
    }
    NetRig(const NetRig &) = delete;
    NetRig &operator=(const NetRig &) = delete;

    void run_until(uint64_t until_ns) {
        while (sim_agenda_next_ns(&world.agenda) <= until_ns) {
            uint64_t next_ns = sim_agenda_next_ns(&world.agenda);
            world.now_ns = next_ns > world.now_ns ? next_ns : world.now_ns;
            (void)sim_agenda_run(&world.agenda, world.now_ns);
        }
        world.now_ns = until_ns;
    }
    void run(uint64_t ns = kSecond) {
        run_until(world.now_ns + ns);
    }
    int32_t stream(uint32_t host) {
        return sim_net_socket(net, host, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM);
    }
    int32_t listener(uint16_t port = 80, uint32_t backlog = 100, uint32_t host = SIM_NET_MACHINE) {
        int32_t s = stream(host);
        tina_address any = tina_address_ipv4(0, 0, 0, 0, port);
        EXPECT_EQ(sim_net_bind(net, s, &any), 0);
        EXPECT_EQ(sim_net_listen(net, s, backlog), 0);
        return s;
    }
    int32_t connect(int32_t s, uint16_t port = 80) {
        tina_address at = sim_net_address(net, SIM_NET_MACHINE, port);
        return sim_net_connect(net, s, &at);
    }
    // A connection of the client's to the machine.
    void pair() {
        int32_t door = listener(7);
        a = stream(client);
        EXPECT_EQ(connect(a, 7), -EINPROGRESS);
        run();
        EXPECT_EQ(connect(a, 7), 0);
        b = sim_net_accept(net, door);
        EXPECT_GE(b, 0);
        sim_net_shut(net, door);
    }
    int32_t datagram(uint32_t host, uint16_t port) {
        int32_t s = sim_net_socket(net, host, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM);
        tina_address any = tina_address_ipv4(0, 0, 0, 0, port);
        EXPECT_EQ(sim_net_bind(net, s, &any), 0);
        return s;
    }
    int32_t send(int32_t s, const std::string &bytes) {
        return sim_net_send(net, s, bytes.data(), static_cast<uint32_t>(bytes.size()));
    }
    // What is there, and what the receive after it answers.
    std::string recv(int32_t s, int32_t *end = nullptr) {
        std::string all;
        char some[1000];
        int32_t result;
        while ((result = sim_net_recv(net, s, some, sizeof some)) > 0)
            all.append(some, static_cast<size_t>(result));
        if (end != nullptr)
            *end = result;
        return all;
    }
    const sim_net_counters &count() const {
        return *sim_net_count(net);
    }

    sim_world world = {};
    sim_net *net = nullptr;
    uint32_t client = 0;
    int32_t a = -1;
    int32_t b = -1;

  private:
    void begin(const tina_sim_settings &settings, uint64_t seed) {
        sim_world_begin(&world, seed, &settings);
        net = sim_net_open(&world);
        tina_address at = tina_address_ipv4(10, 0, 0, 2, 0);
        client = sim_net_host(net, &at);
    }
};

#endif
