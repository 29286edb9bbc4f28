// SPDX-License-Identifier: Apache-2.0
//
// Uploads of any size to a directory. A body goes to the disk piece by piece, and the next piece is
// read when the last one is written: a slow disk slows its client and nobody else. A file has the
// name NAME.uploading until all of it is there; when the client vanishes it is removed, and when
// the server was killed, by the next one. Try:
//
//     bazel run //examples:http_upload -- /tmp --port 8080
//     curl -T big.iso localhost:8080/files/big.iso
//     curl -I localhost:8080/files/big.iso.uploading     how much is there
//     curl -O localhost:8080/files/big.iso
//
//     connection ── piece (a transfer buffer), then a call ──▶ upload (an isolate) ── write ──▶
//     file
//         ▲                                                      │ monitors
//         └───────────────────── reply ◀─────────────────────────┘

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/format.h"
#include "http/serve.h"
#include "tina.h"

#define SECOND_NS  UINT64_C(1000000000)
#define NAME_BYTES 64u
#define PATH_BYTES (PATH_MAX + NAME_BYTES + 16)
#define SUFFIX     ".uploading" // no other program's

static char directory[PATH_MAX];

// Messages to an upload: a piece, and calls, answered with the bytes written or with an errno.
enum {
    PIECE = 1,
    WRITTEN,
    FINISH,
    BYTES,
    FAILED
};

typedef enum upload_state {
    UPLOAD_OPENING = 0,
    UPLOAD_READY,   // for the next message
    UPLOAD_WRITING, // `piece`
    UPLOAD_SYNCING, // then UPLOAD_RENAMING, then `caller` is answered
    UPLOAD_RENAMING,
    UPLOAD_REMOVING, // then it ends
} upload_state;

typedef struct upload_args {
    tina_handle client;
    char name[NAME_BYTES + 1];
} upload_args;

typedef struct upload {
    tina_fd fd;
    tina_transfer piece;
    uint32_t piece_bytes;
    uint64_t offset;
    tina_caller caller; // of FINISH
    int32_t error;      // of the op that failed, below zero
    uint8_t state;      // upload_state
    char part[PATH_BYTES];
    char path[PATH_BYTES];
} upload;

// What the state awaits, also after it was cancelled to say that the program shuts down.
static tina_effect upload_go(tina_ctx *ctx, upload *self) {
    switch ((upload_state)self->state) {
    case UPLOAD_OPENING:
        return tina_io_open(self->part, TINA_OPEN_WRITE | TINA_OPEN_CREATE | TINA_OPEN_EXCLUSIVE,
                            0644);
    case UPLOAD_WRITING:
        return tina_io_write(self->fd, self->offset, tina_transfer_data(ctx, self->piece),
                             self->piece_bytes);
    case UPLOAD_SYNCING:
        return tina_io_fsync(self->fd);
    case UPLOAD_RENAMING:
        return tina_io_rename(self->part, self->path);
    case UPLOAD_REMOVING:
        return tina_io_unlink(self->part);
    case UPLOAD_READY:
        break;
    }
    return tina_receive();
}

static tina_effect upload_enter(tina_ctx *ctx, upload *self, upload_state state) {
    self->state = (uint8_t)state;
    return upload_go(ctx, self);
}

static tina_effect upload_init(tina_ctx *ctx, void *self_, tina_bytes args_) {
    upload *self = self_;
    const upload_args *args = args_.data;
    tina_format(self->path, sizeof self->path, "%s/%s", directory, args->name);
    tina_format(self->part, sizeof self->part, "%s" SUFFIX, self->path);
    if (tina_monitor_set(ctx, args->client).bits == 0)
        return tina_crash(0); // which ends the client's call
    return upload_enter(ctx, self, UPLOAD_OPENING);
}

// After a failure there is nothing to keep, and its part is there only if it could be opened.
static tina_effect upload_reply(tina_ctx *ctx, upload *self, const tina_message *m) {
    if (self->error == 0)
        return tina_reply(ctx, BYTES, &self->offset, sizeof self->offset);
    tina_answer(ctx, tina_caller_of(ctx, m), FAILED, &self->error, sizeof self->error);
    return tina_fd_is_none(self->fd) ? tina_done() : upload_enter(ctx, self, UPLOAD_REMOVING);
}

static tina_effect op_done(tina_ctx *ctx, upload *self, const tina_message *m) {
    if (m->io.result == TINA_IO_CANCELED) {
        self->offset += self->state == UPLOAD_WRITING ? m->io.bytes : 0;
        return tina_receive(); // TINA_SHUTDOWN is next
    }
    if (m->io.result < 0 && self->state != UPLOAD_REMOVING)
        self->error = m->io.result;
    switch ((upload_state)self->state) {
    case UPLOAD_OPENING:
        self->fd = m->io.fd;
        break;
    case UPLOAD_WRITING:
        tina_transfer_give(ctx, self->piece);
        self->offset += m->io.bytes;
        break;
    case UPLOAD_SYNCING:
        if (self->error == 0)
            return upload_enter(ctx, self, UPLOAD_RENAMING);
        break;
    case UPLOAD_RENAMING:
        if (self->error == 0) {
            tina_answer(ctx, self->caller, BYTES, &self->offset, sizeof self->offset);
            return tina_done();
        }
        break;
    case UPLOAD_REMOVING:
        return tina_done();
    case UPLOAD_READY:
        break;
    }
    if (self->error != 0 && self->caller.bits != 0) {
        tina_answer(ctx, self->caller, FAILED, &self->error, sizeof self->error);
        return upload_enter(ctx, self, UPLOAD_REMOVING);
    }
    return upload_enter(ctx, self, UPLOAD_READY);
}

static tina_effect piece_came(tina_ctx *ctx, upload *self, const tina_message *m) {
    self->piece = tina_transfer_of(ctx, m);
    if (self->error != 0 || !tina_transfer_keep(ctx, self->piece))
        return tina_receive(); // the call behind it says why
    memcpy(&self->piece_bytes, m->payload, sizeof self->piece_bytes);
    return upload_enter(ctx, self, UPLOAD_WRITING);
}

static tina_effect upload_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    upload *self = self_;
    switch (m->tag) {
    case PIECE:
        return piece_came(ctx, self, m);
    case WRITTEN:
        return upload_reply(ctx, self, m);
    case FINISH:
        if (self->error != 0)
            return upload_reply(ctx, self, m);
        self->caller = tina_caller_of(ctx, m);
        return upload_enter(ctx, self, UPLOAD_SYNCING);
    case TINA_DOWN: // the client; whose file it is not when it could not be opened
        return tina_fd_is_none(self->fd) ? tina_done() : upload_enter(ctx, self, UPLOAD_REMOVING);
    case TINA_SHUTDOWN:
        return upload_go(ctx, self);
    default:
        return m->tag <= TINA_IO_DONE ? op_done(ctx, self, m) : tina_receive();
    }
}

static const tina_isolate_type upload_type = {
    .name = "upload",
    .init = upload_init,
    .handle = upload_handle,
    .struct_bytes = sizeof(upload),
};

typedef struct upload_request {
    tina_handle upload;
} upload_request;

static http_step failed_answer(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    int32_t error = 0;
    if (m->tag == FAILED)
        memcpy(&error, m->payload, sizeof error);
    int status = error == -EEXIST ? 409 : error == -ENOSPC ? 507 : m->tag == FAILED ? 500 : 503;
    return http_text(res, status, "it cannot be stored: %s\n",
                     m->tag == FAILED ? tina_io_error_text(error) : "the disk does not answer");
}

static http_step finished(http_request *req, http_response *res) {
    const tina_message *m = http_message(req);
    uint64_t bytes = 0;
    if (m->tag != BYTES)
        return failed_answer(req, res);
    memcpy(&bytes, m->payload, sizeof bytes);
    return http_json(res, 201, "{\"bytes\":%llu}\n", (unsigned long long)bytes);
}

static http_step ask(http_request *req, http_response *res, int32_t tag, http_handler next) {
    const upload_request *state = http_state(req);
    return http_call(res, tina_call(http_ctx(req), state->upload, tag, NULL, 0, 30 * SECOND_NS),
                     next);
}

static http_step piece_take(http_request *req, http_response *res);

static http_step written(http_request *req, http_response *res) {
    if (http_message(req)->tag != BYTES)
        return failed_answer(req, res);
    return http_body_ended(req) ? ask(req, res, FINISH, finished) : http_read(res, piece_take);
}

static http_step piece_take(http_request *req, http_response *res) {
    const upload_request *state = http_state(req);
    tina_ctx *ctx = http_ctx(req);
    tina_bytes body = http_body(req);
    uint32_t bytes = (uint32_t)body.bytes;
    if (bytes == 0)
        return ask(req, res, WRITTEN, written);
    tina_transfer piece = tina_transfer_take(ctx);
    if (piece.bits == 0)
        return http_text(res, 503, "too many uploads at once\n");
    memcpy(tina_transfer_data(ctx, piece), body.data, bytes);
    if (tina_send_transfer(ctx, state->upload, PIECE, &bytes, sizeof bytes, piece) !=
        TINA_SEND_OK) {
        tina_transfer_give(ctx, piece);
        return http_text(res, 503, "too many uploads at once\n");
    }
    return ask(req, res, WRITTEN, written);
}

static bool is_part(const char *name) {
    size_t bytes = strlen(name);
    size_t suffix = strlen(SUFFIX);
    return bytes > suffix && strcmp(name + bytes - suffix, SUFFIX) == 0;
}

static bool name_is_good(const char *name) {
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t bytes = strlen(name);
    return bytes > 0 && bytes <= NAME_BYTES && name[0] != '.' && strspn(name, good) == bytes &&
           !is_part(name);
}

static http_step put_file(http_request *req, http_response *res) {
    upload_request *state = http_state(req);
    upload_args args = {.client = tina_self(http_ctx(req))};
    const char *name = http_param(req, "name");
    if (!name_is_good(name))
        return http_text(res, 400, "a name has 1 to %u of A-Z a-z 0-9 - _ .\n", NAME_BYTES);
    memcpy(args.name, name, strlen(name) + 1);
    if (tina_spawn(http_ctx(req), &upload_type, tina_bytes_of(&args, sizeof args),
                   &state->upload) != TINA_SPAWN_OK)
        return http_text(res, 503, "too many uploads at once\n");
    return ask(req, res, WRITTEN, written); // when the file is open
}

// The directory is this process's until it ends, however that is; so what is unfinished in it is of
// one that was killed, and would refuse its name for ever.
static bool directory_take(void) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return false;
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return false;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (is_part(entry->d_name) && unlinkat(fd, entry->d_name, 0) == 0)
            fprintf(stderr, "http_upload: removed %s, which was cut off\n", entry->d_name);
    }
    closedir(entries);
    return true; // fd stays open, for its lock
}

int main(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-' || realpath(argv[1], directory) == NULL) {
        fprintf(stderr,
                "http_upload: %s is no directory; usage: http_upload DIRECTORY [--port N]\n",
                argc < 2 ? "nothing" : argv[1]);
        return 1;
    }
    if (!directory_take()) {
        fprintf(stderr, "http_upload: %s cannot be taken: %s\n", directory,
                errno == EWOULDBLOCK ? "another http_upload serves it" : strerror(errno));
        return 1;
    }
    const http_route routes[] = {
        {HTTP_PUT, "/files/:name", put_file, .streamed = true, .body_limit = UINT64_C(1) << 40,
         .state_bytes = sizeof(upload_request)},
        {HTTP_GET, "/files/*name", .directory = directory},
    };
    const tina_type_slots types[] = {{&upload_type, 256}};
    const http_server server = {
        .name = "http_upload",
        .port = 8080,
        .routes = HTTP_ROUTES(routes),
        .types = types,
        .type_count = 1,
        .transfer_count = 256,
    };
    return http_serve(&server, argc - 1, argv + 1);
}
