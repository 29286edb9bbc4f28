// SPDX-License-Identifier: Apache-2.0
//
// Publish and subscribe, as an isolate: one counter and one chat for the whole program, on shard 0.
//
//     subscriber ──HUB_JOIN (a call)──▶ hub ──HUB_COUNT, HUB_SAID──▶ every subscriber
//     anyone ─────HUB_ADD, HUB_SAY────▶
//
// The hub monitors its subscribers and forgets those that end. One that does not keep up is fed
// later, from what the hub remembers, and holds up nobody; lines have consecutive ids, so it sees
// how many it missed.

#ifndef TINA_EXAMPLES_HUB_H
#define TINA_EXAMPLES_HUB_H

#include "tina.h"

#define HUB_TEXT_BYTES       80u
#define HUB_SUBSCRIBER_MAX   4096u
#define HUB_REMEMBERED_LINES 32u

enum {
    HUB_JOIN = 1, // uint64_t: id of the last line that is known, 0: none; answered by the next two
    HUB_JOINED,
    HUB_FULL,
    HUB_LEAVE,
    HUB_ADD,
    HUB_SAY,   // 1 to HUB_TEXT_BYTES of UTF-8
    HUB_COUNT, // uint64_t
    HUB_SAID,  // hub_line
};

typedef struct hub_line {
    uint64_t id;
    uint32_t text_bytes;
    char text[HUB_TEXT_BYTES];
} hub_line;

extern const tina_isolate_type hub_type;

// hub_handle returns the hub's handle, on any shard; none while there is none.
tina_handle hub_handle(void);

#endif
