// SPDX-License-Identifier: Apache-2.0

#include "reactor/scripted_net.h"

#include <errno.h>
#include <string.h>

#include "core/assert.h"

static net_socket *socket_at(scripted_net *net, int32_t socket) {
    TINA_ASSERT(socket >= 0 && socket < net->socket_count);
    TINA_ASSERT(net->sockets[socket].role != NET_FREE);
    return &net->sockets[socket];
}

void tina_net_init(scripted_net *net, net_socket *sockets, int32_t socket_count, uint8_t *bytes,
                   uint32_t pipe_bytes) {
    *net = (scripted_net){sockets, socket_count, pipe_bytes, 49152};
    for (int32_t i = 0; i < socket_count; i++) {
        sockets[i] = (net_socket){.bytes = bytes + (size_t)i * pipe_bytes};
    }
}

int32_t tina_net_socket(scripted_net *net, tina_socket_kind kind) {
    for (int32_t i = 0; i < net->socket_count; i++) {
        net_socket *s = &net->sockets[i];
        if (s->role == NET_FREE) {
            *s = (net_socket){.other = -1, .queue_head = -1, .bytes = s->bytes};
            s->role = kind == TINA_SOCKET_DATAGRAM ? NET_DATAGRAM : NET_FRESH;
            return i;
        }
    }
    return -EMFILE;
}

static bool address_is_any(const tina_address *address) {
    static const uint8_t any[16];
    return address->family != TINA_ADDRESS_UNIX && memcmp(address->ip, any, sizeof any) == 0;
}

static bool address_reaches(const tina_address *from, const tina_address *bound) {
    if (from->family != bound->family || from->port != bound->port) {
        return false;
    }
    if (from->family == TINA_ADDRESS_UNIX) {
        return from->path_bytes == bound->path_bytes &&
               memcmp(from->path, bound->path, from->path_bytes) == 0;
    }
    return address_is_any(bound) || memcmp(from->ip, bound->ip, sizeof from->ip) == 0;
}

int32_t tina_net_find(const scripted_net *net, net_role role, const tina_address *address) {
    for (int32_t i = 0; i < net->socket_count; i++) {
        const net_socket *s = &net->sockets[i];
        if (s->role == role && address_reaches(address, &s->local)) {
            return i;
        }
    }
    return -1;
}

static uint16_t port_take(scripted_net *net) {
    uint16_t port = net->next_port++;
    net->next_port = net->next_port == 0 ? 49152 : net->next_port;
    return port;
}

void tina_net_bind_any(scripted_net *net, net_socket *s, const tina_address *to) {
    s->local = *to;
    s->local.port = port_take(net);
}

int32_t tina_net_bind(scripted_net *net, int32_t socket, const tina_address *address) {
    net_socket *s = socket_at(net, socket);
    if (s->role != NET_FRESH && (s->role != NET_DATAGRAM || s->local.family != 0)) {
        return -EINVAL;
    }
    net_role rival = s->role == NET_DATAGRAM ? NET_DATAGRAM : NET_LISTENER;
    bool chosen = address->family == TINA_ADDRESS_UNIX || address->port != 0;
    if (chosen && tina_net_find(net, rival, address) >= 0) {
        return -EADDRINUSE;
    }
    s->local = *address;
    s->local.port = chosen ? address->port : port_take(net);
    return 0;
}

int32_t tina_net_listen(scripted_net *net, int32_t socket, uint32_t backlog) {
    net_socket *s = socket_at(net, socket);
    if (s->role != NET_FRESH) {
        return -EINVAL;
    }
    s->role = NET_LISTENER;
    s->backlog = backlog != 0 ? backlog : 1;
    return 0;
}

static void queue_append(scripted_net *net, net_socket *listener, int32_t socket) {
    int32_t *link = &listener->queue_head;
    while (*link >= 0) {
        link = &net->sockets[*link].queue_next;
    }
    *link = socket;
    net->sockets[socket].queue_next = -1;
    listener->queue_count++;
}

int32_t tina_net_connect(scripted_net *net, int32_t socket, const tina_address *address) {
    net_socket *s = socket_at(net, socket);
    if (s->role == NET_DATAGRAM) {
        s->remote = *address;
        return 0;
    }
    if (s->role != NET_FRESH) {
        return s->role == NET_STREAM ? -EISCONN : -EINVAL;
    }
    int32_t listener = tina_net_find(net, NET_LISTENER, address);
    if (listener < 0) {
        return -ECONNREFUSED;
    }
    if (net->sockets[listener].queue_count >= net->sockets[listener].backlog) {
        return -EAGAIN;
    }
    int32_t far = tina_net_socket(net, TINA_SOCKET_STREAM);
    if (far < 0) {
        return -EAGAIN;
    }
    if (s->local.family == TINA_ADDRESS_NONE) {
        tina_net_bind_any(net, s, address);
    }
    s->role = NET_STREAM;
    s->other = far;
    s->remote = *address;
    net_socket *f = &net->sockets[far];
    f->role = NET_STREAM;
    f->other = socket;
    f->local = *address;
    f->remote = s->local;
    queue_append(net, &net->sockets[listener], far);
    return 0;
}

int32_t tina_net_accept(scripted_net *net, int32_t listener) {
    net_socket *s = socket_at(net, listener);
    if (s->role != NET_LISTENER) {
        return -EINVAL;
    }
    int32_t first = s->queue_head;
    if (first < 0) {
        return -EAGAIN;
    }
    s->queue_head = net->sockets[first].queue_next;
    s->queue_count--;
    return first;
}

static int32_t reset_tell(net_socket *s, int32_t otherwise) {
    int32_t result = s->reset ? -ECONNRESET : otherwise;
    s->reset = false;
    return result;
}

int32_t tina_net_recv(scripted_net *net, int32_t socket, void *data, uint32_t bytes) {
    net_socket *s = socket_at(net, socket);
    uint8_t *to = data;
    tina_address from;
    bool cut;
    if (s->role == NET_DATAGRAM) {
        return tina_net_recvfrom(net, socket, data, bytes, &from, &cut);
    }
    if (s->role != NET_STREAM) {
        return -ENOTCONN;
    }
    if (s->used == 0) {
        return s->end ? reset_tell(s, 0) : -EAGAIN;
    }
    uint32_t count = bytes < s->used ? bytes : s->used;
    for (uint32_t i = 0; i < count; i++) {
        to[i] = s->bytes[(s->first + i) % net->pipe_bytes];
    }
    s->first = (s->first + count) % net->pipe_bytes;
    s->used -= count;
    return (int32_t)count;
}

int32_t tina_net_send(scripted_net *net, int32_t socket, const void *data, uint32_t bytes) {
    net_socket *s = socket_at(net, socket);
    const uint8_t *from = data;
    if (s->role == NET_DATAGRAM) {
        return tina_net_sendto(net, socket, data, bytes, NULL);
    }
    if (s->role != NET_STREAM || s->other < 0 || s->shut) {
        return reset_tell(s, -EPIPE);
    }
    net_socket *far = &net->sockets[s->other];
    uint32_t room = net->pipe_bytes - far->used;
    uint32_t count = bytes < room ? bytes : room;
    if (count == 0) {
        return -EAGAIN;
    }
    for (uint32_t i = 0; i < count; i++) {
        far->bytes[(far->first + far->used + i) % net->pipe_bytes] = from[i];
    }
    far->used += count;
    return (int32_t)count;
}

static uint32_t stream_poll(const scripted_net *net, const net_socket *s) {
    bool gone = s->other < 0;
    bool room = !gone && net->sockets[s->other].used < net->pipe_bytes;
    uint32_t ready = s->used > 0 || s->end ? TINA_POLL_READ : 0;
    ready |= room || gone || s->shut ? TINA_POLL_WRITE : 0;
    ready |= s->end && (s->shut || gone) ? TINA_POLL_HANG_UP : 0;
    return ready | (s->reset ? TINA_POLL_ERROR : 0);
}

int32_t tina_net_poll(const scripted_net *net, int32_t socket, uint32_t what) {
    const net_socket *s = &net->sockets[socket];
    uint32_t ready = 0;
    switch ((net_role)s->role) {
    case NET_LISTENER:
        ready = s->queue_head >= 0 ? TINA_POLL_READ : 0;
        break;
    case NET_STREAM:
        ready = stream_poll(net, s);
        break;
    case NET_DATAGRAM:
        ready = TINA_POLL_WRITE | (s->used > 0 ? TINA_POLL_READ : 0);
        break;
    case NET_FRESH:
        ready = TINA_POLL_WRITE | TINA_POLL_HANG_UP;
        break;
    case NET_FREE:
        break;
    }
    return (int32_t)(ready & (what | TINA_POLL_HANG_UP | TINA_POLL_ERROR));
}

int32_t tina_net_shutdown(scripted_net *net, int32_t socket, tina_shutdown_side side) {
    net_socket *s = socket_at(net, socket);
    if (s->role != NET_STREAM) {
        return -ENOTCONN;
    }
    if (side != TINA_SHUTDOWN_WRITE) {
        s->end = true;
    }
    if (side != TINA_SHUTDOWN_READ) {
        s->shut = true;
        if (s->other >= 0) {
            net->sockets[s->other].end = true;
        }
    }
    return 0;
}

// Bytes that nobody read make it a reset (RFC 1122, 4.2.2.13), and so does SO_LINGER 0.
void tina_net_close(scripted_net *net, int32_t socket) {
    net_socket *s = socket_at(net, socket);
    if (s->role == NET_LISTENER) {
        for (int32_t i = s->queue_head, next; i >= 0; i = next) {
            next = net->sockets[i].queue_next;
            net->sockets[i].hard = true;
            tina_net_close(net, i);
        }
    } else if (s->role == NET_STREAM && s->other >= 0) {
        net_socket *far = &net->sockets[s->other];
        far->end = true;
        far->reset = s->hard || s->used > 0;
        far->other = -1;
    }
    s->role = NET_FREE;
}
