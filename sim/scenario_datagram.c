// SPDX-License-Identifier: Apache-2.0
//
// Requests and answers in datagrams, over a network that loses, repeats and reorders them. A client
// asks again until it is answered; a server adds each amount once, however often it is asked to.
// Whatever happens, an answer is to what it says it answers, from whom it should be, whole, and the
// sum is that of what was asked. Some are longer than a server takes: of these it is told so.
//
//     client (on a host) ── number, amount ──▶ server, one a shard, on a port of its own
//            ▲                                    │ keeps the number and the sum of each client
//            └────────── number, sum ─────────────┘

#include <errno.h>
#include <string.h>

#include "sched/ctx.h"
#include "sched/io.h"
#include "sim/net.h"
#include "sim/scenarios.h"

#define SHARDS_MAX 3u
#define CLIENTS    5u
#define ASKS       12u // of each client
#define PORT       53u
#define FILL_BYTES 200u // at most, behind each head
#define AGAIN_NS   UINT64_C(20000000)
#define RETRY_NS   UINT64_C(5000000)
#define LONG_BYTES 300u       // of a datagram that is too long
#define TOO_LONG   UINT64_MAX // its amount

typedef struct packet {
    uint32_t client;
    uint32_t number;
    uint64_t value; // an amount, or a sum
    uint32_t fill_bytes;
    uint8_t fill[FILL_BYTES];
} packet;

#define HEAD_BYTES offsetof(packet, fill)

// What a server keeps of a client, where no crash reaches it.
typedef struct account {
    uint32_t number; // the last that was added
    uint64_t sum;
} account;

typedef struct asker {
    uint32_t number; // of the client
    uint32_t shard;
    int32_t socket;
    uint32_t asked; // the number of the ask under way, or answered
    uint32_t answered;
    uint64_t amount;
    uint64_t sum; // of what was asked
} asker;

typedef struct datagram_state {
    account accounts[CLIENTS];
    asker askers[CLIENTS];
} datagram_state;

static datagram_state *state_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static uint8_t fill_at(const packet *of, uint32_t at) {
    return (uint8_t)((of->client * 131 + of->number * 31 + of->value + at * 7) % 251);
}

static uint32_t packet_fill(packet *self, uint32_t fill_bytes) {
    self->fill_bytes = fill_bytes;
    for (uint32_t i = 0; i < fill_bytes; i++)
        self->fill[i] = fill_at(self, i);
    return (uint32_t)HEAD_BYTES + fill_bytes;
}

// Datagrams come whole or not at all.
static void packet_check(const packet *self, uint32_t bytes, const char *whose) {
    bool whole = bytes >= HEAD_BYTES && bytes == HEAD_BYTES + self->fill_bytes;
    for (uint32_t i = 0; whole && i < self->fill_bytes; i++)
        whole = self->fill[i] == fill_at(self, i);
    if (!whole || self->client >= CLIENTS)
        tina_sim_fail(tina_sim_current(), "datagram whole", "%s: of %u bytes, not as it was sent",
                      whose, bytes);
}

// Servers.

// It receives while it sends: two ops with addresses, begun in either order, which a crash finds
// under way.
typedef struct server {
    tina_fd fd;
    bool receiving;
    bool sending; // answer, which stays as it is; what is asked meanwhile will be asked again
    packet answer;
    tina_address to;
} server;

static bool receive_begin(tina_ctx *ctx, server *self) {
    tina_io_id id;
    if (!self->receiving)
        self->receiving = tina_submit(ctx, tina_op_recvfrom(self->fd, sizeof(packet)), &id) == 0;
    return self->receiving;
}

static tina_effect ask_await(tina_ctx *ctx, server *self) {
    if (receive_begin(ctx, self) || tina_timer_set(ctx, RETRY_NS, 0).bits)
        return tina_receive();
    return tina_crash(2);
}

static tina_effect server_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    server *self = self_;
    (void)args;
    int32_t result = tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &self->fd);
    tina_address address = sim_net_address(tina_sim_net(tina_sim_current()), SIM_NET_MACHINE,
                                           (uint16_t)(PORT + tina_shard_number(ctx)));
    if (result == 0)
        result = tina_socket_bind(ctx, self->fd, &address);
    return result == 0 ? ask_await(ctx, self) : tina_crash(1);
}

// Adding is one step, after which nothing can fail but the answer.
static tina_effect asked(tina_ctx *ctx, server *self, const tina_message *m) {
    tina_sim *sim = tina_sim_current();
    packet ask = {0};
    uint32_t bytes = (uint32_t)m->io.result;
    memcpy(&ask, tina_io_data(ctx, m), bytes < sizeof ask ? bytes : sizeof ask);
    bool cut = (m->io.flags & TINA_IO_TRUNCATED) != 0;
    if (cut != (ask.value == TOO_LONG) || (cut && bytes != sizeof ask))
        tina_sim_fail(sim, "datagram cut", "client %u: %u bytes, and was told %d", ask.client,
                      bytes, (int)cut);
    if (cut)
        return ask_await(ctx, self);
    packet_check(&ask, bytes, "an ask");
    const asker *client = &state_of()->askers[ask.client % CLIENTS];
    account *kept = &state_of()->accounts[ask.client % CLIENTS];
    if (client->shard != tina_shard_number(ctx) || ask.number > client->asked || ask.number == 0)
        tina_sim_fail(sim, "datagram ask", "client %u, ask %u of %u: not sent here", ask.client,
                      ask.number, client->asked);
    if (ask.number == kept->number + 1) {
        kept->number = ask.number;
        kept->sum += ask.value;
    }
    if (self->sending)
        return ask_await(ctx, self);
    self->to = *m->io.from;
    self->answer = (packet){.client = ask.client, .number = ask.number, .value = kept->sum};
    uint32_t answer_bytes = packet_fill(&self->answer, draw(0, FILL_BYTES + 1));
    if (draw(6, 2))
        (void)receive_begin(ctx, self);
    tina_io_id id;
    tina_io_op send = tina_op_sendto(self->fd, &self->answer, answer_bytes, &self->to);
    self->sending = tina_submit(ctx, send, &id) == 0;
    return ask_await(ctx, self);
}

static tina_effect server_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    server *self = self_;
    switch (m->tag) {
    case TINA_SHUTDOWN:
        return tina_done();
    case TINA_IO_RECVFROM_DONE:
        self->receiving = false;
        if (m->io.result > 0)
            return asked(ctx, self, m);
        break;
    case TINA_IO_SENDTO_DONE:
        self->sending = false;
        if (m->io.result < 0 && m->io.result > TINA_IO_TIMED_OUT)
            tina_sim_fail(tina_sim_current(), "datagram send", "an answer: %d", m->io.result);
        break;
    default:
        break;
    }
    if (m->tag < TINA_IO_DONE && m->io.result == TINA_IO_CANCELED)
        return tina_receive(); // for the shutdown
    if (m->tag < TINA_IO_DONE && m->io.result <= TINA_IO_TIMED_OUT)
        return tina_timer_set(ctx, RETRY_NS, 0).bits ? tina_receive() : tina_crash(2);
    return ask_await(ctx, self);
}

static const tina_isolate_type server_type = {
    .name = "server",
    .init = server_init,
    .handle = server_handle,
    .struct_bytes = sizeof(server),
};

static const tina_child children[] = {{.type = &server_type}};
static const tina_type_slots types[] = {{&server_type, 1}};

static const tina_spec spec = {
    .name = "datagram",
    .types = types,
    .type_count = 1,
    .root = {.name = "datagram", .children = children, .child_count = 1, .intensity = 10},
    .fd_count = 4,
    .op_count = 8,
    .address_count = 2,
    .buffer_count = 2,
    .buffer_bytes = 512,
    .channel_bytes = 8192,
};

// Clients, on hosts.

static void packet_send(const asker *self, const void *data, uint32_t bytes) {
    sim_net *net = tina_sim_net(tina_sim_current());
    tina_address to = sim_net_address(net, SIM_NET_MACHINE, (uint16_t)(PORT + self->shard));
    int32_t sent = sim_net_sendto(net, self->socket, data, bytes, &to);
    if (sent < 0 && sent != -ECONNREFUSED && sent != -EAGAIN)
        tina_sim_fail(tina_sim_current(), "datagram send", "client %u: %d", self->number, sent);
}

static void too_long_send(const asker *self) {
    const packet ask = {.client = self->number, .number = self->asked, .value = TOO_LONG};
    uint8_t bytes[LONG_BYTES] = {0};
    memcpy(bytes, &ask, HEAD_BYTES);
    packet_send(self, bytes, sizeof bytes);
}

static void ask_send(asker *self) {
    packet ask = {.client = self->number, .number = self->asked, .value = self->amount};
    uint32_t bytes = packet_fill(&ask, draw(1, FILL_BYTES + 1));
    packet_send(self, &ask, bytes);
    if (draw(5, 6) == 0)
        too_long_send(self);
}

static void ask_next(asker *self) {
    self->asked++;
    self->amount = 1 + draw(2, 1000);
    self->sum += self->amount;
    ask_send(self);
}

static void ask_again(void *where, uint64_t word) {
    asker *self = where;
    sim_world *world = tina_sim_world(tina_sim_current());
    (void)word;
    if (self->answered == tina_sim_load(tina_sim_current(), ASKS))
        return;
    if (self->asked == self->answered)
        ask_next(self);
    else
        ask_send(self);
    sim_agenda_at(&world->agenda, world->now_ns + 1 + draw(3, AGAIN_NS), ask_again, self, 0);
}

static void answer_take(asker *self, const packet *answer, uint32_t bytes,
                        const tina_address *from) {
    tina_sim *sim = tina_sim_current();
    packet_check(answer, bytes, "an answer");
    if (answer->client != self->number || answer->number > self->asked || answer->number == 0 ||
        from->port != PORT + self->shard)
        tina_sim_fail(sim, "datagram answer", "client %u: an answer to ask %u of client %u",
                      self->number, answer->number, answer->client);
    if (answer->number <= self->answered)
        return; // repeated, or late
    if (answer->value != self->sum)
        tina_sim_fail(sim, "datagram sum", "client %u, ask %u: the sum is %llu, not %llu",
                      self->number, answer->number, (unsigned long long)answer->value,
                      (unsigned long long)self->sum);
    self->answered = answer->number;
}

static void asker_heard(void *where, int32_t socket) {
    asker *self = where;
    sim_net *net = tina_sim_net(tina_sim_current());
    packet answer = {0};
    tina_address from;
    bool cut;
    for (;;) {
        int32_t bytes = sim_net_recvfrom(net, socket, &answer, sizeof answer, &from, &cut);
        if (bytes == -EAGAIN)
            return;
        if (bytes >= 0)
            answer_take(self, &answer, (uint32_t)bytes, &from);
    }
}

static void datagram_begin(tina_sim *sim, void *state_) {
    datagram_state *state = state_;
    sim_net *net = tina_sim_net(sim);
    sim_world *world = tina_sim_world(sim);
    for (uint32_t i = 0; i < tina_sim_load(sim, CLIENTS); i++) {
        asker *self = &state->askers[i];
        tina_address address = tina_address_ipv4(10, 0, 1, (uint8_t)(i + 1), 0);
        uint32_t host = sim_net_host(net, &address);
        self->number = i;
        self->shard = draw(4, tina_sim_shard_count(sim));
        self->socket = sim_net_socket(net, host, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM);
        sim_net_watch(net, self->socket, asker_heard, self);
        sim_agenda_at(&world->agenda, world->now_ns + 1 + draw(3, AGAIN_NS), ask_again, self, 0);
    }
}

static bool datagram_done(tina_sim *sim, void *state_) {
    const datagram_state *state = state_;
    for (uint32_t i = 0; i < tina_sim_load(sim, CLIENTS); i++)
        if (state->askers[i].answered < tina_sim_load(sim, ASKS))
            return false;
    return true;
}

const tina_scenario tina_scenario_datagram = {
    .name = "datagram",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 3000000000,
    .state_bytes = sizeof(datagram_state),
    .restarts = true,
    .begin = datagram_begin,
    .done = datagram_done,
};
