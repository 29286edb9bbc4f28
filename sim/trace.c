// SPDX-License-Identifier: Apache-2.0

#include "sim/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/assert.h"

#define TITLE       "tina trace 1"
#define LINE_BYTES  256u
#define HASH_FORMAT "hash %16s events %20llu\n"

static void event_write(void *file, const tina_sim_event_view *event) {
    fprintf(file, "%s\n", event->line);
}

static void hash_write(FILE *file, const char *hash, uint64_t events) {
    fprintf(file, HASH_FORMAT, hash, (unsigned long long)events);
}

static void head_write(FILE *file, const sim_plan *plan) {
    size_t bytes = sim_plan_print(plan, NULL, NULL, 0) + 1;
    char *words = malloc(bytes);
    TINA_ASSERT(words != NULL);
    sim_plan_print(plan, NULL, words, bytes);
    fprintf(file, "%s\n%s\n", TITLE, words);
    free(words);
}

// The run is another process's, which may die: each line is written as it comes.
static void run_write(FILE *file, const sim_plan *plan, sim_outcome *outcome) {
    setvbuf(file, NULL, _IOLBF, 0);
    sim_attempt *attempt = sim_attempt_open();
    char hash[17] = "----------------";
    head_write(file, plan);
    long at = ftell(file);
    hash_write(file, hash, 0);
    fflush(file);
    sim_attempt_run(attempt, plan, true, event_write, file, outcome);
    if (!outcome->died)
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)outcome->hash);
    fseek(file, at, SEEK_SET);
    hash_write(file, hash, outcome->events);
    sim_attempt_close(attempt);
}

bool sim_trace_write(const char *path, const sim_plan *plan, sim_outcome *outcome,
                     char sentence[TINA_SENTENCE_BYTES]) {
    FILE *file = fopen(path, "w");
    if (!file) {
        snprintf(sentence, TINA_SENTENCE_BYTES, "%.100s: %s", path, strerror(errno));
        return false;
    }
    run_write(file, plan, outcome);
    bool written = !ferror(file);
    written = fclose(file) == 0 && written;
    if (!written)
        snprintf(sentence, TINA_SENTENCE_BYTES, "%.100s: it cannot be written", path);
    else if (!outcome->ran)
        snprintf(sentence, TINA_SENTENCE_BYTES, "%.200s", outcome->sentence);
    return written && outcome->ran;
}

// In memory that the run's process shares: what it has found stays when it dies.
typedef struct replay_state {
    FILE *file;
    bool differs;
    uint64_t events;
    char expected[LINE_BYTES];
    char found[LINE_BYTES];
} replay_state;

static bool line_skip(FILE *file) {
    char *line = NULL;
    size_t capacity = 0;
    bool there = getline(&line, &capacity, file) > 0;
    free(line);
    return there;
}

static bool line_read(FILE *file, char *line, size_t bytes) {
    if (!fgets(line, (int)bytes, file))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

static void event_compare(void *self_, const tina_sim_event_view *event) {
    replay_state *self = self_;
    if (self->differs)
        return;
    self->events = event->number + 1;
    bool there = line_read(self->file, self->expected, sizeof self->expected);
    if (there && strcmp(self->expected, event->line) == 0)
        return;
    self->differs = true;
    if (!there)
        snprintf(self->expected, sizeof self->expected, "(the file's end)");
    snprintf(self->found, sizeof self->found, "%s", event->line);
}

typedef struct trace_head {
    sim_plan plan;
    char hash[17];
} trace_head;

static const tina_scenario *scenario_find(const tina_scenario *const *scenarios, const char *name) {
    for (uint32_t i = 0; scenarios[i]; i++)
        if (strcmp(scenarios[i]->name, name) == 0)
            return scenarios[i];
    return NULL;
}

// "--scenario NAME" and what follows it.
static bool words_read(trace_head *head, const tina_scenario *const *scenarios, char *words,
                       char sentence[TINA_SENTENCE_BYTES]) {
    const char prefix[] = "--scenario ";
    words[strcspn(words, "\n")] = '\0';
    if (strncmp(words, prefix, sizeof prefix - 1) != 0) {
        snprintf(sentence, TINA_SENTENCE_BYTES, "its second line names no scenario");
        return false;
    }
    char *name = words + sizeof prefix - 1;
    size_t bytes = strcspn(name, " ");
    const char *rest = name[bytes] ? name + bytes + 1 : "";
    name[bytes] = '\0';
    head->plan.scenario = scenario_find(scenarios, name);
    if (!head->plan.scenario) {
        snprintf(sentence, TINA_SENTENCE_BYTES, "there is no scenario \"%.80s\"", name);
        return false;
    }
    return sim_plan_words(&head->plan, rest, sentence);
}

static bool head_read(trace_head *head, FILE *file, const tina_scenario *const *scenarios,
                      char sentence[TINA_SENTENCE_BYTES]) {
    char line[LINE_BYTES];
    char *words = NULL;
    size_t capacity = 0;
    if (!line_read(file, line, sizeof line) || strcmp(line, TITLE) != 0) {
        snprintf(sentence, TINA_SENTENCE_BYTES, "it does not begin with \"%s\"", TITLE);
        return false;
    }
    bool read =
        getline(&words, &capacity, file) > 0 && words_read(head, scenarios, words, sentence);
    free(words);
    if (!read)
        return false;
    if (!line_read(file, line, sizeof line) || sscanf(line, "hash %16s events", head->hash) != 1) {
        snprintf(sentence, TINA_SENTENCE_BYTES, "its third line has no hash");
        return false;
    }
    return true;
}

// Reads the line behind the last one of the run, of a file that the run's process has read, too.
static bool rest_read(const replay_state *self, char *line, size_t bytes) {
    bool there = true;
    rewind(self->file);
    for (uint64_t i = 0; i < self->events + 3 && there; i++)
        there = line_skip(self->file);
    return there && line_read(self->file, line, bytes);
}

static void replay_tell(const replay_state *self, const trace_head *head,
                        const sim_outcome *outcome, sim_replayed *replayed) {
    char hash[17] = "----------------";
    char more[LINE_BYTES];
    if (!outcome->died)
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)outcome->hash);
    if (self->differs)
        snprintf(replayed->text, sizeof replayed->text,
                 "event %llu differs\n  file: %s\n  run:  %s\n",
                 (unsigned long long)self->events - 1, self->expected, self->found);
    else if (rest_read(self, more, sizeof more))
        snprintf(replayed->text, sizeof replayed->text,
                 "the run ended after %llu events, before the file: %s\n",
                 (unsigned long long)self->events, more);
    else if (strcmp(hash, head->hash) != 0)
        snprintf(replayed->text, sizeof replayed->text,
                 "the lines are the same, the hash is %s and was %s\n", hash, head->hash);
    else
        replayed->same = true;
    if (replayed->same)
        snprintf(replayed->text, sizeof replayed->text, "same: %llu events, hash %s%s%s\n",
                 (unsigned long long)self->events, hash, outcome->failed ? ", failed: " : "",
                 outcome->checker);
}

static void head_replay(const trace_head *head, FILE *file, sim_replayed *replayed) {
    sim_outcome outcome;
    sim_attempt *attempt = sim_attempt_open();
    replay_state *self =
        mmap(NULL, sizeof *self, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TINA_ASSERT(self != MAP_FAILED);
    self->file = file;
    sim_attempt_run(attempt, &head->plan, false, event_compare, self, &outcome);
    replay_tell(self, head, &outcome, replayed);
    munmap(self, sizeof *self);
    sim_attempt_close(attempt);
}

bool sim_trace_replay(const char *path, const tina_scenario *const *scenarios,
                      sim_replayed *replayed) {
    char sentence[TINA_SENTENCE_BYTES];
    trace_head head = {0};
    *replayed = (sim_replayed){0};
    FILE *file = fopen(path, "r");
    if (!file) {
        snprintf(replayed->text, sizeof replayed->text, "%.200s: %s", path, strerror(errno));
        return false;
    }
    bool read = head_read(&head, file, scenarios, sentence);
    if (read)
        head_replay(&head, file, replayed);
    else
        snprintf(replayed->text, sizeof replayed->text, "%.200s: %s", path, sentence);
    sim_plan_free(&head.plan);
    fclose(file);
    return read;
}

void sim_trace_compare(const sim_plan *one, const sim_plan *other, sim_replayed *replayed) {
    sim_outcome outcome;
    trace_head head = {.plan = *other};
    FILE *file = tmpfile();
    TINA_ASSERT(file != NULL);
    run_write(file, one, &outcome);
    rewind(file);
    for (int i = 0; i < 3; i++)
        line_skip(file);
    *replayed = (sim_replayed){0};
    snprintf(head.hash, sizeof head.hash, "%016llx", (unsigned long long)outcome.hash);
    head_replay(&head, file, replayed);
    fclose(file);
}
