// SPDX-License-Identifier: Apache-2.0
//
// bazel run -c opt //ring:ring_bench [-- small]
//
// The ring against boost::lockfree::spsc_queue and ck_ring: 1024 items of 128 bytes, which the
// producer writes and the consumer reads, every word. In each round all contestants run once, in
// turn; figures are medians over the rounds, ratios are medians of each round's ratio. Figures of
// two threads depend on what a cache line costs between the two cores, which changes under a
// hypervisor; so that is measured before and after.

#include "ring/ring.h"
#include "ring/ring_bench_peer.h"

#include <algorithm>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdio>
#include <cstring>
#include <sched.h>
#include <thread>
#include <time.h>
#include <vector>

namespace {

tina_ring ring;
alignas(TINA_CACHE_LINE_BYTES) bench_item slots[BENCH_CAPACITY];

template <uint32_t kItemBytes> void TinaReset() {
    tina_ring_init(&ring, slots, BENCH_CAPACITY, kItemBytes, 0);
}

// Items are written and read where they lie.
template <uint32_t kBatch> void TinaProduce(uint64_t items) {
    for (uint64_t i = 0; i < items;) {
        uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(kBatch, items - i));
        auto *run = static_cast<bench_item *>(tina_ring_claim(&ring, &count));
        if (run == nullptr) {
            bench_pause();
            continue;
        }
        for (uint32_t j = 0; j < count; j++) {
            bench_item_write(&run[j], i++);
        }
        tina_ring_publish(&ring, count);
    }
}

template <uint32_t kBatch> uint64_t TinaConsume(uint64_t items) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < items;) {
        uint32_t count = kBatch;
        auto *run = static_cast<const bench_item *>(tina_ring_peek(&ring, &count));
        if (run == nullptr) {
            bench_pause();
            continue;
        }
        for (uint32_t j = 0; j < count; j++) {
            sum += bench_item_read(&run[j]);
        }
        i += count;
        tina_ring_consume(&ring, count);
    }
    return sum;
}

// Items are written elsewhere and copied in, copied out and read, as boost and ck do.
template <uint32_t kBatch> void TinaCopyProduce(uint64_t items) {
    bench_item item;
    for (uint64_t i = 0; i < items;) {
        uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(kBatch, items - i));
        auto *run = static_cast<bench_item *>(tina_ring_claim(&ring, &count));
        if (run == nullptr) {
            bench_pause();
            continue;
        }
        for (uint32_t j = 0; j < count; j++) {
            bench_item_write(&item, i++);
            asm volatile("" : "+m"(item));
            run[j] = item;
        }
        tina_ring_publish(&ring, count);
    }
}

template <uint32_t kBatch> uint64_t TinaCopyConsume(uint64_t items) {
    uint64_t sum = 0;
    bench_item item;
    for (uint64_t i = 0; i < items;) {
        uint32_t count = kBatch;
        auto *run = static_cast<const bench_item *>(tina_ring_peek(&ring, &count));
        if (run == nullptr) {
            bench_pause();
            continue;
        }
        for (uint32_t j = 0; j < count; j++) {
            item = run[j];
            asm volatile("" : "+m"(item));
            sum += bench_item_read(&item);
        }
        i += count;
        tina_ring_consume(&ring, count);
    }
    return sum;
}

void TinaWordProduce(uint64_t items) {
    for (uint64_t i = 0; i < items;) {
        uint32_t count = 1;
        auto *word = static_cast<uint64_t *>(tina_ring_claim(&ring, &count));
        if (word == nullptr) {
            bench_pause();
            continue;
        }
        *word = i++;
        tina_ring_publish(&ring, 1);
    }
}

uint64_t TinaWordConsume(uint64_t items) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < items;) {
        uint32_t count = 1;
        auto *word = static_cast<const uint64_t *>(tina_ring_peek(&ring, &count));
        if (word == nullptr) {
            bench_pause();
            continue;
        }
        sum += 16 * *word;
        i++;
        tina_ring_consume(&ring, 1);
    }
    return sum;
}

boost::lockfree::spsc_queue<bench_item, boost::lockfree::capacity<BENCH_CAPACITY>> boost_queue;

void BoostReset() {
    boost_queue.reset();
}

void BoostProduce(uint64_t items) {
    bench_item item;
    for (uint64_t i = 0; i < items; i++) {
        bench_item_write(&item, i);
        while (!boost_queue.push(item)) {
            bench_pause();
        }
    }
}

uint64_t BoostConsume(uint64_t items) {
    uint64_t sum = 0;
    bench_item item;
    for (uint64_t i = 0; i < items; i++) {
        while (!boost_queue.pop(item)) {
            bench_pause();
        }
        sum += bench_item_read(&item);
    }
    return sum;
}

uint64_t BoostConsumeInPlace(uint64_t items) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < items; i++) {
        while (!boost_queue.consume_one(
            [&sum](const bench_item &item) { sum += bench_item_read(&item); })) {
            bench_pause();
        }
    }
    return sum;
}

void BoostBatchProduce(uint64_t items) {
    bench_item batch[BENCH_BATCH];
    for (uint64_t i = 0; i < items;) {
        size_t count = std::min<uint64_t>(BENCH_BATCH, items - i);
        for (size_t j = 0; j < count; j++) {
            bench_item_write(&batch[j], i++);
        }
        for (size_t done = 0; done < count;) {
            size_t pushed = boost_queue.push(&batch[done], count - done);
            done += pushed;
            if (pushed == 0) {
                bench_pause();
            }
        }
    }
}

uint64_t BoostBatchConsume(uint64_t items) {
    uint64_t sum = 0;
    bench_item batch[BENCH_BATCH];
    for (uint64_t i = 0; i < items;) {
        size_t count = boost_queue.pop(batch, BENCH_BATCH);
        for (size_t j = 0; j < count; j++) {
            sum += bench_item_read(&batch[j]);
        }
        i += count;
        if (count == 0) {
            bench_pause();
        }
    }
    return sum;
}

uint64_t BoostBatchConsumeInPlace(uint64_t items) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < items;) {
        size_t count = boost_queue.consume_all(
            [&sum](const bench_item &item) { sum += bench_item_read(&item); });
        i += count;
        if (count == 0) {
            bench_pause();
        }
    }
    return sum;
}

struct Contestant {
    const char *name;
    void (*reset)();
    void (*produce)(uint64_t items);
    uint64_t (*consume)(uint64_t items);
};

struct Figures {
    double wall_ns;
    double cpu_ns;
};

double Now(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void Pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    (void)sched_setaffinity(0, sizeof set, &set); // a benchmark runs unpinned where it may not pin
}

void CheckSum(const char *name, uint64_t sum, uint64_t items) {
    if (sum != 16 * (items * (items - 1) / 2)) {
        fprintf(stderr, "%s lost or changed an item\n", name);
        exit(1);
    }
}

Figures TwoThreads(const Contestant &contestant, uint64_t items) {
    contestant.reset();
    double producer_cpu = 0;
    double start = Now(CLOCK_MONOTONIC);
    std::thread producer([&] {
        Pin(1);
        double cpu = Now(CLOCK_THREAD_CPUTIME_ID);
        contestant.produce(items);
        producer_cpu = Now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    });
    double cpu = Now(CLOCK_THREAD_CPUTIME_ID);
    uint64_t sum = contestant.consume(items);
    double consumer_cpu = Now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    producer.join();
    double wall = Now(CLOCK_MONOTONIC) - start;
    CheckSum(contestant.name, sum, items);
    return {wall / static_cast<double>(items),
            (producer_cpu + consumer_cpu) / static_cast<double>(items)};
}

// Pushes 64, pops 64, in one thread.
Figures OneThread(const Contestant &contestant, uint64_t items) {
    contestant.reset();
    constexpr uint64_t kChunk = 64;
    double wall = Now(CLOCK_MONOTONIC);
    double cpu = Now(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < items; i += kChunk) {
        contestant.produce(kChunk);
        CheckSum(contestant.name, contestant.consume(kChunk), kChunk);
    }
    return {(Now(CLOCK_MONOTONIC) - wall) / static_cast<double>(items),
            (Now(CLOCK_THREAD_CPUTIME_ID) - cpu) / static_cast<double>(items)};
}

// Returns the time in which a line goes from one core to the other.
double BounceNs(uint64_t trips) {
    alignas(TINA_CACHE_LINE_BYTES) static tina_atomic_u64 word;
    tina_atomic_u64_store_relaxed(&word, 0);
    std::thread other([&] {
        Pin(1);
        for (uint64_t i = 0; i < trips; i++) {
            while (tina_atomic_u64_load_acquire(&word) != 2 * i + 1) {
            }
            tina_atomic_u64_store_release(&word, 2 * i + 2);
        }
    });
    double start = Now(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < trips; i++) {
        tina_atomic_u64_store_release(&word, 2 * i + 1);
        while (tina_atomic_u64_load_acquire(&word) != 2 * i + 2) {
        }
    }
    double wall = Now(CLOCK_MONOTONIC) - start;
    other.join();
    return wall / static_cast<double>(2 * trips);
}

double Median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

using Measure = Figures (*)(const Contestant &, uint64_t items);

// The first contestant is the ring as its users use it; ratios are to it.
void Compare(const char *title, Measure measure, const std::vector<Contestant> &contestants,
             uint64_t items, int rounds) {
    std::vector<std::vector<double>> wall(contestants.size());
    std::vector<std::vector<double>> cpu(contestants.size());
    std::vector<std::vector<double>> ratio(contestants.size());
    std::vector<std::vector<double>> cpu_ratio(contestants.size());
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < contestants.size(); i++) {
            Figures figures = measure(contestants[i], items);
            wall[i].push_back(figures.wall_ns);
            cpu[i].push_back(figures.cpu_ns);
            ratio[i].push_back(figures.wall_ns / wall[0].back());
            cpu_ratio[i].push_back(figures.cpu_ns / cpu[0].back());
        }
    }
    printf("\n%-44s %8s %8s %8s %8s\n", title, "ns/item", "x first", "CPU ns", "x first");
    for (size_t i = 0; i < contestants.size(); i++) {
        printf("  %-42s %8.1f %8.2f %8.1f %8.2f\n", contestants[i].name, Median(wall[i]),
               Median(ratio[i]), Median(cpu[i]), Median(cpu_ratio[i]));
    }
}

} // namespace

int main(int argc, char **argv) {
    bool small = argc > 1 && strcmp(argv[1], "small") == 0;
    uint64_t items = small ? 6400 : 1280000;
    int rounds = small ? 1 : 9;
    uint64_t trips = small ? 1000 : 100000;
    const std::vector<Contestant> batched = {
        {"tina, in place", TinaReset<128>, TinaProduce<32>, TinaConsume<32>},
        {"tina, copied in and out", TinaReset<128>, TinaCopyProduce<32>, TinaCopyConsume<32>},
        {"tina, in place, consuming all", TinaReset<128>, TinaProduce<32>,
         TinaConsume<BENCH_CAPACITY>},
        {"boost, push and pop", BoostReset, BoostBatchProduce, BoostBatchConsume},
        {"boost, push and consume_all", BoostReset, BoostBatchProduce, BoostBatchConsumeInPlace},
    };
    const std::vector<Contestant> single = {
        {"tina, in place", TinaReset<128>, TinaProduce<1>, TinaConsume<1>},
        {"tina, copied in and out", TinaReset<128>, TinaCopyProduce<1>, TinaCopyConsume<1>},
        {"boost, push and pop", BoostReset, BoostProduce, BoostConsume},
        {"boost, push and consume_one", BoostReset, BoostProduce, BoostConsumeInPlace},
        {"ck, copied in and out", bench_ck_reset, bench_ck_produce, bench_ck_consume},
    };
    const std::vector<Contestant> words = {
        {"tina", TinaReset<8>, TinaWordProduce, TinaWordConsume},
        {"ck", bench_ck_reset, bench_ck_pointer_produce, bench_ck_pointer_consume},
    };

    Pin(0);
    printf("A cache line crosses in %.0f ns.\n", BounceNs(trips));
    Compare("two threads, 128 bytes, batches of 32", TwoThreads, batched, items, rounds);
    Compare("two threads, 128 bytes, one at a time", TwoThreads, single, items, rounds);
    Compare("two threads, 8 bytes, one at a time", TwoThreads, words, items, rounds);
    Compare("one thread, 128 bytes, batches of 32", OneThread, batched, items, rounds);
    Compare("one thread, 128 bytes, one at a time", OneThread, single, items, rounds);
    Compare("one thread, 8 bytes, one at a time", OneThread, words, items, rounds);
    printf("\nA cache line crosses in %.0f ns.\n", BounceNs(trips));
    return 0;
}
