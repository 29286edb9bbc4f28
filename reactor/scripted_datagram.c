// SPDX-License-Identifier: Apache-2.0
//
// Datagrams in the scripted network: each lies in its receiver's ring behind a head that says how
// long it is and who sent it.

#include <errno.h>
#include <string.h>

#include "core/assert.h"
#include "reactor/scripted_net.h"

typedef struct datagram_head {
    uint32_t bytes;
    tina_address from;
} datagram_head;

static void ring_write(const scripted_net *net, net_socket *s, const void *data, uint32_t bytes) {
    uint32_t at = (s->first + s->used) % net->pipe_bytes;
    uint32_t most = net->pipe_bytes - at;
    uint32_t start = bytes < most ? bytes : most;
    memcpy(s->bytes + at, data, start);
    memcpy(s->bytes, (const uint8_t *)data + start, bytes - start);
    s->used += bytes;
}

static void ring_read(const scripted_net *net, net_socket *s, void *data, uint32_t bytes) {
    uint32_t most = net->pipe_bytes - s->first;
    uint32_t start = bytes < most ? bytes : most;
    memcpy(data, s->bytes + s->first, start);
    memcpy((uint8_t *)data + start, s->bytes, bytes - start);
    s->first = (s->first + bytes) % net->pipe_bytes;
    s->used -= bytes;
}

// A datagram to a port that nobody has is lost, and so is one that finds its receiver full; on a
// Unix socket the sender hears of the one and waits for the other.
int32_t tina_net_sendto(scripted_net *net, int32_t socket, const void *data, uint32_t bytes,
                        const tina_address *to) {
    net_socket *s = &net->sockets[socket];
    TINA_ASSERT(s->role == NET_DATAGRAM);
    if (to == NULL) {
        to = &s->remote;
    }
    if (to->family == TINA_ADDRESS_NONE) {
        return -EDESTADDRREQ;
    }
    datagram_head head = {bytes, s->local};
    if (bytes + sizeof head > net->pipe_bytes) {
        return -EMSGSIZE;
    }
    bool is_unix = to->family == TINA_ADDRESS_UNIX;
    if (s->local.family == TINA_ADDRESS_NONE && !is_unix) {
        tina_net_bind_any(net, s, to);
        head.from = s->local;
    }
    int32_t found = tina_net_find(net, NET_DATAGRAM, to);
    if (found < 0) {
        return is_unix ? -ENOENT : (int32_t)bytes;
    }
    net_socket *far = &net->sockets[found];
    if (net->pipe_bytes - far->used < bytes + sizeof head) {
        return is_unix ? -EAGAIN : (int32_t)bytes;
    }
    ring_write(net, far, &head, sizeof head);
    ring_write(net, far, data, bytes);
    return (int32_t)bytes;
}

int32_t tina_net_recvfrom(scripted_net *net, int32_t socket, void *data, uint32_t bytes,
                          tina_address *from, bool *cut) {
    net_socket *s = &net->sockets[socket];
    TINA_ASSERT(s->role == NET_DATAGRAM);
    if (s->used == 0) {
        return -EAGAIN;
    }
    datagram_head head;
    ring_read(net, s, &head, sizeof head);
    uint32_t count = bytes < head.bytes ? bytes : head.bytes;
    ring_read(net, s, data, count);
    s->first = (s->first + head.bytes - count) % net->pipe_bytes;
    s->used -= head.bytes - count;
    *from = head.from;
    *cut = count < head.bytes;
    return (int32_t)count;
}
