// SPDX-License-Identifier: Apache-2.0
//
// What each kind of op does in the scripted backend.

#include <errno.h>
#include <string.h>

#include "arena/poison.h"
#include "core/assert.h"
#include "reactor/scripted_state.h"

void tina_scripted_close_os_fd(tina_scripted *s, int os_fd) {
    int32_t file = tina_scripted_file_of(s, os_fd);
    if (file >= 0) {
        tina_files_close(&s->files, file);
    } else {
        tina_net_close(&s->net, os_fd);
    }
}

static uint32_t send_bytes(const tina_scripted *s, const tina_backend_op *op) {
    uint32_t most = s->controls.send_bytes_max;
    return most != 0 && op->bytes > most ? most : op->bytes;
}

static int32_t op_sendto(tina_scripted *s, const tina_backend_op *op) {
    if (s->net.sockets[op->os_fd].role == NET_DATAGRAM) {
        return tina_net_sendto(&s->net, op->os_fd, op->data, op->bytes, op->address);
    }
    return tina_net_send(&s->net, op->os_fd, op->data, op->bytes);
}

static int32_t buffer_fill(tina_scripted *s, const tina_backend_op *op, void *to) {
    scripted_sender *sender;
    int32_t file = tina_scripted_file_of(s, op->os_fd);
    switch (op->kind) {
    case TINA_OP_READ:
        return file >= 0 ? tina_files_read(&s->files, file, op->offset, to, op->bytes)
                         : tina_net_recv(&s->net, op->os_fd, to, op->bytes);
    case TINA_OP_RECVFROM:
        sender = &s->senders[op->place];
        *sender = (scripted_sender){.cut = false};
        if (s->net.sockets[op->os_fd].role != NET_DATAGRAM) {
            return tina_net_recv(&s->net, op->os_fd, to, op->bytes);
        }
        return tina_net_recvfrom(&s->net, op->os_fd, to, op->bytes, &sender->address, &sender->cut);
    default:
        return tina_net_recv(&s->net, op->os_fd, to, op->bytes);
    }
}

// Whether an op needs a buffer to have its result.
static bool has_data(const tina_scripted *s, const tina_backend_op *op) {
    return tina_scripted_file_of(s, op->os_fd) >= 0 || s->net.sockets[op->os_fd].used > 0;
}

static int32_t op_recv(tina_scripted *s, const tina_backend_op *op, uint16_t *buffer) {
    uint8_t none;
    if (tina_scripted_file_of(s, op->os_fd) >= 0 && op->kind != TINA_OP_READ) {
        return -ENOTSOCK;
    }
    if (!has_data(s, op)) {
        return tina_net_recv(&s->net, op->os_fd, &none, 0);
    }
    if (s->lent_count == 0) {
        return -ENOBUFS;
    }
    uint16_t taken = s->lent[s->lent_count - 1];
    uint8_t *to = s->buffers.base + (size_t)taken * s->buffers.bytes;
    tina_unpoison(to, s->buffers.bytes);
    int32_t bytes = buffer_fill(s, op, to);
    tina_poison(to, s->buffers.bytes);
    if (bytes != -EAGAIN) {
        s->lent_count--;
        *buffer = taken;
    }
    return bytes;
}

static int32_t op_open(tina_scripted *s, const tina_backend_op *op) {
    int32_t opened = tina_files_open(&s->files, op->data, op->how, op->bytes);
    return opened < 0 ? opened : s->net.socket_count + opened;
}

static int32_t op_write(tina_scripted *s, const tina_backend_op *op) {
    int32_t file = tina_scripted_file_of(s, op->os_fd);
    uint32_t bytes = send_bytes(s, op);
    return file >= 0 ? tina_files_write(&s->files, file, op->offset, op->data, bytes)
                     : tina_net_send(&s->net, op->os_fd, op->data, bytes);
}

static int32_t op_stat(tina_scripted *s, const tina_backend_op *op) {
    int32_t file = op->os_fd < 0 ? -1 : tina_scripted_file_of(s, op->os_fd);
    if (op->os_fd >= 0 && file < 0) {
        s->stats[op->place] = (tina_file_stat){.kind = TINA_FILE_OTHER};
        return 0;
    }
    return tina_files_stat(&s->files, file, op->data, &s->stats[op->place]);
}

static int32_t op_poll(const tina_scripted *s, const tina_backend_op *op) {
    if (tina_scripted_file_of(s, op->os_fd) >= 0) {
        return op->how; // a file never waits, poll(2)
    }
    int32_t ready = tina_net_poll(&s->net, op->os_fd, op->how);
    return ready != 0 ? ready : -EAGAIN;
}

static int32_t op_rename(tina_scripted *s, const tina_backend_op *op) {
    const char *from = op->data;
    return tina_files_rename(&s->files, from, from + strlen(from) + 1);
}

static bool wants_socket(uint8_t kind) {
    return kind == TINA_OP_ACCEPT || kind == TINA_OP_CONNECT || kind == TINA_OP_SEND ||
           kind == TINA_OP_SENDTO;
}

static int32_t op_do(tina_scripted *s, const tina_backend_op *op, uint16_t *buffer) {
    if (wants_socket(op->kind) && tina_scripted_file_of(s, op->os_fd) >= 0) {
        return -ENOTSOCK;
    }
    switch (op->kind) {
    case TINA_OP_ACCEPT:
        return tina_net_accept(&s->net, op->os_fd);
    case TINA_OP_CONNECT:
        return tina_net_connect(&s->net, op->os_fd, op->data);
    case TINA_OP_RECV:
    case TINA_OP_RECVFROM:
    case TINA_OP_READ:
        return op_recv(s, op, buffer);
    case TINA_OP_SEND:
        return tina_net_send(&s->net, op->os_fd, op->data, send_bytes(s, op));
    case TINA_OP_SENDTO:
        return op_sendto(s, op);
    case TINA_OP_OPEN:
        return op_open(s, op);
    case TINA_OP_WRITE:
        return op_write(s, op);
    case TINA_OP_FSYNC:
        return tina_scripted_file_of(s, op->os_fd) >= 0 ? 0 : -EINVAL;
    case TINA_OP_STAT:
        return op_stat(s, op);
    case TINA_OP_POLL:
        return op_poll(s, op);
    case TINA_OP_RENAME:
        return op_rename(s, op);
    case TINA_OP_UNLINK:
        return tina_files_unlink(&s->files, op->data);
    default:
        tina_assert_failed("an unknown op was staged", __FILE__, __LINE__);
    }
}

int32_t tina_scripted_try(tina_scripted *s, const scripted_op *pending, uint16_t *buffer) {
    const tina_backend_op *op = &pending->op;
    if (op->kind == TINA_OP_CLOSE) {
        tina_scripted_close_os_fd(s, op->os_fd); // gone whatever close answers
        return -pending->failure;
    }
    return pending->failure != 0 ? -pending->failure : op_do(s, op, buffer);
}
