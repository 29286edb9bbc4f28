// SPDX-License-Identifier: Apache-2.0
//
// Doors that end while somebody is at them. Visitors come in crowds; a porter takes them in by one
// accept after another or by a multishot one, and crashes, ends, is busy with something else or
// gives up accepting with others on the step. Whatever happens, a connection is taken in once, who
// was let in and leaves is seen to leave, who was not is told so, and none is left open.
//
//     visitors ──▶ porter ──spawn──▶ guest: hears a word, answers it, waits for the visitor's end
//                    └ crash, end, close, cancel

#include <string.h>

#include "sched/ctx.h"
#include "sim/client.h"
#include "sim/scenarios.h"

#define SHARDS_MAX      3u
#define HOSTS           2u
#define VISITORS        7u
#define GUESTS          4u // on a shard; fewer than may come
#define PORT            7u
#define PAUSE_NS        UINT64_C(20000000)
#define RETRY_NS        UINT64_C(3000000)
#define STUCK_NS        UINT64_C(120000000000)
#define PATIENCE_NS     UINT64_C(100000000) // of a porter at an empty step, at first
#define PATIENCE_NS_MAX (UINT64_C(1000) * PATIENCE_NS)
#define TAKEN_MAX       4096u

typedef struct visitor {
    sim_client *client;
    uint32_t number;
    uint32_t heard; // bytes, of this visit
    uint64_t began_ns;
    bool calmly; // it began when no fault could strike any more
    bool served; // ... once
} visitor;

typedef struct doors_state {
    tina_address address;
    uint32_t hosts[HOSTS];
    uint32_t inside; // visitors under way
    uint32_t taken;
    tina_address taken_in[TAKEN_MAX]; // who was, by the other end's address
    visitor visitors[VISITORS];
} doors_state;

static doors_state *state_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

// Guests.

typedef struct guest {
    tina_fd fd;
    bool answered;
    uint8_t word;
} guest;

// The end may come with the words: after those the receive is told to stop, at its bound.
static tina_effect guest_listen(tina_ctx *ctx, const guest *self) {
    tina_io_id id;
    if (tina_submit(ctx, tina_op_within(tina_op_recv_multishot(self->fd), STUCK_NS), &id) != 0)
        return tina_done();
    return tina_receive();
}

static tina_effect guest_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    guest *self = self_;
    self->fd = *(const tina_fd *)args.data;
    return guest_listen(ctx, self);
}

static tina_effect guest_heard(tina_ctx *ctx, guest *self, const tina_message *m) {
    if (m->io.result <= 0)
        return tina_done();
    if (self->answered)
        return tina_receive();
    self->answered = true;
    self->word = *(const uint8_t *)tina_io_data(ctx, m);
    return tina_io(tina_op_send(self->fd, &self->word, 1));
}

static tina_effect guest_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    switch (m->tag) {
    case TINA_IO_RECV_DONE:
        return guest_heard(ctx, self_, m);
    case TINA_IO_SEND_DONE:
        return m->io.result == 1 ? tina_receive() : tina_done();
    default:
        return tina_done();
    }
}

static const tina_isolate_type guest_type = {
    .name = "guest",
    .init = guest_init,
    .handle = guest_handle,
    .struct_bytes = sizeof(guest),
};

// Porters.

typedef struct porter {
    tina_fd fd;
    bool multishot;
    bool accepting;
    tina_io_id accept;
    uint64_t patience_ns; // doubled whenever nobody came
} porter;

static tina_effect porter_rest(tina_ctx *ctx) {
    if (tina_timer_set(ctx, RETRY_NS, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "doors timers", "no timer for a porter");
    return tina_receive();
}

static tina_effect porter_accept(tina_ctx *ctx, porter *self) {
    if (self->accepting)
        return tina_receive();
    tina_io_op op = self->multishot ? tina_op_accept_multishot(self->fd) : tina_op_accept(self->fd);
    op = tina_op_within(op, self->patience_ns);
    if (tina_submit(ctx, op, &self->accept) != 0)
        return porter_rest(ctx);
    self->accepting = true;
    return tina_receive();
}

static int32_t porter_listen(tina_ctx *ctx, porter *self) {
    int32_t result = tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &self->fd);
    if (result == 0)
        result = tina_socket_set_option(ctx, self->fd, TINA_OPTION_REUSE_PORT, 1);
    if (result == 0)
        result = tina_socket_set_option(ctx, self->fd, TINA_OPTION_REUSE_ADDRESS, 1);
    if (result == 0)
        result = tina_socket_bind(ctx, self->fd, &state_of()->address);
    return result == 0 ? tina_socket_listen(ctx, self->fd, VISITORS) : result;
}

static tina_effect porter_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    porter *self = self_;
    (void)args;
    self->multishot = draw(0, 3) != 0;
    self->patience_ns = PATIENCE_NS;
    return porter_listen(ctx, self) == 0 ? porter_accept(ctx, self) : tina_crash(1);
}

static bool is_same(const tina_address *a, const tina_address *b) {
    return a->port == b->port && memcmp(a->ip, b->ip, 4) == 0;
}

// A port is used again, but not so soon that both visits are among these.
static void taken_check(tina_ctx *ctx, tina_fd fd) {
    doors_state *all = state_of();
    tina_address peer;
    if (tina_socket_peer_address(ctx, fd, &peer) < 0)
        return; // it is gone already
    for (uint32_t i = 0; i < all->taken && i < TAKEN_MAX; i++)
        if (is_same(&all->taken_in[i], &peer))
            tina_sim_fail(tina_sim_current(), "doors twice", "port %u was taken in before",
                          peer.port);
    all->taken_in[all->taken++ % TAKEN_MAX] = peer;
}

static tina_effect porter_let_in(tina_ctx *ctx, tina_fd fd) {
    tina_spawn_result result =
        tina_spawn_with_fd(ctx, &guest_type, tina_bytes_of(&fd, sizeof fd), fd, NULL);
    if (result == TINA_SPAWN_OK)
        return tina_receive();
    if (result != TINA_SPAWN_FULL)
        tina_sim_fail(tina_sim_current(), "doors spawn", "an fd could not be given: %d", result);
    return tina_io_close(fd);
}

// What a porter does with somebody on the step, and perhaps others behind.
static tina_effect porter_act(tina_ctx *ctx, porter *self, tina_fd fd) {
    if (tina_sim_is_calm(tina_sim_current()))
        return porter_let_in(ctx, fd);
    switch (draw(1, 20)) {
    case 0:
        return tina_crash(1);
    case 1:
        return tina_done();
    case 2:
        return tina_io_close(fd);
    case 3:
        if (self->accepting)
            (void)tina_cancel(ctx, self->accept);
        break;
    default:
        break;
    }
    return porter_let_in(ctx, fd);
}

static tina_effect porter_accepted(tina_ctx *ctx, porter *self, const tina_message *m) {
    self->accepting = (m->io.flags & TINA_IO_MORE) != 0;
    if (m->io.result == TINA_IO_TIMED_OUT && self->patience_ns < PATIENCE_NS_MAX)
        self->patience_ns *= 2;
    if (m->io.result < 0)
        return porter_rest(ctx);
    self->patience_ns = PATIENCE_NS;
    taken_check(ctx, m->io.fd);
    if (!self->accepting)
        (void)porter_rest(ctx);
    return porter_act(ctx, self, m->io.fd);
}

static tina_effect porter_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    porter *self = self_;
    switch (m->tag) {
    case TINA_IO_ACCEPT_DONE:
        return porter_accepted(ctx, self, m);
    case TINA_TIMER:
        return porter_accept(ctx, self);
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        return tina_receive();
    }
}

static const tina_isolate_type porter_type = {
    .name = "porter",
    .init = porter_init,
    .handle = porter_handle,
    .struct_bytes = sizeof(porter),
};

static const tina_child children[] = {{.type = &porter_type}};
static const tina_type_slots types[] = {{&porter_type, 2}, {&guest_type, GUESTS}};

static const tina_spec spec = {
    .name = "doors",
    .types = types,
    .type_count = 2,
    .root = {.name = "doors", .children = children, .child_count = 1, .intensity = 20},
    .message_count = 8,
    .fd_count = 9,
    .op_count = 16,
    .buffer_count = 4,
    .buffer_bytes = 64,
    .channel_bytes = 8192,
};

// Visitors.

static void crowd_come(void *where, uint64_t word);

static void visitor_heard(void *where, sim_client *client, const void *data, uint32_t bytes) {
    visitor *self = where;
    (void)client;
    for (uint32_t i = 0; i < bytes; i++)
        if (self->heard + i > 0 || ((const uint8_t *)data)[i] != (uint8_t)self->number)
            tina_sim_fail(tina_sim_current(), "doors word", "visitor %u: byte %u is %u",
                          self->number, self->heard + i, ((const uint8_t *)data)[i]);
    self->heard += bytes;
}

static void visitor_done(void *where, sim_client *client) {
    visitor *self = where;
    doors_state *all = state_of();
    sim_world *world = tina_sim_world(tina_sim_current());
    self->served = self->served || (self->calmly && self->heard == 1 &&
                                    sim_client_look(client).end == SIM_CLIENT_FIN);
    self->client = NULL;
    if (--all->inside == 0)
        sim_agenda_at(&world->agenda, world->now_ns + 1 + draw(2, PAUSE_NS), crowd_come, all, 0);
}

static void visitor_come(doors_state *all, visitor *self) {
    tina_sim *sim = tina_sim_current();
    uint8_t words[3] = {(uint8_t)self->number, 0, 0};
    self->heard = 0;
    self->began_ns = tina_sim_now_ns(sim);
    self->calmly = tina_sim_is_calm(sim);
    const sim_client_plan plan = {
        .to = all->address,
        .data = words,
        .bytes = 1 + draw(3, 3),
        .slow_bytes = draw(4, 3) == 0 ? 3 : 0,
        .slow_step_bytes = 1,
        .slow_step_ns = 100000,
        .half_closes = true,
        .heard = visitor_heard,
        .done = visitor_done,
        .where = self,
    };
    self->client = sim_client_start(tina_sim_net(sim), all->hosts[draw(5, HOSTS)], &plan);
}

static void crowd_come(void *where, uint64_t word) {
    doors_state *all = where;
    (void)word;
    const uint32_t count = tina_sim_load(tina_sim_current(), VISITORS);
    all->inside = count;
    for (uint32_t i = 0; i < count; i++)
        visitor_come(all, &all->visitors[i]);
}

static void doors_begin(tina_sim *sim, void *state_) {
    doors_state *state = state_;
    sim_net *net = tina_sim_net(sim);
    sim_world *world = tina_sim_world(sim);
    state->address = sim_net_address(net, SIM_NET_MACHINE, PORT);
    for (uint32_t i = 0; i < HOSTS; i++) {
        tina_address address = tina_address_ipv4(10, 0, 1, (uint8_t)(i + 1), 0);
        state->hosts[i] = sim_net_host(net, &address);
    }
    for (uint32_t i = 0; i < VISITORS; i++)
        state->visitors[i].number = i;
    sim_agenda_at(&world->agenda, world->now_ns + PAUSE_NS, crowd_come, state, 0);
}

static bool doors_done(tina_sim *sim, void *state_) {
    const doors_state *state = state_;
    for (uint32_t i = 0; i < tina_sim_load(sim, VISITORS); i++)
        if (!state->visitors[i].served)
            return false;
    return true;
}

// Nobody is kept waiting for ever: an end comes, of whatever kind.
static void doors_check(tina_sim *sim, void *state_) {
    const doors_state *state = state_;
    uint64_t now_ns = tina_sim_now_ns(sim);
    for (uint32_t i = 0; i < VISITORS; i++)
        if (state->visitors[i].client && now_ns - state->visitors[i].began_ns > STUCK_NS)
            tina_sim_fail(sim, "doors stuck", "visitor %u waits since %llu s", i,
                          (unsigned long long)(STUCK_NS / 1000000000));
}

const tina_scenario tina_scenario_doors = {
    .name = "doors",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 1000000000,
    .state_bytes = sizeof(doors_state),
    .begin = doors_begin,
    .done = doors_done,
    .check = doors_check,
};
