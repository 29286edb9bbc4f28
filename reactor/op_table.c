// SPDX-License-Identifier: Apache-2.0

#include "reactor/table.h"

// A row rests at the far end of the free list after every 2^20 uses, so that an id comes again only
// after 2^32 uses of *every* row; between rests the row used last is taken first, while it is warm.
#define REST_MASK ((UINT32_C(1) << 20) - 1)

static void free_ops_push(tina_reactor *reactor, uint32_t index, bool last) {
    op_queue *free_ops = &reactor->free_ops;
    op_entry *op = &reactor->ops[index];
    if (free_ops->head == 0) {
        op->queue_next = 0;
        free_ops->head = free_ops->tail = index;
    } else if (last) {
        op->queue_next = 0;
        reactor->ops[free_ops->tail].queue_next = index;
        free_ops->tail = index;
    } else {
        op->queue_next = free_ops->head;
        free_ops->head = index;
    }
}

uint32_t tina_ops_take(tina_reactor *reactor, tina_reactor_owner *owner) {
    uint32_t index = reactor->free_ops.head;
    if (index == 0) {
        return 0;
    }
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->state == OP_FREE);
    reactor->free_ops.head = op->queue_next;
    op->queue_next = 0;
    op->owner = owner;
    op->owner_prev = 0;
    op->owner_next = owner->first_op;
    if (owner->first_op != 0) {
        reactor->ops[owner->first_op].owner_prev = index;
    }
    owner->first_op = index;
    owner->ops_in_flight++;
    reactor->counters.ops_in_use++;
    return index;
}

void tina_ops_give(tina_reactor *reactor, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT(op->state != OP_FREE);
    TINA_ASSERT((op->marks & OP_QUEUED) == 0);
    uint32_t generation = op->generation + 1 != 0 ? op->generation + 1 : 1;
    *op = (op_entry){.generation = generation, .state = OP_FREE};
    free_ops_push(reactor, index, (generation & REST_MASK) == 0);
    TINA_ASSERT(reactor->counters.ops_in_use > 0);
    reactor->counters.ops_in_use--;
}

uint32_t tina_ops_find(const tina_reactor *reactor, uint64_t key) {
    uint32_t index = (uint32_t)key;
    if (index == 0 || index > reactor->config.op_count) {
        return 0;
    }
    const op_entry *op = &reactor->ops[index];
    return op->state != OP_FREE && op->generation == key >> 32 ? index : 0;
}

void tina_ops_push(tina_reactor *reactor, op_queue *queue, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT((op->marks & OP_QUEUED) == 0);
    op->marks |= OP_QUEUED;
    op->queue_next = 0;
    op->queue_prev = queue->tail;
    if (queue->tail != 0) {
        reactor->ops[queue->tail].queue_next = index;
    } else {
        queue->head = index;
    }
    queue->tail = index;
}

void tina_ops_push_front(tina_reactor *reactor, op_queue *queue, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT((op->marks & OP_QUEUED) == 0);
    op->marks |= OP_QUEUED;
    op->queue_prev = 0;
    op->queue_next = queue->head;
    if (queue->head != 0) {
        reactor->ops[queue->head].queue_prev = index;
    } else {
        queue->tail = index;
    }
    queue->head = index;
}

void tina_ops_remove(tina_reactor *reactor, op_queue *queue, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT((op->marks & OP_QUEUED) != 0);
    op->marks &= (uint8_t)~OP_QUEUED;
    if (op->queue_prev != 0) {
        reactor->ops[op->queue_prev].queue_next = op->queue_next;
    } else {
        TINA_ASSERT(queue->head == index);
        queue->head = op->queue_next;
    }
    if (op->queue_next != 0) {
        reactor->ops[op->queue_next].queue_prev = op->queue_prev;
    } else {
        TINA_ASSERT(queue->tail == index);
        queue->tail = op->queue_prev;
    }
    op->queue_prev = op->queue_next = 0;
}

void tina_ops_stage(tina_reactor *reactor, uint32_t index) {
    reactor->ops[index].state = OP_STAGED;
    tina_ops_push(reactor, &reactor->staged, index);
}

const tina_address *tina_addresses_take(tina_reactor *reactor, const tina_address *address) {
    if (reactor->free_address == 0) {
        return NULL;
    }
    tina_address *copy = &reactor->addresses[reactor->free_address - 1];
    reactor->free_address = copy->scope;
    *copy = *address;
    return copy;
}

void tina_addresses_give(tina_reactor *reactor, const tina_address *address) {
    uint32_t index = (uint32_t)(address - reactor->addresses);
    TINA_ASSERT(index < reactor->config.connect_count);
    reactor->addresses[index].scope = reactor->free_address;
    reactor->free_address = index + 1;
}

void tina_ops_open(tina_reactor *reactor) {
    reactor->ops[0] = (op_entry){0};
    for (uint32_t index = 1; index <= reactor->config.op_count; index++) {
        reactor->ops[index] = (op_entry){.generation = 1};
        free_ops_push(reactor, index, true);
    }
    for (uint32_t index = reactor->config.connect_count; index > 0; index--) {
        tina_addresses_give(reactor, &reactor->addresses[index - 1]);
    }
}

bool tina_reactor_reads(const tina_reactor *reactor, const tina_reactor_owner *owner,
                        const void *memory, size_t bytes) {
    uintptr_t first = (uintptr_t)memory;
    for (uint32_t index = owner->first_op; index != 0; index = reactor->ops[index].owner_next) {
        const op_entry *op = &reactor->ops[index];
        uintptr_t data = (uintptr_t)op->data;
        if (op->kind == TINA_OP_SEND && data < first + bytes && data + op->bytes > first) {
            return true;
        }
    }
    return false;
}

bool tina_reactor_is_owner(const tina_reactor *reactor, const tina_reactor_owner *owner,
                           tina_io_id id) {
    uint32_t index = tina_ops_find(reactor, id.bits);
    return index != 0 && reactor->ops[index].owner == owner;
}
