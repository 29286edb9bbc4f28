// SPDX-License-Identifier: Apache-2.0
//
// Two threads: the shard's, which does everything, and the main one, which waits for signals and
// for the shard to end. They share two words, a request and a result, and an eventfd each way.

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

#include "arena/arena.h"
#include "core/assert.h"
#include "core/atomic.h"
#include "core/format.h"
#include "reactor/reactor.h"
#include "sched/backend.h"
#include "sched/layout.h"
#include "sched/shard.h"
#include "sched/shard_thread.h"
#include "sched/stderr_sink.h"
#include "supervise/window.h"

enum {
    REQUEST_NONE = 0,
    REQUEST_SHUTDOWN, // the first signal
    REQUEST_FORCE,    // the second
};

enum {
    STATUS_DRAINED = 0,
    STATUS_NOT_STARTED = 1,
    STATUS_FORCED = 3,
    STATUS_GAVE_UP = 4,
};

typedef struct system_state {
    const tina_spec *spec; // resolved
    tina_arena arena;
    tina_stderr_sink sink;
    tina_shard_options options;
    tina_shard_thread thread;
    tina_symbols symbols;
    tina_shard *shard;         // while it is open; the shard's thread's
    bool broken;               // and was not rebuilt
    int done_fd;               // readable once the shard has ended
    int status;                // the shard's, read after it was joined
    tina_atomic_u32 requested; // main → shard; stored before the wake, loaded after waiting
    tina_window rebuilds;
    uint64_t rebuild_times[TINA_REBUILD_MAX];
    pthread_mutex_t waking; // held while `reactor` is woken, so that it cannot close meanwhile
    tina_reactor *reactor;  // whom to wake, while it is open
} system_state;

static void sentence_write(const char *name, const char *sentence) {
    char line[2 * TINA_SENTENCE_BYTES + 64];
    size_t bytes = tina_format(line, sizeof line, "%s: %s\n", name, sentence);
    if (bytes >= sizeof line)
        bytes = sizeof line - 1;
    ssize_t written = write(STDERR_FILENO, line, bytes);
    (void)written;
}

static tina_time time_now(void) {
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

// The phases of a shutdown: told, drained within a deadline, then forced.
typedef struct shutdown_state {
    bool told;
    bool forced;
    uint64_t deadline_ns;
    uint32_t forced_count;
} shutdown_state;

static void shutdown_advance(system_state *system, tina_shard *shard, shutdown_state *shutdown,
                             bool stop, uint64_t now_ns) {
    uint32_t requested = tina_atomic_u32_load_acquire(&system->requested);
    uint64_t timeout_ns = system->spec->shutdown_timeout_ns;
    uint64_t deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    if (!shutdown->told && (stop || requested != REQUEST_NONE)) {
        shutdown->told = true;
        shutdown->deadline_ns = deadline_ns;
        tina_shard_shutdown(shard);
    }
    bool late = shutdown->told && now_ns >= shutdown->deadline_ns;
    if (!shutdown->forced && (late || requested == REQUEST_FORCE)) {
        shutdown->forced = true;
        shutdown->forced_count = tina_shard_force(shard);
        // What drains after that is given the same time again; a zombie is not waited for longer.
        shutdown->deadline_ns = deadline_ns;
    }
}

// Why a shard begins anew: a fault that is not provably one handler's, or a tree that gave up.
static void rebuild_reason(const system_state *system, const tina_fault *broken,
                           char why[TINA_SENTENCE_BYTES]) {
    char reason[TINA_FAULT_TEXT_BYTES + 64];
    char where[96];
    if (!broken) {
        tina_format(why, TINA_SENTENCE_BYTES, "the root of the tree has given up");
        return;
    }
    tina_fault_describe(broken, reason, sizeof reason);
    tina_symbols_name(&system->symbols, broken->pc, where, sizeof where);
    tina_format(why, TINA_SENTENCE_BYTES, "a fault that is not one handler's alone: %s in %s",
                reason, where);
}

// What is broken or has given up is begun anew, so often and no more.
static bool shard_rebuild(system_state *system, tina_shard *shard, const tina_fault *broken,
                          uint64_t now_ns) {
    char sentence[2 * TINA_SENTENCE_BYTES];
    char why[TINA_SENTENCE_BYTES];
    const tina_spec *spec = system->spec;
    rebuild_reason(system, broken, why);
    if (!tina_window_add(&system->rebuilds, now_ns)) {
        tina_format(sentence, sizeof sentence,
                    "%s, and the shard was rebuilt %u times within %llu s; it ends", why,
                    spec->rebuild_max, (unsigned long long)(spec->rebuild_period_ns / 1000000000));
        sentence_write(spec->name, sentence);
        return false;
    }
    if (broken)
        sentence_write(spec->name, why);
    if (!tina_shard_rebuild(shard)) {
        sentence_write(spec->name, "the shard cannot be rebuilt: an operation of the kernel does "
                                   "not end; it ends");
        return false;
    }
    tina_format(sentence, sizeof sentence, "the shard is rebuilt, number %u within %llu s",
                system->rebuilds.count, (unsigned long long)(spec->rebuild_period_ns / 1000000000));
    sentence_write(spec->name, sentence);
    return true;
}

static int shard_serve(system_state *system, tina_shard *shard) {
    tina_reactor *reactor = tina_shard_reactor(shard);
    shutdown_state shutdown = {0};
    bool rebuilt = false;
    char sentence[TINA_SENTENCE_BYTES];
    tina_tick tick = {0};
    for (;;) {
        tina_time now = time_now();
        shutdown_advance(system, shard, &shutdown, tick.stop || tick.failed, now.monotonic_ns);
        tick = tina_shard_tick(shard, now);
        bool anew = tick.gave_up || (tick.failed && rebuilt);
        if (tick.broken || (anew && !shutdown.told)) {
            system->broken = tick.broken != NULL;
            if (shutdown.told) {
                rebuild_reason(system, tick.broken, sentence);
                sentence_write(system->spec->name, sentence);
                return STATUS_FORCED;
            }
            if (!shard_rebuild(system, shard, tick.broken, now.monotonic_ns))
                return STATUS_GAVE_UP;
            system->broken = false;
            rebuilt = true;
            tick = (tina_tick){.busy = true};
            continue;
        }
        bool given_up = shutdown.forced && now.monotonic_ns >= shutdown.deadline_ns;
        if (tick.ended || given_up)
            break;
        bool busy = tick.busy || (!shutdown.told && (tick.stop || tick.failed));
        uint64_t until_ns = tick.until_ns;
        if (shutdown.told && shutdown.deadline_ns < until_ns)
            until_ns = shutdown.deadline_ns;
        int result = tina_reactor_wait(reactor, now.monotonic_ns, busy ? 0 : until_ns);
        TINA_ASSERT(result == 0);
    }
    if (tick.failed)
        return STATUS_NOT_STARTED;
    // Forced isolates, or one whose op never came back: what drained is not all.
    if (shutdown.forced_count || !tick.ended)
        return STATUS_FORCED;
    return tick.stop ? tick.stop_status : STATUS_DRAINED;
}

static void reactor_announce(system_state *system, tina_reactor *reactor) {
    pthread_mutex_lock(&system->waking);
    system->reactor = reactor;
    pthread_mutex_unlock(&system->waking);
}

static int shard_run(system_state *system) {
    const tina_arena_commit_options commit = {0};
    char sentence[TINA_SENTENCE_BYTES];
    int result = tina_arena_commit(&system->arena, &commit);
    if (result != 0) {
        tina_format(sentence, sizeof sentence,
                    "the shard's arena of %zu bytes cannot be had: %s; lower the spec's counts",
                    tina_arena_size(&system->arena), tina_io_error_text(result));
        sentence_write(system->spec->name, sentence);
        return STATUS_NOT_STARTED;
    }
    tina_shard *shard;
    system->options.now = time_now();
    result = tina_shard_open(&system->arena, system->spec, &system->options, &shard, sentence);
    if (result != 0) {
        sentence_write(system->spec->name, sentence);
        return STATUS_NOT_STARTED;
    }
    system->shard = shard;
    reactor_announce(system, tina_shard_reactor(shard));
    int status = shard_serve(system, shard);
    reactor_announce(system, NULL);
    system->shard = NULL;
    // Of a broken shard nothing is taken down: its ops and fds end with the process.
    if (!system->broken)
        tina_shard_close(shard);
    return status;
}

static void *shard_thread(void *argument) {
    system_state *system = argument;
    system->status = shard_run(system);
    uint64_t one = 1;
    ssize_t written = write(system->done_fd, &one, sizeof one);
    TINA_ASSERT(written == sizeof one);
    return NULL;
}

static void request(system_state *system, uint32_t what) {
    tina_atomic_u32_store_release(&system->requested, what);
    pthread_mutex_lock(&system->waking);
    if (system->reactor)
        tina_reactor_wake(system->reactor);
    pthread_mutex_unlock(&system->waking);
}

// A signal that came too late to matter must not strike when the mask is lifted.
static void signals_discard(int signal_fd) {
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) == sizeof info)
        continue;
}

static void signals_serve(system_state *system, int signal_fd) {
    struct pollfd polled[2] = {{.fd = signal_fd, .events = POLLIN},
                               {.fd = system->done_fd, .events = POLLIN}};
    uint32_t signals = 0;
    for (;;) {
        int ready = poll(polled, 2, -1);
        if (ready < 0 && errno == EINTR)
            continue;
        TINA_ASSERT(ready > 0);
        if (polled[1].revents)
            return;
        struct signalfd_siginfo info;
        if (read(signal_fd, &info, sizeof info) == sizeof info)
            request(system, ++signals == 1 ? REQUEST_SHUTDOWN : REQUEST_FORCE);
    }
}

// The fds that are ours beside the spec's: standard streams, ring, eventfds, log, and some to
// spare.
#define FDS_BESIDE 32

static bool fd_limit_raise(const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]) {
    struct rlimit limit;
    uint64_t wanted = (uint64_t)spec->fd_count + FDS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    rlim_t most = limit.rlim_max;
    limit.rlim_cur = wanted < most ? wanted : most;
    if (wanted <= most && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    tina_format(sentence, TINA_SENTENCE_BYTES,
                "fd_count is %u, but this process may open %llu files (RLIMIT_NOFILE); lower "
                "fd_count or raise the limit",
                spec->fd_count, (unsigned long long)most);
    return false;
}

static int threads_run(system_state *system, const sigset_t *signals) {
    int signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
    system->done_fd = eventfd(0, EFD_CLOEXEC);
    if (signal_fd < 0 || system->done_fd < 0 ||
        tina_shard_thread_start(&system->thread, shard_thread, system) != 0) {
        sentence_write(system->spec->name, "no thread, stack or file descriptor can be had from "
                                           "the system; raise its limits");
        system->status = STATUS_NOT_STARTED;
    } else {
        signals_serve(system, signal_fd);
        tina_shard_thread_join(&system->thread);
        signals_discard(signal_fd);
    }
    if (signal_fd >= 0)
        close(signal_fd);
    if (system->done_fd >= 0)
        close(system->done_fd);
    return system->status;
}

// Before the process ends by a signal: what the log holds, then why.
static void say_last(void *system_, const char *text, size_t bytes) {
    system_state *system = system_;
    if (pthread_equal(pthread_self(), system->thread.id) && system->shard)
        tina_shard_flush_log(system->shard);
    ssize_t written = write(STDERR_FILENO, text, bytes);
    (void)written;
}

static int system_run(const tina_spec *resolved) {
    char sentence[TINA_SENTENCE_BYTES];
    if (!fd_limit_raise(resolved, sentence)) {
        sentence_write(resolved->name, sentence);
        return STATUS_NOT_STARTED;
    }
    system_state system = {.spec = resolved, .waking = PTHREAD_MUTEX_INITIALIZER};
    tina_window_init(&system.rebuilds, system.rebuild_times, resolved->rebuild_max,
                     resolved->rebuild_period_ns);
    tina_stderr_sink_open(&system.sink, STDERR_FILENO);
    const tina_reactor_backend *backend = tina_backend_choose(resolved->backend, sentence);
    if (*sentence)
        sentence_write(resolved->name, sentence);
    system.options = (tina_shard_options){
        .backend = backend,
        .log_write = tina_stderr_sink_write,
        .log_where = &system.sink,
        .trap = &system.thread.trap,
        .symbolise = tina_shard_symbolise,
        .symbolise_where = &system.symbols,
    };
    uint64_t bytes = tina_shard_bytes(resolved, &system.options);
    int result = tina_arena_reserve(&system.arena, bytes);
    if (result != 0) {
        tina_format(sentence, sizeof sentence,
                    "the shard needs %llu bytes of address space: %s; lower the spec's counts",
                    (unsigned long long)bytes, tina_io_error_text(result));
        sentence_write(resolved->name, sentence);
        tina_stderr_sink_close(&system.sink);
        return STATUS_NOT_STARTED;
    }
    // Blocked before the shard's thread exists, so that it inherits the mask and only signal_fd
    // sees them. SIGPIPE is the log's, whose reader may be gone.
    sigset_t signals;
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    blocked = signals;
    sigaddset(&blocked, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    tina_shard_signals_open(&system.symbols, say_last, &system);
    int status = threads_run(&system, &signals);
    tina_shard_signals_close(&system.symbols);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    tina_arena_release(&system.arena);
    tina_stderr_sink_close(&system.sink);
    return status;
}

int tina_run(const tina_spec *spec) {
    tina_spec resolved;
    char sentence[TINA_SENTENCE_BYTES];
    if (!tina_spec_resolve(spec, &resolved, sentence)) {
        sentence_write(spec->name ? spec->name : "tina", sentence);
        return STATUS_NOT_STARTED;
    }
    return system_run(&resolved);
}

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
