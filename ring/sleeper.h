// SPDX-License-Identifier: Apache-2.0
//
// The word by which a thread that may block learns of work, and those who bring it learn whether to
// pay for waking it.
//
//     who waits                              who brings work
//     tina_sleeper_announce                  tina_ring_publish
//     look at every ring again               if (tina_sleeper_must_wake) wake it (a system call)
//     if there is nothing, block
//     tina_sleeper_awake
//     work, and begin anew
//
// Either the bringer's exchange comes first, and the waiter's, which reads it, shows the waiter
// what was published; or the waiter's comes first, and the bringer reads that it must wake. A plain
// store and load on either side loses wake-ups: both could miss the other's store.
// ring/memory_model_test explores this together with the ring.
//
// The wake must be remembered when it comes before the block (eventfd, a posted completion), and
// what blocks must tolerate a wake for which nothing is left to do.
//
// Performance: a bringer pays one locked exchange a batch. Where several bring work to one waiter,
// give each pair its own sleeper, so that the line stays with the bringer: the waiter announces on
// all of them, which costs only those about to block.

#ifndef TINA_RING_SLEEPER_H
#define TINA_RING_SLEEPER_H

#include <stdbool.h>

#include "core/atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_sleeper {
    // Written by both sides, by exchanges only.
    TINA_ALIGNAS(TINA_CACHE_LINE_BYTES) tina_atomic_u32 asleep;
} tina_sleeper;

// tina_sleeper_init makes a sleeper that is awake; before any other thread knows of it.
static inline void tina_sleeper_init(tina_sleeper *sleeper) {
    tina_atomic_u32_store_relaxed(&sleeper->asleep, 0);
}

// tina_sleeper_announce says that the calling thread will block unless it finds work that was
// brought before. What it looks at after this call includes all that bringers who need not wake it
// have published.
static inline void tina_sleeper_announce(tina_sleeper *sleeper) {
    // Pairs with the exchange in tina_sleeper_must_wake.
    (void)tina_atomic_u32_exchange(&sleeper->asleep, 1);
}

// tina_sleeper_awake ends tina_sleeper_announce, whether the thread blocked or found work.
static inline void tina_sleeper_awake(tina_sleeper *sleeper) {
    // Reads the exchange in tina_sleeper_must_wake. A bringer that came after the one who took the
    // wake did not wake us again: exchanging, we pass on what it released to our next announcement,
    // which then sees what it published. A plain store would lose it.
    (void)tina_atomic_u32_exchange(&sleeper->asleep, 0);
}

// tina_sleeper_must_wake returns true when the caller, having published, must wake the sleeper:
// once for each announcement, to one bringer.
static inline bool tina_sleeper_must_wake(tina_sleeper *sleeper) {
    // Pairs with the exchanges in tina_sleeper_announce and tina_sleeper_awake.
    return tina_atomic_u32_exchange(&sleeper->asleep, 0) != 0;
}

#ifdef __cplusplus
}
#endif

#endif
