// SPDX-License-Identifier: Apache-2.0

#include "sim/settings.h"

#include <string.h>

#include "core/format.h"
#include "core/prng.h"
#include "sim/world.h"

#define ROW(name, calm, low, high) {#name, calm, low, high, offsetof(tina_sim_settings, name)},
const tina_sim_setting tina_sim_setting_table[] = {TINA_SIM_SETTINGS(ROW)};
#undef ROW

const uint32_t tina_sim_setting_count =
    sizeof tina_sim_setting_table / sizeof tina_sim_setting_table[0];

_Static_assert(sizeof tina_sim_setting_table / sizeof tina_sim_setting_table[0] ==
                   sizeof(tina_sim_settings) / sizeof(uint64_t),
               "a row a field");

void tina_sim_settings_calm(tina_sim_settings *settings) {
    for (uint32_t i = 0; i < tina_sim_setting_count; i++)
        *tina_sim_setting_of(settings, &tina_sim_setting_table[i]) = tina_sim_setting_table[i].calm;
}

// Evenly over the powers of two of the range, then within one: small values are as likely as large
// ones, without a logarithm, whose last bits differ between machines.
static uint64_t log_draw(tina_prng *prng, uint64_t low, uint64_t high) {
    uint32_t doublings = 0;
    while (doublings < 63 && (low << doublings) <= high / 2)
        doublings++;
    uint64_t from = low << tina_prng_below(prng, doublings + 1);
    uint64_t to = from > high / 2 ? high : 2 * from;
    return from + tina_prng_below(prng, to - from + 1);
}

void tina_sim_settings_draw(tina_sim_settings *settings, uint64_t seed) {
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[i];
        tina_prng prng = tina_prng_make(seed, SIM_DOMAIN_SETTINGS, i);
        bool left_out = tina_prng_chance(&prng, 1, 2);
        bool choice = row->low == 0;
        uint64_t value =
            choice ? tina_prng_below(&prng, row->high + 1) : log_draw(&prng, row->low, row->high);
        *tina_sim_setting_of(settings, row) = left_out && !choice ? row->calm : value;
    }
}

static const tina_sim_setting *setting_find(const char *name, size_t bytes) {
    for (uint32_t i = 0; i < tina_sim_setting_count; i++)
        if (strlen(tina_sim_setting_table[i].name) == bytes &&
            memcmp(tina_sim_setting_table[i].name, name, bytes) == 0)
            return &tina_sim_setting_table[i];
    return NULL;
}

// Digits only, none left over, no overflow.
static bool number_read(const char *text, size_t bytes, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || *value > (UINT64_MAX - 9) / 10)
            return false;
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return bytes > 0;
}

static bool one_set(tina_sim_settings *settings, const char *text, size_t bytes,
                    char sentence[TINA_SIM_SENTENCE_BYTES]) {
    const char *equals = memchr(text, '=', bytes);
    size_t name_bytes = equals ? (size_t)(equals - text) : bytes;
    const tina_sim_setting *row = setting_find(text, name_bytes);
    if (!row) {
        tina_format(sentence, TINA_SIM_SENTENCE_BYTES,
                    "\"%.*s\" is no setting; sim/settings.h lists them", (int)name_bytes, text);
        return false;
    }
    const char *value = equals ? equals + 1 : "";
    size_t value_bytes = equals ? bytes - name_bytes - 1 : 0;
    uint64_t *field = tina_sim_setting_of(settings, row);
    if (value_bytes == 4 && memcmp(value, "calm", 4) == 0) {
        *field = row->calm;
        return true;
    }
    if (!number_read(value, value_bytes, field)) {
        tina_format(sentence, TINA_SIM_SENTENCE_BYTES,
                    "%s takes a number or \"calm\", not \"%.*s\"", row->name, (int)value_bytes,
                    value);
        return false;
    }
    return true;
}

bool tina_sim_settings_set(tina_sim_settings *settings, const char *text,
                           char sentence[TINA_SIM_SENTENCE_BYTES]) {
    tina_sim_settings set = *settings;
    for (const char *at = text; *at;) {
        size_t bytes = strcspn(at, ",");
        if (!one_set(&set, at, bytes, sentence))
            return false;
        at += bytes + (at[bytes] == ',');
    }
    *settings = set;
    return true;
}

size_t tina_sim_settings_print(const tina_sim_settings *settings, char *out, size_t capacity) {
    tina_sim_settings copy = *settings;
    size_t bytes = 0;
    if (capacity)
        out[0] = '\0';
    for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
        const tina_sim_setting *row = &tina_sim_setting_table[i];
        uint64_t value = *tina_sim_setting_of(&copy, row);
        size_t left = bytes < capacity ? capacity - bytes : 0;
        if (value != row->calm)
            bytes += tina_format(left ? out + bytes : NULL, left, "%s%s=%llu", bytes ? "," : "",
                                 row->name, (unsigned long long)value);
    }
    return bytes;
}
