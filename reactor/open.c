// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <stdio.h>

#include "core/bits.h"
#include "core/format.h"
#include "reactor/reactor.h"
#include "reactor/table.h"

#define BLOCK_ALIGNMENT 128

// Where each part lies in the reactor's memory.
typedef struct layout {
    uint64_t ops;
    uint64_t more;
    uint64_t fds;
    uint64_t rights;
    uint64_t addresses;
    uint64_t paths;
    uint64_t buffer_entries;
    uint64_t buffers;
    uint64_t backend;
    uint64_t bytes;
} layout;

static uint64_t part(uint64_t *end, uint64_t bytes) {
    uint64_t start = tina_align_up(*end, BLOCK_ALIGNMENT);
    *end = start + bytes;
    return start;
}

static layout layout_of(const tina_reactor_config *config) {
    layout at;
    uint64_t end = sizeof(tina_reactor);
    at.ops = part(&end, ((uint64_t)config->op_count + 1) * sizeof(op_entry));
    at.more = part(&end, ((uint64_t)config->op_count + 1) * sizeof(op_more));
    at.fds = part(&end, ((uint64_t)config->fd_count + 1) * sizeof(fd_entry));
    at.rights = part(&end, (uint64_t)config->fd_count + 1);
    at.addresses = part(&end, (uint64_t)config->address_count * sizeof(tina_address));
    at.paths = part(&end, (uint64_t)config->path_count * PATH_PLACE_BYTES);
    at.buffer_entries = part(&end, config->buffer_count * sizeof(buffer_entry));
    at.buffers = part(&end, (uint64_t)config->buffer_count * config->buffer_bytes);
    at.backend = part(&end, config->backend->memory_bytes(config));
    at.bytes = tina_align_up(end, BLOCK_ALIGNMENT);
    return at;
}

static bool config_is_in_range(const tina_reactor_config *config) {
    return config->backend != NULL && config->shard <= 255 && config->fd_count >= 1 &&
           config->fd_count < FD_ENTRIES && config->op_count >= 1 &&
           config->op_count <= UINT32_C(1) << 24 && config->address_count <= UINT32_C(1) << 24 &&
           config->path_count <= UINT32_C(1) << 16 && config->buffer_count <= 32768 &&
           tina_is_power_of_two(config->buffer_count) && config->buffer_bytes >= 64 &&
           config->buffer_bytes <= INT32_MAX && config->buffer_bytes % 64 == 0;
}

uint64_t tina_reactor_bytes(const tina_reactor_config *config) {
    return config_is_in_range(config) ? layout_of(config).bytes : 0;
}

int tina_reactor_open(const tina_reactor_config *config, void *memory, tina_reactor **reactor,
                      char *error_text, size_t error_text_bytes) {
    if (!config_is_in_range(config)) {
        (void)tina_format(error_text, error_text_bytes,
                          "the reactor's config is outside its bounds (reactor.h states them)");
        return -EINVAL;
    }
    TINA_ASSERT((uintptr_t)memory % BLOCK_ALIGNMENT == 0);
    layout at = layout_of(config);
    uint8_t *base = memory;
    tina_reactor *r = memory;
    *r = (tina_reactor){
        .backend = config->backend,
        .self = base + at.backend,
        .ops = (op_entry *)(void *)(base + at.ops),
        .more = (op_more *)(void *)(base + at.more),
        .fds = (fd_entry *)(void *)(base + at.fds),
        .rights = base + at.rights,
        .addresses = (tina_address *)(void *)(base + at.addresses),
        .paths = (char *)(base + at.paths),
        .buffer_entries = (buffer_entry *)(void *)(base + at.buffer_entries),
        .buffers = base + at.buffers,
        .config = *config,
    };
    tina_backend_buffers buffers = {r->buffers, config->buffer_count, config->buffer_bytes};
    int failed = r->backend->open(r->self, config, &buffers, error_text, error_text_bytes);
    if (failed != 0) {
        return failed;
    }
    tina_ops_open(r);
    tina_places_open(r);
    tina_fds_open(r);
    tina_buffers_open(r);
    *reactor = r;
    return 0;
}

// An op that is in flight when the ring goes would be the kernel's for a while longer, and the
// memory it uses the caller's already. So they are cancelled and awaited; what a stuck device holds
// on to for a second is given up.
bool tina_ops_drain(tina_reactor *reactor) {
    for (uint32_t index = 1; index <= reactor->config.op_count; index++) {
        op_state state = (op_state)reactor->ops[index].state;
        if (state != OP_FREE && state < OP_DONE) {
            tina_ops_cancel(reactor, index, TINA_IO_CANCELED);
        }
    }
    for (uint32_t round = 0; round < 100; round++) {
        tina_reactor_flush(reactor);
        if (reactor->flying_count == 0 && reactor->staged.head == 0) {
            return true;
        }
        if (reactor->backend->wait(reactor->self, 0, UINT64_C(10000000)) < 0) {
            return false;
        }
        tina_completions_take(reactor);
    }
    return false;
}

void tina_reactor_close(tina_reactor *reactor) {
    reactor->closing = true;
    (void)tina_ops_drain(reactor);
    for (uint32_t index = 1; index <= reactor->config.fd_count; index++) {
        if (reactor->fds[index].os_fd >= 0) {
            reactor->backend->close_now(reactor->self, reactor->fds[index].os_fd);
        }
    }
    tina_buffers_close(reactor);
    reactor->backend->close(reactor->self);
}
