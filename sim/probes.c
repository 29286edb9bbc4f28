// SPDX-License-Identifier: Apache-2.0

#include "sim/probes.h"

#include <stdio.h>

#include "core/assert.h"
#include "core/probe.h"

static uint32_t probe_count(void) {
    uint32_t count = (uint32_t)(tina_probes_end - tina_probes_begin);
    TINA_ASSERT(count <= SIM_PROBES_MAX);
    return count;
}

void sim_probes_take(sim_probes *probes) {
    for (uint32_t i = 0; i < probe_count(); i++) {
        probes->hits[i] += tina_atomic_u64_load_relaxed(&tina_probes_begin[i].hits);
        tina_atomic_u64_store_relaxed(&tina_probes_begin[i].hits, 0);
    }
}

void sim_probes_add(sim_probes *probes, const sim_probes *other) {
    for (uint32_t i = 0; i < probe_count(); i++)
        probes->hits[i] += other->hits[i];
}

bool sim_probes_print(const sim_probes *probes) {
    uint32_t missed = 0;
    for (uint32_t i = 0; i < probe_count(); i++) {
        missed += probes->hits[i] == 0;
        printf("%12llu  %s%s\n", (unsigned long long)probes->hits[i], tina_probes_begin[i].name,
               probes->hits[i] ? "" : "  <- never");
    }
    printf("%u of %u probes were reached\n", probe_count() - missed, probe_count());
    return probe_count() > 0 && missed == 0;
}
