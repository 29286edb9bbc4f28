// SPDX-License-Identifier: Apache-2.0
//
// A shard as a member of the system: its thread, its memory and its loop. For system.c.
//
//     main thread ── request, revive, leave ──▶ member ── state, stop ──▶ main thread
//
// Words that both sides read are atomics; whoever changes one wakes the other.

#ifndef TINA_SCHED_MEMBER_H
#define TINA_SCHED_MEMBER_H

#include <pthread.h>

#include "arena/arena.h"
#include "core/atomic.h"
#include "reactor/reactor.h"
#include "sched/shard.h"
#include "sched/shard_thread.h"
#include "sched/stderr_sink.h"
#include "sched/watch.h"
#include "supervise/quarantine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    STATUS_DRAINED = 0,
    STATUS_NOT_STARTED = 1,
    STATUS_FORCED = 3,
    STATUS_GAVE_UP = 4,
};

// What the main thread asks of all members.
typedef enum member_request {
    REQUEST_NONE = 0,
    REQUEST_SHUTDOWN, // the first signal, or tina_stop
    REQUEST_FORCE,    // the second signal
} member_request;

typedef enum member_state {
    MEMBER_STARTING = 0, // not yet connected with the others
    MEMBER_SERVING,
    MEMBER_IDLE, // no isolate is left; it still answers its peers
    MEMBER_QUARANTINED,
    MEMBER_LEFT, // its loop has ended
} member_state;

typedef struct system_state system_state;

typedef struct member {
    system_state *system;
    const tina_spec *spec; // resolved
    uint32_t number;
    int core;         // to be pinned to, or -1
    bool broken;      // by a fault, and not rebuilt
    bool drained;     // its last operation has ended
    bool failed;      // a child could not be started at boot
    bool forced;      // isolates had to be
    uint32_t working; // 1 while it serves, in system->working
    tina_arena arena;
    tina_shard_options options;
    tina_shard_thread thread;
    tina_shard *shard; // while it is open
    tina_quarantine quarantine;
    watch watch;
    pthread_mutex_t waking; // held while `reactor` is woken, so that it cannot close meanwhile
    tina_reactor *reactor;  // whom to wake, while it is open
    tina_atomic_u32 state;  // member_state; the member's
    tina_atomic_u32 revive; // the main thread's; taken by the member
} member;

// What the members share. The first fields are the main thread's until the members start, and read
// only from then on.
struct system_state {
    const char *name;
    member *members;
    uint32_t member_count;
    tina_stderr_sink sink;
    tina_symbols symbols;
    int news_fd; // eventfd; written by a member whose state changed

    tina_atomic_u32 requested; // member_request; the main thread's
    tina_atomic_u32 dozing; // the main thread's: it makes no rounds; a member that wakes takes it
    tina_atomic_u32 leave;  // the main thread's: every member is idle
    tina_atomic_u32 stop;   // a member's: 1 + the status of its tina_stop; the first counts
    tina_atomic_u32 abort;  // a member's: no shard is left that works

    pthread_mutex_t boot; // of the fields below
    pthread_cond_t booted;
    uint32_t opened; // members that are, or have failed
    uint32_t refused;
    bool connected; // by the main thread: go on
};

// member_run is a member's thread.
void *member_run(void *member);

// member_wake ends a member's wait. Any thread.
void member_wake(member *member);

// member_say writes "NAME: sentence" to stderr, with the member's number if it has peers.
void member_say(const member *member, const char *sentence);

// system_say does without.
void system_say(const char *name, const char *sentence);

tina_time system_now(void);

#ifdef __cplusplus
}
#endif

#endif
