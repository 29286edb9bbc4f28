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

// tina_cores_shards tells how many shards a spec's shard_count means here, or a sentence why so
// many cannot be.
bool tina_cores_shards(const tina_cores *cores, uint32_t shard_count, uint32_t *count,
                       char sentence[TINA_SENTENCE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
