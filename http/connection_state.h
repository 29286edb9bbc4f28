// SPDX-License-Identifier: Apache-2.0
//
// A connection's state, and the steps that connection.c, receive.c, waiting.c and sending.c take
// with it. Each returns the effect that waits for what is next.

#ifndef TINA_HTTP_CONNECTION_STATE_H
#define TINA_HTTP_CONNECTION_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/shard.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum http_connection_state {
    HTTP_CONNECTION_IDLE = 0, // receiving; no context
    HTTP_CONNECTION_READING,  // receiving; the context holds a part of a request
    HTTP_CONNECTION_SENDING, // `sending` is what is left; context's output, or static when there is
                             // none
    HTTP_CONNECTION_FILE,    // an op on the context's file
    HTTP_CONNECTION_PLACELESS, // that op found no place; until the context's timer
    HTTP_CONNECTION_WAITING,   // for anything, for the context's handler; all is sent
    HTTP_CONNECTION_TAKING,    // WAITING, and receiving what is there
    HTTP_CONNECTION_CALLING,   // for the outcome of a call
    HTTP_CONNECTION_RENEWING,  // until nothing is polled in the background any more
    HTTP_CONNECTION_LINGERING, // receiving and dropping; no context
} http_connection_state;

// Args of a connection that goes on where another of the same socket ends; its context is in its
// slot.
typedef struct http_succession {
    tina_fd fd;
    uint64_t deadline_ns;
    uint32_t requests;
    bool ended;
    bool draining;
    uint16_t reserved;
} http_succession;

typedef struct http_connection {
    tina_fd fd;
    http_shard *shard;
    http_context *context;
    tina_bytes sending;
    uint64_t deadline_ns; // LINGERING; and READING and WAITING when draining
    tina_io_id watch;     // the poll in the background, when `watching`
    http_peer peer;       // without a context; else that one's
    uint8_t state;        // http_connection_state
    bool closing;         // what is being sent is the last
    bool ended;           // the client has sent its last byte
    bool draining;        // told to shut down
    uint32_t requests;    // begun
    bool introduced;      // its PROXY header is read, or none is due
    bool watching;
} http_connection;

tina_effect http_connection_answer(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_refuse(tina_ctx *ctx, http_connection *self, int status);
void http_connection_drain(tina_ctx *ctx, http_connection *self); // from now on
tina_effect http_connection_finish(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_linger(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_leave(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_received(tina_ctx *ctx, http_connection *self, const tina_message *m);
tina_effect http_connection_read_on(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_idle(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_receive(const http_connection *self, uint32_t bytes,
                                    uint64_t timeout_ns);
tina_effect http_connection_watch_end(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_watch_ended(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_wait(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_readable(tina_ctx *ctx, http_connection *self, const tina_message *m);
tina_effect http_connection_watched(tina_ctx *ctx, http_connection *self, const tina_message *m);
tina_effect http_connection_wake(tina_ctx *ctx, http_connection *self, const tina_message *m);
tina_effect http_connection_call(http_connection *self);
tina_effect http_connection_renew(tina_ctx *ctx, http_connection *self);
tina_effect http_connection_send(http_connection *self);
tina_effect http_connection_send_rest(const http_connection *self);
tina_effect http_connection_file_next(http_connection *self);
tina_effect http_connection_file_done(tina_ctx *ctx, http_connection *self, const tina_message *m);
tina_effect http_connection_place_retry(http_connection *self);

#ifdef __cplusplus
}
#endif

#endif
