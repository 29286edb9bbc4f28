// SPDX-License-Identifier: Apache-2.0
//
// The main thread: it boots the shards, connects them with each other, waits for signals and for
// news from them, and decides when they shut down and leave.

#include "sched/system.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/format.h"
#include "sched/backend.h"
#include "sched/channels.h"
#include "sched/cores.h"
#include "sched/member.h"

// For the memory of all shards to be faulted in, which takes a second for some GiB.
#define BOOT_TIMEOUT_S 120

// The fds that are ours beside the spec's, for each shard: ring, eventfds, timer; and for all:
// standard streams, log, and some to spare.
#define FDS_BESIDE 32

static bool fd_limit_raise(const tina_spec *spec, uint32_t shards,
                           char sentence[TINA_SENTENCE_BYTES]) {
    struct rlimit limit;
    uint64_t wanted = ((uint64_t)spec->fd_count + FDS_BESIDE) * shards;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    rlim_t most = limit.rlim_max;
    limit.rlim_cur = wanted < most ? wanted : most;
    if (wanted <= most && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    tina_format(sentence, TINA_SENTENCE_BYTES,
                "fd_count is %u, but this process may open %llu files (RLIMIT_NOFILE) for its %u "
                "shard%s; lower fd_count or raise the limit",
                spec->fd_count, (unsigned long long)most, shards, shards == 1 ? "" : "s");
    return false;
}

static void members_wake(system_state *system) {
    for (uint32_t i = 0; i < system->member_count; i++)
        member_wake(&system->members[i]);
}

static void request(system_state *system, member_request what) {
    if (tina_atomic_u32_load_relaxed(&system->requested) >= (uint32_t)what)
        return;
    tina_atomic_u32_store_release(&system->requested, (uint32_t)what);
    members_wake(system);
}

static void members_leave(system_state *system) {
    tina_atomic_u32_store_release(&system->leave, 1);
    members_wake(system);
}

static void members_revive(system_state *system) {
    for (uint32_t i = 0; i < system->member_count; i++)
        (void)tina_atomic_u32_exchange(&system->members[i].revive, 1);
    members_wake(system);
}

// Whether no member has anything left to do. One in quarantine has, until a shutdown is asked for.
static bool members_are_idle(const system_state *system) {
    bool shutdown = tina_atomic_u32_load_relaxed(&system->requested) != REQUEST_NONE;
    for (uint32_t i = 0; i < system->member_count; i++) {
        uint32_t state = tina_atomic_u32_load_acquire(&system->members[i].state);
        if (state < MEMBER_IDLE || (state == MEMBER_QUARANTINED && !shutdown))
            return false;
    }
    return true;
}

// A signal that came too late to matter must not strike when the mask is lifted.
static void signals_discard(int signal_fd) {
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) == sizeof info)
        continue;
}

static void signal_serve(system_state *system, int signal_fd) {
    struct signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGUSR2)
        members_revive(system);
    else if (tina_atomic_u32_load_relaxed(&system->requested) == REQUEST_NONE)
        request(system, REQUEST_SHUTDOWN);
    else
        request(system, REQUEST_FORCE);
}

static void news_serve(system_state *system) {
    uint64_t count;
    ssize_t bytes = read(system->news_fd, &count, sizeof count);
    TINA_ASSERT(bytes == sizeof count);
    if (tina_atomic_u32_load_acquire(&system->abort) != 0)
        request(system, REQUEST_FORCE);
    else if (tina_atomic_u32_load_acquire(&system->stop) != 0)
        request(system, REQUEST_SHUTDOWN);
}

// Rounds as long as anybody is awake. Whoever wakes after the flag is set takes it and writes to
// news_fd; whoever woke before is seen by the second look.
static bool rounds_make(system_state *system, bool due) {
    if (tina_atomic_u32_load_relaxed(&system->dozing) != 0)
        return false;
    if (!due || watch_round(system))
        return true;
    (void)tina_atomic_u32_exchange(&system->dozing, 1);
    if (!watch_round(system))
        return false;
    (void)tina_atomic_u32_exchange(&system->dozing, 0);
    return true;
}

// Until no member has anything left to do.
static void system_serve(system_state *system, int signal_fd) {
    struct pollfd polled[2] = {{.fd = signal_fd, .events = POLLIN},
                               {.fd = system->news_fd, .events = POLLIN}};
    bool awake = true;
    while (!members_are_idle(system)) {
        int ready = poll(polled, 2, awake ? (int)(WATCH_ROUND_NS / 1000000) : -1);
        if (ready < 0 && errno == EINTR)
            continue;
        TINA_ASSERT(ready >= 0);
        awake = rounds_make(system, ready == 0);
        if (polled[1].revents)
            news_serve(system);
        if (polled[0].revents)
            signal_serve(system, signal_fd);
    }
}

static void members_connect(system_state *system) {
    for (uint32_t from = 0; from < system->member_count; from++) {
        tina_shard *shard = system->members[from].shard;
        for (uint32_t to = 0; to < system->member_count; to++) {
            if (from == to)
                continue;
            tina_shard *peer = system->members[to].shard;
            tina_shard_connect(shard, to, tina_shard_inlet(peer, from));
            tina_shard_borrow(shard, to, tina_shard_transfers(peer));
            tina_shard_observe(shard, to, peer);
        }
    }
}

// Waits until all members have opened, connects them and lets them go on. False when one could not.
static bool members_boot(system_state *system, uint32_t started) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += BOOT_TIMEOUT_S;
    pthread_mutex_lock(&system->boot);
    int waited = 0;
    while (system->opened < started && waited == 0)
        waited = pthread_cond_timedwait(&system->booted, &system->boot, &until);
    if (system->opened < started) {
        // A thread that hangs in the kernel can neither be joined nor left behind.
        system_say(system->name, "a shard did not boot in 120 s; the process ends");
        _exit(STATUS_NOT_STARTED);
    }
    system->refused += started < system->member_count;
    bool all = system->refused == 0;
    if (all)
        members_connect(system);
    system->connected = true;
    pthread_cond_broadcast(&system->booted);
    pthread_mutex_unlock(&system->boot);
    return all;
}

static int status_of(const system_state *system) {
    bool forced = false;
    for (uint32_t i = 0; i < system->member_count; i++) {
        const member *each = &system->members[i];
        if (each->failed)
            return STATUS_NOT_STARTED;
        forced = forced || each->forced || !each->drained;
    }
    if (tina_atomic_u32_load_relaxed(&system->abort) != 0)
        return STATUS_GAVE_UP;
    uint32_t stop = tina_atomic_u32_load_relaxed(&system->stop);
    return forced ? STATUS_FORCED : stop != 0 ? (int)(stop - 1) : STATUS_DRAINED;
}

static int members_run(system_state *system, int signal_fd) {
    uint32_t started = 0;
    while (started < system->member_count &&
           tina_shard_thread_start(&system->members[started].thread, member_run,
                                   &system->members[started]) == 0)
        started++;
    if (started < system->member_count)
        system_say(system->name, "no thread or stack can be had from the system; raise its limits");
    int status = STATUS_NOT_STARTED;
    bool booted = members_boot(system, started);
    if (booted) {
        system_serve(system, signal_fd);
        members_leave(system);
    }
    for (uint32_t i = 0; i < started; i++)
        tina_shard_thread_join(&system->members[i].thread);
    if (booted)
        status = status_of(system);
    signals_discard(signal_fd);
    return status;
}

// Before the process ends by a signal: what the log holds, then why.
static void say_last(void *system_, const char *text, size_t bytes) {
    system_state *system = system_;
    for (uint32_t i = 0; i < system->member_count; i++) {
        member *each = &system->members[i];
        if (pthread_equal(pthread_self(), each->thread.id) && each->shard)
            tina_shard_flush_log(each->shard);
    }
    ssize_t written = write(STDERR_FILENO, text, bytes);
    (void)written;
}

static void peer_wake(void *system_, uint32_t peer) {
    system_state *system = system_;
    member_wake(&system->members[peer]);
}

static void member_begin(system_state *system, uint32_t number, const tina_spec *spec,
                         const tina_reactor_backend *backend, int core) {
    member *self = &system->members[number];
    *self = (member){
        .system = system,
        .spec = spec,
        .number = number,
        .core = core,
        .waking = PTHREAD_MUTEX_INITIALIZER,
    };
    self->options = (tina_shard_options){
        .number = number,
        .shard_count = system->member_count,
        .wake = peer_wake,
        .wake_where = system,
        .backend = backend,
        .log_write = tina_stderr_sink_write,
        .log_where = &system->sink,
        .trap = &self->thread.trap,
        .symbolise = tina_shard_symbolise,
        .symbolise_where = &system->symbols,
    };
    const tina_quarantine_policy policy = {
        .rebuilds = spec->rebuild_max ? spec->rebuild_max : TINA_REBUILDS_NONE,
        .period_ns = spec->rebuild_period_ns,
        .abort = spec->abort,
    };
    tina_quarantine_init(&self->quarantine, &policy);
    watch_init(&self->watch, spec);
}

// What is more than the machine has would be faulted in until something is killed for it.
static bool memory_fits(uint64_t bytes, uint32_t shards, char sentence[TINA_SENTENCE_BYTES]) {
    uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES);
    uint64_t machine = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    if (bytes <= machine)
        return true;
    tina_format(sentence, TINA_SENTENCE_BYTES,
                "the %u shard%s would take %llu bytes, and this machine has %llu; lower the spec's "
                "counts or use fewer shards",
                shards, shards == 1 ? "" : "s", (unsigned long long)bytes,
                (unsigned long long)machine);
    return false;
}

static bool memory_reserve(system_state *system, char sentence[TINA_SENTENCE_BYTES]) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < system->member_count; i++) {
        member *each = &system->members[i];
        uint64_t bytes = tina_shard_bytes(each->spec, &each->options);
        sum += bytes;
        int result = tina_arena_reserve(&each->arena, bytes);
        if (result == 0)
            continue;
        tina_format(sentence, TINA_SENTENCE_BYTES,
                    "shard %u needs %llu bytes of address space: %s; lower the spec's counts", i,
                    (unsigned long long)bytes, tina_io_error_text(result));
        return false;
    }
    return memory_fits(sum, system->member_count, sentence);
}

static void memory_release(system_state *system) {
    for (uint32_t i = 0; i < system->member_count; i++)
        if (tina_arena_size(&system->members[i].arena) > 0)
            tina_arena_release(&system->members[i].arena);
}

// Blocked before any shard's thread exists, so that they inherit the mask and only signal_fd sees
// them. SIGPIPE is the log's, whose reader may be gone.
static int signals_block(sigset_t *before) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR2);
    sigset_t blocked = signals;
    sigaddset(&blocked, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &blocked, before);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int members_serve(system_state *system) {
    sigset_t before;
    int status = STATUS_NOT_STARTED;
    int signal_fd = signals_block(&before);
    system->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const tina_trap_signals signals = {
        .alarm_signal = SIGRTMIN + WATCH_SIGNAL_OFFSET,
        .alarm = watch_alarm,
        .report = watch_report,
        .say = say_last,
        .where = system,
    };
    tina_shard_signals_open(&system->symbols, &signals);
    if (signal_fd < 0 || system->news_fd < 0)
        system_say(system->name, "no file descriptor can be had from the system; raise its limits");
    else
        status = members_run(system, signal_fd);
    tina_shard_signals_close(&system->symbols);
    if (signal_fd >= 0)
        close(signal_fd);
    if (system->news_fd >= 0)
        close(system->news_fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static void boot_locks_open(system_state *system) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&system->booted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&system->boot, NULL);
}

static int system_run(const tina_spec *specs, uint32_t count, const tina_cores *cores) {
    char sentence[TINA_SENTENCE_BYTES];
    tina_arena memory = {0};
    const tina_arena_commit_options lazy = {.lazy = true};
    if (!fd_limit_raise(&specs[0], count, sentence)) {
        system_say(specs[0].name, sentence);
        return STATUS_NOT_STARTED;
    }
    if (tina_arena_reserve(&memory, count * sizeof(member) + TINA_ARENA_ALIGNMENT) != 0 ||
        tina_arena_commit(&memory, &lazy) != 0) {
        tina_arena_release(&memory);
        system_say(specs[0].name, "no memory can be had for the shards' threads");
        return STATUS_NOT_STARTED;
    }
    system_state system = {.name = specs[0].name, .member_count = count};
    system.members = tina_arena_carve(&memory, count * sizeof(member));
    boot_locks_open(&system);
    tina_stderr_sink_open(&system.sink, STDERR_FILENO);
    const tina_reactor_backend *backend = tina_backend_choose(specs[0].backend, sentence);
    if (*sentence)
        system_say(specs[0].name, sentence);
    uint32_t used = tina_cores_used(cores, &specs[0]);
    if (count > used) {
        tina_format(sentence, sizeof sentence, "%u shards share %u core%s", count, used,
                    used == 1 ? "" : "s");
        system_say(specs[0].name, sentence);
    }
    for (uint32_t i = 0; i < count; i++)
        member_begin(&system, i, &specs[i], backend, tina_cores_of(cores, &specs[0], i, count));
    int status = STATUS_NOT_STARTED;
    if (memory_reserve(&system, sentence))
        status = members_serve(&system);
    else
        system_say(specs[0].name, sentence);
    memory_release(&system);
    tina_arena_release(&memory);
    tina_stderr_sink_close(&system.sink);
    pthread_cond_destroy(&system.booted);
    pthread_mutex_destroy(&system.boot);
    return status;
}

uint32_t tina_shards_all(void) {
    char sentence[TINA_SENTENCE_BYTES];
    tina_cores cores;
    uint32_t count;
    tina_cores_read(&cores);
    const tina_spec all = {.shard_count = TINA_SHARDS_ALL};
    bool possible = tina_cores_shards(&cores, &all, &count, sentence);
    TINA_ASSERT(possible);
    return count;
}

// What is one for all: cores, and what the table of borrowed buffers takes for granted.
static bool specs_agree(const tina_spec *specs, uint32_t count,
                        char sentence[TINA_SENTENCE_BYTES]) {
    for (uint32_t i = 1; i < count; i++) {
        if (specs[i].core_count && specs[i].cores != specs[0].cores) {
            tina_format(sentence, TINA_SENTENCE_BYTES,
                        "shard %u's spec names cores that shard 0's does not; name them there, one "
                        "for each shard",
                        i);
            return false;
        }
        if (specs[i].transfer_count == specs[0].transfer_count &&
            specs[i].transfer_bytes == specs[0].transfer_bytes)
            continue;
        tina_format(sentence, TINA_SENTENCE_BYTES,
                    "shard %u has %u transfer buffers of %u bytes and shard 0 has %u of %u; make "
                    "them alike, as they are lent across",
                    i, specs[i].transfer_count, specs[i].transfer_bytes, specs[0].transfer_count,
                    specs[0].transfer_bytes);
        return false;
    }
    return true;
}

static int refuse(const tina_spec *spec, const char *sentence) {
    system_say(spec->name ? spec->name : "tina", sentence);
    return STATUS_NOT_STARTED;
}

static int specs_run(const tina_spec *specs, uint32_t spec_count, uint32_t count,
                     const tina_cores *cores) {
    char sentence[TINA_SENTENCE_BYTES];
    tina_arena memory = {0};
    const tina_arena_commit_options lazy = {.lazy = true};
    if (tina_arena_reserve(&memory, count * sizeof(tina_spec)) != 0 ||
        tina_arena_commit(&memory, &lazy) != 0) {
        tina_arena_release(&memory);
        return refuse(&specs[0], "no memory can be had for the shards' specs");
    }
    tina_spec *resolved = tina_arena_carve(&memory, count * sizeof(tina_spec));
    bool accepted = true;
    for (uint32_t i = 0; i < count && accepted; i++)
        accepted = tina_spec_resolve(&specs[spec_count > 1 ? i : 0], &resolved[i], sentence);
    for (uint32_t i = 0; i < count && accepted; i++)
        accepted = tina_channels_fit(&resolved[i], i, count, sentence);
    accepted = accepted && tina_cores_accept(cores, &specs[0], count, sentence) &&
               tina_channels_agree(resolved, count, sentence) &&
               specs_agree(resolved, count, sentence);
    int status = accepted ? system_run(resolved, count, cores) : refuse(&specs[0], sentence);
    tina_arena_release(&memory);
    return status;
}

int tina_run(const tina_spec *spec) {
    char sentence[TINA_SENTENCE_BYTES];
    tina_cores cores;
    uint32_t count;
    tina_cores_read(&cores);
    if (!tina_cores_shards(&cores, spec, &count, sentence))
        return refuse(spec, sentence);
    return specs_run(spec, 1, count, &cores);
}

int tina_run_shards(const tina_spec *specs, uint32_t count) {
    tina_cores cores;
    tina_cores_read(&cores);
    TINA_ASSERT(count > 0);
    if (count > TINA_SHARD_COUNT_MAX)
        return refuse(&specs[0], "there are more specs than 255; a handle has no room for them");
    return specs_run(specs, count, count, &cores);
}
