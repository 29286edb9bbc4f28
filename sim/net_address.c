// SPDX-License-Identifier: Apache-2.0
//
// Who has which address: hosts, ports, and paths of Unix sockets.

#include <errno.h>
#include <string.h>

#include "sim/net_state.h"

#define EPHEMERAL_FIRST 32768u // ip(7), ip_local_port_range
#define EPHEMERAL_LAST  60999u

static bool is_any(const tina_address *address) {
    static const uint8_t any[16];
    return memcmp(address->ip, any, sizeof any) == 0;
}

static bool is_loopback(const tina_address *address) {
    static const uint8_t six[16] = {[15] = 1};
    return address->family == TINA_ADDRESS_IPV4 ? address->ip[0] == 127
                                                : memcmp(address->ip, six, sizeof six) == 0;
}

static bool is_same_ip(const tina_address *a, const tina_address *b) {
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static bool is_same_path(const tina_address *a, const tina_address *b) {
    return a->path_bytes == b->path_bytes && memcmp(a->path, b->path, a->path_bytes) == 0;
}

uint32_t sim_net_host_of(const sim_net *net, uint32_t from, const tina_address *address) {
    if (is_loopback(address) || is_any(address))
        return from;
    for (uint32_t i = 0; i < net->host_count; i++)
        if (is_same_ip(address, &net->hosts[i].address))
            return i;
    return NET_NO_HOST;
}

static net_socket **port_list(sim_net *net, uint16_t port) {
    return &net->bound[port % NET_PORT_LISTS];
}

static void bound_add(net_socket *s) {
    TINA_ASSERT(!s->bound && s->local.port != 0);
    net_socket **head = port_list(s->net, s->local.port);
    s->bound = true;
    s->bound_prev = NULL;
    s->bound_next = *head;
    if (*head)
        (*head)->bound_prev = s;
    *head = s;
}

void sim_net_unbind(net_socket *s) {
    if (!s->bound)
        return;
    if (s->bound_next)
        s->bound_next->bound_prev = s->bound_prev;
    if (s->bound_prev)
        s->bound_prev->bound_next = s->bound_next;
    else
        *port_list(s->net, s->local.port) = s->bound_next;
    s->bound = false;
}

// socket(7): addresses that overlap on one port are for sockets that all ask to share it; streams
// that only reuse the address may not meet a listener.
static bool is_rival(const net_socket *s, const net_socket *other, const tina_address *address) {
    if (other == s || other->host != s->host || other->kind != s->kind ||
        other->local.port != address->port || other->local.family != address->family)
        return false;
    if (!is_any(address) && !is_any(&other->local) && !is_same_ip(address, &other->local))
        return false;
    if (s->reuse_port && other->reuse_port)
        return false;
    bool share = s->reuse_address && other->reuse_address;
    return !share || (s->kind == TINA_SOCKET_STREAM && other->role == NET_LISTENER);
}

static bool is_taken(const net_socket *s, const tina_address *address) {
    for (const net_socket *other = *port_list(s->net, address->port); other;
         other = other->bound_next)
        if (is_rival(s, other, address))
            return true;
    return false;
}

// Ports are taken in turn. Streams on their way to different places may have the same one, which
// here nobody can tell.
static uint16_t port_take(net_socket *s, const tina_address *address) {
    net_host *host = &s->net->hosts[s->host];
    tina_address candidate = *address;
    for (uint32_t tries = EPHEMERAL_FIRST; tries <= EPHEMERAL_LAST; tries++) {
        candidate.port = host->next_port;
        host->next_port = host->next_port == EPHEMERAL_LAST ? (uint16_t)EPHEMERAL_FIRST
                                                            : (uint16_t)(host->next_port + 1);
        if (!is_taken(s, &candidate))
            return candidate.port;
    }
    return 0;
}

void sim_net_bind_any(net_socket *s, const tina_address *to) {
    if (s->local.family == TINA_ADDRESS_NONE) {
        s->local = is_loopback(to) || is_any(to) ? *to : s->net->hosts[s->host].address;
        s->local.port = port_take(s, &s->local);
    }
    if (s->kind == TINA_SOCKET_DATAGRAM && !s->bound && s->local.port != 0)
        bound_add(s);
}

static bool is_local(const net_socket *s, const tina_address *address) {
    return is_any(address) || is_loopback(address) ||
           is_same_ip(address, &s->net->hosts[s->host].address);
}

static net_name *name_find(const sim_net *net, const tina_address *address) {
    for (uint32_t i = 0; i < net->name_count; i++)
        if (is_same_path(address, &net->names[i].address))
            return &net->names[i];
    return NULL;
}

static net_socket *name_socket(const sim_net *net, const net_name *name) {
    net_socket *s = net->sockets[name->socket];
    return s->role != NET_FREE && s->generation == name->generation ? s : NULL;
}

// A path whose socket is gone is taken over on request only, as //reactor:os_socket does.
static int32_t bind_path(net_socket *s, const tina_address *address) {
    sim_net *net = s->net;
    net_name *name = name_find(net, address);
    if (name && (!s->reuse_address || name_socket(net, name)))
        return -EADDRINUSE;
    if (!name) {
        net->names =
            sim_net_grow(net->names, net->name_count, &net->name_capacity, sizeof *net->names);
        name = &net->names[net->name_count++];
    }
    *name = (net_name){*address, s->id, s->generation};
    s->local = *address;
    return 0;
}

int32_t sim_net_bind(sim_net *net, int32_t socket, const tina_address *address) {
    net_socket *s = net_at(net, socket);
    if ((s->role != NET_FRESH && s->role != NET_DATAGRAM) || s->local.family != TINA_ADDRESS_NONE)
        return -EINVAL;
    if (address->family != s->family)
        return s->family == TINA_ADDRESS_UNIX ? -EINVAL : -EAFNOSUPPORT;
    if (s->family == TINA_ADDRESS_UNIX)
        return bind_path(s, address);
    if (!is_local(s, address))
        return -EADDRNOTAVAIL;
    tina_address local = *address;
    if (local.port == 0)
        local.port = port_take(s, &local);
    if (local.port == 0 || is_taken(s, &local))
        return -EADDRINUSE;
    s->local = local;
    bound_add(s);
    return 0;
}

static bool is_reached(const net_socket *s, uint32_t host, net_role role,
                       const tina_address *address) {
    return s->host == host && s->role == role && s->local.port == address->port &&
           s->local.family == address->family &&
           (is_any(&s->local) || is_any(address) || is_same_ip(&s->local, address));
}

net_socket *sim_net_find(net_socket *from, uint32_t host, net_role role,
                         const tina_address *address) {
    uint32_t count = 0;
    net_socket *head = *port_list(from->net, address->port);
    for (net_socket *s = head; s; s = s->bound_next)
        count += is_reached(s, host, role, address);
    if (count == 0)
        return NULL;
    uint64_t chosen = count == 1 ? 0 : sim_draw(&from->stream, count);
    for (net_socket *s = head; s; s = s->bound_next)
        if (is_reached(s, host, role, address) && chosen-- == 0)
            return s;
    tina_assert_failed("fewer are reached than were counted", __FILE__, __LINE__);
}

net_socket *sim_net_find_name(const sim_net *net, const tina_address *address, bool *known) {
    const net_name *name = name_find(net, address);
    *known = name != NULL;
    return name ? name_socket(net, name) : NULL;
}

bool sim_net_unlink(sim_net *net, const tina_address *address) {
    net_name *name = name_find(net, address);
    if (!name)
        return false;
    *name = net->names[--net->name_count];
    return true;
}
