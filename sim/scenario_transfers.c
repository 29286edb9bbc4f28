// SPDX-License-Identifier: Apache-2.0
//
// Transfer buffers: hands take them, write into them, keep them, give them back and send them to
// hands on all shards, which send them on. Whatever happens, a buffer has one owner, its bytes
// change by nobody else's doing, who has let go of it can do nothing with it, and when all is quiet
// every buffer is home.

#include <string.h>

#include "sched/ctx.h"
#include "sim/scenarios.h"

#define HANDS_PER_SHARD 4u
#define SHARDS_MAX      4u
#define HAND_COUNT      (HANDS_PER_SHARD * SHARDS_MAX)
#define BUFFERS         5u // of each shard; over a power of two, which their ring of returns is
#define BUFFER_BYTES    256u
#define HELD            3u // at once, of each hand

enum {
    TAG_BUFFER = 1
};

// Of what a hand does.
enum {
    KIND_GIVE = 0,
    KIND_WRITE,
    KIND_SEND,
    KIND_END,
    KIND_SEND_ON,
    KIND_KEEP,
};

// What is written into a buffer, by word.
typedef struct content {
    uint64_t taking; // the number of the taking that it was had by
    uint64_t version;
} content;

typedef struct held_buffer {
    tina_transfer transfer; // none: free
    content content;
} held_buffer;

// What is told of a buffer that is sent.
typedef struct note {
    tina_handle from;
    tina_handle to;
    content content;
    uint32_t hops;   // that may follow
    uint32_t unused; // what a message holds is hashed, padding too
} note;

typedef struct transfers {
    uint32_t hand_count;
    uint64_t takings;
    uint64_t versions;
    tina_handle hands[HAND_COUNT];
} transfers;

typedef struct hand {
    uint32_t number;
    held_buffer held[HELD];
    tina_transfer gone; // a name that is good for nothing any more
} hand;

static transfers *transfers_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static uint32_t load(uint32_t most) {
    return tina_sim_load(tina_sim_current(), most);
}

static bool does(uint32_t kind) {
    return tina_sim_does(tina_sim_current(), kind);
}

// Any hand that is there: with less load each shard has the first of its hands only.
static uint32_t hand_draw(void) {
    uint32_t number = draw(1, transfers_of()->hand_count);
    return number - number % HANDS_PER_SHARD + number % HANDS_PER_SHARD % load(HANDS_PER_SHARD);
}

static void hand_rest(tina_ctx *ctx) {
    if (tina_timer_set(ctx, 200000 + draw(0, 10000000), 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "transfers timers", "no timer for a hand");
}

static tina_effect hand_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    hand *self = self_;
    self->number = tina_shard_number(ctx) * HANDS_PER_SHARD + *(const uint32_t *)args.data;
    transfers_of()->hands[self->number] = tina_self(ctx);
    hand_rest(ctx);
    return tina_receive();
}

static uint64_t word_of(const content *of, uint32_t i) {
    return (of->taking << 32 ^ of->version) * UINT64_C(0x9E3779B97F4A7C15) + i;
}

static void content_write(void *data, const content *of) {
    uint64_t *words = data;
    for (uint32_t i = 0; i < BUFFER_BYTES / sizeof *words; i++)
        words[i] = word_of(of, i);
}

static void content_check(const void *data, const content *of, const char *when) {
    const uint64_t *words = data;
    for (uint32_t i = 0; i < BUFFER_BYTES / sizeof *words; i++) {
        if (words[i] == word_of(of, i))
            continue;
        tina_sim_fail(tina_sim_current(), "transfers content",
                      "word %u of taking %llu, version %llu, is another's %s", i,
                      (unsigned long long)of->taking, (unsigned long long)of->version, when);
        return;
    }
}

// The data of a buffer that is owned and says what it should.
static void *held_data(tina_ctx *ctx, const held_buffer *held, const char *when) {
    void *data = tina_transfer_data(ctx, held->transfer);
    if (data)
        content_check(data, &held->content, when);
    else
        tina_sim_fail(tina_sim_current(), "transfers owner", "a buffer is not its owner's %s",
                      when);
    return data;
}

static void gone_check(tina_ctx *ctx, tina_transfer gone) {
    if (gone.bits == 0)
        return;
    tina_handle self = tina_self(ctx);
    if (tina_transfer_data(ctx, gone) || tina_transfer_keep(ctx, gone) ||
        tina_transfer_give(ctx, gone) ||
        tina_send_transfer(ctx, self, TAG_BUFFER, NULL, 0, gone) != TINA_SEND_BAD_TRANSFER)
        tina_sim_fail(tina_sim_current(), "transfers stale", "a buffer that is gone can be used");
}

static held_buffer *held_free(hand *self) {
    for (uint32_t i = 0; i < HELD; i++)
        if (self->held[i].transfer.bits == 0)
            return &self->held[i];
    return NULL;
}

static void buffer_write(tina_ctx *ctx, held_buffer *held, void *data) {
    (void)ctx;
    held->content.version = ++transfers_of()->versions;
    content_write(data, &held->content);
}

static void buffer_take(tina_ctx *ctx, hand *self) {
    held_buffer *held = held_free(self);
    if (!held)
        return;
    tina_transfer taken = tina_transfer_take(ctx);
    if (taken.bits == 0) {
        tina_shard_counters counters;
        (void)tina_counters(ctx, tina_shard_number(ctx), &counters);
        if (counters.transfers_in_use != BUFFERS)
            tina_sim_fail(tina_sim_current(), "transfers in use",
                          "none is left with %llu of %u in use",
                          (unsigned long long)counters.transfers_in_use, BUFFERS);
        return;
    }
    *held = (held_buffer){.transfer = taken, .content.taking = ++transfers_of()->takings};
    void *data = tina_transfer_data(ctx, taken);
    if (data)
        buffer_write(ctx, held, data);
    else
        tina_sim_fail(tina_sim_current(), "transfers owner", "a buffer that was taken is none");
}

static void buffer_give(tina_ctx *ctx, hand *self, held_buffer *held) {
    (void)held_data(ctx, held, "before it is given");
    if (!tina_transfer_give(ctx, held->transfer))
        tina_sim_fail(tina_sim_current(), "transfers owner", "a buffer cannot be given back");
    self->gone = held->transfer;
    held->transfer.bits = 0;
}

// True when it has gone. A borrowed one cannot be lent on.
static bool buffer_send(tina_ctx *ctx, hand *self, const held_buffer *held, uint32_t hops) {
    tina_handle to = transfers_of()->hands[hand_draw()];
    if (tina_handle_is_none(to))
        return false;
    note sent = {tina_self(ctx), to, held->content, hops};
    tina_send_result result =
        tina_send_transfer(ctx, to, TAG_BUFFER, &sent, sizeof sent, held->transfer);
    if (result == TINA_SEND_BAD_TRANSFER && tina_handle_shard(to) == tina_shard_number(ctx))
        tina_sim_fail(tina_sim_current(), "transfers owner", "a buffer cannot be sent on");
    if (result != TINA_SEND_OK) {
        (void)held_data(ctx, held, "after it was not sent");
        return false;
    }
    self->gone = held->transfer;
    return true;
}

static void hand_act(tina_ctx *ctx, hand *self) {
    held_buffer *held = &self->held[draw(2, HELD)];
    uint32_t what = draw(3, 8);
    if (held->transfer.bits == 0 || what == 0) {
        buffer_take(ctx, self);
    } else if (what == 1 && does(KIND_GIVE)) {
        buffer_give(ctx, self, held);
    } else if (what == 2 && does(KIND_WRITE)) {
        void *data = held_data(ctx, held, "before it is written to");
        if (data)
            buffer_write(ctx, held, data);
    } else if (what > 2 && what < 7 && does(KIND_SEND) &&
               buffer_send(ctx, self, held, draw(4, 4))) {
        held->transfer.bits = 0;
    }
}

static tina_effect hand_live(tina_ctx *ctx, hand *self) {
    hand_rest(ctx);
    if (tina_sim_is_calm(tina_sim_current())) {
        for (uint32_t i = 0; i < HELD; i++)
            if (self->held[i].transfer.bits)
                buffer_give(ctx, self, &self->held[i]);
        return tina_receive();
    }
    for (uint32_t left = 1 + draw(5, 5); left > 0; left--)
        hand_act(ctx, self);
    uint32_t end = draw(6, 150);
    if (!does(KIND_END))
        return tina_receive();
    return end == 0 ? tina_done() : end == 1 ? tina_crash(1) : tina_receive();
}

// Kept, sent on, given back, or left to go home by itself.
static tina_effect buffer_came(tina_ctx *ctx, hand *self, const tina_message *m) {
    note came;
    memcpy(&came, m->payload, sizeof came);
    held_buffer now = {tina_transfer_of(ctx, m), came.content};
    bool mine = came.to.bits == tina_self(ctx).bits && came.from.bits == m->from.bits;
    if (!mine || now.transfer.bits == 0)
        tina_sim_fail(tina_sim_current(), "transfers address", "hand %u: what came is another's",
                      self->number);
    if (self->gone.bits == now.transfer.bits)
        self->gone.bits = 0;
    void *data = held_data(ctx, &now, "when it comes");
    uint32_t what = draw(7, 5);
    held_buffer *held = held_free(self);
    if (data && draw(8, 2))
        buffer_write(ctx, &now, data);
    if (what == 0 && held && does(KIND_KEEP) && !tina_sim_is_calm(tina_sim_current())) {
        if (!tina_transfer_keep(ctx, now.transfer))
            tina_sim_fail(tina_sim_current(), "transfers owner", "a buffer cannot be kept");
        *held = now;
        return tina_receive();
    }
    if (what < 3 && came.hops && does(KIND_SEND_ON) && buffer_send(ctx, self, &now, came.hops - 1))
        return tina_receive();
    if (what == 3)
        buffer_give(ctx, self, &now);
    else
        self->gone = now.transfer;
    return what == 4 && draw(9, 20) == 0 ? tina_exit(1) : tina_receive();
}

static tina_effect hand_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    hand *self = self_;
    bool comes = m->tag == TAG_BUFFER && tina_transfer_of(ctx, m).bits == self->gone.bits;
    for (uint32_t i = 0; i < HELD; i++)
        if (self->held[i].transfer.bits)
            (void)held_data(ctx, &self->held[i], "while it is kept");
    if (!comes)
        gone_check(ctx, self->gone);
    switch (m->tag) {
    case TAG_BUFFER:
        return buffer_came(ctx, self, m);
    case TINA_TIMER:
        return hand_live(ctx, self);
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        return tina_receive();
    }
}

static const tina_isolate_type hand_type = {
    .name = "hand",
    .init = hand_init,
    .handle = hand_handle,
    .struct_bytes = sizeof(hand),
    .mailbox_max = 4,
    .batch = 3,
};

static const uint32_t numbers[HANDS_PER_SHARD] = {0, 1, 2, 3};

#define HAND(i)                                                                                    \
    {                                                                                              \
        .type = &hand_type, .args = { &numbers[i], sizeof numbers[i] }                             \
    }

static const tina_child children[HANDS_PER_SHARD] = {HAND(0), HAND(1), HAND(2), HAND(3)};
static const tina_type_slots types[] = {{&hand_type, HANDS_PER_SHARD}};

static const tina_spec spec = {
    .name = "transfers",
    .types = types,
    .type_count = 1,
    .root = {.name = "hands",
             .children = children,
             .child_count = HANDS_PER_SHARD,
             .intensity = 15},
    .message_count = 16,
    .sender_share = 6,
    .transfer_count = BUFFERS,
    .transfer_bytes = BUFFER_BYTES,
    .tick_batch = 8,
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 8192,
};

static void transfers_begin(tina_sim *sim, void *state) {
    transfers *self = state;
    self->hand_count = tina_sim_shard_count(sim) * HANDS_PER_SHARD;
}

static bool transfers_done(tina_sim *sim, void *state) {
    (void)state;
    if (!tina_sim_is_calm(sim))
        return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters counters;
        tina_shard_snapshot(tina_sim_shard(sim, i), &counters);
        if (!tina_sim_is_up(sim, i) || counters.transfers_in_use || counters.messages_in_use)
            return false;
    }
    return true;
}

const tina_scenario tina_scenario_transfers = {
    .name = "transfers",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 500000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(transfers),
    .fewer_children = true,
    .begin = transfers_begin,
    .done = transfers_done,
};
