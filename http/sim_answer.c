// SPDX-License-Identifier: Apache-2.0

#include "http/sim_answer.h"

#include <string.h>

#include "core/assert.h"

static bool field_is(const char *line, const char *end, const char *name, const char **value) {
    size_t bytes = strlen(name);
    if ((size_t)(end - line) < bytes + 2 || strncasecmp(line, name, bytes) != 0 ||
        memcmp(line + bytes, ": ", 2) != 0)
        return false;
    *value = line + bytes + 2;
    return true;
}

static uint64_t number_of(const char *text, const char *end, uint32_t base) {
    uint64_t number = 0;
    for (; text < end; text++) {
        uint32_t digit = *text >= '0' && *text <= '9'   ? (uint32_t)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (uint32_t)(*text - 'a') + 10
                         : *text >= 'A' && *text <= 'F' ? (uint32_t)(*text - 'A') + 10
                                                        : base;
        if (digit >= base)
            break;
        number = number * base + digit;
    }
    return number;
}

static void field_read(sim_answer *self, const char *line, const char *end) {
    const char *value;
    if (field_is(line, end, "x-id", &value))
        self->id = (uint32_t)number_of(value, end, 10);
    else if (field_is(line, end, "content-length", &value))
        self->length = number_of(value, end, 10);
    else if (field_is(line, end, "transfer-encoding", &value))
        self->chunked = (size_t)(end - value) == 7 && memcmp(value, "chunked", 7) == 0;
    else if (field_is(line, end, "retry-after", &value))
        self->retries = number_of(value, end, 10) > 0;
    else if (field_is(line, end, "connection", &value))
        self->closes = (size_t)(end - value) == 5 && memcmp(value, "close", 5) == 0;
}

// Returns whether the head is here.
static bool head_read(sim_answer *self, const char *data, uint64_t bytes) {
    const char *end = memmem(data, bytes, "\r\n\r\n", 4);
    static const char begin[] = "HTTP/1.1 ";
    uint64_t least = bytes < sizeof begin - 1 ? bytes : sizeof begin - 1;
    if (memcmp(data, begin, least) != 0)
        self->wrong = "does not begin as a response";
    if (!end || self->wrong)
        return false;
    self->status = (uint32_t)number_of(data + 9, end, 10);
    self->head_bytes = (uint64_t)(end - data) + 4;
    for (const char *line = data; line < end;) {
        const char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        TINA_ASSERT(next != NULL);
        field_read(self, line, next);
        line = next + 2;
    }
    return true;
}

static void body_compare(sim_answer *self, const sim_ask *ask, const char *data, uint64_t bytes,
                         uint64_t at) {
    if (self->status != 200 || !ask || self->wrong)
        return;
    if (at + bytes > sim_ask_body_bytes(ask)) {
        self->wrong = "is longer than it should be";
        return;
    }
    for (uint64_t i = 0; i < bytes; i++)
        if ((uint8_t)data[i] != sim_ask_body_at(ask, (uint32_t)(at + i)))
            self->wrong = "has other bytes than it should have";
}

static void chunks_read(sim_answer *self, const sim_ask *ask, const char *data, uint64_t bytes) {
    uint64_t at = self->head_bytes;
    uint64_t body = 0;
    for (;;) {
        const char *line_end = memmem(data + at, bytes - at, "\r\n", 2);
        if (!line_end)
            return;
        uint64_t size = number_of(data + at, line_end, 16);
        at = (uint64_t)(line_end - data) + 2;
        uint64_t here = bytes - at < size ? bytes - at : size;
        body_compare(self, ask, data + at, here, body);
        body += here;
        if (bytes - at < size + 2)
            return;
        if (memcmp(data + at + size, "\r\n", 2) != 0)
            self->wrong = "has a chunk without its end";
        at += size + 2;
        if (size == 0)
            break;
    }
    self->whole = true;
    self->bytes = at;
    self->length = body;
}

sim_answer sim_answer_read(const sim_ask *ask, const uint8_t *data_, uint64_t bytes) {
    const char *data = (const char *)data_;
    sim_answer self = {0};
    if (bytes == 0 || !head_read(&self, data, bytes))
        return self;
    if (self.chunked) {
        chunks_read(&self, ask, data, bytes);
    } else {
        uint64_t here = bytes - self.head_bytes;
        here = here < self.length ? here : self.length;
        body_compare(&self, ask, data + self.head_bytes, here, 0);
        self.whole = here == self.length;
        self.bytes = self.head_bytes + self.length;
    }
    if (self.whole && self.status == 200 && ask && self.length != sim_ask_body_bytes(ask))
        self.wrong = "is shorter than it should be";
    if (ask && self.id && self.id != ask->id)
        self.wrong = "is another's";
    if (self.status == 200 && self.id == 0)
        self.wrong = "is nobody's";
    return self;
}
