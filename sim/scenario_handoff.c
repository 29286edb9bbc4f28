// SPDX-License-Identifier: Apache-2.0
//
// Sockets that go from hand to hand, within shards and between them, while hands crash, shards
// break and tables are full. Whatever happens, a socket is in one place: who gave it away can do
// nothing with it, who was refused still has it, and what was dropped on the way is closed.
//
//     hand ──handoff──▶ hand, of any shard        a token is a UDP socket, and has a port that no
//      │                 ▲                        other ever has: so it can be told from others
//      └─spawn─▶ pocket ─┘ after a while          whatever its fd is called

#include <string.h>

#include "sched/ctx.h"
#include "sim/net.h"
#include "sim/scenarios.h"

#define HANDS_PER_SHARD 3u
#define POCKETS         2u
#define SHARDS_MAX      4u
#define HAND_COUNT      (HANDS_PER_SHARD * SHARDS_MAX)
#define HELD            3u // at once, of each hand
#define FD_COUNT        8u // of a shard; fewer than its hands could hold
#define PORT_FIRST      1024u
#define PORT_COUNT      20000u

enum {
    TAG_TOKEN = 1
};

typedef struct token {
    tina_fd fd; // none: no token
    uint16_t port;
    bool armed; // a receive is in flight
    tina_io_id receive;
} token;

typedef struct handoff_state {
    uint32_t hand_count;
    uint32_t made;
    tina_handle hands[HAND_COUNT];
    uint64_t whose[PORT_COUNT]; // a handle's bits; of a token that is given: the receiver's
    bool on_way[PORT_COUNT];
    uint8_t rights[PORT_COUNT];
} handoff_state;

typedef struct hand {
    uint32_t number;
    token held[HELD];
    token gone; // one that was given away
} hand;

static handoff_state *state_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static void rest(tina_ctx *ctx, uint64_t most_ns) {
    if (tina_timer_set(ctx, 200000 + draw(0, most_ns), 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "handoff timers", "no timer for a hand");
}

static uint32_t index_of(const token *self) {
    return self->port - PORT_FIRST;
}

// That a token which should be somebody's is.
static void token_check(tina_ctx *ctx, const token *self, const char *when) {
    tina_address address;
    int32_t result = tina_socket_local_address(ctx, self->fd, &address);
    if (result < 0 || address.port != self->port)
        tina_sim_fail(tina_sim_current(), "handoff owner", "token %u is not its owner's %s: %d",
                      self->port, when, result < 0 ? result : address.port);
}

// That a token which was given away is nobody's here, unless it has been given back.
static void gone_check(tina_ctx *ctx, const token *gone) {
    tina_address address;
    if (tina_fd_is_none(gone->fd) || state_of()->whose[index_of(gone)] == tina_self(ctx).bits)
        return;
    if (tina_socket_local_address(ctx, gone->fd, &address) != TINA_IO_BAD_FD ||
        tina_handoff(ctx, tina_self(ctx), TAG_TOKEN, gone->fd, TINA_RIGHT_FULL) != TINA_SEND_BAD_FD)
        tina_sim_fail(tina_sim_current(), "handoff stale", "a token that is gone can be used");
}

static bool token_make(tina_ctx *ctx, token *self) {
    handoff_state *all = state_of();
    tina_fd fd;
    if (all->made == PORT_COUNT)
        return false;
    int32_t result = tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd);
    if (result < 0) {
        if (result != TINA_IO_FDS_FULL)
            tina_sim_fail(tina_sim_current(), "handoff make", "no socket: %d", result);
        return false;
    }
    *self = (token){.fd = fd, .port = (uint16_t)(PORT_FIRST + all->made++)};
    tina_address address = tina_address_ipv4(10, 0, 0, 1, self->port);
    result = tina_socket_bind(ctx, fd, &address);
    if (result < 0)
        tina_sim_fail(tina_sim_current(), "handoff make", "no port: %d", result);
    all->whose[index_of(self)] = tina_self(ctx).bits;
    all->rights[index_of(self)] = TINA_RIGHT_FULL;
    return true;
}

static void token_given(const token *self, tina_handle to, uint32_t rights) {
    handoff_state *all = state_of();
    all->whose[index_of(self)] = to.bits;
    all->on_way[index_of(self)] = true;
    all->rights[index_of(self)] = (uint8_t)rights;
}

// What a handoff must be refused for, whoever it is to; TINA_SEND_OK: nothing.
static tina_send_result refusal_of(const token *self, uint32_t rights) {
    uint32_t own = state_of()->rights[index_of(self)];
    if ((own & rights) != rights)
        return TINA_SEND_BAD_FD;
    return self->armed ? TINA_SEND_BUSY : TINA_SEND_OK;
}

// Returns whether it has gone.
static bool token_give(tina_ctx *ctx, const token *self, tina_handle to) {
    uint32_t rights = draw(3, 4) == 0 ? 1 + draw(4, 3) : state_of()->rights[index_of(self)];
    tina_send_result must = refusal_of(self, rights);
    if (tina_handle_is_none(to))
        return false;
    tina_send_result result = tina_handoff(ctx, to, TAG_TOKEN, self->fd, (tina_right)rights);
    bool own_fault = result == TINA_SEND_BAD_FD || result == TINA_SEND_BUSY;
    bool may_be_stale = result == TINA_SEND_STALE || result == TINA_SEND_QUARANTINED;
    if (must != result && !may_be_stale && (must != TINA_SEND_OK || own_fault))
        tina_sim_fail(tina_sim_current(), "handoff refused", "token %u, rights %u: %d and not %d",
                      self->port, rights, (int)result, (int)must);
    if (result == TINA_SEND_OK)
        token_given(self, to, rights);
    else
        token_check(ctx, self, "after it was refused");
    return result == TINA_SEND_OK;
}

static token token_came(tina_ctx *ctx, tina_fd fd) {
    handoff_state *all = state_of();
    tina_sim *sim = tina_sim_current();
    tina_address address;
    int32_t result = tina_socket_local_address(ctx, fd, &address);
    if (result < 0 || address.port < PORT_FIRST || address.port >= PORT_FIRST + all->made) {
        tina_sim_fail(sim, "handoff came", "what came is no token: %d",
                      result < 0 ? result : address.port);
        return (token){.port = PORT_FIRST};
    }
    token came = {.fd = fd, .port = address.port};
    uint32_t at = index_of(&came);
    if (!all->on_way[at] || all->whose[at] != tina_self(ctx).bits)
        tina_sim_fail(sim, "handoff address", "token %u came and was not sent here", came.port);
    if (tina_fd_with_rights(fd, all->rights[at]).bits != fd.bits)
        tina_sim_fail(sim, "handoff rights", "token %u came with other rights than %u", came.port,
                      all->rights[at]);
    all->on_way[at] = false;
    return came;
}

// Pockets.

typedef struct pocket {
    token held;
} pocket;

static tina_effect pocket_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    pocket *self = self_;
    memcpy(&self->held, args.data, sizeof self->held);
    token_check(ctx, &self->held, "when it is spawned with it");
    rest(ctx, 5000000);
    return tina_receive();
}

static tina_effect pocket_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    const pocket *self = self_;
    token_check(ctx, &self->held, "in a pocket");
    if (m->tag == TINA_TIMER)
        (void)token_give(ctx, &self->held, state_of()->hands[draw(1, state_of()->hand_count)]);
    return m->tag == TINA_TIMER || m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
}

static const tina_isolate_type pocket_type = {
    .name = "pocket",
    .init = pocket_init,
    .handle = pocket_handle,
    .struct_bytes = sizeof(pocket),
};

// Hands.

static tina_effect hand_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    hand *self = self_;
    self->number = tina_shard_number(ctx) * HANDS_PER_SHARD + *(const uint32_t *)args.data;
    state_of()->hands[self->number] = tina_self(ctx);
    rest(ctx, 5000000);
    return tina_receive();
}

static void token_arm(tina_ctx *ctx, token *self) {
    bool may = (state_of()->rights[index_of(self)] & TINA_RIGHT_READ) != 0;
    int32_t result = tina_submit(ctx, tina_op_recvfrom(self->fd, 16), &self->receive);
    bool denied = result == TINA_IO_NO_RIGHT;
    if (result != TINA_IO_OPS_FULL && denied == may)
        tina_sim_fail(tina_sim_current(), "handoff rights", "token %u, rights %u: receive %d",
                      self->port, state_of()->rights[index_of(self)], result);
    self->armed = result == 0;
}

static void token_pocket(tina_ctx *ctx, hand *self, token *held) {
    tina_handle child;
    tina_spawn_result result =
        tina_spawn_with_fd(ctx, &pocket_type, tina_bytes_of(held, sizeof *held), held->fd, &child);
    bool gone = result == TINA_SPAWN_OK;
    if (gone)
        state_of()->whose[index_of(held)] = child.bits;
    if (held->armed != (result == TINA_SPAWN_BAD_FD) && result != TINA_SPAWN_FULL)
        tina_sim_fail(tina_sim_current(), "handoff spawn", "token %u: %d", held->port, (int)result);
    if (gone) {
        self->gone = *held;
        *held = (token){0};
    }
}

static tina_effect token_close(hand *self, token *held) {
    tina_fd fd = held->fd;
    (void)self;
    *held = (token){0};
    return tina_io_close(fd);
}

// One thing with one token.
static tina_effect hand_act(tina_ctx *ctx, hand *self) {
    token *held = &self->held[draw(2, HELD)];
    uint32_t what = draw(5, 9);
    tina_handle to = state_of()->hands[draw(1, state_of()->hand_count)];
    if (tina_fd_is_none(held->fd)) {
        (void)token_make(ctx, held);
    } else if (what == 0) {
        return token_close(self, held);
    } else if (what == 1 && !held->armed) {
        token_arm(ctx, held);
    } else if (what == 2) {
        token_pocket(ctx, self, held);
    } else if (token_give(ctx, held, to)) {
        self->gone = *held;
        *held = (token){0};
    } else if (held->armed) {
        (void)tina_cancel(ctx, held->receive);
    }
    return tina_receive();
}

// When all is calm hands let go of what they have.
static tina_effect hand_live(tina_ctx *ctx, hand *self) {
    rest(ctx, 5000000);
    if (!tina_sim_is_calm(tina_sim_current())) {
        uint32_t end = draw(6, 150);
        return end == 0 ? tina_done() : end == 1 ? tina_crash(1) : hand_act(ctx, self);
    }
    for (uint32_t i = 0; i < HELD; i++)
        if (!tina_fd_is_none(self->held[i].fd))
            return token_close(self, &self->held[i]);
    return tina_receive();
}

static tina_effect hand_got(tina_ctx *ctx, hand *self, const tina_message *m) {
    tina_fd fd;
    memcpy(&fd, m->payload, sizeof fd);
    if (tina_fd_is_none(fd)) // the shard's fd table is full
        return tina_receive();
    token came = token_came(ctx, fd);
    for (uint32_t i = 0; i < HELD; i++) {
        if (!tina_fd_is_none(self->held[i].fd))
            continue;
        self->held[i] = came;
        return tina_receive();
    }
    return tina_io_close(fd);
}

static void receive_ended(hand *self, const tina_message *m) {
    for (uint32_t i = 0; i < HELD; i++)
        if (self->held[i].fd.bits == m->io.fd.bits)
            self->held[i].armed = false;
}

static tina_effect hand_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    hand *self = self_;
    for (uint32_t i = 0; i < HELD; i++)
        if (!tina_fd_is_none(self->held[i].fd))
            token_check(ctx, &self->held[i], "while it is held");
    gone_check(ctx, &self->gone);
    switch (m->tag) {
    case TAG_TOKEN:
        return hand_got(ctx, self, m);
    case TINA_TIMER:
        return hand_live(ctx, self);
    case TINA_IO_RECVFROM_DONE:
        receive_ended(self, m);
        return tina_receive();
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
};

static const uint32_t numbers[HANDS_PER_SHARD] = {0, 1, 2};

#define HAND(i)                                                                                    \
    {                                                                                              \
        .type = &hand_type, .args = { &numbers[i], sizeof numbers[i] }                             \
    }

static const tina_child children[HANDS_PER_SHARD] = {HAND(0), HAND(1), HAND(2)};
static const tina_type_slots types[] = {{&hand_type, HANDS_PER_SHARD}, {&pocket_type, POCKETS}};

static const tina_spec spec = {
    .name = "handoff",
    .types = types,
    .type_count = 2,
    .root = {.name = "hands",
             .children = children,
             .child_count = HANDS_PER_SHARD,
             .intensity = 15},
    .message_count = 16,
    .sender_share = 6,
    .fd_count = FD_COUNT,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 8192,
};

static void handoff_begin(tina_sim *sim, void *state) {
    handoff_state *self = state;
    self->hand_count = tina_sim_shard_count(sim) * HANDS_PER_SHARD;
}

// A socket that nobody has and that is not closed would be there for ever.
static bool handoff_done(tina_sim *sim, void *state) {
    (void)state;
    if (!tina_sim_is_calm(sim) || sim_net_open_sockets(tina_sim_net(sim), SIM_NET_MACHINE) != 0)
        return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters counters;
        tina_shard_snapshot(tina_sim_shard(sim, i), &counters);
        if (!tina_sim_is_up(sim, i) || counters.messages_in_use)
            return false;
    }
    return true;
}

const tina_scenario tina_scenario_handoff = {
    .name = "handoff",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 1000000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(handoff_state),
    .begin = handoff_begin,
    .done = handoff_done,
};
