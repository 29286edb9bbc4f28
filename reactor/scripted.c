// SPDX-License-Identifier: Apache-2.0

#include "reactor/scripted.h"

#include <errno.h>

#include "core/assert.h"
#include "core/bits.h"
#include "core/format.h"
#include "reactor/scripted_state.h"

// Results with TINA_IO_MORE that may lie here; every op has room for its last one besides.
#define MORE_MAX 64u

static void result_push(tina_scripted *s, const tina_backend_result *result) {
    TINA_ASSERT(s->result_count < s->op_count + MORE_MAX);
    s->results[s->result_count++] = *result;
    s->more_count += result->flags == TINA_IO_MORE;
}

static tina_backend_result result_remove(tina_scripted *s, uint32_t at) {
    tina_backend_result result = s->results[at];
    s->result_count--;
    s->more_count -= result.flags == TINA_IO_MORE;
    for (; at < s->result_count; at++) {
        s->results[at] = s->results[at + 1];
    }
    return result;
}

static bool is_multishot(const scripted_op *pending) {
    return (pending->op.flags & TINA_IO_MULTISHOT) != 0;
}

static bool is_at_once(const scripted_op *pending) {
    return (pending->op.flags & TINA_IO_AT_ONCE) != 0;
}

// Whether an op stays armed after a result.
static bool stays(const tina_scripted *s, const scripted_op *pending, int32_t result) {
    bool good = pending->op.kind == TINA_OP_ACCEPT ? result >= 0 : result > 0;
    uint32_t most = s->controls.multishot_max;
    return is_multishot(pending) && good && s->more_count < MORE_MAX &&
           (most == 0 || pending->results < most);
}

static bool pending_pass(tina_scripted *s) {
    bool moved = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->pending_count; i++) {
        scripted_op *pending = &s->pending[i];
        bool canceled = pending->canceled && !s->controls.late_cancels;
        uint16_t buffer = TINA_IO_NO_BUFFER;
        // What is ready wins over a cancel, but only once.
        int32_t result =
            canceled && is_multishot(pending) ? -EAGAIN : tina_scripted_try(s, pending, &buffer);
        if (result == -EAGAIN && canceled) {
            result = -ECANCELED;
        }
        if (result != -EAGAIN || is_at_once(pending)) {
            moved = true;
            pending->results++;
            uint8_t flags = stays(s, pending, result) ? TINA_IO_MORE : 0;
            tina_backend_result r = {pending->op.key, result, buffer, flags, 0};
            result_push(s, &r);
            if (flags == 0) {
                continue;
            }
        }
        s->pending[kept++] = *pending;
    }
    s->pending_count = kept;
    return moved;
}

static int scripted_wait(void *self, uint64_t now_ns, uint64_t until_ns) {
    tina_scripted *s = self;
    bool entered = s->staged_count > 0;
    s->controls.waits++;
    s->controls.until_ns = until_ns;
    s->staged_count = 0;
    if (s->controls.fail_wait != 0) {
        return -s->controls.fail_wait;
    }
    while (pending_pass(s)) {
    }
    bool ready = s->woken || (s->result_count > 0 && !s->controls.hold);
    s->controls.would_block = until_ns > now_ns && !ready;
    s->woken = false;
    return entered || s->controls.would_block;
}

static bool cancel_mark(tina_scripted *s, uint64_t key) {
    for (uint32_t i = 0; i < s->pending_count; i++) {
        if (s->pending[i].op.key == key) {
            s->pending[i].canceled = true;
            return true;
        }
    }
    return false;
}

static uint32_t scripted_stage(void *self, const tina_backend_op *ops, uint32_t count) {
    tina_scripted *s = self;
    uint32_t taken = 0;
    for (; taken < count && s->staged_count < s->stage_count_max; taken++, s->staged_count++) {
        const tina_backend_op *op = &ops[taken];
        if (op->kind == TINA_OP_CANCEL) {
            (void)cancel_mark(s, op->key); // else it is complete
            continue;
        }
        TINA_ASSERT(op->key != 0 && op->kind < TINA_OP_KIND_COUNT);
        TINA_ASSERT(s->pending_count + s->result_count - s->more_count < s->op_count);
        int32_t *failure = &s->controls.fail_next[op->kind];
        s->pending[s->pending_count++] = (scripted_op){.op = *op, .failure = *failure};
        *failure = 0;
    }
    return taken;
}

static uint32_t scripted_reap(void *self, tina_backend_result *results, uint32_t capacity) {
    tina_scripted *s = self;
    uint32_t count = 0;
    while (count < capacity && s->result_count > 0 && !s->controls.hold) {
        uint32_t at = 0;
        if (s->controls.reverse) {
            uint64_t key = s->results[s->result_count - 1].key;
            while (s->results[at].key != key) {
                at++;
            }
        }
        results[count++] = result_remove(s, at);
    }
    return count;
}

static void scripted_wake(void *self) {
    tina_scripted *s = self;
    s->controls.wakes++;
    s->woken = true;
}

static void scripted_give_buffers(void *self, const uint16_t *buffers, uint32_t count) {
    tina_scripted *s = self;
    for (uint32_t i = 0; i < count; i++) {
        TINA_ASSERT(s->lent_count < s->buffers.count);
        s->lent[s->lent_count++] = buffers[i];
    }
}

static uint8_t scripted_sender_of(void *self, uint32_t place, tina_address *address) {
    const tina_scripted *s = self;
    *address = s->senders[place].address;
    return s->senders[place].cut ? TINA_IO_TRUNCATED : 0;
}

static void scripted_stat(void *self, uint32_t place, tina_file_stat *stat) {
    const tina_scripted *s = self;
    *stat = s->stats[place];
}

// Far ends and connections in backlogs count too.
static uint32_t socket_count_of(const tina_reactor_config *config) {
    return 4 * config->fd_count + 16;
}

static uint32_t pipe_bytes_of(const tina_reactor_config *config) {
    const tina_scripted_options *options = config->backend_options;
    return options != NULL && options->pipe_bytes != 0 ? options->pipe_bytes : 4096;
}

static scripted_files files_of(const tina_reactor_config *config) {
    const tina_scripted_options *options = config->backend_options;
    bool given = options != NULL && options->file_bytes != 0;
    return (scripted_files){
        .file_count = 16,
        .opened_count = (int32_t)config->fd_count + 8,
        .file_bytes_max = given ? options->file_bytes : 16384,
    };
}

static void *carve(uint8_t *base, uint64_t *end, uint64_t bytes) {
    void *part = base == NULL ? NULL : base + *end;
    *end = tina_align_up(*end + bytes, 64);
    return part;
}

// With base NULL, only counts.
static uint64_t scripted_carve(const tina_reactor_config *config, uint8_t *base) {
    uint32_t sockets_max = socket_count_of(config);
    scripted_files files = files_of(config);
    uint64_t end = 0;
    tina_scripted *s = carve(base, &end, sizeof *s);
    net_socket *sockets = carve(base, &end, sockets_max * sizeof *sockets);
    uint8_t *bytes = carve(base, &end, (uint64_t)sockets_max * pipe_bytes_of(config));
    scripted_op *pending = carve(base, &end, config->op_count * sizeof *pending);
    tina_backend_result *results =
        carve(base, &end, ((uint64_t)config->op_count + MORE_MAX) * sizeof *results);
    uint16_t *lent = carve(base, &end, config->buffer_count * sizeof *lent);
    scripted_sender *senders = carve(base, &end, config->address_count * sizeof *senders);
    tina_file_stat *stats = carve(base, &end, config->path_count * sizeof *stats);
    files.files = carve(base, &end, (uint64_t)files.file_count * sizeof *files.files);
    files.opened = carve(base, &end, (uint64_t)files.opened_count * sizeof *files.opened);
    uint8_t *data = carve(base, &end, (uint64_t)files.file_count * files.file_bytes_max);
    if (base != NULL) {
        *s = (tina_scripted){.files = files, .pending = pending, .results = results, .lent = lent};
        s->senders = senders;
        s->stats = stats;
        tina_files_init(&s->files, data);
        tina_net_init(&s->net, sockets, (int32_t)sockets_max, bytes, pipe_bytes_of(config));
    }
    return end;
}

static uint64_t scripted_memory_bytes(const tina_reactor_config *config) {
    return scripted_carve(config, NULL);
}

static int scripted_open(void *self, const tina_reactor_config *config,
                         const tina_backend_buffers *buffers, char *error_text,
                         size_t error_text_bytes) {
    const tina_scripted_options *options = config->backend_options;
    tina_scripted *s = self;
    if (options == NULL || options->scripted == NULL) {
        (void)tina_format(error_text, error_text_bytes,
                          "the scripted backend needs its options (reactor/scripted.h)");
        return -EINVAL;
    }
    (void)scripted_carve(config, self);
    s->buffers = *buffers;
    s->op_count = config->op_count;
    s->stage_count_max = options->stage_count_max != 0 ? options->stage_count_max : UINT32_MAX;
    for (uint32_t buffer = buffers->count; buffer > 0; buffer--) {
        s->lent[s->lent_count++] = (uint16_t)(buffer - 1);
    }
    *options->scripted = s;
    return 0;
}

static void scripted_close(void *self) {
    (void)self;
}

static int scripted_socket(void *self, tina_address_family family, tina_socket_kind kind) {
    (void)family;
    tina_scripted *s = self;
    return tina_net_socket(&s->net, kind);
}

static int scripted_bind(void *self, int os_fd, const tina_address *address) {
    tina_scripted *s = self;
    if (tina_scripted_file_of(s, os_fd) >= 0) {
        return -ENOTSOCK;
    }
    return tina_net_bind(&s->net, os_fd, address);
}

static int scripted_listen(void *self, int os_fd, uint32_t backlog) {
    tina_scripted *s = self;
    if (tina_scripted_file_of(s, os_fd) >= 0) {
        return -ENOTSOCK;
    }
    return tina_net_listen(&s->net, os_fd, backlog);
}

static int scripted_set_option(void *self, int os_fd, tina_socket_option option, int32_t value) {
    tina_scripted *s = self;
    if (tina_scripted_file_of(s, os_fd) >= 0) {
        return -ENOTSOCK;
    }
    if (option == TINA_OPTION_LINGER) {
        s->net.sockets[os_fd].hard = value == 0;
    }
    return 0;
}

static int scripted_shutdown(void *self, int os_fd, tina_shutdown_side side) {
    tina_scripted *s = self;
    if (tina_scripted_file_of(s, os_fd) >= 0) {
        return -ENOTSOCK;
    }
    return tina_net_shutdown(&s->net, os_fd, side);
}

static int scripted_local_address(void *self, int os_fd, tina_address *address) {
    const tina_scripted *s = self;
    if (tina_scripted_file_of(s, os_fd) >= 0) {
        return -ENOTSOCK;
    }
    *address = s->net.sockets[os_fd].local;
    return 0;
}

static int scripted_peer_address(void *self, int os_fd, tina_address *address) {
    const tina_scripted *s = self;
    if (tina_scripted_file_of(s, os_fd) >= 0) {
        return -ENOTSOCK;
    }
    *address = s->net.sockets[os_fd].remote;
    return s->net.sockets[os_fd].role == NET_STREAM ? 0 : -ENOTCONN;
}

static void scripted_close_now(void *self, int os_fd) {
    tina_scripted_close_os_fd(self, os_fd);
}

const tina_reactor_backend tina_reactor_scripted = {
    .name = "scripted",
    .memory_bytes = scripted_memory_bytes,
    .open = scripted_open,
    .close = scripted_close,
    .stage = scripted_stage,
    .reap = scripted_reap,
    .wait = scripted_wait,
    .wake = scripted_wake,
    .give_buffers = scripted_give_buffers,
    .sender = scripted_sender_of,
    .stat = scripted_stat,
    .socket = scripted_socket,
    .bind = scripted_bind,
    .listen = scripted_listen,
    .set_option = scripted_set_option,
    .shutdown = scripted_shutdown,
    .local_address = scripted_local_address,
    .peer_address = scripted_peer_address,
    .close_now = scripted_close_now,
};

tina_scripted_controls *tina_scripted_control(tina_scripted *s) {
    return &s->controls;
}

tina_scripted_peer tina_scripted_connect(tina_scripted *s, const tina_address *address) {
    tina_scripted_peer peer = {tina_net_socket(&s->net, TINA_SOCKET_STREAM)};
    if (peer.socket >= 0 && tina_net_connect(&s->net, peer.socket, address) < 0) {
        tina_net_close(&s->net, peer.socket);
        peer.socket = -1;
    }
    return peer;
}

tina_scripted_peer tina_scripted_listen(tina_scripted *s, tina_address *address) {
    tina_scripted_peer peer = {tina_net_socket(&s->net, TINA_SOCKET_STREAM)};
    TINA_ASSERT(peer.socket >= 0);
    if (tina_net_bind(&s->net, peer.socket, address) < 0) {
        tina_net_close(&s->net, peer.socket);
        peer.socket = -1;
        return peer;
    }
    (void)tina_net_listen(&s->net, peer.socket, UINT32_MAX);
    *address = s->net.sockets[peer.socket].local;
    return peer;
}

tina_scripted_peer tina_scripted_accept(tina_scripted *s, tina_scripted_peer listener) {
    tina_scripted_peer peer = {tina_net_accept(&s->net, listener.socket)};
    return peer;
}

int32_t tina_scripted_peer_send(tina_scripted *s, tina_scripted_peer peer, const void *data,
                                uint32_t bytes) {
    return tina_net_send(&s->net, peer.socket, data, bytes);
}

int32_t tina_scripted_peer_recv(tina_scripted *s, tina_scripted_peer peer, void *data,
                                uint32_t bytes) {
    return tina_net_recv(&s->net, peer.socket, data, bytes);
}

void tina_scripted_peer_shutdown(tina_scripted *s, tina_scripted_peer peer) {
    (void)tina_net_shutdown(&s->net, peer.socket, TINA_SHUTDOWN_WRITE);
}

void tina_scripted_peer_close(tina_scripted *s, tina_scripted_peer peer) {
    tina_net_close(&s->net, peer.socket);
}

void tina_scripted_peer_reset(tina_scripted *s, tina_scripted_peer peer) {
    s->net.sockets[peer.socket].hard = true;
    tina_net_close(&s->net, peer.socket);
}

tina_scripted_peer tina_scripted_bind(tina_scripted *s, tina_address *address) {
    tina_scripted_peer peer = {tina_net_socket(&s->net, TINA_SOCKET_DATAGRAM)};
    TINA_ASSERT(peer.socket >= 0);
    TINA_ASSERT(tina_net_bind(&s->net, peer.socket, address) == 0);
    *address = s->net.sockets[peer.socket].local;
    return peer;
}

int32_t tina_scripted_peer_sendto(tina_scripted *s, tina_scripted_peer peer, const void *data,
                                  uint32_t bytes, const tina_address *to) {
    return tina_net_sendto(&s->net, peer.socket, data, bytes, to);
}

int32_t tina_scripted_peer_recvfrom(tina_scripted *s, tina_scripted_peer peer, void *data,
                                    uint32_t bytes, tina_address *from) {
    bool cut;
    return tina_net_recvfrom(&s->net, peer.socket, data, bytes, from, &cut);
}

uint32_t tina_scripted_sockets(const tina_scripted *s) {
    uint32_t count = 0;
    for (int32_t i = 0; i < s->net.socket_count; i++) {
        count += s->net.sockets[i].role != NET_FREE;
    }
    return count;
}
