// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "sim/search.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/assert.h"

_Static_assert(sizeof(sim_failure) <= PIPE_BUF, "a failure is written whole or not at all");

// Written by its worker, read by the parent at any time: figures may be a run old.
typedef struct search_slot {
    atomic_uint_least64_t running; // number + 1 of the run under way; 0: none
    uint64_t events;               // of that one
    sim_totals totals;
} search_slot;

typedef struct search_shared {
    atomic_uint_least64_t next; // run to begin
    atomic_bool stop;
    search_slot slots[SIM_JOBS_MAX];
} search_shared;

typedef struct search_worker {
    pid_t pid; // 0: has ended
    int stderr_fd;
} search_worker;

typedef struct search_state {
    const sim_search *search;
    search_shared *shared;
    int pipe[2]; // failures
    uint64_t runs;
    uint64_t end_ns; // 0: none
    uint64_t said_ns;
    uint64_t begin_ns;
    sim_totals dead; // what died had no time to add up
    search_worker workers[SIM_JOBS_MAX];
    void (*on_failure)(void *, const sim_failure *);
    void *where;
} search_state;

static volatile sig_atomic_t interrupted;

static void interrupt_note(int signal) {
    (void)signal;
    interrupted = 1;
}

// Only so that poll ends.
static void child_note(int signal) {
    (void)signal;
}

static uint64_t wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t runs_of(const sim_search *search) {
    uint64_t most = UINT64_MAX / 2 / search->scenario_count;
    uint64_t seeds = search->seed_count < most ? search->seed_count : most;
    return seeds * search->scenario_count;
}

static void failure_of(const search_state *self, uint64_t number, sim_failure *failure) {
    const sim_search *search = self->search;
    failure->number = number;
    failure->scenario = search->scenarios[number % search->scenario_count];
    failure->seed = search->plan.seed + number / search->scenario_count;
}

static void run_again(const sim_plan *plan, sim_outcome *outcome) {
    sim_outcome other;
    sim_plan again = *plan;
    again.fill ^= SIM_OTHER_FILL;
    sim_outcome_run(&again, NULL, NULL, &other);
    outcome->cpu_ns += other.cpu_ns;
    if (other.hash == outcome->hash)
        return;
    outcome->failed = true;
    snprintf(outcome->checker, sizeof outcome->checker, "%s", SIM_NOT_TWICE);
    snprintf(outcome->sentence, sizeof outcome->sentence,
             "the hash of its events is %016llx, and with other bytes in unwritten memory %016llx",
             (unsigned long long)outcome->hash, (unsigned long long)other.hash);
}

static bool is_wanted(const sim_search *search, const sim_outcome *outcome) {
    return (outcome->failed || !outcome->ran) &&
           (!search->checker || strcmp(outcome->checker, search->checker) == 0);
}

// In the worker's process.
static void worker_one(search_state *self, search_slot *slot, uint64_t number) {
    sim_failure failure;
    memset(&failure, 0, sizeof failure);
    failure_of(self, number, &failure);
    sim_plan plan = self->search->plan;
    plan.scenario = failure.scenario;
    plan.seed = failure.seed;
    if (self->search->vary)
        self->search->vary(self->search->vary_where, number, &plan);
    atomic_store(&slot->running, number + 1);
    sim_child_limit();
    sim_outcome_run(&plan, NULL, NULL, &failure.outcome);
    if (self->search->twice && failure.outcome.ran && !failure.outcome.failed)
        run_again(&plan, &failure.outcome);
    sim_probes_take(&slot->totals.probes);
    slot->totals.runs++;
    slot->totals.events += failure.outcome.events;
    slot->totals.turns += failure.outcome.turns;
    slot->totals.cpu_ns += failure.outcome.cpu_ns;
    slot->totals.virtual_ns += failure.outcome.virtual_ns;
    bool wanted = is_wanted(self->search, &failure.outcome);
    if (wanted && self->search->confirm)
        wanted = self->search->confirm(&plan);
    if (wanted) {
        slot->totals.failures++;
        if (self->search->until_failure)
            atomic_store(&self->shared->stop, true);
        ssize_t written = write(self->pipe[1], &failure, sizeof failure);
        TINA_ASSERT(written == (ssize_t)sizeof failure);
    }
    atomic_store(&slot->running, 0);
}

static void worker_run(search_state *self, uint32_t which) {
    search_shared *shared = self->shared;
    sim_child_begin(self->workers[which].stderr_fd);
    sim_child_count(&shared->slots[which].events);
    while (!atomic_load(&shared->stop)) {
        uint64_t number = atomic_fetch_add(&shared->next, 1);
        if (number >= self->runs)
            break;
        worker_one(self, &shared->slots[which], number);
    }
    _exit(0);
}

static void worker_start(search_state *self, uint32_t which) {
    search_worker *worker = &self->workers[which];
    if (worker->stderr_fd < 0)
        worker->stderr_fd = sim_child_stderr();
    int cut = ftruncate(worker->stderr_fd, 0);
    TINA_ASSERT(cut == 0);
    lseek(worker->stderr_fd, 0, SEEK_SET);
    fflush(NULL);
    worker->pid = fork();
    TINA_ASSERT(worker->pid >= 0);
    if (worker->pid == 0) {
        close(self->pipe[0]);
        signal(SIGINT, SIG_IGN);
        worker_run(self, which);
    }
}

static void worker_died(search_state *self, uint32_t which, int status) {
    search_slot *slot = &self->shared->slots[which];
    uint64_t running = atomic_exchange(&slot->running, 0);
    sim_failure failure;
    TINA_ASSERT(running > 0);
    failure_of(self, running - 1, &failure);
    sim_outcome_of_death(&failure.outcome, status, self->workers[which].stderr_fd);
    failure.outcome.events = slot->events;
    self->dead.runs++;
    if (is_wanted(self->search, &failure.outcome)) {
        self->dead.failures++;
        self->on_failure(self->where, &failure);
        if (self->search->until_failure)
            atomic_store(&self->shared->stop, true);
    }
    worker_start(self, which);
}

static void failures_take(search_state *self) {
    sim_failure failure;
    struct pollfd poll_fd = {.fd = self->pipe[0], .events = POLLIN};
    while (poll(&poll_fd, 1, 0) == 1) {
        ssize_t got = read(self->pipe[0], &failure, sizeof failure);
        TINA_ASSERT(got == (ssize_t)sizeof failure);
        self->on_failure(self->where, &failure);
    }
}

// Returns whether any still works.
static bool workers_reap(search_state *self) {
    bool working = false;
    for (uint32_t i = 0; i < self->search->jobs; i++) {
        int status;
        search_worker *worker = &self->workers[i];
        if (worker->pid && waitpid(worker->pid, &status, WNOHANG) == worker->pid) {
            worker->pid = 0;
            if (self->shared->slots[i].running)
                worker_died(self, i, status);
        }
        working = working || worker->pid;
    }
    return working;
}

static void totals_sum(const search_state *self, sim_totals *totals) {
    *totals = self->dead;
    for (uint32_t i = 0; i < self->search->jobs; i++) {
        const sim_totals *one = &self->shared->slots[i].totals;
        totals->runs += one->runs;
        totals->failures += one->failures;
        totals->events += one->events;
        totals->turns += one->turns;
        totals->virtual_ns += one->virtual_ns;
        totals->cpu_ns += one->cpu_ns;
        sim_probes_add(&totals->probes, &one->probes);
    }
    totals->wall_ns = wall_ns() - self->begin_ns;
}

static void progress_say(search_state *self) {
    uint64_t now_ns = wall_ns();
    sim_totals totals;
    if (!self->search->progress || now_ns - self->said_ns < 1000000000u)
        return;
    self->said_ns = now_ns;
    totals_sum(self, &totals);
    double seconds = (double)totals.wall_ns / 1e9;
    fprintf(stderr,
            "%llu runs, %llu failed; a second: %.0f runs, %.2f M turns, %.2f M events, "
            "%.0f s simulated\n",
            (unsigned long long)totals.runs, (unsigned long long)totals.failures,
            (double)totals.runs / seconds, (double)totals.turns / seconds / 1e6,
            (double)totals.events / seconds / 1e6, (double)totals.virtual_ns / 1e9 / seconds);
}

static void search_watch(search_state *self) {
    struct pollfd poll_fd = {.fd = self->pipe[0], .events = POLLIN};
    do {
        poll(&poll_fd, 1, 20);
        failures_take(self);
        if (interrupted || (self->end_ns && wall_ns() >= self->end_ns))
            atomic_store(&self->shared->stop, true);
        progress_say(self);
    } while (workers_reap(self));
    failures_take(self);
}

void sim_search_run(const sim_search *search, sim_totals *totals,
                    void (*on_failure)(void *where, const sim_failure *failure), void *where) {
    search_state *self = calloc(1, sizeof *self);
    struct sigaction outer[2];
    const struct sigaction inner[2] = {{.sa_handler = interrupt_note}, {.sa_handler = child_note}};
    TINA_ASSERT(self != NULL && search->jobs >= 1 && search->jobs <= SIM_JOBS_MAX);
    *self = (search_state){.search = search, .on_failure = on_failure, .where = where};
    self->shared =
        mmap(NULL, sizeof *self->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TINA_ASSERT(self->shared != MAP_FAILED && pipe(self->pipe) == 0);
    self->runs = search->first + runs_of(search);
    self->begin_ns = wall_ns();
    self->said_ns = self->begin_ns;
    uint64_t most_ns = search->seconds * 1000000000u + search->wall_ns;
    self->end_ns = most_ns ? self->begin_ns + most_ns : 0;
    self->shared->next = search->first;
    interrupted = 0;
    sigaction(SIGINT, &inner[0], &outer[0]);
    sigaction(SIGCHLD, &inner[1], &outer[1]);
    for (uint32_t i = 0; i < search->jobs; i++)
        self->workers[i].stderr_fd = -1;
    for (uint32_t i = 0; i < search->jobs; i++)
        worker_start(self, i);
    search_watch(self);
    totals_sum(self, totals);
    sigaction(SIGINT, &outer[0], NULL);
    sigaction(SIGCHLD, &outer[1], NULL);
    for (uint32_t i = 0; i < search->jobs; i++)
        close(self->workers[i].stderr_fd);
    close(self->pipe[0]);
    close(self->pipe[1]);
    munmap(self->shared, sizeof *self->shared);
    free(self);
}
