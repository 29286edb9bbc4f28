// SPDX-License-Identifier: Apache-2.0

#include "sched/spec.h"

#include <string.h>

#include "core/assert.h"
#include "core/bits.h"
#include "core/format.h"
#include "sched/channels.h"
#include "sched/ctx.h"
#include "sched/spec_tree.h"

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most) {
    return value < least ? least : value > most ? most : value;
}

bool spec_refuse(char sentence[TINA_SENTENCE_BYTES], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    tina_format_v(sentence, TINA_SENTENCE_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

typedef struct count_rule {
    const char *field;
    uint32_t value;
    uint32_t most;
    const char *remedy;
} count_rule;

#define CHANNEL_BYTES_MAX (UINT64_C(1) << 32)

static bool counts_accept(const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]) {
    const count_rule rules[] = {
        {"message_count", spec->message_count, 1u << 30, "bound mailboxes instead"},
        {"monitor_count", spec->monitor_count, 1u << 28, "let fewer isolates set monitors"},
        {"transfer_count", spec->transfer_count, 1u << 28, "make transfer_bytes larger instead"},
        {"transfer_bytes", spec->transfer_bytes, 1u << 30, "send in smaller pieces"},
        {"timer_count", spec->timer_count, 1u << 28, "let fewer isolates set timers"},
        {"fd_count", spec->fd_count, (1u << 22) - 1, "spread connections over more shards"},
        {"op_count", spec->op_count, 1u << 24, "spread connections over more shards"},
        {"address_count", spec->address_count, 1u << 20, "connect in batches"},
        {"path_count", spec->path_count, 1u << 16, "open files in batches"},
        {"buffer_count", spec->buffer_count, 1u << 15, "make buffer_bytes larger instead"},
        {"buffer_bytes", spec->buffer_bytes, 1u << 24, "receive in smaller pieces"},
        {"scratch_bytes", spec->scratch_bytes, 1u << 30, "use a working arena"},
        {"rebuild_max", spec->rebuild_max == TINA_INTENSITY_NONE ? 0 : spec->rebuild_max,
         TINA_REBUILD_MAX, "so many never end anything"},
        {"log_bytes", spec->log_bytes, 1u << 30, "log less"},
    };
    if (spec->channel_bytes > CHANNEL_BYTES_MAX)
        return spec_refuse(
            sentence,
            "channel_bytes is %llu, but at most %llu is possible; messages that wait "
            "so long are better not sent",
            (unsigned long long)spec->channel_bytes, (unsigned long long)CHANNEL_BYTES_MAX);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].value > rules[i].most)
            return spec_refuse(sentence, "%s is %u, but at most %u is possible; %s", rules[i].field,
                               rules[i].value, rules[i].most, rules[i].remedy);
    return true;
}

// Of an isolate's struct, and of its working arena: rounded up they still fit 32 bits.
#define TYPE_BYTES_MAX (1u << 30)

static bool type_accepts(const tina_spec *spec, uint32_t number,
                         char sentence[TINA_SENTENCE_BYTES]) {
    const tina_type_slots *slots = &spec->types[number];
    const tina_isolate_type *type = slots->type;
    if (!type || !type->name || !type->init || !type->handle)
        return spec_refuse(
            sentence, "types[%u] lacks its type, or that type its name, init or handle; set them",
            number);
    for (uint32_t i = 0; i < number; i++)
        if (spec->types[i].type == type)
            return spec_refuse(sentence, "types[%u] and types[%u] are both %s; name it once", i,
                               number, type->name);
    if (slots->slot_count > TINA_SLOT_COUNT_MAX)
        return spec_refuse(
            sentence,
            "types[%u] (%s): slot_count is %u, but a handle has room for %u; use more "
            "shards, or two types",
            number, type->name, slots->slot_count, TINA_SLOT_COUNT_MAX);
    if (type->struct_bytes > TYPE_BYTES_MAX)
        return spec_refuse(
            sentence,
            "types[%u] (%s): struct_bytes is %u, but at most %u is possible; use shard "
            "memory",
            number, type->name, type->struct_bytes, TYPE_BYTES_MAX);
    if (type->working_bytes > TYPE_BYTES_MAX)
        return spec_refuse(
            sentence,
            "types[%u] (%s): working_bytes is %u, but at most %u is possible; use shard "
            "memory",
            number, type->name, type->working_bytes, TYPE_BYTES_MAX);
    return true;
}

static bool types_accept(const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]) {
    if (spec->type_count == 0 || !spec->types)
        return spec_refuse(sentence, "types is empty; name at least one isolate type");
    if (spec->type_count > TINA_TYPE_COUNT_MAX)
        return spec_refuse(sentence, "type_count is %u, but at most %u is possible; merge types",
                           spec->type_count, TINA_TYPE_COUNT_MAX);
    for (uint32_t i = 0; i < spec->type_count; i++)
        if (!type_accepts(spec, i, sentence))
            return false;
    return true;
}

static void default_to(uint32_t *field, uint64_t value) {
    if (*field == 0)
        *field = (uint32_t)value;
}

#define UNSUPERVISED_STOP_NS UINT64_C(5000000000)

static uint64_t shutdown_default(const tina_spec *spec) {
    uint64_t stop_ns = tree_measure(spec).stop_ns;
    return stop_ns > UINT64_MAX - UNSUPERVISED_STOP_NS ? UINT64_MAX
                                                       : stop_ns + UNSUPERVISED_STOP_NS;
}

static void defaults_fill(tina_spec *spec) {
    uint64_t isolates = 0;
    for (uint32_t i = 0; i < spec->type_count; i++)
        isolates += spec->types[i].slot_count ? spec->types[i].slot_count : 1;
    if (!spec->name)
        spec->name = "tina";
    if (!spec->root.name)
        spec->root.name = "root";
    default_to(&spec->message_count, clamp(4 * isolates, 1024, 65536));
    default_to(&spec->sender_share, clamp(spec->message_count / 4, 1, UINT32_MAX));
    default_to(&spec->monitor_count, clamp(isolates, 64, 1u << 28));
    default_to(&spec->transfer_bytes, 65536);
    spec->transfer_bytes = (uint32_t)tina_align_up(spec->transfer_bytes, 64);
    default_to(&spec->timer_count, clamp(2 * isolates, 64, 1u << 28));
    default_to(&spec->fd_count, 1024);
    default_to(&spec->op_count, clamp(2 * (uint64_t)spec->fd_count, 64, 1u << 24));
    default_to(&spec->address_count, 64);
    default_to(&spec->path_count, 16);
    default_to(&spec->buffer_count, 256);
    default_to(&spec->buffer_bytes, 4096);
    default_to(&spec->scratch_bytes, 65536);
    default_to(&spec->log_bytes, 65536);
    default_to(&spec->tick_batch, 1024);
    default_to(&spec->call_max, 65536);
    if (spec->shutdown_timeout_ns == 0)
        spec->shutdown_timeout_ns = shutdown_default(spec);
    if (spec->channel_bytes == 0)
        spec->channel_bytes = UINT64_C(4) << 20;
    if (spec->handler_soft_ns == 0)
        spec->handler_soft_ns = UINT64_C(100000000);
    if (spec->handler_hard_ns == 0)
        spec->handler_hard_ns = UINT64_C(1000000000);
    if (spec->handler_soft_ns > spec->handler_hard_ns)
        spec->handler_soft_ns = spec->handler_hard_ns;
    default_to(&spec->rebuild_max, 3);
    if (spec->rebuild_max == TINA_INTENSITY_NONE)
        spec->rebuild_max = 0;
    if (spec->rebuild_period_ns == 0)
        spec->rebuild_period_ns = UINT64_C(60000000000);
    if (spec->log_level == 0)
        spec->log_level = TINA_LOG_INFO;
    spec->buffer_count = (uint32_t)tina_round_up_pow2(spec->buffer_count);
    spec->buffer_bytes = (uint32_t)tina_align_up(spec->buffer_bytes, 64);
    spec->scratch_bytes = (uint32_t)tina_align_up(spec->scratch_bytes, 128);
    spec->log_bytes = (uint32_t)tina_round_up_pow2(clamp(spec->log_bytes, 4096, 1u << 30));
}

bool tina_backend_parse(const char *text, tina_backend *backend) {
    static const char *const names[] = {"auto", "io_uring", "epoll"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *backend = (tina_backend)i;
            return true;
        }
    }
    return false;
}

bool tina_spec_resolve(const tina_spec *spec, tina_spec *resolved,
                       char sentence[TINA_SENTENCE_BYTES]) {
    sentence[0] = '\0';
    if ((unsigned)spec->backend > TINA_BACKEND_EPOLL)
        return spec_refuse(sentence, "backend is %d, which is none; use one of TINA_BACKEND_...",
                           (int)spec->backend);
    if (!counts_accept(spec, sentence) || !types_accept(spec, sentence) ||
        !tree_accepts(spec, sentence) || !tina_channels_accept(spec, sentence))
        return false;
    *resolved = *spec;
    defaults_fill(resolved);
    return true;
}
