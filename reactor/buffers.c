// SPDX-License-Identifier: Apache-2.0
//
// Receive buffers are lent to the backend, held by a completion, and come home. A receive that
// found data but no buffer waits in a queue, and is staged again when one is there for it.

#include "arena/poison.h"
#include "reactor/table.h"

static const uint8_t *buffer_at(const tina_reactor *reactor, uint32_t buffer) {
    return reactor->buffers + (size_t)buffer * reactor->config.buffer_bytes;
}

void tina_buffers_hold(tina_reactor *reactor, uint32_t buffer) {
    TINA_ASSERT(buffer < reactor->config.buffer_count);
    TINA_ASSERT(!reactor->buffer_entries[buffer].held);
    reactor->buffer_entries[buffer].held = true;
    reactor->counters.buffers_in_use++;
    tina_unpoison(buffer_at(reactor, buffer), reactor->config.buffer_bytes);
}

// As many receives are staged again as buffers are lent, and no more, so that each finds one; when
// one ends without taking its buffer (end of stream, canceled), the next gets its turn.
static void waiting_serve(tina_reactor *reactor) {
    uint32_t lent = reactor->config.buffer_count - reactor->counters.buffers_in_use;
    while (reactor->waiting.head != 0 && reactor->retry_count < lent) {
        uint32_t index = reactor->waiting.head;
        tina_ops_remove(reactor, &reactor->waiting, index);
        reactor->ops[index].marks |= OP_RETRY;
        reactor->retry_count++;
        tina_ops_stage(reactor, index);
    }
}

void tina_buffers_give(tina_reactor *reactor, uint32_t buffer) {
    TINA_ASSERT(buffer < reactor->config.buffer_count);
    TINA_ASSERT(reactor->buffer_entries[buffer].held);
    uint16_t id = (uint16_t)buffer;
    reactor->buffer_entries[buffer].held = false;
    reactor->counters.buffers_in_use--;
    tina_poison(buffer_at(reactor, buffer), reactor->config.buffer_bytes);
    reactor->backend->give_buffers(reactor->self, &id, 1);
    waiting_serve(reactor);
}

// A receive that lost its buffer to another keeps its place at the head.
void tina_buffers_await(tina_reactor *reactor, uint32_t op) {
    op_entry *entry = &reactor->ops[op];
    TINA_ASSERT(entry->state == OP_FLYING);
    entry->state = OP_WAITING;
    reactor->counters.buffers_awaited++;
    if ((entry->marks & OP_RETRY) != 0) {
        tina_ops_push_front(reactor, &reactor->waiting, op);
    } else {
        tina_ops_push(reactor, &reactor->waiting, op);
    }
    tina_buffers_retry_ended(reactor, op);
}

void tina_buffers_retry_ended(tina_reactor *reactor, uint32_t op) {
    op_entry *entry = &reactor->ops[op];
    if ((entry->marks & OP_RETRY) != 0) {
        TINA_ASSERT(reactor->retry_count > 0);
        entry->marks &= (uint8_t)~OP_RETRY;
        reactor->retry_count--;
    }
    waiting_serve(reactor);
}

const void *tina_reactor_buffer(const tina_reactor *reactor, uint16_t buffer) {
    TINA_ASSERT(buffer < reactor->config.buffer_count);
    TINA_ASSERT(reactor->buffer_entries[buffer].held);
    return buffer_at(reactor, buffer);
}

void tina_reactor_give_buffer(tina_reactor *reactor, uint16_t buffer) {
    tina_buffers_give(reactor, buffer);
}

static size_t buffers_bytes(const tina_reactor *reactor) {
    return (size_t)reactor->config.buffer_count * reactor->config.buffer_bytes;
}

void tina_buffers_open(tina_reactor *reactor) {
    for (uint32_t buffer = 0; buffer < reactor->config.buffer_count; buffer++) {
        reactor->buffer_entries[buffer] = (buffer_entry){.held = false};
    }
    tina_poison(reactor->buffers, buffers_bytes(reactor));
}

void tina_buffers_close(tina_reactor *reactor) {
    tina_unpoison(reactor->buffers, buffers_bytes(reactor));
}
