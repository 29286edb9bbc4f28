// SPDX-License-Identifier: Apache-2.0
//
// A client on a simulated host: it connects, sends its bytes at its own pace, reads at its own
// pace, and leaves as it likes. It is a well-behaved one with a plan that is all zero but for its
// address and bytes: it sends all at once, reads whatever comes, and closes when the other end
// does.

#ifndef TINA_SIM_CLIENT_H
#define TINA_SIM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/net.h"
#include "sim/world.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sim_client_end {
    SIM_CLIENT_RUNNING = 0,
    SIM_CLIENT_FIN,           // the other end closed in good order
    SIM_CLIENT_RESET,         // ... or did not, or something between the two
    SIM_CLIENT_NOT_CONNECTED, // refused, not answered, or no such host; `error` says which
    SIM_CLIENT_LEFT,          // it closed or reset as it was to
    SIM_CLIENT_TIMED_OUT,     // it was done waiting
} sim_client_end;

typedef struct sim_client sim_client;

typedef struct sim_client_plan {
    tina_address to;
    const void *data; // copied; more may be sent with sim_client_send
    size_t bytes;

    // Bytes [slow_from, slow_from + slow_bytes) leave slow_step_bytes (1 or more) at a time.
    uint64_t slow_from;
    uint64_t slow_bytes;
    uint32_t slow_step_bytes;
    uint64_t slow_step_ns;

    bool never_reads;
    uint64_t reads_after_ns; // after its start: nothing before
    uint32_t read_bytes;     // at a time; 0: what there is
    uint64_t read_ns;        // between two reads
    uint64_t kept_max;       // bytes kept of what it receives; 0: all

    bool half_closes;            // once all is sent
    uint64_t leaves_at_sent;     // bytes; 0: does not
    uint64_t leaves_at_received; // bytes; 0: does not
    uint64_t leaves_ns;          // after its start; 0: does not
    bool resets;                 // rather than closes when it leaves
    uint64_t timeout_ns;         // after its start; 0: waits for ever

    uint32_t connects; // more tries when one fails
    uint64_t connect_pause_ns;

    // Called by the agenda, or NULL: with what came, in pieces; and once, at its end.
    void (*heard)(void *where, sim_client *client, const void *data, uint32_t bytes);
    void (*done)(void *where, sim_client *client);
    void *where;
} sim_client_plan;

typedef struct sim_client_result {
    sim_client_end end;
    int32_t error;       // errno that ended it, or 0
    uint32_t failures;   // connects that failed
    uint64_t sent;       // bytes that its host has taken
    uint64_t received;   // bytes
    const uint8_t *kept; // the first of them, valid until more come
    uint64_t kept_bytes;
    uint64_t started_ns;
    uint64_t connected_ns; // 0: never
    uint64_t ended_ns;
    uint32_t host;
} sim_client_result;

// sim_client_start begins a client on a host; it does its first step by the agenda. It is the
// net's, as are its results.
sim_client *sim_client_start(sim_net *net, uint32_t host, const sim_client_plan *plan);

// sim_client_send has a client send more; nothing when it has ended. Not after a half close.
void sim_client_send(sim_client *client, const void *data, size_t bytes);

// sim_client_leave has it close, or reset when its plan says so, with what came.
void sim_client_leave(sim_client *client);

sim_client_result sim_client_look(const sim_client *client);

// sim_client_abuse draws into a plan with its bytes how somebody sends them who means no good, or
// whose line is bad: byte by byte, for ever, without reading, without an end, and the like. Times
// are of the order of patience_ns. Returns the name of what it drew.
const char *sim_client_abuse(sim_stream *stream, uint64_t patience_ns, sim_client_plan *plan);

#ifdef __cplusplus
}
#endif

#endif
