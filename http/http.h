// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/1.1 server as a library: routes, and plain functions that answer requests.
//
//     socket ─▶ connection (an isolate) ─▶ parser ─▶ router ─▶ your handler(request, response)
//                      ▲                                                 │ http_json, http_text ...
//                      └────────────── response, in order ◀──────────────┘
//
// A request that reaches a handler is whole and unambiguous: anything that a proxy in front could
// have read differently (RFC 9112) has been refused. All memory is set aside at boot; an idle
// connection holds its isolate's struct only.
//
// A handler must not block: it runs on its shard's thread, as any isolate does.

#ifndef TINA_HTTP_HTTP_H
#define TINA_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/atomic.h"
#include "http/group.h"
#include "http/log_line.h"
#include "http/method.h"
#include "http/request.h"
#include "http/response.h"
#include "http/route.h"
#include "reactor/io.h"
#include "sched/isolate.h"
#include "sched/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

// How connections come to the shards of a server that has several. A Unix socket can be listened on
// once, and so can a port that the kernel chooses unless http_serve is at hand to hold it: there
// HTTP_SPREAD_ONE is what the others become.
typedef enum http_spread {
    HTTP_SPREAD_TURNS = 0, // every shard listens (SO_REUSEPORT), and what it accepts goes to all
                           // shards in turn: even, and good as long as one shard is
    HTTP_SPREAD_KERNEL,    // every shard listens and keeps what the kernel's hash gives it: the
                           // least work a connection, even by chance
    HTTP_SPREAD_ONE,       // shard 0 alone listens, and what it accepts goes to all in turn
    HTTP_SPREAD_LEAST,     // shard 0 alone listens, and what it accepts goes to whichever shard has
                           // the fewest connections: evens out what others have left uneven
} http_spread;

// What becomes of a connection when all connection_count are taken.
typedef enum http_overflow {
    HTTP_OVERFLOW_WAIT = 0, // it waits in the kernel's backlog until one ends; meanwhile responses
                            // say Connection: close
    HTTP_OVERFLOW_503,      // it is answered 503 with Retry-After; 64 a shard at once, others are
                            // closed
    HTTP_OVERFLOW_CLOSE,    // it is closed
} http_overflow;

// One line for each request that was answered, refused or given up. One whose handler crashed has
// the status 500 or, where a part of its response had left, that response's, with the bytes that
// had. A shard gathers lines and writes them without waiting: where the file does not keep up,
// lines are dropped and counted (log_lines_lost); those of a shard that breaks end with it.
typedef struct http_access_log {
    http_log_format format; // default: no log
    const char *path;       // appended to, made when it is not there; default the process's stdout
    uint32_t buffer_bytes;  // of a shard, for what is not written yet; default 131,072
} http_access_log;

// What is particular about a server. Zero means the default.
typedef struct http_server {
    const char *name;    // of the program; default "http"
    const char *address; // "1.2.3.4", "::1" or "unix:/path"; default 127.0.0.1
    uint16_t port;       // 0: the kernel chooses one
    int inherited_fd;    // instead: a listening socket that the process has, which stays open; 0:
                         // none
    http_routes routes;
    http_route otherwise; // its handler is called for paths that no route has, whatever the method;
                          // it has no pattern. Default: they are answered 404
    http_route_groups route_groups; // hooks for many routes alike
    http_access_log access_log;
    bool proxy_protocol;  // every connection begins with a PROXY header, version 1 or 2, or is
                          // closed; only for where nobody but the proxy can connect
    tina_backend backend; // default: chosen at boot
    uint32_t shards;      // default: one for each core that affinity and the cgroup allow
    http_spread spread;
    uint32_t rebuild_max; // of a shard before it is quarantined, see tina_spec

    uint32_t connection_count; // a shard; default 1,024
    http_overflow overflow;    // of connections beyond them
    uint32_t requests_max;     // of a connection, which then closes; default no bound
    uint32_t backlog;          // default 1,024
    uint32_t context_count;    // requests in progress at once, more are answered 503; default
                               // connection_count, at most 1,024
    uint32_t target_bytes;     // longer request targets are answered 414; default 8,192
    uint32_t head_bytes;       // request line and fields, more is answered 431; default 12,288
    uint32_t field_count;      // fields of a request, more are answered 431; default 100
    uint32_t body_limit;       // of routes that state none; default 65,536
    uint32_t large_body_count; // bodies in progress at once that do not fit behind their head
                               // (4,096 bytes always do), more are answered 503; default 16
    uint32_t response_bytes;   // a response's head and copied body; default 16,384

    uint64_t idle_timeout_ns;   // without a request; then the connection closes; default 60 s
    uint64_t header_timeout_ns; // a head's first to last byte, then 408; default 10 s
    uint64_t body_timeout_ns;   // between two receipts of a body, then 408; default 30 s
    uint32_t body_rate;         // bytes a second that a body comes with on average, after its first
                                // body_timeout_ns, or 408; default 64, or HTTP_RATE_NONE. What a
                                // handler takes to read does not count
    uint64_t write_timeout_ns;  // for one batch of responses, then it closes; default 30 s
    uint64_t lame_duck_ns; // when told to drain: from not ready (http_answer_ready) to no longer
                           // accepting, for who routes here to see it; default 0
    uint64_t drain_timeout_ns;  // from then on, for requests in progress, before the program's
                                // children are stopped; default 5 s
    uint64_t linger_timeout_ns; // how long a client may still send after our last byte; default 2 s

    // The program's own isolates, beside the server's.
    const tina_type_slots *types;
    uint32_t type_count;
    // Started before the listener, and stopped when it has ended and all connections, of every
    // shard, have: what a handler calls is there as long as its request, up to drain_timeout_ns.
    const tina_child *children;
    uint32_t child_count;
    uint32_t transfer_count; // transfer buffers for them and for handlers; default none

    // Called once, when every shard that is to listen does and can reach those it hands over to;
    // from the last one's thread.
    void (*listening)(void *context, const tina_address *address, const char *backend,
                      uint32_t shards);
    void *listening_context;

    // Called once, when the server is told to drain; from a shard's thread.
    void (*leaving)(void *context);
    void *leaving_context;
} http_server;

#define HTTP_RATE_NONE UINT32_MAX

#define HTTP_USER_TYPES_MAX    32u
#define HTTP_USER_CHILDREN_MAX 32u

// What a shard tells the one that listens, written by its thread alone. It is read without waiting
// for anybody: a connection that has just ended, or is about to enter, may be missing.
typedef struct http_load {
    tina_atomic_u32 live;    // connections; one that crashed until its slot is used again
    tina_atomic_u32 settled; // connections that have ever entered, or did not get in
    tina_atomic_u64 drain;   // the handle of what ends when they all have; 0: not begun
} http_load;

// A server made ready to run: the spec, and what it points to.
typedef struct http_program {
    http_server server; // every default filled in
    tina_spec spec;
    tina_address address;
    uint64_t room_bytes;  // the largest body_limit of routes that are not streamed
    uint32_t state_bytes; // the largest of all routes
    bool files;           // a route has a directory
    tina_type_slots types[HTTP_USER_TYPES_MAX + 8];
    tina_child children[HTTP_USER_CHILDREN_MAX + 4];
    struct http_program *self; // args of the isolates that need it
    tina_atomic_u32 leaving;   // shards that were told to drain
    tina_atomic_u32 ready;     // listeners and bridges, of all shards
    uint16_t port_chosen;      // by the kernel, for the one listener, should it start again
    http_load loads[TINA_SHARD_COUNT_MAX + 1];
} http_program;

// http_server_spec fills *program, which stays in place, untouched, as long as program->spec is
// used; the caller may still change the spec's fields that are not the server's. Returns false and
// a sentence when a route or a number cannot work.
bool http_server_spec(const http_server *server, http_program *program,
                      char sentence[TINA_SENTENCE_BYTES]);

// Handlers for routes that a balancer or an orchestrator asks: 200 as long as the process serves;
// and 200 until it is told to drain, then 503.
http_step http_answer_live(http_request *request, http_response *response);
http_step http_answer_ready(http_request *request, http_response *response);

// What a shard's server has done. Counters only grow; gauges (..._in_use) fall again, after a crash
// when the connection's slot is used again.
typedef struct http_counters {
    uint64_t connections;         // given to a connection isolate, whichever shard accepted them
    uint64_t handed_over;         // accepted here and given to another shard
    uint64_t handovers_lost;      // closed, since this shard had no room for what another gave it
    uint64_t accepts_failed;      // the OS refused, e.g. out of file descriptors
    uint64_t accepts_delayed;     // connection_count was reached; the connection waited
    uint64_t connections_refused; // for want of a slot, where they do not wait
    uint64_t requests;            // answered, by a handler or for it
    uint64_t requests_bad;        // refused by the parser
    uint64_t responses_bad;       // 500 because a handler's response could not be made
    uint64_t contexts_exhausted;  // 503
    uint64_t bodies_exhausted;    // 503
    uint64_t timeouts;            // idle, header, body or write
    uint64_t log_lines_lost;      // of the access log
    uint64_t contexts_lost;       // their connection crashed; taken back
    uint64_t clients_left;        // while a handler waited
    uint64_t messages_unawaited; // came for a handler when none of their connection waited; dropped
    uint64_t connections_cut;    // between two requests, for want of a slot, see http_ctx
    uint32_t connections_in_use;
    uint32_t contexts_in_use;
    uint32_t large_bodies_in_use;
} http_counters;

// http_count returns the counters of the shard that ctx runs on.
const http_counters *http_count(tina_ctx *ctx);

#ifdef __cplusplus
}
#endif

#endif
