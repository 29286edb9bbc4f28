// SPDX-License-Identifier: Apache-2.0

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "sim/machine.h"

_Static_assert(TINA_SIM_MARK_EVENTS == SIM_MARK_EVENTS, "one distance of marks");

static _Thread_local tina_sim *current;

static bool settings_choose(tina_sim *sim, tina_sim_settings *settings, char *sentence) {
    const tina_sim_options *options = sim->options;
    if (options->calm)
        tina_sim_settings_calm(settings);
    else
        tina_sim_settings_draw(settings, options->seed);
    return (!sim->scenario->settings ||
            tina_sim_settings_set(settings, sim->scenario->settings, sentence)) &&
           (!options->set || tina_sim_settings_set(settings, options->set, sentence));
}

static uint32_t shards_choose(const tina_sim *sim) {
    const tina_scenario *scenario = sim->scenario;
    uint32_t least = scenario->shards_min ? scenario->shards_min : 1;
    uint32_t most = scenario->shards_max > least ? scenario->shards_max : least;
    if (scenario->spec_count > 1)
        return scenario->spec_count;
    if (sim->options->shards)
        return sim->options->shards;
    tina_prng prng = tina_prng_make(sim->options->seed, SIM_DOMAIN_SETTINGS, 1000);
    return least + (uint32_t)tina_prng_below(&prng, most - least + 1);
}

static void event_trace(void *sim_, uint64_t number, const sim_event *event) {
    const tina_sim *sim = sim_;
    char line[192];
    sim_event_format(number, event, line, sizeof line);
    const tina_sim_event_view view = {number, line};
    sim->options->trace(sim->options->trace_where, &view);
}

static bool sim_open(tina_sim *sim, char sentence[TINA_SENTENCE_BYTES]) {
    tina_sim_settings settings;
    if (!settings_choose(sim, &settings, sentence))
        return false;
    sim_world_begin(&sim->world, sim->options->seed, &settings);
    sim->check_next = settings.check_turns;
    sim->world.faults_from_ns = sim->world.now_ns + sim->options->faults_from_ns;
    sim->world.decisions.kept = sim->options->kept;
    sim->world.decisions.kept_count = sim->options->kept_count;
    sim->world.decisions.listed = sim->options->list;
    sim->world.record.seen = sim->options->events_seen;
    if (sim->options->trace) {
        sim->world.record.on_event = event_trace;
        sim->world.record.where = sim;
    }
    sim->net = sim_net_open(&sim->world);
    sim->disk = sim_disk_open(&sim->world);
    sim->shard_count = shards_choose(sim);
    sim->schedule = sim_stream_of(&sim->world, SIM_DOMAIN_SCHEDULE, 0xFFFF);
    sim->faults = sim_stream_of(&sim->world, SIM_DOMAIN_SHARD, 0xFFFF);
    for (uint32_t i = 0; i < TINA_SIM_STREAMS; i++)
        sim->users[i] = sim_stream_of(&sim->world, SIM_DOMAIN_USER, i);
    sim_note(&sim->world, SIM_BEGIN, SIM_NOWHERE, sim->shard_count, sim->options->seed);
    sim->state = calloc(1, sim->scenario->state_bytes ? sim->scenario->state_bytes : 1);
    TINA_ASSERT(sim->state != NULL);
    if (sim->scenario->begin)
        sim->scenario->begin(sim, sim->state);
    return machine_open(sim, sentence);
}

// In turn: whoever comes after the last one; otherwise chance decides. Only those who are due.
static sim_shard *shard_choose(tina_sim *sim) {
    sim_shard *chosen = NULL;
    uint32_t due = 0;
    for (uint32_t i = 1; i <= sim->shard_count; i++) {
        uint32_t number = sim->last_turn + i;
        sim_shard *at =
            &sim->shards[number < sim->shard_count ? number : number - sim->shard_count];
        if (shard_due_ns(at) > sim->world.now_ns)
            continue;
        due++;
        bool takes = !chosen;
        if (chosen && sim->world.settings.schedule == 1)
            takes = sim_draw(&sim->schedule, due) == 0;
        if (chosen && sim->world.settings.schedule == 2)
            takes = at->rank < chosen->rank;
        if (takes)
            chosen = at;
    }
    return chosen;
}

// PCT (Burckhardt et al., ASPLOS 2010): at a few points that chance chooses, whoever is first
// becomes last.
static void ranks_change(tina_sim *sim) {
    if (sim->world.settings.schedule != 2 ||
        sim_draw(&sim->schedule, 1000) >= sim->world.settings.pct_changes)
        return;
    uint64_t which = sim_draw(&sim->schedule, sim->shard_count);
    sim->shards[which].rank = (sim->shards[which].rank + 1) % 3;
}

static uint64_t next_ns(const tina_sim *sim) {
    uint64_t next = sim_agenda_next_ns(&sim->world.agenda);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        uint64_t due_ns = shard_due_ns(&sim->shards[i]);
        if (due_ns < next)
            next = due_ns;
    }
    return next;
}

static bool is_done(tina_sim *sim) {
    return !sim->scenario->done ? sim->phase != SIM_ROUGH : sim->scenario->done(sim, sim->state);
}

static bool all_ended(const tina_sim *sim) {
    for (uint32_t i = 0; i < sim->shard_count; i++)
        if (!sim->shards[i].ended)
            return false;
    return true;
}

static void calm_begin(tina_sim *sim) {
    uint64_t liveness_ns = sim->options->liveness_ns    ? sim->options->liveness_ns
                           : sim->scenario->liveness_ns ? sim->scenario->liveness_ns
                                                        : TINA_SIM_LIVENESS_NS;
    sim->phase = SIM_CALM;
    sim->phase_end_ns = sim->world.now_ns + liveness_ns;
    sim->world.faults = false;
    sim_net_heal(sim->net);
    sim_note(&sim->world, SIM_CALM_BEGUN, SIM_NOWHERE, 0, 0);
}

static void shutdown_begin(tina_sim *sim) {
    sim->phase = SIM_SHUTDOWN;
    sim->world.faults = false;
    sim_net_heal(sim->net);
    sim->phase_end_ns = sim->world.now_ns;
    sim_note(&sim->world, SIM_SHUTDOWN_BEGUN, SIM_NOWHERE, 0, 0);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        shard_shut_down(&sim->shards[i]);
        sim->phase_end_ns += 2 * sim->shards[i].spec.shutdown_timeout_ns;
    }
    sim->phase_end_ns += 2 * TINA_SIM_FAULTS_NS;
}

// Where the time is `now`, with nothing left to do at it. still: nothing will ever happen again.
static void phase_advance(tina_sim *sim, bool still) {
    bool late = still || sim->world.now_ns >= sim->phase_end_ns;
    switch (sim->phase) {
    case SIM_ROUGH:
        if (late)
            calm_begin(sim);
        else if (is_done(sim) && sim->scenario->done)
            shutdown_begin(sim);
        return;
    case SIM_CALM:
        if (is_done(sim))
            shutdown_begin(sim);
        else if (late)
            describe_waiting(sim);
        return;
    case SIM_SHUTDOWN:
        if (all_ended(sim)) {
            sim->phase = SIM_OVER;
            check_end(sim);
        } else if (late) {
            describe_waiting(sim);
        }
        return;
    case SIM_OVER:
        return;
    }
}

static void time_advance(tina_sim *sim) {
    sim_phase phase = sim->phase;
    uint64_t next = next_ns(sim);
    bool still = next == UINT64_MAX;
    phase_advance(sim, false);
    if (sim->phase != phase)
        return;
    if (next > sim->phase_end_ns)
        next = sim->phase_end_ns;
    if (next > sim->world.now_ns)
        sim->world.now_ns = next;
    phase_advance(sim, still);
}

static bool is_cut(const tina_sim *sim) {
    return sim->options->events_max && sim->world.record.count > sim->options->events_max;
}

static void sim_run(tina_sim *sim) {
    uint64_t faults_ns = sim->options->faults_until_ns ? sim->options->faults_until_ns
                         : sim->scenario->faults_ns    ? sim->scenario->faults_ns
                                                       : TINA_SIM_FAULTS_NS;
    sim->phase_end_ns = sim->world.now_ns + faults_ns;
    while (sim->phase != SIM_OVER && !sim->report->failed && !is_cut(sim)) {
        if (sim_agenda_run(&sim->world.agenda, sim->world.now_ns))
            continue;
        sim_shard *next = shard_choose(sim);
        if (!next) {
            time_advance(sim);
            continue;
        }
        sim->last_turn = next->number;
        shard_turn(next);
        ranks_change(sim);
        check_turn(sim);
        machine_disturb(sim);
        // A world that is always busy has no moment at which time stands still.
        if (sim->world.now_ns >= sim->phase_end_ns || sim->turns % 16 == 0)
            phase_advance(sim, false);
    }
    sim_note(&sim->world, SIM_END, SIM_NOWHERE, 0, 0);
}

static int decision_compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

// What is torn down after the end still adds events, and marks.
static void marks_copy(tina_sim_report *report, const sim_record *record) {
    report->mark_count = (uint32_t)(record->count / SIM_MARK_EVENTS);
    size_t bytes = report->mark_count * sizeof *report->marks;
    report->marks = malloc(bytes ? bytes : 1);
    TINA_ASSERT(report->marks != NULL);
    if (bytes)
        memcpy(report->marks, record->marks, bytes);
}

static void report_fill(tina_sim *sim) {
    tina_sim_report *report = sim->report;
    sim_world *world = &sim->world;
    report->hash = world->record.hash;
    report->events = world->record.count;
    report->turns = sim->turns;
    report->dispatches = sim->dispatches;
    report->virtual_ns = world->now_ns;
    report->shards = sim->shard_count;
    report->settings = world->settings;
    marks_copy(report, &world->record);
    report->struck = world->decisions.struck;
    report->struck_count = world->decisions.struck_count;
    world->decisions.struck = NULL;
    if (report->struck_count)
        qsort(report->struck, report->struck_count, sizeof *report->struck, decision_compare);
}

bool tina_simulate(const tina_scenario *scenario, const tina_sim_options *options,
                   tina_sim_report *report, char sentence[TINA_SENTENCE_BYTES]) {
    tina_sim *sim = calloc(1, sizeof *sim);
    TINA_ASSERT(sim != NULL);
    *report = (tina_sim_report){0};
    sim->scenario = scenario;
    sim->options = options;
    sim->report = report;
    sim->outer = current;
    current = sim;
    bool opened = sim_open(sim, sentence);
    if (opened)
        sim_run(sim);
    // Closing adds events.
    machine_close(sim);
    if (opened)
        report_fill(sim);
    if (sim->net)
        sim_net_close(sim->net);
    if (sim->disk)
        sim_disk_free(sim->disk);
    sim_world_end(&sim->world);
    current = sim->outer;
    free(sim->state);
    free(sim);
    return opened;
}

void tina_sim_report_end(tina_sim_report *report) {
    free(report->struck);
    free(report->marks);
    report->struck = NULL;
    report->marks = NULL;
}

tina_sim *tina_sim_current(void) {
    return current;
}

void *tina_sim_state(tina_sim *sim) {
    return sim->state;
}

uint64_t tina_sim_now_ns(const tina_sim *sim) {
    return sim->world.now_ns;
}

bool tina_sim_is_calm(const tina_sim *sim) {
    return sim->phase != SIM_ROUGH;
}

uint32_t tina_sim_shard_count(const tina_sim *sim) {
    return sim->shard_count;
}

const tina_shard *tina_sim_shard(const tina_sim *sim, uint32_t shard) {
    TINA_ASSERT(shard < sim->shard_count);
    return sim->shards[shard].shard;
}

bool tina_sim_is_up(const tina_sim *sim, uint32_t shard) {
    TINA_ASSERT(shard < sim->shard_count);
    return !sim->shards[shard].quarantined;
}

uint32_t tina_sim_breaks(const tina_sim *sim, uint32_t shard) {
    TINA_ASSERT(shard < sim->shard_count);
    return sim->shards[shard].breaks;
}

uint32_t tina_sim_restarts(const tina_sim *sim) {
    return sim->life;
}

uint64_t tina_sim_crashes(const tina_sim *sim) {
    return sim->crashes;
}

uint64_t tina_sim_draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    TINA_ASSERT(stream < TINA_SIM_STREAMS);
    return sim_draw(&sim->users[stream], limit);
}

uint32_t tina_sim_load(const tina_sim *sim, uint32_t most) {
    uint64_t load = most * sim->world.settings.load_permille / 1000;
    return load ? (uint32_t)load : 1;
}

bool tina_sim_does(const tina_sim *sim, uint32_t kind) {
    TINA_ASSERT(kind < TINA_SIM_KINDS);
    return (sim->world.settings.kinds_left_out >> kind & 1) == 0;
}

void tina_sim_note(tina_sim *sim, uint32_t a, uint64_t b) {
    sim_note(&sim->world, SIM_USER, SIM_NOWHERE, a, b);
}

void tina_sim_fail(tina_sim *sim, const char *checker, const char *format, ...) {
    tina_sim_report *report = sim->report;
    if (report->failed)
        return;
    report->failed = true;
    tina_format(report->checker, sizeof report->checker, "%s", checker);
    va_list arguments;
    va_start(arguments, format);
    tina_format_v(report->sentence, sizeof report->sentence, format, arguments);
    va_end(arguments);
    sim_note(&sim->world, SIM_FAILED, SIM_NOWHERE, 0, 0);
}

struct sim_world *tina_sim_world(tina_sim *sim) {
    return &sim->world;
}

struct sim_net *tina_sim_net(tina_sim *sim) {
    return sim->net;
}

struct sim_disk *tina_sim_disk(tina_sim *sim) {
    return sim->disk;
}
