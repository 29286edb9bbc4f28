// SPDX-License-Identifier: Apache-2.0
//
// What happened in a simulated world: every event goes into a rolling hash, which two runs of one
// seed have in common, and is told to whoever traces the run. None is kept.
//
// An event holds kinds, handles, tags, lengths, results, virtual times and hashes of bytes on the
// wire; never an address, a program counter or padding.

#ifndef TINA_SIM_RECORD_H
#define TINA_SIM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// X(name, a, b): what the event's words are; "" when unused.
#define SIM_EVENTS(X)                                                                              \
    X(NONE, "", "")                                                                                \
    X(BEGIN, "shards", "seed")                                                                     \
    X(STRIKE, "domain", "decision") /* chance has struck */                                        \
    X(CALM_BEGUN, "", "")           /* faults have stopped */                                      \
    X(TURN, "busy", "until")        /* of a shard */                                               \
    X(PAUSE, "", "ns")                                                                             \
    X(STEP, "", "ns")                                                                              \
    X(BREAK, "level", "")                                                                          \
    X(REBUILD, "", "")                                                                             \
    X(QUARANTINE, "", "")                                                                          \
    X(REVIVE, "", "")                                                                              \
    X(SHUTDOWN_BEGUN, "", "")                                                                      \
    X(WAKE, "peer", "")                                                                            \
    X(INIT, "bytes", "self")                                                                       \
    X(HANDLE, "tag", "self")                                                                       \
    X(MESSAGE, "bytes", "hash")                                                                    \
    X(EFFECT, "kind", "detail")                                                                    \
    X(CRASH, "when", "self")                                                                       \
    X(ITEM_SENT, "kind", "to") /* into a wire */                                                   \
    X(ITEM_LOST, "kind", "to")                                                                     \
    X(ITEM_HERE, "kind", "to")                                                                     \
    X(OP, "kind", "key")                                                                           \
    X(OP_DONE, "result", "key")                                                                    \
    X(OP_CANCEL, "", "key")                                                                        \
    X(NET_CONNECT, "socket", "port")                                                               \
    X(NET_ACCEPT, "socket", "peer")                                                                \
    X(NET_SEND, "socket", "bytes")                                                                 \
    X(NET_SEGMENT, "socket", "hash") /* arrived */                                                 \
    X(NET_FIN, "socket", "")                                                                       \
    X(NET_RESET, "socket", "")                                                                     \
    X(NET_DATAGRAM, "socket", "hash")                                                              \
    X(NET_CLOSE, "socket", "")                                                                     \
    X(NET_PARTITION, "hosts", "ns")                                                                \
    X(HOST, "what", "word")                                                                        \
    X(DISK, "op", "result")                                                                        \
    X(LOG, "bytes", "hash")                                                                        \
    X(USER, "a", "b")                                                                              \
    X(FAILED, "checker", "")                                                                       \
    X(END, "", "")                                                                                 \
    X(RESTART, "power", "ns") /* of the machine */

#define SIM_EVENT_NAME(name, a, b) SIM_##name,
typedef enum sim_event_kind {
    SIM_EVENTS(SIM_EVENT_NAME) SIM_EVENT_KIND_COUNT
} sim_event_kind;
#undef SIM_EVENT_NAME

#define SIM_NOWHERE 0xFFFFu // no shard's event

typedef struct sim_event {
    uint64_t at_ns;
    uint16_t kind; // sim_event_kind
    uint16_t shard;
    uint32_t a;
    uint64_t b;
} sim_event;

#define SIM_MARK_EVENTS 1024u // events between two marks

// All zero, with sim_record_begin called: empty.
typedef struct sim_record {
    uint64_t hash;
    uint64_t count;
    uint64_t *marks; // the hash after every SIM_MARK_EVENTS events
    uint32_t mark_capacity;
    uint64_t *seen; // count as it goes, for who outlives the process; or NULL
    void (*on_event)(void *where, uint64_t number, const sim_event *event); // trace, or NULL
    void *where;
} sim_record;

void sim_record_begin(sim_record *record);
void sim_record_end(sim_record *record);
void sim_record_mark(sim_record *record);
void sim_record_tell(sim_record *record, sim_event event);

static inline uint64_t sim_mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

// By value, so that an event that nobody traces is never put together in memory.
static inline void sim_record_add(sim_record *record, sim_event event) {
    uint64_t head = (uint64_t)event.kind | (uint64_t)event.shard << 16 | (uint64_t)event.a << 32;
    record->hash = sim_mix(sim_mix(sim_mix(record->hash, event.at_ns), head), event.b);
    if (__builtin_expect(record->on_event != NULL, false))
        sim_record_tell(record, event);
    if ((++record->count & (SIM_MARK_EVENTS - 1)) == 0)
        sim_record_mark(record);
    if (record->seen)
        *record->seen = record->count;
}

// sim_hash_bytes returns a hash of bytes, alike on all machines.
uint64_t sim_hash_bytes(const void *data, size_t bytes);

// sim_event_format writes an event as one line without its end and returns its length.
size_t sim_event_format(uint64_t number, const sim_event *event, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
