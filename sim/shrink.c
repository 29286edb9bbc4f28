// SPDX-License-Identifier: Apache-2.0

#include "sim/shrink.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/assert.h"

#define RUNS_DEFAULT    2000u
#define SECONDS_DEFAULT 60u

typedef struct shrink_state {
    sim_attempt *attempt;
    sim_plan *plan; // fails
    const char *checker;
    uint32_t runs;
    uint32_t runs_max;
    uint64_t end_ns;
    uint32_t shards;  // of the run that was given
    bool shrunk;      // in this round
    sim_outcome last; // that failed
} shrink_state;

// A list of which a part is to be found that still fails.
typedef struct shrink_list {
    uint64_t *items;
    uint32_t count;
    // Whether a run with these items only fails in the same way.
    bool (*fails)(shrink_state *self, const uint64_t *items, uint32_t count);
} shrink_list;

static uint64_t wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_spent(const shrink_state *self) {
    return self->runs >= self->runs_max || wall_ns() >= self->end_ns;
}

static bool plan_fails(shrink_state *self, const sim_plan *plan, bool watched) {
    sim_outcome outcome;
    self->runs++;
    sim_attempt_run(self->attempt, plan, watched, NULL, NULL, &outcome);
    bool fails = outcome.ran && outcome.failed && strcmp(outcome.checker, self->checker) == 0;
    if (fails)
        self->last = outcome;
    return fails;
}

// Takes candidate over when it fails, and frees it.
static bool candidate_try(shrink_state *self, sim_plan *candidate) {
    bool fails = !is_spent(self) && plan_fails(self, candidate, false);
    if (fails) {
        sim_plan_copy(self->plan, candidate);
        self->shrunk = true;
    }
    sim_plan_free(candidate);
    return fails;
}

// Leaves items[from, to) out, if it fails without them.
static bool part_drop(shrink_state *self, shrink_list *list, uint32_t from, uint32_t to) {
    uint32_t count = list->count - (to - from);
    uint64_t *rest = malloc((count ? count : 1) * sizeof *rest);
    TINA_ASSERT(rest != NULL);
    memcpy(rest, list->items, from * sizeof *rest);
    memcpy(rest + from, list->items + to, (list->count - to) * sizeof *rest);
    bool fails = list->fails(self, rest, count);
    if (fails) {
        memcpy(list->items, rest, count * sizeof *rest);
        list->count = count;
    }
    free(rest);
    return fails;
}

// Ends when no item alone can be left out, or the runs are spent. Parts are tried from the end:
// what struck last is likelier to be needed by nobody.
static void list_shrink(shrink_state *self, shrink_list *list) {
    uint32_t part = list->count;
    while (list->count > 0 && !is_spent(self)) {
        bool dropped = false;
        for (uint32_t to = list->count; to > 0 && !is_spent(self);) {
            uint32_t from = to > part ? to - part : 0;
            dropped = part_drop(self, list, from, to) || dropped;
            to = from;
        }
        if (part == 1 && !dropped)
            return;
        if (part > list->count)
            part = list->count;
        if (!dropped || part > 1)
            part = part > 1 ? (part + 1) / 2 : 1;
    }
}

// A calm world, but for what the scenario itself asks for.
static tina_sim_settings settings_least(const sim_plan *plan) {
    const sim_plan least = {.scenario = plan->scenario, .calm = true};
    tina_sim_settings settings;
    char sentence[TINA_SENTENCE_BYTES];
    bool sensible = sim_plan_settings(&least, &settings, sentence);
    TINA_ASSERT(sensible);
    return settings;
}

static tina_sim_settings settings_of(const sim_plan *plan) {
    tina_sim_settings settings;
    char sentence[TINA_SENTENCE_BYTES];
    bool sensible = sim_plan_settings(plan, &settings, sentence);
    TINA_ASSERT(sensible);
    return settings;
}

// The settings with only those numbered as they are, and the others calm.
static bool settings_fail(shrink_state *self, const uint64_t *numbers, uint32_t count) {
    tina_sim_settings before = settings_of(self->plan);
    tina_sim_settings settings = settings_least(self->plan);
    sim_plan candidate = {0};
    for (uint32_t i = 0; i < count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[numbers[i]];
        *tina_sim_setting_of(&settings, row) = *tina_sim_setting_of(&before, row);
    }
    sim_plan_copy(&candidate, self->plan);
    sim_plan_set(&candidate, &settings);
    return candidate_try(self, &candidate);
}

static void settings_shrink(shrink_state *self) {
    tina_sim_settings settings = settings_of(self->plan);
    tina_sim_settings least = settings_least(self->plan);
    uint64_t numbers[sizeof settings / sizeof(uint64_t)];
    shrink_list list = {numbers, 0, settings_fail};
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[i];
        if (*tina_sim_setting_of(&settings, row) != *tina_sim_setting_of(&least, row))
            numbers[list.count++] = i;
    }
    list_shrink(self, &list);
}

static void shards_shrink(shrink_state *self) {
    const tina_scenario *scenario = self->plan->scenario;
    uint32_t least = scenario->shards_min ? scenario->shards_min : 1;
    uint32_t most = self->plan->shards ? self->plan->shards : self->shards;
    if (scenario->spec_count > 1)
        return;
    for (uint32_t shards = least; shards < most; shards++) {
        sim_plan candidate = {0};
        sim_plan_copy(&candidate, self->plan);
        candidate.shards = shards;
        if (candidate_try(self, &candidate))
            return;
    }
}

static bool until_try(shrink_state *self, uint64_t until_ns) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    candidate.faults_until_ns = until_ns;
    return candidate_try(self, &candidate);
}

static bool from_try(shrink_state *self, uint64_t from_ns) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    candidate.faults_from_ns = from_ns;
    return candidate_try(self, &candidate);
}

#define WINDOW_STEP_NS 1000000u // narrower is not worth a run

// A window that fails need not be one of many that do; so each try is a run.
static void window_shrink(shrink_state *self) {
    uint64_t fails_ns =
        self->plan->faults_until_ns ? self->plan->faults_until_ns : self->last.virtual_ns;
    uint64_t holds_ns = self->plan->faults_from_ns;
    while (fails_ns > holds_ns + WINDOW_STEP_NS && !is_spent(self)) {
        uint64_t middle_ns = holds_ns + (fails_ns - holds_ns) / 2;
        if (until_try(self, middle_ns))
            fails_ns = middle_ns;
        else
            holds_ns = middle_ns;
    }
    holds_ns = fails_ns;
    fails_ns = self->plan->faults_from_ns;
    while (holds_ns > fails_ns + WINDOW_STEP_NS && !is_spent(self)) {
        uint64_t middle_ns = fails_ns + (holds_ns - fails_ns) / 2;
        if (from_try(self, middle_ns))
            fails_ns = middle_ns;
        else
            holds_ns = middle_ns;
    }
}

// Where the decisions are listed, the window says nothing more.
static void window_forget(shrink_state *self) {
    if (self->plan->faults_from_ns)
        from_try(self, 0);
    if (self->plan->faults_until_ns && !self->plan->faults_from_ns)
        until_try(self, 0);
}

static bool decisions_fail(shrink_state *self, const uint64_t *kept, uint32_t count) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    sim_plan_keep(&candidate, kept, count);
    return candidate_try(self, &candidate);
}

// Returns whether none of what struck can be left out, which is not known when the runs are spent.
static bool decisions_shrink(shrink_state *self) {
    if (is_spent(self) || !plan_fails(self, self->plan, true))
        return false;
    const uint64_t *struck = sim_attempt_struck(self->attempt);
    uint32_t count = self->last.struck_count;
    if (!struck)
        return false;
    shrink_list list = {malloc((count ? count : 1) * sizeof *struck), count, decisions_fail};
    TINA_ASSERT(list.items != NULL);
    memcpy(list.items, struck, count * sizeof *struck);
    // Nothing of what did not strike is worth a place in the list.
    if (!self->plan->kept || self->plan->kept_count != count)
        sim_plan_keep(self->plan, list.items, count);
    list_shrink(self, &list);
    free(list.items);
    window_forget(self);
    return !is_spent(self);
}

void sim_shrink(sim_plan *plan, const char *checker, const sim_shrink_limits *limits,
                sim_shrunk *shrunk) {
    shrink_state self = {
        .attempt = sim_attempt_open(),
        .plan = plan,
        .checker = checker,
        .runs_max = limits && limits->runs ? limits->runs : RUNS_DEFAULT,
    };
    uint64_t seconds = limits && limits->seconds ? limits->seconds : SECONDS_DEFAULT;
    self.end_ns = wall_ns() + seconds * 1000000000u;
    *shrunk = (sim_shrunk){.repeats = plan_fails(&self, plan, true)};
    self.shards = self.last.shards;
    shrunk->events_before = self.last.events;
    shrunk->struck_before = self.last.struck_count;
    for (self.shrunk = shrunk->repeats; self.shrunk && !is_spent(&self);) {
        self.shrunk = false;
        settings_shrink(&self);
        shards_shrink(&self);
        if (!plan->kept)
            window_shrink(&self);
        shrunk->minimal = decisions_shrink(&self) && !self.shrunk;
    }
    if (shrunk->repeats && !plan_fails(&self, plan, true))
        shrunk->repeats = false;
    shrunk->outcome = self.last;
    shrunk->events = self.last.events;
    shrunk->struck = self.last.struck_count;
    shrunk->runs = self.runs;
    sim_attempt_close(self.attempt);
}
