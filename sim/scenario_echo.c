// SPDX-License-Identifier: Apache-2.0
//
// What clients send comes back. A listener on each shard gives connections to isolates on all of
// them, which echo in one of three ways; clients come over a network that does its worst. Whatever
// happens, what a client hears is a beginning of what it sent, and whom nothing has happened to
// hears all of it, and then the end.
//
//     listener ──spawn──▶ echo              in turns:   receive, send, receive ...
//        │                 ▲                multishot:  receives come by themselves, sends are
//        awaited └─handoff─▶ porter┘ (any shard)    duplex:     both in the background, receives
//        cancelled

#include <errno.h>
#include <string.h>

#include "sched/ctx.h"
#include "sim/client.h"
#include "sim/scenarios.h"

#define SHARDS_MAX  3u
#define USERS       8u
#define HOSTS       3u
#define ECHOS       5u // on a shard; fewer than may come
#define WHOLE       2u // visits of each user that nothing cuts short
#define PORT        7u
#define HELD_BYTES  256u
#define PAUSE_NS    UINT64_C(10000000)
#define DEADLINE_NS UINT64_C(20000000000)
#define STUCK_NS    UINT64_C(120000000000)
#define VISIT_BYTES 6000u
#define RETRY_NS    UINT64_C(5000000)
#define ENDED       8u // ops that have ended whose names a shard remembers

enum {
    TAG_CONNECTION = 1
};

typedef struct echo_user {
    sim_client *client;
    uint32_t number;
    uint32_t visits;
    uint32_t whole;
    uint32_t sends; // bytes, of this visit
    uint32_t heard;
    uint64_t began_ns;
    bool in_order;    // everything was, at the visit's beginning
    uint64_t trouble; // ... as counted until then
} echo_user;

typedef struct echo_state {
    tina_address address;
    uint32_t hosts[HOSTS];
    tina_handle porters[SHARDS_MAX];
    tina_io_id ended[SHARDS_MAX][ENDED];
    uint64_t let_go; // connections that the machine gave up
    echo_user users[USERS];
} echo_state;

static echo_state *state_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static uint32_t load(uint32_t most) {
    return tina_sim_load(tina_sim_current(), most);
}

// Connections.

typedef enum echo_way {
    ECHO_TURNS = 0,
    ECHO_MULTISHOT,
    ECHO_DUPLEX,
    ECHO_WAYS,
} echo_way;

typedef struct echo {
    tina_fd fd;
    uint8_t way; // echo_way
    bool receiving;
    bool sending;
    bool ended; // the client's last byte is here
    tina_io_id receive;
    uint32_t in_bytes;
    uint32_t out_bytes;
    uint8_t in[HELD_BYTES];
    uint8_t out[HELD_BYTES];
} echo;

static tina_effect echo_give_up(void) {
    state_of()->let_go++;
    return tina_done();
}

// Duplex: whatever can be under way is.
static tina_effect duplex_go_on(tina_ctx *ctx, echo *self) {
    if (!self->sending && self->in_bytes) {
        memcpy(self->out, self->in, self->in_bytes);
        self->out_bytes = self->in_bytes;
        self->in_bytes = 0;
        tina_io_op op =
            tina_op_within(tina_op_send(self->fd, self->out, self->out_bytes), DEADLINE_NS);
        tina_io_id id;
        if (tina_submit(ctx, op, &id) != 0)
            return echo_give_up();
        self->sending = true;
    }
    if (!self->receiving && !self->ended && self->in_bytes < HELD_BYTES) {
        tina_io_op op =
            tina_op_within(tina_op_recv(self->fd, HELD_BYTES - self->in_bytes), DEADLINE_NS);
        if (tina_submit(ctx, op, &self->receive) != 0)
            return echo_give_up();
        self->receiving = true;
    }
    return self->ended && !self->sending ? tina_done() : tina_receive();
}

static tina_effect multishot_go_on(tina_ctx *ctx, echo *self) {
    if (self->ended)
        return tina_done();
    if (!self->receiving) {
        tina_io_op op = tina_op_within(tina_op_recv_multishot(self->fd), DEADLINE_NS);
        if (tina_submit(ctx, op, &self->receive) != 0)
            return echo_give_up();
        self->receiving = true;
    }
    return tina_receive();
}

static tina_effect echo_go_on(tina_ctx *ctx, echo *self) {
    switch ((echo_way)self->way) {
    case ECHO_MULTISHOT:
        return multishot_go_on(ctx, self);
    case ECHO_DUPLEX:
        return duplex_go_on(ctx, self);
    case ECHO_TURNS:
    case ECHO_WAYS:
        break;
    }
    return self->ended ? tina_done()
                       : tina_io(tina_op_within(tina_op_recv(self->fd, HELD_BYTES), DEADLINE_NS));
}

static tina_effect echo_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    echo *self = self_;
    self->fd = *(const tina_fd *)args.data;
    self->way = (uint8_t)draw(0, ECHO_WAYS);
    return echo_go_on(ctx, self);
}

// Who cancels an op may not know that it has ended, and that its row is another's by then, or is
// that of another op of the same isolate's. Here such names are cancelled soon and long after.
static void ended_cancel(tina_ctx *ctx, const tina_message *m) {
    uint32_t shard = tina_shard_number(ctx);
    tina_io_id *ended = state_of()->ended[shard];
    for (uint32_t i = 0; i < ENDED; i++)
        if (tina_cancel(ctx, ended[i]))
            tina_sim_fail(tina_sim_current(), "echo ended",
                          "shard %u: a cancel of an op that had ended found one", shard);
    if (draw(21, 32) == 0)
        ended[draw(20, ENDED)] = m->io.id;
}

static bool is_cancel_of_ours(const echo *self, const tina_message *m) {
    return m->io.result == TINA_IO_CANCELED && self->way == ECHO_DUPLEX;
}

static tina_effect echo_failed(const tina_message *m) {
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // for the shutdown
    return m->io.result <= TINA_IO_TIMED_OUT ? echo_give_up() : tina_done();
}

static tina_effect echo_received(tina_ctx *ctx, echo *self, const tina_message *m) {
    bool goes_on = (m->io.flags & TINA_IO_MORE) != 0;
    self->receiving = goes_on;
    if (!goes_on)
        ended_cancel(ctx, m);
    if (is_cancel_of_ours(self, m))
        return echo_go_on(ctx, self);
    if (m->io.result < 0)
        return echo_failed(m);
    self->ended = m->io.result == 0;
    if (self->ended)
        return echo_go_on(ctx, self);
    uint32_t bytes = (uint32_t)m->io.result;
    if (bytes > HELD_BYTES - self->in_bytes) {
        tina_sim_fail(tina_sim_current(), "echo room", "%u bytes came and %u were asked for", bytes,
                      HELD_BYTES - self->in_bytes);
        return tina_done();
    }
    memcpy(self->in + self->in_bytes, tina_io_data(ctx, m), bytes);
    if (self->way == ECHO_DUPLEX) {
        self->in_bytes += bytes;
        return echo_go_on(ctx, self);
    }
    return tina_io(tina_op_within(tina_op_send(self->fd, self->in, bytes), DEADLINE_NS));
}

static tina_effect echo_sent(tina_ctx *ctx, echo *self, const tina_message *m) {
    self->sending = false;
    ended_cancel(ctx, m);
    if (m->io.result < 0)
        return echo_failed(m);
    if (self->way == ECHO_DUPLEX && self->receiving && draw(1, 4) == 0)
        (void)tina_cancel(ctx, self->receive);
    return echo_go_on(ctx, self);
}

static tina_effect echo_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    echo *self = self_;
    switch (m->tag) {
    case TINA_IO_RECV_DONE:
        return echo_received(ctx, self, m);
    case TINA_IO_SEND_DONE:
        return echo_sent(ctx, self, m);
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        tina_sim_fail(tina_sim_current(), "echo stranger", "tag %d for a connection", m->tag);
        return tina_done();
    }
}

static const tina_isolate_type echo_type = {
    .name = "echo",
    .init = echo_init,
    .handle = echo_handle,
    .struct_bytes = sizeof(echo),
};

// Who brings connections to their shard.

static tina_effect connection_begin(tina_ctx *ctx, tina_fd fd, tina_effect next) {
    tina_spawn_result result =
        tina_spawn_with_fd(ctx, &echo_type, tina_bytes_of(&fd, sizeof fd), fd, NULL);
    if (result == TINA_SPAWN_OK)
        return next;
    if (result != TINA_SPAWN_FULL)
        tina_sim_fail(tina_sim_current(), "echo spawn", "an fd could not be given: %d", result);
    state_of()->let_go++;
    return tina_io_close(fd);
}

static tina_effect porter_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self;
    (void)args;
    state_of()->porters[tina_shard_number(ctx)] = tina_self(ctx);
    return tina_receive();
}

static tina_effect porter_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    tina_fd fd;
    (void)self;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag != TAG_CONNECTION)
        return tina_receive();
    memcpy(&fd, m->payload, sizeof fd);
    if (!tina_fd_is_none(fd))
        return connection_begin(ctx, fd, tina_receive());
    state_of()->let_go++; // the shard's fd table is full
    return tina_receive();
}

static const tina_isolate_type porter_type = {
    .name = "porter",
    .init = porter_init,
    .handle = porter_handle,
    .struct_bytes = 8,
    .mailbox_max = 3,
};

// Listeners.

typedef struct listener {
    tina_fd fd;
    bool multishot;
    bool accepting;
} listener;

static tina_effect listener_rest(tina_ctx *ctx) {
    if (tina_timer_set(ctx, RETRY_NS, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "echo timers", "no timer for a listener");
    return tina_receive();
}

static tina_effect accept_next(tina_ctx *ctx, listener *self) {
    if (!self->multishot)
        return tina_io_accept(self->fd);
    tina_io_id id;
    if (!self->accepting && tina_submit(ctx, tina_op_accept_multishot(self->fd), &id) != 0)
        return listener_rest(ctx);
    self->accepting = true;
    return tina_receive();
}

static int32_t listen_begin(tina_ctx *ctx, listener *self) {
    int32_t result = tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &self->fd);
    if (result == 0)
        result = tina_socket_set_option(ctx, self->fd, TINA_OPTION_REUSE_PORT, 1);
    if (result == 0)
        result = tina_socket_set_option(ctx, self->fd, TINA_OPTION_REUSE_ADDRESS, 1);
    if (result == 0)
        result = tina_socket_bind(ctx, self->fd, &state_of()->address);
    return result == 0 ? tina_socket_listen(ctx, self->fd, 4) : result;
}

static tina_effect listener_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    listener *self = self_;
    (void)args;
    self->multishot = draw(2, 2) == 0;
    return listen_begin(ctx, self) == 0 ? accept_next(ctx, self) : tina_crash(1);
}

static tina_effect connection_place(tina_ctx *ctx, const listener *self, tina_fd fd) {
    uint32_t shard = draw(3, tina_shard_count(ctx));
    tina_effect next = self->multishot ? tina_receive() : tina_io_accept(self->fd);
    if (shard == tina_shard_number(ctx) && draw(4, 2) == 0)
        return connection_begin(ctx, fd, next);
    tina_send_result result =
        tina_handoff(ctx, state_of()->porters[shard], TAG_CONNECTION, fd, TINA_RIGHT_FULL);
    if (result == TINA_SEND_OK)
        return next;
    if (result == TINA_SEND_BUSY || result == TINA_SEND_BAD_FD)
        tina_sim_fail(tina_sim_current(), "echo handoff", "an fd could not be given: %d", result);
    state_of()->let_go++;
    return tina_io_close(fd);
}

static tina_effect accepted(tina_ctx *ctx, listener *self, const tina_message *m) {
    bool goes_on = (m->io.flags & TINA_IO_MORE) != 0;
    self->accepting = goes_on;
    if (m->io.result == TINA_IO_CANCELED)
        return tina_receive();
    if (self->multishot && !goes_on)
        (void)listener_rest(ctx);
    if (m->io.result == 0)
        return connection_place(ctx, self, m->io.fd);
    return self->multishot ? tina_receive() : listener_rest(ctx);
}

static tina_effect listener_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    listener *self = self_;
    switch (m->tag) {
    case TINA_IO_ACCEPT_DONE:
        return accepted(ctx, self, m);
    case TINA_TIMER:
        return accept_next(ctx, self);
    case TINA_IO_CLOSE_DONE:
        return self->multishot ? tina_receive() : accept_next(ctx, self);
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        return tina_receive();
    }
}

static const tina_isolate_type listener_type = {
    .name = "listener",
    .init = listener_init,
    .handle = listener_handle,
    .struct_bytes = sizeof(listener),
};

static const tina_child children[] = {{.type = &porter_type}, {.type = &listener_type}};
static const tina_type_slots types[] = {
    {&porter_type, 1}, {&listener_type, 1}, {&echo_type, ECHOS}};

static const tina_spec spec = {
    .name = "echo",
    .types = types,
    .type_count = 3,
    .root = {.name = "echo", .children = children, .child_count = 2, .intensity = 10},
    .message_count = 16,
    .fd_count = 8, // one more than a shard can use when all its connections are taken
    .op_count = 20,
    .buffer_count = 4,
    .buffer_bytes = HELD_BYTES,
    .channel_bytes = 8192,
};

// Clients.

// Whatever can cost a connection counts here: when nothing of it happened during a visit, the visit
// must go well.
static uint64_t trouble_count(tina_sim *sim) {
    const echo_state *state = tina_sim_state(sim);
    const sim_net_counters *net = sim_net_count(tina_sim_net(sim));
    uint64_t count = tina_sim_crashes(sim) + state->let_go + net->resets + net->refused +
                     net->timed_out + net->accepts_failed;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters shard;
        tina_shard_snapshot(tina_sim_shard(sim, i), &shard);
        count += tina_sim_breaks(sim, i) + shard.crashed + shard.arrivals_stale +
                 shard.arrivals_mailbox_full + shard.messages_dropped;
    }
    return count;
}

// Whether everybody who brings connections to their echo is at work.
static bool is_in_order(tina_sim *sim) {
    uint32_t working = 0;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        uint32_t place = 0;
        tina_isolate_look look;
        while (tina_sim_is_up(sim, i) && tina_shard_look(tina_sim_shard(sim, i), &place, &look))
            working += strcmp(look.type, echo_type.name) != 0 &&
                       strcmp(look.state, "starting") != 0 && strcmp(look.state, "draining") != 0;
    }
    return working == 2 * tina_sim_shard_count(sim);
}

static uint8_t byte_of(const echo_user *user, uint32_t at) {
    uint32_t visit = user->number * 65537 + user->visits;
    return (uint8_t)((visit * 2654435761u + at * 40503u) >> 11);
}

static void user_heard(void *where, sim_client *client, const void *data, uint32_t bytes) {
    echo_user *user = where;
    const uint8_t *heard = data;
    if (bytes > sim_client_look(client).sent - user->heard)
        tina_sim_fail(tina_sim_current(), "echo more", "user %u: %u bytes came after %u, of %llu",
                      user->number, bytes, user->heard,
                      (unsigned long long)sim_client_look(client).sent);
    for (uint32_t i = 0; i < bytes; i++) {
        if (heard[i] == byte_of(user, user->heard + i))
            continue;
        tina_sim_fail(tina_sim_current(), "echo bytes", "user %u: byte %u is not what was sent",
                      user->number, user->heard + i);
        break;
    }
    user->heard += bytes;
}

static void user_visit(void *where, uint64_t word);

static void user_done(void *where, sim_client *client) {
    echo_user *user = where;
    tina_sim *sim = tina_sim_current();
    sim_client_result result = sim_client_look(client);
    bool whole = result.end == SIM_CLIENT_FIN && user->heard == user->sends;
    user->whole += whole;
    user->client = NULL;
    if (!whole && user->in_order && user->trouble == trouble_count(sim))
        tina_sim_fail(sim, "echo whole",
                      "user %u: nothing happened, and of %u bytes %u came back; end %d, errno %d",
                      user->number, user->sends, user->heard, (int)result.end, result.error);
    if (user->whole < load(WHOLE)) {
        sim_world *world = tina_sim_world(sim);
        sim_agenda_at(&world->agenda, world->now_ns + 1 + draw(5, PAUSE_NS), user_visit, user, 0);
    }
}

static void user_visit(void *where, uint64_t word) {
    echo_user *user = where;
    tina_sim *sim = tina_sim_current();
    const echo_state *state = tina_sim_state(sim);
    uint8_t bytes[VISIT_BYTES];
    (void)word;
    user->visits++;
    user->heard = 0;
    user->sends = draw(6, 4) == 0 ? draw(7, load(VISIT_BYTES)) : draw(7, load(300));
    for (uint32_t i = 0; i < user->sends; i++)
        bytes[i] = byte_of(user, i);
    user->began_ns = tina_sim_now_ns(sim);
    user->in_order = is_in_order(sim);
    user->trouble = trouble_count(sim);
    bool slow = draw(8, 6) == 0;
    const sim_client_plan plan = {
        .to = state->address,
        .data = bytes,
        .bytes = user->sends,
        .slow_from = slow ? draw(9, user->sends + 1) : 0,
        .slow_bytes = slow ? 20 : 0,
        .slow_step_bytes = 1,
        .slow_step_ns = 1000000,
        .read_bytes = draw(10, 4) == 0 ? 1 + draw(11, 64) : 0,
        .half_closes = true,
        .kept_max = 1,
        .heard = user_heard,
        .done = user_done,
        .where = user,
    };
    user->client = sim_client_start(tina_sim_net(sim), state->hosts[draw(12, HOSTS)], &plan);
}

static void echo_begin(tina_sim *sim, void *state_) {
    echo_state *state = state_;
    sim_net *net = tina_sim_net(sim);
    sim_world *world = tina_sim_world(sim);
    state->address = sim_net_address(net, SIM_NET_MACHINE, PORT);
    for (uint32_t i = 0; i < HOSTS; i++) {
        tina_address address = tina_address_ipv4(10, 0, 1, (uint8_t)(i + 1), 0);
        state->hosts[i] = sim_net_host(net, &address);
    }
    for (uint32_t i = 0; i < load(USERS); i++) {
        state->users[i].number = i;
        sim_agenda_at(&world->agenda, world->now_ns + PAUSE_NS + draw(5, PAUSE_NS), user_visit,
                      &state->users[i], 0);
    }
}

static bool echo_done(tina_sim *sim, void *state_) {
    const echo_state *state = state_;
    (void)sim;
    for (uint32_t i = 0; i < load(USERS); i++)
        if (state->users[i].whole < load(WHOLE))
            return false;
    return true;
}

// Nobody is kept waiting for ever: an end comes, of whatever kind.
static void echo_check(tina_sim *sim, void *state_) {
    const echo_state *state = state_;
    uint64_t now_ns = tina_sim_now_ns(sim);
    for (uint32_t i = 0; i < USERS; i++) {
        const echo_user *user = &state->users[i];
        if (user->client && now_ns - user->began_ns > STUCK_NS)
            tina_sim_fail(sim, "echo stuck",
                          "user %u: a visit goes on after %llu s, %u of %u bytes", i,
                          (unsigned long long)((now_ns - user->began_ns) / 1000000000), user->heard,
                          user->sends);
    }
}

const tina_scenario tina_scenario_echo = {
    .name = "echo",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 3000000000,
    .state_bytes = sizeof(echo_state),
    .begin = echo_begin,
    .done = echo_done,
    .check = echo_check,
};
