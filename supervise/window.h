// SPDX-License-Identifier: Apache-2.0
//
// A budget of restarts: at most so many within any period, over an exact sliding window.
//
// What OTP's supervisor does with a list of times (add_restart/1), in a ring: a restart counts as
// long as it is no older than the period, the period's last nanosecond included.

#ifndef TINA_SUPERVISE_WINDOW_H
#define TINA_SUPERVISE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/assert.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_window {
    uint64_t *times; // the caller's, `capacity` of them; none when that is 0
    uint64_t period_ns;
    uint32_t intensity; // up to capacity; may be changed, and so may period_ns
    uint32_t capacity;
    uint32_t first; // the oldest that counts
    uint32_t count; // that count at the time of the last add
} tina_window;

// tina_window_init makes a window with no restarts, whose capacity is its intensity.
static inline void tina_window_init(tina_window *window, uint64_t *times, uint32_t intensity,
                                    uint64_t period_ns) {
    TINA_ASSERT(times != 0 || intensity == 0);
    window->times = times;
    window->period_ns = period_ns;
    window->intensity = intensity;
    window->capacity = intensity;
    window->first = 0;
    window->count = 0;
}

// tina_window_clear forgets all restarts.
static inline void tina_window_clear(tina_window *window) {
    window->first = 0;
    window->count = 0;
}

// tina_window_add records a restart and returns true, or returns false and records nothing when it
// would be one too many. now_ns never decreases. O(1) amortised: each restart is dropped once.
static inline bool tina_window_add(tina_window *window, uint64_t now_ns) {
    while (window->count > 0 && now_ns - window->times[window->first] > window->period_ns) {
        window->first = window->first + 1 == window->capacity ? 0 : window->first + 1;
        window->count--;
    }
    if (window->count >= window->intensity)
        return false;
    uint64_t place = (uint64_t)window->first + window->count;
    if (place >= window->capacity)
        place -= window->capacity;
    window->times[place] = now_ns;
    window->count++;
    return true;
}

#ifdef __cplusplus
}
#endif

#endif
