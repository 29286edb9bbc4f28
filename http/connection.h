// SPDX-License-Identifier: Apache-2.0
//
// The isolate types of a server.

#ifndef TINA_HTTP_CONNECTION_H
#define TINA_HTTP_CONNECTION_H

#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

// One a shard. Args: a pointer to the http_program.
extern const tina_isolate_type http_listener_type;

// One a socket. Args: its tina_fd.
extern const tina_isolate_type http_connection_type;

// http_connection_begin gives a socket of the caller's to a connection of its own; false: all
// connection_count are taken.
bool http_connection_begin(tina_ctx *ctx, tina_fd fd);

// One a shard that hands over what it accepts, and one for each such shard on every other. Args of
// the first: a pointer to the http_program; the second is the first's to spawn.
extern const tina_isolate_type http_bridge_type;
extern const tina_isolate_type http_dispatcher_type;

// What stands for a shard's connections in its tree, and what waits for other shards' (drain.c).
// Args: a pointer to the http_program.
extern const tina_isolate_type http_drain_type;
extern const tina_isolate_type http_gate_type;

// Tag of a connection's message to the listener or dispatcher that waits for one to end, and of the
// last one's to http_drain.
#define HTTP_TAG_CONNECTION_ENDED 1

// Tag of a listener's message to a dispatcher: a socket.
#define HTTP_TAG_HANDED_OVER 2

// Tag of a connection's message to the shard's log writer.
#define HTTP_TAG_LINES 3

#ifdef __cplusplus
}
#endif

#endif
