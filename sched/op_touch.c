// SPDX-License-Identifier: Apache-2.0
//
// What an op names besides the bytes that the kernel moves: an address, a path, where a stat goes.
// The reactor copies or fills it, so it must be there; a fault here is still the handler's own.

#include "sched/internal.h"

// Reads a path to its end, or as far as the reactor would.
static void path_touch(const char *path) {
    const volatile char *at = path;
    for (uint32_t i = 0; i <= TINA_PATH_BYTES_MAX; i++)
        if (at[i] == '\0')
            return;
}

void op_touch(const tina_io_op *op) {
    switch (op->kind) {
    case TINA_OP_CONNECT:
        if (op->data)
            tina_trap_touch(op->data, sizeof(tina_address));
        return;
    case TINA_OP_SENDTO:
        if (op->address)
            tina_trap_touch(op->address, sizeof(tina_address));
        return;
    case TINA_OP_RENAME:
        if (op->to)
            path_touch(op->to);
        break;
    case TINA_OP_STAT:
        if (op->stat)
            tina_trap_touch_writable(op->stat, sizeof *op->stat);
        break;
    case TINA_OP_OPEN:
    case TINA_OP_UNLINK:
        break;
    default:
        return;
    }
    if (op->data)
        path_touch(op->data);
}
