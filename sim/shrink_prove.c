// SPDX-License-Identifier: Apache-2.0
//
// Each single reduction of what the search has left, until none of them fails alike.

#include <string.h>

#include "core/assert.h"
#include "sim/shrink_state.h"

#define HALVINGS     10u      // less by a half, a quarter, ... a 1024th
#define UNTIL_STEP   1000000u // ns; earlier by less is not worth a run
#define PATIENCE_CUT 4u       // halvings; each try is four runs

typedef struct reduction {
    uint32_t (*count)(const shrink_state *self); // an upper bound
    // Makes *candidate, a copy of the plan, less by one. Returns false where that is no less.
    bool (*apply)(const shrink_state *self, uint32_t which, sim_plan *candidate);
    // Says something only where it fails with fewer events: a number that few look at.
    bool fewer;
} reduction;

static uint32_t decision_count(const shrink_state *self) {
    return self->plan->kept_count;
}

static bool decision_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    (void)self;
    uint32_t after = candidate->kept_count - which - 1;
    memmove(candidate->kept + which, candidate->kept + which + 1, after * sizeof *candidate->kept);
    candidate->kept_count--;
    return true;
}

static uint32_t setting_count(const shrink_state *self) {
    (void)self;
    return tina_sim_setting_count;
}

static bool setting_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    const tina_sim_setting *row = &tina_sim_setting_table[which];
    tina_sim_settings least = sim_plan_least(self->plan);
    tina_sim_settings settings = shrink_settings(self->plan);
    uint64_t *value = tina_sim_setting_of(&settings, row);
    uint64_t calm = *tina_sim_setting_of(&least, row);
    bool is_less = tina_sim_setting_is_drawn(row) && *value != calm;
    *value = calm;
    if (is_less)
        sim_plan_set(candidate, &settings);
    return is_less;
}

static uint32_t shards_count(const shrink_state *self) {
    uint32_t least = shrink_shards_least(self);
    uint32_t most = shrink_shards(self);
    return most > least ? most - least : 0;
}

static bool shards_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    candidate->shards = shrink_shards_least(self) + which;
    return true;
}

static uint32_t halvings_count(const shrink_state *self) {
    (void)self;
    return HALVINGS;
}

static bool load_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    tina_sim_settings settings = shrink_settings(self->plan);
    uint64_t less = settings.load_permille >> (which + 1);
    settings.load_permille -= less;
    if (less)
        sim_plan_set(candidate, &settings);
    return less > 0;
}

static uint32_t kind_count(const shrink_state *self) {
    (void)self;
    return TINA_SIM_KINDS;
}

static bool kind_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    tina_sim_settings settings = shrink_settings(self->plan);
    bool is_less = (settings.kinds_left_out >> which & 1) == 0;
    settings.kinds_left_out |= UINT64_C(1) << which;
    if (is_less)
        sim_plan_set(candidate, &settings);
    return is_less;
}

static uint32_t one_count(const shrink_state *self) {
    (void)self;
    return 1;
}

static bool from_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    (void)which;
    candidate->faults_from_ns = 0;
    return self->plan->faults_from_ns > 0;
}

static bool until_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    uint64_t until_ns = sim_plan_faults_ns(self->plan);
    uint64_t less_ns = until_ns >> (which + 1);
    candidate->faults_until_ns = until_ns - less_ns;
    return less_ns >= UNTIL_STEP;
}

static uint32_t patience_count(const shrink_state *self) {
    return strcmp(self->checker, SIM_LIVENESS) == 0 ? PATIENCE_CUT : 0;
}

static bool patience_apply(const shrink_state *self, uint32_t which, sim_plan *candidate) {
    uint64_t whole_ns = sim_plan_liveness_ns(self->plan);
    candidate->liveness_ns = whole_ns - (whole_ns >> (which + 1));
    return candidate->liveness_ns > 0 && candidate->liveness_ns < whole_ns;
}

static const reduction reductions[] = {
    {decision_count, decision_apply, false}, {setting_count, setting_apply, false},
    {shards_count, shards_apply, false},     {halvings_count, load_apply, true},
    {kind_count, kind_apply, true},          {one_count, from_apply, false},
    {halvings_count, until_apply, true},     {patience_count, patience_apply, true},
};

#define REDUCTIONS (sizeof reductions / sizeof reductions[0])

static uint32_t reduction_count(const shrink_state *self) {
    uint32_t count = 0;
    for (size_t i = 0; i < REDUCTIONS; i++)
        count += reductions[i].count(self);
    return count;
}

typedef enum verdict {
    VERDICT_NONE = 0, // it is no reduction: nothing is less
    VERDICT_HOLDS,    // it does not fail alike
    VERDICT_UNKNOWN,  // it was not over in time
    VERDICT_TAKEN,
    VERDICT_SPENT, // there is no run left to try it
} verdict;

static verdict candidate_try(shrink_state *self, const sim_plan *candidate, bool fewer) {
    const sim_outcome before = self->last;
    uint64_t allowed = self->allowed;
    if (fewer)
        self->allowed = before.events;
    self->cut = false;
    bool fails = shrink_fails(self, candidate, false);
    bool taken = fails && (!fewer || self->last.events < before.events);
    if (!taken) {
        self->last = before;
        self->allowed = allowed;
        return fails ? VERDICT_NONE : self->cut ? VERDICT_UNKNOWN : VERDICT_HOLDS;
    }
    self->allowed = self->last.events > self->goal ? self->last.events : self->goal;
    sim_plan_copy(self->plan, candidate);
    return VERDICT_TAKEN;
}

static verdict reduction_try(shrink_state *self, uint32_t at) {
    size_t i = 0;
    for (; at >= reductions[i].count(self); i++)
        at -= reductions[i].count(self);
    TINA_ASSERT(i < REDUCTIONS);
    sim_plan candidate = {0};
    sim_plan_copy(&candidate, self->plan);
    verdict is = VERDICT_NONE;
    if (reductions[i].apply(self, at, &candidate))
        is = shrink_is_spent(self) ? VERDICT_SPENT
                                   : candidate_try(self, &candidate, reductions[i].fewer);
    sim_plan_free(&candidate);
    return is;
}

static void proof_begin(shrink_state *self) {
    self->held = 0;
    self->unknown = 0;
}

void shrink_prove(shrink_state *self) {
    uint32_t since = 0; // how many places of the round are tried of the plan as it is
    proof_begin(self);
    if (shrink_is_spent(self) || !shrink_keep_struck(self))
        return;
    for (uint32_t at = 0; since < reduction_count(self); at++) {
        verdict is = reduction_try(self, at % reduction_count(self));
        since++;
        self->held += is == VERDICT_HOLDS;
        self->unknown += is == VERDICT_UNKNOWN;
        if (is == VERDICT_SPENT)
            return;
        if (is != VERDICT_TAKEN)
            continue;
        since = 0;
        proof_begin(self);
        if (!shrink_keep_struck(self))
            return;
    }
    self->minimal = self->unknown == 0;
}
