// SPDX-License-Identifier: Apache-2.0
//
// What kinds of ops there are, and what is refused before anything happens.

#include <string.h>

#include "reactor/table.h"

// rights: what the fd must have. directions: of which it is the op in flight; a file's fsync waits
// for writes, so it is one, though a directory's fd that may only read can be synced too.
const op_trait tina_op_traits[TINA_OP_KIND_COUNT] = {
    [TINA_OP_ACCEPT] = {.flags = TINA_IO_MULTISHOT, .rights = FD_READ, .directions = FD_READ},
    [TINA_OP_CONNECT] = {.rights = FD_FULL, .directions = FD_FULL, .place = PLACE_ADDRESS},
    [TINA_OP_RECV] = {.flags = TINA_IO_MULTISHOT,
                      .rights = FD_READ,
                      .directions = FD_READ,
                      .moves = OP_FILLS_BUFFER},
    [TINA_OP_SEND] = {.flags = TINA_IO_SOME,
                      .rights = FD_WRITE,
                      .directions = FD_WRITE,
                      .moves = OP_READS_OWNER},
    [TINA_OP_CLOSE] = {.rights = 0},
    [TINA_OP_RECVFROM] = {.rights = FD_READ,
                          .directions = FD_READ,
                          .place = PLACE_ADDRESS,
                          .moves = OP_FILLS_BUFFER},
    [TINA_OP_SENDTO] = {.rights = FD_WRITE,
                        .directions = FD_WRITE,
                        .place = PLACE_ADDRESS,
                        .moves = OP_READS_OWNER},
    [TINA_OP_OPEN] = {.place = PLACE_PATH},
    [TINA_OP_READ] = {.rights = FD_READ, .directions = FD_READ, .moves = OP_FILLS_BUFFER},
    [TINA_OP_WRITE] = {.flags = TINA_IO_SOME,
                       .rights = FD_WRITE,
                       .directions = FD_WRITE,
                       .moves = OP_READS_OWNER},
    [TINA_OP_FSYNC] = {.directions = FD_WRITE},
    [TINA_OP_STAT] = {.directions = FD_READ, .place = PLACE_PATH},
    [TINA_OP_SENDFILE] = {.flags = TINA_IO_SOME, .rights = FD_WRITE, .directions = FD_WRITE},
    [TINA_OP_POLL] = {.rights = 0},
    [TINA_OP_RENAME] = {.place = PLACE_PATH},
    [TINA_OP_UNLINK] = {.place = PLACE_PATH},
};

static_assert(TINA_OPEN_READ == FD_READ && TINA_OPEN_WRITE == FD_WRITE, "what is opened may that");

uint32_t tina_op_directions(uint8_t kind, uint32_t how) {
    if (kind != TINA_OP_POLL) {
        return tina_op_traits[kind].directions;
    }
    return ((how & TINA_POLL_READ) != 0 ? FD_READ : 0) |
           ((how & TINA_POLL_WRITE) != 0 ? FD_WRITE : 0);
}

static bool path_is_in_range(const char *path, size_t bytes_max) {
    size_t bytes = path != NULL ? strnlen(path, bytes_max + 1) : 0;
    return bytes > 0 && bytes <= bytes_max;
}

static bool rename_is_in_range(const tina_io_op *op) {
    return path_is_in_range(op->data, TINA_PATH_BYTES_MAX - 1) &&
           path_is_in_range(op->to, TINA_PATH_BYTES_MAX - 1 - strlen(op->data));
}

static bool open_is_in_range(const tina_io_op *op) {
    uint32_t write_only = TINA_OPEN_TRUNCATE | TINA_OPEN_APPEND;
    uint32_t all = 2 * TINA_OPEN_NO_LINKS - 1;
    return (op->how & ~all) == 0 &&
           ((op->how & TINA_OPEN_NO_LINKS) == 0 ||
            op->how == (TINA_OPEN_READ | TINA_OPEN_NO_LINKS)) &&
           (op->how & FD_FULL) != 0 && op->bytes <= 07777 &&
           ((op->how & TINA_OPEN_WRITE) != 0 || (op->how & write_only) == 0) &&
           ((op->how & TINA_OPEN_CREATE) != 0 || (op->how & TINA_OPEN_EXCLUSIVE) == 0) &&
           path_is_in_range(op->data, TINA_PATH_BYTES_MAX);
}

static bool offset_is_in_range(const tina_io_op *op) {
    return op->offset <= (uint64_t)INT64_MAX - op->bytes || op->offset == TINA_OFFSET_POSITION;
}

static bool memory_is_in_range(const tina_io_op *op, uint32_t bytes_min) {
    return op->data != NULL && op->bytes >= bytes_min && op->bytes <= INT32_MAX;
}

static bool stat_is_in_range(const tina_io_op *op) {
    bool by_path = tina_fd_is_none(op->fd);
    return op->stat != NULL &&
           (by_path ? path_is_in_range(op->data, TINA_PATH_BYTES_MAX) : op->data == NULL);
}

// Fields that a kind has; those that it does not have must be zero (fields_are_zero).
static bool op_is_in_range(const tina_io_op *op) {
    bool multishot = (op->flags & TINA_IO_MULTISHOT) != 0;
    switch (op->kind) {
    case TINA_OP_ACCEPT:
    case TINA_OP_CLOSE:
    case TINA_OP_FSYNC:
        return op->data == NULL;
    case TINA_OP_CONNECT:
        return op->data != NULL && tina_address_is_valid(op->data);
    case TINA_OP_RECV:
        return multishot ? op->bytes == 0 : op->bytes > 0;
    case TINA_OP_SEND:
        return memory_is_in_range(op, 1);
    case TINA_OP_RECVFROM:
        return op->bytes > 0;
    case TINA_OP_SENDTO:
        return memory_is_in_range(op, 0) && op->address != NULL &&
               tina_address_is_valid(op->address);
    case TINA_OP_OPEN:
        return open_is_in_range(op);
    case TINA_OP_READ:
        return op->bytes > 0 && offset_is_in_range(op);
    case TINA_OP_WRITE:
        return memory_is_in_range(op, 1) && offset_is_in_range(op);
    case TINA_OP_STAT:
        return stat_is_in_range(op);
    case TINA_OP_SENDFILE:
        return op->bytes > 0 && op->bytes <= INT32_MAX && op->offset != TINA_OFFSET_POSITION &&
               offset_is_in_range(op);
    case TINA_OP_POLL:
        return op->how != 0 && (op->how & ~(TINA_POLL_READ | TINA_POLL_WRITE)) == 0;
    case TINA_OP_RENAME:
        return rename_is_in_range(op);
    case TINA_OP_UNLINK:
        return path_is_in_range(op->data, TINA_PATH_BYTES_MAX);
    default:
        return false;
    }
}

static bool fields_are_zero(const tina_io_op *op) {
    bool how = op->kind == TINA_OP_OPEN || op->kind == TINA_OP_POLL;
    bool offset = op->kind == TINA_OP_READ || op->kind == TINA_OP_WRITE ||
                  op->kind == TINA_OP_SENDFILE || op->kind == TINA_OP_SENDTO ||
                  op->kind == TINA_OP_STAT || op->kind == TINA_OP_RENAME;
    bool fd = tina_op_traits[op->kind].place != PLACE_PATH || op->kind == TINA_OP_STAT;
    return (op->flags & ~tina_op_traits[op->kind].flags) == 0 && (how || op->how == 0) &&
           (offset || op->offset == 0) && (fd || tina_fd_is_none(op->fd));
}

// Returns 0 and the fd's row, or what refuses the op.
static int32_t fd_check(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd name,
                        uint32_t rights, uint32_t directions, uint32_t *row) {
    *row = tina_fds_find(reactor, owner, name);
    if (*row == 0) {
        return TINA_IO_BAD_FD;
    }
    if ((tina_fds_rights(reactor, name) & rights) != rights) {
        return TINA_IO_NO_RIGHT;
    }
    const fd_entry *fd = &reactor->fds[*row];
    bool busy = ((directions & FD_READ) != 0 && fd->read_op != 0) ||
                ((directions & FD_WRITE) != 0 && fd->write_op != 0);
    return busy ? TINA_IO_BUSY : 0;
}

int32_t tina_op_check(const tina_reactor *reactor, const tina_reactor_owner *owner,
                      const tina_io_op *op, op_rows *rows) {
    *rows = (op_rows){0, 0};
    if (op->kind >= TINA_OP_KIND_COUNT || !fields_are_zero(op) || !op_is_in_range(op)) {
        return TINA_IO_BAD_OP;
    }
    if (tina_op_traits[op->kind].place == PLACE_PATH && tina_fd_is_none(op->fd)) {
        return 0;
    }
    uint32_t directions = tina_op_directions(op->kind, op->how);
    uint32_t rights = op->kind == TINA_OP_POLL ? directions : tina_op_traits[op->kind].rights;
    int32_t refusal = fd_check(reactor, owner, op->fd, rights, directions, &rows->fd);
    if (refusal != 0 || op->kind != TINA_OP_SENDFILE) {
        return refusal;
    }
    refusal = fd_check(reactor, owner, op->source, FD_READ, FD_READ, &rows->source);
    return refusal == 0 && rows->source == rows->fd ? TINA_IO_BAD_OP : refusal;
}
