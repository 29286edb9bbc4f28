// SPDX-License-Identifier: Apache-2.0
//
// The network inside //reactor:scripted: sockets in one table, streams connected in pairs, each
// with the bytes or datagrams that came for it. Nothing here waits: -EAGAIN means that the call
// would. Errors and their order are Linux's: bytes that arrived are read before a reset is told,
// and a reset is told once.

#ifndef TINA_REACTOR_SCRIPTED_NET_H
#define TINA_REACTOR_SCRIPTED_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/io.h"

typedef enum net_role {
    NET_FREE = 0,
    NET_FRESH,    // made, perhaps bound
    NET_LISTENER, // queue_head: connections not yet accepted
    NET_STREAM,   // other: the far end, or -1 when that is closed
    NET_DATAGRAM, // remote: whom it is connected to, if anybody
} net_role;

typedef struct net_socket {
    uint8_t role;
    bool end;   // no byte will come after those in `bytes`
    bool reset; // a reset came and was not told
    bool shut;  // shutdown for writing
    bool hard;  // SO_LINGER 0: close resets
    int32_t other;
    int32_t queue_head;
    int32_t queue_next;
    uint32_t queue_count;
    uint32_t backlog;
    uint32_t first;
    uint32_t used;
    uint8_t *bytes;
    tina_address local;
    tina_address remote;
} net_socket;

typedef struct scripted_net {
    net_socket *sockets;
    int32_t socket_count;
    uint32_t pipe_bytes;
    uint16_t next_port;
} scripted_net;

void tina_net_init(scripted_net *net, net_socket *sockets, int32_t socket_count, uint8_t *bytes,
                   uint32_t pipe_bytes);
int32_t tina_net_socket(scripted_net *net, tina_socket_kind kind);
int32_t tina_net_bind(scripted_net *net, int32_t socket, const tina_address *address);
int32_t tina_net_listen(scripted_net *net, int32_t socket, uint32_t backlog);
int32_t tina_net_connect(scripted_net *net, int32_t socket, const tina_address *address);
int32_t tina_net_accept(scripted_net *net, int32_t listener);
int32_t tina_net_recv(scripted_net *net, int32_t socket, void *data, uint32_t bytes);
int32_t tina_net_send(scripted_net *net, int32_t socket, const void *data, uint32_t bytes);
int32_t tina_net_sendto(scripted_net *net, int32_t socket, const void *data, uint32_t bytes,
                        const tina_address *to);
int32_t tina_net_recvfrom(scripted_net *net, int32_t socket, void *data, uint32_t bytes,
                          tina_address *from, bool *cut);
// TINA_POLL_... of `what`, or 0 when it would wait.
int32_t tina_net_poll(const scripted_net *net, int32_t socket, uint32_t what);
// Who has this address in this role, or -1.
int32_t tina_net_find(const scripted_net *net, net_role role, const tina_address *address);
// Gives a socket without an address a port of its own, where `to` is to be reached.
void tina_net_bind_any(scripted_net *net, net_socket *s, const tina_address *to);
int32_t tina_net_shutdown(scripted_net *net, int32_t socket, tina_shutdown_side side);
void tina_net_close(scripted_net *net, int32_t socket);

#endif
