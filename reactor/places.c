// SPDX-License-Identifier: Apache-2.0
//
// The addresses and paths of ops in flight: copies that stay in place until the op has its result.

#include <string.h>

#include "reactor/table.h"

char *tina_path_at(const tina_reactor *reactor, uint32_t place) {
    TINA_ASSERT(place < reactor->config.path_count);
    return reactor->paths + (size_t)place * PATH_PLACE_BYTES;
}

static bool address_take(tina_reactor *reactor, const tina_address *address, uint32_t *place) {
    if (reactor->free_address == 0) {
        return false;
    }
    // The caller's memory first: it may fault.
    tina_address copy = address != NULL ? *address : (tina_address){0};
    *place = reactor->free_address - 1;
    tina_address *taken = &reactor->addresses[*place];
    reactor->free_address = taken->scope;
    *taken = copy;
    return true;
}

static void address_give(tina_reactor *reactor, uint32_t place) {
    TINA_ASSERT(place < reactor->config.address_count);
    reactor->addresses[place].scope = reactor->free_address;
    reactor->free_address = place + 1;
}

// A free place keeps the next one in its first bytes.
static bool path_take(tina_reactor *reactor, const tina_io_op *op, uint32_t *place) {
    if (reactor->free_path == 0) {
        return false;
    }
    *place = reactor->free_path - 1;
    char *path = tina_path_at(reactor, *place);
    memcpy(&reactor->free_path, path, sizeof reactor->free_path);
    size_t bytes = op->data != NULL ? strlen(op->data) + 1 : 0;
    memcpy(path, bytes != 0 ? op->data : "", bytes);
    if (op->kind == TINA_OP_RENAME) {
        memcpy(path + bytes, op->to, strlen(op->to) + 1);
    }
    return true;
}

static void path_give(tina_reactor *reactor, uint32_t place) {
    memcpy(tina_path_at(reactor, place), &reactor->free_path, sizeof reactor->free_path);
    reactor->free_path = place + 1;
}

bool tina_places_take(tina_reactor *reactor, const tina_io_op *op, uint32_t *place) {
    *place = 0;
    switch ((op_place)tina_op_traits[op->kind].place) {
    case PLACE_NONE:
        return true;
    case PLACE_ADDRESS:
        return address_take(reactor, op->kind == TINA_OP_SENDTO ? op->address : op->data, place);
    case PLACE_PATH:
        return path_take(reactor, op, place);
    }
    tina_assert_failed("an op is in no place", __FILE__, __LINE__);
}

void tina_places_give(tina_reactor *reactor, uint8_t kind, uint32_t place) {
    switch ((op_place)tina_op_traits[kind].place) {
    case PLACE_NONE:
        return;
    case PLACE_ADDRESS:
        address_give(reactor, place);
        return;
    case PLACE_PATH:
        path_give(reactor, place);
        return;
    }
}

void tina_places_open(tina_reactor *reactor) {
    for (uint32_t place = reactor->config.address_count; place > 0; place--) {
        address_give(reactor, place - 1);
    }
    for (uint32_t place = reactor->config.path_count; place > 0; place--) {
        path_give(reactor, place - 1);
    }
}
