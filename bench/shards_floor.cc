// SPDX-License-Identifier: Apache-2.0

#include "bench/shards_floor.h"

#include "core/atomic.h"
#include "ring/ring.h"

#include <liburing.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <thread>

namespace tina {

namespace {

constexpr uint32_t kCapacity = 16384; // as a pair's channel between two shards
constexpr uint32_t kBatch = 64;

struct Item {
    uint64_t words[16];
};

tina_ring there, back;
alignas(TINA_CACHE_LINE_BYTES) Item there_items[kCapacity], back_items[kCapacity];

const Item *Await(tina_ring *ring) {
    for (;;) {
        uint32_t count = 1;
        auto *item = static_cast<const Item *>(tina_ring_peek(ring, &count));
        if (item)
            return item;
        __builtin_ia32_pause();
    }
}

void Give(tina_ring *ring, uint64_t word) {
    uint32_t count = 1;
    auto *item = static_cast<Item *>(tina_ring_claim(ring, &count));
    std::memset(item, 0, 32);
    item->words[4] = word;
    tina_ring_publish(ring, 1);
}

uint64_t Take(tina_ring *ring) {
    uint64_t word = Await(ring)->words[4];
    tina_ring_consume(ring, 1);
    return word;
}

template <typename Side> double TimeOf(uint64_t count, Side side) {
    uint64_t from = MonotonicNs();
    side();
    return static_cast<double>(MonotonicNs() - from) / static_cast<double>(count);
}

alignas(TINA_CACHE_LINE_BYTES) tina_atomic_u64 line;

// A trip there and back is two.
double LineNear(uint64_t trips) {
    return TimeOf(2 * trips, [=] {
        for (uint64_t i = 0; i < trips; i++) {
            tina_atomic_u64_store_release(&line, 2 * i + 1);
            while (tina_atomic_u64_load_acquire(&line) != 2 * i + 2) {
            }
        }
    });
}

void LineFar(uint64_t trips) {
    for (uint64_t i = 0; i < trips; i++) {
        while (tina_atomic_u64_load_acquire(&line) != 2 * i + 1) {
        }
        tina_atomic_u64_store_release(&line, 2 * i + 2);
    }
}

double TripNear(uint64_t trips) {
    return TimeOf(trips, [=] {
        for (uint64_t i = 0; i < trips; i++) {
            Give(&there, i);
            if (Take(&back) != i)
                std::abort();
        }
    });
}

void TripFar(uint64_t trips) {
    for (uint64_t i = 0; i < trips; i++)
        Give(&back, Take(&there));
}

template <uint32_t kWords> double FloodNear(uint64_t items) {
    uint64_t sum = 0;
    double ns = TimeOf(items, [&] {
        for (uint64_t taken = 0; taken < items;) {
            uint32_t count = kBatch;
            auto *run = static_cast<const Item *>(tina_ring_peek(&there, &count));
            if (!run) {
                __builtin_ia32_pause();
                continue;
            }
            for (uint32_t i = 0; i < count; i++)
                for (uint32_t word = 0; word < kWords; word++)
                    sum += run[i].words[word];
            taken += count;
            tina_ring_consume(&there, count);
        }
    });
    if (sum != kWords * (items * (items - 1) / 2))
        std::abort();
    return ns;
}

template <uint32_t kWords> void FloodFar(uint64_t items) {
    for (uint64_t sent = 0; sent < items;) {
        uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(kBatch, items - sent));
        auto *run = static_cast<Item *>(tina_ring_claim(&there, &count));
        if (!run) {
            __builtin_ia32_pause();
            continue;
        }
        for (uint32_t i = 0; i < count; i++, sent++)
            for (uint32_t word = 0; word < kWords; word++)
                run[i].words[word] = sent;
        tina_ring_publish(&there, count);
    }
}

// To the nth core that this process may use, as the shards are.
void Pin(int nth) {
    static const cpu_set_t allowed = [] {
        cpu_set_t set;
        sched_getaffinity(0, sizeof set, &set);
        return set;
    }();
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || nth-- > 0)
            continue;
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        (void)sched_setaffinity(0, sizeof set, &set);
        return;
    }
}

// Both on threads of their own, so that the caller's stays unpinned.
void OnTwoCores(const std::function<void()> &first, const std::function<void()> &second) {
    std::thread one([&] {
        Pin(0);
        first();
    });
    std::thread other([&] {
        Pin(1);
        second();
    });
    one.join();
    other.join();
}

// A way to sleep on one core and to be woken from the other.
struct Bed {
    std::function<void()> sleep;
    std::function<void()> wake;
};

// The sleeper looks at nothing but the clock when it wakes.
std::vector<double> Wakes(uint64_t wakes, const Bed &bed) {
    std::vector<double> ns;
    tina_atomic_u64 woken_ns;
    tina_atomic_u64_store_relaxed(&woken_ns, 0);
    auto wake = [&] {
        for (uint64_t i = 0; i < wakes; i++) {
            timespec pause = {0, 1000000};
            nanosleep(&pause, nullptr);
            uint64_t from = MonotonicNs();
            bed.wake();
            uint64_t at;
            while ((at = tina_atomic_u64_load_acquire(&woken_ns)) == 0)
                sched_yield();
            tina_atomic_u64_store_release(&woken_ns, 0);
            ns.push_back(static_cast<double>(at - from));
        }
    };
    auto sleep = [&] {
        for (uint64_t i = 0; i < wakes; i++) {
            bed.sleep();
            tina_atomic_u64_store_release(&woken_ns, MonotonicNs());
        }
    };
    OnTwoCores(wake, sleep);
    return ns;
}

} // namespace

uint64_t MonotonicNs() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

double Median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

const Floor floor_line = {LineNear, LineFar};
const Floor floor_trip = {TripNear, TripFar};
const Floor floor_flood_8 = {FloodNear<(32 + 8) / 8>, FloodFar<(32 + 8) / 8>};
const Floor floor_flood_96 = {FloodNear<(32 + 96) / 8>, FloodFar<(32 + 96) / 8>};

void FloorRingsBegin() {
    tina_atomic_u64_store_relaxed(&line, 0);
    tina_ring_init(&there, there_items, kCapacity, sizeof(Item), 0);
    tina_ring_init(&back, back_items, kCapacity, sizeof(Item), 0);
}

std::vector<double> FloorEventfdNs(uint64_t wakes) {
    int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0)
        std::abort();
    Bed bed = {[fd] {
                   uint64_t count;
                   if (read(fd, &count, sizeof count) != sizeof count)
                       std::abort();
               },
               [fd] {
                   uint64_t one = 1;
                   if (write(fd, &one, sizeof one) != sizeof one)
                       std::abort();
               }};
    std::vector<double> ns = Wakes(wakes, bed);
    close(fd);
    return ns;
}

std::vector<double> FloorFutexNs(uint64_t wakes) {
    static tina_atomic_u32 word;
    tina_atomic_u32_store_relaxed(&word, 0);
    Bed bed = {[] {
                   while (tina_atomic_u32_load_acquire(&word) == 0)
                       syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
                   tina_atomic_u32_store_release(&word, 0);
               },
               [] {
                   tina_atomic_u32_store_release(&word, 1);
                   syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
               }};
    return Wakes(wakes, bed);
}

std::vector<double> FloorRingMessageNs(uint64_t wakes) {
    io_uring sleeper, waker;
    if (io_uring_queue_init(8, &sleeper, 0) != 0)
        return {};
    if (io_uring_queue_init(8, &waker, 0) != 0) {
        io_uring_queue_exit(&sleeper);
        return {};
    }
    auto finish = [](io_uring *ring) {
        io_uring_cqe *cqe;
        if (io_uring_wait_cqe(ring, &cqe) != 0 || cqe->res < 0)
            std::abort();
        io_uring_cqe_seen(ring, cqe);
    };
    Bed bed = {[&] { finish(&sleeper); },
               [&] {
                   io_uring_prep_msg_ring(io_uring_get_sqe(&waker), sleeper.ring_fd, 0, 0, 0);
                   io_uring_submit(&waker);
                   finish(&waker);
               }};
    std::vector<double> ns = Wakes(wakes, bed);
    io_uring_queue_exit(&waker);
    io_uring_queue_exit(&sleeper);
    return ns;
}

} // namespace tina
