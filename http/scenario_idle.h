// SPDX-License-Identifier: Apache-2.0
//
// For a test: the scenario of many idle connections as large as it gets, and its figures.

#ifndef TINA_HTTP_SCENARIO_IDLE_H
#define TINA_HTTP_SCENARIO_IDLE_H

#include <stdint.h>

#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HTTP_IDLE_CROWD 100000u // connections

typedef struct http_idle_report {
    uint32_t connections;         // held at once, each after an answer
    uint32_t again;               // asked once more, and were answered
    uint32_t by_deadline;         // ended
    uint32_t by_drain;            // ended
    uint64_t touched_empty_bytes; // of the shard's arena, before the first connection
    uint64_t touched_bytes;       // ... while all are held
} http_idle_report;

// Calm but for what the seed's draws make of it; not among http_scenarios, since it takes long.
extern const tina_scenario http_scenario_idle_crowd;

// Of the last run that came to its end.
extern http_idle_report http_idle_last;

#ifdef __cplusplus
}
#endif

#endif
