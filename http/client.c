// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "http/exchange.h"
#include "sched/ctx.h"

// What fits is kept for the connection's next request.
static bool peer_ask(http_request *request, tina_address *address) {
    http_peer *peer = request->peer;
    if (tina_socket_peer_address(request->ctx, peer->fd, address) != 0)
        return false;
    if (address->family == TINA_ADDRESS_UNIX || address->scope != 0)
        return true;
    memcpy(peer->ip, address->ip, sizeof peer->ip);
    peer->port = address->port;
    peer->family = (uint8_t)address->family;
    peer->told = true;
    return true;
}

bool http_client(http_request *request, tina_address *address) {
    const http_peer *peer = request->peer;
    if (!peer->told)
        return peer_ask(request, address);
    memset(address, 0, sizeof *address);
    address->family = peer->family;
    address->port = peer->port;
    memcpy(address->ip, peer->ip, sizeof peer->ip);
    return true;
}
