// SPDX-License-Identifier: Apache-2.0
#include "http/access_log.h"

#include <errno.h>
#include <string.h>

#include "core/assert.h"
#include "http/connection.h"
#include "http/shard.h"
#include "sched/ctx.h"

#define STDOUT      1
#define STDOUT_PATH "/proc/self/fd/1"
#define RETRY_NS    UINT64_C(1000000000) // to open what could not be opened
#define LAST_NS     UINT64_C(1000000000) // for a write while the server drains

static void line_stage(http_shard *shard, tina_ctx *ctx, const char *line, size_t bytes);
static void writer_wake(http_shard *shard, tina_ctx *ctx);
static const char *client_text(http_request *request, char text[TINA_ADDRESS_TEXT_BYTES]);

void http_log_request(http_shard *shard, http_context *context, tina_ctx *ctx) {
    if (!context->log_due)
        return;
    context->log_due = false;
    char client[TINA_ADDRESS_TEXT_BYTES];
    char line[HTTP_LOG_LINE_BYTES];
    http_request *request = &context->request;
    const http_head *head = context->admitted ? request->head : NULL;
    uint64_t unsent = context->response.head_bytes + context->unsent_bytes;
    request->ctx = ctx;
    http_log_entry entry = {
        .wall_s = context->admitted_s,
        .duration_ns = tina_now_ns(ctx) - context->admitted_ns,
        .bytes = context->sent_bytes > unsent ? context->sent_bytes - unsent : 0,
        .client = client_text(request, client),
        .method = head != NULL ? http_method_name((http_method)head->method) : NULL,
        .target = head != NULL ? head->target : NULL,
        .minor = head != NULL ? head->minor : 0,
        .status = context->begun ? context->response.status : 0,
        .id = request->id,
    };
    size_t bytes = http_log_line(shard->program->server.access_log.format, &entry, line);
    line_stage(shard, ctx, line, bytes);
}

static void line_stage(http_shard *shard, tina_ctx *ctx, const char *line, size_t bytes) {
    http_log *log = &shard->log;
    bool fits = bytes <= log->half_bytes - log->bytes;
    if (fits) {
        memcpy(log->halves[log->filling] + log->bytes, line, bytes);
        log->bytes += (uint32_t)bytes;
        log->lines++;
    }
    shard->counters.log_lines_lost += !fits;
    if (!log->awake || !fits) // full: the writer may have crashed
        writer_wake(shard, ctx);
}

// Where neither works the next line tries again.
static void writer_wake(http_shard *shard, tina_ctx *ctx) {
    http_log *log = &shard->log;
    tina_send_result sent = TINA_SEND_STALE;
    if (!tina_handle_is_none(log->writer))
        sent = tina_send(ctx, log->writer, HTTP_TAG_LINES, NULL, 0);
    if (sent == TINA_SEND_STALE)
        log->awake = tina_spawn(ctx, &http_log_writer_type, tina_bytes_of(NULL, 0), &log->writer) ==
                     TINA_SPAWN_OK;
    else
        log->awake = sent == TINA_SEND_OK || sent == TINA_SEND_MAILBOX_FULL;
}

// Without its port; a Unix socket's other end has no name.
static const char *client_text(http_request *request, char text[TINA_ADDRESS_TEXT_BYTES]) {
    tina_address address;
    if (!http_client(request, &address) ||
        (address.family != TINA_ADDRESS_IPV4 && address.family != TINA_ADDRESS_IPV6))
        return NULL;
    tina_address_format(&address, text);
    char *colon = strrchr(text, ':');
    TINA_ASSERT(colon != NULL);
    *colon = '\0';
    if (text[0] != '[')
        return text;
    *strrchr(text, ']') = '\0';
    return text + 1;
}

typedef enum writer_state {
    WRITER_OPENING = 0,
    WRITER_WAITING, // for lines; or, without fd, for the time to open again
    WRITER_WRITING, // `left` bytes at `at`, of `lines`
} writer_state;

typedef struct writer {
    http_shard *shard;
    tina_fd fd;
    const uint8_t *at;
    uint32_t left;
    uint32_t lines;
    uint8_t state; // writer_state
    bool is_socket;
    bool draining;
    bool complaining; // the last try failed, and the log says so
} writer;

static tina_effect file_open(writer *self);
static tina_effect file_opened(tina_ctx *ctx, writer *self, const tina_message *m);
static tina_effect failed(tina_ctx *ctx, writer *self, int32_t result);
static tina_effect lines_write(writer *self);
static tina_effect rest_write(writer *self);
static tina_effect written(tina_ctx *ctx, writer *self, const tina_message *m);

static tina_effect writer_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    writer *self = self_;
    (void)args;
    self->shard = tina_shard_memory(ctx);
    return file_open(self);
}

static tina_effect writer_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    writer *self = self_;
    switch (m->tag) {
    case TINA_IO_OPEN_DONE:
        return file_opened(ctx, self, m);
    case TINA_IO_WRITE_DONE:
    case TINA_IO_SEND_DONE:
        return written(ctx, self, m);
    case TINA_SHUTDOWN:
        self->draining = true;
        if (self->state == WRITER_WRITING)
            return rest_write(self);
        return tina_fd_is_none(self->fd) ? file_open(self) : lines_write(self);
    case TINA_TIMER:
        return tina_fd_is_none(self->fd) ? file_open(self) : tina_receive();
    case HTTP_TAG_LINES:
        return tina_fd_is_none(self->fd) ? tina_receive() : lines_write(self);
    default:
        return tina_receive(); // a stranger's message
    }
}

static tina_effect file_open(writer *self) {
    const char *path = self->shard->program->server.access_log.path;
    self->state = WRITER_OPENING;
    if (path == NULL)
        return tina_io(tina_op_open(STDOUT_PATH, TINA_OPEN_WRITE | TINA_OPEN_APPEND, 0));
    return tina_io(tina_op_open(path, TINA_OPEN_WRITE | TINA_OPEN_CREATE | TINA_OPEN_APPEND, 0640));
}

// A socket cannot be opened again by its name.
static tina_effect file_opened(tina_ctx *ctx, writer *self, const tina_message *m) {
    int32_t result = m->io.result;
    self->state = WRITER_WAITING;
    if (result == TINA_IO_CANCELED)
        return tina_receive(); // TINA_SHUTDOWN is next
    self->fd = result >= 0 ? m->io.fd : tina_fd_none();
    if (result == -ENXIO && self->shard->program->server.access_log.path == NULL) {
        result = tina_socket_adopt(ctx, STDOUT, &self->fd);
        self->is_socket = result >= 0;
    }
    return result >= 0 ? lines_write(self) : failed(ctx, self, result);
}

static tina_effect failed(tina_ctx *ctx, writer *self, int32_t result) {
    http_log *log = &self->shard->log;
    if (!self->complaining)
        tina_log(ctx, TINA_LOG_WARNING, "the access log cannot be written: %s; lines are lost",
                 tina_io_error_text(result));
    self->complaining = true;
    self->shard->counters.log_lines_lost += self->lines;
    self->lines = 0;
    self->state = WRITER_WAITING;
    if (self->draining) {
        self->shard->counters.log_lines_lost += log->lines;
        log->lines = 0;
        log->bytes = 0;
    }
    if (!tina_fd_is_none(self->fd) || self->draining)
        return lines_write(self);
    return tina_timer_set(ctx, RETRY_NS, 0).bits != 0 ? tina_receive() : tina_crash(0);
}

static tina_effect lines_write(writer *self) {
    http_log *log = &self->shard->log;
    if (log->bytes == 0) {
        log->awake = false;
        self->state = WRITER_WAITING;
        if (self->draining)
            log->writer = tina_handle_none();
        return self->draining ? tina_done() : tina_receive();
    }
    self->state = WRITER_WRITING;
    self->at = log->halves[log->filling];
    self->left = log->bytes;
    self->lines = log->lines;
    log->filling = 1 - log->filling;
    log->bytes = 0;
    log->lines = 0;
    return rest_write(self);
}

static tina_effect rest_write(writer *self) {
    tina_io_op op = self->is_socket
                        ? tina_op_send(self->fd, self->at, self->left)
                        : tina_op_write(self->fd, TINA_OFFSET_POSITION, self->at, self->left);
    return tina_io(self->draining ? tina_op_within(op, LAST_NS) : op);
}

static tina_effect written(tina_ctx *ctx, writer *self, const tina_message *m) {
    TINA_ASSERT(self->state == WRITER_WRITING && m->io.bytes <= self->left);
    self->at += m->io.bytes;
    self->left -= m->io.bytes;
    if (m->io.result == TINA_IO_CANCELED && self->left > 0)
        return tina_receive(); // TINA_SHUTDOWN is next
    if (m->io.result < 0 && self->left > 0)
        return failed(ctx, self, m->io.result);
    self->complaining = false;
    self->lines = 0;
    return lines_write(self);
}

const tina_isolate_type http_log_writer_type = {
    .name = "http_log_writer",
    .init = writer_init,
    .handle = writer_handle,
    .struct_bytes = sizeof(writer),
    .mailbox_max = 1,
};
