// SPDX-License-Identifier: Apache-2.0
//
// What the connections of one shard share: the compiled routes, the pools of request contexts and
// of room for large bodies, the date and the counters. It lies in the shard's memory, so that
// neither a listener's crash nor a connection's takes it away.
//
// A connection that crashes cannot give its context back. The shard notes by slot who holds what:
// the next connection in that slot, which can only exist once the last operation of the one before
// is in, takes back what is noted there.

#ifndef TINA_HTTP_SHARD_H
#define TINA_HTTP_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/prng.h"
#include "http/access_log.h"
#include "http/date.h"
#include "http/exchange.h"
#include "http/file.h"
#include "http/http.h"
#include "http/parse.h"
#include "http/router.h"

#ifdef __cplusplus
extern "C" {
#endif

// How far a context is with its request.
typedef enum http_phase {
    HTTP_PHASE_RECEIVING = 0, // no handler has run
    HTTP_PHASE_READING,       // response.next waits for a piece of the body
    HTTP_PHASE_STREAMING,     // response.next waits for out to be sent
    HTTP_PHASE_FILE,          // file.state says what is to be done
    HTTP_PHASE_WAITING,       // response.next waits to be woken, once out is sent
    HTTP_PHASE_CALLING,       // response.next waits for the outcome of response.call
    HTTP_PHASE_ANSWERED,      // until tail is sent and the body has ended
} http_phase;

// Everything that a connection needs from a request's first byte to its response's last.
struct http_context {
    http_parser parser;
    http_peer peer;
    http_request request;   // its match is valid from HTTP_PARSE_HEAD on
    http_response response; // valid in all phases but RECEIVING
    http_file_response file;
    uint8_t *out;              // response_bytes more than it may hold when a response is begun
    uint32_t out_bytes;        // written and not yet sent
    uint32_t begun_at;         // in out, of a response that is begun and not parted
    uint32_t room;             // of a large body: index + 1; 0: none
    tina_bytes tail;           // to be sent after out
    uint64_t admitted_ns;      // when the head was here
    uint64_t admitted_s;       // the same in wall time
    uint64_t sent_bytes;       // of the response, put into out, tail or a sendfile
    uint64_t unsent_bytes;     // of these, when the connection ended before they went
    uint64_t body_bytes;       // of the request being read, that were waited for
    uint64_t body_waited_ns;   // how long
    uint64_t body_awaited_ns;  // since when; 0: nothing of it is
    uint32_t *requests;        // the connection's count
    uint64_t head_deadline_ns; // of the request being read; 0: none of its bytes is here
    tina_timer timer;          // ends the wait; none: nothing does
    uint8_t phase;             // http_phase
    bool opened;               // hooks have begun the response
    bool handling;             // a handler or hook runs
    bool begun;                // a byte of the response is in out, or sent
    bool parted;               // a byte of it is sent
    bool admitted;             // its head is good
    bool log_due;              // the access log gets its line
    bool last;                 // the next response is the connection's last
    bool proxy_awaited;        // a PROXY header comes first
    bool woken;                // WAITING, CALLING: next is to be called, with request.message
    bool told;                 // next was called with TINA_SHUTDOWN
    bool renewal_due;          // the request that ended had its isolate exposed
};

// Responses are gathered in out until more than this is there, and leave with one send.
#define HTTP_BATCH_BYTES 8192u

// "HTTP/1.1 100 Continue" and its empty line may stand before a response.
#define HTTP_CONTINUE_BYTES 25u

// A handler's scratch: quoting can make the longest target six times as long.
static inline uint32_t http_scratch_bytes(const http_server *server) {
    return 8 * server->target_bytes;
}

#define HTTP_CONTEXT_NONE UINT32_MAX

// Slots of connections beyond connection_count, so that one whose request was exposed can go on in
// another although the server is full. Nearly always its own is free again at once.
#define HTTP_CONNECTIONS_SPARE 16u

static inline uint32_t http_connection_slots(const http_server *server) {
    return server->connection_count + HTTP_CONNECTIONS_SPARE;
}

#define HTTP_SHARDS_MAX (TINA_SHARD_COUNT_MAX + 1)

// Slots of dispatchers: those of other shards, and what is left of those before them.
static inline uint32_t http_dispatcher_slots(const http_server *server) {
    return 2 * (server->shards == TINA_SHARDS_ALL ? TINA_SHARD_COUNT_MAX : server->shards);
}

typedef struct http_connection_slot {
    uint32_t context;    // that its connection holds, or HTTP_CONTEXT_NONE
    uint32_t generation; // of its connection, also of one that crashed; 0: there is none
} http_connection_slot;

struct http_shard {
    const http_program *program; // NULL until opened
    http_counters counters;
    http_date date;
    http_router router;
    uint64_t all_methods; // that any route has
    uint8_t *contexts;
    uint64_t context_stride;
    tina_handle *holders;   // of each context; none: it is free
    uint64_t crashes_seen;  // of the shard's isolates, when dead holders were last looked for
    uint32_t *context_free; // a stack of indices, so that warm memory is used first
    uint32_t context_free_count;
    uint8_t *rooms; // for large bodies, room_stride each
    uint64_t room_stride;
    uint32_t *room_free;
    uint32_t room_free_count;
    http_connection_slot *slots; // by connection isolate
    uint32_t connection_type;    // in their handles; known when there was one
    tina_handle listener;        // or a dispatcher, waits for a connection slot; none: none does
    tina_handle drain;           // is told when the last connection ends; none: nobody is
    bool draining;
    bool leaving;     // told to drain, and still accepting
    bool telling_all; // every connection is told to shut down, as soon as it begins, or its
                      // handler's call ends
    http_log log;
    tina_prng ids;                            // of requests; key 0: not seeded
    tina_handle dispatchers[HTTP_SHARDS_MAX]; // on other shards, of this one, that have room
    http_load *load;                          // this shard's
    uint32_t given[HTTP_SHARDS_MAX];          // to each other shard, counted as it counts settled
};

// http_all_listen returns whether every shard listens, or shard 0 alone.
static inline bool http_all_listen(const http_program *program) {
    return program->server.spread != HTTP_SPREAD_ONE &&
           program->server.spread != HTTP_SPREAD_LEAST && program->server.inherited_fd == 0 &&
           program->address.family != TINA_ADDRESS_UNIX && program->address.port != 0;
}

// http_hands_over returns whether a shard gives others what it accepts.
static inline bool http_hands_over(const http_program *program) {
    return program->server.spread != HTTP_SPREAD_KERNEL || !http_all_listen(program);
}

// http_ready is told once by each listener that listens, and once by each bridge whose shards have
// answered; the last one lets the program say so.
void http_ready(tina_ctx *ctx, http_program *program);

// http_shard_bytes returns how much memory http_shard_open needs; may exceed 32 bits.
uint64_t http_shard_bytes(const http_program *program);

// http_shard_open builds the state of ctx's shard in its memory unless it is there.
http_shard *http_shard_open(tina_ctx *ctx, http_program *program);

// http_shard_enter notes that the connection in `slot` lives, and takes back what one before it
// lost.
void http_shard_enter(http_shard *shard, uint32_t slot, tina_ctx *ctx);
void http_shard_leave(http_shard *shard, uint32_t slot);

// http_shard_tell tells the connection in `slot`, if there is one, to shut down: when its handler
// is in a call, which is cancelled then, or when it is not.
void http_shard_tell(const http_shard *shard, uint32_t slot, bool calling, tina_ctx *ctx);

// http_shard_succeed passes what the connection in `slot` holds to another that was spawned for the
// same socket, and is it from then on.
void http_shard_succeed(http_shard *shard, uint32_t slot, tina_handle successor, tina_ctx *ctx);
http_context *http_shard_context(const http_shard *shard, uint32_t slot); // that it holds

// http_shard_lose notes that sockets which were handed over to this shard are closed,
// http_shard_refuse that one is refused.
void http_shard_lose(http_shard *shard, uint32_t count);
void http_shard_refuse(http_shard *shard);

// http_shard_reach notes that `peer` has a new dispatcher, to which nothing is under way.
void http_shard_reach(http_shard *shard, uint32_t peer, tina_handle dispatcher);

// http_shard_load returns how many connections `peer` has or is about to have.
uint32_t http_shard_load(const http_shard *shard, uint32_t peer);

// http_context_inherit takes the context from a connection that crashed, and returns its index; or
// HTTP_CONTEXT_NONE: it had none. http_context_bury gives it back, once no op of the dead one's can
// touch it any more.
uint32_t http_context_inherit(http_shard *shard, tina_handle dead, tina_handle heir);
http_context *http_context_of(const http_shard *shard, uint32_t index);
void http_context_bury(http_shard *shard, uint32_t index, tina_handle dead, tina_ctx *ctx);

// http_context_fail takes back what was made of the response to a request whose handler crashed, so
// that a 500 can be put into out, behind those before it, and is what the log says. False when it
// was no handler, or a part of the response was sent.
bool http_context_fail(http_context *context);

// http_context_take returns a context for the connection in `slot`, or NULL when all are in use.
http_context *http_context_take(http_shard *shard, uint32_t slot, tina_ctx *ctx);
void http_context_give(http_shard *shard, uint32_t slot);

// http_room_take gives the context room for its parser's body; false when all is in use.
bool http_room_take(http_shard *shard, http_context *context, tina_ctx *ctx);
void http_room_give(http_shard *shard, http_context *context);

#ifdef __cplusplus
}
#endif

#endif
