// SPDX-License-Identifier: Apache-2.0
#include "examples/hub.h"

#include <string.h>

#include "core/atomic.h"

#define RETRY_NS UINT64_C(100000000) // to feed those that did not keep up

// The last line that was sent to it, and the count.
typedef struct subscriber {
    tina_handle who;
    tina_monitor monitor;
    uint64_t line_id;
    uint64_t count;
} subscriber;

typedef struct hub {
    uint64_t count;
    uint64_t line_id; // of the last line
    tina_timer retry;
    uint32_t subscriber_count;
    hub_line lines[HUB_REMEMBERED_LINES]; // by id
    subscriber subscribers[HUB_SUBSCRIBER_MAX];
} hub;

static tina_atomic_u64 handle;

tina_handle hub_handle(void) {
    return (tina_handle){tina_atomic_u64_load_acquire(&handle)};
}

static tina_effect hub_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    (void)self_;
    (void)args;
    if (tina_shard_number(ctx) != 0)
        return tina_done();
    tina_atomic_u64_store_release(&handle, tina_self(ctx).bits);
    return tina_receive();
}

// Sends what the subscriber lacks, as long as it is taken. False: not all of it was.
static bool feed(tina_ctx *ctx, const hub *self, subscriber *s) {
    if (s->count != self->count) {
        if (tina_send(ctx, s->who, HUB_COUNT, &self->count, sizeof self->count) != TINA_SEND_OK)
            return false;
        s->count = self->count;
    }
    uint64_t forgotten =
        self->line_id > HUB_REMEMBERED_LINES ? self->line_id - HUB_REMEMBERED_LINES : 0;
    if (s->line_id < forgotten)
        s->line_id = forgotten;
    while (s->line_id < self->line_id) {
        const hub_line *line = &self->lines[(s->line_id + 1) % HUB_REMEMBERED_LINES];
        if (tina_send(ctx, s->who, HUB_SAID, line, sizeof *line) != TINA_SEND_OK)
            return false;
        s->line_id++;
    }
    return true;
}

static tina_effect feed_all(tina_ctx *ctx, hub *self) {
    bool all = true;
    for (uint32_t i = 0; i < self->subscriber_count; i++)
        all = feed(ctx, self, &self->subscribers[i]) && all;
    if (!all && self->retry.bits == 0)
        self->retry = tina_timer_set(ctx, RETRY_NS, 0);
    return tina_receive();
}

static tina_effect join(tina_ctx *ctx, hub *self, const tina_message *m) {
    tina_monitor monitor = {0};
    if (self->subscriber_count < HUB_SUBSCRIBER_MAX && m->payload_bytes == sizeof(uint64_t))
        monitor = tina_monitor_set(ctx, m->from);
    if (monitor.bits == 0)
        return tina_reply(ctx, HUB_FULL, NULL, 0);
    subscriber *s = &self->subscribers[self->subscriber_count++];
    *s = (subscriber){.who = m->from, .monitor = monitor, .count = UINT64_MAX};
    memcpy(&s->line_id, m->payload, sizeof s->line_id);
    if (s->line_id > self->line_id)
        s->line_id = 0; // of a hub before this one
    tina_answer(ctx, tina_caller_of(ctx, m), HUB_JOINED, NULL, 0);
    return feed_all(ctx, self);
}

static tina_effect leave(tina_ctx *ctx, hub *self, tina_handle who) {
    for (uint32_t i = 0; i < self->subscriber_count; i++) {
        subscriber *s = &self->subscribers[i];
        if (s->who.bits != who.bits)
            continue;
        tina_monitor_end(ctx, s->monitor);
        *s = self->subscribers[--self->subscriber_count];
        break;
    }
    return tina_receive();
}

static tina_effect say(tina_ctx *ctx, hub *self, const tina_message *m) {
    if (m->payload_bytes == 0 || m->payload_bytes > HUB_TEXT_BYTES)
        return tina_receive();
    hub_line *line = &self->lines[++self->line_id % HUB_REMEMBERED_LINES];
    *line = (hub_line){.id = self->line_id, .text_bytes = m->payload_bytes};
    memcpy(line->text, m->payload, m->payload_bytes);
    return feed_all(ctx, self);
}

static tina_effect hub_handle_message(tina_ctx *ctx, void *self_, const tina_message *m) {
    hub *self = self_;
    switch (m->tag) {
    case HUB_JOIN:
        return join(ctx, self, m);
    case HUB_LEAVE:
        return leave(ctx, self, m->from);
    case TINA_DOWN:
        return leave(ctx, self, m->down.who);
    case HUB_SAY:
        return say(ctx, self, m);
    case HUB_ADD:
        self->count++;
        return feed_all(ctx, self);
    case TINA_TIMER:
        self->retry = (tina_timer){0};
        return feed_all(ctx, self);
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        return tina_receive();
    }
}

const tina_isolate_type hub_type = {
    .name = "hub",
    .init = hub_init,
    .handle = hub_handle_message,
    .struct_bytes = sizeof(hub),
    .mailbox_max = 1024,
};
