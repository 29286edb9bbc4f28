// SPDX-License-Identifier: Apache-2.0
//
// Datagrams: whole or not at all; over the network perhaps twice, late or never, on Unix sockets
// at once and in order.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/net_state.h"

#define UNIX_QUEUE_MAX 10u // net.unix.max_dgram_qlen, unix(7)

static void flying_unlink(net_datagram *d) {
    if (d->next)
        d->next->prev = d->prev;
    if (d->prev)
        d->prev->next = d->next;
    else
        d->net->flying = d->next;
    d->next = d->prev = NULL;
}

void sim_net_datagrams_drop(net_socket *s) {
    while (s->first) {
        net_datagram *next = s->first->next;
        free(s->first);
        s->first = next;
    }
    s->last = NULL;
    s->queued_bytes = 0;
}

static void datagram_lose(net_datagram *d) {
    d->net->counters.datagrams_lost++;
    free(d);
}

static void datagram_keep(net_socket *s, net_datagram *d) {
    sim_net_note(s, SIM_NET_DATAGRAM, sim_hash_bytes(d->data, d->bytes));
    if (s->last)
        s->last->next = d;
    else
        s->first = d;
    s->last = d;
    s->queued_bytes += d->bytes;
    sim_net_changed(s);
}

static bool is_from(const net_socket *s, const net_datagram *d) {
    const tina_address *a = &s->remote;
    return a->family == TINA_ADDRESS_NONE ||
           (a->port == d->from.port && memcmp(a->ip, d->from.ip, sizeof a->ip) == 0);
}

// Whoever is connected to a port that nobody has is told so, by ICMP.
static void nobody_tell(const net_datagram *d) {
    net_socket *s = d->net->sockets[d->sender];
    if (s->role == NET_DATAGRAM && s->generation == d->sender_generation &&
        s->remote.family != TINA_ADDRESS_NONE) {
        s->error = ECONNREFUSED;
        sim_net_changed(s);
    }
}

static void datagram_arrive(void *what, uint64_t word) {
    net_datagram *d = what;
    (void)word;
    flying_unlink(d);
    net_socket *sender = d->net->sockets[d->sender];
    net_socket *s = sim_net_find(sender, d->to_host, NET_DATAGRAM, &d->to);
    if (!s || !is_from(s, d)) {
        nobody_tell(d);
        datagram_lose(d);
    } else if (s->first && s->queued_bytes + d->bytes > s->in_max) {
        datagram_lose(d);
    } else {
        datagram_keep(s, d);
    }
}

static net_datagram *datagram_make(net_socket *s, const void *data, uint32_t bytes,
                                   const tina_address *to, uint32_t host) {
    net_datagram *d = calloc(1, sizeof *d + bytes);
    TINA_ASSERT(d != NULL);
    d->net = s->net;
    d->sender = s->id;
    d->sender_generation = s->generation;
    d->to_host = host;
    d->bytes = bytes;
    d->from = s->local;
    d->to = *to;
    if (bytes > 0)
        memcpy(d->data, data, bytes);
    return d;
}

static void datagram_fly(net_socket *s, net_datagram *d, uint64_t at_ns) {
    sim_net *net = s->net;
    d->next = net->flying;
    if (d->next)
        d->next->prev = d;
    net->flying = d;
    sim_agenda_at(&net->world->agenda, at_ns, datagram_arrive, d, 0);
}

// Those to one host arrive in the order in which they left, but for those that chance delays.
static uint64_t arrival_draw(net_socket *s, uint32_t host) {
    sim_net *net = s->net;
    const tina_sim_settings *settings = &net->world->settings;
    uint64_t at_ns = net->world->now_ns + 1;
    at_ns += sim_draw_upto(&s->datagram_stream, settings->net_ns);
    if (sim_strikes(net->world, &s->datagram_stream, settings->udp_reorder_ppm)) {
        net->counters.datagrams_reordered++;
        return at_ns + sim_detail(&s->datagram_stream, 0, 4 * settings->net_ns + 1);
    }
    uint64_t *last_ns = &net->hosts[host].datagram_ns;
    *last_ns = at_ns > *last_ns ? at_ns : *last_ns;
    return *last_ns;
}

static void datagram_send(net_socket *s, const void *data, uint32_t bytes, const tina_address *to) {
    sim_net *net = s->net;
    const tina_sim_settings *settings = &net->world->settings;
    uint32_t host = sim_net_host_of(net, s->host, to);
    net->counters.datagrams++;
    bool lost = sim_strikes(net->world, &s->datagram_stream, settings->udp_loss_ppm);
    bool again = sim_strikes(net->world, &s->datagram_stream, settings->udp_repeat_ppm);
    uint64_t again_ns = sim_detail(&s->datagram_stream, 0, settings->net_ns + 1);
    if (host == NET_NO_HOST) {
        net->counters.datagrams_lost++;
        return;
    }
    uint64_t at_ns = arrival_draw(s, host);
    bool cut = host != s->host && sim_net_cut_until(net, s->host, host) > 0;
    if (lost || cut) {
        net->counters.datagrams_lost++;
        return;
    }
    datagram_fly(s, datagram_make(s, data, bytes, to, host), at_ns);
    if (again) {
        net->counters.datagrams_repeated++;
        datagram_fly(s, datagram_make(s, data, bytes, to, host), at_ns + again_ns);
    }
}

static int32_t unix_send(net_socket *s, const void *data, uint32_t bytes, const tina_address *to) {
    bool known;
    net_socket *far = sim_net_find_name(s->net, to, &known);
    if (!known)
        return -ENOENT;
    if (!far || far->role != NET_DATAGRAM)
        return far ? -EPROTOTYPE : -ECONNREFUSED;
    uint32_t queued = 0;
    for (const net_datagram *d = far->first; d; d = d->next)
        queued++;
    if (queued > UNIX_QUEUE_MAX)
        return -EAGAIN;
    s->net->counters.datagrams++;
    datagram_keep(far, datagram_make(s, data, bytes, to, s->host));
    return (int32_t)bytes;
}

int32_t sim_net_sendto(sim_net *net, int32_t socket, const void *data, uint32_t bytes,
                       const tina_address *to) {
    net_socket *s = net_at(net, socket);
    if (s->role != NET_DATAGRAM)
        return sim_net_send(net, socket, data, bytes);
    if (s->error) {
        int32_t error = s->error;
        s->error = 0;
        return -error;
    }
    to = to ? to : &s->remote;
    if (to->family == TINA_ADDRESS_NONE)
        return s->family == TINA_ADDRESS_UNIX ? -ENOTCONN : -EDESTADDRREQ;
    if (to->family != s->family)
        return s->family == TINA_ADDRESS_UNIX ? -EINVAL : -EAFNOSUPPORT;
    if (bytes > SIM_NET_BYTES_MAX)
        return -EMSGSIZE;
    sim_net_note(s, SIM_NET_SEND, bytes);
    if (s->family == TINA_ADDRESS_UNIX)
        return unix_send(s, data, bytes, to);
    if (to->port == 0)
        return -EINVAL;
    sim_net_bind_any(s, to);
    datagram_send(s, data, bytes, to);
    return (int32_t)bytes;
}

int32_t sim_net_recvfrom(sim_net *net, int32_t socket, void *data, uint32_t bytes,
                         tina_address *from, bool *cut) {
    net_socket *s = net_at(net, socket);
    *from = (tina_address){0};
    *cut = false;
    if (s->role != NET_DATAGRAM)
        return sim_net_recv(net, socket, data, bytes);
    if (s->error) {
        int32_t error = s->error;
        s->error = 0;
        return -error;
    }
    net_datagram *d = s->first;
    if (!d)
        return -EAGAIN;
    uint32_t count = bytes < d->bytes ? bytes : d->bytes;
    if (count > 0)
        memcpy(data, d->data, count);
    *from = d->from;
    *cut = count < d->bytes;
    s->first = d->next;
    s->last = s->first ? s->last : NULL;
    s->queued_bytes -= d->bytes;
    free(d);
    return (int32_t)count;
}
