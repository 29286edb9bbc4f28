// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // pthread_setname_np, pthread_setaffinity_np

#include "sched/member.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/format.h"
#include "sched/spin.h"

_Static_assert(TINA_REBUILD_MAX == TINA_REBUILDS_MAX, "the spec refuses what a budget cannot hold");

static bool member_open(member *self);
static bool member_connected(member *self);
static void member_serve(member *self);
static void member_close(member *self);

void *member_run(void *member_) {
    member *self = member_;
    bool opened = member_open(self);
    system_state *system = self->system;
    pthread_mutex_lock(&system->boot);
    system->opened++;
    system->refused += !opened;
    pthread_cond_broadcast(&system->booted);
    pthread_mutex_unlock(&system->boot);
    if (member_connected(self) && opened) {
        watch_start(&self->watch);
        member_serve(self);
        watch_stop(&self->watch);
    }
    if (opened)
        member_close(self);
    return NULL;
}

void system_say(const char *name, const char *sentence) {
    char line[3 * TINA_SENTENCE_BYTES];
    size_t bytes = tina_format(line, sizeof line, "%s: %s\n", name, sentence);
    if (bytes >= sizeof line)
        bytes = sizeof line - 1;
    ssize_t written = write(STDERR_FILENO, line, bytes);
    (void)written;
}

void member_say(const member *self, const char *sentence) {
    char name[TINA_SENTENCE_BYTES];
    tina_format(name, sizeof name, "%s, shard %u", self->spec->name, self->number);
    system_say(self->system->member_count > 1 ? name : self->spec->name, sentence);
}

tina_time system_now(void) {
    struct timespec monotonic;
    struct timespec wall;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    return (tina_time){
        .monotonic_ns =
            (uint64_t)monotonic.tv_sec * UINT64_C(1000000000) + (uint64_t)monotonic.tv_nsec,
        .wall_s = (uint64_t)wall.tv_sec,
    };
}

void member_wake(member *self) {
    pthread_mutex_lock(&self->waking);
    if (self->reactor)
        tina_reactor_wake(self->reactor);
    pthread_mutex_unlock(&self->waking);
}

static void reactor_announce(member *self, tina_reactor *reactor) {
    pthread_mutex_lock(&self->waking);
    self->reactor = reactor;
    pthread_mutex_unlock(&self->waking);
}

// Pinned before its memory is touched, which puts that on the core's node.
static void thread_place(const member *self) {
    char name[16];
    tina_format(name, sizeof name, "tina-%u", self->number);
    (void)pthread_setname_np(pthread_self(), name);
    if (self->core < 0)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)self->core, &set);
    // A core that went away since it was chosen is no reason not to serve on another.
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static bool member_open(member *self) {
    const tina_arena_commit_options commit = {0};
    char sentence[TINA_SENTENCE_BYTES];
    thread_place(self);
    int result = tina_arena_commit(&self->arena, &commit);
    if (result != 0) {
        tina_format(sentence, sizeof sentence,
                    "the shard's arena of %zu bytes cannot be had: %s; lower the spec's counts",
                    tina_arena_size(&self->arena), tina_io_error_text(result));
        member_say(self, sentence);
        return false;
    }
    self->options.now = system_now();
    result = tina_shard_open(&self->arena, self->spec, &self->options, &self->shard, sentence);
    if (result != 0) {
        member_say(self, sentence);
        self->shard = NULL;
        return false;
    }
    reactor_announce(self, tina_shard_reactor(self->shard));
    return true;
}

// Waits until all members are open and know each other; false when one is not.
static bool member_connected(member *self) {
    system_state *system = self->system;
    pthread_mutex_lock(&system->boot);
    while (!system->connected)
        pthread_cond_wait(&system->booted, &system->boot);
    bool all = system->refused == 0;
    pthread_mutex_unlock(&system->boot);
    return all;
}

// Of a broken shard nothing is taken down: its ops and fds end with the process.
static void member_close(member *self) {
    tina_shard *shard = self->shard;
    reactor_announce(self, NULL);
    self->shard = NULL;
    if (!self->broken)
        tina_shard_close(shard);
}

static void news_write(system_state *system) {
    uint64_t one = 1;
    ssize_t written = write(system->news_fd, &one, sizeof one);
    TINA_ASSERT(written == sizeof one);
}

static void state_tell(member *self, member_state state) {
    if (tina_atomic_u32_load_relaxed(&self->state) == (uint32_t)state)
        return;
    tina_atomic_u32_store_release(&self->state, (uint32_t)state);
    news_write(self->system);
}

// The phases of a shutdown: told, drained within a deadline, then forced.
typedef struct shutdown_state {
    bool told;
    bool forced;
    uint64_t deadline_ns;
} shutdown_state;

static void shutdown_advance(member *self, shutdown_state *shutdown, uint64_t now_ns) {
    uint32_t requested = tina_atomic_u32_load_acquire(&self->system->requested);
    uint64_t timeout_ns = self->spec->shutdown_timeout_ns;
    uint64_t deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    if (!shutdown->told && requested != REQUEST_NONE) {
        shutdown->told = true;
        shutdown->deadline_ns = deadline_ns;
    }
    if (shutdown->told)
        tina_shard_shutdown(self->shard); // once, and again when it has begun anew
    bool late = shutdown->told && now_ns >= shutdown->deadline_ns;
    if (!shutdown->forced && (late || requested == REQUEST_FORCE)) {
        shutdown->forced = true;
        self->forced = tina_shard_force(self->shard) > 0;
        // What drains after that is given the same time again; a zombie is not waited for longer.
        shutdown->deadline_ns = deadline_ns;
    }
}

// Why a shard begins anew: a fault that is not provably one handler's, or a tree that gave up.
static void failure_describe(const member *self, const tina_tick *tick,
                             char why[TINA_SENTENCE_BYTES]) {
    char reason[TINA_FAULT_TEXT_BYTES + 64];
    char where[96];
    if (!tick->broken) {
        tina_format(why, TINA_SENTENCE_BYTES,
                    tick->failed ? "a child could not be started again"
                                 : "the root of the tree has given up");
        return;
    }
    tina_fault_describe(tick->broken, reason, sizeof reason);
    tina_symbols_name(&self->system->symbols, tick->broken->pc, where, sizeof where);
    tina_format(why, TINA_SENTENCE_BYTES, "a fault that is not one handler's alone: %s in %s",
                reason, where);
}

static uint32_t others_working(const member *self) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->system->member_count; i++) {
        const member *other = &self->system->members[i];
        uint32_t state = tina_atomic_u32_load_acquire(&other->state);
        count += other != self && (state == MEMBER_SERVING || state == MEMBER_IDLE);
    }
    return count;
}

// Returns false when the process is to end.
static bool member_fail(member *self, const tina_tick *tick, uint64_t now_ns) {
    char why[TINA_SENTENCE_BYTES];
    char sentence[2 * TINA_SENTENCE_BYTES];
    failure_describe(self, tick, why);
    // Emptied in any case, which shows whether its operations end.
    self->broken = !tina_shard_quarantine(self->shard);
    tina_quarantine_verdict verdict =
        tina_quarantine_faulted(&self->quarantine, !self->broken, others_working(self), now_ns);
    const char *then = verdict == TINA_QUARANTINE_REBUILD ? "the shard is rebuilt"
                       : verdict == TINA_QUARANTINE_KEEP
                           ? "the shard is quarantined until SIGUSR2 revives it"
                           : "no shard is left that works, and the process ends";
    tina_format(sentence, sizeof sentence, "%s%s; %s (rebuilds within %llu s: %u of %u)", why,
                self->broken ? ", and its operations do not end" : "", then,
                (unsigned long long)(self->spec->rebuild_period_ns / 1000000000),
                self->quarantine.window.count, self->quarantine.window.intensity);
    member_say(self, sentence);
    if (verdict == TINA_QUARANTINE_REBUILD)
        return tina_shard_rebuild(self->shard);
    state_tell(self, MEMBER_QUARANTINED);
    if (verdict == TINA_QUARANTINE_ABORT)
        tina_atomic_u32_store_release(&self->system->abort, 1);
    return verdict != TINA_QUARANTINE_ABORT;
}

static void member_revive(member *self) {
    if (tina_atomic_u32_load_relaxed(&self->state) != MEMBER_QUARANTINED)
        return;
    if (self->broken && !tina_shard_quarantine(self->shard)) {
        member_say(self, "the shard cannot be revived: its operations still do not end");
        return;
    }
    self->broken = false;
    bool rebuilt = tina_shard_rebuild(self->shard);
    TINA_ASSERT(rebuilt); // it was empty
    tina_quarantine_revived(&self->quarantine);
    state_tell(self, MEMBER_SERVING);
    member_say(self, "the shard is revived");
}

static void stop_tell(member *self, int status) {
    system_state *system = self->system;
    uint32_t stop = 1 + (uint32_t)(status & 0xFF);
    if (tina_atomic_u32_load_acquire(&system->stop) != 0)
        return;
    tina_atomic_u32_store_release(&system->stop, stop);
    news_write(system);
}

// Whoever wakes first has the main thread make its rounds again.
static void rounds_resume(system_state *system) {
    if (tina_atomic_u32_load_relaxed(&system->dozing) != 0 &&
        tina_atomic_u32_exchange(&system->dozing, 0) != 0)
        news_write(system);
}

// Waits for the kernel, for other shards and for the next deadline, whichever comes first.
static void member_wait(member *self, tina_spin *spin, const tina_tick *tick, uint64_t until_ns,
                        uint64_t now_ns) {
    tina_reactor *reactor = tina_shard_reactor(self->shard);
    bool alone = self->system->member_count == 1;
    bool dozes = !tick->busy && !alone && !tina_spin_finds_work(spin, self->shard, until_ns);
    bool sleeps = dozes ? tina_shard_doze(self->shard) : alone && !tick->busy;
    if (sleeps)
        tina_atomic_u32_store_release(&self->watch.asleep, 1);
    int result = tina_reactor_wait(reactor, now_ns, sleeps ? until_ns : 0);
    TINA_ASSERT(result == 0);
    if (sleeps) {
        (void)tina_atomic_u32_exchange(&self->watch.asleep, 0); // before the look at `dozing`
        rounds_resume(self->system);
    }
    // Not after a look that found work: the word would cross to this core and back each time.
    if (dozes) {
        tina_shard_rouse(self->shard);
        if (sleeps)
            tina_spin_slept(spin, system_now().monotonic_ns - now_ns);
    }
}

static void member_serve(member *self) {
    system_state *system = self->system;
    shutdown_state shutdown = {0};
    tina_spin spin = {0};
    bool serves = true;
    bool rebuilt = false;
    state_tell(self, MEMBER_SERVING);
    for (;;) {
        tina_time now = system_now();
        if (tina_atomic_u32_load_relaxed(&self->revive) != 0 &&
            tina_atomic_u32_exchange(&self->revive, 0) != 0)
            member_revive(self);
        if (!self->broken)
            shutdown_advance(self, &shutdown, now.monotonic_ns);
        tina_tick tick = {.ended = true, .until_ns = UINT64_MAX};
        if (!self->broken)
            tick = tina_shard_tick(self->shard, now);
        serves = tina_atomic_u32_load_relaxed(&self->state) != MEMBER_QUARANTINED;
        // Only at boot: one that begins anew may be told to shut down before its children are back.
        bool not_started = tick.failed && !rebuilt;
        bool anew = tick.broken || tick.gave_up || (tick.failed && rebuilt);
        if (anew && (tick.broken || !shutdown.told)) {
            if (!member_fail(self, &tick, now.monotonic_ns))
                break;
            rebuilt = true;
            continue;
        }
        self->failed = self->failed || not_started;
        if (tick.stop || not_started)
            stop_tell(self, not_started ? STATUS_NOT_STARTED : tick.stop_status);
        if (serves)
            state_tell(self, tick.ended ? MEMBER_IDLE : MEMBER_SERVING);
        self->drained = tick.ended;
        bool given_up = shutdown.forced && now.monotonic_ns >= shutdown.deadline_ns;
        if (given_up || tina_atomic_u32_load_acquire(&system->leave) != 0)
            break;
        uint64_t until_ns = tick.until_ns;
        if (shutdown.told && !tick.ended && shutdown.deadline_ns < until_ns)
            until_ns = shutdown.deadline_ns;
        member_wait(self, &spin, &tick, until_ns, now.monotonic_ns);
    }
    state_tell(self, MEMBER_LEFT);
}
