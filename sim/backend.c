// SPDX-License-Identifier: Apache-2.0

#include "sim/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"
#include "sim/backend_state.h"

// The reactor's memory holds no more than this, as the agenda may outlive the reactor.
typedef struct backend_self {
    sim_backend *backend;
} backend_self;

static sim_backend *backend_of(void *self) {
    return ((backend_self *)self)->backend;
}

static void ready_tell(sim_backend *b) {
    if (b->options.ready)
        b->options.ready(b->options.where, b->options.shard);
}

static void result_push(sim_backend *b, const tina_backend_result *result) {
    if (b->result_count == b->result_capacity) {
        uint32_t capacity = b->result_capacity ? 2 * b->result_capacity : 64;
        tina_backend_result *grown = calloc(capacity, sizeof *grown);
        TINA_ASSERT(grown != NULL);
        for (uint32_t i = 0; i < b->result_count; i++)
            grown[i] = b->results[(b->result_first + i) & (b->result_capacity - 1)];
        free(b->results);
        b->results = grown;
        b->result_first = 0;
        b->result_capacity = capacity;
    }
    b->results[(b->result_first + b->result_count++) & (b->result_capacity - 1)] = *result;
}

static uint32_t *row_first(sim_backend *b, uint64_t key) {
    uint32_t row = (uint32_t)key;
    TINA_ASSERT(row != 0 && row <= b->op_count);
    return &b->rows[row];
}

// Returns 0 when no op has that key.
static uint32_t slot_find(sim_backend *b, uint64_t key) {
    uint32_t slot = *row_first(b, key);
    while (slot != 0 && b->ops[slot].op.key != key)
        slot = b->ops[slot].next;
    return slot;
}

static uint32_t slot_take(sim_backend *b, const tina_backend_op *staged) {
    TINA_ASSERT(slot_find(b, staged->key) == 0);
    if (b->slot_free == 0 && b->slot_count + 1 >= b->slot_capacity) {
        uint32_t capacity = b->slot_capacity ? 2 * b->slot_capacity : 64;
        b->ops = realloc(b->ops, capacity * sizeof *b->ops);
        TINA_ASSERT(b->ops != NULL);
        memset(b->ops + b->slot_capacity, 0, (capacity - b->slot_capacity) * sizeof *b->ops);
        b->slot_capacity = capacity;
    }
    uint32_t slot = b->slot_free ? b->slot_free : ++b->slot_count;
    sim_op *op = &b->ops[slot];
    uint32_t *first = row_first(b, staged->key);
    if (b->slot_free)
        b->slot_free = op->next;
    TINA_ASSERT(op->state == SIM_OP_FREE);
    *op = (sim_op){.op = *staged, .number = op->number + 1, .next = *first};
    *first = slot;
    return slot;
}

static void slot_give(sim_backend *b, uint32_t slot) {
    sim_op *op = &b->ops[slot];
    uint32_t *at = row_first(b, op->op.key);
    TINA_ASSERT(op->state == SIM_OP_ENDED);
    while (*at != slot)
        at = &b->ops[*at].next;
    *at = op->next;
    op->next = b->slot_free;
    op->state = SIM_OP_FREE;
    b->slot_free = slot;
}

static void due_deliver(sim_backend *b, uint32_t index) {
    sim_due *due = &b->due[index];
    tina_backend_result result = due->result;
    due->used = false;
    due->next = b->due_free;
    b->due_free = index + 1;
    if ((result.flags & TINA_IO_MORE) == 0)
        slot_give(b, due->slot);
    sim_note(b->world, SIM_OP_DONE, b->options.shard, (uint32_t)result.result, result.key);
    result_push(b, &result);
    ready_tell(b);
}

static void due_arrive(void *what, uint64_t word) {
    sim_backend *b = what;
    uint32_t index = (uint32_t)word;
    if (!b->closed && b->due[index].used && (uint32_t)b->due[index].order == word >> 32)
        due_deliver(b, index);
}

static uint32_t due_take(sim_backend *b) {
    if (b->due_free) {
        uint32_t index = b->due_free - 1;
        b->due_free = b->due[index].next;
        return index;
    }
    if (b->due_count == b->due_capacity) {
        b->due_capacity = b->due_capacity ? 2 * b->due_capacity : 64;
        b->due = realloc(b->due, b->due_capacity * sizeof *b->due);
        TINA_ASSERT(b->due != NULL);
    }
    return b->due_count++;
}

// Results come in the order in which they came about, but for those that overtake; one op's always
// do.
static void result_plan(sim_backend *b, uint32_t slot, int32_t result, uint16_t buffer,
                        uint8_t flags) {
    sim_op *op = &b->ops[slot];
    const tina_sim_settings *settings = &b->world->settings;
    uint64_t at_ns = b->world->now_ns + 1;
    at_ns += sim_draw_upto(&b->stream, settings->io_ns);
    bool overtakes = sim_strikes(b->world, &b->stream, settings->io_reorder_ppm);
    if (!overtakes && at_ns < b->last_ns)
        at_ns = b->last_ns;
    if (at_ns < op->last_ns)
        at_ns = op->last_ns;
    if (!overtakes)
        b->last_ns = at_ns;
    op->last_ns = at_ns;
    uint32_t index = due_take(b);
    b->due[index] = (sim_due){
        .result = {op->op.key, result, buffer, flags, 0},
        .at_ns = at_ns,
        .order = b->due_ever++,
        .slot = slot,
        .used = true,
    };
    sim_agenda_at(&b->world->agenda, at_ns, due_arrive, b,
                  (uint64_t)(uint32_t)b->due[index].order << 32 | index);
}

static void op_end(sim_backend *b, uint32_t slot, int32_t result, uint16_t buffer) {
    b->ops[slot].state = SIM_OP_ENDED;
    b->ops[slot].number++;
    result_plan(b, slot, result, buffer, 0);
}

static bool stays(sim_backend *b, const sim_op *op, int32_t result) {
    bool good = op->op.kind == TINA_OP_ACCEPT ? result >= 0 : result > 0;
    return (op->op.flags & TINA_IO_MULTISHOT) != 0 && good &&
           !sim_strikes(b->world, &b->stream, b->world->settings.io_multishot_end_ppm);
}

// Does what can be done, and returns false when the op waits for its socket.
static bool op_advance(sim_backend *b, uint32_t slot) {
    sim_op *op = &b->ops[slot];
    for (;;) {
        uint16_t buffer = TINA_IO_NO_BUFFER;
        int32_t result = sim_op_try(b, &op->op, &buffer);
        if (result == SIM_OP_WAITS)
            return false;
        if (!stays(b, op, result)) {
            op_end(b, slot, result, buffer);
            return true;
        }
        result_plan(b, slot, result, buffer, TINA_IO_MORE);
    }
}

static sim_parked *parked_on(sim_backend *b, int os_fd) {
    uint32_t fd = (uint32_t)os_fd;
    if (fd >= b->fd_count) {
        uint32_t count = b->fd_count ? b->fd_count : 64;
        while (count <= fd)
            count *= 2;
        b->fds = realloc(b->fds, count * sizeof *b->fds);
        TINA_ASSERT(b->fds != NULL);
        for (uint32_t i = b->fd_count; i < count; i++)
            b->fds[i] = (sim_parked){{0, 0}};
        b->fd_count = count;
    }
    return &b->fds[fd];
}

static void op_unpark(sim_backend *b, uint32_t slot) {
    int os_fd = b->ops[slot].op.os_fd;
    sim_parked *fd = parked_on(b, os_fd);
    uint32_t at = fd->slots[0] == slot ? 0 : 1;
    TINA_ASSERT(fd->slots[at] == slot);
    fd->slots[at] = 0;
    if (fd->slots[0] == 0 && fd->slots[1] == 0)
        sim_net_watch(b->net, os_fd, NULL, NULL);
}

static void socket_changed(void *where, int32_t socket) {
    sim_backend *b = where;
    TINA_ASSERT(!b->closed);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t slot = parked_on(b, socket)->slots[i];
        if (slot != 0 && op_advance(b, slot))
            op_unpark(b, slot);
    }
}

// A socket has one op in flight in each direction, and no other one is told that it has changed.
static void op_park(sim_backend *b, uint32_t slot) {
    int os_fd = b->ops[slot].op.os_fd;
    sim_parked *fd = parked_on(b, os_fd);
    uint32_t at = fd->slots[0] == 0 ? 0 : 1;
    TINA_ASSERT(fd->slots[at] == 0);
    fd->slots[at] = slot;
    b->ops[slot].state = SIM_OP_PARKED;
    sim_net_watch(b->net, os_fd, socket_changed, b);
}

static void work_do(sim_backend *b, uint32_t slot) {
    uint16_t buffer = TINA_IO_NO_BUFFER;
    b->stuck_count -= b->ops[slot].stuck;
    int32_t result = sim_op_run(b, &b->ops[slot].op, &buffer);
    op_end(b, slot, result, buffer);
}

static void work_arrive(void *what, uint64_t word) {
    sim_backend *b = what;
    uint32_t slot = (uint32_t)word;
    if (!b->closed && b->ops[slot].state == SIM_OP_WORKING && b->ops[slot].number == word >> 32)
        work_do(b, slot);
}

static uint64_t slot_word(const sim_backend *b, uint32_t slot) {
    return (uint64_t)b->ops[slot].number << 32 | slot;
}

static void work_begin(sim_backend *b, uint32_t slot) {
    sim_op *op = &b->ops[slot];
    uint64_t delay_ns = b->options.disk_calls->delay_ns(b->options.disk, &op->op);
    if (sim_strikes(b->world, &b->stuck, b->world->settings.disk_stuck_ppm)) {
        delay_ns += sim_detail(&b->stuck, 0, b->world->settings.disk_stuck_ns + 1);
        op->stuck = true;
        b->stuck_count++;
    }
    op->state = SIM_OP_WORKING;
    op->until_ns = b->world->now_ns + delay_ns;
    sim_agenda_at(&b->world->agenda, op->until_ns, work_arrive, b, slot_word(b, slot));
}

static void op_begin(sim_backend *b, const tina_backend_op *staged) {
    uint32_t slot = slot_take(b, staged);
    sim_note(b->world, SIM_OP, b->options.shard, staged->kind, staged->key);
    const sim_disk_calls *disk = b->options.disk_calls;
    if (disk && staged->kind != TINA_OP_CLOSE && disk->takes(staged)) {
        work_begin(b, slot);
        return;
    }
    if (!op_advance(b, slot))
        op_park(b, slot);
}

static void op_stop(sim_backend *b, uint32_t slot) {
    if (b->ops[slot].state == SIM_OP_PARKED)
        op_unpark(b, slot);
    op_end(b, slot, -ECANCELED, TINA_IO_NO_BUFFER);
}

static bool is_stoppable(const sim_op *op) {
    return op->state == SIM_OP_PARKED || (op->state == SIM_OP_WORKING && !op->stuck);
}

static void cancel_arrive(void *what, uint64_t word) {
    sim_backend *b = what;
    uint32_t slot = (uint32_t)word;
    if (!b->closed && b->ops[slot].number == word >> 32 && is_stoppable(&b->ops[slot]))
        op_stop(b, slot);
}

static void op_cancel(sim_backend *b, uint64_t key) {
    uint32_t slot = slot_find(b, key);
    sim_note(b->world, SIM_OP_CANCEL, b->options.shard, 0, key);
    if (slot == 0 || !is_stoppable(&b->ops[slot]))
        return; // what it achieved is on its way
    if (!sim_strikes(b->world, &b->stream, b->world->settings.io_late_cancel_ppm)) {
        op_stop(b, slot);
        return;
    }
    b->ops[slot].canceled = true;
    uint64_t at_ns = b->world->now_ns + 1;
    at_ns += sim_detail(&b->stream, 0, b->world->settings.io_ns + 1);
    sim_agenda_at(&b->world->agenda, at_ns, cancel_arrive, b, slot_word(b, slot));
}

static uint32_t sim_stage(void *self, const tina_backend_op *ops, uint32_t count) {
    sim_backend *b = backend_of(self);
    uint64_t most = b->draining ? UINT64_MAX : b->world->settings.io_stage_max;
    uint32_t taken = 0;
    for (; taken < count && b->staged_count < most; taken++, b->staged_count++) {
        if (ops[taken].kind == TINA_OP_CANCEL)
            op_cancel(b, ops[taken].key);
        else
            op_begin(b, &ops[taken]);
    }
    return taken;
}

static uint32_t sim_reap(void *self, tina_backend_result *results, uint32_t capacity) {
    sim_backend *b = backend_of(self);
    uint32_t count = 0;
    for (; count < capacity && b->result_count > 0; count++, b->result_count--)
        results[count] = b->results[b->result_first++ & (b->result_capacity - 1)];
    return count;
}

static void due_deliver_all(sim_backend *b) {
    for (;;) {
        uint32_t first = UINT32_MAX;
        for (uint32_t i = 0; i < b->due_count; i++) {
            const sim_due *due = &b->due[i];
            if (!due->used)
                continue;
            const sim_due *least = first == UINT32_MAX ? due : &b->due[first];
            if (due->at_ns < least->at_ns ||
                (due->at_ns == least->at_ns && due->order <= least->order))
                first = i;
        }
        if (first == UINT32_MAX)
            return;
        due_deliver(b, first);
    }
}

#define DRAIN_NS UINT64_C(1000000000) // tina_ops_drain's

static void op_drain(sim_backend *b, uint32_t slot) {
    const sim_op *op = &b->ops[slot];
    bool outlasts = op->stuck && op->until_ns > b->world->now_ns + DRAIN_NS;
    if (op->canceled && is_stoppable(op))
        op_stop(b, slot);
    else if (op->state == SIM_OP_WORKING && !outlasts)
        work_do(b, slot);
}

static void drain(sim_backend *b) {
    for (uint32_t row = 1; row <= b->op_count; row++)
        for (uint32_t slot = b->rows[row]; slot != 0; slot = b->ops[slot].next)
            op_drain(b, slot);
    due_deliver_all(b);
}

static int sim_wait(void *self, uint64_t now_ns, uint64_t until_ns) {
    sim_backend *b = backend_of(self);
    bool entered = b->staged_count > 0;
    b->staged_count = 0;
    b->draining = now_ns == 0 && until_ns > 0;
    if (b->draining)
        drain(b);
    bool would_block = until_ns > now_ns && b->result_count == 0 && !b->woken;
    b->woken = false;
    if (b->options.seen) {
        b->options.seen->waits++;
        b->options.seen->until_ns = until_ns;
        b->options.seen->would_block = would_block;
        b->options.seen->stuck = b->stuck_count;
    }
    return entered || would_block;
}

static void sim_wake(void *self) {
    sim_backend *b = backend_of(self);
    b->woken = true;
    ready_tell(b);
}

static void sim_give_buffers(void *self, const uint16_t *buffers, uint32_t count) {
    sim_backend *b = backend_of(self);
    for (uint32_t i = 0; i < count; i++) {
        TINA_ASSERT(b->lent_count < b->buffers.count);
        b->lent[b->lent_count++] = buffers[i];
    }
}

static uint8_t sim_sender_of(void *self, uint32_t place, tina_address *address) {
    const sim_backend *b = backend_of(self);
    *address = b->senders[place].address;
    return b->senders[place].cut ? TINA_IO_TRUNCATED : 0;
}

static void sim_stat(void *self, uint32_t place, tina_file_stat *stat) {
    *stat = backend_of(self)->stats[place];
}

static uint64_t sim_memory_bytes(const tina_reactor_config *config) {
    (void)config;
    return sizeof(backend_self);
}

static void *table(sim_net *net, size_t count, size_t bytes) {
    void *memory = calloc(count + 1, bytes);
    TINA_ASSERT(memory != NULL);
    sim_net_adopt(net, memory, free);
    return memory;
}

static int sim_open(void *self, const tina_reactor_config *config,
                    const tina_backend_buffers *buffers, char *error_text,
                    size_t error_text_bytes) {
    const sim_backend_options *options = config->backend_options;
    if (!options || !options->net) {
        (void)tina_format(error_text, error_text_bytes,
                          "the simulated backend needs its options (sim/backend.h)");
        return -EINVAL;
    }
    sim_backend *b = table(options->net, 1, sizeof *b);
    b->world = sim_net_world(options->net);
    b->net = options->net;
    b->options = *options;
    b->buffers = *buffers;
    b->op_count = config->op_count;
    b->rows = table(b->net, config->op_count, sizeof *b->rows);
    b->senders = table(b->net, config->address_count, sizeof *b->senders);
    b->stats = table(b->net, config->path_count, sizeof *b->stats);
    b->lent = table(b->net, config->buffer_count, sizeof *b->lent);
    b->stream = sim_stream_of(b->world, SIM_DOMAIN_IO, options->life << 16 | options->shard);
    b->stuck = sim_stream_of(b->world, SIM_DOMAIN_STUCK, options->life << 16 | options->shard);
    for (uint32_t buffer = buffers->count; buffer > 0; buffer--)
        b->lent[b->lent_count++] = (uint16_t)(buffer - 1);
    ((backend_self *)self)->backend = b;
    return 0;
}

static void sim_close(void *self) {
    sim_backend *b = backend_of(self);
    b->closed = true;
    for (uint32_t slot = 1; slot <= b->slot_count; slot++)
        if (b->ops[slot].state == SIM_OP_PARKED)
            op_unpark(b, slot);
    free(b->ops);
    free(b->fds);
    free(b->due);
    free(b->results);
    b->ops = NULL;
    b->fds = NULL;
    b->due = NULL;
    b->results = NULL;
}

static int sim_socket(void *self, tina_address_family family, tina_socket_kind kind) {
    return sim_net_socket(backend_of(self)->net, SIM_NET_MACHINE, family, kind);
}

// bind(2): nothing may have that name yet.
static bool path_is_taken(sim_backend *b, const tina_address *address) {
    const sim_disk_calls *disk = b->options.disk_calls;
    if (!disk || address->family != TINA_ADDRESS_UNIX)
        return false;
    char path[TINA_UNIX_PATH_BYTES_MAX + 1] = {0};
    memcpy(path, address->path, address->path_bytes);
    tina_file_stat stat;
    const tina_backend_op op = {.kind = TINA_OP_STAT, .os_fd = -1, .data = path};
    return disk->run(b->options.disk, &op, NULL, 0, &stat) == 0;
}

static int sim_bind(void *self, int os_fd, const tina_address *address) {
    sim_backend *b = backend_of(self);
    if (sim_backend_is_file(os_fd))
        return -ENOTSOCK;
    return path_is_taken(b, address) ? -EADDRINUSE : sim_net_bind(b->net, os_fd, address);
}

static int sim_listen(void *self, int os_fd, uint32_t backlog) {
    return sim_backend_is_file(os_fd) ? -ENOTSOCK
                                      : sim_net_listen(backend_of(self)->net, os_fd, backlog);
}

static int sim_set_option(void *self, int os_fd, tina_socket_option option, int32_t value) {
    return sim_backend_is_file(os_fd)
               ? -ENOTSOCK
               : sim_net_set_option(backend_of(self)->net, os_fd, option, value);
}

static int sim_shutdown(void *self, int os_fd, tina_shutdown_side side) {
    return sim_backend_is_file(os_fd) ? -ENOTSOCK
                                      : sim_net_shutdown(backend_of(self)->net, os_fd, side);
}

static int sim_local_address(void *self, int os_fd, tina_address *address) {
    return sim_backend_is_file(os_fd)
               ? -ENOTSOCK
               : sim_net_local_address(backend_of(self)->net, os_fd, address);
}

static int sim_peer_address(void *self, int os_fd, tina_address *address) {
    return sim_backend_is_file(os_fd) ? -ENOTSOCK
                                      : sim_net_peer_address(backend_of(self)->net, os_fd, address);
}

static void sim_close_now(void *self, int os_fd) {
    sim_op_close(backend_of(self), os_fd);
}

const tina_reactor_backend tina_reactor_sim = {
    .name = "sim",
    .memory_bytes = sim_memory_bytes,
    .open = sim_open,
    .close = sim_close,
    .stage = sim_stage,
    .reap = sim_reap,
    .wait = sim_wait,
    .wake = sim_wake,
    .give_buffers = sim_give_buffers,
    .sender = sim_sender_of,
    .stat = sim_stat,
    .socket = sim_socket,
    .bind = sim_bind,
    .listen = sim_listen,
    .set_option = sim_set_option,
    .shutdown = sim_shutdown,
    .local_address = sim_local_address,
    .peer_address = sim_peer_address,
    .close_now = sim_close_now,
};
