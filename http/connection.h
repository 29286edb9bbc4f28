// SPDX-License-Identifier: Apache-2.0
//
// The two isolate types of a server.

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

// Tag of a connection's message to the listener that waits for one to end.
#define HTTP_TAG_CONNECTION_ENDED 1

#ifdef __cplusplus
}
#endif

#endif
