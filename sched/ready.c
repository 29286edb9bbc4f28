// SPDX-License-Identifier: Apache-2.0

#include "sched/internal.h"

void ready_append(tina_shard *shard, ready_list *list, tina_isolate *isolate) {
    TINA_ASSERT(!isolate->queued);
    uint32_t index = isolate_index(shard, isolate);
    isolate->queued = true;
    isolate->ready_next = NONE;
    if (list->first == NONE)
        list->first = index;
    else
        shard->isolates[list->last].ready_next = index;
    list->last = index;
}

tina_isolate *ready_take(tina_shard *shard) {
    if (shard->ready.first == NONE)
        return NULL;
    tina_isolate *taken = &shard->isolates[shard->ready.first];
    TINA_ASSERT(taken->queued);
    shard->ready.first = taken->ready_next;
    taken->queued = false;
    return taken;
}

// Those that yielded run after those that were ready before them.
void ready_join(tina_shard *shard) {
    if (shard->yielded.first == NONE)
        return;
    if (shard->ready.first == NONE)
        shard->ready.first = shard->yielded.first;
    else
        shard->isolates[shard->ready.last].ready_next = shard->yielded.first;
    shard->ready.last = shard->yielded.last;
    shard->yielded.first = NONE;
}
