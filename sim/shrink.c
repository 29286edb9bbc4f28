// SPDX-License-Identifier: Apache-2.0

#include "sim/shrink.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/assert.h"
#include "sim/seek.h"

#define RUNS_DEFAULT    2000u
#define SECONDS_DEFAULT 60u
#define EVENTS_LEAST    40u  // boot and an exchange: less is not looked for
#define EVENTS_FEW      100u // less is not looked for again

typedef struct shrink_state {
    sim_attempt *attempt;
    sim_plan *plan; // fails
    const char *checker;
    uint32_t runs;
    uint32_t runs_max;
    uint64_t end_ns;
    uint32_t shards;  // of the run that was given
    bool shrunk;      // in this round
    bool minimal;     // after the last
    uint64_t goal;    // a tenth of the events of the run that was given, or EVENTS_LEAST
    uint64_t allowed; // events of a smaller run
    sim_outcome last; // that failed
    const sim_plan *given;
    uint32_t jobs;
    uint64_t sought; // runs
    uint64_t seek_next;
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

static bool run_fails(shrink_state *self, const sim_plan *plan, bool watched,
                      sim_outcome *outcome) {
    self->runs++;
    sim_attempt_run(self->attempt, plan, watched, NULL, NULL, outcome);
    return outcome->ran && outcome->failed && strcmp(outcome->checker, self->checker) == 0;
}

// Patience that has been cut is enough for a world in which no fault strikes, and all of it is not
// for this one.
static bool patience_is_fair(shrink_state *self, const sim_plan *plan) {
    sim_outcome outcome;
    sim_plan patient = *plan; // borrows what is kept
    patient.liveness_ns = 0;
    return plan->liveness_ns == 0 || strcmp(self->checker, SIM_LIVENESS) != 0 ||
           (sim_plan_is_patient(plan) && run_fails(self, &patient, false, &outcome));
}

static bool plan_fails(shrink_state *self, const sim_plan *plan, bool watched) {
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
    settings.load_permille = before.load_permille;
    settings.kinds_left_out = before.kinds_left_out;
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
    least.load_permille = settings.load_permille;
    least.kinds_left_out = settings.kinds_left_out;
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

static bool work_try(shrink_state *self, uint64_t load, uint64_t left_out) {
    sim_plan candidate = {0};
    tina_sim_settings settings = settings_of(self->plan);
    settings.load_permille = load;
    settings.kinds_left_out = left_out;
    sim_plan_copy(&candidate, self->plan);
    sim_plan_set(&candidate, &settings);
    return candidate_try(self, &candidate);
}

static void load_shrink(shrink_state *self) {
    uint64_t left_out = settings_of(self->plan).kinds_left_out;
    uint64_t most = settings_of(self->plan).load_permille;
    for (uint64_t load = 1; load < most && !work_try(self, load, left_out); load = 2 * load + 1)
        ;
}

// A bit says something only where it makes a difference.
static void kinds_shrink(shrink_state *self) {
    for (uint32_t kind = 0; kind < TINA_SIM_KINDS; kind++) {
        tina_sim_settings now = settings_of(self->plan);
        uint64_t events = self->last.events;
        uint64_t other = now.kinds_left_out ^ UINT64_C(1) << kind;
        uint64_t allowed = self->allowed;
        bool more = other > now.kinds_left_out;
        self->allowed = more && events > 1 ? events - 1 : events;
        if (!work_try(self, now.load_permille, other))
            self->allowed = allowed;
        else if (self->allowed < self->goal)
            self->allowed = self->goal;
    }
}

static void patience_shrink(shrink_state *self) {
    bool shrunk = strcmp(self->checker, SIM_LIVENESS) == 0;
    while (shrunk) {
        sim_plan candidate = {0};
        sim_plan_copy(&candidate, self->plan);
        candidate.liveness_ns = sim_plan_liveness_ns(self->plan) / 2;
        shrunk = candidate.liveness_ns && candidate_try(self, &candidate);
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

static void all_shrink(shrink_state *self) {
    bool minimal = false;
    for (self->shrunk = true; self->shrunk && !is_spent(self);) {
        self->shrunk = false;
        patience_shrink(self);
        settings_shrink(self);
        shards_shrink(self);
        load_shrink(self);
        kinds_shrink(self);
        if (!self->plan->kept)
            window_shrink(self);
        minimal = decisions_shrink(self) && !self->shrunk;
    }
    self->minimal = minimal;
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
    uint64_t allowed = self->allowed;
    self->allowed = events - 1;
    bool fails = candidate_try(self, &found);
    if (!fails)
        self->allowed = allowed;
    else if (self->allowed < self->goal)
        self->allowed = self->goal;
    return true;
}

static bool seek(shrink_state *self, uint64_t most_ns) {
    uint64_t before = self->last.events;
    uint64_t end_ns = wall_ns() + most_ns;
    bool within = false;
    while (may_seek(self) && !is_spent(self)) {
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

void sim_shrink(sim_plan *plan, const char *checker, const sim_shrink_limits *limits,
                sim_shrunk *shrunk) {
    sim_plan given = {0};
    uint64_t seconds = limits && limits->seconds ? limits->seconds : SECONDS_DEFAULT;
    uint64_t seek_ns = seconds * 1000000000u / 10;
    shrink_state self = {
        .attempt = sim_attempt_open(),
        .plan = plan,
        .checker = checker,
        .runs_max = limits && limits->runs ? limits->runs : RUNS_DEFAULT,
        .end_ns = wall_ns() + seconds * 1000000000u,
        .given = &given,
        .allowed = UINT64_MAX,
        .jobs = limits && limits->jobs ? limits->jobs : 1,
    };
    sim_plan_copy(&given, plan);
    *shrunk = (sim_shrunk){.repeats = plan_fails(&self, plan, true)};
    self.shards = self.last.shards;
    self.goal = self.last.events / 10 > EVENTS_LEAST ? self.last.events / 10 : EVENTS_LEAST;
    shrunk->events_before = self.last.events;
    shrunk->struck_before = self.last.struck_count;
    if (shrunk->repeats) {
        seek(&self, seek_ns);
        all_shrink(&self);
        for (uint32_t i = 1; i < SEEK_ROUNDS && is_worth_more(&self); i++)
            if (seek(&self, seek_ns))
                all_shrink(&self);
        shrunk->repeats = plan_fails(&self, plan, true);
    }
    shrunk->minimal = self.minimal;
    shrunk->outcome = self.last;
    shrunk->events = self.last.events;
    shrunk->struck = self.last.struck_count;
    shrunk->runs = self.runs;
    shrunk->sought = self.sought;
    sim_plan_free(&given);
    sim_attempt_close(self.attempt);
}
