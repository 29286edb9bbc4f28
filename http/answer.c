// SPDX-License-Identifier: Apache-2.0
#include "http/answer.h"

#include <assert.h>
#include <string.h>

#include "core/assert.h"
#include "sched/ctx.h"

// What of a body is read and dropped after an answer, so that the connection can go on.
#define DRAIN_BYTES 65536u

// One step on the way: the results of http_context_answer, or another step.
typedef enum turn {
    TURN_MORE = HTTP_ANSWER_MORE,
    TURN_SEND = HTTP_ANSWER_SEND,
    TURN_FILE = HTTP_ANSWER_FILE,
    TURN_WAIT = HTTP_ANSWER_WAIT,
    TURN_CALL = HTTP_ANSWER_CALL,
    TURN_CLOSE = HTTP_ANSWER_CLOSE,
    TURN_ON,
} turn;

static void scratch_take(const http_shard *shard, http_request *request, tina_ctx *ctx);
static turn proxy_turn(http_shard *shard, http_context *context);
static turn context_turn(http_shard *shard, http_context *context);
static turn file_turn(http_shard *shard, http_context *context);
static turn waiting_turn(http_shard *shard, http_context *context);
static turn more_await(http_context *context);
static turn head_admit(http_shard *shard, http_context *context);
static turn hooks_run(http_shard *shard, http_context *context, uint64_t limit, bool *passed);
static http_handler route_handler(const http_route *route);
static turn unrouted_refuse(http_shard *shard, http_context *context);
static turn piece_take(http_shard *shard, http_context *context);
static turn whole_take(http_shard *shard, http_context *context);
static turn failure_take(http_shard *shard, http_context *context);
static turn refuse(http_shard *shard, http_context *context, int status);
static turn handler_run(http_shard *shard, http_context *context, http_handler handler);
static void handler_prepare(http_context *context);
static turn step_take(http_shard *shard, http_context *context, http_step step);
static const char *step_fault(const http_context *context, http_step step);
static turn fault_answer(http_shard *shard, http_context *context);
static turn answered(http_shard *shard, http_context *context);
static bool body_is_left(const http_parser *parser);
static void unrouted_answer(const http_shard *shard, const http_request *request,
                            http_response *response);
static void log_begin(http_shard *shard, http_context *context);
static void response_open(http_shard *shard, http_context *context);
static void response_ready(http_shard *shard, http_context *context);
static void response_keep(http_context *context);
static void request_end(http_shard *shard, http_context *context);

http_answer_result http_context_answer(http_shard *shard, http_context *context, tina_ctx *ctx,
                                       bool last) {
    scratch_take(shard, &context->request, ctx);
    context->last = last;
    if (context->proxy_awaited) {
        turn next = proxy_turn(shard, context);
        if (next != TURN_ON)
            return (http_answer_result)next;
    }
    while (context->out_bytes <= HTTP_BATCH_BYTES && context->tail.bytes == 0) {
        turn next = context_turn(shard, context);
        if (next != TURN_ON)
            return (http_answer_result)next;
    }
    return HTTP_ANSWER_SEND;
}

static turn proxy_turn(http_shard *shard, http_context *context) {
    http_parser *parser = &context->parser;
    uint32_t used = 0;
    switch (http_proxy_read(parser->buffer + parser->begin, parser->end - parser->begin,
                            context->request.peer, &used)) {
    case HTTP_PROXY_MORE:
        return TURN_MORE;
    case HTTP_PROXY_DONE:
        http_parser_skip(parser, used);
        context->proxy_awaited = false;
        return TURN_ON;
    case HTTP_PROXY_FAILED:
        break;
    }
    shard->counters.requests_bad++;
    return TURN_CLOSE;
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

static turn context_turn(http_shard *shard, http_context *context) {
    if (context->phase == HTTP_PHASE_FILE)
        return file_turn(shard, context);
    if (context->phase == HTTP_PHASE_STREAMING) {
        if (context->out_bytes > 0)
            return TURN_SEND;
        return handler_run(shard, context, context->response.next);
    }
    if (context->phase == HTTP_PHASE_WAITING || context->phase == HTTP_PHASE_CALLING)
        return waiting_turn(shard, context);
    switch (http_parser_run(&context->parser)) {
    case HTTP_PARSE_MORE:
        return more_await(context);
    case HTTP_PARSE_HEAD:
        return head_admit(shard, context);
    case HTTP_PARSE_ROOM:
        return http_room_take(shard, context, context->request.ctx) ? TURN_ON
                                                                    : refuse(shard, context, 503);
    case HTTP_PARSE_PIECE:
        return piece_take(shard, context);
    case HTTP_PARSE_WHOLE:
        return whole_take(shard, context);
    case HTTP_PARSE_FAILED:
        return failure_take(shard, context);
    }
    TINA_ASSERT(context->parser.state > HTTP_PARSE_BROKEN);
    return TURN_CLOSE;
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
        request_end(shard, context);
}

// What is in out goes before a part of the file, and need not before its state is known.
static turn file_turn(http_shard *shard, http_context *context) {
    http_file_response *file = &context->file;
    http_response *response = &context->response;
    if (file->state == HTTP_FILE_SEND && context->out_bytes > 0)
        return TURN_SEND;
    if (file->state == HTTP_FILE_SEND && file->left == 0) {
        http_response_move(response, context->out);
        http_file_sent(file, response);
        response_keep(context);
        return TURN_ON;
    }
    if (file->state != HTTP_FILE_NONE)
        return TURN_FILE;
    return response->fault != NULL ? fault_answer(shard, context) : answered(shard, context);
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
    response_keep(context);
}

// A call is made by the effect of the handler that returned it; a wait may have something to send.
static turn waiting_turn(http_shard *shard, http_context *context) {
    if (context->woken) {
        context->woken = false;
        turn next = handler_run(shard, context, context->response.next);
        context->request.message = NULL;
        return next;
    }
    if (context->phase == HTTP_PHASE_CALLING)
        return TURN_CALL;
    return context->out_bytes > 0 ? TURN_SEND : TURN_WAIT;
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
static turn more_await(http_context *context) {
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
    return context->out_bytes > 0 ? TURN_SEND : TURN_MORE;
}

// The route is looked up before the body is read, since it says how large that may be. Where there
// is none, the body is dropped as it comes.
static turn head_admit(http_shard *shard, http_context *context) {
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
    turn hooked = hooks_run(shard, context, limit, &passed);
    if (!passed)
        return hooked;
    if (head->expects_continue && route == NULL)
        return unrouted_refuse(shard, context);
    if (route != NULL && !route->streamed) {
        http_parser_limit_body(parser, limit);
        return TURN_ON;
    }
    http_parser_stream_body(parser, limit);
    if (route == NULL || parser->state == HTTP_PARSE_BROKEN)
        return TURN_ON;
    request->body = (tina_bytes){NULL, 0};
    request->body_ended = false;
    response_ready(shard, context);
    return handler_run(shard, context, route_handler(route));
}

// What is left of the body when a hook has answered goes the way of a streamed one's.
static turn hooks_run(http_shard *shard, http_context *context, uint64_t limit, bool *passed) {
    http_request *request = &context->request;
    const http_route *route = request->match.route;
    request->group_bits = http_groups_of(request->groups, route != NULL ? route->pattern : NULL);
    context->log_due = context->log_due && http_groups_log(request->groups, request->group_bits);
    if (request->group_bits == 0)
        return TURN_ON;
    request->body = (tina_bytes){NULL, 0};
    request->body_ended = false;
    response_open(shard, context);
    context->opened = true;
    handler_prepare(context);
    context->handling = true;
    http_step step = http_hooks_before(request, &context->response);
    context->handling = false;
    *passed = step.kind == HTTP_STEP_PASS && context->response.fault == NULL;
    if (*passed)
        return TURN_ON;
    http_parser_stream_body(&context->parser, limit);
    return step_take(shard, context, step);
}

static http_handler route_handler(const http_route *route) {
    return route->directory != NULL ? http_directory_answer : route->handler;
}

// The client holds its body back until it is wanted, and nobody wants it.
static turn unrouted_refuse(http_shard *shard, http_context *context) {
    response_ready(shard, context);
    context->response.close = true;
    unrouted_answer(shard, &context->request, &context->response);
    response_keep(context);
    shard->counters.requests++;
    return TURN_CLOSE;
}

static turn piece_take(http_shard *shard, http_context *context) {
    const http_parser *parser = &context->parser;
    if (context->phase != HTTP_PHASE_READING)
        return TURN_ON; // nobody wants it
    context->request.body = (tina_bytes){parser->body, parser->body_bytes};
    return handler_run(shard, context, context->response.next);
}

static turn whole_take(http_shard *shard, http_context *context) {
    http_request *request = &context->request;
    if (context->phase == HTTP_PHASE_ANSWERED) {
        request_end(shard, context);
        return TURN_ON;
    }
    request->body = (tina_bytes){context->parser.body, context->parser.body_bytes};
    request->body_ended = true;
    if (context->phase == HTTP_PHASE_READING)
        return handler_run(shard, context, context->response.next);
    response_ready(shard, context);
    if (request->match.route != NULL)
        return handler_run(shard, context, route_handler(request->match.route));
    unrouted_answer(shard, request, &context->response);
    response_keep(context);
    return answered(shard, context);
}

static turn failure_take(http_shard *shard, http_context *context) {
    shard->counters.requests_bad++;
    if (!context->begun && context->phase != HTTP_PHASE_ANSWERED)
        refuse(shard, context, context->parser.status);
    return TURN_CLOSE;
}

static turn refuse(http_shard *shard, http_context *context, int status) {
    if (!context->admitted)
        log_begin(shard, context);
    bool known = context->parser.head.method != 0;
    context->request.head = known ? &context->parser.head : NULL;
    response_open(shard, context);
    context->response.close = true;
    http_respond_status(&context->response, status, 0);
    response_keep(context);
    return TURN_CLOSE;
}

// What is in scratch lasts for one handler.
static turn handler_run(http_shard *shard, http_context *context, http_handler handler) {
    handler_prepare(context);
    context->handling = true;
    http_step step = handler(&context->request, &context->response);
    context->handling = false;
    return step_take(shard, context, step);
}

static void handler_prepare(http_context *context) {
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

static turn step_take(http_shard *shard, http_context *context, http_step step) {
    http_response *response = &context->response;
    if (response->fault == NULL)
        response->fault = step_fault(context, step);
    if (response->fault != NULL)
        return fault_answer(shard, context);
    response_keep(context);
    if (step.kind == HTTP_STEP_FILE) {
        context->phase = HTTP_PHASE_FILE;
        return TURN_ON;
    }
    if (step.kind == HTTP_STEP_READ) {
        context->phase = HTTP_PHASE_READING;
        return TURN_ON;
    }
    if (step.kind == HTTP_STEP_CALL) {
        context->phase = HTTP_PHASE_CALLING;
        return TURN_ON;
    }
    // To HEAD there is nothing more to say.
    bool streams = step.kind == HTTP_STEP_STREAM || step.kind == HTTP_STEP_WAIT;
    if (streams && response->stream != HTTP_STREAM_NOWHERE) {
        bool waits = step.kind == HTTP_STEP_WAIT;
        context->phase = waits ? HTTP_PHASE_WAITING : HTTP_PHASE_STREAMING;
        return TURN_ON;
    }
    return answered(shard, context);
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

static void begun_forget(http_context *context) {
    if (!context->begun)
        return;
    context->sent_bytes = 0;
    context->out_bytes = context->begun_at;
    context->begun = false;
    http_response_move(&context->response, context->out + context->out_bytes);
}

// Once a part of a response is on its way there is no other; the client sees that its end lacks.
static turn fault_answer(http_shard *shard, http_context *context) {
    http_response *response = &context->response;
    const http_head *head = context->request.head;
    tina_log(context->request.ctx, TINA_LOG_ERROR, "%s %.200s is %s: %s",
             http_method_name((http_method)head->method), head->target,
             context->parted ? "cut off" : "answered 500", response->fault);
    shard->counters.responses_bad++;
    if (context->parted) {
        shard->counters.requests++;
        return TURN_CLOSE;
    }
    begun_forget(context);
    http_respond_status(response, 500, 0);
    response_keep(context);
    return answered(shard, context);
}

static turn answered(http_shard *shard, http_context *context) {
    http_parser *parser = &context->parser;
    shard->counters.requests++;
    context->phase = HTTP_PHASE_ANSWERED;
    if (context->response.close || body_is_left(parser))
        return TURN_CLOSE;
    if (parser->state == HTTP_PARSE_IN_REQUEST && context->tail.bytes == 0)
        request_end(shard, context);
    return TURN_ON;
}

// Whether the connection cannot go on after an answer, for what is left of the body: it goes by
// what the client has said and not by what has arrived.
static bool body_is_left(const http_parser *parser) {
    if (parser->state == HTTP_PARSE_IN_REQUEST || parser->head.framing == HTTP_FRAMING_NONE)
        return false;
    return parser->head.framing == HTTP_FRAMING_CHUNKED || parser->head.expects_continue ||
           parser->left > DRAIN_BYTES;
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

static void response_open(http_shard *shard, http_context *context) {
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
static void response_ready(http_shard *shard, http_context *context) {
    http_response *response = &context->response;
    if (!context->opened) {
        response_open(shard, context);
        return;
    }
    http_response_move(response, context->out + context->out_bytes);
    response->wall_s = tina_wall_s(context->request.ctx);
    response->close = response->close || context->last;
}

static void response_keep(http_context *context) {
    http_response *response = &context->response;
    if (!context->begun)
        context->begun_at = context->out_bytes;
    context->begun = context->begun || response->bytes > 0;
    context->out_bytes += response->bytes;
    context->sent_bytes += response->bytes + response->tail.bytes;
    response->bytes = 0;
    context->tail = response->tail;
}

static void request_end(http_shard *shard, http_context *context) {
    http_log_request(shard, context, context->request.ctx);
    http_room_give(shard, context);
    http_parser_advance(&context->parser);
    context->phase = HTTP_PHASE_RECEIVING;
    context->request.group_bits = 0;
    context->request.id = NULL;
    context->admitted = false;
    context->sent_bytes = 0;
    context->opened = false;
    context->begun = false;
    context->parted = false;
    context->head_deadline_ns = 0;
    context->body_bytes = 0;
    context->body_waited_ns = 0;
}
