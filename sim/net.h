// SPDX-License-Identifier: Apache-2.0
//
// The virtual network of a simulated world: the machine under test, whose shards share it, and
// hosts around it that the simulation drives. TCP as streams of bytes, UDP, and Unix sockets.
//
//     connect ──SYN──▶ listener      send ─▶ out ──segments, in order──▶ in ─▶ recv
//             ◀─SYN/ACK─                      │     late, stalled, cut    │
//             ──ACK──▶ accept             send buffer               receive window
//
// Calls return what non-blocking system calls on Linux would: a count, 0, or -errno; -EAGAIN when
// they would wait. Errors and their order are Linux's (tcp(7), RFC 1122, 4.2.2.13): what arrived is
// read before a reset is told, a reset is told once, bytes that nobody read make a close a reset.
// A test holds the same scripts against the loopback.
//
// Only time moves bytes: a call puts an entry into the world's agenda, and nothing arrives at the
// far side within it.

#ifndef TINA_SIM_NET_H
#define TINA_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/io.h"
#include "sim/world.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sim_net sim_net;

#define SIM_NET_MACHINE   0u                 // the host whose shards are under test
#define SIM_NET_FD_LIMIT  (INT32_C(1) << 20) // os_fds of sockets lie below it
#define SIM_NET_BYTES_MAX (UINT32_C(65507))  // of one datagram, udp(7)

// sim_net_open makes a network with one host, the machine, at 10.0.0.1; sim_net_close frees it with
// every socket, before the world ends.
sim_net *sim_net_open(sim_world *world);
void sim_net_close(sim_net *net);

// sim_net_host adds a host with an address (its port is not looked at) and returns its number.
// Every host has 127.0.0.0/8 and ::1 to itself.
uint32_t sim_net_host(sim_net *net, const tina_address *address);

uint32_t sim_net_host_count(const sim_net *net);

// sim_net_address returns the address of a host with the given port.
tina_address sim_net_address(const sim_net *net, uint32_t host, uint16_t port);

// Sockets are small numbers, which are used again. Those of the machine are os_fds of its shards.
int32_t sim_net_socket(sim_net *net, uint32_t host, tina_address_family family,
                       tina_socket_kind kind);
int32_t sim_net_bind(sim_net *net, int32_t socket, const tina_address *address);
int32_t sim_net_listen(sim_net *net, int32_t socket, uint32_t backlog);

// sim_net_connect returns -EINPROGRESS at its first call for a stream of TCP, -EALREADY as long as
// that takes, and then once what came of it.
int32_t sim_net_connect(sim_net *net, int32_t socket, const tina_address *address);
int32_t sim_net_accept(sim_net *net, int32_t listener);

int32_t sim_net_recv(sim_net *net, int32_t socket, void *data, uint32_t bytes);
int32_t sim_net_send(sim_net *net, int32_t socket, const void *data, uint32_t bytes);

// sim_net_recvfrom also tells who sent it (of no family: it has no address) and whether its end was
// cut off; on a stream it is sim_net_recv.
int32_t sim_net_recvfrom(sim_net *net, int32_t socket, void *data, uint32_t bytes,
                         tina_address *from, bool *cut);
// sim_net_sendto sends to whom the socket is connected when `to` is NULL.
int32_t sim_net_sendto(sim_net *net, int32_t socket, const void *data, uint32_t bytes,
                       const tina_address *to);

// sim_net_poll returns TINA_POLL_... of `what` (errors and hang-ups always), or 0.
uint32_t sim_net_poll(const sim_net *net, int32_t socket, uint32_t what);

// sim_net_has_data returns whether a receive would bring something into a buffer.
bool sim_net_has_data(const sim_net *net, int32_t socket);
bool sim_net_is_stream(const sim_net *net, int32_t socket);

int32_t sim_net_shutdown(sim_net *net, int32_t socket, tina_shutdown_side side);
int32_t sim_net_set_option(sim_net *net, int32_t socket, tina_socket_option option, int32_t value);
int32_t sim_net_local_address(const sim_net *net, int32_t socket, tina_address *address);
int32_t sim_net_peer_address(const sim_net *net, int32_t socket, tina_address *address);

// sim_net_shut closes a socket; sim_net_reset does so with SO_LINGER 0.
void sim_net_shut(sim_net *net, int32_t socket);
void sim_net_reset(sim_net *net, int32_t socket);

// sim_net_vanish is what a loss of power does to a host: its connections are gone and nobody is
// told; a peer that sends is answered with a reset. Its sockets are still to be shut.
void sim_net_vanish(sim_net *net, uint32_t host);

// sim_net_watch has call(where, socket) called whenever the socket may have changed: through the
// agenda, so never within a call, and once for what changes at one time. NULL ends it.
typedef void (*sim_net_call)(void *where, int32_t socket);
void sim_net_watch(sim_net *net, int32_t socket, sim_net_call call, void *where);

// sim_net_cut loses what one host sends to another, from now until then.
void sim_net_cut(sim_net *net, uint32_t from, uint32_t to, uint64_t until_ns);

// sim_net_heal ends every cut and stall: what waits arrives within net_ns. For when faults stop.
void sim_net_heal(sim_net *net);

// sim_net_unlink frees the path of a Unix socket, as unlink(2) would; false when it has none.
bool sim_net_unlink(sim_net *net, const tina_address *address);

// sim_net_adopt has release(memory) called when the net closes: for what entries of the agenda
// point to, which must last as long.
void sim_net_adopt(sim_net *net, void *memory, void (*release)(void *memory));

typedef struct sim_net_counters {
    uint64_t connects;
    uint64_t refused;
    uint64_t timed_out;
    uint64_t accepts_failed;
    uint64_t segments;
    uint64_t bytes;
    uint64_t stalls;
    uint64_t resets; // told to a socket
    uint64_t cuts;
    uint64_t syns_lost; // cut off, unanswered, or to a full backlog
    uint64_t datagrams;
    uint64_t datagrams_lost; // by chance, cut off, to nobody, or to a full queue
    uint64_t datagrams_repeated;
    uint64_t datagrams_reordered;
    uint32_t sockets; // in use, those included that are closed and still send
} sim_net_counters;

const sim_net_counters *sim_net_count(const sim_net *net);

// sim_net_open_sockets counts those that a host has and has not closed.
uint32_t sim_net_open_sockets(const sim_net *net, uint32_t host);
sim_world *sim_net_world(const sim_net *net);

#ifdef __cplusplus
}
#endif

#endif
