// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <string.h>

#include "core/assert.h"

#define DAY_S      86400u
#define YEAR_10000 UINT64_C(253402300800)

static void date_render(char *out, uint64_t wall_s);
static void digits_write(char *out, uint32_t value, uint32_t count);

const char *http_date_text(http_date *date, uint64_t wall_s) {
    if (date->wall_s != wall_s || date->text[0] == '\0') {
        date_render(date->text, wall_s);
        date->wall_s = wall_s;
    }
    return date->text;
}

// Counts days from 1 March of year 0, so that the leap day is a year's last: H. Hinnant,
// "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
static void date_render(char *out, uint64_t wall_s) {
    TINA_ASSERT(wall_s < YEAR_10000);
    uint32_t days = (uint32_t)(wall_s / DAY_S);
    uint32_t second = (uint32_t)(wall_s % DAY_S);
    uint32_t shifted = days + 719468;
    uint32_t era = shifted / 146097;
    uint32_t of_era = shifted % 146097;
    uint32_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month_from_march = (5 * of_year + 2) / 153;
    uint32_t day = of_year - (153 * month_from_march + 2) / 5 + 1;
    uint32_t month = (month_from_march + 2) % 12;
    uint32_t year = era * 400 + year_of_era + (month < 2);

    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_BYTES + 1);
    memcpy(out, &"ThuFriSatSunMonTueWed"[days % 7 * 3], 3);
    digits_write(out + 5, day, 2);
    memcpy(out + 8, &"JanFebMarAprMayJunJulAugSepOctNovDec"[month * 3], 3);
    digits_write(out + 12, year, 4);
    digits_write(out + 17, second / 3600, 2);
    digits_write(out + 20, second / 60 % 60, 2);
    digits_write(out + 23, second % 60, 2);
}

static void digits_write(char *out, uint32_t value, uint32_t count) {
    for (uint32_t i = count; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    TINA_ASSERT(value == 0);
}
