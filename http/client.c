// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "http/exchange.h"
#include "sched/ctx.h"

bool http_client(http_request *request, tina_address *address) {
    const http_peer *peer = request->peer;
    if (!peer->told)
        return tina_socket_peer_address(request->ctx, peer->fd, address) == 0;
    memset(address, 0, sizeof *address);
    address->family = peer->family;
    address->port = peer->port;
    memcpy(address->ip, peer->ip, sizeof peer->ip);
    return true;
}
