// SPDX-License-Identifier: Apache-2.0
//
// What one shard gives another to write into. Two shards share two inlets, one each way, and
// nothing else.
//
//     shard A ── claim … publish ──▶ inlet of B for A ── receive ──▶ shard B
//
// An inlet lies in its reader's arena. In production the writer writes into it; in a simulation the
// writer has an inlet of the simulator's, and a wire carries items from one to the other: it
// publishes them to the reader's, and signals.
//
// Messages are what isolates send, and may find the ring full. Control carries what must arrive:
// answers, failures, the ends that monitors tell of, and news of the shard itself. It is never
// full: whoever asks for something has a credit, and with it room for what will come back.
//
// A reader of few looks at every inlet in each tick; a reader of many, at those that are marked.

#ifndef TINA_SCHED_LINK_H
#define TINA_SCHED_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/occupancy.h"
#include "ring/ring.h"
#include "ring/sleeper.h"
#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tina_inlet {
    tina_ring messages;   // of tina_message
    tina_ring control;    // of tina_message
    tina_ring returns;    // of uint64_t: transfer buffers that come home; as many as can be lent
    tina_sleeper sleeper; // of the reader, for this writer; unless it has
    tina_occupancy *occupancy; // where writers mark what they have published; NULL: nowhere
    uint32_t number;           // of this writer, there
} tina_inlet;

// tina_inlet_signal is for whoever has published to any ring of an inlet, once after all of them.
// Returns true when the reader must be woken.
static inline bool tina_inlet_signal(tina_inlet *inlet) {
    return inlet->occupancy ? tina_occupancy_mark(inlet->occupancy, inlet->number)
                            : tina_sleeper_must_wake(&inlet->sleeper);
}

// What an item is, in the flags of its message.
typedef enum tina_item {
    // Among messages:
    TINA_ITEM_MESSAGE = 0,
    TINA_ITEM_LOAN,   // with transfer buffer `transfer` of the writer's, of generation `next`
    TINA_ITEM_FD,     // payload: tina_fd_ticket, whose fd goes to the receiver
    TINA_ITEM_CALL,   // to be answered on control
    TINA_ITEM_WATCH,  // a monitor is set; its event comes on control
    TINA_ITEM_SPAWN,  // payload: tina_spawn_item; answered on control
    TINA_ITEM_FORGET, // of a WATCH before it
    // On control. The first four end a credit of the reader's:
    TINA_ITEM_ANSWER,    // of a call or a spawn
    TINA_ITEM_FAILED,    // payload: int32_t, a tina_call_failure
    TINA_ITEM_DOWN,      // payload: tina_exit_reason
    TINA_ITEM_FORGOTTEN, // a monitor is ended
    // News of the writer, with the count of changes that they tell of in `next`, and in `to` how
    // many messages it had sent before them, in all its lives:
    TINA_ITEM_REBORN,      // it has begun anew, in the life that `transfer` says
    TINA_ITEM_QUARANTINED, // it has stopped
} tina_item;

// An isolate to spawn on the reader's shard.
typedef struct tina_spawn_item {
    const tina_isolate_type *type;
    uint64_t args_bytes;
    uint8_t args[TINA_SPAWN_ON_ARGS_BYTES_MAX];
} tina_spawn_item;

// Items that concern a credit have its number, its asker's, in `next`, and in `transfer` the lives
// of both shards that it belongs to. Of another life, they are nobody's any more.
static inline uint32_t tina_item_lives(uint32_t asker, uint32_t asked) {
    return (asker & 0xFFFFu) | asked << 16;
}

#ifdef __cplusplus
}
#endif

#endif
