// SPDX-License-Identifier: Apache-2.0
//
// A queue of bytes in one piece of memory.

#include <stdlib.h>
#include <string.h>

#include "sim/net_state.h"

void sim_net_bytes_add(net_bytes *bytes, const uint8_t *data, uint32_t count) {
    if (bytes->from > 0 && bytes->from + bytes->used + count > bytes->capacity) {
        memmove(bytes->data, bytes->data + bytes->from, bytes->used);
        bytes->from = 0;
    }
    if (bytes->used + count > bytes->capacity) {
        uint32_t capacity = bytes->capacity ? bytes->capacity : 256;
        while (capacity < bytes->used + count)
            capacity *= 2;
        bytes->data = realloc(bytes->data, capacity);
        TINA_ASSERT(bytes->data != NULL);
        bytes->capacity = capacity;
    }
    if (count > 0)
        memcpy(bytes->data + bytes->from + bytes->used, data, count);
    bytes->used += count;
}

// An idle connection of many keeps no memory but a little.
void sim_net_bytes_take(net_bytes *bytes, uint32_t count) {
    TINA_ASSERT(count <= bytes->used);
    bytes->from += count;
    bytes->used -= count;
    if (bytes->used == 0) {
        bytes->from = 0;
        if (bytes->capacity > 4096)
            sim_net_bytes_free(bytes);
    }
}

void sim_net_bytes_free(net_bytes *bytes) {
    free(bytes->data);
    *bytes = (net_bytes){0};
}
