// SPDX-License-Identifier: Apache-2.0

#include "sim/shrink.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/assert.h"
#include "sim/seek.h"
#include "sim/shrink_state.h"

#define RUNS_DEFAULT    20000u
#define SECONDS_DEFAULT 60u
#define EVENTS_LEAST    40u // boot and an exchange: less is not looked for
#define EVENTS_FEW      60u // less is not looked for again

static uint64_t wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t children_cpu_ms(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000u;
}

bool shrink_is_spent(const shrink_state *self) {
    return self->runs >= self->runs_max || wall_ns() >= self->end_ns;
}

static bool run_fails(shrink_state *self, const sim_plan *plan, bool watched,
                      sim_outcome *outcome) {
    self->runs++;
    sim_attempt_run(self->attempt, plan, watched, NULL, NULL, outcome);
    self->cut = self->cut || strcmp(outcome->checker, SIM_NO_END) == 0;
    return outcome->ran && outcome->failed && strcmp(outcome->checker, self->checker) == 0;
}

// Patience that has been cut is enough for a world in which no fault strikes, and all of it is not
// for this one.
static bool patience_is_fair(shrink_state *self, const sim_plan *plan) {
    sim_outcome outcome = {.failed = true};
    sim_plan other;
    if (plan->liveness_ns == 0 || strcmp(self->checker, SIM_LIVENESS) != 0)
        return true;
    for (int calm = 0; calm < 2 && outcome.failed; calm++) {
        sim_plan_control(&other, plan, calm);
        (void)run_fails(self, &other, false, &outcome);
    }
    other = *plan; // borrows what is kept
    other.liveness_ns = 0;
    return !outcome.failed && run_fails(self, &other, false, &outcome);
}

bool shrink_fails(shrink_state *self, const sim_plan *plan, bool watched) {
    sim_outcome outcome;
    sim_plan capped = *plan; // borrows what is kept
    capped.events_max = self->allowed;
    bool fails = run_fails(self, &capped, watched, &outcome) && outcome.events <= self->allowed &&
                 (watched || patience_is_fair(self, plan));
    if (fails)
        self->last = outcome;
    if (fails && self->allowed > self->goal)
        self->allowed = outcome.events > self->goal ? outcome.events : self->goal;
    return fails;
}

// Takes candidate over when it fails, and frees it.
bool shrink_try(shrink_state *self, sim_plan *candidate) {
    bool fails = !shrink_is_spent(self) && shrink_fails(self, candidate, false);
    if (fails) {
        sim_plan_copy(self->plan, candidate);
        self->shrunk = true;
    }
    sim_plan_free(candidate);
    return fails;
}

// Takes over a candidate with fewer events only, whatever the goal, and frees it.
bool shrink_try_fewer(shrink_state *self, sim_plan *candidate) {
    uint64_t allowed = self->allowed;
    self->allowed = self->last.events - 1;
    bool fails = shrink_try(self, candidate);
    self->allowed = !fails                           ? allowed
                    : self->last.events > self->goal ? self->last.events
                                                     : self->goal;
    return fails;
}

// A run is told from its seed: what was asked for by its decisions has no other. What has no end
// takes too long to be tried often.
static bool may_seek(const shrink_state *self) {
    return !self->given->kept && strcmp(self->checker, SIM_NO_END) != 0 &&
           strcmp(self->checker, SIM_NOT_TWICE) != 0;
}

// A world that is calm but for what the failure needs is the better one to seek near.
#define SEEK_ROUNDS 8u

#define SEEK_ON_NS UINT64_C(1000000000) // once the goal is reached

static bool seek_once(shrink_state *self, uint64_t end_ns) {
    uint64_t now_ns = wall_ns();
    uint64_t events = self->last.events;
    sim_plan found = {0};
    sim_seek seek = {
        .given = self->given,
        .best = self->plan,
        .checker = self->checker,
        .events_max = events - events / 16 - 1,
        .first = self->seek_next,
        .jobs = self->jobs,
    };
    if (now_ns >= end_ns)
        return false;
    seek.wall_ns = end_ns - now_ns;
    uint64_t runs = sim_seek_run(&seek, &found);
    self->sought += seek.first - self->seek_next;
    self->seek_next = seek.first;
    if (runs == 0)
        return false;
    shrink_try_fewer(self, &found);
    return true;
}

static bool seek(shrink_state *self, uint64_t most_ns) {
    uint64_t before = self->last.events;
    uint64_t end_ns = wall_ns() + most_ns;
    bool within = false;
    while (may_seek(self) && !shrink_is_spent(self)) {
        uint64_t on_ns = wall_ns() + SEEK_ON_NS;
        if (!within && self->last.events <= self->goal && on_ns < end_ns)
            end_ns = on_ns;
        within = self->last.events <= self->goal;
        if (!seek_once(self, end_ns))
            break;
    }
    return self->last.events < before;
}

static bool is_worth_more(const shrink_state *self) {
    return self->last.events > self->goal && self->last.events > EVENTS_FEW;
}

// What the proof may take, and more where the search comes to rest before its time.
#define PROOF_PART 4u

static void search(shrink_state *self, uint64_t seek_ns) {
    shrink_checks(self);
    seek(self, seek_ns);
    shrink_all(self);
    for (uint32_t i = 1; i < SEEK_ROUNDS && is_worth_more(self); i++)
        if (seek(self, seek_ns))
            shrink_all(self);
}

static void prove(shrink_state *self, const sim_shrink_limits *limits, uint64_t end_ns) {
    self->end_ns = end_ns;
    self->runs_max = limits && limits->proof_runs ? self->runs + limits->proof_runs : UINT32_MAX;
    shrink_work_forget(self);
    shrink_prove(self);
}

void sim_shrink(sim_plan *plan, const char *checker, const sim_shrink_limits *limits,
                sim_shrunk *shrunk) {
    sim_plan given = {0};
    uint64_t seconds = limits && limits->seconds ? limits->seconds : SECONDS_DEFAULT;
    uint64_t all_ns = seconds * 1000000000u;
    uint64_t end_ns = wall_ns() + all_ns;
    shrink_state self = {
        .attempt = sim_attempt_open(),
        .plan = plan,
        .checker = checker,
        .runs_max = limits && limits->runs ? limits->runs : RUNS_DEFAULT,
        .end_ns = end_ns - all_ns / PROOF_PART,
        .given = &given,
        .allowed = UINT64_MAX,
        .jobs = limits && limits->jobs ? limits->jobs : 1,
    };
    sim_plan_copy(&given, plan);
    uint32_t run_cpu_ms = sim_run_cpu_ms;
    uint64_t begin_ms = children_cpu_ms();
    *shrunk = (sim_shrunk){.repeats = shrink_fails(&self, plan, true)};
    // What fails in another way may do so without end.
    uint64_t limit_ms = 200 + 4 * (children_cpu_ms() - begin_ms);
    if (strcmp(checker, SIM_NO_END) != 0 && limit_ms < sim_run_cpu_ms)
        sim_run_cpu_ms = (uint32_t)limit_ms;
    self.goal = self.last.events / 10 > EVENTS_LEAST ? self.last.events / 10 : EVENTS_LEAST;
    shrunk->events_before = self.last.events;
    shrunk->struck_before = self.last.struck_count;
    if (shrunk->repeats) {
        search(&self, all_ns / 10);
        prove(&self, limits, end_ns);
        sim_run_cpu_ms = run_cpu_ms;
        shrunk->repeats = shrink_fails(&self, plan, true);
    }
    sim_run_cpu_ms = run_cpu_ms;
    shrunk->minimal = self.minimal && shrunk->repeats;
    shrunk->held = self.held;
    shrunk->unknown = self.unknown;
    shrunk->events_alike = self.allowed;
    shrunk->outcome = self.last;
    shrunk->events = self.last.events;
    shrunk->struck = self.last.struck_count;
    shrunk->runs = self.runs;
    shrunk->sought = self.sought;
    sim_plan_free(&given);
    sim_attempt_close(self.attempt);
}
