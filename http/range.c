// SPDX-License-Identifier: Apache-2.0
#include "http/range.h"

#include <stdbool.h>
#include <string.h>

#include "http/ascii.h"

typedef enum spec_result {
    SPEC_OK = 0,
    SPEC_BEYOND,
    SPEC_MALFORMED,
} spec_result;

static spec_result spec_read(const char **at, uint64_t bytes, http_range *range);
static bool number_read(const char **at, uint64_t *number);
static const char *blanks_skip(const char *at);

http_ranges_result http_ranges_read(const char *value, uint64_t bytes,
                                    http_range ranges[HTTP_RANGES_MAX], uint32_t *count) {
    *count = 0;
    if (strlen(value) < 6 || !ascii_equal(value, "bytes=", 6))
        return HTTP_RANGES_IGNORE;
    uint64_t left = bytes;
    uint32_t specs = 0;
    const char *at = blanks_skip(value + 6);
    for (; *at != '\0'; at = blanks_skip(at)) {
        if (*at == ',') { // RFC 9110 §5.6.1.2: empty elements are skipped
            at++;
            continue;
        }
        http_range range;
        spec_result result = spec_read(&at, bytes, &range);
        at = blanks_skip(at);
        if (result == SPEC_MALFORMED || ++specs > HTTP_RANGES_MAX || (*at != ',' && *at != '\0'))
            return HTTP_RANGES_IGNORE;
        if (result == SPEC_BEYOND)
            continue;
        uint64_t length = range.last - range.first + 1;
        if (length > left)
            return HTTP_RANGES_IGNORE; // they overlap
        left -= length;
        ranges[(*count)++] = range;
    }
    if (specs == 0)
        return HTTP_RANGES_IGNORE;
    return *count > 0 ? HTTP_RANGES_OK : HTTP_RANGES_BEYOND;
}

// first "-" [ last ] or "-" length of the end.
static spec_result spec_read(const char **at, uint64_t bytes, http_range *range) {
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    bool has_first = number_read(at, &first);
    if (*(*at)++ != '-')
        return SPEC_MALFORMED;
    bool has_last = number_read(at, &last);
    if ((!has_first && !has_last) || (has_first && last < first))
        return SPEC_MALFORMED;
    if (bytes == 0 || first >= bytes || (!has_first && last == 0))
        return SPEC_BEYOND;
    if (!has_first)
        first = last < bytes ? bytes - last : 0;
    range->first = first;
    range->last = has_first && last < bytes - 1 ? last : bytes - 1;
    return SPEC_OK;
}

// What is larger than any file counts as the largest number. False when there is no digit.
static bool number_read(const char **at, uint64_t *number) {
    const char *first = *at;
    uint64_t value = 0;
    bool over = false;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        over = over || __builtin_mul_overflow(value, 10u, &value) ||
               __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value);
    if (*at == first)
        return false;
    *number = over ? UINT64_MAX : value;
    return true;
}

static const char *blanks_skip(const char *at) {
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}
