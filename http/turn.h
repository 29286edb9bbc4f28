// SPDX-License-Identifier: Apache-2.0
//
// What answer.c, which goes from request to request, and handling.c, which runs their handlers, ask
// of each other.

#ifndef TINA_HTTP_TURN_H
#define TINA_HTTP_TURN_H

#include "http/answer.h"

#ifdef __cplusplus
extern "C" {
#endif

// One step on the way: the results of http_context_answer, or another step.
typedef enum http_turn {
    HTTP_TURN_MORE = HTTP_ANSWER_MORE,
    HTTP_TURN_SEND = HTTP_ANSWER_SEND,
    HTTP_TURN_FILE = HTTP_ANSWER_FILE,
    HTTP_TURN_WAIT = HTTP_ANSWER_WAIT,
    HTTP_TURN_CALL = HTTP_ANSWER_CALL,
    HTTP_TURN_RENEW = HTTP_ANSWER_RENEW,
    HTTP_TURN_CLOSE = HTTP_ANSWER_CLOSE,
    HTTP_TURN_ON,
} http_turn;

http_turn http_handler_run(http_shard *shard, http_context *context, http_handler handler);
void http_handler_prepare(http_context *context);
http_turn http_step_take(http_shard *shard, http_context *context, http_step step);
http_turn http_fault_answer(http_shard *shard, http_context *context);
http_turn http_request_answered(http_shard *shard, http_context *context);
void http_response_open(http_shard *shard, http_context *context);
void http_response_ready(http_shard *shard, http_context *context);
void http_response_keep(http_context *context);
void http_request_end(http_shard *shard, http_context *context);

#ifdef __cplusplus
}
#endif

#endif
