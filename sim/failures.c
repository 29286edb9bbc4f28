// SPDX-License-Identifier: Apache-2.0

#include "sim/failures.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/assert.h"
#include "sim/trace.h"

// Longer lists go to a file, if there is a directory for it.
#define KEPT_INLINE_MAX 64u
#define TEXT_BYTES      (1u << 20)

static bool is_same_site(const sim_failure *a, const sim_failure *b) {
    return a->scenario == b->scenario && strcmp(a->outcome.checker, b->outcome.checker) == 0;
}

// Among equals the lowest number, whoever came first.
static bool is_shorter(const sim_failure *a, const sim_failure *b) {
    return a->outcome.events < b->outcome.events ||
           (a->outcome.events == b->outcome.events && a->number < b->number);
}

void sim_failures_add(sim_failures *self, const sim_failure *failure) {
    uint32_t i = 0;
    while (i < self->count && !is_same_site(&self->first[i], failure))
        i++;
    if (i == SIM_SITES_MAX) {
        self->beyond++;
        return;
    }
    if (i == self->count)
        self->times[self->count++] = 0;
    self->times[i]++;
    if (self->times[i] == 1 || failure->number < self->first[i].number)
        self->first[i] = *failure;
    if (self->times[i] == 1 || is_shorter(failure, &self->least[i]))
        self->least[i] = *failure;
}

const sim_failure *sim_failures_first(const sim_failures *self) {
    const sim_failure *first = NULL;
    for (uint32_t i = 0; i < self->count; i++)
        if (!first || self->first[i].number < first->number)
            first = &self->first[i];
    return first;
}

typedef struct failure_text {
    char *out;
    size_t capacity;
    size_t bytes;
} failure_text;

static void text_add(failure_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void text_add(failure_text *text, const char *format, ...) {
    size_t left = text->capacity - text->bytes;
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(text->out + text->bytes, left, format, arguments);
    va_end(arguments);
    text->bytes += (size_t)bytes < left ? (size_t)bytes : left - 1;
}

// Returns the file's name as --keep takes it, or NULL when the list is better inline.
static const char *kept_write(const sim_telling *telling, const sim_plan *plan, char path[512]) {
    if (!telling->directory || plan->kept_count <= KEPT_INLINE_MAX)
        return NULL;
    size_t bytes = sim_plan_print_kept(plan, NULL, 0) + 1;
    char *text = malloc(bytes);
    TINA_ASSERT(text != NULL);
    sim_plan_print_kept(plan, text, bytes);
    snprintf(path, 512, "@%s/%s-%llu.keep", telling->directory, plan->scenario->name,
             (unsigned long long)plan->seed);
    FILE *file = fopen(path + 1, "w");
    bool written = file && fprintf(file, "%s\n", text) > 0;
    written = file && fclose(file) == 0 && written;
    free(text);
    return written ? path : NULL;
}

static void command_add(failure_text *text, const sim_telling *telling, const sim_plan *plan) {
    char path[512];
    const char *kept_file = kept_write(telling, plan, path);
    text_add(text, "  %s", telling->command);
    size_t left = text->capacity - text->bytes;
    size_t bytes = sim_plan_print(plan, kept_file, text->out + text->bytes, left);
    text->bytes += bytes < left ? bytes : left - 1;
    text_add(text, "%s\n", telling->after);
}

static void settings_add(failure_text *text, const sim_plan *plan) {
    tina_sim_settings settings;
    char sentence[TINA_SENTENCE_BYTES];
    char line[SIM_PLAN_SET_BYTES];
    if (!sim_plan_settings(plan, &settings, sentence))
        return;
    tina_sim_settings_print(&settings, line, sizeof line);
    text_add(text, "settings: %s\n", line[0] ? line : "calm");
}

// What was tried, and how it ended, so that anyone can try it again.
static void proof_add(failure_text *text, const sim_shrunk *shrunk) {
    const char *plural = shrunk->held == 1 ? "" : "s";
    unsigned long long events = shrunk->events_alike;
    if (shrunk->minimal)
        text_add(text,
                 "; 1-minimal: none of %u single reduction%s fails alike within %llu events:\n",
                 shrunk->held, plural, events);
    else if (shrunk->unknown)
        text_add(
            text,
            "; not proven 1-minimal: of %u single reduction%s the run took too long, %u do not "
            "fail alike within %llu events:\n",
            shrunk->unknown, shrunk->unknown == 1 ? "" : "s", shrunk->held, events);
    else
        text_add(text,
                 "; not proven 1-minimal: cut short after %u single reduction%s that did not fail "
                 "alike within %llu events:\n",
                 shrunk->held, plural, events);
}

static void shrunk_add(failure_text *text, const sim_telling *telling, sim_plan *plan,
                       const sim_outcome *outcome) {
    sim_shrunk shrunk;
    const sim_shrink_limits limits = {.seconds = telling->shrink_s, .jobs = telling->jobs};
    sim_shrink(plan, outcome->checker, &limits, &shrunk);
    if (!shrunk.repeats) {
        text_add(text, "It does not fail again in the same way, so it is not shrunk; --verify with "
                       "this seed may say why.\n");
        return;
    }
    text_add(text,
             "shrunk from %llu events to %llu and from %u decision%s to %u on %u shard%s, in %u "
             "runs",
             (unsigned long long)shrunk.events_before, (unsigned long long)shrunk.events,
             shrunk.struck_before, shrunk.struck_before == 1 ? "" : "s", shrunk.struck,
             shrunk.outcome.shards, shrunk.outcome.shards == 1 ? "" : "s", shrunk.runs);
    if (shrunk.sought)
        text_add(text, " and %llu of other seeds", (unsigned long long)shrunk.sought);
    proof_add(text, &shrunk);
    command_add(text, telling, plan);
    text_add(text, "it then says: %s\n", shrunk.outcome.sentence);
}

static void difference_add(failure_text *text, const sim_plan *plan) {
    sim_replayed replayed;
    sim_plan other = *plan;
    other.fill ^= SIM_OTHER_FILL;
    sim_trace_compare(plan, &other, &replayed);
    text_add(text, "%s%s", replayed.text,
             replayed.same ? "That is in processes of their own: what an earlier run has left "
                             "decides.\n"
                           : "");
}

void sim_failure_text(const sim_telling *telling, const sim_failure *failure, char *out,
                      size_t capacity) {
    failure_text text = {out, capacity, 0};
    sim_plan plan = {0};
    sim_plan_copy(&plan, telling->plan);
    plan.scenario = failure->scenario;
    plan.seed = failure->seed;
    text_add(&text, "scenario %s, seed %llu: %s\n%s\n", plan.scenario->name,
             (unsigned long long)plan.seed, failure->outcome.checker, failure->outcome.sentence);
    settings_add(&text, &plan);
    text_add(&text, "again:\n");
    command_add(&text, telling, &plan);
    if (strcmp(failure->outcome.checker, SIM_NOT_TWICE) == 0)
        difference_add(&text, &plan);
    else if (telling->shrink && failure->outcome.ran)
        shrunk_add(&text, telling, &plan, &failure->outcome);
    sim_plan_free(&plan);
}

static void failure_write(const char *directory, const sim_failure *failure, const char *text) {
    char path[512];
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "%s: %s\n", directory, strerror(errno));
        return;
    }
    snprintf(path, sizeof path, "%s/%s-%llu.txt", directory, failure->scenario->name,
             (unsigned long long)failure->seed);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (file)
        fclose(file);
}

void sim_failure_print(const sim_telling *telling, const sim_failure *failure) {
    char *text = malloc(TEXT_BYTES);
    TINA_ASSERT(text != NULL);
    if (telling->directory)
        mkdir(telling->directory, 0777);
    sim_failure_text(telling, failure, text, TEXT_BYTES);
    fputs(text, stdout);
    fflush(stdout);
    if (telling->directory)
        failure_write(telling->directory, failure, text);
    free(text);
}
