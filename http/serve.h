// SPDX-License-Identifier: Apache-2.0
//
// A server as a whole program: its command line, its threads and its kernel.

#ifndef TINA_HTTP_SERVE_H
#define TINA_HTTP_SERVE_H

#include "http/http.h"

#ifdef __cplusplus
extern "C" {
#endif

// http_serve reads the command line (--port N, --address A, --backend B, --shards N, --spread S,
// --help; they win over the server's own), serves until SIGINT or SIGTERM, and returns the
// process's exit status: 0 when it drained, 1 with a sentence on stderr when it could not start, 3
// when connections had to be cut off. Once all its shards are listening it writes one line to
// stdout: "listening on http://127.0.0.1:8080 (io_uring)", or "... (io_uring, 2 shards)".
//
// Called from the main thread, once at a time; see tina_run.
int http_serve(const http_server *server, int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
