// SPDX-License-Identifier: Apache-2.0
//
// The Range field, RFC 9110 §14.

#ifndef TINA_HTTP_RANGE_H
#define TINA_HTTP_RANGE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HTTP_RANGES_MAX 8u // more are ignored, and the whole is sent

typedef struct http_range {
    uint64_t first;
    uint64_t last; // this byte included
} http_range;

typedef enum http_ranges_result {
    HTTP_RANGES_IGNORE = 0, // of another unit, malformed, or more than is reasonable
    HTTP_RANGES_OK,
    HTTP_RANGES_BEYOND, // well formed, and nothing of them is there
} http_ranges_result;

// http_ranges_read reads a Range field's value for something of `bytes` bytes: *count ranges, 1 or
// more, each within it, in the order asked for, that together are no longer than it.
http_ranges_result http_ranges_read(const char *value, uint64_t bytes,
                                    http_range ranges[HTTP_RANGES_MAX], uint32_t *count);

#ifdef __cplusplus
}
#endif

#endif
