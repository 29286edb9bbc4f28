// SPDX-License-Identifier: Apache-2.0

#include <string.h>

#include "reactor/reactor.h"
#include "reactor/table.h"

static uint32_t untaken_of(const op_entry *op) {
    return (op->flags & TINA_IO_MULTISHOT) != 0 ? op->untaken : 0;
}

static uint32_t queue_verify(const tina_reactor *reactor, const op_queue *queue) {
    uint32_t count = 0;
    uint32_t previous = 0;
    for (uint32_t index = queue->head; index != 0; index = reactor->ops[index].queue.next) {
        const op_entry *op = &reactor->ops[index];
        TINA_ASSERT(op->queue.prev == previous);
        TINA_ASSERT((op->marks & OP_QUEUED) != 0);
        if (queue == &reactor->staged) {
            TINA_ASSERT(op->state == OP_STAGED ||
                        (op->state == OP_FLYING && (op->marks & (OP_CANCELED | OP_PAUSING)) != 0));
        } else {
            TINA_ASSERT(op->state == OP_WAITING);
            TINA_ASSERT((op->kind == TINA_OP_ACCEPT) == (queue == &reactor->fdless));
        }
        previous = index;
        TINA_ASSERT(++count <= reactor->config.op_count);
    }
    TINA_ASSERT(queue->tail == previous);
    return count;
}

static void news_verify(const tina_reactor *reactor) {
    uint32_t count = 0;
    uint32_t previous = 0;
    for (uint32_t index = reactor->news.head; index != 0; index = reactor->ops[index].news.next) {
        const op_entry *op = &reactor->ops[index];
        TINA_ASSERT(op->news.prev == previous);
        TINA_ASSERT((op->marks & OP_NEWS) != 0);
        TINA_ASSERT(op->state == OP_DONE || op->state == OP_DRAINED || untaken_of(op) > 0);
        previous = index;
        TINA_ASSERT(++count <= reactor->config.op_count);
    }
    TINA_ASSERT(reactor->news.tail == previous);
}

static void multishot_verify(const tina_reactor *reactor, const op_entry *op) {
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    uint32_t paused = op->marks & (OP_PAUSING | OP_CANCELED);
    TINA_ASSERT((op->marks & OP_PAUSING) == 0 || (multishot && op->state == OP_FLYING));
    TINA_ASSERT(op->state != OP_PAUSED || (multishot && op->untaken > 0));
    TINA_ASSERT(untaken_of(op) == 0 || !op->owner->released);
    // Nobody is let run beyond the bound.
    TINA_ASSERT(op->state != OP_FLYING || paused != 0 ||
                untaken_of(op) < tina_multishot_untaken_max(reactor, op->kind));
}

static void op_fd_verify(const tina_reactor *reactor, uint32_t index, uint64_t bits) {
    if (bits == 0) {
        return;
    }
    const fd_entry *fd = &reactor->fds[fd_index(bits)];
    TINA_ASSERT(fd->os_fd >= 0);
    TINA_ASSERT(fd->generation == (uint32_t)bits);
    TINA_ASSERT(fd->read_op == index || fd->write_op == index);
    const tina_reactor_owner *owner = reactor->ops[index].owner;
    TINA_ASSERT(fd->owner == NULL || fd->owner == owner || owner->released);
}

static void close_verify(const tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    const fd_entry *fd = &reactor->fds[fd_index(op->fd)];
    TINA_ASSERT(fd->os_fd >= 0);
    TINA_ASSERT(fd->generation == (uint32_t)op->fd);
    TINA_ASSERT(fd->owner == NULL && fd->close_op == index);
    TINA_ASSERT((op->state == OP_CLOSING) == (fd->read_op != 0 || fd->write_op != 0));
}

static uint32_t free_places(const tina_reactor *reactor, op_place place) {
    uint32_t count = 0;
    uint32_t next = place == PLACE_PATH ? reactor->free_path : reactor->free_address;
    while (next != 0) {
        count++;
        if (place == PLACE_PATH) {
            memcpy(&next, tina_path_at(reactor, next - 1), sizeof next);
        } else {
            next = reactor->addresses[next - 1].scope;
        }
    }
    return count;
}

static void places_verify(const tina_reactor *reactor) {
    uint32_t used[PLACE_PATH + 1] = {0};
    for (uint32_t index = 1; index <= reactor->config.op_count; index++) {
        const op_entry *op = &reactor->ops[index];
        bool untaken = op->state == OP_DONE && op->kind == TINA_OP_RECVFROM;
        if ((op->state != OP_FREE && op->state < OP_DONE) || untaken) {
            used[tina_op_traits[op->kind].place]++;
        }
    }
    TINA_ASSERT(used[PLACE_ADDRESS] + free_places(reactor, PLACE_ADDRESS) ==
                reactor->config.address_count);
    TINA_ASSERT(used[PLACE_PATH] + free_places(reactor, PLACE_PATH) == reactor->config.path_count);
}

static void op_verify(const tina_reactor *reactor, uint32_t index) {
    const op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->generation != 0);
    TINA_ASSERT((op->marks & OP_RETRY) == 0 || op->state == OP_STAGED || op->state == OP_FLYING);
    if (op->state == OP_FREE) {
        TINA_ASSERT(op->owner == NULL && op->marks == 0);
        return;
    }
    TINA_ASSERT(op->owner != NULL);
    TINA_ASSERT(op->state != OP_DONE || !op->owner->released);
    TINA_ASSERT(op->state != OP_DRAINED || op->owner->released);
    multishot_verify(reactor, op);
    if (op->state >= OP_DONE) {
        return;
    }
    if (op->kind == TINA_OP_CLOSE) {
        close_verify(reactor, index);
    } else {
        TINA_ASSERT(op->state != OP_CLOSING);
        TINA_ASSERT(op->fd != 0 || tina_op_traits[op->kind].place == PLACE_PATH);
        op_fd_verify(reactor, index, op->fd);
        op_fd_verify(reactor, index, reactor->more[index].source);
    }
    if (op->kind == TINA_OP_SENDFILE) {
        tina_sendfile_verify(reactor, index);
    }
    bool linked = op->owner_prev != 0 ? reactor->ops[op->owner_prev].owner_next == index
                                      : op->owner->first_op == index;
    TINA_ASSERT(linked);
}

static void fd_verify(const tina_reactor *reactor, uint32_t index) {
    const fd_entry *fd = &reactor->fds[index];
    if (fd->os_fd < 0) {
        TINA_ASSERT(fd->owner == NULL && fd->read_op == 0 && fd->write_op == 0);
        return;
    }
    if (fd->owner != NULL) {
        bool linked = fd->owner_prev != 0 ? reactor->fds[fd->owner_prev].owner_next == index
                                          : fd->owner->first_fd == index;
        TINA_ASSERT(linked);
        TINA_ASSERT(!fd->owner->released);
    } else if (fd->accepted_by != 0) {
        const op_entry *op = &reactor->ops[fd->accepted_by];
        TINA_ASSERT(op->kind == TINA_OP_ACCEPT && untaken_of(op) > 0);
        TINA_ASSERT(fd->read_op == 0 && fd->write_op == 0);
    } else if (fd->close_op == 0) {
        TINA_ASSERT(fd->read_op != 0 || fd->write_op != 0);
    }
}

void tina_reactor_verify(const tina_reactor *reactor) {
    const tina_reactor_counters *counters = &reactor->counters;
    uint32_t flying = 0;
    uint32_t ops = 0;
    uint32_t retries = 0;
    uint32_t untaken = 0;
    for (uint32_t index = 1; index <= reactor->config.op_count; index++) {
        const op_entry *op = &reactor->ops[index];
        op_verify(reactor, index);
        ops += op->state != OP_FREE;
        flying += op->state == OP_FLYING;
        retries += (op->marks & OP_RETRY) != 0;
        untaken += untaken_of(op);
    }
    TINA_ASSERT(ops == counters->ops_in_use);
    TINA_ASSERT(flying == reactor->flying_count);
    TINA_ASSERT(retries == reactor->retry_count);
    uint32_t fds = 0;
    for (uint32_t index = 1; index <= reactor->config.fd_count; index++) {
        fd_verify(reactor, index);
        fds += reactor->fds[index].os_fd >= 0;
        untaken -= reactor->fds[index].owner == NULL && reactor->fds[index].accepted_by != 0;
    }
    TINA_ASSERT(fds == counters->fds_in_use);
    uint32_t held = 0;
    for (uint32_t buffer = 0; buffer < reactor->config.buffer_count; buffer++) {
        const buffer_entry *entry = &reactor->buffer_entries[buffer];
        TINA_ASSERT(entry->received_by == 0 || entry->held);
        held += entry->held;
        untaken -= entry->received_by != 0;
    }
    TINA_ASSERT(held == counters->buffers_in_use);
    TINA_ASSERT(untaken == 0);
    // Nobody waits for a buffer that nobody is sent to take.
    uint32_t waiting = queue_verify(reactor, &reactor->waiting);
    TINA_ASSERT(waiting == 0 || retries >= reactor->config.buffer_count - held);
    (void)queue_verify(reactor, &reactor->staged);
    // Nor for an fd when there is one.
    TINA_ASSERT(queue_verify(reactor, &reactor->fdless) == 0 || tina_fds_full(reactor));
    news_verify(reactor);
    places_verify(reactor);
}
