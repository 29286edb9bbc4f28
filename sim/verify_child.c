// SPDX-License-Identifier: Apache-2.0

#include "sim/verify_child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sim/attempt.h"

// Differs from every seed that the pair runs by so much.
#define WARM_UP UINT64_C(0x5A5A5A5A00000000)

void sim_verify_task_print(const sim_verify_task *task, uint32_t which, char *out,
                           size_t capacity) {
    snprintf(out, capacity, "%u %d %u %llu %llu %llu", which, (int)task->what, task->count,
             (unsigned long long)task->seed, (unsigned long long)task->from,
             (unsigned long long)task->to);
}

static bool task_read(const char *text, sim_verify_task *task, uint32_t *which) {
    int what;
    unsigned long long seed;
    unsigned long long from;
    unsigned long long to;
    if (sscanf(text, "%u %d %u %llu %llu %llu", which, &what, &task->count, &seed, &from, &to) != 6)
        return false;
    task->what = (sim_verify_what)what;
    task->seed = seed;
    task->from = from;
    task->to = to;
    return true;
}

static void event_print(void *task_, const tina_sim_event_view *event) {
    const sim_verify_task *task = task_;
    if (event->number >= task->from && event->number < task->to)
        printf("%s\n", event->line);
}

static void marks_print(const sim_plan *plan) {
    tina_sim_options options = sim_plan_options(plan);
    tina_sim_report report;
    char sentence[TINA_SENTENCE_BYTES];
    if (!tina_simulate(plan->scenario, &options, &report, sentence))
        return;
    for (uint32_t i = 0; i < report.mark_count; i++)
        printf("%016llx\n", (unsigned long long)report.marks[i]);
    tina_sim_report_end(&report);
}

static void run_print(const sim_plan *plan, sim_verify_task *task) {
    bool is_asked = task->what != SIM_VERIFY_HASHES && plan->seed == task->seed;
    if (is_asked && task->what == SIM_VERIFY_MARKS) {
        marks_print(plan);
        return;
    }
    sim_outcome outcome;
    sim_outcome_run(plan, is_asked ? event_print : NULL, task, &outcome);
    if (task->what == SIM_VERIFY_HASHES)
        printf("%016llx %llu\n", (unsigned long long)outcome.hash,
               (unsigned long long)outcome.events);
    fflush(stdout);
}

// Also where an allocator has the same addresses in every process, as a sanitizer's has, whoever
// comes after these gets others.
static void heap_shift(void) {
    static void *held[16];
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        held[i] = malloc((size_t)24 << i);
}

// The second has a past.
static void warm_up(const sim_plan *plan) {
    sim_outcome outcome;
    heap_shift();
    sim_plan other = *plan;
    other.seed ^= WARM_UP;
    sim_outcome_run(&other, NULL, NULL, &outcome);
}

static void plans_run(sim_plan *plan, sim_verify_task *task, uint32_t which) {
    uint64_t first = plan->seed;
    if (which)
        warm_up(plan);
    for (uint32_t i = 0; i < task->count; i++) {
        plan->seed = first + (which ? task->count - 1 - i : i);
        run_print(plan, task);
        if (task->what != SIM_VERIFY_HASHES && plan->seed == task->seed)
            return;
    }
}

static const tina_scenario *scenario_take(const tina_scenario *const *scenarios, char *words,
                                          const char **rest) {
    const char prefix[] = "--scenario ";
    if (strncmp(words, prefix, sizeof prefix - 1) != 0)
        return NULL;
    char *name = words + sizeof prefix - 1;
    size_t bytes = strcspn(name, " ");
    *rest = name + bytes;
    for (uint32_t i = 0; scenarios[i]; i++)
        if (strlen(scenarios[i]->name) == bytes && memcmp(scenarios[i]->name, name, bytes) == 0)
            return scenarios[i];
    return NULL;
}

int sim_verify_child(int argc, char **argv, const tina_scenario *const *scenarios) {
    sim_verify_task task;
    uint32_t which;
    sim_plan plan = {0};
    const char *rest = "";
    char sentence[TINA_SENTENCE_BYTES];
    const struct rlimit none = {0, 0};
    if (argc < 4 || !task_read(argv[2], &task, &which))
        return 2;
    plan.scenario = scenario_take(scenarios, argv[3], &rest);
    if (!plan.scenario || !sim_plan_words(&plan, rest, sentence))
        return 2;
    if (argc > 4 && sim_plan_option(&plan, "--keep", argv[4], sentence) != SIM_PLAN_READ_OK)
        return 2;
    setrlimit(RLIMIT_CORE, &none);
    plans_run(&plan, &task, which);
    sim_plan_free(&plan);
    return 0;
}
