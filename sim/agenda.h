// SPDX-License-Identifier: Apache-2.0
//
// What a simulated world has yet to do, in order of time; at one time, in the order in which it was
// put down. A heap, so that the next entry is found in O(log n). What is planned cannot be taken
// back: its function looks whether it is still wanted.

#ifndef TINA_SIM_AGENDA_H
#define TINA_SIM_AGENDA_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*sim_agenda_call)(void *what, uint64_t word);

typedef struct sim_agenda_entry {
    uint64_t at_ns;
    uint64_t order;
    sim_agenda_call call;
    void *what;
    uint64_t word;
} sim_agenda_entry;

// All zero: empty.
typedef struct sim_agenda {
    sim_agenda_entry *heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t planned; // ever
} sim_agenda;

// sim_agenda_at plans call(what, word) for at_ns, in virtual time of the world.
void sim_agenda_at(sim_agenda *agenda, uint64_t at_ns, sim_agenda_call call, void *what,
                   uint64_t word);

// sim_agenda_next_ns returns when the next entry is due; UINT64_MAX: there is none.
static inline uint64_t sim_agenda_next_ns(const sim_agenda *agenda) {
    return agenda->count ? agenda->heap[0].at_ns : UINT64_MAX;
}

// sim_agenda_run calls the next entry if it is due at now_ns, and returns whether it did.
bool sim_agenda_run(sim_agenda *agenda, uint64_t now_ns);

void sim_agenda_free(sim_agenda *agenda);

#ifdef __cplusplus
}
#endif

#endif
