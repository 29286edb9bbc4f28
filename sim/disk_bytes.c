// SPDX-License-Identifier: Apache-2.0

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/disk_state.h"

// The first page of this number or a higher one.
static uint32_t page_lower(const sim_bytes *content, uint64_t number) {
    uint32_t from = 0;
    uint32_t to = content->page_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (content->pages[middle].number < number)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool page_is(const sim_bytes *content, uint32_t at, uint64_t number) {
    return at < content->page_count && content->pages[at].number == number;
}

static uint8_t *page_make(sim_bytes *content, uint64_t number) {
    uint32_t at = page_lower(content, number);
    if (page_is(content, at, number))
        return content->pages[at].data;
    if (content->page_count == content->page_capacity) {
        content->page_capacity = content->page_capacity ? 2 * content->page_capacity : 4;
        content->pages = realloc(content->pages, content->page_capacity * sizeof *content->pages);
        TINA_ASSERT(content->pages != NULL);
    }
    memmove(&content->pages[at + 1], &content->pages[at],
            (content->page_count - at) * sizeof *content->pages);
    content->page_count++;
    content->pages[at] = (sim_page){number, calloc(1, SIM_PAGE_BYTES)};
    TINA_ASSERT(content->pages[at].data != NULL);
    return content->pages[at].data;
}

static uint32_t piece_bytes(uint64_t at, uint64_t bytes) {
    uint64_t left = SIM_PAGE_BYTES - at % SIM_PAGE_BYTES;
    return (uint32_t)(bytes < left ? bytes : left);
}

void sim_bytes_write(sim_bytes *content, uint64_t at, const void *data, uint64_t bytes) {
    TINA_ASSERT(at <= SIM_FILE_BYTES_MAX && bytes <= SIM_FILE_BYTES_MAX - at);
    if (bytes && at + bytes > content->bytes)
        content->bytes = at + bytes;
    for (const uint8_t *from = data; bytes > 0;) {
        uint32_t piece = piece_bytes(at, bytes);
        memcpy(page_make(content, at / SIM_PAGE_BYTES) + at % SIM_PAGE_BYTES, from, piece);
        from += piece;
        at += piece;
        bytes -= piece;
    }
}

uint64_t sim_bytes_read(const sim_bytes *content, uint64_t at, void *to, uint64_t bytes) {
    if (at >= content->bytes)
        return 0;
    uint64_t count = content->bytes - at < bytes ? content->bytes - at : bytes;
    uint8_t *out = to;
    for (uint64_t left = count; left > 0;) {
        uint32_t piece = piece_bytes(at, left);
        uint32_t page = page_lower(content, at / SIM_PAGE_BYTES);
        if (page_is(content, page, at / SIM_PAGE_BYTES))
            memcpy(out, content->pages[page].data + at % SIM_PAGE_BYTES, piece);
        else
            memset(out, 0, piece);
        out += piece;
        at += piece;
        left -= piece;
    }
    return count;
}

void sim_bytes_clear(sim_bytes *content) {
    while (content->page_count > 0)
        free(content->pages[--content->page_count].data);
    content->bytes = 0;
}

void sim_bytes_copy(sim_bytes *content, const sim_bytes *from) {
    sim_bytes_clear(content);
    for (uint32_t i = 0; i < from->page_count; i++)
        memcpy(page_make(content, from->pages[i].number), from->pages[i].data, SIM_PAGE_BYTES);
    content->bytes = from->bytes;
}

void sim_bytes_free(sim_bytes *content) {
    sim_bytes_clear(content);
    free(content->pages);
    *content = (sim_bytes){0};
}

// A page of zeros and a hole are seen alike, so they hash alike.
uint64_t sim_bytes_hash(const sim_bytes *content) {
    static const uint8_t zeros[SIM_PAGE_BYTES];
    uint64_t hash = content->bytes;
    for (uint32_t i = 0; i < content->page_count; i++) {
        const sim_page *page = &content->pages[i];
        if (memcmp(page->data, zeros, SIM_PAGE_BYTES) != 0)
            hash = sim_mix(sim_mix(hash, page->number), sim_hash_bytes(page->data, SIM_PAGE_BYTES));
    }
    return hash;
}

uint64_t sim_bytes_room(const sim_bytes *content, uint64_t at, uint64_t bytes, uint64_t pages) {
    uint64_t room = 0;
    while (room < bytes) {
        uint64_t number = (at + room) / SIM_PAGE_BYTES;
        if (!page_is(content, page_lower(content, number), number) && pages-- == 0)
            return room;
        room += piece_bytes(at + room, bytes - room);
    }
    return room;
}
