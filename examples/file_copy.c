// SPDX-License-Identifier: Apache-2.0
//
// Copies a file and tells how far it is. The copy has its final name only when all of it is on the
// disk: until then it is TARGET.part, and goes when anything fails.
//
//     open source, stat, open part ─▶ (read, write)* ─▶ fsync ─▶ rename ─▶ fsync of the directory
//                                  any failure ─▶ unlink part

#include <errno.h>
#include <string.h>

#include "examples/arguments.h"
#include "tina.h"

#define PIECE_BYTES 262144u

typedef struct copier {
    const char *source_name;
    const char *target_name;
    char part_name[TINA_PATH_BYTES_MAX + 1];
    char directory[TINA_PATH_BYTES_MAX + 1];
    tina_fd source;
    tina_fd part;
    tina_file_stat stat;     // the source's
    tina_file_stat replaced; // the target's, if there is one
    uint64_t copied;
    uint32_t tenths; // that were told
    bool source_known;
    bool part_exists;
    bool renamed;
    uint8_t piece[PIECE_BYTES];
} copier;

typedef struct names {
    const char *source;
    const char *target;
} names;

static void directory_of(const char *path, char *directory) {
    const char *slash = strrchr(path, '/');
    size_t bytes = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    memcpy(directory, slash ? path : ".", bytes);
    directory[bytes] = '\0';
}

static tina_effect copier_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    copier *self = self_;
    const names *given = *(const names *const *)args.data;
    (void)ctx;
    self->source_name = given->source;
    self->target_name = given->target;
    // main has checked that it fits.
    size_t bytes = strlen(given->target);
    memcpy(self->part_name, given->target, bytes);
    memcpy(self->part_name + bytes, ".part", 6);
    directory_of(given->target, self->directory);
    return tina_io_open(self->source_name, TINA_OPEN_READ, 0);
}

static tina_effect end(tina_ctx *ctx, int status) {
    tina_stop(ctx, status);
    return tina_done();
}

// What failed, in a sentence; then the part is removed, if it is ours.
static tina_effect fail(tina_ctx *ctx, copier *self, const char *what, const char *name,
                        int32_t result) {
    const char *remedy = result == -ENOSPC || result == -EDQUOT ? "; make room and try again" : "";
    tina_log(ctx, TINA_LOG_ERROR, "cannot %s %s: %s%s; %s is as it was", what, name,
             tina_io_error_text(result), remedy, self->target_name);
    return self->part_exists ? tina_io_unlink(self->part_name) : end(ctx, 1);
}

static void progress_tell(tina_ctx *ctx, copier *self) {
    uint64_t whole = self->stat.bytes;
    uint32_t tenths = whole != 0 ? (uint32_t)(self->copied / (whole / 10 + 1)) : 0;
    if (tenths > self->tenths) {
        self->tenths = tenths;
        tina_log(ctx, TINA_LOG_INFO, "%u %%: %llu of %llu bytes", tenths * 10,
                 (unsigned long long)self->copied, (unsigned long long)whole);
    }
}

static tina_effect read_next(copier *self) {
    return tina_io_read(self->source, self->copied, PIECE_BYTES);
}

static tina_effect on_open(tina_ctx *ctx, copier *self, const tina_message *m) {
    if (tina_fd_is_none(self->source)) {
        if (m->io.result < 0)
            return fail(ctx, self, "open", self->source_name, m->io.result);
        self->source = m->io.fd;
        return tina_io_stat(self->source, &self->stat);
    }
    if (self->renamed) {
        // The directory. Some file systems cannot sync one; the copy is there all the same.
        return m->io.result < 0 ? end(ctx, 0) : tina_io_fsync(m->io.fd);
    }
    if (m->io.result == -EEXIST) {
        tina_log(ctx, TINA_LOG_ERROR,
                 "%s is there: another copy is running or was killed; remove it if none is running",
                 self->part_name);
        return end(ctx, 1);
    }
    if (m->io.result < 0)
        return fail(ctx, self, "make", self->part_name, m->io.result);
    self->part = m->io.fd;
    self->part_exists = true;
    return read_next(self);
}

static tina_effect on_stat(tina_ctx *ctx, copier *self, const tina_message *m) {
    if (!self->source_known) {
        if (m->io.result < 0)
            return fail(ctx, self, "examine", self->source_name, m->io.result);
        if (self->stat.kind == TINA_FILE_DIRECTORY)
            return fail(ctx, self, "copy", self->source_name, -EISDIR);
        self->source_known = true;
        return tina_io_stat_path(self->target_name, &self->replaced);
    }
    // A rename would put a file in the place of a device too.
    if (m->io.result == 0 && self->replaced.kind != TINA_FILE_REGULAR) {
        tina_log(ctx, TINA_LOG_ERROR, "%s is there and no regular file: name another target",
                 self->target_name);
        return end(ctx, 1);
    }
    if (m->io.result < 0 && m->io.result != -ENOENT)
        return fail(ctx, self, "examine", self->target_name, m->io.result);
    return tina_io_open(self->part_name, TINA_OPEN_WRITE | TINA_OPEN_CREATE | TINA_OPEN_EXCLUSIVE,
                        self->stat.permissions & 0777);
}

static tina_effect on_read(tina_ctx *ctx, copier *self, const tina_message *m) {
    if (m->io.result < 0)
        return fail(ctx, self, "read", self->source_name, m->io.result);
    if (m->io.result == 0)
        return tina_io_fsync(self->part);
    memcpy(self->piece, tina_io_data(ctx, m), (size_t)m->io.result);
    return tina_io_write(self->part, self->copied, self->piece, (size_t)m->io.result);
}

static tina_effect on_write(tina_ctx *ctx, copier *self, const tina_message *m) {
    if (m->io.result < 0)
        return fail(ctx, self, "write", self->part_name, m->io.result);
    self->copied += m->io.bytes;
    progress_tell(ctx, self);
    return read_next(self);
}

static tina_effect on_fsync(tina_ctx *ctx, copier *self, const tina_message *m) {
    if (self->renamed)
        return end(ctx, 0);
    if (m->io.result < 0)
        return fail(ctx, self, "write", self->part_name, m->io.result);
    return tina_io_rename(self->part_name, self->target_name);
}

static tina_effect on_rename(tina_ctx *ctx, copier *self, const tina_message *m) {
    if (m->io.result < 0)
        return fail(ctx, self, "rename the copy to", self->target_name, m->io.result);
    self->renamed = true;
    self->part_exists = false;
    tina_log(ctx, TINA_LOG_INFO, "100 %%: %llu bytes in %s (%s)", (unsigned long long)self->copied,
             self->target_name, tina_backend_name(ctx));
    return tina_io_open(self->directory, TINA_OPEN_READ | TINA_OPEN_DIRECTORY, 0);
}

static tina_effect copier_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    copier *self = self_;
    switch (m->tag) {
    case TINA_IO_OPEN_DONE:
        return on_open(ctx, self, m);
    case TINA_IO_STAT_DONE:
        return on_stat(ctx, self, m);
    case TINA_IO_READ_DONE:
        return on_read(ctx, self, m);
    case TINA_IO_WRITE_DONE:
        return on_write(ctx, self, m);
    case TINA_IO_FSYNC_DONE:
        return on_fsync(ctx, self, m);
    case TINA_IO_RENAME_DONE:
        return on_rename(ctx, self, m);
    default: // the part is removed
        return end(ctx, 1);
    }
}

static const tina_isolate_type copier_type = {.name = "file_copy",
                                              .init = copier_init,
                                              .handle = copier_handle,
                                              .struct_bytes = sizeof(copier)};

static const char usage[] =
    "usage: file_copy [--backend BACKEND] SOURCE TARGET\n"
    "Copies a file. TARGET has its name only when all of it is on the disk.\n"
    "BACKEND is io_uring, epoll, or auto, the default: the one that is granted.\n";

int main(int argc, char **argv) {
    static names given_names;
    arguments given = {.program = "file_copy", .usage = usage, .word_count = 2};
    int status = arguments_read(&given, argc, argv);
    if (status >= 0)
        return status;
    given_names = (names){given.words[0], given.words[1]};
    if (strlen(given_names.target) + strlen(".part") + strlen(given_names.target) >
        TINA_PATH_BYTES_MAX - 1)
        return arguments_refuse(&given, "this name is too long for a rename:", given_names.target);
    static const names *const copied = &given_names;
    const tina_type_slots types[] = {{&copier_type, 1}};
    const tina_child children[] = {{.name = "copier",
                                    .type = &copier_type,
                                    .args = tina_bytes_of(&copied, sizeof copied),
                                    .restart = TINA_TEMPORARY}};
    const tina_spec spec = {
        .name = "file_copy",
        .types = types,
        .type_count = 1,
        .root = {.children = children, .child_count = 1},
        .fd_count = 8,
        .buffer_count = 2,
        .buffer_bytes = PIECE_BYTES,
        .backend = given.backend,
    };
    return tina_run(&spec);
}
