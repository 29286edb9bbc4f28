// SPDX-License-Identifier: Apache-2.0
//
// What //bench:actors measures of CAF, with one worker. See actors_tina.c. CAF has no supervisor,
// so there is no row for restarts.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <caf/all.hpp>

namespace {

using caf::actor;
using caf::behavior;
using caf::event_based_actor;

constexpr uint32_t kPairsMany = 128;
constexpr uint32_t kMayflies = 64;

uint64_t count;
uint64_t start_ns;

uint64_t CpuNs() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

void Over(event_based_actor *self) {
    std::printf("ns %.2f\n", static_cast<double>(CpuNs() - start_ns) / static_cast<double>(count));
    self->quit();
}

struct PlayerState {
    actor peer;
};

behavior Player(caf::stateful_actor<PlayerState> *self, const actor &umpire) {
    return {
        [=](const actor &peer) { self->state.peer = peer; },
        [=](uint64_t left) {
            if (left > 0) {
                self->send(self->state.peer, left - 1);
                return;
            }
            self->send(umpire, true);
            // The pair hold one another.
            self->state.peer = nullptr;
        },
    };
}

struct CounterState {
    uint64_t left;
};

behavior Umpire(caf::stateful_actor<CounterState> *self, uint32_t pairs) {
    self->state.left = pairs;
    start_ns = CpuNs();
    for (uint32_t i = 0; i < pairs; i++) {
        actor a = self->spawn(Player, caf::actor_cast<actor>(self));
        actor b = self->spawn(Player, caf::actor_cast<actor>(self));
        self->send(a, b);
        self->send(b, a);
        self->send(a, count / pairs);
    }
    return {[=](bool) {
        if (--self->state.left == 0)
            Over(self);
    }};
}

behavior Counter(caf::stateful_actor<CounterState> *self) {
    self->state.left = count;
    return {[=](uint64_t) {
        if (--self->state.left == 0)
            Over(self);
    }};
}

behavior Flooder(event_based_actor *self) {
    actor counter = self->spawn(Counter);
    start_ns = CpuNs();
    for (uint64_t left = count; left > 0; left--)
        self->send(counter, left);
    return {};
}

behavior Mayfly(event_based_actor *self, const actor &spawner) {
    self->send(spawner, true);
    return {};
}

behavior Spawner(caf::stateful_actor<CounterState> *self) {
    self->state.left = count;
    start_ns = CpuNs();
    for (uint32_t i = 0; i < kMayflies; i++)
        self->spawn(Mayfly, caf::actor_cast<actor>(self));
    return {[=](bool) {
        if (--self->state.left == 0)
            Over(self);
        else if (self->state.left >= kMayflies)
            self->spawn(Mayfly, caf::actor_cast<actor>(self));
    }};
}

} // namespace

int main(int argc, char **argv) {
    const char *row = argc == 3 ? argv[1] : "";
    count = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
    caf::actor_system_config config;
    config.set("scheduler.max-threads", 1);
    caf::actor_system system{config};
    if (count >= kPairsMany && std::strcmp(row, "ping_pong_1") == 0)
        system.spawn(Umpire, 1u);
    else if (count >= kPairsMany && std::strcmp(row, "ping_pong_128") == 0)
        system.spawn(Umpire, kPairsMany);
    else if (count >= kPairsMany && std::strcmp(row, "flood") == 0)
        system.spawn(Flooder);
    else if (count >= kPairsMany && std::strcmp(row, "spawn") == 0)
        system.spawn(Spawner);
    else {
        std::fprintf(stderr, "usage: actors_caf ROW COUNT\n");
        return 1;
    }
    system.await_all_actors_done();
    return 0;
}
