// SPDX-License-Identifier: Apache-2.0

#include "sim/explore_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEDS_DEFAULT 1000u

const char sim_explore_help[] =
    "explore: runs scenarios under many seeds and tells which fail\n"
    "\n"
    "what is run\n"
    "  --scenario NAME|all    default all; --list names them\n"
    "  --seed N               the first (default TINA_SEED or 1); alone, the only one\n"
    "  --seeds N              how many of each scenario (default 1000)\n"
    "  --seconds N            no run begins after so long; without --seeds, as many as there is\n"
    "                         time for\n"
    "  --limit N              seconds of CPU time after which a run is said to have no end\n"
    "                         (default 60)\n"
    "  --jobs N               processes (default: one a processor)\n"
    "how a run is\n"
    "  --set NAME=VALUE,...   settings that win over drawn ones; sim/settings.h lists them\n"
    "  --calm                 starts from calm settings instead of drawn ones\n"
    "  --schedule HOW         turn, shuffle or pct\n"
    "  --shards N             default: drawn\n"
    "  --fill N               the byte that memory holds before it is written (default 0)\n"
    "  --from NS, --until NS  faults strike between them only, in virtual time\n"
    "  --patience NS          so long after faults have stopped it must be done\n"
    "  --keep D,...|@FILE     only these decisions strike; none: no fault does\n"
    "what is done\n"
    "  (by default)           each seed once; failures are shrunk and the exit code is 1\n"
    "  --verify               each seed twice, in unlike processes; their events must be the same\n"
    "  --trace FILE           one seed, its events to a file\n"
    "  --replay FILE          the run of a trace again; tells the first line that differs\n"
    "  --expect-failure-within N  at most N seeds; exit code 1 when none of them fails\n"
    "  --probes               which rare places of the code were reached; exit code 1 when one\n"
    "                         never was\n"
    "what is told\n"
    "  --no-shrink            failures as they are found\n"
    "  --shrink-seconds N     at the most, to make each smaller and to prove that no single thing\n"
    "                         more can be left out (default 60)\n"
    "  --failures DIR         a file for each failure\n";

typedef struct args_state {
    sim_explore_args *args;
    const tina_scenario *const *scenarios;
    uint64_t seed_count; // 0: not given
    char *sentence;
} args_state;

// Returns NULL, or what the option takes.
typedef const char *args_read_value(args_state *self, const char *value);

static void scenario_add(sim_explore_args *args, const tina_scenario *scenario) {
    args->scenarios[args->search.scenario_count++] = scenario;
}

static const char *scenario_read(args_state *self, const char *value) {
    static char wanted[80];
    bool all = strcmp(value, "all") == 0;
    self->args->search.scenario_count = 0;
    for (uint32_t i = 0; self->scenarios[i] && i < SIM_SCENARIOS_MAX; i++)
        if (all || strcmp(self->scenarios[i]->name, value) == 0)
            scenario_add(self->args, self->scenarios[i]);
    if (self->args->search.scenario_count)
        return NULL;
    snprintf(wanted, sizeof wanted, "a scenario that --list names");
    return wanted;
}

static const char *seeds_read(args_state *self, const char *value) {
    return sim_number_read(value, &self->seed_count) && self->seed_count ? NULL
                                                                         : "a number from 1 on";
}

static const char *seconds_read(args_state *self, const char *value) {
    uint64_t *seconds = &self->args->search.seconds;
    return sim_number_read(value, seconds) && *seconds && *seconds < 1u << 30
               ? NULL
               : "a number from 1 on";
}

static const char *shrink_seconds_read(args_state *self, const char *value) {
    uint64_t seconds;
    if (!sim_number_read(value, &seconds) || seconds < 1 || seconds > 86400)
        return "a number from 1 to 86400";
    self->args->shrink_s = (uint32_t)seconds;
    return NULL;
}

static const char *jobs_read(args_state *self, const char *value) {
    uint64_t jobs;
    if (!sim_number_read(value, &jobs) || jobs < 1 || jobs > SIM_JOBS_MAX)
        return "a number from 1 to 256";
    self->args->search.jobs = (uint32_t)jobs;
    return NULL;
}

static const char *limit_read(args_state *self, const char *value) {
    uint64_t limit;
    (void)self;
    if (!sim_number_read(value, &limit) || limit < 1 || limit > 86400)
        return "a number from 1 to 86400";
    sim_run_cpu_ms = (uint32_t)limit * 1000;
    return NULL;
}

static const char *expected_read(args_state *self, const char *value) {
    uint64_t *within = &self->args->expected_within;
    return sim_number_read(value, within) && *within ? NULL : "a number from 1 on";
}

static const char *failures_read(args_state *self, const char *value) {
    self->args->directory = value;
    return NULL;
}

static const char *trace_read(args_state *self, const char *value) {
    self->args->what = SIM_EXPLORE_TRACE;
    self->args->trace = value;
    return NULL;
}

static const char *replay_read(args_state *self, const char *value) {
    self->args->what = SIM_EXPLORE_REPLAY;
    self->args->replay = value;
    return NULL;
}

static const char *verify_read(args_state *self, const char *value) {
    (void)value;
    self->args->what = SIM_EXPLORE_VERIFY;
    return NULL;
}

static const char *list_read(args_state *self, const char *value) {
    (void)value;
    self->args->what = SIM_EXPLORE_LIST;
    return NULL;
}

static const char *help_read(args_state *self, const char *value) {
    (void)value;
    self->args->what = SIM_EXPLORE_HELP;
    return NULL;
}

static const char *shrink_read(args_state *self, const char *value) {
    (void)value;
    self->args->shrink = true;
    return NULL;
}

static const char *no_shrink_read(args_state *self, const char *value) {
    (void)value;
    self->args->shrink = false;
    return NULL;
}

static const char *probes_read(args_state *self, const char *value) {
    (void)value;
    self->args->probes = true;
    return NULL;
}

typedef struct args_option {
    const char *name;
    bool takes;
    args_read_value *read;
} args_option;

static const args_option options[] = {
    {"--scenario", true, scenario_read}, {"--seeds", true, seeds_read},
    {"--seconds", true, seconds_read},   {"--jobs", true, jobs_read},
    {"--limit", true, limit_read},       {"--verify", false, verify_read},
    {"--trace", true, trace_read},       {"--replay", true, replay_read},
    {"--shrink", false, shrink_read},    {"--no-shrink", false, no_shrink_read},
    {"--failures", true, failures_read}, {"--expect-failure-within", true, expected_read},
    {"--probes", false, probes_read},    {"--list", false, list_read},
    {"--help", false, help_read},        {"--shrink-seconds", true, shrink_seconds_read},
};

static const args_option *option_find(const char *name) {
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static bool own_read(args_state *self, const args_option *option, const char *value) {
    const char *wanted = option->takes && !value ? "a value" : option->read(self, value);
    if (wanted)
        snprintf(self->sentence, TINA_SENTENCE_BYTES, "%s takes %s, not \"%.80s\"", option->name,
                 wanted, value ? value : "");
    return !wanted;
}

static bool words_read(args_state *self, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const args_option *option = option_find(argv[i]);
        const char *name = argv[i];
        bool takes = option ? option->takes : sim_plan_takes(name);
        const char *value = takes && i + 1 < argc ? argv[++i] : NULL;
        if (option) {
            if (!own_read(self, option, value))
                return false;
            continue;
        }
        switch (sim_plan_option(&self->args->search.plan, name, value, self->sentence)) {
        case SIM_PLAN_READ_OK:
            self->args->seeded = self->args->seeded || strcmp(name, "--seed") == 0;
            break;
        case SIM_PLAN_READ_UNKNOWN:
            snprintf(self->sentence, TINA_SENTENCE_BYTES, "there is no option \"%.80s\"", name);
            return false;
        case SIM_PLAN_READ_BAD:
            return false;
        }
    }
    return true;
}

// Whether the plan's settings and each scenario's make sense, and what is asked fits together.
static bool args_check(const sim_explore_args *args, char sentence[TINA_SENTENCE_BYTES]) {
    for (uint32_t i = 0; i < args->search.scenario_count; i++) {
        tina_sim_settings settings;
        const sim_plan plan = {.scenario = args->scenarios[i]};
        if (!sim_plan_settings(&plan, &settings, sentence))
            return false;
    }
    if (args->what == SIM_EXPLORE_TRACE &&
        (args->search.scenario_count != 1 || args->search.seed_count != 1)) {
        snprintf(sentence, TINA_SENTENCE_BYTES, "--trace takes one --scenario and one --seed");
        return false;
    }
    return true;
}

static void command_choose(sim_explore_args *args, const char *program, const char *target) {
#ifdef NDEBUG
    const char *mode = " -c opt";
#else
    const char *mode = "";
#endif
    if (getenv("BUILD_WORKSPACE_DIRECTORY"))
        snprintf(args->command, sizeof args->command, "bazel run%s %s -- ", mode, target);
    else
        snprintf(args->command, sizeof args->command, "%s ", program);
}

bool sim_explore_args_read(sim_explore_args *args, int argc, char **argv,
                           const tina_scenario *const *scenarios, const char *target,
                           char sentence[TINA_SENTENCE_BYTES]) {
    args_state self = {args, scenarios, 0, sentence};
    const char *seed = getenv("TINA_SEED");
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *args = (sim_explore_args){.shrink = true};
    args->search.scenarios = args->scenarios;
    args->search.plan.seed = seed ? strtoull(seed, NULL, 10) : 1;
    args->search.jobs = processors < 1                    ? 1
                        : processors > (long)SIM_JOBS_MAX ? SIM_JOBS_MAX
                                                          : (uint32_t)processors;
    args->search.progress = true;
    scenario_read(&self, "all");
    if (!words_read(&self, argc, argv))
        return false;
    args->search.until_failure = args->expected_within > 0;
    args->search.seed_count = self.seed_count         ? self.seed_count
                              : args->expected_within ? args->expected_within
                              : args->search.seconds  ? UINT64_MAX
                              : args->seeded          ? 1
                                                      : SEEDS_DEFAULT;
    command_choose(args, argv[0], target);
    return args_check(args, sentence);
}
