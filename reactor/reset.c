// SPDX-License-Identifier: Apache-2.0
//
// A reactor made empty without a look at any owner, whose memory may be anything by then: what a
// shard does before it is rebuilt.

#include "reactor/table.h"

static void ops_renew(tina_reactor *reactor) {
    reactor->staged = reactor->waiting = reactor->news = (op_queue){0, 0};
    reactor->fdless = reactor->free_ops = (op_queue){0, 0};
    reactor->retry_count = 0;
    tina_ops_relist(reactor);
    reactor->free_address = reactor->free_path = 0;
    tina_places_open(reactor);
    reactor->counters.ops_in_use = 0;
}

static void fds_renew(tina_reactor *reactor) {
    for (uint32_t index = 1; index <= reactor->config.fd_count; index++) {
        fd_entry *fd = &reactor->fds[index];
        if (fd->os_fd >= 0) {
            reactor->backend->close_now(reactor->self, fd->os_fd);
        }
    }
    reactor->free_fds = (op_queue){0, 0};
    tina_fds_relist(reactor);
    reactor->counters.fds_in_use = 0;
}

static void buffers_renew(tina_reactor *reactor) {
    for (uint32_t buffer = 0; buffer < reactor->config.buffer_count; buffer++) {
        reactor->buffer_entries[buffer].received_by = 0;
        if (reactor->buffer_entries[buffer].held) {
            tina_buffers_give(reactor, buffer);
        }
    }
}

bool tina_reactor_reset(tina_reactor *reactor) {
    reactor->closing = true;
    if (!tina_ops_drain(reactor)) {
        return false;
    }
    TINA_ASSERT(reactor->flying_count == 0);
    fds_renew(reactor);
    ops_renew(reactor);
    buffers_renew(reactor);
    reactor->closing = false;
    return true;
}
