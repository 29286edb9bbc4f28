// SPDX-License-Identifier: Apache-2.0
//
// What a shard's thread is in, which decides what a fault there costs and whether it can be
// stopped.

#ifndef TINA_SUPERVISE_PHASE_H
#define TINA_SUPERVISE_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tina_phase {
    TINA_PHASE_USER = 0,  // a handler
    TINA_PHASE_COPYING,   // the runtime reads user memory, and has changed nothing yet
    TINA_PHASE_CALL,      // a ctx call changes the shard
    TINA_PHASE_FRAMEWORK, // the scheduler
} tina_phase;

// tina_phase_is_users returns whether a handler could be cut here with nothing half changed.
static inline bool tina_phase_is_users(uint32_t phase) {
    return phase <= TINA_PHASE_COPYING;
}

#ifdef __cplusplus
}
#endif

#endif
