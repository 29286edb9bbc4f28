// SPDX-License-Identifier: Apache-2.0
//
// Streams as their owners see them: what is sent and received, and how a connection ends.

#include <errno.h>
#include <string.h>

#include "sim/net_state.h"

static int32_t error_take(net_socket *s) {
    int32_t error = s->error;
    s->error = 0;
    return -error;
}

static int32_t stream_recv(net_socket *s, void *data, uint32_t bytes) {
    if (s->in.used > 0) {
        uint32_t count = bytes < s->in.used ? bytes : s->in.used;
        memcpy(data, s->in.data + s->in.from, count);
        sim_net_bytes_take(&s->in, count);
        sim_net_window_tell(s);
        return (int32_t)count;
    }
    if (s->fin_in)
        return 0; // and no error any more: Linux, SOCK_DONE
    if (s->error)
        return error_take(s);
    return s->reset || s->read_shut ? 0 : -EAGAIN;
}

int32_t sim_net_recv(sim_net *net, int32_t socket, void *data, uint32_t bytes) {
    net_socket *s = net_at(net, socket);
    tina_address from;
    bool cut;
    switch ((net_role)s->role) {
    case NET_STREAM:
        return stream_recv(s, data, bytes);
    case NET_DATAGRAM:
        return sim_net_recvfrom(net, socket, data, bytes, &from, &cut);
    case NET_CONNECTING:
        return -EAGAIN;
    default:
        return s->error ? error_take(s) : -ENOTCONN;
    }
}

static int32_t stream_send(net_socket *s, const void *data, uint32_t bytes) {
    if (s->error)
        return error_take(s);
    bool gone = s->family == TINA_ADDRESS_UNIX && s->far < 0;
    if (s->reset || s->write_shut || gone)
        return -EPIPE;
    uint32_t taken = s->out.used + s->unacked;
    uint32_t room = taken < s->out_max ? s->out_max - taken : 0;
    uint32_t count = bytes < room ? bytes : room;
    if (count == 0)
        return -EAGAIN;
    sim_net_note(s, SIM_NET_SEND, count);
    sim_net_bytes_add(&s->out, data, count);
    sim_net_stream_fill(s);
    return (int32_t)count;
}

int32_t sim_net_send(sim_net *net, int32_t socket, const void *data, uint32_t bytes) {
    net_socket *s = net_at(net, socket);
    switch ((net_role)s->role) {
    case NET_STREAM:
        return stream_send(s, data, bytes);
    case NET_DATAGRAM:
        return sim_net_sendto(net, socket, data, bytes, NULL);
    case NET_CONNECTING:
        return -EAGAIN;
    default:
        return s->error ? error_take(s) : -EPIPE;
    }
}

// Both ends have said that they are done, or one has reset.
static bool is_over(const net_socket *s) {
    return s->reset || (s->fin_in && s->fin_acked);
}

// Linux, tcp_poll: room to write is told when a third of the buffer is free.
uint32_t sim_net_stream_poll(const net_socket *s) {
    uint32_t taken = s->out.used + s->unacked;
    bool ended = s->fin_in || s->read_shut || s->reset;
    bool room = taken < s->out_max && s->out_max - taken >= taken / 2;
    bool both = ended && (s->write_shut || s->reset);
    uint32_t ready = s->in.used > 0 || ended ? TINA_POLL_READ : 0;
    ready |= room || s->write_shut || s->reset ? TINA_POLL_WRITE : 0;
    ready |= both || is_over(s) ? TINA_POLL_HANG_UP : 0;
    return ready | (s->error ? TINA_POLL_ERROR : 0);
}

int32_t sim_net_shutdown(sim_net *net, int32_t socket, tina_shutdown_side side) {
    net_socket *s = net_at(net, socket);
    if (s->role == NET_DATAGRAM)
        return s->remote.family == TINA_ADDRESS_NONE ? -ENOTCONN : 0;
    if (s->role != NET_STREAM || is_over(s))
        return -ENOTCONN;
    if (side != TINA_SHUTDOWN_WRITE)
        s->read_shut = true;
    if (side != TINA_SHUTDOWN_READ && !s->write_shut) {
        s->write_shut = true;
        sim_net_stream_fill(s);
    }
    sim_net_changed(s);
    return 0;
}

// Bytes that nobody read make it a reset (RFC 1122, 4.2.2.13), and so does SO_LINGER 0. What has
// not left is lost with a reset.
void sim_net_stream_close(net_socket *s, bool hard) {
    if (s->reset || (s->far < 0 && s->out.used == 0)) {
        sim_net_give(s);
        return;
    }
    if (hard || s->in.used > 0) {
        uint32_t unsent = s->out.used - s->flying;
        s->out.used -= unsent;
        s->role = NET_ORPHAN;
        s->write_shut = s->fin_sent = true;
        sim_net_stream_push(s, NET_SEGMENT_RESET, 0);
        return;
    }
    s->role = NET_ORPHAN;
    s->write_shut = true;
    if (net_is_done(s))
        sim_net_give(s);
    else
        sim_net_stream_fill(s);
}
