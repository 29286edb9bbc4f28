// SPDX-License-Identifier: Apache-2.0
//
// Probes: rare places in the code, counted, so that a campaign of simulated runs can say which of
// them it has never reached. A test that reaches only the common ways proves little.
//
// A probe costs a load and a store of a line of its own. It is for places that are rare in
// production. Threads that pass one at once may lose a count, as it is asked only whether there is
// any.

#ifndef TINA_CORE_PROBE_H
#define TINA_CORE_PROBE_H

#include "core/atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_probe {
    const char *name;
    tina_atomic_u64 hits;
} tina_probe;

#if defined(__linux__) && !defined(__cplusplus)
// TINA_SIM_PROBE counts that this place was reached, under a name that says what it means.
#define TINA_SIM_PROBE(text)                                                                       \
    do {                                                                                           \
        static tina_probe probe_here                                                               \
            __attribute__((section("tina_probes"), used, aligned(16))) = {.name = (text)};         \
        tina_atomic_u64_store_relaxed(&probe_here.hits,                                            \
                                      tina_atomic_u64_load_relaxed(&probe_here.hits) + 1);         \
    } while (0)
#endif

// All probes of the program that are linked statically, from the linker.
extern tina_probe tina_probes_begin[] __asm__("__start_tina_probes") __attribute__((weak));
extern tina_probe tina_probes_end[] __asm__("__stop_tina_probes") __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
