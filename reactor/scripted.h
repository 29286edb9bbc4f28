// SPDX-License-Identifier: Apache-2.0
//
// A backend in memory, for unit tests: virtual sockets, whose far ends the test drives, a handful
// of virtual files, and switches for what a kernel does rarely. As with io_uring, nothing moves but
// in tina_reactor_wait, which here never blocks. No clock, no randomness: the same calls give the
// same results.

#ifndef TINA_REACTOR_SCRIPTED_H
#define TINA_REACTOR_SCRIPTED_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const tina_reactor_backend tina_reactor_scripted;

typedef struct tina_scripted tina_scripted;

// The backend's options; required, since the calls below need *scripted. Zero: the default.
typedef struct tina_scripted_options {
    tina_scripted **scripted;
    uint32_t pipe_bytes;      // a connection holds in each direction; default 4096
    uint32_t stage_count_max; // ops taken between two waits; default: all
    uint32_t file_bytes; // of one file, of which there are 16; beyond it: ENOSPC; default 16384
} tina_scripted_options;

typedef struct tina_scripted_controls {
    // The test writes these, at any time.
    bool hold;                             // completions stay inside
    bool reverse;                          // completions come out last first, each op's in order
    bool late_cancels;                     // cancels take no effect
    uint32_t send_bytes_max;               // of one send or write; 0: no bound
    uint32_t multishot_max;                // results before a multishot op ends; 0: no bound
    int32_t fail_next[TINA_OP_KIND_COUNT]; // the errno of the next op staged of a kind; then 0
    int32_t fail_wait;                     // the errno of every wait; 0: none

    // The test reads these.
    uint64_t waits;
    uint64_t until_ns; // of the last wait
    bool would_block;  // the last wait would have slept until until_ns
    uint64_t wakes;
} tina_scripted_controls;

tina_scripted_controls *tina_scripted_control(tina_scripted *scripted);

// A far end. socket < 0: none.
typedef struct tina_scripted_peer {
    int32_t socket;
} tina_scripted_peer;

// tina_scripted_connect opens a connection to a listener of the reactor's; none when nobody listens
// there or its backlog is full.
tina_scripted_peer tina_scripted_connect(tina_scripted *scripted, const tina_address *address);

// tina_scripted_listen makes a listener for the reactor to connect to, *address with port 0
// replaced; tina_scripted_accept takes its oldest connection, or none.
tina_scripted_peer tina_scripted_listen(tina_scripted *scripted, tina_address *address);
tina_scripted_peer tina_scripted_accept(tina_scripted *scripted, tina_scripted_peer listener);

// These return what send(2) and recv(2) would on a non-blocking socket: bytes, 0 at end of stream,
// or -errno.
int32_t tina_scripted_peer_send(tina_scripted *scripted, tina_scripted_peer peer, const void *data,
                                uint32_t bytes);
int32_t tina_scripted_peer_recv(tina_scripted *scripted, tina_scripted_peer peer, void *data,
                                uint32_t bytes);
void tina_scripted_peer_shutdown(tina_scripted *scripted, tina_scripted_peer peer);
void tina_scripted_peer_close(tina_scripted *scripted, tina_scripted_peer peer);
void tina_scripted_peer_reset(tina_scripted *scripted, tina_scripted_peer peer);

// A far end for datagrams, at *address with port 0 replaced; and what sendto(2) and recvfrom(2)
// would return.
tina_scripted_peer tina_scripted_bind(tina_scripted *scripted, tina_address *address);
int32_t tina_scripted_peer_sendto(tina_scripted *scripted, tina_scripted_peer peer,
                                  const void *data, uint32_t bytes, const tina_address *to);
int32_t tina_scripted_peer_recvfrom(tina_scripted *scripted, tina_scripted_peer peer, void *data,
                                    uint32_t bytes, tina_address *from);

// tina_scripted_sockets returns how many sockets are open, far ends included.
uint32_t tina_scripted_sockets(const tina_scripted *scripted);

#ifdef __cplusplus
}
#endif

#endif
