// SPDX-License-Identifier: Apache-2.0
//
// How connections come about: the handshake, which may be refused, lost and tried again, and the
// queue of a listener.

#include <errno.h>
#include <string.h>

#include "sim/net_state.h"

#define SYN_ATTEMPTS 7u // tcp(7), tcp_syn_retries: after 1, 3, 7, 15, 31 and 63 s, given up at 127
#define NO_HOST_NS   UINT64_C(3000000000)
#define SECOND_NS    UINT64_C(1000000000)

static void queue_append(net_socket *listener, net_socket *child) {
    child->queue_next = -1;
    if (listener->queue_tail >= 0)
        net_at(listener->net, listener->queue_tail)->queue_next = child->id;
    else
        listener->queue_head = child->id;
    listener->queue_tail = child->id;
    listener->queue_count++;
}

static net_socket *queue_take(net_socket *listener) {
    net_socket *child = net_at(listener->net, listener->queue_head);
    listener->queue_head = child->queue_next;
    if (listener->queue_head < 0)
        listener->queue_tail = -1;
    listener->queue_count--;
    child->accepted = true;
    return child;
}

int32_t sim_net_listen(sim_net *net, int32_t socket, uint32_t backlog) {
    net_socket *s = net_at(net, socket);
    if (s->role == NET_DATAGRAM)
        return -EOPNOTSUPP;
    if (s->role != NET_FRESH && s->role != NET_LISTENER)
        return -EINVAL;
    if (s->family == TINA_ADDRESS_UNIX && s->local.family == TINA_ADDRESS_NONE)
        return -EINVAL;
    if (s->local.family == TINA_ADDRESS_NONE) {
        tina_address any = {.family = s->family};
        int32_t bound = sim_net_bind(net, socket, &any);
        if (bound < 0)
            return bound;
    }
    s->role = NET_LISTENER;
    s->backlog = backlog < 4096 ? backlog : 4096; // net.core.somaxconn
    return 0;
}

// Linux lets one more in than it was told to (sk_acceptq_is_full).
static bool is_full(const net_socket *listener) {
    return listener->queue_count + listener->embryo_count > listener->backlog;
}

static net_socket *child_make(net_socket *listener, net_socket *from) {
    net_socket *child =
        sim_net_take(listener->net, listener->host, listener->family, TINA_SOCKET_STREAM);
    if (!child)
        return NULL;
    child->role = NET_EMBRYO;
    child->accepted = false;
    child->listener = listener->id;
    child->local = from->remote;
    child->remote = from->local;
    child->in_max = listener->in_max;
    child->out_max = listener->out_max;
    child->hard = listener->hard;
    child->far = from->id;
    from->far = child->id;
    child->queue_next = listener->embryos;
    listener->embryos = child->id;
    listener->embryo_count++;
    sim_net_stream_begin(child);
    return child;
}

static void embryo_unlink(net_socket *child) {
    net_socket *listener = net_at(child->net, child->listener);
    int32_t *link = &listener->embryos;
    while (*link != child->id)
        link = &net_at(child->net, *link)->queue_next;
    *link = child->queue_next;
    TINA_ASSERT(listener->embryo_count > 0);
    listener->embryo_count--;
}

void sim_net_embryo_drop(net_socket *child) {
    TINA_ASSERT(child->role == NET_EMBRYO);
    embryo_unlink(child);
    sim_net_give(child);
}

void sim_net_embryo_grown(net_socket *child) {
    net_socket *listener = net_at(child->net, child->listener);
    embryo_unlink(child);
    child->role = NET_STREAM;
    queue_append(listener, child);
    sim_net_changed(listener);
}

void sim_net_listener_close(net_socket *s) {
    while (s->embryos >= 0)
        sim_net_embryo_drop(net_at(s->net, s->embryos));
    while (s->queue_head >= 0)
        sim_net_stream_close(queue_take(s), true);
}

void sim_net_connect_stop(net_socket *s) {
    if (s->far >= 0)
        sim_net_embryo_drop(net_at(s->net, s->far));
}

static void connect_end(net_socket *s, int32_t error) {
    if (s->far >= 0)
        sim_net_embryo_drop(net_at(s->net, s->far));
    s->role = NET_FRESH;
    s->error = error;
    s->remote.family = TINA_ADDRESS_NONE;
    s->net->counters.refused += error == ECONNREFUSED;
    s->net->counters.timed_out += error == ETIMEDOUT;
    if (!s->bound)
        s->local.family = TINA_ADDRESS_NONE;
    sim_net_changed(s);
}

static bool is_wanted(const net_socket *s, uint64_t word) {
    return !net_is_stale(s, word) && s->role == NET_CONNECTING && !s->answered;
}

static void refused_arrive(void *what, uint64_t word) {
    net_socket *s = what;
    if (!net_is_stale(s, word) && s->role == NET_CONNECTING && s->attempt == (uint32_t)word)
        connect_end(s, ECONNREFUSED);
}

static void unreachable_arrive(void *what, uint64_t word) {
    net_socket *s = what;
    if (is_wanted(s, word))
        connect_end(s, EHOSTUNREACH);
}

static void answer_arrive(void *what, uint64_t word) {
    net_socket *s = what;
    if (net_is_stale(s, word) || s->role != NET_CONNECTING)
        return;
    s->role = NET_STREAM;
    sim_net_stream_begin(s);
    sim_net_stream_push(s, NET_SEGMENT_ACK, 0);
    sim_net_changed(s);
}

static void refuse(net_socket *s) {
    s->answered = true;
    sim_net_plan(s, s->net->world->now_ns + sim_net_delay(s), refused_arrive, s->attempt);
}

static void syn_arrive(void *what, uint64_t word) {
    net_socket *s = what;
    if (!is_wanted(s, word))
        return;
    sim_net *net = s->net;
    uint32_t host = sim_net_host_of(net, s->host, &s->remote);
    if (host == NET_NO_HOST) {
        sim_net_plan(s, net->world->now_ns + NO_HOST_NS, unreachable_arrive, 0);
        return;
    }
    bool cut = host != s->host && (sim_net_cut_until(net, s->host, host) > 0 ||
                                   sim_net_cut_until(net, host, s->host) > 0);
    if (s->unanswered || cut) {
        net->counters.syns_lost++;
        return;
    }
    net_socket *listener = s->refused ? NULL : sim_net_find(s, host, NET_LISTENER, &s->remote);
    if (!listener) {
        refuse(s);
        return;
    }
    if (is_full(listener) || !child_make(listener, s)) {
        net->counters.syns_lost++;
        return;
    }
    s->answered = true;
    sim_net_plan(s, net->world->now_ns + sim_net_delay(s), answer_arrive, 0);
}

static void syn_send(net_socket *s);

static void syn_again(void *what, uint64_t word) {
    net_socket *s = what;
    if (!is_wanted(s, word) || s->attempt != (uint32_t)word)
        return;
    if (s->attempt == SYN_ATTEMPTS)
        connect_end(s, ETIMEDOUT);
    else
        syn_send(s);
}

static void syn_send(net_socket *s) {
    uint64_t now_ns = s->net->world->now_ns;
    uint64_t again_ns = SECOND_NS << s->attempt++;
    sim_net_plan(s, now_ns + sim_net_delay(s), syn_arrive, 0);
    sim_net_plan(s, now_ns + again_ns, syn_again, s->attempt);
}

static void connect_begin(net_socket *s, const tina_address *address) {
    sim_net *net = s->net;
    const tina_sim_settings *settings = &net->world->settings;
    sim_net_bind_any(s, address);
    s->remote = *address;
    s->role = NET_CONNECTING;
    s->attempt = 0;
    s->answered = s->told_new = false;
    s->refused = sim_strikes(net->world, &s->stream, settings->net_refuse_ppm);
    s->unanswered = sim_strikes(net->world, &s->stream, settings->net_unreachable_ppm);
    net->counters.connects++;
    sim_net_note(s, SIM_NET_CONNECT, address->port);
    syn_send(s);
}

// At once, as nothing lies between the two.
static int32_t unix_connect(net_socket *s, const tina_address *address) {
    bool known;
    net_socket *listener = sim_net_find_name(s->net, address, &known);
    if (!known)
        return -ENOENT;
    if (!listener || listener->role != NET_LISTENER)
        return -ECONNREFUSED;
    if (is_full(listener))
        return -EAGAIN;
    s->remote = *address;
    net_socket *child = child_make(listener, s);
    if (!child)
        return -EAGAIN;
    sim_net_note(s, SIM_NET_CONNECT, 0);
    s->role = NET_STREAM;
    s->told_new = true;
    sim_net_stream_begin(s);
    sim_net_embryo_grown(child);
    return 0;
}

static int32_t stream_connect(net_socket *s, const tina_address *address) {
    static const uint8_t everybody[4] = {255, 255, 255, 255};
    if (address->family != s->family)
        return s->family == TINA_ADDRESS_UNIX ? -EINVAL : -EAFNOSUPPORT;
    if (s->family == TINA_ADDRESS_UNIX)
        return unix_connect(s, address);
    if (s->family == TINA_ADDRESS_IPV4 && memcmp(address->ip, everybody, 4) == 0)
        return -ENETUNREACH;
    connect_begin(s, address);
    return -EINPROGRESS;
}

int32_t sim_net_connect(sim_net *net, int32_t socket, const tina_address *address) {
    net_socket *s = net_at(net, socket);
    int32_t result;
    switch ((net_role)s->role) {
    case NET_DATAGRAM:
        s->remote = *address;
        if (s->family != TINA_ADDRESS_UNIX)
            sim_net_bind_any(s, address);
        return 0;
    case NET_CONNECTING:
        return -EALREADY;
    case NET_STREAM:
        result = s->told_new ? -EISCONN : 0;
        s->told_new = true;
        return result;
    case NET_FRESH:
        result = -s->error;
        s->error = 0;
        return result ? result : stream_connect(s, address);
    default:
        return -EISCONN;
    }
}

// A connection that was reset in the queue is accepted all the same, as Linux does.
int32_t sim_net_accept(sim_net *net, int32_t listener) {
    net_socket *s = net_at(net, listener);
    if (s->role != NET_LISTENER)
        return s->role == NET_DATAGRAM ? -EOPNOTSUPP : -EINVAL;
    if (s->queue_head < 0)
        return -EAGAIN;
    if (s->host == SIM_NET_MACHINE &&
        sim_strikes(net->world, &s->stream, net->world->settings.net_accept_fail_ppm)) {
        net->counters.accepts_failed++;
        if (sim_detail(&s->stream, 0, 2) == 0)
            return -EMFILE;
        sim_net_stream_close(queue_take(s), true);
        return -ECONNABORTED;
    }
    net_socket *child = queue_take(s);
    child->told_new = true;
    sim_net_note(s, SIM_NET_ACCEPT, (uint64_t)child->id);
    return child->id;
}
