// SPDX-License-Identifier: Apache-2.0

#include "sim/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

typedef struct client_bytes {
    uint8_t *data;
    uint64_t used;
    uint64_t capacity;
} client_bytes;

struct sim_client {
    sim_client_plan plan;
    sim_net *net;
    sim_world *world;
    uint32_t host;
    int32_t socket; // -1: none
    bool connected;
    bool shut;
    bool leaving;     // at the next step
    bool send_broken; // what it reads tells why
    bool step_planned;
    uint64_t send_ns; // not before
    uint64_t read_ns;
    client_bytes out;
    client_bytes kept;
    sim_client_result result;
};

static void bytes_add(client_bytes *bytes, const void *data, uint64_t count) {
    if (count == 0)
        return;
    if (bytes->used + count > bytes->capacity) {
        uint64_t capacity = bytes->capacity ? bytes->capacity : 256;
        while (capacity < bytes->used + count)
            capacity *= 2;
        bytes->data = realloc(bytes->data, capacity);
        TINA_ASSERT(bytes->data != NULL);
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->used, data, count);
    bytes->used += count;
}

static void client_step(sim_client *c);

static void step_now(void *what, uint64_t word) {
    sim_client *c = what;
    (void)word;
    c->step_planned = false;
    client_step(c);
}

static void step_later(void *what, uint64_t word) {
    (void)word;
    client_step(what);
}

static void step_plan(sim_client *c) {
    if (!c->step_planned) {
        c->step_planned = true;
        sim_agenda_at(&c->world->agenda, c->world->now_ns, step_now, c, 0);
    }
}

static void socket_changed(void *where, int32_t socket) {
    (void)socket;
    client_step(where);
}

static void client_end(sim_client *c, sim_client_end end, int32_t error) {
    TINA_ASSERT(c->result.end == SIM_CLIENT_RUNNING);
    if (c->socket >= 0) {
        bool resets = end == SIM_CLIENT_LEFT && c->plan.resets;
        (resets ? sim_net_reset : sim_net_shut)(c->net, c->socket);
        c->socket = -1;
    }
    c->result.end = end;
    c->result.error = error;
    c->result.ended_ns = c->world->now_ns;
    free(c->out.data);
    c->out = (client_bytes){0};
    sim_note(c->world, SIM_HOST, SIM_NOWHERE, end, (uint64_t)c->host << 40 | c->result.received);
    if (c->plan.done)
        c->plan.done(c->plan.where, c);
}

static void connect_again(sim_client *c) {
    c->socket =
        sim_net_socket(c->net, c->host, (tina_address_family)c->plan.to.family, TINA_SOCKET_STREAM);
    TINA_ASSERT(c->socket >= 0);
    sim_net_watch(c->net, c->socket, socket_changed, c);
}

static void connect_later(void *what, uint64_t word) {
    sim_client *c = what;
    (void)word;
    if (c->result.end == SIM_CLIENT_RUNNING && c->socket < 0) {
        connect_again(c);
        client_step(c);
    }
}

static void connect_failed(sim_client *c, int32_t error) {
    sim_net_shut(c->net, c->socket);
    c->socket = -1;
    if (c->result.failures++ == c->plan.connects) {
        client_end(c, SIM_CLIENT_NOT_CONNECTED, error);
        return;
    }
    sim_agenda_at(&c->world->agenda, c->world->now_ns + c->plan.connect_pause_ns, connect_later, c,
                  0);
}

// Returns whether there is a connection.
static bool connect_step(sim_client *c) {
    if (c->connected || c->socket < 0)
        return c->connected;
    int32_t result = sim_net_connect(c->net, c->socket, &c->plan.to);
    if (result == -EINPROGRESS || result == -EALREADY)
        return false;
    if (result < 0) {
        connect_failed(c, -result);
        return false;
    }
    c->connected = true;
    c->result.connected_ns = c->world->now_ns;
    return true;
}

static bool is_slow(const sim_client *c) {
    return c->result.sent >= c->plan.slow_from &&
           c->result.sent - c->plan.slow_from < c->plan.slow_bytes;
}

// How many bytes may leave now.
static uint64_t send_bytes(const sim_client *c) {
    uint64_t sent = c->result.sent;
    uint64_t most = c->out.used - sent;
    uint64_t last = c->plan.leaves_at_sent;
    if (last && last - sent < most)
        most = last - sent;
    if (is_slow(c))
        return most < c->plan.slow_step_bytes ? most : c->plan.slow_step_bytes;
    if (sent < c->plan.slow_from && c->plan.slow_from - sent < most)
        most = c->plan.slow_from - sent;
    return most < 65536 ? most : 65536;
}

static void wait_until(sim_client *c, uint64_t *until_ns, uint64_t ns) {
    *until_ns = c->world->now_ns + ns;
    sim_agenda_at(&c->world->agenda, *until_ns, step_later, c, 0);
}

static void send_step(sim_client *c) {
    while (!c->send_broken && c->result.sent < c->out.used && c->world->now_ns >= c->send_ns) {
        bool slow = is_slow(c);
        int32_t result =
            sim_net_send(c->net, c->socket, c->out.data + c->result.sent, (uint32_t)send_bytes(c));
        if (result == -EAGAIN)
            return;
        if (result < 0) {
            c->send_broken = true;
            c->result.error = -result;
            return;
        }
        c->result.sent += (uint64_t)result;
        if (c->plan.leaves_at_sent && c->result.sent == c->plan.leaves_at_sent) {
            c->leaving = true;
            return;
        }
        if (slow)
            wait_until(c, &c->send_ns, c->plan.slow_step_ns);
    }
    if (c->plan.half_closes && !c->shut && !c->send_broken && c->result.sent == c->out.used) {
        c->shut = true;
        (void)sim_net_shutdown(c->net, c->socket, TINA_SHUTDOWN_WRITE); // or it is reset by now
    }
}

static void bytes_heard(sim_client *c, const uint8_t *data, uint32_t bytes) {
    uint64_t most = c->plan.kept_max ? c->plan.kept_max : UINT64_MAX;
    uint64_t room = most - c->kept.used;
    c->result.received += bytes;
    bytes_add(&c->kept, data, bytes < room ? bytes : room);
    if (c->plan.leaves_at_received && c->result.received >= c->plan.leaves_at_received)
        c->leaving = true;
    if (c->plan.heard)
        c->plan.heard(c->plan.where, c, data, bytes);
}

static uint32_t read_bytes(const sim_client *c, uint32_t most) {
    uint64_t left = UINT64_MAX;
    if (c->plan.leaves_at_received)
        left = c->plan.leaves_at_received - c->result.received;
    most = left < most ? (uint32_t)left : most;
    return c->plan.read_bytes && c->plan.read_bytes < most ? c->plan.read_bytes : most;
}

static void read_ended(sim_client *c, int32_t result) {
    if (result == 0 && !c->send_broken)
        client_end(c, SIM_CLIENT_FIN, 0);
    else
        client_end(c, SIM_CLIENT_RESET, result ? -result : c->result.error);
}

static void read_step(sim_client *c) {
    uint8_t data[4096];
    while (!c->leaving && c->world->now_ns >= c->read_ns) {
        int32_t result = sim_net_recv(c->net, c->socket, data, read_bytes(c, sizeof data));
        if (result == -EAGAIN)
            return;
        if (result <= 0) {
            read_ended(c, result);
            return;
        }
        if (c->plan.read_ns)
            wait_until(c, &c->read_ns, c->plan.read_ns);
        bytes_heard(c, data, (uint32_t)result);
    }
}

// One that never reads learns of a reset only.
static void deaf_step(sim_client *c) {
    if (c->send_broken || (sim_net_poll(c->net, c->socket, 0) & TINA_POLL_ERROR) != 0)
        client_end(c, SIM_CLIENT_RESET, c->result.error);
}

static void client_step(sim_client *c) {
    if (c->result.end != SIM_CLIENT_RUNNING)
        return;
    if (!c->leaving && connect_step(c)) {
        send_step(c);
        if (!c->leaving && c->plan.never_reads)
            deaf_step(c);
        else if (!c->leaving)
            read_step(c);
    }
    if (c->leaving && c->result.end == SIM_CLIENT_RUNNING)
        client_end(c, SIM_CLIENT_LEFT, 0);
}

static void client_free(void *memory) {
    sim_client *c = memory;
    free(c->out.data);
    free(c->kept.data);
    free(c);
}

static void leave_late(void *what, uint64_t word) {
    sim_client *c = what;
    (void)word;
    c->leaving = true;
    client_step(c);
}

static void time_out(void *what, uint64_t word) {
    sim_client *c = what;
    (void)word;
    if (c->result.end == SIM_CLIENT_RUNNING)
        client_end(c, SIM_CLIENT_TIMED_OUT, 0);
}

sim_client *sim_client_start(sim_net *net, uint32_t host, const sim_client_plan *plan) {
    TINA_ASSERT(plan->slow_bytes == 0 || plan->slow_step_bytes > 0);
    sim_client *c = calloc(1, sizeof *c);
    TINA_ASSERT(c != NULL);
    sim_net_adopt(net, c, client_free);
    sim_world *world = sim_net_world(net);
    c->plan = *plan;
    c->net = net;
    c->world = world;
    c->host = host;
    c->result.host = host;
    c->result.started_ns = world->now_ns;
    bytes_add(&c->out, plan->data, plan->bytes);
    connect_again(c);
    step_plan(c);
    if (plan->reads_after_ns)
        wait_until(c, &c->read_ns, plan->reads_after_ns);
    if (plan->leaves_ns)
        sim_agenda_at(&world->agenda, world->now_ns + plan->leaves_ns, leave_late, c, 0);
    if (plan->timeout_ns)
        sim_agenda_at(&world->agenda, world->now_ns + plan->timeout_ns, time_out, c, 0);
    return c;
}

void sim_client_send(sim_client *c, const void *data, size_t bytes) {
    if (c->result.end != SIM_CLIENT_RUNNING)
        return;
    TINA_ASSERT(!c->shut);
    bytes_add(&c->out, data, bytes);
    step_plan(c);
}

void sim_client_leave(sim_client *c) {
    c->leaving = true;
    step_plan(c);
}

sim_client_result sim_client_look(const sim_client *c) {
    sim_client_result result = c->result;
    result.kept = c->kept.data;
    result.kept_bytes = c->kept.used;
    return result;
}
