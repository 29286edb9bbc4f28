// SPDX-License-Identifier: Apache-2.0
//
// Which processors this process may use, at boot.

#ifndef TINA_SCHED_CORES_H
#define TINA_SCHED_CORES_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_CORES_MAX 1024u

typedef struct tina_cores {
    uint32_t count; // that affinity allows (sched_getaffinity(2))
    uint32_t quota; // that the cgroup's cpu.max pays for, rounded up; count when it sets no limit
    uint16_t numbers[TINA_CORES_MAX];
} tina_cores;

// tina_cores_read never fails: what cannot be read limits nothing, and one core there is.
void tina_cores_read(tina_cores *cores);

// tina_cores_shards tells how many shards a spec means here, or a sentence why they cannot be: so
// many, or on the cores that it names.
bool tina_cores_shards(const tina_cores *cores, const tina_spec *spec, uint32_t *count,
                       char sentence[TINA_SENTENCE_BYTES]);

// tina_cores_accept returns whether so many shards can run on the cores that a spec names, if any.
bool tina_cores_accept(const tina_cores *cores, const tina_spec *spec, uint32_t shard_count,
                       char sentence[TINA_SENTENCE_BYTES]);

// tina_cores_used returns how many cores so many shards have together.
uint32_t tina_cores_used(const tina_cores *cores, const tina_spec *spec);

// tina_cores_of returns the core to pin a shard to, or -1: more shards than cores share them
// unpinned, so that the kernel can balance what they do.
int tina_cores_of(const tina_cores *cores, const tina_spec *spec, uint32_t number, uint32_t count);

#ifdef __cplusplus
}
#endif

#endif
