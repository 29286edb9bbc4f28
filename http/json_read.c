// SPDX-License-Identifier: Apache-2.0
#include "http/json_read.h"

#include <string.h>

#include "core/assert.h"
#include "http/ascii.h"
#include "http/utf8.h"

// `open` are the arrays and objects around the place being read, outermost first.
typedef struct reader {
    const char *text;
    uint32_t at;
    uint32_t end;
    http_json_value *values;
    uint32_t values_max;
    uint32_t count;
    uint32_t depth;
    uint32_t open[HTTP_JSON_DEPTH_MAX];
    bool open_objects[HTTP_JSON_DEPTH_MAX];
} reader;

static http_json_result value_read(reader *r);
static http_json_result group_open(reader *r, bool object);
static void group_close(reader *r);
static http_json_result value_end(reader *r);
static http_json_result name_read(reader *r);
static http_json_result string_read(reader *r);
static bool string_skip(reader *r, bool *escaped);
static bool escape_skip(reader *r);
static bool number_skip(reader *r);
static bool word_skip(reader *r, const char *word);
static http_json_result value_add(reader *r, http_json_kind kind, uint32_t at);
static char byte_next(reader *r);
static char *escape_decode(const char **at, const char *end, char *out);

http_json_result http_json_read(http_json_doc *json, const char *text, size_t bytes,
                                http_json_value *values, uint32_t values_max) {
    *json = (http_json_doc){text, values, 0};
    if (bytes > HTTP_JSON_BYTES_MAX)
        return HTTP_JSON_TOO_LARGE;
    reader r = {.text = text,
                .end = (uint32_t)bytes,
                .values = values,
                .values_max = values != NULL ? values_max : UINT32_MAX};
    http_json_result result;
    do {
        result = value_read(&r);
    } while (result == HTTP_JSON_OK && r.depth > 0);
    json->count = r.count;
    byte_next(&r);
    return result == HTTP_JSON_OK && r.at < r.end ? HTTP_JSON_BAD : result;
}

// Skips white space. At the end, and at a NUL, which begins nothing, it returns '\0'.
static char byte_next(reader *r) {
    while (r->at < r->end) {
        char byte = r->text[r->at];
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return byte;
        r->at++;
    }
    return '\0';
}

// Reads one value, or the beginning of a group, and what must stand between it and the next.
static http_json_result value_read(reader *r) {
    http_json_kind kind = HTTP_JSON_NUMBER;
    char first = byte_next(r);
    uint32_t at = r->at;
    bool good = false;
    if (first == '{' || first == '[')
        return group_open(r, first == '{');
    if (first == '"') {
        http_json_result result = string_read(r);
        return result == HTTP_JSON_OK ? value_end(r) : result;
    }
    if (first == 't') {
        kind = HTTP_JSON_TRUE;
        good = word_skip(r, "true");
    } else if (first == 'f') {
        kind = HTTP_JSON_FALSE;
        good = word_skip(r, "false");
    } else if (first == 'n') {
        kind = HTTP_JSON_NULL;
        good = word_skip(r, "null");
    } else {
        good = number_skip(r);
    }
    http_json_result result = good ? value_add(r, kind, at) : HTTP_JSON_BAD;
    return result == HTTP_JSON_OK ? value_end(r) : result;
}

static http_json_result group_open(reader *r, bool object) {
    if (r->depth == HTTP_JSON_DEPTH_MAX)
        return HTTP_JSON_TOO_LARGE;
    r->open[r->depth] = r->count;
    r->open_objects[r->depth] = object;
    http_json_result result = value_add(r, object ? HTTP_JSON_OBJECT : HTTP_JSON_ARRAY, r->at);
    if (result != HTTP_JSON_OK)
        return result;
    r->depth++;
    r->at++;
    if (byte_next(r) == (object ? '}' : ']')) {
        group_close(r);
        return value_end(r);
    }
    return object ? name_read(r) : HTTP_JSON_OK;
}

static void group_close(reader *r) {
    TINA_ASSERT(r->depth > 0);
    r->at++;
    r->depth--;
    if (r->values == NULL)
        return;
    http_json_value *group = &r->values[r->open[r->depth]];
    group->bytes = r->at - group->at;
    group->next = r->count;
}

// The groups that end with a value, then, unless that was the outermost, a comma.
static http_json_result value_end(reader *r) {
    while (r->depth > 0) {
        bool object = r->open_objects[r->depth - 1];
        char byte = byte_next(r);
        if (byte == ',') {
            r->at++;
            return object ? name_read(r) : HTTP_JSON_OK;
        }
        if (byte != (object ? '}' : ']'))
            return HTTP_JSON_BAD;
        group_close(r);
    }
    return HTTP_JSON_OK;
}

static http_json_result name_read(reader *r) {
    if (byte_next(r) != '"')
        return HTTP_JSON_BAD;
    http_json_result result = string_read(r);
    if (result != HTTP_JSON_OK)
        return result;
    if (byte_next(r) != ':')
        return HTTP_JSON_BAD;
    r->at++;
    return HTTP_JSON_OK;
}

static http_json_result string_read(reader *r) {
    uint32_t at = r->at + 1;
    bool escaped = false;
    if (!string_skip(r, &escaped))
        return HTTP_JSON_BAD;
    http_json_result result = value_add(r, HTTP_JSON_STRING, at);
    if (result == HTTP_JSON_OK && r->values != NULL) {
        r->values[r->count - 1].bytes--; // the quote
        r->values[r->count - 1].escaped = escaped;
    }
    return result;
}

static bool string_skip(reader *r, bool *escaped) {
    r->at++;
    while (r->at < r->end) {
        const uint8_t *at = (const uint8_t *)r->text + r->at;
        if (*at == '"') {
            r->at++;
            return true;
        }
        if (*at < ' ')
            return false;
        if (*at == '\\') {
            *escaped = true;
            if (!escape_skip(r))
                return false;
            continue;
        }
        uint32_t bytes = utf8_bytes(at, r->end - r->at);
        if (bytes == 0)
            return false;
        r->at += bytes;
    }
    return false;
}

static bool escape_skip(reader *r) {
    if (r->end - r->at < 2)
        return false;
    char kind = r->text[r->at + 1];
    r->at += 2;
    if (kind != 'u')
        return kind != '\0' && strchr("\"\\/bfnrt", kind) != NULL;
    if (r->end - r->at < 4)
        return false;
    for (uint32_t i = 0; i < 4; i++) {
        if (ascii_hex(r->text[r->at + i]) < 0)
            return false;
    }
    r->at += 4;
    return true;
}

static bool digits_skip(reader *r) {
    uint32_t first = r->at;
    while (r->at < r->end && r->text[r->at] >= '0' && r->text[r->at] <= '9')
        r->at++;
    return r->at > first;
}

static bool one_skip(reader *r, const char *any) {
    bool there = r->at < r->end && r->text[r->at] != '\0' && strchr(any, r->text[r->at]) != NULL;
    r->at += there;
    return there;
}

static bool number_skip(reader *r) {
    one_skip(r, "-");
    if (!one_skip(r, "0") && !digits_skip(r))
        return false;
    if (one_skip(r, ".") && !digits_skip(r))
        return false;
    if (one_skip(r, "eE")) {
        one_skip(r, "+-");
        return digits_skip(r);
    }
    return true;
}

static bool word_skip(reader *r, const char *word) {
    size_t bytes = strlen(word);
    if (r->end - r->at < bytes || memcmp(r->text + r->at, word, bytes) != 0)
        return false;
    r->at += (uint32_t)bytes;
    return true;
}

static http_json_result value_add(reader *r, http_json_kind kind, uint32_t at) {
    if (r->count == r->values_max)
        return HTTP_JSON_TOO_LARGE;
    if (r->values != NULL)
        r->values[r->count] = (http_json_value){at, r->at - at, r->count + 1, (uint8_t)kind, false};
    r->count++;
    return HTTP_JSON_OK;
}

static bool name_is(const http_json_doc *json, uint32_t string, const char *name) {
    const http_json_value *value = &json->values[string];
    const char *at = json->text + value->at;
    const char *end = at + value->bytes;
    while (at < end) {
        char piece[4] = {*at};
        char *stop = piece + 1;
        if (*at == '\\')
            stop = escape_decode(&at, end, piece);
        else
            at++;
        for (const char *byte = piece; byte < stop; byte++, name++) {
            if (*byte != *name || *name == '\0')
                return false;
        }
    }
    return *name == '\0';
}

uint32_t http_json_member(const http_json_doc *json, uint32_t object, const char *name) {
    TINA_ASSERT(object < json->count);
    uint32_t found = 0;
    if (json->values[object].kind != HTTP_JSON_OBJECT)
        return 0;
    for (uint32_t at = object + 1; at < json->values[object].next; at = json->values[at + 1].next) {
        if (name_is(json, at, name))
            found = at + 1;
    }
    return found;
}

uint32_t http_json_text(const http_json_doc *json, uint32_t string, char *out) {
    TINA_ASSERT(string < json->count && json->values[string].kind == HTTP_JSON_STRING);
    const http_json_value *value = &json->values[string];
    const char *at = json->text + value->at;
    const char *end = at + value->bytes;
    char *first = out;
    while (at < end) {
        if (*at == '\\')
            out = escape_decode(&at, end, out);
        else
            *out++ = *at++;
    }
    return (uint32_t)(out - first);
}

static uint32_t unit_decode(const char *hex) {
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (uint32_t)ascii_hex(hex[i]);
    return unit;
}

static char *point_put(char *out, uint32_t point) {
    if (point < 0x80) {
        *out++ = (char)point;
        return out;
    }
    if (point < 0x800) {
        *out++ = (char)(0xC0 | point >> 6);
    } else {
        if (point < 0x10000) {
            *out++ = (char)(0xE0 | point >> 12);
        } else {
            *out++ = (char)(0xF0 | point >> 18);
            *out++ = (char)(0x80 | (point >> 12 & 0x3F));
        }
        *out++ = (char)(0x80 | (point >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (point & 0x3F));
    return out;
}

// What is decoded is no longer than what it was.
static char *escape_decode(const char **at, const char *end, char *out) {
    static const char letters[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    char kind = (*at)[1];
    if (kind != 'u') {
        *at += 2;
        *out++ = bytes[strchr(letters, kind) - letters];
        return out;
    }
    uint32_t point = unit_decode(*at + 2);
    *at += 6;
    if (point < 0xD800 || point > 0xDFFF)
        return point_put(out, point);
    bool pair = point < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u';
    uint32_t low = pair ? unit_decode(*at + 2) : 0;
    if (low < 0xDC00 || low > 0xDFFF)
        return point_put(out, 0xFFFD);
    *at += 6;
    return point_put(out, 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00));
}

uint32_t http_json_compact(const http_json_doc *json, uint32_t value, char *out) {
    TINA_ASSERT(value < json->count);
    const http_json_value *v = &json->values[value];
    uint32_t quote = v->kind == HTTP_JSON_STRING;
    const char *at = json->text + v->at - quote;
    const char *end = json->text + v->at + v->bytes + quote;
    char *first = out;
    bool inside = false; // a string
    for (; at < end; at++) {
        if (*at == '"')
            inside = !inside;
        if (!inside && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
            continue;
        *out++ = *at;
        if (inside && *at == '\\')
            *out++ = *++at;
    }
    return (uint32_t)(out - first);
}

bool http_json_uint(const http_json_doc *json, uint32_t value, uint64_t *number) {
    TINA_ASSERT(value < json->count);
    const http_json_value *v = &json->values[value];
    uint64_t sum = 0;
    if (v->kind != HTTP_JSON_NUMBER)
        return false;
    for (uint32_t i = 0; i < v->bytes; i++) {
        uint32_t digit = (uint32_t)(json->text[v->at + i] - '0');
        if (digit > 9 || sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *number = sum;
    return true;
}
