// SPDX-License-Identifier: Apache-2.0

#include <unistd.h>

#include "core/format.h"
#include "sched/backend.h"
#include "sched/channels.h"
#include "sched/cores.h"
#include "sched/layout.h"
#include "sched/system.h"

static bool line_write(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool line_write(int fd, const char *format, ...) {
    char line[TINA_SENTENCE_BYTES + 64];
    va_list arguments;
    va_start(arguments, format);
    size_t bytes = tina_format_v(line, sizeof line, format, arguments);
    va_end(arguments);
    if (bytes >= sizeof line) {
        bytes = sizeof line - 1;
        line[bytes - 1] = '\n';
    }
    return write(fd, line, bytes) == (ssize_t)bytes;
}

// What tina_run would accept, with every default filled in.
static bool spec_accept(const tina_spec *spec, tina_spec *resolved,
                        char sentence[TINA_SENTENCE_BYTES]) {
    tina_cores cores;
    tina_cores_read(&cores);
    if (!tina_spec_resolve(spec, resolved, sentence) ||
        !tina_cores_shards(&cores, spec, &resolved->shard_count, sentence))
        return false;
    for (uint32_t i = 0; i < resolved->shard_count; i++)
        if (!tina_channels_fit(resolved, i, resolved->shard_count, sentence))
            return false;
    return true;
}

static void part_print(int fd, const tina_spec *resolved, uint32_t i,
                       const tina_layout_part *part) {
    const char *of = i < TINA_PART_COUNT
                         ? ""
                         : resolved->types[(i - TINA_PART_COUNT) / TINA_PARTS_PER_TYPE].type->name;
    line_write(fd, "%14llu bytes %10llu × %s%s%s\n", (unsigned long long)part->bytes,
               (unsigned long long)part->count, part->name, *of ? " " : "", of);
}

// Shards differ by the channels to them that the spec names.
static void channels_print(int fd, const tina_spec *resolved, tina_shard_options *options) {
    for (uint32_t i = 0; i < resolved->channel_count; i++) {
        const tina_channel *channel = &resolved->channels[i];
        line_write(fd, "%14llu bytes %10u × messages from shard %u to shard %u\n",
                   (unsigned long long)channel->message_count * sizeof(tina_message),
                   channel->message_count, channel->from, channel->to);
    }
    uint64_t before = tina_shard_bytes(resolved, options);
    for (options->number = 1; options->number < options->shard_count; options->number++) {
        uint64_t bytes = tina_shard_bytes(resolved, options);
        if (bytes != before)
            line_write(fd, "%14llu bytes from shard %u on, aligned\n", (unsigned long long)bytes,
                       options->number);
        before = bytes;
    }
}

bool tina_spec_print(const tina_spec *spec, int fd) {
    tina_spec resolved;
    char sentence[TINA_SENTENCE_BYTES];
    if (!spec_accept(spec, &resolved, sentence)) {
        line_write(fd, "%s\n", sentence);
        return false;
    }
    tina_shard_options options = {.shard_count = resolved.shard_count,
                                  .backend = tina_backend_choose(resolved.backend, sentence)};
    for (uint32_t i = 0; i < tina_layout_count(&resolved); i++) {
        tina_layout_part part = tina_layout_part_at(&resolved, &options, i);
        if (part.bytes > 0)
            part_print(fd, &resolved, i, &part);
    }
    line_write(fd, "%14llu bytes a shard, aligned\n",
               (unsigned long long)tina_shard_bytes(&resolved, &options));
    channels_print(fd, &resolved, &options);
    return true;
}
