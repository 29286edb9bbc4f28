// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a shard that has faulted as a whole: it is rebuilt while its budget lasts, then
// put in quarantine, and when none is left that works, the process ends.

#ifndef TINA_SUPERVISE_QUARANTINE_H
#define TINA_SUPERVISE_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "supervise/policy.h"
#include "supervise/window.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_REBUILDS_DEFAULT           3u
#define TINA_REBUILDS_MAX               16u
#define TINA_REBUILDS_NONE              UINT32_MAX // the first fault is one too many
#define TINA_REBUILDS_PERIOD_DEFAULT_NS UINT64_C(60000000000)

// Zero means the default.
typedef struct tina_quarantine_policy {
    uint32_t rebuilds;  // within period_ns, of one shard; up to TINA_REBUILDS_MAX; default 3
    uint64_t period_ns; // default 60 s
    tina_abort_policy abort;
} tina_quarantine_policy;

// One shard's budget; a value of whoever rebuilds shards.
typedef struct tina_quarantine {
    tina_abort_policy abort;
    tina_window window;
    uint64_t times[TINA_REBUILDS_MAX];
} tina_quarantine;

typedef enum tina_quarantine_verdict {
    TINA_QUARANTINE_REBUILD = 0,
    TINA_QUARANTINE_KEEP,  // in quarantine: stopped, its memory mapped, its peers told
    TINA_QUARANTINE_ABORT, // the process
} tina_quarantine_verdict;

// tina_quarantine_init gives a shard its budget. The quarantine is not moved afterwards.
void tina_quarantine_init(tina_quarantine *quarantine, const tina_quarantine_policy *policy);

// tina_quarantine_faulted decides about a shard that has faulted as a whole. drained: all its
// operations have ended, without which its memory cannot be used anew. others: shards that work,
// without this one. now_ns is monotonic.
tina_quarantine_verdict tina_quarantine_faulted(tina_quarantine *quarantine, bool drained,
                                                uint32_t others, uint64_t now_ns);

// tina_quarantine_revived gives a shard that is revived from outside its whole budget again.
void tina_quarantine_revived(tina_quarantine *quarantine);

#ifdef __cplusplus
}
#endif

#endif
