// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // cpu_set_t

#include "sched/cores.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "core/format.h"

static bool file_read(const char *path, char *text, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t bytes = read(fd, text, capacity - 1);
    close(fd);
    text[bytes > 0 ? bytes : 0] = '\0';
    return bytes > 0;
}

static const char *number_read(const char *text, uint64_t *number) {
    *number = 0;
    while (*text == ' ')
        text++;
    while (*text >= '0' && *text <= '9' && *number < UINT64_C(1) << 40)
        *number = *number * 10 + (uint64_t)(*text++ - '0');
    return text;
}

// "QUOTA PERIOD" in microseconds, or "max PERIOD" (cgroup v2, cpu.max).
static uint32_t quota_read(const char *path, uint32_t cores) {
    char text[64];
    uint64_t quota;
    uint64_t period;
    if (!file_read(path, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return cores;
    number_read(number_read(text, &quota), &period);
    if (period == 0)
        return cores;
    uint64_t paid = (quota + period - 1) / period;
    return paid == 0 ? 1 : paid < cores ? (uint32_t)paid : cores;
}

// The cgroup's own limit and those of the groups around it: the least counts.
static uint32_t quota_least(uint32_t cores) {
    char groups[512];
    char path[640];
    if (!file_read("/proc/self/cgroup", groups, sizeof groups))
        return cores;
    char *group = strstr(groups, "0::/");
    if (!group)
        return cores;
    group += 3;
    group[strcspn(group, "\n")] = '\0';
    uint32_t least = cores;
    for (char *end = group + strlen(group); end != NULL; end = strrchr(group, '/')) {
        *end = '\0';
        if (tina_format(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group) < sizeof path)
            least = quota_read(path, least);
    }
    return least;
}

void tina_cores_read(tina_cores *cores) {
    cpu_set_t set;
    cores->count = 0;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (uint32_t i = 0; i < TINA_CORES_MAX && i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &set))
                cores->numbers[cores->count++] = (uint16_t)i;
    if (cores->count == 0)
        cores->numbers[cores->count++] = 0;
    cores->quota = quota_least(cores->count);
}

static bool core_is_ours(const tina_cores *cores, uint16_t core) {
    for (uint32_t i = 0; i < cores->count; i++)
        if (cores->numbers[i] == core)
            return true;
    return false;
}

bool tina_cores_accept(const tina_cores *cores, const tina_spec *spec, uint32_t shard_count,
                       char sentence[TINA_SENTENCE_BYTES]) {
    if (spec->core_count == 0)
        return true;
    if (!spec->cores || spec->core_count != shard_count) {
        tina_format(sentence, TINA_SENTENCE_BYTES,
                    "core_count is %u, but %s; name a core for each of the %u shard%s, or none",
                    spec->core_count, spec->cores ? "it must be shard_count" : "cores is not set",
                    shard_count, shard_count == 1 ? "" : "s");
        return false;
    }
    uint32_t i = 0;
    while (i < shard_count && core_is_ours(cores, spec->cores[i]))
        i++;
    if (i == shard_count)
        return true;
    tina_format(sentence, TINA_SENTENCE_BYTES,
                "cores[%u] is %u, but this process may use only %u core%s, from %u to %u "
                "(sched_getaffinity); name one of those",
                i, spec->cores[i], cores->count, cores->count == 1 ? "" : "s", cores->numbers[0],
                cores->numbers[cores->count - 1]);
    return false;
}

bool tina_cores_shards(const tina_cores *cores, const tina_spec *spec, uint32_t *count,
                       char sentence[TINA_SENTENCE_BYTES]) {
    uint32_t all = cores->quota < TINA_SHARD_COUNT_MAX ? cores->quota : TINA_SHARD_COUNT_MAX;
    if (spec->core_count)
        all = spec->core_count;
    *count = spec->shard_count == TINA_SHARDS_ALL ? all : spec->shard_count;
    if (*count == 0)
        *count = 1;
    if (*count <= TINA_SHARD_COUNT_MAX)
        return tina_cores_accept(cores, spec, *count, sentence);
    tina_format(sentence, TINA_SENTENCE_BYTES,
                "shard_count is %u, but a handle has room for %u; use fewer", *count,
                TINA_SHARD_COUNT_MAX);
    return false;
}

uint32_t tina_cores_used(const tina_cores *cores, const tina_spec *spec) {
    uint32_t different = 0;
    for (uint32_t i = 0; i < spec->core_count; i++) {
        uint32_t before = 0;
        while (spec->cores[before] != spec->cores[i])
            before++;
        different += before == i;
    }
    return spec->core_count ? different : cores->count;
}

int tina_cores_of(const tina_cores *cores, const tina_spec *spec, uint32_t number, uint32_t count) {
    if (spec->core_count)
        return spec->cores[number];
    return count > 1 && count <= cores->count ? cores->numbers[number] : -1;
}
