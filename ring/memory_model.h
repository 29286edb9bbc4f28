// SPDX-License-Identifier: Apache-2.0
//
// Explores every behaviour that C11 allows a few threads which use core/atomic.h's operations.
//
// Each location keeps all its stores in modification order. A thread has a view: for each location
// the oldest store that it may still read. A load branches over every store from there on; an
// acquiring load of a releasing store joins the view that was released with it. The view also holds
// a vector clock, by which accesses to plain memory are checked for races. Between any two
// operations any other thread may run. So weak behaviours come from what loads return, and not only
// from the order of steps.
//
// A thread is a plain function. To take a step, it is run again from its start on its own copy of
// the world, is answered from its log, and is left by longjmp at the first operation that the log
// does not hold; so a state is a value that can be copied, and searched depth first. A state is
// named by the threads' logs (what each read, and from which store), which determine all the rest;
// one that was seen is not entered again, however its steps were ordered.
//
// Exactness. The model forbids cycles of program order and reads-from, as RC11 does (Lahav et al.,
// "Repairing sequential consistency in C/C++11", PLDI 2017), and appends to modification order as
// steps run. The second loses nothing where a location has one plain writer, or is written by
// read-modify-writes only; the model checks that. A sequentially consistent one of those is
// explored as acquire and release only: what holds here holds for the stronger one. Plain stores do
// not continue release sequences (C++20, weaker than C11).

#ifndef TINA_RING_MEMORY_MODEL_H
#define TINA_RING_MEMORY_MODEL_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace model {

enum class Weakening {
    kNone,
    kRelaxed, // the operation orders nothing
    kSplit,   // a read-modify-write is a load, acquire, and then a store, release
};

// A place in the source that orders something.
struct Site {
    const char *function = "";
    int line = 0;
    bool is_exchange = false; // or fetch_or

    bool operator<(const Site &other) const {
        int order = strcmp(function, other.function);
        return order != 0 ? order < 0 : line < other.line;
    }
};

struct Program {
    // The world is copied by memcpy. Its atomics are all that the threads share, together with the
    // words in cells, which are reached by pointer and not copied.
    void *world;
    size_t world_bytes;
    const uint64_t *cells;
    size_t cell_count;
    std::function<void()> setup; // initialises *world
    std::vector<std::function<void(void *world)>> threads;
};

struct Result {
    std::string failure; // empty, or what failed and the steps that lead there
    uint64_t states = 0;
    uint64_t executions = 0;  // complete, and different in what some load returned
    double interleavings = 0; // the orders of steps that these stand for
    uint64_t reached_max = 0; // the greatest value given to Reached
    std::set<Site> sites;
};

// Explore runs all executions of program with one site weakened, or none, up to the first failure.
Result Explore(const Program &program, Weakening weakening = Weakening::kNone,
               const Site &site = Site());

// For threads:

// ReadCell and WriteCell access plain memory; a race is a failure.
uint64_t ReadCell(const uint64_t *cell);
void WriteCell(uint64_t *cell, uint64_t value);
// Require fails the execution unless condition holds.
void Require(bool condition, const char *text);
void Reached(uint64_t value);
// AwaitChange stands for a loop around the load of location just done: it returns when there is a
// store that the load did not return.
void AwaitChange(const void *location);
// SignalEvent and WaitEvent are an eventfd: a wait returns once a signal was given since the last.
// When no thread can run and one has not ended, the execution fails.
void SignalEvent(void *location);
void WaitEvent(void *location);

} // namespace model

#endif
