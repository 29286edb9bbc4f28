// SPDX-License-Identifier: Apache-2.0
//
// What the virtual network is made of, for its own files only.

#ifndef TINA_SIM_NET_STATE_H
#define TINA_SIM_NET_STATE_H

#include "core/assert.h"
#include "sim/net.h"

typedef enum net_role {
    NET_FREE = 0,
    NET_FRESH,      // made, perhaps bound
    NET_CONNECTING, // far: the embryo at the other side, once the SYN is there
    NET_EMBRYO,     // of a listener: its ACK is under way
    NET_LISTENER,   // queue: connections not yet accepted
    NET_STREAM,     // far: the other end, -1: gone
    NET_ORPHAN,     // closed by its owner, and not done with its last bytes
    NET_DATAGRAM,   // remote: whom it is connected to, if anybody
} net_role;

// Bytes in order, in one piece.
typedef struct net_bytes {
    uint8_t *data;
    uint32_t from;
    uint32_t used;
    uint32_t capacity;
} net_bytes;

typedef enum net_segment_kind {
    NET_SEGMENT_ACK = 0, // the handshake's
    NET_SEGMENT_DATA,
    NET_SEGMENT_FIN,
    NET_SEGMENT_RESET,
} net_segment_kind;

typedef struct net_segment {
    uint64_t arrives_ns;
    uint32_t bytes;
    uint8_t kind;
    bool breaks; // something on its way resets the connection instead
} net_segment;

#define NET_FLYING_MAX 32u // segments of data under way in one direction

typedef struct net_flight {
    net_segment segments[NET_FLYING_MAX + 4]; // and an ACK, a FIN and a reset
    uint32_t first;
    uint32_t count;
} net_flight;

typedef struct net_datagram {
    struct net_datagram *next;
    struct net_datagram *prev; // under way: in the net's list
    sim_net *net;
    uint64_t sender_generation;
    int32_t sender;
    uint32_t to_host;
    uint32_t bytes;
    tina_address from;
    tina_address to;
    uint8_t data[];
} net_datagram;

typedef struct net_socket {
    sim_net *net;
    int32_t id;
    uint32_t generation; // what the agenda has for an older one is not wanted
    uint32_t host;
    uint8_t role;
    uint8_t family;
    uint8_t kind;

    bool fin_in;     // the other end has said that no byte will follow
    bool read_shut;  // shutdown for reading
    bool write_shut; // ... for writing
    bool fin_sent;   // in the flight, or arrived
    bool fin_acked;
    bool reset;    // no connection any more
    bool told_new; // a connect has come to its end and was told
    bool accepted; // not in a listener's queue
    bool trickle;  // one byte a segment, for a while
    bool reuse_address;
    bool reuse_port;
    bool hard;     // SO_LINGER 0
    int32_t error; // errno that the next call is told, or 0
    int32_t far;

    tina_address local;
    tina_address remote;

    // A stream.
    net_bytes in;
    net_bytes out;    // sent by the owner, not yet arrived
    uint32_t flying;  // of these, in segments
    uint32_t unacked; // arrived, but the word of it is cut off
    uint32_t in_max;
    uint32_t out_max;
    uint64_t trickled; // bytes
    net_flight *flight;
    uint64_t last_ns;      // when the last segment arrives
    uint32_t flight_event; // the agenda's entry for the first one has this number

    // A connect.
    uint32_t attempt;
    bool answered;
    bool unanswered; // by chance: until faults stop
    bool refused;    // by chance

    // A listener; its children are linked by queue_next.
    uint32_t backlog;
    uint32_t queue_count;
    int32_t queue_head;
    int32_t queue_tail;
    int32_t queue_next;
    int32_t embryos; // a list, linked by queue_next
    uint32_t embryo_count;
    int32_t listener; // of an embryo

    // Datagrams that have arrived.
    net_datagram *first;
    net_datagram *last;
    uint32_t queued_bytes;

    // Bound: in the list of its port.
    bool bound;
    struct net_socket *bound_next;
    struct net_socket *bound_prev;

    sim_net_call call;
    void *where;
    bool call_planned;
    sim_stream stream;
    sim_stream datagram_stream;
    int32_t free_next;
} net_socket;

typedef struct net_host {
    tina_address address;
    uint16_t next_port;
    uint64_t datagram_ns; // when the last one arrives, of those in order
} net_host;

typedef struct net_cut {
    uint32_t from;
    uint32_t to;
    uint64_t until_ns;
} net_cut;

// A path that a Unix socket was bound to, which stays when the socket goes.
typedef struct net_name {
    tina_address address;
    int32_t socket;
    uint32_t generation;
} net_name;

typedef struct net_adopted {
    void *memory;
    void (*release)(void *memory);
} net_adopted;

#define NET_PORT_LISTS 1024u

struct sim_net {
    sim_world *world;
    net_socket **sockets;
    uint32_t socket_count;
    uint32_t socket_capacity;
    int32_t free_head;
    net_host *hosts;
    uint32_t host_count;
    uint32_t host_capacity;
    net_cut *cuts;
    uint32_t cut_count;
    uint32_t cut_capacity;
    net_name *names;
    uint32_t name_count;
    uint32_t name_capacity;
    net_adopted *adopted;
    uint32_t adopted_count;
    uint32_t adopted_capacity;
    net_socket *bound[NET_PORT_LISTS];
    net_datagram *flying;
    sim_net_counters counters;
};

// Grows an array of `size` bytes an element so that it holds one more than `count`.
void *sim_net_grow(void *array, uint32_t count, uint32_t *capacity, size_t size);

static inline net_socket *net_at(const sim_net *net, int32_t socket) {
    TINA_ASSERT(socket >= 0 && (uint32_t)socket < net->socket_count);
    net_socket *s = net->sockets[socket];
    TINA_ASSERT(s->role != NET_FREE);
    return s;
}

// net.c

net_socket *sim_net_take(sim_net *net, uint32_t host, uint8_t family, uint8_t kind);
void sim_net_give(net_socket *s);
// The socket has changed: whoever watches it is told, later.
void sim_net_changed(net_socket *s);
void sim_net_note(const net_socket *s, sim_event_kind kind, uint64_t word);
// Plans call(s, word | the socket's generation << 32).
void sim_net_plan(net_socket *s, uint64_t at_ns, sim_agenda_call call, uint32_t word);
static inline bool net_is_stale(const net_socket *s, uint64_t word) {
    return s->role == NET_FREE || s->generation != (uint32_t)(word >> 32);
}

// net_path.c

// Draws how long something of the socket's is under way.
uint64_t sim_net_delay(net_socket *s);
// When a way between two hosts opens; 0: it is open.
uint64_t sim_net_cut_until(sim_net *net, uint32_t from, uint32_t to);
// A segment leaves: perhaps chance cuts the way.
void sim_net_chance_cut(net_socket *s, uint32_t to_host);

// net_address.c

#define NET_NO_HOST UINT32_MAX
// Who has an address, as seen from a host.
uint32_t sim_net_host_of(const sim_net *net, uint32_t from, const tina_address *address);
// Gives a socket without an address one of its own, from which `to` is reached.
void sim_net_bind_any(net_socket *s, const tina_address *to);
void sim_net_unbind(net_socket *s);
// The listener or datagram socket that an address reaches; of several that share it, chance picks.
net_socket *sim_net_find(net_socket *from, uint32_t host, net_role role,
                         const tina_address *address);
// The socket bound to a Unix path. `known`: the path is there, perhaps without its socket.
net_socket *sim_net_find_name(const sim_net *net, const tina_address *address, bool *known);

// net_bytes.c

void sim_net_bytes_add(net_bytes *bytes, const uint8_t *data, uint32_t count);
void sim_net_bytes_take(net_bytes *bytes, uint32_t count);
void sim_net_bytes_free(net_bytes *bytes);

// net_segment.c

void sim_net_stream_begin(net_socket *s);
void sim_net_stream_push(net_socket *s, net_segment_kind kind, uint32_t bytes);
// Sends what may be sent.
void sim_net_stream_fill(net_socket *s);
void sim_net_stream_heal(net_socket *s);
void sim_net_stream_vanish(net_socket *s);
// The receiver has made room; its sender hears of it unless that way is cut.
void sim_net_window_tell(net_socket *s);
// An orphan has nothing more to say.
static inline bool net_is_done(const net_socket *s) {
    return s->role == NET_ORPHAN && s->fin_acked;
}

// net_stream.c

void sim_net_stream_close(net_socket *s, bool hard);
uint32_t sim_net_stream_poll(const net_socket *s);

// net_connect.c

// An embryo's ACK is here.
void sim_net_embryo_grown(net_socket *s);
void sim_net_embryo_drop(net_socket *s);
void sim_net_listener_close(net_socket *s);
void sim_net_connect_stop(net_socket *s);

// net_datagram.c

void sim_net_datagrams_drop(net_socket *s);

#endif
