// SPDX-License-Identifier: Apache-2.0
#include "http/shard.h"

#include "core/assert.h"
#include "core/bits.h"
#include "sched/ctx.h"

typedef struct shard_layout {
    uint64_t router_at;
    uint64_t holders_at;
    uint64_t context_free_at;
    uint64_t room_free_at;
    uint64_t slots_at;
    uint64_t contexts_at;
    uint64_t context_stride;
    uint64_t log_at;
    uint64_t rooms_at;
    uint64_t room_stride;
    uint64_t bytes;
} shard_layout;

static shard_layout layout_of(const http_program *program);
static uint64_t context_fields_at(void);
static uint64_t context_state_at(const http_server *server);
static uint64_t context_buffer_at(const http_program *program);
static uint64_t context_out_at(const http_program *program);
static http_parser_limits limits_of(const http_server *server);
static http_context *context_at(const http_shard *shard, uint32_t index);
static void context_return(http_shard *shard, uint32_t index);
static void lost_return(http_shard *shard, uint32_t index, tina_ctx *ctx);

http_shard *http_shard_open(tina_ctx *ctx, http_program *program) {
    void *memory = tina_shard_memory(ctx);
    http_shard *shard = memory;
    if (shard->program != NULL)
        return shard;
    const http_server *server = &program->server;
    shard_layout layout = layout_of(program);
    uint8_t *base = memory;
    shard->program = program;
    shard->load = &program->loads[tina_shard_number(ctx)];
    tina_atomic_u32_store_relaxed(&shard->load->live, 0);
    http_router_build(&shard->router, &server->routes, base + layout.router_at);
    for (uint32_t i = 0; i < server->routes.count; i++)
        shard->all_methods |= UINT64_C(1) << server->routes.route[i].method;
    shard->log.half_bytes = server->access_log.buffer_bytes / 2;
    shard->log.halves[0] = base + layout.log_at;
    shard->log.halves[1] = shard->log.halves[0] + shard->log.half_bytes;
    shard->contexts = base + layout.contexts_at;
    shard->context_stride = layout.context_stride;
    shard->holders = (tina_handle *)(base + layout.holders_at);
    shard->context_free = (uint32_t *)(base + layout.context_free_at);
    shard->context_free_count = server->context_count;
    for (uint32_t i = 0; i < server->context_count; i++)
        shard->context_free[i] = server->context_count - 1 - i;
    shard->rooms = base + layout.rooms_at;
    shard->room_stride = layout.room_stride;
    shard->room_free = (uint32_t *)(base + layout.room_free_at);
    shard->room_free_count = server->large_body_count;
    for (uint32_t i = 0; i < server->large_body_count; i++)
        shard->room_free[i] = server->large_body_count - 1 - i;
    shard->slots = (http_connection_slot *)(base + layout.slots_at);
    for (uint32_t i = 0; i < http_connection_slots(server); i++)
        shard->slots[i].context = HTTP_CONTEXT_NONE;
    return shard;
}

void http_ready(tina_ctx *ctx, http_program *program) {
    uint32_t shards = tina_shard_count(ctx);
    uint32_t listeners = http_all_listen(program) ? shards : 1;
    uint32_t bridges = shards > 1 && http_hands_over(program) ? listeners : 0;
    uint32_t before = tina_atomic_u32_fetch_add(&program->ready, 1);
    const http_server *server = &program->server;
    if (before + 1 != listeners + bridges || server->listening == NULL)
        return;
    tina_address address = program->address;
    if (address.port == 0)
        address.port = program->port_chosen;
    server->listening(server->listening_context, &address, tina_backend_name(ctx), shards);
}

uint64_t http_shard_bytes(const http_program *program) {
    return layout_of(program).bytes;
}

static shard_layout layout_of(const http_program *program) {
    const http_server *server = &program->server;
    shard_layout layout;
    uint64_t at = tina_align_up(sizeof(http_shard), 64);
    layout.router_at = at;
    at = tina_align_up(at + http_router_bytes(&server->routes), 64);
    layout.holders_at = at;
    at += (uint64_t)server->context_count * sizeof(tina_handle);
    layout.context_free_at = at;
    at += (uint64_t)server->context_count * sizeof(uint32_t);
    layout.room_free_at = at;
    at += (uint64_t)server->large_body_count * sizeof(uint32_t);
    layout.slots_at = at;
    at = tina_align_up(at + (uint64_t)http_connection_slots(server) * sizeof(http_connection_slot),
                       64);
    layout.log_at = at;
    at = tina_align_up(at + server->access_log.buffer_bytes, 64);
    layout.contexts_at = at;
    layout.context_stride = tina_align_up(context_out_at(program) + server->response_bytes +
                                              HTTP_BATCH_BYTES + HTTP_CONTINUE_BYTES,
                                          64);
    at += server->context_count * layout.context_stride;
    layout.rooms_at = at;
    layout.room_stride = tina_align_up(program->room_bytes, 64);
    layout.bytes = at + server->large_body_count * layout.room_stride;
    return layout;
}

static uint64_t context_fields_at(void) {
    return tina_align_up(sizeof(http_context), 64);
}

static uint64_t context_state_at(const http_server *server) {
    return tina_align_up(context_fields_at() + server->field_count * sizeof(http_field), 64);
}

static uint64_t context_buffer_at(const http_program *program) {
    return tina_align_up(context_state_at(&program->server) + program->state_bytes, 64);
}

static uint64_t context_out_at(const http_program *program) {
    http_parser_limits limits = limits_of(&program->server);
    return tina_align_up(context_buffer_at(program) + http_parser_bytes(&limits), 64);
}

static http_parser_limits limits_of(const http_server *server) {
    return (http_parser_limits){server->target_bytes, server->head_bytes, server->field_count};
}

// One thread writes, so loads and stores are enough.
static void load_tell(http_shard *shard, uint32_t settled) {
    http_load *load = shard->load;
    tina_atomic_u32_store_relaxed(&load->live, shard->counters.connections_in_use);
    if (settled)
        tina_atomic_u32_store_release(&load->settled,
                                      tina_atomic_u32_load_relaxed(&load->settled) + settled);
}

void http_shard_enter(http_shard *shard, uint32_t slot, tina_ctx *ctx) {
    TINA_ASSERT(slot < http_connection_slots(&shard->program->server));
    http_connection_slot *entry = &shard->slots[slot];
    if (entry->context != HTTP_CONTEXT_NONE)
        lost_return(shard, entry->context, ctx);
    entry->context = HTTP_CONTEXT_NONE;
    if (entry->generation == 0)
        shard->counters.connections_in_use++;
    entry->generation = tina_handle_generation(tina_self(ctx));
    shard->connection_type = tina_handle_type(tina_self(ctx));
    shard->counters.connections++;
    load_tell(shard, 1);
}

void http_shard_succeed(http_shard *shard, uint32_t slot, tina_handle successor, tina_ctx *ctx) {
    http_connection_slot *from = &shard->slots[slot];
    http_connection_slot *to = &shard->slots[tina_handle_slot(successor)];
    TINA_ASSERT(from->generation != 0 && from->context != HTTP_CONTEXT_NONE);
    if (to->context != HTTP_CONTEXT_NONE)
        lost_return(shard, to->context, ctx);
    shard->counters.connections_in_use -= to->generation != 0; // of one that crashed
    *to = (http_connection_slot){from->context, tina_handle_generation(successor)};
    shard->holders[to->context] = successor;
    *from = (http_connection_slot){.context = HTTP_CONTEXT_NONE};
    load_tell(shard, 0);
}

http_context *http_shard_context(const http_shard *shard, uint32_t slot) {
    TINA_ASSERT(shard->slots[slot].context != HTTP_CONTEXT_NONE);
    return context_at(shard, shard->slots[slot].context);
}

void http_shard_leave(http_shard *shard, uint32_t slot) {
    http_connection_slot *entry = &shard->slots[slot];
    TINA_ASSERT(entry->generation != 0);
    if (entry->context != HTTP_CONTEXT_NONE)
        http_context_give(shard, slot);
    entry->generation = 0;
    shard->counters.connections_in_use--;
    load_tell(shard, 0);
}

static bool is_calling(const http_shard *shard, uint32_t slot) {
    uint32_t index = shard->slots[slot].context;
    return index != HTTP_CONTEXT_NONE && context_at(shard, index)->phase == HTTP_PHASE_CALLING;
}

void http_shard_tell(const http_shard *shard, uint32_t slot, bool calling, tina_ctx *ctx) {
    uint32_t generation = shard->slots[slot].generation;
    if (generation == 0 || is_calling(shard, slot) != calling)
        return;
    // One that crashed hears nothing any more.
    (void)tina_shutdown_tell(
        ctx, tina_handle_make(tina_shard_number(ctx), shard->connection_type, slot, generation));
}

void http_shard_lose(http_shard *shard, uint32_t count) {
    shard->counters.handovers_lost += count;
    load_tell(shard, count);
}

void http_shard_refuse(http_shard *shard) {
    load_tell(shard, 1);
}

void http_shard_reach(http_shard *shard, uint32_t peer, tina_handle dispatcher) {
    const http_load *load = &shard->program->loads[peer];
    shard->dispatchers[peer] = dispatcher;
    shard->given[peer] = tina_atomic_u32_load_relaxed(&load->settled);
}

// What has settled is read first: who enters in between counts twice rather than not at all. What
// an earlier dispatcher still lets in may have more settled than was given.
uint32_t http_shard_load(const http_shard *shard, uint32_t peer) {
    const http_load *load = &shard->program->loads[peer];
    uint32_t settled = tina_atomic_u32_load_acquire(&load->settled);
    uint32_t live = tina_atomic_u32_load_relaxed(&load->live);
    int32_t coming = load == shard->load ? 0 : (int32_t)(shard->given[peer] - settled);
    return live + (coming > 0 ? (uint32_t)coming : 0);
}

// Of a connection that nobody inherited from, so that its request was not answered.
static void lost_return(http_shard *shard, uint32_t index, tina_ctx *ctx) {
    http_log_request(shard, context_at(shard, index), ctx);
    shard->counters.contexts_lost++;
    context_return(shard, index);
}

// What dead isolates hold. A connection's slot may not be used again for long, and by then those in
// use could have run out of contexts. O(contexts), and only when somebody has crashed since.
static void lost_take(http_shard *shard, tina_ctx *ctx) {
    tina_shard_counters counters;
    (void)tina_counters(ctx, tina_shard_number(ctx), &counters);
    if (counters.crashed == shard->crashes_seen)
        return;
    shard->crashes_seen = counters.crashed;
    for (uint32_t i = 0; i < shard->program->server.context_count; i++) {
        tina_handle holder = shard->holders[i];
        if (tina_handle_is_none(holder) || tina_lives(ctx, holder))
            continue;
        // An heir's is no connection's slot.
        uint32_t slot = tina_handle_slot(holder);
        if (slot < http_connection_slots(&shard->program->server) &&
            shard->slots[slot].context == i)
            shard->slots[slot].context = HTTP_CONTEXT_NONE;
        lost_return(shard, i, ctx);
    }
}

http_context *http_context_take(http_shard *shard, uint32_t slot, tina_ctx *ctx) {
    TINA_ASSERT(shard->slots[slot].context == HTTP_CONTEXT_NONE);
    if (shard->context_free_count == 0)
        lost_take(shard, ctx);
    if (shard->context_free_count == 0) {
        shard->counters.contexts_exhausted++;
        return NULL;
    }
    uint32_t index = shard->context_free[--shard->context_free_count];
    shard->slots[slot].context = index;
    shard->holders[index] = tina_self(ctx);
    shard->counters.contexts_in_use++;
    const http_server *server = &shard->program->server;
    http_context *context = context_at(shard, index);
    uint8_t *base = (uint8_t *)context;
    http_parser_limits limits = limits_of(server);
    http_parser_init(&context->parser, &limits, base + context_buffer_at(shard->program),
                     (http_field *)(base + context_fields_at()));
    context->request.ctx = ctx;
    context->request.peer = &context->peer;
    context->request.groups = &server->route_groups;
    context->request.group_bits = 0;
    context->request.id = NULL;
    context->request.message = NULL;
    context->out = base + context_out_at(shard->program);
    context->out_bytes = 0;
    context->room = 0;
    context->tail = (tina_bytes){NULL, 0};
    context->head_deadline_ns = 0;
    context->body_bytes = 0;
    context->body_waited_ns = 0;
    context->body_awaited_ns = 0;
    context->timer = (tina_timer){0};
    context->phase = HTTP_PHASE_RECEIVING;
    context->opened = false;
    context->handling = false;
    context->response.hooked = false;
    context->admitted = false;
    context->log_due = false;
    context->sent_bytes = 0;
    context->unsent_bytes = 0;
    context->begun = false;
    context->parted = false;
    context->proxy_awaited = false;
    context->woken = false;
    context->told = false;
    context->renewal_due = false;
    context->request.exposed = false;
    context->request.state = base + context_state_at(server);
    return context;
}

void http_context_give(http_shard *shard, uint32_t slot) {
    uint32_t index = shard->slots[slot].context;
    TINA_ASSERT(index != HTTP_CONTEXT_NONE);
    TINA_ASSERT(shard->context_free_count < shard->program->server.context_count);
    shard->slots[slot].context = HTTP_CONTEXT_NONE;
    context_return(shard, index);
}

static void context_return(http_shard *shard, uint32_t index) {
    http_room_give(shard, context_at(shard, index));
    shard->context_free[shard->context_free_count++] = index;
    shard->holders[index] = tina_handle_none();
    shard->counters.contexts_in_use--;
}

uint32_t http_context_inherit(http_shard *shard, tina_handle dead, tina_handle heir) {
    uint32_t slot = tina_handle_slot(dead);
    uint32_t index = shard->slots[slot].context;
    if (index == HTTP_CONTEXT_NONE || shard->holders[index].bits != dead.bits)
        return HTTP_CONTEXT_NONE; // another connection has the slot
    // The handler may have written anywhere in it.
    context_at(shard, index)->out =
        (uint8_t *)context_at(shard, index) + context_out_at(shard->program);
    shard->slots[slot].context = HTTP_CONTEXT_NONE;
    shard->holders[index] = heir;
    return index;
}

// Ops that read from the request's state, or write to it, may be under way: it is then left to the
// slot's next connection, which there cannot be before the last of them is in.
void http_context_bury(http_shard *shard, uint32_t index, tina_handle dead, tina_ctx *ctx) {
    if (tina_lives(ctx, dead)) {
        shard->slots[tina_handle_slot(dead)].context = index;
        shard->holders[index] = dead;
        return;
    }
    shard->counters.contexts_lost++;
    context_return(shard, index);
}

// A call that the runtime refuses to make is a handler's mistake too.
bool http_context_fail(http_context *context) {
    bool handler =
        context->handling || context->response.hooked || context->phase == HTTP_PHASE_CALLING;
    uint32_t before = context->begun ? context->begun_at : context->out_bytes;
    context->unsent_bytes = context->out_bytes;
    if (!handler || context->parted || before > HTTP_BATCH_BYTES + HTTP_CONTINUE_BYTES)
        return false;
    context->out_bytes = before;
    context->sent_bytes = 0;
    context->begun = true;
    context->response.status = 500;
    return true;
}

http_context *http_context_of(const http_shard *shard, uint32_t index) {
    return context_at(shard, index);
}

bool http_room_take(http_shard *shard, http_context *context, tina_ctx *ctx) {
    TINA_ASSERT(context->room == 0);
    if (shard->room_free_count == 0)
        lost_take(shard, ctx);
    if (shard->room_free_count == 0) {
        shard->counters.bodies_exhausted++;
        return false;
    }
    uint32_t index = shard->room_free[--shard->room_free_count];
    context->room = index + 1;
    shard->counters.large_bodies_in_use++;
    http_parser_give_room(&context->parser, shard->rooms + index * shard->room_stride,
                          shard->program->room_bytes);
    return true;
}

void http_room_give(http_shard *shard, http_context *context) {
    if (context->room == 0)
        return;
    shard->room_free[shard->room_free_count++] = context->room - 1;
    context->room = 0;
    shard->counters.large_bodies_in_use--;
}

static http_context *context_at(const http_shard *shard, uint32_t index) {
    return (http_context *)(shard->contexts + index * shard->context_stride);
}
