// SPDX-License-Identifier: Apache-2.0

#include "sim/agenda.h"

#include <stdlib.h>

#include "core/assert.h"

static bool is_before(const sim_agenda_entry *a, const sim_agenda_entry *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(sim_agenda_entry *a, sim_agenda_entry *b) {
    sim_agenda_entry was = *a;
    *a = *b;
    *b = was;
}

void sim_agenda_at(sim_agenda *agenda, uint64_t at_ns, sim_agenda_call call, void *what,
                   uint64_t word) {
    if (agenda->count == agenda->capacity) {
        agenda->capacity = agenda->capacity ? 2 * agenda->capacity : 256;
        agenda->heap = realloc(agenda->heap, agenda->capacity * sizeof *agenda->heap);
        TINA_ASSERT(agenda->heap != NULL);
    }
    uint32_t at = agenda->count++;
    agenda->heap[at] = (sim_agenda_entry){at_ns, agenda->planned++, call, what, word};
    for (; at > 0 && is_before(&agenda->heap[at], &agenda->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&agenda->heap[at], &agenda->heap[(at - 1) / 2]);
}

static void root_sink(sim_agenda *agenda) {
    for (uint32_t at = 0;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < agenda->count; child++)
            if (is_before(&agenda->heap[child], &agenda->heap[least]))
                least = child;
        if (least == at)
            return;
        swap(&agenda->heap[at], &agenda->heap[least]);
        at = least;
    }
}

bool sim_agenda_run(sim_agenda *agenda, uint64_t now_ns) {
    if (sim_agenda_next_ns(agenda) > now_ns)
        return false;
    sim_agenda_entry entry = agenda->heap[0];
    agenda->heap[0] = agenda->heap[--agenda->count];
    root_sink(agenda);
    entry.call(entry.what, entry.word);
    return true;
}

void sim_agenda_free(sim_agenda *agenda) {
    free(agenda->heap);
    *agenda = (sim_agenda){0};
}
