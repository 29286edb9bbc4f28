// SPDX-License-Identifier: Apache-2.0
//
// The network inside //reactor:scripted: sockets in one table, connected in pairs, each with the
// bytes that came for it. Nothing here waits: -EAGAIN means that the call would. Errors and their
// order are Linux's: bytes that arrived are read before a reset is told, and a reset is told once.

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
int32_t tina_net_socket(scripted_net *net);
int32_t tina_net_bind(scripted_net *net, int32_t socket, const tina_address *address);
int32_t tina_net_listen(scripted_net *net, int32_t socket, uint32_t backlog);
int32_t tina_net_connect(scripted_net *net, int32_t socket, const tina_address *address);
int32_t tina_net_accept(scripted_net *net, int32_t listener);
int32_t tina_net_recv(scripted_net *net, int32_t socket, void *data, uint32_t bytes);
int32_t tina_net_send(scripted_net *net, int32_t socket, const void *data, uint32_t bytes);
int32_t tina_net_shutdown(scripted_net *net, int32_t socket, tina_shutdown_side side);
void tina_net_close(scripted_net *net, int32_t socket);

#endif
