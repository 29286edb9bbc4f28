// SPDX-License-Identifier: Apache-2.0
//
// How long a shard that has nothing to do looks for messages before it sleeps: as long as that has
// paid lately, up to a bound, and not at all when it has not. A sleeper is woken in 26 to 39 µs,
// one that looks sees a message in 0.3 µs; but looking burns a core that others may want.

#ifndef TINA_SCHED_SPIN_H
#define TINA_SCHED_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/shard.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_SPIN_MAX_NS 50000u
#define TINA_SPIN_MIN_NS 2000u

typedef struct tina_spin {
    uint32_t bound_ns; // of the next look; 0: none
} tina_spin;

// tina_spin_finds_work looks for what other shards send, and returns true when there is any.
bool tina_spin_finds_work(tina_spin *spin, tina_shard *shard, uint64_t until_ns);

// tina_spin_slept tells how long the sleep was that followed a look.
void tina_spin_slept(tina_spin *spin, uint64_t slept_ns);

#ifdef __cplusplus
}
#endif

#endif
