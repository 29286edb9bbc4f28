// SPDX-License-Identifier: Apache-2.0

#include "sched/wheel.h"

#include "core/assert.h"

#define UNIT_BITS  10
#define DIGIT_BITS 6
#define DIGIT_MASK (TINA_WHEEL_BUCKETS - 1u)

#define UNIT_MAX ((UINT64_C(1) << (TINA_WHEEL_LEVELS * DIGIT_BITS)) - 1)

static uint64_t unit_of_deadline(uint64_t deadline_ns) {
    uint64_t unit = deadline_ns >> UNIT_BITS;
    bool between = (deadline_ns & ((1u << UNIT_BITS) - 1u)) != 0;
    return unit + (between && unit < UNIT_MAX);
}

static uint32_t level_of(const tina_wheel *wheel, uint64_t unit) {
    uint64_t differing = (unit ^ wheel->now) | DIGIT_MASK;
    return (63u - (uint32_t)__builtin_clzll(differing)) / DIGIT_BITS;
}

static void ring_append(tina_wheel *wheel, uint32_t bucket, uint32_t index) {
    tina_wheel_entry *entry = &wheel->entries[index];
    uint32_t head = wheel->head[bucket];
    if (head == TINA_WHEEL_NONE) {
        wheel->head[bucket] = entry->next = entry->prev = index;
        return;
    }
    tina_wheel_entry *first = &wheel->entries[head];
    entry->next = head;
    entry->prev = first->prev;
    wheel->entries[first->prev].next = index;
    first->prev = index;
}

static void place(tina_wheel *wheel, uint32_t index, uint64_t unit) {
    TINA_ASSERT(unit >= wheel->now);
    uint32_t level = level_of(wheel, unit);
    uint32_t digit = (uint32_t)(unit >> (level * DIGIT_BITS)) & DIGIT_MASK;
    uint32_t bucket = level * TINA_WHEEL_BUCKETS + digit;
    uint64_t bit = UINT64_C(1) << digit;
    if (!(wheel->occupied[level] & bit) || unit < wheel->least[bucket])
        wheel->least[bucket] = unit;
    wheel->occupied[level] |= bit;
    wheel->levels |= 1u << level;
    wheel->entries[index].bucket = (uint16_t)bucket;
    ring_append(wheel, bucket, index);
}

// The first bucket that can hold the earliest timer: a level's timers all lie before those of the
// level above, for their higher digits equal now's.
static bool first_bucket(const tina_wheel *wheel, uint32_t *level, uint32_t *digit) {
    if (wheel->levels == 0)
        return false;
    *level = (uint32_t)__builtin_ctz(wheel->levels);
    *digit = (uint32_t)__builtin_ctzll(wheel->occupied[*level]);
    return true;
}

static void bucket_leave(tina_wheel *wheel, uint32_t level, uint32_t digit) {
    wheel->head[level * TINA_WHEEL_BUCKETS + digit] = TINA_WHEEL_NONE;
    wheel->occupied[level] &= ~(UINT64_C(1) << digit);
    if (wheel->occupied[level] == 0)
        wheel->levels &= ~(1u << level);
}

static uint64_t bucket_start(const tina_wheel *wheel, uint32_t level, uint32_t digit) {
    uint64_t digits = (wheel->now >> (level * DIGIT_BITS)) & ~(uint64_t)DIGIT_MASK;
    return (digits | digit) << (level * DIGIT_BITS);
}

// Empties a bucket and returns its first entry, chained through `next`.
static uint32_t bucket_take(tina_wheel *wheel, uint32_t level, uint32_t digit) {
    uint32_t bucket = level * TINA_WHEEL_BUCKETS + digit;
    uint32_t head = wheel->head[bucket];
    TINA_ASSERT(head != TINA_WHEEL_NONE);
    wheel->entries[wheel->entries[head].prev].next = TINA_WHEEL_NONE;
    bucket_leave(wheel, level, digit);
    return head;
}

void tina_wheel_init(tina_wheel *wheel, tina_wheel_entry *entries, uint64_t now_ns) {
    wheel->entries = entries;
    wheel->now = now_ns >> UNIT_BITS;
    wheel->levels = 0;
    for (uint32_t l = 0; l < TINA_WHEEL_LEVELS; l++)
        wheel->occupied[l] = 0;
    for (uint32_t b = 0; b < TINA_WHEEL_LEVELS * TINA_WHEEL_BUCKETS; b++) {
        wheel->least[b] = 0;
        wheel->head[b] = TINA_WHEEL_NONE;
    }
}

void tina_wheel_insert(tina_wheel *wheel, uint32_t index, uint64_t deadline_ns) {
    uint64_t unit = unit_of_deadline(deadline_ns);
    wheel->entries[index].deadline_ns = deadline_ns;
    place(wheel, index, unit > wheel->now ? unit : wheel->now);
}

void tina_wheel_remove(tina_wheel *wheel, uint32_t index) {
    tina_wheel_entry *entry = &wheel->entries[index];
    uint32_t bucket = entry->bucket;
    if (entry->next == index) {
        TINA_ASSERT(wheel->head[bucket] == index);
        bucket_leave(wheel, bucket / TINA_WHEEL_BUCKETS, bucket % TINA_WHEEL_BUCKETS);
        return;
    }
    wheel->entries[entry->prev].next = entry->next;
    wheel->entries[entry->next].prev = entry->prev;
    if (wheel->head[bucket] == index)
        wheel->head[bucket] = entry->next;
}

uint32_t tina_wheel_expire(tina_wheel *wheel, uint64_t now_ns) {
    uint64_t target = now_ns >> UNIT_BITS;
    uint32_t first = TINA_WHEEL_NONE;
    uint32_t last = TINA_WHEEL_NONE;
    uint32_t level;
    uint32_t digit;
    while (first_bucket(wheel, &level, &digit)) {
        uint64_t start = bucket_start(wheel, level, digit);
        // A far bucket is spread over the lower levels as soon as now enters it; otherwise a timer
        // set later, at a lower level, would seem to be earlier.
        if (start > target + (level != 0))
            break;
        if (start > wheel->now)
            wheel->now = start;
        uint32_t index = bucket_take(wheel, level, digit);
        if (level == 0) {
            if (last == TINA_WHEEL_NONE)
                first = index;
            else
                wheel->entries[last].next = index;
            while (wheel->entries[index].next != TINA_WHEEL_NONE)
                index = wheel->entries[index].next;
            last = index;
            continue;
        }
        while (index != TINA_WHEEL_NONE) {
            uint32_t next = wheel->entries[index].next;
            uint64_t unit = unit_of_deadline(wheel->entries[index].deadline_ns);
            place(wheel, index, unit > wheel->now ? unit : wheel->now);
            index = next;
        }
    }
    if (target >= wheel->now)
        wheel->now = target + 1;
    return first;
}

uint64_t tina_wheel_next_ns(const tina_wheel *wheel) {
    uint32_t level;
    uint32_t digit;
    if (!first_bucket(wheel, &level, &digit))
        return UINT64_MAX;
    uint64_t unit = level == 0 ? bucket_start(wheel, level, digit)
                               : wheel->least[level * TINA_WHEEL_BUCKETS + digit];
    return unit > UINT64_MAX >> UNIT_BITS ? UINT64_MAX : unit << UNIT_BITS;
}

static void bucket_verify(const tina_wheel *wheel, uint32_t level, uint32_t digit) {
    uint32_t bucket = level * TINA_WHEEL_BUCKETS + digit;
    uint64_t start = bucket_start(wheel, level, digit);
    TINA_ASSERT(level == 0 ? start >= wheel->now : start > wheel->now);
    uint32_t index = wheel->head[bucket];
    do {
        const tina_wheel_entry *entry = &wheel->entries[index];
        uint64_t unit = unit_of_deadline(entry->deadline_ns);
        TINA_ASSERT(entry->bucket == bucket);
        TINA_ASSERT(wheel->entries[entry->next].prev == index);
        // A deadline that was past when it was set lies in the unit that was now then.
        TINA_ASSERT(unit < (start + (UINT64_C(1) << (level * DIGIT_BITS))));
        TINA_ASSERT(wheel->least[bucket] <= (unit > start ? unit : start) || level == 0);
        index = entry->next;
    } while (index != wheel->head[bucket]);
}

// Of the few buckets that hold anything each is walked; of the others it is enough to see that
// there are no more, a level at once: the simulator asks this of every shard all the time.
void tina_wheel_verify(const tina_wheel *wheel) {
    for (uint32_t level = 0; level < TINA_WHEEL_LEVELS; level++) {
        const uint32_t *heads = &wheel->head[level * TINA_WHEEL_BUCKETS];
        uint64_t held = 0;
        for (uint32_t digit = 0; digit < TINA_WHEEL_BUCKETS; digit++)
            held |= (uint64_t)(heads[digit] != TINA_WHEEL_NONE) << digit;
        TINA_ASSERT(held == wheel->occupied[level]);
        TINA_ASSERT((held != 0) == ((wheel->levels >> level) & 1));
        for (; held != 0; held &= held - 1)
            bucket_verify(wheel, level, (uint32_t)__builtin_ctzll(held));
    }
}
