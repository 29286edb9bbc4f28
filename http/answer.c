// SPDX-License-Identifier: Apache-2.0
#include "http/answer.h"

#include <assert.h>
#include <string.h>

#include "core/assert.h"
#include "http/turn.h"
#include "sched/ctx.h"

static http_turn proxy_turn(http_shard *shard, http_context *context);
static void scratch_take(const http_shard *shard, http_request *request, tina_ctx *ctx);
static http_turn context_turn(http_shard *shard, http_context *context);
static http_turn file_turn(http_shard *shard, http_context *context);
static http_turn waiting_turn(http_shard *shard, http_context *context);
static http_turn more_await(http_context *context);
static http_turn head_admit(http_shard *shard, http_context *context);
static http_turn hooks_run(http_shard *shard, http_context *context, uint64_t limit, bool *passed);
static http_handler route_handler(const http_route *route);
static http_turn unrouted_refuse(http_shard *shard, http_context *context);
static http_turn piece_take(http_shard *shard, http_context *context);
static http_turn whole_take(http_shard *shard, http_context *context);
static http_turn failure_take(http_shard *shard, http_context *context);
static http_turn refuse(http_shard *shard, http_context *context, int status);
static void unrouted_answer(const http_shard *shard, const http_request *request,
                            http_response *response);
static void log_begin(http_shard *shard, http_context *context);

http_answer_result http_context_answer(http_shard *shard, http_context *context, tina_ctx *ctx,
                                       bool last) {
    scratch_take(shard, &context->request, ctx);
    context->last = last;
    if (context->proxy_awaited) {
        http_turn next = proxy_turn(shard, context);
        if (next != HTTP_TURN_ON)
            return (http_answer_result)next;
    }
    while (context->out_bytes <= HTTP_BATCH_BYTES && context->tail.bytes == 0) {
        if (context->renewal_due)
            return HTTP_ANSWER_RENEW;
        http_turn next = context_turn(shard, context);
        if (next != HTTP_TURN_ON)
            return (http_answer_result)next;
    }
    return HTTP_ANSWER_SEND;
}

static http_turn proxy_turn(http_shard *shard, http_context *context) {
    http_parser *parser = &context->parser;
    uint32_t used = 0;
    switch (http_proxy_read(parser->buffer + parser->begin, parser->end - parser->begin,
                            context->request.peer, &used)) {
    case HTTP_PROXY_MORE:
        return HTTP_TURN_MORE;
    case HTTP_PROXY_DONE:
        http_parser_skip(parser, used);
        context->proxy_awaited = false;
        return HTTP_TURN_ON;
    case HTTP_PROXY_FAILED:
        break;
    }
    shard->counters.requests_bad++;
    return HTTP_TURN_CLOSE;
}

// A handler that called this one may have taken some.
static void scratch_take(const http_shard *shard, http_request *request, tina_ctx *ctx) {
    request->ctx = ctx;
    request->scratch_used = 0;
    request->scratch_short = false;
    request->scratch_bytes = http_scratch_bytes(&shard->program->server);
    request->scratch = tina_scratch(ctx, request->scratch_bytes);
    if (request->scratch == NULL)
        request->scratch_bytes = 0;
}

static http_turn context_turn(http_shard *shard, http_context *context) {
    if (context->phase == HTTP_PHASE_FILE)
        return file_turn(shard, context);
    if (context->phase == HTTP_PHASE_STREAMING) {
        if (context->out_bytes > 0)
            return HTTP_TURN_SEND;
        return http_handler_run(shard, context, context->response.next);
    }
    if (context->phase == HTTP_PHASE_WAITING || context->phase == HTTP_PHASE_CALLING)
        return waiting_turn(shard, context);
    switch (http_parser_run(&context->parser)) {
    case HTTP_PARSE_MORE:
        return more_await(context);
    case HTTP_PARSE_HEAD:
        return head_admit(shard, context);
    case HTTP_PARSE_ROOM:
        return http_room_take(shard, context, context->request.ctx) ? HTTP_TURN_ON
                                                                    : refuse(shard, context, 503);
    case HTTP_PARSE_PIECE:
        return piece_take(shard, context);
    case HTTP_PARSE_WHOLE:
        return whole_take(shard, context);
    case HTTP_PARSE_FAILED:
        return failure_take(shard, context);
    }
    TINA_ASSERT(context->parser.state > HTTP_PARSE_BROKEN);
    return HTTP_TURN_CLOSE;
}

bool http_context_refuse(http_shard *shard, http_context *context, tina_ctx *ctx, int status) {
    scratch_take(shard, &context->request, ctx); // for hooks
    if (context->begun || context->phase == HTTP_PHASE_ANSWERED || context->proxy_awaited)
        return false;
    refuse(shard, context, status);
    return true;
}

void http_context_sent(http_shard *shard, http_context *context, tina_ctx *ctx) {
    context->request.ctx = ctx;
    context->out_bytes = 0;
    context->tail = (tina_bytes){NULL, 0};
    context->parted = context->begun;
    if (context->phase == HTTP_PHASE_ANSWERED && context->parser.state == HTTP_PARSE_IN_REQUEST)
        http_request_end(shard, context);
}

// What is in out goes before a part of the file, and need not before its state is known.
static http_turn file_turn(http_shard *shard, http_context *context) {
    http_file_response *file = &context->file;
    http_response *response = &context->response;
    if (file->state == HTTP_FILE_SEND && context->out_bytes > 0)
        return HTTP_TURN_SEND;
    if (file->state == HTTP_FILE_SEND && file->left == 0) {
        http_response_move(response, context->out);
        http_file_sent(file, response);
        http_response_keep(context);
        return HTTP_TURN_ON;
    }
    if (file->state != HTTP_FILE_NONE)
        return HTTP_TURN_FILE;
    return response->fault != NULL ? http_fault_answer(shard, context)
                                   : http_request_answered(shard, context);
}

void http_context_file_done(http_shard *shard, http_context *context, tina_ctx *ctx,
                            const tina_io_event *event) {
    http_file_response *file = &context->file;
    TINA_ASSERT(context->phase == HTTP_PHASE_FILE && file->state != HTTP_FILE_NONE);
    scratch_take(shard, &context->request, ctx);
    if (file->state == HTTP_FILE_SEND) {
        TINA_ASSERT(event->bytes <= file->left);
        file->offset += event->bytes;
        context->sent_bytes += event->bytes;
        file->left -= event->bytes;
        return;
    }
    if (event->result == TINA_IO_CANCELED && file->state != HTTP_FILE_CLOSE)
        return; // it will be tried again
    if (file->state == HTTP_FILE_OPEN)
        http_file_opened(file, &context->response, event->result, event->fd);
    else if (file->state == HTTP_FILE_STAT)
        http_file_known(file, &context->response, event->result);
    else
        file->state = HTTP_FILE_NONE;
    http_response_keep(context);
}

// A call is made by the effect of the handler that returned it; a wait may have something to send.
static http_turn waiting_turn(http_shard *shard, http_context *context) {
    if (context->woken) {
        context->woken = false;
        http_turn next = http_handler_run(shard, context, context->response.next);
        context->request.message = NULL;
        return next;
    }
    if (context->phase == HTTP_PHASE_CALLING)
        return HTTP_TURN_CALL;
    return context->out_bytes > 0 ? HTTP_TURN_SEND : HTTP_TURN_WAIT;
}

// A response that was not begun before the wait is later than was thought, and may be the last.
void http_context_wake(http_context *context, tina_ctx *ctx, const tina_message *m) {
    TINA_ASSERT(context->phase == HTTP_PHASE_WAITING || context->phase == HTTP_PHASE_CALLING);
    TINA_ASSERT(!context->woken);
    context->woken = true;
    context->request.message = m;
    context->response.wall_s = tina_wall_s(ctx);
}

// A client that waits to be asked for its body is asked when a handler waits for it, and not once a
// response is under way.
static http_turn more_await(http_context *context) {
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static_assert(sizeof line - 1 == HTTP_CONTINUE_BYTES, "the output has room for it");
    http_head *head = &context->parser.head;
    bool in_body = context->parser.state == HTTP_PARSE_IN_BODY;
    if (in_body && head->expects_continue && !context->begun &&
        context->phase != HTTP_PHASE_ANSWERED) {
        memcpy(context->out + context->out_bytes, line, sizeof line - 1);
        context->out_bytes += HTTP_CONTINUE_BYTES;
        head->expects_continue = false;
    }
    return context->out_bytes > 0 ? HTTP_TURN_SEND : HTTP_TURN_MORE;
}

// The route is looked up before the body is read, since it says how large that may be. Where there
// is none, the body is dropped as it comes.
static http_turn head_admit(http_shard *shard, http_context *context) {
    http_parser *parser = &context->parser;
    http_request *request = &context->request;
    const http_head *head = &parser->head;
    request->head = head;
    log_begin(shard, context);
    context->admitted = true;
    (*context->requests)++;
    request->match.route = NULL;
    request->match.methods = shard->all_methods;
    if (!head->asterisk)
        http_router_find(&shard->router, (http_method)head->method, head->path, head->path_bytes,
                         &request->match);
    const http_route *otherwise = &shard->program->server.otherwise;
    if (request->match.methods == 0 && otherwise->handler != NULL)
        request->match.route = otherwise;
    const http_route *route = request->match.route;
    if (head->expects_other)
        return refuse(shard, context, 417);
    uint64_t limit = shard->program->server.body_limit;
    if (route != NULL && route->body_limit != 0)
        limit = route->body_limit;
    if (route != NULL && route->state_bytes > 0)
        memset(request->state, 0, route->state_bytes);
    bool passed = true;
    http_turn hooked = hooks_run(shard, context, limit, &passed);
    if (!passed)
        return hooked;
    if (head->expects_continue && route == NULL)
        return unrouted_refuse(shard, context);
    if (route != NULL && !route->streamed) {
        http_parser_limit_body(parser, limit);
        return HTTP_TURN_ON;
    }
    http_parser_stream_body(parser, limit);
    if (route == NULL || parser->state == HTTP_PARSE_BROKEN)
        return HTTP_TURN_ON;
    request->body = (tina_bytes){NULL, 0};
    request->body_ended = false;
    http_response_ready(shard, context);
    return http_handler_run(shard, context, route_handler(route));
}

// What is left of the body when a hook has answered goes the way of a streamed one's.
static http_turn hooks_run(http_shard *shard, http_context *context, uint64_t limit, bool *passed) {
    http_request *request = &context->request;
    const http_route *route = request->match.route;
    request->group_bits = http_groups_of(request->groups, route != NULL ? route->pattern : NULL);
    context->log_due = context->log_due && http_groups_log(request->groups, request->group_bits);
    if (request->group_bits == 0)
        return HTTP_TURN_ON;
    request->body = (tina_bytes){NULL, 0};
    request->body_ended = false;
    http_response_open(shard, context);
    context->opened = true;
    http_handler_prepare(context);
    context->handling = true;
    http_step step = http_hooks_before(request, &context->response);
    context->handling = false;
    *passed = step.kind == HTTP_STEP_PASS && context->response.fault == NULL;
    if (*passed)
        return HTTP_TURN_ON;
    http_parser_stream_body(&context->parser, limit);
    return http_step_take(shard, context, step);
}

static http_handler route_handler(const http_route *route) {
    return route->directory != NULL ? http_directory_answer : route->handler;
}

// The client holds its body back until it is wanted, and nobody wants it.
static http_turn unrouted_refuse(http_shard *shard, http_context *context) {
    http_response_ready(shard, context);
    context->response.close = true;
    unrouted_answer(shard, &context->request, &context->response);
    http_response_keep(context);
    shard->counters.requests++;
    return HTTP_TURN_CLOSE;
}

static http_turn piece_take(http_shard *shard, http_context *context) {
    const http_parser *parser = &context->parser;
    if (context->phase != HTTP_PHASE_READING)
        return HTTP_TURN_ON; // nobody wants it
    context->request.body = (tina_bytes){parser->body, parser->body_bytes};
    return http_handler_run(shard, context, context->response.next);
}

static http_turn whole_take(http_shard *shard, http_context *context) {
    http_request *request = &context->request;
    if (context->phase == HTTP_PHASE_ANSWERED) {
        http_request_end(shard, context);
        return HTTP_TURN_ON;
    }
    request->body = (tina_bytes){context->parser.body, context->parser.body_bytes};
    request->body_ended = true;
    if (context->phase == HTTP_PHASE_READING)
        return http_handler_run(shard, context, context->response.next);
    http_response_ready(shard, context);
    if (request->match.route != NULL)
        return http_handler_run(shard, context, route_handler(request->match.route));
    unrouted_answer(shard, request, &context->response);
    http_response_keep(context);
    return http_request_answered(shard, context);
}

static http_turn failure_take(http_shard *shard, http_context *context) {
    shard->counters.requests_bad++;
    if (!context->begun && context->phase != HTTP_PHASE_ANSWERED)
        refuse(shard, context, context->parser.status);
    return HTTP_TURN_CLOSE;
}

static http_turn refuse(http_shard *shard, http_context *context, int status) {
    if (!context->admitted)
        log_begin(shard, context);
    bool known = context->parser.head.method != 0;
    context->request.head = known ? &context->parser.head : NULL;
    context->request.to_head = http_parser_saw_head(&context->parser);
    http_response_open(shard, context);
    context->response.close = true;
    http_respond_status(&context->response, status, 0);
    http_response_keep(context);
    return HTTP_TURN_CLOSE;
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

static void log_begin(http_shard *shard, http_context *context) {
    context->admitted_ns = tina_now_ns(context->request.ctx);
    context->admitted_s = tina_wall_s(context->request.ctx);
    context->log_due = shard->program->server.access_log.format != HTTP_LOG_NONE;
}
