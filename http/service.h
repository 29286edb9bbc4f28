// SPDX-License-Identifier: Apache-2.0
//
// What a service manager passes to a process, and hears from it: a socket that listens already
// (LISTEN_FDS, sd_listen_fds(3)), and datagrams about its state (NOTIFY_SOCKET, sd_notify(3)).

#ifndef TINA_HTTP_SERVICE_H
#define TINA_HTTP_SERVICE_H

#include <stdbool.h>

#include "reactor/io.h"
#include "sched/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_service {
    int listen_fd; // the socket that was passed; 0: none
    int notify_fd; // connected to the manager; -1: nobody wants to know
} http_service;

// http_service_open takes what is meant for this process out of the environment, so that its
// children do not. Returns false and a sentence when that cannot be. At boot, from the main thread.
bool http_service_open(http_service *service, char sentence[TINA_SENTENCE_BYTES]);

// http_service_tell sends a state, "READY=1" or "STOPPING=1", without waiting; false when it could
// not be sent. From any thread.
bool http_service_tell(const http_service *service, const char *state);

void http_service_close(http_service *service);

#ifdef __cplusplus
}
#endif

#endif
