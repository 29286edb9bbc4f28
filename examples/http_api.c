// SPDX-License-Identifier: Apache-2.0
//
// A JSON API over state that one isolate owns, on whichever shard a request comes in. Handlers call
// it and wait; nobody locks anything. Try:
//
//     bazel run //examples:http_api -- --port 8080
//     curl -i -d '{"title":"write"}' localhost:8080/items
//     curl -i -X PUT -d '{"title":"write","done":true}' localhost:8080/items/1
//     curl -i localhost:8080/items
//     curl -i -X DELETE localhost:8080/items/1

#include <string.h>

#include "core/atomic.h"
#include "core/format.h"
#include "http/json_read.h"
#include "http/serve.h"
#include "tina.h"

#define SECOND_NS   UINT64_C(1000000000)
#define ITEM_COUNT  1000u
#define TITLE_BYTES 64u

typedef struct item {
    uint64_t id; // 0: none
    bool done;
    char title[TITLE_BYTES + 1];
} item;

// Calls to the store, each with an item, answered with FOUND and one, or with NONE.
enum {
    ADD = 1,
    GET,
    NEXT,
    CHANGE,
    REMOVE,
    FOUND,
    NONE,
    FULL
};

// A store that was restarted has another handle, and lost what it had.
static tina_atomic_u64 store_bits;

typedef struct store {
    uint64_t last_id;
    item items[ITEM_COUNT]; // by id modulo their number
} store;

static tina_effect store_init(tina_ctx *ctx, void *self, tina_bytes args) {
    (void)self;
    (void)args;
    if (tina_shard_number(ctx) != 0)
        return tina_done();
    tina_atomic_u64_store_release(&store_bits, tina_self(ctx).bits);
    return tina_receive();
}

static item *item_of(store *self, uint64_t id) {
    item *place = &self->items[id % ITEM_COUNT];
    return id != 0 && place->id == id ? place : NULL;
}

static item *item_add(store *self, const item *added) {
    for (uint32_t tries = 0; tries < ITEM_COUNT; tries++) {
        item *place = &self->items[++self->last_id % ITEM_COUNT];
        if (place->id != 0)
            continue;
        *place = *added;
        place->id = self->last_id;
        return place;
    }
    return NULL;
}

static item *item_next(store *self, uint64_t id) {
    item *next = NULL;
    for (uint32_t i = 0; i < ITEM_COUNT; i++) {
        item *place = &self->items[i];
        if (place->id > id && (next == NULL || place->id < next->id))
            next = place;
    }
    return next;
}

static tina_effect store_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    store *self = self_;
    item asked;
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag < ADD || m->tag > REMOVE || m->payload_bytes != sizeof asked)
        return tina_receive(); // a stranger's message
    memcpy(&asked, m->payload, sizeof asked);
    item *found = m->tag == ADD    ? item_add(self, &asked)
                  : m->tag == NEXT ? item_next(self, asked.id)
                                   : item_of(self, asked.id);
    if (found == NULL)
        return tina_reply(ctx, m->tag == ADD ? FULL : NONE, NULL, 0);
    if (m->tag == CHANGE)
        *found = asked;
    item answer = *found;
    if (m->tag == REMOVE)
        *found = (item){0};
    return tina_reply(ctx, FOUND, &answer, sizeof answer);
}

static const tina_isolate_type store_type = {
    .name = "store",
    .init = store_init,
    .handle = store_handle,
    .struct_bytes = sizeof(store),
    .mailbox_max = 1024,
};

static http_step ask(http_request *req, http_response *res, int32_t tag, const item *about,
                     http_handler next) {
    tina_handle owner = {tina_atomic_u64_load_acquire(&store_bits)};
    tina_effect call = tina_call(http_ctx(req), owner, tag, about, sizeof *about, SECOND_NS);
    return http_call(res, call, next);
}

// False, and the step is the answer, when the store has no item to answer with.
static bool answered_with(http_request *req, http_response *res, item *found, http_step *step) {
    const tina_message *m = http_message(req);
    if (m->tag == FOUND) {
        memcpy(found, m->payload, sizeof *found);
        return true;
    }
    *step = m->tag == NONE   ? http_json(res, 404, "{\"error\":\"no such item\"}\n")
            : m->tag == FULL ? http_json(res, 507, "{\"error\":\"no room for more items\"}\n")
                             : http_json(res, 503, "{\"error\":\"the store does not answer\"}\n");
    return false;
}

static http_step item_answer(http_request *req, http_response *res, int status) {
    item found;
    http_step step;
    if (!answered_with(req, res, &found, &step))
        return step;
    return http_json(res, status, "{\"id\":%llu,\"title\":%s,\"done\":%s}\n",
                     (unsigned long long)found.id, http_json_quote(req, found.title),
                     found.done ? "true" : "false");
}

static http_step item_found(http_request *req, http_response *res) {
    return item_answer(req, res, 200);
}

static http_step item_added(http_request *req, http_response *res) {
    return item_answer(req, res, 201);
}

static http_step item_removed(http_request *req, http_response *res) {
    item found;
    http_step step;
    return answered_with(req, res, &found, &step) ? http_empty(res, 204) : step;
}

static bool id_read(http_request *req, item *read) {
    *read = (item){0};
    for (const char *digit = http_param(req, "id"); *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || read->id > UINT64_MAX / 10 - 1)
            return false;
        read->id = read->id * 10 + (uint64_t)(*digit - '0');
    }
    return true;
}

static bool body_read(http_request *req, item *read) {
    http_json_value values[16];
    http_json_doc json;
    tina_bytes body = http_body(req);
    if (http_json_read(&json, body.data, body.bytes, values, 16) != HTTP_JSON_OK)
        return false;
    uint32_t title = http_json_member(&json, 0, "title");
    uint32_t done = http_json_member(&json, 0, "done");
    if (title == 0 || values[title].kind != HTTP_JSON_STRING || values[title].bytes > TITLE_BYTES)
        return false;
    uint32_t bytes = http_json_text(&json, title, read->title);
    read->title[bytes] = '\0';
    read->done = done != 0 && values[done].kind == HTTP_JSON_TRUE;
    return strlen(read->title) == bytes;
}

static http_step refuse_body(http_response *res) {
    return http_json(res, 400, "{\"error\":\"a title of at most %u bytes is needed\"}\n",
                     TITLE_BYTES);
}

static http_step no_such(http_response *res) {
    return http_json(res, 404, "{\"error\":\"no such item\"}\n");
}

static http_step post_item(http_request *req, http_response *res) {
    item added = {0};
    return body_read(req, &added) ? ask(req, res, ADD, &added, item_added) : refuse_body(res);
}

static http_step put_item(http_request *req, http_response *res) {
    item changed;
    if (!id_read(req, &changed))
        return no_such(res);
    return body_read(req, &changed) ? ask(req, res, CHANGE, &changed, item_found)
                                    : refuse_body(res);
}

static http_step get_item(http_request *req, http_response *res) {
    item wanted;
    return id_read(req, &wanted) ? ask(req, res, GET, &wanted, item_found) : no_such(res);
}

static http_step delete_item(http_request *req, http_response *res) {
    item wanted;
    return id_read(req, &wanted) ? ask(req, res, REMOVE, &wanted, item_removed) : no_such(res);
}

// The list is sent item by item, so that it may be longer than any buffer: the id asked for last is
// the request's state.
static http_step list_next(http_request *req, http_response *res);

static http_step list_ask(http_request *req, http_response *res) {
    const uint64_t *last = http_state(req);
    item after = {.id = *last};
    return ask(req, res, NEXT, &after, list_next);
}

static http_step list_next(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    uint64_t *last = http_state(req);
    item found;
    if (m->tag == NONE) {
        http_write(res, *last == 0 ? "[]\n" : "]\n", *last == 0 ? 3 : 2);
        return http_end(res);
    }
    if (m->tag != FOUND)
        tina_panic("the store does not answer"); // the client sees that the list has no end
    memcpy(&found, m->payload, sizeof found);
    char text[512];
    size_t bytes = tina_format(text, sizeof text, "%c{\"id\":%llu,\"title\":%s,\"done\":%s}",
                               *last == 0 ? '[' : ',', (unsigned long long)found.id,
                               http_json_quote(req, found.title), found.done ? "true" : "false");
    *last = found.id;
    http_write(res, text, bytes);
    return http_stream(res, list_ask);
}

static http_step get_items(http_request *req, http_response *res) {
    (void)req;
    http_stream_begin(res, 200, "application/json", HTTP_BYTES_UNKNOWN);
    return http_stream(res, list_ask);
}

static const http_route routes[] = {
    {HTTP_GET, "/items", get_items, .state_bytes = sizeof(uint64_t)},
    {HTTP_POST, "/items", post_item, .body_limit = 4096},
    {HTTP_GET, "/items/:id", get_item},
    {HTTP_PUT, "/items/:id", put_item, .body_limit = 4096},
    {HTTP_DELETE, "/items/:id", delete_item},
};

static const tina_type_slots types[] = {{&store_type, 1}};
static const tina_child children[] = {{.name = "store", .type = &store_type}};

int main(int argc, char **argv) {
    const http_server server = {
        .port = 8080,
        .routes = HTTP_ROUTES(routes),
        .types = types,
        .type_count = 1,
        .children = children,
        .child_count = 1,
    };
    return http_serve(&server, argc, argv);
}
