// SPDX-License-Identifier: Apache-2.0
//
// What memory_model.cc, which searches, and memory_model_thread.cc, which is called by the threads
// that are searched, share: a state, and the one thread that is running.

#ifndef TINA_RING_MEMORY_MODEL_STATE_H
#define TINA_RING_MEMORY_MODEL_STATE_H

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/prng.h"
#include "ring/memory_model.h"

namespace model {

constexpr size_t kThreadMax = 3;
constexpr size_t kLocationMax = 7;
constexpr size_t kStoreMax = 24;
constexpr size_t kCellMax = 8;
constexpr size_t kLogMax = 96;

// Fatal ends the process: the program asks more than the model can do.
[[noreturn]] void Fatal(const char *text);

// What happens before a point of a thread: per location the index of its newest store, per thread
// the count of its operations. Both only grow, so a join is the greater of each.
struct View {
    uint8_t store[kLocationMax] = {};
    uint8_t clock[kThreadMax] = {};

    void Join(const View &other) {
        for (size_t i = 0; i < kLocationMax; i++) {
            store[i] = std::max(store[i], other.store[i]);
        }
        for (size_t i = 0; i < kThreadMax; i++) {
            clock[i] = std::max(clock[i], other.clock[i]);
        }
    }
};

struct Store {
    uint64_t value;
    View released; // what an acquiring load of it joins
};

struct Location {
    size_t store_count = 0;
    uint8_t plain_writers = 0; // a bit a thread
    bool has_exchange = false;
    Store stores[kStoreMax];
};

struct Cell {
    uint64_t value = 0;
    uint8_t writer = 0;
    uint8_t write_clock = 0;
    uint8_t read_clock[kThreadMax] = {};
};

enum class OperationKind {
    kLoad,
    kStore,
    kExchange,
    kFetchOr,
    kAwaitChange,
    kSignal,
    kWait,
    kEnd,
};

struct Operation {
    OperationKind kind = OperationKind::kEnd;
    size_t location = 0;
    uint64_t value = 0;
    bool acquires = false;
    bool releases = false;
    const char *function = "";
    int line = 0;
    bool is_site = false; // it orders something, or would if it were not weakened
};

struct Thread {
    View view;
    Operation next;
    size_t log_count = 0;
    uint64_t log[kLogMax];
    uint64_t name[2] = {1, 2}; // of the log

    void Append(uint64_t result, uint64_t store) {
        if (log_count == kLogMax) {
            Fatal("a thread's log is full");
        }
        log[log_count++] = result;
        name[0] = tina_prng_mix(name[0] ^ tina_prng_mix(result * 64 + store));
        name[1] = tina_prng_mix(name[1] + tina_prng_mix(result * 61 + store + 7));
    }
};

struct State {
    Thread threads[kThreadMax];
    Location locations[kLocationMax];
    Cell cells[kCellMax];
};

// The thread that is running, or the set-up. Threads are left by longjmp, so nothing here is built
// or destroyed while one runs.
struct Running {
    const Program *program;
    Weakening weakening;
    Site weak_site;
    std::vector<unsigned char> copy;      // of the world
    std::vector<size_t> location_offsets; // in the world
    uint64_t reached_max = 0;
    State *state = nullptr;
    size_t thread = 0;
    size_t position = 0; // in the thread's log
    bool in_setup = false;
    char failure[200] = ""; // why the thread was left, unless for an operation
    jmp_buf leave;
};

extern Running *running;

} // namespace model

#endif
