// SPDX-License-Identifier: Apache-2.0

#include "sim/variants.h"

#include <errno.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "reactor/rig.h"
#include "sim/backend.h"
#include "sim/disk.h"
#include "sim/net.h"
#include "sim/world.h"

namespace {

constexpr uint64_t kBusyNs = 20000;            // a turn that does not sleep takes
constexpr uint64_t kSleepNs = 200000000;       // ... that sleeps, at most
constexpr uint64_t kPatienceNs = 200000000000; // of a connect

// Runs what is due until `until_ns` or until done().
template <class Done> void world_run(sim_world *world, uint64_t until_ns, const Done &done) {
    while (!done()) {
        uint64_t next_ns = sim_agenda_next_ns(&world->agenda);
        if (next_ns > until_ns) {
            world->now_ns = std::max(world->now_ns, until_ns);
            return;
        }
        world->now_ns = std::max(world->now_ns, next_ns);
        (void)sim_agenda_run(&world->agenda, world->now_ns);
    }
}

uint64_t longest_way(const sim_world *world) {
    return world->settings.net_ns + world->settings.net_stall_ns + world->settings.io_ns + 1;
}

// The far side is on the machine itself, as it is with the loopback.
class SimFar : public Far {
  public:
    explicit SimFar(sim_net *net) : net_(net) {}
    int connect(const tina_address &address) override {
        int s = socket(address, TINA_SOCKET_STREAM);
        int result = sim_net_connect(net_, s, &address);
        sim_world *world = sim_net_world(net_);
        world_run(world, world->now_ns + kPatienceNs, [&] {
            bool over = result != -EINPROGRESS && result != -EALREADY;
            result = over ? result : sim_net_connect(net_, s, &address);
            return result != -EALREADY;
        });
        if (result != 0) {
            sim_net_shut(net_, s);
            return -1;
        }
        // Connections are queued in the order in which they were made, as on the loopback.
        world_run(world, world->now_ns + longest_way(world), [] { return false; });
        return s;
    }
    int listen(tina_address *address) override {
        int s = bound(address, TINA_SOCKET_STREAM);
        EXPECT_EQ(sim_net_listen(net_, s, 16), 0);
        return s;
    }
    int accept(int listener) override {
        int result = sim_net_accept(net_, listener);
        sim_world *world = sim_net_world(net_);
        world_run(world, world->now_ns + kSleepNs, [&] {
            result = result >= 0 ? result : sim_net_accept(net_, listener);
            return result >= 0;
        });
        return result;
    }
    int send(int peer, const void *data, uint32_t bytes) override {
        return sim_net_send(net_, peer, data, bytes);
    }
    int recv(int peer, void *data, uint32_t bytes) override {
        return sim_net_recv(net_, peer, data, bytes);
    }
    int bind(tina_address *address) override {
        return bound(address, TINA_SOCKET_DATAGRAM);
    }
    int sendto(int peer, const void *data, uint32_t bytes, const tina_address &to) override {
        return sim_net_sendto(net_, peer, data, bytes, &to);
    }
    int recvfrom(int peer, void *data, uint32_t bytes, tina_address *from) override {
        bool cut;
        return sim_net_recvfrom(net_, peer, data, bytes, from, &cut);
    }
    void shutdown(int peer) override {
        EXPECT_EQ(sim_net_shutdown(net_, peer, TINA_SHUTDOWN_WRITE), 0);
    }
    void close(int peer) override {
        sim_net_shut(net_, peer);
    }
    void reset(int peer) override {
        sim_net_reset(net_, peer);
    }

  private:
    int socket(const tina_address &address, tina_socket_kind kind) {
        return sim_net_socket(net_, SIM_NET_MACHINE,
                              static_cast<tina_address_family>(address.family), kind);
    }
    int bound(tina_address *address, tina_socket_kind kind) {
        int s = socket(*address, kind);
        EXPECT_EQ(sim_net_bind(net_, s, address), 0);
        EXPECT_EQ(sim_net_local_address(net_, s, address), 0);
        return s;
    }

    sim_net *net_;
};

const sim_disk_calls kDiskCalls = {
    sim_disk_takes,
    [](void *disk, const tina_backend_op *op) {
        return sim_disk_delay_ns(static_cast<sim_disk *>(disk), op);
    },
    [](void *disk, const tina_backend_op *op, void *buffer, uint32_t bytes, tina_file_stat *stat) {
        return sim_disk_do(static_cast<sim_disk *>(disk), op, buffer, bytes, stat);
    },
    [](void *disk, int os_fd) { sim_disk_close_fd(static_cast<sim_disk *>(disk), os_fd); },
};

class SimKind : public Kind {
  public:
    explicit SimKind(const char *settings, uint64_t nth = 0) {
        tina_sim_settings values;
        char sentence[TINA_SIM_SENTENCE_BYTES];
        tina_sim_settings_calm(&values);
        EXPECT_TRUE(tina_sim_settings_set(&values, settings, sentence)) << sentence;
        sim_world_begin(&world_, seed() + (nth << 32), &values);
        options_.net = net_ = sim_net_open(&world_);
        options_.disk = disk_ = sim_disk_open(&world_);
        options_.disk_calls = &kDiskCalls;
        options_.shard = 7;
        options_.seen = &seen_;
        backend_ = tina_reactor_sim;
        backend_.wait = wait;
        running = this;
    }
    ~SimKind() override {
        sim_net_close(net_);
        sim_disk_free(disk_);
        sim_world_end(&world_);
    }
    SimKind(const SimKind &) = delete;
    SimKind &operator=(const SimKind &) = delete;
    const char *name() const override {
        return "sim";
    }
    const tina_reactor_backend *backend() override {
        running = this;
        return &backend_;
    }
    void *options() override {
        return &options_;
    }
    std::unique_ptr<Far> far() override {
        return std::make_unique<SimFar>(net_);
    }
    uint32_t large_bytes() const override {
        return 1 << 18;
    }
    uint32_t file_bytes() const override {
        return 10000;
    }
    std::string directory() override {
        return "/";
    }
    bool is_kernel() const override {
        return false;
    }
    void limit_file(uint32_t bytes) override {
        sim_disk_limit(disk_, bytes);
    }

  private:
    static uint64_t seed() {
        const char *chosen = getenv("TINA_SEED");
        return chosen != nullptr ? strtoull(chosen, nullptr, 0) : 1;
    }
    // Virtual time passes in waits only, whatever clock the suite looks at.
    static int wait(void *self, uint64_t now_ns, uint64_t until_ns) {
        sim_world *world = &running->world_;
        bool sleeps = until_ns > now_ns;
        // What takes the loopback a moment may take a while here.
        uint64_t most_ns = sleeps ? std::min(20 * (until_ns - now_ns), kSleepNs) : kBusyNs;
        uint64_t end_ns = world->now_ns + most_ns;
        int calls = tina_reactor_sim.wait(self, world->now_ns, end_ns);
        world_run(world, end_ns, [&] {
            if (!sleeps || running->seen_.would_block)
                (void)tina_reactor_sim.wait(self, world->now_ns, end_ns);
            return sleeps && !running->seen_.would_block;
        });
        if (sleeps) // what was sent at the same time is brought by the same wait
            world_run(world, world->now_ns + longest_way(world), [] { return false; });
        return calls;
    }

    static SimKind *running;
    sim_world world_ = {};
    sim_net *net_ = nullptr;
    sim_disk *disk_ = nullptr;
    sim_backend_seen seen_ = {};
    sim_backend_options options_ = {};
    tina_reactor_backend backend_ = {};
};

SimKind *SimKind::running;

const char kFarAway[] = "net_ns=5000000,io_ns=500000";
const char kHurried[] = "io_ns=200000,io_reorder_ppm=500000,io_late_cancel_ppm=500000,"
                        "io_multishot_end_ppm=200000";
const char kNarrow[] = "net_buffer_bytes=4096,io_stage_max=1";
const char kRough[] =
    "net_ns=1000000,io_ns=1000000,io_reorder_ppm=300000,io_late_cancel_ppm=300000,"
    "io_multishot_end_ppm=100000,net_buffer_bytes=10000,"
    "io_stage_max=3,net_stall_ppm=20000,net_stall_ns=20000000,disk_ns="
    "2000000";

} // namespace

std::unique_ptr<Kind> sim_calm() {
    return std::make_unique<SimKind>("");
}

std::unique_ptr<Kind> sim_far_away() {
    return std::make_unique<SimKind>(kFarAway);
}

std::unique_ptr<Kind> sim_hurried() {
    return std::make_unique<SimKind>(kHurried);
}

std::unique_ptr<Kind> sim_narrow() {
    return std::make_unique<SimKind>(kNarrow);
}

std::unique_ptr<Kind> sim_rough() {
    return std::make_unique<SimKind>(kRough);
}

std::unique_ptr<Kind> sim_rough_too() {
    return std::make_unique<SimKind>(kRough, 1);
}
