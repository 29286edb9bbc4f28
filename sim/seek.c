// SPDX-License-Identifier: Apache-2.0

#include "sim/seek.h"

#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/prng.h"

#define SEEK_DOMAIN 0xFFu

static uint64_t above_zero(uint64_t value) {
    return value ? value : 1;
}

static bool is_chance(const tina_sim_setting *row) {
    size_t bytes = strlen(row->name);
    return bytes > 4 && strcmp(row->name + bytes - 4, "_ppm") == 0;
}

// More of a fault, less of a time or a size.
static uint64_t setting_rougher(tina_prng *prng, const tina_sim_setting *row, uint64_t value) {
    if (!is_chance(row)) {
        uint64_t less = value >> tina_prng_below(prng, 8);
        return less < row->low ? row->low : less;
    }
    uint64_t more = value << (1 + tina_prng_below(prng, 5));
    return more > row->high ? (value > row->high ? value : row->high) : more;
}

static void settings_vary(tina_prng *prng, tina_sim_settings *settings, const sim_plan *plan,
                          uint64_t stays) {
    tina_sim_settings least = sim_plan_least(plan);
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[i];
        uint64_t *value = tina_sim_setting_of(settings, row);
        uint64_t calm = *tina_sim_setting_of(&least, row);
        uint64_t how = tina_prng_below(prng, 2 + stays);
        if (*value == calm || !tina_sim_setting_is_drawn(row))
            continue;
        if (how == 0)
            *value = calm;
        else if (how == 1)
            *value = setting_rougher(prng, row, *value);
    }
}

static uint32_t shards_vary(tina_prng *prng, const sim_plan *best) {
    const tina_scenario *scenario = best->scenario;
    uint32_t least = scenario->shards_min ? scenario->shards_min : 1;
    uint32_t most = scenario->shards_max > least ? scenario->shards_max : least;
    return least + (uint32_t)tina_prng_below(prng, most - least + 1);
}

// A part of it, its logarithm drawn evenly.
static uint64_t part_draw(tina_prng *prng, uint64_t whole, uint64_t halvings) {
    uint64_t most = whole >> tina_prng_below(prng, halvings + 1);
    return above_zero(most - tina_prng_below(prng, above_zero(most / 2)));
}

// Few of them, or any.
static uint64_t kinds_draw(tina_prng *prng, uint64_t halvings) {
    uint64_t kinds = tina_prng_below(prng, 1u << TINA_SIM_KINDS);
    return halvings > 1 ? kinds : UINT64_C(1) << kinds % TINA_SIM_KINDS;
}

// What makes a world small: a step below the best, or, far from it, anything that the given one
// had.
static void size_vary(tina_prng *prng, const sim_seek *seek, sim_plan *plan,
                      tina_sim_settings *settings, uint64_t load_given, bool near) {
    const sim_plan *of = near ? seek->best : seek->given;
    const sim_plan *best = seek->best;
    uint64_t stays = near ? 3 : 1;
    uint64_t halvings = near ? 1 : 9;
    bool waits = strcmp(seek->checker, SIM_LIVENESS) == 0;
    plan->faults_from_ns = 0;
    plan->shards = best->shards;
    plan->faults_until_ns = best->faults_until_ns;
    plan->liveness_ns = best->liveness_ns;
    if (tina_prng_below(prng, 1 + stays) == 0 && best->scenario->spec_count <= 1)
        plan->shards = shards_vary(prng, best);
    if (tina_prng_below(prng, 1 + stays) == 0)
        plan->faults_until_ns = part_draw(prng, sim_plan_faults_ns(of), halvings);
    if (waits && tina_prng_below(prng, 1 + stays) == 0)
        plan->liveness_ns = part_draw(prng, sim_plan_liveness_ns(of), halvings);
    if (tina_prng_below(prng, 1 + stays) == 0)
        settings->load_permille =
            part_draw(prng, near ? settings->load_permille : load_given, halvings);
    if (tina_prng_below(prng, 1 + stays) == 0)
        settings->kinds_left_out ^= kinds_draw(prng, halvings);
}

// Of eight runs one is fresh, with whatever its seed draws, one far from the best, and six near it,
// one of which has its seed.
static void plan_vary(const void *seek_, uint64_t number, sim_plan *plan) {
    const sim_seek *seek = seek_;
    tina_prng prng = tina_prng_make(seek->given->seed, SEEK_DOMAIN, (uint32_t)number);
    tina_sim_settings settings;
    tina_sim_settings of_best;
    char sentence[TINA_SENTENCE_BYTES];
    bool fresh = number % 8 == 0;
    bool near = number % 8 > 1;
    bool sensible = sim_plan_settings(seek->best, &of_best, sentence) &&
                    sim_plan_settings(plan, &settings, sentence);
    TINA_ASSERT(sensible);
    uint64_t load_given = settings.load_permille;
    if (number % 8 == 7)
        plan->seed = seek->best->seed;
    if (!fresh) {
        settings = of_best;
        settings_vary(&prng, &settings, seek->best, near ? 14 : 2);
    }
    settings.load_permille = of_best.load_permille;
    settings.kinds_left_out = of_best.kinds_left_out;
    settings.check_turns = of_best.check_turns;
    size_vary(&prng, seek, plan, &settings, load_given, near);
    plan->events_max = seek->events_max;
    sim_plan_set(plan, &settings);
}

// A wait that has been cut must be enough where no fault strikes.
static bool is_fair(const sim_plan *plan) {
    sim_plan control;
    sim_outcome outcome = {.failed = plan->liveness_ns != 0};
    for (int calm = 0; calm < 2 && outcome.failed; calm++) {
        sim_plan_control(&control, plan, calm);
        sim_outcome_run(&control, NULL, NULL, &outcome);
    }
    return !outcome.failed;
}

typedef struct seek_find {
    bool any;
    uint64_t number;
} seek_find;

static void find_take(void *find_, const sim_failure *failure) {
    seek_find *find = find_;
    if (!find->any || failure->number < find->number)
        find->number = failure->number;
    find->any = true;
}

uint64_t sim_seek_run(sim_seek *seek, sim_plan *found) {
    const tina_scenario *scenarios[] = {seek->given->scenario};
    sim_totals totals;
    seek_find find = {0};
    const sim_search search = {
        .scenarios = scenarios,
        .scenario_count = 1,
        .plan = *seek->given,
        .seed_count = UINT64_MAX,
        .wall_ns = seek->wall_ns,
        .first = seek->first,
        .jobs = seek->jobs,
        .until_failure = true,
        .checker = seek->checker,
        .vary = plan_vary,
        .vary_where = seek,
        .confirm = is_fair,
    };
    sim_search_run(&search, &totals, find_take, &find);
    seek->first += totals.runs + seek->jobs; // those that began and did not end, too
    if (!find.any)
        return 0;
    sim_plan_copy(found, seek->given);
    found->seed = seek->given->seed + find.number;
    plan_vary(seek, find.number, found);
    found->events_max = 0;
    return totals.runs ? totals.runs : 1;
}
