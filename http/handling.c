// SPDX-License-Identifier: Apache-2.0
//
// Handlers are run here, and what they return becomes the context's next phase.
#include <assert.h>

#include "core/assert.h"
#include "http/turn.h"
#include "sched/ctx.h"

// What of a body is read and dropped after an answer, so that the connection can go on.
#define DRAIN_BYTES 65536u

static const char *step_fault(const http_context *context, http_step step);
static void begun_forget(http_context *context);
static bool body_is_left(const http_parser *parser);

// What is in scratch lasts for one handler.
http_turn http_handler_run(http_shard *shard, http_context *context, http_handler handler) {
    http_handler_prepare(context);
    context->handling = true;
    http_step step = handler(&context->request, &context->response);
    context->handling = false;
    return http_step_take(shard, context, step);
}

void http_handler_prepare(http_context *context) {
    http_request *request = &context->request;
    request->scratch_used = 0;
    request->scratch_short = false;
    request->path = NULL;
    http_response_move(&context->response, context->out + context->out_bytes);
    context->response.body_left = body_is_left(&context->parser);
    // A response whose head has left cannot say that it is the last: the next one can, and requests
    // that came meanwhile are answered.
    context->response.close = context->response.close || (context->last && !context->begun);
}

http_turn http_step_take(http_shard *shard, http_context *context, http_step step) {
    http_response *response = &context->response;
    if (response->fault == NULL)
        response->fault = step_fault(context, step);
    if (response->fault != NULL)
        return http_fault_answer(shard, context);
    http_response_keep(context);
    if (step.kind == HTTP_STEP_FILE) {
        context->phase = HTTP_PHASE_FILE;
        return HTTP_TURN_ON;
    }
    if (step.kind == HTTP_STEP_READ) {
        context->phase = HTTP_PHASE_READING;
        return HTTP_TURN_ON;
    }
    if (step.kind == HTTP_STEP_CALL) {
        context->phase = HTTP_PHASE_CALLING;
        return HTTP_TURN_ON;
    }
    // To HEAD there is nothing more to say.
    bool streams = step.kind == HTTP_STEP_STREAM || step.kind == HTTP_STEP_WAIT;
    if (streams && response->stream != HTTP_STREAM_NOWHERE) {
        bool waits = step.kind == HTTP_STEP_WAIT;
        context->phase = waits ? HTTP_PHASE_WAITING : HTTP_PHASE_STREAMING;
        return HTTP_TURN_ON;
    }
    return http_request_answered(shard, context);
}

static const char *step_fault(const http_context *context, http_step step) {
    const http_response *response = &context->response;
    switch (step.kind) {
    case HTTP_STEP_FILE:
        return NULL;
    case HTTP_STEP_ANSWERED:
        return response->complete ? NULL : "its handler returned without answering";
    case HTTP_STEP_READ:
        if (response->complete)
            return "its handler answered and read on";
        return context->request.body_ended ? "its handler read beyond the body's end" : NULL;
    case HTTP_STEP_STREAM:
        if (response->stream == HTTP_STREAM_NONE || response->complete)
            return "its handler streamed without a response to stream";
        if (response->stream != HTTP_STREAM_NOWHERE && context->out_bytes + response->bytes == 0)
            return "its handler had nothing sent, and waits for it";
        return NULL;
    case HTTP_STEP_WAIT:
        return response->complete ? "its handler answered and waits" : NULL;
    case HTTP_STEP_CALL:
        if (response->complete || response->bytes > 0)
            return "its handler called before what it wrote was sent";
        return response->call.kind == TINA_EFFECT_CALL ? NULL : "its handler called by no call";
    default:
        return "its handler returned without answering";
    }
}

// Once a part of a response is on its way there is no other; the client sees that its end lacks.
http_turn http_fault_answer(http_shard *shard, http_context *context) {
    http_response *response = &context->response;
    const http_head *head = context->request.head;
    tina_log(context->request.ctx, TINA_LOG_ERROR, "%s %.200s is %s: %s",
             http_method_name((http_method)head->method), head->target,
             context->parted ? "cut off" : "answered 500", response->fault);
    shard->counters.responses_bad++;
    if (context->parted) {
        shard->counters.requests++;
        return HTTP_TURN_CLOSE;
    }
    begun_forget(context);
    http_respond_status(response, 500, 0);
    http_response_keep(context);
    return http_request_answered(shard, context);
}

static void begun_forget(http_context *context) {
    if (!context->begun)
        return;
    context->sent_bytes = 0;
    context->out_bytes = context->begun_at;
    context->begun = false;
    http_response_move(&context->response, context->out + context->out_bytes);
}

http_turn http_request_answered(http_shard *shard, http_context *context) {
    http_parser *parser = &context->parser;
    shard->counters.requests++;
    context->phase = HTTP_PHASE_ANSWERED;
    if (context->response.close || body_is_left(parser))
        return HTTP_TURN_CLOSE;
    if (parser->state == HTTP_PARSE_IN_REQUEST && context->tail.bytes == 0)
        http_request_end(shard, context);
    return HTTP_TURN_ON;
}

// Whether the connection cannot go on after an answer, for what is left of the body: it goes by
// what the client has said and not by what has arrived.
static bool body_is_left(const http_parser *parser) {
    if (parser->state == HTTP_PARSE_IN_REQUEST || parser->head.framing == HTTP_FRAMING_NONE)
        return false;
    return parser->head.framing == HTTP_FRAMING_CHUNKED || parser->head.expects_continue ||
           parser->left > DRAIN_BYTES;
}

void http_response_open(http_shard *shard, http_context *context) {
    TINA_ASSERT(context->tail.bytes == 0);
    TINA_ASSERT(context->out_bytes <= HTTP_BATCH_BYTES + HTTP_CONTINUE_BYTES);
    const http_head *head = context->request.head;
    http_response *response = &context->response;
    context->request.scratch_short = false;
    response->file = &context->file;
    response->date = &shard->date;
    response->wall_s = tina_wall_s(context->request.ctx);
    http_response_begin(response, &context->request, context->out + context->out_bytes,
                        shard->program->server.response_bytes);
    uint32_t requests_max = shard->program->server.requests_max;
    response->close = context->last || head == NULL || !head->keep_alive ||
                      (requests_max != 0 && *context->requests >= requests_max);
}

// Fields that hooks have set stay.
void http_response_ready(http_shard *shard, http_context *context) {
    http_response *response = &context->response;
    if (!context->opened) {
        http_response_open(shard, context);
        return;
    }
    http_response_move(response, context->out + context->out_bytes);
    response->wall_s = tina_wall_s(context->request.ctx);
    response->close = response->close || context->last;
}

void http_response_keep(http_context *context) {
    http_response *response = &context->response;
    if (!context->begun)
        context->begun_at = context->out_bytes;
    context->begun = context->begun || response->bytes > 0;
    context->out_bytes += response->bytes;
    context->sent_bytes += response->bytes + response->tail.bytes;
    response->bytes = 0;
    context->tail = response->tail;
}

void http_request_end(http_shard *shard, http_context *context) {
    http_log_request(shard, context, context->request.ctx);
    http_room_give(shard, context);
    http_parser_advance(&context->parser);
    context->phase = HTTP_PHASE_RECEIVING;
    context->request.group_bits = 0;
    context->request.id = NULL;
    context->renewal_due = context->request.exposed;
    context->request.exposed = false;
    context->told = false;
    context->admitted = false;
    context->sent_bytes = 0;
    context->opened = false;
    context->begun = false;
    context->parted = false;
    context->head_deadline_ns = 0;
    context->body_bytes = 0;
    context->body_waited_ns = 0;
}
