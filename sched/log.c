// SPDX-License-Identifier: Apache-2.0

#include "sched/log.h"

#include <string.h>

#include "core/assert.h"
#include "core/bits.h"
#include "core/format.h"

void tina_log_open(tina_log_ring *ring, char *text, uint32_t capacity, int level,
                   tina_log_write write, void *where) {
    TINA_ASSERT(tina_is_power_of_two(capacity));
    TINA_ASSERT(capacity >= 2 * TINA_LOG_LINE_BYTES);
    *ring = (tina_log_ring){
        .text = text, .capacity = capacity, .level = level, .write = write, .where = where};
}

static void ring_put(tina_log_ring *ring, const char *line, size_t bytes) {
    uint32_t at = (uint32_t)ring->written & (ring->capacity - 1);
    size_t first = ring->capacity - at < bytes ? ring->capacity - at : bytes;
    memcpy(ring->text + at, line, first);
    memcpy(ring->text, line + first, bytes - first);
    ring->written += bytes;
}

static const char *const level_names[] = {"error", "warning", "info", "debug"};

// The time of day is enough on a line: whoever keeps logs stamps them with the date.
static size_t line_begin(char *line, size_t capacity, uint64_t wall_s, tina_log_level level,
                         const char *who) {
    unsigned day_s = (unsigned)(wall_s % 86400);
    return tina_format(line, capacity, "%02u:%02u:%02u %s %s: ", day_s / 3600, day_s / 60 % 60,
                       day_s % 60, level_names[level], who);
}

size_t tina_log_format(char line[TINA_LOG_LINE_BYTES], uint64_t wall_s, tina_log_level level,
                       const char *who, const char *format, va_list arguments) {
    if ((unsigned)level > TINA_LOG_DEBUG)
        level = TINA_LOG_DEBUG;
    size_t bytes = line_begin(line, TINA_LOG_LINE_BYTES, wall_s, level, who);
    if (bytes < TINA_LOG_LINE_BYTES)
        bytes += tina_format_v(line + bytes, TINA_LOG_LINE_BYTES - bytes, format, arguments);
    if (bytes > TINA_LOG_LINE_BYTES - 1)
        bytes = TINA_LOG_LINE_BYTES - 1;
    line[bytes++] = '\n';
    return bytes;
}

bool tina_log_put(tina_log_ring *ring, const char *line, size_t bytes) {
    if (bytes > ring->capacity - (ring->written - ring->flushed)) {
        ring->dropped++;
        return false;
    }
    ring_put(ring, line, bytes);
    return true;
}

static void dropped_line(tina_log_ring *ring, uint64_t wall_s) {
    char line[TINA_LOG_LINE_BYTES];
    size_t bytes = line_begin(line, sizeof line, wall_s, TINA_LOG_WARNING, "log");
    bytes += tina_format(line + bytes, sizeof line - bytes, "%llu lines were dropped\n",
                         (unsigned long long)ring->dropped);
    ring_put(ring, line, bytes);
    ring->dropped = 0;
}

static void ring_write(tina_log_ring *ring) {
    while (ring->flushed != ring->written) {
        uint32_t at = (uint32_t)ring->flushed & (ring->capacity - 1);
        uint64_t waiting = ring->written - ring->flushed;
        size_t bytes = ring->capacity - at < waiting ? ring->capacity - at : (size_t)waiting;
        size_t taken = ring->write(ring->where, ring->text + at, bytes);
        TINA_ASSERT(taken <= bytes);
        ring->flushed += taken;
        if (taken < bytes)
            break;
    }
}

void tina_log_flush(tina_log_ring *ring, uint64_t wall_s) {
    ring_write(ring);
    if (ring->dropped && ring->capacity - (ring->written - ring->flushed) >= TINA_LOG_LINE_BYTES) {
        dropped_line(ring, wall_s);
        ring_write(ring); // no other tick may come
    }
}
