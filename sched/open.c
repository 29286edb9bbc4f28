// SPDX-License-Identifier: Apache-2.0
//
// Carving and building a shard, and taking it down.

#include <string.h>

#include "core/format.h"
#include "sched/channels.h"
#include "sched/internal.h"
#include "sched/layout.h"
#include "sched/links.h"
#include "sched/spec_tree.h"

static uint64_t slots_of(const tina_spec *spec, uint32_t type) {
    return spec->types[type].slot_count ? spec->types[type].slot_count : 1;
}

static uint64_t isolates_of(const tina_spec *spec) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < spec->type_count; i++)
        sum += slots_of(spec, i);
    return sum;
}

static uint64_t index_places(const tina_spec *spec) {
    return tina_round_up_pow2(2 * (uint64_t)spec->type_count + 1);
}

static tina_pool_config struct_pool(const tina_spec *spec, uint32_t type) {
    uint32_t bytes = spec->types[type].type->struct_bytes;
    return (tina_pool_config){
        .slot_count = (uint32_t)slots_of(spec, type),
        .slot_bytes = bytes > TINA_ARGS_BYTES_MAX ? bytes : TINA_ARGS_BYTES_MAX,
        .alignment = 16,
        // Where a write beyond a struct is found by the next check of its slot.
        .red_zone_bytes = TINA_VERIFY_ON ? 64 : 0,
        .generation_bits = TINA_GENERATION_BITS,
    };
}

// Envelopes, timers, monitors and transfer buffers. Retiring them would use up a busy shard: 1,024
// envelopes at 66 M messages a second last 18 hours. A name of one comes again after 2^32 lives of
// it.
static tina_pool_config number_pool(uint64_t count) {
    return (tina_pool_config){.slot_count = (uint32_t)count, .generation_bits = 32, .wraps = true};
}

// Every op may have a deadline, and every isolate's call, besides the timers that isolates set.
static uint64_t timers_of(const tina_spec *spec) {
    return spec->timer_count + spec->op_count + isolates_of(spec);
}

static tina_reactor_config reactor_config(const tina_spec *spec,
                                          const tina_shard_options *options) {
    return (tina_reactor_config){
        .backend = options->backend,
        .backend_options = options->backend_options,
        .shard = options->number,
        .fd_count = spec->fd_count,
        .op_count = spec->op_count,
        .address_count = spec->address_count,
        .path_count = spec->path_count,
        .buffer_count = spec->buffer_count,
        .buffer_bytes = spec->buffer_bytes,
    };
}

// Up to so many shards look at every inlet, which costs less than marking them.
#define POLLED_SHARDS_MAX 8u

static uint64_t occupancy_bytes(uint32_t peers) {
    return peers + 1 > POLLED_SHARDS_MAX ? sizeof(tina_occupancy) : 0;
}

// Monitors that other shards may set on isolates of this one.
static uint64_t monitors_of(const tina_spec *spec, const tina_shard_options *options) {
    tina_channel_sizes links = tina_channels_measure(spec, options);
    return spec->monitor_count + (uint64_t)links.peers * links.credits;
}

// This shard's buffers, and those of every shard, which may be lent to it.
static uint64_t transfer_entries_of(const tina_spec *spec, const tina_shard_options *options) {
    uint64_t tables = options->shard_count > 1 ? (uint64_t)options->shard_count + 1 : 1;
    return spec->transfer_count * tables;
}

static uint64_t returns_of(const tina_spec *spec) {
    return tina_round_up_pow2(spec->transfer_count ? spec->transfer_count : 1);
}

static tina_layout_part type_part(const tina_spec *spec, uint32_t type, uint32_t which) {
    tina_pool_config pool = struct_pool(spec, type);
    uint64_t count = slots_of(spec, type);
    if (which == 0)
        return (tina_layout_part){"generations of", count, tina_pool_metadata_bytes(&pool)};
    if (which == 1)
        return (tina_layout_part){"structs of", count, tina_pool_slots_bytes(&pool)};
    return (tina_layout_part){"working arenas of", count,
                              count * working_stride_of(spec->types[type].type)};
}

uint32_t tina_layout_count(const tina_spec *resolved) {
    return TINA_PART_COUNT + TINA_PARTS_PER_TYPE * resolved->type_count;
}

tina_layout_part tina_layout_part_at(const tina_spec *spec, const tina_shard_options *options,
                                     uint32_t i) {
    if (i >= TINA_PART_COUNT)
        return type_part(spec, (i - TINA_PART_COUNT) / TINA_PARTS_PER_TYPE,
                         (i - TINA_PART_COUNT) % TINA_PARTS_PER_TYPE);
    uint64_t isolates = isolates_of(spec);
    uint64_t timers = timers_of(spec);
    tina_pool_config messages = number_pool(spec->message_count);
    tina_pool_config timer_numbers = number_pool(timers);
    uint64_t monitor_count = monitors_of(spec, options);
    tina_pool_config monitors = number_pool(monitor_count);
    tina_pool_config transfers = number_pool(spec->transfer_count);
    tina_channel_sizes links = tina_channels_measure(spec, options);
    uint64_t shards = links.peers ? links.peers + 1 : 0;
    uint64_t entries = transfer_entries_of(spec, options);
    uint64_t returns = shards * returns_of(spec);
    tina_reactor_config reactor = reactor_config(spec, options);
    tree_size tree = tree_measure(spec);
    const tina_tree_config config = {tree.node_count, tree.group_count, tree.window_count};
    const tina_layout_part parts[TINA_PART_COUNT] = {
        [TINA_PART_SHARD] = {"shard", 1, sizeof(tina_shard)},
        [TINA_PART_TYPES] = {"types", spec->type_count, spec->type_count * sizeof(type_slots)},
        [TINA_PART_TYPE_INDEX] = {"type index", index_places(spec),
                                  index_places(spec) * sizeof(uint16_t)},
        [TINA_PART_ISOLATES] = {"isolates' metadata", isolates, isolates * sizeof(tina_isolate)},
        [TINA_PART_MESSAGE_METADATA] = {"messages' links", spec->message_count,
                                        tina_pool_metadata_bytes(&messages)},
        [TINA_PART_MESSAGES] = {"messages", spec->message_count,
                                spec->message_count * sizeof(tina_message)},
        [TINA_PART_TIMER_METADATA] = {"timers' generations", timers,
                                      tina_pool_metadata_bytes(&timer_numbers)},
        [TINA_PART_TIMERS] = {"timers and deadlines", timers, timers * sizeof(tina_wheel_entry)},
        [TINA_PART_MONITOR_METADATA] = {"monitors' generations", monitor_count,
                                        tina_pool_metadata_bytes(&monitors)},
        [TINA_PART_MONITORS] = {"monitors", monitor_count, monitor_count * sizeof(monitor_entry)},
        [TINA_PART_TRANSFER_METADATA] = {"transfer buffers' generations", spec->transfer_count,
                                         spec->transfer_count ? tina_pool_metadata_bytes(&transfers)
                                                              : 0},
        [TINA_PART_TRANSFER_RECORDS] = {"transfer buffers' owners", entries,
                                        entries * sizeof(transfer_entry)},
        [TINA_PART_TRANSFERS] = {"transfer buffers", spec->transfer_count,
                                 (uint64_t)spec->transfer_count * spec->transfer_bytes},
        [TINA_PART_TREE] = {"supervision tree", tree.node_count, tina_tree_bytes(&config)},
        [TINA_PART_TREE_GROUPS] = {"supervision groups", tree.group_count,
                                   tree.group_count * sizeof(group_entry)},
        [TINA_PART_TREE_RECORDS] = {"children", tree.node_count,
                                    tree.node_count * sizeof(child_record)},
        [TINA_PART_TREE_ARGS] = {"children's args", tree.node_count,
                                 tree.keeps_args ? tree.node_count * sizeof(child_args) : 0},
        [TINA_PART_ISOLATE_NODES] = {"isolates' places in the tree", isolates,
                                     isolates * sizeof(tina_node)},
        [TINA_PART_LINKS] = {"links to shards", shards, shards * sizeof(shard_link)},
        [TINA_PART_INLETS] = {"channels' ends", shards, shards * sizeof(tina_inlet)},
        [TINA_PART_OCCUPANCY] = {"channels' marks", shards, occupancy_bytes(links.peers)},
        [TINA_PART_INLET_MESSAGES] = {"channels' messages", links.message_sum,
                                      links.message_sum * sizeof(tina_message)},
        [TINA_PART_INLET_CONTROL] = {"channels' control", shards * links.control_count,
                                     shards * links.control_count * sizeof(tina_message)},
        [TINA_PART_INLET_RETURNS] = {"channels' returning buffers", returns,
                                     returns * sizeof(uint64_t)},
        [TINA_PART_CREDITS] = {"calls and monitors across shards", shards * links.credits,
                               shards * links.credits * sizeof(credit_entry)},
        [TINA_PART_REQUESTS] = {"those of other shards", shards * links.credits,
                                shards * links.credits * sizeof(request_entry)},
        [TINA_PART_REMOTE_CALLS] = {"messages' callers on other shards",
                                    shards ? spec->message_count : 0,
                                    shards ? spec->message_count * sizeof(remote_call) : 0},
        [TINA_PART_REACTOR] = {"reactor, ops, fds, receive buffers", 1,
                               tina_reactor_bytes(&reactor)},
        [TINA_PART_SCRATCH] = {"scratch", 1, spec->scratch_bytes},
        [TINA_PART_LOG] = {"log", 1, spec->log_bytes},
        [TINA_PART_MEMORY] = {"program's shard memory", 1, spec->shard_memory_bytes},
    };
    return parts[i];
}

uint64_t tina_shard_bytes(const tina_spec *resolved, const tina_shard_options *options) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < tina_layout_count(resolved); i++)
        sum += tina_arena_carve_bytes(tina_layout_part_at(resolved, options, i).bytes);
    return sum;
}

typedef struct shard_carver {
    tina_arena *arena;
    const tina_spec *spec;
    const tina_shard_options *options;
} shard_carver;

static void *carve(const shard_carver *carver, uint32_t part) {
    uint64_t bytes = tina_layout_part_at(carver->spec, carver->options, part).bytes;
    if (bytes == 0)
        return NULL;
    void *memory = tina_arena_carve(carver->arena, bytes);
    // tina_shard_bytes summed the same list.
    TINA_ASSERT(memory != NULL);
    return memory;
}

static void *carve_of_type(const shard_carver *carver, uint32_t type, uint32_t which) {
    return carve(carver, TINA_PART_COUNT + TINA_PARTS_PER_TYPE * type + which);
}

static void types_build(tina_shard *shard, const shard_carver *carver) {
    const tina_spec *spec = carver->spec;
    uint64_t base = 0;
    for (uint32_t i = 0; i < spec->type_count; i++) {
        type_slots *slots = &shard->types[i];
        const tina_isolate_type *type = spec->types[i].type;
        *slots = (type_slots){
            .type = type,
            .init = type->init,
            .handle = type->handle,
            .isolates = shard->isolates + base,
            .slot_count = (uint32_t)slots_of(spec, i),
            .mailbox_max = type->mailbox_max ? type->mailbox_max : 64,
            .batch = type->batch ? type->batch : 16,
            .ops_max = type->ops_max ? type->ops_max : 4,
        };
        tina_pool_config pool = struct_pool(spec, i);
        void *metadata = carve_of_type(carver, i, 0);
        void *structs = carve_of_type(carver, i, 1);
        tina_pool_init(&slots->pool, &pool, metadata, structs);
        slots->working = carve_of_type(carver, i, 2);
        base += slots->slot_count;
    }
    types_index(shard);
}

static void transfers_build(tina_shard *shard, const shard_carver *carver) {
    if (carver->spec->transfer_count == 0)
        return;
    tina_pool_config transfers = number_pool(carver->spec->transfer_count);
    tina_pool_init(&shard->transfer_pool, &transfers, carve(carver, TINA_PART_TRANSFER_METADATA),
                   NULL);
    shard->transfers = carve(carver, TINA_PART_TRANSFER_RECORDS);
    shard->transfer_memory = carve(carver, TINA_PART_TRANSFERS);
    shard->transfer_stride = carver->spec->transfer_bytes;
    shard->transfer_entries = (uint32_t)transfer_entries_of(carver->spec, carver->options);
    for (uint32_t i = 0; i < shard->transfer_entries; i++)
        shard->transfers[i] = (transfer_entry){.owner = NONE};
}

// The memory of rings, from which the inlets take theirs one after the other.
typedef struct inlet_memory {
    tina_message *messages;
    tina_message *control;
    uint64_t *returns;
} inlet_memory;

static void inlet_build(tina_inlet *inlet, inlet_memory *memory, uint32_t message_count,
                        uint32_t control_count, uint32_t return_count) {
    tina_ring_init(&inlet->messages, memory->messages, message_count, sizeof(tina_message), 0);
    tina_ring_init(&inlet->control, memory->control, control_count, sizeof(tina_message), 0);
    tina_ring_init(&inlet->returns, memory->returns, return_count, sizeof(uint64_t), 0);
    memory->messages += message_count;
    memory->control += control_count;
    memory->returns += return_count;
    tina_sleeper_init(&inlet->sleeper);
}

static void links_build(tina_shard *shard, const shard_carver *carver) {
    tina_channel_sizes size = tina_channels_measure(carver->spec, carver->options);
    shard->options = *carver->options;
    if (size.peers == 0)
        return;
    shard->link_count = size.peers + 1;
    shard->link_credits = size.credits;
    uint32_t share = carver->spec->message_count / 2 / size.peers;
    shard->link_share = share > 0 ? share : 1;
    shard->links = carve(carver, TINA_PART_LINKS);
    shard->inlets = carve(carver, TINA_PART_INLETS);
    shard->occupancy = carve(carver, TINA_PART_OCCUPANCY);
    if (shard->occupancy)
        tina_occupancy_init(shard->occupancy, shard->link_count);
    inlet_memory memory;
    memory.messages = carve(carver, TINA_PART_INLET_MESSAGES);
    memory.control = carve(carver, TINA_PART_INLET_CONTROL);
    memory.returns = carve(carver, TINA_PART_INLET_RETURNS);
    credit_entry *credits = carve(carver, TINA_PART_CREDITS);
    request_entry *requests = carve(carver, TINA_PART_REQUESTS);
    shard->remote_calls = carve(carver, TINA_PART_REMOTE_CALLS);
    for (uint32_t i = 0; i < shard->link_count; i++) {
        inlet_build(&shard->inlets[i], &memory,
                    tina_channel_messages(carver->spec, carver->options, &size, i),
                    size.control_count, (uint32_t)returns_of(carver->spec));
        shard->inlets[i].occupancy = shard->occupancy;
        shard->inlets[i].number = i;
        shard->links[i] = (shard_link){
            .credits = credits + (size_t)i * size.credits,
            .requests = requests + (size_t)i * size.credits,
            .peer_life = 1,
        };
    }
}

static void supervision_build(tina_shard *shard, const shard_carver *carver) {
    shard->tree_memory = carve(carver, TINA_PART_TREE);
    shard->groups = carve(carver, TINA_PART_TREE_GROUPS);
    shard->records = carve(carver, TINA_PART_TREE_RECORDS);
    shard->args = carve(carver, TINA_PART_TREE_ARGS);
    shard->nodes = carve(carver, TINA_PART_ISOLATE_NODES);
}

// The parts are carved in the order of the list; the structure of the shard follows it.
static void shard_build(tina_shard *shard, const shard_carver *carver) {
    const tina_spec *spec = carver->spec;
    shard->spec = spec;
    shard->now = carver->options->now;
    shard->number = carver->options->number;
    shard->ctx.shard = shard;
    tina_trap_init(&shard->own_trap, 0, 0);
    shard->ctx.trap = carver->options->trap ? carver->options->trap : &shard->own_trap;
    shard->faults = (fault_log){.symbolise = carver->options->symbolise,
                                .where = carver->options->symbolise_where};
    shard->type_count = spec->type_count;
    shard->isolate_count = (uint32_t)isolates_of(spec);
    shard->timer_count = spec->timer_count;
    shard->sender_share = spec->sender_share;
    shard->tick_batch = spec->tick_batch;
    shard->call_max = spec->call_max;

    shard->types = carve(carver, TINA_PART_TYPES);
    shard->type_index = carve(carver, TINA_PART_TYPE_INDEX);
    shard->type_index_mask = (uint32_t)index_places(spec) - 1;
    shard->isolates = carve(carver, TINA_PART_ISOLATES);

    tina_pool_config messages = number_pool(spec->message_count);
    tina_pool_init(&shard->envelope_pool, &messages, carve(carver, TINA_PART_MESSAGE_METADATA),
                   NULL);
    shard->envelopes = carve(carver, TINA_PART_MESSAGES);
    tina_pool_config timers = number_pool(timers_of(spec));
    tina_pool_init(&shard->timer_pool, &timers, carve(carver, TINA_PART_TIMER_METADATA), NULL);
    shard->timers = carve(carver, TINA_PART_TIMERS);
    tina_pool_config monitors = number_pool(monitors_of(spec, carver->options));
    tina_pool_init(&shard->monitor_pool, &monitors, carve(carver, TINA_PART_MONITOR_METADATA),
                   NULL);
    shard->monitors = carve(carver, TINA_PART_MONITORS);
    transfers_build(shard, carver);
    supervision_build(shard, carver);
    links_build(shard, carver);
    shard_begin(shard);
}

int tina_shard_open(tina_arena *arena, const tina_spec *resolved, const tina_shard_options *options,
                    tina_shard **opened, char sentence[TINA_SENTENCE_BYTES]) {
    const shard_carver carver = {arena, resolved, options};
    if (!tina_channels_fit(resolved, options->number,
                           options->shard_count ? options->shard_count : 1, sentence))
        return -22; // EINVAL, without the OS's header
    if (tina_shard_bytes(resolved, options) > tina_arena_size(arena) - tina_arena_used(arena)) {
        tina_format(sentence, TINA_SENTENCE_BYTES,
                    "the arena has %zu bytes, but the spec needs %llu; reserve tina_shard_bytes",
                    tina_arena_size(arena),
                    (unsigned long long)tina_shard_bytes(resolved, options));
        return -12; // ENOMEM, without the OS's header
    }
    tina_shard *shard = carve(&carver, TINA_PART_SHARD);
    memset(shard, 0, sizeof *shard);
    shard_build(shard, &carver);
    tina_reactor_config config = reactor_config(resolved, options);
    void *memory = carve(&carver, TINA_PART_REACTOR);
    int result = tina_reactor_open(&config, memory, &shard->reactor, sentence, TINA_SENTENCE_BYTES);
    if (result != 0)
        return result;
    tina_bump_init(&shard->scratch, carve(&carver, TINA_PART_SCRATCH), resolved->scratch_bytes);
    tina_log_open(&shard->log, carve(&carver, TINA_PART_LOG), resolved->log_bytes,
                  resolved->log_level, options->log_write, options->log_where);
    shard->memory = carve(&carver, TINA_PART_MEMORY);
    if (shard->memory)
        memset(shard->memory, 0, resolved->shard_memory_bytes);
    types_build(shard, &carver);
    tina_tree_start(shard->tree);
    tina_arena_freeze(arena);
    *opened = shard;
    return 0;
}

void tina_shard_close(tina_shard *shard) {
    shard->shutting_down = true;
    tina_shard_force(shard);
    tina_log_flush(&shard->log, shard->now.wall_s);
    tina_reactor_close(shard->reactor);
}
