// SPDX-License-Identifier: Apache-2.0

#include "reactor/table.h"

// A row rests at the far end of the free list after every 2^20 uses, so that an id comes again only
// after 2^32 uses of *every* row; between rests the row used last is taken first, while it is warm.
#define REST_MASK ((UINT32_C(1) << 20) - 1)

static void free_ops_push(tina_reactor *reactor, uint32_t index, bool last) {
    op_queue *free_ops = &reactor->free_ops;
    op_entry *op = &reactor->ops[index];
    if (free_ops->head == 0) {
        op->queue.next = 0;
        free_ops->head = free_ops->tail = index;
    } else if (last) {
        op->queue.next = 0;
        reactor->ops[free_ops->tail].queue.next = index;
        free_ops->tail = index;
    } else {
        op->queue.next = free_ops->head;
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
    reactor->free_ops.head = op->queue.next;
    op->queue.next = 0;
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
    TINA_ASSERT((op->marks & (OP_QUEUED | OP_NEWS)) == 0);
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

static op_links *links_in(tina_reactor *reactor, const op_queue *queue, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    return queue == &reactor->news ? &op->news : &op->queue;
}

static uint8_t mark_of(const tina_reactor *reactor, const op_queue *queue) {
    return queue == &reactor->news ? OP_NEWS : OP_QUEUED;
}

static void queue_link(tina_reactor *reactor, op_queue *queue, uint32_t index, op_links links) {
    op_entry *op = &reactor->ops[index];
    TINA_ASSERT((op->marks & mark_of(reactor, queue)) == 0);
    op->marks |= mark_of(reactor, queue);
    *links_in(reactor, queue, index) = links;
    if (links.prev != 0) {
        links_in(reactor, queue, links.prev)->next = index;
    } else {
        queue->head = index;
    }
    if (links.next != 0) {
        links_in(reactor, queue, links.next)->prev = index;
    } else {
        queue->tail = index;
    }
}

void tina_ops_push(tina_reactor *reactor, op_queue *queue, uint32_t index) {
    queue_link(reactor, queue, index, (op_links){queue->tail, 0});
}

void tina_ops_push_front(tina_reactor *reactor, op_queue *queue, uint32_t index) {
    queue_link(reactor, queue, index, (op_links){0, queue->head});
}

void tina_ops_remove(tina_reactor *reactor, op_queue *queue, uint32_t index) {
    op_entry *op = &reactor->ops[index];
    op_links *links = links_in(reactor, queue, index);
    TINA_ASSERT((op->marks & mark_of(reactor, queue)) != 0);
    op->marks &= (uint8_t)~mark_of(reactor, queue);
    if (links->prev != 0) {
        links_in(reactor, queue, links->prev)->next = links->next;
    } else {
        TINA_ASSERT(queue->head == index);
        queue->head = links->next;
    }
    if (links->next != 0) {
        links_in(reactor, queue, links->next)->prev = links->prev;
    } else {
        TINA_ASSERT(queue->tail == index);
        queue->tail = links->prev;
    }
    *links = (op_links){0, 0};
}

void tina_ops_stage(tina_reactor *reactor, uint32_t index) {
    reactor->ops[index].state = OP_STAGED;
    tina_ops_push(reactor, &reactor->staged, index);
}

void tina_ops_relist(tina_reactor *reactor) {
    for (uint32_t index = 1; index <= reactor->config.op_count; index++) {
        op_entry *op = &reactor->ops[index];
        uint32_t next = op->generation + 1 != 0 ? op->generation + 1 : 1;
        *op = (op_entry){.generation = op->state == OP_FREE ? op->generation : next};
        free_ops_push(reactor, index, true);
    }
}

void tina_ops_open(tina_reactor *reactor) {
    for (uint32_t index = 0; index <= reactor->config.op_count; index++) {
        reactor->ops[index] = (op_entry){.generation = 1};
    }
    tina_ops_relist(reactor);
}

bool tina_reactor_uses(const tina_reactor *reactor, const tina_reactor_owner *owner,
                       const void *memory, size_t bytes) {
    uintptr_t first = (uintptr_t)memory;
    for (uint32_t index = owner->first_op; index != 0; index = reactor->ops[index].owner_next) {
        const op_entry *op = &reactor->ops[index];
        uintptr_t data = (uintptr_t)op->data;
        size_t data_bytes = op->bytes;
        if (op->kind == TINA_OP_STAT) {
            data = (uintptr_t)reactor->more[index].stat;
            data_bytes = sizeof(tina_file_stat);
        } else if (tina_op_traits[op->kind].moves != OP_READS_OWNER) {
            continue;
        }
        if (data < first + bytes && data + data_bytes > first) {
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
