// SPDX-License-Identifier: Apache-2.0

#include <unistd.h>

#include "arena/arena.h"
#include "core/format.h"
#include "sched/backend.h"
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

bool tina_spec_print(const tina_spec *spec, int fd) {
    tina_spec resolved;
    char sentence[TINA_SENTENCE_BYTES];
    if (!tina_spec_resolve(spec, &resolved, sentence)) {
        line_write(fd, "%s\n", sentence);
        return false;
    }
    tina_shard_options options = {.backend = tina_backend_choose(resolved.backend, sentence)};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < tina_layout_count(&resolved); i++) {
        tina_layout_part part = tina_layout_part_at(&resolved, &options, i);
        if (part.bytes == 0)
            continue;
        const char *of =
            i < TINA_PART_COUNT
                ? ""
                : resolved.types[(i - TINA_PART_COUNT) / TINA_PARTS_PER_TYPE].type->name;
        line_write(fd, "%14llu bytes %10llu × %s%s%s\n", (unsigned long long)part.bytes,
                   (unsigned long long)part.count, part.name, *of ? " " : "", of);
        sum += tina_arena_carve_bytes(part.bytes);
    }
    line_write(fd, "%14llu bytes a shard, aligned\n", (unsigned long long)sum);
    return true;
}
