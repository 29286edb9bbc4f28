// SPDX-License-Identifier: Apache-2.0

#include "sim/record.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/format.h"

void sim_record_begin(sim_record *record) {
    record->hash = UINT64_C(0x54494E41);
    record->count = 0;
}

void sim_record_end(sim_record *record) {
    free(record->marks);
    *record = (sim_record){0};
}

void sim_record_mark(sim_record *record) {
    uint64_t mark = record->count / SIM_MARK_EVENTS - 1;
    if (mark >= record->mark_capacity) {
        record->mark_capacity = record->mark_capacity ? 2 * record->mark_capacity : 256;
        record->marks = realloc(record->marks, record->mark_capacity * sizeof *record->marks);
        TINA_ASSERT(record->marks != NULL);
    }
    record->marks[mark] = record->hash;
}

void sim_record_tell(sim_record *record, sim_event event) {
    record->on_event(record->where, record->count, &event);
}

uint64_t sim_hash_bytes(const void *data, size_t bytes) {
    const uint8_t *at = data;
    uint64_t hash = bytes;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word = 0;
        for (int i = 7; i >= 0; i--)
            word = word << 8 | at[i];
        hash = sim_mix(hash, word);
    }
    uint64_t rest = 0;
    for (size_t i = bytes; i > 0; i--)
        rest = rest << 8 | at[i - 1];
    return sim_mix(hash, rest);
}

typedef struct event_words {
    const char *name;
    const char *a;
    const char *b;
} event_words;

#define WORDS(name, a, b) {#name, a, b},
static const event_words words[] = {SIM_EVENTS(WORDS)};
#undef WORDS

size_t sim_event_format(uint64_t number, const sim_event *event, char *out, size_t capacity) {
    TINA_ASSERT(event->kind < SIM_EVENT_KIND_COUNT);
    const event_words *word = &words[event->kind];
    char shard[8] = "-";
    char a[64] = "";
    char b[64] = "";
    if (event->shard != SIM_NOWHERE)
        tina_format(shard, sizeof shard, "%u", event->shard);
    if (word->a[0])
        tina_format(a, sizeof a, " %s=%d", word->a, (int32_t)event->a);
    if (word->b[0])
        tina_format(b, sizeof b, " %s=%llx", word->b, (unsigned long long)event->b);
    return tina_format(out, capacity, "%llu %llu.%09llu %s %s%s%s", (unsigned long long)number,
                       (unsigned long long)(event->at_ns / 1000000000),
                       (unsigned long long)(event->at_ns % 1000000000), shard, word->name, a, b);
}
