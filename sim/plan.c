// SPDX-License-Identifier: Apache-2.0

#include "sim/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

_Static_assert(TINA_SIM_SENTENCE_BYTES <= TINA_SENTENCE_BYTES, "a sentence holds a setting's");

#define KEPT_BYTES_MAX (64u << 20) // of a file

typedef struct plan_option {
    const char *name;
    bool takes;
    // Returns NULL, or what it takes.
    const char *(*read)(sim_plan *plan, const char *value);
} plan_option;

bool sim_number_read(const char *text, uint64_t *value) {
    uint64_t number = 0;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || number > (UINT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *value = number;
    return *text != '\0';
}

static const char *seed_read(sim_plan *plan, const char *value) {
    return sim_number_read(value, &plan->seed) ? NULL : "a number";
}

static const char *shards_read(sim_plan *plan, const char *value) {
    uint64_t shards;
    if (!sim_number_read(value, &shards) || shards < 1 || shards > 255)
        return "a number from 1 to 255";
    plan->shards = (uint32_t)shards;
    return NULL;
}

static const char *fill_read(sim_plan *plan, const char *value) {
    uint64_t fill;
    if (!sim_number_read(value, &fill) || fill > 255)
        return "a byte's value, 0 to 255";
    plan->fill = (uint8_t)fill;
    return NULL;
}

static const char *from_read(sim_plan *plan, const char *value) {
    return sim_number_read(value, &plan->faults_from_ns) ? NULL : "a number of ns";
}

static const char *until_read(sim_plan *plan, const char *value) {
    return sim_number_read(value, &plan->faults_until_ns) ? NULL : "a number of ns";
}

static const char *patience_read(sim_plan *plan, const char *value) {
    return sim_number_read(value, &plan->liveness_ns) ? NULL : "a number of ns";
}

static const char *calm_read(sim_plan *plan, const char *value) {
    (void)value;
    plan->calm = true;
    return NULL;
}

static bool set_append(sim_plan *plan, const char *text) {
    size_t bytes = strlen(plan->set);
    int more =
        snprintf(plan->set + bytes, sizeof plan->set - bytes, "%s%s", bytes ? "," : "", text);
    return (size_t)more < sizeof plan->set - bytes;
}

static const char *set_read(sim_plan *plan, const char *value) {
    tina_sim_settings settings;
    static char sentence[TINA_SIM_SENTENCE_BYTES + 32];
    char why[TINA_SIM_SENTENCE_BYTES];
    tina_sim_settings_calm(&settings);
    if (!tina_sim_settings_set(&settings, value, why)) {
        snprintf(sentence, sizeof sentence, "NAME=VALUE,... (%s)", why);
        return sentence;
    }
    return set_append(plan, value) ? NULL : "fewer settings";
}

static const char *schedule_read(sim_plan *plan, const char *value) {
    static const char *const names[] = {"turn", "shuffle", "pct"};
    for (uint32_t i = 0; i < 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "schedule=%u", i);
        if (strcmp(value, names[i]) == 0)
            return set_append(plan, text) ? NULL : "fewer settings";
    }
    return "turn, shuffle or pct";
}

static char *file_read(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t bytes = 0;
    size_t got = 1;
    while (file && got > 0 && bytes < KEPT_BYTES_MAX) {
        char *grown = realloc(text, bytes + 65537);
        TINA_ASSERT(grown != NULL);
        text = grown;
        got = fread(text + bytes, 1, 65536, file);
        bytes += got;
        text[bytes] = '\0';
    }
    if (file)
        fclose(file);
    return text;
}

static int decision_compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static bool kept_parse(sim_plan *plan, const char *text) {
    uint64_t *kept = malloc((strlen(text) / 2 + 1) * sizeof *kept);
    TINA_ASSERT(kept != NULL);
    uint32_t count = 0;
    const char *at = text + strspn(text, ", \n");
    while (*at) {
        char *end;
        kept[count] = strtoull(at, &end, 16);
        if (end == at || !strchr(", \n", *end))
            break;
        count++;
        at = end + strspn(end, ", \n");
    }
    if (*at == '\0') {
        qsort(kept, count, sizeof *kept, decision_compare);
        sim_plan_keep(plan, kept, count);
    }
    free(kept);
    return *at == '\0';
}

static const char *keep_read(sim_plan *plan, const char *value) {
    if (strcmp(value, "none") == 0)
        return kept_parse(plan, "") ? NULL : "none";
    if (value[0] != '@')
        return kept_parse(plan, value) ? NULL : "decisions as 3f00..,4100.., @FILE or none";
    char *text = file_read(value + 1);
    bool read = text && kept_parse(plan, text);
    free(text);
    return read ? NULL : "@FILE, a readable file of decisions";
}

static const plan_option options[] = {
    {"--seed", true, seed_read},  {"--set", true, set_read},
    {"--calm", false, calm_read}, {"--schedule", true, schedule_read},
    {"--fill", true, fill_read},  {"--shards", true, shards_read},
    {"--from", true, from_read},  {"--until", true, until_read},
    {"--keep", true, keep_read},  {"--patience", true, patience_read},
};

static const plan_option *option_find(const char *name) {
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

bool sim_plan_takes(const char *name) {
    const plan_option *option = option_find(name);
    return option && option->takes;
}

sim_plan_read sim_plan_option(sim_plan *plan, const char *name, const char *value,
                              char sentence[TINA_SENTENCE_BYTES]) {
    const plan_option *option = option_find(name);
    if (!option)
        return SIM_PLAN_READ_UNKNOWN;
    const char *wanted = option->takes && !value ? "a value" : option->read(plan, value);
    if (!wanted)
        return SIM_PLAN_READ_OK;
    snprintf(sentence, TINA_SENTENCE_BYTES, "%s takes %s, not \"%.80s\"", name, wanted,
             value ? value : "");
    return SIM_PLAN_READ_BAD;
}

static bool words_read(sim_plan *plan, char *at, char sentence[TINA_SENTENCE_BYTES]) {
    char *rest = NULL;
    for (char *name = strtok_r(at, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest)) {
        const char *value = sim_plan_takes(name) ? strtok_r(NULL, " \n", &rest) : NULL;
        switch (sim_plan_option(plan, name, value, sentence)) {
        case SIM_PLAN_READ_OK:
            continue;
        case SIM_PLAN_READ_UNKNOWN:
            snprintf(sentence, TINA_SENTENCE_BYTES, "\"%.80s\" is no option of a run", name);
            return false;
        case SIM_PLAN_READ_BAD:
            return false;
        }
    }
    return true;
}

bool sim_plan_words(sim_plan *plan, const char *words, char sentence[TINA_SENTENCE_BYTES]) {
    char *copy = strdup(words);
    TINA_ASSERT(copy != NULL);
    bool read = words_read(plan, copy, sentence);
    free(copy);
    return read;
}

size_t sim_plan_print_kept(const sim_plan *plan, char *out, size_t capacity) {
    size_t bytes = 0;
    if (!plan->kept_count)
        return (size_t)snprintf(out, capacity, "none");
    for (uint32_t i = 0; i < plan->kept_count; i++) {
        size_t left = bytes < capacity ? capacity - bytes : 0;
        bytes += (size_t)snprintf(left ? out + bytes : NULL, left, "%s%llx", i ? "," : "",
                                  (unsigned long long)plan->kept[i]);
    }
    return bytes;
}

typedef struct plan_text {
    char *out;
    size_t capacity;
    size_t bytes;
} plan_text;

static void number_print(plan_text *text, const char *name, uint64_t value) {
    size_t left = text->bytes < text->capacity ? text->capacity - text->bytes : 0;
    if (value)
        text->bytes += (size_t)snprintf(left ? text->out + text->bytes : NULL, left, " %s %llu",
                                        name, (unsigned long long)value);
}

static void word_print(plan_text *text, const char *name, const char *value) {
    size_t left = text->bytes < text->capacity ? text->capacity - text->bytes : 0;
    text->bytes += (size_t)snprintf(left ? text->out + text->bytes : NULL, left, " %s%s%s", name,
                                    value[0] ? " " : "", value);
}

size_t sim_plan_print(const sim_plan *plan, const char *kept_file, char *out, size_t capacity) {
    plan_text text = {out, capacity, 0};
    text.bytes = (size_t)snprintf(out, capacity, "--scenario %s --seed %llu", plan->scenario->name,
                                  (unsigned long long)plan->seed);
    if (plan->calm)
        word_print(&text, "--calm", "");
    if (plan->set[0])
        word_print(&text, "--set", plan->set);
    number_print(&text, "--shards", plan->shards);
    number_print(&text, "--fill", plan->fill);
    number_print(&text, "--from", plan->faults_from_ns);
    number_print(&text, "--until", plan->faults_until_ns);
    number_print(&text, "--patience", plan->liveness_ns);
    if (plan->kept) {
        word_print(&text, "--keep", kept_file ? kept_file : "");
        size_t left = text.bytes < capacity ? capacity - text.bytes : 0;
        if (!kept_file) {
            text.bytes += left > 1 ? (size_t)snprintf(out + text.bytes, left, " ") : 1;
            left = text.bytes < capacity ? capacity - text.bytes : 0;
            text.bytes += sim_plan_print_kept(plan, left ? out + text.bytes : NULL, left);
        }
    }
    return text.bytes;
}

static bool base_settings(const sim_plan *plan, bool calm, tina_sim_settings *settings,
                          char sentence[TINA_SENTENCE_BYTES]) {
    if (calm)
        tina_sim_settings_calm(settings);
    else
        tina_sim_settings_draw(settings, plan->seed);
    return !plan->scenario->settings ||
           tina_sim_settings_set(settings, plan->scenario->settings, sentence);
}

bool sim_plan_settings(const sim_plan *plan, tina_sim_settings *settings,
                       char sentence[TINA_SENTENCE_BYTES]) {
    return base_settings(plan, plan->calm, settings, sentence) &&
           (!plan->set[0] || tina_sim_settings_set(settings, plan->set, sentence));
}

tina_sim_settings sim_plan_least(const sim_plan *plan) {
    const sim_plan least = {.scenario = plan->scenario, .calm = true};
    tina_sim_settings settings;
    char sentence[TINA_SENTENCE_BYTES];
    bool sensible = sim_plan_settings(&least, &settings, sentence);
    TINA_ASSERT(sensible);
    return settings;
}

uint64_t sim_plan_liveness_ns(const sim_plan *plan) {
    return plan->liveness_ns             ? plan->liveness_ns
           : plan->scenario->liveness_ns ? plan->scenario->liveness_ns
                                         : TINA_SIM_LIVENESS_NS;
}

uint64_t sim_plan_faults_ns(const sim_plan *plan) {
    return plan->faults_until_ns       ? plan->faults_until_ns
           : plan->scenario->faults_ns ? plan->scenario->faults_ns
                                       : TINA_SIM_FAULTS_NS;
}

// What must be set so that base becomes settings.
static size_t difference_print(const tina_sim_settings *base, const tina_sim_settings *settings,
                               char out[SIM_PLAN_SET_BYTES]) {
    tina_sim_settings from = *base;
    tina_sim_settings to = *settings;
    size_t bytes = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[i];
        uint64_t value = *tina_sim_setting_of(&to, row);
        if (value == *tina_sim_setting_of(&from, row))
            continue;
        char number[24] = "calm";
        if (value != row->calm)
            snprintf(number, sizeof number, "%llu", (unsigned long long)value);
        bytes += (size_t)snprintf(out + bytes, SIM_PLAN_SET_BYTES - bytes, "%s%s=%s",
                                  bytes ? "," : "", row->name, number);
        TINA_ASSERT(bytes < SIM_PLAN_SET_BYTES);
    }
    return bytes;
}

void sim_plan_set(sim_plan *plan, const tina_sim_settings *settings) {
    char sentence[TINA_SENTENCE_BYTES];
    char text[2][SIM_PLAN_SET_BYTES];
    size_t bytes[2];
    for (int calm = 0; calm < 2; calm++) {
        tina_sim_settings base;
        bool sensible = base_settings(plan, calm, &base, sentence);
        TINA_ASSERT(sensible);
        bytes[calm] = difference_print(&base, settings, text[calm]);
    }
    plan->calm = bytes[1] < bytes[0];
    memcpy(plan->set, text[plan->calm], sizeof plan->set);
}

void sim_plan_keep(sim_plan *plan, const uint64_t *kept, uint32_t count) {
    uint64_t *copy = NULL;
    if (kept) {
        copy = malloc((count ? count : 1) * sizeof *copy);
        TINA_ASSERT(copy != NULL);
        memcpy(copy, kept, count * sizeof *copy);
    }
    free(plan->kept);
    plan->kept = copy;
    plan->kept_count = kept ? count : 0;
}

void sim_plan_copy(sim_plan *to, const sim_plan *from) {
    uint64_t *kept = to->kept;
    *to = *from;
    to->kept = kept;
    sim_plan_keep(to, from->kept, from->kept_count);
}

void sim_plan_free(sim_plan *plan) {
    free(plan->kept);
    *plan = (sim_plan){0};
}

tina_sim_options sim_plan_options(const sim_plan *plan) {
    return (tina_sim_options){
        .seed = plan->seed,
        .calm = plan->calm,
        .set = plan->set[0] ? plan->set : NULL,
        .shards = plan->shards,
        .fill = plan->fill,
        .faults_from_ns = plan->faults_from_ns,
        .faults_until_ns = plan->faults_until_ns,
        .liveness_ns = plan->liveness_ns,
        .events_max = plan->events_max,
        .kept = plan->kept,
        .kept_count = plan->kept_count,
    };
}
