// SPDX-License-Identifier: Apache-2.0
//
// The timer wheel: set, cancel and "when is the next one" in O(1), whatever the number of timers.
//
// Nine levels of 64 buckets, a level's bucket as wide as the whole level below (Varghese and Lauck,
// 1987); level 0 counts units of 1,024 ns, so all of uint64_t's nanoseconds fit. A timer lies at
// the level of the highest 6-bit digit in which its deadline differs from now, so it is touched
// again at most once a level. A bitmap a level says which buckets hold anything; nothing is ever
// scanned.
//
// Never early: a deadline is rounded up to its unit. Timers are entries of a table of the owner's,
// named by their index.

#ifndef TINA_SCHED_WHEEL_H
#define TINA_SCHED_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINA_WHEEL_LEVELS  9
#define TINA_WHEEL_BUCKETS 64
#define TINA_WHEEL_NONE    UINT32_MAX

typedef struct tina_wheel_entry {
    uint64_t deadline_ns;
    uint64_t word;      // the owner's
    uint64_t period_ns; // the owner's
    uint32_t next;      // in its bucket's ring; free for the owner once expired or removed
    uint32_t prev;
    uint32_t owner; // the owner's
    uint32_t owner_next;
    uint32_t owner_prev;
    uint16_t bucket; // level * TINA_WHEEL_BUCKETS + bucket
    uint8_t kind;    // the owner's
    uint8_t state;   // the owner's
} tina_wheel_entry;

typedef struct tina_wheel {
    tina_wheel_entry *entries;
    uint64_t now;    // units before it have expired; no deadline in the wheel lies before it
    uint32_t levels; // bitmap of the levels that hold anything
    uint64_t occupied[TINA_WHEEL_LEVELS];
    uint64_t least[TINA_WHEEL_LEVELS * TINA_WHEEL_BUCKETS]; // no timer of the bucket is due before
    uint32_t head[TINA_WHEEL_LEVELS * TINA_WHEEL_BUCKETS];
} tina_wheel;

// tina_wheel_init makes an empty wheel over a table of entries, at now_ns.
void tina_wheel_init(tina_wheel *wheel, tina_wheel_entry *entries, uint64_t now_ns);

// tina_wheel_insert puts an entry in, due at deadline_ns (a past one: at the next unit).
void tina_wheel_insert(tina_wheel *wheel, uint32_t index, uint64_t deadline_ns);

// tina_wheel_remove takes an entry out that is in.
void tina_wheel_remove(tina_wheel *wheel, uint32_t index);

// tina_wheel_expire takes out every entry due by now_ns and returns the first of them, chained
// through `next` in order of their deadlines, or TINA_WHEEL_NONE. Time does not run backwards: an
// earlier now_ns expires nothing.
uint32_t tina_wheel_expire(tina_wheel *wheel, uint64_t now_ns);

// tina_wheel_next_ns returns when tina_wheel_expire has something to do at the earliest: exact, or
// early only where the earliest timer of a far bucket was removed; UINT64_MAX when the wheel is
// empty.
uint64_t tina_wheel_next_ns(const tina_wheel *wheel);

// tina_wheel_verify asserts every list, bitmap and bound; O(entries in the wheel).
void tina_wheel_verify(const tina_wheel *wheel);

#ifdef __cplusplus
}
#endif

#endif
