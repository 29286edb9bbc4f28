// SPDX-License-Identifier: Apache-2.0
//
// From a context's received bytes to its output: requests are read, routed and answered, one after
// the other, until something has to happen outside.

#ifndef TINA_HTTP_ANSWER_H
#define TINA_HTTP_ANSWER_H

#include <stdbool.h>

#include "http/shard.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum http_answer_result {
    HTTP_ANSWER_MORE = 0, // all complete requests are answered; receive
    HTTP_ANSWER_SEND,     // out (and tail) first, then again
    HTTP_ANSWER_FILE,     // what context->file.state says, then http_context_file_done
    HTTP_ANSWER_WAIT,     // response.wait_ns at most, then http_context_wake; all is sent
    HTTP_ANSWER_CALL,     // response.call, then http_context_wake
    HTTP_ANSWER_RENEW,    // another isolate is to go on with the next request
    HTTP_ANSWER_CLOSE,    // out (and tail) first, if anything; then no more on this connection
} http_answer_result;

// http_context_answer goes as far as it can. With `last`, the next response is the connection's
// last.
http_answer_result http_context_answer(http_shard *shard, http_context *context, tina_ctx *ctx,
                                       bool last);

// http_context_refuse answers what is being read with a status, as the connection's last response.
// False, and nothing is to be sent, when a response to it is under way.
bool http_context_refuse(http_shard *shard, http_context *context, tina_ctx *ctx, int status);

// http_context_file_done says what came of an op on a file; `bytes` were moved.
void http_context_file_done(http_shard *shard, http_context *context, tina_ctx *ctx,
                            const tina_io_event *event);

// http_context_wake has http_context_answer go on with the handler that waits, for m or, when it is
// NULL, because its time is up.
void http_context_wake(http_context *context, tina_ctx *ctx, const tina_message *m);

// http_context_sent says that out and tail are sent.
void http_context_sent(http_shard *shard, http_context *context, tina_ctx *ctx);

#ifdef __cplusplus
}
#endif

#endif
