// SPDX-License-Identifier: Apache-2.0

#include "reactor/table.h"

// As in the table of ops, with one difference: an fd's name must never come again, so a row whose
// generation would wrap is retired.
#define REST_MASK ((UINT32_C(1) << 20) - 1)

// Beside an fd's rights.
#define BEQUEATHED 4u

static void free_fds_push(tina_reactor *reactor, uint32_t index, bool last) {
    op_queue *free_fds = &reactor->free_fds;
    fd_entry *fd = &reactor->fds[index];
    if (free_fds->head == 0) {
        fd->owner_next = 0;
        free_fds->head = free_fds->tail = index;
    } else if (last) {
        fd->owner_next = 0;
        reactor->fds[free_fds->tail].owner_next = index;
        free_fds->tail = index;
    } else {
        fd->owner_next = free_fds->head;
        free_fds->head = index;
    }
}

static void fds_link(tina_reactor *reactor, tina_reactor_owner *owner, uint32_t index) {
    fd_entry *fd = &reactor->fds[index];
    fd->owner = owner;
    fd->owner_prev = 0;
    fd->owner_next = owner->first_fd;
    if (owner->first_fd != 0) {
        reactor->fds[owner->first_fd].owner_prev = index;
    }
    owner->first_fd = index;
}

void tina_fds_unlink(tina_reactor *reactor, uint32_t index) {
    fd_entry *fd = &reactor->fds[index];
    TINA_ASSERT(fd->owner != NULL);
    if (fd->owner_prev != 0) {
        reactor->fds[fd->owner_prev].owner_next = fd->owner_next;
    } else {
        TINA_ASSERT(fd->owner->first_fd == index);
        fd->owner->first_fd = fd->owner_next;
    }
    if (fd->owner_next != 0) {
        reactor->fds[fd->owner_next].owner_prev = fd->owner_prev;
    }
    fd->owner = NULL;
    fd->owner_prev = fd->owner_next = 0;
}

bool tina_fds_full(const tina_reactor *reactor) {
    return reactor->free_fds.head == 0;
}

bool tina_fds_scarce(const tina_reactor *reactor) {
    uint64_t gone = reactor->counters.fds_in_use + reactor->counters.fds_retired;
    return reactor->config.fd_count - gone < TINA_MULTISHOT_UNTAKEN_MAX;
}

uint32_t tina_fds_take(tina_reactor *reactor, int32_t os_fd) {
    uint32_t index = reactor->free_fds.head;
    TINA_ASSERT(os_fd >= 0);
    if (index == 0) {
        return 0;
    }
    fd_entry *fd = &reactor->fds[index];
    TINA_ASSERT(fd->os_fd < 0);
    reactor->free_fds.head = fd->owner_next;
    fd->os_fd = os_fd;
    fd->owner_next = 0;
    reactor->counters.fds_in_use++;
    return index;
}

tina_fd tina_fds_own(tina_reactor *reactor, uint32_t index, tina_reactor_owner *owner,
                     uint32_t rights) {
    fds_link(reactor, owner, index);
    reactor->rights[index] = (uint8_t)rights;
    tina_fd name = {(uint64_t)reactor->config.shard << 56 | (uint64_t)rights << 54 |
                    (uint64_t)index << 32 | reactor->fds[index].generation};
    return name;
}

void tina_fds_await(tina_reactor *reactor, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->kind == TINA_OP_ACCEPT && tina_fds_full(reactor));
    op->state = OP_WAITING;
    reactor->counters.fds_awaited++;
    tina_ops_push(reactor, &reactor->fdless, index);
}

// All of them, though there may be one row: which of them has a connection is not known.
static void fdless_serve(tina_reactor *reactor) {
    while (reactor->fdless.head != 0) {
        uint32_t index = reactor->fdless.head;
        tina_ops_remove(reactor, &reactor->fdless, index);
        tina_ops_stage(reactor, index);
    }
}

void tina_fds_give(tina_reactor *reactor, uint32_t index) {
    fd_entry *fd = &reactor->fds[index];
    TINA_ASSERT(fd->os_fd >= 0 && fd->owner == NULL);
    TINA_ASSERT(fd->read_op == 0 && fd->write_op == 0);
    *fd = (fd_entry){.os_fd = -1, .generation = fd->generation + 1};
    if (fd->generation != 0) {
        free_fds_push(reactor, index, (fd->generation & REST_MASK) == 0);
        fdless_serve(reactor);
    } else {
        reactor->counters.fds_retired++;
    }
    TINA_ASSERT(reactor->counters.fds_in_use > 0);
    reactor->counters.fds_in_use--;
}

uint32_t tina_fds_find(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd name) {
    uint32_t index = fd_index(name.bits);
    if (index == 0 || index > reactor->config.fd_count ||
        name.bits >> 56 != reactor->config.shard) {
        return 0;
    }
    const fd_entry *fd = &reactor->fds[index];
    return fd->owner == owner && fd->generation == (uint32_t)name.bits ? index : 0;
}

uint32_t tina_fds_rights(const tina_reactor *reactor, tina_fd name) {
    return fd_rights(name.bits) & reactor->rights[fd_index(name.bits)];
}

// The last op of an fd that is to go has ended, or it had none.
static void fds_close_idle(tina_reactor *reactor, uint32_t index) {
    fd_entry *fd = &reactor->fds[index];
    if (fd->close_op != 0) {
        TINA_ASSERT(reactor->ops[fd->close_op].state == OP_CLOSING);
        tina_ops_stage(reactor, fd->close_op);
    } else {
        reactor->backend->close_now(reactor->self, fd->os_fd);
        tina_fds_give(reactor, index);
    }
}

void tina_fds_cancel(tina_reactor *reactor, uint32_t index) {
    const fd_entry *fd = &reactor->fds[index];
    if (fd->read_op != 0) {
        tina_ops_cancel(reactor, fd->read_op, TINA_IO_CANCELED);
    }
    if (fd->write_op != 0) {
        tina_ops_cancel(reactor, fd->write_op, TINA_IO_CANCELED);
    }
}

// Cuts an fd from its owner: from here on no handle reaches it. close_op is staged, or without one
// the fd is closed, when its other ops have ended; whoever calls this cancels them first.
void tina_fds_begin_close(tina_reactor *reactor, uint32_t index, uint32_t close_op) {
    fd_entry *fd = &reactor->fds[index];
    tina_fds_unlink(reactor, index);
    fd->close_op = close_op;
    if (fd->read_op == 0 && fd->write_op == 0) {
        fds_close_idle(reactor, index);
    }
}

void tina_fds_op_ended(tina_reactor *reactor, uint32_t index, uint32_t op) {
    fd_entry *fd = &reactor->fds[index];
    TINA_ASSERT(fd->read_op == op || fd->write_op == op);
    if (fd->read_op == op) {
        fd->read_op = 0;
    }
    if (fd->write_op == op) {
        fd->write_op = 0;
    }
    if (fd->owner == NULL && fd->read_op == 0 && fd->write_op == 0) {
        fds_close_idle(reactor, index);
    }
}

int32_t tina_reactor_movable(const tina_reactor *reactor, const tina_reactor_owner *owner,
                             tina_fd name) {
    uint32_t index = tina_fds_find(reactor, owner, name);
    if (index == 0) {
        return TINA_IO_BAD_FD;
    }
    const fd_entry *fd = &reactor->fds[index];
    bool busy = fd->read_op != 0 || fd->write_op != 0 || tina_done_names(reactor, owner, name);
    return busy ? TINA_IO_BUSY : 0;
}

int32_t tina_reactor_move_fd(tina_reactor *reactor, tina_reactor_owner *from, tina_fd name,
                             tina_reactor_owner *to) {
    TINA_ASSERT(!to->released);
    int32_t refusal = tina_reactor_movable(reactor, from, name);
    if (refusal == 0) {
        uint32_t index = fd_index(name.bits);
        tina_fds_unlink(reactor, index);
        fds_link(reactor, to, index);
        reactor->rights[index] &= (uint8_t)fd_rights(name.bits);
    }
    return refusal;
}

int32_t tina_reactor_bequeath(tina_reactor *reactor, const tina_reactor_owner *owner,
                              tina_fd name) {
    uint32_t index = tina_fds_find(reactor, owner, name);
    if (index == 0) {
        return TINA_IO_BAD_FD;
    }
    reactor->rights[index] |= BEQUEATHED;
    return 0;
}

tina_fd tina_reactor_heirloom(const tina_reactor *reactor, const tina_reactor_owner *owner) {
    uint32_t index = owner->first_fd;
    while (index != 0 && (reactor->rights[index] & BEQUEATHED) == 0) {
        index = reactor->fds[index].owner_next;
    }
    if (index == 0) {
        return tina_fd_none();
    }
    tina_fd name = {(uint64_t)reactor->config.shard << 56 |
                    (uint64_t)(reactor->rights[index] & FD_FULL) << 54 | (uint64_t)index << 32 |
                    reactor->fds[index].generation};
    bool sending = reactor->fds[index].write_op != 0 || tina_done_sent(reactor, owner, name);
    return sending ? tina_fd_none() : name;
}

void tina_reactor_inherit(tina_reactor *reactor, tina_reactor_owner *dying, tina_fd name,
                          tina_reactor_owner *heir) {
    uint32_t index = tina_fds_find(reactor, dying, name);
    TINA_ASSERT(index != 0 && reactor->fds[index].write_op == 0);
    TINA_ASSERT(!dying->released && !heir->released);
    tina_fds_unlink(reactor, index);
    fds_link(reactor, heir, index);
    reactor->rights[index] &= (uint8_t)fd_rights(name.bits);
}

void tina_fds_relist(tina_reactor *reactor) {
    for (uint32_t index = 1; index <= reactor->config.fd_count; index++) {
        const fd_entry *fd = &reactor->fds[index];
        uint32_t generation = fd->os_fd < 0 ? fd->generation : fd->generation + 1;
        reactor->counters.fds_retired += fd->os_fd >= 0 && generation == 0;
        reactor->fds[index] = (fd_entry){.os_fd = -1, .generation = generation};
        if (generation != 0) {
            free_fds_push(reactor, index, true);
        }
    }
}

void tina_fds_open(tina_reactor *reactor) {
    for (uint32_t index = 0; index <= reactor->config.fd_count; index++) {
        reactor->fds[index] = (fd_entry){.os_fd = -1, .generation = 1};
    }
    tina_fds_relist(reactor);
}
