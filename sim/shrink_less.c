// SPDX-License-Identifier: Apache-2.0
//
// What can be left out of a run that fails.

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/shrink_state.h"

// A list of which a part is to be found that still fails.
typedef struct shrink_list {
    uint64_t *items;
    uint32_t count;
    // Whether a run with these items only fails in the same way.
    bool (*fails)(shrink_state *self, const uint64_t *items, uint32_t count);
} shrink_list;

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
    while (list->count > 0 && !shrink_is_spent(self)) {
        bool dropped = false;
        for (uint32_t to = list->count; to > 0 && !shrink_is_spent(self);) {
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

tina_sim_settings shrink_settings(const sim_plan *plan) {
    tina_sim_settings settings;
    char sentence[TINA_SENTENCE_BYTES];
    bool sensible = sim_plan_settings(plan, &settings, sentence);
    TINA_ASSERT(sensible);
    return settings;
}

// What is no fault's stays as it is.
static void work_copy(tina_sim_settings *to, tina_sim_settings *from) {
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[i];
        if (!tina_sim_setting_is_drawn(row))
            *tina_sim_setting_of(to, row) = *tina_sim_setting_of(from, row);
    }
}

// The settings with only those numbered as they are, and the others calm.
static bool settings_fail(shrink_state *self, const uint64_t *numbers, uint32_t count) {
    tina_sim_settings before = shrink_settings(self->plan);
    tina_sim_settings settings = sim_plan_least(self->plan);
    sim_plan candidate = {0};
    work_copy(&settings, &before);
    for (uint32_t i = 0; i < count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[numbers[i]];
        *tina_sim_setting_of(&settings, row) = *tina_sim_setting_of(&before, row);
    }
    sim_plan_copy(&candidate, self->plan);
    sim_plan_set(&candidate, &settings);
    return shrink_try(self, &candidate);
}

static void settings_shrink(shrink_state *self) {
    tina_sim_settings settings = shrink_settings(self->plan);
    tina_sim_settings least = sim_plan_least(self->plan);
    work_copy(&least, &settings);
    uint64_t numbers[sizeof settings / sizeof(uint64_t)];
    shrink_list list = {numbers, 0, settings_fail};
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[i];
        if (*tina_sim_setting_of(&settings, row) != *tina_sim_setting_of(&least, row))
            numbers[list.count++] = i;
    }
    list_shrink(self, &list);
}

uint32_t shrink_shards(const shrink_state *self) {
    // Of a run that died it is not always known.
    return self->plan->shards  ? self->plan->shards
           : self->last.shards ? self->last.shards
                               : self->plan->scenario->shards_max;
}

uint32_t shrink_shards_least(const shrink_state *self) {
    const tina_scenario *scenario = self->plan->scenario;
    if (scenario->spec_count > 1)
        return scenario->spec_count;
    return scenario->shards_min ? scenario->shards_min : 1;
}

static void shards_shrink(shrink_state *self) {
    uint32_t most = shrink_shards(self);
    for (uint32_t shards = shrink_shards_least(self); shards < most; shards++) {
        sim_plan candidate = {0};
        sim_plan_copy(&candidate, self->plan);
        candidate.shards = shards;
        if (shrink_try(self, &candidate))
            return;
    }
}

static bool work_try(shrink_state *self, const tina_sim_settings *settings) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    sim_plan_set(&candidate, settings);
    return shrink_try(self, &candidate);
}

static bool fewer_work_try(shrink_state *self, const tina_sim_settings *settings) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    sim_plan_set(&candidate, settings);
    return shrink_try_fewer(self, &candidate);
}

// With no more events, whatever the goal.
static bool same_try(shrink_state *self, sim_plan *candidate) {
    uint64_t allowed = self->allowed;
    self->allowed = self->last.events;
    bool fails = shrink_try(self, candidate);
    self->allowed = allowed;
    return fails;
}

static bool same_work_try(shrink_state *self, const tina_sim_settings *settings) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    sim_plan_set(&candidate, settings);
    return same_try(self, &candidate);
}

// What a look at everything finds is there before. Looks are dear, and not for what is found
// without.
void shrink_checks(shrink_state *self) {
    tina_sim_settings settings = shrink_settings(self->plan);
    if (settings.check_turns == 1)
        return;
    settings.check_turns = 1;
    fewer_work_try(self, &settings);
}

static void load_shrink(shrink_state *self) {
    tina_sim_settings settings = shrink_settings(self->plan);
    uint64_t most = settings.load_permille;
    bool shrunk = false;
    for (uint64_t load = 1; load < most && !shrunk; load = 2 * load + 1) {
        settings.load_permille = load;
        shrunk = work_try(self, &settings);
    }
}

// One kind more where that says something, one less where it does not.
static void kinds_shrink(shrink_state *self) {
    for (uint32_t kind = 0; kind < TINA_SIM_KINDS; kind++) {
        tina_sim_settings settings = shrink_settings(self->plan);
        uint64_t before = settings.kinds_left_out;
        settings.kinds_left_out ^= UINT64_C(1) << kind;
        if (settings.kinds_left_out > before)
            fewer_work_try(self, &settings);
        else
            same_work_try(self, &settings);
    }
}

static void patience_shrink(shrink_state *self) {
    bool shrunk = strcmp(self->checker, SIM_LIVENESS) == 0;
    while (shrunk) {
        sim_plan candidate = {0};
        sim_plan_copy(&candidate, self->plan);
        candidate.liveness_ns = sim_plan_liveness_ns(self->plan) / 2;
        shrunk = candidate.liveness_ns && shrink_try(self, &candidate);
    }
}

static bool until_try(shrink_state *self, uint64_t until_ns) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    candidate.faults_until_ns = until_ns;
    return shrink_try(self, &candidate);
}

static bool from_try(shrink_state *self, uint64_t from_ns) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    candidate.faults_from_ns = from_ns;
    return shrink_try(self, &candidate);
}

#define WINDOW_STEP_NS 1000000u // narrower is not worth a run

// A window that fails need not be one of many that do; so each try is a run.
static void window_shrink(shrink_state *self) {
    uint64_t fails_ns =
        self->plan->faults_until_ns ? self->plan->faults_until_ns : self->last.virtual_ns;
    uint64_t holds_ns = self->plan->faults_from_ns;
    while (fails_ns > holds_ns + WINDOW_STEP_NS && !shrink_is_spent(self)) {
        uint64_t middle_ns = holds_ns + (fails_ns - holds_ns) / 2;
        if (until_try(self, middle_ns))
            fails_ns = middle_ns;
        else
            holds_ns = middle_ns;
    }
    holds_ns = fails_ns;
    fails_ns = self->plan->faults_from_ns;
    while (holds_ns > fails_ns + WINDOW_STEP_NS && !shrink_is_spent(self)) {
        uint64_t middle_ns = fails_ns + (holds_ns - fails_ns) / 2;
        if (from_try(self, middle_ns))
            fails_ns = middle_ns;
        else
            holds_ns = middle_ns;
    }
}

// Left as they are by the world that fails alike, they say nothing.
void shrink_work_forget(shrink_state *self) {
    const tina_sim_settings least = sim_plan_least(self->plan);
    tina_sim_settings settings = shrink_settings(self->plan);
    if (settings.load_permille != least.load_permille) {
        settings.load_permille = least.load_permille;
        same_work_try(self, &settings);
    }
    settings = shrink_settings(self->plan);
    if (settings.check_turns != least.check_turns) {
        settings.check_turns = least.check_turns;
        same_work_try(self, &settings);
    }
}

// Where the decisions are listed, a window that makes no difference says nothing more.
static void window_forget(shrink_state *self) {
    if (self->plan->faults_from_ns)
        from_try(self, 0);
    if (!self->plan->faults_until_ns || self->plan->faults_from_ns)
        return;
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    candidate.faults_until_ns = 0;
    same_try(self, &candidate);
}

static bool decisions_fail(shrink_state *self, const uint64_t *kept, uint32_t count) {
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    sim_plan_keep(&candidate, kept, count);
    return shrink_try(self, &candidate);
}

bool shrink_keep_struck(shrink_state *self) {
    if (!shrink_fails(self, self->plan, true))
        return false;
    const uint64_t *struck = sim_attempt_struck(self->attempt);
    uint32_t count = self->last.struck_count;
    if (struck && (!self->plan->kept || self->plan->kept_count != count))
        sim_plan_keep(self->plan, struck, count);
    return struck != NULL;
}

static void decisions_shrink(shrink_state *self) {
    if (shrink_is_spent(self) || !shrink_keep_struck(self))
        return;
    uint32_t count = self->plan->kept_count;
    shrink_list list = {malloc((count ? count : 1) * sizeof *list.items), count, decisions_fail};
    TINA_ASSERT(list.items != NULL);
    memcpy(list.items, self->plan->kept, count * sizeof *list.items);
    list_shrink(self, &list);
    free(list.items);
    window_forget(self);
}

void shrink_all(shrink_state *self) {
    for (self->shrunk = true; self->shrunk && !shrink_is_spent(self);) {
        self->shrunk = false;
        patience_shrink(self);
        shrink_checks(self);
        settings_shrink(self);
        shards_shrink(self);
        load_shrink(self);
        kinds_shrink(self);
        if (!self->plan->kept)
            window_shrink(self);
        decisions_shrink(self);
    }
}
