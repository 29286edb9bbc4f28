// SPDX-License-Identifier: Apache-2.0
//
// The segments of a stream: bytes leave the send buffer in them and arrive in order, unless a reset
// comes.

#include <errno.h>
#include <stdlib.h>

#include "sim/net_state.h"

#define SEGMENT_BYTES_MAX 16384u
#define SEGMENT_WORTH     1024u // a smaller window is not worth a segment, RFC 9293, 3.8.6.2
#define TRICKLE_BYTES     2048u // of a connection that trickles

static net_socket *far_of(const net_socket *s) {
    return s->far >= 0 ? net_at(s->net, s->far) : NULL;
}

void sim_net_stream_begin(net_socket *s) {
    s->trickle = sim_strikes(s->net->world, &s->stream, s->net->world->settings.net_trickle_ppm);
}

static void segment_arrive(void *what, uint64_t word);

// One entry in the agenda a flight: for its first segment.
static void flight_plan(net_socket *s) {
    if (s->flight->count > 0)
        sim_net_plan(s, s->flight->segments[s->flight->first].arrives_ns, segment_arrive,
                     ++s->flight_event);
}

static uint64_t stall_draw(net_socket *s) {
    sim_net *net = s->net;
    const tina_sim_settings *settings = &net->world->settings;
    if (!sim_strikes(net->world, &s->stream, settings->net_stall_ppm))
        return 0;
    net->counters.stalls++;
    return sim_detail(&s->stream, 0, settings->net_stall_ns + 1);
}

static bool is_loopback(const net_socket *s) {
    const net_socket *far = far_of(s);
    return s->family == TINA_ADDRESS_UNIX || !far || far->host == s->host;
}

static uint64_t cut_until(const net_socket *s, bool back) {
    if (is_loopback(s))
        return 0;
    uint32_t far_host = net_at(s->net, s->far)->host;
    return back ? sim_net_cut_until(s->net, far_host, s->host)
                : sim_net_cut_until(s->net, s->host, far_host);
}

// A segment that is cut off is sent again when the way opens, and those behind it wait with it.
void sim_net_stream_push(net_socket *s, net_segment_kind kind, uint32_t bytes) {
    const sim_world *world = s->net->world;
    if (!s->flight) {
        s->flight = calloc(1, sizeof *s->flight);
        TINA_ASSERT(s->flight != NULL);
    }
    net_flight *flight = s->flight;
    TINA_ASSERT(flight->count < NET_FLYING_MAX + 4);
    bool breaks = false;
    if (s->family != TINA_ADDRESS_UNIX) {
        breaks = sim_strikes(s->net->world, &s->stream, world->settings.net_reset_ppm);
        if (!is_loopback(s))
            sim_net_chance_cut(s, net_at(s->net, s->far)->host);
    }
    uint64_t leaves_ns = cut_until(s, false);
    leaves_ns = leaves_ns > world->now_ns ? leaves_ns : world->now_ns;
    uint64_t arrives_ns = leaves_ns + sim_net_delay(s);
    arrives_ns += stall_draw(s);
    s->last_ns = arrives_ns > s->last_ns ? arrives_ns : s->last_ns;
    uint32_t at = (flight->first + flight->count++) % (NET_FLYING_MAX + 4);
    flight->segments[at] = (net_segment){s->last_ns, bytes, (uint8_t)kind, breaks};
    s->net->counters.segments++;
    if (flight->count == 1)
        flight_plan(s);
}

static uint32_t segment_bytes(net_socket *s, uint32_t most) {
    sim_net *net = s->net;
    most = most < SEGMENT_BYTES_MAX ? most : SEGMENT_BYTES_MAX;
    if (s->trickle && s->trickled < TRICKLE_BYTES)
        return 1;
    if (!sim_strikes(net->world, &s->stream, net->world->settings.net_split_ppm))
        return most;
    return 1 + (uint32_t)sim_detail(&s->stream, 0, most);
}

static uint32_t window_of(const net_socket *s) {
    const net_socket *far = far_of(s);
    if (!far || far->role == NET_ORPHAN)
        return s->in_max; // nobody reads: the answer is a reset
    uint32_t taken = far->in.used + s->flying;
    return taken < far->in_max ? far->in_max - taken : 0;
}

static uint32_t flying_count(const net_socket *s) {
    return s->flight ? s->flight->count : 0;
}

void sim_net_stream_fill(net_socket *s) {
    while (s->out.used > s->flying && flying_count(s) < NET_FLYING_MAX) {
        const net_socket *far = far_of(s);
        uint32_t left = s->out.used - s->flying;
        uint32_t window = window_of(s);
        uint32_t half = far ? far->in_max / 2 : 0;
        uint32_t worth = half < SEGMENT_WORTH ? half : SEGMENT_WORTH;
        if (window == 0 || (window < left && window < worth))
            break;
        uint32_t bytes = segment_bytes(s, left < window ? left : window);
        s->flying += bytes;
        s->trickled += bytes;
        sim_net_stream_push(s, NET_SEGMENT_DATA, bytes);
    }
    if (s->write_shut && !s->fin_sent && s->out.used == s->flying) {
        s->fin_sent = true;
        sim_net_stream_push(s, NET_SEGMENT_FIN, 0);
    }
}

static void filled_late(void *what, uint64_t word) {
    net_socket *s = what;
    if (!net_is_stale(s, word) && (s->role == NET_STREAM || s->role == NET_ORPHAN) && !s->reset)
        sim_net_stream_fill(s);
}

void sim_net_window_tell(net_socket *s) {
    net_socket *far = far_of(s);
    if (!far)
        return;
    uint64_t until_ns = cut_until(s, false);
    if (until_ns > 0)
        sim_net_plan(far, until_ns, filled_late, 0);
    else
        sim_net_stream_fill(far);
}

static void flight_drop(net_socket *s) {
    s->flight_event++;
    s->flying = 0;
    s->unacked = 0;
    if (s->flight)
        s->flight->count = 0;
    sim_net_bytes_free(&s->out);
}

static void part(net_socket *s) {
    if (s->far >= 0) {
        net_at(s->net, s->far)->far = -1;
        s->far = -1;
    }
}

void sim_net_stream_vanish(net_socket *s) {
    part(s);
    flight_drop(s);
    s->reset = true;
}

// A reset has come for a socket.
static void socket_reset(net_socket *s) {
    sim_net_note(s, SIM_NET_RESET, 0);
    s->net->counters.resets++;
    part(s);
    if (s->role == NET_EMBRYO) {
        sim_net_embryo_drop(s);
        return;
    }
    if (s->role == NET_ORPHAN) {
        sim_net_give(s);
        return;
    }
    flight_drop(s);
    if (!s->reset)
        s->error = s->fin_in ? EPIPE : ECONNRESET; // Linux, tcp_reset
    s->reset = true;
    sim_net_changed(s);
}

static void reset_late(void *what, uint64_t word) {
    net_socket *s = what;
    if (!net_is_stale(s, word) && (s->role == NET_STREAM || s->role == NET_ORPHAN) && !s->reset)
        socket_reset(s);
}

// What arrives where nobody is any more is answered with a reset.
static void answer_reset(net_socket *s) {
    sim_net_plan(s, s->net->world->now_ns + sim_net_delay(s), reset_late, 0);
}

static void out_take(net_socket *s, uint32_t bytes) {
    TINA_ASSERT(s->flying >= bytes);
    s->flying -= bytes;
    sim_net_bytes_take(&s->out, bytes);
}

static void acked_late(void *what, uint64_t word) {
    net_socket *s = what;
    if (!net_is_stale(s, word) && s->unacked > 0) {
        s->unacked = 0;
        sim_net_changed(s);
    }
}

static void data_arrive(net_socket *s, uint32_t bytes) {
    net_socket *far = far_of(s);
    if (!far || far->role == NET_ORPHAN) {
        out_take(s, bytes);
        answer_reset(s);
        if (far)
            sim_net_give(far); // as Linux does with data after its close
        return;
    }
    const uint8_t *data = s->out.data + s->out.from;
    sim_net_note(far, SIM_NET_SEGMENT, sim_hash_bytes(data, bytes));
    s->net->counters.bytes += bytes;
    sim_net_bytes_add(&far->in, data, bytes);
    out_take(s, bytes);
    sim_net_changed(far);
    uint64_t until_ns = cut_until(s, true);
    if (until_ns > 0) {
        if (s->unacked == 0)
            sim_net_plan(s, until_ns, acked_late, 0);
        s->unacked += bytes;
    } else {
        sim_net_changed(s);
    }
}

static void fin_arrive(net_socket *s) {
    net_socket *far = far_of(s);
    s->fin_acked = true;
    if (far) {
        far->fin_in = true;
        sim_net_note(far, SIM_NET_FIN, 0);
        sim_net_changed(far);
    }
    if (net_is_done(s))
        sim_net_give(s);
    else
        sim_net_changed(s);
}

static void break_arrive(net_socket *s) {
    net_socket *far = far_of(s);
    if (far)
        socket_reset(far); // which parts them
    socket_reset(s);
}

static void segment_deliver(net_socket *s, const net_segment *segment) {
    net_socket *far = far_of(s);
    if (segment->breaks) {
        break_arrive(s);
        return;
    }
    switch ((net_segment_kind)segment->kind) {
    case NET_SEGMENT_ACK:
        if (!far)
            answer_reset(s);
        else if (far->role == NET_EMBRYO)
            sim_net_embryo_grown(far);
        return;
    case NET_SEGMENT_DATA:
        data_arrive(s, segment->bytes);
        return;
    case NET_SEGMENT_FIN:
        fin_arrive(s);
        return;
    case NET_SEGMENT_RESET:
        if (far)
            socket_reset(far);
        sim_net_give(s);
        return;
    }
}

static void segment_arrive(void *what, uint64_t word) {
    net_socket *s = what;
    if (net_is_stale(s, word) || s->flight_event != (uint32_t)word)
        return;
    net_flight *flight = s->flight;
    TINA_ASSERT(flight->count > 0);
    net_segment segment = flight->segments[flight->first];
    flight->first = (flight->first + 1) % (NET_FLYING_MAX + 4);
    flight->count--;
    uint32_t generation = s->generation;
    segment_deliver(s, &segment);
    if (s->generation != generation || s->reset || s->role == NET_FREE)
        return;
    flight_plan(s);
    if (s->role == NET_STREAM || s->role == NET_ORPHAN)
        sim_net_stream_fill(s);
}

void sim_net_stream_heal(net_socket *s) {
    uint64_t latest_ns = s->net->world->now_ns + s->net->world->settings.net_ns + 1;
    if (s->reset)
        return;
    for (uint32_t i = 0; s->flight && i < s->flight->count; i++) {
        net_segment *segment = &s->flight->segments[(s->flight->first + i) % (NET_FLYING_MAX + 4)];
        if (segment->arrives_ns > latest_ns)
            segment->arrives_ns = latest_ns;
    }
    if (s->last_ns > latest_ns)
        s->last_ns = latest_ns;
    if (s->flight)
        flight_plan(s);
    s->unacked = 0;
    sim_net_stream_fill(s);
    sim_net_changed(s);
}
