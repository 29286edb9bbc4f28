// SPDX-License-Identifier: Apache-2.0

#include "sched/spin.h"

#include "sched/member.h"

#define LOOKS_A_CLOCK 32u

bool tina_spin_finds_work(tina_spin *spin, tina_shard *shard, uint64_t until_ns) {
    if (tina_shard_is_called(shard))
        return true;
    if (spin->bound_ns == 0)
        return false;
    uint64_t end_ns = system_now().monotonic_ns + spin->bound_ns;
    if (until_ns < end_ns)
        end_ns = until_ns;
    do {
        for (uint32_t i = 0; i < LOOKS_A_CLOCK; i++) {
            if (tina_shard_is_called(shard)) {
                // It paid: next time as long again, and more.
                if (spin->bound_ns < TINA_SPIN_MAX_NS)
                    spin->bound_ns += spin->bound_ns / 2;
                return true;
            }
            __builtin_ia32_pause();
        }
    } while (system_now().monotonic_ns < end_ns);
    spin->bound_ns /= 2;
    if (spin->bound_ns < TINA_SPIN_MIN_NS)
        spin->bound_ns = 0;
    return false;
}

// A sleep so short would have been saved by looking a little longer.
void tina_spin_slept(tina_spin *spin, uint64_t slept_ns) {
    if (slept_ns >= TINA_SPIN_MAX_NS)
        return;
    uint64_t bound_ns = spin->bound_ns ? 2 * (uint64_t)spin->bound_ns : TINA_SPIN_MIN_NS;
    spin->bound_ns = bound_ns > TINA_SPIN_MAX_NS ? TINA_SPIN_MAX_NS : (uint32_t)bound_ns;
}
