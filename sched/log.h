// SPDX-License-Identifier: Apache-2.0
//
// The log ring: lines are formatted at the call, into memory of the ring's own, and written out at
// the end of a tick. A line that does not fit is counted, and the count is logged once there is
// room.

#ifndef TINA_SCHED_LOG_H
#define TINA_SCHED_LOG_H

#include <stdarg.h>

#include "sched/ctx.h"
#include "sched/shard.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_LOG_LINE_BYTES 480

typedef struct tina_log_ring {
    char *text;
    uint32_t capacity; // a power of two
    uint64_t written;  // bytes ever put in
    uint64_t flushed;  // bytes ever taken out; written - flushed <= capacity
    uint64_t dropped;  // lines lost since the last line that says so
    int level;
    tina_log_write write;
    void *where;
} tina_log_ring;

void tina_log_open(tina_log_ring *ring, char *text, uint32_t capacity, int level,
                   tina_log_write write, void *where);

static inline bool tina_log_wants(const tina_log_ring *ring, tina_log_level level) {
    return (unsigned)level > TINA_LOG_DEBUG ? ring->level >= TINA_LOG_DEBUG
                                            : (int)level <= ring->level;
}

// tina_log_format writes one line: UTC time, level, who, text. Returns its length.
size_t tina_log_format(char line[TINA_LOG_LINE_BYTES], uint64_t wall_s, tina_log_level level,
                       const char *who, const char *format, va_list arguments);

// tina_log_put queues a line for the next flush, and returns false when there was no room.
bool tina_log_put(tina_log_ring *ring, const char *line, size_t bytes);

// tina_log_flush writes what the writer takes.
void tina_log_flush(tina_log_ring *ring, uint64_t wall_s);

static inline bool tina_log_is_empty(const tina_log_ring *ring) {
    return ring->written == ring->flushed && ring->dropped == 0;
}

#ifdef __cplusplus
}
#endif

#endif
