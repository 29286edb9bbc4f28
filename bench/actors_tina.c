// SPDX-License-Identifier: Apache-2.0
//
// What //bench:actors measures of Tina: a whole program on one shard, as tina_run runs it.
//
//     actors_tina ROW COUNT
//
// It writes "ns N": CPU time of the process for one of COUNT operations, from when all that takes
// part is there. actors_caf.cc and actors_erlang.erl do the same in the same words.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tina.h"

enum {
    FLOOD_BATCH = 64,
    PAIRS_MANY = 128,
};

enum {
    TAG_PEER = 1, // a player's other
    TAG_BALL,     // how often it is to be sent on
    TAG_OVER,     // to the umpire: a pair has played
};

static uint64_t count;
static uint64_t start_ns;

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static tina_effect over(tina_ctx *ctx) {
    printf("ns %.2f\n", (double)(cpu_ns() - start_ns) / (double)count);
    tina_stop(ctx, 0);
    return tina_receive();
}

static void message_send(tina_ctx *ctx, tina_handle to, int32_t tag, const void *payload,
                         size_t bytes) {
    if (tina_send(ctx, to, tag, payload, bytes) != TINA_SEND_OK)
        tina_panic("a message was refused");
}

// Ping-pong: as many pairs as the row says send a ball to and fro, COUNT messages in all.

typedef struct player {
    tina_handle umpire;
    tina_handle peer;
} player;

typedef struct umpire {
    uint32_t playing;
} umpire;

static tina_effect player_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    (void)ctx;
    ((player *)self_)->umpire = *(const tina_handle *)args.data;
    return tina_receive();
}

static tina_effect player_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    player *self = self_;
    uint64_t left;
    switch (m->tag) {
    case TAG_PEER:
        memcpy(&self->peer, m->payload, sizeof self->peer);
        return tina_receive();
    case TAG_BALL:
        memcpy(&left, m->payload, sizeof left);
        if (left == 0) {
            message_send(ctx, self->umpire, TAG_OVER, NULL, 0);
            return tina_receive();
        }
        left--;
        message_send(ctx, self->peer, TAG_BALL, &left, sizeof left);
        return tina_receive();
    default:
        return tina_done();
    }
}

static const tina_isolate_type player_type = {
    .name = "player", .init = player_init, .handle = player_handle, .struct_bytes = sizeof(player)};

static tina_handle player_spawn(tina_ctx *ctx) {
    const tina_handle self = tina_self(ctx);
    tina_handle spawned;
    if (tina_spawn(ctx, &player_type, tina_bytes_of(&self, sizeof self), &spawned) != TINA_SPAWN_OK)
        tina_panic("a spawn was refused");
    return spawned;
}

static tina_effect umpire_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    umpire *self = self_;
    const uint32_t pairs = *(const uint32_t *)args.data;
    const uint64_t balls = count / pairs;
    self->playing = pairs;
    start_ns = cpu_ns();
    for (uint32_t i = 0; i < pairs; i++) {
        const tina_handle a = player_spawn(ctx);
        const tina_handle b = player_spawn(ctx);
        message_send(ctx, a, TAG_PEER, &b, sizeof b);
        message_send(ctx, b, TAG_PEER, &a, sizeof a);
        message_send(ctx, a, TAG_BALL, &balls, sizeof balls);
    }
    return tina_receive();
}

static tina_effect umpire_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    umpire *self = self_;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    return --self->playing == 0 ? over(ctx) : tina_receive();
}

static const tina_isolate_type umpire_type = {.name = "umpire",
                                              .init = umpire_init,
                                              .handle = umpire_handle,
                                              .struct_bytes = sizeof(umpire),
                                              .mailbox_max = PAIRS_MANY};

// Flood: one sends as fast as it can, and the other counts.

typedef struct counter {
    uint64_t left;
} counter;

static tina_effect counter_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    (void)ctx, (void)args;
    ((counter *)self_)->left = count;
    return tina_receive();
}

static tina_effect counter_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    counter *self = self_;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    return --self->left == 0 ? over(ctx) : tina_receive();
}

static const tina_isolate_type counter_type = {.name = "counter",
                                               .init = counter_init,
                                               .handle = counter_handle,
                                               .struct_bytes = sizeof(counter)};

typedef struct flooder {
    tina_handle to;
    uint64_t left;
} flooder;

static tina_effect flooder_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    flooder *self = self_;
    if (m && m->tag == TINA_SHUTDOWN)
        return tina_done();
    for (uint32_t i = 0; i < FLOOD_BATCH && self->left > 0; i++) {
        if (tina_send(ctx, self->to, TAG_BALL, &self->left, sizeof self->left) != TINA_SEND_OK)
            break;
        self->left--;
    }
    return self->left > 0 ? tina_yield() : tina_receive();
}

static tina_effect flooder_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    flooder *self = self_;
    (void)args;
    if (tina_spawn(ctx, &counter_type, tina_bytes_of(NULL, 0), &self->to) != TINA_SPAWN_OK)
        tina_panic("a spawn was refused");
    self->left = count;
    start_ns = cpu_ns();
    return flooder_handle(ctx, self, NULL);
}

static const tina_isolate_type flooder_type = {.name = "flooder",
                                               .init = flooder_init,
                                               .handle = flooder_handle,
                                               .struct_bytes = sizeof(flooder)};

// Spawn: isolates that tell the one who spawned them that they were there, and end. So many are
// there at once.

static tina_effect mayfly_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self;
    message_send(ctx, *(const tina_handle *)args.data, TAG_OVER, NULL, 0);
    return tina_done();
}

static tina_effect mayfly_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    (void)ctx, (void)self, (void)m;
    return tina_done();
}

static const tina_isolate_type mayfly_type = {
    .name = "mayfly", .init = mayfly_init, .handle = mayfly_handle, .struct_bytes = 64};

static void mayfly_spawn(tina_ctx *ctx) {
    const tina_handle self = tina_self(ctx);
    if (tina_spawn(ctx, &mayfly_type, tina_bytes_of(&self, sizeof self), NULL) != TINA_SPAWN_OK)
        tina_panic("a spawn was refused");
}

static tina_effect spawner_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    counter *self = self_;
    (void)args;
    self->left = count;
    start_ns = cpu_ns();
    for (uint32_t i = 0; i < FLOOD_BATCH; i++)
        mayfly_spawn(ctx);
    return tina_receive();
}

static tina_effect spawner_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    counter *self = self_;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (--self->left == 0)
        return over(ctx);
    if (self->left >= FLOOD_BATCH)
        mayfly_spawn(ctx);
    return tina_receive();
}

static const tina_isolate_type spawner_type = {.name = "spawner",
                                               .init = spawner_init,
                                               .handle = spawner_handle,
                                               .struct_bytes = sizeof(counter)};

// Restart: a supervised child that crashes as soon as it lives.

static uint64_t lives;

static tina_effect doomed_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)ctx, (void)self, (void)args;
    if (lives == 0)
        start_ns = cpu_ns();
    return tina_yield();
}

static tina_effect doomed_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    (void)self;
    if (m && m->tag == TINA_SHUTDOWN)
        return tina_done();
    return lives++ == count ? over(ctx) : tina_crash(1);
}

static const tina_isolate_type doomed_type = {
    .name = "doomed", .init = doomed_init, .handle = doomed_handle, .struct_bytes = 64};

static const uint32_t pairs_one = 1;
static const uint32_t pairs_many = PAIRS_MANY;

typedef struct row {
    const char *name;
    tina_child child;
    int log_level;
} row;

// An end before its time is that of the program, but where restarts are counted, in silence.
#define ONCE .restart = TINA_TEMPORARY

static const row rows[] = {
    {"ping_pong_1", {.type = &umpire_type, .args = {&pairs_one, sizeof pairs_one}, ONCE}, 0},
    {"ping_pong_128", {.type = &umpire_type, .args = {&pairs_many, sizeof pairs_many}, ONCE}, 0},
    {"flood", {.type = &flooder_type, ONCE}, 0},
    {"spawn", {.type = &spawner_type, ONCE}, 0},
    {"restart", {.type = &doomed_type}, -1},
};

int main(int argc, char **argv) {
    const row *wanted = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (argc == 3 && strcmp(argv[1], rows[i].name) == 0)
            wanted = &rows[i];
    count = wanted ? strtoull(argv[2], NULL, 10) : 0;
    if (count < PAIRS_MANY) {
        fprintf(stderr, "usage: actors_tina ROW COUNT\n");
        return 1;
    }
    static const tina_type_slots types[] = {
        {&player_type, 2 * PAIRS_MANY},  {&umpire_type, 1},  {&counter_type, 1}, {&flooder_type, 1},
        {&mayfly_type, FLOOD_BATCH + 1}, {&spawner_type, 1}, {&doomed_type, 1},
    };
    const tina_spec spec = {
        .name = "actors_tina",
        .types = types,
        .type_count = sizeof types / sizeof *types,
        // Of a nanosecond, so never reached.
        .root = {.name = "actors",
                 .children = &wanted->child,
                 .child_count = 1,
                 .intensity = 10,
                 .period_ns = 1},
        .message_count = 4096,
        .log_level = wanted->log_level,
    };
    return tina_run(&spec);
}
