// SPDX-License-Identifier: Apache-2.0
//
// 64 isolates on the kernel's I/O, half of which fault at every order that they are given, in every
// way there is, and start again under their supervisor. The other half echo TCP, send each other
// numbered messages and count the periods of their timers. What those see is compared with a run in
// which the victims are done instead of faulting.

#include "core/prng.h"
#include "sched/children.h"
#include "sched/ctx.h"
#include "sched/one_life.h"
#include "sched/spec.h"
#include "sched/system.h"
#include "sched/test_backend.h"
#include "supervise/faults.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

namespace tina {
namespace {

constexpr uint32_t kVictims = 32, kSinks = 8, kPairs = 8, kTickers = 6, kEchoes = 8;
static_assert(kVictims + kSinks + kPairs + kTickers + kEchoes + 2 == 64, "a driver, a listener");

void FaultLoop() {
    for (;;)
        __asm__ volatile("");
}

void FaultPanic() {
    tina_panic("as ordered");
}

struct Kind {
    const char *name;
    void (*commit)();
};

// By which the handler returns, or is cut without a signal:
enum {
    kEffect,
    kBadEffect,
    kCallLimit,
    kFirstReal,
};

const Kind kinds[] = {
    {"effect", nullptr},
    {"bad effect", nullptr},
    {"call limit", nullptr},
    {"panic", FaultPanic},
    {"null", FaultNull},
    {"write", FaultWrite},
    {"wild", FaultWild},
    {"guard page", FaultGuardPage},
    {"misaligned", FaultMisaligned},
    {"alignment check", FaultAlignmentCheck},
    {"bus", FaultBus},
    {"divide", FaultDivide},
    {"illegal", FaultIllegal},
    {"jump", FaultJump},
    {"abort", FaultAbort},
    {"memcpy", FaultMemcpy},
    {"strlen", FaultStrlen},
    {"overflow", FaultOverflow},
    {"overflow by large frames", FaultOverflowLarge},
    {"overflow beyond a guard page", FaultOverflowLeap},
};
// ThreadSanitizer keeps an alarm back until the next call that it knows, of which a loop has none.
#ifdef __SANITIZE_THREAD__
constexpr bool kLoops = false;
#else
constexpr bool kLoops = true;
#endif

constexpr uint32_t kKinds = std::size(kinds);

// What can be had from the shard when all victims wait, and what the process holds then.
struct Holdings {
    uint32_t transfers, timers;
    long open_fds, resident_kib;
    tina_shard_counters counters;
};

// One run. Static, since isolates are C; written by the shard's thread but for the atomics.
struct World {
    bool faults;
    uint64_t seed;
    uint64_t orders_max;
    uint64_t numbered_max; // messages from one of a pair to the other

    uint64_t loop_every; // orders; a loop costs as long as a handler may run

    uint64_t given, lives, init_faults, loops;
    uint64_t by_kind[kKinds];
    bool next_init_faults;
    uint32_t waiting_count;
    tina_caller waiting[kVictims];
    tina_handle driver, sinks[kSinks], pairs[kPairs];

    uint64_t sink_sums[kSinks], sink_counts[kSinks];
    uint64_t pair_hashes[kPairs], pair_counts[kPairs], sends_refused;
    uint64_t periods[kTickers], periods_due[kTickers], latest_ns;
    uint32_t bystanders_ended;
    uint32_t rested; // periods in which all victims waited
    Holdings early, late;

    std::atomic<uint32_t> port;
    std::atomic<bool> faults_done, client_done;
    std::atomic<uint64_t> echoed_bytes, echoes_wrong;
};

World *world;

template <class T> T ArgsAs(tina_bytes args) {
    T value;
    std::memcpy(&value, args.data, sizeof value);
    return value;
}

tina_effect BystanderEnds() {
    world->bystanders_ended += !world->client_done;
    return tina_done();
}

uint64_t Mix(uint64_t word) {
    word = (word ^ (word >> 31)) * 0x9e3779b97f4a7c15u;
    return word ^ (word >> 29);
}

// Tags.
enum {
    kReady = 1,
    kOrder,
    kHeard,
    kNumber,
};

struct Order {
    uint64_t number;
    uint32_t kind;
};

struct Victim {
    Order order;
};

tina_effect VictimInit(tina_ctx *ctx, void *, tina_bytes) {
    world->lives++;
    if (world->next_init_faults) {
        world->next_init_faults = false;
        world->init_faults++;
        tina_timer_set(ctx, 1000, 0);
        FaultNull();
    }
    return tina_call(ctx, world->driver, kReady, nullptr, 0, 0);
}

tina_effect Commit(tina_ctx *ctx, const Order &order) {
    if (!world->faults)
        return tina_done();
    if (kLoops && order.number % world->loop_every == 500) {
        world->loops++;
        FaultLoop();
    }
    world->by_kind[order.kind]++;
    world->next_init_faults = world->next_init_faults || order.number % 50 == 7;
    if (order.kind >= kFirstReal)
        kinds[order.kind].commit();
    if (order.kind == kBadEffect)
        return tina_effect{};
    if (order.kind == kCallLimit)
        for (;;)
            tina_timer_cancel(ctx, tina_timer{1});
    return tina_crash(1);
}

// Leaves a timer, a buffer, a monitor, a message under way, and every other time an op as well,
// which every fourth time is with the kernel before the fault comes.
tina_effect VictimObeys(tina_ctx *ctx, Victim *self) {
    const Order &order = self->order;
    tina_send(ctx, world->sinks[order.number % kSinks], kHeard, &order.number, sizeof order.number);
    tina_timer_set(ctx, 1000000, 0);
    tina_transfer buffer = tina_transfer_take(ctx);
    EXPECT_NE(buffer.bits, 0u);
    EXPECT_TRUE(tina_transfer_keep(ctx, buffer));
    tina_monitor_set(ctx, world->driver);
    if (order.number % 2 == 0)
        return Commit(ctx, order);
    tina_fd fd;
    tina_io_id id;
    EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd), 0);
    EXPECT_EQ(tina_submit(ctx, tina_op_poll(fd, TINA_POLL_READ), &id), 0);
    if (order.number % 4 == 1)
        return Commit(ctx, order);
    return tina_yield();
}

tina_effect VictimHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Victim *self = static_cast<Victim *>(self_);
    switch (m->tag) {
    case kOrder:
        std::memcpy(&self->order, m->payload, sizeof self->order);
        return VictimObeys(ctx, self);
    case TINA_YIELDED:
        return Commit(ctx, self->order);
    case TINA_CALL_FAILED:
        return tina_receive();
    default:
        return tina_done();
    }
}

tina_effect SinkInit(tina_ctx *ctx, void *self, tina_bytes args) {
    uint32_t index = ArgsAs<uint32_t>(args);
    *static_cast<uint32_t *>(self) = index;
    world->sinks[index] = tina_self(ctx);
    return tina_receive();
}

// Which victim has which order differs from run to run, so the sum has no order.
tina_effect SinkHandle(tina_ctx *, void *self, const tina_message *m) {
    uint32_t index = *static_cast<uint32_t *>(self);
    if (m->tag != kHeard)
        return BystanderEnds();
    uint64_t number;
    std::memcpy(&number, m->payload, sizeof number);
    world->sink_sums[index] += Mix(number + 1);
    world->sink_counts[index]++;
    return tina_receive();
}

struct Pair {
    uint32_t index;
    uint64_t sent;
};

constexpr uint64_t kPairPeriodNs = 200000, kPairBurst = 4;

tina_effect PairInit(tina_ctx *ctx, void *self_, tina_bytes args) {
    Pair *self = static_cast<Pair *>(self_);
    self->index = ArgsAs<uint32_t>(args);
    world->pairs[self->index] = tina_self(ctx);
    tina_timer_set_periodic(ctx, kPairPeriodNs, 0);
    return tina_receive();
}

tina_effect PairHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Pair *self = static_cast<Pair *>(self_);
    uint64_t number;
    switch (m->tag) {
    case TINA_TIMER:
        for (uint64_t i = 0; i < kPairBurst && self->sent < world->numbered_max; i++) {
            number = self->sent++;
            world->sends_refused += tina_send(ctx, world->pairs[self->index ^ 1], kNumber, &number,
                                              sizeof number) != TINA_SEND_OK;
        }
        return tina_receive();
    case kNumber:
        std::memcpy(&number, m->payload, sizeof number);
        EXPECT_EQ(number, world->pair_counts[self->index]);
        world->pair_hashes[self->index] = Mix(world->pair_hashes[self->index] + number);
        world->pair_counts[self->index]++;
        return tina_receive();
    default:
        return BystanderEnds();
    }
}

struct Ticker {
    uint32_t index;
    uint64_t begun_ns;
};

constexpr uint64_t kTickNs = 1000000;

tina_effect TickerInit(tina_ctx *ctx, void *self_, tina_bytes args) {
    Ticker *self = static_cast<Ticker *>(self_);
    self->index = ArgsAs<uint32_t>(args);
    self->begun_ns = tina_now_ns(ctx);
    tina_timer_set_periodic(ctx, kTickNs, 0);
    return tina_receive();
}

tina_effect TickerHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Ticker *self = static_cast<Ticker *>(self_);
    if (m->tag != TINA_TIMER)
        return BystanderEnds();
    uint64_t &periods = world->periods[self->index];
    uint64_t passed_ns = tina_now_ns(ctx) - self->begun_ns;
    uint64_t late_ns = passed_ns - (periods + 1) * kTickNs;
    periods += m->timer.count;
    world->periods_due[self->index] = passed_ns / kTickNs;
    world->latest_ns = std::max(world->latest_ns, late_ns);
    return tina_receive();
}

struct Echo {
    tina_fd fd;
    uint8_t buffer[4096];
};

tina_effect EchoInit(tina_ctx *, void *self_, tina_bytes args) {
    Echo *self = static_cast<Echo *>(self_);
    self->fd = ArgsAs<tina_fd>(args);
    return tina_io_recv(self->fd, sizeof self->buffer);
}

tina_effect EchoHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Echo *self = static_cast<Echo *>(self_);
    size_t bytes = m->io.result > 0 ? static_cast<size_t>(m->io.result) : 0;
    switch (m->tag) {
    case TINA_IO_RECV_DONE:
        if (bytes == 0)
            return tina_io_close(self->fd);
        std::memcpy(self->buffer, tina_io_data(ctx, m), bytes);
        return tina_io_send(self->fd, self->buffer, bytes);
    case TINA_IO_SEND_DONE:
        return tina_io_recv(self->fd, sizeof self->buffer);
    default:
        return tina_done(); // the client has closed, and tells what it missed
    }
}

template <class T>
tina_isolate_type TypeOf(const char *name, tina_init_function init, tina_handle_function handle) {
    tina_isolate_type type = {};
    type.name = name;
    type.init = init;
    type.handle = handle;
    type.struct_bytes = sizeof(T);
    type.mailbox_max = 4096;
    return type;
}

const tina_isolate_type echo_type = TypeOf<Echo>("echo", EchoInit, EchoHandle);

tina_effect ListenerInit(tina_ctx *ctx, void *self, tina_bytes) {
    tina_fd *fd = static_cast<tina_fd *>(self);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
    if (tina_listen(ctx, &address, 64, fd) < 0)
        return tina_crash(1);
    tina_socket_local_address(ctx, *fd, &address);
    world->port = address.port;
    return tina_io_accept(*fd);
}

tina_effect ListenerHandle(tina_ctx *ctx, void *self, const tina_message *m) {
    if (m->tag != TINA_IO_ACCEPT_DONE)
        return BystanderEnds();
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive();
    EXPECT_EQ(m->io.result, 0);
    EXPECT_EQ(tina_spawn_with_fd(ctx, &echo_type, tina_bytes_of(&m->io.fd, sizeof m->io.fd),
                                 m->io.fd, nullptr),
              TINA_SPAWN_OK);
    return tina_io_accept(*static_cast<tina_fd *>(self));
}

long OpenFds() {
    long count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

long ResidentKib() {
    long pages = 0;
    FILE *file = std::fopen("/proc/self/statm", "r");
    if (!file || std::fscanf(file, "%*d %ld", &pages) != 1)
        ADD_FAILURE() << "no /proc/self/statm";
    if (file)
        std::fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

// Takes all there is, and gives it back.
Holdings Hold(tina_ctx *ctx) {
    Holdings now = {};
    std::vector<tina_transfer> transfers;
    std::vector<tina_timer> timers;
    now.open_fds = OpenFds();
    now.resident_kib = ResidentKib();
    EXPECT_TRUE(tina_counters(ctx, 0, &now.counters));
    for (tina_transfer one; (one = tina_transfer_take(ctx)).bits != 0;)
        transfers.push_back(one);
    for (tina_timer one; (one = tina_timer_set(ctx, UINT64_C(1) << 50, 0)).bits != 0;)
        timers.push_back(one);
    for (tina_transfer one : transfers)
        tina_transfer_give(ctx, one);
    for (tina_timer one : timers)
        tina_timer_cancel(ctx, one);
    now.transfers = static_cast<uint32_t>(transfers.size());
    now.timers = static_cast<uint32_t>(timers.size());
    return now;
}

tina_effect DriverInit(tina_ctx *ctx, void *, tina_bytes) {
    world->driver = tina_self(ctx);
    tina_timer_set_periodic(ctx, kTickNs, 0);
    return tina_receive();
}

bool PairsAreDone() {
    return std::all_of(world->pair_counts, std::end(world->pair_counts),
                       [](uint64_t count) { return count >= world->numbered_max; });
}

// All victims wait: the first tenth is behind them, or all of it. Counters are of the tick before,
// and an echo's end is some ticks behind its client's.
void DriverRests(tina_ctx *ctx) {
    if (++world->rested < 20)
        return;
    if (world->given < world->orders_max) {
        if (world->early.transfers == 0)
            world->early = Hold(ctx);
    } else if (PairsAreDone()) {
        world->rested *= world->faults_done.exchange(true) && world->client_done;
        if (world->rested == 40) {
            world->late = Hold(ctx);
            tina_stop(ctx, 0);
        }
    }
}

// Not before all are up: a child that cannot start at boot refuses the boot.
void DriverGives(tina_ctx *ctx) {
    if (world->given == 0 && world->waiting_count < kVictims)
        return;
    bool early = world->early.transfers == 0;
    uint64_t until = early ? world->orders_max / 10 : world->orders_max;
    while (world->waiting_count > 0 && world->given < until) {
        tina_prng prng = tina_prng_make(world->seed, 1, world->given);
        Order order = {world->given++, static_cast<uint32_t>(tina_prng_below(&prng, kKinds))};
        tina_caller victim = world->waiting[--world->waiting_count];
        EXPECT_EQ(tina_answer(ctx, victim, kOrder, &order, sizeof order), TINA_ANSWER_OK);
    }
}

tina_effect DriverHandle(tina_ctx *ctx, void *, const tina_message *m) {
    switch (m->tag) {
    case kReady:
        world->rested = 0;
        world->waiting[world->waiting_count++] = tina_caller_of(ctx, m);
        break;
    case TINA_TIMER:
        if (world->waiting_count == kVictims)
            DriverRests(ctx);
        break;
    default:
        return tina_done();
    }
    DriverGives(ctx);
    return tina_receive();
}

uint64_t CpuNs(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

int Dial() {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(world->port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

// Bytes that follow from the seed, out and back on every connection, until the faults are over.
void Client() {
    while (world->port == 0)
        std::this_thread::yield();
    int fds[kEchoes];
    for (int &fd : fds)
        fd = Dial();
    tina_prng prng = tina_prng_make(world->seed, 2, 0);
    std::vector<uint8_t> sent[kEchoes], back(4096);
    while (!world->faults_done && world->echoes_wrong == 0) {
        for (uint32_t i = 0; i < kEchoes; i++) {
            sent[i].resize(1 + tina_prng_below(&prng, 4000));
            for (uint8_t &byte : sent[i])
                byte = static_cast<uint8_t>(tina_prng_next(&prng));
            if (send(fds[i], sent[i].data(), sent[i].size(), MSG_NOSIGNAL) !=
                static_cast<ssize_t>(sent[i].size()))
                world->echoes_wrong++;
        }
        for (uint32_t i = 0; i < kEchoes; i++) {
            ssize_t got = recv(fds[i], back.data(), sent[i].size(), MSG_WAITALL);
            if (got != static_cast<ssize_t>(sent[i].size()) ||
                std::memcmp(back.data(), sent[i].data(), sent[i].size()) != 0)
                world->echoes_wrong++;
            world->echoed_bytes += sent[i].size();
        }
    }
    for (int fd : fds)
        close(fd);
    world->client_done = true;
}

tina_child ChildOf(const tina_isolate_type *type, const uint32_t *index) {
    return OneLife(type, tina_bytes_of(index, sizeof *index));
}

int RunSystem() {
    const tina_isolate_type victim = TypeOf<Victim>("victim", VictimInit, VictimHandle);
    const tina_isolate_type sink = TypeOf<uint32_t>("sink", SinkInit, SinkHandle);
    const tina_isolate_type pair = TypeOf<Pair>("pair", PairInit, PairHandle);
    const tina_isolate_type ticker = TypeOf<Ticker>("ticker", TickerInit, TickerHandle);
    const tina_isolate_type listener = TypeOf<tina_fd>("listener", ListenerInit, ListenerHandle);
    const tina_isolate_type driver = TypeOf<uint32_t>("driver", DriverInit, DriverHandle);
    // A victim's slot is free again when its last completion is in, which its successor awaits not.
    tina_type_slots types[] = {{&victim, 2 * kVictims}, {&sink, kSinks}, {&pair, kPairs},
                               {&ticker, kTickers},     {&listener, 1},  {&driver, 1},
                               {&echo_type, kEchoes}};
    std::vector<uint32_t> indices(kVictims);
    std::vector<tina_child> children;
    std::vector<tina_child> doomed(kVictims);
    for (uint32_t i = 0; i < kVictims; i++)
        indices[i] = i;
    for (tina_child &child : doomed)
        child.type = &victim;
    for (uint32_t i = 0; i < kSinks; i++)
        children.push_back(ChildOf(&sink, &indices[i]));
    for (uint32_t i = 0; i < kPairs; i++)
        children.push_back(ChildOf(&pair, &indices[i]));
    for (uint32_t i = 0; i < kTickers; i++)
        children.push_back(ChildOf(&ticker, &indices[i]));
    children.push_back(OneLife(&listener));
    children.push_back(OneLife(&driver));
    tina_group group = {};
    group.name = "victims";
    group.children = doomed.data();
    group.child_count = kVictims;
    group.intensity = TINA_INTENSITY_MAX;
    group.period_ns = 1000000000;
    tina_child victims = {};
    victims.name = "victims";
    victims.group = &group;
    children.push_back(victims);
    tina_spec spec = {};
    spec.name = "chaos_test";
    spec.types = types;
    spec.type_count = std::size(types);
    spec.root.children = children.data();
    spec.root.child_count = static_cast<uint32_t>(children.size());
    spec.transfer_count = 64;
    spec.transfer_bytes = 256;
    spec.call_max = 1000;
    spec.handler_soft_ns = 50000000;
    spec.handler_hard_ns = 100000000;
    spec.message_count = 16384;
    spec.backend = TestBackend();
    return tina_run(&spec);
}

// What the shard logs of each fault is not for the test's reader, but for its eyes.
class Quiet {
  public:
    Quiet() : kept_(dup(STDERR_FILENO)), log_(memfd_create("log", MFD_CLOEXEC)) {
        dup2(log_, STDERR_FILENO);
    }
    ~Quiet() {
        dup2(kept_, STDERR_FILENO);
        close(kept_);
        close(log_);
    }
    // What the system itself had to say.
    std::string Sentences() const {
        std::string log, said;
        char piece[65536];
        lseek(log_, 0, SEEK_SET);
        for (ssize_t got; (got = read(log_, piece, sizeof piece)) > 0;)
            log.append(piece, static_cast<size_t>(got));
        for (size_t at = 0, end; (end = log.find('\n', at)) != std::string::npos; at = end + 1)
            if (log.compare(at, 12, "chaos_test: ") == 0 &&
                log.substr(at, end - at).find(" in one handler") == std::string::npos)
                said += log.substr(at, end - at + 1);
        return said;
    }

  private:
    int kept_;
    int log_;
};

void Play(World *played) {
    Quiet quiet;
    world = played;
    std::thread client(Client);
    EXPECT_EQ(RunSystem(), 0);
    client.join();
    EXPECT_EQ(quiet.Sentences(), "");
}

void ExpectHoldingsSame(const Holdings &a, const Holdings &b) {
    EXPECT_EQ(a.transfers, b.transfers);
    EXPECT_EQ(a.timers, b.timers);
    EXPECT_EQ(a.counters.transfers_in_use, b.counters.transfers_in_use);
    EXPECT_EQ(a.counters.timers_in_use, b.counters.timers_in_use);
    EXPECT_EQ(a.counters.monitors_in_use, b.counters.monitors_in_use);
    EXPECT_EQ(b.counters.isolates_draining, 0u);
    EXPECT_EQ(b.counters.messages_in_use, kVictims); // their calls
    EXPECT_EQ(b.counters.isolates_in_use, 64 - kEchoes);
}

void ExpectUnharmed(const World &storm, const World &calm) {
    for (uint32_t i = 0; i < kSinks; i++) {
        EXPECT_EQ(storm.sink_sums[i], calm.sink_sums[i]) << i;
        EXPECT_EQ(storm.sink_counts[i], calm.sink_counts[i]) << i;
    }
    for (uint32_t i = 0; i < kPairs; i++) {
        EXPECT_EQ(storm.pair_hashes[i], calm.pair_hashes[i]) << i;
        EXPECT_EQ(storm.pair_counts[i], storm.numbered_max) << i;
    }
    for (uint32_t i = 0; i < kTickers; i++) {
        EXPECT_GE(storm.periods[i] + 1, storm.periods_due[i]) << i;
        EXPECT_LE(storm.periods[i], storm.periods_due[i]) << i;
    }
    EXPECT_EQ(storm.sends_refused, 0u);
    EXPECT_EQ(storm.bystanders_ended, 0u);
    EXPECT_EQ(storm.echoes_wrong, 0u);
    EXPECT_GT(storm.echoed_bytes, 0u);
}

TEST(Chaos, FaultsOfEveryKindHarmNoBystander) {
    const char *given = std::getenv("TINA_SEED");
    uint64_t seed = given ? std::strtoull(given, nullptr, 0) : 20241121;
    std::printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(seed));
    static World storm, calm;
    const uint64_t orders = std::getenv("TINA_LONG") ? 100000 : 3000;
    for (World *each : {&storm, &calm}) {
        each->faults = each == &storm;
        each->seed = seed;
        each->orders_max = orders;
        each->numbered_max = orders;
        each->loop_every = orders > 3000 ? 5000 : 1000;
        uint64_t began_ns = CpuNs(CLOCK_MONOTONIC), cpu_ns = CpuNs(CLOCK_PROCESS_CPUTIME_ID);
        Play(each);
        uint64_t messages = 0, periods = 0;
        for (uint64_t count : each->sink_counts)
            messages += count;
        for (uint64_t count : each->pair_counts)
            messages += count;
        for (uint64_t count : each->periods)
            periods += count;
        std::printf("%s: %llu orders, %llu lives, %llu faults in init; %llu messages, %llu bytes "
                    "echoed, %llu periods, the latest by %.2f ms; %ld -> %ld fds, %ld -> %ld KiB; "
                    "%.2f s, %.2f s of CPU\n",
                    each->faults ? "storm" : "calm", static_cast<unsigned long long>(each->given),
                    static_cast<unsigned long long>(each->lives),
                    static_cast<unsigned long long>(each->init_faults),
                    static_cast<unsigned long long>(messages),
                    static_cast<unsigned long long>(each->echoed_bytes),
                    static_cast<unsigned long long>(periods),
                    static_cast<double>(each->latest_ns) / 1e6, each->early.open_fds,
                    each->late.open_fds, each->early.resident_kib, each->late.resident_kib,
                    static_cast<double>(CpuNs(CLOCK_MONOTONIC) - began_ns) / 1e9,
                    static_cast<double>(CpuNs(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns) / 1e9);
    }
    for (uint32_t i = 0; i < kKinds; i++) {
        std::printf("  %-30s %llu\n", kinds[i].name,
                    static_cast<unsigned long long>(storm.by_kind[i]));
        EXPECT_GT(storm.by_kind[i], 0u);
    }
    EXPECT_EQ(storm.given, orders);
    EXPECT_GT(storm.init_faults, 0u);
    EXPECT_EQ(storm.loops, kLoops ? orders / storm.loop_every : 0);
    std::printf("  %-30s %llu\n", "endless loop", static_cast<unsigned long long>(storm.loops));
    EXPECT_EQ(storm.lives, orders + kVictims + storm.init_faults);
    EXPECT_EQ(calm.lives, orders + kVictims);
    ExpectUnharmed(storm, calm);
    EXPECT_EQ(storm.late.counters.crashed, orders + storm.init_faults);
    ExpectHoldingsSame(storm.early, storm.late);
    ExpectHoldingsSame(storm.late, calm.late);
    // The clients' sockets and the echoes' are gone by the end.
    EXPECT_LE(storm.late.open_fds, storm.early.open_fds);
    EXPECT_EQ(storm.late.open_fds, calm.late.open_fds);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(storm.late.resident_kib - storm.early.resident_kib, 1024);
#endif
}

} // namespace
} // namespace tina
