// SPDX-License-Identifier: Apache-2.0
//
// Reads JSON (RFC 8259, to the letter) into an array of values, in the order of the text:
//
//     {"a": [1, "x"]}     0 object, 1 string a, 2 array, 3 number 1, 4 string x
//
// The text stays where it is, and values point into it. Memory is the caller's, and the nesting is
// bounded, so the cost is, too: one pass, no recursion.

#ifndef TINA_HTTP_JSON_READ_H
#define TINA_HTTP_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HTTP_JSON_DEPTH_MAX 64u
#define HTTP_JSON_BYTES_MAX (1u << 30)

typedef enum http_json_kind {
    HTTP_JSON_NULL = 0,
    HTTP_JSON_FALSE,
    HTTP_JSON_TRUE,
    HTTP_JSON_NUMBER,
    HTTP_JSON_STRING,
    HTTP_JSON_ARRAY,
    HTTP_JSON_OBJECT,
} http_json_kind;

typedef struct http_json_value {
    uint32_t at;    // in the text; a string's first byte behind its quote
    uint32_t bytes; // of it, a string's without its quotes
    uint32_t next;  // index of what follows this value and all that is in it
    uint8_t kind;   // http_json_kind
    bool escaped;   // a string holds a backslash
} http_json_value;

typedef struct http_json_doc {
    const char *text;
    const http_json_value *values; // 0 is the whole
    uint32_t count;
} http_json_doc;

typedef enum http_json_result {
    HTTP_JSON_OK = 0,
    HTTP_JSON_BAD,       // no JSON text
    HTTP_JSON_TOO_LARGE, // more values than there is room for, nested too deep, or too long
} http_json_result;

// http_json_read reads `bytes` of text. Without values (NULL) it only checks and counts:
// json->count is how many there are.
http_json_result http_json_read(http_json_doc *json, const char *text, size_t bytes,
                                http_json_value *values, uint32_t values_max);

// http_json_member returns the index of an object's member of that name, the last one if there are
// several, as JavaScript does; 0 when it has none, or is no object. Members lie behind the object,
// name, value, name, value; items of an array one behind the other.
uint32_t http_json_member(const http_json_doc *json, uint32_t object, const char *name);

// http_json_text writes a string's text, decoded, to out: never more than its `bytes`. Returns how
// many. Halves of surrogate pairs become U+FFFD.
uint32_t http_json_text(const http_json_doc *json, uint32_t string, char *out);

// http_json_compact writes a value as it stands in the text, without the white space between its
// parts: never more than its `bytes`, and two for a string's quotes. Returns how many.
uint32_t http_json_compact(const http_json_doc *json, uint32_t value, char *out);

// http_json_uint reads a number that has digits only; false when it has more, or does not fit.
bool http_json_uint(const http_json_doc *json, uint32_t value, uint64_t *number);

#ifdef __cplusplus
}
#endif

#endif
