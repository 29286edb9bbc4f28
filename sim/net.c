// SPDX-License-Identifier: Apache-2.0

#include "sim/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/net_state.h"

void *sim_net_grow(void *array, uint32_t count, uint32_t *capacity, size_t size) {
    if (count < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 16;
    array = realloc(array, *capacity * size);
    TINA_ASSERT(array != NULL);
    return array;
}

sim_net *sim_net_open(sim_world *world) {
    sim_net *net = calloc(1, sizeof *net);
    TINA_ASSERT(net != NULL);
    net->world = world;
    net->free_head = -1;
    tina_address machine = tina_address_ipv4(10, 0, 0, 1, 0);
    uint32_t host = sim_net_host(net, &machine);
    TINA_ASSERT(host == SIM_NET_MACHINE);
    return net;
}

void sim_net_close(sim_net *net) {
    for (uint32_t i = 0; i < net->socket_count; i++) {
        net_socket *s = net->sockets[i];
        sim_net_datagrams_drop(s);
        sim_net_bytes_free(&s->in);
        sim_net_bytes_free(&s->out);
        free(s->flight);
        free(s);
    }
    while (net->flying) {
        net_datagram *next = net->flying->next;
        free(net->flying);
        net->flying = next;
    }
    for (uint32_t i = 0; i < net->adopted_count; i++)
        net->adopted[i].release(net->adopted[i].memory);
    free(net->adopted);
    free(net->sockets);
    free(net->hosts);
    free(net->cuts);
    free(net->names);
    free(net);
}

void sim_net_adopt(sim_net *net, void *memory, void (*release)(void *memory)) {
    net->adopted = sim_net_grow(net->adopted, net->adopted_count, &net->adopted_capacity,
                                sizeof *net->adopted);
    net->adopted[net->adopted_count++] = (net_adopted){memory, release};
}

uint32_t sim_net_host(sim_net *net, const tina_address *address) {
    net->hosts = sim_net_grow(net->hosts, net->host_count, &net->host_capacity, sizeof *net->hosts);
    net->hosts[net->host_count] = (net_host){.address = *address, .next_port = 32768};
    net->hosts[net->host_count].address.port = 0;
    return net->host_count++;
}

tina_address sim_net_address(const sim_net *net, uint32_t host, uint16_t port) {
    TINA_ASSERT(host < net->host_count);
    tina_address address = net->hosts[host].address;
    address.port = port;
    return address;
}

const sim_net_counters *sim_net_count(const sim_net *net) {
    return &net->counters;
}

uint32_t sim_net_open_sockets(const sim_net *net, uint32_t host) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < net->socket_count; i++) {
        const net_socket *s = net->sockets[i];
        count += s->host == host && s->role != NET_FREE && s->role != NET_ORPHAN &&
                 s->role != NET_EMBRYO;
    }
    return count;
}

sim_world *sim_net_world(const sim_net *net) {
    return net->world;
}

static net_socket *socket_make(sim_net *net) {
    net->sockets =
        sim_net_grow(net->sockets, net->socket_count, &net->socket_capacity, sizeof *net->sockets);
    net_socket *s = calloc(1, sizeof *s);
    TINA_ASSERT(s != NULL);
    s->net = net;
    s->id = (int32_t)net->socket_count;
    // The streams go on where the tenant before stopped, so that no decision has a name twice.
    s->stream = sim_stream_of(net->world, SIM_DOMAIN_NET, net->socket_count);
    s->datagram_stream = sim_stream_of(net->world, SIM_DOMAIN_DATAGRAM, net->socket_count);
    net->sockets[net->socket_count++] = s;
    return s;
}

net_socket *sim_net_take(sim_net *net, uint32_t host, uint8_t family, uint8_t kind) {
    net_socket *s;
    if (net->free_head >= 0) {
        s = net->sockets[net->free_head];
        net->free_head = s->free_next;
    } else if (net->socket_count < (uint32_t)SIM_NET_FD_LIMIT) {
        s = socket_make(net);
    } else {
        return NULL;
    }
    TINA_ASSERT(s->role == NET_FREE);
    net_socket fresh = {.net = net, .id = s->id, .generation = s->generation};
    fresh.stream = s->stream;
    fresh.datagram_stream = s->datagram_stream;
    fresh.host = host;
    fresh.family = family;
    fresh.kind = kind;
    fresh.role = kind == TINA_SOCKET_DATAGRAM ? NET_DATAGRAM : NET_FRESH;
    fresh.far = fresh.queue_head = fresh.queue_tail = fresh.queue_next = -1;
    fresh.embryos = fresh.listener = -1;
    fresh.in_max = fresh.out_max = (uint32_t)net->world->settings.net_buffer_bytes;
    fresh.accepted = true;
    fresh.call_planned = s->call_planned;
    *s = fresh;
    net->counters.sockets++;
    return s;
}

void sim_net_give(net_socket *s) {
    sim_net *net = s->net;
    TINA_ASSERT(s->role != NET_FREE);
    if (s->far >= 0) {
        net_socket *far = net_at(net, s->far);
        TINA_ASSERT(far->far == s->id);
        far->far = -1;
    }
    sim_net_unbind(s);
    sim_net_datagrams_drop(s);
    sim_net_bytes_free(&s->in);
    sim_net_bytes_free(&s->out);
    free(s->flight);
    s->flight = NULL;
    s->role = NET_FREE;
    s->generation++;
    s->call = NULL;
    s->free_next = net->free_head;
    net->free_head = s->id;
    TINA_ASSERT(net->counters.sockets > 0);
    net->counters.sockets--;
}

int32_t sim_net_socket(sim_net *net, uint32_t host, tina_address_family family,
                       tina_socket_kind kind) {
    TINA_ASSERT(host < net->host_count);
    if (family != TINA_ADDRESS_IPV4 && family != TINA_ADDRESS_IPV6 && family != TINA_ADDRESS_UNIX)
        return -EAFNOSUPPORT;
    net_socket *s = sim_net_take(net, host, (uint8_t)family, (uint8_t)kind);
    return s ? s->id : -EMFILE;
}

void sim_net_plan(net_socket *s, uint64_t at_ns, sim_agenda_call call, uint32_t word) {
    sim_agenda_at(&s->net->world->agenda, at_ns, call, s, (uint64_t)s->generation << 32 | word);
}

void sim_net_note(const net_socket *s, sim_event_kind kind, uint64_t word) {
    sim_note(s->net->world, kind, SIM_NOWHERE, (uint32_t)s->id, word);
}

// One entry serves whoever has the socket when it is due.
static void watcher_tell(void *what, uint64_t word) {
    net_socket *s = what;
    (void)word;
    s->call_planned = false;
    if (s->role != NET_FREE && s->call)
        s->call(s->where, s->id);
}

void sim_net_changed(net_socket *s) {
    if (s->call && !s->call_planned) {
        s->call_planned = true;
        sim_net_plan(s, s->net->world->now_ns, watcher_tell, 0);
    }
}

void sim_net_watch(sim_net *net, int32_t socket, sim_net_call call, void *where) {
    net_socket *s = net_at(net, socket);
    s->call = call;
    s->where = where;
}

uint32_t sim_net_poll(const sim_net *net, int32_t socket, uint32_t what) {
    const net_socket *s = net_at(net, socket);
    uint32_t ready = 0;
    switch ((net_role)s->role) {
    case NET_LISTENER:
        ready = s->queue_count ? TINA_POLL_READ : 0;
        break;
    case NET_STREAM:
        ready = sim_net_stream_poll(s);
        break;
    case NET_DATAGRAM:
        ready = TINA_POLL_WRITE | (s->first ? TINA_POLL_READ : 0);
        ready |= s->error ? TINA_POLL_ERROR : 0;
        break;
    case NET_FRESH:
        ready = TINA_POLL_WRITE | TINA_POLL_HANG_UP | (s->error ? TINA_POLL_ERROR : 0);
        break;
    case NET_CONNECTING:
    case NET_EMBRYO:
    case NET_ORPHAN:
    case NET_FREE:
        break;
    }
    return ready & (what | TINA_POLL_ERROR | TINA_POLL_HANG_UP);
}

bool sim_net_has_data(const sim_net *net, int32_t socket) {
    const net_socket *s = net_at(net, socket);
    return s->role == NET_DATAGRAM ? s->first != NULL && s->error == 0 : s->in.used > 0;
}

bool sim_net_is_stream(const sim_net *net, int32_t socket) {
    return net_at(net, socket)->kind == TINA_SOCKET_STREAM;
}

// A buffer is what a socket asks for where that is less than what the world gives.
static uint32_t buffer_bytes(const sim_net *net, int32_t value) {
    uint32_t most = (uint32_t)net->world->settings.net_buffer_bytes;
    uint32_t least = most < 256 ? most : 256;
    uint32_t asked = (uint32_t)value < least ? least : (uint32_t)value;
    return asked < most ? asked : most;
}

int32_t sim_net_set_option(sim_net *net, int32_t socket, tina_socket_option option, int32_t value) {
    net_socket *s = net_at(net, socket);
    switch (option) {
    case TINA_OPTION_REUSE_ADDRESS:
        s->reuse_address = value != 0;
        return 0;
    case TINA_OPTION_REUSE_PORT:
        s->reuse_port = value != 0;
        return 0;
    case TINA_OPTION_RECV_BUFFER:
        s->in_max = buffer_bytes(net, value);
        return 0;
    case TINA_OPTION_SEND_BUFFER:
        s->out_max = buffer_bytes(net, value);
        return 0;
    case TINA_OPTION_LINGER:
        s->hard = value == 0;
        return 0;
    case TINA_OPTION_NO_DELAY:
    case TINA_OPTION_KEEP_ALIVE_S:
    case TINA_OPTION_UNACKNOWLEDGED_MS:
    case TINA_OPTION_UNSENT_BYTES: // net_buffer_bytes bounds these, too
        return s->family == TINA_ADDRESS_UNIX || s->kind == TINA_SOCKET_DATAGRAM ? -EOPNOTSUPP : 0;
    case TINA_OPTION_IPV6_ONLY:
        return s->family == TINA_ADDRESS_IPV6 ? 0 : -ENOPROTOOPT;
    case TINA_OPTION_KEEP_ALIVE:
    case TINA_OPTION_BROADCAST:
        return 0;
    case TINA_OPTION_COUNT:
        break;
    }
    return -EINVAL;
}

int32_t sim_net_local_address(const sim_net *net, int32_t socket, tina_address *address) {
    *address = net_at(net, socket)->local;
    address->family = net_at(net, socket)->family;
    return 0;
}

int32_t sim_net_peer_address(const sim_net *net, int32_t socket, tina_address *address) {
    const net_socket *s = net_at(net, socket);
    bool connected = s->role == NET_STREAM ? !s->reset : s->role == NET_DATAGRAM;
    *address = s->remote;
    return connected && s->remote.family != TINA_ADDRESS_NONE ? 0 : -ENOTCONN;
}

static void socket_close(net_socket *s, bool hard) {
    sim_net_note(s, SIM_NET_CLOSE, hard);
    s->call = NULL;
    switch ((net_role)s->role) {
    case NET_LISTENER:
        sim_net_listener_close(s);
        sim_net_give(s);
        return;
    case NET_CONNECTING:
        sim_net_connect_stop(s);
        sim_net_give(s);
        return;
    case NET_STREAM:
        sim_net_stream_close(s, hard);
        return;
    case NET_FRESH:
    case NET_DATAGRAM:
        sim_net_give(s);
        return;
    case NET_EMBRYO:
    case NET_ORPHAN:
    case NET_FREE:
        tina_assert_failed("a socket that nobody has is closed", __FILE__, __LINE__);
    }
}

void sim_net_shut(sim_net *net, int32_t socket) {
    net_socket *s = net_at(net, socket);
    socket_close(s, s->hard);
}

void sim_net_reset(sim_net *net, int32_t socket) {
    socket_close(net_at(net, socket), true);
}

uint32_t sim_net_host_count(const sim_net *net) {
    return net->host_count;
}

void sim_net_vanish(sim_net *net, uint32_t host) {
    for (uint32_t i = 0; i < net->socket_count; i++) {
        net_socket *s = net->sockets[i];
        if (s->role == NET_FREE || s->host != host)
            continue;
        if (s->role == NET_EMBRYO)
            sim_net_embryo_drop(s);
        else if (s->role == NET_ORPHAN)
            sim_net_give(s);
        else if (s->role == NET_STREAM)
            sim_net_stream_vanish(s);
    }
}

void sim_net_heal(sim_net *net) {
    net->cut_count = 0;
    for (uint32_t i = 0; i < net->socket_count; i++) {
        net_socket *s = net->sockets[i];
        s->unanswered = false;
        if (s->role == NET_STREAM || s->role == NET_ORPHAN)
            sim_net_stream_heal(s);
    }
}
