// SPDX-License-Identifier: Apache-2.0
//
// Which probes (core/probe.h) runs have reached. The program must be linked statically, which puts
// all of its probes into one table.

#ifndef TINA_SIM_PROBES_H
#define TINA_SIM_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_PROBES_MAX 256u

typedef struct sim_probes {
    uint64_t hits[SIM_PROBES_MAX];
} sim_probes;

// sim_probes_take adds what was reached since the last time, on this process, and begins anew.
void sim_probes_take(sim_probes *probes);

// sim_probes_add adds another's.
void sim_probes_add(sim_probes *probes, const sim_probes *other);

// sim_probes_print writes a line a probe to stdout and returns whether there are any, and each was
// reached.
bool sim_probes_print(const sim_probes *probes);

#ifdef __cplusplus
}
#endif

#endif
