// SPDX-License-Identifier: Apache-2.0
#include "http/llhttp.h"

#include <assert.h>
#include <llhttp.h>
#include <string.h>

#include "core/assert.h"

// Of version 8, nobody is to build the loose parser by accident; it is another state machine. Later
// ones are strict unless told otherwise at run time.
#if LLHTTP_VERSION_MAJOR < 9
static_assert(LLHTTP_STRICT_MODE == 1, "llhttp has to be built with LLHTTP_STRICT_MODE=1");
#endif

typedef struct head_reading {
    http_head *head;
    uint32_t field_count_max;
} head_reading;

static int url_read(llhttp_t *parser, const char *at, size_t bytes);
static int name_read(llhttp_t *parser, const char *at, size_t bytes);
static int value_read(llhttp_t *parser, const char *at, size_t bytes);
static int head_end(llhttp_t *parser);
static void strings_end(http_head *head);

static const llhttp_settings_t settings = {
    .on_url = url_read,
    .on_header_field = name_read,
    .on_header_value = value_read,
    .on_headers_complete = head_end,
};

uint16_t http_llhttp_read(http_head *head, uint32_t field_count_max, char *message,
                          uint32_t bytes) {
    http_field *fields = head->fields;
    *head = (http_head){.fields = fields};
    head_reading reading = {head, field_count_max};
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &reading;
    switch (llhttp_execute(&parser, message, bytes)) {
    case HPE_PAUSED: // by head_end
        break;
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT: // the request line is well formed, so: a method of RTSP's or ICE's,
    case HPE_INVALID_VERSION:  // or PRI, which HTTP/2 keeps for its preface
        return 501;
    default:
        return 400;
    }
    TINA_ASSERT(llhttp_get_error_pos(&parser) == message + bytes);
    TINA_ASSERT(parser.http_major == 1 && parser.http_minor <= 1);
    head->method = (uint8_t)(parser.method + 1); // ours count from 1; method_test.cc compares all
    head->minor = parser.http_minor;
    strings_end(head);
    return parser.method > HTTP_UNLINK ? 501 : 0; // what later versions know
}

// All bytes are there, so that each span is reported once and whole.
static int url_read(llhttp_t *parser, const char *at, size_t bytes) {
    http_head *head = ((head_reading *)parser->data)->head;
    TINA_ASSERT(head->target == NULL);
    head->target = at;
    head->target_bytes = (uint32_t)bytes;
    return 0;
}

static int name_read(llhttp_t *parser, const char *at, size_t bytes) {
    head_reading *reading = parser->data;
    TINA_ASSERT(reading->head->field_count < reading->field_count_max);
    http_field *field = &reading->head->fields[reading->head->field_count++];
    *field = (http_field){at, at + bytes, (uint32_t)bytes, 0};
    return 0;
}

static int value_read(llhttp_t *parser, const char *at, size_t bytes) {
    http_head *head = ((head_reading *)parser->data)->head;
    TINA_ASSERT(head->field_count > 0);
    if (bytes == 0) // reported at the next line's first byte
        return 0;
    http_field *field = &head->fields[head->field_count - 1];
    while (bytes > 0 && at[bytes - 1] == ' ')
        bytes--;
    field->value = at;
    field->value_bytes = (uint32_t)bytes;
    return 0;
}

// Before llhttp draws conclusions about the body: those are ours (message.h).
static int head_end(llhttp_t *parser) {
    (void)parser;
    return HPE_PAUSED;
}

// A delimiter stands behind each string: SP, ":", or what whitespace and CR ended the value. An
// empty value lies on its name's colon.
static void strings_end(http_head *head) {
    ((char *)head->target)[head->target_bytes] = '\0';
    for (uint32_t i = 0; i < head->field_count; i++) {
        http_field *field = &head->fields[i];
        ((char *)field->name)[field->name_bytes] = '\0';
        ((char *)field->value)[field->value_bytes] = '\0';
    }
}
