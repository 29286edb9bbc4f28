// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <string.h>

#include "core/assert.h"

#define DAY_S      86400u
#define YEAR_10000 UINT64_C(253402300800)

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

typedef struct date_parts {
    uint32_t year;
    uint32_t month; // from 0
    uint32_t day;   // from 1
    uint32_t hour;
    uint32_t minute;
    uint32_t second;
    uint32_t weekday; // which is not compared with the date
} date_parts;

static bool form_read(const char *text, const char *form, date_parts *parts);
static bool number_take(const char **text, uint32_t digits, uint32_t *number);
static bool name_take(const char **text, const char *names, uint32_t bytes, uint32_t *index);
static bool parts_count(const date_parts *parts, uint64_t *seconds);
static uint32_t days_in(uint32_t year, uint32_t month);

static void digits_write(char *out, uint32_t value, uint32_t count);

const char *http_date_text(http_date *date, uint64_t wall_s) {
    if (date->wall_s != wall_s || date->text[0] == '\0') {
        http_date_write(date->text, wall_s);
        date->wall_s = wall_s;
    }
    return date->text;
}

// Counts days from 1 March of year 0, so that the leap day is a year's last: H. Hinnant,
// "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
void http_date_write(char *out, uint64_t wall_s) {
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
    memcpy(out + 8, &months[month * 3], 3);
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

// In a form: w a weekday's short name, W its long one, d D the day with two digits or after a
// blank, m the month, Y y the year with four digits or two, h n s the time; the rest stands for
// itself.
bool http_date_read(const char *text, uint64_t wall_s, uint64_t *seconds) {
    date_parts parts = {0};
    if (form_read(text, "w, d m Y h:n:s GMT", &parts) || form_read(text, "w m D h:n:s Y", &parts))
        return parts_count(&parts, seconds);
    if (!form_read(text, "W, d-m-y h:n:s GMT", &parts))
        return false;
    // RFC 9110 §5.6.7: a year that seems to be more than 50 years ahead is the past century's.
    uint32_t year = 1970 + (uint32_t)(wall_s / (365 * DAY_S + DAY_S / 4));
    parts.year += year / 100 * 100;
    if (parts.year > year + 50)
        parts.year -= 100;
    return parts_count(&parts, seconds);
}

static bool form_read(const char *text, const char *form, date_parts *parts) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char long_days[] =
        "Sunday   Monday   Tuesday  WednesdayThursday Friday   Saturday ";
    for (; *form != '\0'; form++) {
        bool good;
        switch (*form) {
        case 'w':
            good = name_take(&text, days, 3, &parts->weekday);
            break;
        case 'W':
            good = name_take(&text, long_days, 9, &parts->weekday);
            break;
        case 'm':
            good = name_take(&text, months, 3, &parts->month);
            break;
        case 'd':
            good = number_take(&text, 2, &parts->day);
            break;
        case 'D':
            text += *text == ' ';
            good = number_take(&text, text[-1] == ' ' && text[-2] == ' ' ? 1 : 2, &parts->day);
            break;
        case 'Y':
            good = number_take(&text, 4, &parts->year);
            break;
        case 'y':
            good = number_take(&text, 2, &parts->year);
            break;
        case 'h':
            good = number_take(&text, 2, &parts->hour);
            break;
        case 'n':
            good = number_take(&text, 2, &parts->minute);
            break;
        case 's':
            good = number_take(&text, 2, &parts->second);
            break;
        default:
            good = *text == *form;
            text += good;
        }
        if (!good)
            return false;
    }
    return *text == '\0';
}

static bool number_take(const char **text, uint32_t digits, uint32_t *number) {
    *number = 0;
    for (; digits > 0; digits--, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *number = *number * 10 + (uint32_t)(**text - '0');
    }
    return true;
}

// Names of `bytes` each, those that are shorter filled up with blanks.
static bool name_take(const char **text, const char *names, uint32_t bytes, uint32_t *index) {
    for (uint32_t i = 0; names[i * bytes] != '\0'; i++) {
        const char *name = names + i * bytes;
        uint32_t length = bytes;
        while (name[length - 1] == ' ')
            length--;
        if (strncmp(*text, name, length) == 0) {
            *text += length;
            *index = i;
            return true;
        }
    }
    return false;
}

static bool parts_count(const date_parts *parts, uint64_t *seconds) {
    if (parts->year < 1970 || parts->day == 0 || parts->day > days_in(parts->year, parts->month) ||
        parts->hour > 23 || parts->minute > 59 || parts->second > 60)
        return false;
    uint32_t before = parts->year - 1;
    uint64_t days = (uint64_t)(parts->year - 1970) * 365 +
                    (before / 4 - before / 100 + before / 400) -
                    (1969 / 4 - 1969 / 100 + 1969 / 400);
    for (uint32_t month = 0; month < parts->month; month++)
        days += days_in(parts->year, month);
    days += parts->day - 1;
    *seconds = days * DAY_S + parts->hour * 3600 + parts->minute * 60 + parts->second;
    return true;
}

static uint32_t days_in(uint32_t year, uint32_t month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 1 && leap ? 29 : days[month];
}
