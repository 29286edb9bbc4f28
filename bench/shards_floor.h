// SPDX-License-Identifier: Apache-2.0
//
// What two threads can do that have nothing but a ring, or one system call, between them: the
// floors of shards_bench.

#ifndef TINA_BENCH_SHARDS_FLOOR_H
#define TINA_BENCH_SHARDS_FLOOR_H

#include <cstdint>
#include <vector>

namespace tina {

uint64_t MonotonicNs();

// The middle of values that are not empty; by value, as it sorts them.
double Median(std::vector<double> values);

// Two sides that run at once, each on a thread of its own. The near side returns the nanoseconds
// of one.
struct Floor {
    double (*near_side)(uint64_t count);
    void (*far_side)(uint64_t count);
};

// The time in which a cache line goes from one core to the other.
extern const Floor floor_line;

// A 128-byte item there and one back, over two rings, both ends looking without a break.
extern const Floor floor_trip;

// Items of 32 bytes of header and 8 or 96 of payload, published and consumed in batches.
extern const Floor floor_flood_8;
extern const Floor floor_flood_96;

// FloorRingsBegin empties the rings of all these; between two of them that is not needed.
void FloorRingsBegin();

// From before the call that wakes a thread to its first instruction, the sleeper having slept for
// a millisecond: how long each took.
std::vector<double> FloorEventfdNs(uint64_t wakes);
std::vector<double> FloorFutexNs(uint64_t wakes);
std::vector<double> FloorRingMessageNs(uint64_t wakes); // IORING_OP_MSG_RING; empty if refused

} // namespace tina

#endif
