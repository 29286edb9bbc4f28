// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "sim/verify.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/assert.h"
#include "sim/verify_child.h"

#define SEEDS_AT_ONCE 64u
#define LINE_BYTES    256u

typedef struct verify_pair {
    const sim_plan *plan; // the first of its seeds
    uint32_t count;
    FILE *out[2];
    pid_t pid[2];
} verify_pair;

// What one seed's runs were.
typedef struct verify_result {
    uint64_t seed;
    char hash[2][17];
    uint64_t events;
} verify_result;

// The second has an environment of another size, and a heap that is filled with other bytes.
static char **environment_of(uint32_t which) {
    static char pad[4000] = "TINA_SIM_PAD=";
    static char perturb[] = "MALLOC_PERTURB_=85";
    uint32_t count = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 3, sizeof *copy);
    TINA_ASSERT(copy != NULL);
    memcpy(copy, environ, count * sizeof *copy);
    if (which == 1) {
        size_t bytes = strlen(pad);
        memset(pad + bytes, 'x', sizeof pad - 1 - bytes);
        copy[count] = pad;
        copy[count + 1] = perturb;
    }
    return copy;
}

static void child_start(verify_pair *self, uint32_t which, const sim_verify_task *task) {
    int fds[2];
    char text[512];
    char set[SIM_PLAN_SET_BYTES + 1024];
    int piped = pipe(fds);
    TINA_ASSERT(piped == 0);
    sim_verify_task_print(task, which, text, sizeof text);
    sim_plan plan = *self->plan;
    plan.kept = NULL;
    plan.fill ^= which ? (plan.seed / SEEDS_AT_ONCE % 2 ? 0xFF : 0xAA) : 0;
    sim_plan_print(&plan, NULL, set, sizeof set);
    size_t kept_bytes = sim_plan_print_kept(self->plan, NULL, 0) + 1;
    char *kept = malloc(kept_bytes);
    TINA_ASSERT(kept != NULL);
    sim_plan_print_kept(self->plan, kept, kept_bytes);
    char *arguments[] = {"explore", SIM_VERIFY_CHILD, text, set, self->plan->kept ? kept : NULL,
                         NULL};
    char **environment = environment_of(which);
    fflush(NULL);
    self->pid[which] = fork();
    TINA_ASSERT(self->pid[which] >= 0);
    if (self->pid[which] == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execve("/proc/self/exe", arguments, environment);
        _exit(127);
    }
    close(fds[1]);
    self->out[which] = fdopen(fds[0], "r");
    TINA_ASSERT(self->out[which] != NULL);
    free(kept);
    free(environment);
}

static void pair_start(verify_pair *self, const sim_verify_task *task) {
    for (uint32_t i = 0; i < 2; i++)
        child_start(self, i, task);
}

static void pair_end(verify_pair *self) {
    for (uint32_t i = 0; i < 2; i++) {
        int status;
        fclose(self->out[i]);
        kill(self->pid[i], SIGKILL);
        while (waitpid(self->pid[i], &status, 0) < 0 && errno == EINTR)
            ;
    }
}

static bool line_read(FILE *file, char line[LINE_BYTES]) {
    line[0] = '\0';
    if (!fgets(line, LINE_BYTES, file))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

// The second process runs them in the opposite order. Returns how many have ended in both.
static uint32_t pair_read(const verify_pair *self, verify_result results[SEEDS_AT_ONCE]) {
    uint32_t ended[2] = {0, 0};
    for (uint32_t which = 0; which < 2; which++) {
        char line[LINE_BYTES];
        while (ended[which] < self->count && line_read(self->out[which], line)) {
            uint32_t at = which ? self->count - 1 - ended[which] : ended[which];
            verify_result *result = &results[at];
            unsigned long long events;
            if (sscanf(line, "%16s %llu", result->hash[which], &events) != 2)
                break;
            result->events = events;
            ended[which]++;
        }
    }
    return ended[0] < ended[1] ? ended[0] : ended[1];
}

// Reads both until a line differs. Returns whether one does; number is then the line's.
static bool difference_find(verify_pair *self, const sim_verify_task *task,
                            char line[2][LINE_BYTES], uint64_t *number) {
    bool differ = false;
    bool there = true;
    pair_start(self, task);
    for (*number = 0; there && !differ; *number += !differ) {
        bool first = line_read(self->out[0], line[0]);
        there = line_read(self->out[1], line[1]) || first;
        differ = strcmp(line[0], line[1]) != 0;
    }
    pair_end(self);
    return differ;
}

static void difference_tell(verify_pair *self, uint64_t seed, sim_verified *verified) {
    char line[2][LINE_BYTES];
    uint64_t mark;
    uint64_t number;
    sim_verify_task task = {SIM_VERIFY_MARKS, self->count, seed, 0, UINT64_MAX};
    bool marked = difference_find(self, &task, line, &mark);
    task.what = SIM_VERIFY_EVENTS;
    task.from = marked ? mark * TINA_SIM_MARK_EVENTS : 0;
    bool found = difference_find(self, &task, line, &number);
    if (!found && task.from) {
        task.from = 0;
        found = difference_find(self, &task, line, &number);
    }
    size_t bytes = strlen(verified->text);
    if (found)
        snprintf(verified->text + bytes, sizeof verified->text - bytes,
                 "the first event that differs:\n  one:   %s\n  other: %s\n",
                 line[0][0] ? line[0] : "(its end)", line[1][0] ? line[1] : "(its end)");
    else
        snprintf(verified->text + bytes, sizeof verified->text - bytes,
                 "their events were the same when they were run once more\n");
}

static void seed_blame(const verify_pair *self, uint64_t seed, sim_verified *verified) {
    sim_plan plan = *self->plan;
    plan.seed = seed;
    verified->differ = true;
    sim_plan_print(&plan, NULL, verified->again, sizeof verified->again);
}

static void pair_verify(verify_pair *self, sim_verified *verified) {
    verify_result results[SEEDS_AT_ONCE] = {0};
    const sim_verify_task task = {SIM_VERIFY_HASHES, self->count, 0, 0, 0};
    pair_start(self, &task);
    uint32_t ended = pair_read(self, results);
    pair_end(self);
    for (uint32_t i = 0; i < self->count && !verified->differ; i++) {
        const verify_result *result = &results[i];
        uint64_t seed = self->plan->seed + i;
        if (!result->hash[0][0] || !result->hash[1][0])
            continue;
        verified->runs++;
        verified->events += result->events;
        if (strcmp(result->hash[0], result->hash[1]) == 0)
            continue;
        snprintf(verified->text, sizeof verified->text, "scenario %s, seed %llu: hash %s and %s\n",
                 self->plan->scenario->name, (unsigned long long)seed, result->hash[0],
                 result->hash[1]);
        difference_tell(self, seed, verified);
        seed_blame(self, seed, verified);
    }
    if (ended == self->count || verified->differ)
        return;
    snprintf(verified->text, sizeof verified->text,
             "scenario %s: a process died within the %u seeds from %llu; they fail without "
             "--verify, too, or memory decides whether they do\n",
             self->plan->scenario->name, self->count, (unsigned long long)self->plan->seed);
    seed_blame(self, self->plan->seed, verified);
    size_t bytes = strlen(verified->again);
    snprintf(verified->again + bytes, sizeof verified->again - bytes, " --seeds %u", self->count);
}

bool sim_verify(const sim_search *search, sim_verified *verified) {
    *verified = (sim_verified){0};
    for (uint32_t i = 0; i < search->scenario_count; i++) {
        sim_outcome outcome;
        sim_plan plan = search->plan;
        plan.scenario = search->scenarios[i];
        sim_attempt *attempt = sim_attempt_open();
        sim_attempt_run(attempt, &plan, false, NULL, NULL, &outcome);
        sim_attempt_close(attempt);
        if (!outcome.ran) {
            snprintf(verified->text, sizeof verified->text, "%s: %s", plan.scenario->name,
                     outcome.sentence);
            return false;
        }
        for (uint64_t done = 0; done < search->seed_count && !verified->differ;) {
            uint64_t left = search->seed_count - done;
            verify_pair pair = {.plan = &plan,
                                .count = left < SEEDS_AT_ONCE ? (uint32_t)left : SEEDS_AT_ONCE};
            plan.seed = search->plan.seed + done;
            pair_verify(&pair, verified);
            done += pair.count;
        }
    }
    return true;
}
