// SPDX-License-Identifier: Apache-2.0
//
// Timers of isolates, and the deadlines of their ops, in one wheel. Deadlines have entries of their
// own (one an op), so that setting one cannot fail. A fired timer stays in its entry until its
// isolate handles it: firing needs no message.

#include "core/probe.h"
#include "sched/internal.h"

static tina_timer name_of(tina_pool_ref ref) {
    return (tina_timer){((uint64_t)ref.generation << 32) | ref.slot};
}

static tina_pool_ref ref_of(tina_timer timer) {
    return (tina_pool_ref){(uint32_t)timer.bits, (uint32_t)(timer.bits >> 32)};
}

static uint64_t deadline_after(const tina_shard *shard, uint64_t delay_ns) {
    uint64_t now_ns = shard->now.monotonic_ns;
    return delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
}

static tina_pool_ref entry_take(tina_shard *shard, timer_kind kind, uint32_t owner, uint64_t word) {
    tina_pool_ref ref;
    tina_pool_result taken = tina_pool_take(&shard->timer_pool, &ref);
    // Sized for what may be set at once, and never worn out.
    TINA_ASSERT(taken == TINA_POOL_OK);
    tina_wheel_entry *entry = &shard->timers[ref.slot];
    entry->kind = (uint8_t)kind;
    entry->state = TIMER_SET;
    entry->owner = owner;
    entry->word = word;
    return ref;
}

static void entry_give(tina_shard *shard, uint32_t index) {
    shard->timers[index].state = TIMER_FREE;
    tina_pool_give_slot(&shard->timer_pool, index);
}

static void owner_link(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    tina_wheel_entry *entry = &shard->timers[index];
    entry->owner_prev = NONE;
    entry->owner_next = owner->timer_first;
    if (owner->timer_first != NONE)
        shard->timers[owner->timer_first].owner_prev = index;
    owner->timer_first = index;
}

static void owner_unlink(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    const tina_wheel_entry *entry = &shard->timers[index];
    if (entry->owner_prev == NONE)
        owner->timer_first = entry->owner_next;
    else
        shard->timers[entry->owner_prev].owner_next = entry->owner_next;
    if (entry->owner_next != NONE)
        shard->timers[entry->owner_next].owner_prev = entry->owner_prev;
}

static void user_timer_give(tina_shard *shard, uint32_t index) {
    GAUGE(shard, timers_in_use, --shard->user_timers);
    entry_give(shard, index);
}

tina_timer timer_set(tina_shard *shard, tina_isolate *owner, uint64_t delay_ns, uint64_t period_ns,
                     uint64_t word) {
    if (shard->user_timers == shard->timer_count) {
        COUNT(shard, timers_refused, 1);
        return (tina_timer){0};
    }
    GAUGE(shard, timers_in_use, ++shard->user_timers);
    tina_pool_ref ref = entry_take(shard, TIMER_USER, isolate_index(shard, owner), word);
    shard->timers[ref.slot].period_ns = period_ns;
    owner_link(shard, owner, ref.slot);
    tina_wheel_insert(&shard->wheel, ref.slot, deadline_after(shard, delay_ns));
    return name_of(ref);
}

static void fired_unlink(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    uint32_t before = NONE;
    for (uint32_t at = owner->fired_first; at != index; at = shard->timers[at].next) {
        TINA_ASSERT(at != NONE);
        before = at;
    }
    uint32_t after = shard->timers[index].next;
    if (before == NONE)
        owner->fired_first = after;
    else
        shard->timers[before].next = after;
    if (owner->fired_last == index)
        owner->fired_last = before;
}

bool timer_cancel(tina_shard *shard, tina_isolate *owner, tina_timer timer) {
    tina_pool_ref ref = ref_of(timer);
    if (!tina_pool_holds(&shard->timer_pool, ref))
        return false;
    tina_wheel_entry *entry = &shard->timers[ref.slot];
    if (entry->kind != TIMER_USER || entry->owner != isolate_index(shard, owner))
        return false;
    if (entry->state == TIMER_FIRED) {
        TINA_SIM_PROBE("a timer that has fired was cancelled");
        fired_unlink(shard, owner, ref.slot);
    } else {
        tina_wheel_remove(&shard->wheel, ref.slot);
        owner_unlink(shard, owner, ref.slot);
    }
    user_timer_give(shard, ref.slot);
    return true;
}

// deadline_set returns the entry; it cannot fail, for each op and each caller has one of its own.
uint32_t deadline_set(tina_shard *shard, tina_isolate *owner, timer_kind kind, uint64_t word,
                      uint64_t timeout_ns) {
    tina_pool_ref ref = entry_take(shard, kind, isolate_index(shard, owner), word);
    owner_link(shard, owner, ref.slot);
    tina_wheel_insert(&shard->wheel, ref.slot, deadline_after(shard, timeout_ns));
    return ref.slot;
}

void deadline_clear(tina_shard *shard, uint32_t index) {
    const tina_wheel_entry *entry = &shard->timers[index];
    TINA_ASSERT(entry->kind != TIMER_USER);
    TINA_ASSERT(entry->state == TIMER_SET);
    owner_unlink(shard, &shard->isolates[entry->owner], index);
    tina_wheel_remove(&shard->wheel, index);
    entry_give(shard, index);
}

static void deadline_fire(tina_shard *shard, uint32_t index) {
    const tina_wheel_entry *entry = &shard->timers[index];
    tina_isolate *owner = &shard->isolates[entry->owner];
    owner_unlink(shard, owner, index);
    if (entry->kind == TIMER_OP) {
        tina_io_id id = {entry->word};
        tina_reactor_set_companion(shard->reactor, id, 0);
        tina_reactor_cancel(shard->reactor, id, TINA_IO_TIMED_OUT);
    } else {
        TINA_SIM_PROBE("a call timed out");
        TINA_ASSERT(owner->call_timer == index);
        owner->call_timer = NONE;
        call_end(shard, owner, TINA_CALL_TIMED_OUT);
    }
    entry_give(shard, index);
}

static void timer_fire(tina_shard *shard, uint32_t index) {
    tina_wheel_entry *entry = &shard->timers[index];
    tina_isolate *owner = &shard->isolates[entry->owner];
    TINA_ASSERT(isolate_is_live(owner));
    owner_unlink(shard, owner, index);
    entry->state = TIMER_FIRED;
    entry->next = NONE;
    if (owner->fired_first == NONE)
        owner->fired_first = index;
    else
        shard->timers[owner->fired_last].next = index;
    owner->fired_last = index;
    COUNT(shard, timers_fired, 1);
    isolate_control(shard, owner, CONTROL_FIRED);
}

void timers_expire(tina_shard *shard) {
    uint32_t index = tina_wheel_expire(&shard->wheel, shard->now.monotonic_ns);
    while (index != TINA_WHEEL_NONE) {
        uint32_t next = shard->timers[index].next;
        if (shard->timers[index].kind != TIMER_USER)
            deadline_fire(shard, index);
        else
            timer_fire(shard, index);
        index = next;
    }
}

// A periodic timer goes on from the deadline that it had, past the periods that it missed. Returns
// how many have passed.
static uint64_t timer_rearm(tina_shard *shard, tina_isolate *owner, uint32_t index) {
    tina_wheel_entry *entry = &shard->timers[index];
    uint64_t late_ns = shard->now.monotonic_ns - entry->deadline_ns;
    uint64_t periods = late_ns / entry->period_ns + 1;
    // The product is at most `now`, as the first deadline was a period or more after 0. Beyond the
    // end of time it never fires again, and stays to be cancelled.
    uint64_t deadline_ns = entry->deadline_ns + periods * entry->period_ns;
    if (deadline_ns < entry->deadline_ns)
        deadline_ns = UINT64_MAX;
    entry->state = TIMER_SET;
    owner_link(shard, owner, index);
    tina_wheel_insert(&shard->wheel, index, deadline_ns);
    return periods;
}

// timer_event takes the isolate's oldest fired timer; false when there is none.
bool timer_event(tina_shard *shard, tina_isolate *owner, tina_message *event) {
    uint32_t index = owner->fired_first;
    if (index == NONE) {
        owner->control &= (uint8_t)~CONTROL_FIRED;
        return false;
    }
    tina_wheel_entry *entry = &shard->timers[index];
    TINA_ASSERT(entry->deadline_ns <= shard->now.monotonic_ns);
    owner->fired_first = entry->next;
    event->timer.timer =
        name_of((tina_pool_ref){index, tina_pool_generation(&shard->timer_pool, index)});
    event->timer.word = entry->word;
    event->timer.count = 1;
    if (entry->period_ns)
        event->timer.count = timer_rearm(shard, owner, index);
    else
        user_timer_give(shard, index);
    return true;
}

// timers_drop is for an owner that ends: no completion will come to clear its ops' deadlines.
void timers_drop(tina_shard *shard, tina_isolate *owner) {
    while (owner->timer_first != NONE) {
        uint32_t index = owner->timer_first;
        owner->timer_first = shard->timers[index].owner_next;
        tina_wheel_remove(&shard->wheel, index);
        if (shard->timers[index].kind != TIMER_USER)
            entry_give(shard, index);
        else
            user_timer_give(shard, index);
    }
    while (owner->fired_first != NONE) {
        uint32_t index = owner->fired_first;
        owner->fired_first = shard->timers[index].next;
        user_timer_give(shard, index);
    }
}
