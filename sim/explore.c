// SPDX-License-Identifier: Apache-2.0

#include "sim/explore.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/explore_args.h"
#include "sim/failures.h"
#include "sim/trace.h"
#include "sim/verify.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

static void scenarios_list(const tina_scenario *const *scenarios) {
    for (uint32_t i = 0; scenarios[i]; i++)
        printf("%s\n", scenarios[i]->name);
}

static void totals_print(const sim_totals *totals, uint32_t jobs) {
    double wall = (double)totals->wall_ns / 1e9;
    double cpu = (double)totals->cpu_ns / 1e9;
    printf("%llu seeds, %llu failed, in %.1f s on %u process%s, %.1f s of CPU time\n",
           (unsigned long long)totals->runs, (unsigned long long)totals->failures, wall, jobs,
           jobs == 1 ? "" : "es", cpu);
    if (totals->cpu_ns == 0) // none came to its end
        return;
    printf("a second of CPU time: %.0f seeds, %.0f shard-ticks, %.0f events, %.0f simulated "
           "seconds\n",
           (double)totals->runs / cpu, (double)totals->turns / cpu, (double)totals->events / cpu,
           (double)totals->virtual_ns / 1e9 / cpu);
}

static void failure_take(void *failures, const sim_failure *failure) {
    sim_failures_add(failures, failure);
}

// A plan that makes no sense fails alike for all seeds, and is the caller's error.
static bool is_usage(const sim_failure *failure) {
    return failure && !failure->outcome.ran;
}

static int expectation_tell(const sim_explore_args *args, const sim_failure *first) {
    if (!first) {
        printf("expected a failure within %llu seeds, and there was none\n",
               (unsigned long long)args->expected_within);
        return EXIT_FAILED;
    }
    uint64_t seeds = first->seed - args->search.plan.seed + 1;
    printf("found after %llu seeds, as expected within %llu\n", (unsigned long long)seeds,
           (unsigned long long)args->expected_within);
    return 0;
}

// Of each site the run with the fewest events: the least is left to be made smaller.
static void failures_print(const sim_explore_args *args, const sim_failures *failures) {
    const sim_telling telling = {
        .plan = &args->search.plan,
        .command = args->command,
        .after = "",
        .directory = args->directory,
        .shrink = args->shrink,
        .shrink_s = args->shrink_s,
        .jobs = args->search.jobs,
    };
    for (uint32_t i = 0; i < failures->count; i++) {
        sim_failure_print(&telling, &failures->least[i]);
        printf("%llu run%s failed here, first that of seed %llu\n\n",
               (unsigned long long)failures->times[i], failures->times[i] == 1 ? "" : "s",
               (unsigned long long)failures->first[i].seed);
    }
    if (failures->beyond)
        printf("%llu failures at sites beyond the first %u are not shown\n",
               (unsigned long long)failures->beyond, SIM_SITES_MAX);
}

static int seeds_explore(const sim_explore_args *args) {
    static sim_failures failures;
    sim_totals totals;
    failures = (sim_failures){0};
    sim_search_run(&args->search, &totals, failure_take, &failures);
    const sim_failure *first = sim_failures_first(&failures);
    if (is_usage(first)) {
        fprintf(stderr, "%s: %s\n", first->scenario->name, first->outcome.sentence);
        return EXIT_USAGE;
    }
    failures_print(args, &failures);
    totals_print(&totals, args->search.jobs);
    if (args->expected_within)
        return expectation_tell(args, first);
    bool reached = !args->probes || sim_probes_print(&totals.probes);
    return totals.failures || !reached ? EXIT_FAILED : 0;
}

static int seeds_verify(const sim_explore_args *args) {
    sim_verified verified;
    if (!sim_verify(&args->search, &verified)) {
        fprintf(stderr, "%s\n", verified.text);
        return EXIT_USAGE;
    }
    if (verified.differ) {
        printf("%sagain:\n  %s%s --verify\n", verified.text, args->command, verified.again);
        return EXIT_FAILED;
    }
    printf("%llu seeds, each run twice, have the same events: %llu in all\n",
           (unsigned long long)verified.runs, (unsigned long long)verified.events);
    return 0;
}

static int trace_replay(const sim_explore_args *args, const tina_scenario *const *scenarios) {
    sim_replayed replayed;
    if (!sim_trace_replay(args->replay, scenarios, &replayed)) {
        fprintf(stderr, "%s\n", replayed.text);
        return EXIT_USAGE;
    }
    fputs(replayed.text, stdout);
    return replayed.same ? 0 : EXIT_FAILED;
}

static int trace_record(const sim_explore_args *args) {
    sim_outcome outcome;
    char sentence[TINA_SENTENCE_BYTES];
    sim_plan plan = args->search.plan;
    plan.scenario = args->search.scenarios[0];
    if (!sim_trace_write(args->trace, &plan, &outcome, sentence)) {
        fprintf(stderr, "%s\n", sentence);
        return EXIT_USAGE;
    }
    if (outcome.failed)
        printf("failed: %s: %s\n", outcome.checker, outcome.sentence);
    printf("%s: %llu events, hash %016llx\n", args->trace, (unsigned long long)outcome.events,
           (unsigned long long)outcome.hash);
    return outcome.failed ? EXIT_FAILED : 0;
}

int tina_explore(int argc, char **argv, const tina_scenario *const *scenarios, const char *target) {
    static sim_explore_args args;
    char sentence[TINA_SENTENCE_BYTES];
    if (argc >= 2 && strcmp(argv[1], SIM_VERIFY_CHILD) == 0)
        return sim_verify_child(argc, argv, scenarios);
    if (!sim_explore_args_read(&args, argc, argv, scenarios, target, sentence)) {
        fprintf(stderr, "%s: %s; --help says what there is\n", basename(argv[0]), sentence);
        return EXIT_USAGE;
    }
    int code = 0;
    switch (args.what) {
    case SIM_EXPLORE_SEEDS:
        code = seeds_explore(&args);
        break;
    case SIM_EXPLORE_VERIFY:
        code = seeds_verify(&args);
        break;
    case SIM_EXPLORE_TRACE:
        code = trace_record(&args);
        break;
    case SIM_EXPLORE_REPLAY:
        code = trace_replay(&args, scenarios);
        break;
    case SIM_EXPLORE_LIST:
        scenarios_list(scenarios);
        break;
    case SIM_EXPLORE_HELP:
        fputs(sim_explore_help, stdout);
        break;
    }
    sim_plan_free(&args.search.plan);
    return code;
}
