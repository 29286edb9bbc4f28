// SPDX-License-Identifier: Apache-2.0
#include "http/answer.h"

#include <assert.h>
#include <string.h>

#include "core/assert.h"
#include "sched/ctx.h"

static bool head_admit(http_shard *shard, http_context *context, tina_ctx *ctx);
static void continue_write(http_context *context);
static bool request_answer(http_shard *shard, http_context *context, tina_ctx *ctx, bool last);
static void handler_call(http_request *request, http_response *response);
static void unrouted_refuse(http_shard *shard, http_context *context, tina_ctx *ctx);
static void unrouted_answer(const http_shard *shard, const http_request *request,
                            http_response *response);
static void response_open(http_shard *shard, http_context *context, tina_ctx *ctx,
                          http_response *response);
static void response_keep(http_context *context, const http_response *response);
static void request_end(http_shard *shard, http_context *context);

http_answer_result http_context_answer(http_shard *shard, http_context *context, tina_ctx *ctx,
                                       bool last) {
    http_request *request = &context->request;
    request->ctx = ctx;
    request->scratch_bytes = http_scratch_bytes(&shard->program->server);
    request->scratch = tina_scratch(ctx, request->scratch_bytes);
    if (request->scratch == NULL)
        request->scratch_bytes = 0;
    while (context->out_bytes <= HTTP_BATCH_BYTES) {
        switch (http_parser_run(&context->parser)) {
        case HTTP_PARSE_MORE:
            return context->out_bytes > 0 ? HTTP_ANSWER_SEND : HTTP_ANSWER_MORE;
        case HTTP_PARSE_HEAD:
            if (!head_admit(shard, context, ctx))
                return HTTP_ANSWER_CLOSE;
            break;
        case HTTP_PARSE_ROOM:
            if (http_room_take(shard, context))
                break;
            http_context_refuse(shard, context, ctx, 503);
            return HTTP_ANSWER_CLOSE;
        case HTTP_PARSE_PIECE: // no body is streamed
            TINA_ASSERT(context->parser.state != HTTP_PARSE_IN_BODY);
            return HTTP_ANSWER_CLOSE;
        case HTTP_PARSE_WHOLE:
            if (!request_answer(shard, context, ctx, last))
                return HTTP_ANSWER_CLOSE;
            if (context->tail.bytes > 0)
                return HTTP_ANSWER_SEND;
            request_end(shard, context);
            break;
        case HTTP_PARSE_FAILED:
            shard->counters.requests_bad++;
            http_context_refuse(shard, context, ctx, context->parser.status);
            return HTTP_ANSWER_CLOSE;
        }
    }
    return HTTP_ANSWER_SEND;
}

void http_context_refuse(http_shard *shard, http_context *context, tina_ctx *ctx, int status) {
    http_response response;
    bool known = context->parser.head.method != 0;
    context->request.head = known ? &context->parser.head : NULL;
    context->request.scratch_short = false;
    response_open(shard, context, ctx, &response);
    response.close = true;
    http_respond_status(&response, status, 0);
    response_keep(context, &response);
}

void http_context_sent(http_shard *shard, http_context *context) {
    context->out_bytes = 0;
    context->tail = (tina_bytes){NULL, 0};
    if (context->answered)
        request_end(shard, context);
}

// The route is looked up before the body is read, since it says how large that may be. False:
// refused.
static bool head_admit(http_shard *shard, http_context *context, tina_ctx *ctx) {
    http_parser *parser = &context->parser;
    http_request *request = &context->request;
    const http_head *head = &parser->head;
    request->match.route = NULL;
    request->match.methods = shard->all_methods;
    if (!head->asterisk)
        http_router_find(&shard->router, (http_method)head->method, head->path, head->path_bytes,
                         &request->match);
    if (head->expects_other) {
        http_context_refuse(shard, context, ctx, 417);
        return false;
    }
    if (head->expects_continue && request->match.route == NULL) {
        unrouted_refuse(shard, context, ctx);
        return false;
    }
    uint32_t limit = shard->program->server.body_limit;
    if (request->match.route != NULL && request->match.route->body_limit != 0)
        limit = request->match.route->body_limit;
    http_parser_limit_body(parser, limit);
    if (head->expects_continue && parser->state == HTTP_PARSE_IN_BODY &&
        parser->next == parser->end)
        continue_write(context);
    return true;
}

// The client holds its body back until it is wanted, and nobody wants it.
static void unrouted_refuse(http_shard *shard, http_context *context, tina_ctx *ctx) {
    http_response response;
    context->request.head = &context->parser.head;
    context->request.scratch_short = false;
    response_open(shard, context, ctx, &response);
    response.close = true;
    unrouted_answer(shard, &context->request, &response);
    response_keep(context, &response);
    shard->counters.requests++;
}

static void continue_write(http_context *context) {
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static_assert(sizeof line - 1 == HTTP_CONTINUE_BYTES, "the output has room for it");
    memcpy(context->out + context->out_bytes, line, sizeof line - 1);
    context->out_bytes += HTTP_CONTINUE_BYTES;
}

// Returns whether the connection goes on.
static bool request_answer(http_shard *shard, http_context *context, tina_ctx *ctx, bool last) {
    http_request *request = &context->request;
    http_response response;
    request->head = &context->parser.head;
    request->body = (tina_bytes){context->parser.body, context->parser.body_bytes};
    request->scratch_used = 0;
    request->scratch_short = false;
    request->path = NULL;
    response_open(shard, context, ctx, &response);
    response.close = last || !request->head->keep_alive;
    if (request->match.route != NULL)
        handler_call(request, &response);
    else
        unrouted_answer(shard, request, &response);
    if (response.fault != NULL) {
        tina_log(ctx, TINA_LOG_ERROR, "%s %.200s is answered 500: %s",
                 http_method_name((http_method)request->head->method), request->head->target,
                 response.fault);
        shard->counters.responses_bad++;
        http_respond_status(&response, 500, 0);
    }
    context->answered = true;
    response_keep(context, &response);
    shard->counters.requests++;
    return !response.close;
}

static void handler_call(http_request *request, http_response *response) {
    http_step step = request->match.route->handler(request, response);
    if (response->fault == NULL && (step.kind != HTTP_STEP_ANSWERED || !response->answered))
        response->fault = "its handler returned without answering";
}

// RFC 9110 §9.3.7, §15.5.6: OPTIONS is answered for what has a route, and HEAD wherever GET is.
static void unrouted_answer(const http_shard *shard, const http_request *request,
                            http_response *response) {
    uint64_t methods = request->match.methods;
    bool options = request->head->method == HTTP_OPTIONS;
    if (methods == 0 && !request->head->asterisk) {
        http_respond_status(response, 404, 0);
        return;
    }
    TINA_ASSERT(!request->head->asterisk || methods == shard->all_methods);
    if (methods >> HTTP_GET & 1)
        methods |= UINT64_C(1) << HTTP_HEAD;
    methods |= UINT64_C(1) << HTTP_OPTIONS;
    http_respond_status(response, options ? 204 : 405, methods);
}

static void response_open(http_shard *shard, http_context *context, tina_ctx *ctx,
                          http_response *response) {
    TINA_ASSERT(context->tail.bytes == 0);
    TINA_ASSERT(context->out_bytes <= HTTP_BATCH_BYTES + HTTP_CONTINUE_BYTES);
    response->date = &shard->date;
    response->wall_s = tina_wall_s(ctx);
    http_response_begin(response, &context->request, context->out + context->out_bytes,
                        shard->program->server.response_bytes);
}

static void response_keep(http_context *context, const http_response *response) {
    TINA_ASSERT(response->bytes > 0);
    context->out_bytes += response->bytes;
    context->tail = response->tail;
}

static void request_end(http_shard *shard, http_context *context) {
    http_room_give(shard, context);
    http_parser_advance(&context->parser);
    context->answered = false;
    context->head_deadline_ns = 0;
}
