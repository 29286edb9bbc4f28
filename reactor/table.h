// SPDX-License-Identifier: Apache-2.0
//
// What a reactor is made of, for its own files only: a table of operations, a table of file
// descriptors and the receive buffers. Rows link to each other by index; row 0 of both tables is
// unused, so 0 ends every list.

#ifndef TINA_REACTOR_TABLE_H
#define TINA_REACTOR_TABLE_H

#include <assert.h>

#include "core/assert.h"
#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"

typedef enum op_state {
    OP_FREE = 0, // queue.next: the next free row
    OP_STAGED,   // in the staged queue; the backend does not know it
    OP_WAITING,  // in the waiting queue: there was data and no buffer; or, a multishot accept, in
                 // the fdless queue: there is no row for another fd
    OP_FLYING,  // with the backend until its (last) result; in the staged queue while its cancel is
    OP_PAUSED,  // a multishot op whose results wait to be taken; in no queue
    OP_CLOSING, // a close that waits for the other ops of its fd; in no queue
    OP_DONE,    // in its owner's done list
    OP_DRAINED, // in the news queue: the last op of a released owner, whose news it carries
} op_state;

typedef enum op_mark {
    OP_QUEUED = 1,   // in the queue that its state names
    OP_CANCELED = 2, // asked to end; `result` holds the reason
    OP_RETRY = 4,    // staged again because a buffer came home; counted in retry_count
    OP_PAUSING = 8,  // a multishot op whose results are at their bound: the backend is to end it
    OP_NEWS = 16,    // in the news queue: it has something for its owner that reap has not told of
    OP_CUT = 32,     // a datagram of which only the start was kept
} op_mark;

typedef struct op_links {
    uint32_t prev;
    uint32_t next;
} op_links;

typedef struct op_entry {
    tina_reactor_owner *owner;
    union {
        const void *data; // in flight: what the owner gave, or the copy of it
        op_links news;    // done, or multishot
    };
    uint64_t fd; // bits of a tina_fd; accept and open, once done: the new one; 0: on a path
    uint32_t generation;
    uint32_t bytes;
    union {
        uint32_t sent;    // send, sendto, write, sendfile: bytes that the backend took so far
        uint32_t buffer;  // recv, recvfrom, read, once done
        uint32_t untaken; // multishot: results in the done list, the last one not counted
    };
    uint32_t owner_prev; // the owner's ops in flight; owner_next also links its done list
    uint32_t owner_next;
    op_links queue;
    uint32_t companion;
    int32_t result;
    uint8_t kind;
    uint8_t flags;
    uint8_t state;
    uint8_t marks;
} op_entry;

static_assert(sizeof(op_entry) == 64, "one line an op");

// What only some kinds of op have, in a table of its own: row n is op n's.
typedef struct op_more {
    union {
        uint64_t offset;      // read, write, sendfile: where it began
        tina_file_stat *stat; // stat: the owner's
    };
    uint64_t source; // sendfile: bits of its tina_fd, else 0
    uint32_t how;    // open, poll
    uint32_t place;  // of its address or path
    uint32_t filled; // sendfile: bytes in its buffer; 0: it has none
    uint16_t buffer;
    bool awaits_room; // sendfile without a buffer: it polls; else it reads
    uint8_t reserved;
} op_more;

static_assert(sizeof(op_more) == 32, "two a line");

typedef enum op_place {
    PLACE_NONE = 0,
    PLACE_ADDRESS,
    PLACE_PATH,
} op_place;

typedef enum op_moves {
    OP_FILLS_BUFFER = 1, // its result may bring a receive buffer, and it waits for one
    OP_READS_OWNER = 2,  // it reads `bytes` of the owner's memory at `data`
} op_moves;

typedef struct op_trait {
    uint8_t flags;      // that it may have
    uint8_t rights;     // that its fd must have; a poll's are in `how`
    uint8_t directions; // whose op in flight it is on its fd; a poll's are in `how`
    uint8_t place;      // op_place
    uint8_t moves;      // op_moves or 0
} op_trait;

extern const op_trait tina_op_traits[TINA_OP_KIND_COUNT];

#define PATH_PLACE_BYTES (TINA_PATH_BYTES_MAX + 1)

// A row is free (os_fd < 0; owner_next: the next free row), open (it has an owner), accepted by a
// multishot op and not taken (it has none: nobody knows its name), or closing (it has none any
// more: no handle reaches it, and it goes when its ops have ended).
typedef struct fd_entry {
    tina_reactor_owner *owner;
    int32_t os_fd;
    uint32_t generation;
    uint32_t read_op; // in flight: accept, recv; connect is in both
    uint32_t write_op;
    union {
        uint32_t owner_prev;
        uint32_t accepted_by; // not taken: whose result it is; closing: 0
    };
    union {
        uint32_t owner_next; // not taken: its owner's done list
        uint32_t close_op;   // closing: who waits for it; 0: nobody, its owner was released
    };
} fd_entry;

static_assert(sizeof(fd_entry) == 32, "two rows a line");

typedef struct buffer_entry {
    uint32_t done_next;   // result of a multishot op, not taken: its owner's done list
    uint32_t received_by; // ... whose result it is, else 0
    uint32_t bytes;       // ... how many
    bool held;            // by a completion, until it is given back
} buffer_entry;

// Where a done list goes on: a row of one of three tables. One result is a row of the ops. Those of
// a multishot op lie where they take up no op: in what they bring, a buffer or an fd. So an owner's
// completions are in one list in the order in which they came, and none ever lacks a place.
#define DONE_OP     UINT32_C(0)
#define DONE_BUFFER (UINT32_C(1) << 30)
#define DONE_FD     (UINT32_C(2) << 30)
#define DONE_TABLE  (UINT32_C(3) << 30)

typedef struct op_queue {
    uint32_t head;
    uint32_t tail;
} op_queue;

struct tina_reactor {
    const tina_reactor_backend *backend;
    void *self; // the backend's
    op_entry *ops;
    op_more *more;
    fd_entry *fds;
    uint8_t *rights; // of the owner of fd n
    op_queue staged;
    op_queue waiting;
    op_queue fdless;
    op_queue news;
    op_queue free_ops; // linked by queue.next only
    op_queue free_fds; // linked by owner_next
    uint32_t flying_count;
    uint32_t retry_count;
    uint32_t free_address; // 1 + place; a free address keeps the next one in `scope`
    uint32_t free_path;    // 1 + place
    bool closing;          // tina_reactor_close runs: owners are not to be touched
    tina_address *addresses;
    tina_address sender; // of the recvfrom taken last
    char *paths;
    uint8_t *buffers;
    buffer_entry *buffer_entries;
    tina_reactor_config config;
    tina_reactor_counters counters;
};

// tina_fd: shard 8 | rights 2 | entry 22 | generation 32.
#define FD_READ    1u
#define FD_WRITE   2u
#define FD_FULL    (FD_READ | FD_WRITE)
#define FD_ENTRIES (UINT32_C(1) << 22)

static inline uint32_t fd_index(uint64_t bits) {
    return (uint32_t)(bits >> 32) & (FD_ENTRIES - 1);
}

static inline uint32_t fd_rights(uint64_t bits) {
    return (uint32_t)(bits >> 54) & FD_FULL;
}

static inline uint64_t op_key(const tina_reactor *reactor, uint32_t index) {
    return (uint64_t)reactor->ops[index].generation << 32 | index;
}

static inline op_more *op_more_of(const tina_reactor *reactor, const op_entry *op) {
    return &reactor->more[op - reactor->ops];
}

// check.c

typedef struct op_rows {
    uint32_t fd;     // 0: the op is on a path
    uint32_t source; // sendfile, else 0
} op_rows;

// Returns 0, or what refuses the op.
int32_t tina_op_check(const tina_reactor *reactor, const tina_reactor_owner *owner,
                      const tina_io_op *op, op_rows *rows);
uint32_t tina_op_directions(uint8_t kind, uint32_t how);

// places.c

void tina_places_open(tina_reactor *reactor);
// Copies the address or path of an op that has one, or returns false when all places are in use.
bool tina_places_take(tina_reactor *reactor, const tina_io_op *op, uint32_t *place);
void tina_places_give(tina_reactor *reactor, uint8_t kind, uint32_t place);
char *tina_path_at(const tina_reactor *reactor, uint32_t place);

// op_table.c

void tina_ops_open(tina_reactor *reactor);
// Makes every row free again, with a name that it never had.
void tina_ops_relist(tina_reactor *reactor);
// Returns 0 when every row is in use.
uint32_t tina_ops_take(tina_reactor *reactor, tina_reactor_owner *owner);
void tina_ops_give(tina_reactor *reactor, uint32_t index);
// Returns 0 when the key names no op of now.
uint32_t tina_ops_find(const tina_reactor *reactor, uint64_t key);
void tina_ops_push(tina_reactor *reactor, op_queue *queue, uint32_t index);
void tina_ops_push_front(tina_reactor *reactor, op_queue *queue, uint32_t index);
void tina_ops_remove(tina_reactor *reactor, op_queue *queue, uint32_t index);
void tina_ops_stage(tina_reactor *reactor, uint32_t index);
// Asks an op in flight to end with `reason`; one that the backend does not know ends here. A close
// is not stopped: its fd's other ops are gone already.
void tina_ops_cancel(tina_reactor *reactor, uint32_t index, int32_t reason);

// fd_table.c

void tina_fds_open(tina_reactor *reactor);
void tina_fds_relist(tina_reactor *reactor);
// Gives an os_fd a row, or returns 0 when every one is in use; and then an owner and a name.
uint32_t tina_fds_take(tina_reactor *reactor, int32_t os_fd);
tina_fd tina_fds_own(tina_reactor *reactor, uint32_t index, tina_reactor_owner *owner,
                     uint32_t rights);
void tina_fds_give(tina_reactor *reactor, uint32_t index);
// Returns 0 when fd names nothing that is open and owner's.
uint32_t tina_fds_find(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd);
// What a name that tina_fds_find knows may do.
uint32_t tina_fds_rights(const tina_reactor *reactor, tina_fd fd);
bool tina_fds_full(const tina_reactor *reactor);
// So few rows are left that a multishot accept is armed for one connection at a time.
bool tina_fds_scarce(const tina_reactor *reactor);
// Puts a multishot accept aside until a row is free.
void tina_fds_await(tina_reactor *reactor, uint32_t op);
void tina_fds_unlink(tina_reactor *reactor, uint32_t index);
void tina_fds_cancel(tina_reactor *reactor, uint32_t index);
void tina_fds_begin_close(tina_reactor *reactor, uint32_t index, uint32_t close_op);
void tina_fds_op_ended(tina_reactor *reactor, uint32_t index, uint32_t op);

// open.c

// With `closing` set: cancels every op and awaits the last; false when that takes over a second.
bool tina_ops_drain(tina_reactor *reactor);

// buffers.c

void tina_buffers_open(tina_reactor *reactor);
void tina_buffers_close(tina_reactor *reactor);
void tina_buffers_hold(tina_reactor *reactor, uint32_t buffer);
void tina_buffers_give(tina_reactor *reactor, uint32_t buffer);
void tina_buffers_await(tina_reactor *reactor, uint32_t op);
void tina_buffers_retry_ended(tina_reactor *reactor, uint32_t op);

// completion.c

// Takes what the backend has and turns it into completions.
void tina_completions_take(tina_reactor *reactor);
// What an owner is told of a backend's result.
int32_t tina_completions_result(const op_entry *op, int32_t result);
// Whether an op that is done brought a receive buffer.
bool tina_completions_has_buffer(const op_entry *op);
// Ends an op that is in no queue.
void tina_completions_add(tina_reactor *reactor, uint32_t op, int32_t result);

// sendfile.c

// A sendfile as the backend is to see it next: a read of the file, a send of what was read, or a
// poll for room.
void tina_sendfile_stage(const tina_reactor *reactor, uint32_t op, tina_backend_op *staged);
void tina_sendfile_end(tina_reactor *reactor, uint32_t op, const tina_backend_result *result);
// Gives back what it read and has not sent.
void tina_sendfile_drop(tina_reactor *reactor, uint32_t op);
void tina_sendfile_verify(const tina_reactor *reactor, uint32_t op);

// done_list.c

void tina_done_append(tina_reactor *reactor, tina_reactor_owner *owner, uint32_t at);
// Drops an op that has ended, in no list, and what it brought.
void tina_done_drop_op(tina_reactor *reactor, uint32_t index);
void tina_done_drop(tina_reactor *reactor, tina_reactor_owner *owner);
// Whether an op of that fd, or one that sent to it, is among what has come.
bool tina_done_names(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd);
bool tina_done_sent(const tina_reactor *reactor, const tina_reactor_owner *owner, tina_fd fd);

// multishot.c

// A result after which the backend goes on, and the last one of an op that it had.
void tina_multishot_more(tina_reactor *reactor, uint32_t op, const tina_backend_result *result);
void tina_multishot_last(tina_reactor *reactor, uint32_t op, const tina_backend_result *result);
// A result that was in the done list is there no more.
void tina_multishot_taken(tina_reactor *reactor, uint32_t op);
uint32_t tina_multishot_untaken_max(const tina_reactor *reactor, uint8_t kind);

#endif
