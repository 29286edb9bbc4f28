// SPDX-License-Identifier: Apache-2.0
#include "http/condition.h"

#include <string.h>

#include "http/ascii.h"
#include "http/date.h"

static const http_field *field_find(const http_head *head, const char *name,
                                    const http_field *after);
static bool tags_hold(const http_head *head, const char *name, const char *etag, bool weak);
static bool date_holds(const http_head *head, const char *name, const http_validators *validators,
                       bool *since);
static bool element_next(const char **at, const char **element, size_t *bytes);
static bool weight_is_zero(const char *parameters, const char *end);

int http_condition(const http_head *head, const http_validators *validators) {
    bool since;
    if (field_find(head, "if-match", NULL) != NULL) {
        if (!tags_hold(head, "if-match", validators->etag, false))
            return 412;
    } else if (date_holds(head, "if-unmodified-since", validators, &since) && since) {
        return 412;
    }
    if (field_find(head, "if-none-match", NULL) != NULL)
        return tags_hold(head, "if-none-match", validators->etag, true) ? 304 : 0;
    if (date_holds(head, "if-modified-since", validators, &since) && !since)
        return 304;
    return 0;
}

// An entity tag has to be the same and strong, a date the same to the second.
bool http_range_applies(const http_head *head, const http_validators *validators) {
    const http_field *field = field_find(head, "if-range", NULL);
    if (field == NULL)
        return true;
    if (field->value[0] == '"')
        return strcmp(field->value, validators->etag) == 0;
    uint64_t date;
    return http_date_read(field->value, validators->wall_s, &date) &&
           date == validators->modified_s;
}

bool http_accepts_coding(const http_head *head, const char *coding) {
    bool any = false;
    size_t bytes = strlen(coding);
    for (const http_field *field = NULL;
         (field = field_find(head, "accept-encoding", field)) != NULL;) {
        const char *at = field->value;
        const char *element;
        size_t element_bytes;
        while (element_next(&at, &element, &element_bytes)) {
            size_t name_bytes = 0;
            while (name_bytes < element_bytes && element[name_bytes] != ';' &&
                   element[name_bytes] != ' ' && element[name_bytes] != '\t')
                name_bytes++;
            bool zero = weight_is_zero(element + name_bytes, element + element_bytes);
            if (name_bytes == bytes && ascii_equal(element, coding, bytes))
                return !zero;
            if (name_bytes == 1 && element[0] == '*')
                any = !zero;
        }
    }
    return any;
}

// The next field of that name (in small letters) behind `after`, or the first.
static const http_field *field_find(const http_head *head, const char *name,
                                    const http_field *after) {
    size_t bytes = strlen(name);
    const http_field *end = head->fields + head->field_count;
    for (const http_field *field = after != NULL ? after + 1 : head->fields; field < end; field++) {
        if (field->name_bytes == bytes && ascii_equal(field->name, name, bytes))
            return field;
    }
    return NULL;
}

// Whether one of the entity tags is etag, or there is a "*"; with `weak`, W/ in front is no matter,
// else such a tag is never the same (RFC 9110 §8.8.3.2).
static bool tags_hold(const http_head *head, const char *name, const char *etag, bool weak) {
    size_t etag_bytes = strlen(etag);
    for (const http_field *field = NULL; (field = field_find(head, name, field)) != NULL;) {
        const char *at = field->value;
        const char *element;
        size_t bytes;
        while (element_next(&at, &element, &bytes)) {
            if (bytes == 1 && element[0] == '*')
                return true;
            if (weak && bytes > 2 && memcmp(element, "W/", 2) == 0) {
                element += 2;
                bytes -= 2;
            }
            if (bytes == etag_bytes && memcmp(element, etag, bytes) == 0)
                return true;
        }
    }
    return false;
}

// False when there is no such field, or no one date in it: it is ignored then. *since: what is
// there changed after the date.
static bool date_holds(const http_head *head, const char *name, const http_validators *validators,
                       bool *since) {
    const http_field *field = field_find(head, name, NULL);
    uint64_t date;
    if (field == NULL || field_find(head, name, field) != NULL ||
        !http_date_read(field->value, validators->wall_s, &date))
        return false;
    *since = validators->modified_s > date;
    return true;
}

// The next element of a list, which is not empty and in which commas within quotes do not count.
static bool element_next(const char **at, const char **element, size_t *bytes) {
    while (**at == ' ' || **at == '\t' || **at == ',')
        (*at)++;
    const char *first = *at;
    bool quoted = false;
    for (; **at != '\0' && (quoted || **at != ','); (*at)++) {
        if (**at == '"')
            quoted = !quoted;
    }
    const char *end = *at;
    while (end > first && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *element = first;
    *bytes = (size_t)(end - first);
    return end > first;
}

// OWS ";" OWS "q=" weight: 0, 0. and 0.000 are zero.
static bool weight_is_zero(const char *parameters, const char *end) {
    const char *at = parameters;
    while (at < end && (*at == ' ' || *at == '\t' || *at == ';'))
        at++;
    if (end - at < 3 || ascii_lower(at[0]) != 'q' || at[1] != '=' || at[2] != '0')
        return false;
    for (at += 3; at < end; at++) {
        if (*at != '.' && *at != '0')
            return false;
    }
    return true;
}
