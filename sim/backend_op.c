// SPDX-License-Identifier: Apache-2.0
//
// What each kind of op does in a simulated world.

#include <errno.h>
#include <string.h>

#include "arena/poison.h"
#include "sim/backend_state.h"

void sim_op_close(sim_backend *b, int os_fd) {
    if (!sim_backend_is_file(os_fd))
        sim_net_shut(b->net, os_fd);
    else
        b->options.disk_calls->close_fd(b->options.disk, os_fd);
}

static int32_t or_waits(int32_t result) {
    return result == -EAGAIN ? SIM_OP_WAITS : result;
}

// Nothing would tell of the end of a full backlog at a Unix path, so that is a result.
static int32_t connect_try(sim_backend *b, const tina_backend_op *op) {
    int32_t result = sim_net_connect(b->net, op->os_fd, op->data);
    return result == -EINPROGRESS || result == -EALREADY ? SIM_OP_WAITS : result;
}

static int32_t socket_fill(sim_backend *b, const tina_backend_op *op, void *to) {
    if (op->kind != TINA_OP_RECVFROM)
        return sim_net_recv(b->net, op->os_fd, to, op->bytes);
    sim_sender *sender = &b->senders[op->place];
    return sim_net_recvfrom(b->net, op->os_fd, to, op->bytes, &sender->address, &sender->cut);
}

typedef int32_t (*fill_call)(sim_backend *b, const tina_backend_op *op, void *to);

static int32_t buffer_fill(sim_backend *b, const tina_backend_op *op, fill_call fill,
                           uint16_t *buffer) {
    if (b->lent_count == 0)
        return -ENOBUFS;
    TINA_ASSERT(op->bytes <= b->buffers.bytes);
    uint16_t taken = b->lent[b->lent_count - 1];
    uint8_t *to = b->buffers.base + (size_t)taken * b->buffers.bytes;
    tina_unpoison(to, b->buffers.bytes);
    int32_t result = fill(b, op, to);
    tina_poison(to, b->buffers.bytes);
    if (result > 0) {
        b->lent_count--;
        *buffer = taken;
    }
    return result;
}

static int32_t receive_try(sim_backend *b, const tina_backend_op *op, uint16_t *buffer) {
    uint8_t none;
    tina_backend_op nothing = *op;
    nothing.bytes = 0;
    if (!sim_net_has_data(b->net, op->os_fd))
        return or_waits(socket_fill(b, &nothing, &none));
    if (sim_strikes(b->world, &b->stream, b->world->settings.io_no_buffer_ppm))
        return -ENOBUFS;
    return or_waits(buffer_fill(b, op, socket_fill, buffer));
}

// A kernel may take less than it was given room for.
static uint32_t send_bytes(sim_backend *b, const tina_backend_op *op) {
    bool some = sim_strikes(b->world, &b->stream, b->world->settings.net_split_ppm);
    return some && op->bytes > 0 ? 1 + (uint32_t)sim_detail(&b->stream, 0, op->bytes) : op->bytes;
}

static int32_t send_try(sim_backend *b, const tina_backend_op *op) {
    uint32_t bytes = sim_net_is_stream(b->net, op->os_fd) ? send_bytes(b, op) : op->bytes;
    int32_t result = sim_net_send(b->net, op->os_fd, op->data, bytes);
    return (op->flags & TINA_IO_AT_ONCE) != 0 ? result : or_waits(result);
}

// A Unix receiver whose queue is full is nothing to wait for.
static int32_t sendto_try(sim_backend *b, const tina_backend_op *op) {
    return sim_net_sendto(b->net, op->os_fd, op->data, op->bytes, op->address);
}

static int32_t poll_try(sim_backend *b, const tina_backend_op *op) {
    if (sim_backend_is_file(op->os_fd))
        return op->how; // a file never waits, poll(2)
    uint32_t ready = sim_net_poll(b->net, op->os_fd, op->how);
    return ready ? (int32_t)ready : SIM_OP_WAITS;
}

static int32_t unlink_try(sim_backend *b, const tina_backend_op *op) {
    tina_address address = {.family = TINA_ADDRESS_UNIX};
    size_t bytes = strlen(op->data);
    if (bytes > TINA_UNIX_PATH_BYTES_MAX)
        return -ENOSYS;
    address.path_bytes = (uint8_t)bytes;
    memcpy(address.path, op->data, bytes);
    return sim_net_unlink(b->net, &address) ? 0 : -ENOSYS;
}

static bool wants_socket(uint8_t kind) {
    return kind == TINA_OP_ACCEPT || kind == TINA_OP_CONNECT || kind == TINA_OP_RECV ||
           kind == TINA_OP_RECVFROM || kind == TINA_OP_SEND || kind == TINA_OP_SENDTO;
}

int32_t sim_op_try(sim_backend *b, const tina_backend_op *op, uint16_t *buffer) {
    if (wants_socket(op->kind) && sim_backend_is_file(op->os_fd))
        return -ENOTSOCK;
    switch (op->kind) {
    case TINA_OP_ACCEPT:
        return or_waits(sim_net_accept(b->net, op->os_fd));
    case TINA_OP_CONNECT:
        return connect_try(b, op);
    case TINA_OP_RECV:
    case TINA_OP_RECVFROM:
    case TINA_OP_READ:
        return receive_try(b, op, buffer);
    case TINA_OP_SEND:
    case TINA_OP_WRITE:
        return send_try(b, op);
    case TINA_OP_SENDTO:
        return sendto_try(b, op);
    case TINA_OP_POLL:
        return poll_try(b, op);
    case TINA_OP_CLOSE:
        sim_op_close(b, op->os_fd);
        return 0;
    case TINA_OP_FSYNC:
        return -EINVAL; // fsync(2): a socket
    case TINA_OP_STAT:
        if (op->os_fd < 0)
            return -ENOSYS;
        b->stats[op->place] = (tina_file_stat){.kind = TINA_FILE_OTHER};
        return 0;
    case TINA_OP_UNLINK:
        return unlink_try(b, op);
    case TINA_OP_OPEN:
    case TINA_OP_RENAME:
        return -ENOSYS;
    default:
        tina_assert_failed("an unknown op was staged", __FILE__, __LINE__);
    }
}

static int32_t disk_run(sim_backend *b, const tina_backend_op *op, void *to) {
    tina_file_stat *stat = op->kind == TINA_OP_STAT ? &b->stats[op->place] : NULL;
    return b->options.disk_calls->run(b->options.disk, op, to, to ? op->bytes : 0, stat);
}

int32_t sim_op_run(sim_backend *b, const tina_backend_op *op, uint16_t *buffer) {
    if (op->kind == TINA_OP_READ)
        return buffer_fill(b, op, disk_run, buffer);
    return disk_run(b, op, NULL);
}
