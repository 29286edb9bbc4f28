// SPDX-License-Identifier: Apache-2.0
//
// For scenarios: a server in a simulated world, whose routes answer what can be foretold, and what
// is asked of it.
//
//     sim_ask ─▶ request on the wire ─▶ server ─▶ response, each byte of which follows from the ask

#ifndef TINA_HTTP_SIM_SITE_H
#define TINA_HTTP_SIM_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"
#include "sim/sim.h"

#ifdef __cplusplus
extern "C" {
#endif

// Settings of a world in which nothing fails, though much is slow, in pieces and out of turn: where
// what becomes of one client is another's doing, or a deadline's.
#define SIM_SITE_GENTLE                                                                            \
    "init_crash_ppm=calm,crash_before_ppm=calm,crash_during_ppm=calm,crash_after_ppm=calm,"        \
    "death_ppm=calm,pause_ppm=calm,step_ppm=calm,wire_loss_ppm=calm,wire_clog_ppm=calm,"           \
    "net_stall_ppm=calm,net_reset_ppm=calm,net_refuse_ppm=calm,net_unreachable_ppm=calm,"          \
    "net_accept_fail_ppm=calm,net_partition_ppm=calm,disk_error_ppm=calm,disk_rot_ppm=calm,"       \
    "disk_stuck_ppm=calm"

#define SIM_SITE_SHARDS_MAX 3u
#define SIM_SITE_HOSTS      4u
#define SIM_SITE_CLERKS     3u     // that one ask is served by
#define SIM_ASK_BYTES_MAX   16384u // of a request on the wire

typedef enum sim_ask_kind {
    SIM_ASK_TEXT = 0, // a body of `bytes`
    SIM_ASK_ECHO,     // the request's body comes back
    SIM_ASK_CHUNKED,  // ... which came in chunks
    SIM_ASK_STREAM,   // ... piece by piece
    SIM_ASK_CHUNKS,   // a body of `bytes` in chunks
    SIM_ASK_FILE,     // a file of the disk's
    SIM_ASK_STATIC,   // memory that is not copied
    SIM_ASK_WAIT,     // after `wait_ms`
    SIM_ASK_EVENTS,   // a chunk every `wait_ms`, `bytes` in all
    SIM_ASK_KINDS,
    SIM_ASK_PANIC, // the handler crashes: 500 or no answer, and the connection ends
    SIM_ASK_SIP, // the body comes back; after its first piece the handler reads nothing for wait_ms
    SIM_ASK_CALL,     // after a call that nobody answers for `wait_ms`
    SIM_ASK_STUBBORN, // after `wait_ms`, whatever its handler is told meanwhile
    SIM_ASK_SERVED,   // after SIM_SITE_CLERKS calls of the site's children, each after `wait_ms`
} sim_ask_kind;

typedef struct sim_ask {
    uint32_t id; // no other's
    uint32_t kind;
    uint32_t bytes; // of the body
    uint32_t wait_ms;
    bool closes; // says Connection: close
} sim_ask;

// What a scenario's state begins with.
typedef struct sim_site {
    http_server server;
    tina_address address;
    uint32_t hosts[SIM_SITE_HOSTS];
    const http_counters *counters[SIM_SITE_SHARDS_MAX]; // NULL until the shard has begun
    tina_handle mutes[SIM_SITE_SHARDS_MAX];             // who answer no call
    tina_handle clerks[SIM_SITE_SHARDS_MAX];            // children of the program, who answer all
    uint64_t panics;                                    // of SIM_ASK_PANIC
    uint32_t next_id;
    bool draining; // the scenario has ended the server
} sim_site;

// The one site's spec, for scenarios.
extern http_program sim_site_program;

// sim_site_open fills in what *server leaves open, makes the site's hosts and files, and the spec.
// For a scenario's begin, whose state is *site.
void sim_site_open(tina_sim *sim, sim_site *site, const http_server *server);

// sim_site_server draws the numbers of a server: few slots, any spread, any overflow.
http_server sim_site_server(tina_sim *sim);

// sim_site_trouble grows whenever something happens that may cost a connection, or an answer; in
// order: everybody who brings connections to their shard is at work. A visit that begins in order
// and meets no trouble must go well.
uint64_t sim_site_trouble(tina_sim *sim);
bool sim_site_in_order(tina_sim *sim);

// sim_site_in_use returns how many connections, contexts and rooms are taken, of all shards.
uint32_t sim_site_in_use(tina_sim *sim);

// sim_ask_draw draws an ask of up to `bytes`, but for a large body now and then.
sim_ask sim_ask_draw(tina_sim *sim, sim_site *site, uint32_t bytes);

// sim_ask_write writes the request and returns its length.
uint32_t sim_ask_write(const sim_ask *ask, uint8_t out[SIM_ASK_BYTES_MAX]);

// The body of its answer.
uint32_t sim_ask_body_bytes(const sim_ask *ask);
uint8_t sim_ask_body_at(const sim_ask *ask, uint32_t at);

#ifdef __cplusplus
}
#endif

#endif
